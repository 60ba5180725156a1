//! Sessions: logging in, statements one by one, and what their errors mean.

use super::key::Key;
use crate::config::snowflake::Snowflake as Config;
use crate::sink::SinkError;
use snowflake_connector_rs::{
    AuthConfig, CellValue, Client, ClientConfig, DynamicRow, EndpointConfig, Error, ErrorKind, KeyPairConfig,
    QueryConfig, Session, SessionConfig, Statement,
};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// For how long a statement waits for the lock of another transaction. One whose process has died is ended by
/// Snowflake when it has stood in somebody's way for five minutes: until then we try again.
const LOCK_TIMEOUT_SECONDS: u64 = 60;

/// A token is good for an hour. Before that, and between commits, we log in anew.
const SESSION_AGE_MAX: Duration = Duration::from_secs(45 * 60);

/// How long a ROLLBACK on the way out may take.
const ABANDON_PATIENCE: Duration = Duration::from_secs(5);

/// A value that goes along with a statement.
#[derive(Clone, Debug)]
pub(super) enum Bind {
    Text(String),
    Integer(i64),
}

impl From<&str> for Bind {
    fn from(text: &str) -> Bind {
        Bind::Text(text.to_owned())
    }
}

impl From<u64> for Bind {
    fn from(number: u64) -> Bind {
        Bind::Integer(number as i64)
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many statements, logins not counted.
    pub statements: u64,
    /// How many bytes of statements and binds.
    pub bytes: u64,
}

/// Which session a statement goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Each statement by itself: DDL, and reading what everybody sees.
    Reader,
    /// Nothing is kept without a COMMIT: a statement that comes late, after its transaction has ended, opens another one,
    /// which nobody commits.
    Writer,
}

/// An account, and up to two sessions there.
pub(super) struct Sessions {
    runtime: Runtime,
    account: String,
    user: String,
    fingerprint: String,
    clients: [Client; 2],
    sessions: [Option<(Session, Instant)>; 2],
    /// Since the last [`Sessions::begin`].
    pub(super) traffic: Traffic,
    /// By Snowflake's code of the last error: there is no such object, or none for us to see.
    pub(super) is_missing: bool,
}

