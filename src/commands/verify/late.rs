//! `late`: which rows of a metric the late events would have changed. Its SQL is computed twice, over the raw events that
//! were in time, and over all of them.

use super::super::rows::{Grid, Head};
use super::super::text::{at, count, grouped, program};
use super::super::{Refused, families};
use super::{Outcome, computed, metric, refuse_what_is_gone, refuse_what_is_half_done, shown};
use crate::cli::LateArgs;
use crate::commands::outcome::FAILED;
use crate::config::Config;
use crate::families::{SHOP, all};
use crate::instant;
use crate::reconcile::{Differ, differences};
use crate::sink::memory::Memory;
use crate::sink::sqlite::trouble::Checked;
use crate::sink::sqlite::{Sqlite, quoted};
use crate::sink::{Progress, Sink};
use crate::specification;
use crate::specification::raw::copy;
use anyhow::{Context, Result, bail};
use dataflows::declared::reading::shown as decimal;
use dataflows::delta::Delta;
use dataflows::family::FamilyId;
use dataflows::table::{TableId, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

type Row = Vec<Value>;

/// A row that the late events would have changed: without them, and with them.
struct Differs {
    without: Option<Row>,
    with: Option<Row>,
}

/// Says which rows of a metric would be others if no event had been late.
pub(in super::super) fn late(config: &Config, arguments: &LateArgs) -> Result<Outcome> {
    let LateArgs { table, limit } = arguments;
    let id = metric(config, table)?;
    let mut sink = Sqlite::open_to_read(all(), &config.warehouse)?;
    if let Checked::Damaged(why) = sink.quick_check()? {
        bail!(why);
    }
    let path = config.warehouse.display().to_string();
    // One read transaction sees one commit, also while a run writes.
    sink.connection().execute_batch("BEGIN")?;
    let progress = sink.position()?.with_context(|| format!("no pipeline has claimed `{path}`"))?;
    refuse_what_is_gone(config, &sink, &path)?;
    refuse_what_is_half_done(config, &path)?;
    let family = all().family_of(id).unwrap_or(SHOP);
    let stored = |id: TableId| sink.count(id.table()).map(Option::unwrap_or_default);
    if family.raw().into_iter().map(stored).sum::<Result<u64, _>>()? == 0 && stored(id)? > 0 {
        let why = format!("`{path}` has no raw events to compute `{}` of: it was written with `--raw off`", id.name());
        return Err(Refused(why).into());
    }
    let of_raw = family.raw().into_iter().map(|raw| Ok((raw, late_in(&sink, raw)?)));
    let of_raw: Vec<_> = of_raw.filter(|late| !matches!(late, Ok((_, 0)))).collect::<Result<_>>()?;
    let events: u64 = of_raw.iter().map(|(_, late)| late).sum();
    let outcome = Outcome::of(false).with("table", id.name()).with("late_events", events).with("epoch", progress.epoch);
    let as_of =
        format!("as of epoch {}, watermark {}", progress.epoch, instant::show(progress.watermarks.of(family.name())));
    if events == 0 {
        say!("no event of `{}` was late: `{}` has all of them\n{as_of}", family.name(), id.name());
        return Ok(outcome.with("differ", 0).with("rows", Vec::<Json>::new()));
    }
    let mut without = says(config, &sink, (family, id), &progress, Late::LeftOut)?;
    let mut with = says(config, &sink, (family, id), &progress, Late::Counted)?;
    let is_wrong = differences(&mut without, &mut sink, id, Differ::InSubstance)?.len();
    let differ = differing(&mut with, &mut without, id)?;
    let tables: Vec<_> = of_raw.iter().map(|(raw, late)| format!("{} in `{}`", grouped(*late), raw.name())).collect();
    say!("{}: {}", count(events, "late event"), tables.join(", "));
    match differ.len() {
        0 => say!("no row of `{}` would be another with them", id.name()),
        rows => {
            say_as_is!("{}", table_of(id, &differ[..rows.min(*limit)]));
            if rows > *limit {
                say!("{limit} of {} are shown; more with `--limit N`", count(rows as u64, "row"));
            }
            say!("{}", summed(id, &differ));
        }
    }
    say!("{as_of}");
    let rows: Vec<_> = differ.iter().take(*limit).map(|differs| differs.json(id)).collect();
    let outcome = outcome.with("differ", differ.len()).with("rows", rows);
    if is_wrong > 0 {
        let why = format!(
            "`{}` is not what its SQL says even without the late events, and so this may be wrong too; see:  {} verify {}{}",
            id.name(),
            program(),
            id.name(),
            at(config)
        );
        return Ok(outcome.complaining(FAILED, why));
    }
    Ok(outcome)
}

/// How many events of a raw table were late.
fn late_in(sink: &Sqlite, raw: TableId) -> Result<u64> {
    let key: Vec<_> = raw.table().columns[..raw.table().key_columns].iter().map(|column| quoted(column.name)).collect();
    let (name, key) = (quoted(raw.name()), key.join(", "));
    let sql = format!("SELECT COUNT(*) FROM {name} WHERE ({key}) IN (SELECT {key} FROM late_events)");
    Ok(sink.connection().query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// What becomes of the late events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    LeftOut,
    Counted,
}

/// What the SQL of a metric says.
fn says(
    config: &Config,
    sink: &Sqlite,
    (family, id): (FamilyId, TableId),
    progress: &Progress,
    late: Late,
) -> Result<Memory> {
    for raw in family.raw() {
        let all = vec![true; raw.table().columns.len()];
        copy(sink.connection(), raw, &all).context("could not read the raw tables")?;
        if late == Late::Counted {
            // Before what is repeated is left out: a late event may be one that came in time too.
            let all_in_time = format!("UPDATE temp.{} SET late = 0", quoted(raw.name()));
            sink.connection().execute_batch(&all_in_time).context("could not count the late events")?;
        }
    }
    let families = families(config, progress.made_by);
    specification::execute_of(&[family], sink.connection(), &|of| {
        let family = families.iter().find(|family| family.family() == of);
        family.map(|family| family.parameters(progress.watermarks.of(of.name()))).unwrap_or_default()
    })?;
    let says = computed(sink, id)?;
    specification::forget(all(), sink.connection())?;
    Ok(says)
}

fn differing(with: &mut Memory, without: &mut Memory, id: TableId) -> Result<Vec<Differs>> {
    let key_columns = id.table().key_columns;
    let rows = without.contents().rows(id);
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row[..key_columns].to_vec(), row)).collect();
    let differs = differences(with, without, id, Differ::InSubstance)?.into_iter().map(|delta| {
        let without = rows.get(delta.key(id)).cloned();
        let with = if let Delta::Upsert(row) = delta { Some(row) } else { None };
        Differs { without, with }
    });
    Ok(differs.collect())
}

