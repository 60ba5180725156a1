use super::server::{Says, Server, Time, UNCLEAR, registry, settled};
use crate::kafka::stack::{await_that, schema_of};
use crate::support::histories;
use deltamart::kafka::registry::Resolved;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const POISON: u32 = 500;
const GOOD: u32 = 7;
/// Longer than an answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// For where nothing is said, and waiting for it is real; longer than others take to be answered on a busy machine, since
/// no time is counted for the registry while it answers nobody.
const LITTLE_PATIENCE: Duration = Duration::from_millis(100);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn patience(says: Says) -> Duration {
    if says == Says::Nothing { LITTLE_PATIENCE } else { PATIENCE }
}

/// One that is well knows these, and no other.
fn well(id: u32) -> Says {
    if id <= 1_000 { Says::Good } else { Says::NotFoundByCode }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    One,
    All,
}

/// Until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Never,
    Second(u64),
}

fn case(says: Says, of: Of, until: Until) {
    let time = Time::default();
    let read = time.clone();
    let server = Server::start(schema_of("sign_in"), move |id| {
        let is_over = matches!(until, Until::Second(second) if read.now() >= seconds(second));
        if !is_over && (of == Of::All || id == POISON) { says } else { well(id) }
    });
    let registry = registry(&server.url, None, false, time.clock(patience(says)));
    let at_last = seconds(200);
    let poison = settled(&registry, POISON, "t/0", false, &time, at_last);
    let given_up = time.now();
    let good = settled(&registry, GOOD, "t/1", false, &time, at_last);
    let is_silent = says != Says::Good && !matches!(says, Says::NotFound | Says::NotFoundByCode) && of == Of::All;
    await_that("what it says is kept until it answers", || {
        registry.trouble().is_some() == (is_silent && until == Until::Never) || of == Of::One
    });
    let of_all = |found: &Resolved| match until {
        Until::Never => matches!(found, Resolved::Asked(Some(_))),
        Until::Second(_) => *found == Resolved::Yes,
    };
    match (says, of) {
        (Says::Good, _) => assert_eq!((poison, good), (Resolved::Yes, Resolved::Yes)),
        (Says::NotFound | Says::NotFoundByCode, Of::One) => {
            assert_eq!((poison, good), (Resolved::Absent, Resolved::Yes))
        }
        (Says::NotFound | Says::NotFoundByCode, Of::All) => {
            assert_eq!((poison, good), (Resolved::Absent, Resolved::Absent))
        }
        (_, Of::All) => {
            assert!(of_all(&poison) && of_all(&good), "a registry that is away is waited for: {poison:?}, {good:?}")
        }
        (_, Of::One) if until == Until::Second(30) => assert_eq!((poison, good), (Resolved::Yes, Resolved::Yes)),
        (_, Of::One) => {
            let Resolved::Unavailable(why) = &poison else { panic!("it is waited for without end: {poison:?}") };
            assert!(why.contains(&server.url) && why.contains("schema 500"), "{why}");
            assert!((seconds(60)..seconds(75)).contains(&given_up), "given up after {given_up:?}");
            assert_eq!(good, Resolved::Yes);
            // It is believed for ten minutes, without asking.
            let asked = server.asked.load(Ordering::SeqCst);
            time.pass(seconds(500));
            assert_eq!(registry.resolve(POISON, "t/0", false), poison);
            assert_eq!(server.asked.load(Ordering::SeqCst), asked);
            time.pass(seconds(101));
            let again = settled(&registry, POISON, "t/0", false, &time, time.now() + seconds(30));
            assert!(if until == Until::Never { matches!(again, Resolved::Asked(_)) } else { again == Resolved::Yes });
        }
    }
}

/// Whatever it says, of one schema or of all, until then or forever: only what nobody will ever have is given up.
#[test]
fn every_answer_of_one_and_of_all() {
    let definite = [Says::Good, Says::NotFound, Says::NotFoundByCode];
    for says in definite.into_iter().chain(UNCLEAR) {
        for of in [Of::One, Of::All] {
            for until in [Until::Never, Until::Second(30), Until::Second(150)] {
                println!("{says:?} of {of:?} until {until:?}");
                case(says, of, until);
            }
        }
    }
}

