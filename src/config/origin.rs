//! Where a value comes from.

use super::explain::key;
use std::fmt::{Display, Formatter, Result};

/// A flag that is a setting: `--warehouse shop.db` is `warehouse = "shop.db"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As it is typed: `--warehouse`.
    pub flag: &'static str,
    /// The setting: `warehouse`.
    pub key: &'static str,
    /// The value, as after `--set key=`: TOML, or else text.
    pub value: String,
}

impl Flag {
    /// A flag whose value is text, whatever it looks like: a file may be called `5`.
    pub fn text(flag: &'static str, key: &'static str, text: &str) -> Flag {
        Flag { flag, key, value: toml::Value::String(text.to_owned()).to_string() }
    }
}

/// Where a value comes from. Those that come later are over those before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// A line of the file, counted from 1.
    File(String, usize),
    /// A variable of the environment.
    Env(String),
    /// `--set`, counted from 1.
    Set(usize),
    /// A flag of its own.
    Flag(&'static str),
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(name, line) => write!(f, "{name}, line {line}"),
            // A name of ours before it: no secret, however long.
            Origin::Env(name) => match name.split_at_checked("DELTAMART".len()) {
                Some((ours, rest)) => write!(f, "{ours}{}", key(rest)),
                None => f.write_str(&key(name)),
            },
            Origin::Set(_) => f.write_str("--set"),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A path as a key: a name in a map stands in quotes if it needs them.
pub(super) fn dotted(path: &[String]) -> String {
    let is_bare = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let part = |part: &String| if is_bare(part) { part.clone() } else { format!("\"{part}\"") };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

/// A mistake, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mistake {
    pub(super) origin: Origin,
    pub(super) what: String,
}

impl Mistake {
    pub(super) fn new(origin: &Origin, what: String) -> Mistake {
        Mistake { origin: origin.clone(), what }
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.origin {
            Origin::Default => f.write_str(&self.what),
            Origin::File(..) | Origin::Env(_) | Origin::Set(_) | Origin::Flag(_) => {
                write!(f, "{}: {}", self.origin, self.what)
            }
        }
    }
}
