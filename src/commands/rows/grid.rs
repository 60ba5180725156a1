//! A table for people. On a terminal that is too narrow the middle of long texts is left out, or each row is shown with
//! one column a line, whole.

use super::cells::{broken, cells, padded, shortened, wrapped};
use super::{Column, Width, for_people, is_number, is_short};
use crate::shown;
use rusqlite::types::Value;

/// A text is not made shorter than this: it would say nothing any more.
const TEXT_CELLS: usize = 16;
/// What long names of columns are made no shorter than.
const NAME_CELLS: usize = 24;
/// So many cells a line has at least, however narrow the terminal says it is.
const LEAST_CELLS: usize = 16;

/// What stands in a table: names of columns, and text in its cells.
pub(in crate::commands) struct Grid {
    /// The columns.
    pub columns: Vec<Head>,
    /// The cells of each row.
    pub rows: Vec<Vec<String>>,
}

/// A column of a table.
pub(in crate::commands) struct Head {
    /// What stands above it.
    pub name: String,
    /// Whether its values stand at the right.
    pub right: bool,
    /// Whether its values say nothing any more with something left out.
    pub whole: bool,
}

/// Rows for people, on lines of no more cells than there are.
pub(in crate::commands) fn render(columns: &[Column], rows: &[Vec<Value>], width: Width) -> String {
    let head = |(place, column): (usize, &Column)| {
        let values = || rows.iter().map(|row| &row[place]).filter(|value| **value != Value::Null);
        let right = values().next().is_some() && values().all(|value| is_number(column.ty, value));
        let whole = values().all(is_short);
        Head { name: shown::value(&column.name).into_owned(), right, whole }
    };
    let line = |row: &Vec<Value>| columns.iter().zip(row).map(|(column, value)| for_people(column.ty, value)).collect();
    let columns = columns.iter().enumerate().map(head).collect();
    Grid { columns, rows: rows.iter().map(line).collect() }.fit(width)
}

impl Grid {
    /// As a table, with long texts shortened where that is enough; else one column a line.
    pub fn fit(&self, width: Width) -> String {
        match width.map(|width| self.widths(width.max(LEAST_CELLS))) {
            None => self.table(&self.whole()),
            Some(Some(widths)) => self.table(&widths),
            Some(None) => self.list(width.unwrap_or_default().max(LEAST_CELLS)),
        }
    }

    /// The widths of columns of which nothing is left out.
    pub fn whole(&self) -> Vec<usize> {
        let width = |(place, column): (usize, &Head)| self.values(place).max(cells(&column.name));
        self.columns.iter().enumerate().map(width).collect()
    }

    /// The width of a column without its name.
    fn values(&self, place: usize) -> usize {
        let lines = self.rows.iter().flat_map(|row| row[place].split('\n'));
        lines.map(cells).max().unwrap_or_default()
    }

    /// The widths of columns that make no more than so many cells; nothing if too much would be left out.
    fn widths(&self, width: usize) -> Option<Vec<usize>> {
        // Names on one line each if that is possible, else broken behind their `_`.
        let longest = |name: &str| name.split_inclusive('_').map(cells).max().unwrap_or_default();
        self.widths_with(width, cells).or_else(|| self.widths_with(width, longest))
    }

    fn widths_with(&self, width: usize, name: impl Fn(&str) -> usize) -> Option<Vec<usize>> {
        let whole = self.columns.iter().enumerate();
        let whole: Vec<_> = whole.map(|(place, column)| self.values(place).max(name(&column.name))).collect();
        let least = self.columns.iter().zip(&whole).enumerate().map(|(place, (column, whole))| {
            let values = if column.whole { self.values(place) } else { TEXT_CELLS.min(self.values(place)) };
            (*whole).min(values.max(name(&column.name).min(NAME_CELLS)))
        });
        let least: Vec<_> = least.collect();
        // Every column up to the same width, the widest for which there is room.
        let capped = |cap: usize| -> Vec<usize> {
            whole.iter().zip(&least).map(|(whole, least)| (*whole).min(cap).max(*least)).collect()
        };
        let cap = (0..=width).rev().find(|cap| outer(&capped(*cap)) <= width)?;
        let mut widths = capped(cap);
        // What is left over goes to the first that can use it.
        let mut left = width - outer(&widths);
        for (place, whole) in widths.iter_mut().zip(&whole) {
            let more = left.min(whole - *place);
            *place += more;
            left -= more;
        }
        Some(widths)
    }

