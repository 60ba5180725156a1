//! Fifty random families beside one with two hundred metrics: each has its own file, and all are read in one run.

use super::{Rows, ask, late, model, table, twice};
use crate::cli::{deltamart, said};
use crate::dice::{Dice, Words};
use crate::naive::{Row, rows};
use crate::support::{HOUR_MS, MONDAY_MS};
use dataflows::declared::plan::{Literal, Metric, Type, Window};
use dataflows::declared::reading::shown;
use dataflows::time::DAY_MS;
use deltamart::instant;
use deltamart::model::duckdb::over_feed;
use deltamart::model::load::Loaded;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const FAMILIES: usize = 50;
const METRICS: usize = 200;
/// What a text is where there is none, in a column that is never null.
const NOTHING: &str = "-";

struct Column {
    name: String,
    ty: Type,
    nullable: bool,
    /// The object that the field is in, if it is in one.
    within: Option<&'static str>,
}

/// A family, its file and its metrics.
struct Drawn {
    name: String,
    columns: Vec<Column>,
    once: bool,
    lateness_ms: i64,
    metrics: Vec<(String, String)>,
    lines: Vec<String>,
    /// What each line says; a line that says nothing is rejected.
    events: Vec<Option<Vec<Literal>>>,
}

/// What can be written of such columns.
fn words(name: &str, columns: &[Column]) -> Words {
    let of = |is: fn(Type) -> bool| {
        columns.iter().filter(move |column| is(column.ty)).map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    let (mut numbers, mut texts) = (of(|ty| matches!(ty, Type::Number(_))), of(|ty| ty == Type::Text));
    let (mut instants, mut conditions) = (of(|ty| ty == Type::Instant), of(|ty| ty == Type::Boolean));
    conditions.extend(columns.iter().skip(1).map(|column| format!("{} IS NULL", column.name)));
    conditions.extend(numbers.iter().map(|column| format!("{column} > 0")));
    conditions.extend(texts.iter().map(|column| format!("{column} LIKE '%a_'")));
    numbers.extend(texts.iter().map(|column| format!("length({column})")));
    numbers.extend(instants.iter().skip(1).map(|column| format!("date_diff('hour', {}, {column})", columns[0].name)));
    texts.extend(["'a'".to_owned(), "'it''s'".to_owned()]);
    instants.push("TIMESTAMP '2026-01-06 12:00:00'".to_owned());
    let (family, time) = (name.to_owned(), columns[0].name.clone());
    Words { family, time, numbers, texts, instants, conditions, ..Words::of_things() }.tamed()
}

/// Columns of a family of any kind: a time, a number, a text, and some more.
fn columns(dice: &mut Dice) -> Vec<Column> {
    let all = [Type::Number(0), Type::Number(2), Type::Number(3), Type::Text, Type::Boolean, Type::Instant];
    let mut types = vec![Type::Instant, Type::Number([0, 2, 3][dice.of(3) as usize]), Type::Text];
    types.extend((0..dice.of(6)).map(|_| all[dice.of(6) as usize]));
    let column = |(n, ty): (usize, Type)| Column {
        name: format!("c{n}"),
        ty,
        nullable: n > 0 && dice.of(2) == 0,
        within: (dice.of(4) == 0).then_some("inner"),
    };
    types.into_iter().enumerate().map(column).collect()
}

fn draw(dice: &mut Dice, name: String, metrics: usize, lines: usize) -> Drawn {
    let columns = columns(dice);
    let words = words(&name, &columns);
    let metrics = (0..metrics * 4).map(|n| (format!("m{n}_of_{name}"), dice.metric_of(&words))).collect();
    let (once, lateness_ms) = (dice.of(2) == 0, HOUR_MS * (1 + dice.of(8) as i64));
    let mut drawn = Drawn { name, columns, once, lateness_ms, metrics, lines: Vec::new(), events: Vec::new() };
    let mut now = MONDAY_MS;
    for _ in 0..lines {
        now += dice.of(3) as i64 * dice.of(HOUR_MS as u64) as i64 + if dice.of(20) == 0 { 2 * DAY_MS } else { 0 };
        let ago = if dice.of(5) == 0 { dice.of(12 * HOUR_MS as u64) as i64 } else { 0 };
        let (line, event) = match dice.of(15) {
            // A file is known by its first line.
            _ if drawn.lines.is_empty() => drawn.event(dice, now),
            0 => ("no JSON".to_owned(), None),
            1 => ("{\"c0\":null}".to_owned(), None),
            2 => {
                let again = dice.of(drawn.lines.len() as u64) as usize;
                (drawn.lines[again].clone(), drawn.events[again].clone())
            }
            _ => drawn.event(dice, now - ago),
        };
        drawn.lines.push(line);
        drawn.events.push(event);
    }
    drawn
}

impl Drawn {
    /// A line, and what it says.
    fn event(&self, dice: &mut Dice, at: i64) -> (String, Option<Vec<Literal>>) {
        let (mut fields, mut inner, mut event) = (Vec::new(), Vec::new(), Vec::new());
        for (n, column) in self.columns.iter().enumerate() {
            let value = match dice.small(column.ty, column.nullable) {
                _ if n == 0 => Literal::Instant(at),
                Literal::Instant(ms) => Literal::Instant(MONDAY_MS + ms),
                value @ (Literal::Null | Literal::Boolean(_) | Literal::Number(_) | Literal::Text(_)) => value,
            };
            let field = match &value {
                Literal::Null if dice.of(2) == 0 => None,
                Literal::Null => Some("null".to_owned()),
                Literal::Boolean(truth) => Some(truth.to_string()),
                Literal::Number(number) => {
                    let Type::Number(decimals) = column.ty else { unreachable!("a number of a number's type") };
                    let number = shown(*number, decimals);
                    Some(if dice.of(2) == 0 { number } else { format!("\"{number}\"") })
                }
                Literal::Instant(ms) => Some(format!("\"{}\"", instant::show(*ms))),
                Literal::Text(text) => Some(serde_json::to_string(text).expect("text")),
            };
            let into = if column.within.is_some() { &mut inner } else { &mut fields };
            into.extend(field.map(|field| format!("\"{}\":{field}", column.name)));
            event.push(match value {
                Literal::Text(text) if text.is_empty() && column.nullable => Literal::Null,
                Literal::Text(text) if text.is_empty() => Literal::Text(NOTHING.to_owned()),
                value => value,
            });
        }
        fields.push(format!("\"of\":\"{}\"", self.name));
        fields.push(format!("\"inner\":{{{}}}", inner.join(",")));
        (format!("{{{}}}", fields.join(",")), Some(event))
    }

    /// The file of the model.
    fn toml(&self) -> String {
        let once = if self.once { "once = \"everything\"\n" } else { "" };
        let mut toml = format!(
            "doc = \"One row per event.\"\ntime = \"c0\"\nperson = \"none\"\nlateness = \"{}ms\"\n{once}\n[columns]\n",
            self.lateness_ms
        );
        for Column { name, ty, nullable, within } in &self.columns {
            let kind = match ty {
                Type::Boolean => "boolean",
                Type::Number(0) => "integer",
                Type::Number(2) => "money",
                Type::Number(_) => "decimal",
                Type::Instant => "instant",
                Type::Text => "text",
            };
            let empty = match (nullable, ty) {
                (true, _) => "null = true, ".to_owned(),
                (false, Type::Text) => format!("empty = \"{NOTHING}\", "),
                (false, _) => String::new(),
            };
            let from = within.map(|within| format!("from = \"{within}.{name}\", ")).unwrap_or_default();
            toml += &format!("{name} = {{ type = \"{kind}\", {empty}{from}doc = \"It, UTC.\" }}\n");
        }
        toml
    }

    fn late(&self) -> Vec<bool> {
        let times = self.events.iter().map(|event| match event.as_ref().map(|event| &event[0]) {
            Some(Literal::Instant(at)) => Some(*at),
            _ => None,
        });
        late(&times.collect::<Vec<_>>(), self.lateness_ms)
    }

    /// The events that metrics count.
    fn counted(&self) -> Vec<Vec<Literal>> {
        let in_time = self.events.iter().zip(self.late()).filter(|(_, late)| !late);
        let events = in_time.filter_map(|(event, _)| event.clone());
        if self.once { events.collect::<BTreeSet<_>>().into_iter().collect() } else { events.collect() }
    }

    /// The same, as SQL over the file.
    fn view(&self) -> String {
        let columns = self.columns.iter().map(|Column { name, ty, nullable, within }| {
            let field = match within {
                Some(within) => format!("json->>'$.{within}.{name}'"),
                None => format!("json->>'$.{name}'"),
            };
            let value = match ty {
                Type::Boolean => format!("({field})::BOOLEAN"),
                Type::Number(0) => format!("({field})::BIGINT"),
                Type::Number(decimals) => format!("({field})::DECIMAL(18,{decimals})"),
                Type::Instant => format!("({field})::TIMESTAMP"),
                Type::Text if *nullable => format!("nullif({field}, '')"),
                Type::Text => format!("coalesce(nullif({field}, ''), '{NOTHING}')"),
            };
            format!("{value} AS {name}")
        });
        let late: Vec<_> = (1..).zip(self.late()).filter(|(_, late)| *late).map(|(line, _)| line.to_string()).collect();
        format!(
            "SELECT {}{} FROM (SELECT row_number() OVER () AS line, json FROM read_ndjson_objects('{}.jsonl', \
             ignore_errors = true)) WHERE json->>'$.c0' IS NOT NULL{} AND line NOT IN (0{})",
            if self.once { "DISTINCT " } else { "" },
            columns.collect::<Vec<_>>().join(", "),
            self.name,
            if self.columns[0].within.is_some() { " OR json->>'$.inner.c0' IS NOT NULL" } else { "" },
            late.iter().map(|line| format!(", {line}")).collect::<String>(),
        )
    }
}

/// When the first window of a group ends.
pub(super) fn end(metric: &Metric, time: &str) -> String {
    let ends = metric.leaves.iter().map(|(_, window)| match window {
        Window::Width(ms) => format!("make_timestamp((epoch_ms({time}) // {ms} * {ms} + {ms}) * 1000)"),
        Window::Week => format!("date_trunc('week', {time}) + INTERVAL 7 DAY"),
        Window::Month => format!("last_day({time})::TIMESTAMP + INTERVAL 1 DAY"),
    });
    format!("least({})", ends.collect::<Vec<_>>().join(", "))
}

/// How many rows differ that may: those of groups in which something is tied. Any other is a mistake.
pub fn set_aside(what: &str, found: &Rows, groups: &[Row], keys: usize) -> usize {
    let found = found.as_ref().unwrap_or_else(|why| panic!("{what}\n{why}"));
    let tied: BTreeSet<_> = groups.iter().filter(|row| row.is_tied).map(|row| &row.values[..keys]).collect();
    let expected: BTreeSet<_> = groups.iter().filter(|row| row.is_shown).map(|row| &row.values[..]).collect();
    let found_set: BTreeSet<_> = found.iter().map(Vec::as_slice).collect();
    assert_eq!(found.len(), found_set.len(), "a row twice: {what}");
    let differ: Vec<_> = expected.symmetric_difference(&found_set).collect();
    for row in &differ {
        let other = expected.iter().chain(&found_set).find(|other| other[..keys] == row[..keys] && *other != *row);
        assert!(tied.contains(&row[..keys]), "{what}\n{row:?}\nagainst {other:?}");
    }
    differ.iter().map(|row| &row[..keys]).collect::<BTreeSet<_>>().len()
}

/// Runs it all, and gives the metrics with their groups as plain loops find them.
fn run(at: &Path, all: &mut [Drawn]) -> Vec<Loaded> {
    std::fs::create_dir(at.join("model")).expect("makes it");
    for drawn in &*all {
        std::fs::write(at.join(format!("model/{}.toml", drawn.name)), drawn.toml()).expect("writes");
        let lines: String = drawn.lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(at.join(format!("{}.jsonl", drawn.name)), lines).expect("writes");
    }
    let families = model(&at.join("model"));
    for drawn in &mut *all {
        let family = families.iter().map(|loaded| loaded.family.plan()).find(|plan| plan.name == drawn.name);
        let family = std::slice::from_ref(family.expect("it was declared"));
        let wanted = drawn.metrics.len() / 4;
        drawn.metrics.retain(|(name, text)| deltamart::model::types::compile(name, text, family).is_ok());
        drawn.metrics.truncate(wanted);
        for (name, text) in &drawn.metrics {
            std::fs::write(at.join(format!("model/{name}.sql")), text).expect("writes");
        }
    }
    let files: Vec<_> = all.iter().map(|drawn| format!("{0}={0}.jsonl", drawn.name)).collect();
    let mut arguments = vec!["run", "--set", "feed.path=feed", "-w", "2"];
    arguments.extend(files.iter().map(String::as_str));
    let (code, text) = said(&deltamart(at, &arguments));
    assert_eq!(code, Some(0), "{text}");
    model(&at.join("model"))
}

#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_says_of_random_metrics_what_their_tables_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let mut dice = Dice::of_seed(20_260_105);
    let mut all = vec![draw(&mut dice, "widest".to_owned(), METRICS, 250)];
    all.extend((0..FAMILIES).map(|n| draw(&mut dice, format!("family{n}"), 2, 60)));
    let loaded = run(at, &mut all);
    let mut jobs = Vec::new();
    let mut groups = BTreeMap::new();
    for drawn in &all {
        let plan = loaded.iter().map(|loaded| loaded.family.plan()).find(|plan| plan.name == drawn.name);
        let (plan, counted) = (plan.expect("it was declared"), drawn.counted());
        for (name, text) in &drawn.metrics {
            let metric = plan.metrics.iter().find(|metric| metric.name == *name).expect("it was declared");
            let own = twice(name, text, &drawn.view(), &end(metric, "c0"), (&drawn.name, drawn.lateness_ms));
            let feed = over_feed(plan, metric, text, Some(drawn.lateness_ms));
            jobs.push((metric, vec![("table", table(metric)), ("feed", feed), ("file", own)]));
            groups.insert(name.as_str(), (drawn, counted.clone()));
        }
    }
    let found = ask(at, &jobs);
    let (mut rows_in_all, mut aside, mut finals) = (0, 0, 0);
    for (metric, _) in &jobs {
        let of = |script: &str| &found[&(metric.name.clone(), script.to_owned())];
        let (drawn, counted) = &groups[metric.name.as_str()];
        let kept = of("table").as_ref().expect("the table is there");
        let cut = watermark(at, &drawn.name) - drawn.lateness_ms;
        let found = rows(metric, counted, cut);
        let text = &drawn.metrics.iter().find(|(name, _)| *name == metric.name).expect("it was drawn").1;
        let mut expected: Vec<_> = found.iter().filter(|row| row.is_shown).map(|row| row.values.clone()).collect();
        expected.sort();
        assert_eq!(*kept, expected, "{}\n{text}", metric.name);
        for script in ["feed", "file"] {
            aside +=
                set_aside(&format!("{} by the {script}\n{text}", metric.name), of(script), &found, metric.keys.len());
        }
        rows_in_all += kept.len();
        finals += kept.iter().filter(|row| row.last() == Some(&Literal::Boolean(true))).count();
    }
    let (lates, onces) = (
        all.iter().map(|drawn| drawn.late().iter().filter(|late| **late).count()).sum::<usize>(),
        all.iter().filter(|drawn| drawn.once).count(),
    );
    println!(
        "{} metrics of {} families: {rows_in_all} rows, {finals} of them final, {lates} events late, once in {onces}; {aside} \
         rows set aside, of the feed and of the files",
        jobs.len(),
        all.len()
    );
    assert_eq!((jobs.len(), all.len()), (METRICS + 2 * FAMILIES, FAMILIES + 1));
    assert!(finals > 100 && finals < rows_in_all && lates > 50 && onces > 10);
    assert!(aside * 10 < 2 * rows_in_all, "too many: {aside} of {rows_in_all}");
}

/// The watermark of a family, as the feed's newest commit has it.
pub(super) fn watermark(at: &Path, family: &str) -> i64 {
    let newest =
        std::fs::read_dir(at.join("feed/_progress")).expect("a feed").map(|entry| entry.expect("entry").path());
    let text = std::fs::read_to_string(newest.max().expect("a commit")).expect("text");
    let progress: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let said = progress["watermarks"][family].as_str().expect("the family's watermark");
    instant::written(said).expect("an instant")
}
