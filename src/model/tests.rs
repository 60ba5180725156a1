//! Texts of SQL, from the words to the rows.

mod dice;
mod drawn;
mod endings;
mod fuzz;
mod naive;
mod random;
mod refused;
mod rows;
mod second;
mod typed;

use super::messages::shown;
use super::types::compile;
use dataflows::declared::plan::{Column, Family, Metric, Once, Type};

/// The metrics of a web store, as users write them.
const STORE: [(&str, &str); 6] = [
    ("customer_daily_metrics", include_str!("../../model/store/customer_daily_metrics.sql")),
    ("customer_lifetime_value", include_str!("../../model/store/customer_lifetime_value.sql")),
    ("daily_revenue", include_str!("../../model/store/daily_revenue.sql")),
    ("product_sales", include_str!("../../model/store/product_sales.sql")),
    ("revenue_by_brand", include_str!("../../model/store/revenue_by_brand.sql")),
    ("revenue_by_category", include_str!("../../model/store/revenue_by_category.sql")),
];

fn column(name: &str, ty: Type, nullable: bool) -> Column {
    Column { name: name.to_owned(), doc: String::new(), ty, nullable, is_personal: false }
}

/// Events of a web store.
fn store() -> Family {
    let columns = vec![
        column("event_type", Type::Text, false),
        column("event_time", Type::Instant, false),
        column("product_id", Type::Number(0), false),
        column("category_id", Type::Number(0), true),
        column("category_code", Type::Text, false),
        column("brand", Type::Text, false),
        column("price", Type::Number(2), false),
        column("user_id", Type::Number(0), false),
        column("user_session", Type::Text, false),
    ];
    let once = Some(Once { of: (0..columns.len()).collect() });
    let (name, doc) = ("store_events".to_owned(), "One row per accepted event.".to_owned());
    Family { name, doc, columns, time: 1, person: Some(7), once, metrics: Vec::new() }
}

/// Events of every type, with nulls and without.
fn things() -> Family {
    let columns = vec![
        column("t", Type::Instant, false),
        column("u", Type::Instant, true),
        column("a", Type::Number(0), true),
        column("b", Type::Number(0), false),
        column("m", Type::Number(2), true),
        column("d", Type::Number(3), false),
        column("s", Type::Text, true),
        column("w", Type::Text, false),
        column("x", Type::Boolean, true),
    ];
    let (name, doc) = ("things".to_owned(), "One row per thing.".to_owned());
    Family { name, doc, columns, time: 0, person: None, once: None, metrics: Vec::new() }
}

/// The plan of a text, or what is said of it.
fn plan(name: &str, text: &str) -> Result<(Family, Metric), String> {
    let families = [store(), things()];
    match compile(name, text, &families) {
        Ok((family, metric)) => Ok((families[family].clone(), metric)),
        Err(mistakes) => Err(shown(&format!("model/{name}.sql"), text, &mistakes)),
    }
}
