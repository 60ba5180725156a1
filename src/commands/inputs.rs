//! What a run reads: files, the simulated shop, Kafka, or files and then Kafka.

use super::given::given;
use super::named::{Begin, Named};
use super::waiting::insist;
use super::{IN_MEMORY, Refused, watched};
use crate::config::Config;
use crate::config::kafka::Format;
use crate::engine::{Elsewhere, partition_name};
use crate::instant;
use crate::kafka::KafkaError;
use crate::kafka::cluster::{Cluster, KnownPartitions};
use crate::kafka::loss::Loss;
use crate::kafka::registry::Registry;
use crate::kafka::registry::clock::Clock;
use crate::kafka::watch::Watch;
use crate::recovery::Past;
use crate::simulate::{SAMPLE, Simulator, items_of};
use crate::source::follow::Follow;
use crate::source::kafka::{self, Mode, Share};
use crate::source::lines::Lines;
use crate::source::movies::Movies;
use crate::source::sniff::Kind;
use crate::source::span::Span;
use crate::source::whose::whose;
use crate::source::{Partition, Source};
use crate::state_dir::StateDir;
use crate::stats::Stats;
use anyhow::Result;
use dataflows::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What is read.
pub(super) struct Inputs {
    /// In the order of their partitions' numbers.
    pub sources: Vec<Box<dyn Source>>,
    /// What is read of Kafka.
    pub cluster: Option<Cluster>,
    /// What of that each of the other processes reads.
    pub shares: Vec<Allotted>,
    /// Dropped, it does not look for new partitions any more.
    pub watch: Option<Watch>,
}

/// What another process reads, as it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Allotted {
    share: Share,
    /// Events from this instant on are taken.
    since: Instant,
    is_anew: bool,
}

impl Allotted {
    /// The sources as all processes number them.
    fn elsewhere(&self, process: usize, workers: usize) -> Vec<Elsewhere> {
        let takes = (self.since, Instant::MAX);
        let groups = self.share.grouped(workers).into_iter();
        groups.map(|group| Elsewhere::racing(process, group.into_iter(), takes)).collect()
    }

    /// Opens what is to be read, of a state.
    pub(super) fn open(self, config: &Config, dir: Option<&StateDir>) -> Result<Vec<Box<dyn Source>>> {
        let registry = registry(config, dir, self.is_anew)?;
        let read = self.share.sources(&config.kafka, registry.as_ref(), config.workers).map_err(refused)?;
        Ok(read.into_iter().map(|source| since(source, self.since)).collect())
    }
}

/// Of a source what happened from an instant on.
fn since(source: Box<dyn Source>, since: Instant) -> Box<dyn Source> {
    if since == Instant::MIN { source } else { Box::new(Span::new(source, since, Instant::MAX)) }
}

/// The registry, if payloads need one.
fn registry(config: &Config, dir: Option<&StateDir>, is_anew: bool) -> Result<Option<Arc<Registry>>> {
    match config.kafka.format {
        Format::Avro => {
            let registry = Registry::with(&config.registry, dir, is_anew, Clock::default());
            Ok(Some(Arc::new(registry.map_err(refused)?)))
        }
        Format::Json | Format::JsonSchema => Ok(None),
    }
}

