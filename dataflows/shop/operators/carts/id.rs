//! By what carts are told apart.

use differential_dataflow::{ExchangeData, Hashable};
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// What a line was sold in. Two halves instead of a `u128` keep it in three words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cart {
    /// A cart, by its UUID.
    Uuid(u64, u64),
    /// A finished purchase, by its user.
    Purchase(u64),
    /// A cart, by its id, which is no UUID.
    Text(Box<str>),
}

impl Cart {
    /// The cart of that UUID.
    pub fn uuid(id: u128) -> Cart {
        let (high, low) = id.held();
        Cart::Uuid(high, low)
    }
}

/// By what carts of a kind are told apart.
pub trait Id: ExchangeData + Hashable<Output = u64> {
    /// As it is held.
    type Held: Clone + Eq + Hash + 'static;

    /// As it is held.
    fn held(&self) -> Self::Held;

    /// The id that is held.
    fn of(held: &Self::Held) -> Self;

    /// The cart of this id.
    fn cart(&self) -> Cart;
}

/// The halves are held instead of a `u128`, which would keep every entry at sixteen bytes' distance.
impl Id for u128 {
    type Held = (u64, u64);

    fn held(&self) -> (u64, u64) {
        ((self >> 64) as u64, *self as u64)
    }

    fn of((high, low): &(u64, u64)) -> u128 {
        u128::from(*high) << 64 | u128::from(*low)
    }

    fn cart(&self) -> Cart {
        Cart::uuid(*self)
    }
}

impl Id for Box<str> {
    type Held = Box<str>;

    fn held(&self) -> Box<str> {
        self.clone()
    }

    fn of(held: &Box<str>) -> Box<str> {
        held.clone()
    }

    fn cart(&self) -> Cart {
        Cart::Text(self.clone())
    }
}
