//! What is aggregated of the events of a group, and how it is kept.
//!
//! Accepted events are never taken back, so that one value is enough for the least of them, and a plain set for how many
//! different ones there are. What was aggregated of some events and of others is merged to what is aggregated of all, in
//! any order.

use crate::broken::{Law, is_broken};
use crate::declared::encode;
use crate::declared::eval::{Facts, eval};
use crate::declared::funnel::Steps;
use crate::declared::plan::{Aggregate, Edge, Expr, Node, Type, What};
use crate::declared::row::Datum;
use crate::hash::Set;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was aggregated of some events of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// Counts, sums, and extremes that are numbers.
    pub words: Box<[u64]>,
    /// Everything else.
    pub held: Box<[Held]>,
}

/// What is as long as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// No event took part.
    #[default]
    Nothing,
    /// The least or the greatest: some values.
    Best(Box<[u8]>),
    /// The different ones, each whole. A hash of 128 bits would be shorter than a long text.
    Values(Set<Box<[u8]>>),
    /// When steps were taken.
    Steps(Steps),
    /// Of rows, which come and go: how often each value is there. Of some of the changes there may be fewer than none.
    Counted(BTreeMap<Box<[u8]>, i64>),
}

/// How what is aggregated of a group lies in words and in what else is held.
#[derive(Debug)]
pub struct Layout {
    parts: Vec<Part>,
    /// Of each slot, its part, and which value of that.
    slots: Vec<(usize, usize)>,
    words: usize,
    held: usize,
    /// What is aggregated comes and goes.
    is_of_rows: bool,
}

#[derive(Debug)]
struct Part {
    what: What,
    /// Its values say who somebody is.
    is_person: bool,
    /// Its place among the words, or among what else is held.
    at: usize,
}

/// A number of a count; of a sum its lower half, its upper half, and how many there were; of an extreme whether there is
/// one, and it.
const COUNT: usize = 1;
const SUM: usize = 3;
const EXTREME: usize = 2;

fn is_word(expr: &Expr) -> bool {
    match expr.ty {
        Type::Boolean | Type::Number(_) | Type::Instant => true,
        Type::Text => false,
    }
}

/// Whether an expression is the column of the person, and nothing is made of it.
pub fn is_person(expr: &Expr, person: Option<usize>) -> bool {
    matches!(expr.node, Node::Column(place) if Some(place) == person)
}

impl Layout {
    /// Of these aggregates, of events or of rows. `person` is the column that says whom one is of.
    pub fn of(aggregates: &[Aggregate], person: Option<usize>, is_of_rows: bool) -> Layout {
        let mut layout = Layout { parts: Vec::new(), slots: Vec::new(), words: 0, held: 0, is_of_rows };
        for (n, Aggregate { what, filter: _ }) in aggregates.iter().enumerate() {
            let words = match what {
                What::Count(_) => COUNT,
                What::Sum(_) => SUM,
                What::Min(of) | What::Max(of) if is_word(of) && !is_of_rows => EXTREME,
                What::Min(_) | What::Max(_) | What::CountDistinct(_) | What::At(..) | What::Funnel(..) => 0,
            };
            let is_person = matches!(what, What::CountDistinct(of) if is_person(of, person));
            let at = if words == 0 { layout.held } else { layout.words };
            layout.words += words;
            layout.held += usize::from(words == 0);
            layout.parts.push(Part { what: what.clone(), is_person, at });
            layout.slots.extend((0..what.slots()).map(|value| (n, value)));
        }
        layout
    }

    /// How many words there are, and how many that are as long as they are.
    pub fn sizes(&self) -> (usize, usize) {
        (self.words, self.held)
    }

    /// Whether something lies so.
    pub fn is_of(&self, Partial { words, held }: &Partial) -> bool {
        (words.len(), held.len()) == (self.words, self.held)
    }

