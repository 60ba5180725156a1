//! Tables that are new, gone, renamed or computed otherwise from start to start, of a declared family and of the shop, while
//! history goes on and the process is killed anywhere. Whatever happened, a start that comes to its end leaves every sink with
//! what the SQL of its tables says of the raw rows.
//!
//! `DELTAMART_CHANGE_SEED=7` repeats one history; `DELTAMART_CHANGES=2000` runs so many.

use crate::crashes::written;
use crate::declared::{once, reader, script, steps, things};
use crate::dice::Dice;
use crate::oracle;
use crate::support::mortal::{Fate, Life};
use crate::support::{self, Options, Oracle, histories};
use dataflows::Settings;
use dataflows::declared::family::{Made, WithSettings};
use dataflows::declared::plan::Once;
use dataflows::family::{Catalogue, FamilyId};
use dataflows::shop::MovieShop;
use dataflows::table::{TableId, Tables, Value};
use deltamart::change::raw::Told;
use deltamart::change::{self, Asked, Due, Gone};
use deltamart::config::retention::Retention;
use deltamart::engine::{self, Job, Keep, Lane};
use deltamart::families::SHOP;
use deltamart::fingerprint;
use deltamart::model::load::known;
use deltamart::model::types::compile;
use deltamart::recovery::{self, Past};
use deltamart::sink::Sink;
use deltamart::sink::memory::{Contents, Memory};
use deltamart::source::Source;
use deltamart::source::script::{Script, Step};
use deltamart::state_dir::{Generation, StateDir};
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use deltamart::turns::Turns;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// What the tables are at a start.
#[derive(Clone)]
struct Model {
    made: &'static Made,
    catalogue: Catalogue,
    shop: Tables,
    session_timeout_ms: Option<i64>,
}

/// What outlives a process.
struct World {
    disk: SimulatedDisk,
    sinks: Vec<Memory>,
    once: Option<Once>,
    of_shop: Vec<Step>,
    of_things: Vec<Step>,
    is_sequence: bool,
    options: Options,
    lane: Settings,
    /// The second sink is not there.
    is_alone: bool,
    /// What is done with rows that cannot be computed again.
    gone: Gone,
    /// Tables that count what is kept.
    of_what_is_kept: Mutex<BTreeSet<TableId>>,
}

#[derive(Default)]
struct Tally {
    histories: u64,
    killed: u64,
    computed: u64,
    ended: u64,
    rows: u64,
    shapes: u64,
    /// Tables that are whole from an instant on.
    since: u64,
    /// Starts that were refused, because raw rows are gone.
    refused: u64,
}

impl Model {
    /// Some of the texts under some of three names, and some tables of the shop.
    fn drawn(dice: &mut Dice, texts: &[String], once: Option<&Once>, before: Option<&Model>) -> Model {
        let mut family = things(once.cloned());
        let mut left: Vec<&String> = texts.iter().collect();
        for name in ["metric0", "metric1", "metric2"] {
            if dice.of(4) == 0 {
                continue;
            }
            let text = left.remove(dice.of(left.len() as u64) as usize);
            let (_, metric) =
                compile(name, text, std::slice::from_ref(&things(once.cloned()))).expect("it was compiled");
            family.metrics.push(metric);
        }
        let known = family.metrics.iter().map(|metric| known(&family, metric)).collect();
        let made = Made::leaked(family, known, reader());
        let catalogue = Catalogue::of(&[&MovieShop, made]);
        let shop = match before {
            // Mostly one thing changes at a time.
            Some(before) if dice.of(2) == 0 => before.shop.clone(),
            _ => SHOP.metrics().into_iter().map(|(id, _)| id).filter(|_| dice.of(3) > 0).collect(),
        };
        let session_timeout_ms = Some(if dice.of(4) == 0 { 2 } else { 4 } * support::HOUR_MS);
        Model { made, catalogue, shop, session_timeout_ms }
    }

