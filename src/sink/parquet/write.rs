//! Rows become files. Column by column, without Arrow: its crates would cost more to build than all of
//! our own code.

use super::schema::{ROWS_PER_GROUP, STAMPS, Stamp, properties, schema};
use bytes::Bytes;
use dataflows::table::{Table, Type, Value};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

/// A group ends before its texts are longer than this together: rows may be wide.
const GROUP_BYTES: usize = 64 << 20;

/// The values of one column that are not written yet; those that are not null.
enum Values {
    Booleans(Vec<bool>),
    Numbers(Vec<i64>),
    /// One after the other, and where each ends.
    Texts(Vec<u8>, Vec<usize>),
}

struct Column {
    values: Values,
    /// 1 where there is a value, 0 where there is none; nothing where there always is one.
    present: Option<Vec<i16>>,
}

impl Column {
    fn new(ty: Type, optional: bool) -> Column {
        let values = match ty {
            Type::Boolean => Values::Booleans(Vec::new()),
            Type::Integer | Type::Instant | Type::Money | Type::Milli | Type::Share => Values::Numbers(Vec::new()),
            Type::Text | Type::Json | Type::Bytes => Values::Texts(Vec::new(), Vec::new()),
        };
        Column { values, present: optional.then(Vec::new) }
    }

    /// Adds a value, and tells how many bytes of text it has.
    fn push(&mut self, value: &Value) -> Result<usize> {
        let some = !matches!(value, Value::Null);
        match &mut self.present {
            Some(present) => present.push(some.into()),
            None if some => {}
            None => return Err(ParquetError::General("a key or a stamp is null".to_owned())),
        }
        match (&mut self.values, value) {
            (_, Value::Null) => {}
            (Values::Booleans(all), Value::Boolean(truth)) => all.push(*truth),
            (
                Values::Numbers(all),
                Value::Integer(number)
                | Value::Instant(number)
                | Value::Cents(number)
                | Value::Milli(number)
                | Value::Share(number),
            ) => all.push(*number),
            (Values::Texts(all, ends), Value::Text(text)) => return Ok(push_bytes(all, ends, text.as_bytes())),
            (Values::Texts(all, ends), Value::Bytes(bytes)) => return Ok(push_bytes(all, ends, bytes)),
            (_, value) => return Err(ParquetError::General(format!("{value:?} is not of its column's type"))),
        }
        Ok(0)
    }

    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<()> {
        let missing = || ParquetError::General("the schema has fewer columns than the table".to_owned());
        let mut writer = group.next_column()?.ok_or_else(missing)?;
        let present = self.present.as_deref();
        match &mut self.values {
            Values::Booleans(all) => {
                writer.typed::<BoolType>().write_batch(all, present, None)?;
                all.clear();
            }
            Values::Numbers(all) => {
                writer.typed::<Int64Type>().write_batch(all, present, None)?;
                all.clear();
            }
            Values::Texts(all, ends) => {
                // One allocation for all of them.
                let all = Bytes::from(std::mem::take(all));
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let texts: Vec<_> =
                    starts.zip(&*ends).map(|(start, end)| ByteArray::from(all.slice(start..*end))).collect();
                writer.typed::<ByteArrayType>().write_batch(&texts, present, None)?;
                ends.clear();
            }
        }
        if let Some(present) = &mut self.present {
            present.clear();
        }
        writer.close()
    }
}

fn push_bytes(all: &mut Vec<u8>, ends: &mut Vec<usize>, bytes: &[u8]) -> usize {
    all.extend_from_slice(bytes);
    ends.push(all.len());
    bytes.len()
}

/// A file of a table's rows in the making. It is made in memory: a store takes objects whole.
pub(super) struct FileWriter {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Column>,
    stamps: Vec<Column>,
    rows_in_group: usize,
    bytes_in_group: usize,
    rows: u64,
    bytes: usize,
}

impl FileWriter {
    pub(super) fn new(table: &Table) -> Result<FileWriter> {
        let writer = SerializedFileWriter::new(Vec::new(), schema(table)?, properties(table)?)?;
        let columns = table.columns.iter().enumerate();
        let columns = columns.map(|(at, column)| Column::new(column.ty, at >= table.key_columns)).collect();
        let stamps = STAMPS.iter().map(|(_, ty)| Column::new(*ty, false)).collect();
        Ok(FileWriter { writer, columns, stamps, rows_in_group: 0, bytes_in_group: 0, rows: 0, bytes: 0 })
    }

    /// Adds a row: all its values, or the key of one that is gone.
    pub(super) fn push(&mut self, values: &[Value], stamp: Stamp) -> Result<()> {
        let mut bytes = 0;
        for (at, column) in self.columns.iter_mut().enumerate() {
            bytes += column.push(values.get(at).unwrap_or(&Value::Null))?;
        }
        let [op, epoch, generation, updated_at] = self.stamps.as_mut_slice() else {
            return Err(ParquetError::General("there are other stamps than those known".to_owned()));
        };
        if let Values::Texts(all, ends) = &mut op.values {
            push_bytes(all, ends, stamp.op().as_bytes());
        }
        epoch.push(&Value::Integer(stamp.epoch as i64))?;
        generation.push(&Value::Integer(stamp.generation as i64))?;
        updated_at.push(&Value::Instant(stamp.updated_at))?;
        self.rows += 1;
        self.rows_in_group += 1;
        self.bytes_in_group += bytes;
        self.bytes += bytes;
        if self.rows_in_group >= ROWS_PER_GROUP || self.bytes_in_group >= GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        if self.rows_in_group == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in self.columns.iter_mut().chain(&mut self.stamps) {
            column.write(&mut group)?;
        }
        group.close()?;
        (self.rows_in_group, self.bytes_in_group) = (0, 0);
        Ok(())
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// How many bytes of text came in: a bound for what is held in memory, not what is written.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.end_group()?;
        self.writer.into_inner()
    }
}
