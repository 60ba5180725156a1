//! Random records of random schemas, written by another implementation of Avro, are in the file what they were.

use super::file::{About, File};
use super::open::Kept;
use crate::decode::avro::value::Data;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};

/// A type, and how values of it are made.
enum Ty {
    Plain(&'static str),
    Logical(&'static str, &'static str),
    Decimal,
    Uuid(String),
    Symbols(String),
    Record(String, Vec<(String, Ty)>),
    List(Box<Ty>),
    Map(Box<Ty>),
    Union(Vec<Ty>),
}

const PLAIN: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
const LOGICAL: [(&str, &str); 4] =
    [("int", "date"), ("long", "timestamp-millis"), ("long", "local-timestamp-micros"), ("long", "time-micros")];

/// A type that lies so deep. Names are never used twice.
fn ty(dice: &mut ChaCha8Rng, depth: usize, names: &mut u32) -> Ty {
    let mut name = |of: &str| {
        *names += 1;
        format!("{of}{names}")
    };
    match dice.random_range(0..if depth > 3 { 12 } else { 20 }) {
        place @ 0..8 => Ty::Plain(PLAIN[place]),
        8 => {
            let (plain, logical) = LOGICAL[dice.random_range(0..LOGICAL.len())];
            Ty::Logical(plain, logical)
        }
        9 => Ty::Decimal,
        10 => Ty::Uuid(name("uuid")),
        11 => Ty::Symbols(name("symbols")),
        12..15 => {
            let name = name("record");
            let fields = dice.random_range(0..5);
            Ty::Record(name, (0..fields).map(|field| (format!("f{field}"), ty(dice, depth + 1, names))).collect())
        }
        15..17 => Ty::List(Box::new(ty(dice, depth + 1, names))),
        17 => Ty::Map(Box::new(ty(dice, depth + 1, names))),
        _ => {
            // Of each kind one, as a union may have.
            let mut branches =
                vec![Ty::Plain("null"), Ty::Plain("long"), Ty::Plain("string"), Ty::Symbols(name("one"))];
            branches.push(Ty::Record(name("record"), vec![("inner".to_owned(), ty(dice, depth + 1, names))]));
            branches.push(Ty::List(Box::new(ty(dice, depth + 1, names))));
            branches.retain(|_| dice.random());
            Ty::Union(if branches.is_empty() { vec![Ty::Plain("null"), Ty::Plain("int")] } else { branches })
        }
    }
}

impl Ty {
    fn schema(&self) -> Json {
        match self {
            Ty::Plain(plain) => json!(plain),
            Ty::Logical(plain, logical) => json!({"type": plain, "logicalType": logical}),
            Ty::Decimal => json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
            Ty::Uuid(name) => json!({"type": "fixed", "name": name, "size": 16, "logicalType": "uuid"}),
            Ty::Symbols(name) => json!({"type": "enum", "name": name, "symbols": ["TV", "PHONE"]}),
            Ty::Record(name, fields) => {
                let fields = fields.iter().map(|(name, ty)| json!({"name": name, "type": ty.schema()}));
                json!({"type": "record", "name": name, "fields": fields.collect::<Vec<_>>()})
            }
            Ty::List(of) => json!({"type": "array", "items": of.schema()}),
            Ty::Map(of) => json!({"type": "map", "values": of.schema()}),
            Ty::Union(of) => of.iter().map(Ty::schema).collect(),
        }
    }

