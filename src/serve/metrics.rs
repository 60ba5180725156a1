//! `/metrics`: what is counted, in the text format of Prometheus.
//!
//! What there is stands in one [list]: of it the answer is written, and `deploy/grafana.json` is made.

pub mod list;

use super::Served;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use list::{Facts, METRICS, Metric};
use std::fmt::Write as _;
use std::sync::Arc;

/// The version of the format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(served): State<Arc<Served>>) -> impl IntoResponse {
    let facts = Facts::of(&served).await;
    let text: String = METRICS.iter().map(|metric| written(metric, &facts)).collect();
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}

/// A metric with its help; nothing where there is no value of it.
fn written(metric: &Metric, facts: &Facts) -> String {
    let mut lines = String::new();
    metric.read(facts, &mut |values, number| {
        let labels: Vec<_> = metric.labels.iter().zip(values).map(|(name, value)| label(name, value)).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(lines, "{}{labels} {number}", metric.name).expect("a String takes everything");
    });
    if lines.is_empty() {
        return lines;
    }
    let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
    format!("# HELP {0} {help}\n# TYPE {0} {1}\n{lines}", metric.name, metric.kind.name())
}

fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn metrics_are_named_as_others_name_theirs() {
        let mut names = BTreeSet::new();
        for Metric { name, kind, unit, help, labels, .. } in METRICS {
            assert!(names.insert(name), "{name} twice");
            let is_ours = name.starts_with("deltamart_") || name.starts_with("process_");
            assert!(is_ours && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == list::Kind::Counter, "{name}");
            assert!(help.ends_with('.') && help.len() > 20, "{name}: {help}");
            assert!(labels.iter().all(|label| label.bytes().all(|byte| byte.is_ascii_lowercase())), "{name}");
            for (end, of) in [("_seconds", list::Unit::Seconds), ("_bytes", list::Unit::Bytes)] {
                let is_named = name.trim_end_matches("_total").ends_with(end) && !name.ends_with("time_seconds");
                assert!(!is_named || *unit == of, "{name}: {unit:?}");
            }
        }
    }

    #[test]
    fn a_label_is_one_whatever_is_in_it() {
        assert_eq!(label("topic", "a\"b\\c\nd"), r#"topic="a\"b\\c\nd""#);
    }
}
