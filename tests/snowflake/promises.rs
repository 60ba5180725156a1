//! Snowflake's promises and no more: what the stand-in does beyond them is taken away again by a proxy in front of it.

use super::broken::insist;
use super::proxy::{Proxy, Request, ask, http};
use super::{commit, configured, open, rows};
use crate::support::table;
use dataflows::table::Value;
use deltamart::config::snowflake::Snowflake as Config;
use deltamart::sink::purge::Purge;
use deltamart::sink::snowflake::Snowflake;
use deltamart::sink::{Claim, Commit, Fence, MadeBy, Sink, SinkError};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// What an answer is made of: the stand-in, and what stands in its stead.
type Instead = dyn Fn(&Request) -> Option<Vec<u8>> + Send + Sync;

/// A proxy that asks the stand-in what `instead` does not answer.
pub(super) fn before(
    config: &Config,
    instead: impl Fn(&Request) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (Proxy, Config) {
    let (target, instead): (_, Box<Instead>) = (config.url.trim_start_matches("http://").to_owned(), Box::new(instead));
    let proxy = Proxy::answering(Arc::new(move |request: &Request| {
        instead(request).or_else(|| ask(&target, &request.head, request.body.as_bytes()))
    }));
    let config = Config { url: proxy.url.clone(), ..config.clone() };
    (proxy, config)
}

fn refusal(code: &str, message: &str) -> Vec<u8> {
    http(200, &format!(r#"{{"success":false,"code":"{code}","message":"{message}","data":{{"queryId":"q"}}}}"#))
}

/// How many of the requests are such.
fn count(proxy: &Proxy, what: &str) -> usize {
    proxy.asked.lock().expect("whole").iter().filter(|asked| asked.contains(what)).count()
}

fn claimed(config: &Config) -> (Snowflake, Claim) {
    let mut sink = open(config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    (sink, claim)
}

/// A commit of some users, in a dozen parts where `statement_bytes` is 300.
fn staged_commit(follows: u64) -> Commit {
    let mut commit = commit(follows, 0..40);
    commit.appends.clear();
    commit
}

/// Progress as a session sees it: as it was when the session began, or when it last changed something itself. What others
/// have committed since it never sees; later than Snowflake would, and as late as it may.
fn lagging(config: &Config) -> (Proxy, Config) {
    let target = config.url.trim_start_matches("http://").to_owned();
    let views: Mutex<HashMap<String, Vec<u8>>> = Mutex::default();
    let question: Mutex<Option<Request>> = Mutex::default();
    before(config, move |request| {
        let answer = || ask(&target, &request.head, request.body.as_bytes());
        let look = |token: &str| {
            let question = question.lock().expect("whole").clone()?;
            let head = question.head.replace(question.token()?, token);
            Some((token.to_owned(), ask(&target, &head, question.body.as_bytes())?))
        };
        if request.path.contains("login-request") {
            let answered = answer()?;
            let text = String::from_utf8_lossy(&answered).into_owned();
            let token = text.split_once("\"token\":")?.1.split('"').nth(1)?;
            views.lock().expect("whole").extend(look(token));
            return Some(answered);
        }
        let (token, sql) = (request.token()?, request.sql()?);
        if sql.starts_with("SELECT \"PIPELINE_ID\"") {
            question.lock().expect("whole").get_or_insert_with(|| request.clone());
            let seen = views.lock().expect("whole").get(token).cloned();
            return seen.or_else(|| {
                let answered = answer()?;
                views.lock().expect("whole").insert(token.to_owned(), answered.clone());
                Some(answered)
            });
        }
        let answered = answer()?;
        if ["COMMIT", "CREATE"].iter().any(|what| sql.starts_with(what)) {
            views.lock().expect("whole").extend(look(token));
        }
        Some(answered)
    })
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_run_commits_though_other_sessions_see_nothing_of_it() {
    let config = configured();
    let (proxy, through) = lagging(&config);
    let (mut sink, claim) = claimed(&through);
    assert_eq!(sink.position().expect("asks").expect("claimed").generation, 1);
    for follows in [0, 2, 4] {
        sink.apply(&claim, &commit(follows, 0..3)).expect("applies");
        sink.apply(&claim, &commit(follows, 0..3)).expect("is there");
    }
    sink.purge(&claim, &Purge { before: BTreeMap::from([(table("late_events"), 0)]) }).expect("purges");
    assert_eq!(sink.position().expect("asks").expect("claimed").epoch, 6);
    assert_eq!(count(&proxy, "MERGE INTO"), 2 * 3, "each once");
    assert!(count(&proxy, "login-request") <= 6, "{}", count(&proxy, "login-request"));
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_takeover_is_seen_though_sessions_lag_and_only_the_older_run_ends() {
    let config = configured();
    let (_proxy, through) = lagging(&config);
    let (mut old, first) = claimed(&through);
    old.apply(&first, &commit(0, 0..3)).expect("applies");
    let (mut new, second) = claimed(&through);
    assert_eq!((first.generation, second.generation), (1, 2));
    new.apply(&second, &commit(2, 0..3)).expect("a lower generation, seen late, is nobody's");
    let error = old.apply(&first, &commit(2, 0..3)).expect_err("taken over");
    assert!(matches!(&error, SinkError::Fenced { by: Fence::TakenOver { generation: 2, ours: 1 }, .. }), "{error}");
    new.apply(&second, &commit(4, 0..3)).expect("goes on");
    let error = old.purge(&first, &Purge { before: BTreeMap::new() }).expect_err("taken over");
    assert!(matches!(error, SinkError::Fenced { .. }), "{error}");
}

/// The COMMIT of a claim was done, and not answered: the same start goes on, and is not fenced out by itself.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_claim_whose_answer_was_lost_is_ones_own() {
    let config = configured();
    let (_, claim) = claimed(&config);
    let wanted = Claim { generation: claim.generation + 1, ..claim };
    let (target, left) = (config.url.trim_start_matches("http://").to_owned(), AtomicI64::new(1));
    let (_proxy, through) = before(&config, move |request| {
        let is_it = request.sql().is_some_and(|sql| sql == "COMMIT") && left.fetch_sub(1, Ordering::SeqCst) == 1;
        is_it.then(|| {
            ask(&target, &request.head, request.body.as_bytes());
            http(503, "later")
        })
    });
    let mut sink = open(&through);
    let lost = sink.claim(MadeBy::Run, Some(&wanted)).expect_err("not answered");
    assert!(matches!(lost, SinkError::Unavailable(_)), "{lost}");
    assert_eq!(sink.claim(MadeBy::Run, Some(&wanted)).expect("ours"), wanted);
    let error = open(&config).claim(MadeBy::Run, Some(&wanted)).expect_err("somebody else");
    assert!(matches!(error, SinkError::Fenced { .. }), "{error}");
}

/// Each token lives for so many statements: less than the parts of the commit, and enough for its transaction.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_commit_that_takes_longer_than_a_token_lives_ends() {
    let config = configured();
    let config = Config { statement_bytes: 300, ..config };
    let (mut sink, claim) = claimed(&config);
    sink.apply(&claim, &staged_commit(0)).expect("applies");
    let parts = sink.traffic().statements as usize - 7;
    assert!(parts >= 8, "{parts}");
    let used: Mutex<HashMap<String, usize>> = Mutex::default();
    let (proxy, through) = before(&config, move |request| {
        let (mut used, _) = (used.lock().expect("whole"), request.sql()?);
        let used = used.entry(request.token()?.to_owned()).or_default();
        *used += 1;
        (*used > 6).then(|| refusal("390112", "Your session has expired. Please login again."))
    });
    let mut sink = open(&through);
    let mut attempts = 0;
    while let Err(error) = sink.apply(&claim, &staged_commit(2)) {
        assert!(matches!(error, SinkError::Unavailable(_)), "{error}");
        attempts += 1;
        assert!(attempts < 10, "{error}");
    }
    assert!(attempts >= 1);
    let sent = count(&proxy, "INSERT INTO");
    assert!(sent <= parts + attempts, "{sent} of {parts} parts in {attempts} attempts");
    assert_eq!(sink.position().expect("asks").expect("claimed").epoch, 4);
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_token_may_die_at_any_statement() {
    let config = configured();
    let config = Config { statement_bytes: 300, ..config };
    let (mut sink, claim) = claimed(&config);
    sink.apply(&claim, &staged_commit(0)).expect("applies");
    let parts = sink.traffic().statements as usize - 7;
    let mut epoch = 2;
    for at in 1.. {
        let (seen, dead) = (AtomicI64::new(0), Mutex::new(None));
        let (proxy, through) = before(&config, move |request| {
            request.sql()?;
            let (token, mut dead) = (request.token()?, dead.lock().expect("whole"));
            if seen.fetch_add(1, Ordering::SeqCst) + 1 == at {
                *dead = Some(token.to_owned());
            }
            (dead.as_deref() == Some(token)).then(|| refusal("390112", "Your session has expired. Please login again."))
        });
        let mut sink = open(&through);
        let first = sink.apply(&claim, &staged_commit(epoch));
        let died = count(&proxy, "sqlText") as i64 >= at;
        if first.is_err() {
            assert!(matches!(first, Err(SinkError::Unavailable(_))), "at {at}: {first:?}");
            // A transaction whose token died cannot be rolled back: its lock is waited for.
            insist(|| sink.apply(&claim, &staged_commit(epoch)));
        }
        assert!(count(&proxy, "INSERT INTO") <= parts + 1, "at {at}: what is staged is sent once");
        epoch += 2;
        let users = rows(&mut open(&config), table("users"));
        assert_eq!(users.len(), 40);
        assert!(users.iter().all(|row| row[3] == Value::Text(format!("as of {epoch}"))), "at {at}");
        if !died {
            assert!(at as usize > parts + 6, "{at}");
            break;
        }
    }
}

/// What somebody took out of `_STAGING` is noticed, and not merged without.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn staged_rows_that_vanish_are_staged_anew() {
    let config = configured();
    let config = Config { statement_bytes: 300, ..config };
    let (_, claim) = claimed(&config);
    let (target, left) = (config.url.trim_start_matches("http://").to_owned(), AtomicI64::new(1));
    let (_proxy, through) = before(&config, move |request| {
        let is_it = request.sql()?.starts_with("SELECT COUNT(*)") && left.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_it {
            let table = request.sql()?.split_whitespace().nth(3)?.replace('"', "\\\"");
            let delete = request.with_body(&format!(r#"{{"sqlText":"DELETE FROM {table}"}}"#));
            ask(&target, &delete.head, delete.body.as_bytes());
        }
        None
    });
    let mut sink = open(&through);
    let error = sink.apply(&claim, &staged_commit(0)).expect_err("emptied");
    assert!(matches!(&error, SinkError::Unavailable(text) if text.contains("was emptied")), "{error}");
    sink.apply(&claim, &staged_commit(0)).expect("anew");
    assert_eq!(rows(&mut sink, table("users")).len(), 40);
}

/// Statements that begin so are answered with an error of Snowflake's.
fn answering(config: &Config, begins: &'static str, code: &'static str, message: &'static str) -> (Proxy, Config) {
    before(config, move |request| request.sql()?.starts_with(begins).then(|| refusal(code, message)))
}

/// A run that was superseded and does not know it yet empties `_STAGING` while the new one is about to merge.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn what_another_run_has_staged_is_left_to_it() {
    let config = configured();
    let config = Config { statement_bytes: 300, ..config };
    let (_proxy, through) = answering(&config, "BEGIN", "000604", "later");
    let (mut old, first) = claimed(&through);
    old.apply(&first, &staged_commit(0)).expect_err("later");
    let old = Mutex::new(Some((old, first)));
    let (_proxy, through) = before(&config, move |request| {
        if request.sql()?.starts_with("BEGIN")
            && let Some((mut old, first)) = old.lock().expect("whole").take()
        {
            old.apply(&first, &staged_commit(2)).expect_err("later");
        }
        None
    });
    let (mut new, second) = claimed(&through);
    new.apply(&second, &staged_commit(0)).expect("applies");
    assert_eq!(rows(&mut new, table("users")).len(), 40);
}

/// What was staged for a commit is removed when the next one is about to merge: its statement waited for a warehouse.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_removal_that_comes_late_takes_nothing_of_the_next_commit() {
    let config = configured();
    let config = Config { statement_bytes: 300, ..config };
    let (target, removal) = (config.url.trim_start_matches("http://").to_owned(), Mutex::<Option<Request>>::default());
    let (_proxy, through) = before(&config, move |request| {
        let (sql, mut removal) = (request.sql()?, removal.lock().expect("whole"));
        if sql.starts_with("DELETE") {
            *removal = Some(request.clone());
        } else if sql.starts_with("BEGIN") {
            removal.take().map(|late| ask(&target, &late.head, late.body.as_bytes()));
        }
        None
    });
    let (mut sink, claim) = claimed(&through);
    for follows in [0, 2] {
        sink.apply(&claim, &staged_commit(follows)).expect("applies");
    }
    let users = rows(&mut sink, table("users"));
    assert!(users.iter().all(|row| row[3] == Value::Text("as of 4".into())), "{users:?}");
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_merge_that_takes_too_long_ends_with_what_to_raise() {
    let config = configured();
    let (_, claim) = claimed(&config);
    let slow = "Statement reached its statement or warehouse timeout of 300 second(s) and was canceled.";
    let (_proxy, through) = answering(&config, "MERGE", "000630", slow);
    let mut sink = open(&through);
    for attempt in 1..=3 {
        let error = sink.apply(&claim, &commit(0, 0..3)).expect_err("too slow");
        assert_eq!(matches!(error, SinkError::Failed(_)), attempt == 3, "{error}");
        for named in ["`snowflake.timeout`", "STATEMENT_TIMEOUT_IN_SECONDS", "WAREHOUSE_SIZE", "could not merge into"] {
            assert!(error.to_string().contains(named), "{named}: {error}");
        }
    }
    assert_eq!(open(&config).position().expect("asks").expect("claimed").epoch, 0);
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn locks_are_waited_for_by_whatever_they_are_known() {
    let config = configured();
    let (_, claim) = claimed(&config);
    for (begins, code, message) in [
        ("UPDATE", "000630", "Statement reached its statement or warehouse timeout of 60 second(s) and was canceled."),
        ("UPDATE", "000625", "Statement aborted because the number of waiters exceeds the 20 statements limit."),
        ("UPDATE", "000999", "Your statement was aborted because it waited too long for a lock held by transaction 5."),
        ("MERGE", "000999", "Statement was aborted: deadlock with transaction 5."),
    ] {
        let (_proxy, through) = answering(&config, begins, code, message);
        let mut sink = open(&through);
        for _ in 0..5 {
            let error = sink.apply(&claim, &commit(0, 0..3)).expect_err("locked");
            let waits = matches!(&error, SinkError::Unavailable(text) if text.contains("SYSTEM$ABORT_TRANSACTION"));
            assert!(waits, "{code}: {error}");
        }
    }
    let (_proxy, through) = answering(&config, "MERGE", "001003", "SQL compilation error: unexpected 'lock'");
    assert!(matches!(open(&through).apply(&claim, &commit(0, 0..3)), Err(SinkError::Failed(_))));
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_refused_login_is_waited_for_once_one_has_worked() {
    let config = configured();
    let busy = r#"{"data":null,"code":"390191","message":"User temporarily locked. Try again later. [5e5-1]","success":false}"#;
    for (status, body) in [(403, "no"), (200, busy)] {
        let logins = AtomicI64::new(0);
        let (_proxy, through) = before(&config, move |request| {
            let is_login = request.path.contains("login-request");
            (is_login && logins.fetch_add(1, Ordering::SeqCst) == 1).then(|| http(status, body))
        });
        let mut sink = open(&through);
        sink.position().expect("the first login");
        let error = sink.position().expect_err("the second one is refused");
        assert!(matches!(error, SinkError::Unavailable(_)), "{error}");
        assert!(status == 403 || error.to_string().contains("SYSTEM$GET_LOGIN_FAILURE_DETAILS('5e5-1')"), "{error}");
        sink.position().expect("the third one");
        let (_proxy, through) =
            before(&config, move |request| request.path.contains("login-request").then(|| http(status, body)));
        let error = open(&through).position().expect_err("none ever worked");
        assert!(matches!(error, SinkError::Failed(_)), "{error}");
    }
}

/// A statement that takes long is answered with an address to ask at, and there again with one.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn answers_that_come_later_are_asked_for() {
    let config = configured();
    let target = config.url.trim_start_matches("http://").to_owned();
    let later: Mutex<HashMap<String, (u32, Vec<u8>)>> = Mutex::default();
    let running = |id: &str| {
        let data = format!(r#"{{"queryId":"{id}","getResultUrl":"/queries/{id}/result"}}"#);
        http(200, &format!(r#"{{"success":true,"code":"333334","message":"in progress","data":{data}}}"#))
    };
    let (proxy, through) = before(&config, move |request| {
        let mut later = later.lock().expect("whole");
        if let Some(id) = request.path.strip_prefix("/queries/").and_then(|path| path.strip_suffix("/result")) {
            let (asked, answered) = later.get_mut(id)?;
            *asked += 1;
            return Some(if *asked < 2 { running(id) } else { answered.clone() });
        }
        request.sql()?;
        let id = format!("q{}", later.len());
        later.insert(id.clone(), (0, ask(&target, &request.head, request.body.as_bytes())?));
        Some(running(&id))
    });
    let (mut sink, claim) = claimed(&through);
    sink.apply(&claim, &commit(0, 0..3)).expect("applies");
    assert_eq!(rows(&mut sink, table("users")).len(), 3);
    assert!(count(&proxy, "/result") >= 2 * 6);
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn what_is_given_up_is_cancelled() {
    let config = configured();
    let (_, claim) = claimed(&config);
    let (proxy, through) = before(&config, |request| request.sql()?.starts_with("MERGE").then(|| http(503, "later")));
    let error = open(&through).apply(&claim, &commit(0, 0..3)).expect_err("not answered");
    assert!(matches!(error, SinkError::Unavailable(_)), "{error}");
    assert!(count(&proxy, "/queries/v1/abort-request") >= 1);
}
