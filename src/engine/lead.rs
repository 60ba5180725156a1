//! The process that leads: it ticks, journals and commits, whoever else computes.

use super::follow::{Kept, OfLane, Plan};
use super::hearing::Hearing;
use super::intake::{Elsewhere, Given, Intake};
use super::said::{Asked, Outbox};
use super::shared::{Shared, archived};
use super::{Ended, EngineError, Job, Keep, Resume, partition_name};
use crate::commit::{self, CommitError, LaneLogs, Signals, SnapshotFacts, Sources, StreamPosition, ToWriter};
use crate::sink::{Claim, Shard, SinkError};
use crate::source::Partition;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, Sender, channel};
use timely::communication::WorkerGuards;

/// What becomes of our own workers when another process is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenGone {
    /// They come to their end.
    Ends,
    /// They cannot, and are left as they are: this process ends.
    IsLeft,
}

type Rows = (Claim, Vec<Option<Receiver<ToWriter>>>);

/// How all processes write their own rows, if there are several, and one sink that takes rows and that all can write to.
fn writing(targets: &mut [commit::Target], processes: usize) -> Option<(commit::Writing, Rows)> {
    let (first, others) = targets.split_first_mut().filter(|_| processes > 1)?;
    if others.iter().any(|other| other.sink.takes_rows()) {
        return None;
    }
    let shard = first.sink.shard(0, processes)?;
    let (to, mut heard): (Vec<_>, Vec<_>) = (0..processes).map(|_| channel()).map(|(to, it)| (to, Some(it))).unzip();
    let own = heard.remove(0)?;
    Some((commit::Writing { shard, heard: own, to }, (first.claim.clone(), heard)))
}

/// A run that is about to begin, at the process that leads it.
pub(super) struct Leader {
    pub(super) shared: Arc<Shared>,
    sources: Vec<Elsewhere>,
    targets: Vec<commit::Target>,
    journal: Option<commit::Journal>,
    known: StreamPosition,
    delivery: commit::Delivery,
    /// The claim under which every process writes its own rows, and what the thread of each of the others is told.
    rows: Option<Rows>,
}

impl Leader {
    /// Of a run of so many processes. What the others read is numbered after what this one reads.
    pub(super) fn new(job: Job, elsewhere: Vec<Elsewhere>, processes: usize) -> Result<Leader, EngineError> {
        let Job { sources, sinks, keep, options, mut resume, stop, stats } = job;
        let mut targets = Vec::new();
        for (mut sink, claim) in sinks {
            let before = sink.position().map_err(CommitError::Sink)?.filter(|progress| progress.epoch > 0);
            let epoch = before.as_ref().map_or(0, |progress| progress.epoch);
            let before = before.map(|progress| (progress.committed_at, progress.watermarks));
            targets.push(commit::Target { sink, claim, epoch, before });
        }
        for target in &targets {
            if !(resume.epoch..=resume.journaled()).contains(&target.epoch) {
                let elsewhere = SinkError::elsewhere(&target.sink.name(), target.epoch, resume.epoch);
                return Err(EngineError::Commit(elsewhere.into()));
            }
        }
        let replay: Vec<_> = resume.replay.iter().map(|replayed| replayed.entry.clone()).collect();
        let families: Vec<_> = options.lanes.iter().map(|lane| lane.family.family()).collect();
        let all = sources.iter().map(|source| Elsewhere::of(0, &**source)).chain(elsewhere.iter().cloned()).collect();
        let readers: BTreeSet<_> = elsewhere.iter().map(|there| there.process).collect();
        let readers = readers.len() + usize::from(!sources.is_empty());
        let given = sources.into_iter().map(Given::Here).chain(elsewhere.into_iter().map(Given::There)).collect();
        let opens = resume.first_epoch((options.clock)());
        let intake = Intake::new(given, &families, opens.0, &resume.positions, &replay)?;
        let read = |partition: &Partition| (partition.topic.clone(), partition.family.0.name());
        stats.sources.set(intake.partitions.iter().map(read));
        let lanes = families.iter().zip(&intake.sequences);
        let lanes = lanes.map(|(family, sequence)| LaneLogs { family: family.name(), sequence: sequence.clone() });
        let logs = Sources {
            partitions: intake.partitions.iter().map(partition_name).collect(),
            topics: intake.partitions.iter().map(|partition| partition.topic.clone()).collect(),
            lanes: lanes.collect(),
        };
        let signals = Signals {
            acknowledged: Arc::new(AtomicU64::new(resume.epoch)),
            committed: Arc::new(targets.iter().map(|target| AtomicU64::new(target.epoch)).collect()),
            snapshotting: Arc::default(),
            snapshot_bytes: Arc::default(),
            spared: Arc::default(),
            stop,
            failed: Arc::default(),
            stats,
        };
        let known = StreamPosition {
            epoch: resume.epoch,
            positions: resume.positions.clone(),
            sums: resume.sums.clone(),
            largest: resume.largest.clone(),
            second: resume.second.clone(),
            lanes: resume.lanes.clone(),
            clock_ms: resume.clock_ms,
            quality: resume.quality.clone(),
        };
        let (outbox, inbox) = channel();
        let workers = options.workers * processes;
        let (writing, rows) = writing(&mut targets, processes).unzip();
        let own_rows = writing.as_ref().and_then(|writing: &commit::Writing| writing.to.first().cloned());
        let turns = options.turns.clone();
        let delivery = commit::Delivery { inbox, outbox: outbox.clone(), workers, logs, turns, writing };
        let (to_pieces, pieces) = channel();
        let snapshots = keep.is_some().then(|| to_pieces.clone());
        let end = (resume.journaled(), resume.journaled_by);
        let shared = Arc::new(Shared {
            first: 0,
            archived: archived(&options, &intake.partitions),
            reads: intake.reads(),
            intake,
            opens,
            readers: options.workers * readers,
            options,
            signals,
            full: AtomicBool::new(false),
            failure: Mutex::new(None),
            outbox: Outbox::Here { committer: outbox, snapshots, rows: own_rows },
            shares: Mutex::new(std::mem::take(&mut resume.state)),
            resume,
            keeps_state: keep.is_some(),
            asked: (1..processes).map(|_| Asked::default()).collect(),
            ended: Mutex::default(),
        });
        let journal = keep.map(|Keep { dir, generation, fingerprint, identities: before }| {
            let (known_to, workers, others) = (Arc::clone(&shared), shared.options.workers, processes - 1);
            let identities = Box::new(move || {
                let mut all = before.clone();
                all.extend(known_to.intake.identities());
                all
            });
            let facts = SnapshotFacts { generation, workers, others, identities, fingerprint };
            let replay = replay.into_iter().map(|entry| (entry.epoch, entry)).collect();
            commit::Journal { dir, generation, replay, end, facts, pieces, to_pieces }
        });
        Ok(Leader { shared, sources: all, targets, journal, known, delivery, rows })
    }

