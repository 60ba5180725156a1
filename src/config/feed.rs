//! The Parquet feed: where it is, and how its files are made and kept.

use super::wrong::{DAY_MS, Wrongs};
use crate::declared::declared;
use serde::{Deserialize, Serialize};

declared! {
    /// The Parquet feed. Without `path` there is none.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Feed {
        /// Where the files go: a folder, or the URL of a bucket as `state_dir` takes it. Empty is no feed.
        pub path: String,
        /// The minimum time between two commits; 0 means a commit after every epoch. Each makes a file for every table
        /// that changed: shorter makes more files, longer shows rows later.
        #[serde(with = "crate::instant::span")]
        pub commit_interval: i64,
        /// How many rows a file has at the most, 1 or more. Larger files take more memory while they are written.
        pub rows_per_file: usize,
        /// How many groups of sorted files are merged into one, 2 or more, when the newer groups together have as many
        /// rows as the oldest. With more, readers open more files; with fewer, rows are rewritten more often.
        pub merge_runs: usize,
        /// How long a file stays after it was merged, for readers who began with it; 0 is not at all. Longer takes
        /// more room.
        #[serde(with = "crate::instant::span")]
        pub grace: i64,
        /// How long files of changes stay after they were merged. `keep` keeps them forever, and takes more and more room.
        #[serde(with = "super::retention::keep")]
        pub retention: Option<i64>,
    }
}

impl Default for Feed {
    fn default() -> Feed {
        Feed {
            path: String::new(),
            commit_interval: 10_000,
            rows_per_file: 1_000_000,
            merge_runs: 8,
            grace: 3_600_000,
            retention: None,
        }
    }
}

impl Feed {
    /// Whether there is one.
    pub fn is_given(&self) -> bool {
        !self.path.is_empty()
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        wrongs.at_least_one("feed.rows_per_file", self.rows_per_file as u64);
        if self.merge_runs < 2 {
            wrongs.say("feed.merge_runs", "must be at least 2: one run is merged already");
        }
        let because = "what is computed waits in memory for the next commit";
        wrongs.bounded("feed.commit_interval", self.commit_interval, 0..=DAY_MS, because);
        let because = "files that nobody reads any more fill the place";
        wrongs.bounded("feed.grace", self.grace, 0..=366 * DAY_MS, because);
    }
}