    fn options(&self, world: &World) -> Options {
        let mut options = world.options.clone();
        options.commit.catalogue = self.catalogue;
        options.settings.lane.tables = self.shop.clone();
        options.settings.session_timeout_ms = self.session_timeout_ms;
        let family = Arc::new(WithSettings { family: self.made, lane: world.lane.clone() });
        options.others.push(Lane { family, idle_timeout_ms: 1_000 });
        options
    }

    /// The tables that are kept.
    fn tables(&self) -> BTreeSet<TableId> {
        let of_shop = SHOP.metrics().into_iter().map(|(id, _)| id);
        of_shop.filter(|id| self.shop.contains(*id)).chain(self.made.tables().iter().copied()).collect()
    }
}

/// One life: whatever is due before, then a run over what has happened so far.
fn live(
    world: &World,
    model: &Model,
    (of_shop, of_things): (usize, usize),
    (workers, seed): (usize, u64),
    fate: Fate,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    let life = Life::of(&world.disk, fate);
    for turn in 0.. {
        assert!(turn < 6, "seed {seed}: something is due again and again");
        let dir = StateDir::open(Arc::new(Local::on(world.disk.clone(), "/state")?), None)?;
        let mut options = model.options(world);
        options.workers = workers;
        let there = if world.is_alone { 1 } else { world.sinks.len() };
        options.turns = Turns::one_at_a_time(workers + 3 + there, seed);
        let mut facts = support::start_of(format!("{seed}/{turn}"), &options, BTreeMap::new());
        let mut engine = options.engine();
        let prints = Past::read(&dir)?.prints;
        engine.lanes = change::since(engine.lanes, &prints);
        let there = world.sinks.iter().take(there);
        let mut sinks: Vec<_> = there.map(|sink| life.sink(&sink.with(model.catalogue))).collect();
        let nothing = BTreeMap::new();
        let meaning = |lanes: &[Lane]| {
            let families: Vec<_> = lanes.iter().map(|lane| Arc::clone(&lane.family)).collect();
            fingerprint::of(model.catalogue, &families)
        };
        facts.fingerprint = meaning(&engine.lanes);
        facts.fingerprint = meaning(&engine.lanes);
        let gone = world.gone;
        let due =
            change::due((model.catalogue, &dir), &mut sinks, (&engine.lanes, gone), (&facts, &nothing), &meaning)?;
        let mut is_ending = false;
        match due {
            Due::Nothing => {}
            Due::TheLastRun(lanes, prints) => {
                (engine.lanes, facts.fingerprint, is_ending) = (lanes, prints, true);
                engine.commit.retention = Retention::default();
                tally.ended += 1;
            }
            Due::Tables(tables) => {
                let (catalogue, now_ms) = (model.catalogue, support::CLOCK_MS);
                let (lanes, facts) = (&*engine.lanes, &facts);
                let others = of_others(world, &tables);
                let meaning = &meaning;
                let (stop, threads) = (&AtomicBool::new(false), 2);
                let asked = Asked { catalogue, lanes, tables: &tables, facts, meaning, gone, now_ms, threads, stop };
                let done = change::publish(&dir, &mut sinks, &asked)?.expect("nobody stops it");
                assert_eq!(of_others(world, &tables), others, "seed {seed}: other tables are not touched");
                let mut kept = world.of_what_is_kept.lock().expect("not poisoned");
                for changed in &done.tables {
                    match changed.told {
                        Told::Kept => drop(kept.insert(changed.table)),
                        Told::Whole | Told::Since(_) => drop(kept.remove(&changed.table)),
                    }
                }
                tally.computed += done.tables.len() as u64;
                continue;
            }
        }
        let start = recovery::start(model.catalogue, &dir, &mut sinks, &facts, &nothing, 3)?;
        let Generation { fingerprint, identities, .. } = facts;
        let keep = Keep { dir, generation: start.generation, fingerprint, identities };
        let to = |steps: &[Step], at: usize| steps[..at].to_vec();
        let shop = Script::new(support::partitions(2), to(&world.of_shop, of_shop).into_iter().chain([Step::End]));
        let shop: Box<dyn Source> = Box::new(if world.is_sequence { shop.in_sequence() } else { shop });
        let things = script(model.made, &world.of_things[..of_things], world.is_sequence);
        let job = Job {
            sources: [shop, things].map(|source| life.source(source)).into(),
            sinks: sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect(),
            keep: Some(keep),
            options: engine,
            resume: start.resume,
            stop: Arc::new(AtomicBool::new(is_ending)),
            stats: Arc::default(),
        };
        engine::run(job)?;
        if !is_ending {
            return Ok(());
        }
    }
    Ok(())
}

