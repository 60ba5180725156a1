//! The commands: from what was typed to what is done.

/// Writes a line to standard output, cleaned, or returns the error: the reader may stop reading.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::shown::say(&format!($($text)*))?
    };
}

/// The same of a text that has a layout of its own, tables and commands to be typed: no line of it is broken.
macro_rules! say_as_is {
    ($($text:tt)*) => {
        $crate::shown::say_as_is(&format!($($text)*))?
    };
}

mod again;
mod ask;
mod asof;
mod awaited;
mod batch;
mod beat;
mod beside;
mod cases;
mod changed;
mod check;
mod clock;
mod damage;
mod dbt;
mod declare;
mod drop;
mod events;
mod explain;
mod feed_alone;
mod fill;
mod folder;
mod forget;
mod given;
mod history;
mod init;
mod inputs;
mod left;
mod limits;
mod meaning;
mod mixed;
mod named;
mod nearest;
pub mod outcome;
mod paths;
mod produce;
mod progress;
mod refusals;
mod replay;
mod repository;
mod rows;
mod run;
mod schema;
mod second;
mod serve;
mod show;
mod signals;
mod simulate;
mod simulate_model;
mod sinks;
mod sql;
mod state;
mod status;
mod story;
mod summary;
mod tables;
mod text;
mod to_kafka;
mod together;
mod trial;
mod unpriced;
mod verify;
mod waiting;
mod watched;
mod whole;

use crate::cli::{
    self, BatchArgs, Cli, Command, Dialect, ExplainArgs, Global, Limit, RunArgs, ShopArgs, Switch, TryArgs,
};
use crate::commit;
use crate::config::archive::Archive;
use crate::config::events::Once;
use crate::config::retention::Retention;
use crate::config::{Config, Flag, Loaded, Origin};
use crate::engine::{Lane, Options};
use crate::families::{self, all};
use crate::instant;
use crate::model;
use crate::sink::MadeBy;
use crate::sink::sqlite::Sqlite;
use anyhow::{Context, Result, bail};
use dataflows::declared::family::WithSettings;
use dataflows::family::{Configured, FamilyId};
use dataflows::shop::Settings;
use dataflows::time::WATERMARK_STEP_MS;
use outcome::{Outcome, code_of};
use paths::{Expected, Stdin, events, expand};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Something was asked that is refused: exit code 2, as for a wrong flag.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// A warehouse that is gone when its run ends: to try, and to measure.
const IN_MEMORY: &str = ":memory:";

/// Does what was typed, and says it in a line of JSON if that was asked for; the second is the exit code.
///
/// # Errors
/// If it could not be done.
pub fn execute(cli: Cli) -> (Result<Outcome>, u8) {
    let started = Instant::now();
    let (json, nothing_new, max_rejected) = (cli.global.json, cli.global.nothing_new_code, cli.global.max_rejected);
    let name = match &cli.command {
        Some(Command::Status(_)) => None,
        command => Some(name_of(command.as_ref())),
    };
    if json && name.is_some() {
        // Standard output has the one line, for a program.
        crate::shown::aside();
    }
    let done = checked(cli, max_rejected);
    let code = match &done {
        Ok(Outcome { complaint: Some((code, _)), .. }) => *code,
        Ok(Outcome { news: false, .. }) => nothing_new.unwrap_or(outcome::DONE),
        Ok(_) => outcome::DONE,
        Err(error) => code_of(error),
    };
    // `status --json` is JSON as a whole.
    if let Some(name) = name.filter(|_| json)
        && let Err(error) = crate::shown::result(&outcome::line(name, &done, code, started.elapsed()))
    {
        return (done.and(Err(error.into())), code);
    }
    (done, code)
}

/// Says in a line of JSON, if that was asked for, that what was typed was not understood.
pub fn say_not_understood(typed: &[String], told: &str) {
    let typed = typed.split(|word| word == "--").next().unwrap_or_default();
    let command = cli::named(typed).unwrap_or("run");
    if typed.iter().any(|word| word == "--json") && command != "status" {
        let refused = Err(Refused(told.to_owned()).into());
        // If nobody reads it, the exit code says it.
        crate::shown::result(&outcome::line(command, &refused, outcome::REFUSED, Duration::ZERO)).ok();
    }
}

