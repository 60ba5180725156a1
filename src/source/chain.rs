//! Sources one after the other: the catalog to its end, then the events.

use super::{Partition, Poll, Portion, Source, SourceError};

/// Reads each source to its end before the next, and closes the epoch in between.
pub struct Chain {
    sources: Vec<(u32, Box<dyn Source>)>,
    current: usize,
}

impl Chain {
    /// Puts sources one after the other.
    pub fn new(sources: Vec<Box<dyn Source>>) -> Chain {
        let mut first = 0;
        let sources = sources
            .into_iter()
            .map(|source| {
                let numbered = (first, source);
                first += numbered.1.partitions().len() as u32;
                numbered
            })
            .collect();
        Chain { sources, current: 0 }
    }
}

impl Source for Chain {
    fn partitions(&self) -> Vec<Partition> {
        self.sources.iter().flat_map(|(_, source)| source.partitions()).collect()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let Some((first, source)) = self.sources.get_mut(self.current) else { return Ok(Poll::End) };
        Ok(match source.poll(max_records)? {
            Poll::Records(mut batch) => {
                batch.records.iter_mut().for_each(|record| record.partition += *first);
                Poll::Records(batch)
            }
            Poll::Status(partition, status) => Poll::Status(partition + *first, status),
            Poll::End => {
                self.current += 1;
                if self.current < self.sources.len() { Poll::Cut } else { Poll::End }
            }
            other @ (Poll::Skipped | Poll::Idle | Poll::Cut) => other,
        })
    }

    fn is_sequence(&self) -> bool {
        self.sources.iter().all(|(_, source)| source.is_sequence())
    }

    fn identity(&self, partition: u32) -> Option<String> {
        let (first, source) = self.sources.iter().rev().find(|(first, _)| *first <= partition)?;
        source.identity(partition - first)
    }

    /// Of those of its sources that can tell: a catalog is small beside events.
    fn portion(&self) -> Option<Portion> {
        self.sources.iter().filter_map(|(_, source)| source.portion()).reduce(|all, one| all + one)
    }

    fn unread(&self) -> Vec<String> {
        self.sources.iter().flat_map(|(_, source)| source.unread()).collect()
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        for (first, source) in &mut self.sources {
            let own = *first..*first + source.partitions().len() as u32;
            let theirs: Vec<_> =
                next_offsets.iter().filter(|(p, _)| own.contains(p)).map(|(p, offset)| (p - *first, *offset)).collect();
            source.seek(&theirs)?;
        }
        Ok(())
    }
}
