//! A sink that is away, slow to answer, broken or taken over; a source that fails or is away.

use crate::support;
use dataflows::table::TableId;
use deltamart::commit::CommitError;
use deltamart::engine::{EngineError, Resume};
use deltamart::sink::memory::{Failure, Memory};
use deltamart::sink::{MadeBy, Sink, SinkError};
use deltamart::source::script::{Script, Step};
use deltamart::stats::Stats;
use std::sync::Arc;

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
    assert_eq!(contents.rows(TableId::ConsumerEvents).len(), 5);
    assert!(contents.failures.is_empty());
    assert!(contents.log.windows(2).all(|pair| pair[1].follows == pair[0].epoch));
}

#[test]
fn a_broken_sink_ends_the_run_with_its_cause() {
    let sink = Memory::default();
    sink.contents().failures.push_back(Failure::Broken);
    let error = run(sign_ins(50), &sink, 3).expect_err("it cannot go on");
    assert!(matches!(&error, EngineError::Commit(CommitError::Sink(SinkError::Failed(why))) if why.contains("broken")));
    assert!(sink.contents().log.is_empty());
}

#[test]
fn a_run_that_is_superseded_ends() {
    /// A sink that somebody else claims before its second commit.
    struct Contested(Memory, usize);
    impl Sink for Contested {
        fn position(&mut self) -> Result<Option<deltamart::sink::Progress>, SinkError> {
            self.0.position()
        }
        fn claim(&mut self, made_by: MadeBy) -> Result<deltamart::sink::Claim, SinkError> {
            self.0.claim(made_by)
        }
        fn apply(&mut self, claim: &deltamart::sink::Claim, commit: &deltamart::sink::Commit) -> Result<(), SinkError> {
            self.1 += 1;
            if self.1 == 2 {
                self.0.claim(MadeBy::Run)?;
            }
            self.0.apply(claim, commit)
        }
    }
    let mut sink = Memory::default();
    let claim = sink.claim(MadeBy::Run).expect("claims");
    let options = support::one_commit_per_epoch(support::options(2));
    let source = Script::new(support::partitions(1), sign_ins(5).into_iter().chain([Step::End]));
    let result = deltamart::engine::run(
        vec![Box::new(source)],
        Box::new(Contested(sink.clone(), 0)),
        claim,
        options,
        Resume::default(),
        Arc::default(),
        Arc::default(),
    );
    assert!(matches!(result, Err(EngineError::Commit(CommitError::Sink(SinkError::Fenced(_))))));
    assert_eq!(sink.contents().log.len(), 1);
}

#[test]
fn a_source_that_is_away_is_waited_for_and_one_that_fails_ends_the_run() {
    let sink = Memory::default();
    let mut steps = sign_ins(3);
    steps.insert(2, Step::Unavailable);
    run(steps, &sink, 2).expect("it comes back");
    assert_eq!(sink.contents().rows(TableId::ConsumerEvents).len(), 3);

    let sink = Memory::default();
    let mut steps = sign_ins(3);
    steps.insert(4, Step::Fail("the disk is gone".into()));
    let error = run(steps, &sink, 2).expect_err("it cannot go on");
    assert_eq!(error.to_string(), "the disk is gone");
    assert_eq!(sink.contents().rows(TableId::ConsumerEvents).len(), 2, "what came before is committed");
}
