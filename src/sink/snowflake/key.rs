//! The key that a user of Snowflake logs in with.

use crate::config::secret;
use crate::config::snowflake::Snowflake as Config;
use crate::sink::SinkError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::sha2::{Digest, Sha256};
use rsa::{RsaPrivateKey, RsaPublicKey};
use std::io::Write;
use std::path::Path;

/// What Snowflake asks for at least, and what its documentation makes.
const BITS: usize = 2048;

/// A private key as it is stored, and the passphrase it is encrypted with.
pub(super) struct Key {
    pub(super) pem: String,
    pub(super) passphrase: Option<String>,
    /// As `DESC USER` shows it.
    pub(super) fingerprint: String,
}

// No `Debug`: it would show the key.

impl Key {
    /// Fetches the key that is configured.
    ///
    /// # Errors
    /// If it is not there, or is not a key; of the key itself nothing is shown.
    pub(super) fn fetch(config: &Config) -> Result<Key, SinkError> {
        let failed = |key: &str, why: String| SinkError::Failed(format!("`snowflake.{key}`: {why}"));
        let pem = secret::fetch(&config.private_key).map_err(|why| {
            let why = format!("{why}; make one with `deltamart snowflake-key`");
            failed("private_key", why)
        })?;
        let encrypted = pem.contains("ENCRYPTED PRIVATE KEY");
        let passphrase = match (encrypted, config.passphrase.is_empty()) {
            (false, _) => None,
            (true, true) => {
                let why = "is empty, and the private key is encrypted; expected `env:NAME` or `file:PATH`";
                return Err(failed("passphrase", why.to_owned()));
            }
            (true, false) => Some(secret::fetch(&config.passphrase).map_err(|why| failed("passphrase", why))?),
        };
        let private = match &passphrase {
            Some(passphrase) => RsaPrivateKey::from_pkcs8_encrypted_pem(&pem, passphrase),
            None => RsaPrivateKey::from_pkcs8_pem(&pem),
        };
        // What is wrong with a key may say what is in it.
        let private = private.map_err(|_| {
            let why = if encrypted {
                "is not an RSA key that this passphrase opens"
            } else {
                "is not an RSA key in PKCS#8 (`-----BEGIN PRIVATE KEY-----`)"
            };
            let how = "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD.pem -out NEW.p8";
            failed("private_key", format!("{why}; {how}"))
        })?;
        let fingerprint = fingerprint(&private.to_public_key())?;
        Ok(Key { pem, passphrase, fingerprint })
    }
}

fn public_der(key: &RsaPublicKey) -> Result<Vec<u8>, SinkError> {
    let der = key.to_public_key_der();
    der.map(|der| der.into_vec()).map_err(|_| SinkError::Failed("could not write the public key".to_owned()))
}

fn fingerprint(key: &RsaPublicKey) -> Result<String, SinkError> {
    Ok(format!("SHA256:{}", STANDARD.encode(Sha256::digest(public_der(key)?))))
}

/// Makes a key and writes it where only its owner may read it. Tells the public half, as `ALTER USER` takes it.
///
/// # Errors
/// If there is a file already, which is never overwritten, or it cannot be written.
pub fn generate(path: &Path) -> Result<String, SinkError> {
    let failed = |why: String| SinkError::Failed(format!("could not write the key to `{}`: {why}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // First of all: making the key takes a second, and then it is there.
    let mut file = options.open(path).map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        failed(if is_there { "there is a file already, which is left as it is".to_owned() } else { error.to_string() })
    })?;
    let written = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS)
        .map_err(|error| failed(error.to_string()))
        .and_then(|key| {
            let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(error.to_string()))?;
            file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(error.to_string()))?;
            public_der(&key.to_public_key())
        });
    written.map(|der| STANDARD.encode(der)).inspect_err(|_| {
        // A file without a key would stand in the way of the next attempt.
        std::fs::remove_file(path).ok();
    })
}
