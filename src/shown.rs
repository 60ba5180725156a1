//! Text for a terminal or a log: nothing in it is acted on.
//!
//! Data is written by others. A title may hold an escape sequence that clears a screen, sets a window's
//! title or turns the text around. So everything that is printed goes through here:
//! [`Cleaned`] is the last thing before standard output and standard error.

mod lines;

use lines::wrapped;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Result, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How many columns a terminal has that does not tell.
const USUAL_COLUMNS: usize = 80;

/// Whether a terminal, or a program that reads from it, may act on a character instead of showing it: controls, marks
/// of direction, what has no width, and the ends of lines and paragraphs that are none of ours.
fn is_acted_on(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

fn replaced(text: &str, is_replaced: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_replaced(c) {
            // As JSON writes it: what is printed as JSON still says the same.
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Text of ours with data in it: what is acted on becomes `\u001b` and the like. Line feeds and tabs stay: they are
/// our layout.
pub fn text(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_acted_on(c) && !matches!(c, '\n' | '\t'))
}

/// One value of the data, on one line: no line feed and no tab in it either.
pub fn value(text: &str) -> Cow<'_, str> {
    replaced(text, is_acted_on)
}

/// A writer that nothing gets through to that is acted on. What is written at once is taken for whole text: a
/// character must not be cut in two.
pub struct Cleaned<W: Write>(pub W);

impl<W: Write> Write for Cleaned<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(text(&String::from_utf8_lossy(bytes)).as_bytes())
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

/// The log, on standard error: cleaned, and on a terminal no line of it longer than that.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let lines = String::from_utf8_lossy(bytes);
        let columns = columns(&std::io::stderr());
        Cleaned(std::io::stderr()).write_all(lines::wrapped_log(&lines, columns).as_bytes())
    }

    fn flush(&mut self) -> Result<()> {
        std::io::stderr().flush()
    }
}

/// How many columns a terminal has; none if it is not one.
pub fn columns(of: &(impl AsFd + IsTerminal)) -> Option<usize> {
    let told = || terminal_size::terminal_size_of(of).map(|(columns, _)| usize::from(columns.0));
    of.is_terminal().then(|| told().filter(|columns| *columns > 1).unwrap_or(USUAL_COLUMNS))
}

/// Whether standard output is for a program, which expects one line of JSON: what people read goes to standard error.
static ASIDE: AtomicBool = AtomicBool::new(false);

/// From now on, what is said to people goes to standard error.
pub fn aside() {
    ASIDE.store(true, Relaxed);
}

/// How many columns the terminal has that people read; none if it is not one.
pub fn width() -> Option<usize> {
    if ASIDE.load(Relaxed) { columns(&std::io::stderr()) } else { columns(&std::io::stdout()) }
}

/// Writes a text of ours, and a line feed; on a terminal, long lines are broken at blanks.
///
/// # Errors
/// If nobody reads it any more.
pub fn say(words: &str) -> Result<()> {
    say_as_is(&wrapped(words, width()))
}

/// Writes a text of ours that has its own layout, and a line feed.
///
/// # Errors
/// If nobody reads it any more.
pub fn say_as_is(words: &str) -> Result<()> {
    if ASIDE.load(Relaxed) {
        write_line(&mut std::io::stderr(), words).ok();
        return Ok(());
    }
    result(words)
}

/// Writes a line for a program to standard output.
///
/// # Errors
/// If nobody reads it any more.
pub fn result(line: &str) -> Result<()> {
    write_line(&mut std::io::stdout(), line)
}

/// Writes a text of ours to standard error, and a line feed. That nobody reads it is no reason to stop.
pub fn complain(words: &str) {
    write_line(&mut std::io::stderr(), &wrapped(words, columns(&std::io::stderr()))).ok();
}

fn write_line(to: &mut impl Write, words: &str) -> Result<()> {
    let mut line = text(words).into_owned();
    line.push('\n');
    to.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acted_on_is_written_out_and_everything_else_stays() {
        for (given, shown) in [
            ("plain, größer, 猫, 👍🏽", "plain, größer, 猫, 👍🏽"),
            ("a\x1b[31mb\x07\r", "a\\u001b[31mb\\u0007\\u000d"),
            ("\u{7f}\u{85}\u{9b}2J", "\\u007f\\u0085\\u009b2J"),
            ("a\u{202e}b\u{2066}\u{200f}\u{61c}", "a\\u202eb\\u2066\\u200f\\u061c"),
            ("\u{2028}\u{2029}\u{200b}\u{feff}\u{e0041}", "\\u2028\\u2029\\u200b\\ufeff\\udb40\\udc41"),
        ] {
            assert_eq!((&*text(given), &*value(given)), (shown, shown));
        }
        assert_eq!((&*text("a\tb\nc"), &*value("a\tb\nc")), ("a\tb\nc", "a\\u0009b\\u000ac"));
    }

    #[test]
    fn json_says_the_same_after_it() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let written = serde_json::to_string(&c).expect("JSON");
            let read: char = serde_json::from_str(&text(&written)).expect("JSON");
            assert_eq!(read, c, "{written}");
        }
    }

    #[test]
    fn nothing_gets_through_a_writer() {
        let mut written = Vec::new();
        Cleaned(&mut written).write_all(b"a\x1b[2J\xff\x9b\n").expect("memory");
        assert_eq!(String::from_utf8(written).expect("text"), "a\\u001b[2J\u{fffd}\u{fffd}\n");
    }
}
