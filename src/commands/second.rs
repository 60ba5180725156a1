//! A second run on one state: told before it begins. Generations keep things right in any case; this is courtesy.
//!
//! The clocks of two machines are never compared. A run that has ended, or was on this machine and is not there any more, is
//! waited for by nobody. Else its heartbeat is watched by our own clock: once it changes, the other one runs; after five
//! silent beats it does not.

use super::Refused;
use super::beat::{Heartbeat, Who, interval, started};
use super::waiting::Stopped;
use crate::config::Config;
use crate::sink::Fence;
use crate::state_dir::{StateDir, StateError};
use crate::store;
use crate::store::lock::{Lock, lock};
use anyhow::Result;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::{Duration, Instant};

/// A run that was not heard of for so many beats is not there any more.
const SILENT_BEATS: u32 = 5;
/// Between two looks, in parts of a beat.
const LOOKS_A_BEAT: u32 = 50;

/// The right to run; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    _lock: Option<Lock>,
}

/// What one look tells of the run that was last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// It is not there.
    Gone,
    /// It may be there.
    Unknown,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Go,
    Look,
    Refuse,
}

/// What changes with every beat.
type Beat = Option<(u64, u64, String, Option<Who>)>;

fn beat_of(heard: Option<&Heartbeat>) -> Beat {
    heard.map(|heard| (heard.generation, heard.counter, heard.at.clone(), heard.who.clone()))
}

/// Whether the run that was heard of is gone, as far as this machine can tell.
fn judge(heard: Option<&Heartbeat>, own: &Who, started: impl Fn(u32) -> Option<u64>) -> Other {
    let Some(heard) = heard.filter(|heard| !heard.ended) else { return Other::Gone };
    let Some(who) = &heard.who else { return Other::Unknown };
    let is_here = !own.boot.is_empty() && (&who.boot, &who.namespace) == (&own.boot, &own.namespace);
    let is_there = || started(who.process).is_some_and(|at| Some(at) == who.started);
    if who == own || (is_here && !is_there()) { Other::Gone } else { Other::Unknown }
}

/// Watches a heartbeat by one's own clock.
struct Watch {
    beat: Beat,
    since: Duration,
    patience: Duration,
}

impl Watch {
    fn see(&mut self, heard: Option<&Heartbeat>, other: Other, locked_out: bool, now: Duration) -> Next {
        if other == Other::Gone && !locked_out {
            return Next::Go;
        }
        let beat = beat_of(heard);
        if beat != self.beat {
            if heard.is_some_and(|heard| !heard.ended) {
                return Next::Refuse;
            }
            // It has just ended, and will let go.
            (self.beat, self.since) = (beat, now);
        }
        if now.saturating_sub(self.since) >= self.patience { Next::Go } else { Next::Look }
    }
}

/// Waits until it is known whether another run is under way, and refuses to begin beside it.
///
/// # Errors
/// If one is, or the state cannot be read, or a stop was asked.
pub(super) fn enter(dir: &StateDir, config: &Config, stop: &AtomicBool) -> Result<Entered> {
    let place = config.state_place();
    let every = interval(&place);
    let (own, began) = (Who::own(), Instant::now());
    let mut held = lock(&place);
    let mut heard = heard_of(dir)?;
    if config.take_over {
        if judge(heard.as_ref(), &own, started) == Other::Unknown {
            tracing::warn!("{}: taken over (`--take-over`)", named(heard.as_ref()));
        }
        return Ok(Entered { _lock: Some(held) });
    }
    let mut watch = Watch { beat: beat_of(heard.as_ref()), since: Duration::ZERO, patience: every * SILENT_BEATS };
    loop {
        let other = judge(heard.as_ref(), &own, started);
        match watch.see(heard.as_ref(), other, matches!(held, Lock::Anothers), began.elapsed()) {
            Next::Go => return Ok(Entered { _lock: Some(held) }),
            Next::Refuse => return Err(Refused(under_way(&place, heard.as_ref())).into()),
            Next::Look => {}
        }
        if stop.load(Acquire) {
            return Err(Stopped(format!("an answer of {}", named(heard.as_ref()))).into());
        }
        std::thread::sleep(every / LOOKS_A_BEAT);
        if matches!(held, Lock::Anothers) {
            held = lock(&place);
        }
        heard = heard_of(dir)?;
    }
}

/// Whether the run that was heard of has not ended in order, and is known to be gone: its process was on this machine.
pub(super) fn is_gone(heard: &Heartbeat) -> bool {
    !heard.ended && judge(Some(heard), &Who::own(), started) == Other::Gone
}

/// Whether a run may be under way: one that was heard of has not ended, nor is its process gone.
///
/// # Errors
/// If the state cannot be read.
pub(super) fn may_be_under_way(config: &Config) -> Result<bool> {
    let place = config.state_place();
    if !place.contains("://") && !Path::new(&place).exists() {
        return Ok(false);
    }
    let Some(dir) = StateDir::open_to_read(store::open_to_read(&place)?)? else { return Ok(false) };
    Ok(judge(heard_of(&dir)?.as_ref(), &Who::own(), started) == Other::Unknown)
}

/// The last heartbeat; a loss of power may have cut it short, and then nothing is known.
fn heard_of(dir: &StateDir) -> Result<Option<Heartbeat>> {
    match dir.heartbeat() {
        Err(StateError::Damaged { .. }) => Ok(None),
        heard => Ok(heard?),
    }
}

