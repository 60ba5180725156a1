//! Tables, declared once. DDL, feeds and documentation are made from these declarations.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// What a column holds. How it is written is each warehouse's own matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A 64-bit integer.
    Integer,
    /// True or false.
    Boolean,
    /// A point in time, UTC, to the millisecond.
    Instant,
    /// Money with two decimals; integer cents inside.
    Money,
    /// A number with three decimals; integer thousandths inside.
    Milli,
    /// A share with four decimals, 0 to 1; integer ten-thousandths inside.
    Share,
    /// Text.
    Text,
    /// JSON: a list or an object, as text where a warehouse has no such type.
    Json,
    /// Bytes as they came.
    Bytes,
}

/// A value of a row. The order is the order of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Value {
    /// No value.
    Null,
    /// A truth value.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// Milliseconds since 1970.
    Instant(i64),
    /// Cents.
    Cents(i64),
    /// Thousandths.
    Milli(i64),
    /// Text or JSON.
    Text(String),
    /// Bytes. In a box, which makes a value three words instead of four.
    Bytes(Box<[u8]>),
    /// Ten-thousandths. The last, since what is written down counts those before it.
    Share(i64),
}

impl Value {
    /// Text, or null.
    pub fn text_or_null(text: Option<String>) -> Value {
        text.map_or(Value::Null, Value::Text)
    }

    /// A mean in thousandths, rounded half up; null of nothing. For sums that are not negative.
    pub fn mean_or_null(sum_milli: i64, count: i64) -> Value {
        if count == 0 { Value::Null } else { Value::Milli((2 * sum_milli + count) / (2 * count)) }
    }

    /// A part of a whole in ten-thousandths, rounded half up; null of nothing.
    pub fn share_or_null(part: u64, whole: u64) -> Value {
        let (part, whole) = (i128::from(part), i128::from(whole));
        if whole == 0 { Value::Null } else { Value::Share(((20_000 * part + whole) / (2 * whole)) as i64) }
    }

    /// About how many bytes the value holds in memory.
    pub fn size(&self) -> usize {
        std::mem::size_of::<Value>()
            + match self {
                Value::Text(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                Value::Null
                | Value::Boolean(_)
                | Value::Integer(_)
                | Value::Instant(_)
                | Value::Cents(_)
                | Value::Milli(_)
                | Value::Share(_) => 0,
            }
    }
}

/// How a column names a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// By the number.
    Number,
    /// By the text.
    Text,
    /// By text: this, and the number.
    Called(&'static str),
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub ty: Type,
    /// Whether it may hold nothing.
    pub nullable: bool,
    /// A row that differs from the stored one in nothing but such columns does not differ. (A
    /// catalog that is read again under a later timestamp.)
    pub incidental: bool,
    /// How it names a person, if it does.
    pub person: Option<Person>,
    /// What it holds once the person of its row was forgotten; nothing if that stays as it is.
    pub emptied: Option<Value>,
    /// What it means, with its unit.
    pub doc: &'static str,
}

/// How rows come into a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One row per key, rewritten when it changes.
    Upsert,
    /// Rows are added and never change.
    Append,
}

/// What a table's rows are. What is done with them follows from it: how they are written, whether they are purged, what
/// a metric's SQL reads. `at` names the column that says how old a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One row per accepted event; without `at` they are kept forever.
    Raw {
        /// An instant, behind the watermark.
        at: Option<&'static str>,
    },
    /// One row per record that was rejected.
    Rejected {
        /// An instant of the clock.
        at: &'static str,
    },
    /// One row per event that came too late.
    Late {
        /// An instant, behind the watermark.
        at: &'static str,
    },
    /// One row per thing that events speak of, such as a user: the last that was said of it.
    Entity,
    /// What is computed.
    Metric,
    /// What is counted of what comes, and of no event.
    Tally,
}

/// A view that has a row for every minute boundary, of a table that has rows only where there is news: the first column
/// says at which boundary. What stands between two rows is carried forward.
#[derive(Clone, Debug)]
pub struct ByMinute {
    /// Its name.
    pub name: &'static str,
    /// What it says, in one sentence with its grain.
    pub doc: &'static str,
    /// The columns that are of their minute alone, and what they are where there is no row: `0` or `NULL`.
    pub of_the_minute: &'static [(&'static str, &'static str)],
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What it says, in one sentence with its grain.
    pub doc: &'static str,
    /// What its rows are.
    pub role: Role,
    /// The column, an instant, by whose day readers look for rows that are found by another key; where warehouses order
    /// rows by themselves this is worth an order.
    pub cluster_by_day: Option<&'static str>,
    /// A view of every minute.
    pub by_minute: Option<ByMinute>,
    /// The key is the first so many columns.
    pub key_columns: usize,
    /// The columns, the key first. Every table also has `_epoch` and `_updated_at`.
    pub columns: Vec<Column>,
}

impl Table {
    /// How rows come into it.
    pub fn kind(&self) -> Kind {
        match self.role {
            Role::Raw { .. } | Role::Rejected { .. } | Role::Late { .. } => Kind::Append,
            Role::Entity | Role::Metric | Role::Tally => Kind::Upsert,
        }
    }

    /// The column that says how old a row is, and its place; none where rows are kept forever.
    pub fn age(&self) -> Option<(usize, &Column)> {
        let at = match self.role {
            Role::Raw { at } => at?,
            Role::Rejected { at } | Role::Late { at } => at,
            Role::Entity | Role::Metric | Role::Tally => return None,
        };
        self.columns.iter().enumerate().find(|(_, column)| column.name == at)
    }
}

