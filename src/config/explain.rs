//! What is wrong with a configuration, said by its keys. A value is never repeated that was not taken for what
//! its key is: it may be a secret that got into the wrong place.

use figment::error::{Actual, Kind};

/// A name that is no setting is repeated if it can be one: longer ones may be something else.
const KEY_CHARS: usize = 60;

/// Where it stands, which key it is, and what would be right.
pub(super) fn explain(error: &figment::Error) -> String {
    let place = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(source) => format!("{source}"),
        None if metadata.name.contains("environment") => "the environment".to_owned(),
        None => "--set".to_owned(),
    });
    let path: Vec<_> = error.path.iter().map(|part| key(part)).collect();
    let key = if path.is_empty() { String::new() } else { format!(", setting `{}`", path.join(".")) };
    format!("{}{key}: {}", place.unwrap_or_else(|| "configuration".to_owned()), why(&error.kind))
}

/// What was written as TOML and is none: where, and why; not the line itself.
pub(super) fn broken(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().and_then(|span| text.get(..span.start));
    let place = at.map_or(String::new(), |before| {
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!(", line {line}, column {column}")
    });
    let expected = match error.message().lines().find(|line| line.starts_with("expected")) {
        Some(expected) => expected.to_owned(),
        None if error.message().starts_with("duplicate key") => "a key is there twice".to_owned(),
        None => "expected `key = value`, text in quotes, or `[section]`".to_owned(),
    };
    format!("{place}: is no TOML; {expected}")
}

fn why(kind: &Kind) -> String {
    match kind {
        // Ours, and without the value.
        Kind::Message(why) => why.clone(),
        Kind::InvalidType(found, expected) => format!("is {}; expected {}", type_of(found), plain(expected)),
        Kind::InvalidValue(_, expected) => format!("cannot be that; expected {}", plain(expected)),
        Kind::InvalidLength(found, expected) => format!("has {found} values; expected {}", plain(expected)),
        Kind::UnknownVariant(_, known) => format!("is none of what it can be: {}", listed(known)),
        Kind::UnknownField(name, known) => format!("unknown field: found `{}`, expected {}", key(name), listed(known)),
        Kind::MissingField(name) => format!("`{name}` is missing"),
        Kind::DuplicateField(name) => format!("`{name}` is there twice"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is too large a number".to_owned(),
        Kind::Unsupported(found) => format!("is {}, which it cannot be", type_of(found)),
        Kind::UnsupportedKey(_, expected) => format!("has a name that is none; expected {}", plain(expected)),
    }
}

fn key(name: &str) -> String {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match name.chars().count() <= KEY_CHARS && name.chars().all(is_key) {
        true => name.to_owned(),
        false => "...".to_owned(),
    }
}

fn listed(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
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

/// What was expected, in the words of whoever writes the file.
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
