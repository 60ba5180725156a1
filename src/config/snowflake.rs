//! Where Snowflake is, who we are there, and how often it is written to.

use super::secret;
use super::wrong::{DAY_MS, SECOND_MS, Wrongs};
use crate::declared::declared;
use serde::{Deserialize, Serialize};

declared! {
    /// Snowflake. Without `account` nothing is written to it.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Snowflake {
        /// The account's identifier: `ORGANIZATION-ACCOUNT`, or a locator with its region, `xy12345.eu-central-1`.
        /// Empty is no Snowflake.
        pub account: String,
        /// The user to log in as, with whom the public key is registered (`deltamart snowflake-key`).
        pub user: String,
        /// Where the user's private key is found, PKCS#8 as PEM: `file:PATH` or `env:NAME`.
        pub private_key: String,
        /// Where the passphrase of the private key is found: `env:NAME` or `file:PATH`. Empty if it has none.
        pub passphrase: String,
        /// The role to act in.
        pub role: String,
        /// The virtual warehouse that computes. Snowflake bills it.
        pub warehouse: String,
        /// The database that the tables are in.
        pub database: String,
        /// The schemas that the tables are in, one per layer.
        pub schemas: Schemas,
        /// Another address than the account's own, for private link: `https://HOST`. Empty is the account's own.
        pub url: String,
        /// The minimum time between two commits; 0 means a commit after every epoch. Each wakes the warehouse: shorter
        /// costs more, longer shows rows later.
        #[serde(with = "crate::instant::span")]
        pub commit_interval: i64,
        /// How long a statement may take, 1s to 1day, before it is given up and tried again.
        #[serde(with = "crate::instant::span")]
        pub timeout: i64,
        /// How many bytes a statement has at the most, up to 16000000. Rows of a table that need more than one are
        /// staged first.
        pub statement_bytes: usize,
        /// The tag under which Snowflake's query history shows our statements.
        pub query_tag: String,
    }
}

declared! {
    /// One schema per layer.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Schemas {
        /// The schema of what came in: accepted events, rejected and late ones.
        pub raw: String,
        /// The schema of users and of the catalog.
        pub clean: String,
        /// The schema of the metrics, and of how far they are.
        pub marts: String,
    }
}

impl Default for Snowflake {
    fn default() -> Snowflake {
        Snowflake {
            account: String::new(),
            user: "DELTAMART".to_owned(),
            private_key: "file:snowflake_key.p8".to_owned(),
            passphrase: String::new(),
            role: "DELTAMART".to_owned(),
            warehouse: "DELTAMART".to_owned(),
            database: "DELTAMART".to_owned(),
            schemas: Schemas::default(),
            url: String::new(),
            commit_interval: 30_000,
            timeout: 5 * 60_000,
            // Larger statements run too, but some proxies refuse them, and the query history cuts them off.
            statement_bytes: 1_000_000,
            query_tag: "deltamart".to_owned(),
        }
    }
}

impl Default for Schemas {
    fn default() -> Schemas {
        Schemas { raw: "RAW".to_owned(), clean: "CLEAN".to_owned(), marts: "MARTS".to_owned() }
    }
}

/// What Snowflake parses as one document may not be larger.
const STATEMENT_BYTES_MAX: usize = 16_000_000;

impl Snowflake {
    /// Whether it is used at all.
    pub fn is_given(&self) -> bool {
        !self.account.is_empty()
    }

    /// Where it is: as configured, else as the account's identifier says. Regions in China have a domain of their own.
    pub fn address(&self) -> String {
        if !self.url.is_empty() {
            return self.url.clone();
        }
        let is_in_china = self.account.to_lowercase().split('.').skip(1).any(|label| label.starts_with("cn-"));
        let domain = if is_in_china { "cn" } else { "com" };
        format!("https://{}.snowflakecomputing.{domain}", self.account)
    }

    /// The account as the login's token has it. One that is shared between regions (`.global`) has a suffix in its address
    /// that is not part of its name.
    pub fn token_account(&self) -> String {
        match self.account.split_once('.') {
            Some((name, region)) if region.to_lowercase().starts_with("global") => {
                name.split('-').next().unwrap_or(name).to_owned()
            }
            _ => self.account.clone(),
        }
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        for (key, place) in [("private_key", &self.private_key), ("passphrase", &self.passphrase)] {
            if !place.is_empty()
                && let Some(why) = secret::wrong(place)
            {
                wrongs.say(&format!("snowflake.{key}"), why);
            }
        }
        if self.account.contains(['/', ':', '@']) || self.account.contains("snowflakecomputing") {
            let why = "is an address; expected the identifier before `.snowflakecomputing.com` (or `.cn`), such as \
                       `MYORG-PROD`";
            wrongs.say("snowflake.account", why);
        }
        if !self.url.is_empty() && !self.url.starts_with("https://") && !self.url.starts_with("http://") {
            wrongs.say("snowflake.url", "expected `https://HOST`, or nothing for the account's own address");
        }
        if self.statement_bytes == 0 || self.statement_bytes > STATEMENT_BYTES_MAX {
            let why = "expected 1 to 16000000: what Snowflake parses as one document";
            wrongs.say("snowflake.statement_bytes", why);
        }
        let because = "what is computed waits in memory for the next commit";
        wrongs.bounded("snowflake.commit_interval", self.commit_interval, 0..=DAY_MS, because);
        let because = "a statement needs some time, and one that hangs is to be sent again";
        wrongs.bounded("snowflake.timeout", self.timeout, SECOND_MS..=DAY_MS, because);
        if !self.is_given() {
            return;
        }
        let required = [
            ("user", &self.user),
            ("private_key", &self.private_key),
            ("database", &self.database),
            ("schemas.raw", &self.schemas.raw),
            ("schemas.clean", &self.schemas.clean),
            ("schemas.marts", &self.schemas.marts),
        ];
        for (key, _) in required.iter().filter(|(_, value)| value.is_empty()) {
            let why = "is empty, and `snowflake.account` is given";
            wrongs.beside(&format!("snowflake.{key}"), &["snowflake.account"], why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_says_where_it_is_and_what_it_is_called() {
        for (account, address, name) in [
            ("MYORG-PROD", "https://MYORG-PROD.snowflakecomputing.com", "MYORG-PROD"),
            ("xy12345.eu-central-1", "https://xy12345.eu-central-1.snowflakecomputing.com", "xy12345.eu-central-1"),
            ("xy12345.cn-north-1", "https://xy12345.cn-north-1.snowflakecomputing.cn", "xy12345.cn-north-1"),
            ("xy-7abc.global", "https://xy-7abc.global.snowflakecomputing.com", "xy"),
            ("cn-org.global", "https://cn-org.global.snowflakecomputing.com", "cn"),
        ] {
            let config = Snowflake { account: account.to_owned(), ..Snowflake::default() };
            assert_eq!((config.address(), config.token_account()), (address.to_owned(), name.to_owned()), "{account}");
        }
        let url = "https://x.privatelink.snowflakecomputing.com".to_owned();
        assert_eq!(Snowflake { url: url.clone(), ..Snowflake::default() }.address(), url);
    }
}
