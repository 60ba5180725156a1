//! What is wrong with a text whose words are all known, and what its plan is.

use super::super::print;
use super::super::types::{compile, compile_over};
use super::{STORE, plan, store, things};
use dataflows::declared::plan::{What, Window};

/// What is said of a text, without its lines.
fn said(text: &str) -> Vec<String> {
    match plan("top", text) {
        Ok(_) => Vec::new(),
        Err(said) => {
            let lines = said.lines().filter(|line| line.starts_with("model/"));
            lines.map(|line| line.trim_start_matches("model/top.sql:").to_owned()).collect()
        }
    }
}

fn with(expr: &str) -> String {
    format!("-- Rows.\nSELECT date_trunc('day', t) AS day, {expr} AS y FROM things GROUP BY day")
}

#[test]
fn expressions_that_mean_nothing_say_so() {
    for (expr, expected) in [
        ("w", "`w` is neither grouped by nor aggregated: a group has many of it."),
        ("max(words)", "`things` has no column `words`."),
        ("maxx(w)", "`maxx` is no function that a metric can have."),
        ("sum(w)", "`sum` takes a number, and this is a text."),
        ("sum(a + w)", "numbers are computed with, and this is a text."),
        ("sum(a / b)", "a quotient is rounded once, and you say how."),
        ("round(sum(a) / sum(b), 2)", "this may be 0, and nothing is divided by 0."),
        ("round(sum(a) / count(a), 2)", "this may be 0, and nothing is divided by 0."),
        ("round(sum(a) / count(*) FILTER (WHERE x), 2)", "this may be 0, and nothing is divided by 0."),
        ("round(sum(a) / 0, 2)", "this may be 0, and nothing is divided by 0."),
        ("round(sum(a))", "`round` is told how many decimals stay."),
        ("sum(a % b)", "what is left is of a division by something that may be 0, or below."),
        ("sum(a % -2)", "what is left is of a division by something that may be 0, or below."),
        ("sum(m * m)", "this has 4 decimals, and a column 0, 2 or 3."),
        ("sum(d * d * d * d)", "this product has 12 decimals, and a number at most 9."),
        ("count(*) FILTER (WHERE a)", "a condition is expected, and this is a whole number."),
        ("count(*) FILTER (WHERE a = 'x')", "a text stands beside a whole number."),
        ("count(*) FILTER (WHERE t > '2019-10-01')", "a text stands beside an instant."),
        ("count(*) FILTER (WHERE a = NULL)", "nothing is equal to null, nor less or more."),
        ("count(*) FILTER (WHERE a IN (1, NULL))", "null is in no list: a value is never equal to it."),
        ("count(*) FILTER (WHERE a IN (b))", "a list behind IN holds values, and this is computed."),
        ("count(*) FILTER (WHERE count(*) > 1)", "`count` is of a group, and FILTER is of one event."),
        ("sum(max(a))", "`max` is of a group, and what is aggregated is of one event."),
        ("max(x)", "`max` takes a number, an instant or a text, and this is a condition."),
        ("min_by(a, b)", "`min_by` is by an instant, and this is a whole number."),
        ("sum(DISTINCT a)", "`sum` takes other arguments."),
        ("sum(*)", "`sum` takes other arguments."),
        ("max(t - u)", "how long it is between two instants is counted in a unit."),
        ("max(interval '1 hour')", "an interval is only added to an instant, or taken off."),
        ("min(date_trunc('year', t))", "`date_trunc` has no such unit."),
        ("min(time_bucket(interval '7 minutes', t))", "windows of this width do not divide a day"),
        ("max(substr(w, 0))", "a whole number is expected here, 1 or more."),
        ("max(CASE WHEN x THEN a ELSE w END)", "a text stands beside a whole number."),
        ("max(CASE WHEN x THEN NULL END)", "nothing here says of what type this null is."),
        ("9223372036854775808", "`9223372036854775808` has more digits than a number has here."),
        ("max(m + 92233720368547758080)", "has more digits than a number has here."),
        ("max(m + 922337203685477580)", "this number is too large beside one with more decimals."),
        ("coalesce(count(*) FILTER (WHERE x), 'none')", "a text stands beside a whole number."),
    ] {
        let all = said(&with(expr));
        assert!(all.len() == 1 && all[0].contains(expected), "{expr}: {all:?}");
    }
}

