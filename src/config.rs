//! What was meant: one configuration, from a file, the environment and flags, checked once.

pub mod archive;
mod check;
pub mod clean;
pub mod cluster;
pub mod events;
mod explain;
pub mod feed;
pub mod hosts;
pub mod kafka;
mod layers;
pub mod load;
pub mod origin;
mod otherwise;
pub mod paths;
pub mod publish;
pub mod quality;
pub mod retention;
pub mod secret;
pub mod serve;
pub mod settings;
pub mod simulate_model;
pub mod snowflake;
pub mod watch;
pub mod written;
mod wrong;

use crate::declared::declared;
use crate::instant::span;
use crate::rules::Rules;
use dataflows::shop::settings::Thresholds;
use dataflows::table::Tables;
use dataflows::wire::nearest;
pub use load::{ConfigError, Loaded};
pub use origin::{Flag, Origin};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The variables that configure us begin with this: `DELTAMART__LATENESS=24h`.
const ENVIRONMENT: &str = "DELTAMART__";
/// What `warehouse` is where there is no SQLite file.
const NO_WAREHOUSE: &str = "none";
/// The file that is read if it is there and none is named.
pub const DEFAULT_FILE: &str = "deltamart.toml";

declared! {
    /// All settings. Durations are written `250ms`, `2min`, `48h`, `7d`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Config {
        /// The number of threads that compute, 1 to 1024. More threads help only if the machine has more cores.
        pub workers: usize,
        /// The SQLite file that rows go to. It is created if it does not exist; its folder must exist. `:memory:` keeps
        /// the rows in memory only: they are lost at the end. With `none` there is no such file, and the Parquet feed
        /// (`feed.path`) is what a run goes on from.
        pub warehouse: PathBuf,
        /// The folder of the model: events that are declared in files of TOML, and metrics that are declared in files
        /// of SQL. `store` and `media` are models that come with deltamart; a folder of such a name is written `./store`.
        /// If there is no folder `model`, there is no model.
        pub model: PathBuf,
        /// Whether every accepted event is kept in a raw table too. Without them `verify` cannot work, and the
        /// warehouse is smaller.
        pub raw: bool,
        /// How often an epoch closes, 1ms to 1day. The records of an epoch are computed and committed together. If it
        /// is longer, rows appear later; if it is shorter, more CPU is used.
        #[serde(with = "span")]
        pub epoch_interval: i64,
        /// An epoch that has this many records closes before its time. A larger number takes more memory.
        pub epoch_events: usize,
        /// How many closed epochs may wait for their commit before reading stops. A larger number takes more memory.
        pub epochs_in_flight: u64,
        /// How many bytes may wait for the warehouse before reading stops; an epoch that has this many closes before
        /// its time. A larger number takes more memory.
        pub pending_bytes: usize,
        /// The least time between two commits to the warehouse; 0 is after every epoch. Longer shows rows later,
        /// shorter writes more often.
        #[serde(with = "span")]
        pub commit_interval: i64,
        /// Where journal and snapshots are kept: a folder, or the URL of a bucket. If it is empty, the folder is next
        /// to the warehouse, or to the feed where that is alone, and has its name, with `.state` at the end.
        pub state_dir: String,
        /// How often a snapshot of the state is taken; 0 is after every epoch. A start reads again everything since the
        /// last one: longer makes starts slower, shorter writes more.
        #[serde(with = "span")]
        pub snapshot_interval: i64,
        /// The least time between two objects of the journal; 0 is one for every epoch. Longer shows rows later; in a
        /// bucket you pay for every object.
        #[serde(with = "span")]
        pub journal_interval: i64,
        /// How far the watermark stays behind the newest event of a partition, because events come out of order. If it
        /// is longer, windows are final later.
        #[serde(with = "span")]
        pub out_of_orderness: i64,
        /// If a partition has no new records for so long, the watermark does not wait for it any more; 0 means at once.
        /// Until then it delays the others. Events that come in it later may be late.
        #[serde(with = "span")]
        pub idle_timeout: i64,
        /// How far behind the watermark an event may be and still correct a metric; later events are stored in
        /// `late_events`. `unlimited` takes everything, and memory grows with the input.
        #[serde(with = "limit")]
        pub lateness: Option<i64>,
        /// How far behind the watermark a version of an item may be and still be valid from its own time; a later one
        /// is valid from the watermark minus this. With `unlimited` all versions stay in memory.
        #[serde(with = "limit")]
        pub catalog_lateness: Option<i64>,
        /// A session without a sign-out ends so long after its sign-in. 0 means never; then users who never sign out
        /// stay in memory.
        #[serde(with = "span")]
        pub session_timeout: i64,
        /// If a cart id has no event for so long, its next event begins another cart. Longer keeps carts in memory
        /// longer.
        #[serde(with = "span")]
        pub cart_ttl: i64,
        /// If an item was sold before it had a price, its earliest price counts for sales up to so long before that
        /// price; 0 means not at all. If it is longer, sales stay open longer.
        #[serde(with = "span")]
        pub price_backfill: i64,
        /// Which tables of metrics are kept: `all`, or a list of names such as `["users"]`. Fewer take less time
        /// and memory.
        #[serde(deserialize_with = "one_or_many")]
        pub tables: Vec<String>,
        /// Whether a file is read although none of its first records is valid; all of it may be rejected then.
        pub accept_rejects: bool,
        /// Whether a run begins although another one may be active. Set it only where another system guarantees that
        /// the other run has ended, or is to end.
        pub take_over: bool,
        /// These settings decide the segment of a user. If several segments fit, the first one counts: high value,
        /// abandons carts, browses frequently, new, inactive.
        pub segments: Segments,
        /// The limits of what is accepted. A record beyond them is rejected, and kept with the reason.
        pub rules: Rules,
        /// The movie shop's events under the names of your records. `deltamart schema --events` prints an example of each
        /// event as it is read then.
        pub events: events::Events,
        /// The simulated shop: for `run` without files and without Kafka, and for `simulate`.
        pub simulate: Simulate,
        /// Events of the families of a model: for `simulate --model`.
        pub simulate_model: simulate_model::SimulateModel,
        /// A folder that is watched (`run --watch FOLDER`).
        pub watch: watch::Watch,
        /// The brokers that events are read from. Without `brokers` nothing is read from Kafka.
        pub kafka: kafka::Kafka,
        /// The Schema Registry, which knows how records of Kafka are written.
        pub registry: kafka::Registry,
        /// Tables as compacted topics of Kafka. Without `prefix` nothing is published.
        pub publish: publish::Publish,
        /// Tables as Parquet files, in a folder or a bucket. Without `path` there are none.
        pub feed: feed::Feed,
        /// Accepted records as they came, as Parquet files. Without `path` there is no archive.
        pub archive: archive::Archive,
        /// Accepted events, typed and once, as Parquet files in a folder for each day. Without `path` there are none.
        pub clean: clean::Clean,
        /// Snowflake as a warehouse beside the SQLite file. Without `account` nothing is written to it.
        pub snowflake: snowflake::Snowflake,
        /// For how long raw, rejected and late rows are kept. It changes no metric: metrics come from the state, not
        /// from these rows.
        pub retention: retention::Retention,
        /// How much of what comes must be valid.
        pub quality: quality::Quality,
        /// The page, the API and the metrics, while a run works. They only read.
        pub serve: serve::Serve,
        /// One run of several processes, which compute together (`run -n`).
        pub cluster: cluster::Cluster,
    }
}

