//! DuckDB as a second reader: the user's own text, unchanged, over the feed and over the very file that was read, against
//! the table that is kept. DELTAMART_PYTHON names a Python that has DuckDB (`scripts/venv` prints one).
//!
//! Over the file nothing of the program takes part: a view of the test's own reads the lines, a model of a few lines says
//! which are late, and `once` is SELECT DISTINCT. Where a half was rounded, or a first event has an equal, DuckDB may say
//! something else: such rows are set aside, and counted.

/// Families, their files and their metrics, drawn.
pub mod drawn;
/// The real store.
mod store;

use crate::support::needed;
use dataflows::declared::plan::{Literal, Metric, Type};
use dataflows::time::DAY_MS;
use deltamart::model::load::{Loaded, load};
use deltamart::model::shipped::Folder;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The rows that a script found, or what is wrong with it.
type Rows = Result<Vec<Vec<Literal>>, String>;

/// Which events of a file are late, by their times in the order of the lines; what was rejected has none.
fn late(times: &[Option<i64>], lateness_ms: i64) -> Vec<bool> {
    let mut largest: [Option<i64>; 2] = [None; 2];
    let judged = times.iter().map(|time| {
        let Some(time) = *time else { return false };
        // An event that is more than a day ahead of all others counts when another has come, and so does the very first.
        let now = largest[0].zip(largest[1]);
        let now = now.map(|(first, second)| if first - second <= DAY_MS { first } else { second });
        let mut all = [Some(time), largest[0], largest[1]];
        all.sort();
        largest = [all[2], all[1]];
        now.is_some_and(|now| time < now - lateness_ms)
    });
    judged.collect()
}

/// What a folder declares.
pub fn model(folder: &Path) -> Vec<Loaded> {
    load(Folder::Here(folder), None, &|_| false, Vec::new())
        .unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")))
        .families
}

/// What DuckDB needs to know of a metric's columns.
fn types(metric: &Metric) -> Vec<String> {
    let kinds = metric.outputs.iter().map(|output| match output.value.ty {
        Type::Boolean => "b".to_owned(),
        Type::Number(scale) => format!("n{scale}"),
        Type::Instant => "i".to_owned(),
        Type::Text => "s".to_owned(),
    });
    kinds.collect()
}

fn literal(kind: Type, value: &Json) -> Literal {
    match (kind, value) {
        (_, Json::Null) => Literal::Null,
        (Type::Boolean, Json::Bool(truth)) => Literal::Boolean(*truth),
        (Type::Number(_), Json::Number(number)) => Literal::Number(number.as_i64().expect("64 bits")),
        (Type::Instant, Json::Number(number)) => Literal::Instant(number.as_i64().expect("64 bits")),
        (Type::Text, Json::String(text)) => Literal::Text(text.clone()),
        (kind, value) => panic!("{value} is no {kind:?}"),
    }
}

/// What DuckDB says of metrics: by the metric and the script, sorted rows.
fn ask(folder: &Path, jobs: &[(&Metric, Vec<(&str, String)>)]) -> BTreeMap<(String, String), Rows> {
    let of = |(metric, scripts): &(&Metric, Vec<(&str, String)>)| {
        let scripts: BTreeMap<_, _> = scripts.iter().map(|(name, sql)| ((*name).to_owned(), sql.clone())).collect();
        json!({"name": metric.name, "types": types(metric), "scripts": scripts})
    };
    let work = json!({"views": folder.join("feed/views.sql"), "jobs": jobs.iter().map(of).collect::<Vec<_>>()});
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/second_reader.py");
    let mut child = Command::new(needed("DELTAMART_PYTHON"))
        .arg(script)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().expect("piped").write_all(work.to_string().as_bytes()).expect("reads");
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "the script failed");
    let mut all = BTreeMap::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let said: Json = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| said[key].as_str().expect("text").to_owned();
        let (metric, _) = jobs.iter().find(|(metric, _)| metric.name == text("name")).expect("it was asked");
        let rows = match said["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => {
                let rows = said["rows"].as_array().expect("rows").iter().map(|row| {
                    let row = row.as_array().expect("a row").iter().zip(&metric.outputs);
                    row.map(|(value, output)| literal(output.value.ty, value)).collect::<Vec<_>>()
                });
                let mut rows: Vec<_> = rows.collect();
                rows.sort();
                Ok(rows)
            }
        };
        all.insert((text("name"), text("script")), rows);
    }
    all
}

/// The last rows of a metric's table, of the feed's view.
fn table(metric: &Metric) -> String {
    let columns: Vec<_> = metric.outputs.iter().map(|output| format!("\"{}\"", output.name)).collect();
    format!("SELECT {} FROM \"{}\"", columns.join(", "), metric.name)
}

/// The user's text over events that a SELECT gives: for the rows that are final, and for the others.
fn twice(name: &str, text: &str, events: &str, end: &str, (family, lateness_ms): (&str, i64)) -> String {
    let cut = format!(
        "(SELECT (watermarks->>'$.\"{family}\"')::TIMESTAMPTZ AT TIME ZONE 'UTC' - INTERVAL '{lateness_ms} milliseconds' \
         FROM _progress)"
    );
    let half = |is_final: bool, into: &str| {
        format!(
            "CREATE OR REPLACE MACRO is_final() AS {is_final};\n{into}\nWITH {family} AS (SELECT * FROM ({events}) WHERE \
             ({end} <= {cut}) = {is_final})\n{text};\n"
        )
    };
    let first = half(true, &format!("CREATE OR REPLACE TEMP TABLE _own_{name} AS"));
    format!("{first}{}FROM _own_{name};", half(false, &format!("INSERT INTO _own_{name}")))
}
