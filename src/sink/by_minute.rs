//! Views of every minute boundary, of tables with rows where there is news.
//!
//! Between two rows some columns are those of nobody and everything else stands; after the last one too, up to the
//! watermark. To average over minutes, or to draw them, read the view. It ends where what is known ends:
//! of a batch that is its last row, behind which something may have gone on.

use dataflows::family::Catalogue;
use dataflows::table::{ByMinute, Column, Table};

/// The tables that have such a view, each with it and the name of their family.
pub fn all(catalogue: Catalogue) -> impl Iterator<Item = (&'static Table, &'static ByMinute, &'static str)> {
    let family = move |id| catalogue.family_of(id).map_or("", |family| family.name());
    catalogue.tables().iter().filter_map(move |id| Some((id.table(), id.table().by_minute.as_ref()?, family(*id))))
}

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

/// A view as if it were a table: it has the columns of the one it is made of.
pub fn table(of: &Table, view: &ByMinute) -> Table {
    Table { name: view.name, doc: view.doc, by_minute: None, ..of.clone() }
}

/// What a view selects, given what its table and `_progress` are called.
pub fn select(
    dialect: Dialect,
    quote: fn(&str) -> String,
    (of, view, family): (&Table, &ByMinute, &str),
    table: &str,
    progress: &str,
) -> String {
    let columns = &of.columns;
    let at = columns[0].name;
    let [at, minute, last, stretches, minutes] = [at, "_minute", "_last", "_stretches", "_minutes"].map(quote);
    let (this, watermark) = (dialect.minute_of(&at), dialect.minute_of(&dialect.watermark_of(family, quote)));
    let before_next = dialect.minute_before(&dialect.minute_of(&format!("lead({at}) OVER (ORDER BY {at})")));
    // Each column as it is at a minute: at that of a row what it says, behind it nobody.
    let each = |of_the_minute: &dyn Fn(&str, &str) -> String| {
        let column = |column: &Column| {
            let name = quote(column.name);
            let behind = view.of_the_minute.iter().find(|(of, _)| *of == column.name);
            behind.map_or(name.clone(), |(_, behind)| of_the_minute(&name, behind))
        };
        columns[1..].iter().map(column).collect::<Vec<_>>().join(", ")
    };
    let names = each(&|name, _| name.to_owned());
    let carried = match dialect {
        // Minutes as numbers: text for each would take three times as long.
        Dialect::Sqlite => format!(
            "SELECT {this}, {last}, {names} FROM {stretches}
    UNION ALL
    SELECT {minute} + 1, {last}, {behind} FROM {minutes} WHERE {minute} < {last}",
            behind = each(&|_, behind| behind.to_owned())
        ),
        Dialect::DuckDb => format!(
            "SELECT unnest(generate_series({at}, {last}, INTERVAL 1 MINUTE)) AS {minute}, {at}, {names}
    FROM {stretches}"
        ),
        // By the day: an array of all minutes of years would be larger than a value may be.
        Dialect::Snowflake => format!(
            r#"SELECT DATEADD('minute', CAST("D"."VALUE" AS INTEGER) * 1440 + CAST("M"."VALUE" AS INTEGER), {at}) AS {minute},
           {at}, {names}
    FROM {stretches},
        LATERAL FLATTEN(INPUT => ARRAY_GENERATE_RANGE(
            0, CAST(FLOOR(DATEDIFF('minute', {at}, {last}) / 1440) AS INTEGER) + 1
        )) AS "D",
        LATERAL FLATTEN(INPUT => ARRAY_GENERATE_RANGE(
            0, CAST(LEAST(1440, DATEDIFF('minute', {at}, {last}) + 1 - CAST("D"."VALUE" AS INTEGER) * 1440) AS INTEGER)
        )) AS "M""#
        ),
    };
    let (with, head, shown) = match dialect {
        Dialect::Sqlite => (
            "WITH RECURSIVE",
            format!("{minutes}({minute}, {last}, {names})"),
            format!("strftime('%Y-%m-%dT%H:%M:00.000Z', {minute} * 60, 'unixepoch') AS {at}, {names}"),
        ),
        Dialect::DuckDb | Dialect::Snowflake => {
            let here =
                |name: &str, behind: &str| format!("CASE WHEN {minute} = {at} THEN {name} ELSE {behind} END AS {name}");
            ("WITH", minutes.clone(), format!("{minute} AS {at}, {}", each(&here)))
        }
    };
    format!(
        "{with} {stretches} AS (
    SELECT {at}, {names},
           coalesce({before_next}, CASE WHEN {made_by} <> 'batch' AND {watermark} > {this} THEN {watermark} ELSE {this} END) AS {last}
    FROM {table} CROSS JOIN {progress}
),
{head} AS (
    {carried}
)
SELECT {shown}
FROM {minutes}",
        made_by = quote("made_by")
    )
}

impl Dialect {
    /// The watermark of a family, out of `_progress`: of before families had names there is one.
    pub(super) fn watermark_of(self, family: &str, quote: fn(&str) -> String) -> String {
        let (all, least) = (quote("watermarks"), quote("watermark"));
        let own = match self {
            Dialect::Sqlite => format!("json_extract({all}, '$.{family}')"),
            Dialect::DuckDb => format!("({all}->>'$.{family}')::TIMESTAMPTZ AT TIME ZONE 'UTC'"),
            Dialect::Snowflake => {
                format!(
                    "CAST(REPLACE(CAST(GET_PATH(PARSE_JSON({all}), '{family}') AS VARCHAR), 'Z', '') AS TIMESTAMP_NTZ(3))"
                )
            }
        };
        format!("coalesce({own}, {least})")
    }

    /// The last boundary at or before an instant; for SQLite as a number of minutes.
    fn minute_of(self, at: &str) -> String {
        match self {
            Dialect::Sqlite => format!("strftime('%s', {at}) / 60"),
            Dialect::DuckDb | Dialect::Snowflake => format!("date_trunc('minute', {at})"),
        }
    }

    /// The boundary before one.
    fn minute_before(self, minute: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{minute} - 1"),
            Dialect::DuckDb => format!("{minute} - INTERVAL 1 MINUTE"),
            Dialect::Snowflake => format!("DATEADD('minute', -1, {minute})"),
        }
    }
}
