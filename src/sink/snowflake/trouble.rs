//! What Snowflake's errors mean, and what an operator can do about them. By code where it is documented; else by text:
//! the codes of an expired LOCK_TIMEOUT and of a deadlock's victim are in no document.

use crate::sink::SinkError;
use snowflake_connector_rs::{Error, ErrorKind};
use std::time::{Duration, Instant};

/// Tokens that are not valid any more, sessions that are gone: the next attempt logs in again.
const SESSION_GONE: [&str; 6] = ["390103", "390104", "390111", "390112", "390114", "390115"];

/// Their own trouble, a statement that was cancelled, too many at once, a quota that is used up.
const LATER: [&str; 4] = ["000603", "000604", "000629", "090073"];

/// A statement took longer than the session or the warehouse lets it.
const TOO_SLOW: &str = "000630";

/// There is no such object, or not for this role.
const MISSING: [&str; 2] = ["002003", "002043"];

/// Waiting for a lock took too long, or too many wait.
const LOCKED: [&str; 2] = ["000625", "000628"];

/// Words by which a message says that another transaction was in the way.
const LOCK_WORDS: [&str; 4] = ["lock", "locks", "locked", "deadlock"];

/// How often the same statement may take too long: a warehouse that others keep busy is waited for, one that is too
/// small is not.
const SLOW_MAX: u32 = 3;

/// For how long refused logins are waited for, once one has worked: a proxy's whim, a user that is locked for a moment.
const REFUSED_MAX: Duration = Duration::from_secs(10 * 60);

/// Whether logins have worked, and since when they are refused.
#[derive(Debug, Default)]
pub(super) struct Logins {
    has_worked: bool,
    refused_since: Option<Instant>,
}

impl Logins {
    pub(super) fn worked(&mut self) {
        *self = Logins { has_worked: true, refused_since: None };
    }

    /// One was refused: whether it may be otherwise in some minutes.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        let since = *self.refused_since.get_or_insert(now);
        self.has_worked && now.duration_since(since) < REFUSED_MAX
    }
}

/// The statement that took too long at last, and how often it did so.
#[derive(Debug, Default)]
pub(super) struct Slow(Option<(String, u32)>);

impl Slow {
    /// A statement was done.
    pub(super) fn done(&mut self, what: &str) {
        self.0.take_if(|(slow, _)| slow == what);
    }

    /// A statement took too long: whether once more is worth its price.
    fn again(&mut self, what: &str) -> bool {
        let times = match &self.0 {
            Some((slow, times)) if slow == what => times + 1,
            _ => 1,
        };
        self.0 = Some((what.to_owned(), times));
        times < SLOW_MAX
    }
}

/// By Snowflake's code: there is no such object, or none for us to see.
pub(super) fn is_missing(error: &Error) -> bool {
    error.snowflake_code().is_some_and(|code| MISSING.contains(&code))
}

/// Whether Snowflake may still be busy with a statement that we have given up.
pub(super) fn is_abandoned(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout)
}

