//! `views.sql`: what DuckDB needs to read a feed, as of the newest commit when it is loaded, until it
//! is loaded again.
//!
//! It is written once for every start, not for every commit: it looks up the newest object of
//! `_progress/` itself, and keeps the names of the files that are listed there. All views of a session
//! are therefore of one commit, and stay so while files come and go, for as long as the grace.

use super::names;
use crate::families;
use crate::sink::by_minute;
use crate::sink::sqlite::quoted;
use crate::sink::views;
use dataflows::family::Catalogue;
use dataflows::table::{Column, Kind, Table, Type};
use std::fmt::Write;

const HEAD: &str = "\
-- The tables of a deltamart feed as views: `duckdb -init FEED/views.sql`. Loaded again, they are of the newest commit;
-- until then all of them are of one and the same. If the feed has moved, say so first:
--   SET VARIABLE deltamart_feed = '/where/it/is/now';
--
-- _progress         the commit
-- TABLE             the rows that are
-- TABLE_deltas      what every commit changed: `_op` is 'upsert' or 'delete', and then only the key is given
";

/// The statements for a feed at an address: a path from the root, or a URL.
pub(super) fn sql(catalogue: Catalogue, address: &str) -> String {
    let mut sql = HEAD.to_owned();
    for (of, view, _) in by_minute::all(catalogue) {
        let _ = writeln!(sql, "-- {}   every minute: what `{}` says, carried forward", view.name, of.name);
    }
    for view in families::views() {
        let _ = writeln!(sql, "-- {}   {}", view.name, view.doc);
    }
    let address = address.replace('\'', "''");
    write!(
        sql,
        "
SET TimeZone = 'UTC';
SET VARIABLE deltamart_feed = coalesce(getvariable('deltamart_feed'), '{address}');
SET VARIABLE deltamart_newest = (SELECT max(file) FROM glob(getvariable('deltamart_feed') || '/_progress/*.json'));
SET VARIABLE deltamart_manifest = (SELECT content FROM read_text(getvariable('deltamart_newest')));
SET VARIABLE deltamart_epoch = (getvariable('deltamart_manifest')->>'$.epoch')::BIGINT;
CREATE OR REPLACE TEMP VIEW _progress AS SELECT
    getvariable('deltamart_epoch') AS epoch,
    getvariable('deltamart_manifest')->>'$.pipeline_id' AS pipeline_id,
    (getvariable('deltamart_manifest')->>'$.generation')::BIGINT AS generation,
    getvariable('deltamart_manifest')->>'$.made_by' AS made_by,
    (getvariable('deltamart_manifest')->>'$.watermark')::TIMESTAMPTZ AT TIME ZONE 'UTC' AS watermark,
    getvariable('deltamart_manifest')->'$.watermarks' AS watermarks,
    (getvariable('deltamart_manifest')->>'$.committed_at')::TIMESTAMPTZ AT TIME ZONE 'UTC' AS committed_at,
    getvariable('deltamart_manifest')->'$.positions' AS positions;
-- Which start committed which epochs: files of anything else are left over and count for nothing.
CREATE OR REPLACE TEMP TABLE _deltamart_starts AS
SELECT generation, after_epoch, lead(after_epoch, 1, getvariable('deltamart_epoch')) OVER (ORDER BY generation) AS to_epoch
FROM (
    SELECT (start->>'$.generation')::BIGINT AS generation, (start->>'$.after')::BIGINT AS after_epoch
    FROM (SELECT unnest((getvariable('deltamart_manifest')->'$.starts')::JSON[]) AS start)
);
"
    )
    .unwrap_or_default();
    for id in catalogue.tables() {
        write_table(&mut sql, id.table()).unwrap_or_default();
    }
    for (of, view, family) in by_minute::all(catalogue) {
        let (name, doc) = (quoted(view.name), view.doc);
        let select = by_minute::select(by_minute::Dialect::DuckDb, quoted, (of, view, family), of.name, "_progress");
        write!(sql, "\n-- {doc}\nCREATE OR REPLACE TEMP VIEW {name} AS\n{select};\n").unwrap_or_default();
    }
    let all = families::views();
    for view in views::ordered(all) {
        let (name, doc) = (quoted(&view.name), &view.doc);
        let select = views::select(by_minute::Dialect::DuckDb, quoted, (catalogue, all, view), &|_| None);
        write!(sql, "\n-- {doc}\nCREATE OR REPLACE TEMP VIEW {name} AS\n{select};\n").unwrap_or_default();
    }
    sql
}

