use super::stack::{Stack, schema_of, sign_in};
use deltamart::config::Config;
use deltamart::config::retention::Retention;
use deltamart::families::all;
use deltamart::sink::kafka::Kafka;
use deltamart::sink::{MadeBy, Sink};
use futures_executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn publishing(stack: &Stack) -> Config {
    let mut config = Config::default();
    config.publish.prefix = format!("{}.", stack.topic("out"));
    (config.publish.brokers, config.registry.url) = (stack.brokers.clone(), stack.registry.clone());
    config
}

/// A run that was killed in the middle of a commit leaves its transaction open: the next one is not kept waiting
/// until the brokers give it up, and sees nothing of it.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_transaction_that_a_killed_run_left_open_delays_nobody() {
    let stack = Stack::reading("open", |_| false);
    let config = publishing(&stack);
    let mut first = Kafka::open(all(), &config).expect("opens");
    let claim = first.claim(MadeBy::Run, None).expect("claims");
    let prefix = &config.publish.prefix;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &stack.brokers).set("transactional.id", format!("deltamart-{prefix}"));
    let killed: BaseProducer = client.create().expect("a client");
    killed.init_transactions(PATIENCE).expect("begins");
    killed.begin_transaction().expect("begins");
    let topic = format!("{prefix}_progress");
    let record = BaseRecord::to(&topic).key(b"progress".as_slice()).payload(b"half a commit".as_slice());
    killed.send(record).map_err(|(error, _)| error).expect("sent");
    killed.flush(PATIENCE).expect("acknowledged");
    let mut next = Kafka::open(all(), &config).expect("opens");
    let found = next.position().expect("is told").expect("claimed");
    assert_eq!((found.generation, found.epoch), (claim.generation, 0));
    let again = next.claim(MadeBy::Run, None).expect("claims");
    assert_eq!((again.generation, again.pipeline_id), (claim.generation + 1, claim.pipeline_id));
    killed.commit_transaction(PATIENCE).expect_err("it is fenced out");
    assert_eq!(next.position().expect("is told").expect("claimed").generation, again.generation);
}

/// What is read, and what is published: both of one cluster, by one run; and a topic that would lose rows is refused.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn tables_are_published_where_events_are_read() {
    let stack = Stack::reading("published", |event| event == "sign_in");
    stack.creates("sign_in", 2, "delete");
    let schema = stack.registers("sign_in", schema_of("sign_in"));
    stack.sends("sign_in", 0, (0..40).map(|n| Some(sign_in(schema, n + 1, n))));
    let prefix = format!("publish.prefix={}.", stack.topic("out"));
    let more = ["--set", prefix.as_str()];
    let checks = || {
        let said = stack.succeeds(&[&["check"], &more[..]].concat());
        assert!(said.contains("# publish: this user may write topics"), "{said}");
    };
    checks();
    assert_eq!(stack.end_of("out.users", 0), None, "to try is not to make");
    stack.succeeds(&[&["run", "--to-end"], &more[..]].concat());
    let ends = || ["out._progress", "out.consumer_events"].map(|topic| stack.end_of(topic, 0));
    let before = ends();
    checks();
    assert_eq!(ends(), before, "to try is not to write");
    let said = stack.succeeds(&[&["status", "sinks"], &more[..]].concat());
    assert_eq!(said.matches("           `").count(), 2, "{said}");
    stack.sends("sign_in", 1, (40..60).map(|n| Some(sign_in(schema, n + 1, n))));
    stack.succeeds(&[&["run", "--to-end"], &more[..]].concat());
    let mut config = publishing(&stack);
    let mut sink = Kafka::open(all(), &config).expect("opens");
    let table = crate::support::table("user_activity");
    assert_eq!(deltamart::sink::Stored::page(&mut sink, table, None, 1_000).expect("rows").len(), 60);
    config.publish.prefix = format!("{}-", stack.topic("other"));
    stack.creates("other-users", 1, "delete");
    let refused = Kafka::open(all(), &config).expect("opens").claim(MadeBy::Run, None).expect_err("it would lose rows");
    assert!(refused.to_string().contains("is not compacted"), "{refused}");
}

/// What is not kept forever the brokers remove: they are told so, and told again when it changes, and whatever
/// else somebody set stays as it is.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn topics_are_set_to_what_is_kept() {
    let stack = Stack::reading("kept", |_| false);
    let mut config = publishing(&stack);
    let prefix = config.publish.prefix.clone();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &stack.brokers);
    let admin: AdminClient<DefaultClientContext> = client.create().expect("a client");
    let topic = |table: &str| format!("{prefix}{table}");
    let set = |table: &str, key: &str| {
        let topic = topic(table);
        let described = block_on(admin.describe_configs([&ResourceSpecifier::Topic(&topic)], &AdminOptions::new()));
        let described = described.expect("answers").remove(0).expect("there");
        described.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default()
    };
    let policies = || {
        ["late_events", "cart_events", "catalog_events", "users", "_progress"].map(|table| set(table, "cleanup.policy"))
    };
    let hour = 3_600_000;
    let claim = |config: &Config| Kafka::open(all(), config).expect("opens").claim(MadeBy::Run, None);
    config.rules.time.max_future = hour;
    config.retention = Retention { raw: None, rejected: None, late: Some(48 * hour) };
    claim(&config).expect("claims");
    assert_eq!(policies(), ["compact,delete", "compact", "compact", "compact", "compact"]);
    let of_late = || ["retention.ms", "retention.bytes", "max.message.bytes"].map(|key| set("late_events", key));
    assert_eq!(of_late(), ["176400000", "-1", "16777216"], "what happens an hour ahead is kept an hour longer");
    // Somebody sets something of their own.
    let (late, users) = (topic("late_events"), topic("users"));
    let alter = |change: AlterConfig<'_>| {
        block_on(admin.alter_configs([&change], &AdminOptions::new())).expect("answers").remove(0).expect("sets");
    };
    let change = AlterConfig::new(ResourceSpecifier::Topic(&late)).set("cleanup.policy", "compact,delete");
    alter(change.set("retention.ms", "176400000").set("max.message.bytes", "16777216").set("segment.ms", "1234567"));
    config.retention = Retention { raw: Some(24 * hour), rejected: None, late: Some(24 * hour) };
    claim(&config).expect("claims");
    assert_eq!(policies(), ["compact,delete", "compact,delete", "compact", "compact", "compact"]);
    assert_eq!(of_late(), ["90000000", "-1", "16777216"]);
    assert_eq!(set("late_events", "segment.ms"), "1234567");
    config.retention = Retention::default();
    claim(&config).expect("claims");
    assert_eq!(policies(), ["compact"; 5]);
    assert_eq!([set("late_events", "segment.ms"), set("late_events", "max.message.bytes")], ["1234567", "16777216"]);
    // What is kept forever must be, also if somebody set it otherwise.
    alter(AlterConfig::new(ResourceSpecifier::Topic(&users)).set("cleanup.policy", "compact,delete"));
    let refused = claim(&config).expect_err("it would lose rows");
    assert!(
        refused.to_string().contains("`kept") && refused.to_string().contains("is not only compacted"),
        "{refused}"
    );
}
