//! Values as they are written.

use super::super::messages::Mistake;
use super::refusals as refused;
use super::tokens::span;
use super::{Expr, Node, Reader};
use dataflows::wire::instant;
use sqlparser::ast;

impl Reader<'_> {
    pub(super) fn value(&mut self, value: &ast::ValueWithSpan) -> Option<Expr> {
        let ast::ValueWithSpan { value, span: place } = value;
        let span = span(*place);
        let node = match value {
            ast::Value::Number(digits, is_long) => {
                if *is_long || digits.contains(['e', 'E']) {
                    return self.refuse(&refused::FLOAT, span);
                }
                Node::Number(digits.replace('_', ""))
            }
            ast::Value::SingleQuotedString(text) if !text.contains('\0') => Node::Text(text.clone()),
            ast::Value::Boolean(truth) => Node::Boolean(*truth),
            ast::Value::Null => Node::Null,
            ast::Value::Placeholder(_) => return self.refuse(&refused::PARAMETER, span),
            ast::Value::DoubleQuotedString(_) => return self.refuse(&refused::DOUBLE_QUOTED, span),
            ast::Value::SingleQuotedString(_)
            | ast::Value::DollarQuotedString(_)
            | ast::Value::TripleSingleQuotedString(_)
            | ast::Value::TripleDoubleQuotedString(_)
            | ast::Value::EscapedStringLiteral(_)
            | ast::Value::UnicodeStringLiteral(_)
            | ast::Value::SingleQuotedByteStringLiteral(_)
            | ast::Value::DoubleQuotedByteStringLiteral(_)
            | ast::Value::TripleSingleQuotedByteStringLiteral(_)
            | ast::Value::TripleDoubleQuotedByteStringLiteral(_)
            | ast::Value::SingleQuotedRawStringLiteral(_)
            | ast::Value::DoubleQuotedRawStringLiteral(_)
            | ast::Value::TripleSingleQuotedRawStringLiteral(_)
            | ast::Value::TripleDoubleQuotedRawStringLiteral(_)
            | ast::Value::NationalStringLiteral(_)
            | ast::Value::QuoteDelimitedStringLiteral(_)
            | ast::Value::NationalQuoteDelimitedStringLiteral(_)
            | ast::Value::HexStringLiteral(_) => return self.refuse(&refused::STRING, span),
        };
        Some(Expr { node, span })
    }

    pub(super) fn typed_string(
        &mut self,
        ty: &ast::DataType,
        value: &ast::ValueWithSpan,
        is_odbc: bool,
    ) -> Option<Expr> {
        let ast::ValueWithSpan { value, span: place } = value;
        let span = span(*place);
        let is_timestamp = matches!(ty, ast::DataType::Timestamp(None, ast::TimezoneInfo::None));
        let ast::Value::SingleQuotedString(text) = value else { return self.refuse(&refused::STRING, span) };
        if !is_timestamp || is_odbc {
            return self.refuse(&refused::TYPED_STRING, span);
        }
        // The writings that all databases read: other ones, and offsets, mean something else in some of them.
        let is_known = match text.as_bytes().split_first_chunk::<10>() {
            Some((date, rest)) => {
                let is_shape = |bytes: &[u8], shape: &[u8]| {
                    bytes.len() == shape.len()
                        && bytes
                            .iter()
                            .zip(shape)
                            .all(|(byte, of)| if *of == b'0' { byte.is_ascii_digit() } else { byte == of })
                };
                is_shape(date, b"0000-00-00")
                    && [&b""[..], b" 00:00", b" 00:00:00", b" 00:00:00.000"].iter().any(|shape| is_shape(rest, shape))
            }
            None => false,
        };
        let at = instant::parse(&text.replacen(' ', "T", 1)).filter(|_| is_known);
        let Some(at) = at.filter(|at| (FIRST_INSTANT..LAST_INSTANT).contains(at)) else {
            let what = format!("`{text}` is not an instant.");
            self.mistakes.push(Mistake::new(span, what, "Write `TIMESTAMP '2019-10-01 00:00:00'`, which is UTC."));
            return None;
        };
        Some(Expr { node: Node::Timestamp(at), span })
    }

    pub(super) fn interval(&mut self, interval: &ast::Interval) -> Option<Expr> {
        let ast::Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision } =
            interval;
        let value = self.expr(value, 0)?;
        let span = value.span;
        let plain = leading_precision.is_none() && last_field.is_none() && fractional_seconds_precision.is_none();
        let text = match (&value.node, leading_field) {
            (Node::Text(text), None) => text.clone(),
            (Node::Text(text) | Node::Number(text), Some(field)) => format!("{text} {field}"),
            _ => String::new(),
        };
        match milliseconds(&text).filter(|_| plain) {
            Some(ms) => Some(Expr { node: Node::Interval(ms), span }),
            None => self.refuse(&refused::INTERVAL, span),
        }
    }
}

/// 0001-01-01, and the end of 9999: what all databases can write.
const FIRST_INSTANT: i64 = -62_135_596_800_000;
const LAST_INSTANT: i64 = 253_402_300_800_000;

/// A hundred years: what is longer is a mistake.
const LONGEST_INTERVAL: i64 = 36_525 * 86_400_000;

/// How long an interval is: numbers, each with its unit.
fn milliseconds(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let mut total = 0_i64;
    while let Some(number) = words.next() {
        let unit = match words.next()?.to_ascii_lowercase().as_str() {
            "millisecond" | "milliseconds" => 1,
            "second" | "seconds" => 1000,
            "minute" | "minutes" => 60_000,
            "hour" | "hours" => 3_600_000,
            "day" | "days" => 86_400_000,
            "week" | "weeks" => 7 * 86_400_000,
            _ => return None,
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    (1..=LONGEST_INTERVAL).contains(&total).then_some(total)
}
