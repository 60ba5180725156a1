//! Closed epochs become commits.
//!
//! ```text
//! workers -> parts -> closed epochs -> journal -> merged, one heap per sink -> commits -> sinks
//! ```
//!
//! One thread collects what the workers deliver. A closed epoch is journaled before anything of it is
//! shown; then it is merged with those before it (the last delta per key wins) until each sink takes
//! its next commit, at its own pace and from its own position. An epoch is acknowledged once it is
//! merged and what waits for every sink is within its bound; unacknowledged epochs stop the sources.
//! Waiting for `commit_interval` stops nobody.

mod applying;
mod carried;
mod journaling;
mod parts;
mod patience;
mod pending;
mod purging;
mod quality;
mod rows;
mod snapshots;
mod told;

pub use carried::{Carried, CarriedBug, CarriedPieces, Carrier};
pub use parts::{SaysOfParts, Share, Whose, Written, write_parts};
pub use pending::{StreamPosition, add_sums};
pub use rows::{Order, Pieces, ToWriter, Writing, write_rows};
pub use snapshots::{Facts as SnapshotFacts, Piece};
pub use told::{
    ByTheWorld, CommitError, Delivery, Journal, LaneLogs, Message, Options, Part, Signals, Sources, Target,
};

use crate::kept;
use crate::lanes::Lanes;
use crate::sink::{Claim, Commit};
use crate::state_dir::journal::{self, Entry};
use crate::stats::LastCommit;
use crate::stats::sinks::OfSink;
use crate::turns::{Turn, Turns};
use dataflows::Time;
use patience::Patience;
use pending::{Pending, facts};
use purging::Purging;
use quality::Counting;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Commits everything the workers deliver, until they have delivered all; tells what is known then.
///
/// # Errors
/// If a sink or the journal fails for good, or a worker found a bug.
pub fn run(
    delivery: Delivery,
    targets: Vec<Target>,
    journal: Option<Journal>,
    known: StreamPosition,
    options: &Options,
    signals: &Signals,
) -> Result<StreamPosition, CommitError> {
    let Delivery { inbox, outbox, workers, logs, turns, writing } = delivery;
    let mut threads = Threads::default();
    let first_claim = targets.first().map(|target| target.claim.clone());
    if let Some(Target { epoch, before, .. }) = targets.first() {
        let (clock_ms, watermarks) = before.clone().unwrap_or_default();
        if let Some(tap) = signals.stats.tap() {
            tap.begins_at(*epoch, &watermarks);
        }
        signals.stats.begins_at(LastCommit { epoch: *epoch, clock_ms, watermarks });
    }
    let of_sink = |target: &Target| OfSink { name: target.sink.name(), epoch: target.epoch, ..OfSink::default() };
    signals.stats.sinks.set(targets.iter().map(of_sink).collect());
    let lines = targets.into_iter().enumerate();
    let lines = lines.map(|(number, target)| threads.sink(number, target, &outbox, options, signals, &turns));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let journal = journal.map(|journal| threads.journal(journal, &outbox, options, signals, &turns));
    let writers = match writing.zip(first_claim) {
        Some((writing, claim)) => threads.rows(writing, claim, &outbox, options, signals, &turns)?,
        None => Vec::new(),
    };
    drop(outbox);
    let turn = turns.join("committer");
    let mut committer = Committer {
        parts: BTreeMap::new(),
        reached: vec![Some(0); workers],
        heard: known.lanes.clone(),
        closed: VecDeque::new(),
        journal: journal.transpose()?,
        counting: options.quality.clone().map(Counting::new),
        known,
        lines,
        writers,
        logs: &logs,
        options,
        signals,
        turn: &turn,
    };
    let result = committer.run(&inbox);
    let Committer { journal, lines, writers, known, .. } = committer;
    // If one is gone already, it need not be told.
    writers.iter().for_each(|writer| drop(writer.send(ToWriter::Over)));
    if result.is_err() {
        // So that what is unavailable is not waited for any longer than its grace.
        signals.stop.store(true, Ordering::Release);
        signals.failed.store(true, Ordering::Release);
    }
    if let Some(journal) = &journal {
        journal.to_pieces.send(Piece::Over).ok();
    }
    drop((journal, lines, turn));
    let joined = threads.join();
    // What a thread said last, it may have said too late to be heard in the loop.
    let unheard = inbox.try_iter().find_map(|message| match message {
        Message::Snapshot(error) | Message::Journaled(Err(error)) => Some(CommitError::State(error)),
        Message::Part(..)
        | Message::Reached(..)
        | Message::Journaled(Ok(_))
        | Message::Applied(..)
        | Message::Pieces(_)
        | Message::Bug(_)
        | Message::Gone(_) => None,
    });
    result?;
    joined?;
    unheard.map_or(Ok(known), Err)
}

