//! How many of the units sold have no price, and why: a sum of sales without them looks like any other.

use super::text::grouped;
use crate::config::Config;
use crate::instant::span;
use crate::sink::sqlite::Sqlite;
use anyhow::{Context, Result};
use dataflows::shop::metrics::movies_catalog::MOVIES_CATALOG;
use dataflows::shop::raw::CATALOG_EVENTS;
use dataflows::table::TableId;
use rusqlite::named_params;

/// Units by why they have no price.
const SQL: &str = r#"
WITH unpriced AS (
    SELECT movie_id, sold_at FROM movie_sale_lines WHERE purchase_amount IS NULL
),
items AS (
    SELECT item_id, MIN(since) AS first_at, COUNT(price) > 0 AS ever_priced
    FROM versions
    WHERE item_id IN (SELECT movie_id FROM unpriced)
    GROUP BY item_id
),
judged AS (
    SELECT item_id IS NULL AS is_unknown,
           ever_priced AND ROUND((julianday(first_at) - julianday(sold_at)) * 86400000) > :price_backfill_ms AS is_too_late
    FROM unpriced
    LEFT JOIN items ON item_id = movie_id
)
SELECT COUNT(*) FILTER (WHERE is_unknown),
       COUNT(*) FILTER (WHERE NOT is_unknown AND NOT is_too_late),
       COUNT(*) FILTER (WHERE is_too_late)
FROM judged"#;

