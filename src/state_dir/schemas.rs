//! The texts of the schemas that records were read by: who reads them again needs no registry.

use super::{FORMAT, StateDir, StateError, envelope};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "schemas/";
const KIND: &str = "schema";

/// A writer's schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number in the registry.
    pub id: u32,
    /// Where that was.
    pub registry: String,
    /// The text.
    pub schema: String,
    /// The texts of those that it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}

impl StateDir {
    /// Keeps a schema, durably: only then may anything be decided by it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_schema(&self, schema: &Kept) -> Result<(), StateError> {
        let body = envelope::seal_json(KIND, FORMAT, schema);
        Ok(self.store.put(&format!("{PREFIX}{:010}", schema.id), &body)?)
    }

    /// Every schema that is kept.
    ///
    /// # Errors
    /// If they cannot be read, or one is not what was written.
    pub fn kept_schemas(&self) -> Result<Vec<Kept>, StateError> {
        let mut kept = Vec::new();
        for key in self.store.list(PREFIX)? {
            kept.extend(self.read_json::<Kept>(&key, KIND, FORMAT)?);
        }
        Ok(kept)
    }
}
