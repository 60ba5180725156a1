use super::{Serving, warehouse};
use crate::cli::{deltamart, said};
use serde_json::Value;
use std::path::Path;

/// What SQL says, each row as a list.
fn asked(folder: &Path, sql: &str, columns: &[&str]) -> Vec<Value> {
    let (code, text) = said(&deltamart(folder, &["sql", sql]));
    assert_eq!(code, Some(0), "{text}");
    let row = |line: &str| -> Value {
        let row: Value = serde_json::from_str(line).expect("JSON");
        columns.iter().map(|column| row[*column].clone()).collect()
    };
    text.lines().map(row).collect()
}

fn rows(serving: &Serving, path: &str) -> Vec<Value> {
    serving.json(&format!("/api/v1/tables/{path}"))["rows"].as_array().expect("rows").clone()
}

#[test]
fn groups_are_what_sql_says() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    let sql = "SELECT segment, count(*) AS n FROM user_segments GROUP BY segment ORDER BY n DESC, segment DESC";
    let segments = rows(&serving, "user_segments?group=segment&by=rows&order=desc");
    assert!(segments.len() > 1);
    assert_eq!(segments, asked(folder.path(), sql, &["segment", "n"]));
    let sql = "SELECT timestamp, count(*) AS n, round(sum(total_sales), 2) AS sales, sum(units_sold) AS units \
               FROM movie_sales_metrics WHERE window_type IN ('daily', 'weekly') GROUP BY timestamp ORDER BY timestamp";
    let path =
        "movie_sales_metrics?window_type=daily&window_type=weekly&group=timestamp&sum=total_sales&sum=units_sold";
    let answer = serving.json(&format!("/api/v1/tables/{path}"));
    let expected = asked(folder.path(), sql, &["timestamp", "n", "sales", "units"]);
    assert_eq!(answer["columns"], serde_json::json!(["timestamp", "rows", "total_sales", "units_sold"]));
    assert_eq!((answer["rows"].as_array().expect("rows"), &answer["next"]), (&expected, &Value::Null));
    // Nothing is grouped where there is nothing, and a limit is one.
    assert_eq!(rows(&serving, "user_segments?group=segment&segment=nobody"), Vec::<Value>::new());
    assert_eq!(rows(&serving, "user_segments?group=segment&by=rows&order=desc&limit=1"), segments[..1]);
}

#[test]
fn some_columns_are_parts_of_the_same_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    let sql = "SELECT active_sessions_count AS n, timestamp FROM session_metrics ORDER BY timestamp DESC";
    let all = rows(&serving, "session_metrics?columns=active_sessions_count,timestamp&order=desc&limit=10000");
    assert!(all.len() > 30, "{}", all.len());
    assert_eq!(all, asked(folder.path(), sql, &["n", "timestamp"]));
    // The page after one goes on where it ended, also if the key is not among the columns.
    let (mut walked, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/tables/session_metrics?columns=active_sessions_count&order=desc&limit=7{after}");
        let page = serving.json(&path);
        walked.extend(page["rows"].as_array().expect("rows").iter().map(|row| row[0].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(walked, all.iter().map(|row| row[0].clone()).collect::<Vec<_>>());
    let titles = rows(&serving, "movies_catalog?item_id=1&item_id=3&columns=item_id,title");
    let sql = "SELECT item_id, title FROM movies_catalog WHERE item_id IN ('1', '3') ORDER BY item_id";
    assert!(titles.len() == 2 && titles == asked(folder.path(), sql, &["item_id", "title"]), "{titles:?}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    for (parameters, parameter) in [
        ("sum=units_sold", "sum"),
        ("group=movie_id&sum=units_sold&sum=units_sold", "sum"),
        ("columns=movie_id,movie_id", "columns"),
        ("group=nothing", "group"),
        ("group=movie_id&sum=window_type", "sum"),
        ("group=movie_id&by=total_sales", "by"),
        ("group=movie_id&columns=movie_id", "columns"),
        ("by=rows", "by"),
        ("columns=movie_id,nothing", "columns"),
        ("limit=1001", "limit"),
        ("group=movie_id&limit=10001", "limit"),
    ] {
        let answer = serving.get(&format!("/api/v1/tables/movie_sales_metrics?{parameters}"));
        assert_eq!(answer.status(), 400, "{parameters}: {}", answer.0);
        assert!(answer.body().contains(&format!("parameter `{parameter}`: ")), "{parameters}: {}", answer.body());
    }
}