declared! {
    /// Where the segments of users begin.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Segments {
        /// A user who spent at least this many cents within `high_value_within` is of high value.
        pub high_value_cents: i64,
        /// Only what a user spent within this time counts for `high_value_cents`. Longer keeps more in memory.
        #[serde(with = "span")]
        pub high_value_within: i64,
        /// A user with at least this many abandoned carts at the same time abandons carts.
        pub abandoned_carts: i64,
        /// A cart is abandoned so long after the last item was added, if there was no checkout; 0 means at once.
        #[serde(with = "span")]
        pub abandoned_after: i64,
        /// For how long an abandoned cart counts for `abandoned_carts`; 0 is not at all. Longer keeps more in
        /// memory.
        #[serde(with = "span")]
        pub abandoned_within: i64,
        /// A user who looked at items at least this many times within `frequent_within` browses frequently.
        pub frequent_views: i64,
        /// For how long a look at an item counts for `frequent_views`. Longer keeps more in memory.
        #[serde(with = "span")]
        pub frequent_within: i64,
        /// A user is new for this long after the registration; 0 is not at all.
        #[serde(with = "span")]
        pub new_within: i64,
        /// A user who did nothing for this long is inactive.
        #[serde(with = "span")]
        pub inactive_after: i64,
    }
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

