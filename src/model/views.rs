//! Views for analysts: files of SQL in the folder `views` of a model, over the tables that are kept.
//!
//! A text is passed on as it stands, but for what SQLite, DuckDB and Snowflake do not write alike: the watermark, the start of an
//! hour or a day, and an instant some time before or after another one. These are understood ([`Piece`]), and each
//! database gets its own writing of them.

use super::messages::{Mistake, Span};
use super::types::names;
use sqlparser::dialect::DuckDbDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

/// A view as it is declared.
#[derive(Clone, Debug)]
pub struct View {
    /// What it is called.
    pub name: String,
    /// What a row of it is.
    pub doc: String,
    /// Its file.
    pub file: String,
    /// The text of that.
    pub text: String,
    /// The line in which its SELECT begins, from 1.
    pub line: usize,
    /// Its SELECT. It has as many lines as the text from there on.
    pub pieces: Vec<Piece>,
}

/// A part of a SELECT.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// What is read: a table, another view, or what the text itself names.
    Read(String),
    /// The watermark: of this family, or of the one whose tables are read.
    Watermark(Option<String>),
    /// The start of the minute, hour, day, week or month that an instant is in.
    Start(&'static str, Vec<Piece>),
    /// So many milliseconds later, or earlier.
    Later(Vec<Piece>, i64),
}

/// What an instant can be the start of.
const UNITS: &[&str] = &["minute", "hour", "day", "week", "month"];

/// Words behind which a bracket is no call.
const NO_FUNCTIONS: &[&str] = &[
    "and", "as", "by", "case", "else", "exists", "from", "in", "join", "not", "on", "or", "over", "select", "then",
    "using", "when", "where",
];

/// Words behind which no table follows a comma.
const ENDS_TABLES: &[&str] =
    &["group", "having", "limit", "on", "order", "qualify", "select", "union", "using", "where", "window"];

impl View {
    /// What it reads, whatever that is.
    pub fn reads(&self) -> Vec<&str> {
        fn of<'p>(pieces: &'p [Piece], reads: &mut Vec<&'p str>) {
            for piece in pieces {
                match piece {
                    Piece::Read(name) => reads.push(name),
                    Piece::Start(_, within) | Piece::Later(within, _) => of(within, reads),
                    Piece::Text(_) | Piece::Watermark(_) => {}
                }
            }
        }
        let mut reads = Vec::new();
        of(&self.pieces, &mut reads);
        reads
    }

    /// Whether it asks for the watermark without saying whose.
    pub fn asks_whose(&self) -> bool {
        fn asks(pieces: &[Piece]) -> bool {
            pieces.iter().any(|piece| match piece {
                Piece::Watermark(whose) => whose.is_none(),
                Piece::Start(_, within) | Piece::Later(within, _) => asks(within),
                Piece::Text(_) | Piece::Read(_) => false,
            })
        }
        asks(&self.pieces)
    }
}

/// Reads the text of a view.
///
/// # Errors
/// What is wrong with it, as far as the text alone tells.
pub fn read(name: &str, file: &str, text: &str) -> Result<View, Vec<Mistake>> {
    if let Some(wrong) = names::wrong(name) {
        return Err(vec![Mistake::new(Span::default(), format!("the name `{name}` {wrong}."), "Rename the file.")]);
    }
    let tokens = Tokenizer::new(&DuckDbDialect, text).tokenize_with_location().map_err(|error| {
        let at = place(error.location, error.location);
        vec![Mistake::new(at, format!("{}.", error.message), "")]
    })?;
    let is_word = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let Some(first) = tokens.iter().find(is_word) else {
        let instead = "Write a comment that says what a row is, and SELECT ... FROM a table.";
        return Err(vec![Mistake::new(Span::default(), "there is no SELECT in it.", instead)]);
    };
    let line = usize::try_from(first.span.start.line).unwrap_or(1);
    let doc = text.lines().take(line - 1).filter_map(|line| line.trim().strip_prefix("--"));
    let doc = doc.map(str::trim).collect::<Vec<_>>().join(" ");
    let mut reading =
        Reading { source: Source::of(text), tokens: &tokens, at: 0, mistakes: Vec::new(), is_over: false };
    while reading.tokens.get(reading.at).is_some_and(|token| !is_word(&token)) {
        reading.at += 1;
    }
    let verb = reading.source.of_token(first).to_lowercase();
    let span = place(first.span.start, first.span.end);
    if !["select", "with"].contains(&verb.as_str()) {
        reading.mistakes.push(Mistake::new(span, "a view begins with SELECT or WITH.", "Write one SELECT."));
    }
    if doc.is_empty() {
        let instead = "Write a comment before it: -- One row per customer: what is said of it.";
        reading.mistakes.push(Mistake::new(span, "nothing says what a row is.", instead));
    }
    let pieces = joined(reading.items(false));
    match reading.mistakes.is_empty() {
        true => Ok(View { name: name.to_owned(), doc, file: file.to_owned(), text: text.to_owned(), line, pieces }),
        false => Err(reading.mistakes),
    }
}

