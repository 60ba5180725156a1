//! What was committed to the warehouse, for those who look on.
//!
//! The last commits are kept in memory, up to a bound: one who was away for a moment comes back and misses nothing, or is told
//! what is missing. The rows are those that were committed, moved and not copied; nobody who looks on holds the run up. Where
//! nobody can look on there is no tap, and this costs nothing.
//!
//! A row before a commit is [looked up](tapped) only while somebody looks on, and of windows that had ended: a late event
//! restates those, and that is [told] apart.

pub mod tapped;
pub mod told;

use crate::lanes::Watermarks;
use crate::sink::Commit;
use dataflows::Time;
use dataflows::deltas::Deltas;
use dataflows::table::TableId;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::watch;
use told::{Correction, Seen, Told};

/// A commit with more changed rows is not told row by row: who looks on reads the tables again.
const ROWS_MAX: usize = 10_000;
/// So many corrections of a table are kept: one event may restate a day of minutes.
const CORRECTIONS: usize = 200;

/// What was committed last.
#[derive(Debug)]
pub struct Tap {
    /// How many bytes of changed rows are kept.
    bytes_max: usize,
    /// How many look on.
    lookers: AtomicUsize,
    kept: Mutex<Kept>,
    /// The last epoch.
    news: watch::Sender<Time>,
}

#[derive(Debug, Default)]
struct Kept {
    /// A run began; before that nobody is told anything.
    has_begun: bool,
    /// Every commit after this epoch is here.
    begins: Time,
    last: Time,
    /// Of the last commit.
    watermarks: Watermarks,
    commits: VecDeque<Arc<Told>>,
    bytes: usize,
    corrections: BTreeMap<TableId, VecDeque<Arc<Correction>>>,
    /// What was seen of a commit that is not taken yet.
    seen: Option<(Time, Seen)>,
    /// From which epoch on it is known which tables changed, and when each did last.
    known_since: Time,
    changed: BTreeMap<TableId, Time>,
}

/// What comes after an epoch.
#[derive(Clone, Debug)]
pub enum Next {
    /// Nothing yet.
    Nothing,
    /// A commit.
    Commit(Arc<Told>),
    /// What was committed after the first epoch, up to the second, is not kept.
    Gap(Time, Time),
}

/// Somebody who looks on; dropped, one less does.
#[derive(Debug)]
pub struct Looking {
    tap: Arc<Tap>,
    news: watch::Receiver<Time>,
}

impl Tap {
    /// Keeps so many bytes of changed rows.
    pub fn keeping(bytes_max: usize) -> Tap {
        Tap { bytes_max, lookers: AtomicUsize::new(0), kept: Mutex::default(), news: watch::Sender::new(0) }
    }

    /// How many look on.
    pub fn lookers(&self) -> usize {
        self.lookers.load(Relaxed)
    }

    /// Whether somebody looks on.
    pub fn is_seen(&self) -> bool {
        self.lookers() > 0
    }

    /// A run begins with the warehouse at this epoch: of what came before, what is kept goes on to it, or is gone.
    pub fn begins_at(&self, epoch: Time, watermarks: &Watermarks) {
        let mut kept = self.kept.lock();
        if kept.last != epoch {
            let corrections = std::mem::take(&mut kept.corrections);
            *kept = Kept { begins: epoch, last: epoch, known_since: epoch, corrections, ..Kept::default() };
        }
        kept.has_begun = true;
        kept.watermarks.clone_from(watermarks);
        drop(kept);
        self.news.send_replace(epoch);
    }

    /// The watermarks of the last commit.
    fn watermarks(&self) -> Watermarks {
        self.kept.lock().watermarks.clone()
    }

    /// What was seen of a commit before it was applied, which it is by now.
    fn note(&self, epoch: Time, seen: Seen) {
        self.kept.lock().seen = Some((epoch, seen));
    }

    /// Takes a commit that the warehouse has.
    pub fn take(&self, commit: Commit) {
        let Commit { follows, epoch, clock_ms, watermarks, deltas, appends, .. } = commit;
        let rows = deltas.values().map(Deltas::len).sum::<usize>();
        let mut kept = self.kept.lock();
        let seen = kept.seen.take().filter(|(of, _)| *of == epoch).map(|(_, seen)| seen).unwrap_or_default();
        for table in deltas.keys().chain(appends.keys()) {
            kept.changed.insert(*table, epoch);
        }
        (kept.last, kept.watermarks) = (epoch, watermarks);
        let told = Told::new((follows, epoch, clock_ms), deltas, seen);
        for correction in told.corrections() {
            let of_table = kept.corrections.entry(correction.restated.table).or_default();
            if of_table.len() == CORRECTIONS {
                of_table.pop_front();
            }
            of_table.push_back(correction);
        }
        if rows > ROWS_MAX || told.bytes > self.bytes_max {
            kept.commits.clear();
            (kept.begins, kept.bytes) = (epoch, 0);
        } else {
            kept.bytes += told.bytes;
            kept.commits.push_back(Arc::new(told));
            while kept.bytes > self.bytes_max
                && let Some(first) = kept.commits.pop_front()
            {
                kept.bytes -= first.bytes;
                kept.begins = first.epoch;
            }
        }
        drop(kept);
        self.news.send_replace(epoch);
    }

    /// What comes after an epoch.
    pub fn after(&self, epoch: Time) -> Next {
        let kept = self.kept.lock();
        if !kept.has_begun {
            return Next::Nothing;
        }
        if epoch < kept.begins || epoch > kept.last {
            // One that is ahead saw another warehouse.
            let to = if epoch < kept.begins { kept.begins } else { kept.last };
            return Next::Gap(epoch, to);
        }
        let place = kept.commits.partition_point(|told| told.epoch <= epoch);
        kept.commits.get(place).map_or(Next::Nothing, |told| Next::Commit(Arc::clone(told)))
    }

    /// The last epoch.
    pub fn last(&self) -> Time {
        self.kept.lock().last
    }

    /// The last corrections of each table, newest first.
    pub fn corrections(&self) -> Vec<Arc<Correction>> {
        let kept = self.kept.lock();
        let mut all: Vec<_> = kept.corrections.values().flat_map(|of_table| of_table.iter().rev().cloned()).collect();
        drop(kept);
        all.sort_by_key(|correction| std::cmp::Reverse(correction.epoch));
        all
    }

    /// Whether it is known that a table is at an epoch what it was at an earlier one.
    pub fn is_same(&self, table: TableId, before: Time, now: Time) -> bool {
        let kept = self.kept.lock();
        let changed = kept.changed.get(&table).copied().unwrap_or(kept.known_since);
        kept.known_since <= before && changed <= before && now <= kept.last
    }

    /// Begins to look on.
    pub fn look(self: &Arc<Tap>) -> Looking {
        self.lookers.fetch_add(1, Relaxed);
        Looking { tap: Arc::clone(self), news: self.news.subscribe() }
    }
}

impl Looking {
    /// What comes after an epoch, if anything does.
    pub fn after(&self, epoch: Time) -> Next {
        self.tap.after(epoch)
    }

    /// Waits for what comes next; tells whether anything ever will.
    pub async fn news(&mut self) -> bool {
        self.news.changed().await.is_ok()
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.tap.lookers.fetch_sub(1, Relaxed);
    }
}
