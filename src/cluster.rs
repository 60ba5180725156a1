//! Several processes compute one run: how they find each other, how they hear each other, and how they end together.
//!
//! Process 0 leads: it ticks, journals and commits, reads files, and tells all others what they must know; partitions of Kafka
//! are read by all. Each of the others has a link to it, over which it says what its workers have made; between any two a
//! socket carries what workers send to each other. Whoever is lost ends the run for all: what was committed is whole, and the
//! next start goes on.

mod door;
mod frame;
mod greeting;
pub mod lead;
pub mod member;
mod mesh;
mod queue;
mod sockets;

pub use greeting::Secret;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::Duration;

/// Which version of what is said here.
const PROTOCOL: u32 = 2;

/// A beat is sent so often.
const BEAT: Duration = Duration::from_secs(1);

/// Who takes part, where, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company {
    /// Where each process listens, as `host:port`; the first one leads.
    pub hosts: Vec<String>,
    /// Which of them this one is.
    pub process: usize,
    /// How many workers each has.
    pub workers: usize,
    /// Where this one listens, if that is not where others reach it; else empty.
    pub listen: String,
    /// What all processes know, and nobody else does.
    pub secret: Secret,
    /// What every process must have been given alike, by a sum.
    pub settings: u32,
    /// After so long without a word a process is taken to be gone.
    pub peer_timeout: Duration,
    /// For so long processes wait for each other.
    pub meet_timeout: Duration,
    /// One for which the others wait for so long is named.
    pub slow_after: Duration,
}

impl Company {
    /// Where this process listens.
    fn listens_at(&self) -> &str {
        if self.listen.is_empty() { &self.hosts[self.process] } else { &self.listen }
    }
}

/// Who somebody is that comes to the one that leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hello {
    protocol: u32,
    build: String,
    workers: usize,
    process: usize,
    hosts: Vec<String>,
    settings: u32,
}

impl Hello {
    fn of(company: &Company, build: &str) -> Hello {
        let Company { hosts, process, workers, settings, .. } = company.clone();
        Hello { protocol: PROTOCOL, build: build.to_owned(), workers, process, hosts, settings }
    }

    /// Why somebody cannot take part, as the one that leads says it; nothing if it can.
    fn refused(&self, ours: &Hello) -> Option<String> {
        let mut why = String::new();
        let name = |of: &Hello| of.hosts.get(self.process).cloned().unwrap_or_default();
        if (self.protocol, &self.build) != (ours.protocol, &ours.build) {
            write!(why, "runs another build ({}, ours {})", self.build, ours.build).ok()?;
        } else if self.process == 0 || self.process >= ours.hosts.len() {
            write!(why, "is none of processes 1 to {}", ours.hosts.len() - 1).ok()?;
        } else if self.hosts != ours.hosts {
            let (theirs, ours) = (self.hosts.join(", "), ours.hosts.join(", "));
            write!(why, "knows other hosts ({theirs}; ours are {ours})").ok()?;
        } else if self.workers != ours.workers {
            write!(why, "has {} workers, and ours has {}", self.workers, ours.workers).ok()?;
        } else if self.settings != ours.settings {
            write!(why, "was given other settings or another model").ok()?;
        }
        (!why.is_empty()).then(|| format!("process {} ({}) {why}", self.process, name(self)))
    }
}

/// What the one that leads says.
#[derive(Debug, Serialize, Deserialize)]
enum ToMember {
    /// Come again later: this is why not now.
    Refused(String),
    /// The run begins, under this number: what all must know, and what they are to read.
    Plan(u64, Box<crate::engine::Plan>, String),
    /// All are connected.
    Go,
    /// It is there; and whether the run was asked to stop.
    Beat { stops: bool },
    /// These epochs make a commit: it is to write its rows of them.
    Write(crate::commit::Order),
    /// Somebody is gone, or the run cannot go on: everybody ends.
    Gone(String),
    /// The run has ended in order; whether another one begins.
    Ended { again: bool },
}

/// What a member says.
#[derive(Debug, Serialize, Deserialize)]
enum ToLeader {
    /// It is connected to all others, and has read what it is to read of what was held before.
    Ready,
    /// It cannot take part.
    Failed(String),
    /// What its workers say.
    Said(crate::engine::Said),
    /// It is there, and how it does.
    Beat(crate::stats::processes::Pulse),
}

/// Why nothing more was heard.
fn silence(error: &std::io::Error) -> String {
    let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
    if is(&[ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe]) {
        "it has ended".to_owned()
    } else if is(&[ErrorKind::WouldBlock, ErrorKind::TimedOut]) {
        "it says nothing any more".to_owned()
    } else {
        error.to_string()
    }
}

/// What was built, and when it is not the same: its version, and a sum of the program.
fn build() -> String {
    let program = std::env::current_exe().and_then(std::fs::read);
    let sum = program.map(|bytes| crc32fast::hash(&bytes)).unwrap_or_default();
    format!("{} {sum:08x}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        let hosts = ["a:1", "b:1", "c:1"].map(str::to_owned).to_vec();
        Hello { protocol: PROTOCOL, build: "1 0a".to_owned(), workers: 2, process: 1, hosts, settings: 7 }
    }

    #[test]
    fn who_is_not_like_us_is_told_what_differs() {
        let ours = Hello { process: 0, ..hello() };
        assert_eq!(hello().refused(&ours), None);
        let other_hosts = ["a:1", "b:2", "c:1"].map(str::to_owned).to_vec();
        let wrong = [
            (Hello { build: "1 0b".to_owned(), ..hello() }, "runs another build (1 0b, ours 1 0a)"),
            (Hello { process: 3, ..hello() }, "is none of processes 1 to 2"),
            (Hello { process: 0, ..hello() }, "is none of processes 1 to 2"),
            (Hello { hosts: other_hosts, ..hello() }, "knows other hosts (a:1, b:2, c:1; ours are a:1, b:1, c:1)"),
            (Hello { workers: 1, ..hello() }, "has 1 workers, and ours has 2"),
            (Hello { settings: 8, ..hello() }, "other settings"),
        ];
        for (hello, expected) in wrong {
            let why = hello.refused(&ours).expect("refused");
            assert!(why.contains(expected), "{why}");
        }
    }
}
