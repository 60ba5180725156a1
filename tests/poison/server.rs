use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deltamart::config::kafka::Registry as Config;
use deltamart::kafka::registry::clock::Clock;
use deltamart::kafka::registry::{Registry, Resolved};
use deltamart::state_dir::StateDir;

/// What a registry says when it is asked for a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// There it is.
    Good,
    /// HTTP 404, and nothing else.
    NotFound,
    /// HTTP 404, and its own code: there is no such schema.
    NotFoundByCode,
    Status(u16),
    Garbage,
    WrongJson,
    EmptyJson,
    /// It hangs up.
    Closes,
    /// It says nothing, for longer than anybody waits.
    Nothing,
}

/// Everything that is no answer.
pub const UNCLEAR: [Says; 12] = [
    Says::Status(400),
    Says::Status(401),
    Says::Status(403),
    Says::Status(422),
    Says::Status(429),
    Says::Status(500),
    Says::Status(503),
    Says::Garbage,
    Says::WrongJson,
    Says::EmptyJson,
    Says::Closes,
    Says::Nothing,
];

/// A clock that passes only where nothing else can happen, and only when it is let.
#[derive(Clone, Default)]
pub struct Time {
    micros: Arc<AtomicU64>,
    stands: Arc<AtomicBool>,
}

impl Time {
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::SeqCst))
    }

    pub fn pass(&self, by: Duration) {
        self.micros.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }

    /// From now on it stands, or does not.
    pub fn stand(&self, stands: bool) {
        self.stands.store(stands, Ordering::SeqCst);
    }

    /// How long a silent registry is listened to is real time: little.
    pub fn clock(&self, patience: Duration) -> Clock {
        let (read, passed) = (self.clone(), self.clone());
        let pass = move |by| match passed.stands.load(Ordering::SeqCst) {
            true => std::thread::sleep(Duration::from_millis(1)),
            false => passed.pass(by),
        };
        Clock::simulated(move || read.now(), pass, patience)
    }
}

/// A registry.
pub struct Server {
    pub url: String,
    /// How often it was asked for a schema.
    pub asked: Arc<AtomicUsize>,
}

type Body = (u16, String);

impl Server {
    /// Answers for ids by `says`; all that is good is `schema`.
    pub fn start(schema: &str, says: impl Fn(u32) -> Says + Send + Sync + 'static) -> Server {
        let good = serde_json::json!({ "schema": schema }).to_string();
        Server::with(move |id| match says(id) {
            Says::Good => Some((200, good.clone())),
            Says::NotFound => Some((404, "<html>not here</html>".to_owned())),
            Says::NotFoundByCode => Some((404, r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned())),
            Says::Status(status) => Some((status, format!(r#"{{"error_code":{status}01,"message":"says {status}"}}"#))),
            Says::Garbage => Some((200, "\u{1}\u{2}garbage".to_owned())),
            Says::WrongJson => Some((200, r#"{"schema":5}"#.to_owned())),
            Says::EmptyJson => Some((200, "{}".to_owned())),
            Says::Closes => None,
            Says::Nothing => Some((0, String::new())),
        })
    }

    /// Answers for ids with a status and a body; status 0 is silence, and none hangs up.
    pub fn with(answer: impl Fn(u32) -> Option<Body> + Send + Sync + 'static) -> Server {
        Server::at_paths(move |path| {
            let id = path.strip_prefix("/schemas/ids/").and_then(|rest| rest.split('?').next()?.parse().ok());
            id.map_or(Some((404, String::new())), &answer)
        })
    }

    /// Answers for paths.
    pub fn at_paths(answer: impl Fn(&str) -> Option<Body> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (asked, answer) = (Arc::<AtomicUsize>::default(), Arc::new(answer));
        let counted = Arc::clone(&asked);
        // Those that are not answered stay open as long as it is there.
        let silent = Arc::<Mutex<Vec<TcpStream>>>::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, silent, counted) = (Arc::clone(&answer), Arc::clone(&silent), Arc::clone(&counted));
                std::thread::spawn(move || {
                    let Some(path) = asked_for(&stream) else { return };
                    counted.fetch_add(1, Ordering::SeqCst);
                    match answer(&path) {
                        None => {}
                        Some((0, _)) => silent.lock().expect("no panic").push(stream),
                        Some((status, body)) => reply(stream, status, &body),
                    }
                });
            }
        });
        Server { url, asked }
    }
}

fn asked_for(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    Some(path)
}

fn reply(mut stream: TcpStream, status: u16, body: &str) {
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // Who asked may have gone.
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).ok();
}

/// A registry that is asked by this time.
pub fn registry(url: &str, keep: Option<&StateDir>, is_anew: bool, clock: Clock) -> Registry {
    let config = Config { url: url.to_owned(), ..Config::default() };
    Registry::with(&config, keep, is_anew, clock).expect("a registry")
}

/// What it comes to, or what is said at an instant by which it came to nothing.
pub fn settled(registry: &Registry, id: u32, partition: &str, insists: bool, time: &Time, until: Duration) -> Resolved {
    let started = std::time::Instant::now();
    loop {
        match registry.resolve(id, partition, insists) {
            Resolved::Asked(_) if time.now() < until => {
                assert!(started.elapsed() < Duration::from_secs(60), "no answer, and no time passes: {:?}", time.now());
                std::thread::yield_now();
            }
            settled => return settled,
        }
    }
}
