//! Lines and the prices in force when they were sold.

use super::{Law, Moment, Scene, assert_agree, beats, config, or_for_ever, play, run};
use dataflows::item::ItemId;
use dataflows::lane::Lane;
use dataflows::shop::Settings;
use dataflows::shop::operators::carts::{Cart, Line};
use dataflows::shop::operators::prices::{LINES, OfItem, POINTS, PricePoint, PricedLine, prices};
use dataflows::time::DAY_MS;
use dataflows::{Collection, Instant};
use differential_dataflow::consolidation::consolidate;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Of {
    Price(ItemId, PricePoint),
    Line(Line),
}

struct PricedLines;

impl Law for PricedLines {
    type Event = Of;
    type Row = PricedLine;

    fn keyed<'s>(events: Collection<'s, Of>, lane: &Lane<'s>, settings: &Settings) -> Collection<'s, PricedLine> {
        let of_items = events.inner.flat_map(|(of, _, diff)| {
            let said = match of {
                Of::Price(item, point) => (item, OfItem::Price(point, diff.signum())),
                Of::Line(line) => (line.movie_id.clone(), OfItem::Line(line, diff.signum())),
            };
            (0..diff.abs()).map(move |_| said.clone())
        });
        let held = lane.restored(&LINES).map(|(line, cents)| (line.movie_id.clone(), OfItem::Held(line, cents)));
        let known = lane.restored(&POINTS).map(|(item, point)| (item, OfItem::Price(point, 1)));
        prices(of_items.concat(held).concat(known), lane.watermarks(), settings, &lane.ledger)
    }

    fn plain<'s>(
        events: Collection<'s, Of>,
        _: Collection<'s, Instant>,
        settings: &Settings,
    ) -> Collection<'s, PricedLine> {
        let backfill_ms = settings.price_backfill_ms;
        let points = events.clone().flat_map(|of| match of {
            Of::Price(item, point) => Some((item, point)),
            Of::Line(_) => None,
        });
        let lines = events.flat_map(|of| match of {
            Of::Line(line) => Some(((line.movie_id.clone(), line.cart.clone(), line.added_at, line.sold_at), line)),
            Of::Price(..) => None,
        });
        // A purchase said twice: with two amounts the greater one counts.
        let lines = lines.reduce(|_, said, out| {
            let greatest = said.iter().map(|(line, _)| *line).max_by_key(|line| line.own_cents);
            out.extend(greatest.map(|line| (line.clone(), 1)));
        });
        let lines = lines.map(|(_, line)| (line.movie_id.clone(), line));
        lines
            .clone()
            .join_map(points, |_, line, point| (line.clone(), Some(*point)))
            .concat(lines.map(|(_, line)| (line, None)))
            .reduce(move |line, points, out| {
                let points = || points.iter().filter_map(|(point, _)| **point);
                let in_force = points().filter(|(from, _)| *from <= line.sold_at).max();
                let backfilled = points().min().filter(|(from, _)| *from <= line.sold_at + backfill_ms);
                out.push((line.own_cents.or(in_force.or(backfilled).and_then(|(_, price)| price)), 1));
            })
            .map(|(line, amount_cents)| PricedLine { line, amount_cents })
    }
}

/// What happens to an item.
#[derive(Clone, Debug)]
enum What {
    /// A version of it, so many ticks old, has a price or none.
    Costs(i64, Option<i64>),
    /// It is sold: cart, user, how many ticks after it was added.
    Sells(u64, u64, i64),
    /// A cart turns out not to have sold it: of the lines that can still go the n-th goes.
    StaysOnTheShelf(usize),
    /// It is bought by a user, for so much.
    Purchased(u64, i64),
}

fn what() -> impl Strategy<Value = (u64, What)> {
    let what = prop_oneof![
        4 => (0i64..10, prop::option::weighted(0.8, 1i64..4)).prop_map(|(ago, price)| What::Costs(ago, price)),
        5 => (1u64..4, 1u64..3, 0i64..2).prop_map(|(cart, user, ago)| What::Sells(cart, user, ago)),
        2 => (0usize..10).prop_map(What::StaysOnTheShelf),
        2 => (1u64..3, 1i64..4).prop_map(|(user, cents)| What::Purchased(user, cents)),
    ];
    (1u64..4, what)
}

/// Lines and price points come and go: one price per item and instant, one line per place.
fn changes(scenes: &[Scene<(u64, What)>], settings: &Settings) -> Vec<Moment<Of>> {
    let mut points = BTreeMap::<(ItemId, Instant), Option<i64>>::new();
    let mut lines = BTreeMap::<(Instant, ItemId, Instant, u64), Line>::new();
    let moment = |scene: &Scene<(u64, What)>| {
        let mut events = Vec::new();
        for (at, (item, what)) in &scene.happenings {
            let movie_id = ItemId::from(item.to_string().as_str());
            match what {
                What::Costs(ago, price) => {
                    let from = (at - ago * TICK_MS).max(settings.catalog_cut(scene.before));
                    let stood = points.insert((movie_id.clone(), from), *price);
                    events.extend(stood.map(|price| (Of::Price(movie_id.clone(), (from, price)), -1)));
                    events.push((Of::Price(movie_id, (from, *price)), 1));
                }
                What::Sells(cart, user_id, ago) => {
                    let added_at = at - ago * TICK_MS;
                    let place = (*at, movie_id.clone(), added_at, *cart);
                    let cart = Cart::Uuid(0, *cart);
                    let line = Line { cart, movie_id, added_at, user_id: *user_id, sold_at: *at, own_cents: None };
                    events.extend(lines.insert(place, line.clone()).map(|stood| (Of::Line(stood), -1)));
                    events.push((Of::Line(line), 1));
                }
                What::StaysOnTheShelf(nth) => {
                    let cut = settings.lane.cut(scene.before);
                    let in_time: Vec<_> = lines.keys().filter(|(at, ..)| *at >= cut).cloned().collect();
                    let gone = in_time.get(nth % in_time.len().max(1)).and_then(|place| lines.remove(place));
                    events.extend(gone.map(|line| (Of::Line(line), -1)));
                }
                What::Purchased(user_id, cents) => {
                    let (cart, own_cents) = (Cart::Purchase(*user_id), Some(*cents));
                    let line = Line { cart, movie_id, added_at: *at, user_id: *user_id, sold_at: *at, own_cents };
                    events.push((Of::Line(line), 1));
                }
            }
        }
        // Both come from operators that say what an epoch changes.
        consolidate(&mut events);
        Moment { events, watermark: scene.watermark }
    };
    scenes.iter().map(moment).collect()
}

const TICK_MS: i64 = DAY_MS / 2;

fn settings() -> impl Strategy<Value = Settings> {
    (or_for_ever(0..8), or_for_ever(0..8), 0i64..6).prop_map(|(lateness, catalog_lateness, backfill)| Settings {
        lane: dataflows::Settings { lateness_ms: lateness.map(|ticks| ticks * TICK_MS), ..Default::default() },
        catalog_lateness_ms: catalog_lateness.map(|ticks| ticks * TICK_MS),
        price_backfill_ms: backfill * TICK_MS,
        ..Settings::default()
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn prices_of_lines(beats in beats(what(), 30), settings in settings(), run in run()) {
        let history = changes(&play(&beats, TICK_MS, settings.lane.lateness_ms), &settings);
        assert_agree::<PricedLines>(&history, &settings, &run);
    }
}
