//! The names of the fields that a family reads, made once at its start.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// How a field is read, whatever its writer calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it stands there.
    Text,
    /// An e-mail address and nothing else: what is stored of it is masked.
    Address,
    /// A number, an id or money: a writer's decimals and UUIDs are such, its instants are not.
    Plain,
    /// An instant: what a writer's schema says of its unit counts.
    Instant,
    /// A list of texts.
    Texts,
    /// Lists of texts by their names.
    Attributes,
    /// An object, of which the fields of a set are read.
    Object(Set),
}

/// The place of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(super) usize);

/// Fields that are read together: those of all events, or those that only one event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set(usize);

impl Set {
    /// The fields of all events.
    pub const ALL: Set = Set(0);
    /// Its place among the sets of a family.
    pub fn place(self) -> usize {
        self.0
    }
}

#[derive(Debug)]
struct Field {
    /// What stands before its value.
    name: &'static str,
    /// The same, behind the names of the objects that it is in: `device.type`.
    path: &'static str,
    kind: Kind,
    set: Set,
}

/// The names of a family's fields: each has a slot.
#[derive(Debug)]
pub struct Names {
    fields: Vec<Field>,
    /// Of each set, its fields by their names.
    tables: Vec<Table>,
    /// Behind the last slot of each set.
    ends: Vec<usize>,
    persons: Vec<&'static str>,
    /// What stood first in a record, then what stood behind each field: the place of a field. Records of a writer have theirs
    /// in one order.
    order: Vec<AtomicUsize>,
}

impl Default for Names {
    fn default() -> Names {
        Names {
            fields: Vec::new(),
            tables: vec![Table::default()],
            ends: vec![0],
            persons: Vec::new(),
            order: vec![AtomicUsize::new(usize::MAX)],
        }
    }
}

impl Names {
    /// The sets.
    pub fn sets(&self) -> impl Iterator<Item = Set> {
        (0..self.tables.len()).map(Set)
    }

    /// The names of all fields.
    pub fn all(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }

    /// The name of a field, with those of the objects that it is in: `device.type`.
    pub fn name(&self, slot: Slot) -> &'static str {
        self.fields[slot.0].path
    }

    /// How a field is read.
    #[inline]
    pub fn kind(&self, slot: Slot) -> Kind {
        self.fields[slot.0].kind
    }

    /// Behind the last slot of a set.
    pub(super) fn end(&self, set: Set) -> usize {
        self.ends[set.0]
    }

    /// The set that a field is of.
    pub(super) fn set(&self, slot: Slot) -> Set {
        self.fields[slot.0].set
    }

    /// The field of a name in a set.
    #[inline]
    pub fn find(&self, set: Set, name: &str) -> Option<Slot> {
        self.table(set).find(name).map(Slot)
    }

    /// The field of a set that stood behind this one, or first, when it was last said, if these bytes begin with its name;
    /// how long that is.
    #[inline(always)]
    pub fn guess(&self, set: Set, before: Option<Slot>, bytes: &[u8]) -> Option<(Slot, usize)> {
        let place = self.order[before.map_or(0, |before| before.0 + 1)].load(Relaxed);
        let Field { name, set: of, .. } = self.fields.get(place)?;
        let found = bytes.get(..name.len())?;
        // Names are short: to call for their comparison would take longer than to compare them.
        let is_it =
            Ends::of(found) == Ends::of(name.as_bytes()) && (name.len() <= Ends::WHOLE || found == name.as_bytes());
        (*of == set && is_it).then_some((Slot(place), name.len()))
    }

    /// Says which field stands behind this one, or first.
    pub fn stands_behind(&self, before: Option<Slot>, slot: Slot) {
        self.order[before.map_or(0, |before| before.0 + 1)].store(slot.0, Relaxed);
    }

    /// The field of all events that has this path, `device.type`, if it holds a single value.
    pub fn at_path(&self, path: &str) -> Option<Slot> {
        let is_meant = |field: &Field| field.path == path && self.is_of_all(field.set);
        let place = self.fields.iter().position(is_meant)?;
        match self.fields[place].kind {
            Kind::Text | Kind::Address | Kind::Plain | Kind::Instant => Some(Slot(place)),
            Kind::Texts | Kind::Attributes | Kind::Object(_) => None,
        }
    }

    /// Whether a set is that of all events, or that of an object in them.
    fn is_of_all(&self, set: Set) -> bool {
        set == Set::ALL || self.fields.iter().any(|field| field.kind == Kind::Object(set) && self.is_of_all(field.set))
    }

    /// The fields of a set by their names.
    #[inline]
    pub(super) fn table(&self, set: Set) -> &Table {
        &self.tables[set.0]
    }

    /// The fields that hold an e-mail address and nothing else.
    pub fn addresses(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().filter(|field| field.kind == Kind::Address).map(|field| field.name)
    }

    /// The fields that say whom an event is of.
    pub fn persons(&self) -> impl Iterator<Item = &'static str> {
        self.persons.iter().copied()
    }

    fn add_person(&mut self, name: &'static str) {
        if !self.persons.contains(&name) {
            self.persons.push(name);
        }
    }

    fn another_set(&mut self) -> Set {
        self.tables.push(Table::default());
        self.ends.push(0);
        Set(self.tables.len() - 1)
    }

    /// Where fields are said that are read.
    pub fn fields(&mut self) -> Fields<'_> {
        Fields::new(self)
    }

    fn add(&mut self, set: Set, (name, path): (&'static str, &'static str), kind: Kind) -> Slot {
        if let Some(known) = self.find(set, name) {
            assert_eq!(self.kind(known), kind, "`{path}` is read in two ways");
            return known;
        }
        self.fields.push(Field { name, path, kind, set });
        self.order.push(AtomicUsize::new(usize::MAX));
        let of_set = self.fields.iter().enumerate().filter(|(_, field)| field.set == set);
        let table = Table::of(of_set.map(|(place, field)| (field.name, place)));
        self.tables[set.0] = table;
        self.ends[set.0] = self.fields.len();
        Slot(self.fields.len() - 1)
    }
}

