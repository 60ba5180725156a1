//! Reading: lines of CSV without quotes, in the order of columns that the generator writes. What breaks a rule is passed
//! over, and so is what is repeated.

use crate::{DAY_MS, HOUR_MS};
use hashbrown::{HashMap, HashSet};
use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{Read, Result};
use std::time::{SystemTime, UNIX_EPOCH};

const HEADER: &[u8] = b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session";
/// 2000-01-01.
const AT_MIN: i64 = 10_957 * DAY_MS;
const BLOCK: usize = 1 << 20;
const PRICE_MAX: i64 = 100_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    View,
    Cart,
    Remove,
    Purchase,
}

/// An event. Texts are numbers of [`Texts`].
pub struct Event {
    pub at: i64,
    pub kind: Kind,
    pub product: u64,
    pub category_id: Option<i64>,
    pub category: u32,
    pub brand: u32,
    pub cents: i64,
    pub user: u64,
    pub session: u128,
}

/// Texts that are few, each with a number.
#[derive(Default)]
pub struct Texts {
    numbers: HashMap<Box<[u8]>, u32>,
}

impl Texts {
    fn number(&mut self, text: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(text.into(), number);
        number
    }
}

/// Of the hour of events that is not over, what was there.
type Panes = HashMap<i64, HashSet<u128>>;

pub struct Reader {
    file: File,
    categories: Texts,
    brands: Texts,
    days: HashMap<[u8; 10], i64>,
    met: Panes,
    latest: i64,
}

impl Reader {
    pub fn open(path: &str) -> Result<Reader> {
        Ok(Reader {
            file: File::open(path)?,
            categories: Texts::default(),
            brands: Texts::default(),
            days: HashMap::new(),
            met: Panes::new(),
            latest: now() + HOUR_MS,
        })
    }

    /// Each event that is `in_time`, once.
    pub fn events(&mut self, mut in_time: impl FnMut(&Event) -> bool, mut each: impl FnMut(&Event)) -> Result<()> {
        let mut block = vec![0; BLOCK];
        let (mut begun, mut is_first) = (0, true);
        loop {
            let read = self.file.read(&mut block[begun..])?;
            let filled = begun + read;
            if read == 0 && begun > 0 {
                block[begun] = b'\n';
            }
            let end = memrchr(b'\n', &block[..filled + usize::from(read == 0 && begun > 0)]).map_or(0, |end| end + 1);
            let mut rest = &block[..end];
            while let Some(length) = memchr(b'\n', rest) {
                let (line, behind) = (&rest[..length], &rest[length + 1..]);
                rest = behind;
                if std::mem::take(&mut is_first) {
                    assert!(line == HEADER, "the file has another header than scripts/bench-store writes");
                } else if let Some(event) = self.event(line).filter(&mut in_time)
                    && self.is_new(&event)
                {
                    each(&event);
                }
            }
            if read == 0 {
                return Ok(());
            }
            block.copy_within(end..filled, 0);
            begun = filled - end;
            assert!(begun < block.len() - 1, "a line is longer than a megabyte");
        }
    }

    /// Whether no event was there that is equal in all columns.
    fn is_new(&mut self, event: &Event) -> bool {
        let Event { at, kind, product, category_id, category, brand, cents, user, session } = event;
        let category_id = category_id.unwrap_or(i64::MIN);
        let words = [
            *at as u64,
            *kind as u64 | u64::from(*category) << 8,
            *product,
            category_id as u64,
            u64::from(*brand),
            *cents as u64,
            *user,
            *session as u64,
            (*session >> 64) as u64,
        ];
        let pane = at.div_euclid(HOUR_MS);
        if !self.met.contains_key(&pane) {
            // Those that are six hours older are over.
            self.met.retain(|other, _| *other > pane - 6);
        }
        self.met.entry(pane).or_default().insert(print(&words))
    }

