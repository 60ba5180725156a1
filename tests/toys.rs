//! A second family, built from its folder: a toy library beside the movie shop, in one pipeline and on its own time.
//!
//! It comes in bursts with ten days between them, and is late by half an hour: whatever it does, the shop's tables are
//! what they are without it.

mod events;
mod family;
mod metrics;

use crate::oracle::{self, Span};
use crate::quality;
use crate::support::{self, HOUR_MS, MINUTE_MS, MONDAY_MS, Options, Oracle};
use dataflows::family::Catalogue;
use dataflows::raw::REJECTED_EVENTS;
use dataflows::shop::MovieShop;
use dataflows::table::Value;
use dataflows::time::{DAY_MS, WATERMARK_STEP_MS};
use deltamart::config::retention::Retention;
use deltamart::decode::Format;
use deltamart::engine::{self, Job, Keep, Lane, Resume};
use deltamart::forget::{Named, Payloads, forget, sought};
use deltamart::instant;
use deltamart::recovery;
use deltamart::sink::memory::{Contents, Memory};
use deltamart::sink::{MadeBy, Sink, Warehouse};
use deltamart::source::script::{Script, Step};
use deltamart::source::{Partition, Source};
use deltamart::state_dir::journal::{Entry, Group};
use deltamart::state_dir::{Generation, StateDir};
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use family::{Library, TOYS, Toys};
use metrics::TOY_EVENTS;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The movie shop and the toy library.
pub fn catalogue() -> Catalogue {
    static BOTH: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(&[&MovieShop, &Toys]));
    *BOTH
}

fn settings() -> dataflows::Settings {
    dataflows::Settings { lateness_ms: Some(MINUTE_MS * 30), out_of_orderness_ms: MINUTE_MS, ..Default::default() }
}

/// The toy library in a run.
pub fn lane() -> Lane {
    Lane { family: Arc::new(Library(settings())), idle_timeout_ms: 1_000 }
}

/// Its one log.
pub fn partitions() -> Vec<Partition> {
    let (topic, format) = ("toys".to_owned(), Format::Json(None));
    vec![Partition { topic, partition: 0, family: TOYS, format, status: dataflows::operators::Status::Live }]
}

/// What happens in the library: two bursts, ten days apart; some of it late, and some of it nothing that is accepted.
pub fn steps(seed: u64) -> Vec<Step> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x70_75);
    let mut steps = Vec::new();
    for burst in [MONDAY_MS - 11 * DAY_MS, MONDAY_MS - DAY_MS] {
        let mut now = burst;
        for _ in 0..dice.random_range(0..20) {
            now += dice.random_range(0..20 * MINUTE_MS);
            let ago = if dice.random_bool(0.2) { dice.random_range(0..2 * HOUR_MS) } else { 0 };
            let json = match dice.random_range(0..14) {
                0 => "no toy".to_owned(),
                1 => view(now),
                2 => handed("toy_lent", now, 0, "ball"),
                number => {
                    let name = if number % 3 == 0 { "toy_back" } else { "toy_lent" };
                    handed(name, now - ago, dice.random_range(1..6), ["ball", "bear", "car"][number % 3])
                }
            };
            steps.push(Step::Record(0, json.into_bytes()));
        }
    }
    steps.push(Step::End);
    steps
}

