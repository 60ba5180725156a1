//! What SQLite and the Parquet feed cost: `cargo bench --bench sinks`. CPU seconds, so that neighbours do not count, and
//! those of the clock: raw rows appended in commits of 100,000; upserts in commits of 10,000 into a table of a million
//! rows, merges included; the table read back.

use dataflows::delta::Delta;
use dataflows::table::{TableId, Value};
use deltamart::config::feed::Feed;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Claim, Commit, MadeBy, Warehouse};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

fn table(name: &str) -> TableId {
    deltamart::families::all().by_name(name).expect("ours")
}

/// CPU time of this thread, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |at: usize| after_name.split_whitespace().nth(at).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    (ticks(11) + ticks(12)) as f64 / 100.0
}

fn commit(number: u64) -> Commit {
    Commit {
        follows: 2 * number - 2,
        epoch: 2 * number,
        clock_ms: 1_767_571_200_000 + number as i64 * 10_000,
        watermarks: Watermarks::of_shop(number as i64),
        positions: BTreeMap::new(),
        deltas: BTreeMap::new(),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// An item view, as `item_view_events` has it.
fn view(random: &mut ChaCha8Rng, partition: i64, offset: i64) -> Vec<Value> {
    vec![
        text("item_views"),
        Value::Integer(partition),
        Value::Integer(offset),
        text("item_view"),
        Value::Instant(1_767_571_200_000 + offset * 3 + random.random_range(0..1_000)),
        Value::Integer(random.random_range(1..500_000)),
        text(format!("{:010}", random.random_range(0..40_000))),
    ]
}

fn user(random: &mut ChaCha8Rng, id: i64) -> Vec<Value> {
    let masked = format!("{:03}***@example.org", random.random_range(0..1_000));
    let age = Value::Integer(random.random_range(14..90));
    vec![Value::Integer(id), Value::Instant(1_767_571_200_000 + id), age, text(masked), text("en")]
}

/// CPU and wall seconds.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu: f64,
    wall: f64,
}

impl Cost {
    fn of<T>(what: impl FnOnce() -> T) -> (Cost, T) {
        let (before, started) = (cpu(), std::time::Instant::now());
        let result = what();
        (Cost { cpu: cpu() - before, wall: started.elapsed().as_secs_f64() }, result)
    }

    fn add(&mut self, other: Cost) {
        (self.cpu, self.wall) = (self.cpu + other.cpu, self.wall + other.wall);
    }

    /// So many rows at this cost.
    fn rate(self, rows: i64) -> String {
        format!("{:.0} k/s of CPU, {:.0} k/s by the clock", rows as f64 / self.cpu / 1e3, rows as f64 / self.wall / 1e3)
    }
}

struct Bench<S> {
    sink: S,
    claim: Claim,
    number: u64,
}

impl<S: Warehouse> Bench<S> {
    fn new(mut sink: S) -> Bench<S> {
        let claim = sink.claim(MadeBy::Run, None).expect("claims");
        Bench { sink, claim, number: 0 }
    }

    /// Applies a commit, and tells what it cost.
    fn apply(&mut self, fill: impl FnOnce(&mut Commit)) -> Cost {
        self.number += 1;
        let mut commit = commit(self.number);
        fill(&mut commit);
        Cost::of(|| self.sink.apply(&self.claim, &commit).expect("applies")).0
    }

    fn run(mut self) {
        println!("{}", self.sink.name());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (rows, commits) = (100_000_i64, 20);
        let (mut spent, mut first) = (Cost::default(), Cost::default());
        for number in 0..commits {
            let views = (0..rows).map(|n| view(&mut random, n / (rows / 4), number * rows + n)).collect();
            let cost = self.apply(|commit| drop(commit.appends.insert(table("item_view_events"), views)));
            spent.add(cost);
            if number < 7 {
                first.add(cost);
            }
        }
        println!(
            "  raw rows, commits of {rows}: {} (the first 700,000: {})",
            spent.rate(commits * rows),
            first.rate(7 * rows)
        );
        let users = 1_000_000;
        let all = (0..users).map(|id| Delta::Upsert(user(&mut random, id))).collect();
        let cost = self.apply(|commit| drop(commit.deltas.insert(table("users"), all)));
        println!("  a first commit of {users} rows: {}", cost.rate(users));
        let (upserts, commits) = (10_000, 200);
        let (mut spent, mut written) = (Cost::default(), 0);
        for _ in 0..commits {
            let ids: BTreeSet<i64> = (0..upserts).map(|_| random.random_range(0..users)).collect();
            written += ids.len() as i64;
            let deltas = ids.into_iter().map(|id| Delta::Upsert(user(&mut random, id))).collect();
            spent.add(self.apply(|commit| drop(commit.deltas.insert(table("users"), deltas))));
        }
        println!("  upserts into them, commits of {upserts}: {}", spent.rate(written));
        let (cost, read) = Cost::of(|| {
            let (mut after, mut read) = (None::<Vec<Value>>, 0);
            loop {
                let page = self.sink.page(table("users"), after.as_deref(), 4096).expect("readable");
                read += page.len() as i64;
                let Some(last) = page.last() else { return read };
                after = Some(last[..1].to_vec());
            }
        });
        println!("  read back: {}", cost.rate(read));
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    Bench::new(Sqlite::open(all(), &path("bench.db")).expect("opens")).run();
    let settings = Feed { path: path("feed").display().to_string(), ..Feed::default() };
    Bench::new(Parquet::open(all(), &settings).expect("opens")).run();
    if std::env::var_os("DELTAMART_KEEP").is_some() {
        println!("kept in {}", folder.keep().display());
    }
}
