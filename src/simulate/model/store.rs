//! The web store: products of some categories and brands; sessions in which they are looked at, put into the cart, taken out
//! of it, bought and given back. A few products are in another category from half of the time on.

use super::text::{Times, decimal, is_one_of, number, scattered};
use super::{Flaw, Form, Scene};
use crate::config::Config;
use crate::config::simulate_model::SimulateModel;
use dataflows::time::DAY_MS;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Zipf};

/// What its events are called.
pub(super) const FAMILY: &str = "store_events";

/// What they have.
pub(super) const FIELDS: &[&str] = &[
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
];

const PRODUCTS: u64 = 20_000;
const CATEGORIES: u64 = 130;
const BRANDS: u64 = 700;
const FIRST_CATEGORY: i64 = 2_053_013_550_000_000_000;
/// The ids of users are about as long as those of the real store.
const FIRST_USER: u64 = 500_000_000;
/// Of a product's categories, brands and prices nothing is like that of its neighbours.
const SEED: u64 = 201_910;

const KINDS: [&str; 4] = ["view", "cart", "remove_from_cart", "purchase"];
const VIEW: u8 = 0;
const CART: u8 = 1;
const REMOVE: u8 = 2;
const PURCHASE: u8 = 3;

const DEPARTMENTS: [&str; 13] = [
    "electronics",
    "appliances",
    "computers",
    "apparel",
    "furniture",
    "kids",
    "auto",
    "construction",
    "sport",
    "stationery",
    "accessories",
    "medicine",
    "country_yard",
];
const THINGS: [&str; 10] = [
    "smartphone",
    "audio.headphone",
    "kitchen.washer",
    "shoes",
    "bedroom.bed",
    "toys",
    "tools.drill",
    "bag",
    "clocks",
    "video.tv",
];

/// A product, as it is written.
struct Product {
    /// The same before and after it changes its category.
    json: [String; 2],
    csv: [String; 2],
    cents: i64,
}

#[derive(Clone, Copy)]
pub(super) struct Event {
    kind: u8,
    has_one_decimal: bool,
    is_refund: bool,
    product: u32,
    user: u32,
    /// 0 is none.
    session: [u64; 2],
}

pub(super) struct Store {
    rates: SimulateModel,
    views_max: u32,
    products: Vec<Product>,
    popularity: Zipf<f64>,
    pause: Exp<f64>,
    users: u64,
    /// From when on products are in their other category.
    changes_at: i64,
    times: Times,
}

impl Store {
    pub(super) fn new(config: &Config) -> Store {
        let (simulate, rates) = (&config.simulate, config.simulate_model.clone());
        let products = (1..=PRODUCTS).map(|id| product(id, &rates)).collect();
        let mut store = Store {
            views_max: simulate.views_max,
            products,
            popularity: Zipf::new(PRODUCTS as f64, 0.8).expect("there are products"),
            pause: Exp::new(1.0 / 40_000.0).expect("a positive rate"),
            users: 0,
            changes_at: simulate.start + i64::from(simulate.days) * DAY_MS / 2,
            times: Times::default(),
            rates,
        };
        // As in the real one, most users come once or twice.
        store.users = (simulate.events as f64 / store.per_visit() * 0.9) as u64 + 20;
        store
    }

    fn permille(&self, random: &mut ChaCha8Rng, of: f64) -> bool {
        of > 0.0 && random.random_bool(of / 1000.0)
    }
}

/// A product: the same for everybody, however many are simulated.
fn product(id: u64, rates: &SimulateModel) -> Product {
    let mut state = SEED ^ (id << 20);
    let [category, brand, price, other] = std::array::from_fn(|_| scattered(&mut state));
    let (category, brand) = (category % CATEGORIES, brand % BRANDS);
    let other = if is_one_of(id * 7, 20.0) { other % CATEGORIES } else { category };
    let code = |category: u64| match is_one_of(id, rates.empty_code_permille) {
        true => String::new(),
        false => {
            let (department, thing) = (category / 10 % DEPARTMENTS.len() as u64, category % THINGS.len() as u64);
            format!("{}.{}", DEPARTMENTS[department as usize], THINGS[thing as usize])
        }
    };
    let brand = if is_one_of(id * 3, rates.empty_brand_permille) { String::new() } else { format!("brand{brand}") };
    // Cheap things are many, and a few cost nothing.
    let cents = if id % 1_000 == 500 { 0 } else { 99 + (price % 1_000) * (price / 1_000 % 250) };
    let both = [category, other].map(|category| (FIRST_CATEGORY + category as i64 * 7_919, code(category)));
    let json = |(category, code): &(i64, String)| {
        format!(
            "\"product_id\":{id},\"category_id\":{category},\"category_code\":\"{code}\",\"brand\":\"{brand}\",\"price\":"
        )
    };
    let csv = |(category, code): &(i64, String)| format!("{id},{category},{code},{brand},");
    Product { json: [json(&both[0]), json(&both[1])], csv: [csv(&both[0]), csv(&both[1])], cents: cents as i64 }
}

impl Scene for Store {
    type Event = Event;

