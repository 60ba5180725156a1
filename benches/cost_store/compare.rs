//! Whether the number of rows and the sums are those of a warehouse that `deltamart` wrote.

use crate::metrics::{Done, Metrics, Sold, SoldTo, Worth};
use crate::visits::{All, Funnel, Visit};
use crate::{DAY_MS, HOUR_MS, MINUTE_MS};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// A column of SQL, and what it sums up to.
type Sums = Vec<(&'static str, i128)>;

/// How many differ. Says which.
pub fn with(metrics: &Metrics, all: Option<&All>, warehouse: &Path) -> usize {
    let warehouse =
        Connection::open_with_flags(warehouse, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a warehouse that can be read");
    let of_events = of_events(metrics).into_iter();
    let tables = of_events.chain(all.into_iter().flat_map(|all| of_visits(metrics, all)));
    tables.map(|(table, sums)| differing(&warehouse, table, &sums)).sum()
}

fn differing(warehouse: &Connection, table: &str, sums: &Sums) -> usize {
    let mut differing = 0;
    for (column, ours) in sums {
        let statement = format!("SELECT sum({column}) FROM {table}");
        let theirs: i64 = warehouse.query_row(&statement, [], |row| row.get(0)).expect("a table of the run with rows");
        // SQLite has 64 bits: sums of ids and instants come over.
        if i128::from(theirs) != *ours {
            eprintln!("{table}: {column} is {theirs} in the warehouse and {ours} here");
            differing += 1;
        }
    }
    differing
}

fn sum<T>(rows: impl Iterator<Item = T>, of: impl Fn(T) -> i64) -> i128 {
    rows.map(|row| i128::from(of(row))).sum()
}

/// SQLite says instants in seconds.
const AT: i64 = MINUTE_MS / 60;

fn sold<'m>(rows: impl Iterator<Item = &'m Sold> + Clone) -> Sums {
    vec![
        ("1", rows.clone().count() as i128),
        ("CAST(round(revenue * 100) AS INTEGER)", sum(rows.clone(), |sold| sold.revenue)),
        ("units", sum(rows, |sold| sold.units as i64)),
    ]
}

fn sold_to<'m>(rows: impl Iterator<Item = &'m SoldTo> + Clone) -> Sums {
    let mut sums = sold(rows.clone().map(|row| &row.sold));
    sums.push(("buyers", sum(rows, |row| row.buyers.len() as i64)));
    sums
}

fn done<'m>(
    rows: impl Iterator<Item = &'m Done> + Clone,
    [views, carts, purchases, revenue]: [&'static str; 4],
) -> Sums {
    vec![
        ("1", rows.clone().count() as i128),
        (views, sum(rows.clone(), |row| row.views as i64)),
        (carts, sum(rows.clone(), |row| row.carts as i64)),
        (purchases, sum(rows.clone(), |row| row.purchases as i64)),
        (revenue, sum(rows, |row| row.revenue)),
    ]
}

fn of_events(metrics: &Metrics) -> Vec<(&'static str, Sums)> {
    let worth: Vec<&Worth> = metrics.customers.values().collect();
    let customers: Sums = vec![
        ("1", worth.len() as i128),
        ("orders", sum(worth.iter(), |worth| worth.orders.len() as i64)),
        ("CAST(round(revenue * 100) AS INTEGER)", sum(worth.iter(), |worth| worth.sold.revenue)),
        ("refunds", sum(worth.iter(), |worth| worth.sold.refunds as i64)),
        ("unixepoch(first_purchase)", sum(worth.iter(), |worth| worth.first.unwrap_or(0) / AT)),
        ("unixepoch(last_purchase)", sum(worth.iter(), |worth| worth.last.unwrap_or(0) / AT)),
        (
            "CAST(round(revenue_per_month * 100) AS INTEGER)",
            sum(worth.iter(), |worth| rounded(worth.sold.revenue, worth.months.len() as i64)),
        ),
    ];
    let by_day = sold_to(metrics.by_day.values()).into_iter().chain([
        ("refunds", sum(metrics.by_day.values(), |row| row.sold.refunds as i64)),
        ("CAST(round(refunded * 100) AS INTEGER)", sum(metrics.by_day.values(), |row| row.sold.refunded)),
    ]);
    let windows = ("unixepoch(window_start)", sum(metrics.product_sales.keys(), |(_, at)| at * 5 * MINUTE_MS / AT));
    vec![
        ("product_sales", sold(metrics.product_sales.values()).into_iter().chain([windows]).collect()),
        ("revenue_by_category", sold_to(metrics.by_category.values())),
        ("revenue_by_brand", sold_to(metrics.by_brand.values())),
        ("daily_revenue", by_day.collect()),
        (
            "customer_daily_metrics",
            done(
                metrics.customer_days.values(),
                ["page_views", "add_to_cart_count", "purchase_count", "CAST(round(total_revenue * 100) AS INTEGER)"],
            ),
        ),
        ("customer_lifetime_value", customers),
    ]
}