/// A line for the summary; none if nothing was sold, or lines of sales are not kept.
pub(super) fn line(config: &Config, sink: &Sqlite) -> Result<Option<String>> {
    let failed = || format!("could not count what has no price in `{}`", sink.path().display());
    let connection = sink.connection();
    let sold = "SELECT COUNT(*), COUNT(*) - COUNT(purchase_amount) FROM movie_sale_lines";
    let (units, without): (i64, i64) =
        connection.query_row(sold, [], |row| Ok((row.get(0)?, row.get(1)?))).with_context(failed)?;
    let shown = |units: i64| grouped(units.unsigned_abs());
    match (units, without) {
        (0, _) => return Ok(None),
        (1, 0) => return Ok(Some("the one unit sold has a price".to_owned())),
        (_, 0) => return Ok(Some(format!("all {} units sold have a price", shown(units)))),
        _ => {}
    }
    let said = format!("{} of {} units sold have no price", shown(without), shown(units));
    let holds_rows = |id: TableId| sink.count(id.table()).map(|count| count > Some(0));
    // The raw table has all versions, the other one only the last of each item.
    let versions = match (holds_rows(CATALOG_EVENTS)?, holds_rows(MOVIES_CATALOG.table)?) {
        (true, _) => "SELECT item_id, effective_at AS since, price FROM catalog_events",
        (_, true) => "SELECT item_id, timestamp AS since, price FROM movies_catalog",
        _ if config.raw || config.kept_tables()?.contains(MOVIES_CATALOG.table) => {
            return Ok(Some(format!("{said}: there is no catalog (`--catalog FILE`)")));
        }
        _ => return Ok(Some(said)),
    };
    let sql = SQL.replacen("WITH ", &format!("WITH versions AS ({versions}),\n"), 1);
    let parameters = named_params! { ":price_backfill_ms": config.price_backfill };
    let [unknown, unpriced, too_late]: [i64; 3] = connection
        .query_row(&sql, parameters, |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
        .with_context(failed)?;
    let late = format!("first price more than `price_backfill` ({}) after the sale", span::show(config.price_backfill));
    let whys = [("no such item", unknown), ("no price in the catalog", unpriced), (&late, too_late)];
    let whys = whys.into_iter().filter(|(_, units)| *units > 0);
    let whys: Vec<_> = whys.map(|(why, units)| format!("{why} {}", shown(units))).collect();
    Ok(Some(format!("{said}: {}", whys.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::all;
    use crate::sink::sqlite::ddl;

    const COLUMNS: &str = "_topic, _partition, _offset, effective_at, timestamp, item_id, title, price, directors, \
                           actors, languages, attributes, _epoch, _updated_at";

    /// A warehouse with versions (item, since, price) and units sold (movie, at, amount).
    fn warehouse(
        versions: &[(&str, &str, Option<f64>)],
        sold: &[(&str, &str, Option<f64>)],
        all_versions: bool,
    ) -> (tempfile::TempDir, Sqlite) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.db");
        let connection = rusqlite::Connection::open(&path).expect("opens");
        for id in all().tables() {
            connection.execute_batch(&ddl(id.table())).expect("makes it");
        }
        for (n, (item, since, price)) in versions.iter().enumerate() {
            let price = price.map_or("NULL".to_owned(), |price| price.to_string());
            let sql = match all_versions {
                true => format!(
                    "INSERT INTO catalog_events ({COLUMNS}) VALUES ('c', 0, {n}, '{since}', '{since}', '{item}', 'T', \
                     {price}, '[]', '[]', '[]', '{{}}', 2, '')"
                ),
                false => format!(
                    "INSERT OR REPLACE INTO movies_catalog (item_id, timestamp, title, price, directors, actors, \
                     languages, attributes, _epoch, _updated_at) VALUES ('{item}', '{since}', 'T', {price}, '[]', \
                     '[]', '[]', '{{}}', 2, '')"
                ),
            };
            connection.execute_batch(&sql).expect("inserts");
        }
        for (n, (movie, at, amount)) in sold.iter().enumerate() {
            let row = rusqlite::params![format!("cart {n}"), movie, at, amount];
            let sql = "INSERT INTO movie_sale_lines VALUES (?1, ?2, ?3, 7, ?3, ?4, 2, '')";
            connection.execute(sql, row).expect("inserts");
        }
        drop(connection);
        (folder, Sqlite::open_to_read(all(), &path).expect("opens"))
    }

    const VERSIONS: [(&str, &str, Option<f64>); 4] = [
        ("1", "2026-01-05T00:00:00.000Z", Some(9.99)),
        ("2", "2026-01-05T00:00:00.000Z", None),
        ("3", "2026-01-20T10:00:00.000Z", Some(9.99)),
        // Its first price came with its second version.
        ("4", "2026-01-20T10:00:00.000Z", None),
    ];
    const SOLD: [(&str, &str, Option<f64>); 7] = [
        ("1", "2026-01-06T10:00:00.000Z", Some(9.99)),
        ("2", "2026-01-06T10:00:00.000Z", None),
        ("2", "2026-01-06T10:00:00.000Z", None),
        // Seven days before there was a price, and a millisecond more than that.
        ("3", "2026-01-13T10:00:00.000Z", Some(9.99)),
        ("3", "2026-01-13T09:59:59.999Z", None),
        ("4", "2026-01-06T10:00:00.000Z", None),
        ("99", "2026-01-06T10:00:00.000Z", None),
    ];

    #[test]
    fn units_without_a_price_are_counted_by_why() {
        let expected = "5 of 7 units sold have no price: no such item 1, no price in the catalog 3, first price more than \
                        `price_backfill` (7days) after the sale 1";
        let config = Config::default();
        for all_versions in [true, false] {
            let (_folder, sink) = warehouse(&VERSIONS, &SOLD, all_versions);
            assert_eq!(line(&config, &sink).expect("reads").as_deref(), Some(expected));
        }
        let later = [&VERSIONS[..], &[("4", "2026-01-21T00:00:00.000Z", Some(1.0))]].concat();
        let (_folder, sink) = warehouse(&later, &SOLD, true);
        let said = line(&config, &sink).expect("reads").expect("units are sold");
        assert!(
            said.ends_with(
                "no price in the catalog 2, first price more than `price_backfill` (7days) after the sale 2"
            ),
            "{said}"
        );
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let mut config = Config::default();
        let said = |config: &Config, versions: &[_], sold: &[_]| {
            line(config, &warehouse(versions, sold, true).1).expect("reads")
        };
        assert_eq!(said(&config, &VERSIONS, &[]), None);
        assert_eq!(said(&config, &VERSIONS, &SOLD[..1]).as_deref(), Some("the one unit sold has a price"));
        let priced = [SOLD[0], SOLD[3]];
        assert_eq!(said(&config, &VERSIONS, &priced).as_deref(), Some("all 2 units sold have a price"));
        let without = "5 of 7 units sold have no price";
        let expected = format!("{without}: there is no catalog (`--catalog FILE`)");
        assert_eq!(said(&config, &[], &SOLD), Some(expected));
        config.raw = false;
        config.tables = vec!["movie_sale_lines".to_owned()];
        assert_eq!(said(&config, &[], &SOLD).as_deref(), Some(without));
    }
}
