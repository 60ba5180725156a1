//! Reading: lines of JSON without escapes, and blocks of `Movies.txt`. What breaks a rule is passed over.

use crate::DAY_MS;
use hashbrown::HashMap;
use memchr::{memchr, memchr_iter};
use std::time::{SystemTime, UNIX_EPOCH};

const USER_MAX: u32 = 1_000_000;
const AGES: std::ops::RangeInclusive<u32> = 18..=95;
/// 2000-01-01.
const AT_MIN: i64 = 10_957 * DAY_MS;
const MAX_FUTURE_MS: i64 = DAY_MS / 24;

#[derive(Clone, Copy)]
pub enum Kind<'a> {
    Registration(Person<'a>),
    SignIn,
    SignOut,
    View,
    Add,
    Checkout,
}

/// What a registration says of a user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person<'a> {
    pub age: u32,
    /// From its `@` on: the rest is masked.
    pub domain: &'a [u8],
    pub language: &'a [u8],
}

/// An event; `item` and `cart` are 0 where it has none.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub at: i64,
    pub kind: Kind<'a>,
    pub user: u32,
    pub item: u32,
    pub cart: u128,
}

/// The events of a file, one a line.
pub fn events(file: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as i64;
    lines(file).filter_map(event).filter(move |event| (AT_MIN..=now + MAX_FUTURE_MS).contains(&event.at))
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut begins = 0;
    memchr_iter(b'\n', file).chain((!file.ends_with(b"\n")).then_some(file.len())).map(move |end| {
        let line = &file[begins..end];
        begins = end + 1;
        line
    })
}

/// The fields that the tables need, as they stand in the line.
#[derive(Default)]
struct Fields<'a> {
    at: &'a [u8],
    name: &'a [u8],
    user: Option<u32>,
    age: Option<u32>,
    item: Option<&'a [u8]>,
    cart: Option<&'a [u8]>,
    payment: Option<&'a [u8]>,
    email: Option<&'a [u8]>,
    language: Option<&'a [u8]>,
}

fn event(line: &[u8]) -> Option<Event<'_>> {
    let fields = fields(line)?;
    let (user, item) = (fields.user.filter(|user| (1..=USER_MAX).contains(user)), fields.item.map(number));
    let (kind, item, cart) = match fields.name {
        b"consumer_registration" => {
            let email = fields.email?;
            let domain = &email[memchr(b'@', email)?..];
            let person = Person { age: fields.age?, domain, language: fields.language? };
            let is_known = matches!(person.language, b"eng" | b"geo" | b"") && AGES.contains(&person.age);
            (is_known.then_some(Kind::Registration(person))?, 0, 0)
        }
        b"sign_in" => (Kind::SignIn, 0, 0),
        b"sign_out" => (Kind::SignOut, 0, 0),
        b"item_view" => (Kind::View, item??, 0),
        b"added_to_cart" => (Kind::Add, item??, uuid(fields.cart?)?),
        b"checkout_to_cart" => {
            let is_known = matches!(fields.payment?, b"Cash" | b"Card");
            (Kind::Checkout, 0, uuid(fields.cart.filter(|_| is_known)?)?)
        }
        _ => return None,
    };
    Some(Event { at: instant(fields.at)?, kind, user: user?, item, cart })
}

/// Walks over `{"key":"text","key":7}`. Nothing else is understood: no blanks, no escapes, nothing nested.
fn fields(line: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Fields::default();
    let mut rest = line.strip_prefix(b"{")?;
    loop {
        let (key, after) = quoted(rest)?;
        rest = after.strip_prefix(b":")?;
        if rest.starts_with(b"\"") {
            let (text, after) = quoted(rest)?;
            match key {
                b"timestamp" => fields.at = text,
                b"event_name" => fields.name = text,
                b"item_id" => fields.item = Some(text),
                b"cart_id" => fields.cart = Some(text),
                b"payment_method" => fields.payment = Some(text),
                b"masked_email" => fields.email = Some(text),
                b"preferred_language" => fields.language = Some(text),
                _ => {}
            }
            rest = after;
        } else {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let value = number(&rest[..digits])?;
            match key {
                b"user_id" => fields.user = Some(value),
                b"age" => fields.age = Some(value),
                _ => {}
            }
            rest = &rest[digits..];
        }
        match rest.split_first()? {
            (b',', after) => rest = after,
            (b'}', []) => return Some(fields),
            _ => return None,
        }
    }
}

fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let end = memchr(b'"', text)?;
    Some((&text[..end], &text[end + 1..]))
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

fn uuid(text: &[u8]) -> Option<u128> {
    let digits = text.iter().filter(|byte| **byte != b'-');
    let value = |value: u128, digit: &u8| Some(value << 4 | u128::from(char::from(*digit).to_digit(16)?));
    (text.len() == 36).then(|| digits.copied().try_fold(0, |sum, digit| value(sum, &digit)))?
}

/// `2026-01-05T00:00:00.000Z` in milliseconds since 1970.
fn instant(text: &[u8]) -> Option<i64> {
    if text.len() != 24 || text[23] != b'Z' {
        return None;
    }
    let part = |from: usize, to: usize| number(&text[from..to]).map(i64::from);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second, ms) = (part(11, 13)?, part(14, 16)?, part(17, 19)?, part(20, 23)?);
    // Days from a civil date, by Howard Hinnant: years begin in March, so that the leap day is their last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms)
}

/// A version of an item: what decides between two of one instant, the greater title first.
type Version<'a> = (&'a [u8], Option<i64>);

/// Prices in cents by item.
pub fn prices(file: &[u8]) -> HashMap<u32, i64> {
    let mut blocks: Vec<(u32, Version<'_>)> = Vec::new();
    let (mut is_item, mut is_priced) = (false, false);
    for line in lines(file) {
        if let Some(head) = line.strip_prefix(b"ITEM ") {
            let item = number(head.trim_ascii());
            (is_item, is_priced) = (item.is_some(), false);
            blocks.extend(item.map(|item| (item, Version::default())));
        } else if let Some((_, (title, price))) = blocks.last_mut().filter(|_| is_item) {
            if let Some(text) = line.strip_prefix(b"Title=") {
                *title = text.trim_ascii();
            } else if let Some(text) = line.strip_prefix(b"ListPrice=") {
                let cents = cents(text.trim_ascii());
                // Two that differ are none.
                *price = if is_priced { price.filter(|price| Some(*price) == cents) } else { cents };
                is_priced = true;
            }
        }
    }
    let mut versions = HashMap::<u32, Version<'_>>::new();
    for (item, version) in blocks {
        versions.entry(item).and_modify(|known| *known = (*known).max(version)).or_insert(version);
    }
    versions.into_iter().filter_map(|(item, (_, cents))| Some((item, cents?))).collect()
}

/// `4999USD$49.99`, in cents, if both say the same and it is something.
fn cents(price: &[u8]) -> Option<i64> {
    let digits = price.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (amount, shown) = (number(&price[..digits])?, price[digits..].strip_prefix(b"USD$")?);
    let plain: Vec<u8> = shown.iter().copied().filter(|byte| !matches!(byte, b',' | b'.')).collect();
    (amount > 0 && number(&plain) == Some(amount)).then_some(i64::from(amount))
}
