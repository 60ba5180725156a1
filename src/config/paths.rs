//! Whether there is what settings name: folders, keys, certificates, secrets. Looked at before anything is made.

use super::load::{ConfigError, Loaded};
use super::origin::dotted;
use super::secret;
use super::serve::Address;
use super::wrong::Wrongs;
use std::collections::BTreeMap;
use std::path::Path;

/// Properties of librdkafka that name files.
const FILES: [&str; 5] =
    ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location", "ssl.crl.location"];

impl Loaded {
    /// Looks whether there is what the settings name that a run uses.
    ///
    /// # Errors
    /// All that is missing, with where it is named.
    pub fn check_places(&self) -> Result<(), ConfigError> {
        let mut wrongs = Wrongs::default();
        let config = &self.config;
        secret("cluster.secret", &config.cluster.secret, &mut wrongs);
        // The others have a warehouse and a feed at most in their settings, and make none.
        if config.cluster.process == 0 && !config.is_feed_alone() {
            warehouse(&config.warehouse, &mut wrongs);
        }
        folder("state_dir", &config.state_dir, &mut wrongs);
        folder("feed.path", &config.feed.path, &mut wrongs);
        folder("archive.path", &config.archive.path, &mut wrongs);
        folder("clean.path", &config.clean.path, &mut wrongs);
        let (kafka, publish) = (&config.kafka, &config.publish);
        if kafka.is_given() {
            of_client("kafka", &kafka.properties, &kafka.secrets, &mut wrongs);
        }
        if publish.is_given() && !publish.brokers.is_empty() {
            of_client("publish", &publish.properties, &publish.secrets, &mut wrongs);
        }
        let asks_registry = publish.is_given() || kafka.is_given() && kafka.format.needs_registry();
        if asks_registry && !config.registry.url.is_empty() {
            file("registry.ca", &config.registry.ca, &mut wrongs);
            secret("registry.password", &config.registry.password, &mut wrongs);
        }
        if config.serve.place() != Some(Address::Off) {
            secret("serve.token", &config.serve.token, &mut wrongs);
        }
        if config.snowflake.is_given() {
            secret("snowflake.private_key", &config.snowflake.private_key, &mut wrongs);
            secret("snowflake.passphrase", &config.snowflake.passphrase, &mut wrongs);
        }
        let mistakes: Vec<_> = wrongs.0.iter().map(|wrong| self.mistake(&wrong.key, &wrong.why)).collect();
        if mistakes.is_empty() { Ok(()) } else { Err(ConfigError::of(mistakes)) }
    }
}

fn warehouse(path: &Path, wrongs: &mut Wrongs) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() {
        wrongs.say("warehouse", format!("`{}` is a folder; expected the name of a file", path.display()));
    } else if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let (path, folder_name) = (path.display(), folder.display());
        let why = match folder.exists() {
            true => format!("could not make `{path}`: `{folder_name}` is a file, and no folder"),
            false => format!("could not make `{path}`: folder `{folder_name}` does not exist"),
        };
        wrongs.say("warehouse", why);
    }
}

/// A folder is made with all that are above it; none of them may be a file.
fn folder(key: &str, place: &str, wrongs: &mut Wrongs) {
    let path = place.strip_prefix("file://").unwrap_or(place);
    if path.contains("://") {
        return;
    }
    let is_relative = path.len() < place.len() && !path.starts_with('/');
    if is_relative {
        wrongs.say(key, "a `file://` URL names a folder from `/` on, as `file:///var/x`");
    } else if let Some(file) = Path::new(path).ancestors().find(|above| above.exists() && !above.is_dir()) {
        wrongs.say(key, format!("`{}` is a file, and a folder is needed there", file.display()));
    }
}

/// What a client of Kafka names.
fn of_client(
    section: &str,
    properties: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, String>,
    wrongs: &mut Wrongs,
) {
    let key = |map: &str, name: &str| dotted(&[section, map, name].map(str::to_owned));
    // A build without TLS refuses them anyway, and says what to build.
    let read = |(name, _): &(&String, &String)| cfg!(feature = "kafka-tls") && FILES.contains(&name.as_str());
    for (name, path) in properties.iter().filter(read).filter(|(_, path)| *path != "probe") {
        file(&key("properties", name), path, wrongs);
    }
    for (name, place) in secrets {
        secret(&key("secrets", name), place, wrongs);
    }
}

/// A file, or a folder of files.
fn file(key: &str, path: &str, wrongs: &mut Wrongs) {
    if path.is_empty() {
        return;
    }
    if let Err(error) = std::fs::metadata(path) {
        wrongs.say(key, format!("`{path}` cannot be read: {error}"));
    }
}

fn secret(key: &str, place: &str, wrongs: &mut Wrongs) {
    if place.is_empty() {
        return;
    }
    if let Err(why) = secret::fetch(place) {
        wrongs.say(key, why);
    }
}
