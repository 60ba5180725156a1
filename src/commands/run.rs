//! `run`: events as they come, from where the last run ended, into a warehouse.

use super::beat::{Heartbeats, heartbeats};
use super::beside::Beside;
use super::changed::publish;
use super::clock::{self, Verdict};
use super::damage::{Looked, Looking};
use super::inputs::{Inputs, look, refused};
use super::mixed::{refuse_what_another_made, simulates};
use super::named::{Begin, Named};
use super::outcome::Outcome;
use super::progress::Progress;
use super::refusals::{refused_or_failed, superseded};
use super::second::{enter, successor};
use super::story::{What, say_what_is_read, say_where_it_goes_on};
use super::summary::{Ended, summary, summary_of_feed, summary_of_memory};
use super::text::{at, grouped, program};
use super::together::Together;
use super::waiting::{insist, patiently, waited_for};
use super::{
    IN_MEMORY, Refused, again, check_folder, feed_alone, open_to_read, options, serve, sinks, stop_on_signals,
};
use crate::change::{self, Asked, Due};
use crate::cluster::Company;
use crate::cluster::lead::Meeting;
use crate::commit::CommitError;
use crate::config::Config;
use crate::config::retention::Retention;
use crate::engine::{self, EngineError, Job, Keep, Lane, Options, Resume};
use crate::families::{all, declared};
use crate::fingerprint::{self, BACKFILL};
use crate::instant;
use crate::periodic::{Periodic, Round};
use crate::reconcile::{Differ, reconcile};
use crate::recovery::{self, DECODER, Past, Restoring, StartError};
use crate::serve::{Mode, Server, Start};
use crate::sink::archive::Archive;
use crate::sink::memory::Memory;
use crate::sink::sqlite::Sqlite;
use crate::sink::{Claim, MadeBy, Sink, SinkError, Warehouse};
use crate::state_dir::{Generation, StateDir};
use crate::stats::Stats;
use crate::store;
use crate::tap::tapped::Tapped;
use anyhow::{Context, Result, bail};
use dataflows::shop::events::Naming;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// What to do after the sources have ended.
enum After {
    /// Nothing: this was done.
    Done(Outcome),
    /// There are partitions that were not there: with them, from where we are.
    GoOn,
    /// What was to be done before a run could go on is done.
    Begin,
}

pub(super) fn run(config: &Config, named: &Named, begin: Begin, company: Option<Company>) -> Result<Outcome> {
    look(config, named)?;
    if config.is_feed_alone() && matches!(begin, Begin::Again { .. }) {
        return Err(feed_alone::refused_rebuild(config).into());
    }
    let mut config = config.clone();
    if simulates(&config, named) {
        // It speaks as we do, whatever others call events.
        config.rules.shop.naming = Naming::default();
    }
    let config = &config;
    let signalled = stop_on_signals()?;
    let mut meeting = company.map(Meeting::listen).transpose().map_err(anyhow::Error::msg)?;
    let server = serve::start(config, Mode::Run, &signalled)?;
    let mut begin = begin;
    let accept_loss = matches!(begin, Begin::GoOn { accept_loss: true, .. });
    loop {
        let done = once((config, server.as_ref()), named, begin, &signalled, meeting.as_mut());
        if let Err(error) = &done
            && let Some(stopped) = waited_for(error).filter(|_| signalled.load(Acquire))
        {
            say!("{stopped}");
            return Ok(Outcome::of(false).with("records", 0).with("stopped", true));
        }
        match done? {
            After::Done(outcome) => return Ok(outcome),
            After::GoOn => tracing::info!("going on with what is new"),
            After::Begin => {}
        }
        begin = Begin::GoOn { accept_clock: true, accept_loss };
    }
}