/// The columns that every table has after its own: the commit that last wrote the row, and its clock.
pub fn stamp_columns() -> [Column; 2] {
    [
        column("_epoch", Type::Integer, "Number of the epoch whose commit last wrote the row."),
        column("_updated_at", Type::Instant, "Clock of that epoch, UTC: when the row was last computed."),
    ]
}

/// A column that always holds a value.
pub fn column(name: &'static str, ty: Type, doc: &'static str) -> Column {
    Column { name, ty, nullable: false, incidental: false, person: None, emptied: None, doc }
}

/// A column that may hold nothing.
pub fn nullable(name: &'static str, ty: Type, doc: &'static str) -> Column {
    Column { nullable: true, ..column(name, ty, doc) }
}

/// A column that alone makes no difference.
pub fn incidental(name: &'static str, ty: Type, doc: &'static str) -> Column {
    Column { incidental: true, ..column(name, ty, doc) }
}

/// A column of rows of a type, and how its value is had of a row.
pub struct Field<R> {
    /// What is declared of it.
    pub column: Column,
    /// Its value.
    pub value: Box<dyn Fn(&R) -> Value + Send + Sync>,
    is_key: bool,
}

impl<R> Field<R> {
    /// The column names a person: a row of nobody is not shown, and a person's rows are forgotten.
    pub fn person(mut self, person: Person) -> Field<R> {
        self.column.person = Some(person);
        self
    }
}

/// A column of the key. Those of a table stand before all others.
pub fn key<R>(
    name: &'static str,
    ty: Type,
    doc: &'static str,
    value: impl Fn(&R) -> Value + Send + Sync + 'static,
) -> Field<R> {
    Field { is_key: true, ..field(column(name, ty, doc), value) }
}

/// A column that is not part of the key.
pub fn field<R>(column: Column, value: impl Fn(&R) -> Value + Send + Sync + 'static) -> Field<R> {
    Field { column, value: Box::new(value), is_key: false }
}

impl Table {
    /// A table whose rows are these fields.
    pub fn of<R>(name: &'static str, doc: &'static str, role: Role, fields: Vec<Field<R>>) -> Table {
        let key_columns = fields.iter().take_while(|field| field.is_key).count();
        let columns = fields.into_iter().map(|field| field.column).collect();
        Table { name, doc, role, cluster_by_day: None, by_minute: None, key_columns, columns }
    }
}

/// A table that is declared in the program, made when it is first asked for.
pub struct Declared {
    name: &'static str,
    make: Option<fn() -> Table>,
    table: OnceLock<Table>,
}

impl Declared {
    /// A table of this name.
    pub const fn new(name: &'static str, make: fn() -> Table) -> Declared {
        Declared { name, make: Some(make), table: OnceLock::new() }
    }
}

/// Which table: a declaration that lives as long as the process. Two of one name are one table, and names are the
/// order: programs with the same tables have the same order, without a list that all agree upon.
#[derive(Clone, Copy)]
pub struct TableId(&'static Declared);

impl TableId {
    /// The table of a declaration.
    pub const fn of(declared: &'static Declared) -> TableId {
        TableId(declared)
    }

    /// A table that is declared while the program runs. Its memory is never given back.
    pub fn leaked(table: Table) -> TableId {
        TableId(Box::leak(Box::new(Declared { name: table.name, make: None, table: OnceLock::from(table) })))
    }

    /// The declaration.
    pub fn table(self) -> &'static Table {
        let Declared { name, make, table } = self.0;
        table.get_or_init(|| make.map_or_else(|| unreachable!("{name} was made where it was declared"), |make| make()))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name
    }
}

impl fmt::Debug for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl PartialEq for TableId {
    fn eq(&self, other: &TableId) -> bool {
        std::ptr::eq(self.0, other.0) || self.0.name == other.0.name
    }
}

impl Eq for TableId {}

impl Ord for TableId {
    fn cmp(&self, other: &TableId) -> Ordering {
        if std::ptr::eq(self.0, other.0) { Ordering::Equal } else { self.0.name.cmp(other.0.name) }
    }
}

impl PartialOrd for TableId {
    fn partial_cmp(&self, other: &TableId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for TableId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

/// A set of tables, of however many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables(Option<BTreeSet<TableId>>);

impl Tables {
    /// All of them.
    pub const ALL: Tables = Tables(None);

    /// Whether a table is one of them.
    pub fn contains(&self, id: TableId) -> bool {
        self.0.as_ref().is_none_or(|ids| ids.contains(&id))
    }
}

impl FromIterator<TableId> for Tables {
    fn from_iter<I: IntoIterator<Item = TableId>>(ids: I) -> Tables {
        Tables(Some(ids.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(name: &'static str) -> Table {
        let number = key("number", Type::Integer, "A number.", |number: &i64| Value::Integer(*number));
        let twice = field(column("twice", Type::Integer, "Twice the number."), |number| Value::Integer(2 * number));
        Table::of(name, "One row per number.", Role::Metric, vec![number, twice])
    }

    #[test]
    fn a_table_is_its_name_wherever_it_was_declared() {
        static DECLARED: Declared = Declared::new("numbers", || numbers("numbers"));
        let (one, other) = (TableId::of(&DECLARED), TableId::leaked(numbers("numbers")));
        assert_eq!((one, one.cmp(&other)), (other, Ordering::Equal));
        assert_eq!((one.table().key_columns, other.table().columns.len()), (1, 2));
        assert!(one < TableId::leaked(numbers("others")));
        assert_eq!(format!("{one:?}"), "numbers");
    }
}
