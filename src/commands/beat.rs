//! Who runs, and how it goes: written down now and then, for `status` and for a second start.

use crate::config::Config;
use crate::instant;
use crate::periodic::{Periodic, Round};
use crate::process;
use crate::source::{Lag, Trouble};
use crate::state_dir::StateDir;
use crate::stats::Stats;
use crate::stats::processes::OfProcess;
use crate::stats::sinks::OfSink;
use dataflows::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often a run says how it goes.
const BEAT: Duration = Duration::from_secs(1);
/// In a bucket every object is paid for.
const BEAT_IN_A_BUCKET: Duration = Duration::from_secs(30);
/// Of a shorter time no rate is made.
const RATE_SECONDS_MIN: f64 = 0.5;

/// How often a run says how it goes, whose state is at this place.
pub(super) fn interval(place: &str) -> Duration {
    if place.contains("://") && !place.starts_with("file://") { BEAT_IN_A_BUCKET } else { BEAT }
}

/// A process, told apart from every other one, here or elsewhere. What a system does not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    /// What the machine is called.
    pub host: String,
    /// The boot of the machine.
    pub boot: String,
    /// The namespace in which process ids are unique.
    pub namespace: String,
    /// The process's id.
    pub process: u32,
    /// When it began, in ticks since the boot: ids are used again.
    pub started: Option<u64>,
}

impl Who {
    /// This process.
    pub(super) fn own() -> Who {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let namespace = std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string());
        let process = std::process::id();
        Who {
            host: read("/proc/sys/kernel/hostname"),
            boot: read("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.unwrap_or_default(),
            process,
            started: started(process),
        }
    }
}

/// When a process of this machine began, if there is one; what has ended and was not yet asked for is none.
pub(super) fn started(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X" | "x")).then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// How a run goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Heartbeat {
    /// Its clock, to be shown; nothing is decided by it.
    pub at: String,
    pub process: u32,
    /// Which start; 0 until it has a number.
    pub generation: u64,
    /// It has ended, in order.
    pub ended: bool,
    pub workers: usize,
    pub records: u64,
    pub late: u64,
    pub rejected: BTreeMap<String, u64>,
    pub fresh_ms: u64,
    pub live: BTreeMap<String, usize>,
    /// What it waits for that is unavailable.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// What it left unread until more of it is there.
    #[serde(default)]
    pub unread: Vec<String>,
    /// What does not answer as it should.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
    /// The families of which every partition is silent, and since when: the watermark stands.
    #[serde(default)]
    pub silent: BTreeMap<String, String>,
    /// How far reading is behind, of topics.
    #[serde(default)]
    pub lag: Vec<Behind>,
    /// Where rows go; none are known of earlier versions.
    #[serde(default)]
    pub sinks: Vec<Fed>,
    /// Why the journal cannot be written.
    #[serde(default)]
    pub journal_waits_for: Option<String>,
    /// Records that were read, a second, since the beat before.
    #[serde(default)]
    pub rate_in: Option<f64>,
    /// The same, by topic or file.
    #[serde(default)]
    pub rates_in: BTreeMap<String, f64>,
    /// Which part of the time since the beat before each worker computed, where the system tells.
    #[serde(default)]
    pub busy_share: BTreeMap<usize, f64>,
    /// For how many milliseconds workers have not come back from what they compute; those that do are not here.
    #[serde(default)]
    pub stuck_ms: BTreeMap<usize, u64>,
    /// The processes of the run, if it has several.
    #[serde(default)]
    pub processes: Vec<OfProcess>,
    /// Memory that the process holds, in bytes, where the system tells.
    #[serde(default)]
    pub resident_bytes: Option<u64>,
    /// The process, from anywhere; unknown of earlier versions.
    #[serde(default)]
    pub who: Option<Who>,
    /// One more with each beat.
    #[serde(default)]
    pub counter: u64,
}

/// How far reading is behind, of a topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Behind {
    pub topic: String,
    /// How many events are there and were not read.
    pub events: u64,
    /// For how long what was read last has been there, in milliseconds, where the log tells.
    pub ms: Option<i64>,
}

impl Behind {
    fn of(lag: Lag) -> Behind {
        let ms = lag.ms(instant::now());
        Behind { topic: lag.topic, events: lag.records, ms }
    }
}

/// A sink, how far it is, and why it goes no further.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Fed {
    pub name: String,
    /// The last epoch whose rows it has.
    pub epoch: Time,
    pub waits_for: Option<String>,
    pub waits_since: Option<String>,
    /// How many bytes of rows wait for it.
    pub pending_bytes: u64,
}

impl Fed {
    fn of(sink: OfSink) -> Fed {
        let OfSink { name, epoch, away, pending_bytes } = sink;
        let (waits_for, since) = away.unzip();
        Fed { name, epoch, waits_for, waits_since: since.map(instant::show), pending_bytes }
    }
}

/// What was counted at a beat.
struct Counted {
    at: Instant,
    records: u64,
    sources: BTreeMap<String, u64>,
    worker_seconds: BTreeMap<usize, f64>,
}

impl Counted {
    fn now(stats: &Stats) -> Counted {
        let records = stats.records.load(Relaxed);
        let sources = stats.sources.all().into_iter().map(|of| (of.topic, of.records)).collect();
        Counted { at: Instant::now(), records, sources, worker_seconds: process::worker_seconds() }
    }

