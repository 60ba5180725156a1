//! What somebody asks of the warehouse: opened to be read, answered, and what is said where there is no answer.

use super::Refused;
use super::nearest::meant;
use super::rows::{Next, format_of, print_lines, render, values};
use crate::cli::{AnswerArgs, Format};
use crate::config::Config;
use crate::families::all;
use crate::instant::span;
use crate::shown;
use crate::sink::Sink;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::guarded::{Answer, Column, Guarded, Unanswered};
use anyhow::{Result, anyhow};
use std::time::Duration;

/// Opens the warehouse for somebody who asks.
pub(super) fn open(config: &Config, arguments: &AnswerArgs) -> Result<Guarded> {
    let timeout = timeout(&arguments.timeout)?;
    let mut sink = Sqlite::open_to_read(all(), &config.warehouse)?;
    if sink.position()?.is_none() {
        return Err(Refused(format!(
            "`{}` is not a warehouse of ours: no pipeline has claimed it",
            config.warehouse.display()
        ))
        .into());
    }
    Ok(sink.guarded(timeout)?)
}

fn timeout(text: &str) -> Result<Duration> {
    let refused = |why: String| Refused(format!("`--timeout {text}`: {why}"));
    let ms = span::parse(text).map_err(refused)?;
    let ms = u64::try_from(ms).ok().filter(|ms| *ms > 0);
    Ok(Duration::from_millis(ms.ok_or_else(|| refused("expected 1ms at the least".to_owned()))?))
}

/// Prints the rows of an answer. Says in which form, and how many there were.
pub(super) fn print(
    answer: &mut Answer<'_>,
    columns: &[Column],
    asked: Option<Format>,
    failed: &dyn Fn(Unanswered) -> anyhow::Error,
) -> Result<(Format, u64)> {
    let format = format_of(asked);
    let mut reading = answer.rows();
    let next: &mut Next<'_> = &mut || {
        let row = reading.next_row().map_err(failed)?;
        row.map(|row| values(row, columns)).transpose()
    };
    if format != Format::Table {
        return Ok((format, print_lines(format, columns, next)?));
    }
    let mut rows = Vec::new();
    while let Some(row) = next()? {
        rows.push(row);
    }
    say_as_is!("{}", render(columns, &rows, shown::width()));
    Ok((format, rows.len() as u64))
}

/// What is said where a question has no answer. `of` names the tables that it is about, `less` how to ask for less.
pub(super) fn failed(guarded: &Guarded, error: Unanswered, of: &[String], less: &str) -> anyhow::Error {
    match error {
        Unanswered::Late(allowed) => anyhow!(
            "the warehouse was read for {} (`--timeout`), and there was no answer yet: ask for less ({less}), or allow it \
             more time, as with `--timeout 10m`",
            humantime::format_duration(allowed)
        ),
        Unanswered::Wrong(words) => {
            let meant = probably(guarded, &words, of);
            Refused(format!("{words}{meant}")).into()
        }
        Unanswered::Refused(why) => Refused(why).into(),
        Unanswered::Failed(error) => error.into(),
    }
}

/// The name that was probably meant, where SQLite says that there is none of that name.
fn probably(guarded: &Guarded, words: &str, of: &[String]) -> String {
    let unknown = |what: &str| {
        let rest = words.strip_prefix(what)?;
        let name = rest.split(" - ").next().unwrap_or(rest);
        Some(name.rsplit('.').next().unwrap_or(name).trim_matches(['"', '`', '[', ']']))
    };
    let names = || guarded.names().unwrap_or_default();
    if let Some(table) = unknown("no such table: ") {
        return meant(table, names().iter().map(String::as_str));
    }
    let Some(column) = unknown("no such column: ") else { return String::new() };
    let of = if of.is_empty() { names() } else { of.to_vec() };
    let columns: Vec<_> = of.iter().flat_map(|table| guarded.columns(table).unwrap_or_default()).collect();
    let names = || columns.iter().map(|column| column.name.as_str());
    match (meant(column, names()), &of[..]) {
        // There are so many: those of all tables say nothing.
        (meant, [table]) if meant.is_empty() => {
            format!("; `{table}` has the columns {}", names().collect::<Vec<_>>().join(", "))
        }
        (meant, _) => meant,
    }
}
