//! What a database must hold: schemas, tables, the grants of who writes and who reads.

pub mod clean;

use crate::config::snowflake::Snowflake as Config;
use crate::families;
use crate::model::views::View;
use crate::sink::by_minute::{self, Dialect};
use crate::sink::views;
use dataflows::family::Catalogue;
use dataflows::table::{ByMinute, Column, Role, Table, TableId, Type, stamp_columns};
use std::collections::BTreeSet;

/// A schema stands for how far from its source a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// As it came.
    Raw,
    /// One row per thing of the world, and the events as views over what came.
    Clean,
    /// What is said of them.
    Marts,
}

impl Layer {
    /// All of them.
    pub const ALL: [Layer; 3] = [Layer::Raw, Layer::Clean, Layer::Marts];

    /// Where a table belongs.
    pub fn of(id: TableId) -> Layer {
        match id.table().role {
            Role::Raw { .. } | Role::Rejected { .. } | Role::Late { .. } => Layer::Raw,
            Role::Entity => Layer::Clean,
            Role::Metric | Role::Tally => Layer::Marts,
        }
    }

    /// What is in it.
    pub fn doc(self) -> &'static str {
        match self {
            Layer::Raw => "What came in, as it came: events, rejected, late.",
            Layer::Clean => "Users and the catalog, one row each; accepted events, once.",
            Layer::Marts => "The metrics. `_PROGRESS` says how far they are.",
        }
    }
}

/// How things are called in one database.
#[derive(Clone, Debug)]
pub struct Names {
    database: String,
    schemas: [String; 3],
}

impl Names {
    /// As configured.
    pub fn new(config: &Config) -> Names {
        let schemas = &config.schemas;
        Names {
            database: identifier(&config.database),
            schemas: [&schemas.raw, &schemas.clean, &schemas.marts].map(|name| identifier(name)),
        }
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The schema of a layer, within its database.
    pub fn schema(&self, layer: Layer) -> String {
        format!("{}.{}", self.database, self.schemas[layer as usize])
    }

    /// The schema of a layer as data: how the information schema writes it.
    pub fn schema_text(&self, layer: Layer) -> String {
        let quoted = &self.schemas[layer as usize];
        quoted[1..quoted.len() - 1].replace("\"\"", "\"")
    }

    /// A table.
    pub fn table(&self, id: TableId) -> String {
        format!("{}.{}", self.schema(Layer::of(id)), name(id.table().name))
    }

    /// A view of every minute: beside the table it is made of.
    pub fn by_minute(&self, view: &ByMinute) -> String {
        format!("{}.{}", self.schema(Layer::Marts), name(view.name))
    }

    /// Where progress stands: among what readers read.
    pub fn progress(&self) -> String {
        format!("{}.{}", self.schema(Layer::Marts), name("_progress"))
    }

    /// Where the rows of large commits wait: where readers have no business.
    pub fn staging(&self) -> String {
        format!("{}.{}", self.schema(Layer::Raw), name("_staging"))
    }
}

/// A name out of the configuration, quoted, read as Snowflake reads it: in upper case unless it is quoted.
pub fn identifier(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(exact) => format!("\"{}\"", exact.replace("\"\"", "\"").replace('"', "\"\"")),
        None => format!("\"{}\"", text.to_uppercase().replace('"', "\"\"")),
    }
}

/// A name of ours. In upper case: so it is found by those who write it without quotes, in any case.
pub fn name(ours: &str) -> String {
    identifier(ours)
}

/// Text within a statement: names of columns and documentation, never data.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The type of a column.
pub fn type_of(ty: Type) -> &'static str {
    match ty {
        Type::Integer => "INTEGER",
        Type::Boolean => "BOOLEAN",
        // UTC, which NTZ shows as it is to everybody; TZ and LTZ would show it in the session's zone.
        Type::Instant => "TIMESTAMP_NTZ(3)",
        Type::Money => "NUMBER(18,2)",
        Type::Milli => "NUMBER(18,3)",
        Type::Share => "NUMBER(18,4)",
        // JSON too: VARIANT would give back other text than it got, and reconciling would see a difference.
        Type::Text | Type::Json => "VARCHAR",
        Type::Bytes => "BINARY",
    }
}

