//! What brokers remove of a topic by themselves (`cleanup.policy`): asked, and set.

use super::KafkaError;
use super::client::{Context, PATIENCE, not_made, properties};
use crate::config::kafka::Kafka;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::error::RDKafkaErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The settings by which a topic is compacted, and also loses what is older, if there is such a time.
pub(crate) fn settings(kept_ms: Option<i64>) -> BTreeMap<&'static str, String> {
    match kept_ms {
        None => BTreeMap::from([("cleanup.policy", "compact".to_owned())]),
        // By age alone, whatever brokers are set to.
        Some(ms) => BTreeMap::from([
            ("cleanup.policy", "compact,delete".to_owned()),
            ("retention.ms", ms.to_string()),
            ("retention.bytes", "-1".to_owned()),
        ]),
    }
}

/// What removes records of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleanup {
    /// Of records with the same key the last one stays.
    pub compacts: bool,
    /// Old ones go, or those that are too many.
    pub deletes: bool,
    /// All that the topic itself is set to.
    own: BTreeMap<String, String>,
}

impl Cleanup {
    /// All that the topic is to be set to, if it is not: with what else it is set to now.
    pub(crate) fn changed(&self, kept_ms: Option<i64>) -> Option<BTreeMap<String, String>> {
        let wanted = settings(kept_ms);
        let is_set = |(key, value): (&&str, &String)| self.own.get(*key) == Some(value);
        if if kept_ms.is_some() { wanted.iter().all(is_set) } else { !self.deletes } {
            return None;
        }
        let mut all = self.own.clone();
        all.retain(|key, _| !settings(Some(0)).contains_key(key.as_str()));
        all.extend(wanted.into_iter().map(|(key, value)| (key.to_owned(), value)));
        Some(all)
    }
}

fn admin(config: &Kafka) -> Result<AdminClient<Context>, KafkaError> {
    let client = properties(config)?;
    client.create_with_context(Context::new(config)).map_err(|error| not_made(config, &client, &error))
}

/// What removes records of topics, by their names, where the brokers tell.
pub(crate) fn of(config: &Kafka, topics: &BTreeSet<&str>) -> Result<BTreeMap<String, Cleanup>, KafkaError> {
    let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    let described = match futures_executor::block_on(admin(config)?.describe_configs(&resources, &options)) {
        Ok(described) => described,
        Err(error) => {
            tracing::warn!("Kafka: could not ask what is removed of topics, such as by compaction ({error})");
            return Ok(BTreeMap::new());
        }
    };
    let told = topics.iter().zip(described).filter_map(|(topic, described)| {
        // A user without the right to ask gets an answer with nothing in it: what is not told is not "delete".
        let described = described.ok()?;
        let policy = described.get("cleanup.policy")?.value.clone()?;
        let own = described.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let own = own.filter_map(|entry| Some((entry.name, entry.value?))).collect();
        let has = |wanted: &str| policy.split(',').any(|one| one.trim() == wanted);
        Some(((*topic).to_owned(), Cleanup { compacts: has("compact"), deletes: has("delete"), own }))
    });
    Ok(told.collect())
}

/// Sets topics to this, each to all of it and to nothing else: the client knows no other way. What somebody else
/// sets in the moment since it was asked is lost.
///
/// # Errors
/// If one could not be set.
#[expect(clippy::wildcard_enum_match_arm, reason = "a code that refuses nothing for good is tried again")]
pub(crate) fn set(config: &Kafka, topics: &BTreeMap<String, BTreeMap<String, String>>) -> Result<(), KafkaError> {
    if topics.is_empty() {
        return Ok(());
    }
    let brokers = &config.brokers;
    let changes = topics.iter().map(|(topic, settings)| {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        settings.iter().fold(change, |change, (key, value)| change.set(key, value))
    });
    let changes: Vec<_> = changes.collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answered = futures_executor::block_on(admin(config)?.alter_configs(&changes, &options));
    let answered = answered
        .map_err(|error| KafkaError::Away(format!("Kafka at {brokers}: could not set what topics keep: {error}")))?;
    for (topic, result) in topics.keys().zip(answered) {
        let Err((_, error)) = result else { continue };
        let why = format!("Kafka at {brokers}: could not set `cleanup.policy` of `{topic}`: {error}");
        return Err(match error {
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidConfig => KafkaError::Refused(format!(
                "{why}; allow this user to alter its configuration, or set it as `[retention]` says: {:?}",
                topics[topic]
            )),
            _ => KafkaError::Away(why),
        });
    }
    // The client takes a refusal for an answer: what is set is read back. Brokers hear of it one after the other.
    let asked = topics.keys().map(String::as_str).collect();
    let since = Instant::now();
    loop {
        let found = of(config, &asked)?;
        let is_set = |(topic, wanted): &(&String, &BTreeMap<String, String>)| {
            found.get(*topic).is_some_and(|found| wanted.iter().all(|(key, value)| found.own.get(key) == Some(value)))
        };
        let Some((topic, wanted)) = topics.iter().find(|topic| !is_set(topic)) else { return Ok(()) };
        if since.elapsed() > PATIENCE {
            return Err(KafkaError::Refused(format!(
                "Kafka at {brokers}: what topic `{topic}` keeps was set, and is not so; this user needs ALTER_CONFIGS and \
                 DESCRIBE_CONFIGS of it, or set it as `[retention]` says: {wanted:?}"
            )));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_changed_and_only_where_it_differs() {
        let own = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let plain = [("cleanup.policy", "compact"), ("segment.ms", "600000")];
        let aging = [
            ("cleanup.policy", "compact,delete"),
            ("retention.bytes", "-1"),
            ("retention.ms", "500"),
            ("segment.ms", "600000"),
        ];
        let keeps = Cleanup { compacts: true, deletes: false, own: own(&plain) };
        let ages = Cleanup { compacts: true, deletes: true, own: own(&aging) };
        assert_eq!((keeps.changed(None), ages.changed(Some(500))), (None, None));
        assert_eq!(keeps.changed(Some(500)), Some(own(&aging)));
        assert_eq!(ages.changed(None), Some(own(&plain)));
        assert_eq!(ages.changed(Some(7)).expect("differs")["retention.ms"], "7");
    }
}
