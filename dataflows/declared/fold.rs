//! Of the events of an epoch to what they say of groups: one operator, whatever the number of metrics.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::declared::aggregate::{Layout, is_person};
use crate::declared::encode;
use crate::declared::eval::{eval, is_true};
use crate::declared::plan::{Compare, Expr, Literal, Metric, Node};
use crate::declared::row::{Bare, Datum, Row};
use crate::declared::said::{Said, begin, keys};
use crate::declared::sessions::shared;
use crate::hash::{Folded, Map};
use crate::places::Places;
use crate::time::Time;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// By what groups are spread over workers. It depends on what the group is called, not on its metric's number; and of a
/// session not on when it began: that may change.
pub fn spread(key: &[u8], is_session: bool) -> u64 {
    // Whoever keeps groups takes the lower half first.
    hash(if is_session { shared(key) } else { key }) >> 32
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = Folded::default();
    hasher.write(keys(key));
    hasher.finish()
}

/// Which of all conditions must be true.
type Mask = Box<[u64]>;

/// What metrics read of an event.
pub struct Reading {
    /// How many words all conditions take, each once, however many metrics have it.
    words: usize,
    /// Those that a column has one of some values: it is looked at once, for all of them.
    by_value: Vec<ByValue>,
    /// Which are those.
    looked_up: Mask,
    /// All others, by their places. Each is asked once at the most, when a metric that takes the event depends on it.
    others: Vec<Option<Expr>>,
    metrics: Vec<Reads>,
}

/// Which conditions are true by the value of a column.
struct ByValue {
    column: usize,
    texts: Map<Box<[u8]>, Vec<u64>>,
    numbers: Map<i64, Vec<u64>>,
}

/// What a metric reads of an event.
struct Reads {
    number: usize,
    filter: Mask,
    keys: Vec<(Expr, bool)>,
    /// Of each aggregate, which events take part.
    filters: Vec<Mask>,
    layout: Rc<Layout>,
    /// Its last key is when a session began.
    is_session: bool,
}

impl Reading {
    /// What these metrics read, with their numbers. `person` is the column that says whom an event or a row is of.
    pub fn of<'m>(
        metrics: impl Iterator<Item = (usize, &'m Metric)> + Clone,
        person: Option<usize>,
        layouts: &[Rc<Layout>],
    ) -> Reading {
        let metrics = || metrics.clone();
        let mut conditions = Vec::new();
        for (_, metric) in metrics() {
            let filters = metric.aggregates.iter().map(|aggregate| &aggregate.filter);
            for condition in std::iter::once(&metric.filter).chain(filters).flatten().flat_map(parts) {
                if !conditions.contains(condition) {
                    conditions.push(condition.clone());
                }
            }
        }
        let words = conditions.len().div_ceil(64);
        let mask = |filter: &Option<Expr>| {
            let mut mask = vec![0; words];
            let places = filter.iter().flat_map(parts).filter_map(|part| conditions.iter().position(|is| is == part));
            places.for_each(|place| mask[place / 64] |= 1 << (place % 64));
            Mask::from(mask)
        };
        let metrics = metrics().map(|(number, metric)| Reads {
            number,
            filter: mask(&metric.filter),
            keys: metric.keys.iter().map(|key| (key.clone(), is_person(key, person))).collect(),
            filters: metric.kept().iter().map(|aggregate| mask(&aggregate.filter)).collect(),
            is_session: metric.session().is_some(),
            layout: Rc::clone(&layouts[number]),
        });
        let metrics = metrics.collect();
        let others = vec![None; conditions.len()];
        let mut reading = Reading { words, by_value: Vec::new(), looked_up: vec![0; words].into(), others, metrics };
        for (place, condition) in conditions.into_iter().enumerate() {
            reading.add(place, condition);
        }
        reading
    }

