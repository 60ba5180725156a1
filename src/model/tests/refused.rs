//! Each thing that SQL has and the language has not: what is said, word by word.

use super::super::language::refusals::ALL;
use super::plan;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Whole texts, and expressions that stand as a column. `#` is where the others stand.
const TEXTS: &[&str] = &[
    "",
    "-- nothing",
    "CREATE TABLE a (b INTEGER)",
    "INSERT INTO things VALUES (1)",
    "VALUES (1)",
    "#; SELECT 1",
    "(SELECT a FROM things)",
    "FROM things SELECT a",
    "WITH x AS (SELECT 1) SELECT a FROM x GROUP BY a",
    "# UNION ALL SELECT a FROM things",
    "# ORDER BY day",
    "# LIMIT 5",
    "# FETCH FIRST 5 ROWS ONLY",
    "# FOR UPDATE",
    "# WINDOW w AS (PARTITION BY day)",
    "# QUALIFY row_number() OVER (PARTITION BY day) = 1",
    "-- Rows.\nSELECT DISTINCT date_trunc('day', t) AS day FROM things GROUP BY day",
    "-- Rows.\nSELECT * FROM things GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day INTO other FROM things GROUP BY day",
    "-- Rows.\nSELECT TOP 5 date_trunc('day', t) AS day FROM things GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things JOIN store_events ON a = user_id GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things, store_events GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM main.things GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things AS z (p, q) GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM range(5) GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things TABLESAMPLE BERNOULLI (5) GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things WITH (nolock) GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM (SELECT * FROM things) GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things PIVOT (sum(a) FOR w IN ('x')) GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE) GROUP BY day",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things GROUP BY ALL",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things GROUP BY ROLLUP (day)",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things GROUP BY date_trunc('day', t)",
    "-- Rows.\nSELECT date_trunc('day', t) AS day FROM things",
    "-- Rows.\nSELECT date_trunc('day', t) AS day,\n       row_number() OVER (PARTITION BY day ORDER BY sum(m) DESC) AS place\nFROM things GROUP BY day",
];

const SESSIONS: &[&str] = &[
    "session(t, interval '1 hour') AS started, b AS k",
    "b AS k, session(u, interval '1 hour') AS started",
    "b AS k, session(t, '1 hour') AS started",
    "b AS k, session(t, interval '0 seconds') AS started",
    "b AS k, session(t, interval '60 weeks') AS started",
    "b AS k, session(t, interval '1 hour', 3) AS started",
    "b AS k, session(date_trunc('day', t), interval '1 hour') AS started",
];

