use super::server::{Says, Server, Time};
use crate::kafka::stack::{await_that, schema_of, send, sign_in};
use crate::support;
use crate::support::table;
use dataflows::table::Value;
use deltamart::config::Config;
use deltamart::config::kafka::Registry as RegistryConfig;
use deltamart::engine::{self, EngineError, Job, Resume};
use deltamart::kafka::cluster::{Cluster, KnownPartitions};
use deltamart::kafka::registry::Registry;
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::kafka::{Mode, sources};
use deltamart::stats::Stats;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const GOOD: u32 = 1;
const POISON: u32 = 5_000;
/// How many good records are before what is not, and behind it.
const AROUND: i64 = 40;

/// Brokers, a registry, and a clock for it.
struct Stage {
    cluster: MockCluster<'static, DefaultProducerContext>,
    config: Config,
    producer: BaseProducer,
    time: Time,
    partitions: i32,
}

struct Run {
    thread: JoinHandle<Result<(), EngineError>>,
    sink: Memory,
    stats: Arc<Stats>,
}

impl Stage {
    fn new(partitions: i32) -> Stage {
        let cluster = MockCluster::new(1).expect("brokers");
        let mut config = Config::default();
        config.kafka.brokers = cluster.bootstrap_servers();
        // They do not answer to that.
        config.kafka.accept_compacted = true;
        for topic in &deltamart::families::TOPICS {
            let name = if topic.event == "sign_in" { "sign_in" } else { "" };
            config.kafka.topics.insert(topic.event.to_owned(), name.to_owned());
        }
        cluster.create_topic("sign_in", partitions, 1).expect("a topic");
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer = client.create().expect("a client");
        Stage { cluster, config, producer, time: Time::default(), partitions }
    }

    /// Sends good records, what is not, and good ones again.
    fn sends(&self, partition: i32, poison: impl IntoIterator<Item = Vec<u8>>) {
        let good = |from: i64| (from..from + AROUND).map(|n| sign_in(GOOD, n + 1, n));
        let all = good(0).chain(poison).chain(good(AROUND));
        send(&self.producer, "sign_in", partition, all.map(|payload| (None, Some(payload))));
    }

    fn run(&self, server: &Server) -> Run {
        let mut cluster = None;
        await_that("brokers answer", || {
            cluster = Cluster::look(&self.config.kafka, &KnownPartitions::default()).ok();
            cluster.is_some()
        });
        let config = RegistryConfig { url: server.url.clone(), ..RegistryConfig::default() };
        let registry = Registry::with(&config, None, false, self.time.clock(Duration::from_secs(5))).expect("opens");
        let mode = Mode { to_end: true, follows: false };
        // By one consumer: what is waited for in one partition is to hold no other.
        let cluster = cluster.expect("an answer");
        let sources = sources(&self.config.kafka, &cluster, Some(&Arc::new(registry)), 1, mode).expect("sources");
        let (sink, stats, stop) = (Memory::default(), Arc::new(Stats::default()), Arc::new(AtomicBool::new(false)));
        let mut claimed = sink.clone();
        let claim = claimed.claim(MadeBy::Run, None).expect("memory");
        let mut options = support::options(1);
        options.epoch_interval = Duration::from_millis(20);
        options.settings.lane.lateness_ms = None;
        let sinks: Vec<(Box<dyn Sink>, _)> = vec![(Box::new(claimed), claim)];
        let stats_too = Arc::clone(&stats);
        let thread = std::thread::spawn(move || {
            let job = Job {
                sources,
                sinks,
                keep: None,
                options: options.engine(),
                resume: Resume::default(),
                stop,
                stats: stats_too,
            };
            engine::run(job).map(drop)
        });
        Run { thread, sink, stats }
    }
}

impl Run {
    /// What was rejected in each partition: reasons and how often; and how much was accepted.
    fn ends(self) -> (BTreeMap<(i64, String), usize>, usize, Vec<String>) {
        await_that("it ends", || self.thread.is_finished());
        self.thread.join().expect("no panic").expect("a good end");
        let contents = self.sink.contents();
        let (mut reasons, mut details) = (BTreeMap::new(), Vec::new());
        for row in contents.rows(table("rejected_events")) {
            let (Value::Integer(partition), Value::Text(reason), Value::Text(detail)) = (&row[1], &row[5], &row[6])
            else {
                panic!("{row:?}")
            };
            *reasons.entry((*partition, reason.clone())).or_default() += 1;
            details.push(detail.clone());
        }
        (reasons, contents.rows(table("consumer_events")).len(), details)
    }
}

