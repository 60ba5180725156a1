//! `show`: the rows of a table, chosen and put into order.

use super::ask::{failed, open, print};
use super::nearest::meant;
use super::rows::{format_of, prose};
use super::text::{self, grouped};
use super::{Refused, tables};
use crate::cli::{AnswerArgs, Format, ShowArgs};
use crate::config::Config;
use crate::families::{self, all};
use crate::shown;
use crate::sink::by_minute;
use crate::sink::sqlite::guarded::{Column, Guarded, Unanswered};
use crate::sink::sqlite::quoted;
use anyhow::Result;
use dataflows::table::{Table, Type, stamp_columns};

/// So many rows are shown, if nobody says how many.
const LIMIT: usize = 20;

/// For so long nobody waits for a few rows.
const TIMEOUT: &str = "60s";

/// Of tables that are declared nowhere: the names of columns that say when.
const TIMES: [&str; 3] = ["timestamp", "committed_at", "_updated_at"];

pub(super) fn show(config: &Config, arguments: &ShowArgs) -> Result<()> {
    match &arguments.table {
        Some(table) => rows(config, table, arguments),
        None => tables::tables(config, arguments.answer.format),
    }
}

/// The first rows of a table, for people, of whom nobody can ask for more.
pub(super) fn show_first(config: &Config, name: &str) -> Result<()> {
    let answer = AnswerArgs { format: Some(Format::Table), timeout: TIMEOUT.to_owned() };
    let arguments = ShowArgs {
        table: None,
        condition: None,
        order: None,
        limit: Some(LIMIT),
        last: None,
        all_columns: false,
        answer,
    };
    let guarded = open(config, &arguments.answer)?;
    let declared = declared().into_iter().find(|table| table.name == name);
    let mut chosen = Chosen::of(&guarded, name.to_owned(), declared, &arguments)?;
    chosen.columns.retain(|column| !column.name.starts_with('_'));
    let failed = |error: Unanswered| failed(&guarded, error, &[name.to_owned()], "");
    let mut answer = guarded.ask(&chosen.sql()).map_err(failed)?;
    let (_, count) = print(&mut answer, &chosen.columns, Some(Format::Table), &failed)?;
    let all = number(&guarded, &format!("SELECT COUNT(*) FROM {}", quoted(name))).map_err(failed)?;
    say!("{} of {} rows", grouped(count), grouped(all));
    Ok(())
}

fn rows(config: &Config, name: &str, arguments: &ShowArgs) -> Result<()> {
    let declared = declared();
    let known = |names: &[String]| names.iter().find(|known| known.eq_ignore_ascii_case(name)).cloned();
    let views = families::views().iter().map(|view| view.name.clone());
    let names: Vec<_> = declared.iter().map(|table| table.name.to_owned()).chain(views).collect();
    if !config.warehouse.exists() && known(&names).is_none() {
        return Err(no_table(name, &names));
    }
    let guarded = open(config, &arguments.answer)?;
    let there = guarded.names()?;
    let Some(found) = known(&there) else {
        return Err(match known(&names) {
            Some(name) => {
                let path = config.warehouse.display();
                Refused(format!("warehouse `{path}` has no table `{name}` yet: the next `run` makes it")).into()
            }
            None => no_table(name, &there),
        });
    };
    let declared = declared.into_iter().find(|table| table.name == found);
    if let Some(view) = families::views().iter().find(|view| view.name == found)
        && format_of(arguments.answer.format) == Format::Table
    {
        say!("{}", prose(&view.doc, shown::width()));
    }
    let chosen = Chosen::of(&guarded, found, declared, arguments)?;
    chosen.print(&guarded, arguments)
}

/// All tables and views that are declared.
fn declared() -> Vec<Table> {
    let views = by_minute::all(all()).map(|(of, view, _)| by_minute::table(of, view));
    all().tables().iter().map(|id| id.table().clone()).chain(views).collect()
}

pub(super) fn no_table(name: &str, names: &[String]) -> anyhow::Error {
    let meant = meant(name, names.iter().map(String::as_str));
    let meant = if meant.is_empty() { format!("; there are {}", names.join(", ")) } else { meant };
    Refused(format!("there is no table `{name}`{meant}")).into()
}

/// Which rows, in which order.
struct Chosen {
    table: String,
    declared: Option<Table>,
    columns: Vec<Column>,
    /// What stands behind `WHERE`; the line feeds end a comment in it.
    condition: String,
    /// By these columns, each descending or not.
    order: Vec<(String, bool)>,
    limit: usize,
    /// The last ones in this order, not the first.
    last: bool,
}

