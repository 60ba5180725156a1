//! How far each sink is, what it waits for, and how much waits for it.

use dataflows::{Instant, Time};
use parking_lot::Mutex;

/// A sink of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfSink {
    /// What operators know it by.
    pub name: String,
    /// The last epoch whose rows it has.
    pub epoch: Time,
    /// Why it is unavailable, and since when, by the clock; nothing if it is not.
    pub away: Option<(String, Instant)>,
    /// How many bytes of rows wait for it.
    pub pending_bytes: u64,
}

/// The sinks of a run, by their numbers.
#[derive(Debug, Default)]
pub struct Sinks(Mutex<Vec<OfSink>>);

impl Sinks {
    /// Notes which there are, and where each is.
    pub fn set(&self, sinks: Vec<OfSink>) {
        *self.0.lock() = sinks;
    }

    /// All of them.
    pub fn all(&self) -> Vec<OfSink> {
        self.0.lock().clone()
    }

    /// Notes that one is unavailable, and why; or that it is not.
    pub fn set_away(&self, number: usize, why: Option<String>) {
        let mut sinks = self.0.lock();
        if let Some(sink) = at(&mut sinks, number) {
            let since = sink.away.take().map_or_else(crate::instant::now, |(_, since)| since);
            sink.away = why.map(|why| (why, since));
        }
    }

    /// Why those are that are unavailable.
    pub fn away(&self) -> Vec<String> {
        self.0.lock().iter().filter_map(|sink| sink.away.as_ref().map(|(why, _)| why.clone())).collect()
    }

    /// Notes how far one is.
    pub fn committed(&self, number: usize, epoch: Time) {
        if let Some(sink) = at(&mut self.0.lock(), number) {
            sink.epoch = epoch;
        }
    }

    /// Notes how many bytes wait for each.
    pub fn set_pending(&self, bytes: impl Iterator<Item = usize>) {
        for (sink, bytes) in self.0.lock().iter_mut().zip(bytes) {
            sink.pending_bytes = bytes as u64;
        }
    }
}

/// One of them; what nobody has named yet is there without a name.
fn at(sinks: &mut Vec<OfSink>, number: usize) -> Option<&mut OfSink> {
    if sinks.len() <= number {
        sinks.resize_with(number + 1, OfSink::default);
    }
    sinks.get_mut(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_is_so_since_the_first_time_it_was_said() {
        let sinks = Sinks::default();
        sinks.set(vec![OfSink { name: "one".to_owned(), ..OfSink::default() }]);
        sinks.set_away(1, Some("the disk is full".to_owned()));
        let since = sinks.all()[1].away.clone().expect("it is away").1;
        sinks.set_away(1, Some("it is still full".to_owned()));
        assert_eq!(sinks.all()[1].away, Some(("it is still full".to_owned(), since)));
        assert_eq!((sinks.away(), sinks.all()[0].away.clone()), (vec!["it is still full".to_owned()], None));
        sinks.set_away(1, None);
        sinks.committed(0, 8);
        sinks.set_pending([5, 7].into_iter());
        assert!(sinks.away().is_empty());
        assert_eq!((sinks.all()[0].epoch, sinks.all()[1].pending_bytes), (8, 7));
    }
}
