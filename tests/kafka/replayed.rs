use super::stack::{Stack, framed, instant, long, text};
use rdkafka::Message;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

/// A registration by a writer whose fields stand in another order: a text before the address, a number behind.
const SCHEMA: &str = r#"{"type":"record","name":"Registration","fields":[{"name":"timestamp","type":"string"},
    {"name":"preferred_language","type":"string"},{"name":"masked_email","type":"string"},
    {"name":"age","type":"int"},{"name":"user_id","type":"long"},{"name":"note","type":"string"}]}"#;

/// A registry that has nothing yet.
fn empty_registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut lines = BufReader::new(client.try_clone().expect("a socket")).lines();
            let asked = lines.next().and_then(Result::ok).unwrap_or_default();
            lines.map_while(Result::ok).find(String::is_empty);
            let (status, body) = match asked.contains("/schemas/ids/") {
                true => ("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#),
                false => ("200 OK", "[]"),
            };
            let length = body.len();
            let kind = "Content-Type: application/vnd.schemaregistry.v1+json";
            let mut client = &client;
            write!(
                client,
                "HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .ok();
        }
    });
    format!("http://{at}")
}

/// Records whose schema came after them are kept masked, and sent again as they came: out of the log.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn records_that_are_kept_masked_are_sent_again_whole() {
    let stack = Stack::reading("replayed", |event| event == "consumer_registration");
    stack.creates("consumer_registration", 1, "delete");
    let schema = stack.registers("replayed", SCHEMA);
    let mut records = Vec::new();
    for length in 1..=39 {
        for note in ["", "a note", "another@mail.example", "x"] {
            let email = format!("{}@mail.example", "j".repeat(length));
            let user = records.len() as i64 + 1;
            let fields = [text(&instant(user)), text("eng"), text(&email), long(30), long(user), text(note)];
            records.push(framed(schema, &fields));
        }
    }
    stack.sends("consumer_registration", 0, records.iter().cloned().map(Some));
    let reads = |event: &str| event == "consumer_registration";
    stack.configure(&empty_registry(), reads);
    stack.succeeds(&["run", "--to-end"]);
    let value = |sql: &str| stack.value::<i64>("deltamart.db", sql);
    let rejected = "SELECT COUNT(*) FROM rejected_events WHERE reason = 'unknown_schema'";
    assert_eq!(value(rejected), 156);
    assert_eq!(value("SELECT COUNT(*) FROM rejected_events WHERE instr(raw, CAST('jj@' AS BLOB))"), 0);
    stack.configure(&stack.registry, reads);
    let said = stack.succeeds(&["replay-rejected", "--dry-run"]);
    assert!(said.contains("unknown_schema") && said.contains("156"), "{said}");
    let said = stack.succeeds(&["replay-rejected"]);
    assert!(said.contains("156 records were sent to their topics again"), "{said}");
    let consumer = stack.consumer();
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(&stack.topic("consumer_registration"), 0, Offset::Offset(156)).expect("an offset");
    consumer.assign(&place).expect("assigns");
    for (number, record) in records.iter().enumerate() {
        let copy = consumer.poll(Duration::from_secs(30)).expect("a record").expect("a record");
        assert_eq!(copy.payload(), Some(&record[..]), "record {number}");
    }
    stack.succeeds(&["run", "--to-end"]);
    assert_eq!(value("SELECT COUNT(*) FROM consumer_events WHERE masked_email = '****@mail.example'"), 156);
    assert_eq!(value(rejected), 156, "a copy was rejected");
    let said = stack.succeeds(&["replay-rejected"]);
    assert!(said.contains("0 records were sent") && !said.contains("raw tables"), "{said}");
    stack.verify(&[]);
}
