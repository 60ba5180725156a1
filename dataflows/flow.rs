//! All metrics put together: events and reports in, rows out.

use crate::active_sessions::ActiveSession;
use crate::events::Arrival;
use crate::movie_sales_metrics::SalesRow;
use crate::movie_statistics::StatisticsRow;
use crate::movies_catalog::{MovieRow, movies_catalog};
use crate::operators::minutes::Minute;
use crate::operators::{LateEvent, Mark, Pace, PricedLine, Report, Split, Watermarks, late_split, sessions, watermark};
use crate::raw::Append;
use crate::state::{Ledger, State};
use crate::table::{TableId, Value};
use crate::time::{Instant, Settings};
use crate::user_activity::ActivityRow;
use crate::user_segments::SegmentRow;
use crate::users::UserRow;
use crate::users_per_window::WindowRow;
use crate::{
    Collection, Stream, active_sessions, checkouts, movie_sale_lines, movie_sales_metrics, movie_statistics,
    registrations, session_metrics, user_activity, user_segments, users,
};
use differential_dataflow::Hashable;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

/// A row of whichever upsert table. The order puts the key first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Row {
    /// `user_registration_metrics`
    Registrations(WindowRow),
    /// `checkout_metrics`
    Checkouts(WindowRow),
    /// `session_metrics`
    Minute(Minute),
    /// `active_sessions`
    ActiveSession(ActiveSession),
    /// `movie_sale_lines`
    SaleLine(PricedLine),
    /// `movie_sales_metrics`
    Sales(SalesRow),
    /// `movie_statistics`
    Statistics(StatisticsRow),
    /// `user_activity`
    Activity(ActivityRow),
    /// `user_segments`
    Segment(SegmentRow),
    /// `users`
    User(UserRow),
    /// `movies_catalog`
    Movie(MovieRow),
}

impl Row {
    /// Whose row it is.
    pub fn table(&self) -> TableId {
        match self {
            Row::Registrations(_) => TableId::UserRegistrationMetrics,
            Row::Checkouts(_) => TableId::CheckoutMetrics,
            Row::Minute(_) => TableId::SessionMetrics,
            Row::ActiveSession(_) => TableId::ActiveSessions,
            Row::SaleLine(_) => TableId::MovieSaleLines,
            Row::Sales(_) => TableId::MovieSalesMetrics,
            Row::Statistics(_) => TableId::MovieStatistics,
            Row::Activity(_) => TableId::UserActivity,
            Row::Segment(_) => TableId::UserSegments,
            Row::User(_) => TableId::Users,
            Row::Movie(_) => TableId::MoviesCatalog,
        }
    }

    /// Its values, in the order of the table's columns.
    pub fn values(&self) -> Vec<Value> {
        match self {
            Row::Registrations(row) | Row::Checkouts(row) => row.values(),
            Row::Minute(row) => row.values(),
            Row::ActiveSession(row) => row.values(),
            Row::SaleLine(row) => row.values(),
            Row::Sales(row) => row.values(),
            Row::Statistics(row) => row.values(),
            Row::Activity(row) => row.values(),
            Row::Segment(row) => row.values(),
            Row::User(row) => row.values(),
            Row::Movie(row) => row.values(),
        }
    }

    /// A hash of table and key: rows of one key meet at one worker.
    pub fn key_hash(&self) -> u64 {
        let key = match self {
            Row::Registrations(row) | Row::Checkouts(row) => row.window.hashed(),
            Row::Minute(row) => row.at.hashed(),
            Row::ActiveSession(row) => row.user_id.hashed(),
            Row::SaleLine(row) => row.line.cart.hashed(),
            Row::Sales(row) => row.movie_id.hashed(),
            Row::Statistics(row) => row.movie_id.hashed(),
            Row::Activity(row) => row.user_id.hashed(),
            Row::Segment(row) => row.user_id.hashed(),
            Row::User(row) => row.user_id.hashed(),
            Row::Movie(row) => row.item_id.hashed(),
        };
        key.wrapping_add(self.table() as u64)
    }
}

/// Every metric: its table, and the SQL that says what must be in it. A metric's SQL may read the
/// [`PIECES`] and the metrics before it, as tables of their names.
pub const METRICS: [(TableId, &str); 11] = [
    (TableId::UserRegistrationMetrics, registrations::SQL),
    (TableId::CheckoutMetrics, checkouts::SQL),
    (TableId::SessionMetrics, session_metrics::SQL),
    (TableId::ActiveSessions, active_sessions::SQL),
    (TableId::MovieSaleLines, movie_sale_lines::SQL),
    (TableId::MovieSalesMetrics, movie_sales_metrics::SQL),
    (TableId::MovieStatistics, movie_statistics::SQL),
    (TableId::UserActivity, user_activity::SQL),
    (TableId::UserSegments, user_segments::SQL),
    (TableId::Users, users::SQL),
    (TableId::MoviesCatalog, crate::movies_catalog::SQL),
];

/// What several metrics have in common: names, and the SQL that says what they are.
pub const PIECES: [(&str, &str); 4] = [
    ("sessions", session_metrics::SESSIONS_SQL),
    ("cart_parts", movie_sale_lines::CART_PARTS_SQL),
    ("sold_carts", movie_sale_lines::SOLD_CARTS_SQL),
    ("prices", movie_sale_lines::PRICES_SQL),
];

