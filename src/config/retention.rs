//! For how long rows are kept that nothing is computed from any more.

use super::wrong::Wrongs;
use crate::declared::declared;
use dataflows::table::{Role, TableId};
use serde::{Deserialize, Serialize};

declared! {
    /// How long rows are kept, per kind of table; `keep` keeps them forever. It changes no metric: metrics come from
    /// the state, not from these rows. The files of changes of the Parquet feed are another thing (`feed.retention`).
    ///
    /// `catalog_events` is not among them: it has a row per version of an item, and one from years ago may be valid today.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Retention {
        /// How far behind the watermark accepted events are kept, by their own time. `keep` keeps them forever; without
        /// them `verify` refuses.
        #[serde(with = "keep")]
        pub raw: Option<i64>,
        /// How long rejected records are kept. `keep` keeps them forever; `replay-rejected` sends through those that are
        /// left.
        #[serde(with = "keep")]
        pub rejected: Option<i64>,
        /// How long late events are kept. Their age is measured from the watermark at which they were judged late.
        /// `keep` keeps them forever.
        #[serde(with = "keep")]
        pub late: Option<i64>,
    }
}

impl Retention {
    /// For how long a table's rows are kept; none is forever.
    pub fn of(&self, table: TableId) -> Option<i64> {
        match table.table().role {
            Role::Raw { at: Some(_) } => self.raw,
            Role::Rejected { .. } => self.rejected,
            Role::Late { .. } => self.late,
            Role::Raw { at: None } | Role::Entity | Role::Metric | Role::Tally => None,
        }
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        let keys = [("raw", self.raw), ("rejected", self.rejected), ("late", self.late)];
        for (key, _) in keys.into_iter().filter(|(_, kept)| *kept == Some(0)) {
            let why = "must be longer than nothing, such as 30d, or `keep` (`raw = false` writes no raw rows at all)";
            wrongs.say(&format!("retention.{key}"), why);
        }
    }
}

/// A span, or `keep`.
pub(super) mod keep {
    use serde::{Deserializer, Serializer, de::Error};

    const KEEP: &str = "keep";

    pub(in crate::config) fn serialize<S: Serializer>(limit: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match limit {
            Some(ms) => crate::instant::span::serialize(ms, serializer),
            None => serializer.serialize_str(KEEP),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        let text = deserializer.deserialize_str(crate::instant::span::Duration)?;
        if text.trim() == KEEP {
            return Ok(None);
        }
        crate::instant::span::parse(&text).map(Some).map_err(|why| D::Error::custom(format!("{why}, or `{KEEP}`")))
    }
}
