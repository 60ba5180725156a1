//! The sink itself.

use super::cells::{scaled, text, value};
use super::ddl::{self, Names, name};
use super::rows::{self, Change, From as RowsFrom, Parts};
use super::session::{Bind, Role, Sessions, Traffic};
use crate::config::snowflake::Snowflake as Config;
use crate::sink::purge::{Purge, Purged};
use crate::sink::{Claim, Commit, MadeBy, Progress, RowOf, Sink, SinkError, Stored};
use dataflows::table::{TableId, Value};
use snowflake_connector_rs::CellValue;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a claim is tried that others came before.
const CLAIMS_MAX: usize = 5;

/// A database in Snowflake as warehouse.
pub struct Snowflake {
    sessions: Sessions,
    names: Names,
    statement_bytes: usize,
    commit_interval: Duration,
    account: String,
}

/// The rows of a table, where its MERGE will find them.
struct Source {
    table: TableId,
    change: Change,
    hex: Vec<bool>,
    from: RowsFrom,
    /// The rows themselves, or the batch they are staged under.
    bind: String,
}

impl Snowflake {
    /// A warehouse as configured. Whether it is there shows when it is asked.
    ///
    /// # Errors
    /// If the configuration cannot be used, or the key is not where it should be.
    pub fn open(config: &Config) -> Result<Snowflake, SinkError> {
        let sessions = Sessions::open(config)?;
        let commit_interval = Duration::from_millis(config.commit_interval.unsigned_abs());
        let (names, account) = (Names::new(config), config.account.clone());
        Ok(Snowflake { sessions, names, statement_bytes: config.statement_bytes, commit_interval, account })
    }

    /// What the last commit, claim or question sent.
    pub fn traffic(&self) -> Traffic {
        self.sessions.traffic
    }

    fn read(&mut self, what: &str, sql: String, binds: Vec<Bind>) -> Result<Vec<Vec<CellValue>>, SinkError> {
        self.sessions.run(Role::Reader, what, sql, binds)
    }

    /// Changes rows in the open transaction; tells how many.
    fn write(&mut self, what: &str, sql: String, binds: Vec<Bind>) -> Result<i64, SinkError> {
        let answer = self.sessions.run(Role::Writer, what, sql, binds)?;
        Ok(answer.first().and_then(|row| row.first()).and_then(|cell| scaled(cell, 0)).unwrap_or(0))
    }

