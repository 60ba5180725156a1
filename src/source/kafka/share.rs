//! What a process that does not lead is told to read: where it begins, and what is passed of it.

use super::{Kafka, Mine, Mode, grouped};
use crate::config::kafka::Kafka as Config;
use crate::families::reasons;
use crate::kafka::KafkaError;
use crate::kafka::cluster::Cluster;
use crate::kafka::partition::{Found, Pass};
use crate::kafka::registry::Registry;
use crate::source::Source;
use dataflows::family::FamilyId;
use dataflows::operators::Status;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a process reads of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    mode: Mode,
    partitions: Vec<Told>,
}

/// A partition, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    found: Found,
    /// What makes it the log that is read.
    identity: Option<String>,
    /// What is passed: from an offset up to before another one, the code of the reason, and what is said of it.
    passes: Vec<(i64, i64, String, String)>,
}

impl Share {
    /// What a process of so many reads.
    pub fn of(cluster: &Cluster, (process, processes): (usize, usize), mode: Mode) -> Share {
        let told = |found: Found| {
            let name = found.name();
            let passes = cluster.passes.get(&name).into_iter().flatten();
            let passes = passes.map(|pass| (pass.from, pass.to, pass.reason.code().to_owned(), pass.why.clone()));
            Told { identity: cluster.identities.get(&name).cloned(), passes: passes.collect(), found }
        };
        Share { mode, partitions: cluster.of(process, processes).partitions.into_iter().map(told).collect() }
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The partitions of each source that so many workers read it by, as all processes number them.
    pub fn grouped(&self, workers: usize) -> Vec<Vec<(String, i32, FamilyId, Status)>> {
        let of = |found: Found| (found.topic.clone(), found.partition, found.family(), self.mode.status(&found));
        let groups = grouped(self.partitions.iter().map(|told| told.found.clone()), workers);
        groups.into_iter().map(|group| group.into_iter().map(of).collect()).collect()
    }

    /// The sources that read it.
    ///
    /// # Errors
    /// If no consumer can be made, or something is passed for a reason that nobody knows.
    pub fn sources(
        self,
        config: &Config,
        registry: Option<&Arc<Registry>>,
        workers: usize,
    ) -> Result<Vec<Box<dyn Source>>, KafkaError> {
        let reading = Arc::default();
        let groups = grouped(self.partitions.iter().map(|told| told.found.clone()), workers);
        let mine = |found: Found| {
            let told = self.partitions.iter().find(|told| told.found == found);
            let passes = told.into_iter().flat_map(|told| &told.passes).map(pass).collect::<Result<_, _>>()?;
            Ok(Mine::new(found, told.and_then(|told| told.identity.clone()), passes))
        };
        let source = |group: Vec<Found>| -> Result<Box<dyn Source>, KafkaError> {
            let mine = group.into_iter().map(mine).collect::<Result<_, KafkaError>>()?;
            Ok(Box::new(Kafka::new(config, mine, registry, false, self.mode, &reading)?))
        };
        groups.into_iter().map(source).collect()
    }
}

fn pass((from, to, code, why): &(i64, i64, String, String)) -> Result<Pass, KafkaError> {
    let reason = reasons().find(|reason| reason.code() == code);
    let unknown = || KafkaError::Refused(format!("process 0 passes records as `{code}`, which this one does not know"));
    Ok(Pass { from: *from, to: *to, reason: reason.ok_or_else(unknown)?, why: why.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Reason;
    use crate::families::topics;

    #[test]
    fn all_processes_read_all_partitions_once_and_number_them_alike() {
        let found = |(carries, partition): (usize, i32)| Found {
            carries,
            topic: topics()[carries].name.to_owned(),
            partition,
            low: 0,
            high: 9,
            begin: 3,
        };
        let all = (0..topics().len()).flat_map(|carries| (0..5).map(move |partition| (carries, partition)));
        let partitions: Vec<_> = all.map(found).collect();
        let name = partitions.iter().find(|found| !found.is_read_first()).expect("there is one").name();
        let passed = Pass { from: 4, to: 6, reason: Reason::UNREADABLE, why: "damaged".to_owned() };
        let cluster = Cluster {
            partitions: partitions.clone(),
            missing: Vec::new(),
            identities: [(name.clone(), "a log".to_owned())].into(),
            begins: Default::default(),
            passes: [(name.clone(), vec![passed.clone()])].into(),
            lost: Vec::new(),
        };
        let shares: Vec<_> = (0..3).map(|process| Share::of(&cluster, (process, 3), Mode::default())).collect();
        let mut read: Vec<_> =
            shares.iter().flat_map(|share| &share.partitions).map(|told| told.found.name()).collect();
        read.sort();
        let mut there: Vec<_> = partitions.iter().map(Found::name).collect();
        there.sort();
        assert_eq!(read, there);
        let told = shares.iter().flat_map(|share| &share.partitions).find(|told| told.found.name() == name);
        let told = told.expect("somebody reads it");
        assert_eq!(told.identity.as_deref(), Some("a log"));
        assert_eq!(told.passes.iter().map(pass).collect::<Result<Vec<_>, _>>().expect("known"), [passed]);
        let text = serde_json::to_string(&shares).expect("JSON");
        assert_eq!(serde_json::from_str::<Vec<Share>>(&text).expect("read"), shares);
        let numbered: usize = shares[1].grouped(2).iter().map(Vec::len).sum();
        assert_eq!(numbered, shares[1].partitions.len());
    }
}
