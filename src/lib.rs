//! deltamart: events in, exact metrics kept by differential dataflow, only the changed rows out.
//!
//! ```text
//!  source ──▶ decode ──▶ validate ──▶ engine[ dataflows ] ──▶ delta ──▶ commit ──▶ sink
//!  Kafka      Avro       rules of     timely workers,         one per   merged     SQLite, Parquet,
//!  files      JSON       the domain   epochs, watermark       key       epochs     Kafka, Snowflake
//!  simulator  Movies.txt    │             │                                │       each at its pace
//!                           ▼             ▼                                ▼
//!                    rejected_events  late_events            rows and `_progress` together
//! ```
//!
//! The modules stand below in the order in which data flows. [`dataflows`] is the pure core, a crate
//! of its own; this crate is the shell that touches the world.
//!
//! # One epoch, from tick to row
//!
//! 1. Worker 0 ticks: by the clock, when an epoch is full, when a source asks for it, at the end.
//!    The tick closes even epoch `e` on every worker and carries its wall clock ([`engine`]).
//! 2. Workers report the largest event times they read; the watermark operator makes one watermark
//!    of them, equal everywhere. The late split judges epoch `e` against the watermark of `e - 2`,
//!    and a line of a file against the lines before it.
//! 3. Metrics restate what the epoch changed. What the watermark made true (a window became final)
//!    is news of the same epoch. State that can no longer change leaves, silently.
//! 4. When the frontier has passed `e`, each worker turns the consolidated updates of its keys into
//!    deltas ([`dataflows::delta`]) and hands them over. Rows of declared metrics are written down where they are made, and
//!    stay bytes until somebody needs values ([`dataflows::deltas`]).
//! 5. When all workers have, the facts of the epoch are journaled ([`state_dir`]); only then is it merged
//!    into the next commit ([`commit`]) and acknowledged. Each sink applies commits one by one, rows and
//!    progress in one transaction ([`sink`]).
//! 6. Now and then an epoch is finished everywhere before the next one opens, what the operators hold is
//!    frozen, and written down while they go on. A start reads that, and replays what was journaled
//!    after it ([`recovery`]).
//!
//! # Invariants
//!
//! - `dataflows` does no I/O, reads no clock and cannot fail. Its manifest and `tests/tidy.rs` keep it so.
//! - Nothing knows batch from stream except the source that ends, the lateness that is unlimited, and
//!   the minutes of sessions, which end with a whole input (`Settings::whole_input`).
//! - An epoch is committed once, whole, after every worker has left it behind and its facts are durable.
//!   Odd epochs are silent.
//! - What is replayed is what the journal says, fact by fact, or the run ends.
//! - Nothing in [`engine`], [`commit`] or [`recovery`] depends on which thread runs first: [`turns`].
//! - Per key, a closed epoch holds no row or one. Two is a bug of ours, and stops the pipeline.
//! - Final tables are a function of the accepted events and the final watermark: not of arrival
//!   order, chopping, partitions, workers or restarts.
//! - Every record read is in a raw table or in `rejected_events` (with `raw` on); none is dropped.
//! - No worker waits for a broker or a registry: a source has no records yet, and says what it waits for.
//! - Nothing that arrives can stop the run. Our own bugs and a sink that fails for good can.
//! - Every queue has a bound: records per epoch (`epoch_events`), closed epochs that are not
//!   acknowledged (`epochs_in_flight`), bytes that wait for the sink (`pending_bytes`).
//! - Modules make no circle: only a module and what stands in its folder name each other (`tests/tidy/circles.rs`).
//! - Who knows workers: [`engine`]. Who knows SQL dialects: each sink. Who prints: [`commands`].
//!
//! # Several processes
//!
//! One leads: it ticks, journals, commits, and reads files. The others compute with it, read their part of the partitions of
//! Kafka, and say over a link what their workers
//! have made ([`cluster`]). What all share is seen to go through the dataflow, or to be said: no worker looks into what
//! another process has (`src/engine/shared.rs`).

// A new variant is met by the compiler everywhere, never swallowed by an arm for the rest.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod cli;
pub mod commands;
pub mod config;

pub mod kafka;
pub mod simulate;
pub mod source;

pub mod accept;
pub mod archived;
pub mod bounds;
pub mod decode;
pub mod families;
pub mod rules;

pub mod cluster;
pub mod engine;
pub mod kept;
pub mod turns;
mod wiring;

pub mod cases;
pub mod commit;
pub mod history;
pub mod reconcile;
pub mod serve;
pub mod sink;

pub mod at_rest;
pub mod change;
pub mod fingerprint;
pub mod forget;
pub mod recovery;
pub mod state_dir;
pub mod store;

pub mod backoff;
pub mod declared;
pub mod instant;
pub mod lanes;
pub mod model;
pub mod outage;
pub mod periodic;
pub mod process;
pub mod shown;
pub mod specification;
pub mod spoken;
pub mod stats;
pub mod tap;
