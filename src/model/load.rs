//! A folder of files becomes families of events with their metrics.

use super::events::{self, Events};
use super::messages::shown;
use super::shipped::Folder;
use super::types::{compile, compile_over};
use super::views::{self, View};
use super::{print, sqlite};
use dataflows::declared::family::{Known, Made};
use dataflows::declared::metrics::Metrics;
use dataflows::declared::plan::{Family, Metric};
use dataflows::declared::reading::{Conflict, Reader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A family of a folder, as everything else needs it.
#[derive(Clone, Copy)]
pub struct Loaded {
    /// The family, with its metrics.
    pub family: &'static Made,
    /// What its file says beside it.
    pub events: &'static Events,
    /// Its file.
    pub text: &'static str,
}

/// What a folder declares.
pub struct Model {
    /// Its families, with their metrics.
    pub families: Vec<Loaded>,
    /// Its metrics over events that are not declared.
    pub over: Vec<&'static Metrics>,
    /// Its views, as far as their texts alone tell what they are.
    pub views: Vec<View>,
}

/// The files of a folder that declare something, by what they are called.
struct Files {
    events: BTreeMap<String, (PathBuf, String)>,
    metrics: BTreeMap<String, (PathBuf, String)>,
    views: BTreeMap<String, (PathBuf, String)>,
    /// Those that are there, where another one is tried: it may read their rows.
    others: BTreeMap<String, (PathBuf, String)>,
}

impl Files {
    fn all_metrics(&self) -> impl Iterator<Item = (&String, &(PathBuf, String))> {
        self.metrics.iter().chain(&self.others)
    }
}

/// Where the views of a model are.
const VIEWS: &str = "views";

/// The longest text of a file.
const BYTES_MAX: u64 = 64 << 10;

/// Reads the folder. `taken` are the names of tables that there are without it, and `ours` the events of those that
/// metrics may read. A metric that is tried takes the place of all that are in the folder, whose events it reads.
///
/// # Errors
/// Everything that is wrong with its files, each with its place.
pub fn load(
    folder: Folder<'_>,
    tried: Option<&Path>,
    taken: &dyn Fn(&str) -> bool,
    ours: Vec<Family>,
) -> Result<Model, Vec<String>> {
    let (files, mut wrong) = files(folder, tried);
    let mut names: BTreeMap<&str, &Path> = BTreeMap::new();
    for (name, (path, _)) in files.events.iter().chain(&files.metrics).chain(&files.views) {
        if taken(name) {
            wrong.push(format!("{}: there is a table `{name}` already. Rename the file.", path.display()));
        }
        if let Some(other) = names.insert(name, path) {
            wrong.push(format!(
                "{}: `{}` makes a table of this name too. Rename one.",
                path.display(),
                other.display()
            ));
        }
    }
    let mut families = Vec::new();
    for (name, (path, text)) in &files.events {
        match events::read(name, text) {
            Ok(events) => families.push((path, events)),
            Err(mistakes) => wrong.push(shown(&path.display().to_string(), text, &mistakes)),
        }
    }
    wrong.extend(shared_topics(&families));
    let are_all_known = families.len() == files.events.len();
    let plans: Vec<_> = families.iter().map(|(_, events)| events.family.clone()).chain(ours).collect();
    let mut metrics: Vec<Vec<Metric>> = vec![Vec::new(); plans.len()];
    // First those of events: others may read their rows. Then those others, which nobody may read.
    let compiled = |(name, (_, text)): (&String, &(PathBuf, String))| compile(name, text, &plans).ok();
    let mut readable: Vec<_> = files.all_metrics().filter_map(compiled).collect();
    let of_rows = files.all_metrics().filter_map(|(name, (_, text))| compile_over(name, text, &plans, &readable).ok());
    let of_rows: Vec<_> = of_rows.filter(|(_, metric)| metric.inner().is_some()).collect();
    readable.extend(of_rows);
    for (name, (path, text)) in &files.metrics {
        match compile_over(name, text, &plans, &readable) {
            Ok((place, metric)) => metrics[place].push(metric),
            // What follows from a family that could not be read is not a second mistake.
            Err(_) if !are_all_known && families.is_empty() => {}
            Err(mistakes) => wrong.push(shown(&path.display().to_string(), text, &mistakes)),
        }
    }
    let mut declared_views = Vec::new();
    for (name, (path, text)) in &files.views {
        match views::read(name, &path.display().to_string(), text) {
            Ok(view) => declared_views.push(view),
            Err(mistakes) => wrong.push(shown(&path.display().to_string(), text, &mistakes)),
        }
    }
    let readers = families.iter().map(|(path, events)| {
        reader(events).map_err(|Conflict { column, field }| {
            format!(
                "{}: column `{column}` reads `{field}`, which another column reads as something else",
                path.display()
            )
        })
    });
    let readers: Vec<_> = readers.filter_map(|reader| reader.map_err(|why| wrong.push(why)).ok()).collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut plans = plans.into_iter().zip(metrics).map(|(plan, metrics)| with_metrics(plan, metrics));
    let families =
        families.into_iter().zip(readers).zip(plans.by_ref()).map(|(((_, events), reader), (plan, known))| Loaded {
            text: files.events.get(&plan.name).map_or("", |(_, text)| String::leak(text.clone())),
            family: Made::leaked(plan, known, Box::leak(Box::new(reader))),
            events: Box::leak(Box::new(events)),
        });
    let families = families.collect();
    let read = plans.filter(|(plan, _)| !plan.metrics.is_empty());
    let over = read.map(|(plan, known)| {
        let called = format!("shop/{}/declared", plan.name);
        Metrics::leaked(plan, known, &called)
    });
    Ok(Model { families, over: over.collect(), views: declared_views })
}

/// What reads the events that a file declares.
///
/// # Errors
/// If two columns read one field in two ways.
pub fn reader(Events { family, readings, .. }: &Events) -> Result<Reader, Conflict> {
    Reader::of(String::leak(family.name.clone()), readings.clone(), family.time, family.person)
}

/// What is known of a metric of such events.
pub fn known(plan: &Family, metric: &Metric) -> Known {
    Known {
        sql: String::leak(sqlite::select(plan, metric)),
        print: print::of(plan, metric),
        inner: metric.inner().map(|inner| print::of(plan, inner)),
    }
}

/// The plan of events with their metrics, and what is known of these.
fn with_metrics(mut plan: Family, metrics: Vec<Metric>) -> (Family, Vec<Known>) {
    let known = metrics.iter().map(|metric| known(&plan, metric)).collect();
    plan.metrics = metrics;
    (plan, known)
}

/// What is wrong with topics: a partition is of one family, which has a watermark of its own.
fn shared_topics(families: &[(&PathBuf, Events)]) -> Vec<String> {
    let (mut of, mut wrong) = (BTreeMap::<&str, &Path>::new(), Vec::new());
    for (path, events) in families {
        for topic in &events.topics {
            let Some(other) = of.insert(topic, path) else { continue };
            let (path, other) = (path.display(), other.display());
            wrong.push(if path.to_string() == other.to_string() {
                format!("{path}: `topics` names `{topic}` twice. Name it once.")
            } else {
                format!(
                    "{path}: `{other}` reads the topic `{topic}` too, and all records of a topic are of one family. Declare one \
                     family of both, with a column that reads the name of the event (`event_name`), and metrics that ask for it \
                     in WHERE"
                )
            });
        }
    }
    wrong
}

/// The files, and which of them cannot be read.
fn files(folder: Folder<'_>, tried: Option<&Path>) -> (Files, Vec<String>) {
    let (events, metrics) = (BTreeMap::new(), BTreeMap::new());
    let (views, others) = (BTreeMap::new(), BTreeMap::new());
    let (mut found, mut wrong) = (Files { events, metrics, views, others }, Vec::new());
    let mut entries: Vec<PathBuf> = match folder.entries(folder.root()) {
        // What is tried may read events that are not declared.
        Err(_) if tried.is_some() && !folder.root().exists() => Vec::new(),
        Ok(entries) => entries,
        Err(error) => {
            wrong.push(format!("could not read the folder `{}` of the model: {error}", folder.root().display()));
            Vec::new()
        }
    };
    entries.extend(tried.map(Path::to_owned));
    let of_views = folder.root().join(VIEWS);
    if tried.is_none() && entries.contains(&of_views) && folder.is_folder(&of_views) {
        match folder.entries(&of_views) {
            Ok(views) => entries.extend(views),
            Err(error) => wrong.push(format!("could not read the folder `{}`: {error}", of_views.display())),
        }
    }
    for path in entries {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_tried = tried == Some(&path);
        let kind = match extension {
            _ if is_tried => &mut found.metrics,
            Some("sql") if path.parent() == Some(&of_views) => &mut found.views,
            _ if path.parent() == Some(&of_views) => continue,
            Some("toml") => &mut found.events,
            Some("sql") if tried.is_none() => &mut found.metrics,
            Some("sql") => &mut found.others,
            Some(_) | None => continue,
        };
        // Texts for other engines stand beside the metrics.
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|name| is_tried || *name != "duckdb")
        else {
            continue;
        };
        let is_long = std::fs::metadata(&path).is_ok_and(|facts| facts.len() > BYTES_MAX);
        let from = if is_tried { Folder::Here(&path) } else { folder };
        match from.text(&path) {
            Ok(text) if !is_long => drop(kind.insert(name.to_owned(), (path.clone(), text.into_owned()))),
            Ok(_) => wrong.push(format!("{}: has more than 64 KiB", path.display())),
            Err(error) => wrong.push(format!("could not read `{}`: {error}", path.display())),
        }
    }
    (found, wrong)
}
