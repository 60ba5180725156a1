//! What no single value can show to be wrong: settings that do not fit together, and numbers that are out of bounds.

use super::wrong::{DAY_MS, Wrong, Wrongs};
use super::{Config, Simulate};
use crate::instant::span;

/// A clock may be fast, not in another age.
const MAX_FUTURE_MS_MAX: i64 = 366 * DAY_MS;

impl Config {
    /// All that is wrong.
    pub(super) fn wrong(&self) -> Vec<Wrong> {
        let mut wrongs = Wrongs::default();
        if !(1..=1024).contains(&self.workers) {
            wrongs.say("workers", format!("is {}; expected 1 to 1024", self.workers));
        }
        self.wrong_intervals(&mut wrongs);
        wrongs.at_least_one("epoch_events", self.epoch_events as u64);
        wrongs.at_least_one("epochs_in_flight", self.epochs_in_flight);
        wrongs.at_least_one("pending_bytes", self.pending_bytes as u64);
        if self.warehouse.as_os_str().is_empty() {
            wrongs.say("warehouse", "is empty; expected the name of a file");
        }
        self.wrong_feed_alone(&mut wrongs);
        if let Err(why) = self.known_tables() {
            wrongs.say("tables", why);
        }
        self.wrong_addresses(&mut wrongs);
        self.wrong_rules(&mut wrongs);
        self.events.wrong(&mut wrongs);
        self.wrong_segments(&mut wrongs);
        self.simulate.wrong(&mut wrongs);
        self.simulate_model.wrong(&mut wrongs);
        self.watch.wrong(&mut wrongs);
        self.kafka.wrong(&mut wrongs);
        self.registry.wrong(&mut wrongs);
        self.feed.wrong(&mut wrongs);
        self.archive.wrong(&mut wrongs);
        self.clean.wrong(&mut wrongs);
        self.publish.wrong(&self.kafka, &self.registry.url, &mut wrongs);
        self.snowflake.wrong(&mut wrongs);
        self.retention.wrong(&mut wrongs);
        self.quality.wrong(&mut wrongs);
        self.serve.wrong(&mut wrongs);
        self.cluster.wrong(&mut wrongs);
        wrongs.0
    }

    /// Without a SQLite file the feed is what a run goes on from.
    fn wrong_feed_alone(&self, wrongs: &mut Wrongs) {
        if !self.is_feed_alone() {
            return;
        }
        if !self.feed.is_given() {
            let why = "is `none`, and there is no feed for the rows; name a folder or a bucket in `feed.path`, or a file here";
            wrongs.say("warehouse", why);
        } else if self.state_dir.is_empty() && self.feed.path.contains("://") {
            let why = "is empty, and `warehouse` is `none`: say where the state goes that belongs to the feed, a bucket as well";
            wrongs.say("state_dir", why);
        }
    }

    fn wrong_intervals(&self, wrongs: &mut Wrongs) {
        let because = "at 0 epochs would close without end, and records are committed only once theirs has closed";
        wrongs.bounded("epoch_interval", self.epoch_interval, 1..=DAY_MS, because);
        let because = "what is computed waits in memory for the next commit";
        wrongs.bounded("commit_interval", self.commit_interval, 0..=DAY_MS, because);
        let because = "nothing is committed before it is in the journal";
        wrongs.bounded("journal_interval", self.journal_interval, 0..=DAY_MS, because);
        let because = "the journal since the last snapshot is kept, and read again by the next start";
        wrongs.bounded("snapshot_interval", self.snapshot_interval, 0..=30 * DAY_MS, because);
        let because = "no window is final before the watermark has passed it, which is so far behind";
        wrongs.bounded("out_of_orderness", self.out_of_orderness, 0..=366 * DAY_MS, because);
        let because = "for so long a partition without records holds up all the others";
        wrongs.bounded("idle_timeout", self.idle_timeout, 0..=366 * DAY_MS, because);
        if self.cart_ttl == 0 {
            wrongs.say("cart_ttl", "must be longer than nothing: every event would be a cart of its own");
        }
    }

    /// Passwords in addresses. They are not repeated.
    fn wrong_addresses(&self, wrongs: &mut Wrongs) {
        for (key, url) in [
            ("state_dir", &self.state_dir),
            ("feed.path", &self.feed.path),
            ("archive.path", &self.archive.path),
            ("clean.path", &self.clean.path),
            ("snowflake.url", &self.snowflake.url),
            ("kafka.brokers", &self.kafka.brokers),
            ("publish.brokers", &self.publish.brokers),
        ] {
            if (url.contains("://") || key.ends_with("brokers")) && url.contains(['@', '?']) {
                let why = "holds a password, or so it seems: an address without `@` and `?` is expected, and what is secret \
                           in the environment or in files of its own";
                wrongs.say(key, why);
            }
        }
    }

    fn wrong_rules(&self, wrongs: &mut Wrongs) {
        let (time, shop) = (&self.rules.time, &self.rules.shop);
        if let Some(lateness) = self.lateness.filter(|lateness| time.max_future >= *lateness) {
            let (future, lateness) = (span::show(time.max_future), span::show(lateness));
            let why = format!(
                "is {future}, but must be less than `lateness` ({lateness}): one fast clock would make everybody else late"
            );
            wrongs.beside("rules.max_future", &["lateness"], why);
        }
        if time.min_event_time < 0 {
            wrongs.say("rules.min_event_time", "expected 1970-01-01 or later");
        }
        if time.max_future > MAX_FUTURE_MS_MAX {
            wrongs.say("rules.max_future", "expected a year at the most");
        }
        let (smallest, largest) = shop.user_id;
        if smallest > largest {
            wrongs.say("rules.user_id", turned(smallest, largest));
        } else if !(1..=i64::MAX as u64).contains(&largest) {
            let why = format!("is [{smallest}, {largest}]; expected a largest number of 1 to {}", i64::MAX);
            wrongs.say("rules.user_id", why);
        }
        let (smallest, largest) = shop.age;
        if smallest > largest {
            wrongs.say("rules.age", turned(smallest, largest));
        }
    }

    fn wrong_segments(&self, wrongs: &mut Wrongs) {
        let segments = &self.segments;
        for (key, least) in [
            ("high_value_cents", segments.high_value_cents),
            ("abandoned_carts", segments.abandoned_carts),
            ("frequent_views", segments.frequent_views),
        ] {
            wrongs.at_least_one(&format!("segments.{key}"), least);
        }
    }
}

/// Of `[smallest, largest]` the wrong way round.
fn turned(smallest: impl std::fmt::Display, largest: impl std::fmt::Display) -> String {
    format!("is [{smallest}, {largest}]: the smallest is larger than the largest")
}

impl Simulate {
    fn wrong(&self, wrongs: &mut Wrongs) {
        wrongs.at_least_one("simulate.days", self.days);
        wrongs.at_least_one("simulate.events", self.events);
        wrongs.at_least_one("simulate.views_max", self.views_max);
        for (key, permille) in [
            ("new_user", self.new_user_permille),
            ("add", self.add_permille),
            ("checkout", self.checkout_permille),
            ("purchase", self.purchase_permille),
            ("rating", self.rating_permille),
            ("sign_out", self.sign_out_permille),
            ("out_of_order", self.out_of_order_permille),
            ("late", self.late_permille),
            ("too_late", self.too_late_permille),
            ("duplicate", self.duplicate_permille),
            ("malformed", self.malformed_permille),
        ] {
            if !(0.0..=1000.0).contains(&permille) {
                wrongs.say(&format!("simulate.{key}_permille"), format!("is {permille}; expected 0 to 1000"));
            }
        }
    }
}
