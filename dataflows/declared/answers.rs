//! What metrics ask of events beyond their columns: whether another one is near, whether the watermark has passed.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::declared::aggregate::is_person;
use crate::declared::conditions::{Conditions, Mask, Truths};
use crate::declared::encode;
use crate::declared::eval::eval;
use crate::declared::plan::{Ask, Exists, Expr, Metric, Node};
use crate::declared::row::{Builder, Datum, Declared, Row};
use crate::declared::walk;
use crate::dense::Dense;
use crate::hash::Folded;
use crate::operators::{Epoch, hear, per_epoch};
use crate::persons::Renaming;
use crate::state::{Forgets, Kept, Ledger};
use crate::time::{Instant, Settings, is_silent};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

/// An event that asks, or one that answers, as a snapshot has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Of which metric: what is computed, whatever its number is in the model of the day.
    pub print: u64,
    /// What it is.
    pub what: What,
}

/// An event, for a metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum What {
    /// It asks.
    Asks {
        /// Its time.
        at: Instant,
        /// Its columns, of those that are read.
        row: Box<[u8]>,
        /// How many such events there are.
        times: i64,
        /// Which answers are true.
        answers: u64,
    },
    /// It answers.
    Answers {
        /// Which question, by its place.
        ask: u16,
        /// What is equal in both.
        key: Box<[u8]>,
        /// Its time.
        at: Instant,
    },
}

/// How records forget a person.
pub const FORGETS: Forgets<Record> = Forgets::Renames(|record, Renaming { person, nobody, prints: _ }| {
    let (What::Asks { row: bytes, .. } | What::Answers { key: bytes, .. }) = &mut record.what;
    let renamed = encode::renamed(bytes, &encode::of_person(person), &encode::of_person(nobody));
    renamed.map(|renamed| *bytes = renamed).is_some()
});

/// An event came, or went, with what is true of it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Of which metric, by its number.
    pub of: usize,
    /// It is there so many times more.
    pub times: i64,
    /// Its columns, and behind them the answers.
    pub row: Row,
}

/// A metric that asks.
pub struct Asking {
    number: usize,
    print: u64,
    /// Which events ask, and which answer each question.
    asks: Mask,
    answers: Vec<Mask>,
    questions: Vec<Question>,
    /// Which columns of an event are kept, and whether they say whom it is of.
    columns: Vec<Option<bool>>,
    /// So many of what is equal are so in all questions: by them events are spread.
    common: usize,
    ahead_ms: i64,
}

/// A question. What is equal in all questions of a metric stands before all else.
enum Question {
    Exists { of_asking: Vec<(Expr, bool)>, of_answering: Vec<(Expr, bool)>, from_ms: i64, until_ms: i64 },
    HasPassed(i64),
}

/// What metrics ask, and of which events.
pub struct Questions {
    conditions: Conditions,
    metrics: Vec<Asking>,
}

impl Questions {
    /// Of metrics, each with its number and what stands for it; of events that have so many columns. `person` is the one that
    /// says whom they are of.
    pub fn of(metrics: &[(usize, u64, &Metric)], columns: usize, person: Option<usize>) -> Questions {
        let filters = metrics.iter().flat_map(|(_, _, metric)| {
            let answering = metric.asks.iter().map(|ask| match ask {
                Ask::Exists(Exists { filter, .. }) => filter.clone(),
                Ask::HasPassed(_) => None,
            });
            std::iter::once(asking(metric, columns)).chain(answering)
        });
        let (conditions, masks) = Conditions::of(&filters.collect::<Vec<_>>());
        let mut masks = masks.into_iter();
        let metrics = metrics.iter().map(|(number, print, metric)| Asking {
            asks: masks.next().unwrap_or_default(),
            answers: masks.by_ref().take(metric.asks.len()).collect(),
            ..Asking::of(metric, (*number, *print), columns, person)
        });
        let metrics = metrics.collect();
        Questions { conditions, metrics }
    }

