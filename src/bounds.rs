//! How much of anything is taken: what is longer is rejected as `too_long`, never cut. (A text that is cut is
//! another text: two users, or two items, would become one.) And how much is kept of what was rejected.

use crate::decode::{Reason, Rejection};
use crate::source::Format;
use dataflows::events::CatalogContent;

/// No text of an event has more bytes, as UTF-8.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// No record has more bytes.
pub const RECORD_BYTES_MAX: usize = 4 << 20;
/// No version of a catalog item has more bytes: all its texts together, or its block in `Movies.txt`.
pub const VERSION_BYTES_MAX: usize = 256 << 10;
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

/// That something is too long: it has so many bytes of at most so many.
pub fn too_long(what: &str, bytes: u64, most: usize) -> Rejection {
    Rejection::new(Reason::TooLong, format!("{what} has {bytes} bytes; expected at most {most}"))
}

/// Whether a record of so many bytes is short enough.
///
/// # Errors
/// [`Reason::TooLong`], with its size.
pub fn of_record(format: &Format, bytes: u64) -> Result<(), Rejection> {
    match format {
        Format::MoviesTxt(_) => of_version("the block of the item", bytes),
        Format::Avro(..) | Format::Json(_) | Format::JsonSchema(_) if bytes > RECORD_BYTES_MAX as u64 => {
            Err(too_long("the record", bytes, RECORD_BYTES_MAX))
        }
        Format::Avro(..) | Format::Json(_) | Format::JsonSchema(_) => Ok(()),
    }
}

/// Whether a text of a field is short enough.
///
/// # Errors
/// [`Reason::TooLong`], with the field and the size.
pub fn of_text(field: &str, bytes: usize) -> Result<(), Rejection> {
    if bytes > TEXT_BYTES_MAX {
        return Err(too_long(&format!("`{field}`"), bytes as u64, TEXT_BYTES_MAX));
    }
    Ok(())
}

/// Whether a version of a catalog item is short enough, given how many bytes it has at least.
///
/// # Errors
/// [`Reason::TooLong`], with `what` it is and the size.
pub fn of_version(what: &str, bytes: u64) -> Result<(), Rejection> {
    if bytes > VERSION_BYTES_MAX as u64 { Err(too_long(what, bytes, VERSION_BYTES_MAX)) } else { Ok(()) }
}

/// Whether what a catalog says of an item is short enough, field by field and together. Lists have many texts, each
/// short enough by itself: they count together.
///
/// # Errors
/// [`Reason::TooLong`], with the field and the size.
pub fn of_content(content: &CatalogContent) -> Result<(), Rejection> {
    let CatalogContent { title, list_price_raw, product_group, binding, genre, studio, brand, .. } = content;
    let CatalogContent { release_date, audience_rating, running_time, directors, actors, languages, .. } = content;
    let texts = [
        ("list_price_raw", list_price_raw),
        ("product_group", product_group),
        ("binding", binding),
        ("genre", genre),
        ("studio", studio),
        ("brand", brand),
        ("release_date", release_date),
        ("audience_rating", audience_rating),
        ("running_time", running_time),
    ];
    of_text("title", title.len())?;
    let mut bytes = title.len();
    for (field, text) in texts {
        let length = text.as_ref().map_or(0, String::len);
        of_text(field, length)?;
        bytes += length;
    }
    let lists = [directors, actors, languages, &content.attributes];
    bytes += lists.into_iter().map(String::len).sum::<usize>();
    of_version("the version of the item", bytes as u64)
}

/// Text no longer than this, by whole characters.
pub fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
    text
}