/// What the records of an event call its fields, by the names that its page has for them: a name, or a path into objects
/// (`user.id`).
pub type Called = BTreeMap<&'static str, &'static str>;

/// A field that would be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoWays {
    /// What the page calls it.
    pub field: &'static str,
    /// What records call it.
    pub path: &'static str,
}

/// Where a page says what it reads.
#[derive(Debug)]
pub struct Fields<'n> {
    names: &'n mut Names,
    set: Set,
    rest: Option<Set>,
    called: Called,
    asked: Vec<&'static str>,
    two_ways: Option<TwoWays>,
}

impl Fields<'_> {
    pub(super) fn new(names: &mut Names) -> Fields<'_> {
        Fields::called(names, Called::new())
    }

    /// Of an event whose records call its fields so.
    pub(super) fn called(names: &mut Names, called: Called) -> Fields<'_> {
        Fields { names, set: Set::ALL, rest: None, called, asked: Vec::new(), two_ways: None }
    }

    /// What the page calls the fields that it read.
    pub(super) fn asked(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.asked)
    }

    /// The first field that would be read in two ways.
    pub(super) fn two_ways(&self) -> Option<TwoWays> {
        self.two_ways
    }

    /// What the page reads in addition, if it does.
    pub(super) fn rest(&self) -> Option<Set> {
        self.rest
    }

    /// From here on fields are those that only this event has: they are read once it is known to be
    /// that, and none of them may stand there twice.
    pub fn read_besides(&mut self) {
        self.set = self.names.another_set();
        self.rest = Some(self.set);
    }

    /// What records call a field.
    fn path(&self, name: &'static str) -> &'static str {
        self.called.get(name).copied().unwrap_or(name)
    }

    /// A field by its name on the page, and how it is read.
    pub fn field(&mut self, name: &'static str, kind: Kind) -> Slot {
        self.asked.push(name);
        let path = self.path(name);
        self.within(path, kind).unwrap_or_else(|| {
            self.two_ways.get_or_insert(TwoWays { field: name, path });
            // Nothing is read by names that are refused.
            Slot(0)
        })
    }

    /// A field in an object, or in an object that is in one: `device.type`. Nothing if one of its names is that of a field
    /// that is read in another way.
    pub fn within(&mut self, path: &'static str, kind: Kind) -> Option<Slot> {
        let (mut set, mut from) = (self.set, 0);
        while let Some(end) = path[from..].find('.').map(|end| from + end) {
            let name = (&path[from..end], &path[..end]);
            set = match self.names.find(set, name.0).map(|slot| self.names.kind(slot)) {
                Some(Kind::Object(inner)) => inner,
                Some(_) => return None,
                None => {
                    let inner = self.names.another_set();
                    self.names.add(set, name, Kind::Object(inner));
                    inner
                }
            };
            from = end + 1;
        }
        let known = self.names.find(set, &path[from..]).map(|slot| self.names.kind(slot));
        known.is_none_or(|known| known == kind).then(|| self.names.add(set, (&path[from..], path), kind))
    }

    /// The field of this name says whom the event is of.
    pub fn names_person(&mut self, name: &'static str) {
        self.names.add_person(name);
    }

    /// The field that says whom the event is of.
    pub fn person(&mut self, name: &'static str) -> Slot {
        let path = self.path(name);
        self.names.add_person(path.rsplit('.').next().unwrap_or(path));
        self.field(name, Kind::Plain)
    }
}

