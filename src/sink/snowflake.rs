//! Snowflake. A commit is one transaction: the guarded UPDATE of `_progress` first, one MERGE per changed table, COMMIT.
//!
//! ```text
//!   INSERT INTO _staging      each part of a table that is too large for one statement, before the transaction
//!   BEGIN
//!   UPDATE _progress          WHERE pipeline, generation and epoch are what we think: 1 row, or ROLLBACK
//!   MERGE INTO each table     rows as one JSON bind, or out of _staging; joined with our row of _progress
//!   COMMIT
//!   SELECT _progress          in the same session
//! ```
//!
//! Snowflake promises that a session sees what it committed itself, and what was committed before it began; of what others
//! commit, not when. So progress is read where it was written, and a verdict that would end a run is spoken in a new
//! session only. What is staged is staged in another session, and merged in one that began later.
//!
//! Who comes first takes the lock of `_progress`, and one who waited for it finds another generation or epoch there. So
//! a commit that is applied again, or whose COMMIT was not answered, or that comes from a run which was superseded, is told
//! apart by reading. Every MERGE looks at `_progress` too: should Snowflake end our transaction while we were
//! stopped, what comes after finds nothing to write, and the last SELECT tells us.
//!
//! The connector is a library, `snowflake-connector-rs`, and not ours: it has the key-pair login, answers that come in
//! parts from storage, statements that answer later. It is a ninth of what the feature adds to a build; the rest is TLS
//! and RSA, which a client of our own would need too. It has no PUT: rows go in statements.

#[cfg(feature = "snowflake")]
mod cells;
pub mod ddl;
#[cfg(feature = "snowflake")]
pub mod deep;
#[cfg(feature = "snowflake")]
pub mod key;
pub mod rows;
#[cfg(feature = "snowflake")]
mod session;
#[cfg(feature = "snowflake")]
mod staged;
#[cfg(feature = "snowflake")]
mod store;
#[cfg(feature = "snowflake")]
mod trouble;

#[cfg(feature = "snowflake")]
pub use session::Traffic;
#[cfg(feature = "snowflake")]
pub use store::Snowflake;
