//! `show`: rows and tables, for people.

use super::Refused;
use super::text::grouped;
use crate::config::Config;
use crate::families::all;
use crate::instant;
use crate::shown;
use crate::sink::sqlite::{Sqlite, quoted};
use crate::sink::{Sink, by_minute};
use anyhow::Result;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use dataflows::table::{Column, Table as Declared, TableId, Type, stamp_columns};
use rusqlite::types::ValueRef;

/// Longer values are cut when they are shown.
const SHOWN_CHARS: usize = 60;

/// Rows as they are shown: the names of the columns, and per row what each holds.
struct Shown {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

pub(super) fn rows(config: &Config, name: &str, limit: usize, last: bool) -> Result<()> {
    let views: Vec<_> = by_minute::all(all()).map(|(of, view, _)| by_minute::table(of, view)).collect();
    let tables = || all().tables().iter().map(|id| id.table()).chain(&views);
    let Some(declared) = tables().find(|table| table.name == name) else {
        let names: Vec<_> = tables().map(|table| table.name).collect();
        return Err(Refused(format!("there is no table `{name}`; there are {}", names.join(", "))).into());
    };
    let mut sink = Sqlite::open_to_read(all(), &config.warehouse)?;
    if sink.position()?.is_none() {
        return Err(Refused(format!(
            "`{}` is no warehouse of ours: no pipeline has claimed it",
            config.warehouse.display()
        ))
        .into());
    }
    let count = sink.count(declared)?.unwrap_or_default();
    say!("{}", declared.doc);
    say!("{}", rows_of(&sink, declared, limit, last)?.fit());
    let shown = count.min(limit as u64);
    say!("{} of {} rows{}", grouped(shown), grouped(count), if shown < count { " (--limit N, --last)" } else { "" });
    Ok(())
}

pub(super) fn tables(config: &Config) -> Result<()> {
    let mut sink = Sqlite::open_to_read(all(), &config.warehouse)?;
    say!("{}", table_of(&|id| Ok(sink.count(id.table())?.unwrap_or_default()))?);
    if let Some(progress) = sink.position()? {
        say!(
            "epoch {}, watermark {}, committed at {}",
            progress.epoch,
            progress.watermarks,
            instant::show(progress.committed_at)
        );
    }
    Ok(())
}

/// All tables with their sizes; what they say only where there is room for it.
pub(super) fn table_of(count: &dyn Fn(TableId) -> Result<u64>) -> Result<String> {
    let whole = described(count, true)?;
    if fits(&whole) { Ok(whole) } else { described(count, false) }
}

/// Whether a text is no wider than the terminal, if there is one.
fn fits(text: &str) -> bool {
    let width = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    terminal_size::terminal_size().is_none_or(|(terminal_size::Width(columns), _)| width <= columns.into())
}

fn described(count: &dyn Fn(TableId) -> Result<u64>, whole: bool) -> Result<String> {
    let mut shown = plain_table();
    shown.set_header(["table", "rows", "what it says"].into_iter().take(if whole { 3 } else { 2 }));
    for id in all().tables() {
        let table = id.table();
        let count = Cell::new(grouped(count(*id)?)).set_alignment(CellAlignment::Right);
        let cells = [Cell::new(table.name), count, Cell::new(table.doc)];
        shown.add_row(cells.into_iter().take(if whole { 3 } else { 2 }));
    }
    Ok(shown.to_string())
}

fn rows_of(sink: &Sqlite, declared: &Declared, limit: usize, last: bool) -> Result<Shown> {
    // No commit wrote a row of a view.
    let stamps = stamp_columns().into_iter().filter(|_| all().by_name(declared.name).is_some());
    let columns: Vec<_> = declared.columns.iter().cloned().chain(stamps).collect();
    let names: Vec<_> = columns.iter().map(|column| quoted(column.name)).collect();
    let order = |direction: &str| {
        let key: Vec<_> = names[..declared.key_columns].iter().map(|name| format!("{name} {direction}")).collect();
        key.join(", ")
    };
    let (names, table) = (names.join(", "), quoted(declared.name));
    let sql = if last {
        format!(
            "SELECT * FROM (SELECT {names} FROM {table} ORDER BY {} LIMIT ?1) ORDER BY {}",
            order("DESC"),
            order("ASC")
        )
    } else {
        format!("SELECT {names} FROM {table} ORDER BY {} LIMIT ?1", order("ASC"))
    };
    let mut statement = sink.connection().prepare(&sql)?;
    let mut found = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let texts = columns.iter().enumerate().map(|(n, column)| Ok(text(column.ty, row.get_ref(n)?)));
        rows.push(texts.collect::<rusqlite::Result<_>>()?);
    }
    Ok(Shown { columns, rows })
}

impl Shown {
    /// As a table, or, where the terminal is too narrow for it, row by row, one column a line.
    fn fit(&self) -> String {
        let table = self.table();
        if fits(&table) { table } else { self.list() }
    }

    fn table(&self) -> String {
        let mut table = plain_table();
        table.set_header(self.columns.iter().map(|column| column.name));
        for row in &self.rows {
            table.add_row(self.columns.iter().zip(row).map(|(column, text)| {
                let right = matches!(column.ty, Type::Integer | Type::Money | Type::Milli);
                Cell::new(text).set_alignment(if right { CellAlignment::Right } else { CellAlignment::Left })
            }));
        }
        table.to_string()
    }

    fn list(&self) -> String {
        let width = self.columns.iter().map(|column| column.name.len()).max().unwrap_or_default();
        let line = |(column, text): (&Column, &String)| format!("{:>width$}  {text}\n", column.name);
        self.rows.iter().map(|row| self.columns.iter().zip(row).map(line).collect::<String>() + "\n").collect()
    }
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn text(ty: Type, value: ValueRef<'_>) -> String {
    match (ty, value) {
        (_, ValueRef::Null) => String::new(),
        (Type::Boolean, ValueRef::Integer(truth)) => if truth == 0 { "no" } else { "yes" }.to_owned(),
        (Type::Money, ValueRef::Real(dollars)) => format!("{dollars:.2}"),
        (Type::Money, ValueRef::Integer(dollars)) => format!("{dollars}.00"),
        (Type::Milli, ValueRef::Real(number)) => format!("{number:.3}"),
        (Type::Milli, ValueRef::Integer(number)) => format!("{number}.000"),
        (Type::Instant, ValueRef::Text(text)) => cut(shorter(&String::from_utf8_lossy(text)).as_str()),
        (_, ValueRef::Integer(number)) => number.to_string(),
        (_, ValueRef::Real(number)) => number.to_string(),
        (_, ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => cut(&String::from_utf8_lossy(bytes)),
    }
}

/// An instant without what is zero at its end.
fn shorter(text: &str) -> String {
    text.trim_end_matches('Z').trim_end_matches(".000").replace('T', " ")
}

/// One line, not too long, nothing that a terminal would act on.
pub(super) fn cut(text: &str) -> String {
    let end = text.char_indices().nth(SHOWN_CHARS).map(|(end, _)| end);
    let more = if end.is_some() { "…" } else { "" };
    format!("{}{more}", shown::value(&text[..end.unwrap_or(text.len())]))
}