    /// What all must know alike.
    pub(super) fn plan(&self) -> Result<Plan, EngineError> {
        let Shared { resume, opens, reads, readers, .. } = &*self.shared;
        let kept = self.journal.as_ref().map(|journal| Kept::by(&journal.dir, journal.generation));
        Ok(Plan {
            epoch: resume.epoch,
            opens: *opens,
            reads: reads.clone(),
            readers: *readers,
            kept: kept.transpose().map_err(CommitError::State)?,
            positions: resume.positions.clone(),
            journaled: resume.replay.iter().map(|replayed| (replayed.by, replayed.entry.clone())).collect(),
            parts: resume.elsewhere.clone(),
            sources: self.sources.clone(),
            lanes: self.shared.options.lanes.iter().map(OfLane::of).collect(),
            rows: self.rows.as_ref().map(|(claim, _)| (claim.pipeline_id.clone(), claim.generation)),
        })
    }

    /// What hears another process.
    pub(super) fn hearing(&mut self, process: usize) -> Hearing {
        let orders = self.rows.as_mut().and_then(|(_, orders)| orders[process - 1].take());
        Hearing::new(process, &self.shared, orders)
    }

    /// The same of a process that is in this one; and the way to its thread that writes its rows, with the other end.
    pub(super) fn hearing_here(&mut self, process: usize) -> (Hearing, (Sender<ToWriter>, Receiver<ToWriter>)) {
        let hearing = self.hearing(process);
        let to = self.delivery.writing.as_ref().map(|writing| writing.to[process].clone());
        let rows = to.zip(hearing.orders()).unwrap_or_else(channel);
        (hearing, rows)
    }

    /// The side of another process of the sink to which all write, for one that has no other way to it.
    pub(super) fn shard(&mut self, process: usize) -> Option<Box<dyn Shard>> {
        let (_, others) = self.rows.as_ref()?;
        self.targets.first_mut()?.sink.shard(process, others.len() + 1)
    }

    /// Commits what the workers deliver, until they have delivered all.
    pub(super) fn run(self, guards: WorkerGuards<()>, when_gone: WhenGone) -> Result<Ended, EngineError> {
        let Leader { shared, sources: _, targets, journal, known, delivery, rows: _ } = self;
        let signals = &shared.signals;
        let committed = commit::run(delivery, targets, journal, known, &shared.options.commit, signals);
        if let (Err(CommitError::Gone(_)), WhenGone::IsLeft) = (&committed, when_gone) {
            // The workers wait for one that never answers.
            std::mem::forget(guards);
            return committed.map(|_| Ended::default()).map_err(EngineError::from);
        }
        let committed = committed.map_err(|error| shared.fail(error.into()));
        // Workers may still be delivering; nobody listens any more, and they do not mind.
        for joined in guards.join() {
            joined.map_err(EngineError::Thread)?;
        }
        // All sinks have all of it, and if the last snapshot was published, so does that.
        if let (Ok(known), None) = (&committed, &*shared.failure.lock())
            && signals.stats.last_snapshot().is_some_and(|(epoch, ..)| epoch == known.epoch)
        {
            let intake = &shared.intake;
            intake.slots().for_each(|mut slot| slot.spares(&intake.partitions, &known.positions));
        }
        // Where nothing was read at all, no epoch has said it.
        signals.stats.set_unread(shared.intake.slots().flat_map(|slot| slot.unread()).collect());
        if let Some(error) = shared.failure.lock().take() {
            return Err(error);
        }
        let mut ended = std::mem::take(&mut *shared.ended.lock());
        if let Ok(known) = committed {
            let StreamPosition { epoch: _, positions, sums, largest, second, lanes, clock_ms, quality } = known;
            ended = Resume { positions, sums, largest, second, lanes, clock_ms, quality, ..ended };
        }
        Ok(ended)
    }
}
