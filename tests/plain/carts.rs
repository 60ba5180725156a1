//! Cart events to sale lines and what else carts say.

use super::{Law, assert_agree, beats, config, moments, or_for_ever, play, run, stream};
use crate::support::MINUTE_MS;
use dataflows::item::ItemId;
use dataflows::lane::Lane;
use dataflows::shop::Settings;
use dataflows::shop::operators::carts::{Asked, CartEvent, CartFact, EVENTS, EVENTS_OF_TEXTS, Id, InCart, Line, carts};
use dataflows::shop::settings::Thresholds;
use dataflows::state::Kept;
use dataflows::table::Tables;
use dataflows::{Collection, Instant};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::hash::Hash;
use std::marker::PhantomData;
use std::rc::Rc;
use timely::dataflow::operators::Concat;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum CartsRow {
    Line(Line),
    Fact(CartFact),
}

/// Carts whose ids are of a kind.
struct Carts<I>(PhantomData<I>);

trait Kind: Id + Hash + Sync {
    const KEPT: &'static Kept<(Self, CartEvent)>;
}

impl Kind for u128 {
    const KEPT: &'static Kept<(u128, CartEvent)> = &EVENTS;
}

impl Kind for Box<str> {
    const KEPT: &'static Kept<(Box<str>, CartEvent)> = &EVENTS_OF_TEXTS;
}

impl<I: Kind> Law for Carts<I> {
    type Event = (I, CartEvent);
    type Row = CartsRow;

    fn keyed<'s>(
        events: Collection<'s, Self::Event>,
        lane: &Lane<'s>,
        settings: &Settings,
    ) -> Collection<'s, CartsRow> {
        let asked = Rc::<Asked>::default();
        asked.facts.set(true);
        asked.abandoned.set(lane.settings.tables == Tables::ALL);
        let events = stream(events).concat(lane.restored(I::KEPT));
        let (lines, facts) = carts(events, lane.watermarks(), settings, (&lane.ledger, I::KEPT), asked);
        lines.map(CartsRow::Line).concat(facts.map(CartsRow::Fact))
    }

    /// All that ever happened to a cart id, told again whenever it changes.
    fn plain<'s>(
        events: Collection<'s, Self::Event>,
        _: Collection<'s, Instant>,
        settings: &Settings,
    ) -> Collection<'s, CartsRow> {
        let settings = settings.clone();
        let said = events.reduce(move |id, events, out| {
            let mut carts: Vec<Vec<&CartEvent>> = Vec::new();
            for (event, _) in events {
                match carts.last_mut() {
                    Some(cart) if event.at - cart[cart.len() - 1].at < settings.cart_ttl_ms => cart.push(event),
                    _ => carts.push(vec![event]),
                }
            }
            for cart in carts {
                out.extend(cart_says(id, &cart, &settings).into_iter().map(|said| (said, 1)));
            }
        });
        said.map(|(_, said)| said)
    }
}

/// All that one cart says.
fn cart_says<I: Id>(id: &I, cart: &[&CartEvent], settings: &Settings) -> Vec<CartsRow> {
    let adds: Vec<_> = cart
        .iter()
        .filter_map(|event| match &event.what {
            InCart::Add(item, user) => Some((event.at, item, *user)),
            InCart::Checkout(_) => None,
        })
        .collect();
    let checkouts = cart.iter().filter_map(|event| match event.what {
        InCart::Checkout(user) => Some((event.at, user)),
        InCart::Add(..) => None,
    });
    let sold = checkouts.min();
    let mut said: Vec<_> =
        adds.iter().map(|(_, item, user)| CartsRow::Fact(CartFact::Added(*user, ItemId::clone(item)))).collect();
    if let Some((sold_at, user_id)) = sold {
        said.push(CartsRow::Fact(CartFact::Sold(user_id)));
        // Put in twice at one time, by whomever, an item is one line.
        let bought: BTreeSet<_> =
            adds.iter().filter(|(at, ..)| *at <= sold_at).map(|(at, item, _)| (at, item)).collect();
        said.extend(bought.into_iter().map(|(added_at, movie_id)| {
            let (cart, movie_id) = (id.cart(), ItemId::clone(movie_id));
            CartsRow::Line(Line { cart, movie_id, added_at: *added_at, user_id, sold_at, own_cents: None })
        }));
    }
    // Asked for with all tables.
    if settings.lane.tables == Tables::ALL {
        let Thresholds { abandoned_after_ms, abandoned_within_ms, .. } = settings.segments;
        // Of adds at one time the greatest user's is the last.
        let left: BTreeSet<_> = adds.iter().map(|(at, _, user)| (*at, *user)).collect();
        for (at, user) in &left {
            let from = at + abandoned_after_ms;
            let mut later = left.iter().skip_while(|add| **add <= (*at, *user)).map(|(next, _)| *next);
            let next = later.next().unwrap_or(Instant::MAX);
            if next > from && sold.is_none_or(|(sold_at, _)| sold_at > from) {
                said.push(CartsRow::Fact(CartFact::Abandoned(*user, from, next.min(from + abandoned_within_ms))));
            }
        }
    }
    said
}

const TICK_MS: i64 = 20 * MINUTE_MS;

fn settings() -> impl Strategy<Value = Settings> {
    (or_for_ever(0..8), 1i64..9, any::<bool>(), 0i64..5, 1i64..9).prop_map(
        |(lateness, cart_ttl, asks, abandoned_after, abandoned_within)| Settings {
            lane: dataflows::Settings {
                lateness_ms: lateness.map(|ticks| ticks * TICK_MS),
                tables: if asks { Tables::ALL } else { Tables::from_iter([]) },
                ..Default::default()
            },
            cart_ttl_ms: cart_ttl * TICK_MS,
            segments: Thresholds {
                abandoned_after_ms: abandoned_after * TICK_MS,
                abandoned_within_ms: abandoned_within * TICK_MS,
                ..Thresholds::default()
            },
            ..Settings::default()
        },
    )
}

fn in_cart() -> impl Strategy<Value = (u128, InCart)> {
    let add = (1u64..3, 1u64..3).prop_map(|(item, user)| InCart::Add(item.to_string().as_str().into(), user));
    let checkout = (1u64..3).prop_map(InCart::Checkout);
    (1u128..4, prop_oneof![2 => add, 1 => checkout])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lines_and_facts_of_carts(beats in beats(in_cart(), 12), settings in settings(), run in run()) {
        let scenes = play(&beats, TICK_MS, settings.lane.lateness_ms);
        let history = moments(&scenes, |at, (id, what)| (id, CartEvent { at, what }));
        assert_agree::<Carts<u128>>(&history, &settings, &run);
    }

    #[test]
    fn lines_and_facts_of_carts_whose_ids_are_texts(
        beats in beats(in_cart(), 12),
        settings in settings(),
        run in run(),
    ) {
        let scenes = play(&beats, TICK_MS, settings.lane.lateness_ms);
        let of_text = |id: u128| format!("cart {id}").into_boxed_str();
        let history = moments(&scenes, |at, (id, what)| (of_text(id), CartEvent { at, what }));
        assert_agree::<Carts<Box<str>>>(&history, &settings, &run);
    }
}
