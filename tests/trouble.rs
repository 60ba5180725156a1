//! A sink that is away, slow to answer, broken or taken over; a source that fails or is away.

use crate::support;
use crate::support::table;
use deltamart::commit::CommitError;
use deltamart::engine::{EngineError, Resume};
use deltamart::sink::memory::{Failure, Memory};
use deltamart::sink::purge::{Purge, Purged};
use deltamart::sink::{Claim, Commit, MadeBy, Progress, Sink, SinkError};
use deltamart::source::script::{Script, Step};
use deltamart::stats::Stats;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

fn sign_ins(count: usize) -> Vec<Step> {
    let line =
        |n: usize| format!(r#"{{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","user_id":{}}}"#, n + 1);
    (0..count).flat_map(|n| [Step::Record(0, line(n).into_bytes()), Step::Cut]).collect()
}

fn run(steps: Vec<Step>, sink: &Memory, workers: usize) -> Result<(), EngineError> {
    let source = Script::new(support::partitions(1), steps.into_iter().chain([Step::End]));
    support::run(source, sink, support::options(workers), Resume::default(), &Arc::new(Stats::default())).map(drop)
}

#[test]
fn a_sink_that_is_away_or_whose_answer_is_lost_is_tried_again() {
    let sink = Memory::default();
    sink.contents().failures.extend([Failure::Away, Failure::AnswerLost, Failure::Away]);
    run(sign_ins(5), &sink, 2).expect("it comes back");
    let contents = sink.contents();
    assert_eq!(contents.rows(table("consumer_events")).len(), 5);
    assert!(contents.failures.is_empty());
    assert!(contents.log.windows(2).all(|pair| pair[1].follows == pair[0].epoch));
}

#[test]
fn a_sink_that_is_away_is_told_of_until_it_is_back() {
    struct Away {
        sink: Memory,
        stats: Arc<Stats>,
        told: Arc<Mutex<Vec<String>>>,
    }
    impl Sink for Away {
        fn position(&mut self) -> Result<Option<Progress>, SinkError> {
            self.sink.position()
        }
        fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
            self.sink.claim(made_by, wanted)
        }
        fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
            let mut told = self.told.lock().expect("no panic");
            let is_first = told.is_empty();
            told.extend(self.stats.waits_for());
            if is_first {
                told.push("the first attempt".to_owned());
                return Err(SinkError::Unavailable("the warehouse is asleep".to_owned()));
            }
            self.sink.apply(claim, commit)
        }
        fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
            self.sink.purge(claim, purge)
        }
    }
    let (stats, told) = (Arc::<Stats>::default(), Arc::default());
    let mut sink = Away { sink: Memory::default(), stats: Arc::clone(&stats), told: Arc::clone(&told) };
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let source = Box::new(Script::new(support::partitions(1), sign_ins(5).into_iter().chain([Step::End])));
    support::run_into(vec![source], Box::new(sink), claim, support::options(2), &stats).expect("it comes back");
    assert_eq!(told.lock().expect("no panic")[..2], ["the first attempt", "the warehouse is asleep"]);
    assert_eq!(stats.waits_for(), Vec::<String>::new());
}

#[test]
fn a_broken_sink_ends_the_run_with_its_cause() {
    let sink = Memory::default();
    sink.contents().failures.push_back(Failure::Broken);
    let error = run(sign_ins(50), &sink, 3).expect_err("it cannot go on");
    assert!(matches!(&error, EngineError::Commit(CommitError::Sink(SinkError::Failed(why))) if why.contains("broken")));
    assert!(sink.contents().log.is_empty());
}

/// Run by the test below, in a process of its own.
#[test]
#[ignore = "it ends the process"]
fn a_sink_that_panics() {
    struct Panics(Memory);
    impl Sink for Panics {
        fn position(&mut self) -> Result<Option<Progress>, SinkError> {
            self.0.position()
        }
        fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
            self.0.claim(made_by, wanted)
        }
        fn apply(&mut self, _: &Claim, _: &Commit) -> Result<(), SinkError> {
            panic!("the sink has a bug")
        }
        fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
            self.0.purge(claim, purge)
        }
    }
    let mut sink = Panics(Memory::default());
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let source = Box::new(Script::new(support::partitions(1), sign_ins(50).into_iter().chain([Step::End])));
    support::run_into(vec![source], Box::new(sink), claim, support::options(3), &Arc::default()).expect("never");
}

#[test]
fn a_panic_anywhere_ends_the_process_with_its_cause() {
    let program = std::env::current_exe().expect("this test");
    let output = std::process::Command::new(program)
        .args(["--ignored", "--exact", "trouble::a_sink_that_panics", "--nocapture"])
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(101) && text.contains("the sink has a bug"), "{:?} {text}", output.status);
}

