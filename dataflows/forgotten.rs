//! Users who asked to be forgotten.
//!
//! What was computed of many users stays as it is, and goes on: a sum, a count of distinct users, a session that is
//! still open among those of its minute. For that their records stay, as those of nobody in particular: under an id
//! that no event carries, that nobody keeps beside the old one, and of which no row is shown.

use crate::flow::Row;
use crate::operators::{Cart, CartEvent, InCart, Line};
use crate::state::State;

/// From here on ids are nobody's. Those of events are below: they are signed where they come from.
pub const NOBODY: u64 = 1 << 63;

impl State {
    /// Everybody whom the record names.
    fn users(&mut self) -> [Option<&mut u64>; 2] {
        match self {
            State::RegistrationPane(_, user)
            | State::CheckoutPane(_, user)
            | State::User(user, _)
            | State::Sign(user, _)
            | State::Cart(_, CartEvent { what: InCart::Add(_, user) | InCart::Checkout(user), .. })
            | State::Rating(user, ..)
            | State::Activity(user, _)
            | State::Segment(user, _)
            | State::SegmentFact(user, ..) => [Some(user), None],
            State::SaleLine(Line { user_id, cart: Cart::Purchase(buyer), .. }, _) => [Some(user_id), Some(buyer)],
            State::SaleLine(Line { user_id, cart: Cart::Uuid(..), .. }, _) => [Some(user_id), None],
            State::CatalogVersion(..)
            | State::SessionMinute(..)
            | State::SessionExtent(_)
            | State::Price(..)
            | State::Sales(..)
            | State::Statistics(..) => [None, None],
        }
    }

    /// Makes a user's record that of `nobody`; tells whether it was the user's.
    pub fn forget(&mut self, user: u64, nobody: u64) -> bool {
        let found = self.users().into_iter().flatten().filter(|id| **id == user);
        found.map(|id| *id = nobody).count() > 0
    }

    /// Whether it says who somebody is, and nothing that is computed depends on it.
    pub fn is_profile(&self) -> bool {
        matches!(self, State::User(..))
    }
}

impl Row {
    /// Whether it is a row of nobody.
    pub(crate) fn is_nobodys(&self) -> bool {
        let user_id = match self {
            Row::ActiveSession(row) => row.user_id,
            Row::SaleLine(row) => row.line.user_id,
            Row::Activity(row) => row.user_id,
            Row::Segment(row) => row.user_id,
            Row::User(row) => row.user_id,
            Row::Registrations(_)
            | Row::Checkouts(_)
            | Row::Minute(_)
            | Row::Sales(_)
            | Row::Statistics(_)
            | Row::Movie(_) => return false,
        };
        user_id >= NOBODY
    }
}
