//! Which version of an item is in force, and what items cost from when on.

use super::{Law, Moment, assert_agree, beats, config, or_for_ever, play, run, stream};
use crate::support::HOUR_MS;
use dataflows::events::CatalogContent;
use dataflows::item::ItemId;
use dataflows::lane::Lane;
use dataflows::shop::Settings;
use dataflows::shop::operators::prices::PricePoint;
use dataflows::shop::operators::versions::{Prices, VERSIONS, Version, in_force};
use dataflows::{Collection, Instant};
use differential_dataflow::AsCollection;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{Concat, Operator};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum VersionsRow {
    InForce(ItemId, Version),
    Price(ItemId, PricePoint),
}

/// Prices with the epochs they came in.
fn timed(prices: Prices<'_>) -> Collection<'_, (ItemId, PricePoint)> {
    let timed = prices.unary(Pipeline, "timed", |_cap, _info| {
        |input, output| {
            input.for_each_time(|cap, batches| {
                let (time, mut session) = (*cap.time(), output.session(&cap));
                for (item, point, diff) in batches.flat_map(|batch| batch.drain(..)) {
                    session.give(((item, point), time, diff));
                }
            });
        }
    });
    timed.as_collection()
}

struct Versions;

impl Law for Versions {
    type Event = (ItemId, Version);
    type Row = VersionsRow;

    fn keyed<'s>(
        events: Collection<'s, Self::Event>,
        lane: &Lane<'s>,
        settings: &Settings,
    ) -> Collection<'s, VersionsRow> {
        let versions = stream(events).concat(lane.restored(&VERSIONS));
        let (items, prices) = in_force(versions, lane.watermarks(), settings, &lane.ledger);
        let prices = timed(prices).map(|(item, point)| VersionsRow::Price(item, point));
        items.map(|(item, version)| VersionsRow::InForce(item, version)).concat(prices)
    }

    fn plain<'s>(
        events: Collection<'s, Self::Event>,
        _: Collection<'s, Instant>,
        _: &Settings,
    ) -> Collection<'s, VersionsRow> {
        let items = events.clone().reduce(|_, versions, out| {
            let mut in_force: Option<&Version> = None;
            for (version, _) in versions {
                if in_force.is_none_or(|in_force| in_force.content != version.content) {
                    in_force = Some(version);
                }
            }
            out.extend(in_force.map(|version| (version.clone(), 1)));
        });
        let prices =
            events.map(|(item, version)| ((item, version.effective_at), version)).reduce(|_, versions, out| {
                let (last, _) = versions[versions.len() - 1];
                out.push((last.content.price_cents, 1));
            });
        items
            .map(|(item, version)| VersionsRow::InForce(item, version))
            .concat(prices.map(|((item, from), price)| VersionsRow::Price(item, (from, price))))
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn versions_and_prices_of_items(
        beats in beats((1u64..3, 0u8..2, prop::option::of(1i64..3)), 12),
        lateness in or_for_ever(0..8),
        run in run(),
    ) {
        let settings = Settings { catalog_lateness_ms: lateness.map(|ticks| ticks * HOUR_MS), ..Settings::default() };
        // Never late: a version takes effect no earlier than the catalog's cut.
        let moment = |scene: &super::Scene<(u64, u8, Option<i64>)>| {
            let version = |(timestamp, (item, title, price_cents)): &(Instant, (u64, u8, Option<i64>))| {
                let effective_at = settings.catalog_cut(scene.before).max(*timestamp);
                let title = title.to_string();
                let content = CatalogContent { title, price_cents: *price_cents, ..CatalogContent::default() };
                let version = Version { effective_at, timestamp: *timestamp, content: Box::new(content) };
                ((item.to_string().as_str().into(), version), 1)
            };
            Moment { events: scene.happenings.iter().map(version).collect(), watermark: scene.watermark }
        };
        let history: Vec<_> = play(&beats, HOUR_MS, None).iter().map(moment).collect();
        assert_agree::<Versions>(&history, &settings, &run);
    }
}