fn name_of(command: Option<&Command>) -> &'static str {
    match command {
        None | Some(Command::Run(_)) => "run",
        Some(Command::Status(_)) => "status",
        Some(Command::Batch(_)) => "batch",
        Some(Command::Catalog { .. }) => "catalog",
        Some(Command::Simulate { .. }) => "simulate",
        Some(Command::Serve { .. }) => "serve",
        Some(Command::Show(_)) => "show",
        Some(Command::Sql(_)) => "sql",
        Some(Command::Verify { .. }) => "verify",
        Some(Command::Late(_)) => "late",
        Some(Command::Explain(_)) => "explain",
        Some(Command::Try(_)) => "try",
        Some(Command::Test(_)) => "test",
        Some(Command::Declare { .. }) => "declare",
        Some(Command::Fill(_)) => "fill",
        Some(Command::Replay(_)) => "replay",
        Some(Command::ReplayRejected { .. }) => "replay-rejected",
        Some(Command::Forget(_)) => "forget",
        Some(Command::Drop { .. }) => "drop",
        Some(Command::Check { .. }) => "check",
        Some(Command::Schema { .. }) => "schema",
        Some(Command::SnowflakeKey { .. }) => "snowflake-key",
        Some(Command::Watch { .. }) => "watch",
        Some(Command::Init { .. }) => "init",
        Some(Command::Completions { .. }) => "completions",
    }
}

fn checked(cli: Cli, max_rejected: Option<Limit>) -> Result<Outcome> {
    // Heard by nobody: a write beyond the limit (`ulimit -f`) answers then, and is waited out like a full disk.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .context("could not listen for signals")?;
    match &cli.command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut cli::command(), "deltamart", &mut script);
            say_as_is!("{}", String::from_utf8_lossy(&script).trim_end());
            return Ok(Outcome::default());
        }
        Some(Command::Init { file }) => {
            return init::init(file, cli.global.model.as_deref()).map(|()| Outcome::of(true));
        }
        Some(Command::Explain(ExplainArgs { language: true, .. })) => {
            return explain::language().map(|()| Outcome::default());
        }
        Some(Command::Declare { files, name }) => {
            if let Some(subject) = declare::may_be_subject(files) {
                let config = configure(&cli.global, &cli.shop, None, None)?.config;
                if !config.registry.url.is_empty() {
                    return declare::declare_subject(&config, subject, name.as_deref()).map(|()| Outcome::default());
                }
            }
            return declare::declare(files, name.as_deref()).map(|()| Outcome::default());
        }
        Some(Command::Fill(arguments)) => return fill::fill(arguments, cli.global.json).map(|()| Outcome::default()),
        Some(_) | None => {}
    }
    let tried = if let Some(Command::Try(tried)) = &cli.command { Some(tried) } else { None };
    let run = if let Some(Command::Run(run)) = &cli.command { Some(run) } else { None };
    let loaded = configure(&cli.global, &cli.shop, run, tried)?;
    if matches!(
        cli.command,
        None | Some(
            Command::Run { .. }
                | Command::Batch { .. }
                | Command::Catalog { .. }
                | Command::Check { .. }
                | Command::Replay(_)
                | Command::Serve { .. }
        )
    ) {
        loaded.check_places().map_err(|error| Refused(error.to_string()))?;
    }
    let config = &loaded.config;
    let simulated = match &cli.command {
        Some(Command::Simulate { .. }) => true,
        None => !config.kafka.is_given(),
        Some(Command::Run(RunArgs { files, backfill, watch, .. })) => {
            files.is_empty() && backfill.is_empty() && watch.is_none() && !config.kafka.is_given()
        }
        Some(_) => false,
    };
    if !simulated && cli.shop != ShopArgs::default() {
        let why = "`--events`, `--rate`, `--seed`, `--days` and `--start` belong to the simulated shop: `run` without files, or `simulate`";
        return Err(Refused(why.to_owned()).into());
    }
    let reads_no_warehouse = matches!(
        cli.command,
        None | Some(
            Command::Run(_)
                | Command::Check { .. }
                | Command::Simulate { .. }
                | Command::Watch { .. }
                | Command::Schema { .. }
                | Command::SnowflakeKey { .. }
                | Command::Try(_)
                | Command::Test(_)
        )
    );
    if config.warehouse == Path::new(IN_MEMORY) && !reads_no_warehouse {
        let why = format!(
            "`--warehouse {IN_MEMORY}` is gone when its run ends: there is nothing to read or to keep; name a file"
        );
        return Err(Refused(why).into());
    }
    if config.is_feed_alone()
        && let Some(refused) = cli.command.as_ref().and_then(|command| feed_alone::refused(config, command))
    {
        return Err(refused.into());
    }
    dispatch(&loaded, cli.command.unwrap_or_else(|| Command::Run(RunArgs::default())), max_rejected, cli.global.json)
}

