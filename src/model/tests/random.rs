//! Random metrics over random events: what SQLite says of the printed text, and what a plain reading of the plan says.

use super::super::sqlite::broken::{ALL, Rule, breaking};
use super::super::sqlite::select;
use super::super::types::compile_over;
use super::dice::{Dice, Words};
use super::drawn::Drawn;
use super::naive::{answered, rows};
use super::{plan, things};
use dataflows::declared::plan::{Family, Literal, Metric, Once, Output, Type};
use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};
use std::collections::BTreeSet;

/// What ended up to here is final; the watermark is so much further.
const CUT: i64 = 90_000_000;
const LATENESS_MS: i64 = 7_200_000;

/// How many metrics: as many as are asked for, or so many that each part of the language is in 200 of them.
fn metrics() -> u64 {
    std::env::var("METRICS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_600)
}

/// A metric over events.
struct Drawing {
    text: String,
    family: Family,
    metric: Metric,
    events: Vec<Vec<Literal>>,
    /// Which of them came late.
    late: Vec<bool>,
}

/// What a seed draws, if it is a metric: some have too many decimals, or divide by what may be 0.
fn drawing(seed: u64) -> Option<Drawing> {
    let mut dice = Dice::of_seed(seed);
    let text = dice.metric();
    let mut family = things();
    if dice.of(3) == 0 {
        family.once = Some(Once { of: (0..family.columns.len()).collect() });
    }
    let mut events: Vec<Vec<Literal>> = Vec::new();
    for _ in 0..dice.of(12) {
        let event = family.columns.iter().map(|column| dice.value(column.ty, column.nullable)).collect();
        let again =
            (dice.of(4) == 0 && !events.is_empty()).then(|| events[dice.of(events.len() as u64) as usize].clone());
        events.push(again.unwrap_or(event));
    }
    let late = events.iter().map(|_| dice.of(8) == 0).collect();
    let (_, metric) = plan("random", &text).ok()?;
    // Each third is computed of the rows of one.
    if let Some(words) = Words::of_rows(&metric).filter(|_| dice.of(3) == 0) {
        let outer = dice.metric_of(&words);
        let (_, outer_metric) = compile_over("of_rows", &outer, &[family.clone()], &[(0, metric)]).ok()?;
        return Some(Drawing { text: format!("{text}\n{outer}"), family, metric: outer_metric, events, late });
    }
    Some(Drawing { text, family, metric, events, late })
}

impl Drawing {
    /// What a plain reading says.
    fn expected(&self) -> Vec<Vec<Literal>> {
        let in_time = self.events.iter().zip(&self.late).filter(|(_, late)| !**late).map(|(event, _)| event.clone());
        let events: Vec<_> = match self.family.once {
            Some(_) => in_time.collect::<BTreeSet<_>>().into_iter().collect(),
            None => in_time.collect(),
        };
        let events = answered(&self.metric, self.family.time, &events, CUT + LATENESS_MS);
        let shown = rows(&self.metric, &events, CUT).into_iter().filter(|row| row.is_shown);
        let mut rows: Vec<_> = shown.map(|row| row.values).collect();
        rows.sort();
        rows
    }

    /// What SQLite says; or why it says nothing.
    fn in_sqlite(&self) -> Result<Vec<Vec<Literal>>, String> {
        let connection = Connection::open_in_memory().expect("SQLite");
        connection.execute_batch("CREATE TABLE things (t, u, a, b, m, d, s, w, x, late)").expect("a table");
        for (event, late) in self.events.iter().zip(&self.late) {
            let values = event.iter().map(sql_value).chain([i64::from(*late).into()]);
            let sql = "INSERT INTO things VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
            connection.execute(sql, rusqlite::params_from_iter(values)).expect("a row");
        }
        said(&connection, &select(&self.family, &self.metric), &self.metric)
    }
}

pub(super) fn sql_value(value: &Literal) -> Value {
    match value {
        Literal::Null => Value::Null,
        Literal::Boolean(truth) => i64::from(*truth).into(),
        Literal::Number(number) | Literal::Instant(number) => (*number).into(),
        Literal::Text(text) => text.clone().into(),
    }
}

/// The rows that SQLite finds, as a metric has them.
pub(super) fn said(connection: &Connection, sql: &str, metric: &Metric) -> Result<Vec<Vec<Literal>>, String> {
    let mut statement = connection.prepare(sql).map_err(|error| format!("{error}\n{sql}"))?;
    for (parameter, value) in [(":watermark", CUT + LATENESS_MS), (":lateness_ms", LATENESS_MS)] {
        if let Some(place) = statement.parameter_index(parameter).expect("a parameter") {
            statement.raw_bind_parameter(place, value).expect("bound");
        }
    }
    let (mut found, mut rows) = (Vec::new(), statement.raw_query());
    while let Some(row) = rows.next().map_err(|error| format!("{error}\n{sql}"))? {
        let value = |(n, output): (usize, &Output)| match (row.get_ref(n), output.value.ty) {
            (Ok(ValueRef::Null), _) => Ok(Literal::Null),
            (Ok(ValueRef::Integer(number)), Type::Boolean) => Ok(Literal::Boolean(number != 0)),
            (Ok(ValueRef::Integer(number)), Type::Number(_)) => Ok(Literal::Number(number)),
            (Ok(ValueRef::Integer(number)), Type::Instant) => Ok(Literal::Instant(number)),
            (Ok(ValueRef::Text(text)), Type::Text) => Ok(Literal::Text(String::from_utf8_lossy(text).into_owned())),
            (other, ty) => Err(format!("{other:?} of {ty:?}\n{sql}")),
        };
        found.push(metric.outputs.iter().enumerate().map(value).collect::<Result<Vec<_>, _>>()?);
    }
    found.sort();
    Ok(found)
}

#[test]
fn sqlite_says_of_random_metrics_what_their_plans_say() {
    let (mut compiled, metrics, mut drawn) = (0, metrics(), Drawn::default());
    for seed in 1..=metrics {
        let Some(drawing) = drawing(seed) else { continue };
        compiled += 1;
        drawn.see(&drawing.metric);
        let said = drawing.in_sqlite().unwrap_or_else(|why| panic!("seed {seed}\n{}\n{why}", drawing.text));
        let sql = || select(&drawing.family, &drawing.metric);
        assert_eq!(said, drawing.expected(), "seed {seed}\n{}\n{:?}\n{}", drawing.text, drawing.events, sql());
        for row in &said {
            for (value, output) in row.iter().zip(&drawing.metric.outputs) {
                assert!(
                    output.value.nullable || *value != Literal::Null,
                    "`{}` is null: seed {seed}\n{}",
                    output.name,
                    drawing.text
                );
            }
        }
    }
    println!("{compiled} of {metrics} texts are metrics; of them have {}", drawn.shown());
    assert!(compiled > metrics / 4, "{compiled} of {metrics}");
    assert!(metrics < 3_600 || drawn.below(200).is_empty(), "too seldom: {:?}", drawn.below(200));
}

/// Each rule of the printer is broken once: SQLite says something else, or refuses.
#[test]
fn whatever_rule_of_the_printer_is_broken_is_noticed() {
    let noticed = |rule: Rule, seed: u64| {
        let drawing = drawing(seed)?;
        let expected = drawing.expected();
        match breaking(rule, || drawing.in_sqlite()) {
            Ok(said) => (said != expected).then(|| "other rows".to_owned()),
            Err(why) => Some(why.lines().next().unwrap_or_default().to_owned()),
        }
    };
    let mut unnoticed = Vec::new();
    for rule in ALL {
        match (1..=2_400).find_map(|seed| Some((seed, noticed(*rule, seed)?))) {
            Some((seed, how)) => println!("{rule:?}: noticed by seed {seed}: {how}"),
            None => unnoticed.push(rule),
        }
    }
    assert!(unnoticed.is_empty(), "nothing notices: {unnoticed:?}");
}