impl Differs {
    /// The values of a column: without the late events, and with them.
    fn values(&self, place: usize) -> [Option<&Value>; 2] {
        [&self.without, &self.with].map(|row| row.as_ref().and_then(|row| row.get(place)))
    }

    fn json(&self, id: TableId) -> Json {
        let of = |row: &Option<Row>, from: usize, to: usize| {
            let Some(row) = row else { return Json::Null };
            let named = id.table().columns.iter().zip(row).take(to).skip(from);
            let named = named.map(|(column, value)| (column.name.to_owned(), for_programs(value)));
            Json::Object(named.collect::<Map<_, _>>())
        };
        let (key, all) = (id.table().key_columns, id.table().columns.len());
        let of_key = of(if self.with.is_some() { &self.with } else { &self.without }, 0, key);
        json!({ "key": of_key, "without": of(&self.without, key, all), "with": of(&self.with, key, all) })
    }
}

/// The key, and the columns that differ in any row.
fn table_of(id: TableId, rows: &[Differs]) -> String {
    let (columns, key) = (&id.table().columns, id.table().key_columns);
    let changes = |place: &usize| {
        let mut values = rows.iter().map(|row| row.values(*place));
        values.any(|[without, with]| without != with)
    };
    let places: Vec<_> = (0..key).chain((key..columns.len()).filter(changes)).collect();
    let head = |place: &usize| Head { name: columns[*place].name.to_owned(), right: false, whole: *place < key };
    let cell = |row: &Differs, place: usize| match row.values(place) {
        [Some(without), Some(with)] if without == with => for_people(with),
        [without, Some(with)] if place < key && without.is_none() => for_people(with),
        [Some(without), with] if place < key && with.is_none() => for_people(without),
        [Some(without), Some(with)] => format!("{} → {}{}", for_people(without), for_people(with), by(without, with)),
        [None, Some(with)] => format!("no row → {}", for_people(with)),
        [Some(without), None] => format!("{} → no row", for_people(without)),
        [None, None] => String::new(),
    };
    let cells = |row: &Differs| places.iter().map(|place| cell(row, *place)).collect();
    Grid { columns: places.iter().map(head).collect(), rows: rows.iter().map(cells).collect() }
        .fit(crate::shown::width())
}

