//! What JSON says, as a datum of a schema.

use super::value::{Data, Meaning, Plain, Shape};
use crate::instant;
use serde_json::Value as Json;

impl Data {
    /// Adds the datum that says what JSON does; `false` if the schema cannot say it, and then what was added is of no use.
    /// Fields that the schema has not are left out; those that JSON has not are null. Decimals and `fixed` are never said.
    pub fn write(&self, json: &Json, out: &mut Vec<u8>) -> bool {
        self.put(self.shape(), json, out).is_some()
    }

    fn put(&self, shape: &Shape, json: &Json, out: &mut Vec<u8>) -> Option<()> {
        match shape {
            Shape::Plain(plain, meaning) => put_plain(*plain, *meaning, json, out)?,
            Shape::Symbol(symbols) => {
                let symbol = json.as_str()?;
                put_number(symbols.iter().position(|known| known == symbol)? as i64, out);
            }
            Shape::Record(fields) => {
                let object = json.as_object()?;
                for (name, shape) in fields {
                    self.put(shape, object.get(name).unwrap_or(&Json::Null), out)?;
                }
            }
            Shape::List(of) => {
                let entries = json.as_array()?;
                put_count(entries.len(), out);
                entries.iter().try_for_each(|entry| self.put(of, entry, out))?;
                put_count_of_none(entries.len(), out);
            }
            Shape::Map(of) => {
                let entries = json.as_object()?;
                put_count(entries.len(), out);
                for (name, entry) in entries {
                    put_bytes(name.as_bytes(), out);
                    self.put(of, entry, out)?;
                }
                put_count_of_none(entries.len(), out);
            }
            Shape::Union(shapes) => {
                let start = out.len();
                let mut fits = |(place, shape): (usize, &Shape)| {
                    out.truncate(start);
                    put_number(place as i64, out);
                    self.put(shape, json, out)
                };
                shapes.iter().enumerate().find_map(&mut fits)?;
            }
            Shape::Folded(name) => self.put(self.folded(name)?, json, out)?,
        }
        Some(())
    }
}

fn put_plain(plain: Plain, meaning: Meaning, json: &Json, out: &mut Vec<u8>) -> Option<()> {
    // An instant may be written as a text.
    let at = || instant::parse(json.as_str()?);
    let number = match meaning {
        Meaning::Millis(_) => json.as_i64().or_else(at),
        Meaning::Micros(_) => json.as_i64().or_else(|| at()?.checked_mul(1_000)),
        Meaning::Nanos(_) => json.as_i64().or_else(|| at()?.checked_mul(1_000_000)),
        Meaning::Itself | Meaning::Date | Meaning::TimeMillis | Meaning::TimeMicros => json.as_i64(),
        Meaning::Decimal { .. } | Meaning::Uuid => return None,
    };
    match plain {
        Plain::Null => json.as_null()?,
        Plain::Boolean => out.push(json.as_bool()?.into()),
        Plain::Int => put_number(i32::try_from(number?).ok()?.into(), out),
        Plain::Long => put_number(number?, out),
        Plain::Float => out.extend_from_slice(&(json.as_f64()? as f32).to_le_bytes()),
        Plain::Double => out.extend_from_slice(&json.as_f64()?.to_le_bytes()),
        Plain::Bytes => {
            let bytes = json.as_str()?.chars().map(|letter| u8::try_from(letter).ok());
            put_bytes(&bytes.collect::<Option<Vec<_>>>()?, out);
        }
        Plain::Text => put_bytes(json.as_str()?.as_bytes(), out),
        Plain::Fixed(_) => return None,
    }
    Some(())
}

/// A block of so many; there is none of no entries.
fn put_count(count: usize, out: &mut Vec<u8>) {
    put_number(count as i64, out);
}

/// The end of blocks, unless it stands there already.
fn put_count_of_none(before: usize, out: &mut Vec<u8>) {
    if before > 0 {
        put_number(0, out);
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

fn put_number(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
