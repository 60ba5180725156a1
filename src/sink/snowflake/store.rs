//! The sink itself.

mod staging;

use super::cells::{found, scaled, value};
use super::ddl::{self, Layer, Names, all_columns, clean};
use super::rows::{self, From as RowsFrom};
use super::session::{Bind, Role, Sessions, Traffic};
use super::staged::Staged;
use crate::config::snowflake::Snowflake as Config;
use crate::families;
use crate::sink::purge::{Purge, Purged};
use crate::sink::{Claim, Commit, MadeBy, Progress, RowOf, Sink, SinkError, Stored};
use dataflows::family::Catalogue;
use dataflows::table::{TableId, Value};
use snowflake_connector_rs::CellValue;
use staging::Source;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a claim is tried that others came before.
const CLAIMS_MAX: usize = 5;

/// A database in Snowflake as warehouse.
pub struct Snowflake {
    pub(super) catalogue: Catalogue,
    pub(super) sessions: Sessions,
    pub(super) names: Names,
    pub(super) statement_bytes: usize,
    commit_interval: Duration,
    account: String,
    pub(super) staged: Staged,
    /// The claim whose COMMIT was sent last: if it stands there, it is ours, answered or not.
    claimed: Option<Claim>,
    /// Whether events count once also where no family declares it.
    counts_once: bool,
    /// The columns that were there when it was claimed: schema, table, column.
    there: BTreeSet<(String, String, String)>,
}

impl Snowflake {
    /// A warehouse as configured. Whether it is there shows when it is asked.
    ///
    /// # Errors
    /// If the configuration cannot be used, or the key is not where it should be.
    pub fn open(catalogue: Catalogue, config: &Config) -> Result<Snowflake, SinkError> {
        let sessions = Sessions::open(config)?;
        let commit_interval = Duration::from_millis(config.commit_interval.unsigned_abs());
        let (names, account) = (Names::new(config), config.account.clone());
        let (statement_bytes, staged) = (config.statement_bytes, Staged::default());
        Ok(Snowflake {
            catalogue,
            sessions,
            names,
            statement_bytes,
            commit_interval,
            account,
            staged,
            claimed: None,
            counts_once: false,
            there: BTreeSet::new(),
        })
    }

    /// The same; whether events count once also where no family declares it.
    pub fn counting_once(self, counts_once: bool) -> Snowflake {
        Snowflake { counts_once, ..self }
    }

    /// What the last commit, claim or question sent.
    pub fn traffic(&self) -> Traffic {
        self.sessions.traffic
    }

    pub(super) fn read(&mut self, what: &str, sql: String, binds: Vec<Bind>) -> Result<Vec<Vec<CellValue>>, SinkError> {
        self.sessions.run(Role::Reader, what, sql, binds)
    }

    /// Changes rows in the open transaction; tells how many.
    pub(super) fn write(&mut self, what: &str, sql: String, binds: Vec<Bind>) -> Result<i64, SinkError> {
        let answer = self.sessions.run(Role::Writer, what, sql, binds)?;
        Ok(answer.first().and_then(|row| row.first()).and_then(|cell| scaled(cell, 0)).unwrap_or(0))
    }

    /// Commits the open transaction. What is read from here on by the other session is read in a new one.
    fn commit(&mut self, what: &str) -> Result<(), SinkError> {
        self.write(what, "COMMIT".to_owned(), Vec::new())?;
        self.sessions.renew(Role::Reader);
        Ok(())
    }

    /// Progress, as a session sees it. Outside a transaction: the writer's session opens none for a SELECT.
    pub(super) fn progress(&mut self, role: Role) -> Result<Option<Progress>, SinkError> {
        // In the order in which they were made; what an earlier version made has fewer.
        let sql = format!("SELECT * FROM {}", self.names.progress());
        let what = format!("read {}", self.names.progress());
        let mut rows = match self.sessions.run(role, &what, sql, Vec::new()) {
            // Not there, or not for us to see: making it will tell which.
            Err(SinkError::Failed(_)) if self.sessions.is_missing => return Ok(None),
            rows => rows?,
        };
        let Some(row) = rows.pop() else { return Ok(None) };
        if !rows.is_empty() {
            return Err(SinkError::Failed(format!("{} has more than one row", self.names.progress())));
        }
        let found = found(&row);
        // Nobody has claimed it yet.
        if found.pipeline_id == "" {
            return Ok(None);
        }
        let way_out = format!(
            "Put the row back as it was (SELECT * FROM {} AT (OFFSET => -3600) shows it as of an hour ago), or name another \
             `snowflake.database`; if a later version wrote it, use that one",
            self.names.progress()
        );
        found.read(&self.names.progress(), &way_out).map(Some)
    }

