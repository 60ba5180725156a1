//! The real catalog: 8,701 items with all their dirt. Skipped, and says so, where it is absent.

use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_real_catalog_gives_its_rows_and_a_second_run_changes_none() {
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/movies/movies_rebuilt.txt.gz");
    if !catalog.exists() {
        // Not `println!`: the harness keeps what a passing test prints to itself.
        writeln!(std::io::stderr(), "skipped: the real catalog is not at `{}`", catalog.display()).expect("stderr");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let warehouse = folder.path().join("real.db");
    let batch = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_deltamart"))
            .args(["batch", "--catalog"])
            .arg(&catalog)
            .arg("--warehouse")
            .arg(&warehouse)
            .args(more)
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let all = |warehouse: &PathBuf| -> Vec<(String, Option<f64>, i64)> {
        let sink = Sqlite::open_to_read(all(), warehouse).expect("opens");
        let mut statement = sink
            .connection()
            .prepare("SELECT item_id, price, _epoch FROM movies_catalog ORDER BY 1")
            .expect("prepares");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("reads");
        rows.collect::<Result<_, _>>().expect("rows")
    };
    assert!(batch(&["-w", "2"]).contains("8,701 rows upserted"));
    let first = all(&warehouse);
    assert_eq!(first.len(), 8_701);
    assert_eq!(first.iter().filter(|(_, price, _)| price.is_some()).count(), 6_494);
    assert!(batch(&[]).contains("0 rows upserted, 0 deleted"));
    assert!(batch(&["--as-of", "2026-07-01"]).contains("0 rows upserted, 0 deleted"), "a file read again is no news");
    assert_eq!(all(&warehouse), first, "not even `_epoch` changes");
}
