//! All tables, with how many rows each has.

use super::rows::{Grid, Head, Width, format_of, print_lines, prose};
use super::text::grouped;
use crate::cli::Format;
use crate::config::Config;
use crate::families::{self, all};
use crate::instant;
use crate::shown;
use crate::sink::Sink;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::guarded::Column;
use anyhow::Result;
use dataflows::table::{TableId, Type};
use rusqlite::types::Value;

/// What a table says is wrapped, and left out where there is less room for it.
const DOC_CELLS: usize = 24;

pub(super) fn tables(config: &Config, asked: Option<Format>) -> Result<()> {
    let mut sink = Sqlite::open_to_read(all(), &config.warehouse)?;
    let count = |id: TableId| Ok(sink.count(id.table())?.unwrap_or_default());
    let format = format_of(asked);
    if format != Format::Table {
        return lines(format, &count);
    }
    say_as_is!("{}", table_of(&count)?);
    let views: Vec<_> = families::views().iter().map(|view| view.name.as_str()).collect();
    if !views.is_empty() {
        say!("{}", prose(&format!("views: {}", views.join(", ")), shown::width()));
    }
    if let Some(progress) = sink.position()? {
        let at = instant::show(progress.committed_at);
        let said = format!("epoch {}, watermark {}, committed at {at}", progress.epoch, progress.watermarks);
        say!("{}", prose(&said, shown::width()));
    }
    Ok(())
}

fn lines(format: Format, count: &dyn Fn(TableId) -> Result<u64>) -> Result<()> {
    let column = |name: &str, ty| Column { name: name.to_owned(), ty: Some(ty) };
    let columns = [column("table", Type::Text), column("rows", Type::Integer), column("what_it_says", Type::Text)];
    let mut ids = all().tables().iter();
    let next = &mut || {
        let Some(id) = ids.next() else { return Ok(None) };
        let (table, rows) = (id.table(), i64::try_from(count(*id)?).unwrap_or(i64::MAX));
        Ok(Some(vec![Value::Text(table.name.to_owned()), Value::Integer(rows), Value::Text(table.doc.to_owned())]))
    };
    print_lines(format, &columns, next).map(drop)
}

/// All tables with how many rows they have; what a row is where there is room for it.
pub(super) fn table_of(count: &dyn Fn(TableId) -> Result<u64>) -> Result<String> {
    let row = |id: &TableId| Ok([id.table().name.to_owned(), grouped(count(*id)?), brief(id.table().doc).to_owned()]);
    let rows = all().tables().iter().map(row).collect::<Result<Vec<_>>>()?;
    Ok(list(&rows, shown::width()))
}

/// The first sentence of what a table says: `show TABLE` says all of it.
fn brief(doc: &str) -> &str {
    doc.split_once(". ").map_or(doc, |(first, _)| first).trim_end_matches('.')
}

/// The names of tables, their rows and what they say, on lines of no more cells than there are.
fn list(rows: &[[String; 3]], width: Width) -> String {
    let head = |(name, right, whole): (&str, bool, bool)| Head { name: name.to_owned(), right, whole };
    let heads = [("table", false, true), ("rows", true, true), ("what it says", false, true)];
    let grid = |columns: usize, room: Width| Grid {
        columns: heads.into_iter().take(columns).map(head).collect(),
        rows: rows
            .iter()
            .map(|[name, count, doc]| {
                let cells = [name.clone(), count.clone(), prose(doc, room)];
                cells.into_iter().take(columns).collect()
            })
            .collect(),
    };
    let narrow = grid(2, None);
    // What is beside it: two more spaces, and a rule.
    let beside = narrow.whole().iter().map(|cells| cells + 3).sum::<usize>() + 1;
    let room = width.map(|width| width.saturating_sub(beside + 3));
    if room.is_none_or(|room| room >= DOC_CELLS) {
        return grid(3, room).fit(width);
    }
    narrow.fit(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn the_list_of_all_tables_is_as_wide_as_the_terminal() {
        let row =
            |id: &TableId| [id.table().name.to_owned(), grouped(123_456_789_012), brief(id.table().doc).to_owned()];
        let rows: Vec<_> = all().tables().iter().map(row).collect();
        for width in [20, 40, 80, 160] {
            let shown = list(&rows, Some(width));
            assert!(shown.lines().all(|line| line.width() <= width), "{width}:\n{shown}");
            assert!(width < 40 || shown.contains("123,456,789,012"), "{width}:\n{shown}");
            assert!(rows.iter().all(|[name, ..]| width < 40 || shown.contains(name.as_str())), "{width}:\n{shown}");
            assert_eq!(shown.contains("what it says"), width >= 80, "{width}:\n{shown}");
        }
        let whole = list(&rows, None);
        assert!(rows.iter().all(|[_, _, doc]| whole.contains(doc.as_str())), "{whole}");
    }
}
