//! For how long rows are kept that nothing is computed from any more.

use dataflows::table::{Role, TableId};
use serde::{Deserialize, Serialize};

/// How long rows are kept, per kind of table; `keep` is for ever. It changes no metric: those come from the state, which
/// has seen every event. The files of changes of the Parquet feed are another thing (`feed.retention`).
///
/// `catalog_events` is not among them: it has a row per version of an item, and one of years ago may be in force today.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// How far accepted events are kept behind the watermark, by event time.
    #[serde(with = "keep")]
    pub raw: Option<i64>,
    /// For how long records are kept that were rejected: `replay-rejected` sends through what is left.
    #[serde(with = "keep")]
    pub rejected: Option<i64>,
    /// How far late events are kept behind the watermark, by the watermark that they were judged by.
    #[serde(with = "keep")]
    pub late: Option<i64>,
}

impl Retention {
    /// For how long a table's rows are kept; nothing is for ever.
    pub fn of(&self, table: TableId) -> Option<i64> {
        match table.table().role {
            Role::Raw { at: Some(_) } => self.raw,
            Role::Rejected { .. } => self.rejected,
            Role::Late { .. } => self.late,
            Role::Raw { at: None } | Role::Entity | Role::Metric => None,
        }
    }

    /// What is wrong: the key, and why.
    pub(super) fn wrong(&self) -> Option<(String, String)> {
        let keys = [("raw", self.raw), ("rejected", self.rejected), ("late", self.late)];
        let (key, _) = keys.into_iter().find(|(_, kept)| *kept == Some(0))?;
        let why = "must be longer than nothing, such as 30d, or `keep` (`raw = false` writes no raw rows at all)";
        Some((format!("retention.{key}"), why.to_owned()))
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
