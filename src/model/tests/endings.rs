//! When rows of a metric have ended, by what its text says.

use super::super::types::compile_over;
use super::store;
use dataflows::declared::family::{Known, Made};
use dataflows::declared::plan::Family;
use dataflows::declared::reading::Reader;
use dataflows::family::Family as _;
use dataflows::table::Value;

/// When rows have ended of which nothing but a late event tells any more; nothing where nobody knows.
#[test]
fn a_row_has_ended_when_no_event_in_time_can_change_it() {
    const HOUR: i64 = 3_600_000;
    let at = |hours: i64| Value::Instant(hours * HOUR);
    let user = || Value::Text("7".to_owned());
    let days = "-- Days.\nSELECT date_trunc('day', event_time) AS day, user_id AS who, count(*) AS n, is_final() AS f FROM store_events \
                GROUP BY day, who";
    let open = "-- Hours that were bought in later.\nSELECT date_trunc('hour', event_time) AS hour, count(*) AS n FROM store_events AS e \
                WHERE EXISTS (SELECT 1 FROM store_events AS b WHERE b.user_id = e.user_id AND b.event_time >= e.event_time AND \
                b.event_time < e.event_time + interval '3 hours') GROUP BY hour";
    let visit = "SELECT user_id AS who, session(event_time, interval '2 hours') AS started, count(*) AS n";
    let visits = format!("-- Visits.\n{visit}, max(event_time) AS ended FROM store_events GROUP BY who, started");
    let unsaid = format!("-- Visits.\n{visit} FROM store_events GROUP BY who, started");
    let filtered = format!(
        "-- Visits.\n{visit}, max(event_time) FILTER (WHERE brand = 'a') AS ended FROM store_events GROUP BY who, started"
    );
    let shown = "-- Hours.\nSELECT date_trunc('hour', event_time) AS hour, count(*) AS n FROM store_events GROUP BY hour HAVING is_final()";
    let ever = "-- Kinds. Kept for ever.\nSELECT brand, count(*) AS n FROM store_events GROUP BY brand";
    let by_week = "-- Weeks.\nSELECT date_trunc('week', day) AS week, count(*) AS all_n FROM days GROUP BY week";
    let by_hour =
        "-- Hours of days.\nSELECT date_trunc('hour', day) AS hour, count(*) AS all_n FROM days GROUP BY hour";
    let finals =
        "-- Weeks.\nSELECT date_trunc('week', day) AS week, count(*) FILTER (WHERE f) AS all_n FROM days GROUP BY week";
    let of_visits = "-- Days.\nSELECT date_trunc('day', started) AS day, count(*) AS all_n FROM visits GROUP BY day";
    let of_shown = "-- Days.\nSELECT date_trunc('day', hour) AS day, count(*) AS all_n FROM shown GROUP BY day";
    let reader: &'static Reader = Box::leak(Box::default());
    let mut inner = Vec::new();
    let mut end = |name: &str, text: &str, row: &[Value]| {
        let (_, metric) =
            compile_over(name, text, &[store()], &inner).unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
        inner.push((0, metric.clone()));
        let known = vec![Known { sql: "", print: 1, inner: metric.inner().map(|_| 2) }];
        let family = Made::leaked(Family { metrics: vec![metric], ..store() }, known, reader);
        let table = family.tables()[0];
        let ending = family.ending(table)?;
        ending.end(&row[..table.table().key_columns], Some(row))
    };
    let of_day = [at(24), user(), Value::Integer(1), Value::Boolean(false)];
    assert_eq!(end("days", days, &of_day), Some(48 * HOUR));
    assert_eq!(
        end("open", open, &[at(5), Value::Integer(1)]),
        Some((6 + 3) * HOUR),
        "what answers comes up to three hours later"
    );
    let of_visit = [user(), at(5), Value::Integer(3), at(7)];
    assert_eq!(end("visits", &visits, &of_visit), Some((7 + 2) * HOUR), "a gap after its last event");
    assert_eq!(end("unsaid", &unsaid, &of_visit[..3]), None);
    assert_eq!(end("filtered", &filtered, &of_visit), None);
    assert_eq!(end("shown", shown, &[at(5), Value::Integer(1)]), None);
    assert_eq!(end("ever", ever, &[user(), Value::Integer(1)]), None);
    // 1970 began on a Thursday.
    assert_eq!(end("by_week", by_week, &[at(-3 * 24), Value::Integer(1)]), Some(4 * 24 * HOUR));
    assert_eq!(
        end("by_hour", by_hour, &[at(0), Value::Integer(1)]),
        Some(24 * HOUR),
        "the day that begins then ends later"
    );
    assert_eq!(end("finals", finals, &[at(0), Value::Integer(1)]), None);
    assert_eq!(end("of_visits", of_visits, &[at(0), Value::Integer(1)]), None);
    assert_eq!(end("of_shown", of_shown, &[at(0), Value::Integer(1)]), None);
}
