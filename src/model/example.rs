//! A model to begin with: one kind of events, one metric of it, and a case of that.

use super::messages::Mistake;
use super::{duckdb, events};

/// Its files, by their names.
pub const FILES: &[(&str, &str)] = &[
    ("orders.toml", include_str!("example/orders.toml")),
    ("orders_by_day.sql", include_str!("example/orders_by_day.sql")),
    ("orders_by_day.case", include_str!("example/orders_by_day.case")),
];

/// What stands beside such files: the file of views for DuckDB.
///
/// # Errors
/// If the events that they declare are wrong.
pub fn views(files: &[(&str, &str)]) -> Result<String, Vec<Mistake>> {
    let mut all = Vec::new();
    for (file, text) in files {
        if let Some(name) = file.strip_suffix(".toml") {
            all.push(events::read(name, text)?);
        }
    }
    Ok(duckdb::views(all.iter().map(|events| (&events.family, events.readings.as_slice()))))
}

#[cfg(test)]
mod tests {
    use super::{FILES, views};
    use crate::families::is_ours;
    use crate::model::load::load;
    use crate::model::shipped::Folder;

    #[test]
    fn its_files_work_together() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in FILES {
            std::fs::write(folder.path().join(name), text).expect("writes");
        }
        let loaded = load(Folder::Here(folder.path()), None, &is_ours, Vec::new())
            .unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
        assert_eq!(loaded.families[0].family.plan().metrics.len(), 1);
        assert!(views(FILES).expect("no mistake").contains("CREATE OR REPLACE VIEW \"orders\" AS"));
    }
}
