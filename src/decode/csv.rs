//! Records of separated values: a header names the fields once, and each record has their values in its order.
//!
//! As RFC 4180 has it, and the crate `csv` by its defaults: a quote opens a text at the beginning of a field alone, two of
//! them in it are one, and what stands behind its end belongs to the field. A record is read where it lies: its line was
//! found before, by the same rules.

use super::{Reason, Rejection};
use dataflows::wire::bounds::TEXT_BYTES_MAX;
use dataflows::wire::scalar::{Scalar, first, short};
use dataflows::wire::{Cells, Names, Slot, Wire};
use memchr::{memchr, memchr_iter};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// So much is shown of a name.
const NAME_SHOWN: usize = 100;

/// How records of separated values are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    separator: u8,
    columns: Arc<[Column]>,
    /// Where the names are by which places are known.
    names: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    /// None before it has its name.
    is_first: bool,
    /// Where its value is put, if it is read.
    slot: Option<Slot>,
}

impl Column {
    /// Where its value is put by other names: a record that is read again is read by those of then.
    fn by(&self, names: &Names) -> Option<Slot> {
        names.at_path(&self.name).filter(|_| self.is_first)
    }
}

fn address(names: &Names) -> usize {
    std::ptr::from_ref(names).addr()
}

/// Why a record has no fields.
enum Wrong {
    /// It has so many.
    Count(usize),
    /// The text of the field at this place has no end.
    Open(usize),
    /// The field at this place is no text.
    NoText(usize),
}

impl Csv {
    /// Of what stands between the values, the header, and the names of the fields that a family reads. Of two columns of
    /// one name the first is read.
    pub fn new(separator: u8, header: &[String], names: &Names) -> Csv {
        let column = |(place, name): (usize, &String)| {
            let of_header = Column { name: name.clone(), is_first: !header[..place].contains(name), slot: None };
            Column { slot: of_header.by(names), ..of_header }
        };
        Csv { separator, columns: header.iter().enumerate().map(column).collect(), names: address(names) }
    }

    /// Whether the header names the field.
    pub fn has(&self, field: &str) -> bool {
        self.columns.iter().any(|column| column.name == field)
    }

    /// Reads the values of a record. An empty one is none.
    ///
    /// # Errors
    /// If they are not as many as the header names, or one of them is no text.
    pub fn read<'a>(&self, record: &'a [u8], wire: &mut Wire<'_, 'a>) -> Result<(), Rejection> {
        let names = wire.names();
        let is_ours = address(names) == self.names;
        self.values(record, |column, text| {
            let slot = if is_ours { column.slot } else { column.by(names) };
            if let Some(slot) = slot.filter(|_| !text.is_empty()) {
                wire.put(slot, Scalar::Text(text));
            }
        })
        .map_err(|wrong| Rejection::new(Reason::UNDECODABLE, self.explained(&wrong)))
    }

    /// Puts the texts of a record where they stand into cells, if it is as nearly all are: as many as the header names, none in
    /// quotes, and none too long.
    pub fn put<'a>(&self, record: &'a [u8], names: &Names, cells: &mut Cells<'a>) -> Option<()> {
        if address(names) != self.names || record.len() > TEXT_BYTES_MAX || memchr(b'"', record).is_some() {
            return None;
        }
        cells.begin(record)?;
        let (mut columns, mut begins) = (self.columns.iter(), 0);
        let mut put = |end: usize| {
            let column = columns.next()?;
            let is_put = column.slot.is_none_or(|slot| cells.put(slot, &record[begins..end]));
            begins = end + 1;
            is_put.then_some(())
        };
        each(self.separator, record, &mut put)?;
        put(record.len())?;
        columns.next().is_none().then_some(())
    }

    /// The record as an object of JSON, in which it can be read without its header; nothing if it cannot be read.
    pub fn json(&self, record: &[u8]) -> Option<Vec<u8>> {
        let mut object = Map::new();
        let read = self.values(record, |column, text| {
            let names: Vec<&str> = match column.slot {
                Some(_) => column.name.split('.').collect(),
                None => vec![&column.name],
            };
            place(&mut object, &names, text.into_owned());
        });
        read.ok()?;
        serde_json::to_vec(&Value::Object(object)).ok()
    }

    fn values<'a>(&self, record: &'a [u8], with: impl FnMut(&Column, Cow<'a, str>)) -> Result<(), Wrong> {
        match std::str::from_utf8(record) {
            // Nearly all records.
            Ok(text) if memchr(b'"', record).is_none() => self.plain(text, with),
            Ok(_) | Err(_) => self.fields(record, with),
        }
    }

    /// The values of a record without quotes: it was looked at once whether it is text.
    fn plain<'a>(&self, record: &'a str, mut with: impl FnMut(&Column, Cow<'a, str>)) -> Result<(), Wrong> {
        let (mut count, mut begins) = (0, 0);
        for end in memchr_iter(self.separator, record.as_bytes()).chain([record.len()]) {
            if let Some(column) = self.columns.get(count) {
                with(column, record.get(begins..end).ok_or(Wrong::NoText(count))?.into());
            }
            (count, begins) = (count + 1, end + 1);
        }
        if count == self.columns.len() { Ok(()) } else { Err(Wrong::Count(count)) }
    }

    fn fields<'a>(&self, record: &'a [u8], mut with: impl FnMut(&Column, Cow<'a, str>)) -> Result<(), Wrong> {
        let mut count = 0;
        for field in (Fields { rest: Some(record), separator: self.separator }) {
            if let (Some(column), Some(field)) = (self.columns.get(count), &field) {
                let text = match field {
                    Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
                    Cow::Owned(bytes) => std::str::from_utf8(bytes).ok().map(|text| Cow::Owned(text.to_owned())),
                };
                with(column, text.ok_or(Wrong::NoText(count))?);
            }
            field.ok_or(Wrong::Open(count))?;
            count += 1;
        }
        if count == self.columns.len() { Ok(()) } else { Err(Wrong::Count(count)) }
    }

    fn explained(&self, wrong: &Wrong) -> String {
        let name = |place: &usize| match self.columns.get(*place) {
            Some(column) => format!("`{}`", first(&short(&column.name), NAME_SHOWN)),
            None => format!("value {}", place + 1),
        };
        match wrong {
            Wrong::Count(count) => {
                let values = if *count == 1 { "value" } else { "values" };
                format!(
                    "no event as separated values: it has {count} {values}, and the header has {}; a text with the separator \
                     in it is written in quotes",
                    self.columns.len()
                )
            }
            Wrong::Open(place) => format!(
                "no event as separated values: the text of {} begins with a quote and has no quote at its end; a quote in a \
                 text is written twice, and the whole text in quotes",
                name(place)
            ),
            Wrong::NoText(place) => {
                format!("no event as separated values: {} has bytes that are not UTF-8", name(place))
            }
        }
    }
}

