//! Whether the clock can be right, by what the last run wrote down.

use crate::instant;
use dataflows::Instant;

/// A clock is corrected by less than this, and behind by more only if it is wrong, or was.
const BEHIND_MAX_MS: i64 = 3_600_000;
/// A clock that is further ahead may be wrong, or the pipeline has rested.
const AHEAD_SAID_MS: i64 = 24 * 3_600_000;

/// What there is to say of a clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Right,
    /// It may be right.
    Noteworthy(String),
    /// It, or the last run's, is wrong.
    Wrong(String),
}

/// Judges a clock by that of the last journaled epoch.
pub(super) fn judge(last_ms: Instant, now_ms: Instant) -> Verdict {
    let (last, now) = (instant::show(last_ms), instant::show(now_ms));
    let apart = |ms: i64| humantime::format_duration(std::time::Duration::from_secs(ms.unsigned_abs() / 1000));
    if now_ms < last_ms.saturating_sub(BEHIND_MAX_MS) {
        let behind = apart(last_ms.saturating_sub(now_ms));
        return Verdict::Wrong(format!(
            "the clock says {now}, and the last run wrote down {last}: it is {behind} behind. One of the two is wrong, and \
             by the clock events are taken for the future and rows for old. Set the clock right; if the last run's was the \
             wrong one, go on with `--accept-clock`, or compute everything again with `--rebuild`"
        ));
    }
    if now_ms > last_ms.saturating_add(AHEAD_SAID_MS) {
        let ahead = apart(now_ms.saturating_sub(last_ms));
        return Verdict::Noteworthy(format!(
            "the last run wrote down {last}, which is {ahead} ago by the clock: {now}"
        ));
    }
    Verdict::Right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_is_wrong_and_one_that_is_ahead_is_said() {
        let last = instant::parse("2026-01-05T12:00:00Z").expect("an instant");
        let at = |text: &str| judge(last, instant::parse(text).expect("an instant"));
        for right in ["2026-01-05T11:00:00Z", "2026-01-05T12:00:01Z", "2026-01-06T12:00:00Z"] {
            assert_eq!(at(right), Verdict::Right, "{right}");
        }
        let Verdict::Wrong(why) = at("2026-01-05T10:59:59Z") else { panic!("an hour and a second behind") };
        for said in ["2026-01-05T10:59:59", "2026-01-05T12:00:00", "1h 1s behind", "--accept-clock"] {
            assert!(why.contains(said), "`{said}` in: {why}");
        }
        let Verdict::Noteworthy(said) = at("2090-01-05T12:00:00Z") else { panic!("64 years ahead") };
        assert!(said.contains("2026-01-05T12:00:00") && said.contains("2090-01-05T12:00:00"), "{said}");
    }
}
