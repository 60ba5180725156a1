use crate::support::needed;
use crate::support::table;
use dataflows::table::TableId;
use deltamart::config::kafka::Registry as Config;
use deltamart::decode::avro::header;
use deltamart::families::{TOPICS, all};
use deltamart::kafka::registry::Registry;
use deltamart::sink::Sink;
use deltamart::sink::sqlite::{Sqlite, quoted};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::fmt::Write;
use std::fs::File;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What nothing here takes as long as.
const PATIENCE: Duration = Duration::from_secs(60);

/// Topics, a folder, and the program in it, configured to read them.
pub(super) struct Stack {
    pub(super) brokers: String,
    pub(super) registry: String,
    prefix: String,
    folder: TempDir,
}

impl Stack {
    /// For a test of this name.
    pub(super) fn of(test: &str) -> Stack {
        Stack::reading(test, |_| true)
    }

    /// Reads the topics of some events only.
    pub(super) fn reading(test: &str, reads: impl Fn(&str) -> bool) -> Stack {
        let (brokers, registry) = (needed("DELTAMART_BROKERS"), needed("DELTAMART_REGISTRY"));
        let prefix = format!("{test}-{}", std::process::id());
        let stack = Stack { brokers, registry, prefix, folder: tempfile::tempdir().expect("a folder") };
        stack.configure(&stack.registry, reads);
        stack
    }

    /// Writes the file that configures the program.
    pub(super) fn configure(&self, registry: &str, reads: impl Fn(&str) -> bool) {
        let mut toml =
            format!("[registry]\nurl = \"{registry}\"\n[kafka]\nbrokers = \"{}\"\n[kafka.topics]\n", self.brokers);
        for topic in &TOPICS {
            let name = if reads(topic.event) { self.topic(topic.event) } else { String::new() };
            writeln!(toml, "{} = \"{name}\"", topic.event).expect("text");
        }
        std::fs::write(self.path("deltamart.toml"), toml).expect("writable");
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The topic that carries an event.
    pub(super) fn topic(&self, event: &str) -> String {
        format!("{}-{event}", self.prefix)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// Runs the program to its end: its exit code, and what it said.
    pub(super) fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("runs");
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    /// Runs the program to its end, which is a good one.
    pub(super) fn succeeds(&self, arguments: &[&str]) -> String {
        let (code, text) = self.says(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    }

    /// The program refuses it, and says all of this.
    pub(super) fn refuses(&self, arguments: &[&str], expected: &[&str]) {
        let (code, text) = self.says(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        expected.iter().for_each(|expected| assert!(text.contains(expected), "`{expected}` is missing:\n{text}"));
    }

    /// Each table is what its SQL says over the raw tables.
    pub(super) fn verify(&self, more: &[&str]) {
        let text = self.succeeds(&[&["verify"], more].concat());
        assert!(text.contains(" 0 differ"), "{text}");
    }

    /// Starts the program, which goes on.
    pub(super) fn starts(&self, arguments: &[&str]) -> Running {
        let said = self.path(&format!("said-{}.txt", uuid::Uuid::new_v4()));
        let file = File::create(&said).expect("writable");
        let mut command = self.command(arguments);
        let child = command.stdout(file.try_clone().expect("a file")).stderr(file).spawn().expect("starts");
        Running { child, said }
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        client
    }

    fn admin(&self) -> (AdminClient<DefaultClientContext>, AdminOptions) {
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        (self.client().create().expect("a client"), options)
    }

    /// Makes the topic of an event.
    pub(super) fn creates(&self, event: &str, partitions: i32, cleanup: &str) {
        let (admin, options) = self.admin();
        let topic = self.topic(event);
        let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1)).set("cleanup.policy", cleanup);
        // One that was deleted is gone a moment later.
        await_that("the topic is made", || {
            let made = block_on(admin.create_topics([&new], &options)).expect("an answer");
            made.iter().all(Result::is_ok)
        });
        await_that("the topic is there", || self.end_of(event, 0).is_some());
    }

    pub(super) fn deletes(&self, event: &str) {
        let (admin, options) = self.admin();
        let deleted = block_on(admin.delete_topics(&[&self.topic(event)], &options)).expect("an answer");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        await_that("the topic is gone", || self.end_of(event, 0).is_none());
    }

    pub(super) fn grows(&self, event: &str, partitions: usize) {
        let (admin, options) = self.admin();
        let grown = block_on(admin.create_partitions(&[NewPartitions::new(&self.topic(event), partitions)], &options));
        assert!(grown.expect("an answer").iter().all(Result::is_ok));
    }

    /// Deletes the records before an offset.
    pub(super) fn truncates(&self, event: &str, partition: i32, before: i64) {
        let (admin, options) = self.admin();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.topic(event), partition, Offset::Offset(before)).expect("an offset");
        block_on(admin.delete_records(&offsets, &options)).expect("deletes");
    }

    pub(super) fn producer(&self, transactional: bool) -> BaseProducer {
        let mut client = self.client();
        client.set("enable.idempotence", "true");
        if transactional {
            client.set("transactional.id", &self.prefix);
        }
        client.create().expect("a client")
    }

    pub(super) fn consumer(&self) -> BaseConsumer {
        let mut client = self.client();
        client.set("group.id", &self.prefix).create().expect("a client")
    }

    /// Sends payloads to a partition; none is a tombstone.
    pub(super) fn sends(&self, event: &str, partition: i32, payloads: impl IntoIterator<Item = Option<Vec<u8>>>) {
        send(&self.producer(false), &self.topic(event), partition, payloads.into_iter().map(|payload| (None, payload)));
    }

    /// Sends payloads that were appended at these instants.
    pub(super) fn sends_at(&self, event: &str, partition: i32, records: impl IntoIterator<Item = (i64, Vec<u8>)>) {
        let records = records.into_iter().map(|(at, payload)| (Some(at), Some(payload)));
        send(&self.producer(false), &self.topic(event), partition, records);
    }

    /// Registers a schema; tells its id.
    pub(super) fn registers(&self, subject: &str, schema: &str) -> u32 {
        let registry = Registry::open(&Config { url: self.registry.clone(), ..Config::default() }).expect("a registry");
        registry.register(&format!("{}-{subject}", self.prefix), schema).expect("registers")
    }

    /// Where a partition ends, if it is there.
    pub(super) fn end_of(&self, event: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = self.client().create().expect("a client");
        Some(consumer.fetch_watermarks(&self.topic(event), partition, Duration::from_secs(5)).ok()?.1)
    }

    /// Waits until everything that is there now is in the warehouse.
    pub(super) fn awaits_all(&self) {
        let consumer: BaseConsumer = self.client().create().expect("a client");
        for topic in consumer.fetch_metadata(None, PATIENCE).expect("metadata").topics() {
            if !topic.name().starts_with(&format!("{}-", self.prefix)) {
                continue;
            }
            for partition in topic.partitions() {
                let (low, high) =
                    consumer.fetch_watermarks(topic.name(), partition.id(), PATIENCE).expect("watermarks");
                if low < high {
                    self.awaits(&format!("{}/{}={high}", topic.name(), partition.id()));
                }
            }
        }
    }

    /// Waits until a position is in the warehouse.
    pub(super) fn awaits(&self, position: &str) {
        // The run may not have made its state yet.
        await_that(position, || self.says(&["status", "--wait-for", position, "--timeout", "20"]).0 == Some(0));
    }

    /// One value of a warehouse.
    pub(super) fn value<T: rusqlite::types::FromSql>(&self, warehouse: &str, sql: &str) -> T {
        let sink = Sqlite::open_to_read(all(), &self.path(warehouse)).expect("opens");
        sink.connection().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// How many records a warehouse accounts for: each is in one of these tables.
    pub(super) fn accounted(&self, warehouse: &str) -> i64 {
        accounted()
            .map(|id| self.value::<i64>(warehouse, &format!("SELECT COUNT(*) FROM {}", quoted(id.table().name))))
            .sum()
    }

    /// How far the warehouse's watermark is.
    pub(super) fn watermark(&self) -> Option<i64> {
        Some(Sqlite::open_to_read(all(), &self.path("deltamart.db")).ok()?.position().ok()??.watermarks.least())
    }
}

/// Where each record that was read is.
pub(super) fn accounted() -> impl Iterator<Item = TableId> {
    all().raw().chain([table("rejected_events")])
}

/// Sends records that were appended then, or now; each is acknowledged.
pub(crate) fn send(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    records: impl IntoIterator<Item = (Option<i64>, Option<Vec<u8>>)>,
) {
    for (at, payload) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).key(b"key");
        if let Some(payload) = &payload {
            record = record.payload(payload);
        }
        if let Some(at) = at {
            record = record.timestamp(at);
        }
        while let Err((_, unsent)) = producer.send(record) {
            record = unsent;
            producer.poll(Duration::from_millis(10));
        }
    }
    producer.flush(PATIENCE).expect("all are acknowledged");
    assert_eq!(producer.in_flight_count(), 0);
}

