//! No e-mail address is stored.

use std::borrow::Cow;

/// The address as it may be stored: `****@domain`. Tells whether it came in clear.
pub fn masked_email(email: Cow<'_, str>) -> (String, bool) {
    match email.rsplit_once('@') {
        Some((local, _)) if local.bytes().all(|byte| byte == b'*') => (email.into_owned(), false),
        Some((_, domain)) => (format!("****@{domain}"), true),
        None if email.bytes().all(|byte| byte == b'*') => (email.into_owned(), false),
        None => ("****".to_owned(), true),
    }
}

/// Bytes as they came, with the local part of every e-mail address overwritten by `*`. The length
/// stays, so that what could be decoded before can be decoded after.
pub fn masked_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut masked = bytes.to_vec();
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte) || byte >= 0x80;
    for at in (0..bytes.len()).filter(|at| bytes[*at] == b'@') {
        masked[..at].iter_mut().rev().take_while(|byte| local(**byte)).for_each(|byte| *byte = b'*');
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
        assert_eq!(masked_bytes(br#"{"masked_email":"a.b@mail.ge"}"#), br#"{"masked_email":"***@mail.ge"}"#);
        assert_eq!(masked_bytes(b"@"), b"@");
    }
}
