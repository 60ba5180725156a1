//! The program, and the real events of a store.

use crate::csv::real_events;
use crate::model::{event, has, put, says, store};
use crate::shipped::real::{rows, selected};
use std::fs;
use std::path::Path;

const TABLES: [&str; 9] = [
    "product_sales",
    "revenue_by_category",
    "revenue_by_brand",
    "daily_revenue",
    "customer_daily_metrics",
    "customer_lifetime_value",
    "hourly_activity",
    "funnel_metrics",
    "visits",
];

/// Runs over the folder until nothing is left.
fn run(at: &Path, more: &[&str]) -> String {
    says(at, 0, &[&["run", "--watch", "inbox", "--to-end", "--set", "watch.settle=0s"], more].concat())
}

fn inbox(at: &Path) {
    fs::create_dir(at.join("inbox")).expect("makes it");
}

#[test]
fn the_real_events_of_a_store_are_the_same_from_a_folder() {
    let Some(csv) = real_events() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    inbox(at);
    fs::copy(&csv, at.join("inbox/2019-Oct_head.csv")).expect("copies");
    let text = run(at, &["--model", "store", "-w", "2"]);
    has(&text, &["17,435 records", "1 rejected (undecodable 1)"]);
    assert_eq!(selected(at, "deltamart.db", "SELECT count(*) || '' FROM store_events"), "17434");
    assert_eq!(selected(at, "deltamart.db", "SELECT _offset || '' FROM rejected_events"), "1000017436");
    says(at, 0, &["verify", "--model", "store"]);
    let csv = csv.to_str().expect("a name");
    says(at, 0, &["run", csv, "--model", "store", "--warehouse", "csv.db"]);
    for table in TABLES {
        assert!(rows(at, "deltamart.db", table) == rows(at, "csv.db", table), "{table}");
    }
    assert!(at.join("inbox/archive/0000000001-2019-Oct_head.csv").is_file());
    has(&says(at, 0, &["status", "--model", "store"]), &["inbox/store_events/0: next file 1, line 17,437"]);
    has(&run(at, &["--model", "store"]), &["nothing new"]);
}

const HEADER: &str = "event_type,event_time,product_id,price,user_id,user_session\n";

#[test]
fn what_is_broken_is_set_aside_and_the_rest_goes_on() {
    let folder = store();
    let at = folder.path();
    inbox(at);
    let row = "purchase,2019-10-01 10:00:00 UTC,7,19.99,1,s\n";
    for (name, text) in [
        ("1.csv", format!("{HEADER}{row}")),
        ("2-page.csv", "<html><body>404</body></html>".to_owned()),
        ("3-no-header.csv", row.repeat(2)),
        ("4-cut.csv", format!("{HEADER}{row}purchase,2019-10-01 10:01:00 UTC,7,19.99,1,\"s\n{row}")),
        ("5-nothing.csv", HEADER.to_owned()),
        ("6-nonsense.jsonl", "{\"a\":1}\n".to_owned()),
        ("7-copy.tsv", format!("{HEADER}{row}")),
        ("8.jsonl", event(700, "purchase", 8, "5", 2)),
        ("README.md", "not for us".to_owned()),
    ] {
        put(at, &format!("inbox/{name}"), &text);
    }
    // Packed, and cut in its middle.
    let packed = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B];
    fs::write(at.join("inbox/9.jsonl.gz"), packed).expect("writes");
    let text = run(at, &["--json"]);
    has(&text, &["\"records\":2", "\"rejected\":0"]);
    for (name, why) in [
        ("2-page.csv", "is an HTML page"),
        ("3-no-header.csv", "its header does not name the field"),
        ("4-cut.csv", "is cut within a field: the text in quotes that begins in line 3 has no end"),
        ("5-nothing.csv", "has no record"),
        ("6-nonsense.jsonl", "the only record of file"),
        ("7-copy.tsv", "has the content of file 1, `1.csv`, which was taken before"),
        ("9.jsonl.gz", "is damaged in its first line: its gzip data stop in their middle"),
    ] {
        let report = fs::read_to_string(at.join(format!("inbox/rejected/{name}.why.txt"))).expect(name);
        assert!(report.contains(why), "{name}: {report}");
        assert!(at.join("inbox/rejected").join(name).is_file(), "{name}");
    }
    let status = says(at, 0, &["status"]);
    has(&status, &["folder `inbox`: 7 set aside in `inbox/rejected`", "not taken: `README.md`"]);
    assert_eq!(selected(at, "deltamart.db", "SELECT count(*) || '' FROM store_events"), "2");
    // Corrected, it is dropped again.
    put(at, "inbox/4-cut.csv", &format!("{HEADER}{row}{}", row.replace("10:00", "10:01")));
    run(at, &[]);
    let users = "SELECT group_concat(_offset) FROM (SELECT _offset FROM store_events ORDER BY 1)";
    assert_eq!(selected(at, "deltamart.db", users), "1000000002,2000000001,3000000002,3000000003");
    says(at, 0, &["verify"]);
}

