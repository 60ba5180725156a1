//! Tables, declared once. DDL, feeds and documentation are made from these declarations.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::LazyLock;

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
                | Value::Milli(_) => 0,
            }
    }
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
    /// One row per accepted event; without `at` they are kept for ever.
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
    /// The key is the first so many columns.
    pub key_columns: usize,
    /// The columns, the key first. Every table has `_epoch` and `_updated_at` besides.
    pub columns: Vec<Column>,
}

impl Table {
    /// How rows come into it.
    pub fn kind(&self) -> Kind {
        match self.role {
            Role::Raw { .. } | Role::Rejected { .. } | Role::Late { .. } => Kind::Append,
            Role::Entity | Role::Metric => Kind::Upsert,
        }
    }

    /// The column that says how old a row is, and its place; none where rows are kept for ever.
    pub fn age(&self) -> Option<(usize, &Column)> {
        let at = match self.role {
            Role::Raw { at } => at?,
            Role::Rejected { at } | Role::Late { at } => at,
            Role::Entity | Role::Metric => return None,
        };
        self.columns.iter().enumerate().find(|(_, column)| column.name == at)
    }
}

/// The columns that every table has besides its own: the commit that last wrote the row, and its clock.
pub fn stamp_columns() -> [Column; 2] {
    [
        column("_epoch", Type::Integer, "The epoch of the commit that last wrote the row."),
        column("_updated_at", Type::Instant, "The clock of that epoch."),
    ]
}

/// A column that always holds a value.
pub fn column(name: &'static str, ty: Type, doc: &'static str) -> Column {
    Column { name, ty, nullable: false, incidental: false, doc }
}

/// A column that may hold nothing.
pub fn nullable(name: &'static str, ty: Type, doc: &'static str) -> Column {
    Column { nullable: true, ..column(name, ty, doc) }
}

/// A column that alone makes no difference.
pub fn incidental(name: &'static str, ty: Type, doc: &'static str) -> Column {
    Column { incidental: true, ..column(name, ty, doc) }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $id:ident => $make:path;)*) => {
        /// Which table, in the order in which they are shown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum TableId { $($(#[$doc])* $id),* }

        impl TableId {
            /// Every table.
            pub const ALL: &'static [TableId] = &[$(TableId::$id),*];
        }

        static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| vec![$($make()),*]);
    };
}

// The catalogue: one line per table. A metric's file declares its own.
tables! {
    /// Distinct users registered per window.
    UserRegistrationMetrics => crate::registrations::table;
    /// Distinct users with a checkout per window.
    CheckoutMetrics => crate::checkouts::table;
    /// Sessions per minute.
    SessionMetrics => crate::session_metrics::table;
    /// Open sessions.
    ActiveSessions => crate::active_sessions::table;
    /// What was sold.
    MovieSaleLines => crate::movie_sale_lines::table;
    /// Sales per movie and window.
    MovieSalesMetrics => crate::movie_sales_metrics::table;
    /// Movies by what is done with them.
    MovieStatistics => crate::movie_statistics::table;
    /// Users by what they do.
    UserActivity => crate::user_activity::table;
    /// Users by what kind of customer they are.
    UserSegments => crate::user_segments::table;
    /// Users.
    Users => crate::users::table;
    /// The catalog.
    MoviesCatalog => crate::movies_catalog::table;
    /// Raw registrations and sign events.
    ConsumerEvents => crate::raw::consumer_events;
    /// Raw item views.
    ItemViewEvents => crate::raw::item_view_events;
    /// Raw adds, checkouts and purchases.
    CartEvents => crate::raw::cart_events;
    /// Raw ratings.
    RatingEvents => crate::raw::rating_events;
    /// Raw catalog versions.
    CatalogEvents => crate::raw::catalog_events;
    /// What could not be accepted.
    RejectedEvents => crate::raw::rejected_events;
    /// What came too late.
    LateEvents => crate::raw::late_events;
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

impl TableId {
    /// The declaration.
    pub fn table(self) -> &'static Table {
        &TABLES[self as usize]
    }

    /// The table of that name.
    pub fn by_name(name: &str) -> Option<TableId> {
        Self::ALL.iter().copied().find(|id| id.table().name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_key_is_a_prefix_without_nulls() {
        let names: BTreeSet<_> = TableId::ALL.iter().map(|id| id.table().name).collect();
        assert_eq!(names.len(), TableId::ALL.len());
        for id in TableId::ALL {
            let table = id.table();
            let columns: BTreeSet<_> = table.columns.iter().map(|c| c.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{} repeats a column", table.name);
            assert!(table.key_columns > 0 && table.key_columns <= table.columns.len());
            assert!(table.columns[..table.key_columns].iter().all(|c| !c.nullable && !c.incidental));
            assert!(table.columns.iter().all(|c| c.doc.ends_with('.')), "{}: a doc is no sentence", table.name);
            assert_eq!(TableId::by_name(table.name), Some(*id));
            let says_its_age =
                matches!(table.role, Role::Raw { at: Some(_) } | Role::Rejected { .. } | Role::Late { .. });
            let is_instant = |(_, age): (usize, &Column)| age.ty == Type::Instant && !age.nullable;
            assert_eq!(table.age().is_some_and(is_instant), says_its_age, "{}: how old is a row?", table.name);
        }
    }
}