impl Inputs {
    /// Opens everything that process 0 of so many reads, of a state if there is any; waits for brokers that are unavailable until
    /// it is told to stop.
    /// Calls `grown` when there are more partitions than were opened, or a file that is followed is another one.
    pub(super) fn open(
        config: &Config,
        named: &Named,
        past: &Past,
        dir: Option<&StateDir>,
        begin: Begin,
        (stop, stats, processes): (&AtomicBool, &Stats, usize),
        grown: impl Fn() + Send + 'static,
    ) -> Result<Inputs> {
        let from_files = |sources| Inputs { sources, cluster: None, shares: Vec::new(), watch: None };
        if let Some(watched) = &named.watched {
            return Ok(from_files(watched::sources(config, (named, watched), past, dir, begin)?));
        }
        if !config.kafka.is_given() {
            let follow = named.files.first().filter(|_| named.follows).map(|path| Follow::new(path.clone(), grown));
            let sources = match named.files.is_empty() {
                true => vec![shop(config, named)?],
                false => given(config, named, past, (begin, follow))?,
            };
            return Ok(from_files(sources));
        }
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        let mut kafka_config = config.kafka.clone();
        if let Some(until) = named.backfill_until {
            for history in given(config, named, past, (begin, None))? {
                sources.push(Box::new(Span::new(history, Instant::MIN, until).history()));
            }
            // An event may be dated after its record, by as much as a clock may be fast.
            kafka_config.start = instant::show(until - config.rules.time.max_future);
        }
        let is_anew = matches!(begin, Begin::Again { .. });
        let registry = registry(config, dir, is_anew)?;
        let known = KnownPartitions {
            begins: past.begins.clone(),
            identities: past.identities.clone(),
            loss: match begin {
                Begin::Again { accept_loss: true } => Loss::Forgotten,
                Begin::GoOn { accept_loss: true, .. } => Loss::Passed(past.positions.clone()),
                Begin::Again { accept_loss: false } | Begin::GoOn { accept_loss: false, .. } => Loss::Refused,
            },
        };
        let cluster = patiently(stop, stats, || Cluster::look(&kafka_config, &known))?;
        for topic in &cluster.missing {
            tracing::warn!("Kafka: there is no topic `{topic}`; it is read from its beginning when it comes to be");
        }
        let mode = Mode { to_end: named.to_end, follows: named.backfill_until.is_some() };
        let own = cluster.of(0, processes);
        let read = kafka::sources(&kafka_config, &own, registry.as_ref(), config.workers, mode).map_err(refused)?;
        let from = named.backfill_until.unwrap_or(Instant::MIN);
        sources.extend(read.into_iter().map(|source| since(source, from)));
        let share = |process| Share::of(&cluster, (process, processes), mode);
        let shares: Vec<_> =
            (1..processes).map(|process| Allotted { share: share(process), since: from, is_anew }).collect();
        let idle = shares.iter().filter(|allotted| allotted.share.is_empty()).count();
        if idle > 0 {
            tracing::warn!("Kafka: {idle} of {processes} processes have no partition to read, and only compute");
        }
        let watch =
            // What is in memory only could not go on.
            if named.to_end || config.warehouse == Path::new(IN_MEMORY) { None } else { Some(Watch::start(&config.kafka, &cluster, grown).map_err(refused)?) };
        Ok(Inputs { sources, cluster: Some(cluster), shares, watch })
    }

    /// Where each partition is read from if nothing of it was journaled.
    pub(super) fn begins(&self) -> BTreeMap<String, i64> {
        self.cluster.as_ref().map(|cluster| cluster.begins.clone()).unwrap_or_default()
    }

    /// What the other processes read, as all of them number it.
    pub(super) fn elsewhere(&self, workers: usize) -> Vec<Elsewhere> {
        (1..).zip(&self.shares).flat_map(|(process, share)| share.elsewhere(process, workers)).collect()
    }

    /// What makes each partition the log it is.
    pub(super) fn identities(&self) -> BTreeMap<String, String> {
        let mut identities = BTreeMap::new();
        for source in &self.sources {
            let numbered = source.partitions().into_iter().enumerate();
            let of = |(n, found): (usize, Partition)| Some((partition_name(&found), source.identity(n as u32)?));
            identities.extend(numbered.filter_map(of));
        }
        identities.extend(self.cluster.iter().flat_map(|cluster| cluster.identities.clone()));
        identities
    }

    /// The family of each partition.
    pub(super) fn families(&self) -> BTreeMap<String, String> {
        let partitions = self.sources.iter().flat_map(|source| source.partitions());
        let own = partitions.map(|found| (partition_name(&found), found.family.name().to_owned()));
        let of_cluster = self.cluster.iter().flat_map(|cluster| &cluster.partitions);
        own.chain(of_cluster.map(|found| (found.name(), found.family().name().to_owned()))).collect()
    }

    /// The names of the partitions.
    pub(super) fn partitions(&self) -> Vec<String> {
        self.families().into_keys().collect()
    }
}

/// What Kafka refuses is refused.
pub(super) fn refused(error: KafkaError) -> anyhow::Error {
    match error {
        KafkaError::Refused(why) => Refused(why).into(),
        away @ KafkaError::Away(_) => away.into(),
    }
}

/// Asks until it is answered, or told to stop.
fn patiently<T>(stop: &AtomicBool, stats: &Stats, ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T> {
    insist(stop, stats, |error| matches!(error, KafkaError::Away(_)), ask).map_err(refused)
}

/// The simulated shop, selling the given catalog or the sample.
fn shop(config: &Config, named: &Named) -> Result<Box<dyn Source>> {
    let just_before = config.simulate.start - 1;
    let catalog = match &named.catalogs[..] {
        [] => Movies::text("Movies.txt", SAMPLE, just_before),
        [one] => Movies::file("catalog", one, just_before)?,
        _ => return Err(Refused("the simulated shop sells one catalog: give one `--catalog`".to_owned()).into()),
    };
    Ok(Box::new(Simulator::new(config, items_of(catalog)?)))
}

/// Looks at every file that is named: what cannot be read is said before anything is made.
pub(super) fn look(config: &Config, named: &Named) -> Result<()> {
    for (paths, kind) in [(&named.catalogs, Kind::Catalog), (&named.files, Kind::Events)] {
        for path in paths {
            if Lines::open(path, kind)?.separator().is_some() {
                // A header that says too little is a mistake of the file too.
                whose(path, &named.whose, &config.rules)?;
            }
        }
    }
    Ok(())
}