fn handed(name: &str, at: i64, child: u64, toy: &str) -> String {
    let at = instant::show(at);
    format!(r#"{{"event_name":"{name}","timestamp":"{at}","child":{child},"toy":"{toy}"}}"#)
}

/// An event of the shop.
fn view(at: i64) -> String {
    let at = instant::show(at);
    format!(r#"{{"event_name":"item_view","timestamp":"{at}","user_id":1,"item_id":"7"}}"#)
}

/// Fails if any table of either family differs from what its SQL says over the accepted events.
pub fn assert_both_match_sql(contents: &Contents, shop: &dataflows::shop::Settings) {
    let watermarks = contents.progress.as_ref().expect("claimed").watermarks.clone();
    let oracle = Oracle::over_all(catalogue(), contents, &|family| {
        let at = watermarks.of(family.name());
        if family == TOYS { settings().parameters(at) } else { shop.parameters(at) }
    });
    for (table, _) in catalogue().metrics() {
        assert_eq!(contents.rows(*table), oracle.rows(*table), "`{}` differs from its SQL", table.name());
    }
}

/// Fails if a record of either family is missing, or a table differs from its SQL.
pub fn check(contents: &Contents, shop: &dataflows::shop::Settings, steps: [&[Step]; 2]) {
    let records = steps.into_iter().flatten().filter(|step| matches!(step, Step::Record(..))).count();
    let rejected = contents.rows(REJECTED_EVENTS).len();
    let raw: usize = catalogue().raw().map(|id| contents.rows(id).len()).sum();
    assert_eq!(raw + rejected, records, "every record is somewhere");
    quality::check(catalogue(), contents);
    assert_both_match_sql(contents, shop);
}

/// All rows of the shop: those of the tables that both share by the log they are from.
pub fn of_shop(contents: &Contents) -> BTreeMap<&'static str, Vec<Vec<Value>>> {
    let is_its = |row: &Vec<Value>| row[0] != Value::Text("toys".to_owned());
    let ids = catalogue().tables().iter().filter(|id| catalogue().family_of(**id) != Some(TOYS));
    ids.map(|id| (id.name(), contents.rows(*id).into_iter().filter(is_its).collect())).collect()
}

struct Shop {
    steps: Vec<Step>,
    span: Span,
    partitions: usize,
}

impl Shop {
    fn new(seed: u64) -> Shop {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let (span, history) = oracle::history(5..70).new_tree(&mut runner).expect("a history").current();
        let partitions = 1 + (seed % 3) as usize;
        Shop { steps: oracle::steps(&oracle::roughly_ordered(history, 200), partitions as u32, 5), span, partitions }
    }

    fn options(&self, workers: usize) -> Options {
        let mut options = support::options(workers);
        options.settings = self.span.settings(options.settings);
        options.take_state = false;
        options
    }

    fn script(&self, end: Step) -> Box<dyn Source> {
        let steps = self.steps.iter().cloned().chain([end]);
        Box::new(Script::new(support::partitions(self.partitions), steps).in_sequence())
    }
}

fn toys(steps: Vec<Step>) -> Box<dyn Source> {
    Box::new(Script::new(partitions(), steps).in_sequence())
}

fn run(sources: Vec<Box<dyn Source>>, options: &Options) -> Contents {
    let mut sink = Memory::of(catalogue());
    let claim = sink.claim(MadeBy::Run, None).expect("memory");
    let (stats, kept) = (Arc::default(), sink.clone());
    support::run_into(sources, Box::new(sink), claim, options.clone(), &stats).expect("runs to its end");
    kept.contents().clone()
}

#[test]
fn the_tables_of_one_family_are_the_same_beside_another() {
    let (mut late, mut rejected, mut rows) = (0, 0, 0);
    for seed in 0..u64::from(support::histories(20)) {
        let shop = Shop::new(seed);
        let alone = run(vec![shop.script(Step::End)], &shop.options(1));
        let mut options = shop.options(1 + (seed % 4) as usize);
        options.others.push(lane());
        options.commit.catalogue = catalogue();
        let both = run(vec![shop.script(Step::End), toys(steps(seed))], &options);
        assert_eq!(of_shop(&both), of_shop(&alone), "seed {seed}");
        assert_both_match_sql(&both, &options.settings);
        let of_toys = |name: &str| both.rows(catalogue().by_name(name).expect("a table")).len();
        let all = |name| of_toys(name) - of_shop(&both)[name].len();
        (late, rejected) = (late + all("late_events"), rejected + all("rejected_events"));
        rows += of_toys("toy_loans") + of_toys("toy_children");
        let records = steps(seed).len() - 1;
        assert_eq!(of_toys("toy_events") + all("rejected_events"), records, "every record is somewhere");
    }
    assert!(late > 10 && rejected > 10 && rows > 100, "{late} late, {rejected} rejected, {rows} rows");
}

/// What is read of a family that says nothing forever is nothing: every commit is what it is without it.
#[test]
fn a_family_without_an_event_leaves_every_commit_as_it_is() {
    for seed in 0..8 {
        let shop = Shop::new(seed);
        let mut options = support::one_commit_per_epoch(shop.options(1));
        options.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
        let stop = || Arc::default();
        let steps: Vec<_> = shop.steps.iter().cloned().chain([Step::Cut, Step::Stop]).collect();
        let script = |stop: &Arc<_>| -> Box<dyn Source> {
            Box::new(Script::new(support::partitions(shop.partitions), steps.clone()).stopping(stop))
        };
        let run = |options: &Options, silent: Option<Box<dyn Source>>| {
            let (mut sink, stop) = (Memory::of(catalogue()), stop());
            let claim = sink.claim(MadeBy::Run, None).expect("memory");
            let kept = sink.clone();
            let job = Job {
                sources: std::iter::once(script(&stop)).chain(silent).collect(),
                sinks: vec![(Box::new(sink), claim)],
                keep: None,
                options: options.engine(),
                resume: Resume::default(),
                stop,
                stats: Arc::default(),
            };
            engine::run(job).expect("stops");
            kept.contents().log.clone()
        };
        let alone = run(&options, None);
        options.others.push(lane());
        options.commit.catalogue = catalogue();
        let beside = run(&options, Some(toys(Vec::new())));
        assert!(!alone.is_empty());
        assert_eq!(beside, alone, "seed {seed}");
    }
}

/// A pipeline whose state is kept, and that is started again and again.
pub struct Kept {
    disk: SimulatedDisk,
    pub sink: Memory,
    lives: u32,
}

impl Kept {
    /// One that was never started.
    pub fn new(sink: Memory) -> Kept {
        Kept { disk: SimulatedDisk::new(), sink, lives: 0 }
    }

    fn dir(&self) -> StateDir {
        let store = Local::on(self.disk.clone(), "/state").expect("a folder");
        StateDir::open(Arc::new(store), None).expect("readable")
    }

    /// One life of it.
    pub fn live(&mut self, options: &Options, sources: Vec<Box<dyn Source>>) {
        self.lives += 1;
        let (dir, catalogue) = (self.dir(), options.commit.catalogue);
        let facts = support::start_of(self.lives.to_string(), options, BTreeMap::new());
        let mut sinks: Vec<Box<dyn Warehouse>> = vec![Box::new(self.sink.clone())];
        let start = recovery::start(catalogue, &dir, &mut sinks, &facts, &BTreeMap::new(), 1).expect("starts");
        let (generation, fingerprint, identities) = (start.generation, facts.fingerprint, BTreeMap::new());
        let job = Job {
            sources,
            sinks: sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect(),
            keep: Some(Keep { dir, generation, fingerprint, identities }),
            options: options.engine(),
            resume: start.resume,
            stop: Arc::default(),
            stats: Arc::default(),
        };
        engine::run(job).expect("runs to its end");
    }
}

/// Its history is older than all that the shop has ever read, and none of it is late; nor is anything of it old for
/// longer than its own time says.
#[test]
fn the_history_of_a_family_that_is_new_is_not_late() {
    for workers in [1, 3] {
        let shop = Shop::new(4);
        let mut options = shop.options(workers);
        options.commit.retention = Retention { raw: Some(DAY_MS), rejected: None, late: Some(DAY_MS) };
        let sink = Memory::of(catalogue());
        let mut kept = Kept::new(sink);
        kept.live(&options, vec![shop.script(Step::End)]);
        let before = kept.sink.contents().clone();
        assert_eq!(before.progress.as_ref().expect("claimed").watermarks.of("toys"), 0);

        options.others.push(lane());
        options.commit.catalogue = catalogue();
        let ago = |days: i64| MONDAY_MS - days * DAY_MS;
        let lent = |days| Step::Record(0, handed("toy_lent", ago(days), 7, "ball").into_bytes());
        let late = Step::Record(0, handed("toy_lent", ago(405), 7, "bear").into_bytes());
        let first = vec![lent(400), lent(399), lent(398), late, Step::End];
        kept.live(&options, vec![shop.script(Step::End), toys(first.clone())]);
        let contents = kept.sink.contents().clone();
        let is_toy = |row: &[Value]| row[0] == Value::Text("toys".to_owned());
        let rows = |name: &str| contents.rows(catalogue().by_name(name).expect("a table"));
        assert_eq!(rows("toy_loans"), [vec![Value::Text("ball".to_owned()), Value::Integer(3)]]);
        assert_eq!(of_shop(&contents), of_shop(&before), "nothing of the shop's went or came");
        // Only what is late by its own time is; and it does not go as it comes.
        assert_eq!((rows("toy_events").len(), rows("late_events").iter().filter(|row| is_toy(row)).count()), (4, 1));
        let watermarks = contents.progress.as_ref().expect("claimed").watermarks.clone();
        assert_eq!((watermarks.of("toys"), watermarks.least()), (ago(398), ago(398)));

        // What is known of both is restored, each to its own.
        let rest = first[..4].iter().cloned().chain([lent(397), lent(397), Step::End]).collect();
        kept.live(&options, vec![shop.script(Step::End), toys(rest)]);
        let contents = kept.sink.contents().clone();
        let out = contents.rows(catalogue().by_name("toy_loans").expect("a table"));
        assert_eq!(out, [vec![Value::Text("ball".to_owned()), Value::Integer(5)]]);
        // What is old is told by what was committed before: the first of the toys is, by the toys' own time.
        assert_eq!(contents.rows(TOY_EVENTS).len(), 4, "those of 399, 398, 397 and 397 days ago");
        assert_eq!(of_shop(&contents), of_shop(&before), "of the shop's nothing is older than the day that is kept");
    }
}

/// A log is of one family for as long as the state is.
#[test]
fn a_log_that_was_read_as_one_family_is_refused_as_another() {
    let as_of = |family: &str| BTreeMap::from([("toys/0".to_owned(), family.to_owned())]);
    let kept = Kept { disk: SimulatedDisk::new(), sink: Memory::of(catalogue()), lives: 0 };
    let start = |families, identities: BTreeMap<String, String>| {
        let facts = Generation { families, ..support::start_of(String::new(), &support::options(1), identities) };
        let mut sinks: Vec<Box<dyn Warehouse>> = vec![Box::new(kept.sink.clone())];
        recovery::start(catalogue(), &kept.dir(), &mut sinks, &facts, &BTreeMap::new(), 1).map(|start| start.generation)
    };
    let known = || BTreeMap::from([("toys/0".to_owned(), "its first line".to_owned())]);
    let generation = start(as_of("toys"), known()).unwrap_or_else(|why| panic!("{why}"));
    let entries = vec![Entry { epoch: 2, ..Entry::default() }];
    kept.dir().journal(generation, &Group { follows: 0, follows_generation: None, entries }).expect("written");
    start(as_of("toys"), known()).unwrap_or_else(|why| panic!("{why}"));
    let Err(why) = start(as_of("shop"), known()) else { panic!("it is refused") };
    for part in ["`toys/0`", "as family `toys`", "given as family `shop`"] {
        assert!(why.to_string().contains(part), "{part}: {why}");
    }
}

#[test]
fn who_is_forgotten_is_forgotten_in_each_family() {
    let shop = Shop::new(6);
    let mut options = shop.options(2);
    options.others.push(lane());
    options.commit.catalogue = catalogue();
    let sink = Memory::of(catalogue());
    let mut kept = Kept::new(sink);
    let lent = |child, minutes: i64| {
        let json = handed("toy_lent", MONDAY_MS + minutes * MINUTE_MS, child, "bear");
        Step::Record(0, json.into_bytes())
    };
    let mut steps = vec![lent(77, 0), lent(5, 1), lent(5, 2)];
    kept.live(&options, vec![shop.script(Step::End), toys(steps.iter().cloned().chain([Step::End]).collect())]);
    let before = kept.sink.contents().clone();
    let mut sinks: [Box<dyn Warehouse>; 1] = [Box::new(kept.sink.clone())];
    let (payloads, sought) = (Payloads::new(None), sought(catalogue(), "77", None));
    let named = Named::new(catalogue(), &sought, &payloads);
    let forgotten = forget(catalogue(), &kept.dir(), &mut sinks, &named, support::CLOCK_MS, 1).expect("forgets");
    assert!(forgotten.records > 0);
    let table = |name: &str| catalogue().by_name(name).expect("a table");
    let children = |contents: &Contents| -> Vec<_> {
        contents.rows(table("toy_events")).into_iter().map(|row| row[5].clone()).collect()
    };
    assert_eq!(children(&before), [77, 5, 5].map(Value::Integer));
    let contents = kept.sink.contents().clone();
    let is_nobody = |child: &Value| matches!(child, Value::Integer(id) if *id < 0);
    assert!(is_nobody(&children(&contents)[0]), "{contents:?}");
    assert_eq!(children(&contents)[1..], [5, 5].map(Value::Integer));
    assert_eq!(of_shop(&contents), of_shop(&before));
    assert_eq!(contents.rows(table("toy_children")), before.rows(table("toy_children")), "counts stand");
    // It goes on, and the one who was forgotten may come again.
    steps.extend([lent(77, 3), lent(5, 4), Step::End]);
    kept.live(&options, vec![shop.script(Step::End), toys(steps)]);
    let tumbling = kept.sink.contents().rows(table("toy_children"));
    let hour = tumbling.iter().find(|row| row[0] == Value::Text("tumbling".to_owned())).expect("an hour");
    assert_eq!(hour[2], Value::Integer(3), "nobody, the other, and who came again");
}
