use super::stack::Stack;
use crate::support;

/// How many records `simulate` says it sent.
fn sent(said: &str) -> i64 {
    let line = said.lines().find(|line| line.contains("records sent")).unwrap_or_else(|| panic!("{said}"));
    line.split(' ').next().unwrap_or_default().replace(',', "").parse().expect("a number")
}

/// Eight workers, then three that go on, then one from the beginning: everything sent is read, each table
/// is what its SQL says, and how many workers there are makes no difference.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn all_topics_are_read_by_any_number_of_workers() {
    let stack = Stack::of("whole");
    let odd = ["--set", "simulate.malformed_permille=20.0", "--set", "simulate.too_late_permille=5.0", "--rate", "0"];
    let unlimited = ["--set", "lateness=unlimited", "--set", "catalog_lateness=unlimited"];
    let run = |more: &[&str]| stack.succeeds(&[&["run", "--to-end"], more, &unlimited].concat());
    let mut all = sent(&stack.succeeds(&[&["simulate", "--events", "30000"], &odd[..]].concat()));
    assert!(all > 30_000);
    run(&["-w", "8"]);
    stack.verify(&unlimited);
    assert_eq!(stack.accounted("deltamart.db"), all, "a record is lost, or doubled");
    let next = ["simulate", "--events", "10000", "--seed", "2", "--start", "2026-01-08"];
    all += sent(&stack.succeeds(&[&next, &odd[..]].concat()));
    run(&["-w", "3"]);
    stack.verify(&unlimited);
    assert_eq!(stack.accounted("deltamart.db"), all, "a record is lost, or doubled");
    run(&["-w", "1", "--warehouse", "again.db"]);
    support::assert_same(&stack.path("deltamart.db"), &stack.path("again.db"));
    let said = run(&["-w", "2"]);
    assert!(said.starts_with("nothing new"), "it goes on where it ended: {said}");
}
