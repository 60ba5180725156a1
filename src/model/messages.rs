//! What is wrong with a text, where it stands, and what to do instead.

use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Where something stands: lines and columns count letters, from 1; the end is the place behind the last letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The line it begins in.
    pub line: usize,
    /// The column it begins in.
    pub column: usize,
    /// The line it ends in.
    pub end_line: usize,
    /// The column behind its last letter.
    pub end_column: usize,
}

impl Span {
    /// From the start of this to the end of that, whichever comes first. A span that is nowhere adds nothing.
    pub fn to(self, other: Span) -> Span {
        if self.line == 0 {
            return other;
        }
        if other.line == 0 {
            return self;
        }
        let start = (self.line, self.column).min((other.line, other.column));
        let end = (self.end_line, self.end_column).max((other.end_line, other.end_column));
        Span { line: start.0, column: start.1, end_line: end.0, end_column: end.1 }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where.
    pub span: Span,
    /// What, and why it cannot be.
    pub what: String,
    /// What to do instead.
    pub instead: String,
    /// Whether what the language has would help.
    pub is_of_language: bool,
}

impl Mistake {
    /// Something wrong within what the language has.
    pub fn new(span: Span, what: impl Into<String>, instead: impl Into<String>) -> Mistake {
        Mistake { span, what: what.into(), instead: instead.into(), is_of_language: false }
    }

    /// Something that the language does not have.
    pub fn of_language(span: Span, what: impl Into<String>, instead: impl Into<String>) -> Mistake {
        Mistake { is_of_language: true, ..Mistake::new(span, what, instead) }
    }
}

/// How wide a line of somebody's text is shown; what is longer is cut around the place.
const WIDTH: usize = 110;

/// What is said after a mistake of language.
const LANGUAGE: &str = "What a metric can have: deltamart explain --language";

/// All mistakes of a text, each with its line.
pub fn shown(file: &str, text: &str, mistakes: &[Mistake]) -> String {
    let mut mistakes = mistakes.to_vec();
    mistakes.sort();
    mistakes.dedup();
    let all: Vec<_> = mistakes.iter().map(|mistake| one(file, text, mistake)).collect();
    all.join("\n")
}

fn one(file: &str, text: &str, mistake: &Mistake) -> String {
    let Mistake { span, what, instead, is_of_language } = mistake;
    let mut said = format!("{file}:{}:{}: {what}\n", span.line.max(1), span.column.max(1));
    if let Some(line) = span.line.checked_sub(1).and_then(|line| text.lines().nth(line)) {
        let end = if span.end_line == span.line { span.end_column } else { usize::MAX };
        let (line, before, marked) = cut(line, span.column, end);
        let _ = writeln!(said, "{:>4} | {line}", span.line);
        let _ = writeln!(said, "     | {}{}", " ".repeat(before), "^".repeat(marked));
    }
    let language = match (is_of_language, instead.is_empty()) {
        (true, true) => format!(" {LANGUAGE}"),
        (true, false) => format!("   {LANGUAGE}"),
        (false, _) => String::new(),
    };
    let space = if instead.is_empty() { "" } else { " " };
    let _ = writeln!(said, "{space}{instead}{language}");
    while said.ends_with("\n\n") {
        said.pop();
    }
    said
}

/// A line as it is shown, how wide is what stands before the mark, and how wide the mark.
fn cut(line: &str, column: usize, end: usize) -> (String, usize, usize) {
    let letters: Vec<char> =
        line.trim_end().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let start = column.saturating_sub(1).min(letters.len());
    let end = end.saturating_sub(1).clamp(start, letters.len());
    let width = |letters: &[char]| letters.iter().map(|letter| letter.width().unwrap_or(0)).sum::<usize>();
    // Enough of what stands before to recognise it.
    let from = if width(&letters) <= WIDTH || width(&letters[..end]) <= WIDTH { 0 } else { start.saturating_sub(40) };
    let mut until = from;
    let mut room = WIDTH;
    while let Some(letter) = letters.get(until) {
        let wide = letter.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        until += 1;
    }
    let before = if from > 0 { "…" } else { "" };
    let after = if until < letters.len() { "…" } else { "" };
    let shown = format!("{before}{}{after}", letters[from..until].iter().collect::<String>());
    let marked = width(&letters[start..end.min(until).max(start)]).max(1);
    (shown, before.width() + width(&letters[from..start.min(until)]), marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize, end_column: usize) -> Span {
        Span { line, column, end_line: line, end_column }
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        let text = "SELECT brand,\n       row_number() OVER (ORDER BY 1) AS rank\nFROM e";
        let mistake = Mistake::of_language(at(2, 8, 25), "`row_number() OVER` is not that.", "Rank in a view.");
        assert_eq!(
            shown("model/top.sql", text, &[mistake]),
            "model/top.sql:2:8: `row_number() OVER` is not that.\n   \
                2 |        row_number() OVER (ORDER BY 1) AS rank\n     \
                  |        ^^^^^^^^^^^^^^^^^\n \
             Rank in a view.   What a metric can have: deltamart explain --language\n"
        );
    }

    #[test]
    fn the_mark_stands_under_wide_letters_and_in_long_lines() {
        assert_eq!(cut("a = '日本' + b", 5, 9), ("a = '日本' + b".to_owned(), 4, 6));
        assert_eq!(cut("\ta", 2, 3), (" a".to_owned(), 1, 1));
        // Behind the end of a line, and of what there is.
        assert_eq!(cut("ab", 9, 12), ("ab".to_owned(), 2, 1));
        let long = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let (shown, before, marked) = cut(&long, 501, 502);
        assert_eq!((shown.chars().count(), before, marked), (112, 41, 1));
        assert_eq!(shown.chars().nth(before), Some('x'));
    }
}
