//! Settings explain themselves: what is wrong with them is said all at once and where it stands, what they are is said
//! with its meaning and where it comes from, and a file to begin with has all of them.

use crate::cli::said;
use deltamart::config::Config;
use deltamart::config::settings::sections;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The program in a folder, with variables.
fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder).args(arguments).envs(variables.iter().copied());
    said(&command.output().expect("runs"))
}

fn folder(toml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("deltamart.toml"), toml).expect("writes");
    folder
}

fn assert_says(text: &str, expected: &[&str]) {
    expected.iter().for_each(|expected| assert!(text.contains(expected), "`{expected}` is missing:\n{text}"));
}

/// Ten mistakes, and a secret in the place of each value that is one.
const TEN: &str = r#"latenes = "hunter2"
workers = "hunter2"
epoch_interval = "0s"
lateness = -5

[kafka]
brokers = ["hunter2"]
start = "hunter2"
parttions = 3

[kafka.properties]
"sasl.password" = "hunter2"

[retention]
raw = "0s"

[feeed]
path = "hunter2"
"#;

#[test]
fn ten_mistakes_in_a_file_are_named_at_once_each_with_its_line() {
    let folder = folder(TEN);
    let (code, text) = run(folder.path(), &[], &["check"]);
    assert_eq!(code, Some(2), "{text}");
    assert_says(
        &text,
        &[
            "10 mistakes in the configuration:\n",
            "  deltamart.toml, line 1: unknown setting `latenes`; did you mean `lateness`?\n",
            "  deltamart.toml, line 2: setting `workers`: is text; expected a whole number, 0 or more\n",
            "  deltamart.toml, line 3: setting `epoch_interval`: is 0s; expected 1ms to 1day: at 0 epochs would",
            "  deltamart.toml, line 4: setting `lateness`: is negative; a duration is 0 or longer",
            "  deltamart.toml, line 7: setting `kafka.brokers`: is a list; expected text\n",
            "  deltamart.toml, line 8: setting `kafka.start`: expected `earliest`, `latest`, or an instant",
            "  deltamart.toml, line 9: unknown setting `kafka.parttions`; did you mean `kafka.partitions`?\n",
            "  deltamart.toml, line 12: setting `kafka.properties.\"sasl.password\"`: is a secret and must not stand here",
            "  deltamart.toml, line 15: setting `retention.raw`: must be longer than nothing",
            "  deltamart.toml, line 18: unknown setting `feeed.path`; did you mean `feed.path`?\n",
        ],
    );
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "something was made");
}

#[test]
fn mistakes_of_all_layers_are_named_together() {
    let folder = folder("cart_tll = \"1d\"\n");
    let variables = [
        ("DELTAMART__LATENESS", "hunter2"),
        ("DELTAMART__KAFKA__BROKER", "hunter2"),
        ("DELTAMART_EPOCH_EVENTS", "hunter2"),
        ("DELTAMART_STACK_DIR", "of a script"),
    ];
    let arguments = ["--set", "epoch_events=none", "--set", "hunter2", "-w", "0", "--start", "soon", "run"];
    let (code, text) = run(folder.path(), &variables, &arguments);
    assert_eq!(code, Some(2), "{text}");
    assert_says(
        &text,
        &[
            "8 mistakes in the configuration:\n",
            "  deltamart.toml, line 1: unknown setting `cart_tll`; did you mean `cart_ttl`?\n",
            "  DELTAMART__LATENESS: setting `lateness`: is not a duration",
            "  DELTAMART__KAFKA__BROKER: unknown setting `kafka.broker`; did you mean `kafka.brokers`?\n",
            "  DELTAMART_EPOCH_EVENTS: sets nothing; two underscores make it a setting: `DELTAMART__EPOCH_EVENTS`\n",
            "  --set: setting `epoch_events`: is text; expected a whole number",
            "  --set: number 2: has no value",
            "  --workers: setting `workers`: is 0; expected 1 to 1024\n",
            "  --start: setting `simulate.start`: is not an instant; expected an instant such as 2026-01-05",
        ],
    );
    assert!(!text.contains("hunter2") && !text.contains("STACK_DIR"), "{text}");
}

#[test]
fn a_value_that_is_missing_or_turned_is_said() {
    let folder = folder("lateness = \n");
    let (code, text) = run(folder.path(), &[], &["check"]);
    assert!(code == Some(2) && text.contains("line 1") && text.contains("a value is missing"), "{text}");
    std::fs::write(folder.path().join("deltamart.toml"), "").expect("writes");
    for (set, said) in [
        ("lateness", "deltamart: `--set lateness` has no value; write `--set lateness=VALUE`\n"),
        ("tables=[\"usrs\"]", "`usrs` is not a table that can be chosen; did you mean `users`?\n"),
        ("tables=[\"zebra\"]", "name 1 is not a table that can be chosen; expected `all`, or some of "),
        ("rules.user_id=[10, 1]", "`rules.user_id`: is [10, 1]: the smallest is larger than the largest\n"),
        ("rules.user_id=[0, 0]", "`rules.user_id`: is [0, 0]; expected a largest number of 1 to "),
        ("rules.age=[20, 3]", "`rules.age`: is [20, 3]: the smallest is larger than the largest\n"),
    ] {
        let (code, text) = run(folder.path(), &[], &["check", "--set", set]);
        assert!(code == Some(2) && text.contains(said) && !text.contains("upsert"), "{text}");
    }
}

