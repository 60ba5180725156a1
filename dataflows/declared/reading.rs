//! How the columns of a declared family are read of a record: what each takes, and why it takes nothing else.

mod usual;

use super::plan::Literal;
use super::row::{Builder, Datum, Declared};
use crate::gate::{Bounds, Judge, Rest};
use crate::persons::NOBODY_CALLED;
use crate::wire::number::{NotRead, whole};
use crate::wire::scalar::Scalar;
use crate::wire::{Broken, Cells, Kind, Names, Reason, Slot, Wire, event_time, mask, money, nearest, when};
use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A number that is none.
pub const BAD_NUMBER: Reason =
    Reason::of_family("bad_number", "A number cannot be read, or is not whole where it must be.");
/// A text that cannot be kept.
pub const BAD_TEXT: Reason = Reason::of_family("bad_text", "A text holds the character U+0000.");
/// A number beyond the bounds of its column.
pub const OUT_OF_RANGE: Reason = Reason::of_rules("out_of_range", "A number is outside the limits of its column.");
/// A text that is none of those that its column takes.
pub const NOT_ONE_OF: Reason = Reason::of_rules("not_one_of", "A text is none of those that its column takes.");
/// A person that is named as those are who were forgotten.
pub const NOBODY_IN_KEY: Reason =
    Reason::of_family("nobody_in_key", "An id begins with `nobody:`, which stands for a person who was forgotten.");
/// A person that is named by an e-mail address.
pub const ADDRESS_IN_KEY: Reason =
    Reason::of_family("address_in_key", "An id holds an e-mail address, which is never stored.");

/// The field by which events of several families are told apart.
pub const EVENT_NAME: &str = "event_name";

/// All of these.
pub const REASONS: &[Reason] = &[BAD_NUMBER, BAD_TEXT, OUT_OF_RANGE, NOT_ONE_OF, NOBODY_IN_KEY, ADDRESS_IN_KEY];

/// What a column takes.
#[derive(Clone, Debug)]
pub enum Takes {
    /// True or false.
    Boolean,
    /// A number of so many decimals, from the first to the second, in units of the last decimal.
    Number(u8, (i64, i64)),
    /// A point in time.
    Instant,
    /// Text.
    Text {
        /// In which case it is kept.
        case: Case,
        /// Only these, and what else stands for each.
        one_of: Option<OneOf>,
        /// Masked, two of them might be one: an e-mail address is refused. So is what nobody is called.
        is_person: bool,
    },
}

/// In which case a text is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// As it came.
    Kept,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
}

/// The texts that a column takes.
#[derive(Clone, Debug)]
pub struct OneOf {
    /// As they are kept.
    pub known: Vec<String>,
    /// What stands for one of them, by its place.
    pub others: BTreeMap<String, usize>,
}

/// What a column is where there is nothing: no field, null, or an empty text.
#[derive(Clone, Debug, PartialEq)]
pub enum Empty {
    /// The record is rejected.
    Rejected,
    /// This.
    Is(Literal),
}

/// A column, and how it is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The name of the column.
    pub column: &'static str,
    /// The fields that it may stand in. The first that has a value counts.
    pub from: Vec<&'static str>,
    /// What it takes.
    pub takes: Takes,
    /// What it is if none of them has a value.
    pub empty: Empty,
}

/// How the events of a family are read.
#[derive(Debug, Default)]
pub struct Reader {
    names: Names,
    columns: Vec<(Vec<Slot>, Reading)>,
    time: usize,
    /// The field that names another event, and the name of ours, if no column reads that field.
    event: Option<(Slot, &'static str)>,
}

/// Two columns read one field in two ways, or one reads a field of what another reads as a single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The column.
    pub column: &'static str,
    /// The field.
    pub field: &'static str,
}

impl Reader {
    /// Of the columns of a family, of which one is the time.
    ///
    /// # Errors
    /// If a field would be read in two ways.
    pub fn of(
        family: &'static str,
        columns: Vec<Reading>,
        time: usize,
        person: Option<usize>,
    ) -> Result<Reader, Conflict> {
        let mut names = Names::default();
        let reads_name = columns.iter().any(|reading| reading.from.contains(&EVENT_NAME));
        let mut fields = names.fields();
        let event = (!reads_name).then(|| (fields.field(EVENT_NAME, Kind::Text), family));
        let mut read = Vec::with_capacity(columns.len());
        for (place, reading) in columns.into_iter().enumerate() {
            let kind = match reading.takes {
                Takes::Boolean | Takes::Text { .. } => Kind::Text,
                Takes::Number(..) => Kind::Plain,
                Takes::Instant => Kind::Instant,
            };
            let mut slots = Vec::with_capacity(reading.from.len());
            for field in &reading.from {
                if person == Some(place) && !field.contains('.') {
                    fields.names_person(field);
                }
                let slot = fields.within(field, kind);
                slots.push(slot.ok_or(Conflict { column: reading.column, field })?);
            }
            read.push((slots, reading));
        }
        Ok(Reader { names, columns: read, time, event })
    }

