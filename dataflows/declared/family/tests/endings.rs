//! Rows that have ended: where every event comes in time, none of them changes.

use super::harness::{History, Moment, made_with_known, play};
use super::naive::Contents;
use super::pool::{c, e};
use super::*;
use crate::declared::plan::{Aggregate, Metric, What};

impl Case {
    /// Its metrics, of sessions also when their last event was, and those of their rows.
    fn with_last(&self) -> &'static Made {
        let (mut metrics, mut known) = (Vec::new(), Vec::new());
        for (n, spec) in self.specs.iter().enumerate() {
            let (mut metric, print) = (spec.metric(&format!("metric_{n}")), 1000 + n as u64);
            if metric.session().is_some() {
                add_last(&mut metric);
            }
            if let Some((outer, _)) = spec.outer(&format!("outer_{n}"), &metric) {
                metrics.push(outer);
                known.push((print + 1000, Some(print)));
            }
            metrics.push(metric);
            known.push((print, None));
        }
        made_with_known(metrics, &known)
    }

    /// As it is, or without the late.
    fn in_time(&self) -> Case {
        let mut watermark = i64::MIN;
        let mut all = self.clone();
        for Moment { events, watermark: after } in &mut all.moments {
            events.iter_mut().for_each(|event| event.at = event.at.max(watermark));
            watermark = *after;
        }
        all
    }
}

fn add_last(metric: &mut Metric) {
    let slot = metric.aggregates.iter().map(|aggregate| aggregate.what.slots()).sum();
    metric.aggregates.push(Aggregate { what: What::Max(c(0)), filter: None });
    let value = e(Node::Slot(slot), Type::Instant);
    metric.outputs.push(Output { name: "last".to_owned(), doc: "It.".to_owned(), value });
}

/// Plays a case; tells how many rows changed that had ended, of tables of each kind, and how many there are of each.
fn ended(case: &Case, note: &dyn Fn(&str, usize)) -> Result<usize, TestCaseError> {
    let made = case.with_last();
    let history: History = case.history();
    let played = play(made, &case.settings(), &history);
    let (mut contents, mut changed, mut watermark) = (Contents::new(), 0, i64::MIN);
    for (moment, deltas) in history.moments.iter().zip(&played.deltas) {
        for (id, deltas) in deltas {
            let metric = &made.plan().metrics[made.tables().iter().position(|of| of == id).expect("its own")];
            for delta in deltas {
                let key = delta.key(*id).to_vec();
                let before = contents.get(&(id.name(), key.clone())).cloned();
                let after = if let Delta::Upsert(row) = delta { Some(row.clone()) } else { None };
                let Some(ending) = made.ending(*id) else { continue };
                let row = before.as_deref().or(after.as_deref());
                let end = ending.end(&key, row).expect("its key says it");
                prop_assert!((ending.of_key)(&key).is_some_and(|of_key| of_key <= end), "a key says later");
                let differs =
                    |(place, (a, b)): (usize, (&Value, &Value))| a != b && !ending.of_watermark.contains(&place);
                let is_other = match (&before, &after) {
                    (Some(before), Some(after)) => before.iter().zip(after).enumerate().any(differs),
                    (Some(_), None) | (None, Some(_)) => true,
                    (None, None) => false,
                };
                let kind = match () {
                    () if metric.session().is_some() => "sessions",
                    () if metric.inner().is_some() => "of rows",
                    () if !metric.asks.is_empty() => "asking",
                    () => "windows",
                };
                note(&format!("changes of {kind}"), 1);
                if end <= watermark && is_other {
                    changed += 1;
                    note(&format!("ended, of {kind}"), 1);
                }
            }
        }
        apply(deltas, &mut contents)?;
        watermark = moment.watermark;
    }
    Ok(changed)
}

#[test]
fn only_a_late_event_changes_a_row_that_has_ended() {
    let cases = cases();
    let met = RefCell::new(BTreeMap::<String, usize>::new());
    let note = |what: &str, times: usize| *met.borrow_mut().entry(what.to_owned()).or_default() += times;
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&case(), |case| {
        ended(&case, &note)?;
        prop_assert_eq!(ended(&case.in_time(), &|_, _| {})?, 0, "rows changed that had ended");
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
    let met = met.into_inner();
    println!("{met:#?}");
    for kind in ["windows", "sessions", "asking", "of rows"] {
        let times = met.get(&format!("ended, of {kind}")).copied().unwrap_or(0);
        assert!(times * 40 > cases as usize, "{kind}: {times} in {cases}");
    }
}
