//! What somebody may have meant who wrote a name that nobody knows: only said, never read.

use super::sounds_like;

/// Longer names are compared by their letters alone.
const BYTES_MAX: usize = 64;

/// Of the names that are known the one that was meant, if one is near enough: the same words joined otherwise, one
/// letter in four wrong at the most, in any case.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let mut best: Option<(usize, &str)> = None;
    for known in known {
        if sounds_like(name, known) {
            return Some(known);
        }
        let most = known.chars().count() / 4;
        if most == 0 || name.len() > BYTES_MAX || name.len().abs_diff(known.len()) > 4 * most {
            continue;
        }
        let steps = steps(&letters(name), &letters(known));
        if steps <= most && best.is_none_or(|(least, _)| steps < least) {
            best = Some((steps, known));
        }
    }
    best.map(|(_, known)| known)
}

fn letters(name: &str) -> Vec<char> {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How many letters are left out, put in, wrong, or changed places with their neighbours.
fn steps(from: &[char], to: &[char]) -> usize {
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    rows[0] = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        rows[i + 1][0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let mut least = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(rows[i + 1][j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            rows[i + 1][j + 1] = least;
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_meant_and_nothing_else() {
        let known = ["user_id", "item_id", "sign_in", "sign_out", "item_view", "item_rating", "age", "timestamp"];
        for (name, meant) in [
            ("userId", Some("user_id")),
            ("User-ID", Some("user_id")),
            ("item_views", Some("item_view")),
            ("itme_view", Some("item_view")),
            ("sing_in", Some("sign_in")),
            ("signin", Some("sign_in")),
            ("timestmap", Some("timestamp")),
            ("time_stamp", Some("timestamp")),
            ("ages", None),
            ("time", None),
            ("user", None),
            ("id", None),
            ("dance", None),
            ("", None),
            (&"user_id".repeat(20), None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
