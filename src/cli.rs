//! What was typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Exact shop metrics, kept by incremental dataflow; only the changed rows are written.
///
/// Without a subcommand: `run`, on a simulated shop, into an embedded warehouse.
#[derive(Debug, Parser)]
#[command(name = "deltamart", version, max_term_width = 100)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The simulated shop.
    #[command(flatten)]
    pub shop: ShopArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What holds for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Threads that compute
    #[arg(short, long, global = true, value_name = "N")]
    pub workers: Option<usize>,
    /// A TOML file with settings [default: deltamart.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, as in the file: --set lateness=24h (see `deltamart check`)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// The SQLite file that rows go to; `:memory:` for a `run` whose rows nobody keeps [default: deltamart.db]
    #[arg(long, global = true, value_name = "FILE")]
    pub warehouse: Option<PathBuf>,
    /// Kafka's brokers, `host:port` by commas: `run` reads from them, `simulate` and `catalog` write to them
    #[arg(long, global = true, value_name = "BROKERS")]
    pub brokers: Option<String>,
    /// The Schema Registry's URL
    #[arg(long, global = true, value_name = "URL")]
    pub registry: Option<String>,
    /// Whether every accepted event is kept in the raw tables too [default: on]
    #[arg(long, global = true, value_name = "WHETHER")]
    pub raw: Option<Switch>,
    /// Files none of whose first records is valid are read all the same, and their records rejected
    #[arg(long, global = true)]
    pub accept_rejects: bool,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "on is on")]
pub enum Switch {
    On,
    Off,
}

/// The simulated shop, for `run` without files and for `simulate`.
#[derive(Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "The simulated shop (run, simulate)")]
pub struct ShopArgs {
    /// How many events [default: 200000]
    #[arg(long, global = true, value_name = "N")]
    pub events: Option<u64>,
    /// Events a second; 0 is as fast as they are taken [default: 20000]
    #[arg(long, global = true, value_name = "N")]
    pub rate: Option<u64>,
    /// The same seed makes the same events [default: 1]
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// How many days of event time they span [default: 3]
    #[arg(long, global = true, value_name = "N")]
    pub days: Option<u32>,
    /// When the first day begins, ISO 8601 [default: 2026-01-05]
    #[arg(long, global = true, value_name = "INSTANT")]
    pub start: Option<String>,
}

