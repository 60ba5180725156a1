//! Snapshots: what the operators held after an epoch, in parts, and a manifest that makes them one.

use super::chain::Chain;
use super::envelope::Damage;
use super::{StateDir, StateError, envelope};
use crate::lanes::Lanes;
use crate::source::marks::Marks;
use dataflows::family::Catalogue;
use dataflows::quality::Running;
use dataflows::state::Section;
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How parts are written: sections, each with what keeps its records, and in which version.
const SECTIONS: u32 = 2;
/// Before, a part was records alone, and what each was stood in the number of its kind.
const RECORDS: u32 = 1;
const PREFIX: &str = "snapshots/";
const MANIFEST: &str = "manifest";
const PART: &str = "part";
/// Of manifests: in the first, one family had no name.
const FORMAT: u32 = 2;

/// What makes parts one snapshot. Written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The epoch after which it was taken.
    pub epoch: Time,
    /// The start that took it.
    pub generation: u64,
    /// The clock of that epoch.
    pub clock_ms: Instant,
    /// How far each family had come.
    #[serde(flatten)]
    pub lanes: Lanes,
    /// Next offsets, by `topic/partition`.
    pub positions: BTreeMap<String, i64>,
    /// What was read of logs that are known by their content, by `topic/partition`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sums: BTreeMap<String, Marks>,
    /// Largest event times, by `topic/partition`.
    pub largest: BTreeMap<String, Instant>,
    /// Second largest event times, by `topic/partition`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub second: BTreeMap<String, Instant>,
    /// What was counted in the hour of the clock.
    #[serde(default, skip_serializing_if = "Running::is_empty")]
    pub quality: Running,
    /// What makes each partition the log that was read, where its source can tell.
    pub identities: BTreeMap<String, String>,
    /// What the tables mean: name by name.
    pub fingerprint: BTreeMap<String, String>,
    /// The parts.
    pub parts: Vec<PartEntry>,
}

/// A part, as the manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Its key.
    pub key: String,
    /// How many records.
    pub records: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Manifest {
    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|part| part.records).sum()
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The parts, dealt to so many who read them: each to the one who has the fewest bytes by then, the largest first. Whoever
    /// reads a record sends it to where it belongs.
    pub fn dealt(&self, to: usize) -> Vec<Vec<PartEntry>> {
        if to <= 1 {
            return vec![self.parts.clone()];
        }
        let mut largest: Vec<_> = self.parts.iter().collect();
        largest.sort_by_key(|part| (std::cmp::Reverse(part.bytes), &part.key));
        let mut dealt = vec![(0, Vec::new()); to];
        for part in largest {
            if let Some((bytes, parts)) = dealt.iter_mut().min_by_key(|(bytes, _)| *bytes) {
                *bytes += part.bytes;
                parts.push(part.clone());
            }
        }
        dealt.into_iter().map(|(_, parts)| parts).collect()
    }
}

/// What the keys of a snapshot begin with. No folder of its own: a folder is one more thing that has to
/// be durable, and it would stay.
fn name(epoch: Time, generation: u64) -> String {
    format!("{PREFIX}{epoch:016}-{generation:08}-")
}

/// What stands before the records of a section: name, version, how many records and how many bytes there are.
type Head = (String, u32, u64, u64);

/// Appends a section as it stands in a part.
pub fn encode(section: &Section, bytes: &mut Vec<u8>) {
    let Section { name, version, records, bytes: body } = section;
    let head = (name, version, records, body.len() as u64);
    let taken = std::mem::take(bytes);
    *bytes = postcard::to_extend(&head, taken).expect("text and numbers can be written down");
    bytes.extend_from_slice(body);
}

fn decode(mut bytes: &[u8]) -> Result<Vec<Section>, String> {
    let mut sections = Vec::new();
    while !bytes.is_empty() {
        let ((name, version, records, length), rest) =
            postcard::take_from_bytes::<Head>(bytes).map_err(|error| error.to_string())?;
        let Some((body, rest)) = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)) else {
            return Err(format!("`{name}` is cut"));
        };
        sections.push(Section { name, version, records, bytes: body.to_vec() });
        bytes = rest;
    }
    Ok(sections)
}

