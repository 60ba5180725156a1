//! What a client complains of, said once: it repeats itself several times a second, by several ways, in changing words.

use crate::source::Trouble;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// After so long the same is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// What was complained of.
#[derive(Default)]
pub(super) struct Complaints(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By what stays the same of it: when it was last said.
    at: BTreeMap<String, Instant>,
    last: Option<Trouble>,
    /// The brokers that it was about.
    brokers: BTreeMap<String, Instant>,
}

impl Complaints {
    /// Notes a complaint; tells whether it is to be said. One about a broker that a complaint was just about is not.
    pub(super) fn is_news(&self, what: &str, now: Instant) -> bool {
        let mut inner = self.0.lock();
        inner.last = Some(Trouble::with(inner.last.take(), "Kafka", what.to_owned()));
        let is_old = |at: &Instant| now.duration_since(*at) < AGAIN;
        let broker = broker(what).map(str::to_owned);
        let about_same = broker.as_ref().is_some_and(|broker| inner.brokers.get(broker).is_some_and(is_old));
        let key = what.split(|c: char| c.is_ascii_digit()).collect::<String>();
        let said = inner.at.get(&key).is_some_and(is_old);
        if said || about_same {
            return false;
        }
        inner.at.retain(|_, at| is_old(at));
        inner.at.insert(key, now);
        if let Some(broker) = broker {
            inner.brokers.insert(broker, now);
        }
        true
    }

    /// The last complaint.
    pub(super) fn last(&self) -> Option<String> {
        self.trouble().map(|trouble| trouble.said)
    }

    /// The last complaint, and since when there are any.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.0.lock().last.clone()
    }

    /// Every broker that is needed answers: what was complained of is over.
    pub(super) fn all_answer(&self) {
        self.0.lock().last = None;
    }

    /// Of brokers that answer now, those that were complained of: each once.
    pub(super) fn are_back<'a>(&self, answer: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut inner = self.0.lock();
        if inner.brokers.is_empty() {
            return Vec::new();
        }
        let back: Vec<String> =
            answer.filter_map(|name| inner.brokers.remove_entry(bare(name))).map(|(name, _)| name).collect();
        if !back.is_empty() {
            inner.at.clear();
            inner.last = None;
        }
        back
    }
}

/// A broker's name without how it is spoken to.
fn bare(name: &str) -> &str {
    name.rsplit_once("://").map_or(name, |(_, name)| name)
}

/// The broker that a complaint is about: `sasl_ssl://host:9092/1: Connect to ...`, `host:9092/bootstrap: ...`.
fn broker(what: &str) -> Option<&str> {
    let words = what.split_whitespace().filter_map(|word| word.strip_suffix(':'));
    words.map(bare).find(|word| {
        let (host, node) = word.rsplit_once('/').unwrap_or_default();
        let port = host.rsplit_once(':').map_or("", |(_, port)| port);
        let is_node = node == "bootstrap" || (!node.is_empty() && node.bytes().all(|byte| byte.is_ascii_digit()));
        is_node && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_in_its_numbers_alone_is_said_once_a_minute() {
        let (said, start) = (Complaints::default(), Instant::now());
        let refused = |broker: &str, ms: u32| {
            format!("Kafka: sasl_ssl://127.0.0.1:9092/{broker}: Connect to ipv4#127.0.0.1:9092 failed (after {ms}ms)")
        };
        assert!(said.is_news(&refused("1", 3), start));
        assert!(!said.is_news(&refused("1", 44), start + Duration::from_secs(5)));
        assert!(
            !said.is_news("Kafka: 127.0.0.1:9092/1: Disconnected", start + Duration::from_secs(6)),
            "the same broker"
        );
        assert!(said.is_news("Kafka: 2/2 brokers are down", start));
        assert!(!said.is_news("Kafka: 1/2 brokers are down", start));
        assert!(said.is_news(&refused("1", 3), start + AGAIN));
        assert_eq!(said.last().as_deref(), Some(&*refused("1", 3)));
        assert_eq!(said.are_back(["127.0.0.1:9092/2"].into_iter()), [""; 0]);
        assert_eq!(
            said.are_back(["sasl_ssl://127.0.0.1:9092/1", "127.0.0.1:9092/2"].into_iter()),
            ["127.0.0.1:9092/1"]
        );
        assert_eq!(said.are_back(["127.0.0.1:9092/1"].into_iter()), [""; 0], "said once");
        assert!(said.is_news(&refused("1", 9), start + AGAIN), "it went again");
        let since = said.trouble().expect("a complaint").since;
        said.is_news("Kafka: 2/2 brokers are down", start);
        assert_eq!(
            said.trouble().map(|last| (last.said, last.since)),
            Some(("Kafka: 2/2 brokers are down".into(), since))
        );
        said.all_answer();
        assert_eq!(said.trouble(), None);
    }
}
