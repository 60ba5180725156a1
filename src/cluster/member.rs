//! The side of a process that does not lead.

use super::door::{Door, knock};
use super::frame::{self, MESSAGE_MAX};
use super::greeting::Wants;
use super::{BEAT, Company, Hello, ToLeader, ToMember, build, mesh, silence};
use crate::engine::{self, Mesh, Options, Plan, Said, Words, when_a_socket_is_lost};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Acquire;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Between two attempts to reach the process that leads.
const PAUSE: Duration = Duration::from_millis(500);

/// Computes with the process that leads for as long as that has runs; `says` is told what happens. An error is why this
/// process ends: everybody does.
///
/// # Errors
/// If the others do not come together, one is gone, or the run fails.
pub fn follow(company: &Company, options: &Options, stop: &Arc<AtomicBool>, says: impl Fn(&str)) -> Result<(), String> {
    let Company { hosts, process, .. } = company;
    let door = Door::open(company)?;
    loop {
        says(&format!("process {process} of {}: waits for process 0 at {}", hosts.len(), hosts[0]));
        let (mut link, run, plan) = meet(company, stop)?;
        let until = Instant::now() + company.meet_timeout;
        let lost = |error: &std::io::Error| format!("process 0 ({}) is gone: {}", hosts[0], silence(error));
        let Ok(connected) = mesh::connect(company, &door, run, until) else { continue };
        frame::write(&mut link, &ToLeader::Ready).map_err(|error| lost(&error))?;
        link.set_read_timeout(Some(company.meet_timeout)).map_err(|error| lost(&error))?;
        match frame::read(&mut link, MESSAGE_MAX) {
            Ok(ToMember::Go) => {}
            // Somebody was lost before it had begun: all meet again.
            Ok(
                ToMember::Refused(_) | ToMember::Plan(..) | ToMember::Beat | ToMember::Gone(_) | ToMember::Ended { .. },
            )
            | Err(_) => continue,
        }
        says(&format!("process {process} of {}: computes", hosts.len()));
        match compute(company, link, &plan, connected, (options, stop))? {
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
fn meet(company: &Company, stop: &AtomicBool) -> Result<(TcpStream, u64, Box<Plan>), String> {
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
                    Ok(ToMember::Plan(run, plan)) => return Ok((link, run, plan)),
                    Ok(ToMember::Refused(why)) => why,
                    Ok(ToMember::Go | ToMember::Beat | ToMember::Gone(_) | ToMember::Ended { .. }) => {
                        "it speaks of a run that it has not told us of".to_owned()
                    }
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
    (options, stop): (&Options, &Arc<AtomicBool>),
) -> Result<Ending, String> {
    let Company { hosts, process, workers, peer_timeout, .. } = company.clone();
    let (to_heard, heard) = channel();
    let (to_link, said) = engine::link();
    let mesh = Mesh::over(connected, process, workers).map_err(|error| error.to_string())?;
    let writes = link.try_clone().map_err(|error| error.to_string())?;
    link.set_read_timeout(Some(peer_timeout)).map_err(|error| error.to_string())?;
    let stop = Arc::clone(stop);
    start("link", move || speak(writes, &said, &stop))?;
    let (told, names) = (to_heard.clone(), hosts.clone());
    when_a_socket_is_lost(move |process| {
        let why = format!("process {process} ({}) is gone: the connection to its workers is lost", names[process]);
        told.send(Heard::Gone(why)).ok();
    });
    let (told, host) = (to_heard.clone(), hosts[0].clone());
    start("link", move || listen(link, &host, &told))?;
    let (plan, options) = (plan.clone(), options.clone());
    start("computes", move || {
        let computed = engine::follow(&plan, process, options, to_link, mesh);
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

/// Says what the workers say, and that we are there, until nobody has anything to say.
fn speak(mut link: TcpStream, said: &Words, stop: &AtomicBool) {
    let mut asked = false;
    loop {
        let message = match said.within(BEAT) {
            Ok(said) => ToLeader::Said(said),
            Err(RecvTimeoutError::Timeout) => ToLeader::Beat,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(BEAT);
                ToLeader::Beat
            }
        };
        let asks = stop.load(Acquire) && !std::mem::replace(&mut asked, stop.load(Acquire));
        let asks = asks.then_some(ToLeader::Said(Said::Stop));
        // Whoever listens to this link says that it is gone.
        if [Some(message), asks].into_iter().flatten().any(|message| frame::write(&mut link, &message).is_err()) {
            return;
        }
    }
}

/// Hears the process that leads.
fn listen(mut link: TcpStream, host: &str, heard: &Sender<Heard>) {
    let last = loop {
        match frame::read(&mut link, MESSAGE_MAX) {
            Ok(ToMember::Beat) => {}
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
