//! Sessions: logging in, and statements one by one.

use super::ddl::identifier;
use super::key::Key;
use super::trouble::{self, Logins, Slow, with_causes};
use crate::config::snowflake::Snowflake as Config;
use crate::sink::SinkError;
use snowflake_connector_rs::{
    AuthConfig, CellValue, Client, ClientConfig, DynamicRow, EndpointConfig, KeyPairConfig, QueryConfig, Session,
    SessionConfig, Statement,
};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// For how long a statement waits for the lock of another transaction. One whose process has died is ended by
/// Snowflake when it has stood in somebody's way for five minutes: until then we try again.
const LOCK_TIMEOUT_SECONDS: u64 = 60;

/// A token is good for an hour. Before that we log in again, and never within a transaction.
const SESSION_AGE_MAX: Duration = Duration::from_secs(45 * 60);

/// How long a ROLLBACK on the way out may take, and asking to cancel what we have given up.
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
    /// Each statement by itself: DDL, staging, and reading rows. What others commit after it began it may see later.
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
    logins: Logins,
    slow: Slow,
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
            logins: Logins::default(),
            slow: Slow::default(),
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

    /// What is asked next is asked in a new session: that one sees all that was committed before it begins. Of other
    /// sessions Snowflake does not promise it (READ_CONSISTENCY_MODE).
    pub(super) fn renew(&mut self, role: Role) {
        self.sessions[role as usize] = None;
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
        let mut statement = Statement::new_positional(sql.clone());
        for bind in binds {
            statement = match bind {
                Bind::Text(text) => statement.bind(text),
                Bind::Integer(number) => statement.bind(number),
            };
        }
        let (client, session) = (&self.clients[role as usize], &mut self.sessions[role as usize]);
        if role == Role::Reader {
            session.take_if(|(_, since)| since.elapsed() > SESSION_AGE_MAX);
        }
        let logins = &mut self.logins;
        let done = self.runtime.block_on(async {
            if session.is_none() {
                let new = client.create_session().await.map_err(|error| (true, error))?;
                logins.worked();
                *session = Some((new, Instant::now()));
            }
            let (session, _) = session.as_ref().expect("just made");
            let query = session.query_handle(statement).map_err(|error| (false, error))?;
            let canceller = query.canceller();
            let rows = async { query.execute().await?.collect::<Vec<DynamicRow>>().await };
            let rows = rows.await;
            if rows.as_ref().is_err_and(trouble::is_abandoned) {
                // Else it goes on, and is paid for, until it is done.
                tokio::time::timeout(ABANDON_PATIENCE, canceller.cancel()).await.ok();
            }
            rows.map_err(|error| (false, error))
        });
        match done {
            Ok(rows) => {
                self.slow.done(what);
                Ok(rows.into_iter().map(|row| row.into_parts().1.into_vec()).collect())
            }
            Err((is_login, error)) => {
                if role == Role::Reader {
                    // Whatever was the matter with it: the next one begins from nothing.
                    self.renew(role);
                }
                self.is_missing = trouble::is_missing(&error);
                let (place, user, cause) = (self.place(), &self.user, with_causes(&error));
                if is_login {
                    let detail = format!("{place}: could not log in as `{user}`: {cause}");
                    let may_wait = self.logins.refused(Instant::now());
                    return Err(trouble::of_login(user, &self.fingerprint, may_wait, detail, &error));
                }
                let detail = format!("{place}: could not {what}: {cause}");
                Err(trouble::of_statement(&mut self.slow, what, &sql, detail, &error))
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
}

fn client_config(config: &Config, key: &Key, role: Role) -> Result<ClientConfig, SinkError> {
    let key_pair = match &key.passphrase {
        Some(passphrase) => KeyPairConfig::from_encrypted_pem(key.pem.clone(), passphrase.clone().into_bytes()),
        None => KeyPairConfig::from_pem(key.pem.clone()),
    };
    let timeout = Duration::from_millis(config.timeout.unsigned_abs());
    // The database may not be there yet, which Snowflake does not mind; every name of ours is whole anyway.
    let mut session = SessionConfig::new()
        .with_database(login_name(&config.database))
        .with_session_parameter("AUTOCOMMIT", (role == Role::Reader).into())
        .with_session_parameter("QUERY_TAG", config.query_tag.clone().into())
        .with_session_parameter("LOCK_TIMEOUT", LOCK_TIMEOUT_SECONDS.into())
        .with_session_parameter("STATEMENT_TIMEOUT_IN_SECONDS", timeout.as_secs().into())
        // What was begun for somebody who is gone is not finished for him.
        .with_session_parameter("ABORT_DETACHED_QUERY", true.into())
        .with_session_parameter("TIMEZONE", "UTC".into())
        .with_session_parameter("TIMESTAMP_INPUT_FORMAT", "AUTO".into());
    if !config.warehouse.is_empty() {
        session = session.with_warehouse(login_name(&config.warehouse));
    }
    if !config.role.is_empty() {
        session = session.with_role(login_name(&config.role));
    }
    // A little longer than Snowflake itself waits: its answer says more.
    let query = QueryConfig::new().with_query_response_timeout(timeout + Duration::from_secs(5));
    let url = url::Url::parse(&config.address())
        .map_err(|error| SinkError::Failed(format!("`snowflake.url`: `{}`: {error}", config.address())))?;
    Ok(ClientConfig::new(token_user(&config.user), config.token_account(), AuthConfig::key_pair(key_pair))
        .with_session(session)
        .with_query(query)
        .with_endpoint(EndpointConfig::custom_base_url(url)))
}

/// A name as the login has it: quoted only where it must be, and then as in our statements.
fn login_name(text: &str) -> String {
    let quoted = identifier(text);
    let plain = &quoted[1..quoted.len() - 1];
    let is_plain = plain.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && plain.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_plain { plain.to_owned() } else { quoted }
}

/// The user as the token has it: without quotes. The connector puts it into upper case, as Snowflake asks of a token.
fn token_user(text: &str) -> String {
    let quoted = identifier(text);
    quoted[1..quoted.len() - 1].replace("\"\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_the_login_and_in_statements() {
        for (text, login, user) in [
            ("loader", "LOADER", "LOADER"),
            ("my-wh", "\"MY-WH\"", "MY-WH"),
            ("\"my wh\"", "\"my wh\"", "my wh"),
            ("\"LOADER\"", "LOADER", "LOADER"),
            ("5x", "\"5X\"", "5X"),
            ("a\"b", "\"A\"\"B\"", "A\"B"),
        ] {
            assert_eq!((login_name(text), token_user(text)), (login.to_owned(), user.to_owned()), "{text}");
        }
    }
}
