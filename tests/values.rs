//! Numbers, instants and money are read in every writing that `docs/writings.md` lists, by one reader each, in
//! JSON and in Avro; what is not on the list is rejected, and told why.

/// What has failed once, and the right values beside it.
mod given;
/// Instants, written in any of their forms, are what the calendar says.
mod instants;
/// Money, through every type that carries it.
mod money;
/// The page of all writings says what is so.
mod page;
/// Writers' schemas are judged only in what is read, and units are those of the record that a datum is.
mod units;
/// Whole numbers, through every type that carries them.
mod whole;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use deltamart::accept::{Accepted, accept};
use deltamart::decode::Format;
use deltamart::decode::Rejection;
use deltamart::decode::avro::{Schemas, Writer, header};
use deltamart::rules::Rules;
use serde_json::Value as Json;

/// Rules that stand in nobody's way.
fn rules() -> Rules {
    let mut rules = Rules::default();
    (rules.shop.user_id, rules.time.min_event_time) = ((0, u64::MAX), i64::MIN);
    rules
}

/// A line of JSON, by the rules that hold if nobody sets others.
fn line(text: &str) -> Result<Accepted, Rejection> {
    accept(&Format::Json(None), text.as_bytes(), &Rules::default(), i64::MAX)
}

/// A line of JSON, by no rules.
fn any_line(text: &str) -> Result<Accepted, Rejection> {
    accept(&Format::Json(None), text.as_bytes(), &rules(), i64::MAX)
}

/// A schema as who knows nothing of logical types has it: its bytes are the same.
fn plain(schema: &Json) -> Json {
    match schema {
        Json::Object(object) => {
            let kept = object.iter().filter(|(key, _)| !matches!(key.as_str(), "logicalType" | "connect.name"));
            kept.map(|(key, value)| (key.clone(), plain(value))).collect()
        }
        Json::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// What another implementation writes as a value of this schema, as this one reads it.
fn avro(event: &'static str, schema: &Json, value: Avro) -> Result<Accepted, Rejection> {
    let writers = Schema::parse(&plain(schema)).expect("a schema");
    let writer = GenericDatumWriter::builder(&writers).build().expect("a writer");
    let datum = writer.write_value_to_vec(value).expect("a value of the schema");
    let schemas = Schemas::default();
    schemas.insert(7, Writer::parse(&schema.to_string()));
    accept(&Format::Avro(event, schemas), &[&header(7)[..], &datum].concat(), &rules(), i64::MAX)
}

/// A record of these fields.
fn record(name: &str, fields: &[(&str, Json)]) -> Json {
    let fields: Vec<_> = fields.iter().map(|(name, ty)| serde_json::json!({"name": name, "type": ty})).collect();
    serde_json::json!({"type": "record", "name": name, "fields": fields})
}

fn of_fields(fields: Vec<(&str, Avro)>) -> Avro {
    Avro::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
