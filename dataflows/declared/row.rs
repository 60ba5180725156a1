//! An event of a declared family: its columns in one box.

use crate::time::{Instant, Timed};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A value that is looked at where it stands. Values of a type have its order, and null is before them all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum<'a> {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// In units of its type's scale.
    Number(i64),
    /// Milliseconds since 1970.
    Instant(i64),
    /// Text: where it stands, or made of such.
    Text(Cow<'a, str>),
}

impl Datum<'_> {
    /// Whether there is none.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// The same, and it stays where it is.
    pub fn lent(&self) -> Datum<'_> {
        match self {
            Datum::Null => Datum::Null,
            Datum::Boolean(value) => Datum::Boolean(*value),
            Datum::Number(number) => Datum::Number(*number),
            Datum::Instant(at) => Datum::Instant(*at),
            Datum::Text(text) => Datum::Text(Cow::Borrowed(text)),
        }
    }
}

/// A value as it lies in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare<'a> {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// In units of its type's scale.
    Number(i64),
    /// Milliseconds since 1970.
    Instant(i64),
    /// The bytes of a text, which nobody has looked at.
    Text(&'a [u8]),
}

impl<'a> From<&'a Datum<'_>> for Bare<'a> {
    #[inline]
    fn from(value: &'a Datum<'_>) -> Bare<'a> {
        match value {
            Datum::Null => Bare::Null,
            Datum::Boolean(value) => Bare::Boolean(*value),
            Datum::Number(number) => Bare::Number(*number),
            Datum::Instant(at) => Bare::Instant(*at),
            Datum::Text(text) => Bare::Text(text.as_bytes()),
        }
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const INSTANT: u8 = 4;
const TEXT: u8 = 5;

/// A column has a byte that says what is there, and a word: a number, or where its text stands in what follows.
const WORD: usize = 8;
const HEAD: usize = 2;

/// The columns of an event, in one box: how many there are, what each holds, a word of each, and the texts.
///
/// A column that is not there is null, so that a row of before reads as one of today.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row(Box<[u8]>);

/// Makes rows, column by column. It may be used for many.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    kinds: Vec<u8>,
    words: Vec<u8>,
    texts: Vec<u8>,
}

impl Builder {
    /// The next column holds this.
    pub fn push(&mut self, value: &Datum<'_>) {
        match value {
            Datum::Null => self.null(),
            Datum::Boolean(value) => self.boolean(*value),
            Datum::Number(number) => self.number(*number),
            Datum::Instant(at) => self.instant(*at),
            Datum::Text(text) => self.text(text),
        }
    }

    /// The next column holds nothing.
    pub fn null(&mut self) {
        self.word(NULL, 0);
    }

    /// The next column is true or false.
    pub fn boolean(&mut self, value: bool) {
        self.word(if value { TRUE } else { FALSE }, 0);
    }

    /// The next column holds a number, in units of its scale.
    pub fn number(&mut self, number: i64) {
        self.word(NUMBER, number as u64);
    }

    /// The next column holds an instant.
    pub fn instant(&mut self, at: Instant) {
        self.word(INSTANT, at as u64);
    }

    /// The next column holds a text.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// The next column holds a text. Of bytes that are none it holds nothing.
    #[inline]
    pub fn bytes(&mut self, text: &[u8]) {
        self.word(TEXT, (self.texts.len() as u64) << 32 | text.len() as u64);
        self.texts.extend_from_slice(text);
    }

    fn word(&mut self, kind: u8, word: u64) {
        self.kinds.push(kind);
        self.words.extend_from_slice(&word.to_le_bytes());
    }

    /// Nothing was pushed yet.
    pub fn clear(&mut self) {
        for part in [&mut self.kinds, &mut self.words, &mut self.texts] {
            part.clear();
        }
    }

    /// The row of what was pushed since the last one.
    pub fn row(&mut self) -> Row {
        let columns = u16::try_from(self.kinds.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(HEAD + self.kinds.len() + self.words.len() + self.texts.len());
        bytes.extend_from_slice(&columns.to_le_bytes());
        for part in [&mut self.kinds, &mut self.words, &mut self.texts] {
            bytes.append(part);
        }
        Row(bytes.into())
    }
}

impl Row {
    /// What a column holds.
    #[inline]
    pub fn column(&self, place: usize) -> Datum<'_> {
        match self.bare(place) {
            Bare::Null => Datum::Null,
            Bare::Boolean(value) => Datum::Boolean(value),
            Bare::Number(number) => Datum::Number(number),
            Bare::Instant(at) => Datum::Instant(at),
            Bare::Text(text) => std::str::from_utf8(text).map_or(Datum::Null, |text| Datum::Text(text.into())),
        }
    }

