//! Tables that nobody keeps any more, as `status`, `check` and `drop` say it.

use super::open_to_read;
use super::text::{at, count, program, word};
use crate::config::Config;
use crate::sink::sqlite::left::Left;
use anyhow::Result;

/// The tables that nobody keeps, of the warehouse.
pub(super) fn left(config: &Config) -> Result<Vec<Left>> {
    // Of a feed nobody is shown them.
    if config.is_feed_alone() {
        return Ok(Vec::new());
    }
    Ok(open_to_read(config)?.left()?)
}

/// What is said of one of them.
pub(super) fn said(config: &Config, left: &Left) -> String {
    let written = left.last_written.as_ref();
    let written = written.map_or(String::new(), |(epoch, at)| format!(", last written in epoch {epoch}, at {at}"));
    format!(
        "table `{}` is kept by nobody any more: {}{written}; to remove it:  {} drop {}{}",
        left.table,
        count(left.rows, "row"),
        word(&program()),
        word(&left.table),
        at(config)
    )
}
