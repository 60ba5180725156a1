//! What a declared family and its metrics are, typed. Nothing in here can be wrong: files are judged outside, and what
//! does not fit is no plan.
//!
//! **No expression fails.** What has no value (an overflow, a division by 0) is null, and its type says that it may be.
//! Numbers are integers of a scale; there are no floats.

use crate::time::{DAY_MS, Instant};
use serde::{Deserialize, Serialize};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// True or false.
    Boolean,
    /// A 64-bit number with so many decimals: 0 for an integer, 2 for money, 3 for a decimal.
    Number(u8),
    /// Milliseconds since 1970.
    Instant,
    /// Text, ordered by its bytes.
    Text,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Literal {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// In units of the type's scale: cents of money.
    Number(i64),
    /// Milliseconds since 1970.
    Instant(i64),
    /// Text.
    Text(String),
}

/// An expression with the type of its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// What its value is.
    pub ty: Type,
    /// Whether it may have none.
    pub nullable: bool,
}

/// What an expression is. Of events, `Column` is a column of the family. Of a group, `Key` and `Slot` are its keys and
/// what was aggregated; `IsFinal` is only there.
///
/// Both sides of an operator have one type, of one scale: what differs in a text of SQL was made equal by `Scaled`.
/// Logic has three values; what is compared with null is null.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Node {
    /// A value.
    Literal(Literal),
    /// A column of the family, by its place.
    Column(usize),
    /// A key of the group, by its place.
    Key(usize),
    /// What was aggregated, by its place among all values that the metric's aggregates give.
    Slot(usize),
    /// No accepted event can change the row.
    IsFinal,
    /// Its number in a larger scale: times 10 to this power.
    Scaled(Box<Expr>, u8),
    /// The number below zero.
    Minus(Box<Expr>),
    /// Two numbers. Of `Times` the scales add up.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// Both texts.
    Concat(Box<Expr>, Box<Expr>),
    /// Whether one is so to the other.
    Compare(Compare, Box<Expr>, Box<Expr>),
    /// Whether they differ; null is equal to null. Never null.
    IsDistinct(Box<Expr>, Box<Expr>),
    /// All of them.
    And(Vec<Expr>),
    /// Any of them.
    Or(Vec<Expr>),
    /// The opposite.
    Not(Box<Expr>),
    /// Whether there is no value. Never null.
    IsNull(Box<Expr>),
    /// Whether it is one of these values, none of which is null.
    In(Box<Expr>, Vec<Literal>),
    /// Whether a text is like a pattern: `%` is any text, `_` any letter; case counts.
    Like(Box<Expr>, String),
    /// The value behind the first condition that is true, or the last.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    /// The first that has a value.
    Coalesce(Vec<Expr>),
    /// Nothing if it is equal to the second.
    NullIf(Box<Expr>, Box<Expr>),
    /// Without its sign.
    Abs(Box<Expr>),
    /// The letters of a text from one on, counted from 1; so many, or all.
    Substr(Box<Expr>, u32, Option<u32>),
    /// How many letters a text has.
    Length(Box<Expr>),
    /// The first by the second, rounded once to this scale, half away from zero.
    RoundedQuotient(Box<Expr>, Box<Expr>, u8),
    /// The start of the window that an instant is in.
    Floor(Window, Box<Expr>),
    /// An instant so many milliseconds later.
    Later(Box<Expr>, i64),
    /// How many boundaries of units of so many milliseconds lie from the first instant to the second.
    Boundaries(i64, Box<Expr>, Box<Expr>),
    /// Only as the last key of a metric of events, of their time: the first instant of the session that an event is in.
    /// Events of one group are in one session if fewer than so many milliseconds lie between each and the next. Of an event
    /// alone it is its time.
    Session(i64, Box<Expr>),
}

/// What is done with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Arithmetic {
    /// Added.
    Plus,
    /// Taken off.
    Minus,
    /// Multiplied.
    Times,
    /// What is left when one is divided by the other, with the sign of the first.
    Remainder,
}

/// How two values of a type are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Which windows time is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Window {
    /// So many milliseconds, which divide a day, from midnight UTC.
    Width(i64),
    /// From Monday.
    Week,
    /// From the first of a month.
    Month,
}

/// What is aggregated of the events of a group. The values that it gives are one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Aggregate {
    /// What.
    pub what: What,
    /// Of which events: of those for which this is true.
    pub filter: Option<Expr>,
}

