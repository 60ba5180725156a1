//! The tables of events alone: a hash map each.

use crate::read::{Event, Kind};
use crate::{DAY_MS, HOUR_MS, MINUTE_MS};
use hashbrown::{HashMap, HashSet};

/// What was sold of something.
#[derive(Default)]
pub struct Sold {
    pub revenue: i64,
    pub units: u64,
    pub refunds: u64,
    pub refunded: i64,
}

impl Sold {
    fn add(&mut self, event: &Event) {
        self.revenue += event.cents;
        if event.cents >= 0 {
            self.units += 1;
        } else {
            self.refunds += 1;
            self.refunded -= event.cents;
        }
    }
}

/// The same, and to whom.
#[derive(Default)]
pub struct SoldTo {
    pub sold: Sold,
    pub buyers: HashSet<u64>,
}

impl SoldTo {
    fn add(&mut self, event: &Event) {
        self.sold.add(event);
        if event.cents >= 0 {
            self.buyers.insert(event.user);
        }
    }
}

/// What was done.
#[derive(Default)]
pub struct Done {
    pub views: u64,
    pub carts: u64,
    pub purchases: u64,
    pub revenue: i64,
}

impl Done {
    fn add(&mut self, event: &Event) {
        match event.kind {
            Kind::View => self.views += 1,
            Kind::Cart => self.carts += 1,
            Kind::Remove => {}
            Kind::Purchase => {
                self.purchases += u64::from(event.cents >= 0);
                self.revenue += event.cents;
            }
        }
    }
}

/// What a customer is worth.
#[derive(Default)]
pub struct Worth {
    pub sold: Sold,
    pub orders: HashSet<u128>,
    pub months: HashSet<i64>,
    pub first: Option<i64>,
    pub last: Option<i64>,
}

#[derive(Default)]
pub struct Metrics {
    pub product_sales: HashMap<(u64, i64), Sold>,
    pub by_category: HashMap<(i64, u32), SoldTo>,
    pub by_brand: HashMap<(i64, u32), SoldTo>,
    pub by_day: HashMap<i64, SoldTo>,
    pub customer_days: HashMap<(u64, i64), Done>,
    pub customers: HashMap<u64, Worth>,
    pub hours: HashMap<i64, (Done, HashSet<u64>)>,
}

impl Metrics {
    pub fn add(&mut self, event: &Event) {
        let day = event.at.div_euclid(DAY_MS);
        self.customer_days.entry((event.user, day)).or_default().add(event);
        if event.kind != Kind::Purchase {
            return;
        }
        let window = event.at.div_euclid(5 * MINUTE_MS);
        self.product_sales.entry((event.product, window)).or_default().add(event);
        self.by_category.entry((day, event.category)).or_default().add(event);
        self.by_brand.entry((day, event.brand)).or_default().add(event);
        self.by_day.entry(day).or_default().add(event);
        let worth = self.customers.entry(event.user).or_default();
        worth.sold.add(event);
        worth.months.insert(month(day));
        if event.cents >= 0 {
            worth.orders.insert(event.session);
            worth.first = Some(worth.first.map_or(event.at, |first| first.min(event.at)));
            worth.last = worth.last.max(Some(event.at));
        }
    }

    pub fn add_hour(&mut self, event: &Event) {
        let (done, customers) = self.hours.entry(event.at.div_euclid(HOUR_MS)).or_default();
        done.add(event);
        customers.insert(event.user);
    }

    pub fn rows(&self) -> usize {
        let Metrics { product_sales, by_category, by_brand, by_day, customer_days, customers, hours } = self;
        let of_purchases = product_sales.len() + by_category.len() + by_brand.len() + by_day.len() + customers.len();
        of_purchases + customer_days.len() + hours.len()
    }
}

/// Which month a day is in, in months since some January, by Howard Hinnant.
fn month(day: i64) -> i64 {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months since March of the year.
    (era * 400 + year) * 12 + (5 * of_year + 2) / 153
}
