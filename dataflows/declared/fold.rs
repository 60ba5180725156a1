//! Of the events of an epoch to what they say of groups: one operator, whatever the number of metrics.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::declared::aggregate::{Layout, is_person};
use crate::declared::conditions::{Conditions, Truths};
use crate::declared::decided::{Decisions, Filters, Takes, TakesPart};
use crate::declared::eval::{Columns, eval};
use crate::declared::plan::{Aggregate, Expr, Metric, Node, What};
use crate::declared::row::Datum;
use crate::declared::said::{Said, Spare, begin, hash, keys, number, place_hash};
use crate::declared::sessions::{shared, start};
use crate::declared::{encode, said};
use crate::places::Places;
use crate::time::Time;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// By what groups are spread over workers, and by what they are found there. The first depends on what the group is called,
/// not on its metric's number; and of a session not on when it began: that may change.
pub fn spread(key: &[u8], is_session: bool) -> (u64, u32) {
    let hash = hash(keys(if is_session { shared(key) } else { key }));
    // Whoever keeps groups takes the lower half first.
    (hash >> 32, place_hash(hash, number(key)))
}

/// What metrics read of an event.
pub struct Reading {
    conditions: Conditions,
    decisions: Decisions,
    metrics: Vec<Reads>,
}

/// What a metric reads of an event.
struct Reads {
    number: usize,
    filters: Filters,
    keys: Vec<(Expr, bool)>,
    layout: Rc<Layout>,
    /// Which events are in one session, if its last key is when one began.
    session: Option<i64>,
}

impl Reading {
    /// What these metrics read, with their numbers. `person` is the column that says whom an event or a row is of.
    pub fn of<'m>(
        metrics: impl Iterator<Item = (usize, &'m Metric)> + Clone,
        person: Option<usize>,
        layouts: &[Rc<Layout>],
    ) -> Reading {
        let filters = metrics.clone().flat_map(|(_, metric)| {
            let of_aggregates = metric.kept().into_iter().flat_map(|Aggregate { what, filter }| {
                let steps: Vec<_> = steps(&what).iter().cloned().map(Some).collect();
                std::iter::once(filter).chain(steps)
            });
            std::iter::once(metric.filter.clone()).chain(of_aggregates)
        });
        let (conditions, masks) = Conditions::of(&filters.collect::<Vec<_>>());
        let mut masks = masks.into_iter();
        let metrics = metrics.map(|(number, metric)| Reads {
            number,
            filters: Filters {
                filter: masks.next().unwrap_or_default(),
                aggregates: metric
                    .kept()
                    .iter()
                    .map(|aggregate| {
                        let filter = masks.next().unwrap_or_default();
                        (filter, masks.by_ref().take(steps(&aggregate.what).len()).collect())
                    })
                    .collect(),
            },
            keys: metric.keys.iter().map(|key| (key.clone(), is_person(key, person))).collect(),
            session: metric.session(),
            layout: Rc::clone(&layouts[number]),
        });
        let metrics = metrics.collect();
        Reading { conditions, decisions: Decisions::default(), metrics }
    }
}

/// What must be true of an event that takes each step of a funnel.
fn steps(what: &What) -> &[Expr] {
    match what {
        What::Funnel(_, conditions) => conditions,
        What::Count(_) | What::Sum(_) | What::Min(_) | What::Max(_) | What::CountDistinct(_) | What::At(..) => &[],
    }
}

/// What was said in an epoch so far, for each worker.
pub struct Folding {
    parts: Vec<Part>,
    truths: Truths,
    key: Vec<u8>,
    spare: Vec<u8>,
}

/// What is said of the groups that a worker keeps. `places` finds them by their keys; of sessions, by what those of a group
/// of events have in common, the last one that was begun.
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
        self.add(hash, key, layout)
    }

    /// The place of a session that an event of the epoch belongs to, or begins. A key's instant is that of the event.
    fn session(&mut self, hash: u32, key: &[u8], gap_ms: i64, layout: &Layout) -> usize {
        let Part { places, said } = self;
        let Some(slot) = places.find(hash, |place| shared(said.key(place as usize)) == shared(key)) else {
            return self.add(hash, key, layout);
        };
        let place = places.at(slot) as usize;
        let (at, began) = (start(key), start(said.key(place)));
        let (words, held) = said.partial(place);
        let last = if let Datum::Instant(last) = layout.last(words, held) { last } else { began };
        if began.saturating_sub(at) >= gap_ms || at.saturating_sub(last) >= gap_ms {
            places.remove(slot);
            return self.add(hash, key, layout);
        }
        if at < began {
            said.rename(place, key);
        }
        place
    }

    fn add(&mut self, hash: u32, key: &[u8], layout: &Layout) -> usize {
        let Part { places, said } = self;
        let place = said.groups();
        said.add(hash, key, layout);
        places.insert(hash, u32::try_from(place).expect("four billion groups of an epoch do not fit into memory"));
        place
    }
}

