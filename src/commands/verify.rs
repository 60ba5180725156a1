//! `verify`: each metric's SQL over the stored raw events, against the live tables.

mod late;

pub(super) use late::late;

use super::Refused;
use super::outcome::{FAILED, Outcome};
use super::show::no_table;
use super::text::{at, cut, grouped, program, word};
use crate::config::Config;
use crate::decode::Reason;
use crate::families::all;
use crate::fingerprint::{self, BACKFILL};
use crate::instant;
use crate::reconcile::{Differ, differences};
use crate::sink::memory::Memory;
use crate::sink::sqlite::trouble::{Checked, damage, is_damage};
use crate::sink::sqlite::{Sqlite, quoted};
use crate::sink::{MadeBy, Sink};
use crate::specification;
use crate::specification::raw::copy;
use crate::state_dir::{Generation, StateDir};
use crate::store;
use anyhow::{Context, Result, anyhow, bail};
use dataflows::delta::Delta;
use dataflows::family::FamilyId;
use dataflows::raw::REJECTED_EVENTS;
use dataflows::table::{Role, TableId, Value};

/// How many differences are shown per table.
const SHOWN: usize = 10;

/// Compares every table with its SQL, or the one of this name.
pub(super) fn verify(config: &Config, name: Option<&str>) -> Result<Outcome> {
    let only = name.map(|name| metric(config, name)).transpose()?;
    let mut sink = Sqlite::open_to_read(all(), &config.warehouse)?;
    // Of a damaged file anything may be read: that is not a difference.
    if let Checked::Damaged(why) = sink.quick_check()? {
        bail!(why);
    }
    compare(config, only, &mut sink).map_err(|error| {
        let said = error.chain().find_map(|cause| cause.downcast_ref().filter(|cause| is_damage(cause)));
        said.map(|said| anyhow!(damage(&config.warehouse, &said.to_string()))).unwrap_or(error)
    })
}

/// The metric of a name.
fn metric(config: &Config, name: &str) -> Result<TableId> {
    let metrics = all().metrics();
    let Some((id, _)) = metrics.iter().find(|(id, _)| id.name().eq_ignore_ascii_case(name)) else {
        if let Some(id) = all().by_name(name) {
            let why = format!("`{}` is no metric: it holds the records that metrics are compared by", id.name());
            return Err(Refused(why).into());
        }
        let names: Vec<_> = metrics.iter().map(|(id, _)| id.name().to_owned()).collect();
        return Err(no_table(name, &names));
    };
    if !config.kept_tables()?.contains(*id) {
        return Err(Refused(format!("`{}` is not kept (setting `tables`)", id.name())).into());
    }
    Ok(*id)
}

fn compare(config: &Config, only: Option<TableId>, sink: &mut Sqlite) -> Result<Outcome> {
    let path = config.warehouse.display().to_string();
    // One read transaction sees one commit, also while a run writes.
    sink.connection().execute_batch("BEGIN")?;
    let progress = sink.position()?.with_context(|| format!("no pipeline has claimed `{path}`"))?;
    refuse_what_is_gone(config, sink, &path)?;
    refuse_what_is_half_done(config, &path)?;
    let stored = |id: TableId| sink.count(id.table()).map(Option::unwrap_or_default);
    let rows = all().metrics().iter().map(|(id, _)| stored(*id)).sum::<Result<u64, _>>()?;
    let raw = all().raw().map(stored).sum::<Result<u64, _>>()?;
    if rows > 0 && raw == 0 {
        let why = format!("`{path}` has no raw events to verify by: it was written with `--raw off`");
        return Err(Refused(why).into());
    }
    let has = |family: &FamilyId| only.is_none_or(|only| family.metrics().iter().any(|(id, _)| *id == only));
    let asked: Vec<FamilyId> = all().families().iter().copied().filter(has).collect();
    let families = super::families(config, progress.made_by);
    // Of one table, what it reads is enough.
    let read = only.map(|id| specification::reads(all(), id));
    let is_read = |name: &str| read.as_ref().is_none_or(|read| read.contains(name));
    for id in asked.iter().flat_map(|family| family.raw()).filter(|id| is_read(id.name())) {
        let all = vec![true; id.table().columns.len()];
        copy(sink.connection(), id, &all).context("could not read the raw tables")?;
    }
    let parameters = |of: FamilyId| {
        let family = families.iter().find(|family| family.family() == of);
        family.map(|family| family.parameters(progress.watermarks.of(of.name()))).unwrap_or_default()
    };
    specification::execute_named(&asked, sink.connection(), &parameters, &is_read)?;
    let families = families.iter().filter(|family| asked.contains(&family.family()));
    let tables = families.map(|family| (family.family().metrics(), family.lane().tables.clone()));
    let kept =
        tables.flat_map(|(metrics, kept)| metrics.into_iter().map(|(id, _)| id).filter(move |id| kept.contains(*id)));
    let kept = kept.filter(|id| only.is_none_or(|only| only == *id));
    let desired: Vec<_> = kept.map(|id| Ok((id, computed(sink, id)?))).collect::<Result<_>>()?;
    specification::forget(all(), sink.connection())?;
    let (mut wrong, mut tables) = (0, serde_json::Map::new());
    for (id, mut desired) in desired {
        let name = id.table().name;
        let differences = differences(&mut desired, sink, id, Differ::InSubstance)?;
        say!(
            "{name}: {} rows, {} differ from its SQL",
            grouped(sink.count(id.table())?.unwrap_or(0)),
            grouped(differences.len() as u64)
        );
        for delta in differences.iter().take(SHOWN) {
            match delta {
                Delta::Upsert(row) => say!("  should be: {}", shown(row)),
                Delta::Delete(key) => say!("  should not be: {}", shown(key)),
            }
        }
        wrong += differences.len();
        let rows = sink.count(id.table())?.unwrap_or(0);
        tables.insert(name.to_owned(), serde_json::json!({ "rows": rows, "differ": differences.len() }));
    }
    say!("as of epoch {}, watermark {}", progress.epoch, progress.watermarks);
    for passed in passed(sink)? {
        say!("in no table: {passed}");
    }
    let outcome = Outcome::of(false).with("epoch", progress.epoch).with("differ", wrong).with("tables", tables);
    if wrong > 0 {
        let rows = if wrong == 1 { format!("1 row of `{path}` is") } else { format!("{wrong} rows of `{path}` are") };
        let (program, at, otherwise) = (program(), at(config), since_the_run(config));
        let set = if otherwise.is_empty() {
            format!(
                "whatever was set for the run (`lateness`, `session_timeout`, ...) must be set for `{program} verify{at}` too"
            )
        } else {
            format!(
                "since the run something is set otherwise, and `{program} verify{at}` needs what the run has: {}",
                otherwise.join(", ")
            )
        };
        let why = format!("{rows} not what its raw events say; {set}");
        return Ok(outcome.complaining(FAILED, why));
    }
    Ok(outcome)
}

