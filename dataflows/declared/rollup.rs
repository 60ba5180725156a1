//! Of what is said of groups to rows: one operator, whatever the number of metrics.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::declared::aggregate::{Held, Partial};
use crate::declared::encode;
use crate::declared::fold::{Folding, Reading};
use crate::declared::rows::{Group, Read, Rows};
use crate::declared::said::{GroupKey, Passed, Said, Spare, keys, number};
use crate::declared::sessions::{Beside, Sessions, start};
use crate::declared::touched::{TOGETHER, Touched, look_at};
use crate::deltas::Page;
use crate::dense::{Dense, SLICE};
use crate::operators::{Epoch, per_epoch};
use crate::persons::Renaming;
use crate::places::Places;
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
            Held::Counted(values) => {
                let all = std::mem::take(values).into_iter().map(|(mut value, times)| {
                    rename(&mut value);
                    (value, times)
                });
                *values = all.collect();
            }
            Held::Values(values) => {
                let mut all: Vec<_> = std::mem::take(values).into_iter().collect();
                all.iter_mut().for_each(&mut rename);
                *values = all.into_iter().collect();
            }
        }
    }
    found
});

#[derive(Default)]
struct Groups {
    groups: Dense<GroupKey, Group>,
    /// Where those stand that are no sessions.
    places: Places,
    /// Of each metric, when groups end that have not; of sessions nothing, which end later with each event.
    due: Vec<BTreeMap<Instant, Vec<u32>>>,
    sessions: Sessions,
    /// Sessions that became part of others: they leave with the epoch.
    gone: Vec<u32>,
    /// Of each metric, what ended up to there cannot change.
    passed: Vec<Instant>,
    /// Of each metric whose rows others read, what was last said of it.
    told: Vec<Option<Instant>>,
    /// Of each metric, how many groups there are.
    live: Vec<usize>,
}

impl Groups {
    fn of(metrics: usize) -> Groups {
        Groups {
            due: vec![BTreeMap::new(); metrics],
            passed: vec![Instant::MIN; metrics],
            told: vec![None; metrics],
            live: vec![0; metrics],
            ..Groups::default()
        }
    }

    /// Groups leave.
    fn leave(&mut self, places: &[u32], rows: &[Rows]) {
        for some in places.chunks(TOGETHER) {
            look_at(&self.groups, some.iter().copied());
            let groups = some.iter().filter_map(|place| self.groups.standing(*place));
            let found: u32 = groups.map(|(_, group)| group.hash).fold(0, |found, hash| {
                found ^ self.places.look(hash).or_else(|| self.sessions.look(hash)).unwrap_or(0)
            });
            std::hint::black_box(found);
            some.iter().for_each(|place| self.vacate(*place, rows));
        }
    }

    /// A group leaves.
    fn vacate(&mut self, place: u32, rows: &[Rows]) {
        let (key, group) = self.groups.at(place);
        let metric = number(key);
        self.live[metric] -= 1;
        match rows.get(metric) {
            Some(rows) if rows.session.is_some() && group.is_gone => {}
            Some(rows) if rows.session.is_some() => self.sessions.remove(group.hash, key, place, rows.is_read()),
            Some(_) | None => {
                let slot = self.places.find(group.hash, |other| other == place);
                slot.into_iter().for_each(|slot| self.places.remove(slot));
            }
        }
        self.groups.vacate_apart(place);
    }

    /// The place of a group that is no session, which is made if there is none.
    fn place_of(&mut self, hash: u32, key: &[u8]) -> u32 {
        let Groups { groups, places, .. } = self;
        if let Some(slot) = places.find(hash, |place| *groups.at(place).0 == *key) {
            return places.at(slot);
        }
        let place = groups.stand_apart(key.into());
        groups.at_mut(place).hash = hash;
        places.insert(hash, place);
        place
    }

    /// Looks at what some of what is said will be looked for at, and at groups that are likely to be met.
    fn look_for(&self, said: &Said, some: Range<usize>, rows: &[Rows]) {
        let mut likely = [None; TOGETHER];
        for (likely, of) in likely.iter_mut().zip(some) {
            let is_session = rows.get(number(said.key(of))).is_some_and(|rows| rows.session.is_some());
            let hash = said.hash(of);
            *likely = if is_session { self.sessions.look(hash) } else { self.places.look(hash) };
        }
        look_at(&self.groups, likely.into_iter().flatten());
    }

