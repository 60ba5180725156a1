//! Where there is no SQLite file (`warehouse = "none"`) the Parquet feed is the first sink. Most commands ask SQLite: of
//! them some compute over a copy of the feed that is gone afterwards, and the others say what to do instead.

use super::Refused;
use super::beside::Beside;
use super::text::{program, word};
use crate::cli::Command;
use crate::config::Config;
use crate::families::all;
use crate::instant;
use crate::reconcile::{Differ, reconcile};
use crate::sink::parquet::Parquet;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::quality::OfHour;
use crate::sink::{Claim, Sink, Stored};
use anyhow::{Context, Result};
use dataflows::Time;
use dataflows::quality::{Counts, QUALITY};
use dataflows::raw::LATE_EVENTS;
use dataflows::table::Value;

const HOUR_MS: i64 = 3_600_000;

/// Why a command is refused where the feed is alone, if it is.
pub(super) fn refused(config: &Config, command: &Command) -> Option<Refused> {
    let feed = word(&config.first_place());
    let views = word(&format!("{}/views.sql", config.first_place()));
    let no_sqlite = "`warehouse` is `none`, so there is no SQLite file";
    let way = match command {
        Command::Show(_) | Command::Sql(_) | Command::Serve { .. } => {
            format!("ask the feed, with DuckDB:  duckdb -init {views}")
        }
        Command::Batch(_) => {
            let program = program();
            format!("`batch` writes one, and the feed beside it: name it,  {program} batch ... --warehouse FILE")
        }
        Command::Catalog { .. } if config.kafka.is_given() => return None,
        Command::Catalog { .. } => {
            "give the catalog to the run that reads the events:  run FILES --catalog FILE".to_owned()
        }
        Command::Replay(_) => "`replay` keeps beside it how far it is: name one with `--warehouse FILE`".to_owned(),
        Command::ReplayRejected { .. } => {
            format!(
                "take the records from `rejected_events` of feed {feed}, column `raw`, and send them to the source again"
            )
        }
        Command::Drop { .. } => format!("remove the folder of the table from feed {feed} while no run writes"),
        Command::Run(_)
        | Command::Status(_)
        | Command::Simulate { .. }
        | Command::Verify { .. }
        | Command::Late(_)
        | Command::Explain(_)
        | Command::Try(_)
        | Command::Test(_)
        | Command::Declare { .. }
        | Command::Fill(_)
        | Command::Forget(_)
        | Command::Check { .. }
        | Command::Schema { .. }
        | Command::SnowflakeKey { .. }
        | Command::Watch { .. }
        | Command::Init { .. }
        | Command::Completions { .. } => return None,
    };
    Some(Refused(format!("{no_sqlite}; {way}")))
}

/// Why everything is not computed again.
pub(super) fn refused_rebuild(config: &Config) -> Refused {
    let feed = config.first_place();
    Refused(format!(
        "`--rebuild` computes into a SQLite file and compares, and `warehouse` is `none`; begin anew beside feed `{feed}`, and \
         point its readers there:  {} run ... --warehouse none --set feed.path=NEXT --set state_dir=NEXT.state",
        program()
    ))
}

/// Why a feed that has rows is not gone on with.
pub(super) fn without_state(config: &Config, epoch: Time) -> Refused {
    let (feed, place) = (config.first_place(), config.state_place());
    Refused(format!(
        "feed `{feed}` is at epoch {epoch}, and there is no state in `{place}` to go on from; put it back, name it with \
         `state_dir`, or begin a new feed (`feed.path`)"
    ))
}

/// A copy of the feed in a file of SQLite, as of one commit; it is gone when this is dropped.
pub(super) struct Copied {
    /// As the configuration would be if it were the warehouse.
    pub config: Config,
    _beside: Beside,
}

/// Copies the feed, to be read by SQL.
///
/// # Errors
/// If nobody has written to it, rows are gone that the SQL of metrics reads, or it cannot be read or written.
pub(super) fn copied(config: &Config) -> Result<Copied> {
    let place = config.first_place();
    let mut feed = Parquet::open_to_read(all(), &config.feed)?.pinned();
    let found = feed.position()?.with_context(|| format!("no pipeline has claimed feed `{place}`"))?;
    refuse_what_is_gone(&place, &mut feed)?;
    let at = std::env::temp_dir().join(format!("deltamart-{}", std::process::id()));
    let beside = Beside::new(&at, 1);
    let mut copy = Sqlite::open(all(), beside.path())?;
    let claim = Claim { pipeline_id: found.pipeline_id, generation: found.generation };
    let claim = copy.claim(found.made_by, Some(&claim))?;
    if found.epoch > 0 {
        reconcile(&mut feed, &mut copy, &claim, Differ::InAnything, |_| found.epoch)?;
    }
    let config = Config { warehouse: beside.path().to_owned(), state_dir: config.state_place(), ..config.clone() };
    Ok(Copied { config, _beside: beside })
}

/// What SQL does not find any more it would take for what never was.
fn refuse_what_is_gone(place: &str, feed: &mut Parquet) -> Result<()> {
    let mut why = feed.lacks_somebody()?.then(|| "raw rows of users who were forgotten were deleted".to_owned());
    for id in all().raw().chain([LATE_EVENTS]) {
        if feed.whole_since(id)?.is_some() {
            why = Some(format!("old rows of `{}` were removed, as `[retention]` says", id.name()));
        }
    }
    match why {
        Some(why) => Err(Refused(format!(
            "feed `{place}` cannot be verified: {why}, and the metrics were computed from them too; verify a feed that keeps \
             them (`retention.raw` and `retention.late` are `keep`)"
        ))
        .into()),
        None => Ok(()),
    }
}

/// The rows of `quality` of the newest hour of all, and those of the hour before it.
///
/// # Errors
/// If the feed cannot be read.
pub(super) fn last_hours(config: &Config) -> Result<Vec<OfHour>> {
    let mut feed = Parquet::open_to_read(all(), &config.feed)?.pinned();
    let rows = feed.page(QUALITY, None, usize::MAX)?;
    let hour_of = |row: &[Value]| if let Some(Value::Instant(hour)) = row.get(1) { *hour } else { 0 };
    let newest = rows.iter().map(|row| hour_of(row)).max().unwrap_or_default();
    let count = |row: &[Value], place: usize| match row.get(place) {
        Some(Value::Integer(count)) => count.unsigned_abs(),
        Some(_) | None => 0,
    };
    let young = rows.iter().filter(|row| hour_of(row) >= newest - HOUR_MS);
    Ok(young
        .map(|row| OfHour {
            topic: if let Some(Value::Text(topic)) = row.first() { topic.clone() } else { String::new() },
            hour: instant::show(hour_of(row)),
            counts: Counts { accepted: count(row, 2), rejected: count(row, 3), late: count(row, 4) },
        })
        .collect())
}