/// The rows of all tables but some, in every sink.
fn of_others(world: &World, tables: &BTreeSet<TableId>) -> Vec<BTreeMap<TableId, Vec<Vec<Value>>>> {
    let rows = |sink: &Memory| {
        let contents = sink.contents();
        let others = contents.tables.keys().filter(|id| !tables.contains(id));
        others.map(|id| (*id, contents.rows(*id))).collect()
    };
    world.sinks.iter().map(rows).collect()
}

/// Every sink has what the SQL of the model's tables says of the raw rows.
fn check(world: &World, model: &Model, seed: u64, tally: &mut Tally) {
    let store = Arc::new(Local::on(world.disk.clone(), "/state").expect("a folder"));
    let prints = Past::read(&StateDir::open(store, None).expect("readable")).expect("readable").prints;
    let families = [SHOP, FamilyId(model.made)];
    let since: BTreeMap<_, _> = families.into_iter().flat_map(|family| fingerprint::since(&prints, family)).collect();
    for sink in &world.sinks {
        let contents = sink.contents().clone();
        // What was removed of it is in its log.
        let whole = Contents { progress: contents.progress.clone(), ..written(&contents.log) };
        let watermarks = contents.progress.as_ref().expect("claimed").watermarks.clone();
        let options = model.options(world);
        let oracle = Oracle::over_all(model.catalogue, &whole, &|family| match family.name() {
            "things" => world.lane.parameters(watermarks.of("things")),
            name => options.settings.parameters(watermarks.of(name)),
        });
        let of_what_is_kept = world.of_what_is_kept.lock().expect("not poisoned");
        for table in model.tables().difference(&of_what_is_kept).copied() {
            let (mut has, mut wants) = (contents.rows(table), oracle.rows(table));
            if let Some(since) = since.get(&table) {
                let windows = model.catalogue.family_of(table).expect("a family").windows(table);
                let is_told = |row: &Vec<Value>| {
                    windows.iter().any(|(place, before_ms)| row[*place] >= Value::Instant(*since + before_ms))
                };
                wants.retain(is_told);
                if world.gone.keep_old {
                    // What stays is of what the table was.
                    has.retain(is_told);
                }
                tally.since += 1;
            }
            assert_eq!(
                has,
                wants,
                "seed {seed}: `{}` is not what its SQL says, from {:?} on",
                table.name(),
                since.get(&table)
            );
            tally.rows += has.len() as u64;
        }
    }
}

