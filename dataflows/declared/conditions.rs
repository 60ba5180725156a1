//! Which conditions are true of an event: each is looked at once, however many metrics ask it.

use crate::broken::{Law, is_broken};
use crate::declared::eval::{Columns, is_true};
use crate::declared::plan::{Ask, Compare, Exists, Expr, Literal, Metric, Node, Type};
use crate::declared::row::Bare;
use crate::declared::walk;
use crate::hash::Map;

/// Which of all conditions must be true.
pub type Mask = Box<[u64]>;

/// Which of all conditions are still to be asked; of none all that was to be asked is true.
#[derive(Default)]
pub struct Asked(Option<Mask>);

/// All conditions of some filters.
pub struct Conditions {
    /// How many words all conditions take, each once.
    words: usize,
    /// Those that a column has one of some values: it is looked at once, for all of them.
    by_value: Vec<ByValue>,
    /// Which are those.
    looked_up: Mask,
    /// All others, by their places. Each is asked once at the most, when something that takes the event depends on it.
    others: Vec<Option<Test>>,
}

/// What is asked of an event.
enum Test {
    /// How a column compares with a number. Null does not.
    Number { column: usize, what: Compare, than: i64 },
    /// Anything else.
    Any(Expr),
}

impl Test {
    fn of(condition: Expr) -> Test {
        let is_number = |expr: &Expr| matches!(expr.ty, Type::Number(_));
        if let Node::Compare(what, of, than) = &condition.node
            && is_number(of)
            && let (Node::Column(column), Node::Literal(Literal::Number(than))) = (&of.node, &than.node)
        {
            return Test::Number { column: *column, what: *what, than: *than };
        }
        Test::Any(condition)
    }

    fn is_true(&self, row: &impl Columns) -> bool {
        match self {
            Test::Any(condition) => is_true(condition, row),
            Test::Number { column, what, than } => match row.bare(*column) {
                Bare::Number(number) => what.is_true_of(number.cmp(than)),
                Bare::Null | Bare::Boolean(_) | Bare::Instant(_) | Bare::Text(_) => false,
            },
        }
    }
}

/// Which conditions are true by the value of a column.
struct ByValue {
    column: usize,
    texts: Map<Box<[u8]>, Vec<u64>>,
    numbers: Map<i64, Vec<u64>>,
}

impl Conditions {
    /// Of these filters; and for each of them, in their order, what must be true.
    pub fn of(filters: &[Option<Expr>]) -> (Conditions, Vec<Mask>) {
        let mut all = Vec::new();
        for condition in filters.iter().flatten().flat_map(parts) {
            if !all.contains(condition) {
                all.push(condition.clone());
            }
        }
        let words = all.len().div_ceil(64);
        let mask = |filter: &Option<Expr>| {
            let mut mask = vec![0; words];
            let places = filter.iter().flat_map(parts).filter_map(|part| all.iter().position(|is| is == part));
            places.for_each(|place| mask[place / 64] |= 1 << (place % 64));
            Mask::from(mask)
        };
        let masks = filters.iter().map(mask).collect();
        let others = all.iter().map(|_| None).collect();
        let mut conditions = Conditions { words, by_value: Vec::new(), looked_up: vec![0; words].into(), others };
        for (place, condition) in all.into_iter().enumerate() {
            conditions.add(place, condition);
        }
        (conditions, masks)
    }

    fn add(&mut self, place: usize, condition: Expr) {
        let Some((column, values)) = has_one_of(&condition) else {
            self.others[place] = Some(Test::of(condition));
            return;
        };
        self.looked_up[place / 64] |= 1 << (place % 64);
        let known = self.by_value.iter().position(|by_value| by_value.column == column);
        let known = known.unwrap_or_else(|| {
            self.by_value.push(ByValue { column, texts: Map::default(), numbers: Map::default() });
            self.by_value.len() - 1
        });
        let ByValue { texts, numbers, .. } = &mut self.by_value[known];
        let looked_up = if is_broken(Law::EachValueIsLookedUp) { 1 } else { values.len() };
        for value in values.iter().take(looked_up) {
            let none = || vec![0; self.words];
            let truths = match value {
                Literal::Text(text) => texts.entry(text.as_bytes().into()).or_insert_with(none),
                Literal::Number(number) => numbers.entry(*number).or_insert_with(none),
                Literal::Null | Literal::Boolean(_) | Literal::Instant(_) => continue,
            };
            truths[place / 64] |= 1 << (place % 64);
        }
    }

