//! Short histories, each killed at one place.

use super::{World, live, made};
use crate::support::mortal::Fate;
use crate::support::{self, Call};
use dataflows::shop::events::Naming;
use dataflows::shop::events::naming::Mapped;
use dataflows::table::Value;
use dataflows::time::WATERMARK_STEP_MS;
use deltamart::engine::Resume;
use deltamart::sink::memory::Memory;
use deltamart::source::script::Step;
use deltamart::state_dir::StateDir;
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn killed_before_its_first_commit_it_begins_again() {
    let mut shop = Example::of([view(1), Step::Crash, Step::Cut, view(2)]);
    shop.is_killed(1, Fate::default());
    assert_eq!((shop.journaled(), shop.committed()), (0, 0));
    shop.ends_as_if_never_killed(1);
}

#[test]
fn what_was_journaled_and_not_committed_is_committed_by_the_next() {
    let mut shop = Example::of([view(1), Step::Cut, view(2)]);
    shop.is_killed(1, Fate { before: Some(|call| matches!(call, Call::Apply(..))), ..Fate::default() });
    assert!(shop.journaled() >= 2 && shop.committed() == 0);
    shop.ends_as_if_never_killed(1);
}

#[test]
fn a_snapshot_that_is_not_finished_does_not_count() {
    let mut shop = Example::of([view(1), Step::Cut, view(2), Step::Cut, view(3)]);
    shop.world.options.snapshot_interval = Duration::ZERO;
    shop.world.disk.fail_writing_into("/state/snapshots");
    shop.is_killed(2, Fate::default());
    // Its parts may be there before its epoch is journaled.
    assert!(shop.snapshot().is_none());
    shop.ends_as_if_never_killed(2);
}

#[test]
fn killed_again_while_it_replays_it_replays_again() {
    let mut shop = Example::of([view(1), Step::Cut, view(2), Step::Cut, view(3)]);
    let fate = Fate { before: Some(|call| matches!(call, Call::Apply(..))), ..Fate::default() };
    shop.is_killed(1, fate.clone());
    let journaled = shop.journaled();
    // What is journaled and not committed is there to be replayed, both times.
    assert!(journaled >= 2 && shop.committed() == 0);
    shop.is_killed(1, fate);
    assert!(shop.journaled() >= journaled && shop.committed() == 0);
    shop.ends_as_if_never_killed(1);
}

#[test]
fn killed_on_one_worker_it_goes_on_with_four() {
    let mut shop = Example::of([view(1), Step::Cut, view(2), Step::Crash, view(3), Step::Cut, Step::Crash, view(4)]);
    shop.is_killed(1, Fate::default());
    shop.is_killed(3, Fate::default());
    shop.ends_as_if_never_killed(4);
}

/// Names are as rules are: what is journaled is read by those of the start that journaled it, and the rest by ours.
#[test]
fn what_is_replayed_is_read_by_the_names_of_then() {
    let called = |name: &str, user: u64| {
        let at = "2026-01-05T10:00:00Z";
        let record = format!(r#"{{"event_name":"{name}","timestamp":"{at}","{name}":{user},"item_id":"7"}}"#);
        Step::Record(0, record.into_bytes())
    };
    let naming = |name: &str| {
        let fields = BTreeMap::from([("user_id".to_owned(), name.to_owned())]);
        let mapping = BTreeMap::from([("item_view".to_owned(), Mapped { name: name.to_owned(), fields })]);
        Naming::of(mapping).expect("good")
    };
    let mut shop = Example::of([called("look", 1), Step::Cut]);
    shop.world.options.rules.shop.naming = naming("look");
    shop.is_killed(1, Fate { before: Some(|call| matches!(call, Call::Apply(..))), ..Fate::default() });
    assert!(shop.journaled() >= 2 && shop.committed() == 0);
    shop.world.options.rules.shop.naming = naming("gaze");
    shop.world.steps = vec![called("look", 1), Step::Cut, called("gaze", 2), called("look", 3), Step::End];
    live(&shop.world, 1, shop.lives, Fate::default()).expect("it comes to its end");
    let contents = shop.world.sinks[0].contents();
    let users: Vec<_> = contents.rows(support::table("user_activity")).into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(users, [1, 2].map(Value::Integer));
    assert_eq!(contents.rows(support::table("rejected_events")).len(), 1, "what is new is read by the names of now");
    support::assert_matches_sql(&contents, &shop.world.options.settings);
}

/// A short history, killed where an example says.
struct Example {
    world: World,
    lives: u64,
}

impl Example {
    fn of(steps: impl IntoIterator<Item = Step>) -> Example {
        let mut options = support::options(1);
        (options.snapshot_interval, options.take_state) = (Duration::from_secs(3600), false);
        options.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
        let world = World {
            toys: Vec::new(),
            disk: SimulatedDisk::new(),
            sinks: vec![Memory::default()],
            partitions: 1,
            steps: steps.into_iter().chain([Step::End]).collect(),
            options,
            in_sequence: false,
            crashes: 0,
        };
        // The folder is there, as after a start that read nothing.
        drop(Local::on(world.disk.clone(), "/state").expect("made"));
        Example { world, lives: 0 }
    }

    /// It starts and is killed; the power goes too.
    fn is_killed(&mut self, workers: usize, fate: Fate) {
        let why = live(&self.world, workers, self.lives, fate).expect_err("it is killed").to_string();
        self.world.crashes += usize::from(why.contains("killed by the script"));
        self.world.disk = self.world.disk.crash(self.lives);
        self.lives += 1;
    }

    /// It starts and comes to its end, and nothing shows that it was killed.
    fn ends_as_if_never_killed(&mut self, workers: usize) {
        live(&self.world, workers, self.lives, Fate::default()).expect("it comes to its end");
        let never_killed = Memory::default();
        let script = self.world.script().crashing(usize::MAX, || ());
        support::run(script, &never_killed, self.world.options.clone(), Resume::default(), &Arc::default())
            .expect("it comes to its end");
        let contents = self.world.sinks[0].contents();
        assert_eq!(made(&contents), made(&never_killed.contents()));
        support::assert_matches_sql(&contents, &self.world.options.settings);
    }

    fn dir(&self) -> StateDir {
        let store = Local::on(self.world.disk.clone(), "/state").expect("a folder");
        StateDir::open(Arc::new(store), None).expect("readable")
    }

    /// The last epoch that is journaled.
    fn journaled(&self) -> u64 {
        self.dir().chain().expect("readable").end()
    }

    /// The last epoch that the sink has.
    fn committed(&self) -> u64 {
        self.world.sinks[0].contents().progress.as_ref().map_or(0, |progress| progress.epoch)
    }

    fn snapshot(&self) -> Option<u64> {
        let chain = self.dir().chain().expect("readable");
        let newest = self.dir().newest_snapshot(&chain, chain.end()).expect("readable");
        newest.map(|manifest| manifest.epoch)
    }
}

/// Somebody looks at an item, in this minute.
fn view(minute: u32) -> Step {
    let at = format!("2026-01-05T10:{minute:02}:00Z");
    let json = format!(r#"{{"event_name":"item_view","timestamp":"{at}","user_id":1,"item_id":"{minute}"}}"#);
    Step::Record(0, json.into_bytes())
}
