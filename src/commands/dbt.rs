//! What dbt must know of the tables: sources, and a model of each that follows its source. The macros are those of the
//! package in `dbt/`.

use crate::config::snowflake::Snowflake;
use crate::families::all;
use crate::sink::snowflake::ddl::{Layer, Names};
use dataflows::table::{Column, Kind, Table, TableId, Type, stamp_columns};
use std::fmt::Write;

/// The folder of the tables that all families share.
const SHARED: &str = "shared";

const HEAD: &str = "\
# Made by `deltamart schema --for dbt` from the declarations of the tables: make it again instead of editing it.
version: 2
";

/// How fresh a source must be. The last commit tells it, not the rows: a table that had no news is not old.
const FRESHNESS: &str = "      freshness:
        warn_after: {count: \"{{ var('deltamart_warn_minutes', 30) | int }}\", period: minute}
        error_after: {count: \"{{ var('deltamart_error_minutes', 1440) | int }}\", period: minute}
";

/// A file of the project.
pub(super) struct File {
    /// Its path in the folder of models.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// Sources and models of all tables, as one file.
pub(super) fn whole(config: &Snowflake) -> String {
    let families: Vec<_> = families().into_iter().map(|(family, _)| family).collect();
    yaml(config, &families)
}

/// The same as files: of each family one that describes its tables, and a model for each.
pub(super) fn files(config: &Snowflake) -> Vec<File> {
    let mut files = Vec::new();
    for (family, tables) in families() {
        files.push(File { path: format!("{family}/_{family}.yml"), text: yaml(config, &[family]) });
        files.extend(tables.iter().map(|id| File { path: format!("{family}/{}.sql", id.name()), text: model(*id) }));
    }
    files
}

/// The families with their tables; what they share comes last.
fn families() -> Vec<(&'static str, Vec<TableId>)> {
    let named = all().families().iter().map(|family| family.name()).chain([SHARED]);
    named.map(|family| (family, of(family))).filter(|(_, tables)| !tables.is_empty()).collect()
}

fn of(family: &str) -> Vec<TableId> {
    let is_its = |id: &TableId| all().family_of(*id).map_or(SHARED, |family| family.name()) == family;
    all().tables().iter().copied().filter(is_its).collect()
}

/// A table in dbt: what changed since the last run is applied to it.
fn model(id: TableId) -> String {
    let key: Vec<_> = key(id.table()).iter().map(|column| format!("'{}'", column.name)).collect();
    format!(
        "{{{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=[{key}]) }}}}\n\
         {{{{ dbt_deltamart.rows(source('{source}', '{table}')) }}}}\n",
        key = key.join(", "),
        source = source(Layer::of(id)),
        table = id.name()
    )
}

fn yaml(config: &Snowflake, families: &[&str]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\nsources:");
    for family in families {
        for layer in Layer::ALL {
            let tables: Vec<_> = of(family).into_iter().filter(|id| Layer::of(*id) == layer).collect();
            if !tables.is_empty() {
                write_source(&mut text, config, (family, layer), &tables).unwrap_or_default();
            }
        }
    }
    text.push_str("\nmodels:\n");
    for family in families {
        for id in of(family) {
            write_model(&mut text, family, id).unwrap_or_default();
        }
    }
    text
}

fn source(layer: Layer) -> &'static str {
    match layer {
        Layer::Raw => "deltamart_raw",
        Layer::Clean => "deltamart_clean",
        Layer::Marts => "deltamart_marts",
    }
}

/// A source has the place of its layer in Snowflake; over a feed all are in one schema, which the package fills with views.
fn write_source(
    text: &mut String,
    config: &Snowflake,
    (family, layer): (&str, Layer),
    tables: &[TableId],
) -> std::fmt::Result {
    let (name, names) = (source(layer), Names::new(config));
    let (database, schema) = (names.database().trim_matches('"').to_owned(), names.schema_text(layer));
    let (marts, doc) = (names.schema_text(Layer::Marts), quoted(layer.doc()));
    let of_snowflake = "target.type == 'snowflake'";
    write!(
        text,
        "
  - name: {name}
    description: {doc}
    database: \"{{{{ var('deltamart_database', '{database}') if {of_snowflake} else target.database }}}}\"
    schema: \"{{{{ var('{name}', '{schema}') if {of_snowflake} else var('deltamart_schema', 'deltamart') }}}}\"
    config:
      enabled: {enabled}
{FRESHNESS}      loaded_at_query: >-
        {{% if {of_snowflake} -%}}
        select committed_at from {{{{ var('deltamart_database', '{database}') }}}}.{{{{ var('deltamart_marts', '{marts}') }}}}._progress
        {{%- else -%}}
        select (content->>'$.committed_at')::timestamptz at time zone 'UTC'
        from read_text('{{{{ env_var('DELTAMART_FEED', var('deltamart_feed', 'feed')) }}}}/_progress/*.json') order by filename desc limit 1
        {{%- endif %}}
    tables:
",
        enabled = enabled(family)
    )?;
    for id in tables {
        let table = id.table();
        let key: Vec<_> = key(table).iter().map(|column| column.name).collect();
        let is_appended = table.kind() == Kind::Append;
        write!(
            text,
            "      - name: {}\n        description: {}\n        config:\n          meta: {{deltamart: {{key: [{}], appended: {is_appended}}}}}\n        columns:\n",
            table.name,
            quoted(table.doc),
            key.join(", ")
        )?;
        for column in table.columns.iter().chain(&stamp_columns()) {
            let (name, doc, ty) = (column.name, quoted(column.doc), type_of(column.ty));
            writeln!(text, "          - {{name: {name}, data_type: \"{ty}\", description: {doc}}}")?;
        }
    }
    Ok(())
}

fn write_model(text: &mut String, family: &str, id: TableId) -> std::fmt::Result {
    let (table, key) = (id.table(), key(id.table()));
    write!(
        text,
        "  - name: {}\n    description: {}\n    config:\n      enabled: {}\n      contract: {{enforced: true}}\n      on_schema_change: fail\n    data_tests:\n",
        table.name,
        quoted(table.doc),
        enabled(family)
    )?;
    if key.len() > 1 {
        let names: Vec<_> = key.iter().map(|column| column.name).collect();
        writeln!(text, "      - dbt_deltamart.key: {{arguments: {{columns: [{}]}}}}", names.join(", "))?;
    }
    let (source, is_appended) = (source(Layer::of(id)), table.kind() == Kind::Append);
    writeln!(
        text,
        "      - dbt_deltamart.same_rows: {{arguments: {{to: \"source('{source}', '{}')\", appended: {is_appended}}}}}",
        table.name
    )?;
    writeln!(text, "    columns:")?;
    for column in table.columns.iter().chain(&stamp_columns()) {
        let (name, doc, ty) = (column.name, quoted(column.doc), type_of(column.ty));
        let tests = if key.len() == 1 && key[0].name == name { ", data_tests: [unique, not_null]" } else { "" };
        writeln!(text, "      - {{name: {name}, data_type: \"{ty}\", description: {doc}{tests}}}")?;
    }
    Ok(())
}

fn key(table: &Table) -> &[Column] {
    &table.columns[..table.key_columns]
}

/// Whether a family is wanted: a feed or a database may not have it. What families share is always there.
fn enabled(family: &str) -> String {
    if family == SHARED { "true".to_owned() } else { format!("\"{{{{ var('deltamart_family_{family}', true) }}}}\"") }
}

/// As both DuckDB and Snowflake write it.
fn type_of(ty: Type) -> &'static str {
    match ty {
        Type::Integer => "bigint",
        Type::Boolean => "boolean",
        Type::Instant => "timestamp",
        Type::Money => "decimal(18,2)",
        Type::Milli => "decimal(18,3)",
        Type::Share => "decimal(18,4)",
        Type::Text | Type::Json => "varchar",
        Type::Bytes => "binary",
    }
}

/// A text for YAML, which dbt reads as a template.
fn quoted(text: &str) -> String {
    let text = text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #");
    serde_json::Value::String(text).to_string()
}
