//! What was typed: the commands, and which flags each of them takes.

mod limit;
mod taken;
mod wrong;

pub use limit::{Limit, TooMany};
pub use taken::{command, named, parse};
pub use wrong::told;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// Computes exact metrics of a shop from its events, and writes only the rows that changed.
///
/// Without a command it is `run`, on a simulated shop, into a SQLite file.
#[derive(Debug, Parser)]
#[command(name = "deltamart", version, max_term_width = 100)]
pub struct Cli {
    /// Flags that several commands take.
    #[command(flatten)]
    pub global: Global,
    /// The simulated shop.
    #[command(flatten)]
    pub shop: ShopArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that several commands take: the table of commands says which.
#[derive(Debug, Args)]
#[command(next_help_heading = "Flags of several commands")]
pub struct Global {
    /// Number of computing threads
    #[arg(short, long, global = true, value_name = "N")]
    pub workers: Option<usize>,
    /// A TOML file with settings [default: deltamart.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, as in the file: --set lateness=24h (see `deltamart check`)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Events and metrics of your own: a folder, or `store` or `media`, which come with deltamart [default: model]
    #[arg(long, global = true, value_name = "FOLDER|NAME")]
    pub model: Option<PathBuf>,
    /// The SQLite file that rows go to; `:memory:` keeps the rows in memory only, for `run` [default: deltamart.db]
    #[arg(long, global = true, value_name = "FILE")]
    pub warehouse: Option<PathBuf>,
    /// Kafka's brokers, `host:port`, separated by commas: `run` reads from them, `simulate` and `catalog` write to them
    #[arg(long, global = true, value_name = "BROKERS")]
    pub brokers: Option<String>,
    /// The Schema Registry's URL
    #[arg(long, global = true, value_name = "URL")]
    pub registry: Option<String>,
    /// Whether raw tables keep every accepted event [default: on]
    #[arg(long, global = true, value_name = "on|off", hide_possible_values = true)]
    pub raw: Option<Switch>,
    /// Read a file although none of its first records is valid; its records are rejected
    #[arg(long, global = true)]
    pub accept_rejects: bool,
    /// End with exit code 3 if more records are rejected: a number, or a share such as 1%
    #[arg(long, global = true, value_name = "N|P%")]
    pub max_rejected: Option<Limit>,
    /// Where the page, the API and the metrics are served: an address such as 127.0.0.1:9000, or `off` [default: 127.0.0.1:8080
    /// or the next free port]
    #[arg(long, global = true, value_name = "ADDR|off")]
    pub serve: Option<String>,
    /// Print the result as one line of JSON on standard output; the text for people goes to standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// End with this exit code, not 0, if nothing was new
    #[arg(long, global = true, value_name = "CODE", value_parser = clap::value_parser!(u8).range(1..=255))]
    pub nothing_new_code: Option<u8>,
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
#[command(next_help_heading = "The simulated shop")]
pub struct ShopArgs {
    /// How many events [default: 200000]
    #[arg(long, global = true, value_name = "N")]
    pub events: Option<u64>,
    /// Events a second; 0 means as fast as they are read [default: 20000]
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

/// A section of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[allow(missing_docs, reason = "they are called what they are of")]
pub enum Subject {
    Run,
    Sources,
    Watermark,
    Sinks,
    Quality,
    Tables,
    State,
    Memory,
    Workers,
}

/// What `status` is to say.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Sections to be shown whole; those in which something is wrong are anyway
    #[arg(value_name = "SECTION")]
    pub subjects: Vec<Subject>,
    /// Show all sections whole
    #[arg(long)]
    pub all: bool,
    /// First wait until the warehouse has come to an epoch, or a position such as `events.jsonl/0=1000`, or to several,
    /// separated by commas
    #[arg(long, value_name = "WHAT")]
    pub wait_for: Option<String>,
    /// How many seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// End with exit code 4 if a record that was read and not committed has waited longer, such as 30s
    #[arg(long, value_name = "DURATION")]
    pub max_freshness: Option<String>,
    /// End with exit code 4 if the run has ended, or has not reported for longer than this
    #[arg(long, value_name = "DURATION")]
    pub max_unheard: Option<String>,
}

/// What `run` is to read, and how it begins.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// Files of JSON lines (`.gz` too), folders of them, or patterns such as 'logs/*.jsonl'; without any, a simulated shop
    pub files: Vec<PathBuf>,
    /// A folder: read the files that are dropped there, each once, and put them into folders in it (`FAMILY=FOLDER` says of
    /// which family all of them are)
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["files", "backfill", "another"])]
    pub watch: Option<PathBuf>,
    /// Read the one file that is given on and on, as somebody writes it; when it was renamed and another one has its name, that
    /// one too
    #[arg(long, requires = "files", conflicts_with_all = ["rebuild", "backfill"])]
    pub follow: bool,
    /// A catalog file; the simulated shop sells its items [default: the shipped sample]
    #[arg(long, value_name = "FILE")]
    pub catalog: Vec<PathBuf>,
    /// Time from which the catalog's prices are valid, ISO 8601 [default: just before the first event of the files]
    #[arg(long, value_name = "INSTANT", requires = "catalog")]
    pub as_of: Option<String>,
    /// Compute in so many processes, each of which is started with the same settings and with its own `-p` [default: 1]
    #[arg(short = 'n', long, value_name = "N")]
    pub processes: Option<usize>,
    /// Which of the processes this one is: 0 reads and writes, the others compute with it [default: 0]
    #[arg(short = 'p', long, value_name = "P")]
    pub process: Option<usize>,
    /// Where the processes are: a file of `host:port`, a line each [default: this machine, ports from 2101 on]
    #[arg(long, value_name = "FILE")]
    pub hostfile: Option<PathBuf>,
    /// Compute everything again from the first record, and write the rows that differ
    #[arg(long)]
    pub rebuild: bool,
    /// Go on although Kafka deleted records before they were read; `status` names them. With `--rebuild`: also without
    /// sources that were read before
    #[arg(long)]
    pub accept_loss: bool,
    /// Go on although this machine's clock is behind that of the last run
    #[arg(long)]
    pub accept_clock: bool,
    /// Of a table that changed, keep rows that raw rows cannot tell any more (`[retention]`), as they were
    #[arg(long)]
    pub keep_old: bool,
    /// Of a table that changed, delete such rows
    #[arg(long, conflicts_with = "keep_old")]
    pub delete_old: bool,
    /// Have a new table whose key has no time count the raw rows that are kept, where old ones were removed
    #[arg(long)]
    pub since_kept: bool,
    /// Begin although another run may be active: if you know that it has ended, or want it to end
    #[arg(long)]
    pub take_over: bool,
    /// With `--brokers`: files hold what happened before `--until`, Kafka what happened since
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "files")]
    pub backfill: Vec<PathBuf>,
    /// With `--backfill`: the instant at which Kafka takes over, ISO 8601
    #[arg(long, value_name = "INSTANT", requires = "backfill")]
    pub until: Option<String>,
    /// With `--brokers`: stop at the current end of the topics; with `--watch`: when nothing is left that can be taken
    #[arg(long)]
    pub to_end: bool,
    /// Read this file, one of those given, as a new one, although it begins like one that was read
    #[arg(long, value_name = "FILE")]
    pub another: Vec<PathBuf>,
}

