//! What survives the process: journal, snapshots, generations, under one place.
//!
//! ```text
//! pipeline                              whose state this is
//! generations/00000003                  a start; made if absent, so two starts never share a number
//! journal/00000003-0000000000000042     facts of closed epochs, the first of them 42
//! snapshots/0000000000000084-00000003-* what the operators held after epoch 84: parts, then `manifest`
//! schemas/0000000042                    a writer's schema, kept before anything that was read by it is journaled
//! dropped/inbox/0000000042              a file of a watched folder, named before its first line is read
//! heartbeat                             who runs and how it goes, now and then: a second start looks at it
//! forgetting                            who is being forgotten, until that is done
//! checked                               when the warehouse was last looked at as a whole
//! ```
//!
//! An object is whole or not there, and carries a checksum. The journal says what is true: a
//! snapshot counts only if the journal holds its epoch under the same generation, so that a process
//! which was superseded and does not know it yet cannot mislead its successor.

pub mod chain;
pub mod dropped;
pub mod envelope;
pub mod journal;
pub mod obstacle;
pub mod schemas;
pub mod snapshot;

use crate::store::{Store, StoreError};
use dataflows::persons::Id;
use dataflows::{Instant, Time};
use envelope::Damage;
use obstacle::Obstacle;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The place answered with an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object is not what was written, or of a version that we do not know.
    #[error("state `{place}`: `{key}` {damage}")]
    Damaged {
        /// Where.
        place: String,
        /// Which object.
        key: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// It was there a moment ago.
    #[error("state `{place}` vanished while it was made; start again")]
    Vanished {
        /// Where.
        place: String,
    },
    /// Going on from there would be wrong.
    #[error("state `{place}`: {why}")]
    Refused {
        /// Where.
        place: String,
        /// Why.
        why: Obstacle,
    },
}

/// Whose state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Stands in every sink, too.
    pub id: String,
}

/// One start of the pipeline: what decided about the records it read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Tells two attempts at one number apart.
    pub nonce: String,
    /// The clock, ISO 8601.
    pub started_at: String,
    /// The program's version.
    pub program: String,
    /// The version of decoder and rules: what they say of the same bytes changes only with it.
    pub decoder: u32,
    /// The bounds of what was accepted, and the names by which it was read.
    #[serde(with = "crate::rules::journaled")]
    pub rules: crate::rules::Rules,
    /// What the tables mean: name by name, see [`crate::fingerprint`].
    pub fingerprint: BTreeMap<String, String>,
    /// It computed everything again, from the first record: what was journaled up to this epoch does not
    /// count any more, nor do the rows of a sink that has not come further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt_after: Option<Time>,
    /// The files of the families that were declared, by their names: what was read by them is replayed by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub model: BTreeMap<String, String>,
    /// What makes each partition the log that is read, where its source can tell.
    pub identities: BTreeMap<String, String>,
    /// Of which family each partition was read, by this start and those before it. One that is known and not named here
    /// was read before families had names, as the movie shop's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub families: BTreeMap<String, String>,
    /// Where each partition was to be read from before anything of it was journaled, for sources that do not
    /// begin with their first record.
    #[serde(default)]
    pub begins: BTreeMap<String, i64>,
    /// What was deleted before it was read, by this start or those before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
}

/// Records that were deleted before they were read, and that a start passed because it was told to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// `topic/partition`.
    pub partition: String,
    /// The first offset of them.
    pub from: i64,
    /// The offset after them.
    pub to: i64,
    /// The clock of the start, ISO 8601.
    pub noticed_at: String,
}

impl Lost {
    /// Whether what was read is beyond them: a start may have noted them, and been refused.
    pub fn is_passed(&self, positions: &BTreeMap<String, i64>) -> bool {
        positions.get(&self.partition).is_some_and(|next| *next >= self.to)
    }
}

/// That somebody is being forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// In which family.
    pub family: String,
    /// Who.
    pub person: Id,
    /// Which nobody is there instead, in whatever has it already.
    pub nobody: Id,
    /// Raw rows are deleted.
    #[serde(default)]
    pub deletes_raw: bool,
}

