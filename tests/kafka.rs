//! Kafka: real brokers and a real registry, named by `DELTAMART_BROKERS` and `DELTAMART_REGISTRY` (`scripts/with-stack`),
//! and librdkafka's mock of brokers that fail on request.

/// The archive of a topic.
mod archived;
/// History from files, then live.
mod backfill;
/// What `check` says of what is wrong.
mod checked;
/// Events that a model declares.
mod declared;
/// Files of a folder as records.
mod dropped;
/// History that is told again.
mod history;
/// How far reading is behind, as it is shown.
mod lag;
/// What the log does: grows, begins elsewhere, loses records, is made again.
mod logs;
/// Brokers that fail.
mod mock;
/// The commands of the pages.
mod pages;
/// Tables as topics.
mod published;
/// Whose records are left out of the watermark, and how payloads are written.
mod quiet;
/// What is refused or cannot be asked says why.
mod refused;
/// What was rejected is sent through again.
mod replayed;
/// Schemas that change, and records that are none.
mod schemas;
/// Partitions that are dealt to several processes.
mod several;
/// The program over topics of its own.
pub(crate) mod stack;
/// What cannot be read, or not yet: it holds no more than its partition.
mod unreadable;
/// Everything, by many workers.
mod whole;