    fn progress(&mut self) -> Result<Option<Progress>, SinkError> {
        let columns = ["pipeline_id", "generation", "made_by", "epoch", "positions", "watermark", "committed_at"];
        let sql = format!("SELECT {} FROM {}", columns.map(name).join(", "), self.names.progress());
        let what = format!("read {}", self.names.progress());
        let mut rows = match self.read(&what, sql, Vec::new()) {
            // Not there, or not for us to see: whoever then makes it will be told which.
            Err(SinkError::Failed(_)) if self.sessions.is_missing => return Ok(None),
            rows => rows?,
        };
        let Some(row) = rows.pop() else { return Ok(None) };
        let wrong = || SinkError::Failed(format!("{} holds what we did not write: {row:?}", self.names.progress()));
        if !rows.is_empty() {
            return Err(SinkError::Failed(format!("{} has more than one row", self.names.progress())));
        }
        let number = |at: usize| scaled(&row[at], 0).and_then(|number| u64::try_from(number).ok()).ok_or_else(wrong);
        let text = |at: usize| text(&row[at]).ok_or_else(wrong);
        let at = |at: usize| match &row[at] {
            CellValue::TimestampNtz(at) => Ok(at.and_utc().timestamp_millis()),
            _ => Err(wrong()),
        };
        if text(0)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Progress {
            pipeline_id: text(0)?.to_owned(),
            generation: number(1)?,
            made_by: MadeBy::named(text(2)?),
            epoch: number(3)?,
            positions: serde_json::from_str(text(4)?).map_err(|_| wrong())?,
            watermark: at(5)?,
            committed_at: at(6)?,
        }))
    }

    /// Makes what is missing, and nothing else: whoever may not make a schema need not, if it is there.
    fn make_tables(&mut self) -> Result<(), SinkError> {
        let ask = |sink: &mut Snowflake| {
            let what = format!("read the columns of database {}", sink.names.database());
            sink.read(&what, ddl::ask_columns(&sink.names), Vec::new())
        };
        let there = match ask(self) {
            Err(SinkError::Failed(_)) if self.sessions.is_missing => {
                let what = format!("make database {}", self.names.database());
                self.read(&what, ddl::create_database(&self.names), Vec::new())?;
                ask(self)?
            }
            there => there?,
        };
        let there: BTreeSet<_> = there
            .iter()
            .filter_map(|row| match &row[..] {
                [CellValue::String(schema), CellValue::String(table), CellValue::String(column)] => {
                    Some((schema.clone(), table.clone(), column.clone()))
                }
                _ => None,
            })
            .collect();
        for statement in ddl::missing(&self.names, &there) {
            let what = statement.split(['(', '\n']).next().unwrap_or_default().trim().to_owned();
            self.read(&what, statement, Vec::new())?;
        }
        Ok(())
    }

    fn try_claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        self.make_tables()?;
        for _ in 0..CLAIMS_MAX {
            let found = self.progress()?;
            let claim = Claim::after(found.as_ref(), wanted, &self.sessions.place())?;
            let sql = format!(
                r#"UPDATE {} SET "PIPELINE_ID" = ?, "GENERATION" = ?, "MADE_BY" = CASE WHEN "EPOCH" = 0 THEN ? ELSE "MADE_BY" END WHERE "PIPELINE_ID" = ? AND "GENERATION" = ?"#,
                self.names.progress()
            );
            let (whose, generation) = found.map_or((String::new(), 0), |found| (found.pipeline_id, found.generation));
            let binds = vec![
                claim.pipeline_id.as_str().into(),
                claim.generation.into(),
                made_by.name().into(),
                whose.as_str().into(),
                generation.into(),
            ];
            let what = format!("claim {}", self.names.progress());
            let claimed = self.write(&what, sql, binds)? == 1;
            self.write(&what, "COMMIT".to_owned(), Vec::new())?;
            if claimed {
                self.clean_staging(&claim)?;
                return Ok(claim);
            }
        }
        Err(SinkError::Unavailable(format!(
            "{}: others claimed it again and again while we tried to: is another run being started over and over?",
            self.sessions.place()
        )))
    }

    /// Removes what is staged: all of it is of commits that are done, or never will be. What a run that was superseded
    /// stages now it can never merge.
    fn clean_staging(&mut self, claim: &Claim) -> Result<(), SinkError> {
        let staging = self.names.staging();
        let sql = format!(r#"DELETE FROM {staging} WHERE "GENERATION" <= ?"#);
        self.read(&format!("clean {staging}"), sql, vec![claim.generation.into()]).map(drop)
    }

    /// Puts the rows of every table where its MERGE will find them: most go along with it; many are staged.
    fn stage(&mut self, claim: &Claim, commit: &Commit) -> Result<Vec<Source>, SinkError> {
        let mut of_tables: Vec<(TableId, Change, Parts)> = Vec::new();
        for (id, deltas) in &commit.deltas {
            of_tables.push((*id, Change::Replace, rows::of_deltas(*id, deltas, self.statement_bytes)?));
        }
        for (id, rows) in &commit.appends {
            of_tables.push((*id, Change::Add, rows::of_appends(*id, rows, self.statement_bytes)?));
        }
        // Another one at each attempt: what an earlier one left behind is never merged with.
        let batch = format!("{}-{}-{}", claim.generation, commit.epoch, uuid::Uuid::new_v4());
        let mut sources = Vec::new();
        let mut staged = false;
        for (table, change, mut parts) in of_tables.into_iter().filter(|(_, _, parts)| !parts.parts.is_empty()) {
            let (from, bind) = match parts.parts.len() {
                1 => (RowsFrom::Bind, parts.parts.remove(0)),
                _ => (RowsFrom::Staging, format!("{batch}-{}", sources.len())),
            };
            if from == RowsFrom::Staging {
                let staging = self.names.staging();
                let what = format!("stage rows of {} in {staging}", self.names.table(table));
                for part in parts.parts {
                    let sql = format!("INSERT INTO {staging} SELECT ?, ?, ?, ?");
                    let binds = vec![
                        bind.as_str().into(),
                        claim.generation.into(),
                        table.table().name.into(),
                        Bind::Text(part),
                    ];
                    self.write(&what, sql, binds)?;
                }
                staged = true;
            }
            sources.push(Source { table, change, hex: parts.hex, from, bind });
        }
        if staged {
            // Not within the transaction to come: that holds the lock of `_progress`, and is short.
            self.write("commit what was staged", "COMMIT".to_owned(), Vec::new())?;
        }
        Ok(sources)
    }

    fn try_apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let sources = self.stage(claim, commit)?;
        let progress = self.names.progress();
        self.write("begin a transaction", "BEGIN TRANSACTION".to_owned(), Vec::new())?;
        let sql = format!(
            r#"UPDATE {progress} SET "EPOCH" = ?, "POSITIONS" = ?, "WATERMARK" = CAST(? AS TIMESTAMP_NTZ(3)), "COMMITTED_AT" = CAST(? AS TIMESTAMP_NTZ(3)) WHERE "PIPELINE_ID" = ? AND "GENERATION" = ? AND "EPOCH" = ?"#
        );
        let positions = serde_json::to_string(&commit.positions).expect("a map of text to integers is JSON");
        let binds = vec![
            commit.epoch.into(),
            Bind::Text(positions),
            Bind::Text(rows::written_instant(commit.watermark)),
            Bind::Text(rows::written_instant(commit.clock_ms)),
            claim.pipeline_id.as_str().into(),
            claim.generation.into(),
            commit.follows.into(),
        ];
        if self.write(&format!("take the turn in {progress}"), sql, binds)? != 1 {
            self.write("roll back", "ROLLBACK".to_owned(), Vec::new())?;
            return self.settle(claim, commit);
        }
        let staged = sources.iter().any(|source| source.from == RowsFrom::Staging);
        for source in sources {
            let sql = rows::merge(&self.names, source.table, source.change, source.from, &source.hex);
            let binds = vec![
                Bind::Text(source.bind),
                claim.pipeline_id.as_str().into(),
                claim.generation.into(),
                commit.epoch.into(),
            ];
            self.write(&format!("merge into {}", self.names.table(source.table)), sql, binds)?;
        }
        self.write(&format!("commit epoch {}", commit.epoch), "COMMIT".to_owned(), Vec::new())?;
        self.settle(claim, commit)?;
        if staged && let Err(error) = self.clean_staging(claim) {
            tracing::warn!("{error}; the next large commit, or the next start, will do it");
        }
        Ok(())
    }

    /// One transaction, in which the row of `_progress` is changed to what it is: who holds its lock has the turn.
    fn try_purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        let progress = self.names.progress();
        self.write("begin a transaction", "BEGIN TRANSACTION".to_owned(), Vec::new())?;
        let ours = || vec![Bind::from(claim.pipeline_id.as_str()), claim.generation.into()];
        let sql = format!(
            r#"UPDATE {progress} SET "GENERATION" = "GENERATION" WHERE "PIPELINE_ID" = ? AND "GENERATION" = ?"#
        );
        if self.write(&format!("take the turn in {progress}"), sql, ours())? != 1 {
            self.write("roll back", "ROLLBACK".to_owned(), Vec::new())?;
            let place = self.sessions.place();
            return Err(match self.progress()? {
                Some(found) if found.generation == claim.generation && found.pipeline_id == claim.pipeline_id => {
                    SinkError::Unavailable(format!("{place}: {progress} was not ours for a moment"))
                }
                Some(found) => {
                    SinkError::Fenced(format!("{place}: another run (generation {}) has taken over", found.generation))
                }
                None => SinkError::Fenced(format!("{place}: `_progress` is empty: the database was replaced")),
            });
        }
        let mut removed = 0;
        for (id, before) in &purge.before {
            let Some((_, age)) = id.table().age() else { continue };
            let sql = rows::purge(&self.names, *id, age.name);
            let binds = std::iter::once(Bind::Text(rows::written_instant(*before))).chain(ours()).collect();
            removed += self.write(&format!("remove old rows of {}", self.names.table(*id)), sql, binds)?;
        }
        self.write("commit what was removed", "COMMIT".to_owned(), Vec::new())?;
        Ok(Purged { rows: removed.unsigned_abs(), is_done: true })
    }

    /// Decides by what everybody sees whether a commit is there.
    fn settle(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let place = self.sessions.place();
        let fenced = |detail: String| Err(SinkError::Fenced(format!("{place}: {detail}")));
        let Some(found) = self.progress()? else {
            return fenced("`_progress` is empty: the database was replaced".to_owned());
        };
        if (&found.pipeline_id, found.generation) != (&claim.pipeline_id, claim.generation) {
            return fenced(format!("another run (generation {}) has taken over", found.generation));
        }
        match found.epoch {
            there if there >= commit.epoch => Ok(()),
            there if there == commit.follows => Err(SinkError::Unavailable(format!(
                "{place}: the transaction of epoch {} was ended from outside; nothing of it was written",
                commit.epoch
            ))),
            there => fenced(format!("it is at epoch {there}, the commit follows {}", commit.follows)),
        }
    }
}

