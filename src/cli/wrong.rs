//! What was typed and is not understood: what it is, and what was probably meant.

use super::taken;
use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;
use std::fmt::Write as _;

/// Flags that other programs have, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("--kafka", "--brokers"),
    ("--broker", "--brokers"),
    ("--bootstrap-server", "--brokers"),
    ("--bootstrap-servers", "--brokers"),
    ("--schema-registry", "--registry"),
    ("--db", "--warehouse"),
    ("--database", "--warehouse"),
    ("--threads", "--workers"),
    ("--sort", "--order"),
    ("--filter", "--where"),
];

/// Flags by which `run` is made of several processes.
const OF_SEVERAL: &[&str] = &["-n", "--processes", "-p", "--process", "--hostfile"];

/// What is said of it, without the name of the program before it.
#[expect(clippy::wildcard_enum_match_arm, reason = "of every other mistake clap says what it is")]
pub fn told(error: &Error, typed: &[String]) -> String {
    let command = taken::named(typed);
    let called = command.map_or("deltamart".to_owned(), |command| format!("deltamart {command}"));
    let what = match error.kind() {
        ErrorKind::UnknownArgument => {
            of(error, ContextKind::InvalidArg).map(|flag| unknown(error, &flag, &called, typed))
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => value(error),
        ErrorKind::MissingRequiredArgument => missing(error),
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::InvalidSubcommand => no_command(error),
        _ => None,
    };
    let what = what.unwrap_or_else(|| first_words(error));
    format!("{what}\nMore: `{called} --help`")
}

/// What clap says itself, without how it says that it is an error, and what else.
fn first_words(error: &Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.split("\n\n").next().unwrap_or_default().trim().to_owned()
}

fn of(error: &Error, kind: ContextKind) -> Option<String> {
    let value = error.get(kind)?;
    if let ContextValue::Strings(texts) = value {
        return texts.first().cloned();
    }
    if let ContextValue::String(text) = value { Some(text.clone()) } else { None }
}

/// `--limit <N>` is `--limit`, `<TABLE>` is `TABLE`.
fn name(argument: &str) -> &str {
    argument.split(' ').next().unwrap_or_default().trim_matches(['<', '>', '[', ']', '.'])
}

fn unknown(error: &Error, flag: &str, called: &str, typed: &[String]) -> String {
    if flag.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
        && let Some(before) =
            typed.iter().position(|word| word == flag).and_then(|place| typed.get(place.checked_sub(1)?))
        && before.starts_with("--")
    {
        return format!("`{before} {flag}`: expected a whole number, 0 or more");
    }
    if OF_SEVERAL.contains(&flag) {
        return format!("`{called}` computes in one process: `{flag}` belongs to `run`, which may be made of several");
    }
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == flag).map(|(_, ours)| (*ours).to_owned());
    let meant = elsewhere.or_else(|| of(error, ContextKind::SuggestedArg));
    let meant = meant.map(|meant| format!("; did you mean `{}`?", name(&meant))).unwrap_or_default();
    match flag.starts_with('-') {
        true => format!("`{called}` has no flag `{flag}`{meant}"),
        false => format!("`{called}` does not expect `{flag}` there{meant}"),
    }
}

fn value(error: &Error) -> Option<String> {
    let argument = of(error, ContextKind::InvalidArg)?;
    let (flag, value) = (name(&argument), of(error, ContextKind::InvalidValue).unwrap_or_default());
    if value.is_empty() && flag.starts_with('-') {
        let of = argument.split_once(' ').map_or("VALUE", |(_, value)| name(value));
        return Some(format!("`{flag}` has no value; write `{flag} {of}`"));
    }
    let given = if flag.starts_with('-') { format!("`{flag} {value}`") } else { format!("{flag} `{value}`") };
    if let Some(ContextValue::Strings(all)) = error.get(ContextKind::ValidValue) {
        let meant = of(error, ContextKind::SuggestedValue).map(|meant| format!("; did you mean `{meant}`?"));
        let all: Vec<_> = all.iter().map(|one| format!("`{one}`")).collect();
        return Some(format!("{given}: expected one of {}{}", all.join(", "), meant.unwrap_or_default()));
    }
    let why = error.source()?.to_string();
    // As the standard library and clap say it of numbers.
    let why = match why.split_once(" is not in ").and_then(|(_, range)| range.split_once("..=")) {
        Some((least, most)) => format!("expected a whole number from {least} to {most}"),
        None if ["digit", "integer", "number too"].iter().any(|word| why.contains(word)) => {
            "expected a whole number, 0 or more".to_owned()
        }
        None => why,
    };
    Some(format!("{given}: {why}"))
}

