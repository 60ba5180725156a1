//! `simulate`: the shop in files, to read, to keep and to run from.

use super::text::{grouped, program};
use crate::config::Config;
use crate::simulate::items::movies_txt;
use crate::simulate::items_of;
use crate::simulate::shop::Shop;
use crate::simulate::wire::json_produced;
use crate::source::movies::Movies;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub(super) fn simulate(config: &Config, out: &Path, items: usize) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("could not make folder `{}`", out.display()))?;
    let catalog = out.join("Movies.txt");
    std::fs::write(&catalog, movies_txt(items, config.simulate.seed))
        .with_context(|| format!("could not write `{}`", catalog.display()))?;
    let sold = items_of(Movies::file("Movies.txt", &catalog, config.simulate.start - 1)?)?;
    let events = out.join("events.jsonl");
    let written = || format!("could not write `{}`", events.display());
    let mut file = BufWriter::new(File::create(&events).with_context(written)?);
    for produced in Shop::new(config, sold.iter().map(|item| item.item_id.clone()).collect()) {
        writeln!(file, "{}", json_produced(&produced)).with_context(written)?;
    }
    file.flush().with_context(written)?;
    say!("{} items in {}", grouped(items as u64), catalog.display());
    say!("{} events in {}", grouped(config.simulate.events), events.display());
    let program = program();
    say!("\nas if live:   {program} run {} --catalog {}", events.display(), catalog.display());
    say!("as a batch:   {program} batch {} --catalog {}", events.display(), catalog.display());
    Ok(())
}
