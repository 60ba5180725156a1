//! What a family was, and what it is now: which changes of its file leave what was read before as it is.

use super::events::{self, Events};
use dataflows::declared::plan::{Column, Family};

/// Whether the file of a family may take the place of one that was read before: its columns are those that there were, and
/// perhaps more behind them. What a column takes may change: that says what is accepted from now on.
///
/// # Errors
/// What may not change and did, for people.
pub fn grown(name: &str, before: &str, now: &str) -> Result<(), String> {
    let (Ok(before), Ok(now)) = (events::read(name, before), events::read(name, now)) else {
        return Err(format!("what `{name}.toml` declared before cannot be read any more"));
    };
    let (Events { family: before, .. }, Events { family: now, .. }) = (before, now);
    let Family { columns, time, person, once, .. } = &now;
    let called = |place: Option<usize>, of: &Family| place.map(|place| of.columns[place].name.clone());
    if called(Some(before.time), &before) != called(Some(*time), &now) {
        return Err(format!("which column is the time of `{name}`"));
    }
    if called(before.person, &before) != called(*person, &now) {
        return Err(format!("which column says whose an event of `{name}` is"));
    }
    let is_same = |was: &Column, is: &Column| (&was.name, was.ty, was.nullable) == (&is.name, is.ty, is.nullable);
    for (place, was) in before.columns.iter().enumerate() {
        match columns.get(place) {
            Some(is) if is_same(was, is) => {}
            _ => return Err(format!("column `{}` of `{name}` (its name, its place, its type or `null`)", was.name)),
        }
    }
    let added = &columns[before.columns.len()..];
    if let Some(column) = added.iter().find(|column| !column.nullable) {
        let column = &column.name;
        return Err(format!(
            "column `{column}` of `{name}` is new, and the rows of before have none: give it `null = true`"
        ));
    }
    if before.once != *once {
        let why = if added.is_empty() { "`once`" } else { "a new column, with `once = \"everything\"`," };
        return Err(format!("by which columns an event of `{name}` is known again ({why})"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "doc = \"One row per play.\"\ntopics = [\"plays\"]\ntime = \"played_at\"\nperson = \"who\"\n\
        [columns.played_at]\ntype = \"instant\"\ndoc = \"When, UTC.\"\n\
        [columns.who]\ntype = \"integer\"\nmin = 1\ndoc = \"Who.\"\n\
        [columns.what]\ntype = \"text\"\none_of = [\"song\", \"film\"]\ndoc = \"What.\"\n";

    fn said(change: impl Fn(&str) -> String) -> Result<(), String> {
        grown("plays", BEFORE, &change(BEFORE))
    }

    #[test]
    fn what_is_accepted_may_change_and_what_was_kept_may_not() {
        let more = "[columns.where_to]\ntype = \"text\"\nnull = true\ndoc = \"Where to.\"\n";
        assert_eq!(said(str::to_owned), Ok(()));
        assert_eq!(said(|text| text.replace("\"film\"", "\"film\", \"talk\"")), Ok(()));
        assert_eq!(said(|text| text.replace("min = 1", "min = 5\nfrom = \"user\"")), Ok(()));
        assert_eq!(said(|text| text.replace("topics = [\"plays\"]", "topics = [\"a\", \"b\"]")), Ok(()));
        assert_eq!(said(|text| format!("{text}{more}")), Ok(()));
        for (changed, part) in [
            (said(|text| text.replace("type = \"integer\"\nmin = 1", "type = \"text\"")), "column `who` of `plays`"),
            (said(|text| text.replace("[columns.what]", "[columns.which]")), "column `what` of `plays`"),
            (said(|text| text.replace("doc = \"What.\"", "doc = \"What.\"\nnull = true")), "column `what`"),
            (said(|text| format!("{text}{}", more.replace("null = true\n", ""))), "give it `null = true`"),
            (said(|text| text.replace("person = \"who\"", "person = \"none\"")), "whose an event"),
            (said(|text| text.replace("time =", "once = \"everything\"\ntime =")), "known again (`once`)"),
        ] {
            let why = changed.expect_err(part);
            assert!(why.contains(part), "{why}");
        }
        let once = BEFORE.replace("time =", "once = \"everything\"\ntime =");
        let why = grown("plays", &once, &format!("{once}{more}")).expect_err("another event");
        assert!(why.contains("a new column, with `once"), "{why}");
    }
}