impl StateDir {
    /// Writes a part of a snapshot: which one, of which process of the start.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_part(
        &self,
        (epoch, generation): (Time, u64),
        (process, number): (usize, usize),
        records: u64,
        body: &[u8],
    ) -> Result<PartEntry, StateError> {
        // The one that leads names them as one that is alone does.
        let of = if process == 0 { String::new() } else { format!("{process:03}-") };
        let key = format!("{}{PART}-{of}{number:06}", name(epoch, generation));
        let sealed = envelope::seal(PART, SECTIONS, body);
        self.store().put(&key, &sealed)?;
        Ok(PartEntry { key, records, bytes: sealed.len() as u64 })
    }

    /// Publishes a snapshot whose parts are written.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(&self, manifest: &Manifest) -> Result<(), StateError> {
        let key = name(manifest.epoch, manifest.generation) + MANIFEST;
        Ok(self.store().put(&key, &envelope::seal_json(MANIFEST, FORMAT, manifest))?)
    }

    /// Every snapshot by epoch and generation, oldest first: what its objects are called.
    fn snapshots(&self) -> Result<BTreeMap<(Time, u64), BTreeSet<String>>, StateError> {
        let mut snapshots = BTreeMap::<_, BTreeSet<String>>::new();
        for key in self.store().list(PREFIX)? {
            let mut parts = key.strip_prefix(PREFIX).unwrap_or_default().splitn(3, '-');
            let (Some(epoch), Some(by), Some(object)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let (Ok(epoch), Ok(by)) = (epoch.parse(), by.parse()) else { continue };
            let of: (Time, u64) = (epoch, by);
            snapshots.entry(of).or_default().insert(object.to_owned());
        }
        Ok(snapshots)
    }

    /// The newest snapshot that the journal vouches for, of those taken at or before an epoch.
    ///
    /// # Errors
    /// If its manifest cannot be read.
    pub fn newest_snapshot(&self, chain: &Chain, at_most: Time) -> Result<Option<Manifest>, StateError> {
        for ((epoch, generation), objects) in self.snapshots()?.into_iter().rev() {
            let vouched = chain.entries.get(&epoch).is_some_and(|(by, _)| *by == generation);
            if !objects.contains(MANIFEST) || !vouched || epoch > at_most {
                continue;
            }
            let name = name(epoch, generation);
            let key = name.clone() + MANIFEST;
            let Some(manifest) = self.read_json::<Manifest>(&key, MANIFEST, FORMAT)? else { continue };
            let is_there = |part: &PartEntry| part.key.strip_prefix(&name).is_some_and(|part| objects.contains(part));
            match manifest.parts.iter().find(|part| !is_there(part)) {
                None => return Ok(Some(manifest)),
                // It was being removed when the power went, and the manifest came back.
                Some(part) => {
                    tracing::warn!("state `{}`: `{key}` has lost `{}`; going back further", self.place(), part.key)
                }
            }
        }
        Ok(None)
    }

    /// Reads what the operators held, part by part, by so many threads.
    ///
    /// # Errors
    /// As for [`read_parts`](StateDir::read_parts).
    pub fn read_snapshot(
        &self,
        catalogue: Catalogue,
        manifest: &Manifest,
        threads: usize,
    ) -> Result<Vec<Section>, StateError> {
        self.read_parts(catalogue, &manifest.parts, threads)
    }

    /// Reads parts of a snapshot by so many threads. Nothing of them is used unless all of them are as they were written.
    /// What an earlier version wrote is read as sections of today.
    ///
    /// # Errors
    /// If a part is missing or damaged, or has what no operator of this version reads.
    pub fn read_parts(
        &self,
        catalogue: Catalogue,
        parts: &[PartEntry],
        threads: usize,
    ) -> Result<Vec<Section>, StateError> {
        // Reading back is what a restart waits for.
        std::thread::scope(|scope| {
            let share = |first: usize| {
                let parts = parts.iter().skip(first).step_by(threads);
                move || parts.map(|part| self.read_part(catalogue, part)).collect::<Result<Vec<_>, _>>()
            };
            let threads: Vec<_> = (0..threads).map(|first| scope.spawn(share(first))).collect();
            let read = threads.into_iter().map(|thread| thread.join().expect("reading a part does not panic"));
            Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().flatten().collect())
        })
    }

    fn read_part(&self, catalogue: Catalogue, part: &PartEntry) -> Result<Vec<Section>, StateError> {
        let damaged = |why: String| self.damaged(&part.key, Damage::Bytes(why));
        let read = self.read(&part.key, PART, SECTIONS)?;
        let (version, body) = read.ok_or_else(|| damaged("it is missing".to_owned()))?;
        let sections = if version == RECORDS { catalogue.sections_of_before(&body) } else { decode(&body) };
        let sections = sections.map_err(damaged)?;
        let found: u64 = sections.iter().map(|section| section.records).sum();
        if found != part.records {
            return Err(damaged(format!("it has {found} records, its manifest says {}", part.records)));
        }
        // A section that is not read to its end now would be found out when half of the others are restored.
        for section in &sections {
            let kept = catalogue.kept(&section.name);
            let kept = kept.ok_or_else(|| format!("no operator of this program keeps `{}`", section.name));
            let read = kept.and_then(|kept| kept.check(section));
            read.map_err(|why| self.damaged(&part.key, Damage::Body(why)))?;
        }
        Ok(sections)
    }

    /// Removes every snapshot after an epoch of which the tables mean something else than these prints say.
    ///
    /// # Errors
    /// If one cannot be read or removed.
    pub fn forget_snapshots_ahead(&self, of: Time, fingerprint: &BTreeMap<String, String>) -> Result<(), StateError> {
        for ((epoch, by), objects) in self.snapshots()?.split_off(&(of + 1, 0)) {
            let key = name(epoch, by) + MANIFEST;
            let Some(manifest) = self.read_json::<Manifest>(&key, MANIFEST, FORMAT)? else { continue };
            if manifest.fingerprint != *fingerprint {
                objects.iter().try_for_each(|object| self.store().delete(&(name(epoch, by) + object)))?;
            }
        }
        Ok(())
    }

    /// Removes every snapshot before the given one, whole or not, and parts of attempts at later ones that
    /// this generation did not make and nobody will finish.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn forget_snapshots(&self, needed: Time, generation: u64) -> Result<usize, StateError> {
        let mut removed = 0;
        let after = self.spared.map_or(0, |spared| spared + 1);
        for ((epoch, by), objects) in self.snapshots()?.split_off(&(after, 0)) {
            if epoch < needed || (!objects.contains(MANIFEST) && by < generation) {
                removed += 1;
                // In the order of their names the manifest is the first: without it the rest is nothing.
                for object in objects {
                    self.store().delete(&(name(epoch, by) + &object))?;
                }
            }
        }
        Ok(removed)
    }
}
