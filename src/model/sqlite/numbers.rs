//! Numbers whose traps in SQLite are closed.

use super::broken::{Rule, is_broken};

/// The whole number that an expression is; null if it overflowed, which made a float of it.
///
/// The expression is written twice if it is plain. Otherwise it would grow with every nesting, and is named instead.
pub(super) fn whole(expr: &str) -> String {
    if is_broken(Rule::OverflowIsNull) {
        return expr.to_owned();
    }
    if is_plain(expr) {
        format!("iif(typeof({expr}) = 'integer', {expr}, NULL)")
    } else {
        format!("(SELECT iif(typeof(_n) = 'integer', _n, NULL) FROM (SELECT {expr} AS _n))")
    }
}

/// Without its sign. `abs()` of the least number ends the query.
pub(super) fn absolute(expr: &str) -> String {
    if is_broken(Rule::LeastHasNoOpposite) {
        return format!("abs({expr})");
    }
    if is_plain(expr) {
        format!("iif({expr} < 0, -({expr}), {expr})")
    } else {
        format!("(SELECT iif(_n < 0, -_n, _n) FROM (SELECT {expr} AS _n))")
    }
}

/// Whether it may be written twice.
pub(super) fn is_plain(expr: &str) -> bool {
    expr.len() <= 80 && !expr.contains("SELECT") && !expr.contains("iif(")
}

/// The first by the second times 10 to this power, rounded half away from zero.
///
/// What is not near the edges is one division. At the edges it is exact too: the numbers are taken below zero, where the
/// least one has no opposite; the quotient gets its further digits by doubling and adding, each step with its carry.
pub(super) fn quotient(a: &str, b: &str, power: i32) -> String {
    let plain = plain_quotient("_a", "_b", power);
    let limit = 10_i64.checked_pow(power.unsigned_abs()).map_or(0, |factor| (i64::MAX / 4) / factor);
    let (a_limit, b_limit) = if power >= 0 { (limit, i64::MAX / 4) } else { (i64::MAX / 4, limit) };
    let edge = whole("(SELECT iif((_a < 0) = (_b < 0), -_q, _q) FROM (SELECT 0 AS _q))")
        .replace("(SELECT 0 AS _q)", &at_the_edges(power));
    let edge = if is_broken(Rule::EdgesAreExact) { "NULL".to_owned() } else { edge };
    format!(
        "(SELECT CASE WHEN _a BETWEEN -{a_limit} AND {a_limit} AND _b BETWEEN -{b_limit} AND {b_limit} \
         THEN {plain} ELSE {edge} END FROM (SELECT {a} AS _a, {b} AS _b))"
    )
}

fn plain_quotient(a: &str, b: &str, power: i32) -> String {
    let factor = 10_i64.checked_pow(power.unsigned_abs()).unwrap_or(i64::MAX);
    let (times_a, times_b) = match power {
        0 => (String::new(), String::new()),
        1.. => (format!("{factor} * "), String::new()),
        _ => (String::new(), format!("{factor} * ")),
    };
    let sign = match is_broken(Rule::QuotientHasASign) {
        true => "1".to_owned(),
        false => format!("iif(({a} < 0) = ({b} < 0), 1, -1)"),
    };
    let half = match is_broken(Rule::HalvesGoAway) {
        true => String::new(),
        false => format!(" + {times_b}abs({b})"),
    };
    format!("{sign} * ((2 * {times_a}abs({a}){half}) / (2 * {times_b}abs({b})))")
}

