//! What a file of events says of persons.

use super::{File, Said};
use dataflows::declared::plan::Literal;
use dataflows::declared::reading::{Empty, Takes};
use dataflows::persons::NOBODY_CALLED;
use toml_edit::{Item, TableLike};

impl File<'_> {
    /// Whether a column is emptied when the person of its event is forgotten.
    pub(super) fn personal(&mut self, item: &Item, name: &str, empty: &Empty) -> bool {
        match item.as_bool() {
            Some(true) if *empty == Empty::Rejected => {
                self.of(
                    item,
                    format!("column `{name}` is personal, and nothing can stand there once its person is forgotten."),
                    "Give it `null = true`, or say by `empty` what stands there then.",
                );
                false
            }
            Some(is_personal) => is_personal,
            None => {
                self.of(
                    item,
                    "`personal` is neither true nor false.",
                    "`personal = true` empties the column when the person of an event is forgotten.",
                );
                false
            }
        }
    }

    /// Which column says whom an event is of, if any does.
    pub(super) fn person(
        &mut self,
        table: &dyn TableLike,
        columns: &[Said],
        names: &[String],
    ) -> Option<Option<usize>> {
        let instead = "Say which column holds the id of the person: person = \"user_id\"; or person = \"none\". `deltamart forget` goes by it.";
        let Some(item) = table.get("person") else {
            self.mistake(0..0, "`person` is missing.", instead);
            return None;
        };
        let personal = columns.iter().position(|said| said.column.is_personal);
        if item.as_str() == Some("none") {
            if let Some(personal) = personal {
                let what = format!("column `{}` is personal, and the events have no person.", names[personal]);
                self.of(item, what, "Say which column holds the id of the person, or leave `personal` out.");
            }
            return Some(None);
        }
        let place = self.named("person", item, names)?;
        let Said { column, reading } = &columns[place];
        let is_nobody = |empty: &Empty| match empty {
            Empty::Is(Literal::Number(number)) => *number < 0,
            Empty::Is(Literal::Text(text)) => text.starts_with(NOBODY_CALLED),
            Empty::Is(Literal::Null | Literal::Boolean(_) | Literal::Instant(_)) | Empty::Rejected => false,
        };
        let why = match (&reading.takes, column.ty) {
            _ if column.is_personal => "is personal. Leave that out: `deltamart forget` gives it another id.",
            _ if is_nobody(&reading.empty) => "has an `empty` that stands for persons who were forgotten.",
            // Below 0 are those who were forgotten.
            (Takes::Number(0, (least, _)), _) if *least < 0 => "may be less than 0. Give it `min = 0`, or `min = 1`.",
            (Takes::Number(0, _), _) | (Takes::Text { one_of: None, .. }, _) => return Some(Some(place)),
            (Takes::Number(..) | Takes::Text { .. } | Takes::Boolean | Takes::Instant, _) => {
                "is no id: an id is an integer or a text."
            }
        };
        self.of(item, format!("column `{}` cannot be the person: it {why}", names[place]), "");
        None
    }
}