    fn event(&mut self, line: &[u8]) -> Option<Event> {
        let mut rest = line;
        let mut field = || {
            let length = memchr(b',', rest)?;
            let (field, behind) = (&rest[..length], &rest[length + 1..]);
            rest = behind;
            Some(field)
        };
        let (at, kind, product, category_id) = (field()?, field()?, field()?, field()?);
        let (category, brand, price, user) = (field()?, field()?, field()?, field()?);
        let kind = match kind {
            b"view" => Kind::View,
            b"cart" => Kind::Cart,
            b"remove_from_cart" => Kind::Remove,
            b"purchase" => Kind::Purchase,
            _ => return None,
        };
        let at = self.instant(at)?;
        let category_id = if category_id.is_empty() { None } else { Some(number(category_id)? as i64) };
        let or_unknown = |text| if <[u8]>::is_empty(text) { b"unknown" } else { text };
        let event = Event {
            at,
            kind,
            product: number(product).filter(|product| *product > 0)?,
            category_id,
            category: self.categories.number(or_unknown(category)),
            brand: self.brands.number(or_unknown(brand)),
            cents: cents(price)?,
            user: number(user).filter(|user| *user > 0)?,
            session: session(rest)?,
        };
        (AT_MIN..=self.latest).contains(&at).then_some(event)
    }

    /// `2026-01-05 00:00:03 UTC` in milliseconds since 1970.
    fn instant(&mut self, text: &[u8]) -> Option<i64> {
        let (day, time) = text.split_first_chunk::<10>()?;
        let [b' ', h1, h2, b':', m1, m2, b':', s1, s2, b' ', b'U', b'T', b'C'] = time else { return None };
        let two = |a: &u8, b: &u8| number(&[*a, *b]).map(|number| number as i64);
        let day = match self.days.get(day) {
            Some(day) => *day,
            None => {
                let number = |from: usize, to: usize| number(&day[from..to]).map(|number| number as i64);
                let ms = first_of(number(0, 4)?, number(5, 7)?, number(8, 10)?) * DAY_MS;
                self.days.insert(*day, ms);
                ms
            }
        };
        Some(day + ((two(h1, h2)? * 60 + two(m1, m2)?) * 60 + two(s1, s2)?) * 1000)
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as i64
}

/// Days since 1970 of a civil date, by Howard Hinnant: years begin in March, so that the leap day is their last.
fn first_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0, |number: u64, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

/// `-12.50` in cents.
fn cents(text: &[u8]) -> Option<i64> {
    let (is_refund, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
    let cents = match text {
        [whole @ .., b'.', a, b] => number(whole)? * 100 + number(&[*a, *b])?,
        [whole @ .., b'.', a] => number(whole)? * 100 + number(&[*a, b'0'])?,
        whole => number(whole)? * 100,
    };
    let cents = i64::try_from(cents).ok().filter(|cents| *cents <= PRICE_MAX)?;
    Some(if is_refund { -cents } else { cents })
}

/// What a digit of base 16 is worth, or more than that.
const DIGITS: [u8; 256] = {
    let (mut digits, mut n) = ([255; 256], 0);
    while n < 16 {
        digits[b"0123456789abcdef"[n] as usize] = n as u8;
        n += 1;
    }
    digits
};

/// A session's id, if it is a UUID in small letters; 0 if it has none.
fn session(text: &[u8]) -> Option<u128> {
    if text.is_empty() {
        return Some(0);
    }
    let parts: &[u8; 36] = text.try_into().ok()?;
    let (mut value, mut wrong) = (0_u128, 0);
    for (from, to) in [(0, 8), (9, 13), (14, 18), (19, 23), (24, 36)] {
        let mut word = 0_u64;
        for digit in &parts[from..to] {
            let digit = DIGITS[usize::from(*digit)];
            wrong |= digit;
            word = word << 4 | u64::from(digit & 15);
        }
        value = value << (4 * (to - from)) | u128::from(word);
    }
    let has_dashes = [8, 13, 18, 23].iter().all(|at| parts[*at] == b'-');
    (has_dashes && wrong < 16).then_some(value)
}

/// 128 bits that stand for an event.
fn print(words: &[u64]) -> u128 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |seed: u64| {
        words.iter().fold(seed, |state, word| {
            let product = u128::from(state ^ word) * u128::from(ODD);
            (product >> 64) as u64 ^ product as u64 ^ state.rotate_left(23)
        })
    };
    u128::from(fold(0x517c_c1b7_2722_0a95)) << 64 | u128::from(fold(0x2545_f491_4f6c_dd1d))
}