    fn add(&mut self, place: usize, condition: Expr) {
        let Some((column, values)) = has_one_of(&condition) else {
            self.others[place] = Some(condition);
            return;
        };
        self.looked_up[place / 64] |= 1 << (place % 64);
        let known = self.by_value.iter().position(|by_value| by_value.column == column);
        let known = known.unwrap_or_else(|| {
            self.by_value.push(ByValue { column, texts: Map::default(), numbers: Map::default() });
            self.by_value.len() - 1
        });
        let ByValue { texts, numbers, .. } = &mut self.by_value[known];
        let looked_up = if is_broken(Law::EachValueIsLookedUp) { 1 } else { values.len() };
        for value in values.iter().take(looked_up) {
            let none = || vec![0; self.words];
            let truths = match value {
                Literal::Text(text) => texts.entry(text.as_bytes().into()).or_insert_with(none),
                Literal::Number(number) => numbers.entry(*number).or_insert_with(none),
                Literal::Null | Literal::Boolean(_) | Literal::Instant(_) => continue,
            };
            truths[place / 64] |= 1 << (place % 64);
        }
    }

    /// What the values of columns tell of an event.
    fn look(&self, row: &Row, truths: &mut Truths) {
        let Truths { known, are_true } = truths;
        known.clear();
        known.extend_from_slice(&self.looked_up);
        are_true.clear();
        are_true.resize(self.words, 0);
        for ByValue { column, texts, numbers } in &self.by_value {
            let also = match row.bare(*column) {
                Bare::Text(text) => texts.get(text),
                Bare::Number(number) => numbers.get(&number),
                Bare::Null | Bare::Boolean(_) | Bare::Instant(_) => None,
            };
            also.into_iter().flatten().zip(&mut *are_true).for_each(|(also, truths)| *truths |= also);
        }
    }

    /// Whether all conditions of a mask are true of an event.
    fn fits(&self, mask: &Mask, row: &Row, Truths { known, are_true }: &mut Truths) -> bool {
        let is_wrong = |((must, known), are_true): ((&u64, &u64), &u64)| must & known & !are_true != 0;
        if mask.iter().zip(&*known).zip(&*are_true).any(is_wrong) {
            return false;
        }
        for (word, must) in mask.iter().enumerate() {
            let mut asked = must & !known[word];
            while asked != 0 {
                let bit = asked & asked.wrapping_neg();
                asked ^= bit;
                known[word] |= bit;
                let condition = &self.others[word * 64 + bit.trailing_zeros() as usize];
                if !condition.as_ref().is_some_and(|condition| is_true(condition, row)) {
                    return false;
                }
                are_true[word] |= bit;
            }
        }
        true
    }
}

/// What is known of the conditions of an event until now.
#[derive(Default)]
struct Truths {
    known: Vec<u64>,
    are_true: Vec<u64>,
}

/// The column and the values, if a condition is that it has one of them, as texts or numbers.
fn has_one_of(condition: &Expr) -> Option<(usize, &[Literal])> {
    let (of, values) = if let Node::In(of, values) = &condition.node {
        (of, values.as_slice())
    } else {
        let Node::Compare(Compare::Equal, of, is) = &condition.node else { return None };
        let Node::Literal(value) = &is.node else { return None };
        (of, std::slice::from_ref(value))
    };
    let Node::Column(column) = of.node else { return None };
    let is_looked_up = |value: &Literal| matches!(value, Literal::Text(_) | Literal::Number(_) | Literal::Null);
    values.iter().all(is_looked_up).then_some((column, values))
}

/// Whether one of a metric's conditions alone says that it takes no event whose column has this text.
pub fn is_left_out(metric: &Metric, column: usize, text: &str) -> bool {
    let is_other = |value: &Literal| !matches!(value, Literal::Text(value) if value == text);
    let says = |part: &Expr| has_one_of(part).is_some_and(|(of, values)| of == column && values.iter().all(is_other));
    metric.filter.iter().flat_map(parts).any(says)
}

/// What must be true for an expression to be: each of these. (That one of them is null makes it as little true.)
fn parts(expr: &Expr) -> Box<dyn Iterator<Item = &Expr> + '_> {
    if let Node::And(all) = &expr.node {
        let asked = if is_broken(Law::EachConditionIsAsked) { 1 } else { all.len() };
        return Box::new(all.iter().take(asked).flat_map(parts));
    }
    Box::new(std::iter::once(expr))
}

/// What was said in an epoch so far, for each worker.
pub struct Folding {
    parts: Vec<Part>,
    truths: Truths,
    key: Vec<u8>,
    spare: Vec<u8>,
}