#[test]
fn everything_is_computed_again_from_the_archive() {
    let folder = store();
    let at = folder.path();
    inbox(at);
    put(at, "inbox/1.jsonl", &event(601, "purchase", 7, "19.99", 1));
    run(at, &[]);
    put(at, "inbox/0.jsonl", &event(602, "purchase", 8, "5", 2));
    run(at, &[]);
    let text = says(at, 0, &["run", "--watch", "inbox", "--rebuild"]);
    has(&text, &["2 records", "0 rows upserted, 0 deleted"]);
    let archived = at.join("inbox/archive/0000000001-1.jsonl");
    fs::rename(&archived, at.join("kept")).expect("moves");
    let text = says(at, 2, &["run", "--watch", "inbox", "--rebuild"]);
    has(&text, &["1 of the files that were read are gone, `archive/0000000001-1.jsonl`", "--accept-loss"]);
    fs::rename(at.join("kept"), &archived).expect("moves");
    put(at, "inbox/2.jsonl", &event(603, "purchase", 9, "1", 3));
    run(at, &[]);
    assert_eq!(selected(at, "deltamart.db", "SELECT sum(revenue) || '' FROM daily_revenue"), "25.99");
    says(at, 0, &["verify"]);
}

#[test]
fn a_file_of_old_days_is_late_and_it_is_said_how_to_take_it() {
    let folder = store();
    let at = folder.path();
    inbox(at);
    put(at, "inbox/new.jsonl", &[event(601, "purchase", 7, "19.99", 1), event(602, "view", 7, "1", 1)].concat());
    run(at, &[]);
    let old = event(601, "purchase", 8, "5", 2).replace("2019-10-01", "2019-09-01");
    put(at, "inbox/old.jsonl", &old);
    let text = run(at, &[]);
    has(&text, &["1 late", "file `old.jsonl` begins with an event of 2019-09-01", "run --watch FOLDER --rebuild"]);
    let text = says(at, 0, &["run", "--watch", "inbox", "--rebuild", "--set", "lateness=60d"]);
    has(&text, &["0 late"]);
    assert_eq!(selected(at, "deltamart.db", "SELECT sum(revenue) || '' FROM daily_revenue"), "24.99");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let folder = store();
    let at = folder.path();
    inbox(at);
    for (more, why) in [
        (&["--watch", "nowhere"][..], "there is no such folder"),
        (&["--watch", "inbox", "--warehouse", ":memory:"], "nothing of them would be left"),
        (&["--watch", "inbox", "--brokers", "127.0.0.1:1"], "are both given"),
        (&["--watch", "inbox", "events.jsonl"], "cannot be used with"),
        (&["--watch", "inbox", "--catalog", "events.jsonl"], "needs `--as-of INSTANT`"),
        (&["--watch", "inbox", "--events", "5"], "belong to the simulated shop"),
    ] {
        let text = says(at, 2, &[&["run"], more].concat());
        assert!(text.contains(why), "{more:?}: {text}");
    }
    run(at, &[]);
    let text = says(at, 2, &["run", "--watch", "inbox", "--to-end", "--warehouse", "other.db"]);
    has(&text, &["is watched by another pipeline, whose state is in `deltamart.db.state`"]);
}
