//! A feed that every process of a run writes: each its own rows and its share of what is merged, and one publishes.

use super::{ROOT, claim, commits, never, on, rows, states};
use deltamart::config::feed::Feed;
use deltamart::sink::{Commit, Sink, SinkError};
use deltamart::store::Store;
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// The files of a process that does not lead.
fn of_process_1(disk: &SimulatedDisk) -> Vec<String> {
    let files = disk.files().into_iter().map(|path| path.display().to_string());
    files.filter(|path| path.contains("-p001-")).collect()
}

/// Process 1 wrote some rows of a commit, and process 0 the others.
fn in_two(commit: &Commit) -> [Commit; 2] {
    let rest = Commit { deltas: BTreeMap::new(), ..commit.clone() };
    let own = Commit { appends: BTreeMap::new(), ..commit.clone() };
    [rest, own]
}

#[test]
fn what_a_process_writes_counts_once_it_is_published_and_is_removed_if_it_never_is() {
    let settings = Feed { rows_per_file: 2, merge_runs: 2, ..Feed::default() };
    let commits = commits(&mut ChaCha8Rng::seed_from_u64(3), 41);
    let states = states(&commits, never);
    let refused = |result: Result<(), SinkError>| result.expect_err("refused").to_string();
    let disk = SimulatedDisk::new();
    let mut sink = on(&disk, &settings).expect("opens");
    let by = claim(&mut sink).expect("claims");
    let [mut leads, mut other] = [0, 1].map(|process| sink.shard(process, 2).expect("every process can write it"));
    let (last, published) = commits.split_last().expect("commits");
    let mut merging = BTreeSet::new();
    for (commit, state) in published.iter().zip(&states[1..]) {
        let [rest, own] = in_two(commit);
        let mut pieces = other.write(&by, &own).expect("writes");
        assert_eq!(pieces, other.write(&by, &own).expect("writes again"), "the same");
        let nothing = Commit { appends: BTreeMap::new(), ..rest.clone() };
        pieces.extend(leads.write(&by, &nothing).expect("merges what falls to it"));
        sink.apply(&by, &Commit { pieces, ..rest }).expect("applies");
        assert_eq!(rows(&mut sink), state[0], "epoch {}", commit.epoch);
        let paths = disk.files().into_iter().map(|path| path.display().to_string());
        let merged = paths.filter(|path| path.contains("/merged/"));
        merging.extend(merged.filter_map(|path| Some(path[path.find("-p")?..][..6].to_owned())));
    }
    assert_eq!(merging, ["-p000-".to_owned(), "-p001-".to_owned()].into(), "each merges its share");
    // Nobody publishes what it writes last: another start has taken over.
    let before = of_process_1(&disk);
    let [rest, own] = in_two(last);
    let pieces = other.write(&by, &own).expect("writes");
    assert!(of_process_1(&disk).len() > before.len());
    let mut next = on(&disk, &settings).expect("opens");
    let by_next = claim(&mut next).expect("claims");
    assert!(refused(sink.apply(&by, &Commit { pieces, ..rest })).contains("taken over"));
    assert!(refused(other.write(&by, &own).map(drop)).contains("taken over"), "a zombie");
    next.apply(&by_next, last).expect("applies");
    assert_eq!(rows(&mut next), states[commits.len()][0]);
    assert_eq!(of_process_1(&disk), before, "what nobody published is gone, and nothing else");
    // A process that reaches another feed is told so.
    let mut elsewhere = on(&SimulatedDisk::new(), &settings).expect("opens");
    assert!(refused(elsewhere.shard(1, 2).expect("a side").check(&by_next)).contains("removed"));
}

#[test]
fn what_cannot_be_merged_does_not_end_a_commit() {
    let settings = Feed { merge_runs: 2, ..Feed::default() };
    let commits = commits(&mut ChaCha8Rng::seed_from_u64(3), 41);
    let disk = SimulatedDisk::new();
    let mut sink = on(&disk, &settings).expect("opens");
    let by = claim(&mut sink).expect("claims");
    // It alone writes and merges; what it has written is damaged before the next commit.
    let mut only = sink.shard(0, 1).expect("it can write");
    let store = Local::on(disk.clone(), ROOT).expect("opens");
    for commit in &commits {
        let [rest, own] = in_two(commit);
        let pieces = only.write(&by, &own).expect("writes all the same");
        sink.apply(&by, &Commit { pieces, ..rest }).expect("applies");
        assert_eq!(sink.position().expect("readable").expect("claimed").epoch, commit.epoch);
        let of_users = store.list("users/").expect("listed");
        of_users.iter().for_each(|path| store.put(path, b"damaged").expect("written"));
    }
    assert!(store.list("users/deltas/").expect("listed").len() > 10, "there was enough to merge");
    assert_eq!(store.list("users/merged/").expect("listed"), Vec::<String>::new());
}
