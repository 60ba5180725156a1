//! What a metric's groups are, and which rows are made of them.

use crate::broken::{Law, is_broken};
use crate::declared::aggregate::{Held, Layout};
use crate::declared::encode;
use crate::declared::eval::{Columns, Facts, asks_is_final, eval, is_true};
use crate::declared::few::Few;
use crate::declared::plan::{Expr, Metric, Node, Type, Window};
use crate::declared::row::{Bare, Datum};
use crate::declared::said::{GroupKey, keys};
use crate::declared::sessions::start;
use crate::deltas::Page;
use crate::packed;
use crate::table::Value;
use crate::time::Instant;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A metric's place among others.
pub struct Place<'m> {
    /// The metric.
    pub metric: &'m Metric,
    /// What stands for all that is computed.
    pub print: u64,
    /// Under which name its groups are counted; nothing if nobody asks.
    pub counted: Option<&'static str>,
    /// How what is aggregated lies.
    pub layout: Rc<Layout>,
    /// Its table, by its number; none if only readers of its rows want it.
    pub table: Option<u16>,
    /// Which of its outputs others read who are computed of its rows; nothing if nobody is.
    pub read_by: Option<BTreeSet<usize>>,
    /// The number of the metric whose rows it is computed of.
    pub inner: Option<usize>,
    /// Groups whose last window begins before are not whole.
    pub since: Option<Instant>,
}

/// What is made of a metric's groups.
pub struct Rows {
    /// What is computed.
    pub print: u64,
    /// Under which name its groups are counted; nothing if nobody asks.
    pub counted: Option<&'static str>,
    /// How what is aggregated lies.
    pub layout: Rc<Layout>,
    /// Whether its rows say if they are final.
    pub asks_is_final: bool,
    /// Which events are in one session, if its last key is one.
    pub session: Option<i64>,
    /// Its table, by its number.
    pub table: Option<u16>,
    /// Those who are computed of its rows, if anybody is.
    pub read_by: Option<Readers>,
    /// What its groups are computed of, if not of events.
    pub read: Option<Read>,
    keys: usize,
    leaves: Vec<(usize, Window)>,
    since: Option<Instant>,
    having: Option<Expr>,
    outputs: Vec<Expr>,
}

/// What comes and goes that another metric is computed of.
pub enum Read {
    /// Rows.
    Rows {
        /// The number of their metric.
        of: usize,
        /// Which windows of time they are of.
        windows: Vec<Window>,
        /// Which events are in one session, if they are of sessions.
        session: Option<i64>,
    },
    /// Events, with answers that may change so long after them; what decides them may lie so long before.
    Answers {
        /// In milliseconds.
        ahead_ms: i64,
        /// In milliseconds.
        before_ms: i64,
    },
}

impl Read {
    /// Once no event before a cut comes, nothing changes that is before this.
    pub fn passed(&self, cut: Instant) -> Instant {
        match self {
            Read::Rows { windows, session, .. } => {
                let windows = windows.iter().map(|window| window.floor(cut));
                windows.chain(session.map(|_| cut)).min().unwrap_or(Instant::MIN)
            }
            Read::Answers { .. } if is_broken(Law::AskedGroupsWait) => cut,
            Read::Answers { ahead_ms, .. } => cut.saturating_sub(*ahead_ms),
        }
    }

    /// How long before something that is read an event may lie that decides what it is.
    fn before_ms(&self) -> i64 {
        match self {
            Read::Rows { session, .. } => session.unwrap_or(0),
            Read::Answers { before_ms, .. } => *before_ms,
        }
    }
}

impl Rows {
    /// Of a metric.
    pub fn of(place: Place<'_>) -> Rows {
        let Place { metric, print, counted, layout, table, read_by, inner, since } = place;
        let Metric { keys, leaves, having, outputs, .. } = metric;
        let outputs: Vec<_> = outputs.iter().map(|output| output.value.clone()).collect();
        let of_rows = inner.zip(metric.inner()).map(|(of, inner)| Read::Rows {
            of,
            windows: inner.leaves.iter().map(|(_, window)| *window).collect(),
            session: inner.session(),
        });
        let answers = || Read::Answers { ahead_ms: metric.ahead_ms(), before_ms: metric.before_ms() };
        let read = of_rows.or_else(|| (!metric.asks.is_empty()).then(answers));
        Rows {
            print,
            counted,
            layout,
            keys: keys.len(),
            leaves: leaves.clone(),
            since,
            asks_is_final: outputs.iter().chain(having).any(asks_is_final),
            session: metric.session(),
            table,
            read_by: read_by.map(|read| Readers::of(&read, &outputs)),
            read,
            having: having.clone(),
            outputs,
        }
    }

