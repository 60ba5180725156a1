//! `declare`: the file of a family, made of a sample of its events, or of the schema of a subject.

use super::Refused;
use super::inputs::refused;
use super::paths::{Expected, Stdin, expand};
use crate::config::Config;
use crate::decode::csv;
use crate::kafka::registry::Registry;
use crate::model::sample::Sample;
use crate::model::subject;
use crate::model::types::names;
use crate::source::lines::{Extent, Lines};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// So many records are looked at.
const RECORDS: usize = 100_000;

/// Prints the file, made of a sample. Nothing is written, and no settings are read.
pub(super) fn declare(given: &[PathBuf], name: Option<&str>) -> Result<()> {
    let stdin = Stdin::taken()?;
    let files = expand(given, Expected::Events, &stdin)?;
    let (mut sample, mut others) = (Sample::default(), 0);
    for path in &files {
        look_at(path, &mut sample, &mut others)?;
    }
    let shown = given.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    if sample.records() == 0 {
        let why = format!("`{shown}` has no record that is an object of JSON, or separated values behind a header");
        return Err(Refused(why).into());
    }
    if others > 0 {
        let is_one = if others == 1 { "line is no record, and was" } else { "lines are no records, and were" };
        tracing::warn!("{others} {is_one} passed over");
    }
    let name = match given_name(name)? {
        Some(name) => name.to_owned(),
        None => sample.event().map_or_else(|| of_file(&files), str::to_owned),
    };
    say_as_is!("{}", sample.declared(&name, &shown).trim_end());
    Ok(())
}

/// Prints the file, made of the newest schema of a subject.
pub(super) fn declare_subject(config: &Config, subject: &str, name: Option<&str>) -> Result<()> {
    let name = given_name(name)?;
    let registry = Registry::open(&config.registry).map_err(refused)?;
    let (language, schema, references) = registry.latest(subject).map_err(refused)?;
    let named = name.map_or_else(|| as_name(subject.strip_suffix("-value").unwrap_or(subject)), str::to_owned);
    let text = subject::declared((&named, subject), language, &schema, &references).map_err(|why| {
        Refused(format!("registry {}: the schema of the subject `{subject}` {why}", config.registry.url))
    })?;
    say_as_is!("{}", text.trim_end());
    Ok(())
}

/// Whether what was given may be a subject: one name, and no file.
pub(super) fn may_be_subject(given: &[PathBuf]) -> Option<&str> {
    let [one] = given else { return None };
    one.to_str().filter(|name| !one.exists() && *name != "-" && !name.contains(['*', '?', '[']))
}

fn given_name(name: Option<&str>) -> Result<Option<&str>> {
    match name.and_then(|name| Some((name, names::wrong(name)?))) {
        Some((name, wrong)) => Err(Refused(format!("`--name {name}`: the name {wrong}")).into()),
        None => Ok(name),
    }
}

/// Looks at the records of a file; counts lines that are none.
fn look_at(path: &Path, sample: &mut Sample, others: &mut usize) -> Result<()> {
    let (mut lines, mut text, mut header) = (Lines::sample(path)?, Vec::new(), None);
    while sample.records() < RECORDS
        && let Some(line) = lines.read(&mut text)?
    {
        if line.extent == Extent::Whole && !text.trim_ascii().is_empty() {
            match (lines.separator(), &header) {
                (None, _) => *others += usize::from(!sample.see(&text)),
                (Some(separator), None) => header = csv::texts(&text, separator),
                (Some(separator), Some(header)) => {
                    match csv::texts(&text, separator).filter(|values| values.len() == header.len()) {
                        Some(values) => sample.see_values(header, &values),
                        None => *others += 1,
                    }
                }
            }
        }
        text.clear();
    }
    Ok(())
}

/// The name of a file as that of a family.
fn of_file(files: &[PathBuf]) -> String {
    let stem = files.first().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().to_lowercase());
    as_name(stem.as_deref().and_then(|name| name.split('.').next()).unwrap_or_default())
}

/// What can be the name of a family.
fn as_name(text: &str) -> String {
    let name: String =
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(50).collect();
    let name = name.trim_matches('_');
    if names::wrong(name).is_none() {
        name.to_owned()
    } else {
        format!("events_of_{name}").trim_end_matches('_').to_owned()
    }
}
