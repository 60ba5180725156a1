//! Each keyed operator against its plain form: stock operators of differential that forget nothing.
//!
//! Both are fed the same random history in one computation, and one collection is checked: the
//! keyed operator's rows less the plain form's. It must not have a single update, which says that
//! both have accumulated to the same after every epoch. The keyed operator forgets, and is given
//! what the late split would let through; it may stop after any epoch and go on elsewhere.

mod carts;
mod distinct;
mod prices;
mod sessions;
mod totals;
mod versions;

use crate::support::{MONDAY_MS, histories};
use dataflows::lane::Lane;
use dataflows::operators::freeze;
use dataflows::shop::Settings;
use dataflows::state::{Frozen, Ledger, Section};
use dataflows::time::START;
use dataflows::{Collection, Instant, Stream, Time};
use differential_dataflow::ExchangeData;
use differential_dataflow::input::InputSession;
use proptest::prelude::*;
use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;
use std::time::Duration;
use timely::CommunicationConfig;
use timely::WorkerConfig;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::core::input::Handle;
use timely::dataflow::operators::vec::Map;
use timely::worker::Worker;

/// A keyed operator and its plain form.
trait Law: 'static {
    type Event: ExchangeData + Hash + Sync;
    type Row: ExchangeData + Hash + Sync;

    fn keyed<'s>(
        events: Collection<'s, Self::Event>,
        lane: &Lane<'s>,
        settings: &Settings,
    ) -> Collection<'s, Self::Row>;

    /// The same of all events, and of the watermark: the one record of its collection.
    fn plain<'s>(
        events: Collection<'s, Self::Event>,
        watermark: Collection<'s, Instant>,
        settings: &Settings,
    ) -> Collection<'s, Self::Row>;
}

/// The records of a collection from which nothing is ever taken.
fn stream<E: Clone + 'static>(events: Collection<'_, E>) -> Stream<'_, E> {
    events.inner.map(|(event, _, _)| event)
}

/// Changes of rows.
type Updates<R> = Vec<(R, Time, isize)>;

/// One epoch of a history: what came in it, and the watermark it made true.
#[derive(Clone, Debug)]
struct Moment<E> {
    events: Vec<(E, isize)>,
    watermark: Instant,
}

/// How a history is run.
#[derive(Clone, Debug)]
struct Run {
    workers: usize,
    /// What goes from one worker to another goes as bytes, as between processes.
    as_bytes: bool,
    /// Epochs are fed before earlier ones are done.
    ahead: bool,
    /// An epoch's watermark is known a while before its events, not after them.
    leading: bool,
    /// What part of the history another computation has seen before, and on how many workers.
    stopped: Option<(f64, usize)>,
}

fn run() -> impl Strategy<Value = Run> {
    let stopped = prop::option::weighted(0.4, (0.0..1.0, 1usize..=3));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (1usize..=3, flags, stopped).prop_map(|(workers, (as_bytes, ahead, leading), stopped)| Run {
        workers,
        as_bytes,
        ahead,
        leading,
        stopped,
    })
}

/// What a computation knows of another one that stopped: how many epochs it saw, the changes of
/// rows it made, and the state it left.
#[derive(Clone)]
struct Stopped<R> {
    moments: usize,
    rows: Updates<R>,
    state: Vec<Section>,
}

/// Fails unless the keyed operator and its plain form agree after every epoch.
fn assert_agree<L: Law>(history: &[Moment<L::Event>], settings: &Settings, run: &Run) {
    let mut known = Stopped { moments: 0, rows: Vec::new(), state: Vec::new() };
    if let Some((part, workers)) = run.stopped {
        let seen = (part * history.len() as f64) as usize;
        known = compute::<L>(&history[..seen], known, settings, &Run { workers, ..run.clone() }, false);
    }
    let mut differing = compute::<L>(history, known, settings, run, true).rows;
    differing.sort_by(|(row, time, _), (other, other_time, _)| (time, row).cmp(&(other_time, other)));
    let Some((_, first, _)) = differing.first() else { return };
    let said = differing.iter().take_while(|(_, time, _)| time == first);
    let said: Vec<_> = said.map(|(row, _, diff)| format!("{diff:+} {row:?}")).collect();
    panic!("epoch {first}: the keyed operator has, compared with its plain form:\n{}", said.join("\n"));
}

/// Waiting workers leave the cores to the others.
const WAKE: Option<Duration> = Some(Duration::from_millis(1));

/// The inputs of one worker.
struct Feeds<L: Law> {
    /// Of the plain form: everything.
    events: InputSession<Time, L::Event, isize>,
    watermark: InputSession<Time, Instant, isize>,
    /// Of the keyed operator: what it has not seen.
    fresh: InputSession<Time, L::Event, isize>,
    watermarks: Handle<Time, CapacityContainerBuilder<Vec<Instant>>>,
    /// What another one said before.
    rows: InputSession<Time, L::Row, isize>,
}

impl<L: Law> Feeds<L> {
    fn advance_to(&mut self, time: Time) {
        self.watermarks.advance_to(time);
        macro_rules! advance {
            ($($input:ident),*) => { $(self.$input.advance_to(time); self.$input.flush();)* };
        }
        advance!(events, watermark, fresh, rows);
    }
}

