//! Any family: each column is drawn as its file declares it.

use super::text::{Times, decimal, scattered};
use super::{Flaw, Form, Scene};
use crate::config::Config;
use crate::model::events::Events;
use dataflows::declared::reading::{EVENT_NAME, Empty, Reading, Takes};
use dataflows::time::DAY_MS;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Of a number without limits: how many values there are.
const NUMBERS: i128 = 1_000;
/// Of any text: how many there are.
const TEXTS: u64 = 50;
/// And persons.
const PERSONS: u64 = 10_000;

/// A field of a record: a value, or a record of fields.
enum Field {
    Value(String, usize),
    Record(String, Vec<Field>),
}

pub(super) struct Drawn {
    /// The name of the event, if no column reads another one.
    name: Option<String>,
    readings: Vec<Reading>,
    may_be_empty: Vec<bool>,
    time: usize,
    person: Option<usize>,
    fields: Vec<Field>,
    empty_permille: f64,
    times: Times,
}

impl Drawn {
    pub(super) fn new(config: &Config, events: &Events) -> Drawn {
        let Events { family, readings, .. } = events;
        let mut fields = Vec::new();
        for (place, reading) in readings.iter().enumerate() {
            let path: Vec<&str> = reading.from[0].split('.').collect();
            add(&mut fields, &path, place);
        }
        let reads_name = readings.iter().any(|reading| reading.from.contains(&EVENT_NAME));
        Drawn {
            name: (!reads_name).then(|| family.name.clone()),
            may_be_empty: readings.iter().map(|reading| reading.empty != Empty::Rejected).collect(),
            readings: readings.clone(),
            time: family.time,
            person: family.person,
            fields,
            empty_permille: config.simulate_model.empty_permille,
            times: Times::default(),
        }
    }

    /// Writes the value of a column; nothing of one that is empty.
    fn value(&mut self, place: usize, at: i64, form: Form, drawn: &mut u64, line: &mut Vec<u8>) {
        let number = scattered(drawn);
        if self.may_be_empty[place] && (scattered(drawn) % 1_000_000) as f64 / 1_000.0 < self.empty_permille {
            line.extend_from_slice(if form == Form::Json { b"null" } else { b"" });
            return;
        }
        let is_person = self.person == Some(place);
        match &self.readings[place].takes {
            Takes::Boolean => line.extend_from_slice(if number.is_multiple_of(2) { b"true" } else { b"false" }),
            Takes::Number(decimals, bounds) => {
                let in_units = between(*decimals, *bounds, number);
                decimal(in_units, (*decimals).into(), line);
            }
            Takes::Instant => {
                let at = if place == self.time { at } else { at - (number % (30 * DAY_MS as u64)) as i64 };
                quoted(form, line, |line| self.times.iso(at, line));
            }
            Takes::Text { one_of: Some(one_of), .. } => {
                let known = one_of.known.get((number % one_of.known.len().max(1) as u64) as usize);
                text(known.map_or("", String::as_str), form, line);
            }
            Takes::Text { one_of: None, .. } => {
                let many = if is_person { PERSONS } else { TEXTS };
                text(&format!("text-{}", number % many), form, line);
            }
        }
    }

    fn record(&mut self, fields: &[Field], at: Option<i64>, drawn: &mut u64, line: &mut Vec<u8>) {
        for (n, field) in fields.iter().enumerate() {
            if n > 0 {
                line.push(b',');
            }
            let (Field::Value(name, _) | Field::Record(name, _)) = field;
            line.extend_from_slice(name.as_bytes());
            line.push(b':');
            match field {
                Field::Record(_, fields) => {
                    line.push(b'{');
                    self.record(fields, at, drawn, line);
                    line.push(b'}');
                }
                Field::Value(_, place) if *place == self.time && at.is_none() => {
                    line.extend_from_slice(b"\"yesterday\"");
                }
                Field::Value(_, place) => self.value(*place, at.unwrap_or_default(), Form::Json, drawn, line),
            }
        }
    }
}

/// Adds a field where its path leads.
fn add(fields: &mut Vec<Field>, path: &[&str], place: usize) {
    let Some((first, rest)) = path.split_first() else { return };
    let name = serde_json::Value::from(*first).to_string();
    if rest.is_empty() {
        fields.push(Field::Value(name, place));
        return;
    }
    for field in fields.iter_mut() {
        if let Field::Record(called, within) = field
            && *called == name
        {
            return add(within, rest, place);
        }
    }
    let mut within = Vec::new();
    add(&mut within, rest, place);
    fields.push(Field::Record(name, within));
}

/// A number within bounds; if these are far apart, near the one that is nearer to 0.
fn between(decimals: u8, (least, most): (i64, i64), drawn: u64) -> i64 {
    let (least, most) = (i128::from(least), i128::from(most));
    let from = 0.clamp(least, most);
    let many = (NUMBERS * 10_i128.pow(decimals.into())).min(most - from + 1);
    // Downwards, if there is nothing above.
    let drawn = i128::from(drawn);
    let number = if many > 1 { from + drawn % many } else { from - drawn % (from - least + 1).min(NUMBERS) };
    number as i64
}

fn quoted(form: Form, line: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    match form {
        Form::Json => {
            line.push(b'"');
            write(line);
            line.push(b'"');
        }
        Form::Csv => write(line),
    }
}

fn text(text: &str, form: Form, line: &mut Vec<u8>) {
    match form {
        Form::Json => line.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes()),
        Form::Csv if text.contains([',', '"', '\n', '\r']) => {
            line.extend_from_slice(format!("\"{}\"", text.replace('"', "\"\"")).as_bytes());
        }
        Form::Csv => line.extend_from_slice(text.as_bytes()),
    }
}

impl Scene for Drawn {
    /// From which all else is drawn.
    type Event = u64;

    fn per_visit(&self) -> f64 {
        1.0
    }

    fn visit(&mut self, random: &mut ChaCha8Rng, at: i64, made: &mut Vec<(i64, u64)>) {
        made.push((at, random.next_u64()));
    }

    fn header(&self) -> Option<String> {
        let mut header = Vec::new();
        for (n, reading) in self.readings.iter().enumerate() {
            if n > 0 {
                header.push(b',');
            }
            text(reading.from[0], Form::Csv, &mut header);
        }
        String::from_utf8(header).ok()
    }

    fn own_flaws(&self) -> u8 {
        0
    }

    fn write(&mut self, event: &u64, at: i64, flaw: Option<Flaw>, form: Form, line: &mut Vec<u8>) {
        let (mut drawn, has_time) = (*event, flaw != Some(Flaw::NoTime));
        if form == Form::Json {
            line.push(b'{');
            if let Some(name) = &self.name {
                line.extend_from_slice(format!("\"{EVENT_NAME}\":\"{name}\",").as_bytes());
            }
            let fields = std::mem::take(&mut self.fields);
            self.record(&fields, has_time.then_some(at), &mut drawn, line);
            self.fields = fields;
            line.push(b'}');
            return;
        }
        for place in 0..self.readings.len() {
            if place > 0 {
                line.push(b',');
            }
            match place == self.time && !has_time {
                true => line.extend_from_slice(b"yesterday"),
                false => self.value(place, at, form, &mut drawn, line),
            }
        }
    }

    fn person(&self, event: &u64) -> u64 {
        *event % PERSONS
    }
}
