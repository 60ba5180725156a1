//! Settings as a file with what each means beside it: to be read (`check`), and to begin with (`init`).

use super::load::Loaded;
use super::origin::{Origin, dotted};
use super::settings::{Section, Setting, at, sections};
use crate::shown;
use toml::{Table, Value};

/// How wide lines are where no terminal says it.
pub const COLUMNS: usize = 80;

impl Loaded {
    /// The configuration as a file that would give it, each value with its meaning and where it comes from: all of it, or
    /// what is not as it is by default. Of properties that are not known to be harmless only the names are in it.
    pub fn explained(&self, columns: usize, all: bool) -> String {
        let values: Table = toml::from_str(&self.config.to_shown_toml()).expect("it reads what it writes");
        let is_said = |setting: &&Setting| match (at(&values, &setting.key), &setting.default) {
            _ if all => true,
            (Some(Value::Table(map)), None) => !map.is_empty(),
            (is, default) => is != default.as_ref(),
        };
        let mut text = String::new();
        for section in sections() {
            let said: Vec<_> = section.settings.iter().filter(is_said).collect();
            if said.is_empty() && !all {
                continue;
            }
            heading(section, columns, &mut text);
            for setting in said {
                comment("# ", &setting.meaning, columns, &mut text);
                let value = at(&values, &setting.key);
                match value {
                    Some(Value::Table(map)) => {
                        text.push_str(&format!("[{}]\n", setting.key));
                        for (name, value) in map {
                            let path: Vec<_> =
                                setting.key.split('.').map(str::to_owned).chain([name.clone()]).collect();
                            let name = dotted(std::slice::from_ref(name));
                            self.line(&name, value, &self.origin(&dotted(&path)), columns, &mut text);
                        }
                    }
                    Some(value) => self.line(setting.name, value, &self.origin(&setting.key), columns, &mut text),
                    None => {}
                }
                text.push('\n');
            }
        }
        text
    }

    /// A value, and beside it where it comes from; above it if there is no room.
    fn line(&self, name: &str, value: &Value, origin: &Origin, columns: usize, text: &mut String) {
        let origin = shown::value(&origin.to_string()).into_owned();
        let line = format!("{name} = {value}");
        let beside = format!("{line}  # {origin}");
        if beside.chars().count() <= columns {
            text.push_str(&beside);
            text.push('\n');
            return;
        }
        comment("# ", &format!("({origin})"), columns, text);
        if let Value::Array(values) = value
            && line.chars().count() > columns
        {
            text.push_str(&format!("{name} = [\n"));
            values.iter().for_each(|value| text.push_str(&format!("    {value},\n")));
            text.push_str("]\n");
        } else {
            text.push_str(&line);
            text.push('\n');
        }
    }
}

/// A file of all settings, each with its meaning and commented out, as it is by default.
pub fn commented() -> String {
    let mut text = String::new();
    let about = "Settings of deltamart. Each stands here as it is if nothing else is said. To change one, take the `# ` \
                 before it away, and edit it; lines with `##` say what it means. `deltamart check` says whether all is \
                 well. Over this file are the environment (`DELTAMART__KAFKA__BROKERS`), `--set kafka.brokers=...`, and \
                 flags. Durations are written `250ms`, `2min`, `48h`, `7d`, or `0`.";
    comment("## ", about, COLUMNS, &mut text);
    text.push('\n');
    for section in sections() {
        heading_of("## ", section, COLUMNS, &mut text);
        for Setting { name, key, meaning, default } in &section.settings {
            comment("## ", meaning, COLUMNS, &mut text);
            match default {
                Some(default) => text.push_str(&format!("# {name} = {default}\n\n")),
                None => text.push_str(&format!("[{key}]\n\n")),
            }
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn heading(section: &Section, columns: usize, text: &mut String) {
    heading_of("# ", section, columns, text);
}

/// What a section is for, and its name.
fn heading_of(mark: &str, section: &Section, columns: usize, text: &mut String) {
    if section.name.is_empty() {
        return;
    }
    comment(mark, &section.meaning, columns, text);
    text.push_str(&format!("[{}]\n\n", section.name));
}

/// Text as lines of comment, none longer than there are columns, unless a word is.
fn comment(mark: &str, words: &str, columns: usize, text: &mut String) {
    let mut line = String::new();
    for word in words.split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count() + mark.chars().count();
        if !line.is_empty() && length > columns {
            text.push_str(&format!("{mark}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        text.push_str(&format!("{mark}{line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::settings::settings;

    fn loaded(sets: &[&str]) -> Loaded {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        Config::load(None, &sets, &[]).expect("good")
    }

    #[test]
    fn what_is_commented_out_is_the_default_and_so_is_what_is_not() {
        let text = commented();
        let is_default = |text: &str| {
            let config: Config = toml::from_str(text).expect("TOML");
            assert_eq!(config, Config::default(), "{text}");
        };
        is_default(&text);
        let uncommented: Vec<_> = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
        is_default(&uncommented.join("\n"));
        let set = uncommented.iter().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty()).count();
        let maps = settings().filter(|setting| setting.default.is_none()).count();
        assert_eq!(set + maps, settings().count());
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }

    #[test]
    fn what_is_explained_is_the_configuration() {
        let all =
            "tables=[\"users\", \"movies_catalog\", \"session_metrics\", \"user_activity\", \"movie_statistics\"]";
        let loaded = loaded(&["lateness=24h", "kafka.topics.sign_in=logins", all, "rules.age=[1, 2]"]);
        for columns in [40, 80, 200] {
            let differing = loaded.explained(columns, false);
            let again: Config = toml::from_str(&differing).expect("TOML");
            assert!(again == loaded.config && !differing.contains("# default"), "{differing}");
            let text = loaded.explained(columns, true);
            let again: Config = toml::from_str(&text).expect("TOML");
            assert_eq!(again, loaded.config, "{text}");
            assert!(text.contains("lateness = \"1day\"  # --set\n"), "{text}");
            assert!(text.contains("sign_in = \"logins\"  # --set\n"), "{text}");
            assert!(text.contains("raw = true  # default\n"), "{text}");
            assert!(columns < 80 || text.lines().all(|line| line.chars().count() <= columns), "{text}");
        }
    }
}
