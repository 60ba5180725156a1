//! Views of a feed that stay in a database file: for programs that open a connection of their own, and load nothing in it.
//!
//! Those of `views.sql` keep the commit in variables of their session. These look up the newest commit whenever they are
//! asked: two queries may see two commits.

use super::names;
use super::views::selected;
use crate::families;
use crate::sink::by_minute::{self, Dialect};
use crate::sink::sqlite::quoted;
use crate::sink::views;
use dataflows::family::Catalogue;
use dataflows::table::{Kind, Table};
use std::fmt::Write;

/// The schema that the views are in.
const SCHEMA: &str = "deltamart";

/// The statements for a feed at an address: a path from the root, or a URL.
pub(super) fn sql(catalogue: Catalogue, address: &str) -> String {
    let feed = address.replace('\'', "''");
    let mut sql = format!(
        "\
-- The tables of a deltamart feed as views in the schema `{SCHEMA}` of a database file:
--   deltamart schema --for duckdb | duckdb shop.duckdb
-- They stay in the file, and show the newest commit whenever they are asked. `views.sql` in the feed makes temporary ones,
-- which all show one commit.
CREATE SCHEMA IF NOT EXISTS {SCHEMA};

-- The newest commit.
CREATE OR REPLACE VIEW {SCHEMA}._manifest AS
SELECT content::JSON AS manifest FROM read_text('{feed}/_progress/*.json') ORDER BY filename DESC LIMIT 1;
CREATE OR REPLACE VIEW {SCHEMA}._progress AS SELECT
    (manifest->>'$.epoch')::BIGINT AS epoch,
    manifest->>'$.pipeline_id' AS pipeline_id,
    (manifest->>'$.generation')::BIGINT AS generation,
    manifest->>'$.made_by' AS made_by,
    (manifest->>'$.watermark')::TIMESTAMPTZ AT TIME ZONE 'UTC' AS watermark,
    manifest->'$.watermarks' AS watermarks,
    (manifest->>'$.committed_at')::TIMESTAMPTZ AT TIME ZONE 'UTC' AS committed_at,
    manifest->'$.positions' AS positions
FROM {SCHEMA}._manifest;
-- Which files have the rows of which table; of those that are left over none.
CREATE OR REPLACE VIEW {SCHEMA}._files AS
SELECT table_name, run.changes AS changes, '{feed}/' || unnest(run.files).path AS path
FROM (
    SELECT key AS table_name, unnest(from_json(value, '[{{\"changes\":\"BOOLEAN\",\"files\":[{{\"path\":\"VARCHAR\"}}]}}]')) AS run
    FROM {SCHEMA}._manifest, json_each(manifest->'$.tables')
);
-- Which start committed which epochs.
CREATE OR REPLACE VIEW {SCHEMA}._starts AS
SELECT generation, after_epoch, lead(after_epoch, 1, epoch) OVER (ORDER BY generation) AS to_epoch
FROM (
    SELECT epoch, (start->>'$.generation')::BIGINT AS generation, (start->>'$.after')::BIGINT AS after_epoch
    FROM (SELECT (manifest->>'$.epoch')::BIGINT AS epoch, unnest((manifest->'$.starts')::JSON[]) AS start FROM {SCHEMA}._manifest)
);
"
    );
    for id in catalogue.tables() {
        write_table(&mut sql, &feed, id.table()).unwrap_or_default();
    }
    let called = |name: &str| Some(format!("{SCHEMA}.{}", quoted(name)));
    for (of, view, family) in by_minute::all(catalogue) {
        let (name, doc) = (quoted(view.name), view.doc);
        let (table, progress) = (format!("{SCHEMA}.{}", of.name), format!("{SCHEMA}._progress"));
        let select = by_minute::select(Dialect::DuckDb, quoted, (of, view, family), &table, &progress);
        write!(sql, "\n-- {doc}\nCREATE OR REPLACE VIEW {SCHEMA}.{name} AS\n{select};\n").unwrap_or_default();
    }
    let all = families::views();
    for view in views::ordered(all) {
        let (name, doc) = (quoted(&view.name), &view.doc);
        let select = views::select(Dialect::DuckDb, quoted, (catalogue, all, view), &called);
        write!(sql, "\n-- {doc}\nCREATE OR REPLACE VIEW {SCHEMA}.{name} AS\n{select};\n").unwrap_or_default();
    }
    sql
}

fn write_table(sql: &mut String, feed: &str, table: &Table) -> std::fmt::Result {
    let name = table.name;
    let columns: Vec<_> = table.columns.iter().map(|column| selected(column, "_r")).collect();
    let columns = columns.join(", ");
    let key: Vec<_> = table.columns[..table.key_columns].iter().map(|column| quoted(column.name)).collect();
    let updated_at = "_r._updated_at AT TIME ZONE 'UTC' AS _updated_at";
    // DuckDB opens only the files that are named.
    let files = |and: &str| {
        format!(
            "FROM read_parquet('{feed}/{name}/**/*.parquet', union_by_name = true, hive_partitioning = false, filename = '_file')
    WHERE _file IN (SELECT path FROM {SCHEMA}._files WHERE table_name = '{name}'{and})"
        )
    };
    let (rows, such) = match table.kind() {
        Kind::Upsert => (
            format!(
                "{}\n    QUALIFY row_number() OVER (PARTITION BY {} ORDER BY _epoch DESC) = 1",
                files(""),
                key.join(", ")
            ),
            String::new(),
        ),
        Kind::Append => {
            let same: Vec<_> = key.iter().map(|column| format!("_c.{column} = _r.{column}")).collect();
            let changes = files(" AND changes");
            (
                files(""),
                format!(
                    " AND NOT EXISTS (\n    FROM ({changes}) AS _c\n    WHERE {} AND _c._epoch > _r._epoch\n)",
                    same.join(" AND ")
                ),
            )
        }
    };
    write!(
        sql,
        "
-- {doc}
CREATE OR REPLACE VIEW {SCHEMA}.{name} AS
SELECT {columns}, _r._epoch, {updated_at}
FROM (
    {rows}
) AS _r
WHERE _r._op = 'upsert'{such};
CREATE OR REPLACE VIEW {SCHEMA}.{name}_deltas AS
SELECT {columns}, _r._op, _r._epoch, {updated_at}
FROM read_parquet('{feed}/{deltas}**/*.parquet', union_by_name = true, hive_partitioning = false) AS _r
WHERE EXISTS (
    FROM {SCHEMA}._starts AS _s
    WHERE _s.generation = _r._generation AND _r._epoch > _s.after_epoch AND _r._epoch <= _s.to_epoch
);
",
        doc = table.doc,
        deltas = names::deltas(table)
    )
}
