//! How often random metrics were made of what the language has.
#![allow(dead_code, reason = "each test needs a part of it")]

use dataflows::declared::plan::Metric;
use std::collections::BTreeMap;

/// What a plan is made of, as it is shown, and what it is called in SQL.
const PARTS: &[(&str, &str)] = &[
    ("Count(None)", "count(*)"),
    ("Count(Some", "count(x)"),
    ("CountDistinct(", "count(DISTINCT x)"),
    ("Sum(", "sum"),
    ("Min(", "min"),
    ("Max(", "max"),
    ("At(First", "min_by"),
    ("At(Last", "max_by"),
    ("Funnel(", "funnel"),
    ("Session(", "session"),
    ("of: Rows(", "rows of a metric"),
    ("Exists(", "EXISTS"),
    ("HasPassed(", "watermark()"),
    ("filter: Some", "FILTER or WHERE"),
    ("having: Some", "HAVING"),
    ("IsFinal", "is_final"),
    ("Scaled(", "numbers of two scales"),
    ("Minus(", "- x"),
    ("Arithmetic(Plus", "+"),
    ("Arithmetic(Minus", "-"),
    ("Arithmetic(Times", "*"),
    ("Arithmetic(Remainder", "%"),
    ("Concat(", "||"),
    ("Compare(Equal", "="),
    ("Compare(NotEqual", "<>"),
    ("Compare(Less,", "<"),
    ("Compare(LessOrEqual", "<="),
    ("Compare(Greater,", ">"),
    ("Compare(GreaterOrEqual", ">="),
    ("IsDistinct(", "IS DISTINCT FROM"),
    ("And(", "AND"),
    ("Or(", "OR"),
    ("Not(", "NOT"),
    ("IsNull(", "IS NULL"),
    ("In(Expr", "IN"),
    ("Like(", "LIKE"),
    ("Case(", "CASE"),
    ("Coalesce(", "coalesce"),
    ("NullIf(", "nullif"),
    ("Abs(", "abs"),
    ("Substr(", "substr"),
    ("Length(", "length"),
    ("RoundedQuotient(", "round"),
    ("Floor(Width(", "time_bucket, and date_trunc to hours and days"),
    ("Floor(Week", "date_trunc to weeks"),
    ("Floor(Month", "date_trunc to months"),
    ("Later(", "t + interval"),
    ("Boundaries(", "date_diff"),
];

/// Of each part, how many metrics have it.
#[derive(Clone, Debug, Default)]
pub struct Drawn(BTreeMap<&'static str, usize>);

impl Drawn {
    /// A metric was drawn.
    pub fn see(&mut self, metric: &Metric) {
        let shown = format!("{metric:?}");
        for (part, name) in PARTS {
            let has = shown.match_indices(part).any(|(at, _)| {
                // `Min(` is not the end of another name.
                !shown[..at].ends_with(|letter: char| letter.is_ascii_alphanumeric())
            });
            *self.0.entry(name).or_default() += usize::from(has);
        }
    }

    /// What was drawn less often than this.
    pub fn below(&self, times: usize) -> Vec<(&'static str, usize)> {
        self.0.iter().filter(|(_, drawn)| **drawn < times).map(|(name, drawn)| (*name, *drawn)).collect()
    }

    /// All of it in a line.
    pub fn shown(&self) -> String {
        self.0.iter().map(|(name, drawn)| format!("{name} {drawn}")).collect::<Vec<_>>().join(", ")
    }
}
