//! One character of a text, however it is written: as it is, or escaped as JSON, URLs, quoted-printable or HTML
//! escape it, and that once more inside another of these.

/// A text by its code units: bytes, or those of UTF-16.
pub trait Units {
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them.
    fn unit(&self, at: usize) -> u32;
    /// A character that is not ASCII but stands for one, `＠` or `．`, and how many units it takes.
    fn stands_for(&self, at: usize) -> Option<(char, usize)>;
    /// Whether a unit goes on with the character of the one before.
    fn goes_on(&self, at: usize) -> bool;
}

/// Bytes: UTF-8, or whatever else ASCII is a part of.
pub struct Bytes<'a>(pub &'a [u8]);

impl Units for Bytes<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn unit(&self, at: usize) -> u32 {
        self.0[at].into()
    }

    fn stands_for(&self, at: usize) -> Option<(char, usize)> {
        let sign = match self.0.get(at..at + 3)? {
            b"\xEF\xBC\xA0" | b"\xEF\xB9\xAB" => '@',
            b"\xEF\xBC\x8E" | b"\xE3\x80\x82" | b"\xEF\xBD\xA1" => '.',
            _ => return None,
        };
        Some((sign, 3))
    }

    fn goes_on(&self, at: usize) -> bool {
        self.0[at] & 0xC0 == 0x80
    }
}

/// Two bytes to a unit, from an offset on.
pub struct Wide<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// The first byte of the first unit.
    pub from: usize,
    /// Whether the higher byte stands first.
    pub big_endian: bool,
}

impl Units for Wide<'_> {
    fn count(&self) -> usize {
        (self.bytes.len() - self.from) / 2
    }

    fn unit(&self, at: usize) -> u32 {
        let pair = [self.bytes[self.from + 2 * at], self.bytes[self.from + 2 * at + 1]];
        if self.big_endian { u16::from_be_bytes(pair).into() } else { u16::from_le_bytes(pair).into() }
    }

    fn stands_for(&self, at: usize) -> Option<(char, usize)> {
        let sign = match self.unit(at) {
            0xFF20 | 0xFE6B => '@',
            0xFF0E | 0x3002 | 0xFF61 => '.',
            _ => return None,
        };
        Some((sign, 1))
    }

    fn goes_on(&self, at: usize) -> bool {
        (0xDC00..0xE000).contains(&self.unit(at))
    }
}

/// Stands for every character that is not ASCII: of these it matters only that they are there.
pub const LETTER: char = 'é';

/// A character, and where the next begins.
type Sign = (char, usize);

/// The character at a place as it is.
fn plain(units: &impl Units, at: usize) -> Option<Sign> {
    if at >= units.count() {
        return None;
    }
    match units.unit(at) {
        unit @ 0..0x80 => Some((char::from(unit as u8), at + 1)),
        // C1: no more a letter than C0.
        unit @ 0x80..0xA0 if !units.goes_on(at) => Some((char::from(unit as u8), at + 1)),
        _ => Some(units.stands_for(at).map_or((LETTER, at + 1), |(sign, length)| (sign, at + length))),
    }
}

/// The character that an escape stands for, if one begins at a place.
fn escape(read: &dyn Fn(usize) -> Option<Sign>, at: usize) -> Option<Sign> {
    let hex = |mut at: usize, digits: usize| {
        let mut value = 0;
        for _ in 0..digits {
            let (digit, next) = read(at)?;
            (value, at) = (value * 16 + digit.to_digit(16)?, next);
        }
        Some((char::from_u32(value)?, at))
    };
    let (first, next) = read(at)?;
    match first {
        '\\' => match read(next)? {
            ('u' | 'U', next) => hex(next, 4),
            ('x', next) => hex(next, 2),
            escaped @ ('\\', _) => Some(escaped),
            _ => None,
        },
        '%' | '=' => hex(next, 2),
        '&' => entity(read, next),
        _ => None,
    }
    .map(|(sign, next)| (ascii(sign), next))
}