    /// Up to when no event or row changes its groups any more, once no event before a cut comes; unless the rows that it
    /// reads say otherwise.
    pub fn passed(&self, cut: Instant) -> Instant {
        match &self.read {
            Some(read) if !is_broken(Law::ReadersWait) && cut > Instant::MIN => read.passed(cut),
            Some(_) | None => cut,
        }
    }

    /// Up to when none of its rows changes, of those that others read: no event before a cut comes, and of what is in memory
    /// the first session began then.
    pub fn rows_passed(&self, cut: Instant, first: Option<Instant>) -> Instant {
        if self.leaves.is_empty() && self.session.is_none() || cut == Instant::MIN {
            return Instant::MIN;
        }
        let windows = self.leaves.iter().map(|(_, window)| window.floor(cut));
        windows.chain(self.session.map(|_| cut)).chain(first).min().unwrap_or(Instant::MIN)
    }

    /// Whether a group has no end.
    pub fn stays(&self) -> bool {
        self.leaves.is_empty() && self.session.is_none()
    }

    /// Whether no row is left of which a group would be.
    pub fn is_empty(&self, group: &Group) -> bool {
        self.read.is_some() && self.layout.last(&group.words, group.held()) == Datum::Number(0)
    }

    /// From when on no accepted event is in the group.
    pub fn end(&self, key: &GroupKey, group: &Group) -> Option<Instant> {
        let ends = self.leaves.iter().filter_map(|(place, window)| {
            let Datum::Instant(start) = encode::at(keys(key), *place) else { return None };
            Some(window.end(start))
        });
        let of_session = self.session.map(|gap_ms| {
            let is_of_first = is_broken(Law::SessionsEndWithTheirLast);
            let last = if is_of_first { start(key) } else { self.last(key, group) };
            last.saturating_add(gap_ms)
        });
        let ends = ends.chain(of_session);
        if is_broken(Law::EarliestWindowCounts) { ends.max() } else { ends.min() }
    }

    /// Whether others are computed of its rows.
    pub fn is_read(&self) -> bool {
        self.read_by.is_some()
    }

    /// When the last event of a session was.
    pub fn last(&self, key: &GroupKey, group: &Group) -> Instant {
        self.last_of(keys(key), (&group.words, group.held()))
    }

    /// The same, of what was aggregated of some of its events.
    pub fn last_of(&self, keys: &[u8], (words, held): (&[u64], &[Held])) -> Instant {
        match self.layout.last(words, held) {
            Datum::Instant(last) => last,
            // Of one with many different values some are written down alone.
            Datum::Null | Datum::Boolean(_) | Datum::Number(_) | Datum::Text(_) => start(keys),
        }
    }

