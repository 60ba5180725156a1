//! The start of a run: who we are, what was done before, and where to go on from.
//!
//! The order matters. The generation is raised first in the state, then in every sink; only when every
//! sink is ours is the journal read: then whatever a run before us committed is journaled there, and
//! whatever it still journals can never be committed.

use crate::commit::add_sums;
use crate::engine::{Readers, Replayed, Resume};
use crate::families::SHOP;
use crate::fingerprint::{self, Changes};
use crate::lanes::Lanes;
use crate::model::events;
use crate::model::grown::grown;
use crate::model::load::reader;
use crate::reconcile::{Differ, reconcile};
use crate::rules::Rules;
use crate::simulate::is_simulated;
use crate::sink::{Claim, MadeBy, Progress, Sink, SinkError, Warehouse};
use crate::source::marks::Marks;
use crate::state_dir::chain::Chain;
use crate::state_dir::journal::Entry;
use crate::state_dir::obstacle::Obstacle;
use crate::state_dir::snapshot::Manifest;
use crate::state_dir::{Generation, Lost, StateDir, StateError};
use dataflows::family::Catalogue;
use dataflows::table::TableId;
use dataflows::{Instant, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The version of decoder and rules: raised when they say something else of the same bytes.
pub const DECODER: u32 = 3;

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Because of the state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Because of a sink.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What was read before this start: so that sources are known again.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Where partitions were to be read from before anything of them was journaled.
    pub begins: BTreeMap<String, i64>,
    /// What makes each partition the log it is.
    pub identities: BTreeMap<String, String>,
    /// Of which family each partition was read.
    pub families: BTreeMap<String, String>,
    /// The next offset of each partition that was read.
    pub positions: BTreeMap<String, i64>,
    /// What was deleted before it was read, and passed.
    pub lost: Vec<Lost>,
    /// What was read of logs that are known by their content.
    pub sums: BTreeMap<String, Marks>,
    /// How far each family had come.
    pub lanes: Lanes,
    /// The clock of the last epoch, if there was one.
    pub clock_ms: Option<Instant>,
    /// The rules of the last start.
    pub rules: Option<Rules>,
    /// What tables meant after the last snapshot.
    pub prints: BTreeMap<String, String>,
}

impl Past {
    /// As it is written down.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(dir: &StateDir) -> Result<Past, StateError> {
        Past::read_at(dir, Time::MAX)
    }

    /// As it is written down, for a warehouse that is at this epoch: what a rebuild wrote down that was not published
    /// there never was.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_at(dir: &StateDir, at: Time) -> Result<Past, StateError> {
        let Some(Generation { begins, identities, families, rules, lost, .. }) = dir.last_generation_at(at)? else {
            return Ok(Past::default());
        };
        let mut past = Past { begins, identities, families, rules: Some(rules), ..Past::default() };
        let mut chain = dir.chain()?;
        leave_rebuilds(dir, &mut chain, at)?;
        if let Some(rebuilt_after) = last_rebuild(dir, &chain)? {
            chain.entries = chain.entries.split_off(&(rebuilt_after + 1));
        }
        let mut from = 0;
        if let Some(manifest) = dir.newest_snapshot(&chain, chain.end())? {
            // Of what was empty at the last start it became known later.
            for (partition, identity) in manifest.identities {
                past.identities.entry(partition).or_insert(identity);
            }
            (past.sums, past.lanes, from) = (manifest.sums, manifest.lanes, manifest.epoch);
            (past.positions, past.prints) = (manifest.positions, manifest.fingerprint);
        }
        for (_, entry) in chain.entries.range(from + 1..).map(|(_, entry)| entry) {
            add_sums(&mut past.sums, entry);
            past.lanes.learn(&entry.lanes);
            past.positions.extend(entry.read.iter().map(|(partition, (_, next))| (partition.clone(), *next)));
        }
        past.lost = lost.into_iter().filter(|lost| lost.is_passed(&past.positions)).collect();
        if let Some((_, (_, entry))) = chain.entries.last_key_value() {
            past.clock_ms = Some(entry.clock_ms);
        }
        Ok(past)
    }
}

/// Who reads what is held back.
#[derive(Clone, Copy, Debug)]
pub struct Restoring {
    /// How many processes share it; each reads its own part of it. None: it is left where it is.
    pub processes: usize,
    /// By how many threads each does.
    pub threads: usize,
}

impl Restoring {
    /// Nobody reads it now: whoever starts reads it piece by piece.
    pub fn left() -> Restoring {
        Restoring { processes: 0, threads: 1 }
    }
}

