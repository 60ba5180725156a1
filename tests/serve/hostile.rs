use super::{Answer, Serving, warehouse};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{Read, Write};
use std::net::TcpStream;

/// It is there, and answers.
fn assert_lives(serving: &Serving) {
    assert_eq!(serving.get("/healthz").status(), 200);
    assert_eq!(serving.json("/api/v1/tables/users?limit=1")["table"], "users");
}

/// What is wrong is said in JSON, and nothing of it is a bug.
fn assert_refused(answer: &Answer, status: u16, said: &str) {
    let body: serde_json::Value = serde_json::from_str(answer.body()).unwrap_or_default();
    let error = body["error"].as_str().unwrap_or_default();
    assert!(answer.status() == status && error.contains(said), "{status}, {said}: {}", answer.0);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'self'")));
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    let table = "/api/v1/tables/user_registration_metrics";
    let next = serving.json(&format!("{table}?limit=1"))["next"].as_str().expect("more").to_owned();
    for (path, status, said) in [
        ("/api/v1/tables/nobody", 404, "there is no table `nobody`"),
        ("/api/v1/tables/_progress", 404, "there is no table `_progress`"),
        ("/api/v1/tables/sqlite_master", 404, "there is no table"),
        ("/api/v1/tables/users%22%3B--", 404, "there is no table `users\";--`"),
        ("/api/v1/tables/..%2f..%2fetc%2fpasswd", 404, "there is no table"),
        ("/api/v1/tables/%ff", 400, "is no text"),
        ("/../etc/passwd", 404, "there is nothing here"),
        ("/page.js/../../etc/passwd", 404, "there is nothing here"),
        ("/api/v1/", 404, "there is nothing here"),
        ("/readyz?within=soon", 400, "`within`: is not a duration"),
        ("/readyz?limit=1", 400, "there is `within`"),
    ] {
        assert_refused(&serving.get(path), status, said);
    }
    for (parameters, said) in [
        ("nothing=1", "parameter `nothing`: there is none of this name"),
        ("limit=0", "parameter `limit`: expected 1 to 1000"),
        ("limit=1001", "`limit`"),
        ("limit=9999999999999999999999", "`limit`"),
        ("order=up", "`order`: expected `asc` or `desc`"),
        ("by=nothing", "`by`: expected a column"),
        ("from=yesterday", "`from`: expected an instant"),
        ("is_final=maybe", "`is_final`: expected `true` or `false`"),
        ("registration_count=1.5", "`registration_count`: expected a whole number"),
        ("after=x", "`after`: expected what `next` said"),
        ("a=%zz", "no text"),
    ] {
        assert_refused(&serving.get(&format!("{table}?{parameters}")), 400, said);
    }
    assert_refused(
        &serving.get(&format!("{table}?by=registration_count&after={next}")),
        400,
        "`after`: is of other rows",
    );
    assert_refused(&serving.get("/api/v1/tables/users?from=2026-01-05"), 400, "no column of this table says when");
    // Of another commit: [epoch, offset, key].
    let other = "WzEsMCxbXV0";
    assert_refused(&serving.get(&format!("{table}?after={other}")), 409, "begin again");
    let quoted = serving.json("/api/v1/tables/users?masked_email=%27%20OR%201%3D1%20--");
    assert_eq!(quoted["rows"], serde_json::json!([]), "it is a value, and no SQL");
    let request = |head: &str| serving.ask(&format!("{head}\r\nConnection: close\r\n\r\n"));
    for (head, status, said) in [
        ("POST / HTTP/1.1\r\nHost: localhost", 405, "only read"),
        ("DELETE /api/v1/tables/users HTTP/1.1\r\nHost: localhost", 405, "only read"),
        ("GET / HTTP/1.1\r\nHost: evil.example", 403, "`serve.hosts`"),
        ("GET / HTTP/1.1\r\nHost: localhost.evil.example:80", 403, "`serve.hosts`"),
        ("GET / HTTP/1.0", 403, "`serve.hosts`"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999", 413, "no body"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked", 413, "no body"),
    ] {
        assert_refused(&request(head), status, said);
    }
    let head = request("HEAD / HTTP/1.1\r\nHost: localhost");
    assert_eq!((head.status(), head.body()), (200, ""));
    let page = serving.get("/");
    let tag = page.header("etag").expect("a tag");
    let again = request(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}"));
    assert_eq!((again.status(), again.body()), (304, ""));
    let long = format!("/{}", "a".repeat(100_000));
    assert!([400, 414, 431].contains(&serving.get(&long).status()));
    let headers = "X: y\r\n".repeat(20_000);
    assert!([0, 400, 431].contains(&request(&format!("GET / HTTP/1.1\r\nHost: localhost\r\n{headers}X: z")).status()));
    assert_lives(&serving);
}