    /// What the values of columns tell of an event.
    pub fn look(&self, row: &impl Columns, truths: &mut Truths) {
        let Truths { known, are_true } = truths;
        known.clear();
        known.extend_from_slice(&self.looked_up);
        are_true.clear();
        are_true.resize(self.words, 0);
        for ByValue { column, texts, numbers } in &self.by_value {
            let also = match row.bare(*column) {
                Bare::Text(text) => texts.get(text),
                Bare::Number(number) => numbers.get(&number),
                Bare::Null | Bare::Boolean(_) | Bare::Instant(_) => None,
            };
            also.into_iter().flatten().zip(&mut *are_true).for_each(|(also, truths)| *truths |= also);
        }
    }

    /// What is to be asked of an event, by what the values of its columns tell, for all conditions of a mask to be true; nothing
    /// if one of them is not.
    pub fn left(&self, mask: &Mask, Truths { are_true, .. }: &Truths) -> Option<Asked> {
        let words = || mask.iter().zip(&self.looked_up);
        if words().zip(are_true).any(|((must, looked_up), are_true)| must & looked_up & !are_true != 0) {
            return None;
        }
        let asked: Mask = words().map(|(must, looked_up)| must & !looked_up).collect();
        Some(Asked(asked.iter().any(|word| *word != 0).then_some(asked)))
    }

    /// Whether all that is to be asked of an event is true.
    #[inline]
    pub fn is_true(&self, Asked(asked): &Asked, row: &impl Columns, truths: &mut Truths) -> bool {
        asked.as_ref().is_none_or(|mask| self.fits(mask, row, truths))
    }

    /// Whether all conditions of a mask are true of an event.
    pub fn fits(&self, mask: &Mask, row: &impl Columns, Truths { known, are_true }: &mut Truths) -> bool {
        let is_wrong = |((must, known), are_true): ((&u64, &u64), &u64)| must & known & !are_true != 0;
        if mask.iter().zip(&*known).zip(&*are_true).any(is_wrong) {
            return false;
        }
        for (word, must) in mask.iter().enumerate() {
            let mut asked = must & !known[word];
            while asked != 0 {
                let bit = asked & asked.wrapping_neg();
                asked ^= bit;
                known[word] |= bit;
                let condition = &self.others[word * 64 + bit.trailing_zeros() as usize];
                if !condition.as_ref().is_some_and(|condition| condition.is_true(row)) {
                    return false;
                }
                are_true[word] |= bit;
            }
        }
        true
    }
}

/// What is known of the conditions of an event until now.
#[derive(Default)]
pub struct Truths {
    known: Vec<u64>,
    are_true: Vec<u64>,
}

impl Truths {
    /// Which conditions are true by the values of columns, as long as no other was asked.
    pub fn by_value(&self) -> &[u64] {
        &self.are_true
    }
}

/// The column and the values, if a condition is that it has one of them, as texts or numbers.
fn has_one_of(condition: &Expr) -> Option<(usize, &[Literal])> {
    let (of, values) = if let Node::In(of, values) = &condition.node {
        (of, values.as_slice())
    } else {
        let Node::Compare(Compare::Equal, of, is) = &condition.node else { return None };
        let Node::Literal(value) = &is.node else { return None };
        (of, std::slice::from_ref(value))
    };
    let Node::Column(column) = of.node else { return None };
    let is_looked_up = |value: &Literal| matches!(value, Literal::Text(_) | Literal::Number(_) | Literal::Null);
    values.iter().all(is_looked_up).then_some((column, values))
}

/// Whether one of a metric's conditions alone says that it takes no event whose column has this text.
pub fn is_left_out(metric: &Metric, column: usize, text: &str) -> bool {
    let is_other = |value: &Literal| !matches!(value, Literal::Text(value) if value == text);
    let says = |part: &Expr| has_one_of(part).is_some_and(|(of, values)| of == column && values.iter().all(is_other));
    let is_left_out = |filter: &Option<Expr>| filter.iter().flat_map(parts).any(says);
    // It may be looked for.
    let answers = |ask: &Ask| matches!(ask, Ask::Exists(Exists { filter, .. }) if !is_left_out(filter));
    is_left_out(&metric.filter) && !metric.asks.iter().any(answers)
}

/// What must be true for a filter to be.
fn parts(filter: &Expr) -> impl Iterator<Item = &Expr> {
    let asked =
        if is_broken(Law::EachConditionIsAsked) && matches!(filter.node, Node::And(_)) { 1 } else { usize::MAX };
    walk::conditions(filter).take(asked)
}
