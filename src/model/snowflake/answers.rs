//! What is asked of events, as Snowflake takes it: there EXISTS with a distance in time is no value of an event, and a join is.

use super::asked;
use super::expressions::Printer;
use crate::sink::snowflake::ddl::name;
use dataflows::declared::plan::{Ask, Exists, Expr, Family, Metric};

/// The parts of the query that answer what a metric asks: last the events with their answers.
pub(super) fn parts(family: &Family, metric: &Metric, events: &Printer<'_>) -> Vec<(String, String)> {
    let Some(time) = family.columns.get(family.time).filter(|_| !metric.asks.is_empty()) else { return Vec::new() };
    let at = name(&time.name);
    let later = |at: &str, ms: i64| format!("DATEADD('MILLISECOND', {ms}, {at})");
    // Events may be equal: each has a number.
    let numbered = format!("SELECT *, ROW_NUMBER() OVER (ORDER BY {at}) AS _row\nFROM _events");
    let mut parts = vec![("_numbered".to_owned(), numbered)];
    let (mut answers, mut joins) = (Vec::new(), String::new());
    for (ask, question) in metric.asks.iter().enumerate() {
        let answer = match question {
            Ask::HasPassed(ms) => format!("({} <= (SELECT _passed FROM _watermark))", later(&at, *ms)),
            Ask::Exists(exists) => {
                let Exists { equal, from_ms, until_ms, .. } = exists;
                parts.push((format!("_answer{ask}"), those_that_answer(exists, &at, events)));
                let first = |(n, (asking, _)): (usize, &(Expr, Expr))| format!("_of{n} = {}", events.value(asking));
                let mut must: Vec<_> = equal.iter().enumerate().map(first).collect();
                must.push(format!("_at >= {}", later(&at, *from_ms)));
                must.push(format!("_at < {}", later(&at, *until_ms)));
                let answered =
                    format!("SELECT DISTINCT _row\nFROM _numbered\nJOIN _answer{ask} ON {}", must.join(" AND "));
                parts.push((format!("_answered{ask}"), answered));
                joins += &format!("\nLEFT JOIN _answered{ask} ON _answered{ask}._row = _numbered._row");
                format!("(_answered{ask}._row IS NOT NULL)")
            }
        };
        answers.push(format!("{answer} AS {}", asked(ask)));
    }
    let all = format!("SELECT _numbered.*,\n    {}\nFROM _numbered{joins}", answers.join(",\n    "));
    parts.push(("_asked".to_owned(), all));
    parts
}

/// What is equal in both, and the time, of the events that answer.
fn those_that_answer(Exists { equal, filter, .. }: &Exists, at: &str, events: &Printer<'_>) -> String {
    let of = equal.iter().enumerate().map(|(n, (_, answering))| format!("{} AS _of{n}", events.value(answering)));
    let columns: Vec<_> = of.chain([format!("{at} AS _at")]).collect();
    let filter = filter.as_ref().map(|filter| events.value(filter));
    format!("SELECT {}\nFROM _events{}", columns.join(", "), super::clause("WHERE", filter.as_ref()))
}