impl Sessions {
    pub(super) fn open(config: &Config) -> Result<Sessions, SinkError> {
        let key = Key::fetch(config)?;
        let fingerprint = key.fingerprint.clone();
        let failed = |error: &dyn std::error::Error| {
            SinkError::Failed(format!("could not prepare to connect to Snowflake: {}", with_causes(error)))
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        let client = |role| Client::new(client_config(config, &key, role)?).map_err(|error| failed(&error));
        let clients = [client(Role::Reader)?, client(Role::Writer)?];
        Ok(Sessions {
            runtime,
            account: config.account.clone(),
            user: config.user.clone(),
            fingerprint,
            clients,
            sessions: [None, None],
            traffic: Traffic::default(),
            is_missing: false,
        })
    }

    /// How the place is called in messages.
    pub(super) fn place(&self) -> String {
        format!("Snowflake account `{}`", self.account)
    }

    /// Something new begins, and no transaction is open: what is sent is counted from here.
    pub(super) fn begin(&mut self) {
        self.traffic = Traffic::default();
        for session in &mut self.sessions {
            session.take_if(|(_, since)| since.elapsed() > SESSION_AGE_MAX);
        }
    }

    /// Runs a statement, and reads its whole result. `what` says what was attempted, on which object.
    pub(super) fn run(
        &mut self,
        role: Role,
        what: &str,
        sql: String,
        binds: Vec<Bind>,
    ) -> Result<Vec<Vec<CellValue>>, SinkError> {
        self.traffic.statements += 1;
        let size = |bind: &Bind| if let Bind::Text(text) = bind { text.len() } else { 8 };
        self.traffic.bytes += (sql.len() + binds.iter().map(size).sum::<usize>()) as u64;
        tracing::debug!(%sql, binds = binds.len(), "snowflake");
        let mut statement = Statement::new_positional(sql);
        for bind in binds {
            statement = match bind {
                Bind::Text(text) => statement.bind(text),
                Bind::Integer(number) => statement.bind(number),
            };
        }
        let (client, session) = (&self.clients[role as usize], &mut self.sessions[role as usize]);
        let done = self.runtime.block_on(async {
            if session.is_none() {
                let new = client.create_session().await.map_err(|error| (true, error))?;
                *session = Some((new, Instant::now()));
            }
            let (session, _) = session.as_ref().expect("just made");
            let cursor = session.query(statement).await.map_err(|error| (false, error))?;
            cursor.collect::<Vec<DynamicRow>>().await.map_err(|error| (false, error))
        });
        match done {
            Ok(rows) => Ok(rows.into_iter().map(|row| row.into_parts().1.into_vec()).collect()),
            Err((login, error)) => {
                if role == Role::Reader {
                    // Whatever was the matter with it: the next one begins anew.
                    self.sessions[role as usize] = None;
                }
                self.is_missing = error.snowflake_code().is_some_and(|code| MISSING.contains(&code));
                Err(self.explain(what, login, &error))
            }
        }
    }

    /// Leaves the writer's session for good, and with it its transaction. What was sent in it and is still on its way
    /// cannot come into the next transaction, which is another session's.
    pub(super) fn abandon(&mut self) {
        if let Some((session, _)) = self.sessions[Role::Writer as usize].take() {
            // So that its locks go now and not in five minutes. If this fails they go then.
            self.runtime.block_on(async {
                tokio::time::timeout(ABANDON_PATIENCE, session.query("ROLLBACK")).await.ok();
            });
        }
    }

    fn explain(&self, what: &str, login: bool, error: &Error) -> SinkError {
        let place = self.place();
        let cause = with_causes(error);
        if login {
            return self.explain_login(&cause, error);
        }
        let detail = format!("{place}: could not {what}: {cause}");
        match (error.kind(), error.snowflake_code().unwrap_or_default()) {
            (ErrorKind::Network | ErrorKind::Timeout | ErrorKind::SessionExpired, _) => SinkError::Unavailable(detail),
            (_, code) if SESSION_GONE.contains(&code) => SinkError::Unavailable(detail),
            (_, code) if LATER.contains(&code) => SinkError::Unavailable(detail),
            (_, code) if LOCKED.contains(&code) => SinkError::Unavailable(format!(
                "{detail}; another transaction holds the lock: SHOW LOCKS IN ACCOUNT, and SELECT SYSTEM$ABORT_TRANSACTION(ID), \
                 or wait five minutes"
            )),
            (_, "000606") => SinkError::Failed(format!(
                "{detail}; no warehouse is active: set `snowflake.warehouse`, and grant it: `deltamart schema --for snowflake`"
            )),
            (_, code) if code == "003001" || MISSING.contains(&code) => SinkError::Failed(format!(
                "{detail}; the role may lack a grant: `deltamart schema --for snowflake` prints all of them"
            )),
            _ => SinkError::Failed(detail),
        }
    }

    fn explain_login(&self, cause: &str, error: &Error) -> SinkError {
        let (place, user) = (self.place(), &self.user);
        let detail = format!("{place}: could not log in as `{user}`: {cause}");
        match error.kind() {
            ErrorKind::Auth if cause.contains("JWT") => SinkError::Failed(format!(
                "{detail}; the public key of user `{user}` is not registered, or this clock is wrong, or \
                 `snowflake.account` is another one. The fingerprint of our key is {}; DESC USER shows the registered one; \
                 `deltamart snowflake-key` prints the ALTER USER that registers a new one",
                self.fingerprint
            )),
            ErrorKind::Network if ["HTTP 403", "HTTP 404"].iter().any(|status| cause.contains(status)) => {
                SinkError::Failed(format!(
                    "{detail}; there is no such account, or a network policy keeps us out: see `snowflake.account` and \
                     `snowflake.url`"
                ))
            }
            ErrorKind::Network | ErrorKind::Timeout | ErrorKind::SessionExpired => SinkError::Unavailable(detail),
            _ => SinkError::Failed(detail),
        }
    }
}

/// Tokens that are not valid any more, sessions that are gone: the next attempt logs in again.
const SESSION_GONE: [&str; 6] = ["390103", "390104", "390111", "390112", "390114", "390115"];

/// Their own trouble, a statement that was cancelled or took too long, too many at once, a quota that is used up.
const LATER: [&str; 5] = ["000603", "000604", "000629", "000630", "090073"];

/// There is no such object, or not for this role.
const MISSING: [&str; 2] = ["002003", "002043"];

/// Waiting for a lock took too long, or too many wait.
const LOCKED: [&str; 2] = ["000625", "000628"];

fn client_config(config: &Config, key: &Key, role: Role) -> Result<ClientConfig, SinkError> {
    let key_pair = match &key.passphrase {
        Some(passphrase) => KeyPairConfig::from_encrypted_pem(key.pem.clone(), passphrase.clone().into_bytes()),
        None => KeyPairConfig::from_pem(key.pem.clone()),
    };
    let timeout = Duration::from_millis(config.timeout.unsigned_abs());
    // The database may not be there yet, which Snowflake does not mind; every name of ours is whole anyway.
    let mut session = SessionConfig::new()
        .with_database(config.database.clone())
        .with_session_parameter("AUTOCOMMIT", (role == Role::Reader).into())
        .with_session_parameter("QUERY_TAG", config.query_tag.clone().into())
        .with_session_parameter("LOCK_TIMEOUT", LOCK_TIMEOUT_SECONDS.into())
        .with_session_parameter("STATEMENT_TIMEOUT_IN_SECONDS", timeout.as_secs().into())
        // What was begun for somebody who is gone is not finished for him.
        .with_session_parameter("ABORT_DETACHED_QUERY", true.into())
        .with_session_parameter("TIMEZONE", "UTC".into())
        .with_session_parameter("TIMESTAMP_INPUT_FORMAT", "AUTO".into());
    if !config.warehouse.is_empty() {
        session = session.with_warehouse(config.warehouse.clone());
    }
    if !config.role.is_empty() {
        session = session.with_role(config.role.clone());
    }
    // A little longer than Snowflake itself waits: its answer says more.
    let query = QueryConfig::new().with_query_response_timeout(timeout + Duration::from_secs(5));
    let mut client = ClientConfig::new(config.user.clone(), config.account.clone(), AuthConfig::key_pair(key_pair))
        .with_session(session)
        .with_query(query);
    if !config.url.is_empty() {
        let url = url::Url::parse(&config.url)
            .map_err(|error| SinkError::Failed(format!("`snowflake.url`: `{}`: {error}", config.url)))?;
        client = client.with_endpoint(EndpointConfig::custom_base_url(url));
    }
    Ok(client)
}

/// An error with what caused it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}
