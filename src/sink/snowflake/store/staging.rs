//! Rows on their way: along with their MERGE, or staged before it.

use super::Snowflake;
use crate::sink::snowflake::rows::{self, Change, From as RowsFrom, Parts};
use crate::sink::snowflake::session::{Bind, Role};
use crate::sink::{Claim, Commit, SinkError};
use dataflows::table::TableId;

/// The rows of a table, where its MERGE will find them.
pub(super) struct Source {
    pub(super) table: TableId,
    pub(super) change: Change,
    pub(super) hex: Vec<bool>,
    pub(super) from: RowsFrom,
    /// The rows themselves, or the names that their parts are staged under.
    pub(super) bind: String,
}

impl Snowflake {
    /// Removes what was staged for commits before this one, and by earlier starts: they are done, or never will be. Not
    /// what is staged now, though this statement be carried out late; nor what a later start stages, or another
    /// pipeline: it may be about to be merged, and we may be the last to hear of it.
    pub(super) fn clean_staging(&mut self, claim: &Claim) -> Result<(), SinkError> {
        let (staging, progress) = (self.names.staging(), self.names.progress());
        let sql = format!(
            r#"DELETE FROM {staging} WHERE "BATCH_ID" < ? AND EXISTS (SELECT 1 FROM {progress} AS p WHERE p."PIPELINE_ID" = ? AND p."GENERATION" = ?)"#
        );
        let first = Bind::Text(self.staged.first_name(claim));
        let binds = vec![first, claim.pipeline_id.as_str().into(), claim.generation.into()];
        self.read(&format!("clean {staging}"), sql, binds).map(drop)
    }

    /// Puts the rows of every table where its MERGE will find them: most go along with it; many are staged. Each part is
    /// there for good when its statement is done, in whatever session, and is not sent again for the same commit.
    pub(super) fn stage(&mut self, claim: &Claim, commit: &Commit) -> Result<Vec<Source>, SinkError> {
        let mut of_tables: Vec<(TableId, Change, Parts)> = Vec::new();
        for (id, deltas) in &commit.deltas {
            of_tables.push((*id, Change::Replace, rows::of_deltas(*id, &deltas.as_values(), self.statement_bytes)?));
        }
        for (id, rows) in &commit.appends {
            of_tables.push((*id, Change::Add, rows::of_appends(*id, rows, self.statement_bytes)?));
        }
        if self.staged.begin(claim, commit) {
            self.clean_staging(claim)?;
        }
        let (mut sources, mut all_names) = (Vec::new(), (String::new(), 0));
        for (table, change, mut parts) in of_tables.into_iter().filter(|(_, _, parts)| !parts.parts.is_empty()) {
            let (from, bind) = match parts.parts.len() {
                1 => (RowsFrom::Bind, parts.parts.remove(0)),
                count => {
                    let names = self.stage_table(claim, table, &parts.parts)?;
                    all_names.0.push_str(&names);
                    all_names.1 += count;
                    (RowsFrom::Staging, names)
                }
            };
            sources.push(Source { table, change, hex: parts.hex, from, bind });
        }
        let (names, count) = all_names;
        if count > 0 {
            // It must see what the other session has staged; and the transaction to come has all of a token's time.
            self.sessions.renew(Role::Writer);
            let staging = self.names.staging();
            let sql = format!(r#"SELECT COUNT(*) FROM {staging} WHERE CONTAINS(?, "BATCH_ID")"#);
            if self.write(&format!("count what is staged in {staging}"), sql, vec![Bind::Text(names)])? != count as i64
            {
                self.staged.clear();
                return Err(SinkError::Unavailable(format!(
                    "{}: {staging} was emptied while epoch {} was staged there; it is staged again",
                    self.sessions.place(),
                    commit.epoch
                )));
            }
        }
        Ok(sources)
    }

    /// Stages the parts of a table that are not there yet. Returns the names of all, one after another.
    fn stage_table(&mut self, claim: &Claim, table: TableId, parts: &[String]) -> Result<String, SinkError> {
        let staging = self.names.staging();
        let what = format!("stage rows of {} in {staging}", self.names.table(table));
        let mut names = String::new();
        for (at, part) in parts.iter().enumerate() {
            if let Some(name) = self.staged.name_of(table, at, part) {
                names.push_str(name);
                continue;
            }
            let name = self.staged.new_name();
            let sql = format!("INSERT INTO {staging} SELECT ?, ?, ?, ?");
            let binds =
                vec![name.as_str().into(), claim.generation.into(), table.table().name.into(), part.as_str().into()];
            self.read(&what, sql, binds)?;
            names.push_str(&name);
            self.staged.put(table, at, part, name);
        }
        Ok(names)
    }
}
