//! The log of what is in a place of files: objects of `_progress/`, to which one writer at a time can add.

use super::SinkError;
use super::progress::Found;
use crate::store::{Store, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::sync::Arc;

/// Where the objects of the log are.
const FOLDER: &str = "_progress/";

/// So many of the newest stay: a reader takes the name of the newest one and then reads it.
const KEPT: u64 = 16;

/// How often the newest object may have gone between finding and reading it.
const ATTEMPTS: usize = 100;

/// The objects of `_progress/`, numbered from 1 without gaps; the last one counts.
///
/// An object is made only if its number is free, by somebody who read the one before: so each follows
/// from the one before, and of two writers one learns that the other was first. A writer who slept for
/// so long that old numbers are free again finds that there are later ones.
pub(super) struct Log<M> {
    store: Arc<dyn Store>,
    objects: Objects,
    of: PhantomData<fn() -> M>,
}

/// How the objects of a log are spoken of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Objects {
    /// Of what they are: `feed`.
    pub of: &'static str,
    /// The same, where it is first named: `Parquet feed`.
    pub in_full: &'static str,
    /// The setting that names the place.
    pub setting: &'static str,
    /// The version of the layout.
    pub format: u32,
}

impl Objects {
    /// What a store says, as a sink says it.
    pub(super) fn said(self, error: StoreError) -> SinkError {
        let of = self.in_full;
        match error {
            StoreError::Unavailable(detail) => SinkError::Unavailable(format!("{of}: {detail}")),
            StoreError::Failed(detail) => SinkError::Failed(format!("{of}: {detail}")),
        }
    }
}

impl<M: Serialize + DeserializeOwned> Log<M> {
    pub(super) fn new(store: Arc<dyn Store>, objects: Objects) -> Log<M> {
        Log { store, objects, of: PhantomData }
    }

    /// The number of the last object that is listed; 0 if there is none. It may not show the newest yet.
    pub(super) fn last(&self) -> Result<u64, SinkError> {
        let keys = self.store.list(FOLDER).map_err(|error| self.of_store(error))?;
        Ok(keys.iter().filter_map(|key| number(key)).max().unwrap_or(0))
    }

    /// The last object, and its number.
    pub(super) fn newest(&self) -> Result<Option<(u64, M)>, SinkError> {
        for _ in 0..ATTEMPTS {
            let last = self.last()?;
            if last == 0 {
                return Ok(None);
            }
            // If it is gone, so many came after it meanwhile that it was tidied away.
            let Some(mut bytes) = self.store.get(&key(last)).map_err(|error| self.of_store(error))? else { continue };
            let mut last = last;
            // A list may not show yet what was written just now.
            while let Some(next) = self.store.get(&key(last + 1)).map_err(|error| self.of_store(error))? {
                (last, bytes) = (last + 1, next);
            }
            return self.parse(last, &bytes).map(|object| Some((last, object)));
        }
        let detail = "its newest object went away again and again while it was read; try again";
        let (of, place) = (self.objects.of, self.store.place());
        Err(SinkError::Unavailable(format!("could not read `{FOLDER}` of {of} `{place}`: {detail}")))
    }

    fn parse(&self, number: u64, bytes: &[u8]) -> Result<M, SinkError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let (place, Objects { of, setting, format: ours, .. }) = (self.store.place(), self.objects);
        let broken = |error: serde_json::Error| {
            let hint = format!("restore it, or name another place with `{setting}`");
            SinkError::Failed(format!("{of} `{place}`: `{}` is not what was written: {error}; {hint}", key(number)))
        };
        let Format { format } = serde_json::from_slice(bytes).map_err(broken)?;
        if format != ours {
            let detail =
                format!("{of} `{place}` has format {format}, this program knows {ours}: use the version that made it");
            return Err(SinkError::Failed(detail));
        }
        // Apart from the rest, so that what is wrong is said by its name.
        let found: Found = serde_json::from_slice(bytes).map_err(broken)?;
        let way_out = format!("Put `{}` back from a copy, or name another place with `{setting}`", key(number));
        found.read(&format!("{of} `{place}`"), &way_out)?;
        serde_json::from_slice(bytes).map_err(broken)
    }

    /// Makes the object after one; `false` if it is not the last one afterwards: somebody else was first,
    /// or has come since.
    pub(super) fn follow(&self, last: u64, object: &M) -> Result<bool, SinkError> {
        let bytes = serde_json::to_vec_pretty(object).map_err(|error| SinkError::Failed(error.to_string()))?;
        let key = key(last + 1);
        let ours = self.store.create(&key, &bytes).map_err(|error| self.of_store(error))?
            // From an attempt of ours that failed after it was done.
            || self.store.get(&key).map_err(|error| self.of_store(error))?.is_some_and(|there| there == bytes);
        // Not equal: ours need not be listed yet.
        Ok(ours && self.last()? <= last + 1)
    }

    /// Whether an object is there, listed or not.
    pub(super) fn has(&self, number: u64) -> Result<bool, SinkError> {
        Ok(self.store.get(&key(number)).map_err(|error| self.of_store(error))?.is_some())
    }

    /// Removes objects that nobody reads any more.
    pub(super) fn tidy(&self, last: u64) -> Result<(), SinkError> {
        for key in self.store.list(FOLDER).map_err(|error| self.of_store(error))? {
            if number(&key).is_some_and(|number| number + KEPT <= last) {
                self.store.delete(&key).map_err(|error| self.of_store(error))?;
            }
        }
        Ok(())
    }

    fn of_store(&self, error: StoreError) -> SinkError {
        self.objects.said(error)
    }
}

/// Removes the newest objects that nobody reads any more, without looking for older ones: a commit and
/// what follows it make two at most.
pub(super) fn tidy_newest(store: &dyn Store, last: u64) -> Result<(), StoreError> {
    let last = last.saturating_sub(KEPT);
    (last.saturating_sub(1).max(1)..=last).try_for_each(|old| store.delete(&key(old)))
}

/// Of equal length, so that the last one is the largest as text too: that is how readers find it.
fn key(number: u64) -> String {
    format!("{FOLDER}{number:012}.json")
}

fn number(key: &str) -> Option<u64> {
    key.strip_prefix(FOLDER)?.strip_suffix(".json")?.parse().ok()
}
