//! A state at rest: the last run ended in order, and every sink has what it had. What changes the state itself, and not by
//! reading, begins there and ends there: an epoch in which nothing is read, with a snapshot after it.

use crate::recovery::StartError;
use crate::sink::Warehouse;
use crate::state_dir::journal::{Entry, Group};
use crate::state_dir::obstacle::{Obstacle, Unrest};
use crate::state_dir::snapshot::{Manifest, encode};
use crate::state_dir::{StateDir, StateError};
use dataflows::Time;
use dataflows::state::Section;

/// A part is written when so many bytes have come together.
const PART_BYTES: usize = 4 << 20;

/// The last snapshot, after which nothing was read: every sink has what it has.
///
/// # Errors
/// [`Obstacle::NotAtRest`] if it is not so; or if the state or a sink cannot be read.
pub fn ended_in_order(dir: &StateDir, sinks: &mut [Box<dyn Warehouse>]) -> Result<Manifest, StartError> {
    let refused = |why| dir.refused(Obstacle::NotAtRest(why));
    let chain = dir.chain()?;
    let snapshot = dir.newest_snapshot(&chain, Time::MAX)?.filter(|snapshot| snapshot.epoch == chain.end());
    let snapshot = snapshot.ok_or_else(|| refused(Unrest::NotEnded))?;
    for sink in sinks {
        let at = sink.position()?.map_or(0, |progress| progress.epoch);
        if at != snapshot.epoch {
            let (state, sink) = (snapshot.epoch, sink.name());
            return Err(refused(Unrest::SinkElsewhere { state, sink, at }).into());
        }
    }
    Ok(snapshot)
}

/// Journals an epoch in which nothing was read, and writes what is held after it.
///
/// # Errors
/// If it cannot be written.
pub fn write_down(
    dir: &StateDir,
    state: &[Section],
    manifest: Manifest,
    follows: (Time, Option<u64>),
) -> Result<(), StateError> {
    let Manifest { epoch, generation, clock_ms, .. } = manifest;
    let entry = Entry { epoch, opened_ms: clock_ms, clock_ms, ..Entry::default() };
    let (follows, follows_generation) = follows;
    dir.journal(generation, &Group { follows, follows_generation, entries: vec![entry] })?;
    let (mut parts, mut bytes, mut records) = (Vec::new(), Vec::new(), 0);
    for (number, section) in (1..).zip(state) {
        encode(section, &mut bytes);
        records += section.records;
        if bytes.len() >= PART_BYTES || number == state.len() {
            parts.push(dir.write_part((epoch, generation), (0, parts.len()), records, &bytes)?);
            (bytes, records) = (Vec::new(), 0);
        }
    }
    dir.publish(&Manifest { parts, ..manifest })
}
