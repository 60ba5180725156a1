//! The files that were named: a folder stands for its files, a pattern for what it matches, `-` for standard input.

use super::Refused;
use crate::families;
use crate::source::names::{STDIN_FOLDER, STDIN_NAME};
use crate::source::whose::Whose;
use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What is typed for standard input.
const STDIN: &str = "-";

/// What the files of a folder end with that are read.
const EVENTS: &[&str] = &[".jsonl", ".ndjson", ".json"];
const CATALOGS: &[&str] = &[".txt"];
const PACKED: &str = ".gz";

/// What kind of file is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Lines of JSON.
    Events,
    /// `Movies.txt`.
    Catalogs,
}

impl Expected {
    fn endings(self) -> &'static [&'static str] {
        match self {
            Expected::Events => EVENTS,
            Expected::Catalogs => CATALOGS,
        }
    }

    fn takes(self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = name.strip_suffix(PACKED).unwrap_or(&name);
        !name.starts_with('.') && self.endings().iter().any(|ending| name.ends_with(ending))
    }

    /// As people say it.
    fn listed(self) -> String {
        let endings: Vec<_> = self.endings().iter().map(|ending| format!("`{ending}`")).collect();
        format!("{}, or one of these and `{PACKED}`", endings.join(", "))
    }
}

/// Whether standard input may be read: once, to its end.
pub(super) enum Stdin {
    /// It is written to a file in here, which is removed with it.
    Into(TempDir),
    /// Not, and why.
    Refused(&'static str),
}

impl Stdin {
    /// A place that nobody else may open.
    pub(super) fn taken() -> Result<Stdin> {
        let folder = tempfile::Builder::new().prefix(STDIN_FOLDER).tempdir();
        Ok(Stdin::Into(
            folder.context("could not make a folder for standard input (set TMPDIR to name another place)")?,
        ))
    }
}

/// The files of events that are meant, and of which families those are of which it was said: `store_events=orders.jsonl`.
///
/// # Errors
/// As for [`expand`].
pub(super) fn events(given: &[PathBuf], stdin: &Stdin) -> Result<(Vec<PathBuf>, Whose)> {
    let (mut files, mut whose) = (Vec::new(), Whose::new());
    for path in given {
        let said = path.to_str().filter(|_| !path.exists()).and_then(|text| text.split_once('='));
        let family = said.and_then(|(name, rest)| Some((families::all().family(name)?, PathBuf::from(rest))));
        match family {
            Some((family, rest)) => {
                let meant = expand(&[rest], Expected::Events, stdin)?;
                whose.extend(meant.iter().map(|path| (path.clone(), family)));
                files.extend(meant);
            }
            None => files.extend(expand(std::slice::from_ref(path), Expected::Events, stdin)?),
        }
    }
    Ok((files, whose))
}

/// The files that are meant.
///
/// # Errors
/// If a folder or a pattern has none, or standard input may not be read.
pub(super) fn expand(given: &[PathBuf], expected: Expected, stdin: &Stdin) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        match path.to_str() {
            Some(STDIN) => files.push(spooled(stdin)?),
            // A file may be called like a pattern.
            Some(pattern) if !path.exists() && pattern.contains(['*', '?', '[']) => {
                files.extend(matching(pattern, expected)?);
            }
            _ if path.is_dir() => files.extend(files_of(path, expected)?),
            _ => files.push(path.clone()),
        }
    }
    Ok(files)
}

fn matching(pattern: &str, expected: Expected) -> Result<Vec<PathBuf>> {
    let why = |why: &str| Refused(format!("`{pattern}`: {why}"));
    let found = glob::glob(pattern).map_err(|error| why(&format!("is not a pattern of file names: {}", error.msg)))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| why(&format!("could not look for files: {error}")))?;
        if path.is_dir() { files.extend(files_of(&path, expected)?) } else { files.push(path) }
    }
    if files.is_empty() {
        return Err(why("no file matches this pattern").into());
    }
    Ok(files)
}

/// The files of a folder that are read, in the order of their names; not those of folders in it.
fn files_of(folder: &Path, expected: Expected) -> Result<Vec<PathBuf>> {
    let failed = || format!("could not read folder `{}`", folder.display());
    let entries = std::fs::read_dir(folder).with_context(failed)?;
    let entries = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let is_visible = |path: &PathBuf| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let entries = entries.with_context(failed)?.into_iter().filter(is_visible);
    let (mut files, others): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_file() && expected.takes(path));
    files.sort();
    if files.is_empty() {
        let (folder, listed) = (folder.display(), expected.listed());
        return Err(Refused(format!("folder `{folder}` has no file whose name ends with {listed}")).into());
    }
    if let Some(other) = others.iter().min() {
        let more = match others.len() {
            1 => " is".to_owned(),
            more => format!(" and {} more are", more - 1),
        };
        tracing::warn!(
            "of folder `{}`, `{}`{more} not read: only names that end with {}",
            folder.display(),
            other.file_name().unwrap_or_default().display(),
            expected.listed()
        );
    }
    Ok(files)
}

/// Standard input in a file: a file is read more than once, to know what it is and from when its prices hold.
fn spooled(stdin: &Stdin) -> Result<PathBuf> {
    let folder = match stdin {
        Stdin::Into(folder) => folder,
        Stdin::Refused(why) => return Err(Refused((*why).to_owned()).into()),
    };
    let path = folder.path().join(STDIN_NAME);
    let written = || format!("could not keep standard input in `{}`", path.display());
    if path.exists() {
        return Err(Refused(format!("`{STDIN}` is given twice: there is one standard input")).into());
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(written)?;
    let (mut input, mut buffer) = (std::io::stdin().lock(), vec![0; 1 << 16]);
    loop {
        let read = match input.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.context("could not read standard input")?,
        };
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).with_context(written)?;
    }
    file.flush().with_context(written)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_STDIN: Stdin = Stdin::Refused("no");

    fn expanded(given: &Path) -> Result<Vec<String>> {
        let files = expand(&[given.to_owned()], Expected::Events, &NO_STDIN)?;
        Ok(files.iter().map(|file| file.file_name().expect("a name").to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_folder_and_a_pattern_stand_for_their_files_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.jsonl", "a.ndjson.gz", "c.JSON", "Movies.txt", ".hidden.jsonl", "x[1].jsonl"] {
            std::fs::write(folder.path().join(name), "").expect("writes");
        }
        std::fs::create_dir(folder.path().join("sub.jsonl")).expect("makes it");
        assert_eq!(expanded(folder.path()).expect("some"), ["a.ndjson.gz", "b.jsonl", "c.JSON", "x[1].jsonl"]);
        assert_eq!(expanded(&folder.path().join("?.*json*")).expect("some"), ["a.ndjson.gz", "b.jsonl"]);
        assert_eq!(expanded(&folder.path().join("x[1].jsonl")).expect("a file"), ["x[1].jsonl"]);
        for none in ["nothing*", "sub.jsonl", "[", "-"] {
            let path = if none == "-" { PathBuf::from(none) } else { folder.path().join(none) };
            assert!(expanded(&path).expect_err(none).is::<Refused>(), "{none}");
        }
        // What is not there is said by what opens it.
        assert_eq!(expanded(&folder.path().join("gone.jsonl")).expect("as given"), ["gone.jsonl"]);
    }
}