fn once(
    (config, server): (&Config, Option<&Server>),
    named: &Named,
    begin: Begin,
    signalled: &Arc<AtomicBool>,
    meeting: Option<&mut Meeting>,
) -> Result<After> {
    // Before anything is opened: processes that do not come together keep nobody else from it.
    let together = meeting.map(|meeting| Together::gather(meeting, signalled)).transpose()?;
    // A signal stops us, and so do new partitions.
    let (stop, grown) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let stats = Arc::new(Stats::default());
    if let Some(server) = server {
        server.shows(&stats);
    }
    let run = Run { config, named, server, stop: Arc::clone(&stop), grown: Arc::clone(&grown), stats, together };
    let _relay = relay(signalled, &stop);
    if config.warehouse == Path::new(IN_MEMORY) {
        let inputs = run.open(&Past::default(), None, begin, signalled)?;
        let mut memory = Memory::without_log();
        let claim = memory.claim(MadeBy::Run, None)?;
        run.began(&claim.pipeline_id, claim.generation);
        let sinks = run.tapped(vec![Box::new(memory.clone())], vec![claim]);
        let options = options(config, MadeBy::Run);
        return run.to_its_end((inputs, options), sinks, None, Resume::default(), Some(&memory));
    }
    let mut sink = run.first(signalled)?;
    refuse_what_another_made(config, named, &mut *sink)?;
    let dir = state_of(config, &mut *sink, begin)?;
    let _entered = enter(&dir, config, signalled)?;
    // Before anything that may take long: of two that start at once, the other one is told by this who runs.
    let beats = heartbeats(&dir, config, &run.stats);
    match begin {
        Begin::GoOn { .. } => run.go_on(sink, dir, &beats, begin, signalled),
        Begin::Again { accept_loss } => run.again(sink, dir, &beats, accept_loss, signalled).map(After::Done),
    }
}

fn is_away(error: &SinkError) -> bool {
    matches!(error, SinkError::Unavailable(_))
}

