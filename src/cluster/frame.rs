//! What is written to a link: the length of a message, its sum, and the message.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{Error, ErrorKind, Read, Result, Write};

/// More than this a greeting does not take: who sends more is a stranger.
pub(super) const GREETING_MAX: usize = 1 << 16;
/// More than this no message takes.
pub(super) const MESSAGE_MAX: usize = 1 << 30;

fn wrong(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

/// Writes a message, whole.
pub(super) fn write<T: Serialize>(to: &mut impl Write, message: &T) -> Result<()> {
    let bytes = postcard::to_extend(message, vec![0; 8]).map_err(wrong)?;
    let (length, sum) = ((bytes.len() - 8) as u32, crc32fast::hash(&bytes[8..]));
    let mut bytes = bytes;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    to.write_all(&bytes)
}

/// Reads a message of so many bytes at the most.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read, bytes_max: usize) -> Result<T> {
    let (mut length, mut sum) = ([0; 4], [0; 4]);
    from.read_exact(&mut length)?;
    from.read_exact(&mut sum)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > bytes_max {
        return Err(wrong(format!("a message of {length} bytes is none of ours")));
    }
    // Not all at once: whoever names a length has not sent it yet.
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if crc32fast::hash(&bytes) != u32::from_le_bytes(sum) {
        return Err(wrong("a message does not have its sum"));
    }
    postcard::from_bytes(&bytes).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written_or_nothing() {
        let mut bytes = Vec::new();
        write(&mut bytes, &("a".to_owned(), 7_u32)).expect("written");
        write(&mut bytes, &("b".to_owned(), 8_u32)).expect("written");
        let mut from = &bytes[..];
        let mut next = || read::<(String, u32)>(&mut from, 100);
        assert_eq!(next().expect("whole"), ("a".to_owned(), 7));
        assert_eq!(next().expect("whole"), ("b".to_owned(), 8));
        assert_eq!(next().expect_err("the end").kind(), ErrorKind::UnexpectedEof);
        for place in 0..bytes.len() / 2 {
            assert!(read::<(String, u32)>(&mut &bytes[..place], 100).is_err(), "cut at {place}");
            let mut torn = bytes[..bytes.len() / 2].to_vec();
            torn[place] ^= 1;
            assert!(read::<(String, u32)>(&mut &torn[..], 100).is_err(), "torn at {place}");
        }
        assert!(read::<String>(&mut &b"GET / HTTP/1.1\r\n\r\n"[..], GREETING_MAX).is_err(), "a stranger");
    }
}
