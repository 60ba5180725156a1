//! The processes of a run, as the one that leads hears of them: what each holds, and which one the others wait for.

use crate::outage;
use crate::process;
use crate::source::{Lag, Trouble};
use crate::stats::Stats;
use dataflows::Time;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A process says something every second; after so long without a word it is named.
const SILENT: Duration = Duration::from_secs(3);
/// Workers that compute for such a part of their time are at their limit.
const FULL: f64 = 0.9;
/// Of a shorter time no share is made.
const SHARE_SECONDS_MIN: f64 = 0.5;

/// What a process says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// The epoch that is open there.
    pub epoch: Time,
    /// How many records its operators hold, by operator.
    pub live: BTreeMap<String, u64>,
    /// The memory that it holds, where the system tells.
    pub resident_bytes: Option<u64>,
    /// Which part of its time its busiest worker computes, where the system tells.
    pub busy_share: Option<f64>,
    /// For how many milliseconds workers have not come back from what they compute; those that do are not here.
    pub stuck_ms: BTreeMap<usize, u64>,
    /// What it has read.
    pub counted: Counted,
    /// What it reads.
    pub reading: Reading,
}

/// What a process has counted of what it reads, since the run began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Records by topic.
    pub topics: BTreeMap<String, u64>,
    /// Rejected records by the codes of the reasons.
    pub reasons: BTreeMap<String, u64>,
    /// E-mail addresses that were masked.
    pub masked: u64,
    /// Events that another source has.
    pub elsewhere: u64,
}

/// How reading goes in a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What sources wait for that is unavailable.
    pub waits_for: Vec<String>,
    /// What they complain of.
    pub troubles: Vec<Trouble>,
    /// How far they are behind, by topic.
    pub lag: Vec<Lag>,
    /// The families of which every partition is silent that is read there.
    pub silent: BTreeSet<String>,
}

/// What makes pulses, one after the other.
pub struct Pulses {
    at: Instant,
    worker_seconds: BTreeMap<usize, f64>,
    busy_share: Option<f64>,
}

impl Default for Pulses {
    fn default() -> Pulses {
        Pulses { at: Instant::now(), worker_seconds: process::worker_seconds(), busy_share: None }
    }
}

impl Pulses {
    /// How this process does now.
    pub fn next(&mut self, stats: &Stats) -> Pulse {
        let seconds = self.at.elapsed().as_secs_f64();
        if seconds >= SHARE_SECONDS_MIN {
            let now = process::worker_seconds();
            let shares = process::busy_shares(&self.worker_seconds, &now, seconds);
            self.busy_share = shares.into_values().reduce(f64::max);
            (self.at, self.worker_seconds) = (Instant::now(), now);
        }
        Pulse {
            epoch: stats.open.load(Relaxed),
            live: stats.own_live().into_iter().map(|(name, count)| (name.to_owned(), count as u64)).collect(),
            resident_bytes: process::resident_bytes(),
            busy_share: self.busy_share,
            stuck_ms: stats.turns.stuck_ms(),
            counted: stats.counted(),
            reading: stats.reading(),
        }
    }
}

/// A process, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfProcess {
    /// Its number; 0 leads.
    pub process: usize,
    /// Where it listens.
    pub host: String,
    /// How long ago it was heard of, in milliseconds.
    pub heard_ms: u64,
    /// The epoch that is open there.
    pub epoch: Time,
    /// How many records its operators hold.
    pub live_records: u64,
    /// The memory that it holds, where the system tells.
    pub resident_bytes: Option<u64>,
    /// Which part of its time its busiest worker computes, where the system tells.
    pub busy_share: Option<f64>,
    /// Why the others wait for it, if they do.
    pub slow: Option<String>,
    /// For how many milliseconds they have.
    pub slow_ms: Option<u64>,
}

/// All processes of a run; none where there is one alone.
#[derive(Debug, Default)]
pub struct Processes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    slow_after: Duration,
    all: Vec<One>,
    /// Up to which epoch all workers have delivered, and since when.
    reached: Option<(Time, Instant)>,
}

#[derive(Debug)]
struct One {
    host: String,
    heard: Instant,
    pulse: Pulse,
    /// Since when its epoch is open.
    opened: Instant,
    /// Why the others wait for it, and since when.
    slow: Option<(String, Instant)>,
}

