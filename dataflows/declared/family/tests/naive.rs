//! What metrics are of events, by plain loops.

use super::asking::Asking;
use super::outer::OuterSaid;
use super::pool::{Aggregated, Ev, Having, Spec};
use crate::table::Value;
use crate::time::DAY_MS;
use std::collections::{BTreeMap, BTreeSet};

/// Rows by table and key.
pub type Contents = BTreeMap<(&'static str, Vec<Value>), Vec<Value>>;

const NAMES: [&str; 4] = ["metric_0", "metric_1", "metric_2", "metric_3"];
const OUTER_NAMES: [&str; 4] = ["outer_0", "outer_1", "outer_2", "outer_3"];

/// Those events that are not late, and how many are.
pub fn in_time(events: &[Ev], before: i64, lateness_ms: Option<i64>) -> (Vec<Ev>, usize) {
    let mut accepted = events.to_vec();
    if let Some(lateness_ms) = lateness_ms {
        accepted.retain(|event| event.at >= before - lateness_ms);
    }
    let late = events.len() - accepted.len();
    (accepted, late)
}

/// Each once.
pub fn once(events: &[Ev]) -> BTreeSet<Ev> {
    events.iter().cloned().collect()
}

fn grouped(spec: &Spec, events: &[Ev], is_once: bool, watermark: i64) -> BTreeMap<Vec<Value>, Vec<Ev>> {
    let mut events: Vec<_> = if is_once { once(events).into_iter().collect() } else { events.to_vec() };
    if let Some(asking) = &spec.asking {
        let all = events.clone();
        events.iter_mut().for_each(|event| event.answers = asking.of(event, &all, watermark));
    }
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for event in events {
        if spec.filters().iter().all(|filter| (filter.of)(&event) == Value::Boolean(true)) {
            let key: Vec<_> = spec.key_items().iter().map(|key| (key.of)(&event)).collect();
            groups.entry(key).or_default().push(event);
        }
    }
    match spec.session {
        Some(gap_ms) => groups.into_iter().flat_map(|(key, events)| sessions(&key, events, gap_ms)).collect(),
        None => groups,
    }
}

/// The events in their order, cut where the next is a gap away; the first instant of each is its last key.
fn sessions(key: &[Value], mut events: Vec<Ev>, gap_ms: i64) -> Vec<(Vec<Value>, Vec<Ev>)> {
    events.sort();
    let sessions = events.chunk_by(|event, next| next.at - event.at < gap_ms);
    let keyed = sessions.map(|session| {
        let key = key.iter().cloned().chain([Value::Instant(session[0].at)]);
        (key.collect(), session.to_vec())
    });
    keyed.collect()
}

/// How many groups the metrics have that `which` says.
pub fn groups(
    specs: &[Spec],
    events: &[Ev],
    (is_once, watermark): (bool, i64),
    which: impl Fn(&Spec) -> bool,
) -> usize {
    specs.iter().filter(|spec| which(spec)).map(|spec| grouped(spec, events, is_once, watermark).len()).sum()
}

/// The rows that must be in the tables, where the watermark is; what ended so long before is final.
pub fn expected(specs: &[Spec], events: &[Ev], is_once: bool, (watermark, lateness_ms): (i64, i64)) -> Contents {
    let mut contents = Contents::new();
    for (n, spec) in specs.iter().enumerate() {
        let ahead_ms = spec.asking.as_ref().map_or(0, Asking::ahead_ms);
        let passed = watermark - lateness_ms - ahead_ms;
        for (key, events) in grouped(spec, events, is_once, watermark) {
            let items = spec.key_items();
            let ends = items.iter().zip(&key).filter_map(|(item, value)| {
                let Value::Instant(start) = value else { return None };
                item.end.map(|end| end(*start))
            });
            let last = events.iter().map(|event| event.at).max().expect("a group has events");
            let ends = ends.chain(spec.session.map(|gap_ms| last + gap_ms));
            let is_final = ends.min().is_some_and(|end| end <= passed);
            let aggregated = spec.aggregated();
            let slots: Vec<_> = aggregated.iter().flat_map(|aggregated| aggregate(aggregated, &events)).collect();
            let count = events.len() as i64;
            let is_shown = match spec.having {
                Having::Nothing => true,
                Having::Many => count >= 2,
                Having::Few => count <= 2,
                Having::Final => is_final,
                Having::NotFinal => !is_final,
            };
            if is_shown {
                let own = [Value::Integer(count), mean(&events)].into_iter().take(spec.own());
                let last = spec.says_final.then_some(Value::Boolean(is_final));
                let row = key.iter().cloned().chain(slots).chain(own).chain(last).collect();
                contents.insert((NAMES[n], key), row);
            }
        }
        let inner = spec.metric(NAMES[n]);
        if let Some((_, said)) = spec.outer(OUTER_NAMES[n], &inner) {
            let rows: Vec<_> = contents.iter().filter(|((name, _), _)| *name == NAMES[n]).map(|(_, row)| row).collect();
            let of_rows = of_rows(&said, &rows);
            contents.extend(of_rows.into_iter().map(|(key, row)| ((OUTER_NAMES[n], key), row)));
        }
    }
    contents
}

/// The rows that must be in a table that is computed of these rows.
pub fn of_rows(said: &OuterSaid, rows: &[&Vec<Value>]) -> BTreeMap<Vec<Value>, Vec<Value>> {
    let mut groups = BTreeMap::<Vec<Value>, Vec<&Vec<Value>>>::new();
    for row in rows {
        if said.few_only && row[said.count] > Value::Integer(2) {
            continue;
        }
        let day = said.day.map(|place| {
            let Value::Instant(at) = row[place] else { panic!("{:?} is no instant", row[place]) };
            Value::Instant(at.div_euclid(DAY_MS) * DAY_MS)
        });
        groups.entry(day.into_iter().chain([row[said.count].clone()]).collect()).or_default().push(row);
    }
    let row = |(key, rows): (Vec<Value>, Vec<&Vec<Value>>)| {
        let values = |place: usize| {
            let mut values: Vec<Vec<Value>> = rows.iter().map(|row| vec![row[place].clone()]).collect();
            values.retain(|value| value[0] != Value::Null);
            values.sort();
            values
        };
        let one = |value: Option<&Vec<Value>>| value.map_or(Value::Null, |value| value[0].clone());
        let number = |count: usize| Value::Integer(count as i64);
        let mut slots = vec![
            number(rows.len()),
            number(values(said.with).len()),
            sum(&values(said.added)),
            one(values(said.least).first()),
            one(values(said.greatest).last()),
            number(values(said.kinds).iter().collect::<BTreeSet<_>>().len()),
        ];
        if let Some((at, value)) = said.first {
            let such = rows.iter().map(|row| [row[at].clone(), row[value].clone()]);
            let first = such.filter(|both| !both.contains(&Value::Null)).min();
            slots.push(first.map_or(Value::Null, |[_, value]| value));
        }
        (key.clone(), key.into_iter().chain(slots).collect())
    };
    groups.into_iter().map(row).collect()
}

/// The mean price to the cent, half away from zero.
fn mean(events: &[Ev]) -> Value {
    let prices: Vec<i128> = events.iter().filter_map(|event| event.price).map(i128::from).collect();
    let (sum, count) = (prices.iter().sum::<i128>(), prices.len() as i128);
    if count == 0 || i64::try_from(sum).is_err() {
        return Value::Null;
    }
    Value::Cents((sum.signum() * ((2 * sum.abs() + count) / (2 * count))) as i64)
}

fn aggregate(aggregated: &Aggregated, events: &[Ev]) -> Vec<Value> {
    let filter = &aggregated.filter;
    let takes_part = |event: &&Ev| filter.as_ref().is_none_or(|filter| (filter.of)(event) == Value::Boolean(true));
    if aggregated.kind == "funnel" {
        let mut after = i64::MIN;
        let walk = aggregated.items.iter().map_while(|step| {
            let takes =
                |event: &&Ev| takes_part(event) && event.at >= after && (step.of)(event) == Value::Boolean(true);
            after = events.iter().filter(takes).map(|event| event.at).min()?;
            Some(after)
        });
        return vec![Value::Integer(walk.count() as i64)];
    }
    let of = |event: &Ev| aggregated.items.iter().map(|item| (item.of)(event)).collect::<Vec<_>>();
    let mut whole: Vec<_> = events.iter().filter(takes_part).map(of).collect();
    whole.retain(|values| !values.contains(&Value::Null));
    whole.sort();
    let values = |values: Option<&Vec<Value>>, from: usize| {
        let nothing = || vec![Value::Null; aggregated.items.len() - from];
        values.map_or_else(nothing, |values| values[from..].to_vec())
    };
    match aggregated.kind {
        // Of no values, none is null.
        "count(*)" | "count" => vec![Value::Integer(whole.len() as i64)],
        "count distinct" => vec![Value::Integer(whole.iter().collect::<BTreeSet<_>>().len() as i64)],
        "sum" => vec![sum(&whole)],
        "min" => values(whole.first(), 0),
        "max" => values(whole.last(), 0),
        "min_by" => values(whole.first(), 1),
        "max_by" => values(whole.last(), 1),
        other => panic!("{other}"),
    }
}

fn sum(whole: &[Vec<Value>]) -> Value {
    let (mut sum, mut make) = (0i128, None::<fn(i64) -> Value>);
    for values in whole {
        let (number, as_one): (_, fn(i64) -> Value) = match values.as_slice() {
            [Value::Integer(number)] => (*number, Value::Integer),
            [Value::Cents(number)] => (*number, Value::Cents),
            other => panic!("{other:?} is added"),
        };
        sum += i128::from(number);
        make = Some(as_one);
    }
    make.and_then(|make| i64::try_from(sum).ok().map(make)).unwrap_or(Value::Null)
}