/// What was held after an epoch, taken out then, and frozen then to be taken out later.
struct View {
    then: Vec<Section>,
    frozen: Frozen,
    seen: Vec<Section>,
}

impl View {
    fn of(ledger: &Ledger) -> View {
        View { then: ledger.freeze().collect(), frozen: ledger.freeze(), seen: Vec::new() }
    }

    fn look(&mut self) {
        self.seen.extend(self.frozen.next());
    }

    fn assert_unchanged(mut self) {
        self.seen.extend(self.frozen);
        assert_eq!(self.seen, self.then, "what is frozen stays as it was");
    }
}

/// Builds the computation on one worker. What its rows change is noted in `said`.
fn build<L: Law>(
    worker: &mut Worker,
    settings: &Settings,
    ledger: &Ledger,
    said: &Rc<RefCell<Updates<L::Row>>>,
    compared: bool,
) -> (Feeds<L>, ProbeHandle<Time>) {
    let (probe, said) = (ProbeHandle::new(), Rc::clone(said));
    let feeds = worker.dataflow(|scope| {
        let (watermarks_in, watermarks) = scope.new_input::<Vec<Instant>>();
        let mut feeds = Feeds::<L> {
            events: InputSession::new(),
            watermark: InputSession::new(),
            fresh: InputSession::new(),
            watermarks: watermarks_in,
            rows: InputSession::new(),
        };
        let lane = Lane::new(scope, watermarks, &settings.lane, ledger);
        let mut rows =
            freeze(L::keyed(feeds.fresh.to_collection(scope), &lane, settings)).concat(feeds.rows.to_collection(scope));
        if compared {
            let (events, watermark) = (feeds.events.to_collection(scope), feeds.watermark.to_collection(scope));
            rows = rows.concat(L::plain(events, watermark, settings).negate());
        }
        rows.consolidate().inspect(move |update| said.borrow_mut().push(update.clone())).probe_with(&probe);
        feeds
    });
    (feeds, probe)
}

/// Runs a computation over a history, the keyed operator from where `known` ends. Its rows are what
/// the keyed operator says, `known` included; if compared, less what the plain form says.
fn compute<L: Law>(
    history: &[Moment<L::Event>],
    known: Stopped<L::Row>,
    settings: &Settings,
    run: &Run,
    compared: bool,
) -> Stopped<L::Row> {
    let Run { workers, as_bytes, ahead, leading, .. } = *run;
    let process =
        if as_bytes && workers > 1 { CommunicationConfig::ProcessBinary } else { CommunicationConfig::Process };
    let config = timely::Config { communication: process(workers), worker: WorkerConfig::default() };
    let moments = history.len();
    let (history, settings) = (history.to_vec(), settings.clone());
    let guards = timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        // What is known enters at the odd epoch before.
        let silent = (2 * known.moments as Time).saturating_sub(1);
        let (ledger, said) = (Ledger::restoring_at(silent), Rc::default());
        let (mut feeds, probe) = build::<L>(worker, &settings, &ledger, &said, compared);
        for (row, time, diff) in known.rows.iter().skip(index).step_by(peers) {
            feeds.rows.update_at(row.clone(), *time, *diff);
        }
        let (mut stood, mut sent, mut views) = (None, START, Vec::<View>::new());
        let mut sections = known.state.iter().skip(index).step_by(peers);
        if sections.all(|section| ledger.restore(section).expect("ours")) {
            ledger.is_restored();
        }
        for (n, moment) in history.iter().enumerate() {
            if n > 0 && n == known.moments {
                // The watermark enters with it.
                feeds.advance_to(silent);
                sent = history[n - 1].watermark;
                feeds.watermarks.send(sent);
            }
            feeds.advance_to(2 * n as Time);
            let of_mine = || moment.events.iter().skip(index).step_by(peers).cloned();
            of_mine().for_each(|(event, diff)| feeds.events.update(event, diff));
            // The events and their watermark, one of them some steps before the other.
            for is_watermark in [leading, !leading] {
                if is_watermark && n >= known.moments && sent != moment.watermark {
                    sent = moment.watermark;
                    feeds.watermarks.send(sent);
                }
                if is_watermark {
                    feeds.watermarks.advance_to(2 * n as Time + 1);
                } else {
                    of_mine().filter(|_| n >= known.moments).for_each(|(event, diff)| feeds.fresh.update(event, diff));
                    feeds.fresh.advance_to(2 * n as Time + 1);
                    feeds.fresh.flush();
                }
                for _ in 0..4 {
                    worker.step();
                }
            }
            if index == 0 && stood != Some(moment.watermark) {
                stood.into_iter().for_each(|stood| feeds.watermark.remove(stood));
                feeds.watermark.insert(moment.watermark);
                stood = Some(moment.watermark);
            }
            if !ahead {
                feeds.advance_to(2 * n as Time + 1);
                worker.step_or_park_while(WAKE, || probe.less_than(&(2 * n as Time + 1)));
                // Looked at now and then, while later epochs change what was frozen.
                if n % 3 == 0 {
                    views.iter_mut().for_each(View::look);
                }
                views.push(View::of(&ledger));
            }
        }
        feeds.advance_to(2 * moments as Time);
        worker.step_or_park_while(WAKE, || probe.less_than(&(2 * moments as Time)));
        views.into_iter().for_each(View::assert_unchanged);
        let rows: Vec<_> = said.borrow_mut().drain(..).collect();
        (rows, ledger.freeze().collect::<Vec<_>>())
    });
    let mut ended = Stopped { moments, rows: Vec::new(), state: Vec::new() };
    for worker in guards.expect("workers start").join() {
        let (rows, state) = worker.expect("workers end");
        ended.rows.extend(rows);
        ended.state.extend(state);
    }
    ended
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening<P> {
    /// So many ticks, and milliseconds, after the earliest instant that is not too late.
    New(i64, i64, P),
    /// At the instant of one of those before.
    Meanwhile(usize, P),
    /// One of those before, exactly again.
    Again(usize),
}