fn place(start: Location, end: Location) -> Span {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Span {
        line: number(start.line),
        column: number(start.column),
        end_line: number(end.line),
        end_column: number(end.column).max(number(start.column) + 1),
    }
}

/// A text, of which parts are taken by their lines and columns.
struct Source<'t> {
    lines: Vec<&'t str>,
}

impl<'t> Source<'t> {
    fn of(text: &'t str) -> Source<'t> {
        Source { lines: text.split('\n').collect() }
    }

    fn of_token(&self, token: &TokenWithSpan) -> String {
        let (start, end) = (token.span.start, token.span.end);
        let letters = |at: u64| usize::try_from(at.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut text = String::new();
        for line in start.line..=end.line {
            let of = self.lines.get(letters(line)).copied().unwrap_or_default();
            let from = if line == start.line { letters(start.column) } else { 0 };
            let until = if line == end.line { letters(end.column) } else { usize::MAX };
            text.extend(of.chars().skip(from).take(until.saturating_sub(from)));
            if line < end.line {
                text.push('\n');
            }
        }
        text
    }
}

/// What has been read of a SELECT.
enum Item {
    Blank(String),
    Word(String),
    /// A value, or whatever stands in brackets.
    Operand(Vec<Piece>),
    Other(String),
}

/// Whether tables are named where the text is, and whether the next word is one.
#[derive(Default)]
struct Tables {
    are_named: bool,
    is_next: bool,
}

struct Reading<'t> {
    source: Source<'t>,
    tokens: &'t [TokenWithSpan],
    at: usize,
    mistakes: Vec<Mistake>,
    is_over: bool,
}

impl Reading<'_> {
    fn say(&mut self, token: &TokenWithSpan, what: impl Into<String>, instead: impl Into<String>) {
        self.mistakes.push(Mistake::new(place(token.span.start, token.span.end), what, instead));
    }