/// Half away from zero.
fn rounded(sum: i64, of: i64) -> i64 {
    let half = (2 * sum.abs() + of) / (2 * of);
    if sum < 0 { -half } else { half }
}

fn of_visits(metrics: &Metrics, all: &All) -> Vec<(&'static str, Sums)> {
    let columns = ["page_views", "add_to_carts", "purchases", "CAST(round(revenue * 100) AS INTEGER)"];
    let hours = done(metrics.hours.values().map(|(done, _)| done), columns).into_iter().chain([
        ("customers", sum(metrics.hours.values(), |(_, customers)| customers.len() as i64)),
        ("unixepoch(hour)", sum(metrics.hours.keys(), |hour| hour * HOUR_MS / AT)),
    ]);
    let visits = visits(all.visits.iter()).into_iter().chain([
        ("unixepoch(ended)", sum(all.visits.iter(), |visit| visit.ended / AT)),
        ("events", sum(all.visits.iter(), |visit| visit.events as i64)),
    ]);
    let abandoned = &all.abandoned;
    vec![
        ("hourly_activity", hours.collect()),
        ("visits", visits.collect()),
        ("category_visits", self::visits(all.category_visits.iter().map(|(_, visit)| visit))),
        ("daily_funnel", funnels(all.days.values())),
        ("funnel_metrics", funnels(all.category_days.values())),
        (
            "abandoned_carts",
            vec![
                ("1", abandoned.len() as i128),
                ("unixepoch(day)", sum(abandoned.iter(), |cart| cart.day * DAY_MS / AT)),
                ("product_id", sum(abandoned.iter(), |cart| cart.product as i64)),
                ("unixepoch(added_at)", sum(abandoned.iter(), |cart| cart.added_at / AT)),
                ("CAST(round(cart_price * 100) AS INTEGER)", sum(abandoned.iter(), |cart| cart.cents)),
            ],
        ),
    ]
}

fn visits<'m>(rows: impl Iterator<Item = &'m Visit> + Clone) -> Sums {
    let session = |visit: &Visit| if visit.session == 0 { 0 } else { 36 };
    vec![
        ("1", rows.clone().count() as i128),
        ("customer_id", sum(rows.clone(), |visit| visit.user as i64)),
        ("length(session_id)", sum(rows.clone(), session)),
        ("unixepoch(started)", sum(rows.clone(), |visit| visit.started / AT)),
        ("reached", sum(rows.clone(), |visit| visit.reached as i64)),
        ("carts", sum(rows.clone(), |visit| visit.carts as i64)),
        ("purchases", sum(rows, |visit| visit.purchases as i64)),
    ]
}

fn funnels<'m>(rows: impl Iterator<Item = &'m Funnel> + Clone) -> Sums {
    vec![
        ("1", rows.clone().count() as i128),
        ("visits", sum(rows.clone(), |row| row.visits as i64)),
        ("viewed", sum(rows.clone(), |row| row.viewed as i64)),
        ("carted", sum(rows.clone(), |row| row.carted as i64)),
        ("purchased", sum(rows.clone(), |row| row.purchased as i64)),
        ("purchased_without_cart", sum(rows, |row| row.without_cart as i64)),
    ]
}
