//! Who may run when: everybody at once, or, to try out every order there is, one thread at a time.
//!
//! The threads of a run (workers, committer, journal, snapshots, sinks) share nothing but channels
//! and counters, so what a run does depends only on who runs when. Where a seed decides that, a run
//! is repeated by repeating its seed: what went wrong once goes wrong again.

use parking_lot::{Condvar, Mutex, MutexGuard};
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// Decides who runs; by default nobody does.
#[derive(Clone, Default)]
pub struct Turns(Option<Arc<Baton>>);

struct Baton {
    ring: Mutex<Ring>,
}

struct Ring {
    /// How many have not joined yet; nobody runs before all have.
    missing: usize,
    waiting: BTreeMap<String, Waiting>,
    running: Option<String>,
    dice: ChaCha8Rng,
}

struct Waiting {
    /// It had nothing to do when it passed: it is asked less often.
    idle: bool,
    called: Arc<Condvar>,
}

/// Of so many turns one goes to anybody, the others to those who may have something to do.
const ANYBODY: u32 = 6;

impl Ring {
    fn next(&mut self) {
        if self.missing > 0 || self.waiting.is_empty() {
            return;
        }
        let anybody = self.dice.random_ratio(1, ANYBODY) || self.waiting.values().all(|waiting| waiting.idle);
        let asked: Vec<_> = self.waiting.iter().filter(|(_, waiting)| anybody || !waiting.idle).collect();
        let (name, _) = asked[self.dice.random_range(0..asked.len())];
        let name = name.clone();
        if let Some(waiting) = self.waiting.remove(&name) {
            waiting.called.notify_one();
        }
        self.running = Some(name);
    }
}

impl Turns {
    /// One at a time, once so many threads have joined, in the order of this seed.
    pub fn one_at_a_time(threads: usize, seed: u64) -> Turns {
        let dice = ChaCha8Rng::seed_from_u64(seed);
        let ring = Ring { missing: threads, waiting: BTreeMap::new(), running: None, dice };
        Turns(Some(Arc::new(Baton { ring: Mutex::new(ring) })))
    }

    /// Joins under a name that nobody else has, and waits for the first turn.
    pub fn join(&self, name: impl Into<String>) -> Turn {
        let turn = Turn { baton: self.0.clone(), name: name.into() };
        if let Some(baton) = &turn.baton {
            let mut ring = baton.lock();
            ring.missing = ring.missing.saturating_sub(1);
            baton.wait(ring, &turn.name, false);
        }
        turn
    }
}

impl Baton {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock()
    }

    fn wait(&self, mut ring: MutexGuard<'_, Ring>, name: &str, idle: bool) {
        let called = Arc::new(Condvar::new());
        ring.waiting.insert(name.to_owned(), Waiting { idle, called: Arc::clone(&called) });
        if ring.running.is_none() {
            ring.next();
        }
        while ring.running.as_deref() != Some(name) {
            called.wait(&mut ring);
        }
    }
}

/// A thread's place among the others; leaves when it is dropped.
pub struct Turn {
    baton: Option<Arc<Baton>>,
    name: String,
}

impl Turn {
    /// Lets another thread run, where one runs at a time; tells whether that is so. Who has nothing to
    /// do for now is asked less often.
    pub fn pass(&self, idle: bool) -> bool {
        let Some(baton) = &self.baton else { return false };
        let mut ring = baton.lock();
        ring.running = None;
        baton.wait(ring, &self.name, idle);
        true
    }

    /// Whether one thread runs at a time: then nothing depends on how long something takes.
    pub fn is_given(&self) -> bool {
        self.baton.is_some()
    }

    /// Waits for a while.
    pub fn sleep(&self, pause: Duration) {
        if !self.pass(true) {
            std::thread::sleep(pause);
        }
    }

    /// The next message, waited for so long.
    ///
    /// # Errors
    /// If there is none, or nobody is left to send one.
    pub fn recv<T>(&self, inbox: &Receiver<T>, patience: Duration) -> Result<T, RecvTimeoutError> {
        if self.baton.is_none() {
            return inbox.recv_timeout(patience);
        }
        self.pass(false);
        inbox.try_recv().map_err(|error| match error {
            TryRecvError::Empty => {
                self.pass(true);
                RecvTimeoutError::Timeout
            }
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// The next message, waited for until nobody is left to send one.
    pub fn recv_patiently<T>(&self, inbox: &Receiver<T>) -> Option<T> {
        loop {
            match self.recv(inbox, Duration::from_secs(3600)) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(baton) = &self.baton {
            let mut ring = baton.lock();
            ring.running = None;
            ring.next();
        }
    }
}
