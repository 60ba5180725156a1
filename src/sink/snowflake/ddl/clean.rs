//! Clean events: views over the raw tables, in the schema of the layer. They cost nothing, and are right at any time.
//!
//! Of events that are repeated one is there, if their family says by what they are known again; each event that is late is
//! there, and says so.

use super::{Layer, Names, literal, name, views_of};
use crate::families;
use dataflows::family::Catalogue;
use dataflows::raw::LATE_EVENTS;
use dataflows::table::{Column, TableId};

/// What the comment of such a view ends with, behind a print of what it selects: so it is known again, and known to have
/// changed.
const CLEAN: &str = "(clean events, ";

/// A view, as it must be.
struct View {
    table: &'static str,
    comment: String,
    select: String,
}

/// The columns by which the events of a raw table are known again where those that are repeated count once: as its family
/// declares it, or all, where all events count once.
fn once(id: TableId, counts_once: bool) -> Option<Vec<usize>> {
    let table = id.table();
    match families::declared().iter().find(|loaded| loaded.family.raw_table() == id) {
        Some(loaded) => loaded.family.plan().once.as_ref().map(|once| once.of.clone()),
        // What never grows old is a state, and no event.
        None if counts_once && table.age().is_some() => Some((0..table.columns.len() - table.key_columns).collect()),
        None => None,
    }
}

/// The statement that selects the clean events of a raw table.
fn select(names: &Names, id: TableId, once: Option<&[usize]>) -> String {
    let table = id.table();
    let (key, own) = table.columns.split_at(table.key_columns);
    let (raw, late, is_late) = (names.table(id), names.table(LATE_EVENTS), name("_late"));
    let of = |columns: &mut dyn Iterator<Item = &Column>, alias: &str| -> Vec<String> {
        columns.map(|column| format!("{alias}{}", name(column.name))).collect()
    };
    let same = key.iter().map(|column| format!("_l.{0} = _e.{0}", name(column.name))).collect::<Vec<_>>().join(" AND ");
    let lies = key.first().map(|column| format!("_l.{} IS NOT NULL AS {is_late}", name(column.name)));
    let lies = lies.unwrap_or_default();
    let joined = format!("FROM {raw} AS _e\nLEFT JOIN {late} AS _l ON {same}");
    let Some(once) = once else {
        return format!("SELECT {}, {lies}\n{joined}", of(&mut own.iter(), "_e.").join(", "));
    };
    let (epoch, places) = (name("_epoch"), own.iter().enumerate());
    let (known, others): (Vec<_>, Vec<_>) = places.partition(|(place, _)| once.contains(place));
    let known = of(&mut known.into_iter().map(|(_, column)| column), "");
    // The first that came, and of those the least: as metrics take it.
    let order = of(&mut others.into_iter().map(|(_, column)| column), "");
    let order = order.into_iter().map(|column| format!("{column} NULLS FIRST"));
    let order = std::iter::once(epoch.clone()).chain(order).collect::<Vec<_>>().join(", ");
    let inner = format!("SELECT {}, _e.{epoch}, {lies}\n{joined}", of(&mut own.iter(), "_e.").join(", "));
    format!(
        "WITH _events AS (\n    {}\n)\nSELECT {}, {is_late}\nFROM _events\n\
         QUALIFY {is_late} OR ROW_NUMBER() OVER (PARTITION BY {}, {is_late} ORDER BY {order}) = 1",
        inner.replace('\n', "\n    "),
        of(&mut own.iter(), "").join(", "),
        known.join(", ")
    )
}

fn views(catalogue: Catalogue, names: &Names, counts_once: bool) -> impl Iterator<Item = View> {
    catalogue.raw().map(move |id| {
        let select = select(names, id, once(id, counts_once).as_deref());
        let doc = format!("Clean events of `{}`: once, and whether they came too late.", id.name());
        let print = crc32fast::hash(format!("{select}{doc}").as_bytes());
        View { table: id.name(), comment: format!("{doc} {CLEAN}{print:08x})"), select }
    })
}

fn named(names: &Names, table: &str) -> String {
    format!("{}.{}", names.schema(Layer::Clean), name(table))
}

