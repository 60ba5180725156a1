//! Where the page, the API and the metrics are served, and to whom.

use super::secret;
use super::wrong::{DAY_MS, SECOND_MS, Wrongs};
use crate::declared::declared;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

declared! {
    /// The page, the API and the metrics, while a run works. They only read.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Serve {
        /// Where: `auto` is 127.0.0.1:8080, or the next port that is free; an address with its port, such as
        /// `127.0.0.1:9000`; `off` is nowhere. Others than this machine's own programs need `serve.token`.
        pub address: String,
        /// Where the token is found that every request has to carry: `env:NAME` or `file:PATH`. Empty is none: then only
        /// this machine may be served.
        pub token: String,
        /// Names under which the server is asked, besides `localhost` and numbers: a browser that comes under another name
        /// is refused, since a page from elsewhere may have sent it.
        pub hosts: Vec<String>,
        /// `/readyz` says yes while no record that was read waits longer for its commit, 1s to 1day.
        #[serde(with = "crate::instant::span")]
        pub ready_within: i64,
        /// How many bytes of changed rows are kept for clients that come back, 0 or more. With more, a client may stay away
        /// longer and miss nothing.
        pub delta_bytes: usize,
    }
}

/// Where is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Nowhere.
    Off,
    /// Where a port is free, on this machine.
    Auto,
    /// There.
    At(SocketAddr),
}

impl Default for Serve {
    fn default() -> Serve {
        Serve {
            address: "auto".to_owned(),
            token: String::new(),
            hosts: Vec::new(),
            ready_within: 60 * SECOND_MS,
            delta_bytes: 16 << 20,
        }
    }
}

impl Serve {
    /// Where is served; nothing if the setting says none of it.
    pub fn place(&self) -> Option<Address> {
        match self.address.trim() {
            "off" => Some(Address::Off),
            "auto" => Some(Address::Auto),
            text => {
                let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
                let local = local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                local.or_else(|| text.parse().ok()).map(Address::At)
            }
        }
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        let mut wrongs = Wrongs::default();
        self.wrong(&mut wrongs);
        wrongs.0.into_iter().next().map_or(Ok(()), |wrong| Err(wrong.why))
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        match self.place() {
            None => wrongs.say("serve.address", "expected `auto`, `off`, or an address such as `127.0.0.1:8080`"),
            Some(Address::At(at)) if !at.ip().is_loopback() && self.token.is_empty() => {
                let why =
                    format!("is {at}, which others reach too: that needs `serve.token`, a secret that requests carry");
                wrongs.beside("serve.address", &["serve.token"], why);
            }
            Some(Address::At(_) | Address::Off | Address::Auto) => {}
        }
        if !self.token.is_empty()
            && let Some(why) = secret::wrong(&self.token)
        {
            wrongs.say("serve.token", why);
        }
        let because = "a load balancer would wait that long for a run that stands, or never find one that is ready";
        wrongs.bounded("serve.ready_within", self.ready_within, SECOND_MS..=DAY_MS, because);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_somewhere_or_nowhere() {
        let at = |text: &str| Serve { address: text.to_owned(), ..Serve::default() }.place();
        assert_eq!((at("off"), at("auto")), (Some(Address::Off), Some(Address::Auto)));
        for (text, shown) in [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("localhost:9000", "127.0.0.1:9000"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            let Some(Address::At(found)) = at(text) else { panic!("{text}") };
            assert_eq!(found.to_string(), shown);
        }
        for text in ["", "8080", ":8080", "localhost", "example.org:80", "127.0.0.1", "127.0.0.1:99999", "on"] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn who_serves_others_has_a_token() {
        let wrong = |address: &str, token: &str| {
            let serve = Serve { address: address.to_owned(), token: token.to_owned(), ..Serve::default() };
            let mut wrongs = Wrongs::default();
            serve.wrong(&mut wrongs);
            wrongs.0.into_iter().map(|wrong| wrong.why).collect::<Vec<_>>().join("; ")
        };
        for (address, token) in [("auto", ""), ("off", ""), ("[::1]:1", ""), ("0.0.0.0:80", "env:TOKEN")] {
            assert_eq!(wrong(address, token), "", "{address}");
        }
        assert!(wrong("0.0.0.0:80", "").contains("0.0.0.0:80, which others reach too: that needs `serve.token`"));
        assert!(wrong("auto", "hunter2").contains("does not say where it is found"));
        assert!(!wrong("auto", "hunter2").contains("hunter2"));
    }
}
