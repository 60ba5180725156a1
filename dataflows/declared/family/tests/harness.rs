//! Plays a history: segment by segment, each on so many workers, each from what the one before has kept.

use super::pool::{Ev, Spec, columns};
use crate::broken::{self, breaking};
use crate::declared::family::{Known, Made, WithSettings};
use crate::declared::plan::{Family as Plan, Metric, Once};
use crate::declared::reading::Reader;
use crate::delta::Delta;
use crate::deltas::Deltas;
use crate::events::{Logs, Origin};
use crate::family::Configured;
use crate::flow::{Inputs, Outputs};
use crate::operators::{Mark, Report};
use crate::state::{Ledger, Section};
use crate::table::TableId;
use crate::time::{Settings, Time};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Input, Probe};
use timely::logging::{TimelyEvent, TimelyEventBuilder};

/// 2026-01-05.
pub const MONDAY_MS: i64 = 1_767_571_200_000;

/// A worker that waits for another looks again after this.
const WAKE: Option<Duration> = Some(Duration::from_millis(1));

/// Events enter as they are: nothing is read.
pub static READER: LazyLock<Reader> = LazyLock::new(Reader::default);

/// The events of an epoch, and the watermark that it makes true.
#[derive(Clone, Debug)]
pub struct Moment {
    pub events: Vec<Ev>,
    pub watermark: i64,
}

/// Some moments of a history, on some workers.
#[derive(Clone, Debug)]
pub struct Segment {
    pub workers: usize,
    pub moments: Range<usize>,
    /// All of it is sent before anything is waited for.
    pub ahead: bool,
}

#[derive(Clone, Debug)]
pub struct History {
    pub moments: Vec<Moment>,
    pub segments: Vec<Segment>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Played {
    /// Of each moment.
    pub deltas: Vec<Vec<(TableId, Vec<Delta>)>>,
    pub sections: Vec<Section>,
    live: BTreeMap<String, usize>,
    pub raw: usize,
}

impl Played {
    pub fn live(&self, what: &str) -> usize {
        self.live.iter().filter(|(name, _)| name.ends_with(what)).map(|(_, count)| count).sum()
    }
}

pub fn made(specs: &[Spec], once: Option<Once>) -> &'static Made {
    let (mut metrics, mut known) = (Vec::new(), Vec::new());
    for (n, spec) in specs.iter().enumerate() {
        let (metric, print) = (spec.metric(&format!("metric_{n}")), 1000 + n as u64);
        if let Some((outer, _)) = spec.outer(&format!("outer_{n}"), &metric) {
            metrics.push(outer);
            known.push(Known { sql: "", print: print + 1000, inner: Some(print) });
        }
        metrics.push(metric);
        known.push(Known { sql: "", print, inner: None });
    }
    Made::leaked(Plan { metrics, ..plan(once) }, known, &READER)
}

/// Of metrics as they are.
pub fn made_with(metrics: Vec<Metric>) -> &'static Made {
    let known = (0..).zip(&metrics).map(|(print, _)| Known { sql: "", print, inner: None }).collect();
    Made::leaked(Plan { metrics, ..plan(None) }, known, &READER)
}

/// The same, with their prints and those of what they read.
pub fn made_with_known(metrics: Vec<Metric>, prints: &[(u64, Option<u64>)]) -> &'static Made {
    let known = prints.iter().map(|(print, inner)| Known { sql: "", print: *print, inner: *inner }).collect();
    Made::leaked(Plan { metrics, ..plan(None) }, known, &READER)
}

pub fn made_of(metrics: Vec<(&str, &Spec, u64)>, once: Option<Once>) -> &'static Made {
    let known = metrics.iter().map(|(_, _, print)| Known { sql: "", print: *print, inner: None }).collect();
    let metrics = metrics.into_iter().map(|(name, spec, _)| spec.metric(name)).collect();
    Made::leaked(Plan { metrics, ..plan(once) }, known, &READER)
}

fn plan(once: Option<Once>) -> Plan {
    Plan {
        name: "store_events".to_owned(),
        doc: "One row per accepted event.".to_owned(),
        columns: columns(),
        time: 0,
        person: Some(2),
        once,
        metrics: Vec::new(),
    }
}

pub fn play(made: &'static Made, settings: &Settings, history: &History) -> Played {
    let (mut all, mut watermark) = (Played::default(), 0);
    for segment in history.segments.iter().filter(|segment| !segment.moments.is_empty()) {
        let played = play_from(made, settings, history, segment, &all.sections, watermark);
        all.deltas.extend(played.deltas);
        all = Played { deltas: all.deltas, raw: all.raw + played.raw, ..played };
        watermark = history.moments[segment.moments.end - 1].watermark;
    }
    all
}

