//! What was meant: one configuration, from a file, the environment and flags, checked once.

mod explain;
pub mod feed;
pub mod kafka;
pub mod publish;
pub mod retention;
pub mod secret;
pub mod snowflake;

use crate::instant::span;
use crate::rules::Rules;
use dataflows::shop::settings::Thresholds;
use dataflows::table::Tables;
use explain::explain;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The variables that configure us begin with this: `DELTAMART__LATENESS=24h`.
const ENVIRONMENT: &str = "DELTAMART__";
/// The file that is read if it is there and none is named.
const DEFAULT_FILE: &str = "deltamart.toml";

/// A clock may be fast, not in another age.
const MAX_FUTURE_MS_MAX: i64 = 366 * 24 * 3_600_000;

/// All settings. Durations are written `250ms`, `2min`, `48h`, `7d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Threads that compute.
    pub workers: usize,
    /// The warehouse file.
    pub warehouse: PathBuf,
    /// Whether the raw tables are written.
    pub raw: bool,
    /// How often epochs close.
    #[serde(with = "span")]
    pub epoch_interval: i64,
    /// An epoch with so many records closes at once.
    pub epoch_events: usize,
    /// How many closed epochs may be unacknowledged.
    pub epochs_in_flight: u64,
    /// How many bytes may wait for the warehouse; an epoch with so many bytes closes at once.
    pub pending_bytes: usize,
    /// The least time between two commits.
    #[serde(with = "span")]
    pub commit_interval: i64,
    /// Where journal and snapshots are kept: a folder, or the URL of a bucket. Empty is beside the warehouse:
    /// its name, and `.state`.
    pub state_dir: String,
    /// How often a snapshot is taken: what is journaled after it is read again after a crash.
    #[serde(with = "span")]
    pub snapshot_interval: i64,
    /// The least time between two objects of the journal; in a bucket every object is paid for.
    #[serde(with = "span")]
    pub journal_interval: i64,
    /// How far events may be out of order before the watermark passes them.
    #[serde(with = "span")]
    pub out_of_orderness: i64,
    /// For how long a partition must be at its end to be left out of the watermark.
    #[serde(with = "span")]
    pub idle_timeout: i64,
    /// How late an event may be and still correct a metric; `unlimited`, and nothing expires.
    #[serde(with = "limit")]
    pub lateness: Option<i64>,
    /// How late a catalog version may be and still take effect at its own time.
    #[serde(with = "limit")]
    pub catalog_lateness: Option<i64>,
    /// After how long a session without a sign-out has ended; 0 is never, and then users who never
    /// sign out stay in memory.
    #[serde(with = "span")]
    pub session_timeout: i64,
    /// A cart id silent for so long is another cart afterwards.
    #[serde(with = "span")]
    pub cart_ttl: i64,
    /// How far back an item's earliest price counts for what was sold before it.
    #[serde(with = "span")]
    pub price_backfill: i64,
    /// Which upsert tables are kept: a list of names, or `all`.
    #[serde(deserialize_with = "one_or_many")]
    pub tables: Vec<String>,
    /// Whether a file is read none of whose first records is valid; all of it may be rejected then.
    pub accept_rejects: bool,
    /// Whether a run begins although another one may be under way: for orchestrators that know better.
    pub take_over: bool,
    /// Where the segments of users begin.
    pub segments: Segments,
    /// The bounds of what is accepted.
    pub rules: Rules,
    /// The simulated shop.
    pub simulate: Simulate,
    /// Kafka.
    pub kafka: kafka::Kafka,
    /// The Schema Registry.
    pub registry: kafka::Registry,
    /// Tables as compacted topics of Kafka.
    pub publish: publish::Publish,
    /// The Parquet feed.
    pub feed: feed::Feed,
    /// Snowflake.
    pub snowflake: snowflake::Snowflake,
    /// For how long raw, rejected and late rows are kept.
    pub retention: retention::Retention,
}

