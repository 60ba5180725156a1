use super::stack::{Stack, await_that, framed, schema_of, sign_in};
use crate::poison::server::{Says, Server};
use crate::support::needed;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

pub(super) const GOOD: u32 = 1;
pub(super) const POISON: u32 = 100_001;

fn events(users: std::ops::Range<i64>) -> impl Iterator<Item = Option<Vec<u8>>> {
    users.map(|user| Some(sign_in(GOOD, user + 1, user)))
}

/// A registry of one schema, which says this of all that it does not have.
pub(super) fn registry_saying(status: &Arc<AtomicU16>) -> Server {
    let status = Arc::clone(status);
    Server::start(schema_of("sign_in"), move |id| match id {
        GOOD => Says::Good,
        POISON => Says::Status(status.load(Ordering::SeqCst)),
        _ => Says::NotFoundByCode,
    })
}

/// One record that the registry does not answer for holds its partition and no other; and what was read once is read
/// again without any registry.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn one_record_holds_its_partition_and_a_restart_needs_no_registry() {
    let stack = Stack::reading("holds", |event| event == "sign_in");
    stack.creates("sign_in", 2, "delete");
    let status = Arc::new(AtomicU16::new(500));
    let server = registry_saying(&status);
    stack.configure(&server.url, |event| event == "sign_in");
    stack.sends("sign_in", 0, events(0..20).chain([Some(framed(POISON, &[b"junk".to_vec()]))]).chain(events(20..30)));
    stack.sends("sign_in", 1, events(30..60));
    let topic = stack.topic("sign_in");
    let often = ["--set", "epoch_interval=20ms", "--set", "snapshot_interval=1h"];
    let running = stack.starts(&[&["run", "-w", "1"], &often[..]].concat());
    stack.awaits(&format!("{topic}/1=30"));
    stack.awaits(&format!("{topic}/0=20"));
    await_that("status says what waits for what", || {
        let (_, said) = stack.says(&["status"]);
        let expected = [
            format!("  waits    `{topic}/0` at offset 20, since"),
            format!("schema {POISON}"),
            "status 500".to_owned(),
        ];
        expected.iter().all(|expected| said.contains(expected))
    });
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT COUNT(*) FROM rejected_events"), 0);
    status.store(404, Ordering::SeqCst);
    stack.awaits(&format!("{topic}/0=31"));
    running.dies();
    // Nobody answers there, and the registry has the schema by now: what was journaled stays.
    stack.configure("http://127.0.0.1:1", |event| event == "sign_in");
    stack.succeeds(&["run", "--to-end"]);
    stack.verify(&[]);
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT COUNT(*) FROM consumer_events"), 60);
    let reasons = "SELECT group_concat(reason || ' ' || _offset) FROM rejected_events";
    assert_eq!(stack.value::<String>("deltamart.db", reasons), "unknown_schema 20");
}

/// Of each batch: first offset, last one, and where its last byte is.
type Batches = Vec<(i64, i64, u64)>;

/// The batches of a partition, in the broker's own file.
fn batches(stack: &Stack, partition: i32) -> Option<(PathBuf, Batches)> {
    let folder = PathBuf::from(needed("DELTAMART_STACK_DIR"));
    let log = folder.join(format!("kafka/{}-{partition}/00000000000000000000.log", stack.topic("sign_in")));
    let mut bytes = Vec::new();
    std::fs::File::open(&log).ok()?.read_to_end(&mut bytes).ok()?;
    let (mut at, mut batches) = (0, Vec::new());
    // Offset, length, epoch, version, checksum, attributes, offset of the last.
    while let Some(head) = bytes.get(at..at + 27) {
        let first = i64::from_be_bytes(head[..8].try_into().expect("8 bytes"));
        let length = i32::from_be_bytes(head[8..12].try_into().expect("4 bytes")) as usize;
        let last = first + i64::from(i32::from_be_bytes(head[23..27].try_into().expect("4 bytes")));
        if length == 0 {
            // The file is longer than what was written to it.
            break;
        }
        at += 12 + length;
        batches.push((first, last, at as u64 - 1));
    }
    Some((log, batches))
}

/// Turns the bits of a byte.
fn turns(path: &PathBuf, at: u64) {
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("the broker's file");
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut byte)).expect("read");
    file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&[!byte[0]])).expect("written");
}

