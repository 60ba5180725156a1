//! A family of events, as everything outside its folder knows it; and all of them.

use crate::flow::{Inputs, Outputs};
use crate::gate::Gate;
use crate::persons::{Id, NOBODY};
use crate::quality::QUALITY;
use crate::raw::{LATE_EVENTS, REJECTED_EVENTS};
use crate::state::{KeptBy, Ledger, Section};
use crate::table::{Role, TableId, Value};
use crate::time::{Instant, Settings, Time};
use crate::wire::{Names, Reason};
use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use timely::dataflow::Scope;

/// A family: events of one shop, with the tables that are made of them.
pub trait Family: Sync {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// The tables of its metrics with the SQL that says what must be in them, in the order in which they are shown. A
    /// metric's SQL may read the family's raw tables, its pieces, and the metrics before it, as tables of their names.
    fn metrics(&self) -> Vec<(TableId, &'static str)>;

    /// What several metrics have in common: names, and the SQL that says what they are. Each may read those before it.
    fn pieces(&self) -> Vec<(&'static str, &'static str)>;

    /// Its raw tables, in the order in which they are shown.
    fn raw(&self) -> Vec<TableId>;

    /// The names of the fields that its events have.
    fn names(&self) -> &'static Names;

    /// A gate to its events that leads nowhere: records are judged there, and that is all.
    fn alone(&self) -> Box<dyn Gate>;

    /// The reasons for which its events, and no others, are rejected.
    fn reasons(&self) -> Vec<Reason>;

    /// Whom a text names, as an operator writes it; nothing if no event can be of such a person. Persons are numbers where a
    /// family does not say otherwise.
    fn person(&self, said: &str) -> Option<Id> {
        said.parse().ok().filter(|id| *id < NOBODY).map(Id::Number)
    }

    /// By what the event of a row of a raw table is known again, where what its operators keep knows events by hashes.
    fn prints_of(&self, id: TableId, row: &[Value]) -> Vec<u128> {
        let _ = (id, row);
        Vec::new()
    }

    /// The columns of a raw table without which its rows make no event, beside those that the SQL of what is computed
    /// names; nothing if it takes all.
    fn needs(&self, id: TableId) -> Option<Vec<usize>> {
        let _ = id;
        None
    }

    /// The event of a row of a raw table, for its gate to [take](Gate::take); nothing if no event makes such a row.
    fn event_of(&self, id: TableId, row: &[Value]) -> Option<Box<dyn Any>>;

    /// Which columns of a metric's key say when the first event of a group can have been, and how many milliseconds earlier an
    /// event may be that would be in the group too; nothing if it is not known.
    fn windows(&self, id: TableId) -> Vec<(usize, i64)> {
        let _ = id;
        Vec::new()
    }

    /// When rows of a metric have ended: from then on only a late event changes them. Nothing if they never do, or if it is not known.
    fn ending(&self, id: TableId) -> Option<Ending> {
        let _ = id;
        None
    }

    /// Of what is kept side by side of some tables, what is not kept for others too.
    ///
    /// # Errors
    /// If the section is not what this version writes.
    fn without_those_of(&self, section: &Section, others: &dyn Fn(TableId) -> bool) -> Result<Section, String> {
        let _ = others;
        Ok(section.clone())
    }

    /// Under which names operators keep records of several tables side by side: what is kept of some tables is put beside
    /// what is kept of others, and a record that is there twice is there once.
    fn kept_side_by_side(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Everything that its operators keep.
    fn kept(&self) -> Vec<&'static dyn KeptBy>;

    /// The records of a part of a snapshot as the first version wrote them, by what keeps them today. Only of the family
    /// that was the only one then.
    ///
    /// # Errors
    /// If the bytes are not what that version wrote.
    fn sections_of_before(&self, bytes: &[u8]) -> Option<Result<Vec<Section>, String>> {
        let _ = bytes;
        None
    }
}

/// When a row has ended, by its key or by all of its columns; nothing for one that never does.
pub type EndOf = dyn Fn(&[Value]) -> Option<Instant> + Send + Sync;

/// When rows of a metric have ended.
///
/// **Invariant.** Once the watermark is there, no event that is in time changes a row, but for the columns of the watermark.
pub struct Ending {
    /// By the key; if [a row](Ending::of_row) says more, no later than it says.
    pub of_key: Box<EndOf>,
    /// By all columns of a row, where the key alone does not say when: a session goes on for as long as its person does.
    pub of_row: Option<Box<EndOf>>,
    /// The columns that the watermark alone changes, by their places.
    pub of_watermark: Vec<usize>,
}

impl Ending {
    /// When a row has ended that is there, or is not any more: of one that is gone only the key is known.
    pub fn end(&self, key: &[Value], row: Option<&[Value]>) -> Option<Instant> {
        match (&self.of_row, row) {
            (Some(of_row), Some(row)) => of_row(row),
            (None, _) | (_, None) => (self.of_key)(key),
        }
    }
}

/// Which family. The families of a program stay for as long as the process.
#[derive(Clone, Copy)]
pub struct FamilyId(pub &'static dyn Family);

impl Deref for FamilyId {
    type Target = dyn Family;

    fn deref(&self) -> &(dyn Family + 'static) {
        self.0
    }
}

impl PartialEq for FamilyId {
    fn eq(&self, other: &FamilyId) -> bool {
        self.name() == other.name()
    }
}

impl Eq for FamilyId {}

impl fmt::Debug for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A family with its settings: what the dataflow of a lane is built of.
pub trait Configured: Send + Sync {
    /// Of which family.
    fn family(&self) -> FamilyId;

    /// What every lane has.
    fn lane(&self) -> &Settings;

    /// The same, with these settings of the lane.
    fn with(&self, lane: Settings) -> Arc<dyn Configured>;

    /// Whether it matters what came before a line of a sequence.
    fn judges_lines(&self) -> bool {
        self.lane().lateness_ms.is_some()
    }

    /// The named parameters of the metrics' SQL at a watermark.
    fn parameters(&self, watermark: Instant) -> Vec<(&'static str, i64)> {
        self.lane().parameters(watermark)
    }

    /// Settings in addition to the lane's that decide what was counted, and that no SQL names.
    fn unnamed(&self) -> Vec<(&'static str, Option<i64>)> {
        Vec::new()
    }

    /// The same, of settings that are words; of those that are as they are by default nothing.
    fn worded(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// Builds the tables that are kept, and the gate to them.
    fn build<'s>(&self, scope: Scope<'s, Time>, inputs: Inputs<'s>, ledger: &Ledger) -> (Box<dyn Gate>, Outputs<'s>);
}

/// The parameter that says whether the SQL of a family's metrics reads raw tables in which events that are equal in every
/// column are one row: 1, or else 0. No text of SQL names it.
pub const ONCE: &str = ":once";

struct All {
    families: Vec<FamilyId>,
    tables: Vec<TableId>,
    metrics: Vec<(TableId, &'static str)>,
    pieces: Vec<(&'static str, &'static str)>,
    kept: Vec<&'static dyn KeptBy>,
}

/// All families of a program, and with them all tables. Made once, and passed to everything that walks it.
#[derive(Clone, Copy)]
pub struct Catalogue(&'static All);

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.families.iter().map(|family| family.name())).finish()
    }
}

impl Catalogue {
    /// The catalogue of these families. It stays for as long as the process.
    ///
    /// # Panics
    /// If two tables or pieces, or two things that operators keep, have one name.
    pub fn of(families: &[&'static dyn Family]) -> Catalogue {
        let metrics: Vec<_> = families.iter().flat_map(|family| family.metrics()).collect();
        let raw = families.iter().flat_map(|family| family.raw()).chain([REJECTED_EVENTS, LATE_EVENTS, QUALITY]);
        let tables: Vec<_> = metrics.iter().map(|(id, _)| *id).chain(raw).collect();
        let pieces = families.iter().flat_map(|family| family.pieces()).collect();
        let kept: Vec<_> = families.iter().flat_map(|family| family.kept()).collect();
        let views = tables.iter().filter_map(|id| id.table().by_minute.as_ref().map(|view| view.name));
        let named = tables.iter().map(|id| id.name()).chain(views);
        unique(named.chain(families.iter().flat_map(|family| family.pieces()).map(|(name, _)| name)));
        unique(kept.iter().map(|kept| kept.name()));
        Catalogue(Box::leak(Box::new(All {
            families: families.iter().copied().map(FamilyId).collect(),
            tables,
            metrics,
            pieces,
            kept,
        })))
    }

    /// The family of a table; none of those that all share.
    pub fn family_of(self, id: TableId) -> Option<FamilyId> {
        let has =
            |family: &&FamilyId| family.raw().contains(&id) || family.metrics().iter().any(|(metric, _)| *metric == id);
        self.0.families.iter().find(has).copied()
    }

    /// The family of that name.
    pub fn family(self, name: &str) -> Option<FamilyId> {
        self.0.families.iter().copied().find(|family| family.name() == name)
    }

    /// The reason of a code.
    pub fn reason_of(self, code: &str) -> Option<Reason> {
        let own = self.0.families.iter().flat_map(|family| family.reasons());
        Reason::KERNEL.iter().copied().chain(own).find(|reason| reason.code() == code)
    }

    /// The families.
    pub fn families(self) -> &'static [FamilyId] {
        &self.0.families
    }

    /// Every table, in the order in which they are shown.
    pub fn tables(self) -> &'static [TableId] {
        &self.0.tables
    }

    /// The table of that name.
    pub fn by_name(self, name: &str) -> Option<TableId> {
        self.0.tables.iter().copied().find(|id| id.name() == name)
    }

    /// Every metric: its table, and the SQL that says what must be in it.
    pub fn metrics(self) -> &'static [(TableId, &'static str)] {
        &self.0.metrics
    }

    /// What several metrics have in common, before them.
    pub fn pieces(self) -> &'static [(&'static str, &'static str)] {
        &self.0.pieces
    }

    /// The raw tables: what the metrics' SQL reads.
    pub fn raw(self) -> impl Iterator<Item = TableId> + Clone {
        self.0.tables.iter().copied().filter(|id| matches!(id.table().role, Role::Raw { .. }))
    }

    /// The records of a part of a snapshot as the first version wrote them, by what keeps them today.
    ///
    /// # Errors
    /// If the bytes are not what that version wrote, or no family reads them.
    pub fn sections_of_before(self, bytes: &[u8]) -> Result<Vec<Section>, String> {
        let read = self.0.families.iter().find_map(|family| family.sections_of_before(bytes));
        read.unwrap_or_else(|| Err("no family of this program wrote it".to_owned()))
    }

    /// What is kept under a name.
    pub fn kept(self, name: &str) -> Option<&'static dyn KeptBy> {
        self.0.kept.iter().copied().find(|kept| kept.name() == name)
    }
}

fn unique(names: impl Iterator<Item = &'static str>) {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(twice.is_none(), "two are called {twice:?}");
}