    /// A row comes or goes, so many times, and takes part in the aggregate of a place. `spare` is a buffer.
    pub fn change(
        &self,
        part: usize,
        (row, times): (&impl Facts, i64),
        to: (&mut [u64], &mut [Held]),
        spare: &mut Vec<u8>,
    ) {
        let (words, held) = to;
        let Part { what, is_person, at } = &self.parts[part];
        spare.clear();
        match what {
            What::Count(of) => {
                let counts = of.as_ref().is_none_or(|of| !eval(of, row).is_null());
                words[*at] = words[*at].wrapping_add_signed(if counts { times } else { 0 });
            }
            What::Sum(of) => {
                if let Datum::Number(number) = eval(of, row) {
                    sum(&mut words[*at..], i128::from(number) * i128::from(times), times as u64);
                }
            }
            What::Min(of) | What::Max(of) | What::CountDistinct(of) => {
                let value = eval(of, row);
                if !value.is_null() {
                    encode::push(&value, *is_person, spare);
                    count(&mut held[*at], spare, times);
                }
            }
            What::At(_, instant, values) => {
                let mut all = std::iter::once(instant).chain(values).map(|of| eval(of, row));
                let has_all = all.all(|value| {
                    encode::push(&value, false, spare);
                    !value.is_null()
                });
                if has_all {
                    count(&mut held[*at], spare, times);
                }
            }
            // Of events only.
            What::Funnel(_, _) => {}
        }
    }

    /// An event takes part in the aggregate of a place; `takes` says whether it takes a step of a funnel. `spare` is a buffer.
    pub fn add(
        &self,
        part: usize,
        (event, mut takes): (&impl Facts, impl FnMut(usize) -> bool),
        to: (&mut [u64], &mut [Held]),
        spare: &mut Vec<u8>,
    ) {
        let (words, held) = to;
        let Part { what, is_person, at } = &self.parts[part];
        spare.clear();
        match what {
            What::Count(of) => {
                let counts =
                    of.as_ref().is_none_or(|of| !eval(of, event).is_null()) || is_broken(Law::CountLeavesNullOut);
                words[*at] += u64::from(counts);
            }
            What::Sum(of) => {
                if let Datum::Number(number) = eval(of, event) {
                    sum(&mut words[*at..], number.into(), 1);
                } else if is_broken(Law::SumOfNothingIsNull) {
                    sum(&mut words[*at..], 0, 1);
                }
            }
            What::Min(of) | What::Max(of) => {
                let value = eval(of, event);
                if !is_word(of) {
                    if !value.is_null() {
                        encode::push(&value, false, spare);
                        best(&mut held[*at], spare, edge(what));
                    }
                } else if let Some(word) = word(&value).or(is_broken(Law::ExtremeLeavesNullOut).then_some(0)) {
                    extreme(&mut words[*at..], word, edge(what));
                }
            }
            What::CountDistinct(of) => {
                let value = eval(of, event);
                if !value.is_null() || is_broken(Law::DistinctLeavesNullOut) {
                    encode::push(&value, *is_person, spare);
                    let values = values(&mut held[*at]);
                    if !values.contains(&spare[..]) {
                        values.insert(spare.as_slice().into());
                    }
                }
            }
            What::At(_, instant, values) => {
                let all = std::iter::once(instant).chain(values).map(|of| eval(of, event));
                let has_all = all.fold(true, |has_all, value| {
                    encode::push(&value, false, spare);
                    has_all && !value.is_null()
                });
                // An instant takes nine bytes.
                let is_tied = is_broken(Law::TiesAreByValue)
                    && matches!(&held[*at], Held::Best(known) if known.get(..9) == spare.get(..9));
                if (has_all || is_broken(Law::FirstHasAllValues)) && !is_tied {
                    best(&mut held[*at], spare, edge(what));
                }
            }
            What::Funnel(instant, conditions) => {
                let Datum::Instant(instant) = eval(instant, event) else { return };
                for step in (0..conditions.len()).filter(|step| takes(*step)) {
                    steps(&mut held[*at], conditions.len()).take(step, instant);
                }
            }
        }
    }

