//! The views of a model, as each warehouse writes them, and what is wrong with them before any warehouse has them.

use super::by_minute::{self, Dialect};
use super::sqlite::{ddl, progress_ddl, quoted, view_ddl};
use crate::model::messages::{Mistake, Span, shown};
use crate::model::types::names;
use crate::model::views::{Piece, View};
use dataflows::family::Catalogue;
use rusqlite::{Connection, Error};
use std::collections::BTreeSet;

/// The views in an order in which each comes behind those that it reads; those that read each other are left out.
pub fn ordered(views: &[View]) -> Vec<&View> {
    let mut ordered: Vec<&View> = Vec::new();
    loop {
        let is_there = |name: &str| ordered.iter().any(|view| view.name == name);
        let is_view = |name: &str| views.iter().any(|view| view.name == name);
        let next = views
            .iter()
            .find(|view| !is_there(&view.name) && view.reads().iter().all(|name| is_there(name) || !is_view(name)));
        match next {
            Some(next) => ordered.push(next),
            None => return ordered,
        }
    }
}

/// The families whose tables a view reads, also by other views.
fn families(catalogue: Catalogue, views: &[View], view: &View) -> BTreeSet<&'static str> {
    let minutes = by_minute::all(catalogue).map(|(_, minutes, family)| (minutes.name, family));
    let minutes: Vec<_> = minutes.collect();
    let (mut families, mut seen, mut left) = (BTreeSet::new(), BTreeSet::new(), vec![view]);
    while let Some(view) = left.pop() {
        for name in view.reads() {
            if let Some(family) = catalogue.by_name(name).and_then(|id| catalogue.family_of(id)) {
                families.insert(family.name());
            }
            families.extend(minutes.iter().filter(|(minutes, _)| *minutes == name).map(|(_, family)| *family));
            if let Some(other) = views.iter().find(|other| other.name == name && seen.insert(name)) {
                left.push(other);
            }
        }
    }
    families
}

/// What a view selects. `called` says what a table or a view is called there that is not called by its name alone.
pub fn select(
    dialect: Dialect,
    quote: fn(&str) -> String,
    (catalogue, views, view): (Catalogue, &[View], &View),
    called: &dyn Fn(&str) -> Option<String>,
) -> String {
    let families = families(catalogue, views, view);
    let print = Print { dialect, quote, called, family: families.first().copied().unwrap_or_default() };
    let mut sql = String::new();
    print.pieces(&view.pieces, &mut sql);
    sql.trim_end().to_owned()
}

struct Print<'p> {
    dialect: Dialect,
    quote: fn(&str) -> String,
    called: &'p dyn Fn(&str) -> Option<String>,
    family: &'p str,
}

impl Print<'_> {
    fn pieces(&self, pieces: &[Piece], sql: &mut String) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Read(name) => sql.push_str(&(self.called)(name).unwrap_or_else(|| name.clone())),
                Piece::Watermark(whose) => sql.push_str(&self.watermark(whose.as_deref().unwrap_or(self.family))),
                Piece::Start(unit, at) => sql.push_str(&self.start(unit, &self.of(at))),
                Piece::Later(at, ms) => sql.push_str(&self.later(&self.of(at), *ms)),
            }
        }
    }

    fn of(&self, pieces: &[Piece]) -> String {
        let mut sql = String::new();
        self.pieces(pieces, &mut sql);
        sql
    }

    fn watermark(&self, family: &str) -> String {
        let progress = (self.called)("_progress").unwrap_or_else(|| (self.quote)("_progress"));
        format!("(SELECT {} FROM {progress})", self.dialect.watermark_of(family, self.quote))
    }

    /// Instants are text of one length in SQLite, and stay so: they compare as texts.
    fn start(&self, unit: &str, at: &str) -> String {
        if self.dialect != Dialect::Sqlite {
            return format!("date_trunc('{unit}', {at})");
        }
        let (format, to_monday) = match unit {
            "minute" => ("%Y-%m-%dT%H:%M:00.000Z", ""),
            "hour" => ("%Y-%m-%dT%H:00:00.000Z", ""),
            "week" => ("%Y-%m-%dT00:00:00.000Z", ", '-6 days', 'weekday 1'"),
            "month" => ("%Y-%m-01T00:00:00.000Z", ""),
            _ => ("%Y-%m-%dT00:00:00.000Z", ""),
        };
        format!("strftime('{format}', {at}{to_monday})")
    }

    fn later(&self, at: &str, ms: i64) -> String {
        let (sign, unsigned) = (if ms < 0 { '-' } else { '+' }, ms.unsigned_abs());
        match self.dialect {
            Dialect::Sqlite => {
                let (seconds, part) = (unsigned / 1_000, unsigned % 1_000);
                format!("strftime('%Y-%m-%dT%H:%M:%fZ', {at}, '{sign}{seconds}.{part:03} seconds')")
            }
            Dialect::DuckDb | Dialect::Snowflake if unsigned % 1_000 == 0 => {
                format!("({at} {sign} INTERVAL '{} seconds')", unsigned / 1_000)
            }
            Dialect::DuckDb | Dialect::Snowflake => format!("({at} {sign} INTERVAL '{unsigned} milliseconds')"),
        }
    }
}

