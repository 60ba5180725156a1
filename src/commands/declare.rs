//! `declare`: the file of a family, made of a sample of its events.

use super::Refused;
use super::paths::{Expected, Stdin, expand};
use crate::model::sample::Sample;
use crate::model::types::names;
use crate::source::lines::{Extent, Lines};
use crate::source::sniff::Kind;
use anyhow::Result;
use std::path::PathBuf;

/// So many records are looked at.
const RECORDS: usize = 100_000;

/// Prints the file. Nothing is written, and no settings are read.
pub(super) fn declare(given: &[PathBuf], name: Option<&str>) -> Result<()> {
    let stdin = Stdin::taken()?;
    let files = expand(given, Expected::Events, &stdin)?;
    let (mut sample, mut others) = (Sample::default(), 0);
    for path in &files {
        let (mut lines, mut text) = (Lines::open(path, Kind::Events)?, Vec::new());
        while let Some(line) = lines.read(&mut text)?
            && sample.records() < RECORDS
        {
            let is_record = line.extent == Extent::Whole && !text.trim_ascii().is_empty();
            others += usize::from(is_record && !sample.see(&text));
            text.clear();
        }
    }
    let shown = given.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    if sample.records() == 0 {
        return Err(Refused(format!("`{shown}` has no record that is an object of JSON")).into());
    }
    if others > 0 {
        let is_one =
            if others == 1 { "line is no object of JSON, and was" } else { "lines are no objects of JSON, and were" };
        tracing::warn!("{others} {is_one} passed over");
    }
    let name = match name {
        Some(name) => match names::wrong(name) {
            Some(wrong) => return Err(Refused(format!("`--name {name}`: the name {wrong}")).into()),
            None => name.to_owned(),
        },
        None => sample.event().map_or_else(|| of_file(&files), str::to_owned),
    };
    say_as_is!("{}", sample.declared(&name, &shown).trim_end());
    Ok(())
}

/// The name of a file as that of a family.
fn of_file(files: &[PathBuf]) -> String {
    let stem = files.first().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().to_lowercase());
    let stem = stem.as_deref().and_then(|name| name.split('.').next()).unwrap_or_default();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(50).collect();
    let name = name.trim_matches('_');
    if names::wrong(name).is_none() {
        name.to_owned()
    } else {
        format!("events_of_{name}").trim_end_matches('_').to_owned()
    }
}