/// What `replay` is to tell again.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files of JSON lines or CSV (`.gz` too), folders of them, or patterns such as 'logs/*.jsonl', in any order
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Of each day, UTC, take this many events of a family, the first ones [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub per_day: Option<u64>,
    /// Keep the distances of event time, so many times as fast: 1x, 600x [default: as fast as it goes]
    #[arg(long, value_name = "TIMES", value_parser = speed)]
    pub speed: Option<f64>,
    /// Without `--brokers`: a catalog file
    #[arg(long, value_name = "FILE")]
    pub catalog: Vec<PathBuf>,
}

/// How many times as fast: `600x`, or `600`.
fn speed(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
    let expected = || "expected how many times as fast, such as 600x".to_owned();
    number.filter(|speed| (1e-3..=1e9).contains(speed)).ok_or_else(expected)
}

/// What `batch` is to read.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// Files of JSON lines (`.gz` too), folders of them, patterns such as 'logs/*.jsonl', or `-` for standard input
    pub files: Vec<PathBuf>,
    /// Catalog files in the form of `Movies.txt` (`.gz` too)
    #[arg(long, value_name = "FILE")]
    pub catalog: Vec<PathBuf>,
    /// Time from which the catalog's prices are valid, ISO 8601 [default: just before the first event of the files,
    /// else now]
    #[arg(long, value_name = "INSTANT")]
    pub as_of: Option<String>,
    /// Read this file, one of those given, as a new one, although it begins like another one
    #[arg(long, value_name = "FILE")]
    pub another: Vec<PathBuf>,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: as wide as the terminal, with long values shortened, or with one column a line
    Table,
    /// Comma-separated values, with a line of names; null is empty
    Csv,
    /// One JSON object a line: numbers, true and false as such, instants and JSON as text
    Json,
    /// A table for GitHub
    Markdown,
}