    /// The table, with what is wider than its column shortened.
    pub fn table(&self, widths: &[usize]) -> String {
        let rule = |[first, fill, between, last]: [&str; 4]| {
            let parts: Vec<_> = widths.iter().map(|width| fill.repeat(width + 2)).collect();
            format!("{first}{}{last}\n", parts.join(between))
        };
        let line = |texts: &mut dyn Iterator<Item = (&str, bool)>| {
            let cells = texts
                .zip(widths)
                .map(|((text, right), width)| format!(" {} ", padded(&shortened(text, *width), *width, right)));
            let cells: Vec<_> = cells.collect();
            format!("│{}│\n", cells.join("┆"))
        };
        let mut out = rule(["┌", "─", "┬", "┐"]);
        let names: Vec<_> =
            self.columns.iter().zip(widths).map(|(column, width)| named(&column.name, *width)).collect();
        for n in 0..names.iter().map(Vec::len).max().unwrap_or(1) {
            out += &line(&mut names.iter().map(|parts| (parts.get(n).map_or("", String::as_str), false)));
        }
        out += &rule(["╞", "═", "╪", "╡"]);
        for row in &self.rows {
            // A cell may have several lines.
            let parts: Vec<Vec<_>> = row.iter().map(|text| text.split('\n').collect()).collect();
            let height = parts.iter().map(Vec::len).max().unwrap_or(1);
            for n in 0..height {
                let part = |part: &Vec<&'_ str>| part.get(n).copied().unwrap_or_default().to_owned();
                let texts: Vec<_> = parts.iter().map(part).collect();
                let rights = self.columns.iter().map(|column| column.right);
                out += &line(&mut texts.iter().map(String::as_str).zip(rights));
            }
        }
        out += rule(["└", "─", "┴", "┘"]).trim_end();
        out
    }

    /// Row by row, one column a line; what is longer goes on in the next line, below its beginning.
    fn list(&self, width: usize) -> String {
        let names = self.columns.iter().map(|column| cells(&column.name)).filter(|name| *name <= width / 2);
        let indent = names.max().unwrap_or_default() + 2;
        let mut out = String::new();
        for row in &self.rows {
            for (column, text) in self.columns.iter().zip(row) {
                let name = &*column.name;
                if cells(name) + 2 > indent {
                    // A name that is too long for its place has lines of its own.
                    out += &(wrapped(name, width).join("\n") + "\n");
                } else {
                    out += &padded(name, indent - 2, true);
                }
                let is_apart = cells(name) + 2 > indent;
                for (n, part) in broken(text, width - indent).iter().enumerate() {
                    let before = if n == 0 && !is_apart { "  ".to_owned() } else { " ".repeat(indent) };
                    // An empty value leaves no spaces behind.
                    out += if part.is_empty() { "" } else { &before };
                    out += part;
                    out.push('\n');
                }
            }
            out.push('\n');
        }
        out.truncate(out.trim_end_matches('\n').len());
        out
    }
}

