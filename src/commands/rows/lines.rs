//! Rows for programs: lines of JSON, CSV, Markdown. Nothing is left out.

use super::{Column, Exact, exact};
use crate::cli::Format;
use crate::shown;
use anyhow::{Context, Result};
use rusqlite::types::Value;
use std::collections::HashSet;

/// Rows in one of these forms.
pub(super) struct Lines<'c> {
    format: Format,
    columns: &'c [Column],
    /// What members of a JSON object are called, in quotes: each another name.
    members: Vec<String>,
}

impl<'c> Lines<'c> {
    pub(super) fn new(format: Format, columns: &'c [Column]) -> Lines<'c> {
        let mut seen = HashSet::new();
        let mut member = |column: &Column| {
            let numbered = (2..).map(|n| format!("{}_{n}", column.name));
            let mut names = std::iter::once(column.name.clone()).chain(numbered);
            names.find(|name| seen.insert(name.clone())).map_or(String::new(), |name| json(&name))
        };
        let members = columns.iter().map(&mut member).collect();
        Lines { format, columns, members }
    }

    /// What stands before all rows.
    pub(super) fn head(&self) -> Result<String> {
        let names = || self.columns.iter().map(|column| column.name.as_str());
        Ok(match self.format {
            Format::Json | Format::Table => String::new(),
            Format::Csv => csv_line(names())?,
            Format::Markdown => {
                let head = markdown_line(names().map(str::to_owned));
                head + &format!("|{}\n", "---|".repeat(self.columns.len()))
            }
        })
    }

    /// A row, with the end of its line.
    pub(super) fn line(&mut self, row: &[Value]) -> Result<String> {
        let values = || self.columns.iter().zip(row).map(|(column, value)| exact(column.ty, value));
        let plain = |value| match value {
            Exact::Null => String::new(),
            Exact::Bare(text) | Exact::Text(text) => text,
        };
        match self.format {
            Format::Json | Format::Table => {
                let member = |(name, value): (&String, Exact)| match value {
                    Exact::Null => format!("{name}:null"),
                    Exact::Bare(bare) => format!("{name}:{bare}"),
                    Exact::Text(text) => format!("{name}:{}", json(&text)),
                };
                let members: Vec<_> = self.members.iter().zip(values()).map(member).collect();
                Ok(format!("{{{}}}\n", members.join(",")))
            }
            Format::Csv => csv_line(values().map(plain)),
            Format::Markdown => Ok(markdown_line(values().map(plain))),
        }
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn csv_line<T: AsRef<[u8]>>(values: impl Iterator<Item = T>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(values).context("could not write a line of CSV")?;
    let line = writer.into_inner().map_err(|error| error.into_error()).context("could not write a line of CSV")?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// A line of a table on GitHub: on one line, and with what would end a cell or be taken for markup marked as text.
fn markdown_line(values: impl Iterator<Item = String>) -> String {
    let cell = |text: String| {
        let text = shown::value(&text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "\\<");
        format!(" {text} |")
    };
    format!("|{}\n", values.map(cell).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::table::Type;

    fn written(format: Format) -> String {
        let column = |name: &str, ty| Column { name: name.to_owned(), ty };
        let columns = [
            column("a", None),
            column("a", Some(Type::Money)),
            column("b|\"c", Some(Type::Boolean)),
            column("d", None),
            column("e", Some(Type::Integer)),
        ];
        let row = [
            Value::Text("x|y, \"z\"\n\u{1b}<\\".into()),
            Value::Real(7.1),
            Value::Integer(1),
            Value::Null,
            Value::Integer(-5),
        ];
        let mut lines = Lines::new(format, &columns);
        lines.head().expect("writes") + &lines.line(&row).expect("writes")
    }

    #[test]
    fn each_form_says_the_same() {
        let json = r#"{"a":"x|y, \"z\"\n\u001b<\\","a_2":7.10,"b|\"c":true,"d":null,"e":-5}"#;
        assert_eq!(written(Format::Json), format!("{json}\n"));
        assert_eq!(written(Format::Csv), "a,a,\"b|\"\"c\",d,e\n\"x|y, \"\"z\"\"\n\u{1b}<\\\",7.10,true,,-5\n");
        let markdown = "| a | a | b\\|\"c | d | e |\n|---|---|---|---|---|\n\
                        | x\\|y, \"z\"\\\\u000a\\\\u001b\\<\\\\ | 7.10 | true |  | -5 |\n";
        assert_eq!(written(Format::Markdown), markdown);
    }
}