/// A batch whose bytes are not what was written is named, holds its partition alone, and is passed once somebody says
/// so; and again when that is read again, though it is mended by then.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_damaged_batch_is_named_and_passed() {
    let stack = Stack::reading("damaged", |event| event == "sign_in");
    stack.creates("sign_in", 2, "delete");
    let server = registry_saying(&Arc::new(AtomicU16::new(404)));
    stack.configure(&server.url, |event| event == "sign_in");
    for first in [0, 10, 20, 30] {
        stack.sends("sign_in", 0, events(first..first + 10));
        stack.sends("sign_in", 1, events(first..first + 10));
    }
    let (log, of) = batches(&stack, 0).expect("the broker's own file");
    let &(from, to, at) = of.iter().find(|(first, ..)| *first >= 10).expect("a batch in the middle");
    turns(&log, at);
    let topic = stack.topic("sign_in");
    let place = format!("`{topic}/0` at offset {from}");
    let counts = |warehouse: &str| {
        let rows = stack.value::<i64>(warehouse, "SELECT COUNT(*) FROM consumer_events");
        let rejected =
            "SELECT coalesce(group_concat(reason || ' ' || _partition || '/' || _offset), '') FROM rejected_events";
        (rows, stack.value::<String>(warehouse, rejected))
    };
    // To the end: all else is read, and it says that this is not.
    let (code, said) = stack.says(&["run", "--to-end", "-w", "2"]);
    assert_eq!(code, Some(1), "{said}");
    let skip = format!("{topic}/0={from}");
    for expected in
        ["not everything was read to its end", &place, "cannot be read", &format!("kafka.skip='[\"{skip}\"]'")]
    {
        assert!(said.contains(expected), "`{expected}` is missing:\n{said}");
    }
    // A line of progress may say it too.
    let warned = said.lines().filter(|line| line.contains("WARN") && line.contains("cannot be read")).count();
    assert_eq!(warned, 2, "it is said when it is tried:\n{said}");
    assert_eq!(counts("deltamart.db"), (40 + from, String::new()));
    // Live: it waits, and says so.
    let running = stack.starts(&["run", "--set", "epoch_interval=20ms"]);
    await_that("status says what cannot be read", || {
        stack.says(&["status"]).1.contains(&format!("  waits    {place}"))
    });
    running.ends();
    // Told to pass it, it does.
    let set = format!("kafka.skip={skip}");
    let passed = (80 - (to - from + 1), format!("unreadable 0/{to}"));
    stack.succeeds(&["run", "--to-end", "--set", &set]);
    assert_eq!(counts("deltamart.db"), passed);
    stack.verify(&[]);
    // It stays passed, also where it is read again from the journal, mended and with nobody saying so.
    let often = ["--set", "epoch_interval=20ms", "--set", "snapshot_interval=1h", "--warehouse", "killed.db"];
    let running = stack.starts(&[&["run", "--set", &set], &often[..]].concat());
    await_that("all is read", || {
        let wait = ["status", "--warehouse", "killed.db", "--wait-for", &format!("{topic}/0=40"), "--timeout", "20"];
        stack.says(&wait).0 == Some(0)
    });
    running.dies();
    turns(&log, at);
    stack.succeeds(&["run", "--to-end", "--warehouse", "killed.db"]);
    assert_eq!(counts("killed.db"), passed);
    // The last one of a log.
    let (log, of) = batches(&stack, 1).expect("the file");
    let &(from, _, at) = of.last().expect("a batch");
    turns(&log, at);
    let set = format!("kafka.skip={topic}/1={from}");
    stack.succeeds(&["run", "--to-end", "--warehouse", "last.db", "--set", &set]);
    assert_eq!(counts("last.db"), (40 + from, "unreadable 1/39".to_owned()));
    // What can be read is not passed, and what is not there neither.
    stack.succeeds(&["run", "--to-end", "--warehouse", "last.db", "--set", &format!("kafka.skip={topic}/0=5")]);
    stack.refuses(&["run", "--to-end", "--set", "kafka.skip=nowhere/0=5"], &["kafka.skip", "`nowhere/0`"]);
    stack.refuses(&["run", "--to-end", "--set", "kafka.skip=nowhere"], &["kafka.skip", "topic/partition=offset"]);
}