    fn per_visit(&self) -> f64 {
        let permille = |of: f64| of / 1000.0;
        let views = (1.0 + f64::from(self.views_max)) / 2.0;
        let carts = permille(self.rates.cart_permille);
        let removes = carts * permille(self.rates.remove_permille);
        let bought = (carts - removes) * permille(self.rates.buy_permille) + permille(self.rates.buy_at_once_permille);
        views * (1.0 + carts + removes + bought * (1.0 + permille(self.rates.refund_permille)))
    }

    fn visit(&mut self, random: &mut ChaCha8Rng, at: i64, made: &mut Vec<(i64, Event)>) {
        let user = random.random_range(0..self.users) as u32;
        let session = match self.permille(random, self.rates.empty_session_permille) {
            true => [0; 2],
            false => [random.next_u64() | 1, random.next_u64()],
        };
        // Whole seconds, as in the real store, each later than the one before.
        let mut at = at / 1_000 * 1_000;
        let mut in_cart = Vec::new();
        let mut event = |store: &Store, random: &mut ChaCha8Rng, kind: u8, product: u32, later_ms: i64| {
            at += (store.pause.sample(random) as i64 / 1_000 + 1) * 1_000;
            let has_one_decimal = store.permille(random, store.rates.one_decimal_permille);
            let is_refund = later_ms > 0;
            made.push((at + later_ms, Event { kind, has_one_decimal, is_refund, product, user, session }));
        };
        let buy = |store: &Store,
                   random: &mut ChaCha8Rng,
                   product: u32,
                   event: &mut dyn FnMut(&Store, &mut ChaCha8Rng, u8, u32, i64)| {
            event(store, random, PURCHASE, product, 0);
            if store.permille(random, store.rates.refund_permille) {
                let later_ms = random.random_range(60..48 * 3_600) * 1_000;
                event(store, random, PURCHASE, product, later_ms);
            }
        };
        for _ in 0..random.random_range(1..=self.views_max) {
            // The popular ones are anywhere.
            let rank = self.popularity.sample(random) as u64 - 1;
            let product = (rank * 7_919 % PRODUCTS) as u32;
            event(self, random, VIEW, product, 0);
            if self.permille(random, self.rates.cart_permille) {
                event(self, random, CART, product, 0);
                match self.permille(random, self.rates.remove_permille) {
                    true => event(self, random, REMOVE, product, 0),
                    false => in_cart.push(product),
                }
            } else if self.permille(random, self.rates.buy_at_once_permille) {
                buy(self, random, product, &mut event);
            }
        }
        for product in in_cart {
            if self.permille(random, self.rates.buy_permille) {
                buy(self, random, product, &mut event);
            }
        }
    }

    fn header(&self) -> Option<String> {
        Some(FIELDS.join(","))
    }

    fn own_flaws(&self) -> u8 {
        5
    }

    fn write(&mut self, event: &Event, at: i64, flaw: Option<Flaw>, form: Form, line: &mut Vec<u8>) {
        let Event { kind, has_one_decimal, is_refund, product, user, session } = *event;
        let is_json = form == Form::Json;
        let product_id = product;
        let product = &self.products[product as usize];
        let is_own = |own: u8| flaw == Some(Flaw::Own(own));
        let kind = if is_own(0) { "wishlist" } else { KINDS[usize::from(kind)] };
        let put = |line: &mut Vec<u8>, json: &str| line.extend_from_slice(json.as_bytes());
        if is_json {
            put(line, "{\"event_name\":\"store_events\",\"event_time\":\"");
        }
        match (flaw, is_json) {
            (Some(Flaw::NoTime), _) => put(line, "yesterday"),
            (_, true) => self.times.iso(at, line),
            (_, false) => self.times.utc(at, line),
        }
        put(line, if is_json { "\",\"event_type\":\"" } else { "," });
        put(line, kind);
        put(line, if is_json { "\"," } else { "," });
        let is_after = usize::from(at >= self.changes_at);
        let from = line.len();
        put(line, if is_json { &product.json[is_after] } else { &product.csv[is_after] });
        if is_own(1) || is_own(2) {
            // Of no product; of a category that went through a spreadsheet.
            let written = String::from_utf8_lossy(&line[from..]).into_owned();
            let id = (product_id + 1).to_string();
            let category = written.split(|letter: char| !letter.is_ascii_digit()).find(|digits| digits.len() == 19);
            let (was, is) = if is_own(1) { (id.as_str(), "0") } else { (category.unwrap_or_default(), "2.10381E+18") };
            line.truncate(from);
            put(line, &written.replacen(was, is, 1));
        }
        let cents = if is_refund { -product.cents.max(1) } else { product.cents };
        match is_own(3) {
            true => put(line, if is_json { "\"free\"" } else { "free" }),
            false if has_one_decimal && cents % 10 == 0 => decimal(cents / 10, 1, line),
            false => decimal(cents, 2, line),
        }
        put(line, if is_json { ",\"user_id\":" } else { "," });
        match is_own(4) {
            true => put(line, if is_json { "null" } else { "" }),
            false => number((FIRST_USER + u64::from(user)) as i64, line),
        }
        put(line, if is_json { ",\"user_session\":\"" } else { "," });
        if session != [0; 2] {
            let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
            let id = uuid::Uuid::from_u64_pair(session[0], session[1]);
            put(line, id.hyphenated().encode_lower(&mut text));
        }
        if is_json {
            put(line, "\"}");
        }
    }

    fn person(&self, event: &Event) -> u64 {
        FIRST_USER + u64::from(event.user)
    }
}
