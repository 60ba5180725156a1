//! What a run counts while it runs: read by the progress line, the summary, the server and the tests.

pub mod examples;
pub mod fresh;
pub mod processes;
pub mod sinks;
pub mod sources;
pub mod turns;

use crate::decode::Reason;
use crate::lanes::Watermarks;
use crate::sink::Commit;
use crate::sink::parquet::Piece;
use crate::source::{Lag, Portion, Trouble};
use crate::tap::Tap;
use dataflows::raw::LATE_EVENTS;
use dataflows::table::TableId;
use dataflows::{Instant as EventTime, Time};
use examples::Examples;
use fresh::Fresh;
use parking_lot::Mutex;
use processes::{Counted, Processes, Reading};
use sinks::Sinks;
use sources::Sources;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use turns::Turns;

/// The last commit of a warehouse, whichever run made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastCommit {
    /// Its epoch; 0 before the first one.
    pub epoch: Time,
    /// Its clock.
    pub clock_ms: EventTime,
    /// Its watermarks.
    pub watermarks: Watermarks,
}

/// Counters of one run, shared by all its threads.
#[derive(Debug, Default)]
pub struct Stats {
    /// Records read.
    pub records: AtomicU64,
    /// Records rejected.
    pub rejected: AtomicU64,
    /// Events that came too late to change a metric.
    pub late: AtomicU64,
    /// E-mail addresses that came in clear and were masked.
    pub masked: AtomicU64,
    /// Events that another source has, and that were not taken.
    pub elsewhere: AtomicU64,
    /// Epochs merged into commits.
    pub epochs: AtomicU64,
    /// Commits applied.
    pub commits: AtomicU64,
    /// Rows upserted.
    pub upserted: AtomicU64,
    /// Rows deleted.
    pub deleted: AtomicU64,
    /// Rows added to raw tables.
    pub appended: AtomicU64,
    /// The watermarks of the last commit.
    watermarks: Mutex<Watermarks>,
    /// From reading the oldest record of the last commit to its being committed, in milliseconds.
    pub freshness_ms: AtomicU64,
    /// The greatest of those.
    pub freshness_max_ms: AtomicU64,
    /// Epochs of which something was read and is not committed: when the first record was read, and how many were.
    uncommitted: Mutex<BTreeMap<Time, (Instant, u64)>>,
    /// How much was read of what there is, if it has an end.
    portion: Mutex<Option<Portion>>,
    /// The last snapshot: epoch, its clock, records, bytes.
    snapshot: Mutex<Option<(u64, i64, u64, u64)>>,
    live: Mutex<BTreeMap<(usize, &'static str), usize>>,
    reasons: Mutex<BTreeMap<&'static str, u64>>,
    waits_for: Mutex<Vec<String>>,
    unread: Mutex<Vec<String>>,
    /// The families whose watermark nothing moves, and since when, by the run's clock.
    silent_since: Mutex<BTreeMap<&'static str, i64>>,
    /// What sources complain of.
    troubles: Mutex<Vec<Trouble>>,
    /// How far reading is behind, of topics.
    lag: Mutex<Vec<Lag>>,
    /// What the start waits for.
    starting: Mutex<Option<Trouble>>,
    /// Why the journal cannot be written.
    journal_away: Mutex<Option<String>>,
    /// Rows upserted, deleted and added, by the names of their tables.
    rows: Mutex<BTreeMap<&'static str, u64>>,
    /// What is read.
    pub sources: Sources,
    /// Where rows go.
    pub sinks: Sinks,
    /// Which workers go on.
    pub turns: Turns,
    /// The epoch that is open.
    pub open: AtomicU64,
    /// All workers have delivered the epochs before this one.
    pub reached: AtomicU64,
    /// The processes of the run, if it has several.
    pub processes: Processes,
    /// Where the warehouse is.
    last_commit: Mutex<LastCommit>,
    /// How fresh the tables were after each of the last commits.
    pub fresh: Fresh,
    /// The last record of each reason, and late event of each topic.
    pub examples: Examples,
    /// Where those look on who are told what is committed, if anybody can.
    tap: OnceLock<Arc<Tap>>,
}

impl Stats {
    /// Counts records that were read in an epoch, by the numbers of their partitions; those of one partition come together.
    pub fn read(&self, epoch: Time, partitions: impl ExactSizeIterator<Item = u32>) {
        let count = partitions.len() as u64;
        self.records.fetch_add(count, Relaxed);
        if let Some((_, records)) = self.uncommitted.lock().get_mut(&epoch) {
            *records += count;
        }
        self.sources.count(partitions);
    }

