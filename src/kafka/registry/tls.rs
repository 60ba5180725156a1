//! A registry behind TLS: who vouches for it.

use super::super::KafkaError;
use crate::config::kafka::Registry as Config;
use schema_registry_converter::blocking::schema_registry::{SrSettings, SrSettingsBuilder};
use schema_registry_converter::error::SRCError;

/// Makes a client that trusts the authorities of `registry.ca`, too.
///
/// # Errors
/// If the file is none, this build has no TLS, or a client is `not_made`.
pub(super) fn build(
    config: &Config,
    builder: &mut SrSettingsBuilder,
    not_made: impl FnOnce(SRCError) -> KafkaError,
) -> Result<SrSettings, KafkaError> {
    let pem = (!config.ca.is_empty()).then(|| authorities(&config.ca)).transpose()?;
    if !cfg!(feature = "kafka-tls") && config.url.contains("https://") {
        return Err(KafkaError::Refused(format!(
            "setting `registry.url`: `{}` is asked by https, and this build has no TLS: build it with \
             `--features kafka-tls`",
            config.url
        )));
    }
    #[cfg(feature = "kafka-tls")]
    if let Some(pem) = &pem {
        let authorities = reqwest::Certificate::from_pem_bundle(pem);
        let authorities = authorities.map_err(|error| wrong(&config.ca, &format!("holds no certificate: {error}")))?;
        let client = reqwest::blocking::Client::builder().tls_certs_merge(authorities);
        return builder.build_with(client).map_err(not_made);
    }
    drop(pem);
    builder.build().map_err(not_made)
}

/// What is in the file, if that may be certificates.
fn authorities(path: &str) -> Result<Vec<u8>, KafkaError> {
    const BEGINS: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let bytes = std::fs::read(path).map_err(|error| wrong(path, &format!("could not be read: {error}")))?;
    if memchr::memmem::find(&bytes, BEGINS).is_none() {
        return Err(wrong(path, "holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"));
    }
    Ok(bytes)
}

fn wrong(path: &str, why: &str) -> KafkaError {
    KafkaError::Refused(format!("setting `registry.ca`: `{path}` {why}"))
}
