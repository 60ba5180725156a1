//! Declared families in the engine: random metrics over random histories, late, repeated, on any number of workers, from
//! start to start. After each of them every table is what the printed SQL says over the raw rows.

use crate::dice::{Dice, Words};
use crate::drawn::Drawn;
use crate::support::{self, HOUR_MS, MONDAY_MS, Oracle};
use crate::toys::Kept;
use dataflows::declared::family::{Made, WithSettings};
use dataflows::declared::plan::{Column, Family, Literal, Metric, Once, Type};
use dataflows::declared::reading::{Case, Empty, Reader, Reading, Takes, shown};
use dataflows::family::{Catalogue, FamilyId};
use dataflows::raw::{LATE_EVENTS, REJECTED_EVENTS};
use dataflows::shop::MovieShop;
use dataflows::table::TableId;
use dataflows::time::DAY_MS;
use deltamart::decode::Format;
use deltamart::engine::Lane;
use deltamart::instant;
use deltamart::model::load::known;
use deltamart::model::types::compile_over;
use deltamart::sink::memory::Memory;
use deltamart::source::script::{Script, Step};
use deltamart::source::{Partition, Source};
use std::sync::Arc;

/// What the texts read: a column of each type, with nulls and without.
const COLUMNS: [(&str, Type, bool); 9] = [
    ("t", Type::Instant, false),
    ("u", Type::Instant, true),
    ("a", Type::Number(0), true),
    ("b", Type::Number(0), false),
    ("m", Type::Number(2), true),
    ("d", Type::Number(3), false),
    ("s", Type::Text, true),
    ("w", Type::Text, false),
    ("x", Type::Boolean, true),
];

pub fn things(once: Option<Once>) -> Family {
    let column = |(name, ty, nullable): (&str, Type, bool)| {
        let doc = "What it is, UTC.".to_owned();
        Column { name: name.to_owned(), doc, ty, nullable, is_personal: false }
    };
    Family {
        name: "things".to_owned(),
        doc: "One row per thing.".to_owned(),
        columns: COLUMNS.into_iter().map(column).collect(),
        time: 0,
        person: None,
        once,
        metrics: Vec::new(),
    }
}

pub fn reader() -> &'static Reader {
    let reading = |(column, ty, nullable): (&'static str, Type, bool)| {
        let takes = match ty {
            Type::Boolean => Takes::Boolean,
            Type::Number(decimals) => Takes::Number(decimals, (i64::MIN, i64::MAX)),
            Type::Instant => Takes::Instant,
            Type::Text => Takes::Text { case: Case::Kept, one_of: None, is_person: false },
        };
        let empty = match (nullable, ty) {
            (true, _) => Empty::Is(Literal::Null),
            (false, Type::Text) => Empty::Is(Literal::Text(String::new())),
            (false, _) => Empty::Rejected,
        };
        Reading { column, from: vec![column], takes, empty }
    };
    let readings = COLUMNS.into_iter().map(reading).collect();
    Box::leak(Box::new(Reader::of("things", readings, 0, None).expect("no field is read twice")))
}

/// By which columns events count once: none, all, or all but some, of which the time is none.
pub fn once(dice: &mut Dice) -> Option<Once> {
    let all = 0..COLUMNS.len();
    match dice.of(3) {
        0 => None,
        1 => Some(Once { of: all.collect() }),
        _ => {
            let left_out = [1 + dice.of(8) as usize, 1 + dice.of(8) as usize];
            Some(Once { of: all.filter(|place| !left_out.contains(place)).collect() })
        }
    }
}

