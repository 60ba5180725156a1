//! The side of a process that does not lead.

use super::door::{Door, knock};
use super::frame::{self, MESSAGE_MAX};
use super::greeting::Wants;
use super::{BEAT, Company, Hello, ToLeader, ToMember, build, mesh, silence};
use crate::commit::ToWriter;
use crate::engine::{self, Joining, Mesh, Plan, Said, Words, when_a_socket_is_lost};
use crate::stats::Stats;
use crate::stats::processes::Pulses;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Between two attempts to reach the process that leads.
const PAUSE: Duration = Duration::from_millis(500);

/// What a process needs that computes with the one that leads.
pub struct Following<'a> {
    /// Opens what it brings along: by the plan, and by what it is to read.
    pub joins: &'a dyn Fn(&Plan, &str) -> Result<Joining, String>,
    /// Set, the run is asked to stop.
    pub stop: &'a Arc<AtomicBool>,
    /// Is told what happens.
    pub says: &'a dyn Fn(&str),
}

/// Computes with the process that leads for as long as that has runs. An error is why this process ends: everybody does.
///
/// # Errors
/// If the others do not come together, one is gone, or the run fails.
pub fn follow(company: &Company, following: &Following) -> Result<(), String> {
    let Following { stop, says, .. } = following;
    let Company { hosts, process, .. } = company;
    let door = Door::open(company)?;
    loop {
        says(&format!("process {process} of {}: waits for process 0 at {}", hosts.len(), hosts[0]));
        let (mut link, run, plan, reads) = meet(company, stop)?;
        let until = Instant::now() + company.meet_timeout;
        let lost = |error: &std::io::Error| format!("process 0 ({}) is gone: {}", hosts[0], silence(error));
        let Ok(connected) = mesh::connect(company, &door, run, until) else { continue };
        let joining = match (following.joins)(&plan, &reads) {
            Ok(joining) => joining,
            Err(why) => {
                frame::write(&mut link, &ToLeader::Failed(why.clone())).map_err(|error| lost(&error))?;
                return Err(why);
            }
        };
        frame::write(&mut link, &ToLeader::Ready).map_err(|error| lost(&error))?;
        link.set_read_timeout(Some(company.meet_timeout)).map_err(|error| lost(&error))?;
        match frame::read(&mut link, MESSAGE_MAX) {
            Ok(ToMember::Go) => {}
            Ok(ToMember::Gone(why)) => return Err(why),
            // Somebody was lost before it had begun: all meet again.
            Ok(
                ToMember::Refused(_)
                | ToMember::Plan(..)
                | ToMember::Beat { .. }
                | ToMember::Write(_)
                | ToMember::Ended { .. },
            )
            | Err(_) => {
                continue;
            }
        }
        says(&format!("process {process} of {}: computes", hosts.len()));
        match compute(company, link, &plan, connected, joining, stop)? {
            Ending::Again => {}
            Ending::Over => return Ok(()),
        }
    }
}

/// How a run ended.
enum Ending {
    Again,
    Over,
}

/// What is heard while it computes.
enum Heard {
    Computed(Result<(), String>),
    Ended(Ending),
    Gone(String),
}

