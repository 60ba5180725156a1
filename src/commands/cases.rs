//! `test`: the cases of the model are played, and compared with what they say.

mod found;
mod sample;

pub(super) use found::{EXTENSION, belongs_to_none, found};
pub(super) use sample::of_sample;

use super::outcome::{FAILED, Outcome};
use super::text::{count, program, word};
use super::{Refused, options};
use crate::cases::judge::{Line, agrees, difference};
use crate::cases::write::{TO_BE_WRITTEN, Written, listed, text};
use crate::cases::{Case, Said, play, read};
use crate::cli::TestArgs;
use crate::config::Config;
use crate::engine::{Lane, Options};
use crate::families::{self, all};
use crate::model::messages::{Mistake, Span, shown};
use crate::model::shipped::Folder;
use crate::sink::MadeBy;
use anyhow::{Context, Result};
use dataflows::declared::family::WithSettings;
use dataflows::family::Family as _;
use dataflows::table::TableId;
use dataflows::wire::nearest;
use found::Found;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A case that was played.
struct Played {
    case: Case,
    found: Vec<Vec<Said>>,
    is_right: Vec<bool>,
}

pub(super) fn test(config: &Config, arguments: &TestArgs) -> Result<Outcome> {
    let TestArgs { names, cases, update } = arguments;
    let folder = cases.as_deref().map_or(Folder::of(&config.model), Folder::Here);
    if !folder.is_there()
        && let Some(cases) = cases
    {
        return Err(Refused(format!("`--cases {0}`: there is no folder `{0}`", cases.display())).into());
    }
    if *update && matches!(folder, Folder::Shipped(_)) {
        let why = format!(
            "the cases of `{0}` come with deltamart, and are left as they are. To change them, have a copy of the model:  {1} \
             init --model {0}",
            folder.root().display(),
            program()
        );
        return Err(Refused(why).into());
    }
    let found = chosen(folder.root(), found(folder)?, names)?;
    let mut wrong = Vec::new();
    let mut read = Vec::new();
    for Found { path, of } in &found {
        let text = folder.text(path).with_context(|| format!("could not read `{}`", path.display()))?;
        let Some(id) = all().metrics().iter().map(|(id, _)| *id).find(|id| id.name() == of) else {
            wrong.push(belongs_to_none(path, of));
            continue;
        };
        match playable(config, &text, id) {
            Ok((case, options)) => read.push((path, text, case, options)),
            Err(mistakes) => wrong.push(shown(&path.display().to_string(), &text, &mistakes).trim_end().to_owned()),
        }
    }
    if !wrong.is_empty() {
        return Err(Refused(wrong.join("\n")).into());
    }
    let (mut failed, mut written, mut of_cases) = (0, 0, Vec::new());
    for (path, before, case, options) in read {
        let played = played(case, options)?;
        let name = path.display().to_string();
        let wrong: Vec<_> = (0..played.found.len()).filter(|n| !played.is_right[*n]).collect();
        let differences: Vec<_> = wrong.iter().map(|n| differing(&played, *n)).collect();
        let is_written = *update && !wrong.is_empty();
        let facts: Vec<_> = differences.iter().map(Differing::fact).collect();
        of_cases.push(json!({ "case": name, "ok": wrong.is_empty(), "written": is_written, "differences": facts }));
        if wrong.is_empty() {
            continue;
        }
        if is_written {
            let now = text(&played.case, &played.found, &played.is_right);
            if now != before {
                replace(path, &now)?;
            }
            written += 1;
            say_as_is!("written: {name}");
            continue;
        }
        failed += 1;
        for difference in &differences {
            say_as_is!("{}\n", difference.said(&name));
        }
    }
    let cases = of_cases.len() as u64;
    let outcome =
        Outcome::of(written > 0).with("cases", Value::from(of_cases)).with("failed", failed).with("written", written);
    if failed > 0 {
        let (program, names) = (program(), names.iter().map(|name| format!(" {}", word(name))).collect::<String>());
        let why = format!(
            "{failed} of {} did not give what it says; if what was found is right:  {program} test{names} --update",
            count(cases, "case")
        );
        return Ok(outcome.complaining(FAILED, why));
    }
    match written {
        0 => say!("{}: each gave what it says", count(cases, "case")),
        written => say!("{} of {} written again: read them", written, count(cases, "case")),
    }
    Ok(outcome)
}

/// Those of these names: of tables.
fn chosen(folder: &Path, found: Vec<Found>, names: &[String]) -> Result<Vec<Found>> {
    let called: Vec<String> = found.iter().map(|found| found.of.clone()).collect();
    if let Some(name) = names.iter().find(|name| !called.contains(name)) {
        let metrics = || all().metrics().iter().map(|(id, _)| id.name());
        let file = folder.join(format!("{name}.{EXTENSION}"));
        let why = match nearest(name, called.iter().map(String::as_str)) {
            _ if metrics().any(|metric| metric == name) => {
                format!("`{name}` has no case: write `{}`", file.display())
            }
            Some(near) => format!("no case is of `{name}`; did you mean `{near}`?"),
            None => format!("there is no metric `{name}`, and no case of it in `{}`", folder.display()),
        };
        return Err(Refused(why).into());
    }
    if found.is_empty() {
        let why = format!(
            "`{}` has no case. Write `NAME.{EXTENSION}` beside the metric NAME, by hand or from a sample:  {} try FILE.sql \
             EVENTS --case",
            folder.display(),
            program()
        );
        return Err(Refused(why).into());
    }
    Ok(found.into_iter().filter(|found| names.is_empty() || names.contains(&found.of)).collect())
}

