//! What an archive takes of a commit: records, or clean events.
//!
//! A clean event comes from no place that only it is at. What stands for one is a number, given when it is committed; an
//! event has none before, and keeps it. A partition is a day of a raw table.

use super::manifest::{CLEAN_EVENTS, Manifest, OBJECTS};
use super::open::{Kept, Open};
use crate::instant;
use crate::sink::avro::{self, Encoder};
use crate::sink::log::Objects;
use crate::sink::{Claim, Commit, MadeBy};
use dataflows::Instant;
use dataflows::family::Catalogue;
use dataflows::table::{TableId, Type, Value};
use dataflows::time::DAY_MS;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is taken.
pub(super) enum Taken {
    /// Accepted records, as they came.
    Records,
    /// Clean events, by their raw tables.
    Events(BTreeMap<TableId, Events>),
}

/// How the events of a raw table are kept.
pub(super) struct Events {
    schema: Arc<str>,
    rows: Encoder,
    /// The column that says on which day an event was.
    at: Option<usize>,
}

impl Taken {
    /// Clean events.
    pub(super) fn events(catalogue: Catalogue) -> Taken {
        let of_table = |id: TableId| {
            let (columns, schema) = avro::clean(id);
            // That of the event; a table that never grows old has another one.
            let own = id.table().age().and_then(|(place, _)| place.checked_sub(id.table().key_columns));
            let at = own.or_else(|| columns.iter().position(|column| column.ty == Type::Instant));
            (id, Events { rows: Encoder::of_data(columns, &schema), schema: schema.into(), at })
        };
        Taken::Events(catalogue.raw().map(of_table).collect())
    }

    /// How the place is spoken of.
    pub(super) fn objects(&self) -> Objects {
        match self {
            Taken::Records => OBJECTS,
            Taken::Events(_) => CLEAN_EVENTS,
        }
    }

    /// Of a place that somebody is about to claim.
    pub(super) fn nothing(&self, claim: &Claim, made_by: MadeBy) -> Manifest {
        let events = match self {
            Taken::Records => None,
            Taken::Events(_) => Some(0),
        };
        Manifest { events, ..Manifest::nothing(claim, made_by) }
    }

    /// What a commit brings that is not there; clean events get their numbers.
    pub(super) fn brought(&self, commit: &Commit, manifest: &mut Manifest) -> Open {
        match self {
            Taken::Records => Open::of(&commit.archived, manifest),
            Taken::Events(tables) => {
                let (mut open, mut next) = (Open::default(), manifest.events.unwrap_or_default());
                for (id, events) in &commit.clean {
                    let Some(of) = tables.get(id) else { continue };
                    for (day, kept) in of.by_day(events, commit.clock_ms, &mut next) {
                        open.add(format!("{}/date={}", id.name(), instant::day(day * DAY_MS)), kept);
                    }
                }
                manifest.events = Some(next);
                open
            }
        }
    }
}

impl Events {
    /// Events by the days on which they were, counted from 1970; `next` is the number of the next event.
    fn by_day(&self, events: &[Vec<Value>], clock_ms: Instant, next: &mut i64) -> BTreeMap<i64, Vec<Kept>> {
        let mut days = BTreeMap::<i64, Vec<Kept>>::new();
        for event in events {
            let at = self.at.and_then(|place| event.get(place));
            let day = if let Some(Value::Instant(at)) = at { at.div_euclid(DAY_MS) } else { 0 };
            let (schema, datum) = (Some(Arc::clone(&self.schema)), self.rows.payload(event.iter()));
            days.entry(day).or_default().push(Kept { offset: *next, clock_ms, schema, place: None, datum });
            *next += 1;
        }
        days
    }
}
