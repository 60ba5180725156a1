//! A configuration with a setting otherwise, for as long as something is played: of the settings that decide what rows say.

use super::Config;
use super::layers::value_of;
use super::load::{put, read};
use super::origin::dotted;
use super::settings::{nearest, settings};
use toml::Table;

/// What decides what rows say: settings, and sections of settings.
const DECIDE: &[&str] = &[
    "out_of_orderness",
    "lateness",
    "catalog_lateness",
    "session_timeout",
    "cart_ttl",
    "price_backfill",
    "segments.",
    "rules.",
    "events.",
];

impl Config {
    /// The same with `key=value`, and the key.
    ///
    /// # Errors
    /// If that is no setting that decides what rows say, or no value of it: what is wrong, and what to do.
    pub fn with(&self, set: &str) -> Result<(Config, String), (String, String)> {
        let no = |what: String, instead: &str| Err((what, instead.to_owned()));
        let Some((key, value)) = set.split_once('=') else {
            return no(format!("`{set}` has no value."), "Write `set KEY=VALUE`, such as `set lateness=2h`.");
        };
        let path: Vec<_> = key.trim().split('.').map(str::to_owned).collect();
        let key = dotted(&path);
        let decides = |key: &str| DECIDE.iter().any(|one| *one == key || one.ends_with('.') && key.starts_with(one));
        if !settings().any(|setting| setting.key == key) {
            let near = nearest(&key).map(|near| format!("Did you mean `{near}`?"));
            return no(format!("there is no setting `{key}`."), &near.unwrap_or_default());
        }
        if !decides(&key) {
            let instead =
                format!("A case can set {}.", DECIDE.join(", ").replace("., ", ".*, ").replace("events.", "events.*"));
            return no(format!("`{key}` decides nothing that rows say."), &instead);
        }
        let value = value_of(value.trim());
        let mut alone = Table::new();
        put(&mut alone, &path, value.clone());
        let wrong = |why: String| (format!("setting `{key}`: {why}."), "Write another value.".to_owned());
        read(alone, path.len()).map_err(&wrong)?;
        let mut table = Table::try_from(self).map_err(|error| wrong(error.to_string()))?;
        put(&mut table, &path, value);
        let mut config = read(table, 0).map_err(wrong)?;
        config.rules.shop.naming = config.events.naming().unwrap_or_default();
        Ok((config, key))
    }

    /// What is wrong with these settings. What does not fit to a setting that has its default is left: nobody runs so.
    pub fn wrong_of(&self, keys: &[String]) -> Option<(String, String)> {
        let wrong = self.wrong().into_iter().find(|wrong| keys.contains(&wrong.key))?;
        Some((wrong.key, wrong.why))
    }
}
