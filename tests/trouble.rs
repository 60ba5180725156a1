//! A sink that is unavailable, slow to answer, broken or taken over; a source that fails or is unavailable.

use crate::support::table;
use crate::support::{self, Call, Hooked};
use deltamart::commit::CommitError;
use deltamart::engine::{EngineError, Resume};
use deltamart::sink::memory::{Failure, Memory};
use deltamart::sink::{MadeBy, Sink, SinkError};
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
    let (stats, told) = (Arc::<Stats>::default(), Arc::<Mutex<Vec<String>>>::default());
    let (asked, tells) = (Arc::clone(&stats), Arc::clone(&told));
    let mut sink = Hooked::before(Box::new(Memory::default()), move |call| {
        let Call::Apply(..) = call else { return Ok(()) };
        let mut told = tells.lock().expect("no panic");
        let is_first = told.is_empty();
        told.extend(asked.waits_for());
        if is_first {
            told.push("the first attempt".to_owned());
            return Err(SinkError::Unavailable("the warehouse is asleep".to_owned()));
        }
        Ok(())
    });
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
    let mut sink = Hooked::before(Box::new(Memory::default()), |call| match call {
        Call::Apply(..) => panic!("the sink has a bug"),
        _ => Ok(()),
    });
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
    let mut sink = Memory::default();
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let options = support::one_commit_per_epoch(support::options(2));
    let source = Script::new(support::partitions(1), sign_ins(5).into_iter().chain([Step::End]));
    let (mut rival, mut commits) = (sink.clone(), 0);
    let contested = Box::new(Hooked::before(Box::new(sink.clone()), move |call| {
        let Call::Apply(..) = call else { return Ok(()) };
        commits += 1;
        // Somebody else claims it before its second commit.
        if commits == 2 { rival.claim(MadeBy::Run, None).map(drop) } else { Ok(()) }
    }));
    let result = support::run_into(vec![Box::new(source)], contested, claim, options, &Arc::default());
    assert!(matches!(result, Err(EngineError::Commit(CommitError::Sink(SinkError::Fenced { .. })))));
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

#[test]
fn a_slow_sink_stops_the_sources() {
    const RECORDS: usize = 50_000;
    let (mut sink, stats, read) = (Memory::default(), Arc::new(Stats::default()), Arc::new(Mutex::new(Vec::new())));
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut options = support::options(2);
    (options.epoch_events, options.epochs_in_flight, options.commit.pending_bytes) = (100, 3, 10_000);
    let steps = sign_ins(RECORDS).into_iter().filter(|step| !matches!(step, Step::Cut)).chain([Step::End]);
    // Away for its first calls, it looks each time how much was read meanwhile.
    let (asked, looks) = (Arc::clone(&stats), Arc::clone(&read));
    let slow = Hooked::before(Box::new(sink.clone()), move |call| {
        let Call::Apply(..) = call else { return Ok(()) };
        let mut looks = looks.lock().expect("not poisoned");
        looks.push(asked.records.load(Relaxed));
        if looks.len() <= 5 { Err(SinkError::Unavailable("not yet".into())) } else { Ok(()) }
    });
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
    assert!(matches!(result, Err(EngineError::Commit(CommitError::Sink(SinkError::Fenced { .. })))));
    assert!(sink.contents().log.is_empty());
}