    /// A group, as expressions ask of it. What ended up to `passed` is final.
    pub fn of_group<'g>(&'g self, key: &'g GroupKey, group: &'g Group, passed: Instant) -> OfGroup<'g> {
        let is_final = self.asks_is_final && self.end(key, group).is_some_and(|end| end <= passed);
        OfGroup { rows: self, keys: keys(key), group, is_final }
    }

    /// Whether a group has a row.
    pub fn is_shown(&self, group: &OfGroup<'_>) -> bool {
        if group.group.is_gone {
            return is_broken(Law::SessionsMove);
        }
        if self.is_empty(group.group) && !is_broken(Law::EmptyGroupsGo) {
            return false;
        }
        self.is_whole(group) && self.having.as_ref().is_none_or(|having| is_true(having, group))
            || is_broken(Law::HavingIsAsked)
    }

    /// Whether all events of the group are known. It lies in all its windows: the last of them to begin says it.
    fn is_whole(&self, group: &OfGroup<'_>) -> bool {
        let Some(since) = self.since else { return true };
        let starts = self.leaves.iter().filter_map(|(place, _)| match encode::at(group.keys, *place) {
            Datum::Instant(start) => Some(start),
            Datum::Null | Datum::Boolean(_) | Datum::Number(_) | Datum::Text(_) => None,
        });
        // An event of before might have been in the session, or in that of a row.
        let before_ms = self.read.as_ref().map_or(0, Read::before_ms);
        let starts = starts.map(|start| start.saturating_sub(before_ms));
        let of_session = self.session.map(|gap_ms| start(group.keys).saturating_sub(gap_ms));
        starts.chain(of_session).max().is_some_and(|start| start >= since)
    }

    /// What may change of a group's row, as bytes: two rows of a group are equal if these are. What others read of it comes
    /// first.
    pub fn packed(&self, group: &OfGroup<'_>, out: &mut Vec<u8>) {
        let mut push = |output: &Expr| encode::push(&eval(output, group), false, out);
        let is_read = |place| self.read_by.as_ref().is_some_and(|readers| readers.outputs.contains(&place));
        let may_change = || self.outputs.iter().enumerate().filter(|(_, output)| may_change(output));
        if self.is_read() {
            may_change().filter(|(place, _)| is_read(*place)).for_each(|(_, output)| push(output));
        }
        may_change().filter(|(place, _)| !is_read(*place)).for_each(|(_, output)| push(output));
    }

    /// Writes down the row of a group, or its key alone if it is gone.
    pub fn write(&self, is_shown: bool, group: &OfGroup<'_>, page: &mut Page) {
        let mut keys = InOrder::of(group.keys);
        let mut push = |output: &Expr, out: &mut Vec<u8>| {
            let of = if let Node::Key(place) = output.node { keys.key(place) } else { eval(output, group) };
            if let Datum::Text(text) = &of {
                packed::push_text(text, out);
            } else {
                packed::push(&value(of, output.ty), out);
            }
        };
        let (key, rest) = self.outputs.split_at(self.keys.min(self.outputs.len()));
        page.push(is_shown, |out| {
            key.iter().for_each(|output| push(output, out));
            let ends = out.len();
            // A key may stand among the other columns again.
            rest.iter().filter(|_| is_shown).for_each(|output| push(output, out));
            ends
        });
    }

    /// The row of a group, as those see it who are computed of it.
    pub fn read_row<'g>(&'g self, readers: &Readers, group: &'g OfGroup<'_>) -> ReadRow<'g> {
        readers.row(&self.outputs, |output| eval(output, group))
    }

    /// The same row as it was, of what might have changed of it.
    pub fn read_packed<'k>(&'k self, readers: &Readers, keys: &'k [u8], packed: &'k [u8]) -> ReadRow<'k> {
        let mut packed = encode::all(packed);
        let was = |output: &Expr| {
            if let Node::Key(place) = output.node {
                return encode::at(keys, place);
            }
            packed.next().unwrap_or(Datum::Null)
        };
        readers.row(&self.outputs, was)
    }
}

/// Whether an output of a group may change.
fn may_change(output: &Expr) -> bool {
    !matches!(output.node, Node::Key(_))
}

/// Those who are computed of a metric's rows.
pub struct Readers {
    /// Which outputs they read.
    outputs: BTreeSet<usize>,
    /// How many of these may change: they stand in front of what is packed.
    changing: usize,
}

impl Readers {
    fn of(read: &BTreeSet<usize>, outputs: &[Expr]) -> Readers {
        let changing = outputs.iter().enumerate().filter(|(place, output)| read.contains(place) && may_change(output));
        Readers { outputs: read.clone(), changing: changing.count() }
    }

    /// What they read of what may change of a row.
    pub fn part<'p>(&self, packed: &'p [u8]) -> &'p [u8] {
        encode::first(packed, self.changing)
    }

    fn row<'v>(&self, outputs: &'v [Expr], mut value: impl FnMut(&'v Expr) -> Datum<'v>) -> ReadRow<'v> {
        let outputs = outputs.iter().enumerate();
        let read =
            outputs.map(|(place, output)| if self.outputs.contains(&place) { value(output) } else { Datum::Null });
        ReadRow(read.collect())
    }
}

/// A row, as those see it who are computed of it, each output once: what nobody reads is null.
pub struct ReadRow<'v>(Vec<Datum<'v>>);

impl Facts for ReadRow<'_> {
    fn column(&self, place: usize) -> Datum<'_> {
        self.0.get(place).map_or(Datum::Null, Datum::lent)
    }
}

