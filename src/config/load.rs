//! One configuration from all layers, and everything that is wrong with it at once.

use super::Config;
use super::explain::why;
use super::layers::{Given, Layers};
use super::origin::{Flag, Mistake, Origin, dotted};
use super::settings::{at, settings};
use crate::families;
use crate::model::shipped::{self, Folder};
use crate::rules::Rules;
use crate::sink::views;
use dataflows::shop::events::rules::Profile;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// A configuration, and where each of its values comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Where each value comes from, by its key: `kafka.brokers`, `kafka.properties."sasl.username"`.
    pub origins: BTreeMap<String, Origin>,
}

/// A configuration that cannot be used: everything that is wrong with it, each where it stands.
#[derive(Debug, thiserror::Error)]
#[error("{}", listed(.0))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// Of one mistake.
    pub(super) fn one(mistake: String) -> ConfigError {
        ConfigError(vec![mistake])
    }

    /// Of mistakes, at least one.
    pub(super) fn of(mut mistakes: Vec<Mistake>) -> ConfigError {
        mistakes.sort();
        mistakes.dedup();
        ConfigError(mistakes.iter().map(ToString::to_string).collect())
    }

    /// Each mistake, with its place and its key.
    pub fn mistakes(&self) -> &[String] {
        &self.0
    }
}

fn listed(mistakes: &[String]) -> String {
    match mistakes {
        [one] => one.clone(),
        many => format!("{} mistakes in the configuration:\n  {}", many.len(), many.join("\n  ")),
    }
}

impl Config {
    /// Reads the configuration: defaults, then the file, then the environment, then `--set`, then flags.
    ///
    /// # Errors
    /// If values cannot be used: all of them, where each stands, and what would be right.
    pub fn load(file: Option<&Path>, sets: &[String], flags: &[Flag]) -> Result<Loaded, ConfigError> {
        Config::load_to_try(file, sets, flags, None)
    }

    /// The same, with a metric that is tried: of the model its events are read, and no other metric.
    ///
    /// # Errors
    /// As for [`load`](Config::load).
    pub fn load_to_try(
        file: Option<&Path>,
        sets: &[String],
        flags: &[Flag],
        tried: Option<&Path>,
    ) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::default();
        layers.file(file);
        layers.environment(std::env::vars_os());
        layers.sets(sets);
        layers.flags(flags);
        of_layers(layers, tried)
    }
}

pub(super) fn of_layers(layers: Layers, tried: Option<&Path>) -> Result<Loaded, ConfigError> {
    let Layers { given, mut mistakes, meant: mut unsure, is_cut } = layers;
    let mut origins: BTreeMap<_, _> = settings().map(|setting| (setting.key.clone(), Origin::Default)).collect();
    let mut table = Table::new();
    for Given { path, value, origin } in given {
        let key = dotted(&path);
        let mut alone = Table::new();
        put(&mut alone, &path, value.clone());
        match read(alone, path.len()).and_then(|config| all_taken(&config, &path, &value)) {
            Ok(()) => {
                put(&mut table, &path, value);
                origins.insert(key, origin);
            }
            Err(why) => {
                let what = format!("setting `{}`: {why}", super::explain::key(&key));
                mistakes.push(Mistake::new(&origin, what));
                unsure.push(key);
            }
        }
    }
    let mut config = match read(table, 0) {
        Ok(config) => config,
        // Each was good alone.
        Err(why) => {
            mistakes.push(Mistake::new(&Origin::Default, why));
            return Err(ConfigError::of(mistakes));
        }
    };
    // What cannot be mapped is said with all else that is wrong.
    config.rules.shop.naming = config.events.naming().unwrap_or_default();
    if config.rules.shop.profile != Profile::default() {
        let profile = origins.get("rules.profile").cloned().unwrap_or(Origin::Default);
        for key in Rules::OF_PROFILE {
            let origin = origins.entry(key.to_owned()).or_insert(Origin::Default);
            if *origin == Origin::Default {
                origin.clone_from(&profile);
            }
        }
    }
    let loaded = Loaded { config, origins };
    if let Err(wrong) = loaded.model(tried) {
        mistakes.extend(wrong.into_iter().map(|why| Mistake::new(&loaded.origin("model"), why)));
        return Err(ConfigError::of(mistakes));
    }
    // What follows from a value that could not be read is not a second mistake.
    let is_sure = |key: &str| !unsure.iter().any(|unsure| is_within(key, unsure) || is_within(unsure, key));
    let wrong = loaded.config.wrong().into_iter().filter(|_| !is_cut);
    let wrong = wrong.filter(|wrong| is_sure(&wrong.key) && wrong.beside.iter().all(|key| is_sure(key)));
    mistakes.extend(wrong.map(|wrong| loaded.mistake(&wrong.key, &wrong.why)));
    if mistakes.is_empty() { Ok(loaded) } else { Err(ConfigError::of(mistakes)) }
}