/// The case of a text, and what it is played with.
fn playable(config: &Config, text: &str, of: TableId) -> Result<(Case, Options), Vec<Mistake>> {
    let case = read::read(text, of, all().family_of(of).unwrap_or(families::SHOP))?;
    let options = options_of(config, &case)?;
    Ok((case, options))
}

fn options_of(config: &Config, case: &Case) -> Result<Options, Vec<Mistake>> {
    let (mut config, mut keys, mut wrong) = (config.clone(), Vec::new(), Vec::new());
    let span = |line: usize| Span { line, column: 1, end_line: line, end_column: usize::MAX };
    for (line, set) in &case.settings {
        match config.with(set) {
            Ok((with, key)) => {
                (config, _) = (with, keys.push(key));
                if let Some((key, why)) = config.wrong_of(&keys[keys.len() - 1..]) {
                    wrong.push(Mistake::new(span(*line), format!("setting `{key}` {why}."), ""));
                }
            }
            Err((what, instead)) => wrong.push(Mistake::new(span(*line), what, instead)),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    config.tables = case.tables.iter().map(|id| id.name().to_owned()).collect();
    config.raw = false;
    let made_by = if case.is_batch { MadeBy::Batch } else { MadeBy::Run };
    let mut options = options(&config, made_by);
    options.commit.quality = None;
    let is_set = |key: &str| keys.iter().any(|set| set == key);
    // What the case says counts also where the file of the events says something.
    for lane in &mut options.lanes {
        let declared = families::declared().iter().find(|loaded| loaded.family.name() == lane.family.family().name());
        let Some(loaded) = declared else { continue };
        let mut settings = lane.family.lane().clone();
        if is_set("lateness") && !case.is_batch {
            settings.lateness_ms = config.lateness;
        }
        if is_set("out_of_orderness") {
            settings.out_of_orderness_ms = config.out_of_orderness;
        }
        *lane = Lane { family: Arc::new(WithSettings { family: loaded.family, lane: settings }), ..lane.clone() };
    }
    Ok(options)
}

fn played(case: Case, options: Options) -> Result<Played> {
    let found = play::play(&case, options).context("a case could not be played")?;
    let is_right = case.epochs.iter().zip(&found);
    let is_right = is_right.map(|(epoch, found)| epoch.expected.as_ref().is_some_and(|said| agrees(said, found)));
    let is_right = is_right.collect();
    Ok(Played { case, found, is_right })
}

/// An epoch that gave something else than it says.
struct Differing {
    line: usize,
    is_said: bool,
    /// Each behind `-` if it was expected, `+` if it was found, and a blank if it was both.
    lines: Vec<(char, String)>,
}

fn differing(Played { case, found, .. }: &Played, n: usize) -> Differing {
    let epoch = &case.epochs[n];
    let expected = epoch.expected.clone().unwrap_or_default();
    // As it would be written, unless all is listed.
    let is_long = expected.iter().any(|said| matches!(said, Said::More(..))) || epoch.expected.is_none();
    let found = if is_long { listed(&found[n]) } else { found[n].clone() };
    let mut written = Written::new(case, expected.iter().chain(&found));
    let mut lines = Vec::new();
    for line in difference(&expected, &found) {
        let (mark, said) = match &line {
            Line::Both(said) => (' ', said),
            Line::Expected(said) => ('-', said),
            Line::Found(said) => ('+', said),
        };
        let mut texts = written.lines(said);
        let last = texts.pop();
        lines.extend(texts.into_iter().map(|names| (' ', names)));
        lines.extend(last.map(|text| (mark, text)));
    }
    let nothing = || "nothing".to_owned();
    if epoch.expected.as_ref().is_some_and(Vec::is_empty) {
        lines.insert(0, ('-', nothing()));
    }
    if found.is_empty() {
        lines.push(('+', nothing()));
    }
    Differing { line: epoch.line, is_said: epoch.expected.is_some(), lines }
}

impl Differing {
    fn said(&self, name: &str) -> String {
        let what = match self.is_said {
            true => "the events before it gave something else (- expected, + found)",
            false => "it does not say what the events before it give (`--update` writes it)",
        };
        let lines: Vec<_> =
            self.lines.iter().map(|(mark, text)| format!("  {mark} {text}").trim_end().to_owned()).collect();
        format!("{name}:{}: {what}\n{}", self.line, lines.join("\n"))
    }

    fn fact(&self) -> Value {
        let of = |wanted: char| -> Vec<&str> {
            let lines = self.lines.iter().filter(|(mark, _)| *mark == wanted);
            lines.map(|(_, text)| text.as_str()).collect()
        };
        let is_asked = if self.is_said { "" } else { TO_BE_WRITTEN };
        let mut expected = of('-');
        expected.extend(Some(is_asked).filter(|asked| !asked.is_empty()));
        json!({ "line": self.line, "expected": expected, "found": of('+') })
    }
}

/// Writes a file anew, whole or not at all.
fn replace(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("case.new");
    let why = || format!("could not write `{}`", path.display());
    std::fs::write(&beside, text).with_context(why)?;
    std::fs::rename(&beside, path).with_context(why)
}
