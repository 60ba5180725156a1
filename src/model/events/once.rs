//! By what an event that comes twice is known again.

use super::File;
use dataflows::declared::plan::{Column, Once};
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
    /// What is emptied when a person is forgotten must not decide whether two events are one.
    pub(super) fn without_personal(&mut self, table: &dyn TableLike, once: Once, columns: &[Column]) -> Once {
        let is_everything = table.get("once").is_some_and(|once| once.is_str());
        let (of, personal): (Vec<_>, Vec<_>) =
            once.of.into_iter().partition(|place| columns.get(*place).is_some_and(|column| !column.is_personal));
        if let (false, Some(item), Some(column)) =
            (is_everything, table.get("once"), personal.first().and_then(|place| columns.get(*place)))
        {
            let what = format!(
                "`once` names `{}`, which is personal: it is emptied when its person is forgotten.",
                column.name
            );
            self.of(item, &what, "Name columns that stay.");
        }
        Once { of }
    }
}
