//! Clean events as Parquet: where they are, and when their files are closed.

use super::wrong::{DAY_MS, Wrongs};
use crate::declared::declared;
use serde::{Deserialize, Serialize};

declared! {
    /// Accepted events, typed and once, as Parquet files in a folder for each day. Without `path` there are none.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Clean {
        /// Where the files go: a folder, or the URL of a bucket as `state_dir` takes it. Empty writes none.
        pub path: String,
        /// A file is closed when it has this many events, 1 to 1000000. The events of files that are not closed are in
        /// memory.
        pub rows: usize,
        /// A file is closed this long after its first event came, 1s to 7days. Longer makes fewer files, shorter shows
        /// events earlier.
        #[serde(with = "crate::instant::span")]
        pub interval: i64,
        /// The least time between two commits; 0 is after every epoch. Each makes events durable that are in no file yet.
        #[serde(with = "crate::instant::span")]
        pub commit_interval: i64,
    }
}

impl Default for Clean {
    fn default() -> Clean {
        Clean { path: String::new(), rows: 100_000, interval: 5 * 60_000, commit_interval: 1_000 }
    }
}

impl Clean {
    /// Whether they are written.
    pub fn is_given(&self) -> bool {
        !self.path.is_empty()
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        if !(1..=1_000_000).contains(&self.rows) {
            wrongs.say("clean.rows", format!("is {}; expected 1 to 1000000", self.rows));
        }
        let because = "the events of an open file are in memory, and readers do not see them";
        wrongs.bounded("clean.interval", self.interval, 1_000..=7 * DAY_MS, because);
        let because = "what is accepted waits in memory for the next commit";
        wrongs.bounded("clean.commit_interval", self.commit_interval, 0..=DAY_MS, because);
    }
}