    /// What an event is to each metric.
    fn heard(&self, row: &Row, at: Instant, truths: &mut Truths, out: &mut Vec<Heard>) {
        self.conditions.look(row, truths);
        for (place, asking) in self.metrics.iter().enumerate() {
            let heard = |what| Heard { to: asking.spread(&what), metric: place, is_new: true, what };
            for (ask, (question, mask)) in (0..).zip(asking.questions.iter().zip(&asking.answers)) {
                let Question::Exists { of_answering, .. } = question else { continue };
                if self.conditions.fits(mask, row, truths)
                    && let Some(key) = key(of_answering, row)
                {
                    out.push(heard(What::Answers { ask, key, at }));
                }
            }
            if self.conditions.fits(&asking.asks, row, truths) {
                out.push(heard(What::Asks { at, row: asking.written(row), times: 1, answers: 0 }));
            }
        }
    }
}

/// Which events ask: what is not an answer must be true of them.
fn asking(metric: &Metric, columns: usize) -> Option<Expr> {
    let is_known = |expr: &&Expr| {
        let mut read = BTreeSet::new();
        walk::columns(expr, &mut read);
        read.last().is_none_or(|last| *last < columns)
    };
    let filter = metric.filter.as_ref()?;
    let all: Vec<_> = walk::conditions(filter).filter(is_known).cloned().collect();
    Some(Expr { node: Node::And(all), ..filter.clone() })
}

/// What is equal of an event, written down; nothing if any of it is null.
fn key(of: &[(Expr, bool)], row: &Row) -> Option<Box<[u8]>> {
    let mut key = Vec::new();
    for (expr, is_person) in of {
        let value = eval(expr, row);
        if value.is_null() {
            return None;
        }
        encode::push(&value, *is_person, &mut key);
    }
    Some(key.into())
}

impl Asking {
    fn of(metric: &Metric, (number, print): (usize, u64), columns: usize, person: Option<usize>) -> Asking {
        let equal = metric.asks.iter().filter_map(|ask| match ask {
            Ask::Exists(Exists { equal, .. }) => Some(equal),
            Ask::HasPassed(_) => None,
        });
        let mut common: Vec<(Expr, Expr)> = equal.clone().next().cloned().unwrap_or_default();
        common.retain(|pair| equal.clone().all(|equal| equal.contains(pair)));
        let questions = metric.asks.iter().map(|ask| match ask {
            Ask::HasPassed(ms) => Question::HasPassed(*ms),
            Ask::Exists(Exists { equal, filter: _, from_ms, until_ms }) => {
                let rest = equal.iter().filter(|pair| !common.contains(pair));
                let pairs: Vec<_> = common.iter().chain(rest).collect();
                let side = |expr: &Expr| (expr.clone(), is_person(expr, person));
                Question::Exists {
                    of_asking: pairs.iter().map(|(asking, _)| side(asking)).collect(),
                    of_answering: pairs.iter().map(|(_, answering)| side(answering)).collect(),
                    from_ms: *from_ms,
                    until_ms: *until_ms,
                }
            }
        });
        let mut read = BTreeSet::new();
        walk::of_events(metric).into_iter().for_each(|expr| walk::columns(expr, &mut read));
        let kept = |place| read.contains(&place).then_some(person == Some(place));
        Asking {
            number,
            print,
            asks: Mask::default(),
            answers: Vec::new(),
            questions: questions.collect(),
            columns: (0..columns).map(kept).collect(),
            common: common.len(),
            ahead_ms: metric.ahead_ms(),
        }
    }

    /// The columns of an event that are read.
    fn written(&self, row: &Row) -> Box<[u8]> {
        let mut bytes = Vec::new();
        for (place, kept) in self.columns.iter().enumerate() {
            match kept {
                Some(is_person) => encode::push_column(row, place, *is_person, &mut bytes),
                None => encode::push(&Datum::Null, false, &mut bytes),
            }
        }
        bytes.into()
    }

    /// What an event and all that may answer it have in common. An event that nothing answers stands alone.
    fn common(&self, what: &What) -> Box<[u8]> {
        let first = self.questions.iter().find_map(|question| match question {
            Question::Exists { of_asking, .. } => Some(&of_asking[..self.common]),
            Question::HasPassed(_) => None,
        });
        match (what, first) {
            (What::Answers { key, .. }, _) => encode::first(key, self.common).into(),
            (What::Asks { row, .. }, None) => row.clone(),
            (What::Asks { row, .. }, Some(of)) => key(of, &read(row)).unwrap_or_else(|| row.clone()),
        }
    }

