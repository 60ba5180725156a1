//! The commands: from what was typed to what is done.

/// Writes a line to standard output, cleaned, or returns the error: whoever reads may stop reading.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::shown::say(&format!($($text)*))?
    };
}

mod again;
mod asof;
mod batch;
mod beat;
mod beside;
mod check;
mod clock;
mod damage;
mod forget;
mod given;
mod init;
mod inputs;
mod named;
mod produce;
mod progress;
mod replay;
mod run;
mod schema;
mod second;
mod show;
mod signals;
mod simulate;
mod sinks;
mod state;
mod text;
mod unpriced;
mod verify;
mod waiting;

use crate::cli::{Cli, Command, Global, ShopArgs, Switch};
use crate::commit;
use crate::config::retention::Retention;
use crate::config::{Config, Flag, Loaded};
use crate::engine::{Lane, Options};
use crate::families::all;
use crate::instant;
use crate::sink::MadeBy;
use crate::sink::sqlite::Sqlite;
use anyhow::{Context, Result, bail};
use dataflows::family::Configured;
use dataflows::shop::Settings;
use dataflows::time::WATERMARK_STEP_MS;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Something was asked that is refused: exit code 2, as for a wrong flag.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// A warehouse that is gone when its run ends: to try, and to measure.
const IN_MEMORY: &str = ":memory:";

/// Does what was typed.
///
/// # Errors
/// If it could not be done.
pub fn execute(cli: Cli) -> Result<()> {
    // Heard by nobody: a write beyond the limit (`ulimit -f`) answers then, and is waited out like a full disk.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .context("could not listen for signals")?;
    if let Some(Command::Init { file }) = &cli.command {
        return init::init(file);
    }
    let loaded = configure(&cli.global, &cli.shop)?;
    if matches!(
        cli.command,
        None | Some(Command::Run { .. } | Command::Batch { .. } | Command::Catalog { .. } | Command::Check { .. })
    ) {
        loaded.check_places().map_err(|error| Refused(error.to_string()))?;
    }
    let config = loaded.config.clone();
    let simulated = match &cli.command {
        Some(Command::Simulate { .. }) => true,
        None => !config.kafka.is_given(),
        Some(Command::Run { files, .. }) => files.is_empty() && !config.kafka.is_given(),
        Some(_) => false,
    };
    if !simulated && cli.shop != ShopArgs::default() {
        let why = "`--events`, `--rate`, `--seed`, `--days` and `--start` belong to the simulated shop: `run` without files, or `simulate`";
        return Err(Refused(why.to_owned()).into());
    }
    let runs = matches!(
        cli.command,
        None | Some(
            Command::Run { .. }
                | Command::Check { .. }
                | Command::Simulate { .. }
                | Command::Schema { .. }
                | Command::SnowflakeKey { .. }
        )
    );
    if config.warehouse == Path::new(IN_MEMORY) && !runs {
        let why = format!(
            "`--warehouse {IN_MEMORY}` is gone when its run ends: there is nothing to read or to keep; name a file"
        );
        return Err(Refused(why).into());
    }
    match cli.command.unwrap_or(Command::Run {
        files: Vec::new(),
        catalog: Vec::new(),
        as_of: None,
        rebuild: false,
        accept_loss: false,
        accept_clock: false,
        take_over: false,
        backfill: Vec::new(),
        until: None,
        to_end: false,
        another: Vec::new(),
    }) {
        Command::Run { accept_loss: true, rebuild: false, .. } if !config.kafka.is_given() => {
            Err(Refused("`--accept-loss` belongs to `--rebuild`, or to Kafka (`--brokers`)".to_owned()).into())
        }
        Command::Run {
            files,
            catalog,
            as_of,
            rebuild,
            accept_loss,
            accept_clock,
            take_over,
            backfill,
            until,
            to_end,
            another,
        } => {
            let begin = if rebuild {
                named::Begin::Again { accept_loss }
            } else {
                named::Begin::GoOn { accept_clock, accept_loss }
            };
            let as_of = as_of.map(|as_of| given_instant("--as-of", &as_of)).transpose()?;
            let named = named(&config, files, catalog, backfill, until.as_deref(), to_end || rebuild)?;
            let named = named::Named { as_of, another: another_of(another, &named.files)?, ..named };
            if as_of.is_some() && named.files.is_empty() {
                let why = "the simulated shop's catalog is as of just before its first day (`--start`); `--as-of` is for \
                           catalogs that are given with files";
                return Err(Refused(why.to_owned()).into());
            }
            let config = Config { take_over: config.take_over || take_over, ..config };
            run::run(&config, &named, begin)
        }
        Command::Status(arguments) => state::status(&config, &arguments),
        Command::Batch { files, catalog, as_of, another } => {
            let another = another_of(another, &files)?;
            batch::batch(&config, &files, &another, &catalog, as_of.as_deref())
        }
        Command::Catalog { file, as_of } if config.kafka.is_given() => {
            let as_of = as_of.map(|as_of| given_instant("--as-of", &as_of)).transpose()?;
            produce::catalog(&config, &file, as_of)
        }
        Command::Catalog { file, as_of } => batch::catalog(&config, &file, as_of.as_deref()),
        Command::Simulate { out: Some(out), items, .. } => simulate::simulate(&config, &out, items),
        Command::Simulate { out: None, .. } if !config.kafka.is_given() => {
            let why = "where is the shop to be written: `--out DIR`, or to Kafka, `--brokers HOST:PORT`?";
            Err(Refused(why.to_owned()).into())
        }
        Command::Simulate { out: None, catalog, .. } => produce::simulate(&config, catalog.as_deref()),
        Command::Show { table: Some(table), limit, last } => show::rows(&config, &table, limit, last),
        Command::Show { table: None, .. } => show::tables(&config),
        Command::ReplayRejected { reason, out, dry_run } => {
            replay::replay_rejected(&config, &reason, out.as_deref(), dry_run)
        }
        Command::Verify => verify::verify(&config),
        Command::Forget { user_id } => forget::forget(&config, user_id),
        Command::Check { deep } => {
            check::check(&loaded)?;
            if deep { schema::snowflake_deep(&config) } else { Ok(()) }
        }
        Command::Init { file } => init::init(&file),
        Command::Schema { dialect } => schema::schema(&config, dialect),
        Command::SnowflakeKey { out } => schema::snowflake_key(&config, &out),
    }
}

