//! Clean events as Parquet: however it is killed and chopped, each is in one file, in the folder of its day.

use crate::support::table;
use bytes::Bytes;
use dataflows::raw::clean_columns;
use dataflows::table::{TableId, Value};
use dataflows::time::DAY_MS;
use deltamart::config::archive::Archive as Records;
use deltamart::config::clean::Clean as Config;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::archive::Archive;
use deltamart::sink::{Claim, Commit, MadeBy, Sink, SinkError};
use deltamart::store::Store;
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The program itself, over files.
mod whole;

const ROOT: &str = "/clean";
const PIPELINE: &str = "0f4e6a5e-96a0-4c2b-8a58-1f6f7c1d2e3a";
const MONDAY_MS: i64 = 1_767_571_200_000;

type Events = BTreeMap<TableId, Vec<Vec<Value>>>;

/// Epochs of clean events: of two tables and of several days, some late; each with another item.
fn history(dice: &mut ChaCha8Rng, epochs: usize) -> Vec<(i64, Events)> {
    let (mut item, mut clock_ms) = (0, MONDAY_MS);
    let mut epoch = |_| {
        clock_ms += dice.random_range(0..4_000);
        let mut events = Events::new();
        for _ in 0..dice.random_range(0..7) {
            item += 1;
            let name = ["item_view_events", "rating_events"][dice.random_range(0..2)];
            let at = MONDAY_MS + dice.random_range(-1..2) * DAY_MS + dice.random_range(-2..2) * 3_600_000;
            let text = |text: &str| Value::Text(text.to_owned());
            let mut event = vec![text("x"), Value::Instant(at), Value::Integer(7), text(&item.to_string())];
            event.extend((name == "rating_events").then_some(Value::Integer(5)));
            event.push(Value::Boolean(dice.random_range(0..4) == 0));
            assert_eq!(event.len(), clean_columns(table(name)).len());
            events.entry(table(name)).or_default().push(event);
        }
        (clock_ms, events)
    };
    (0..epochs).map(&mut epoch).collect()
}

/// Epochs as commits that begin after one, several merged into one by chance.
fn commits(history: &[(i64, Events)], after: u64, dice: &mut ChaCha8Rng) -> Vec<Commit> {
    let (mut commits, mut follows, mut clean) = (Vec::new(), after, Events::new());
    let last = 2 * history.len() as u64;
    for (epoch, (clock_ms, events)) in (1..).map(|number| 2 * number).zip(history).filter(|(epoch, _)| *epoch > after) {
        for (id, events) in events {
            clean.entry(*id).or_default().extend(events.iter().cloned());
        }
        if epoch == last || dice.random_range(0..3) > 0 {
            commits.push(Commit {
                follows,
                epoch,
                clock_ms: *clock_ms,
                watermarks: Watermarks::of_shop(epoch as i64),
                positions: BTreeMap::new(),
                deltas: BTreeMap::new(),
                appends: BTreeMap::new(),
                clean: std::mem::take(&mut clean),
                archived: Vec::new(),
                pieces: Vec::new(),
            });
            follows = epoch;
        }
    }
    commits
}

fn on(disk: &SimulatedDisk, settings: &Config) -> Result<Archive, SinkError> {
    let store = Local::on(disk.clone(), ROOT).map_err(|error| SinkError::Unavailable(error.to_string()))?;
    Ok(Archive::of_clean_events(all(), Arc::new(store), settings))
}

/// Runs a history on a disk until it fails.
fn run(disk: &SimulatedDisk, settings: &Config, history: &[(i64, Events)], by: u64) -> Result<(), SinkError> {
    let mut dice = ChaCha8Rng::seed_from_u64(by);
    let mut sink = on(disk, settings)?;
    let claim = sink.claim(MadeBy::Run, Some(&Claim { pipeline_id: PIPELINE.to_owned(), generation: by }))?;
    let position = sink.position()?.map_or(0, |progress| progress.epoch);
    for commit in commits(history, position, &mut dice) {
        sink.apply(&claim, &commit)?;
    }
    sink.idle(&claim, None)
}

/// A value as SQLite shows it.
fn shown(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Bool(truth) => u8::from(*truth).to_string(),
        Field::TimestampMillis(at) => deltamart::instant::show(*at),
        Field::Decimal(decimal) => {
            let negative = decimal.data().first().is_some_and(|byte| byte & 0x80 > 0);
            let of =
                decimal.data().iter().fold(if negative { -1_i64 } else { 0 }, |all, byte| all << 8 | i64::from(*byte));
            format!("{:.2}", of as f64 / 100.0)
        }
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The rows of files, by their tables: the day of the folder, and the values by their columns.
type Rows = BTreeMap<String, Vec<(String, BTreeMap<String, String>)>>;

fn rows<'f>(files: impl IntoIterator<Item = (&'f String, &'f Vec<u8>)>) -> Rows {
    let mut all = Rows::new();
    for (key, bytes) in files {
        let [table, day, _] = key.split('/').collect::<Vec<_>>()[..] else { panic!("{key}") };
        let day = day.strip_prefix("date=").expect("a day");
        let reader = SerializedFileReader::new(Bytes::from(bytes.clone())).expect("Parquet");
        let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
        let rows = rows.map(|row| {
            let columns = row.get_column_iter().map(|(name, field)| (name.clone(), shown(field)));
            (day.to_owned(), columns.collect())
        });
        all.entry(table.to_owned()).or_default().extend(rows);
    }
    all
}

