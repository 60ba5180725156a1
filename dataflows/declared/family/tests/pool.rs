//! What random metrics are made of. Each item is said twice: as an expression, and as a function of an event.

use super::HOUR_MS;
use super::asking::{Asking, asking};
use super::outer::Outer;
use crate::declared::plan::*;
use crate::declared::row::{Datum, Declared};
use crate::table::Value;
use crate::time::DAY_MS;
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::LazyLock;

/// An event, as a test knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ev {
    pub at: i64,
    pub kind: String,
    pub user: i64,
    pub price: Option<i64>,
    pub brand: Option<String>,
    pub flag: Option<bool>,
    pub other: Option<i64>,
    /// What is true of it among others; nothing before that is known.
    pub answers: Vec<bool>,
}

pub const COLUMNS: usize = 7;

pub fn columns() -> Vec<Column> {
    let column = |name: &str, ty, nullable| {
        let (name, doc) = (name.to_owned(), "It.".to_owned());
        Column { name, doc, ty, nullable, is_personal: false }
    };
    vec![
        column("at", Type::Instant, false),
        column("kind", Type::Text, false),
        column("user", Type::Number(0), false),
        column("price", Type::Number(2), true),
        column("brand", Type::Text, true),
        column("flag", Type::Boolean, true),
        column("other", Type::Instant, true),
    ]
}

impl Ev {
    pub fn declared(&self) -> Declared {
        fn text(text: &str) -> Datum<'_> {
            Datum::Text(Cow::Borrowed(text))
        }
        let row = [
            Datum::Instant(self.at),
            text(&self.kind),
            Datum::Number(self.user),
            self.price.map_or(Datum::Null, Datum::Number),
            self.brand.as_deref().map_or(Datum::Null, text),
            self.flag.map_or(Datum::Null, Datum::Boolean),
            self.other.map_or(Datum::Null, Datum::Instant),
        ];
        Declared { at: self.at, row: row.into_iter().collect() }
    }
}

/// An event, its time from the watermark on. Values are few, so that they meet; and some are extreme.
pub fn event() -> impl Strategy<Value = Ev> {
    let price = prop_oneof![
        6 => (-3..4i64).prop_map(|price| price * 5),
        1 => prop::sample::select(vec![i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1]),
    ];
    let brand = prop::sample::select(vec!["", "a", "ab", "aba", "b\u{1}", "é", "a%", "Ab"]);
    let at = prop_oneof![3 => -8..8i64, 1 => -40..30i64];
    let other = prop_oneof![5 => (-3..3i64).prop_map(|hours| hours * HOUR_MS / 2), 1 => Just(i64::MIN)];
    (
        (at, prop::sample::select(vec![0, 1, HOUR_MS / 3, HOUR_MS - 1])),
        prop::sample::select(vec!["view", "cart", "buy"]),
        1..4i64,
        prop::option::of(price),
        prop::option::of(brand),
        prop::option::of(any::<bool>()),
        prop::option::of(other),
    )
        .prop_map(|((hours, more), kind, user, price, brand, flag, other)| Ev {
            at: hours * HOUR_MS + more,
            kind: kind.to_owned(),
            user,
            price,
            brand: brand.map(str::to_owned),
            flag,
            other,
            answers: Vec::new(),
        })
}

/// An expression, and what it is of an event.
#[derive(Clone)]
pub struct Item {
    pub word: &'static str,
    pub expr: Expr,
    pub of: fn(&Ev) -> Value,
    /// Of a window of time, where it ends.
    pub end: Option<fn(i64) -> i64>,
}

pub fn item(word: &'static str, expr: Expr, of: fn(&Ev) -> Value) -> Item {
    Item { word, expr, of, end: None }
}

pub fn e(node: Node, ty: Type) -> Expr {
    Expr { node, ty, nullable: true }
}

pub fn c(place: usize) -> Expr {
    e(Node::Column(place), columns()[place].ty)
}

