//! The program itself, killed with no warning over and over while it reads a long file: in the end the
//! tables are those of a run that nobody disturbed, and readers saw whole commits all the while.

use crate::support;
use deltamart::families::all;
use deltamart::sink::Sink;
use deltamart::sink::sqlite::{Sqlite, quoted};
use deltamart::state_dir::StateDir;
use deltamart::store::open_to_read;
use rand::{RngExt, SeedableRng};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// How often the program is killed.
const KILLS: usize = 50;

fn run(folder: &Path, warehouse: &str, workers: usize) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped());
    command.args(["run", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--warehouse", warehouse]);
    command.args(["-w", &workers.to_string()]);
    for set in ["epoch_events=300", "epoch_interval=2ms", "commit_interval=3ms", "snapshot_interval=20ms"] {
        command.args(["--set", set]);
    }
    command
}

/// The last journaled epoch of a warehouse that is killed.
pub fn journaled(folder: &Path) -> u64 {
    let store = open_to_read(&folder.join("killed.db.state").display().to_string()).expect("a folder");
    let Ok(Some(dir)) = StateDir::open_to_read(store) else { return 0 };
    dir.chain().map_or(0, |chain| chain.end())
}

/// Waits until so much is journaled, reading the warehouse meanwhile; tells whether the program ended.
fn watch(folder: &Path, child: &mut Child, until: u64, last: &mut u64) -> bool {
    loop {
        look(folder, last);
        if let Some(status) = child.try_wait().expect("asks") {
            let mut why = String::new();
            std::io::Read::read_to_string(child.stderr.as_mut().expect("piped"), &mut why).expect("text");
            assert!(status.success(), "{why}");
            return true;
        }
        if journaled(folder) >= until {
            return false;
        }
    }
}

/// One read transaction sees one commit: no row is newer than the progress, which never goes back.
fn look(folder: &Path, last: &mut u64) {
    let Ok(mut sink) = Sqlite::open_to_read(all(), &folder.join("killed.db")) else { return };
    if sink.connection().execute_batch("BEGIN").is_err() {
        return;
    }
    let Ok(Some(progress)) = sink.position() else { return };
    assert!(progress.epoch >= *last, "the epoch went from {last} to {}", progress.epoch);
    *last = progress.epoch;
    for id in all().tables() {
        let sql = format!("SELECT COALESCE(MAX(_epoch), 0) FROM {}", quoted(id.table().name));
        let newest = sink.connection().query_row(&sql, [], |row| row.get::<_, i64>(0));
        assert!(newest.is_ok_and(|newest| newest as u64 <= progress.epoch), "`{}` is ahead", id.table().name);
    }
}

#[test]
fn killed_fifty_times_it_ends_as_if_nothing_had_happened() {
    // How far it comes before we look again depends on what else the machine does.
    let long_enough = [60_000, 240_000, 960_000].into_iter().any(killed_over_and_over);
    assert!(long_enough, "it came to its end before it was killed {KILLS} times, however long the file");
}

/// Kills the program so often while it reads so many events; tells whether it could be.
fn killed_over_and_over(events: u32) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let simulated = Command::new(env!("CARGO_BIN_EXE_deltamart"))
        .current_dir(folder)
        .args(["simulate", "--out", "shop", "--events", &events.to_string()])
        .stdout(Stdio::null())
        .status();
    assert!(simulated.expect("starts").success());
    let undisturbed = run(folder, "whole.db", 2).output().expect("starts");
    assert!(undisturbed.status.success(), "{}", String::from_utf8_lossy(&undisturbed.stderr));

    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let (mut kills, mut last) = (0, 0);
    loop {
        let until = if kills < KILLS { journaled(folder) + dice.random_range(1..=8) } else { u64::MAX };
        let mut child = run(folder, "killed.db", dice.random_range(1..=3)).spawn().expect("starts");
        if watch(folder, &mut child, until, &mut last) {
            break;
        }
        child.kill().expect("kills");
        child.wait().expect("is gone");
        kills += 1;
    }
    println!("{events} events, kills: {kills}, then the end, at epoch {last}");
    let (killed, whole) = (support::stored(&folder.join("killed.db")), support::stored(&folder.join("whole.db")));
    assert_eq!(killed.len(), whole.len());
    if let Some((killed, whole)) = killed.iter().zip(&whole).find(|(killed, whole)| killed != whole) {
        panic!("killed: {killed}\n whole: {whole}");
    }
    let verified = Command::new(env!("CARGO_BIN_EXE_deltamart"))
        .current_dir(folder)
        .args(["verify", "--warehouse", "killed.db"])
        .output()
        .expect("starts");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    kills == KILLS
}
