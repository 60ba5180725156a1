//! A real terminal, of several widths: no line is longer.

use super::warehouse;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use unicode_width::UnicodeWidthChar;

/// What the program shows on a terminal that is so wide.
fn shown(folder: &Path, columns: u16, arguments: &[&str]) -> String {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("a terminal");
    tcsetwinsize(&ours, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let no_controlling = i32::try_from(OpenptFlags::NOCTTY.bits()).expect("a flag");
    let theirs = OpenOptions::new().read(true).write(true).custom_flags(no_controlling).open(name).expect("opens");
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stdout(theirs).stderr(Stdio::piped());
    let child = command.spawn().expect("starts");
    // Ours of the program's end: what it writes has an end only if nobody else may write.
    drop(command);
    let mut text = Vec::new();
    // At the end of what a terminal shows stands an error.
    File::from(ours).read_to_end(&mut text).ok();
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn no_line_is_longer_than_the_terminal() {
    let folder = warehouse();
    for columns in [40, 80, 160] {
        for arguments in [
            &["show"][..],
            &["show", "_progress"],
            &["show", "users", "--limit", "3"],
            &["show", "movies_catalog", "--limit", "5"],
            &["show", "rejected_events", "--limit", "5"],
            &["show", "movie_sale_lines", "--limit", "0"],
            &["show", "session_metrics_by_minute", "--last", "5", "--where", "active_sessions_count >= 0"],
            &[
                "sql",
                "SELECT *, '猫👍🏽' || char(27, 9, 10, 0x202e) || printf('%200c', 'x') AS \"猫 of\na name\" FROM users LIMIT 3",
            ],
        ] {
            let text = shown(folder.path(), columns, arguments);
            let cells =
                |line: &str| line.trim_end_matches('\r').chars().map(|c| c.width().unwrap_or(999)).sum::<usize>();
            let longest = text.lines().map(cells).max().expect("lines");
            assert!(longest <= columns.into(), "{longest} of {columns} cells, {arguments:?}:\n{text}");
        }
    }
    let wide = shown(folder.path(), 160, &["show", "user_segments", "--limit", "2"]);
    assert!(wide.contains("┌─") && wide.contains("2 of "), "a table, not JSON: {wide}");
    let narrow = shown(folder.path(), 40, &["show", "movies_catalog", "--limit", "1"]);
    assert!(!narrow.contains("┌─") && !narrow.contains('…') && narrow.contains("title  "), "{narrow}");
}
