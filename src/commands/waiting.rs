//! Waiting for what is unavailable: a while, or until told to stop.

use crate::outage;
use crate::sink::SinkError;
use crate::stats::Stats;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::Duration;

/// How long what is unavailable is left alone before it is asked again.
const PAUSE: Duration = Duration::from_secs(2);
/// So it is said.
const THEN: &str = "trying again every 2 s (Ctrl-C gives up)";

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
                std::thread::sleep(PAUSE);
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
