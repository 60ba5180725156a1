//! Of what is said of groups to rows: one operator, whatever the number of metrics.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::declared::aggregate::{Held, Layout, Partial};
use crate::declared::encode;
use crate::declared::eval::{Facts, asks_is_final, eval, is_true};
use crate::declared::plan::{Expr, Family, Metric, Node, Type, Window};
use crate::declared::row::Datum;
use crate::declared::said::{GroupKey, Said, keys, number};
use crate::delta::Delta;
use crate::dense::{Dense, SLICE};
use crate::operators::{Epoch, per_epoch};
use crate::persons::Renaming;
use crate::state::{Forgets, Kept, Ledger};
use crate::table::Value;
use crate::time::{Instant, Settings, is_silent};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// A group as a snapshot has it; of one with many different values, some of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Of which metric: what is computed, whatever its number is in the model of the day.
    pub print: u64,
    /// The keys.
    pub keys: Box<[u8]>,
    /// What was aggregated.
    pub of: Partial,
}

/// How records forget a person: as a key, and as one of different values. Nothing else that is kept says who somebody is.
pub const FORGETS: Forgets<Record> = Forgets::Renames(|record, Renaming { person, nobody, prints: _ }| {
    let (person, nobody) = (encode::of_person(person), encode::of_person(nobody));
    let mut found = false;
    let mut rename = |bytes: &mut Box<[u8]>| {
        if let Some(renamed) = encode::renamed(bytes, &person, &nobody) {
            *bytes = renamed;
            found = true;
        }
    };
    rename(&mut record.keys);
    for held in &mut record.of.held {
        match held {
            Held::Nothing => {}
            Held::Best(bytes) => rename(bytes),
            Held::Values(values) => {
                let mut all: Vec<_> = std::mem::take(values).into_iter().collect();
                all.iter_mut().for_each(&mut rename);
                *values = all.into_iter().collect();
            }
        }
    }
    found
});

/// What is made of a metric's groups.
pub struct Rows {
    /// What is computed.
    print: u64,
    /// What it is called, how many groups there are.
    counted: &'static str,
    layout: Rc<Layout>,
    keys: usize,
    leaves: Vec<(usize, Window)>,
    /// Groups whose last window begins before are not whole.
    since: Option<Instant>,
    having: Option<Expr>,
    outputs: Vec<Expr>,
    asks_is_final: bool,
}

impl Rows {
    /// Of all metrics, by their numbers: what is computed, and how many groups there are called what; from when on groups
    /// are whole.
    pub fn of(
        family: &Family,
        (prints, counted): (&[u64], &[&'static str]),
        layouts: &[Rc<Layout>],
        since: impl Fn(usize) -> Option<Instant>,
    ) -> Rc<[Rows]> {
        let metrics = family.metrics.iter().zip(prints).zip(counted).zip(layouts).enumerate();
        let rows = metrics.map(|(number, (((metric, print), counted), layout))| {
            let Metric { keys, leaves, having, outputs, .. } = metric;
            let outputs: Vec<_> = outputs.iter().map(|output| output.value.clone()).collect();
            Rows {
                print: *print,
                counted,
                layout: Rc::clone(layout),
                keys: keys.len(),
                leaves: leaves.clone(),
                since: since(number),
                asks_is_final: outputs.iter().chain(having).any(asks_is_final),
                having: having.clone(),
                outputs,
            }
        });
        rows.collect()
    }

    /// From when on no accepted event is in the group.
    fn end(&self, key: &GroupKey) -> Option<Instant> {
        let ends = self.leaves.iter().filter_map(|(place, window)| {
            let Datum::Instant(start) = encode::at(keys(key), *place) else { return None };
            Some(window.end(start))
        });
        if is_broken(Law::EarliestWindowCounts) { ends.max() } else { ends.min() }
    }

    fn of_group<'g>(&'g self, key: &'g GroupKey, group: &'g Group, passed: Instant) -> OfGroup<'g> {
        let is_final = self.asks_is_final && self.end(key).is_some_and(|end| end <= passed);
        OfGroup { rows: self, keys: keys(key), group, is_final }
    }

    fn is_shown(&self, group: &OfGroup<'_>) -> bool {
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
        starts.max().is_some_and(|start| start >= since)
    }

    /// What may change of a group's row, as bytes: two rows of a group are equal if these are.
    fn packed(&self, group: &OfGroup<'_>, out: &mut Vec<u8>) {
        let may_change = self.outputs.iter().filter(|output| !matches!(output.node, Node::Key(_)));
        may_change.for_each(|output| encode::push(&eval(output, group), false, out));
    }

    /// The row of a group.
    fn row(&self, group: &OfGroup<'_>) -> Vec<Value> {
        self.outputs.iter().map(|output| value(eval(output, group), output.ty)).collect()
    }

