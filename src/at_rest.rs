//! A state at rest: the last run ended in order, and every sink has what it had. What changes the state itself, and not by
//! reading, begins there and ends there: an epoch in which nothing is read, with a snapshot after it.

use crate::recovery::StartError;
use crate::sink::Warehouse;
use crate::state_dir::journal::{Entry, Group};
use crate::state_dir::obstacle::{Obstacle, Unrest};
use crate::state_dir::snapshot::{Manifest, encode};
use crate::state_dir::{StateDir, StateError};
use dataflows::Time;
use dataflows::family::Catalogue;
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

/// What is held, a few parts at a time, which so many threads read: the state of many processes does not fit one.
pub fn pieces(
    catalogue: Catalogue,
    dir: &StateDir,
    manifest: &Manifest,
    threads: usize,
) -> impl Iterator<Item = Result<Vec<Section>, StateError>> {
    manifest.parts.chunks(threads.max(1)).map(move |parts| dir.read_parts(catalogue, parts, threads))
}

/// Writes what is held after an epoch in which nothing was read, each piece before the next is asked for, and journals that
/// epoch. If a piece is an error, nothing has happened.
///
/// # Errors
/// If it cannot be written; or the first error of the pieces.
pub fn write_down(
    dir: &StateDir,
    pieces: impl Iterator<Item = Result<Vec<Section>, StateError>>,
    manifest: Manifest,
    follows: (Time, Option<u64>),
) -> Result<(), StateError> {
    let Manifest { epoch, generation, clock_ms, .. } = manifest;
    let (mut parts, mut bytes, mut records) = (Vec::new(), Vec::new(), 0);
    let mut write = |bytes: &mut Vec<u8>, records: &mut u64| -> Result<(), StateError> {
        parts.push(dir.write_part((epoch, generation), (0, parts.len()), *records, bytes)?);
        bytes.clear();
        *records = 0;
        Ok(())
    };
    for piece in pieces {
        for section in piece? {
            encode(&section, &mut bytes);
            records += section.records;
            if bytes.len() >= PART_BYTES {
                write(&mut bytes, &mut records)?;
            }
        }
    }
    if !bytes.is_empty() {
        write(&mut bytes, &mut records)?;
    }
    // Parts are of no snapshot before its manifest is there, and the journal must know of its epoch before.
    let entry = Entry { epoch, opened_ms: clock_ms, clock_ms, ..Entry::default() };
    let (follows, follows_generation) = follows;
    dir.journal(generation, &Group { follows, follows_generation, entries: vec![entry] })?;
    dir.publish(&Manifest { parts, ..manifest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::all;
    use crate::store::Store;
    use crate::store::local::Local;
    use std::sync::Arc;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn Store> = Arc::new(Local::open(folder.path().join("state")).expect("a folder"));
        let dir = StateDir::open(store, Some("a pipeline")).expect("state");
        // The journal of a start counts while its facts are there.
        dir.store().put("generations/00000001", b"").expect("written");
        (folder, dir)
    }

    fn manifest(epoch: Time) -> Manifest {
        Manifest {
            epoch,
            generation: 1,
            clock_ms: 0,
            lanes: Default::default(),
            positions: Default::default(),
            sums: Default::default(),
            largest: Default::default(),
            second: Default::default(),
            quality: Default::default(),
            identities: Default::default(),
            fingerprint: Default::default(),
            parts: Vec::new(),
        }
    }

    fn section(bytes: usize) -> Section {
        Section { name: "shop/users/profiles".to_owned(), version: 1, records: 0, bytes: vec![0; bytes] }
    }

    fn objects(dir: &StateDir) -> usize {
        dir.store().list("snapshots/").expect("readable").len()
    }

    #[test]
    fn each_piece_is_written_before_the_next_is_asked_for() {
        let (_folder, dir) = state();
        let pieces = (0..4).map(|written| {
            assert_eq!(objects(&dir), written, "parts of the pieces before");
            Ok(vec![section(PART_BYTES)])
        });
        write_down(&dir, pieces, manifest(2), (0, None)).expect("written");
        let chain = dir.chain().expect("readable");
        let snapshot = dir.newest_snapshot(&chain, Time::MAX).expect("readable").expect("one");
        assert_eq!((chain.end(), snapshot.epoch, snapshot.parts.len()), (2, 2, 4));
    }

    #[test]
    fn when_a_piece_cannot_be_read_nothing_has_happened() {
        let (_folder, dir) = state();
        let damaged = || dir.refused(Obstacle::Unreadable("damaged".to_owned()));
        let pieces = [Ok(vec![section(PART_BYTES)]), Err(damaged())].into_iter();
        write_down(&dir, pieces, manifest(2), (0, None)).expect_err("refused");
        let chain = dir.chain().expect("readable");
        assert_eq!(chain.end(), 0);
        assert_eq!(dir.newest_snapshot(&chain, Time::MAX).expect("readable"), None);
    }

    #[test]
    fn parts_are_read_when_they_are_asked_for() {
        let (_folder, dir) = state();
        let sections = [Vec::new(), vec![section(0)]];
        let mut parts = Vec::new();
        for (number, sections) in sections.iter().enumerate() {
            let mut bytes = Vec::new();
            sections.iter().for_each(|section| encode(section, &mut bytes));
            parts.push(dir.write_part((2, 1), (0, number), 0, &bytes).expect("written"));
        }
        let manifest = Manifest { parts, ..manifest(2) };
        let mut pieces = pieces(all(), &dir, &manifest, 1);
        assert_eq!(pieces.next().expect("two").expect("readable"), sections[0]);
        dir.store().delete(&manifest.parts[1].key).expect("removed");
        assert!(pieces.next().expect("two").is_err(), "it was not read before");
        assert!(pieces.next().is_none());
    }
}
