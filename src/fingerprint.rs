//! What the tables mean, name by name: when something of it changes, state and rows of before do not
//! fit what is computed from now on.
//!
//! A table means what its SQL says, and the SQL of what that reads. So the settings that a table is computed by are the
//! parameters of those. A few more are in every print: how late something may be decides for all
//! tables what was counted, and no SQL says it. What a table has nothing to do with may change.

use crate::families::SHOP;
use crate::instant::span;
use crate::specification::raw::{without_comments, words};
use crate::specification::reads;
use dataflows::family::{Catalogue, Configured, FamilyId};
use dataflows::table::{Column, Table, TableId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The version of how records are read: raised when the same records would give other rows. State of before is then
/// refused, and computed again with `--rebuild`.
const READING: u32 = 3;

/// What stands for a print that is not there.
const NONE: &str = "none";

/// The name under which it stands up to when a run takes history into its tables.
pub const BACKFILL: &str = "setting backfill until";

/// What stands before the name of a table that was begun when old events were not kept any more. It is no setting: it stays
/// as it was, until the table is computed again.
const SINCE: &str = "since ";

/// From when on tables of a family are whole, as prints say.
pub fn since(prints: &BTreeMap<String, String>, family: FamilyId) -> BTreeMap<TableId, i64> {
    let since = |id: TableId| prints.get(&format!("{SINCE}{}{}", prefix(family), id.name()))?.parse().ok();
    family.metrics().into_iter().filter_map(|(id, _)| Some((id, since(id)?))).collect()
}

/// The name under which it stands how prints are made.
const MADE: &str = "how prints are made";

/// What the prints of tables were before it stood there how they are made: of every table all pieces were part.
const TABLES_BEFORE: [(&str, &str); 11] = [
    ("active_sessions", "ade2896d"),
    ("checkout_metrics", "c37a6e4e"),
    ("movie_sale_lines", "de102dc0"),
    ("movie_sales_metrics", "aafbe17e"),
    ("movie_statistics", "c8925c3a"),
    ("movies_catalog", "beea1670"),
    ("session_metrics", "7f60fd83"),
    ("user_activity", "821ce7f8"),
    ("user_registration_metrics", "ae4cbbbd"),
    ("user_segments", "a6c0a12f"),
    ("users", "105efcb7"),
];

/// Settings that rows or state depend on, and what each table says.
pub fn of(catalogue: Catalogue, families: &[Arc<dyn Configured>]) -> BTreeMap<String, String> {
    let limit = |ms: Option<i64>| ms.map_or("unlimited".to_owned(), |ms| ms.to_string());
    let mut prints = BTreeMap::new();
    prints.insert(MADE.to_owned(), "2".to_owned());
    // Which bytes are which source, what a value says, and what is late.
    prints.insert("how records are read".to_owned(), READING.to_string());
    for family in families {
        let (lane, prefix) = (family.lane(), prefix(family.family()));
        let mut settings = vec![
            ("lateness_ms", limit(lane.lateness_ms)),
            ("whole_input", u8::from(lane.whole_input).to_string()),
            ("raw", if lane.raw { "on" } else { "off" }.to_owned()),
        ];
        settings.extend(family.unnamed().into_iter().map(|(name, ms)| (name, limit(ms))));
        settings.extend(family.worded().into_iter().map(|(name, word)| (name, word.to_owned())));
        for (name, value) in settings {
            prints.insert(format!("setting {prefix}{name}"), value);
        }
        // The watermark is not a setting: it is what the parameters are asked at.
        let parameters: BTreeMap<_, _> =
            family.parameters(0).into_iter().filter(|(name, _)| *name != ":watermark").collect();
        for id in kept(&**family) {
            let texts = sql_of(catalogue, id);
            for (name, value) in &parameters {
                let named = name.trim_start_matches(':');
                if texts.iter().any(|sql| words(sql).any(|word| word == named)) {
                    prints.entry(format!("setting {prefix}{named}")).or_insert_with(|| value.to_string());
                }
            }
            let shape = shape(id.table());
            let texts: Vec<&str> = texts.iter().map(String::as_str).chain([shape.as_str()]).collect();
            prints.insert(format!("table {prefix}{}", id.name()), hash(&texts));
            if let Some(since) = lane.since.get(&id) {
                prints.insert(format!("{SINCE}{prefix}{}", id.name()), since.to_string());
            }
        }
    }
    prints
}

/// What stands before the name of a setting or a table: the family, but of the one that all were of before any was named.
fn prefix(family: FamilyId) -> String {
    if family == SHOP { String::new() } else { format!("{}.", family.name()) }
}

fn kept(family: &dyn Configured) -> impl Iterator<Item = TableId> {
    let all = family.family().metrics();
    all.into_iter().map(|(id, _)| id).filter(|id| family.lane().tables.contains(*id))
}

/// The SQL of a metric, and of every piece and metric that it reads, or that one of these does: without comments.
fn sql_of(catalogue: Catalogue, id: TableId) -> Vec<String> {
    let read = reads(catalogue, id);
    let metrics = catalogue.metrics().iter().map(|(id, sql)| (id.name(), *sql));
    let all = catalogue.pieces().iter().copied().chain(metrics).filter(|(name, _)| read.contains(name));
    let mut texts: Vec<_> = all.map(|(name, sql)| format!("{name}\n{}", without_comments(sql))).collect();
    // In whatever order they are found.
    texts.sort();
    texts
}

fn shape(table: &Table) -> String {
    let column = |Column { name, ty, nullable, .. }: &Column| format!("{name} {ty:?} {nullable}");
    let columns: Vec<_> = table.columns.iter().map(column).collect();
    format!("{} {}", table.key_columns, columns.join(", "))
}

fn hash(texts: &[&str]) -> String {
    let mut hash = crc32fast::Hasher::new();
    texts.iter().for_each(|text| hash.update(text.as_bytes()));
    format!("{:08x}", hash.finalize())
}

/// Prints as they would be made today, of those that an earlier version made.
fn as_of_today(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut before = before.clone();
    if before.contains_key(MADE) {
        return before;
    }
    // Every setting stood there, of whatever table.
    before.retain(|name, _| !name.starts_with("setting ") || now.contains_key(name));
    for (table, print) in TABLES_BEFORE {
        let name = format!("table {table}");
        if let (Some(found), Some(today)) = (before.get_mut(&name).filter(|found| *found == print), now.get(&name)) {
            found.clone_from(today);
        }
    }
    before.extend(now.get(MADE).map(|made| (MADE.to_owned(), made.clone())));
    before
}

/// The family that a print names.
fn family_of(print: &str) -> Option<&str> {
    let named = print.strip_prefix("setting ").or_else(|| print.strip_prefix("table "))?;
    Some(named.split_once('.')?.0)
}

/// What a change of what tables mean asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tables that are new, or computed otherwise: what is held of them is of no use.
    pub tables: BTreeSet<TableId>,
    /// Families whose file says something else of their events: what, their files tell.
    pub declared: BTreeSet<String>,
    /// What cannot be mended table by table, for people.
    pub refused: Vec<String>,
}

