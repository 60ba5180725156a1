//! One question to a registry, and what its answer says.

use super::super::KafkaError;
use super::tls;
use crate::config::kafka::Registry as Config;
use crate::config::secret;
use crate::decode::avro::Writer;
use crate::state_dir::schemas::Kept;
use schema_registry_converter::blocking::schema_registry::{
    SrSettings, get_referenced_schema, get_schema_by_id, get_schema_by_subject,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredReference, SchemaType, SubjectNameStrategy,
};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// A schema that refers to more than so many others, one by the other, is not read.
const REFERENCES_MAX: usize = 256;

/// A registry, and how it is asked.
#[derive(Clone)]
pub(super) struct Client {
    pub settings: Arc<SrSettings>,
    pub url: String,
}

/// What an answer says of a schema.
pub(super) enum Answer {
    /// There it is.
    Found(Box<Writer>, Kept),
    /// It is there, and cannot be used: why.
    Useless(String),
    /// There is none.
    Absent,
    /// Nothing: what came instead.
    Unclear(String),
}

impl Client {
    pub fn open(config: &Config, patience: Duration) -> Result<Client, KafkaError> {
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
        builder.set_timeout(patience);
        if !config.password.is_empty() {
            let password = secret::fetch(&config.password)
                .map_err(|why| KafkaError::Refused(format!("setting `registry.password`: {why}")))?;
            if config.username.is_empty() {
                builder.set_token_authorization(&password);
            } else {
                builder.set_basic_authorization(&config.username, Some(&password));
            }
        }
        let settings = tls::build(config, &mut builder, |error| {
            KafkaError::Refused(format!("registry {}: could not make a client: {}", config.url, said(&error)))
        })?;
        Ok(Client { settings: Arc::new(settings), url: config.url.clone() })
    }

    /// Asks for a schema, and for all that it refers to.
    pub fn fetch(&self, id: u32) -> Answer {
        let found = match get_schema_by_id(id, &self.settings) {
            Ok(found) if !matches!(found.schema_type, SchemaType::Avro) => {
                return Answer::Useless(format!("is of type {:?}, not Avro", found.schema_type));
            }
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Answer::Absent,
            Err(error) => return Answer::Unclear(self.failed(&format!("fetch schema {id}"), &error).to_string()),
        };
        let references = match self.references(id, &found.references) {
            Ok(references) => references,
            Err(answer) => return answer,
        };
        match Writer::parse_with(&found.schema, &references) {
            Ok(writer) => {
                let kept = Kept { id, registry: self.url.clone(), schema: found.schema, references };
                Answer::Found(Box::new(writer), kept)
            }
            Err(why) => Answer::Useless(why),
        }
    }

    /// The newest schema of a subject, what it is written in, and all that it refers to.
    pub fn latest(&self, subject: &str) -> Result<(SchemaType, String, Vec<String>), KafkaError> {
        let refused = |why: &str| KafkaError::Refused(format!("registry {}: the subject `{subject}` {why}", self.url));
        let strategy = SubjectNameStrategy::RecordNameStrategy(subject.to_owned());
        let found = get_schema_by_subject(&self.settings, &strategy).map_err(|error| match is_absent(&error) {
            true => refused("is not there: `curl URL/subjects` lists those that are"),
            false => self.failed(&format!("fetch the schema of `{subject}`"), &error),
        })?;
        let references = self.references(found.id, &found.references).map_err(|answer| match answer {
            Answer::Useless(why) | Answer::Unclear(why) => refused(&format!("has a schema that {why}")),
            Answer::Absent | Answer::Found(..) => refused("refers to a schema that is not there"),
        })?;
        Ok((found.schema_type, found.schema, references))
    }

