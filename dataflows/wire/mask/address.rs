//! Where in a text the local parts of e-mail addresses stand. One pass: what is looked at for one `@` is bounded.

use super::signs::{Units, read, read_back};
use std::ops::Range;

/// No local part has more characters.
const LOCAL_MAX: usize = 64;
/// No name of a host has more.
const DOMAIN_MAX: usize = 255;

/// The local parts, in units, without those that are masked already.
pub fn local_parts(units: &impl Units) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < units.count() {
        let next = at_sign(units, at);
        if let Some(local) = next.filter(|next| domain(units, *next).is_some()).and_then(|_| local(units, at))
            && local.clone().any(|at| units.unit(at) != u32::from(b'*'))
        {
            found.push(local);
        }
        at = next.unwrap_or(at + 1);
    }
    found
}

/// Whether no byte of a text could begin what stands for an `@`, nor is 0. All are looked at, without a branch for each: of
/// short texts that is faster than to look for the first.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let is_other = |byte: u8| matches!(byte, 0 | 0x40 | 0x25 | 0x26 | 0x3D | 0x5C) | (byte >= 0x80);
    !text.iter().fold(false, |any, byte| any | is_other(*byte))
}

/// Where what follows an `@` begins, if there is one at a place.
fn at_sign(units: &impl Units, at: usize) -> Option<usize> {
    // Whatever writes one begins with one of these.
    match units.unit(at) {
        0x40 | 0x25 | 0x26 | 0x3D | 0x5C => {}
        unit if unit >= 0x80 && units.stands_for(at).is_some() => {}
        _ => return None,
    }
    read(units, at, |sign| sign == '@').filter(|(sign, _)| *sign == '@').map(|(_, next)| next)
}

/// Where a domain ends that begins at a place: two labels or more, one behind the first of two letters or more.
fn domain(units: &impl Units, from: usize) -> Option<usize> {
    let is_of_label = |sign: char| sign.is_alphanumeric() || sign == '-' || sign == '_';
    let of_domain = |sign: char| is_of_label(sign) || sign == '.';
    let (mut at, mut labels, mut label) = (from, 0, String::new());
    for _ in 0..DOMAIN_MAX {
        let sign = read(units, at, of_domain).filter(|(sign, _)| of_domain(*sign));
        match sign {
            Some(('.', _)) | None if label.is_empty() => return None,
            Some(('.', _)) | None if labels > 0 && is_top(&label) => return Some(at),
            Some(('.', next)) => {
                labels += 1;
                label.clear();
                at = next;
            }
            Some((sign, next)) => {
                label.push(sign);
                at = next;
            }
            None => return None,
        }
    }
    None
}

/// Whether a label may be the last: two letters or more, and no digit behind them.
fn is_top(label: &str) -> bool {
    let behind = label.trim_start_matches(char::is_alphabetic);
    let letters = label[..label.len() - behind.len()].chars().count();
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
        || (letters >= 2 && !behind.starts_with(char::is_numeric))
}

/// What stands before an `@`, if anything does.
fn local(units: &impl Units, at: usize) -> Option<Range<usize>> {
    let ends = |sign: char| {
        sign.is_whitespace()
            || sign.is_control()
            || matches!(
                sign,
                '"' | '\'' | '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | ':' | '=' | '&' | '?' | '/' | '|'
            )
    };
    if let Some(quoted) = quoted(units, at) {
        return Some(quoted);
    }
    let mut start = at;
    for _ in 0..LOCAL_MAX {
        match read_back(units, start, start == at, ends) {
            Some((sign, before)) if !ends(sign) => start = before,
            _ => break,
        }
    }
    (start < at).then_some(start..at)
}

/// What stands between the quotes of a local part that has them: its own stay.
fn quoted(units: &impl Units, at: usize) -> Option<Range<usize>> {
    const QUOTE: u32 = 0x22;
    const BACKSLASH: u32 = 0x5C;
    let is = |at: usize, unit: u32| units.unit(at) == unit;
    let closing = at.checked_sub(1).filter(|closing| is(*closing, QUOTE))?;
    let slashed = |quote: usize| quote > 0 && is(quote - 1, BACKSLASH);
    let end = if slashed(closing) { closing - 1 } else { closing };
    let first = end.saturating_sub(4 * LOCAL_MAX);
    let opening = (first..end).rev().find(|quote| is(*quote, QUOTE) && (slashed(closing) || !slashed(*quote)))?;
    (opening + 1 < end).then_some(opening + 1..end)
}

/// Whether the whole of a text is a domain.
pub fn is_domain(text: &str) -> bool {
    let mut labels = text.split('.').rev();
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|sign| sign.is_alphanumeric() || sign == '-' || sign == '_')
    };
    let top = labels.next().unwrap_or_default();
    let is_last = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic) || top.starts_with("xn--");
    text.len() <= DOMAIN_MAX && is_label(top) && is_last && text.contains('.') && labels.all(is_label)
}
