//! What was given, layer by layer: the file, the environment, `--set`, flags. Each value with its key and where it stands.

use super::explain::{broken, key, kind_of, line};
use super::origin::{Flag, Mistake, Origin, dotted};
use super::settings::{meant, nearest, sections, settings, variable};
use super::{DEFAULT_FILE, ENVIRONMENT};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use toml::{Table, Value};
use toml_edit::{ImDocument, TableLike};

/// No key is deeper: `snowflake.schemas.raw`. Deeper ones are not walked into.
const DEPTH_MAX: usize = 6;

/// One value that was given for a setting, or for a name in a map.
pub(super) struct Given {
    /// The names on the way to it.
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// All that was given, later layers after earlier ones, and what of it is no setting.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) given: Vec<Given>,
    pub(super) mistakes: Vec<Mistake>,
    /// What unknown names were meant to be, as it seems: nothing is known about these settings.
    pub(super) meant: Vec<String>,
    /// Whether a whole layer could not be read.
    pub(super) is_cut: bool,
}

/// Text as TOML would read it behind `key =`, or else as text.
pub(super) fn value_of(text: &str) -> Value {
    let table = toml::from_str::<Table>(&format!("value = {text}")).ok().filter(|table| table.len() == 1);
    table.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

impl Layers {
    /// Reads the file that is named, or the usual one if it is there.
    pub(super) fn file(&mut self, file: Option<&Path>) {
        let usual = Path::new(DEFAULT_FILE);
        let Some(path) = file.or_else(|| usual.is_file().then_some(usual)) else { return };
        let mut wrong = |why: String| {
            self.is_cut = true;
            let what = format!("configuration file `{}`{why}", path.display());
            self.mistakes.push(Mistake::new(&Origin::Default, what));
        };
        if !path.is_file() {
            let is_there = path.exists();
            return wrong(if is_there { " is not a file" } else { " does not exist" }.to_owned());
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return wrong(format!(": could not be read: {error}")),
        };
        let document = match ImDocument::parse(text.as_str()) {
            Ok(document) => document,
            Err(error) => return wrong(broken(&text, &error)),
        };
        // Read twice: one reader knows lines, the other values.
        let Ok(table) = toml::from_str::<Table>(&text) else { return wrong(": is not TOML".to_owned()) };
        let mut lines = BTreeMap::new();
        lines_of(document.as_table(), &text, &mut Vec::new(), &mut lines);
        let name = path.display().to_string();
        let origin_of = |path: &[String]| {
            let known = (1..=path.len()).rev().find_map(|length| lines.get(&path[..length]));
            Origin::File(name.clone(), known.copied().unwrap_or(1))
        };
        for (name, value) in table {
            self.take(vec![name], value, &origin_of);
        }
    }

    /// Takes the variables that are settings.
    pub(super) fn environment(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        let mut variables: Vec<_> =
            variables.filter_map(|(name, text)| Some((name.into_string().ok()?, text))).collect();
        variables.sort();
        for (name, text) in variables {
            let upper = name.to_uppercase();
            let origin = Origin::Env(name);
            let Some(rest) = upper.strip_prefix(ENVIRONMENT) else {
                let meant = upper.strip_prefix("DELTAMART_").and_then(meant);
                if let Some(meant) = meant {
                    let what = format!("sets nothing; two underscores make it a setting: `{}`", variable(meant));
                    self.wrong(&origin, what);
                    self.meant.push(meant.to_owned());
                }
                continue;
            };
            let Some(text) = text.to_str() else {
                self.wrong(&origin, "is not UTF-8 text".to_owned());
                continue;
            };
            let parts: Vec<_> = rest.to_lowercase().split("__").map(str::to_owned).collect();
            // Names in maps have dots, which names of variables cannot have.
            let map = (1..parts.len()).find(|length| is_map(&parts[..*length]));
            let path = match map {
                Some(length) => [&parts[..length], &[parts[length..].join(".")]].concat(),
                None => parts,
            };
            let mut value = value_of(text);
            // `[users, movies_catalog]`: a shell has taken the quotes away.
            if value.is_str() && text.trim_start().starts_with('[') {
                let list = text.parse::<figment::value::Value>().ok().and_then(|list| Value::try_from(list).ok());
                value = list.unwrap_or(value);
            }
            self.take(path, value, &|_| origin.clone());
        }
    }

    /// Takes what `--set` says.
    pub(super) fn sets(&mut self, sets: &[String]) {
        for (n, set) in sets.iter().enumerate() {
            let origin = Origin::Set(n + 1);
            // Not repeated: it may be a value whose key was forgotten.
            let wrong = |why: &str| format!("number {}: {why}: write `--set key=value`", n + 1);
            let Some((key, value)) = set.split_once('=') else {
                if settings().any(|setting| setting.key == *set) {
                    let what = format!("`--set {set}` has no value; write `--set {set}=VALUE`");
                    self.mistakes.push(Mistake::new(&Origin::Default, what));
                    continue;
                }
                self.wrong(&origin, wrong("has no value"));
                continue;
            };
            let path = toml_edit::Key::parse(key.trim()).ok().filter(|path| path.len() <= DEPTH_MAX);
            let Some(path) = path else {
                self.wrong(&origin, wrong("what stands before `=` is not a key"));
                continue;
            };
            let path = path.iter().map(|key| key.get().to_owned()).collect();
            self.take(path, value_of(value.trim()), &|_| origin.clone());
        }
    }

    /// Takes what flags of their own say.
    pub(super) fn flags(&mut self, flags: &[Flag]) {
        for Flag { flag, key, value } in flags {
            let path = key.split('.').map(str::to_owned).collect();
            self.take(path, value_of(value), &|_| Origin::Flag(flag));
        }
    }

    fn wrong(&mut self, origin: &Origin, what: String) {
        self.mistakes.push(Mistake::new(origin, what));
    }

    fn wrong_value(&mut self, origin: &Origin, path: &[String], why: String) {
        let key = dotted(path);
        self.wrong(origin, format!("setting `{}`: {why}", self::key(&key)));
        self.meant.push(key);
    }

    /// Takes a value for a key, and what is in it if the key is that of a section or a map.
    fn take(&mut self, path: Vec<String>, value: Value, origin_of: &dyn Fn(&[String]) -> Origin) {
        let origin = origin_of(&path);
        let name = name(&path);
        let is_section = !name.is_empty() && sections().iter().any(|section| section.name == name);
        if is_section || is_map(&path) {
            let Value::Table(table) = value else {
                let expected = if is_section { "a section of settings" } else { "a section of names and texts" };
                return self.wrong_value(&origin, &path, format!("is {}; expected {expected}", kind_of(&value)));
            };
            for (name, value) in table {
                self.take([&path[..], &[name]].concat(), value, origin_of);
            }
            return;
        }
        let is_in_map = is_map(&path[..path.len() - 1]);
        if is_in_map && let Value::Table(_) = value {
            let why = "is a section; expected text. A name with dots in it stands in quotes: `\"a.b\" = \"...\"`";
            return self.wrong_value(&origin, &path, why.to_owned());
        }
        let is_setting = settings().any(|setting| setting.key == name);
        match is_setting || is_in_map {
            true => self.given.push(Given { path, value, origin }),
            false => self.unknown(path, value, origin_of),
        }
    }

    fn unknown(&mut self, mut path: Vec<String>, mut value: Value, origin_of: &dyn Fn(&[String]) -> Origin) {
        if let Some(length) = (1..path.len()).find(|length| is_map(&path[..*length])) {
            let why = "is a section; expected text. A name with dots in it stands in quotes: `\"a.b\" = \"...\"`";
            return self.wrong_value(&origin_of(&path), &path[..=length], why.to_owned());
        }
        // A section with one setting in it is that setting.
        while let Value::Table(table) = &mut value
            && table.len() == 1
            && path.len() < DEPTH_MAX
            && let Some((name, inner)) = std::mem::take(table).into_iter().next()
        {
            path.push(name);
            value = inner;
        }
        let what = if value.is_table() { "section" } else { "setting" };
        let nearest = nearest(&path.join("."));
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "no name of a setting is near to it; `deltamart init` writes a file with all of them".to_owned(),
        };
        self.wrong(&origin_of(&path), format!("unknown {what} `{}`; {hint}", key(&dotted(&path))));
        self.meant.extend(nearest.map(str::to_owned));
    }
}

/// A path as the name of a setting; empty if a part of it has a dot, which no setting's has.
fn name(path: &[String]) -> String {
    if path.iter().any(|part| part.contains('.')) { String::new() } else { path.join(".") }
}

/// Whether a path leads to a map, whose names anybody may choose.
pub(super) fn is_map(path: &[String]) -> bool {
    let name = name(path);
    settings().any(|setting| setting.default.is_none() && setting.key == name)
}

/// On which line each key stands.
fn lines_of(table: &dyn TableLike, text: &str, path: &mut Vec<String>, lines: &mut BTreeMap<Vec<String>, usize>) {
    for (name, item) in table.iter() {
        path.push(name.to_owned());
        let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
        if let Some(span) = span {
            lines.insert(path.clone(), line(text, span.start));
        }
        if path.len() < DEPTH_MAX
            && let Some(inner) = item.as_table_like()
        {
            lines_of(inner, text, path, lines);
        }
        path.pop();
    }
}
