//! What scripts/instructions counts: the pipeline over a small file, and nothing that differs from run to run. One
//! thread runs at a time, in an order that a seed decides; epochs are cut by count; the clock stands.

mod support;

use deltamart::engine;
use deltamart::turns::Turns;
use support::Cut;

/// The worker, the committer, the sink: nothing is journaled, so nobody journals.
const THREADS: usize = 3;
const EPOCH: usize = 10_000;

fn main() {
    let Some(files) = support::files() else {
        println!("instructions: nothing counted; DELTAMART_EVENTS names no file (see scripts/instructions)");
        return;
    };
    let source = Cut::new(files, EPOCH, || {});
    // Later than all that its users do.
    let now = deltamart::config::Config::default().simulate.start + 7 * 86_400_000;
    let ended = engine::run(support::job(Box::new(source), move || now, Turns::one_at_a_time(THREADS, 1)));
    ended.expect("runs");
}