/// A family with the metrics of some of these texts: not all of them are metrics.
fn made(dice: &mut Dice, drawn: &mut Drawn) -> &'static Made {
    let mut family = things(once(dice));
    let mut metrics = Vec::new();
    while metrics.len() < 4 {
        // The last is computed of rows of one of the others, as far as they have a time.
        let of_events = metrics.iter().filter(|metric: &&Metric| metric.inner().is_none());
        let of_rows = of_events.clone().find_map(Words::of_rows).filter(|_| metrics.len() == 3 || dice.of(4) == 0);
        let text = match of_rows {
            Some(words) => dice.metric_of(&words),
            None => dice.metric(),
        };
        let name = format!("metric{}", metrics.len());
        let of_events: Vec<_> = of_events.map(|metric| (0, metric.clone())).collect();
        let families = std::slice::from_ref(&family);
        let Ok((_, metric)) = compile_over(&name, &text, families, &of_events) else { continue };
        drawn.see(&metric);
        metrics.push(metric);
    }
    let known = metrics.iter().map(|metric| known(&family, metric)).collect();
    family.metrics = metrics;
    Made::leaked(family, known, reader())
}

/// What happens: mostly in order, some of it late, twice, or nothing that is accepted.
pub fn steps(dice: &mut Dice, once: Option<&Once>) -> Vec<Step> {
    let (mut now, mut steps, mut said) = (MONDAY_MS, Vec::new(), Vec::<String>::new());
    let may_differ: Vec<usize> = match once {
        Some(once) => (0..COLUMNS.len()).filter(|place| !once.of.contains(place)).collect(),
        None => Vec::new(),
    };
    for _ in 0..dice.of(60) {
        now += dice.of(3) as i64 * dice.of(HOUR_MS as u64) as i64 + if dice.of(20) == 0 { DAY_MS } else { 0 };
        let ago = match dice.of(5) {
            0 => dice.of(6 * HOUR_MS as u64) as i64,
            _ => 0,
        };
        let json = match dice.of(12) {
            0 | 1 if !said.is_empty() => {
                let again = said[dice.of(said.len() as u64) as usize].clone();
                let another = thing(dice, now);
                may_differ.iter().fold(again, |again, place| differing(&again, &another, COLUMNS[*place].0))
            }
            2 => "no thing".to_owned(),
            _ => thing(dice, now - ago),
        };
        said.push(json.clone());
        steps.push(Step::Record(dice.of(2) as u32, json.into_bytes()));
        if dice.of(6) == 0 {
            steps.push(Step::Cut);
        }
    }
    steps
}

fn thing(dice: &mut Dice, at: i64) -> String {
    let field = |(name, ty, nullable): (&str, Type, bool)| {
        let value = match (name, dice.value(ty, nullable)) {
            ("t", _) => format!("\"{}\"", instant::show(at)),
            (_, Literal::Null) => "null".to_owned(),
            (_, Literal::Boolean(truth)) => truth.to_string(),
            // Money has bounds of its own.
            ("m", Literal::Number(cents)) => format!("\"{}\"", shown(cents % 100_000_000_000, 2)),
            (_, Literal::Number(number)) => {
                let Type::Number(decimals) = ty else { unreachable!("a number of a number's type") };
                format!("\"{}\"", shown(number, decimals))
            }
            (_, Literal::Instant(ms)) => format!("\"{}\"", instant::show(MONDAY_MS + ms)),
            (_, Literal::Text(text)) => serde_json::to_string(&text).expect("text"),
        };
        format!("\"{name}\":{value}")
    };
    let fields: Vec<_> = COLUMNS.into_iter().map(field).collect();
    format!("{{{}}}", fields.join(","))
}

/// The same thing, but for a field, which it has from another one.
fn differing(thing: &str, other: &str, field: &str) -> String {
    type Fields = serde_json::Map<String, serde_json::Value>;
    let (Ok(mut thing), Ok(mut other)) = (serde_json::from_str::<Fields>(thing), serde_json::from_str::<Fields>(other))
    else {
        return thing.to_owned();
    };
    thing.extend(other.remove_entry(field));
    serde_json::to_string(&thing).expect("an object")
}

pub fn script(made: &'static Made, steps: &[Step], is_sequence: bool) -> Box<dyn Source> {
    let partition = |partition| Partition {
        topic: "things".to_owned(),
        partition,
        family: FamilyId(made),
        format: Format::Json(None),
        status: dataflows::operators::Status::Live,
    };
    let script = Script::new((0..2).map(partition).collect(), steps.iter().cloned().chain([Step::End]));
    Box::new(if is_sequence { script.in_sequence() } else { script })
}

