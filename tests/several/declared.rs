use super::{Process, hosts};
use crate::model::{event, says, store};
use crate::shipped::real::{rows, selected};
use std::fs;
use std::path::Path;

const TABLES: [&str; 4] = ["product_sales", "daily_revenue", "customer_lifetime_value", "store_events"];
const REJECTED: &str = "SELECT group_concat(raw, char(10)) FROM (SELECT raw FROM rejected_events ORDER BY raw)";

/// Three files: two of a day long ago, and one of ten days later, with what no store sells.
fn fill(inbox: &Path) {
    fs::create_dir(inbox).expect("makes it");
    let bought = |n: u32| event(600 + n, ["view", "purchase"][n as usize % 2], n % 7 + 1, "19.99", n % 11 + 1);
    let later = |n: u32| bought(n).replace("2019-10-01T", "2019-10-11T");
    let wrong = |n: u32| event(700 + n, "dance", n, "5", 2).replace("2019-10-01T", "2019-10-11T");
    let files: [(&str, String); 3] = [
        ("1.jsonl", (0..90).map(bought).collect()),
        ("2.jsonl", (90..200).map(bought).collect()),
        ("3.jsonl", (0..120).map(later).chain((0..5).map(wrong)).collect()),
    ];
    for (name, lines) in files {
        fs::write(inbox.join(name), lines).expect("writes");
    }
    // An HTML page is set aside, whoever computes.
    fs::write(inbox.join("4.csv"), "<html><body>404</body></html>").expect("writes");
}

/// A store of SQL and TOML, from a folder that is watched.
#[test]
fn a_watched_folder_of_declared_events_is_the_same_for_several_processes() {
    let temporary = store();
    let folder = temporary.path();
    let settings = ["--set", "watch.settle=0s"];
    fill(&folder.join("inbox"));
    let alone = [&["run", "--watch", "inbox", "--to-end", "--warehouse", "alone.db", "--serve", "off"], &settings[..]];
    says(folder, 0, &alone.concat());
    assert_eq!(selected(folder, "alone.db", "SELECT count(*) || '' FROM store_events"), "320", "each is there once");
    for processes in [2, 3] {
        let (inbox, warehouse) = (format!("inbox{processes}"), format!("{processes}.db"));
        fill(&folder.join(&inbox));
        hosts(folder, processes);
        let leads = ["--watch", &inbox, "--to-end", "--warehouse", &warehouse];
        let all: Vec<_> = (0..processes)
            .map(|process| {
                let own = if process == 0 { &leads[..] } else { &[] };
                Process::start(folder, [processes, process], &[own, &settings[..]].concat())
            })
            .collect();
        for process in all {
            let (code, text) = process.ended();
            assert_eq!(code, Some(0), "{processes} processes: {text}");
        }
        for table in TABLES {
            let [one, several] = ["alone.db", &warehouse].map(|warehouse| rows(folder, warehouse, table));
            assert!(several == one, "`{table}` of {processes} processes is another one");
        }
        assert_eq!(selected(folder, &warehouse, REJECTED), selected(folder, "alone.db", REJECTED));
        assert!(folder.join(&inbox).join("rejected/4.csv.why.txt").is_file(), "the page was not set aside");
        says(folder, 0, &["verify", "--warehouse", &warehouse]);
    }
}
