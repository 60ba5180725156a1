//! What a command did, for the programs that call it: exit codes, and one line of JSON.

use super::Refused;
use super::text::{at, program};
use crate::cli::Limit;
use crate::config::Config;
use crate::source::SourceError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Done; also when nothing was new.
pub const DONE: u8 = 0;
/// Failed: a file or a warehouse could not be read or written, or `verify` found differences.
pub const FAILED: u8 = 1;
/// Refused: nothing was done, because of what was asked or what a file is.
pub const REFUSED: u8 = 2;
/// Too many records were rejected; or nothing in a file is valid, and nothing of it was read.
pub const REJECTED: u8 = 3;
/// A threshold of `status` is crossed.
pub const CROSSED: u8 = 4;

/// What a command did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Whether a row changed, or something was sent or written.
    pub news: bool,
    /// What makes the exit code another one though all was done: the code, and why.
    pub complaint: Option<(u8, String)>,
    /// How many records were rejected, of how many.
    rejected: (u64, u64),
    /// Counts and names.
    facts: Map<String, Value>,
}

impl Outcome {
    /// One that changed something, or did not.
    pub(super) fn of(news: bool) -> Outcome {
        Outcome { news, ..Outcome::default() }
    }

    /// Adds a fact.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Outcome {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Of so many records so many were rejected, for these reasons.
    pub(super) fn counting(mut self, records: u64, rejected: u64, reasons: &BTreeMap<&'static str, u64>) -> Outcome {
        self.rejected = (rejected, records);
        let reasons: Map<_, _> =
            reasons.iter().map(|(reason, count)| ((*reason).to_owned(), (*count).into())).collect();
        self.with("records", records).with("rejected", rejected).with("rejected_by_reason", reasons)
    }

    /// Whether a signal ended it before its end.
    pub(super) fn was_stopped(&self) -> bool {
        self.facts.get("stopped") == Some(&Value::Bool(true))
    }

    /// Complains if more were rejected than may be.
    pub(super) fn limited(mut self, limit: Option<Limit>, config: &Config) -> Outcome {
        let (rejected, records) = self.rejected;
        if let Some(crossed) = limit.and_then(|limit| limit.crossed(rejected, records)) {
            let see = format!("{} show rejected_events{}", program(), at(config));
            let why = format!("{crossed}. What was accepted is committed; see `{see}`");
            self = self.complaining(REJECTED, why);
        }
        self
    }

    /// Complains of thresholds that are crossed.
    pub(super) fn crossing(self, crossed: &[String]) -> Outcome {
        if crossed.is_empty() { self } else { self.complaining(CROSSED, crossed.join("; ")) }
    }

    /// All was done, and yet the exit code is another one.
    pub(super) fn complaining(mut self, code: u8, why: String) -> Outcome {
        self.complaint = Some((code, why));
        self
    }
}

/// The exit code of an error.
pub fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<SourceError>() {
        _ if error.is::<Refused>() => REFUSED,
        Some(SourceError::Refused(_)) => REFUSED,
        Some(SourceError::NoneValid(_)) => REJECTED,
        Some(SourceError::Failed(_) | SourceError::Unavailable(_)) | None => FAILED,
    }
}

/// One line of JSON about a command that is over.
pub(super) fn line(command: &str, done: &Result<Outcome, anyhow::Error>, code: u8, took: Duration) -> String {
    let mut line = Map::new();
    line.insert("command".to_owned(), command.into());
    line.insert("exit_code".to_owned(), code.into());
    line.insert("seconds".to_owned(), ((took.as_secs_f64() * 1000.0).round() / 1000.0).into());
    match done {
        Ok(Outcome { news, complaint, facts, .. }) => {
            line.insert("news".to_owned(), (*news).into());
            line.extend(facts.clone());
            if let Some((_, why)) = complaint {
                line.insert("error".to_owned(), why.as_str().into());
            }
        }
        Err(error) => {
            line.insert("news".to_owned(), false.into());
            line.insert("error".to_owned(), format!("{error:#}").into());
        }
    }
    Value::Object(line).to_string()
}