/// Calls with each place where a byte stands, until it says that this is enough. Fields are short: to look at eight bytes at
/// once takes half as long as to search for each.
#[inline(always)]
fn each(byte: u8, bytes: &[u8], mut with: impl FnMut(usize) -> Option<()>) -> Option<()> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const LOW: u64 = !(ONES << 7);
    let (words, rest) = bytes.as_chunks();
    for (place, word) in words.iter().enumerate() {
        let other = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        // The highest bit of each byte that is nothing, and no other bit.
        let mut found = !(((other & LOW) + LOW) | other | LOW);
        while found != 0 {
            with(place * 8 + found.trailing_zeros() as usize / 8)?;
            found &= found - 1;
        }
    }
    let behind = bytes.len() - rest.len();
    (behind..).zip(rest).filter(|(_, found)| **found == byte).try_for_each(|(at, _)| with(at))
}

/// Puts a text into an object, within others by their names.
fn place(object: &mut Map<String, Value>, names: &[&str], text: String) {
    match names {
        [] => {}
        // Of two columns of one name the first is read.
        [name] => {
            let value = if text.is_empty() { Value::Null } else { Value::String(text) };
            object.entry(*name).or_insert(value);
        }
        [outer, rest @ ..] => {
            let inner = object.entry(*outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                place(inner, rest, text);
            }
        }
    }
}

/// The names of a header.
///
/// # Errors
/// Why it is none.
pub fn header(record: &[u8], separator: u8) -> Result<Vec<String>, String> {
    let named = |(place, field): (usize, Option<Cow<'_, [u8]>>)| {
        let bytes = field.ok_or_else(|| format!("its name {} has no quote at its end", place + 1))?;
        let name = std::str::from_utf8(&bytes).map_err(|_| format!("its name {} is not UTF-8", place + 1))?;
        Ok(name.trim().to_owned())
    };
    Fields { rest: Some(record), separator }.enumerate().map(named).collect()
}

/// The values of a record, if all are texts.
pub fn texts(record: &[u8], separator: u8) -> Option<Vec<String>> {
    let text = |field: Option<Cow<'_, [u8]>>| std::str::from_utf8(&field?).ok().map(|text| text.trim().to_owned());
    Fields { rest: Some(record), separator }.map(text).collect()
}

/// Whether a text in quotes begins in a record and does not end in it.
pub fn is_open(record: &[u8], separator: u8) -> bool {
    Fields { rest: Some(record), separator }.any(|field| field.is_none())
}

/// The values of a record, in their order; nothing for a text that has no end.
struct Fields<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Cow<'a, [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(quoted) = rest.strip_prefix(b"\"") else { return Some(Some(self.plain(rest).into())) };
        let Some(end) = memchr(b'"', quoted) else { return Some(None) };
        if self.ends(quoted, end + 1) {
            return Some(Some(Cow::Borrowed(&quoted[..end])));
        }
        // Quotes in it, or something behind it: it is not what lies there.
        let (mut text, mut from) = (Vec::new(), quoted);
        loop {
            let Some(end) = memchr(b'"', from) else { return Some(None) };
            text.extend_from_slice(&from[..end]);
            from = &from[end + 1..];
            if from.first() != Some(&b'"') {
                text.extend_from_slice(self.plain(from));
                return Some(Some(Cow::Owned(text)));
            }
            text.push(b'"');
            from = &from[1..];
        }
    }
}

impl<'a> Fields<'a> {
    /// Up to the next separator; what comes behind it is left.
    fn plain(&mut self, rest: &'a [u8]) -> &'a [u8] {
        match memchr(self.separator, rest) {
            Some(end) => {
                self.rest = Some(&rest[end + 1..]);
                &rest[..end]
            }
            None => rest,
        }
    }

    /// Whether the value ends here; what comes behind the separator is left.
    fn ends(&mut self, text: &'a [u8], at: usize) -> bool {
        match text.get(at) {
            None => true,
            Some(byte) if *byte == self.separator => {
                self.rest = Some(&text[at + 1..]);
                true
            }
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
