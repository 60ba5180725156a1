//! What is kept of a record that was rejected, and what its row says of that: who sends it through again must know
//! whether these are the bytes that came.

use crate::decode::Rejection;
use crate::decode::mask;
use crate::source::Format;

/// Stands at the end of `rejected_events.detail` if what is kept is not what came.
const MASKED: &str = "; kept with its e-mail addresses masked";

/// Whether a row of `rejected_events` holds the record as it came, by its detail.
pub fn is_whole(detail: &str) -> bool {
    !detail.ends_with(MASKED)
}

/// What is kept of a record that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its key.
    pub key: Vec<u8>,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Why it was rejected, and whether what is kept is what came.
    pub detail: String,
}

/// What is kept of a record.
pub fn kept(format: &Format, key: &[u8], payload: &[u8], rejection: &Rejection) -> Kept {
    let (key, raw) = (mask::bytes(key), mask::record(format, payload));
    let mut detail = rejection.detail.clone();
    if key.differs || raw.differs {
        detail.push_str(MASKED);
    }
    Kept { key: key.bytes, raw: raw.bytes, detail }
}
