//! All integration tests, in one binary.

mod support;

/// Incremental equals from-scratch: each metric's SQL over random histories.
mod oracle;