#[test]
fn a_run_that_is_superseded_ends() {
    /// A sink that somebody else claims before its second commit.
    struct Contested(Memory, usize);
    impl Sink for Contested {
        fn position(&mut self) -> Result<Option<Progress>, SinkError> {
            self.0.position()
        }
        fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
            self.0.claim(made_by, wanted)
        }
        fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
            self.1 += 1;
            if self.1 == 2 {
                self.0.claim(MadeBy::Run, None)?;
            }
            self.0.apply(claim, commit)
        }
        fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
            self.0.purge(claim, purge)
        }
    }
    let mut sink = Memory::default();
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let options = support::one_commit_per_epoch(support::options(2));
    let source = Script::new(support::partitions(1), sign_ins(5).into_iter().chain([Step::End]));
    let contested = Box::new(Contested(sink.clone(), 0));
    let result = support::run_into(vec![Box::new(source)], contested, claim, options, &Arc::default());
    assert!(matches!(result, Err(EngineError::Commit(CommitError::Sink(SinkError::Fenced(_))))));
    assert_eq!(sink.contents().log.len(), 1);
}

#[test]
fn a_source_that_is_away_is_waited_for_and_one_that_fails_ends_the_run() {
    let sink = Memory::default();
    let mut steps = sign_ins(3);
    steps.insert(2, Step::Unavailable);
    run(steps, &sink, 2).expect("it comes back");
    assert_eq!(sink.contents().rows(table("consumer_events")).len(), 3);

    let sink = Memory::default();
    let mut steps = sign_ins(3);
    steps.insert(4, Step::Fail("the disk is gone".into()));
    let error = run(steps, &sink, 2).expect_err("it cannot go on");
    assert_eq!(error.to_string(), "the disk is gone");
    assert_eq!(sink.contents().rows(table("consumer_events")).len(), 2, "what came before is committed");
}

/// A sink that is away for its first calls, and looks each time how much was read meanwhile.
struct Slow {
    sink: Memory,
    stats: Arc<Stats>,
    away: usize,
    read: Arc<Mutex<Vec<u64>>>,
}

impl Sink for Slow {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        self.sink.position()
    }
    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        self.sink.claim(made_by, wanted)
    }
    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        self.read.lock().expect("not poisoned").push(self.stats.records.load(Relaxed));
        match self.away.checked_sub(1) {
            Some(left) => {
                self.away = left;
                Err(SinkError::Unavailable("not yet".into()))
            }
            None => self.sink.apply(claim, commit),
        }
    }
    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        self.sink.purge(claim, purge)
    }
}

#[test]
fn a_slow_sink_stops_the_sources() {
    const RECORDS: usize = 50_000;
    let (mut sink, stats, read) = (Memory::default(), Arc::new(Stats::default()), Arc::new(Mutex::new(Vec::new())));
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut options = support::options(2);
    (options.epoch_events, options.epochs_in_flight, options.commit.pending_bytes) = (100, 3, 10_000);
    let steps = sign_ins(RECORDS).into_iter().filter(|step| !matches!(step, Step::Cut)).chain([Step::End]);
    let slow = Slow { sink: sink.clone(), stats: Arc::clone(&stats), away: 5, read: Arc::clone(&read) };
    let source = Box::new(Script::new(support::partitions(1), steps));
    support::run_into(vec![source], Box::new(slow), claim, options, &stats).expect("runs");
    let read = read.lock().expect("not poisoned");
    // What is merged within the bound of bytes, what is in flight, and what is open.
    assert!(read[..6].iter().all(|records| *records < 2_000), "the sources went on: {:?}", &read[..6]);
    assert_eq!(sink.contents().rows(table("consumer_events")).len(), RECORDS);
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_sink_that_is_away() {
    let sink = Memory::default();
    sink.contents().failures.extend([Failure::Away; 1_000]);
    let mut options = support::one_commit_per_epoch(support::options(2));
    options.commit.stop_grace = std::time::Duration::ZERO;
    let steps = sign_ins(1).into_iter().chain([Step::Stop]);
    let source = Script::new(support::partitions(1), steps);
    let result = support::run(source, &sink, options, Resume::default(), &Arc::new(Stats::default()));
    assert!(matches!(result, Err(EngineError::Commit(CommitError::Sink(SinkError::Unavailable(_))))));
}

#[test]
fn a_run_does_not_go_on_from_where_the_sink_is_not() {
    let mut sink = Memory::default();
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    sink.contents().progress.as_mut().expect("claimed").epoch = 4;
    let source = Box::new(Script::new(support::partitions(1), sign_ins(2)));
    let options = support::options(1);
    let result = support::run_into(vec![source], Box::new(sink.clone()), claim, options, &Arc::default());
    assert!(matches!(result, Err(EngineError::Commit(CommitError::Sink(SinkError::Fenced(_))))));
    assert!(sink.contents().log.is_empty());
}
