//! Who runs, and how it goes: written down now and then, for `status` and for a second start.

use crate::config::Config;
use crate::instant;
use crate::periodic::{Periodic, Round};
use crate::source::Trouble;
use crate::state_dir::StateDir;
use crate::stats::Stats;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How often a run says how it goes.
const BEAT: Duration = Duration::from_secs(1);
/// In a bucket every object is paid for.
const BEAT_IN_A_BUCKET: Duration = Duration::from_secs(30);

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
    /// The process, from anywhere; unknown of earlier versions.
    #[serde(default)]
    pub who: Option<Who>,
    /// One more with each beat.
    #[serde(default)]
    pub counter: u64,
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
            who: Some(who.clone()),
            counter: 0,
        }
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
    let beat = move |ended: bool, counter: u64| {
        let beat = Heartbeat::now(number.load(Relaxed), workers, &stats, &who);
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
