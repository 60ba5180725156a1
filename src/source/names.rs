//! What files are called, and what tells them apart.

use super::SourceError;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "first line ";

/// What tells a file of events apart, by the sum of its first line.
pub(super) fn first_line_identity(sum: u32) -> String {
    format!("{FIRST_LINE}{sum:08x}")
}

/// What standard input is called once it is in a file.
pub const STDIN_NAME: &str = "stdin";
/// How the name of the folder begins that it is in.
pub const STDIN_FOLDER: &str = "deltamart-";

/// What a file is called where people read it: its name in quotes, or standard input.
pub fn called(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    match path.file_name().is_some_and(|name| name == STDIN_NAME) && folder.starts_with(STDIN_FOLDER) {
        true => "standard input".to_owned(),
        false => format!("`{}`", path.display()),
    }
}

/// Whether an identity is that of a file, whose positions are numbers of lines.
pub fn is_of_lines(identity: &str) -> bool {
    identity.starts_with(FIRST_LINE) || identity.starts_with("catalog ")
}

/// The sum of the first line, of the identity of a file of events.
pub fn first_line_of(identity: &str) -> Option<u32> {
    u32::from_str_radix(identity.strip_prefix(FIRST_LINE)?, 16).ok()
}

/// A name as text. One that is not UTF-8 has the replacement character for each byte that is none, and behind it which byte:
/// two names are never one text.
pub(super) fn as_text(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        // The character itself, where a name has it, must not look like what stands for a byte.
        text.push_str(&chunk.valid().replace('\u{fffd}', "\u{fffd}--"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\u{fffd}{byte:02x}")));
    }
    text
}

/// What files are called in `_topic`: their own name, or the path as given where two share a name.
///
/// # Errors
/// If a file is given twice.
pub fn names(paths: &[PathBuf]) -> Result<Vec<String>, SourceError> {
    let own = |path: &Path| as_text(path.file_name().unwrap_or(path.as_os_str()));
    let mut shared = BTreeMap::<String, usize>::new();
    paths.iter().for_each(|path| *shared.entry(own(path)).or_default() += 1);
    let names: Vec<String> =
        paths.iter().map(|path| if shared[&own(path)] == 1 { own(path) } else { as_text(path.as_os_str()) }).collect();
    let mut seen = std::collections::BTreeSet::new();
    // `x` and `./x` are one file; one that is not there is complained about when it is opened.
    let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match paths.iter().find(|path| !seen.insert(place(path))) {
        Some(twice) => {
            Err(SourceError::Failed(format!("file `{}` is given twice; its lines would count twice", twice.display())))
        }
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_utf_8_do_not_collide() {
        // Every name of up to three of these pieces: bytes that are none, the character that stands for one, and what
        // could be taken for its number.
        let pieces: [&[u8]; 8] =
            [b"\xff", b"\xfe", b"\xe2\x82", "\u{fffd}".as_bytes(), b"ff", b"--", b"a", "ä".as_bytes()];
        let mut texts = BTreeMap::<String, Vec<u8>>::new();
        for n in 0..8 * 8 * 8 {
            for length in 1..=3 {
                let name: Vec<u8> = (0..length).flat_map(|place| pieces[(n >> (3 * place)) % 8]).copied().collect();
                let before = texts.insert(as_text(OsStr::from_bytes(&name)), name.clone());
                assert!(before.is_none_or(|before| before == name), "{name:x?}");
            }
        }
        assert_eq!(as_text(OsStr::new("größer.jsonl")), "größer.jsonl");
    }

    #[test]
    fn files_are_called_by_their_names_unless_two_share_one() {
        let paths = |given: &[&str]| given.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(names(&paths(&["a/x.jsonl", "b/y.jsonl"])).expect("distinct"), ["x.jsonl", "y.jsonl"]);
        assert_eq!(names(&paths(&["a/x.jsonl", "b/x.jsonl"])).expect("distinct"), ["a/x.jsonl", "b/x.jsonl"]);
        assert!(names(&paths(&["a/x.jsonl", "a/x.jsonl"])).is_err());
    }
}
