use super::stack::{await_that, send};
use crate::support::table;
use crate::support::{self, MONDAY_MS};
use deltamart::config::Config;
use deltamart::config::kafka::Format;
use deltamart::engine::{self, EngineError, Job, Resume};
use deltamart::kafka::KafkaError;
use deltamart::kafka::cluster::{Cluster, KnownPartitions};
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::kafka::{Mode, sources};
use deltamart::stats::Stats;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const BROKERS: i32 = 3;
const PARTITIONS: i32 = 4;

/// Brokers, and a producer that they do not fail.
struct Brokers {
    cluster: MockCluster<'static, DefaultProducerContext>,
    config: Config,
    sent: i64,
}

impl Brokers {
    fn new() -> Brokers {
        let cluster = MockCluster::new(BROKERS).expect("brokers");
        let mut config = Config::default();
        config.kafka.brokers = cluster.bootstrap_servers();
        config.kafka.format = Format::Json;
        // They do not answer to that.
        config.kafka.accept_compacted = true;
        for topic in &deltamart::families::TOPICS {
            let is_read = matches!(topic.event, "sign_in" | "item_view");
            let name = if is_read { topic.event.to_owned() } else { String::new() };
            config.kafka.topics.insert(topic.event.to_owned(), name);
        }
        cluster.create_topic("sign_in", PARTITIONS, BROKERS).expect("a topic");
        cluster.create_topic("item_view", PARTITIONS, BROKERS).expect("a topic");
        Brokers { cluster, config, sent: 0 }
    }

    /// Sends so many events to each partition.
    fn send(&mut self, count: i64) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.cluster.bootstrap_servers());
        let producer: BaseProducer = client.create().expect("a client");
        let events = |name: &'static str, first: i64| {
            (first..first + count).map(move |n| {
                let user = n % 1_000 + 1;
                let event = format!(
                    r#"{{"event_name":"{name}","timestamp":{},"user_id":{user},"item_id":"{user}"}}"#,
                    MONDAY_MS + n * 1_000
                );
                (None, Some(event.into_bytes()))
            })
        };
        for partition in 0..PARTITIONS {
            for name in ["sign_in", "item_view"] {
                send(&producer, name, partition, events(name, self.sent));
                self.sent += count;
            }
        }
    }

    /// Looks until it is answered, as `run` does.
    fn look(&self) -> Cluster {
        let mut cluster = None;
        await_that("brokers answer", || match Cluster::look(&self.config.kafka, &KnownPartitions::default()) {
            Ok(found) => {
                cluster = Some(found);
                true
            }
            Err(KafkaError::Away(_)) => false,
            Err(refused) => panic!("{refused}"),
        });
        let cluster = cluster.expect("an answer");
        let ends = cluster.partitions.iter().map(|found| (found.low, found.high)).collect::<Vec<_>>();
        let all = i64::from(2 * PARTITIONS);
        assert_eq!(ends, vec![(0, self.sent / all); all as usize], "an error was taken for an answer");
        cluster
    }

    fn run(&self, to_end: bool) -> Run {
        let cluster = self.look();
        let sources = sources(&self.config.kafka, &cluster, None, 2, Mode { to_end, follows: false }).expect("sources");
        let (sink, stats, stop) = (Memory::default(), Arc::new(Stats::default()), Arc::new(AtomicBool::new(false)));
        let mut claimed = sink.clone();
        let claim = claimed.claim(MadeBy::Run, None).expect("memory");
        let mut options = support::options(2);
        options.epoch_interval = Duration::from_millis(20);
        options.idle_timeout_ms = 0;
        options.settings.lane.lateness_ms = None;
        let sinks: Vec<(Box<dyn Sink>, _)> = vec![(Box::new(claimed), claim)];
        let (resume, stop_too, stats_too) = (Resume::default(), Arc::clone(&stop), Arc::clone(&stats));
        let thread = std::thread::spawn(move || {
            let job =
                Job { sources, sinks, keep: None, options: options.engine(), resume, stop: stop_too, stats: stats_too };
            engine::run(job).map(drop)
        });
        Run { thread, sink, stats, stop }
    }

    /// Each event is there once, and nothing else is.
    fn check(&self, run: Run) {
        let Run { thread, sink, stats, .. } = run;
        thread.join().expect("no panic").expect("a good end");
        let contents = sink.contents();
        let mut rows = 0;
        for table in [table("consumer_events"), table("item_view_events")] {
            rows += contents.rows(table).len() as i64;
        }
        assert_eq!(rows, self.sent, "an event is lost");
        assert_eq!(stats.records.load(Ordering::Relaxed) as i64, self.sent, "an event came twice");
    }
}

