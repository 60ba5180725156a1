//! What a client complains of: it repeats itself several times a second, by several ways, in changing words.

use super::words::{Kind, broker, complaint};
use crate::outage;
use crate::source::Trouble;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// What is done about an unavailable broker.
const THEN: &str = "trying again every 2 s (Ctrl-C gives up)";

/// What was complained of.
pub(super) struct Complaints {
    /// The brokers that the client began with, as they are configured.
    brokers: String,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    last: Option<(Kind, Trouble)>,
    /// As the library said it.
    raw: String,
    /// The brokers that it was about, and how each was named.
    about: BTreeMap<String, String>,
}

/// What is said of a complaint: the place by which it is said once, and why.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    place: String,
    why: String,
}

impl Complaints {
    /// Of a client that began with these brokers.
    pub(super) fn of(brokers: &str) -> Complaints {
        Complaints { brokers: brokers.to_owned(), inner: Mutex::default() }
    }

    /// Notes a complaint, and says it if it is news.
    pub(super) fn hear(&self, message: &str) {
        if let Some(Said { place, why }) = self.note(message) {
            outage::say(&place, &why, THEN);
        }
    }

    /// Notes a complaint: what is said of it; nothing if another has said more.
    fn note(&self, message: &str) -> Option<Said> {
        let found = complaint(message);
        let kafka = format!("Kafka at {}", self.brokers);
        let place = match found.broker {
            Some(broker) if broker != self.brokers => format!("{kafka}, broker {broker}"),
            Some(_) | None => kafka,
        };
        let why = format!("{place}: {}", found.cause);
        let mut inner = self.inner.lock();
        let before = inner.last.take();
        if found.kind == Kind::Vague && before.is_some() {
            inner.last = before;
            return None;
        }
        message.clone_into(&mut inner.raw);
        inner.last = Some((found.kind, Trouble::with(before.map(|(_, before)| before), "Kafka", why.clone())));
        if let Some(broker) = found.broker {
            inner.about.insert(broker.to_owned(), place.clone());
        }
        let place = match found.kind {
            Kind::Vague | Kind::Away => place,
            // What is no outage is said by itself, whatever its numbers are.
            Kind::Other => why.replace(|c: char| c.is_ascii_digit(), ""),
        };
        Some(Said { place, why })
    }

    /// The last complaint, as the library said it; empty if there is none.
    pub(super) fn raw(&self) -> String {
        let inner = self.inner.lock();
        if inner.last.is_some() { inner.raw.clone() } else { String::new() }
    }

    /// The last complaint, and since when there are any.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.inner.lock().last.as_ref().map(|(_, trouble)| trouble.clone())
    }

    /// Every broker that is needed answers: what was complained of is over.
    pub(super) fn all_answer(&self) {
        self.inner.lock().last = None;
    }

    /// Notes which brokers answer now, as the library names them; says of those that were complained of that they do.
    pub(super) fn answer<'a>(&self, names: impl Iterator<Item = &'a str>) {
        for place in self.are_back(names) {
            outage::is_over(&place);
        }
    }

    fn are_back<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return Vec::new();
        }
        let mut inner = self.inner.lock();
        let back: Vec<String> = names.filter_map(broker).filter_map(|broker| inner.about.remove(broker)).collect();
        if !back.is_empty() {
            inner.last = None;
        }
        // Another client may have found that none answers.
        back.into_iter().chain([format!("Kafka at {}", self.brokers)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(complaints: &Complaints, message: &str) -> Option<(String, String)> {
        complaints.note(message).map(|Said { place, why }| (place, why))
    }

    #[test]
    fn a_complaint_is_said_by_what_it_is_about() {
        let (one, refused) = (Complaints::of("a:1"), "Connection refused (after 3ms in state CONNECT)");
        let pair = |place: &str, why: &str| Some((place.to_owned(), why.to_owned()));
        let kafka = "Kafka at a:1";
        assert_eq!(
            said(&one, &format!("a:1/bootstrap: Connect to ipv4#1.2.3.4:1 failed: {refused}")),
            pair(kafka, "Kafka at a:1: connection refused")
        );
        assert_eq!(said(&one, "1/1 brokers are down"), None, "the cause is said");
        assert_eq!(
            said(&one, &format!("ssl://b:2/2: Connect to ipv4#1.2.3.4:2 failed: {refused}")),
            pair("Kafka at a:1, broker b:2", "Kafka at a:1, broker b:2: connection refused")
        );
        assert_eq!(said(&one, "Topic 7 is none"), pair("Kafka at a:: Topic  is none", "Kafka at a:1: Topic 7 is none"));
        let since = one.trouble().expect("a complaint").since;
        assert_eq!(one.are_back([].into_iter()), [""; 0]);
        assert_eq!(one.are_back(["a:1/1", "c:3/3"].into_iter()), [kafka, kafka]);
        assert_eq!(one.trouble(), None);
        assert_eq!(one.are_back(["ssl://b:2/2"].into_iter()), ["Kafka at a:1, broker b:2", kafka]);
        assert_eq!(said(&one, "2/2 brokers are down"), pair(kafka, "Kafka at a:1: no broker answers"));
        assert!(one.trouble().expect("it went again").since >= since);
        assert_eq!(one.raw(), "2/2 brokers are down");
        one.all_answer();
        assert_eq!((one.trouble(), one.raw()), (None, String::new()));
    }
}
