//! `init`: a file of all settings, to begin with.

use super::{Refused, text};
use crate::config::DEFAULT_FILE;
use crate::config::written::commented;
use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the file; one that is there is left as it is.
pub(super) fn init(path: &Path) -> Result<()> {
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
    Ok(())
}
