//! Catalogs: where items begin, and from when on their prices count.

use crate::cli::{data, deltamart, said};
use dataflows::events::{CatalogItem, Event};
use dataflows::shop::events::shared::BAD_ITEM_BLOCK;
use deltamart::accept::accept;
use deltamart::decode::Rejection;
use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;
use deltamart::source::movies::Movies;
use deltamart::source::{Poll, Source};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Every block of a catalog, and what became of it.
fn blocks(bytes: &[u8]) -> Vec<Result<CatalogItem, Rejection>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("Movies.txt");
    std::fs::write(&path, bytes).expect("written");
    let mut movies = Movies::file("Movies.txt", &path, 7).expect("opens");
    let format = movies.partitions().remove(0).format;
    let mut found = Vec::new();
    loop {
        match movies.poll(3).expect("readable") {
            Poll::Records(batch) => found.extend(batch.records.iter().map(|record| {
                let accepted = accept(&format, &batch.bytes[record.payload.clone()], &Default::default(), i64::MAX)?;
                match accepted.event {
                    Event::Catalog(item) => Ok(*item),
                    other => panic!("{other:?}"),
                }
            })),
            Poll::End => return found,
            _ => {}
        }
    }
}

/// How an item's line may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// So that it is one.
    Good,
    /// Damaged, and it still begins with the word.
    Bad,
    /// Lost, or damaged beyond being known.
    Lost,
}

const HEADS: [(Head, &str); 34] = [
    (Head::Good, "ITEM #"),
    (Head::Good, "ITEM  #"),
    (Head::Good, " ITEM #"),
    (Head::Good, "\tITEM\t#"),
    (Head::Good, "item #"),
    (Head::Good, "Item # "),
    (Head::Good, "iTeM\t # \t"),
    (Head::Good, "ITEM 000#"),
    (Head::Good, "\u{feff}ITEM #"),
    (Head::Good, " \u{feff} item #"),
    (Head::Good, "\u{a0}ITEM\u{a0}#\u{a0}"),
    (Head::Good, "\u{b}ITEM #\u{c}"),
    (Head::Bad, "ITEM #:"),
    (Head::Bad, "ITEM: #"),
    (Head::Bad, "ITEM #."),
    (Head::Bad, "ITEM #=x"),
    (Head::Bad, "ITEM # ="),
    (Head::Bad, "ITEM # Title=x"),
    (Head::Bad, "item #=Title=x"),
    (Head::Bad, "ITEM#"),
    (Head::Bad, " ITEM -#"),
    (Head::Bad, "ITEM"),
    (Head::Bad, "ITEM "),
    (Head::Bad, "item\tunknown"),
    (Head::Bad, "ITEM # of many"),
    (Head::Bad, "ITEM #99999999999999999999"),
    (Head::Lost, ""),
    (Head::Lost, "#"),
    (Head::Lost, "ITE #"),
    (Head::Lost, "XITEM #"),
    (Head::Lost, "ITEMS #"),
    (Head::Lost, "IT EM #"),
    (Head::Lost, "# ITEM #"),
    (Head::Lost, "\u{fffd}TEM #"),
];

/// Values that begin like an item's line, or hold one.
const VALUES: [&str; 6] = ["ITEM 5", "x\tITEM 5", "item=7", "ITEM 6: y", "a=b ITEM 8", "ITEM"];

#[derive(Clone, Debug)]
struct Written {
    head: usize,
    actors: usize,
    has_price: bool,
    value: usize,
    blank_before: bool,
    crlf: bool,
    marks: bool,
}

fn written() -> impl Strategy<Value = Written> {
    let parts =
        (0..HEADS.len(), 0_usize..3, any::<bool>(), 0..VALUES.len(), any::<bool>(), any::<bool>(), any::<bool>());
    parts.prop_map(|(head, actors, has_price, value, blank_before, crlf, marks)| Written {
        head,
        actors,
        has_price,
        value,
        blank_before,
        crlf,
        marks,
    })
}

