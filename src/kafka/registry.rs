//! The Schema Registry: each schema is asked for once, beside the workers, and asked for again until it
//! answers.

use super::KafkaError;
use crate::config::kafka::Registry as Config;
use crate::config::secret;
use crate::decode::avro::{Schemas, Writer};
use schema_registry_converter::blocking::schema_registry::{
    SrSettings, get_all_subjects, get_schema_by_id, is_compatible_schema, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SuppliedSchema};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A schema that was not there is asked for again when a record names it after so long.
const ABSENT_FOR: Duration = Duration::from_secs(60);
/// The longest pause before a registry that is away is asked again.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a record that names a schema can be decoded.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It can, or it is known that it cannot.
    Yes,
    /// The registry has been asked.
    Asked,
    /// The registry was asked, and is away: why.
    Away(String),
}

/// A registry, and what is known of it.
pub struct Registry {
    client: Client,
    schemas: Schemas,
    asks: Sender<u32>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    asked: BTreeSet<u32>,
    /// Those that were not there, and when.
    absent: BTreeMap<u32, Instant>,
    away: Option<String>,
}

#[derive(Clone)]
struct Client {
    settings: Arc<SrSettings>,
    url: String,
}

enum Fetch {
    Writer(Box<Result<Writer, String>>),
    Absent,
    Away(String),
}

impl Registry {
    /// A registry as configured. That it answers is only tried when a schema is needed.
    ///
    /// # Errors
    /// If it is not configured, or a secret is not where it should be.
    pub fn open(config: &Config) -> Result<Registry, KafkaError> {
        let client = Client::open(config)?;
        let (schemas, state) = (Schemas::default(), Arc::<Mutex<State>>::default());
        let (asks, asked) = channel::<u32>();
        let thread = (client.clone(), schemas.clone(), Arc::clone(&state));
        let spawned = std::thread::Builder::new().name("registry".to_owned()).spawn(move || {
            let (client, schemas, state) = thread;
            asked.iter().for_each(|id| answer(&client, &schemas, &state, id));
        });
        spawned.map_err(|error| KafkaError::Refused(format!("could not start a thread for the registry: {error}")))?;
        Ok(Registry { client, schemas, asks, state })
    }

    /// What is known.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Sees to it that a schema comes to be known.
    pub fn resolve(&self, id: u32) -> Resolved {
        // No registry gives numbers as large as that.
        if self.schemas.has(id) || id > i32::MAX as u32 {
            return Resolved::Yes;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(away) = state.away.as_ref().filter(|_| state.asked.contains(&id)) {
            return Resolved::Away(away.clone());
        }
        let is_absent = state.absent.get(&id).is_some_and(|at| at.elapsed() < ABSENT_FOR);
        if is_absent || self.schemas.knows(id) {
            return Resolved::Yes;
        }
        if state.asked.insert(id) {
            // Its thread lives as long as we do.
            self.asks.send(id).ok();
        }
        Resolved::Asked
    }

    /// Asks for something that every registry answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(&self) -> Result<(), KafkaError> {
        get_all_subjects(&self.client.settings)
            .map(drop)
            .map_err(|error| self.client.failed("list its subjects", &error))
    }

    /// The text of a schema.
    ///
    /// # Errors
    /// If there is none of that number, or the registry is away.
    pub fn schema(&self, id: u32) -> Result<String, KafkaError> {
        match get_schema_by_id(id, &self.client.settings) {
            Ok(found) => Ok(found.schema),
            Err(error) if is_absent(&error) => {
                Err(KafkaError::Refused(format!("registry {}: there is no schema {id}", self.client.url)))
            }
            Err(error) => Err(self.client.failed(&format!("fetch schema {id}"), &error)),
        }
    }

    /// Registers a schema, if those who read the subject could read it; tells its id.
    ///
    /// # Errors
    /// If they could not, or the registry is away.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32, KafkaError> {
        let supplied = || SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let what = format!("register the schema of `{subject}`");
        let settings = &self.client.settings;
        match is_compatible_schema(settings, subject.to_owned(), supplied()) {
            Ok(true) => {}
            Ok(false) => {
                let why = format!(
                    "registry {}: what is registered as `{subject}` is not compatible with our schema of it. Another \
                     program writes this topic: name yours otherwise (`kafka.topics`), or change the subject's compatibility",
                    self.client.url
                );
                return Err(KafkaError::Refused(why));
            }
            // A new subject has nothing to be compatible with.
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(self.client.failed(&what, &error)),
        }
        let registered = post_schema(settings, subject.to_owned(), supplied());
        let id = registered.map_err(|error| self.client.failed(&what, &error))?.id;
        self.schemas.insert(id, Writer::parse(schema));
        Ok(id)
    }
}

