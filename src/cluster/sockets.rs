//! Sockets that notice when the other side is gone.

use socket2::{SockRef, TcpKeepalive};
use std::io::{Error, ErrorKind, Result};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Connects, and waits for an answer for so long.
pub(super) fn connect(at: &str, patience: Duration) -> Result<TcpStream> {
    let mut last = Error::new(ErrorKind::NotFound, format!("`{at}` has no address"));
    for address in at.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Bytes that are not acknowledged for so long, or a silence in which the other side does not answer, end it: without that
/// a cable that was pulled is never noticed.
pub(super) fn prepare(stream: &TcpStream, peer_timeout: Duration) -> Result<()> {
    stream.set_nodelay(true)?;
    let at_least = |part: Duration| part.max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new()
        .with_time(at_least(peer_timeout / 2))
        .with_interval(at_least(peer_timeout / 6))
        .with_retries(3);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(peer_timeout))
}