/// By how much a number differs.
fn by(without: &Value, with: &Value) -> String {
    let (before, after, decimals) = match (without, with) {
        (Value::Integer(before), Value::Integer(after)) => (before, after, 0),
        (Value::Cents(before), Value::Cents(after)) => (before, after, 2),
        (Value::Milli(before), Value::Milli(after)) => (before, after, 3),
        (Value::Share(before), Value::Share(after)) => (before, after, 4),
        _ => return String::new(),
    };
    let sign = if after > before { "+" } else { "" };
    after.checked_sub(*before).map(|by| format!(" ({sign}{})", decimal(by, decimals))).unwrap_or_default()
}

/// How many rows would be others, or there, or not there.
fn summed(id: TableId, differ: &[Differs]) -> String {
    let (mut others, mut more, mut gone) = (0, 0, 0);
    for Differs { without, with } in differ {
        match (without, with) {
            (Some(_), Some(_)) => others += 1,
            (None, _) => more += 1,
            (Some(_), None) => gone += 1,
        }
    }
    let parts = [(others, "with other values"), (more, "new"), (gone, "gone")];
    let parts = parts.iter().filter(|(rows, _)| *rows > 0);
    let parts: Vec<_> = parts.map(|(rows, what)| format!("{} {what}", grouped(*rows))).collect();
    let rows = count(differ.len() as u64, "row");
    format!("{rows} of `{}` would be different with the late events: {}", id.name(), parts.join(", "))
}

fn for_people(value: &Value) -> String {
    if let Value::Instant(at) = value {
        return instant::show(*at).trim_end_matches('Z').trim_end_matches(".000").replace('T', " ");
    }
    shown(std::slice::from_ref(value))
}

/// A value as JSON has it: decimals as numbers while a double says them exactly enough.
fn for_programs(value: &Value) -> Json {
    let number = |units: i64, decimals: u8| {
        let text = decimal(units, decimals);
        let is_exact = units.unsigned_abs() < 1 << 53;
        is_exact.then(|| text.parse::<f64>().ok().map(Json::from)).flatten().unwrap_or(Json::from(text))
    };
    match value {
        Value::Null => Json::Null,
        Value::Boolean(truth) => Json::from(*truth),
        Value::Integer(number) => Json::from(*number),
        Value::Instant(at) => Json::from(instant::show(*at)),
        Value::Cents(cents) => number(*cents, 2),
        Value::Milli(milli) => number(*milli, 3),
        Value::Share(share) => number(*share, 4),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => Json::from(String::from_utf8_lossy(bytes).into_owned()),
    }
}
