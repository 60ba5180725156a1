//! What does the shop sell? One row per item: the version in force.
//!
//! ```sql
#![doc = include_str!("movies_catalog.sql")]
//! ```

use crate::events::CatalogContent;
use crate::operators::{Version, freeze, in_force};
use crate::raw::{catalog_columns, catalog_values};
use crate::state::{Ledger, State};
use crate::table::{Kind, Table, Type, Value, column, incidental};
use crate::time::{Instant, Settings, Time};
use crate::{Collection, Stream};
use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("movies_catalog.sql");

/// A row of `movies_catalog`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MovieRow {
    /// Which item.
    pub item_id: String,
    /// Since when it has been like this.
    pub timestamp: Instant,
    /// What it is like.
    pub content: Box<CatalogContent>,
}

impl MovieRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        let mut values = vec![Value::Text(self.item_id.clone()), Value::Instant(self.timestamp)];
        values.extend(catalog_values(&self.content));
        values
    }
}

/// `movies_catalog`
pub fn table() -> Table {
    let mut columns = vec![
        column("item_id", Type::Text, "The ITEM number, as text."),
        incidental("timestamp", Type::Instant, "When the version in force was made."),
    ];
    columns.extend(catalog_columns());
    let doc = "One row per catalog item: the version in force. Kept for ever.";
    Table { name: "movies_catalog", doc, kind: Kind::Upsert, key_columns: 1, columns }
}

/// The catalog, one version per item and the recent ones.
pub fn movies_catalog<'s>(
    versions: Stream<'s, ((String, Version), Time, isize)>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, MovieRow> {
    let restored = restore.flat_map(|state| match state {
        State::CatalogVersion(item, effective_at, timestamp, content) => {
            Some((item, Version { effective_at, timestamp, content }))
        }
        _ => None,
    });
    let all = versions.as_collection().concat(restored).inner;
    let items = in_force(all, watermarks, settings, "movies_catalog/versions", ledger);
    freeze(items).map(|(item_id, Version { timestamp, content, .. })| MovieRow { item_id, timestamp, content })
}
