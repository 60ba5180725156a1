//! What does an update of 10,000 events cost after one million events, and after ten? Reads JSON
//! lines from the file in `DELTAMART_EVENTS` (and the catalog in `DELTAMART_CATALOG`), ten thousand
//! an epoch, into tables in memory; `scripts/bench` makes the files and calls it.

mod support;

use deltamart::engine;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::Cut;

const UPDATE: usize = 10_000;
/// So many updates are averaged.
const UPDATES: usize = 40;

/// The CPU time of all threads so far.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_task).sum())
}

fn main() {
    let Some(files) = support::files() else {
        println!("update: nothing measured; DELTAMART_EVENTS names no file (see scripts/bench)");
        return;
    };
    let marks = Arc::new(Mutex::new(Vec::new()));
    // When each epoch begins.
    let noted = Arc::clone(&marks);
    let source = Cut::new(files, UPDATE, move || noted.lock().expect("not poisoned").push(cpu()));
    engine::run(support::job(Box::new(source), deltamart::instant::now, Default::default())).expect("runs");
    let marks = marks.lock().expect("not poisoned");
    let cost = |from: usize| (marks[from + UPDATES] - marks[from]).as_secs_f64() * 1e3 / UPDATES as f64;
    if marks.len() < 100 + 2 * UPDATES {
        println!("update: {} updates are too few to compare", marks.len());
        return;
    }
    let (early, late, last) = (cost(100), cost(marks.len() - 1 - UPDATES), marks.len());
    println!(
        "an update of {UPDATE} events: {early:.1} CPU-ms after {} events, {late:.1} after {}: {:.2} times",
        100 * UPDATE,
        (last - UPDATES) * UPDATE,
        late / early
    );
}