struct Run {
    thread: JoinHandle<Result<(), EngineError>>,
    sink: Memory,
    stats: Arc<Stats>,
    stop: Arc<AtomicBool>,
}

impl Run {
    fn has_read(&self, count: i64) -> bool {
        self.thread.is_finished() || self.stats.records.load(Ordering::Relaxed) as i64 >= count
    }
}

#[test]
fn requests_that_fail_are_made_again() {
    let mut brokers = Brokers::new();
    brokers.send(200);
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    ];
    brokers.cluster.request_errors(RDKafkaApiKey::ListOffsets, &errors);
    brokers.cluster.request_errors(RDKafkaApiKey::Fetch, &errors);
    brokers.look();
    brokers.cluster.request_errors(RDKafkaApiKey::ListOffsets, &errors);
    let run = brokers.run(true);
    brokers.cluster.request_errors(RDKafkaApiKey::Fetch, &[errors, errors].concat());
    await_that("it ends", || run.thread.is_finished());
    brokers.check(run);
}

/// All brokers away and there again: it says what it waits for, and goes on by itself.
#[test]
fn brokers_that_are_away_are_waited_for() {
    let mut brokers = Brokers::new();
    brokers.send(100);
    let run = brokers.run(false);
    await_that("the first half is read", || run.has_read(brokers.sent));
    (1..=BROKERS).for_each(|broker| brokers.cluster.broker_down(broker).expect("goes down"));
    await_that("it says what it waits for", || {
        run.stats.waits_for().iter().any(|what| what.contains("no broker has lately answered for"))
    });
    await_that("it says what the client says", || {
        run.stats.troubles().iter().any(|trouble| trouble.of == "Kafka" && trouble.said.contains("127.0.0.1"))
    });
    (1..=BROKERS).for_each(|broker| brokers.cluster.broker_up(broker).expect("comes up"));
    brokers.send(100);
    await_that("the second half is read", || run.has_read(brokers.sent));
    await_that("it waits for nothing", || run.stats.waits_for().is_empty());
    await_that("what was complained of is over", || run.stats.troubles().is_empty());
    let caught_up = |topic: &str| run.stats.lag().iter().any(|lag| lag.topic == topic && lag.records == 0);
    await_that("it is known to be behind by nothing", || caught_up("sign_in") && caught_up("item_view"));
    run.stop.store(true, Ordering::Release);
    brokers.check(run);
}

/// When every partition has had nothing for a while, the watermark stands, and that is known.
#[test]
fn silence_everywhere_is_known() {
    let mut brokers = Brokers::new();
    brokers.send(100);
    let run = brokers.run(false);
    await_that("all is read, and nothing comes", || run.has_read(brokers.sent) && !run.stats.silent_since().is_empty());
    (1..=BROKERS).for_each(|broker| brokers.cluster.broker_down(broker).expect("goes down"));
    await_that("nobody knows whether anything comes", || run.stats.silent_since().is_empty());
    (1..=BROKERS).for_each(|broker| brokers.cluster.broker_up(broker).expect("comes up"));
    run.stop.store(true, Ordering::Release);
    brokers.check(run);
}

/// Told to end while no broker answers, it does.
#[test]
fn it_ends_in_order_while_brokers_are_away() {
    let mut brokers = Brokers::new();
    brokers.send(50);
    let run = brokers.run(false);
    await_that("all is read", || run.has_read(brokers.sent));
    (1..=BROKERS).for_each(|broker| brokers.cluster.broker_down(broker).expect("goes down"));
    await_that("it says what it waits for", || !run.stats.waits_for().is_empty());
    run.stop.store(true, Ordering::Release);
    await_that("it ends", || run.thread.is_finished());
    brokers.check(run);
}

#[test]
fn leaders_that_change_are_followed() {
    let mut brokers = Brokers::new();
    brokers.send(100);
    let run = brokers.run(false);
    for round in 0..6 {
        for partition in 0..PARTITIONS {
            for topic in ["sign_in", "item_view"] {
                let leader = (partition + round) % BROKERS + 1;
                brokers.cluster.partition_leader(topic, partition, Some(leader)).expect("leads");
            }
        }
        brokers.send(50);
        if round % 2 == 0 {
            await_that("all is read", || run.has_read(brokers.sent));
        }
    }
    await_that("all is read", || run.has_read(brokers.sent));
    run.stop.store(true, Ordering::Release);
    brokers.check(run);
}
