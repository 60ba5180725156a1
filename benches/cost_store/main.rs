//! What do the tables of the web store cost without an engine? One thread reads the CSV of `scripts/bench-store` from its
//! beginning to its end and computes the same rows with hash maps and a sort: nothing is restated, nothing is forgotten,
//! nothing is kept for a restart, and no change is told of but the last. It knows the columns, the four kinds of events
//! and what each table asks, which `deltamart` reads from a folder of texts at start. See `benches/cost` for the shop.
//!
//! `DELTAMART_STORE` names the file. `DELTAMART_TABLES` is `six` for the tables that are of events alone and not of
//! visits, or `all`. `DELTAMART_WAREHOUSE` names a SQLite file that a run over it wrote: then the number of rows and the
//! sums of each table are compared with it, and a difference ends the program with code 1.

mod compare;
mod metrics;
mod read;
mod visits;

use metrics::Metrics;
use read::{Event, Reader};
use std::time::Instant;
use visits::{All, Visits};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// As `scripts/bench-store` sets it.
const LATENESS_MS: i64 = 2 * HOUR_MS;

/// Which events are in time: none that is older than the lateness before the largest event time so far. One record
/// alone moves that by a day at most.
#[derive(Default)]
struct Judge {
    largest: i64,
    second: i64,
}

impl Judge {
    fn is_late(&mut self, at: i64) -> bool {
        let late = at < self.largest.min(self.second + DAY_MS) - LATENESS_MS;
        if at > self.largest {
            (self.largest, self.second) = (at, self.largest);
        } else if at > self.second {
            self.second = at;
        }
        late
    }
}

fn main() {
    // `cargo bench` hands over flags for a harness; so does `cargo test --benches`, which wants nothing computed.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let began = Instant::now();
    let path = std::env::var("DELTAMART_STORE").expect("`DELTAMART_STORE` names the file: see scripts/bench-store");
    let is_all = std::env::var("DELTAMART_TABLES").is_ok_and(|tables| tables == "all");
    let mut reader = Reader::open(&path).unwrap_or_else(|error| panic!("could not read {path}: {error}"));
    let (mut metrics, mut visits, mut judge) = (Metrics::default(), Visits::default(), Judge::default());
    let mut accepted = 0;
    reader
        .events(
            |event: &Event| {
                if judge.is_late(event.at) {
                    return false;
                }
                accepted += 1;
                true
            },
            |event| {
                metrics.add(event);
                if is_all {
                    metrics.add_hour(event);
                    visits.add(event);
                }
            },
        )
        .unwrap_or_else(|error| panic!("could not read {path}: {error}"));
    // All is read: there is nothing to be witnessed any more.
    let all: Option<All> = is_all.then(|| visits.rows(judge.largest));
    let rows = metrics.rows() + all.as_ref().map_or(0, All::rows);
    eprintln!("{accepted} events in time, {rows} rows in {:.2} s", began.elapsed().as_secs_f64());
    if let Some(warehouse) = std::env::var_os("DELTAMART_WAREHOUSE") {
        let differing = compare::with(&metrics, all.as_ref(), warehouse.as_ref());
        if differing > 0 {
            eprintln!("{differing} sums are not those of the warehouse");
            std::process::exit(1);
        }
        eprintln!("the number of rows and the sums of each table are those of the warehouse");
    }
}
