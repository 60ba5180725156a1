//! The text of a case with what its epochs gave: rows stand in columns, under the names of these.

use super::{Case, Said};
use dataflows::table::TableId;
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

/// What an epoch gives stands behind this.
pub const MARK: &str = "=>";
/// Said of an epoch that changes nothing.
pub const NOTHING: &str = "nothing";
/// Stands where what an epoch gives is to be written.
pub const TO_BE_WRITTEN: &str = "?";

/// More rows of a table than this are not listed.
const LISTED: usize = 12;
/// Of those so many are, at the beginning and at the end.
const LISTED_OF_MANY: usize = 3;
/// No column is made wider.
const CELLS_MAX: usize = 40;

/// The text with what was found; epochs that gave what they say stay as they are, in what they say.
pub fn text(case: &Case, found: &[Vec<Said>], is_right: &[bool]) -> String {
    let given = case.epochs.iter().zip(found).zip(is_right).map(|((epoch, found), is_right)| {
        let expected = epoch.expected.as_ref().filter(|_| *is_right);
        expected.cloned().unwrap_or_else(|| listed(found))
    });
    let given: Vec<_> = given.collect();
    let mut written = Written::new(case, given.iter().flatten());
    let mut lines = Vec::new();
    for (epoch, given) in case.epochs.iter().zip(&given) {
        lines.extend(epoch.lines.iter().cloned());
        if given.is_empty() {
            lines.push(format!("{MARK} {NOTHING}"));
        }
        lines.extend(given.iter().flat_map(|said| written.lines(said)).map(|line| format!("{MARK} {line}")));
    }
    lines.extend(case.tail.iter().cloned());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What was found, without the middle of very many rows.
pub fn listed(found: &[Said]) -> Vec<Said> {
    let mut rows = BTreeMap::<TableId, usize>::new();
    found.iter().filter_map(Said::table).for_each(|id| *rows.entry(id).or_default() += 1);
    let (mut listed, mut seen) = (Vec::new(), BTreeMap::<TableId, usize>::new());
    for said in found {
        let Some((id, rows)) = said.table().and_then(|id| rows.get_key_value(&id)) else {
            listed.push(said.clone());
            continue;
        };
        let place = seen.entry(*id).or_default();
        let is_left_out = *rows > LISTED && (LISTED_OF_MANY..rows - LISTED_OF_MANY).contains(place);
        if !is_left_out {
            listed.push(said.clone());
        } else if *place == LISTED_OF_MANY {
            listed.push(Said::More(*id, rows - 2 * LISTED_OF_MANY));
        }
        *place += 1;
    }
    listed
}

/// Lines of what epochs give, in columns of one width, and the names of these where a table begins.
pub struct Written<'c> {
    case: &'c Case,
    widths: BTreeMap<TableId, Vec<usize>>,
    /// The table whose names were written last.
    begun: Option<TableId>,
}

impl<'c> Written<'c> {
    /// For all of this.
    pub fn new<'s>(case: &'c Case, all: impl Iterator<Item = &'s Said>) -> Written<'c> {
        let mut widths = BTreeMap::<TableId, Vec<usize>>::new();
        for said in all {
            let Some(id) = said.table() else { continue };
            let widths = widths.entry(id).or_insert_with(|| names(case, id).iter().map(|name| name.width()).collect());
            for (width, cell) in widths.iter_mut().zip(cells(said)) {
                *width = cell.width().min(CELLS_MAX).max(*width);
            }
        }
        Written { case, widths, begun: None }
    }

    /// The lines of something that an epoch gives: one, or two where another table begins.
    pub fn lines(&mut self, said: &Said) -> Vec<String> {
        let mut lines = Vec::new();
        if let Said::Upsert(id, _) | Said::Delete(id, _) = said
            && self.begun != Some(*id)
        {
            self.begun = Some(*id);
            let names: Vec<_> = names(self.case, *id).iter().map(|name| (*name).to_owned()).collect();
            lines.push(self.line(*id, &heading(*id), &names));
        }
        lines.push(match said {
            Said::Upsert(id, cells) => self.line(*id, "upsert", cells),
            Said::Delete(id, cells) => self.line(*id, "delete", cells),
            Said::More(id, more) => format!("... {more} more of {}", id.name()),
            Said::Rejected(cells) => format!("rejected {}", cells.join(" | ")),
            Said::Late(cells) => format!("late {}", cells.join(" | ")),
        });
        lines
    }

    fn line(&self, id: TableId, word: &str, cells: &[String]) -> String {
        let none = Vec::new();
        let widths = self.widths.get(&id).unwrap_or(&none);
        let padded = cells.iter().enumerate().map(|(place, cell)| {
            let width = widths.get(place).copied().unwrap_or_default();
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
        });
        let padded: Vec<_> = padded.collect();
        format!("{word:<width$} {}", padded.join(" | "), width = heading(id).len()).trim_end().to_owned()
    }
}

/// What the names of a table's columns stand behind.
fn heading(id: TableId) -> String {
    format!("{}:", id.name())
}

fn names(case: &Case, id: TableId) -> Vec<&'static str> {
    let columns = &id.table().columns;
    case.columns_of(id).into_iter().filter_map(|place| columns.get(place)).map(|column| column.name).collect()
}

fn cells(said: &Said) -> &[String] {
    match said {
        Said::Upsert(_, cells) | Said::Delete(_, cells) => cells,
        Said::More(..) | Said::Rejected(_) | Said::Late(_) => &[],
    }
}