/// Where the segments of users begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segments {
    /// Who spent so many cents within `high_value_within` is of high value.
    pub high_value_cents: i64,
    /// See `high_value_cents`.
    #[serde(with = "span")]
    pub high_value_within: i64,
    /// Who abandoned so many carts within `abandoned_within` abandons carts.
    pub abandoned_carts: i64,
    /// A cart is abandoned so long after its last add without a checkout.
    #[serde(with = "span")]
    pub abandoned_after: i64,
    /// See `abandoned_carts`.
    #[serde(with = "span")]
    pub abandoned_within: i64,
    /// Who looked at so many items within `frequent_within` browses frequently.
    pub frequent_views: i64,
    /// See `frequent_views`.
    #[serde(with = "span")]
    pub frequent_within: i64,
    /// Who registered within so long is new.
    #[serde(with = "span")]
    pub new_within: i64,
    /// Who did nothing for so long is inactive.
    #[serde(with = "span")]
    pub inactive_after: i64,
}

impl Default for Segments {
    fn default() -> Segments {
        let thresholds = Thresholds::default();
        Segments {
            high_value_cents: thresholds.high_value_cents,
            high_value_within: thresholds.high_value_within_ms,
            abandoned_carts: thresholds.abandoned_carts,
            abandoned_after: thresholds.abandoned_after_ms,
            abandoned_within: thresholds.abandoned_within_ms,
            frequent_views: thresholds.frequent_views,
            frequent_within: thresholds.frequent_within_ms,
            new_within: thresholds.new_within_ms,
            inactive_after: thresholds.inactive_after_ms,
        }
    }
}

impl Segments {
    /// As the dataflow takes them.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            high_value_cents: self.high_value_cents,
            high_value_within_ms: self.high_value_within,
            abandoned_carts: self.abandoned_carts,
            abandoned_after_ms: self.abandoned_after,
            abandoned_within_ms: self.abandoned_within,
            frequent_views: self.frequent_views,
            frequent_within_ms: self.frequent_within,
            new_within_ms: self.new_within,
            inactive_after_ms: self.inactive_after,
        }
    }
}

/// In `tables`: every one.
const ALL_TABLES: &str = "all";

/// The simulated shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulate {
    /// How many records, the catalog not counted.
    pub events: u64,
    /// How many a second; 0 is as fast as they are taken.
    pub rate: u64,
    /// The same seed makes the same events.
    pub seed: u64,
    /// How many days they span.
    pub days: u32,
    /// The first of them: ISO 8601.
    #[serde(with = "crate::instant::iso")]
    pub start: i64,
    /// How many per mille of visits are by somebody new, who registers.
    pub new_user_permille: f64,
    /// A visit looks at one item at least, and at so many at most.
    pub views_max: u32,
    /// How many per mille of what is looked at goes into the cart.
    pub add_permille: f64,
    /// How many per mille of carts with something in them are checked out in the visit.
    pub checkout_permille: f64,
    /// How many per mille of the other visits end with a finished purchase.
    pub purchase_permille: f64,
    /// How many per mille of what is bought is rated.
    pub rating_permille: f64,
    /// How many per mille of visits end with a sign-out.
    pub sign_out_permille: f64,
    /// How many per mille come out of order, within `out_of_orderness`.
    pub out_of_order_permille: f64,
    /// How many per mille come late, by hours, within `lateness`.
    pub late_permille: f64,
    /// How many per mille come too late.
    pub too_late_permille: f64,
    /// How many per mille come twice.
    pub duplicate_permille: f64,
    /// How many per mille are malformed.
    pub malformed_permille: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            workers: 1,
            warehouse: PathBuf::from("deltamart.db"),
            raw: true,
            epoch_interval: 250,
            epoch_events: 262_144,
            epochs_in_flight: 8,
            pending_bytes: 64 << 20,
            commit_interval: 250,
            state_dir: String::new(),
            snapshot_interval: 5 * 60_000,
            journal_interval: 0,
            out_of_orderness: 2 * 60_000,
            idle_timeout: 30_000,
            lateness: Some(48 * 3_600_000),
            catalog_lateness: Some(24 * 3_600_000),
            session_timeout: 24 * 3_600_000,
            cart_ttl: 30 * 24 * 3_600_000,
            price_backfill: 7 * 24 * 3_600_000,
            tables: vec![ALL_TABLES.to_owned()],
            accept_rejects: false,
            take_over: false,
            segments: Segments::default(),
            rules: Rules::default(),
            simulate: Simulate::default(),
            kafka: kafka::Kafka::default(),
            registry: kafka::Registry::default(),
            publish: publish::Publish::default(),
            feed: feed::Feed::default(),
            snowflake: snowflake::Snowflake::default(),
            retention: retention::Retention::default(),
        }
    }
}