    fn next(&mut self) -> Option<TokenWithSpan> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token.filter(|token| token.token != Token::EOF)
    }

    /// The word that comes next, behind blanks; it is not taken.
    fn ahead(&self) -> Option<(usize, &TokenWithSpan)> {
        let mut rest = self.tokens.iter().enumerate().skip(self.at);
        rest.find(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
    }

    /// Up to the end, or to the bracket that closes.
    fn items(&mut self, is_within: bool) -> Vec<Item> {
        let (mut items, mut tables) = (Vec::new(), Tables::default());
        while let Some(token) = self.next() {
            let text = self.source.of_token(&token);
            if let Token::Whitespace(blank) = &token.token {
                // What is put together on one line must not end in a comment.
                let is_comment =
                    matches!(blank, Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_));
                let lines = text.matches('\n').count();
                let kept = if is_comment { if lines == 0 { " ".to_owned() } else { "\n".repeat(lines) } } else { text };
                items.push(Item::Blank(kept));
            } else if token.token == Token::RParen && is_within {
                return items;
            } else if token.token == Token::SemiColon {
                self.ended();
            } else if token.token == Token::LParen {
                tables.is_next = false;
                self.brackets(&token, &mut items);
            } else if token.token == Token::Period {
                self.path(&mut items);
            } else if [Token::Plus, Token::Minus].contains(&token.token) && self.is_interval() {
                self.later(&token, &mut items);
            } else if let Token::Word(word) = &token.token {
                items.push(self.word(&token, word, text, &mut tables));
            } else if matches!(token.token, Token::Number(..) | Token::SingleQuotedString(_)) {
                items.push(Item::Operand(vec![Piece::Text(text)]));
            } else {
                tables.is_next = token.token == Token::Comma && tables.are_named;
                items.push(Item::Other(text));
            }
        }
        items
    }

    /// Behind the `;` nothing stands.
    fn ended(&mut self) {
        let rest = self.ahead().filter(|(_, token)| token.token != Token::EOF).map(|(_, token)| token.clone());
        if let Some(rest) = rest.filter(|_| !self.is_over) {
            self.is_over = true;
            self.say(&rest, "there is more behind the SELECT.", "A view is one SELECT: make another file.");
        }
    }

    fn word(&mut self, token: &TokenWithSpan, word: &Word, text: String, tables: &mut Tables) -> Item {
        let (lower, is_quoted) = (text.to_lowercase(), word.quote_style.is_some());
        if tables.is_next && word.quote_style.is_none_or(|quote| quote == '"') && lower != "lateral" {
            tables.is_next = false;
            return Item::Operand(vec![Piece::Read(word.value.to_lowercase())]);
        }
        if !is_quoted && ["from", "join"].contains(&lower.as_str()) {
            *tables = Tables { are_named: true, is_next: true };
        } else if !is_quoted && ENDS_TABLES.contains(&lower.as_str()) {
            *tables = Tables::default();
        } else if !is_quoted && lower == "interval" {
            let what = "an interval stands only behind `t +` or `t -`, where t is an instant.";
            self.say(token, what, "Write t - interval '24 hours'.");
        }
        Item::Word(text)
    }

    /// What stands in brackets: a call of a function, if the name of one is before it.
    fn brackets(&mut self, open: &TokenWithSpan, items: &mut Vec<Item>) {
        let call = match items.last() {
            Some(Item::Word(word)) if !NO_FUNCTIONS.contains(&word.to_lowercase().as_str()) => Some(word.clone()),
            Some(_) | None => None,
        };
        if call.is_some() {
            items.pop();
        }
        let within = self.items(true);
        let called = call.as_deref().unwrap_or_default();
        let operand = match called.to_lowercase().as_str() {
            "watermark" => self.watermark(open, within),
            "date_trunc" => self.start(open, within),
            _ => {
                let mut pieces = vec![Piece::Text(format!("{called}("))];
                pieces.extend(joined(within));
                pieces.push(Piece::Text(")".to_owned()));
                pieces
            }
        };
        items.push(Item::Operand(operand));
    }

    fn watermark(&mut self, open: &TokenWithSpan, within: Vec<Item>) -> Vec<Piece> {
        let within: Vec<_> = within.into_iter().filter(|item| !matches!(item, Item::Blank(_))).collect();
        match &within[..] {
            [] => return vec![Piece::Watermark(None)],
            [Item::Operand(pieces)] => {
                if let [Piece::Text(name)] = &pieces[..]
                    && let Some(name) = unquoted(name)
                {
                    return vec![Piece::Watermark(Some(name.to_owned()))];
                }
            }
            _ => {}
        }
        self.say(
            open,
            "`watermark` takes the name of a family, or nothing.",
            "Write watermark() or watermark('orders').",
        );
        Vec::new()
    }

    fn start(&mut self, open: &TokenWithSpan, mut within: Vec<Item>) -> Vec<Piece> {
        let comma = within.iter().position(|item| matches!(item, Item::Other(text) if text == ","));
        let at = comma.map(|comma| within.split_off(comma + 1)).unwrap_or_default();
        let unit = within.iter().find_map(|item| match item {
            Item::Operand(pieces) => match &pieces[..] {
                [Piece::Text(text)] => unquoted(text).map(str::to_lowercase),
                _ => None,
            },
            Item::Blank(_) | Item::Word(_) | Item::Other(_) => None,
        });
        let unit = unit.and_then(|unit| UNITS.iter().find(|known| **known == unit));
        match unit {
            Some(unit) if !at.is_empty() => vec![Piece::Start(unit, trimmed(joined(at)))],
            Some(_) | None => {
                let units = UNITS.iter().map(|unit| format!("'{unit}'")).collect::<Vec<_>>().join(", ");
                self.say(open, "`date_trunc` takes a unit and an instant.", format!("The units are {units}."));
                Vec::new()
            }
        }
    }

    /// `a.b`
    fn path(&mut self, items: &mut Vec<Item>) {
        let before = match items.pop() {
            Some(Item::Word(word)) => word,
            Some(Item::Operand(pieces)) if pieces.len() == 1 => match pieces.into_iter().next() {
                Some(Piece::Text(text) | Piece::Read(text)) => text,
                Some(_) | None => String::new(),
            },
            Some(other) => {
                items.push(other);
                String::new()
            }
            None => String::new(),
        };
        let after = self.next().map(|token| self.source.of_token(&token)).unwrap_or_default();
        items.push(Item::Operand(vec![Piece::Text(format!("{before}.{after}"))]));
    }

    /// Whether `interval '...'` comes next.
    fn is_interval(&self) -> bool {
        let is = |token: &TokenWithSpan| matches!(&token.token, Token::Word(word) if word.value.eq_ignore_ascii_case("interval"));
        self.ahead().is_some_and(|(_, token)| is(token))
    }

    /// `t + interval '1 hour'`, behind the sign.
    fn later(&mut self, sign: &TokenWithSpan, items: &mut Vec<Item>) {
        while let Some(Item::Blank(_)) = items.last() {
            items.pop();
        }
        let operand = match items.pop() {
            Some(Item::Word(word)) => Some(vec![Piece::Text(word)]),
            Some(Item::Operand(pieces)) => Some(pieces),
            Some(Item::Blank(_) | Item::Other(_)) | None => None,
        };
        self.at = self.ahead().map_or(self.at, |(at, _)| at + 1);
        let written = self.ahead().map(|(at, token)| (at, token.clone()));
        let ms = written.as_ref().and_then(|(at, token)| {
            self.at = at + 1;
            let Token::SingleQuotedString(text) = &token.token else { return None };
            span_ms(text)
        });
        let sign_of = if sign.token == Token::Minus { -1 } else { 1 };
        match (operand, ms) {
            (Some(operand), Some(ms)) => items.push(Item::Operand(vec![Piece::Later(operand, sign_of * ms)])),
            (None, _) => self.say(sign, "before it stands no instant.", "Write t - interval '24 hours'."),
            (_, None) => {
                let instead = "Write a number and a unit from milliseconds to weeks: interval '24 hours'.";
                self.say(sign, "behind it stands no interval.", instead);
            }
        }
    }
}

