//! Where a process listens: who knocks is one of us and says what it wants, or is turned away.
//!
//! Anybody can knock. So few are greeted at a time, each for a few seconds; when one more comes, the one that has taken longest
//! is turned away for it. Those who are let in wait until somebody asks for them, and of too many the oldest is forgotten.

use super::greeting::{self, Turned, Wants};
use super::queue::Queue;
use super::{Company, Hello, Secret, sockets};
use crate::outage;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::{Error, Result};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// So many are greeted at a time, each by a thread.
const GREETED_MAX: usize = 16;
/// A process knocks once or twice; so often as much is held.
const HELD_EACH: usize = 8;
/// For so long nobody is let in after the system did not.
const PAUSE: Duration = Duration::from_millis(100);
/// For so long an answer to a knock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who has knocked, and was let in.
pub(super) struct Door {
    let_in: Arc<LetIn>,
}

struct LetIn {
    links: Queue<(TcpStream, Hello)>,
    meshes: Queue<(TcpStream, u64, usize)>,
    secret: Secret,
    peer_timeout: Duration,
}

impl Door {
    /// Opens it, for as long as the process is there.
    pub(super) fn open(company: &Company) -> std::result::Result<Door, String> {
        let at = company.listens_at();
        let failed = |error: Error| format!("could not listen at `{at}` for the other processes: {error}");
        let listener = TcpListener::bind(at).map_err(failed)?;
        let most = HELD_EACH * company.hosts.len();
        let let_in = Arc::new(LetIn {
            links: Queue::of_at_most(most),
            meshes: Queue::of_at_most(most),
            secret: company.secret.clone(),
            peer_timeout: company.peer_timeout,
        });
        let (opens, greeted) = (Arc::clone(&let_in), Arc::<Greeted>::default());
        let body = move || {
            for stream in listener.incoming() {
                let started = stream.and_then(|stream| greeted.begin(stream, &opens));
                if let Err(error) = started {
                    outage::say(
                        "the port",
                        &format!("somebody who connected was not heard: {error}"),
                        "they may try again",
                    );
                    std::thread::sleep(PAUSE);
                }
            }
        };
        std::thread::Builder::new().name("door".to_owned()).spawn(body).map_err(failed)?;
        Ok(Door { let_in })
    }

    /// Who wants to compute with the one that leads.
    pub(super) fn links(&self) -> &Queue<(TcpStream, Hello)> {
        &self.let_in.links
    }

    /// Who wants to connect its workers with ours: in which run, and which process it is.
    pub(super) fn meshes(&self) -> &Queue<(TcpStream, u64, usize)> {
        &self.let_in.meshes
    }
}

impl LetIn {
    fn greet(&self, mut stream: TcpStream) {
        let from = stream.peer_addr().map_or_else(|_| "somebody".to_owned(), |from| from.ip().to_string());
        let wants = greeting::open(&mut stream, &self.secret);
        let wants = wants.and_then(|wants| Ok(sockets::prepare(&stream, self.peer_timeout).map(|()| wants)?));
        match wants {
            Ok(Wants::Link(hello)) => self.links.push((stream, hello)),
            Ok(Wants::Mesh { run, process }) => self.meshes.push((stream, run, process)),
            Err(Turned::Stranger(why)) => tracing::info!("{from} is none of us, and was turned away: {why}"),
            Err(Turned::Secret) => {
                let why = format!("a process at {from} has another secret than this process (`cluster.secret`)");
                outage::say("cluster.secret", &why, "it was turned away");
            }
        }
    }
}

/// Those who are being greeted, the oldest first.
#[derive(Default)]
struct Greeted {
    all: Mutex<All>,
    gone: Condvar,
}

#[derive(Default)]
struct All {
    next: u64,
    streams: VecDeque<(u64, TcpStream)>,
}

impl Greeted {
    /// Greets one by a thread of its own.
    fn begin(self: &Arc<Self>, stream: TcpStream, opens: &Arc<LetIn>) -> Result<()> {
        let mut all = self.all.lock();
        while all.streams.len() >= GREETED_MAX {
            // Its thread hears the end of it at once.
            all.streams.front().map(|(_, oldest)| oldest.shutdown(Shutdown::Both).ok());
            self.gone.wait(&mut all);
        }
        all.next += 1;
        let number = all.next;
        all.streams.push_back((number, stream.try_clone()?));
        drop(all);
        let (greeted, opens) = (Arc::clone(self), Arc::clone(opens));
        let body = move || {
            opens.greet(stream);
            greeted.end(number);
        };
        let started = std::thread::Builder::new().name("greeting".to_owned()).spawn(body);
        started.map(drop).inspect_err(|_| self.end(number))
    }

    fn end(&self, number: u64) {
        self.all.lock().streams.retain(|(other, _)| *other != number);
        self.gone.notify_one();
    }
}

/// Knocks at another process' door.
pub(super) fn knock(at: &str, wants: &Wants, company: &Company) -> Result<TcpStream> {
    let mut stream = sockets::connect(at, PATIENCE)?;
    sockets::prepare(&stream, company.peer_timeout)?;
    greeting::knock(&mut stream, wants, &company.secret)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Instant;

    fn company(at: &str) -> Company {
        Company {
            hosts: vec![at.to_owned()],
            process: 0,
            workers: 1,
            listen: String::new(),
            secret: Secret::default(),
            settings: 0,
            peer_timeout: Duration::from_secs(10),
            meet_timeout: Duration::from_secs(10),
            slow_after: Duration::from_secs(10),
        }
    }

    #[test]
    fn however_many_say_nothing_one_of_us_is_let_in() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").to_string();
        let company = company(&free);
        let door = Door::open(&company).expect("listens");
        let connect = || TcpStream::connect(&free).expect("it listens");
        let mut silent: Vec<_> = (0..3 * GREETED_MAX).map(|_| connect()).collect();
        let _held = knock(&free, &Wants::Mesh { run: 1, process: 3 }, &company).expect("welcome");
        let (_stream, run, process) = door.meshes().pop(Instant::now() + PATIENCE).expect("let in");
        assert_eq!((run, process), (1, 3));
        // The first of those who say nothing were turned away for those who came after them.
        let ended = silent[0].read(&mut [0]);
        assert!(ended.as_ref().map_or_else(|why| why.kind() == std::io::ErrorKind::ConnectionReset, |read| *read == 0));
    }
}
