//! What `simulate --model` makes: without dirt all of it is accepted, with dirt exactly that is rejected which was planted.

use super::real::{rows, selected};
use crate::cli::deltamart;
use crate::dice::Dice;
use crate::model::{has, says};
use crate::support;
use deltamart::model::shipped::SHIPPED;
use serde_json::Value as Json;
use std::path::Path;

const CLEAN: [&str; 2] = ["--set", "simulate.malformed_permille=0"];

/// The line of JSON that a command prints.
fn told(folder: &Path, arguments: &[&str]) -> Json {
    let output = deltamart(folder, &[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn number(told: &Json, of: &str) -> u64 {
    told[of].as_u64().unwrap_or_else(|| panic!("`{of}` is missing: {told}"))
}

fn count(folder: &Path, warehouse: &str, table: &str) -> u64 {
    selected(folder, warehouse, &format!("SELECT count(*) || '' FROM {table}")).parse().expect("a number")
}

/// Makes events, reads them, and compares what was planted with what was found; the events' table is named so.
fn is_as_planted(at: &Path, model: &str, family: &str, (out, format): (&str, &str), more: &[&str]) {
    let simulate = ["simulate", "--model", model, "--out", out, "--format", format];
    let made = told(at, &[&simulate[..], more].concat());
    let ending = if format == "csv" { "csv" } else { "jsonl" };
    let (file, warehouse) = (format!("{family}={out}/{family}.{ending}"), format!("{out}.db"));
    let read = told(at, &["run", &file, "--model", model, "--warehouse", &warehouse, "--accept-rejects"]);
    let records = number(&made, "records");
    assert_eq!(
        (number(&read, "records"), number(&read, "rejected")),
        (records, number(&made, "malformed")),
        "{more:?}"
    );
    assert_eq!(count(at, &warehouse, family), records - number(&made, "malformed"), "{more:?}");
    // The first events of all are in time, however old: nothing is before them.
    let (late, too_late) = (number(&read, "late"), number(&made, "too_late"));
    assert!(late <= too_late && late * 10 >= too_late * 8, "{late} late, {too_late} too late: {more:?}");
    has(&says(at, 0, &["verify", "--model", model, "--warehouse", &warehouse]), &["0 differ"]);
}

#[test]
fn clean_events_of_shipped_models_are_accepted_and_planted_dirt_is_rejected() {
    for shipped in SHIPPED {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let family = shipped.files.iter().find_map(|(file, _)| file.strip_suffix(".toml")).expect("a family");
        let clean = [&CLEAN[..], &["--events", "20000"]].concat();
        is_as_planted(at, shipped.name, family, ("clean", "json"), &clean);
        assert_eq!(count(at, "clean.db", "rejected_events"), 0);
        let dirt =
            ["--events", "20000", "--set", "simulate.malformed_permille=50", "--set", "simulate.too_late_permille=10"];
        is_as_planted(at, shipped.name, family, ("dirty", "json"), &dirt);
        assert!((700..1_300).contains(&count(at, "dirty.db", "rejected_events")));
        let reasons = selected(at, "dirty.db", "SELECT count(DISTINCT reason || detail) || '' FROM rejected_events");
        assert!(reasons.parse::<u64>().expect("a number") > 5, "{reasons} kinds");
    }
}

#[test]
fn a_simulated_store_is_the_same_as_csv_and_repetitions_are_equal_in_every_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for (out, format) in [("json", "json"), ("csv", "csv")] {
        let more = [
            "--events",
            "20000",
            "--set",
            "simulate.malformed_permille=20",
            "--set",
            "simulate.duplicate_permille=100",
        ];
        is_as_planted(at, "store", "store_events", (out, format), &more);
    }
    for table in ["product_sales", "customer_daily_metrics", "customer_lifetime_value", "hourly_activity"] {
        assert_eq!(rows(at, "json.db", table), rows(at, "csv.db", table), "{table}");
    }
    let events = "SELECT DISTINCT event_type, event_time, product_id, category_id, category_code, brand, price, user_id, \
                  user_session FROM store_events";
    let made = told(
        at,
        &[
            "simulate",
            "--model",
            "store",
            "--out",
            "again",
            "--events",
            "20000",
            CLEAN[0],
            CLEAN[1],
            "--set",
            "simulate.duplicate_permille=100",
            "--set",
            "simulate_model.refund_permille=200",
        ],
    );
    told(at, &["batch", "again/store_events.jsonl", "--model", "store", "--warehouse", "again.db"]);
    let repeated = number(&made, "repeated");
    assert!((1_500..2_500).contains(&repeated), "{repeated}");
    assert_eq!(count(at, "again.db", &format!("({events})")), 20_000 - repeated);
    // The rates are those that are set, and there is something of everything.
    let share = |such: &str| count(at, "again.db", &format!("store_events WHERE {such}"));
    for (such, least, most) in [
        ("category_code = 'unknown'", 5_000, 8_000),
        ("brand = 'unknown'", 2_000, 4_000),
        ("event_type = 'purchase' AND price < 0", 1, 200),
        ("event_type = 'remove_from_cart'", 20, 300),
        ("event_type = 'view'", 17_500, 19_500),
        ("price = 0", 1, 200),
        ("user_session = ''", 1, 100),
    ] {
        let share = share(such);
        assert!((least..most).contains(&share), "{such}: {share}");
    }
    let moved = "(SELECT product_id FROM store_events GROUP BY product_id HAVING count(DISTINCT category_id) > 1)";
    assert!(count(at, "again.db", moved) > 10, "products that change their category");
}

#[test]
fn the_same_seed_makes_the_same_events_and_another_one_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for shipped in SHIPPED {
        let bytes = |out: &str, seed: &str| {
            let made =
                told(at, &["simulate", "--model", shipped.name, "--out", out, "--events", "2000", "--seed", seed]);
            std::fs::read(at.join(made["files"][0].as_str().expect("a file"))).expect("reads")
        };
        let first = bytes("first", "1");
        assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 2_000);
        assert!(first == bytes("second", "1") && first != bytes("third", "2"), "{}", shipped.name);
    }
    let text = says(at, 2, &["simulate", "--model", "media", "--out", "csv", "--format", "csv"]);
    has(&text, &["events of `customer_events` have lists in them", "write them as JSON"]);
    has(&says(at, 2, &["simulate", "--model", "store"]), &["where are the events to be written: `--out DIR`"]);
    has(&says(at, 2, &["simulate", "--out", "shop", "--format", "csv"]), &["those of the movie shop are JSON"]);
}

