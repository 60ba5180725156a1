//! What DuckDB needs so that it runs the user's own text as it stands: the events under the name of their family, and the
//! macro `is_final`.
//!
//! The text is never changed. DuckDB is a second reader of it: a mistake in our reading shows as another row.

use super::sqlite::quoted;
use dataflows::declared::plan::{Ask, Column, Family, Literal, Metric, What, Window};
use dataflows::declared::reading::{Case, EVENT_NAME, Empty, Reading, Takes, shown};
use dataflows::raw::LATE_EVENTS;
use std::fmt::Write;

/// The macro of every text. A macro of DuckDB sees no column, so that it cannot ask whose window has passed.
const IS_FINAL: &str = "CREATE OR REPLACE MACRO is_final() AS coalesce(getvariable('deltamart_is_final'), FALSE);\n";

/// Up to where all events have come, of a feed; of a file nobody knows.
const WATERMARK: &str = "CREATE OR REPLACE MACRO watermark() AS getvariable('deltamart_watermark')::TIMESTAMP;\n";

/// Instants are UTC whatever the machine's zone is.
const UTC: &str = "SET TimeZone = 'UTC';\n";

/// The file `duckdb.sql` of a model: each family as a view over a file of JSON lines, and the macro.
pub fn views<'f>(families: impl IntoIterator<Item = (&'f Family, &'f [Reading])>) -> String {
    let mut sql = "\
-- To write a metric in DuckDB first: `duckdb -init model/duckdb.sql`. `deltamart explain --duckdb` prints this file.
-- A view has the name of a family and reads NAME.jsonl, a file of JSON lines. To read other files, say so first:
--   SET VARIABLE NAME = 'folder/*.jsonl';
-- A record that `run` rejects for a missing or a wrong value is left out. No event is late here, or too old, or of the future;
-- no row is final, and the watermark has passed nothing.
"
    .to_owned();
    sql += UTC;
    sql += IS_FINAL;
    sql += WATERMARK;
    for (family, readings) in families {
        let (name, doc) = (quoted(&family.name), family.doc.replace(char::is_control, " "));
        let _ = write!(sql, "\n-- {doc}\nCREATE OR REPLACE VIEW {name} AS\n{};\n", of_lines(family, readings));
    }
    sql
}

/// A metric over the lines of a file: the family's events, then the user's text.
pub fn over_lines(family: &Family, readings: &[Reading], text: &str) -> String {
    let name = quoted(&family.name);
    format!("{UTC}{IS_FINAL}{WATERMARK}WITH {name} AS (\n{}\n)\n{};", of_lines(family, readings), text.trim_end())
}

/// A metric over a feed whose views are loaded. If its text asks whether a row is final, it runs twice: over the events
/// of the groups that are final, and over all others.
pub fn over_feed(family: &Family, metric: &Metric, text: &str, lateness_ms: Option<i64>) -> String {
    let (name, text) = (quoted(&family.name), text.trim_end());
    let events = in_time(family);
    let mut sql = "-- First load the feed: `duckdb -init FEED/views.sql`\n".to_owned();
    sql += IS_FINAL;
    let watermark = format!("(watermarks->>'$.\"{}\"')::TIMESTAMPTZ AT TIME ZONE 'UTC'", family.name);
    if metric.asks.iter().any(|ask| matches!(ask, Ask::HasPassed(_))) {
        sql += WATERMARK;
        let _ = writeln!(sql, "SET VARIABLE deltamart_watermark = (SELECT {watermark} FROM _progress);");
    }
    let Some(end) = asks(metric).then(|| end(family, metric)) else {
        let _ = write!(sql, "WITH {name} AS (\n{events}\n)\n{text};");
        return sql;
    };
    let lateness_ms = lateness_ms.unwrap_or(0);
    let _ = write!(
        sql,
        "\
-- Up to here no event is accepted any more. A macro sees no columns: the text runs for final rows, then for the others.
SET VARIABLE deltamart_cut = (
    SELECT {watermark} - INTERVAL '{lateness_ms} milliseconds' FROM _progress
);
"
    );
    let rows = quoted(&format!("_{}", metric.name));
    for (is_final, into) in
        [("TRUE", format!("CREATE OR REPLACE TEMP TABLE {rows} AS")), ("FALSE", format!("INSERT INTO {rows}"))]
    {
        let _ = write!(
            sql,
            "SET VARIABLE deltamart_is_final = {is_final};\n{into}\nWITH {name} AS (\n{events}\n    \
             AND ({end} <= getvariable('deltamart_cut')) = getvariable('deltamart_is_final')\n)\n{text};\n"
        );
    }
    let _ = write!(sql, "FROM {rows};");
    sql
}

