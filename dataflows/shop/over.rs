//! Metrics that are declared in SQL over the shop's own events: what is read of an event is its row in its raw table.

use super::raw::table_of;
use super::settings::Settings;
use super::{RAW, columns::column};
use crate::declared::conditions::is_left_out;
use crate::declared::metrics::Metrics;
use crate::declared::plan::{Column, Family as Plan, Metric, Type};
use crate::declared::reading::EVENT_NAME;
use crate::declared::row::{Builder, Declared};
use crate::declared::walk::{columns as read_columns, of_events};
use crate::events::{Event, EventName};
use crate::table::{self, Person, TableId};
use std::collections::BTreeSet;
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
        table::Type::Share => Some(Type::Number(4)),
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

/// What metrics read of events.
pub(super) struct Readers {
    /// Of each raw table that is read, by the place of its metrics.
    tables: Vec<Read>,
    builder: Builder,
    spare: String,
}

struct Read {
    table: TableId,
    /// Which events any metric takes.
    takes: Vec<EventName>,
    /// Where a column for SQL stands, behind where an event came from; nothing of one that no metric reads.
    columns: Vec<Option<usize>>,
}

impl Read {
    /// What metrics of one table read, of those that are kept.
    fn of(table: TableId, metrics: &[&Metric], once: bool) -> Read {
        let key_columns = table.table().key_columns;
        let mut read = BTreeSet::new();
        metrics.iter().flat_map(|metric| of_events(metric)).for_each(|expr| read_columns(expr, &mut read));
        let name = columns(table).position(|(_, column, _)| column.name == EVENT_NAME);
        let is_taken = |event: &EventName| {
            let is_left_out = |metric: &&Metric| name.is_some_and(|name| is_left_out(metric, name, event.as_str()));
            // If those that are repeated count once, one that no metric takes is known again by a metric of tomorrow.
            once || !metrics.iter().all(is_left_out)
        };
        let place_of_read =
            |(place, (of_raw, _, _)): (usize, (usize, _, _))| read.contains(&place).then_some(of_raw - key_columns);
        Read {
            table,
            takes: EventName::ALL.iter().copied().filter(is_taken).collect(),
            columns: columns(table).enumerate().map(place_of_read).collect(),
        }
    }
}

impl Readers {
    /// Of metrics that are computed.
    pub(super) fn of(metrics: &[&Metrics], settings: &Settings) -> Readers {
        let read = |metrics: &&Metrics| {
            let table = RAW.iter().copied().find(|id| id.name() == metrics.plan().name)?;
            let kept = metrics.tables().iter().zip(&metrics.plan().metrics);
            let kept = kept.filter(|(id, _)| settings.lane.tables.contains(**id)).map(|(_, metric)| metric);
            Some(Read::of(table, &kept.collect::<Vec<_>>(), settings.once))
        };
        Readers { tables: metrics.iter().filter_map(read).collect(), builder: Builder::default(), spare: String::new() }
    }

