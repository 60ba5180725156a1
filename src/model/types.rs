//! What a text means: names, types, scales, what may be null, and what comes of it: a plan.

mod aggregates;
mod answers;
mod expressions;
mod functions;
pub mod names;
mod numbers;
mod person;
mod rows;

use super::language::{self, Call, Expr as Written, Item, Key, Name, Node as Said, Query};
use super::messages::{Mistake, Span};
use dataflows::declared::plan::{Aggregate, Ask, Expr, Family, Metric, Node, Output, Source, Type, Window};
use dataflows::time::DAY_MS;
use std::fmt;

/// The plan of a text of SQL, and which of the families its events are of.
///
/// # Errors
/// If it is not a metric: all that is wrong with it.
pub fn compile(name: &str, text: &str, families: &[Family]) -> Result<(usize, Metric), Vec<Mistake>> {
    compile_over(name, text, families, &[])
}

/// The same of a text that may also read the rows of these metrics, if they are of events: each with its family's place.
///
/// # Errors
/// As above.
pub fn compile_over(
    name: &str,
    text: &str,
    families: &[Family],
    metrics: &[(usize, Metric)],
) -> Result<(usize, Metric), Vec<Mistake>> {
    let (query, mut mistakes) = language::read(text);
    let Some(query) = query else { return Err(mistakes) };
    if let Some(wrong) = names::wrong(name) {
        mistakes.push(Mistake::new(query.span, format!("the metric's name `{name}` {wrong}."), "Rename its file."));
    }
    let Some(from) = &query.from else { return Err(mistakes) };
    let of_rows = metrics.iter().find(|(_, metric)| metric.name == from.text && metric.name != name);
    let place = families.iter().position(|family| family.name == from.text);
    if let Some((_, inner)) = of_rows.filter(|(_, metric)| !metric.asks.is_empty()) {
        let what = format!(
            "the rows of `{}` come and go with what it asks of events, and nothing is computed of them.",
            inner.name
        );
        mistakes.push(Mistake::new(from.span, what, "Read the events themselves."));
        return Err(mistakes);
    }
    if let Some((_, inner)) = of_rows.filter(|(_, metric)| metric.inner().is_some()) {
        let what = format!("`{}` is computed of the rows of `{}`: there is no third level.", from.text, read_by(inner));
        mistakes.push(Mistake::new(from.span, what, format!("Read `{}` itself.", read_by(inner))));
        return Err(mistakes);
    }
    let Some(place) = place.or(of_rows.map(|(place, _)| *place)) else {
        let names = families.iter().map(|family| family.name.as_str());
        let meant = names::meant(&from.text, names.chain(metrics.iter().map(|(_, metric)| metric.name.as_str())));
        let instead = match (meant, families) {
            (Some(meant), _) => format!("Did you mean `{meant}`?"),
            (None, []) => "Declare it first.".to_owned(),
            (None, _) => {
                let names: Vec<_> = families.iter().map(|family| format!("`{}`", family.name)).collect();
                format!("There are {}.", names.join(", "))
            }
        };
        mistakes.push(Mistake::new(from.span, format!("there are no events `{}`.", from.text), instead));
        return Err(mistakes);
    };
    let inner = of_rows.map(|(_, inner)| inner).filter(|_| families[place].name != from.text);
    let rows = inner.map(|inner| rows::of(inner, &families[place]));
    let family = rows.as_ref().unwrap_or(&families[place]);
    let times = inner.map_or_else(|| vec![family.time], Metric::times);
    let mut typer = Typer { family, times, inner, quoted: &query.quoted, asks: Vec::new(), is_within: false, mistakes };
    let metric = typer.metric(name, &query);
    match metric {
        Some(metric) if typer.mistakes.is_empty() => Ok((place, metric)),
        Some(_) | None => {
            typer.mistakes.sort();
            typer.mistakes.dedup();
            Err(typer.mistakes)
        }
    }
}

/// The longest gap within a session: its events are kept for as long.
const LONGEST_GAP_MS: i64 = 366 * DAY_MS;

/// The metric whose rows another one is computed of.
fn read_by(metric: &Metric) -> &str {
    metric.inner().map_or("", |inner| &inner.name)
}

