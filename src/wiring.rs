//! The dataflow as people see it: families, the tables of each, where rows go, and what is in memory.

use crate::config::Config;
use crate::families;
use dataflows::family::FamilyId;
use dataflows::table::TableId;
use std::collections::BTreeMap;
use std::path::Path;

/// A family, and its tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Wired {
    /// Which family.
    pub family: FamilyId,
    /// The operators that no table has for itself, without the family's name, and how many records each holds.
    pub shared: Vec<(String, usize)>,
    /// Its tables: those of metrics, then those of raw rows.
    pub tables: Vec<WiredTable>,
}

/// A table of a family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WiredTable {
    /// Which table.
    pub id: TableId,
    /// Its rows are events as they came.
    pub is_raw: bool,
    /// How many records are in memory for it alone; nothing if it has no operator of its name.
    pub held: Option<usize>,
}

/// Every family with the tables that are kept. `live` is how many records each operator holds: its name is the family, then
/// what it is of, joined by `/`. An operator whose name is the beginning of others holds what they hold.
pub fn wired(config: &Config, live: &BTreeMap<String, usize>) -> Vec<Wired> {
    let kept = config.kept_tables().ok();
    let is_of = |operator: &str, name: &str| operator.split('/').next() == Some(name);
    let is_of_table = |operator: &str, id: TableId| operator.split('/').skip(1).any(|part| part == id.name());
    let is_in_parts =
        |whole: &str| live.keys().any(|part| part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('/')));
    let family = |family: &FamilyId| {
        let own = live.iter().filter(|(operator, _)| is_of(operator, family.name()) && !is_in_parts(operator));
        let own: Vec<_> = own.collect();
        let table = |id: TableId, is_raw: bool| {
            let of_table = own.iter().filter(|(operator, _)| is_of_table(operator, id));
            let held = of_table.map(|(_, records)| **records).reduce(|all, one| all + one);
            WiredTable { id, is_raw, held }
        };
        let metrics = family.metrics().into_iter().map(|(id, _)| id);
        let metrics = metrics.filter(|id| kept.as_ref().is_none_or(|kept| kept.contains(*id)));
        let raw = family.raw().into_iter().filter(|_| config.raw);
        let tables: Vec<_> = metrics.map(|id| table(id, false)).chain(raw.map(|id| table(id, true))).collect();
        let of_a_table = |operator: &str| tables.iter().any(|table| is_of_table(operator, table.id));
        let shared = own.iter().filter(|(operator, _)| !of_a_table(operator)).map(|(operator, records)| {
            let name = operator.split_once('/').map_or(operator.as_str(), |(_, name)| name);
            (name.to_owned(), **records)
        });
        let shared = shared.collect();
        Wired { family: *family, shared, tables }
    };
    families::all().families().iter().map(family).collect()
}

/// The kinds of the sinks that are configured, in the order in which a run has them, and where each is.
pub fn sinks(config: &Config) -> Vec<(&'static str, String)> {
    if config.warehouse == Path::new(":memory:") {
        // Nothing else is written beside it.
        return vec![("memory", "memory".to_owned())];
    }
    let others = [
        ("feed", config.feed.is_given(), config.feed.path.clone()),
        ("kafka", config.publish.is_given(), format!("{}*", config.publish.prefix)),
        ("snowflake", config.snowflake.is_given(), config.snowflake.account.clone()),
        ("archive", config.archive.is_given(), config.archive.path.clone()),
        ("clean events", config.clean.is_given(), config.clean.path.clone()),
    ];
    let others = others.into_iter().filter(|(_, is_given, _)| *is_given).map(|(kind, _, place)| (kind, place));
    let sqlite = (!config.is_feed_alone()).then(|| ("sqlite", config.warehouse.display().to_string()));
    sqlite.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_in_memory_is_counted_once() {
        let live = [("users/profiles", 7), ("user_activity/sums", 5), ("carts/events", 3), ("carts/events/old", 2)];
        let shop = families::all().families()[0];
        let live = live.map(|(operator, records)| (format!("{}/{operator}", shop.name()), records));
        let live = live.into_iter().chain([("others/users".to_owned(), 100)]).collect();
        let wired = wired(&Config::default(), &live);
        let held =
            |name: &str| wired[0].tables.iter().find(|table| table.id.name() == name).and_then(|table| table.held);
        assert_eq!((held("users"), held("user_activity"), held("checkout_metrics")), (Some(7), Some(5), None));
        let shared = [("carts/events/old".to_owned(), 2)];
        assert_eq!(wired[0].shared, shared, "and what is counted part by part is what its parts are");
        assert!(wired[0].tables.iter().any(|table| table.is_raw));
    }

    #[test]
    fn sinks_are_those_of_the_settings() {
        let mut config = Config::default();
        config.feed.path = "feed".to_owned();
        config.clean.path = "clean".to_owned();
        let kinds: Vec<_> = sinks(&config).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["sqlite", "feed", "clean events"]);
        config.warehouse = "none".into();
        let kinds: Vec<_> = sinks(&config).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["feed", "clean events"]);
        config.warehouse = ":memory:".into();
        assert_eq!(sinks(&config), [("memory", "memory".to_owned())]);
    }
}
