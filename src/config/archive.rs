//! The archive: of which topics, where it is, and when its files are closed.

use super::wrong::{DAY_MS, Wrongs};
use crate::declared::declared;
use serde::{Deserialize, Serialize};

/// In `archive.topics`: every one.
const ALL_TOPICS: &str = "all";

declared! {
    /// Accepted records as they came, as Parquet files. Without `path` there is no archive.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Archive {
        /// Where the files go: a folder, or the URL of a bucket as `state_dir` takes it. Empty is no archive.
        pub path: String,
        /// The topics whose records are archived: `all`, or a list of names such as `["customer_events"]`.
        #[serde(deserialize_with = "super::one_or_many")]
        pub topics: Vec<String>,
        /// A file is closed when it has this many records, 1 to 1000000. The records of files that are not closed are
        /// in memory.
        pub rows: usize,
        /// A file is closed this long after its first record came, 1s to 7days. Longer makes fewer files, shorter shows
        /// records earlier.
        #[serde(with = "crate::instant::span")]
        pub archive_interval: i64,
        /// The least time between two commits; 0 is after every epoch. Each makes records durable that are in no file
        /// yet.
        #[serde(with = "crate::instant::span")]
        pub commit_interval: i64,
    }
}

impl Default for Archive {
    fn default() -> Archive {
        Archive {
            path: String::new(),
            topics: vec![ALL_TOPICS.to_owned()],
            rows: 1_200,
            archive_interval: 5 * 60_000,
            commit_interval: 1_000,
        }
    }
}

impl Archive {
    /// Whether there is one.
    pub fn is_given(&self) -> bool {
        !self.path.is_empty()
    }

    /// Whether the records of a topic are archived.
    pub fn takes(&self, topic: &str) -> bool {
        self.is_given() && self.topics.iter().any(|name| name == topic || name == ALL_TOPICS)
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        if !(1..=1_000_000).contains(&self.rows) {
            wrongs.say("archive.rows", format!("is {}; expected 1 to 1000000", self.rows));
        }
        if self.topics.iter().all(|name| name.is_empty()) {
            wrongs.say("archive.topics", "is empty; expected `all`, or names of topics");
        }
        let because = "the records of an open file are in memory, and readers do not see them";
        wrongs.bounded("archive.archive_interval", self.archive_interval, 1_000..=7 * DAY_MS, because);
        let because = "what is accepted waits in memory for the next commit";
        wrongs.bounded("archive.commit_interval", self.commit_interval, 0..=DAY_MS, because);
    }
}
