//! `sql`: whatever SQL says that only reads.

use super::Refused;
use super::ask::{failed, open, print};
use super::text::grouped;
use crate::cli::{Format, SqlArgs};
use crate::config::Config;
use crate::sink::sqlite::guarded::{Guarded, Unanswered};
use anyhow::{Context, Result};
use std::io::Read;

/// No statement is longer, in bytes.
const STATEMENT_BYTES_MAX: u64 = 1 << 20;

pub(super) fn sql(config: &Config, arguments: &SqlArgs) -> Result<()> {
    let statement = match arguments.statement.as_str() {
        "-" => from_standard_input()?,
        given => given.to_owned(),
    };
    let guarded = open(config, &arguments.answer)?;
    let named = named(&guarded, &statement)?;
    let failed = |error: Unanswered| failed(&guarded, error, &named, "WHERE, LIMIT");
    let mut answer = guarded.ask(&statement).map_err(failed)?;
    let columns = answer.columns().to_vec();
    let (format, count) = print(&mut answer, &columns, arguments.answer.format, &failed)?;
    if format == Format::Table {
        say!("{} {}", grouped(count), if count == 1 { "row" } else { "rows" });
    }
    Ok(())
}

fn from_standard_input() -> Result<String> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(STATEMENT_BYTES_MAX + 1).read_to_end(&mut text);
    read.context("could not read a statement from standard input")?;
    if text.len() as u64 > STATEMENT_BYTES_MAX {
        let why = format!("the statement on standard input is longer than {STATEMENT_BYTES_MAX} bytes");
        return Err(Refused(why).into());
    }
    String::from_utf8(text).map_err(|_| Refused("the statement on standard input is not UTF-8".to_owned()).into())
}

/// The tables that a statement names.
fn named(guarded: &Guarded, statement: &str) -> Result<Vec<String>> {
    let statement = statement.to_lowercase();
    let words: Vec<_> = statement.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    let mut names = guarded.names()?;
    names.retain(|name| words.contains(&&*name.to_lowercase()));
    Ok(names)
}
