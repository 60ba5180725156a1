//! The files of a replay: only their owner may read them.

use crate::source::SourceError;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes a file anew.
///
/// # Errors
/// If it cannot be made.
pub(super) fn create(path: &Path) -> Result<File, SourceError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| failed("write", path, &error))
}

/// What could not be done to a file.
pub(super) fn failed(what: &str, path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::Failed(format!("could not {what} `{}`, a file of the replay: {error}", path.display()))
}
