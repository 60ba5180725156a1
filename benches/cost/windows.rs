//! Distinct users per tumbling hour and per sliding hour.

use crate::MINUTE_MS;
use hashbrown::{HashMap, HashSet};

const HOUR_MS: i64 = 60 * MINUTE_MS;
const SLIDE_MS: i64 = 15 * MINUTE_MS;

/// A row of `user_registration_metrics` or `checkout_metrics`.
pub struct Row {
    pub window_type: &'static str,
    pub start: i64,
    pub end: i64,
    pub users: i64,
    pub is_final: bool,
}

/// Who was seen in which quarter of an hour.
#[derive(Default)]
pub struct Windows {
    quarters: HashMap<i64, HashSet<u32>>,
}

impl Windows {
    pub fn add(&mut self, at: i64, user: u32) {
        self.quarters.entry(at.div_euclid(SLIDE_MS)).or_default().insert(user);
    }

    /// Windows of which the end is at or before `final_until` are final.
    pub fn rows(&self, final_until: i64) -> Vec<Row> {
        let mut starts: Vec<i64> =
            self.quarters.keys().flat_map(|quarter| (0..4).map(move |back| quarter - back)).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut rows = Vec::new();
        for window_type in ["sliding", "tumbling"] {
            for first in starts.iter().filter(|first| window_type == "sliding" || *first % 4 == 0) {
                let users: HashSet<u32> =
                    (*first..first + 4).filter_map(|quarter| self.quarters.get(&quarter)).flatten().copied().collect();
                let start = first * SLIDE_MS;
                let (end, users) = (start + HOUR_MS, users.len() as i64);
                rows.push(Row { window_type, start, end, users, is_final: end <= final_until });
            }
        }
        rows
    }
}