/// What is set otherwise than for the last run, as its state says; nothing where there is no state.
fn since_the_run(config: &Config) -> Vec<String> {
    let facts = || {
        let dir = StateDir::open_to_read(store::open_to_read(&config.state_place()).ok()?).ok()??;
        dir.generation(dir.last_generation().ok()?).ok()
    };
    let Some(Generation { fingerprint: before, .. }) = facts() else { return Vec::new() };
    let mut now = fingerprint::of(all(), &super::families(config, MadeBy::Run));
    // What a run was told beside its settings is no part of them.
    now.extend(
        before.iter().filter(|(name, _)| name.as_str() == BACKFILL).map(|(name, print)| (name.clone(), print.clone())),
    );
    fingerprint::differences(&before, &now)
}

/// What was deleted before it was read: neither the tables nor their SQL know it.
fn passed(sink: &Sqlite) -> Result<Vec<String>> {
    let table = REJECTED_EVENTS.table();
    if sink.count(table)?.is_none() {
        return Ok(Vec::new());
    }
    let table = quoted(table.name);
    let sql = format!("SELECT detail FROM {table} WHERE reason = ?1 ORDER BY _topic, _partition, _offset");
    let mut statement = sink.connection().prepare(&sql)?;
    let found = statement.query_map([Reason::DELETED.code()], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// What the metrics' SQL does not find any more it would take for what never was.
fn refuse_what_is_gone(config: &Config, sink: &Sqlite, path: &str) -> Result<()> {
    if sink.has_forgotten()? {
        let (program, at) = (program(), at(config));
        let why = format!(
            "`{path}` cannot be verified: users were forgotten, and what was computed of many users was computed of them \
             too.\nIf the sources still have everything, they come back by:  {program} run ... --rebuild{at}  (or the same `batch`)"
        );
        return Err(Refused(why).into());
    }
    let reads = |id: &TableId| matches!(id.table().role, Role::Raw { .. } | Role::Late { .. });
    let gone: Vec<_> = sink.purged()?.into_iter().filter(|(id, _)| reads(id)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let tables: Vec<_> =
        gone.iter().map(|(id, before)| format!("`{}` before {}", id.table().name, instant::show(*before))).collect();
    let (program, kept) = (program(), "--set retention.raw=keep --set retention.late=keep");
    Err(Refused(format!(
        "`{path}` cannot be verified: old rows of its raw tables were removed, as `[retention]` says ({}), and the metrics \
         were computed from them too.\n\
         Verify a warehouse that keeps them:            {program} run ... {kept} --warehouse other.db\n\
         or, if the sources still have everything:      {program} run ... {kept} --rebuild{}",
        tables.join(", "),
        at(config)
    ))
    .into())
}

/// Of somebody who is being forgotten some rows may be nobody's, and others not.
fn refuse_what_is_half_done(config: &Config, path: &str) -> Result<()> {
    // A warehouse is verified without its state too: then nobody knows of it.
    let dir = store::open_to_read(&config.state_place()).ok().and_then(|store| StateDir::open_to_read(store).ok()?);
    let begun = dir.and_then(|dir| dir.begun().ok()?.into_iter().next());
    let Some(begun) = begun else { return Ok(()) };
    let (program, at) = (program(), at(config));
    let why = format!(
        "`{path}` cannot be verified: a user was begun to be forgotten, and that was broken off. End it by:\n\
         {program} forget --family {}{}{at} -- {}",
        begun.family,
        if begun.deletes_raw { " --delete-raw" } else { "" },
        word(&begun.person.to_string())
    );
    Err(Refused(why).into())
}

/// What a metric's SQL says.
fn computed(sink: &Sqlite, id: TableId) -> Result<Memory> {
    let desired = Memory::default();
    let mut contents = desired.contents();
    let into = contents.tables.entry(id).or_default();
    specification::rows(sink.connection(), id, |row| into.put(&row, id.table().key_columns))?;
    drop(contents);
    Ok(desired)
}

/// Values for people.
pub(super) fn shown(values: &[Value]) -> String {
    let texts: Vec<_> = values
        .iter()
        .map(|value| match value {
            Value::Null => "null".to_owned(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Instant(at) => instant::show(*at),
            Value::Cents(cents) => format!("{:.2}", *cents as f64 / 100.0),
            Value::Milli(milli) => format!("{:.3}", *milli as f64 / 1000.0),
            Value::Share(share) => format!("{:.4}", *share as f64 / 10_000.0),
            Value::Text(text) => cut(text),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        })
        .collect();
    texts.join(" | ")
}