/// Settings that decide what was counted, for all tables of a family at once: what was read by others is not read again.
const OF_ALL: [&str; 5] = ["lateness_ms", "whole_input", "raw", "catalog_lateness_ms", "events/once"];

/// The setting that stands for what a family's file says of its events.
const DECLARATION: &str = "declaration";

/// What a start asks for that knows these prints, where those stood before. What is kept no more is no obstacle.
pub fn changes(catalogue: Catalogue, before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Changes {
    let before = &as_of_today(before, now);
    let families = |prints: &BTreeMap<String, String>| -> BTreeSet<String> {
        prints.keys().filter_map(|name| family_of(name)).map(str::to_owned).collect()
    };
    let (known, there) = (families(before), families(now));
    // A family that is new has read nothing.
    let is_known = |name: &str| family_of(name).is_none_or(|family| known.contains(family));
    let kept = |family: &str, table: TableId| {
        let prefix = if family == SHOP.name() { String::new() } else { format!("{family}.") };
        now.contains_key(&format!("table {prefix}{}", table.name()))
    };
    let mut changes = Changes::default();
    let names: BTreeSet<_> = before.keys().chain(now.keys()).filter(|name| is_known(name)).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    for name in differing.filter(|name| !name.starts_with(SINCE)) {
        let of = |prints: &BTreeMap<String, String>| prints.get(name).cloned().unwrap_or(NONE.to_owned());
        let family = family_of(name).unwrap_or(SHOP.name());
        let own = name.rsplit(['.', ' ']).next().unwrap_or_default();
        let is_gone = family_of(name).is_some_and(|family| !there.contains(family));
        if own == DECLARATION && !is_gone {
            changes.declared.insert(family.to_owned());
        } else if name.starts_with("table ") && !is_gone {
            changes.tables.extend(catalogue.by_name(own).filter(|table| kept(family, *table)));
        } else if name.starts_with("setting ") && name != BACKFILL && !OF_ALL.contains(&own) && !is_gone {
            let of_family = catalogue.family(family).map(|family| family.metrics()).unwrap_or_default();
            let reads =
                |table: &TableId| sql_of(catalogue, *table).iter().any(|sql| words(sql).any(|word| word == own));
            changes.tables.extend(of_family.into_iter().map(|(id, _)| id).filter(|id| kept(family, *id)).filter(reads));
        } else {
            changes.refused.push(told(name, &of(before), &of(now)));
        }
    }
    changes
}

/// What differs, for people. A family of which nothing stood there is new: its tables begin empty, whatever they mean.
pub fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let before = &as_of_today(before, now);
    let known: BTreeSet<_> = before.keys().filter_map(|name| family_of(name)).collect();
    let is_new = |name: &str| family_of(name).is_some_and(|family| !known.contains(family));
    let now: BTreeMap<_, _> =
        now.iter().filter(|(name, _)| !is_new(name)).map(|(n, p)| (n.clone(), p.clone())).collect();
    let now = &now;
    let of = |prints: &BTreeMap<String, String>, name: &String| prints.get(name).cloned().unwrap_or(NONE.to_owned());
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    let differing = differing.filter(|name| !name.starts_with(SINCE));
    differing.map(|name| told(name, &of(before, name), &of(now, name))).collect()
}