/// The statement that makes a view in SQLite.
pub fn sqlite_ddl(catalogue: Catalogue, views: &[View], view: &View) -> String {
    let select = select(Dialect::Sqlite, quoted, (catalogue, views, view), &|_| None);
    format!("CREATE VIEW {} AS {MARK}{}\n{select}", quoted(&view.name), view.doc)
}

/// How a view of a model is told from others in the same file.
pub const MARK: &str = "-- Of the model: ";

/// Tries the views over empty tables.
///
/// # Errors
/// What is wrong with them, each with its file and its place.
pub fn check(catalogue: Catalogue, views: &[View]) -> Result<(), Vec<String>> {
    if views.is_empty() {
        return Ok(());
    }
    let broken = |error: Error| vec![format!("the views of the model could not be tried: {error}")];
    let tried = Connection::open_in_memory().map_err(broken)?;
    for id in catalogue.tables() {
        tried.execute_batch(&ddl(id.table())).map_err(broken)?;
    }
    tried.execute_batch(progress_ddl()).map_err(broken)?;
    for (of, view, family) in by_minute::all(catalogue) {
        tried.execute_batch(&view_ddl(of, view, family)).map_err(broken)?;
    }
    let (ordered, mut wrong, mut left_out) = (ordered(views), Vec::new(), BTreeSet::new());
    for view in views.iter().filter(|view| !ordered.iter().any(|ordered| ordered.name == view.name)) {
        let what = format!("`{}` reads itself, perhaps by other views.", view.name);
        wrong.push(shown(&view.file, &view.text, &[Mistake::new(whole(view), what, "Read the tables themselves.")]));
    }
    for view in ordered {
        // What follows from a view that is broken is not a second mistake.
        let mistake = match view.reads().iter().any(|name| left_out.contains(*name)) {
            true => None,
            false => mistake(&tried, catalogue, views, view),
        };
        if mistake.is_none() && tried.execute_batch(&sqlite_ddl(catalogue, views, view)).is_ok() {
            continue;
        }
        left_out.insert(view.name.clone());
        wrong.extend(mistake.map(|mistake| shown(&view.file, &view.text, &[mistake])));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// What is wrong with a view, given the tables and the views before it.
fn mistake(tried: &Connection, catalogue: Catalogue, views: &[View], view: &View) -> Option<Mistake> {
    let of = families(catalogue, views, view);
    if view.asks_whose() && of.len() != 1 {
        let of = of.into_iter().map(|family| format!("`{family}`")).collect::<Vec<_>>().join(", ");
        let (what, instead) = match of.is_empty() {
            true => ("no table of a family is read, and `watermark()` is nobody's.".to_owned(), String::new()),
            false => (
                format!("`watermark()` of which family? It reads tables of {of}."),
                "Write watermark('NAME').".to_owned(),
            ),
        };
        return Some(Mistake::new(whole(view), what, instead));
    }
    let sql = select(Dialect::Sqlite, quoted, (catalogue, views, view), &|_| None);
    let statement = match tried.prepare(&sql) {
        Ok(statement) => statement,
        Err(error) => {
            let (said, offset) = if let Error::SqlInputError { msg, offset, .. } = error {
                (msg, usize::try_from(offset).ok())
            } else {
                (error.to_string(), None)
            };
            let span = offset.map_or_else(|| named(view, &said), |offset| place(view, &sql, offset));
            let instead = "`deltamart show` lists the tables, `deltamart show NAME` shows one with its columns.";
            return Some(Mistake::new(span, format!("{said}."), instead));
        }
    };
    if !statement.readonly() || statement.parameter_count() > 0 {
        return Some(Mistake::new(
            whole(view),
            "it is not one SELECT without parameters.",
            "Write values as they are.",
        ));
    }
    let mut seen = BTreeSet::new();
    for (n, name) in statement.column_names().enumerate() {
        // Our own columns are those of the tables that are read.
        if let Some(wrong) = names::wrong(name).filter(|_| !name.starts_with('_')) {
            let what = format!("column {} is called `{name}`, which {wrong}.", n + 1);
            return Some(Mistake::new(
                whole(view),
                what,
                "Write AS and a name behind it: databases choose different ones.",
            ));
        }
        if !seen.insert(name.to_owned()) {
            let what = format!("two columns are called `{name}`.");
            return Some(Mistake::new(whole(view), what, "Write AS and another name behind one of them."));
        }
    }
    None
}

/// The line in which the SELECT begins.
fn whole(view: &View) -> Span {
    let end_column = view.text.lines().nth(view.line - 1).map_or(1, |line| line.chars().count()) + 1;
    Span { line: view.line, column: 1, end_line: view.line, end_column }
}

/// Where what SQLite names behind the colon is read.
fn named(view: &View, message: &str) -> Span {
    let name = message.rsplit(": ").next().unwrap_or_default();
    let lines = view.text.lines().enumerate().skip(view.line - 1);
    let found = lines.filter_map(|(n, line)| Some((n + 1, line.find(name).map(|at| line[..at].chars().count())?)));
    let mut found = found.map(|(line, from)| Span {
        line,
        column: from + 1,
        end_line: line,
        end_column: from + name.chars().count() + 1,
    });
    found.find(|_| !name.is_empty() && name != message).unwrap_or_else(|| whole(view))
}

/// Where a word of the printed text stands in the view's own: on the same line, where it may stand further left.
fn place(view: &View, sql: &str, offset: usize) -> Span {
    let before = sql.get(..offset).unwrap_or_default();
    let word: String = sql
        .get(offset..)
        .unwrap_or_default()
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || ['_', '.'].contains(letter))
        .collect();
    let line = view.line + before.matches('\n').count();
    let text = view.text.lines().nth(line - 1).unwrap_or_default();
    let (from, letters) = match text.find(&word).filter(|_| !word.is_empty()) {
        Some(at) => (text[..at].chars().count(), word.chars().count()),
        None => (0, text.chars().count()),
    };
    Span { line, column: from + 1, end_line: line, end_column: from + letters + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::all;
    use crate::model::views::read;

    fn view(name: &str, sql: &str) -> View {
        let text = format!("-- One row.\n{sql}\n");
        read(name, &format!("model/views/{name}.sql"), &text)
            .unwrap_or_else(|wrong| panic!("{}", shown(name, &text, &wrong)))
    }

    /// What is said of views, all of it.
    fn said(views: &[View]) -> String {
        check(all(), views).err().unwrap_or_default().join("\n")
    }

    #[test]
    fn views_that_work_are_good_in_whatever_order() {
        let views = [
            view("a", "SELECT u.user_id, b.n FROM users AS u JOIN b ON b.user_id = u.user_id"),
            view(
                "b",
                "SELECT user_id, count(*) AS n FROM item_view_events\nWHERE timestamp > watermark() - interval '1 hour' GROUP BY user_id",
            ),
            view("c", "SELECT * FROM session_metrics_by_minute WHERE timestamp > watermark() - interval '1 hour'"),
        ];
        assert_eq!(said(&views), "");
        let names: Vec<_> = ordered(&views).into_iter().map(|view| view.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
    }

    #[test]
    fn what_is_broken_is_said_with_its_line_and_a_way_out() {
        for (sql, expected) in [
            ("SELECT user_id\nFROM userz", "model/views/v.sql:3:6: no such table: userz."),
            ("SELECT user_id,\n  agee AS a FROM users", "model/views/v.sql:3:3: no such column: agee."),
            (
                "SELECT date_trunc('day', watermark()) AS d, agee AS a FROM users",
                "model/views/v.sql:2:45: no such column: agee.",
            ),
            ("SELECT user_id FRO users, x", "model/views/v.sql:2:"),
            ("SELECT count(*) FROM users", "column 1 is called `count(*)`, which is no name"),
            ("SELECT age, age FROM users", "two columns are called `age`."),
            ("SELECT age FROM users WHERE age = ?", "it is not one SELECT without parameters."),
            ("SELECT age FROM v", "`v` reads itself, perhaps by other views."),
            ("SELECT watermark() AS w", "no table of a family is read"),
        ] {
            let said = said(&[view("v", sql)]);
            assert!(said.contains(expected), "`{expected}` is missing: {said}");
        }
        // What follows from it is not said.
        let said = said(&[view("v", "SELECT x FROM nothing"), view("w", "SELECT x FROM v")]);
        assert!(said.contains("v.sql:2") && !said.contains("w.sql"), "{said}");
    }

    #[test]
    fn each_database_is_told_in_its_own_words() {
        let views = [view(
            "v",
            "SELECT date_trunc('week', t) AS w FROM users\nWHERE t > watermark('shop') - interval '90 minutes'",
        )];
        let of = |dialect, quote: fn(&str) -> String| {
            select(dialect, quote, (all(), &views, &views[0]), &|name| (name == "users").then(|| "X.USERS".to_owned()))
        };
        assert_eq!(
            of(Dialect::Sqlite, quoted),
            "SELECT strftime('%Y-%m-%dT00:00:00.000Z', t, '-6 days', 'weekday 1') AS w FROM X.USERS\nWHERE t > \
             strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT coalesce(json_extract(\"watermarks\", '$.shop'), \"watermark\") FROM \
             \"_progress\"), '-5400.000 seconds')"
        );
        assert_eq!(
            of(Dialect::DuckDb, quoted),
            "SELECT date_trunc('week', t) AS w FROM X.USERS\nWHERE t > ((SELECT coalesce((\"watermarks\"->>'$.shop')::TIMESTAMPTZ \
             AT TIME ZONE 'UTC', \"watermark\") FROM \"_progress\") - INTERVAL '5400 seconds')"
        );
    }

    /// Instants of every kind: what SQLite computes of its texts is what instants are.
    #[test]
    fn instants_in_sqlite_are_texts_of_the_same_length() {
        let print = Print { dialect: Dialect::Sqlite, quote: quoted, called: &|_| None, family: "" };
        let connection = Connection::open_in_memory().expect("opens");
        let ask =
            |sql: &str| -> String { connection.query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).expect(sql) };
        for at in [0_i64, 1_567_987_654_321, 1_569_888_000_000, 1_570_406_400_000, 1_709_164_800_000, 1_767_571_199_999]
        {
            let text = format!("'{}'", crate::instant::show(at));
            for ms in [0, 1, 999, 60_000, 3_600_000, 7 * 86_400_000, -1, -250, -5_400_000] {
                assert_eq!(ask(&print.later(&text, ms)), crate::instant::show(at + ms), "{text} {ms}");
            }
            for (unit, ms) in [("minute", 60_000), ("hour", 3_600_000), ("day", 86_400_000)] {
                assert_eq!(
                    ask(&print.start(unit, &text)),
                    crate::instant::show(at - at.rem_euclid(ms)),
                    "{text} {unit}"
                );
            }
            // 1970-01-05 was a Monday.
            let week = at - (at - 4 * 86_400_000).rem_euclid(7 * 86_400_000);
            assert_eq!(ask(&print.start("week", &text)), crate::instant::show(week), "{text}");
            let month = format!("{}-01T00:00:00.000Z", &crate::instant::show(at)[..7]);
            assert_eq!(ask(&print.start("month", &text)), month);
        }
    }
}