    /// A value, and what it is as JSON.
    fn value(&self, dice: &mut ChaCha8Rng) -> (Avro, Json) {
        let number = if dice.random() { dice.random_range(-3..3) } else { dice.random::<i64>() };
        match self {
            Ty::Plain("null") => (Avro::Null, Json::Null),
            Ty::Plain("boolean") => (Avro::Boolean(number > 0), json!(number > 0)),
            Ty::Plain("int") => (Avro::Int(number as i32), json!(number as i32)),
            Ty::Plain("long") => (Avro::Long(number), json!(number)),
            Ty::Plain("float") => (Avro::Float(number as f32 / 3.0), json!(number as f32 / 3.0)),
            Ty::Plain("double") => (Avro::Double(number as f64 / 3.0), json!(number as f64 / 3.0)),
            Ty::Plain("bytes") => {
                let bytes = number.to_le_bytes()[..dice.random_range(0..8)].to_vec();
                let letters: String = bytes.iter().copied().map(char::from).collect();
                (Avro::Bytes(bytes), json!(letters))
            }
            Ty::Plain(_) => {
                let text = ["", "é", "a \"b\"", "{}", "\u{1F3AC}"][dice.random_range(0..5)];
                (Avro::String(text.to_owned()), json!(text))
            }
            Ty::Logical(_, "date") => (Avro::Date(number as i32), json!(number as i32)),
            Ty::Logical(_, "timestamp-millis") => (Avro::TimestampMillis(number), json!(number)),
            Ty::Logical(_, "time-micros") => (Avro::TimeMicros(number), json!(number)),
            Ty::Logical(..) => (Avro::LocalTimestampMicros(number), json!(number)),
            Ty::Decimal => {
                let cents = dice.random_range(-99_999_i64..99_999);
                let sign = if cents < 0 { "-" } else { "" };
                let text = format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100);
                let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
                (Avro::Decimal(Decimal::from(cents.to_be_bytes().to_vec())), json!(text))
            }
            Ty::Uuid(_) => {
                let id = uuid::Uuid::from_u128(number as u128);
                (Avro::Fixed(16, id.as_bytes().to_vec()), json!(id.to_string()))
            }
            Ty::Symbols(_) => {
                let place = dice.random_range(0..2);
                let symbol = ["TV", "PHONE"][place];
                (Avro::Enum(place as u32, symbol.to_owned()), json!(symbol))
            }
            Ty::Record(_, fields) => {
                let values: Vec<_> = fields.iter().map(|(name, ty)| (name.clone(), ty.value(dice))).collect();
                let json = values.iter().map(|(name, (_, json))| (name.clone(), json.clone())).collect();
                (Avro::Record(values.into_iter().map(|(name, (value, _))| (name, value)).collect()), Json::Object(json))
            }
            Ty::List(of) => {
                let (values, json) = (0..dice.random_range(0..4)).map(|_| of.value(dice)).unzip();
                (Avro::Array(values), Json::Array(json))
            }
            Ty::Map(of) => {
                let entries: Vec<_> =
                    (0..dice.random_range(0..4)).map(|key| (format!("k{key}"), of.value(dice))).collect();
                let json = entries.iter().map(|(key, (_, json))| (key.clone(), json.clone())).collect();
                (Avro::Map(entries.into_iter().map(|(key, (value, _))| (key, value)).collect()), Json::Object(json))
            }
            Ty::Union(of) => {
                let place = dice.random_range(0..of.len());
                let (value, json) = of[place].value(dice);
                (Avro::Union(place as u32, Box::new(value)), json)
            }
        }
    }
}

fn about(schema: Option<String>) -> About {
    About { pipeline: "p".to_owned(), topic: "plays".to_owned(), partition: Some(3), first_offset: 7, schema }
}

fn kept(offset: i64, datum: Vec<u8>) -> Kept {
    Kept { offset, datum, ..Kept::default() }
}

/// Writes a file, reads it, and writes it again of what was read.
fn there_and_back(schema: &Json, data: Vec<Vec<u8>>) -> Vec<Json> {
    let about = about(Some(schema.to_string()));
    let mut file = File::new(about.clone()).expect("Parquet can have it");
    for (offset, datum) in data.into_iter().enumerate() {
        assert!(file.push(&kept(7 + offset as i64, datum)).expect("taken"), "{schema}");
    }
    let bytes = file.finish().expect("written");
    let (mut again, rows) = File::read(bytes.clone()).expect("ours");
    assert_eq!(again.about(), &about);
    let json = rows.iter().map(|row| serde_json::from_str(&again.json(row)).expect("JSON")).collect();
    rows.iter().for_each(|row| again.push_row(row).expect("taken"));
    assert!(again.finish().expect("written") == bytes, "{schema}");
    json
}

