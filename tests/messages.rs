//! What is rejected or refused says why: which words, for each mistake that is known.

use crate::cli::{deltamart, said};
use crate::lines::{file, gzip};
use dataflows::table::TableId;
use deltamart::accept::accept;
use deltamart::decode::Format;
use deltamart::families::TOPICS;
use deltamart::instant;
use deltamart::rules::Rules;
use deltamart::sink::sqlite::Sqlite;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::path::Path;

/// Words that only who wrote this program knows.
const OURS: [&str; 17] = [
    "i32",
    "i64",
    "u32",
    "u64",
    "f32",
    "f64",
    "usize",
    "Option",
    "Some(",
    "None",
    "struct",
    "enum",
    "visitor",
    "invalid type",
    "invalid value",
    "Err(",
    " at line ",
];

/// The reason and the detail of a line that is rejected by the rules that hold if nobody sets others.
fn rejected(line: &str) -> Option<(&'static str, String)> {
    let clock = instant::parse("2026-02-01").expect("an instant");
    let judged = accept(&Format::Json(None), line.as_bytes(), &Rules::default(), clock);
    judged.err().map(|why| (why.reason.code(), why.detail))
}

/// Each line of `messages/rejected.txt`: in exactly these words.
#[test]
fn every_mistake_is_told_in_these_words() {
    let page = include_str!("messages/rejected.txt");
    let mut count = 0;
    for case in page.split("\n\n").skip(1) {
        let [line, reason, detail] = case.trim_end().split("\n  ").collect::<Vec<_>>()[..] else { panic!("{case}") };
        assert_eq!(rejected(line), Some((reason, detail.to_owned())), "{line}");
        count += 1;
    }
    assert!(count > 70, "only {count} lines were found");
}

/// A good event of each topic.
fn samples() -> Vec<Json> {
    let with = |name: &str, more: Json| {
        let mut event = json!({"event_name": name, "timestamp": "2026-01-05T10:00:00Z", "user_id": 1001});
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        event
    };
    let cart = "3f0c2a4e-9a51-4c53-8a0e-6d1c5f6a7b01";
    let lists = json!({"item_id": "7", "title": "A", "price": 9.99, "studio": "S", "actors": ["A"], "attributes": {}});
    vec![
        with(
            "consumer_registration",
            json!({"age": 30, "masked_email": "****@mail.example", "preferred_language": "geo"}),
        ),
        with("sign_in", json!({})),
        with("sign_out", json!({})),
        with("item_view", json!({"item_id": "7"})),
        with("added_to_cart", json!({"item_id": "7", "cart_id": cart})),
        with("checkout_to_cart", json!({"payment_method": "Card", "cart_id": cart})),
        with("purchase", json!({"movie_id": "7", "purchase_amount": 9.99})),
        with("item_rating", json!({"item_id": "7", "rating": 5})),
        with("movies_catalog_enriched", lists),
    ]
}

/// Any text, with what is hard to show.
fn text() -> impl Strategy<Value = String> {
    let hard = "[\u{0}-\u{1f}\"\\\\\u{7f}-\u{a0}\u{200b}-\u{202e}\u{feff}\u{10ff00}-\u{10ffff}]{0,100}";
    prop_oneof![
        any::<String>(),
        hard,
        "[a-z]{0,400}",
        "-?[0-9]{1,30}(\\.[0-9]{1,3})?",
        Just("jane.doe@mail.example".to_owned())
    ]
}

/// Any value of JSON.
fn value() -> impl Strategy<Value = Json> {
    let single = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        (-10i64..200).prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    single.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            prop::collection::hash_map(text(), inner, 0..8).prop_map(|all| all.into_iter().collect()),
        ]
    })
}

