//! Sales: what was in a cart when it was checked out, at the catalog's price.

use crate::DAY_MS;
use hashbrown::HashMap;

const CART_TTL_MS: i64 = 30 * DAY_MS;

/// A row of `movie_sale_lines`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub cart: u128,
    pub item: u32,
    pub added_at: i64,
    pub user: u32,
    pub sold_at: i64,
    pub cents: Option<i64>,
}

/// A row of `movie_sales_metrics`.
pub struct Total {
    pub item: u32,
    pub window_type: &'static str,
    pub start: i64,
    pub cents: i64,
    pub units: i64,
    pub unpriced: i64,
}

/// What happened to a cart: an item was added, or, where `item` is `CHECKOUT`, it was checked out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub at: i64,
    pub item: u32,
    pub user: u32,
}

/// No item has this number, and it is the greatest: of one instant, adds come before the checkout.
pub const CHECKOUT: u32 = u32::MAX;

/// What happened to each cart.
pub struct Sales {
    prices: HashMap<u32, i64>,
    carts: HashMap<u128, Vec<Step>>,
}

impl Sales {
    /// Prices in cents, by item. The catalog takes effect before the first event.
    pub fn new(prices: HashMap<u32, i64>) -> Sales {
        Sales { prices, carts: HashMap::new() }
    }

    /// An item is added, or `CHECKOUT`.
    pub fn add(&mut self, cart: u128, at: i64, item: u32, user: u32) {
        self.carts.entry(cart).or_default().push(Step { at, item, user });
    }

    /// `each` hears of each cart's steps, in order, and of its first checkout.
    pub fn rows(self, mut each: impl FnMut(&[Step], Option<Step>)) -> (Vec<Line>, Vec<Total>) {
        let Sales { prices, carts } = self;
        let mut lines = Vec::new();
        for (cart, mut steps) in carts {
            steps.sort_unstable();
            // A cart that was silent for so long is another one.
            for part in steps.chunk_by(|before, after| after.at - before.at < CART_TTL_MS) {
                let sold = part.iter().find(|step| step.item == CHECKOUT).copied();
                each(part, sold);
                let Some(Step { at: sold_at, user, .. }) = sold else { continue };
                for &Step { at: added_at, item, .. } in part.iter().take_while(|step| step.at <= sold_at) {
                    if item != CHECKOUT {
                        lines.push(Line { cart, item, added_at, user, sold_at, cents: prices.get(&item).copied() });
                    }
                }
            }
        }
        lines.sort_unstable();
        lines.dedup();
        let totals = totals(&lines);
        (lines, totals)
    }
}

fn totals(lines: &[Line]) -> Vec<Total> {
    let mut sums = HashMap::<(u32, &'static str, i64), (i64, i64, i64)>::new();
    for line in lines {
        let day = line.sold_at.div_euclid(DAY_MS) * DAY_MS;
        // 1970-01-01 was a Thursday, three days after a Monday.
        let week = line.sold_at - (line.sold_at + 3 * DAY_MS).rem_euclid(7 * DAY_MS);
        for (window_type, start) in [("cumulative", 0), ("daily", day), ("weekly", week)] {
            let (cents, units, unpriced) = sums.entry((line.item, window_type, start)).or_default();
            *cents += line.cents.unwrap_or(0);
            *units += 1;
            *unpriced += i64::from(line.cents.is_none());
        }
    }
    let total = |((item, window_type, start), (cents, units, unpriced))| Total {
        item,
        window_type,
        start,
        cents,
        units,
        unpriced,
    };
    let mut totals: Vec<Total> = sums.into_iter().map(total).collect();
    totals.sort_unstable_by_key(|total| (total.item, total.window_type, total.start));
    totals
}
