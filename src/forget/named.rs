//! Which rows name a person, and what becomes of them.

use super::payloads::Payloads;
use super::sought::Sought;
use crate::sink::{SinkError, Warehouse};
use dataflows::delta::Delta;
use dataflows::family::{Catalogue, FamilyId};
use dataflows::persons::Renaming;
use dataflows::table::{Role, TableId, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// How many rows are read at a time.
const PAGE: usize = 4096;

/// How many rows of a table were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// They are there, and are nobody's.
    pub renamed: u64,
    /// They are gone.
    pub removed: u64,
}

/// Persons, as rows name them.
pub struct Named<'a> {
    /// Whom.
    sought: &'a [Sought],
    /// How records are read that are kept as they came.
    pub payloads: &'a Payloads,
    /// Of which family the records of a topic are, where that is known.
    carries: BTreeMap<String, FamilyId>,
    /// Raw rows are not renamed, but deleted.
    pub deletes_raw: bool,
    /// Of the tables that have persons, whom each is asked for: by the place among those who are sought.
    tables: BTreeMap<TableId, usize>,
    /// Where the records came from whose raw rows name one of them.
    origins: RefCell<BTreeSet<Vec<Value>>>,
}

impl<'a> Named<'a> {
    /// By rows of these tables.
    pub fn new(catalogue: Catalogue, sought: &'a [Sought], payloads: &'a Payloads) -> Named<'a> {
        let of_table = |id: &TableId| {
            let family = catalogue.family_of(*id)?;
            Some((*id, sought.iter().position(|sought| sought.family == family)?))
        };
        let tables = catalogue.tables().iter().filter_map(of_table).collect();
        let (carries, origins) = (BTreeMap::new(), RefCell::default());
        Named { sought, payloads, carries, deletes_raw: false, tables, origins }
    }

    /// Where it is known of which family the records of a topic are, they are asked for its persons alone.
    pub fn carried(self, carries: BTreeMap<String, FamilyId>) -> Named<'a> {
        Named { carries, ..self }
    }

    /// Raw rows are deleted: nothing can be computed of them again.
    pub fn deleting_raw(self, deletes_raw: bool) -> Named<'a> {
        Named { deletes_raw, ..self }
    }

    /// Whom, in which families.
    pub fn sought(&self) -> &'a [Sought] {
        self.sought
    }

    /// Whether a row names one of them. Of one that is gone only the key is given, and only by it is it judged.
    pub fn names(&self, id: TableId, row: &[Value]) -> bool {
        match id.table().role {
            Role::Rejected { .. } => self.is_told_by(id, row),
            Role::Late { .. } => {
                let is_emptied = matches!(raw_of(id, row), Some((_, Value::Bytes(raw))) if raw.is_empty());
                let is_theirs = || self.origins.borrow().contains(&row[..id.table().key_columns]);
                !is_emptied && (is_theirs() || self.is_told_by(id, row))
            }
            Role::Raw { .. } | Role::Entity | Role::Metric | Role::Tally => {
                self.tables.get(&id).is_some_and(|place| id.table().names(row, &self.sought[*place].person))
            }
        }
    }

    /// Whether a record that is kept as it came names one of them, or its key does.
    fn is_told_by(&self, id: TableId, row: &[Value]) -> bool {
        let topic = value(id, row, "_topic");
        let family = if let Some((_, Value::Text(topic))) = topic { self.carries.get(topic) } else { None };
        let sought = self.sought.iter().filter(|sought| family.is_none_or(|family| *family == sought.family));
        let sought: Vec<&Sought> = sought.collect();
        if sought.is_empty() {
            return false;
        }
        let text = |bytes: &Value| {
            let Value::Bytes(bytes) = bytes else { return None };
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        };
        let key = value(id, row, "event_key").and_then(|(_, key)| text(key));
        let is_key = |Sought { family, person }: &Sought| {
            key.as_ref().is_some_and(|key| family.person(key).as_ref() == Some(person))
        };
        sought.iter().any(|sought| is_key(sought))
            || matches!(raw_of(id, row), Some((_, Value::Bytes(raw))) if self.payloads.names(&sought, raw))
    }

    /// What becomes of the rows of a table that name one of them, in the order of their keys. Raw rows come before those of
    /// late events, which are known by them.
    pub(super) fn changes(
        &self,
        sink: &mut dyn Warehouse,
        id: TableId,
        renamings: &[Renaming],
    ) -> Result<Vec<Delta>, SinkError> {
        let mut deltas = Vec::new();
        self.each(sink, id, |row| deltas.push(self.change(id, row, renamings)))?;
        Ok(deltas)
    }

    fn change(&self, id: TableId, row: &[Value], renamings: &[Renaming]) -> Delta {
        let key = &row[..id.table().key_columns];
        let is_raw = matches!(id.table().role, Role::Raw { .. });
        if is_raw {
            self.origins.borrow_mut().insert(key.to_vec());
        }
        let renaming = self.tables.get(&id).and_then(|place| renamings.get(*place));
        if let Some(renaming) = renaming.filter(|_| is_raw && !self.deletes_raw) {
            return Delta::Upsert(id.table().renamed(row, renaming));
        }
        // That it was late decides what SQL computes of its raw row, which stays.
        match raw_of(id, row).filter(|_| matches!(id.table().role, Role::Late { .. }) && !self.deletes_raw) {
            Some((place, _)) => {
                let mut emptied = row.to_vec();
                emptied[place] = Value::Bytes(Box::default());
                Delta::Upsert(emptied)
            }
            None => Delta::Delete(key.to_vec()),
        }
    }

    /// Notes of each family by which hash its events are known, and by which those of nobody are. Where it was broken off,
    /// some raw rows are nobody's already, and the state is not.
    pub(super) fn prints(&self, sink: &mut dyn Warehouse, renamings: &mut [Renaming]) -> Result<(), SinkError> {
        for (Sought { family, .. }, renaming) in self.sought.iter().zip(renamings) {
            let Renaming { person, nobody, .. } = renaming.clone();
            let (there, back) = (Renaming::new(person.clone(), nobody.clone()), Renaming::new(nobody, person));
            for id in family.raw() {
                pages(sink, id, |row| {
                    let (before, after) = if id.table().names(row, &there.person) {
                        (family.prints_of(id, row), family.prints_of(id, &id.table().renamed(row, &there)))
                    } else if id.table().names(row, &there.nobody) {
                        // What was emptied is no part of it.
                        (family.prints_of(id, &id.table().renamed(row, &back)), family.prints_of(id, row))
                    } else {
                        return;
                    };
                    renaming.prints.extend(before.into_iter().zip(after));
                    // Late events are known by where their raw rows came from, also where those are nobody's already.
                    self.origins.borrow_mut().insert(row[..id.table().key_columns].to_vec());
                })?;
            }
        }
        Ok(())
    }

    /// Each row of a table that names one of them.
    fn each(&self, sink: &mut dyn Warehouse, id: TableId, mut each: impl FnMut(&[Value])) -> Result<(), SinkError> {
        pages(sink, id, |row| {
            if self.names(id, row) {
                each(row);
            }
        })?;
        match self.payloads.away() {
            Some(why) => Err(SinkError::Unavailable(format!("could not read whom `{}` names: {why}", id.name()))),
            None => Ok(()),
        }
    }
}

/// Each row of a table.
fn pages(sink: &mut dyn Warehouse, id: TableId, mut each: impl FnMut(&[Value])) -> Result<(), SinkError> {
    let mut after = None::<Vec<Value>>;
    loop {
        let page = sink.page(id, after.as_deref(), PAGE)?;
        page.iter().for_each(|row| each(row));
        match page.last().filter(|_| page.len() == PAGE) {
            Some(last) => after = Some(last[..id.table().key_columns].to_vec()),
            None => return Ok(()),
        }
    }
}

fn value<'r>(id: TableId, row: &'r [Value], name: &str) -> Option<(usize, &'r Value)> {
    let place = id.table().columns.iter().position(|column| column.name == name)?;
    row.get(place).map(|value| (place, value))
}

/// The bytes of a record that is kept as it came, and their place.
fn raw_of(id: TableId, row: &[Value]) -> Option<(usize, &Value)> {
    value(id, row, "raw")
}
