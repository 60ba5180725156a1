//! `check --deep`, as far as the stand-in goes: it waits for no lock, and says so at once.

use super::promises::before;
use super::proxy::{Request, http};
use super::{configured, open};
use deltamart::families::all;
use deltamart::sink::Sink;
use deltamart::sink::snowflake::deep;

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_deep_check_tells_each_step_and_leaves_nothing_behind() {
    let config = configured();
    let mut told = Vec::new();
    deep::check(all(), &config, &mut |what, answer, _| told.push(format!("{what}: {answer}"))).expect("holds");
    let text = told.join("\n");
    for step in [
        "the script:",
        "the script again:",
        "claim: done",
        "commit a row: done",
        "an older session sees the commit: at look 1",
        "an update that waited for another one's lock: ",
        "wait for a lock that does not come: Snowflake account `myorg-prod`: could not wait for the lock: Snowflake server error 000625",
        "take over: done",
        "a commit of the run before: refused, as it must be",
    ] {
        assert!(text.contains(step), "{step}\n{text}");
    }
    let again = open(&config).position().expect("asks");
    assert_eq!(again, None, "the tables of the sink are not touched");
}

/// A place where two updates find the same row: the fence does not hold there, and the check says so.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_deep_check_finds_an_account_where_two_can_win() {
    let config = configured();
    let wins = |request: &Request| {
        request.sql()?.contains("SET \"EPOCH\" = 4 WHERE").then(|| {
            let column = r#"{"name":"number of rows updated","type":"fixed","nullable":false,"scale":0,"precision":19}"#;
            let data = format!(
                r#"{{"queryId":"q","queryResultFormat":"json","rowtype":[{column}],"rowset":[["1"]],"total":1,"returned":1}}"#
            );
            http(200, &format!(r#"{{"success":true,"code":null,"message":null,"data":{data}}}"#))
        })
    };
    let (_proxy, through) = before(&config, wins);
    let error = deep::check(all(), &through, &mut |_, _, _| {}).expect_err("both won").to_string();
    assert!(error.contains("do not use this account"), "{error}");
}
