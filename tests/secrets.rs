//! A secret in the wrong place is said nowhere: every key of every section, in wrong types, misspelt, in broken lines, in
//! the environment and on the command line.

use deltamart::config::Config;
use std::path::Path;
use std::process::Command;

/// Stands for a secret.
const MARKER: &str = "hunter2hunter2";

/// Keys whose value is a name, a place or a word that operators look for: it is shown as it was typed.
const SHOWN: [&str; 39] = [
    "warehouse",
    "model",
    "state_dir",
    "kafka.brokers",
    "kafka.group_id",
    "registry.url",
    "registry.username",
    "registry.ca",
    "publish.prefix",
    "publish.brokers",
    "publish.clean",
    "feed.path",
    "archive.path",
    "archive.topics",
    "cluster.hosts",
    "clean.path",
    "snowflake.account",
    "snowflake.user",
    "snowflake.role",
    "snowflake.warehouse",
    "snowflake.database",
    "snowflake.schemas.raw",
    "snowflake.schemas.clean",
    "snowflake.schemas.marts",
    "snowflake.url",
    "snowflake.query_tag",
    "rules.payment_method",
    "rules.preferred_language",
    "kafka.topics.item_view",
    "events.item_view.fields.user_id",
    "events.consumer_registration.name",
    "events.sign_in.name",
    "events.sign_out.name",
    "events.item_view.name",
    "events.added_to_cart.name",
    "events.checkout_to_cart.name",
    "events.purchase.name",
    "events.item_rating.name",
    "events.movies_catalog_enriched.name",
];

/// Every key there is, with its section: `kafka.brokers`.
fn keys() -> Vec<String> {
    fn walk(table: &toml::Table, prefix: &str, keys: &mut Vec<String>) {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            match value {
                toml::Value::Table(inner) if !inner.is_empty() => walk(inner, &format!("{key}."), keys),
                _ => keys.push(key),
            }
        }
    }
    let all: toml::Table = toml::from_str(&Config::default().to_toml()).expect("TOML");
    let mut keys = Vec::new();
    walk(&all, "", &mut keys);
    for more in [
        "events.item_view.fields.user_id",
        "events.item_view.fields.x",
        "kafka.topics.item_view",
        "kafka.properties.x",
        "kafka.secrets.x",
        "publish.secrets.x",
    ] {
        keys.push(more.to_owned());
    }
    keys
}

/// What the program says of a file, an environment and arguments.
fn said(folder: &Path, file: &str, environment: &[(String, String)], arguments: &[&str]) -> String {
    std::fs::write(folder.join("deltamart.toml"), file).expect("writes");
    let output = Command::new(env!("CARGO_BIN_EXE_deltamart"))
        .current_dir(folder)
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .env("RUST_LOG", "debug")
        .output()
        .expect("starts");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).expect("UTF-8")
}

/// A file with this written for a key.
fn written(key: &str, value: &str) -> String {
    match key.rsplit_once('.') {
        Some((section, key)) => format!("[{section}]\n{key} = {value}\n"),
        None => format!("{key} = {value}\n"),
    }
}

