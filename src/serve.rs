//! The page, the API and the metrics, over HTTP: while a run works, or of a warehouse that no run writes to.
//!
//! One thread, `http`, with a runtime of its own. The pipeline never waits for it: what it shows are counters that are there
//! anyway, and the tables, which are read from the file like by any other program, each answer within one commit.
//!
//! **Who is answered.** Only reading requests, from this machine unless a token is set (`guard`). A request without an end, a
//! body, too many connections, and a table that takes too long have bounds. What is wrong with a request is said in JSON,
//! `{"error": "..."}`, and a bug in here ends an answer, never the run.

mod address;
mod answer;
mod cells;
mod deltas;
mod guard;
mod health;
mod kept;
mod listen;
mod live;
pub mod metrics;
mod page;
mod patient;
mod query;
mod reading;
mod rows;
mod samples;
mod shape;
mod status;
mod tables;
mod told;

use crate::config::Config;
use crate::config::secret;
use crate::config::serve::Address;
use crate::instant;
use crate::stats::Stats;
use crate::tap::Tap;
use dataflows::Instant;
use deltas::Written;
use kept::Kept;
use parking_lot::Mutex;
use reading::Readers;
use samples::Samples;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Acquire;
use std::thread::JoinHandle;
use std::time::Duration;
use tables::Told;
use tokio::sync::watch;

/// The name of the thread, and of those that read tables for it.
pub const THREAD: &str = "http";

/// How long the end of a run waits for what is being sent.
const ENDS_WITHIN: Duration = Duration::from_millis(250);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What is set cannot be done.
    #[error("{0}")]
    Refused(String),
    /// The system did not let us.
    #[error("{0}")]
    Failed(String),
}

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A run, in this process.
    Run,
    /// A warehouse.
    Warehouse,
}

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Whose rows.
    pub pipeline_id: String,
    /// Which start.
    pub generation: u64,
}

/// What all answers are made of.
struct Served {
    config: Config,
    mode: Mode,
    token: Option<String>,
    started_ms: Instant,
    /// A stop was asked.
    stop: Arc<AtomicBool>,
    of_run: Mutex<OfRun>,
    samples: Mutex<Samples>,
    readers: Readers,
    tables: Told,
    kept: Kept,
    /// What is committed, of a run.
    tap: Option<Arc<Tap>>,
    written: Written,
}

/// What is known of the run.
#[derive(Clone, Default)]
struct OfRun {
    stats: Arc<Stats>,
    /// Nothing until it has begun.
    start: Option<Start>,
    has_ended: bool,
}

impl Served {
    fn of_run(&self) -> OfRun {
        self.of_run.lock().clone()
    }

    fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.of_run.lock().stats)
    }

    /// What is going on, in a word.
    fn state(&self) -> &'static str {
        let of_run = self.of_run.lock();
        match self.mode {
            Mode::Warehouse => "reading",
            Mode::Run if of_run.has_ended => "ended",
            Mode::Run if self.stop.load(Acquire) => "ending",
            Mode::Run if of_run.start.is_none() => "starting",
            Mode::Run => "running",
        }
    }
}

/// Waits until the server ends.
async fn over(ended: &mut watch::Receiver<bool>) {
    // If nobody can say so any more, it has.
    ended.wait_for(|ended| *ended).await.map(drop).ok();
}

/// The server. Dropped, it tells those who look on that it ends, and does.
pub struct Server {
    served: Arc<Served>,
    at: SocketAddr,
    ends: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve; nothing where the settings say so, or where by default no port is free.
    ///
    /// # Errors
    /// If the address that is set cannot be had, or its token.
    pub fn start(config: &Config, mode: Mode, stop: &Arc<AtomicBool>) -> Result<Option<Server>, ServeError> {
        let place = config.serve.place().unwrap_or(Address::Off);
        let place = if mode == Mode::Warehouse && place == Address::Off { Address::Auto } else { place };
        if place == Address::Off {
            return Ok(None);
        }
        let refused = |why: String| ServeError::Refused(format!("setting `serve.token`: {why}"));
        let token = Some(&config.serve.token).filter(|token| !token.is_empty());
        let token = token.map(|token| secret::fetch(token)).transpose().map_err(refused)?;
        if token.as_ref().is_some_and(|token| token.trim().is_empty()) {
            return Err(refused("is empty where it is found".to_owned()));
        }
        let Some((listener, at)) = address::bind(place)? else {
            tracing::warn!(
                "the page is not served: {} are taken; name a free address (`--serve ADDR`)",
                address::usual()
            );
            return Ok(None);
        };
        let served = Arc::new(Served {
            config: config.clone(),
            mode,
            token,
            started_ms: instant::now(),
            stop: Arc::clone(stop),
            of_run: Mutex::default(),
            samples: Mutex::default(),
            readers: Readers::default(),
            tables: Told::default(),
            kept: Kept::default(),
            tap: (mode == Mode::Run).then(|| Arc::new(Tap::keeping(config.serve.delta_bytes))),
            written: Written::default(),
        });
        let (ends, ended) = watch::channel(false);
        let thread = listen::start(listener, Arc::clone(&served), ended);
        let thread = thread.map_err(|error| ServeError::Failed(format!("could not serve {at}: {error}")))?;
        Ok(Some(Server { served, at, ends, thread: Some(thread) }))
    }

    /// Where: `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// From now on a run counts here, which has not begun yet.
    pub fn shows(&self, stats: &Arc<Stats>) {
        *self.served.of_run.lock() = OfRun { stats: Arc::clone(stats), ..OfRun::default() };
    }

    /// Where what is committed is told; nothing where no run is served.
    pub fn tap(&self) -> Option<&Arc<Tap>> {
        self.served.tap.as_ref()
    }

    /// The run has begun.
    pub fn began(&self, start: Start) {
        self.served.of_run.lock().start = Some(start);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.served.of_run.lock().has_ended = true;
        self.ends.send_replace(true);
        let Some(thread) = self.thread.take() else { return };
        let until = std::time::Instant::now() + ENDS_WITHIN;
        // One that reads slowly is not waited for.
        while !thread.is_finished() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
