//! The sources, shared by the workers of a process, each chopped into epochs at one place.
//!
//! A worker that polls a source takes records of the epoch the *source* is in. The first worker that
//! closes an epoch moves the sources on, so an epoch's records of a partition are one range, whichever worker
//! took them; a worker that is handed records of an epoch it has not reached keeps them until it has.
//! What is replayed is chopped where it was chopped the first time.

mod replay;

use crate::backoff::Backoff;
use crate::decode::Format;
use crate::outage;
use crate::source::{Lag, Partition, Poll, Portion, ReadOrder, Source, SourceError, Trouble};
use crate::state_dir::journal;
use dataflows::family::FamilyId;
use dataflows::operators::Status;
use dataflows::{Instant, Time};
use parking_lot::{Mutex, MutexGuard};
use replay::Replay;
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub(super) struct Slot {
    source: Box<dyn Source>,
    /// The number of its first partition among all.
    pub(super) first: u32,
    /// How many it has.
    pub(super) count: u32,
    /// Records read now belong to this epoch.
    epoch: Time,
    /// It asked for the epoch to close, and is not read before that.
    cut: bool,
    pub(super) ended: bool,
    /// The last poll found nothing to read.
    idle: bool,
    /// Since when each partition is known to hold nothing more.
    at_end_since: Vec<Option<Instant>>,
    /// The lane of all its records.
    pub(super) lane: usize,
    /// It is read before others of its lane, and no epoch was closed since it came to its end.
    leads: Option<ReadOrder>,
    retry: Option<(std::time::Instant, Backoff)>,
    /// Why it is tried again.
    waits_for: Option<String>,
    /// What is still to be read as it was read before.
    replay: Option<Replay>,
    /// How many batches were dealt, if it is the sequence.
    dealt: Option<u64>,
    /// Of which of its partitions something was read, in this run or before.
    begun: BTreeSet<u32>,
    /// Where the file begins that was read last, of those that are one partition.
    file: Option<i64>,
}

/// What a poll of a source brought.
pub(super) struct Dealt {
    /// The epoch it belongs to.
    pub(super) epoch: Time,
    /// The place of its records in the sequence, counted from 1; none if they race.
    pub(super) number: Option<u64>,
    /// Partitions of the sequence, by their numbers among all, of which these are the first records.
    pub(super) begins: Vec<u32>,
    pub(super) polled: Poll,
}

impl Slot {
    /// A source whose partitions are numbered from `first`, from where the last run left it.
    fn of(
        mut source: Box<dyn Source>,
        (first, own): (u32, &[Partition]),
        lane: usize,
        (epoch, positions, replay): (Time, &BTreeMap<String, i64>, &[journal::Entry]),
    ) -> Result<Slot, SourceError> {
        let known = |(number, partition)| {
            positions.get(&super::partition_name(partition)).map(|offset| (number as u32, *offset))
        };
        let next_offsets: Vec<_> = own.iter().enumerate().filter_map(known).collect();
        // Before it seeks: what was passed then may not be there to begin at.
        for (number, partition) in own.iter().enumerate() {
            if let Some((until, rejected)) = replay::journaled(replay, &super::partition_name(partition)) {
                source.replays(number as u32, until, rejected);
            }
        }
        source.seek(&next_offsets)?;
        let goals = |entry: &journal::Entry| {
            let goal = |(number, partition)| {
                entry.read.get(&super::partition_name(partition)).map(|(_, next)| (number as u32, *next))
            };
            (entry.epoch, own.iter().enumerate().filter_map(goal).collect())
        };
        let order = source.read_order();
        Ok(Slot {
            source,
            first,
            count: own.len() as u32,
            epoch,
            cut: false,
            ended: false,
            idle: false,
            at_end_since: vec![None; own.len()],
            lane,
            leads: (order != ReadOrder::Live).then_some(order),
            retry: None,
            waits_for: None,
            replay: (!replay.is_empty()).then(|| Replay::new(replay.iter().map(goals).collect())),
            dealt: None,
            begun: next_offsets.iter().map(|(partition, _)| *partition).collect(),
            file: None,
        })
    }