/// A file that is not TOML is one mistake, and hides none of the others.
#[test]
fn a_broken_file_hides_no_other_mistake() {
    let folder = folder("workers = 2\nlateness = hunter2\n");
    let (code, text) = run(folder.path(), &[("DELTAMART__WORKERS", "many")], &["check"]);
    assert_eq!(code, Some(2), "{text}");
    assert_says(
        &text,
        &["2 mistakes", "`deltamart.toml`, line 2, column 12: is not TOML", "DELTAMART__WORKERS: setting `workers`"],
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn check_says_of_each_value_what_it_means_and_where_it_comes_from() {
    let toml = "lateness = \"24h\"\n[kafka.topics]\nsign_in = \"logins\"\n[kafka.properties]\n\"sasl.username\" = \"hunter2\"\n";
    let folder = folder(toml);
    let variables = [("DELTAMART__EPOCH_EVENTS", "1000")];
    let arguments = ["--set", "cart_ttl=1d", "--warehouse", "shop.db", "check"];
    let (code, text) = run(folder.path(), &variables, &arguments);
    assert_eq!(code, Some(0), "{text}");
    assert_says(
        &text,
        &[
            "lateness = \"1day\"  # deltamart.toml, line 1\n",
            "[kafka.topics]\nsign_in = \"logins\"  # deltamart.toml, line 3\n",
            "epoch_events = 1000  # DELTAMART__EPOCH_EVENTS\n",
            "warehouse = \"shop.db\"  # --warehouse\n",
            "every other setting has its default: `deltamart check --all`",
            "the configuration is good",
        ],
    );
    assert!(!text.contains("# default") && !text.contains("hunter2") && text.lines().count() < 60, "{text}");
    let (code, text) = run(folder.path(), &variables, &[&arguments[..], &["--all"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert_says(
        &text,
        &[
            "lateness = \"1day\"  # deltamart.toml, line 1\n",
            "sign_in = \"logins\"  # deltamart.toml, line 3\n",
            "\"sasl.username\" = \"(not shown)\"  # deltamart.toml, line 5\n",
            "epoch_events = 1000  # DELTAMART__EPOCH_EVENTS\n",
            "cart_ttl = \"1day\"  # --set\n",
            "warehouse = \"shop.db\"  # --warehouse\n",
            "raw = true  # default\n",
            "the configuration is good",
        ],
    );
    assert!(!text.contains("hunter2"), "{text}");
    let (settings, _) = text.split_once("# warehouse `").expect("what follows");
    for line in settings.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let one_line = settings.replace("\n# ", " ");
    for setting in sections().iter().flat_map(|section| &section.settings) {
        assert!(one_line.contains(&setting.meaning), "what `{}` means is missing:\n{settings}", setting.key);
    }
    let shown: Config = toml::from_str(settings).expect("it is TOML");
    assert_eq!((shown.lateness, shown.epoch_events), (Some(24 * 3_600_000), 1000));
}

#[test]
fn init_writes_a_file_to_begin_with_and_never_over_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deltamart.toml");
    let (code, text) = run(folder.path(), &[], &["init"]);
    assert!(code == Some(0) && text.contains("check") && text.contains("`deltamart.toml`"), "{text}");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&path).expect("text");
    assert_says(&written, &["\n# lateness = \"2days\"\n", "\n[kafka]\n", "\n## "]);
    let (code, text) = run(folder.path(), &[], &["init"]);
    assert!(code == Some(2) && text.contains("is there already"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).expect("text"), written);
    // As it is, and with every setting in it.
    let uncommented: Vec<_> = written.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    for text in [written.clone(), uncommented.join("\n")] {
        std::fs::write(&path, text).expect("writes");
        let loaded = Config::load(Some(&path), &[], &[]).expect("good");
        assert_eq!(loaded.config, Config::default());
    }
    // What is wrong with another file is nothing to it.
    std::fs::write(&path, "latenes = 5").expect("writes");
    let (code, text) = run(folder.path(), &[], &["init", "other.toml"]);
    assert!(code == Some(0) && text.contains("check --config other.toml"), "{text}");
    let (code, text) = run(folder.path(), &[], &["init", "none/other.toml"]);
    assert!(code == Some(1) && text.contains("`none/other.toml`"), "{text}");
}

#[test]
fn what_settings_name_and_is_not_there_is_said_before_anything_is_made() {
    let folder = folder(
        "warehouse = \"none/shop.db\"\nstate_dir = \"deltamart.toml/state\"\n[feed]\npath = \"file://feed\"\n\
         [kafka]\nbrokers = \"127.0.0.1:1\"\nformat = \"avro\"\n[kafka.secrets]\n\"sasl.password\" = \"file:none.password\"\n\
         [registry]\nurl = \"http://127.0.0.1:1\"\npassword = \"env:DELTAMART_TEST_NO_SUCH_VARIABLE\"\n\
         [snowflake]\naccount = \"A-B\"\nprivate_key = \"file:none.p8\"\n",
    );
    for command in ["run", "check"] {
        let (code, text) = run(folder.path(), &[], &[command]);
        assert_eq!(code, Some(2), "{text}");
        assert_says(
            &text,
            &[
                "6 mistakes",
                "deltamart.toml, line 1: setting `warehouse`: could not make `none/shop.db`: folder `none` does not exist",
                "deltamart.toml, line 2: setting `state_dir`: `deltamart.toml` is a file, and a folder is needed there",
                "deltamart.toml, line 4: setting `feed.path`: a `file://` URL names a folder from `/` on",
                "line 9: setting `kafka.secrets.\"sasl.password\"`: could not read secret file `none.password`",
                "line 12: setting `registry.password`: environment variable `DELTAMART_TEST_NO_SUCH_VARIABLE` is not set",
                "line 15: setting `snowflake.private_key`: could not read secret file `none.p8`",
            ],
        );
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "something was made");
    }
    // What a command does not use may be missing.
    let (code, text) = run(folder.path(), &[], &["schema"]);
    assert_eq!(code, Some(0), "{text}");
}