/// What an item's content is, whatever its line looks like.
fn content(number: usize, item: &Written) -> Vec<String> {
    let mut lines: Vec<_> = (0..item.actors).map(|n| format!("Actor=actor {n} of {number}")).collect();
    lines.push(format!("Feature={}", VALUES[item.value]));
    lines.push(format!("Item Weight={number} pounds"));
    if item.has_price {
        lines.push(format!("ListPrice={number}00USD${number}.00"));
    }
    // In every item of the real file.
    lines.extend(["ProductGroup=DVD".to_owned(), "ProductTypeName=ABIS_DVD".to_owned()]);
    lines.push(format!("Title=title {number}"));
    lines
}

/// The bytes of a catalog, and by its law which items are accepted, and how many blocks are rejected.
fn catalog(items: &[Written]) -> (Vec<u8>, Vec<usize>, usize) {
    let (mut bytes, mut accepted, mut rejected) = (Vec::new(), Vec::new(), 0);
    // Whether there is a block, and the item it would be.
    let mut open: Option<Option<usize>> = None;
    for (n, item) in items.iter().enumerate() {
        let number = n + 1;
        let (kind, head) = HEADS[item.head];
        let end = if item.crlf { "\r\n" } else { "\n" };
        if item.blank_before {
            bytes.extend_from_slice(end.as_bytes());
        }
        let mut lines = content(number, item);
        if !head.is_empty() {
            lines.insert(0, head.replace('#', &number.to_string()));
        }
        for line in lines {
            let mark = if item.marks { "\u{feff}" } else { "" };
            bytes.extend_from_slice(format!("{mark}{line}{end}").as_bytes());
        }
        match kind {
            Head::Good | Head::Bad => {
                rejected += usize::from(open == Some(None));
                accepted.extend(open.flatten());
                open = Some((kind == Head::Good).then_some(number));
            }
            // With the one before, if there is any: neither can be told from the other.
            Head::Lost => open = Some(None),
        }
    }
    rejected += usize::from(open == Some(None));
    accepted.extend(open.flatten());
    (bytes, accepted, rejected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// However an item's line is written, its item is accepted with its own values, or rejected: none vanishes into
    /// the one before.
    #[test]
    fn item_heads(items in prop::collection::vec(written(), 1..12)) {
        let (bytes, accepted, rejected) = catalog(&items);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (found, refused): (Vec<_>, Vec<_>) = blocks(&bytes).into_iter().partition(Result::is_ok);
        let found: Vec<CatalogItem> = found.into_iter().flatten().collect();
        let numbers: Vec<String> = found.iter().map(|item| item.item_id.to_string()).collect();
        prop_assert_eq!(numbers, accepted.iter().map(usize::to_string).collect::<Vec<_>>(), "{}", text);
        prop_assert_eq!(refused.len(), rejected, "{}", text);
        for refusal in refused {
            prop_assert_eq!(refusal.expect_err("refused").reason, BAD_ITEM_BLOCK);
        }
        for (item, number) in found.iter().zip(accepted) {
            let (of, content) = (&items[number - 1], &item.content);
            prop_assert_eq!(&content.title, &format!("title {number}"));
            prop_assert_eq!(content.price_cents, of.has_price.then_some(number as i64 * 100));
            let actors: Vec<String> = serde_json::from_str(&content.actors).expect("a list");
            prop_assert_eq!(actors, (0..of.actors).map(|n| format!("actor {n} of {number}")).collect::<Vec<_>>());
            let others: BTreeMap<String, Vec<String>> = serde_json::from_str(&content.attributes).expect("a map");
            prop_assert_eq!(&others["Feature"], &[VALUES[of.value]]);
            prop_assert_eq!(&others["Item Weight"], &[format!("{number} pounds")]);
        }
    }
}

#[test]
fn usual_and_unusual_item_heads() {
    let bytes = b"ITEM 1\nTitle=A\n\nITEM  2\nTitle=B\n\n ITEM 3\nTitle=C\n\nitem 4\nTitle=D\n\nITEM\t5\nTitle=E\n\n\
        ITEM 6:\nTitle=F\n\nITEM 007\nTitle=G\n\nITEM 8\nTitle=\n\nITEM 9\n\nITEM 10\nTitle=J\nITEM 10\nTitle=J2\n\n\
        \xEF\xBB\xBFITEM 11\nTitle = K\nListPrice : 999USD$9.99\n";
    let shown = |block: Result<CatalogItem, Rejection>| match block {
        Ok(item) => format!("{}: {}", item.item_id, item.content.title),
        Err(rejection) => format!("{}: {}", rejection.reason.code(), rejection.detail),
    };
    let found: Vec<_> = blocks(bytes).into_iter().map(shown).collect();
    let refused = "bad_item_block: `ITEM 6:` does not begin an item: expected `ITEM <number>`";
    let expected = ["1: A", "2: B", "3: C", "4: D", "5: E", refused, "7: G", "8: ", "9: ", "10: J", "10: J2", "11: K"];
    assert_eq!(found, expected);
}

/// The block of an item that swallowed another one says which, and nothing of either counts.
#[test]
fn an_item_that_swallowed_another_is_rejected() {
    let sample = std::fs::read(data("Movies.txt")).expect("the sample");
    let text = String::from_utf8_lossy(&sample);
    let whole = blocks(&sample);
    let rejected = |found: &[Result<CatalogItem, Rejection>]| found.iter().filter(|block| block.is_err()).count();
    assert_eq!((whole.len(), rejected(&whole)), (300, 2));
    // Every item but the first one, one at a time.
    let heads: Vec<usize> = text.lines().enumerate().filter(|(_, l)| l.starts_with("ITEM ")).map(|(n, _)| n).collect();
    for (n, head) in heads.iter().enumerate().skip(1).step_by(7) {
        let lines = text.lines().enumerate().filter(|(line, _)| line != head);
        let without: String = lines.map(|(_, line)| format!("{line}\n")).collect();
        let found = blocks(without.as_bytes());
        assert_eq!(found.len(), 299);
        let both = usize::from(whole[n - 1].is_ok()) + usize::from(whole[n].is_ok());
        let accepted = found.iter().flatten().count();
        assert_eq!(accepted, 298 - both, "without line {}", head + 1);
    }
}

fn touch(path: &Path, at: SystemTime) {
    let file = File::options().write(true).open(path).expect("opens");
    file.set_times(FileTimes::new().set_modified(at)).expect("touched");
}

/// What was sold for how much, and the sums.
fn sales(folder: &Path, warehouse: &str) -> Vec<String> {
    let sink = Sqlite::open_to_read(all(), &folder.join(warehouse)).expect("opens");
    let mut rows = Vec::new();
    for sql in [
        "SELECT cart_id || movie_id || added_at || sold_at || COALESCE(purchase_amount, 'unpriced') FROM movie_sale_lines ORDER BY 1",
        "SELECT movie_id || window_type || timestamp || total_sales || units_sold || unpriced_units FROM movie_sales_metrics ORDER BY 1",
        "SELECT item_id || timestamp || COALESCE(price, 'none') FROM movies_catalog ORDER BY 1",
    ] {
        let mut statement = sink.connection().prepare(sql).expect("SQL");
        let found = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.extend(found.map(|row| row.expect("text")));
    }
    rows
}

/// `run` and `batch` of the same files give the same sales, whatever the date of the catalog's file, and a run goes on
/// when that changed.
fn same_sales_whatever_the_files_date(folder: &Path, events: &str, catalog: &str) -> String {
    let made = |command: &str, warehouse: &str| {
        let given = [command, events, "--catalog", catalog, "--warehouse", warehouse, "--set", "lateness=unlimited"];
        let (code, text) = said(&deltamart(folder, &given));
        assert_eq!(code, Some(0), "{text}");
        text
    };
    touch(&folder.join(catalog), SystemTime::now());
    made("run", "live.db");
    let text = made("batch", "batch.db");
    let (live, batch) = (sales(folder, "live.db"), sales(folder, "batch.db"));
    assert!(!live.is_empty() && live == batch, "{live:#?} {batch:#?}");
    for (n, at) in [SystemTime::UNIX_EPOCH, SystemTime::now() - Duration::from_secs(3_600)].into_iter().enumerate() {
        touch(&folder.join(catalog), at);
        assert!(made("run", "live.db").starts_with("nothing new"));
        assert!(made("batch", "batch.db").contains("0 rows upserted, 0 deleted"));
        let anew = format!("live-{n}.db");
        made("run", &anew);
        assert_eq!(sales(folder, &anew), live);
    }
    assert_eq!(sales(folder, "live.db"), live);
    text
}

#[test]
fn simulated_files_are_priced_alike_live_and_in_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = ["simulate", "--out", "shop", "--items", "60", "--events", "6000"];
    assert_eq!(said(&deltamart(folder.path(), &shop)).0, Some(0));
    let text = same_sales_whatever_the_files_date(folder.path(), "shop/events.jsonl", "shop/Movies.txt");
    assert!(text.contains(" units sold have no price: no price in the catalog "), "{text}");
}

