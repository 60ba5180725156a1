//! All integration tests, in one binary.

mod support;

/// Nothing that arrives stops the run, and everything is somewhere.
mod bad_input;
/// Memory levels off while the store grows.
mod bounded;
/// Named cases per metric: the deltas of every epoch, step by step.
mod cases;
/// The program itself, as it is used.
mod cli;
/// One suite for every sink, one for every source.
mod contracts;
/// Killed anywhere, at every step, in every order.
mod crashes;
/// The Parquet feed: crashed anywhere, superseded anywhere, broken, and read by DuckDB.
mod feed;
/// A user is forgotten, everywhere.
mod forget;
/// What is written down, byte by byte.
mod formats;
/// Kafka and the Schema Registry, real ones and such as fail.
mod kafka;
/// The program itself, killed over and over.
mod kills;
/// Files, whatever they are packed in and however they are written, and such as are something else.
mod lines;
/// Incremental equals from-scratch: each metric's SQL over random histories.
mod oracle;
/// Each keyed operator equals its plain form, which forgets nothing, after every epoch.
mod plain;
/// The real catalog, where it is there.
mod real_data;
/// What is not kept for ever goes, and no metric knows.
mod retention;
/// Snowflake, as far as a stand-in shows it.
#[cfg(feature = "snowflake")]
mod snowflake;
/// What must stay together stays together.
mod tidy;
/// A sink that is away, slow, broken or taken over; a source that fails.
mod trouble;
