//! Files become rows again, group by group and a batch at a time.

use super::schema::{DELETE, Row, STAMPS, Stamp, UPSERT, schema};
use bytes::Bytes;
use dataflows::table::{Table, Type, Value};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

/// So many rows at a time.
const BATCH: usize = 1024;

/// The rows of one file, in their order.
pub(super) struct FileReader {
    file: SerializedFileReader<Bytes>,
    /// Per column of the table and stamp: its type, whether it may be null, and where it is in the file.
    columns: Vec<(Type, bool, Option<usize>)>,
    groups_read: usize,
    /// Readers of the group that is being read, and how many rows are left there.
    group: Vec<Option<ColumnReader>>,
    left: usize,
    batch: std::vec::IntoIter<Row>,
}

/// Whether a file has other columns or another key than a table. What is no key may be null there.
pub(super) fn has_another_shape(table: &Table, bytes: Vec<u8>) -> Result<bool> {
    let file = SerializedFileReader::new(Bytes::from(bytes))?;
    Ok(file.metadata().file_metadata().schema().get_fields() != schema(table)?.get_fields())
}

impl FileReader {
    pub(super) fn new(table: &Table, bytes: Vec<u8>) -> Result<FileReader> {
        let file = SerializedFileReader::new(Bytes::from(bytes))?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let find = |name: &str| schema.columns().iter().position(|column| column.name() == name);
        let own = table.columns.iter().enumerate().map(|(at, column)| {
            let place = find(column.name);
            // A column that came later is nothing in the files of before.
            match place.is_some() || column.nullable {
                true => Ok((column.ty, at >= table.key_columns, place)),
                false => Err(general(format!("it has no column `{}`", column.name))),
            }
        });
        let stamps = STAMPS.iter().map(|(name, ty)| match find(name) {
            Some(place) => Ok((*ty, false, Some(place))),
            None => Err(general(format!("it has no column `{name}`"))),
        });
        let columns = own.chain(stamps).collect::<Result<_>>()?;
        Ok(FileReader { file, columns, groups_read: 0, group: Vec::new(), left: 0, batch: Vec::new().into_iter() })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(row));
            }
            if self.left > 0 {
                self.read_batch()?;
            } else if self.groups_read < self.file.num_row_groups() {
                let group = self.file.get_row_group(self.groups_read)?;
                self.groups_read += 1;
                self.left = usize::try_from(group.metadata().num_rows()).map_err(|error| general(error.to_string()))?;
                let readers = self.columns.iter().map(|(_, _, place)| place.map(|at| group.get_column_reader(at)));
                self.group = readers.map(Option::transpose).collect::<Result<_>>()?;
            } else {
                return Ok(None);
            }
        }
    }

    fn read_batch(&mut self) -> Result<()> {
        let count = self.left.min(BATCH);
        self.left -= count;
        let width = self.columns.len() - STAMPS.len();
        let mut rows: Vec<Vec<Value>> = (0..count).map(|_| Vec::with_capacity(self.columns.len())).collect();
        for ((ty, optional, _), reader) in self.columns.iter().zip(&mut self.group) {
            match reader {
                Some(reader) => read_column(*ty, *optional, reader, &mut rows)?,
                None => rows.iter_mut().for_each(|row| row.push(Value::Null)),
            }
        }
        let rows: Vec<_> = rows.into_iter().map(|values| row(values, width)).collect::<Result<_>>()?;
        self.batch = rows.into_iter();
        Ok(())
    }
}

fn row(mut values: Vec<Value>, width: usize) -> Result<Row> {
    let stamp = match &values[width..] {
        [Value::Text(op), Value::Integer(epoch), Value::Integer(generation), Value::Instant(updated_at)]
            if op == UPSERT || op == DELETE =>
        {
            let (epoch, generation) = (*epoch as u64, *generation as u64);
            Stamp { deleted: op == DELETE, epoch, generation, updated_at: *updated_at }
        }
        other => return Err(general(format!("a row is stamped {other:?}"))),
    };
    values.truncate(width);
    Ok(Row { values, stamp })
}

fn read_column(ty: Type, optional: bool, reader: &mut ColumnReader, rows: &mut [Vec<Value>]) -> Result<()> {
    let text = |bytes: &ByteArray| match std::str::from_utf8(bytes.data()) {
        Ok(text) => Ok(Value::Text(text.to_owned())),
        Err(error) => Err(general(format!("a text is not UTF-8: {error}"))),
    };
    match (ty, reader) {
        (Type::Boolean, ColumnReader::BoolColumnReader(reader)) => {
            fill(reader, optional, rows, |truth| Ok(Value::Boolean(*truth)))
        }
        (Type::Integer, ColumnReader::Int64ColumnReader(reader)) => {
            fill(reader, optional, rows, |number| Ok(Value::Integer(*number)))
        }
        (Type::Instant, ColumnReader::Int64ColumnReader(reader)) => {
            fill(reader, optional, rows, |at| Ok(Value::Instant(*at)))
        }
        (Type::Money, ColumnReader::Int64ColumnReader(reader)) => {
            fill(reader, optional, rows, |cents| Ok(Value::Cents(*cents)))
        }
        (Type::Milli, ColumnReader::Int64ColumnReader(reader)) => {
            fill(reader, optional, rows, |milli| Ok(Value::Milli(*milli)))
        }
        (Type::Share, ColumnReader::Int64ColumnReader(reader)) => {
            fill(reader, optional, rows, |share| Ok(Value::Share(*share)))
        }
        (Type::Text | Type::Json, ColumnReader::ByteArrayColumnReader(reader)) => fill(reader, optional, rows, text),
        (Type::Bytes, ColumnReader::ByteArrayColumnReader(reader)) => {
            fill(reader, optional, rows, |bytes| Ok(Value::Bytes(bytes.data().into())))
        }
        _ => Err(general(format!("a column that should be {ty:?} is of another type"))),
    }
}

/// Adds the next value of a column to each row.
fn fill<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    optional: bool,
    rows: &mut [Vec<Value>],
    value: impl Fn(&T::T) -> Result<Value>,
) -> Result<()> {
    let (mut values, mut present) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    let mut read = 0;
    while read < rows.len() {
        let levels = optional.then_some(&mut present);
        let (more, _, _) = reader.read_records(rows.len() - read, levels, None, &mut values)?;
        if more == 0 {
            return Err(general("a column ends before the others".to_owned()));
        }
        read += more;
    }
    let mut values = values.iter();
    for (at, row) in rows.iter_mut().enumerate() {
        row.push(match optional && present.get(at) == Some(&0) {
            true => Value::Null,
            false => value(values.next().ok_or_else(|| general("a value is missing".to_owned()))?)?,
        });
    }
    Ok(())
}

fn general(detail: String) -> ParquetError {
    ParquetError::General(detail)
}