/// A difference in the words of those who made it: settings as they are written, and what else it may have been.
fn told(name: &str, was: &str, is: &str) -> String {
    if let Some(table) = name.strip_prefix("table ") {
        let table = table.rsplit('.').next().unwrap_or(table);
        return match (was, is) {
            (NONE, _) => format!("table `{table}` is new"),
            (_, NONE) => format!("table `{table}` is kept no more"),
            _ => format!("what table `{table}` is computed by"),
        };
    }
    let Some(setting) = name.strip_prefix("setting ") else { return format!("{name} (was {was}, is {is})") };
    if let Some(family) = setting.strip_suffix(".declaration") {
        return format!("what `{family}.toml` declares");
    }
    let Some(span) = setting.strip_suffix("_ms") else {
        return format!("setting `{}` (was {was}, is {is})", setting.replace('/', "."));
    };
    let shown = |ms: &str| ms.parse().map_or_else(|_| ms.to_owned(), span::show);
    format!("setting `{span}` (was {}, is {})", shown(was), shown(is))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{all, table};
    use dataflows::Settings as Lane;
    use dataflows::shop::Settings;
    use dataflows::shop::settings::Thresholds;

    fn keeping(tables: &[&str]) -> Settings {
        let tables = tables.iter().map(|name| table(name)).collect();
        Settings { lane: Lane { tables, ..Lane::default() }, ..Settings::default() }
    }

    fn of(settings: &Settings) -> BTreeMap<String, String> {
        super::of(all(), &[Arc::new(settings.clone())])
    }

    /// The settings whose change is refused, where these tables are kept.
    fn refused(tables: &[&str]) -> Vec<&'static str> {
        let is = |settings: Settings| of(&settings);
        let kept = || keeping(tables);
        let segments = |change: fn(&mut Thresholds)| {
            let mut settings = kept();
            change(&mut settings.segments);
            settings
        };
        let lane = |change: fn(&mut Lane)| {
            let mut settings = kept();
            change(&mut settings.lane);
            settings
        };
        let changed = [
            ("lateness", lane(|lane| lane.lateness_ms = None)),
            ("catalog_lateness", Settings { catalog_lateness_ms: None, ..kept() }),
            ("session_timeout", Settings { session_timeout_ms: Some(1), ..kept() }),
            ("cart_ttl", Settings { cart_ttl_ms: 1, ..kept() }),
            ("price_backfill", Settings { price_backfill_ms: 1, ..kept() }),
            ("frequent_views", segments(|segments| segments.frequent_views = 51)),
            ("abandoned_after", segments(|segments| segments.abandoned_after_ms = 1)),
            ("raw", lane(|lane| lane.raw = false)),
        ];
        changed.into_iter().filter(|(_, settings)| is(settings.clone()) != is(kept())).map(|(name, _)| name).collect()
    }

    #[test]
    fn a_difference_is_told_in_the_words_of_the_settings() {
        for (name, was, is, said) in [
            ("setting lateness_ms", "172800000", "unlimited", "setting `lateness` (was 2days, is unlimited)"),
            ("setting plays.lateness_ms", "3600000", "0", "setting `plays.lateness` (was 1h, is 0s)"),
            ("setting raw", "on", "off", "setting `raw` (was on, is off)"),
            ("setting plays.declaration", "1", "2", "what `plays.toml` declares"),
            ("table users", "aa", "bb", "what table `users` is computed by"),
            ("table plays.plays_per_day", "none", "bb", "table `plays_per_day` is new"),
            ("table users", "aa", "none", "table `users` is kept no more"),
            ("how records are read", "2", "3", "how records are read (was 2, is 3)"),
        ] {
            assert_eq!(told(name, was, is), said);
        }
    }

    #[test]
    fn what_a_table_has_nothing_to_do_with_may_change() {
        let always = |others: &[&'static str]| [&["lateness", "catalog_lateness"], others, &["raw"]].concat();
        assert_eq!(refused(&["users"]), always(&[]));
        assert_eq!(refused(&["active_sessions"]), always(&["session_timeout"]));
        assert_eq!(refused(&["movie_sale_lines"]), always(&["cart_ttl", "price_backfill"]));
        assert_eq!(refused(&["movie_sales_metrics"]), always(&["cart_ttl", "price_backfill"]));
        assert_eq!(refused(&["user_activity"]), always(&["session_timeout", "cart_ttl", "price_backfill"]));
        let segments = ["cart_ttl", "price_backfill", "frequent_views", "abandoned_after"];
        assert_eq!(refused(&["user_segments"]), always(&segments));
    }

    /// What is settled for all tables at once is refused; whatever else a setting changes, is computed again.
    #[test]
    fn a_change_is_of_the_tables_that_mean_something_else_now() {
        let names = |changes: &Changes| changes.tables.iter().map(|table| table.name()).collect::<Vec<_>>();
        let before = keeping(&["users", "active_sessions", "user_activity"]);
        let timeout = Settings { session_timeout_ms: Some(1), ..before.clone() };
        let changes = super::changes(all(), &of(&before), &of(&timeout));
        assert_eq!((names(&changes), &changes.refused), (vec!["active_sessions", "user_activity"], &Vec::new()));
        // One that is new is computed, and one that is gone is let go of.
        let other = keeping(&["users", "session_metrics"]);
        assert_eq!(names(&super::changes(all(), &of(&before), &of(&other))), ["session_metrics"]);
        assert_eq!(super::changes(all(), &of(&before), &of(&before)), Changes::default());
        let every = Configured::unnamed(&before).into_iter().map(|(name, _)| name);
        let once = Settings { once: true, ..before.clone() };
        let of_all: BTreeSet<_> = every.chain(once.worded().into_iter().map(|(name, _)| name)).collect();
        assert!(of_all.iter().all(|name| OF_ALL.contains(name)), "{of_all:?}");
        let lane =
            |lane: Lane| Settings { lane: Lane { tables: before.lane.tables.clone(), ..lane }, ..before.clone() };
        for refused in [
            lane(Lane { lateness_ms: None, ..Lane::default() }),
            lane(Lane { raw: false, ..Lane::default() }),
            lane(Lane { whole_input: true, ..Lane::default() }),
            Settings { catalog_lateness_ms: None, ..before.clone() },
            once,
        ] {
            let changes = super::changes(all(), &of(&before), &of(&refused));
            assert_eq!((changes.refused.len(), names(&changes)), (1, Vec::new()), "{:?}", changes.refused);
        }
        // From when on a table is whole is no meaning: it stays with the state.
        let id = table("users");
        let since = lane(Lane { since: BTreeMap::from([(id, 5)]), ..Lane::default() });
        assert_eq!(super::changes(all(), &of(&since), &of(&before)), Changes::default());
        assert_eq!(super::since(&of(&since), SHOP), BTreeMap::from([(id, 5)]));
        assert_eq!(super::since(&of(&before), SHOP), BTreeMap::new());
    }

    #[test]
    fn a_table_reads_what_its_sql_names_however_far_and_nothing_else() {
        let read = |name: &str| {
            let texts = sql_of(all(), table(name));
            texts.iter().filter_map(|text| text.lines().next().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(read("users"), ["users"]);
        assert_eq!(read("active_sessions"), ["active_sessions", "sessions"]);
        assert_eq!(
            read("movie_sales_metrics"),
            ["cart_parts", "movie_sale_lines", "movie_sales_metrics", "prices", "sold_carts"]
        );
        assert!(sql_of(all(), table("movies_catalog")).iter().all(|sql| !sql.contains("--")));
    }

    #[test]
    fn a_family_that_is_new_is_no_difference_and_one_that_changed_is() {
        let shop = of(&Settings::default());
        let with = |print: &str, lateness: &str| {
            let mut all = shop.clone();
            all.insert("table toys.toy_loans".to_owned(), print.to_owned());
            all.insert("setting toys.lateness_ms".to_owned(), lateness.to_owned());
            all
        };
        assert_eq!(differences(&shop, &with("1", "2")), Vec::<String>::new());
        assert_eq!(differences(&with("1", "2"), &with("1", "3")).len(), 1);
        assert_eq!(differences(&with("1", "2"), &with("3", "2")).len(), 1);
        assert_eq!(differences(&with("1", "2"), &shop).len(), 2, "it is gone, and its rows are not");
    }

    #[test]
    fn what_an_earlier_version_wrote_means_the_same() {
        let now = of(&Settings::default());
        let mut before: BTreeMap<String, String> = now.clone();
        before.remove(MADE);
        for (table, print) in TABLES_BEFORE {
            before.insert(format!("table {table}"), print.to_owned());
        }
        assert_eq!(differences(&before, &now), Vec::<String>::new());
        // All its settings stood there, whatever was kept.
        let users = of(&keeping(&["users"]));
        before.retain(|name, _| !name.starts_with("table ") || name == "table users");
        assert_eq!(differences(&before, &users), Vec::<String>::new());
        before.insert("table users".to_owned(), "00000000".to_owned());
        assert_eq!(differences(&before, &users).len(), 1);
        before.insert("setting lateness_ms".to_owned(), "1".to_owned());
        assert_eq!(differences(&before, &users).len(), 2);
    }
}