    /// A group, and the row that it has until now.
    fn touch(&mut self, place: u32, of_metric: &Rows, touched: Option<&mut Touched>) {
        let Some(touched) = touched else { return };
        let (key, group) = self.groups.at(place);
        let before = self.passed[number(key)];
        if !touched.has(group.mark, place) {
            let row = group.is_known.then(|| (of_metric, of_metric.of_group(key, group, before)));
            self.groups.at_mut(place).mark = touched.add(place, row);
        }
    }

    /// Groups of which no row is left and that have no end: nothing else would let go of them.
    fn empty(&self, touched: &Touched, rows: &[Rows]) -> Vec<u32> {
        let is_empty = |place: &u32| {
            let (key, group) = self.groups.at(*place);
            rows.get(number(key)).is_some_and(|rows| rows.stays() && rows.is_empty(group))
        };
        touched.places().filter(is_empty).collect()
    }

    /// What was aggregated of some events of a group is added to what there is of it.
    fn take(
        &mut self,
        (hash, key): (u32, &[u8]),
        of_metric: &Rows,
        (words, held): (&[u64], &mut [Held]),
        mut touched: Option<&mut Touched>,
    ) {
        let place = if let Some(gap_ms) = of_metric.session {
            let last = of_metric.last_of(keys(key), (words, held));
            self.session((hash, key), last, gap_ms, of_metric, touched.as_deref_mut())
        } else {
            self.place_of(hash, key)
        };
        self.touch(place, of_metric, touched);
        self.merge(place, of_metric, (words, held));
    }

    /// The same, once its place is known, and the row that it had.
    fn merge(&mut self, place: u32, of_metric: &Rows, (words, held): (&[u64], &mut [Held])) {
        let (key, group) = self.groups.at(place);
        let (is_session, is_new) = (of_metric.session.is_some(), !group.is_known);
        let metric = number(key);
        self.live[metric] += usize::from(is_new);
        self.groups.at_mut(place).merge(&of_metric.layout, (words, held));
        let (key, group) = self.groups.at(place);
        if is_session {
            self.sessions.ends(place, of_metric.end(key, group));
        } else if is_new {
            of_metric.end(key, group).into_iter().for_each(|end| self.due[metric].entry(end).or_default().push(place));
        }
    }

    /// The session that events are in which begin with a key's instant. Those that they lie between are one from now on, and
    /// what of it is not the first is gone.
    fn session(
        &mut self,
        (hash, key): (u32, &[u8]),
        last: Instant,
        gap_ms: i64,
        of_metric: &Rows,
        mut touched: Option<&mut Touched>,
    ) -> u32 {
        let Groups { groups, sessions, .. } = self;
        let last_of = |place| {
            let (key, group) = groups.at(place);
            of_metric.last(key, group)
        };
        let Beside { line, first, others } =
            sessions.beside((hash, key), last, gap_ms, |place| &*groups.at(place).0, last_of);
        let began_before = first.filter(|first| start(&groups.at(*first).0) <= start(key));
        let place = began_before.unwrap_or_else(|| {
            let place = groups.stand_apart(key.into());
            groups.at_mut(place).hash = hash;
            sessions.add(line, key, place, of_metric.is_read(), |place| &*groups.at(place).0);
            place
        });
        for joined in first.into_iter().chain(others).filter(|joined| *joined != place) {
            for touching in [place, joined] {
                self.touch(touching, of_metric, touched.as_deref_mut());
            }
            self.sessions.remove(hash, &self.groups.at(joined).0, joined, of_metric.is_read());
            let group = self.groups.at_mut(joined);
            group.is_gone = true;
            let (words, mut held) = group.clone().into_parts();
            self.merge(place, of_metric, (&words, &mut held));
            self.gone.push(joined);
        }
        place
    }