/// What goes in.
pub struct Inputs<'s> {
    /// Accepted events, each in the (even) epoch it was read in.
    pub arrivals: Stream<'s, Arrival>,
    /// What is known of the partitions at the close of each epoch.
    pub reports: Stream<'s, Report>,
    /// What each worker decoded of the sequence, if there is one and it matters.
    pub marks: Stream<'s, Mark>,
    /// State of an earlier run, at the odd epoch before the first even one.
    pub restore: Collection<'s, State>,
}

/// What comes out.
pub struct Outputs<'s> {
    /// Changes of the upsert tables, at even epochs only.
    pub rows: Collection<'s, Row>,
    /// Rows of the raw tables.
    pub raw: Stream<'s, Append>,
    /// Events that came too late.
    pub late: Stream<'s, LateEvent>,
    /// The watermark at each epoch in which it changed, on every worker.
    pub watermarks: Stream<'s, Instant>,
    /// Where it is going, at each epoch in which either changed, on every worker.
    pub targets: Stream<'s, Instant>,
    /// How far this worker's watermark has come.
    pub pace: Rc<Cell<Pace>>,
}

/// Builds the dataflow of the tables that are kept.
pub fn build<'s>(inputs: Inputs<'s>, settings: &Settings, ledger: &Ledger) -> Outputs<'s> {
    let Watermarks { watermarks, targets, pace } = watermark(inputs.reports, settings);
    let restore = || inputs.restore.clone();
    let now = || watermarks.clone();
    let split: Split<'s> = late_split(inputs.arrivals.clone(), targets.clone(), inputs.marks, settings);
    let keeps = |id| settings.tables.contains(id);
    let any = |ids: &[TableId]| ids.iter().any(|id| keeps(*id));
    use TableId::*;

    let mut rows = Vec::new();
    if keeps(UserRegistrationMetrics) {
        let registered = registrations::registrations(split.registered, restore(), now(), settings, ledger);
        rows.push(registered.map(Row::Registrations));
    }
    if keeps(CheckoutMetrics) {
        let checked_out = checkouts::checkouts(split.checked_out, restore(), now(), settings, ledger);
        rows.push(checked_out.map(Row::Checkouts));
    }
    if keeps(Users) {
        rows.push(users::users(split.registrations, restore(), ledger).map(Row::User));
    }

    // Signs to sessions, sessions to minutes and to who is in.
    let mut sessions_of_users = None;
    if any(&[SessionMetrics, ActiveSessions, UserActivity]) {
        let restored = restore().inner.flat_map(|(state, _, _)| {
            let State::Sign(user, sign) = state else { return None };
            Some((user, sign))
        });
        let (sessions, of_minutes) = sessions(split.signs.concat(restored), now(), settings, ledger);
        if keeps(SessionMetrics) {
            let minutes = session_metrics::session_metrics(of_minutes, restore(), now(), settings, ledger);
            rows.push(minutes.map(Row::Minute));
        }
        if keeps(ActiveSessions) {
            let active = active_sessions::active_sessions(sessions.clone(), now(), settings, ledger);
            rows.push(active.map(Row::ActiveSession));
        }
        sessions_of_users = Some(sessions);
    }

    // The catalog to prices, carts and prices to what was sold, and that to sums.
    let of_sales = [MovieSaleLines, MovieSalesMetrics, MovieStatistics, UserActivity, UserSegments];
    if keeps(MoviesCatalog) || any(&of_sales) {
        let (movies, prices) = movies_catalog(split.catalog, restore(), now(), settings, ledger);
        if keeps(MoviesCatalog) {
            rows.push(movies.map(Row::Movie));
        }
        if any(&of_sales) {
            let sources = movie_sale_lines::Sources { carts: split.carts, purchases: split.purchases, prices };
            let wants_facts = any(&[MovieStatistics, UserActivity, UserSegments]);
            let (lines, facts) = movie_sale_lines::sale_lines(sources, restore(), now(), settings, ledger, wants_facts);
            if keeps(MovieSalesMetrics) {
                let sales = movie_sales_metrics::sales(lines.clone(), restore(), now(), settings, ledger);
                rows.push(sales.map(Row::Sales));
            }
            if keeps(MovieStatistics) {
                let (facts, lines) = (facts.clone(), lines.clone());
                let sources = movie_statistics::Sources { views: split.views, facts, lines, ratings: split.ratings };
                let statistics = movie_statistics::statistics(sources, restore(), now(), settings, ledger);
                rows.push(statistics.map(Row::Statistics));
            }
            if keeps(UserSegments) {
                let (deeds, facts) = (split.deeds.clone(), facts.clone());
                let sources = user_segments::Sources { deeds, facts, lines: lines.clone() };
                let segments = user_segments::user_segments(sources, restore(), now(), settings, ledger);
                rows.push(segments.map(Row::Segment));
            }
            if let Some(sessions) = sessions_of_users.filter(|_| keeps(UserActivity)) {
                let sources = user_activity::Sources { deeds: split.deeds, facts, lines: lines.clone(), sessions };
                let activity = user_activity::activity(sources, restore(), now(), settings, ledger);
                rows.push(activity.map(Row::Activity));
            }
            if keeps(MovieSaleLines) {
                rows.push(lines.map(Row::SaleLine));
            }
        }
    }
    let none =
        differential_dataflow::AsCollection::as_collection(timely::dataflow::operators::vec::ToStream::to_stream(
            None::<(Row, crate::Time, isize)>,
            inputs.arrivals.scope(),
        ));
    let rows = none.concatenate(rows).filter(|row| !row.is_nobodys());
    Outputs { rows, raw: split.raw, late: split.late, watermarks, targets, pace }
}
