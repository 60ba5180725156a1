//! Keys, warehouses and state do not belong into a repository of source code.

use std::path::Path;
use std::process::{Command, Stdio};

/// What to do about a file that Git would take into a repository; nothing if it is in none, or ignored there.
pub(super) fn hint(path: &Path, pattern: &str) -> Option<String> {
    let name = path.file_name()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut git = Command::new("git");
    git.current_dir(folder).args(["check-ignore", "-q", "--"]).arg(name);
    let asked = git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    // 0: it is ignored; 1: it is not; 128: this is not a repository.
    (asked.code() == Some(1)).then(|| {
        let path = path.display();
        format!("`{path}` is in a Git repository and not ignored there: add a line `{pattern}` to its .gitignore")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_repository_would_take_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.p8");
        assert_eq!(hint(&path, "*.p8"), None, "a folder that is in no repository");
        let init = Command::new("git").args(["init", "-q"]).current_dir(folder.path()).status();
        assert!(init.expect("git, which cloned this").success());
        assert!(hint(&path, "*.p8").is_some_and(|hint| hint.contains("`*.p8`")));
        std::fs::write(folder.path().join(".gitignore"), "*.p8\n").expect("writes");
        assert_eq!(hint(&path, "*.p8"), None);
    }
}
