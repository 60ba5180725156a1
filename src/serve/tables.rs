//! `/api/v1/tables`: what there is to be read.

use super::Served;
use super::answer::{Refusal, json};
use super::reading::{Read, read, refused};
use super::shape::{Column, name_of, shapes};
use crate::sink::sqlite::guarded::Unanswered;
use crate::sink::sqlite::quoted;
use axum::extract::State;
use axum::response::IntoResponse;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counting the rows of all tables takes no longer; of those that are left nobody knows how many they have.
const COUNTING: Duration = Duration::from_millis(500);
/// For so long nothing is counted again; where counting took its time, for so much longer.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_OF_MANY: Duration = Duration::from_secs(60);

/// What was told last, and until when it is told again.
#[derive(Default)]
pub(super) struct Told(Mutex<Option<(Instant, String)>>);

pub(super) async fn tables(State(served): State<Arc<Served>>) -> Result<impl IntoResponse, Refusal> {
    let known = served.tables.0.lock().clone().filter(|(until, _)| Instant::now() < *until);
    if let Some((_, told)) = known {
        return Ok(json(told));
    }
    let (took_long, told) = read(&served, list).await?;
    let until = Instant::now() + if took_long { AGAIN_OF_MANY } else { AGAIN };
    *served.tables.0.lock() = Some((until, told.clone()));
    Ok(json(told))
}

/// All tables; and whether it took long to count their rows.
fn list(read: &Read) -> Result<(bool, String), Refusal> {
    let shapes = shapes(&read.guarded).map_err(|error| refused(&error))?;
    let began = Instant::now();
    let mut tables = Vec::new();
    for shape in shapes {
        // What views compute takes as long as it takes.
        let is_counted = shape.kind != "view" && began.elapsed() < COUNTING;
        let rows = if is_counted { count(read, &shape.name).map_err(|error| refused(&error))? } else { None };
        let column = |column: &Column| {
            let ty = column.ty.map(name_of);
            json!({ "name": column.name, "type": ty, "nullable": column.nullable, "doc": column.doc })
        };
        tables.push(json!({
            "name": shape.name,
            "family": shape.family,
            "kind": shape.kind,
            "doc": shape.doc,
            "key": shape.key().iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
            "time_column": shape.time.and_then(|place| shape.columns.get(place)).map(|column| column.name.as_str()),
            "columns": shape.columns.iter().map(column).collect::<Vec<_>>(),
            "has_corrections": shape.has_corrections,
            "rows": rows,
        }));
    }
    let told: Value = json!({ "epoch": read.progress.epoch, "tables": tables });
    Ok((began.elapsed() >= COUNTING, told.to_string()))
}

fn count(read: &Read, table: &str) -> Result<Option<i64>, Unanswered> {
    let mut answer = read.guarded.ask_for(&format!("SELECT COUNT(*) FROM {}", quoted(table)), &[])?;
    let mut rows = answer.rows();
    Ok(rows.next_row()?.and_then(|row| row.get(0).ok()))
}