    /// What was aggregated of other events of the group is merged in.
    pub fn merge(&self, to: (&mut [u64], &mut [Held]), from: (&[u64], &mut [Held])) {
        let ((words, held), (of_words, of_held)) = (to, from);
        for Part { what, at, .. } in &self.parts {
            let at = *at;
            match what {
                What::Count(_) if self.is_of_rows => words[at] = words[at].wrapping_add(of_words[at]),
                What::Min(_) | What::Max(_) | What::CountDistinct(_) | What::At(..) if self.is_of_rows => {
                    if let Held::Counted(more) = std::mem::take(&mut of_held[at]) {
                        more.into_iter().for_each(|(value, times)| count(&mut held[at], &value, times));
                    }
                }
                What::Count(_) if is_broken(Law::CountsAreMerged) => words[at] = of_words[at],
                What::Count(_) => words[at] += of_words[at],
                What::Sum(_) => sum(&mut words[at..], total(&of_words[at..]), of_words[at + 2]),
                What::Min(of) | What::Max(of) if is_word(of) => {
                    if of_words[at] != 0 {
                        extreme(&mut words[at..], of_words[at + 1] as i64, edge(what));
                    }
                }
                What::Min(_) | What::Max(_) | What::At(..) => {
                    if let Held::Best(bytes) = &of_held[at] {
                        best(&mut held[at], bytes, edge(what));
                    }
                }
                What::CountDistinct(_) => match (&mut held[at], std::mem::take(&mut of_held[at])) {
                    (Held::Values(_), Held::Values(_)) if is_broken(Law::ValuesAreMerged) => {}
                    (Held::Values(known), Held::Values(more)) => known.extend(more),
                    (to, from @ Held::Values(_)) => *to = from,
                    (_, Held::Nothing | Held::Best(_) | Held::Steps(_) | Held::Counted(_)) => {}
                },
                What::Funnel(_, conditions) => match std::mem::take(&mut of_held[at]) {
                    from @ Held::Steps(_) if matches!(held[at], Held::Nothing) => held[at] = from,
                    Held::Steps(more) => steps(&mut held[at], conditions.len()).merge(&more),
                    Held::Nothing | Held::Best(_) | Held::Values(_) | Held::Counted(_) => {}
                },
            }
        }
    }

    /// The value of the last slot: what is kept for a group's own sake stands there.
    pub fn last<'a>(&self, words: &'a [u64], held: &'a [Held]) -> Datum<'a> {
        self.slot(self.slots.len().wrapping_sub(1), words, held)
    }

    /// The value of a slot.
    pub fn slot<'a>(&self, slot: usize, words: &'a [u64], held: &'a [Held]) -> Datum<'a> {
        let Some((part, value)) = self.slots.get(slot) else { return Datum::Null };
        let Part { what, at, .. } = &self.parts[*part];
        let at = *at;
        let of = |place| match held.get(at) {
            Some(Held::Best(bytes)) => encode::at(bytes, place),
            Some(Held::Counted(values)) => {
                let best = match edge(what) {
                    Edge::First => values.first_key_value(),
                    Edge::Last => values.last_key_value(),
                };
                best.map_or(Datum::Null, |(bytes, _)| encode::at(bytes, place))
            }
            Some(Held::Nothing | Held::Values(_) | Held::Steps(_)) | None => Datum::Null,
        };
        match what {
            What::Count(_) => Datum::Number(words[at] as i64),
            What::Sum(_) if words[at + 2] == 0 => Datum::Null,
            What::Sum(_) if is_broken(Law::SumIsOf128Bits) => Datum::Number(words[at] as i64),
            What::Sum(_) => i64::try_from(total(&words[at..])).map_or(Datum::Null, Datum::Number),
            What::Min(of) | What::Max(of) if is_word(of) && !self.is_of_rows => {
                let value = words[at + 1] as i64;
                if words[at] == 0 {
                    return Datum::Null;
                }
                match of.ty {
                    Type::Boolean => Datum::Boolean(value != 0),
                    Type::Number(_) | Type::Text => Datum::Number(value),
                    Type::Instant => Datum::Instant(value),
                }
            }
            What::Min(_) | What::Max(_) => of(0),
            What::CountDistinct(_) => Datum::Number(match &held[at] {
                Held::Values(values) => values.len() as i64,
                Held::Counted(values) => values.len() as i64,
                Held::Nothing | Held::Best(_) | Held::Steps(_) => 0,
            }),
            What::Funnel(..) => Datum::Number(match &held[at] {
                Held::Steps(steps) => steps.reached(),
                Held::Nothing | Held::Best(_) | Held::Values(_) | Held::Counted(_) => 0,
            }),
            // The instant stands before the values.
            What::At(..) => of(value + 1),
        }
    }
}

