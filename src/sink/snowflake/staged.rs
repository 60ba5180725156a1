//! What is staged for a commit. It stays for the next attempt of the same commit, whatever the attempt failed of: a
//! commit of many parts may take longer than a session may last.

use crate::sink::{Claim, Commit};
use dataflows::Time;
use dataflows::table::TableId;
use rsa::sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The parts of one commit that Snowflake has said it holds.
#[derive(Debug, Default)]
pub(super) struct Staged {
    of: Option<(Claim, Time, Time)>,
    /// How many commits there were: names of parts are in their order.
    commits: u64,
    batch: String,
    tried: u64,
    /// By table and place in it: what the part holds, and the name it is staged under.
    parts: BTreeMap<(TableId, usize), (Vec<u8>, String)>,
}

impl Staged {
    /// Begins an attempt of a commit. Tells whether parts of another one are there, which nobody will merge.
    pub(super) fn begin(&mut self, claim: &Claim, commit: &Commit) -> bool {
        let of = Some((claim.clone(), commit.follows, commit.epoch));
        if self.of == of {
            return false;
        }
        let is_left = !self.parts.is_empty();
        self.clear();
        let batch = format!("{}-{}", self.first_name(claim), uuid::Uuid::new_v4().simple());
        (self.of, self.batch) = (of, batch);
        is_left
    }

    /// Forgets everything: the commit is made, or what was staged is gone.
    pub(super) fn clear(&mut self) {
        *self = Staged { commits: self.commits + 1, ..Staged::default() };
    }

    /// Before what is staged for the commit that is being made or comes next, and after all of earlier ones and of
    /// earlier starts.
    pub(super) fn first_name(&self, claim: &Claim) -> String {
        format!("<{:016x}-{:016x}", claim.generation, self.commits)
    }

    /// The name a part is staged under, if it is.
    pub(super) fn name_of(&self, table: TableId, at: usize, part: &str) -> Option<&str> {
        let (holds, name) = self.parts.get(&(table, at))?;
        (holds[..] == Sha256::digest(part)[..]).then_some(name)
    }

    /// A name for a part that is about to be sent. Another one each time: one whose INSERT was not answered may be there
    /// too, or come later, and is not merged. The brackets keep one name from being part of another.
    pub(super) fn new_name(&mut self) -> String {
        self.tried += 1;
        format!("{}-{}>", self.batch, self.tried)
    }

    /// A part is there.
    pub(super) fn put(&mut self, table: TableId, at: usize, part: &str, name: String) {
        self.parts.insert((table, at), (Sha256::digest(part).to_vec(), name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::table;
    use crate::lanes::Watermarks;

    fn commit(epoch: Time) -> Commit {
        let (deltas, appends, positions) = Default::default();
        Commit {
            follows: 0,
            epoch,
            clock_ms: 0,
            watermarks: Watermarks::NONE,
            positions,
            deltas,
            appends,
            clean: BTreeMap::new(),
            archived: Vec::new(),
            pieces: Vec::new(),
        }
    }

    #[test]
    fn parts_are_kept_for_the_same_commit_and_the_same_rows_only() {
        let claim = Claim { pipeline_id: "p".to_owned(), generation: 2 };
        let mut staged = Staged::default();
        assert!(!staged.begin(&claim, &commit(2)));
        let (first, second) = (staged.new_name(), staged.new_name());
        assert!(!first.contains(&second) && !second.contains(&first));
        staged.put(table("users"), 0, "rows", second.clone());
        assert!(!staged.begin(&claim, &commit(2)));
        assert_eq!(staged.name_of(table("users"), 0, "rows"), Some(&second[..]));
        assert_eq!(staged.name_of(table("users"), 0, "other rows"), None);
        assert_eq!(staged.name_of(table("users"), 1, "rows"), None);
        let later = Claim { generation: 3, ..claim.clone() };
        assert!(staged.begin(&later, &commit(2)), "of another claim");
        staged.put(table("users"), 0, "rows", second.clone());
        assert!(staged.begin(&later, &commit(4)), "of another epoch");
        assert_eq!(staged.name_of(table("users"), 0, "rows"), None);
        // What is removed after a commit, should the statement come late, is that commit's and no later one's.
        let third = staged.new_name();
        assert!(second < staged.first_name(&later) && staged.first_name(&later) < third);
        staged.clear();
        let first_of_next = staged.first_name(&later);
        assert!(third < first_of_next);
        assert!(!staged.begin(&later, &commit(6)), "nothing is left");
        assert!(first_of_next < staged.new_name());
    }
}
