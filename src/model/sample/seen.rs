//! What was seen of a field, and which type it has for all that is known.

use super::json::Json;
use crate::instant;
use dataflows::declared::reading::{of_digits, shown};
use dataflows::wire::scalar::Scalar;
use dataflows::wire::{mask, when};
use std::collections::BTreeSet;

/// So many different values are kept: one more says that they are many.
const DISTINCT_MAX: usize = 12;
/// Of longer texts none is shown.
const SHOWN_CHARS: usize = 40;

/// Words in a name that sound like money,
const MONEY: &[&str] = &["price", "amount", "cost", "revenue", "total"];
/// and like an instant.
const TIME: &[&str] = &["time", "timestamp", "at", "date", "ts"];

/// What was seen of a field.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct Seen {
    /// In how many records it has a value.
    pub filled: usize,
    booleans: usize,
    integers: usize,
    decimals: usize,
    texts: usize,
    instants: usize,
    /// Texts that are whole numbers.
    digits: usize,
    /// Texts that are numbers.
    numbers: usize,
    /// A list, or a number that is none of 64 bits.
    others: usize,
    /// Texts that say yes or no.
    truths: usize,
    /// Every value is a text, as separated values are: what they mean is in their writing alone.
    is_written: bool,
    /// In how many records it has fields of its own.
    pub objects: usize,
    /// The most decimals of a number, up to 4.
    places: u8,
    /// The least and the greatest number, in units of the third decimal.
    bounds: Option<(i128, i128)>,
    /// Different texts, and whether there are more of them.
    values: BTreeSet<String>,
    has_more: bool,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Kind {
    Integer,
    Boolean,
    Instant,
    Money,
    Decimal,
    Text,
}

impl Kind {
    /// As it is written.
    pub(in crate::model) fn name(self) -> &'static str {
        match self {
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
            Kind::Instant => "instant",
            Kind::Money => "money",
            Kind::Decimal => "decimal",
            Kind::Text => "text",
        }
    }
}

impl Seen {
    /// Sees a value of the field of this name.
    pub(super) fn see(&mut self, name: &str, value: &Json) {
        match value {
            Json::Null => return,
            Json::Text(text) if text.is_empty() => return,
            Json::Object(_) => {
                self.objects += 1;
                return;
            }
            Json::List => self.others += 1,
            Json::Boolean(_) => self.booleans += 1,
            Json::Integer(number) => self.integer(name, *number),
            Json::Number(number) => self.number(*number),
            Json::Text(text) => self.text(name, text),
        }
        self.filled += 1;
    }

    /// Sees a value of the field of this name, where every value is a text.
    pub(super) fn see_written(&mut self, name: &str, text: &str) {
        self.is_written = true;
        if text.is_empty() {
            return;
        }
        self.filled += 1;
        let before = self.instants;
        self.text(name, text);
        self.truths += usize::from(matches!(text, "true" | "false"));
        if self.instants == before && is_time(name) && when::instant(&Scalar::Text(text.into())).is_ok() {
            self.instants += 1;
        }
    }

    fn integer(&mut self, name: &str, number: i128) {
        let Ok(whole) = i64::try_from(number) else {
            self.others += 1;
            return;
        };
        self.integers += 1;
        self.within(number * 1000);
        // Milliseconds since 1970 are instants only where the name says so: an id may be as long.
        self.instants += usize::from(is_time(name) && when::instant(&Scalar::Long(whole)).is_ok());
    }

