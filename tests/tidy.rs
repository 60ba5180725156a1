//! What must stay together stays together.

/// A module and what it is made of name each other, and no others do.
mod circles;

use dataflows::events::EventName;
use dataflows::shop::events::FAMILY;
use dataflows::table::{Kind, Role};
use deltamart::families::{TOPICS, all};
use deltamart::simulate::{SAMPLE, items::movies_txt};
use std::collections::BTreeSet;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_upsert_table_has_its_sql_its_cases_and_its_line_in_the_readme() {
    for id in all().tables() {
        let table = id.table();
        assert!(read("README.md").contains(&format!("`{}`", table.name)), "README.md misses `{}`", table.name);
        // What is counted of what comes has no SQL: `tests/quality.rs` counts it anew.
        if table.kind() == Kind::Upsert && table.role != Role::Tally {
            assert!(all().metrics().iter().any(|(metric, _)| metric == id), "`{}` has no SQL", table.name);
            assert!(root().join("tests/cases").join(table.name).is_dir(), "`{}` has no cases", table.name);
        }
    }
}

#[test]
fn every_schema_is_shipped_documented_and_used() {
    let files = std::fs::read_dir(root().join("schemas/events")).expect("schemas");
    assert_eq!(files.count(), TOPICS.len());
    for event in EventName::ALL {
        assert_eq!(TOPICS.iter().filter(|topic| topic.event == event.as_str()).count(), 1, "topics of {event:?}");
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
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if is_test {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                files += 1;
                // Time comes in as an event's or an epoch's, never from a clock.
                for banned in ["std::fs", "std::net", "std::thread", "std::time", "std::env", "println!", "::now()"] {
                    assert!(!text.contains(banned), "{} uses {banned}", path.display());
                }
            }
        }
    }
    assert!(files > 40, "only {files} files of the core were read");
    let manifest = read("dataflows/Cargo.toml");
    let section = manifest.split("[dependencies]").nth(1).expect("section").split("[dev-dependencies]").next();
    let dependencies: Vec<_> = section.expect("it").lines().filter(|line| line.contains('=')).collect();
    assert_eq!(
        dependencies,
        [
            "timely",
            "differential-dataflow",
            "serde",
            "postcard",
            "serde_json",
            "chrono",
            "humantime",
            "uuid",
            "smallvec"
        ]
        .map(|name| format!("{name}.workspace = true"))
    );
}

/// Where a family is still named by what is of every family.
const NAMES_ONE: [&str; 2] = [
    // The catalog's own format.
    "src/decode/movies_txt.rs",
    // Where the events used to be, for those who look for them there.
    "dataflows/events.rs",
];

/// The kernel, and everything that a family is added to, names none: by the names that the families have themselves.
#[test]
fn what_is_of_every_family_names_none() {
    let columns = all().tables().iter().flat_map(|id| id.table().columns.iter().map(|column| column.name));
    let of_all = ["rejected_events", "late_events", "quality"].map(|name| all().by_name(name).expect("of all"));
    let of_all = of_all.iter().flat_map(|id| id.table().columns.iter().map(|column| column.name));
    let of_all: Vec<_> =
        of_all.chain(["rejected_events", "late_events", "quality", "event_name", "attributes"]).collect();
    let events = FAMILY.pages().map(|page| page.topic.event);
    let names = all().tables().iter().map(|id| id.name()).chain(events).chain(FAMILY.names().all());
    let names: BTreeSet<_> = names.filter(|name| !of_all.contains(name)).collect();
    let columns: BTreeSet<_> = columns.filter(|name| !of_all.contains(name)).collect();
    assert!(names.len() > 40 && columns.len() > 50, "{names:?}, {columns:?}");
    let own = ["engine", "commit", "recovery", "state_dir", "sink", "source", "kafka", "decode", "reconcile", "kept"];
    let mut files: Vec<_> = own.iter().map(|own| root().join(format!("src/{own}.rs"))).collect();
    let mut folders: Vec<_> = own.iter().map(|own| root().join("src").join(own)).collect();
    let kernel = std::fs::read_dir(root().join("dataflows")).expect("a folder");
    let kernel = kernel.map(|entry| entry.expect("entry").path()).filter(|path| !path.ends_with("shop.rs"));
    files.extend(kernel.filter(|path| path.extension().is_some_and(|extension| extension == "rs")));
    folders.extend(["dataflows/operators", "dataflows/wire"].map(|folder| root().join(folder)));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let is_spared = |path: &&std::path::PathBuf| NAMES_ONE.iter().any(|spared| path.ends_with(spared));
    assert_eq!(files.iter().filter(is_spared).count(), NAMES_ONE.len());
    let mut read = 0;
    for path in files.iter().filter(|path| path.exists() && !is_spared(path)) {
        let text = std::fs::read_to_string(path).expect("readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        read += 1;
        assert!(!code.contains("shop::"), "{} names the shop", path.display());
        let words = code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '"');
        for word in words {
            // A name of one word is one only where it is quoted, and so is a column: others may have a field of its name.
            let name = word.trim_matches('"');
            let is_quoted = word.len() == name.len() + 2;
            let is_one =
                names.contains(name) && (is_quoted || name.contains('_')) || columns.contains(name) && is_quoted;
            assert!(!is_one, "{} names `{name}`", path.display());
        }
    }
    assert!(read > 100, "only {read} files were read");
}

/// What is of every family names no event and no field of one: those stand in pages.
#[test]
fn what_reads_events_names_none() {
    let events = FAMILY.pages().map(|page| page.topic.event);
    let fields = FAMILY.names().all().filter(|name| !["event_name", "timestamp"].contains(name));
    let words: Vec<_> = events.chain(fields).map(|name| format!("\"{name}\"")).collect();
    assert!(words.len() > 30);
    let mut read = 0;
    let mut folders = vec![root().join("dataflows/wire"), root().join("src/decode")];
    let mut files = vec![root().join("dataflows/wire.rs"), root().join("src/decode.rs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    // The catalog's own format.
    for path in files.iter().filter(|path| !path.ends_with("movies_txt.rs")) {
        let text = std::fs::read_to_string(path).expect("readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        read += 1;
        for word in &words {
            assert!(!code.contains(word), "{} names {word}", path.display());
        }
    }
    assert!(read > 20, "only {read} files were read");
}