/// Asks until there is an answer.
fn answer(client: &Client, schemas: &Schemas, state: &Mutex<State>, id: u32) {
    let mut pause = Duration::from_millis(50);
    loop {
        let fetch = client.fetch(id);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        match fetch {
            Fetch::Away(why) => {
                tracing::warn!("{why}; trying again");
                state.away = Some(why);
            }
            answer => {
                // Whoever sends bytes that are no Avro names any number: they are not kept for ever.
                state.absent.retain(|_, at| at.elapsed() < ABSENT_FOR);
                match answer {
                    Fetch::Writer(writer) => schemas.insert(id, *writer),
                    Fetch::Absent | Fetch::Away(_) => drop(state.absent.insert(id, Instant::now())),
                }
                state.asked.remove(&id);
                state.away = None;
                return;
            }
        }
        drop(state);
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Client {
    fn open(config: &Config) -> Result<Client, KafkaError> {
        let mut urls = config.url.split(',').map(|url| url.trim().trim_end_matches('/').to_owned());
        let Some(first) = urls.next().filter(|url| !url.is_empty()) else {
            let why = "setting `registry.url` is empty: Avro payloads name their schema by an id of a Schema Registry. \
                       Name it (`--registry http://127.0.0.1:8081`), or set `kafka.format` to `json`";
            return Err(KafkaError::Refused(why.to_owned()));
        };
        let mut builder = SrSettings::new_builder(first);
        urls.for_each(|url| {
            builder.add_url(url);
        });
        builder.set_timeout(PATIENCE);
        if !config.password.is_empty() {
            let password = secret::fetch(&config.password)
                .map_err(|why| KafkaError::Refused(format!("setting `registry.password`: {why}")))?;
            if config.username.is_empty() {
                builder.set_token_authorization(&password);
            } else {
                builder.set_basic_authorization(&config.username, Some(&password));
            }
        }
        let settings = builder.build();
        let settings = settings.map_err(|error| {
            KafkaError::Refused(format!("registry {}: could not make a client: {}", config.url, said(&error)))
        })?;
        Ok(Client { settings: Arc::new(settings), url: config.url.clone() })
    }

    fn fetch(&self, id: u32) -> Fetch {
        match get_schema_by_id(id, &self.settings) {
            Ok(found) if !matches!(found.schema_type, SchemaType::Avro) => {
                Fetch::Writer(Box::new(Err(format!("is of type {:?}, not Avro", found.schema_type))))
            }
            Ok(found) if !found.references.is_empty() => {
                Fetch::Writer(Box::new(Err("refers to other schemas, which is not supported".to_owned())))
            }
            Ok(found) => Fetch::Writer(Box::new(Writer::parse(&found.schema))),
            Err(error) if is_absent(&error) => Fetch::Absent,
            Err(error) => match self.failed(&format!("fetch schema {id}"), &error) {
                KafkaError::Away(why) | KafkaError::Refused(why) => Fetch::Away(why),
            },
        }
    }

    fn failed(&self, what: &str, error: &SRCError) -> KafkaError {
        KafkaError::Away(format!("registry {}: could not {what}: {}", self.url, said(error)))
    }
}

/// It answers that there is no such thing: its own code begins with 404, and it says so by HTTP too.
fn is_absent(error: &SRCError) -> bool {
    let own = error.source().and_then(|source| source.downcast_ref::<RawError>());
    own.is_some_and(|own| own.error_code / 100 == 404) || error.error.contains("status 404")
}

fn said(error: &SRCError) -> String {
    match error.source() {
        // The innermost says what happened; those around it, that something did.
        Some(source) => {
            let mut innermost: &dyn Error = source;
            while let Some(inner) = innermost.source() {
                innermost = inner;
            }
            format!("{} ({innermost})", error.error)
        }
        None => error.error.clone(),
    }
}
