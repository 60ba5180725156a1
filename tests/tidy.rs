//! What must stay together stays together.

use dataflows::events::EventName;
use dataflows::flow::METRICS;
use dataflows::table::{Kind, TableId};
use deltamart::decode::avro::TOPICS;
use deltamart::simulate::{SAMPLE, items::movies_txt};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_upsert_table_has_its_sql_its_cases_and_its_line_in_the_readme() {
    for id in TableId::ALL {
        let table = id.table();
        assert!(read("README.md").contains(&format!("`{}`", table.name)), "README.md misses `{}`", table.name);
        if table.kind() == Kind::Upsert {
            assert!(METRICS.iter().any(|(metric, _)| metric == id), "`{}` has no SQL", table.name);
            assert!(root().join("tests/cases").join(table.name).is_dir(), "`{}` has no cases", table.name);
        }
    }
}

#[test]
fn every_schema_is_shipped_documented_and_used() {
    let files = std::fs::read_dir(root().join("schemas/events")).expect("schemas");
    assert_eq!(files.count(), TOPICS.len());
    for event in EventName::ALL {
        assert_eq!(TOPICS.iter().filter(|topic| topic.event == *event).count(), 1, "topics of {event:?}");
    }
    for topic in &TOPICS {
        let schema: serde_json::Value = serde_json::from_str(topic.schema).expect("JSON");
        let fields = schema["fields"].as_array().expect("fields");
        assert!(fields.iter().all(|field| field["doc"].as_str().is_some_and(|doc| doc.len() > 3)), "{}", topic.name);
    }
}

#[test]
fn the_sample_is_what_the_generator_makes() {
    assert!(movies_txt(300, 7) == SAMPLE, "make it again: deltamart simulate --out DIR --items 300 --seed 7");
}

#[test]
fn the_core_touches_nothing() {
    let mut files = 0;
    let mut folders = vec![root().join("dataflows")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the core") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                files += 1;
                // Time comes in as an event's or an epoch's, never from a clock.
                for banned in ["std::fs", "std::net", "std::thread", "std::time", "std::env", "println!"] {
                    assert!(!text.contains(banned), "{} uses {banned}", path.display());
                }
            }
        }
    }
    assert!(files > 40, "only {files} files of the core were read");
    let manifest = read("dataflows/Cargo.toml");
    let dependencies: Vec<_> =
        manifest.split("[dependencies]").nth(1).expect("section").lines().filter(|line| line.contains('=')).collect();
    assert_eq!(
        dependencies,
        [
            "timely.workspace = true",
            "differential-dataflow.workspace = true",
            "serde.workspace = true",
            "uuid.workspace = true"
        ]
    );
}
