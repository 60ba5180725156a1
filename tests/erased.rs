//! Somebody of a declared family is forgotten in the middle of its history: every table is still what its SQL says of the
//! raw rows, in every sink, whatever comes afterwards, and whatever was broken off.

use crate::dice::Dice;
use crate::support::{self, Call, HOUR_MS, Hooked, MONDAY_MS, Options, Oracle};
use dataflows::declared::family::{Made, WithSettings};
use dataflows::declared::plan::{Column, Family as Plan, Literal, Once, Type};
use dataflows::declared::reading::{Case, Empty, Reader, Reading, Takes};
use dataflows::family::{Catalogue, Family, FamilyId};
use dataflows::persons::{Id, Renaming};
use dataflows::raw::LATE_EVENTS;
use dataflows::shop::MovieShop;
use dataflows::table::{Role, TableId, Value};
use dataflows::{Settings, Time};
use deltamart::config::feed::Feed;
use deltamart::decode::Format;
use deltamart::engine::{self, Job, Keep, Lane};
use deltamart::forget::{Named, Payloads, forget, sought};
use deltamart::instant;
use deltamart::model::load::known;
use deltamart::model::types::compile;
use deltamart::recovery::{self, StartError};
use deltamart::sink::memory::Memory;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Sink, SinkError, Warehouse};
use deltamart::source::script::{Script, Step};
use deltamart::source::{Partition, Source};
use deltamart::state_dir::StateDir;
use deltamart::store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tempfile::TempDir;

const COLUMNS: [(&str, Type, bool); 6] = [
    ("t", Type::Instant, false),
    ("who", Type::Text, false),
    ("a", Type::Number(0), true),
    ("m", Type::Number(2), false),
    ("s", Type::Text, true),
    ("note", Type::Text, true),
];
const WHO: usize = 1;
const NOTE: usize = 5;

/// In each of these the person stands as it may.
const METRICS: [&str; 6] = [
    "-- One row per person. Kept for ever.\nSELECT who, count(*) AS n, sum(m) AS total, min(s) AS first_s, max(t) AS last FROM things GROUP BY who",
    "-- One row per day.\nSELECT date_trunc('day', t) AS day, count(*) AS n, count(who) AS named, count(DISTINCT who) AS persons, sum(m) AS total FROM things GROUP BY day",
    "-- One row per text. Kept for ever.\nSELECT coalesce(s, '') AS label, count(DISTINCT who) AS persons, count(DISTINCT who) FILTER (WHERE a > 0) AS several, min_by(a, t) AS first_a FROM things GROUP BY label",
    "-- One row per person and hour.\nSELECT who, date_trunc('hour', t) AS hour, count(*) AS n, sum(a) AS all_a, is_final() AS is_final FROM things WHERE who IS NOT NULL GROUP BY who, hour",
    "-- One row per hour with two.\nSELECT date_trunc('hour', t) AS hour, count(DISTINCT who) AS persons, max(s) AS last_s FROM things GROUP BY hour HAVING persons > 1",
    "-- One row per text and person. Kept for ever.\nSELECT coalesce(s, '') AS label, who, count(DISTINCT a) AS n FROM things GROUP BY label, who",
];