impl Default for Simulate {
    fn default() -> Simulate {
        Simulate {
            events: 200_000,
            rate: 20_000,
            seed: 1,
            days: 3,
            start: 1_767_571_200_000,
            new_user_permille: 500.0,
            views_max: 8,
            add_permille: 300.0,
            checkout_permille: 600.0,
            purchase_permille: 60.0,
            rating_permille: 250.0,
            sign_out_permille: 850.0,
            out_of_order_permille: 50.0,
            late_permille: 5.0,
            too_late_permille: 0.5,
            duplicate_permille: 2.0,
            malformed_permille: 1.0,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads the configuration: defaults, then the file, then the environment, then `--set`.
    ///
    /// # Errors
    /// If a value cannot be used: where it stands and what would be right.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Config, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        match file {
            Some(file) if !file.is_file() => {
                return Err(ConfigError(format!("configuration file `{}` does not exist", file.display())));
            }
            Some(file) => figment = figment.merge(toml_file(file)?),
            None if Path::new(DEFAULT_FILE).is_file() => figment = figment.merge(toml_file(Path::new(DEFAULT_FILE))?),
            None => {}
        }
        figment = figment.merge(Env::prefixed(ENVIRONMENT).split("__"));
        for (n, set) in sets.iter().enumerate() {
            // Not repeated: who forgets the key has typed a value.
            let wrong = |why: &str| ConfigError(format!("`--set`, number {}: {why}: write `--set key=value`", n + 1));
            let (key, value) = set.split_once('=').ok_or_else(|| wrong("has no value"))?;
            let set = named(key.trim(), value.trim()).ok_or_else(|| wrong("what stands before `=` is no key"))?;
            figment = figment.merge(set);
        }
        let config: Config = figment.extract().map_err(|error| ConfigError(explain(&error)))?;
        config.check()?;
        Ok(config)
    }

