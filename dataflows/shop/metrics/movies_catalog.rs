//! What does the shop sell? One row per item: the version in force.
//!
//! ```sql
#![doc = include_str!("movies_catalog.sql")]
//! ```

use crate::freeze;
use crate::item::ItemId;
use crate::shop::Shop;
use crate::shop::metric::Metric;
use crate::shop::operators::versions::Version;
use crate::shop::raw::content_fields;
use crate::table::{Declared, Field, Role, Table, TableId, Type, Value, field, incidental, key};

static DECLARED: Declared = Declared::new("movies_catalog", || {
    let doc = "One row per catalog item, with the version that is valid at the watermark.";
    Table::of("movies_catalog", doc, Role::Entity, fields())
});

/// The metric.
pub const MOVIES_CATALOG: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("movies_catalog.sql"), build, kept: &[] };

type Row = (ItemId, Version);

fn fields() -> Vec<Field<Row>> {
    let made_at = incidental("timestamp", Type::Instant, "Timestamp of the version that is valid, UTC.");
    let mut fields = vec![
        key("item_id", Type::Text, "Id of the item: its ITEM number, as text.", |(item_id, _): &Row| {
            Value::Text(item_id.to_string())
        }),
        field(made_at, |(_, version): &Row| Value::Instant(version.timestamp)),
    ];
    fields.extend(content_fields(|(_, version): &Row| &*version.content));
    fields
}

fn build(shop: &mut Shop<'_>) {
    // When a version takes effect is no part of the row.
    let rows = freeze(shop.versions_in_force()).map(|(item, version)| (item, Version { effective_at: 0, ..version }));
    shop.lane.rows(MOVIES_CATALOG.table, fields(), rows);
}
