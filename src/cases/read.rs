//! The text of a case, read: all that is wrong with it is said, each with its line and a way out.

use super::cells::{BETWEEN, normal, split, text};
use super::write::{MARK, NOTHING, TO_BE_WRITTEN};
use super::{CLOCK_MS, Case, Epoch, PARTITIONS_MAX, Said};
use crate::families::all;
use crate::instant;
use crate::model::messages::{Mistake, Span};
use dataflows::family::FamilyId;
use dataflows::table::TableId;
use dataflows::wire::nearest;
use std::collections::BTreeMap;

/// What a line can be, for those who wrote another one.
const LINES: &str = "A line is a comment (`# ...`), a setting (`set lateness=2h`), an event (`{...}`), what the events \
                     before it give (`=> ...`), or `end`.";
/// What stands behind the mark.
const GIVEN: &str = "Behind `=>` stands `?` (to be written by `--update`), `nothing`, `TABLE: column | column`, `upsert \
                     value | value`, `delete key`, `rejected REASON` or `late TIME`.";

/// Reads the text of a case of this table.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str, of: TableId, family: FamilyId) -> Result<Case, Vec<Mistake>> {
    let case = Case {
        family,
        tables: vec![of],
        settings: Vec::new(),
        is_batch: false,
        clock_ms: CLOCK_MS,
        partitions: 1,
        ends: false,
        columns: BTreeMap::new(),
        epochs: Vec::new(),
        tail: Vec::new(),
    };
    let mut reading = Reading { case, epoch: Epoch::default(), begun: None, wrong: Vec::new() };
    for (n, line) in text.lines().enumerate() {
        reading.line(n + 1, line);
    }
    reading.ended()
}

struct Reading {
    case: Case,
    epoch: Epoch,
    /// The table whose columns were named last.
    begun: Option<TableId>,
    wrong: Vec<Mistake>,
}

/// A line, and where in it a part begins that is looked at: letters from 0.
#[derive(Clone, Copy)]
struct Part<'l> {
    line: usize,
    from: usize,
    text: &'l str,
}

impl<'l> Part<'l> {
    /// What is left of it behind so many bytes, without blanks.
    fn behind(self, bytes: usize) -> Part<'l> {
        let rest = &self.text[bytes..];
        let text = rest.trim_start();
        let from = self.from + self.text[..self.text.len() - text.len()].chars().count();
        Part { from, text: text.trim_end(), ..self }
    }

    /// Its first word, and what is behind it.
    fn word(self) -> (&'l str, Part<'l>) {
        let end = self.text.find(char::is_whitespace).unwrap_or(self.text.len());
        (&self.text[..end], self.behind(end))
    }

    fn span(self) -> Span {
        let end_column = self.from + self.text.chars().count().max(1) + 1;
        Span { line: self.line, column: self.from + 1, end_line: self.line, end_column }
    }
}

impl Reading {
    fn say(&mut self, at: Part<'_>, what: impl Into<String>, instead: impl Into<String>) {
        self.wrong.push(Mistake::new(at.span(), what, instead));
    }

    fn line(&mut self, n: usize, line: &str) {
        let part = Part { line: n, from: 0, text: line }.behind(0);
        if let Some(given) = part.text.strip_prefix(MARK) {
            self.epoch.line = if self.epoch.expected.is_none() { n } else { self.epoch.line };
            self.given(part.behind(part.text.len() - given.len()));
            return;
        }
        if self.epoch.expected.is_some() || self.epoch.is_asked {
            self.close();
        }
        self.epoch.lines.push(line.to_owned());
        let (word, rest) = part.word();
        let partition = word.strip_suffix(':').and_then(|number| number.parse().ok());
        match (word, partition) {
            ("", _) => {}
            _ if word.starts_with('#') => {}
            _ if self.case.ends => self.say(part, "nothing happens behind `end`.", "Put the line before it."),
            _ if word.starts_with('{') => self.record(part, 0, part.text),
            (_, Some(partition)) => self.record(part, partition, rest.text),
            ("end", _) if rest.text.is_empty() => {
                (self.case.ends, self.epoch.line) = (true, n);
            }
            ("set" | "tables" | "clock" | "batch", _) if self.has_begun() => {
                self.say(part, format!("`{word}` stands behind an event."), "Put it before the first one.");
            }
            ("set", _) => self.case.settings.push((n, rest.text.to_owned())),
            ("batch", _) if rest.text.is_empty() => self.case.is_batch = true,
            ("clock", _) => match instant::parse(rest.text) {
                Some(at) => self.case.clock_ms = at,
                None => self.say(rest, "is no instant.", "Write one such as 2031-01-05T10:00:00Z."),
            },
            ("tables", _) => self.tables(rest),
            _ => self.say(part, "is nothing that a case has.", LINES),
        }
    }