/// How a question is answered.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// How the rows are written [default: table on a terminal, json elsewhere]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Option<Format>,
    /// How long a query may take, without printing
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub timeout: String,
}

/// What `show` shows.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The table or the view, `_progress` too; without it, all tables and how many rows they have
    pub table: Option<String>,
    /// Only rows that match this expression of SQLite: "total_sales > 100"
    #[arg(long = "where", value_name = "SQL", requires = "table", allow_hyphen_values = true)]
    pub condition: Option<String>,
    /// Sort by these columns, separated by commas; add `desc` for descending order [default: by key]
    #[arg(long, value_name = "COLUMNS", requires = "table")]
    pub order: Option<String>,
    /// How many rows at most [default: 20]
    #[arg(long, value_name = "N", requires = "table")]
    pub limit: Option<usize>,
    /// The latest rows, in ascending order: the last events by event time, the last windows by their first instant
    ///
    /// The time of a row is, in this order: of events its event time, of rejected records the clock, of late events the
    /// watermark; the time by which a table is clustered; the instant in its key; its last column with an instant; else
    /// `_updated_at`, when the row was last written. `--last` alone shows as many rows as `--limit` says.
    #[arg(long, value_name = "N", requires = "table", num_args = 0..=1, conflicts_with = "order")]
    pub last: Option<Option<usize>>,
    /// Also the columns `_epoch` and `_updated_at`, which a table on a terminal leaves out
    #[arg(long, requires = "table")]
    pub all_columns: bool,
    /// How it is answered.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// What is asked with SQL.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// One SELECT, VALUES, WITH or EXPLAIN, as SQLite understands it; `-` reads it from standard input
    #[arg(value_name = "SQL")]
    pub statement: String,
    /// How it is answered.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// What `late` is asked.
#[derive(Debug, Args)]
pub struct LateArgs {
    /// The metric
    #[arg(value_name = "NAME")]
    pub table: String,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

/// What `explain` explains.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The table: of a metric, or of events [default: the whole dataflow]
    pub name: Option<String>,
    /// Print only SQL that gives the rows of the table: what `verify` runs in SQLite; your text with what DuckDB needs for
    /// it; or a statement of Snowflake over the raw table there
    #[arg(long, value_name = "DATABASE", value_enum, requires = "name")]
    pub sql: Option<SqlOf>,
    /// What a metric in `model/NAME.sql` can have, on one page
    #[arg(long, conflicts_with_all = ["name", "sql"])]
    pub language: bool,
    /// Print the file `model/duckdb.sql`: the events of the model as views, to write a metric in DuckDB first
    #[arg(long, conflicts_with_all = ["name", "sql", "language"])]
    pub duckdb: bool,
    /// The whole dataflow for Graphviz, with what is in memory
    #[arg(long, conflicts_with_all = ["name", "sql", "language", "duckdb"])]
    pub dot: bool,
}

/// Whose SQL a metric is printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "as it is called")]
pub enum SqlOf {
    Sqlite,
    #[value(name = "duckdb")]
    DuckDb,
    Snowflake,
}

/// What `try` tries.
#[derive(Debug, Args)]
pub struct TryArgs {
    /// The metric: a file NAME.sql, which need not be in the model
    #[arg(value_name = "FILE.sql")]
    pub metric: PathBuf,
    /// Files of events (`.gz` too), folders of them, patterns, or `-` for standard input
    #[arg(value_name = "EVENTS", required = true)]
    pub files: Vec<PathBuf>,
    /// Show what each event changes: each is an epoch of its own, and with many of them that takes long
    #[arg(long)]
    pub deltas: bool,
    /// Print a case instead, NAME.case, made of these events: what each of them changes; to be read, and kept for `test`
    #[arg(long, conflicts_with = "deltas")]
    pub case: bool,
}

