//! The language of metrics: a closed part of SQL, read into a tree of our own.
//!
//! The words are parsed by `sqlparser`, whose tree can say much that a metric cannot: each of its nodes that is read is
//! taken apart field by field, so that nothing is dropped silently, and a field that a newer version adds does not
//! compile. What is not in the language is refused by one table of sentences ([`refusals`]).

mod calls;
mod clauses;
mod exists;
mod expressions;
mod literals;
pub mod refusals;
mod tokens;

use super::messages::{Mistake, Span};
use sqlparser::dialect::DuckDbDialect;
use sqlparser::parser::{Parser, ParserError};
use tokens::Tokens;

/// The longest text of a metric, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// What a metric can have, as `deltamart explain --language` says it.
pub const SUMMARY: &str = include_str!("language/summary.txt");

/// How deep an expression may be.
pub const DEEPEST: usize = 200;

/// A name, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// In lower case, unless it was quoted.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A metric as it is written. What could not be read is `None`, and said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The comment before it.
    pub doc: String,
    /// Where it begins.
    pub span: Span,
    /// What it selects.
    pub items: Vec<Item>,
    /// Which family's events.
    pub from: Option<Name>,
    /// `WHERE`.
    pub filter: Option<Expr>,
    /// `GROUP BY`.
    pub keys: Vec<Key>,
    /// `HAVING`.
    pub having: Option<Expr>,
    /// Where names in double quotes stand: some mean texts.
    pub quoted: Vec<Span>,
}

/// A column of a metric as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is, if it could be read.
    pub value: Option<Expr>,
    /// `AS`.
    pub name: Option<Name>,
    /// The comment behind it, or above it.
    pub doc: String,
    /// Where it stands.
    pub span: Span,
}

/// One of `GROUP BY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// An item's name, or a column's.
    Name(Name),
    /// An item's place, from 1.
    Place(usize, Span),
}

/// An expression as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Where.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Digits, with a point or without.
    Number(String),
    /// A text.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// No value.
    Null,
    /// Milliseconds since 1970.
    Timestamp(i64),
    /// So many milliseconds.
    Interval(i64),
    /// A column, or an item by its name.
    Name(String),
    /// Within EXISTS: a column of the event that asks.
    Asking(String),
    /// Whether there is such an event: which events they are called, and what must be true.
    Exists(Name, Option<Box<Expr>>),
    /// The number below zero.
    Minus(Box<Expr>),
    /// The opposite.
    Not(Box<Expr>),
    /// Two expressions.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// All of them.
    And(Vec<Expr>),
    /// Any of them.
    Or(Vec<Expr>),
    /// Whether it has no value.
    IsNull(Box<Expr>),
    /// Whether they differ, null being a value.
    IsDistinct(Box<Expr>, Box<Expr>),
    /// Whether it is one of these.
    In(Box<Expr>, Vec<Expr>),
    /// Whether it is from the second to the third.
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Whether it is like a pattern.
    Like(Box<Expr>, String),
    /// The operand, the pairs of `WHEN` and `THEN`, and `ELSE`.
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// A function.
    Call(Call),
}

/// The expressions that a node is made of, by shared or by exclusive references.
macro_rules! parts_of {
    ($node:expr, $iter:ident, $deref:ident, $($by:tt)+) => {
        match $node {
            Node::Number(_)
            | Node::Text(_)
            | Node::Boolean(_)
            | Node::Null
            | Node::Timestamp(_)
            | Node::Interval(_)
            | Node::Name(_)
            | Node::Asking(_) => Vec::new(),
            Node::Exists(_, of) => of.$deref().into_iter().collect(),
            Node::Minus(of) | Node::Not(of) | Node::IsNull(of) | Node::Like(of, _) => vec![of],
            Node::Binary(_, a, b) | Node::IsDistinct(a, b) => vec![a, b],
            Node::And(all) | Node::Or(all) => all.$iter().collect(),
            Node::In(of, all) => std::iter::once($($by)+ **of).chain(all).collect(),
            Node::Between(a, b, c) => vec![a, b, c],
            Node::Case(operand, whens, last) => {
                let whens = whens.$iter().flat_map(|(when, then)| [when, then]);
                operand.$deref().into_iter().chain(last.$deref()).chain(whens).collect()
            }
            Node::Call(call) => call.arguments.$iter().chain(call.filter.$deref()).collect(),
        }
    };
}

