//! By what an event that comes twice is known again.

use super::File;
use dataflows::declared::plan::Once;
use std::collections::BTreeSet;
use toml_edit::{Item, TableLike, Value};

impl File<'_> {
    /// `once`: all columns, or those that are named, and the time. Events that are equal in them have one time: what has
    /// passed need not be remembered.
    pub(super) fn once(&mut self, table: &dyn TableLike, names: &[String], time: Option<usize>) -> Option<Once> {
        let item = table.get("once")?;
        let named: Option<Vec<Item>> = match item.as_value() {
            Some(Value::String(text)) if text.value() == "everything" => {
                return Some(Once { of: (0..names.len()).collect() });
            }
            Some(Value::Array(list)) if !list.is_empty() => Some(list.iter().cloned().map(Item::Value).collect()),
            Some(_) | None => None,
        };
        let Some(named) = named else {
            let instead = "Events that are equal in every column count once by `once = \"everything\"`, and those that are equal \
                           in some by `once = [\"event_id\"]`; leave it out for events that never repeat.";
            self.of(item, "`once` is neither \"everything\" nor a list of columns.", instead);
            return None;
        };
        let mut of = BTreeSet::from_iter(time);
        for item in named {
            of.extend(self.named("once", &item, names));
        }
        Some(Once { of: of.into_iter().collect() })
    }
}