impl Loaded {
    /// Reads the model, if there is one. It is read once: what it declares stays for as long as the process.
    fn model(&self, tried: Option<&Path>) -> Result<(), Vec<String>> {
        let (model, folder) = (&self.config.model, Folder::of(&self.config.model));
        if let Some(why) = folder.ambiguous() {
            return Err(vec![format!("setting `model`: {why}")]);
        }
        let why = || {
            let (model, shipped) = (model.display(), shipped::names());
            format!("setting `model`: there is no folder `{model}`; the models that come with deltamart are {shipped}")
        };
        if !folder.is_there() && tried.is_none() {
            // `init` writes the default down: said or not, it is no mistake to have no model.
            let is_wanted = *model != Config::default().model && !model.as_os_str().is_empty();
            return if is_wanted { Err(vec![why()]) } else { Ok(()) };
        }
        let ours = dataflows::shop::over::families();
        let loaded = crate::model::load::load(folder, tried, &families::is_ours, ours).map_err(|mut wrong| {
            // What is tried may read events that are declared nowhere, and then there is none.
            wrong.extend((!folder.is_there()).then(why));
            wrong
        })?;
        if loaded.families.is_empty() && loaded.over.is_empty() && loaded.views.is_empty() {
            return Ok(());
        }
        families::declare(loaded);
        // They read tables of every family.
        views::check(families::all(), families::views())
    }

    /// Where a value comes from; of a section or a map, where the first of it does that is not as it was.
    pub fn origin(&self, key: &str) -> Origin {
        let within = || self.origins.iter().filter(|(other, _)| is_within(other, key)).map(|(_, origin)| origin);
        let found = self.origins.get(key).filter(|origin| **origin != Origin::Default);
        found.or_else(|| within().find(|origin| **origin != Origin::Default)).cloned().unwrap_or(Origin::Default)
    }

    pub(super) fn mistake(&self, key: &str, why: &str) -> Mistake {
        Mistake::new(&self.origin(key), format!("setting `{key}`: {why}"))
    }
}

fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What it says, or why it cannot be so: of a key that is so many names deep.
pub(super) fn read(table: Table, depth: usize) -> Result<Config, String> {
    let value = figment::value::Value::serialize(table).map_err(|error| why(&error, depth))?;
    value.deserialize().map_err(|error| why(&error, depth))
}

