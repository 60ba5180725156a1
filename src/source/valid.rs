//! Whether there is anything valid among the first records of a file.

use crate::accept;
use crate::decode::{Format, Reason, Rejection};
use crate::families;
use crate::rules::Rules;
use crate::source::lines::{Extent, Lines};
use crate::source::movies::Movies;
use crate::source::names::called;
use crate::source::sniff::Kind;
use crate::source::table::Header;
use crate::source::{Poll, Source, SourceError};
use crate::spoken::needed as of_shop;
use dataflows::family::FamilyId;
use std::collections::BTreeMap;
use std::path::Path;

/// So many first records are looked at,
const RECORDS: usize = 1_000;
/// or so many bytes of them,
const BYTES: usize = 64 << 20;
/// on so many lines.
const LINES: usize = 1_000_000;

/// Refuses a file if no record among its first ones is valid: it is then something else than what it was
/// taken for. `takes_tail` says whether a last line without its end counts.
///
/// For files that are read from their first line; what was accepted once is not asked again.
///
/// # Errors
/// [`SourceError::NoneValid`], with the first rejection; or if it cannot be read at all.
pub fn has_valid_record(
    path: &Path,
    (kind, family): (Kind, FamilyId),
    takes_tail: bool,
    rules: &Rules,
    clock_ms: i64,
) -> Result<(), SourceError> {
    let mut judged = Judged::default();
    let mut judge = |line: i64, format: &Format, payload: &[u8], bytes: u64| {
        let judged_so = accept::judge(family, format, (payload, bytes), rules, clock_ms);
        judged_so.map_err(|rejection| judged.reject(line, rejection)).is_ok()
    };
    let found = match kind {
        Kind::Events | Kind::Table => event((path, family), takes_tail, &mut judge),
        Kind::Catalog => item(path, &mut judge),
    };
    match found {
        Ok(true) => Ok(()),
        // A catalog replaces the one before. One without an item would empty it.
        Ok(false) if kind == Kind::Catalog && judged.first.is_none() => Err(without_an_item(path)),
        // Reading it comes to what is damaged.
        Ok(false) | Err(SourceError::Failed(_)) => judged.verdict(path, (kind, family), rules),
        Err(error) => Err(error),
    }
}

/// Of the line of a record, its format, its bytes, and how many those are.
type Judge<'a> = &'a mut dyn FnMut(i64, &Format, &[u8], u64) -> bool;

fn event((path, family): (&Path, FamilyId), takes_tail: bool, judge: Judge) -> Result<bool, SourceError> {
    let mut lines = Lines::open(path, Kind::Events)?;
    let header = Header::of(path)?;
    let format = header.as_ref().map_or(Format::Json(None), |header| header.format(family));
    let first = header.map_or(1, |header| header.line + 1);
    let (mut bytes, mut text, mut records) = (0, Vec::new(), 0);
    for _ in 0..LINES {
        text.clear();
        let Some(line) = lines.read(&mut text)? else { break };
        match line.extent {
            Extent::Nothing(gone_over) => {
                bytes += gone_over;
                if bytes >= BYTES {
                    break;
                }
                continue;
            }
            _ if !line.ended && !takes_tail => break,
            Extent::Whole | Extent::Beginning(_) if line.number < first => continue,
            Extent::Whole if text.trim_ascii().is_empty() => continue,
            Extent::Whole | Extent::Beginning(_) => {}
        }
        (bytes, records) = (bytes + text.len(), records + 1);
        if judge(line.number, &format, &text, line.bytes(text.len())) {
            return Ok(true);
        }
        if records >= RECORDS || bytes >= BYTES {
            break;
        }
    }
    Ok(false)
}

fn item(path: &Path, judge: Judge) -> Result<bool, SourceError> {
    let mut catalog = Movies::file("", path, 0)?;
    let mut records = 0;
    // A poll reads some megabytes at the most.
    for _ in 0..LINES / RECORDS {
        match catalog.poll(RECORDS)? {
            Poll::Records(batch) => {
                for record in &batch.records {
                    let block = &batch.bytes[record.payload.clone()];
                    if judge(record.offset, &Format::MoviesTxt(0), block, record.bytes) {
                        return Ok(true);
                    }
                }
                records += batch.records.len();
            }
            Poll::End => break,
            Poll::Status(..) | Poll::Skipped | Poll::Idle | Poll::Cut => {}
        }
        if records >= RECORDS {
            break;
        }
    }
    Ok(false)
}

/// What an event needs, and where to see one.
fn needed(family: FamilyId, rules: &Rules) -> String {
    if family == families::SHOP {
        return of_shop(rules);
    }
    let name = family.name();
    format!("What an event of `{name}` needs: `deltamart explain {name}`\n")
}

fn without_an_item(path: &Path) -> SourceError {
    SourceError::NoneValid(format!(
        "there is no item in {}, and so it is not read: a catalog takes the place of the one before, whole.\n\
         What to do: give the whole file; or, if no item is to be left: `--accept-rejects`",
        called(path)
    ))
}

#[derive(Default)]
struct Judged {
    first: Option<(i64, Rejection)>,
    reasons: BTreeMap<&'static str, usize>,
}

impl Judged {
    fn reject(&mut self, line: i64, rejection: Rejection) {
        *self.reasons.entry(rejection.reason.code()).or_default() += 1;
        self.first.get_or_insert((line, rejection));
    }

    fn verdict(self, path: &Path, (kind, family): (Kind, FamilyId), rules: &Rules) -> Result<(), SourceError> {
        let Some((line, Rejection { reason, detail, .. })) = self.first else { return Ok(()) };
        let records: usize = self.reasons.values().sum();
        let (which, verb) = match records {
            1 => ("the only record".to_owned(), "is not valid"),
            records => (format!("none of the first {records} records"), "is valid"),
        };
        // In the order in which reasons are declared: about that in which a record is judged.
        let found = |reason: &Reason| self.reasons.contains_key(reason.code());
        let may_be_rules = families::reasons().any(|reason| found(&reason) && reason.is_of_rules());
        let codes = families::reasons().map(Reason::code);
        let count = |code| self.reasons.get(code).map(|count| format!("{count} {code}"));
        let reasons: Vec<_> = codes.filter_map(count).collect();
        let detail = detail.replace(char::is_control, "\u{FFFD}");
        let needs = match kind {
            Kind::Events if !reason.is_of_rules() => needed(family, rules),
            Kind::Events | Kind::Table | Kind::Catalog => String::new(),
        };
        let (file, reasons, reason) = (called(path), reasons.join(", "), reason.code());
        let file = if file.starts_with('`') { format!("file {file}") } else { file };
        let or_rules = if may_be_rules { ", or the settings `rules`" } else { "" };
        Err(SourceError::NoneValid(format!(
            "{which} of {file} {verb}, and so it is not read ({reasons}).\n\
             The first, in line {line}: {reason}: {detail}\n{needs}\
             What to do: correct the file{or_rules}; or have all of it rejected: `--accept-rejects`"
        )))
    }
}
