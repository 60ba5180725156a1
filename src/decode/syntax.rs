//! What is wrong with a line that is no JSON, in words for who wrote it: the field, and what stands there.

use dataflows::wire::scalar::{first, short};

/// Explains an error of the parser, by the payload that it was about.
pub fn explained(payload: &[u8], error: &serde_json::Error) -> String {
    let at = position(payload, error);
    let start = payload[..at].iter().rposition(|byte| !is_of_token(*byte)).map_or(0, |before| before + 1);
    let end =
        payload[start..].iter().position(|byte| !is_of_token(*byte)).map_or(payload.len(), |length| start + length);
    let token = String::from_utf8_lossy(&payload[start..end]);
    let place = place(if error.is_eof() { payload } else { &payload[..start] });
    let before = payload[..at].trim_ascii_end().last();
    let what = match (token.as_ref(), payload.get(at)) {
        _ if error.is_eof() => {
            format!("it is cut off{}", place.map_or(String::new(), |field| format!(" in `{field}`")))
        }
        (number @ ("NaN" | "nan" | "Infinity" | "-Infinity" | "inf" | "-inf"), _) => {
            format!("{} is {number}, which JSON does not have: write null, or leave the field out", named(place))
        }
        (word @ ("True" | "False" | "None"), _) => {
            format!("{} is {word}, as Python writes it: write it with `json.dumps`", named(place))
        }
        ("undefined", _) => {
            format!("{} is undefined, as JavaScript has it: write it with `JSON.stringify`", named(place))
        }
        (_, Some(b'\'')) => {
            "single quotes stand where JSON has double ones; from Python, write it with `json.dumps`".to_owned()
        }
        (_, Some(end @ (b'}' | b']'))) if before == Some(&b',') => {
            format!("a comma stands before the `{}`: JSON has none there", char::from(*end))
        }
        (number, _) if error.to_string().starts_with("number out of range") => {
            format!("{} is {}, which is beyond any number", named(place), short(number))
        }
        _ => {
            let said = error.to_string();
            let said = in_words(said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said));
            let place = place.map_or(String::new(), |field| format!(", in `{field}`"));
            format!("{said}, at byte {}{place}", at + 1)
        }
    };
    format!("no event as JSON: {what}")
}

/// What the parser says, in words for who wrote the line.
fn in_words(said: &str) -> &str {
    match said {
        "trailing characters" => "something stands behind the end of the object",
        "expected value" => "a value is expected",
        "expected ident" => "a word stands there that JSON does not have",
        "expected `:`" => "a `:` is expected behind a name",
        "key must be a string" => "a name without its double quotes",
        "invalid number" => "a number as JSON does not write it",
        "invalid escape" => "a `\\` in a text, with a letter behind it that JSON has not: write it as `\\\\`",
        "invalid unicode code point" => "bytes in a text that are not UTF-8",
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "half of an escaped character in a text: `\\ud83d` needs its other half"
        }
        "recursion limit exceeded" => "objects or lists in more than 127 others",
        said if said.starts_with("control character") => {
            "a line break, a tab or another control character in a text: write it as `\\n`, `\\t` or `\\u0000`"
        }
        other => other,
    }
}

fn named(place: Option<String>) -> String {
    place.map_or("a value".to_owned(), |field| format!("`{field}`"))
}

/// The byte that the parser stopped at.
fn position(payload: &[u8], error: &serde_json::Error) -> usize {
    let lines = payload.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let line = [0].into_iter().chain(lines).nth(error.line().saturating_sub(1)).unwrap_or_default();
    (line + error.column().saturating_sub(1)).min(payload.len())
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

/// The field that is being written where so much of an object was read: `channel.new`.
fn place(read: &[u8]) -> Option<String> {
    /// Deeper names say nothing to anybody.
    const DEPTH: usize = 8;
    /// So much is shown of them all.
    const PATH_SHOWN: usize = 100;
    /// More than is shown of a name.
    const NAME_BYTES: usize = 512;
    let mut path: Vec<Option<&[u8]>> = Vec::new();
    // A million open brackets are no deeper than this: what is deeper is counted.
    const KEPT: usize = 64;
    let (mut at, mut text, mut deeper) = (0, None, 0_usize);
    while let Some(byte) = read.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let start = at;
                while read.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if read[at] == b'\\' { 2 } else { 1 };
                }
                text = Some(&read[start..at.min(read.len())]);
                at += 1;
            }
            b'{' | b'[' if path.len() >= KEPT => deeper += 1,
            b'{' | b'[' => path.push(None),
            b'}' | b']' if deeper > 0 => deeper -= 1,
            b'}' | b']' => drop(path.pop()),
            b':' | b',' if deeper > 0 => {}
            b':' => {
                if let (Some(field), Some(name)) = (path.last_mut(), text.take()) {
                    *field = Some(name);
                }
            }
            b',' => {
                if let Some(field) = path.last_mut() {
                    *field = None;
                }
            }
            _ => {}
        }
    }
    // In a list the field is that which the list stands in.
    let name = |name: &[u8]| short(&String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES)])).into_owned();
    let names: Vec<_> = path.into_iter().flatten().take(DEPTH).map(name).collect();
    (!names.is_empty()).then(|| first(&names.join("."), PATH_SHOWN).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_and_the_cause_are_named() {
        let said = |text: &str| {
            let error = serde_json::from_str::<serde::de::IgnoredAny>(text).expect_err(text);
            explained(text.as_bytes(), &error)
        };
        for (text, named) in [
            (r#"{"a":1,"scroll_depth":NaN}"#, "`scroll_depth` is NaN, which JSON does not have"),
            (r#"{"a":1,"x":{"y":[1, Infinity]}}"#, "`x.y` is Infinity"),
            (r#"{"x":-Infinity,"b":1}"#, "`x` is -Infinity"),
            (r#"{"x" : True}"#, "`x` is True, as Python writes it"),
            (r"{'x':1}", "single quotes"),
            (r#"{"x":'1'}"#, "single quotes"),
            (r#"{"x":1,}"#, "a comma stands before the `}`"),
            (r#"{"x":[1,2,],"y":1}"#, "a comma stands before the `]`"),
            (r#"{"a":"}","x":"#, "cut off in `x`"),
            (r#"{"a":"x"#, "cut off in `a`"),
            ("{", "cut off"),
            (r#"{"a":1} {"#, "something stands behind the end of the object, at byte 9"),
            (r#"{"a":1 "b":2}"#, "at byte 8, in `a`"),
        ] {
            assert!(said(text).contains(named), "{text}: {}", said(text));
        }
    }
}
