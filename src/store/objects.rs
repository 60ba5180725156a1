//! A store in a bucket: `s3://`, `gs://`, `az://`, and `memory://`, which lasts as long as it is open.
//!
//! Credentials, regions and endpoints come from the environment (`AWS_*`, `GOOGLE_*`, `AZURE_*`) and go
//! into no message. Where it names no credentials, the machine is asked: the role of a cloud instance.
//! An object is made by a conditional put, on S3 `If-None-Match: *`. A service that passes over the
//! condition keeps no promise of ours: the first object that is made is asked for once more, and what then
//! makes it a second time is refused.
//!
//! A request that fails is tried again for twenty seconds, with pauses; after that it is the caller's to
//! wait. One object is one request of thirty seconds at the most: some tens of megabytes, then, not more.

mod answer;
mod patience;

pub use patience::Clock;

use super::{Store, StoreError, check_key, check_prefix};
use answer::{Answer, Meaning};
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, PutPayload, RetryConfig};
use patience::{Attempts, RealClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// Objects of a bucket, or of a part of it.
pub struct Objects {
    runtime: Runtime,
    service: Arc<dyn ObjectStore>,
    /// What stands before every key.
    prefix: String,
    url: String,
    secrets: Vec<String>,
    clock: Arc<dyn Clock>,
    /// Whether the service was seen to leave an object alone that was there.
    keeps_conditions: AtomicBool,
}

impl Objects {
    /// Opens what a URL names, and looks whether it can be read.
    ///
    /// # Errors
    /// If the URL or the environment does not say enough, or the bucket cannot be read.
    pub fn open(url: &str) -> Result<Objects, StoreError> {
        let secrets = secrets(
            std::env::vars_os()
                .filter_map(|(name, value)| name.into_string().ok().zip(value.to_str().map(str::to_owned))),
        );
        let parsed = checked(url)?;
        let failed = |error: &dyn std::fmt::Display| {
            let detail = hide(&error.to_string(), &secrets);
            StoreError::Failed(format!("could not open `{url}`: {detail}; the rest is set by {}", variables(url)))
        };
        let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(|error| failed(&error))?;
        let retry = once();
        // The builders take the bucket out of the URL, and the environment for the rest.
        #[expect(clippy::wildcard_enum_match_arm, reason = "a scheme that is not named is refused")]
        let service: Arc<dyn ObjectStore> = match scheme {
            ObjectStoreScheme::Memory => Arc::new(InMemory::new()),
            ObjectStoreScheme::AmazonS3 => {
                Arc::new(amazon(AmazonS3Builder::from_env(), url).map_err(|error| failed(&error))?)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry);
                Arc::new(builder.build().map_err(|error| failed(&error))?)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry);
                Arc::new(builder.build().map_err(|error| failed(&error))?)
            }
            _ => {
                return Err(StoreError::Failed(format!(
                    "could not open `{url}`: no store is known for `{}://`",
                    parsed.scheme()
                )));
            }
        };
        let objects = Objects { secrets, ..Objects::over(service, url, path.as_ref())? };
        objects.look()?;
        Ok(objects)
    }

    /// Keeps objects where a builder for S3 says, under a URL, by a clock; what is there is not looked at.
    ///
    /// # Errors
    /// If builder or URL do not say enough, or no thread can be started.
    pub fn on_s3(builder: AmazonS3Builder, url: &str, clock: Arc<dyn Clock>) -> Result<Objects, StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Failed(format!("could not open `{url}`: {error}"));
        let (_, path) = ObjectStoreScheme::parse(&checked(url)?).map_err(|error| failed(&error))?;
        let service = Arc::new(amazon(builder, url).map_err(|error| failed(&error))?);
        Ok(Objects { clock, ..Objects::over(service, url, path.as_ref())? })
    }

    /// Keeps objects in this service, under this prefix. The URL is for messages.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn over(service: Arc<dyn ObjectStore>, url: &str, prefix: &str) -> Result<Objects, StoreError> {
        // A thread of its own, so that connections live between two calls: one that the service closed
        // meanwhile would otherwise be noticed by the request that fails on it.
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("objects").enable_all().build().map_err(|error| {
            StoreError::Unavailable(format!(
                "could not start a thread for `{url}`: {error}; raise the limit (`ulimit -u`)"
            ))
        })?;
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let clock = Arc::new(RealClock::new());
        let keeps_conditions = AtomicBool::new(false);
        Ok(Objects { runtime, service, prefix, url: url.to_owned(), secrets: Vec::new(), clock, keeps_conditions })
    }

    /// Asks for a first object: a bucket that is not there, or not ours, is found out at the start.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn look(&self) -> Result<(), StoreError> {
        let folder = Path::from(self.prefix.as_str());
        let first = self.ask(async || self.service.list(Some(&folder)).try_next().await);
        first.map(drop).map_err(|answer| self.explain("open", "", &answer))
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }

    /// Makes a request until it is answered, or there is no point in it.
    fn ask<T>(&self, request: impl AsyncFn() -> object_store::Result<T>) -> Result<T, Answer> {
        let mut attempts = Attempts::begin(&*self.clock);
        loop {
            let error = match self.runtime.block_on(request()) {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            let answer = Answer::of(&error, |message| hide(message, &self.secrets));
            if answer.meaning != Meaning::Again || !attempts.wait() {
                return Err(answer);
            }
        }
    }

    fn put_in(&self, key: &str, bytes: &[u8], mode: PutMode) -> Result<bool, StoreError> {
        check_key(key)?;
        let (path, payload) = (self.path(key), PutPayload::from(bytes.to_vec()));
        let creates = mode == PutMode::Create;
        match self.ask(async || self.service.put_opts(&path, payload.clone(), mode.clone().into()).await) {
            Ok(_) => Ok(true),
            Err(answer) if creates && answer.meaning == Meaning::There => Ok(false),
            Err(answer) => Err(self.explain("write", key, &answer)),
        }
    }

    fn explain(&self, doing: &str, key: &str, answer: &Answer) -> StoreError {
        let object =
            if key.is_empty() { self.url.clone() } else { format!("{}/{key}", self.url.trim_end_matches('/')) };
        answer.explain(doing, &object, &self.url)
    }
}