impl From<usize> for Restoring {
    /// One process reads all of it, by so many threads.
    fn from(threads: usize) -> Restoring {
        Restoring { processes: 1, threads }
    }
}

/// A run that may begin.
pub struct Start {
    /// Its number.
    pub generation: u64,
    /// The right to write to each sink.
    pub claims: Vec<Claim>,
    /// Where it goes on from.
    pub resume: Resume,
}

/// Takes over the state and the sinks, and finds out where to go on from. A sink that cannot be brought to
/// where the first one is by what is kept, since it is new, or was left out for a while, is given what the
/// first one has.
///
/// # Errors
/// If somebody else owns a sink, or going on would lose or double something.
pub fn start(
    catalogue: Catalogue,
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    facts: &Generation,
    identities: &BTreeMap<String, String>,
    restoring: impl Into<Restoring>,
) -> Result<Start, StartError> {
    let (mut above, mut first_at) = (0, None);
    for sink in sinks.iter_mut() {
        let found = sink.position()?;
        above = found.as_ref().map_or(above, |found| above.max(found.generation));
        refuse_anothers(dir, &**sink, found.as_ref())?;
        first_at = first_at.or(Some(found.map_or(0, |found| found.epoch)));
    }
    if let Some(at) = first_at {
        // What is refused is refused before a number is taken: the version that wrote the state can still go on with it.
        let checked = Plan::make(dir, &[at])?.checked(catalogue, dir, facts, identities)?;
        refuse_changed(dir, &checked)?;
    }
    let generation = dir.begin(facts, above)?;
    let (claims, mut positions) = claim(dir, sinks, facts, generation)?;
    if let Some((first, others)) = sinks.split_first_mut() {
        let at = positions[0];
        // Whatever is wrong with the first one is said before anything is written to others.
        Plan::make(dir, &[at])?;
        for ((sink, claim), position) in others.iter_mut().zip(&claims[1..]).zip(&mut positions[1..]) {
            if *position < at && (*position == 0 || !can_follow((catalogue, dir), (facts, identities), at, *position)?)
            {
                if *position > 0 && (sink.takes_records() || sink.takes_clean()) {
                    tracing::warn!(
                        "{}: it was left out, and lacks the events that were accepted after epoch {position}",
                        sink.name()
                    );
                }
                tracing::info!("{} is brought to where {} is: epoch {at}", sink.name(), first.name());
                reconcile(&mut **first, &mut **sink, claim, Differ::InAnything, |_| at)?;
                *position = at;
            }
        }
    }
    let resume = Plan::make(dir, &positions)?.resume(catalogue, dir, facts, identities, restoring.into())?;
    // What was written down ahead of all sinks by a start that changed tables, and that they never had, is not true.
    dir.forget_snapshots_ahead(resume.epoch, &facts.fingerprint)?;
    Ok(Start { generation, claims, resume })
}

/// The tables that must be computed of the raw rows before a start with these facts can go on: they are new, or mean
/// something else than what was written down. Nothing is claimed or written.
///
/// # Errors
/// If going on would lose or double something, whatever tables there are.
pub fn changed(
    catalogue: Catalogue,
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    (facts, identities): (&Generation, &BTreeMap<String, String>),
) -> Result<BTreeSet<TableId>, StartError> {
    let mut positions = Vec::new();
    for sink in sinks.iter_mut() {
        let found = sink.position()?;
        refuse_anothers(dir, &**sink, found.as_ref())?;
        positions.push(found.map_or(0, |found| found.epoch));
    }
    let Some((first, others)) = positions.split_first() else { return Ok(BTreeSet::new()) };
    let mut changed = Plan::make(dir, &[*first])?.checked(catalogue, dir, facts, identities)?.changed;
    for other in others.iter().filter(|other| (1..*first).contains(*other)) {
        // One that cannot follow is brought to where the first is.
        if let Ok(plan) = Plan::make(dir, &[*first, *other])
            && let Ok(checked) = plan.checked(catalogue, dir, facts, identities)
        {
            changed.extend(checked.changed);
        }
    }
    Ok(changed)
}

/// Tables that changed are computed before a start.
fn refuse_changed(dir: &StateDir, Checked { changed, .. }: &Checked) -> Result<(), StateError> {
    if changed.is_empty() {
        return Ok(());
    }
    let tables: Vec<_> = changed.iter().map(|table| format!("`{}`", table.name())).collect();
    Err(dir.refused(Obstacle::ChangedMeanwhile { tables: tables.join(", ") }))
}

