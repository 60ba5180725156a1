//! The store's metrics over the file of events that there is in the world: the head of October 2019 of REES46, where
//! it is; and over events like these.

use super::drawn::{end, set_aside, watermark};
use super::{ask, late, model, table, twice};
use crate::cli::{deltamart, said};
use crate::dice::Dice;
use crate::naive::rows;
use dataflows::declared::plan::Literal;
use dataflows::time::DAY_MS;
use deltamart::instant;
use deltamart::model::duckdb::{over_feed, over_lines};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

const EVENTS: &str = include_str!("../../model/store/store_events.toml");
const METRICS: [(&str, &str); 7] = [
    ("customer_daily_metrics", include_str!("../../model/store/customer_daily_metrics.sql")),
    ("customer_lifetime_value", include_str!("../../model/store/customer_lifetime_value.sql")),
    ("daily_revenue", include_str!("../../model/store/daily_revenue.sql")),
    ("hourly_activity", include_str!("../../model/store/hourly_activity.sql")),
    ("product_sales", include_str!("../../model/store/product_sales.sql")),
    ("revenue_by_brand", include_str!("../../model/store/revenue_by_brand.sql")),
    ("revenue_by_category", include_str!("../../model/store/revenue_by_category.sql")),
];
const HEADER: &str = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session";
const LATENESS_MS: i64 = 2 * DAY_MS;

/// The lines of a file that have all fields. The last of a file that was cut has not.
fn whole(csv: &str) -> Vec<Vec<&str>> {
    let lines = csv.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    lines.filter(|fields| fields.len() == 9).collect()
}

/// An event as columns, in the order of the declaration.
fn event(fields: &[&str]) -> Vec<Literal> {
    let number = |text: &str| Literal::Number(text.parse().expect("a whole number"));
    let text = |text: &str, nothing: &str| Literal::Text(if text.is_empty() { nothing } else { text }.to_owned());
    let cents = |price: &str| {
        let (dollars, cents) = price.trim_start_matches('-').split_once('.').expect("cents");
        let all: i64 = format!("{dollars}{cents:0<2}").parse().expect("money");
        Literal::Number(if price.starts_with('-') { -all } else { all })
    };
    let at = fields[0].replace(" UTC", "Z").replace(' ', "T");
    vec![
        text(fields[1], ""),
        Literal::Instant(instant::written(&at).expect("an instant")),
        number(fields[2]),
        if fields[3].is_empty() { Literal::Null } else { number(fields[3]) },
        text(fields[4], "unknown"),
        text(fields[5], "unknown"),
        cents(fields[6]),
        number(fields[7]),
        text(fields[8], ""),
    ]
}

/// The same as a line of JSON: files of CSV are not read for declared events.
fn json(fields: &[&str]) -> String {
    let names = HEADER.split(',');
    let fields = names.zip(fields).map(|(name, value)| format!("\"{name}\":\"{value}\""));
    format!("{{{}}}\n", fields.collect::<Vec<_>>().join(","))
}