/// What the error of a statement means. `detail` says what was attempted and what Snowflake said.
pub(super) fn of_statement(slow: &mut Slow, what: &str, sql: &str, detail: String, error: &Error) -> SinkError {
    let locked = |detail: String| {
        SinkError::Unavailable(format!(
            "{detail}; another transaction holds the lock: SHOW LOCKS IN ACCOUNT, and SELECT SYSTEM$ABORT_TRANSACTION(ID), \
             or wait five minutes"
        ))
    };
    match (error.kind(), error.snowflake_code().unwrap_or_default()) {
        // The first statement of a transaction waits for the lock of `_progress`, and that is all it does.
        (_, TOO_SLOW) if sql.starts_with("UPDATE") => locked(detail),
        (_, TOO_SLOW) => {
            let detail = format!(
                "{detail}; raise `snowflake.timeout`, or the warehouse's STATEMENT_TIMEOUT_IN_SECONDS (the lower one holds), \
                 or its size: ALTER WAREHOUSE .. SET WAREHOUSE_SIZE"
            );
            match slow.again(what) {
                true => SinkError::Unavailable(detail),
                false => SinkError::Failed(format!("{detail}; tried {SLOW_MAX} times")),
            }
        }
        (ErrorKind::Network | ErrorKind::Timeout | ErrorKind::SessionExpired, _) => SinkError::Unavailable(detail),
        (_, code) if SESSION_GONE.contains(&code) || LATER.contains(&code) => SinkError::Unavailable(detail),
        (_, code) if LOCKED.contains(&code) => locked(detail),
        (_, "000606") => SinkError::Failed(format!(
            "{detail}; no warehouse is active: set `snowflake.warehouse`, and grant it: `deltamart schema --for snowflake`"
        )),
        (_, code) if code == "003001" || MISSING.contains(&code) => SinkError::Failed(format!(
            "{detail}; the role may lack a grant: `deltamart schema --for snowflake` prints all of them"
        )),
        // 001xxx: the text of the statement, which may have any word in it.
        (_, code) if !code.starts_with("001") && tells_of_a_lock(error.snowflake_message()) => locked(detail),
        // SQLSTATE 57014: somebody ended it.
        (ErrorKind::Cancelled, _) => SinkError::Unavailable(detail),
        _ => SinkError::Failed(detail),
    }
}

/// What the error of a login means. `may_wait` if logins have worked not long ago.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is neither the network nor a token is told with where to ask")]
pub(super) fn of_login(user: &str, fingerprint: &str, may_wait: bool, detail: String, error: &Error) -> SinkError {
    let refused = |detail: String| match may_wait {
        true => SinkError::Unavailable(detail),
        false => SinkError::Failed(detail),
    };
    let asks = ["HTTP 403", "HTTP 404"].iter().any(|status| detail.contains(status));
    match error.kind() {
        ErrorKind::Auth if detail.contains("JWT") => refused(format!(
            "{detail}; the public key of user `{user}` is not registered, or this clock is wrong, or `snowflake.account` is \
             another one. {}. The fingerprint of our key is {fingerprint}; DESC USER shows the registered one; `deltamart \
             snowflake-key` prints the ALTER USER that registers a new one",
            why_of(&detail)
        )),
        ErrorKind::Network if asks => refused(format!(
            "{detail}; there is no such account, or a network policy keeps us out: see `snowflake.account` and \
             `snowflake.url`"
        )),
        ErrorKind::Network | ErrorKind::Timeout | ErrorKind::SessionExpired => SinkError::Unavailable(detail),
        _ => refused(format!("{detail}. {}", why_of(&detail))),
    }
}

/// Where an administrator finds why a login was refused: Snowflake tells the client no more than a number.
fn why_of(detail: &str) -> String {
    let id = detail.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("ID", |(id, _)| id);
    let id = if id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') { id } else { "ID" };
    format!("An administrator asks why: SELECT SYSTEM$GET_LOGIN_FAILURE_DETAILS('{id}')")
}

fn tells_of_a_lock(message: Option<&str>) -> bool {
    let message = message.unwrap_or_default().to_lowercase();
    message.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| LOCK_WORDS.contains(&word))
}

/// An error with what caused it.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_logins_are_waited_for_only_once_one_has_worked_and_not_for_ever() {
        let (mut logins, start) = (Logins::default(), Instant::now());
        assert!(!logins.refused(start), "the first one of all");
        logins.worked();
        assert!(logins.refused(start));
        assert!(logins.refused(start + REFUSED_MAX / 2));
        assert!(!logins.refused(start + REFUSED_MAX));
        logins.worked();
        assert!(logins.refused(start + REFUSED_MAX * 2), "counted again");
    }

    #[test]
    fn locks_are_known_by_words_and_not_by_parts_of_them() {
        for told in ["Statement was aborted: DEADLOCK found", "table X is locked by transaction 5", "lock timeout"] {
            assert!(tells_of_a_lock(Some(told)), "{told}");
        }
        for other in ["clock skew", "block 5", "object LOCK_TABLE is wrong", ""] {
            assert!(!tells_of_a_lock(Some(other)), "{other}");
        }
    }
}
