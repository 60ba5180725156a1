//! Of what is said of groups to rows: one operator, whatever the number of metrics.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::declared::aggregate::{Held, Partial};
use crate::declared::encode;
use crate::declared::rows::{Group, OfGroup, Rows};
use crate::declared::said::{GroupKey, Said, keys, number};
use crate::declared::sessions::Sessions;
use crate::delta::Delta;
use crate::dense::{Dense, SLICE};
use crate::operators::{Epoch, per_epoch};
use crate::persons::Renaming;
use crate::state::{Forgets, Kept, Ledger};
use crate::time::{Instant, Settings, is_silent};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// A group as a snapshot has it; of one with many different values, some of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Of which metric: what is computed, whatever its number is in the model of the day.
    pub print: u64,
    /// The keys.
    pub keys: Box<[u8]>,
    /// What was aggregated.
    pub of: Partial,
}

/// How records forget a person: as a key, and as one of different values. Nothing else that is kept says who somebody is.
pub const FORGETS: Forgets<Record> = Forgets::Renames(|record, Renaming { person, nobody, prints: _ }| {
    let (person, nobody) = (encode::of_person(person), encode::of_person(nobody));
    let mut found = false;
    let mut rename = |bytes: &mut Box<[u8]>| {
        if let Some(renamed) = encode::renamed(bytes, &person, &nobody) {
            *bytes = renamed;
            found = true;
        }
    };
    rename(&mut record.keys);
    for held in &mut record.of.held {
        match held {
            Held::Nothing | Held::Steps(_) => {}
            Held::Best(bytes) => rename(bytes),
            Held::Values(values) => {
                let mut all: Vec<_> = std::mem::take(values).into_iter().collect();
                all.iter_mut().for_each(&mut rename);
                *values = all.into_iter().collect();
            }
        }
    }
    found
});

/// The groups whose rows may change in an epoch, each once, and what their rows were.
#[derive(Default)]
struct Touched {
    groups: Vec<(u32, Had)>,
    /// Of all rows that were, what may change.
    packed: Vec<u8>,
}

/// The row that a group had, by where in `packed` it stands; none of a group that is new or was not shown.
type Had = Option<Range<usize>>;

impl Touched {
    /// Whether a group is among them: what its mark says may be of an epoch before.
    fn has(&self, mark: u32, place: u32) -> bool {
        self.groups.get(mark as usize).is_some_and(|(touched, _)| *touched == place)
    }

    /// A group, with the row that it has until now; its mark.
    fn add(&mut self, place: u32, row: Option<(&Rows, OfGroup<'_>)>) -> u32 {
        let had = row.filter(|(rows, group)| rows.is_shown(group)).map(|(rows, group)| {
            let start = self.packed.len();
            rows.packed(&group, &mut self.packed);
            start..self.packed.len()
        });
        self.groups.push((place, had));
        u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
    }

    /// What changed, in the order of groups.
    fn changes(self, groups: &Dense<GroupKey, Group>, rows: &[Rows], passed: Instant, out: &mut Vec<(u16, Delta)>) {
        let Touched { groups: touched, packed } = self;
        let (mut spare, mut changed) = (Vec::new(), Vec::new());
        for (place, had) in touched {
            let (key, group) = groups.at(place);
            let Some(of_metric) = rows.get(number(key)) else { continue };
            let group = of_metric.of_group(key, group, passed);
            let is_shown = of_metric.is_shown(&group);
            if let Some(had) = &had
                && is_shown
            {
                spare.clear();
                of_metric.packed(&group, &mut spare);
                if spare == packed[had.clone()] && !is_broken(Law::OnlyChangesAreSaid) {
                    continue;
                }
            }
            if is_shown || had.is_some() {
                changed.push((begins(key), place, is_shown));
            }
        }
        // Most keys differ early: few are looked up.
        changed.sort_unstable_by(|(a, of_a, _), (b, of_b, _)| {
            a.cmp(b).then_with(|| groups.at(*of_a).0.cmp(&groups.at(*of_b).0))
        });
        out.extend(changed.into_iter().filter_map(|(_, place, is_shown)| {
            let (key, group) = groups.at(place);
            let of_metric = rows.get(number(key))?;
            let group = of_metric.of_group(key, group, passed);
            let delta =
                if is_shown { Delta::Upsert(of_metric.row(&group)) } else { Delta::Delete(of_metric.key(&group)) };
            Some((u16::try_from(number(key)).ok()?, delta))
        }));
    }
}

/// How a key begins: where two differ in it, they have its order.
fn begins(key: &[u8]) -> u128 {
    let mut begins = [0; size_of::<u128>()];
    let bytes = key.len().min(begins.len());
    begins[..bytes].copy_from_slice(&key[..bytes]);
    u128::from_be_bytes(begins)
}

#[derive(Default)]
struct Groups {
    groups: Dense<GroupKey, Group>,
    /// When groups end that have not; of sessions nothing, which end later with each event.
    due: BTreeMap<Instant, Vec<u32>>,
    sessions: Sessions,
    /// Sessions that became part of others: they leave with the epoch.
    gone: Vec<u32>,
    /// What ended up to here cannot change.
    passed: Option<Instant>,
    /// Of each metric, how many groups there are.
    live: Vec<usize>,
}

impl Groups {
    fn of(metrics: usize) -> Groups {
        Groups { live: vec![0; metrics], ..Groups::default() }
    }

