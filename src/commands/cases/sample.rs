//! `try --case`: the text of a case, made of a sample of events.

use super::super::Refused;
use super::super::text::grouped;
use super::{playable, played};
use crate::cases::write::text;
use crate::config::Config;
use crate::instant;
use crate::kept;
use crate::model::messages::shown;
use crate::source::{Poll, Source};
use anyhow::Result;
use dataflows::table::TableId;

/// A case is there to be read.
const RECORDS_MAX: usize = 200;

/// The case of a table over all records of these sources, each of which is an epoch.
pub(in super::super) fn of_sample(
    config: &Config,
    of: TableId,
    sources: Vec<Box<dyn Source>>,
    sample: &str,
) -> Result<String> {
    let mut records = Vec::new();
    for mut source in sources {
        let partitions = source.partitions();
        while let Some(batch) = next(source.as_mut())? {
            for record in &batch.records {
                let payload = &batch.bytes[record.payload.clone()];
                let format = partitions.get(record.partition as usize).map(|partition| &partition.format);
                let json = format.map(|format| kept::late(format, payload)).unwrap_or_default();
                records.push(String::from_utf8_lossy(&json).replace(['\n', '\r'], " "));
            }
            if records.len() > RECORDS_MAX {
                let most = grouped(RECORDS_MAX as u64);
                let why = format!("a case is there to be read: give {most} records of `{sample}` at the most");
                return Err(Refused(why).into());
            }
        }
    }
    let mut case = format!("# What each event of {sample} changes.\n");
    // As a file is read: a line is late by the lines before it.
    case += "set out_of_orderness=0s\n";
    let now = instant::now();
    if now > crate::cases::CLOCK_MS {
        case += &format!("clock {}\n", instant::show(now));
    }
    for record in &records {
        let is_object = record.starts_with('{');
        case += &format!("{}{record}\n=> ?\n", if is_object { "" } else { "0: " });
    }
    let (read, options) = playable(config, &case, of).map_err(|wrong| Refused(shown(sample, &case, &wrong)))?;
    let played = played(read, options)?;
    Ok(text(&played.case, &played.found, &played.is_right))
}

fn next(source: &mut dyn Source) -> Result<Option<crate::source::Batch>> {
    loop {
        match source.poll(1_000)? {
            Poll::Records(batch) => return Ok(Some(batch)),
            Poll::End => return Ok(None),
            Poll::Status(..) | Poll::Skipped | Poll::Idle | Poll::Cut => {}
        }
    }
}