    /// An event for those metrics that read it: which, by their place. What none of them reads of it is null.
    pub(super) fn event(&mut self, event: &Event) -> Option<(usize, Declared)> {
        let Readers { tables, builder, spare } = self;
        let (which, table) = (event.which(), table_of(event));
        let is_read = |read: &Read| read.takes.contains(&which) && read.table == table;
        let place = tables.iter().position(is_read)?;
        for place in &tables[place].columns {
            match place {
                Some(place) => builder.push(&column(event, *place, spare)),
                None => builder.null(),
            }
        }
        Some((place, Declared { at: event.timestamp(), row: builder.row() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::family::of_value;
    use crate::declared::plan::{Compare, Expr, Literal, Node, Source};
    use crate::declared::row::{Datum, Row};
    use crate::raw::Append;
    use crate::shop::raw::tests::{events, row};

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
    }

    fn metric(filter: Option<Expr>, keys: Vec<Expr>) -> Metric {
        let (name, doc) = (String::new(), String::new());
        let (leaves, aggregates, outputs) = (Vec::new(), Vec::new(), Vec::new());
        Metric {
            name,
            doc,
            filter,
            keys,
            leaves,
            aggregates,
            having: None,
            outputs,
            of: Source::Events,
            asks: Vec::new(),
        }
    }

    fn expr(node: Node, ty: Type) -> Expr {
        Expr { node, ty, nullable: false }
    }

    fn called(names: &[&str]) -> Expr {
        let literals = names.iter().map(|name| Literal::Text((*name).to_owned())).collect();
        expr(Node::In(Box::new(expr(Node::Column(0), Type::Text)), literals), Type::Boolean)
    }

    fn readers(metrics: &[Metric], once: bool) -> Readers {
        let metrics: Vec<_> = metrics.iter().collect();
        let with_time = RAW.iter().filter(|id| family(**id).is_some());
        let tables = with_time.map(|id| Read::of(*id, &metrics, once)).collect();
        Readers { tables, builder: Builder::default(), spare: String::new() }
    }

    /// The packed row of an event's row in its raw table.
    fn packed(event: &Event) -> Row {
        let Append { table, values } = row(event);
        columns(table).map(|(place, _, _)| of_value(&values[place])).collect()
    }

    #[test]
    fn what_is_packed_of_an_event_is_what_its_raw_row_has() {
        let all: Vec<_> = (0..9).map(|place| expr(Node::Column(place), Type::Text)).collect();
        let mut readers = readers(&[metric(None, all)], false);
        for event in events().iter().filter(|event| !matches!(event, Event::Catalog(_))) {
            let (place, Declared { at, row }) = readers.event(event).expect("it is read");
            assert_eq!((RAW[place], at), (table_of(event), event.timestamp()));
            assert_eq!(row, packed(event), "{}", event.name());
        }
    }

    #[test]
    fn a_column_that_no_metric_reads_is_null() {
        let mut readers =
            readers(&[metric(Some(called(&["item_view"])), vec![expr(Node::Column(1), Type::Instant)])], false);
        let views: Vec<_> = events().into_iter().filter(|event| matches!(event, Event::ItemView(_))).collect();
        for event in &views {
            let (_, Declared { row, .. }) = readers.event(event).expect("it is read");
            let whole = packed(event);
            let read: Vec<_> = (0..4).map(|place| row.column(place)).collect();
            assert_eq!(read, [whole.column(0), whole.column(1), Datum::Null, Datum::Null]);
            assert_eq!(row.columns(), whole.columns());
        }
    }

    #[test]
    fn an_event_that_every_metric_leaves_out_by_its_name_is_not_read() {
        let (viewed, signed) = (called(&["item_view"]), called(&["sign_in", "sign_out"]));
        let older = expr(
            Node::Compare(
                Compare::Greater,
                Box::new(expr(Node::Column(1), Type::Instant)),
                Box::new(expr(Node::Literal(Literal::Instant(0)), Type::Instant)),
            ),
            Type::Boolean,
        );
        let read = |filters: &[&Expr], once| {
            let metrics: Vec<_> = filters.iter().map(|filter| metric(Some((*filter).clone()), Vec::new())).collect();
            let mut readers = readers(&metrics, once);
            let read: BTreeSet<_> = events().iter().filter(|e| readers.event(e).is_some()).map(Event::name).collect();
            read.into_iter().collect::<Vec<_>>()
        };
        let both = expr(Node::And(vec![older.clone(), viewed.clone()]), Type::Boolean);
        let either = expr(Node::Or(vec![older.clone(), viewed.clone()]), Type::Boolean);
        let all = read(&[&older], false);
        assert_eq!(all.len(), EventName::ALL.len() - 1, "versions of the catalog are never read");
        assert_eq!(read(&[&both], false), ["item_view"]);
        assert_eq!(read(&[&either], false), all);
        assert_eq!(read(&[&both, &signed], false), ["item_view", "sign_in", "sign_out"]);
        assert_eq!(read(&[&both, &older], false), all);
        assert_eq!(read(&[&both], true), all);
    }
}