    /// The same, as it lies there.
    #[inline]
    pub(super) fn bare(&self, place: usize) -> Bare<'_> {
        self.read(place).unwrap_or(Bare::Null)
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.0.first_chunk().map_or(0, |head| u16::from_le_bytes(*head).into())
    }

    #[inline]
    fn read(&self, place: usize) -> Option<Bare<'_>> {
        let columns = self.columns();
        if place >= columns {
            return None;
        }
        let words = HEAD + columns;
        let word = || {
            let word = self.0.get(words + place * WORD..)?.first_chunk()?;
            Some(u64::from_le_bytes(*word))
        };
        bare(*self.0.get(HEAD + place)?, word, || self.0.get(words + columns * WORD..))
    }

    /// The texts of all columns.
    pub(super) fn texts(&self) -> &[u8] {
        self.0.get(HEAD + self.columns() * (1 + WORD)..).unwrap_or_default()
    }

    /// What all columns hold, as it lies there.
    pub(super) fn all(&self) -> impl Iterator<Item = Bare<'_>> {
        let columns = self.columns();
        let behind = self.0.get(HEAD..).unwrap_or_default();
        let (kinds, behind) = behind.split_at_checked(columns).unwrap_or_default();
        let (words, texts) = behind.split_at_checked(columns * WORD).unwrap_or_default();
        let words = words.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        kinds.iter().zip(words).map(|(kind, word)| bare(*kind, || Some(word), || Some(texts)).unwrap_or(Bare::Null))
    }
}

/// What a column holds, of what its kind, its word and the texts of its row say.
#[inline(always)]
fn bare<'r>(
    kind: u8,
    word: impl FnOnce() -> Option<u64>,
    texts: impl FnOnce() -> Option<&'r [u8]>,
) -> Option<Bare<'r>> {
    Some(match kind {
        FALSE => Bare::Boolean(false),
        TRUE => Bare::Boolean(true),
        NUMBER => Bare::Number(word()? as i64),
        INSTANT => Bare::Instant(word()? as i64),
        TEXT => {
            let word = word()?;
            let (start, length) = ((word >> 32) as usize, word as u32 as usize);
            Bare::Text(texts()?.get(start..)?.get(..length)?)
        }
        _ => return None,
    })
}

impl<'a> FromIterator<Datum<'a>> for Row {
    fn from_iter<I: IntoIterator<Item = Datum<'a>>>(values: I) -> Row {
        let values = values.into_iter();
        let columns = values.size_hint().0;
        let mut builder = Builder {
            kinds: Vec::with_capacity(columns),
            words: Vec::with_capacity(columns * WORD),
            texts: Vec::with_capacity(columns * WORD),
        };
        values.for_each(|value| builder.push(&value));
        builder.row()
    }
}

/// An event of a declared family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Declared {
    /// Its time: what the column of the family's time holds.
    pub at: Instant,
    /// Its columns.
    pub row: Row,
}

impl Timed for Declared {
    fn timestamp(&self) -> Instant {
        self.at
    }

    fn carries_time(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_read_and_what_is_not_there_is_null() {
        let values = [
            Datum::Number(i64::MIN),
            Datum::Text("".into()),
            Datum::Null,
            Datum::Text("Ж\0%".into()),
            Datum::Boolean(true),
            Datum::Boolean(false),
            Datum::Instant(-1),
            Datum::Text("end".into()),
        ];
        let mut builder = Builder::default();
        for _ in 0..2 {
            values.iter().for_each(|value| builder.push(value));
            let row = builder.row();
            assert_eq!(row.columns(), values.len());
            for (place, value) in values.iter().enumerate() {
                assert_eq!(row.column(place), *value);
            }
            let one_by_one = (0..values.len()).map(|place| row.bare(place));
            assert!(row.all().eq(one_by_one));
            assert!((values.len()..values.len() + 3).all(|place| row.column(place).is_null()));
        }
        assert!(builder.row().column(0).is_null());
    }

    #[test]
    fn broken_bytes_are_null_and_no_panic() {
        let whole: Row = [Datum::Text("abc".into()), Datum::Number(7)].into_iter().collect();
        for length in 0..whole.0.len() {
            let cut = Row(whole.0[..length].into());
            (0..3).for_each(|place| assert!(cut.column(place).is_null() || cut.column(place) == whole.column(place)));
        }
    }
}