fn edge(what: &What) -> Edge {
    match what {
        What::Max(_) => Edge::Last,
        What::At(edge, _, _) => *edge,
        What::Count(_) | What::Sum(_) | What::Min(_) | What::CountDistinct(_) | What::Funnel(..) => Edge::First,
    }
}

fn word(value: &Datum<'_>) -> Option<i64> {
    match value {
        Datum::Boolean(value) => Some((*value).into()),
        Datum::Number(word) | Datum::Instant(word) => Some(*word),
        Datum::Null | Datum::Text(_) => None,
    }
}

fn total(words: &[u64]) -> i128 {
    (u128::from(words[1]) << 64 | u128::from(words[0])) as i128
}

/// So many numbers of 64 bits do not exist that their sum would not have room in 128.
fn sum(words: &mut [u64], number: i128, numbers: u64) {
    let total = total(words) + number;
    (words[0], words[1]) = (total as u64, (total >> 64) as u64);
    words[2] += numbers;
}

fn extreme(words: &mut [u64], value: i64, edge: Edge) {
    let is_better = match edge {
        Edge::First => value < words[1] as i64,
        Edge::Last => value > words[1] as i64,
    } != is_broken(Law::ExtremeHasItsEdge);
    if words[0] == 0 || is_better {
        (words[0], words[1]) = (1, value as u64);
    }
}

fn best(held: &mut Held, bytes: &[u8], edge: Edge) {
    let is_better = match (&*held, edge) {
        (Held::Best(known), Edge::First) => bytes < known,
        (Held::Best(known), Edge::Last) => bytes > known,
        (Held::Nothing | Held::Values(_) | Held::Steps(_) | Held::Counted(_), _) => true,
    };
    if is_better {
        *held = Held::Best(bytes.into());
    }
}

fn values(held: &mut Held) -> &mut Set<Box<[u8]>> {
    if !matches!(held, Held::Values(_)) {
        *held = Held::Values(Set::default());
    }
    match held {
        Held::Values(values) => values,
        Held::Nothing | Held::Best(_) | Held::Steps(_) | Held::Counted(_) => unreachable!("it was made one"),
    }
}

/// A value is there so many times more. What is there no times is not there.
fn count(held: &mut Held, value: &[u8], times: i64) {
    if !matches!(held, Held::Counted(_)) {
        *held = Held::Counted(BTreeMap::new());
    }
    let Held::Counted(values) = held else { return };
    let Some(known) = values.get_mut(value) else {
        values.insert(value.into(), times);
        return;
    };
    *known += times;
    if *known == 0 && !is_broken(Law::RowsGo) {
        values.remove(value);
    }
}

fn steps(held: &mut Held, conditions: usize) -> &mut Steps {
    if !matches!(held, Held::Steps(_)) {
        *held = Held::Steps(Steps::of(conditions));
    }
    match held {
        Held::Steps(steps) => steps,
        Held::Nothing | Held::Best(_) | Held::Values(_) | Held::Counted(_) => unreachable!("it was made one"),
    }
}
