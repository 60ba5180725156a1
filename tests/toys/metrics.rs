//! Its metrics: how often each toy was lent, and how many children had one in an hour.

use super::events::Handed;
use dataflows::events::{Logs, Origin};

use dataflows::freeze;
use dataflows::lane::Lane;
use dataflows::operators::{Totals, distinct, finality, totals};
use dataflows::raw::{Append, origin_values, raw_table};
use dataflows::state::{Forgets, Kept, KeptBy};
use dataflows::table::{Column, Declared, Field, Person, Role, Table, TableId, Type, Value, column, field, key};
use dataflows::time::{Instant, Settings};
use dataflows::window::Window;
use timely::dataflow::operators::Concat;

dataflows::taps! {
    /// Toys that changed hands.
    handed: (String, i64);
    /// When which child had one.
    children: (Instant, u64);
    /// Rows of the raw table, of late events too.
    raw: Append;
}

static RAW: Declared = Declared::new("toy_events", || {
    let child = column("child", Type::Integer, "Id of the child.");
    let own = [
        column("event_name", Type::Text, "Name of the event."),
        column("timestamp", Type::Instant, "Time of the event, UTC."),
        Column { person: Some(Person::Number), ..child },
        column("toy", Type::Text, "Name of the toy."),
    ];
    raw_table("toy_events", "One row per toy that changed hands.", Role::Raw { at: Some("timestamp") }, own)
});
pub const TOY_EVENTS: TableId = TableId::of(&RAW);

pub fn append(event: &Handed, origin: &Origin, logs: &Logs) -> Append {
    let own = [
        Value::Text(event.name().to_owned()),
        Value::Instant(event.timestamp),
        Value::Integer(event.child as i64),
        Value::Text(event.toy.clone()),
    ];
    Append { table: TOY_EVENTS, values: origin_values(origin, logs).into_iter().chain(own).collect() }
}

static LOANS: Declared =
    Declared::new("toy_loans", || Table::of("toy_loans", "One row per toy that is out.", Role::Metric, loans_fields()));
pub const TOY_LOANS: TableId = TableId::of(&LOANS);

type Loans = (String, i64);

fn loans_fields() -> Vec<Field<Loans>> {
    vec![
        key("toy", Type::Text, "Name of the toy.", |(toy, _): &Loans| Value::Text(toy.clone())),
        field(column("out", Type::Integer, "Number of times the toy is out."), |(_, out): &Loans| Value::Integer(*out)),
    ]
}

static CHILDREN: Declared = Declared::new("toy_children", || {
    Table::of("toy_children", "One row per window in which a child had a toy.", Role::Metric, children_fields())
});
pub const TOY_CHILDREN: TableId = TableId::of(&CHILDREN);

type Children = ((Window, isize), bool);

fn children_fields() -> Vec<Field<Children>> {
    let kinds = "`tumbling` (1 h) or `sliding` (1 h every 15 min).";
    vec![
        key("window_type", Type::Text, kinds, |((window, _), _): &Children| {
            Value::Text(window.window_type.name().to_owned())
        }),
        key("timestamp", Type::Instant, "Start of the window, UTC, inclusive.", |((window, _), _): &Children| {
            Value::Instant(window.start)
        }),
        field(
            column("children", Type::Integer, "Number of distinct children in the window."),
            |((_, count), _): &Children| Value::Integer(*count as i64),
        ),
        field(
            column("is_final", Type::Boolean, "True once the row can no longer change."),
            |(_, is_final): &Children| Value::Boolean(*is_final),
        ),
    ]
}

static OUT: Kept<(String, i64)> = Kept { name: "toys/loans/out", version: 1, forgets: Forgets::NamesNobody };
static PANES: Kept<(Instant, u64)> = Kept {
    name: "toys/children/panes",
    version: 1,
    forgets: Forgets::BecomesNobodys(|(_, child), user, nobody| {
        let is_its = *child == user;
        *child = if is_its { nobody } else { *child };
        is_its
    }),
};
pub static KEPT: &[&dyn KeptBy] = &[&OUT, &PANES];

pub const METRICS: [(TableId, &str); 2] =
    [(TOY_LOANS, include_str!("loans.sql")), (TOY_CHILDREN, include_str!("children.sql"))];

pub fn build<'s>(lane: &mut Lane<'s>, split: &Split<'s>) {
    let said = split.handed.stream().concat(lane.restored(&OUT));
    let sums = Totals { name: OUT.name, end: Box::new(|_: &String| None), kept: Some(&OUT) };
    let rows = freeze(totals(said, lane.watermarks(), &lane.settings, &lane.ledger, sums));
    lane.rows(TOY_LOANS, loans_fields(), rows);

    let seen = split.children.stream().concat(lane.restored(&PANES));
    let gained = distinct(seen, lane.watermarks(), &lane.settings, &lane.ledger, &PANES);
    let leaves =
        Totals { name: "toys/children/counts", end: Box::new(|window: &Window| Some(window.end())), kept: None };
    let counts = totals(gained, lane.watermarks(), &lane.settings, &lane.ledger, leaves);
    let (end, name) = (|(window, _): &(Window, isize)| window.end(), "toys/children/open");
    let rows = finality(counts, lane.watermarks(), &lane.settings, &lane.ledger, name, Settings::final_cut, end);
    lane.rows(TOY_CHILDREN, children_fields(), freeze(rows));
}
