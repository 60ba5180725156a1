//! A token for OAUTHBEARER, and how long it is good.

use serde::Deserialize;

/// For how long a token is taken to be good that does not say, and at the most: it is fetched again before that.
const LIFE_MAX_MS: i64 = 5 * 60_000;

/// Until when a token is used, in milliseconds since 1970: as it says of itself (`exp` of a JSON Web Token), and for
/// five minutes at the most.
pub(super) fn good_until_ms(token: &str, now_ms: i64) -> i64 {
    let latest = now_ms + LIFE_MAX_MS;
    expires_ms(token).map_or(latest, |expires| expires.min(latest))
}

fn expires_ms(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let payload = token.split('.').nth(1)?;
    let Claims { exp } = serde_json::from_slice(&unpadded(payload)?).ok()?;
    Some((exp * 1_000.0) as i64)
}

/// Base64 of the alphabet for URLs, without its padding.
fn unpadded(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_as_long_as_it_says() {
        use base64::Engine as _;
        let token = |claims: &str| {
            let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            format!("{}.{}.", part(r#"{"alg":"none"}"#), part(claims))
        };
        let now = 1_767_571_200_000;
        assert_eq!(good_until_ms(&token(r#"{"sub":"shop","exp":1767571260}"#), now), now + 60_000);
        assert_eq!(good_until_ms(&token(r#"{"exp":1767571260.5}"#), now), now + 60_500);
        assert_eq!(good_until_ms(&token(r#"{"exp":1999999999}"#), now), now + LIFE_MAX_MS, "it is read again");
        for opaque in ["an opaque token", "a.b.c", &token("{}"), &token("no JSON"), ""] {
            assert_eq!(good_until_ms(opaque, now), now + LIFE_MAX_MS, "{opaque}");
        }
    }
}
