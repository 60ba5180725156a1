//! How much of anything is taken of an event: what is longer is rejected as `too_long`, never cut. (A text that is
//! cut is another text: two users, or two items, would become one.)

use super::{Reason, Rejection};

/// No text of an event has more bytes, as UTF-8.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// Many texts of one event have no more bytes together: those of a list, and of all that an event says of something.
pub const TOGETHER_BYTES_MAX: usize = 256 << 10;

/// That something is too long: it has so many bytes of at most so many.
pub fn too_long(what: &str, bytes: u64, most: usize) -> Rejection {
    Rejection::new(Reason::TOO_LONG, format!("{what} has {bytes} bytes; expected at most {most}"))
}

/// Whether a text of a field is short enough.
///
/// # Errors
/// [`Reason::TOO_LONG`], with the field and the size.
pub fn of_text(field: &str, bytes: usize) -> Result<(), Rejection> {
    if bytes > TEXT_BYTES_MAX {
        return Err(too_long(&format!("`{field}`"), bytes as u64, TEXT_BYTES_MAX));
    }
    Ok(())
}

/// Whether many texts are short enough together, given how many bytes they have at least.
///
/// # Errors
/// [`Reason::TOO_LONG`], with `what` they are and the size.
pub fn together(what: &str, bytes: u64) -> Result<(), Rejection> {
    if bytes > TOGETHER_BYTES_MAX as u64 { Err(too_long(what, bytes, TOGETHER_BYTES_MAX)) } else { Ok(()) }
}