/// A family of any kind: columns with limits, words, other names, and nothing.
fn family(dice: &mut Dice) -> String {
    let person = ["integer", "text"][dice.of(2) as usize];
    let least = if person == "integer" { "min = 1, " } else { "" };
    let mut toml = format!(
        "doc = \"One row per event.\"\ntime = \"at_time\"\nperson = \"who\"\n{}[columns]\n\
         at_time = {{ type = \"instant\", from = [\"meta.ts\", \"ts\"], doc = \"When, UTC.\" }}\n\
         who = {{ type = \"{person}\", {least}doc = \"Who.\" }}\n",
        dice.one(&["", "once = \"everything\"\n", "lateness = \"3h\"\n"]),
    );
    for n in 0..dice.of(8) {
        let (ty, limits): (&str, &[&str]) = match dice.of(6) {
            0 => ("integer", &["", "min = 5, ", "max = -5, ", "min = -3, max = 3, ", "min = 7, max = 7, "]),
            1 => ("money", &["", "min = \"0.50\", ", "max = \"-0.01\", ", "min = 0, max = \"9.99\", "]),
            2 => ("decimal", &["", "min = \"0.125\", max = \"0.250\", "]),
            3 => ("boolean", &[""]),
            4 => ("instant", &[""]),
            _ => (
                "text",
                &[
                    "",
                    "case = \"upper\", ",
                    "one_of = [\"a\", \"it's, \\\"b\\\"\"], as = { c = \"a\" }, ",
                    "one_of = [\"x\"], ",
                ],
            ),
        };
        let limits = dice.one(limits).to_owned();
        let empty = if dice.of(2) == 0 { "null = true, " } else { "" };
        let from = dice.one(&["", "from = \"meta.deep.F\", ", "from = \"in.F\", "]).replace('F', &format!("f{n}"));
        toml += &format!("c{n} = {{ type = \"{ty}\", {limits}{empty}{from}doc = \"It, UTC.\" }}\n");
    }
    toml
}

#[test]
fn events_of_any_family_are_drawn_as_its_file_says() {
    let seeds = if support::is_sweep() { support::histories(1) } else { 12 };
    for seed in 0..u64::from(seeds) {
        let mut dice = Dice::of_seed(seed);
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        std::fs::create_dir(at.join("model")).expect("makes it");
        let toml = family(&mut dice);
        std::fs::write(at.join("model/things.toml"), &toml).expect("writes");
        let metric = "-- One row per day.\nSELECT date_trunc('day', at_time) AS day, count(*) AS things, \
                      count(DISTINCT who) AS persons FROM things GROUP BY day\n";
        std::fs::write(at.join("model/things_by_day.sql"), metric).expect("writes");
        println!("seed {seed}\n{toml}");
        let forms = if dice.of(2) == 0 { ["json", "csv"] } else { ["csv", "json"] };
        let clean = [&CLEAN[..], &["--events", "500"]].concat();
        is_as_planted(at, "model", "things", ("clean", forms[0]), &clean);
        let dirty = ["--events", "500", "--set", "simulate.malformed_permille=200"];
        is_as_planted(at, "model", "things", ("dirty", forms[1]), &dirty);
    }
}