impl Expr {
    /// What it is made of.
    pub fn parts(&self) -> Vec<&Expr> {
        parts_of!(&self.node, iter, as_deref, &)
    }

    /// The same, to be changed.
    pub fn parts_mut(&mut self) -> Vec<&mut Expr> {
        parts_of!(&mut self.node, iter_mut, as_deref_mut, &mut)
    }
}

/// What stands between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Binary {
    Plus,
    Minus,
    Times,
    Divide,
    Remainder,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A function as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub name: Name,
    /// `(*)`.
    pub star: bool,
    /// `(DISTINCT ...)`.
    pub distinct: bool,
    /// Of what.
    pub arguments: Vec<Expr>,
    /// `FILTER (WHERE ...)`.
    pub filter: Option<Box<Expr>>,
}

/// Reads a text: what could be read of it, and what is wrong with it.
pub fn read(text: &str) -> (Option<Query>, Vec<Mistake>) {
    // What another parser builds of 64 KiB may be thousands of nodes deep, and is dropped by recursion.
    const STACK: usize = 512 << 20;
    if text.len() > LONGEST {
        let what = format!("the text has {} bytes, and a metric at most {LONGEST}.", text.len());
        return (None, vec![Mistake::new(Span::default(), what, "Make two metrics of it.")]);
    }
    let read = std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("metric".to_owned()).stack_size(STACK);
        reader.spawn_scoped(scope, || parsed(text)).ok()?.join().ok()
    });
    let failed = || Mistake::new(Span::default(), "the text could not be read.", "Make it simpler.");
    read.unwrap_or_else(|| (None, vec![failed()]))
}

fn parsed(text: &str) -> (Option<Query>, Vec<Mistake>) {
    let tokens = match Tokens::of(text) {
        Ok(tokens) => tokens,
        Err(mistake) => return (None, vec![mistake]),
    };
    if let Some(mistake) = tokens.too_deep(DEEPEST).or_else(|| tokens.no_select()) {
        return (None, vec![mistake]);
    }
    let mut parser =
        Parser::new(&DuckDbDialect).with_recursion_limit(8 * DEEPEST).with_tokens_with_locations(tokens.for_parser());
    let query = match parser.parse_query() {
        Ok(query) => query,
        Err(error) => return (None, vec![of_parser(&tokens, &error)]),
    };
    if let Some(mistake) = tokens.more_than_one().or_else(|| unread(&tokens, &parser)) {
        return (None, vec![mistake]);
    }
    let mut reader = Reader { tokens: &tokens, mistakes: Vec::new(), quoted: Vec::new(), called: Vec::new() };
    let read = reader.query(&query);
    let mut mistakes = reader.mistakes;
    if read.is_none() && mistakes.is_empty() {
        mistakes.push(Mistake::of_language(tokens.start(), "this is not a metric.", ""));
    }
    (read, mistakes)
}

/// What stands behind the query, if anything does.
fn unread(tokens: &Tokens, parser: &Parser<'_>) -> Option<Mistake> {
    let next = parser.peek_token();
    let is_end = matches!(next.token, sqlparser::tokenizer::Token::EOF | sqlparser::tokenizer::Token::SemiColon);
    (!is_end).then(|| tokens.misplaced(next.span.start, "the end of the metric"))
}

fn of_parser(tokens: &Tokens, error: &ParserError) -> Mistake {
    match error {
        ParserError::TokenizerError(said) | ParserError::ParserError(said) => tokens.of_parser(said),
        ParserError::RecursionLimitExceeded => tokens.nested(tokens.start()),
    }
}

/// Takes apart what was parsed.
struct Reader<'t> {
    tokens: &'t Tokens,
    mistakes: Vec<Mistake>,
    quoted: Vec<Span>,
    /// What the events are called whose columns are in reach: those of the query, and within EXISTS those that are looked for.
    called: Vec<String>,
}

impl Reader<'_> {
    /// Says that a construct is refused.
    fn refuse<T>(&mut self, refusal: &refusals::Refusal, span: Span) -> Option<T> {
        self.mistakes.push(refusal.at(span, None));
        None
    }

    /// Says that a construct is refused, by its words in the text.
    fn refuse_named<T>(&mut self, refusal: &refusals::Refusal, span: Span, name: &str) -> Option<T> {
        self.mistakes.push(refusal.at(span, Some(name)));
        None
    }
}
