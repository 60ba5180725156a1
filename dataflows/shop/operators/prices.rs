//! Sale lines and the prices in force when they were sold, per item.

use super::carts::{Cart, Line};
use super::renamed;
use crate::dense::Dense;
use crate::item::ItemId;
use crate::operators::{Epoch, per_epoch};
use crate::shop::settings::Settings;
use crate::state::{Forgets, Kept, Ledger};
use crate::time::{Instant, Time, is_silent};
use crate::window::week;
use crate::{Collection, Stream};
use differential_dataflow::{AsCollection, Hashable};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// A price from an instant on, or that there is none.
pub type PricePoint = (Instant, Option<i64>);

/// A line and what was paid for it, in cents; nothing while it is unpriced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PricedLine {
    /// The line.
    pub line: Line,
    /// In cents.
    pub amount_cents: Option<i64>,
}

/// What comes in, of an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum OfItem {
    /// A price point comes or goes.
    Price(PricePoint, isize),
    /// A line comes or goes.
    Line(Line, isize),
    /// By a snapshot: a line with the amount it was told with.
    Held(Line, Option<i64>),
}

/// A line and the amount it was told with, in cents.
pub static LINES: Kept<(Line, Option<i64>)> = Kept {
    name: "shop/prices/lines",
    version: 1,
    forgets: Forgets::BecomesNobodys(|(line, _), user, nobody| {
        let bought = match &mut line.cart {
            Cart::Purchase(buyer) => renamed(buyer, user, nobody),
            Cart::Uuid(..) | Cart::Text(_) => false,
        };
        renamed(&mut line.user_id, user, nobody) | bought
    }),
};
/// What an item costs from when on.
pub static POINTS: Kept<(ItemId, PricePoint)> =
    Kept { name: "shop/prices/points", version: 1, forgets: Forgets::NamesNobody };

/// What tells a line from the others of its item.
type LineKey = (Instant, Instant, Cart);

#[derive(Clone, Debug)]
struct Sold {
    user_id: u64,
    own_cents: Option<i64>,
    amount_cents: Option<i64>,
}

#[derive(Clone, Default)]
struct Item {
    /// Sorted; of what took effect before the cut only the last.
    points: Vec<PricePoint>,
    /// Behind an `Rc`: of the items of a frozen chunk only that which changes is copied.
    lines: Rc<BTreeMap<LineKey, Sold>>,
}

impl Item {
    /// The price in force at an instant; before the first one that one, `backfill_ms` back at most.
    fn price_at(&self, at: Instant, backfill_ms: i64) -> Option<i64> {
        let later = self.points.partition_point(|(from, _)| *from <= at);
        match later.checked_sub(1) {
            Some(in_force) => self.points[in_force].1,
            None => self.points.first().filter(|(from, _)| from - at <= backfill_ms).and_then(|(_, price)| *price),
        }
    }

    /// Takes a price point in or out; returns whose price that may change.
    fn change_point(&mut self, (from, price): PricePoint, diff: isize) -> Range<Instant> {
        let at = self.points.partition_point(|point| *point < (from, price));
        if diff > 0 {
            self.points.insert(at, (from, price));
        } else if self.points.get(at) == Some(&(from, price)) {
            self.points.remove(at);
        }
        let before = self.points.partition_point(|(at, _)| *at < from);
        let after = self.points.partition_point(|(at, _)| *at <= from);
        let start = if before == 0 { Instant::MIN } else { from };
        start..self.points.get(after).map_or(Instant::MAX, |(next, _)| *next)
    }

    /// Forgets what was in force only before `cut`.
    fn forget_points(&mut self, cut: Instant) {
        let settled = self.points.partition_point(|(from, _)| *from < cut);
        self.points.drain(..settled.saturating_sub(1));
    }
}

#[derive(Default)]
struct Items {
    items: Dense<ItemId, Item>,
    /// Which items have lines in the week that ends then.
    due: BTreeMap<Instant, Vec<ItemId>>,
    lines: usize,
}

fn told(movie_id: &ItemId, (sold_at, added_at, cart): LineKey, sold: &Sold) -> PricedLine {
    let Sold { user_id, own_cents, amount_cents } = *sold;
    let line = Line { movie_id: movie_id.clone(), sold_at, added_at, cart, user_id, own_cents };
    PricedLine { line, amount_cents }
}

impl Items {
    /// Prices the lines sold in a range again; says which of them cost something else now.
    fn price_again(
        &mut self,
        id: &ItemId,
        range: Range<Instant>,
        backfill_ms: i64,
        said: &mut Vec<(PricedLine, isize)>,
    ) {
        let Some(item) = self.items.get_mut(id) else { return };
        let mut again = Vec::new();
        let first = (range.start, Instant::MIN, Cart::Uuid(0, 0));
        for (place, sold) in item.lines.range(first..).take_while(|(place, _)| place.0 < range.end) {
            let amount_cents = sold.own_cents.or_else(|| item.price_at(place.0, backfill_ms));
            if amount_cents != sold.amount_cents {
                said.push((told(id, place.clone(), sold), -1));
                again.push((place.clone(), Sold { amount_cents, ..sold.clone() }));
            }
        }
        if !again.is_empty() {
            let lines = Rc::make_mut(&mut item.lines);
            for (place, sold) in again {
                said.push((told(id, place.clone(), &sold), 1));
                lines.insert(place, sold);
            }
        }
    }

