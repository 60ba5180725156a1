//! The way of events as a graph: what is read, families, tables, sinks.

use crate::serve::Served;
use crate::stats::Stats;
use crate::wiring::{Wired, wired};
use serde_json::{Value, json};

/// Nodes with their kinds, and edges between their ids.
pub(super) fn graph(served: &Served, stats: &Stats) -> Value {
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    let mut node = |kind: &str, name: &str, live: Option<usize>, rate: Option<f64>| {
        let id = format!("{kind}:{name}");
        nodes.push(json!({ "id": id, "name": name, "kind": kind, "live": live, "rate": rate }));
        id
    };
    let (sources, rates) = (stats.sources.all(), served.samples.lock().rates());
    let live = stats.live().into_iter().map(|(operator, records)| (operator.to_owned(), records)).collect();
    let commit = node("stage", "commit", None, Some(rates.rows));
    let is_read = |wired: &Wired| sources.iter().any(|of| of.family == wired.family.name());
    // Of a family that is not read nothing moves.
    let families = wired(&served.config, &live).into_iter().filter(|family| sources.is_empty() || is_read(family));
    // A file without a line, or an empty folder: events of any family may come.
    let awaited: Vec<_> = stats.sources.awaited().iter().map(|name| node("source", name, None, None)).collect();
    for Wired { family, shared, tables } in families {
        let shared = shared.iter().map(|(_, records)| records).sum();
        let own = sources.iter().filter(|of| of.family == family.name());
        let own = own.map(|of| (&of.topic, rates.sources.get(&of.topic).copied().unwrap_or_default()));
        let rate = own.clone().map(|(_, rate)| rate).sum();
        let stage = node("stage", family.name(), Some(shared), Some(rate));
        for (topic, rate) in own {
            edges.push([node("source", topic, None, Some(rate)), stage.clone()]);
        }
        edges.extend(awaited.iter().map(|source| [source.clone(), stage.clone()]));
        for table in tables {
            let name = table.id.name();
            // Nothing was committed of a table before its first row.
            let rate = rates.tables.get(name).copied().unwrap_or_default();
            let table = node("table", name, table.held, Some(rate));
            edges.push([stage.clone(), table.clone()]);
            edges.push([table, commit.clone()]);
        }
    }
    for sink in stats.sinks.all() {
        edges.push([commit.clone(), node("sink", &sink.name, None, None)]);
    }
    json!({ "nodes": nodes, "edges": edges })
}
