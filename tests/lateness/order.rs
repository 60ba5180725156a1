//! In whatever order and by whomever records are read: what came before each is the same.

use dataflows::Instant;
use dataflows::events::Origin;
use dataflows::operators::{Mark, Sequence, TopTwo};
use proptest::prelude::*;
use std::collections::VecDeque;

fn of(times: &[Instant]) -> TopTwo {
    let mut top = TopTwo::default();
    times.iter().for_each(|at| top.add(*at));
    top
}

proptest! {
    #[test]
    fn however_records_are_chopped_the_two_largest_remain(
        times in prop::collection::vec(0i64..6, 0..12),
        cuts in prop::collection::vec(0usize..12, 0..4),
    ) {
        let mut sorted = times.clone();
        sorted.sort_by_key(|at| -at);
        let expected = TopTwo { largest: sorted.first().copied(), second: sorted.get(1).copied() };
        prop_assert_eq!(of(&times), expected);
        let mut merged = TopTwo::default();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(times.len())).chain([0, times.len()]).collect();
        cuts.sort();
        // The last batches first.
        cuts.windows(2).rev().for_each(|pair| merged.merge(of(&times[pair[0]..pair[1]])));
        prop_assert_eq!(merged, expected);
    }

    /// Batches dealt to workers, decoded in any order, each judged as soon as it can be: what each
    /// event is told is what one reader of all lines would know.
    #[test]
    fn many_workers_know_what_one_reader_knows(
        earlier in prop::collection::vec(0i64..200, 0..3),
        batches in prop::collection::vec((prop::collection::vec(0i64..200, 0..6), 0u32..3), 0..10),
        order in prop::collection::vec(any::<u64>(), 10),
    ) {
        let mut running = of(&earlier);
        let mut expected = Vec::new();
        for (number, (times, _)) in batches.iter().enumerate() {
            for (place, at) in times.iter().enumerate() {
                expected.push(((number, place), running));
                running.add(*at);
            }
        }
        let mut marks = vec![Mark { number: 0, worker: u32::MAX, slot: 0, top: of(&earlier) }];
        marks.extend(batches.iter().enumerate().map(|(number, (times, worker))| Mark {
            number: number as u64 + 1,
            worker: *worker,
            slot: number as u32,
            top: of(times),
        }));
        let mut found = Vec::new();
        for worker in 0..3 {
            let mut sequence = Sequence::new(worker);
            let mut shuffled = marks.clone();
            shuffled.sort_by_key(|mark| order.get(mark.number as usize).map(|o| o.rotate_left(worker as u32 * 7)));
            let mut own: VecDeque<_> = batches.iter().enumerate()
                .filter(|(_, (_, by))| *by as usize == worker)
                .flat_map(|(number, (times, _))| times.iter().enumerate().map(move |(place, at)| (number, place, *at)))
                .collect();
            for mark in shuffled {
                sequence.hear(2, mark);
                while let Some((number, place, at)) = own.front().copied() {
                    let origin = Origin { partition: 0, offset: 0, slot: (number as u32, place as u32) };
                    let Some(top) = sequence.before(2, &origin) else { break };
                    found.push(((number, place), *top));
                    top.add(at);
                    own.pop_front();
                }
            }
            prop_assert!(own.is_empty(), "everything is known in the end");
        }
        found.sort_by_key(|(place, _)| *place);
        prop_assert_eq!(found, expected);
    }
}
