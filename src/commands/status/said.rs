//! Sections of `status` as text: a line for each, and what is below it where it is open.

use crate::cli::{StatusArgs, Subject};
use crate::commands::text::{at, next_lines};
use crate::config::Config;
use anyhow::Result;
use clap::ValueEnum;

/// A section's line has no more columns; what is below it may.
const COLUMNS: usize = 80;

/// What a section asks of who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing: it is folded to its line.
    Nothing,
    /// To be known: it is open.
    Knowing,
    /// To be looked after: it is open, and the first line names it.
    Help,
}

/// A section.
#[derive(Debug)]
pub(super) struct Section {
    pub subject: Subject,
    /// All of it in a line.
    pub said: String,
    /// What is below it.
    pub more: Vec<String>,
    pub asks: Asks,
}

/// A line below a section's, with what it is about.
pub(super) fn labelled(label: &str, text: &str) -> String {
    format!("  {label:<9}{text}")
}

/// A line below a section's.
pub(super) fn indented(text: &str) -> String {
    labelled("", text)
}

/// Says them, and how those that are folded are opened.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn say(config: &Config, arguments: &StatusArgs, pipeline: &str, sections: &[Section]) -> Result<()> {
    let is_open = |section: &Section| {
        arguments.all || section.asks != Asks::Nothing || arguments.subjects.contains(&section.subject)
    };
    for line in lines(pipeline, sections, is_open) {
        say!("{line}");
    }
    let folded = sections.iter().filter(|section| !is_open(section) && !section.more.is_empty());
    if let Some(folded) = folded.max_by_key(|section| section.more.len()) {
        let one = format!("status {}{}", name(folded.subject), at(config));
        say!("{}", next_lines(&[("one section", one), ("everything", format!("status --all{}", at(config)))]));
    }
    Ok(())
}

fn name(subject: Subject) -> String {
    subject.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn lines(pipeline: &str, sections: &[Section], is_open: impl Fn(&Section) -> bool) -> Vec<String> {
    let wrong: Vec<_> =
        sections.iter().filter(|section| section.asks == Asks::Help).map(|section| name(section.subject)).collect();
    let verdict = if wrong.is_empty() { "all is well".to_owned() } else { format!("look at: {}", wrong.join(", ")) };
    let mut lines = vec![line("status", &verdict), line("pipeline", pipeline)];
    for section in sections {
        lines.push(line(&name(section.subject), &section.said));
        if is_open(section) {
            lines.extend(section.more.iter().cloned());
        }
    }
    lines
}

/// A section's line, cut where it is too long.
fn line(name: &str, said: &str) -> String {
    let line = format!("{name:<11}{said}");
    match line.char_indices().nth(COLUMNS) {
        Some(_) => line.chars().take(COLUMNS - 1).chain(['…']).collect(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_asks_for_nothing_is_a_line() {
        let section = |subject, asks| Section { subject, said: "é".repeat(99), more: vec![indented("more")], asks };
        let sections = [section(Subject::Run, Asks::Nothing), section(Subject::Sinks, Asks::Help)];
        let lines = |all: bool| lines("a, start 1", &sections, |section| all || section.asks != Asks::Nothing);
        let folded = lines(false);
        assert_eq!(folded.len(), 5, "{folded:?}");
        assert_eq!(folded[..2], ["status     look at: sinks", "pipeline   a, start 1"]);
        assert!(folded[2].starts_with("run        éé") && folded[2].ends_with("é…"), "{folded:?}");
        assert!(folded.iter().all(|line| line.chars().count() <= COLUMNS), "{folded:?}");
        assert_eq!((lines(true).len(), folded[4].as_str()), (6, "           more"));
    }
}
