//! One row for each value of a column: how many rows have it, and sums over them.

use super::asked::{Asked, Group};
use super::{PAGE_BYTES, clause, head};
use crate::serve::answer::Refusal;
use crate::serve::cells;
use crate::serve::reading::{Read, refused};
use crate::serve::shape::Shape;
use crate::sink::sqlite::quoted;
use dataflows::table::Type;
use rusqlite::types::ValueRef;

/// The groups, as the rows of a table: in the order that was asked for, and then of the values.
pub(super) fn rows(read: &Read, shape: &Shape, asked: &Asked, group: &Group) -> Result<String, Refusal> {
    let column = quoted(&group.column.name);
    // The file holds doubles: the JSON rounds their sum to the places that the exact one has.
    let sums = group.sums.iter().map(|sum| format!("sum({})", quoted(&sum.name)));
    let selected: Vec<_> = [column.clone(), "count(*)".to_owned()].into_iter().chain(sums).collect();
    let conditions: Vec<_> = asked.conditions.iter().map(|(sql, _)| sql.clone()).collect();
    let values: Vec<_> = asked.conditions.iter().flat_map(|(_, values)| values.iter().cloned()).collect();
    let by = asked.by.as_ref().and_then(|by| group.names().position(|name| name == by)).unwrap_or_default();
    let way = if asked.descending { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT {} FROM {}{} GROUP BY {column} ORDER BY {} {way}, 1 {way} LIMIT {}",
        selected.join(", "),
        quoted(&shape.name),
        clause("WHERE", &conditions, " AND "),
        by + 1,
        asked.limit,
    );
    let mut answer = read.guarded.ask_for(&sql, &values).map_err(|error| refused(&error))?;
    let mut reading = answer.rows();
    let types = [group.column.ty, Some(Type::Integer)].into_iter().chain(group.sums.iter().map(|sum| sum.ty));
    let types: Vec<_> = types.collect();
    let mut out = head(shape, read.progress.epoch, &group.names().collect::<Vec<_>>());
    let mut between = "[";
    while let Some(row) = reading.next_row().map_err(|error| refused(&error))? {
        if out.len() > PAGE_BYTES {
            let why = format!(
                "parameter `group`: the groups are larger than {} MB: ask for fewer (`limit`)",
                PAGE_BYTES >> 20
            );
            return Err(Refusal::wrong(why));
        }
        for (place, ty) in types.iter().enumerate() {
            out.push_str(if place == 0 { between } else { "," });
            cells::write_stored(&mut out, *ty, row.get_ref(place).unwrap_or(ValueRef::Null));
        }
        out.push(']');
        between = ",[";
    }
    out.push_str("],\"next\":null}");
    Ok(out)
}