fn doc_of(column: &Column) -> String {
    match column.ty {
        Type::Json => format!("{} JSON: PARSE_JSON.", column.doc),
        Type::Integer
        | Type::Boolean
        | Type::Instant
        | Type::Money
        | Type::Milli
        | Type::Share
        | Type::Text
        | Type::Bytes => column.doc.to_owned(),
    }
}

/// The columns of a table, those that every table has among them.
pub fn all_columns(table: &Table) -> impl Iterator<Item = Column> {
    table.columns.iter().cloned().chain(stamp_columns())
}

/// The statement that makes a table.
///
/// The key is declared for those who model and join; Snowflake does not enforce it. Small tables and those in the order
/// of time are pruned well as they are; what is found by another key and read by day is worth an order. Of a declared
/// metric nobody knows how large it grows: where its key begins with a time, its rows are ordered by the day of it.
pub fn create_table(names: &Names, id: TableId) -> String {
    let table = id.table();
    let mut sql = format!("CREATE TABLE IF NOT EXISTS {} (\n", names.table(id));
    for column in all_columns(table) {
        let null = if column.nullable { "" } else { " NOT NULL" };
        let (name, ty, doc) = (name(column.name), type_of(column.ty), literal(&doc_of(&column)));
        sql.push_str(&format!("    {name} {ty}{null} COMMENT {doc},\n"));
    }
    let key: Vec<_> = table.columns[..table.key_columns].iter().map(|column| name(column.name)).collect();
    sql.push_str(&format!("    PRIMARY KEY ({})\n)", key.join(", ")));
    let begins_with = || families::metric(id).and(table.columns.first()).filter(|first| first.ty == Type::Instant);
    if let Some(at) = table.cluster_by_day.or_else(|| begins_with().map(|first| first.name)) {
        sql.push_str(&format!(" CLUSTER BY (TO_DATE({}))", name(at)));
    }
    sql.push_str(&format!(" COMMENT = {}", literal(table.doc)));
    sql
}

/// The statement that gives a table a column it was made without. What is there has no value in it until it is written
/// again.
pub fn add_column(names: &Names, id: TableId, column: &Column) -> String {
    let (name, ty, doc) = (name(column.name), type_of(column.ty), literal(&doc_of(column)));
    format!("ALTER TABLE {} ADD COLUMN {name} {ty} COMMENT {doc}", names.table(id))
}

/// The statement that makes `_progress`, and its one row, which nobody has claimed: in one, so that there is never
/// a second row.
pub fn create_progress(names: &Names) -> String {
    let start = crate::instant::show(dataflows::time::START).replace('Z', "");
    let columns = [
        ("pipeline_id", "''", "VARCHAR"),
        ("generation", "0", "INTEGER"),
        ("made_by", "'run'", "VARCHAR"),
        ("epoch", "0", "INTEGER"),
        ("positions", "'{}'", "VARCHAR"),
        ("watermark", &format!("'{start}'"), type_of(Type::Instant)),
        ("committed_at", &format!("'{start}'"), type_of(Type::Instant)),
        ("watermarks", "NULL", "VARCHAR"),
    ];
    let columns = columns.map(|(column, value, ty)| format!("CAST({value} AS {ty}) AS {}", name(column))).join(", ");
    format!("CREATE TABLE IF NOT EXISTS {} AS SELECT {columns}", names.progress())
}

/// The statement that gives `_progress` a column it was made without.
pub fn add_watermarks(names: &Names) -> String {
    format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} VARCHAR", names.progress(), name("watermarks"))
}