/// The state of one pipeline.
#[derive(Clone)]
pub struct StateDir {
    store: Arc<dyn Store>,
    /// Stands in every sink, too.
    pub pipeline_id: String,
    /// What was written down up to this epoch is kept, whatever else is not needed any more.
    spared: Option<Time>,
}

const PIPELINE: &str = "pipeline";
const HEARTBEAT: &str = "heartbeat";
const CHECKED: &str = "checked";
const FORGETTING: &str = "forgetting";
const FORMAT: u32 = 1;
/// How the facts of a start are written. It is the first thing that a start writes: by its version an earlier program
/// sees that what follows is not for it, before it touches anything.
const GENERATION_FORMAT: u32 = 2;

/// So many starts at the most may come between listing them and taking the next number; a place whose
/// listing is that far from what is there shows nothing to go by.
const RACES: usize = 100;

fn generation_key(generation: u64) -> String {
    format!("generations/{generation:08}")
}

impl StateDir {
    /// Opens the state, and makes it if there is none: under this id, or a new one.
    ///
    /// # Errors
    /// If it cannot be read or made.
    pub fn open(store: Arc<dyn Store>, id: Option<&str>) -> Result<StateDir, StateError> {
        if let Some(found) = StateDir::open_to_read(Arc::clone(&store))? {
            return Ok(found);
        }
        let id = id.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        let body = envelope::seal_json(PIPELINE, FORMAT, &Pipeline { id });
        store.create(PIPELINE, &body)?;
        // Of two that make it at once one was first.
        StateDir::open_to_read(Arc::clone(&store))?.ok_or_else(|| StateError::Vanished { place: store.place() })
    }

