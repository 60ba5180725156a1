//! The statements that make tables and grants, held against the forms of Snowflake's SQL reference. A parser of a stand-in
//! takes more than an account does.

use deltamart::config::snowflake::Snowflake as Config;
use deltamart::families::all;
use deltamart::sink::snowflake::ddl;
use std::collections::BTreeSet;

/// `N` is a name, `S` a text, `C` a list of columns, `Q` a query. All but the last but one are in the book word by word; `IF NOT
/// EXISTS` together with `AS` is not, but is what many projects run on accounts.
const FORMS: [&str; 26] = [
    "USE ROLE ACCOUNTADMIN",
    "CREATE WAREHOUSE IF NOT EXISTS N WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE INITIALLY_SUSPENDED = TRUE",
    "CREATE DATABASE IF NOT EXISTS N",
    "CREATE ROLE IF NOT EXISTS N",
    "GRANT ROLE N TO ROLE N",
    "GRANT ROLE N TO ROLE SYSADMIN",
    "GRANT ROLE N TO USER N",
    "CREATE USER IF NOT EXISTS N TYPE = SERVICE DEFAULT_ROLE = N DEFAULT_WAREHOUSE = N",
    "GRANT USAGE ON WAREHOUSE N TO ROLE N",
    "GRANT USAGE ON DATABASE N TO ROLE N",
    "GRANT USAGE ON SCHEMA N TO ROLE N",
    "GRANT USAGE, CREATE TABLE, CREATE VIEW ON SCHEMA N TO ROLE N",
    "CREATE SCHEMA IF NOT EXISTS N DEFAULT_DDL_COLLATION = S COMMENT = S",
    "CREATE TABLE IF NOT EXISTS N C COMMENT = S",
    "CREATE TABLE IF NOT EXISTS N C CLUSTER BY C COMMENT = S",
    "CREATE TABLE IF NOT EXISTS N C CLUSTER BY C DATA_RETENTION_TIME_IN_DAYS = 1 COMMENT = S",
    "CREATE TRANSIENT TABLE IF NOT EXISTS N C DATA_RETENTION_TIME_IN_DAYS = 0 COMMENT = S",
    "COMMENT ON TABLE N IS S",
    "CREATE VIEW IF NOT EXISTS N COMMENT = S AS Q",
    "GRANT OWNERSHIP ON ALL TABLES IN SCHEMA N TO ROLE N COPY CURRENT GRANTS",
    "GRANT OWNERSHIP ON ALL VIEWS IN SCHEMA N TO ROLE N COPY CURRENT GRANTS",
    "GRANT SELECT ON ALL TABLES IN SCHEMA N TO ROLE N",
    "GRANT SELECT ON ALL VIEWS IN SCHEMA N TO ROLE N",
    "GRANT SELECT ON FUTURE TABLES IN SCHEMA N TO ROLE N",
    "CREATE TABLE IF NOT EXISTS N AS Q",
    "GRANT SELECT ON FUTURE VIEWS IN SCHEMA N TO ROLE N",
];

/// A statement with its names, texts, lists and queries taken out.
fn form(sql: &str) -> String {
    let mut form = String::new();
    let (mut chars, mut depth) = (sql.chars().peekable(), 0_u32);
    while let Some(next) = chars.next() {
        match next {
            '"' | '\'' => {
                // A quote that is doubled is part of what is quoted, and so is one after a backslash in a text.
                while let Some(inner) = chars.next() {
                    if inner == '\\' && next == '\'' {
                        chars.next();
                    } else if inner == next && chars.next_if_eq(&next).is_none() {
                        break;
                    }
                }
                if depth == 0 {
                    form.push(if next == '"' { 'N' } else { 'S' });
                }
            }
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    form.push('C');
                }
            }
            _ if depth > 0 => {}
            space if space.is_whitespace() => form.push(' '),
            other => form.push(other),
        }
    }
    let form = form.replace("N.N.N", "N").replace("N.N", "N");
    let form = form.split_whitespace().collect::<Vec<_>>().join(" ");
    match form.find(" AS ") {
        Some(at) => format!("{} AS Q", &form[..at]),
        None => form,
    }
}

#[test]
fn every_statement_of_the_script_has_a_documented_form() {
    let config = Config { database: "\"My (odd) 'name'\"".to_owned(), ..Config::default() };
    let known = BTreeSet::from(FORMS);
    let names = ddl::Names::new(&config);
    for sql in ddl::script(all(), &config).into_iter().chain(ddl::missing(all(), &names, &BTreeSet::new())) {
        assert!(known.contains(&form(&sql)[..]), "no documented form: {}\n{sql}", form(&sql));
    }
    // What would pass a parser, and be refused by an account.
    for sql in [
        "GRANT OWNERSHIP ON FUTURE TABLES IN SCHEMA \"A\".\"B\" TO ROLE \"C\"",
        "CREATE OR REPLACE TABLE \"A\" (\"B\" INTEGER)",
    ] {
        assert!(!known.contains(&form(sql)[..]), "{sql}");
    }
}

/// Nothing in it makes, replaces or hands over what an earlier run of it has made or handed over already.
#[test]
fn the_script_can_be_run_twice() {
    let script = ddl::script(all(), &Config::default());
    assert_eq!(script[0], "USE ROLE ACCOUNTADMIN");
    for sql in &script {
        assert!(!sql.starts_with("CREATE") || sql.contains(" IF NOT EXISTS "), "{sql}");
        assert!(!sql.contains("OWNERSHIP ON FUTURE") && !sql.contains("OR REPLACE"), "{sql}");
        assert!(!sql.starts_with("CREATE SCHEMA") || sql.contains("DEFAULT_DDL_COLLATION = ''"), "{sql}");
    }
    assert_eq!(script.iter().filter(|sql| sql.contains("GRANT SELECT ON FUTURE")).count(), 4);
}
