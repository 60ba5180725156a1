//! A run of several processes: timely's part of it goes over sockets that were opened for it.

use super::follow::{self, Joining, Plan, Threads};
use super::hearing::Hearing;
use super::intake::Elsewhere;
use super::lead::{Leader, WhenGone};
use super::said::Link;
use super::{Ended, EngineError, Job, worker, worker_config};
use crate::commit::ToWriter;
use parking_lot::Mutex;
use std::any::Any;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks};

/// Memory that the threads of a socket keep, in pieces of a megabyte; without a bound what one large message took stays.
const SLABS_MAX: usize = 4;
/// So long a process that ends may take to say so.
const WORD: Duration = Duration::from_secs(1);

/// The workers of this process, connected to those of all others.
pub struct Mesh {
    builders: Vec<AllocatorBuilder>,
    guard: Box<dyn Any + Send>,
}

impl Mesh {
    /// Over one socket to each other process, in their order; none stands at our own place. Whoever has sockets read has
    /// threads that cannot be called back.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn over(sockets: Vec<Option<TcpStream>>, process: usize, workers: usize) -> std::io::Result<Mesh> {
        let mut hooks = Hooks::default();
        hooks.refill.limit = Some(SLABS_MAX);
        let local = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), None);
        let (builders, guard) = initialize_networking_from_sockets(local, sockets, process, workers, hooks)?;
        Ok(Mesh { builders: builders.into_iter().map(AllocatorBuilder::Tcp).collect(), guard: Box::new(guard) })
    }
}

type Lost = Box<dyn Fn(usize) + Send>;

/// Who is told that a socket to another process is lost.
static LOST: Mutex<Option<Lost>> = Mutex::new(None);

/// From now on this is called when a socket to another process is lost. It is not called at once: whoever ends says
/// more over its link.
pub fn when_a_socket_is_lost(told: impl Fn(usize) + Send + 'static) {
    *LOST.lock() = Some(Box::new(told));
}

/// The process to which a thread of timely's has a socket, by the name of the thread.
pub(super) fn peer_of(thread: &str) -> Option<usize> {
    thread.strip_prefix("timely:recv-").or_else(|| thread.strip_prefix("timely:send-"))?.parse().ok()
}

/// Where a thread that has lost its socket stays: what it would leave behind would make workers fail, and it is no fault
/// of theirs.
pub(super) fn has_lost(peer: usize) -> ! {
    std::thread::sleep(WORD);
    if let Some(told) = &*LOST.lock() {
        told(peer);
    }
    loop {
        std::thread::park();
    }
}

/// Does a job with so many processes, this one with them, of which others read `elsewhere`; `meet` tells the others the plan, has
/// them heard, and connects all workers.
///
/// # Errors
/// If they do not come together, a source, a sink or the state fails for good, or a process is gone.
pub fn lead(
    job: Job,
    elsewhere: Vec<Elsewhere>,
    processes: usize,
    meet: impl FnOnce(&Plan, Vec<Hearing>) -> Result<Mesh, EngineError>,
) -> Result<Ended, EngineError> {
    let mut leader = Leader::new(job, elsewhere, processes)?;
    let hearings = (1..processes).map(|process| leader.hearing(process)).collect();
    let Mesh { builders, guard } = meet(&leader.plan()?, hearings)?;
    let shared = Arc::clone(&leader.shared);
    let guards = timely::execute::execute_from(builders, guard, worker_config(), move |worker| {
        worker::run(worker, &shared);
    });
    leader.run(guards.map_err(EngineError::Thread)?, WhenGone::IsLeft)
}

/// Computes with the process that leads, until it ends the run.
///
/// # Errors
/// If this process cannot go on.
pub fn follow(
    plan: &Plan,
    mut joining: Joining,
    (link, rows): (Link, (Sender<ToWriter>, Receiver<ToWriter>)),
    Mesh { builders, guard }: Mesh,
) -> Result<(), EngineError> {
    plan.apply_to(&mut joining.options.lanes)?;
    // The thread that writes rows goes on until the run has ended: it ends with those who tell it what to write.
    let (shared, Threads { parts: writer, rows: _ }) = follow::shared(plan, joining, link, rows)?;
    let shared = Arc::new(shared);
    let of_workers = Arc::clone(&shared);
    let guards = timely::execute::execute_from(builders, guard, worker_config(), move |worker| {
        worker::run(worker, &of_workers);
    });
    for joined in guards.map_err(EngineError::Thread)?.join() {
        joined.map_err(EngineError::Thread)?;
    }
    let failure = shared.failure.lock().take();
    // Nobody has anything more to say to the thread that writes, and it ends when it has said the last of it.
    drop(shared);
    if let Some(writer) = writer {
        writer.join().map_err(|_| EngineError::Thread("a thread that writes panicked".to_owned()))?;
    }
    failure.map_or(Ok(()), Err)
}
