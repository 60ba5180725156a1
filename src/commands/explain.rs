//! `explain`: what a table is, what it is computed of, and when it leaves memory.

use super::meaning::{columns, conditions, kept, key, late_by, lateness, reads};
use super::rows::prose;
use super::show::no_table;
use super::state;
use super::text::{count, grouped};
use super::whole;
use super::{Refused, open_to_read};
use crate::cli::{ExplainArgs, SqlOf};
use crate::config::Config;
use crate::families::{self, all};
use crate::model::events::Events;
use crate::model::language::SUMMARY;
use crate::model::load::Loaded;
use crate::model::shipped::Folder;
use crate::model::views::View;
use crate::model::{duckdb, snowflake};
use crate::shown;
use crate::sink::by_minute::Dialect;
use crate::sink::snowflake::ddl;
use crate::sink::sqlite::quoted;
use crate::sink::views;
use anyhow::{Context, Result};
use dataflows::declared::plan::{Family, Literal, Metric};
use dataflows::declared::reading::{Empty, Reading, Takes, shown as number};
use dataflows::shop::over;
use dataflows::table::{Table, TableId};
use std::borrow::Cow;

/// Says what a metric can have.
pub(super) fn language() -> Result<()> {
    say_as_is!("{}", SUMMARY.trim_end());
    Ok(())
}

pub(super) fn explain(config: &Config, arguments: &ExplainArgs) -> Result<()> {
    if arguments.duckdb {
        return views(config);
    }
    let Some(name) = &arguments.name else {
        return whole::dataflow(config, arguments.dot);
    };
    let tables = all().tables();
    if let Some(view) = families::views().iter().find(|view| view.name.eq_ignore_ascii_case(name)) {
        return view_said(config, view, arguments.sql);
    }
    let Some(id) = tables.iter().copied().find(|id| id.name().eq_ignore_ascii_case(name)) else {
        let views = families::views().iter().map(|view| view.name.clone());
        let names: Vec<_> = tables.iter().map(|id| id.name().to_owned()).chain(views).collect();
        return Err(no_table(name, &names));
    };
    let sql = all().metrics().iter().find(|(metric, _)| *metric == id).map(|(_, sql)| *sql);
    if let Some(of) = arguments.sql {
        let Some(sql) = sql else {
            let why = format!("`{}` is no metric: its rows are records as they came, and no SQL makes them", id.name());
            return Err(Refused(why).into());
        };
        say_as_is!("{}", sql_of(config, of, id, sql)?.trim());
        return Ok(());
    }
    if let Some((metrics, metric)) = families::metric(id) {
        metric_said(config, metrics.plan(), metric, &text(config, metric).unwrap_or_default())?;
        if let Some(groups) = metrics.counted(id).and_then(|name| state::last_heard(config, name)) {
            fact("now", &format!("{} in memory, when the run was last heard of", count(groups as u64, "group")))?;
        }
        say_as_is!("\n{}", columns(id.table()));
    } else if let Some(loaded) = families::declared().iter().find(|loaded| loaded.family.raw_table() == id) {
        family_said(config, loaded)?;
    } else {
        say!("{}", titled(id.table()));
        say_as_is!("\n{}", columns(id.table()));
        if let Some(sql) = sql {
            say_as_is!("\nIts SQL, which `verify` runs:\n\n{}", sql.trim());
        }
    }
    if !config.is_feed_alone() && config.warehouse.exists() {
        let (path, rows) = (config.warehouse.display(), open_to_read(config)?.count(id.table())?);
        match rows {
            Some(rows) => say!("\nwarehouse `{path}` has {}", count(rows, "row")),
            None => say!("\nwarehouse `{path}` has no such table yet: the next `run` makes it"),
        }
    }
    Ok(())
}

/// What a view of the model is, and what each database is told to select.
fn view_said(config: &Config, view: &View, of: Option<SqlOf>) -> Result<()> {
    let views = families::views();
    let select = |of: SqlOf| match of {
        SqlOf::Sqlite => views::select(Dialect::Sqlite, quoted, (all(), views, view), &|_| None),
        SqlOf::DuckDb => views::select(Dialect::DuckDb, quoted, (all(), views, view), &|_| None),
        SqlOf::Snowflake => {
            let made = ddl::model_views(all(), &ddl::Names::new(&config.snowflake), views);
            let made = made.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(&view.name));
            made.map_or_else(String::new, |(.., statement)| statement)
        }
    };
    if let Some(of) = of {
        say_as_is!("{}", select(of));
        return Ok(());
    }
    say!("{}\n", prose(&format!("{}: {}", view.name, view.doc), shown::width()));
    fact("view", &view.file)?;
    fact("reads", &view.reads().join(", "))?;
    say_as_is!("\n{}", select(SqlOf::Sqlite));
    Ok(())
}