type Claimed = (Vec<Claim>, Vec<Time>);

/// Claims each sink for a start; tells where each is.
fn claim(
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    facts: &Generation,
    generation: u64,
) -> Result<Claimed, SinkError> {
    let is_shop = facts.identities.values().any(|identity| is_simulated(identity));
    let made_by = if is_shop { MadeBy::Simulator } else { MadeBy::Run };
    let wanted = Claim { pipeline_id: dir.pipeline_id.clone(), generation };
    let (mut claims, mut positions) = (Vec::new(), Vec::new());
    for sink in sinks.iter_mut() {
        claims.push(sink.claim(made_by, Some(&wanted))?);
        positions.push(sink.position()?.map_or(0, |progress| progress.epoch));
    }
    Ok((claims, positions))
}

/// Before a number is taken: somebody else's sink is none of our business.
fn refuse_anothers(dir: &StateDir, sink: &dyn Sink, found: Option<&Progress>) -> Result<(), StateError> {
    let any = Claim { pipeline_id: dir.pipeline_id.clone(), generation: u64::MAX };
    match Claim::after(found, Some(&any), "") {
        Ok(_) => Ok(()),
        Err(_) => {
            let theirs = found.map_or(String::new(), |found| found.pipeline_id.clone());
            Err(dir.refused(Obstacle::AnothersRows { ours: dir.pipeline_id.clone(), sink: sink.name(), theirs }))
        }
    }
}