/// A table of one row: the rounded quotient of `_a` and `_b`, below zero.
fn at_the_edges(power: i32) -> String {
    // Both numbers below zero, then the quotient below zero and what is left.
    let below = "SELECT iif(_a > 0, -_a, _a) AS _x, iif(_b > 0, -_b, _b) AS _y";
    let divided = format!(
        "SELECT iif(_y = -9223372036854775808, -(_x = _y), _x / nullif(-_y, 0)) AS _q0, _x % _y AS _r0, _y \
         FROM ({below})"
    );
    if power < 0 {
        let factor = 10_i64.checked_pow(power.unsigned_abs()).unwrap_or(i64::MAX);
        // What was left weighs nothing: half of the factor is whole.
        return format!("(SELECT _q0 / {factor} - (_q0 % {factor} <= -{}) AS _q FROM ({divided}))", factor / 2);
    }
    if power == 0 {
        return format!("(SELECT _q0 - (_r0 <= _y - _r0) AS _q FROM ({divided}))");
    }
    // A digit is two doublings, the digits before added, and a doubling.
    let steps = 4 * power;
    let by = "iif(_step % 4 = 2, _r1, _r)";
    let digits_by = "iif(_step % 4 = 2, _q1, _q)";
    format!(
        "(WITH RECURSIVE _digits(_step, _q, _r, _q1, _r1, _y) AS (\
         SELECT 0, _q0, _r0, _q0, _r0, _y FROM ({divided}) \
         UNION ALL \
         SELECT _step + 1, _q + {digits_by} - (_r <= _y - {by}), \
         iif(_r <= _y - {by}, _r - (_y - {by}), _r + {by}), \
         iif(_step % 4 = 3, _q + _q - (_r <= _y - _r), _q1), \
         iif(_step % 4 = 3, iif(_r <= _y - _r, _r - (_y - _r), _r + _r), _r1), _y \
         FROM _digits WHERE _step < {steps}) \
         SELECT _q - (_r <= _y - _r) AS _q FROM _digits WHERE _step = {steps})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// What it is, in numbers that are large enough.
    fn expected(a: i64, b: i64, power: i32) -> Option<i64> {
        let factor = 10_i128.pow(power.unsigned_abs());
        let (a, b) = (i128::from(a), i128::from(b));
        let (a, b) = if power < 0 { (a, b.checked_mul(factor)?) } else { (a.checked_mul(factor)?, b) };
        if b == 0 {
            return None;
        }
        let sign = if (a < 0) == (b < 0) { 1 } else { -1 };
        let (a, b) = (a.abs(), b.abs());
        i64::try_from(sign * (a / b + i128::from(a % b >= b - a % b))).ok()
    }

    #[test]
    fn quotients_are_exact_up_to_the_edges() {
        let connection = Connection::open_in_memory().expect("SQLite");
        let edges = [0, 1, 2, 3, 5, 7, 10, 500, 1 << 31, (1 << 53) + 1, 1 << 62, i64::MAX / 4, i64::MAX / 10];
        let numbers: Vec<i64> = edges
            .into_iter()
            .flat_map(|edge| [edge - 1, edge, edge + 1, -edge])
            .chain([i64::MAX, i64::MAX - 2, i64::MAX - 307, i64::MIN, i64::MIN + 1, i64::MIN + 308])
            .collect();
        for power in [-9, -3, -1, 0, 1, 2, 5, 18] {
            let sql = format!("SELECT {}", quotient("?1", "?2", power));
            let mut statement = connection.prepare(&sql).expect("SQL");
            for a in &numbers {
                for b in &numbers {
                    let found: Option<i64> = statement.query_row([a, b], |row| row.get(0)).expect("a quotient");
                    assert_eq!(found, expected(*a, *b, power), "{a} / {b}, 10^{power}");
                }
            }
        }
    }

    #[test]
    fn what_overflows_is_null() {
        let connection = Connection::open_in_memory().expect("SQLite");
        let of = |expr: &str| -> Option<i64> {
            connection.query_row(&format!("SELECT {expr}"), [], |row| row.get(0)).expect("a number")
        };
        assert_eq!(of(&whole("(9223372036854775807 + 1)")), None);
        assert_eq!(of(&whole("(9223372036854775806 + 1)")), Some(i64::MAX));
        assert_eq!(of(&whole("(-(-9223372036854775808))")), None);
        assert_eq!(of(&whole(&absolute("-9223372036854775808"))), None);
        assert_eq!(of(&whole("((SELECT 4000000000) * 4000000000)")), None);
    }
}