    /// The groups whose end has passed, by what has passed for each metric, and when that was: each once.
    fn ended(&mut self, to: &[Instant], rows: &[Rows]) -> Vec<(Instant, u32)> {
        let mut ended = Vec::new();
        for (due, to) in self.due.iter_mut().zip(to) {
            while let Some(first) = due.first_entry().filter(|first| first.key() <= to) {
                let (end, places) = first.remove_entry();
                ended.extend(places.into_iter().map(|place| (end, place)));
            }
        }
        // Sessions are of events, for which the same has passed, whatever the metric.
        let of_events = to.iter().max().copied().unwrap_or(Instant::MIN);
        loop {
            let due = self.sessions.due(of_events);
            if due.is_empty() {
                break;
            }
            for some in due.chunks(TOGETHER) {
                look_at(&self.groups, some.iter().map(|(_, place)| *place));
                for (end, place) in some {
                    let (key, group) = self.groups.at(*place);
                    let later = rows.get(number(key)).and_then(|rows| rows.end(key, group)).filter(|later| later > end);
                    match later {
                        Some(later) => self.sessions.ends(*place, Some(later)),
                        None => ended.push((*end, *place)),
                    }
                }
            }
        }
        ended
    }
}

/// The records of a group: different values are many, and are written down in several.
fn records(print: u64, key: &GroupKey, group: &Group, out: &mut Vec<Record>) {
    let mut record = |words, held| out.push(Record { print, keys: keys(key).into(), of: Partial { words, held } });
    let held = group.held();
    let first = held.iter().map(|held| if parts(held).is_empty() { held.clone() } else { Held::Nothing });
    record(group.words[..].into(), first.collect());
    for (place, part) in
        held.iter().enumerate().flat_map(|(place, held)| parts(held).into_iter().map(move |p| (place, p)))
    {
        let mut some = vec![Held::Nothing; held.len()];
        some[place] = part;
        record(vec![0; group.words.len()].into(), some.into());
    }
}

/// The parts of what is too long for one record.
fn parts(held: &Held) -> Vec<Held> {
    match held {
        Held::Values(values) if values.len() > SLICE => {
            let all: Vec<_> = values.iter().cloned().collect();
            all.chunks(SLICE).map(|some| Held::Values(some.iter().cloned().collect())).collect()
        }
        Held::Counted(values) if values.len() > SLICE => {
            let all: Vec<_> = values.iter().map(|(value, times)| (value.clone(), *times)).collect();
            all.chunks(SLICE).map(|some| Held::Counted(some.iter().cloned().collect())).collect()
        }
        Held::Values(_) | Held::Counted(_) | Held::Best(_) | Held::Steps(_) | Held::Nothing => Vec::new(),
    }
}

/// Up to when the rows of metrics that are read do not change: the least of what workers say.
struct PassedRows {
    workers: usize,
    of: BTreeMap<usize, BTreeMap<usize, Instant>>,
}

impl PassedRows {
    fn note(&mut self, Passed { worker, of, at }: Passed) {
        self.of.entry(of).or_default().insert(worker, at);
    }

    /// Nothing has passed of which a worker has said nothing.
    fn least(&self, of: usize) -> Instant {
        let said = self.of.get(&of).filter(|said| said.len() == self.workers);
        said.and_then(|said| said.values().min().copied()).unwrap_or(Instant::MIN)
    }
}

