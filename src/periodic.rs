//! What is done now and then, beside everything else.

use std::ops::ControlFlow;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a thread that was told to end is asked whether it has.
const ASKED: Duration = Duration::from_millis(2);

/// Why it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// It is time, or it was asked for.
    Due,
    /// For the last time: it was told to end.
    Last,
}

/// A thread that does something every so often. Dropped, it does it once more, and ends; nobody waits for that.
#[derive(Debug)]
pub struct Periodic {
    asks: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Periodic {
    /// Does it every so often, the first time after one such span, until it breaks off or is told to end.
    pub fn start(every: Duration, mut round: impl FnMut(Round) -> ControlFlow<()> + Send + 'static) -> Periodic {
        let (asks, asked) = channel();
        let thread = std::thread::spawn(move || {
            loop {
                let why = match asked.recv_timeout(every) {
                    Ok(()) | Err(RecvTimeoutError::Timeout) => Round::Due,
                    Err(RecvTimeoutError::Disconnected) => Round::Last,
                };
                if round(why).is_break() || why == Round::Last {
                    return;
                }
            }
        });
        Periodic { asks: Some(asks), thread: Some(thread) }
    }

    /// Does it now.
    pub fn now(&self) {
        if let Some(asks) = &self.asks {
            asks.send(()).ok();
        }
    }

    /// Tells it to end, and waits until it has; what is done meanwhile may hurry it.
    pub fn end(&mut self, mut meanwhile: impl FnMut()) {
        drop(self.asks.take());
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() {
            meanwhile();
            std::thread::sleep(ASKED);
        }
        thread.join().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);

    /// Notes its rounds, and breaks off with the n-th.
    fn noted(every: Duration, breaks_off: usize) -> (Periodic, std::sync::mpsc::Receiver<Round>) {
        let (notes, rounds) = channel();
        let mut count = 0;
        let periodic = Periodic::start(every, move |round| {
            notes.send(round).expect("somebody listens");
            count += 1;
            if count == breaks_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (periodic, rounds)
    }

    #[test]
    fn it_is_done_when_it_is_time_when_it_is_asked_for_and_once_more() {
        let (mut periodic, rounds) = noted(Duration::from_millis(1), 0);
        assert_eq!(rounds.recv(), Ok(Round::Due));
        periodic.end(|| ());
        assert_eq!(rounds.iter().last(), Some(Round::Last));
        let (mut periodic, rounds) = noted(NEVER, 0);
        periodic.now();
        assert_eq!(rounds.recv(), Ok(Round::Due));
        periodic.end(|| ());
        assert_eq!(rounds.iter().collect::<Vec<_>>(), [Round::Last]);
    }

    #[test]
    fn who_breaks_off_is_not_asked_again() {
        let (mut periodic, rounds) = noted(NEVER, 1);
        periodic.now();
        assert_eq!(rounds.iter().collect::<Vec<_>>(), [Round::Due]);
        periodic.now();
        periodic.end(|| ());
        let (periodic, rounds) = noted(NEVER, 0);
        drop(periodic);
        assert_eq!(rounds.iter().collect::<Vec<_>>(), [Round::Last]);
    }
}
