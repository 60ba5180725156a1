//! placeholder
pub mod commit;
pub mod config;
pub mod decode;
pub mod delta;
pub mod engine;
pub mod instant;
pub mod sink;
pub mod source;
pub mod stats;
pub mod validate;