    /// What its columns take, in their order.
    pub fn readings(&self) -> Vec<&Reading> {
        self.columns.iter().map(|(_, reading)| reading).collect()
    }

    /// The names of the fields that are read.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Reads a record into a row that is made.
    #[inline(always)]
    fn read(&self, wire: &Wire<'_, '_>, bounds: &Bounds<'_>, row: &mut Builder) -> Result<(Declared, bool), Broken> {
        if let Some((slot, family)) = self.event
            && let Some(name) = wire.value(slot)?
            && name.text().is_none_or(|name| name != family)
        {
            return Err(wire.broken(slot, Reason::UNKNOWN_EVENT, name, &format!("expected {family}, or no name")));
        }
        // The time first: a record that has none is no event, whatever else it is.
        let (slots, _) = &self.columns[self.time];
        let slot = first(wire, slots)?.map_or(slots[0], |(slot, _)| slot);
        let at = event_time(wire, slot, bounds.time, bounds.clock)?;
        let mut masked = false;
        for (place, (slots, reading)) in self.columns.iter().enumerate() {
            if place == self.time {
                row.instant(at);
                continue;
            }
            match (first(wire, slots)?, &reading.empty) {
                (Some((slot, value)), _) => reading.push(wire, slot, value, row, &mut masked)?,
                (None, Empty::Is(literal)) => row.push(&datum(literal)),
                (None, Empty::Rejected) => return Err(Broken::Missing(reading.from[0])),
            }
        }
        Ok((Declared { at, row: row.row() }, masked))
    }
}

/// A value, where it stands.
pub fn datum(literal: &Literal) -> Datum<'_> {
    match literal {
        Literal::Null => Datum::Null,
        Literal::Boolean(value) => Datum::Boolean(*value),
        Literal::Number(number) => Datum::Number(*number),
        Literal::Instant(at) => Datum::Instant(*at),
        Literal::Text(text) => Datum::Text(text.as_str().into()),
    }
}

thread_local! {
    /// Rows are made in one place: it keeps its memory from event to event.
    static ROW: RefCell<Builder> = RefCell::default();
}

/// The reader that a record is to be read by: that of when it was read first. Where there is none, it is ours.
fn by(rules: &dyn Any) -> Option<&'static Reader> {
    rules.downcast_ref().copied()
}

impl Judge<Declared> for Reader {
    fn names(&'static self, rules: &dyn Any) -> &'static Names {
        by(rules).unwrap_or(self).names()
    }

    fn judge<'n, 'a>(
        &self,
        wire: &mut Wire<'n, 'a>,
        _carries: Option<&str>,
        bounds: Bounds<'_>,
        _rest: Rest<'_, 'n, 'a>,
    ) -> Result<(Declared, bool), Broken> {
        ROW.with_borrow_mut(|row| {
            // What was begun of a record that broke a rule is no part of the next.
            row.clear();
            by(bounds.rules).unwrap_or(self).read(wire, &bounds, row)
        })
    }

    fn judge_usual(&self, cells: &Cells<'_>, bounds: Bounds<'_>) -> Option<Declared> {
        ROW.with_borrow_mut(|row| {
            row.clear();
            by(bounds.rules).unwrap_or(self).read_usual(cells, &bounds, row)
        })
    }
}

/// The first of these fields that has a value.
#[inline(always)]
fn first<'w, 'a>(wire: &'w Wire<'_, 'a>, slots: &[Slot]) -> Result<Option<(Slot, &'w Scalar<'a>)>, Broken> {
    for slot in slots {
        let found = wire.value(*slot)?;
        if let Some(value) = found.filter(|value| value.bytes_of_text() != Some(b"")) {
            return Ok(Some((*slot, value)));
        }
    }
    Ok(None)
}

impl Case {
    /// A text as it is kept.
    pub fn of<'t>(self, text: Cow<'t, str>) -> Cow<'t, str> {
        match self {
            Case::Kept => text,
            Case::Lower => text.to_lowercase().into(),
            Case::Upper => text.to_uppercase().into(),
        }
    }
}