#[test]
fn a_table_that_cannot_be_says_so() {
    for (text, expected) in [
        (
            "SELECT b AS k FROM things GROUP BY k",
            vec!["the metric does not say what a row of it is", "is kept for ever"],
        ),
        (
            "-- Rows.\nSELECT b AS k FROM things GROUP BY k",
            vec!["a key without a window of the event's time is kept for ever."],
        ),
        (
            "-- Rows. Kept for ever.\nSELECT a AS k FROM things GROUP BY k",
            vec!["a key is never null, and this may be."],
        ),
        (
            "-- Rows. Kept for ever.\nSELECT b + 1 AS k FROM things GROUP BY k",
            vec!["a key is never null, and this may be."],
        ),
        (
            "-- Rows.\nSELECT date_trunc('day', t - interval '4 hours') AS day FROM things GROUP BY day",
            vec!["a window of the time that was moved is not when an event can still come."],
        ),
        (
            "-- Rows.\nSELECT date_trunc('day', t) AS a FROM things GROUP BY a",
            vec!["the name `a` hides a column of `things`"],
        ),
        (
            "-- Rows.\nSELECT date_trunc('day', t) AS day, count(*) AS n, sum(b) AS N FROM things GROUP BY day",
            vec!["two columns are called `n`."],
        ),
        ("-- Rows.\nSELECT date_trunc('day', t) AS _day FROM things GROUP BY _day", vec!["begins with `_`"]),
        ("-- Rows.\nSELECT date_trunc('day', t) AS at FROM things GROUP BY at", vec!["is a word of SQL"]),
        ("-- Rows.\nSELECT date_trunc('day', t) AS \"Day\" FROM things GROUP BY 1", vec!["is no name"]),
        (
            "-- Rows.\nSELECT date_trunc('day', t) AS day, count(*) FROM things GROUP BY day",
            vec!["this column has no name."],
        ),
        (
            "-- Rows.\nSELECT count(*) AS n, date_trunc('day', t) AS day FROM things GROUP BY day",
            vec!["the columns that are grouped by come first"],
        ),
        (
            "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things GROUP BY day, b",
            vec!["`b` is grouped by and not selected"],
        ),
        ("-- Rows.\nSELECT date_trunc('day', t) AS day FROM things GROUP BY dya", vec!["SELECT has no column `dya`."]),
        ("-- Rows.\nSELECT date_trunc('day', t) AS day FROM things GROUP BY 2", vec!["SELECT has no column 2."]),
        ("-- Rows.\nSELECT date_trunc('day', t) AS day FROM things GROUP BY 1, day", vec!["this is grouped by twice."]),
        ("-- Rows.\nSELECT date_trunc('day', t) AS day FROM thing GROUP BY day", vec!["there are no events `thing`."]),
        (
            "-- Rows. Kept for ever.\nSELECT b, is_final() FROM things GROUP BY b",
            vec!["a row without a window of the event's time is never final."],
        ),
        (
            "-- Rows.\nSELECT date_trunc('day', t) AS day, sum(w) AS x1, max(y) AS x2, lower(w) AS x3 FROM things WHERE a GROUP BY day",
            vec!["a condition is expected", "`sum` takes a number", "no column `y`", "`lower()`"],
        ),
        (
            "-- Rows.\nSELECT date_trunc('day', event_time) AS day, sum(user_id) AS x FROM store_events GROUP BY day",
            vec!["`user_id` says whom an event is of"],
        ),
        (
            "-- Rows.\nSELECT date_trunc('day', event_time) AS day, count(*) AS x FROM store_events WHERE user_id = 5 GROUP BY day",
            vec!["`user_id` says whom an event is of"],
        ),
    ] {
        let all = said(text);
        let mut rest = all.clone();
        for expected in &expected {
            let place =
                rest.iter().position(|said| said.contains(expected)).unwrap_or_else(|| panic!("{text}: {all:?}"));
            rest.remove(place);
        }
        assert!(rest.is_empty(), "{text}: {rest:?}");
    }
}

