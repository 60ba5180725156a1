//! What the files of a feed are called, and what their names say.

use dataflows::Time;
use dataflows::table::Table;

/// The folder of a table's deltas.
pub(super) fn deltas(table: &Table) -> String {
    format!("{}/deltas/", table.name)
}

/// The folder of a table's deltas of one day.
pub(super) fn deltas_of(table: &Table, day: &str) -> String {
    format!("{}/deltas/date={day}/", table.name)
}

/// The folder of a table's merged rows.
pub(super) fn merged(table: &Table) -> String {
    format!("{}/merged/", table.name)
}

/// A file without rows, which says what columns there are; readers of deltas find it among them.
pub(super) fn empty(table: &Table) -> String {
    format!("{}/deltas/_schema.parquet", table.name)
}

/// How the names of a commit's files begin.
pub(super) fn commit(epoch: Time, generation: u64) -> String {
    format!("{epoch:012}-{generation:06}")
}

/// Which epoch and generation a file is of; nothing if it is none of ours.
pub(super) fn epoch_and_generation(path: &str) -> Option<(Time, u64)> {
    let mut parts = path.rsplit('/').next()?.strip_suffix(".parquet")?.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The day of a file of deltas.
pub(super) fn day_of(path: &str) -> Option<&str> {
    path.split('/').find_map(|name| name.strip_prefix("date="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_were_made_of() {
        for id in crate::families::all().tables() {
            let table = id.table();
            let path =
                format!("{}{}-0003.parquet", deltas_of(table, &crate::instant::day(1_767_571_200_000)), commit(58, 2));
            assert_eq!((day_of(&path), epoch_and_generation(&path)), (Some("2026-01-05"), Some((58, 2))));
            assert_eq!((day_of(&empty(table)), epoch_and_generation(&empty(table))), (None, None));
            let stamps = super::super::schema::STAMPS.map(|(name, _)| name);
            let clash = table.columns.iter().find(|column| column.name == "date" || stamps.contains(&column.name));
            assert!(clash.is_none(), "`{}` has a column that readers of the feed would take for another", table.name);
        }
    }
}
