//! What the Parquet feed costs: `cargo bench --bench feed`. CPU seconds, so that neighbours do not count:
//! raw rows appended in commits of 100,000; upserts in commits of 10,000 into a table of a million rows,
//! merges included; the table read back.

use dataflows::table::{TableId, Value};
use deltamart::config::feed::Feed;
use deltamart::delta::Delta;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::{Claim, Commit, MadeBy, Sink, Stored};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

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
        watermark: number as i64,
        positions: BTreeMap::new(),
        deltas: BTreeMap::new(),
        appends: BTreeMap::new(),
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

struct Bench {
    sink: Parquet,
    claim: Claim,
    number: u64,
}

impl Bench {
    fn new(folder: &std::path::Path) -> Bench {
        let settings = Feed { path: folder.display().to_string(), ..Feed::default() };
        let mut sink = Parquet::open(&settings).expect("opens");
        let claim = sink.claim(MadeBy::Run, None).expect("claims");
        Bench { sink, claim, number: 0 }
    }

    /// Applies a commit, and tells what it cost.
    fn apply(&mut self, fill: impl FnOnce(&mut Commit)) -> f64 {
        self.number += 1;
        let mut commit = commit(self.number);
        fill(&mut commit);
        let before = cpu();
        self.sink.apply(&self.claim, &commit).expect("applies");
        cpu() - before
    }
}

fn main() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new(folder.path());
    let (rows, commits) = (100_000_i64, 20);
    let (mut spent, mut first) = (0.0, 0.0);
    for number in 0..commits {
        let views = (0..rows).map(|n| view(&mut random, n / (rows / 4), number * rows + n)).collect();
        let cost = bench.apply(|commit| drop(commit.appends.insert(TableId::ItemViewEvents, views)));
        (spent, first) = (spent + cost, if number < 7 { first + cost } else { first });
    }
    println!(
        "raw rows: {:.2} M/s before any merge, {:.2} M/s with merges",
        7.0 * rows as f64 / first / 1e6,
        (commits * rows) as f64 / spent / 1e6
    );

    let users = 1_000_000;
    let all = (0..users).map(|id| Delta::Upsert(user(&mut random, id))).collect();
    let cost = bench.apply(|commit| drop(commit.deltas.insert(TableId::Users, all)));
    println!("a first commit of {users} rows: {:.2} M/s", users as f64 / cost / 1e6);
    let (upserts, commits) = (10_000, 200);
    let mut spent = 0.0;
    for _ in 0..commits {
        let ids: BTreeSet<i64> = (0..upserts).map(|_| random.random_range(0..users)).collect();
        let deltas = ids.into_iter().map(|id| Delta::Upsert(user(&mut random, id))).collect();
        spent += bench.apply(|commit| drop(commit.deltas.insert(TableId::Users, deltas)));
    }
    println!("upserts into them: {:.0} k/s, merges included", (upserts * commits) as f64 / spent / 1e3);

    let before = cpu();
    let (mut after, mut read) = (None::<Vec<Value>>, 0);
    loop {
        let page = bench.sink.page(TableId::Users, after.as_deref(), 4096).expect("readable");
        read += page.len();
        let Some(last) = page.last() else { break };
        after = Some(last[..1].to_vec());
    }
    println!("read back: {:.2} M rows/s of {read}", read as f64 / (cpu() - before) / 1e6);
    if std::env::var_os("DELTAMART_KEEP").is_some() {
        println!("kept in {}", folder.keep().display());
    }
}