/// Whether what is kept brings a sink on from an epoch, as far as the first one is.
fn can_follow(
    (catalogue, dir): (Catalogue, &StateDir),
    (facts, identities): (&Generation, &BTreeMap<String, String>),
    first: Time,
    epoch: Time,
) -> Result<bool, StateError> {
    let checked = Plan::make(dir, &[first, epoch]).and_then(|plan| plan.checked(catalogue, dir, facts, identities));
    match checked {
        // What its tables were then it cannot be told by what they are now.
        Ok(Checked { changed, .. }) => Ok(changed.is_empty()),
        Err(StateError::Refused { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

/// The epoch before the last run that computed everything again, of those whose entries are kept.
fn last_rebuild(dir: &StateDir, chain: &Chain) -> Result<Option<Time>, StateError> {
    let generations: std::collections::BTreeSet<_> = chain.entries.values().map(|(by, _)| *by).collect();
    let rebuilt = generations.into_iter().map(|by| Ok(dir.generation(by)?.rebuilt_after));
    Ok(rebuilt.collect::<Result<Vec<_>, StateError>>()?.into_iter().flatten().max())
}

/// Takes out of the journal what rebuilds wrote that a warehouse at this epoch knows nothing of: they did not come to
/// their end. What was there before is still kept, and gone on with.
fn leave_rebuilds(dir: &StateDir, chain: &mut Chain, at: Time) -> Result<(), StateError> {
    while let Some(rebuilt_after) = last_rebuild(dir, chain)?.filter(|rebuilt_after| at <= *rebuilt_after) {
        // One that began where another one had come to is left with it.
        drop(chain.entries.split_off(&(rebuilt_after + 1)));
    }
    Ok(())
}

/// Takes over the state and the sinks to compute everything again: what was done before does not count.
/// Tells the claims and the epoch that everything comes after.
///
/// # Errors
/// If somebody else owns a sink, or a partition would be lost.
pub fn start_again(
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    facts: &Generation,
    there: &[String],
    accept_loss: bool,
) -> Result<(Vec<Claim>, Time), StartError> {
    let (mut above, mut at) = (0, dir.chain()?.end());
    for sink in sinks.iter_mut() {
        let Some(found) = sink.position()? else { continue };
        refuse_anothers(dir, &**sink, Some(&found))?;
        let lost = found.positions.keys().find(|partition| !there.contains(partition));
        if let Some(lost) = lost.filter(|_| !accept_loss) {
            return Err(dir.refused(Obstacle::WouldLose { sink: sink.name(), partition: lost.clone() }).into());
        }
        (above, at) = (above.max(found.generation), at.max(found.epoch));
    }
    let facts = Generation { rebuilt_after: Some(at), ..facts.clone() };
    let generation = dir.begin(&facts, above)?;
    Ok((claim(dir, sinks, &facts, generation)?.0, at))
}

/// What is gone on from, and what must be done before.
struct Checked {
    snapshot: Option<Manifest>,
    replay: Vec<Replayed>,
    /// Tables that are new or mean something else.
    changed: BTreeSet<TableId>,
}

/// What is there, and what of it is needed.
struct Plan {
    chain: Chain,
    snapshot: Option<Manifest>,
}

impl Plan {
    /// For sinks that are at these epochs.
    fn make(dir: &StateDir, positions: &[Time]) -> Result<Plan, StateError> {
        let mut chain = dir.chain()?;
        // A run that we have superseded may still be about to make it so, and lose power instead.
        dir.store().settle()?;
        if positions.iter().all(|position| *position > 0) {
            leave_rebuilds(dir, &mut chain, positions.iter().max().copied().unwrap_or(Time::MAX))?;
        }
        if let Some(rebuilt_after) = last_rebuild(dir, &chain)? {
            if positions.iter().any(|position| *position <= rebuilt_after) {
                return Err(dir.refused(Obstacle::RebuiltSince { after: rebuilt_after }));
            }
            chain.entries = chain.entries.split_off(&(rebuilt_after + 1));
        }
        if let Some(at) = positions.iter().copied().find(|position| *position > chain.end()) {
            return Err(dir.refused(Obstacle::EndsBefore { end: chain.end(), at }));
        }
        let needed = positions.iter().min().copied().unwrap_or(chain.end());
        let snapshot = dir.newest_snapshot(&chain, needed)?;
        if snapshot.is_none() && chain.follows > 0 {
            return Err(dir.refused(Obstacle::NotKept { at: needed, kept_from: chain.follows }));
        }
        Ok(Plan { chain, snapshot })
    }

    /// The snapshot that is gone on from and the epochs that are replayed after it, if both mean what they would today; and the
    /// tables that do not.
    fn checked(
        self,
        catalogue: Catalogue,
        dir: &StateDir,
        facts: &Generation,
        identities: &BTreeMap<String, String>,
    ) -> Result<Checked, StateError> {
        let from = self.snapshot.as_ref().map_or(0, |manifest| manifest.epoch);
        let mut generations = BTreeMap::<u64, Generation>::new();
        let mut journaled = Vec::new();
        for (epoch, (by, entry)) in self.chain.entries {
            if epoch <= from {
                continue;
            }
            if let std::collections::btree_map::Entry::Vacant(vacant) = generations.entry(by) {
                vacant.insert(dir.generation(by)?);
            }
            journaled.push((by, entry));
        }
        let of_generations = generations.values().map(|known| (known, &known.fingerprint, &known.identities));
        let taken_by = self.snapshot.as_ref().map(|manifest| dir.generation(manifest.generation)).transpose()?;
        let of_snapshot = self.snapshot.iter().zip(&taken_by);
        let of_snapshot = of_snapshot.map(|(manifest, by)| (by, &manifest.fingerprint, &manifest.identities));
        for known in generations.values().chain(&taken_by) {
            check_families(dir, known, facts)?;
        }
        let mut changed = BTreeSet::new();
        for (by, print, known) in of_snapshot.chain(of_generations) {
            let changes = fingerprint::changes(catalogue, print, &facts.fingerprint);
            let Changes { tables, declared, refused: mut differing } = changes;
            differing.extend(declared.iter().filter_map(|family| may_not_become(family, &by.model, &facts.model)));
            if !differing.is_empty() {
                return Err(dir.refused(Obstacle::MeansOther { differing }));
            }
            changed.extend(tables);
            check_identities(dir, known, identities)?;
        }
        if let Some(other) = generations.values().find(|generation| generation.decoder != facts.decoder) {
            return Err(dir.refused(Obstacle::DecodedOtherwise {
                first: journaled.first().map_or(0, |(_, first)| first.epoch),
                last: journaled.last().map_or(0, |(_, last)| last.epoch),
                program: other.program.clone(),
            }));
        }
        // After the above, which knows the version that wrote it.
        let replay = replayed(catalogue, dir, journaled, &generations, &facts.model)?;
        Ok(Checked { snapshot: self.snapshot, replay, changed })
    }

    fn resume(
        self,
        catalogue: Catalogue,
        dir: &StateDir,
        facts: &Generation,
        identities: &BTreeMap<String, String>,
        Restoring { processes, threads }: Restoring,
    ) -> Result<Resume, StateError> {
        let (_, journaled_by) = self.chain.last();
        let checked = self.checked(catalogue, dir, facts, identities)?;
        refuse_changed(dir, &checked)?;
        let Checked { snapshot, replay, .. } = checked;
        let Some(manifest) = snapshot else { return Ok(Resume { replay, journaled_by, ..Resume::default() }) };
        let mut dealt = manifest.dealt(processes);
        let own = if processes == 0 { Vec::new() } else { dealt.remove(0) };
        let state = dir.read_parts(catalogue, &own, threads)?;
        let Manifest { epoch, lanes, clock_ms, positions, sums, largest, second, quality, .. } = manifest;
        let elsewhere = dealt;
        Ok(Resume {
            epoch,
            lanes,
            clock_ms,
            positions,
            sums,
            largest,
            second,
            quality,
            state,
            elsewhere,
            replay,
            journaled_by,
        })
    }
}

/// What is replayed by a process that does not lead: epochs, each with the start that journaled it. `model`: the files of the
/// families that are declared now.
///
/// # Errors
/// If the facts of a start cannot be read, or it accepted what this version cannot.
pub fn replayed_elsewhere(
    catalogue: Catalogue,
    dir: &StateDir,
    journaled: Vec<(u64, Entry)>,
    model: &BTreeMap<String, String>,
) -> Result<Vec<Replayed>, StateError> {
    let by: BTreeSet<_> = journaled.iter().map(|(by, _)| *by).collect();
    let generations = by.into_iter().map(|by| Ok((by, dir.generation(by)?))).collect::<Result<_, StateError>>()?;
    replayed(catalogue, dir, journaled, &generations, model)
}

fn replayed(
    catalogue: Catalogue,
    dir: &StateDir,
    journaled: Vec<(u64, Entry)>,
    generations: &BTreeMap<u64, Generation>,
    model: &BTreeMap<String, String>,
) -> Result<Vec<Replayed>, StateError> {
    let mut judged = BTreeMap::new();
    for (by, generation) in generations {
        let readers = readers(&generation.model, model).map_err(|why| dir.refused(why))?;
        judged.insert(*by, (generation.rules.clone(), Arc::new(readers)));
    }
    let replayed = |(by, entry)| Replayed::new(catalogue, (by, entry), judged[&by].clone());
    journaled.into_iter().map(replayed).collect::<Result<_, _>>().map_err(|why| dir.refused(why))
}

/// Why what a family was cannot become what it is, if it cannot.
fn may_not_become(family: &str, before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Option<String> {
    match (before.get(family), now.get(family)) {
        (Some(before), Some(now)) => grown(family, before, now).err(),
        // An earlier version did not write down what was declared.
        _ => Some(format!("what `{family}.toml` declares")),
    }
}

/// What read the events of families that are declared otherwise now.
fn readers(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Result<Readers, Obstacle> {
    let mut readers = Readers::new();
    for (family, text) in before.iter().filter(|(family, text)| now.get(*family).is_some_and(|now| now != *text)) {
        let read = events::read(family, text).ok().and_then(|events| reader(&events).ok());
        let reader = read.ok_or_else(|| Obstacle::MeansOther {
            differing: vec![format!("what `{family}.toml` declared, of which something is to be read again")],
        })?;
        readers.insert(family.clone(), Box::leak(Box::new(reader)));
    }
    Ok(readers)
}

fn check_identities(
    dir: &StateDir,
    known: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Result<(), StateError> {
    for (partition, identity) in known {
        let Some(found) = found.get(partition).filter(|found| *found != identity) else { continue };
        if is_simulated(identity) && is_simulated(found) {
            return Err(dir.refused(Obstacle::AnotherShop));
        }
        return Err(dir.refused(Obstacle::AnotherLog { partition: partition.clone() }));
    }
    Ok(())
}

fn check_families(dir: &StateDir, known: &Generation, now: &Generation) -> Result<(), StateError> {
    for (partition, is) in &now.families {
        let shop = || known.identities.contains_key(partition).then(|| SHOP.name().to_owned());
        let was = known.families.get(partition).cloned().or_else(shop);
        if let Some(was) = was.filter(|was| was != is) {
            let (partition, is) = (partition.clone(), is.clone());
            return Err(dir.refused(Obstacle::AnotherFamily { partition, was, is }));
        }
    }
    Ok(())
}

/// Whether everything that must be read again can be: the partitions that it lies in are there.
///
/// # Errors
/// If one is not.
pub fn check_partitions(dir: &StateDir, resume: &Resume, there: &[String]) -> Result<(), StateError> {
    let read = resume.replay.iter().flat_map(|Replayed { entry: Entry { read, .. }, .. }| read.keys());
    match read.into_iter().find(|partition| !there.contains(partition)) {
        Some(missing) => Err(dir.refused(Obstacle::Unfinished { partition: missing.clone() })),
        None => Ok(()),
    }
}
