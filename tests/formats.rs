//! What is written down is read by later versions: every byte of it stays as it is, or gets a new
//! version.
//!
//! A record in a snapshot does not say what it means, so that nothing else would notice: fields in another
//! order, a variant put in between, and a snapshot of yesterday is read as something else. What each kind
//! of object looks like stands in `tests/formats/`.

use crate::support;
use dataflows::shop::events::rules::CartIds;
use dataflows::state::Section;
use deltamart::engine::Resume;
use deltamart::families::all;
use deltamart::lanes::{Lanes, Times};
use deltamart::rules::Rules;
use deltamart::sink::memory::Memory;
use deltamart::source::marks::Marks;
use deltamart::source::script::{Script, Step};
use deltamart::state_dir::dropped::Listed;
use deltamart::state_dir::journal::{Entry, Group, Rejected};
use deltamart::state_dir::schemas::Kept;
use deltamart::state_dir::snapshot::{self, Manifest};
use deltamart::state_dir::{Generation, StateDir};
use deltamart::store::Store;
use deltamart::store::local::Local;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Fails if this is not what was written before. `version` is what has to be raised then, and where.
fn assert_as_it_was(name: &str, version: &str, written: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name);
    let Ok(before) = std::fs::read_to_string(&path) else {
        std::fs::write(&path, written).expect("the file can be made");
        panic!("tests/formats/{name} was not there, and is now what this version writes: look at it, and keep it");
    };
    if before == written {
        return;
    }
    let (mut before, mut written) = (before.lines(), written.lines());
    let (was, is) = loop {
        let pair = (before.next(), written.next());
        if pair.0 != pair.1 {
            break (pair.0.unwrap_or("(nothing)"), pair.1.unwrap_or("(nothing)"));
        }
    };
    panic!(
        "`{name}` is not written as it was:\n  before: {was}\n  now:    {is}\n\
         Who has state of the version before would read something else from it. If it must change: raise {version}; \
         read what the version before wrote, or refuse it and say so in the README and CHANGELOG.md; then remove \
         tests/formats/{name} and run this again. If only what the test writes has changed, the last is enough."
    );
}

