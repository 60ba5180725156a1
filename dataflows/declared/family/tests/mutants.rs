//! Each law of declared metrics is broken once, and the comparison of random metrics must notice.

use super::{Case, case, compare};
use crate::broken::{ALL, breaking};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// A law that is not noticed within so many cases is not tested.
const CASES: u32 = 600;

/// What a check says, and what it is called.
const CHECKS: [(&str, &str); 6] = [
    ("rows after moment", "the rows"),
    ("a change that changes nothing", "the changes"),
    ("groups in memory", "the groups in memory"),
    ("events in memory", "the events in memory"),
    ("hashes in memory", "the hashes in memory"),
    ("ends: ", "a worker that refuses"),
];

#[test]
fn whatever_law_is_broken_is_noticed() {
    let mut unnoticed = Vec::new();
    for law in ALL {
        let config = Config { cases: CASES, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
        // The same cases each time: what is noticed today is noticed tomorrow.
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let played = std::cell::Cell::new(0);
        let count = |case: Case| {
            played.set(played.get() + 1);
            compare(&case, &|_, _| {})
        };
        match breaking(Some(*law), || runner.run(&case(), count)) {
            Ok(()) => unnoticed.push(law),
            Err(TestError::Abort(why)) => panic!("{law:?}: {why}"),
            Err(TestError::Fail(why, _)) => {
                let why = why.to_string();
                let check = CHECKS.iter().find(|(says, _)| why.contains(says)).map(|(_, check)| *check);
                println!("{law:?}: noticed by {} in case {}", check.unwrap_or(&why), played.get());
            }
        }
    }
    assert!(unnoticed.is_empty(), "nothing notices: {unnoticed:?}");
}