/// Passes a signal on to one run; dropped, it passes nothing on.
fn relay(signalled: &Arc<AtomicBool>, stop: &Arc<AtomicBool>) -> Periodic {
    let (signalled, stop) = (Arc::clone(signalled), Arc::clone(stop));
    Periodic::start(Duration::from_millis(20), move |round| {
        if round == Round::Due && signalled.load(Acquire) {
            stop.store(true, Release);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
}

type Sinks = Vec<(Box<dyn Sink>, Claim)>;

/// One run, with the partitions that were there when it began.
struct Run<'a> {
    config: &'a Config,
    named: &'a Named,
    server: Option<&'a Server>,
    stop: Arc<AtomicBool>,
    /// There are more partitions.
    grown: Arc<AtomicBool>,
    stats: Arc<Stats>,
    /// The other processes.
    together: Option<Together<'a>>,
}

impl Run<'_> {
    /// How many processes there are.
    fn processes(&self) -> usize {
        self.together.as_ref().map_or(1, Together::processes)
    }

    fn began(&self, pipeline_id: &str, generation: u64) {
        if let Some(server) = self.server {
            server.began(Start { pipeline_id: pipeline_id.to_owned(), generation });
        }
    }

    /// The sinks, the first of which is the warehouse: what is committed to that is told to those who look on.
    fn tapped(&self, sinks: Vec<Box<dyn Warehouse>>, claims: Vec<Claim>) -> Sinks {
        // Where every process writes its own rows, this one does not see them.
        let sees_rows = self.processes() == 1 || !self.config.is_feed_alone();
        let mut tap = self.server.filter(|_| sees_rows).and_then(Server::tap);
        let tapped = |sink: Box<dyn Warehouse>| -> Box<dyn Sink> {
            match tap.take() {
                Some(tap) => {
                    self.stats.set_tap(Arc::clone(tap));
                    Box::new(Tapped::new(all(), sink, Arc::clone(tap)))
                }
                None => sink,
            }
        };
        sinks.into_iter().map(tapped).zip(claims).collect()
    }

    /// The sink that all others are brought to: the file of SQLite, or where there is none the feed.
    fn first(&self, signalled: &AtomicBool) -> Result<Box<dyn Warehouse>> {
        let config = self.config;
        if config.is_feed_alone() {
            let mut feed = sinks::feed(config)?;
            insist(signalled, &self.stats, is_away, || feed.position())?;
            return Ok(Box::new(feed));
        }
        check_folder(config)?;
        let mut sink = insist(signalled, &self.stats, is_away, || Sqlite::open(all(), &config.warehouse))?;
        insist(signalled, &self.stats, is_away, || sink.try_lock())?;
        Ok(Box::new(sink))
    }

    fn open(&self, past: &Past, dir: Option<&StateDir>, begin: Begin, signalled: &AtomicBool) -> Result<Inputs> {
        let (stop, grown) = (Arc::clone(&self.stop), Arc::clone(&self.grown));
        let told = (signalled, &*self.stats, self.processes());
        let inputs = Inputs::open(self.config, self.named, past, dir, begin, told, move || {
            grown.store(true, Release);
            stop.store(true, Release);
        })?;
        self.stats.sources.set_awaited(self.named.places());
        Ok(inputs)
    }

    fn go_on(
        &self,
        mut sink: Box<dyn Warehouse>,
        dir: StateDir,
        beats: &Heartbeats,
        begin: Begin,
        signalled: &AtomicBool,
    ) -> Result<After> {
        let accept_clock = matches!(begin, Begin::GoOn { accept_clock: true, .. });
        let past = past(&dir, &mut *sink)?;
        match past.clock_ms.map(|last_ms| clock::judge(last_ms, instant::now())) {
            None | Some(Verdict::Right) => {}
            Some(Verdict::Noteworthy(why)) => tracing::info!("{why}"),
            Some(Verdict::Wrong(why)) if accept_clock => tracing::warn!("{why}: accepted"),
            Some(Verdict::Wrong(why)) => return Err(Refused(why).into()),
        }
        if past.rules.as_ref().is_some_and(|rules| *rules != self.config.rules) {
            say_what_passes_now(self.config)?;
        }
        let inputs = self.open(&past, Some(&dir), begin, signalled)?;
        let mut options = options(self.config, MadeBy::Run);
        options.lanes = change::since(options.lanes, &past.prints);
        let mut facts = self.facts(&inputs, past, &options.lanes);
        let mut sinks = sinks::all(self.config, sink, signalled, &self.stats)?;
        let (identities, threads) = (inputs.identities(), self.config.workers.clamp(1, 8));
        let restoring = Restoring { processes: self.processes(), threads };
        let held = |error: &StartError| matches!(error, StartError::Sink(SinkError::Unavailable(_)));
        let due = insist(signalled, &self.stats, held, || {
            let (facts, meaning) = ((&facts, &identities), &|lanes: &[Lane]| self.meaning(lanes));
            change::due((all(), &dir), &mut sinks, (&options.lanes, self.named.gone), facts, meaning)
        });
        let is_ending = match due.map_err(|error| superseded(&dir, error))? {
            Due::Nothing => false,
            Due::TheLastRun(lanes, fingerprint) => {
                (options.lanes, facts.fingerprint) = (lanes, fingerprint);
                // Of what is there now tables can be computed.
                options.commit.retention = Retention::default();
                // What was begun is replayed to its end all the same.
                self.stop.store(true, Release);
                true
            }
            Due::Tables(tables) => {
                let asked = Asked {
                    catalogue: all(),
                    lanes: &options.lanes,
                    tables: &tables,
                    facts: &facts,
                    meaning: &|lanes| self.meaning(lanes),
                    gone: self.named.gone,
                    now_ms: instant::now(),
                    threads,
                    stop: signalled,
                };
                publish(&dir, &mut sinks, &asked, (signalled, &self.stats))?;
                return Ok(After::Begin);
            }
        };
        let start = insist(signalled, &self.stats, held, || {
            recovery::start(all(), &dir, &mut sinks, &facts, &identities, restoring)
        });
        let start = start.map_err(|error| superseded(&dir, error))?;
        beats.began(start.generation);
        self.began(&dir.pipeline_id, start.generation);
        recovery::check_partitions(&dir, &start.resume, &inputs.partitions())
            .map_err(|error| refused_or_failed(error.into()))?;
        if let Some(cluster) = &inputs.cluster {
            let replay: Vec<_> = start.resume.replay.iter().map(|replayed| &replayed.entry).collect();
            cluster.check(&start.resume.positions, &replay).map_err(refused)?;
        }
        if let (Some(first), Some(last)) = (start.resume.replay.first(), start.resume.replay.last()) {
            let (first, last) = (first.entry.epoch, last.entry.epoch);
            tracing::info!("the last run was interrupted: replaying epochs {first} to {last}");
        }
        let Generation { fingerprint, identities, .. } = facts;
        let keep = Keep { dir, generation: start.generation, fingerprint, identities };
        let sinks = self.tapped(sinks, start.claims);
        if !is_ending {
            return self.to_its_end((inputs, options), sinks, Some(keep), start.resume, None);
        }
        tracing::info!("what the last run began is ended first");
        self.together.iter().for_each(|together| together.goes_on.set(true));
        self.compute(inputs, sinks, Some(keep), start.resume, options)?;
        Ok(After::Begin)
    }

    /// Computes everything beside the warehouse, and publishes what differs, there and in every other sink.
    fn again(
        &self,
        mut sink: Box<dyn Warehouse>,
        dir: StateDir,
        beats: &Heartbeats,
        accept_loss: bool,
        signalled: &AtomicBool,
    ) -> Result<Outcome> {
        let config = self.config;
        // Of what was passed, that which is there again is read again.
        let past = Past { lost: Vec::new(), ..past(&dir, &mut *sink)? };
        let inputs = self.open(&past, Some(&dir), Begin::Again { accept_loss }, signalled)?;
        if let Some(cluster) = &inputs.cluster {
            cluster.check(&BTreeMap::new(), &[]).map_err(refused)?;
        }
        let facts = self.facts(&inputs, past, &options(config, MadeBy::Run).lanes);
        let mut sinks = sinks::all(config, sink, signalled, &self.stats)?;
        let (claims, after) = recovery::start_again(&dir, &mut sinks, &facts, &inputs.partitions(), accept_loss)
            .map_err(|error| superseded(&dir, error))?;
        beats.began(claims[0].generation);
        self.began(&claims[0].pipeline_id, claims[0].generation);
        let claim = &claims[0];
        let beside = Beside::new(&config.warehouse, claim.generation);
        let mut computed = Sqlite::open(all(), beside.path())?;
        let claim_beside = computed.claim(MadeBy::Run, Some(claim))?;
        computed.begin_at(after)?;
        let Generation { fingerprint, identities, .. } = facts;
        // Until it is published, what was there before is kept: a rebuild that is given up goes on with that.
        let keep = Keep { dir: dir.sparing(after), generation: claim.generation, fingerprint, identities };
        let resume = Resume { epoch: after, ..Resume::default() };
        let mut computing: Sinks = vec![(Box::new(computed), claim_beside)];
        if config.archive.is_given() {
            // Only what is read again, or for the first time now, can be archived.
            computing.push((Box::new(Archive::open(all(), &config.archive)?.beside(after)), claim.clone()));
        }
        let mut options = options(config, MadeBy::Run);
        // Whether rows are missing is said of the warehouse, not of what is computed beside it: that one keeps them.
        options.commit.retention = Retention::default();
        self.say_what_begins(&inputs, &resume);
        if options.lanes.iter().any(|lane| lane.family.lane().clean) {
            let (topic, path) = (&config.publish.clean, &config.clean.path);
            let places: Vec<_> =
                [topic, path].into_iter().filter(|place| !place.is_empty()).map(|place| format!("`{place}`")).collect();
            tracing::warn!(
                "a rebuild brings no clean events: what it reads for the first time is missing in {}",
                places.join(" and ")
            );
        }
        let (stats, stopped, watch) = self.compute(inputs, computing, Some(keep), resume, options)?;
        if stopped {
            bail!(
                "the rebuild was stopped before its end, and nothing of it was published; run it again, or without \
                 `--rebuild` to go on from where it began"
            );
        }
        let mut beside = Sqlite::open(all(), beside.path())?;
        let epoch = beside.position()?.context("the rebuild committed nothing")?.epoch;
        let (warehouse, others) = sinks.split_first_mut().context("there is always the warehouse")?;
        let publish = || reconcile(&mut beside, &mut **warehouse, claim, Differ::InSubstance, |_| epoch);
        let commit = patiently(publish)?;
        patiently(|| Sqlite::open(all(), &config.warehouse)?.forget_purged(claim))?;
        // If this is killed in between, the next start does it.
        for (sink, claim) in others.iter_mut().zip(&claims[1..]) {
            patiently(|| reconcile(&mut **warehouse, &mut **sink, claim, Differ::InAnything, |_| epoch))?;
        }
        let (upserted, deleted) = commit.counts();
        stats.upserted.store(upserted, Relaxed);
        stats.deleted.store(deleted, Relaxed);
        stats.appended.store(0, Relaxed);
        stats.commits.store(1, Relaxed);
        summary(config, &self.ended(&stats, watch, false))
    }

    fn to_its_end(
        &self,
        (inputs, options): (Inputs, Options),
        sinks: Sinks,
        keep: Option<Keep>,
        resume: Resume,
        memory: Option<&Memory>,
    ) -> Result<After> {
        let looking = keep.as_ref().filter(|_| !self.config.is_feed_alone()).map(|keep| {
            let (dir, path, clock) = (keep.dir.clone(), self.config.warehouse.clone(), Arc::clone(&options.clock));
            let (stats, stop) = (Arc::clone(&self.stats), Arc::clone(&self.stop));
            Looking::start(Looked { path, dir, stats, stop, clock })
        });
        self.say_what_begins(&inputs, &resume);
        let computed = self.compute(inputs, sinks, keep, resume, options);
        if let Some(damage) = looking.and_then(|looking| looking.end(self.stop.load(Acquire))) {
            bail!(damage);
        }
        let (stats, stopped, watch) = computed?;
        if self.grown.load(Acquire) && memory.is_none() {
            return Ok(After::GoOn);
        }
        let ended = self.ended(&stats, watch, stopped);
        let outcome = match memory {
            Some(memory) => summary_of_memory(self.config, &ended, memory),
            None if self.config.is_feed_alone() => summary_of_feed(self.config, &ended),
            None => summary(self.config, &ended),
        };
        outcome.map(After::Done)
    }

    fn say_what_begins(&self, inputs: &Inputs, resume: &Resume) {
        let read = What { named: self.named, cluster: inputs.cluster.as_ref(), resume };
        say_what_is_read(self.config, &read, self.server.map(Server::url));
        say_where_it_goes_on(resume);
    }

    fn ended<'a>(&self, stats: &'a Stats, watch: Progress, stopped: bool) -> Ended<'a> {
        Ended { stats, elapsed: watch.stop(), stopped, files: self.named.files.len() + self.named.catalogs.len() }
    }

    /// Runs the sources to their end, or until it is stopped; tells which.
    fn compute(
        &self,
        inputs: Inputs,
        sinks: Sinks,
        keep: Option<Keep>,
        resume: Resume,
        options: Options,
    ) -> Result<(Arc<Stats>, bool, Progress)> {
        let stats = Arc::clone(&self.stats);
        let watch = Progress::start(&stats);
        let dir = keep.as_ref().map(|keep| keep.dir.clone());
        let elsewhere = inputs.elsewhere(self.config.workers);
        let Inputs { sources, shares, watch: partitions, .. } = inputs;
        let stop = Arc::clone(&self.stop);
        let job = Job { sources, sinks, keep, options, resume, stop, stats: Arc::clone(&stats) };
        let ended = match &self.together {
            Some(together) => together.run(job, (elsewhere, &shares), || self.grown.load(Acquire)),
            None => engine::run(job),
        };
        drop(partitions);
        let fenced =
            |error: &EngineError| matches!(error, EngineError::Commit(CommitError::Sink(SinkError::Fenced { .. })));
        let ended = match (ended, dir) {
            (Err(error), Some(dir)) if fenced(&error) => Err(error).context(successor(&dir)),
            (ended, _) => ended.map_err(anyhow::Error::from),
        };
        ended.context("the run ended early; what was committed before is whole")?;
        Ok((stats, self.stop.load(Acquire), watch))
    }

    /// What tables mean, by the settings of their families.
    fn meaning(&self, lanes: &[Lane]) -> BTreeMap<String, String> {
        let families: Vec<_> = lanes.iter().map(|lane| Arc::clone(&lane.family)).collect();
        let mut fingerprint = fingerprint::of(all(), &families);
        if let Some(until) = self.named.backfill_until {
            fingerprint.insert(BACKFILL.to_owned(), instant::show(until));
        }
        fingerprint
    }

    fn facts(&self, inputs: &Inputs, past: Past, lanes: &[Lane]) -> Generation {
        let config = self.config;
        let mut identities = past.identities;
        identities.extend(inputs.identities());
        let mut of_families = past.families;
        of_families.extend(inputs.families());
        let fingerprint = self.meaning(lanes);
        Generation {
            nonce: uuid::Uuid::new_v4().to_string(),
            started_at: instant::show(instant::now()),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            decoder: DECODER,
            rules: config.rules.clone(),
            fingerprint,
            model: declared().iter().map(|it| (it.family.raw_table().name().to_owned(), it.text.to_owned())).collect(),
            rebuilt_after: None,
            identities,
            families: of_families,
            begins: inputs.begins(),
            lost: [past.lost, inputs.cluster.iter().flat_map(|cluster| cluster.lost.clone()).collect()].concat(),
        }
    }
}

