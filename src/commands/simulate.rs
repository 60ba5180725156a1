//! `simulate`: the shop in files, to read, to keep and to run from.

use super::outcome::Outcome;
use super::text::{free_warehouse, grouped, next_lines, word};
use crate::config::Config;
use crate::simulate::items::movies_txt;
use crate::simulate::items_of;
use crate::simulate::shop::Shop;
use crate::simulate::wire::json_produced;
use crate::source::movies::Movies;
use crate::spoken::spoken;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub(super) fn simulate(config: &Config, out: &Path, items: usize) -> Result<Outcome> {
    std::fs::create_dir_all(out).with_context(|| format!("could not make folder `{}`", out.display()))?;
    let catalog = out.join("Movies.txt");
    std::fs::write(&catalog, movies_txt(items, config.simulate.seed))
        .with_context(|| format!("could not write `{}`", catalog.display()))?;
    let sold = items_of(Movies::file("Movies.txt", &catalog, config.simulate.start - 1)?)?;
    let events = out.join("events.jsonl");
    let written = || format!("could not write `{}`", events.display());
    let naming = config.rules.shop.naming;
    let mut file = BufWriter::new(File::create(&events).with_context(written)?);
    for produced in Shop::new(config, sold.iter().map(|item| item.item_id.clone()).collect()) {
        writeln!(file, "{}", spoken(naming, &json_produced(&produced))).with_context(written)?;
    }
    file.flush().with_context(written)?;
    say!("{} items in {}", grouped(items as u64), catalog.display());
    say!("{} events in {}", grouped(config.simulate.events), events.display());
    let of = |path: &Path| word(&path.to_string_lossy());
    let given = format!("{} --catalog {}", of(&events), of(&catalog));
    let (live, batch) = (of(&free_warehouse(out, "live")), of(&free_warehouse(out, "batch")));
    // Files are not read beside Kafka; where that is configured, it is left out.
    let alone = if config.kafka.is_given() { " --brokers ''" } else { "" };
    let next = [
        ("as if live", format!("run {given} --warehouse {live}{alone}")),
        ("look at a table", format!("show movie_sales_metrics --warehouse {live}")),
        ("as a batch", format!("batch {given} --warehouse {batch}")),
        ("every metric by its SQL", format!("verify --warehouse {batch}")),
    ];
    say!("\n{}", next_lines(&next));
    let paths = [&events, &catalog].map(|path| path.to_string_lossy().into_owned());
    Ok(Outcome::of(true).with("records", config.simulate.events).with("items", items).with("files", paths.to_vec()))
}
