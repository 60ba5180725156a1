//! Texts of cases: what is read, what is refused, what is the same.

use super::cells::{normal, shown, split};
use super::judge::{Line, agrees, difference};
use super::read::read;
use super::write::{listed, text};
use super::{Case, Said};
use crate::families::{SHOP, table};
use crate::model::messages;
use dataflows::table::{Type, Value};

const VIEW: &str = r#"{"event_name":"item_view","timestamp":"2026-01-05T10:00:00Z","item_id":"1","user_id":1}"#;

fn case(text: &str) -> Case {
    let wrong = |wrong: Vec<_>| panic!("{}", messages::shown("x.case", text, &wrong));
    read(text, table("movie_statistics"), SHOP).unwrap_or_else(wrong)
}

#[test]
fn a_value_is_read_as_it_is_written_and_as_people_write_it() {
    let columns = ["users", "movie_statistics", "session_metrics"].map(|name| table(name).table());
    let column = |ty: Type| {
        let mut all = columns.iter().flat_map(|table| &table.columns);
        all.find(|column| column.ty == ty).unwrap_or_else(|| panic!("no column is {ty:?}"))
    };
    for value in [-123_456, -50, -1, 0, 1, 7, 99, 100, 1_000, i64::MAX, i64::MIN + 1] {
        for (ty, value) in [
            (Type::Integer, Value::Integer(value)),
            (Type::Money, Value::Cents(value)),
            (Type::Milli, Value::Milli(value)),
        ] {
            assert_eq!(normal(column(ty), &shown(&value)), Ok(shown(&value)));
        }
    }
    for at in [0, 1, 999, 1_000, 59_999, 60_000, 86_400_000, 1_767_571_200_000, 1_767_571_230_000, 1_767_571_200_500] {
        assert_eq!(normal(column(Type::Instant), &shown(&Value::Instant(at))), Ok(shown(&Value::Instant(at))), "{at}");
    }
    for text in ["a", "", "-", " a", "a | b", "\"", "\"a\"", "a\nb", "größer", "{}", "\\", "\\\"|"] {
        let cell = shown(&Value::Text(text.to_owned()));
        assert_eq!(normal(column(Type::Text), &cell), Ok(cell.clone()), "{text}");
        assert_eq!(super::cells::text(&cell).as_deref(), Some(text));
        let line = format!("1 | {cell} | 2");
        assert_eq!(split(&line).into_iter().map(|(_, cell)| cell).collect::<Vec<_>>(), ["1", &cell, "2"]);
    }
    for (ty, written, read) in [
        (Type::Money, "5", "5.00"),
        (Type::Money, "-0.5", "-0.50"),
        (Type::Milli, "3.5", "3.500"),
        (Type::Instant, "2026-01-05", "2026-01-05T00:00"),
        (Type::Instant, "2026-01-05T10:00:00+02:00", "2026-01-05T08:00"),
        (Type::Integer, "-", "-"),
        (Type::Text, "\"a\"", "a"),
    ] {
        assert_eq!(normal(column(ty), written).as_deref(), Ok(read));
    }
    for (ty, written) in [
        (Type::Money, "1.234"),
        (Type::Money, "five"),
        (Type::Money, "99999999999999999999"),
        (Type::Milli, "0.0001"),
        (Type::Integer, "1.5"),
        (Type::Integer, ""),
        (Type::Instant, "soon"),
        (Type::Text, "\"a"),
    ] {
        normal(column(ty), written).expect_err(written);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_a_way_out() {
    let heading = "=> movie_statistics: movie_id | views";
    for (text, said) in [
        ("".to_owned(), "x.case:1:1: there is no event in it."),
        ("# only this\n".to_owned(), "x.case:1:1: there is no event in it."),
        ("=> nothing".to_owned(), "x.case:1:1: no event stands before it."),
        (format!("{VIEW}\n=> nothing\n# two\n=> nothing"), "x.case:4:1: no event stands before it."),
        (format!("\n  hello\n{VIEW}"), "x.case:2:3: is nothing that a case has."),
        (format!("{VIEW}\nset lateness=1h"), "x.case:2:1: `set` stands behind an event."),
        (format!("{VIEW}\nend\n=> nothing\n{VIEW}"), "x.case:4:1: nothing happens behind `end`."),
        (format!("clock soon\n{VIEW}"), "x.case:1:7: is no instant."),
        (format!("99: {VIEW}"), "x.case:1:1: 99 is no partition of a case."),
        (format!("tables user\n{VIEW}"), "x.case:1:8: `user` is no table of a metric over"),
        (format!("tables user\n{VIEW}"), "Did you mean `users`?"),
        (
            format!("{VIEW}\n=> users: user_id"),
            "x.case:2:4: `users` is no table of this case, which has `movie_statistics`.",
        ),
        (
            format!("{VIEW}\n=> movie_statistics: movie_id | seen"),
            "x.case:2:33: `movie_statistics` has no column `seen`.",
        ),
        (
            format!("{VIEW}\n=> movie_statistics: views"),
            "x.case:2:22: the key of `movie_statistics` does not come first.",
        ),
        (format!("{VIEW}\n{heading}\n=> upsert 1"), "x.case:3:11: has 1 of the 2 values of `movie_statistics`."),
        (format!("{VIEW}\n{heading}\n=> upsert 1 | many"), "x.case:3:15: `many` is no value of column `views`."),
        (format!("{VIEW}\n{heading}\n=> upsert 1 | many"), "Write a whole number such as 7, or `-` for null."),
        (format!("{VIEW}\n{heading}\n=> delete 1 | 2"), "x.case:3:11: has 2 of the 1 values"),
        (format!("{VIEW}\n=> changed 1"), "x.case:2:4: is nothing that an epoch gives."),
        (format!("{VIEW}\n=> ... more"), "x.case:2:4: is not how many more rows there are."),
        (format!("{VIEW}\n=> late 10:00\n=> nothing"), "x.case:3:4: something else is said of this epoch already."),
        (format!("{VIEW}\n=> late 10:00\n=> ?"), "x.case:3:4: something is said of this epoch already."),
        (
            format!("{VIEW}\n{heading}\n=> nothing\n{VIEW}\n=> movie_statistics: movie_id | adds\n=> upsert 1 | 1"),
            "x.case:5:22: the columns of `movie_statistics` that are compared were others before.",
        ),
        (format!("tables users movie_statistics\n{VIEW}\n=> delete 1"), "x.case:3:4: of which table?"),
    ] {
        let mistakes = read(&text, table("movie_statistics"), SHOP).expect_err(&text);
        let shown = messages::shown("x.case", &text, &mistakes);
        assert!(shown.contains(said), "{text}\n{said}\n{shown}");
    }
}

#[test]
fn rows_may_be_expected_in_any_order_and_records_in_part() {
    let of = |lines: &str| {
        let text = format!("{VIEW}\n=> movie_statistics: movie_id | views\n{lines}");
        case(&text).epochs[0].expected.clone().expect("said")
    };
    let found = of("=> upsert 1 | 2\n=> delete 2\n=> upsert 3 | 1\n=> rejected bad | why\n=> late 10:00 | 12:00");
    for (expected, is_right) in [
        ("=> upsert 3 | 1\n=> upsert 1 | 2\n=> delete 2\n=> rejected bad\n=> late 10:00", true),
        ("=> upsert 3 | 1\n=> upsert 1 | 2\n=> delete 2\n=> rejected bad | why\n=> late 10:00 | 12:00", true),
        ("=> upsert 1 | 2\n=> ... 2 more of movie_statistics\n=> rejected bad\n=> late 10:00", true),
        ("=> upsert 1 | 2\n=> ... 1 more of movie_statistics\n=> upsert 3 | 1\n=> rejected bad\n=> late 10:00", true),
        ("=> upsert 1 | 2\n=> ... 1 more of movie_statistics\n=> rejected bad\n=> late 10:00", false),
        ("=> upsert 1 | 3\n=> ... 2 more of movie_statistics\n=> rejected bad\n=> late 10:00", false),
        ("=> upsert 3 | 1\n=> upsert 1 | 2\n=> rejected bad\n=> late 10:00", false),
        ("=> upsert 3 | 1\n=> upsert 1 | 2\n=> delete 2\n=> rejected worse\n=> late 10:00", false),
        ("=> upsert 3 | 1\n=> upsert 1 | 2\n=> delete 2\n=> late 10:00", false),
        ("=> upsert 3 | 1\n=> upsert 1 | 2\n=> delete 2\n=> rejected bad\n=> late 11:00", false),
        ("=> upsert 3 | 1\n=> delete 1\n=> delete 2\n=> rejected bad\n=> late 10:00", false),
        ("=> nothing", false),
    ] {
        assert_eq!(agrees(&of(expected), &found), is_right, "{expected}");
    }
    let lines = difference(&of("=> upsert 3 | 5\n=> upsert 1 | 2\n=> rejected bad"), &found);
    let marks: String = lines
        .iter()
        .map(|line| match line {
            Line::Both(_) => ' ',
            Line::Expected(_) => '-',
            Line::Found(_) => '+',
        })
        .collect();
    assert_eq!(marks, " +-+ +", "{lines:?}");
}

#[test]
fn what_is_written_is_read_again_and_what_is_right_stays() {
    let before = format!(
        "# It has columns.\nset lateness=1h\n{VIEW}\n=> movie_statistics: movie_id | views\n=> upsert   1|2\n\n# The second.\n\
         {VIEW}\n=> ?\n# The end.\n"
    );
    let read = case(&before);
    let id = table("movie_statistics");
    let rows = |count: i64| -> Vec<_> {
        (0..count).map(|n| Said::Upsert(id, vec![(1000 + n).to_string(), n.to_string()])).collect()
    };
    let found = [read.epochs[0].expected.clone().expect("said"), rows(30)];
    let now = text(&read, &found, &[true, false]);
    let expected = format!(
        "# It has columns.\nset lateness=1h\n{VIEW}\n\
         => movie_statistics: movie_id | views\n=> upsert            1        | 2\n\n# The second.\n{VIEW}\n\
         => upsert            1000     | 0\n=> upsert            1001     | 1\n=> upsert            1002     | 2\n\
         => ... 24 more of movie_statistics\n\
         => upsert            1027     | 27\n=> upsert            1028     | 28\n=> upsert            1029     | 29\n\
         # The end.\n"
    );
    assert_eq!(now, expected);
    let again = case(&now);
    assert_eq!(again.epochs[1].expected.as_deref(), Some(&listed(&rows(30))[..]));
    assert_eq!(text(&again, &found, &[true, true]), now);
    assert_eq!(listed(&rows(12)).len(), 12);
}