#[derive(Default)]
struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    fn start(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), CommitError> {
        let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let started = started.map_err(|error| CommitError::Thread(format!("could not start a thread: {error}")))?;
        self.0.push(started);
        Ok(())
    }

    fn join(self) -> Result<(), CommitError> {
        let joined = self.0.into_iter().map(JoinHandle::join).collect::<Result<Vec<_>, _>>();
        joined.map(drop).map_err(|_| CommitError::Thread("a thread that writes panicked".to_owned()))
    }

    fn sink(
        &mut self,
        number: usize,
        Target { sink, claim, epoch, before }: Target,
        outbox: &Sender<Message>,
        options: &Options,
        signals: &Signals,
        turns: &Turns,
    ) -> Result<Line, CommitError> {
        let (to_sink, commits) = channel();
        let interval = sink.commit_interval().unwrap_or(options.commit_interval);
        let (takes_records, takes_clean) = (sink.takes_records(), sink.takes_clean());
        let (outbox, grace, stop) = (outbox.clone(), options.stop_grace, Arc::clone(&signals.stop));
        let (turns, stats) = (turns.clone(), Arc::clone(&signals.stats));
        let purging = Purging::new(options.catalogue, options.retention.clone(), before);
        self.start("sink", move || {
            let turn = turns.join(format!("sink {number}"));
            let patience = Patience { turn: &turn, stop: &stop, grace };
            applying::apply(number, (sink, &claim), &commits, &outbox, purging, &patience, &stats);
        })?;
        let pending = Pending::default();
        let last_commit = std::time::Instant::now();
        let line = Line {
            gathering: None,
            to_sink,
            interval,
            takes_records,
            takes_clean,
            committed: epoch,
            pending,
            applying: None,
            last_commit,
        };
        Ok(line)
    }

    /// The thread that writes the rows of this process; tells the way to that of each.
    fn rows(
        &mut self,
        Writing { shard, heard, to }: Writing,
        claim: Claim,
        outbox: &Sender<Message>,
        options: &Options,
        signals: &Signals,
        turns: &Turns,
    ) -> Result<Vec<Sender<ToWriter>>, CommitError> {
        let (outbox, options, signals, turns) = (outbox.clone(), options.clone(), signals.clone(), turns.clone());
        self.start("rows", move || {
            let turn = turns.join("rows 0");
            let say = |written| drop(outbox.send(Message::Pieces(written)));
            rows::write_rows((shard, &claim), &heard, say, &options, (turn, &signals));
        })?;
        Ok(to)
    }

    fn journal(
        &mut self,
        journal: Journal,
        outbox: &Sender<Message>,
        options: &Options,
        signals: &Signals,
        turns: &Turns,
    ) -> Result<Journaling, CommitError> {
        let Journal { dir, generation, replay, end, facts, pieces, to_pieces } = journal;
        let (to_journal, entries) = channel();
        {
            let (dir, outbox, options, signals) = (dir.clone(), outbox.clone(), options.clone(), signals.clone());
            let turns = turns.clone();
            self.start("journal", move || {
                let turn = turns.join("journal");
                journaling::write(&dir, generation, end, &entries, &outbox, &options, (turn, &signals));
            })?;
        }
        let (outbox, options, signals, turns) = (outbox.clone(), options.clone(), signals.clone(), turns.clone());
        self.start("snapshots", move || {
            let turn = turns.join("snapshots");
            snapshots::write(&dir, facts, &pieces, &outbox, &options, (turn, &signals));
        })?;
        Ok(Journaling { to_journal, to_pieces, replay, durable: end.0 })
    }
}

