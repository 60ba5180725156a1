//! Functions of a value.

use super::super::language::{Binary, Call, Expr as Written, Node as Said, refusals};
use super::super::messages::{Mistake, Span};
use super::expressions::{is_nullif_zero, is_number, two};
use super::numbers::{LARGEST_SCALE, literal};
use super::{Of, Typer, names};
use dataflows::declared::plan::{Expr, Literal, Node, Type, What, Window};
use dataflows::time::DAY_MS;

const HOUR_MS: i64 = 3_600_000;

/// All functions that there are, for who mistypes one.
const ALL: [&str; 20] = [
    "abs",
    "coalesce",
    "count",
    "date_diff",
    "date_trunc",
    "funnel",
    "is_final",
    "length",
    "max",
    "max_by",
    "min",
    "min_by",
    "nullif",
    "round",
    "session",
    "substr",
    "sum",
    "time_bucket",
    "avg",
    "watermark",
];

impl Typer<'_> {
    /// A function.
    pub(super) fn call(&mut self, call: &Call, span: Span, of: &mut Of<'_>) -> Option<Expr> {
        let Call { name, star, distinct, arguments, filter } = call;
        let name = name.text.as_str();
        if let "count" | "sum" | "min" | "max" | "min_by" | "max_by" | "funnel" = name {
            return self.aggregate(call, span, of);
        }
        if name == "avg" {
            self.mistakes.push(refusals::of_average(span));
            return None;
        }
        if *star || *distinct {
            return self.wrong(span, format!("`{name}` takes values."), "Only count takes `*` or DISTINCT.");
        }
        if let Some(filter) = filter {
            return self.wrong(filter.span, format!("`{name}` is no aggregate, so nothing is filtered."), "");
        }
        match (name, arguments.as_slice()) {
            ("watermark", []) => {
                let what = "the watermark is only compared with the time of an event.";
                let time = &self.family.columns[self.family.time].name;
                self.wrong(span, what, format!("Write `{time} + interval '1 hour' <= watermark()` in WHERE or FILTER."))
            }
            ("is_final", []) => self.is_final(span, of),
            ("session", [_, _]) => {
                let what = "a session is a key of its own, and nothing is computed of it.";
                let time = &self.family.columns[self.family.time].name;
                let instead =
                    format!("Write `session({time}, interval '30 minutes') AS started`, and group by it last.");
                self.wrong(span, what, instead)
            }
            ("coalesce", [_, ..]) => self.coalesce(arguments, of),
            ("nullif", [value, with]) => self.nullif(value, with, of),
            ("abs", [value]) => {
                let value = self.typed(value, of, "`abs` takes a number", is_number)?;
                let ty = value.ty;
                Some(Expr { node: Node::Abs(Box::new(value)), ty, nullable: true })
            }
            ("length", [text]) => {
                let text = self.typed(text, of, "`length` takes a text", |ty| ty == Type::Text)?;
                let nullable = text.nullable;
                Some(Expr { node: Node::Length(Box::new(text)), ty: Type::Number(0), nullable })
            }
            ("substr", [text, from]) => self.substr(text, from, None, of),
            ("substr", [text, from, letters]) => self.substr(text, from, Some(letters), of),
            ("round", [value, decimals]) => self.round(value, decimals, of),
            ("round", [_]) => self.wrong(span, "`round` is told how many decimals stay.", "Write `round(x, 0)`."),
            ("date_trunc", [unit, at]) => self.date_trunc(unit, at, of),
            ("time_bucket", [width, at]) => self.time_bucket(width, at, of),
            ("date_diff", [unit, from, to]) => self.date_diff(unit, from, to, of),
            _ if ALL.contains(&name) => {
                self.wrong(span, format!("`{name}` takes other arguments."), format!("Write `{}`.", usage(name)))
            }
            _ => {
                let meant = names::meant(name, ALL).map(|meant| format!("Did you mean `{}`?", usage(meant)));
                let what = format!("`{name}` is no function that a metric can have.");
                self.mistakes.push(Mistake::of_language(span, what, meant.unwrap_or_default()));
                None
            }
        }
    }

    fn is_final(&mut self, span: Span, of: &mut Of<'_>) -> Option<Expr> {
        match of {
            Of::Group(_) if self.inner.is_some_and(|inner| inner.session().is_some()) => {
                let what = "when rows of sessions are final is not known: a session may begin earlier than it does.";
                self.wrong(span, what, "Leave it out.")
            }
            Of::Group(group) if group.has_window => {
                Some(Expr { node: Node::IsFinal, ty: Type::Boolean, nullable: false })
            }
            Of::Group(_) => {
                let what = "a row without a window of the event's time is never final.";
                self.wrong(span, what, "Leave it out, or group by `date_trunc('day', ...)` of the time.")
            }
            Of::Events(_) => {
                self.wrong(span, "`is_final()` is of a row, and not of an event.", "Write it as a column of its own.")
            }
        }
    }

    fn coalesce(&mut self, arguments: &[Written], of: &mut Of<'_>) -> Option<Expr> {
        let values: Vec<_> = arguments.iter().map(|one| (self.expr(one, of), one.span)).collect();
        let values = values.into_iter().map(|(value, span)| Some((value?, span))).collect::<Option<Vec<_>>>()?;
        let values = self.alike(values)?;
        let nullable = values.iter().all(|value| value.nullable);
        let ty = values.first()?.ty;
        Some(Expr { node: Node::Coalesce(values), ty, nullable })
    }

    fn nullif(&mut self, value: &Written, with: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let (a, b) = (self.value(value, of), self.value(with, of));
        let alike = self.alike(vec![(a?, value.span), (b?, with.span)])?;
        let (a, b) = two(alike)?;
        let ty = a.ty;
        Some(Expr { node: Node::NullIf(Box::new(a), Box::new(b)), ty, nullable: true })
    }

    fn substr(&mut self, text: &Written, from: &Written, letters: Option<&Written>, of: &mut Of<'_>) -> Option<Expr> {
        let text = self.typed(text, of, "`substr` takes a text", |ty| ty == Type::Text);
        let from = self.whole(from, 1);
        let letters = match letters {
            Some(letters) => self.whole(letters, 0).map(Some),
            None => Some(None),
        };
        let (text, from, letters) = (text?, from?, letters?);
        let nullable = text.nullable;
        Some(Expr { node: Node::Substr(Box::new(text), from, letters), ty: Type::Text, nullable })
    }

    /// A whole number that stands in the text.
    fn whole(&mut self, written: &Written, least: u32) -> Option<u32> {
        if let Said::Number(digits) = &written.node
            && let Some(number) = digits.parse::<u32>().ok().filter(|number| *number >= least && *number <= 1_000_000)
        {
            return Some(number);
        }
        self.wrong(
            written.span,
            format!("a whole number is expected here, {least} or more."),
            "Write the number itself.",
        )
    }

    fn round(&mut self, value: &Written, decimals: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let scale = self.whole(decimals, 0)?;
        let Some(scale) = u8::try_from(scale).ok().filter(|scale| *scale <= LARGEST_SCALE) else {
            return self.wrong(
                decimals.span,
                format!("a number has at most {LARGEST_SCALE} decimals."),
                "Write fewer.",
            );
        };
        if let Said::Binary(Binary::Divide, dividend, divisor) = &value.node {
            let a = self.typed(dividend, of, "a number is divided", is_number);
            let b = self.typed(divisor, of, "a number divides", is_number);
            let (a, b) = (a?, b?);
            if !is_divisor(&b, of) {
                let what = "this may be 0, and nothing is divided by 0.";
                return self.wrong(divisor.span, what, "Write `nullif(x, 0)`: where it is 0, the quotient is null.");
            }
            return Some(quotient(a, b, scale));
        }
        if let Said::Call(call @ Call { name, star: false, distinct: false, arguments, filter }) = &value.node
            && name.text == "avg"
            && let [argument] = arguments.as_slice()
        {
            let sum = |name: &str| Call {
                name: super::super::language::Name { text: name.to_owned(), span: call.name.span },
                star: false,
                distinct: false,
                arguments: vec![argument.clone()],
                filter: filter.clone(),
            };
            let total = self.aggregate(&sum("sum"), value.span, of)?;
            let count = self.aggregate(&sum("count"), value.span, of)?;
            // Of no values the sum is null, and so is what it is divided by.
            return Some(quotient(total, count, scale));
        }
        let typed = self.typed(value, of, "`round` takes a number", is_number)?;
        Some(quotient(typed, literal(Literal::Number(1), Type::Number(0)), scale))
    }

    /// The text of a unit, or none that is one.
    fn unit(&mut self, written: &Written, of: &str, units: &[&str]) -> Option<String> {
        let known = |text: &String| units.contains(&text.as_str());
        if let Said::Text(text) = &written.node
            && let Some(text) = Some(text.to_ascii_lowercase()).filter(known)
        {
            return Some(text);
        }
        let listed: Vec<_> = units.iter().map(|unit| format!("'{unit}'")).collect();
        self.wrong(written.span, format!("`{of}` has no such unit."), format!("Write one of {}.", listed.join(", ")))
    }

    fn date_trunc(&mut self, unit: &Written, at: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let unit = self.unit(unit, "date_trunc", &["hour", "day", "week", "month"]);
        let at = self.typed(at, of, "`date_trunc` takes an instant", |ty| ty == Type::Instant);
        let window = match unit?.as_str() {
            "hour" => Window::Width(HOUR_MS),
            "day" => Window::Width(DAY_MS),
            "week" => Window::Week,
            _ => Window::Month,
        };
        Some(floor(window, at?))
    }

    fn time_bucket(&mut self, width: &Written, at: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let typed = self.typed(at, of, "`time_bucket` takes an instant", |ty| ty == Type::Instant);
        let Said::Interval(width_ms) = width.node else {
            return self.wrong(
                width.span,
                "`time_bucket` takes the width first.",
                "Write `time_bucket(interval '5 minutes', t)`.",
            );
        };
        if DAY_MS % width_ms != 0 {
            let what = "windows of this width do not divide a day, and would begin elsewhere in every database.";
            return self.wrong(width.span, what, "Write a width that does, or `date_trunc('week' or 'month', t)`.");
        }
        Some(floor(Window::Width(width_ms), typed?))
    }

    fn date_diff(&mut self, unit: &Written, from: &Written, to: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let unit = self.unit(unit, "date_diff", &["millisecond", "second", "minute", "hour", "day"]);
        let a = self.typed(from, of, "`date_diff` takes instants", |ty| ty == Type::Instant);
        let b = self.typed(to, of, "`date_diff` takes instants", |ty| ty == Type::Instant);
        let ms = match unit?.as_str() {
            "millisecond" => 1,
            "second" => 1000,
            "minute" => 60_000,
            "hour" => HOUR_MS,
            _ => DAY_MS,
        };
        let (a, b) = (a?, b?);
        let nullable = a.nullable || b.nullable;
        Some(Expr { node: Node::Boundaries(ms, Box::new(a), Box::new(b)), ty: Type::Number(0), nullable })
    }
}

