//! `init`: a file of all settings and a model, to begin with.

use super::{Refused, text};
use crate::config::DEFAULT_FILE;
use crate::config::written::commented;
use crate::model::example::{FILES, views};
use crate::model::shipped;
use anyhow::{Context, Result, anyhow};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where a model is looked for, if no setting says so.
const MODEL: &str = "model";

/// Writes the file; one that is there is left as it is. With it comes an example of a model, or a copy of the one that is
/// asked for.
pub(super) fn init(path: &Path, asked: Option<&Path>) -> Result<()> {
    let files = match asked {
        None => FILES,
        Some(asked) => match asked.to_str().and_then(shipped::named) {
            Some(shipped) => shipped.files,
            None => {
                let (asked, all) = (asked.display(), shipped::names());
                let why = format!("`--model {asked}`: no model of this name comes with deltamart; there are {all}");
                return Err(Refused(why).into());
            }
        },
    };
    let shown = path.display();
    // A password that is written into it by mistake is not for others to read.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let why = format!(
                "`{shown}` is there already, and is left as it is\nname another file:  {} init FILE",
                text::word(&text::program())
            );
            return Err(Refused(why).into());
        }
        file => file.with_context(|| format!("could not make the configuration file `{shown}`"))?,
    };
    file.write_all(commented().as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("could not write the configuration file `{shown}`"))?;
    let config = match path == Path::new(DEFAULT_FILE) {
        true => String::new(),
        false => format!(" --config {}", text::word(&shown.to_string())),
    };
    say!("`{shown}` has every setting, commented out, with its meaning and its default; edit it, and then:");
    let next = [
        ("see what is set, and whether it works", format!("check{config}")),
        ("begin", format!("run FILES --catalog FILE{config}")),
    ];
    say!("{}", text::next_lines(&next));
    model(Path::new(MODEL), files)
}

/// Makes a model to begin with; a folder that is there is left as it is.
fn model(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            say!("folder `{}` is there already, and is left as it is", folder.display());
            return Ok(());
        }
        made => made.with_context(|| format!("could not make the folder `{}`", folder.display()))?,
    }
    let views = views(files).map_err(|_| anyhow!("the model that this program ships cannot be read"))?;
    let files: Vec<_> = files.iter().copied().chain([("duckdb.sql", views.as_str())]).collect();
    for (name, text) in &files {
        let path = folder.join(name);
        if let Some(within) = path.parent() {
            let why = || format!("could not make the folder `{}`", within.display());
            std::fs::create_dir_all(within).with_context(why)?;
        }
        std::fs::write(&path, text).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    let names: Vec<_> = files.iter().map(|(name, _)| format!("`{name}`")).collect();
    say!(
        "folder `{}` has events, metrics and cases of them to begin with, and views of the events for DuckDB ({}): change \
         them, or delete the folder if you need none",
        folder.display(),
        names.join(", ")
    );
    Ok(())
}