fn dispatch(loaded: &Loaded, command: Command, max_rejected: Option<Limit>, json: bool) -> Result<Outcome> {
    let quiet = |done: Result<()>| done.map(|()| Outcome::default());
    let config = loaded.config.clone();
    match command {
        Command::Run(arguments) => {
            let company = together::company(&config, &arguments)?;
            if let Some(company) = company.as_ref().filter(|company| company.process > 0) {
                return quiet(together::follow(loaded, &arguments, company));
            }
            // Dropped at the end: what came through standard input is in it.
            let (named, begin, _stdin) = named::named(&config, &arguments)?;
            let config = Config { take_over: config.take_over || arguments.take_over, ..config };
            Ok(run::run(&config, &named, begin, company)?.limited(max_rejected, &config))
        }
        Command::Status(arguments) => status::status(&config, &arguments, json),
        Command::Batch(BatchArgs { files, catalog, as_of, another }) => {
            let stdin = Stdin::taken()?;
            let (files, whose) = events(&files, &stdin)?;
            let catalog = expand(&catalog, Expected::Catalogs, &stdin)?;
            let another = named::another_of(another, &files)?;
            let batch = batch::batch(&config, (&files, &whose), &another, &catalog, as_of.as_deref())?;
            Ok(batch.limited(max_rejected, &config))
        }
        Command::Catalog { file, as_of } => {
            let stdin = Stdin::taken()?;
            let files = expand(&[file], Expected::Catalogs, &stdin)?;
            let [file] = &files[..] else {
                return Err(Refused("`catalog` loads one file; `batch --catalog` takes several".to_owned()).into());
            };
            if config.kafka.is_given() {
                let as_of = as_of.map(|as_of| given_instant("--as-of", &as_of)).transpose()?;
                return produce::catalog(&config, file, as_of);
            }
            Ok(batch::catalog(&config, file, as_of.as_deref())?.limited(max_rejected, &config))
        }
        Command::Simulate { out, catalog, format, .. } if loaded.origin("model") == Origin::Flag("--model") => {
            if catalog.is_some() {
                let why = "`--catalog` is of the movie shop; with `--model` the events of the model are made";
                return Err(Refused(why.to_owned()).into());
            }
            simulate_model::simulate(&config, out.as_deref(), format)
        }
        Command::Simulate { format: Some(_), .. } => {
            let why = "`--format` is for the events of a model (`--model`); those of the movie shop are JSON";
            Err(Refused(why.to_owned()).into())
        }
        Command::Simulate { out: Some(out), items, .. } => simulate::simulate(&config, &out, items),
        Command::Simulate { out: None, .. } if !config.kafka.is_given() => {
            let why = "where is the shop to be written: `--out DIR`, or to Kafka, `--brokers HOST:PORT`?";
            Err(Refused(why.to_owned()).into())
        }
        Command::Simulate { out: None, catalog, .. } => produce::simulate(&config, catalog.as_deref()),
        Command::Watch { folder, to_kafka: _, to_end } => to_kafka::watch(&config, &folder, to_end),
        Command::Serve { at } => serve::serve(&config, at.as_deref()),
        Command::Show(arguments) => quiet(show::show(&config, &arguments)),
        Command::Sql(arguments) => quiet(sql::sql(&config, &arguments)),
        Command::Replay(arguments) => history::replay(&config, &arguments, max_rejected),
        Command::ReplayRejected { reason, out, dry_run } => {
            replay::replay_rejected(&config, &reason, out.as_deref(), dry_run)
        }
        Command::Verify { table } if config.is_feed_alone() => {
            verify::verify(&feed_alone::copied(&config)?.config, table.as_deref())
        }
        Command::Verify { table } => verify::verify(&config, table.as_deref()),
        Command::Late(arguments) if config.is_feed_alone() => {
            verify::late(&feed_alone::copied(&config)?.config, &arguments)
        }
        Command::Late(arguments) => verify::late(&config, &arguments),
        Command::Explain(arguments) => quiet(explain::explain(&config, &arguments)),
        Command::Try(arguments) => trial::trial(&config, &arguments),
        Command::Test(arguments) => cases::test(&config, &arguments),
        Command::Forget(arguments) => forget::forget(&config, &arguments),
        Command::Drop { table } => drop::drop(&config, table.as_deref()),
        Command::Check { all, deep } => {
            check::check(loaded, all)?;
            quiet(if deep { schema::snowflake_deep(&config) } else { Ok(()) })
        }
        Command::Schema { events: 1.., .. } => quiet(events::events(config.rules.shop.naming)),
        Command::Schema { dialect: Dialect::Dbt, models: Some(folder), .. } => quiet(schema::dbt(&config, &folder)),
        Command::Schema { models: Some(_), .. } => {
            Err(Refused("`schema --out` writes the models of dbt: give `--for dbt` too".to_owned()).into())
        }
        Command::Schema { dialect, models: None, .. } => quiet(schema::schema(&config, dialect)),
        Command::SnowflakeKey { out } => quiet(schema::snowflake_key(&config, &out)),
        // Done before the configuration was read: they need none.
        Command::Completions { .. } | Command::Init { .. } | Command::Declare { .. } | Command::Fill(_) => {
            Ok(Outcome::default())
        }
    }
}