    /// What no single value can show to be wrong.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, why: String| Err(ConfigError(format!("setting `{key}`: {why}")));
        if !(1..=1024).contains(&self.workers) {
            return wrong("workers", format!("is {}; expected 1 to 1024 (`-w`)", self.workers));
        }
        if self.epoch_events == 0 || self.epochs_in_flight == 0 {
            return wrong("epoch_events, epochs_in_flight", "must be at least 1".to_owned());
        }
        if let Some(lateness) = self.lateness.filter(|lateness| self.rules.time.max_future >= *lateness) {
            let (future, lateness) = (span::show(self.rules.time.max_future), span::show(lateness));
            let why = format!(
                "is {future}, but must be less than `lateness` ({lateness}): one fast clock would make everybody else late"
            );
            return wrong("rules.max_future", why);
        }
        if self.cart_ttl == 0 {
            return wrong("cart_ttl", "must be longer than nothing: every event would be a cart of its own".to_owned());
        }
        self.kept_tables()?;
        for (key, url) in [
            ("state_dir", &self.state_dir),
            ("feed.path", &self.feed.path),
            ("snowflake.url", &self.snowflake.url),
            ("kafka.brokers", &self.kafka.brokers),
            ("publish.brokers", &self.publish.brokers),
        ] {
            if (url.contains("://") || key.ends_with("brokers")) && url.contains(['@', '?']) {
                let why = "holds a password, or so it seems: an address without `@` and `?` is expected, and what is secret \
                           in the environment or in files of its own";
                return wrong(key, why.to_owned());
            }
        }
        let other = self.kafka.wrong().or_else(|| self.registry.wrong()).or_else(|| self.feed.wrong());
        let other = other.or_else(|| self.publish.wrong(&self.kafka, &self.registry.url));
        if let Some((key, why)) = other.or_else(|| self.snowflake.wrong()).or_else(|| self.retention.wrong()) {
            return wrong(&key, why);
        }
        if self.rules.time.min_event_time < 0 {
            return wrong("rules.min_event_time", "expected 1970-01-01 or later".to_owned());
        }
        if self.rules.time.max_future > MAX_FUTURE_MS_MAX {
            return wrong("rules.max_future", "expected a year at the most".to_owned());
        }
        if self.rules.shop.user_id.0 > self.rules.shop.user_id.1
            || !(1..=i64::MAX as u64).contains(&self.rules.shop.user_id.1)
        {
            return wrong("rules.user_id", "expected [smallest, largest], the largest at least 1".to_owned());
        }
        if self.rules.shop.age.0 > self.rules.shop.age.1 {
            return wrong("rules.age", "expected [smallest, largest]".to_owned());
        }
        let zero = |what: u64| what == 0;
        let simulate = &self.simulate;
        for (key, is_zero) in [
            ("days", zero(simulate.days.into())),
            ("events", zero(simulate.events)),
            ("views_max", zero(simulate.views_max.into())),
        ] {
            if is_zero {
                return wrong(&format!("simulate.{key}"), "must be at least 1".to_owned());
            }
        }
        for (key, permille) in [
            ("new_user", simulate.new_user_permille),
            ("add", simulate.add_permille),
            ("checkout", simulate.checkout_permille),
            ("purchase", simulate.purchase_permille),
            ("rating", simulate.rating_permille),
            ("sign_out", simulate.sign_out_permille),
            ("out_of_order", simulate.out_of_order_permille),
            ("late", simulate.late_permille),
            ("too_late", simulate.too_late_permille),
            ("duplicate", simulate.duplicate_permille),
            ("malformed", simulate.malformed_permille),
        ] {
            if !(0.0..=1000.0).contains(&permille) {
                return wrong(&format!("simulate.{key}_permille"), format!("is {permille}; expected 0 to 1000"));
            }
        }
        Ok(())
    }

    /// The upsert tables that are kept.
    ///
    /// # Errors
    /// If a name is no upsert table's.
    pub fn kept_tables(&self) -> Result<Tables, ConfigError> {
        if self.tables.iter().any(|name| name == ALL_TABLES) {
            return Ok(Tables::ALL);
        }
        let upserts: Vec<_> = crate::families::all().metrics().iter().map(|(id, _)| *id).collect();
        let known = |(n, name): (usize, &String)| {
            upserts.iter().copied().find(|id| id.table().name == name).ok_or_else(|| {
                let (n, names): (_, Vec<_>) = (n + 1, upserts.iter().map(|id| id.table().name).collect());
                let why =
                    format!("name {n} is no upsert table; expected `{ALL_TABLES}`, or some of {}", names.join(", "));
                ConfigError(format!("setting `tables`: {why}"))
            })
        };
        if self.tables.is_empty() {
            return Err(ConfigError(format!("setting `tables`: is empty; expected `{ALL_TABLES}` or names of tables")));
        }
        self.tables.iter().enumerate().map(known).collect()
    }

    /// Where state is kept: as configured, or beside the warehouse.
    pub fn state_place(&self) -> String {
        if self.state_dir.is_empty() { format!("{}.state", self.warehouse.display()) } else { self.state_dir.clone() }
    }

    /// The configuration as it may be shown: as [`Config::to_toml`], but of properties that are not known to be
    /// harmless only the names.
    pub fn to_shown_toml(&self) -> String {
        let mut shown = self.clone();
        for properties in [&mut shown.kafka.properties, &mut shown.publish.properties] {
            let hidden = properties.iter_mut().filter(|(key, _)| !kafka::is_harmless(key));
            hidden.for_each(|(_, value)| "(not shown)".clone_into(value));
        }
        shown.to_toml()
    }

    /// The configuration as a file that would give it.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("the configuration is made of what TOML has")
    }
}

