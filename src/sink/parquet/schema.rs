//! A table as a Parquet schema, and what a row of its files is.

use dataflows::table::{Table, Type, Value};
use dataflows::{Instant, Time};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type as SchemaType};
use std::sync::Arc;

/// So many rows are read and decompressed independently of others: what DuckDB gives one thread.
pub(super) const ROWS_PER_GROUP: usize = 122_880;

/// The columns that a file has after the table's own.
pub(super) const STAMPS: [(&str, Type); 4] =
    [("_op", Type::Text), ("_epoch", Type::Integer), ("_generation", Type::Integer), ("_updated_at", Type::Instant)];

/// Which commit wrote a row, and what became of it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Whether the row is gone; its columns but the key are null then.
    pub deleted: bool,
    pub epoch: Time,
    pub generation: u64,
    pub updated_at: Instant,
}

impl Stamp {
    /// As `_op` says it.
    pub(super) fn op(self) -> &'static str {
        if self.deleted { DELETE } else { UPSERT }
    }
}

pub(super) const UPSERT: &str = "upsert";
pub(super) const DELETE: &str = "delete";

/// A row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub values: Vec<Value>,
    pub stamp: Stamp,
}

/// The schema of a table's files.
///
/// # Errors
/// If Parquet cannot have such a column.
pub(super) fn schema(table: &Table) -> Result<Arc<SchemaType>> {
    let mut message = format!("message {} {{\n", table.name);
    let own = table.columns.iter().enumerate();
    // All but the key is nothing in a row that says that one is gone.
    let own = own.map(|(at, column)| (column.name, column.ty, at < table.key_columns));
    for (name, ty, required) in own.chain(STAMPS.map(|(name, ty)| (name, ty, true))) {
        let repetition = if required { "required" } else { "optional" };
        let (physical, logical) = match ty {
            Type::Integer => ("int64", ""),
            Type::Boolean => ("boolean", ""),
            Type::Instant => ("int64", "(TIMESTAMP(MILLIS,true))"),
            Type::Money => ("int64", "(DECIMAL(18,2))"),
            Type::Milli => ("int64", "(DECIMAL(18,3))"),
            Type::Share => ("int64", "(DECIMAL(18,4))"),
            Type::Text => ("binary", "(UTF8)"),
            Type::Json => ("binary", "(JSON)"),
            Type::Bytes => ("binary", ""),
        };
        message.push_str(&format!("  {repetition} {physical} {name} {logical};\n"));
    }
    message.push('}');
    parse_message_type(&message).map(Arc::new)
}

/// How a table's files are written.
///
/// # Errors
/// Never in this version of Parquet's.
pub(super) fn properties(table: &Table) -> Result<Arc<WriterProperties>> {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("deltamart ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        // By group, not by page: readers leave out groups by `_epoch` and by key.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None);
    for column in &table.columns {
        // What counts up, or hardly ever repeats, gains nothing from a dictionary and pays for it.
        if matches!(column.ty, Type::Instant) || column.name == "_offset" {
            let path = ColumnPath::from(column.name);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
        if matches!(column.ty, Type::Bytes) {
            let path = ColumnPath::from(column.name);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    Ok(Arc::new(properties.build()))
}