/// The statements that make them where there are none. Their tables must be there.
pub(super) fn create(catalogue: Catalogue, names: &Names) -> impl Iterator<Item = String> {
    views(catalogue, names, false).map(|View { table, comment, select }| {
        format!("CREATE VIEW IF NOT EXISTS {} COMMENT = {} AS\n{select}", named(names, table), literal(&comment))
    })
}

/// Asks which there are.
pub fn ask(names: &Names) -> String {
    views_of(names, Layer::Clean, CLEAN)
}

/// The statements that bring them to what they should be, given those that there are, as [`ask`] tells them.
/// `counts_once` says that events count once also where no family declares it.
pub fn changed(catalogue: Catalogue, names: &Names, counts_once: bool, there: &[(String, String)]) -> Vec<String> {
    let wanted: Vec<_> = views(catalogue, names, counts_once).collect();
    let is_wanted = |view: &str| wanted.iter().any(|wanted| wanted.table.to_uppercase() == view);
    let left = there.iter().filter(|(view, _)| !is_wanted(view));
    let drops: Vec<_> = left.map(|(view, _)| format!("DROP VIEW IF EXISTS {}", named(names, view))).collect();
    let is_same = |wanted: &View| {
        there.iter().any(|(view, comment)| *view == wanted.table.to_uppercase() && *comment == wanted.comment)
    };
    let makes = wanted.iter().filter(|wanted| !is_same(wanted)).map(|View { table, comment, select }| {
        let (view, comment) = (named(names, table), literal(comment));
        format!("CREATE OR REPLACE VIEW {view} COPY GRANTS COMMENT = {comment} AS\n{select}")
    });
    drops.into_iter().chain(makes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::snowflake::Snowflake as Config;
    use crate::families::{all, table};

    #[test]
    fn of_events_that_are_repeated_one_is_selected_and_each_that_is_late() {
        let names = Names::new(&Config::default());
        let id = table("rating_events");
        let each = select(&names, id, None);
        assert!(each.starts_with(r#"SELECT _e."EVENT_NAME", _e."TIMESTAMP", "#), "{each}");
        let joined = r#"FROM "DELTAMART"."RAW"."RATING_EVENTS" AS _e
LEFT JOIN "DELTAMART"."RAW"."LATE_EVENTS" AS _l ON _l."_TOPIC" = _e."_TOPIC" AND "#;
        assert!(each.contains(joined) && !each.contains("QUALIFY"), "{each}");
        let by_some = select(&names, id, Some(&[1, 2]));
        let ends = r#"QUALIFY "_LATE" OR ROW_NUMBER() OVER (PARTITION BY "TIMESTAMP", "USER_ID", "_LATE" ORDER BY "_EPOCH", "EVENT_NAME" NULLS FIRST, "ITEM_ID" NULLS FIRST, "RATING" NULLS FIRST) = 1"#;
        assert!(by_some.ends_with(ends), "{by_some}");
    }

    #[test]
    fn views_are_made_where_they_are_missing_or_others_and_go_with_their_tables() {
        let names = Names::new(&Config::default());
        let changed = |counts_once, there: &[(String, String)]| changed(all(), &names, counts_once, there);
        let made = changed(false, &[]);
        assert_eq!(made.len(), all().raw().count());
        // As the database tells them.
        let tell = |made: &[String]| -> Vec<(String, String)> {
            let tell = |statement: &String| {
                let view = statement.split(r#""CLEAN".""#).nth(1).and_then(|rest| rest.split('"').next());
                let comment = statement.split("COMMENT = '").nth(1).and_then(|rest| rest.split("' AS").next());
                (view.expect("a view").to_owned(), comment.expect("a comment").to_owned())
            };
            made.iter().map(tell).collect()
        };
        let mut there = tell(&made);
        assert_eq!(changed(false, &there), Vec::<String>::new());
        // The catalog's versions are states.
        assert_eq!(changed(true, &there).len(), made.len() - 1);
        there.push(("PLAYS".to_owned(), there[0].1.clone()));
        assert_eq!(changed(false, &there), [r#"DROP VIEW IF EXISTS "DELTAMART"."CLEAN"."PLAYS""#]);
    }
}