fn named(heard: Option<&Heartbeat>) -> String {
    let Some(heard) = heard else { return "a run".to_owned() };
    let host = heard.who.as_ref().map_or("", |who| &who.host);
    let host = if host.is_empty() { String::new() } else { format!(" on host `{host}`") };
    format!("the run of process {}{host}", heard.process)
}

fn under_way(place: &str, heard: Option<&Heartbeat>) -> String {
    format!(
        "a run is active on state `{place}`: {}. End it first, then ask again. If it is known to be gone, go on with \
         `--take-over` (setting `take_over`): whatever of it is still there ends at its next commit",
        named(heard)
    )
}

/// Who has taken over from us, if that was said.
pub(super) fn successor(dir: &StateDir) -> String {
    match heard_of(dir).ok().flatten().filter(|heard| heard.who.as_ref() != Some(&Who::own())) {
        Some(heard) => format!("{} has taken over", named(Some(&heard))),
        None => Fence::Written.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(boot: &str, process: u32) -> Who {
        Who { host: "a".into(), boot: boot.into(), namespace: "pid:[1]".into(), process, started: Some(7) }
    }

    fn heard(who: Option<Who>, counter: u64, ended: bool) -> Heartbeat {
        let said = serde_json::json!({
            "at": "2026-01-05T10:00:00.000Z", "process": 5, "generation": 3, "ended": ended, "workers": 1, "records": 0,
            "late": 0, "rejected": {}, "fresh_ms": 0, "live": {}, "who": who, "counter": counter,
        });
        serde_json::from_value(said).expect("a heartbeat")
    }

    #[test]
    fn who_has_ended_or_is_not_on_this_machine_any_more_is_gone() {
        let own = who("boot", 9);
        let there = |process: u32| (process == 5).then_some(7);
        let judged = |who: Option<Who>, ended: bool| judge(Some(&heard(who, 1, ended)), &own, there);
        assert_eq!(judge(None, &own, there), Other::Gone);
        assert_eq!(judged(Some(who("boot", 5)), true), Other::Gone, "ended in order");
        assert_eq!(judged(Some(who("boot", 5)), false), Other::Unknown, "its process is there");
        assert_eq!(judged(Some(who("boot", 6)), false), Other::Gone, "there is no such process");
        assert_eq!(
            judged(Some(Who { started: Some(8), ..who("boot", 5) }), false),
            Other::Gone,
            "another one of its id"
        );
        assert_eq!(judged(Some(own.clone()), false), Other::Gone, "ourselves");
        assert_eq!(judged(Some(who("another boot", 6)), false), Other::Unknown, "another machine");
        let container = Who { namespace: "pid:[2]".into(), ..who("boot", 6) };
        assert_eq!(judged(Some(container), false), Other::Unknown, "another container");
        assert_eq!(judged(None, false), Other::Unknown, "an earlier version");
        let nowhere = Who { boot: String::new(), ..own.clone() };
        let elsewhere = heard(Some(Who { boot: String::new(), ..who("", 6) }), 1, false);
        assert_eq!(judge(Some(&elsewhere), &nowhere, there), Other::Unknown, "a system that tells nothing");
    }

    #[test]
    fn a_heartbeat_is_watched_for_five_beats_by_our_own_clock() {
        let (beats, patience) = (Duration::from_secs, Duration::from_secs(5));
        let first = heard(Some(who("elsewhere", 5)), 41, false);
        let begun = || Watch { beat: beat_of(Some(&first)), since: Duration::ZERO, patience };
        let mut watch = begun();
        for now in [0, 1, 4] {
            assert_eq!(watch.see(Some(&first), Other::Unknown, false, beats(now)), Next::Look);
        }
        assert_eq!(watch.see(Some(&first), Other::Unknown, false, beats(5)), Next::Go, "five silent beats");
        let next = heard(Some(who("elsewhere", 5)), 42, false);
        assert_eq!(begun().see(Some(&next), Other::Unknown, false, beats(1)), Next::Refuse);
        // Of an earlier version, or a clock that goes back: any change is one.
        let back = Heartbeat { at: "1999-01-01T00:00:00.000Z".into(), ..first.clone() };
        assert_eq!(begun().see(Some(&back), Other::Unknown, false, beats(1)), Next::Refuse);
        // The run that has the lock is there, whatever the last heartbeat says; the first beat names it.
        let mut watch = begun();
        assert_eq!(watch.see(Some(&first), Other::Gone, true, beats(1)), Next::Look);
        assert_eq!(watch.see(Some(&next), Other::Unknown, true, beats(2)), Next::Refuse);
        let mut watch = begun();
        let ended = heard(Some(who("elsewhere", 5)), 42, true);
        assert_eq!(watch.see(Some(&ended), Other::Gone, true, beats(4)), Next::Look, "it lets go in a moment");
        assert_eq!(watch.see(Some(&ended), Other::Gone, false, beats(4)), Next::Go);
    }

    #[test]
    fn a_refusal_names_host_and_process() {
        let why = under_way("shop.state", Some(&heard(Some(who("boot", 5)), 1, false)));
        for said in ["`shop.state`", "process 5", "host `a`", "--take-over"] {
            assert!(why.contains(said), "`{said}` in: {why}");
        }
    }
}