declared! {
    /// The simulated shop.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Simulate {
        /// How many events are made; the catalog is not counted.
        pub events: u64,
        /// How many events come in a second; 0 is as fast as they are taken.
        pub rate: u64,
        /// The same seed, with the same settings, makes the same events.
        pub seed: u64,
        /// How many days of event time the events span, 1 or more.
        pub days: u32,
        /// When the first day begins, as ISO 8601.
        #[serde(with = "crate::instant::iso")]
        pub start: i64,
        /// Of 1000 visits, how many are by somebody new, who registers.
        pub new_user_permille: f64,
        /// How many items are looked at in a visit at the most; the minimum is 1.
        pub views_max: u32,
        /// Of 1000 items that are looked at, how many go into the cart.
        pub add_permille: f64,
        /// Of 1000 visits with something in the cart, how many end with a checkout.
        pub checkout_permille: f64,
        /// Of 1000 visits without a checkout, how many end with a finished purchase.
        pub purchase_permille: f64,
        /// Of 1000 items that are bought, how many are rated.
        pub rating_permille: f64,
        /// Of 1000 visits, how many end with a sign-out.
        pub sign_out_permille: f64,
        /// Of 1000 events, how many come out of order, within `out_of_orderness`.
        pub out_of_order_permille: f64,
        /// Of 1000 events, how many come late, by hours, within `lateness`.
        pub late_permille: f64,
        /// Of 1000 events, how many come later than `lateness` allows.
        pub too_late_permille: f64,
        /// Of 1000 events, how many come twice.
        pub duplicate_permille: f64,
        /// Of 1000 events, how many are malformed, and are rejected.
        pub malformed_permille: f64,
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            workers: 1,
            warehouse: PathBuf::from("deltamart.db"),
            model: "model".into(),
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
            events: events::Events::default(),
            simulate: Simulate::default(),
            simulate_model: simulate_model::SimulateModel::default(),
            watch: watch::Watch::default(),
            kafka: kafka::Kafka::default(),
            registry: kafka::Registry::default(),
            publish: publish::Publish::default(),
            feed: feed::Feed::default(),
            archive: archive::Archive::default(),
            clean: clean::Clean::default(),
            snowflake: snowflake::Snowflake::default(),
            retention: retention::Retention::default(),
            quality: quality::Quality::default(),
            serve: serve::Serve::default(),
            cluster: cluster::Cluster::default(),
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

impl Config {
    /// The tables that are kept of those that can be chosen.
    ///
    /// # Errors
    /// If a name is not that of one.
    pub fn kept_tables(&self) -> Result<Tables, ConfigError> {
        self.known_tables().map_err(|why| ConfigError::one(format!("setting `tables`: {why}")))
    }

    fn known_tables(&self) -> Result<Tables, String> {
        if self.tables.is_empty() {
            return Err(format!("is empty; expected `{ALL_TABLES}` or names of tables"));
        }
        if self.tables.iter().any(|name| name == ALL_TABLES) {
            return Ok(Tables::ALL);
        }
        let upserts: Vec<_> = crate::families::all().metrics().iter().map(|(id, _)| *id).collect();
        let names = || upserts.iter().map(|id| id.table().name);
        let known = |(n, name): (usize, &String)| {
            upserts.iter().copied().find(|id| id.table().name == name).ok_or_else(|| match nearest(name, names()) {
                // Not repeated unless it is near to a name: it may be something else, and secret.
                Some(near) => format!("`{name}` is not a table that can be chosen; did you mean `{near}`?"),
                None => {
                    let (n, names) = (n + 1, names().collect::<Vec<_>>().join(", "));
                    format!("name {n} is not a table that can be chosen; expected `{ALL_TABLES}`, or some of {names}")
                }
            })
        };
        self.tables.iter().enumerate().map(known).collect()
    }

    /// Where state is kept: as configured, or beside the warehouse.
    pub fn state_place(&self) -> String {
        if self.state_dir.is_empty() { format!("{}.state", self.first_place()) } else { self.state_dir.clone() }
    }

    /// Whether there is no SQLite file: the Parquet feed is the first sink then.
    pub fn is_feed_alone(&self) -> bool {
        self.warehouse == Path::new(NO_WAREHOUSE)
    }

    /// Where the rows of the first sink are: the file of the warehouse, or the feed.
    pub fn first_place(&self) -> String {
        match self.is_feed_alone() {
            true => self.feed.path.trim_end_matches('/').to_owned(),
            false => self.warehouse.display().to_string(),
        }
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
        Config::load(None, &sets, &[]).map(|loaded| loaded.config).map_err(|error| error.to_string())
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
    fn nothing_is_a_duration_without_a_unit() {
        for zero in ["0", "0s", "\"0\""] {
            let sets = ["journal_interval", "commit_interval", "idle_timeout", "catalog_lateness", "feed.retention"];
            let sets: Vec<_> = sets.iter().map(|key| format!("{key}={zero}")).collect();
            let config = load(&sets.iter().map(String::as_str).collect::<Vec<_>>()).expect("good");
            assert_eq!((config.commit_interval, config.idle_timeout, config.catalog_lateness), (0, 0, Some(0)));
            assert_eq!((config.journal_interval, config.feed.retention), (0, Some(0)));
        }
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
            (
                "tables=[\"users\", \"userz\"]",
                "`tables`: `userz` is not a table that can be chosen; did you mean `users`?",
            ),
            ("tables=5", "expected `all`, or a list of names"),
            ("lateness=soon", "`lateness`: is not a duration; write it as"),
            ("lateness=24", "a duration with its unit"),
            ("lateness=-2h", "`lateness`: is negative; a duration is 0 or longer"),
            ("idle_timeout=-5", "`idle_timeout`: is negative; a duration is 0 or longer"),
            ("lateness=2000years", "`lateness`: is longer than a thousand years, or `unlimited`"),
            ("latenes=1h", "unknown setting `latenes`; did you mean `lateness`?"),
            ("rules.user_id=[1, 2, 3]", "`rules.user_id`: has 3 values; expected 2"),
            ("rules.user_id=[1, \"x\"]", "`rules.user_id`: value 2 is text; expected a whole number"),
            ("workers=-1", "`workers`: is negative; expected a whole number"),
            ("kafka=5", "`kafka`: is a number; expected a section of settings"),
            ("kafka.properties=5", "`kafka.properties`: is a number; expected a section of names and texts"),
            ("kafka.properties.sasl.mechanism=PLAIN", "stands in quotes"),
            (
                "kafka.properties.\"group.id\"=x",
                "`kafka.properties.\"group.id\"`: cannot be set: it is `kafka.group_id`",
            ),
            ("kafka.topics.nothing=x", "`kafka.topics.nothing`: is not an event"),
            ("publish.properties.\"group.id\"=x", "`publish.properties.\"group.id\"`: cannot be set"),
            ("epoch_interval=0", "is 0s; expected 1ms to 1day: at 0 epochs would close without end"),
            ("epoch_interval=2d", "is 2days; expected 1ms to 1day"),
            ("pending_bytes=0", "`pending_bytes`: must be at least 1"),
            ("kafka.metadata_interval=0", "expected 100ms to 1day"),
            ("snowflake.timeout=0", "is 0s; expected 1s to 1day"),
            ("segments.abandoned_carts=0", "must be at least 1"),
            ("kafka.replication=0", "expected 1 or more, or -1"),
            ("publish.partitions=0", "`publish.partitions`: must be at least 1"),
            ("workers=many", "`workers`: is text; expected a whole number"),
            ("workers=0", "`workers`: is 0"),
            ("rules.max_future=3d", "`rules.max_future`: is 3days"),
            ("simulate.late_permille=2000.0", "simulate.late_permille"),
            ("feed.merge_runs=1", "`feed.merge_runs`: must be at least 2"),
            ("feed.retention=long", "`feed.retention`: is not a duration"),
            ("retention.raw=30", "`retention.raw`: is a number; expected a duration with its unit"),
            ("retention.late=30days ago", "`retention.late`: is not a duration"),
            ("retention.late=soon", "or `keep`"),
            ("retention.rejected=0s", "`retention.rejected`: must be longer than nothing"),
            ("quality.min_valid=99.0", "`quality.min_valid`: is 99; expected a share, 0 to 1"),
            ("retention.catalog=30d", "unknown setting `retention.catalog`"),
            ("lateness", "`--set lateness` has no value"),
            ("late ness=1h", "what stands before `=` is not a key"),
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