/// Some schemas fail for a while, and meanwhile all do: only the time counts in which others were there.
#[test]
fn only_the_time_counts_in_which_others_are_there() {
    for seed in 0..u64::from(histories(20).min(40)) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let spoken: Vec<_> = UNCLEAR.into_iter().filter(|says| *says != Says::Nothing).collect();
        let ids: Vec<(u32, Says, u64)> = (0..3)
            .map(|n| {
                let says = *spoken.choose(&mut random).expect("some");
                (POISON + n, says, *[0, 20, 45, 100, 180].choose(&mut random).expect("some"))
            })
            .collect();
        let away = random.random_range(0..120_u64);
        let away = (away, away + random.random_range(0..200), *spoken.choose(&mut random).expect("some"));
        let time = Time::default();
        let (read, of) = (time.clone(), ids.clone());
        let server = Server::start(schema_of("sign_in"), move |id| {
            let now = read.now().as_secs();
            match of.iter().find(|(of, ..)| *of == id) {
                _ if (away.0..away.1).contains(&now) => away.2,
                Some((_, says, until)) if now < *until => *says,
                _ => well(id),
            }
        });
        let registry = registry(&server.url, None, false, time.clock(PATIENCE));
        // Asked at once.
        ids.iter().for_each(|(id, ..)| drop(registry.resolve(*id, "t/0", false)));
        for (id, says, until) in ids {
            let found = settled(&registry, id, "t/0", false, &time, seconds(600));
            let failed_alone = until - until.min(away.1).saturating_sub(away.0.min(until));
            let about = format!("seed {seed}: {id} says {says:?} until {until}, all are away {away:?}: {found:?}");
            match failed_alone {
                0..50 => assert_eq!(found, Resolved::Yes, "{about}"),
                95.. => assert!(matches!(found, Resolved::Unavailable(_)), "{about}"),
                _ => assert!(!matches!(found, Resolved::Asked(_)), "{about}"),
            }
        }
    }
}

/// Who read a record by a schema before waits for it as long as it takes: also where it is said that there is none.
#[test]
fn what_was_read_before_is_never_given_up() {
    for says in [Says::NotFoundByCode, Says::Status(403), Says::Garbage] {
        let time = Time::default();
        let read = time.clone();
        let server = Server::start(schema_of("sign_in"), move |id| {
            if id == POISON && read.now() < seconds(900) { says } else { well(id) }
        });
        let registry = registry(&server.url, None, false, time.clock(PATIENCE));
        let waits = settled(&registry, POISON, "t/0", true, &time, seconds(850));
        assert!(matches!(&waits, Resolved::Asked(Some(_))), "{says:?}: {waits:?}");
        assert_eq!(settled(&registry, POISON, "t/0", true, &time, seconds(1_000)), Resolved::Yes, "{says:?}");
    }
}

/// Of a flood of ids 256 a minute and partition are asked for, 16 at a time; those that exist do not count.
#[test]
fn a_flood_is_asked_for_in_part_and_many_at_a_time() {
    let time = Time::default();
    let (now, most) = (Arc::new((Mutex::new(0_usize), Condvar::new())), Arc::<AtomicUsize>::default());
    let (gate, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::with(move |id| {
        let (waiting, changed) = &*gate;
        let mut waiting = waiting.lock().expect("no panic");
        *waiting += 1;
        peak.fetch_max(*waiting, Ordering::SeqCst);
        changed.notify_all();
        // Nobody is answered before 16 are there: 256 are 16 times as many.
        if id > 1_000 {
            let patience = Duration::from_secs(20);
            waiting = changed
                .wait_timeout_while(waiting, patience, |_| peak.load(Ordering::SeqCst) < 16)
                .expect("no panic")
                .0;
        }
        *waiting -= 1;
        match well(id) {
            Says::Good => Some((200, serde_json::json!({ "schema": schema_of("sign_in") }).to_string())),
            _ => Some((404, r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned())),
        }
    });
    let registry = registry(&server.url, None, false, time.clock(PATIENCE * 4));
    let flood = |partition: &str, ids: std::ops::Range<u32>| {
        ids.clone().for_each(|id| drop(registry.resolve(id, partition, false)));
        let mut unasked = BTreeSet::new();
        for id in ids {
            match settled(&registry, id, partition, false, &time, Duration::MAX) {
                Resolved::Absent => {}
                Resolved::Unasked(why) => {
                    assert!(why.contains(&format!("more than 256 new ones a minute in `{partition}`")), "{why}");
                    unasked.insert(id);
                }
                other => panic!("{id}: {other:?}"),
            }
        }
        unasked.len()
    };
    assert_eq!(flood("t/0", 10_000..11_000), 1_000 - 256);
    assert_eq!((server.asked.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (256, 16));
    assert_eq!(flood("t/1", 20_000..20_300), 300 - 256, "a partition is not held back for another");
    time.pass(seconds(61));
    assert_eq!(flood("t/0", 30_000..30_256), 0, "after a minute others are asked for");
    assert_eq!(flood("t/0", 40_000..40_010), 10);
    time.pass(seconds(61));
    for id in 1..=1_000 {
        assert_eq!(settled(&registry, id, "t/2", false, &time, Duration::MAX), Resolved::Yes, "{id} exists");
    }
}
