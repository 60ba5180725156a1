use crate::cli::{deltamart, said};
use std::net::TcpListener;

/// A build without TLS says so, and what to build; it asks nobody.
#[cfg(not(feature = "kafka-tls"))]
#[test]
fn what_needs_tls_names_the_feature() {
    let folder = tempfile::tempdir().expect("a folder");
    for (key, value) in [
        ("security.protocol", "SASL_SSL"),
        ("security.protocol", "ssl"),
        ("sasl.mechanisms", "SCRAM-SHA-512"),
        ("ssl.ca.location", "/etc/ca.pem"),
    ] {
        let toml = format!(
            "[kafka]\nbrokers = \"127.0.0.1:1\"\nformat = \"json\"\nproperties = {{ \"{key}\" = \"{value}\" }}\n"
        );
        std::fs::write(folder.path().join("deltamart.toml"), toml).expect("written");
        let (code, text) = said(&deltamart(folder.path(), &["run", "--to-end"]));
        assert!(code == Some(2) && text.contains(key) && text.contains("--features kafka-tls"), "{text}");
    }
}

/// What cannot be asked says why, as far as the client knows.
#[test]
fn the_reason_is_in_the_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let toml = format!("[kafka]\nbrokers = \"{nobody}\"\nformat = \"json\"\n");
    std::fs::write(folder.path().join("deltamart.toml"), toml).expect("written");
    let (code, text) = said(&deltamart(folder.path(), &["check"]));
    assert!(
        code != Some(0) && text.contains(&format!("Kafka at {nobody}: connection refused; could not ask")),
        "{text}"
    );
}
