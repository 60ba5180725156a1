//! `explain` of no table: the whole dataflow, as text and for Graphviz.

use super::state;
use super::text::grouped;
use crate::config::Config;
use crate::wiring::{self, Wired, WiredTable};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Prints the families, their tables, and where rows go; with what the run had in memory when it was last heard of.
pub(super) fn dataflow(config: &Config, dot: bool) -> Result<()> {
    let heard = state::last_heard_of_all(config);
    let families = wiring::wired(config, heard.as_ref().unwrap_or(&BTreeMap::new()));
    let sinks = wiring::sinks(config);
    if dot {
        say_as_is!("{}", as_dot(&families, &sinks, heard.is_some()).trim_end());
        return Ok(());
    }
    for line in lines(&families, &sinks, heard.is_some()) {
        say!("{line}");
    }
    Ok(())
}

/// What is known of a table: what it holds, or that its rows are as they came.
fn said(table: &WiredTable, is_heard: bool) -> String {
    match table.held {
        Some(held) if is_heard => grouped(held as u64),
        _ if table.is_raw => "raw rows".to_owned(),
        _ => String::new(),
    }
}

fn lines(families: &[Wired], sinks: &[(&'static str, String)], is_heard: bool) -> Vec<String> {
    let tables = families.iter().flat_map(|family| &family.tables).map(|table| table.id.name());
    let operators = families.iter().flat_map(|family| &family.shared).map(|(operator, _)| operator.as_str());
    let width = tables.chain(operators).map(|name| name.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for Wired { family, shared, tables } in families {
        lines.push(family.name().to_owned());
        let line = |table: &WiredTable| format!("  {:<width$}  {:>10}", table.id.name(), said(table, is_heard));
        lines.extend(tables.iter().map(line).map(|line| line.trim_end().to_owned()));
        let mut shared: Vec<_> = shared.iter().filter(|(_, records)| *records > 0).collect();
        shared.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
        if !shared.is_empty() {
            lines.push("  and for several of them".to_owned());
        }
        lines.extend(shared.into_iter().map(|(name, held)| format!("  {name:<width$}  {:>10}", grouped(*held as u64))));
    }
    lines.push(String::new());
    let place = |(kind, place): &(&str, String)| format!("{kind} `{place}`");
    lines.push(format!("rows go to {}", sinks.iter().map(place).collect::<Vec<_>>().join(", ")));
    if is_heard {
        lines.push("numbers: records in memory, when the run was last heard of".to_owned());
    }
    lines
}

fn as_dot(families: &[Wired], sinks: &[(&'static str, String)], is_heard: bool) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut dot = String::from("digraph deltamart {\n  rankdir = LR;\n  node [shape = box];\n  commit;\n");
    let mut line = |line: String| writeln!(dot, "  {line};").expect("a String takes everything");
    for Wired { family, shared, tables } in families {
        let stage = quoted(&format!("family {}", family.name()));
        let records: usize = shared.iter().map(|(_, records)| records).sum();
        let held = if is_heard { format!("\n{} in memory", grouped(records as u64)) } else { String::new() };
        line(format!("{stage} [label = {}]", quoted(&format!("{}{held}", family.name())).replace('\n', "\\n")));
        for table in tables {
            let (name, held) = (quoted(table.id.name()), said(table, is_heard));
            let label = quoted(format!("{}\n{held}", table.id.name()).trim_end()).replace('\n', "\\n");
            line(format!("{name} [label = {label}]"));
            line(format!("{stage} -> {name} -> commit"));
        }
    }
    for (kind, place) in sinks {
        line(format!("commit -> {}", quoted(&format!("{kind} {place}"))));
    }
    dot + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_stands_in_the_text_and_in_the_graph_once() {
        let config = Config::default();
        let shop = crate::families::all().families()[0];
        let live = [(format!("{}/users/profiles", shop.name()), 1_234)].into();
        let (families, sinks) = (wiring::wired(&config, &live), vec![("sqlite", "a \"b\".db".to_owned())]);
        let (text, dot) = (lines(&families, &sinks, true).join("\n"), as_dot(&families, &sinks, true));
        for table in &families[0].tables {
            let name = table.id.name();
            assert_eq!(text.lines().filter(|line| line.split_whitespace().next() == Some(name)).count(), 1, "{text}");
            assert_eq!(dot.matches(&format!("\"{name}\" [label")).count(), 1, "{dot}");
        }
        assert!(text.contains("1,234") && dot.contains(r#""users" [label = "users\n1,234"]"#), "{text}\n{dot}");
        assert!(dot.contains(r#"commit -> "sqlite a \"b\".db";"#) && dot.ends_with("}\n"), "{dot}");
        let unheard = lines(&families, &sinks, false).join("\n");
        assert!(!unheard.contains("1,234") && !unheard.contains("in memory"), "{unheard}");
    }
}