/// The SQL of a metric for a database; `sql` is that for SQLite.
fn sql_of(config: &Config, of: SqlOf, id: TableId, sql: &str) -> Result<String> {
    if of == SqlOf::Sqlite {
        return Ok(sql.to_owned());
    }
    let Some((loaded, metric)) = declared(id) else {
        let why = format!("`{}` reads events of the movie shop: there is SQL of it for `--sql sqlite` only", id.name());
        return Err(Refused(why).into());
    };
    let Loaded { family, events, .. } = loaded;
    let lateness_ms = lateness(config, &family.plan().name);
    if of == SqlOf::Snowflake {
        return Ok(snowflake::select(family, metric, &config.snowflake, lateness_ms));
    }
    if let Some(lacks) = duckdb::lacks(metric) {
        let why = format!("DuckDB {lacks}, and cannot run the text of `{}`: take `--sql sqlite`", id.name());
        return Err(Refused(why).into());
    }
    let text = text(config, metric)?;
    Ok(match config.feed.is_given() {
        true => duckdb::over_feed(family.plan(), metric, &text, lateness_ms),
        false => duckdb::over_lines(family.plan(), &events.readings, &text),
    })
}

/// The text of a metric's file.
fn text(config: &Config, metric: &Metric) -> Result<Cow<'static, str>> {
    let folder = Folder::of(&config.model);
    let file = folder.root().join(format!("{}.sql", metric.name));
    folder.text(&file).with_context(|| format!("could not read `{}`", file.display()))
}

/// The file of views for DuckDB.
fn views(config: &Config) -> Result<()> {
    let declared = families::declared();
    if declared.is_empty() {
        let why = format!("the model `{}` declares no events, and there is nothing to view", config.model.display());
        return Err(Refused(why).into());
    }
    let all = declared.iter().map(|Loaded { family, events, .. }| (family.plan(), events.readings.as_slice()));
    say_as_is!("{}", duckdb::views(all).trim_end());
    Ok(())
}

/// The metric that is declared in a file, if the table is of one.
fn declared(id: TableId) -> Option<(&'static Loaded, &'static Metric)> {
    families::declared().iter().find_map(|loaded| {
        let place = loaded.family.tables().iter().position(|table| *table == id)?;
        Some((loaded, loaded.family.plan().metrics.get(place)?))
    })
}

fn titled(table: &Table) -> String {
    prose(&format!("{}: {}", table.name, table.doc), shown::width())
}

/// A fact behind what it is called.
fn fact(name: &str, said: &str) -> Result<()> {
    say!("{}", prose(&format!("{name:<9}{said}"), shown::width()));
    Ok(())
}

/// What a metric reads, what its key is, and how long it is kept. Its conditions stand in its text.
pub(super) fn metric_said(config: &Config, events: &Family, metric: &Metric, text: &str) -> Result<()> {
    say!("{}\n", prose(&format!("{}: {}", metric.name, metric.doc), shown::width()));
    let (filter, having) = conditions(text);
    let such = filter.map(|filter| format!(" where {filter}")).unwrap_or_default();
    let read = match metric.inner() {
        Some(inner) => format!("the rows of {}, of {}", inner.name, events.name),
        None => events.name.clone(),
    };
    fact("reads", &format!("{read}{such}"))?;
    fact("columns", &reads(events, metric))?;
    fact("key", &key(metric))?;
    if let Some(having) = having {
        fact("rows", &format!("those of which {having}"))?;
    }
    fact("memory", &kept(metric, lateness(config, &events.name)))
}

fn family_said(config: &Config, loaded: &Loaded) -> Result<()> {
    let Loaded { family, events, .. } = loaded;
    let plan = family.plan();
    say!("{}\n", titled(family.raw_table().table()));
    let name = |place: usize| plan.columns.get(place).map_or("", |column| column.name.as_str());
    fact("topics", &events.topics.join(", "))?;
    fact("time", name(plan.time))?;
    fact("person", plan.person.map_or("none", name))?;
    fact("once", &counts_once(plan))?;
    fact("lateness", &late_by(lateness(config, &plan.name)))?;
    let metrics: Vec<_> = plan.metrics.iter().map(|metric| metric.name.as_str()).collect();
    fact("metrics", &if metrics.is_empty() { "none yet".to_owned() } else { metrics.join(", ") })?;
    say_as_is!("\n{}", columns(&with_takes(family.raw_table().table(), events)));
    Ok(())
}