    /// Opens the state, if there is any.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open_to_read(store: Arc<dyn Store>) -> Result<Option<StateDir>, StateError> {
        let mut dir = StateDir { store, pipeline_id: String::new(), spared: None };
        let Some(pipeline) = dir.read_json::<Pipeline>(PIPELINE, PIPELINE, FORMAT)? else { return Ok(None) };
        dir.pipeline_id = pipeline.id;
        Ok(Some(dir))
    }

    /// The same state, of which nothing is removed that was written down up to an epoch: a run that computes everything again
    /// may be left, and then that is gone on with.
    pub fn sparing(&self, up_to: Time) -> StateDir {
        StateDir { spared: Some(up_to), ..self.clone() }
    }

    /// Where it is.
    pub fn place(&self) -> String {
        self.store.place()
    }

    /// What it is kept in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The number of the last start; 0 before the first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last_generation(&self) -> Result<u64, StateError> {
        Ok(self.generations()?.last().copied().unwrap_or(0))
    }

    /// The numbers of the starts whose facts are kept.
    fn generations(&self) -> Result<BTreeSet<u64>, StateError> {
        let keys = self.store.list("generations/")?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix("generations/")?.parse().ok()).collect())
    }

    /// The facts of the last start that counts for a warehouse at this epoch: not of one that computed everything again and
    /// did not publish it there.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn last_generation_at(&self, at: Time) -> Result<Option<Generation>, StateError> {
        'listed: loop {
            let numbers = self.generations()?;
            for number in numbers.iter().rev() {
                let facts = self.generation(*number);
                // A run that goes on removes those that nobody needs any more, also while somebody looks.
                let is_missing = |why: &Obstacle| matches!(why, Obstacle::Missing { .. });
                if matches!(&facts, Err(StateError::Refused { why, .. }) if is_missing(why))
                    && self.generations()? != numbers
                {
                    continue 'listed;
                }
                let facts = facts?;
                if facts.rebuilt_after.is_none_or(|after| at == 0 || at > after) {
                    return Ok(Some(facts));
                }
            }
            return Ok(None);
        }
    }

    /// A start's facts.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn generation(&self, generation: u64) -> Result<Generation, StateError> {
        let key = generation_key(generation);
        let found = self.read_json(&key, "generation", GENERATION_FORMAT)?;
        found.ok_or_else(|| self.refused(Obstacle::Missing { key }))
    }

    /// Begins a generation above all before, and above `above`: nobody else has its number.
    ///
    /// # Errors
    /// If it cannot be written, or the place says of one number after the other that it is taken.
    pub fn begin(&self, facts: &Generation, above: u64) -> Result<u64, StateError> {
        let body = envelope::seal_json("generation", GENERATION_FORMAT, facts);
        let mut next = self.last_generation()?.max(above) + 1;
        for _ in 0..RACES {
            let key = generation_key(next);
            if self.store.create(&key, &body)? || self.store.get(&key)?.as_deref() == Some(&body[..]) {
                return Ok(next);
            }
            next += 1;
        }
        Err(self.refused(Obstacle::Taken { tried: RACES, last: next - 1 }))
    }

    /// Removes the facts of starts before the given one: no entry that is kept is theirs.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub fn forget_generations(&self, needed_from: u64) -> Result<(), StateError> {
        if self.spared.is_some() {
            return Ok(());
        }
        for generation in self.generations()?.range(..needed_from) {
            self.store.delete(&generation_key(*generation))?;
        }
        Ok(())
    }

    /// When the warehouse was last looked at as a whole.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn checked_ms(&self) -> Result<Option<Instant>, StateError> {
        self.read_json(CHECKED, CHECKED, FORMAT)
    }

    /// Notes that the warehouse was looked at as a whole.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn note_checked(&self, at_ms: Instant) -> Result<(), StateError> {
        Ok(self.store.put_lightly(CHECKED, &envelope::seal_json(CHECKED, FORMAT, &at_ms))?)
    }

    /// Who is being forgotten: what was begun is not done.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn begun(&self) -> Result<Vec<Begun>, StateError> {
        Ok(self.read_json(FORGETTING, FORGETTING, FORMAT)?.unwrap_or_default())
    }

    /// Notes who is being forgotten.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn note_begun(&self, begun: &[Begun]) -> Result<(), StateError> {
        if begun.is_empty() {
            return Ok(self.store.delete(FORGETTING)?);
        }
        Ok(self.store.put(FORGETTING, &envelope::seal_json(FORGETTING, FORMAT, &begun))?)
    }

    /// Says who runs and how it goes: no row depends on it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn beat(&self, heartbeat: &impl Serialize) -> Result<(), StateError> {
        Ok(self.store.put_lightly(HEARTBEAT, &envelope::seal_json(HEARTBEAT, FORMAT, heartbeat))?)
    }

    /// How it went when that was last said.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn heartbeat<T: DeserializeOwned>(&self) -> Result<Option<T>, StateError> {
        self.read_json(HEARTBEAT, HEARTBEAT, FORMAT)
    }

    /// The version in which an object is written, and its body.
    fn read(&self, key: &str, kind: &str, newest: u32) -> Result<Option<(u32, Vec<u8>)>, StateError> {
        self.store.get(key)?.map(|bytes| self.opened(key, kind, newest, bytes)).transpose()
    }

    fn opened(&self, key: &str, kind: &str, newest: u32, bytes: Vec<u8>) -> Result<(u32, Vec<u8>), StateError> {
        envelope::open(kind, newest, bytes).map_err(|damage| self.damaged(key, damage))
    }

    fn read_json<T: DeserializeOwned>(&self, key: &str, kind: &str, newest: u32) -> Result<Option<T>, StateError> {
        self.read(key, kind, newest)?.map(|(_, body)| self.parsed(key, &body)).transpose()
    }

    fn parsed<T: DeserializeOwned>(&self, key: &str, body: &[u8]) -> Result<T, StateError> {
        serde_json::from_slice(body).map_err(|error| self.damaged(key, Damage::Body(error.to_string())))
    }

    /// That it is not gone on from.
    pub fn refused(&self, why: Obstacle) -> StateError {
        StateError::Refused { place: self.place(), why }
    }

    fn damaged(&self, key: &str, damage: Damage) -> StateError {
        StateError::Damaged { place: self.place(), key: key.to_owned(), damage }
    }
}

/// Epoch and generation of a key such as `0000000000000084-00000003`, in either order.
fn two_numbers(name: &str) -> Option<(u64, u64)> {
    let (first, second) = name.split_once('-')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}
