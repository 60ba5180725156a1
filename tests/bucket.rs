//! State and feed in a bucket whose service fails, refuses, lags, or is not what it should be.

mod service;

use crate::support::table;
use dataflows::delta::Delta;
use deltamart::config::feed::Feed;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::{Commit, MadeBy, Sink};
use deltamart::state_dir::{Generation, StateDir, StateError};
use deltamart::store::{Store, StoreError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use service::{Fault, Service, says};
use std::collections::BTreeMap;
use std::sync::Arc;

fn facts(nonce: &str) -> Generation {
    crate::support::start_of(nonce.to_owned(), &crate::support::options(1), BTreeMap::new())
}

/// Everything that is asked of a store; the key is there, with one byte.
fn each_request(store: &dyn Store) -> [(&'static str, Result<(), StoreError>); 5] {
    [
        ("create", store.create("b", b"1").map(drop)),
        ("put", store.put("a", b"1")),
        ("get", store.get("a").map(|found| assert_eq!(found.as_deref(), Some(&b"1"[..])))),
        ("list", store.list("").map(|keys| assert!(keys.contains(&"a".to_owned())))),
        ("delete", store.delete("b")),
    ]
}

/// What passes in seconds.
fn passing() -> Vec<Fault> {
    vec![
        says(500, "InternalError", "We encountered an internal error."),
        says(503, "SlowDown", "Please reduce your request rate."),
        says(503, "ServiceUnavailable", ""),
        says(429, "TooManyRequests", ""),
        says(409, "ConditionalRequestConflict", "A conflicting operation occurred."),
        says(409, "OperationAborted", "A conflicting conditional operation is in progress."),
        says(408, "RequestTimeout", ""),
        says(400, "RequestTimeout", "Your socket connection was not read from in time."),
        Fault::Says(404, "404 page not found".to_owned()),
        Fault::Says(502, "<html>Bad Gateway</html>".to_owned()),
        Fault::HangsUp,
        Fault::LosesTheAnswer,
    ]
}

#[test]
fn what_passes_in_seconds_is_tried_again_after_a_pause() {
    for fault in passing() {
        let service = Service::start();
        let (store, clock) = service.store();
        store.put("a", b"1").expect("put");
        // So that it is known that the service keeps to conditions.
        store.create("c", b"1").expect("create");
        assert_eq!(clock.taken(), [0_u128; 0]);
        for n in 0..5 {
            service.requests();
            // What each of the five asks, one at a time.
            let faults: Vec<_> = (0..n).map(|_| None).chain([Some(fault.clone()), Some(fault.clone())]).collect();
            service.script(faults);
            for (name, result) in each_request(&store) {
                assert_eq!(result, Ok(()), "{name} after {fault:?}");
            }
            assert_eq!(clock.taken(), [100, 200], "request {n}, {fault:?}");
            assert_eq!(service.requests().len(), 7, "request {n}, {fault:?}");
        }
    }
}

#[test]
fn what_does_not_pass_is_told_after_twenty_seconds_and_may_pass_later() {
    for fault in passing() {
        let service = Service::start();
        let (store, clock) = service.store();
        service.always(Some(fault.clone()));
        let result = store.put("a", b"1");
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{fault:?}: {result:?}");
        assert_eq!(clock.taken(), [100, 200, 400, 800, 1600, 3200, 5000, 5000], "{fault:?}");
        assert_eq!(service.requests().len(), 9, "{fault:?}");
    }
}

#[test]
fn what_somebody_must_mend_is_told_at_once_with_what_to_do() {
    let variables =
        "the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`".to_owned();
    let wrong_key = format!("the key is wrong, or not of this service: check {variables}");
    let told = [
        (403, "AccessDenied", "give whom the environment names the right to list, get, put and delete there"),
        (403, "RequestTimeTooSkewed", "set this machine's clock"),
        (403, "InvalidAccessKeyId", &wrong_key),
        (403, "SignatureDoesNotMatch", &wrong_key),
        (404, "NoSuchBucket", "make the bucket, or name another one"),
        (507, "XMinioStorageFull", "make room at the service, or raise the quota"),
        (
            400,
            "ExpiredToken",
            "the session's token is over or wrong: start again with a new one, or without `AWS_SESSION_TOKEN` under a \
             role of the machine",
        ),
    ];
    for (status, code, advice) in told {
        let service = Service::start();
        let (store, clock) = service.store();
        service.always(Some(says(status, code, "So it is.")));
        let wanted = |doing: &str, key: &str| {
            format!(
                "could not {doing} `s3://bucket/place/{key}`: the service answered {status} ({code}): So it is; {advice}"
            )
        };
        assert_eq!(store.put("a", b"1"), Err(StoreError::Unavailable(wanted("write", "a"))));
        assert_eq!(store.create("a", b"1"), Err(StoreError::Unavailable(wanted("write", "a"))));
        assert_eq!(store.get("a"), Err(StoreError::Unavailable(wanted("read", "a"))));
        assert_eq!(store.list("x/"), Err(StoreError::Unavailable(wanted("list", "x/"))));
        assert_eq!(store.delete("a"), Err(StoreError::Unavailable(wanted("remove", "a"))));
        assert_eq!(store.look(), Err(StoreError::Unavailable(wanted("open", "").replace("place/`", "place`"))));
        assert_eq!((clock.taken().len(), service.requests().len()), (0, 6), "{code}");
    }
}

#[test]
fn what_never_passes_ends_the_run_with_what_to_do() {
    for (status, code, advice) in [
        (501, "NotImplemented", "the service must support conditional puts (`If-None-Match: *`)"),
        (400, "EntityTooLarge", "an object is larger than the service takes in one request"),
    ] {
        let service = Service::start();
        let (store, clock) = service.store();
        service.always(Some(says(status, code, "No.")));
        let told =
            format!("could not write `s3://bucket/place/a`: the service answered {status} ({code}): No; {advice}");
        assert_eq!(store.create("a", b"1"), Err(StoreError::Failed(told)));
        assert_eq!((clock.taken().len(), service.requests().len()), (0, 1));
    }
}

#[test]
fn a_409_is_asked_again_and_a_412_is_an_answer() {
    let service = Service::start();
    let (store, clock) = service.store();
    let conflict = || Some(says(409, "ConditionalRequestConflict", "A conflicting operation occurred."));
    service.script([conflict(), conflict(), None, None]);
    assert_eq!(store.create("a", b"1"), Ok(true));
    assert_eq!((clock.taken(), service.requests().len()), (vec![100, 200], 4));
    service.script([Some(says(412, "PreconditionFailed", ""))]);
    assert_eq!(store.create("a", b"2"), Ok(false));
    assert_eq!((clock.taken(), service.requests().len()), (vec![], 1));
}

#[test]
fn a_start_that_meets_nothing_but_409_or_412_comes_to_its_end() {
    let service = Service::start();
    let (store, clock) = service.store();
    let dir = StateDir::open(Arc::new(store), None).expect("opens");
    clock.taken();
    service.requests();
    // The list is as ever; nothing else is.
    service.script([None]);
    service.always(Some(says(409, "ConditionalRequestConflict", "")));
    let Err(StateError::Store(StoreError::Unavailable(why))) = dir.begin(&facts("a"), 0) else { panic!("it began") };
    assert_eq!(
        why,
        "could not write `s3://bucket/place/generations/00000001`: the service answered 409 \
         (ConditionalRequestConflict); another request is at the same object: stop all runs but one"
    );
    assert_eq!((clock.taken().len(), service.requests().len()), (8, 10));
    // A service that says of every number that it is taken, and of no object that it is there.
    let of_each = [Some(says(412, "PreconditionFailed", "")), None];
    service.script([None].into_iter().chain(of_each.iter().cycle().take(200).cloned()));
    let Err(refused @ StateError::Refused { .. }) = dir.begin(&facts("a"), 0) else { panic!("it began") };
    assert_eq!(
        refused.to_string(),
        "state `s3://bucket/place`: 100 numbers of starts up to 100 are taken that its list of `generations/` did \
         not show; stop all runs but one, and see whether the service lists what was written"
    );
    assert_eq!(service.requests().len(), 201);
}

#[test]
fn a_service_that_passes_over_the_condition_is_refused_before_anything_is_read() {
    let service = Service::start();
    service.forgets_conditions();
    let told = "could not use `s3://bucket/place`: its service made an object twice that was to be made only if there \
                is none; two runs would not learn of each other; use a service that keeps to `If-None-Match: *`, or a \
                folder";
    let Err(error) = StateDir::open(Arc::new(service.store().0), None).map(drop) else { panic!("it was opened") };
    assert_eq!(error.to_string(), told);
    // The state is there already: then its next start finds out.
    let dir = StateDir::open(Arc::new(service.store().0), None).expect("opens");
    assert_eq!(dir.begin(&facts("a"), 0).map_err(|error| error.to_string()), Err(told.to_owned()));
    let elsewhere = Service::start();
    elsewhere.forgets_conditions();
    let mut feed = Parquet::on(all(), Arc::new(elsewhere.store().0), &Feed::default());
    let refused = feed.claim(MadeBy::Run, None).map(drop).map_err(|error| error.to_string());
    assert_eq!(refused, Err(format!("Parquet feed: {told}")));
}

#[test]
fn one_request_more_tells_whether_the_service_keeps_to_conditions() {
    let service = Service::start();
    let (store, _) = service.store();
    for key in ["a", "b", "c"] {
        assert_eq!(store.create(key, b"1"), Ok(true));
    }
    assert_eq!(service.requests().len(), 4);
}

fn commit(number: u64) -> Commit {
    let users = (0..10).map(|id| Delta::Upsert(crate::feed::user(id, number as i64))).collect();
    Commit {
        follows: 2 * number - 2,
        epoch: 2 * number,
        clock_ms: 1_767_571_200_000 + number as i64,
        watermarks: Watermarks::of_shop(number as i64),
        positions: BTreeMap::from([("topic/0".to_owned(), number as i64)]),
        deltas: BTreeMap::from([(table("users"), users)]),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

#[test]
fn a_list_that_hides_the_newest_object_takes_nothing_over() {
    let service = Service::start();
    service.hides_the_newest();
    let dir = StateDir::open(Arc::new(service.store().0), None).expect("opens");
    let begun: Vec<_> = ["a", "b", "c"].map(|nonce| dir.begin(&facts(nonce), 0).expect("begins")).into();
    assert_eq!(begun, [1, 2, 3]);

    let service = Service::start();
    service.hides_the_newest();
    for start in 0..3 {
        let mut feed = Parquet::on(all(), Arc::new(service.store().0), &Feed { merge_runs: 2, ..Feed::default() });
        let claim = feed.claim(MadeBy::Run, None).expect("claims");
        assert_eq!(feed.position().expect("a position").map(|there| there.epoch), Some(4 * start));
        for number in [2 * start + 1, 2 * start + 2] {
            feed.apply(&claim, &commit(number)).expect("commits");
        }
    }
    let mut feed = Parquet::on(all(), Arc::new(service.store().0), &Feed::default());
    assert_eq!(feed.position().expect("a position").map(|there| there.epoch), Some(12));
}

/// Any requests under any answers that pass: a store is a store.
#[test]
fn whatever_is_answered_meanwhile_a_bucket_is_a_store() {
    for seed in 0..20 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (service, faults) = (Service::start(), passing());
        let (store, _) = service.store();
        let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for round in 0..100_u8 {
            // What the last request left of its script is this one's.
            let failing = dice.random_range(0..4);
            service.script((0..failing).map(|_| Some(faults[dice.random_range(0..faults.len())].clone())));
            let key = format!("k/{}", dice.random_range(0..5));
            match dice.random_range(0..5) {
                0 => {
                    let made = store.create(&key, &[round]).expect("an answer");
                    // It may find its own, whose answer was lost.
                    let lost = !made && service.objects().get(&format!("place/{key}")) == Some(&vec![round]);
                    assert_eq!(made || lost, !model.contains_key(&key), "seed {seed}, round {round}");
                    model.entry(key).or_insert(vec![round]);
                }
                1 => {
                    store.put(&key, &[round]).expect("an answer");
                    model.insert(key, vec![round]);
                }
                2 => assert_eq!(store.get(&key).expect("an answer").as_ref(), model.get(&key), "seed {seed}"),
                3 => assert_eq!(store.list("k/").expect("an answer"), model.keys().cloned().collect::<Vec<_>>()),
                _ => {
                    store.delete(&key).expect("an answer");
                    model.remove(&key);
                }
            }
        }
    }
}