fn write_table(sql: &mut String, table: &Table) -> std::fmt::Result {
    let name = table.name;
    let columns: Vec<_> = table.columns.iter().map(|column| selected(column, "_r")).collect();
    let columns = columns.join(", ");
    let key: Vec<_> = table.columns[..table.key_columns].iter().map(|column| quoted(column.name)).collect();
    let (empty, deltas) = (names::empty(table), names::deltas(table));
    let updated_at = "_r._updated_at AT TIME ZONE 'UTC' AS _updated_at";
    let runs = format!(
        "coalesce(from_json(getvariable('deltamart_manifest')->'$.tables.{name}', '[{{\"changes\":\"BOOLEAN\",\"files\":[{{\"path\":\"VARCHAR\"}}]}}]'), [])"
    );
    write!(
        sql,
        "
-- {doc}
SET VARIABLE deltamart_{name} = (
    SELECT [getvariable('deltamart_feed') || '/{empty}']
        || [getvariable('deltamart_feed') || '/' || file.path for file in flatten([run.files for run in runs])]
    FROM (SELECT {runs} AS runs)
);
",
        doc = table.doc
    )?;
    match table.kind() {
        Kind::Upsert => write!(
            sql,
            "CREATE OR REPLACE TEMP VIEW {name} AS
SELECT {columns}, _r._epoch, {updated_at}
FROM (
    FROM read_parquet(getvariable('deltamart_{name}'), union_by_name = true, hive_partitioning = false)
    QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _epoch DESC) = 1
) AS _r
WHERE _op = 'upsert';
",
            key = key.join(", ")
        )?,
        Kind::Append => {
            let same: Vec<_> = key.iter().map(|column| format!("_c.{column} = _r.{column}")).collect();
            write!(
                sql,
                "SET VARIABLE deltamart_{name}_changes = (
    SELECT [getvariable('deltamart_feed') || '/{empty}']
        || [getvariable('deltamart_feed') || '/' || file.path for file in flatten([run.files for run in runs if run.changes])]
    FROM (SELECT {runs} AS runs)
);
CREATE OR REPLACE TEMP VIEW {name} AS
SELECT {columns}, _r._epoch, {updated_at}
FROM read_parquet(getvariable('deltamart_{name}'), union_by_name = true, hive_partitioning = false) AS _r
WHERE _r._op = 'upsert' AND NOT EXISTS (
    FROM read_parquet(getvariable('deltamart_{name}_changes'), union_by_name = true, hive_partitioning = false) AS _c
    WHERE {same} AND _c._epoch > _r._epoch
);
",
                same = same.join(" AND ")
            )?;
        }
    }
    write!(
        sql,
        "CREATE OR REPLACE TEMP VIEW {name}_deltas AS
SELECT {columns}, _r._op, _r._epoch, {updated_at}
FROM read_parquet(
    getvariable('deltamart_feed') || '/{deltas}**/*.parquet', union_by_name = true, hive_partitioning = false
) AS _r
WHERE EXISTS (
    FROM _deltamart_starts AS _s
    WHERE _s.generation = _r._generation AND _r._epoch > _s.after_epoch AND _r._epoch <= _s.to_epoch
) AND _r._epoch <= getvariable('deltamart_epoch');
"
    )
}

/// An instant without its zone, which is UTC: clients show others in zones of their own.
pub(super) fn selected(column: &Column, from: &str) -> String {
    let name = quoted(column.name);
    match column.ty {
        Type::Instant => format!("{from}.{name} AT TIME ZONE 'UTC' AS {name}"),
        Type::Integer
        | Type::Boolean
        | Type::Money
        | Type::Milli
        | Type::Share
        | Type::Text
        | Type::Json
        | Type::Bytes => {
            format!("{from}.{name}")
        }
    }
}
