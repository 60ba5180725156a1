//! Which flags each command takes, and its examples. The help of a command shows no others, and others are refused.

use super::{Cli, Command};
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, Error, FromArgMatches};
use std::path::Path;

const SETTINGS: &[&str] = &["config", "sets", "model"];
const WAREHOUSE: &[&str] = &["warehouse"];
const KAFKA: &[&str] = &["brokers", "registry"];
const COMPUTES: &[&str] = &["workers", "raw", "accept_rejects", "max_rejected"];
const WORKERS: &[&str] = &["workers"];
const JSON: &[&str] = &["json"];
const NEWS: &[&str] = &["json", "nothing_new_code"];
const SERVE: &[&str] = &["serve"];
const SHOP: &[&str] = &["events", "rate", "seed", "days", "start"];

/// A command: the flags it takes of those that several take, and its examples.
struct Taken {
    name: &'static str,
    flags: &'static [&'static [&'static str]],
    examples: &'static str,
}

const COMMANDS: &[Taken] = &[
    Taken {
        name: "run",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, COMPUTES, SERVE, NEWS, SHOP],
        examples: "\
Examples:
  deltamart run -w 8
  deltamart run events.jsonl --catalog Movies.txt
  deltamart run 'logs/*.jsonl.gz' --warehouse logs.db
  deltamart run store_events=2019-Oct.csv --model store
  deltamart run events.jsonl --follow
  deltamart run --watch inbox --model store
  deltamart run --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8081",
    },
    Taken {
        name: "status",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, JSON],
        examples: "\
Examples:
  deltamart status
  deltamart status sinks memory
  deltamart status --wait-for events.jsonl/0=1000
  deltamart status --max-freshness 30s --max-unheard 1min",
    },
    Taken {
        name: "batch",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, COMPUTES, NEWS],
        examples: "\
Examples:
  deltamart batch events.jsonl --catalog Movies.txt --warehouse batch.db
  zcat logs/*.gz | deltamart batch - --warehouse batch.db
  deltamart batch logs --max-rejected 1% --json",
    },
    Taken {
        name: "catalog",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, COMPUTES, NEWS],
        examples: "\
Examples:
  deltamart catalog Movies.txt --as-of 2026-01-05 --warehouse catalog.db
  deltamart catalog Movies.txt --brokers 127.0.0.1:9092",
    },
    Taken {
        name: "simulate",
        flags: &[SETTINGS, KAFKA, JSON, SHOP],
        examples: "\
Examples:
  deltamart simulate --out shop --items 500 --events 100000
  deltamart simulate --model store --out store --format csv
  deltamart simulate --brokers 127.0.0.1:9092 --rate 1000",
    },
    Taken {
        name: "watch",
        flags: &[SETTINGS, KAFKA, JSON, &["accept_rejects"]],
        examples: "\
Examples:
  deltamart watch inbox --to-kafka --model store --set kafka.format=json",
    },
    Taken {
        name: "serve",
        flags: &[SETTINGS, WAREHOUSE],
        examples: "\
Examples:
  deltamart serve
  deltamart serve 127.0.0.1:9000 --warehouse live.db",
    },
    Taken {
        name: "show",
        flags: &[SETTINGS, WAREHOUSE],
        examples: "\
Examples:
  deltamart show user_segments --where \"segment = 'new'\" --order \"since desc\"
  deltamart show checkout_metrics --last 10
  deltamart show movies_catalog --limit 1000 --format csv > catalog.csv
  deltamart show _progress",
    },
    Taken {
        name: "sql",
        flags: &[SETTINGS, WAREHOUSE],
        examples: "\
Examples:
  deltamart sql \"SELECT segment, COUNT(*) FROM user_segments GROUP BY segment\"
  deltamart sql \"SELECT * FROM movie_sales_metrics\" --format csv > sales.csv
  deltamart sql - --timeout 10m < report.sql",
    },
    Taken {
        name: "verify",
        flags: &[SETTINGS, WAREHOUSE, JSON],
        examples: "\
Examples:
  deltamart verify
  deltamart verify orders_by_day
  deltamart verify --warehouse live.db --json",
    },
    Taken {
        name: "late",
        flags: &[SETTINGS, WAREHOUSE, JSON],
        examples: "\
Examples:
  deltamart late orders_by_day
  deltamart late checkout_metrics --limit 100 --warehouse live.db",
    },
    Taken {
        name: "explain",
        flags: &[SETTINGS, WAREHOUSE],
        examples: "\
Examples:
  deltamart explain
  deltamart explain --dot > dataflow.dot
  deltamart explain orders_by_day
  deltamart explain checkout_metrics --sql sqlite
  deltamart explain orders_by_day --sql duckdb
  deltamart explain --language
  deltamart explain --duckdb > model/duckdb.sql",
    },
    Taken {
        name: "try",
        flags: &[SETTINGS, JSON, &["accept_rejects"]],
        examples: "\
Examples:
  deltamart try model/orders_by_day.sql orders.jsonl
  deltamart try draft.sql 'logs/*.jsonl.gz' --model model --set lateness=24h
  deltamart try draft.sql orders.jsonl --case > model/draft.case",
    },
    Taken {
        name: "test",
        flags: &[SETTINGS, JSON],
        examples: "\
Examples:
  deltamart test
  deltamart test orders_by_day
  deltamart test orders_by_day --update",
    },
    Taken {
        name: "declare",
        flags: &[SETTINGS, &["registry"]],
        examples: "\
Examples:
  deltamart declare orders.jsonl > model/orders.toml
  deltamart declare orders.csv --name store_orders
  deltamart declare orders-value --registry http://127.0.0.1:8081",
    },
    Taken {
        name: "fill",
        flags: &[JSON],
        examples: "\
Examples:
  deltamart fill events.csv --items item.csv --by product_id --out both.csv",
    },
    Taken {
        name: "replay",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, COMPUTES, SERVE, NEWS],
        examples: "\
Examples:
  deltamart replay 'logs/*.jsonl' --speed 600x
  deltamart replay store_events=october.csv --model store --per-day 10000
  deltamart replay events.jsonl --brokers 127.0.0.1:9092 --speed 60x",
    },
    Taken {
        name: "replay-rejected",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, NEWS],
        examples: "\
Examples:
  deltamart replay-rejected --dry-run
  deltamart replay-rejected --reason unknown_language --out again.jsonl",
    },
    Taken {
        name: "forget",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, WORKERS, JSON],
        examples: "\
Examples:
  deltamart forget 1042 --warehouse live.db
  deltamart forget 1042 --family plays
  deltamart forget 1042 --delete-raw",
    },
    Taken {
        name: "drop",
        flags: &[SETTINGS, WAREHOUSE, JSON],
        examples: "\
Examples:
  deltamart drop
  deltamart drop orders_by_weekday --warehouse live.db",
    },
    Taken {
        name: "check",
        flags: &[SETTINGS, WAREHOUSE, KAFKA, WORKERS, &["raw"]],
        examples: "\
Examples:
  deltamart check
  deltamart check --set lateness=24h",
    },
    Taken {
        name: "init",
        flags: &[&["model"]],
        examples: "\
Examples:
  deltamart init
  deltamart init --model store
  deltamart init staging.toml",
    },
    Taken {
        name: "schema",
        flags: &[SETTINGS, WAREHOUSE, &["events"]],
        examples: "\
Examples:
  deltamart schema
  deltamart schema --events
  deltamart schema --for snowflake
  deltamart schema --for duckdb --set feed.path=feed
  deltamart schema --for dbt --out dbt/models",
    },
    Taken {
        name: "snowflake-key",
        flags: &[SETTINGS],
        examples: "\
Example:
  deltamart snowflake-key --out snowflake_key.p8",
    },
    Taken {
        name: "completions",
        flags: &[],
        examples: "\
Examples:
  deltamart completions bash > /etc/bash_completion.d/deltamart
  deltamart completions fish > ~/.config/fish/completions/deltamart.fish",
    },
];

/// Of the help without a command: the flags that are shown.
const SHOWN_FIRST: &[&str] = &["workers", "config", "sets", "warehouse"];
const FIRST_EXAMPLES: &str = "\
Examples:
  deltamart -w 8                a simulated shop, by eight workers
  deltamart show user_segments  look at a table
  deltamart verify              compare every table with its SQL
  deltamart run --help          every flag of `run`";

impl Taken {
    fn takes(&self, flag: &str) -> bool {
        self.flags.iter().any(|group| group.contains(&flag))
    }
}

/// The command line, with the help of each command showing what that command takes.
pub fn command() -> clap::Command {
    let whole = Cli::command();
    let several: Vec<Arg> = whole.get_arguments().filter(|flag| flag.is_global_set()).cloned().collect();
    let with_help = |whole: clap::Command, taken: &'static Taken| {
        whole.mut_subcommand(taken.name, |one| {
            // A flag that is there already is not handed down from the whole: so each command has its own copy, hidden
            // or not.
            let is_there = |flag: &&Arg| one.get_arguments().any(|own| own.get_id() == flag.get_id());
            let own = several.iter().filter(|flag| !is_there(flag));
            let own: Vec<_> = own.map(|flag| flag.clone().hide(!taken.takes(flag.get_id().as_str()))).collect();
            one.args(own).after_help(taken.examples)
        })
    };
    let whole = COMMANDS.iter().fold(whole, with_help);
    let is_shown = |flag: &Arg| !flag.is_global_set() || SHOWN_FIRST.contains(&flag.get_id().as_str());
    let first = |flag: Arg| flag.help_heading(None::<&str>);
    whole.mut_args(|flag| if is_shown(&flag) { first(flag) } else { flag.hide(true) }).after_help(FIRST_EXAMPLES)
}

/// Reads what was typed.
///
/// # Errors
/// If it is not a command, or a flag is not one that its command takes.
pub fn parse(typed: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, Error> {
    let matches = command().try_get_matches_from(typed).map_err(hinted)?;
    if let Some((name, given)) = matches.subcommand()
        && let Some(taken) = COMMANDS.iter().find(|taken| taken.name == name)
    {
        refuse_others(taken, given)?;
    }
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let Some(Command::Schema { .. }) = cli.command {
        // Its flag of this name is another one.
        cli.shop.events = None;
    }
    Ok(cli)
}

/// The command among the words that were typed.
pub fn named(typed: &[String]) -> Option<&'static str> {
    typed.iter().skip(1).find_map(|word| COMMANDS.iter().map(|taken| taken.name).find(|name| name == word))
}

/// A file where a command is expected is meant to be read.
fn hinted(mut error: Error) -> Error {
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && (word.contains(['.', '/']) || Path::new(word).exists())
    {
        let tip = StyledStr::from(format!("to read a file: deltamart run {word}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn refuse_others(taken: &Taken, given: &ArgMatches) -> Result<(), Error> {
    for flag in COMMANDS[0].flags.concat() {
        let is_typed = given.value_source(flag) == Some(ValueSource::CommandLine);
        if is_typed && !taken.takes(flag) {
            let others = COMMANDS
                .iter()
                .filter(|other| other.takes(flag) && !(other.name == "schema" && flag == "events"))
                .map(|other| format!("`{}`", other.name));
            let others = others.collect::<Vec<_>>().join(", ");
            let name = if flag == "sets" { "set".to_owned() } else { flag.replace('_', "-") };
            let why = format!("`{}` does not take `--{name}`; it is a flag of {others}.\n", taken.name);
            return Err(Error::raw(ErrorKind::UnknownArgument, why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, Error> {
        parse(format!("deltamart {line}").split_whitespace().map(Into::into))
    }

    #[test]
    fn every_command_is_listed_once_and_the_first_takes_every_flag() {
        let listed: Vec<_> = COMMANDS.iter().map(|taken| taken.name).collect();
        let whole = Cli::command();
        let known: Vec<_> = whole.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(listed, known);
        for flag in whole.get_arguments().filter(|flag| flag.is_global_set()) {
            assert!(COMMANDS[0].takes(flag.get_id().as_str()), "{}", flag.get_id());
        }
        command().debug_assert();
    }

    #[test]
    fn a_command_shows_and_takes_its_own_flags_only() {
        for taken in COMMANDS {
            // Unless a shell completes them.
            assert!(taken.examples.lines().all(|line| line.len() < 80), "{}", taken.examples);
            let mut whole = command();
            whole.build();
            let one = whole.find_subcommand_mut(taken.name).expect("it is listed");
            let help = one.render_long_help().to_string();
            for flag in COMMANDS[0].flags.concat() {
                let name = if flag == "sets" { "set" } else { flag };
                let shown = help.contains(&format!("--{}", name.replace('_', "-")));
                // `status` has flags that begin like others.
                assert_eq!(shown, taken.takes(flag), "{} {flag}:\n{help}", taken.name);
            }
            assert!(help.contains("Example"), "{help}");
        }
        for (line, said) in [
            ("show --rate 5", "`show` does not take `--rate`; it is a flag of `run`, `simulate`"),
            ("--raw off verify", "`verify` does not take `--raw`"),
            ("events.jsonl", "to read a file: deltamart run events.jsonl"),
            ("sho", "'show'"),
        ] {
            let error = parsed(line).expect_err(line).to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn flags_stand_before_a_command_or_behind_it() {
        for line in ["--warehouse x.db show users", "show users --warehouse x.db", "show --warehouse x.db users"] {
            assert_eq!(parsed(line).expect(line).global.warehouse, Some("x.db".into()), "{line}");
        }
        assert_eq!(parsed("-w 8 --json").expect("a run").global.workers, Some(8));
    }
}