/// By which columns an event is known again that comes twice.
fn counts_once(plan: &Family) -> String {
    match &plan.once {
        None => "each event counts".to_owned(),
        Some(once) if once.of.len() == plan.columns.len() => {
            "events that are equal in every column count once".to_owned()
        }
        Some(once) => {
            let names = once.of.iter().filter_map(|place| plan.columns.get(*place)).map(|column| column.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            format!("events that are equal in {names} count once; metrics read these columns alone")
        }
    }
}

/// The table, of which each column also says what it takes.
fn with_takes(table: &Table, events: &Events) -> Table {
    let mut table = table.clone();
    for reading in &events.readings {
        for column in table.columns.iter_mut().filter(|column| column.name == reading.column) {
            // Said once, by a command that ends.
            column.doc = String::leak(format!("{}{}", column.doc, takes(reading)));
        }
    }
    table
}

fn takes(reading: &Reading) -> String {
    let mut said = String::new();
    match &reading.takes {
        Takes::Number(decimals, (least, most)) => {
            let shown = |bound: i64| number(bound, *decimals);
            match (*least == i64::MIN, *most == i64::MAX) {
                (true, true) => {}
                (false, true) => said += &format!(" At least {}.", shown(*least)),
                (true, false) => said += &format!(" At most {}.", shown(*most)),
                (false, false) => said += &format!(" From {} to {}.", shown(*least), shown(*most)),
            }
        }
        Takes::Text { one_of: Some(one_of), .. } => said += &format!(" One of {}.", one_of.known.join(", ")),
        Takes::Text { one_of: None, .. } | Takes::Boolean | Takes::Instant => {}
    }
    if reading.from != [reading.column] {
        said += &format!(" From the field {}.", reading.from.join(", else "));
    }
    match &reading.empty {
        Empty::Rejected | Empty::Is(Literal::Null) => {}
        Empty::Is(Literal::Text(text)) => said += &format!(" Where there is nothing: \"{text}\"."),
        Empty::Is(Literal::Boolean(value)) => said += &format!(" Where there is nothing: {value}."),
        Empty::Is(Literal::Number(value)) => {
            said += &format!(
                " Where there is nothing: {}.",
                match reading.takes {
                    Takes::Number(decimals, _) => number(*value, decimals),
                    Takes::Boolean | Takes::Instant | Takes::Text { .. } => value.to_string(),
                }
            )
        }
        Empty::Is(Literal::Instant(at)) => said += &format!(" Where there is nothing: {}.", crate::instant::show(*at)),
    }
    said
}

/// The model, as `check` lists it.
pub(super) fn model(config: &Config) -> Result<()> {
    let declared = families::declared();
    let metrics: usize = families::metrics().map(|metrics| metrics.tables().len()).sum();
    let views = families::views();
    if declared.is_empty() && metrics == 0 && views.is_empty() {
        return Ok(());
    }
    let families = if declared.len() == 1 { "family" } else { "families" };
    say!(
        "# model `{}`: {} {families} of events, {}",
        config.model.display(),
        grouped(declared.len() as u64),
        count(metrics as u64, "metric")
    );
    for loaded in declared {
        let Loaded { family, events, .. } = loaded;
        let plan = family.plan();
        let name = |place: usize| plan.columns.get(place).map_or("", |column| column.name.as_str());
        let once = counts_once(plan);
        say!(
            "#   {}: topics {}; time {}; person {}; {once}; lateness {}",
            plan.name,
            events.topics.join(", "),
            name(plan.time),
            plan.person.map_or("none", name),
            late_by(lateness(config, &plan.name))
        );
        metrics_listed(config, plan)?;
    }
    for metrics in over::declared() {
        say!("#   {}: events of the movie shop", metrics.plan().name);
        metrics_listed(config, metrics.plan())?;
    }
    if !views.is_empty() {
        let names: Vec<_> = views.iter().map(|view| view.name.as_str()).collect();
        say!("#   views: {}", names.join(", "));
    }
    Ok(())
}

fn metrics_listed(config: &Config, events: &Family) -> Result<()> {
    for metric in &events.metrics {
        say!("#     {}: key {}; {}", metric.name, key(metric), kept(metric, lateness(config, &events.name)));
    }
    Ok(())
}
