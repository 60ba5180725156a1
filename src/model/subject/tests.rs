use super::*;
use crate::model::events;
use crate::model::messages::shown;
use dataflows::declared::plan::Type;
use dataflows::declared::reading::Takes;

fn read(name: &str, text: &str) -> events::Events {
    events::read(name, text).unwrap_or_else(|mistakes| panic!("{}\n{text}", shown(name, text, &mistakes)))
}

type Said<'e> = Vec<(&'e str, Type, bool, &'e str)>;

fn columns(events: &events::Events) -> Said<'_> {
    let columns = events.family.columns.iter().zip(&events.readings);
    columns.map(|(is, reading)| (is.name.as_str(), is.ty, is.nullable, reading.from[0])).collect()
}

#[test]
fn a_record_of_avro_is_a_family() {
    let schema = r#"{"type":"record","name":"Play","namespace":"a.b","fields":[
        {"name":"startedAt","type":{"type":"long","logicalType":"timestamp-micros"},"doc":"When it\n began, UTC."},
        {"name":"user_id","type":"long"},
        {"name":"device","type":["null",{"type":"record","name":"Device","fields":[
            {"name":"type","type":{"type":"enum","name":"Type","symbols":["TV","PHONE"]}},
            {"name":"built","type":["null",{"type":"int","logicalType":"date"}]},
            {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}]}]},
        {"name":"other","type":["null","Device"]},
        {"name":"weight","type":{"type":"fixed","name":"W","size":8,"logicalType":"decimal","precision":9,"scale":3}},
        {"name":"exact","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":5}},
        {"name":"of_day","type":{"type":"int","logicalType":"time-millis"}},
        {"name":"is_trial","type":"boolean"},
        {"name":"score","type":"double"},
        {"name":"total","type":"float"},
        {"name":"ended_at","type":["null","long"]},
        {"name":"id","type":{"type":"string","logicalType":"uuid"}},
        {"name":"tags","type":{"type":"array","items":"string"}},
        {"name":"extra","type":{"type":"map","values":"string"}},
        {"name":"both","type":["string","long"]},
        {"name":"raw","type":"bytes"},
        {"name":"elsewhere","type":["null","c.Place"]}]}"#;
    let place = r#"{"type":"record","name":"c.Place","fields":[{"name":"city","type":"string"}]}"#;
    let text = declared(("plays", "plays-value"), Language::Avro, schema, &[place.to_owned()]).expect("a record");
    let events = read("plays", &text);
    assert_eq!(
        columns(&events),
        [
            ("started_at", Type::Instant, false, "startedAt"),
            ("user_id", Type::Number(0), false, "user_id"),
            ("device_type", Type::Text, true, "device.type"),
            ("device_built", Type::Instant, true, "device.built"),
            ("device_price", Type::Number(2), true, "device.price"),
            ("other_type", Type::Text, true, "other.type"),
            ("other_built", Type::Instant, true, "other.built"),
            ("other_price", Type::Number(2), true, "other.price"),
            ("weight", Type::Number(3), false, "weight"),
            ("is_trial", Type::Boolean, false, "is_trial"),
            ("score", Type::Number(3), false, "score"),
            ("total", Type::Number(2), false, "total"),
            ("ended_at", Type::Instant, true, "ended_at"),
            ("id", Type::Text, false, "id"),
            ("elsewhere_city", Type::Text, true, "elsewhere.city"),
        ]
    );
    assert_eq!((events.family.time, events.family.person, &events.topics[0][..]), (0, Some(1), "plays"));
    assert_eq!(events.family.columns[0].doc, "When it began, UTC.");
    let Takes::Text { one_of: Some(one_of), .. } = &events.readings[2].takes else { panic!("{text}") };
    assert_eq!(one_of.known, ["TV", "PHONE"]);
    for said in [
        "field \"exact\" has 5 decimals",
        "field \"of_day\" is a time of day",
        "field \"tags\" holds lists",
        "field \"extra\" holds maps",
        "field \"both\" holds one of several types",
        "field \"raw\" holds bytes",
        "# the schema does not say its unit",
    ] {
        assert!(text.contains(said), "`{said}` is missing:\n{text}");
    }
    let why = |schema| declared(("x", "x"), Language::Avro, schema, &[]).expect_err("no record");
    assert!(why(r#"["null","string"]"#).contains("is a union"));
    assert!(why("\"long\"").contains("is no record"));
    assert!(why("{").contains("is no JSON"));
}

#[test]
fn a_record_that_holds_itself_ends() {
    let schema = r#"{"type":"record","name":"Node","fields":[{"name":"at","type":"long"},{"name":"next","type":["null","Node"]}]}"#;
    let text = declared(("nodes", "nodes"), Language::Avro, schema, &[]).expect("a record");
    assert!(text.contains("lies in too many others"), "{text}");
    assert!(text.contains("next_next_at = "), "{text}");
}

#[test]
fn an_object_of_json_schema_is_a_family() {
    let schema = r##"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["at","who","kind"],
        "definitions":{"Place":{"type":"object","required":["city"],"properties":{"city":{"type":"string"}}}},
        "properties":{
            "at":{"type":"string","format":"date-time","description":"When, UTC."},
            "who":{"type":"object","required":["customerId"],"properties":{"customerId":{"type":"integer","minimum":1}}},
            "kind":{"enum":["view","buy"]},
            "state":{"type":["string","null"],"enum":["new","old",null]},
            "price":{"type":"number"},
            "place":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/Place"}]},
            "flag":{"type":"boolean"},
            "tags":{"type":"array"},
            "both":{"type":["string","integer"]},
            "some":{"oneOf":[{"type":"string"},{"type":"integer"}]},
            "any":{"type":"object"}}}"##;
    let text = declared(("clicks", "clicks-value"), Language::JsonSchema, schema, &[]).expect("an object");
    let events = read("clicks", &text);
    let mut said = columns(&events);
    said.sort_by_key(|(name, ..)| *name);
    assert_eq!(
        said,
        [
            ("at_value", Type::Instant, false, "at"),
            ("flag", Type::Boolean, true, "flag"),
            ("kind", Type::Text, false, "kind"),
            ("place_city", Type::Text, true, "place.city"),
            ("price", Type::Number(2), true, "price"),
            ("state", Type::Text, true, "state"),
            ("who_customer_id", Type::Number(0), false, "who.customerId"),
        ]
    );
    for said in [
        "# minimum 1",
        "one_of = [\"view\", \"buy\"]",
        "one_of = [\"new\", \"old\"]",
        "\"tags\" holds lists",
        "\"both\" is of no single type",
        "\"some\" holds one of several types",
        "\"any\" holds objects",
        "person = \"who_customer_id\"",
        "time = \"at_value\"",
    ] {
        assert!(text.contains(said), "`{said}` is missing:\n{text}");
    }
    assert!(declared(("x", "x"), Language::JsonSchema, "{\"type\":\"string\"}", &[]).is_err());
}
