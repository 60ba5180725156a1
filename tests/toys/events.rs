//! Its events: a toy is lent, and comes back.

use dataflows::time::{Instant, Timed};
use dataflows::wire::{Accept, Fields, Flaw, Kind, Page, Reason, Topic, Vocabulary};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Why a toy is none.
pub const BAD_TOY: Reason = Reason::of_family("bad_toy", "A toy has no name.");
/// Why a child is none.
pub const CHILD_OUT_OF_RANGE: Reason = Reason::of_rules("child_out_of_range", "A child is none.");

/// A toy changed hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Handed {
    pub timestamp: Instant,
    pub child: u64,
    pub toy: String,
    /// To the child, or back.
    pub is_lent: bool,
}

impl Handed {
    pub fn name(&self) -> &'static str {
        if self.is_lent { "toy_lent" } else { "toy_back" }
    }
}

impl Timed for Handed {
    fn timestamp(&self) -> Instant {
        self.timestamp
    }

    fn carries_time(&self) -> bool {
        true
    }
}

const FLAWS: &[Flaw] = &[Flaw::new("toy", r#""""#, BAD_TOY), Flaw::new("child", "0", CHILD_OUT_OF_RANGE)];

const fn page(event: &'static str, sample: &'static str, accept: Accepts) -> Page<Handed, ()> {
    Page {
        topic: Topic { name: event, event, schema: r#""null""#, is_read_first: false },
        key: "child",
        carries_time: true,
        reasons: &[BAD_TOY, CHILD_OUT_OF_RANGE],
        sample,
        flaws: FLAWS,
        accept,
    }
}

type Accepts = fn(&mut Fields<'_>) -> Accept<Handed, ()>;

pub static VOCABULARY: LazyLock<Vocabulary<Handed, ()>> = LazyLock::new(|| {
    let mut vocabulary = Vocabulary::default();
    vocabulary.add(page(
        "toy_lent",
        r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "toy_lent", "child": 7, "toy": "ball"}"#,
        |fields| accept(fields, true),
    ));
    vocabulary.add(page(
        "toy_back",
        r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "toy_back", "child": 7, "toy": "ball"}"#,
        |fields| accept(fields, false),
    ));
    vocabulary
});

fn accept(fields: &mut Fields<'_>, is_lent: bool) -> Accept<Handed, ()> {
    let (child, toy) = (fields.person("child"), fields.field("toy", Kind::Text));
    Box::new(move |record, ()| {
        let child = record.wire.number(child, (1, 1_000), CHILD_OUT_OF_RANGE)?;
        let toy = record.wire.text(toy)?;
        if toy.is_empty() {
            return Err(dataflows::wire::Broken::rule(BAD_TOY, "`toy` is empty".to_owned()));
        }
        Ok(Handed { timestamp: record.timestamp, child, toy, is_lent })
    })
}
