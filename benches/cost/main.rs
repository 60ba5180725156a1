//! What do the tables of `scripts/bench` cost without an engine? One thread reads the same files from their beginning
//! to their end and computes the same rows with hash maps and sorted vectors: nothing is taken back, nothing is
//! forgotten, nothing is kept for a restart. This is the measure known as COST (McSherry, Isard, Murray: "Scalability!
//! But at what COST?", HotOS 2015): what `deltamart` takes beyond it buys corrections, expiry and durability.
//!
//! `DELTAMART_EVENTS` and `DELTAMART_CATALOG` name the files. `DELTAMART_WAREHOUSE` names a SQLite file that a run over
//! them wrote: then each row is compared with it, and a difference ends the program with code 1.

mod compare;
mod read;
mod sales;
mod sessions;
mod windows;

use read::{Event, Kind};
use sales::Sales;
use sessions::Sessions;
use std::time::Instant;
use windows::Windows;

/// The defaults of the configuration, in milliseconds.
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const LATENESS_MS: i64 = 2 * DAY_MS;

/// The six tables of a run, each in the order of its key.
struct Tables {
    registrations: Vec<windows::Row>,
    checkouts: Vec<windows::Row>,
    minutes: Vec<sessions::Minute>,
    open: Vec<sessions::Open>,
    lines: Vec<sales::Line>,
    totals: Vec<sales::Total>,
}

impl Tables {
    fn rows(&self) -> usize {
        let Tables { registrations, checkouts, minutes, open, lines, totals } = self;
        registrations.len() + checkouts.len() + minutes.len() + open.len() + lines.len() + totals.len()
    }
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

fn compute(events: &[u8], catalog: &[u8]) -> Tables {
    let (mut registrations, mut checkouts) = (Windows::default(), Windows::default());
    let (mut sessions, mut sales) = (Sessions::default(), Sales::new(read::prices(catalog)));
    let mut judge = Judge::default();
    for Event { at, kind, user, item, cart } in read::events(events) {
        if judge.is_late(at) {
            continue;
        }
        match kind {
            Kind::Registration => registrations.add(at, user),
            Kind::SignIn => sessions.add(user, at, true),
            Kind::SignOut => sessions.add(user, at, false),
            Kind::View => {}
            Kind::Add => sales.add(cart, at, item),
            Kind::Checkout => {
                checkouts.add(at, user);
                sales.check_out(cart, at, user);
            }
        }
    }
    // All is read: there is nothing to be witnessed any more.
    let watermark = judge.largest;
    let final_until = watermark - LATENESS_MS;
    let (minutes, open) = sessions.rows(watermark);
    let (lines, totals) = sales.rows();
    Tables {
        registrations: registrations.rows(final_until),
        checkouts: checkouts.rows(final_until),
        minutes,
        open,
        lines,
        totals,
    }
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
    let tables = compute(&events, &catalog);
    eprintln!("{} rows in {:.2} s", tables.rows(), began.elapsed().as_secs_f64());
    if let Some(warehouse) = std::env::var_os("DELTAMART_WAREHOUSE") {
        let differing = compare::with(&tables, warehouse.as_ref());
        if differing > 0 {
            eprintln!("{differing} rows are not those of the warehouse");
            std::process::exit(1);
        }
        eprintln!("each is that of the warehouse");
    }
}