/// The family, with persons that are texts or numbers; some of its metrics.
fn made(dice: &mut Dice, is_text: bool) -> &'static Made {
    let who = if is_text { Type::Text } else { Type::Number(0) };
    let column = |(place, (name, ty, nullable)): (usize, (&str, Type, bool))| {
        let (name, doc, ty) = (name.to_owned(), "What it is, UTC.".to_owned(), if place == WHO { who } else { ty });
        Column { name, doc, ty, nullable, is_personal: place == NOTE }
    };
    let reading = |(place, (column, ty, nullable)): (usize, (&'static str, Type, bool))| {
        let takes = match if place == WHO { who } else { ty } {
            Type::Boolean => Takes::Boolean,
            Type::Number(decimals) => Takes::Number(decimals, (if place == WHO { 0 } else { i64::MIN }, i64::MAX)),
            Type::Instant => Takes::Instant,
            Type::Text => Takes::Text { case: Case::Kept, one_of: None, is_person: place == WHO },
        };
        let empty = if nullable { Empty::Is(Literal::Null) } else { Empty::Rejected };
        Reading { column, from: vec![column], takes, empty }
    };
    let mut plan = Plan {
        name: "things".to_owned(),
        doc: "One row per thing.".to_owned(),
        columns: COLUMNS.into_iter().enumerate().map(column).collect(),
        time: 0,
        person: Some(WHO),
        once: (dice.of(2) == 0).then(|| Once { of: (0..COLUMNS.len()).filter(|place| *place != NOTE).collect() }),
        metrics: Vec::new(),
    };
    let chosen: Vec<&str> = METRICS.into_iter().filter(|_| dice.of(3) > 0).collect();
    let metrics = chosen.iter().enumerate().map(|(n, text)| {
        let (_, metric) = compile(&format!("metric{n}"), text, std::slice::from_ref(&plan)).expect("it is a metric");
        metric
    });
    let metrics: Vec<_> = metrics.collect();
    let known = metrics.iter().map(|of| known(&plan, of));
    let known = known.collect();
    plan.metrics = metrics;
    let readings = COLUMNS.into_iter().enumerate().map(reading).collect();
    let reader = Reader::of("things", readings, 0, Some(WHO)).expect("no field is read twice");
    Made::leaked(plan, known, Box::leak(Box::new(reader)))
}