    /// A group leaves.
    fn vacate(&mut self, place: u32, rows: &[Rows]) {
        let (key, group) = self.groups.at(place);
        let metric = number(key);
        self.live[metric] -= 1;
        if rows.get(metric).is_some_and(|rows| rows.session.is_some()) && !group.is_gone {
            self.sessions.remove(key);
        }
        self.groups.vacate(place);
    }

    /// A group, and the row that it has until now.
    fn touch(&mut self, place: u32, of_metric: &Rows, before: Instant, touched: Option<&mut Touched>) {
        let Some(touched) = touched else { return };
        let (key, group) = self.groups.at(place);
        if !touched.has(group.mark, place) {
            let row = group.is_known.then(|| (of_metric, of_metric.of_group(key, group, before)));
            self.groups.at_mut(place).mark = touched.add(place, row);
        }
    }

    /// What was aggregated of some events of a group is added to what there is of it.
    fn take(
        &mut self,
        key: &[u8],
        of_metric: &Rows,
        (words, held): (&[u64], &mut [Held]),
        before: Instant,
        mut touched: Option<&mut Touched>,
    ) {
        let place = if let Some(gap_ms) = of_metric.session {
            let last = of_metric.last_of(keys(key), (words, held));
            self.session(key, last, gap_ms, of_metric, before, touched.as_deref_mut())
        } else {
            self.groups.place_of(key)
        };
        self.touch(place, of_metric, before, touched);
        self.merge(place, of_metric, (words, held));
    }

    /// The same, once its place is known, and the row that it had.
    fn merge(&mut self, place: u32, of_metric: &Rows, (words, held): (&[u64], &mut [Held])) {
        let (key, group) = self.groups.at(place);
        let (is_session, is_new) = (of_metric.session.is_some(), !group.is_known);
        // A window ends when it ends.
        let ended = if is_session && !is_new { of_metric.end(key, group) } else { None };
        self.live[number(key)] += usize::from(is_new);
        self.groups.at_mut(place).merge(&of_metric.layout, (words, held));
        let (key, group) = self.groups.at(place);
        if is_session {
            self.sessions.ends(place, ended, of_metric.end(key, group));
        } else if is_new {
            of_metric.end(key, group).into_iter().for_each(|end| self.due.entry(end).or_default().push(place));
        }
    }

    /// The session that events are in which begin with a key's instant. Those that they lie between are one from now on, and
    /// what of it is not the first is gone.
    fn session(
        &mut self,
        key: &[u8],
        last: Instant,
        gap_ms: i64,
        of_metric: &Rows,
        before: Instant,
        mut touched: Option<&mut Touched>,
    ) -> u32 {
        let start = of_metric.start(keys(key));
        let last_of = |place| {
            let (key, group) = self.groups.at(place);
            of_metric.last(key, group)
        };
        let beside = self.sessions.beside(key, start, last, gap_ms, last_of);
        let first = beside.first().filter(|first| of_metric.start(keys(&self.groups.at(**first).0)) <= start);
        let place = first.copied().unwrap_or_else(|| {
            let place = self.groups.place_of(key);
            self.sessions.add(&self.groups.at(place).0, place);
            place
        });
        for joined in beside.into_iter().filter(|joined| *joined != place) {
            for touching in [place, joined] {
                self.touch(touching, of_metric, before, touched.as_deref_mut());
            }
            let (key, group) = self.groups.at(joined);
            self.sessions.ends(joined, of_metric.end(key, group), None);
            self.sessions.remove(key);
            let group = self.groups.at_mut(joined);
            group.is_gone = true;
            let (words, mut held) = group.clone().into_parts();
            self.merge(place, of_metric, (&words, &mut held));
            self.gone.push(joined);
        }
        place
    }

