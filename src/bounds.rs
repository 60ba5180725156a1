//! How much of anything is taken: what is longer is rejected as `too_long`, never cut. (A text that is cut is
//! another text: two users, or two items, would become one.) And how much is kept of what was rejected.

pub use dataflows::wire::bounds::{TEXT_BYTES_MAX, TOGETHER_BYTES_MAX};

/// No record has more bytes.
pub const RECORD_BYTES_MAX: usize = 4 << 20;
/// So many bytes of a rejected record are kept, and of its key.
pub const KEPT_BYTES_MAX: usize = 4 << 10;
/// So many bytes are read of what is too long to be held: what is kept of it, and enough behind that to see whether
/// an address goes on there.
pub const BEGINNING_BYTES: usize = KEPT_BYTES_MAX + (1 << 10);
/// Of so many rejected records of a partition bytes are kept in an epoch: of those with the smallest offsets. An
/// epoch and not a second, so that what is replayed gives the same rows.
pub const KEPT_RECORDS_MAX: usize = 1_000;
/// No more bytes of a rejection's detail are kept, before it is said where the whole record is;
pub const DETAIL_BYTES_MAX: usize = 4 << 10;
/// and no more of those of whose record none are.
pub const DETAIL_BYTES_OF_MANY: usize = 128;

/// Text no longer than this, by whole characters.
pub fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
    text
}