#[test]
fn random_metrics_over_random_histories_are_what_their_sql_says() {
    let mut drawn = Drawn::default();
    let histories = u64::from(support::histories(20));
    let (mut rows, mut late, mut rejected, mut differing) = (0, 0, 0, 0);
    // Others than last time, where somebody says so.
    let first = std::env::var("DELTAMART_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + histories {
        let mut dice = Dice::of_seed(seed);
        let made = made(&mut dice, &mut drawn);
        let steps = steps(&mut dice, made.plan().once.as_ref());
        let catalogue = Catalogue::of(&[&MovieShop, made]);
        let mut options = support::options(1);
        options.commit.catalogue = catalogue;
        options.take_state = false;
        let lane = dataflows::Settings { forget: dice.of(4) > 0, ..options.settings.lane.clone() };
        let family = Arc::new(WithSettings { family: made, lane: lane.clone() });
        options.others.push(Lane { family, idle_timeout_ms: 1_000 });
        let is_sequence = dice.of(2) == 0;
        let mut kept = Kept::new(Memory::of(catalogue));
        let mut read = 0;
        for life in 0..3 {
            options.workers = 1 + dice.of(4) as usize;
            read = if life == 2 { steps.len() } else { read + dice.of((steps.len() - read) as u64 + 1) as usize };
            let nothing: Box<dyn Source> = Box::new(Script::new(support::partitions(1), [Step::End]));
            kept.live(&options, vec![nothing, script(made, &steps[..read], is_sequence)]);
            let contents = kept.sink.contents().clone();
            let watermark = contents.progress.as_ref().expect("claimed").watermarks.of("things");
            let oracle = Oracle::over_all(catalogue, &contents, &|family| match family.name() {
                "things" => lane.parameters(watermark),
                _ => options.settings.parameters(watermark),
            });
            for (n, table) in made.tables().iter().enumerate() {
                let (has, wants) = (contents.rows(*table), oracle.rows(*table));
                assert_eq!(
                    has,
                    wants,
                    "seed {seed}, life {life}, {:?}\n{:?}",
                    made.plan().metrics[n],
                    made.plan().once
                );
                rows += if life == 2 { has.len() } else { 0 };
            }
            let count = |id: TableId| contents.rows(id).len();
            if life == 2 {
                (late, rejected) = (late + count(LATE_EVENTS), rejected + count(REJECTED_EVENTS));
                let records = steps.iter().filter(|step| matches!(step, Step::Record(..))).count();
                differing += usize::from(made.plan().once.as_ref().is_some_and(|once| {
                    let places: Vec<_> = once.of.iter().map(|place| place + 3).collect();
                    let raw = contents.rows(made.raw_table());
                    let of = |row: &Vec<_>| places.iter().map(|place| format!("{:?}", row[*place])).collect::<Vec<_>>();
                    let parts: std::collections::BTreeSet<_> = raw.iter().map(of).collect();
                    let wholes: std::collections::BTreeSet<_> =
                        raw.iter().map(|row| format!("{:?}", &row[3..])).collect();
                    parts.len() < wholes.len()
                }));
                assert_eq!(count(made.raw_table()) + count(REJECTED_EVENTS), records, "every record is somewhere");
            }
        }
    }
    let programs = 4 * histories;
    println!(
        "{programs} metrics: {rows} rows, {late} late, {rejected} rejected, {differing} histories with events that are equal in \
         part alone; of the metrics have {}",
        drawn.shown()
    );
    assert!(rows > 5 * histories as usize && late > 0 && rejected > 0, "{rows} rows, {late} late, {rejected} rejected");
    assert!(histories < 20 || differing > 0, "events that are equal in the columns that count, and differ in others");
    assert!(histories < 20 || drawn.below(1).is_empty(), "never: {:?}", drawn.below(1));
}
