//! The frame of every keyed operator: once an epoch is closed, one step over all of it.

use crate::Stream;
use crate::operators::AsOf;
use crate::time::{Instant, Time};
use std::collections::BTreeMap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ParallelizationContract, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// A closed epoch.
pub struct Epoch<D> {
    /// Its number.
    pub time: Time,
    /// What came in it, in no order that means anything.
    pub input: Vec<Vec<D>>,
    /// The watermark it made true.
    pub watermark: Instant,
}

impl<D> Epoch<D> {
    /// The records of the epoch.
    pub fn records(input: Vec<Vec<D>>) -> impl Iterator<Item = D> {
        input.into_iter().flatten()
    }
}

/// Calls `step` once per epoch that has input or a new watermark, in the order of epochs, when
/// nothing more can come for it.
///
/// **Law.** What `step` sees does not depend on how the epoch arrived, nor, beyond what `pact`
/// exchanges, on the number of workers. What it pushes is output at the epoch's own time.
pub fn per_epoch<'s, D, P, A, B>(
    input: Stream<'s, D>,
    watermarks: Stream<'s, Instant>,
    pact: P,
    name: &str,
    mut step: impl FnMut(Epoch<D>, &mut Vec<A>, &mut Vec<B>) + 'static,
) -> (Stream<'s, A>, Stream<'s, B>)
where
    D: 'static,
    P: ParallelizationContract<Time, Vec<D>>,
    A: Clone + 'static,
    B: Clone + 'static,
{
    let mut builder = OperatorBuilder::new(name.to_owned(), input.scope());
    let mut input = builder.new_input(input, pact);
    let mut watermarks = builder.new_input(watermarks, Pipeline);
    let (first, first_out) = builder.new_output::<Vec<A>>();
    let (second, second_out) = builder.new_output::<Vec<B>>();
    builder.build(move |_caps| {
        let mut first = OutputBuilder::<_, CapacityContainerBuilder<Vec<A>>>::from(first);
        let mut second = OutputBuilder::<_, CapacityContainerBuilder<Vec<B>>>::from(second);
        let mut open = BTreeMap::<Time, ([Capability<Time>; 2], Vec<Vec<D>>)>::new();
        let mut as_of = AsOf::default();
        let (mut made, mut also) = (Vec::new(), Vec::new());
        move |frontiers| {
            input.for_each_time(|cap, batches| {
                let (_, stash) =
                    open.entry(*cap.time()).or_insert_with(|| ([cap.retain(0), cap.retain(1)], Vec::new()));
                stash.extend(batches.map(std::mem::take));
            });
            watermarks.for_each_time(|cap, values| {
                values.flat_map(|values| values.drain(..)).for_each(|watermark| as_of.note(*cap.time(), watermark));
                open.entry(*cap.time()).or_insert_with(|| ([cap.retain(0), cap.retain(1)], Vec::new()));
            });
            let (mut first, mut second) = (first.activate(), second.activate());
            while let Some(oldest) = open.first_entry() {
                let time = *oldest.key();
                if frontiers.iter().any(|frontier| frontier.less_equal(&time)) {
                    break;
                }
                let ([cap, other], input) = oldest.remove();
                step(Epoch { time, input, watermark: as_of.at(time) }, &mut made, &mut also);
                // Drained, not given away: the buffers keep their memory from epoch to epoch.
                if !made.is_empty() {
                    first.session(&cap).give_iterator(made.drain(..));
                }
                if !also.is_empty() {
                    second.session(&other).give_iterator(also.drain(..));
                }
            }
        }
    });
    (first_out, second_out)
}