/// Reaches the process that leads, and waits until it says what to do.
fn meet(company: &Company, stop: &AtomicBool) -> Result<(TcpStream, u64, Box<Plan>, String), String> {
    let Company { hosts, meet_timeout, .. } = company;
    let until = Instant::now() + *meet_timeout;
    let hello = Hello::of(company, &build());
    let mut last = String::new();
    while Instant::now() < until {
        if stop.load(Acquire) {
            return Err("it was stopped before a run had begun".to_owned());
        }
        let why = match knock(&hosts[0], &Wants::Link(hello.clone()), company) {
            Err(error) => error.to_string(),
            Ok(mut link) => {
                let left = until.saturating_duration_since(Instant::now()).max(BEAT);
                link.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
                match frame::read(&mut link, MESSAGE_MAX) {
                    Ok(ToMember::Plan(run, plan, reads)) => return Ok((link, run, plan, reads)),
                    Ok(ToMember::Refused(why)) => why,
                    Ok(
                        ToMember::Go
                        | ToMember::Beat { .. }
                        | ToMember::Write(_)
                        | ToMember::Gone(_)
                        | ToMember::Ended { .. },
                    ) => "it speaks of a run that it has not told us of".to_owned(),
                    Err(error) => error.to_string(),
                }
            }
        };
        if last != why {
            tracing::warn!("process 0 ({}): {why}; it is tried again", hosts[0]);
            last = why;
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!("process 0 ({}) has not begun a run with us: {last}", hosts[0]))
}

fn compute(
    company: &Company,
    link: TcpStream,
    plan: &Plan,
    connected: Vec<Option<TcpStream>>,
    joining: Joining,
    stop: &Arc<AtomicBool>,
) -> Result<Ending, String> {
    let Company { hosts, process, workers, peer_timeout, .. } = company.clone();
    let (to_heard, heard) = channel();
    let (to_link, said) = engine::link();
    let mesh = Mesh::over(connected, process, workers).map_err(|error| error.to_string())?;
    let writes = link.try_clone().map_err(|error| error.to_string())?;
    link.set_read_timeout(Some(peer_timeout)).map_err(|error| error.to_string())?;
    let (stop, stats) = (Arc::clone(stop), Arc::clone(&joining.stats));
    start("link", move || speak(writes, &said, &stats, &stop))?;
    let (told, names) = (to_heard.clone(), hosts.clone());
    when_a_socket_is_lost(move |process| {
        let why = format!("process {process} ({}) is gone: the connection to its workers is lost", names[process]);
        told.send(Heard::Gone(why)).ok();
    });
    let (told, host) = (to_heard.clone(), hosts[0].clone());
    let stops = Arc::clone(&joining.stops);
    let (to_writer, orders) = channel();
    let writer = to_writer.clone();
    start("link", move || listen(link, &host, (&stops, &writer), &told))?;
    let plan = plan.clone();
    start("computes", move || {
        let computed = engine::follow(&plan, joining, (to_link, (to_writer, orders)), mesh);
        to_heard.send(Heard::Computed(computed.map_err(|error| error.to_string()))).ok();
    })?;
    let mut failed = None;
    loop {
        match heard.recv() {
            Ok(Heard::Computed(computed)) => failed = computed.err(),
            Ok(Heard::Ended(ending)) => return failed.map_or(Ok(ending), Err),
            Ok(Heard::Gone(why)) => return Err(failed.unwrap_or(why)),
            Err(_) => return Err("nobody is left who computes".to_owned()),
        }
    }
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    started.map(drop).map_err(|error| format!("could not start a thread: {error}"))
}

/// Says what the workers say, and every second how we do, for as long as somebody listens.
fn speak(mut link: TcpStream, said: &Words, stats: &Stats, stop: &AtomicBool) {
    let (mut asked, mut pulses, mut beats) = (false, Pulses::default(), Instant::now());
    loop {
        let left = beats.saturating_duration_since(Instant::now());
        let words = match said.within(left) {
            Ok(said) => {
                // What was counted until then is heard before the end of it.
                if matches!(said, Said::Reached(_, None)) {
                    beats = Instant::now();
                }
                Some(ToLeader::Said(said))
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(left);
                None
            }
        };
        let asks = stop.load(Acquire) && !std::mem::replace(&mut asked, stop.load(Acquire));
        let asks = asks.then_some(ToLeader::Said(Said::Stop));
        let beat = (Instant::now() >= beats).then(|| {
            beats = Instant::now() + BEAT;
            ToLeader::Beat(pulses.next(stats))
        });
        // Whoever listens to this link says that it is gone.
        if [beat, words, asks].into_iter().flatten().any(|message| frame::write(&mut link, &message).is_err()) {
            return;
        }
    }
}

/// Hears the process that leads.
fn listen(mut link: TcpStream, host: &str, (stops, writer): (&AtomicBool, &Sender<ToWriter>), heard: &Sender<Heard>) {
    let last = loop {
        match frame::read(&mut link, MESSAGE_MAX) {
            Ok(ToMember::Beat { stops: all }) => stops.store(all, Release),
            // If its thread is gone, its last word is on its way.
            Ok(ToMember::Write(order)) => drop(writer.send(ToWriter::Write(order))),
            Ok(ToMember::Ended { again: true }) => break Heard::Ended(Ending::Again),
            Ok(ToMember::Ended { again: false }) => break Heard::Ended(Ending::Over),
            Ok(ToMember::Gone(why)) => break Heard::Gone(why),
            Ok(ToMember::Refused(_) | ToMember::Plan(..) | ToMember::Go) => {
                break Heard::Gone(format!("process 0 ({host}) speaks of another run"));
            }
            Err(error) => break Heard::Gone(format!("process 0 ({host}) is gone: {}", silence(&error))),
        }
    };
    heard.send(last).ok();
}