/// Each partition has a record that the registry answers otherwise: one waits for no other, each is rejected for what
/// it is, and nothing else is.
#[test]
fn each_partition_waits_for_its_own() {
    let says = [
        Says::NotFound,
        Says::NotFoundByCode,
        Says::Status(400),
        Says::Status(403),
        Says::Status(500),
        Says::Garbage,
        Says::Closes,
        Says::Good,
    ];
    let stage = Stage::new(says.len() as i32);
    for partition in 0..stage.partitions {
        stage.sends(partition, [sign_in(POISON + partition as u32, 999, 1)]);
    }
    let server = Server::start(schema_of("sign_in"), move |id| match id.checked_sub(POISON) {
        Some(poison) => says.get(poison as usize).copied().unwrap_or(Says::NotFoundByCode),
        None => Says::Good,
    });
    // No time passes: nothing is given up.
    stage.time.stand(true);
    let run = stage.run(&server);
    let known = 3;
    let waits = says.len() as i64 - known;
    let before = known * (2 * AROUND + 1) + waits * AROUND;
    await_that("all is read but what is behind those that wait", || {
        assert!(!run.thread.is_finished(), "it has ended, and much was not read");
        run.stats.records.load(Ordering::Relaxed) as i64 == before
    });
    await_that("it says what waits for what", || {
        let said = run.stats.waits_for();
        let is_said = |partition: i32, what: &str| {
            let place = format!("`sign_in/{partition}` at offset {AROUND}, since 20");
            said.iter().any(|said| {
                said.starts_with(&place)
                    && said.contains(&format!("schema {}", POISON + partition as u32))
                    && said.contains(what)
            })
        };
        said.len() as i64 == waits && is_said(2, "status 400") && is_said(3, "status 403") && is_said(4, "status 500")
    });
    assert_eq!(run.stats.records.load(Ordering::Relaxed) as i64, before, "something has overtaken");
    stage.time.stand(false);
    let (rejected, accepted, details) = run.ends();
    assert!((60..80).contains(&stage.time.now().as_secs()), "they waited one after the other: {:?}", stage.time.now());
    let expected = |partition: i64| {
        let reason = if partition < 2 { "unknown_schema" } else { "schema_unavailable" };
        ((partition, reason.to_owned()), 1)
    };
    assert_eq!(rejected, (0..7).map(expected).collect());
    assert_eq!(accepted as i64, says.len() as i64 * 2 * AROUND + 1, "something good is lost");
    assert!(
        details.iter().any(|detail| detail.contains("status 403") && detail.contains("replay-rejected")),
        "{details:?}"
    );
}

/// A registry that was away as a whole and comes back: nothing is rejected.
#[test]
fn a_registry_that_comes_back_finds_all_waiting() {
    let stage = Stage::new(3);
    (0..stage.partitions).for_each(|partition| stage.sends(partition, [sign_in(2, 1, 1)]));
    let read = stage.time.clone();
    let server = Server::start(schema_of("sign_in"), move |id| match read.now().as_secs() {
        0..100 => Says::Status(503),
        100..300 => Says::Status(401),
        _ if id < 10 => Says::Good,
        _ => Says::NotFoundByCode,
    });
    let (rejected, accepted, _) = stage.run(&server).ends();
    assert_eq!((rejected, accepted as i64), (BTreeMap::new(), i64::from(stage.partitions) * (2 * AROUND + 1)));
}

/// A flood of unknown schemas in one partition; schemas that are named in headers; and good ones in all.
#[test]
fn a_flood_and_foreign_ways_to_name_a_schema_are_passed() {
    const FLOOD: u32 = 3_000;
    let stage = Stage::new(2);
    stage.sends(0, (0..FLOOD).map(|n| sign_in(POISON + n, 1, 1)));
    let named = [
        ("apicurio.value.globalId", 17_i64.to_be_bytes().to_vec(), sign_in(0, 1, 1)[5..].to_vec()),
        ("__value_schema_id", vec![1; 17], sign_in(0, 1, 1)[5..].to_vec()),
        // It looks like an id, and is none.
        ("__value_schema_id", vec![1; 17], sign_in(999_999, 1, 1)),
        // A header too, and a schema that is there.
        ("__value_schema_id", vec![1; 17], sign_in(GOOD, 1, 1)),
    ];
    for (key, value, payload) in &named {
        let headers = OwnedHeaders::new().insert(Header { key, value: Some(value) });
        let record = BaseRecord::<[u8], [u8]>::to("sign_in").partition(1).payload(payload).headers(headers);
        stage.producer.send(record).map_err(|(error, _)| error).expect("sent");
    }
    stage.producer.flush(Duration::from_secs(30)).expect("acknowledged");
    let server = Server::start(schema_of("sign_in"), |id| if id == GOOD { Says::Good } else { Says::NotFoundByCode });
    let (rejected, accepted, details) = stage.run(&server).ends();
    let unknown = |partition| (partition, "unknown_schema".to_owned());
    assert_eq!(rejected, [(unknown(0), FLOOD as usize), (unknown(1), 3)].into());
    assert_eq!(accepted as i64, 2 * AROUND + 1);
    let unasked = details.iter().filter(|detail| detail.contains("was not asked for")).count();
    assert_eq!(unasked, FLOOD as usize - 256);
    let named = |what: &str| details.iter().filter(|detail| detail.contains(what)).count();
    assert_eq!(
        (named("`apicurio.value.globalId` (17)"), named("`__value_schema_id`")),
        (1, 2),
        "what names it is named"
    );
    drop(stage.cluster);
}
