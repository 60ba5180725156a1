//! `simulate --model`: events of the families of a model, to files or to Kafka.

use super::Refused;
use super::outcome::Outcome;
use super::produce::{Pace, make_topics, progress, summary};
use super::text::{free_warehouse, grouped, next_lines, word};
use crate::cli::Lines as Written;
use crate::config::Config;
use crate::config::kafka::Format;
use crate::decode::avro::value::Data;
use crate::decode::avro::{HEADER_BYTES, Writer, header};
use crate::families;
use crate::kafka::producer::Producer;
use crate::kafka::registry::Registry;
use crate::model::load::Loaded;
use crate::model::shipped::Folder;
use crate::simulate::model::{Form, Lines, Planted, lines};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Acquire;

/// So many bytes are written at once.
const BUFFER_BYTES: usize = 1 << 18;

pub(super) fn simulate(config: &Config, out: Option<&Path>, format: Option<Written>) -> Result<Outcome> {
    let declared = families::declared();
    let refused = |why: String| Err(Refused(why).into());
    if declared.is_empty() {
        return refused(format!(
            "the model `{}` declares no events, and there is nothing to make",
            config.model.display()
        ));
    }
    match out {
        Some(out) => to_files(config, declared, out, format.unwrap_or(Written::Json)),
        None if config.kafka.is_given() => to_kafka(config, declared),
        None => {
            refused("where are the events to be written: `--out DIR`, or to Kafka, `--brokers HOST:PORT`?".to_owned())
        }
    }
}

fn to_files(config: &Config, declared: &[Loaded], out: &Path, format: Written) -> Result<Outcome> {
    let (form, ending) = match format {
        Written::Json => (Form::Json, "jsonl"),
        Written::Csv => (Form::Csv, "csv"),
    };
    let mut all = Vec::new();
    for loaded in declared {
        let lines = lines(config, loaded, form);
        if form == Form::Csv && lines.header().is_none() {
            let name = loaded.family.plan().name.as_str();
            let why =
                format!("events of `{name}` have lists in them, which values by commas cannot say; write them as JSON");
            return Err(Refused(why).into());
        }
        all.push((loaded, lines));
    }
    std::fs::create_dir_all(out).with_context(|| format!("could not make folder `{}`", out.display()))?;
    let (mut files, mut planted) = (Vec::new(), Planted::default());
    for (loaded, mut lines) in all {
        let path = out.join(format!("{}.{ending}", loaded.family.plan().name));
        write(&path, form, lines.as_mut()).with_context(|| format!("could not write `{}`", path.display()))?;
        let Planted { malformed, repeated, too_late } = lines.planted();
        say!(
            "{} events in {}: {} malformed, {} come again, {} too late",
            grouped(config.simulate.events),
            path.display(),
            grouped(malformed),
            grouped(repeated),
            grouped(too_late)
        );
        planted.malformed += malformed;
        planted.repeated += repeated;
        planted.too_late += too_late;
        files.push((loaded, path));
    }
    let next = next(config, &files, out);
    say!("\n{}", next_lines(&next));
    let records = config.simulate.events * files.len() as u64;
    let files: Vec<_> = files.iter().map(|(_, path)| path.to_string_lossy().into_owned()).collect();
    Ok(outcome(Outcome::of(true).with("records", records), planted).with("files", files))
}

fn outcome(outcome: Outcome, planted: Planted) -> Outcome {
    let Planted { malformed, repeated, too_late } = planted;
    outcome.with("malformed", malformed).with("repeated", repeated).with("too_late", too_late)
}

fn write(path: &Path, form: Form, lines: &mut dyn Lines) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    if form == Form::Csv {
        writeln!(file, "{}", lines.header().unwrap_or_default())?;
    }
    let mut line = Vec::new();
    while lines.write_next(&mut line).is_some() {
        line.push(b'\n');
        file.write_all(&line)?;
        line.clear();
    }
    file.flush()
}

/// What reads the files, and shows what comes of them.
fn next(config: &Config, files: &[(&Loaded, PathBuf)], out: &Path) -> Vec<(&'static str, String)> {
    let of = |path: &Path| word(&path.to_string_lossy());
    let given = files.iter().map(|(loaded, path)| format!("{}={}", loaded.family.plan().name, of(path)));
    let given = given.collect::<Vec<_>>().join(" ");
    let (model, warehouse) = (of(&config.model), of(&free_warehouse(out, "live")));
    // Files are not read beside Kafka; where that is configured, it is left out.
    let alone = if config.kafka.is_given() { " --brokers ''" } else { "" };
    let mut next = vec![("as if live", format!("run {given} --model {model} --warehouse {warehouse}{alone}"))];
    let table = files.iter().flat_map(|(loaded, _)| &loaded.family.plan().metrics).next();
    let table = table.map(|metric| metric.name.as_str());
    next.extend(
        table.map(|table| ("look at a table", format!("show {table} --model {model} --warehouse {warehouse}"))),
    );
    next.push(("every metric by its SQL", format!("verify --model {model} --warehouse {warehouse}")));
    next
}

