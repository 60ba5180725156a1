//! What must stay together stays together.

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
        if table.kind == Kind::Upsert {
            assert!(METRICS.iter().any(|(metric, _)| metric == id), "`{}` has no SQL", table.name);
            assert!(root().join("tests/cases").join(table.name).is_dir(), "`{}` has no cases", table.name);
        }
    }
}

#[test]
fn every_schema_is_shipped_documented_and_used() {
    let files = std::fs::read_dir(root().join("schemas/events")).expect("schemas");
    assert_eq!(files.count(), TOPICS.len());
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
    for entry in std::fs::read_dir(root().join("dataflows")).expect("dataflows") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("readable");
            for banned in ["std::fs", "std::net", "std::thread", "SystemTime", "std::env", "println!"] {
                assert!(!text.contains(banned), "{} uses {banned}", path.display());
            }
        }
    }
    let manifest = read("dataflows/Cargo.toml");
    let dependencies: Vec<_> =
        manifest.split("[dependencies]").nth(1).expect("section").lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        dependencies,
        ["timely.workspace = true", "differential-dataflow.workspace = true", "serde.workspace = true"]
    );
}
