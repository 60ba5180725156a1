use super::*;
use crate::model::messages::shown;
use dataflows::declared::plan::Once;

const STORE: &str = include_str!("../../../model/store/store_events.toml");

#[test]
fn the_events_of_a_store_are_read_in_the_order_of_their_file() {
    let events =
        read("store_events", STORE).unwrap_or_else(|wrong| panic!("{}", shown("store_events.toml", STORE, &wrong)));
    let Events { family, readings, topics, lateness_ms, .. } = events;
    let names: Vec<_> = family.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names[..4], ["event_type", "event_time", "product_id", "category_id"]);
    assert_eq!((names.len(), family.time, family.person), (9, 1, Some(7)));
    assert_eq!((topics, lateness_ms), (vec!["store_events".to_owned(), "raw_events".to_owned()], None));
    assert_eq!(family.once, Some(Once { of: (0..9).collect() }));
    assert_eq!(readings[7].from, ["user_id", "customer_id"]);
    assert!(matches!(readings[6].takes, Takes::Number(2, (-100_000_000, 100_000_000))));
    assert_eq!(readings[4].empty, Empty::Is(Literal::Text("unknown".to_owned())));
    let Takes::Text { one_of: Some(one_of), .. } = &readings[0].takes else { panic!("a list of texts") };
    assert_eq!((one_of.known.len(), one_of.others["page_view"]), (4, 0));
}

