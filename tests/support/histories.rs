use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// The seeds of random histories: the one that the first variable names, or as many as the second says; else so many in a
/// debug build, and so many in a release.
pub fn asked(one: &str, many: &str, [in_debug, in_release]: [u64; 2]) -> Range<u64> {
    let asked = |name: &str| std::env::var(name).ok().and_then(|asked| asked.parse::<u64>().ok());
    match asked(one) {
        Some(seed) => seed..seed + 1,
        None => 0..asked(many).unwrap_or(if cfg!(debug_assertions) { in_debug } else { in_release }),
    }
}

/// Makes a history of each seed, on four threads; what each of these has counted.
pub fn all<T: Default + Send>(seeds: Range<u64>, one: impl Fn(u64, &mut T) + Sync) -> impl Iterator<Item = T> {
    let next = AtomicU64::new(seeds.start);
    let some = || {
        let mut tally = T::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return tally;
            }
            one(seed, &mut tally);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(some)).collect();
        let all = threads.into_iter().map(|thread| thread.join().expect("a history failed: see above"));
        all.collect::<Vec<_>>().into_iter()
    })
}
