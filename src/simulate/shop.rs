//! How people behave in the simulated shop: an iterator over what arrives, in the order of arrival.

use crate::config::{Config, Simulate};
use dataflows::events::{AddedToCart, Checkout, Event, ItemRating, ItemView, Purchase, Registration, Sign};
use dataflows::item::ItemId;
use dataflows::shop::cart::CartId;
use dataflows::shop::events::rules::{Profile, Rules, Words};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Zipf};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SECOND_MS: f64 = 1_000.0;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// About how many events a visit makes: so many visits fill the days.
fn events_per_visit(simulate: &Simulate) -> f64 {
    let permille = |of: f64| of / 1000.0;
    let views = (1.0 + f64::from(simulate.views_max)) / 2.0;
    let adds = views * permille(simulate.add_permille);
    // Of most visits something goes into the cart, if of one view in three it does.
    let checkouts = permille(simulate.checkout_permille) * adds.min(1.0) * 0.7;
    let ratings = checkouts * adds * permille(simulate.rating_permille);
    let signs = 1.0 + permille(simulate.sign_out_permille);
    signs + views + adds + checkouts + ratings + permille(simulate.new_user_permille)
}

/// Something that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// What it says.
    pub event: Event,
    /// What is wrong with it.
    pub flaw: Option<Flaw>,
}

/// A way in which a record is malformed beyond what an event can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Not in the wire format.
    BadMagicByte,
    /// A schema nobody knows.
    UnknownSchema,
    /// The end is missing.
    Truncated,
    /// A time that is none.
    BadTimestamp,
}

impl Produced {
    /// The record's key.
    pub fn key(&self) -> String {
        self.event.key()
    }
}

/// What has been sent and will arrive.
struct Underway {
    arrives: i64,
    sequence: u64,
    produced: Produced,
}

impl PartialEq for Underway {
    fn eq(&self, other: &Self) -> bool {
        (self.arrives, self.sequence) == (other.arrives, other.sequence)
    }
}
impl Eq for Underway {}
impl PartialOrd for Underway {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Underway {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrives, self.sequence).cmp(&(other.arrives, other.sequence))
    }
}

/// The shop and its users.
pub struct Shop {
    random: ChaCha8Rng,
    simulate: Simulate,
    lateness_ms: i64,
    out_of_orderness_ms: i64,
    users_first: u64,
    users_max: u64,
    languages: Vec<String>,
    payment_methods: Vec<String>,
    ages: (u32, u32),
    items: Vec<ItemId>,
    popularity: Zipf<f64>,
    between_visits: Exp<f64>,
    next_visit: f64,
    users: Vec<u64>,
    underway: BinaryHeap<Reverse<Underway>>,
    sequence: u64,
    left: u64,
}

/// The rules that events are drawn from: of what may be anything, those of the strict profile.
fn drawn_from(rules: &Rules) -> Rules {
    let (strict, open) = (Rules::of(Profile::Strict), Rules::of(Profile::Open));
    let of_words = |is: &Words, strict: Words| if is.named().is_empty() { strict } else { is.clone() };
    Rules {
        user_id: if rules.user_id == open.user_id { strict.user_id } else { rules.user_id },
        age: if rules.age == open.age { strict.age } else { rules.age },
        preferred_language: of_words(&rules.preferred_language, strict.preferred_language),
        payment_method: of_words(&rules.payment_method, strict.payment_method),
        ..rules.clone()
    }
}

impl Shop {
    /// A shop that sells these items.
    pub fn new(config: &Config, items: Vec<ItemId>) -> Shop {
        let simulate = config.simulate.clone();
        let visits = (simulate.events as f64 / events_per_visit(&simulate)).max(1.0);
        let span_ms = f64::from(simulate.days) * 24.0 * HOUR_MS as f64;
        let rules = drawn_from(&config.rules.shop);
        let (least, most) = rules.user_id;
        Shop {
            random: ChaCha8Rng::seed_from_u64(simulate.seed),
            lateness_ms: config.lateness.unwrap_or(48 * HOUR_MS),
            out_of_orderness_ms: config.out_of_orderness,
            users_first: least.max(1),
            users_max: most - least.max(1) + 1,
            languages: rules.preferred_language.named().to_vec(),
            payment_methods: rules.payment_method.named().to_vec(),
            ages: rules.age,
            popularity: Zipf::new(items.len() as f64, 1.05).expect("a shop sells at least one item"),
            between_visits: Exp::new(visits / span_ms).expect("the rate of visits is positive"),
            items,
            next_visit: simulate.start as f64,
            users: Vec::new(),
            underway: BinaryHeap::new(),
            sequence: 0,
            left: simulate.events,
            simulate,
        }
    }