fn missing(error: &Error) -> Option<String> {
    let Some(ContextValue::Strings(all)) = error.get(ContextKind::InvalidArg) else { return None };
    let all: Vec<_> = all.iter().map(|one| format!("`{}`", name(one))).collect();
    Some(format!("{} {} required and missing", all.join(", "), if all.len() == 1 { "is" } else { "are" }))
}

fn conflict(error: &Error) -> Option<String> {
    let (one, other) = (of(error, ContextKind::InvalidArg)?, of(error, ContextKind::PriorArg)?);
    match name(&one) == name(&other) {
        true => Some(format!("`{}` is given twice", name(&one))),
        false => Some(format!("`{}` cannot be used with `{}`", name(&one), name(&other))),
    }
}

fn no_command(error: &Error) -> Option<String> {
    let mut said = format!("there is no command `{}`", of(error, ContextKind::InvalidSubcommand)?);
    if let Some(near) = of(error, ContextKind::SuggestedSubcommand) {
        write!(said, "; did you mean `{near}`?").unwrap_or_default();
    } else if let Some(ContextValue::StyledStrs(tips)) = error.get(ContextKind::Suggested) {
        tips.iter().for_each(|tip| write!(said, "; {tip}").unwrap_or_default());
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse;

    #[test]
    fn each_mistake_is_told_in_these_words() {
        for (line, said) in [
            ("run --kafka a:1", "`deltamart run` has no flag `--kafka`; did you mean `--brokers`?"),
            ("batch a.jsonl -n 2", "`deltamart batch` computes in one process: `-n` belongs to `run`"),
            ("forget --processes 2", "`deltamart forget` computes in one process: `--processes` belongs to `run`"),
            ("run --warehose x", "`deltamart run` has no flag `--warehose`; did you mean `--warehouse`?"),
            ("show users --limit -1", "`--limit -1`: expected a whole number, 0 or more"),
            ("show users --limit many", "`--limit many`: expected a whole number, 0 or more"),
            ("show users --limit", "`--limit` has no value; write `--limit N`"),
            ("run --nothing-new-code 300", "`--nothing-new-code 300`: expected a whole number from 1 to 255"),
            ("run --max-rejected x", "`--max-rejected x`: expected a number of records such as 100, or a share"),
            ("show users --format xml", "`--format xml`: expected one of `table`, `csv`, `json`, `markdown`"),
            ("show users --last --order age", "`--last` cannot be used with `--order`"),
            ("show --where 1", "`TABLE` is required and missing"),
            ("show users orders", "`deltamart show` does not expect `orders` there"),
            ("sho", "there is no command `sho`; did you mean `show`?"),
            ("events.jsonl", "there is no command `events.jsonl`; to read a file: deltamart run events.jsonl"),
            ("show --rate 5", "`show` does not take `--rate`; it is a flag of `run`, `simulate`."),
            ("--set", "`--set` has no value; write `--set KEY=VALUE`"),
        ] {
            let typed: Vec<_> = format!("deltamart {line}").split_whitespace().map(str::to_owned).collect();
            let error = parse(typed.iter().map(Into::into)).expect_err(line);
            let told = told(&error, &typed);
            let (words, more) = told.rsplit_once('\n').expect("two lines");
            assert!(words.starts_with(said) && !words.contains("as a value"), "{line}: {told}");
            assert!(more.starts_with("More: `deltamart ") && more.ends_with("--help`"), "{line}: {told}");
        }
    }
}