    fn spread(&self, what: &What) -> u64 {
        let mut hasher = Folded::default();
        hasher.write(&self.common(what));
        hasher.finish()
    }
}

/// An event whose columns were written down.
fn read(bytes: &[u8]) -> Row {
    encode::all(bytes).collect()
}

/// What is said of an event to the worker that keeps what it has in common with others.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Heard {
    to: u64,
    /// The place of the metric among those that ask.
    metric: usize,
    /// It was not known before.
    is_new: bool,
    what: What,
}

/// Its time, and its columns.
type Asker = (Instant, Box<[u8]>);

/// A question, and what is equal in both.
type Asked = (u16, Box<[u8]>);

/// Events that have something in common, of a metric. They stand behind an `Rc`: what is frozen copies a group when it changes.
#[derive(Clone, Default)]
struct Group {
    /// How many are the same, and which answers are true.
    asking: Rc<BTreeMap<Asker, (i64, u64)>>,
    /// When something answers, by question and what is equal.
    answering: Rc<BTreeMap<Asked, BTreeSet<Instant>>>,
}

#[derive(Default)]
struct Groups {
    groups: Dense<Box<[u8]>, Group>,
    /// When some of a group leave.
    leave: BTreeMap<Instant, BTreeSet<u32>>,
    /// When the watermark has passed what asks for it: the group, and the question.
    pass: BTreeMap<Instant, BTreeSet<(u32, u16)>>,
    /// How many events are kept.
    live: usize,
}

/// Which of the metrics that ask a group is of: its key begins with that.
fn metric_of(key: &[u8]) -> usize {
    key.first_chunk().map_or(usize::MAX, |place| u16::from_be_bytes(*place).into())
}

/// Whether something answers an event of a time, of a question with these limits.
fn is_answered(group: &Group, ask: u16, key: &[u8], at: Instant, (from_ms, until_ms): (i64, i64)) -> bool {
    let Some(times) = group.answering.get(&(ask, Box::from(key))) else { return false };
    let until = at.saturating_add(until_ms).saturating_add(is_broken(Law::AnswersEnd).into());
    let from = at.saturating_add(from_ms);
    from < until && times.range(from..until).next().is_some()
}

impl Groups {
    fn place(&mut self, metric: usize, common: &[u8]) -> u32 {
        let mut key = u16::try_from(metric).unwrap_or(u16::MAX).to_be_bytes().to_vec();
        key.extend_from_slice(common);
        self.groups.place_of(&key[..])
    }

    /// An event that answers; those whose answer it changes are told.
    fn answer(
        &mut self,
        asking: &Asking,
        (place, is_new): (u32, bool),
        (ask, key, at): (u16, Box<[u8]>, Instant),
        said: &mut Vec<Change>,
    ) {
        let Some(Question::Exists { of_asking, from_ms, until_ms, .. }) = asking.questions.get(usize::from(ask)) else {
            return;
        };
        let leaves = at.saturating_sub(*from_ms).saturating_add(1);
        let group = self.groups.at_mut(place);
        if !Rc::make_mut(&mut group.answering).entry((ask, key.clone())).or_default().insert(at) {
            return;
        }
        self.live += 1;
        self.leave.entry(leaves).or_default().insert(place);
        if !is_new || is_broken(Law::AnswersComeLater) {
            return;
        }
        // Those that it is neither too early for nor too late.
        let (first, last) = (at.saturating_sub(*until_ms).saturating_add(1), at.saturating_sub(*from_ms));
        let bit = 1 << ask;
        let group = self.groups.at(place).1.clone();
        let after_last = (last.saturating_add(1), Box::default());
        if first > last {
            return;
        }
        for (which, (_, answers)) in group.asking.range((first, Box::default())..after_last) {
            if answers & bit == 0 && self::key(of_asking, &read(&which.1)).as_ref() == Some(&key) {
                self.change(asking, place, which, bit, said);
            }
        }
    }

    /// An answer of an event becomes true.
    fn change(&mut self, asking: &Asking, place: u32, which: &Asker, bit: u64, said: &mut Vec<Change>) {
        let known = Rc::make_mut(&mut self.groups.at_mut(place).asking);
        let Some((times, answers)) = known.get_mut(which) else { return };
        said.push(asking.change(&which.1, *answers, -*times));
        *answers |= bit;
        said.push(asking.change(&which.1, *answers, *times));
    }