    /// Whether everything has arrived.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    fn permille(&mut self, of: f64) -> bool {
        self.random.random_bool(of / 1000.0)
    }

    fn item(&mut self) -> ItemId {
        // The popular items are spread over the catalog, not its first ones.
        let rank = self.popularity.sample(&mut self.random) as usize - 1;
        self.items[(rank * 7919 + 13) % self.items.len()].clone()
    }

    /// A user who has not been here: ids are spread over their whole range.
    fn new_user(&mut self) -> u64 {
        let number = self.users.len() as u64;
        let user = (number * 618_033 + 271_828) % self.users_max + self.users_first;
        self.users.push(user);
        user
    }

    /// Everything one user does in one visit.
    fn visit(&mut self) {
        let mut at = self.next_visit as i64;
        let pause = Exp::new(1.0 / (40.0 * SECOND_MS)).expect("a positive rate");
        let is_new = self.users.len() < 20
            || (self.permille(self.simulate.new_user_permille) && (self.users.len() as u64) < self.users_max);
        let user_id = if is_new {
            let user_id = self.new_user();
            let registration = self.registration(at, user_id);
            self.send(Event::Registration(registration));
            user_id
        } else {
            self.users[self.random.random_range(0..self.users.len())]
        };
        let mut later = |random: &mut ChaCha8Rng| {
            at += pause.sample(random) as i64 + 1;
            at
        };
        let timestamp = later(&mut self.random);
        self.send(Event::SignIn(Sign { timestamp, user_id }));
        let cart_id = uuid::Builder::from_random_bytes(self.random.random()).into_uuid().as_u128().into();
        let mut in_cart = Vec::new();
        for _ in 0..self.random.random_range(1..=self.simulate.views_max) {
            let item_id = self.item();
            let timestamp = later(&mut self.random);
            self.send(Event::ItemView(ItemView { timestamp, user_id, item_id: item_id.clone() }));
            if self.permille(self.simulate.add_permille) {
                let timestamp = later(&mut self.random);
                self.send(Event::AddedToCart(AddedToCart {
                    timestamp,
                    cart_id: CartId::clone(&cart_id),
                    user_id,
                    item_id: item_id.clone(),
                }));
                in_cart.push(item_id);
            }
        }
        let mut bought = Vec::new();
        if !in_cart.is_empty() && self.permille(self.simulate.checkout_permille) {
            let timestamp = later(&mut self.random);
            let payment_method = self.one_of(&self.payment_methods.clone());
            self.send(Event::Checkout(Checkout { timestamp, cart_id, user_id, payment_method }));
            bought = in_cart;
        } else if self.permille(self.simulate.purchase_permille) {
            let (timestamp, movie_id) = (later(&mut self.random), self.item());
            let purchase_amount_cents = self.random.random_range(1..=60) * 100 - 1;
            self.send(Event::Purchase(Purchase {
                timestamp,
                user_id,
                movie_id: movie_id.clone(),
                purchase_amount_cents,
            }));
            bought.push(movie_id);
        }
        for item_id in bought {
            if self.permille(self.simulate.rating_permille) {
                let (timestamp, rating) = (later(&mut self.random), self.random.random_range(1..=5));
                self.send(Event::ItemRating(ItemRating { timestamp, user_id, item_id, rating }));
            }
        }
        if self.permille(self.simulate.sign_out_permille) {
            let timestamp = later(&mut self.random);
            self.send(Event::SignOut(Sign { timestamp, user_id }));
        }
    }

    fn registration(&mut self, timestamp: i64, user_id: u64) -> Registration {
        let domain = self.one_of(&["mail.example", "post.example", "films.example"].map(str::to_owned));
        // Some producer always forgets to mask.
        let local = if self.permille(2.0) { format!("user{user_id}") } else { "****".to_owned() };
        let mut languages = self.languages.clone();
        languages.push(String::new());
        Registration {
            timestamp,
            user_id,
            age: self.random.random_range(self.ages.0..=self.ages.1),
            masked_email: format!("{local}@{domain}"),
            preferred_language: self.one_of(&languages),
        }
    }

    fn one_of(&mut self, choices: &[String]) -> String {
        if choices.is_empty() { String::new() } else { choices[self.random.random_range(0..choices.len())].clone() }
    }

    /// Sends an event on its way, which may be long, crooked, or taken twice.
    fn send(&mut self, event: Event) {
        let mut produced = Produced { event, flaw: None };
        let sent = produced.event.timestamp();
        let mut arrives = sent;
        if self.permille(self.simulate.too_late_permille) {
            let back = self.lateness_ms + self.out_of_orderness_ms + self.random.random_range(HOUR_MS..24 * HOUR_MS);
            produced.event.set_timestamp(sent - back);
        } else if self.permille(self.simulate.late_permille) {
            arrives += self.random.random_range(
                self.out_of_orderness_ms
                    ..=self.out_of_orderness_ms + self.lateness_ms.clamp(MINUTE_MS, 8 * HOUR_MS) / 2,
            );
        } else if self.permille(self.simulate.out_of_order_permille) {
            arrives += self.random.random_range(0..=self.out_of_orderness_ms * 9 / 10);
        }
        if self.permille(self.simulate.malformed_permille) {
            self.malform(&mut produced);
        }
        if self.permille(self.simulate.duplicate_permille) {
            let again = arrives + self.random.random_range(0..=MINUTE_MS);
            self.underway(again, produced.clone());
        }
        self.underway(arrives, produced);
    }

    fn underway(&mut self, arrives: i64, produced: Produced) {
        self.sequence += 1;
        self.underway.push(Reverse(Underway { arrives, sequence: self.sequence, produced }));
    }

    fn malform(&mut self, produced: &mut Produced) {
        match self.random.random_range(0..9) {
            0 => produced.flaw = Some(Flaw::BadMagicByte),
            1 => produced.flaw = Some(Flaw::UnknownSchema),
            2 => produced.flaw = Some(Flaw::Truncated),
            3 => produced.flaw = Some(Flaw::BadTimestamp),
            4 => produced.event.set_timestamp(0),
            // 2090: after any clock that will read this.
            5 => produced.event.set_timestamp(3_786_912_000_000),
            _ => produced.event.spoil(),
        }
    }
}

impl Iterator for Shop {
    type Item = Produced;

    fn next(&mut self) -> Option<Produced> {
        self.left = self.left.checked_sub(1)?;
        while self.underway.peek().is_none_or(|Reverse(first)| first.arrives as f64 > self.next_visit) {
            self.visit();
            self.next_visit += self.between_visits.sample(&mut self.random);
        }
        self.underway.pop().map(|Reverse(first)| first.produced)
    }
}
