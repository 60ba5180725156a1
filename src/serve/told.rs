//! Commits and corrections as JSON.

use super::cells;
use crate::instant;
use crate::tap::told::{Correction, Restated, Told};
use dataflows::delta::Delta;
use dataflows::table::{TableId, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A commit; of some tables alone, if only those are wanted.
pub(super) fn commit(told: &Told, only: &BTreeSet<TableId>) -> String {
    let mut out = String::new();
    let is_wanted = |table: &TableId| only.is_empty() || only.contains(table);
    write!(out, "{{\"epoch\":{},\"committed_at\":", told.epoch).expect("a String takes everything");
    cells::text(&mut out, &told.committed_at());
    out.push_str(",\"deltas\":[");
    let mut between = Between::default();
    for (table, deltas) in told.deltas.iter().filter(|(table, _)| is_wanted(table)) {
        let before = told.seen.before.get(table);
        for delta in deltas.iter() {
            let before = before.and_then(|before| before.get(delta.key(*table)));
            let (op, after) = match &*delta {
                Delta::Upsert(row) => ("upsert", Some(row)),
                // It came and went between two commits.
                Delta::Delete(_) if before.is_some_and(Option::is_none) => continue,
                Delta::Delete(_) => ("delete", None),
            };
            between.write(&mut out);
            of_table(&mut out, *table, op);
            out.push_str(",\"key\":");
            object(&mut out, *table, Some(delta.key(*table)));
            // Absent where nobody looked.
            if let Some(before) = before {
                out.push_str(",\"before\":");
                object(&mut out, *table, before.as_deref());
            }
            out.push_str(",\"after\":");
            object(&mut out, *table, after.map(Vec::as_slice));
            out.push('}');
        }
    }
    out.push_str("],\"restated\":[");
    let mut between = Between::default();
    for restated in told.seen.restated.iter().filter(|restated| is_wanted(&restated.table)) {
        between.write(&mut out);
        of_table(&mut out, restated.table, if restated.after.is_some() { "upsert" } else { "delete" });
        for (name, row) in
            [("key", Some(&restated.key)), ("before", restated.before.as_ref()), ("after", restated.after.as_ref())]
        {
            write!(out, ",\"{name}\":").expect("a String takes everything");
            object(&mut out, restated.table, row.map(Vec::as_slice));
        }
        write!(out, ",\"late_ms\":{}}}", restated.late_ms).expect("a String takes everything");
    }
    write!(out, "],\"restated_left\":{}}}", told.seen.restated_left).expect("a String takes everything");
    out
}

/// A correction: of its row the columns that differ.
pub(super) fn correction(out: &mut String, correction: &Correction) {
    let Correction { epoch, clock_ms, restated } = correction;
    let Restated { table, key, late_ms, .. } = restated;
    write!(out, "{{\"epoch\":{epoch},\"committed_at\":").expect("a String takes everything");
    cells::text(out, &instant::show(*clock_ms));
    out.push_str(",\"table\":");
    cells::text(out, table.name());
    out.push_str(",\"key\":");
    object(out, *table, Some(key));
    out.push_str(",\"columns\":{");
    let mut between = Between::default();
    let null = Value::Null;
    for (place, before, after) in restated.columns() {
        between.write(out);
        let name = table.table().columns.get(place).map_or("", |column| column.name);
        cells::text(out, name);
        out.push_str(":{\"before\":");
        cells::write(out, before.unwrap_or(&null));
        out.push_str(",\"after\":");
        cells::write(out, after.unwrap_or(&null));
        out.push('}');
    }
    write!(out, "}},\"late_ms\":{late_ms}}}").expect("a String takes everything");
}

/// A comma before all but the first.
#[derive(Default)]
struct Between(bool);

impl Between {
    fn write(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.0, true) {
            out.push(',');
        }
    }
}

fn of_table(out: &mut String, table: TableId, op: &str) {
    out.push_str("{\"table\":");
    cells::text(out, table.name());
    write!(out, ",\"op\":\"{op}\"").expect("a String takes everything");
}

/// A row, or the beginning of one, by the names of its columns; null if there is none.
fn object(out: &mut String, table: TableId, row: Option<&[Value]>) {
    let Some(row) = row else { return out.push_str("null") };
    out.push('{');
    let mut between = Between::default();
    for (column, value) in table.table().columns.iter().zip(row) {
        between.write(out);
        cells::text(out, column.name);
        out.push(':');
        cells::write(out, value);
    }
    out.push('}');
}
