//! What the same record twice does: `docs/duplicates.md` says it of every event, and is held to it.

use crate::support;
use dataflows::quality::QUALITY;
use dataflows::table::{Kind, TableId, Value};
use deltamart::families::all;
use deltamart::source::script::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const REGISTERS: &str = r#""age":34,"masked_email":"****@mail.example","preferred_language":"eng""#;
const CART: &str = r#""cart_id":"00000000-0000-0000-0000-000000000001""#;
const OTHER: &str = r#""cart_id":"00000000-0000-0000-0000-000000000002""#;

/// The records of the page, each of a user who is there already, and of a movie with a price.
fn records() -> BTreeMap<&'static str, String> {
    let event = |name: &str, time: &str, rest: &str| {
        format!(r#"{{"event_name":"{name}","timestamp":"2026-01-05T{time}Z",{rest}}}"#)
    };
    BTreeMap::from([
        ("consumer_registration", event("consumer_registration", "10:30:00", &format!(r#""user_id":2,{REGISTERS}"#))),
        ("sign_in", event("sign_in", "10:30:00", r#""user_id":1"#)),
        ("sign_out", event("sign_out", "10:30:00", r#""user_id":3"#)),
        ("item_view", event("item_view", "10:30:00", r#""user_id":1,"item_id":"7""#)),
        ("added_to_cart", event("added_to_cart", "10:10:00", &format!(r#""user_id":1,"item_id":"8",{CART}"#))),
        (
            "checkout_to_cart",
            event("checkout_to_cart", "10:30:00", &format!(r#""user_id":1,"payment_method":"Card",{OTHER}"#)),
        ),
        ("purchase", event("purchase", "10:30:00", r#""user_id":1,"movie_id":"7","purchase_amount":3.50"#)),
        ("item_rating", event("item_rating", "10:30:00", r#""user_id":1,"item_id":"7","rating":4"#)),
        (
            "movies_catalog_enriched",
            event("movies_catalog_enriched", "10:15:00", r#""item_id":"7","title":"Seven","price":8.99"#),
        ),
        ("an event that is late", event("item_view", "00:30:00", r#""user_id":1,"item_id":"7""#)),
        ("a record that is rejected", event("item_view", "10:30:00", r#""user_id":0,"item_id":"7""#)),
    ])
}

/// What every table holds; of a raw table less where each record was.
type Tables = BTreeMap<&'static str, Vec<Vec<Value>>>;

/// A record so many times, one epoch after the other, between what makes it matter and what makes it seen.
fn after(record: &str, times: usize) -> Tables {
    let event = |name: &str, time: &str, rest: &str| {
        let json = format!(r#"{{"event_name":"{name}","timestamp":"2026-01-05T{time}Z",{rest}}}"#);
        Step::Record(0, json.into_bytes())
    };
    let mut steps = vec![
        event("movies_catalog_enriched", "09:00:00", r#""item_id":"7","title":"Seven","price":9.99"#),
        event("movies_catalog_enriched", "09:00:00", r#""item_id":"8","title":"Eight","price":1.99"#),
        event("sign_in", "09:50:00", r#""user_id":3"#),
        event("item_view", "09:55:00", r#""user_id":1,"item_id":"7""#),
        event("added_to_cart", "10:05:00", &format!(r#""user_id":1,"item_id":"7",{CART}"#)),
        event("added_to_cart", "10:06:00", &format!(r#""user_id":1,"item_id":"7",{OTHER}"#)),
        event("checkout_to_cart", "10:25:00", &format!(r#""user_id":1,"payment_method":"Card",{CART}"#)),
        Step::Cut,
    ];
    for _ in 0..times {
        steps.extend([Step::Record(0, record.as_bytes().to_vec()), Step::Cut]);
    }
    // Enough for every row of that morning, and not for what is late.
    steps.push(event("item_view", "11:50:00", r#""user_id":9,"item_id":"8""#));
    steps.push(Step::End);
    let mut options = support::options(2);
    // Two views more make a frequent browser, and 2.01 more a good customer.
    options.settings.segments.frequent_views = 3;
    options.settings.segments.high_value_cents = 1_200;
    let settings = options.settings.clone();
    let (sink, _) = support::run_script(1, steps, options);
    let contents = sink.contents().clone();
    support::assert_matches_sql(&contents, &settings);
    let table = |id: &TableId| {
        let place = if id.table().kind() == Kind::Append { id.table().key_columns } else { 0 };
        let mut rows: Vec<_> = contents.rows(*id).into_iter().map(|row| row[place..].to_vec()).collect();
        rows.sort();
        (id.table().name, rows)
    };
    // How many records came is no table of theirs.
    all().tables().iter().filter(|id| **id != QUALITY).map(table).collect()
}

/// The tables that differ.
fn differing(one: &Tables, other: &Tables) -> BTreeSet<String> {
    one.iter().filter(|(name, rows)| other[*name] != **rows).map(|(name, _)| (*name).to_owned()).collect()
}

/// The page's table: per event what stands in a column, as a set of names.
fn page() -> BTreeMap<String, [BTreeSet<String>; 3]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/duplicates.md");
    let text = std::fs::read_to_string(path).expect("docs/duplicates.md");
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let names = |cell: &str| {
                let names = cell.split(',').map(|name| name.trim().trim_matches('`').to_owned());
                names.filter(|name| !name.is_empty() && name != "none").collect()
            };
            (cells[0].trim_matches('`').to_owned(), [names(cells[1]), names(cells[2]), names(cells[3])])
        })
        .collect()
}

#[test]
fn a_record_twice_does_what_the_page_says() {
    let metrics: BTreeSet<_> = all().metrics().iter().map(|(id, _)| id.table().name.to_owned()).collect();
    let mut found = BTreeMap::new();
    for (name, record) in records() {
        let [never, once, twice] = [0, 1, 2].map(|times| after(&record, times));
        let (first, second) = (differing(&never, &once), differing(&once, &twice));
        let (twice_in, once_in) = (&second & &metrics, &(&first - &second) & &metrics);
        let rows = &second - &metrics;
        // What is kept as it came has one row a record.
        for table in &rows {
            let of = |tables: &Tables| tables[table.as_str()].len();
            assert_eq!((of(&once), of(&twice)), (of(&never) + 1, of(&never) + 2), "{name}: {table}");
        }
        assert_eq!(&first - &metrics, rows, "{name}: the first and the second stand in the same tables");
        found.insert(name.to_owned(), [rows, twice_in, once_in]);
    }
    assert_eq!(page(), found, "left: docs/duplicates.md; right: what is so");
}

/// Whether both come in one epoch, in one file, or by two partitions makes no difference.
#[test]
fn a_record_twice_is_twice_wherever_the_second_comes() {
    let sizes = |partitions: usize, cut: bool| {
        let mut steps = Vec::new();
        for record in records().into_values() {
            for n in 0..2 {
                steps.push(Step::Record((n % partitions) as u32, record.clone().into_bytes()));
                if cut {
                    steps.push(Step::Cut);
                }
            }
        }
        steps.push(Step::End);
        let mut options = support::options(2);
        // One after the other they are not late, but for the one that is.
        (options.settings.lane.lateness_ms, options.settings.catalog_lateness_ms) = (None, None);
        let (sink, _) = support::run_script(partitions, steps, options);
        let contents = sink.contents().clone();
        all().metrics().iter().map(|(id, _)| contents.rows(*id)).collect::<Vec<_>>()
    };
    let reference = sizes(1, false);
    assert!(reference.iter().filter(|rows| !rows.is_empty()).count() >= 9);
    for (partitions, cut) in [(1, true), (2, false), (2, true)] {
        assert_eq!(sizes(partitions, cut), reference, "{partitions} partitions, cut: {cut}");
    }
}