/// The statement that says what `_progress` is. Of its own: a table made of what is selected takes no comment along.
pub fn comment_progress(names: &Names) -> String {
    let doc = literal("How far the tables are: written in the transaction of the rows it vouches for.");
    format!("COMMENT ON TABLE {} IS {doc}", names.progress())
}

/// The statement that makes the table where large commits wait.
pub fn create_staging(names: &Names) -> String {
    let columns =
        [("batch_id", "VARCHAR"), ("generation", "INTEGER"), ("table_name", "VARCHAR"), ("part_rows", "VARCHAR")]
            .map(|(column, ty)| format!("{} {ty} NOT NULL", name(column)))
            .join(", ");
    let doc = literal("Rows of commits that are being made. Nothing to read.");
    format!(
        "CREATE TRANSIENT TABLE IF NOT EXISTS {} ({columns}) DATA_RETENTION_TIME_IN_DAYS = 0 COMMENT = {doc}",
        names.staging()
    )
}

/// The statement that makes a view of every minute. Its table and `_progress` must be there.
pub fn create_view(names: &Names, id: TableId, view: &ByMinute, family: &str) -> String {
    let (doc, table, progress) = (literal(view.doc), names.table(id), names.progress());
    let select = by_minute::select(by_minute::Dialect::Snowflake, name, (id.table(), view, family), &table, &progress);
    format!("CREATE VIEW IF NOT EXISTS {} COMMENT = {doc} AS\n{select}", names.by_minute(view))
}

/// The statement that makes a schema.
pub fn create_schema(names: &Names, layer: Layer) -> String {
    // Whatever the account's default is: keys are compared byte by byte, and pages are in that order.
    let collation = "DEFAULT_DDL_COLLATION = ''";
    format!("CREATE SCHEMA IF NOT EXISTS {} {collation} COMMENT = {}", names.schema(layer), literal(layer.doc()))
}

/// The statement that makes the database.
pub fn create_database(names: &Names) -> String {
    format!("CREATE DATABASE IF NOT EXISTS {}", names.database())
}

/// Asks which columns there are.
pub fn ask_columns(names: &Names) -> String {
    let schemas = Layer::ALL.map(|layer| literal(&names.schema_text(layer))).join(", ");
    format!(
        r#"SELECT "TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME" FROM {}."INFORMATION_SCHEMA"."COLUMNS" WHERE "TABLE_SCHEMA" IN ({schemas})"#,
        names.database()
    )
}

/// The views of every minute, each with its table.
fn minutes(catalogue: Catalogue) -> impl Iterator<Item = (TableId, &'static ByMinute, &'static str)> {
    let family = move |id| catalogue.family_of(id).map_or("", |family| family.name());
    catalogue.tables().iter().filter_map(move |id| Some((*id, id.table().by_minute.as_ref()?, family(*id))))
}

/// The statements that make what is missing, given what there is, as [`ask_columns`] tells it.
pub fn missing(catalogue: Catalogue, names: &Names, there: &BTreeSet<(String, String, String)>) -> Vec<String> {
    let has_table = |schema: &str, table: &str| there.iter().any(|(s, t, _)| s == schema && t == table);
    let mut statements = Vec::new();
    for layer in Layer::ALL {
        let schema = names.schema_text(layer);
        if !there.iter().any(|(there, _, _)| *there == schema) {
            statements.push(create_schema(names, layer));
        }
    }
    for id in catalogue.tables() {
        let (schema, table) = (names.schema_text(Layer::of(*id)), id.table().name.to_uppercase());
        if !has_table(&schema, &table) {
            statements.push(create_table(names, *id));
            continue;
        }
        let lacks = |column: &Column| !there.contains(&(schema.clone(), table.clone(), column.name.to_uppercase()));
        statements.extend(all_columns(id.table()).filter(lacks).map(|column| add_column(names, *id, &column)));
    }
    if !has_table(&names.schema_text(Layer::Raw), "_STAGING") {
        statements.push(create_staging(names));
    }
    if !has_table(&names.schema_text(Layer::Marts), "_PROGRESS") {
        statements.extend([create_progress(names), comment_progress(names)]);
    } else if !there.contains(&(names.schema_text(Layer::Marts), "_PROGRESS".to_owned(), "WATERMARKS".to_owned())) {
        statements.push(add_watermarks(names));
    }
    for (id, view, family) in minutes(catalogue) {
        if !has_table(&names.schema_text(Layer::Marts), &view.name.to_uppercase()) {
            statements.push(create_view(names, id, view, family));
        }
    }
    statements
}