/// What is aggregated. Null takes no part in any of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum What {
    /// How many events, or how many that have a value.
    Count(Option<Expr>),
    /// Their sum, in the scale of the values; null of no values, and beyond 64 bits.
    Sum(Expr),
    /// The least.
    Min(Expr),
    /// The greatest.
    Max(Expr),
    /// How many different ones.
    CountDistinct(Expr),
    /// What the event with the least (or the greatest) instant has; of equal instants the least (greatest) values, compared
    /// in their order. An event of which the instant or any of the values is null takes no part.
    At(Edge, Expr, Vec<Expr>),
    /// How many of the conditions were true one after the other: the first at some instant, the second then or later, and
    /// so on. One event may be several steps.
    Funnel(Expr, Vec<Expr>),
}

/// Which of the events in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Edge {
    /// The first: `min_by`.
    First,
    /// The last: `max_by`.
    Last,
}

impl What {
    /// How many values it gives.
    pub fn slots(&self) -> usize {
        match self {
            What::Count(_)
            | What::Sum(_)
            | What::Min(_)
            | What::Max(_)
            | What::CountDistinct(_)
            | What::Funnel(_, _) => 1,
            What::At(_, _, values) => values.len(),
        }
    }
}

/// A column of a metric's table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// What it means; no part of what is computed.
    pub doc: String,
    /// Its value, of a group.
    pub value: Expr,
}

/// What a metric asks of an event beyond its columns. The answer is true or false, and stands behind the columns of the
/// family: the first one's at the place that the next column would have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// Whether there is another event, or itself.
    Exists(Exists),
    /// Whether the watermark is so many milliseconds after the event, or more.
    HasPassed(i64),
}

/// Which event is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exists {
    /// What must be equal: of the event that asks, and of the one that answers. Null is equal to nothing.
    pub equal: Vec<(Expr, Expr)>,
    /// Which events answer: those for which this is true.
    pub filter: Option<Expr>,
    /// An event that answers is so many milliseconds after the one that asks, or more; of a number below zero, before it.
    pub from_ms: i64,
    /// And fewer than so many.
    pub until_ms: i64,
}

impl Ask {
    /// How long after an event its answer may change.
    pub fn ahead_ms(&self) -> i64 {
        match self {
            Ask::Exists(Exists { until_ms, .. }) => (*until_ms).max(0),
            Ask::HasPassed(ms) => (*ms).max(0),
        }
    }

    /// How long before an event there may be something that decides its answer.
    pub fn before_ms(&self) -> i64 {
        match self {
            Ask::Exists(Exists { from_ms, .. }) => (-from_ms).max(0),
            Ask::HasPassed(_) => 0,
        }
    }
}

/// What a metric is computed of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Source {
    /// The events of its family.
    #[default]
    Events,
    /// The rows of another metric, which is computed of events: a column is an output of that.
    Rows(Box<Metric>),
}

/// A metric: one row a group of events, or of rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Metric {
    /// The name of its table.
    pub name: String,
    /// What a row is; no part of what is computed.
    pub doc: String,
    /// Of which events: of those for which this is true.
    pub filter: Option<Expr>,
    /// What an event's group is. None of them is ever null.
    pub keys: Vec<Expr>,
    /// Which keys are windows of the family's time, exactly: the group leaves when the first of them has ended. Without
    /// any it stays forever.
    pub leaves: Vec<(usize, Window)>,
    /// What is aggregated.
    pub aggregates: Vec<Aggregate>,
    /// Which groups have a row: those for which this is true.
    pub having: Option<Expr>,
    /// The columns of its table; the first ones are the keys, in their order.
    pub outputs: Vec<Output>,
    /// What it is computed of. (What is written of a plan has it apart.)
    #[serde(skip)]
    pub of: Source,
    /// What it asks of events, if it is computed of them. (The same.)
    #[serde(skip)]
    pub asks: Vec<Ask>,
}

/// A column of a family's events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// What it holds.
    pub ty: Type,
    /// Whether it may hold nothing.
    pub nullable: bool,
    /// Whether it says something of its person that goes when the person is forgotten. No metric reads it.
    pub is_personal: bool,
}

/// When an event counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Once {
    /// Events that are equal in these columns count once. The family's time is one of them.
    pub of: Vec<usize>,
}

/// A family of declared events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Family {
    /// What it is called, which is the name of its raw table.
    pub name: String,
    /// What a row of its raw table is.
    pub doc: String,
    /// What its events hold.
    pub columns: Vec<Column>,
    /// Which column is the time of an event: an instant, never null.
    pub time: usize,
    /// Which column says whom an event is of, if any does: a number of scale 0, or a text.
    pub person: Option<usize>,
    /// Whether events that are repeated count once.
    pub once: Option<Once>,
    /// What is computed of them.
    pub metrics: Vec<Metric>,
}

impl Metric {
    /// The metric whose rows it is computed of, if it is.
    pub fn inner(&self) -> Option<&Metric> {
        match &self.of {
            Source::Events => None,
            Source::Rows(inner) => Some(inner),
        }
    }

