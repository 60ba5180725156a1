//! Those who were let in and are not asked yet: of too many the oldest is forgotten, who comes again if it is one of us.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::Instant;

/// A queue that never holds more than so many.
pub(super) struct Queue<T> {
    most: usize,
    held: Mutex<VecDeque<T>>,
    came: Condvar,
}

impl<T> Queue<T> {
    pub(super) fn of_at_most(most: usize) -> Queue<T> {
        Queue { most: most.max(1), held: Mutex::default(), came: Condvar::new() }
    }

    pub(super) fn push(&self, one: T) {
        let mut held = self.held.lock();
        if held.len() >= self.most {
            held.pop_front();
        }
        held.push_back(one);
        self.came.notify_one();
    }

    /// The oldest, waited for until then.
    pub(super) fn pop(&self, until: Instant) -> Option<T> {
        let mut held = self.held.lock();
        while held.is_empty() {
            if self.came.wait_until(&mut held, until).timed_out() {
                break;
            }
        }
        held.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_the_newest_are_held_in_their_order() {
        let queue = Queue::of_at_most(2);
        (1..=3).for_each(|one| queue.push(one));
        let now = Instant::now();
        assert_eq!([queue.pop(now), queue.pop(now), queue.pop(now)], [Some(2), Some(3), None]);
    }
}