    /// An event that asks.
    fn ask(
        &mut self,
        asking: &Asking,
        (place, is_new): (u32, bool),
        which: Asker,
        (times, answers): (i64, u64),
        watermark: Instant,
        said: &mut Vec<Change>,
    ) {
        let at = which.0;
        let (_, group) = self.groups.at(place);
        let mut answers = answers;
        let known = group.asking.get(&which);
        if let Some((_, known)) = known {
            answers = *known;
        } else if is_new {
            let row = read(&which.1);
            for (ask, question) in (0..).zip(&asking.questions) {
                let is_true = match question {
                    Question::HasPassed(ms) => at.saturating_add(*ms) <= watermark,
                    Question::Exists { of_asking, from_ms, until_ms, .. } => {
                        key(of_asking, &row).is_some_and(|key| is_answered(group, ask, &key, at, (*from_ms, *until_ms)))
                    }
                };
                answers |= u64::from(is_true) << ask;
            }
        }
        if known.is_none() {
            self.live += 1;
            self.leave.entry(at.saturating_add(asking.ahead_ms)).or_default().insert(place);
            for (ask, question) in (0..).zip(&asking.questions) {
                if let Question::HasPassed(ms) = question
                    && answers & 1 << ask == 0
                {
                    self.pass.entry(at.saturating_add(*ms)).or_default().insert((place, ask));
                }
            }
        }
        if is_new {
            said.push(asking.change(&which.1, answers, times));
        }
        let known = Rc::make_mut(&mut self.groups.at_mut(place).asking);
        known.entry(which).or_insert((0, answers)).0 += times;
    }

    /// What the watermark has passed is told.
    fn pass(&mut self, metrics: &[Asking], watermark: Instant, said: &mut Vec<Change>) {
        while let Some(first) = self.pass.first_entry().filter(|first| *first.key() <= watermark) {
            let (when, places) = first.remove_entry();
            for (place, ask) in places {
                // Another group may stand there by now.
                let Some((key, group)) = self.groups.standing(place) else { continue };
                let Some(asking) = metrics.get(metric_of(key)) else { continue };
                let Some(Question::HasPassed(ms)) = asking.questions.get(usize::from(ask)) else { continue };
                let at = when.saturating_sub(*ms);
                let (group, bit) = (group.clone(), 1 << ask);
                let of_then = group.asking.range((at, Box::default())..(at.saturating_add(1), Box::default()));
                for (which, _) in of_then.filter(|(_, (_, answers))| answers & bit == 0) {
                    self.change(asking, place, which, bit, said);
                }
            }
        }
    }

    /// Those leave of which nothing can change, and those that can answer nothing any more.
    fn leave(&mut self, metrics: &[Asking], (asking_cut, answering_cut): (Instant, Instant)) {
        let cut = asking_cut.max(answering_cut);
        while let Some(first) = self.leave.first_entry().filter(|first| *first.key() <= cut) {
            for place in first.remove() {
                let Some((key, _)) = self.groups.standing(place) else { continue };
                let Some(metric) = metrics.get(metric_of(key)) else { continue };
                let group = self.groups.at_mut(place);
                let Group { asking, answering } = group;
                let asking = Rc::make_mut(asking);
                while let Some(first) = asking.first_entry()
                    && first.key().0.saturating_add(metric.ahead_ms) <= asking_cut
                {
                    first.remove();
                    self.live -= 1;
                }
                Rc::make_mut(answering).retain(|(ask, _), times| {
                    let Some(Question::Exists { from_ms, .. }) = metric.questions.get(usize::from(*ask)) else {
                        return false;
                    };
                    let stay = times.split_off(&answering_cut.saturating_add(*from_ms));
                    self.live -= times.len();
                    *times = stay;
                    !times.is_empty()
                });
                if group.asking.is_empty() && group.answering.is_empty() {
                    self.groups.vacate(place);
                }
            }
        }
    }
}

