use super::stack::{Stack, schema_of, sign_in};
use deltamart::config::Config;
use deltamart::sink::kafka::Kafka;
use deltamart::sink::{MadeBy, Sink};
use rdkafka::ClientConfig;
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
fn a_transaction_that_a_killed_run_left_open_delays_nobody() {
    let Some(stack) = Stack::reading("open", |_| false) else { return };
    let config = publishing(&stack);
    let mut first = Kafka::open(&config).expect("opens");
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
    let mut next = Kafka::open(&config).expect("opens");
    let found = next.position().expect("is told").expect("claimed");
    assert_eq!((found.generation, found.epoch), (claim.generation, 0));
    let again = next.claim(MadeBy::Run, None).expect("claims");
    assert_eq!((again.generation, again.pipeline_id), (claim.generation + 1, claim.pipeline_id));
    killed.commit_transaction(PATIENCE).expect_err("it is fenced out");
    assert_eq!(next.position().expect("is told").expect("claimed").generation, again.generation);
}

/// What is read, and what is published: both of one cluster, by one run; and a topic that would lose rows is refused.
#[test]
fn tables_are_published_where_events_are_read() {
    let Some(stack) = Stack::reading("published", |event| event == "sign_in") else { return };
    stack.creates("sign_in", 2, "delete");
    let schema = stack.registers("sign_in", schema_of("sign_in"));
    stack.sends("sign_in", 0, (0..40).map(|n| Some(sign_in(schema, n + 1, n))));
    let prefix = format!("publish.prefix={}.", stack.topic("out"));
    let more = ["--set", prefix.as_str()];
    stack.succeeds(&[&["run", "--to-end"], &more[..]].concat());
    let said = stack.succeeds(&[&["status"], &more[..]].concat());
    assert_eq!(said.matches("sink       ").count(), 2, "{said}");
    stack.sends("sign_in", 1, (40..60).map(|n| Some(sign_in(schema, n + 1, n))));
    stack.succeeds(&[&["run", "--to-end"], &more[..]].concat());
    let mut config = publishing(&stack);
    let mut sink = Kafka::open(&config).expect("opens");
    let table = dataflows::table::TableId::UserActivity;
    assert_eq!(deltamart::sink::Stored::page(&mut sink, table, None, 1_000).expect("rows").len(), 60);
    config.publish.prefix = format!("{}-", stack.topic("other"));
    stack.creates("other-users", 1, "delete");
    let refused = Kafka::open(&config).expect("opens").claim(MadeBy::Run, None).expect_err("it would lose rows");
    assert!(refused.to_string().contains("is not compacted"), "{refused}");
}
