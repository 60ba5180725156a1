use super::seen::words;
use super::*;
use crate::model::events;
use crate::model::messages::shown;
use dataflows::declared::plan::Type;

fn of(lines: &str) -> Sample {
    let mut sample = Sample::default();
    assert!(lines.lines().all(|line| sample.see(line.as_bytes())));
    sample
}

fn read(name: &str, text: &str) -> events::Events {
    events::read(name, text).unwrap_or_else(|mistakes| panic!("{}\n{text}", shown(name, text, &mistakes)))
}

/// What was made of a sample is read as it was meant.
#[test]
fn a_store_is_declared_by_its_events() {
    let sample = of(
        r#"{"event_name":"store_events","event_type":"view","event_time":"2019-10-01T10:00:00Z","product_id":7,"category_id":2053013555631882655,"brand":"","price":19.99,"user_id":1,"user_session":"a"}
{"event_name":"store_events","event_type":"cart","event_time":"2019-10-01T10:01:00Z","product_id":8,"category_id":null,"brand":"acme","price":5,"user_id":2,"user_session":"b"}
{"event_name":"store_events","event_type":"view","event_time":"2019-10-01T10:02:00Z","product_id":9,"brand":"acme","price":-1.5,"user_id":2,"user_session":"b"}"#,
    );
    assert_eq!(sample.event(), Some("store_events"));
    let text = sample.declared("store_events", "store.jsonl");
    let events = read("store_events", &text);
    let columns: Vec<_> = events.family.columns.iter().map(|is| (is.name.as_str(), is.ty, is.nullable)).collect();
    assert_eq!(
        columns,
        [
            ("event_type", Type::Text, false),
            ("event_time", Type::Instant, false),
            ("product_id", Type::Number(0), false),
            ("category_id", Type::Number(0), true),
            ("brand", Type::Text, true),
            ("price", Type::Number(2), false),
            ("user_id", Type::Number(0), false),
            ("user_session", Type::Text, false),
        ]
    );
    assert_eq!((events.family.time, events.family.person), (1, Some(6)));
    for said in [
        "price = { type = \"money\", doc = \"Field price.\" }   # -1.50 to 19.99\n",
        "# in 1 of 3 records; 2053013555631882655 to 2053013555631882655\n",
        "event_type = { type = \"text\", doc = \"Field event_type.\" }   # one_of = [\"cart\", \"view\"]\n",
        "user_id = { type = \"integer\", min = 1, doc = \"Field user_id.\" }   # 1 to 2\n",
    ] {
        assert!(text.contains(said), "`{said}` is missing:\n{text}");
    }
}

#[test]
fn objects_become_columns_by_their_paths_and_lists_do_not() {
    let sample = of(
        r#"{"ts":1767607200000,"device":{"type":"tv","os":{"Version":"1.2"}},"userId":"u-1","tags":["a"],"watch_seconds":12.345,"isNew":true,"order":"0012","at":"x","x.y":1,"Mail":"ann@example.com"}
{"ts":1767607200001,"device":{"type":"web"},"userId":"u-2","tags":[],"watch_seconds":1,"isNew":false,"order":"0013","at":"y","mixed":1,"Mail":"bob@example.com"}
{"ts":1767607200002,"device":{},"userId":"u-3","watch_seconds":2.5,"order":"0014","at":"z","mixed":"one","Mail":"eve@example.com"}"#,
    );
    assert_eq!(sample.event(), None);
    let text = sample.declared("plays", "plays.jsonl");
    let events = read("plays", &text);
    let columns: Vec<_> = events.family.columns.iter().map(|is| (is.name.as_str(), is.ty, is.nullable)).collect();
    assert_eq!(
        columns,
        [
            ("ts", Type::Instant, false),
            ("device_type", Type::Text, true),
            ("device_os_version", Type::Text, true),
            ("user_id", Type::Text, false),
            ("watch_seconds", Type::Number(3), false),
            ("is_new", Type::Boolean, true),
            ("order_value", Type::Text, false),
            ("at_value", Type::Text, false),
            ("mail", Type::Text, false),
        ]
    );
    assert_eq!(events.readings[2].from, ["device.os.Version"]);
    assert_eq!(events.family.person, Some(3));
    for said in [
        "# not a column: field \"tags\" holds lists, which are not read.",
        "# not a column: field \"mixed\" holds values of several types.",
        "# not a column: field \"x.y\" has no name that can be written here.",
    ] {
        assert!(text.contains(said), "`{said}` is missing:\n{text}");
    }
    assert!(!text.contains("ann@"), "no e-mail address is written:\n{text}");
}

/// What cannot be told is asked for, and the reader of the file asks for it too.
#[test]
fn what_is_not_found_is_asked_for() {
    let text = of(r#"{"a":1,"b":{"c":2},"d":0.12345,"n":null}"#).declared("things", "-");
    for said in [
        "# time = \"...\"",
        "# person = \"...\"",
        "# not a column: field \"d\" has more than three decimals",
        "# not a column: field \"n\" is empty in every record",
    ] {
        assert!(text.contains(said), "`{said}` is missing:\n{text}");
    }
    let wrong = events::read("things", &text).expect_err("something is missing");
    let said: Vec<_> = wrong.iter().map(|mistake| mistake.what.as_str()).collect();
    assert_eq!(said, ["`person` is missing.", "`time` is missing."]);
}

/// Whatever is in a record, the file is one that can be read.
#[test]
fn no_value_breaks_the_file() {
    let sample =
        of(r##"{"t":"2026-01-05","user_id":5,"weird \"name\"\n":"a","text":"a\n# \"x\" \\ \u0007","text2":"b","é":1}
{"t":"2026-01-05","user_id":6,"weird \"name\"\n":"b","text":"a\n# \"x\" \\ \u0007","text2":"b","é":2}"##);
    let text = sample.declared("odd", "a\"b\n.jsonl");
    let events = read("odd", &text);
    let names: Vec<_> = events.family.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["t", "user_id", "weird_name", "text", "text2", "field_"]);
    assert_eq!(events.readings[2].from, ["weird \"name\"\n"]);
}

#[test]
fn a_name_has_words() {
    assert_eq!(words("eventTime"), ["event", "time"]);
    assert_eq!(words("user_id2"), ["user", "id2"]);
    assert_eq!(words("device.OS-Version"), ["device", "os", "version"]);
}