    /// Counts a rejection.
    pub fn reject(&self, reason: Reason) {
        self.rejected.fetch_add(1, Relaxed);
        *self.reasons.lock().entry(reason.code()).or_default() += 1;
    }

    /// Rejections by reason.
    pub fn reasons(&self) -> BTreeMap<&'static str, u64> {
        self.reasons.lock().clone()
    }

    /// The first record of an epoch was read.
    pub fn read_first(&self, epoch: Time, at: Instant) {
        let mut uncommitted = self.uncommitted.lock();
        let (first, _) = uncommitted.entry(epoch).or_insert((at, 0));
        *first = at.min(*first);
    }

    /// Everything up to an epoch is committed.
    pub fn committed_up_to(&self, epoch: Time) {
        let mut uncommitted = self.uncommitted.lock();
        *uncommitted = uncommitted.split_off(&(epoch + 1));
    }

    /// How fresh the tables are, in milliseconds: what the last commit took, or how long something waits to be committed
    /// that was read, if that is more.
    pub fn fresh_ms(&self) -> u64 {
        self.freshness_ms.load(Relaxed).max(self.unwritten_ms().unwrap_or(0))
    }

    /// How long the oldest record waits to be committed of those that were read, in milliseconds; nothing if none waits.
    pub fn unwritten_ms(&self) -> Option<u64> {
        let oldest = self.uncommitted.lock().values().map(|(first, _)| *first).min();
        oldest.map(|oldest| oldest.elapsed().as_millis() as u64)
    }

    /// How many of the records that were read wait to be committed.
    pub fn unwritten_records(&self) -> u64 {
        self.uncommitted.lock().values().map(|(_, records)| records).sum()
    }

    /// Notes how much was read of what there is; none if it has no end.
    pub fn set_portion(&self, portion: Option<Portion>) {
        *self.portion.lock() = portion;
    }

    /// How much was read of what there is; none if it has no end.
    pub fn portion(&self) -> Option<Portion> {
        *self.portion.lock()
    }

    /// Notes what sources wait for that are unavailable.
    pub fn set_waits_for(&self, what: Vec<String>) {
        *self.waits_for.lock() = what;
    }

    /// Notes what sources have left unread until more of it is there.
    pub fn set_unread(&self, what: Vec<String>) {
        *self.unread.lock() = what;
    }

    /// What sources have left unread until more of it is there.
    pub fn unread(&self) -> Vec<String> {
        self.unread.lock().clone()
    }

    /// Notes what sources complain of, each once.
    pub fn set_troubles(&self, mut all: Vec<Trouble>) {
        all.sort_by(|one, other| (&one.of, &one.since).cmp(&(&other.of, &other.since)));
        all.dedup_by(|one, other| one.of == other.of);
        *self.troubles.lock() = all;
    }

    /// Notes how far reading is behind, partition by partition.
    pub fn set_lag(&self, of_partitions: Vec<Lag>) {
        *self.lag.lock() = of_topics(of_partitions);
    }

    /// How far reading is behind, topic by topic, in all processes.
    pub fn lag(&self) -> Vec<Lag> {
        let elsewhere = self.processes.reading_elsewhere().into_iter().flat_map(|reading| reading.lag);
        of_topics(self.lag.lock().iter().cloned().chain(elsewhere).collect())
    }

    /// Notes why the start goes no further, or that it does.
    pub fn set_start_waits(&self, said: Option<String>) {
        let mut starting = self.starting.lock();
        *starting = said.map(|said| Trouble::with(starting.take(), "start", said));
    }

    /// What does not answer as it should, what was last said of it, and since when.
    pub fn troubles(&self) -> Vec<Trouble> {
        let starting = self.starting.lock().clone();
        let mut troubles = self.troubles.lock().clone();
        for other in self.processes.reading_elsewhere().into_iter().flat_map(|reading| reading.troubles) {
            if troubles.iter().all(|known| known.of != other.of) {
                troubles.push(other);
            }
        }
        starting.into_iter().chain(troubles).collect()
    }

    /// Notes the families of which every partition is silent that takes part in the watermark, and since when.
    pub fn set_silent_since(&self, since_ms: BTreeMap<&'static str, i64>) {
        *self.silent_since.lock() = since_ms;
    }

