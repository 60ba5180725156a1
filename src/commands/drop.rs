//! `drop`: a table goes that nobody keeps any more, of a metric that was removed or has another name now. Until then it
//! lies in the warehouse and looks alive.

use super::left::said;
use super::nearest::meant;
use super::outcome::Outcome;
use super::state::state_that_is_at_rest;
use super::text::count;
use super::{Refused, open_to_read, open_warehouse};
use crate::config::Config;
use crate::families::{self, all};
use crate::instant;
use crate::model::shipped::Folder;
use crate::sink::parquet::Parquet;
use crate::sink::{MadeBy, Sink};
use crate::state_dir::StateDir;
use anyhow::{Context, Result};

pub(super) fn drop(config: &Config, table: Option<&str>) -> Result<Outcome> {
    let path = config.warehouse.display();
    let mut warehouse = open_to_read(config)?;
    let was = warehouse.position()?.with_context(|| format!("no pipeline has claimed `{path}`"))?;
    let all_left = warehouse.left()?;
    let in_feed = match config.feed.is_given() {
        true => Parquet::open_to_read(all(), &config.feed)?.left()?,
        false => Vec::new(),
    };
    let mut names: Vec<_> = all_left.iter().map(|left| left.table.clone()).chain(in_feed.iter().cloned()).collect();
    names.sort();
    names.dedup();
    let Some(table) = table else {
        all_left.iter().try_for_each(|left| -> Result<()> {
            say!("{}", said(config, left));
            Ok(())
        })?;
        if names.is_empty() {
            say!("every table of `{path}` is kept");
        }
        return Ok(Outcome::of(false).with("left", names));
    };
    refuse_what_is_kept(config, table)?;
    if !names.iter().any(|name| name == table) {
        let why = match warehouse.has_any(table)? {
            true => format!("`{table}` was not made by deltamart, which leaves it as it is"),
            false if names.is_empty() => format!("there is no table `{table}`, and none that nobody keeps"),
            false => {
                let meant = meant(table, names.iter().map(String::as_str));
                let there_are = if meant.is_empty() { format!("; there are {}", names.join(", ")) } else { meant };
                format!("no table `{table}` is kept by nobody{there_are}")
            }
        };
        return Err(Refused(why).into());
    }
    std::mem::drop(warehouse);
    // Nobody runs, nor begins to run meanwhile. A batch computes everything again whatever there is.
    let _at_rest = match was.made_by {
        MadeBy::Run | MadeBy::Simulator => {
            let at_rest = state_that_is_at_rest(config)?;
            refuse_what_was_kept_last(&at_rest.dir, table)?;
            Some(at_rest)
        }
        MadeBy::Batch => None,
    };
    let mut rows = 0;
    if let Some(left) = all_left.iter().find(|left| left.table == table) {
        open_warehouse(config)?.drop_left(left, &was)?;
        rows = left.rows;
        say!("`{table}` is gone from `{path}`: it had {}", count(rows, "row"));
    }
    let mut files = 0;
    if in_feed.iter().any(|name| name == table) {
        files = Parquet::open(all(), &config.feed)?.drop_left(table, instant::now())?;
        let (feed, grace) = (&config.feed.path, instant::span::show(config.feed.grace));
        say!(
            "it is gone from the feed `{feed}`: the next commits remove its {}, {grace} from now",
            count(files as u64, "file")
        );
    }
    say_where_else(config, table)?;
    Ok(Outcome::of(true).with("table", table).with("rows", rows).with("feed_files", files))
}

/// A table that is in the model, or in this program, is kept, or would be made again by the next start.
fn refuse_what_is_kept(config: &Config, name: &str) -> Result<()> {
    let Some(id) = all().tables().iter().copied().find(|id| id.name().eq_ignore_ascii_case(name)) else {
        return Ok(());
    };
    let of_family = families::declared().iter().any(|loaded| loaded.family.raw_table() == id);
    let file = config.model.join(format!("{}.{}", id.name(), if of_family { "toml" } else { "sql" }));
    let why = match of_family || families::metric(id).is_some() {
        true if matches!(Folder::of(&config.model), Folder::Shipped(_)) => {
            let (table, model) = (id.name(), config.model.display());
            format!("`{table}` is in the model `{model}`, which comes with deltamart (setting `tables`: what is kept)")
        }
        true => format!(
            "`{}` is in the model: remove `{}`, let `run` begin once without it, and ask again",
            id.name(),
            file.display()
        ),
        false => format!(
            "`{}` is a table of deltamart itself, which every start makes (setting `tables`: what is kept)",
            id.name()
        ),
    };
    Err(Refused(why).into())
}

/// What the last start kept is in its state too: if the file of the metric came back, its rows would be missing.
fn refuse_what_was_kept_last(dir: &StateDir, name: &str) -> Result<()> {
    let prints = dir.generation(dir.last_generation()?)?.fingerprint;
    let is_of_it = |print: &String| {
        let table = print.strip_prefix("table ").unwrap_or_default();
        let family = print.strip_prefix("setting ").unwrap_or(table).split_once('.').map(|(family, _)| family);
        table.rsplit('.').next() == Some(name) || family == Some(name)
    };
    if prints.keys().any(is_of_it) {
        let why = format!("the last run kept `{name}`: let `run` begin once without it, and ask again");
        return Err(Refused(why).into());
    }
    Ok(())
}

/// Where it is not ours to remove it, or cannot be done in one step with the rest.
fn say_where_else(config: &Config, name: &str) -> Result<()> {
    if config.publish.is_given() {
        let topic = format!("{}{name}", config.publish.prefix);
        say!("Kafka: topic `{topic}` may be there, with its schemas in the registry: delete it once nobody reads it");
    }
    if config.snowflake.is_given() {
        for statement in statements(config, name) {
            say_as_is!("Snowflake, by a role that owns the table:  {statement}");
        }
    }
    Ok(())
}

#[cfg(feature = "snowflake")]
fn statements(config: &Config, name: &str) -> Vec<String> {
    use crate::sink::snowflake::ddl::{Layer, Names, name as quoted};
    let names = Names::new(&config.snowflake);
    let statement = |layer| format!("DROP TABLE IF EXISTS {}.{};", names.schema(layer), quoted(name));
    [Layer::Marts, Layer::Raw].map(statement).to_vec()
}

#[cfg(not(feature = "snowflake"))]
fn statements(_: &Config, _: &str) -> Vec<String> {
    vec![super::schema::WITHOUT_SNOWFLAKE.to_owned()]
}
