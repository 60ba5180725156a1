//! placeholder
pub mod cli;
pub mod commands;
pub mod config;

pub mod simulate;
pub mod source;

pub mod decode;
pub mod validate;

pub mod engine;

pub mod commit;
pub mod delta;
pub mod reconcile;
pub mod sink;

pub mod instant;
pub mod stats;