/// Of a list that is too long, what is too much was passed over: that is said, with how long it may be.
fn all_taken(config: &Config, path: &[String], value: &Value) -> Result<(), String> {
    let Value::Array(given) = value else { return Ok(()) };
    let taken = Table::try_from(config).ok().and_then(|taken| at(&taken, &path.join("."))?.as_array().map(Vec::len));
    match taken {
        Some(taken) if taken < given.len() => Err(format!("has {} values; expected {taken}", given.len())),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [name] => {
            table.insert(name.clone(), value);
        }
        [section, rest @ ..] => {
            let inner = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
        [] => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn of_variables(variables: &[(&str, &str)]) -> Result<Loaded, String> {
        let mut layers = Layers::default();
        let variables = variables.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
        layers.environment(variables.collect::<Vec<_>>().into_iter());
        of_layers(layers, None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_is_a_setting() {
        let loaded = of_variables(&[
            ("DELTAMART__LATENESS", "24h"),
            ("deltamart__workers", "3"),
            ("DELTAMART__KAFKA__BROKERS", "a:1"),
            ("DELTAMART__KAFKA__TOPICS__SIGN_IN", "logins"),
            ("DELTAMART__KAFKA__PROPERTIES__SECURITY__PROTOCOL", "PLAINTEXT"),
            ("DELTAMART__TABLES", "[users, movies_catalog]"),
            ("DELTAMART__RULES__USER_ID", "[1, 5]"),
            ("DELTAMART", "program"),
            ("DELTAMART_BROKERS", "of a script"),
            ("PATH", "/bin"),
        ])
        .expect("good");
        let Loaded { config, origins } = loaded;
        assert_eq!((config.lateness, config.workers, config.tables.len()), (Some(24 * 3_600_000), 3, 2));
        assert_eq!(config.kafka.topics["sign_in"], "logins");
        assert_eq!(config.kafka.properties["security.protocol"], "PLAINTEXT");
        assert_eq!((config.rules.shop.user_id, config.kafka.brokers.as_str()), ((1, 5), "a:1"));
        for (key, origin) in [
            ("lateness", "DELTAMART__LATENESS"),
            ("workers", "deltamart__workers"),
            ("kafka.properties.\"security.protocol\"", "DELTAMART__KAFKA__PROPERTIES__SECURITY__PROTOCOL"),
            ("raw", "default"),
        ] {
            assert_eq!(origins[key].to_string(), origin);
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_is_named_with_the_right_one() {
        for (name, said) in [
            (
                "DELTAMART_LATENESS",
                "DELTAMART_LATENESS: sets nothing; two underscores make it a setting: `DELTAMART__LATENESS`",
            ),
            ("DELTAMART_KAFKA_BROKERS", "a setting: `DELTAMART__KAFKA__BROKERS`"),
            ("DELTAMART__LATENES", "DELTAMART__LATENES: unknown setting `latenes`; did you mean `lateness`?"),
            ("DELTAMART__KAFKA__BROKER", "unknown setting `kafka.broker`; did you mean `kafka.brokers`?"),
            ("DELTAMART__KAFKA", "DELTAMART__KAFKA: setting `kafka`: is text; expected a section of settings"),
            ("DELTAMART__", "DELTAMART__: unknown setting"),
        ] {
            let error = of_variables(&[(name, "hunter2")]).expect_err(name);
            assert!(error.contains(said) && !error.contains("hunter2"), "{name}: {error}");
        }
    }

    #[test]
    fn later_layers_are_over_earlier_ones_and_flags_over_all() {
        let sets = ["workers=2", "kafka.properties.\"client.id\"=a", "kafka.properties={\"client.rack\"=\"b\"}"];
        let flags = [
            Flag { flag: "--workers", key: "workers", value: "5".to_owned() },
            Flag::text("--warehouse", "warehouse", "5"),
        ];
        let loaded = Config::load(None, &sets.map(str::to_owned), &flags).expect("good");
        assert_eq!((loaded.config.workers, loaded.config.kafka.properties.len()), (5, 2));
        assert_eq!(loaded.config.warehouse, Path::new("5"));
        let origins =
            ["workers", "warehouse", "kafka.properties.\"client.id\""].map(|key| loaded.origins[key].to_string());
        assert_eq!(origins, ["--workers", "--warehouse", "--set"]);
        assert_eq!(loaded.origin("kafka.properties"), Origin::Set(2));
    }

    #[test]
    fn everything_that_is_wrong_is_said_once_and_what_follows_from_it_is_not() {
        let sets = ["workers=many", "workers", "publish.prefx=mart", "publish.partitions=5", "cart_ttl=0", "x=1"];
        let flags = [Flag { flag: "--rate", key: "simulate.rate", value: "fast".to_owned() }];
        let error = Config::load(None, &sets.map(str::to_owned), &flags).expect_err("wrong");
        assert_eq!(error.mistakes().len(), 6, "{error}");
        for said in [
            "6 mistakes in the configuration:\n",
            "\n  --set: setting `workers`: is text; expected a whole number, 0 or more\n",
            "\n  `--set workers` has no value; write `--set workers=VALUE`\n",
            "unknown setting `publish.prefx`; did you mean `publish.prefix`?",
            "--set: setting `cart_ttl`: must be longer",
            "--rate: setting `simulate.rate`: is text",
        ] {
            assert!(error.to_string().contains(said), "`{said}` is missing: {error}");
        }
    }
}