/// The configuration, flags over everything.
fn configure(global: &Global, shop: &ShopArgs) -> Result<Loaded> {
    let mut flags = Vec::new();
    let mut number = |flag, key, number: Option<u64>| {
        flags.extend(number.map(|number| Flag { flag, key, value: number.to_string() }));
    };
    number("--workers", "workers", global.workers.map(|workers| workers as u64));
    number("--events", "simulate.events", shop.events);
    number("--rate", "simulate.rate", shop.rate);
    number("--seed", "simulate.seed", shop.seed);
    number("--days", "simulate.days", shop.days.map(u64::from));
    if let Some(warehouse) = &global.warehouse {
        let Some(warehouse) = warehouse.to_str() else {
            let why = "`--warehouse`: the name is no UTF-8, and the state beside it, and what is written about it, need \
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
    if let Some(raw) = global.raw {
        flags.push(Flag { flag: "--raw", key: "raw", value: (raw == Switch::On).to_string() });
    }
    if global.accept_rejects {
        flags.push(Flag { flag: "--accept-rejects", key: "accept_rejects", value: true.to_string() });
    }
    let loaded = Config::load(global.config.as_deref(), &global.sets, &flags);
    Ok(loaded.map_err(|error| Refused(error.to_string()))?)
}

fn given_instant(flag: &str, text: &str) -> Result<i64> {
    let why = || Refused(format!("`{flag} {text}`: expected an instant such as 2026-01-05 or 2026-01-05T10:00:00Z"));
    Ok(instant::parse(text).ok_or_else(why)?)
}

/// The files that `--another` says are other sources: of those that are given.
fn another_of(another: Vec<PathBuf>, files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    match another.iter().find(|another| !files.contains(another)) {
        Some(unknown) => {
            let unknown = unknown.display();
            Err(Refused(format!("`--another {unknown}`: there is no such file among those given to be read")).into())
        }
        None => Ok(another),
    }
}

/// What a run reads, if it fits together.
fn named(
    config: &Config,
    files: Vec<PathBuf>,
    catalogs: Vec<PathBuf>,
    backfill: Vec<PathBuf>,
    until: Option<&str>,
    to_end: bool,
) -> Result<named::Named> {
    let refuse = |why: &str| Err(Refused(why.to_owned()).into());
    let from_kafka = config.kafka.is_given();
    if from_kafka && !files.is_empty() {
        return refuse(
            "files and Kafka (`--brokers`) are both given: for history from files and Kafka from there on, \
             `run --brokers ... --backfill FILES --until INSTANT`",
        );
    }
    if !from_kafka && !backfill.is_empty() {
        return refuse("`--backfill` is what happened before Kafka takes over: name it (`--brokers`)");
    }
    let backfill_until = match (backfill.is_empty(), until) {
        (true, _) => None,
        (false, Some(until)) => Some(given_instant("--until", until)?),
        (false, None) => return refuse("`--backfill` needs `--until INSTANT`: from then on, events come from Kafka"),
    };
    if from_kafka && backfill.is_empty() && !catalogs.is_empty() {
        return refuse("a catalog for Kafka is sent there first: `catalog Movies.txt --brokers ...`");
    }
    let files = if backfill.is_empty() { files } else { backfill };
    Ok(named::Named { files, catalogs, as_of: None, another: Vec::new(), backfill_until, to_end })
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
            forget: true,
        },
        catalog_lateness_ms: limited(config.catalog_lateness),
        session_timeout_ms: (config.session_timeout > 0).then_some(config.session_timeout),
        cart_ttl_ms: config.cart_ttl,
        price_backfill_ms: config.price_backfill,
        segments: config.segments.thresholds(),
    }
}

/// The families, with their settings.
fn families(config: &Config, made_by: MadeBy) -> Vec<Arc<dyn Configured>> {
    vec![Arc::new(settings(config, made_by))]
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
        },
        lanes: families(config, made_by)
            .into_iter()
            .map(|family| Lane { family, idle_timeout_ms: config.idle_timeout })
            .collect(),
        rules: config.rules.clone(),
        clock: Arc::new(instant::now),
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

/// Opens the warehouse; makes its folder plain if it is missing. Whoever holds the file is waited for, about a minute.
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
