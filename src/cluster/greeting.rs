//! The first words between two processes: each proves to the other that it knows the secret, which is never sent.
//!
//! ```text
//! who knocks                                 who opens
//! MAGIC                                 ->
//!                                       <-   a number that was never used before
//! what it wants, a number of its own,
//! and a proof over all three            ->
//!                                       <-   Welcome, with a proof over all three; or why not
//! ```
//!
//! Of what is said later nothing is proved, and nothing is encrypted: whoever can change what is on its way can still do so.

use super::Hello;
use super::frame::{self, GREETING_MAX};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt::{Debug, Formatter};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What everybody says first who is one of us.
const MAGIC: [u8; 8] = *b"dltmart2";
/// For so long the first words are waited for, all of them together.
const GREETING: Duration = Duration::from_secs(5);
/// A text that is shorter can be guessed by whoever has heard one greeting.
const SECRET_BYTES_MIN: usize = 16;

/// What all processes know, and nobody else does; nothing is a secret that everybody knows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A text that was found.
    ///
    /// # Errors
    /// If it can be guessed.
    pub fn of(text: &str) -> std::result::Result<Secret, String> {
        let text = text.trim();
        if text.len() < SECRET_BYTES_MIN {
            let bytes = text.len();
            return Err(format!("has {bytes} bytes, and can be guessed; expected {SECRET_BYTES_MIN} or more"));
        }
        Ok(Secret(text.as_bytes().to_vec()))
    }

    fn mac(&self, side: Side, numbers: [&Number; 2], wants: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        mac.update(side.label());
        numbers.into_iter().for_each(|number| mac.update(number));
        mac.update(wants);
        mac
    }

    fn proof(&self, side: Side, numbers: [&Number; 2], wants: &[u8]) -> [u8; 32] {
        self.mac(side, numbers, wants).finalize().into_bytes().into()
    }

    /// In a time that does not tell how much of it is right.
    fn is_proved(&self, proof: &[u8; 32], side: Side, numbers: [&Number; 2], wants: &[u8]) -> bool {
        self.mac(side, numbers, wants).verify_slice(proof).is_ok()
    }
}

/// Whose proof it is: nobody's own comes back as that of the other.
#[derive(Clone, Copy)]
enum Side {
    Knocks,
    Opens,
}

impl Side {
    fn label(self) -> &'static [u8] {
        match self {
            Side::Knocks => b"knocks",
            Side::Opens => b"opens ",
        }
    }
}

type Number = [u8; 16];

fn number() -> Number {
    uuid::Uuid::new_v4().into_bytes()
}

/// What somebody wants.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Wants {
    /// To compute with the one that leads.
    Link(Hello),
    /// To connect its workers with ours, in the run of this number.
    Mesh { run: u64, process: usize },
}

#[derive(Serialize, Deserialize)]
struct Knock {
    wants: Vec<u8>,
    number: Number,
    proof: [u8; 32],
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Welcome([u8; 32]),
    /// It does not know the secret.
    Turned,
}

/// Why somebody was not let in.
#[derive(Debug)]
pub(super) enum Turned {
    /// It is none of us.
    Stranger(Error),
    /// It speaks as we do, and does not know what we know.
    Secret,
}

impl From<Error> for Turned {
    fn from(error: Error) -> Turned {
        Turned::Stranger(error)
    }
}

/// Reads no longer than until then, however little comes at a time.
struct Until<'a> {
    from: &'a TcpStream,
    until: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.from.set_read_timeout(Some(left))?;
        self.from.read(into)
    }
}

