//! Where cases are: `NAME.case` beside the metric NAME, and `NAME/WHAT_IS_SHOWN.case`.

use super::super::text::word;
use crate::families::all;
use crate::model::shipped::Folder;
use anyhow::{Context, Result};
use dataflows::wire::nearest;
use std::path::{Path, PathBuf};

/// What the name of a case ends with.
pub(in super::super) const EXTENSION: &str = "case";

/// A case, and the name of the metric that it is of.
pub(in super::super) struct Found {
    pub(in super::super) path: PathBuf,
    pub(in super::super) of: String,
}

/// The cases of a folder, in the order of their names; none where there is no folder.
pub(in super::super) fn found(folder: Folder<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let entries = |of: &Path| -> Result<Vec<PathBuf>> {
        let why = || format!("could not read the folder `{}` of cases", of.display());
        folder.entries(of).with_context(why)
    };
    let is_case = |path: &Path| path.extension().is_some_and(|is| is == EXTENSION) && !folder.is_folder(path);
    if folder.is_there() {
        for path in entries(folder.root())? {
            if folder.is_folder(&path) {
                let of = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.extend(entries(&path)?.into_iter().filter(|path| is_case(path)).map(|path| (path, of.clone())));
            } else if is_case(&path) {
                let of = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                found.push((path, of));
            }
        }
    }
    Ok(found.into_iter().map(|(path, of)| Found { path, of }).collect())
}

/// Says of a case that there is no metric of its name.
pub(in super::super) fn belongs_to_none(path: &Path, of: &str) -> String {
    let metrics = all().metrics().iter().map(|(id, _)| id.name());
    let instead = match nearest(of, metrics) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("rename it, or delete it:  rm {}", word(&path.display().to_string())),
    };
    format!("{}: belongs to no metric, because there is none called `{of}`; {instead}", path.display())
}
