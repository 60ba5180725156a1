//! The README is short, every link in it and in `docs/` leads somewhere, and what is made of declarations is as they are.
//!
//! `UPDATE_DOCS=1 cargo test docs` writes `docs/tables.md` and `docs/settings.md` again.

/// The commands run.
pub mod commands;
/// What dbt is told.
mod dbt;
/// The dashboard and the alerts.
mod deploy;
/// The picture in the README.
mod picture;

use dataflows::declared::reading::REASONS;
use dataflows::table::{Role, Type};
use deltamart::config::settings::sections;
use deltamart::families::{all, reasons};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const README_BYTES_MAX: usize = 10 << 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).expect("a folder").map(|entry| entry.expect("entry").path());
    docs.filter(|path| path.extension().is_some_and(|is| is == "md")).chain([root().join("README.md")]).collect()
}

/// Fails if a page is not what declarations make of it.
fn assert_is_made(path: &str, made: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(path), made).expect("the page can be written");
    }
    let is = std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = is.lines().zip(made.lines()).find(|(is, made)| is != made);
    assert!(is == made, "{path} is not as declared, at {differs:?}: UPDATE_DOCS=1 cargo test docs");
}

#[test]
fn the_readme_is_short() {
    let bytes = read("README.md").len();
    assert!(bytes <= README_BYTES_MAX, "README.md has {bytes} bytes, and may have {README_BYTES_MAX}");
}

/// The anchors of a page, as GitHub makes them of headings.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).expect("readable");
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("readable");
        for (at, _) in text.match_indices("](") {
            let Some(target) = text[at + 2..].split(')').next() else { continue };
            if target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            assert!(to.exists(), "{}: `{target}` leads nowhere", page.display());
            let is_there = anchor.is_empty() || anchors(&to).contains(anchor);
            assert!(is_there, "{}: `{target}` has no such heading", page.display());
        }
    }
    assert!(links > 40, "{links} links");
}

#[test]
fn no_page_is_left_alone() {
    let all: String = pages().iter().map(|page| std::fs::read_to_string(page).expect("readable")).collect();
    for page in pages() {
        let name = page.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        assert!(
            name == "README.md" || all.contains(&format!("{name})")) || all.contains(&format!("{name}#")),
            "{name}"
        );
    }
}

#[test]
fn the_page_of_rejected_records_is_as_declared() {
    let mut made = "# Rejected records\n\nThis page is generated from the code. A record that is not accepted becomes a row of \
                    `rejected_events`. The column `reason` has one of these codes, which do not change between versions. The \
                    column `detail` says which field it was, its value, and what was expected.\n\n| code | meaning |\n\
                    |---|---|\n"
        .to_owned();
    for reason in reasons() {
        assert!(reason.meaning().ends_with('.'), "{reason:?}");
        writeln!(made, "| `{}` | {} |", reason.code(), reason.meaning()).expect("text");
    }
    made.push_str(
        "\nRecords of [your own events](your-events.md) may also have these:\n\n| code | meaning |\n|---|---|\n",
    );
    let said: BTreeSet<_> = reasons().map(|reason| reason.code()).collect();
    for reason in REASONS.iter().filter(|reason| !said.contains(reason.code())) {
        assert!(reason.meaning().ends_with('.'), "{reason:?}");
        writeln!(made, "| `{}` | {} |", reason.code(), reason.meaning()).expect("text");
    }
    made.push_str(
        "\n- The row keeps 4 KiB of the record. If more than 1,000 records of one partition are rejected in one epoch, the \
         rows of the others have no bytes. `detail` says where the whole record is ([limits](bounds.md)).\n\
         - The limits of values are settings ([`rules`](settings.md#rules)).\n\
         - E-mail addresses are masked before anything is stored, in every field and in raw bytes too: [which addresses, \
         and what is not masked](privacy.md).\n\
         - `deltamart replay-rejected` sends rejected records again.\n",
    );
    assert_is_made("docs/rejected-records.md", &made);
}

#[test]
fn the_page_of_metrics_has_the_whole_language() {
    assert!(read("docs/your-metrics.md").contains(&read("src/model/language/summary.txt")));
}

fn written(ty: Type) -> &'static str {
    match ty {
        Type::Integer => "integer",
        Type::Boolean => "true or false",
        Type::Instant => "instant, UTC",
        Type::Money => "money, two decimals",
        Type::Milli => "number, three decimals",
        Type::Share => "share, four decimals",
        Type::Text => "text",
        Type::Json => "JSON",
        Type::Bytes => "bytes",
    }
}

#[test]
fn the_page_of_tables_is_as_declared() {
    let mut made =
        "# Tables\n\nThis page is generated from the code. Every row also has `_epoch`, the number of the epoch that last wrote \
                    it, and `_updated_at`, the clock of that epoch.\n"
            .to_owned();
    for id in all().tables() {
        let table = id.table();
        let kind = match table.role {
            Role::Metric | Role::Entity | Role::Tally => "Rows are upserted and deleted.",
            Role::Raw { .. } | Role::Rejected { .. } | Role::Late { .. } => "Rows are only added.",
        };
        let key: Vec<_> =
            table.columns[..table.key_columns].iter().map(|column| format!("`{}`", column.name)).collect();
        write!(made, "\n## `{}`\n\n{} {kind} The key is {}.\n\n", table.name, table.doc, key.join(", ")).expect("text");
        made.push_str("| column | type | null | what it says |\n|---|---|---|---|\n");
        for column in &table.columns {
            let null = if column.nullable { "yes" } else { "" };
            let doc = column.doc.replace('|', "\\|");
            writeln!(made, "| `{}` | {} | {null} | {doc} |", column.name, written(column.ty)).expect("text");
        }
    }
    assert_is_made("docs/tables.md", &made);
}

#[test]
fn the_page_of_settings_is_as_declared() {
    let mut made = "# Settings\n\nThis page is generated from the code. A setting stands in `deltamart.toml`, in the environment \
                    (`DELTAMART__KAFKA__BROKERS`), or after `--set` (`--set kafka.brokers=...`). Durations are written `250ms`, \
                    `2min`, `48h`, `7d`, or `0`. `deltamart init` writes a file with all of them, `deltamart check --all` \
                    shows their values and where each comes from.\n"
        .to_owned();
    for section in sections() {
        let (title, about) = match section.name {
            "" => ("Without a section".to_owned(), String::new()),
            name => (format!("`[{name}]`"), format!("{}\n\n", section.meaning)),
        };
        write!(made, "\n## {title}\n\n{about}| setting | default | what it says |\n|---|---|---|\n").expect("text");
        for setting in &section.settings {
            let default = setting.default.as_ref().map_or("none".to_owned(), |default| format!("`{default}`"));
            let meaning = setting.meaning.replace('|', "\\|");
            writeln!(made, "| `{}` | {default} | {meaning} |", setting.name).expect("text");
        }
    }
    let said: usize = sections().iter().map(|section| section.settings.len()).sum();
    assert!(said > 70, "{said} settings");
    assert_is_made("docs/settings.md", &made);
}