pub fn bx(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

pub fn lit(literal: Literal, ty: Type) -> Expr {
    e(Node::Literal(literal), ty)
}

pub fn text(text: &str) -> Expr {
    lit(Literal::Text(text.to_owned()), Type::Text)
}

pub fn num(number: i64, scale: u8) -> Expr {
    lit(Literal::Number(number), Type::Number(scale))
}

pub const MONEY: Type = Type::Number(2);
pub const INTEGER: Type = Type::Number(0);

fn cents(number: Option<i128>) -> Value {
    number.and_then(|number| i64::try_from(number).ok()).map_or(Value::Null, Value::Cents)
}

fn wide(price: Option<i64>) -> Option<i128> {
    price.map(i128::from)
}

fn says(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

fn truth(value: Option<bool>) -> Value {
    value.map_or(Value::Null, Value::Boolean)
}

fn brand(event: &Ev) -> Option<&str> {
    event.brand.as_deref()
}

/// How many whole hours since 1970, the one before included.
fn hour(at: i64) -> i64 {
    ((i128::from(at) - i128::from(at.rem_euclid(HOUR_MS))) / i128::from(HOUR_MS)) as i64
}

/// Numbers: what can be added.
pub static NUMBERS: LazyLock<Vec<Item>> = LazyLock::new(|| {
    let price = || bx(c(3));
    let arithmetic = |what, b| e(Node::Arithmetic(what, price(), bx(b)), MONEY);
    let remainder = Node::Arithmetic(Arithmetic::Remainder, bx(e(Node::Minus(bx(c(2))), INTEGER)), bx(num(2, 0)));
    vec![
        item("price", c(3), |event| cents(wide(event.price))),
        item("minus", e(Node::Minus(price()), MONEY), |event| cents(wide(event.price).map(|price| -price))),
        item("abs", e(Node::Abs(price()), MONEY), |event| cents(wide(event.price).map(i128::abs))),
        item("plus", arithmetic(Arithmetic::Plus, c(3)), |event| cents(wide(event.price).map(|price| price + price))),
        item("less", arithmetic(Arithmetic::Minus, num(5, 2)), |event| cents(wide(event.price).map(|price| price - 5))),
        item("times", arithmetic(Arithmetic::Times, c(2)), |event| {
            cents(wide(event.price).map(|price| price * i128::from(event.user)))
        }),
        item("coalesce", e(Node::Coalesce(vec![c(3), num(0, 2)]), MONEY), |event| {
            cents(Some(wide(event.price).unwrap_or(0)))
        }),
        item("nullif", e(Node::NullIf(price(), bx(num(5, 2))), MONEY), |event| {
            cents(wide(event.price).filter(|price| *price != 5))
        }),
        item("case", e(Node::Case(vec![(c(5), c(3))], bx(num(7, 2))), MONEY), |event| {
            cents(if event.flag == Some(true) { wide(event.price) } else { Some(7) })
        }),
        item("scaled", e(Node::Scaled(bx(c(2)), 2), MONEY), |event| Value::Cents(event.user * 100)),
        item("quotient", e(Node::RoundedQuotient(price(), bx(num(2, 0)), 2), MONEY), |event| {
            // Half away from zero: of an odd number the half goes up, with its sign.
            cents(wide(event.price).map(|price| price / 2 + price % 2))
        }),
        item("user", c(2), |event| Value::Integer(event.user)),
        item("remainder", e(remainder, INTEGER), |event| Value::Integer(if event.user % 2 == 0 { 0 } else { -1 })),
        item("length", e(Node::Length(bx(c(4))), INTEGER), |event| {
            brand(event).map_or(Value::Null, |brand| Value::Integer(brand.chars().count() as i64))
        }),
        item("date_diff", e(Node::Boundaries(HOUR_MS, bx(c(6)), bx(c(0))), INTEGER), |event| {
            event.other.map_or(Value::Null, |other| Value::Integer(hour(event.at) - hour(other)))
        }),
    ]
});

/// What can be compared and counted.
pub static VALUES: LazyLock<Vec<Item>> = LazyLock::new(|| {
    let mut values = NUMBERS.clone();
    values.extend([
        item("brand", c(4), |event| says(event.brand.clone())),
        item("kind", c(1), |event| says(Some(event.kind.clone()))),
        item("concat", e(Node::Concat(bx(c(1)), bx(c(4))), Type::Text), |event| {
            says(brand(event).map(|brand| event.kind.clone() + brand))
        }),
        item("substr", e(Node::Substr(bx(c(4)), 2, Some(1)), Type::Text), |event| {
            says(brand(event).map(|brand| brand.chars().skip(1).take(1).collect()))
        }),
        item("other", c(6), |event| event.other.map_or(Value::Null, Value::Instant)),
        item("at", c(0), |event| Value::Instant(event.at)),
        item("later", e(Node::Later(bx(c(6)), -1), Type::Instant), |event| {
            event.other.and_then(|at| at.checked_sub(1)).map_or(Value::Null, Value::Instant)
        }),
        item("floor", e(Node::Floor(Window::Width(HOUR_MS), bx(c(6))), Type::Instant), |event| match event.other {
            None | Some(i64::MIN) => Value::Null,
            Some(at) => Value::Instant(hour(at) * HOUR_MS),
        }),
    ]);
    values.extend(CONDITIONS.clone());
    values
});

/// Conditions.
pub static CONDITIONS: LazyLock<Vec<Item>> = LazyLock::new(|| {
    let boolean = |node| e(node, Type::Boolean);
    let is = |kind: &str| e(Node::Compare(Compare::Equal, bx(c(1)), bx(text(kind))), Type::Boolean);
    let positive = || e(Node::Compare(Compare::GreaterOrEqual, bx(c(3)), bx(num(0, 2))), Type::Boolean);
    let no_five = || e(Node::NullIf(bx(c(3)), bx(num(5, 2))), MONEY);
    let one_of = ["a", "é"].map(|text| Literal::Text(text.to_owned())).to_vec();
    vec![
        item("equal", is("buy"), |event| Value::Boolean(event.kind == "buy")),
        item("greater or equal", positive(), |event| truth(event.price.map(|price| price >= 0))),
        item("flag", c(5), |event| truth(event.flag)),
        item("not", boolean(Node::Not(bx(c(5)))), |event| truth(event.flag.map(|flag| !flag))),
        item("like", boolean(Node::Like(bx(c(4)), "a%".to_owned())), |event| {
            truth(brand(event).map(|brand| brand.starts_with('a')))
        }),
        item("like one", boolean(Node::Like(bx(c(4)), "_b%".to_owned())), |event| {
            truth(brand(event).map(|brand| brand.chars().nth(1) == Some('b')))
        }),
        item("is null", boolean(Node::IsNull(bx(c(4)))), |event| Value::Boolean(event.brand.is_none())),
        item("in", boolean(Node::In(bx(c(4)), one_of)), |event| {
            truth(brand(event).map(|brand| ["a", "é"].contains(&brand)))
        }),
        item("is distinct", boolean(Node::IsDistinct(bx(c(3)), bx(num(5, 2)))), |event| {
            Value::Boolean(event.price != Some(5))
        }),
        item("is distinct of nulls", boolean(Node::IsDistinct(bx(c(3)), bx(no_five()))), |event| {
            Value::Boolean(event.price == Some(5))
        }),
        item("and", boolean(Node::And(vec![is("buy"), boolean(Node::And(vec![positive(), c(5)]))])), |event| {
            let parts = [Some(event.kind == "buy"), event.price.map(|price| price >= 0), event.flag];
            truth(if parts.contains(&Some(false)) { Some(false) } else { (!parts.contains(&None)).then_some(true) })
        }),
        item("or", boolean(Node::Or(vec![is("cart"), positive()])), |event| {
            let parts = [Some(event.kind == "cart"), event.price.map(|price| price >= 0)];
            truth(if parts.contains(&Some(true)) { Some(true) } else { (!parts.contains(&None)).then_some(false) })
        }),
        item("less than", boolean(Node::Compare(Compare::Less, bx(c(6)), bx(c(0)))), |event| {
            truth(event.other.map(|other| other < event.at))
        }),
    ]
});

/// Places among [`KEYS`].
pub const USER: usize = 5;
pub const KIND: usize = 6;
/// The same among [`VALUES`].
pub const USER_VALUE: usize = 11;
pub const PRICE_VALUE: usize = 0;

/// What groups are by; never null.
pub static KEYS: LazyLock<Vec<Item>> = LazyLock::new(|| {
    fn floor(at: i64, width: i64) -> Value {
        Value::Instant(at.div_euclid(width) * width)
    }
    let window = |word, window, of, end| {
        let item = item(word, e(Node::Floor(window, bx(c(0))), Type::Instant), of);
        Item { end: Some(end), ..item }
    };
    let or_false = vec![c(5), lit(Literal::Boolean(false), Type::Boolean)];
    vec![
        window("hour", Window::Width(HOUR_MS), |event| floor(event.at, HOUR_MS), |at| at + HOUR_MS),
        window("minutes", Window::Width(300_000), |event| floor(event.at, 300_000), |at| at + 300_000),
        window("day", Window::Width(DAY_MS), |event| floor(event.at, DAY_MS), |at| at + DAY_MS),
        window(
            "week",
            Window::Week,
            // 1970-01-05 was a Monday.
            |event| Value::Instant((event.at - 4 * DAY_MS).div_euclid(7 * DAY_MS) * 7 * DAY_MS + 4 * DAY_MS),
            |at| at + 7 * DAY_MS,
        ),
        window(
            "month",
            Window::Month,
            |event| Value::Instant(months().into_iter().rev().find(|start| *start <= event.at).expect("a month")),
            |at| months().into_iter().find(|start| *start > at).expect("a month"),
        ),
        item("by user", c(2), |event| Value::Integer(event.user)),
        item("by kind", c(1), |event| says(Some(event.kind.clone()))),
        item("by brand", e(Node::Coalesce(vec![c(4), text("none")]), Type::Text), |event| {
            says(Some(event.brand.clone().unwrap_or_else(|| "none".to_owned())))
        }),
        item("by flag", e(Node::Coalesce(or_false), Type::Boolean), |event| Value::Boolean(event.flag == Some(true))),
        // An instant that is no window of the family's time: nothing leaves by it.
        item("by other", e(Node::Coalesce(vec![c(6), c(0)]), Type::Instant), |event| {
            Value::Instant(event.other.unwrap_or(event.at))
        }),
    ]
});

/// Where the months of 2025 and 2026 begin.
fn months() -> Vec<i64> {
    let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    // 2025-01-01.
    let mut next = 20_089 * DAY_MS;
    let starts = (0..24).map(|n| {
        let start = next;
        next += days[n % 12] * DAY_MS;
        start
    });
    starts.collect()
}

/// Which groups have a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Having {
    Nothing,
    Many,
    Few,
    Final,
    NotFinal,
}

/// What is aggregated: which, of which items, with which filter; all by their places.
#[derive(Clone, Debug)]
pub struct Agg {
    kind: usize,
    items: Vec<usize>,
    filter: Option<usize>,
}

/// A metric.
#[derive(Clone, Debug)]
pub struct Spec {
    pub keys: Vec<usize>,
    /// The gap of its sessions.
    pub session: Option<i64>,
    /// What is computed of its rows.
    pub outer: Option<Outer>,
    /// What it asks of events.
    pub asking: Option<Asking>,
    filter: Option<usize>,
    aggs: Vec<Agg>,
    pub having: Having,
    pub says_final: bool,
    has_own: bool,
}

/// What an aggregate is made of.
pub struct Aggregated {
    pub kind: &'static str,
    pub items: Vec<Item>,
    pub filter: Option<Item>,
}

const KINDS: [&str; 9] = ["count(*)", "count", "sum", "min", "max", "count distinct", "min_by", "max_by", "funnel"];

/// Gaps of sessions: events lie whole hours apart, or parts of them.
const GAPS: [i64; 4] = [HOUR_MS / 3, HOUR_MS, 5 * HOUR_MS, DAY_MS + 1];

pub fn spec() -> impl Strategy<Value = Spec> {
    let filter = || prop::option::weighted(0.3, 0..1000usize);
    let agg = (0..KINDS.len(), prop::collection::vec(0..1000usize, 3), filter());
    let agg = agg.prop_map(|(kind, items, filter)| Agg { kind, items, filter });
    let having = [Having::Nothing, Having::Nothing, Having::Many, Having::Few, Having::Final, Having::NotFinal];
    (
        prop::collection::vec(0..KEYS.len(), 1..4),
        filter(),
        prop::collection::vec(agg, 0..5),
        prop::sample::select(having.to_vec()),
        any::<bool>(),
        any::<bool>(),
        prop::option::weighted(0.3, prop::sample::select(GAPS.to_vec())),
        prop::option::weighted(0.4, (any::<bool>(), prop::collection::vec(0..1000usize, 7), any::<bool>())),
        prop::option::weighted(0.3, asking()),
    )
        .prop_map(|(mut keys, filter, aggs, having, says_final, has_own, session, outer, asking)| {
            let outer = outer.map(|(by_day, items, few_only)| Outer { by_day, items, few_only });
            // What asks is of single events, and nobody reads its rows.
            let (session, outer) = if asking.is_some() { (None, None) } else { (session, outer) };
            let has_own = has_own || matches!(having, Having::Many | Having::Few) || outer.is_some();
            // Of many keys each session has one event.
            keys.truncate(if session.is_some() { 1 } else { keys.len() });
            Spec { keys, session, outer, asking, filter, aggs, having, says_final, has_own }
        })
}

impl Spec {
    /// One aggregate of all events, by a key.
    pub fn one(key: usize, kind: &str, value: usize) -> Spec {
        let kind = KINDS.iter().position(|is| *is == kind).expect("it is one");
        let aggs = vec![Agg { kind, items: vec![value], filter: None }];
        Spec {
            keys: vec![key],
            session: None,
            outer: None,
            asking: None,
            filter: None,
            aggs,
            having: Having::Nothing,
            says_final: false,
            has_own: false,
        }
    }

    /// The same of its rows.
    pub fn with_outer(key: usize) -> Spec {
        let outer = Outer { by_day: false, items: vec![0; 7], few_only: false };
        Spec { outer: Some(outer), has_own: true, ..Spec::one(key, "count(*)", 0) }
    }

    pub fn filters(&self) -> Vec<Item> {
        let own = self.filter.iter().map(|place| CONDITIONS[place % CONDITIONS.len()].clone());
        own.chain(self.asking.iter().flat_map(Asking::filter)).collect()
    }

    pub fn key_items(&self) -> Vec<Item> {
        let answer = self.asking.iter().flat_map(Asking::key);
        self.keys.iter().map(|place| KEYS[*place].clone()).chain(answer).collect()
    }

    pub fn has_window(&self) -> bool {
        self.session.is_some() || self.key_items().iter().any(|key| key.end.is_some())
    }

    pub fn aggregated(&self) -> Vec<Aggregated> {
        let of = |pool: &[Item], place: usize| pool[place % pool.len()].clone();
        let aggregated = self.aggs.iter().map(|Agg { kind, items, filter }| {
            let kind = KINDS[*kind];
            let kind = if kind == "funnel" && self.asking.is_some() { "count" } else { kind };
            let items = match kind {
                "count(*)" => Vec::new(),
                "sum" => vec![of(&NUMBERS, items[0])],
                "funnel" => items.iter().take(1 + items[0] % 3).map(|place| of(&CONDITIONS, *place)).collect(),
                "min_by" | "max_by" => {
                    let instants: Vec<_> =
                        VALUES.iter().filter(|item| item.expr.ty == Type::Instant).cloned().collect();
                    let values = items[1..].iter().take(1 + items[0] % 2).map(|place| of(&VALUES, *place));
                    std::iter::once(of(&instants, items[0] / 2)).chain(values).collect()
                }
                _ => vec![of(&VALUES, items[0])],
            };
            Aggregated { kind, items, filter: filter.map(|place| of(&CONDITIONS, place)) }
        });
        let answered = self.asking.iter().flat_map(|asking| asking.answers().into_iter());
        let counts = answered.map(|answer| Aggregated { kind: "count(*)", items: Vec::new(), filter: Some(answer) });
        aggregated.chain(counts).collect()
    }

    /// How many of a count and a mean price there are at the end.
    pub fn own(&self) -> usize {
        if self.has_own { 2 } else { 0 }
    }

    /// What it is made of.
    pub fn words(&self) -> Vec<&'static str> {
        let items = self.key_items().into_iter().chain(self.filters());
        let mut words: Vec<_> = items.map(|item| item.word).chain(self.session.map(|_| "session")).collect();
        words.extend(self.asking.iter().flat_map(Asking::words));
        for aggregated in self.aggregated() {
            words.push(aggregated.kind);
            words.extend(aggregated.items.iter().chain(&aggregated.filter).map(|item| item.word));
        }
        words
    }

    /// As a plan has it.
    pub fn metric(&self, name: &str) -> Metric {
        let keys = self.key_items();
        let mut outputs: Vec<(String, Expr)> = Vec::new();
        for (n, key) in keys.iter().enumerate() {
            outputs.push((format!("key_{n}"), Expr { nullable: false, ..e(Node::Key(n), key.expr.ty) }));
        }
        if self.session.is_some() {
            let session = Expr { nullable: false, ..e(Node::Key(keys.len()), Type::Instant) };
            outputs.push((format!("key_{}", keys.len()), session));
        }
        let (mut aggregates, mut slots) = (Vec::new(), 0);
        // The slots that an aggregate gives.
        let mut add = |what: What, filter: Option<Item>| {
            let from = slots;
            slots += what.slots();
            aggregates.push(Aggregate { what, filter: filter.map(|item| item.expr) });
            from..slots
        };
        for Aggregated { kind, items, filter } in self.aggregated() {
            let first = || items[0].expr.clone();
            let values: Vec<Expr> = items.iter().skip(1).map(|item| item.expr.clone()).collect();
            let types = match kind {
                "min_by" | "max_by" => values.iter().map(|value| value.ty).collect(),
                "sum" | "min" | "max" => vec![items[0].expr.ty],
                _ => vec![INTEGER],
            };
            let what = match kind {
                "count(*)" => What::Count(None),
                "count" => What::Count(Some(first())),
                "sum" => What::Sum(first()),
                "min" => What::Min(first()),
                "max" => What::Max(first()),
                "count distinct" => What::CountDistinct(first()),
                "min_by" => What::At(Edge::First, first(), values),
                "funnel" => What::Funnel(c(0), items.iter().map(|item| item.expr.clone()).collect()),
                _ => What::At(Edge::Last, first(), values),
            };
            for (slot, ty) in add(what, filter).zip(types) {
                outputs.push((format!("slot_{slot}"), e(Node::Slot(slot), ty)));
            }
        }
        let having = |count: std::ops::Range<usize>| {
            let count = bx(e(Node::Slot(count.start), INTEGER));
            let counts = |what| e(Node::Compare(what, count, bx(num(2, 0))), Type::Boolean);
            match self.having {
                Having::Nothing => None,
                Having::Many => Some(counts(Compare::GreaterOrEqual)),
                Having::Few => Some(counts(Compare::LessOrEqual)),
                Having::Final => Some(e(Node::IsFinal, Type::Boolean)),
                Having::NotFinal => Some(e(Node::Not(bx(e(Node::IsFinal, Type::Boolean))), Type::Boolean)),
            }
        };
        let mut shown = having(0..0);
        if self.has_own {
            let count = add(What::Count(None), None);
            let (sum, prices) = (add(What::Sum(c(3)), None).start, add(What::Count(Some(c(3))), None).start);
            let (sum, prices) = (e(Node::Slot(sum), MONEY), e(Node::Slot(prices), INTEGER));
            outputs.push(("count".to_owned(), e(Node::Slot(count.start), INTEGER)));
            outputs.push(("mean".to_owned(), e(Node::RoundedQuotient(bx(sum), bx(prices), 2), MONEY)));
            shown = having(count);
        }
        if self.says_final {
            outputs.push(("is_final".to_owned(), e(Node::IsFinal, Type::Boolean)));
        }
        let leaves = keys.iter().enumerate().filter_map(|(n, key)| {
            key.end?;
            let Node::Floor(window, _) = key.expr.node else { return None };
            Some((n, window))
        });
        let session = self.session.map(|gap_ms| {
            let at = Expr { nullable: false, ..c(0) };
            Expr { nullable: false, ..e(Node::Session(gap_ms, Box::new(at)), Type::Instant) }
        });
        Metric {
            name: name.to_owned(),
            doc: "One row per group.".to_owned(),
            filter: match self.filters().as_slice() {
                [] => None,
                [only] => Some(only.expr.clone()),
                all => Some(e(Node::And(all.iter().map(|item| item.expr.clone()).collect()), Type::Boolean)),
            },
            keys: keys.iter().map(|key| key.expr.clone()).chain(session).collect(),
            leaves: leaves.collect(),
            aggregates,
            having: shown,
            outputs: outputs.into_iter().map(|(name, value)| Output { name, doc: "It.".to_owned(), value }).collect(),
            of: Source::Events,
            asks: self.asking.iter().flat_map(Asking::asks).collect(),
        }
    }
}

/// All that metrics are made of.
pub fn all_words() -> Vec<&'static str> {
    let items = KEYS.iter().chain(&*VALUES).chain(&*CONDITIONS).map(|item| item.word);
    items.chain(KINDS).chain(["session"]).chain(super::asking::WORDS).collect()
}