/// Rules that were widened take nothing back by themselves.
fn say_what_passes_now(config: &Config) -> Result<()> {
    if config.is_feed_alone() {
        tracing::info!("setting `rules` was changed: what was rejected before stays in `rejected_events`");
        return Ok(());
    }
    let passing = again::pass_now(config, &open_to_read(config)?)?;
    if passing > 0 {
        let (passing, program, at) = (grouped(passing), program(), at(config));
        tracing::warn!(
            "setting `rules` was changed: {passing} of the rejected records would pass now; see \
             `{program} replay-rejected --dry-run{at}`"
        );
    }
    Ok(())
}

/// The state that belongs to the warehouse.
fn state_of(config: &Config, sink: &mut dyn Warehouse, begin: Begin) -> Result<StateDir> {
    let place = config.state_place();
    let store = store::open(&place).with_context(|| format!("could not open the state (`state_dir`) `{place}`"))?;
    let known = sink.position()?;
    if let Some(dir) = StateDir::open_to_read(Arc::clone(&store)).map_err(|error| refused_or_failed(error.into()))? {
        return Ok(dir);
    }
    let (path, program) = (config.first_place(), super::text::program());
    let begun = known.as_ref().filter(|progress| progress.epoch > 0);
    if let (Some(found), true) = (begun, config.is_feed_alone()) {
        return Err(feed_alone::without_state(config, found.epoch).into());
    }
    if let (Some(progress), Begin::GoOn { .. }) = (begun, begin) {
        return Err(Refused(format!(
            "warehouse `{path}` is at epoch {}, and there is no state in `{place}` to go on from.\n\
             Put it back, or name it:        {program} --set state_dir=PLACE ...\n\
             or compute everything again:    {program} run --rebuild ...  (only rows that differ are written)\n\
             or name another warehouse:      {program} --warehouse next.db ...",
            progress.epoch,
        ))
        .into());
    }
    let id = known.map(|progress| progress.pipeline_id);
    StateDir::open(store, id.as_deref()).map_err(|error| refused_or_failed(error.into()))
}

/// What the warehouse's state says of what was read before.
fn past(dir: &StateDir, sink: &mut dyn Warehouse) -> Result<Past> {
    let at = sink.position()?.map_or(0, |progress| progress.epoch);
    Past::read_at(dir, at).map_err(|error| refused_or_failed(error.into()))
}