    /// The families of which every partition is silent that takes part in the watermark, and since when: it stands.
    pub fn silent_since(&self) -> BTreeMap<&'static str, i64> {
        let mut silent = self.silent_since.lock().clone();
        for reading in self.processes.reading_elsewhere() {
            silent.retain(|family, _| reading.silent.contains(*family));
        }
        silent
    }

    /// The watermarks of the last commit.
    pub fn watermarks(&self) -> Watermarks {
        self.watermarks.lock().clone()
    }

    /// Notes that the journal cannot be written, and why; or that it can.
    pub fn set_journal_away(&self, why: Option<String>) {
        *self.journal_away.lock() = why;
    }

    /// Why the journal cannot be written; nothing if it can.
    pub fn journal_away(&self) -> Option<String> {
        self.journal_away.lock().clone()
    }

    /// What is waited for that is unavailable: by sources, and sinks.
    pub fn waits_for(&self) -> Vec<String> {
        let mut all = self.waits_for.lock().clone();
        for other in self.processes.reading_elsewhere().into_iter().flat_map(|reading| reading.waits_for) {
            if !all.contains(&other) {
                all.push(other);
            }
        }
        all.extend(self.journal_away());
        all.extend(self.sinks.away());
        all
    }

    /// Notes how many records a worker's operators hold.
    pub fn set_live(&self, worker: usize, counts: Vec<(&'static str, usize)>) {
        let mut live = self.live.lock();
        live.extend(counts.into_iter().map(|(name, count)| ((worker, name), count)));
    }

    /// Live records per operator, over all workers of all processes.
    pub fn live(&self) -> BTreeMap<&'static str, usize> {
        let own = self.own_live().into_iter();
        own.map(|(name, count)| (name, count + self.processes.live_elsewhere(name) as usize)).collect()
    }

    /// Live records per operator, over all workers of this process.
    pub fn own_live(&self) -> BTreeMap<&'static str, usize> {
        let live = self.live.lock();
        live.iter().fold(BTreeMap::new(), |mut sums, ((_, name), count)| {
            *sums.entry(*name).or_default() += count;
            sums
        })
    }

    /// What this process has counted of what it reads.
    pub fn counted(&self) -> Counted {
        Counted {
            topics: self.sources.all().into_iter().map(|of| (of.topic, of.records)).collect(),
            reasons: self.reasons().into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
            masked: self.masked.load(Relaxed),
            elsewhere: self.elsewhere.load(Relaxed),
        }
    }

    /// How reading goes in this process.
    pub fn reading(&self) -> Reading {
        Reading {
            waits_for: self.waits_for.lock().clone(),
            troubles: self.troubles.lock().clone(),
            lag: self.lag.lock().clone(),
            silent: self.silent_since.lock().keys().map(|family| (*family).to_owned()).collect(),
        }
    }

    /// Adds what another process has counted since it was heard of. `reason`: a reason by its code.
    pub fn count_elsewhere(&self, before: &Counted, now: &Counted, reason: impl Fn(&str) -> Option<Reason>) {
        let news = |before: &BTreeMap<String, u64>, (name, count): (&String, &u64)| {
            count.saturating_sub(before.get(name).copied().unwrap_or_default())
        };
        for of in &now.topics {
            let read = news(&before.topics, of);
            self.records.fetch_add(read, Relaxed);
            self.sources.add(of.0, read);
        }
        for of in &now.reasons {
            let (rejected, Some(reason)) = (news(&before.reasons, of), reason(of.0)) else { continue };
            self.rejected.fetch_add(rejected, Relaxed);
            *self.reasons.lock().entry(reason.code()).or_default() += rejected;
        }
        self.masked.fetch_add(now.masked.saturating_sub(before.masked), Relaxed);
        self.elsewhere.fetch_add(now.elsewhere.saturating_sub(before.elsewhere), Relaxed);
    }

    /// A snapshot was published: its epoch and clock, how many records and bytes.
    pub fn snapshot(&self, epoch: u64, clock_ms: i64, records: u64, bytes: u64) {
        *self.snapshot.lock() = Some((epoch, clock_ms, records, bytes));
    }

    /// The last snapshot: epoch, its clock, records, bytes.
    pub fn last_snapshot(&self) -> Option<(u64, i64, u64, u64)> {
        *self.snapshot.lock()
    }

    /// Rows upserted, deleted and added, by the names of their tables.
    pub fn rows(&self) -> BTreeMap<&'static str, u64> {
        self.rows.lock().clone()
    }

    /// Notes where the warehouse is before the first commit of this run.
    pub fn begins_at(&self, last: LastCommit) {
        *self.last_commit.lock() = last;
    }

    /// Where the warehouse is.
    pub fn last_commit(&self) -> LastCommit {
        self.last_commit.lock().clone()
    }

    /// From now on what is committed is told there.
    pub fn set_tap(&self, tap: Arc<Tap>) {
        // A run has one: a second one would be told half of it.
        self.tap.set(tap).ok();
    }

    /// Where those look on who are told what is committed.
    pub fn tap(&self) -> Option<&Arc<Tap>> {
        self.tap.get()
    }

    /// A commit was applied, of which the oldest record was read then.
    pub fn committed(&self, commit: &Commit, oldest: Option<Instant>) {
        let (upserted, deleted) = commit.counts();
        let freshness_ms = oldest.map_or(0, |oldest| oldest.elapsed().as_millis() as u64);
        self.commits.fetch_add(1, Relaxed);
        self.upserted.fetch_add(upserted, Relaxed);
        self.deleted.fetch_add(deleted, Relaxed);
        self.appended.fetch_add(commit.appends.values().map(Vec::len).sum::<usize>() as u64, Relaxed);
        self.appended.fetch_add(commit.pieces.iter().map(|(_, piece)| piece.added()).sum::<u64>(), Relaxed);
        self.late.fetch_add(commit.appends.get(&LATE_EVENTS).map_or(0, Vec::len) as u64, Relaxed);
        let of_tables = commit.deltas.iter().map(|(id, deltas)| (id, deltas.len()));
        let of_tables = of_tables.chain(commit.appends.iter().map(|(id, rows)| (id, rows.len())));
        let of_piece = |(id, piece): &(TableId, Piece)| {
            let (upserted, deleted) = piece.counts();
            (*id, upserted + deleted + piece.added())
        };
        let of_tables = of_tables.map(|(id, count)| (*id, count as u64)).chain(commit.pieces.iter().map(of_piece));
        let mut rows = self.rows.lock();
        of_tables.for_each(|(id, count)| *rows.entry(id.name()).or_default() += count);
        drop(rows);
        self.watermarks.lock().clone_from(&commit.watermarks);
        self.freshness_ms.store(freshness_ms, Relaxed);
        self.freshness_max_ms.fetch_max(freshness_ms, Relaxed);
        if oldest.is_some() {
            self.fresh.note(Instant::now(), freshness_ms);
        }
        self.examples.see(commit);
        self.committed_up_to(commit.epoch);
        let (epoch, clock_ms, watermarks) = (commit.epoch, commit.clock_ms, commit.watermarks.clone());
        *self.last_commit.lock() = LastCommit { epoch, clock_ms, watermarks };
    }
}