    /// The key of a group's row: its first columns.
    fn key(&self, group: &OfGroup<'_>) -> Vec<Value> {
        // A key may stand among the other columns again.
        self.outputs.iter().take(self.keys).map(|output| value(eval(output, group), output.ty)).collect()
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

struct OfGroup<'g> {
    rows: &'g Rows,
    keys: &'g [u8],
    group: &'g Group,
    is_final: bool,
}

impl Facts for OfGroup<'_> {
    fn column(&self, _: usize) -> Datum<'_> {
        Datum::Null
    }

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
struct Group {
    is_known: bool,
    /// Where in what was touched in an epoch it stands, if it does.
    mark: u32,
    words: Box<[u64]>,
    held: Option<Rc<Box<[Held]>>>,
}

impl Group {
    fn held(&self) -> &[Held] {
        self.held.as_ref().map_or(&[], |held| held)
    }

    fn merge(&mut self, layout: &Layout, (words, held): (&[u64], &mut [Held])) {
        if self.is_known {
            let known = self.held.as_mut().map(Rc::make_mut);
            return layout.merge((&mut self.words, known.map_or(&mut [], |known| known)), (words, held));
        }
        self.is_known = true;
        self.words = words.into();
        let held = held.iter_mut().map(std::mem::take);
        self.held = (held.len() > 0).then(|| Rc::new(held.collect()));
    }
}

/// The groups whose rows may change in an epoch, each once, and what their rows were.
#[derive(Default)]
struct Touched {
    groups: Vec<(u32, Had)>,
    /// Of all rows that were, what may change.
    packed: Vec<u8>,
}

/// The row that a group had, by where in `packed` it stands; none of a group that is new or was not shown.
type Had = Option<Range<usize>>;

impl Touched {
    /// Whether a group is among them: what its mark says may be of an epoch before.
    fn has(&self, mark: u32, place: u32) -> bool {
        self.groups.get(mark as usize).is_some_and(|(touched, _)| *touched == place)
    }

    /// A group, with the row that it has until now; its mark.
    fn add(&mut self, place: u32, row: Option<(&Rows, OfGroup<'_>)>) -> u32 {
        let had = row.filter(|(rows, group)| rows.is_shown(group)).map(|(rows, group)| {
            let start = self.packed.len();
            rows.packed(&group, &mut self.packed);
            start..self.packed.len()
        });
        self.groups.push((place, had));
        u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
    }

    /// What changed, in the order of groups.
    fn changes(self, groups: &Dense<GroupKey, Group>, rows: &[Rows], passed: Instant, out: &mut Vec<(u16, Delta)>) {
        let Touched { groups: touched, packed } = self;
        let (mut spare, mut changed) = (Vec::new(), Vec::new());
        for (place, had) in touched {
            let (key, group) = groups.at(place);
            let Some(of_metric) = rows.get(number(key)) else { continue };
            let group = of_metric.of_group(key, group, passed);
            let is_shown = of_metric.is_shown(&group);
            if let Some(had) = &had
                && is_shown
            {
                spare.clear();
                of_metric.packed(&group, &mut spare);
                if spare == packed[had.clone()] && !is_broken(Law::OnlyChangesAreSaid) {
                    continue;
                }
            }
            if is_shown || had.is_some() {
                changed.push((begins(key), place, is_shown));
            }
        }
        // Most keys differ early: few are looked up.
        changed.sort_unstable_by(|(a, of_a, _), (b, of_b, _)| {
            a.cmp(b).then_with(|| groups.at(*of_a).0.cmp(&groups.at(*of_b).0))
        });
        out.extend(changed.into_iter().filter_map(|(_, place, is_shown)| {
            let (key, group) = groups.at(place);
            let of_metric = rows.get(number(key))?;
            let group = of_metric.of_group(key, group, passed);
            let delta =
                if is_shown { Delta::Upsert(of_metric.row(&group)) } else { Delta::Delete(of_metric.key(&group)) };
            Some((u16::try_from(number(key)).ok()?, delta))
        }));
    }
}

/// How a key begins: where two differ in it, they have its order.
fn begins(key: &[u8]) -> u128 {
    let mut begins = [0; size_of::<u128>()];
    let bytes = key.len().min(begins.len());
    begins[..bytes].copy_from_slice(&key[..bytes]);
    u128::from_be_bytes(begins)
}

#[derive(Default)]
struct Groups {
    groups: Dense<GroupKey, Group>,
    /// When groups end that have not.
    due: BTreeMap<Instant, Vec<u32>>,
    /// What ended up to here cannot change.
    passed: Option<Instant>,
    /// Of each metric, how many groups there are.
    live: Vec<usize>,
}

impl Groups {
    fn of(metrics: usize) -> Groups {
        Groups { live: vec![0; metrics], ..Groups::default() }
    }

