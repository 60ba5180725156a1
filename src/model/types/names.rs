//! Names of tables and columns.

/// Words that SQLite, DuckDB or Snowflake keep for themselves, and what our own tables and copies call their columns.
const RESERVED: &str = "
    account add all alter analyse analyze and anti any array as asc asof asymmetric at authorization autoincrement
    begin between binary both by case cast check collate collation column commit concurrently connect connection
    constraint create cross current current_catalog current_date current_role current_schema current_time
    current_timestamp current_user database default deferrable delete desc describe distinct do drop else end escape
    except exclude exists explain false fetch following for foreign freeze from full generated glob grant group
    gscluster having if ilike in increment index indexed initially inner insert intersect into is isnull issue join
    key lambda late lateral leading left like limit localtime localtimestamp map match minus natural not nothing
    notnull null of offset on only or order organization outer over overlaps pivot placing positional primary
    qualify references regexp returning revoke right rlike rollback row rowid rows sample schema select semi
    session_user set show similar some start summarize symmetric table tablesample then to trailing transaction
    trigger true try_cast union unique unpivot update user using values variadic verbose view virtual when whenever
    where window with without
";

/// The longest name.
const LONGEST: usize = 60;

/// Why a name cannot be one, if it cannot.
pub fn wrong(name: &str) -> Option<String> {
    if name.starts_with('_') {
        return Some("begins with `_`, which is for our own columns".to_owned());
    }
    let is_letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !name.bytes().all(is_letters) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some("is no name: names are lower case letters, digits and `_`, with a letter first".to_owned());
    }
    if name.len() > LONGEST {
        return Some(format!("is longer than {LONGEST} letters"));
    }
    RESERVED
        .split_whitespace()
        .any(|word| word == name)
        .then(|| "is a word of SQL in some database, or one of ours".to_owned())
}

/// Which of some names was perhaps meant.
pub fn meant<'n>(unknown: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = |name: &'n str| (strsim::osa_distance(unknown, name), name);
    let nearest = names.into_iter().map(near).min_by_key(|(distance, _)| *distance);
    nearest.filter(|(distance, name)| *distance <= 1 + name.chars().count() / 4).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        assert!(RESERVED.split_whitespace().is_sorted());
        for name in ["day", "revenue_2", "is_final", "date", "value"] {
            assert_eq!(wrong(name), None, "{name}");
        }
        for name in ["", "_x", "Day", "2x", "größe", "a b", "at", "late", &"a".repeat(61)] {
            assert!(wrong(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_near_was_meant() {
        assert_eq!(meant("user", ["brand", "user_id", "users"]), Some("users"));
        assert_eq!(meant("category", ["brand", "price"]), None);
    }
}
