//! How much room text takes on a terminal, counted in cells. Most letters take one, 猫 takes two, an accent none.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands where something was left out.
const LEFT_OUT: &str = "…";

/// How many cells one letter with its marks takes. Terminals differ over letters of several characters, such as 👍🏽:
/// this is the most that one of them takes.
fn letter_cells(letter: &str) -> usize {
    let apart: usize = letter.chars().map(|c| c.width().unwrap_or(1)).sum();
    letter.width().max(apart)
}

/// How many cells a text takes.
pub(super) fn cells(text: &str) -> usize {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.len();
    }
    text.graphemes(true).map(letter_cells).sum()
}

/// A text, filled up with spaces before or behind it.
pub(super) fn padded(text: &str, room: usize, right: bool) -> String {
    let spaces = " ".repeat(room.saturating_sub(cells(text)));
    if right { spaces + text } else { text.to_owned() + &spaces }
}

/// As many letters as there is room for, and the cells they take.
fn fitting<'t>(letters: impl Iterator<Item = &'t str>, room: usize) -> (usize, usize) {
    let (mut count, mut taken) = (0, 0);
    for letter in letters {
        let cells = letter_cells(letter);
        if taken + cells > room {
            break;
        }
        taken += cells;
        count += 1;
    }
    (count, taken)
}

/// A text in no more room than there is: its beginning and its end, where it has to be shortened.
pub(super) fn shortened(text: &str, room: usize) -> String {
    if cells(text) <= room {
        return text.to_owned();
    }
    let letters: Vec<_> = text.graphemes(true).collect();
    let room = room.saturating_sub(1);
    let (head, taken) = fitting(letters.iter().copied(), room.div_ceil(2));
    let (tail, _) = fitting(letters.iter().rev().copied(), room - taken);
    [&letters[..head], &[LEFT_OUT], &letters[letters.len() - tail..]].concat().concat()
}

/// A text on lines of so many cells, wherever that cuts it: put together they are the text.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut taken = 0;
    for letter in text.graphemes(true) {
        let cells = letter_cells(letter);
        if taken > 0 && taken + cells > room {
            lines.push(String::new());
            taken = 0;
        }
        lines.last_mut().expect("one at least").push_str(letter);
        taken += cells;
    }
    lines
}

/// A text on lines of so many cells, cut behind a blank if one is near the end of a line; the blank is not shown there.
pub(super) fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let first = beginning(rest, room);
        if first == rest.len() {
            lines.push(rest.to_owned());
            return lines;
        }
        // A word that goes on in the next line begins there, unless much of this one would be empty.
        let is_near = |at: &usize| cells(&rest[..*at]) * 3 > room * 2;
        let end = match rest[first..].starts_with(' ') {
            true => first + 1,
            false => rest[..first].rfind(' ').filter(is_near).map_or(first, |at| at + 1),
        };
        lines.push(rest[..end].trim_end_matches(' ').to_owned());
        rest = &rest[end..];
    }
}

/// How many bytes of a text are on its first line of so many cells: one letter at least.
fn beginning(text: &str, room: usize) -> usize {
    let mut taken = 0;
    for (at, letter) in text.grapheme_indices(true) {
        taken += letter_cells(letter);
        if at > 0 && taken > room {
            return at;
        }
    }
    text.len()
}

/// Sentences on lines of so many cells, cut between words.
pub(in crate::commands) fn prose(text: &str, room: super::Width) -> String {
    let Some(room) = room else { return text.to_owned() };
    let mut lines = Vec::<String>::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if cells(line) + 1 + cells(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(wrapped(word, room)),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_those_of_the_widest_terminal() {
        for (text, expected) in [("abc", 3), ("猫", 2), ("e\u{301}", 1), ("👍🏽", 4), ("…", 1), ("", 0)] {
            assert_eq!(cells(text), expected, "{text}");
        }
    }

    #[test]
    fn the_middle_is_left_out() {
        for (text, room, expected) in [
            ("abcdefghij", 10, "abcdefghij"),
            ("abcdefghij", 9, "abcd…ghij"),
            ("abcdefghij", 4, "ab…j"),
            ("猫猫猫猫猫", 6, "猫…猫"),
            ("abc", 1, "…"),
        ] {
            assert_eq!(shortened(text, room), expected);
        }
    }

    #[test]
    fn wrapped_lines_are_the_text() {
        let text = "ab猫cd e\u{301}fg";
        assert_eq!(wrapped(text, 3), ["ab", "猫c", "d e\u{301}", "fg"]);
        assert_eq!(wrapped(text, 1).concat(), text);
        assert_eq!(broken("one two three", 8), ["one two", "three"]);
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("a bcdefghij", 6), ["a bcde", "fghij"], "the blank is not near");
        assert_eq!(prose("one two three", Some(7)), "one two\nthree");
        assert_eq!(prose("one reallylong", Some(5)), "one\nreall\nylong");
    }
}
