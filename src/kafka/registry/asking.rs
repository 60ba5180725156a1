//! The thread that asks: it says what is due, others ask, and tell it what came of it.

use super::book::{Book, Next, Outcome};
use super::client::{Answer, Client};
use super::clock::{Clock, Heard};
use crate::decode::avro::Schemas;
use crate::outage::{self, Outage};
use crate::source::Trouble;
use crate::state_dir::StateDir;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// What the thread hears.
pub(super) enum Told {
    /// There is something to ask.
    Look,
    /// What came of a question, and whether that was only to compare with.
    Answered(u32, Outcome, bool),
    /// Nobody wants to know any more.
    Stop,
}

/// What those who ask need.
#[derive(Clone)]
pub(super) struct Asking {
    pub client: Client,
    pub schemas: Schemas,
    pub keep: Option<StateDir>,
    pub book: Arc<Mutex<Book>>,
    pub clock: Clock,
    pub told: Sender<Told>,
    pub trouble: Arc<Mutex<Option<Trouble>>>,
}

/// The schemas that are missed, and what was said of that.
#[derive(Default)]
struct Misses {
    outage: Outage,
    /// Those that the registry gave no answer about.
    ids: BTreeSet<u32>,
}

impl Misses {
    /// Takes in what came of a question; what is to be said, if anything.
    fn note(&mut self, url: &str, id: u32, outcome: &Outcome, now: Duration) -> Option<String> {
        match outcome {
            Outcome::Unclear(why) | Outcome::Unkept(why) => {
                self.ids.insert(id);
                self.outage.fails(why, now).map(|why| format!("{why}; trying again"))
            }
            Outcome::There | Outcome::Absent => {
                // While it gives others and not this one, nothing is over.
                (self.ids.remove(&id) && self.ids.is_empty())
                    .then(|| self.outage.is_over(now))
                    .flatten()
                    .map(|lasted| outage::over(&format!("registry {url}"), &lasted))
            }
        }
    }
}

impl Asking {
    /// Asks until it is told to stop.
    pub fn run(&self, inbox: &Receiver<Told>) {
        let mut misses = Misses::default();
        loop {
            let now = self.clock.now();
            let (next, busy) = {
                let mut book = self.book();
                (book.next(now), book.is_busy())
            };
            let patience = match next {
                Next::Ask(id) => {
                    self.ask(id, false);
                    continue;
                }
                Next::Control(id) => {
                    self.ask(id, true);
                    continue;
                }
                Next::Wait(patience) => patience,
            };
            match self.clock.hear(inbox, patience, busy) {
                Heard::This(Told::Answered(id, outcome, control)) => {
                    let now = self.clock.now();
                    self.note(&outcome, control);
                    if let Some(said) = misses.note(&self.client.url, id, &outcome, now) {
                        tracing::warn!("{said}");
                    }
                    let mut book = self.book();
                    match control {
                        true => book.compared(id, outcome, now),
                        false => book.answered(id, outcome, now),
                    }
                }
                Heard::This(Told::Look) | Heard::Nothing => {}
                Heard::This(Told::Stop) | Heard::NoMore => return,
            }
        }
    }

    /// Keeps what it says instead of an answer. What is only asked to compare with is not asked again.
    fn note(&self, outcome: &Outcome, control: bool) {
        let mut trouble = self.trouble.lock();
        *trouble = match outcome {
            Outcome::Unclear(_) if control => return,
            Outcome::Unclear(why) => Some(Trouble::with(trouble.take(), "registry", why.clone())),
            Outcome::There | Outcome::Absent | Outcome::Unkept(_) => None,
        };
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock()
    }

    fn ask(&self, id: u32, control: bool) {
        let asking = self.clone();
        let asks = move || {
            let outcome = asking.outcome(id, control);
            // Its thread may be gone already: then nobody wants to know.
            asking.told.send(Told::Answered(id, outcome, control)).ok();
        };
        if let Err(error) = std::thread::Builder::new().name("registry answer".to_owned()).spawn(asks) {
            let why = format!("registry {}: could not start a thread to ask it: {error}", self.client.url);
            self.told.send(Told::Answered(id, Outcome::Unclear(why), control)).ok();
        }
    }

    fn outcome(&self, id: u32, control: bool) -> Outcome {
        match self.client.fetch(id) {
            Answer::Absent => Outcome::Absent,
            Answer::Unclear(why) => Outcome::Unclear(why),
            _ if control => Outcome::There,
            Answer::Useless(why) => {
                self.schemas.insert(id, Err(why));
                Outcome::There
            }
            Answer::Found(writer, kept) => {
                // Before anything can be read by it, and so before that is journaled.
                if let Some(Err(error)) = self.keep.as_ref().map(|dir| dir.keep_schema(&kept)) {
                    return Outcome::Unkept(format!("schema {id} could not be kept: {error}"));
                }
                self.schemas.insert(id, Ok(*writer));
                Outcome::There
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_is_away_is_said_once_a_minute_and_that_it_answers_once() {
        let (mut misses, at) = (Misses::default(), Duration::from_secs);
        let away = Outcome::Unclear("registry http://r: connection refused; could not fetch schema 7".to_owned());
        let mut note = |id, outcome: &Outcome, second| misses.note("http://r", id, outcome, at(second));
        let said = "registry http://r: connection refused; could not fetch schema 7; trying again";
        assert_eq!(note(7, &away, 0).as_deref(), Some(said));
        assert_eq!(note(8, &away, 1), None);
        assert_eq!(note(7, &Outcome::There, 2), None, "8 is still missed");
        assert_eq!(note(9, &Outcome::Absent, 3), None);
        let still = "still: registry http://r: connection refused; could not fetch schema 7, for 1 min; trying again";
        assert_eq!(note(8, &away, 61).as_deref(), Some(still));
        assert_eq!(note(8, &Outcome::There, 62).as_deref(), Some("registry http://r answers again, after 1 min"));
    }
}
