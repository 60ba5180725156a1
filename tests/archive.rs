//! The archive: however it is killed, chopped and superseded, its files are those of a run that nobody disturbed, and
//! no record is in two of them.

use bytes::Bytes;
use deltamart::archived::Archived;
use deltamart::config::archive::Archive as Config;
use deltamart::decode::avro::Writer;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::archive::Archive;
use deltamart::sink::{Claim, Commit, MadeBy, Sink, SinkError};
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use deltamart::store::{Store, StoreError};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The program itself, over files and Kafka, read by DuckDB.
mod whole;

const ROOT: &str = "/archive";
const PIPELINE: &str = "0f4e6a5e-96a0-4c2b-8a58-1f6f7c1d2e3a";

/// Two schemas of one record: the second has a field more.
fn writers() -> [Arc<Writer>; 2] {
    let text =
        |more: &str| format!(r#"{{"type":"record","name":"Play","fields":[{{"name":"at","type":"long"}}{more}]}}"#);
    ["", r#",{"name":"on","type":["null","string"]}"#]
        .map(|more| Arc::new(Writer::parse(&text(more)).expect("a schema")))
}

/// Epochs of records: offsets with holes, of three partitions, a schema that changes, JSON.
fn history(dice: &mut ChaCha8Rng, epochs: usize) -> Vec<Vec<Archived>> {
    let (writers, mut offsets, mut clock_ms) = (writers(), [5_i64, 0, 100], 1_767_571_200_000);
    let names: [Arc<str>; 3] = ["plays/0", "plays/1", "it's JSON/0"].map(Arc::from);
    let mut epoch = |_| {
        clock_ms += dice.random_range(0..4_000);
        let mut records = Vec::new();
        for (place, name) in names.iter().enumerate() {
            for _ in 0..dice.random_range(0..5) {
                offsets[place] += dice.random_range(1..4);
                let schema = usize::from(offsets[place] / 12 % 2 == 1);
                let (writer, datum) = match place {
                    2 => (None, format!(r#"{{"n":{}}}"#, offsets[2]).into_bytes()),
                    // `at` is 3; `on` is "x".
                    _ if schema == 1 => (Some(Arc::clone(&writers[1])), vec![6, 2, 2, b'x']),
                    _ => (Some(Arc::clone(&writers[0])), vec![6]),
                };
                let (partition, offset) = (Arc::clone(name), offsets[place]);
                records.push(Archived { partition, offset, clock_ms, writer, datum });
            }
        }
        records
    };
    (0..epochs).map(&mut epoch).collect()
}

/// Epochs as commits that begin after one, several merged into one by chance.
fn commits(history: &[Vec<Archived>], after: u64, dice: &mut ChaCha8Rng) -> Vec<Commit> {
    let (mut commits, mut follows, mut archived) = (Vec::new(), after, Vec::new());
    let last = 2 * history.len() as u64;
    for (epoch, records) in (1..).map(|number| 2 * number).zip(history).filter(|(epoch, _)| *epoch > after) {
        archived.extend(records.iter().cloned());
        if epoch == last || dice.random_range(0..3) > 0 {
            // Workers deliver in no order.
            archived.reverse();
            let clock_ms = records.last().map_or(1_767_571_200_000, |record| record.clock_ms);
            let positions = BTreeMap::from([("plays/0".to_owned(), 7)]);
            let watermarks = Watermarks::of_shop(epoch as i64);
            let (deltas, appends) = (BTreeMap::new(), BTreeMap::new());
            let archived = std::mem::take(&mut archived);
            let clean = BTreeMap::new();
            let pieces = Vec::new();
            commits.push(Commit {
                follows,
                epoch,
                clock_ms,
                watermarks,
                positions,
                deltas,
                appends,
                clean,
                archived,
                pieces,
            });
            follows = epoch;
        }
    }
    commits
}

fn settings(dice: &mut ChaCha8Rng) -> Config {
    let (rows, archive_interval) = (dice.random_range(1..9), dice.random_range(1..20) * 1_000);
    Config { rows, archive_interval, ..Config::default() }
}

fn on(disk: &SimulatedDisk, settings: &Config) -> Result<Archive, StoreError> {
    Ok(Archive::on(all(), Arc::new(Local::on(disk.clone(), ROOT)?), settings))
}

fn claim(sink: &mut Archive, generation: u64) -> Result<Claim, SinkError> {
    sink.claim(MadeBy::Run, Some(&Claim { pipeline_id: PIPELINE.to_owned(), generation }))
}

/// The files, by their names.
fn files(disk: &SimulatedDisk) -> BTreeMap<String, Vec<u8>> {
    let store = Local::on(disk.clone(), ROOT).expect("opens");
    let keys = store.list("").expect("lists").into_iter().filter(|key| key.ends_with(".parquet"));
    keys.map(|key| (key.clone(), store.get(&key).expect("readable").expect("there"))).collect()
}

/// The offsets that files hold, by folder and partition; each once, and in their order within a file.
fn offsets(files: &BTreeMap<String, Vec<u8>>) -> BTreeSet<(String, i32, i64)> {
    let mut all = BTreeSet::new();
    for (key, bytes) in files {
        let reader = SerializedFileReader::new(Bytes::from(bytes.clone())).expect("Parquet");
        let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
        let rows: Vec<_> = rows.map(|row| (row.get_int(0).expect("int"), row.get_long(1).expect("long"))).collect();
        assert!(rows.is_sorted() && !rows.is_empty(), "{key}: {rows:?}");
        let folder = key.split('/').next().unwrap_or_default();
        for (partition, offset) in rows {
            assert!(all.insert((folder.to_owned(), partition, offset)), "offset {offset} is twice there, in {key}");
        }
    }
    all
}

/// Runs a history on a disk until it fails.
fn run(disk: &SimulatedDisk, settings: &Config, history: &[Vec<Archived>], by: u64) -> Result<(), SinkError> {
    let unusable = |error: StoreError| SinkError::Unavailable(error.to_string());
    let mut dice = ChaCha8Rng::seed_from_u64(by);
    let mut sink = on(disk, settings).map_err(unusable)?;
    let claim = claim(&mut sink, by)?;
    let position = sink.position()?.map_or(0, |progress| progress.epoch);
    for commit in commits(history, position, &mut dice) {
        sink.apply(&claim, &commit)?;
    }
    sink.idle(&claim, None)
}

#[test]
fn however_it_is_chopped_every_record_is_in_one_file_and_the_files_are_the_same() {
    let (mut by_rows, mut all_files) = (0, 0);
    for seed in 0..40 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (settings, history) = (settings(&mut dice), history(&mut dice, 30));
        let whole = SimulatedDisk::new();
        run(&whole, &settings, &history, 1).expect("runs");
        let expected = history.iter().flatten().map(|record| {
            let (topic, partition) = record.partition.rsplit_once('/').expect("a partition");
            let folder = if topic == "plays" { "plays" } else { "it=27s=20JSON" };
            (folder.to_owned(), partition.parse::<i32>().expect("a number"), record.offset)
        });
        let expected: BTreeSet<_> = expected.collect();
        let there = files(&whole);
        assert_eq!(offsets(&there), expected, "seed {seed}");
        let chopped = SimulatedDisk::new();
        run(&chopped, &settings, &history, 2).expect("runs");
        assert!(files(&chopped) == there, "seed {seed}: chopped otherwise, the files are others");
        let rows = |bytes: &Vec<u8>| {
            let reader = SerializedFileReader::new(Bytes::from(bytes.clone())).expect("Parquet");
            usize::try_from(reader.metadata().file_metadata().num_rows()).expect("a number")
        };
        assert!(there.values().all(|bytes| rows(bytes) <= settings.rows), "seed {seed}");
        by_rows += there.values().filter(|bytes| rows(bytes) == settings.rows).count();
        all_files += there.len();
    }
    assert!(by_rows > 100 && all_files - by_rows > 100, "{by_rows} of {all_files} were closed for their rows");
}

#[test]
fn names_are_uuids_of_pipeline_partition_and_first_offset() {
    let disk = SimulatedDisk::new();
    let record = |partition: &str, offset: i64| {
        let partition = Arc::from(partition);
        Archived { partition, offset, clock_ms: 9, writer: None, datum: b"{}".to_vec() }
    };
    let history = [vec![record("plays/0", 3), record("plays/0", 4), record("plays/0", 6), record(".odd/1", 0)]];
    run(&disk, &Config { rows: 2, ..Config::default() }, &history, 1).expect("runs");
    // python3 -c 'import uuid; print(uuid.uuid5(uuid.UUID("0f4e6a5e-96a0-4c2b-8a58-1f6f7c1d2e3a"), "plays/0/3"))'
    let named: Vec<_> = files(&disk).into_keys().collect();
    let expected = NAMES.map(str::to_owned);
    assert_eq!(named, expected);
}

/// In the order of the folders: a topic's first dot is written otherwise.
const NAMES: [&str; 3] = [
    "=2Eodd/85d3d8fe-a5e4-5cec-aaee-443e38c87a7e.parquet",
    "plays/2ef57a07-383e-5914-b456-184afaa7ea17.parquet",
    "plays/66355fea-0217-5dff-b653-cd179bcb706d.parquet",
];

#[test]
fn crashed_at_any_step_it_goes_on_to_the_same_files() {
    for seed in 0..3 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (settings, history) = (settings(&mut dice), history(&mut dice, 8));
        let whole = SimulatedDisk::new();
        run(&whole, &settings, &history, 1).expect("runs");
        let whole = files(&whole);
        for after in (seed..).step_by(if seed == 0 { 1 } else { 5 }) {
            let disk = SimulatedDisk::new();
            disk.fail_after(after);
            let ran = run(&disk, &settings, &history, 1);
            let disk = if dice.random() { disk.crash(after) } else { disk.restart(after) };
            // What is visible then is visible once.
            let before = offsets(&files(&disk));
            // It crashes a second time, at some step of going on.
            disk.fail_after(dice.random_range(0..200));
            run(&disk, &settings, &history, 2).ok();
            let disk = disk.crash(after + 1);
            let between = offsets(&files(&disk));
            assert!(between.is_superset(&before), "seed {seed}, step {after}: what was visible is gone");
            run(&disk, &settings, &history, 3).expect("runs");
            assert!(files(&disk) == whole, "seed {seed}, step {after}: other files");
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
fn a_file_is_closed_when_nothing_comes_and_when_settings_change_no_record_is_lost() {
    let disk = SimulatedDisk::new();
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let history = history(&mut dice, 12);
    let settings = Config { rows: 1_000, archive_interval: 3_600_000, ..Config::default() };
    let mut sink = on(&disk, &settings).expect("opens");
    let by = claim(&mut sink, 1).expect("claims");
    let all = commits(&history, 0, &mut dice);
    let (first, second) = all.split_at(all.len() / 2);
    first.iter().for_each(|commit| sink.apply(&by, commit).expect("applies"));
    let closed = files(&disk).len();
    sink.idle(&by, Some(Duration::from_secs(600))).expect("looks");
    assert_eq!(files(&disk).len(), closed, "an hour is not over");
    sink.idle(&by, Some(Duration::from_secs(3_700))).expect("closes");
    let count = |commits: &[Commit]| commits.iter().map(|commit| commit.archived.len()).sum::<usize>();
    assert_eq!(offsets(&files(&disk)).len(), count(first));
    // What is there already, from before a rebuild, is not taken again.
    let mut beside = on(&disk, &Config { rows: 3, ..settings }).expect("opens").beside(100);
    let by = claim(&mut beside, 2).expect("claims");
    let (at, mut follows) = (beside.position().expect("asks").expect("claimed").epoch, 100);
    assert_eq!(at, 100);
    for commit in first.iter().chain(second) {
        let epoch = commit.epoch + 100;
        beside.apply(&by, &Commit { follows, epoch, ..commit.clone() }).expect("applies");
        follows = epoch;
    }
    beside.idle(&by, None).expect("closes");
    assert_eq!(offsets(&files(&disk)).len(), count(&all));
    let mut reader = on(&disk, &Config::default()).expect("opens");
    let at = reader.position().expect("asks").expect("claimed").epoch;
    assert_eq!(at, first.last().expect("commits").epoch, "nobody has published it yet");
}

#[test]
fn who_was_superseded_writes_nothing_more() {
    let disk = SimulatedDisk::new();
    let mut dice = ChaCha8Rng::seed_from_u64(4);
    let history = history(&mut dice, 4);
    let all = commits(&history, 0, &mut dice);
    let mut first = on(&disk, &Config::default()).expect("opens");
    let by_first = claim(&mut first, 1).expect("claims");
    first.apply(&by_first, &all[0]).expect("applies");
    let mut second = on(&disk, &Config::default()).expect("opens");
    let by_second = claim(&mut second, 2).expect("claims");
    let error = first.apply(&by_first, &all[1]).expect_err("superseded");
    assert!(matches!(error, SinkError::Fenced { .. }), "{error}");
    assert!(first.idle(&by_first, None).is_err() && files(&disk).is_empty());
    all[1..].iter().for_each(|commit| second.apply(&by_second, commit).expect("applies"));
    second.idle(&by_second, None).expect("closes");
    assert_eq!(offsets(&files(&disk)).len(), history.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn a_place_with_something_else_is_left_alone() {
    let disk = SimulatedDisk::new();
    Local::on(disk.clone(), ROOT).expect("opens").put("mine.txt", b"1").expect("put");
    let error = claim(&mut on(&disk, &Config::default()).expect("opens"), 1).expect_err("refused");
    assert!(error.to_string().contains("holds something else (`mine.txt`)"), "{error}");
}
