//! The events of a source that happened within a span of time. The others are read and not taken: another
//! source has them.

use super::{Partition, Poll, Portion, ReadOrder, Source, SourceError, Trouble};
use crate::state_dir::journal::Rejected;
use dataflows::Instant;

/// A source, and the span of event time that is taken of it.
pub struct Span {
    source: Box<dyn Source>,
    from: Instant,
    until: Instant,
    order: ReadOrder,
}

impl Span {
    /// Events at `from` or later, and before `until`.
    pub fn new(source: Box<dyn Source>, from: Instant, until: Instant) -> Span {
        let order = source.read_order();
        Span { source, from, until, order }
    }

    /// It is read to its end before what is live.
    pub fn history(self) -> Span {
        Span { order: ReadOrder::History, ..self }
    }
}

impl Source for Span {
    fn partitions(&self) -> Vec<Partition> {
        self.source.partitions()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        self.source.poll(max_records)
    }

    fn identity(&self, partition: u32) -> Option<String> {
        self.source.identity(partition)
    }

    fn read_order(&self) -> ReadOrder {
        self.order
    }

    fn is_sequence(&self) -> bool {
        self.source.is_sequence()
    }

    fn at_end(&self, partition: u32) -> Option<bool> {
        self.source.at_end(partition)
    }

    fn waits_for(&self) -> Vec<String> {
        self.source.waits_for()
    }

    fn portion(&self) -> Option<Portion> {
        self.source.portion()
    }

    fn troubles(&self) -> Vec<Trouble> {
        self.source.troubles()
    }

    fn replays(&mut self, partition: u32, until: i64, rejected: Vec<Rejected>) {
        self.source.replays(partition, until, rejected);
    }

    fn unread(&self) -> Vec<String> {
        self.source.unread()
    }

    fn takes(&self) -> (Instant, Instant) {
        (self.from, self.until)
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.source.seek(next_offsets)
    }
}
