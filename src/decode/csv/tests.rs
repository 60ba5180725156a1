use super::*;
use dataflows::wire::Kind;

fn fields(record: &[u8]) -> Option<Vec<Vec<u8>>> {
    Fields { rest: Some(record), separator: b',' }.map(|field| field.map(Cow::into_owned)).collect()
}

fn by_the_crate(record: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(::csv::Terminator::Any(0))
        .from_reader(record);
    let mut read = ::csv::ByteRecord::new();
    assert!(reader.read_byte_record(&mut read).expect("memory can be read"));
    read.iter().map(<[u8]>::to_vec).collect()
}

/// Every text of these bytes up to a length has the fields that the crate `csv` finds in it.
#[test]
fn fields_are_those_of_the_crate() {
    const BYTES: &[u8] = b"\",a\n\xff";
    let (mut texts, mut open) = (vec![Vec::new()], 0);
    for length in 1..=7 {
        texts = texts.iter().flat_map(|text| BYTES.iter().map(move |byte| [&text[..], &[*byte]].concat())).collect();
        for text in &texts {
            let theirs = by_the_crate(text);
            match fields(text) {
                Some(ours) => assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(text)),
                // The crate takes what there is for the whole text.
                None => open += 1,
            }
        }
        assert_eq!(texts.len(), BYTES.len().pow(length));
    }
    assert!(open > 1_000 && open < texts.len(), "{open}");
}

/// Every record of these up to a length, long enough for eight bytes to be looked at at once, is read where it stands as it
/// is read otherwise.
#[test]
fn texts_where_they_stand_are_those_that_are_read() {
    const PARTS: [&[u8]; 6] = [b"\"", b",", b"+-", "Ж".as_bytes(), b"seventeen", b"\xff"];
    let mut names = Names::default();
    let slots = ["a", "b"].map(|name| names.fields().field(name, Kind::Text));
    let csv = Csv::new(b',', &["a", "other", "b"].map(str::to_owned), &names);
    let (mut texts, mut stand, mut other) = (vec![Vec::new()], 0, 0);
    for _ in 0..7 {
        texts = texts.iter().flat_map(|text| PARTS.iter().map(move |part| [&text[..], part].concat())).collect();
        let mut cells = Cells::default();
        for text in &texts {
            let mut wire = Wire::new(&names);
            let read = csv.read(text, &mut wire);
            // Of the record before nothing is left.
            if csv.put(text, &names, &mut cells).is_none() {
                other += 1;
                assert!(read.is_err() || text.contains(&b'"'), "{:?}", String::from_utf8_lossy(text));
                continue;
            }
            stand += 1;
            assert_eq!(read, Ok(()));
            for slot in slots {
                let value = wire.value(slot).expect("short").and_then(Scalar::borrowed).unwrap_or_default();
                assert_eq!(cells.get(slot), value.as_bytes(), "{:?}", String::from_utf8_lossy(text));
            }
        }
    }
    assert!(stand > 5_000 && other > 100_000, "{stand} stand there, {other} do not");
    let long = [&b"1,2,"[..], &[b'x'; TEXT_BYTES_MAX]].concat();
    let is_put = |record: &[u8], names: &Names| csv.put(record, names, &mut Cells::default()).is_some();
    assert!(!is_put(&long, &names) && is_put(&long[..100], &names));
    assert!(!is_put(b"1,2,3", &Names::default()), "the places are those of other names");
}