/// Plays a segment from what was kept, at a watermark.
pub fn play_from(
    made: &'static Made,
    settings: &Settings,
    history: &History,
    segment: &Segment,
    sections: &[Section],
    watermark: i64,
) -> Played {
    let (history, of_segment, sections) = (history.clone(), segment.clone(), sections.to_vec());
    let lane = WithSettings { family: made, lane: settings.clone() };
    let law = broken::now();
    let work = move |worker: &mut timely::worker::Worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let Segment { moments, ahead, .. } = of_segment.clone();
        let at = |n: usize| 2 * n as Time + 2;
        let silent = at(moments.start) - 1;
        let ledger = Ledger::restoring_at(silent);
        let (probe, raw) = (ProbeHandle::new(), Rc::new(Cell::new(0)));
        let (mut gate, mut reports, mut marks, changes) = worker.dataflow(|scope| {
            let (reports, of_reports) = scope.new_input::<Vec<Report>>();
            let (marks, of_marks) = scope.new_input::<Vec<Mark>>();
            let logs = Logs { partitions: vec![("store_events".to_owned(), 0)], sequence: 0..0 };
            let inputs = Inputs { logs, reports: of_reports, marks: of_marks };
            let (gate, Outputs { changes, closed, raw: of_raw, .. }) = lane.build(scope, inputs, &ledger);
            closed.probe_with(&probe);
            let raw = Rc::clone(&raw);
            of_raw.map(move |_| raw.set(raw.get() + 1)).probe_with(&probe);
            (gate, reports, marks, changes)
        });
        gate.advance_to(silent);
        marks.advance_to(silent);
        reports.advance_to(silent);
        for section in sections.iter().skip(index).step_by(peers) {
            ledger.restore(section).expect("ours");
        }
        ledger.is_restored();
        if index == 0 && watermark > 0 {
            reports.send(Report::Known { watermark, target: watermark });
        }
        let mut frozen = None;
        let now = |ledger: &Ledger| (ledger.freeze(), ledger.live(), raw.get());
        // What was frozen is looked at after one moment more, if there is one.
        for n in moments.start..history.moments.len().min(moments.end + usize::from(!ahead)) {
            if n == moments.end {
                frozen = Some(now(&ledger));
            }
            let Moment { events, watermark } = &history.moments[n];
            gate.advance_to(at(n));
            reports.advance_to(at(n));
            for (offset, event) in events.iter().enumerate().filter(|(place, _)| place % peers == index) {
                gate.take(Box::new(event.declared()), false);
                gate.enter(Origin { partition: 0, offset: offset as i64, slot: (0, 0) });
            }
            if index == 0 {
                reports.send(Report::Known { watermark: *watermark, target: *watermark });
            }
            gate.advance_to(at(n) + 1);
            marks.advance_to(at(n) + 1);
            reports.advance_to(at(n) + 1);
            reports.flush();
            if !ahead {
                worker.step_or_park_while(WAKE, || probe.less_than(&(at(n) + 1)));
            }
        }
        worker.step_or_park_while(WAKE, || probe.less_than(&(at(moments.end) - 1)));
        let (frozen, live, raw) = frozen.unwrap_or_else(|| now(&ledger));
        let sections: Vec<_> = frozen.collect();
        let changed = |n| changes.borrow_mut().remove(&at(n)).unwrap_or_default();
        drop(changed(moments.end));
        let deltas: Vec<Vec<_>> = moments
            .map(|n| changed(n).into_iter().map(|changed| in_order(changed.expect("no bug"))).collect())
            .collect();
        assert!(changes.borrow().is_empty(), "other epochs change nothing");
        (deltas, sections, live, raw)
    };
    let guards =
        timely::execute(timely::Config::process(segment.workers), move |worker| breaking(law, || work(worker)));
    let mut all = Played { deltas: vec![Vec::new(); segment.moments.len()], ..Played::default() };
    for joined in guards.expect("starts").join() {
        let (deltas, sections, live, raw) = joined.expect("ends");
        all.deltas.iter_mut().zip(deltas).for_each(|(all, deltas)| all.extend(deltas));
        all.sections.extend(sections);
        all.raw += raw;
        live.into_iter().for_each(|(name, count)| *all.live.entry(name.to_owned()).or_default() += count);
    }
    all
}

/// What changed of a table, in the order of keys; of each key once.
fn in_order((table, deltas): (TableId, Deltas)) -> (TableId, Vec<Delta>) {
    let (said, key_columns) = (deltas.len(), table.table().key_columns);
    let deltas: Vec<_> = deltas.last_of_each_key(key_columns).into_iter().collect();
    assert_eq!(deltas.len(), said, "of a key there is one change in an epoch at most");
    (table, deltas)
}

/// How many operators a family is computed by, on one worker.
pub fn operators(made: &'static Made) -> usize {
    timely::execute_directly(move |worker| {
        let count = Rc::new(Cell::new(0));
        let counted = Rc::clone(&count);
        let log = move |_: &Duration, events: &mut Option<Vec<(Duration, TimelyEvent)>>| {
            let events = events.iter().flatten();
            let operators = events.filter(|(_, event)| matches!(event, TimelyEvent::Operates(_)));
            counted.set(counted.get() + operators.count());
        };
        worker.log_register().expect("there is a log").insert::<TimelyEventBuilder, _>("timely", log);
        let lane = WithSettings { family: made, lane: Settings::default() };
        worker.dataflow(|scope| {
            let ((_, reports), (_, marks)) = (scope.new_input(), scope.new_input());
            let logs = Logs { partitions: vec![("store_events".to_owned(), 0)], sequence: 0..0 };
            drop(lane.build(scope, Inputs { logs, reports, marks }, &Ledger::restoring_at(1)));
        });
        worker.log_register().expect("there is a log").flush();
        count.get()
    })
}