#[test]
fn a_value_in_the_wrong_place_is_said_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut refused = 0;
    let mut never = |what: &str, said: String| {
        assert!(!said.contains(MARKER), "{what}:\n{said}");
        assert!(!said.contains("panicked"), "{what}:\n{said}");
        for ours in ["usize", "i64", "f64", "struct ", "invalid type"] {
            assert!(!said.contains(ours), "a type of the program's: {what}:\n{said}");
        }
        refused += usize::from(!said.contains("the configuration is good"));
    };
    let keys = keys();
    assert!(keys.len() > 60, "{keys:?}");
    for (n, key) in keys.iter().enumerate() {
        let check: &[&str] = if n % 10 == 0 { &["run", "none.jsonl"] } else { &["check"] };
        let shown = SHOWN.contains(&key.as_str());
        for value in [
            format!("\"{MARKER}\""),
            format!("[\"{MARKER}\"]"),
            format!("{{ inner = \"{MARKER}\" }}"),
            format!("[[\"{MARKER}\"], 1]"),
        ] {
            let takes_list = key.starts_with("rules.") || ["archive.topics", "cluster.hosts"].contains(&key.as_str());
            let is_list = takes_list && value.starts_with("[\"");
            // Lists of names.
            let is_names = ["rules", "serve.hosts"].contains(&key.as_str()) && value.starts_with("[\"");
            if (shown && (value.starts_with('"') || is_list)) || is_names {
                continue;
            }
            never(&format!("{key} = {value}"), said(folder, &written(key, &value), &[], check));
        }
        // Misspelt, as a section, without quotes, without an end.
        never(&format!("{key}x"), said(folder, &written(&format!("{key}x"), &format!("\"{MARKER}\"")), &[], check));
        never(&format!("[{key}]"), said(folder, &format!("[{key}]\nx = \"{MARKER}\"\n"), &[], check));
        for broken in [MARKER.to_owned(), format!("\"{MARKER}"), format!("'{MARKER}\" # x"), format!("= {MARKER}")] {
            never(&format!("{key} = {broken}"), said(folder, &written(key, &broken), &[], check));
        }
        if shown {
            continue;
        }
        let variable = format!("DELTAMART__{}", key.to_uppercase().replace('.', "__"));
        for variable in [variable.clone(), format!("{variable}X"), format!("{variable}__INNER")] {
            let what = format!("{variable}={MARKER}");
            never(&what, said(folder, "", &[(variable, MARKER.to_owned())], check));
        }
        for set in [
            format!("{key}={MARKER}"),
            format!("{key}x={MARKER}"),
            format!("{key}:{MARKER}"),
            format!("{key} {MARKER}=1"),
        ] {
            never(&set, said(folder, "", &[], &[&["--set", set.as_str()], check].concat()));
        }
    }
    assert!(refused > keys.len() * 8, "{refused} of {} keys were refused in one way or another", keys.len());
}

#[test]
fn a_secret_in_an_address_or_a_property_is_said_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    for set in [
        format!("state_dir=s3://me:{MARKER}@bucket/state"),
        format!("feed.path=s3://bucket/feed?token={MARKER}"),
        format!("registry.url=http://me:{MARKER}@127.0.0.1:1"),
        format!("snowflake.url=https://me:{MARKER}@host"),
        format!("kafka.brokers=me:{MARKER}@127.0.0.1:1"),
        format!("kafka.properties.\"sasl.pasword\"={MARKER}"),
        format!("kafka.properties.\"sasl.password\"={MARKER}"),
        format!("kafka.properties.\"sasl.username\"={MARKER}"),
        format!("kafka.properties.\"security.protocl\"={MARKER}"),
        format!("kafka.properties.\"fetch.wait.max.ms\"={MARKER}"),
        format!("kafka.properties.\"client.dns.lookup\"={MARKER}"),
        format!("publish.properties.\"sasl.pasword\"={MARKER}"),
    ] {
        let away = [
            "--set",
            "kafka.brokers=127.0.0.1:1",
            "--set",
            "kafka.format=json",
            "--set",
            "registry.url=http://127.0.0.1:1",
        ];
        let more = match set.split('.').nth(1).is_some_and(|part| part == "properties") {
            true => [&away[..], &["--set", "publish.prefix=mart"]].concat(),
            false => Vec::new(),
        };
        let brokers = &more[..];
        let said = said(folder.path(), "", &[], &[&["check", "--set", &set], brokers].concat());
        assert!(!said.contains(MARKER) && !said.contains("panicked"), "{set}:\n{said}");
        let key = set.split(['=', '"']).find(|part| part.contains('.') && !part.ends_with('.') || *part == "state_dir");
        let key = key.expect("a key");
        assert!(said.contains(key.rsplit('.').next().expect("a part")), "`{key}` is not named:\n{said}");
    }
}

#[test]
fn a_broken_line_is_named_by_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = said(folder.path(), &format!("workers = 2\n[kafka.secrets]\nx = {MARKER}\n"), &[], &["check"]);
    assert!(said.contains("`deltamart.toml`, line 3, column 5") && said.contains("is not TOML"), "{said}");
}
