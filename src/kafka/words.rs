//! What a client of librdkafka complains of, in words for who runs this: what is wrong, and the setting that may mend it.

use std::borrow::Cow;

/// A complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint<'a> {
    /// The broker that it is about, `host:port`, if it names one.
    pub broker: Option<&'a str>,
    /// What is wrong.
    pub cause: Cow<'a, str>,
    /// How much it says.
    pub kind: Kind,
}

/// How much a complaint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// That something does not work: the cause is said by another.
    Vague,
    /// That a broker cannot be spoken to, and why.
    Away,
    /// Something else.
    Other,
}

/// The first bytes of an alert of TLS, read as a length.
const TLS_ALERT: std::ops::RangeInclusive<u32> = 0x1503_0000..=0x1503_04ff;

/// What a message of the library says.
pub(super) fn complaint(message: &str) -> Complaint<'_> {
    let (broker, said) = parted(message);
    let is = |part: &str| said.contains(part);
    let away = |cause: &'static str| (Kind::Away, Cow::Borrowed(cause));
    let (kind, cause) = if is("brokers are down") {
        (Kind::Vague, "no broker answers".into())
    } else if is("Connection refused") {
        away("connection refused")
    } else if let Some(host) = between(said, "Failed to resolve '", "'") {
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        (Kind::Away, format!("host `{host}` is not known").into())
    } else if is("Connection setup timed out") {
        away("no answer to the attempt to connect: is it the right host and port, and does a firewall let it through?")
    } else if is("No route to host") || is("Network is unreachable") || is("Host is unreachable") {
        away("the network has no way to it")
    } else if is("certificate could not be verified") || is("certificate verify failed") {
        away(
            "TLS: its certificate is not accepted: no authority that is known vouches for it (`ssl.ca.location`), it has expired, or it is of another host",
        )
    } else if is("wrong version number") || is("connecting to a PLAINTEXT broker listener") {
        away("the broker does not speak TLS here, and `kafka.properties` asks for it (`security.protocol`)")
    } else if is("client SSL authentication might be required") {
        away("the broker asks for a certificate of ours (`ssl.certificate.location`, `ssl.key.location`)")
    } else if is("SSL handshake failed") {
        (Kind::Away, format!("TLS failed: {}", behind(said, "SSL handshake failed: ")).into())
    } else if is("connecting to a SSL listener") || is_tls_alert(said) {
        away(
            "the broker speaks TLS here, or so it seems, and `kafka.properties` asks for plaintext (`security.protocol`)",
        )
    } else if is("might require SASL authentication") {
        away(
            "the broker hangs up: it may ask for a password (`security.protocol`, `sasl.mechanisms` in `kafka.properties`)",
        )
    } else if let Some(why) = ["SASL authentication error: ", "authentication failed: ", "SASL authentication: "]
        .iter()
        .find_map(|begin| said.split_once(begin))
        .map(|(_, why)| why)
    {
        let why = why.strip_prefix("Authentication failed: ").unwrap_or(why);
        (Kind::Away, format!("authentication failed: {}", without_times(why)).into())
    } else if is("timed out") || is("Disconnected") || is("Connect to ") || is("transport failure") {
        (Kind::Away, without_times(said).into())
    } else {
        (Kind::Other, without_times(said).into())
    };
    Complaint { broker, cause, kind }
}

/// The broker that a message is about, and what it says: `[thrd:...]: sasl_ssl://host:9092/1: Connect to ...`.
fn parted(message: &str) -> (Option<&str>, &str) {
    let mut said = message;
    while let Some((before, rest)) = said.split_once(": ") {
        if before.starts_with("[thrd:") {
            said = rest;
            continue;
        }
        return broker(before).map_or((None, said), |broker| (Some(broker), parted(rest).1));
    }
    (None, said)
}

/// `host:port` of a broker as the library calls it: `sasl_ssl://host:9092/1`, `host:9092/bootstrap`.
pub(super) fn broker(name: &str) -> Option<&str> {
    let (name, node) = bare(name).rsplit_once('/')?;
    let port = name.rsplit_once(':')?.1;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    ((node == "bootstrap" || is_number(node)) && is_number(port)).then_some(name)
}