/// What an interval can be counted in, and how long each is.
const SPANS: &[(&str, i64)] = &[
    ("millisecond", 1),
    ("second", 1_000),
    ("minute", 60_000),
    ("hour", 3_600_000),
    ("day", 86_400_000),
    ("week", 604_800_000),
];

/// `24 hours` in milliseconds.
fn span_ms(text: &str) -> Option<i64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit = unit.trim().to_lowercase();
    let (_, ms) = SPANS.iter().find(|(name, _)| unit.strip_suffix('s').unwrap_or(&unit) == *name)?;
    number.parse::<u32>().ok().map(|number| i64::from(number) * ms)
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.strip_suffix('\'')
}

/// Items as pieces, texts that follow each other as one.
fn joined(items: Vec<Item>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let all = items.into_iter().flat_map(|item| match item {
        Item::Blank(text) | Item::Word(text) | Item::Other(text) => vec![Piece::Text(text)],
        Item::Operand(pieces) => pieces,
    });
    for piece in all {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, piece) => pieces.push(piece),
        }
    }
    pieces
}

/// Without blanks around it.
fn trimmed(mut pieces: Vec<Piece>) -> Vec<Piece> {
    if let Some(Piece::Text(first)) = pieces.first_mut() {
        *first = first.trim_start().to_owned();
    }
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        *last = last.trim_end().to_owned();
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    pieces
}

#[cfg(test)]
mod tests;
