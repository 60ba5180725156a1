//! No e-mail address is stored: of each the local part becomes `*`, its length kept. One scan finds them in all
//! text that is stored, however they are written (`signs`); what an address is says `address`.

mod address;
pub mod signs;

pub use address::{is_domain, local_parts};
use signs::Bytes;
use std::borrow::Cow;
use std::ops::Range;

/// Whether no address can be in a text, nor U+0000, as a look at its bytes tells: nearly all texts.
pub fn is_plain(text: &str) -> bool {
    are_plain(text.as_bytes())
}

/// The same of bytes: those that are so are text, and so is each part of them.
pub fn are_plain(bytes: &[u8]) -> bool {
    address::is_plain(bytes)
}

/// A text as it may be stored, if that is another.
pub fn text(text: &str) -> Option<String> {
    if is_plain(text) {
        return None;
    }
    let locals = local_parts(&Bytes(text.as_bytes()));
    if locals.is_empty() {
        return None;
    }
    let mut masked = text.as_bytes().to_vec();
    fill(&mut masked, locals);
    // Characters are overwritten whole.
    Some(String::from_utf8_lossy(&masked).into_owned())
}

/// Masks a text where it is, and tells whether there was anything to mask.
pub fn in_place(text: &mut String) -> bool {
    self::text(text).map(|masked| *text = masked).is_some()
}

/// A text that should hold an address and nothing else, as it may be stored: `****@domain`, or `****` if what stands
/// behind the last `@` is not a domain. Tells whether it came in clear.
pub fn field(email: Cow<'_, str>) -> (String, bool) {
    let is_masked = |local: &str| local.bytes().all(|byte| byte == b'*');
    match email.rsplit_once('@') {
        Some((local, domain)) if is_domain(domain) => {
            if is_masked(local) {
                (email.into_owned(), false)
            } else {
                (format!("****@{domain}"), true)
            }
        }
        Some((local, _)) => ("****".to_owned(), !is_masked(local)),
        None if is_masked(&email) => (email.into_owned(), false),
        None => ("****".to_owned(), true),
    }
}

/// Overwrites what lies there.
pub fn fill(bytes: &mut [u8], locals: Vec<Range<usize>>) {
    for local in locals {
        bytes[local].fill(b'*');
    }
}
