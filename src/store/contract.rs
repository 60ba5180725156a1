//! What every store must do, asked of each of them.

use super::Store;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Asks everything of an empty store.
pub fn check(store: &dyn Store) {
    nothing_is_there_at_first(store);
    an_object_is_made_once(store);
    an_object_is_replaced_whole(store);
    keys_are_listed_by_prefix_and_in_order(store);
    several_are_read_in_their_order(store);
    a_deleted_object_can_be_made_again(store);
    bytes_are_bytes(store);
    what_is_no_key_is_refused(store);
    of_racers_one_makes_the_object(store);
    readers_see_whole_objects(store);
}

fn nothing_is_there_at_first(store: &dyn Store) {
    assert_eq!(store.get("first/nothing"), Ok(None));
    assert_eq!(store.list(""), Ok(vec![]));
    assert_eq!(store.list("first/"), Ok(vec![]));
    assert_eq!(store.delete("first/nothing"), Ok(()));
}

fn an_object_is_made_once(store: &dyn Store) {
    assert_eq!(store.create("made/once", b"1"), Ok(true));
    assert_eq!(store.create("made/once", b"2"), Ok(false));
    assert_eq!(store.create("made/once", b"1"), Ok(false), "the same bytes make no difference");
    assert_eq!(store.get("made/once"), Ok(Some(b"1".to_vec())));
}

fn an_object_is_replaced_whole(store: &dyn Store) {
    for bytes in [b"long as it was".as_slice(), b"short", b""] {
        assert_eq!(store.put("replaced", bytes), Ok(()));
        assert_eq!(store.get("replaced"), Ok(Some(bytes.to_vec())));
        assert_eq!(store.put_lightly("beat", bytes), Ok(()));
        assert_eq!(store.get("beat"), Ok(Some(bytes.to_vec())));
    }
}

fn keys_are_listed_by_prefix_and_in_order(store: &dyn Store) {
    for key in ["list/b/2", "list/a/1", "list/b/10", "list/b-2", "list/bb/0", "list/a/2"] {
        assert_eq!(store.put(key, b""), Ok(()));
    }
    let list = |prefix: &str| store.list(prefix).expect("keys").join(" ");
    assert_eq!(list("list/"), "list/a/1 list/a/2 list/b-2 list/b/10 list/b/2 list/bb/0");
    assert_eq!(list("list/b"), "list/b-2 list/b/10 list/b/2 list/bb/0");
    assert_eq!(list("list/b/"), "list/b/10 list/b/2");
    assert_eq!(list("list/b/1"), "list/b/10");
    assert_eq!(list("list/c"), "");
    assert_eq!(list("li"), list("list/"));
    assert!(list("").starts_with("beat list/a/1"), "{}", list(""));
}

fn several_are_read_in_their_order(store: &dyn Store) {
    let keys: Vec<String> = (0..40).map(|n| format!("several/{n}")).collect();
    for key in keys.iter().filter(|key| !key.ends_with('7')) {
        assert_eq!(store.put(key, key.as_bytes()), Ok(()));
    }
    let asked: Vec<&str> = keys.iter().rev().map(String::as_str).collect();
    let wanted = asked.iter().map(|key| (!key.ends_with('7')).then(|| key.as_bytes().to_vec())).collect();
    assert_eq!(store.get_all(&asked), Ok(wanted));
    assert_eq!(store.get_all(&[]), Ok(vec![]));
    assert!(store.get_all(&["several/1", "../several/2"]).is_err());
}

fn a_deleted_object_can_be_made_again(store: &dyn Store) {
    assert_eq!(store.create("again/x", b"1"), Ok(true));
    assert_eq!(store.delete("again/x"), Ok(()));
    assert_eq!(store.delete("again/x"), Ok(()));
    assert_eq!((store.get("again/x"), store.list("again/")), (Ok(None), Ok(vec![])));
    assert_eq!(store.create("again/x", b"2"), Ok(true));
    assert_eq!(store.get("again/x"), Ok(Some(b"2".to_vec())));
}

fn bytes_are_bytes(store: &dyn Store) {
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    assert_eq!(store.create("bytes", &bytes), Ok(true));
    assert_eq!(store.get("bytes"), Ok(Some(bytes)));
}

fn what_is_no_key_is_refused(store: &dyn Store) {
    for key in ["", "/a", "a//b", "../a", ".a", "a b"] {
        assert!(store.put(key, b"").is_err(), "`{key}`");
        assert!(store.create(key, b"").is_err(), "`{key}`");
        assert!(store.get(key).is_err(), "`{key}`");
        assert!(store.delete(key).is_err(), "`{key}`");
    }
    assert!(store.list("../").is_err());
}

fn of_racers_one_makes_the_object(store: &dyn Store) {
    for round in 0..20 {
        let (key, winners, start) = (format!("race-{round}/it"), AtomicUsize::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for racer in 0..4_u8 {
                let (key, winners, start) = (&key, &winners, &start);
                scope.spawn(move || {
                    start.wait();
                    let made = store.create(key, &[racer]).expect("an answer");
                    winners.fetch_add(usize::from(made), Ordering::SeqCst);
                    let found = store.get(key).expect("an answer").expect("it is there, no matter who made it");
                    assert!(!made || found == [racer]);
                });
            }
        });
        assert_eq!(winners.into_inner(), 1);
    }
}

fn readers_see_whole_objects(store: &dyn Store) {
    store.put("whole", &[0; 10_000]).expect("put");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..50_u8).for_each(|round| store.put("whole", &[round; 10_000]).expect("put")));
        while !writer.is_finished() {
            let found = store.get("whole").expect("an answer").expect("it never goes away");
            assert_eq!(found.len(), 10_000);
            assert!(found.iter().all(|byte| *byte == found[0]));
        }
    });
}