impl Reading {
    /// Whether this is a text that the column takes.
    pub fn takes_text(&self, text: &str) -> bool {
        match &self.takes {
            Takes::Text { case, one_of, is_person: _ } => {
                one_of.as_ref().is_none_or(|one_of| one_of.place(&case.of(text.into())).is_some())
            }
            Takes::Boolean | Takes::Number(..) | Takes::Instant => false,
        }
    }

    /// Reads a value into the next column of a row.
    #[inline]
    fn push(
        &self,
        wire: &Wire<'_, '_>,
        slot: Slot,
        value: &Scalar<'_>,
        row: &mut Builder,
        masked: &mut bool,
    ) -> Result<(), Broken> {
        match &self.takes {
            Takes::Boolean => {
                let read = boolean(value)
                    .ok_or_else(|| wire.wrong_type(slot, value, "true or false (or 1, 0, \"true\", \"false\")"))?;
                row.boolean(read);
            }
            Takes::Number(decimals, bounds) => row.number(number(wire, slot, value, *decimals, *bounds)?),
            Takes::Instant => {
                let read = when::instant(value).map_err(|why| wire.broken(slot, Reason::BAD_TIMESTAMP, value, &why))?;
                row.instant(read);
            }
            // Nearly all texts.
            Takes::Text { case: Case::Kept, one_of: None, is_person: false }
                if let Scalar::Text(text) = value
                    && mask::is_plain(text) =>
            {
                row.text(text);
            }
            Takes::Text { case, one_of, is_person } => {
                let text = text((*case, one_of.as_ref(), *is_person), wire, (slot, value), masked)?;
                row.text(&text);
            }
        }
        Ok(())
    }
}

/// A text as it is kept.
fn text<'w>(
    (case, one_of, is_person): (Case, Option<&'w OneOf>, bool),
    wire: &Wire<'_, '_>,
    (slot, value): (Slot, &'w Scalar<'_>),
    masked: &mut bool,
) -> Result<Cow<'w, str>, Broken> {
    let text = value.text().ok_or_else(|| wire.wrong_type(slot, value, "a text"))?;
    let text = case.of(text);
    if let Some(one_of) = one_of {
        return one_of
            .place(&text)
            .map(|place| one_of.known[place].as_str().into())
            .ok_or_else(|| wire.broken(slot, NOT_ONE_OF, value, &one_of.expected(&text)));
    }
    if text.contains('\0') {
        return Err(wire.broken(slot, BAD_TEXT, value, "expected a text without the character U+0000"));
    }
    if is_person && text.starts_with(NOBODY_CALLED) {
        let expected = format!("expected an id that does not begin with `{NOBODY_CALLED}`");
        return Err(wire.broken(slot, NOBODY_IN_KEY, value, &expected));
    }
    match mask::text(&text) {
        None => Ok(text),
        Some(_) if is_person => {
            let field = wire.names().name(slot);
            let detail = format!(
                "`{field}` holds an e-mail address, which is never stored; expected an id that is none, such as a hash of \
                 the address"
            );
            Err(Broken::rule(ADDRESS_IN_KEY, detail))
        }
        Some(text) => {
            *masked = true;
            Ok(text.into())
        }
    }
}

impl OneOf {
    fn place(&self, text: &str) -> Option<usize> {
        self.known.iter().position(|known| known == text).or_else(|| self.others.get(text).copied())
    }