    /// Makes what is missing, and nothing else: the right to make a schema is not needed if it is there.
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
        self.there = there
            .iter()
            .filter_map(|row| match &row[..] {
                [CellValue::String(schema), CellValue::String(table), CellValue::String(column)] => {
                    Some((schema.clone(), table.clone(), column.clone()))
                }
                _ => None,
            })
            .collect();
        for statement in ddl::missing(self.catalogue, &self.names, &self.there) {
            let what = statement.split(['(', '\n']).next().unwrap_or_default().trim().to_owned();
            self.read(&what, statement, Vec::new())?;
        }
        self.make_views()
    }

    /// Makes the views of clean events and of the model that are new or changed, and removes those that are none any more.
    fn make_views(&mut self) -> Result<(), SinkError> {
        let what = format!("read the views of database {}", self.names.database());
        let there = |sink: &mut Snowflake, sql: String| -> Result<Vec<(String, String)>, SinkError> {
            let rows = sink.read(&what, sql, Vec::new())?;
            let of = |row: &Vec<CellValue>| match &row[..] {
                [CellValue::String(view), CellValue::String(comment)] => Some((view.clone(), comment.clone())),
                _ => None,
            };
            Ok(rows.iter().filter_map(of).collect())
        };
        let (there, clean) = (there(self, ddl::ask_views(&self.names))?, there(self, clean::ask(&self.names))?);
        let of_model = ddl::changed_views(self.catalogue, &self.names, families::views(), &there);
        let clean = clean::changed(self.catalogue, &self.names, self.counts_once, &clean);
        for statement in clean.into_iter().chain(of_model) {
            let what = statement.split(" COPY").next().unwrap_or_default().to_owned();
            self.read(&what, statement, Vec::new())?;
        }
        Ok(())
    }

    fn try_claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        self.make_tables()?;
        for _ in 0..CLAIMS_MAX {
            // New at each round: it must see what was made, and who came before us.
            self.sessions.renew(Role::Writer);
            let found = self.progress(Role::Writer)?;
            let there = found.as_ref().map(|found| (&found.pipeline_id, found.generation));
            if let (Some(there), Some(wanted)) = (there, wanted)
                && there == (&wanted.pipeline_id, wanted.generation)
                && self.claimed.as_ref() == Some(wanted)
            {
                // Ours, from an attempt whose COMMIT was not answered.
                self.clean_staging(wanted)?;
                return Ok(wanted.clone());
            }
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
            self.claimed = claimed.then(|| claim.clone());
            self.commit(&what)?;
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

    fn try_apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let sources = self.stage(claim, commit)?;
        let progress = self.names.progress();
        self.write("begin a transaction", "BEGIN TRANSACTION".to_owned(), Vec::new())?;
        let sql = format!(
            r#"UPDATE {progress} SET "EPOCH" = ?, "POSITIONS" = ?, "WATERMARK" = CAST(? AS TIMESTAMP_NTZ(3)), "COMMITTED_AT" = CAST(? AS TIMESTAMP_NTZ(3)), "WATERMARKS" = ? WHERE "PIPELINE_ID" = ? AND "GENERATION" = ? AND "EPOCH" = ?"#
        );
        let positions = serde_json::to_string(&commit.positions).expect("a map of text to integers is JSON");
        let binds = vec![
            commit.epoch.into(),
            Bind::Text(positions),
            Bind::Text(rows::written_instant(commit.watermarks.least())),
            Bind::Text(rows::written_instant(commit.clock_ms)),
            Bind::Text(commit.watermarks.json()),
            claim.pipeline_id.as_str().into(),
            claim.generation.into(),
            commit.follows.into(),
        ];
        let staged = sources.iter().any(|source| source.from == RowsFrom::Staging);
        if self.write(&format!("take the turn in {progress}"), sql, binds)? == 1 {
            self.merge(claim, commit, sources)?;
        } else {
            self.write("roll back", "ROLLBACK".to_owned(), Vec::new())?;
            // Perhaps an attempt that was not answered was done: what is read from here on are its rows.
            self.sessions.renew(Role::Reader);
        }
        self.settle(claim, commit)?;
        self.staged.clear();
        if staged && let Err(error) = self.clean_staging(claim) {
            tracing::warn!("{error}; the next large commit, or the next start, will do it");
        }
        Ok(())
    }

    /// Brings the rows into their tables, and commits.
    fn merge(&mut self, claim: &Claim, commit: &Commit, sources: Vec<Source>) -> Result<(), SinkError> {
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
        self.commit(&format!("commit epoch {}", commit.epoch))
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
            self.sessions.renew(Role::Reader);
            let (found, place) = (self.progress(Role::Reader)?, self.sessions.place());
            let found = found.ok_or_else(|| replaced(&place))?;
            claim.stands(&found.pipeline_id, found.generation, &place)?;
            return Err(SinkError::Unavailable(format!("{place}: {progress} was not ours for a moment")));
        }
        let mut removed = 0;
        for (id, before) in &purge.before {
            let Some((_, age)) = id.table().age() else { continue };
            let sql = rows::purge(&self.names, *id, age.name);
            let binds = std::iter::once(Bind::Text(rows::written_instant(*before))).chain(ours()).collect();
            removed += self.write(&format!("remove old rows of {}", self.names.table(*id)), sql, binds)?;
        }
        self.commit("commit what was removed")?;
        Ok(Purged { rows: removed.unsigned_abs(), is_done: true })
    }

    /// Decides whether a commit is there: by the session in which it was made; where that does not see it, by a new one,
    /// which sees all there is.
    fn settle(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let place = self.sessions.place();
        let found = self.progress(Role::Writer)?;
        if judge(found.as_ref(), claim, commit, &place).is_ok() {
            return Ok(());
        }
        self.sessions.renew(Role::Reader);
        let found = self.progress(Role::Reader)?;
        judge(found.as_ref(), claim, commit, &place)
    }
}