const EXPRESSIONS: &[&str] = &[
    "1e5",
    "$$a$$",
    "e'a\\n'",
    "x'41'",
    "$1",
    "count(*) FILTER (WHERE w = \"abc\")",
    "DATE '2019-10-01'",
    "TIMESTAMP '2019-10-01T00:00:00+02:00'",
    "min(t + interval '1 month')",
    "[1, 2]",
    "(1, 2)",
    "{'a': 1}",
    "w -> '$.a'",
    "store_events.a",
    "main.things.a",
    "CAST(a AS VARCHAR)",
    "a::INTEGER",
    "count(*) FILTER (WHERE x IS TRUE)",
    "count(*) FILTER (WHERE a = b = 1)",
    "count(*) FILTER (WHERE a = b IS NULL)",
    "count(*) FILTER (WHERE w ILIKE 'a')",
    "count(*) FILTER (WHERE w ~ 'a')",
    "count(*) FILTER (WHERE w SIMILAR TO 'a')",
    "count(*) FILTER (WHERE w LIKE 'a!%' ESCAPE '!')",
    "count(*) FILTER (WHERE w LIKE s)",
    "count(*) FILTER (WHERE a = ANY (ARRAY[1, 2]))",
    "count(*) FILTER (WHERE a IN (SELECT user_id FROM store_events))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM store_events z))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t >= things.t))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.t >= things.t AND z.t < things.t + interval '1 hour'))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t > things.t AND z.t < things.t))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t > things.t AND z.t < things.t + interval '60 weeks'))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t = things.t AND z.a < things.a))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t = things.t AND things.a = 1))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.a AND z.t = things.t))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t = things.t AND things.x))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t = things.t AND z.t < watermark()))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE EXISTS (SELECT 1 FROM things y WHERE y.t = z.t)))",
    "count(*) FILTER (WHERE EXISTS (SELECT z.a FROM things z WHERE z.w = things.w AND z.t = things.t GROUP BY 1))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z, things y WHERE z.w = things.w AND z.t = things.t))",
    "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t = things.t) OR EXISTS (SELECT 1 FROM things z WHERE z.s = things.s AND z.t = things.t))",
    "EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t = things.t)",
    "funnel(EXISTS (SELECT 1 FROM things z WHERE z.w = things.w AND z.t = things.t), x)",
    "count(*) FILTER (WHERE watermark() > u)",
    "count(*) FILTER (WHERE t = watermark())",
    "count(*) FILTER (WHERE t + interval '60 weeks' < watermark())",
    "max(t) < watermark()",
    "min(watermark())",
    "sum(a & 1)",
    "sum(a // 2)",
    "sum(a @> b)",
    "sum(a ^ 2)",
    "min(w COLLATE nocase)",
    "min(t AT TIME ZONE 'Asia/Tbilisi')",
    "(SELECT max(price) FROM store_events)",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)",
    "sum(a ORDER BY t)",
    "max(w) IGNORE NULLS",
    "sum(y := 1)",
    "now()",
    "current_timestamp",
    "random()",
    "min(day(t))",
    "min(hour(t))",
    "min(extract(month FROM t))",
    "min(lower(w))",
    "min(upper(w))",
    "greatest(1, 2)",
    "median(a)",
    "approx_count_distinct(a)",
    "stddev(a)",
    "string_agg(w, ',')",
    "first(w)",
    "arg_max(w, t)",
    "avg(a)",
    "count_if(x)",
    "min(if(x, 1, 2))",
    "min(concat(w, s))",
    "min(substring(w FROM 2))",
    "min(char_length(w))",
    "min(trim(w))",
    "min(strftime(t, '%Y'))",
    "sqrt(4)",
    "ceil(1.5)",
    "min(date_add(t, interval '1 day'))",
    "min(datediff('day', t, u))",
    "unnest(a)",
    "hop(t, '30 minutes')",
    "session(t, interval '30 minutes')",
    "min(session(t, interval '30 minutes'))",
    "session(t)",
    "funnel()",
    "funnel(a, b)",
    "funnel(a > 0, count(*) > 1)",
    "funnel(DISTINCT x)",
    "funnel(x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x)",
    "min(json_extract(w, '$.a'))",
];

const PINNED: &str = include_str!("refused.txt");

#[test]
fn everything_that_is_refused_says_why_and_the_way_out() {
    let base = "-- Rows.\nSELECT date_trunc('day', t) AS day, count(*) AS things FROM things GROUP BY day";
    let expression =
        |expr: &&str| format!("-- Rows.\nSELECT date_trunc('day', t) AS day, {expr} AS y FROM things GROUP BY day");
    let session = |keys: &&str| format!("-- Rows.\nSELECT {keys}, count(*) AS n FROM things GROUP BY k, started");
    let texts = TEXTS.iter().map(|text| text.replace('#', base)).chain(EXPRESSIONS.iter().map(expression));
    let texts = texts.chain(SESSIONS.iter().map(session));
    let mut all = String::new();
    for text in texts {
        let said = plan("top", &text).map(|_| ()).expect_err(&text);
        let _ = writeln!(all, "{said}");
    }
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/tests/refused.txt"), &all).expect("written");
        return;
    }
    for (line, (said, pinned)) in all.lines().zip(PINNED.lines()).enumerate() {
        assert_eq!(said, pinned, "refused.txt, line {}", line + 1);
    }
    assert_eq!(all.len(), PINNED.len());
    // Which of the table nobody provoked.
    let silent: BTreeSet<_> =
        ALL.iter().filter(|(_, refusal)| !all.contains(refusal.instead)).map(|(id, _)| *id).collect();
    // What this dialect does not parse.
    assert_eq!(silent, BTreeSet::from(["ALIASES"]));
}