/// What stands for a character of ASCII becomes it, and everything else a letter.
fn ascii(sign: char) -> char {
    match sign {
        '\u{FF20}' | '\u{FE6B}' => '@',
        '\u{FF0E}' | '\u{3002}' | '\u{FF61}' => '.',
        '\0'..'\u{A0}' => sign,
        _ => LETTER,
    }
}

/// HTML's, behind the `&`.
fn entity(read: &dyn Fn(usize) -> Option<Sign>, at: usize) -> Option<Sign> {
    /// No name that matters is longer, nor any number.
    const LONGEST: usize = 8;
    let (mut name, mut next) = (String::new(), at);
    while let Some((sign, after)) = read(next).filter(|(sign, _)| sign.is_ascii_alphanumeric() || *sign == '#') {
        if name.len() == LONGEST {
            return None;
        }
        name.push(sign);
        next = after;
    }
    let ended = read(next).filter(|(sign, _)| *sign == ';').map(|(_, after)| after);
    if let Some(number) = name.strip_prefix('#') {
        // Browsers read numbers that nothing ends, too.
        let value = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return Some((char::from_u32(value.ok()?)?, ended.unwrap_or(next)));
    }
    let sign = match name.as_str() {
        "commat" => '@',
        "period" => '.',
        "hyphen" | "dash" => '-',
        "lowbar" => '_',
        "plus" => '+',
        "amp" => '&',
        "num" => '#',
        "percnt" => '%',
        "equals" => '=',
        "bsol" => '\\',
        "semi" => ';',
        _ => return None,
    };
    Some((sign, ended?))
}

/// Whether an escape may begin so.
fn begins_escape(sign: char) -> bool {
    matches!(sign, '\\' | '%' | '=' | '&')
}

/// The character at a place, its escapes undone up to twice; where an escape undone once gives what looks for, twice
/// is not tried.
pub fn read(units: &impl Units, at: usize, wanted: impl Fn(char) -> bool) -> Option<Sign> {
    let first = plain(units, at)?;
    if !begins_escape(first.0) {
        return Some(first);
    }
    let once = |at: usize| escape(&|at| plain(units, at), at);
    let wanted = |found: &Sign| wanted(found.0);
    once(at)
        .filter(wanted)
        .or_else(|| escape(&|at| once(at).or_else(|| plain(units, at)), at).filter(wanted))
        .or(Some(first))
}

/// The character that ends before a place, an escape undone once, and where it begins. A backslash goes with what
/// it escapes. An escape of what `ends` a text is none where it may as well be text: `=12` in `id=12`, or if `first`,
/// right before what the text belongs to.
pub fn read_back(units: &impl Units, end: usize, first: bool, ends: impl Fn(char) -> bool) -> Option<(char, usize)> {
    /// `&commat;`
    const LONGEST: usize = 8;
    let mut at = end.checked_sub(1)?;
    let last = plain(units, at)?.0;
    if last == ';' || last.is_ascii_hexdigit() {
        let begins = |back: usize| {
            let at = end.checked_sub(back)?;
            let begin = plain(units, at)?.0;
            let read = || escape(&|at| plain(units, at), at).filter(|(_, next)| *next == end);
            let (sign, _) = begins_escape(begin).then(read).flatten()?;
            // Quoted-printable writes letters and digits as they are.
            let is_text = begin == '=' && (ends(sign) || sign.is_ascii_alphanumeric());
            (!(is_text || first && ends(sign))).then_some((sign, at))
        };
        if let Some(escaped) = (3..=LONGEST).find_map(begins) {
            return Some(escaped);
        }
    }
    while units.goes_on(at) && at > 0 {
        at -= 1;
    }
    let (sign, _) = plain(units, at)?;
    let slashed = at.checked_sub(1).filter(|before| plain(units, *before).is_some_and(|(sign, _)| sign == '\\'));
    match slashed {
        Some(before) if sign.is_ascii_lowercase() => Some((LETTER, before)),
        _ => Some((sign, at)),
    }
}
