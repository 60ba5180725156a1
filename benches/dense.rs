//! What does a map of many small entries cost? `Dense` beside the standard map, hashed as we hash and as it comes:
//! filled, looked at and changed in another order, looked at as it was at an instant, and emptied. Each runs in a process
//! of its own, so that its memory is its own. `cargo bench --bench dense`; no other test needs it.

// The core keeps it to itself.
#[allow(dead_code, reason = "not all of it is measured")]
#[path = "../dataflows"]
mod its_own {
    pub mod dense;
    pub mod places;
}

use dataflows::hash::{self, Map};
use its_own::dense::Dense;
use its_own::places;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ENTRIES: u64 = 2_000_000;
/// As large as what is kept of a user.
type Kept = [u64; 6];

/// What is done to either map.
trait Ids {
    fn insert(&mut self, id: u64, kept: Kept);
    fn get(&self, id: u64) -> Option<&Kept>;
    fn change(&mut self, id: u64);
    fn remove(&mut self, id: u64);
    /// A snapshot needs the entries of an instant while they change. Tells how long all else waits for it.
    fn frozen(&self) -> Duration;
}

impl Ids for Dense<u64, Kept> {
    fn insert(&mut self, id: u64, kept: Kept) {
        Dense::insert(self, id, kept);
    }
    fn get(&self, id: u64) -> Option<&Kept> {
        Dense::get(self, &id)
    }
    fn change(&mut self, id: u64) {
        self.get_mut(&id).into_iter().for_each(|kept| kept[0] += 1);
    }
    fn remove(&mut self, id: u64) {
        Dense::remove(self, &id);
    }
    fn frozen(&self) -> Duration {
        let began = Instant::now();
        drop(black_box(Dense::frozen(self, |id, _, out| out.push(*id))));
        began.elapsed()
    }
}

impl<S: BuildHasher + Clone> Ids for HashMap<u64, Kept, S> {
    fn insert(&mut self, id: u64, kept: Kept) {
        HashMap::insert(self, id, kept);
    }
    fn get(&self, id: u64) -> Option<&Kept> {
        HashMap::get(self, &id)
    }
    fn change(&mut self, id: u64) {
        self.get_mut(&id).into_iter().for_each(|kept| kept[0] += 1);
    }
    fn remove(&mut self, id: u64) {
        HashMap::remove(self, &id);
    }
    fn frozen(&self) -> Duration {
        let began = Instant::now();
        drop(black_box(self.clone()));
        began.elapsed()
    }
}

/// What this process holds, in bytes, by what the system says: `VmRSS`, or at its most `VmHWM`.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of it");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().expect("a number") * 1024
}

fn measure(name: &str, mut ids: impl Ids) {
    // Every number below a prime, in an order that looks like none.
    const PRIME: u64 = 2_000_003;
    let order = |step: u64| (1..=ENTRIES).map(move |n| n * step % PRIME);
    let before = memory("VmRSS:");
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    let took = |began: Instant| began.elapsed().as_nanos() as f64 / ENTRIES as f64;
    let began = Instant::now();
    for (n, id) in order(611_953).enumerate() {
        ids.insert(id, [id; 6]);
        // Asking the clock costs as much as an insert: now and then.
        if n % 64 == 0 {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
    }
    let filled = took(began);
    let (holds, most) = (memory("VmRSS:") - before, memory("VmHWM:") - before);
    let began = Instant::now();
    let sum = order(1_299_709).filter_map(|id| ids.get(id)).fold(0_u64, |sum, kept| sum.wrapping_add(kept[0]));
    black_box(sum);
    let read = took(began);
    let began = Instant::now();
    order(104_729).for_each(|id| ids.change(id));
    let changed = took(began);
    let frozen = ids.frozen();
    let began = Instant::now();
    order(15_485_863).for_each(|id| ids.remove(id));
    let removed = took(began);
    println!(
        "{name:30} insert {filled:4.0} ns (64 of them: {:5.2} ms at the most), get {read:3.0}, change {changed:3.0}, \
         remove {removed:3.0}; frozen in {:6.2} ms; {:3.0} bytes an entry, {:3.0} at the most",
        longest.as_secs_f64() * 1e3,
        frozen.as_secs_f64() * 1e3,
        holds as f64 / ENTRIES as f64,
        most as f64 / ENTRIES as f64,
    );
}

type Variant = (&'static str, fn(&str));

fn main() {
    let variants: [Variant; 3] = [
        ("Dense", |name| measure(name, Dense::<u64, Kept>::default())),
        ("HashMap, our hash", |name| measure(name, Map::<u64, Kept>::default())),
        ("HashMap, SipHash", |name| measure(name, HashMap::<u64, Kept>::new())),
    ];
    if let Some((name, run)) =
        std::env::var("DENSE_VARIANT").ok().and_then(|asked| variants.iter().find(|(name, _)| *name == asked))
    {
        return run(name);
    }
    for (name, _) in variants {
        let mut own = std::process::Command::new(std::env::current_exe().expect("this program"));
        let status = own.env("DENSE_VARIANT", name).status().expect("starts");
        assert!(status.success(), "{name} failed");
    }
}
