//! A case is played by the engine itself: an epoch of the case is an epoch and a commit, and the clock stands still.

use super::cells::{shown, written};
use super::{Case, Said};
use crate::commit;
use crate::decode::Format;
use crate::engine::{self, EngineError, Job, Options, Resume};
use crate::sink::memory::Memory;
use crate::sink::{Commit, MadeBy, Sink};
use crate::source::script::{Script, Step};
use crate::source::{Partition, Source};
use crate::stats::Stats;
use dataflows::delta::Delta;
use dataflows::operators::Status;
use dataflows::raw::{LATE_EVENTS, REJECTED_EVENTS};
use dataflows::table::Value;
use std::sync::Arc;
use std::time::Duration;

/// What the partitions of a case are called.
const TOPIC: &str = "case";

/// The places of columns in `rejected_events` and in `late_events`.
const REASON_AND_DETAIL: std::ops::Range<usize> = 5..7;
const TIME_AND_WATERMARK: std::ops::Range<usize> = 3..5;

/// Plays a case: what each of its epochs gives. Of the options those count that say what rows are.
///
/// # Errors
/// If the engine fails.
pub fn play(case: &Case, options: Options) -> Result<Vec<Vec<Said>>, EngineError> {
    let partition = |partition| Partition {
        topic: TOPIC.to_owned(),
        partition,
        family: case.family,
        format: Format::Json(None),
        status: Status::Live,
    };
    let partitions = (0..case.partitions as i32).map(partition).collect();
    let (mut sink, stop) = (Memory::default(), Arc::default());
    let log = sink.clone();
    let claim = sink.claim(MadeBy::Run, None).map_err(|error| EngineError::Commit(error.into()))?;
    let source: Box<dyn Source> = Box::new(Script::new(partitions, steps(case)).stopping(&stop));
    engine::run(Job {
        sources: vec![source],
        sinks: vec![(Box::new(sink), claim)],
        keep: None,
        options: Options {
            workers: 1,
            // By nothing but the case.
            epoch_interval: Duration::from_secs(3600),
            epoch_events: usize::MAX,
            epoch_bytes: usize::MAX,
            epochs_in_flight: 1,
            archive: Default::default(),
            // No two epochs are merged.
            commit: commit::Options {
                commit_interval: Duration::ZERO,
                journal_interval: Duration::ZERO,
                pending_bytes: 0,
                retention: Default::default(),
                quality: None,
                ..options.commit
            },
            clock: {
                let clock_ms = case.clock_ms;
                Arc::new(move || clock_ms)
            },
            take_state: false,
            ..options
        },
        resume: Resume::default(),
        stop,
        stats: Arc::new(Stats::default()),
    })?;
    let contents = log.contents();
    let of = |n: usize| contents.log.iter().find(|commit| commit.epoch == 2 * (n as u64 + 1));
    Ok((0..case.epochs.len()).map(|n| of(n).map(|commit| told(case, commit)).unwrap_or_default()).collect())
}

fn steps(case: &Case) -> Vec<Step> {
    let mut steps = Vec::new();
    for epoch in &case.epochs {
        steps.extend(epoch.records.iter().map(|(partition, record)| Step::Record(*partition, record.clone())));
        steps.push(Step::Cut);
    }
    if case.ends {
        // The end closes the last epoch.
        steps.pop();
    }
    steps.push(if case.ends { Step::End } else { Step::Stop });
    steps
}

/// What a commit says of the tables of a case.
fn told(case: &Case, commit: &Commit) -> Vec<Said> {
    let mut said = Vec::new();
    for (id, deltas) in case.tables.iter().filter_map(|id| commit.deltas.get_key_value(id)) {
        let columns = case.columns_of(*id);
        let cells = |values: &[Value]| columns.iter().filter_map(|place| values.get(*place)).map(shown).collect();
        said.extend(deltas.iter().map(|delta| match &*delta {
            Delta::Upsert(row) => Said::Upsert(*id, cells(row)),
            Delta::Delete(key) => Said::Delete(*id, cells(&key[..id.table().key_columns])),
        }));
    }
    let rows = |id| commit.appends.get(&id).into_iter().flatten();
    let texts = |values: &[Value]| -> Vec<String> {
        let text = |value: &Value| if let Value::Text(text) = value { written(text) } else { shown(value) };
        values.iter().map(text).collect()
    };
    said.extend(rows(REJECTED_EVENTS).map(|row| Said::Rejected(texts(&row[REASON_AND_DETAIL]))));
    said.extend(rows(LATE_EVENTS).map(|row| Said::Late(texts(&row[TIME_AND_WATERMARK]))));
    said
}
