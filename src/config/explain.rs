//! What is wrong with a value, said in the words of those who write the file. A value is never repeated that was
//! not taken for what its key is: it may be a secret that got into the wrong place.

use figment::error::{Actual, Kind};
use toml::Value;

/// A name that is no setting is repeated if it can be one: longer ones may be something else.
const KEY_CHARS: usize = 60;

/// Why a value cannot be that of its key, which is so many names deep.
pub(super) fn why(error: &figment::Error, depth: usize) -> String {
    let place = error.path.get(depth).and_then(|place| place.parse::<usize>().ok());
    let place = place.map_or(String::new(), |place| format!("value {} ", place + 1));
    format!("{place}{}", why_not(&error.kind))
}

/// What was written as TOML and is none: where, and why; not the line itself.
pub(super) fn broken(text: &str, error: &toml_edit::TomlError) -> String {
    let at = error.span().and_then(|span| text.get(..span.start));
    let place = at.map_or(String::new(), |before| {
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!(", line {}, column {column}", line(text, before.len()))
    });
    let is_empty = error.span().is_some_and(|span| has_no_value(text, span.start));
    let expected = match error.message().lines().find(|line| line.starts_with("expected")) {
        _ if is_empty => "a value is missing".to_owned(),
        Some(expected) => expected.to_owned(),
        None if error.message().starts_with("duplicate key") => "a key is there twice".to_owned(),
        None => "expected `key = value`, text in quotes, or `[section]`".to_owned(),
    };
    format!("{place}: is not TOML; {expected}")
}

/// Whether nothing stands behind the `=` of the line that a byte of a text is in.
fn has_no_value(text: &str, byte: usize) -> bool {
    let line = text.get(..byte).and_then(|before| text.lines().nth(before.matches('\n').count()));
    let value = line.and_then(|line| line.split_once('=')).map(|(_, value)| value.trim());
    value.is_some_and(|value| value.is_empty() || value.starts_with('#'))
}

/// The line that a byte of a text is in, counted from 1.
pub(super) fn line(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

fn why_not(kind: &Kind) -> String {
    match kind {
        // Ours, and without the value.
        Kind::Message(why) => why.clone(),
        Kind::InvalidType(found, expected) => format!("is {}; expected {}", type_of(found), plain(expected)),
        Kind::InvalidValue(found, expected) => format!("{}; expected {}", not_that(found), plain(expected)),
        Kind::InvalidLength(found, expected) => format!("has {found} values; expected {}", plain(expected)),
        Kind::UnknownVariant(_, known) => format!("is none of what it can be: {}", listed(known)),
        Kind::UnknownField(name, known) => format!("has no `{}`, only {}", key(name), listed(known)),
        Kind::MissingField(name) => format!("`{name}` is missing"),
        Kind::DuplicateField(name) => format!("`{name}` is there twice"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is too large a number".to_owned(),
        Kind::Unsupported(found) => format!("is {}, which it cannot be", type_of(found)),
        Kind::UnsupportedKey(_, expected) => format!("has a name that is none; expected {}", plain(expected)),
    }
}

/// A name as it may be repeated.
pub(super) fn key(name: &str) -> String {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "._-\"".contains(c);
    match name.chars().count() <= KEY_CHARS && name.chars().all(is_key) {
        true => name.to_owned(),
        false => "...".to_owned(),
    }
}

fn listed(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only numbers may have the wrong sign")]
fn not_that(found: &Actual) -> &'static str {
    match found {
        Actual::Signed(number) if *number < 0 => "is negative",
        Actual::Unsigned(_) | Actual::Signed(_) => "is too large a number",
        _ => "cannot be that",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what no TOML nor variable holds has one name")]
fn type_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "a truth",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a section",
        _ => "something else",
    }
}

/// What a value is, by a word.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "a truth",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::String(_) => "text",
        Value::Datetime(_) => "an instant",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

/// What was expected, in the words of those who write the file.
fn plain(expected: &str) -> String {
    let words = match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number, 0 or more",
        "isize" | "i64" | "i32" | "i16" | "i8" => "a whole number",
        "f64" | "f32" => "a number",
        "a string" => "text",
        "path string" => "a path",
        "a boolean" => "`true` or `false`",
        "a map" => "a section of names and texts",
        "a sequence" => "a list",
        struct_ if struct_.starts_with("struct ") => "a section of settings",
        tuple if tuple.starts_with("a tuple of size") => "two values, such as [1, 100]",
        other => other,
    };
    words.to_owned()
}
