//! What is asked of events, as SQLite writes it: a column for each answer.

use super::broken::{Rule, is_broken};
use super::expressions::Printer;
use super::{asked, quoted};
use dataflows::declared::plan::{Ask, Exists, Expr, Family, Metric};

fn looked_up(ask: usize) -> String {
    format!("_answer{ask}")
}

/// Whether a part is looked up for each event.
pub(super) fn is_looked_up(part: &str) -> bool {
    part.starts_with("_answer")
}

/// The parts of the query that answer what a metric asks: last the events with their answers.
pub(super) fn parts(family: &Family, metric: &Metric, events: &Printer<'_>) -> Vec<(String, String)> {
    let Some(time) = family.columns.get(family.time).filter(|_| !metric.asks.is_empty()) else { return Vec::new() };
    let at = quoted(&time.name);
    let (mut parts, mut answers) = (Vec::new(), Vec::new());
    for (ask, question) in metric.asks.iter().enumerate() {
        let answer = match question {
            Ask::HasPassed(ms) => {
                let sign = if is_broken(Rule::PassingTakesTime) { "<" } else { "<=" };
                format!("({at} + {ms} {sign} :watermark)")
            }
            Ask::Exists(exists) => {
                parts.push((looked_up(ask), those_that_answer(exists, &at, events)));
                let first = |(n, (asking, _)): (usize, &(Expr, Expr))| format!("_of{n} = {}", events.value(asking));
                let mut must: Vec<_> = exists.equal.iter().enumerate().map(first).collect();
                if is_broken(Rule::AnswersAreAlike) {
                    must.clear();
                }
                let until = if is_broken(Rule::AnswersEnd) { "<=" } else { "<" };
                must.push(format!("_at >= {at} + ({})", exists.from_ms));
                must.push(format!("_at {until} {at} + ({})", exists.until_ms));
                format!("EXISTS (SELECT 1 FROM {} WHERE {})", looked_up(ask), must.join(" AND "))
            }
        };
        answers.push(format!("{answer} AS {}", asked(ask)));
    }
    parts.push(("_asked".to_owned(), format!("SELECT *,\n    {}\nFROM _events", answers.join(",\n    "))));
    parts
}

/// What is equal in both, and the time, of the events that answer.
fn those_that_answer(Exists { equal, filter, .. }: &Exists, at: &str, events: &Printer<'_>) -> String {
    let of = equal.iter().enumerate().map(|(n, (_, answering))| format!("{} AS _of{n}", events.value(answering)));
    let columns: Vec<_> = of.chain([format!("{at} AS _at")]).collect();
    let filter = filter.as_ref().filter(|_| !is_broken(Rule::AnswersAreFiltered)).map(|filter| events.value(filter));
    format!("SELECT {}\nFROM _events{}", columns.join(", "), super::clause("WHERE", filter.as_ref()))
}
