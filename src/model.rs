//! What users declare in files: events in TOML, metrics as texts of SQL.
//!
//! A folder is read whole ([`load`]); some come with the program ([`shipped`]). A file of TOML is a family of events ([`events`]). A text of SQL is read
//! ([`language`]), typed ([`types`]), and the plan that comes of it is what runs. `verify` has the same plan as a text for
//! SQLite ([`sqlite`]), and as one for Snowflake ([`snowflake`]). DuckDB runs the text itself ([`duckdb`]). What is wrong with
//! a text is said with its place, and with the way out ([`messages`]).

pub mod load;
pub mod messages;

pub mod events;
pub mod grown;
pub mod views;

pub mod language;
pub mod types;

pub mod print;
mod stages;

pub mod duckdb;
pub mod snowflake;
pub mod sqlite;

pub mod example;
pub mod sample;
pub mod shipped;
pub mod subject;

#[cfg(test)]
mod tests;
