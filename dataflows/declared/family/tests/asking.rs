//! What random metrics ask of events, said twice: as a plan, and as a loop over all events.

use super::HOUR_MS;
use super::pool::{COLUMNS, CONDITIONS, Ev, Item, bx, c, e, item};
use crate::declared::plan::*;
use crate::table::Value;
use proptest::prelude::*;

/// A question.
#[derive(Clone, Debug)]
enum Question {
    /// What is equal, by places among [`EQUAL`]; which events answer; and from when until when.
    Exists {
        equal: Vec<usize>,
        filter: Option<usize>,
        from_ms: i64,
        until_ms: i64,
    },
    HasPassed(i64),
}

/// What a metric asks, and where it uses the answers.
#[derive(Clone, Debug)]
pub struct Asking {
    questions: Vec<Question>,
    /// Events for which the first answer is so.
    only: Option<bool>,
    /// The last answer is a key.
    is_key: bool,
}

/// A column, and what it is of an event.
type Side = (usize, fn(&Ev) -> Value);

/// Columns that may be equal: of whom, of which kind, of which brand.
const EQUAL: [Side; 3] = [
    (2, |event| Value::Integer(event.user)),
    (1, |event| Value::Text(event.kind.clone())),
    (4, |event| event.brand.clone().map_or(Value::Null, Value::Text)),
];

pub const WORDS: [&str; 7] =
    ["exists", "has passed", "is answered", "is not answered", "answer as key", "looks ahead", "looks back"];

pub fn asking() -> impl Strategy<Value = Asking> {
    let from = prop::sample::select(vec![-5 * HOUR_MS, -HOUR_MS, 0, 0, 0, 1, 2 * HOUR_MS]);
    let long = prop::sample::select(vec![1, HOUR_MS / 3, HOUR_MS, 7 * HOUR_MS]);
    let equal = prop::sample::subsequence(vec![0, 1, 2], 1..3);
    let exists = (equal, prop::option::of(0..1000usize), from, long).prop_map(|(equal, filter, from_ms, long_ms)| {
        Question::Exists { equal, filter, from_ms, until_ms: from_ms + long_ms }
    });
    let passed = prop::sample::select(vec![-HOUR_MS, 0, 1, 3 * HOUR_MS]).prop_map(Question::HasPassed);
    let question = prop_oneof![3 => exists, 1 => passed];
    let only = prop::option::of(any::<bool>());
    (prop::collection::vec(question, 1..4), only, prop::bool::weighted(0.3))
        .prop_map(|(questions, only, is_key)| Asking { questions, only, is_key })
}

/// Whether the same user does anything within the hour after.
pub fn follows_within_an_hour() -> Asking {
    let question = Question::Exists { equal: vec![0], filter: None, from_ms: 1, until_ms: HOUR_MS };
    Asking { questions: vec![question], only: None, is_key: false }
}

fn answer(place: usize) -> Item {
    let of: [fn(&Ev) -> Value; 3] = [
        |event| Value::Boolean(event.answers[0]),
        |event| Value::Boolean(event.answers[1]),
        |event| Value::Boolean(event.answers[2]),
    ];
    item("answer", Expr { nullable: false, ..e(Node::Column(COLUMNS + place), Type::Boolean) }, of[place])
}

impl Asking {
    pub fn words(&self) -> Vec<&'static str> {
        let mut words = Vec::new();
        for question in &self.questions {
            match question {
                Question::HasPassed(_) => words.push("has passed"),
                Question::Exists { from_ms, until_ms, .. } => {
                    words.push("exists");
                    words.extend((*from_ms < 0).then_some("looks back"));
                    words.extend((*until_ms > 0).then_some("looks ahead"));
                }
            }
        }
        words.extend(self.only.map(|only| if only { "is answered" } else { "is not answered" }));
        words.extend(self.is_key.then_some("answer as key"));
        words
    }

    /// As a plan has it.
    pub fn asks(&self) -> Vec<Ask> {
        let asks = self.questions.iter().map(|question| match question {
            Question::HasPassed(ms) => Ask::HasPassed(*ms),
            Question::Exists { equal, filter, from_ms, until_ms } => Ask::Exists(Exists {
                equal: equal.iter().map(|place| (c(EQUAL[*place].0), c(EQUAL[*place].0))).collect(),
                filter: filter.map(|place| CONDITIONS[place % CONDITIONS.len()].expr.clone()),
                from_ms: *from_ms,
                until_ms: *until_ms,
            }),
        });
        asks.collect()
    }

    /// The answers.
    pub fn answers(&self) -> Vec<Item> {
        (0..self.questions.len()).map(answer).collect()
    }

    pub fn filter(&self) -> Option<Item> {
        let no = |expr| e(Node::Not(bx(expr)), Type::Boolean);
        Some(match self.only? {
            true => answer(0),
            false => item("answer", no(answer(0).expr), |event| Value::Boolean(!event.answers[0])),
        })
    }

    pub fn key(&self) -> Option<Item> {
        self.is_key.then(|| answer(self.questions.len() - 1))
    }

    /// How long after an event an answer may change.
    pub fn ahead_ms(&self) -> i64 {
        let ahead = self.questions.iter().map(|question| match question {
            Question::HasPassed(ms) => *ms,
            Question::Exists { until_ms, .. } => *until_ms,
        });
        ahead.max().unwrap_or(0).max(0)
    }

    /// What is true of an event among all events, where the watermark is.
    pub fn of(&self, event: &Ev, all: &[Ev], watermark: i64) -> Vec<bool> {
        let answers = self.questions.iter().map(|question| match question {
            Question::HasPassed(ms) => event.at + ms <= watermark,
            Question::Exists { equal, filter, from_ms, until_ms } => all.iter().any(|other| {
                let is_equal = |place: &usize| {
                    let of = EQUAL[*place].1;
                    of(event) == of(other) && of(event) != Value::Null
                };
                let is_taken = |place: usize| (CONDITIONS[place % CONDITIONS.len()].of)(other) == Value::Boolean(true);
                let is_near = (event.at + from_ms..event.at + until_ms).contains(&other.at);
                is_near && equal.iter().all(is_equal) && filter.is_none_or(is_taken)
            }),
        });
        answers.collect()
    }
}
