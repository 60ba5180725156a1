//! The events of a source that happened within a span of time. The others are read and not taken: another
//! source has them.

use super::{Partition, Poll, Source, SourceError};
use dataflows::Instant;

/// A source, and the span of event time that is taken of it.
pub struct Span {
    source: Box<dyn Source>,
    from: Instant,
    until: Instant,
    leads: bool,
}

impl Span {
    /// Events at `from` or later, and before `until`.
    pub fn new(source: Box<dyn Source>, from: Instant, until: Instant) -> Span {
        let leads = source.leads();
        Span { source, from, until, leads }
    }

    /// It is read to its end before any other is begun.
    pub fn leading(self) -> Span {
        Span { leads: true, ..self }
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

    fn leads(&self) -> bool {
        self.leads
    }

    fn at_end(&self, partition: u32) -> Option<bool> {
        self.source.at_end(partition)
    }

    fn waits_for(&self) -> Option<String> {
        self.source.waits_for()
    }

    fn takes(&self) -> (Instant, Instant) {
        (self.from, self.until)
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.source.seek(next_offsets)
    }
}
