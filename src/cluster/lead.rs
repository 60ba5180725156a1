//! The side of the process that leads.

use super::door::Door;
use super::frame::{self, MESSAGE_MAX};
use super::{BEAT, Company, Hello, ToLeader, ToMember, build, mesh, silence};
use crate::commit::ToWriter;
use crate::engine::{EngineError, Hearing, Mesh, Plan, when_a_socket_is_lost};
use crate::stats::processes::Pulses;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// So often it is asked whether to wait any longer.
const LOOK: Duration = Duration::from_millis(50);

/// The processes that have come, and wait to be told what to do.
pub struct Meeting {
    company: Company,
    door: Door,
    /// What was said of whom last, so that it is said once.
    said: BTreeMap<usize, String>,
}

impl Meeting {
    /// Listens for the others.
    ///
    /// # Errors
    /// If nobody can listen there.
    pub fn listen(company: Company) -> Result<Meeting, String> {
        let door = Door::open(&company)?;
        Ok(Meeting { company, door, said: BTreeMap::new() })
    }

    /// How many they are together.
    pub fn processes(&self) -> usize {
        self.company.hosts.len()
    }

    /// Waits until all are there; `stop` tells that nobody need wait any more.
    ///
    /// # Errors
    /// If not all come in time.
    pub fn gather(&mut self, stop: impl Fn() -> bool) -> Result<Gathered, String> {
        let until = Instant::now() + self.company.meet_timeout;
        let ours = Hello::of(&self.company, &build());
        let mut links = BTreeMap::new();
        while links.len() + 1 < self.company.hosts.len() {
            let missing: Vec<_> =
                (1..self.company.hosts.len()).filter(|process| !links.contains_key(process)).collect();
            if stop() {
                return Err("it was stopped before all processes had come".to_owned());
            }
            if Instant::now() >= until {
                return Err(missing_ones(&self.company, &missing, &self.said));
            }
            let Some((mut stream, hello)) = self.door.links().pop(Instant::now() + LOOK) else { continue };
            if let Some(why) = hello.refused(&ours) {
                if self.said.insert(hello.process, why.clone()).as_ref() != Some(&why) {
                    tracing::warn!("{why}: it is waited for");
                }
                frame::write(&mut stream, &ToMember::Refused(why)).ok();
                continue;
            }
            tracing::info!("process {} ({}) has come", hello.process, self.company.hosts[hello.process]);
            // One that came before has started again.
            links.insert(hello.process, stream);
        }
        Ok(Gathered { links: Arc::new(links.into_iter().map(|(process, link)| (process, Mutex::new(link))).collect()) })
    }