    /// What comes next.
    pub(super) fn poll(&mut self, max_records: usize) -> Result<Dealt, SourceError> {
        let polled = self.poll_source(max_records)?;
        let (mut number, mut begins) = (None, Vec::new());
        if let Poll::Records(batch) = &polled
            && let (Some(file), Some(first)) = (&batch.file, batch.records.first())
            && file.begins.is_some_and(|begins| self.file.replace(begins) != Some(begins))
        {
            begins.push(self.first + first.partition);
        }
        if let (Some(dealt), Poll::Records(batch)) = (&mut self.dealt, &polled) {
            *dealt += 1;
            number = Some(*dealt);
            for some in batch.records.chunk_by(|record, next| record.partition == next.partition) {
                let partition = some[0].partition;
                if self.begun.insert(partition) {
                    begins.push(self.first + partition);
                }
            }
        }
        Ok(Dealt { epoch: self.epoch, number, begins, polled })
    }

    fn poll_source(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let resting = self.retry.is_some_and(|(until, _)| until > std::time::Instant::now());
        if self.ended || self.cut || resting {
            return Ok(Poll::Idle);
        }
        let polled = match self.read(max_records) {
            Err(SourceError::Unavailable(why)) => {
                outage::say(outage::place_of(&why), &why, "trying again");
                self.waits_for = Some(why);
                let mut backoff = self.retry.map(|(_, backoff)| backoff).unwrap_or_default();
                self.retry = Some((std::time::Instant::now() + backoff.take(), backoff));
                self.idle = false;
                return Ok(Poll::Idle);
            }
            Err(failed) => {
                // What comes after a failure may not be read: something before it is missing.
                self.ended = true;
                return Err(failed);
            }
            Ok(polled) => polled,
        };
        self.retry = None;
        if let Some(why) = self.waits_for.take() {
            outage::is_over(outage::place_of(&why));
        }
        self.idle = matches!(polled, Poll::Idle);
        match &polled {
            Poll::Records(batch) => batch.records.iter().for_each(|record| {
                self.at_end_since[record.partition as usize] = None;
            }),
            Poll::Cut => self.cut = true,
            Poll::End => self.ended = true,
            Poll::Status(..) | Poll::Skipped | Poll::Idle => {}
        }
        Ok(polled)
    }

    fn read(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let Some(replay) = &mut self.replay else { return self.source.poll(max_records) };
        let polled = replay.poll(self.epoch, max_records, self.source.as_mut())?;
        if replay.is_over() {
            self.replay = None;
        }
        Ok(polled)
    }

    /// Records read from now on belong to `epoch`, if they do not already belong to a later one.
    pub(super) fn move_on(&mut self, epoch: Time) {
        if self.epoch < epoch {
            self.epoch = epoch;
            self.leads = self.still_leads();
            self.cut = false;
        }
    }

    /// At which place it is read before others, unless it has come to its end.
    fn still_leads(&self) -> Option<ReadOrder> {
        self.leads.filter(|_| !(self.ended || self.cut && self.replay.is_none()))
    }

    /// Whether everything was read again that was read of it in an epoch that is replayed.
    fn has_read_again(&self, epoch: Time) -> bool {
        self.epoch > epoch || self.cut
    }

    /// The partitions that were known to hold nothing more for so long, by their numbers among all; and since when.
    pub(super) fn idle(&mut self, clock_ms: Instant, idle_timeout_ms: i64) -> impl Iterator<Item = (u32, Instant)> {
        // What was read again and is not handed over yet is still to come.
        let (idle, ended, first) = (self.idle, self.ended || self.replay.is_some(), self.first);
        let Slot { source, at_end_since, .. } = self;
        at_end_since.iter_mut().enumerate().filter_map(move |(number, since)| {
            // A poll tells of all partitions at once; who knows better need not be idle in all of them.
            let at_end = !ended && source.at_end(number as u32).unwrap_or(idle);
            *since = if at_end { Some(since.unwrap_or(clock_ms)) } else { None };
            let since = since.filter(|since| clock_ms - since >= idle_timeout_ms)?;
            Some((first + number as u32, since))
        })
    }

    /// Nothing before these positions will be read again.
    pub(super) fn spares(&mut self, partitions: &[Partition], positions: &BTreeMap<String, i64>) {
        for number in 0..self.count {
            let name = super::partition_name(&partitions[(self.first + number) as usize]);
            if let Some(next) = positions.get(&name) {
                self.source.spares(number, *next);
            }
        }
    }

    /// What it waits for, if anything is unavailable.
    pub(super) fn waits_for(&self) -> Vec<String> {
        match &self.waits_for {
            Some(refused) if self.retry.is_some() => vec![refused.clone()],
            _ if self.ended => Vec::new(),
            _ => self.source.waits_for(),
        }
    }

    /// How much was read of what there is; none if it has no end.
    pub(super) fn portion(&self) -> Option<Portion> {
        self.source.portion()
    }

    /// How far behind it is.
    pub(super) fn lag(&self) -> Vec<Lag> {
        if self.ended { Vec::new() } else { self.source.lag() }
    }

