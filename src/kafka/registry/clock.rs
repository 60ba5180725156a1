//! The time by which a registry is asked: the machine's, or one that a test passes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

type Now = dyn Fn() -> Duration + Send + Sync;
type Pass = dyn Fn(Duration) + Send + Sync;

/// A clock, and how long an answer may take.
#[derive(Clone)]
pub struct Clock {
    now: Arc<Now>,
    /// Lets so much time pass, where it passes by itself only if nothing happens.
    pass: Option<Arc<Pass>>,
    pub(super) patience: Duration,
}

impl Default for Clock {
    fn default() -> Clock {
        let started = Instant::now();
        Clock { now: Arc::new(move || started.elapsed()), pass: None, patience: PATIENCE }
    }
}

impl Clock {
    /// A clock that stands still while answers are under way, and is passed on where nothing happens until then.
    pub fn simulated(
        now: impl Fn() -> Duration + Send + Sync + 'static,
        pass: impl Fn(Duration) + Send + Sync + 'static,
        patience: Duration,
    ) -> Clock {
        Clock { now: Arc::new(now), pass: Some(Arc::new(pass)), patience }
    }

    /// The time since some beginning.
    pub(super) fn now(&self) -> Duration {
        (self.now)()
    }

    /// What is heard, at most after `patience`, if there is any; `busy`: something is under way.
    pub(super) fn hear<T>(&self, inbox: &Receiver<T>, patience: Option<Duration>, busy: bool) -> Heard<T> {
        let heard = match (patience, &self.pass) {
            (None, _) => return inbox.recv().map_or(Heard::NoMore, Heard::This),
            (Some(_), Some(_)) if busy => return inbox.recv().map_or(Heard::NoMore, Heard::This),
            (Some(patience), Some(pass)) => match inbox.try_recv() {
                Ok(heard) => return Heard::This(heard),
                Err(_) => {
                    pass(patience);
                    return Heard::Nothing;
                }
            },
            (Some(patience), None) => inbox.recv_timeout(patience),
        };
        match heard {
            Ok(heard) => Heard::This(heard),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::NoMore,
        }
    }
}

/// What came of listening.
pub(super) enum Heard<T> {
    This(T),
    Nothing,
    NoMore,
}