struct Typer<'f> {
    /// What is read: events, or rows as if they were some.
    family: &'f Family,
    /// The columns by whose windows a group leaves.
    times: Vec<usize>,
    /// The metric whose rows are read.
    inner: Option<&'f Metric>,
    /// Where names in double quotes stand.
    quoted: &'f [Span],
    /// What is asked of events.
    asks: Vec<Ask>,
    /// What is read is within EXISTS.
    is_within: bool,
    mistakes: Vec<Mistake>,
}

/// What an expression is of.
enum Of<'g> {
    /// An event, and where it is looked at.
    Events(&'static str),
    /// A group.
    Group(&'g mut Group),
}

#[derive(Default)]
struct Group {
    keys: Vec<GroupKey>,
    has_window: bool,
    /// Each gives one value.
    aggregates: Vec<Aggregate>,
    /// What has a name here that is neither a key nor a column.
    named: Vec<(String, Expr)>,
}

struct GroupKey {
    name: String,
    expr: Expr,
}

/// A type in words.
struct Kind(Type);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Type::Boolean => "a condition",
            Type::Number(0) => "a whole number",
            Type::Number(_) => "a number with decimals",
            Type::Instant => "an instant",
            Type::Text => "a text",
        })
    }
}

impl Typer<'_> {
    fn metric(&mut self, name: &str, query: &Query) -> Option<Metric> {
        let Query { doc, span, items, from: _, filter, keys, having, quoted: _ } = query;
        if doc.is_empty() {
            let instead = "Write a comment before it: `-- One row per day with a purchase: what the store earned.`";
            self.mistakes.push(Mistake::new(*span, "the metric does not say what a row of it is.", instead));
        }
        let names = self.names(items);
        let of_key = self.keys(keys, items, &names);
        // Who has no key has said nothing that could be judged.
        if keys.is_empty() {
            return None;
        }
        let filter = filter.as_ref().map(|filter| self.condition(filter, &mut Of::Events("WHERE is")));
        let mut group = Group::default();
        for place in &of_key {
            let is_last = of_key.last() == Some(place);
            if let Some(expr) = self.key(&items[*place], is_last) {
                group.keys.push(GroupKey { name: names[*place].clone().unwrap_or_default(), expr });
            }
        }
        let are_keys_read = group.keys.len() == keys.len();
        let leaves = self.leaves(&group.keys);
        let is_session = matches!(group.keys.last(), Some(key) if matches!(key.expr.node, Node::Session(_, _)));
        group.has_window = !leaves.is_empty() || is_session;
        if are_keys_read && !group.has_window && !stays(doc) {
            let what = "a key without a window of the event's time is kept for ever.";
            let window = self.times.first().map(|time| {
                let time = &self.family.columns[*time].name;
                format!("Group by a window of it, such as `date_trunc('day', {time})`; or end")
            });
            let instead = format!(
                "{} the comment before SELECT with: Kept for ever.",
                window.unwrap_or_else(|| "End".to_owned())
            );
            self.mistakes.push(Mistake::new(*span, what, instead));
        }
        let mut outputs = Vec::new();
        for (n, (item, name)) in items.iter().zip(&names).enumerate() {
            // What is wrong with a key was said.
            let value = if let Some(place) = of_key.iter().position(|place| *place == n) {
                group.keys.get(place).filter(|_| are_keys_read).map(|key| {
                    let Expr { ty, nullable, .. } = key.expr;
                    Expr { node: Node::Key(place), ty, nullable }
                })
            } else {
                // What is grouped by is not known otherwise.
                let value = item.value.as_ref().filter(|_| are_keys_read);
                value.and_then(|value| self.value(value, &mut Of::Group(&mut group)))
            };
            if let (Some(value), Some(name)) = (value, name) {
                self.storable(&value, item.span);
                outputs.push(Output { name: name.clone(), doc: item.doc.clone(), value });
            }
        }
        let named = |output: &Output| (output.name.clone(), output.value.clone());
        group.named = outputs.iter().skip(of_key.len()).map(named).collect();
        let having = having.as_ref().filter(|_| are_keys_read);
        let having = having.map(|having| self.condition(having, &mut Of::Group(&mut group)));
        let Group { keys, aggregates, .. } = group;
        let (aggregates, slots) = aggregates::joined(aggregates);
        let mut having = match having {
            Some(having) => Some(having?),
            None => None,
        };
        let filter = match filter {
            Some(filter) => Some(filter?),
            None => None,
        };
        outputs
            .iter_mut()
            .map(|output| &mut output.value)
            .chain(&mut having)
            .for_each(|value| aggregates::moved(value, &slots));
        let keys = keys.into_iter().map(|key| key.expr).collect();
        let of = self.inner.map_or(Source::Events, |inner| Source::Rows(Box::new(inner.clone())));
        let (name, doc, asks) = (name.to_owned(), doc.clone(), std::mem::take(&mut self.asks));
        let metric = Metric { name, doc, filter, keys, leaves, aggregates, having, outputs, of, asks };
        self.may_ask(&metric, *span);
        if self.mistakes.is_empty() {
            self.person(&metric, query);
        }
        Some(metric)
    }

    /// What the columns are called; `None` was said.
    fn names(&mut self, items: &[Item]) -> Vec<Option<String>> {
        let mut names: Vec<Option<String>> = Vec::new();
        for item in items {
            let name = self.name_of(item);
            let is_known = name.as_ref().is_some_and(|name| names.iter().flatten().any(|other| other == name));
            if let (true, Some(name)) = (is_known, &name) {
                let span = item.name.as_ref().map_or(item.span, |name| name.span);
                let what = format!("two columns are called `{name}`.");
                self.mistakes.push(Mistake::new(span, what, "Give one of them another name."));
            }
            names.push(name);
        }
        names
    }

    fn name_of(&mut self, item: &Item) -> Option<String> {
        let (name, span) = match (&item.name, item.value.as_ref().map(|value| &value.node)) {
            (Some(Name { text, span }), _) => (text.clone(), *span),
            (None, Some(Said::Name(name))) => (name.clone(), item.span),
            (None, Some(Said::Call(call))) if call.name.text == "is_final" => ("is_final".to_owned(), item.span),
            (None, Some(_)) => return self.wrong(item.span, "this column has no name.", "Write `AS name` behind it."),
            (None, None) => return None,
        };
        if let Some(wrong) = names::wrong(&name) {
            return self.wrong(span, format!("the column's name `{name}` {wrong}."), "Write another name behind AS.");
        }
        let is_itself = matches!(&item.value, Some(value) if value.node == Said::Name(name.clone()));
        if !is_itself && self.family.columns.iter().any(|column| column.name == name) {
            let what = format!(
                "the name `{name}` hides a column of `{}`: who groups by it may mean either.",
                self.family.name
            );
            return self.wrong(span, what, "Write another name behind AS.");
        }
        Some(name)
    }

    /// Which items are keys: the first ones.
    fn keys(&mut self, keys: &[Key], items: &[Item], names: &[Option<String>]) -> Vec<usize> {
        let mut found = Vec::new();
        for key in keys {
            let (place, span) = match key {
                Key::Place(place, span) => (place.checked_sub(1).filter(|place| *place < items.len()), *span),
                Key::Name(Name { text, span }) => (names.iter().position(|name| name.as_ref() == Some(text)), *span),
            };
            let Some(place) = place else {
                let is_column =
                    matches!(key, Key::Name(name) if self.family.columns.iter().any(|column| column.name == name.text));
                let (what, instead) = match key {
                    Key::Place(place, _) => (format!("SELECT has no column {place}."), "Write the column's name."),
                    // An item that could not be read may have had this name.
                    Key::Name(_) if names.contains(&None) => continue,
                    Key::Name(name) if is_column => (
                        format!("`{}` is grouped by and not selected, and a key is a column of the table.", name.text),
                        "Write it first in SELECT.",
                    ),
                    Key::Name(name) => {
                        (format!("SELECT has no column `{}`.", name.text), "Group by columns of SELECT.")
                    }
                };
                self.mistakes.push(Mistake::new(span, what, instead));
                continue;
            };
            if found.contains(&place) {
                self.mistakes.push(Mistake::new(span, "this is grouped by twice.", "Leave it out."));
                continue;
            }
            found.push(place);
        }
        let last = (0..items.len()).rev().find(|place| found.contains(place));
        for (place, item) in items.iter().enumerate().take(last.unwrap_or(0)) {
            if !found.contains(&place) {
                let what = "the columns that are grouped by come first: they are the table's key.";
                self.mistakes.push(Mistake::new(item.span, what, "Move this one behind them."));
            }
        }
        found.sort_unstable();
        found
    }

    /// What a key is of an event.
    fn key(&mut self, item: &Item, is_last: bool) -> Option<Expr> {
        let value = item.value.as_ref()?;
        if let Said::Call(call) = &value.node
            && call.name.text == "session"
        {
            return self.session(call, value.span, is_last);
        }
        let key = self.value(value, &mut Of::Events("a key is"))?;
        if key.nullable {
            let what = "a key is never null, and this may be.";
            return self.wrong(value.span, what, "Write `coalesce(x, 'none')`, or another value that is not there.");
        }
        if let Node::Floor(_, at) = &key.node
            && let Node::Later(within, _) = &at.node
            && self.is_time(within)
        {
            let what = "a window of the time that was moved is not when an event can still come.";
            return self.wrong(value.span, what, "Group by the window of the time itself, and move it in a view.");
        }
        Some(key)
    }

    /// When the session began that an event is in.
    fn session(&mut self, call: &Call, span: Span, is_last: bool) -> Option<Expr> {
        if self.inner.is_some() {
            return self.wrong(span, "sessions are of events, and this reads rows.", "Read the events themselves.");
        }
        let Call { name: _, star: false, distinct: false, arguments, filter: None } = call else {
            return self.wrong(span, "`session` takes other arguments.", "Write `session(t, interval '30 minutes')`.");
        };
        let [at, Written { node: Said::Interval(gap_ms), span: _ }] = arguments.as_slice() else {
            return self.wrong(span, "`session` takes other arguments.", "Write `session(t, interval '30 minutes')`.");
        };
        let time = self.family.time;
        if self.value(at, &mut Of::Events("a key is"))?.node != Node::Column(time) {
            let what = "a session is of the time of events.";
            let time = &self.family.columns[time].name;
            return self.wrong(at.span, what, format!("Write `session({time}, interval '30 minutes')`."));
        }
        if !(1..=LONGEST_GAP_MS).contains(gap_ms) {
            let what = "between two events of a session lies a millisecond or more, and a year at most.";
            return self.wrong(span, what, "Write another interval.");
        }
        if !is_last {
            return self.wrong(span, "a session is the last of the keys.", "Move it behind the others in SELECT.");
        }
        let node = Node::Session(*gap_ms, Box::new(self.column(time)));
        Some(Expr { node, ty: Type::Instant, nullable: false })
    }

    /// Whether it is a time by whose windows groups leave, and nothing is made of it.
    fn is_time(&self, expr: &Expr) -> bool {
        matches!(expr.node, Node::Column(place) if self.times.contains(&place))
    }

    /// Which keys are windows of the family's time, exactly.
    fn leaves(&self, keys: &[GroupKey]) -> Vec<(usize, Window)> {
        let window = |key: &GroupKey| {
            let Node::Floor(window, at) = &key.expr.node else { return None };
            self.is_time(at).then_some(*window)
        };
        keys.iter().enumerate().filter_map(|(n, key)| Some((n, window(key)?))).collect()
    }

    fn storable(&mut self, value: &Expr, span: Span) {
        if let Type::Number(scale) = value.ty
            && ![0, 2, 3].contains(&scale)
        {
            let what = format!("this has {scale} decimals, and a column 0, 2 or 3.");
            self.mistakes.push(Mistake::new(span, what, "Write `round(x, 2)`."));
        }
    }
}

/// Whether a description says that its rows stay.
fn stays(doc: &str) -> bool {
    doc.ends_with("Kept for ever.") || doc.ends_with("Kept forever.")
}
