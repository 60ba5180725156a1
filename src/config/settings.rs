//! Every setting there is: its key, its meaning and its default, and which one a name that is none is nearest to.

use super::Config;
use super::archive::Archive;
use super::clean::Clean;
use super::cluster::Cluster;
use super::simulate_model::SimulateModel;
use super::{
    Segments, Simulate, events::Events, feed::Feed, kafka, publish::Publish, quality::Quality, retention::Retention,
    serve::Serve, snowflake, watch::Watch,
};
use crate::declared::{Declared, Field};
use crate::rules::Rules;
use std::sync::LazyLock;
use toml::{Table, Value};

/// Settings that stand under one heading.
#[derive(Clone, Debug)]
pub struct Section {
    /// As the heading has it: `kafka`; empty for those that stand under none.
    pub name: &'static str,
    /// What it is for.
    pub meaning: String,
    /// The settings, those with a name of their own before maps.
    pub settings: Vec<Setting>,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name in its section.
    pub name: &'static str,
    /// With its section: `kafka.brokers`.
    pub key: String,
    /// What it means: the doc comment of its field.
    pub meaning: String,
    /// What it is if nobody says anything. None is a map, whose names anybody may choose, and which is empty then.
    pub default: Option<Value>,
}

/// Where the settings of each section are declared.
static DECLARED: LazyLock<Vec<(&str, &[Field])>> = LazyLock::new(|| {
    let events = [("events", Events::FIELDS)].into_iter().chain(Events::SECTIONS.iter().copied());
    let before = [("", Config::FIELDS), ("segments", Segments::FIELDS), ("rules", Rules::declared())];
    let after = [
        ("simulate", Simulate::FIELDS),
        ("simulate_model", SimulateModel::FIELDS),
        ("watch", Watch::FIELDS),
        ("kafka", kafka::Kafka::FIELDS),
        ("registry", kafka::Registry::FIELDS),
        ("publish", Publish::FIELDS),
        ("feed", Feed::FIELDS),
        ("archive", Archive::FIELDS),
        ("clean", Clean::FIELDS),
        ("snowflake", snowflake::Snowflake::FIELDS),
        ("snowflake.schemas", snowflake::Schemas::FIELDS),
        ("retention", Retention::FIELDS),
        ("quality", Quality::FIELDS),
        ("serve", Serve::FIELDS),
        ("cluster", Cluster::FIELDS),
    ];
    before.into_iter().chain(events).chain(after).collect()
});

static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let defaults = Table::try_from(Config::default()).expect("the configuration is made of what TOML has");
    let meaning_of = |name: &str| {
        let (section, field) = name.rsplit_once('.').unwrap_or(("", name));
        let fields = DECLARED.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, fields)| fields);
        fields.iter().find(|declared| declared.name == field).map(Field::meaning).unwrap_or_default()
    };
    let section = |(name, fields): &(&'static str, &'static [Field])| {
        let setting = |field: &Field| {
            let key = if name.is_empty() { field.name.to_owned() } else { format!("{name}.{}", field.name) };
            let is_section = DECLARED.iter().any(|(name, _)| *name == key);
            let default = at(&defaults, &key).filter(|default| !default.is_table()).cloned();
            (!is_section).then(|| Setting { name: field.name, key, meaning: field.meaning(), default })
        };
        let mut settings: Vec<_> = fields.iter().filter_map(setting).collect();
        settings.sort_by_key(|setting| setting.default.is_none());
        Section { name, meaning: meaning_of(name), settings }
    };
    DECLARED.iter().map(section).collect()
});

/// All of them, as they are declared; those without a section first.
pub fn sections() -> &'static [Section] {
    &SECTIONS
}

/// All settings, of all sections.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| &section.settings)
}

/// What stands in a table under a key such as `snowflake.schemas.raw`.
pub(super) fn at<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((first, rest)) => at(table.get(first)?.as_table()?, rest),
        None => table.get(key),
    }
}