impl Processes {
    /// A run of several begins; a process is slow if the others wait for it for so long.
    pub fn begin(&self, hosts: &[String], slow_after: Duration) {
        let now = Instant::now();
        let one = |host: &String| {
            let (host, pulse) = (host.clone(), Pulse::default());
            One { host, heard: now, pulse, opened: now, slow: None }
        };
        *self.0.lock() = Known { slow_after, all: hosts.iter().map(one).collect(), reached: None };
    }

    /// A process said how it does; what it said before.
    pub fn hear(&self, process: usize, pulse: Pulse) -> Option<Pulse> {
        self.hear_at(process, pulse, Instant::now())
    }

    fn hear_at(&self, process: usize, pulse: Pulse, now: Instant) -> Option<Pulse> {
        let mut known = self.0.lock();
        let one = known.all.get_mut(process)?;
        if one.pulse.epoch != pulse.epoch {
            one.opened = now;
        }
        one.heard = now;
        Some(std::mem::replace(&mut one.pulse, pulse))
    }

    /// Looks which one the others wait for, and says so when that changes. `reached`: all workers have delivered the epochs
    /// before that.
    pub fn look(&self, reached: Time) {
        for (place, slow) in self.look_at(reached, Instant::now()) {
            match slow {
                Some(why) => outage::say(&place, &format!("{place}: {why}"), "the others wait for it"),
                None => outage::is_over(&place),
            }
        }
    }

    /// What is to be said, of whom: why it is waited for, or that it is not any more.
    fn look_at(&self, reached: Time, now: Instant) -> Vec<(String, Option<String>)> {
        let mut known = self.0.lock();
        let known = &mut *known;
        let since = known.reached.filter(|(before, _)| *before == reached).map_or(now, |(_, since)| since);
        known.reached = Some((reached, since));
        let slow: Vec<_> = (0..known.all.len()).map(|process| known.slow(process, now)).collect();
        let slow = if slow.iter().all(Option::is_none) { known.at_their_limit((reached, since), now) } else { slow };
        let mut said = Vec::new();
        for (number, (one, slow)) in known.all.iter_mut().zip(slow).enumerate() {
            let place = format!("process {number} ({})", one.host);
            match &slow {
                Some((why, _)) => said.push((place, Some(why.clone()))),
                None if one.slow.is_some() => said.push((place, None)),
                None => {}
            }
            one.slow = slow;
        }
        said
    }

    /// All of them, as they are shown.
    pub fn all(&self) -> Vec<OfProcess> {
        let now = Instant::now();
        let ms = |since: Instant| now.saturating_duration_since(since).as_millis() as u64;
        let of = |(process, one): (usize, &One)| OfProcess {
            process,
            host: one.host.clone(),
            heard_ms: ms(one.heard),
            epoch: one.pulse.epoch,
            live_records: one.pulse.live.values().sum(),
            resident_bytes: one.pulse.resident_bytes,
            busy_share: one.pulse.busy_share,
            slow: one.slow.as_ref().map(|(why, _)| why.clone()),
            slow_ms: one.slow.as_ref().map(|(_, since)| ms(*since)),
        };
        self.0.lock().all.iter().enumerate().map(of).collect()
    }

    /// How reading goes in the processes that do not lead, and that read anything.
    pub fn reading_elsewhere(&self) -> Vec<Reading> {
        let known = self.0.lock();
        let reads = known.all.iter().skip(1).filter(|one| !one.pulse.counted.topics.is_empty());
        reads.map(|one| one.pulse.reading.clone()).collect()
    }

    /// How many records an operator holds in the processes that do not lead.
    pub fn live_elsewhere(&self, operator: &str) -> u64 {
        self.0.lock().all.iter().skip(1).filter_map(|one| one.pulse.live.get(operator)).sum()
    }
}

