//! The sources and models of the dbt package are those that the program prints.

use super::{assert_is_made, root};
use crate::cli::{deltamart, said};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(files_of(&path, folder));
        }
    }
    files
}

fn files_of(inner: &Path, folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(inner).expect("a folder").map(|entry| entry.expect("entry").path());
    entries.map(|path| path.strip_prefix(folder).expect("inside").to_path_buf()).collect()
}

#[test]
fn the_models_of_dbt_are_made_of_the_declarations() {
    let made = tempfile::tempdir().expect("a folder");
    for model in ["store", "media"] {
        let (code, text) =
            said(&deltamart(made.path(), &["schema", "--for", "dbt", "--out", "made", "--model", model]));
        assert_eq!(code, Some(0), "{text}");
    }
    let made = made.path().join("made");
    let (is, is_made) = (files(&root().join("dbt/models")), files(&made));
    assert!(is_made.len() > 36, "{is_made:?}");
    for path in &is_made {
        let text = std::fs::read_to_string(made.join(path)).expect("readable");
        let committed = root().join("dbt/models").join(path);
        std::fs::create_dir_all(committed.parent().expect("in a folder")).expect("made");
        assert_is_made(&format!("dbt/models/{}", path.display()), &text);
    }
    let left: Vec<_> = is.difference(&is_made).collect();
    assert!(left.is_empty(), "nobody declares these tables any more: remove {left:?} from dbt/models");
}

#[test]
fn what_is_asked_for_dbt_alone_is_refused_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |arguments: &[&str]| {
        let (code, text) = said(&deltamart(folder.path(), arguments));
        assert_ne!(code, Some(0), "{text}");
        text
    };
    assert!(refused(&["schema", "--out", "models"]).contains("give `--for dbt` too"));
    assert!(refused(&["schema", "--for", "duckdb"]).contains("`--set feed.path=FOLDER`"));
}