/// A sink's side of the committer.
struct Line {
    to_sink: Sender<Arc<Commit>>,
    interval: Duration,
    takes_records: bool,
    takes_clean: bool,
    committed: Time,
    pending: Pending,
    gathering: Option<Gathering>,
    applying: Option<Applying>,
    last_commit: std::time::Instant,
}

impl Line {
    /// Whether it has a commit that is not done.
    fn is_busy(&self) -> bool {
        self.applying.is_some() || self.gathering.is_some()
    }

    fn apply(&mut self, commit: Commit, bytes: usize, oldest: Option<std::time::Instant>) {
        let commit = Arc::new(commit);
        // If the sink's thread is gone, its last word is in the inbox.
        self.to_sink.send(Arc::clone(&commit)).ok();
        self.applying = Some(Applying { commit, bytes, oldest });
    }
}

/// A commit whose rows are being written by the processes that made them.
struct Gathering {
    commit: Commit,
    bytes: usize,
    oldest: Option<std::time::Instant>,
    /// So many have not said yet what they wrote.
    missing: usize,
}

struct Applying {
    commit: Arc<Commit>,
    bytes: usize,
    oldest: Option<std::time::Instant>,
}

/// The journal's side.
struct Journaling {
    to_journal: Sender<Entry>,
    to_pieces: Sender<Piece>,
    replay: BTreeMap<Time, Entry>,
    /// The last epoch that is durable.
    durable: Time,
}

/// An epoch that all workers have left behind.
struct Closed {
    entry: Entry,
    parts: Vec<Part>,
    snapshot: bool,
    /// Something was read, or the watermark moved, or a snapshot is taken.
    changed: bool,
}

struct Committer<'a> {
    parts: BTreeMap<Time, Vec<Part>>,
    reached: Vec<Option<Time>>,
    /// How far each family has come, after the last closed epoch.
    heard: Lanes,
    /// Closed, and not merged yet, because the journal is not durable so far.
    closed: VecDeque<Closed>,
    journal: Option<Journaling>,
    counting: Option<Counting>,
    /// As of the last merged epoch.
    known: StreamPosition,
    lines: Vec<Line>,
    /// Where every process writes the rows of the first sink that are its own: the way to each.
    writers: Vec<Sender<ToWriter>>,
    logs: &'a Sources,
    options: &'a Options,
    signals: &'a Signals,
    turn: &'a Turn,
}