    /// Whether what it is computed of comes and goes: rows do, and events whose answers change.
    pub fn takes_changes(&self) -> bool {
        self.inner().is_some() || !self.asks.is_empty()
    }

    /// How long after an event an answer of it may change.
    pub fn ahead_ms(&self) -> i64 {
        self.asks.iter().map(Ask::ahead_ms).max().unwrap_or(0)
    }

    /// How long before an event there may be something that it asks for.
    pub fn before_ms(&self) -> i64 {
        self.asks.iter().map(Ask::before_ms).max().unwrap_or(0)
    }

    /// The output that says whom the events of a row are of; `person` is the column of events that says it.
    pub fn person_of_rows(&self, person: Option<usize>) -> Option<usize> {
        let is_person = |expr: &Expr| matches!(expr.node, Node::Column(place) if Some(place) == person);
        self.outputs.iter().position(|output| {
            let Node::Key(place) = output.value.node else { return false };
            self.keys.get(place).is_some_and(is_person)
        })
    }

    /// The outputs that say when the first event of a row can have been: windows and sessions of the time.
    pub fn times(&self) -> Vec<usize> {
        let says_when = |output: &Output| {
            let Node::Key(place) = output.value.node else { return false };
            let is_session = matches!(self.keys.get(place), Some(key) if matches!(key.node, Node::Session(..)));
            is_session || self.leaves.iter().any(|(window, _)| *window == place)
        };
        self.outputs.iter().enumerate().filter(|(_, output)| says_when(output)).map(|(place, _)| place).collect()
    }

    /// Which events are in one session, if its last key is one: those with fewer than so many milliseconds in between.
    pub fn session(&self) -> Option<i64> {
        if let Node::Session(gap_ms, _) = self.keys.last()?.node { Some(gap_ms) } else { None }
    }

    /// The aggregates, and behind them what is kept of each group for its own sake: of a session when its last event was, of rows how
    /// many there are.
    pub fn kept(&self) -> Vec<Aggregate> {
        let last = self.keys.last().and_then(|key| {
            let Node::Session(_, at) = &key.node else { return None };
            Some(Aggregate { what: What::Max((**at).clone()), filter: None })
        });
        // Of what comes and goes, how much there is.
        let count = self.takes_changes().then_some(Aggregate { what: What::Count(None), filter: None });
        self.aggregates.iter().cloned().chain(last).chain(count).collect()
    }
}

impl Window {
    /// The start of the window that an instant is in.
    pub fn floor(self, at: Instant) -> Instant {
        match self {
            Window::Width(width) => at - at.rem_euclid(width),
            // 1970 began on a Thursday.
            Window::Week => at - (at + 3 * DAY_MS).rem_euclid(7 * DAY_MS),
            Window::Month => months::start(at),
        }
    }

    /// The end of the window that begins at `start`: the start of the next.
    pub fn end(self, start: Instant) -> Instant {
        match self {
            Window::Width(width) => start + width,
            Window::Week => start + 7 * DAY_MS,
            // No month is longer, and none is shorter than 28 days.
            Window::Month => months::start(start + 31 * DAY_MS),
        }
    }
}

mod months {
    use crate::time::{DAY_MS, Instant};
    use chrono::{DateTime, Datelike};

    /// The first instant of the month that an instant is in.
    pub(super) fn start(at: Instant) -> Instant {
        let day_of_month = DateTime::from_timestamp_millis(at).map_or(1, |at| at.day());
        at - at.rem_euclid(DAY_MS) - i64::from(day_of_month - 1) * DAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::instant::parse;

    fn at(text: &str) -> Instant {
        parse(text).expect("an instant")
    }

    #[test]
    fn an_instant_is_in_its_window() {
        for (window, within, start, end) in [
            (Window::Width(300_000), "2019-10-01T10:04:59.999Z", "2019-10-01T10:00:00Z", "2019-10-01T10:05:00Z"),
            (Window::Width(DAY_MS), "2019-10-01T10:04:59Z", "2019-10-01", "2019-10-02"),
            (Window::Week, "2019-10-06T23:59:59.999Z", "2019-09-30", "2019-10-07"),
            (Window::Week, "2019-10-07", "2019-10-07", "2019-10-14"),
            (Window::Week, "1970-01-01", "1969-12-29", "1970-01-05"),
            (Window::Month, "2020-02-29T23:59:59.999Z", "2020-02-01", "2020-03-01"),
            (Window::Month, "2019-12-31T12:00:00Z", "2019-12-01", "2020-01-01"),
            (Window::Month, "2019-01-31", "2019-01-01", "2019-02-01"),
        ] {
            let floor = window.floor(at(within));
            assert_eq!((floor, window.end(floor)), (at(start), at(end)), "{window:?} of {within}");
        }
    }
}