/// The configuration, flags over everything. What is tried is alone: one worker computes one table.
fn configure(global: &Global, shop: &ShopArgs, run: Option<&RunArgs>, tried: Option<&TryArgs>) -> Result<Loaded> {
    let mut flags = Vec::new();
    let mut number = |flag, key, number: Option<u64>| {
        flags.extend(number.map(|number| Flag { flag, key, value: number.to_string() }));
    };
    number("--workers", "workers", global.workers.map(|workers| workers as u64));
    number("--events", "simulate.events", shop.events);
    number("--rate", "simulate.rate", shop.rate);
    number("--seed", "simulate.seed", shop.seed);
    number("--days", "simulate.days", shop.days.map(u64::from));
    let (processes, process) = run.map_or((None, None), |run| (run.processes, run.process));
    number("-n", "cluster.processes", processes.map(|processes| processes as u64));
    number("-p", "cluster.process", process.map(|process| process as u64));
    if let Some(warehouse) = &global.warehouse {
        let Some(warehouse) = warehouse.to_str() else {
            let why = "`--warehouse`: the name is not UTF-8, and the state beside it, and what is written about it, need \
                       one that is";
            return Err(Refused(why.to_owned()).into());
        };
        flags.push(Flag::text("--warehouse", "warehouse", warehouse));
    }
    for (flag, key, text) in [
        ("--brokers", "kafka.brokers", &global.brokers),
        ("--registry", "registry.url", &global.registry),
        ("--start", "simulate.start", &shop.start),
    ] {
        flags.extend(text.as_ref().map(|text| Flag::text(flag, key, text)));
    }
    flags.extend(global.serve.as_ref().map(|at| Flag::text("--serve", "serve.address", at)));
    if let Some(raw) = global.raw {
        flags.push(Flag { flag: "--raw", key: "raw", value: (raw == Switch::On).to_string() });
    }
    if global.accept_rejects {
        flags.push(Flag { flag: "--accept-rejects", key: "accept_rejects", value: true.to_string() });
    }
    flags.extend(global.model.as_ref().map(|model| Flag::text("--model", "model", &model.to_string_lossy())));
    if let Some(TryArgs { metric, .. }) = tried {
        let tables = toml::Value::from(vec![trial::name_of(metric)?]).to_string();
        flags.extend(
            [("tables", tables), ("workers", "1".to_owned()), ("raw", "true".to_owned())].map(|(key, value)| Flag {
                flag: "try",
                key,
                value,
            }),
        );
    }
    let file = tried.map(|tried| tried.metric.as_path());
    let loaded = Config::load_to_try(global.config.as_deref(), &global.sets, &flags, file);
    Ok(loaded.map_err(|error| Refused(error.to_string()))?)
}

fn given_instant(flag: &str, text: &str) -> Result<i64> {
    let why = || Refused(format!("`{flag} {text}`: expected an instant such as 2026-01-05 or 2026-01-05T10:00:00Z"));
    Ok(instant::parse(text).ok_or_else(why)?)
}