impl Chosen {
    fn of(guarded: &Guarded, table: String, declared: Option<Table>, arguments: &ShowArgs) -> Result<Chosen> {
        let limit = match (arguments.limit, arguments.last.flatten()) {
            (Some(limit), Some(last)) => {
                let why = format!("`--limit {limit}` and `--last {last}` both say how many rows: leave one number out");
                return Err(Refused(why).into());
            }
            (limit, last) => limit.or(last).unwrap_or(LIMIT),
        };
        let mut columns = guarded.columns(&table)?;
        let stamps = stamp_columns();
        for column in declared.iter().flat_map(|table| &table.columns).chain(&stamps).filter(|_| declared.is_some()) {
            // The file does not say of a text that it is an instant, nor of what a view computes that it is money.
            for found in columns.iter_mut().filter(|found| found.name == column.name) {
                found.ty = Some(column.ty);
            }
        }
        let key = declared.iter().flat_map(|table| &table.columns[..table.key_columns]);
        let key: Vec<_> = key.map(|column| (column.name.to_owned(), false)).collect();
        let order = match (&arguments.order, arguments.last) {
            (Some(order), _) => ordered(order, &table, &columns)?,
            (None, None) => key,
            (None, Some(_)) => {
                let Some(time) = time(declared.as_ref(), &columns) else {
                    let why =
                        format!("`--last`: no column of `{table}` says when; name one, as with `--order \"id desc\"`");
                    return Err(Refused(why).into());
                };
                [(time.clone(), false)].into_iter().chain(key.into_iter().filter(|(name, _)| *name != time)).collect()
            }
        };
        if format_of(arguments.answer.format) == Format::Table && !arguments.all_columns {
            // What programs ask for that read the tables again and again.
            columns.retain(|column| stamps.iter().all(|stamp| stamp.name != column.name));
        }
        let condition = arguments.condition.as_ref().map(|sql| format!(" WHERE (\n{sql}\n)")).unwrap_or_default();
        Ok(Chosen { table, declared, columns, condition, order, limit, last: arguments.last.is_some() })
    }

    /// By which columns, as SQL; turned round or not.
    fn order(&self, turned: bool) -> String {
        let column = |(name, descending): &(String, bool)| {
            format!("{} {}", quoted(name), if *descending != turned { "DESC" } else { "ASC" })
        };
        let columns: Vec<_> = self.order.iter().map(column).collect();
        if columns.is_empty() { String::new() } else { format!(" ORDER BY {}", columns.join(", ")) }
    }

    fn sql(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        let (order, limit) = (self.order(self.last), i64::try_from(self.limit).unwrap_or(i64::MAX));
        let chosen =
            format!("SELECT {} FROM {}{}{order} LIMIT {limit}", names.join(", "), quoted(&self.table), self.condition);
        if self.last { format!("SELECT * FROM ({chosen}){}", self.order(false)) } else { chosen }
    }

    fn print(&self, guarded: &Guarded, arguments: &ShowArgs) -> Result<()> {
        let of = [self.table.clone()];
        let failed = |error: Unanswered| {
            let error = failed(guarded, error, &of, "`--where`, `--limit`");
            match (&arguments.condition, error.downcast::<Refused>()) {
                // Everything else in the statement is ours.
                (Some(sql), Ok(Refused(why))) => {
                    let why = if is_incomplete(sql, &why) { "the expression is incomplete" } else { &why };
                    Refused(format!("`--where \"{sql}\"`: {why}")).into()
                }
                (_, Ok(refused)) => refused.into(),
                (_, Err(error)) => error,
            }
        };
        let mut answer = guarded.ask(&self.sql()).map_err(failed)?;
        let doc = self.declared.as_ref().map(|table| table.doc);
        if let Some(doc) = doc.filter(|_| format_of(arguments.answer.format) == Format::Table) {
            say!("{}", prose(doc, shown::width()));
        }
        let (format, count) = print(&mut answer, &self.columns, arguments.answer.format, &failed)?;
        let table = format!("FROM {}{}", quoted(&self.table), self.condition);
        if format == Format::Table {
            let all = number(guarded, &format!("SELECT COUNT(*) {table}")).map_err(failed)?;
            let more = if count < all { " (--limit N, --last)" } else { "" };
            let such = if self.condition.is_empty() { "" } else { " that match `--where`" };
            let said = format!("{} of {}{such}{more}", grouped(count), text::count(all, "row"));
            say!("{}", prose(&said, shown::width()));
        } else if arguments.limit.is_none() && arguments.last.flatten().is_none() && count == self.limit as u64 {
            // Who reads lines does not see that some are missing.
            let more = format!("SELECT COUNT(*) FROM (SELECT 1 {table} LIMIT 1 OFFSET {count})");
            if number(guarded, &more).map_err(failed)? > 0 {
                shown::complain(&format!("{count} rows; there are more (--limit N)"));
            }
        }
        Ok(())
    }
}