impl Store for Objects {
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        if !self.put_in(key, bytes, PutMode::Create)? {
            self.keeps_conditions.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        // The same bytes once more: should the service pass over the condition, nothing is lost.
        if !self.keeps_conditions.load(Ordering::Relaxed) {
            if self.put_in(key, bytes, PutMode::Create)? {
                return Err(StoreError::Failed(format!(
                    "could not use `{}`: its service made an object twice that was to be made only if there is none; \
                     two runs would not learn of each other; use a service that keeps to `If-None-Match: *`, or a folder",
                    self.url
                )));
            }
            self.keeps_conditions.store(true, Ordering::Relaxed);
        }
        Ok(true)
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.put_in(key, bytes, PutMode::Overwrite).map(drop)
    }

    fn put_lightly(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(key, bytes)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let path = self.path(key);
        match self.ask(async || self.service.get(&path).await?.bytes().await) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(answer) if answer.meaning == Meaning::Missing => Ok(None),
            Err(answer) => Err(self.explain("read", key, &answer)),
        }
    }

    fn get_all(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        std::thread::scope(|scope| {
            let asked: Vec<_> = keys.iter().map(|key| scope.spawn(|| self.get(key))).collect();
            // A panic of one is a panic of ours.
            asked
                .into_iter()
                .map(|asked| asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        check_prefix(prefix)?;
        // Services list by whole names here; the rest of the prefix is compared below.
        let folder = prefix.rsplit_once('/').map(|(folder, _)| folder).unwrap_or_default();
        let folder = self.path(folder);
        let found = self.ask(async || self.service.list(Some(&folder)).try_collect::<Vec<_>>().await);
        let found = found.map_err(|answer| self.explain("list", prefix, &answer))?;
        let key = |path: &Path| Some(path.as_ref().strip_prefix(&self.prefix)?.to_owned());
        let mut keys: Vec<_> = found.iter().filter_map(|object| key(&object.location)).collect();
        keys.retain(|key| key.starts_with(prefix) && check_key(key).is_ok());
        keys.sort_unstable();
        Ok(keys)
    }

    fn settle(&self) -> Result<(), StoreError> {
        // What a bucket shows is durable.
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        let path = self.path(key);
        match self.ask(async || self.service.delete(&path).await) {
            Err(answer) if answer.meaning != Meaning::Missing => Err(self.explain("remove", key, &answer)),
            _ => Ok(()),
        }
    }

    fn place(&self) -> String {
        self.url.clone()
    }
}

/// What S3 and its like are asked with.
fn amazon(builder: AmazonS3Builder, url: &str) -> object_store::Result<AmazonS3> {
    // Objects are removed one by one here, and not every service knows how to remove many at once.
    builder.with_url(url).with_retry(once()).with_disable_bulk_delete(true).build()
}

/// We try again ourselves: the client takes a 409 for an answer, and its pauses for the only ones.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: patience::RETRY, ..RetryConfig::default() }
}

/// The URL, if nothing in it can be a secret.
fn checked(url: &str) -> Result<Url, StoreError> {
    // What cannot be read is not repeated either: it may hold a password.
    let scheme = url.split("://").next().unwrap_or_default();
    let wrong = |detail: String| StoreError::Failed(format!("could not open a store at `{scheme}://...`: {detail}"));
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    // `abfss://container@account...` is how Azure writes a container.
    let has_user = !parsed.username().is_empty() && !scheme.starts_with("abfs");
    if has_user || parsed.password().is_some() || parsed.query().is_some() || parsed.fragment().is_some() {
        let detail = format!("the URL holds more than a bucket and a path; set {} instead", variables(url));
        return Err(wrong(detail));
    }
    Ok(parsed)
}

/// Where the settings of a service come from.
fn variables(url: &str) -> &'static str {
    match url.split("://").next().unwrap_or_default() {
        "s3" | "s3a" => "the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`",
        "gs" => "the variable `GOOGLE_APPLICATION_CREDENTIALS`",
        "az" | "adl" | "azure" | "abfs" | "abfss" => {
            "the variables `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`"
        }
        _ => "the variables of the service (`AWS_*`, `GOOGLE_*`, `AZURE_*`)",
    }
}

