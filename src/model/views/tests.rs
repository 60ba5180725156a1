use super::*;
use crate::model::messages::shown;

fn view(text: &str) -> View {
    read("v", "model/views/v.sql", text).unwrap_or_else(|wrong| panic!("{}", shown("model/views/v.sql", text, &wrong)))
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

#[test]
fn what_databases_write_alike_is_left_as_it_stands() {
    let select = "SELECT a.\"b\", 'it''s -- no comment', count(*) AS n, coalesce(x, (1 + 2) * 3)\nFROM";
    let of = view(&format!(
        "-- One row.\n-- And more.\n\n{select} users AS a -- which\nWHERE a.n - 1 > -2 /* two\nlines */ AND b IN (1, 2);\n"
    ));
    assert_eq!((of.doc.as_str(), of.line), ("One row. And more.", 4));
    assert_eq!(of.reads(), ["users"]);
    let rest = text(" AS a  \nWHERE a.n - 1 > -2 \n AND b IN (1, 2)\n");
    assert_eq!(of.pieces, [text(&format!("{select} ")), Piece::Read("users".to_owned()), rest]);
}

#[test]
fn what_they_write_in_other_ways_is_understood() {
    let day = 24 * 3_600_000;
    for (sql, pieces) in [
        ("watermark()", Piece::Watermark(None)),
        ("WATERMARK( )", Piece::Watermark(None)),
        ("watermark('orders')", Piece::Watermark(Some("orders".to_owned()))),
        ("date_trunc('Day', at_time)", Piece::Start("day", vec![text("at_time")])),
        ("t + interval '5 minutes'", Piece::Later(vec![text("t")], 300_000)),
        ("a.t - INTERVAL '1 day'", Piece::Later(vec![text("a.t")], -day)),
        ("watermark() - interval '250 milliseconds'", Piece::Later(vec![Piece::Watermark(None)], -250)),
        (
            "t - interval '1 week' + interval '1 second'",
            Piece::Later(vec![Piece::Later(vec![text("t")], -7 * day)], 1_000),
        ),
        (
            "date_trunc('hour', watermark() - interval '2 days')",
            Piece::Start("hour", vec![Piece::Later(vec![Piece::Watermark(None)], -2 * day)]),
        ),
        (
            "coalesce(t, u) + interval '1 hour'",
            Piece::Later(vec![text("coalesce("), text("t, u"), text(")")], 3_600_000),
        ),
    ] {
        let of = view(&format!("-- One.\nSELECT {sql} AS x FROM a"));
        assert_eq!(of.pieces.get(1), Some(&pieces), "{sql}");
    }
}

#[test]
fn every_table_that_is_read_is_known() {
    for (sql, reads) in [
        ("SELECT 1 AS x FROM a JOIN b ON a.x = b.x LEFT JOIN \"C\" USING (x) WHERE x IN (SELECT x FROM d)", "a b c d"),
        ("SELECT 1 AS x FROM a, b AS c, (SELECT x FROM d, e) AS f WHERE x = 1, y", "a b d e"),
        ("WITH w AS (SELECT x FROM a) SELECT x FROM w ORDER BY x, y", "a w"),
        ("SELECT x FROM main.a", ""),
        ("SELECT x FROM a UNION ALL SELECT y, z FROM b", "a b"),
    ] {
        assert_eq!(view(&format!("-- One.\n{sql}")).reads().join(" "), reads, "{sql}");
    }
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    for (text, said) in [
        ("", "v.sql:1:1: there is no SELECT in it."),
        ("SELECT 1 AS x", "v.sql:1:1: nothing says what a row is."),
        ("-- One.\nDELETE FROM users", "v.sql:2:1: a view begins with SELECT or WITH."),
        ("-- One.\nSELECT 1 AS x; SELECT 2 AS x", "v.sql:2:16: there is more behind the SELECT."),
        ("-- One.\nSELECT interval '1 hour' + t AS x", "v.sql:2:8: an interval stands only behind `t +` or `t -`"),
        ("-- One.\nSELECT t - interval '1 month' AS x", "v.sql:2:10: behind it stands no interval."),
        ("-- One.\nSELECT t + interval 5 AS x", "v.sql:2:10: behind it stands no interval."),
        ("-- One.\nSELECT date_trunc('year', t) AS x", "The units are 'minute', 'hour', 'day', 'week', 'month'."),
        ("-- One.\nSELECT date_trunc('day') AS x", "v.sql:2:18: `date_trunc` takes a unit and an instant."),
        ("-- One.\nSELECT watermark(1) AS x", "v.sql:2:17: `watermark` takes the name of a family, or nothing."),
        ("-- One.\nSELECT 'open AS x", "v.sql:2:8: "),
    ] {
        let wrong = read("v", "v.sql", text).err().unwrap_or_else(|| panic!("it is taken: {text}"));
        let said_of = shown("v.sql", text, &wrong);
        assert!(said_of.contains(said), "`{said}` is missing:\n{said_of}");
    }
    let wrong = read("Top", "Top.sql", "-- One.\nSELECT 1 AS x").expect_err("it is no name");
    assert!(wrong[0].what.contains("the name `Top` is no name"));
}