impl Columns for ReadRow<'_> {
    fn bare(&self, place: usize) -> Bare<'_> {
        self.0.get(place).map_or(Bare::Null, Bare::from)
    }
}

/// The keys of a group, which nearly always are asked for in their order: none is gone over twice.
struct InOrder<'k> {
    keys: &'k [u8],
    rest: &'k [u8],
    next: usize,
}

impl<'k> InOrder<'k> {
    fn of(keys: &'k [u8]) -> InOrder<'k> {
        InOrder { keys, rest: keys, next: 0 }
    }

    fn key(&mut self, place: usize) -> Datum<'k> {
        if place != self.next {
            return encode::at(self.keys, place);
        }
        self.next += 1;
        encode::next(&mut self.rest).unwrap_or(Datum::Null)
    }
}

/// A value of a type, as a table has it.
pub fn value(datum: Datum<'_>, ty: Type) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Boolean(value) => Value::Boolean(value),
        Datum::Number(number) => match ty {
            Type::Number(2) => Value::Cents(number),
            Type::Number(3) => Value::Milli(number),
            Type::Number(_) | Type::Boolean | Type::Instant | Type::Text => Value::Integer(number),
        },
        Datum::Instant(at) => Value::Instant(at),
        Datum::Text(text) => Value::Text(text.into_owned()),
    }
}

/// A group, as expressions ask of it.
pub struct OfGroup<'g> {
    rows: &'g Rows,
    keys: &'g [u8],
    group: &'g Group,
    is_final: bool,
}

impl Facts for OfGroup<'_> {
    fn key(&self, place: usize) -> Datum<'_> {
        encode::at(self.keys, place)
    }

    fn slot(&self, place: usize) -> Datum<'_> {
        self.rows.layout.slot(place, &self.group.words, self.group.held())
    }

    fn is_final(&self) -> Datum<'_> {
        Datum::Boolean(self.is_final)
    }
}

/// What is held of a group. What may be long stands behind an `Rc`: a group that is frozen copies it when it changes.
#[derive(Clone, Default)]
pub struct Group {
    /// Whether anything was said of it.
    pub is_known: bool,
    /// It was a session, and is part of another one now: it leaves with the epoch.
    pub is_gone: bool,
    /// Where in what was touched in an epoch it stands, if it does.
    pub mark: u32,
    /// By what it is found.
    pub hash: u32,
    /// Counts, sums, and extremes that are numbers.
    pub words: Few<u64>,
    held: Option<Rc<HeldOf>>,
}

/// What is held of a group beside its words. Nearly always it is one: that one needs no allocation of its own.
#[derive(Clone)]
enum HeldOf {
    One(Held),
    Many(Box<[Held]>),
}

impl HeldOf {
    fn of(held: &mut [Held]) -> Option<Rc<HeldOf>> {
        match held {
            [] => None,
            [one] => Some(Rc::new(HeldOf::One(std::mem::take(one)))),
            many => Some(Rc::new(HeldOf::Many(many.iter_mut().map(std::mem::take).collect()))),
        }
    }

    fn all(&self) -> &[Held] {
        match self {
            HeldOf::One(held) => std::slice::from_ref(held),
            HeldOf::Many(held) => held,
        }
    }

    fn all_mut(&mut self) -> &mut [Held] {
        match self {
            HeldOf::One(held) => std::slice::from_mut(held),
            HeldOf::Many(held) => held,
        }
    }
}

impl Group {
    /// What is as long as it is.
    pub fn held(&self) -> &[Held] {
        self.held.as_ref().map_or(&[], |held| held.all())
    }

    /// What its events gave, to be merged into another one.
    pub fn into_parts(self) -> (Few<u64>, Vec<Held>) {
        (self.words, self.held.map(|held| held.all().to_vec()).unwrap_or_default())
    }

    /// What was aggregated of more of its events is merged in.
    pub fn merge(&mut self, layout: &Layout, (words, held): (&[u64], &mut [Held])) {
        if self.is_known {
            let known = self.held.as_mut().map_or(&mut [][..], |known| Rc::make_mut(known).all_mut());
            return layout.merge((&mut self.words, known), (words, held));
        }
        self.is_known = true;
        self.words = words.into();
        self.held = HeldOf::of(held);
    }
}
