//! Waiting for what is unavailable: a while, or until told to stop.

use crate::kafka::KafkaError;
use crate::outage;
use crate::recovery::StartError;
use crate::sink::SinkError;
use crate::stats::Stats;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::Duration;

/// How long what is unavailable is left alone before it is asked again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is asked meanwhile whether to stop.
const PAUSE_PARTS: u32 = 40;
/// So it is said.
const THEN: &str = "trying again every 2 s (Ctrl-C gives up)";

/// Told to stop while it waited, before anything was read: that is an end in order.
#[derive(Debug, thiserror::Error)]
#[error("stopped while waiting for {0}; nothing was read")]
pub(super) struct Stopped(pub String);

/// If a start was told to stop while it waited: for what.
pub(super) fn waited_for(error: &anyhow::Error) -> Option<Stopped> {
    let place = match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
        (Some(Stopped(place)), ..) => place.as_str(),
        (_, Some(KafkaError::Away(why)), ..) => outage::place_of(why),
        (_, _, Some(SinkError::Unavailable(why)), _) => outage::place_of(why),
        (.., Some(StartError::Sink(SinkError::Unavailable(why)))) => outage::place_of(why),
        _ => return None,
    };
    Some(Stopped(place.to_owned()))
}

/// Waits for a moment, or until told to stop; tells which.
fn pause(stop: &AtomicBool) -> bool {
    for _ in 0..PAUSE_PARTS {
        if stop.load(Acquire) {
            return true;
        }
        std::thread::sleep(PAUSE / PAUSE_PARTS);
    }
    stop.load(Acquire)
}

/// Tries again while another process holds the warehouse, for about a minute.
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Result<T, SinkError>) -> Result<T, SinkError> {
    // Each attempt itself waits some seconds for the lock.
    for _ in 0..12 {
        match attempt() {
            Err(SinkError::Unavailable(why)) => outage::say(outage::place_of(&why), &why, "trying again"),
            result => return result,
        }
    }
    attempt()
}

/// Asks again while the answer is an error that may pass, until told to stop; `status` knows why meanwhile.
pub(super) fn insist<T, E: std::fmt::Display>(
    stop: &AtomicBool,
    stats: &Stats,
    may_pass: impl Fn(&E) -> bool,
    mut ask: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut away: Option<String> = None;
    loop {
        match ask() {
            Err(error) if may_pass(&error) && !stop.load(Acquire) => {
                let why = error.to_string();
                outage::say(outage::place_of(&why), &why, THEN);
                stats.set_start_waits(Some(why.clone()));
                away = Some(why);
                if pause(stop) {
                    return Err(error);
                }
            }
            other => {
                stats.set_start_waits(None);
                if let Some(away) = away.filter(|_| other.is_ok()) {
                    outage::is_over(outage::place_of(&away));
                }
                return other;
            }
        }
    }
}
