//! What is known of each user: the tables `users` and `user_activity`.

use crate::read::Person;
use crate::segments::Seen;
use hashbrown::HashMap;

/// A row of `users`.
pub struct Registered<'a> {
    pub first_at: i64,
    /// The latest registration: when, and what it said.
    pub latest: (i64, Person<'a>),
}

/// A row of `user_activity`, and what `user_segments` is computed from.
#[derive(Default)]
pub struct Activity {
    pub views: i64,
    pub adds: i64,
    pub checkouts: i64,
    pub units: i64,
    pub cents: i64,
    pub sessions: i64,
    pub seen: Seen,
}

#[derive(Default)]
pub struct Users<'a> {
    pub registered: HashMap<u32, Registered<'a>>,
    pub active: HashMap<u32, Activity>,
}

impl<'a> Users<'a> {
    /// A late registration counts too.
    pub fn register(&mut self, user: u32, at: i64, person: Person<'a>) {
        let known = self.registered.entry(user).or_insert(Registered { first_at: at, latest: (at, person) });
        known.first_at = known.first_at.min(at);
        known.latest = known.latest.max((at, person));
    }

    pub fn of(&mut self, user: u32) -> &mut Activity {
        self.active.entry(user).or_default()
    }
}