impl Known {
    /// Why the others wait for a process, by what it says or does not say, and since when.
    fn slow(&self, process: usize, now: Instant) -> Option<(String, Instant)> {
        let one = &self.all[process];
        let for_long = |since: Instant, long: Duration| now.saturating_duration_since(since) >= long;
        if for_long(one.heard, SILENT.min(self.slow_after)) {
            return Some(("it says nothing".to_owned(), one.heard));
        }
        if let Some((worker, ms)) = one.pulse.stuck_ms.iter().max_by_key(|(_, ms)| **ms) {
            let since = one.heard.checked_sub(Duration::from_millis(*ms)).unwrap_or(one.heard);
            return Some((format!("worker {worker} does not come back from what it computes"), since));
        }
        let furthest = self.all.iter().map(|one| one.pulse.epoch).max().unwrap_or_default();
        if one.pulse.epoch < furthest && for_long(one.opened, self.slow_after) {
            let why = format!("it is in epoch {}, and another one in {furthest}", one.pulse.epoch);
            return Some((why, one.opened));
        }
        None
    }

    /// Those that compute all the time while others do not, where an epoch has been computed for long.
    fn at_their_limit(&self, (reached, since): (Time, Instant), now: Instant) -> Vec<Option<(String, Instant)>> {
        let least_open = self.all.iter().map(|one| one.pulse.epoch).min().unwrap_or_default();
        let is_full = |one: &One| one.pulse.busy_share.is_some_and(|share| share >= FULL);
        let stands = reached < least_open && now.saturating_duration_since(since) >= self.slow_after;
        let some_are = self.all.iter().any(is_full) && !self.all.iter().all(is_full);
        let slow = |one: &One| {
            let is_slow = stands && some_are && is_full(one);
            is_slow.then(|| (format!("it computes epoch {reached} at its limit, and another one does not"), since))
        };
        self.all.iter().map(slow).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// Two processes at an epoch, which are heard of now.
    fn two(now: Instant) -> Processes {
        let processes = Processes::default();
        processes.begin(&["a:1", "b:1"].map(str::to_owned), LONG);
        (0..2).for_each(|process| drop(processes.hear_at(process, pulse(4), now)));
        processes
    }

    fn pulse(epoch: Time) -> Pulse {
        Pulse { epoch, live: [("sessions".to_owned(), 5)].into(), ..Pulse::default() }
    }

    #[test]
    fn who_is_waited_for_is_named_until_it_is_not() {
        let now = Instant::now() + LONG;
        let second = |number| now + Duration::from_secs(number);
        let of_second = |why: &str| vec![("process 1 (b:1)".to_owned(), Some(why.to_owned()))];
        let over = vec![("process 1 (b:1)".to_owned(), None)];

        let silent = two(now);
        silent.hear_at(0, pulse(4), second(2));
        assert_eq!(silent.look_at(4, second(2)), []);
        silent.hear_at(0, pulse(4), second(3));
        assert_eq!(silent.look_at(4, second(3)), of_second("it says nothing"));
        silent.hear_at(1, pulse(4), second(4));
        assert_eq!(silent.look_at(4, second(4)), over);

        let stuck = two(now);
        stuck.hear_at(1, Pulse { stuck_ms: [(3, 12_000)].into(), ..pulse(4) }, now);
        assert_eq!(stuck.look_at(4, now), of_second("worker 3 does not come back from what it computes"));
        let shown = stuck.all().remove(1);
        assert!(shown.slow.is_some() && shown.live_records == 5, "{shown:?}");

        let behind = two(now);
        behind.hear_at(0, pulse(8), second(10));
        behind.hear_at(1, pulse(4), second(9));
        assert_eq!(behind.look_at(4, second(9)), []);
        behind.hear_at(1, pulse(4), second(10));
        assert_eq!(behind.look_at(4, second(10)), of_second("it is in epoch 4, and another one in 8"));

        let full = two(now);
        let both = |at| {
            full.hear_at(0, Pulse { busy_share: Some(0.2), ..pulse(6) }, at);
            full.hear_at(1, Pulse { busy_share: Some(0.95), ..pulse(6) }, at);
        };
        both(now);
        assert_eq!(full.look_at(4, now), []);
        both(second(10));
        assert_eq!(
            full.look_at(4, second(10)),
            of_second("it computes epoch 4 at its limit, and another one does not")
        );
        both(second(11));
        assert_eq!(full.look_at(6, second(11)), over);
    }

    #[test]
    fn one_that_is_alone_is_none_of_several() {
        let processes = Processes::default();
        processes.hear(0, pulse(4));
        processes.look(4);
        assert_eq!((processes.all(), processes.live_elsewhere("sessions")), (Vec::new(), 0));
    }
}
