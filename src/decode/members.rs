//! Where in JSON the values of a field stand: at any depth, as often as it stands there, and in what is no JSON any
//! more, as far as it goes.

use std::borrow::Cow;
use std::ops::Range;

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A text: what lies between its quotes.
    Text(Range<usize>),
    /// A number, a word, or what begins an object or a list.
    Bare(Range<usize>),
}

/// The values of fields whose name is asked for.
pub fn values_of(json: &[u8], named: impl Fn(&str) -> bool) -> Vec<Member> {
    let mut found = Vec::new();
    let (mut at, mut is_value) = (0, false);
    while let Some(open) = memchr::memchr(b'"', &json[at..]) {
        let text = at + open + 1..end_of_text(json, at + open + 1);
        // Between the name and the text stands nothing but white space and a colon.
        if is_value && json[at..text.start - 1].trim_ascii() == b":" {
            found.push(Member::Text(text.clone()));
            is_value = false;
        } else {
            if is_value {
                found.extend(bare(json, at));
            }
            is_value = named(&unescaped(&json[text.clone()]));
        }
        at = (text.end + 1).min(json.len());
    }
    if is_value {
        found.extend(bare(json, at));
    }
    found
}

/// What stands behind a name, and a colon.
fn bare(json: &[u8], from: usize) -> Option<Member> {
    let white = |at: &usize| json.get(*at).is_some_and(u8::is_ascii_whitespace);
    let behind_white = |from: usize| (from..=json.len()).find(|at| !white(at)).unwrap_or(json.len());
    let colon = behind_white(from);
    let start = behind_white((json.get(colon) == Some(&b':')).then_some(colon + 1)?);
    let ends = |at: &usize| json.get(*at).is_none_or(|byte| byte.is_ascii_whitespace() || b",]}\"".contains(byte));
    let end = (start..=json.len()).find(ends).unwrap_or(json.len());
    (start < end).then_some(Member::Bare(start..end))
}

fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|byte| *byte != b'"') {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at.min(json.len())
}

fn unescaped(name: &[u8]) -> Cow<'_, str> {
    let plain = || String::from_utf8_lossy(name);
    if !name.contains(&b'\\') {
        return plain();
    }
    let quoted = [b"\"", name, b"\""].concat();
    serde_json::from_slice(&quoted).map_or_else(|_| plain(), Cow::Owned)
}
