//! What do the tables of `scripts/bench` cost without an engine? One thread reads the same files from their beginning
//! to their end and computes the same rows with hash maps and sorted vectors: nothing is taken back, nothing is
//! forgotten, nothing is kept for a restart. This is the measure known as COST (McSherry, Isard, Murray: "Scalability!
//! But at what COST?", HotOS 2015): what `deltamart` takes beyond it buys corrections, expiry and durability.
//!
//! `DELTAMART_EVENTS` and `DELTAMART_CATALOG` name the files. With `COST_TABLES=all` it computes all upsert tables but the
//! catalog's own, else those of windows, sessions and sales. `DELTAMART_WAREHOUSE` names a SQLite file that a run over them wrote:
//! then each row is compared with it, and a difference ends the program with code 1. With `COST_WRITE` too, which names a new
//! file, it writes the rows into one of the same tables, and says what that took: SQLite's own cost of these rows.

mod compare;
mod read;
mod rows;
mod sales;
mod segments;
mod sessions;
mod statistics;
mod users;
mod windows;
mod write;

use read::{Event, Kind};
use sales::{CHECKOUT, Sales, Step};
use sessions::Sessions;
use statistics::Statistics;
use std::cell::RefCell;
use std::time::Instant;
use users::Users;
use windows::Windows;

/// The defaults of the configuration, in milliseconds.
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const LATENESS_MS: i64 = 2 * DAY_MS;

/// The tables of a run, each in the order of its key.
struct Tables<'a> {
    registrations: Vec<windows::Row>,
    checkouts: Vec<windows::Row>,
    minutes: Vec<sessions::Minute>,
    open: Vec<sessions::Open>,
    lines: Vec<sales::Line>,
    totals: Vec<sales::Total>,
    others: Option<Others<'a>>,
}

/// Those that are computed if all are asked for.
struct Others<'a> {
    movies: Vec<(u32, statistics::Movie)>,
    active: Vec<(u32, users::Activity)>,
    segments: Vec<(u32, &'static str, i64)>,
    registered: Vec<(u32, users::Registered<'a>)>,
}

/// Which events are in time: none that is older than the lateness before the largest event time so far. One record
/// alone moves that by a day at most.
#[derive(Default)]
struct Judge {
    largest: i64,
    second: i64,
}

impl Judge {
    fn watermark(&self) -> i64 {
        self.largest.min(self.second + DAY_MS)
    }

    fn is_late(&mut self, at: i64) -> bool {
        let late = at < self.watermark() - LATENESS_MS;
        if at > self.largest {
            (self.largest, self.second) = (at, self.largest);
        } else if at > self.second {
            self.second = at;
        }
        late
    }
}

/// What the tables of windows, sessions and sales are made from.
struct Seen {
    registrations: Windows,
    checkouts: Windows,
    sessions: Sessions,
    sales: Sales,
}

impl Seen {
    fn new(catalog: &[u8]) -> Seen {
        let (registrations, checkouts) = (Windows::default(), Windows::default());
        Seen { registrations, checkouts, sessions: Sessions::default(), sales: Sales::new(read::prices(catalog)) }
    }

    fn take(&mut self, Event { at, kind, user, item, cart }: Event<'_>) {
        match kind {
            Kind::Registration(_) => self.registrations.add(at, user),
            Kind::SignIn => self.sessions.add(user, at, true),
            Kind::SignOut => self.sessions.add(user, at, false),
            Kind::View => {}
            Kind::Add => self.sales.add(cart, at, item, user),
            Kind::Checkout => {
                self.checkouts.add(at, user);
                self.sales.add(cart, at, CHECKOUT, user);
            }
        }
    }

    /// `opened` hears of the user of each session, `sold` of each cart's steps and its first checkout. All is read: there is
    /// nothing to be witnessed any more.
    fn rows<'a>(self, watermark: i64, opened: impl FnMut(u32), sold: impl FnMut(&[Step], Option<Step>)) -> Tables<'a> {
        let final_until = watermark - LATENESS_MS;
        let (minutes, open) = self.sessions.rows(watermark, opened);
        let (lines, totals) = self.sales.rows(sold);
        let (registrations, checkouts) = (self.registrations.rows(final_until), self.checkouts.rows(final_until));
        Tables { registrations, checkouts, minutes, open, lines, totals, others: None }
    }
}

/// Windows, sessions and sales.
fn some<'a>(events: &'a [u8], catalog: &[u8]) -> Tables<'a> {
    let (mut seen, mut judge) = (Seen::new(catalog), Judge::default());
    for event in read::events(events) {
        if !judge.is_late(event.at) {
            seen.take(event);
        }
    }
    seen.rows(judge.largest, |_| {}, |_, _| {})
}