impl Folding {
    /// For so many workers.
    pub fn of(peers: usize) -> Folding {
        Folding {
            parts: (0..peers).map(|_| Part::default()).collect(),
            truths: Truths::default(),
            key: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// For the events of an epoch.
    pub fn begin(&mut self, spare: &Spare) {
        (0..).zip(&mut self.parts).for_each(|(to, part)| part.said = spare.take(to));
    }

    /// What the events of the epoch said: something.
    pub fn end(&mut self, spare: &Spare) -> impl Iterator<Item = Said> {
        let workers = self.parts.len();
        self.parts.iter_mut().filter_map(move |Part { places, said }| {
            places.empty();
            let said = std::mem::take(said);
            if said.groups() > 0 {
                return Some(said);
            }
            spare.give(said, workers);
            None
        })
    }

    /// Takes an event in, or a change of a row: so many of it come, or go. A condition is looked at once, and a metric that
    /// cannot read the event costs nothing.
    pub fn take(&mut self, reading: &Reading, row: &impl Columns, times: Option<i64>) {
        let Folding { parts, truths, key, spare } = self;
        let Reading { conditions, decisions, metrics } = reading;
        conditions.look(row, truths);
        let decided = decisions.of(conditions, truths, metrics.iter().map(|metric| &metric.filters));
        for Takes { metric, filter, parts: aggregates } in &*decided {
            if !conditions.is_true(filter, row, truths) {
                continue;
            }
            let Reads { number, filters: _, keys, layout, session } = &metrics[*metric];
            begin(*number, key);
            for (of, is_person) in keys {
                if let Node::Column(place) = of.node {
                    encode::push_column(row, place, *is_person, key);
                } else {
                    encode::push(&eval(of, row), *is_person, key);
                }
            }
            let hash = hash(said::keys(if session.is_some() { shared(key) } else { key }));
            // By the event, and not by the group.
            let by = if is_broken(Law::AGroupIsInOnePlace) { row.column(0) } else { Datum::Null };
            let by = if let Datum::Instant(at) = by { at as usize } else { 0 };
            // To divide takes as long as to look at a condition or two.
            let to = match parts.len() {
                1 => 0,
                workers => ((hash >> 32) as usize ^ by) % workers,
            };
            let part = &mut parts[to];
            let hash = place_hash(hash, *number);
            let place = match session {
                None => part.place(hash, key, layout),
                Some(gap_ms) => part.session(hash, key, *gap_ms, layout),
            };
            let (words, held) = part.said.partial(place);
            for TakesPart { aggregate, filter, steps } in aggregates {
                if !conditions.is_true(filter, row, truths) {
                    continue;
                }
                let takes =
                    |step: usize| steps[step].as_ref().is_some_and(|asked| conditions.is_true(asked, row, truths));
                match times {
                    None => layout.add(*aggregate, (row, takes), (words, held), spare),
                    Some(times) => layout.change(*aggregate, (row, times), (words, held), spare),
                }
            }
        }
    }
}

/// What events, or changes of rows, say of groups, once for each group of an epoch and worker. `take` reads one.
///
/// **Law.** What is said of a group, merged over workers, is what its metric's aggregates are of the events of the epoch.
/// Nothing is kept from epoch to epoch but memory.
pub fn fold<'s, D: Clone + 'static>(
    events: Stream<'s, D>,
    name: &str,
    spare: Spare,
    take: impl Fn(&mut Folding, &D) + 'static,
) -> Stream<'s, Said> {
    let peers = events.scope().peers();
    events
        .unary_frontier(Pipeline, name, move |_cap, _info| {
            let mut open = BTreeMap::<Time, (_, Folding)>::new();
            let mut idle = Vec::new();
            move |(input, frontier), output| {
                input.for_each_time(|cap, batches| {
                    let (_, folding) = open.entry(*cap.time()).or_insert_with(|| {
                        let mut folding = idle.pop().unwrap_or_else(|| Folding::of(peers));
                        folding.begin(&spare);
                        (cap.retain(output.output_index()), folding)
                    });
                    let events = batches.flat_map(|batch| batch.drain(..));
                    events.for_each(|event| take(folding, &event));
                });
                while let Some(first) = open.first_entry().filter(|first| !frontier.less_equal(first.key())) {
                    let (cap, mut folding) = first.remove();
                    output.session(&cap).give_iterator(folding.end(&spare));
                    idle.push(folding);
                }
            }
        })
        .container::<Vec<_>>()
}