    /// The texts of what a schema refers to, and what those refer to.
    fn references(&self, id: u32, first: &[RegisteredReference]) -> Result<Vec<String>, Answer> {
        let (mut texts, mut seen) = (Vec::new(), BTreeSet::new());
        let mut wanted = first.to_vec();
        while let Some(reference) = wanted.pop() {
            let name = format!("`{}` version {}", reference.subject, reference.version);
            if !seen.insert(name.clone()) {
                continue;
            }
            if seen.len() > REFERENCES_MAX {
                return Err(Answer::Useless(format!("refers to more than {REFERENCES_MAX} others")));
            }
            match get_referenced_schema(&self.settings, &reference) {
                Ok(found) => {
                    texts.push(found.schema);
                    wanted.extend(found.references);
                }
                Err(error) if is_absent(&error) => {
                    return Err(Answer::Useless(format!("refers to {name}, which is not in the registry")));
                }
                Err(error) => {
                    let what = format!("fetch {name}, which schema {id} refers to");
                    return Err(Answer::Unclear(self.failed(&what, &error).to_string()));
                }
            }
        }
        Ok(texts)
    }

    pub fn failed(&self, what: &str, error: &SRCError) -> KafkaError {
        let said = said(error);
        let why = match in_words(&said) {
            Some(words) => format!("{words}; could not {what} ({said})"),
            None => format!("could not {what}: {said}"),
        };
        KafkaError::Away(format!("registry {}: {why}", self.url))
    }
}

/// What is wrong where that can be told from what is said, and the setting that may mend it.
fn in_words(said: &str) -> Option<&'static str> {
    let lower = said.to_ascii_lowercase();
    let is = |part: &str| lower.contains(part);
    Some(if is("connection refused") {
        "connection refused"
    } else if is("failed to lookup address") || is("dns error") || is("name or service not known") {
        "its host is not known (`registry.url`)"
    } else if is("status 401") {
        "it takes another name and password, or token (`registry.username`, `registry.password`)"
    } else if is("status 403") {
        "it does not allow that to this user (`registry.username`)"
    } else if is("status 404") {
        "there is no registry at this address (`registry.url`)"
    } else if is("unknownissuer") || is("certificate verify failed") || is("invalid peer certificate") {
        "TLS: no authority that is known vouches for its certificate (`registry.ca`)"
    } else if is("invalidcontenttype") || is("wrong version number") || is("corrupt message") {
        "it does not speak TLS here, and `registry.url` asks for that (https://)"
    } else if is("http response to https") || is("invalid http version") || is("invalid http-version") {
        "it does not speak HTTP here: it may speak TLS (https:// in `registry.url`)"
    } else if is("timed out") || is("timeout") {
        "no answer in time"
    } else {
        return None;
    })
}

/// It answers that there is no such thing: its own code begins with 404, and it says so by HTTP too.
pub(super) fn is_absent(error: &SRCError) -> bool {
    let own = error.source().and_then(|source| source.downcast_ref::<RawError>());
    own.is_some_and(|own| own.error_code / 100 == 404) || error.error.contains("status 404")
}

fn said(error: &SRCError) -> String {
    // An answer of a proxy, or none: the converter says that it is no error of a registry.
    let own = error.source().and_then(|source| source.downcast_ref::<RawError>());
    if own.is_some_and(|own| own.error_code == 0) {
        return error.error.clone();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_its_setting() {
        for (said, words) in [
            ("http call failed (Connection refused (os error 111))", "connection refused"),
            ("http call failed (failed to lookup address information: Name or service not known)", "`registry.url`"),
            ("http request failed with status 401", "`registry.password`"),
            ("http request failed with status 403", "does not allow that"),
            ("http request failed with status 404", "no registry at this address"),
            ("http call failed (invalid peer certificate: UnknownIssuer)", "`registry.ca`"),
            ("http call failed (received corrupt message of type InvalidContentType)", "does not speak TLS"),
            ("http call failed (operation timed out)", "no answer in time"),
        ] {
            assert!(in_words(said).is_some_and(|found| found.contains(words)), "{said}: {:?}", in_words(said));
        }
        assert_eq!(in_words("http request failed with status 503"), None);
    }
}