/// A file that is good, and what is put in place of one of its lines.
const GOOD: &str = "doc = \"One row per play.\"
time = \"at_time\"
person = \"listener\"
lateness = \"1h\"
[columns]
at_time = { type = \"instant\", doc = \"When it began, UTC.\" }
listener = { type = \"integer\", min = 1, doc = \"Who listened.\" }
device = { type = \"text\", from = \"device.type\", one_of = [\"tv\", \"phone\"], as = { tele = \"tv\" }, doc = \"On what.\" }
paid = { type = \"money\", empty = 0, doc = \"What was paid, in dollars.\" }
";

fn spoiled(line: usize, by: &str) -> String {
    let lines = GOOD.lines().enumerate().map(|(n, good)| if n + 1 == line { by } else { good });
    let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    match read("plays", &text) {
        Ok(events) => panic!("{by} is taken: {events:?}"),
        Err(mistakes) => shown("plays.toml", &text, &mistakes),
    }
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let events = read("plays", GOOD).unwrap_or_else(|wrong| panic!("{}", shown("plays.toml", GOOD, &wrong)));
    assert_eq!((events.lateness_ms, events.readings[2].from[0]), (Some(Some(3_600_000)), "device.type"));
    for (line, by, said) in [
        (1, "", "`doc` is missing"),
        (1, "doc = \"\"", "plays.toml:1:7: `doc` says nothing"),
        (1, "docs = \"One row.\"", "Did you mean `doc`?"),
        (2, "", "time = \"at_time\""),
        (2, "time = \"at_tim\"", "Did you mean \"at_time\"?"),
        (2, "time = \"device\"", "cannot be the time"),
        (3, "", "person = \"none\""),
        (3, "person = \"paid\"", "is no id"),
        (3, "person = \"device\"", "is no id"),
        (4, "lateness = \"soon\"", "plays.toml:4:12: `lateness` is not a duration"),
        (4, "lateness = 3600", "Write it as text"),
        (4, "once = true", "`once` is neither \"everything\" nor a list of columns"),
        (4, "once = \"listener\"", "`once` is neither \"everything\" nor a list of columns"),
        (4, "once = []", "`once` is neither \"everything\" nor a list of columns"),
        (4, "once = [\"listener\", \"devise\"]", "plays.toml:4:21: `once` is not the name of a column"),
        (4, "once = [\"devise\"]", "Did you mean \"device\"?"),
        (4, "once = [3]", "`once` is not the name of a column"),
        (4, "topics = [\"\"]", "`topics` is not a list of texts"),
        (4, "x = = 1", "this is not TOML"),
        (6, "at_time = { type = \"instant\", null = true, doc = \"When, UTC.\" }", "cannot be the time"),
        (6, "at_time = { type = \"date\", doc = \"When.\" }", "has a type that there is not"),
        (6, "at_time = { type = \"instan\", doc = \"When.\" }", "Did you mean \"instant\"?"),
        (7, "listener = { type = \"integer\", doc = \"Who.\" }", "may be less than 0"),
        (7, "listener = { type = \"integer\", min = 5, max = 1, doc = \"Who.\" }", "`max` is less than `min`"),
        (7, "listener = { type = \"integer\", min = 0.5, doc = \"Who.\" }", "not a number of the column's type"),
        (7, "listener = { type = \"integer\", min = 1 }", "`doc` is missing"),
        (7, "Listener = { type = \"integer\", min = 1, doc = \"Who.\" }", "lower case letters"),
        (7, "listener = 5", "is not declared"),
        (8, "device = { type = \"text\", as = { tele = \"tv\" }, doc = \"On what.\" }", "`as` says what stands for"),
        (
            8,
            "device = { type = \"text\", one_of = [\"tv\"], as = { x = \"radio\" }, doc = \"On what.\" }",
            "not in `one_of`",
        ),
        (8, "device = { type = \"text\", case = \"title\", doc = \"On what.\" }", "neither \"lower\" nor \"upper\""),
        (8, "device = { type = \"boolean\", one_of = [\"a\"], doc = \"On what.\" }", "`one_of` is for texts"),
        (8, "device = { type = \"text\", min = 1, doc = \"On what.\" }", "`min` is for numbers"),
        (8, "device = { type = \"text\", from = \"device.\", doc = \"On what.\" }", "has an empty name"),
        (9, "paid = { type = \"money\", empty = \"free\", doc = \"What.\" }", "\"12.50\" (in quotes)"),
        (9, "paid = { type = \"money\", empty = 0, null = true, doc = \"What.\" }", "`null` or `empty`, not both"),
        (9, "paid = { type = \"money\", nul = true, doc = \"What.\" }", "Did you mean `null`?"),
        (9, "paid = { type = \"money\", personal = true, doc = \"What.\" }", "nothing can stand there once"),
        (9, "paid = { type = \"money\", empty = 0, personal = 1, doc = \"What.\" }", "neither true nor false"),
        (
            7,
            "listener = { type = \"integer\", min = 1, null = true, personal = true, doc = \"Who.\" }",
            "`deltamart forget` gives it another id",
        ),
        (7, "listener = { type = \"integer\", min = 0, empty = -1, doc = \"Who.\" }", "who were forgotten"),
        (7, "listener = { type = \"text\", empty = \"nobody:1\", doc = \"Who.\" }", "who were forgotten"),
        (9, "select = { type = \"money\", doc = \"What.\" }", "word of SQL"),
    ] {
        let shown = spoiled(line, by);
        assert!(shown.contains(said), "{by}:\n{shown}");
    }
}

/// The time is one of them, said or not; named twice, a column is one.
#[test]
fn events_count_once_by_the_columns_that_are_named() {
    for (said, of) in [
        ("[\"listener\"]", vec![0, 1]),
        ("[\"device\", \"listener\", \"device\"]", vec![0, 1, 2]),
        ("[\"at_time\"]", vec![0]),
        ("\"everything\"", vec![0, 1, 2, 3]),
    ] {
        let text = GOOD.replace("lateness = \"1h\"", &format!("once = {said}"));
        let events = read("plays", &text).unwrap_or_else(|wrong| panic!("{}", shown("plays.toml", &text, &wrong)));
        assert_eq!(events.family.once, Some(Once { of }), "{said}");
    }
}

#[test]
fn what_is_personal_needs_a_person_and_makes_no_two_events_different() {
    let paid = "paid = { type = \"money\", empty = 0, personal = true, doc = \"What.\" }";
    let text = GOOD.replace("lateness = \"1h\"", "once = \"everything\"");
    let text = text.lines().map(|line| if line.starts_with("paid") { paid } else { line });
    let text = text.collect::<Vec<_>>().join("\n");
    let Events { family, .. } = read("plays", &text).expect("good");
    assert!(family.columns[3].is_personal && !family.columns[2].is_personal);
    assert_eq!(family.once, Some(Once { of: vec![0, 1, 2] }));
    let mistakes = read("plays", &text.replace("\"listener\"", "\"none\"")).expect_err("nobody's");
    assert!(shown("plays.toml", &text, &mistakes).contains("column `paid` is personal, and the events have no person"));
}

#[test]
fn several_mistakes_are_said_together() {
    let text = "time = \"x\"\n[columns]\na = { type = \"int\", doc = \"A.\" }\nb = { }\n";
    let mistakes = read("things", text).expect_err("wrong");
    let shown = shown("things.toml", text, &mistakes);
    for said in ["things.toml:3:14: column `a`", "things.toml:4:1: `doc` is missing", "Declare the column below"] {
        assert!(mistakes.len() >= 5 && shown.contains(said), "`{said}` is missing:\n{shown}");
    }
}