#[test]
fn the_sample_is_priced_alike_live_and_in_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    for (shipped, name) in [("events/first_day.jsonl", "first_day.jsonl"), ("Movies.txt", "Movies.txt")] {
        std::fs::copy(data(shipped), folder.path().join(name)).expect("copied");
    }
    let text = same_sales_whatever_the_files_date(folder.path(), "first_day.jsonl", "Movies.txt");
    assert!(text.contains("all 2 units sold have a price"), "{text}");
}

/// Three sales over ten months: the catalog is as of just before the first of them, or as of when it is said to be.
#[test]
fn a_catalog_is_as_of_just_before_the_first_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let cart = |day: &str, n: u32| {
        let cart = format!("3f0c2a4e-9a51-4c53-8a0e-6d1c5f6a7b{n:02}");
        format!(
            "{{\"event_name\":\"added_to_cart\",\"timestamp\":\"{day}T10:00:00Z\",\"user_id\":1,\"item_id\":\"12\",\"cart_id\":\"{cart}\"}}\n\
             {{\"event_name\":\"checkout_to_cart\",\"timestamp\":\"{day}T10:05:00Z\",\"user_id\":1,\"cart_id\":\"{cart}\",\"payment_method\":\"Card\"}}\n"
        )
    };
    let events = ["2025-01-05", "2025-11-20", "2025-11-27"].iter().zip(0..).map(|(day, n)| cart(day, n));
    std::fs::write(folder.path().join("events.jsonl"), events.collect::<String>()).expect("written");
    std::fs::write(folder.path().join("Movies.txt"), "ITEM 12\nListPrice=999USD$9.99\nTitle=Twelve\n")
        .expect("written");
    let made = |command: &str, warehouse: &str, more: &[&str]| {
        let given = [command, "events.jsonl", "--catalog", "Movies.txt", "-w", "1", "--warehouse", warehouse];
        let (code, text) = said(&deltamart(folder.path(), &[&given[..], more].concat()));
        assert_eq!(code, Some(0), "{text}");
        let sink = Sqlite::open_to_read(all(), &folder.path().join(warehouse)).expect("opens");
        let sql = "SELECT (SELECT COUNT(purchase_amount) FROM movie_sale_lines) || ' as of ' || (SELECT timestamp FROM movies_catalog)";
        (sink.connection().query_row(sql, [], |row| row.get::<_, String>(0)).expect("one row"), text)
    };
    for command in ["run", "batch"] {
        let (priced, text) = made(command, &format!("{command}.db"), &[]);
        assert_eq!(priced, "3 as of 2025-01-05T09:59:59.999Z", "{command}");
        assert!(text.contains("all 3 units sold have a price"), "{text}");
        let (priced, text) = made(command, &format!("{command}-later.db"), &["--as-of", "2025-11-26"]);
        assert_eq!(priced, "2 as of 2025-11-26T00:00:00.000Z", "{command}");
        let why = "1 of 3 units sold have no price: first price more than `price_backfill` (7days) after the sale 1\n";
        assert!(text.contains(why), "{text}");
    }
    let without = said(&deltamart(folder.path(), &["run", "events.jsonl", "--warehouse", "none.db"])).1;
    assert!(without.contains("3 of 3 units sold have no price: there is no catalog (`--catalog FILE`)"), "{without}");
    for (arguments, expected) in [
        (&["run", "events.jsonl", "--as-of", "2025-11-26"][..], "--catalog"),
        (&["run", "--catalog", "Movies.txt", "--as-of", "2025-11-26"], "just before its first day"),
        (&["run", "events.jsonl", "--catalog", "Movies.txt", "--as-of", "soon"], "expected an instant"),
    ] {
        let (code, text) = said(&deltamart(folder.path(), arguments));
        assert!(code == Some(2) && text.contains(expected), "{arguments:?}: {text}");
    }
}

