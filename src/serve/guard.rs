//! Who is answered.
//!
//! - Only requests that read: GET and HEAD, without a body to speak of.
//! - Only under a name of ours. A page from elsewhere can have its own name point to this machine and then read what a
//!   browser reads here (DNS rebinding); but the browser says under which name it comes. A number is no such name.
//! - Where a token is set, only who has it: `Authorization: Bearer TOKEN`, or as the password of `Basic`, which browsers ask
//!   for. Whether a server lives, and is ready, is said without.

use super::Served;
use super::answer::Refusal;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A request's body has no more bytes: nobody reads it.
const BODY_MAX: u64 = 64 << 10;

/// What is said without a token.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Lets a request through, or answers why not.
pub(super) async fn check(State(served): State<Arc<Served>>, request: Request, next: Next) -> Response {
    let mut response = match checked(&served, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn checked(served: &Served, request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| request.uri().host());
    if !host.is_some_and(|host| is_ours(host, &served.config.serve.hosts)) {
        let why = "this server is asked under `localhost`, by a number, or under a name of the setting `serve.hosts`";
        return Err(Refusal::new(StatusCode::FORBIDDEN, why));
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this server is only read: GET or HEAD"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_MAX) || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body"));
    }
    let is_open = OPEN.contains(&request.uri().path());
    match &served.token {
        Some(token) if !is_open && !carries(headers, token) => {
            let why = "a token is needed: `Authorization: Bearer TOKEN`, or TOKEN as the password of any user";
            Err(Refusal::new(StatusCode::UNAUTHORIZED, why))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a host is one by whose name we may be asked.
fn is_ours(host: &str, named: &[String]) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (without_port, port) = bare.unwrap_or_else(|| host.split_at(host.find(':').unwrap_or(host.len())));
    // Behind the name there is a port, or nothing.
    if !port.is_empty() && port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_err()) {
        return false;
    }
    if bare.is_some() {
        return without_port.parse::<Ipv6Addr>().is_ok();
    }
    without_port.parse::<IpAddr>().is_ok()
        || without_port.eq_ignore_ascii_case("localhost")
        || named.iter().any(|name| name.eq_ignore_ascii_case(without_port))
}

/// Whether a request carries the token.
fn carries(headers: &HeaderMap, token: &str) -> bool {
    let Some(said) = headers.get(header::AUTHORIZATION).and_then(|said| said.to_str().ok()) else { return false };
    let Some((scheme, rest)) = said.split_once(' ') else { return false };
    if scheme.eq_ignore_ascii_case("bearer") {
        return is_equal(rest.trim().as_bytes(), token.as_bytes());
    }
    let Some(decoded) = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic")) else {
        return false;
    };
    let password = decoded.iter().position(|byte| *byte == b':').map_or(&[][..], |at| &decoded[at + 1..]);
    is_equal(password, token.as_bytes())
}

/// Whether two texts are equal, in a time that does not tell where they differ.
fn is_equal(said: &[u8], token: &[u8]) -> bool {
    let at = |place: usize| said.get(place).copied().unwrap_or_default();
    let differs = token.iter().enumerate().fold(0, |differs, (place, byte)| black_box(differs | (byte ^ at(place))));
    black_box(differs) == 0 && said.len() == token.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_others_is_refused() {
        let named = ["deltamart".to_owned(), "mart.example".to_owned()];
        for host in
            ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7", "deltamart:80", "Mart.example"]
        {
            assert!(is_ours(host, &named), "{host}");
        }
        for host in [
            "",
            ":",
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.evil.example",
            "[evil]",
            "[::1",
            "1",
            "[localhost]",
            "[::1]evil.example",
            "localhost:evil.example",
            "localhost:",
            "127.0.0.1:80:80",
        ] {
            assert!(!is_ours(host, &named), "{host}");
        }
    }

    #[test]
    fn a_token_is_carried_as_it_is() {
        let of = |said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(said).expect("a header"));
            carries(&headers, "s3cret:x")
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for said in ["Bearer s3cret:x", "bearer  s3cret:x", &basic("any:s3cret:x"), &basic(":s3cret:x")] {
            assert!(of(said), "{said}");
        }
        for said in
            ["Bearer s3cret:", "Bearer s3cret:xx", "Bearer", "Basic !", &basic("s3cret:x"), &basic("any:"), "s3cret:x"]
        {
            assert!(!of(said), "{said}");
        }
        assert!(!carries(&HeaderMap::new(), "s3cret"));
    }
}
