//! No e-mail address is stored.
//!
//! Where a record can be decoded we know where its address lies, and overwrite just its local part,
//! in place: the length stays, so what could be decoded before can be decoded after. In text, and
//! where a record cannot be decoded, whatever else looks like an address is overwritten too; losing
//! a byte too many is the lesser evil.

use std::borrow::Cow;
use std::ops::Range;

/// The address as it may be stored: `****@domain`. Tells whether it came in clear.
pub fn masked_email(email: Cow<'_, str>) -> (String, bool) {
    match email.rsplit_once('@') {
        Some((local, _)) if is_masked(local.as_bytes()) => (email.into_owned(), false),
        Some((_, domain)) => (format!("****@{domain}"), true),
        None if is_masked(email.as_bytes()) => (email.into_owned(), false),
        None => ("****".to_owned(), true),
    }
}

fn is_masked(local: &[u8]) -> bool {
    local.iter().all(|byte| *byte == b'*')
}

/// Where in its payload a text lies that was borrowed from it; nothing if it was written differently there.
pub fn span_in(payload: &[u8], text: &str) -> Option<Range<usize>> {
    let start = (text.as_ptr() as usize).checked_sub(payload.as_ptr() as usize)?;
    let span = start..start.checked_add(text.len())?;
    (payload.get(span.clone())? == text.as_bytes()).then_some(span)
}

/// Overwrites the local part of the address at `span`, or everything there if it is no address.
fn mask_span(payload: &mut [u8], span: Range<usize>) {
    let field = &mut payload[span];
    let end = field.iter().rposition(|byte| *byte == b'@').unwrap_or(field.len());
    field[..end].fill(b'*');
}

/// A record as it may be stored: the address where it is known to lie, and in text whatever else
/// looks like one. (Other fields of our binary records hold none.)
pub fn masked_record(payload: &[u8], email: Option<Range<usize>>) -> Vec<u8> {
    let Some(span) = email else { return masked_bytes(payload) };
    let mut masked = payload.to_vec();
    mask_span(&mut masked, span);
    masked_if_text(&masked)
}

/// A record that was decoded, with whatever looks like an address overwritten if it is text.
pub fn masked_if_text(payload: &[u8]) -> Vec<u8> {
    if is_json(payload) { masked_bytes(payload) } else { payload.to_vec() }
}

fn is_json(payload: &[u8]) -> bool {
    payload.trim_ascii_start().first() == Some(&b'{')
}

/// No address is longer; looking further back would make a line of `@` a day's work.
const ADDRESS_BYTES_MAX: usize = 320;

/// Bytes that may be anything, with whatever stands before an `@` overwritten: back to where a
/// quotation begins, or a space or a byte that is no text.
pub fn masked_bytes(bytes: &[u8]) -> Vec<u8> {
    const ESCAPED_AT: &[u8] = b"\\u0040";
    let mut masked = bytes.to_vec();
    let json = is_json(bytes);
    for at in 0..bytes.len() {
        if bytes[at] != b'@' && !bytes[at..].starts_with(ESCAPED_AT) {
            continue;
        }
        // In a binary record the byte before a masked address is its length: let it be.
        if (at > 0 && bytes[at - 1] == b'@') || (!json && bytes[..at].ends_with(b"****")) {
            continue;
        }
        let first = at.saturating_sub(ADDRESS_BYTES_MAX);
        // In a quotation an address may hold escaped quotes and spaces.
        let quoted = (first.max(1)..at).rev().find(|quote| bytes[*quote] == b'"' && bytes[*quote - 1] != b'\\');
        let start = match quoted.filter(|quote| bytes[*quote - 1] == b':' || bytes[*quote - 1] == b' ') {
            Some(quote) => quote + 1,
            None => (first..at)
                .rev()
                .find(|byte| bytes[*byte] <= b' ' || bytes[*byte] == 0x7F)
                .map_or(first, |byte| byte + 1),
        };
        masked[start..at].fill(b'*');
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_and_masked_ones_stay() {
        assert_eq!(masked_email("****@mail.ge".into()), ("****@mail.ge".to_owned(), false));
        assert_eq!(masked_email("a.b@mail.ge".into()), ("****@mail.ge".to_owned(), true));
        assert_eq!(masked_email("nobody".into()), ("****".to_owned(), true));
        for (bytes, masked) in [
            (&br#"{"masked_email":"a.b@mail.ge"}"#[..], &br#"{"masked_email":"***@mail.ge"}"#[..]),
            (br#"{"masked_email": "****@mail.ge"}"#, br#"{"masked_email": "****@mail.ge"}"#),
            (br#"{"e":"john.doe\u0040mail.ge"#, br#"{"e":"********\u0040mail.ge"#),
            (br#"{"e":"\"john doe\"@mail.ge"#, br#"{"e":"************@mail.ge"#),
            (b"\x02\x18$****@mail.ge", b"\x02\x18$****@mail.ge"),
            ("{ иван@mail.ge".as_bytes(), b"{ ********@mail.ge"),
            (br#"{"e":"john*@mail.ge""#, br#"{"e":"*****@mail.ge""#),
            (b"@", b"@"),
            (b"a@@b@c", b"****@c"),
        ] {
            assert_eq!(String::from_utf8_lossy(&masked_bytes(bytes)), String::from_utf8_lossy(masked));
        }
    }

    #[test]
    fn a_known_address_is_masked_and_nothing_else() {
        let mut payload = b"7some@mail.gex@y".to_vec();
        let text = std::str::from_utf8(&payload[1..13]).expect("text").to_owned();
        assert_eq!(span_in(&payload, &text), None, "text of its own");
        let span = span_in(&payload, std::str::from_utf8(&payload[1..13]).expect("text"));
        mask_span(&mut payload, span.expect("borrowed"));
        assert_eq!(payload, b"7****@mail.gex@y");
    }
}
