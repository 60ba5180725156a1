//! Rows of a metric, as what another one is computed of.

use dataflows::declared::plan::{Column, Family, Metric};

/// A family whose events are the rows of a metric, for those that read them.
pub(super) fn of(metric: &Metric, family: &Family) -> Family {
    let columns = metric.outputs.iter().map(|output| Column {
        name: output.name.clone(),
        doc: output.doc.clone(),
        ty: output.value.ty,
        nullable: output.value.nullable,
        is_personal: false,
    });
    Family {
        name: metric.name.clone(),
        doc: metric.doc.clone(),
        columns: columns.collect(),
        time: metric.times().first().copied().unwrap_or(0),
        person: metric.person_of_rows(family.person),
        once: None,
        metrics: Vec::new(),
    }
}