/// What of a metric DuckDB has no word for: then it cannot run the text.
pub fn lacks(metric: &Metric) -> Option<String> {
    if let Some(inner) = metric.inner() {
        return Some(format!("has no table `{}` but that of the feed", inner.name));
    }
    let has_funnel = metric.aggregates.iter().any(|aggregate| matches!(aggregate.what, What::Funnel(_, _)));
    if !metric.asks.is_empty() && asks(metric) {
        // The text would run over the events of final rows, which do not answer those of others.
        return Some("has no `is_final()` that goes with EXISTS or `watermark()`".to_owned());
    }
    match metric.session() {
        Some(_) => Some("has no `session()`".to_owned()),
        None => has_funnel.then(|| "has no `funnel()`".to_owned()),
    }
}

/// Whether a text asks if a row is final.
fn asks(metric: &Metric) -> bool {
    let outputs = metric.outputs.iter().map(|output| &output.value);
    outputs.chain(&metric.having).any(dataflows::declared::eval::asks_is_final)
}

/// The events of a feed that are in time, each once where that is declared. The view of the feed has the family's name
/// too, and is meant by its schema.
fn in_time(family: &Family) -> String {
    let late = LATE_EVENTS.table();
    let key = late.columns.iter().take(late.key_columns).map(|column| format!("_l.{0} = _e.{0}", quoted(column.name)));
    format!(
        "    SELECT {}\n    FROM temp.{} AS _e\n    WHERE NOT EXISTS (FROM {} AS _l WHERE {})",
        counted(family),
        quoted(&family.name),
        late.name,
        key.collect::<Vec<_>>().join(" AND ")
    )
}

/// What is counted of events: all of them, or those that differ in the columns that count.
fn counted(family: &Family) -> String {
    let name = |column: &Column| quoted(&column.name);
    match &family.once {
        None => family.columns.iter().map(name).collect::<Vec<_>>().join(", "),
        Some(once) => {
            let columns = once.of.iter().filter_map(|place| family.columns.get(*place)).map(name);
            format!("DISTINCT {}", columns.collect::<Vec<_>>().join(", "))
        }
    }
}

/// When the first of a group's windows ends, by an event of the group.
fn end(family: &Family, metric: &Metric) -> String {
    let time = family.columns.get(family.time).map(|column| quoted(&column.name)).unwrap_or_default();
    let ends = metric.leaves.iter().map(|(_, window)| match window {
        Window::Width(ms) => {
            format!("time_bucket(INTERVAL '{ms} milliseconds', {time}) + INTERVAL '{ms} milliseconds'")
        }
        Window::Week => format!("date_trunc('week', {time}) + INTERVAL '7 days'"),
        Window::Month => format!("date_trunc('month', {time}) + INTERVAL '1 month'"),
    });
    format!("least({})", ends.collect::<Vec<_>>().join(", "))
}

/// The events of a file of JSON lines.
fn of_lines(family: &Family, readings: &[Reading]) -> String {
    let columns: Vec<_> =
        readings.iter().map(|reading| format!("{} AS {}", read(reading), quoted(reading.column))).collect();
    let all = family.columns.iter().zip(readings).filter_map(|(column, reading)| must(column.nullable, reading));
    let must: Vec<_> = all.chain(is_named(family, readings)).collect();
    let such = if must.is_empty() { String::new() } else { format!("\nWHERE {}", must.join("\n    AND ")) };
    let file = format!("coalesce(getvariable('{0}'), '{0}.jsonl')", family.name);
    format!(
        "SELECT {} FROM (\n    SELECT json AS _json,\n        {}\n    FROM read_ndjson_objects({file}, ignore_errors = true)\n){such}",
        counted(family),
        columns.join(",\n        ")
    )
}

