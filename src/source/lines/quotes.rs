//! Where a record of separated values ends: a line end in quotes is text. As RFC 4180 has it: a quote opens a text at the
//! beginning of a field alone, and two of them in a text are one.

use super::Break;
use memchr::{memchr, memchr3};

/// How far a record was looked at. It can be looked at in parts: what is known stays known.
#[derive(Clone, Debug, Default)]
pub(super) struct Quotes {
    at: usize,
    inside: Inside,
}

#[derive(Clone, Copy, Debug, Default)]
enum Inside {
    /// At the beginning of a field.
    #[default]
    Nothing,
    /// In a field, where quotes mean nothing.
    Field,
    /// In a text in quotes.
    Text,
    /// Behind a quote in such a text: its end, or the first of two.
    Quote,
}

impl Quotes {
    /// Where the record ends that begins so; what was looked at before has not changed.
    pub(super) fn find(&mut self, separator: u8, line_break: Break, held: &[u8]) -> Option<usize> {
        let other = if line_break == Break::Cr { b'\r' } else { b'\n' };
        // Nearly all records: no quote at all.
        if self.at == 0
            && let Some(end) = memchr::memchr2(b'\n', other, held)
            && memchr(b'"', &held[..end]).is_none()
        {
            return Some(end);
        }
        while let Some(rest) = held.get(self.at..).filter(|rest| !rest.is_empty()) {
            match (self.inside, rest[0]) {
                (Inside::Nothing | Inside::Quote, b'"') => {
                    (self.at, self.inside) = (self.at + 1, Inside::Text);
                }
                (Inside::Nothing | Inside::Quote, _) => self.inside = Inside::Field,
                (Inside::Text, _) => match memchr(b'"', rest) {
                    Some(quote) => (self.at, self.inside) = (self.at + quote + 1, Inside::Quote),
                    None => self.at = held.len(),
                },
                (Inside::Field, _) => match memchr3(separator, b'\n', other, rest) {
                    Some(end) if rest[end] == separator => {
                        (self.at, self.inside) = (self.at + end + 1, Inside::Nothing);
                    }
                    Some(end) => return Some(self.at + end),
                    None => self.at = held.len(),
                },
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same end, however the bytes come.
    fn end(text: &str) -> Option<usize> {
        let whole = Quotes::default().find(b',', Break::Lf, text.as_bytes());
        for step in 1..4 {
            let (mut quotes, mut held) = (Quotes::default(), 0);
            let mut found = None;
            while found.is_none() && held < text.len() {
                held = (held + step).min(text.len());
                found = quotes.find(b',', Break::Lf, &text.as_bytes()[..held]);
            }
            assert_eq!(found, whole, "{text:?} by {step}");
        }
        whole
    }

    #[test]
    fn a_line_end_in_quotes_is_text() {
        for (text, ends) in [
            ("a,b\nc", Some(3)),
            ("\"a\nb\",c\nd", Some(7)),
            ("\"a\"\"\nb\",c\nd", Some(9)),
            // Quotes within a field are nothing but text.
            ("5\" wide,b\nc", Some(9)),
            ("a,\"b\"c\n\"d\"", Some(6)),
            ("\"\"\n", Some(2)),
            ("\"\"\"\n\"\n", Some(5)),
            ("\"a\nb", None),
            ("a,b", None),
            (",\n", Some(1)),
            ("\n", Some(0)),
        ] {
            assert_eq!(end(text), ends, "{text:?}");
        }
    }

    /// Every text of these bytes up to a length has as many records as the crate `csv` finds in it.
    #[test]
    fn records_are_those_of_the_crate() {
        let mut texts = vec![Vec::new()];
        for _ in 1..=8 {
            texts = texts.iter().flat_map(|text| b"\",a\n".map(|byte| [&text[..], &[byte]].concat())).collect();
            for text in &texts {
                let (mut ours, mut rest) = (0, &text[..]);
                while !rest.is_empty() {
                    let end = Quotes::default().find(b',', Break::Lf, rest).unwrap_or(rest.len());
                    // The crate passes over empty lines.
                    ours += usize::from(end > 0);
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
                let terminator = ::csv::Terminator::Any(b'\n');
                let mut reader = ::csv::ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .terminator(terminator)
                    .from_reader(&text[..]);
                assert_eq!(ours, reader.byte_records().count(), "{:?}", String::from_utf8_lossy(text));
            }
        }
    }
}