/// How far reading is behind, of topics, as it is of partitions.
fn of_topics(of_partitions: Vec<Lag>) -> Vec<Lag> {
    let mut of_topics = BTreeMap::<String, Lag>::new();
    for Lag { topic, records, read_to_ms } in of_partitions {
        let known = of_topics.entry(topic.clone()).or_insert_with(|| Lag { topic, ..Lag::default() });
        known.records += records;
        // Of what was read to its end it says nothing.
        let oldest = known.read_to_ms.into_iter().chain(read_to_ms.filter(|_| records > 0)).min();
        known.read_to_ms = oldest;
    }
    of_topics.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_has_counted_is_counted_once() {
        let (own, other) = (Stats::default(), Stats::default());
        for stats in [&own, &other] {
            stats.sources.set([("a".to_owned(), "shop"), ("b".to_owned(), "shop")].into_iter());
        }
        own.read(2, [0, 0].into_iter());
        let mut before = Counted::default();
        for _ in 0..2 {
            other.read(2, [0, 1].into_iter());
            other.reject(Reason::UNREADABLE);
            let now = other.counted();
            own.count_elsewhere(&before, &now, |code| Some(Reason::UNREADABLE).filter(|reason| reason.code() == code));
            before = now;
        }
        let read: Vec<_> = own.sources.all().into_iter().map(|of| of.records).collect();
        assert_eq!((read, own.records.load(Relaxed)), (vec![4, 2], 6));
        assert_eq!((own.rejected.load(Relaxed), own.reasons().into_values().sum::<u64>()), (2, 2));
    }

    #[test]
    fn a_topic_is_as_far_behind_as_its_partitions_in_all_processes() {
        let lag = |records, read_to_ms| Lag { topic: "a".to_owned(), records, read_to_ms };
        assert_eq!(of_topics(vec![lag(3, Some(20)), lag(0, Some(10)), lag(4, Some(15))]), [lag(7, Some(15))]);
    }
}
