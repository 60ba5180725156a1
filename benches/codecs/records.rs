//! Records as the workers exchange them, made from a seed, and their mirrors.
//!
//! abomonation and columnar derive on a type's own definition, and `dataflows` shall know neither. So
//! each record has a mirror here: the same fields in the same order, with the derives. That it is the
//! same is checked, not promised: it is made by decoding the original's bytes, is encoded to the same
//! bytes again, and has the same size.

// What abomonation's derive expands to.
#![allow(unsafe_op_in_unsafe_fn, non_local_definitions)]

use dataflows::events::{Arrival, Event, Origin, Registration};
use dataflows::item::ItemId;
use dataflows::operators::{Cart, CartEvent, InCart, Line, OfItem, SignAt};

/// The mirrors.
pub mod mirror {
    use abomonation::Abomonation;
    use abomonation_derive::Abomonation;
    use columnar::Columnar;
    use serde::{Deserialize, Serialize};
    use std::io::{Result, Write};

    /// `operators::SignAt`
    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct SignAt {
        at: i64,
        is_in: bool,
    }

    /// `item::ItemId`
    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct ItemId(pub Repr);

    #[derive(Clone, Serialize, Deserialize, Columnar)]
    pub enum Repr {
        Number(u64),
        Text(Box<str>),
    }

    // By hand: there is no `Box<str>` in abomonation.
    impl Abomonation for Repr {
        unsafe fn entomb<W: Write>(&self, write: &mut W) -> Result<()> {
            match self {
                Repr::Number(_) => Ok(()),
                Repr::Text(text) => write.write_all(text.as_bytes()),
            }
        }

        unsafe fn exhume<'b>(&mut self, bytes: &'b mut [u8]) -> Option<&'b mut [u8]> {
            match self {
                Repr::Number(_) => Some(bytes),
                Repr::Text(text) => {
                    let (mine, rest) = bytes.split_at_mut_checked(text.len())?;
                    let mine: *mut [u8] = mine;
                    std::ptr::write(text, Box::from_raw(mine as *mut str));
                    Some(rest)
                }
            }
        }

        fn extent(&self) -> usize {
            match self {
                Repr::Number(_) => 0,
                Repr::Text(text) => text.len(),
            }
        }
    }

    /// `operators::CartEvent`
    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct CartEvent {
        at: i64,
        what: InCart,
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub enum InCart {
        Add(ItemId, u64),
        Checkout(u64),
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub enum Cart {
        Uuid(u64, u64),
        Purchase(u64),
    }

    /// `operators::Line`
    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct Line {
        cart: Cart,
        movie_id: ItemId,
        added_at: i64,
        user_id: u64,
        sold_at: i64,
        own_cents: Option<i64>,
    }

    /// `operators::OfItem`
    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub enum OfItem {
        /// A price point.
        Price((i64, Option<i64>), isize),
        /// A line.
        Line(Line, isize),
        /// A line with its amount.
        Held(Line, Option<i64>),
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct Registration {
        timestamp: i64,
        user_id: u64,
        age: u32,
        masked_email: String,
        preferred_language: String,
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct Sign {
        timestamp: i64,
        user_id: u64,
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct ItemView {
        timestamp: i64,
        user_id: u64,
        item_id: ItemId,
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct AddedToCart {
        timestamp: i64,
        cart_id: u128,
        user_id: u64,
        item_id: ItemId,
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct Checkout {
        timestamp: i64,
        cart_id: u128,
        user_id: u64,
        payment_method: String,
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct Purchase {
        timestamp: i64,
        user_id: u64,
        movie_id: ItemId,
        purchase_amount_cents: i64,
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct ItemRating {
        timestamp: i64,
        user_id: u64,
        item_id: ItemId,
        rating: u32,
    }

    /// The catalog's version is in a box, and none is made here: what is in the box is not mirrored.
    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub enum Event {
        Registration(Registration),
        SignIn(Sign),
        SignOut(Sign),
        ItemView(ItemView),
        AddedToCart(AddedToCart),
        Checkout(Checkout),
        Purchase(Purchase),
        Catalog(Box<Sign>),
        ItemRating(ItemRating),
    }

    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct Origin {
        partition: u32,
        offset: i64,
        slot: (u32, u32),
    }

    /// `events::Arrival`
    #[derive(Clone, Serialize, Deserialize, Abomonation, Columnar)]
    pub struct Arrival {
        origin: Origin,
        event: Event,
    }
}

/// SplitMix64: the same records every time.
pub struct Random(pub u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn instant(&mut self) -> i64 {
        1_767_225_600_000 + self.below(10 * 86_400_000) as i64
    }

    /// A number, as in the catalogs; one in a hundred is a text.
    fn item(&mut self) -> ItemId {
        match self.below(100) {
            0 => ItemId::from(format!("B{:09}", self.below(5000)).as_str()),
            _ => ItemId::from(self.below(548_552).to_string().as_str()),
        }
    }

    fn uuid(&mut self) -> u128 {
        u128::from(self.below(u64::MAX)) << 64 | u128::from(self.below(u64::MAX))
    }

    /// What `sessions` exchanges.
    pub fn sign(&mut self) -> (u64, SignAt) {
        (self.below(1_000_000), SignAt { at: self.instant(), is_in: self.below(2) == 0 })
    }

    /// What the windows' `distinct` exchanges.
    pub fn user_in_window(&mut self) -> (i64, u64) {
        (self.instant(), self.below(1_000_000))
    }

    /// What `carts` exchanges: three adds to a checkout.
    pub fn cart_event(&mut self) -> (u128, CartEvent) {
        let user = self.below(1_000_000);
        let what = if self.below(4) == 0 { InCart::Checkout(user) } else { InCart::Add(self.item(), user) };
        (self.uuid(), CartEvent { at: self.instant(), what })
    }

    /// What `prices` exchanges: lines, one in five a finished purchase, and one price in twenty records.
    pub fn of_item(&mut self) -> (ItemId, OfItem) {
        let item = self.item();
        if self.below(20) == 0 {
            let cents = Some(self.below(5000) as i64);
            return (item, OfItem::Price((self.instant(), cents), 1));
        }
        let is_purchase = self.below(5) == 0;
        let user_id = self.below(1_000_000);
        let line = Line {
            cart: if is_purchase { Cart::Purchase(user_id) } else { Cart::uuid(self.uuid()) },
            movie_id: item.clone(),
            added_at: self.instant(),
            user_id,
            sold_at: self.instant(),
            own_cents: is_purchase.then(|| self.below(5000) as i64),
        };
        (item, OfItem::Line(line, 1))
    }

    /// What would be exchanged if events were, before they are taken apart: it has texts.
    pub fn arrival(&mut self) -> Arrival {
        let registration = Registration {
            timestamp: self.instant(),
            user_id: self.below(1_000_000),
            age: 18 + self.below(60) as u32,
            masked_email: format!("****@{}.example", ["mail", "post", "inbox", "letters"][self.below(4) as usize]),
            preferred_language: ["eng", "deu", "fra", ""][self.below(4) as usize].to_owned(),
        };
        let offset = self.below(1_000_000) as i64;
        let origin = Origin { partition: self.below(8) as u32, offset, slot: (0, offset as u32 % 1024) };
        Arrival { origin, event: Event::Registration(registration) }
    }
}
