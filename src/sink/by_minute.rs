//! `session_metrics_by_minute`: every minute boundary, of the rows of those at which there is news.
//!
//! Between two rows nobody is active and everything else stands; after the last one too, up to the watermark. So
//! whoever averages over minutes, and whoever draws them, reads the view. It ends where what is known ends: of a batch
//! that is its last row, behind which a session may have gone on.

use dataflows::table::{Column, Kind, Table, TableId};

/// What a table is that is a view.
pub const NAME: &str = "session_metrics_by_minute";

/// The columns that are of their minute alone, and what they are where there is no row.
const OF_THE_MINUTE: [(&str, &str); 2] = [("active_sessions_count", "0"), ("average_active_age", "NULL")];

/// How a warehouse writes what not all write alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Instants are text of one length.
    Sqlite,
    /// `TIMESTAMP`s.
    DuckDb,
    /// `TIMESTAMP_NTZ`s.
    Snowflake,
}

/// The view as if it were a table: it has the columns of the one it is made of.
pub fn table() -> Table {
    let doc = "One row per minute boundary, from the first row of `session_metrics` to the watermark: the state of all \
               sessions, carried forward where there is no news.";
    Table { name: NAME, doc, kind: Kind::Upsert, ..TableId::SessionMetrics.table().clone() }
}

/// What the view selects, given what is called how.
pub fn select(dialect: Dialect, quote: fn(&str) -> String, table: &str, progress: &str) -> String {
    let columns = &TableId::SessionMetrics.table().columns;
    let [at, minute, last, stretches, minutes] = ["timestamp", "_minute", "_last", "_stretches", "_minutes"].map(quote);
    let (watermark, made_by) = (dialect.minute_of(&quote("watermark")), quote("made_by"));
    let next = format!("lead({at}) OVER (ORDER BY {at})");
    let before_next = dialect.minute_before(&next);
    let names: Vec<_> = columns.iter().map(|column| quote(column.name)).collect();
    let names = names.join(", ");
    let shown = |column: &Column| {
        let name = quote(column.name);
        match OF_THE_MINUTE.iter().find(|(of, _)| *of == column.name) {
            _ if column.name == "timestamp" => format!("{minute} AS {name}"),
            Some((_, otherwise)) => format!("CASE WHEN {minute} = {at} THEN {name} ELSE {otherwise} END AS {name}"),
            None => name,
        }
    };
    let shown: Vec<_> = columns.iter().map(shown).collect();
    let with = if dialect == Dialect::Sqlite { "WITH RECURSIVE" } else { "WITH" };
    let carried = match dialect {
        Dialect::Sqlite => format!(
            "SELECT {at} AS {minute}, {names}, {last} FROM {stretches}
    UNION ALL
    SELECT {after}, {names}, {last} FROM {minutes} WHERE {minute} < {last}",
            after = format_args!("strftime('{SQLITE_MINUTE}', {minute}, '+1 minute')")
        ),
        Dialect::DuckDb => format!(
            "SELECT unnest(generate_series({at}, {last}, INTERVAL 1 MINUTE)) AS {minute}, {names} FROM {stretches}"
        ),
        // By the day: an array of all minutes of years would be larger than a value may be.
        Dialect::Snowflake => format!(
            r#"SELECT DATEADD('minute', CAST("D"."VALUE" AS INTEGER) * 1440 + CAST("M"."VALUE" AS INTEGER), {at}) AS {minute},
           {names}
    FROM {stretches},
        LATERAL FLATTEN(INPUT => ARRAY_GENERATE_RANGE(
            0, CAST(FLOOR(DATEDIFF('minute', {at}, {last}) / 1440) AS INTEGER) + 1
        )) AS "D",
        LATERAL FLATTEN(INPUT => ARRAY_GENERATE_RANGE(
            0, CAST(LEAST(1440, DATEDIFF('minute', {at}, {last}) + 1 - CAST("D"."VALUE" AS INTEGER) * 1440) AS INTEGER)
        )) AS "M""#
        ),
    };
    format!(
        "{with} {stretches} AS (
    SELECT {names},
           coalesce({before_next}, CASE WHEN {made_by} = 'run' AND {watermark} > {at} THEN {watermark} ELSE {at} END) AS {last}
    FROM {table} CROSS JOIN {progress}
),
{minutes} AS (
    {carried}
)
SELECT {shown}
FROM {minutes}",
        shown = shown.join(",\n       ")
    )
}

/// A minute boundary as SQLite holds it.
const SQLITE_MINUTE: &str = "%Y-%m-%dT%H:%M:00.000Z";

impl Dialect {
    /// The last boundary at or before an instant.
    fn minute_of(self, at: &str) -> String {
        match self {
            Dialect::Sqlite => format!("strftime('{SQLITE_MINUTE}', {at})"),
            Dialect::DuckDb | Dialect::Snowflake => format!("date_trunc('minute', {at})"),
        }
    }

    /// The boundary before one.
    fn minute_before(self, at: &str) -> String {
        match self {
            Dialect::Sqlite => format!("strftime('{SQLITE_MINUTE}', {at}, '-1 minute')"),
            Dialect::DuckDb => format!("{at} - INTERVAL 1 MINUTE"),
            Dialect::Snowflake => format!("DATEADD('minute', -1, {at})"),
        }
    }
}
