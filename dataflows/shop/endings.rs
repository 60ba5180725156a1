//! When the windows of the shop's metrics end.

use super::metrics::{checkouts, movie_sales_metrics, registrations, session_metrics};
use crate::family::Ending;
use crate::table::{TableId, Value};
use crate::time::{DAY_MS, Instant};
use crate::window::WIDTH_MS;

/// When those of a table end; nothing of a table without windows.
pub(super) fn ending(id: TableId) -> Option<Ending> {
    let is = |metrics: &[TableId]| metrics.contains(&id);
    let end: fn(&[Value]) -> Option<Instant> = match () {
        () if is(&[registrations::USER_REGISTRATION_METRICS.table, checkouts::CHECKOUT_METRICS.table]) => {
            |key| Some(start(key, 1)? + WIDTH_MS)
        }
        // What is known of a minute boundary is what happened up to it.
        () if is(&[session_metrics::SESSION_METRICS.table]) => |key| start(key, 0),
        () if is(&[movie_sales_metrics::MOVIE_SALES_METRICS.table]) => {
            |key| Some(start(key, 2)? + period(key.get(1)?)?)
        }
        () => return None,
    };
    let of_watermark = |(place, column): (usize, &crate::table::Column)| (column.name == "is_final").then_some(place);
    let of_watermark = id.table().columns.iter().enumerate().filter_map(of_watermark).collect();
    Some(Ending { of_key: Box::new(end), of_row: None, of_watermark })
}

fn start(key: &[Value], place: usize) -> Option<Instant> {
    if let Some(Value::Instant(start)) = key.get(place) { Some(*start) } else { None }
}

/// How long a period of sales is; nothing of all time, which never ends.
fn period(kind: &Value) -> Option<i64> {
    let Value::Text(kind) = kind else { return None };
    match kind.as_str() {
        "daily" => Some(DAY_MS),
        "weekly" => Some(7 * DAY_MS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_when_they_are_over_and_all_time_never_does() {
        let text = |text: &str| Value::Text(text.to_owned());
        let end = |id: TableId, key: &[Value]| ending(id).expect("it has windows").end(key, None);
        let registrations = registrations::USER_REGISTRATION_METRICS.table;
        assert_eq!(end(registrations, &[text("sliding"), Value::Instant(900_000)]), Some(900_000 + WIDTH_MS));
        assert_eq!(ending(registrations).expect("it has windows").of_watermark, [4]);
        assert_eq!(end(session_metrics::SESSION_METRICS.table, &[Value::Instant(60_000)]), Some(60_000));
        let sales = |kind: &str| {
            end(movie_sales_metrics::MOVIE_SALES_METRICS.table, &[text("7"), text(kind), Value::Instant(0)])
        };
        assert_eq!([sales("daily"), sales("weekly"), sales("cumulative")], [Some(DAY_MS), Some(7 * DAY_MS), None]);
        assert!(ending(crate::shop::metrics::users::USERS.table).is_none());
    }
}