fn history(seed: u64) -> (World, Vec<String>) {
    let mut dice = Dice::of_seed(seed + 1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (span, happenings) = oracle::history(5..60).new_tree(&mut runner).expect("a history").current();
    let disorder = [0, 30, 200, 2000][dice.of(4) as usize];
    let of_shop = oracle::steps(&oracle::roughly_ordered(happenings, disorder), 2, [0, 1, 5][dice.of(3) as usize]);
    let once = once(&mut dice);
    let of_things = steps(&mut dice, once.as_ref());
    let mut texts = Vec::new();
    while texts.len() < 5 {
        let text = dice.metric();
        if compile("metric", &text, std::slice::from_ref(&things(once.clone()))).is_ok() {
            texts.push(text);
        }
    }
    let mut options = support::options(1);
    options.settings = span.settings(options.settings);
    options.settings.once = dice.of(3) == 0;
    options.take_state = false;
    options.epochs_in_flight = 1 + dice.of(4);
    let lane = options.settings.lane.clone();
    let sinks = (0..1 + dice.of(2)).map(|_| Memory::default()).collect();
    let (disk, is_sequence) = (SimulatedDisk::new(), dice.of(2) == 0);
    let (keep_old, delete_old) = [(false, false), (true, false), (false, true)][dice.of(3) as usize];
    let gone = Gone { keep_old, delete_old, ..Gone::default() };
    if dice.of(2) == 0 {
        let kept = |dice: &mut Dice| Some((1 + dice.of(8)) as i64 * support::HOUR_MS);
        options.commit.retention = Retention { raw: kept(&mut dice), rejected: None, late: kept(&mut dice) };
    }
    (
        World {
            disk,
            sinks,
            once,
            of_shop,
            of_things,
            is_sequence,
            options,
            lane,
            is_alone: false,
            gone,
            of_what_is_kept: Mutex::default(),
        },
        texts,
    )
}

fn one(seed: u64, tally: &mut Tally) {
    let (mut world, texts) = history(seed);
    let mut dice = Dice::of_seed(!seed);
    let (mut of_shop, mut of_things) = (0, 0);
    let (mut model, mut last): (Option<Model>, Option<Model>) = (None, None);
    let lives = 2 + dice.of(4);
    for life in 0..lives {
        if life == 0 || dice.of(5) > 0 {
            let next = Model::drawn(&mut dice, &texts, world.once.as_ref(), model.as_ref());
            if let Some(before) = &model {
                let shape = |model: &Model, id: &TableId| {
                    let of = model.catalogue.by_name(id.name())?;
                    Some((of.table().key_columns, of.table().columns.len()))
                };
                let differs = |id: &&TableId| shape(before, id).is_some_and(|before| Some(before) != shape(&next, id));
                tally.shapes += next.made.tables().iter().filter(differs).count() as u64;
            }
            model = Some(next);
        }
        of_shop += dice.of((world.of_shop.len() - of_shop) as u64 + 1) as usize;
        of_things += dice.of((world.of_things.len() - of_things) as u64 + 1) as usize;
        let (mut attempts, mut is_back) = (0, false);
        loop {
            let mut fate = Fate::default();
            if attempts < 3 {
                match dice.of(3) {
                    0 => world.disk.fail_after(dice.of(160)),
                    1 => fate.calls = Some(dice.of(40)),
                    _ => {}
                }
            }
            let workers = 1 + dice.of(3) as usize;
            let now = model.as_ref().expect("one was drawn");
            let ended = live(&world, now, (of_shop, of_things), (workers, dice.of(1 << 40)), fate, tally);
            let Err(why) = ended.map_err(|why| why.to_string()) else { break };
            if why.contains("cannot be computed") {
                // Nothing was changed: what was there before goes on. If it was given up already, somebody must decide.
                tally.refused += 1;
                if is_back {
                    world.gone = Gone { since_kept: true, keep_old: false, delete_old: true };
                } else {
                    (is_back, model) = (true, last.clone());
                }
                continue;
            }
            let expected = ["gone", "went away", "taken over", "is at epoch"];
            assert!(expected.iter().any(|expected| why.contains(expected)), "seed {seed}, life {life}: {why}");
            tally.killed += 1;
            attempts += 1;
            if last.is_some() && dice.of(4) == 0 {
                // Somebody thinks better of it.
                (is_back, model) = (true, last.clone());
            }
            let again = dice.of(1 << 40);
            world.disk = if dice.of(2) == 0 { world.disk.crash(again) } else { world.disk.restart(again) };
        }
        last.clone_from(&model);
        world.disk = world.disk.restart(dice.of(1 << 40));
        check(&world, model.as_ref().expect("one was drawn"), seed, tally);
    }
    tally.histories += 1;
}

#[test]
fn tables_that_change_are_what_their_sql_says_wherever_it_is_killed() {
    let histories = histories::asked("DELTAMART_CHANGE_SEED", "DELTAMART_CHANGES", [20, 200]);
    let tally = histories::all(histories, one).fold(Tally::default(), |a, b| Tally {
        histories: a.histories + b.histories,
        killed: a.killed + b.killed,
        computed: a.computed + b.computed,
        ended: a.ended + b.ended,
        rows: a.rows + b.rows,
        shapes: a.shapes + b.shapes,
        since: a.since + b.since,
        refused: a.refused + b.refused,
    });
    let Tally { histories, killed, computed, ended, rows, shapes, since, refused } = tally;
    println!(
        "changes: {histories} histories, killed {killed} times, {computed} tables computed of raw rows, {ended} runs ended \
         without them, {shapes} tables of another shape, {since} whole from an instant on, {refused} starts refused, {rows} rows \
         compared, 0 divergences"
    );
    if histories >= 20 {
        assert!(
            killed > histories / 2
                && computed > histories
                && rows > histories
                && shapes > 0
                && since > 0
                && refused > 0
        );
    }
}

const PER_HOUR: &str = "SELECT date_trunc('hour', t) AS hour, count(*) AS n, sum(b) AS total FROM things GROUP BY hour";
const PER_WORD: &str = "SELECT w AS word, count(*) AS n, max(t) AS last_at FROM things GROUP BY word";
const PER_BOTH: &str = "SELECT date_trunc('hour', t) AS hour, w AS word, count(*) AS n FROM things GROUP BY hour, word";

/// Metrics by their names, and tables of the shop.
type Tabled = (&'static [(&'static str, &'static str)], &'static [&'static str]);

/// What a change is called, what tables were before it, and what they are.
const KINDS: [(&str, Tabled, Tabled); 8] = [
    ("added", (&[("one", PER_HOUR)], &["users"]), (&[("one", PER_HOUR), ("other", PER_WORD)], &["users"])),
    ("removed", (&[("one", PER_HOUR), ("other", PER_WORD)], &["users"]), (&[("one", PER_HOUR)], &["users"])),
    ("computed otherwise", (&[("one", PER_HOUR)], &["users"]), (&[("one", PER_WORD)], &["users"])),
    ("of another key", (&[("one", PER_HOUR)], &["users"]), (&[("one", PER_BOTH)], &["users"])),
    ("renamed", (&[("one", PER_HOUR)], &["users"]), (&[("other", PER_HOUR)], &["users"])),
    (
        "swapped",
        (&[("one", PER_HOUR), ("other", PER_WORD)], &["users"]),
        (&[("one", PER_WORD), ("other", PER_HOUR)], &["users"]),
    ),
    (
        "one of the shop's added",
        (&[("one", PER_HOUR)], &["users"]),
        (&[("one", PER_HOUR)], &["users", "session_metrics"]),
    ),
    ("one of the shop's removed", (&[], &["users", "user_activity"]), (&[], &["user_activity"])),
];

impl Model {
    fn of((metrics, shop): Tabled) -> Model {
        let mut family = things(None);
        for (name, text) in metrics {
            let text = format!("-- One row per group. Kept for ever.\n{text}");
            let (_, metric) = compile(name, &text, std::slice::from_ref(&things(None))).expect("a metric");
            family.metrics.push(metric);
        }
        let known = family.metrics.iter().map(|metric| known(&family, metric)).collect();
        let made = Made::leaked(family, known, reader());
        let catalogue = Catalogue::of(&[&MovieShop, made]);
        let shop = shop.iter().map(|name| support::table(name)).collect();
        Model { made, catalogue, shop, session_timeout_ms: Some(support::HOUR_MS) }
    }
}

/// A short history over two sinks; its tables are as before the change, and half of it was read. What was read last is not
/// in the second sink, if that is behind.
fn before_the_change(model: &Model, is_behind: bool) -> World {
    let (mut world, _) = (5..).map(history).find(|(world, _)| world.of_things.len() > 20).expect("one is long");
    world.sinks = vec![Memory::default(), Memory::default()];
    world.once = None;
    world.options.commit.retention = Retention::default();
    // The last start is interrupted: some of it is replayed.
    let half = (world.of_shop.len() / 2, world.of_things.len() / 2);
    let mut tally = Tally::default();
    live(&world, model, (half.0 / 2, half.1 / 2), (2, 1), Fate::default(), &mut tally).expect("it comes to its end");
    world.disk = world.disk.restart(1);
    if is_behind {
        let fate = Fate::at_call(14);
        live(&world, model, half, (1, 2), fate, &mut tally).expect_err("it is killed");
        world.disk = world.disk.restart(2);
    }
    world
}

/// Each kind of change, killed at each operation of the disk and at each call of a sink or a source: then it starts again.
#[test]
fn whatever_the_change_and_wherever_it_is_killed_the_next_start_makes_it_whole() {
    let mut tally = Tally::default();
    for (number, (kind, before, after)) in (1..).zip(KINDS) {
        let (before, after) = (Model::of(before), Model::of(after));
        let mut killed = 0;
        for by_calls in [false, true] {
            // Each operation, where so many histories are asked for; each seventh else, and others for each kind.
            let step = if support::is_sweep() { 1 } else { 7 };
            for at in (0..).map(|n| n * step + number % step) {
                let mut world = before_the_change(&before, at % 2 == 0);
                let all = (world.of_shop.len(), world.of_things.len());
                let fate = if by_calls { Fate::at_call(at) } else { Fate::default() };
                if !by_calls {
                    world.disk.fail_after(at);
                }
                let ended = live(&world, &after, all, (1, at), fate, &mut tally);
                world.disk = if at % 3 == 0 { world.disk.crash(at) } else { world.disk.restart(at) };
                if ended.is_err() {
                    killed += 1;
                    live(&world, &after, all, (2, at), Fate::default(), &mut tally)
                        .unwrap_or_else(|why| panic!("{kind}, killed at {at}: {why}"));
                    world.disk = world.disk.restart(at);
                }
                check(&world, &after, at, &mut tally);
                if ended.is_ok() {
                    break;
                }
            }
        }
        println!("{kind}: killed {killed} times");
        assert!(killed > 20, "{kind}: killed {killed} times");
    }
}

/// Killed twice: what the first start wrote down and gave to one sink, the second does not take for what both have.
#[test]
fn killed_again_while_it_ends_what_a_change_began_it_begins_again() {
    let (_, before, after) = KINDS[0];
    let (before, after) = (Model::of(before), Model::of(after));
    let mut tally = Tally::default();
    for first in 0..60 {
        for second in [2, 5, 8, 11, 14, 17, 20] {
            let mut world = before_the_change(&before, false);
            let all = (world.of_shop.len(), world.of_things.len());
            let ended = live(&world, &after, all, (1, first), Fate::at_call(first), &mut tally);
            if ended.is_ok() {
                return assert!(first > 20, "killed {first} times");
            }
            for calls in [second, second] {
                world.disk = world.disk.restart(first);
                drop(live(&world, &after, all, (1, calls), Fate::at_call(calls), &mut tally));
            }
            world.disk = world.disk.restart(second);
            live(&world, &after, all, (1, 7), Fate::default(), &mut tally)
                .unwrap_or_else(|why| panic!("killed at {first}, then at {second}: {why}"));
            world.disk = world.disk.restart(second);
            check(&world, &after, first * 100 + second, &mut tally);
        }
    }
}

/// A sink that was left out while tables changed has their rows when it is there again.
#[test]
fn a_sink_that_was_left_out_gets_what_changed_meanwhile() {
    for (kind, before, after) in KINDS {
        let (before, after) = (Model::of(before), Model::of(after));
        let mut world = before_the_change(&before, true);
        let all = (world.of_shop.len(), world.of_things.len());
        for is_alone in [true, false] {
            world.is_alone = is_alone;
            live(&world, &after, all, (2, 3), Fate::default(), &mut Tally::default())
                .unwrap_or_else(|why| panic!("{kind}: {why}"));
            world.disk = world.disk.restart(3);
        }
        check(&world, &after, 0, &mut Tally::default());
    }
}
