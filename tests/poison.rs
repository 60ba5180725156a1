//! One record holds no more than its partition, and that for a minute: an answer about one schema is not the state
//! of the registry.

/// What the registry answered is kept: who reads again asks nobody.
mod kept;
/// One answer about one schema, or about all, for a while or forever.
mod kinds;
/// Through a pipeline: what is read of which partition.
mod piped;
/// A registry that answers as it is told.
pub(crate) mod server;
