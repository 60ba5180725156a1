//! Metrics that are declared in SQL over the shop's own events: what is read of an event is its row in its raw table.

use super::RAW;
use crate::declared::family::of_value;
use crate::declared::metrics::Metrics;
use crate::declared::plan::{Column, Family as Plan, Type};
use crate::declared::row::{Datum, Declared};
use crate::table::{self, Person, TableId, Value};
use crate::time::Instant;
use std::sync::OnceLock;

static DECLARED: OnceLock<Vec<&'static Metrics>> = OnceLock::new();

/// From now on these are computed too. A process has one model, which is known before anything asks for tables.
///
/// # Panics
/// If some were declared before.
pub fn declare(metrics: Vec<&'static Metrics>) {
    assert!(DECLARED.set(metrics).is_ok(), "metrics over the shop's events are declared once");
}

/// Those that are computed too.
pub fn declared() -> &'static [&'static Metrics] {
    DECLARED.get().map_or(&[], Vec::as_slice)
}

/// The type of a column for SQL, if it is read there.
fn read(column: &table::Column) -> Option<Type> {
    // It may say who somebody is, as a part of a text: what is kept of it could not be forgotten.
    if matches!(column.person, Some(Person::Called(_))) {
        return None;
    }
    match column.ty {
        table::Type::Integer => Some(Type::Number(0)),
        table::Type::Money => Some(Type::Number(2)),
        table::Type::Milli => Some(Type::Number(3)),
        table::Type::Boolean => Some(Type::Boolean),
        table::Type::Instant => Some(Type::Instant),
        table::Type::Text => Some(Type::Text),
        table::Type::Json | table::Type::Bytes => None,
    }
}

/// The columns of a raw table that SQL reads, with their places there.
fn columns(id: TableId) -> impl Iterator<Item = (usize, &'static table::Column, Type)> {
    let table = id.table();
    let own = table.columns.iter().enumerate().skip(table.key_columns);
    own.filter_map(|(place, column)| Some((place, column, read(column)?)))
}

/// What SQL reads, as plans without metrics: the raw tables whose events have a time.
pub fn families() -> Vec<Plan> {
    RAW.iter().filter_map(|id| family(*id)).collect()
}

fn family(id: TableId) -> Option<Plan> {
    let (_, age) = id.table().age()?;
    let is = |wanted: &table::Column| columns(id).position(|(_, column, _)| column.name == wanted.name);
    let person = id.table().columns.iter().find(|column| column.person == Some(Person::Number));
    Some(Plan {
        name: id.name().to_owned(),
        doc: id.table().doc.to_owned(),
        columns: columns(id)
            .map(|(_, column, ty)| Column {
                name: column.name.to_owned(),
                doc: column.doc.to_owned(),
                ty,
                nullable: column.nullable,
                is_personal: column.emptied.is_some(),
            })
            .collect(),
        time: is(age)?,
        person: person.and_then(is),
        once: None,
        metrics: Vec::new(),
    })
}

/// The raw tables that are read by metrics, with these.
pub(super) struct Readers(Vec<(TableId, Vec<usize>)>);

impl Readers {
    /// Of metrics that are computed.
    pub(super) fn of(metrics: &[&Metrics]) -> Readers {
        let table = |metrics: &&Metrics| RAW.iter().copied().find(|id| id.name() == metrics.plan().name);
        let places = |id: TableId| columns(id).map(|(place, _, _)| place).collect();
        Readers(metrics.iter().filter_map(table).map(|id| (id, places(id))).collect())
    }

    /// Whether events of a raw table are read.
    pub(super) fn read(&self, id: TableId) -> bool {
        self.0.iter().any(|(table, _)| *table == id)
    }

    /// The event of a row of a raw table, for those metrics that read it: which, by their place.
    pub(super) fn event(&self, id: TableId, at: Instant, values: &[Value]) -> Option<(usize, Declared)> {
        let (place, (_, columns)) = self.0.iter().enumerate().find(|(_, (table, _))| *table == id)?;
        let row = columns.iter().map(|column| values.get(*column).map_or(Datum::Null, of_value)).collect();
        Some((place, Declared { at, row }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sql_reads_of_a_raw_table_is_its_row_without_where_it_came_from() {
        let families = families();
        let names: Vec<_> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names, ["consumer_events", "item_view_events", "cart_events", "rating_events"]);
        for Plan { name, columns, time, person, .. } in &families {
            assert_eq!((columns[*time].name.as_str(), columns[*time].ty), ("timestamp", Type::Instant), "{name}");
            assert_eq!(person.map(|place| columns[place].name.as_str()), Some("user_id"), "{name}");
        }
        // A purchase's cart is called by its user.
        assert!(families[2].columns.iter().all(|column| column.name != "cart_id"));
        let readers = Readers(vec![(RAW[3], columns(RAW[3]).map(|(place, _, _)| place).collect())]);
        let integer = Value::Integer;
        let text = |text: &str| Value::Text(text.to_owned());
        let row = [
            text("t"),
            integer(0),
            integer(7),
            text("item_rating"),
            Value::Instant(5),
            integer(1),
            text("m"),
            integer(4),
        ];
        let (place, Declared { at, row }) = readers.event(RAW[3], 5, &row).expect("it is read");
        assert_eq!((place, at, row.columns()), (0, 5, 5));
        let read: Vec<_> = (0..5).map(|place| row.column(place)).collect();
        let is = [
            Datum::Text("item_rating".into()),
            Datum::Instant(5),
            Datum::Number(1),
            Datum::Text("m".into()),
            Datum::Number(4),
        ];
        assert_eq!(read, is);
        assert!(readers.event(RAW[0], 5, &[]).is_none());
    }
}