    fn has_begun(&self) -> bool {
        !self.case.epochs.is_empty() || !self.epoch.records.is_empty()
    }

    fn record(&mut self, part: Part<'_>, partition: u32, record: &str) {
        if partition >= PARTITIONS_MAX {
            let instead = format!("Write a number below {PARTITIONS_MAX}.");
            return self.say(part, format!("{partition} is no partition of a case."), instead);
        }
        self.case.partitions = self.case.partitions.max(partition + 1);
        self.epoch.records.push((partition, record.as_bytes().to_vec()));
        self.epoch.line = part.line;
    }

    fn tables(&mut self, rest: Part<'_>) {
        let mut tables = Vec::new();
        let metrics = self.case.family.metrics();
        for name in rest.text.split([' ', ',']).filter(|name| !name.is_empty()) {
            match metrics.iter().find(|(id, _)| id.name() == name) {
                Some((id, _)) => tables.push(*id),
                None => {
                    let near = nearest(name, metrics.iter().map(|(id, _)| id.name()));
                    let instead = match near {
                        Some(near) => format!("Did you mean `{near}`?"),
                        None => "`deltamart show` lists the tables.".to_owned(),
                    };
                    let what = format!("`{name}` is no table of a metric over `{}`.", self.case.family.name());
                    self.say(rest, what, instead);
                }
            }
        }
        if !tables.is_empty() {
            // In the order in which they are shown.
            self.case.tables = all().tables().iter().copied().filter(|id| tables.contains(id)).collect();
        }
    }

    fn given(&mut self, part: Part<'_>) {
        let (word, rest) = part.word();
        if let Some(name) = word.strip_suffix(':') {
            return self.heading(part, name, rest);
        }
        if word.is_empty() || word == TO_BE_WRITTEN {
            if self.epoch.expected.is_some() {
                self.say(part, "something is said of this epoch already.", "Delete the `?`, or what is said.");
            }
            self.epoch.is_asked = true;
            return;
        }
        let cells: Vec<_> = split(rest.text);
        let said = match word {
            NOTHING if rest.text.is_empty() => None,
            "upsert" | "delete" => match self.row(part, word, &cells, rest) {
                None => return,
                said => said,
            },
            "..." => match self.more(part, rest) {
                None => return,
                said => said,
            },
            "rejected" | "late" => {
                let texts: Vec<_> = cells.into_iter().map(|(_, cell)| text(&cell).unwrap_or(cell)).collect();
                let is_late = word == "late";
                Some(if is_late { Said::Late(late(texts)) } else { Said::Rejected(written(texts)) })
            }
            _ => return self.say(part, "is nothing that an epoch gives.", GIVEN),
        };
        let is_asked = self.epoch.is_asked;
        let expected = self.epoch.expected.get_or_insert_default();
        let is_first = expected.is_empty();
        expected.extend(said.clone());
        if is_asked || (said.is_none() && !is_first) {
            self.say(part, "something else is said of this epoch already.", "Delete one of the lines.");
        }
    }

    /// The columns of a table that are compared.
    fn heading(&mut self, part: Part<'_>, name: &str, rest: Part<'_>) {
        let Some(id) = self.case.tables.iter().copied().find(|id| id.name() == name) else {
            let names: Vec<_> = self.case.tables.iter().map(|id| format!("`{}`", id.name())).collect();
            let what = format!("`{name}` is no table of this case, which has {}.", names.join(", "));
            return self.say(part, what, "Name others at the beginning: `tables NAME NAME`.");
        };
        self.begun = Some(id);
        let table = id.table();
        let (mut columns, before) = (Vec::new(), self.wrong.len());
        for (from, cell) in split(rest.text) {
            let at = Part { from: rest.from + from, text: &cell, ..rest };
            match table.columns.iter().position(|column| column.name == cell) {
                Some(place) => columns.push(place),
                None => {
                    let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
                    let instead = format!("It has {}.", names.join(", "));
                    self.say(at, format!("`{name}` has no column `{cell}`."), instead);
                }
            }
        }
        let key = table.key_columns;
        if before == self.wrong.len() && !columns.iter().copied().take(key).eq(0..key) {
            let names: Vec<_> = table.columns[..key].iter().map(|column| column.name).collect();
            let instead = format!("Begin with {}.", names.join(" | "));
            self.say(rest, format!("the key of `{name}` does not come first."), instead);
        } else if self.case.columns.insert(id, columns.clone()).is_some_and(|before| before != columns) {
            let what = format!("the columns of `{name}` that are compared were others before.");
            self.say(rest, what, "Name the same ones everywhere.");
        }
    }