    /// The seconds since an earlier count; nothing if they are too few to make a rate of.
    fn seconds_since(&self, before: &Counted) -> Option<f64> {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        (seconds >= RATE_SECONDS_MIN).then_some(seconds)
    }
}

impl Heartbeat {
    fn now(generation: u64, workers: usize, stats: &Stats, who: &Who) -> Heartbeat {
        let text = |(name, count): (&str, _)| (name.to_owned(), count);
        Heartbeat {
            at: instant::show(instant::now()),
            process: who.process,
            generation,
            ended: false,
            workers,
            records: stats.records.load(Relaxed),
            late: stats.late.load(Relaxed),
            rejected: stats.reasons().into_iter().map(text).collect(),
            fresh_ms: stats.fresh_ms(),
            live: stats.live().into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
            waits_for: stats.waits_for(),
            unread: stats.unread(),
            troubles: stats.troubles(),
            silent: {
                let since = stats.silent_since().into_iter();
                since.map(|(family, since)| (family.to_owned(), instant::show(since))).collect()
            },
            lag: stats.lag().into_iter().map(Behind::of).collect(),
            sinks: stats.sinks.all().into_iter().map(Fed::of).collect(),
            journal_waits_for: stats.journal_away(),
            rate_in: None,
            rates_in: BTreeMap::new(),
            busy_share: BTreeMap::new(),
            stuck_ms: stats.turns.stuck_ms(),
            processes: stats.processes.all(),
            resident_bytes: process::resident_bytes(),
            who: Some(who.clone()),
            counter: 0,
        }
    }

    /// Adds what was measured between two counts.
    fn measured(self, before: &Counted, now: &Counted) -> Heartbeat {
        let Some(seconds) = now.seconds_since(before) else { return self };
        let rate_in = Some(now.records.saturating_sub(before.records) as f64 / seconds);
        let rate = |(topic, read): (&String, &u64)| {
            let before = before.sources.get(topic).copied().unwrap_or_default();
            (topic.clone(), read.saturating_sub(before) as f64 / seconds)
        };
        let rates_in = now.sources.iter().map(rate).collect();
        let busy_share = process::busy_shares(&before.worker_seconds, &now.worker_seconds, seconds);
        Heartbeat { rate_in, rates_in, busy_share, ..self }
    }

    /// What sources wait for that is unavailable.
    pub(super) fn sources_wait_for(&self) -> impl Iterator<Item = &str> {
        let of_others = self.sinks.iter().filter_map(|sink| sink.waits_for.as_ref()).chain(&self.journal_waits_for);
        let of_others: Vec<_> = of_others.collect();
        self.waits_for.iter().filter(move |said| !of_others.contains(said)).map(String::as_str)
    }
}

/// A thread that says how a run goes; dropped, it says so once more, and ends.
pub(super) struct Heartbeats {
    generation: Arc<AtomicU64>,
    beats: Periodic,
}

/// Says how a run goes: once before this returns, and then now and then.
pub(super) fn heartbeats(dir: &StateDir, config: &Config, stats: &Arc<Stats>) -> Heartbeats {
    let generation = Arc::<AtomicU64>::default();
    let (dir, every, who) = (dir.clone(), interval(&config.state_place()), Who::own());
    let (number, workers, stats) = (Arc::clone(&generation), config.workers, Arc::clone(stats));
    let mut before = Counted::now(&stats);
    let mut beat = move |ended: bool, counter: u64| {
        let now = Counted::now(&stats);
        let beat = Heartbeat::now(number.load(Relaxed), workers, &stats, &who).measured(&before, &now);
        if beat.rate_in.is_some() {
            before = now;
        }
        // The last word is that of the active run.
        let heard = if ended { dir.heartbeat::<Heartbeat>().ok().flatten() } else { None };
        if heard.is_none_or(|heard| heard.who.as_ref() == Some(&who)) {
            // If this cannot be written, the journal cannot be written either, and that says why.
            dir.beat(&Heartbeat { ended, counter, ..beat }).ok();
        }
    };
    beat(false, 1);
    let mut counter = 1;
    let beats = Periodic::start(every, move |round| {
        counter += 1;
        beat(round == Round::Last, counter);
        ControlFlow::Continue(())
    });
    Heartbeats { generation, beats }
}

impl Heartbeats {
    /// The number of the start is known, and said at once.
    pub(super) fn began(&self, generation: u64) {
        self.generation.store(generation, Relaxed);
        self.beats.now();
    }
}

impl Drop for Heartbeats {
    fn drop(&mut self) {
        self.beats.end(|| ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_known_until_it_has_ended() {
        let own = Who::own();
        assert!(own.started.is_some() && !own.boot.is_empty() && !own.namespace.is_empty());
        assert_eq!(own, Who::own());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("starts");
        assert!(started(child.id()).is_some());
        child.kill().expect("kills");
        // It has ended when its output, which is ours, is the only one left: it is waited for, not asked for.
        while started(child.id()).is_some() {
            std::thread::yield_now();
        }
        child.wait().expect("is gone");
        assert_eq!(started(child.id()), None);
    }
}
