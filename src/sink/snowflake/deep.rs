//! `deltamart check --deep`: what no document says for certain, tried on a real account, in schemas of its own, which are
//! dropped again. What it prints has Snowflake's codes in it.

use super::ddl::{self, Layer, Names};
use super::session::{Bind, Role};
use super::store::Snowflake;
use crate::config::snowflake::{Schemas, Snowflake as Config};
use crate::lanes::Watermarks;
use crate::sink::{Claim, Commit, MadeBy, Sink, SinkError};
use dataflows::delta::Delta;
use dataflows::family::Catalogue;
use dataflows::table::{Column, Kind, TableId, Type, Value};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// For how long an older session is asked for a commit of another one.
const LAG_MAX: Duration = Duration::from_secs(30);

/// How long a lock is waited for where its code is asked for, in seconds.
const LOCK_SECONDS: u64 = 5;

/// For how long the first of two racing updates holds its lock while the other one waits. An account where that one does
/// not wait answers at once.
const HELD: Duration = Duration::from_secs(2);

/// What was tried, what came of it, and how long it took.
pub type Told<'a> = dyn FnMut(&str, &str, Duration) + 'a;

/// Tries the account, and tells of each step.
///
/// # Errors
/// If what a commit rests on does not hold, or a step could not be tried at all. The schemas of the trial are dropped in
/// any case, as far as they can be.
pub fn check(catalogue: Catalogue, config: &Config, told: &mut Told<'_>) -> Result<(), SinkError> {
    let at = |layer: &str| format!("DELTAMART_CHECK_{layer}");
    let schemas = Schemas { raw: at("RAW"), clean: at("CLEAN"), marts: at("MARTS") };
    let config = Config { schemas, ..config.clone() };
    let names = Names::new(&config);
    // What an earlier trial left, which was ended halfway.
    if let Err(error) = drop_all(catalogue, &config, &names, told) {
        told("what an earlier trial left", &error.to_string(), Duration::ZERO);
    }
    let done = steps(catalogue, &config, &names, told);
    let dropped = drop_all(catalogue, &config, &names, told);
    done.and(dropped)
}

fn drop_all(catalogue: Catalogue, config: &Config, names: &Names, told: &mut Told<'_>) -> Result<(), SinkError> {
    let mut sink = Snowflake::open(catalogue, config)?;
    // What the script made belongs to the role that ran it; who has not got that role made it with the configured one.
    sink.read("take the role of the script", "USE ROLE ACCOUNTADMIN".to_owned(), Vec::new()).ok();
    for layer in Layer::ALL {
        let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", names.schema(layer));
        tell(told, &format!("drop {}", names.schema(layer)), || sink.read("drop a schema", sql, Vec::new()))?;
    }
    Ok(())
}