/// The setting or section that a name is nearest to, if it is near to any.
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.to_lowercase().replace('-', "_");
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let sections = SECTIONS.iter().map(|section| section.name).filter(|name| !name.is_empty());
    let keys = settings().map(|setting| setting.key.as_str()).chain(sections);
    let distance = |known: &str| {
        let whole = strsim::osa_distance(&unknown, known);
        // The right name in a wrong section, or in none.
        let elsewhere = strsim::osa_distance(&last(&unknown), &last(known)) + 1;
        let is_far = |distance: usize, of: &str| distance > 1 + of.len() / 4;
        let whole = Some(whole).filter(|distance| !is_far(*distance, &unknown)).map(|distance| (distance, false));
        let elsewhere = Some(elsewhere).filter(|distance| !is_far(*distance, &last(&unknown)));
        // Many sections have a setting of one name: that which is meant is near as a whole.
        whole.into_iter().chain(elsewhere.map(|distance| (distance, true))).min()
    };
    keys.filter_map(|known| Some((distance(known)?, known))).min_by_key(|(distance, _)| *distance).map(|(_, key)| key)
}

/// The setting that a variable with one `_` after `DELTAMART` must have meant: `DELTAMART_KAFKA_BROKERS`.
pub(super) fn meant(variable: &str) -> Option<&'static str> {
    let flat = |key: &str| key.replace('.', "_");
    let meant = variable.to_lowercase().replace("__", "_");
    let is_near = |key: &str| {
        let distance = strsim::osa_distance(&meant, &flat(key));
        distance == 0 || distance == 1 && meant.len() > 4
    };
    let keys = || settings().map(|setting| setting.key.as_str());
    keys().find(|key| flat(key) == meant).or_else(|| keys().find(|key| is_near(key)))
}

/// The variable that sets it.
pub(super) fn variable(key: &str) -> String {
    format!("{}{}", super::ENVIRONMENT, key.to_uppercase().replace('.', "__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_declared_and_says_what_it_means() {
        fn count(table: &Table) -> usize {
            let of = |value: &Value| match value.as_table() {
                Some(table) if !table.is_empty() => count(table),
                _ => 1,
            };
            table.values().map(of).sum()
        }
        let defaults = Table::try_from(Config::default()).expect("TOML");
        assert_eq!(settings().count(), count(&defaults));
        for setting in settings() {
            let is_map = at(&defaults, &setting.key).expect("it has a default").is_table();
            assert_eq!(setting.default.is_none(), is_map, "{}", setting.key);
            assert!(setting.meaning.len() > 15 && setting.meaning.ends_with('.'), "{}", setting.key);
        }
    }

    #[test]
    fn a_name_that_is_none_has_a_nearest() {
        for (unknown, near) in [
            ("latenes", Some("lateness")),
            ("Lateness", Some("lateness")),
            ("epoch-interval", Some("epoch_interval")),
            ("kafka.workers", Some("workers")),
            ("kafak.brokers", Some("kafka.brokers")),
            ("kafka.propertys", Some("kafka.properties")),
            ("kafak", Some("kafka")),
            ("snowflake.schemas.mart", Some("snowflake.schemas.marts")),
            ("snowflake.raw", Some("raw")),
            ("events.sign_inn.name", Some("events.sign_in.name")),
            ("event.purchase.fields", Some("events.purchase.fields")),
            ("something", None),
        ] {
            assert_eq!(nearest(unknown), near, "{unknown}");
        }
    }

    /// What scripts, tests and benches are told by variables is not taken for settings.
    #[test]
    fn variables_of_scripts_are_no_settings() {
        for (variable, key) in [
            ("LATENESS", Some("lateness")),
            ("LATENES", Some("lateness")),
            ("KAFKA_BROKERS", Some("kafka.brokers")),
            ("KAFKA__BROKERS", Some("kafka.brokers")),
            ("SNOWFLAKE_SCHEMAS_RAW", Some("snowflake.schemas.raw")),
            ("WAREHOUSE", Some("warehouse")),
        ] {
            assert_eq!(meant(variable), key, "{variable}");
        }
        let of_scripts = "BROKERS BUCKET BUCKET_FOLDER CALLGRIND CATALOG CHECK_RAW CRASHES CRASH_SEED EVENTS FEATURES \
            FUZZ_LINES FUZZ_SEED HUGE_MIB KEEP KILLS LATENESS_SEED LIVE_CSV PYTHON READER REGISTRY SNOWFLAKE \
            SNOWFLAKE_PYTHON STACK STACK_CACHE STACK_DIR SWEEP PORT SERVICE_HOST";
        for variable in of_scripts.split_whitespace() {
            assert_eq!(meant(variable), None, "{variable}");
        }
    }
}
