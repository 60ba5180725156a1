//! One run of several processes: how many, where they are, and how they trust each other.

use super::wrong::{DAY_MS, SECOND_MS, Wrongs};
use super::{hosts, one_or_many, secret};
use crate::declared::declared;
use serde::{Deserialize, Serialize};

declared! {
    /// One run of several processes, which compute together. With one process none of these is used.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Cluster {
        /// How many processes compute a run together, 1 or more (`run -n`).
        pub processes: usize,
        /// Which of the processes this one is, from 0 (`run -p`). Process 0 leads. It is the only setting in which the
        /// processes must differ.
        pub process: usize,
        /// Where each process listens, as `host:port`, in the order of their numbers; or one text in which `{}` stands for
        /// the number, as in `deltamart-{}.deltamart:2101`. Empty is this machine, with ports from 2101 on. `run --hostfile`
        /// reads them from a file.
        #[serde(deserialize_with = "one_or_many")]
        pub hosts: Vec<String>,
        /// The address and port at which this process listens, such as `0.0.0.0:2101`, if others reach it under another one.
        /// Empty is its own place among `hosts`.
        pub listen: String,
        /// Where a text is found that all processes know and nobody else does, 16 bytes or more: `file:PATH` or `env:NAME`.
        /// Who does not know it is turned away. Empty is none: then only this machine may be among `hosts`.
        pub secret: String,
        /// A process of which nothing was heard for so long is taken to be gone, and the run ends: 3s to 1h. Longer waits
        /// longer for a host that is off; shorter may end a run for a short stop of the network.
        #[serde(with = "crate::instant::span")]
        pub peer_timeout: i64,
        /// For so long processes wait for each other before a run begins, 1s to 7d.
        #[serde(with = "crate::instant::span")]
        pub meet_timeout: i64,
        /// For so long all others may wait for one process before that is said, 1s to 1day. Nothing else follows from it.
        #[serde(with = "crate::instant::span")]
        pub slow_after: i64,
    }
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster {
            processes: 1,
            process: 0,
            hosts: Vec::new(),
            listen: String::new(),
            secret: String::new(),
            peer_timeout: 10 * SECOND_MS,
            meet_timeout: 600 * SECOND_MS,
            slow_after: 10 * SECOND_MS,
        }
    }
}

impl Cluster {
    /// Whether there are several processes.
    pub fn is_given(&self) -> bool {
        self.processes > 1
    }

    /// Where they are, as the settings say.
    ///
    /// # Errors
    /// If there are fewer places than processes, or one is none.
    pub fn places(&self) -> Result<Vec<String>, String> {
        match &self.hosts[..] {
            [] => Ok(hosts::of_this_machine(self.processes)),
            [pattern] if pattern.contains("{}") => {
                hosts::parse(&hosts::of_pattern(pattern, self.processes), self.processes)
            }
            listed => hosts::parse(&listed.join("\n"), self.processes),
        }
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        wrongs.at_least_one("cluster.processes", self.processes as u64);
        if self.process >= self.processes.max(1) {
            let (is, last) = (self.process, self.processes.saturating_sub(1));
            let why = format!("is {is}; processes are numbered from 0 on, here to {last}");
            wrongs.beside("cluster.process", &["cluster.processes"], why);
        }
        if self.is_given()
            && let Err(why) = self.places()
        {
            wrongs.beside("cluster.hosts", &["cluster.processes"], why);
        }
        if !self.listen.is_empty() && hosts::parse(&self.listen, 1).is_err() {
            wrongs.say("cluster.listen", "expected an address and a port, such as `0.0.0.0:2101`");
        }
        if !self.secret.is_empty()
            && let Some(why) = secret::wrong(&self.secret)
        {
            wrongs.say("cluster.secret", why);
        }
        let because = "processes say every second that they are there";
        wrongs.bounded("cluster.peer_timeout", self.peer_timeout, 3 * SECOND_MS..=3_600 * SECOND_MS, because);
        let because = "nothing is computed before all are there";
        wrongs.bounded("cluster.meet_timeout", self.meet_timeout, SECOND_MS..=7 * DAY_MS, because);
        let because = "a process that is waited for is named after so long";
        wrongs.bounded("cluster.slow_after", self.slow_after, SECOND_MS..=DAY_MS, because);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(cluster: &Cluster) -> String {
        let mut wrongs = Wrongs::default();
        cluster.wrong(&mut wrongs);
        wrongs.0.into_iter().map(|wrong| wrong.why).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn places_are_listed_or_numbered() {
        let of = |hosts: &[&str]| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            Cluster { processes: 2, hosts, ..Cluster::default() }
        };
        assert_eq!(of(&[]).places().expect("good"), ["127.0.0.1:2101", "127.0.0.1:2102"]);
        assert_eq!(of(&["a-{}.a:1"]).places().expect("good"), ["a-0.a:1", "a-1.a:1"]);
        assert_eq!(of(&["a:1", "b:1", "c:1"]).places().expect("good"), ["a:1", "b:1"]);
        for (hosts, expected) in [
            (&["a:1"][..], "names 1 hosts, and there are 2"),
            (&["a:1", "a:1"], "twice"),
            (&["a-{}", "b:1"], "expected host:port"),
        ] {
            assert!(wrong(&of(hosts)).contains(expected), "{hosts:?}");
        }
    }

    #[test]
    fn a_process_is_one_of_those_there_are() {
        assert_eq!(wrong(&Cluster::default()), "");
        let wrongly = Cluster { processes: 2, process: 2, peer_timeout: 1, ..Cluster::default() };
        let why = wrong(&wrongly);
        assert!(why.contains("is 2; processes are numbered from 0 on, here to 1"), "{why}");
        assert!(why.contains("expected 3s to 1h"), "{why}");
        let secret = Cluster { secret: "hunter2".to_owned(), ..Cluster::default() };
        let why = wrong(&secret);
        assert!(why.contains("does not say where it is found") && !why.contains("hunter2"), "{why}");
    }
}
