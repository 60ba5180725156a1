//! What is unavailable is said in one line, at most once a minute, and once when it is available again.
//!
//! Many clients may miss the same broker, and each notices it several times a second. So the lines of a process are
//! kept for each unavailable place, not for each of its users.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// After so long the same is said again.
const AGAIN: Duration = Duration::from_secs(60);
/// What was not missed for so long was there meanwhile.
const FORGOTTEN: Duration = Duration::from_secs(180);
/// So many places are remembered.
const PLACES_MAX: usize = 256;

/// Whether something is unavailable, and what was said of it. No time passes in here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    since: Option<Duration>,
    /// When it last failed.
    failed: Duration,
    /// When that was last said.
    said: Option<Duration>,
    /// Whether it was said of this outage.
    is_known: bool,
}

impl Outage {
    /// Notes that it fails at a time; what is to be said, if anything.
    pub fn fails(&mut self, why: &str, now: Duration) -> Option<String> {
        if now.saturating_sub(self.failed) >= FORGOTTEN {
            self.since = None;
        }
        self.failed = now;
        let since = *self.since.get_or_insert(now);
        if self.said.is_some_and(|at| now.saturating_sub(at) < AGAIN) {
            return None;
        }
        (self.said, self.is_known) = (Some(now), true);
        let lasts = now.saturating_sub(since);
        Some(if lasts < AGAIN { why.to_owned() } else { format!("still: {why}, for {}", span(lasts)) })
    }

    /// Notes that it is there at a time; how long it was away, if that was said.
    pub fn is_over(&mut self, now: Duration) -> Option<String> {
        let since = self.since.take()?;
        std::mem::take(&mut self.is_known).then(|| span(now.saturating_sub(since)))
    }
}

/// In whole minutes, or in seconds if it is none.
fn span(time: Duration) -> String {
    match (time.as_secs(), time.as_secs() / 60) {
        (seconds, 0) => format!("{} s", seconds.max(1)),
        (_, minutes @ 1..60) => format!("{minutes} min"),
        (_, minutes) => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
static PLACES: LazyLock<Mutex<BTreeMap<String, Outage>>> = LazyLock::new(Mutex::default);

/// What an error is about: what stands before its first colon, as in `Kafka at 127.0.0.1:9092: connection refused`.
pub fn place_of(error: &str) -> &str {
    error.split_once(": ").map_or(error, |(place, _)| place)
}

/// Says that something is unavailable if that is due: why, and what is done about it.
pub fn say(place: &str, why: &str, then: &str) {
    let now = STARTED.elapsed();
    let mut places = PLACES.lock();
    if places.len() >= PLACES_MAX {
        places.retain(|_, outage| now.saturating_sub(outage.failed) < AGAIN);
    }
    let due = places.entry(place.to_owned()).or_default().fails(why, now);
    drop(places);
    if let Some(why) = due {
        tracing::warn!("{why}; {then}");
    }
}

/// Says that something is available again, if it was said that it is not.
pub fn is_over(place: &str) {
    let lasted = PLACES.lock().get_mut(place).and_then(|outage| outage.is_over(STARTED.elapsed()));
    if let Some(lasted) = lasted {
        tracing::warn!("{}", over(place, &lasted));
    }
}

/// That something is there again.
pub fn over(place: &str, lasted: &str) -> String {
    let answers = ["Kafka at ", "registry "].iter().any(|who| place.starts_with(who));
    if answers { format!("{place} answers again, after {lasted}") } else { format!("over, after {lasted}: {place}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute_and_once_when_it_is_over() {
        let (mut outage, at) = (Outage::default(), Duration::from_secs);
        let why = "Kafka at 127.0.0.1:1: connection refused";
        assert_eq!(outage.fails(why, at(0)).as_deref(), Some(why));
        for second in 1..60 {
            assert_eq!(outage.fails(why, at(second)), None, "{second}");
        }
        let still = |span: &str| Some(format!("still: {why}, for {span}"));
        assert_eq!(outage.fails(why, at(60)), still("1 min"));
        assert_eq!(outage.fails(why, at(61)), None);
        assert_eq!(outage.fails(why, at(125)), still("2 min"));
        assert_eq!(outage.is_over(at(130)).as_deref(), Some("2 min"));
        assert_eq!(outage.is_over(at(131)), None, "said once");
        // It comes and goes: two lines a minute at the most.
        for second in 132..185 {
            assert_eq!(outage.fails(why, at(second)), None, "{second}");
            assert_eq!(outage.is_over(at(second)), None, "{second}");
        }
        assert_eq!(outage.fails(why, at(185)).as_deref(), Some(why));
        // What was not missed for a long time was there meanwhile.
        assert_eq!(outage.fails(why, at(10_000)).as_deref(), Some(why));
        assert_eq!(outage.is_over(at(10_002)).as_deref(), Some("2 s"));
    }

    #[test]
    fn what_is_away_is_named() {
        assert_eq!(place_of("Kafka at a:1,b:2: connection refused; x: y"), "Kafka at a:1,b:2");
        assert_eq!(place_of("nothing"), "nothing");
        assert_eq!(over("Kafka at a:1", "2 min"), "Kafka at a:1 answers again, after 2 min");
        assert_eq!(over("registry http://127.0.0.1:2", "1 s"), "registry http://127.0.0.1:2 answers again, after 1 s");
        assert_eq!(over("warehouse `x` is locked", "1 s"), "over, after 1 s: warehouse `x` is locked");
        assert_eq!(span(Duration::from_secs(7_260)), "2 h 1 min");
    }
}