/// The values of variables that services take credentials from.
fn secrets(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let services = ["AWS_", "GOOGLE_", "AZURE_", "SERVICE_ACCOUNT"];
    let words = ["KEY", "SECRET", "TOKEN", "PASSWORD", "SAS", "CREDENTIAL", "SERVICE_ACCOUNT"];
    let is_secret = |name: &str| {
        services.iter().any(|service| name.starts_with(service)) && words.iter().any(|word| name.contains(word))
    };
    // What is shorter would be found in words that say something.
    variables.filter(|(name, value)| is_secret(name) && value.len() >= 8).map(|(_, value)| value).collect()
}

/// A message on one line, without secrets, nor what may be one: the user and the query of a URL.
fn hide(message: &str, secrets: &[String]) -> String {
    let mut words = Vec::new();
    for word in message.split_whitespace() {
        let Some((scheme, rest)) = word.split_once("://") else {
            words.push(word.to_owned());
            continue;
        };
        let rest = rest.split_once('?').map_or(rest.to_owned(), |(before, _)| format!("{before}?..."));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        words.push(format!("{scheme}://{host}{path}"));
    }
    let message = words.join(" ");
    secrets.iter().fold(message, |message, secret| message.replace(secret, "..."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    #[test]
    fn a_bucket_does_what_a_store_does() {
        contract::check(&Objects::open("memory:///").expect("open"));
    }

    /// Against a real service, or a stand-in: `STORE_URL=s3://bucket/empty/part`, credentials beside it.
    #[test]
    #[ignore = "needs a bucket: set STORE_URL"]
    fn the_bucket_of_the_environment_does_what_a_store_does() {
        let url = std::env::var("STORE_URL").expect("STORE_URL");
        let objects = Objects::open(&url).expect("open");
        contract::check(&objects);
        objects.list("").expect("keys").iter().for_each(|key| objects.delete(key).expect("delete"));
    }

    #[test]
    fn stores_in_parts_of_a_bucket_do_not_see_each_other() {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let part = |prefix| Objects::over(Arc::clone(&bucket), "memory:///", prefix).expect("open");
        contract::check(&part("a/b"));
        contract::check(&part("a/bb"));
        assert_eq!(part("a/b").get("replaced"), Ok(Some(vec![])), "and it lasts longer than who has it open");
        assert!(part("").list("a/b").expect("keys").len() > part("a/b").list("").expect("keys").len());
    }

    #[test]
    fn a_url_holds_no_secrets_and_is_not_repeated_if_it_does() {
        for url in [
            "s3://user:hunter22@bucket/x",
            "s3://hunter22@bucket/x",
            "az://container/x?sig=hunter22",
            "s3://hunter22 x",
        ] {
            let Err(StoreError::Failed(message)) = Objects::open(url).map(drop) else { panic!("{url}") };
            assert!(message.contains("`s3://...`") || message.contains("`az://...`"), "{message}");
            assert!(!message.contains("hunter22"), "{message}");
        }
        assert!(checked("abfss://container@account.dfs.core.windows.net/x").is_ok());
        let Err(StoreError::Failed(message)) = Objects::open("https://example.com/x").map(drop) else {
            panic!("a URL of no bucket was opened")
        };
        assert_eq!(message, "could not open `https://example.com/x`: no store is known for `https://`");
    }

    #[test]
    fn messages_are_one_line_without_secrets() {
        let variables =
            [("AWS_SECRET_ACCESS_KEY", "hunter22"), ("AWS_REGION", "eu-central-1"), ("AZURE_SAS_TOKEN", "x")];
        let secrets = secrets(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        assert_eq!(secrets, ["hunter22"]);
        let message = "error for\n  (https://user:pass@host/a/b?sig=abc&x=y): the key hunter22 is of eu-central-1";
        assert_eq!(hide(message, &secrets), "error for (https://host/a/b?... the key ... is of eu-central-1");
    }
}
