//! Epochs merged, and what is known of the stream after them.

use super::{Part, Sources};
use crate::archived::Archived;
use crate::lanes::{Lanes, Times};
use crate::sink::Commit;
use crate::source::marks::Marks;
use crate::state_dir::journal::{self, Entry, Rejected};
use dataflows::deltas::Deltas;
use dataflows::operators::TopTwo;
use dataflows::quality::Running;
use dataflows::raw::Append;
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Time};
use std::collections::BTreeMap;

/// What is known of the stream after an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    /// The epoch.
    pub epoch: Time,
    /// Next offsets, by `topic/partition`.
    pub positions: BTreeMap<String, i64>,
    /// What was read of logs that are known by their content, by `topic/partition`.
    pub sums: BTreeMap<String, Marks>,
    /// Largest event times, by `topic/partition`.
    pub largest: BTreeMap<String, Instant>,
    /// Second largest event times, by `topic/partition`.
    pub second: BTreeMap<String, Instant>,
    /// How far each family has come.
    pub lanes: Lanes,
    /// The clock.
    pub clock_ms: Instant,
    /// What was counted in its hour.
    pub quality: Running,
}

impl StreamPosition {
    /// Takes the facts of the next epoch in.
    pub(super) fn learn(&mut self, entry: &Entry) {
        self.epoch = entry.epoch;
        for (partition, (_, next)) in &entry.read {
            match self.positions.get_mut(partition) {
                Some(position) => *position = *next.max(position),
                None => drop(self.positions.insert(partition.clone(), *next)),
            }
        }
        add_sums(&mut self.sums, entry);
        for (partition, largest) in &entry.largest {
            let of = |times: &BTreeMap<String, Instant>| times.get(partition).copied();
            let mut top = TopTwo { largest: of(&self.largest), second: of(&self.second) };
            top.merge(TopTwo { largest: Some(*largest), second: of(&entry.second) });
            note(&mut self.largest, partition, top.largest);
            note(&mut self.second, partition, top.second);
        }
        self.lanes.learn(&entry.lanes);
        self.clock_ms = entry.clock_ms;
    }
}

/// Adds what an epoch read of logs that are known by their content.
pub fn add_sums(sums: &mut BTreeMap<String, Marks>, entry: &Entry) {
    for (partition, read) in &entry.sums {
        let marks = sums.entry(partition.clone()).or_default();
        read.iter().for_each(|(next, sum)| marks.add(*next, *sum));
    }
}

fn note(times: &mut BTreeMap<String, Instant>, partition: &str, at: Option<Instant>) {
    let Some(at) = at else { return };
    match times.get_mut(partition) {
        Some(known) => *known = at,
        None => drop(times.insert(partition.to_owned(), at)),
    }
}

/// The facts of an epoch whose parts are all there, after what was known `before` it.
pub(super) fn facts(epoch: Time, parts: &[Part], before: &Lanes, logs: &Sources) -> Entry {
    let mut tops = BTreeMap::<u32, TopTwo>::new();
    let name = |partition: u32| logs.partitions[partition as usize].clone();
    let of = |lane: usize| logs.lanes[lane].family.to_owned();
    let known = |(family, times): (&String, &Times)| (family.clone(), Times { lines: TopTwo::default(), ..*times });
    let mut lanes = Lanes(before.0.iter().map(known).collect());
    let mut entry = Entry { epoch, ..Entry::default() };
    for part in parts {
        for (partition, (from, next)) in &part.read {
            let read = entry.read.entry(name(*partition)).or_insert((*from, *next));
            *read = (read.0.min(*from), read.1.max(*next));
        }
        for (partition, next, sum) in &part.sums {
            entry.sums.entry(name(*partition)).or_default().push((*next, *sum));
        }
        part.largest.iter().for_each(|(partition, top)| tops.entry(*partition).or_default().merge(*top));
        entry.rejected.extend(part.by_the_world.iter().map(|rejected| Rejected {
            partition: name(rejected.partition),
            offset: rejected.offset,
            first: (rejected.first < rejected.offset).then_some(rejected.first),
            from: rejected.from,
            reason: rejected.reason.to_owned(),
            detail: rejected.detail.clone(),
        }));
        for (lane, watermark) in &part.watermarks {
            lanes.0.entry(of(*lane)).or_default().watermark = *watermark;
        }
        for (lane, target) in &part.targets {
            lanes.0.entry(of(*lane)).or_default().target = *target;
        }
        if let Some((opened_ms, clock_ms)) = part.clocks {
            (entry.opened_ms, entry.clock_ms) = (opened_ms, clock_ms);
        }
    }
    for (partition, top) in tops {
        note(&mut entry.largest, &name(partition), top.largest);
        note(&mut entry.second, &name(partition), top.second);
        if let Some(lane) = logs.lanes.iter().find(|lane| lane.sequence.contains(&partition)) {
            lanes.0.entry(lane.family.to_owned()).or_default().lines.merge(top);
        }
    }
    entry.lanes = before.news(&lanes);
    entry.rejected = journal::joined(entry.rejected);
    // Where batches end is chance; what is kept is where the epoch ends, and the first two lines.
    for sums in entry.sums.values_mut() {
        sums.sort();
        let last = sums.last().copied();
        sums.retain(|(next, _)| *next == 3);
        sums.extend(last.filter(|last| !sums.contains(last)));
    }
    entry
}