impl Sink for Snowflake {
    fn commit_interval(&self) -> Option<Duration> {
        Some(self.commit_interval)
    }

    fn name(&self) -> String {
        format!("Snowflake account `{}`, {}", self.account, self.names.progress())
    }

    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        self.sessions.begin();
        self.progress()
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        self.sessions.begin();
        self.try_claim(made_by, wanted).inspect_err(|_| self.sessions.abandon())
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        self.sessions.begin();
        // Whether an attempt that failed was applied is found out by the next one, before it writes anything.
        self.try_apply(claim, commit).inspect_err(|_| self.sessions.abandon())
    }

    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        self.sessions.begin();
        self.try_purge(claim, purge).inspect_err(|_| self.sessions.abandon())
    }
}

impl Stored for Snowflake {
    fn page(&mut self, id: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError> {
        self.sessions.begin();
        let (sql, binds) = rows::page(&self.names, id, after, limit);
        let binds = binds.iter().map(|value| Bind::Text(rows::bind_text(value))).collect();
        let what = format!("read {}", self.names.table(id));
        let rows = self.read(&what, sql, binds)?;
        let columns = &id.table().columns;
        rows.into_iter()
            .map(|row| columns.iter().zip(row).map(|(column, cell)| value(column, cell)).collect())
            .collect()
    }

    fn scrub(&mut self, _: &Claim, _: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        let days = "DATA_RETENTION_TIME_IN_DAYS of the tables (1 by default), and for seven more in Fail-safe";
        Ok(vec![format!("{}: Time Travel has the rows for {days}", self.name())])
    }
}
