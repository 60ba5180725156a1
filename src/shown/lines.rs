//! Long lines on a terminal: broken between words, and what goes on stands below where it began.

use std::borrow::Cow;
use textwrap::{WordSeparator, WordSplitter};

/// What goes on in the next line stands further to the right than the line of a log.
const LOG_INDENT: &str = "    ";

/// Breaks lines that are longer than so many columns at blanks. Behind a label and two blanks, what goes on stands below
/// what stands behind it; a command to be typed is broken so that a shell still takes it for one.
pub(super) fn wrapped(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    let program = std::env::args().next().unwrap_or_default();
    of_lines(text, columns, |line, columns| line_of(line, columns, &program))
}

/// The same of lines of a log.
pub(super) fn wrapped_log(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    of_lines(text, columns, |line, columns| fill(line, columns, LOG_INDENT))
}

fn of_lines(text: &str, columns: Option<usize>, wrap: impl Fn(&str, usize) -> String) -> Cow<'_, str> {
    let Some(columns) = columns.filter(|columns| text.lines().any(|line| line.chars().count() > *columns)) else {
        return Cow::Borrowed(text);
    };
    let line = |line: &str| if line.chars().count() > columns { wrap(line, columns) } else { line.to_owned() };
    Cow::Owned(text.split('\n').map(line).collect::<Vec<_>>().join("\n"))
}

fn line_of(line: &str, columns: usize, program: &str) -> String {
    let begins = &line[..line.len() - line.trim_start().len()];
    let Some((label, rest)) = line[begins.len()..].split_once("  ") else {
        // A comment is one on every line.
        return fill(line, columns, if line.starts_with("# ") { "# " } else { begins });
    };
    let (words, before) = (rest.trim_start(), line.len() - rest.trim_start().len());
    let indent = begins.len() + label.chars().count() + 2 + rest.len() - words.len();
    // A layout of its own.
    if words.trim_end().contains("  ") {
        return line.to_owned();
    }
    let is_command = !program.is_empty() && words.split(' ').next().is_some_and(|it| it.trim_matches('\'') == program);
    if indent > columns / 2 {
        // There is no room behind the label.
        let indent = format!("{begins}    ");
        let rest = match is_command {
            true => format!("{indent}{}", command(words, columns, &indent)),
            false => fill(&format!("{indent}{words}"), columns, &indent),
        };
        return format!("{}\n{rest}", fill(&line[..begins.len() + label.len()], columns, begins));
    }
    let indent = " ".repeat(indent);
    match is_command {
        true => format!("{}{}", &line[..before], command(words, columns, &indent)),
        false => fill(line, columns, &indent),
    }
}

fn fill(line: &str, columns: usize, indent: &str) -> String {
    let words = textwrap::Options::new(columns).subsequent_indent(indent).break_words(false);
    // An instant and a name of a file have hyphens, and are broken nowhere.
    textwrap::fill(line, words.word_splitter(WordSplitter::NoHyphenation).word_separator(WordSeparator::AsciiSpace))
}

/// A command on several lines, each but the last ending with a backslash; nothing in quotes is broken.
fn command(words: &str, columns: usize, indent: &str) -> String {
    let mut lines = Vec::<String>::new();
    let room = columns.saturating_sub(indent.len() + 2);
    for word in shell_words(words) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!(" \\\n{indent}"))
}

/// The words of a command, as they are written: a blank in quotes ends none.
fn shell_words(command: &str) -> Vec<&str> {
    let (mut words, mut begin, mut in_quotes) = (Vec::new(), 0, None);
    for (at, c) in command.char_indices() {
        match (c, in_quotes) {
            (' ', None) => {
                words.push(&command[begin..at]);
                begin = at + 1;
            }
            ('\'' | '"', None) => in_quotes = Some(c),
            (c, Some(quote)) if c == quote => in_quotes = None,
            _ => {}
        }
    }
    words.push(&command[begin..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_at_blanks_and_layouts_stay() {
        for (given, columns, shown) in [
            ("one two three", 8, "one two\nthree"),
            ("# watermark 2026-01-05T11:30:00Z", 12, "# watermark\n# 2026-01-05T11:30:00Z"),
            ("look at it:  deltamart show users", 16, "look at it:\n    deltamart\n    show users"),
            ("short\n  a b c", 4, "short\n  a\n  b\n  c"),
            ("sink     one two three", 18, "sink     one two\n         three"),
            ("a  b  c d e f g", 6, "a  b  c d e f g"),
        ] {
            assert_eq!(wrapped(given, Some(columns)), shown);
            assert_eq!(wrapped(given, None), given);
        }
        assert_eq!(wrapped_log("WARN one two\n", Some(8)), "WARN one\n    two\n");
    }

    #[test]
    fn a_command_goes_on_behind_a_backslash_and_quotes_stay_whole() {
        let line = "sql:  mart sql 'SELECT one, two' --warehouse a.db";
        let broken = "sql:  mart sql \\\n      'SELECT one, two' \\\n      --warehouse a.db";
        assert_eq!(line_of(line, 30, "mart"), broken);
        assert!(!line_of(line, 30, "other").contains('\\'));
    }
}
