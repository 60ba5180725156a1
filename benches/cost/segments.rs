//! The segment of each user at the watermark, and since when: the table `user_segments`.

use crate::DAY_MS;
use crate::sales::{CHECKOUT, Step};

/// The defaults of the configuration.
const HIGH_VALUE_CENTS: i64 = 20_000;
const HIGH_VALUE_WITHIN_MS: i64 = 30 * DAY_MS;
const ABANDONED_CARTS: i64 = 3;
const ABANDONED_AFTER_MS: i64 = DAY_MS;
const ABANDONED_WITHIN_MS: i64 = 30 * DAY_MS;
const FREQUENT_VIEWS: i64 = 50;
const FREQUENT_WITHIN_MS: i64 = 7 * DAY_MS;
const NEW_WITHIN_MS: i64 = 7 * DAY_MS;
const INACTIVE_AFTER_MS: i64 = 30 * DAY_MS;

/// What a user was seen to do.
#[derive(Default)]
pub struct Seen {
    /// When an event happened, twice as much, and one more if it was a view.
    events: Vec<i64>,
    registered_at: Option<i64>,
    /// When something was bought, and for how much.
    bought: Vec<(i64, i64)>,
    /// From when until when a cart stood abandoned.
    abandoned: Vec<(i64, i64)>,
}

/// What counts at an instant; as a change, what is more and what is less from then on.
#[derive(Clone, Copy, Default)]
struct Standing {
    cents: i64,
    carts: i64,
    views: i64,
    registered: i64,
    events: i64,
}

impl Seen {
    pub fn event(&mut self, at: i64, is_view: bool) {
        self.events.push(2 * at + i64::from(is_view));
    }

    pub fn registration(&mut self, at: i64) {
        self.registered_at = Some(self.registered_at.map_or(at, |first| first.min(at)));
    }

    pub fn bought(&mut self, at: i64, cents: i64) {
        self.bought.push((at, cents));
    }

    pub fn abandoned(&mut self, from: i64, until: i64) {
        self.abandoned.push((from, until));
    }

    /// The first event and the last one.
    pub fn ends(&self) -> Option<(i64, i64)> {
        Some((self.events.iter().min()? >> 1, self.events.iter().max()? >> 1))
    }

    /// The segment at the watermark, and since when. Between two changes it is the same.
    pub fn segment(&self, watermark: i64) -> Option<(&'static str, i64)> {
        let mut changes = Vec::with_capacity(2 * self.events.len() + 4);
        let mut counts = |from: i64, until: i64, change: Standing| {
            let Standing { cents, carts, views, registered, events } = change;
            changes.push((from, change));
            let back =
                Standing { cents: -cents, carts: -carts, views: -views, registered: -registered, events: -events };
            changes.push((until, back));
        };
        let none = Standing::default();
        for event in &self.events {
            let at = event >> 1;
            counts(at, at + INACTIVE_AFTER_MS, Standing { events: 1, ..none });
            if event & 1 == 1 {
                counts(at, at + FREQUENT_WITHIN_MS, Standing { views: 1, ..none });
            }
        }
        for &(at, cents) in &self.bought {
            counts(at, at + HIGH_VALUE_WITHIN_MS, Standing { cents, ..none });
        }
        for &(from, until) in &self.abandoned {
            counts(from, until, Standing { carts: 1, ..none });
        }
        if let Some(at) = self.registered_at {
            counts(at, at + NEW_WITHIN_MS, Standing { registered: 1, ..none });
        }
        changes.retain(|(at, _)| *at <= watermark);
        changes.sort_unstable_by_key(|(at, _)| *at);
        let (mut now, mut entered) = (none, None);
        for same in changes.chunk_by(|before, after| before.0 == after.0) {
            for (_, change) in same {
                now.cents += change.cents;
                now.carts += change.carts;
                now.views += change.views;
                now.registered += change.registered;
                now.events += change.events;
            }
            let segment = now.segment();
            if entered.is_none_or(|(before, _)| before != segment) {
                entered = Some((segment, same[0].0));
            }
        }
        entered
    }
}

impl Standing {
    fn segment(self) -> &'static str {
        if self.cents >= HIGH_VALUE_CENTS {
            "high_value"
        } else if self.carts >= ABANDONED_CARTS {
            "cart_abandoner"
        } else if self.views >= FREQUENT_VIEWS {
            "frequent_browser"
        } else if self.registered > 0 {
            "new"
        } else if self.events == 0 {
            "inactive"
        } else {
            "regular"
        }
    }
}

/// From when until when a cart with these steps stands abandoned: `each` hears whose it is then. Of two who add at the same time it is
/// the greater's.
pub fn abandoned(part: &[Step], sold: Option<Step>, mut each: impl FnMut(u32, i64, i64)) {
    let mut adds: Vec<(i64, u32)> =
        part.iter().filter(|step| step.item != CHECKOUT).map(|step| (step.at, step.user)).collect();
    adds.sort_unstable();
    for (place, &(at, user)) in adds.iter().enumerate() {
        let from = at + ABANDONED_AFTER_MS;
        let next = adds.get(place + 1).map_or(i64::MAX, |(next, _)| *next);
        if next > from && sold.is_none_or(|sold| sold.at > from) {
            each(user, from, next.min(from + ABANDONED_WITHIN_MS));
        }
    }
}
