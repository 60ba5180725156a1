//! What stateful operators hold, by name: counted, taken out, and put back.
//!
//! Every stateful operator enters a [`Ledger`] when it is built. Durability takes [`State`] out
//! through it and puts it back through the `restore` input; operators count it for whoever asks
//! where the memory is. What `differential` arranges is not here: it is rebuilt by feeding.

use crate::events::CatalogContent;
use crate::item::ItemId;
use crate::movie_sales_metrics::{Sales, SalesWindow};
use crate::movie_statistics::Statistics;
use crate::operators::minutes::Extent;
use crate::operators::segments::{Fact, Known};
use crate::operators::sessions::Contribution;
use crate::operators::{CartEvent, Line, PricePoint, SignAt};
use crate::time::Instant;
use crate::user_activity::Activity;
use crate::users::User;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;

/// One record of state, of whichever operator: what a snapshot consists of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// `registrations/panes`: a user registered in a pane.
    RegistrationPane(Instant, u64),
    /// `checkouts/panes`: a user checked out in a pane.
    CheckoutPane(Instant, u64),
    /// `users/profiles`: what is known of a user.
    User(u64, User),
    /// `movies_catalog/versions`: an item, effective at, made at, content.
    CatalogVersion(ItemId, Instant, Instant, Box<CatalogContent>),
    /// `sessions/signs`: a user's sign event.
    Sign(u64, SignAt),
    /// `sessions/minutes`: what changes at a minute boundary.
    SessionMinute(Instant, Contribution),
    /// `sessions/minutes`: which boundaries were judged, and what was folded away.
    SessionExtent(Extent),
    /// `carts/events`: what happened to a cart.
    Cart(u128, CartEvent),
    /// `sales/lines`: a line and the amount it was told with, in cents.
    SaleLine(Line, Option<i64>),
    /// `sales/prices`: what an item costs from when on.
    Price(ItemId, PricePoint),
    /// `sales/sums`: what a movie earned in a window.
    Sales(ItemId, SalesWindow, Sales),
    /// `ratings/latest`: a user's latest rating of an item: when, and how.
    Rating(u64, ItemId, Instant, u32),
    /// `movie_statistics/sums`: what was done with a movie.
    Statistics(ItemId, Statistics),
    /// `user_activity/sums`: what a user did.
    Activity(u64, Activity),
    /// `user_segments/users`: where the course of a user's segments stands.
    Segment(u64, Known),
    /// `user_segments/facts`: what makes a user's segments, and how many times.
    SegmentFact(u64, Fact, i64),
}

/// What was held at an instant, slice by slice: the slices are made when they are asked for, and show
/// what was held then, whatever was computed meanwhile.
pub type Frozen = Box<dyn Iterator<Item = Vec<State>>>;

/// Freezes nothing: for what the restored state of others fills again.
pub fn nothing<S>(_: &S) -> Frozen {
    Box::new(std::iter::empty())
}

type Count = Box<dyn Fn() -> usize>;
type Freeze = Box<dyn Fn() -> Frozen>;
type Entry = (&'static str, Count, Freeze);

/// The stateful operators of one worker's dataflow.
#[derive(Clone, Default)]
pub struct Ledger {
    entries: Rc<RefCell<Vec<Entry>>>,
}

impl Ledger {
    /// Enters an operator: its name, its state, how to count and how to freeze the records. Freezing
    /// stops the worker: it may share what is held (see `Dense`) and copy what
    /// is small, and leaves the rest to whoever takes the slices.
    pub fn enter<S: 'static>(
        &self,
        name: &'static str,
        state: &Rc<RefCell<S>>,
        count: impl Fn(&S) -> usize + 'static,
        freeze: impl Fn(&S) -> Frozen + 'static,
    ) {
        let (counted, frozen) = (Rc::clone(state), Rc::clone(state));
        self.entries.borrow_mut().push((
            name,
            Box::new(move || count(&counted.borrow())),
            Box::new(move || freeze(&frozen.borrow())),
        ));
    }

    /// Live records per operator.
    pub fn live(&self) -> Vec<(&'static str, usize)> {
        self.entries.borrow().iter().map(|(name, count, _)| (*name, count())).collect()
    }

    /// Everything held on this worker. Meaningful between two epochs, when nothing is in flight.
    pub fn freeze(&self) -> Frozen {
        let frozen: Vec<_> = self.entries.borrow().iter().map(|(_, _, freeze)| freeze()).collect();
        Box::new(frozen.into_iter().flatten())
    }
}