impl Asking {
    /// So many such events come, or go.
    fn change(&self, row: &[u8], answers: u64, times: i64) -> Change {
        let mut builder = Builder::default();
        encode::all(row).for_each(|value| builder.push(&value));
        (0..self.questions.len()).for_each(|ask| builder.boolean(answers & 1 << ask != 0));
        Change { of: self.number, times, row: builder.row() }
    }
}

/// Events of which metrics ask something, with the answers behind their columns: they come, and they go and come again when
/// an answer changes. They are the second stream; the first has the events as they came.
///
/// **Law.** At every even epoch what came out accumulates to the events in time that ask, each with what is true of it among
/// all events in time and by the watermark. An answer only becomes true. What asks stays in memory until no event in time
/// can answer it; what answers, until no event in time can ask for it. Odd epochs are silent.
pub fn answers<'s>(
    events: Stream<'s, Declared>,
    known: Stream<'s, Record>,
    watermarks: Stream<'s, Instant>,
    (settings, ledger): (&Settings, &Ledger),
    kept: &'static Kept<Record>,
    questions: Questions,
) -> (Stream<'s, Declared>, Stream<'s, Change>) {
    let questions = Rc::new(questions);
    let held = Rc::new(RefCell::new(Groups::default()));
    ledger.count(kept.name, &held, |held| held.live);
    let prints: Vec<u64> = questions.metrics.iter().map(|asking| asking.print).collect();
    ledger.keep(kept, &held, move |held| {
        let prints = prints.clone();
        held.groups.frozen(move |key, group, out| {
            let Some(print) = prints.get(metric_of(key)).copied() else { return };
            out.extend(records(group).map(|what| Record { print, what }));
        })
    });
    let of_known = Rc::clone(&questions);
    let known = known.flat_map(move |Record { print, what }| {
        let metric = of_known.metrics.iter().position(|asking| asking.print == print)?;
        Some(Heard { to: of_known.metrics[metric].spread(&what), metric, is_new: false, what })
    });
    let (of_events, mut truths) = (Rc::clone(&questions), Truths::default());
    // Few say anything here: all others are not copied.
    let (events, heard) = hear(events, &kept.name.replace("asked", "hear"), move |Declared { at, row }, heard| {
        of_events.heard(row, *at, &mut truths, heard);
    });
    let settings = settings.clone();
    let step = move |Epoch { time, input, watermark }: Epoch<Heard>, out: &mut Vec<Change>, _: &mut Vec<()>| {
        let (held, metrics) = (&mut *held.borrow_mut(), &questions.metrics);
        let (mut said, mut asking) = (Vec::new(), Vec::new());
        for Heard { metric, is_new, what, .. } in Epoch::records(input) {
            let place = held.place(metric, &metrics[metric].common(&what));
            match what {
                What::Answers { ask, key, at } => {
                    held.answer(&metrics[metric], (place, is_new), (ask, key, at), &mut said);
                }
                What::Asks { at, row, times, answers } => {
                    asking.push((metric, (place, is_new), (at, row), (times, answers)));
                }
            }
        }
        // All that answers is known by now.
        for (metric, to, which, (times, answers)) in asking {
            held.ask(&metrics[metric], to, which, (times, answers), watermark, &mut said);
        }
        if !is_silent(time) {
            held.pass(metrics, watermark, &mut said);
            let cut = settings.forget_cut(watermark);
            let or = |law| if is_broken(law) { watermark } else { cut };
            if !is_broken(Law::AskersLeave) {
                held.leave(metrics, (or(Law::AskersStay), or(Law::AnswersStay)));
            }
            if is_broken(Law::PassingIsNews) {
                said.retain(|change| change.times > 0);
            }
            out.append(&mut said);
        }
    };
    let to = Exchange::new(|Heard { to, .. }: &Heard| *to);
    (events, per_epoch(heard.concat(known), watermarks, to, kept.name, step).0)
}

/// The records of a group.
fn records(group: &Group) -> impl Iterator<Item = What> {
    let asking = group.asking.iter().map(|((at, row), (times, answers))| What::Asks {
        at: *at,
        row: row.clone(),
        times: *times,
        answers: *answers,
    });
    let answering = group
        .answering
        .iter()
        .flat_map(|((ask, key), times)| times.iter().map(|at| What::Answers { ask: *ask, key: key.clone(), at: *at }));
    asking.chain(answering)
}