/// What `status` is to say.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// First wait until the warehouse has come to an epoch, or a position such as `events.jsonl/0=1000`
    #[arg(long, value_name = "WHAT")]
    pub wait_for: Option<String>,
    /// How many seconds to wait at the most
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read events as they come: from files as if they were live, or from a simulated shop
    Run {
        /// Files of JSON lines (`.gz` too), in order; without any, a simulated shop
        files: Vec<PathBuf>,
        /// A catalog to begin with (for the simulated shop: to sell) [default: the shipped sample]
        #[arg(long, value_name = "FILE")]
        catalog: Vec<PathBuf>,
        /// As of when its versions are, ISO 8601 [default: just before the first event of the files]
        #[arg(long, value_name = "INSTANT", requires = "catalog")]
        as_of: Option<String>,
        /// Compute everything again from the first record, and write the rows that differ
        #[arg(long)]
        rebuild: bool,
        /// With `--rebuild`: what was read from sources that are not given any more may go; without, of Kafka: what was
        /// deleted before it was read is passed, and written down (`status`)
        #[arg(long)]
        accept_loss: bool,
        /// Go on although the clock is behind that of the last run
        #[arg(long)]
        accept_clock: bool,
        /// Begin although another run may be under way: whatever starts this knows that it is gone, or is to end
        #[arg(long)]
        take_over: bool,
        /// With `--brokers`: files hold what happened before `--until`, Kafka what happened since
        #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "files")]
        backfill: Vec<PathBuf>,
        /// With `--backfill`: the instant at which Kafka takes over, ISO 8601
        #[arg(long, value_name = "INSTANT", requires = "backfill")]
        until: Option<String>,
        /// With `--brokers`: end where the topics end now, instead of going on
        #[arg(long)]
        to_end: bool,
        /// Of the files: this one is another log, though it begins like one that was read
        #[arg(long, value_name = "FILE")]
        another: Vec<PathBuf>,
    },
    /// How far a `run` has come: journal, snapshot, warehouse, what is in memory
    Status(StatusArgs),
    /// Compute everything from whole files; on a second run only rows that differ are written
    Batch {
        /// Files of JSON lines (`.gz` too)
        files: Vec<PathBuf>,
        /// Catalog files in the form of `Movies.txt` (`.gz` too)
        #[arg(long, value_name = "FILE")]
        catalog: Vec<PathBuf>,
        /// As of when its versions are, ISO 8601 [default: just before the first event of the files, else now]
        #[arg(long, value_name = "INSTANT")]
        as_of: Option<String>,
        /// Of the files: this one is another log, though it begins like another one
        #[arg(long, value_name = "FILE")]
        another: Vec<PathBuf>,
    },
    /// Load a catalog in the form of `Movies.txt`: into the warehouse, or with `--brokers` into Kafka
    Catalog {
        /// The file (`.gz` too)
        file: PathBuf,
        /// As of when its versions are, ISO 8601 [default: now]
        #[arg(long, value_name = "INSTANT")]
        as_of: Option<String>,
    },
    /// Write a simulated shop, a catalog and its events: to files, or with `--brokers` to Kafka
    Simulate {
        /// The folder for `Movies.txt` and `events.jsonl`
        #[arg(long, value_name = "DIR", conflicts_with = "brokers")]
        out: Option<PathBuf>,
        /// How many items the catalog in the folder has
        #[arg(long, value_name = "N", default_value_t = 300)]
        items: usize,
        /// With `--brokers`: the catalog to sell [default: the shipped sample]
        #[arg(long, value_name = "FILE", conflicts_with = "out")]
        catalog: Option<PathBuf>,
    },
    /// Show the rows of a table, or all tables
    Show {
        /// The table; without it, all tables and how many rows they have
        table: Option<String>,
        /// How many rows
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// The last rows by key, not the first
        #[arg(long)]
        last: bool,
    },
    /// Compute every metric by its SQL from the stored raw events, and compare with the tables
    Verify,
    /// Send rejected records through again, each once: to their topics (`--brokers`), lines of files into a file
    ReplayRejected {
        /// Only those of this reason, as in `rejected_events.reason`; may be given more than once
        #[arg(long, value_name = "REASON")]
        reason: Vec<String>,
        /// Where lines of files go, to be given to `run`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Say what there is, and what of it would pass now; send nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a user from every table, file and topic we write, and from the state; says what still holds the user
    Forget {
        /// Who
        user_id: u64,
    },
    /// Check the configuration, the warehouse, Kafka and the registry, and show all settings
    Check {
        /// Also try Snowflake's locks, sessions and grants, in schemas `DELTAMART_CHECK_..` that are dropped again
        #[arg(long)]
        deep: bool,
    },
    /// Write a file of all settings, each with its meaning and commented out, to begin with
    Init {
        /// The file, which must not be there yet
        #[arg(value_name = "FILE", default_value = "deltamart.toml")]
        file: PathBuf,
    },
    /// Print the statements that make the tables
    Schema {
        /// For which warehouse; for Snowflake also the roles, and what is granted to them
        #[arg(long = "for", value_name = "WAREHOUSE", value_enum, default_value_t = Dialect::Sqlite)]
        dialect: Dialect,
    },
    /// Make the key that Snowflake knows us by, and print the statement that registers it
    SnowflakeKey {
        /// The file, which must not be there yet
        #[arg(long, value_name = "FILE", default_value = "snowflake_key.p8")]
        out: PathBuf,
    },
}

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "as they are called")]
pub enum Dialect {
    Sqlite,
    Snowflake,
}