    /// A group leaves.
    fn vacate(&mut self, place: u32) {
        self.live[number(&self.groups.at(place).0)] -= 1;
        self.groups.vacate(place);
    }
}

/// The records of a group: different values are many, and are written down in several.
fn records(print: u64, key: &GroupKey, group: &Group, out: &mut Vec<Record>) {
    let mut record = |words, held| out.push(Record { print, keys: keys(key).into(), of: Partial { words, held } });
    let long = |held: &Held| match held {
        Held::Values(values) if values.len() > SLICE => values.iter().cloned().collect(),
        Held::Values(_) | Held::Best(_) | Held::Nothing => Vec::new(),
    };
    let short = |held: &Held| match held {
        Held::Values(values) if values.len() > SLICE => Held::Nothing,
        Held::Values(_) | Held::Best(_) | Held::Nothing => held.clone(),
    };
    record(group.words.clone(), group.held().iter().map(short).collect());
    for (place, held) in group.held().iter().enumerate() {
        for values in long(held).chunks(SLICE) {
            let mut some = vec![Held::Nothing; group.held().len()];
            some[place] = Held::Values(values.iter().cloned().collect());
            record(vec![0; group.words.len()].into(), some.into());
        }
    }
}

/// What changes of the rows of all groups, kept by what is said of them: of which metric, by its number, and how; in the
/// order of metrics and keys.
///
/// **Law.** At every even epoch the output accumulates to one row for each group of which anything was said, as its
/// metric's SQL has it over everything that was said; none for a group that HAVING leaves out. What is emitted in an
/// epoch depends on nothing but that: not on the number of workers, nor on restarts. Of a group there is one change in an
/// epoch at most, and it changes something. A group whose window has passed leaves and nothing is said of it. Of metrics
/// that ask for it, a row is said once more when it becomes final: that is news of the even epoch whose watermark made it
/// so. Odd epochs are silent.
pub fn rollup<'s>(
    said: Stream<'s, Said>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    kept: &'static Kept<Record>,
    rows: Rc<[Rows]>,
) -> Stream<'s, (u16, Delta)> {
    let held = Rc::new(RefCell::new(Groups::of(rows.len())));
    ledger.count(kept.name, &held, |held| held.groups.len());
    for (metric, rows) in rows.iter().enumerate() {
        ledger.count(rows.counted, &held, move |held| held.live[metric]);
    }
    let prints: Vec<u64> = rows.iter().map(|rows| rows.print).collect();
    ledger.keep(kept, &held, move |held| {
        let prints = prints.clone();
        held.groups.frozen(move |key, group, out| {
            let print = prints.get(number(key));
            print.into_iter().for_each(|print| records(*print, key, group, out));
        })
    });
    let settings = settings.clone();
    let by_worker = Exchange::new(|Said { to, .. }: &Said| *to);
    let step = move |Epoch { time, input, watermark }: Epoch<Said>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let held = &mut *held.borrow_mut();
        let Groups { groups, due, passed, live } = held;
        let before = passed.unwrap_or(Instant::MIN);
        let now = if is_broken(Law::FinalWaitsForLateness) { watermark } else { settings.final_cut(watermark) };
        let due_to = if is_broken(Law::GroupsWaitForLateness) { watermark } else { now };
        let is_silent = |time| is_silent(time) && !is_broken(Law::OddEpochsAreSilent);
        let mut touched = Touched::default();
        for mut said in Epoch::records(input) {
            for of in 0..said.groups() {
                let Some(of_metric) = rows.get(number(said.key(of))) else { continue };
                let place = groups.place_of(said.key(of));
                let (key, group) = groups.at(place);
                if !group.is_known {
                    live[number(key)] += 1;
                    of_metric.end(key).into_iter().for_each(|end| due.entry(end).or_default().push(place));
                }
                let mut mark = group.mark;
                if !is_silent(time) && !touched.has(mark, place) {
                    let row = group.is_known.then(|| (of_metric, of_metric.of_group(key, group, before)));
                    mark = touched.add(place, row);
                }
                let group = groups.at_mut(place);
                group.mark = mark;
                let (words, held) = said.partial(of);
                group.merge(&of_metric.layout, (words, held));
            }
        }
        let mut ended = Vec::new();
        while let Some(first) = due.first_entry().filter(|first| *first.key() <= due_to) {
            let (end, places) = first.remove_entry();
            for place in &places {
                let (key, group) = groups.at(*place);
                let is_asked = |of_metric: &&Rows| of_metric.asks_is_final && !is_broken(Law::FinalIsSaid);
                let of_metric = rows.get(number(key)).filter(is_asked);
                if let Some(of_metric) = of_metric.filter(|_| !touched.has(group.mark, *place)) {
                    touched.add(*place, Some((of_metric, of_metric.of_group(key, group, before))));
                }
            }
            let leaves = end <= settings.forget_cut(watermark) || is_broken(Law::GroupsWaitForLateness);
            if leaves && !is_broken(Law::GroupsLeave) {
                ended.extend(places);
            }
        }
        *passed = Some(now);
        if !is_silent(time) {
            touched.changes(groups, &rows, now, out);
        }
        ended.into_iter().for_each(|place| held.vacate(place));
    };
    per_epoch(said, watermarks, by_worker, kept.name, step).0
}
