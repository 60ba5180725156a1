//! The sockets between all processes, over which their workers send to each other.

use super::Company;
use super::door::{Door, knock};
use super::greeting::Wants;
use std::io::{Error, ErrorKind, Result};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket to each other process, in their order: we knock at those before us, and those after us knock. One of another
/// run is turned away.
pub(super) fn connect(company: &Company, door: &Door, run: u64, until: Instant) -> Result<Vec<Option<TcpStream>>> {
    let Company { hosts, process, .. } = company;
    let mut sockets: Vec<Option<TcpStream>> = hosts.iter().map(|_| None).collect();
    for (peer, host) in hosts.iter().enumerate().take(*process) {
        let wants = Wants::Mesh { run, process: *process };
        sockets[peer] = Some(loop {
            match knock(host, &wants, company) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(error) => return Err(error),
            }
        });
    }
    let is_missing = |(peer, socket): (usize, &Option<TcpStream>)| peer > *process && socket.is_none();
    while sockets.iter().enumerate().any(is_missing) {
        let knocked = door.meshes().pop(until);
        let (stream, of, peer) = knocked.ok_or_else(|| Error::new(ErrorKind::TimedOut, "not all have connected"))?;
        if of == run && peer > *process && peer < hosts.len() {
            sockets[peer] = Some(stream);
        }
    }
    Ok(sockets)
}