fn floor(window: Window, at: Expr) -> Expr {
    let nullable = at.nullable;
    Expr { node: Node::Floor(window, Box::new(at)), ty: Type::Instant, nullable }
}

fn quotient(a: Expr, b: Expr, scale: u8) -> Expr {
    Expr { node: Node::RoundedQuotient(Box::new(a), Box::new(b), scale), ty: Type::Number(scale), nullable: true }
}

/// Whether it is never 0: a number, what is null where it would be 0, or how many of something that every group has.
fn is_divisor(expr: &Expr, of: &Of<'_>) -> bool {
    if let (Node::Slot(slot), Of::Group(group)) = (&expr.node, of) {
        return group.aggregates.get(*slot).is_some_and(|aggregate| {
            let is_full = match &aggregate.what {
                What::Count(None) => true,
                What::CountDistinct(of) => !of.nullable,
                What::Count(Some(_))
                | What::Sum(_)
                | What::Min(_)
                | What::Max(_)
                | What::At(_, _, _)
                | What::Funnel(_, _) => false,
            };
            is_full && aggregate.filter.is_none()
        });
    }
    is_nullif_zero(expr) || matches!(expr.node, Node::Literal(Literal::Number(number)) if number != 0)
}

pub(super) fn usage(name: &str) -> &'static str {
    match name {
        "abs" => "abs(x)",
        "coalesce" => "coalesce(x, 0)",
        "count" => "count(*), count(x) or count(DISTINCT x)",
        "date_diff" => "date_diff('second', a, b)",
        "date_trunc" => "date_trunc('day', t)",
        "funnel" => "funnel(a = 1, a = 2, a = 3)",
        "is_final" => "is_final()",
        "length" => "length(x)",
        "max" => "max(x)",
        "max_by" => "max_by(x, t)",
        "min" => "min(x)",
        "min_by" => "min_by(x, t)",
        "nullif" => "nullif(x, 0)",
        "session" => "session(t, interval '30 minutes')",
        "substr" => "substr(x, 1, 3)",
        "sum" => "sum(x)",
        "time_bucket" => "time_bucket(interval '5 minutes', t)",
        "avg" => "round(avg(x), 2)",
        "watermark" => "t + interval '1 hour' <= watermark()",
        _ => "round(a / b, 2)",
    }
}