/// What happens: mostly in order, some of it late, twice, or nothing that is accepted.
fn steps(dice: &mut Dice, persons: &[&str]) -> Vec<Step> {
    let (mut now, mut steps, mut said) = (MONDAY_MS, Vec::new(), Vec::<String>::new());
    for _ in 0..20 + dice.of(60) {
        now += dice.of(3) as i64 * dice.of(HOUR_MS as u64) as i64;
        let ago = if dice.of(4) == 0 { dice.of(6 * HOUR_MS as u64) as i64 } else { 0 };
        let json = match dice.of(8) {
            0 | 1 if !said.is_empty() => said[dice.of(said.len() as u64) as usize].clone(),
            2 => format!(r#"{{"t":"never","who":"{}"}}"#, dice.one(persons)),
            _ => {
                let a = dice.one(&["null", "0", "1", "-1", "7", "9"]);
                let (s, note) = (dice.one(&["null", "\"x\"", "\"y\""]), dice.one(&["null", "\"blue\"", "\"red\""]));
                let (at, who, m) = (instant::show(now - ago), dice.one(persons), dice.of(500));
                format!(r#"{{"t":"{at}","who":"{who}","a":{a},"m":"{m}.25","s":{s},"note":{note}}}"#)
            }
        };
        said.push(json.clone());
        steps.push(Step::Record(dice.of(2) as u32, json.into_bytes()));
        if dice.of(6) == 0 {
            steps.push(Step::Cut);
        }
    }
    steps
}

/// A pipeline with three sinks that are files, or in memory, and its state.
struct Pipeline {
    folder: TempDir,
    catalogue: Catalogue,
    made: &'static Made,
    memory: Memory,
    lives: u32,
}

impl Pipeline {
    fn dir(&self) -> StateDir {
        let place = self.folder.path().join("state").display().to_string();
        StateDir::open(store::open(&place).expect("opens"), None).expect("opens")
    }

    fn sinks(&self) -> Vec<Box<dyn Warehouse>> {
        let feed =
            Feed { path: self.folder.path().join("feed").display().to_string(), merge_runs: 2, ..Feed::default() };
        vec![
            Box::new(Sqlite::open(self.catalogue, &self.folder.path().join("all.db")).expect("opens")),
            Box::new(Parquet::open(self.catalogue, &feed).expect("opens")),
            Box::new(self.memory.clone()),
        ]
    }

    fn live(&mut self, options: &Options, steps: &[Step]) {
        self.lives += 1;
        let (dir, mut sinks) = (self.dir(), self.sinks());
        let facts = support::start_of(self.lives.to_string(), options, BTreeMap::new());
        let start = recovery::start(self.catalogue, &dir, &mut sinks, &facts, &BTreeMap::new(), 1).expect("starts");
        let partition = |partition| Partition {
            topic: "things".to_owned(),
            partition,
            family: FamilyId(self.made),
            format: Format::Json(None),
            status: dataflows::operators::Status::Live,
        };
        let script = Script::new((0..2).map(partition).collect(), steps.iter().cloned().chain([Step::End]));
        let nothing: Box<dyn Source> = Box::new(Script::new(support::partitions(1), [Step::End]));
        let (generation, fingerprint, identities) = (start.generation, facts.fingerprint, BTreeMap::new());
        let job = Job {
            sources: vec![nothing, Box::new(script)],
            sinks: sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect(),
            keep: Some(Keep { dir, generation, fingerprint, identities }),
            options: options.engine(),
            resume: start.resume,
            stop: Arc::default(),
            stats: Arc::default(),
        };
        engine::run(job).expect("runs to its end");
    }

    /// Forgets somebody; breaks off before or after one of the calls of the sinks that change something.
    fn forget(&self, who: &str, broken_off: Option<(usize, bool)>, threads: usize) -> Result<(), StartError> {
        let calls = Arc::new(AtomicUsize::new(0));
        let changes = |call: Call<'_>| matches!(call, Call::Claim | Call::Apply(..) | Call::Scrub);
        let failed = || Err(SinkError::Failed("broken off".to_owned()));
        let hooked = |sink: Box<dyn Warehouse>| -> Box<dyn Warehouse> {
            let (before, after) = (Arc::clone(&calls), Arc::clone(&calls));
            let hooked = Hooked::before(sink, move |call| {
                let number = if changes(call) { before.fetch_add(1, Relaxed) } else { usize::MAX };
                if broken_off == Some((number, true)) { failed() } else { Ok(()) }
            });
            Box::new(hooked.after(move |call| {
                let is_now = changes(call) && broken_off == Some((after.load(Relaxed).wrapping_sub(1), false));
                if is_now { failed() } else { Ok(()) }
            }))
        };
        let mut sinks: Vec<_> = self.sinks().into_iter().map(hooked).collect();
        let (payloads, sought) = (Payloads::new(None), sought(self.catalogue, who, Some(FamilyId(self.made))));
        let named = Named::new(self.catalogue, &sought, &payloads);
        forget(self.catalogue, &self.dir(), &mut sinks, &named, support::MONDAY_MS, threads).map(drop)
    }

    /// The rows of all tables, sink by sink the same.
    fn rows(&self, context: &str) -> BTreeMap<TableId, Vec<Vec<Value>>> {
        let mut sinks = self.sinks();
        let mut rows = |id: TableId| {
            let of_each = sinks.iter_mut().map(|sink| sink.page(id, None, usize::MAX >> 1).expect("readable"));
            let of_each: Vec<_> = of_each.collect();
            assert!(of_each.windows(2).all(|pair| pair[0] == pair[1]), "{context}: `{}`: {of_each:#?}", id.name());
            of_each.into_iter().next().unwrap_or_default()
        };
        self.catalogue.tables().iter().map(|id| (*id, rows(*id))).collect()
    }

    /// The rows of all tables in the first sink: what was broken off may be done there, and not in others.
    fn rows_of_first(&self) -> BTreeMap<TableId, Vec<Vec<Value>>> {
        let mut first = self.sinks().swap_remove(0);
        let mut rows = |id: &TableId| (*id, first.page(*id, None, usize::MAX >> 1).expect("readable"));
        self.catalogue.tables().iter().map(&mut rows).collect()
    }

    /// That every table is what its SQL says over the raw rows, in every sink.
    fn verify(&self, lane: &Settings, context: &str) {
        let rows = self.rows(context);
        let contents = self.memory.contents().clone();
        let watermark = contents.progress.as_ref().expect("claimed").watermarks.of("things");
        let shop = support::options(1).settings.clone();
        let oracle = Oracle::over_all(self.catalogue, &contents, &|family| match family.name() {
            "things" => lane.parameters(watermark),
            _ => shop.parameters(watermark),
        });
        for (n, table) in self.made.tables().iter().enumerate() {
            let (plan, once) = (&self.made.plan().metrics[n], &self.made.plan().once);
            assert_eq!(rows[table], oracle.rows(*table), "{context}: {plan:?}\n{once:?}");
        }
    }

    /// That nothing names somebody, and nothing else is gone.
    fn names_nobody(&self, who: &str, before: &BTreeMap<TableId, Vec<Vec<Value>>>, context: &str) {
        let person = self.made.person(who).expect("an id");
        let after = self.rows(context);
        for (id, rows) in &after {
            assert!(!rows.iter().any(|row| id.table().names(row, &person)), "{context}: `{}`", id.name());
            let in_bytes = |value: &Value| matches!(value, Value::Bytes(bytes) if is_within(who, bytes));
            assert!(!rows.iter().flatten().any(in_bytes), "{context}: `{}`", id.name());
            let stays = matches!(id.table().role, Role::Raw { .. } | Role::Late { .. });
            assert!(!stays || rows.len() == before[id].len(), "{context}: `{}`", id.name());
        }
        let (raw, table) = (self.made.raw_table(), self.made.raw_table().table());
        for (was, is) in before[&raw].iter().zip(&after[&raw]) {
            let (person_at, note_at) = (table.key_columns + WHO, table.key_columns + NOTE);
            let mut expected = was.clone();
            if table.names(was, &person) {
                assert!(table.is_nobodys(is), "{context}: {is:?}");
                (expected[person_at], expected[note_at]) = (is[person_at].clone(), Value::Null);
            }
            assert_eq!(*is, expected, "{context}");
        }
        let dir = self.dir();
        let snapshot = dir.newest_snapshot(&dir.chain().expect("readable"), Time::MAX).expect("readable").expect("one");
        let renaming = Renaming::new(person.clone(), person.nobody(0));
        for mut section in dir.read_snapshot(self.catalogue, &snapshot, 1).expect("readable") {
            let kept = self.catalogue.kept(&section.name).expect("ours");
            assert_eq!(kept.forget(&mut section, &renaming), Ok(0), "{context}: {}", section.name);
        }
        assert_eq!(dir.begun().expect("readable"), []);
    }
}

fn is_within(who: &str, bytes: &[u8]) -> bool {
    let quoted = format!("\"who\":\"{who}\"");
    bytes.windows(quoted.len()).any(|part| part == quoted.as_bytes())
}

#[test]
fn whoever_is_forgotten_in_the_middle_tables_are_what_their_sql_says() {
    // Each has files of its own, and is started and ended a dozen times.
    let most = if support::is_sweep() { u64::MAX } else { 6 };
    let histories = u64::from(support::histories(12)).min(most);
    let (mut broken, mut repeated, mut late, mut nobodys) = (0, 0, 0, BTreeSet::new());
    for seed in 1..=histories {
        let mut dice = Dice::of_seed(seed);
        let is_text = seed % 2 == 0;
        let persons: &[&str] =
            if is_text { &["alice", "Bob", "7", "0", "eve: 1"] } else { &["7", "0", "77", "8", "1"] };
        let made = made(&mut dice, is_text);
        let steps = steps(&mut dice, persons);
        let catalogue = Catalogue::of(&[&MovieShop, made]);
        let mut options = support::options(1);
        options.commit.catalogue = catalogue;
        options.take_state = false;
        let lane = Settings { forget: dice.of(4) > 0, ..options.settings.lane.clone() };
        options
            .others
            .push(Lane { family: Arc::new(WithSettings { family: made, lane: lane.clone() }), idle_timeout_ms: 1_000 });
        let folder = tempfile::tempdir().expect("a folder");
        let mut pipeline = Pipeline { folder, catalogue, made, memory: Memory::of(catalogue), lives: 0 };
        let mut read = 0;
        for life in 0..4 {
            options.workers = 1 + dice.of(4) as usize;
            read = if life == 3 { steps.len() } else { read + dice.of((steps.len() - read) as u64 + 1) as usize };
            pipeline.live(&options, &steps[..read]);
            let context = format!("seed {seed}, life {life}");
            pipeline.verify(&lane, &context);
            let who = dice.one(persons);
            if dice.of(3) == 0 {
                // Of three sinks each is claimed, changed and scrubbed.
                let result = pipeline.forget(who, Some((dice.of(9) as usize, dice.of(2) == 0)), 1);
                let is_broken_off = matches!(result, Err(StartError::Sink(SinkError::Failed(_))));
                assert!(is_broken_off, "{context}: {result:?}");
                assert!(pipeline.dir().begun().expect("readable").len() < 2);
                broken += 1;
                if life < 3 || dice.of(2) == 0 {
                    read += dice.of((steps.len() - read) as u64 + 1) as usize;
                    options.workers = 1 + dice.of(4) as usize;
                }
                pipeline.live(&options, &steps[..read]);
            }
            let before = pipeline.rows_of_first();
            pipeline.forget(who, None, 1 + dice.of(3) as usize).expect("it is done");
            let context = format!("{context}, without {who}");
            pipeline.names_nobody(who, &before, &context);
            pipeline.verify(&lane, &context);
            repeated +=
                usize::from(before[&made.raw_table()].iter().any(|row| made.raw_table().table().is_nobodys(row)));
        }
        let rows = pipeline.rows("at the end");
        late += rows[&LATE_EVENTS].len();
        let place = made.raw_table().table().key_columns + WHO;
        nobodys.extend(rows[&made.raw_table()].iter().map(|row| row[place].clone()).filter(|who| match who {
            Value::Text(who) => Id::Text(who.clone()).is_nobody(),
            Value::Integer(who) => *who < 0,
            Value::Null
            | Value::Boolean(_)
            | Value::Instant(_)
            | Value::Cents(_)
            | Value::Milli(_)
            | Value::Share(_)
            | Value::Bytes(_) => false,
        }));
    }
    println!(
        "{histories} histories: {broken} broken off, {repeated} repeated, {late} late, {} nobodies",
        nobodys.len()
    );
    assert!(broken > 0 && repeated > 0 && late > 0 && nobodys.len() > histories as usize, "{broken} {repeated} {late}");
}

/// Where it is kept is not asked: only that it is there.
#[test]
fn a_folder_of_files_has_nobody_who_was_forgotten() {
    let mut dice = Dice::of_seed(5);
    let made = made(&mut dice, true);
    let catalogue = Catalogue::of(&[&MovieShop, made]);
    let mut options = support::options(2);
    options.commit.catalogue = catalogue;
    options.take_state = false;
    let lane = options.settings.lane.clone();
    options.others.push(Lane { family: Arc::new(WithSettings { family: made, lane }), idle_timeout_ms: 1_000 });
    let folder = tempfile::tempdir().expect("a folder");
    let mut pipeline = Pipeline { folder, catalogue, made, memory: Memory::of(catalogue), lives: 0 };
    let record = |who: &str, note: &str| {
        let json = format!(r#"{{"t":"2026-01-05T10:00:00Z","who":"{who}","m":"1.00","note":"{note}"}}"#);
        Step::Record(0, json.into_bytes())
    };
    pipeline
        .live(&options, &[record("zaphod-who-goes", "beeblebrox-goes"), record("trillian-who-stays", "astra-stays")]);
    let names = |what: &str| files_with(pipeline.folder.path(), what.as_bytes());
    for what in ["zaphod-who-goes", "beeblebrox-goes", "trillian-who-stays", "astra-stays"] {
        assert!(names(what) > 0, "{what}");
    }
    pipeline.forget("zaphod-who-goes", None, 1).expect("it is done");
    assert_eq!(["zaphod-who-goes", "beeblebrox-goes"].map(names), [told_to_followers(made), 0]);
    assert!(["trillian-who-stays", "astra-stays"].map(names).iter().all(|files| *files > 0));
}

/// In the feed those who follow it are told which keys are gone: one file for each table that has the person in its key.
fn told_to_followers(made: &Made) -> usize {
    let keyed = |id: &&TableId| id.table().columns.iter().any(|column| column.person.is_some());
    made.tables().iter().filter(keyed).count()
}

fn files_with(folder: &Path, what: &[u8]) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let count = |path: std::path::PathBuf| match path.is_dir() {
        true => files_with(&path, what),
        false => {
            let bytes = std::fs::read(&path).expect("a file");
            usize::from(bytes.windows(what.len()).any(|part| part == what))
        }
    };
    entries.map(count).sum()
}
