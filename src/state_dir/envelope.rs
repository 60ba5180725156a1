//! One line before each object: what it is, in which version, how long, and its checksum.

use serde::Serialize;

/// What begins every object.
const MAGIC: &str = "deltamart";

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not what was written.
    #[error("is damaged ({0}); put it back from a copy, or start from scratch with `--rebuild`")]
    Bytes(String),
    /// Written by a later version of the program.
    #[error(
        "was written in format {found}, this program reads up to {known}: use the version that wrote it, or a later one"
    )]
    Newer {
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The checksum is right, and it still says nothing we understand.
    #[error("says something unexpected ({0}); use the version that wrote it, or start from scratch with `--rebuild`")]
    Body(String),
}

/// An object: header and body.
pub fn seal(kind: &str, version: u32, body: &[u8]) -> Vec<u8> {
    let head = format!("{MAGIC} {kind} {version} {}", body.len());
    let mut sealed = format!("{head} {:08x}\n", checksum(&head, body)).into_bytes();
    sealed.extend_from_slice(body);
    sealed
}

/// An object whose body is JSON that people can read.
pub fn seal_json(kind: &str, version: u32, body: &impl Serialize) -> Vec<u8> {
    let mut body = serde_json::to_vec_pretty(body).expect("our own facts are JSON");
    body.push(b'\n');
    seal(kind, version, &body)
}

/// The version and the body of an object of this kind and of a version up to `newest`.
///
/// # Errors
/// If a single bit is not as it was written.
pub fn open(kind: &str, newest: u32, mut sealed: Vec<u8>) -> Result<(u32, Vec<u8>), Damage> {
    let damaged = |why: &str| Damage::Bytes(why.to_owned());
    // A header is short: a long line is none.
    let end = sealed.iter().take(200).position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no header"))?;
    let header = std::str::from_utf8(&sealed[..end]).map_err(|_| damaged("its header is not text"))?;
    let (head, sum) = header.rsplit_once(' ').ok_or_else(|| damaged("its header is cut"))?;
    let sum = u32::from_str_radix(sum, 16).ok().filter(|_| sum.len() == 8);
    let sum = sum.ok_or_else(|| damaged("its checksum is not a number"))?;
    if sum != checksum(head, &sealed[end + 1..]) {
        return Err(damaged(&format!("its checksum does not fit its {} bytes", sealed.len())));
    }
    let fields: Vec<_> = head.split(' ').collect();
    let [MAGIC, found, version, _] = fields[..] else { return Err(damaged("its header is of something else")) };
    if found != kind {
        return Err(damaged(&format!("it is a {found}, not a {kind}")));
    }
    let version: u32 = version.parse().map_err(|_| damaged("its version is not a number"))?;
    if version > newest {
        return Err(Damage::Newer { found: version, known: newest });
    }
    sealed.drain(..=end);
    Ok((version, sealed))
}

fn checksum(head: &str, body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head.as_bytes());
    sum.update(body);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_no_other_bit_does() {
        let sealed = seal("thing", 2, b"body of it");
        assert_eq!(open("thing", 3, sealed.clone()), Ok((2, b"body of it".to_vec())));
        for byte in 0..sealed.len() {
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[byte] ^= 1 << bit;
                // The checksum is written in hexadecimal, and hexadecimal in capitals is the same number.
                let same_number = flipped.eq_ignore_ascii_case(&sealed) && sealed[byte].is_ascii_hexdigit();
                let opened = open("thing", 3, flipped);
                assert!(
                    opened.is_err() || (same_number && opened == Ok((2, b"body of it".to_vec()))),
                    "bit {bit} of {byte}"
                );
            }
        }
        for length in 0..sealed.len() {
            assert!(open("thing", 3, sealed[..length].to_vec()).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn a_later_version_and_another_kind_are_told_apart_from_damage() {
        assert_eq!(open("thing", 1, seal("thing", 2, b"")), Err(Damage::Newer { found: 2, known: 1 }));
        assert!(matches!(open("thing", 1, seal("other", 1, b"")), Err(Damage::Bytes(_))));
    }
}