/// A file of settings, if it is TOML.
fn toml_file(path: &Path) -> Result<figment::providers::Data<Toml>, ConfigError> {
    let wrong = |why: String| ConfigError(format!("configuration file `{}`{why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!(": could not be read: {error}")))?;
    // Read twice: figment would repeat the line that is wrong.
    toml::from_str::<toml::Table>(&text).map_err(|error| wrong(explain::broken(&text, &error)))?;
    Ok(Toml::file_exact(path))
}

/// `--set key=value`: the value as TOML would read it, or else as text; nothing if the key is none.
fn named(key: &str, value: &str) -> Option<figment::providers::Data<Toml>> {
    let parses = |text: &str| toml::from_str::<toml::Table>(text).is_ok();
    let as_text = || format!("{key} = {}", toml::Value::String(value.to_owned()));
    let text = Some(format!("{key} = {value}")).filter(|nested| parses(nested)).unwrap_or_else(as_text);
    parses(&text).then(|| Toml::string(&text))
}

/// A list of names, or one name.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected `all`, or a list of names such as [\"users\"]")]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    })
}

mod limit {
    use serde::{Deserializer, Serializer, de::Error};

    const UNLIMITED: &str = "unlimited";

    pub(super) fn serialize<S: Serializer>(limit: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match limit {
            Some(ms) => crate::instant::span::serialize(ms, serializer),
            None => serializer.serialize_str(UNLIMITED),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        let text = deserializer.deserialize_str(crate::instant::span::Duration)?;
        if text.trim() == UNLIMITED {
            return Ok(None);
        }
        crate::instant::span::parse(&text).map(Some).map_err(|why| D::Error::custom(format!("{why}, or `{UNLIMITED}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::table;

    fn load(sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        Config::load(None, &sets).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_set_and_shown() {
        let config =
            load(&["lateness=unlimited", "workers=3", "epoch_interval=1s", "rules.user_id=[1, 5]"]).expect("good");
        assert_eq!((config.lateness, config.workers, config.epoch_interval), (None, 3, 1000));
        assert_eq!(config.rules.shop.user_id, (1, 5));
        assert_eq!(load(&["feed.retention=30d"]).expect("good").feed.retention, Some(30 * 24 * 3_600_000));
        let config = Config { retention: load(&["retention.raw=30d"]).expect("good").retention, ..config };
        assert_eq!((config.retention.raw, config.retention.late), (Some(30 * 24 * 3_600_000), None));
        let again: Config = toml::from_str(&config.to_toml()).expect("reads what it writes");
        assert_eq!(again, config);
    }

    #[test]
    fn an_instant_is_one_with_or_without_quotes() {
        let written = ["2026-01-05", "2026-01-05T00:00:00Z", "\"2026-01-05T00:00:00Z\"", "2026-01-05T01:00:00+01:00"];
        for at in written {
            let config = load(&[&format!("simulate.start={at}"), &format!("kafka.start={at}")]).expect(at);
            assert_eq!(crate::instant::show(config.simulate.start), "2026-01-05T00:00:00.000Z");
            assert_eq!(config.kafka.start(), Ok(kafka::Start::At(config.simulate.start)), "{at}");
        }
    }

    #[test]
    fn tables_are_all_one_or_some() {
        let kept = |set: &str| load(&[set]).expect("good").kept_tables().expect("known");
        assert_eq!(kept("tables=all"), Tables::ALL);
        assert!(kept("tables=users").contains(table("users")));
        assert!(!kept("tables=[\"users\", \"movies_catalog\"]").contains(table("session_metrics")));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        for (set, said) in [
            ("tables=[]", "`tables`: is empty"),
            ("tables=[\"users\", \"userz\"]", "`tables`: name 2 is no upsert table"),
            ("tables=5", "expected `all`, or a list of names"),
            ("lateness=soon", "`lateness`: is no duration; write it as"),
            ("lateness=24", "a duration with its unit"),
            ("latenes=1h", "unknown field: found `latenes`"),
            ("workers=many", "`workers`: is text; expected a whole number"),
            ("workers=0", "`workers`: is 0"),
            ("rules.max_future=3d", "`rules.max_future`: is 3days"),
            ("simulate.late_permille=2000.0", "simulate.late_permille"),
            ("feed.merge_runs=1", "`feed.merge_runs`: must be at least 2"),
            ("feed.retention=long", "`feed.retention`: is no duration"),
            ("retention.raw=30", "`retention.raw`: is a number; expected a duration with its unit"),
            ("retention.late=30days ago", "`retention.late`: is no duration"),
            ("retention.late=soon", "or `keep`"),
            ("retention.rejected=0s", "`retention.rejected`: must be longer than nothing"),
            ("retention.catalog=30d", "unknown field"),
            ("lateness", "number 1: has no value"),
            ("late ness=1h", "what stands before `=` is no key"),
            ("state_dir=s3://me:MIIEvQ@bucket", "`state_dir`: holds a password"),
            ("rules.age=5", "is a number; expected two values"),
            ("snowflake.private_key=MIIEvQ", "`snowflake.private_key`: does not say where it is found"),
            ("snowflake.account=https://x.snowflakecomputing.com", "is an address"),
            ("snowflake.commit_interval=30", "a duration with its unit"),
            ("snowflake.statement_bytes=0", "expected 1 to 16000000"),
        ] {
            let error = load(&[set]).expect_err(set);
            assert!(error.contains(said) && !error.contains("MIIE"), "{set}: {error}");
        }
    }
}
