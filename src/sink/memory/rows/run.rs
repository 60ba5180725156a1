//! What became of rows, in the order of their keys, each key once.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

/// A row, or the key of one that is gone, as it is written down.
#[derive(Clone, Copy)]
pub struct Change<'r> {
    /// Its values, its key in front.
    pub bytes: &'r [u8],
    /// How many bytes the key takes.
    pub key: usize,
    /// It is there.
    pub is_upsert: bool,
}

impl<'r> Change<'r> {
    /// Its key, which compares like the values of it.
    pub fn key(&self) -> &'r [u8] {
        &self.bytes[..self.key]
    }
}

/// A piece of a run that has so many bytes is full: merged, it is let go of before the next one is read.
const PIECE_BYTES: usize = 1 << 18;

/// Rows that stand one behind the other.
#[derive(Clone, Default)]
struct Piece {
    bytes: Vec<u8>,
    rows: Vec<Place>,
}

/// Where a row ends, and how long its key is.
#[derive(Clone, Copy)]
struct Place {
    end: u32,
    key: u32,
    is_upsert: bool,
}

impl Piece {
    fn change(&self, row: usize) -> Option<Change<'_>> {
        let Place { end, key, is_upsert } = *self.rows.get(row)?;
        let begin = row.checked_sub(1).map_or(0, |before| self.rows[before].end);
        Some(Change { bytes: &self.bytes[begin as usize..end as usize], key: key as usize, is_upsert })
    }

    /// How many rows have a lesser key, or the same where that `counts`.
    fn before(&self, key: &[u8], counts: bool) -> usize {
        let (mut from, mut to) = (0, self.rows.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let is_before = self.change(middle).is_some_and(|change| match change.key().cmp(key) {
                Ordering::Less => true,
                Ordering::Equal => counts,
                Ordering::Greater => false,
            });
            if is_before { from = middle + 1 } else { to = middle }
        }
        from
    }

    fn last(&self) -> Option<&[u8]> {
        self.change(self.rows.len().checked_sub(1)?).map(|change| change.key())
    }
}

/// Changes in the order of their keys.
///
/// **Invariant.** No piece is empty, and each key is greater than the one before it.
#[derive(Clone, Default)]
pub struct Run {
    pieces: Vec<Arc<Piece>>,
    rows: usize,
}

impl Run {
    /// Of how many keys.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether it is of none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The last key.
    pub fn last(&self) -> Option<&[u8]> {
        self.pieces.last()?.last()
    }

    /// Adds what has a greater key than all before.
    pub fn push(&mut self, change: Change<'_>) {
        let is_full = |piece: &Arc<Piece>| piece.bytes.len() + change.bytes.len() > PIECE_BYTES;
        if self.pieces.last().is_none_or(is_full) {
            if let Some(full) = self.pieces.last_mut() {
                let Piece { bytes, rows } = Arc::make_mut(full);
                bytes.shrink_to_fit();
                rows.shrink_to_fit();
            }
            self.pieces.push(Arc::default());
        }
        let Some(last) = self.pieces.last_mut() else { return };
        let Piece { bytes, rows } = Arc::make_mut(last);
        bytes.extend_from_slice(change.bytes);
        // A row of four billion bytes came from no record: one is read as a whole.
        let end = u32::try_from(bytes.len()).expect("four billion bytes of a row do not fit into memory");
        rows.push(Place { end, key: change.key as u32, is_upsert: change.is_upsert });
        self.rows += 1;
    }

    /// What it says of a key.
    pub fn find(&self, key: &[u8]) -> Option<Change<'_>> {
        let piece = self.pieces.partition_point(|piece| piece.last().is_some_and(|last| last < key));
        let piece = self.pieces.get(piece)?;
        piece.change(piece.before(key, false)).filter(|change| change.key() == key)
    }

    /// What it says of the keys after one, or of all.
    pub fn after(&self, key: Option<&[u8]>) -> Cursor<'_> {
        let Some(key) = key else { return Cursor { pieces: &self.pieces, row: 0 } };
        let piece = self.pieces.partition_point(|piece| piece.last().is_some_and(|last| last <= key));
        let pieces = &self.pieces[piece..];
        Cursor { pieces, row: pieces.first().map_or(0, |first| first.before(key, true)) }
    }

    /// Of several, of which those that are later count: one. What is gone is still said if it `says` so.
    pub fn merged(runs: Vec<Run>, says: bool) -> Run {
        let mut merged = Run::default();
        let parts = runs.into_iter().enumerate().filter_map(|(number, run)| Part::of(number, run));
        let mut parts: BinaryHeap<Reverse<Part>> = parts.map(Reverse).collect();
        while let Some(mut least) = parts.peek_mut() {
            let change = least.0.change();
            // The last run that has a key comes first.
            if merged.last().is_none_or(|last| last < change.key()) {
                merged.push(change);
            }
            if !least.0.go_on() {
                PeekMut::pop(least);
            }
        }
        if says { merged } else { merged.without_what_is_gone() }
    }

    fn without_what_is_gone(self) -> Run {
        let is_gone = |piece: &Arc<Piece>| piece.rows.iter().any(|row| !row.is_upsert);
        if !self.pieces.iter().any(is_gone) {
            return self;
        }
        let mut left = Run::default();
        for piece in self.pieces {
            let rows = (0..piece.rows.len()).filter_map(|row| piece.change(row));
            rows.filter(|change| change.is_upsert).for_each(|change| left.push(change));
        }
        left
    }
}

/// What is left of a run that is read.
pub struct Cursor<'r> {
    pieces: &'r [Arc<Piece>],
    row: usize,
}

impl<'r> Cursor<'r> {
    /// What comes next.
    pub fn change(&self) -> Option<Change<'r>> {
        self.pieces.first()?.change(self.row)
    }

    /// That was read.
    pub fn go_on(&mut self) {
        self.row += 1;
        if self.pieces.first().is_some_and(|piece| self.row >= piece.rows.len()) {
            (self.pieces, self.row) = (&self.pieces[1..], 0);
        }
    }
}

/// What is left of a run that is merged; what was merged of it is let go of, piece by piece.
struct Part {
    number: usize,
    piece: Arc<Piece>,
    rest: std::vec::IntoIter<Arc<Piece>>,
    row: usize,
    /// How the next key begins: where two differ in it, they have its order.
    begins: u64,
}

impl Part {
    fn of(number: usize, run: Run) -> Option<Part> {
        let mut rest = run.pieces.into_iter();
        let piece = rest.next()?;
        let mut part = Part { number, piece, rest, row: 0, begins: 0 };
        part.begin();
        Some(part)
    }

    fn begin(&mut self) {
        let (mut begins, key) = ([0; size_of::<u64>()], self.change().key());
        let known = key.len().min(begins.len());
        begins[..known].copy_from_slice(&key[..known]);
        self.begins = u64::from_be_bytes(begins);
    }

    /// What comes next. There is always something.
    fn change(&self) -> Change<'_> {
        self.piece.change(self.row).unwrap_or(Change { bytes: &[], key: 0, is_upsert: false })
    }

    /// That was merged; whether there is more.
    fn go_on(&mut self) -> bool {
        self.row += 1;
        if self.row >= self.piece.rows.len() {
            let Some(next) = self.rest.next() else { return false };
            (self.piece, self.row) = (next, 0);
        }
        self.begin();
        true
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Part) -> Ordering {
        let by_key = self.begins.cmp(&other.begins).then_with(|| self.change().key().cmp(other.change().key()));
        by_key.then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Part) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Part) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Part {}