/// What a record must have.
fn must(nullable: bool, reading: &Reading) -> Option<String> {
    let column = quoted(reading.column);
    let limits = match &reading.takes {
        Takes::Number(decimals, (least, most)) if (*least, *most) != (i64::MIN, i64::MAX) => {
            Some(format!("{column} BETWEEN {} AND {}", shown(*least, *decimals), shown(*most, *decimals)))
        }
        Takes::Text { one_of: Some(one_of), .. } => {
            let known: Vec<_> = one_of.known.iter().map(|known| text(known)).collect();
            Some(format!("{column} IN ({})", known.join(", ")))
        }
        Takes::Number(..) | Takes::Text { one_of: None, .. } | Takes::Boolean | Takes::Instant => None,
    };
    let is_text = matches!(reading.takes, Takes::Text { .. });
    match (limits, nullable) {
        (None, true) if is_text => None,
        // A value that cannot be read is not nothing.
        (limits, true) => {
            let is = limits.unwrap_or_else(|| format!("{column} IS NOT NULL"));
            Some(format!("({is} OR {})", nothing(&fields(reading, "_json"))))
        }
        (Some(limits), false) => Some(limits),
        (None, false) => Some(format!("{column} IS NOT NULL")),
    }
}

/// That a record names no other event, where no column reads such a name.
fn is_named(family: &Family, readings: &[Reading]) -> Option<String> {
    let is_read = readings.iter().any(|reading| reading.from.contains(&EVENT_NAME));
    let name = format!("(_json->>{})", path(EVENT_NAME));
    (!is_read).then(|| format!("({name} IS NULL OR {name} = {})", text(&family.name)))
}

/// The fields that a column is read of; none of them holds an empty text.
fn fields(reading: &Reading, record: &str) -> Vec<String> {
    reading.from.iter().map(|field| format!("nullif({record}->>{}, '')", path(field))).collect()
}

/// How a column is read of a record, which is called `json`.
fn read(reading: &Reading) -> String {
    let fields = fields(reading, "json");
    let field = match fields.as_slice() {
        [one] => one.clone(),
        many => format!("coalesce({})", many.join(", ")),
    };
    let value = match &reading.takes {
        Takes::Boolean => format!("TRY_CAST({field} AS BOOLEAN)"),
        Takes::Number(0, _) => format!("TRY_CAST({field} AS BIGINT)"),
        Takes::Number(decimals, _) => format!("TRY_CAST({field} AS DECIMAL(18,{decimals}))"),
        Takes::Instant => format!(
            "CASE WHEN regexp_full_match({field}, '[0-9]{{12,14}}') THEN make_timestamp({field}::BIGINT * 1000) \
             ELSE date_trunc('millisecond', TRY_CAST({field} AS TIMESTAMPTZ) AT TIME ZONE 'UTC') END"
        ),
        Takes::Text { case, one_of, is_person: _ } => {
            let cased = match case {
                Case::Kept => field,
                Case::Lower => format!("lower({field})"),
                Case::Upper => format!("upper({field})"),
            };
            match one_of.as_ref().filter(|one_of| !one_of.others.is_empty()) {
                None => cased,
                Some(one_of) => {
                    let others = one_of.others.iter().filter_map(|(other, place)| {
                        Some(format!("WHEN {} THEN {}", text(other), text(one_of.known.get(*place)?)))
                    });
                    format!("CASE {cased} {} ELSE {cased} END", others.collect::<Vec<_>>().join(" "))
                }
            }
        }
    };
    match &reading.empty {
        Empty::Rejected | Empty::Is(Literal::Null) => value,
        // Only where there is nothing: what cannot be read is no reason for it.
        Empty::Is(literal) => {
            format!("CASE WHEN {} THEN {} ELSE {value} END", nothing(&fields), said(literal, reading))
        }
    }
}

fn nothing(fields: &[String]) -> String {
    let none: Vec<_> = fields.iter().map(|field| format!("{field} IS NULL")).collect();
    none.join(" AND ")
}

fn said(literal: &Literal, reading: &Reading) -> String {
    match literal {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(truth) => truth.to_string().to_uppercase(),
        Literal::Number(number) => match reading.takes {
            Takes::Number(decimals, _) => shown(*number, decimals),
            Takes::Boolean | Takes::Instant | Takes::Text { .. } => number.to_string(),
        },
        Literal::Instant(ms) => format!("make_timestamp({ms} * 1000)"),
        Literal::Text(words) => text(words),
    }
}

/// Where a field stands in a record, as a path of JSON.
fn path(field: &str) -> String {
    let steps: String =
        field.split('.').map(|step| format!(".\"{}\"", step.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    text(&format!("${steps}"))
}

fn text(words: &str) -> String {
    format!("'{}'", words.replace('\'', "''"))
}
