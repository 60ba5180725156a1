//! Whether an epoch gave what its case says, and where it did not.

use super::Said;
use dataflows::table::TableId;
use std::collections::BTreeSet;

/// A line of the difference between what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Expected and found.
    Both(Said),
    /// Expected, and not found.
    Expected(Said),
    /// Found, and not expected.
    Found(Said),
}

/// Whether what was found is what was expected. Rows may be expected in any order; what is said of a record that is
/// rejected or late may end early.
pub fn agrees(expected: &[Said], found: &[Said]) -> bool {
    let tables: BTreeSet<_> = expected.iter().chain(found).filter_map(Said::table).collect();
    let of = |said: &[Said], id| said.iter().filter(|said| said.table() == id).cloned().collect::<Vec<_>>();
    let rows = |id: TableId| rows_agree(of(expected, Some(id)), of(found, Some(id)));
    let (records, others) = (of(expected, None), of(found, None));
    tables.into_iter().all(rows)
        && records.len() == others.len()
        && records.iter().zip(&others).all(|(expected, found)| is_same(expected, found))
}

fn rows_agree(mut expected: Vec<Said>, mut found: Vec<Said>) -> bool {
    let more = expected.iter().enumerate().find_map(|(place, said)| match said {
        Said::More(_, more) => Some((place, *more)),
        Said::Upsert(..) | Said::Delete(..) | Said::Rejected(_) | Said::Late(_) => None,
    });
    let Some((place, more)) = more else {
        expected.sort();
        found.sort();
        return expected == found;
    };
    // Those before and those behind stand in the order of the key.
    let behind = &expected[place + 1..];
    found.len() == place + more + behind.len()
        && expected[..place] == found[..place]
        && *behind == found[found.len() - behind.len()..]
}

fn is_same(expected: &Said, found: &Said) -> bool {
    match (expected, found) {
        (Said::Rejected(expected), Said::Rejected(found)) | (Said::Late(expected), Said::Late(found)) => {
            found.starts_with(expected)
        }
        (expected, found) => expected == found,
    }
}

fn is_of_one_key(one: &Said, other: &Said) -> bool {
    let key = |said: &Said| match said {
        Said::Upsert(id, cells) | Said::Delete(id, cells) => Some((*id, cells[..id.table().key_columns].to_vec())),
        Said::More(..) | Said::Rejected(_) | Said::Late(_) => None,
    };
    key(one).is_some_and(|key_of_one| key(other) == Some(key_of_one))
}

/// What was expected beside what was found, as few lines apart as can be.
pub fn difference(expected: &[Said], found: &[Said]) -> Vec<Line> {
    let mut expected = expected.to_vec();
    if !expected.iter().any(|said| matches!(said, Said::More(..))) {
        // In the order in which they were found, a row of another content where that of its key was.
        let place = |said: &Said| {
            let same = found.iter().position(|found| is_same(said, found));
            same.or_else(|| found.iter().position(|found| is_of_one_key(said, found))).unwrap_or(usize::MAX)
        };
        expected.sort_by_key(place);
    }
    // How many lines are the same from here on.
    let mut same = vec![vec![0; found.len() + 1]; expected.len() + 1];
    for (one, said) in expected.iter().enumerate().rev() {
        for (other, found) in found.iter().enumerate().rev() {
            same[one][other] = match is_same(said, found) {
                true => same[one + 1][other + 1] + 1,
                false => same[one + 1][other].max(same[one][other + 1]),
            };
        }
    }
    let (mut one, mut other, mut lines) = (0, 0, Vec::new());
    while one < expected.len() || other < found.len() {
        match (expected.get(one), found.get(other)) {
            (Some(said), Some(is)) if is_same(said, is) => {
                lines.push(Line::Both(is.clone()));
                (one, other) = (one + 1, other + 1);
            }
            // A row of another content stands before the one that was found of its key.
            (Some(said), is)
                if is.is_none()
                    || same[one + 1][other] > same[one][other + 1]
                    || same[one + 1][other] == same[one][other + 1]
                        && !found[other + 1..].iter().any(|found| is_of_one_key(said, found)) =>
            {
                lines.push(Line::Expected(said.clone()));
                one += 1;
            }
            (_, Some(is)) => {
                lines.push(Line::Found(is.clone()));
                other += 1;
            }
            (_, None) => break,
        }
    }
    lines
}
