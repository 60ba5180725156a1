//! Who somebody is, and nobody, who stands there once somebody was forgotten.

use crate::table::{Column, Person, Table, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// From here on ids are nobody's: those of people who asked to be forgotten. Ids of events are below: they are signed
/// where they come from.
pub const NOBODY: u64 = 1 << 63;

/// Ids that are texts and begin so are nobody's. No event has such an id.
pub const NOBODY_CALLED: &str = "nobody:";

/// Who somebody is. What a family calls a person is one of these, and no other family need mean the same by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Id {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

impl Id {
    /// Nobody, as an id of the same kind. 128 bits of the random numbers are in a text, 63 in a number.
    pub fn nobody(&self, random: u128) -> Id {
        match self {
            Id::Number(_) => Id::Number(NOBODY | random as u64),
            Id::Text(_) => Id::Text(format!("{NOBODY_CALLED}{random:032x}")),
        }
    }

    /// Whether this is nobody.
    pub fn is_nobody(&self) -> bool {
        match self {
            Id::Number(id) => *id >= NOBODY,
            Id::Text(id) => id.starts_with(NOBODY_CALLED),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(id) => write!(f, "{id}"),
            Id::Text(id) => f.write_str(id),
        }
    }
}

/// That somebody is nobody from now on, in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// Who.
    pub person: Id,
    /// Which nobody.
    pub nobody: Id,
    /// Of events that are known by a hash: what it was, and what it is of the event of nobody.
    pub prints: BTreeMap<u128, u128>,
}

impl Renaming {
    /// Of events that are not known by hashes.
    pub fn new(person: Id, nobody: Id) -> Renaming {
        Renaming { person, nobody, prints: BTreeMap::new() }
    }

    /// Both, if they are numbers.
    pub fn numbers(&self) -> Option<(u64, u64)> {
        match (&self.person, &self.nobody) {
            (Id::Number(person), Id::Number(nobody)) => Some((*person, *nobody)),
            (Id::Number(_) | Id::Text(_), _) => None,
        }
    }
}

impl Person {
    /// Whether a value names a person.
    pub fn is(self, value: &Value, person: &Id) -> bool {
        self.value(person).is_some_and(|named| named == *value)
    }

    /// The value that names a person; none where persons are not of that kind.
    pub fn value(self, person: &Id) -> Option<Value> {
        match (self, person) {
            (Person::Number, Id::Number(id)) => Some(Value::Integer(*id as i64)),
            (Person::Text, Id::Text(id)) => Some(Value::Text(id.clone())),
            (Person::Called(before), Id::Number(id)) => Some(Value::Text(format!("{before}{}", *id as i64))),
            (Person::Number | Person::Text | Person::Called(_), _) => None,
        }
    }

    /// Whether a value is nobody's. As integers, nobody's ids are below zero.
    pub fn is_nobody(self, value: &Value) -> bool {
        match (self, value) {
            (Person::Number, Value::Integer(id)) => *id < 0,
            (Person::Text, Value::Text(id)) => id.starts_with(NOBODY_CALLED),
            (Person::Called(before), Value::Text(text)) => {
                text.strip_prefix(before).is_some_and(|id| id.starts_with('-'))
            }
            (Person::Number | Person::Text | Person::Called(_), _) => false,
        }
    }

    /// The same in SQL that any SQLite runs, of a column.
    pub fn is_nobody_in_sql(self, column: &str) -> String {
        match self {
            Person::Number => format!("{column} < 0"),
            Person::Text => format!("{column} GLOB '{NOBODY_CALLED}*'"),
            Person::Called(before) => format!("{column} GLOB '{before}-*'"),
        }
    }
}

impl Table {
    /// Whether a row names a person in one of its columns.
    pub fn names(&self, row: &[Value], person: &Id) -> bool {
        let mut columns = self.columns.iter().zip(row);
        columns.any(|(column, value)| column.person.is_some_and(|by| by.is(value, person)))
    }

    /// Whether a row is nobody's.
    pub fn is_nobodys(&self, row: &[Value]) -> bool {
        let mut columns = self.columns.iter().zip(row);
        columns.any(|(column, value)| column.person.is_some_and(|by| by.is_nobody(value)))
    }

    /// A row that names a person, as the row of nobody: what says who it was is gone, everything else stays.
    pub fn renamed(&self, row: &[Value], Renaming { person, nobody, prints: _ }: &Renaming) -> Vec<Value> {
        let value = |(column, value): (&Column, &Value)| {
            let named = column.person.filter(|by| by.is(value, person)).and_then(|by| by.value(nobody));
            named.or_else(|| column.emptied.clone()).unwrap_or_else(|| value.clone())
        };
        self.columns.iter().zip(row).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_of_the_kind_of_somebody_and_is_known() {
        for person in [Id::Number(7), Id::Text("7".to_owned())] {
            assert!(!person.is_nobody());
            let (one, other) = (person.nobody(1 << 64 | 5), person.nobody(u128::MAX));
            assert!(one.is_nobody() && other.is_nobody() && one != other);
            assert_eq!(matches!(person, Id::Number(_)), matches!(one, Id::Number(_)));
        }
        assert_eq!(
            Id::Text(String::new()).nobody(0xab),
            Id::Text("nobody:000000000000000000000000000000ab".to_owned())
        );
    }
}
