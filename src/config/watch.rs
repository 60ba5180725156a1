//! A folder that is watched: when a file in it is taken.

use super::wrong::{DAY_MS, Wrongs};
use crate::declared::declared;
use serde::{Deserialize, Serialize};

declared! {
    /// A folder that is watched (`run --watch FOLDER`).
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Watch {
        /// A file is taken when it has not changed for so long; 0 is at once. If it is longer, rows appear later; if it is
        /// shorter, a file may be taken while somebody still writes it.
        #[serde(with = "crate::instant::span")]
        pub settle: i64,
    }
}

impl Default for Watch {
    fn default() -> Watch {
        Watch { settle: 5_000 }
    }
}

impl Watch {
    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        wrongs.bounded("watch.settle", self.settle, 0..=DAY_MS, "for so long nothing is read of a file that is there");
    }
}