/// What is said of the groups that a worker keeps. `places` finds them by their keys.
#[derive(Default)]
struct Part {
    places: Places,
    said: Said,
}

impl Part {
    /// The place of a group.
    fn place(&mut self, hash: u32, key: &[u8], layout: &Layout) -> usize {
        let Part { places, said } = self;
        if let Some(slot) = places.find(hash, |place| said.key(place as usize) == key) {
            return places.at(slot) as usize;
        }
        let place = said.groups();
        said.add(key, layout);
        places.insert(hash, u32::try_from(place).expect("four billion groups of an epoch do not fit into memory"));
        place
    }
}

impl Folding {
    fn of(peers: usize) -> Folding {
        let part = |to| Part { said: Said::to(to), ..Part::default() };
        Folding {
            parts: (0..peers as u64).map(part).collect(),
            truths: Truths::default(),
            key: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Takes an event in, or a change of a row: so many of it come, or go. A condition is looked at once, and a metric that
    /// does not read the event costs a comparison.
    pub fn take(&mut self, reading: &Reading, row: &Row, times: Option<i64>) {
        let Folding { parts, truths, key, spare } = self;
        reading.look(row, truths);
        for Reads { number, filter, keys, filters, layout, is_session } in &reading.metrics {
            if !reading.fits(filter, row, truths) && !is_broken(Law::WhereIsAsked) {
                continue;
            }
            begin(*number, key);
            for (of, is_person) in keys {
                if let Node::Column(place) = of.node {
                    encode::push_column(row, place, *is_person, key);
                } else {
                    encode::push(&eval(of, row), *is_person, key);
                }
            }
            let hash = hash(key);
            // By the event, and not by the group.
            let by = if is_broken(Law::AGroupIsInOnePlace) { row.column(0) } else { Datum::Null };
            let by = if let Datum::Instant(at) = by { at as usize } else { 0 };
            // To divide takes as long as to look at a condition or two.
            let to = match parts.len() {
                1 => 0,
                workers if *is_session => (spread(key, true) as usize ^ by) % workers,
                workers => ((hash >> 32) as usize ^ by) % workers,
            };
            let part = &mut parts[to];
            // Metrics with the same keys are many.
            let place = part.place(hash as u32 ^ (*number as u32).wrapping_mul(0x9e37_79b9), key, layout);
            let (words, held) = part.said.partial(place);
            for (aggregate, filter) in filters.iter().enumerate() {
                if reading.fits(filter, row, truths) || is_broken(Law::FilterIsAsked) {
                    match times {
                        None => layout.add(aggregate, row, (words, held), spare),
                        Some(times) => layout.change(aggregate, (row, times), (words, held), spare),
                    }
                }
            }
        }
    }
}

/// What events, or changes of rows, say of groups, once for each group of an epoch and worker. `take` reads one.
///
/// **Law.** What is said of a group, merged over workers, is what its metric's aggregates are of the events of the epoch.
/// Nothing is kept from epoch to epoch.
pub fn fold<'s, D: Clone + 'static>(
    events: Stream<'s, D>,
    name: &str,
    take: impl Fn(&mut Folding, &D) + 'static,
) -> Stream<'s, Said> {
    let peers = events.scope().peers();
    events
        .unary_frontier(Pipeline, name, move |_cap, _info| {
            let mut open = BTreeMap::<Time, (_, Folding)>::new();
            move |(input, frontier), output| {
                input.for_each_time(|cap, batches| {
                    let (_, folding) = open
                        .entry(*cap.time())
                        .or_insert_with(|| (cap.retain(output.output_index()), Folding::of(peers)));
                    let events = batches.flat_map(|batch| batch.drain(..));
                    events.for_each(|event| take(folding, &event));
                });
                while let Some(first) = open.first_entry().filter(|first| !frontier.less_equal(first.key())) {
                    let (cap, folding) = first.remove();
                    let said = folding.parts.into_iter().map(|part| part.said).filter(|said| said.groups() > 0);
                    output.session(&cap).give_iterator(said);
                }
            }
        })
        .container::<Vec<_>>()
}