#[test]
fn a_column_that_may_differ_where_an_event_counts_once_is_not_read() {
    let mut family = store();
    family.once.iter_mut().for_each(|once| once.of = vec![1, 2]);
    let text = "-- Rows.\nSELECT date_trunc('day', event_time) AS day, max(brand) AS b FROM store_events GROUP BY day";
    let mistakes = compile("top", text, &[family]).expect_err("a mistake");
    assert!(
        mistakes[0].what.contains("`brand` is not one of the columns by which an event counts once"),
        "{mistakes:?}"
    );
}

#[test]
fn comments_are_the_docs() {
    let text = "-- One row per day:\n-- what happened.\nSELECT date_trunc('day', t) AS day, -- The day,\n   -- UTC.\n  \
                -- How many\n  count(*) AS n, /* all */ sum(b)\n  AS total -- In all.\nFROM things -- nothing\nGROUP BY day";
    let (_, metric) = plan("top", text).expect("a plan");
    let docs: Vec<_> = metric.outputs.iter().map(|output| output.doc.as_str()).collect();
    assert_eq!(metric.doc, "One row per day: what happened.");
    assert_eq!(docs, ["The day, UTC. How many", "all", "In all."]);
    let above = "-- Days.\nSELECT\n  -- The day.\n  date_trunc('day', t) AS day,\n\n  -- How many.\n  count(*) AS n\nFROM things GROUP BY 1";
    let (_, metric) = plan("top", above).expect("a plan");
    assert_eq!(metric.outputs.iter().map(|output| output.doc.as_str()).collect::<Vec<_>>(), ["The day.", "How many."]);
}

#[test]
fn the_metrics_of_a_store_have_their_plans() {
    for (name, text) in STORE {
        let (_, metric) = plan(name, text).expect("a plan");
        assert!(metric.outputs.iter().all(|output| output.doc.ends_with('.')), "{name}");
        let (keys, leaves) = match name {
            "customer_lifetime_value" => (1, vec![]),
            "daily_revenue" => (1, vec![(0, Window::Width(86_400_000))]),
            "product_sales" => (2, vec![(1, Window::Width(300_000))]),
            "customer_daily_metrics" => (2, vec![(1, Window::Width(86_400_000))]),
            _ => (2, vec![(0, Window::Width(86_400_000))]),
        };
        assert_eq!((metric.keys.len(), metric.leaves), (keys, leaves), "{name}");
    }
}

#[test]
fn firsts_of_one_time_are_one_aggregate_unless_they_may_be_null() {
    let text = with("min_by(w, t) AS first_w, min_by(s, t) AS first_s, count(*) AS n, min_by(b, t)");
    let (_, metric) = plan("top", &text).expect("a plan");
    let sizes: Vec<_> = metric.aggregates.iter().map(|aggregate| aggregate.what.slots()).collect();
    assert_eq!(sizes, [2, 1, 1]);
    assert!(matches!(metric.aggregates[2].what, What::Count(None)));
}

#[test]
fn a_print_is_of_what_is_computed() {
    let of = |text: &str| {
        let (family, metric) = plan("top", text).expect("a plan");
        print::of(&family, &metric)
    };
    let first = of(&with("sum(m)"));
    assert_eq!(first, of(&with("\n  SUM( m ) -- how much\n")));
    for other in ["sum(d)", "sum(m) FILTER (WHERE x)", "max(m)"] {
        assert_ne!(first, of(&with(other)), "{other}");
    }
    let text = with("sum(m)");
    let (_, metric) = compile("top", &text, &[things()]).expect("a plan");
    let mut family = things();
    family.columns[7].name = "another".to_owned();
    assert_eq!(print::of(&family, &metric), first);
    family.columns[4].name = "amount".to_owned();
    assert_ne!(print::of(&family, &metric), first);
}

