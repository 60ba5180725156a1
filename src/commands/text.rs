//! Small pieces of text that several commands show.

use crate::config::Config;
use crate::shown;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer values are cut where they stand within a sentence.
const SHOWN_CHARS: usize = 60;

/// One line, not too long, nothing that a terminal would act on.
pub(super) fn cut(text: &str) -> String {
    let end = text.char_indices().nth(SHOWN_CHARS).map(|(end, _)| end);
    let more = if end.is_some() { "…" } else { "" };
    format!("{}{more}", shown::value(&text[..end.unwrap_or(text.len())]))
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A span as people say it, in its largest unit.
pub(super) fn took(span: Duration) -> String {
    match (span.as_millis(), span.as_secs()) {
        (ms @ 0..1_000, _) => format!("{ms} ms"),
        (_, s @ 0..60) => format!("{s} s"),
        (_, s @ 60..3_600) => format!("{} min", s / 60),
        (_, s @ 3_600..172_800) => format!("{} h", s / 3_600),
        (_, s) => format!("{} days", s / 86_400),
    }
}

/// So many bytes as people say it.
pub(super) fn sized(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// How many of a thing there are.
pub(super) fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// How we were called.
pub(super) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "deltamart".to_owned())
}

/// Text as one word of a shell's command.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// `--warehouse` as a command that is printed needs it: nothing for the usual one.
pub(super) fn at(config: &Config) -> String {
    match config.warehouse == Config::default().warehouse {
        true => String::new(),
        false => format!(" --warehouse {}", word(&config.warehouse.to_string_lossy())),
    }
}

/// A warehouse that is not there yet, nor a state beside it: what is printed to be typed works as it stands.
pub(super) fn free_warehouse(folder: &Path, name: &str) -> PathBuf {
    let numbered = (1_u32..).map(|n| match n {
        1 => folder.join(format!("{name}.db")),
        n => folder.join(format!("{name}-{n}.db")),
    });
    let is_free = |path: &PathBuf| !path.exists() && !path.with_extension("db.state").exists();
    numbered.into_iter().find(is_free).unwrap_or_else(|| folder.join(format!("{name}.db")))
}

/// Commands to be typed next, each behind what it is for.
pub(super) fn next_lines(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(what, _)| what.len() + 3).max().unwrap_or_default();
    let program = word(&program());
    let line = |(what, arguments): &(&str, String)| format!("{:width$}{program} {arguments}", format!("{what}:"));
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_word_is_one_whatever_is_in_it() {
        for (text, written) in [("a/b-1.db", "a/b-1.db"), ("my shop", "'my shop'"), ("it's", r"'it'\''s'"), ("", "''")]
        {
            assert_eq!(super::word(text), written);
        }
    }

    #[test]
    fn a_free_warehouse_is_none_that_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let free = || super::free_warehouse(folder.path(), "live");
        assert_eq!(free(), folder.path().join("live.db"));
        std::fs::write(folder.path().join("live.db"), "").expect("writes");
        std::fs::create_dir(folder.path().join("live-2.db.state")).expect("makes it");
        assert_eq!(free(), folder.path().join("live-3.db"));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 12, 123, 1234, 123_456, 1_234_567].map(super::grouped),
            ["0", "12", "123", "1,234", "123,456", "1,234,567"]
        );
    }
}
