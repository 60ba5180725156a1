//! Sessions: who is signed in at each minute, and who is at the end.

use crate::{DAY_MS, MINUTE_MS};
use hashbrown::HashMap;
use std::collections::BTreeMap;

const TIMEOUT_MS: i64 = DAY_MS;

/// A row of `session_metrics`.
pub struct Minute {
    pub at: i64,
    pub active: i64,
    pub completed: i64,
    pub completed_ms: i64,
    pub average_completed_ms: Option<i64>,
    pub average_age_ms: Option<i64>,
}

/// A row of `active_sessions`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Open {
    pub user: u32,
    pub since: i64,
}

/// What changes at a minute boundary.
#[derive(Clone, Copy, Default)]
struct Change {
    active: i64,
    opened_at: i64,
    completed: i64,
    completed_ms: i64,
}

/// The signs of each user: when, and whether it is a sign-in.
#[derive(Default)]
pub struct Sessions {
    signs: HashMap<u32, Vec<(i64, bool)>>,
    last: Option<i64>,
}

impl Sessions {
    pub fn add(&mut self, user: u32, at: i64, is_in: bool) {
        self.signs.entry(user).or_default().push((at, is_in));
        self.last = self.last.max(Some(at));
    }

    /// `opened_by` hears of the user of each session.
    pub fn rows(mut self, watermark: i64, mut opened_by: impl FnMut(u32)) -> (Vec<Minute>, Vec<Open>) {
        let (mut changes, mut open) = (BTreeMap::<i64, Change>::new(), Vec::new());
        for (&user, signs) in &mut self.signs {
            // A sign-out comes before a sign-in of the same instant.
            signs.sort_unstable();
            let mut opened: Option<i64> = None;
            for &(at, is_in) in signs.iter() {
                match opened {
                    Some(since) if is_in && at >= since + TIMEOUT_MS => {
                        end(&mut changes, since, None);
                        opened_by(user);
                        opened = Some(at);
                    }
                    None if is_in => {
                        opened_by(user);
                        opened = Some(at);
                    }
                    Some(since) if !is_in => {
                        end(&mut changes, since, Some(at).filter(|at| *at <= since + TIMEOUT_MS));
                        opened = None;
                    }
                    _ => {}
                }
            }
            if let Some(since) = opened {
                end(&mut changes, since, None);
                if since + TIMEOUT_MS > watermark {
                    open.push(Open { user, since });
                }
            }
        }
        open.sort_unstable();
        // At the watermark nothing more is known: the last boundary is at or before it.
        (minutes(&changes, self.last.map_or(0, |_| watermark.div_euclid(MINUTE_MS) * MINUTE_MS)), open)
    }
}

fn end(changes: &mut BTreeMap<i64, Change>, opened: i64, closed: Option<i64>) {
    let boundary = |at: i64| (at + MINUTE_MS - 1).div_euclid(MINUTE_MS) * MINUTE_MS;
    let begins = changes.entry(boundary(opened)).or_default();
    begins.active += 1;
    begins.opened_at += opened;
    let ends = changes.entry(boundary(closed.unwrap_or(opened + TIMEOUT_MS))).or_default();
    ends.active -= 1;
    ends.opened_at -= opened;
    ends.completed += i64::from(closed.is_some());
    ends.completed_ms += closed.map_or(0, |closed| closed - opened);
}

fn minutes(changes: &BTreeMap<i64, Change>, until: i64) -> Vec<Minute> {
    let (mut rows, mut now) = (Vec::new(), Change::default());
    let mut changes = changes.iter().peekable();
    while let Some((&from, change)) = changes.next() {
        let before = now;
        now.active += change.active;
        now.opened_at += change.opened_at;
        now.completed += change.completed;
        now.completed_ms += change.completed_ms;
        let next = changes.peek().map_or(i64::MAX, |(next, _)| **next);
        let mut at = from;
        while at < next && at <= until {
            let is_news = at == from && (now.active != before.active || now.completed != before.completed);
            if now.active == 0 && !is_news {
                break;
            }
            let mean = |sum: i64, of: i64| (of > 0).then(|| (2 * sum + of).div_euclid(2 * of));
            rows.push(Minute {
                at,
                active: now.active,
                completed: now.completed,
                completed_ms: now.completed_ms,
                average_completed_ms: mean(now.completed_ms, now.completed),
                average_age_ms: mean(now.active * at - now.opened_at, now.active),
            });
            at += MINUTE_MS;
        }
    }
    rows
}
