//! What a run says when it begins: what it reads, into what, and where it goes on.

use super::IN_MEMORY;
use super::named::Named;
use super::text::{count, grouped, sized};
use crate::config::Config;
use crate::engine::Resume;
use crate::kafka::cluster::Cluster;
use crate::shown;
use crate::source::names::called;
use std::path::{Path, PathBuf};

/// Positions of so many partitions are named.
const NAMED: usize = 3;

/// What a run reads.
pub(super) struct What<'a> {
    pub named: &'a Named,
    pub cluster: Option<&'a Cluster>,
    pub resume: &'a Resume,
}

/// Says what is read, of how much, into what, where it can be seen; and that it may be stopped.
pub(super) fn say_what_is_read(config: &Config, read: &What<'_>, url: Option<String>) {
    let (workers, warehouse) = (count(config.workers as u64, "worker"), config.first_place());
    let seen = url.map_or(String::new(), |url| format!(" See it at {url} while it runs."));
    let into = match config.warehouse == Path::new(IN_MEMORY) {
        true => format!("into memory, which is gone at the end.{seen}"),
        false => format!(
            "into `{warehouse}`.{seen} Ctrl-C is safe: what was read is committed first, and the next run goes on from there."
        ),
    };
    shown::complain(&format!("{}, by {workers}, {into}", what(config, read)));
}

fn what(config: &Config, What { named, cluster, resume }: &What<'_>) -> String {
    let catalogs = match &named.catalogs[..] {
        [] => String::new(),
        [one] => format!(" and catalog {}", called(one)),
        more => format!(" and {} catalogs", more.len()),
    };
    let reading = if named.follows { "following" } else { "reading" };
    let files = || format!("{reading} {}{catalogs}", files(&named.files));
    if let Some(watched) = &named.watched {
        let until = if named.to_end { ", until nothing is left that can be taken" } else { "" };
        return format!("watching folder `{}`{catalogs}{until}", watched.folder.display());
    }
    let Some(cluster) = cluster else {
        let shop = &config.simulate;
        let rate = if shop.rate == 0 { "as fast as it goes".to_owned() } else { format!("{}/s", grouped(shop.rate)) };
        let days = count(u64::from(shop.days), "day");
        let simulated = || match resume.epoch {
            0 => format!("simulating a shop: {} events of {days}, {rate}", grouped(shop.events)),
            // How many of them are left is not known before they are made.
            _ => format!("going on with the simulated shop, {rate}"),
        };
        return if named.files.is_empty() { simulated() } else { files() };
    };
    let records: i64 = cluster.partitions.iter().map(|found| found.high - found.low).sum();
    let (partitions, records) = (count(cluster.partitions.len() as u64, "partition"), grouped(records.unsigned_abs()));
    let kafka = format!("reading Kafka at {}: {partitions}, {records} records so far", config.kafka.brokers);
    let until = if named.to_end { ", to where they end now" } else { "" };
    match named.files.is_empty() {
        true => format!("{kafka}{until}"),
        false => format!("{}, then {kafka}{until}", files()),
    }
}

fn files(files: &[PathBuf]) -> String {
    let bytes = files.iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum();
    match files {
        [one] => format!("{} ({})", called(one), sized(bytes)),
        more => format!("{} ({})", count(more.len() as u64, "file"), sized(bytes)),
    }
}

/// Says where a run goes on, if it does.
pub(super) fn say_where_it_goes_on(resume: &Resume) {
    if resume.epoch == 0 || resume.positions.is_empty() {
        return;
    }
    let read = resume
        .positions
        .iter()
        .take(NAMED)
        .map(|(partition, next)| format!("{partition} up to {}", grouped(next.unsigned_abs().saturating_sub(1))));
    let more = resume.positions.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", and {more} more (`status` lists them)") } else { String::new() };
    let read = read.collect::<Vec<_>>().join(", ");
    shown::complain(&format!("continued from epoch {}; read before: {read}{more}", grouped(resume.epoch)));
}