#[test]
fn rows_of_a_metric_are_read_as_events_are_but_for_what_only_events_have() {
    let visits = "-- Visits.\nSELECT user_id AS who, session(event_time, interval '1 hour') AS started, count(*) AS n FROM \
                  store_events GROUP BY who, started";
    let days = "-- Days.\nSELECT date_trunc('day', event_time) AS day, user_id AS who, count(*) AS n FROM store_events \
                GROUP BY day, who";
    let kinds = "-- Kinds. Kept for ever.\nSELECT brand, count(*) AS n FROM store_events GROUP BY brand";
    let over = |texts: &[(&str, &str)]| {
        let all = texts.iter().map(|(name, text)| compile(name, text, &[store()]).expect("a metric"));
        all.collect::<Vec<_>>()
    };
    let near = "-- Near.\nSELECT date_trunc('day', event_time) AS day, count(*) FILTER (WHERE event_time < watermark()) AS n FROM \
                store_events GROUP BY day";
    let mut metrics = over(&[("visits", visits), ("days", days), ("kinds", kinds), ("near", near)]);
    let by_week = "-- Weeks.\nSELECT date_trunc('week', day) AS week, count(DISTINCT who) AS users, is_final() FROM days GROUP BY week";
    let (_, weeks) = compile_over("weeks", by_week, &[store()], &metrics).expect("a metric");
    assert_eq!(weeks.inner().map(|inner| inner.name.as_str()), Some("days"));
    assert_eq!(weeks.leaves, [(0, Window::Week)]);
    metrics.push((0, weeks));
    let said = |select: &str, from: &str, group: &str| {
        let text = format!("-- Rows.\nSELECT {select} FROM {from} GROUP BY {group}");
        let mistakes = compile_over("top", &text, &[store()], &metrics).expect_err(&text);
        mistakes
            .into_iter()
            .map(|mistake| format!("{} {}", mistake.what, mistake.instead))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for (select, from, group, what) in [
        ("date_trunc('day', day) AS again, sum(n) AS n", "near", "again", "the rows of `near` come and go"),
        (
            "date_trunc('day', started) AS day, is_final()",
            "visits",
            "day",
            "when rows of sessions are final is not known",
        ),
        (
            "who, session(started, interval '1 hour') AS s",
            "visits",
            "who, s",
            "sessions are of events, and this reads rows.",
        ),
        (
            "date_trunc('day', started) AS d, funnel(n > 1) AS f",
            "visits",
            "d",
            "a funnel is of events, and this reads rows.",
        ),
        ("n, count(*) AS many", "visits", "n", "Group by a window of it, such as `date_trunc('day', started)`; or end"),
        ("n, count(*) AS many", "kinds", "n", "End the comment before SELECT with: Kept for ever."),
        (
            "date_trunc('month', week) AS m, sum(users) AS u",
            "weeks",
            "m",
            "is computed of the rows of `days`: there is no third level.",
        ),
        ("date_trunc('day', started) AS d, max(who) AS w", "visits", "d", "`who` says whom an event is of"),
        ("date_trunc('day', started) AS d, max(nobody) AS w", "visits", "d", "`visits` has no column `nobody`."),
    ] {
        let said = said(select, from, group);
        assert!(said.contains(what), "{select}: {said}");
    }
}

#[test]
fn the_summary_of_the_language_is_in_the_language() {
    use super::super::language::SUMMARY;
    let example: String = SUMMARY
        .lines()
        .skip_while(|line| !line.starts_with("  --"))
        .take_while(|line| !line.is_empty())
        .map(|line| format!("{}\n", &line[2..]))
        .collect();
    plan("revenue_by_brand", &example).unwrap_or_else(|said| panic!("{said}"));
    for expr in [
        "round(sum(m) / count(DISTINCT w), 2)",
        "min(date_trunc('month', t))",
        "max(t + interval '1 hour')",
        "date_diff('second', min(t), max(t))",
        "round(avg(a), 2)",
        "max_by(w, t)",
        "max(substr(w, 1, 3))",
        "CASE WHEN count(*) > 3 THEN 'many' ELSE 'few' END",
        "count(DISTINCT a) FILTER (WHERE s NOT LIKE 'a%')",
        "funnel(a > 0, b > 0, x)",
        "funnel(w = 'a', w = 'b' AND b = 1, x)",
        "coalesce(max(a) = 1, FALSE)",
    ] {
        plan("top", &with(expr)).unwrap_or_else(|said| panic!("{said}"));
    }
    let session = "-- One row per visit.\nSELECT b, session(t, interval '30 minutes') AS started, is_final() FROM things \
                   GROUP BY b, started";
    plan("visits", session).unwrap_or_else(|said| panic!("{said}"));
    assert!(SUMMARY.lines().all(|line| line.chars().count() <= 120));
}