impl Committer<'_> {
    fn run(&mut self, inbox: &Receiver<Message>) -> Result<(), CommitError> {
        loop {
            let finished = self.reached.iter().all(Option::is_none);
            self.close()?;
            self.merge();
            let finished = finished && self.closed.is_empty();
            for line in 0..self.lines.len() {
                self.hand_over(line, finished);
            }
            if finished && self.lines.iter().all(|line| !line.is_busy() && !line.pending.changed) {
                return Ok(());
            }
            self.acknowledge();
            match self.turn.recv(inbox, self.patience()) {
                Ok(message) => self.hear(message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            while let Ok(message) = inbox.try_recv() {
                self.hear(message)?;
            }
        }
    }

    fn hear(&mut self, message: Message) -> Result<(), CommitError> {
        match message {
            Message::Part(epoch, part) => self.parts.entry(epoch).or_default().push(*part),
            Message::Reached(worker, epoch) => self.reached[worker] = epoch,
            Message::Journaled(result) => {
                let durable = result?;
                self.journal.iter_mut().for_each(|journal| journal.durable = durable);
            }
            Message::Applied(line, result) => {
                result?;
                self.applied(line);
            }
            Message::Pieces(written) => self.gathered(written?),
            Message::Snapshot(error) => return Err(error.into()),
            Message::Bug(bug) => return Err(bug.into()),
            Message::Gone(why) => return Err(CommitError::Gone(why)),
        }
        Ok(())
    }

    /// Takes every epoch that all workers have left behind, and has it journaled.
    fn close(&mut self) -> Result<(), CommitError> {
        let open = self.reached.iter().flatten().min().copied();
        self.signals.stats.reached.store(open.unwrap_or(Time::MAX), Ordering::Relaxed);
        while let Some(first) = self.parts.first_entry() {
            if open.is_some_and(|open| *first.key() >= open) {
                break;
            }
            let (epoch, mut parts) = first.remove_entry();
            if dataflows::time::is_silent(epoch) {
                continue;
            }
            kept::limit(parts.iter_mut().map(|part| &mut part.appends));
            let entry = facts(epoch, &parts, &self.heard, self.logs);
            let snapshot = parts.iter().any(|part| part.snapshot);
            let changed = !entry.read.is_empty() || !entry.lanes.0.is_empty() || snapshot;
            if let Some(journal) = self.journal.as_mut().filter(|_| changed) {
                match journal.replay.remove(&epoch) {
                    Some(known) => compare(&known, &entry, &self.heard)?,
                    // If its thread is gone, its last word is in the inbox.
                    None => drop(journal.to_journal.send(entry.clone())),
                }
            }
            self.heard.learn(&entry.lanes);
            self.closed.push_back(Closed { entry, parts, snapshot, changed });
        }
        Ok(())
    }

    /// Merges every closed epoch whose facts are durable.
    fn merge(&mut self) {
        let durable = self.journal.as_ref().map_or(Time::MAX, |journal| journal.durable);
        while let Some(Closed { entry, mut parts, snapshot, changed }) =
            self.closed.pop_front_if(|closed| !closed.changed || closed.entry.epoch <= durable)
        {
            let epoch = entry.epoch;
            self.known.learn(&entry);
            self.signals.stats.epochs.fetch_add(1, Ordering::Relaxed);
            if !changed {
                continue;
            }
            if let Some(counting) = &mut self.counting {
                counting.add(entry.opened_ms, &mut parts, &mut self.known, self.logs);
            }
            let clean: Vec<_> = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.clean)).collect();
            let mut takers: Vec<_> =
                self.lines.iter_mut().filter(|line| line.takes_clean && line.committed < epoch).collect();
            if let Some(last) = takers.pop() {
                takers.into_iter().for_each(|line| line.pending.add_clean(clean.clone()));
                last.pending.add_clean(clean);
            }
            let archived: Vec<_> = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.archived)).collect();
            if let Some(archive) = self.lines.iter_mut().find(|line| line.takes_records && line.committed < epoch) {
                archive.pending.archive(archived);
            }
            let mut wanting: Vec<_> = self.lines.iter_mut().filter(|line| line.committed < epoch).collect();
            if let Some(last) = wanting.pop() {
                wanting.into_iter().for_each(|line| line.pending.merge(epoch, parts.iter().map(Part::rows).collect()));
                last.pending.merge(epoch, parts);
            }
            if let Some(journal) = self.journal.as_ref().filter(|_| snapshot) {
                journal.to_pieces.send(Piece::Taken(self.known.clone())).ok();
            }
        }
    }

    fn patience(&self) -> Duration {
        let until_due = |line: &Line| line.interval.saturating_sub(line.last_commit.elapsed());
        let due = self.lines.iter().filter(|line| line.pending.changed && !line.is_busy()).map(until_due);
        due.min().unwrap_or(Duration::from_secs(1))
    }

    fn acknowledge(&self) {
        let waiting = |line: &Line| {
            let gathering = line.gathering.as_ref().map_or(0, |gathering| gathering.bytes);
            line.pending.bytes + gathering + line.applying.as_ref().map_or(0, |applying| applying.bytes)
        };
        self.signals.stats.sinks.set_pending(self.lines.iter().map(waiting));
        if self.lines.iter().all(|line| waiting(line) <= self.options.pending_bytes) {
            self.signals.acknowledged.fetch_max(self.known.epoch, Ordering::AcqRel);
        }
    }

    fn hand_over(&mut self, number: usize, finished: bool) {
        let line = &mut self.lines[number];
        let is_due =
            finished || line.last_commit.elapsed() >= line.interval || line.pending.bytes > self.options.pending_bytes;
        if line.is_busy() || !line.pending.changed || !is_due {
            return;
        }
        let pending = std::mem::take(&mut line.pending);
        let (bytes, oldest) = (pending.bytes, pending.oldest);
        let commit = pending.commit(line.committed, &self.known);
        line.last_commit = std::time::Instant::now();
        if number > 0 || self.writers.is_empty() {
            line.apply(commit, bytes, oldest);
            return;
        }
        let Commit { follows, epoch, clock_ms, .. } = commit;
        line.gathering = Some(Gathering { commit, bytes, oldest, missing: self.writers.len() });
        let order = Order { follows, epoch, clock_ms };
        // If one is gone, its last word is in the inbox.
        self.writers.iter().for_each(|writer| drop(writer.send(ToWriter::Write(order))));
    }

    /// A process has written what is its own of a commit; the sink has it once all have.
    fn gathered(&mut self, mut pieces: Pieces) {
        let Some(line) = self.lines.first_mut() else { return };
        let Some(Gathering { commit, missing, .. }) = &mut line.gathering else { return };
        commit.pieces.append(&mut pieces);
        *missing -= 1;
        if let Some(Gathering { mut commit, bytes, oldest, .. }) = line.gathering.take_if(|it| it.missing == 0) {
            // In an order that does not depend on who was first.
            commit.pieces.sort_by(|(a, one), (b, other)| (a, one.first_file()).cmp(&(b, other.first_file())));
            line.apply(commit, bytes, oldest);
        }
    }

    fn applied(&mut self, number: usize) {
        let line = &mut self.lines[number];
        let Some(Applying { commit, oldest, .. }) = line.applying.take() else { return };
        line.committed = commit.epoch;
        self.signals.committed[number].store(commit.epoch, Ordering::Release);
        self.signals.stats.sinks.committed(number, commit.epoch);
        if number > 0 {
            // The first sink stands for all in what is counted.
            return;
        }
        self.signals.stats.committed(&commit, oldest);
        // Its sink has let go of it.
        if let Some(tap) = self.signals.stats.tap()
            && let Some(commit) = Arc::into_inner(commit)
        {
            tap.take(commit);
        }
    }
}