fn size(row: &[Value]) -> usize {
    row.iter().map(Value::size).sum()
}

impl Part {
    /// About how much memory its rows take.
    pub(super) fn size(&self) -> usize {
        let deltas = self.deltas.iter().map(|(_, deltas)| deltas.size()).sum::<usize>();
        deltas + self.appends.iter().map(|append| size(&append.values)).sum::<usize>()
    }
}

/// Rows merged and not yet handed to a sink.
#[derive(Default)]
pub(super) struct Pending {
    /// In the order of epochs; of those of one key the last will count.
    deltas: BTreeMap<TableId, Deltas>,
    appends: BTreeMap<TableId, Vec<Vec<Value>>>,
    clean: BTreeMap<TableId, Vec<Vec<Value>>>,
    archived: Vec<Archived>,
    epoch: Time,
    /// There is something to commit.
    pub changed: bool,
    /// About how much memory it takes.
    pub bytes: usize,
    /// When the first record behind it was read.
    pub oldest: Option<std::time::Instant>,
}

impl Pending {
    /// Adds an epoch that changed something, if only the watermark.
    pub(super) fn merge(&mut self, epoch: Time, parts: Vec<Part>) {
        (self.epoch, self.changed) = (epoch, true);
        for part in parts {
            self.bytes += part.away;
            for (table, deltas) in part.deltas {
                self.bytes += deltas.size();
                self.deltas.entry(table).or_default().append(deltas);
            }
            for Append { table, values } in part.appends {
                self.bytes += size(&values);
                self.appends.entry(table).or_default().push(values);
            }
            self.oldest = match (self.oldest, part.oldest) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }

    /// Adds clean events.
    pub(super) fn add_clean(&mut self, events: Vec<Append>) {
        for Append { table, values } in events {
            self.bytes += values.iter().map(Value::size).sum::<usize>();
            self.clean.entry(table).or_default().push(values);
        }
    }

    /// Adds the accepted records of an epoch.
    pub(super) fn archive(&mut self, mut records: Vec<Archived>) {
        self.bytes += records.iter().map(Archived::size).sum::<usize>();
        self.archived.append(&mut records);
    }

    pub(super) fn commit(self, follows: Time, known: &StreamPosition) -> Commit {
        let last = |(table, deltas): (TableId, Deltas)| (table, deltas.last_of_each_key(table.table().key_columns));
        let mut appends = self.appends;
        appends.values_mut().for_each(|rows| rows.sort());
        Commit {
            follows,
            epoch: self.epoch,
            clock_ms: known.clock_ms,
            watermarks: known.lanes.watermarks(),
            positions: known.positions.clone(),
            deltas: self.deltas.into_iter().map(last).collect(),
            appends,
            clean: self.clean,
            archived: self.archived,
            pieces: Vec::new(),
        }
    }
}
