//! What a warehouse must hold before it can be written to, and the key to Snowflake.

use super::dbt;
use crate::cli::Dialect;
use crate::config::Config;
use crate::families::{all, views as declared};
use crate::sink::by_minute;
use crate::sink::parquet;
use crate::sink::snowflake;
use crate::sink::sqlite::{ddl, progress_ddl, view_ddl};
use crate::sink::views;
use anyhow::{Context, Result};
use std::path::Path;

/// Prints the statements that make the tables.
pub(super) fn schema(config: &Config, dialect: Dialect) -> Result<()> {
    let statements: Vec<String> = match dialect {
        Dialect::Sqlite => {
            let tables = all().tables().iter().map(|id| ddl(id.table()));
            let views = by_minute::all(all()).map(|(of, view, family)| view_ddl(of, view, family));
            let of_model =
                views::ordered(declared()).into_iter().map(|view| views::sqlite_ddl(all(), declared(), view));
            tables.chain([progress_ddl().to_owned()]).chain(views).chain(of_model).collect()
        }
        Dialect::Snowflake => {
            say!("-- To be run as ACCOUNTADMIN. It can be run again.\n");
            snowflake::ddl::script(all(), &config.snowflake)
        }
        Dialect::Duckdb => {
            if !config.feed.is_given() {
                let why = "the views are of a feed: say where it is, `--set feed.path=FOLDER`";
                return Err(super::Refused(why.to_owned()).into());
            }
            say!("{}", parquet::plain_views(all(), &config.feed));
            return Ok(());
        }
        Dialect::Dbt => {
            say!("{}", dbt::whole(&config.snowflake).trim_end());
            return Ok(());
        }
    };
    for statement in statements {
        say!("{statement};\n");
    }
    Ok(())
}

/// Writes the models of dbt into a folder, and says which.
pub(super) fn dbt(config: &Config, folder: &Path) -> Result<()> {
    for file in dbt::files(&config.snowflake) {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the folder `{}`", parent.display()))?;
        }
        std::fs::write(&path, file.text).with_context(|| format!("cannot write `{}`", path.display()))?;
        say!("{}", path.display());
    }
    Ok(())
}

/// Makes a key and prints how it is registered.
#[cfg(feature = "snowflake")]
pub(super) fn snowflake_key(config: &Config, out: &Path) -> Result<()> {
    let public = snowflake::key::generate(out)?;
    let user = snowflake::ddl::identifier(&config.snowflake.user);
    crate::shown::complain(&format!("the private key is in `{}`; keep it, and let nobody read it", out.display()));
    if let Some(hint) = super::repository::hint(out, "*.p8") {
        crate::shown::complain(&hint);
    }
    say!("ALTER USER {user} SET RSA_PUBLIC_KEY = '{public}';");
    say!("-- Where another key is in use and shall stay so until this one is: the second place, instead.");
    say!("-- ALTER USER {user} SET RSA_PUBLIC_KEY_2 = '{public}';");
    Ok(())
}

/// Tries what Snowflake's documents leave open.
#[cfg(feature = "snowflake")]
pub(super) fn snowflake_deep(config: &Config) -> Result<()> {
    if !config.snowflake.is_given() {
        let why = "`check --deep` tries Snowflake: set `snowflake.account`, and what else `[snowflake]` needs";
        return Err(super::Refused(why.to_owned()).into());
    }
    // Who reads may stop reading: the trial goes on to its end, where its schemas are dropped.
    let mut said = Ok(());
    snowflake::deep::check(all(), &config.snowflake, &mut |what, answer, took| {
        if said.is_ok() {
            said = crate::shown::say(&format!("# deep: {what}: {answer} ({} ms)", took.as_millis()));
        }
    })?;
    said?;
    say!("# deep: what a commit rests on holds");
    Ok(())
}

/// What is said where Snowflake is asked for, and is not there.
#[cfg(not(feature = "snowflake"))]
pub(super) const WITHOUT_SNOWFLAKE: &str =
    "this program was built without Snowflake: cargo install --path . --features snowflake";

#[cfg(not(feature = "snowflake"))]
fn without() -> anyhow::Error {
    super::Refused(WITHOUT_SNOWFLAKE.to_owned()).into()
}

#[cfg(not(feature = "snowflake"))]
pub(super) fn snowflake_key(_: &Config, _: &Path) -> Result<()> {
    Err(without())
}

#[cfg(not(feature = "snowflake"))]
pub(super) fn snowflake_deep(_: &Config) -> Result<()> {
    Err(without())
}
