//! Kafka and the Schema Registry: how they are spoken to. What is read from them is in
//! [`crate::source::kafka`].

pub(crate) mod cleanup;
pub mod client;
pub mod cluster;
mod complaints;
pub(crate) mod damage;
pub mod identity;
pub mod log;
pub mod loss;
pub mod partition;
pub mod producer;
pub mod registry;
pub(crate) mod rights;
pub mod skip;
pub mod tail;
mod token;
pub mod watch;
mod words;

/// Why Kafka or the registry could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// It may be there later.
    #[error("{0}")]
    Away(String),
    /// It would be wrong to go on.
    #[error("{0}")]
    Refused(String),
}