/// The files on a disk.
fn files(disk: &SimulatedDisk) -> BTreeMap<String, Vec<u8>> {
    let store = Local::on(disk.clone(), ROOT).expect("opens");
    let keys = store.list("").expect("lists").into_iter().filter(|key| key.ends_with(".parquet"));
    keys.map(|key| (key.clone(), store.get(&key).expect("readable").expect("there"))).collect()
}

/// The items of the events that files have, in the right folders: table, item, whether late. Sorted, as often as they are
/// there.
fn items(disk: &SimulatedDisk) -> Vec<(String, i64, bool)> {
    let mut items = Vec::new();
    for (table, rows) in rows(&files(disk)) {
        for (day, row) in rows {
            assert!(row["timestamp"].starts_with(&day), "{row:?} is in the folder of {day}");
            assert!(!row.keys().any(|name| name == "_offset" || name == "_partition"), "{row:?}");
            items.push((table.clone(), row["item_id"].parse().expect("a number"), row["_late"] == "1"));
        }
    }
    items.sort();
    items
}

fn expected(history: &[(i64, Events)]) -> Vec<(String, i64, bool)> {
    let of = |id: &TableId, event: &Vec<Value>| {
        let (Value::Text(item), Some(Value::Boolean(is_late))) = (&event[3], event.last()) else { panic!("{event:?}") };
        (id.name().to_owned(), item.parse().expect("a number"), *is_late)
    };
    let all = history.iter().flat_map(|(_, events)| events);
    let mut items: Vec<_> = all.flat_map(|(id, events)| events.iter().map(move |event| of(id, event))).collect();
    items.sort();
    items
}

fn settings(dice: &mut ChaCha8Rng) -> Config {
    let (rows, interval) = (dice.random_range(1..9), dice.random_range(1..20) * 1_000);
    Config { rows, interval, ..Config::default() }
}

#[test]
fn however_it_is_chopped_each_event_is_in_one_file_of_its_day() {
    let mut full = 0;
    for seed in 0..30 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (settings, history) = (settings(&mut dice), history(&mut dice, 30));
        let disk = SimulatedDisk::new();
        run(&disk, &settings, &history, seed + 1).expect("runs");
        assert_eq!(items(&disk), expected(&history), "seed {seed}");
        let store = Local::on(disk.clone(), ROOT).expect("opens");
        let newest = store.list("_progress/").expect("lists").pop().expect("there is one");
        let newest = String::from_utf8(store.get(&newest).expect("readable").expect("there")).expect("text");
        assert!(newest.contains(r#""partitions": {}"#), "days are remembered that are over: {newest}");
        let of_file = |key: &String| files(&disk)[key].clone();
        full += files(&disk)
            .keys()
            .filter(|key| rows([(*key, &of_file(key))]).values().all(|rows| rows.len() == settings.rows))
            .count();
    }
    assert!(full > 50, "{full} files were closed for their rows");
}

#[test]
fn crashed_at_any_step_each_event_is_there_once_and_stays() {
    for seed in 0..3 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (settings, history) = (settings(&mut dice), history(&mut dice, 8));
        for after in (seed..).step_by(if seed == 0 { 1 } else { 9 }) {
            let disk = SimulatedDisk::new();
            disk.fail_after(after);
            let ran = run(&disk, &settings, &history, 1);
            let disk = if dice.random() { disk.crash(after) } else { disk.restart(after) };
            let before = files(&disk);
            assert!(items(&disk).windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}, step {after}: twice");
            // It crashes a second time, at some step of going on.
            disk.fail_after(dice.random_range(0..200));
            run(&disk, &settings, &history, 2).ok();
            let disk = disk.crash(after + 1);
            let between = files(&disk);
            for (key, bytes) in &before {
                assert!(between.get(key) == Some(bytes), "seed {seed}, step {after}: `{key}` is another one");
            }
            assert!(items(&disk).windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}, step {after}: twice");
            run(&disk, &settings, &history, 3).expect("runs");
            assert_eq!(items(&disk), expected(&history), "seed {seed}, step {after}");
            let store = Local::on(disk, ROOT).expect("opens");
            assert_eq!(store.list("_open/").expect("lists"), Vec::<String>::new(), "seed {seed}, step {after}");
            if ran.is_ok() {
                assert!(after > 60, "that were all steps");
                break;
            }
        }
    }
}

#[test]
fn a_place_of_the_other_kind_is_left_alone() {
    let claim = |sink: &mut Archive| sink.claim(MadeBy::Run, None).expect_err("refused").to_string();
    let records = |disk: &SimulatedDisk| {
        Archive::on(all(), Arc::new(Local::on(disk.clone(), ROOT).expect("opens")), &Records::default())
    };
    let disk = SimulatedDisk::new();
    run(&disk, &Config::default(), &[], 1).expect("claims it");
    let why = claim(&mut records(&disk));
    assert!(why.contains("holds clean events") && why.contains("`archive.path`"), "{why}");
    let disk = SimulatedDisk::new();
    records(&disk).claim(MadeBy::Run, None).expect("claims it");
    let why = claim(&mut on(&disk, &Config::default()).expect("opens"));
    assert!(why.contains("holds records as they came") && why.contains("`clean.path`"), "{why}");
}
