//! The Schema Registry: each schema is asked for once, beside the workers, and asked for again until it
//! answers, or until that is hopeless.

mod asking;
mod book;
mod client;
pub mod clock;
mod tls;

use super::KafkaError;
use crate::config::kafka::Registry as Config;
use crate::decode::avro::{Schemas, Writer};
use crate::model::subject::Language;
use crate::source::Trouble;
use crate::state_dir::StateDir;
use crate::state_dir::schemas::Kept;
use asking::{Asking, Told};
use book::{Book, Lookup};
use client::{Answer, Client, is_absent};
use clock::Clock;
use parking_lot::Mutex;
use schema_registry_converter::blocking::schema_registry::{get_all_subjects, is_compatible_schema, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// Whether a record that names a schema can be decoded.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It can, or what is known of the schema says why not.
    Yes,
    /// It cannot: there is no such schema.
    Absent,
    /// It cannot: the registry does not give this schema, though it gives others. What it says.
    Unavailable(String),
    /// It cannot: the schema was not asked for. Why.
    Unasked(String),
    /// The registry has been asked; what it said, if that was no answer.
    Asked(Option<String>),
}

/// A registry, and what is known of it.
pub struct Registry {
    client: Client,
    schemas: Schemas,
    clock: Clock,
    told: Sender<Told>,
    book: Arc<Mutex<Book>>,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

impl Registry {
    /// A registry as configured. That it answers is only tried when a schema is needed.
    ///
    /// # Errors
    /// If it is not configured, or a secret is not where it should be.
    pub fn open(config: &Config) -> Result<Registry, KafkaError> {
        Registry::with(config, None, false, Clock::default())
    }

    /// A registry whose schemas are kept in a state: those of before are known, unless all is read again.
    ///
    /// # Errors
    /// As for [`Registry::open`], and if what is kept cannot be read.
    pub fn with(config: &Config, keep: Option<&StateDir>, is_anew: bool, clock: Clock) -> Result<Registry, KafkaError> {
        let client = Client::open(config, clock.patience)?;
        let (schemas, mut book) = (Schemas::default(), Book::default());
        let kept = keep.filter(|_| !is_anew).map(StateDir::kept_schemas).transpose();
        for kept in kept.map_err(|error| KafkaError::Refused(error.to_string()))?.unwrap_or_default() {
            schemas.insert(kept.id, Writer::parse_with(&kept.schema, &kept.references));
            book.learn(kept.id);
        }
        let book = Arc::new(Mutex::new(book));
        let (told, inbox) = channel();
        let trouble = Arc::<Mutex<Option<Trouble>>>::default();
        let asking = Asking {
            client: client.clone(),
            schemas: schemas.clone(),
            keep: keep.cloned(),
            book: Arc::clone(&book),
            clock: clock.clone(),
            told: told.clone(),
            trouble: Arc::clone(&trouble),
        };
        let spawned = std::thread::Builder::new().name("registry".to_owned()).spawn(move || asking.run(&inbox));
        spawned.map_err(|error| KafkaError::Refused(format!("could not start a thread for the registry: {error}")))?;
        Ok(Registry { client, schemas, clock, told, book, trouble })
    }

    /// What is known.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Sees to it that a schema comes to be known that a record of `partition` names. Who `insists`, because the
    /// record was read by it before, is never told that it cannot be had.
    pub fn resolve(&self, id: u32, partition: &str, insists: bool) -> Resolved {
        // No registry gives 0, nor numbers as large as that.
        if self.schemas.knows(id) || id == 0 || id > i32::MAX as u32 {
            return Resolved::Yes;
        }
        let mut book = self.book.lock();
        // It may have come to be known just now.
        if self.schemas.knows(id) {
            return Resolved::Yes;
        }
        let was_asked = book.is_asked(id);
        let known = book.look_up(id, partition, insists, self.clock.now());
        drop(book);
        match known {
            Lookup::Absent => Resolved::Absent,
            Lookup::Unavailable(why) => Resolved::Unavailable(why),
            Lookup::Unasked => Resolved::Unasked(format!(
                "its schema was not asked for: more than {} new ones a minute in `{partition}` are not in the registry",
                book::NEW_A_MINUTE
            )),
            Lookup::Asked(said) => {
                if !was_asked {
                    // Its thread lives as long as we do.
                    self.told.send(Told::Look).ok();
                }
                Resolved::Asked(said)
            }
        }
    }

    /// What it last said instead of an answer, until it answers again.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().clone()
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

    /// Fetches a schema, now, so that payloads can be read by it.
    ///
    /// # Errors
    /// If there is none of that number that can be used, or the registry is unavailable.
    pub fn learn(&self, id: u32) -> Result<(), KafkaError> {
        let (writer, _) = self.fetched(id)?;
        self.schemas.insert(id, Ok(writer));
        Ok(())
    }

    /// The text of a schema.
    ///
    /// # Errors
    /// If there is none of that number, or the registry is unavailable.
    pub fn schema(&self, id: u32) -> Result<String, KafkaError> {
        self.fetched(id).map(|(_, kept)| kept.schema)
    }

    /// The newest schema of a subject, what it is written in, and the texts that it refers to.
    ///
    /// # Errors
    /// If there is no such subject, its schemas are of neither language, or the registry is unavailable.
    pub fn latest(&self, subject: &str) -> Result<(Language, String, Vec<String>), KafkaError> {
        let (written, schema, references) = self.client.latest(subject)?;
        let language = match written {
            SchemaType::Avro => Language::Avro,
            SchemaType::Json => Language::JsonSchema,
            // Protobuf, and what other registries have.
            other @ (SchemaType::Protobuf | SchemaType::Other(_) | _) => {
                let url = &self.client.url;
                let why = format!(
                    "registry {url}: the schema of `{subject}` is of type {other:?}; expected Avro or JSON Schema"
                );
                return Err(KafkaError::Refused(why));
            }
        };
        Ok((language, schema, references))
    }

    fn fetched(&self, id: u32) -> Result<(Writer, Kept), KafkaError> {
        let refused = |why: &str| Err(KafkaError::Refused(format!("registry {}: {why}", self.client.url)));
        match self.client.fetch(id) {
            Answer::Found(writer, kept) => Ok((*writer, kept)),
            Answer::Useless(why) => refused(&format!("schema {id} {why}")),
            Answer::Absent => refused(&format!("there is no schema {id}")),
            Answer::Unclear(why) => Err(KafkaError::Away(why)),
        }
    }

    /// Registers a schema, if those who read the subject could read it; tells its id.
    ///
    /// # Errors
    /// If they could not, or the registry is unavailable.
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

impl Drop for Registry {
    fn drop(&mut self) {
        self.told.send(Told::Stop).ok();
    }
}
