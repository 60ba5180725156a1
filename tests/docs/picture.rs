//! The picture in the README: a late event corrects a window. It is drawn from what the program says.

use super::assert_is_made;
use crate::cli::{deltamart, said};
use std::fmt::Write as _;
use std::path::Path;

const COLUMN_PX: f64 = 7.8;
const LINE_PX: usize = 18;
const MARGIN_PX: usize = 16;
const COLUMNS: usize = 80;

/// A line of a terminal, and how it is drawn.
struct Line {
    text: String,
    style: &'static str,
}

fn event(time: &str, user_id: u32) -> String {
    format!(
        "{{\"event_name\":\"consumer_registration\",\"timestamp\":\"2026-01-05T{time}:00Z\",\"user_id\":{user_id},\
         \"age\":34,\"masked_email\":\"****@mail.example\",\"preferred_language\":\"eng\"}}\n"
    )
}

fn typed(lines: &mut Vec<Line>, command: &str) {
    lines.push(Line { text: format!("$ {command}"), style: "typed" });
}

/// Runs what is typed, and draws what it answers; lines that were not there before are marked.
fn answered(folder: &Path, lines: &mut Vec<Line>, arguments: &[&str]) {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(0), "{text}");
    let before: Vec<_> = lines.iter().map(|line| line.text.clone()).collect();
    let is_second = before.iter().any(|line| line.starts_with('│'));
    for text in text.lines().filter(|line| line.starts_with(['┌', '│', '╞', '└'])) {
        let is_new = is_second && !before.iter().any(|line| line == text);
        lines.push(Line { text: text.to_owned(), style: if is_new { "new" } else { "said" } });
    }
    lines.push(Line { text: String::new(), style: "said" });
}

fn drawn(lines: &[Line]) -> String {
    let (width, height) =
        ((COLUMNS as f64 * COLUMN_PX) as usize + 2 * MARGIN_PX, lines.len() * LINE_PX + 2 * MARGIN_PX);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\">\n\
         <title>A late event corrects one row of a window</title>\n\
         <style>.typed {{ fill: #8ab4f8 }} .said {{ fill: #d7dae0 }} .new {{ fill: #7ee787 }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#16181d\"/>\n"
    );
    for (n, line) in lines.iter().enumerate().filter(|(_, line)| !line.text.is_empty()) {
        assert!(line.text.chars().count() <= COLUMNS, "{}", line.text);
        let text = line.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let y = MARGIN_PX + LINE_PX * (n + 1) - 5;
        // Each letter has its place: whatever font the reader has, the columns stand below each other.
        let places = (0..line.text.chars().count()).map(|n| format!("{:.1}", MARGIN_PX as f64 + n as f64 * COLUMN_PX));
        let places = places.collect::<Vec<_>>().join(" ");
        writeln!(svg, "<text y=\"{y}\" class=\"{}\" xml:space=\"preserve\" x=\"{places}\">{text}</text>", line.style)
            .expect("text");
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_shows_what_the_program_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let log = [event("10:05", 1), event("10:50", 2), event("11:40", 3)].concat();
    std::fs::write(folder.join("day.jsonl"), &log).expect("writes");
    let run = ["run", "day.jsonl"];
    let sql = "SELECT timestamp, window_end, registration_count, is_final FROM user_registration_metrics \
               WHERE window_type = 'tumbling'";
    let ask = ["sql", sql, "--format", "table"];
    let mut lines = Vec::new();
    typed(&mut lines, "deltamart run day.jsonl");
    assert_eq!(deltamart(folder, &run).status.code(), Some(0));
    typed(&mut lines, "deltamart sql - < windows.sql");
    answered(folder, &mut lines, &ask);
    typed(&mut lines, "cat late.jsonl >> day.jsonl     # user 7 registered at 10:10, known at 11:40");
    std::fs::write(folder.join("day.jsonl"), log + &event("10:10", 7)).expect("writes");
    typed(&mut lines, "deltamart run day.jsonl");
    assert_eq!(deltamart(folder, &run).status.code(), Some(0));
    typed(&mut lines, "deltamart sql - < windows.sql");
    answered(folder, &mut lines, &ask);
    let marked: Vec<_> = lines.iter().filter(|line| line.style == "new").collect();
    // The one window of the late event, and no other row.
    assert!(marked.len() == 1 && marked[0].text.contains("10:00") && marked[0].text.contains(" 3 "));
    lines.pop();
    assert_is_made("docs/late-correction.svg", &drawn(&lines));
}