    fn number(&mut self, number: f64) {
        let text = number.to_string();
        match (0..=3).find_map(|places| Some((places, of_digits(&text, places)?))) {
            Some((places, units)) => {
                self.places = self.places.max(places);
                self.within(i128::from(units) * 10_i128.pow(3 - u32::from(places)));
                // `7.0` is a whole number.
                if places == 0 { self.integers += 1 } else { self.decimals += 1 }
            }
            None => {
                self.places = 4;
                self.decimals += 1;
            }
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.texts += 1;
        let looks_so = text.contains(['-', ':', 'T']) || is_time(name);
        self.instants += usize::from(looks_so && instant::parse(text).is_some());
        // An id may begin with a zero that says something.
        let is_plain = text == "0" || !text.trim_start_matches('-').starts_with('0') || text.contains('.');
        self.digits += usize::from(is_plain && of_digits(text, 0).is_some());
        if let Some(units) = of_digits(text, 3).filter(|_| is_plain) {
            self.numbers += 1;
            self.within(i128::from(units));
            let places = (0..=3).find(|places| of_digits(text, *places).is_some()).unwrap_or(3);
            self.places = self.places.max(places);
        }
        if self.values.len() < DISTINCT_MAX || self.values.contains(text) {
            self.values.insert(text.to_owned());
        } else {
            self.has_more = true;
        }
    }

    fn within(&mut self, milli: i128) {
        self.bounds = Some(match self.bounds {
            Some((least, most)) => (least.min(milli), most.max(milli)),
            None => (milli, milli),
        });
    }

    /// The type that takes everything that was seen, or why there is none.
    pub(super) fn kind(&self, name: &str) -> Result<Kind, &'static str> {
        let all = self.filled;
        let (words, numbers) = (words(name), self.integers + self.decimals);
        let is_money = |word: &String| MONEY.contains(&word.as_str());
        let has_decimals = self.decimals > 0 || self.is_written && self.places > 0;
        let named_so = words.last().is_some_and(is_money) || has_decimals && words.iter().any(is_money);
        match () {
            () if all == 0 && self.objects == 0 => Err("is empty in every record"),
            () if self.others == all && all > 0 => Err("holds lists, which are not read"),
            () if self.objects > 0 && all > 0 => Err("holds objects and values"),
            () if self.instants == all => Ok(Kind::Instant),
            () if self.booleans == all || self.truths == all => Ok(Kind::Boolean),
            () if numbers + self.numbers == all && (numbers > 0 || named_so || self.is_written) => match self.places {
                0..=2 if named_so => Ok(Kind::Money),
                0 if self.digits == self.texts => Ok(Kind::Integer),
                0..=3 => Ok(Kind::Decimal),
                _ => Err("has more than three decimals, which no type has"),
            },
            () if self.texts == all => Ok(Kind::Text),
            () => Err("holds values of several types"),
        }
    }

    /// The least integer.
    pub(super) fn least(&self) -> Option<i64> {
        self.bounds.and_then(|(least, _)| i64::try_from(least / 1000).ok())
    }

    /// What was seen, in words.
    pub(super) fn said(&self, kind: Kind) -> String {
        let bounds = |places: u8| {
            let (least, most) = self.bounds?;
            let unit = 10_i128.pow(3 - u32::from(places));
            let number = |milli: i128| Some(shown(i64::try_from(milli / unit).ok()?, places));
            Some(format!("{} to {}", number(least)?, number(most)?))
        };
        match kind {
            Kind::Integer => bounds(0).unwrap_or_default(),
            Kind::Money => bounds(2).unwrap_or_default(),
            Kind::Decimal => bounds(3).unwrap_or_default(),
            Kind::Instant => self.values.first().map(|first| format!("such as {}", quoted(first))).unwrap_or_default(),
            Kind::Boolean => String::new(),
            Kind::Text => {
                let shown: Vec<_> = self.values.iter().take(3).map(|text| example(text)).collect();
                if self.has_more { format!("such as {}", shown.join(", ")) } else { String::new() }
            }
        }
    }

    /// All texts that were seen, if they are few.
    pub(super) fn one_of(&self) -> Option<Vec<String>> {
        let is_short = |text: &String| text.chars().count() <= SHOWN_CHARS && mask::text(text).is_none();
        let are_few = !self.has_more && self.values.len() < self.filled.max(2) && self.values.iter().all(is_short);
        are_few.then(|| self.values.iter().map(|text| quoted(text)).collect())
    }
}

/// Whether a name sounds like an instant.
pub(in crate::model) fn is_time(name: &str) -> bool {
    words(name).last().is_some_and(|word| TIME.contains(&word.as_str()))
}

/// Whether a name sounds like money.
pub(in crate::model) fn sounds_like_money(name: &str) -> bool {
    words(name).last().is_some_and(|word| MONEY.contains(&word.as_str()))
}

/// A text as it may be shown: cut, and without an e-mail address.
fn example(text: &str) -> String {
    let text = mask::text(text).unwrap_or_else(|| text.to_owned());
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    quoted(&if cut.len() < text.len() { format!("{cut}…") } else { cut })
}

/// A text in quotes, on one line.
pub(in crate::model) fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => written.extend(['\\', letter]),
            letter if letter.is_control() => written.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => written.push(letter),
        }
    }
    written.push('"');
    written
}

/// The words of a name: `eventTime` and `event_time` have two.
pub(in crate::model) fn words(name: &str) -> Vec<String> {
    let (mut words, mut was_small) = (vec![String::new()], false);
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() || letter.is_ascii_uppercase() && was_small {
            words.push(String::new());
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if letter.is_ascii_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.push(letter.to_ascii_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