/// Reads the file with the program, and its CSV with DuckDB; how many rows each metric has.
fn compare(csv: &str) -> Vec<usize> {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::create_dir(at.join("model")).expect("makes it");
    std::fs::write(at.join("model/store_events.toml"), EVENTS).expect("writes");
    for (name, text) in METRICS {
        std::fs::write(at.join(format!("model/{name}.sql")), text).expect("writes");
    }
    let lines = whole(csv);
    std::fs::write(at.join("store.csv"), csv).expect("writes");
    std::fs::write(at.join("store_events.jsonl"), lines.iter().map(|line| json(line)).collect::<String>())
        .expect("writes");
    let (code, text) = said(&deltamart(
        at,
        &["run", "store_events=store_events.jsonl", "--set", "feed.path=feed", "--set", "lateness=2d"],
    ));
    assert_eq!(code, Some(0), "{text}");
    let events: Vec<_> = lines.iter().map(|line| event(line)).collect();
    let times = events.iter().map(|event| if let Literal::Instant(at) = event[1] { Some(at) } else { None });
    let late = late(&times.collect::<Vec<_>>(), LATENESS_MS);
    let numbers: String = (1..).zip(&late).filter(|(_, late)| **late).map(|(line, _)| format!(", {line}")).collect();
    let counted: BTreeSet<_> = events.iter().zip(&late).filter(|(_, late)| !**late).map(|(event, _)| event).collect();
    let counted: Vec<_> = counted.into_iter().cloned().collect();
    let view = format!(
        "SELECT DISTINCT event_type, replace(event_time, ' UTC', '')::TIMESTAMP AS event_time, product_id::BIGINT AS \
         product_id, category_id::BIGINT AS category_id, coalesce(category_code, 'unknown') AS category_code, \
         coalesce(brand, 'unknown') AS brand, price::DECIMAL(18,2) AS price, user_id::BIGINT AS user_id, \
         coalesce(user_session, '') AS user_session FROM (SELECT row_number() OVER () AS line, * FROM \
         read_csv('store.csv', header = true, all_varchar = true, ignore_errors = true)) WHERE line NOT IN (0{numbers})"
    );
    let loaded = model(&at.join("model"));
    let plan = loaded[0].family.plan();
    let jobs = plan.metrics.iter().map(|metric| {
        let (_, text) = METRICS.iter().find(|(name, _)| *name == metric.name).expect("one of these");
        let own = match metric.leaves.is_empty() {
            true => format!("WITH store_events AS ({view})\n{text}"),
            false => twice(&metric.name, text, &view, &end(metric, "event_time"), ("store_events", LATENESS_MS)),
        };
        let feed = over_feed(plan, metric, text, Some(LATENESS_MS));
        assert!(feed.contains(text.trim_end()), "the text is as it was written");
        // What `explain` prints where there is no feed. It knows of no late events.
        let lines = over_lines(plan, &loaded[0].events.readings, text);
        (metric, vec![("table", table(metric)), ("feed", feed), ("file", own), ("lines", lines)])
    });
    let jobs: Vec<_> = jobs.collect();
    let found = ask(at, &jobs);
    let cut = watermark(at, "store_events") - LATENESS_MS;
    let everything: Vec<_> = events.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let counts = jobs.iter().map(|(metric, _)| {
        let groups = rows(metric, &counted, cut);
        let mut expected: Vec<_> = groups.iter().map(|row| row.values.clone()).collect();
        expected.sort();
        let of = |script: &str| &found[&(metric.name.clone(), script.to_owned())];
        assert_eq!(of("table").as_ref(), Ok(&expected), "{}", metric.name);
        for script in ["feed", "file"] {
            let aside = set_aside(&format!("{} by the {script}", metric.name), of(script), &groups, metric.keys.len());
            println!("{} by the {script}: {} rows, {aside} set aside", metric.name, expected.len());
            assert!(aside * 20 <= expected.len(), "{}: {aside} set aside", metric.name);
        }
        let of_lines = rows(metric, &everything, i64::MIN);
        set_aside(&format!("{} by the lines", metric.name), of("lines"), &of_lines, metric.keys.len());
        expected.len()
    });
    counts.collect()
}

#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_says_of_events_like_those_of_a_store_what_the_tables_have() {
    let mut dice = Dice::of_seed(7);
    let (mut csv, mut minute) = (format!("{HEADER}\n"), 0);
    let mut before = String::new();
    for _ in 0..800 {
        minute += dice.of(20);
        let ago = if dice.of(9) == 0 { dice.of(6000) } else { 0 };
        let then = 30_000 + minute - ago.min(minute);
        let (day, hour, minutes) = (then / 1440 - 19, then / 60 % 24, then % 60);
        let kind = dice.one(&["view", "view", "cart", "purchase", "purchase"]);
        let sign = if dice.of(6) == 0 { "-" } else { "" };
        let line = format!(
            "2019-10-{day:02} {hour:02}:{minutes:02}:00 UTC,{kind},{},{},{},{},{sign}{}.{:02},{},{}\n",
            1 + dice.of(9),
            dice.one(&["", "2103807459595387724"]),
            dice.one(&["", "hats", "shoes"]),
            dice.one(&["", "acme"]),
            dice.of(300),
            dice.of(100),
            1 + dice.of(12),
            dice.one(&["a", "b", "c", ""]),
        );
        csv += if dice.of(12) == 0 && !before.is_empty() { &before } else { &line };
        before = line;
    }
    let counts = compare(&csv);
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
}

#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_says_of_a_real_store_what_the_tables_have() {
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/rees46_multi/2019-Oct_head.csv");
    let Ok(csv) = std::fs::read_to_string(&csv) else {
        // Not `println!`: the harness keeps what a passing test prints to itself.
        writeln!(std::io::stderr(), "skipped: the real store is not at `{}`", csv.display()).expect("stderr");
        return;
    };
    assert_eq!(whole(&csv).len(), 17_434);
    // Counted by hand, in the order of METRICS.
    assert_eq!(compare(&csv), [4_504, 193, 1, 3, 198, 66, 29]);
}
