use super::stack::Stack;
use std::net::TcpListener;

/// Partitions that come to be while three processes read are dealt to them anew, and read from their beginning.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn partitions_added_in_the_middle_are_dealt_to_all_processes() {
    let stack = Stack::of("dealt");
    let simulate = |seed: &str| {
        stack.succeeds(&["simulate", "--events", "5000", "--rate", "0", "--seed", seed]);
    };
    simulate("1");
    let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let hosts = listeners.each_ref().map(|listener| listener.local_addr().expect("bound").to_string());
    std::fs::write(stack.path("hosts"), hosts.join("\n")).expect("writable");
    drop(listeners);
    let often = ["--set", "kafka.metadata_interval=200ms", "--set", "epoch_interval=20ms"];
    let [leader, others @ ..] = ["0", "1", "2"].map(|process| {
        let together = ["run", "-n", "3", "-p", process, "--hostfile", "hosts"];
        stack.starts(&[&together, &often[..]].concat())
    });
    stack.awaits_all();
    stack.grows("sign_in", 6);
    stack.grows("item_view", 5);
    simulate("2");
    stack.awaits_all();
    // One signal ends all in order.
    leader.ends();
    others.into_iter().for_each(super::stack::Running::has_ended_well);
    stack.verify(&[]);
    assert_eq!(stack.accounted("deltamart.db"), 2 * (5_000 + 298), "a record is lost, or doubled");
    let new = "SELECT COUNT(DISTINCT _topic || _partition) FROM (SELECT _topic, _partition FROM consumer_events
        UNION ALL SELECT _topic, _partition FROM item_view_events) WHERE _partition >= 3";
    assert_eq!(stack.value::<i64>("deltamart.db", new), 5, "not all new partitions were written to");
    // One process alone, from the beginning.
    stack.succeeds(&["run", "--to-end", "--warehouse", "again.db"]);
    stack.succeeds(&["verify", "--warehouse", "again.db"]);
    assert_eq!(stack.accounted("again.db"), stack.accounted("deltamart.db"));
}