/// What happens in an epoch, and by how many ticks, and milliseconds, it moves the watermark.
#[derive(Clone, Debug)]
struct Beat<P> {
    happenings: Vec<Happening<P>>,
    ticks: i64,
    off_ms: i64,
}

/// How far back from the watermark histories reach where nothing is too late.
const REACH: i64 = 12;

/// Epochs in small domains, so that instants coincide, or miss each other by a millisecond.
fn beats<P: Clone + std::fmt::Debug + 'static>(
    what: impl Strategy<Value = P> + 'static,
    leap: i64,
) -> impl Strategy<Value = Vec<Beat<P>>> {
    let off_ms = || prop_oneof![6 => Just(0i64), 1 => Just(-1i64), 1 => Just(1i64), 1 => -400_000i64..400_000];
    let ticks = prop_oneof![1 => 0i64..2, 2 => 0i64..REACH + 4];
    let what = what.boxed();
    let happening = prop_oneof![
        6 => (ticks, off_ms(), what.clone()).prop_map(|(ticks, off_ms, what)| Happening::New(ticks, off_ms, what)),
        2 => (0usize..100, what).prop_map(|(nth, what)| Happening::Meanwhile(nth, what)),
        1 => (0usize..100).prop_map(Happening::Again),
    ];
    let happenings = prop_oneof![1 => Just(0usize..1), 6 => Just(1usize..7)]
        .prop_flat_map(move |count| prop::collection::vec(happening.clone(), count));
    let moved = prop_oneof![3 => Just(0i64), 4 => 1i64..4, 1 => 4..leap];
    let beat = (happenings, moved, off_ms());
    let beat = beat.prop_map(|(happenings, ticks, off_ms)| Beat { happenings, ticks, off_ms });
    prop::collection::vec(beat, 1..14)
}

/// An epoch as it was played: the watermark before it, what happened when, and the watermark after.
struct Scene<P> {
    before: Instant,
    happenings: Vec<(Instant, P)>,
    watermark: Instant,
}

/// Gives everything its instant, none of them too late.
fn play<P: Clone>(beats: &[Beat<P>], tick_ms: i64, lateness_ms: Option<i64>) -> Vec<Scene<P>> {
    let mut watermark = START;
    let mut past = Vec::<(Instant, P)>::new();
    let mut scenes = Vec::new();
    for beat in beats {
        let before = watermark;
        let cut = lateness_ms.map_or(Instant::MIN, |lateness| before - lateness);
        let earliest = cut.max(before - REACH * tick_ms).max(MONDAY_MS);
        let mut happenings = Vec::new();
        for happening in &beat.happenings {
            let nth = |nth: &usize| past.get(nth % past.len().max(1)).filter(|(at, _)| *at >= cut);
            let happened = match happening {
                Happening::New(ticks, off_ms, what) => {
                    Some(((earliest + ticks * tick_ms + off_ms).max(cut), what.clone()))
                }
                Happening::Meanwhile(past, what) => nth(past).map(|(at, _)| (*at, what.clone())),
                Happening::Again(past) => nth(past).cloned(),
            };
            past.extend(happened.clone());
            happenings.extend(happened);
        }
        if beat.ticks > 0 {
            watermark = (before.max(MONDAY_MS) + beat.ticks * tick_ms + beat.off_ms).max(before);
        }
        scenes.push(Scene { before, happenings, watermark });
    }
    scenes
}

/// The history of a scene where each happening is an event.
fn moments<P: Clone, E>(scenes: &[Scene<P>], event: impl Fn(Instant, P) -> E) -> Vec<Moment<E>> {
    let moment = |scene: &Scene<P>| {
        let events = scene.happenings.iter().map(|(at, what)| (event(*at, what.clone()), 1));
        Moment { events: events.collect(), watermark: scene.watermark }
    };
    scenes.iter().map(moment).collect()
}

/// A number of ticks, or forever.
fn or_for_ever(ticks: std::ops::Range<i64>) -> impl Strategy<Value = Option<i64>> {
    prop::option::weighted(0.85, ticks)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: histories(64),
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
