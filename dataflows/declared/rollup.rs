//! Of what is said of groups to rows: one operator, whatever the number of metrics.

use crate::Collection;
use crate::Stream;
use crate::declared::aggregate::{Held, Layout, Partial};
use crate::declared::encode;
use crate::declared::eval::{Facts, asks_is_final, eval, is_true};
use crate::declared::fold::{GroupKey, Said, keys, number, spread};
use crate::declared::plan::{Expr, Family, Metric, Type, Window};
use crate::declared::row::Datum;
use crate::dense::{Dense, SLICE};
use crate::hash::Map;
use crate::operators::{Epoch, per_epoch};
use crate::state::{Forgets, Kept, Ledger};
use crate::table::Value;
use crate::time::{Instant, Settings, is_silent};
use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// A row of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Of which group.
    pub key: GroupKey,
    /// Its columns.
    pub values: Box<[Value]>,
}

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

/// How records forget a person that is a number: as a key, and as one of different values. Nothing else that is kept says
/// who somebody is; persons that are texts are not found.
pub const FORGETS: Forgets<Record> = Forgets::BecomesNobodys(|record, person, nobody| {
    let mut found = encode::rename(&mut record.keys, person, nobody);
    for held in &mut record.of.held {
        match held {
            Held::Nothing => {}
            Held::Best(bytes) => found |= encode::rename(bytes, person, nobody),
            Held::Values(values) => {
                let renamed = std::mem::take(values).into_iter().map(|mut value| {
                    found |= encode::rename(&mut value, person, nobody);
                    value
                });
                *values = renamed.collect();
            }
        }
    }
    found
});

/// What is made of a metric's groups.
pub struct Rows {
    /// What is computed.
    print: u64,
    layout: Rc<Layout>,
    leaves: Vec<(usize, Window)>,
    having: Option<Expr>,
    outputs: Vec<Expr>,
    asks_is_final: bool,
}

impl Rows {
    /// Of all metrics, by their numbers.
    pub fn of(family: &Family, prints: &[u64], layouts: &[Rc<Layout>]) -> Rc<[Rows]> {
        let metrics = family.metrics.iter().zip(prints).zip(layouts);
        let rows = metrics.map(|((Metric { leaves, having, outputs, .. }, print), layout)| {
            let outputs: Vec<_> = outputs.iter().map(|output| output.value.clone()).collect();
            Rows {
                print: *print,
                layout: Rc::clone(layout),
                leaves: leaves.clone(),
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
        ends.min()
    }

    /// The row of a group, if it has one.
    fn row(&self, key: &GroupKey, group: &Group, passed: Instant) -> Option<Box<[Value]>> {
        let is_final = self.asks_is_final && self.end(key).is_some_and(|end| end <= passed);
        let facts = OfGroup { rows: self, keys: keys(key), group, is_final };
        let is_shown = self.having.as_ref().is_none_or(|having| is_true(having, &facts));
        is_shown.then(|| self.outputs.iter().map(|output| value(eval(output, &facts), output.ty)).collect())
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
    words: Box<[u64]>,
    held: Option<Rc<Box<[Held]>>>,
}

impl Group {
    fn held(&self) -> &[Held] {
        self.held.as_ref().map_or(&[], |held| held)
    }

    fn merge(&mut self, layout: &Layout, said: Partial) {
        if !self.is_known {
            let Partial { words, held } = said;
            *self = Group { is_known: true, words, held: (!held.is_empty()).then(|| Rc::new(held)) };
            return;
        }
        let held = self.held.as_mut().map(Rc::make_mut);
        layout.merge((&mut self.words, held.map_or(&mut [], |held| held)), said);
    }
}

#[derive(Default)]
struct Groups {
    groups: Dense<GroupKey, Group>,
    /// When groups end that have not.
    due: BTreeMap<Instant, Vec<u32>>,
    /// What ended up to here cannot change.
    passed: Option<Instant>,
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

/// The rows of all groups, kept by what is said of them.
///
/// **Law.** At every even epoch the output accumulates to one row for each group of which anything was said, as its
/// metric's SQL has it over everything that was said; none for a group that HAVING leaves out. What is emitted in an
/// epoch depends on nothing but that: not on the number of workers, nor on restarts. A group whose window has passed
/// leaves and nothing is said of it. Of metrics that ask for it, a row is said once more when it becomes final: that
/// is news of the even epoch whose watermark made it so. Odd epochs are silent.
pub fn rollup<'s>(
    said: Stream<'s, Said>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    kept: &'static Kept<Record>,
    rows: Rc<[Rows]>,
) -> Collection<'s, Line> {
    let held = Rc::new(RefCell::new(Groups::default()));
    ledger.count(kept.name, &held, |held| held.groups.len());
    let prints: Vec<u64> = rows.iter().map(|rows| rows.print).collect();
    ledger.keep(kept, &held, move |held| {
        let prints = prints.clone();
        held.groups.frozen(move |key, group, out| {
            let print = prints.get(number(key));
            print.into_iter().for_each(|print| records(*print, key, group, out));
        })
    });
    let settings = settings.clone();
    let by_key = Exchange::new(|Said { key, .. }: &Said| spread(key));
    let step = move |Epoch { time, input, watermark }: Epoch<Said>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let Groups { groups, due, passed } = &mut *held.borrow_mut();
        let before = passed.unwrap_or(Instant::MIN);
        let now = settings.final_cut(watermark);
        // Of the groups whose row may change, the row that they had.
        let mut had = Map::<u32, Option<Box<[Value]>>>::default();
        for Said { key, of } in Epoch::records(input) {
            let Some(of_metric) = rows.get(number(&key)) else { continue };
            let place = groups.place(key);
            let (key, group) = groups.at(place);
            if !group.is_known {
                if let Some(end) = of_metric.end(key) {
                    due.entry(end).or_default().push(place);
                }
                had.insert(place, None);
            } else if !is_silent(time) {
                had.entry(place).or_insert_with(|| of_metric.row(key, group, before));
            }
            groups.at_mut(place).merge(&of_metric.layout, of);
        }
        let mut ended = Vec::new();
        while let Some(first) = due.first_entry().filter(|first| *first.key() <= now) {
            let (end, places) = first.remove_entry();
            for place in &places {
                let (key, group) = groups.at(*place);
                if let Some(of_metric) = rows.get(number(key)).filter(|of_metric| of_metric.asks_is_final) {
                    had.entry(*place).or_insert_with(|| of_metric.row(key, group, before));
                }
            }
            if end <= settings.forget_cut(watermark) {
                ended.extend(places);
            }
        }
        *passed = Some(now);
        if !is_silent(time) {
            for (place, had) in had {
                let (key, group) = groups.at(place);
                let Some(of_metric) = rows.get(number(key)) else { continue };
                let has = of_metric.row(key, group, now);
                if had != has {
                    let line = |values| Line { key: key.clone(), values };
                    out.extend(had.map(|values| (line(values), time, -1)));
                    out.extend(has.map(|values| (line(values), time, 1)));
                }
            }
        }
        ended.into_iter().for_each(|place| groups.vacate(place));
    };
    per_epoch(said, watermarks, by_key, kept.name, step).0.as_collection()
}