/// How the events of a family are sent.
enum Sent {
    /// As they are made: JSON.
    Json,
    /// By a schema of the registry, behind the header that names it.
    Avro(Data, [u8; HEADER_BYTES]),
}

impl Sent {
    /// As the settings say; a schema is registered.
    fn of(config: &Config, loaded: &Loaded, topic: &str) -> Result<Sent> {
        match config.kafka.format {
            Format::Json => return Ok(Sent::Json),
            Format::JsonSchema => {
                let why = "`kafka.format` is `json_schema`, which is read, not sent; use `avro` or `json`";
                return Err(Refused(why.to_owned()).into());
            }
            Format::Avro => {}
        }
        let folder = Folder::of(&config.model);
        let file = folder.root().join(format!("{}.avsc", loaded.family.plan().name));
        let Ok(schema) = folder.text(&file) else {
            let why = format!(
                "events of a model are sent as Avro by a schema beside it, and there is no `{}`: write one, or send JSON, \
                 `--set kafka.format=json`",
                file.display()
            );
            return Err(Refused(why).into());
        };
        let writer = Writer::parse(&schema).map_err(|why| Refused(format!("`{}` {why}", file.display())))?;
        let id = Registry::open(&config.registry)?.register(&format!("{topic}-value"), &schema)?;
        Ok(Sent::Avro(Data::of(writer.json()), header(id)))
    }

    /// Makes of a line what is sent. What the schema cannot say, which is malformed, is sent as it is.
    fn payload(&self, line: &mut Vec<u8>) {
        let Sent::Avro(data, header) = self else { return };
        let Ok(json) = serde_json::from_slice(line) else { return };
        let mut payload = header.to_vec();
        if data.write(&json, &mut payload) {
            *line = payload;
        }
    }
}

/// Sends the events, each family's to the first of its topics.
fn to_kafka(config: &Config, declared: &[Loaded]) -> Result<Outcome> {
    let stop = super::stop_on_signals()?;
    let topics: Vec<_> =
        declared.iter().filter_map(|loaded| loaded.events.topics.first()).map(String::as_str).collect();
    let sent = declared.iter().zip(&topics).map(|(loaded, topic)| Sent::of(config, loaded, topic));
    let sent = sent.collect::<Result<Vec<_>>>()?;
    make_topics(config, &topics)?;
    let producer = Producer::new(&config.kafka)?;
    let watch = progress(&producer, config.simulate.events * declared.len() as u64);
    let (mut pace, mut planted) = (Pace::new(config.simulate.rate, &stop), Planted::default());
    for ((loaded, topic), sent) in declared.iter().zip(topics).zip(sent) {
        let (mut lines, mut line) = (lines(config, loaded, Form::Json), Vec::new());
        while pace.goes_on()
            && let Some(person) = lines.write_next(&mut line)
        {
            sent.payload(&mut line);
            producer.send(topic, person.to_string().as_bytes(), Some(&line), None)?;
            line.clear();
        }
        let Planted { malformed, repeated, too_late } = lines.planted();
        planted.malformed += malformed;
        planted.repeated += repeated;
        planted.too_late += too_late;
    }
    producer.finish()?;
    let sent = summary(&producer, watch.stop(), stop.load(Acquire))?;
    let (brokers, model) = (word(&config.kafka.brokers), word(&config.model.to_string_lossy()));
    let warehouse = free_warehouse(Path::new(""), "kafka");
    let warehouse = word(&warehouse.to_string_lossy());
    let how = match config.kafka.format {
        Format::Avro => format!("--registry {}", word(&config.registry.url)),
        Format::Json | Format::JsonSchema => "--set kafka.format=json".to_owned(),
    };
    let reads = format!("run --brokers {brokers} {how} --model {model} --warehouse {warehouse} --to-end");
    say!("\n{}\n\nwithout `--to-end` it reads on, until Ctrl-C", next_lines(&[("read them", reads)]));
    Ok(outcome(sent, planted))
}
