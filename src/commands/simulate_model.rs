//! `simulate --model`: events of the families of a model, to files or to Kafka.

use super::Refused;
use super::outcome::Outcome;
use super::produce::{Pace, make_topics, progress, summary};
use super::text::{free_warehouse, grouped, next_lines, word};
use crate::cli::Lines as Written;
use crate::config::Config;
use crate::config::kafka::Format;
use crate::families;
use crate::kafka::producer::Producer;
use crate::model::load::Loaded;
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

/// Sends the events, each family's to the first of its topics, as JSON.
fn to_kafka(config: &Config, declared: &[Loaded]) -> Result<Outcome> {
    let Format::Json = config.kafka.format else {
        let why = "events of a model are sent as JSON, and `kafka.format` says otherwise: `--set kafka.format=json`";
        return Err(Refused(why.to_owned()).into());
    };
    let stop = super::stop_on_signals()?;
    let topics: Vec<_> =
        declared.iter().filter_map(|loaded| loaded.events.topics.first()).map(String::as_str).collect();
    make_topics(config, &topics)?;
    let producer = Producer::new(&config.kafka)?;
    let watch = progress(&producer, config.simulate.events * declared.len() as u64);
    let (mut pace, mut planted) = (Pace::new(config.simulate.rate, &stop), Planted::default());
    for (loaded, topic) in declared.iter().zip(topics) {
        let (mut lines, mut line) = (lines(config, loaded, Form::Json), Vec::new());
        while pace.goes_on()
            && let Some(person) = lines.write_next(&mut line)
        {
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
    let reads =
        format!("run --brokers {brokers} --set kafka.format=json --model {model} --warehouse {warehouse} --to-end");
    say!("\n{}\n\nwithout `--to-end` it reads on, until Ctrl-C", next_lines(&[("read them", reads)]));
    Ok(outcome(sent, planted))
}