impl Part {
    /// Its rows again, for one more sink.
    fn rows(&self) -> Part {
        let Part { away, oldest, .. } = *self;
        Part { deltas: self.deltas.clone(), appends: self.appends.clone(), away, oldest, ..Part::default() }
    }
}

/// What is replayed must be what was journaled: a source that yields other records, or a decision
/// that came out otherwise, must not become rows that contradict those a sink already has.
fn compare(journaled: &Entry, replayed: &Entry, before: &Lanes) -> Result<(), CommitError> {
    // Earlier versions joined nothing, and named what had not moved.
    let rejected = journal::joined(journaled.rejected.clone());
    let journaled = &Entry { rejected, lanes: before.news(&journaled.lanes), ..journaled.clone() };
    if journaled == replayed {
        return Ok(());
    }
    let differ = |what: &str, journaled: String, replayed: String| {
        (journaled != replayed).then(|| format!("{what}: journaled {journaled}, now {replayed}"))
    };
    let largest = |entry: &Entry| format!("{:?}, {:?}", entry.largest, entry.second);
    let what = [
        differ("offsets read", format!("{:?}", journaled.read), format!("{:?}", replayed.read)),
        differ("sums of what was read", format!("{:?}", journaled.sums), format!("{:?}", replayed.sums)),
        differ("largest event times", largest(journaled), largest(replayed)),
        differ("rejected", format!("{:?}", journaled.rejected), format!("{:?}", replayed.rejected)),
        differ("watermarks", format!("{:?}", journaled.lanes.0), format!("{:?}", replayed.lanes.0)),
        differ(
            "clock",
            format!("{}, {}", journaled.opened_ms, journaled.clock_ms),
            format!("{}, {}", replayed.opened_ms, replayed.clock_ms),
        ),
    ];
    Err(CommitError::Replay { epoch: journaled.epoch, what: what.into_iter().flatten().collect::<Vec<_>>().join("; ") })
}