/// A broker's name without how it is spoken to.
fn bare(name: &str) -> &str {
    name.rsplit_once("://").map_or(name, |(_, name)| name)
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}

fn behind<'a>(text: &'a str, begin: &str) -> &'a str {
    without_times(text.split_once(begin).map_or(text, |(_, rest)| rest))
}

/// Without `(after 3ms in state CONNECT, 2 identical error(s) suppressed)`.
fn without_times(said: &str) -> &str {
    said.split_once(" (after ").map_or(said, |(said, _)| said)
}

fn is_tls_alert(said: &str) -> bool {
    let size = between(said, "Invalid response size ", " ");
    size.and_then(|size| size.parse().ok()).is_some_and(|size: u32| TLS_ALERT.contains(&size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_says_is_said_in_words() {
        for (message, broker, kind, cause) in [
            (
                "[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection \
                 refused (after 1ms in state CONNECT)",
                Some("127.0.0.1:1"),
                Kind::Away,
                "connection refused",
            ),
            (
                "sasl_ssl://kafka.example:9092/3: Failed to resolve 'kafka.example:9092': Name or service not known (after \
                 5ms in state CONNECT, 2 identical error(s) suppressed)",
                Some("kafka.example:9092"),
                Kind::Away,
                "host `kafka.example` is not known",
            ),
            (
                "127.0.0.1:1/1: Connection setup timed out in state CONNECT (after 30029ms in state CONNECT)",
                Some("127.0.0.1:1"),
                Kind::Away,
                "no answer to the attempt to connect: is it the right host and port, and does a firewall let it through?",
            ),
            (
                "a:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN: requesting ApiVersion: \
                 might be caused by incorrect security.protocol configuration (connecting to a SSL listener?) or broker \
                 version is < 0.10 (see api.version.request) (after 0ms in state APIVERSION_QUERY)",
                Some("a:1"),
                Kind::Away,
                "the broker speaks TLS here, or so it seems, and `kafka.properties` asks for plaintext (`security.protocol`)",
            ),
            (
                "a:1/bootstrap: Receive failed: Invalid response size 352518912 (0..100000000): increase \
                 receive.message.max.bytes",
                Some("a:1"),
                Kind::Away,
                "the broker speaks TLS here, or so it seems, and `kafka.properties` asks for plaintext (`security.protocol`)",
            ),
            (
                "ssl://a:1/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong version number: (after 1ms in \
                 state SSL_HANDSHAKE)",
                Some("a:1"),
                Kind::Away,
                "the broker does not speak TLS here, and `kafka.properties` asks for it (`security.protocol`)",
            ),
            (
                "ssl://a:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker \
                 certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA \
                 certificates are installed (install ca-certificates package) (after 1ms in state SSL_HANDSHAKE)",
                Some("a:1"),
                Kind::Away,
                "TLS: its certificate is not accepted: no authority that is known vouches for it (`ssl.ca.location`), it has expired, or it is of another host",
            ),
            (
                "sasl_plaintext://a:1/bootstrap: SASL authentication error: Authentication failed: no such user or password \
                 (after 2ms in state AUTH_REQ)",
                Some("a:1"),
                Kind::Away,
                "authentication failed: no such user or password",
            ),
            ("1/1 brokers are down", None, Kind::Vague, "no broker answers"),
            (
                "a:1/2: 1 request(s) timed out: disconnect (after 7ms in state UP)",
                Some("a:1"),
                Kind::Away,
                "1 request(s) timed out: disconnect",
            ),
            ("Group authorization failed", None, Kind::Other, "Group authorization failed"),
        ] {
            assert_eq!(complaint(message), Complaint { broker, cause: cause.into(), kind }, "{message}");
        }
    }

    #[test]
    fn a_broker_is_known_by_its_name() {
        assert_eq!(broker("sasl_ssl://host:9092/1"), Some("host:9092"));
        assert_eq!(broker("[::1]:9092/bootstrap"), Some("[::1]:9092"));
        for other in ["Connect to ipv4#127.0.0.1:1", "host:9092", "host/1", "a/b:c/1", "GroupCoordinator/1", ""] {
            assert_eq!(broker(other), None, "{other}");
        }
    }
}