/// What the comment of a view of a model ends with, behind a print of what it selects: so it is known again, and known to
/// have changed.
const OF_MODEL: &str = "(of the model, ";

/// The views of a model, each with its name there and the statement that makes it, with the print of it.
pub fn model_views(catalogue: Catalogue, names: &Names, all: &[View]) -> Vec<(String, String, String)> {
    let schema = names.schema(Layer::Marts);
    let called = |read: &str| {
        let minutes = by_minute::all(catalogue).find(|(_, view, _)| view.name == read);
        let is_view = all.iter().any(|view| view.name == read) || read == "_progress";
        let ours = is_view.then(|| format!("{schema}.{}", name(read)));
        catalogue.by_name(read).map(|id| names.table(id)).or(minutes.map(|(_, view, _)| names.by_minute(view))).or(ours)
    };
    let made = |view: &View| {
        let select = views::select(Dialect::Snowflake, name, (catalogue, all, view), &called);
        let print = format!("{OF_MODEL}{:08x})", crc32fast::hash(format!("{select}{}", view.doc).as_bytes()));
        let comment = literal(&format!("{} {print}", view.doc));
        let of = format!("{schema}.{}", name(&view.name));
        let statement = format!("CREATE OR REPLACE VIEW {of} COPY GRANTS COMMENT = {comment} AS\n{select}");
        (view.name.to_uppercase(), print, statement)
    };
    views::ordered(all).into_iter().map(made).collect()
}

/// Asks which views of a model there are.
pub fn ask_views(names: &Names) -> String {
    views_of(names, Layer::Marts, OF_MODEL)
}

/// Asks which views of a layer there are whose comment has a mark.
fn views_of(names: &Names, layer: Layer, mark: &str) -> String {
    format!(
        r#"SELECT "TABLE_NAME", "COMMENT" FROM {}."INFORMATION_SCHEMA"."VIEWS" WHERE "TABLE_SCHEMA" = {} AND "COMMENT" LIKE {}"#,
        names.database(),
        literal(&names.schema_text(layer)),
        literal(&format!("%{mark}%"))
    )
}

/// The statements that bring the views of a model to what they should be, given those that there are, as [`ask_views`]
/// tells them.
pub fn changed_views(catalogue: Catalogue, names: &Names, all: &[View], there: &[(String, String)]) -> Vec<String> {
    let wanted = model_views(catalogue, names, all);
    let is_wanted = |there: &str| wanted.iter().any(|(view, ..)| view == there);
    let left = there.iter().filter(|(view, _)| !is_wanted(view));
    let drops: Vec<_> =
        left.map(|(view, _)| format!("DROP VIEW IF EXISTS {}.{}", names.schema(Layer::Marts), name(view))).collect();
    let is_same =
        |view: &str, print: &str| there.iter().any(|(name, comment)| name == view && comment.ends_with(print));
    let makes = wanted.iter().filter(|(view, print, _)| !is_same(view, print)).map(|(.., statement)| statement.clone());
    drops.into_iter().chain(makes).collect()
}