/// What changes of the rows of all groups, kept by what is said of them: of which table, by its number, and which rows.
///
/// **Law.** At every even epoch the output accumulates to one row for each group of which anything was said, as its
/// metric's SQL has it over everything that was said; none for a group that HAVING leaves out. What is emitted in an
/// epoch depends on nothing but that: not on the number of workers, nor on restarts. Of a group there is one change in an
/// epoch at most, and it changes something. A group whose window has passed leaves and nothing is said of it. Of metrics
/// that ask for it, a row is said once more when it becomes final: that is news of the even epoch whose watermark made it
/// so. Odd epochs are silent.
///
/// Of metrics that others are computed of, the second stream has what the rows that came and went say of the groups of those, as
/// `readings` of each metric read them, and up to when none does any more:
/// **a metric has a watermark of its own for those who read it**, the least of where events are cut and of where the first
/// of its groups in memory begins. What has passed for the reader is that.
pub fn rollup<'s>(
    said: Stream<'s, Said>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    (kept, is_of_rows): (&'static Kept<Record>, bool),
    (rows, spare): (Rc<[Rows]>, Spare),
    (readings, to_readers): (Rc<[Reading]>, Spare),
) -> (Stream<'s, (u16, Page)>, Stream<'s, Said>) {
    let held = Rc::new(RefCell::new(Groups::of(rows.len())));
    ledger.count(kept.name, &held, |held| held.groups.len());
    let (worker, workers) = (said.scope().index(), said.scope().peers());
    let own = rows.iter().enumerate().filter(|(_, rows)| rows.read.is_some() == is_of_rows);
    for (metric, counted) in own.filter_map(|(metric, rows)| Some((metric, rows.counted?))) {
        ledger.count(counted, &held, move |held| held.live[metric]);
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
    let (mut touched, mut folding) = (Touched::default(), Folding::of(workers));
    let mut passed_rows = PassedRows { workers, of: BTreeMap::new() };
    let step = move |Epoch { time, input, watermark }: Epoch<Said>, out: &mut Vec<_>, read: &mut Vec<_>| {
        let held = &mut *held.borrow_mut();
        let final_cut = if is_broken(Law::FinalWaitsForLateness) { watermark } else { settings.final_cut(watermark) };
        let forget_cut = settings.forget_cut(watermark);
        let is_silent = is_silent(time) && !is_broken(Law::OddEpochsAreSilent);
        for mut said in Epoch::records(input) {
            said.passed.into_iter().for_each(|passed| passed_rows.note(passed));
            for of in 0..said.groups() {
                if of % TOGETHER == 0 {
                    held.look_for(&said, of..said.groups().min(of + TOGETHER), &rows);
                }
                let Some(of_metric) = rows.get(number(said.key(of))) else { continue };
                let (hash, (key, partial)) = (said.hash(of), said.group(of));
                held.take((hash, key), of_metric, partial, (!is_silent).then_some(&mut touched));
            }
            spare.give(said, workers);
        }
        // Rows of sessions say for themselves when they have passed.
        let cut = |of_metric: &Rows, cut: Instant| match &of_metric.read {
            Some(Read::Rows { of, session: Some(_), .. }) if !is_broken(Law::ReadersWait) => passed_rows.least(*of),
            Some(Read::Rows { .. } | Read::Answers { .. }) | None => of_metric.passed(cut),
        };
        let now: Vec<Instant> = rows.iter().map(|of_metric| cut(of_metric, final_cut)).collect();
        let due: Vec<Instant> = if is_broken(Law::GroupsWaitForLateness) {
            rows.iter().map(|of_metric| cut(of_metric, watermark)).collect()
        } else {
            now.clone()
        };
        let mut leave = std::mem::take(&mut held.gone);
        for (end, place) in held.ended(&due, &rows) {
            let metric = number(&held.groups.at(place).0);
            let Some(of_metric) = rows.get(metric) else { continue };
            if of_metric.asks_is_final && !is_broken(Law::FinalIsSaid) {
                held.touch(place, of_metric, (!is_silent).then_some(&mut touched));
            }
            let leaves = end <= cut(of_metric, forget_cut) || is_broken(Law::GroupsWaitForLateness);
            if leaves && !is_broken(Law::GroupsLeave) {
                leave.push(place);
            }
        }
        held.passed.clone_from(&now);
        let empty = held.empty(&touched, &rows);
        if !is_silent {
            folding.begin(&to_readers);
            touched.changes(&held.groups, &rows, &now, out, (&readings, &mut folding));
            read.extend(folding.end(&to_readers));
        }
        leave.extend(empty);
        held.leave(&leave, &rows);
        for (of, of_metric) in rows.iter().enumerate().filter(|(_, of_metric)| of_metric.is_read() && !is_of_rows) {
            let at = of_metric.rows_passed(forget_cut, held.sessions.first(of));
            if held.told[of].replace(at) != Some(at) {
                let passed = Passed { worker, of, at };
                read.extend((0..workers as u64).map(|to| Said::passed_to(to, passed)));
            }
        }
    };
    per_epoch(said, watermarks, by_worker, kept.name, step)
}
