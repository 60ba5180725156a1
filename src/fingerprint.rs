//! What the tables mean, name by name: when something of it changes, state and rows of before do not
//! fit what is computed from now on.

use dataflows::Settings;
use dataflows::family::Catalogue;
use dataflows::table::{Column, Table};
use std::collections::BTreeMap;

/// The version of how records are read: raised when the same records would give other rows. State of before is then
/// refused, and computed again with `--rebuild`.
const READING: u32 = 3;

/// Settings that rows or state depend on, and what each table says.
pub fn of(catalogue: Catalogue, settings: &Settings) -> BTreeMap<String, String> {
    let limit = |ms: Option<i64>| ms.map_or("unlimited".to_owned(), |ms| ms.to_string());
    let mut prints = BTreeMap::new();
    // Which bytes are which source, what a value says, and what is late.
    prints.insert("how records are read".to_owned(), READING.to_string());
    // The watermark is no setting: it is what the parameters are asked at.
    for (name, value) in settings.parameters(0).into_iter().filter(|(name, _)| *name != ":watermark") {
        prints.insert(format!("setting {}", name.trim_start_matches(':')), value.to_string());
    }
    prints.insert("setting lateness_ms".to_owned(), limit(settings.lateness_ms));
    prints.insert("setting catalog_lateness_ms".to_owned(), limit(settings.catalog_lateness_ms));
    prints.insert("setting raw".to_owned(), if settings.raw { "on" } else { "off" }.to_owned());
    let pieces: String = catalogue.pieces().iter().flat_map(|(name, sql)| [*name, *sql]).collect();
    for (id, sql) in catalogue.metrics().iter().filter(|(id, _)| settings.tables.contains(*id)) {
        let table = id.table();
        prints.insert(format!("table {}", table.name), hash(&[&pieces, sql, &shape(table)]));
    }
    prints
}

fn shape(table: &Table) -> String {
    let column = |Column { name, ty, nullable, .. }: &Column| format!("{name} {ty:?} {nullable}");
    let columns: Vec<_> = table.columns.iter().map(column).collect();
    format!("{} {}", table.key_columns, columns.join(", "))
}

fn hash(texts: &[&str]) -> String {
    let mut hash = crc32fast::Hasher::new();
    texts.iter().for_each(|text| hash.update(text.as_bytes()));
    format!("{:08x}", hash.finalize())
}

/// What differs, for people.
pub fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let of = |prints: &BTreeMap<String, String>, name: &String| prints.get(name).cloned().unwrap_or("none".to_owned());
    let names: std::collections::BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    differing.map(|name| format!("{name} (was {}, is {})", of(before, name), of(now, name))).collect()
}