    fn remove(&mut self, line: &Line, said: &mut Vec<(PricedLine, isize)>) {
        let place = (line.sold_at, line.added_at, line.cart.clone());
        let Some(item) = self.items.get_mut(&line.movie_id) else { return };
        if let Some(sold) = Rc::make_mut(&mut item.lines).remove(&place) {
            self.lines -= 1;
            said.push((told(&line.movie_id, place, &sold), -1));
        }
    }

    fn insert(&mut self, line: Line, backfill_ms: i64, said: &mut Vec<(PricedLine, isize)>) {
        let place = (line.sold_at, line.added_at, line.cart.clone());
        let item = self.items.get_or_default(line.movie_id.clone());
        let mut own_cents = line.own_cents;
        if let Some(stood) = item.lines.get(&place) {
            // A purchase said twice; with two amounts the greater one counts.
            if stood.own_cents >= own_cents {
                return;
            }
            said.push((told(&line.movie_id, place.clone(), stood), -1));
            own_cents = own_cents.max(stood.own_cents);
        }
        let amount_cents = own_cents.or_else(|| item.price_at(line.sold_at, backfill_ms));
        let sold = Sold { user_id: line.user_id, own_cents, amount_cents };
        said.push((told(&line.movie_id, place.clone(), &sold), 1));
        self.hold(line.movie_id, place, sold);
    }

    fn hold(&mut self, id: ItemId, place: LineKey, sold: Sold) {
        let item = self.items.get_or_default(id.clone());
        let week = week(place.0);
        let of_week = (week.start, Instant::MIN, Cart::Uuid(0, 0))..(week.end, Instant::MIN, Cart::Uuid(0, 0));
        if item.lines.range(of_week).next().is_none() {
            self.due.entry(week.end).or_default().push(id);
        }
        self.lines += usize::from(Rc::make_mut(&mut item.lines).insert(place, sold).is_none());
    }

    /// Drops the weeks that ended at or before `cut`.
    fn forget(&mut self, cut: Instant) {
        while let Some(first) = self.due.first_entry().filter(|first| *first.key() <= cut) {
            let (end, items) = first.remove_entry();
            for id in items {
                let Some(item) = self.items.get_mut(&id) else { continue };
                let before = item.lines.len();
                let lines = Rc::make_mut(&mut item.lines);
                *lines = lines.split_off(&(end, Instant::MIN, Cart::Uuid(0, 0)));
                self.lines -= before - item.lines.len();
            }
        }
    }
}

/// Lines with what was paid for them: their own amount, or the price in force when they were sold.
///
/// **Law.** The output accumulates to `{ (line, price of the item in force at sold_at) }`, whenever
/// lines and prices came, and says again only what changed. Lines leave by whole calendar week,
/// without a word, once neither a cart nor the catalog can change them; of an item's prices the last
/// one before the cut stays forever.
pub fn prices<'s>(
    of_items: Stream<'s, (ItemId, OfItem)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, PricedLine> {
    let held = Rc::new(RefCell::new(Items::default()));
    ledger.count(LINES.name, &held, |held| held.lines);
    ledger.keep(&LINES, &held, |held| {
        held.items.frozen(|id, item, out| {
            let lines = item.lines.iter().map(|(place, sold)| told(id, place.clone(), sold));
            out.extend(lines.map(|told| (told.line, told.amount_cents)));
        })
    });
    ledger.count(POINTS.name, &held, |held| held.items.len());
    ledger.keep(&POINTS, &held, |held| {
        held.items.frozen(|id, item, out| out.extend(item.points.iter().map(|point| (id.clone(), *point))))
    });
    let settings = settings.clone();
    let by_item = Exchange::new(|(item, _): &(ItemId, OfItem)| item.hashed());
    let step = move |Epoch { time, input, watermark }: Epoch<(ItemId, OfItem)>,
                     out: &mut Vec<(_, Time, _)>,
                     _: &mut Vec<()>| {
        let backfill_ms = settings.price_backfill_ms;
        let mut held = held.borrow_mut();
        let (mut points, mut gone, mut come) = (Vec::new(), Vec::new(), Vec::new());
        for (id, of_item) in Epoch::records(input) {
            match of_item {
                OfItem::Price(point, diff) => points.push((diff, id, point)),
                OfItem::Line(line, diff) if diff < 0 => gone.push(line),
                OfItem::Line(line, _) => come.push(line),
                OfItem::Held(line, amount_cents) => {
                    let sold = Sold { user_id: line.user_id, own_cents: line.own_cents, amount_cents };
                    held.hold(line.movie_id, (line.sold_at, line.added_at, line.cart), sold);
                }
            }
        }
        // What goes before what comes: of the two that replace each other in one place.
        points.sort_unstable();
        let mut said = Vec::new();
        gone.iter().for_each(|line| held.remove(line, &mut said));
        let mut again = Vec::new();
        for (diff, id, point) in points {
            let item = held.items.get_or_default(id.clone());
            again.push((id, item.change_point(point, diff)));
        }
        for (id, range) in again.iter().filter(|_| !is_silent(time)) {
            held.price_again(id, range.clone(), backfill_ms, &mut said);
        }
        come.into_iter().for_each(|line| held.insert(line, backfill_ms, &mut said));
        out.extend(said.into_iter().map(|(line, diff)| (line, time, diff)));
        // Only now: what this epoch brought was judged by the watermark before it.
        for (id, _) in again {
            if let (Some(cut), Some(item)) = (settings.price_cut(watermark), held.items.get_mut(&id)) {
                item.forget_points(cut);
            }
        }
        if let Some(cut) = settings.sales_cut(watermark) {
            held.forget(cut);
        }
    };
    per_epoch(of_items, watermarks, by_item, "prices", step).0.as_collection()
}
