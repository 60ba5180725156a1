use super::{avro, of_fields, record};
use apache_avro::types::Value as Avro;
use deltamart::decode::avro::Writer;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// A unit of time, as a schema names it, and how many of it are a millisecond (or of how many it is one).
#[derive(Clone, Debug)]
struct Unit {
    ty: Json,
    /// Of a time in nanoseconds.
    of_ns: fn(i64) -> Avro,
    /// What is read, in milliseconds.
    read: fn(i64) -> i64,
}

fn ms(ns: i64) -> i64 {
    ns.div_euclid(1_000_000)
}

fn units() -> impl Strategy<Value = Unit> {
    let unit = |ty: Json, of_ns: fn(i64) -> Avro, read: fn(i64) -> i64| Unit { ty, of_ns, read };
    let long = |key: &str, name: &str, of_ns: fn(i64) -> Avro| {
        let mut ty = json!({"type": "long", "connect.version": 1});
        ty[key] = name.into();
        unit(ty, of_ns, ms)
    };
    let millis: fn(i64) -> Avro = |ns| Avro::Long(ms(ns));
    let micros: fn(i64) -> Avro = |ns| Avro::Long(ns.div_euclid(1_000));
    let nanos: fn(i64) -> Avro = Avro::Long;
    let days: fn(i64) -> Avro = |ns| Avro::Int(ns.div_euclid(86_400_000_000_000) as i32);
    let midnight: fn(i64) -> i64 = |ns| ms(ns).div_euclid(86_400_000) * 86_400_000;
    prop::sample::select(vec![
        long("logicalType", "timestamp-millis", millis),
        long("logicalType", "timestamp-micros", micros),
        long("logicalType", "timestamp-nanos", nanos),
        long("logicalType", "local-timestamp-millis", millis),
        long("logicalType", "local-timestamp-micros", micros),
        long("logicalType", "local-timestamp-nanos", nanos),
        long("connect.name", "io.debezium.time.Timestamp", millis),
        long("connect.name", "io.debezium.time.MicroTimestamp", micros),
        long("connect.name", "io.debezium.time.NanoTimestamp", nanos),
        long("connect.name", "org.apache.kafka.connect.data.Timestamp", millis),
        unit(json!({"type": "int", "logicalType": "date"}), days, midnight),
        unit(json!({"type": "int", "connect.name": "io.debezium.time.Date"}), days, midnight),
        unit(json!("string"), |ns| Avro::String(chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339()), ms),
    ])
}

