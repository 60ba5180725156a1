//! Stands between us and the stand-in: breaks the wire at the request it is told to, or answers in its stead.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// How it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// The request is lost.
    Before,
    /// The request is carried out, its answer is lost.
    After,
    /// The request is carried out, and then a ROLLBACK in its session. Nothing is lost.
    RollBack,
}

/// A request as it came.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) path: String,
    pub(super) body: String,
}

/// Answers a request: with what it was told, or with what [`ask`] brings, or not at all.
pub(super) type Answer = dyn Fn(&Request) -> Option<Vec<u8>> + Send + Sync;

/// A wire, one request to a connection.
pub(super) struct Proxy {
    pub(super) url: String,
    /// How many requests pass before it breaks; below zero, all of them. From then on nothing passes, until mended.
    left: Arc<AtomicI64>,
    how: Arc<Mutex<Break>>,
    /// What was asked: `path body`, `path` without what follows `?`.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(super) fn to(url: &str) -> Proxy {
        let target = url.trim_start_matches("http://").to_owned();
        Proxy::answering(Arc::new(move |request: &Request| ask(&target, &request.head, request.body.as_bytes())))
    }

    /// One whose answers are made by a function.
    pub(super) fn answering(answer: Arc<Answer>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = Proxy {
            url: format!("http://{}", listener.local_addr().expect("bound")),
            left: Arc::new(AtomicI64::new(-1)),
            how: Arc::new(Mutex::new(Break::Before)),
            asked: Arc::default(),
        };
        let (left, how, asked) = (Arc::clone(&proxy.left), Arc::clone(&proxy.how), Arc::clone(&proxy.asked));
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (left, how, asked, answer) =
                    (Arc::clone(&left), Arc::clone(&how), Arc::clone(&asked), Arc::clone(&answer));
                std::thread::spawn(move || pass(client, &*answer, &left, &how, &asked));
            }
        });
        proxy
    }

    pub(super) fn break_after(&self, requests: i64, how: Break) {
        *self.how.lock().expect("whole") = how;
        self.left.store(requests, Ordering::SeqCst);
    }

    pub(super) fn roll_back_after(&self, requests: i64) {
        self.break_after(requests, Break::RollBack);
    }

    /// Mends it; tells whether it broke.
    pub(super) fn mend(&self) -> bool {
        self.left.swap(-1, Ordering::SeqCst) == 0
    }
}

/// One request and its answer.
fn pass(
    client: TcpStream,
    answer: &Answer,
    left: &AtomicI64,
    how: &Mutex<Break>,
    asked: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split([' ', '?']).nth(1).unwrap_or_default();
    // The one that makes it 0 is the one that breaks; below zero nothing is counted.
    let count = |left| Some(if left > 0 { left - 1 } else { left });
    let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count).unwrap_or(-1);
    let how = *how.lock().expect("whole");
    let breaks = before == 1;
    if how != Break::RollBack && (before == 0 || (breaks && how == Break::Before)) {
        return None;
    }
    let request = Request { path: path.to_owned(), body: String::from_utf8(body).ok()?, head };
    asked.lock().expect("whole").push(format!("{} {}", request.path, request.body));
    let answered = answer(&request)?;
    if breaks && how == Break::RollBack {
        answer(&request.with_body(r#"{"sqlText":"ROLLBACK"}"#))?;
    }
    if breaks && how == Break::After {
        return None;
    }
    (&client).write_all(&answered).ok()
}

impl Request {
    /// The same request with another body.
    pub(super) fn with_body(&self, body: &str) -> Request {
        let other = |line: &&str| !line.to_lowercase().starts_with("content-length:");
        let mut head = self.head.lines().filter(other).collect::<Vec<_>>().join("\r\n");
        head.push_str(&format!("\r\ncontent-length: {}\r\n", body.len()));
        Request { head, body: body.to_owned(), path: self.path.clone() }
    }

    /// The statement, if it is one.
    pub(super) fn sql(&self) -> Option<String> {
        let body = serde_json::from_str::<serde_json::Value>(&self.body).ok()?;
        Some(body["sqlText"].as_str()?.to_owned())
    }

    /// Whose session: what stands between the quotes of `Snowflake Token="..."`.
    pub(super) fn token(&self) -> Option<&str> {
        Some(self.head.split_once("Token=\"")?.1.split_once('"')?.0)
    }
}

/// An answer of HTTP with a JSON body.
pub(super) fn http(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}");
    format!("{head}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

/// What the stand-in answers.
pub(super) fn ask(target: &str, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(target).ok()?;
    server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).ok()?;
    server.write_all(body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