/// A name on lines of so many cells, broken behind a `_`.
fn named(name: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::<String>::new();
    for part in name.split_inclusive('_') {
        match lines.last_mut() {
            Some(line) if cells(line) + cells(part) <= width => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

/// How many cells a table has whose columns have so many.
fn outer(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + 3).sum::<usize>() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::table::Type;
    use unicode_width::UnicodeWidthChar;

    fn column(name: &str) -> Column {
        Column { name: name.to_owned(), ty: None }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    /// The cells of a line on a terminal that knows of no letter that it has more than one character.
    fn longest(shown: &str) -> usize {
        let line = |line: &str| line.chars().map(|c| c.width().expect("nothing that is acted on")).sum::<usize>();
        shown.lines().map(|text| line(text).max(unicode_width::UnicodeWidthStr::width(text))).max().unwrap_or_default()
    }

    #[test]
    fn no_line_is_longer_than_the_terminal_whatever_is_in_it() {
        let hostile = [
            "猫".repeat(300),
            "👍🏽👨‍👩‍👧🇩🇪❤\u{fe0f}".repeat(40),
            format!("z{}", "\u{301}\u{327}".repeat(200)),
            "a\u{1b}[31m\u{7}\r\n\t\u{202e}".repeat(20),
            "x".repeat(5000),
            "한글\u{1112}\u{1161}\u{11ab}لا".repeat(30),
            String::new(),
        ];
        for columns in [1, 2, 3, 6, 12, 40] {
            for named in [
                "n",
                "a_rather_long_name_of_a_column",
                "猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫",
                "b\u{1b}\n",
            ] {
                let heads: Vec<_> = (0..columns).map(|n| column(&format!("{named}{n}"))).collect();
                let row = |from: usize| (0..columns).map(|n| text(&hostile[(from + n) % hostile.len()])).collect();
                let rows: Vec<Vec<_>> = (0..hostile.len()).map(row).collect();
                for width in [16, 40, 80, 160] {
                    let shown = render(&heads, &rows, Some(width));
                    assert!(longest(&shown) <= width, "{} > {width}:\n{shown}", longest(&shown));
                    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{}", shown.escape_debug());
                }
                let whole = render(&heads, &rows, None);
                assert!(whole.contains(&hostile[4]) && whole.contains(&hostile[0]) || columns < 5);
            }
        }
    }

    #[test]
    fn a_table_is_shortened_in_the_middle_and_numbers_never() {
        let columns = [column("id"), column("note"), Column { name: "paid".into(), ty: Some(Type::Money) }];
        let rows = [vec![Value::Integer(123_456_789), text(&("a".repeat(30) + &"z".repeat(30))), Value::Real(1.5)]];
        let shown = render(&columns, &rows, Some(40));
        let expected = "\
┌───────────┬────────────────────┬──────┐
│ id        ┆ note               ┆ paid │
╞═══════════╪════════════════════╪══════╡
│ 123456789 ┆ aaaaaaaaa…zzzzzzzz ┆ 1.50 │
└───────────┴────────────────────┴──────┘";
        assert_eq!(render(&columns, &rows, Some(41)), expected);
        assert!(longest(&shown) <= 40 && shown.contains('…'), "{shown}");
        let whole = render(&columns, &rows, None);
        assert!(whole.contains(&("a".repeat(30) + &"z".repeat(30))), "{whole}");
    }

    #[test]
    fn long_names_are_broken_before_a_table_is_given_up() {
        let columns = [column("preferred_language"), column("age")];
        let rows = [vec![text("eng"), Value::Integer(30)]];
        let expected = "\
┌────────────┬─────┐
│ preferred_ ┆ age │
│ language   ┆     │
╞════════════╪═════╡
│ eng        ┆  30 │
└────────────┴─────┘";
        assert_eq!(render(&columns, &rows, Some(20)), expected);
        assert!(render(&columns, &rows, Some(30)).contains("│ preferred_language ┆ age │"));
    }

    #[test]
    fn what_is_too_wide_for_a_table_is_shown_whole_one_column_a_line() {
        let columns = [column("one"), column("second"), column("a_name_that_is_longer_than_half"), column("none")];
        let row = vec![text(&"0123456789".repeat(4)), text("猫猫"), text("x"), Value::Null];
        let rows = [row.clone(), row];
        let shown = render(&columns, &rows, Some(40));
        let row = "   one  01234567890123456789012345678901
        23456789
second  猫猫
a_name_that_is_longer_than_half
        x
  none";
        assert_eq!(shown, format!("{row}\n\n{row}"));
    }

    #[test]
    fn without_rows_there_are_the_names() {
        let shown = render(&[column("a"), column("b")], &[], Some(80));
        assert_eq!(shown, "┌───┬───┐\n│ a ┆ b │\n╞═══╪═══╡\n└───┴───┘");
    }
}