/// Waits for a fact, not forever.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "it is not so after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program that runs; dropped, it is killed. If its test fails, what it said is printed.
pub(super) struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    /// What is answered at a path of its page; nothing before it is served.
    pub(super) fn answers(&self, path: &str) -> Option<String> {
        let said = read(&self.said);
        let at = said.split("http://").nth(1)?.split_whitespace().next()?;
        let mut stream = TcpStream::connect(at).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// Kills it with no warning.
    pub(super) fn dies(mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }

    /// Ends it in order, which it does though it waits for something.
    pub(super) fn ends(self) {
        let pid = self.child.id().to_string();
        let told = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).stdout(Stdio::null()).status();
        assert!(told.expect("sh").success(), "it runs no more: {}", read(&self.said));
        self.has_ended_well();
    }

    /// It ends by itself, and well.
    pub(super) fn has_ended_well(mut self) {
        await_that("it ends", || self.child.try_wait().expect("asks").is_some());
        let status = self.child.wait().expect("ended");
        assert!(status.success(), "{}", read(&self.said));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            println!("the program said:\n{}", read(&self.said));
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Avro, written by hand: a number.
pub(crate) fn long(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// Avro, written by hand: text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.as_bytes().to_vec()].concat()
}

/// A payload: a datum of fields under a schema.
pub(crate) fn framed(schema: u32, fields: &[Vec<u8>]) -> Vec<u8> {
    [header(schema).to_vec(), fields.concat()].concat()
}

/// Somebody signed in, by the shipped schema, so many seconds after the Monday.
pub(crate) fn sign_in(schema: u32, user: i64, second: i64) -> Vec<u8> {
    framed(schema, &[text(&instant(second)), text("sign_in"), long(user)])
}

/// So many seconds after the Monday.
pub(crate) fn instant(second: i64) -> String {
    deltamart::instant::show(crate::support::MONDAY_MS + second * 1_000)
}

/// The shipped schema of an event.
pub(crate) fn schema_of(event: &str) -> &'static str {
    TOPICS.iter().find(|topic| topic.event == event).expect("an event").schema
}