    fn expected(&self, text: &str) -> String {
        let all = || self.known.iter().map(String::as_str);
        let near = nearest(text, all().chain(self.others.keys().map(String::as_str)));
        match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("expected one of {}", all().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Yes and no, as formats without the type write them.
fn boolean(value: &Scalar<'_>) -> Option<bool> {
    if let Scalar::Bool(value) = value {
        return Some(*value);
    }
    let text = value.text()?;
    let is = |words: [&str; 2]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
    if is(["true", "1"]) { Some(true) } else { is(["false", "0"]).then_some(false) }
}

fn number(
    wire: &Wire<'_, '_>,
    slot: Slot,
    value: &Scalar<'_>,
    decimals: u8,
    (least, most): (i64, i64),
) -> Result<i64, Broken> {
    let read = match decimals {
        0 => whole(value).map_err(|why| match why {
            NotRead::NotWhole => "expected a whole number such as 6".to_owned(),
            NotRead::Beyond => "expected a whole number of 64 bits".to_owned(),
            NotRead::Imprecise => {
                "expected its digits as text, or without point and exponent: so large a number with these stands for its \
                 neighbours too"
                    .to_owned()
            }
        }),
        // Money has more writings than other numbers.
        2 => money::cents(value).map_err(|why| why.replace(", at least 0, such", ", such")),
        _ => decimal(value, decimals).ok_or_else(|| format!("expected a number with at most {decimals} decimals")),
    };
    let read = read.map_err(|expected| match value {
        Scalar::Bool(_) | Scalar::Instant(_) | Scalar::Amount(_) | Scalar::Other(_) => {
            wire.broken(slot, Reason::WRONG_TYPE, value, &expected)
        }
        Scalar::Text(_)
        | Scalar::Long(_)
        | Scalar::Int(_)
        | Scalar::Huge(_)
        | Scalar::Float(_)
        | Scalar::Double(_)
        | Scalar::Bytes(_) => wire.broken(slot, BAD_NUMBER, value, &expected),
    })?;
    if (least..=most).contains(&read) {
        return Ok(read);
    }
    let expected = match (least, most) {
        (least, i64::MAX) => format!("expected {} or more", shown(least, decimals)),
        (i64::MIN, most) => format!("expected {} or less", shown(most, decimals)),
        (least, most) => format!("expected {} to {}", shown(least, decimals), shown(most, decimals)),
    };
    Err(wire.broken(slot, OUT_OF_RANGE, value, &expected))
}

/// A number with its decimals, as it is shown.
pub fn shown(number: i64, decimals: u8) -> String {
    if decimals == 0 {
        return number.to_string();
    }
    let sign = if number < 0 { "-" } else { "" };
    let unit = 10_u64.pow(decimals.into());
    let (whole, part) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
    format!("{sign}{whole}.{part:0>width$}", width = decimals.into())
}

/// A number in units of its last decimal; of a float the shortest decimal that is this float and no other.
pub fn decimal(value: &Scalar<'_>, decimals: u8) -> Option<i64> {
    match value {
        Scalar::Long(number) => number.checked_mul(10_i64.pow(decimals.into())),
        Scalar::Int(number) => i64::from(*number).checked_mul(10_i64.pow(decimals.into())),
        Scalar::Float(number) => of_digits(&number.to_string(), decimals),
        Scalar::Double(number) => of_digits(&number.to_string(), decimals),
        Scalar::Text(text) => of_digits(text.trim(), decimals),
        Scalar::Bytes(bytes) => of_digits(std::str::from_utf8(bytes).ok()?.trim(), decimals),
        Scalar::Huge(_) | Scalar::Bool(_) | Scalar::Instant(_) | Scalar::Amount(_) | Scalar::Other(_) => None,
    }
}

/// `-12.5`: digits, perhaps with a sign, a point and more digits. Zeros behind the last decimal say nothing.
pub fn of_digits(text: &str, decimals: u8) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let part = part.trim_end_matches('0');
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let places = usize::from(decimals);
    if whole.is_empty() || !is_digits(whole) || !is_digits(part) || part.len() > places || digits.ends_with('.') {
        return None;
    }
    let unsigned: i128 = format!("{whole}{part:0<places$}").parse().ok()?;
    i64::try_from(sign * unsigned).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_none() {
        let text = |text: &'static str| Scalar::Text(text.into());
        for (value, milli) in [
            (text("12.5"), Some(12_500)),
            (text("-0.001"), Some(-1)),
            (text("+7"), Some(7_000)),
            (text("1.2340000"), Some(1_234)),
            (text("1.2345"), None),
            (text("1."), None),
            (text(".5"), None),
            (text("1e3"), None),
            (text(""), None),
            (text("9223372036854775.807"), Some(i64::MAX)),
            (text("-9223372036854775.808"), Some(i64::MIN)),
            (text("9223372036854775.808"), None),
            (Scalar::Double(0.1), Some(100)),
            (Scalar::Double(129.99), Some(129_990)),
            (Scalar::Float(129.99), Some(129_990)),
            (Scalar::Double(f64::NAN), None),
            (Scalar::Double(1e300), None),
            (Scalar::Long(i64::MAX), None),
            (Scalar::Int(-3), Some(-3_000)),
            (Scalar::Bool(true), None),
        ] {
            assert_eq!(decimal(&value, 3), milli, "{value}");
        }
        assert_eq!((shown(-5, 2), shown(123_456, 3), shown(7, 0)), ("-0.05".into(), "123.456".into(), "7".into()));
    }

    #[test]
    fn yes_and_no_have_few_writings() {
        let text = |text: &'static str| Scalar::Text(text.into());
        for (value, read) in [
            (Scalar::Bool(true), Some(true)),
            (text(" TRUE "), Some(true)),
            (text("0"), Some(false)),
            (Scalar::Long(1), Some(true)),
            (Scalar::Long(2), None),
            (text("yes"), None),
            (text(""), None),
        ] {
            assert_eq!(boolean(&value), read, "{value}");
        }
    }
}