/// `detail` without `\u{10ff32}`, in which `f32` is no word.
fn without_numbers_of_letters(detail: &str) -> String {
    let mut parts = detail.split("\\u{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| told + part.split_once('}').map_or(part, |(_, behind)| behind))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    /// Whatever stands in a field of whatever event: who wrote it is told which field that is, on one short line, in
    /// words that are theirs.
    #[test]
    fn any_value_in_any_field_is_told_by_its_field(
        sample in 0usize..9,
        place in any::<prop::sample::Index>(),
        value in value(),
    ) {
        let mut event = samples().swap_remove(sample);
        let fields = event.as_object_mut().expect("an object");
        let field = fields.keys().nth(place.index(fields.len())).expect("a field").clone();
        fields[&field] = value.clone();
        if let Some((reason, detail)) = rejected(&event.to_string()) {
            prop_assert!(detail.contains(&format!("`{field}`")), "{reason}: {detail}");
            prop_assert!(detail.chars().count() <= 300, "{} characters: {detail}", detail.chars().count());
            prop_assert!(!detail.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{detail:?}");
            prop_assert!(!detail.contains("jane.doe"), "{detail}");
            // What was given is shown, and may hold such words; so may the number of a letter that cannot be shown.
            let given = value.to_string();
            let said = without_numbers_of_letters(&detail);
            for ours in OURS.iter().filter(|ours| !given.contains(**ours)) {
                prop_assert!(!said.contains(ours), "`{ours}` is in: {detail}");
            }
        }
    }
}

#[test]
fn every_sample_is_good() {
    let samples = samples();
    assert_eq!(samples.len(), TOPICS.len());
    for sample in samples {
        assert_eq!(rejected(&sample.to_string()), None, "{sample}");
    }
}

/// The refusal of a file that is not a file of events, whole, and nothing else is said.
#[test]
fn every_foreign_file_is_refused_in_these_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = |head: &[u8]| [head, &[7, 0, 3, 200, 9]].concat();
    let read = |name: &str| std::fs::read(file(name)).expect("readable");
    const EVENTS: &str = "; expected events as lines of JSON, plain or packed with gzip.\nWhat to do: ";
    const EXPORT: &str = "export its rows as lines of JSON, one object a line";
    for (name, content, what, way) in [
        ("events.zip", read("events.zip"), "a zip archive", "unzip -p events.zip > events.jsonl"),
        ("events.jsonl.bz2", read("events.jsonl.bz2"), "packed with bzip2", "bzcat events.jsonl.bz2 > events.jsonl"),
        ("events.jsonl.xz", read("events.jsonl.xz"), "packed with xz", "xzcat events.jsonl.xz > events.jsonl"),
        (
            "events.jsonl.zst",
            bytes(&[0x28, 0xB5, 0x2F, 0xFD]),
            "packed with zstd",
            "zstdcat events.jsonl.zst > events.jsonl",
        ),
        (
            "events.csv",
            read("events.csv"),
            "a table with separated columns (CSV)",
            "turn it into lines of JSON (`mlr --icsv --ojsonl cat`, with `--itsv` for tabs), its columns named as the fields \
             of the events",
        ),
        ("array.json", read("array.json"), "a JSON array", "jq -c '.[]' < array.json > array.jsonl"),
        (
            "pretty.json",
            read("pretty.json"),
            "pretty-printed JSON, an object over several lines",
            "jq -c . < pretty.json > pretty.jsonl",
        ),
        ("events.parquet", bytes(b"PAR1"), "a Parquet file", EXPORT),
        ("events.avro", bytes(b"Obj\x01"), "an Avro file", "avro-tools tojson events.avro > events.jsonl"),
        (
            "twice.gz",
            gzip(&gzip(b"{}\n")),
            "packed with gzip twice, packed with gzip",
            "gzip -dc twice.gz | gzip -dc > twice.jsonl",
        ),
        (
            "movies.txt",
            read("reviews.txt"),
            "a list of reviews (`movies.txt` of SNAP), which has only its name in common with a catalog",
            "reviews name no prices: the catalog that is read has blocks of `ITEM <number>` and lines such as \
             `ListPrice=999USD$9.99`",
        ),
        (
            "Movies.txt",
            b"item 4\nTitle=A\n".to_vec(),
            "a catalog, and no events",
            "give it as the catalog, with `--catalog`",
        ),
    ] {
        std::fs::write(folder.path().join(name), content).expect("written");
        let (code, text) = said(&deltamart(folder.path(), &["run", name]));
        assert_eq!(code, Some(2), "{text}");
        let expected = format!("file `{name}` is {what}{EVENTS}{way}\n");
        assert!(text.ends_with(&expected), "{text}\n--- expected at its end\n{expected}");
    }
}

/// What is read, though others could not: no word is lost on it.
#[test]
fn what_can_be_read_is_read() {
    let good = |user_id: u32| {
        format!("{{\"event_name\":\"sign_in\",\"timestamp\":\"2026-01-05T10:00:00Z\",\"user_id\":{user_id}}}")
    };
    let utf16: Vec<u8> = format!("\u{feff}{}\n", good(1)).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, Vec<u8>, usize); 5] = [
        ("utf-16.jsonl", utf16, 1),
        ("firehose.jsonl", format!("{}{}\n", good(1), good(2)).into_bytes(), 2),
        ("half.jsonl", format!("{}\n{}", good(1), &good(2)[..30]).into_bytes(), 1),
        ("empty.jsonl.gz", gzip(b""), 0),
        ("blank.jsonl", b"\n\n".to_vec(), 0),
    ];
    for (name, content, records) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), content).expect("written");
        let (code, text) = said(&deltamart(folder.path(), &["run", name]));
        assert!(code == Some(0) && text.contains(&format!("{records} record")), "{name}: {text}");
        assert_eq!(rows(folder.path(), "rejected_events"), 0, "{name}: {text}");
    }
}

fn rows(folder: &Path, table: &str) -> i64 {
    let table: TableId = crate::support::table(table);
    let warehouse = Sqlite::open_to_read(deltamart::families::all(), &folder.join("deltamart.db")).expect("opens");
    warehouse.count(table.table()).expect("counted").unwrap_or_default() as i64
}

/// A broker that cannot be one is refused at once, with the setting.
#[test]
fn a_broker_without_a_port_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (brokers, why) in [("localhost", "`localhost` has no port"), ("127.0.0.1:1,", "names nothing")] {
        let run = ["run", "--brokers", brokers, "--registry", "http://127.0.0.1:2"];
        let (code, text) = said(&deltamart(folder.path(), &run));
        assert_eq!(code, Some(2), "{text}");
        for part in
            ["setting `kafka.brokers`: ", why, "expected `host:port`, several by commas, such as 127.0.0.1:9092"]
        {
            assert!(text.contains(part), "`{part}` is missing: {text}");
        }
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "something was made");
}
