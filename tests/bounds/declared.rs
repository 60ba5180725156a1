//! Records that nobody means well with, for a declared family, in every format: each is accepted or rejected for a reason
//! that is known, and nothing stops. `DELTAMART_HOSTILE_RECORDS` asks for more of them.

use super::fuzz::Random;
use crate::kafka::stack::long;
use dataflows::declared::family::Made;
use dataflows::declared::reading::Reader;
use dataflows::family::{Family, FamilyId};
use deltamart::accept::judge;
use deltamart::decode::avro::{Schemas, Writer, header};
use deltamart::decode::csv::{Csv, texts};
use deltamart::decode::{Format, Reason};
use deltamart::model::events;
use deltamart::rules::Rules;
use deltamart::source::lines::{Extent, Lines};
use std::collections::BTreeMap;
use std::io::Write;

/// How many, of all formats together.
const RECORDS: usize = 200_000;

const PLAYS: &str = "doc = \"One row per play.\"
time = \"at_time\"
person = \"listener\"
[columns]
at_time = { type = \"instant\", from = [\"at\", \"ts\"], doc = \"When it began, UTC.\" }
listener = { type = \"integer\", min = 1, max = 9000000000, doc = \"Who listened.\" }
title = { type = \"text\", empty = \"?\", doc = \"What was played.\" }
device = { type = \"text\", from = \"device.type\", case = \"lower\", one_of = [\"tv\", \"web\"], null = true, doc = \"On what.\" }
paid = { type = \"money\", null = true, doc = \"What was paid, in dollars.\" }
score = { type = \"decimal\", empty = 0, doc = \"How it was liked.\" }
is_trial = { type = \"boolean\", empty = false, doc = \"Whether it was a trial.\" }
";

const SCHEMA: &str = r#"{"type":"record","name":"Play","fields":[
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"listener","type":["null","long","string","double"]},
    {"name":"title","type":["null","string","bytes"]},
    {"name":"device","type":["null",{"type":"record","name":"Device","fields":[{"name":"type","type":"string"}]}]},
    {"name":"paid","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":2}},
    {"name":"score","type":["double","float","string"]},
    {"name":"is_trial","type":["boolean","int"]},
    {"name":"rest","type":{"type":"map","values":{"type":"array","items":"long"}}}]}"#;

/// Makes a record.
type Make = fn(&mut Random) -> Vec<u8>;

/// The names of the fields, in the order of the header.
const FIELDS: [&str; 8] = ["at", "listener", "title", "device.type", "paid", "score", "is_trial", "event_name"];

/// Values as JSON has them; the good ones of a field first.
const GOOD: [&[&str]; 8] = [
    &["\"2026-01-05T10:00:00Z\"", "1767607260000"],
    &["7", "\"8\"", "9.0"],
    &["\"Metropolis\"", "\"\"", "null"],
    &["\"tv\"", "\"WEB\""],
    &["3.99", "\"-1.00\"", "null"],
    &["1.5", "\"0.125\""],
    &["true", "0", "\"false\""],
    &["\"plays\"", "null"],
];

const BAD: [&str; 34] = [
    "1e999",
    "-1e-999",
    "99999999999999999999999999999999",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1767607260",
    "1767607260000000",
    "-0.0",
    "0.1234567890123456789",
    "1e18",
    "NaN",
    "-Infinity",
    "True",
    "[]",
    "[[[[[[[[1]]]]]]]]",
    "{}",
    "{\"type\":{\"type\":{}}}",
    "[{\"type\":\"tv\"}]",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"jane.doe@mail.example\"",
    "\"a\\\"b,c\\nd\\te\"",
    "\"2026-02-30\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59Z\"",
    "\"１２\"",
    "\"\u{202e}tv\"",
    "\" 7 \"",
    "\"--7\"",
    "\"$1,000,000.99\"",
    "\"İ\"",
    "\"fridge\"",
    "'x'",
];

const PIECES: [&[u8]; 18] = [
    b"\"",
    b"\"\"",
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xFF\xFE",
    b"\xEF\xBB\xBF",
    b"\xED\xA0\x80",
    b"{",
    b"}",
    b"[[[[",
    b"\\",
    b"\\u00",
    b":",
    b"null",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
];

/// A place of all, mostly one of the first.
fn mostly(first: usize, all: usize, random: &mut Random) -> usize {
    let below = if random.below(9) == 0 { all } else { first };
    random.below(below)
}

fn value(field: usize, random: &mut Random) -> &'static str {
    let of = |all: &[&'static str], random: &mut Random| all[random.below(all.len())];
    if random.below(12) == 0 { of(&BAD, random) } else { of(GOOD[field], random) }
}

/// Changes some of the bytes, of one record in three.
fn damaged(mut record: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let edits = if random.below(3) == 0 { 1 + random.below(3) } else { 0 };
    for _ in 0..edits {
        let at = random.below(record.len());
        let end = at + random.below(record.len() - at).min(12);
        match random.below(4) {
            0 => drop(record.drain(at..end)),
            1 => record.truncate(at),
            2 if !record.is_empty() => record[at] = random.below(256) as u8,
            _ => drop(record.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
        }
    }
    record
}

fn json(random: &mut Random) -> Vec<u8> {
    let mut fields = Vec::new();
    for (place, name) in FIELDS.iter().enumerate() {
        let value = value(place, random);
        let field = match name.split_once('.') {
            Some((outer, _)) if random.below(9) == 0 => format!("\"{outer}\":{value}"),
            Some((outer, inner)) => format!("\"{outer}\":{{\"{inner}\":{value}}}"),
            None => format!("\"{name}\":{value}"),
        };
        match random.below(40) {
            0 => {}
            // Twice there.
            1 => fields.extend([field.clone(), field]),
            2 => fields.insert(0, field),
            _ => fields.push(field),
        }
    }
    damaged(format!("{{{}}}", fields.join(",")).into_bytes(), random)
}

fn csv(random: &mut Random) -> Vec<u8> {
    let field = |place: usize, random: &mut Random| {
        let value = value(place, random);
        let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.replace("null", ""));
        match random.below(6) {
            0 => format!("\"{}\"", text.replace('"', "\"\"")),
            _ => text,
        }
    };
    let mut fields: Vec<_> = (0..FIELDS.len()).map(|place| field(place, random)).collect();
    match random.below(40) {
        0 => drop(fields.pop()),
        1 => fields.push(String::new()),
        _ => {}
    }
    damaged(fields.join(",").into_bytes(), random)
}

fn avro(random: &mut Random) -> Vec<u8> {
    let bytes = |text: &[u8]| [long(text.len() as i64), text.to_vec()].concat();
    let numbers = [7, 8, 9, 0, -1, i64::MAX, i64::MIN, 1 << 53];
    let number = |random: &mut Random| numbers[mostly(3, 8, random)];
    let text = |random: &mut Random| {
        let all: [&[u8]; 8] = [b"tv", b"WEB", b"7", b"1.5", b"", b"jane@mail.example", b"a\0b", "İ".as_bytes()];
        bytes(all[mostly(3, 8, random)])
    };
    let doubles = [1.5, 7.0, f64::NAN, f64::INFINITY, 1e300, 0.1 + 0.2, -0.0];
    let double = |random: &mut Random| doubles[mostly(2, 7, random)];
    let listener = match random.below(12) {
        0 => long(0),
        1 => [long(2), text(random)].concat(),
        2 => [long(3), double(random).to_le_bytes().to_vec()].concat(),
        _ => [long(1), long(number(random))].concat(),
    };
    let title = match random.below(9) {
        0 => long(0),
        1 => [long(2), bytes(b"\xff\xfe")].concat(),
        _ => [long(1), text(random)].concat(),
    };
    let device = if random.below(4) == 0 {
        long(0)
    } else {
        [long(1), bytes([&b"tv"[..], b"Web", b"TV", b"fridge"][random.below(4)])].concat()
    };
    let score = match random.below(4) {
        0 => [long(1), 1.5_f32.to_le_bytes().to_vec()].concat(),
        1 => [long(2), bytes(b"2.5")].concat(),
        _ => [long(0), double(random).to_le_bytes().to_vec()].concat(),
    };
    let trial = if random.below(3) == 0 {
        [long(1), long(random.below(3) as i64)].concat()
    } else {
        [long(0), vec![1]].concat()
    };
    let at = if random.below(20) == 0 { number(random) } else { 1_767_607_260_000_000 + number(random).min(9) };
    let amounts: [&[u8]; 5] = [&[1, 143], &[255], &[0; 20], &[127; 17], b""];
    let paid = bytes(amounts[mostly(1, 5, random)]);
    let datum = [long(at), listener, title, device, paid, score, trial, long(0)].concat();
    let damaged = damaged(datum, random);
    let id = if random.below(50) == 0 { random.below(9) as u32 } else { 7 };
    let mut record = [&header(id)[..], &damaged].concat();
    if random.below(50) == 0 {
        record.drain(..random.below(6));
    }
    record
}

/// The family, and the names of its fields.
fn made() -> &'static Made {
    let events = events::read("plays", PLAYS).expect("a family");
    let (time, person) = (events.family.time, events.family.person);
    let reader = Reader::of("plays", events.readings, time, person).expect("no field is read twice");
    Made::leaked(events.family, Vec::new(), Box::leak(Box::new(reader)))
}

#[test]
fn hostile_records_of_a_declared_family_are_accepted_or_rejected() {
    let asked = std::env::var("DELTAMART_HOSTILE_RECORDS").ok().and_then(|number| number.parse().ok());
    let each = asked.unwrap_or(RECORDS) / 3;
    let made = made();
    let (rules, mut random) = (Rules::default(), Random::new(0x9e37_79b9));
    let known: Vec<&str> = Reason::KERNEL.iter().copied().chain(made.reasons()).map(Reason::code).collect();
    let schemas = Schemas::default();
    schemas.insert(7, Writer::parse(SCHEMA));
    let header: Vec<String> = FIELDS.map(str::to_owned).to_vec();
    let formats: [(&str, Format, Make); 3] = [
        ("JSON", Format::Json(None), json),
        ("CSV", Format::Csv(Csv::new(b',', &header, made.names())), csv),
        ("Avro", Format::Avro("plays", schemas), avro),
    ];
    for (name, format, record) in formats {
        let mut said = BTreeMap::<&str, usize>::new();
        for _ in 0..each {
            let record = record(&mut random);
            let judged = judge(FamilyId(made), &format, (&record, record.len() as u64), &rules, i64::MAX);
            let reason = judged.map_or_else(|rejection| rejection.reason.code(), |()| "accepted");
            // What is kept of separated values is judged as they were.
            if let Format::Csv(csv) = &format
                && let Some(json) = csv.json(&record)
            {
                let again = judge(FamilyId(made), &Format::Json(None), (&json, json.len() as u64), &rules, i64::MAX);
                assert_eq!(
                    again.map_or_else(|rejection| rejection.reason.code(), |()| "accepted"),
                    reason,
                    "{record:?}"
                );
            }
            assert!(reason == "accepted" || known.contains(&reason), "{reason}: {}", String::from_utf8_lossy(&record));
            *said.entry(reason).or_default() += 1;
        }
        println!("{name}: {each} records, {said:?}");
        assert_eq!(said.values().sum::<usize>(), each, "each is somewhere");
        assert!(said["accepted"] > each / 10 && said["accepted"] < each, "{name}: {said:?}");
        for reason in ["undecodable", "bad_number", "out_of_range", "not_one_of"] {
            assert!(said.contains_key(reason), "{name}: none was {reason}: {said:?}");
        }
    }
}

/// Whatever stands in a file, its records are found, and each is as long as it may be.
#[test]
fn hostile_separated_values_of_a_file_are_all_there() {
    let mut random = Random::new(0x2545_f491);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hostile.csv");
    let mut text = FIELDS.join(",").into_bytes();
    for _ in 0..RECORDS / 10 {
        text.push(b'\n');
        text.extend(csv(&mut random));
    }
    std::fs::File::create(&path).expect("makes it").write_all(&text).expect("writes");
    let mut lines = Lines::sample(&path).expect("a table");
    assert_eq!(lines.separator(), Some(b','));
    let (mut bytes, mut line, mut last, mut whole, mut read) = (0, Vec::new(), 0, 0, 0);
    while let Some(found) = lines.read(&mut line).expect("it can be read") {
        assert!(found.extent == Extent::Whole && found.number > last, "{found:?} behind {last}");
        last = found.number;
        (bytes, read) = (bytes + line.len() + 1, read + 1);
        whole += usize::from(texts(&line, b',').is_some_and(|values| values.len() == FIELDS.len()));
        line.clear();
    }
    // Line ends of two bytes and marks between records are no part of any.
    assert!(bytes <= text.len() + 1 && bytes > text.len() - text.len() / 50, "{bytes} of {}", text.len());
    assert!(last <= 1 + memchr::memchr_iter(b'\n', &text).count() as i64, "{last}");
    assert!(whole > RECORDS / 10 / 3 && read > whole, "{whole} of {read}");
}
