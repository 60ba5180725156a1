//! A model that changes between two runs, by the program as it is used.

use crate::model::{event, folder, has, put, says, store};
use std::collections::BTreeMap;
use std::path::Path;

const RUN: [&str; 4] = ["run", "events.jsonl", "--set", "feed.path=feed"];

/// The rows of a table with the epoch in which each was written.
fn rows(folder: &Path, table: &str) -> Vec<(String, i64)> {
    let warehouse = rusqlite::Connection::open(folder.join("deltamart.db")).expect("opens");
    let mut columns = warehouse.prepare(&format!("SELECT * FROM \"{table}\" LIMIT 0")).expect("SQL");
    let names: Vec<_> = columns.column_names().filter(|name| !name.starts_with('_')).collect();
    let all = names.iter().map(|name| format!("quote(\"{name}\")")).collect::<Vec<_>>().join(" || ' ' || ");
    let sql = format!("SELECT {all}, \"_epoch\" FROM \"{table}\" ORDER BY 1");
    drop(columns.query([]).expect("SQL"));
    let mut statement = warehouse.prepare(&sql).expect("SQL");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

/// Each change is followed by a run, in which the other tables stay as they are to the byte; and then by events.
#[test]
fn one_file_changes_and_one_table_is_computed_again() {
    let folder = store();
    let at = folder.path();
    says(at, 0, &RUN);
    let per_hour = "-- One row per hour.\nSELECT date_trunc('hour', event_time) AS hour, count(*) AS n FROM store_events GROUP BY hour";
    let per_kind = "-- One row per hour and kind.\nSELECT date_trunc('hour', event_time) AS hour, event_type AS kind, max(price) AS dearest FROM store_events GROUP BY hour, kind";
    let per_day = "-- One row per day.\nSELECT date_trunc('day', event_time) AS day, sum(price) AS paid FROM store_events GROUP BY day";
    type Files<'f> = &'f [(&'f str, &'f str)];
    let visits = "-- One row per product and visit.\nSELECT product_id, session(event_time, interval '1 hour') AS started, funnel(event_type = 'view', event_type = 'purchase') AS reached FROM store_events GROUP BY product_id, started";
    let longer = visits.replace("1 hour", "3 hours");
    let visits_by_day = "-- One row per day and how far visits went.\nSELECT date_trunc('day', started) AS day, reached, count(*) AS visits, max(product_id) AS largest FROM one GROUP BY day, reached";
    let more_by_day = visits_by_day.replace("max(", "min(");
    let steps: [(Files<'_>, &[&str]); 12] = [
        (&[("one", per_hour)], &["one: 2 rows computed of 5 raw rows, at epoch"]),
        (&[("one", per_kind)], &["one: ", "written"]),
        (&[("one", per_kind), ("other", per_day)], &["other: "]),
        (&[("one", per_day), ("other", per_kind)], &["one: ", "other: "]),
        (&[("renamed", per_day), ("other", per_kind)], &["renamed: "]),
        (&[("other", per_kind)], &[]),
        (&[("one", per_hour), ("other", per_kind)], &["one: "]),
        // One that reads the rows of the other: these are kept once, whoever wants them, and it changes with them.
        (&[("one", visits), ("other", visits_by_day)], &["one: ", "other: "]),
        (&[("one", visits), ("other", &more_by_day)], &["other: "]),
        (&[("one", visits)], &[]),
        (&[("one", visits), ("other", visits_by_day)], &["other: "]),
        (&[("one", &longer), ("other", visits_by_day)], &["one: ", "other: "]),
    ];
    let mut lines = std::fs::read_to_string(at.join("events.jsonl")).expect("readable");
    for (minute, (files, changed)) in (800..).step_by(7).zip(steps) {
        for name in ["one", "other", "renamed"] {
            let path = format!("model/{name}.sql");
            match files.iter().find(|(file, _)| *file == name) {
                Some((_, text)) => put(at, &path, text),
                None => drop(std::fs::remove_file(at.join(path))),
            }
        }
        let others = ["product_sales", "daily_revenue", "customer_lifetime_value", "store_events"];
        let before: BTreeMap<_, _> = others.iter().map(|table| (*table, rows(at, table))).collect();
        let text = says(at, 0, &RUN);
        has(&text, changed);
        assert_eq!(
            text.matches(" computed of ").count(),
            changed.iter().filter(|part| part.contains(": ")).count(),
            "{text}"
        );
        for (table, before) in before {
            assert_eq!(rows(at, table), before, "{table}");
        }
        has(&says(at, 0, &["verify"]), &[&format!("{}: ", files[0].0)]);
        has(&says(at, 0, &RUN), &["nothing new"]);
        // It goes on as if it had always been there; what is late corrects it.
        lines.push_str(&[event(minute, "purchase", 9, "2.50", 4), event(minute - 200, "view", 9, "2.50", 4)].concat());
        put(at, "events.jsonl", &lines);
        says(at, 0, &RUN);
        says(at, 0, &["verify"]);
    }
}

/// What may be of an event changes from now on; what was read before is as it was, also where it is read again.
#[test]
fn what_a_column_takes_may_change_and_a_column_may_be_added() {
    let folder = store();
    let at = folder.path();
    let path = "model/store_events.toml";
    let toml = std::fs::read_to_string(at.join(path)).expect("readable");
    // Where repeated events count once by all columns, another column is another event.
    let toml = toml.replace("once   = \"everything\"", "");
    put(at, path, &toml);
    says(at, 0, &RUN);
    let mut lines = std::fs::read_to_string(at.join("events.jsonl")).expect("readable");
    put(at, path, &toml.replace("[\"view\", ", "[\"dance\", \"view\", "));
    let before = rows(at, "store_events");
    has(&says(at, 0, &RUN), &["nothing new"]);
    assert_eq!(rows(at, "store_events"), before);
    lines.push_str(&event(802, "dance", 8, "5", 2));
    put(at, "events.jsonl", &lines);
    has(&says(at, 0, &RUN), &["1 record"]);
    assert_eq!(rows(at, "store_events").len(), before.len() + 1);
    let grown =
        format!("{toml}\n[columns.coupon]\ntype = \"text\"\nnull = true\ndoc = \"The coupon; null without.\"\n");
    put(at, path, &grown);
    has(&says(at, 0, &RUN), &["nothing new"]);
    let line = event(803, "purchase", 8, "5", 2).replace("\"price\"", "\"coupon\":\"spring\",\"price\"");
    lines.push_str(&line);
    put(at, "events.jsonl", &lines);
    says(at, 0, &RUN);
    let per_coupon = "-- One row per day and coupon.\nSELECT date_trunc('day', event_time) AS day, coalesce(coupon, 'none') AS voucher, count(*) AS n FROM store_events GROUP BY day, voucher";
    put(at, "model/coupons.sql", per_coupon);
    has(&says(at, 0, &RUN), &["coupons: 2 rows computed of"]);
    has(&says(at, 0, &["show", "coupons"]), &["\"voucher\":\"none\",\"n\":6", "\"voucher\":\"spring\",\"n\":1"]);
    says(at, 0, &["verify"]);
    // No metric is in the way: what is refused is the change of the events.
    for file in std::fs::read_dir(at.join("model")).expect("a folder").map(|file| file.expect("a file").path()) {
        if file.extension().is_some_and(|extension| extension == "sql") {
            std::fs::remove_file(file).expect("removes");
        }
    }
    says(at, 0, &RUN);
    for (changed, part) in [
        (grown.replace("null = true\ndoc = \"The coupon", "doc = \"The coupon"), "column `coupon` of `store_events`"),
        (grown.replace("type    = \"money\"", "type    = \"integer\""), "column `price` of `store_events`"),
        (grown.replace("person = \"user_id\"", "person = \"none\""), "whose an event of `store_events` is"),
        (toml.clone(), "column `coupon` of `store_events`"),
    ] {
        assert_ne!(changed, grown);
        put(at, path, &changed);
        has(&says(at, 2, &RUN), &[part, "--rebuild"]);
    }
    put(at, path, &grown);
    has(&says(at, 0, &RUN), &["nothing new"]);
}

/// What raw rows do not tell any more is said, and nothing is changed; or it begins where they begin.
#[test]
fn a_new_table_begins_where_raw_rows_begin() {
    let folder = store();
    let at = folder.path();
    let days = |minutes: u32, day: u32| {
        let line = event(minutes, "purchase", 7, "1", 1);
        line.replace("2019-10-01", &format!("2019-10-{day:02}"))
    };
    let lines: Vec<_> = (1..20).map(|day| days(600 + day, day)).collect();
    let run = ["run", "events.jsonl", "--set", "retention.raw=5d", "--set", "retention.late=5d"];
    for read in [15, lines.len()] {
        put(at, "events.jsonl", &lines[..read].concat());
        says(at, 0, &run);
    }
    let (all, raw) = (rows(at, "daily_revenue").len(), rows(at, "store_events").len());
    assert!((3..15).contains(&raw) && all == 19, "{raw} of {all}");
    put(
        at,
        "model/per_day.sql",
        "-- One row per day.\nSELECT date_trunc('day', event_time) AS day, count(*) AS n FROM store_events GROUP BY day",
    );
    has(&says(at, 0, &run), &["per_day: ", ", whole from 2019-10-09T10:14:00.000Z on"]);
    has(&says(at, 0, &["status"]), &["  whole    per_day: from 2019-10-09T10:14:00.000Z on"]);
    let kept = rows(at, "per_day").len();
    assert!((3..12).contains(&kept), "{kept}");
    let per_user =
        "-- One row per user. Kept for ever.\nSELECT user_id, count(*) AS n FROM store_events GROUP BY user_id";
    put(at, "model/per_user.sql", per_user);
    has(&says(at, 2, &run), &["`per_user`", "[retention]", "--since-kept"]);
    says(at, 0, &[&run[..], &["--since-kept"]].concat());
    has(&says(at, 0, &["show", "per_user"]), &["\"user_id\":1,"]);
    // A table that is computed otherwise loses the rows that raw rows do not tell, or keeps them.
    let path = "model/daily_revenue.sql";
    let text = std::fs::read_to_string(at.join(path)).expect("readable");
    let other = text.replace("sum(price) AS revenue", "sum(price) + 1 AS revenue");
    assert_ne!(text, other);
    put(at, path, &other);
    has(&says(at, 0, &[&run[..], &["--keep-old"]].concat()), &["daily_revenue: "]);
    assert_eq!(rows(at, "daily_revenue").len(), all);
    put(at, path, &text);
    has(&says(at, 2, &run), &["`daily_revenue`", " rows of before", "--keep-old", "--delete-old"]);
    has(&says(at, 0, &[&run[..], &["--delete-old"]].concat()), &["daily_revenue: ", " deleted"]);
    assert!(rows(at, "daily_revenue").len() < all);
    // What comes goes on in all of them.
    put(at, "events.jsonl", &[lines.concat(), days(700, 19), days(701, 20)].concat());
    says(at, 0, &run);
    has(&says(at, 0, &["show", "per_day"]), &["\"day\":\"2019-10-19T00:00:00.000Z\",\"n\":2", "2019-10-20"]);
}

/// A metric over the shop's own events is added when there are such events, repeated ones too; so is a second one that reads
/// other events.
#[test]
fn a_metric_of_the_movie_shops_events_is_added_later() {
    let folder = folder(&[]);
    let at = folder.path();
    let event = |name: &str, minute: u32, user: u32, rest: &str| {
        format!(
            "{{\"event_name\":\"{name}\",\"timestamp\":\"2026-01-05T10:{minute:02}:00Z\",\"user_id\":{user}{rest}}}\n"
        )
    };
    let view = event("item_view", 3, 7, ",\"item_id\":\"5\"");
    let mut lines = [event("sign_in", 1, 7, ""), event("sign_in", 1, 7, ""), view.clone(), view.clone()].concat();
    put(at, "events.jsonl", &lines);
    let run = ["run", "events.jsonl", "--set", "events.once=everything"];
    says(at, 0, &run);
    let of = |table: &str| {
        format!(
            "-- One row per hour.\nSELECT date_trunc('hour', timestamp) AS hour, count(*) AS n FROM {table} GROUP BY hour"
        )
    };
    for (name, table) in [("signs", "consumer_events"), ("looks", "item_view_events")] {
        put(at, &format!("model/{name}.sql"), &of(table));
        has(&says(at, 0, &run), &[&format!("{name}: 1 row computed of ")]);
        has(&says(at, 0, &["show", name]), &["\"n\":1"]);
        // What comes again is known, whenever it came first.
        lines.push_str(&[event("sign_in", 1, 7, ""), view.clone()].concat());
        put(at, "events.jsonl", &lines);
        says(at, 0, &run);
        has(&says(at, 0, &["show", name]), &["\"n\":1"]);
        has(&says(at, 0, &["verify", "--set", "events.once=everything"]), &[&format!("{name}: 1 rows, 0 differ")]);
    }
}

/// Of somebody who was forgotten the raw rows are nobody's: a table that is computed of them has no row of either. Where they
/// were deleted, nothing can be computed of them.
#[test]
fn a_table_that_is_computed_after_somebody_was_forgotten_knows_nobody() {
    let per_user =
        "-- One row per user. Kept for ever.\nSELECT user_id, count(*) AS n FROM store_events GROUP BY user_id";
    let per_kind =
        "-- One row per kind. Kept for ever.\nSELECT event_type AS kind, count(*) AS n FROM store_events GROUP BY kind";
    for deletes_raw in [false, true] {
        let folder = store();
        let at = folder.path();
        says(at, 0, &RUN);
        let forget: &[&str] = if deletes_raw { &["forget", "2", "--delete-raw"] } else { &["forget", "2"] };
        says(at, 0, &[forget, &["--family", "store_events", "--set", "feed.path=feed"]].concat());
        put(at, "model/per_user.sql", per_user);
        put(at, "model/per_kind.sql", per_kind);
        if deletes_raw {
            has(&says(at, 2, &RUN), &["of users who were forgotten were deleted", "--rebuild"]);
            continue;
        }
        has(&says(at, 0, &RUN), &["per_user: 1 row computed of 5 raw rows", "per_kind: 2 rows computed of 5 raw rows"]);
        has(&says(at, 0, &["show", "per_user"]), &["\"user_id\":1,"]);
        // What nobody did counts.
        has(&says(at, 0, &["show", "per_kind", "--order", "kind"]), &["\"kind\":\"purchase\",\"n\":3,"]);
        says(at, 0, &["verify"]);
    }
}

/// What stands there in another shape cannot be looked through for somebody who is to be forgotten.
#[test]
fn nobody_is_forgotten_before_a_table_that_changed_is_computed() {
    let folder = store();
    let at = folder.path();
    says(at, 0, &RUN);
    let forget = ["forget", "2", "--family", "store_events", "--set", "feed.path=feed"];
    let text = "-- One row per user. Kept for ever.\nSELECT user_id, count(*) AS n FROM store_events GROUP BY user_id";
    put(at, "model/customer_lifetime_value.sql", text);
    has(&says(at, 2, &forget), &["`customer_lifetime_value`", "Start `run`"]);
    says(at, 0, &RUN);
    says(at, 0, &forget);
    assert_eq!(rows(at, "customer_lifetime_value").len(), 1);
    says(at, 0, &["verify"]);
}
