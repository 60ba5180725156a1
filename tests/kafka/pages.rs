//! The commands of README and `docs/` that need a broker and a registry.

use super::stack::Stack;
use crate::docs::commands::{KAFKA, blocks, programs, run, script};

/// Where the pages have them.
const BROKERS: &str = "127.0.0.1:9092";
const REGISTRY: &str = "http://127.0.0.1:8081/apis/ccompat/v7";

#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn the_commands_of_every_page_run() {
    let programs = programs();
    let blocks: Vec<_> = blocks().into_iter().filter(|block| block.info == KAFKA).collect();
    assert!(!blocks.is_empty());
    for (n, block) in blocks.iter().enumerate() {
        // Topics of its own.
        let stack = Stack::of(&format!("page-{n}"));
        let script = script(block).replace(BROKERS, &stack.brokers).replace(REGISTRY, &stack.registry);
        let lines = script.lines().map(|line| {
            let line = line.split(" #").next().unwrap_or_default();
            let more = match line.split_whitespace().nth(1) {
                // Or it would read on and on.
                Some("run") => "--to-end",
                Some("simulate") => "--events 3000",
                Some(_) | None => "",
            };
            let is_said = more.split(' ').next().is_some_and(|flag| line.contains(flag));
            if is_said { line.to_owned() } else { format!("{line} {more}") }
        });
        run(block, &lines.collect::<Vec<_>>().join("\n"), &stack.path(""), programs.path());
    }
}