    /// Tells all the plan and what they are to read, connects all workers, and has the others heard from then on.
    ///
    /// # Errors
    /// If one of them is lost meanwhile.
    pub fn begin(
        &self,
        gathered: &Gathered,
        run: u64,
        (plan, reads): (&Plan, &str),
        hearings: Vec<Hearing>,
    ) -> Result<Mesh, EngineError> {
        let Company { hosts, workers, peer_timeout, meet_timeout, slow_after, .. } = &self.company;
        let lost = |process: usize, error: std::io::Error| {
            let host = &hosts[process];
            EngineError::Thread(format!("process {process} ({host}) was lost before the run had begun: {error}"))
        };
        for (process, link) in gathered.links.iter() {
            let mut link = link.lock();
            let told = frame::write(&mut *link, &ToMember::Plan(run, Box::new(plan.clone()), reads.to_owned()));
            told.map_err(|error| lost(*process, error))?;
        }
        let until = Instant::now() + *meet_timeout;
        let connected = mesh::connect(&self.company, &self.door, run, until).map_err(|error| lost(0, error))?;
        for (process, link) in gathered.links.iter() {
            let mut link = link.lock();
            link.set_read_timeout(Some(*meet_timeout)).map_err(|error| lost(*process, error))?;
            match frame::read(&mut *link, MESSAGE_MAX) {
                Ok(ToLeader::Ready) => {}
                Ok(ToLeader::Failed(why)) => return Err(EngineError::Member { process: *process, why }),
                Ok(ToLeader::Said(_) | ToLeader::Beat(_)) => {
                    return Err(lost(*process, std::io::Error::other("it spoke before it was ready")));
                }
                Err(error) => return Err(lost(*process, error)),
            }
        }
        gathered.tell(&ToMember::Go);
        let hearings: Vec<_> = hearings.into_iter().map(Arc::new).collect();
        let (all, names) = (hearings.clone(), hosts.clone());
        when_a_socket_is_lost(move |process| {
            all[process - 1].is_gone(&format!("{}: the connection to its workers is lost", names[process]));
        });
        let Some(run) = hearings.first().map(Arc::clone) else {
            return Err(EngineError::Thread("a run of several processes has others".to_owned()));
        };
        run.stats().processes.begin(hosts, *slow_after);
        for (hearing, (process, link)) in hearings.into_iter().zip(gathered.links.iter()) {
            let link = link.lock().try_clone().map_err(|error| lost(*process, error))?;
            link.set_read_timeout(Some(*peer_timeout)).map_err(|error| lost(*process, error))?;
            let host = hosts[*process].clone();
            if let Some(orders) = hearing.orders() {
                let (links, process) = (Arc::downgrade(&gathered.links), *process);
                start("orders", move || pass_on(&orders, &links, process))?;
            }
            start("link", move || listen(link, &hearing, &host))?;
        }
        let beating = Arc::downgrade(&gathered.links);
        start("beat", move || {
            let mut pulses = Pulses::default();
            while let Some(links) = beating.upgrade() {
                let stats = run.stats();
                stats.processes.hear(0, pulses.next(stats));
                stats.processes.look(stats.reached.load(Relaxed));
                let beat = ToMember::Beat { stops: run.is_stopping() };
                links.values().for_each(|link| drop(frame::write(&mut *link.lock(), &beat)));
                drop(links);
                std::thread::sleep(BEAT);
            }
        })?;
        Mesh::over(connected, 0, *workers).map_err(|error| EngineError::Thread(error.to_string()))
    }
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), EngineError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    started.map(drop).map_err(|error| EngineError::Thread(format!("could not start a thread: {error}")))
}

/// Who has not come, and why if that is known.
fn missing_ones(company: &Company, missing: &[usize], said: &BTreeMap<usize, String>) -> String {
    let of = |process: &usize| match said.get(process) {
        Some(why) => why.clone(),
        None => format!("process {process} ({}) has not come", company.hosts[*process]),
    };
    let missing: Vec<_> = missing.iter().map(of).collect();
    format!("the run needs all {} processes: {}", company.hosts.len(), missing.join("; "))
}

/// Hears a process until it has nothing more to say.
fn listen(mut link: TcpStream, hearing: &Hearing, host: &str) {
    let why = loop {
        match frame::read(&mut link, MESSAGE_MAX) {
            Ok(ToLeader::Said(said)) => {
                if let Err(why) = hearing.hear(said) {
                    break why;
                }
            }
            Ok(ToLeader::Beat(pulse)) => hearing.pulse(pulse),
            Ok(ToLeader::Failed(why)) => break why,
            Ok(ToLeader::Ready) => break "it said twice that it is ready".to_owned(),
            Err(error) => break silence(&error),
        }
    };
    // Once all have delivered everything, this is news to nobody.
    hearing.is_gone(&format!("{host}: {why}"));
}

/// Tells a process which epochs make a commit, until no more do.
fn pass_on(orders: &Receiver<ToWriter>, links: &Weak<BTreeMap<usize, Mutex<TcpStream>>>, process: usize) {
    while let Ok(ToWriter::Write(order)) = orders.recv() {
        let Some(links) = links.upgrade() else { return };
        let Some(link) = links.get(&process) else { return };
        // Whoever listens to this link says that it is gone.
        if frame::write(&mut *link.lock(), &ToMember::Write(order)).is_err() {
            return;
        }
    }
}

/// All the others, at their links.
pub struct Gathered {
    links: Arc<BTreeMap<usize, Mutex<TcpStream>>>,
}

impl Gathered {
    fn tell(&self, what: &ToMember) {
        self.links.values().for_each(|link| drop(frame::write(&mut *link.lock(), what)));
    }

    /// The run has ended in order; whether another one begins at once.
    pub fn end(self, again: bool) {
        self.tell(&ToMember::Ended { again });
        self.close();
    }

    /// It has not: everybody ends, and says why.
    pub fn give_up(self, why: &str) {
        self.tell(&ToMember::Gone(why.to_owned()));
        self.close();
    }

    fn close(self) {
        self.links.values().for_each(|link| drop(link.lock().shutdown(Shutdown::Write)));
    }
}