/// Alone it is as of when it is read, not of its file; read again it says nothing new.
#[test]
fn a_catalog_alone_is_as_of_when_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = folder.path().join("Movies.txt");
    std::fs::copy(data("Movies.txt"), &catalog).expect("copied");
    touch(&catalog, SystemTime::UNIX_EPOCH);
    let load = || {
        let (code, text) = said(&deltamart(folder.path(), &["catalog", "Movies.txt"]));
        assert_eq!(code, Some(0), "{text}");
        (text, sales(folder.path(), "deltamart.db"))
    };
    let (text, first) = load();
    assert!(text.contains("296 rows upserted"), "{text}");
    let sink = Sqlite::open_to_read(all(), &folder.path().join("deltamart.db")).expect("opens");
    let sql = "SELECT MIN(timestamp) FROM movies_catalog";
    let as_of: String = sink.connection().query_row(sql, [], |row| row.get(0)).expect("one row");
    assert!(!as_of.starts_with("1970"), "{as_of} is the file's date");
    let (text, second) = load();
    assert!(text.contains("0 rows upserted, 0 deleted") && second == first, "{text}");
}

/// A catalog is a state: read again it is no news, and what it was before it may become again.
#[test]
fn a_catalog_is_read_again_when_it_has_changed_and_a_b_a_are_three_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    let view = |minute: u32, user: u32| {
        format!(
            r#"{{"event_name":"item_view","timestamp":"2026-01-05T10:{minute:02}:00Z","user_id":{user},"item_id":"1"}}"#
        ) + "\n"
    };
    std::fs::write(folder.path().join("e.jsonl"), [view(0, 1), view(5, 2)].concat()).expect("written");
    let catalog = |price: &str| {
        let block = format!("ITEM 1\nListPrice={}USD${price}\nTitle=One\n", price.replace('.', ""));
        std::fs::write(folder.path().join("Movies.txt"), block).expect("written");
        let (code, text) = said(&deltamart(folder.path(), &["run", "e.jsonl", "--catalog", "Movies.txt"]));
        assert_eq!(code, Some(0), "{text}");
        text
    };
    assert!(catalog("9.99").starts_with("3 records"));
    assert!(catalog("9.99").starts_with("nothing new"), "it says the same");
    assert!(catalog("8.99").starts_with("1 record in"));
    assert!(catalog("9.99").starts_with("1 record in"));
    assert!(catalog("9.99").starts_with("nothing new"));
    let rows = |sql: &str| -> Vec<String> {
        let warehouse = rusqlite::Connection::open(folder.path().join("deltamart.db")).expect("opens");
        let mut statement = warehouse.prepare(sql).expect("valid");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    };
    let versions = rows("SELECT timestamp || ' ' || price FROM catalog_events ORDER BY _partition");
    let expected = ["2026-01-05T09:59:59.999Z 9.99", "2026-01-05T10:05:00.000Z 8.99", "2026-01-05T10:05:00.001Z 9.99"];
    assert_eq!(versions, expected);
    assert_eq!(rows("SELECT timestamp || ' ' || price FROM movies_catalog"), expected[2..]);
    let (code, text) = said(&deltamart(folder.path(), &["verify"]));
    assert_eq!(code, Some(0), "{text}");
}
