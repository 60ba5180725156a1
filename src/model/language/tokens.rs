//! The words of a text, with their places: what a parsed tree does not tell.

use super::super::messages::{Mistake, Span};
use super::refusals;
use sqlparser::dialect::DuckDbDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError, Whitespace};

/// The words of a text.
pub(super) struct Tokens {
    /// With blanks and comments.
    pub(super) all: Vec<TokenWithSpan>,
    /// Which of them are neither.
    words: Vec<usize>,
}

/// A place of the other crate's as one of ours.
pub(super) fn span(span: sqlparser::tokenizer::Span) -> Span {
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Span {
        line: place(span.start.line),
        column: place(span.start.column),
        end_line: place(span.end.line),
        end_column: place(span.end.column),
    }
}

fn letter(at: Location) -> Span {
    let Location { line, column } = at;
    span(sqlparser::tokenizer::Span { start: at, end: Location { line, column: column + 1 } })
}

impl Tokens {
    /// The words of a text, or what is wrong with the first that is none.
    pub(super) fn of(text: &str) -> Result<Tokens, Mistake> {
        let all = Tokenizer::new(&DuckDbDialect, text).tokenize_with_location().map_err(|error| {
            let TokenizerError { message, location } = error;
            let message = message.trim_end_matches(&location.to_string()).trim_end().to_owned();
            Mistake::new(letter(location), format!("{}.", lower(&message)), "")
        })?;
        let is_word = |token: &Token| !matches!(token, Token::Whitespace(_) | Token::EOF);
        let words = all.iter().enumerate().filter(|(_, token)| is_word(&token.token)).map(|(n, _)| n).collect();
        Ok(Tokens { all, words })
    }

    /// The words as the parser reads them. It would take `f(a = 1 AND b)` for a call with an argument that is called `a`; the
    /// other way to write "is equal" means nothing else.
    pub(super) fn for_parser(&self) -> Vec<TokenWithSpan> {
        let mut all = self.all.clone();
        for begin in self.words.windows(3) {
            let [before, name, sign] = [begin[0], begin[1], begin[2]];
            let begins = matches!(all[before].token, Token::LParen | Token::Comma);
            if begins && matches!(all[name].token, Token::Word(_)) && all[sign].token == Token::Eq {
                all[sign].token = Token::DoubleEq;
            }
        }
        all
    }

    fn word(&self, n: usize) -> Option<&TokenWithSpan> {
        self.words.get(n).and_then(|at| self.all.get(*at))
    }

    /// Where the text begins.
    pub(super) fn start(&self) -> Span {
        self.word(0).map(|word| span(word.span)).unwrap_or_default()
    }

    /// Where the text ends.
    pub(super) fn end(&self) -> Span {
        self.words.last().and_then(|at| self.all.get(*at)).map(|word| span(word.span)).unwrap_or_default()
    }

    /// The first word that is this one, from a place on; the place itself if there is none.
    pub(super) fn find(&self, from: Span, wanted: &str) -> Span {
        let mut words = self.words.iter().filter_map(|at| self.all.get(*at));
        let found = words.find(|word| {
            let place = span(word.span);
            (place.line, place.column) >= (from.line, from.column) && written(&word.token).eq_ignore_ascii_case(wanted)
        });
        found.map_or(from, |word| span(word.span))
    }

    /// The last word that is this one and stands outside of all brackets, from which on nothing is within any.
    pub(super) fn clause(&self, wanted: &str) -> Span {
        let (mut depth, mut found) = (0_usize, self.start());
        for word in self.words.iter().filter_map(|at| self.all.get(*at)) {
            depth = deeper(depth, &word.token);
            if depth == 0 && written(&word.token).eq_ignore_ascii_case(wanted) {
                found = span(word.span);
            }
        }
        found
    }

    /// From the name of a function to its closing bracket.
    pub(super) fn call(&self, name: Span) -> Span {
        let start = self.words.iter().position(|at| self.all.get(*at).is_some_and(|word| span(word.span) == name));
        let Some(start) = start else { return name };
        let (mut depth, mut end) = (0_usize, name);
        for n in start + 1..self.words.len() {
            let Some(word) = self.word(n) else { break };
            depth = deeper(depth, &word.token);
            if n == start + 1 && depth == 0 {
                break;
            }
            end = span(word.span);
            if depth == 0 {
                break;
            }
        }
        name.to(end)
    }

    /// What is nested too deep, if anything is.
    pub(super) fn too_deep(&self, deepest: usize) -> Option<Mistake> {
        let mut depth = 0_usize;
        for word in self.words.iter().filter_map(|at| self.all.get(*at)) {
            // A CASE within a CASE is nested too, and takes its parser longest.
            depth = match written(&word.token).to_ascii_uppercase().as_str() {
                "CASE" => depth + 1,
                "END" => depth.saturating_sub(1),
                _ => deeper(depth, &word.token),
            };
            if depth > deepest {
                return Some(self.nested(span(word.span)));
            }
        }
        None
    }

    /// Says that something is nested too deep.
    pub(super) fn nested(&self, at: Span) -> Mistake {
        let what = format!("this is nested more than {} deep.", super::DEEPEST);
        Mistake::new(at, what, "Write it in smaller parts.")
    }

