//! Records go on, and something is said of them on the way.

use crate::Stream;
use crate::time::Time;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// Passes records on as they came, and what `hear` makes of each. None is copied.
pub fn hear<'s, D: Clone + 'static, H: Clone + 'static>(
    records: Stream<'s, D>,
    name: &str,
    mut hear: impl FnMut(&D, &mut Vec<H>) + 'static,
) -> (Stream<'s, D>, Stream<'s, H>) {
    let mut builder = OperatorBuilder::new(name.to_owned(), records.scope());
    let mut records = builder.new_input(records, Pipeline);
    let (on, on_out) = builder.new_output::<Vec<D>>();
    let (heard, heard_out) = builder.new_output::<Vec<H>>();
    builder.build(move |_caps| {
        let mut on = OutputBuilder::<Time, CapacityContainerBuilder<Vec<D>>>::from(on);
        let mut heard = OutputBuilder::<Time, CapacityContainerBuilder<Vec<H>>>::from(heard);
        let mut made = Vec::new();
        move |_frontiers| {
            let (mut on, mut heard) = (on.activate(), heard.activate());
            records.for_each_time(|cap, batches| {
                for batch in batches {
                    batch.iter().for_each(|record| hear(record, &mut made));
                    on.session(&cap).give_container(batch);
                }
                if !made.is_empty() {
                    heard.session(&cap).give_iterator(made.drain(..));
                }
            });
        }
    });
    (on_out, heard_out)
}