fn replaced(place: &str) -> SinkError {
    SinkError::gone(place, "`_progress` is empty: the database was replaced")
}

/// What progress says of a commit.
fn judge(found: Option<&Progress>, claim: &Claim, commit: &Commit, place: &str) -> Result<(), SinkError> {
    let found = found.ok_or_else(|| replaced(place))?;
    claim.stands(&found.pipeline_id, found.generation, place)?;
    match found.epoch {
        there if there >= commit.epoch => Ok(()),
        there if there == commit.follows => Err(SinkError::Unavailable(format!(
            "{place}: the transaction of epoch {} was ended from outside; nothing of it was written",
            commit.epoch
        ))),
        there => Err(SinkError::elsewhere(place, there, commit.follows)),
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
        self.sessions.renew(Role::Reader);
        self.progress(Role::Reader)
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        self.sessions.begin();
        self.sessions.renew(Role::Reader);
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
    fn catalogue(&self) -> Catalogue {
        self.catalogue
    }

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

    /// Columns that it lacked were added when it was claimed; one that is there and none of ours is of another shape. Of the
    /// key nothing is known: Snowflake does not hold to it.
    fn has_another_shape(&mut self, id: TableId) -> Result<bool, SinkError> {
        let (schema, table) = (self.names.schema_text(Layer::of(id)), id.name().to_uppercase());
        let ours: BTreeSet<_> = all_columns(id.table()).map(|column| column.name.to_uppercase()).collect();
        let is_its = |(of, name, _): &&(String, String, String)| (of, name) == (&schema, &table);
        Ok(self.there.iter().filter(is_its).any(|(_, _, column)| !ours.contains(column)))
    }

    fn make_anew(&mut self, _: TableId) {}

    fn makes_anew(&self) -> bool {
        false
    }

    fn scrub(&mut self, _: &Claim, _: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        let days = "DATA_RETENTION_TIME_IN_DAYS of the tables (1 by default), and for seven more in Fail-safe";
        let binds = "the query history has what was sent, whole rows as bind values, for seven days (BIND_VALUES; nobody \
                     reads them where the account has ALLOW_BIND_VALUES_ACCESS = FALSE)";
        Ok(vec![format!("{}: Time Travel has the rows for {days}", self.name()), format!("{}: {binds}", self.name())])
    }
}
