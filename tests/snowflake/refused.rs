//! What Snowflake refuses, and what is said of it. By a mock, which answers what it is told to: the stand-in refuses
//! nobody. Codes and messages are those of its documentation.

use super::{configured_at, open};
use deltamart::config::snowflake::Snowflake as Config;
use deltamart::sink::{Sink, SinkError};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const LOGGED_IN: &str = r#"{"success":true,"data":{"token":"t","masterToken":"m","parameters":[],"sessionInfo":{}}}"#;

/// Answers logins and queries with a status and a body; counts logins. Without a status it does not answer.
fn mock(login: (u16, &str), query: (u16, &str)) -> (Config, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = configured_at(&listener.local_addr().expect("bound").to_string());
    let logins = Arc::new(AtomicUsize::new(0));
    let (counted, login, query) = (Arc::clone(&logins), (login.0, login.1.to_owned()), (query.0, query.1.to_owned()));
    // Ends with the process.
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut reader = BufReader::new(client.try_clone().expect("a socket"));
            let (mut is_login, mut length) = (false, 0);
            for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                is_login |= line.contains("login-request");
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
            }
            std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok();
            counted.fetch_add(usize::from(is_login), Ordering::SeqCst);
            let (status, body) = if is_login { &login } else { &query };
            if *status == 0 {
                std::thread::spawn(move || {
                    // Open forever: only who gives up by himself gets on.
                    let _client = client;
                    loop {
                        std::thread::park();
                    }
                });
                continue;
            }
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            client.write_all((head + body).as_bytes()).ok();
        }
    });
    (config, logins)
}

fn error(code: &str, message: &str) -> String {
    format!(r#"{{"success":false,"code":"{code}","message":"{message}","data":{{"queryId":"q"}}}}"#)
}

#[test]
fn errors_say_what_was_attempted_and_what_to_do() {
    let ok = (200, LOGGED_IN);
    let jwt = error("390144", "JWT token is invalid. [5e5]");
    for (login, query, is_later, expected) in [
        ((200, &jwt[..]), (200, ""), false, "DESC USER"),
        ((200, &jwt), (200, ""), false, "the public key of user `loader` is not registered"),
        ((404, "no"), (200, ""), false, "there is no such account"),
        ((503, "later"), (200, ""), true, "could not log in as `loader`"),
        (ok, (503, "later"), true, "could not read \"T"),
        (ok, (429, "slow down"), true, "HTTP 429"),
        (ok, (200, &error("390112", "Your session has expired")), true, "session expired"),
        (ok, (200, &error("003001", "Insufficient privileges")), false, "deltamart schema --for snowflake"),
        (ok, (200, &error("000606", "No active warehouse")), false, "`snowflake.warehouse`"),
        (ok, (200, &error("000625", "locked")), true, "SYSTEM$ABORT_TRANSACTION"),
        (ok, (200, &error("090073", "quota")), true, "quota"),
        (ok, (200, &error("001003", "SQL compilation error")), false, "_PROGRESS\": Snowflake server error 001003"),
    ] {
        let (config, logins) = mock(login, query);
        let mut sink = open(&config);
        for attempt in 1..=2 {
            let error = sink.position().expect_err("refused");
            assert_eq!(matches!(error, SinkError::Unavailable(_)), is_later, "{error}");
            let text = error.to_string();
            assert!(text.contains(expected), "expected {expected}: {text}");
            assert!(text.contains("`myorg-prod`") && !text.contains("PRIVATE KEY") && !text.contains("eyJ"), "{text}");
            // Whatever it was: the next attempt is not bound to the session in which it happened.
            assert_eq!(logins.load(Ordering::SeqCst), attempt);
        }
    }
}

#[test]
fn what_does_not_answer_is_not_waited_for_for_ever() {
    let (config, _) = mock((200, LOGGED_IN), (0, ""));
    let error = open(&Config { timeout: 1_000, ..config }).position().expect_err("no answer");
    assert!(matches!(error, SinkError::Unavailable(_)), "{error}");
}
