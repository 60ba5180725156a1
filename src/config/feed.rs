//! The Parquet feed: where it is, and how its files are made and kept.

use serde::{Deserialize, Serialize};

/// The Parquet feed. Without `path` there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Feed {
    /// A folder, or the URL of a bucket as `state_dir` takes it.
    pub path: String,
    /// The least time between two commits: each makes a file for every table that changed.
    #[serde(with = "crate::instant::span")]
    pub commit_interval: i64,
    /// A file ends after so many rows.
    pub rows_per_file: usize,
    /// So many runs of files are merged into one, once the younger ones hold as many rows as the oldest.
    pub merge_runs: usize,
    /// For so long a file stays that no reader who comes now would read: for those who came before.
    #[serde(with = "crate::instant::span")]
    pub grace: i64,
    /// For how long the files of changes stay once they are merged; `keep` is for ever.
    #[serde(with = "super::retention::keep")]
    pub retention: Option<i64>,
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

    /// What is wrong: the key, and why.
    pub(super) fn wrong(&self) -> Option<(String, String)> {
        let wrong = |key: &str, why: &str| Some((format!("feed.{key}"), why.to_owned()));
        if self.rows_per_file == 0 {
            return wrong("rows_per_file", "must be at least 1");
        }
        if self.merge_runs < 2 {
            return wrong("merge_runs", "must be at least 2: one run is merged already");
        }
        None
    }
}