/// Opens to one who has knocked: what it wants, if it is one of us.
pub(super) fn open(stream: &mut TcpStream, secret: &Secret) -> std::result::Result<Wants, Turned> {
    let mut from = Until { from: &stream.try_clone()?, until: Instant::now() + GREETING };
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(Error::other("it does not speak as we do").into());
    }
    let ours = number();
    frame::write(stream, &ours)?;
    let Knock { wants, number, proof } = frame::read(&mut from, GREETING_MAX)?;
    let numbers = [&ours, &number];
    if !secret.is_proved(&proof, Side::Knocks, numbers, &wants) {
        frame::write(stream, &Answer::Turned)?;
        return Err(Turned::Secret);
    }
    let wanted = postcard::from_bytes(&wants).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
    frame::write(stream, &Answer::Welcome(secret.proof(Side::Opens, numbers, &wants)))?;
    stream.set_read_timeout(None)?;
    Ok(wanted)
}

/// Says at another process' door what is wanted.
pub(super) fn knock(stream: &mut TcpStream, wants: &Wants, secret: &Secret) -> Result<()> {
    let mut from = Until { from: &stream.try_clone()?, until: Instant::now() + GREETING };
    stream.write_all(&MAGIC)?;
    let theirs: Number = frame::read(&mut from, GREETING_MAX)?;
    let (ours, wants) =
        (number(), postcard::to_stdvec(wants).map_err(|error| Error::new(ErrorKind::InvalidData, error))?);
    let numbers = [&theirs, &ours];
    let proof = secret.proof(Side::Knocks, numbers, &wants);
    frame::write(stream, &Knock { wants: wants.clone(), number: ours, proof })?;
    let other = || Error::other("it has another secret than this process (`cluster.secret`)");
    match frame::read(&mut from, GREETING_MAX)? {
        Answer::Welcome(proof) if secret.is_proved(&proof, Side::Opens, numbers, &wants) => {}
        Answer::Welcome(_) | Answer::Turned => return Err(other()),
    }
    stream.set_read_timeout(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn secret(text: &str) -> Secret {
        Secret::of(text).expect("long enough")
    }

    /// What one says who knocks with a secret, and what becomes of it at a door with another.
    fn meet(knocks: &Secret, opens: &Secret) -> (Result<()>, std::result::Result<Wants, Turned>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        std::thread::scope(|scope| {
            let opened = scope.spawn(move || open(&mut listener.accept().expect("comes").0, opens));
            let mut stream = TcpStream::connect(at).expect("it listens");
            let knocked = knock(&mut stream, &Wants::Mesh { run: 7, process: 2 }, knocks);
            (knocked, opened.join().expect("does not panic"))
        })
    }

    #[test]
    fn who_knows_the_secret_is_let_in_and_nobody_else() {
        let (one, other) = (secret("the secret of all of them"), secret("the secret of some others"));
        for same in [&one, &Secret::default()] {
            let (knocked, opened) = meet(same, same);
            knocked.expect("welcome");
            assert!(matches!(opened, Ok(Wants::Mesh { run: 7, process: 2 })));
        }
        for (knocks, opens) in [(&one, &other), (&Secret::default(), &one), (&one, &Secret::default())] {
            let (knocked, opened) = meet(knocks, opens);
            assert!(knocked.expect_err("turned away").to_string().contains("another secret"));
            assert!(matches!(opened, Err(Turned::Secret)), "{opened:?}");
        }
    }

    #[test]
    fn a_proof_is_of_one_side_of_one_greeting() {
        let (secret, wants) = (secret("the secret of all of them"), b"wants");
        let (one, other) = (number(), number());
        let proof = secret.proof(Side::Knocks, [&one, &other], wants);
        assert!(secret.is_proved(&proof, Side::Knocks, [&one, &other], wants));
        assert!(!secret.is_proved(&proof, Side::Opens, [&one, &other], wants), "sent back");
        assert!(!secret.is_proved(&proof, Side::Knocks, [&number(), &other], wants), "said again");
        assert!(!secret.is_proved(&proof, Side::Knocks, [&one, &other], b"other"), "of something else");
    }

    #[test]
    fn what_can_be_guessed_is_no_secret_and_none_is_shown() {
        assert!(Secret::of(" short \n").expect_err("too short").contains("has 5 bytes"));
        assert_eq!(format!("{:?}", secret("the secret of all of them")), "Secret");
    }
}
