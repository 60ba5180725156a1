//! The thresholds of `status`: what is crossed makes exit code 4.

use super::Refused;
use super::beat::Heartbeat;
use crate::cli::StatusArgs;
use crate::instant::{self, span};
use anyhow::Result;

/// Thresholds of a run, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    freshness_ms: Option<i64>,
    unheard_ms: Option<i64>,
}

impl Limits {
    /// As typed.
    ///
    /// # Errors
    /// If one is not a duration.
    pub(super) fn of(arguments: &StatusArgs) -> Result<Limits> {
        let parsed = |flag: &str, text: &Option<String>| {
            let parse = |text: &String| span::parse(text).map_err(|why| Refused(format!("`{flag} {text}`: {why}")));
            text.as_ref().map(parse).transpose()
        };
        Ok(Limits {
            freshness_ms: parsed("--max-freshness", &arguments.max_freshness)?,
            unheard_ms: parsed("--max-unheard", &arguments.max_unheard)?,
        })
    }

    /// What is crossed by the clock, in words.
    pub(super) fn crossed(self, run: Option<&Heartbeat>, is_gone: bool, clock_ms: i64) -> Vec<String> {
        let mut crossed = Vec::new();
        if let Some(limit) = self.freshness_ms
            && let Some(fresh) =
                run.filter(|run| !run.ended && !is_gone).map(|run| i64::try_from(run.fresh_ms).unwrap_or(i64::MAX))
            && fresh > limit
        {
            let (fresh, limit) = (span::show(fresh), span::show(limit));
            crossed.push(format!("the run is {fresh} behind what it has read, and `--max-freshness` is {limit}"));
        }
        if let Some(limit) = self.unheard_ms {
            match run.map(|run| (run, instant::parse(&run.at).unwrap_or(i64::MIN))) {
                None => crossed.push("no run has ever reported (`--max-unheard`)".to_owned()),
                Some((run, _)) if run.ended => {
                    crossed.push(format!("the run ended at {}, and `--max-unheard` expects an active one", run.at));
                }
                Some((run, _)) if is_gone => crossed.push(format!(
                    "the run of process {} is gone, and `--max-unheard` expects an active one",
                    run.process
                )),
                Some((run, at)) if clock_ms.saturating_sub(at) > limit => {
                    let limit = span::show(limit);
                    crossed.push(format!("the run last reported at {}, and `--max-unheard` is {limit}", run.at));
                }
                Some(_) => {}
            }
        }
        crossed
    }
}
