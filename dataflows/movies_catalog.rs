//! What does the shop sell? One row per item: the version in force.
//!
//! ```sql
#![doc = include_str!("movies_catalog.sql")]
//! ```

use crate::events::CatalogContent;
use crate::item::ItemId;
use crate::operators::{Prices, Version, freeze, in_force};
use crate::raw::{catalog_columns, catalog_values};
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column, incidental};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("movies_catalog.sql");

/// A row of `movies_catalog`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MovieRow {
    /// Which item.
    pub item_id: ItemId,
    /// Since when it has been like this.
    pub timestamp: Instant,
    /// What it is like.
    pub content: Box<CatalogContent>,
}

impl MovieRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        let mut values = vec![Value::Text(self.item_id.to_string()), Value::Instant(self.timestamp)];
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
    Table { name: "movies_catalog", doc, role: Role::Entity, key_columns: 1, columns }
}

/// The catalog, one version per item and the recent ones; and what items cost from when on.
pub fn movies_catalog<'s>(
    versions: Stream<'s, (ItemId, Version)>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> (Collection<'s, MovieRow>, Prices<'s>) {
    let restored = restore.inner.flat_map(|(state, _, _)| {
        let State::CatalogVersion(item, effective_at, timestamp, content) = state else { return None };
        Some((item, Version { effective_at, timestamp, content }))
    });
    let (items, prices) = in_force(versions, restored, watermarks, settings, "movies_catalog/versions", ledger);
    let rows =
        freeze(items).map(|(item_id, Version { timestamp, content, .. })| MovieRow { item_id, timestamp, content });
    (rows, prices)
}