#[test]
fn half_a_request_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    let connect = |said: &str| {
        let mut stream = TcpStream::connect(&serving.at).expect("connects");
        stream.write_all(said.as_bytes()).expect("takes it");
        stream
    };
    // None of them ever ends what it says, or reads what it is told.
    let halves: Vec<_> = ["", "G", "GET /api/v1/status HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\nHost: localhost\r\n"]
        .iter()
        .cycle()
        .take(200)
        .map(|said| connect(said))
        .collect();
    let slow: Vec<_> = (0..50).map(|_| connect("GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect();
    assert_lives(&serving);
    // One that says nothing more is let go: what is read is an end, or that it took too long.
    let mut half = halves.into_iter().nth(2).expect("half a request");
    let mut said = Vec::new();
    half.read_to_end(&mut said).ok();
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
    // As many as there is room for, and more: each stream holds its connection.
    drop(slow);
    let stream = "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut begun = Vec::new();
    while begun.len() < 512 {
        let (mut one, mut byte) = (connect(stream), [0; 16]);
        // Those that say nothing leave within seconds, and make room.
        if one.read_exact(&mut byte).is_ok() && byte.starts_with(b"HTTP/1.1 200") {
            begun.push(one);
        }
    }
    let answer = serving.get("/api/v1/tables");
    assert_refused(&answer, 503, "all 512 connections are in use");
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(&serving.at)).collect();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(serving.get(path).status(), 200, "{path}");
    }
    drop((begun, silent));
    while serving.get("/api/v1/tables").status() != 200 {
        std::thread::yield_now();
    }
    let many: Vec<_> = (0..600).filter_map(|_| TcpStream::connect(&serving.at).ok()).collect();
    drop(many);
    while serving.get("/healthz").status() != 200 {
        std::thread::yield_now();
    }
    assert_lives(&serving);
    assert_eq!(serving.end(), Some(0));
}

/// Pieces of requests, put together anyhow: an answer or none, and never a bug.
#[test]
fn random_requests_are_answered_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    let pieces = [
        "GET ",
        "HEAD ",
        "PUT ",
        "/",
        "/api/v1/tables/users",
        "/api/v1/tables/session_metrics_by_minute",
        "/readyz",
        "?",
        "&",
        "limit=",
        "from=",
        "to=",
        "by=",
        "after=",
        "order=desc",
        "user_id=",
        "timestamp=",
        "9",
        "-1",
        "1e400",
        "%00",
        "%ff",
        "2026-01-05",
        "+275760-09-13",
        "NaN",
        "猫",
        "=",
        " HTTP/1.1\r\n",
        " HTTP/9.9\r\n",
        "Host: localhost\r\n",
        "Host: [::1\r\n",
        "Content-Length: -1\r\n",
        "Range: bytes=0-\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\0",
        "Connection: close\r\n",
        "Expect: 100-continue\r\n",
    ];
    let mut dice = ChaCha8Rng::seed_from_u64(20);
    let mut answered = 0;
    for n in 0..400 {
        let mut request: String = match n % 2 {
            0 => "GET /api/v1/tables/user_registration_metrics?".to_owned(),
            _ => String::new(),
        };
        for _ in 0..dice.random_range(1..12) {
            request.push_str(pieces.choose(&mut dice).expect("some"));
        }
        let request =
            if n % 2 == 0 { request.replace(['\r', '\n', ' '], "").replacen("GET", "GET ", 1) } else { request };
        let answer = serving.ask(&format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(answer.status() < 500 || answer.status() == 503, "{request}: {}", answer.0);
        answered += u32::from(answer.status() > 0);
    }
    assert!(answered > 200, "{answered}");
    assert_lives(&serving);
}
