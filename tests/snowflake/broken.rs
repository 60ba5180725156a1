//! Broken off between any two statements: whole commits only, and the next claim goes on.

use super::proxy::{Break, Proxy};
use super::{commit, configured, open, rows};
use crate::support::table;
use deltamart::config::snowflake::Snowflake as Config;
use deltamart::sink::{Claim, MadeBy, Sink, SinkError};

/// Both tables are as after this epoch, and no other.
fn is_whole(config: &Config, epoch: u64) -> bool {
    let mut reader = open(config);
    let users = rows(&mut reader, table("users"));
    let late = rows(&mut reader, table("late_events")).len();
    let same = users.iter().all(|row| row[3] == users[0][3]);
    same && users.len() == 40 && late == 40 * (epoch as usize / 2) && users[0][3] == user_text(epoch)
}

fn user_text(epoch: u64) -> dataflows::table::Value {
    dataflows::table::Value::Text(format!("as of {epoch}"))
}

/// Breaks a commit at every request, before it and after it; then `then` brings it home, and one more, which it is given
/// the epoch before.
fn at_every_request(statement_bytes: usize, then: impl Fn(&Config, Claim, u64)) {
    let config = configured();
    let config = Config { statement_bytes, ..config };
    let mut epoch = 0;
    for how in [Break::Before, Break::After] {
        for at in 1.. {
            let proxy = Proxy::to(&config.url);
            let through = Config { url: proxy.url.clone(), ..config.clone() };
            let mut sink = open(&through);
            let claim = sink.claim(MadeBy::Run, None).expect("claims");
            sink.apply(&claim, &commit(epoch, 0..40)).expect("applies");
            epoch += 2;
            proxy.break_after(at, how);
            let result = sink.apply(&claim, &commit(epoch, 0..40));
            let broke = proxy.mend();
            let there = open(&config).position().expect("asks").expect("claimed").epoch;
            assert!(is_whole(&config, there), "{how:?} at {at}: epoch {there}");
            if !broke {
                result.expect("applies");
                // BEGIN, UPDATE, two MERGEs, COMMIT and SELECT were all tried.
                assert!(at > 6 && there == epoch + 2, "{how:?} at {at}");
                epoch = there;
                break;
            }
            assert!(matches!(result, Ok(()) | Err(SinkError::Unavailable(_))), "{how:?} at {at}: {result:?}");
            then(&through, claim, epoch);
            epoch += 4;
            assert!(is_whole(&config, epoch), "{how:?} at {at}");
        }
    }
}

/// As a run does: until it succeeds. What broke may have left a transaction that must be ended first.
pub(super) fn insist<T>(mut attempt: impl FnMut() -> Result<T, SinkError>) -> T {
    for _ in 0..100 {
        match attempt() {
            Err(SinkError::Unavailable(_)) => {}
            result => return result.expect("succeeds"),
        }
    }
    panic!("it stays unavailable")
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn the_same_run_tries_again() {
    at_every_request(1_000_000, |config, claim, epoch| {
        let mut sink = open(config);
        insist(|| sink.apply(&claim, &commit(epoch, 0..40)));
        sink.apply(&claim, &commit(epoch + 2, 0..40)).expect("on");
    });
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_new_claim_goes_on_and_the_old_run_is_fenced() {
    at_every_request(1_000_000, |config, old, epoch| {
        let mut sink = open(config);
        let claim = insist(|| sink.claim(MadeBy::Run, None));
        let there = sink.position().expect("asks").expect("claimed").epoch;
        assert!(matches!(open(config).apply(&old, &commit(there, 0..40)), Err(SinkError::Fenced { .. })));
        if there == epoch {
            insist(|| sink.apply(&claim, &commit(epoch, 0..40)));
        }
        sink.apply(&claim, &commit(epoch + 2, 0..40)).expect("on");
    });
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_staged_commit_too() {
    at_every_request(5_000, |config, claim, epoch| {
        let mut sink = open(config);
        insist(|| sink.apply(&claim, &commit(epoch, 0..40)));
        sink.apply(&claim, &commit(epoch + 2, 0..40)).expect("on");
    });
}

/// A process that was stopped while Snowflake ended its transaction goes on with what is left of it: nothing of that
/// is written, and it is told.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_transaction_that_was_ended_writes_nothing() {
    let config = configured();
    let proxy = Proxy::to(&config.url);
    let mut sink = open(&Config { url: proxy.url.clone(), ..config.clone() });
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    sink.apply(&claim, &commit(0, 0..40)).expect("applies");
    // After BEGIN and UPDATE, somebody else's ROLLBACK in our session.
    proxy.roll_back_after(2);
    assert!(matches!(sink.apply(&claim, &commit(2, 0..40)), Err(SinkError::Unavailable(_))));
    assert!(is_whole(&config, 2));
    sink.apply(&claim, &commit(2, 0..40)).expect("again");
    assert!(is_whole(&config, 4));
}
