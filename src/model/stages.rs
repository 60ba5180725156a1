//! What SQL must know of several events before they are grouped, stage by stage: which session an event is in, how far a
//! funnel was gone. The dialects differ in a few words only.

use super::sqlite::broken::{Rule, is_broken};
use dataflows::declared::plan::{Aggregate, Metric, Node, What};

/// The words of a dialect.
pub(super) struct Words<'w> {
    /// A value of an event.
    pub(super) value: &'w dyn Fn(&dataflows::declared::plan::Expr) -> String,
    /// That an instant is so many milliseconds or more after another.
    pub(super) is_apart: &'w dyn Fn(&str, &str, i64) -> String,
}

/// What a session's first instant is called.
pub(super) const SESSION: &str = "_session";

/// A stage: its name, and the columns that it adds to those before it.
pub(super) type Stage = (String, Vec<String>);

/// The stages of a metric, whose keys are `keys`. The first of them has WHERE.
pub(super) fn of(metric: &Metric, keys: &[String], words: &Words<'_>) -> Vec<Stage> {
    let mut stages = sessions(metric, keys, words);
    let mut next = 0;
    for Aggregate { what, filter } in &metric.aggregates {
        let slot = next;
        next += what.slots();
        let What::Funnel(at, conditions) = what else { continue };
        let at = (words.value)(at);
        for (step, condition) in conditions.iter().enumerate() {
            let mut must: Vec<_> = filter.iter().chain([condition]).map(|must| (words.value)(must)).collect();
            if let Some(before) = step.checked_sub(1) {
                let sign = if is_broken(Rule::StepsMayCoincide) { ">" } else { ">=" };
                must.push(format!("{at} {sign} {}", taken(slot, before)));
            }
            let must = must.join(" AND ");
            let over = partition(keys);
            let column = format!("MIN(CASE WHEN {must} THEN {at} END) OVER ({over}) AS {}", taken(slot, step));
            stages.push((format!("_step{slot}_{step}"), vec![column]));
        }
    }
    stages
}

/// How many steps of a funnel were taken.
pub(super) fn reached(slot: usize, conditions: usize) -> String {
    let steps = (0..conditions).map(|step| format!("CASE WHEN {} IS NULL THEN 0 ELSE 1 END", taken(slot, step)));
    format!("MAX({})", steps.collect::<Vec<_>>().join(" + "))
}

fn taken(slot: usize, step: usize) -> String {
    format!("_taken{slot}_{step}")
}

fn partition(keys: &[String]) -> String {
    if keys.is_empty() { String::new() } else { format!("PARTITION BY {}", keys.join(", ")) }
}

/// A session begins where the event before it is a gap away; how many began until an event says which it is in.
fn sessions(metric: &Metric, keys: &[String], words: &Words<'_>) -> Vec<Stage> {
    let Some(Node::Session(gap_ms, at)) = metric.keys.last().map(|key| &key.node) else { return Vec::new() };
    let at = (words.value)(at);
    let shared = keys.split_last().map_or(keys, |(_, shared)| shared);
    let in_order = format!("{} ORDER BY {at}", partition(shared));
    let before = format!("LAG({at}) OVER ({in_order})");
    let gap_ms = if is_broken(Rule::GapsEndSessions) { gap_ms + 1 } else { *gap_ms };
    let begins = format!("CASE WHEN {} THEN 1 ELSE 0 END AS _begins", (words.is_apart)(&at, &before, gap_ms));
    let number = format!("SUM(_begins) OVER ({in_order} RANGE UNBOUNDED PRECEDING) AS _number");
    let of: Vec<_> = shared.iter().cloned().chain(["_number".to_owned()]).collect();
    let first = format!("MIN({at}) OVER ({}) AS {SESSION}", partition(&of));
    vec![
        ("_gaps".to_owned(), vec![begins]),
        ("_numbers".to_owned(), vec![number]),
        ("_sessions".to_owned(), vec![first]),
    ]
}
