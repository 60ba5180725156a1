//! A run of several processes.

use super::inputs::Allotted;
use super::{IN_MEMORY, Refused, options, stop_on_signals};
use crate::cli::RunArgs;
use crate::cluster::lead::{Gathered, Meeting};
use crate::cluster::member::{self, Following};
use crate::cluster::{Company, Secret};
use crate::config::Config;
use crate::config::{Loaded, Origin, hosts, secret};
use crate::engine::{self, Elsewhere, Ended, EngineError, Job, Joining, Kept};
use crate::families::{all, declared};
use crate::fingerprint;
use crate::recovery::replayed_elsewhere;
use crate::rules::{Rules, journaled};
use crate::sink::parquet::Parquet;
use crate::sink::{Claim, MadeBy, Shard, Sink};
use crate::state_dir::StateDir;
use crate::store;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

/// The processes that compute a run, if there are several.
///
/// # Errors
/// If what was said of them does not fit together, or the secret is not there.
pub(super) fn company(config: &Config, arguments: &RunArgs) -> Result<Option<Company>> {
    let refuse = |why: String| Err(Refused(why).into());
    let cluster = &config.cluster;
    let processes = cluster.processes;
    if !cluster.is_given() {
        return Ok(None);
    }
    if config.warehouse == Path::new(IN_MEMORY) && cluster.process == 0 {
        return refuse(format!("`--warehouse {IN_MEMORY}` belongs to one process; with `-n {processes}` name a file"));
    }
    let hosts = match &arguments.hostfile {
        None => cluster.places().map_err(|why| Refused(format!("setting `cluster.hosts`: {why}")))?,
        Some(path) => {
            let of = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("could not read `--hostfile {of}`"))?;
            hosts::parse(&text, processes).map_err(|why| Refused(format!("`--hostfile {of}`: {why}")))?
        }
    };
    let secret = match cluster.secret.as_str() {
        "" if hosts::are_of_this_machine(&hosts) && cluster.listen.is_empty() => Secret::default(),
        "" => {
            let why = "the processes are where others reach them too: that needs `cluster.secret`, which says where a text \
                       is found that all of them know, `file:PATH` or `env:NAME`";
            return refuse(why.to_owned());
        }
        place => secret::fetch(place)
            .and_then(|text| Secret::of(&text))
            .map_err(|why| Refused(format!("setting `cluster.secret`: {why}")))?,
    };
    let ms = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    Ok(Some(Company {
        hosts,
        process: cluster.process,
        workers: config.workers,
        listen: cluster.listen.clone(),
        secret,
        settings: settings(config)?,
        peer_timeout: ms(cluster.peer_timeout),
        meet_timeout: ms(cluster.meet_timeout),
        slow_after: ms(cluster.slow_after),
    }))
}

/// What records are judged by, as it is written down.
#[derive(Serialize)]
struct Judged {
    #[serde(with = "journaled")]
    rules: Rules,
}

/// A sum of what the dataflow is built of, and of what is made of a record: processes that differ in it cannot compute together.
fn settings(config: &Config) -> Result<u32> {
    let lanes = options(config, MadeBy::Run).lanes;
    let families: Vec<_> = lanes.iter().map(|lane| lane.family.clone()).collect();
    let built = lanes.iter().map(|lane| (lane.family.family().name(), lane.family.lane(), lane.idle_timeout_ms));
    let built: Vec<_> = built.collect();
    let judged = serde_json::to_string(&Judged { rules: config.rules.clone() })?;
    let (format, archived) = (config.kafka.format, &config.archive.topics);
    let print = fingerprint::of(all(), &families);
    Ok(crc32fast::hash(format!("{print:?} {built:?} {judged} {format:?} {archived:?}").as_bytes()))
}

/// Computes with the process that leads, until it ends.
///
/// # Errors
/// If the processes do not come together, or one of them is gone.
pub(super) fn follow(loaded: &Loaded, arguments: &RunArgs, company: &Company) -> Result<()> {
    let config = &loaded.config;
    let vain = given_in_vain(loaded, arguments);
    if !vain.is_empty() {
        let (process, vain) = (company.process, vain.join(", "));
        say!("process {process} reads and writes nothing, process 0 does: what is given here is left alone, {vain}");
    }
    let signalled = stop_on_signals()?;
    let following = Following {
        joins: &|plan, told| joining(config, company.process, plan, told).map_err(|error| format!("{error:#}")),
        stop: &signalled,
        says: &|what| drop(crate::shown::say(what)),
    };
    let followed = member::follow(company, &following);
    followed.map_err(|why| anyhow::anyhow!("{why}; what was committed is whole"))
}

