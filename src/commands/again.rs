//! What would become of rejected records by the rules as they are now.

use crate::accept::judge;
use crate::config::Config;
use crate::decode::Format;
use crate::families::{self, Carried};
use crate::forget::Payloads;
use crate::instant;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::rejected::Rejected;
use anyhow::Result;
use dataflows::family::FamilyId;
use std::collections::BTreeMap;

/// How many are looked at at a time.
const PAGE: usize = 1_000;

/// Judges again.
pub(super) struct Again<'a> {
    config: &'a Config,
    payloads: &'a Payloads,
    /// What each topic carries.
    carries: BTreeMap<String, Carried>,
}

impl Again<'_> {
    pub(super) fn new<'a>(config: &'a Config, payloads: &'a Payloads) -> Again<'a> {
        let topics = if config.kafka.is_given() { config.kafka.topics() } else { Vec::new() };
        let carries = topics.into_iter().map(|(place, topic)| (topic, families::topics()[place])).collect();
        Again { config, payloads, carries }
    }

    /// Whether a record would be accepted now.
    pub(super) fn passes(&self, record: &Rejected) -> bool {
        let passes = |family: FamilyId, format: &Format| {
            let record = (&record.raw[..], record.raw.len() as u64);
            judge(family, format, record, &self.config.rules, instant::now()).is_ok()
        };
        match self.carries.get(&record.topic) {
            Some(Carried { family, event, .. }) => {
                passes(*family, &self.config.kafka.format.of(event, self.payloads.schemas_for(&record.raw)))
            }
            // A line of a file is not known to be of any one family.
            None => families::all().families().iter().any(|family| passes(*family, &Format::Json(None))),
        }
    }
}

/// Every record that was rejected, for some of the reasons or any, and was not sent through again.
pub(super) fn each(
    warehouse: &Sqlite,
    reasons: &[String],
    mut with: impl FnMut(&Rejected) -> Result<()>,
) -> Result<()> {
    let mut last = None;
    loop {
        let page = warehouse.rejected(reasons, last.as_ref(), PAGE)?;
        last = page.last().cloned();
        if last.is_none() {
            return Ok(());
        }
        page.iter().try_for_each(&mut with)?;
    }
}

/// How many records that a rule rejected would pass, now that rules are others.
pub(super) fn pass_now(config: &Config, warehouse: &Sqlite) -> Result<u64> {
    let (payloads, mut passing) = (Payloads::new(None), 0);
    let again = Again::new(config, &payloads);
    let reasons = families::reasons().filter(|reason| reason.is_of_rules()).map(|reason| reason.code().to_owned());
    let reasons: Vec<_> = reasons.collect();
    each(warehouse, &reasons, |record| {
        passing += u64::from(again.passes(record));
        Ok(())
    })?;
    Ok(passing)
}