/// Fields that nobody reads, with logical types that break the rules of the specification.
fn unread() -> impl Strategy<Value = (Json, Avro)> {
    prop::sample::select(vec![
        (json!({"type": "bytes", "logicalType": "decimal"}), Avro::Bytes(vec![1, 2, 3])),
        (json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 9}), Avro::Bytes(vec![9; 40])),
        (json!({"type": "bytes", "logicalType": "decimal", "precision": "many"}), Avro::Bytes(Vec::new())),
        (json!({"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 2}), Avro::Bytes(vec![7; 25])),
        (json!({"type": "int", "logicalType": "uuid"}), Avro::Int(7)),
        (json!({"type": "string", "logicalType": "timestamp-micros"}), Avro::String("at noon".to_owned())),
        (json!({"type": "long", "logicalType": "date"}), Avro::Long(-1)),
        (json!({"type": "double", "logicalType": "duration"}), Avro::Double(0.5)),
        (json!({"type": "string", "logicalType": "of-the-house", "size": "large"}), Avro::String(String::new())),
        (json!({"type": "fixed", "name": "Sized", "size": 3, "logicalType": "duration"}), Avro::Fixed(3, vec![0; 3])),
        (
            json!({"type": "fixed", "name": "Small", "size": 1, "logicalType": "decimal", "precision": 30}),
            Avro::Fixed(1, vec![1]),
        ),
    ])
}

/// A record of a sign-in whose time is in this unit, alone or in a union; and its value.
fn signed_in(name: &str, unit: &Unit, ns: i64, nullable: usize, unread: &(Json, Avro)) -> (Json, Avro) {
    let (ty, at) = (unit.ty.clone(), (unit.of_ns)(ns));
    // In addition to the unit's own type, such as others have, with units of their own.
    let other = match &at {
        Avro::Long(_) => json!({"type": "int", "logicalType": "date"}),
        _ => json!({"type": "long", "logicalType": "timestamp-micros"}),
    };
    let (ty, at) = match nullable {
        0 => (ty, at),
        1 => (json!(["null", ty]), Avro::Union(1, Box::new(at))),
        2 => (json!([ty, "null"]), Avro::Union(0, Box::new(at))),
        _ => (json!(["null", other, ty]), Avro::Union(2, Box::new(at))),
    };
    let fields = [("unread", unread.0.clone()), ("timestamp", ty), ("user_id", json!("long"))];
    let value = vec![("unread", unread.1.clone()), ("timestamp", at), ("user_id", Avro::Long(ns.rem_euclid(1_000)))];
    (record(name, &fields), of_fields(value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// The unit is that of the record that the datum is, wherever the schema keeps that record.
    #[test]
    fn a_unit_is_that_of_the_record(
        (unit, another) in (units(), units()),
        ns in prop_oneof![1_767_571_200_000_000_000i64..1_900_000_000_000_000_000, -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000],
        nullable in 0usize..4,
        unread in unread(),
        shape in 0usize..6,
        namespace in prop::sample::select(vec!["", "of.somebody"]),
    ) {
        let (mut ours, value) = signed_in("SignIn", &unit, ns, nullable, &unread);
        let (other, _) = signed_in("Other", &another, ns, 0, &(json!("long"), Avro::Long(0)));
        if !namespace.is_empty() {
            ours["namespace"] = namespace.into();
        }
        let ours_by_name = if namespace.is_empty() { "SignIn".to_owned() } else { format!("{namespace}.SignIn") };
        let union = |place: u32| Avro::Union(place, Box::new(value.clone()));
        let (schema, value) = match shape {
            0 => (ours, value.clone()),
            1 => (json!(["null", ours]), union(1)),
            2 => (json!([ours, other]), union(0)),
            3 => (json!([other, "string", ours]), union(2)),
            4 => (json!([other, {"type": "array", "items": ours}, ours_by_name]), union(2)),
            _ => (json!([record("Holder", &[("held", ours)]), "null", ours_by_name]), union(2)),
        };
        let read = avro("sign_in", &schema, value);
        prop_assert_eq!(read.map(|accepted| accepted.event.timestamp()), Ok((unit.read)(ns)), "{}", schema);
    }
}

/// What others add to their types, and how they wrap them, is none of our business.
#[test]
fn a_schema_is_judged_only_in_what_is_read() {
    let odd = r#"{"type":"record","name":"S","namespace":"a.b","aliases":["T"],"doc":7,"fields":[
        {"name":"user_id","type":{"type":"long","precision":"x","scale":-1},"default":"none"},
        {"name":"wrapped","type":{"type":{"type":"string","avro.java.string":"String"}}},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"B"}},
        {"name":"again","type":["null",{"type":"E"}]},
        {"name":"timestamp","type":{"type":"string","logicalType":{"of":"the house"}}}]}"#;
    Writer::parse(odd).expect("a schema");
    for none in ["", "{", "{}", r#""Nobody""#, r#"{"type":"record","name":"R"}"#, r#"{"type":"array"}"#] {
        let why = Writer::parse(none).expect_err("no schema");
        assert!(why.starts_with("is not an Avro schema that can be read"), "{why}");
    }
}

#[test]
fn a_datum_that_is_no_record_is_named() {
    let (ours, _) =
        signed_in("S", &Unit { ty: json!("string"), of_ns: Avro::Long, read: ms }, 0, 0, &(json!("int"), Avro::Int(0)));
    let why = avro("sign_in", &json!([ours, "null", "string"]), Avro::Union(2, Box::new(Avro::String("x".into()))));
    assert_eq!(why.map_err(|why| why.detail), Err("is `string` by schema 7, not a record".to_owned()));
}

/// An envelope that Debezium writes in Avro is known by its schema.
#[test]
fn envelopes_are_known_by_their_schema() {
    let row = record("Value", &[("timestamp", json!("long")), ("user_id", json!("long"))]);
    let schema = record(
        "Envelope",
        &[("before", json!(["null", row])), ("after", json!(["null", "Value"])), ("op", json!("string"))],
    );
    let row = of_fields(vec![("timestamp", Avro::Long(1)), ("user_id", Avro::Long(1))]);
    let none = Avro::Union(0, Box::new(Avro::Null));
    let value =
        of_fields(vec![("before", none), ("after", Avro::Union(1, Box::new(row))), ("op", Avro::String("c".into()))]);
    let detail = avro("sign_in", &schema, value).expect_err("no event").detail;
    assert!(detail.starts_with("`timestamp` is missing") && detail.contains("Debezium"), "{detail}");
}
