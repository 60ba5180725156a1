//! Sums per key.

use super::{Law, assert_agree, beats, config, moments, or_for_ever, play, run, stream};
use crate::support::HOUR_MS;
use dataflows::item::ItemId;
use dataflows::lane::Lane;
use dataflows::operators::{Totals, totals};
use dataflows::shop::Settings;
use dataflows::shop::metrics::movie_sales_metrics::{SUMS, Sales, SalesWindow};
use dataflows::{Collection, Instant};
use differential_dataflow::operators::CountTotal;
use proptest::prelude::*;
use timely::dataflow::operators::Concat;

type Key = (ItemId, SalesWindow);

struct Sums;

impl Law for Sums {
    type Event = (Key, Sales);
    type Row = (Key, Sales);

    fn keyed<'s>(
        events: Collection<'s, Self::Event>,
        lane: &Lane<'s>,
        settings: &Settings,
    ) -> Collection<'s, Self::Row> {
        let leaves = Totals {
            name: "sums",
            // As if a day were over in a millisecond: what comes at the cut may still change it.
            end: Box::new(|(_, window): &Key| match window {
                SalesWindow::Daily(start) => Some(start + 1),
                _ => None,
            }),
            kept: Some(&SUMS),
        };
        let said = stream(events).concat(lane.restored(&SUMS));
        totals(said, lane.watermarks(), &settings.lane, &lane.ledger, leaves)
    }

    fn plain<'s>(
        events: Collection<'s, Self::Event>,
        _: Collection<'s, Instant>,
        _: &Settings,
    ) -> Collection<'s, Self::Row> {
        events
            .explode(|(key, Sales { cents, units, unpriced })| {
                Some((key, (cents as isize, (units as isize, unpriced as isize))))
            })
            .count_total()
            .map(|(key, (cents, (units, unpriced)))| {
                (key, Sales { cents: cents as i64, units: units as i64, unpriced: unpriced as i64 })
            })
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sums_per_key(
        beats in beats((any::<bool>(), 1u64..3, -2i64..3, -1i64..2, -1i64..2), 12),
        lateness in or_for_ever(0..8),
        run in run(),
    ) {
        let settings = Settings { lane: dataflows::Settings { lateness_ms: lateness.map(|ticks| ticks * HOUR_MS), ..Default::default() }, ..Settings::default() };
        let scenes = play(&beats, HOUR_MS, settings.lane.lateness_ms);
        let history = moments(&scenes, |at, (ends, item, cents, units, unpriced)| {
            let window = if ends { SalesWindow::Daily(at) } else { SalesWindow::Cumulative };
            ((item.to_string().as_str().into(), window), Sales { cents, units, unpriced })
        });
        assert_agree::<Sums>(&history, &settings, &run);
    }
}
