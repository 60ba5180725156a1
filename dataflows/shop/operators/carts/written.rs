//! A cart's events as they are kept: there are a million carts, and each sees an event or three.

use super::{CartEvent, InCart};
use crate::item::ItemId;
use crate::time::Instant;

/// The events of a cart in their order, written down: times as the distance from the one before,
/// users where they change, numbers in as many bytes as they need. About ten bytes an event.
#[derive(Clone, Default)]
pub(super) struct Written(Box<[u8]>);

const CHECKOUT: u8 = 0;
const ADD_NUMBER: u8 = 1;
const ADD_TEXT: u8 = 2;
/// Added where the user is that of the event before.
const SAME_USER: u8 = 4;

impl Written {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts these events, in their order, in the place of what was there; `buffer` is anybody's.
    pub(super) fn write(&mut self, events: &[CartEvent], buffer: &mut Vec<u8>) {
        buffer.clear();
        let (mut before, mut last_user) = (0, 0);
        for CartEvent { at, what } in events {
            let (kind, user, item) = match what {
                InCart::Checkout(user) => (CHECKOUT, *user, None),
                InCart::Add(item, user) => match item.parts() {
                    Ok(number) => (ADD_NUMBER, *user, Some(Ok(number))),
                    Err(text) => (ADD_TEXT, *user, Some(Err(text))),
                },
            };
            write_number(at.wrapping_sub(before) as u64, buffer);
            buffer.push(if user == last_user { kind + SAME_USER } else { kind });
            if user != last_user {
                write_number(user, buffer);
            }
            match item {
                Some(Ok(number)) => write_number(number, buffer),
                Some(Err(text)) => {
                    write_number(text.len() as u64, buffer);
                    buffer.extend_from_slice(text.as_bytes());
                }
                None => {}
            }
            (before, last_user) = (*at, user);
        }
        self.0 = buffer.as_slice().into();
    }

    /// Reads the events into an empty list.
    pub(super) fn read(&self, events: &mut Vec<CartEvent>) {
        let mut rest = &*self.0;
        let (mut at, mut user): (Instant, u64) = (0, 0);
        while !rest.is_empty() {
            at = at.wrapping_add(read_number(&mut rest) as Instant);
            let kind = rest[0];
            rest = &rest[1..];
            if kind & SAME_USER == 0 {
                user = read_number(&mut rest);
            }
            let what = match kind & !SAME_USER {
                CHECKOUT => InCart::Checkout(user),
                ADD_NUMBER => InCart::Add(ItemId::of(Ok(read_number(&mut rest))), user),
                _ => {
                    let length = read_number(&mut rest) as usize;
                    let (text, others) = rest.split_at(length);
                    rest = others;
                    InCart::Add(ItemId::of(Err(&String::from_utf8_lossy(text))), user)
                }
            };
            events.push(CartEvent { at, what });
        }
    }
}

/// Seven bits a byte, the lowest first; all but the last have the eighth.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_as_they_were_written() {
        let mut events = Vec::new();
        for at in [Instant::MIN, -1, 0, 1_767_607_200_000, Instant::MAX] {
            for user in [0, 1, 0x7F, 0x80, u64::MAX] {
                events.push(CartEvent { at, what: InCart::Checkout(user) });
                for item in ["0", "548552", "9999999999999999999", "", "007", "B00X\u{10FFFF}"] {
                    events.push(CartEvent { at, what: InCart::Add(item.into(), user) });
                }
            }
        }
        let (mut written, mut read) = (Written::default(), Vec::new());
        assert!(written.is_empty());
        written.write(&events, &mut Vec::new());
        written.read(&mut read);
        assert_eq!(read, events);
    }
}
