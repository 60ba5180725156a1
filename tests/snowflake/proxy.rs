//! Stands between us and the stand-in, and breaks the wire at the request it is told to.

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
                let (left, how, asked, target) =
                    (Arc::clone(&left), Arc::clone(&how), Arc::clone(&asked), target.clone());
                std::thread::spawn(move || pass(client, &target, &left, &how, &asked));
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
    target: &str,
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
    asked.lock().expect("whole").push(format!("{path} {}", String::from_utf8_lossy(&body)));
    let answer = ask(target, &head, &body)?;
    if breaks && how == Break::RollBack {
        let rollback = br#"{"sqlText":"ROLLBACK"}"#;
        let other = |line: &&str| !line.to_lowercase().starts_with("content-length:");
        let mut head = head.lines().filter(other).collect::<Vec<_>>().join("\r\n");
        head.push_str(&format!("\r\ncontent-length: {}\r\n", rollback.len()));
        ask(target, &head, rollback)?;
    }
    if breaks && how == Break::After {
        return None;
    }
    (&client).write_all(&answer).ok()
}

fn ask(target: &str, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(target).ok()?;
    server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).ok()?;
    server.write_all(body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