    /// What begins as no query does.
    pub(super) fn no_select(&self) -> Option<Mistake> {
        let Some(first) = self.word(0) else {
            return Some(Mistake::of_language(Span::default(), "the text is empty.", "Write one SELECT."));
        };
        let first_word = written(&first.token).to_ascii_uppercase();
        let is_query = ["SELECT", "WITH", "FROM", "(", "VALUES", "TABLE"].contains(&first_word.as_str());
        (!is_query).then(|| refusals::STATEMENT.at(span(first.span), Some(&first_word)))
    }

    /// What stands behind a semicolon.
    pub(super) fn more_than_one(&self) -> Option<Mistake> {
        let end = (0..self.words.len()).find(|n| self.word(*n).is_some_and(|word| word.token == Token::SemiColon))?;
        let next = (end..self.words.len()).filter_map(|n| self.word(n)).find(|word| word.token != Token::SemiColon)?;
        Some(refusals::STATEMENTS.at(span(next.span), None))
    }

    /// A word where another was expected.
    pub(super) fn misplaced(&self, at: Location, expected: &str) -> Mistake {
        let found = self.words.iter().filter_map(|n| self.all.get(*n)).find(|word| word.span.start == at);
        let Some(found) = found else {
            let mut place = self.end();
            (place.line, place.column) = (place.end_line, place.end_column);
            return Mistake::of_language(place, format!("the text ends where {expected} is expected."), "");
        };
        let name = written(&found.token);
        match refusals::of_word(&name) {
            Some(refusal) => refusal.at(span(found.span), Some(&name.to_ascii_uppercase())),
            None => {
                let what = format!("`{name}` stands where {expected} is expected.");
                Mistake::of_language(span(found.span), what, "")
            }
        }
    }

    /// What the parser said, with the place that it said.
    pub(super) fn of_parser(&self, said: &str) -> Mistake {
        let (what, place) = said.rsplit_once(" at Line: ").unwrap_or((said, ""));
        let mut numbers = place.split(", Column: ").map(|number| number.trim().parse::<u64>().ok());
        let at = match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(line), Some(column)) => Some(Location { line, column }),
            _ => None,
        };
        let expected = what.strip_prefix("Expected: ").and_then(|what| what.split_once(", found: "));
        match (expected, at) {
            (Some((expected, _)), Some(at)) => self.misplaced(at, expected),
            (Some((expected, "EOF")), None) => self.misplaced(Location { line: 0, column: 0 }, expected),
            (_, at) => {
                let place = at.map_or_else(|| self.start(), letter);
                Mistake::of_language(place, format!("{}.", lower(what)), "")
            }
        }
    }

    /// The comment before everything.
    pub(super) fn doc(&self) -> String {
        let first = self.words.first().copied().unwrap_or(self.all.len());
        let comments: Vec<_> = self.all[..first].iter().filter_map(|token| comment(&token.token)).collect();
        comments.join(" ")
    }

    /// The items of the list of `SELECT`: where each stands, and what its comment says. A comment on the line of an item is
    /// the item's, and so are the lines below that hold nothing else; any other is of the item that follows.
    pub(super) fn items(&self) -> Vec<(Span, String)> {
        let (mut items, mut depth, mut is_open) = (Vec::<(Span, String)>::new(), 0_usize, false);
        // Which line the last word ended in, which the last comment that an item has, and what waits for an item.
        let (mut line, mut below, mut waits) = (0, 0, Vec::new());
        let first = self.words.first().copied().unwrap_or(0);
        for token in self.all.get(first + 1..).unwrap_or_default() {
            let place = span(token.span);
            if let Some(text) = comment(&token.token) {
                match items.last_mut() {
                    Some((_, doc)) if waits.is_empty() && (place.line == line || place.line == below + 1) => {
                        *doc = format!("{doc} {text}").trim().to_owned();
                        // A comment of one line ends where the next begins.
                        below = if place.end_column == 1 { place.end_line - 1 } else { place.end_line };
                    }
                    Some(_) | None => waits.push(text),
                }
                continue;
            }
            if matches!(token.token, Token::Whitespace(_)) {
                continue;
            }
            depth = deeper(depth, &token.token);
            if depth == 0 && written(&token.token).eq_ignore_ascii_case("from") {
                break;
            }
            if depth == 0 && token.token == Token::Comma {
                is_open = false;
            } else if let (true, Some((of, _))) = (is_open, items.last_mut()) {
                *of = of.to(place);
            } else {
                items.push((place, waits.join(" ")));
                waits.clear();
                is_open = true;
            }
            line = place.end_line;
        }
        items
    }
}

fn deeper(depth: usize, token: &Token) -> usize {
    if [Token::LParen, Token::LBracket, Token::LBrace].contains(token) {
        depth + 1
    } else if [Token::RParen, Token::RBracket, Token::RBrace].contains(token) {
        depth.saturating_sub(1)
    } else {
        depth
    }
}

/// A word as it is written, without its quotes.
fn written(token: &Token) -> String {
    if let Token::Word(word) = token { word.value.clone() } else { token.to_string() }
}

fn comment(token: &Token) -> Option<String> {
    let Token::Whitespace(whitespace) = token else { return None };
    let text = match whitespace {
        Whitespace::Space | Whitespace::Newline | Whitespace::Tab => return None,
        Whitespace::SingleLineComment { comment, prefix: _ } => comment,
        Whitespace::MultiLineComment(comment) => comment,
    };
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