    /// What was last complained of by what it reads from.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        if self.ended { Vec::new() } else { self.source.troubles() }
    }

    /// What it has left unread until more of it is there.
    pub(super) fn unread(&self) -> Vec<String> {
        self.source.unread()
    }

    /// Whether it is reading again what it has read before.
    pub(super) fn is_replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether the epoch should close for its sake.
    pub(super) fn wants_close(&self) -> bool {
        self.cut
    }
}

/// Of each lane the place whose sources are read: the first at which not all have come to their end. Nothing if all have,
/// and those are read that stand before no others.
pub(super) type Reads = Vec<Option<ReadOrder>>;

pub(super) struct Intake {
    slots: Vec<Mutex<Slot>>,
    /// All partitions, by number.
    pub(super) partitions: Vec<Partition>,
    /// Of each the span of event time that is taken.
    pub(super) takes: Vec<(Instant, Instant)>,
    /// Of each its lane.
    pub(super) lanes: Vec<usize>,
    /// Which are the sequence of each lane: those of its first source that is one.
    pub(super) sequences: Vec<Range<u32>>,
    identities: Mutex<BTreeMap<String, String>>,
}

/// Where records come from, as every process of a run numbers it.
pub(super) enum Given {
    /// What this process reads.
    Here(Box<dyn Source>),
    /// What another one does.
    There(Elsewhere),
}

/// What another process reads: it stands before nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Which process.
    pub(super) process: usize,
    /// Topic, partition, name of the family and status of each of its partitions.
    partitions: Vec<(String, i32, String, Status)>,
    /// The span of event time that is taken.
    takes: (Instant, Instant),
    /// Whether what is read comes in an order that is always the same.
    is_sequence: bool,
}

impl Elsewhere {
    pub(super) fn of(process: usize, source: &dyn Source) -> Elsewhere {
        let partitions = source.partitions().into_iter();
        let partitions = partitions.map(|found| (found.topic, found.partition, found.family, found.status));
        Elsewhere { is_sequence: source.is_sequence(), ..Elsewhere::racing(process, partitions, source.takes()) }
    }

    /// A source of partitions that race: topic, number, family and status of each; and which span of event time is taken.
    pub fn racing(
        process: usize,
        partitions: impl Iterator<Item = (String, i32, FamilyId, Status)>,
        takes: (Instant, Instant),
    ) -> Elsewhere {
        let of = |(topic, number, family, status): (String, i32, FamilyId, Status)| {
            (topic, number, family.name().to_owned(), status)
        };
        Elsewhere { process, partitions: partitions.map(of).collect(), takes, is_sequence: false }
    }

    /// Its partitions; in which format they are written nobody else asks.
    fn partitions(&self, families: &[FamilyId]) -> Result<Vec<Partition>, SourceError> {
        let of = |(topic, partition, family, status): &(String, i32, String, Status)| {
            let known = families.iter().copied().find(|known| known.name() == family).ok_or_else(|| {
                SourceError::Failed(format!(
                    "`{topic}/{partition}` is of family `{family}`, which this run does not keep"
                ))
            });
            let (topic, partition, status) = (topic.clone(), *partition, *status);
            Ok(Partition { topic, partition, family: known?, format: Format::Json(None), status })
        };
        self.partitions.iter().map(of).collect()
    }
}

impl Intake {
    /// All there is, in the order in which every process has it.
    pub(super) fn new(
        given: Vec<Given>,
        families: &[FamilyId],
        epoch: Time,
        positions: &BTreeMap<String, i64>,
        replay: &[journal::Entry],
    ) -> Result<Intake, SourceError> {
        let mut intake = Intake {
            slots: Vec::new(),
            partitions: Vec::new(),
            lanes: Vec::new(),
            takes: Vec::new(),
            sequences: vec![0..0; families.len()],
            identities: Mutex::default(),
        };
        for given in given {
            let (own, takes, is_sequence) = match &given {
                Given::Here(source) => (source.partitions(), source.takes(), source.is_sequence()),
                Given::There(there) => (there.partitions(families)?, there.takes, there.is_sequence),
            };
            let lane = lane_of(&own, families)?;
            let first = intake.partitions.len() as u32;
            let is_the_sequence = is_sequence && intake.sequences[lane].is_empty();
            if is_the_sequence {
                intake.sequences[lane] = first..first + own.len() as u32;
            }
            if let Given::Here(source) = given {
                intake.identities.get_mut().extend(own.iter().enumerate().filter_map(|(number, partition)| {
                    Some((super::partition_name(partition), source.identity(number as u32)?))
                }));
                let mut slot = Slot::of(source, (first, &own), lane, (epoch, positions, replay))?;
                slot.dealt = is_the_sequence.then_some(0);
                intake.slots.push(Mutex::new(slot));
            }
            intake.partitions.extend(own);
            intake.lanes.resize(intake.partitions.len(), lane);
            intake.takes.resize(intake.partitions.len(), takes);
        }
        Ok(intake)
    }