    /// The groups whose end has passed, and when that was: each once.
    fn ended(&mut self, to: Instant) -> Vec<(Instant, u32)> {
        let mut ended = Vec::new();
        while let Some(first) = self.due.first_entry().filter(|first| *first.key() <= to) {
            let (end, places) = first.remove_entry();
            ended.extend(places.into_iter().map(|place| (end, place)));
        }
        ended.extend(std::iter::from_fn(|| self.sessions.ended(to)));
        ended
    }
}

/// The records of a group: different values are many, and are written down in several.
fn records(print: u64, key: &GroupKey, group: &Group, out: &mut Vec<Record>) {
    let mut record = |words, held| out.push(Record { print, keys: keys(key).into(), of: Partial { words, held } });
    let long = |held: &Held| match held {
        Held::Values(values) if values.len() > SLICE => values.iter().cloned().collect(),
        Held::Values(_) | Held::Best(_) | Held::Steps(_) | Held::Nothing => Vec::new(),
    };
    let short = |held: &Held| match held {
        Held::Values(values) if values.len() > SLICE => Held::Nothing,
        Held::Values(_) | Held::Best(_) | Held::Steps(_) | Held::Nothing => held.clone(),
    };
    record(group.words.clone(), group.held().iter().map(short).collect());
    for (place, held) in group.held().iter().enumerate() {
        for values in long(held).chunks(SLICE) {
            let mut some = vec![Held::Nothing; group.held().len()];
            some[place] = Held::Values(values.iter().cloned().collect());
            record(vec![0; group.words.len()].into(), some.into());
        }
    }
}

/// What changes of the rows of all groups, kept by what is said of them: of which metric, by its number, and how; in the
/// order of metrics and keys.
///
/// **Law.** At every even epoch the output accumulates to one row for each group of which anything was said, as its
/// metric's SQL has it over everything that was said; none for a group that HAVING leaves out. What is emitted in an
/// epoch depends on nothing but that: not on the number of workers, nor on restarts. Of a group there is one change in an
/// epoch at most, and it changes something. A group whose window has passed leaves and nothing is said of it. Of metrics
/// that ask for it, a row is said once more when it becomes final: that is news of the even epoch whose watermark made it
/// so. Odd epochs are silent.
pub fn rollup<'s>(
    said: Stream<'s, Said>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    kept: &'static Kept<Record>,
    rows: Rc<[Rows]>,
) -> Stream<'s, (u16, Delta)> {
    let held = Rc::new(RefCell::new(Groups::of(rows.len())));
    ledger.count(kept.name, &held, |held| held.groups.len());
    for (metric, rows) in rows.iter().enumerate() {
        ledger.count(rows.counted, &held, move |held| held.live[metric]);
    }
    let prints: Vec<u64> = rows.iter().map(|rows| rows.print).collect();
    ledger.keep(kept, &held, move |held| {
        let prints = prints.clone();
        held.groups.frozen(move |key, group, out| {
            let print = prints.get(number(key));
            print.into_iter().for_each(|print| records(*print, key, group, out));
        })
    });
    let settings = settings.clone();
    let by_worker = Exchange::new(|Said { to, .. }: &Said| *to);
    let step = move |Epoch { time, input, watermark }: Epoch<Said>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let held = &mut *held.borrow_mut();
        let before = held.passed.unwrap_or(Instant::MIN);
        let now = if is_broken(Law::FinalWaitsForLateness) { watermark } else { settings.final_cut(watermark) };
        let due_to = if is_broken(Law::GroupsWaitForLateness) { watermark } else { now };
        let is_silent = is_silent(time) && !is_broken(Law::OddEpochsAreSilent);
        let mut touched = Touched::default();
        for mut said in Epoch::records(input) {
            for of in 0..said.groups() {
                let Some(of_metric) = rows.get(number(said.key(of))) else { continue };
                let (key, partial) = said.group(of);
                held.take(key, of_metric, partial, before, (!is_silent).then_some(&mut touched));
            }
        }
        let mut leave = std::mem::take(&mut held.gone);
        for (end, place) in held.ended(due_to) {
            let of_metric = rows.get(number(&held.groups.at(place).0));
            if let Some(of_metric) = of_metric.filter(|of| of.asks_is_final && !is_broken(Law::FinalIsSaid)) {
                held.touch(place, of_metric, before, (!is_silent).then_some(&mut touched));
            }
            let leaves = end <= settings.forget_cut(watermark) || is_broken(Law::GroupsWaitForLateness);
            if leaves && !is_broken(Law::GroupsLeave) {
                leave.push(place);
            }
        }
        held.passed = Some(now);
        if !is_silent {
            touched.changes(&held.groups, &rows, now, out);
        }
        leave.into_iter().for_each(|place| held.vacate(place, &rows));
    };
    per_epoch(said, watermarks, by_worker, kept.name, step).0
}
