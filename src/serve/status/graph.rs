//! The way of events as a graph: what is read, families, tables, sinks.

use crate::families;
use crate::serve::Served;
use crate::stats::Stats;
use serde_json::{Value, json};

/// The kinds of the sinks, in their order.
pub(super) fn sinks(served: &Served) -> Vec<&'static str> {
    let config = &served.config;
    let in_memory = config.warehouse.as_os_str() == ":memory:";
    let others = [
        ("feed", config.feed.is_given()),
        ("kafka", config.publish.is_given()),
        ("snowflake", config.snowflake.is_given()),
        ("archive", config.archive.is_given()),
        ("clean events", config.clean.is_given()),
    ];
    let first = if in_memory { "memory" } else { "sqlite" };
    // Nothing else is written beside a warehouse in memory.
    let others = others.into_iter().filter(|(_, is_given)| *is_given && !in_memory).map(|(kind, _)| kind);
    std::iter::once(first).chain(others).collect()
}

/// Nodes with their kinds, and edges between their ids.
pub(super) fn graph(served: &Served, stats: &Stats) -> Value {
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    let mut node = |kind: &str, name: &str, live: Option<usize>| {
        let id = format!("{kind}:{name}");
        nodes.push(json!({ "id": id, "name": name, "kind": kind, "live": live, "rate": null }));
        id
    };
    let (sources, live, kept) = (stats.sources(), stats.live(), served.config.kept_tables().ok());
    let commit = node("stage", "commit", None);
    for family in families::all().families() {
        let of_family: Vec<_> = sources.iter().filter(|(_, name)| *name == family.name()).collect();
        // Of a family that is not read nothing moves.
        if !sources.is_empty() && of_family.is_empty() {
            continue;
        }
        let stage = node("stage", family.name(), None);
        for (topic, _) in of_family {
            edges.push([node("source", topic, None), stage.clone()]);
        }
        let metrics = family.metrics().into_iter().map(|(id, _)| id);
        let metrics = metrics.filter(|id| kept.as_ref().is_none_or(|kept| kept.contains(*id)));
        let raw = family.raw().into_iter().filter(|_| served.config.raw);
        for table in metrics.chain(raw).map(|id| id.name()) {
            let own = live.iter().filter(|(operator, _)| operator.split('/').next() == Some(table));
            let held = own.map(|(_, records)| *records).reduce(|all, one| all + one);
            let table = node("table", table, held);
            edges.push([stage.clone(), table.clone()]);
            edges.push([table, commit.clone()]);
        }
    }
    for sink in stats.sinks.all() {
        edges.push([commit.clone(), node("sink", &sink.name, None)]);
    }
    json!({ "nodes": nodes, "edges": edges })
}
