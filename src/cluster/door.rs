//! Where a process listens: who knocks says in its first words what it wants, or is turned away.

use super::frame::{self, GREETING_MAX};
use super::{Hello, sockets};
use serde::{Deserialize, Serialize};
use std::io::{Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What everybody says first who is one of us.
const MAGIC: [u8; 8] = *b"deltamrt";
/// For so long the first words are waited for.
const GREETING: Duration = Duration::from_secs(5);

/// What somebody wants.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Wants {
    /// To compute with the one that leads.
    Link(Hello),
    /// To connect its workers with ours, in the run of this number.
    Mesh { run: u64, process: usize },
}

/// Who has knocked, and was let in.
pub(super) struct Door {
    pub(super) links: Receiver<(TcpStream, Hello)>,
    pub(super) meshes: Receiver<(TcpStream, u64, usize)>,
}

impl Door {
    /// Opens it, for as long as the process is there.
    pub(super) fn open(at: &str, peer_timeout: Duration) -> Result<Door> {
        let listener = TcpListener::bind(at)?;
        let ((to_links, links), (to_meshes, meshes)) = (channel(), channel());
        std::thread::Builder::new().name("door".to_owned()).spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let (to_links, to_meshes) = (to_links.clone(), to_meshes.clone());
                let greeted = move || greet(stream, peer_timeout, &to_links, &to_meshes);
                // One that says nothing holds up nobody else.
                if let Err(error) = std::thread::Builder::new().name("greeting".to_owned()).spawn(greeted) {
                    tracing::warn!("could not start a thread for somebody who connected: {error}");
                }
            }
        })?;
        Ok(Door { links, meshes })
    }
}

fn greet(
    mut stream: TcpStream,
    peer_timeout: Duration,
    links: &Sender<(TcpStream, Hello)>,
    meshes: &Sender<(TcpStream, u64, usize)>,
) {
    let from = stream.peer_addr().map_or_else(|_| "somebody".to_owned(), |from| from.to_string());
    match heard(&mut stream, peer_timeout) {
        Ok(Wants::Link(hello)) => drop(links.send((stream, hello))),
        Ok(Wants::Mesh { run, process }) => drop(meshes.send((stream, run, process))),
        Err(why) => tracing::info!("{from} is none of us, and was turned away: {why}"),
    }
}

fn heard(stream: &mut TcpStream, peer_timeout: Duration) -> Result<Wants> {
    stream.set_read_timeout(Some(GREETING))?;
    let mut magic = [0; MAGIC.len()];
    std::io::Read::read_exact(stream, &mut magic)?;
    if magic != MAGIC {
        return Err(std::io::Error::other("it does not speak as we do"));
    }
    let wants = frame::read(stream, GREETING_MAX)?;
    stream.set_read_timeout(None)?;
    sockets::prepare(stream, peer_timeout)?;
    Ok(wants)
}

/// Knocks at another process' door.
pub(super) fn knock(at: &str, wants: &Wants, peer_timeout: Duration) -> Result<TcpStream> {
    let mut stream = sockets::connect(at, GREETING)?;
    sockets::prepare(&stream, peer_timeout)?;
    stream.write_all(&MAGIC)?;
    frame::write(&mut stream, wants)?;
    Ok(stream)
}
