//! Distinct users per window: `distinct`, `totals` and `finality`, as registrations put them together.

use super::{Beat, Law, Run, assert_agree, beats, config, moments, or_for_ever, play, run, stream};
use dataflows::lane::Lane;
use dataflows::shop::Settings;
use dataflows::shop::metrics::registrations::PANES;
use dataflows::shop::metrics::users_per_window::{Names, Row, users_per_window};
use dataflows::window::{SLIDE_MS, WIDTH_MS, Window, WindowType};
use dataflows::{Collection, Instant};
use differential_dataflow::operators::{CountTotal, ThresholdTotal};
use proptest::prelude::*;

struct Registrations;

impl Law for Registrations {
    type Event = (Instant, u64);
    type Row = Row;

    fn keyed<'s>(events: Collection<'s, Self::Event>, lane: &Lane<'s>, _: &Settings) -> Collection<'s, Row> {
        users_per_window(lane, stream(events), Names { panes: &PANES, counts: "counts", open: "open windows" })
    }

    fn plain<'s>(
        events: Collection<'s, Self::Event>,
        watermark: Collection<'s, Instant>,
        settings: &Settings,
    ) -> Collection<'s, Row> {
        let lateness_ms = settings.lane.lateness_ms.unwrap_or(0);
        let counts = events
            .flat_map(|(at, user)| windows(at).map(move |window| (window, user)))
            .threshold_total(|_, times| isize::from(*times > 0))
            .map(|(window, _)| window)
            .count_total();
        counts.map(|count| ((), count)).join_map(
            watermark.map(|watermark| ((), watermark)),
            move |_, (window, users), watermark| {
                let is_final = window.end() <= watermark - lateness_ms;
                ((*window, *users), is_final)
            },
        )
    }
}

/// The windows that contain an instant.
fn windows(at: Instant) -> impl Iterator<Item = Window> {
    let hour = at - at.rem_euclid(WIDTH_MS);
    let starts = (-WIDTH_MS / SLIDE_MS..WIDTH_MS / SLIDE_MS).map(move |n| hour + n * SLIDE_MS);
    let sliding = starts.filter(move |start| *start <= at && at < start + WIDTH_MS);
    sliding
        .map(|start| Window { window_type: WindowType::Sliding, start })
        .chain([Window { window_type: WindowType::Tumbling, start: hour }])
}

fn settings(lateness: Option<i64>) -> Settings {
    Settings {
        lane: dataflows::Settings { lateness_ms: lateness.map(|ticks| ticks * SLIDE_MS), ..Default::default() },
        ..Settings::default()
    }
}

fn check(beats: &[Beat<u64>], settings: &Settings, run: &Run) {
    let history = moments(&play(beats, SLIDE_MS, settings.lane.lateness_ms), |at, user| (at, user));
    assert_agree::<Registrations>(&history, settings, run);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn distinct_users_per_window(beats in beats(1u64..4, 12), lateness in or_for_ever(0..8), run in run()) {
        check(&beats, &settings(lateness), &run);
    }
}
