//! What `check` says of a wrong password, right, or answer of a registry. What needs TLS is tried by
//! `scripts/cluster-chaos`.

use crate::cli::{deltamart, said};
use crate::poison::server::Server;
use deltamart::config::kafka::{Kafka, Registry as RegistryConfig};
use deltamart::kafka::producer::Transactional;
use deltamart::kafka::registry::Registry;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tempfile::TempDir;

/// The program in a folder, configured so.
fn folder(toml: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("deltamart.toml"), toml).expect("written");
    folder
}

fn check(folder: &TempDir) -> (Option<i32>, String) {
    said(&deltamart(folder.path(), &["check"]))
}

fn assert_says(found: &(Option<i32>, String), code: i32, expected: &[&str]) {
    assert_eq!(found.0, Some(code), "{}", found.1);
    expected.iter().for_each(|what| assert!(found.1.contains(what), "`{what}` is missing:\n{}", found.1));
}

/// Brokers that have two topics, and how they are named.
fn brokers() -> (MockCluster<'static, DefaultProducerContext>, String) {
    let cluster = MockCluster::new(1).expect("brokers");
    let mut toml = format!(
        "[kafka]\nbrokers = \"{}\"\naccept_compacted = true\ngroup_id = \"shop\"\n[kafka.topics]\n",
        cluster.bootstrap_servers()
    );
    for topic in &deltamart::families::TOPICS {
        let is_read = matches!(topic.event, "sign_in" | "item_view");
        let name = if is_read { topic.event } else { "" };
        toml.push_str(&format!("{} = \"{name}\"\n", topic.event));
    }
    cluster.create_topic("sign_in", 1, 1).expect("a topic");
    cluster.create_topic("item_view", 1, 1).expect("a topic");
    (cluster, toml)
}

/// A broker that knows nobody.
fn who_knows_nobody(mut stream: TcpStream) {
    let text = |text: &str| [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat();
    let mut size = [0; 4];
    while stream.read_exact(&mut size).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(size) as usize];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let body = match (number(0), number(2)) {
            // What it can do, in the oldest words alone.
            (18, 0) => {
                let apis: [[i16; 3]; 4] = [[18, 0, 0], [17, 0, 1], [36, 0, 0], [3, 0, 1]];
                let apis = apis.as_flattened().iter().flat_map(|number| number.to_be_bytes());
                [&[0, 0][..], &[0, 0, 0, 4], &apis.collect::<Vec<_>>()].concat()
            }
            (18, _) => vec![0, 35, 0, 0, 0, 0],
            (17, _) => [&[0, 0, 0, 0, 0, 1][..], &text("PLAIN")].concat(),
            (36, _) => [&[0, 58][..], &text("Authentication failed: no such user or password"), &[0; 4]].concat(),
            _ => return,
        };
        let answer = [&request[4..8], &body].concat();
        if stream.write_all(&[&(answer.len() as u32).to_be_bytes()[..], &answer].concat()).is_err() {
            return;
        }
    }
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let broker = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| drop(std::thread::spawn(|| who_knows_nobody(stream))));
    });
    let folder = folder(&format!(
        "[kafka]\nbrokers = \"{broker}\"\nformat = \"json\"\nproperties = {{ \"security.protocol\" = \"SASL_PLAINTEXT\", \
         \"sasl.mechanisms\" = \"PLAIN\", \"sasl.username\" = \"shop\" }}\n\
         secrets = {{ \"sasl.password\" = \"file:password\" }}\n"
    ));
    std::fs::write(folder.path().join("password"), "hunter2hunter2\n").expect("written");
    let found = check(&folder);
    assert_says(
        &found,
        1,
        &[&format!("Kafka at {broker}: authentication failed: "), "no such user or password", "; could not ask"],
    );
    assert!(!found.1.contains("hunter2"), "{}", found.1);
}

/// The group's is said, since a run does without; a transactional id is refused. Of a topic the mock refuses all
/// requests or none: `scripts/cluster-chaos` tries those.
#[test]
fn a_right_that_is_missing_is_named() {
    let (cluster, toml) = brokers();
    let folder = folder(&format!("{toml}[registry]\nurl = \"{}\"\n", well().url));
    assert_says(&check(&folder), 0, &["2 partitions", "the configuration is good"]);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 3];
    cluster.request_errors(RDKafkaApiKey::OffsetFetch, &refused);
    assert_says(&check(&folder), 0, &["the group `shop` (`kafka.group_id`)", "grant READ"]);
    cluster.clear_request_errors(RDKafkaApiKey::OffsetFetch);
    let config = Kafka { brokers: cluster.bootstrap_servers(), ..Kafka::default() };
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED; 3];
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &refused);
    let why = Transactional::begin(&config, "deltamart-mart.", 1_000_000).err().expect("refused").to_string();
    assert!(why.contains("`deltamart-mart.`"), "{why}");
}

/// A registry that is well.
fn well() -> Server {
    Server::at_paths(|path| path.starts_with("/subjects").then(|| (200, "[]".to_owned())))
}

#[test]
fn a_registry_that_does_not_answer_says_why() {
    let (_cluster, toml) = brokers();
    for (status, body, expected) in [
        (401, "<html>who are you?</html>", &["status 401", "`registry.username`, `registry.password`"][..]),
        (401, r#"{"error_code":40101,"message":"no such user"}"#, &["status 401", "no such user"]),
        (403, r#"{"error_code":40301,"message":"denied"}"#, &["status 403", "denied", "does not allow that"]),
        (503, "", &["status 503"]),
    ] {
        let server = Server::at_paths(move |_| Some((status, body.to_owned())));
        let found = check(&folder(&format!("{toml}[registry]\nurl = \"{}\"\n", server.url)));
        assert_says(&found, 1, &[expected, &["could not list its subjects", &server.url]].concat());
        assert!(!found.1.contains("couldn't parse"), "{}", found.1);
    }
}

/// Who vouches for a registry: what is wrong is named with the setting and what it is set to.
#[test]
fn authorities_of_a_registry_are_certificates_in_a_file() {
    let place = tempfile::tempdir().expect("a folder");
    let (none, text) = (place.path().join("none.pem"), place.path().join("text.pem"));
    std::fs::write(&text, "no certificate").expect("written");
    for (path, expected) in [(&none, "could not be read"), (&text, "holds no certificate")] {
        let ca = path.display().to_string();
        let config =
            RegistryConfig { url: "https://127.0.0.1:1".to_owned(), ca: ca.clone(), ..RegistryConfig::default() };
        let why = Registry::open(&config).err().expect("refused").to_string();
        assert!(why.contains("`registry.ca`") && why.contains(&ca) && why.contains(expected), "{why}");
    }
    let found = check(&folder("[registry]\nurl = \"http://127.0.0.1:1\"\nca = \"ca.pem\"\n"));
    assert_says(&found, 2, &["`registry.ca`", "`ca.pem`", "https://"]);
}

/// A build without TLS says so of a registry, too.
#[cfg(not(feature = "kafka-tls"))]
#[test]
fn a_registry_by_https_names_the_feature() {
    let config = RegistryConfig { url: "https://127.0.0.1:1".to_owned(), ..RegistryConfig::default() };
    let why = Registry::open(&config).err().expect("refused").to_string();
    assert!(why.contains("`registry.url`") && why.contains("--features kafka-tls"), "{why}");
}