/// Whether SQLite stumbles over the bracket that we put behind a condition: it is not at its end.
fn is_incomplete(condition: &str, why: &str) -> bool {
    why.starts_with("incomplete input")
        || why.starts_with("near \")\": syntax error")
            && condition.matches('(').count() >= condition.matches(')').count()
}

/// The number that a statement of ours selects.
fn number(guarded: &Guarded, sql: &str) -> Result<u64, Unanswered> {
    let mut answer = guarded.ask(sql)?;
    let mut rows = answer.rows();
    let row = rows.next_row()?;
    Ok(row.and_then(|row| row.get::<_, i64>(0).ok()).and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

/// The columns that `--order` names.
fn ordered(order: &str, table: &str, columns: &[Column]) -> Result<Vec<(String, bool)>> {
    let refused = |why: String| Refused(format!("`--order \"{order}\"`: {why}"));
    let part = |part: &str| {
        let words: Vec<_> = part.split_whitespace().collect();
        let (name, descending) = match words[..] {
            [name] => (name, false),
            [name, way] if way.eq_ignore_ascii_case("desc") => (name, true),
            [name, way] if way.eq_ignore_ascii_case("asc") => (name, false),
            _ => {
                return Err(refused(
                    "expected columns by commas, each with `asc`, `desc` or nothing behind it".to_owned(),
                ));
            }
        };
        let name = name.trim_matches('"');
        if let Some(column) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            return Ok((column.name.clone(), descending));
        }
        let names = || columns.iter().map(|column| column.name.as_str());
        let meant = meant(name, names());
        let meant =
            if meant.is_empty() { format!("; there are {}", names().collect::<Vec<_>>().join(", ")) } else { meant };
        Err(refused(format!("there is no column `{name}` in `{table}`{meant}")))
    };
    Ok(order.split(',').map(part).collect::<Result<_, _>>()?)
}

/// The column that says when a row is of: see the help of `--last`.
fn time(declared: Option<&Table>, columns: &[Column]) -> Option<String> {
    let there = |name: &&str| columns.iter().any(|column| column.name == **name);
    let Some(table) = declared else { return TIMES.iter().find(|name| there(name)).map(|name| (*name).to_owned()) };
    let instant = |columns: &'_ [dataflows::table::Column]| {
        columns.iter().rfind(|column| column.ty == Type::Instant).map(|column| column.name)
    };
    let (key, all) = (&table.columns[..table.key_columns], &table.columns[..]);
    let own = table.age().map(|(_, column)| column.name).or(table.cluster_by_day);
    let name = own.or_else(|| instant(key)).or_else(|| instant(all));
    name.or(Some(TIMES[2])).filter(there).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_a_time() {
        let column = |name: &str| Column { name: name.to_owned(), ty: None };
        let time = |name: &str| {
            let table = declared().into_iter().find(|table| table.name == name);
            let table = table.unwrap_or_else(|| panic!("there is no table `{name}`"));
            let columns: Vec<_> =
                table.columns.iter().map(|own| column(own.name)).chain([column("_updated_at")]).collect();
            super::time(Some(&table), &columns).expect("a time")
        };
        for (table, expected) in [
            ("checkout_metrics", "timestamp"),
            ("session_metrics_by_minute", "timestamp"),
            ("movie_sale_lines", "sold_at"),
            ("active_sessions", "signed_in_at"),
            ("user_activity", "last_seen"),
            ("movie_statistics", "_updated_at"),
            ("item_view_events", "timestamp"),
            ("catalog_events", "timestamp"),
            ("rejected_events", "rejected_at"),
            ("late_events", "watermark"),
            ("quality", "hour"),
        ] {
            assert_eq!(time(table), expected, "{table}");
        }
        assert_eq!(super::time(None, &[column("epoch"), column("committed_at")]).as_deref(), Some("committed_at"));
        assert_eq!(super::time(None, &[column("epoch")]), None);
    }
}