    /// Whose row it is.
    fn table(&mut self, part: Part<'_>) -> Option<TableId> {
        match (self.begun, &self.case.tables[..]) {
            (Some(id), _) => Some(id),
            (None, [id]) => Some(*self.begun.insert(*id)),
            (None, tables) => {
                let name = tables.first().map_or("TABLE", |id| id.name());
                let instead = format!("Write a line before it: `=> {name}: column | column`.");
                self.say(part, "of which table? The case has several.", instead);
                None
            }
        }
    }

    fn row(&mut self, part: Part<'_>, word: &str, cells: &[(usize, String)], rest: Part<'_>) -> Option<Said> {
        let id = self.table(part)?;
        let mut columns = self.case.columns_of(id);
        if word == "delete" {
            columns.truncate(id.table().key_columns);
        }
        let names: Vec<_> = columns.iter().map(|place| id.table().columns[*place].name).collect();
        if cells.len() != columns.len() {
            let (has, wants) = (cells.len(), columns.len());
            let what = format!("has {has} of the {wants} values of `{}`.", id.name());
            let instead = format!("Write, with `{BETWEEN}` between them: {}.", names.join(" | "));
            self.say(rest, what, instead);
            return None;
        }
        let mut normalised = Vec::new();
        for ((from, cell), place) in cells.iter().zip(columns) {
            let column = &id.table().columns[place];
            match normal(column, cell) {
                Ok(cell) => normalised.push(cell),
                Err(expected) => {
                    let at = Part { from: rest.from + from, text: cell, ..rest };
                    let what = format!("`{}` is no value of column `{}`.", cell, column.name);
                    self.say(at, what, format!("Write {expected}, or `-` for null."));
                }
            }
        }
        Some(if word == "delete" { Said::Delete(id, normalised) } else { Said::Upsert(id, normalised) })
    }

    /// `... 7 more of NAME`.
    fn more(&mut self, part: Part<'_>, rest: Part<'_>) -> Option<Said> {
        let words: Vec<_> = rest.text.split_whitespace().collect();
        let found = match &words[..] {
            [number, "more", "of", name] => {
                let id = self.case.tables.iter().copied().find(|id| id.name() == *name);
                number.parse().ok().zip(id)
            }
            _ => None,
        };
        if found.is_none() {
            self.say(
                part,
                "is not how many more rows there are.",
                "Write `... 7 more of NAME`, with a table of the case.",
            );
        }
        found.map(|(more, id)| Said::More(id, more))
    }

    fn close(&mut self) {
        let epoch = std::mem::take(&mut self.epoch);
        if epoch.records.is_empty() && !self.case.ends {
            let at = Part { line: epoch.line, from: 0, text: MARK };
            self.say(at, "no event stands before it.", "Write one, or delete what is said of it.");
        }
        self.case.epochs.push(epoch);
    }

    fn ended(mut self) -> Result<Case, Vec<Mistake>> {
        let is_open = self.epoch.expected.is_some() || self.epoch.is_asked;
        let ends_alone = self.case.ends && self.epoch.line > 0;
        if is_open || !self.epoch.records.is_empty() || ends_alone {
            self.close();
        } else {
            self.case.tail = std::mem::take(&mut self.epoch.lines);
        }
        if self.case.epochs.is_empty() && self.wrong.is_empty() {
            self.say(Part { line: 1, from: 0, text: "" }, "there is no event in it.", LINES);
        }
        if self.wrong.is_empty() { Ok(self.case) } else { Err(self.wrong) }
    }
}

/// The first is a code.
fn written(texts: Vec<String>) -> Vec<String> {
    texts.iter().map(|text| super::cells::written(text)).collect()
}

/// Instants as they are written.
fn late(texts: Vec<String>) -> Vec<String> {
    let shown = |text: &String| {
        instant::parse(text)
            .map_or_else(|| text.clone(), |at| super::cells::shown(&dataflows::table::Value::Instant(at)))
    };
    texts.iter().map(shown).collect()
}