fn event(name: &str, time: &str, rest: &str) -> Step {
    let json = format!(r#"{{"event_name":"{name}","timestamp":"2026-01-05T{time}:00Z",{rest}}}"#);
    Step::Record(0, json.into_bytes())
}

/// A little of everything: ids that are numbers and ids that are not, what is there and what is missing.
pub fn a_day() -> Vec<Step> {
    let cart = |n: u8, rest: &str| format!(r#""cart_id":"00000000-0000-0000-0000-0000000000{n:02}"{rest}"#);
    let registers = r#""age":30,"masked_email":"****@a.ge","preferred_language""#;
    vec![
        event(
            "movies_catalog_enriched",
            "09:50",
            r#""item_id":"7","title":"Seven","price":9.99,"list_price_raw":"999USD$9.99","product_group":"DVD",
               "binding":"DVD","genre":"drama","studio":"S","brand":"B","release_date":"1995","audience_rating":"R",
               "running_time":"127","directors":["D"],"actors":["A","C"],"languages":["eng"],"attributes":{"EAN":["1"]}"#,
        ),
        event("movies_catalog_enriched", "09:51", r#""item_id":"seven","title":"Seven""#),
        event("consumer_registration", "10:02", &format!(r#""user_id":1,{registers}:"eng""#)),
        event("consumer_registration", "10:03", &format!(r#""user_id":300,{registers}:"""#)),
        event("sign_in", "10:03", r#""user_id":1"#),
        event("item_view", "10:04", r#""user_id":1,"item_id":"7""#),
        event("added_to_cart", "10:05", &format!(r#""user_id":1,"item_id":"7",{}"#, cart(1, ""))),
        event("added_to_cart", "10:06", &format!(r#""user_id":1,"item_id":"seven",{}"#, cart(1, ""))),
        event("checkout_to_cart", "10:07", &cart(1, r#","user_id":1,"payment_method":"Card""#)),
        event("purchase", "10:08", r#""user_id":1,"movie_id":"7","purchase_amount":3.50"#),
        event("item_rating", "10:09", r#""user_id":1,"item_id":"7","rating":4"#),
        event("sign_out", "10:10", r#""user_id":1"#),
        event("sign_in", "10:11", r#""user_id":300"#),
        event("added_to_cart", "10:12", &format!(r#""user_id":300,"item_id":"7",{}"#, cart(2, ""))),
        Step::Cut,
        // Two hours later the cart stands abandoned, and the first sessions and minutes may be folded.
        event("sign_in", "12:30", r#""user_id":1"#),
        Step::End,
    ]
}

/// What everything that is kept is called.
pub fn kept_names() -> BTreeSet<&'static str> {
    all().families().iter().flat_map(|family| family.kept()).map(|kept| kept.name()).collect()
}

/// What is kept only by settings that nobody has who has not set them.
pub const OF_SETTINGS: [&str; 3] = ["shop/carts/events_of_texts", "shop/clean/once", "shop/views/once"];

/// A little of each of these.
fn of_settings() -> Vec<Section> {
    let mut options = support::options(1);
    (options.settings.once, options.settings.lane.clean) = (true, true);
    options.rules.shop.cart_id = CartIds::Text;
    let steps = [
        event("item_view", "10:04", r#""user_id":1,"item_id":"7""#),
        event("added_to_cart", "10:05", r#""user_id":1,"item_id":"7","cart_id":"basket""#),
        Step::End,
    ];
    let (sink, source) = (Memory::default(), Script::new(support::partitions(1), steps));
    let ended = support::run(source, &sink, options, Resume::default(), &Arc::default()).expect("runs");
    assert!(sink.contents().rows(support::table("rejected_events")).is_empty(), "everything is accepted");
    let of_settings = |section: &Section| OF_SETTINGS.contains(&&*section.name);
    ended.state.into_iter().filter(of_settings).collect()
}

/// What the operators hold after that day, one section for each thing that is kept.
fn sections() -> Vec<Section> {
    let sink = Memory::default();
    let source = Script::new(support::partitions(1), a_day());
    let ended = support::run(source, &sink, support::options(1), Resume::default(), &Arc::default()).expect("runs");
    assert!(sink.contents().rows(support::table("rejected_events")).is_empty(), "everything is accepted");
    let mut sections = BTreeMap::<String, Section>::new();
    for section in ended.state.into_iter().chain(of_settings()) {
        match sections.get_mut(&section.name) {
            Some(whole) => {
                whole.records += section.records;
                whole.bytes.extend(section.bytes);
            }
            None => drop(sections.insert(section.name.clone(), section)),
        }
    }
    sections.into_values().collect()
}

/// State in a folder, and what stands in a file of it.
fn state() -> (tempfile::TempDir, StateDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(Local::open(folder.path().join("state")).expect("a folder"));
    let dir = StateDir::open(store, Some("a pipeline")).expect("state");
    (folder, dir)
}

fn stored(dir: &StateDir, key: &str) -> Vec<u8> {
    dir.store().get(key).expect("readable").unwrap_or_else(|| panic!("`{key}` is there"))
}

#[test]
fn records_are_written_as_they_were() {
    let sections = sections();
    let names: BTreeSet<_> = sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, kept_names(), "the day of this test leaves a record of everything that is kept");

    let (_folder, dir) = state();
    let mut bytes = Vec::new();
    sections.iter().for_each(|section| snapshot::encode(section, &mut bytes));
    let records = sections.iter().map(|section| section.records).sum();
    let part = dir.write_part((2, 1), (0, 0), records, &bytes).expect("written");
    let sealed = stored(&dir, &part.key);
    let header = sealed.split(|byte| *byte == b'\n').next().expect("a line");
    let mut written = format!("{}\n", String::from_utf8_lossy(header));
    for section in &sections {
        let mut bytes = Vec::new();
        snapshot::encode(section, &mut bytes);
        write!(written, "{}, version {}:", section.name, section.version).expect("text");
        bytes.iter().for_each(|byte| write!(written, " {byte:02x}").expect("text"));
        written.push('\n');
    }
    assert_as_it_was("part", "the version of what is kept, or `SECTIONS` in src/state_dir/snapshot.rs", &written);

    let manifest = Manifest { parts: vec![part], ..manifest() };
    assert_eq!(dir.read_snapshot(all(), &manifest, 1).expect("readable"), sections);
}

/// Whole as it was written, and still none of what an operator of today keeps.
#[test]
fn a_section_that_no_operator_reads_is_refused_before_anything_is_restored() {
    let sections = sections();
    let whole = sections.iter().find(|section| section.name == "shop/users/profiles").expect("kept");
    let cut = Section { bytes: whole.bytes[..whole.bytes.len() - 1].to_vec(), ..whole.clone() };
    let fewer = Section { records: whole.records + 1, ..whole.clone() };
    let later = Section { version: whole.version + 1, ..whole.clone() };
    let unknown = Section { name: "shop/of_tomorrow".to_owned(), ..whole.clone() };
    for (number, (section, why)) in
        [(cut, "profiles"), (fewer, "records"), (later, "version"), (unknown, "of_tomorrow")].into_iter().enumerate()
    {
        let (_folder, dir) = state();
        let mut bytes = Vec::new();
        snapshot::encode(&section, &mut bytes);
        let part = dir.write_part((2, 1), (0, number), section.records, &bytes).expect("written");
        let error = dir.read_snapshot(all(), &Manifest { parts: vec![part], ..manifest() }, 1).expect_err("refused");
        assert!(error.to_string().contains(why), "{error}");
    }
}

fn lanes(target: i64) -> Lanes {
    let times = Times { watermark: support::MONDAY_MS, target, ..Times::default() };
    Lanes([("shop".to_owned(), times)].into())
}

fn manifest() -> Manifest {
    let mut marks = Marks::default();
    marks.add(9, 0x0bad_cafe);
    marks.add(17, 0x0bad_f00d);
    Manifest {
        epoch: 84,
        generation: 3,
        clock_ms: support::CLOCK_MS,
        lanes: lanes(support::MONDAY_MS + 1),
        positions: BTreeMap::from([("events.jsonl/0".to_owned(), 17)]),
        sums: BTreeMap::from([("events.jsonl/0".to_owned(), marks)]),
        largest: BTreeMap::from([("events.jsonl/0".to_owned(), support::MONDAY_MS + 2)]),
        second: BTreeMap::new(),
        quality: Default::default(),
        identities: BTreeMap::from([("events.jsonl/0".to_owned(), "first line 0badcafe".to_owned())]),
        fingerprint: BTreeMap::from([("lateness".to_owned(), "48h".to_owned())]),
        parts: Vec::new(),
    }
}

#[test]
fn journal_manifest_and_starts_are_written_as_they_were() {
    let (_folder, dir) = state();
    let rejected = Rejected {
        partition: "events.jsonl/0".to_owned(),
        offset: 12,
        first: None,
        from: None,
        reason: "timestamp_in_future".to_owned(),
        detail: "2090".to_owned(),
    };
    let entry = |epoch, rejected| Entry {
        epoch,
        opened_ms: support::CLOCK_MS,
        clock_ms: support::CLOCK_MS + 1,
        lanes: lanes(support::MONDAY_MS + 2),
        read: BTreeMap::from([("events.jsonl/0".to_owned(), (1, 17))]),
        sums: BTreeMap::from([("events.jsonl/0".to_owned(), vec![(3, 0x0bad_cafe), (17, 0x0bad_f00d)])]),
        largest: BTreeMap::from([("events.jsonl/0".to_owned(), support::MONDAY_MS + 3)]),
        second: BTreeMap::new(),
        rejected,
    };
    let group = Group {
        follows: 40,
        follows_generation: Some(2),
        entries: vec![entry(42, vec![rejected]), entry(44, Vec::new())],
    };
    dir.journal(3, &group).expect("written");
    let part = dir.write_part((84, 3), (0, 0), 1, b"a record").expect("written");
    dir.publish(&Manifest { parts: vec![part], ..manifest() }).expect("written");
    let facts = Generation {
        nonce: "a nonce".to_owned(),
        started_at: "2030-01-01T00:00:00Z".to_owned(),
        program: "0.1.0".to_owned(),
        decoder: 1,
        rules: Rules::default(),
        fingerprint: manifest().fingerprint,
        model: BTreeMap::new(),
        rebuilt_after: Some(38),
        identities: manifest().identities,
        families: BTreeMap::from([("events.jsonl/0".to_owned(), "shop".to_owned())]),
        begins: BTreeMap::from([("sign_in_topic/0".to_owned(), 42)]),
        lost: Vec::new(),
    };
    assert_eq!(dir.begin(&facts, 2).expect("written"), 3);

    let mut keys = Vec::new();
    for prefix in ["pipeline", "generations/", "journal/", "snapshots/"] {
        keys.extend(dir.store().list(prefix).expect("readable"));
    }
    let mut written = String::new();
    for key in keys {
        write!(written, "{key}\n{}\n", String::from_utf8(stored(&dir, &key)).expect("text")).expect("text");
    }
    assert_as_it_was("facts", "`FORMAT` in src/state_dir.rs", &written);
}

#[test]
fn schemas_and_what_was_passed_are_written_as_they_were() {
    let (_folder, dir) = state();
    let kept = Kept {
        id: 42,
        registry: "http://127.0.0.1:8081".to_owned(),
        schema: r#"{"type":"string"}"#.to_owned(),
        references: vec![r#"{"type":"fixed","name":"F","size":2}"#.to_owned()],
    };
    dir.keep_schema(&kept).expect("written");
    dir.keep_schema(&Kept { id: 7, references: Vec::new(), ..kept }).expect("written");
    let passed = Rejected {
        partition: "sign_in_topic/3".to_owned(),
        offset: 1_250,
        first: None,
        from: Some(1_234),
        reason: "unreadable".to_owned(),
        detail: "offsets 1234 to 1250".to_owned(),
    };
    let flood = Rejected {
        offset: 9_000,
        first: Some(2_000),
        from: None,
        reason: "unknown_schema".to_owned(),
        ..passed.clone()
    };
    let entry = Entry { epoch: 42, rejected: vec![passed, flood], ..Entry::default() };
    dir.journal(3, &Group { follows: 40, follows_generation: None, entries: vec![entry] }).expect("written");
    let mut written = String::new();
    for key in ["schemas/", "journal/"].map(|prefix| dir.store().list(prefix).expect("readable")).concat() {
        write!(written, "{key}\n{}\n", String::from_utf8(stored(&dir, &key)).expect("text")).expect("text");
    }
    assert_as_it_was("kept", "`FORMAT` in src/state_dir.rs", &written);
}

#[test]
fn files_of_a_watched_folder_are_named_as_they_were() {
    let (_folder, dir) = state();
    let listed = Listed {
        number: 1,
        name: "a.csv".to_owned(),
        family: "store_events".to_owned(),
        checksum: "0123456789abcdef01234567".to_owned(),
        lines: 12,
        after: 0,
        bytes: 345,
    };
    assert!(dir.list_dropped("in box", &listed).expect("written"));
    assert!(dir.list_dropped("in box", &Listed { number: 2, after: 12, lines: 20, ..listed }).expect("written"));
    let mut written = String::new();
    for key in dir.store().list("dropped/").expect("readable") {
        write!(written, "{key}\n{}\n", String::from_utf8(stored(&dir, &key)).expect("text")).expect("text");
    }
    assert_as_it_was("dropped", "`FORMAT` in src/state_dir.rs", &written);
}
