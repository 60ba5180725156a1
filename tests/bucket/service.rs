//! A stand-in for S3 on the loopback address: as much of it as we use, and answers by a script.

use deltamart::store::objects::{Clock, Objects};
use object_store::aws::AmazonS3Builder;
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What a request gets instead of its answer, or after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This answer, and nothing is done.
    Says(u16, String),
    /// Nothing is done, and the connection ends.
    HangsUp,
    /// What was asked is done, and the connection ends.
    LosesTheAnswer,
}

/// An error of S3.
pub fn says(status: u16, code: &str, message: &str) -> Fault {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Fault::Says(status, body)
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// For the next requests, one each.
    script: VecDeque<Option<Fault>>,
    /// For every request that the script says nothing of.
    always: Option<Fault>,
    /// Passes over `If-None-Match`.
    forgets_conditions: bool,
    /// Does not list what was made last.
    hides_the_newest: bool,
    newest: String,
    requests: Vec<String>,
}

/// The stand-in; it ends with the test's process.
pub struct Service {
    state: Arc<Mutex<State>>,
    port: u16,
}

/// A clock that only pauses move.
#[derive(Default)]
pub struct Paused(Mutex<Vec<Duration>>);

impl Paused {
    /// The pauses that were made since this was last asked.
    pub fn taken(&self) -> Vec<u128> {
        self.0.lock().expect("unpoisoned").drain(..).map(|pause| pause.as_millis()).collect()
    }
}

impl Clock for Paused {
    fn now(&self) -> Duration {
        self.0.lock().expect("unpoisoned").iter().sum()
    }

    fn pause(&self, pause: Duration) {
        self.0.lock().expect("unpoisoned").push(pause);
    }
}

impl Service {
    pub fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(&state, connection));
            }
        });
        Service { state, port }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// A store in it, and the clock that the store goes by.
    pub fn store(&self) -> (Objects, Arc<Paused>) {
        let builder = AmazonS3Builder::new()
            .with_endpoint(format!("http://127.0.0.1:{}", self.port))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("key")
            .with_secret_access_key("secret");
        let clock = Arc::new(Paused::default());
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        (Objects::on_s3(builder, "s3://bucket/place", shared).expect("a store"), clock)
    }

    /// The next requests get these, one each; `None` is an answer as usual.
    pub fn script(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state().script.extend(faults);
    }

    /// Every request gets this.
    pub fn always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    pub fn forgets_conditions(&self) {
        self.state().forgets_conditions = true;
    }

    pub fn hides_the_newest(&self) {
        self.state().hides_the_newest = true;
    }

    /// The requests since this was last asked, such as `PUT /bucket/place/a`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().objects.clone()
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    creates: bool,
    body: Vec<u8>,
}

/// The next request of a connection, unless it ended.
fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (mut length, mut creates) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "if-none-match" => creates = true,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), creates, body })
}

fn serve(state: &Mutex<State>, mut connection: TcpStream) {
    let mut reader = BufReader::new(connection.try_clone().expect("a handle"));
    while let Some(request) = read(&mut reader) {
        let (status, body) = {
            let mut state = state.lock().expect("unpoisoned");
            state.requests.push(format!("{} {}", request.method, request.path));
            let fault = state.script.pop_front().unwrap_or_else(|| state.always.clone());
            match fault {
                Some(Fault::HangsUp) => return,
                Some(Fault::Says(status, body)) => (status, body.into_bytes()),
                Some(Fault::LosesTheAnswer) => {
                    state.answer(&request);
                    return;
                }
                None => state.answer(&request),
            }
        };
        let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n", body.len());
        let about = "ETag: \"1\"\r\nLast-Modified: Mon, 05 Jan 2026 00:00:00 GMT\r\n\r\n";
        let whole = [head.as_bytes(), about.as_bytes(), &body].concat();
        if connection.write_all(&whole).is_err() {
            return;
        }
    }
}

fn error(status: u16, code: &str) -> (u16, Vec<u8>) {
    match says(status, code, "As the stand-in has it.") {
        Fault::Says(status, body) => (status, body.into_bytes()),
        _ => unreachable!("`says` makes answers"),
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> (u16, Vec<u8>) {
        let key = request.path.trim_start_matches("/bucket").trim_start_matches('/').to_owned();
        match request.method.as_str() {
            "PUT" if request.creates && !self.forgets_conditions && self.objects.contains_key(&key) => {
                error(412, "PreconditionFailed")
            }
            "PUT" => {
                self.newest.clone_from(&key);
                self.objects.insert(key, request.body.clone());
                (200, Vec::new())
            }
            "GET" if request.query.contains("list-type=2") => (200, self.list(&request.query).into_bytes()),
            "GET" => self.objects.get(&key).map_or_else(|| error(404, "NoSuchKey"), |bytes| (200, bytes.clone())),
            "DELETE" => {
                self.objects.remove(&key);
                (204, Vec::new())
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }

    fn list(&self, query: &str) -> String {
        let named = query.split('&').find_map(|pair| pair.strip_prefix("prefix="));
        let prefix = named.unwrap_or_default().replace("%2F", "/");
        let mut listed = String::new();
        for (key, bytes) in self.objects.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix)) {
            if !(self.hides_the_newest && *key == self.newest) {
                let size = bytes.len();
                listed += &format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"1\"</ETag>\
                     <LastModified>2026-01-05T00:00:00.000Z</LastModified></Contents>"
                );
            }
        }
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")
    }
}