/// Which cases `test` plays.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only the cases of these metrics
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The folder with the cases, NAME.case or NAME/WHAT.case [default: setting `model`]
    #[arg(long, value_name = "FOLDER")]
    pub cases: Option<PathBuf>,
    /// Write into the cases what was found: read it afterwards
    #[arg(long)]
    pub update: bool,
}

/// What `forget` is told.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The user's id: a number or a text, as the events have it
    #[arg(value_name = "USER")]
    pub user: String,
    /// Only the user of this family of events: of another family, the same id may be somebody else
    #[arg(long, value_name = "NAME")]
    pub family: Option<String>,
    /// Delete the user's rows of the raw tables, instead of making them nobody's: `verify` cannot work afterwards
    #[arg(long)]
    pub delete_raw: bool,
}

/// What `fill` is told.
#[derive(Debug, Args)]
pub struct FillArgs {
    /// A file of events with a header (`.gz` too), or `-` for standard input
    #[arg(value_name = "EVENTS")]
    pub file: PathBuf,
    /// A file of items with a header. An item may have several rows: of each column its first value counts that is not empty
    #[arg(long, value_name = "FILE")]
    pub items: PathBuf,
    /// Which column says the item; `NAME=OTHER` if it is called otherwise in the file of items
    #[arg(long, value_name = "COLUMN")]
    pub by: String,
    /// Which columns are filled in, `NAME` or `NAME=OTHER` [default: all columns of the items]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Where the events go, to be given to `run`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read events as they come, from files, from Kafka or from a simulated shop, and keep the tables up to date
    Run(RunArgs),
    /// Show how far a `run` is: journal, snapshot, warehouse, what is in memory
    Status(StatusArgs),
    /// Compute everything from whole files; a second batch writes only the rows that differ
    Batch(BatchArgs),
    /// Load a catalog in the form of `Movies.txt`: into the warehouse, or with `--brokers` into Kafka
    Catalog {
        /// The file (`.gz` too), or `-` for standard input
        file: PathBuf,
        /// From when on its prices hold, ISO 8601 [default: now]
        #[arg(long, value_name = "INSTANT")]
        as_of: Option<String>,
    },
    /// Write a simulated shop, a catalog and its events, or with `--model` the events of a model: to files, or with
    /// `--brokers` to Kafka
    Simulate {
        /// The folder for `Movies.txt` and `events.jsonl`, or for a file NAME.jsonl of each kind of events of the model
        #[arg(long, value_name = "DIR", conflicts_with = "brokers")]
        out: Option<PathBuf>,
        /// With `--model` and `--out`: how the events are written [default: json]
        #[arg(long, value_name = "FORMAT", value_enum, conflicts_with = "brokers")]
        format: Option<Lines>,
        /// How many items the catalog in the folder has
        #[arg(long, value_name = "N", default_value_t = 300)]
        items: usize,
        /// With `--brokers`: the catalog to sell [default: the shipped sample]
        #[arg(long, value_name = "FILE", conflicts_with = "out")]
        catalog: Option<PathBuf>,
    },
    /// Send the lines of files that are dropped into a folder to Kafka, each once, as events of a model
    Watch {
        /// The folder; `FAMILY=FOLDER` says of which family all of its files are
        folder: PathBuf,
        /// To the topics of the events, in transactions (`--brokers`)
        #[arg(long, required = true)]
        to_kafka: bool,
        /// Stop when nothing is left that can be taken
        #[arg(long)]
        to_end: bool,
    },
    /// Serve the page, the API and the metrics of a warehouse that no run writes to, until Ctrl-C; it is only read
    Serve {
        /// Where: an address such as 127.0.0.1:9000 [default: setting `serve.address`]
        #[arg(value_name = "ADDR")]
        at: Option<String>,
    },
    /// Show the rows of a table or a view; without one, all tables
    Show(ShowArgs),
    /// Run your own SQL on the warehouse, which is only read
    Sql(SqlArgs),
    /// Compute every metric by its SQL from the stored raw events, and compare the tables with it
    Verify {
        /// Only this metric
        #[arg(value_name = "NAME")]
        table: Option<String>,
    },
    /// Show which rows of a metric the late events would have changed: its SQL without them and with them, both values
    Late(LateArgs),
    /// Explain a table: what it is computed of, its columns, its SQL, and when its rows leave memory
    Explain(ExplainArgs),
    /// Compute a declared metric over some files, show its rows, and compare them with its SQL; nothing is kept
    Try(TryArgs),
    /// Play the cases of the model, events and the rows that they must change, and show what differs; nothing is kept
    Test(TestArgs),
    /// Print a file of the model, NAME.toml, made of a sample of events or of a schema: to be read, corrected and kept
    Declare {
        /// Files of JSON lines or CSV (`.gz` too), folders of them, patterns, or `-` for standard input; or one subject of
        /// the Schema Registry (`--registry`)
        #[arg(value_name = "EVENTS", required = true)]
        files: Vec<PathBuf>,
        /// What the events are called [default: their `event_name`, else the name of the file or of the subject]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Fill in what events leave out, such as the brand of a product, from a file of items
    Fill(FillArgs),
    /// Tell history from files again, in the order of event time and at its pace: into the tables, or with `--brokers` into
    /// Kafka; a replay that was stopped goes on where it was
    Replay(ReplayArgs),
    /// Send rejected records again, each once: to their topics (`--brokers`), lines of files into a file
    ReplayRejected {
        /// Only those of this reason, as in `rejected_events.reason`; may be given more than once
        #[arg(long, value_name = "REASON")]
        reason: Vec<String>,
        /// Where lines of files go, to be given to `run`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Say how many there are, and how many would be accepted now; send nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a user from every table, file and topic that deltamart writes, and say where data of the user may still
    /// be
    Forget(ForgetArgs),
    /// Remove a table that nobody keeps any more, because its metric was removed or has another name now
    Drop {
        /// The table; without it, all tables that nobody keeps
        #[arg(value_name = "NAME")]
        table: Option<String>,
    },
    /// Check the configuration, the warehouse, Kafka and the registry, and show what is set
    Check {
        /// Show every setting, also those that have their default
        #[arg(long)]
        all: bool,
        /// Also try Snowflake's locks, sessions and grants, in schemas `DELTAMART_CHECK_..` that are dropped again
        #[arg(long)]
        deep: bool,
    },
    /// Write a settings file with all settings as comments, and a folder `model` to begin with: an example, or a copy of a
    /// model that comes with deltamart (`--model`)
    Init {
        /// The file, which must not be there yet
        #[arg(value_name = "FILE", default_value = "deltamart.toml")]
        file: PathBuf,
    },
    /// Print the statements that make the tables, or what events look like
    Schema {
        /// Print of each event its topic, its fields and an example
        // The name of a flag that other commands take: here it has no value, there a number, and clap knows one type.
        #[arg(long, action = ArgAction::SetTrue, value_parser = is_set, conflicts_with = "dialect")]
        events: u64,
        /// For which warehouse; for Snowflake also the roles, and what is granted to them; for DuckDB views of the feed;
        /// for dbt its sources and models
        #[arg(long = "for", value_name = "WAREHOUSE", value_enum, default_value_t = Dialect::Sqlite)]
        dialect: Dialect,
        /// For dbt: write the files of its models into this folder, one folder for each family
        #[arg(long = "out", value_name = "FOLDER")]
        models: Option<PathBuf>,
    },
    /// Make the key for the login to Snowflake, and print the statement that registers it
    SnowflakeKey {
        /// The file, which must not exist yet
        #[arg(long, value_name = "FILE", default_value = "snowflake_key.p8")]
        out: PathBuf,
    },
    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Whether a flag without a value is set, as a number.
fn is_set(text: &str) -> Result<u64, String> {
    Ok(u64::from(text == "true"))
}

/// How simulated events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "as they are called")]
pub enum Lines {
    Json,
    Csv,
}

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "as they are called")]
pub enum Dialect {
    Sqlite,
    Snowflake,
    Duckdb,
    Dbt,
}