/// What this process brings along: what it reads of the state, and of what all read.
fn joining(config: &Config, process: usize, plan: &engine::Plan, told: &str) -> Result<Joining> {
    let options = options(config, MadeBy::Run);
    let catalogue = options.commit.catalogue;
    let (mut dir, mut state, mut replay) = (None, Vec::new(), Vec::new());
    if let Some(kept) = plan.kept() {
        let place = state_of(config, kept).map_err(anyhow::Error::msg)?;
        state = plan.read(process, catalogue, &place, config.workers.clamp(1, 8))?;
        let model = declared().iter().map(|it| (it.family.raw_table().name().to_owned(), it.text.to_owned()));
        replay = replayed_elsewhere(catalogue, &place, plan.journaled().to_vec(), &model.collect())?;
        dir = Some(place);
    }
    let shares: Vec<Allotted> = serde_json::from_str(told).context("what is to be read was not understood")?;
    let own = process.checked_sub(1).and_then(|place| shares.into_iter().nth(place));
    let sources = own.map(|own| own.open(config, dir.as_ref())).transpose()?.unwrap_or_default();
    let shard = plan.rows().map(|claim| shard(config, process, &claim)).transpose()?;
    Ok(Joining { process, options, dir, state, sources, replay, stops: Arc::default(), stats: Arc::default(), shard })
}

/// The side of this process of the feed that all write.
fn shard(config: &Config, process: usize, claim: &Claim) -> Result<Box<dyn Shard>> {
    if !config.feed.is_given() {
        bail!("every process writes the feed, and `feed.path` is not set at this one: set it as at process 0");
    }
    let mut feed = Parquet::open_beside(all(), &config.feed)?.keeping(&config.retention);
    let mut shard = feed.shard(process, config.cluster.processes).context("a feed is written by every process")?;
    shard.check(claim).map_err(|error| {
        let path = &config.feed.path;
        anyhow::anyhow!(
            "`{path}` on this host is not the feed that process 0 claimed ({error}): in `feed.path` name a bucket, or a folder \
             that all processes have"
        )
    })?;
    Ok(shard)
}

/// The state of the process that leads, as this one reaches it: under its own name for it, or else under that of the other.
fn state_of(config: &Config, kept: &Kept) -> Result<StateDir, String> {
    let place = if config.state_dir.is_empty() { &kept.place } else { &config.state_dir };
    if !store::may_exist(place) {
        return Err(kept.is_another(place));
    }
    let opened = store::open_beside(place).map_err(|error| error.to_string())?;
    let dir = StateDir::open_to_read(opened).map_err(|error| error.to_string())?;
    let dir = dir.ok_or_else(|| kept.is_another(place))?;
    kept.check(&dir).map(|()| dir)
}

/// What only the process that leads makes use of, and was given to another one.
fn given_in_vain(loaded: &Loaded, arguments: &RunArgs) -> Vec<&'static str> {
    let RunArgs { files, watch, follow, catalog, rebuild, backfill, to_end, .. } = arguments;
    let flag = |key, flag| loaded.origin(key) == Origin::Flag(flag);
    let given = [
        (!files.is_empty(), "files"),
        (watch.is_some(), "`--watch`"),
        (*follow, "`--follow`"),
        (!catalog.is_empty(), "`--catalog`"),
        (!backfill.is_empty(), "`--backfill`"),
        (*rebuild, "`--rebuild`"),
        (*to_end, "`--to-end`"),
        (flag("warehouse", "--warehouse"), "`--warehouse`"),
    ];
    given.into_iter().filter_map(|(is_given, what)| is_given.then_some(what)).collect()
}

/// The other processes, for one run.
pub(super) struct Together<'a> {
    meeting: &'a Meeting,
    gathered: RefCell<Option<Gathered>>,
    /// Another run begins at once when this one has ended.
    pub(super) goes_on: Cell<bool>,
}

impl Together<'_> {
    /// Waits until all are there.
    ///
    /// # Errors
    /// If not all come in time.
    pub(super) fn gather<'m>(meeting: &'m mut Meeting, signalled: &AtomicBool) -> Result<Together<'m>> {
        say!("waiting for the other processes");
        match meeting.gather(|| signalled.load(Acquire)) {
            Ok(gathered) => Ok(Together { meeting, gathered: RefCell::new(Some(gathered)), goes_on: Cell::new(false) }),
            Err(why) => bail!("{why}; nothing was begun"),
        }
    }

    /// How many processes there are, with this one.
    pub(super) fn processes(&self) -> usize {
        self.meeting.processes()
    }

    /// Does a job with them; what they read is told them.
    pub(super) fn run(
        &self,
        job: Job,
        (elsewhere, shares): (Vec<Elsewhere>, &[Allotted]),
        goes_on: impl Fn() -> bool,
    ) -> Result<Ended, EngineError> {
        let Some(gathered) = self.gathered.take() else {
            return Err(EngineError::Thread("the other processes have ended already".to_owned()));
        };
        let number = job.keep.as_ref().map_or(0, |keep| keep.generation);
        let told = serde_json::to_string(shares).map_err(|error| EngineError::Thread(error.to_string()))?;
        let begin = |plan: &engine::Plan, hearings| self.meeting.begin(&gathered, number, (plan, &told), hearings);
        let ended = engine::lead(job, elsewhere, self.meeting.processes(), begin);
        match &ended {
            Ok(_) => gathered.end(self.goes_on.get() || goes_on()),
            Err(why) => gathered.give_up(&format!("process 0 has ended: {why}")),
        }
        ended
    }
}