/// Places by names: linear probing, over cells in which the names themselves are compared.
#[derive(Debug)]
pub(super) struct Table(Box<[Cell]>);

/// A name and its place; no name has the place `NOTHING`.
#[derive(Clone, Debug)]
struct Cell {
    ends: Ends,
    /// A name that its ends do not say whole.
    long: Option<&'static str>,
    place: usize,
}

const NOTHING: Cell = Cell { ends: Ends { first: 0, last: 0, bytes: 0 }, long: None, place: usize::MAX };

/// A name by its length, its first and its last bytes: all of it, if it is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    first: u64,
    last: u64,
    bytes: usize,
}

impl Ends {
    /// Longer names have a middle.
    const WHOLE: usize = 16;

    #[inline(always)]
    fn of(name: &[u8]) -> Ends {
        let bytes = name.len();
        if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            return Ends { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last), bytes };
        }
        let (first, last) = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
            _ => (name.iter().fold(0, |first, byte| first << 8 | u64::from(*byte)), 0),
        };
        Ends { first, last, bytes }
    }

    /// Multiplied and folded.
    #[inline(always)]
    fn scattered(&self) -> usize {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let word = self.first ^ self.last.rotate_left(32) ^ self.bytes as u64;
        (word.wrapping_mul(ODD) >> 32) as usize
    }
}

impl Default for Table {
    fn default() -> Table {
        Table(Box::new([NOTHING]))
    }
}

impl Table {
    /// Of names and their places.
    pub(super) fn of(names: impl Iterator<Item = (&'static str, usize)>) -> Table {
        let names: Vec<_> = names.collect();
        let mut cells = vec![NOTHING; (4 * names.len()).next_power_of_two()];
        let last = cells.len() - 1;
        for (name, place) in names {
            let ends = Ends::of(name.as_bytes());
            let mut at = ends.scattered() & last;
            while cells[at].place != NOTHING.place {
                at = (at + 1) & last;
            }
            cells[at] = Cell { ends, long: (name.len() > Ends::WHOLE).then_some(name), place };
        }
        Table(cells.into())
    }

    /// The place of a name.
    #[inline(always)]
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let ends = Ends::of(name.as_bytes());
        let mut at = ends.scattered();
        loop {
            let cell = self.0.get(at & (self.0.len() - 1))?;
            if cell.ends == ends && cell.long.is_none_or(|long| long == name) && cell.place != NOTHING.place {
                return Some(cell.place);
            }
            if cell.place == NOTHING.place {
                return None;
            }
            at += 1;
        }
    }
}

/// Whether two names differ only in how their words are joined: `userId`, `User_ID` and `user-id`.
pub fn sounds_like(name: &str, other: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase)
    }
    letters(name).eq(letters(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_its_set_and_no_other_is() {
        let mut names = Names::default();
        // Of all lengths, and such as differ in the middle alone, where nobody looks.
        let one: Vec<&str> =
            (0..40).map(|length| &"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"[..length]).collect();
        let like = ["same_a_same", "same_b_same", "same_c_same", "age", "ega", "gea"];
        let mut fields = Fields::new(&mut names);
        let slots: Vec<_> = one.iter().chain(&like).map(|name| fields.field(name, Kind::Plain)).collect();
        assert_eq!(fields.field("age", Kind::Plain), slots[43], "a field that several events have is one");
        fields.read_besides();
        let other = fields.field("age", Kind::Text);
        let rest = fields.rest().expect("some");
        for (name, slot) in one.iter().chain(&like).zip(&slots) {
            assert_eq!(names.find(Set::ALL, name), Some(*slot), "{name}");
            assert_eq!(names.name(*slot), *name);
        }
        assert_eq!((names.find(rest, "age"), names.find(rest, "ega")), (Some(other), None));
        for none in ["A", "same_d_same", "bcd", &"a".repeat(1_000)] {
            assert_eq!(names.find(Set::ALL, none), None, "{none}");
        }
    }
}