/// Everything an administrator runs once: warehouse, database, schemas, roles, the user, tables, grants. Run again, it
/// changes nothing. By ACCOUNTADMIN: grants of what will be made need MANAGE GRANTS.
pub fn script(catalogue: Catalogue, config: &Config) -> Vec<String> {
    let names = Names::new(config);
    let [database, warehouse, writer, user] =
        [&config.database, &config.warehouse, &config.role, &config.user].map(|name| identifier(name));
    let reader = format!("\"{}_READER\"", writer.trim_matches('"'));
    let mut script = vec![
        "USE ROLE ACCOUNTADMIN".to_owned(),
        format!(
            "CREATE WAREHOUSE IF NOT EXISTS {warehouse} WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE \
             INITIALLY_SUSPENDED = TRUE"
        ),
        create_database(&names),
        format!("CREATE ROLE IF NOT EXISTS {writer}"),
        format!("CREATE ROLE IF NOT EXISTS {reader}"),
        format!("GRANT ROLE {reader} TO ROLE {writer}"),
        format!("GRANT ROLE {writer} TO ROLE SYSADMIN"),
        format!(
            "CREATE USER IF NOT EXISTS {user} TYPE = SERVICE DEFAULT_ROLE = {writer} DEFAULT_WAREHOUSE = {warehouse}"
        ),
        format!("GRANT ROLE {writer} TO USER {user}"),
        format!("GRANT USAGE ON WAREHOUSE {warehouse} TO ROLE {writer}"),
        format!("GRANT USAGE ON DATABASE {database} TO ROLE {reader}"),
    ];
    for layer in Layer::ALL {
        let schema = names.schema(layer);
        script.push(create_schema(&names, layer));
        script.push(format!("GRANT USAGE, CREATE TABLE, CREATE VIEW ON SCHEMA {schema} TO ROLE {writer}"));
    }
    script.extend(catalogue.tables().iter().map(|id| create_table(&names, *id)));
    script.extend([create_staging(&names), create_progress(&names), comment_progress(&names)]);
    script.extend(minutes(catalogue).map(|(id, view, family)| create_view(&names, id, view, family)));
    script.extend(clean::create(catalogue, &names));
    script.extend(model_views(catalogue, &names, families::views()).into_iter().map(|(.., statement)| statement));
    for layer in Layer::ALL {
        let schema = names.schema(layer);
        // Who writes owns: a column that is added later is an ALTER TABLE, which only owners may do. What the writer makes
        // later is its own anyway; a grant of future ownership would be refused the second time (003504).
        for all in ["TABLES", "VIEWS"] {
            script
                .push(format!("GRANT OWNERSHIP ON ALL {all} IN SCHEMA {schema} TO ROLE {writer} COPY CURRENT GRANTS"));
        }
        if layer != Layer::Raw {
            script.push(format!("GRANT USAGE ON SCHEMA {schema} TO ROLE {reader}"));
            for all in ["TABLES", "VIEWS"] {
                script.push(format!("GRANT SELECT ON ALL {all} IN SCHEMA {schema} TO ROLE {reader}"));
                script.push(format!("GRANT SELECT ON FUTURE {all} IN SCHEMA {schema} TO ROLE {reader}"));
            }
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{all, table};

    #[test]
    fn names_are_read_as_snowflake_reads_them() {
        assert_eq!(identifier("analytics"), "\"ANALYTICS\"");
        assert_eq!(identifier("\"Analytics\""), "\"Analytics\"");
        assert_eq!(identifier("a\"; DROP"), "\"A\"\"; DROP\"");
        let mut config = Config::default();
        config.schemas.raw = "\"Ra\"\"w\"".to_owned();
        assert_eq!(Names::new(&config).schema_text(Layer::Raw), "Ra\"w");
        assert_eq!(Names::new(&config).table(table("users")), "\"DELTAMART\".\"CLEAN\".\"USERS\"");
    }

    #[test]
    fn views_of_a_model_are_made_when_they_are_new_or_changed_and_go_with_their_files() {
        let view = |name: &str, sql: &str| {
            let text = format!("-- One row.\n{sql}");
            crate::model::views::read(name, name, &text).expect("a view")
        };
        let names = Names::new(&Config::default());
        let views = [
            view("a", "SELECT b.user_id FROM b JOIN users ON users.user_id = b.user_id"),
            view("b", "SELECT user_id FROM cart_events WHERE timestamp > watermark() - interval '1 day'"),
        ];
        let changed = |views: &[View], there: &[(String, String)]| changed_views(all(), &names, views, there);
        let [b, a] = &changed(&views, &[])[..] else { panic!("two statements, each behind what it reads") };
        let begins =
            r#"CREATE OR REPLACE VIEW "DELTAMART"."MARTS"."A" COPY GRANTS COMMENT = 'One row. (of the model, "#;
        assert!(a.starts_with(begins), "{a}");
        let ends = r#"FROM "DELTAMART"."MARTS"."B" JOIN "DELTAMART"."CLEAN"."USERS" ON users.user_id = b.user_id"#;
        assert!(a.ends_with(ends), "{a}");
        assert!(b.contains(r#"FROM "DELTAMART"."RAW"."CART_EVENTS" WHERE timestamp > ((SELECT coalesce(CAST("#), "{b}");
        assert!(b.ends_with(r#"FROM "DELTAMART"."MARTS"."_PROGRESS") - INTERVAL '86400 seconds')"#), "{b}");
        // As the database tells them.
        let comment = |statement: &str| {
            let comment = statement.split("COMMENT = '").nth(1).and_then(|rest| rest.split("' AS").next());
            comment.expect("a comment").to_owned()
        };
        let there = [("A".to_owned(), comment(a)), ("B".to_owned(), comment(b))];
        assert_eq!(changed(&views, &there), Vec::<String>::new());
        let other = [views[0].clone(), view("b", "SELECT user_id FROM users")];
        let [only] = &changed(&other, &there)[..] else { panic!("one statement") };
        assert!(only.contains(r#"VIEW "DELTAMART"."MARTS"."B" COPY"#), "{only}");
        let drops = ["A", "B"].map(|name| format!(r#"DROP VIEW IF EXISTS "DELTAMART"."MARTS"."{name}""#));
        assert_eq!(changed(&[], &there), drops);
    }

    #[test]
    fn only_what_is_missing_is_made() {
        let names = Names::new(&Config::default());
        assert_eq!(missing(all(), &names, &BTreeSet::new()).len(), 3 + all().tables().len() + 4);
        let mut there: BTreeSet<_> = all()
            .tables()
            .iter()
            .flat_map(|id| {
                let at = (names.schema_text(Layer::of(*id)), id.table().name.to_uppercase());
                all_columns(id.table()).map(move |column| (at.0.clone(), at.1.clone(), column.name.to_uppercase()))
            })
            .collect();
        let others = [("RAW", "_STAGING"), ("MARTS", "_PROGRESS"), ("MARTS", "SESSION_METRICS_BY_MINUTE")];
        for (schema, table) in others {
            there.insert((schema.to_owned(), table.to_owned(), "X".to_owned()));
        }
        let add = r#"ALTER TABLE "DELTAMART"."MARTS"."_PROGRESS" ADD COLUMN IF NOT EXISTS "WATERMARKS" VARCHAR"#;
        assert_eq!(missing(all(), &names, &there), [add], "of before families had names");
        there.insert(("MARTS".to_owned(), "_PROGRESS".to_owned(), "WATERMARKS".to_owned()));
        assert_eq!(missing(all(), &names, &there), Vec::<String>::new());
        there.remove(&("CLEAN".to_owned(), "USERS".to_owned(), "AGE".to_owned()));
        let [add] = &missing(all(), &names, &there)[..] else { panic!("one statement") };
        assert!(
            add.starts_with(r#"ALTER TABLE "DELTAMART"."CLEAN"."USERS" ADD COLUMN "AGE" INTEGER COMMENT "#),
            "{add}"
        );
    }
}