#[test]
fn a_record_that_cannot_be_read_says_why() {
    let mut names = Names::default();
    let slot = names.fields().within("device.type", Kind::Text).expect("free");
    let header: Vec<String> = ["a", "device.type", "a"].map(str::to_owned).to_vec();
    let csv = Csv::new(b';', &header, &names);
    let read = |record: &'static [u8]| {
        let mut wire = Wire::new(&names);
        csv.read(record, &mut wire).map(|()| wire.value(slot).ok().flatten().map(ToString::to_string))
    };
    assert_eq!(read(b"1;\"t;\"\"v\";"), Ok(Some("the text \"t;\\\"v\"".to_owned())));
    assert_eq!(read(b"1;;2"), Ok(None));
    for (record, why) in [
        (&b"1;tv"[..], "it has 2 values, and the header has 3"),
        (b"1;tv;3;4", "it has 4 values, and the header has 3"),
        (b"", "it has 1 value, and the header has 3"),
        (b"1;\"tv;3", "the text of `device.type` begins with a quote and has no quote at its end"),
        (b"1;\"tv\"\"", "the text of `device.type` begins with a quote"),
        (b"1;t\xffv;3", "`device.type` has bytes that are not UTF-8"),
    ] {
        let rejection = read(record).expect_err(why);
        assert!(rejection.detail.contains(why), "{}", rejection.detail);
        assert_eq!(rejection.reason, Reason::UNDECODABLE);
    }
    for (record, json) in [
        (&b"1;tv;2"[..], r#"{"a":"1","device":{"type":"tv"}}"#),
        // An empty value is none.
        (b";\"\";2", r#"{"a":null,"device":{"type":null}}"#),
    ] {
        assert_eq!(csv.json(record).map(|json| String::from_utf8_lossy(&json).into_owned()).as_deref(), Some(json));
    }
    assert_eq!(csv.json(b"1;tv"), None);
}

#[test]
fn a_header_has_names() {
    assert_eq!(header(b" a,\"b\",c.d ", b','), Ok(vec!["a".to_owned(), "b".to_owned(), "c.d".to_owned()]));
    assert!(header(b"a,\"b", b',').is_err_and(|why| why.contains("its name 2 has no quote")));
    assert!(header(b"a\xff", b',').is_err_and(|why| why.contains("its name 1 is not UTF-8")));
}

/// What is read again by the names of then has its fields where those names put them.
#[test]
fn a_record_is_read_by_other_names_too() {
    let names = |fields: &[&'static str]| -> (&'static Names, Vec<Slot>) {
        let mut names = Names::default();
        let slots = fields.iter().map(|field| names.fields().field(field, Kind::Text)).collect();
        (Box::leak(Box::new(names)), slots)
    };
    let (now, _) = names(&["coupon", "b", "a"]);
    let (then, of_then) = names(&["a", "b"]);
    let csv = Csv::new(b',', &["a", "b", "b", "coupon"].map(str::to_owned), now);
    let mut wire = Wire::new(then);
    assert!(csv.read(b"1,2,3,4", &mut wire).is_ok());
    let values: Vec<_> = of_then.iter().map(|slot| wire.value(*slot).ok().flatten().map(ToString::to_string)).collect();
    assert_eq!(values, ["the text \"1\"", "the text \"2\""].map(|text| Some(text.to_owned())));
}

/// Every text of these characters up to a length has the values that its fields say.
#[test]
fn a_record_without_quotes_is_read_as_any_other() {
    let names = Names::default();
    let header: Vec<String> = (0..3).map(|place| format!("c{place}")).collect();
    let csv = Csv::new(b',', &header, &names);
    let (mut texts, mut whole) = (vec![String::new()], 0);
    for _ in 0..6 {
        texts = texts.iter().flat_map(|text| [",", "a", "é", "\n"].map(|more| format!("{text}{more}"))).collect();
        for text in &texts {
            let (mut plain, mut fields) = (Vec::new(), Vec::new());
            let of_plain = csv.plain(text, |column, text| plain.push((column.name.clone(), text.into_owned())));
            let of_fields =
                csv.fields(text.as_bytes(), |column, text| fields.push((column.name.clone(), text.into_owned())));
            whole += usize::from(of_plain.is_ok());
            let explained = |result: Result<(), Wrong>| result.map_err(|wrong| csv.explained(&wrong));
            assert_eq!((plain, explained(of_plain)), (fields, explained(of_fields)), "{text:?}");
        }
    }
    assert!(whole > 1_000, "{whole}");
}