#[test]
fn records_of_any_schema_are_in_the_file_what_they_were() {
    let (mut nested, mut lists, mut written) = (0, 0, 0);
    for seed in 0..1_000 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut names = 0;
        let of = ty(&mut dice, 0, &mut names);
        let schema = of.schema();
        let parsed = Schema::parse(&schema).expect("a schema");
        let (values, expected): (Vec<_>, Vec<_>) = (0..dice.random_range(1..6)).map(|_| of.value(&mut dice)).unzip();
        let writer = GenericDatumWriter::builder(&parsed).build().expect("a writer");
        let data = values.into_iter().map(|value| writer.write_value_to_vec(value).expect("encodes")).collect();
        assert_eq!(there_and_back(&schema, data), expected, "seed {seed}: {schema}");
        written += said_as_json(&schema, &expected);
        nested += usize::from(schema.to_string().matches("record").count() > 3);
        lists += usize::from(schema.to_string().matches("array").count() > 1);
    }
    assert!(nested > 50 && lists > 50 && written > 1_000, "{nested}, {lists}, {written}");
}

/// What JSON says is the same once it is a datum; tells how often the schema could say it.
fn said_as_json(schema: &Json, all: &[Json]) -> usize {
    let (data, mut count) = (Data::of(schema), 0);
    for json in all {
        let mut datum = Vec::new();
        if data.write(json, &mut datum) {
            let read = data.read(&datum).unwrap_or_else(|| panic!("{schema}: {json}"));
            assert_eq!(data.json(data.shape(), &read), *json, "{schema}");
            count += 1;
        }
    }
    count
}

#[test]
fn what_lies_within_itself_is_a_text_from_there_on() {
    let schema = json!({"type": "record", "name": "Node", "fields": [
        {"name": "_offset", "type": "int"},
        {"name": "next", "type": ["null", "Node"]}]});
    let data = vec![vec![2, 0], vec![2, 2, 4, 2, 6, 0]];
    let nothing = json!({"_offset": 1, "next": null});
    let three = json!({"_offset": 1, "next": {"_offset": 2, "next": {"_offset": 3, "next": null}}});
    assert_eq!(there_and_back(&schema, data), [nothing, three]);
}

#[test]
fn a_schema_that_unfolds_without_end_stays_small() {
    // Each record has the next one twice: unfolded it would have a million fields.
    let mut of = json!("long");
    for level in 0..20 {
        let name = format!("Level{level}");
        of = json!({"type": "record", "name": name, "fields": [
            {"name": "first", "type": of}, {"name": "second", "type": if level == 0 { json!("long") } else { json!(format!("Level{}", level - 1)) }}]});
    }
    let file = File::new(about(Some(of.to_string()))).expect("Parquet can have it");
    assert!(file.finish().expect("written").len() < 1 << 20);
}

#[test]
fn json_stays_the_text_that_it_was() {
    let mut file = File::new(about(None)).expect("made");
    for (offset, json) in [r#"{"b":1, "a":[1.50]}"#, "{}"].into_iter().enumerate() {
        assert!(file.push(&kept(offset as i64, json.as_bytes().to_vec())).expect("taken"));
    }
    let (file, rows) = File::read(file.finish().expect("written")).expect("ours");
    assert_eq!(rows.iter().map(|row| file.json(row)).collect::<Vec<_>>(), [r#"{"b":1, "a":[1.50]}"#, "{}"]);
}

#[test]
fn a_datum_that_does_not_follow_its_schema_leaves_its_fields_empty() {
    let schema = json!({"type": "record", "name": "Play", "fields": [{"name": "word", "type": "string"}]});
    let mut file = File::new(about(Some(schema.to_string()))).expect("made");
    for broken in [vec![], vec![200], vec![2, b'a', b'b'], vec![0xff; 12]] {
        assert!(!file.push(&kept(1, broken)).expect("taken"));
    }
    assert!(file.push(&kept(2, vec![2, b'a'])).expect("taken"));
    let (file, rows) = File::read(file.finish().expect("written")).expect("ours");
    let words: Vec<_> = rows.iter().map(|row| file.json(row)).collect();
    assert_eq!(words.last().map(String::as_str), Some(r#"{"word":"a"}"#));
    assert!(words[..4].iter().all(|empty| empty == r#"{"word":null}"#));
}