/// All upsert tables but the catalog's own.
fn all<'a>(events: &'a [u8], catalog: &[u8]) -> Tables<'a> {
    let (mut seen, mut judge) = (Seen::new(catalog), Judge::default());
    // Sessions and carts are told of one after the other.
    let (users, mut statistics) = (RefCell::new(Users::default()), Statistics::default());
    for event in read::events(events) {
        let Event { at, kind, user, item, .. } = event;
        let users = &mut *users.borrow_mut();
        let is_late = judge.is_late(at);
        if let Kind::Registration(person) = kind {
            users.register(user, at, person);
        }
        if is_late {
            continue;
        }
        let of = users.of(user);
        of.seen.event(at, matches!(kind, Kind::View));
        match kind {
            Kind::Registration(_) => of.seen.registration(at),
            Kind::View => {
                of.views += 1;
                statistics.of(item).views += 1;
            }
            Kind::SignIn | Kind::SignOut | Kind::Add | Kind::Checkout => {}
        }
        seen.take(event);
    }
    let watermark = judge.largest;
    let opened = |user| users.borrow_mut().of(user).sessions += 1;
    let mut tables = seen.rows(watermark, opened, |part, sold| {
        let users = &mut *users.borrow_mut();
        // Those that are said twice stand beside each other.
        for add in part.chunk_by(|one, other| one == other).map(|same| same[0]).filter(|step| step.item != CHECKOUT) {
            users.of(add.user).adds += 1;
            statistics.of(add.item).adds += 1;
        }
        if let Some(sold) = sold {
            users.of(sold.user).checkouts += 1;
        }
        segments::abandoned(part, sold, |user, from, until| users.of(user).seen.abandoned(from, until));
    });
    let mut users = users.into_inner();
    for line in &tables.lines {
        let (of, cents) = (users.of(line.user), line.cents.unwrap_or(0));
        of.units += 1;
        of.cents += cents;
        of.seen.bought(line.sold_at, cents);
        let movie = statistics.of(line.item);
        movie.units += 1;
        movie.cents += cents;
    }
    let segments = users.active.iter();
    let segments = segments.filter_map(|(user, of)| of.seen.segment(watermark).map(|(is, since)| (*user, is, since)));
    tables.others = Some(Others {
        segments: in_order(segments, |row| row.0),
        movies: in_order(statistics.movies, |row| row.0),
        active: in_order(users.active, |row| row.0),
        registered: in_order(users.registered, |row| row.0),
    });
    tables
}

fn in_order<T>(rows: impl IntoIterator<Item = T>, key: fn(&T) -> u32) -> Vec<T> {
    let mut rows: Vec<T> = rows.into_iter().collect();
    rows.sort_unstable_by_key(key);
    rows
}

fn file_of(variable: &str) -> Vec<u8> {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no file: see scripts/bench"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("could not read {}: {error}", path.display()))
}

fn main() {
    // `cargo bench` hands over flags for a harness; so does `cargo test --benches`, which wants nothing computed.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let began = Instant::now();
    let (events, catalog) = (file_of("DELTAMART_EVENTS"), file_of("DELTAMART_CATALOG"));
    let compute = if std::env::var_os("COST_TABLES").is_some_and(|tables| tables == "all") { all } else { some };
    let tables = rows::of(compute(&events, &catalog));
    let rows: usize = tables.iter().map(|table| table.rows).sum();
    eprintln!("{rows} rows in {:.2} s", began.elapsed().as_secs_f64());
    let Some(warehouse) = std::env::var_os("DELTAMART_WAREHOUSE") else { return };
    if let Some(file) = std::env::var_os("COST_WRITE") {
        write::into(tables, warehouse.as_ref(), file.as_ref());
        return;
    }
    let differing = compare::with(tables, warehouse.as_ref());
    if differing > 0 {
        eprintln!("{differing} rows are not those of the warehouse");
        std::process::exit(1);
    }
    eprintln!("each is that of the warehouse");
}
