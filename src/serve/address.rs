//! A port to listen on.

use super::ServeError;
use crate::config::serve::Address;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Where programs look first; then, where somebody has that one, the next. Neighbours of 8080 are those of others: 8081 is the
/// registry's.
const PORTS: [u16; 11] = [8080, 8090, 8091, 8092, 8093, 8094, 8095, 8096, 8097, 8098, 8099];

/// The usual ports, for people.
pub(super) fn usual() -> String {
    format!("127.0.0.1:{} and {} to {}", PORTS[0], PORTS[1], PORTS[PORTS.len() - 1])
}

/// Listens: nothing where by default no port is free.
///
/// # Errors
/// If the address that was named cannot be had.
pub(super) fn bind(place: Address) -> Result<Option<(TcpListener, SocketAddr)>, ServeError> {
    match place {
        Address::Off => Ok(None),
        Address::Auto => Ok(PORTS.iter().find_map(|port| listen((Ipv4Addr::LOCALHOST, *port).into()).ok())),
        Address::At(at) => listen(at).map(Some).map_err(|error| {
            let why = match error.kind() == ErrorKind::AddrInUse {
                true => "another program has this address; name another one, or end that".to_owned(),
                false => error.to_string(),
            };
            ServeError::Failed(format!("could not serve at {at} (`--serve`): {why}"))
        }),
    }
}

fn listen(at: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    Ok((listener, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_is_refused_and_a_default_is_another_one() {
        let (taken, at) = bind(Address::At((Ipv4Addr::LOCALHOST, 0).into())).expect("any port").expect("served");
        let error = bind(Address::At(at)).expect_err("taken").to_string();
        assert!(error.contains(&at.to_string()) && error.contains("another program has this address"), "{error}");
        drop(taken);
        let (first, second) = (bind(Address::Auto).expect("no error"), bind(Address::Auto).expect("no error"));
        // Where other programs have all of them, there is none, and that is no error.
        let ports: Vec<_> = first.iter().chain(&second).map(|(_, at)| at.port()).collect();
        assert!(ports.iter().all(|port| PORTS.contains(port)) && ports.first() != ports.get(1), "{ports:?}");
        assert!(bind(Address::Off).expect("no error").is_none());
    }
}
