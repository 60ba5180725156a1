//! Sessions of sign events, and what they make of minute boundaries.

use super::{Law, assert_agree, beats, config, moments, or_for_ever, play, run, stream};
use crate::support::MINUTE_MS;
use dataflows::lane::Lane;
use dataflows::shop::Settings;
use dataflows::shop::metrics::session_metrics;
use dataflows::shop::operators::minutes::Minute;
use dataflows::shop::operators::sessions::{OfMinutes, SIGNS, Session, SignAt, sessions};
use dataflows::{Collection, Instant, Stream};
use proptest::prelude::*;
use timely::dataflow::operators::Concat;

type Sign = (u64, SignAt);

fn keyed_sessions<'s>(
    signs: Collection<'s, Sign>,
    lane: &Lane<'s>,
    settings: &Settings,
) -> (Collection<'s, Session>, Stream<'s, OfMinutes>) {
    sessions(stream(signs).concat(lane.restored(&SIGNS)), lane.watermarks(), settings, &lane.ledger)
}

/// A user's whole history, told again whenever it changes.
fn plain_sessions<'s>(signs: Collection<'s, Sign>, settings: &Settings) -> Collection<'s, Session> {
    let timeout_ms = settings.session_timeout_ms;
    let sessions = signs.reduce(move |user, signs, out| {
        let session = |opened_at, closed_at| (Session { user_id: *user, opened_at, closed_at }, 1);
        let mut open = None;
        for (SignAt { at, is_in }, _) in signs {
            // In the instant of the timeout a session can still be signed out of.
            let has_ended =
                |opened_at| timeout_ms.is_some_and(|ms| *at > opened_at + ms || *is_in && *at == opened_at + ms);
            if let Some(opened_at) = open.filter(|opened_at| has_ended(*opened_at)) {
                out.push(session(opened_at, None));
                open = None;
            }
            match open {
                None => open = is_in.then_some(*at),
                Some(opened_at) if !is_in => {
                    out.push(session(opened_at, Some(*at)));
                    open = None;
                }
                Some(_) => {}
            }
        }
        out.extend(open.map(|opened_at| session(opened_at, None)));
    });
    sessions.map(|(_, session)| session)
}

struct Sessions;

impl Law for Sessions {
    type Event = Sign;
    type Row = Session;

    fn keyed<'s>(events: Collection<'s, Sign>, lane: &Lane<'s>, settings: &Settings) -> Collection<'s, Session> {
        keyed_sessions(events, lane, settings).0
    }

    fn plain<'s>(
        events: Collection<'s, Sign>,
        _: Collection<'s, Instant>,
        settings: &Settings,
    ) -> Collection<'s, Session> {
        plain_sessions(events, settings)
    }
}

struct Minutes;

impl Law for Minutes {
    type Event = Sign;
    type Row = Minute;

    fn keyed<'s>(events: Collection<'s, Sign>, lane: &Lane<'s>, settings: &Settings) -> Collection<'s, Minute> {
        session_metrics::rows(lane, keyed_sessions(events, lane, settings).1)
    }

    /// Every boundary, and the one before it, with every session.
    fn plain<'s>(
        events: Collection<'s, Sign>,
        watermark: Collection<'s, Instant>,
        settings: &Settings,
    ) -> Collection<'s, Minute> {
        let whole_input = settings.lane.whole_input;
        let timeout_ms = settings.session_timeout_ms;
        let sessions = plain_sessions(events.clone(), settings);
        let extent = events.map(|(_, sign)| ((), sign.at)).reduce(|_, signs, out| {
            let (first, last) = (signs[0].0, signs[signs.len() - 1].0);
            out.push(((*first, *last), 1));
        });
        let boundaries = extent
            .join_map(watermark.map(|watermark| ((), watermark)), |_, extent, watermark| (*extent, *watermark))
            .flat_map(move |((first, last), watermark)| {
                let up_to = |at: Instant| at.div_euclid(MINUTE_MS);
                let from = |at: Instant| (at + MINUTE_MS - 1).div_euclid(MINUTE_MS);
                let until = if whole_input { from(watermark).min(from(last)) } else { up_to(watermark) };
                (from(first)..=until).map(|minute| minute * MINUTE_MS)
            })
            .consolidate();
        let with_sessions = boundaries
            .clone()
            .map(|at| ((), at))
            .join_map(sessions.map(|session| ((), session)), |_, at, session| (*at, Some(*session)));
        with_sessions
            .concat(boundaries.map(|at| (at, None)))
            .reduce(move |at, sessions, out| {
                let sessions = || sessions.iter().filter_map(|(session, _)| session.as_ref());
                let (now, before) = (state(*at, sessions(), timeout_ms), state(at - MINUTE_MS, sessions(), timeout_ms));
                if now.active > 0 || now.active != before.active || now.completed != before.completed {
                    out.push((now, 1));
                }
            })
            .map(|(_, minute)| minute)
    }
}

/// Of each session, whether it is active at a boundary or completed by then.
fn state<'a>(at: Instant, sessions: impl Iterator<Item = &'a Session>, timeout_ms: Option<i64>) -> Minute {
    let mut minute = Minute { at, active: 0, active_age_ms: 0, completed: 0, completed_duration_ms: 0 };
    for Session { opened_at, closed_at, .. } in sessions {
        let end = closed_at.or(timeout_ms.map(|ms| opened_at + ms));
        if *opened_at <= at && end.is_none_or(|end| at < end) {
            minute.active += 1;
            minute.active_age_ms += at - opened_at;
        }
        if let Some(closed_at) = closed_at.filter(|closed_at| *closed_at <= at) {
            minute.completed += 1;
            minute.completed_duration_ms += closed_at - opened_at;
        }
    }
    minute
}

const TICK_MS: i64 = 5 * MINUTE_MS;

fn settings() -> impl Strategy<Value = Settings> {
    (or_for_ever(0..8), or_for_ever(1..9), any::<bool>()).prop_map(|(lateness, timeout, whole_input)| Settings {
        lane: dataflows::Settings {
            lateness_ms: lateness.map(|ticks| ticks * TICK_MS),
            whole_input,
            ..Default::default()
        },
        session_timeout_ms: timeout.map(|ticks| ticks * TICK_MS),
        ..Settings::default()
    })
}

fn sign() -> impl Strategy<Value = (u64, bool)> {
    (1u64..4, any::<bool>())
}

fn signs(at: Instant, (user, is_in): (u64, bool)) -> Sign {
    (user, SignAt { at, is_in })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sessions_of_users(beats in beats(sign(), 12), settings in settings(), run in run()) {
        let history = moments(&play(&beats, TICK_MS, settings.lane.lateness_ms), signs);
        assert_agree::<Sessions>(&history, &settings, &run);
    }

    #[test]
    fn minutes_of_sessions(beats in beats(sign(), 12), settings in settings(), run in run()) {
        let history = moments(&play(&beats, TICK_MS, settings.lane.lateness_ms), signs);
        assert_agree::<Minutes>(&history, &settings, &run);
    }
}
