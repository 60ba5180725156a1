//! `verify`: each metric's SQL over the stored raw events, against the live tables.

use super::Refused;
use super::text::{grouped, program};
use crate::config::Config;
use crate::delta::Delta;
use crate::instant;
use crate::reconcile::differences;
use crate::sink::memory::Memory;
use crate::sink::sqlite::{Sqlite, quoted, read_value};
use crate::sink::{MadeBy, Sink};
use anyhow::{Context, Result, bail};
use dataflows::flow::METRICS;
use dataflows::table::{Column, TableId, Type, Value};

/// How many differences are shown per table.
const SHOWN: usize = 10;

/// The tables that the metrics' SQL reads.
const READ: [TableId; 3] = [TableId::ConsumerEvents, TableId::CartEvents, TableId::CatalogEvents];

pub(super) fn verify(config: &Config) -> Result<()> {
    let mut sink = Sqlite::open_to_read(&config.warehouse)?;
    let path = config.warehouse.display().to_string();
    // One read transaction sees one commit, whoever writes meanwhile.
    sink.connection().execute_batch("BEGIN")?;
    let progress = sink.position()?.with_context(|| format!("no pipeline has claimed `{path}`"))?;
    let stored = |id: TableId| sink.count(id.table()).map(Option::unwrap_or_default);
    let rows = METRICS.iter().map(|(id, _)| stored(*id)).sum::<Result<u64, _>>()?;
    let raw = READ.iter().map(|id| stored(*id)).sum::<Result<u64, _>>()?;
    if rows > 0 && raw == 0 {
        let why = format!("`{path}` has no raw events to verify by: it was written with `--raw off`");
        return Err(Refused(why).into());
    }
    for id in READ {
        sink.connection().execute_batch(&view(id)).context("could not read the raw tables")?;
    }
    let lateness_ms = config.lateness.filter(|_| progress.made_by == MadeBy::Run).unwrap_or(0);
    let parameters = [(":watermark", progress.watermark), (":lateness_ms", lateness_ms)];
    let mut wrong = 0;
    for (id, sql) in METRICS {
        let name = id.table().name;
        let mut desired = computed(&sink, id, sql, &parameters)?;
        let differences = differences(&mut desired, &mut sink, id)?;
        say!(
            "{name}: {} rows, {} differ from its SQL",
            grouped(sink.count(id.table())?.unwrap_or(0)),
            grouped(differences.len() as u64)
        );
        for delta in differences.iter().take(SHOWN) {
            match delta {
                Delta::Upsert(row) => say!("  should be: {}", shown(row)),
                Delta::Delete(key) => say!("  should not be: {}", shown(key)),
            }
        }
        wrong += differences.len();
    }
    say!("as of epoch {}, watermark {}", progress.epoch, instant::show(progress.watermark));
    if wrong > 0 {
        bail!(
            "{wrong} rows of `{path}` are not what its raw events say; if `lateness` was set for the run, set it for `{} verify` too",
            program()
        );
    }
    Ok(())
}

/// A view over a raw table as the metrics' SQL reads it: instants and money as integers, and `late`.
fn view(id: TableId) -> String {
    let table = id.table();
    let name = quoted(table.name);
    let plain = |column: &Column| {
        let column_name = quoted(column.name);
        match column.ty {
            Type::Instant => {
                format!("CAST(ROUND(unixepoch({column_name}, 'subsec') * 1000) AS INTEGER) AS {column_name}")
            }
            Type::Money => format!("CAST(ROUND({column_name} * 100) AS INTEGER) AS {column_name}"),
            _ => column_name,
        }
    };
    let columns: Vec<_> = table.columns.iter().map(plain).collect();
    let origin: Vec<_> = table.columns[..table.key_columns]
        .iter()
        .map(|column| format!("late.{0} = {name}.{0}", quoted(column.name)))
        .collect();
    format!(
        "CREATE TEMP VIEW {name} AS SELECT {}, EXISTS (SELECT 1 FROM main.late_events AS late WHERE {}) AS late FROM main.{name}",
        columns.join(", "),
        origin.join(" AND ")
    )
}

/// What a metric's SQL says.
fn computed(sink: &Sqlite, id: TableId, sql: &str, parameters: &[(&str, i64)]) -> Result<Memory> {
    let table = id.table();
    let mut statement = sink.connection().prepare(sql)?;
    for (name, value) in parameters {
        if let Some(place) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(place, value)?;
        }
    }
    let desired = Memory::default();
    let mut rows = statement.raw_query();
    let mut contents = desired.contents();
    let into = contents.tables.entry(id).or_default();
    while let Some(row) = rows.next()? {
        let values = table.columns.iter().enumerate().map(|(n, column)| match (column.ty, row.get_ref(n)?) {
            (Type::Instant, rusqlite::types::ValueRef::Integer(at)) => Ok(Value::Instant(at)),
            (Type::Money, rusqlite::types::ValueRef::Integer(cents)) => Ok(Value::Cents(cents)),
            (_, value) => read_value(column, value),
        });
        let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
        into.insert(values[..table.key_columns].to_vec(), values);
    }
    drop(contents);
    Ok(desired)
}

fn shown(values: &[Value]) -> String {
    let texts: Vec<_> = values
        .iter()
        .map(|value| match value {
            Value::Null => "null".to_owned(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Instant(at) => instant::show(*at),
            Value::Cents(cents) => format!("{:.2}", *cents as f64 / 100.0),
            Value::Text(text) => text.chars().take(60).collect(),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        })
        .collect();
    texts.join(" | ")
}