/// What the dataflow is told. `batch` knows no lateness, whatever is configured.
fn settings(config: &Config, made_by: MadeBy) -> Settings {
    let limited = |limit: Option<i64>| limit.filter(|_| made_by != MadeBy::Batch);
    Settings {
        lane: dataflows::Settings {
            out_of_orderness_ms: config.out_of_orderness,
            watermark_step_ms: WATERMARK_STEP_MS,
            lateness_ms: limited(config.lateness),
            whole_input: made_by == MadeBy::Batch,
            tables: config.kept_tables().expect("checked when it was read"),
            raw: config.raw,
            clean: made_by != MadeBy::Batch && tells_clean_events(config),
            ..Default::default()
        },
        catalog_lateness_ms: limited(config.catalog_lateness),
        session_timeout_ms: (config.session_timeout > 0).then_some(config.session_timeout),
        cart_ttl_ms: config.cart_ttl,
        price_backfill_ms: config.price_backfill,
        segments: config.segments.thresholds(),
        once: config.events.once == Once::Everything,
    }
}

/// Whether anybody takes clean events.
fn tells_clean_events(config: &Config) -> bool {
    config.clean.is_given() || (config.publish.is_given() && !config.publish.clean.is_empty())
}

/// The families, with their settings.
fn families(config: &Config, made_by: MadeBy) -> Vec<Arc<dyn Configured>> {
    let shop = settings(config, made_by);
    let declared =
        families::declared().iter().map(|model::load::Loaded { family, events, .. }| -> Arc<dyn Configured> {
            let limited = |limit: Option<i64>| limit.filter(|_| made_by != MadeBy::Batch);
            let lane = dataflows::Settings {
                lateness_ms: limited(events.lateness_ms.unwrap_or(config.lateness)),
                out_of_orderness_ms: events.out_of_orderness_ms.unwrap_or(config.out_of_orderness),
                ..shop.lane.clone()
            };
            Arc::new(WithSettings { family, lane })
        });
    let declared: Vec<_> = declared.collect();
    std::iter::once(Arc::new(shop.clone()) as Arc<dyn Configured>).chain(declared).collect()
}

/// For how long a partition of a family is waited for that has nothing new, in milliseconds.
fn idle_timeout_ms(config: &Config, family: FamilyId) -> i64 {
    let declared = families::declared().iter().find(|loaded| FamilyId(loaded.family) == family);
    declared.and_then(|loaded| loaded.events.idle_timeout_ms).unwrap_or(config.idle_timeout)
}

/// The engine's options.
fn options(config: &Config, made_by: MadeBy) -> Options {
    let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    Options {
        workers: config.workers,
        epoch_interval: duration(config.epoch_interval),
        epoch_events: config.epoch_events,
        epoch_bytes: config.pending_bytes,
        epochs_in_flight: config.epochs_in_flight,
        commit: commit::Options {
            commit_interval: duration(config.commit_interval),
            journal_interval: duration(config.journal_interval),
            pending_bytes: config.pending_bytes,
            stop_grace: Duration::from_secs(10),
            catalogue: all(),
            // What a batch writes is a function of its files: done again it would put back what was removed.
            retention: if made_by != MadeBy::Batch { config.retention.clone() } else { Retention::default() },
            // What a batch reads comes from no hour.
            quality: (made_by != MadeBy::Batch).then(|| config.quality.clone()),
        },
        lanes: families(config, made_by)
            .into_iter()
            .map(|family| Lane { idle_timeout_ms: idle_timeout_ms(config, family.family()), family })
            .collect(),
        rules: config.rules.clone(),
        archive: if made_by == MadeBy::Batch { Archive::default() } else { config.archive.clone() },
        clock: Arc::new(instant::now),
        as_bytes: false,
        take_state: false,
        snapshot_interval: duration(config.snapshot_interval),
        turns: Default::default(),
    }
}

/// A flag that SIGTERM and Ctrl-C set: finish the epoch, commit, end well. A second signal ends at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        signal_hook::flag::register_conditional_shutdown(*signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(*signal, Arc::clone(&stop)))
            .context("could not listen for signals")?;
    }
    Ok(stop)
}

/// Opens the warehouse to read it.
fn open_to_read(config: &Config) -> Result<Sqlite> {
    Ok(Sqlite::open_to_read(all(), &config.warehouse)?)
}

/// Opens the warehouse; makes its folder plain if it is missing. Another process that holds the file is waited for, about a minute.
fn open_warehouse(config: &Config) -> Result<Sqlite> {
    check_folder(config)?;
    Ok(waiting::patiently(|| Sqlite::open(all(), &config.warehouse))?)
}

/// Whether there is a folder for the warehouse.
fn check_folder(config: &Config) -> Result<()> {
    if let Some(folder) = config.warehouse.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
    {
        bail!(
            "could not make warehouse `{}`: folder `{}` does not exist",
            config.warehouse.display(),
            folder.display()
        );
    }
    Ok(())
}