    /// What makes each partition the log it is, as `topic/partition`: of some it is only known once
    /// something was read of them.
    pub(super) fn identities(&self) -> BTreeMap<String, String> {
        let mut identities = self.identities.lock();
        if identities.len() < self.partitions.len() {
            for slot in self.slots() {
                for number in 0..slot.count {
                    let name = super::partition_name(&self.partitions[(slot.first + number) as usize]);
                    if let Entry::Vacant(vacant) = identities.entry(name)
                        && let Some(identity) = slot.source.identity(number)
                    {
                        vacant.insert(identity);
                    }
                }
            }
        }
        identities.clone()
    }

    /// Of each lane since when every partition is idle that takes part in its watermark, if all are; the others have
    /// ended or are catalogs. `open`: the partitions that have not ended.
    pub(super) fn silent_since(&self, open: &[u32], idle: &BTreeMap<u32, Instant>) -> Vec<Option<Instant>> {
        (0..self.sequences.len()).map(|lane| self.lane_silent_since(lane, open, idle)).collect()
    }

    fn lane_silent_since(&self, lane: usize, open: &[u32], idle: &BTreeMap<u32, Instant>) -> Option<Instant> {
        let status = |number: u32| self.partitions[number as usize].status;
        let is_its = |number: &u32| self.lanes[*number as usize] == lane;
        // Behind history all of them wait at first.
        let all_wait = (0..self.partitions.len() as u32).filter(is_its).all(|number| status(number) == Status::Waiting);
        let taking_part = open.iter().filter(|number| is_its(number) && (all_wait || status(**number) == Status::Live));
        let since = taking_part.map(|number| idle.get(number).copied()).collect::<Option<Vec<_>>>()?;
        since.into_iter().max()
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = MutexGuard<'_, Slot>> {
        self.slots.iter().map(|slot| slot.lock())
    }

    /// The sources whose turn it is and that nobody is reading right now. What is replayed knows its epochs.
    pub(super) fn free_slots(&self, reads: &Reads) -> impl Iterator<Item = MutexGuard<'_, Slot>> {
        self.slots.iter().filter_map(move |slot| {
            let slot = slot.try_lock()?;
            let place = reads[slot.lane];
            (slot.leads == place || place.is_none() || slot.is_replaying()).then_some(slot)
        })
    }

    /// What is to be read in the open epoch.
    pub(super) fn reads(&self) -> Reads {
        self.first_places(|slot| slot.leads)
    }

    /// What is to be read in the next epoch, if the open one closes now.
    pub(super) fn reads_next(&self) -> Reads {
        self.first_places(Slot::still_leads)
    }

    fn first_places(&self, place: impl Fn(&Slot) -> Option<ReadOrder>) -> Reads {
        let mut reads = vec![None; self.sequences.len()];
        for slot in self.slots() {
            let first: &mut Option<ReadOrder> = &mut reads[slot.lane];
            *first = first.iter().copied().chain(place(&slot)).min();
        }
        reads
    }

    /// Whether every source has read again what was read of it in an epoch that is replayed.
    pub(super) fn has_read_again(&self, epoch: Time) -> bool {
        self.slots().all(|slot| slot.has_read_again(epoch))
    }
}

/// The lane of a source: all its partitions are of one family.
///
/// # Errors
/// If they are not, or nobody keeps tables of that family.
fn lane_of(partitions: &[Partition], families: &[FamilyId]) -> Result<usize, SourceError> {
    let Some(first) = partitions.first() else { return Ok(0) };
    let name = super::partition_name(first);
    if let Some(other) = partitions.iter().find(|partition| partition.family != first.family) {
        let (of, other_name, of_other) = (first.family.name(), super::partition_name(other), other.family.name());
        let why =
            format!("`{name}` is of family `{of}` and `{other_name}` of `{of_other}`: one source is of one family");
        return Err(SourceError::Failed(why));
    }
    families.iter().position(|family| *family == first.family).ok_or_else(|| {
        let why = format!("`{name}` is of family `{}`, which this run does not keep", first.family.name());
        SourceError::Failed(why)
    })
}