fn steps(catalogue: Catalogue, config: &Config, names: &Names, told: &mut Told<'_>) -> Result<(), SinkError> {
    for round in ["the script", "the script again"] {
        run_script(catalogue, config, round, told)?;
    }
    let mut first = Snowflake::open(catalogue, config)?;
    let claim = tell(told, "claim", || first.claim(MadeBy::Simulator, None))?;
    let mut older = Snowflake::open(catalogue, config)?;
    tell(told, "log in, and read `_PROGRESS`", || older.position())?;
    tell(told, "commit a row", || first.apply(&claim, &commit(catalogue, 0)))?;
    lag(&mut older, told)?;
    let mut second = Snowflake::open(catalogue, config)?;
    race(&mut first, &mut second, names, told)?;
    lock(&mut first, &mut second, names, told)?;
    let next = Claim { generation: claim.generation + 1, ..claim.clone() };
    tell(told, "take over", || second.claim(MadeBy::Simulator, Some(&next)))?;
    match first.apply(&claim, &commit(catalogue, 4)) {
        Err(fenced @ SinkError::Fenced { .. }) => {
            told("a commit of the run before", &format!("refused, as it must be: {fenced}"), Duration::ZERO)
        }
        Err(error) => return Err(error),
        Ok(()) => {
            return Err(SinkError::Failed(
                "a run that was superseded could still write: do not use this account".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Tells what came of a step.
fn tell<T>(told: &mut Told<'_>, what: &str, step: impl FnOnce() -> Result<T, SinkError>) -> Result<T, SinkError> {
    let started = Instant::now();
    let done = step();
    let answer = done.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned());
    told(what, &answer, started.elapsed());
    done
}

/// The printed script. A statement that is refused is told, and the next one tried: who may not make roles has them made.
fn run_script(catalogue: Catalogue, config: &Config, round: &str, told: &mut Told<'_>) -> Result<(), SinkError> {
    let (mut sink, started, mut done) = (Snowflake::open(catalogue, config)?, Instant::now(), 0);
    let script = ddl::script(catalogue, config);
    for sql in &script {
        let what = sql.split(['(', '\n']).next().unwrap_or_default().trim().to_owned();
        match sink.read(&what, sql.clone(), Vec::new()) {
            Ok(_) => done += 1,
            Err(SinkError::Unavailable(why)) => return Err(SinkError::Unavailable(why)),
            Err(error) => told(round, &error.to_string(), Duration::ZERO),
        }
    }
    told(round, &format!("{done} of {} statements done", script.len()), started.elapsed());
    Ok(())
}

/// After how long a session sees what another one committed after it began.
fn lag(older: &mut Snowflake, told: &mut Told<'_>) -> Result<(), SinkError> {
    let (started, mut looks) = (Instant::now(), 0);
    loop {
        looks += 1;
        if older.progress(Role::Reader)?.is_some_and(|found| found.epoch == 2) {
            told("an older session sees the commit", &format!("at look {looks}"), started.elapsed());
            return Ok(());
        }
        if started.elapsed() > LAG_MAX {
            told("an older session sees the commit", "not yet", started.elapsed());
            return Ok(());
        }
    }
}

/// The update that two sessions race with: only one may find its row.
fn turn(sink: &mut Snowflake, names: &Names) -> Result<i64, SinkError> {
    let sql = format!(r#"UPDATE {} SET "EPOCH" = 4 WHERE "EPOCH" = ?"#, names.progress());
    sink.write("race for the turn", sql, vec![Bind::Integer(2)])
}

fn begin(sink: &mut Snowflake) -> Result<(), SinkError> {
    sink.write("begin a transaction", "BEGIN TRANSACTION".to_owned(), Vec::new()).map(drop)
}

fn roll_back(sink: &mut Snowflake) -> Result<(), SinkError> {
    sink.write("roll back", "ROLLBACK".to_owned(), Vec::new()).map(drop)
}

/// Whether an update that waited for a lock judges its WHERE by what is committed when the lock comes: fencing rests on it.
fn race(first: &mut Snowflake, second: &mut Snowflake, names: &Names, told: &mut Told<'_>) -> Result<(), SinkError> {
    let what = "an update that waited for another one's lock";
    begin(second)?;
    begin(first)?;
    if turn(first, names)? != 1 {
        return Err(SinkError::Failed(format!("{} is not at epoch 2: somebody else is trying too", names.progress())));
    }
    let started = Instant::now();
    let waiting = &mut *second;
    let (won, committed) = std::thread::scope(|scope| {
        let (sender, answer) = std::sync::mpsc::channel();
        scope.spawn(move || sender.send(turn(waiting, names)));
        let early = answer.recv_timeout(HELD);
        let committed = first.write("commit the turn", "COMMIT".to_owned(), Vec::new());
        (early.unwrap_or_else(|_| answer.recv().expect("an answer, or an error")), committed)
    });
    committed?;
    let answer = match &won {
        Ok(0) => "found nothing, as it must be".to_owned(),
        Ok(rows) => format!("found {rows} row, which had changed"),
        Err(error) => error.to_string(),
    };
    told(what, &answer, started.elapsed());
    roll_back(second).ok();
    match won {
        Ok(rows) if rows > 0 => Err(SinkError::Failed(format!("{what} {answer}: do not use this account"))),
        _ => Ok(()),
    }
}

/// With what code a wait for a lock ends.
fn lock(first: &mut Snowflake, second: &mut Snowflake, names: &Names, told: &mut Told<'_>) -> Result<(), SinkError> {
    let set = format!("ALTER SESSION SET LOCK_TIMEOUT = {LOCK_SECONDS}");
    if let Err(error) = second.write("shorten the wait for locks", set, Vec::new()) {
        told("shorten the wait for locks", &error.to_string(), Duration::ZERO);
    }
    let hold = format!(r#"UPDATE {} SET "GENERATION" = "GENERATION""#, names.progress());
    begin(first)?;
    first.write("hold the lock", hold.clone(), Vec::new())?;
    // An error is what is looked for.
    tell(told, "wait for a lock that does not come", || second.write("wait for the lock", hold, Vec::new())).ok();
    roll_back(second).ok();
    roll_back(first)
}

/// A row of the first table that has such, made and changed.
fn commit(catalogue: Catalogue, follows: u64) -> Commit {
    let is_upsert = |id: &&TableId| id.table().kind() == Kind::Upsert;
    let deltas = catalogue.tables().iter().find(is_upsert).map(|id| {
        let value = |column: &Column| match column.ty {
            Type::Integer => Value::Integer(1),
            Type::Boolean => Value::Boolean(true),
            Type::Instant => Value::Instant(0),
            Type::Money => Value::Cents(1),
            Type::Milli => Value::Milli(1),
            Type::Share => Value::Share(1),
            Type::Text => Value::Text("check".to_owned()),
            Type::Json => Value::Text("[]".to_owned()),
            Type::Bytes => Value::Bytes(Box::default()),
        };
        (*id, vec![Delta::Upsert(id.table().columns.iter().map(value).collect())].into())
    });
    Commit {
        follows,
        epoch: follows + 2,
        clock_ms: 0,
        watermarks: Watermarks::NONE,
        positions: BTreeMap::new(),
        deltas: deltas.into_iter().collect(),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}
