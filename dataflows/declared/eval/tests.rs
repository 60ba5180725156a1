use super::*;

const NONE: Literal = Literal::Null;

fn expr(node: Node, ty: Type) -> Expr {
    Expr { node, ty, nullable: true }
}

fn lit(literal: Literal) -> Box<Expr> {
    scaled_lit(literal, 0)
}

fn scaled_lit(literal: Literal, scale: u8) -> Box<Expr> {
    let ty = match literal {
        Literal::Null | Literal::Number(_) => Type::Number(scale),
        Literal::Boolean(_) => Type::Boolean,
        Literal::Instant(_) => Type::Instant,
        Literal::Text(_) => Type::Text,
    };
    Box::new(expr(Node::Literal(literal), ty))
}

fn num(number: i64) -> Box<Expr> {
    lit(Literal::Number(number))
}

fn text(text: &str) -> Box<Expr> {
    lit(Literal::Text(text.to_owned()))
}

fn at(at: i64) -> Box<Expr> {
    lit(Literal::Instant(at))
}

fn boolean(value: Option<bool>) -> Expr {
    *lit(value.map_or(NONE, Literal::Boolean))
}

/// What a node is, of an event without columns.
fn is(node: Node) -> Datum<'static> {
    let nothing: Row = [].into_iter().collect();
    let expr = expr(node, Type::Number(0));
    match eval(&expr, &nothing) {
        Datum::Text(text) => Datum::Text(text.into_owned().into()),
        Datum::Null => Datum::Null,
        Datum::Boolean(value) => Datum::Boolean(value),
        Datum::Number(number) => Datum::Number(number),
        Datum::Instant(at) => Datum::Instant(at),
    }
}

fn says(text: &'static str) -> Datum<'static> {
    Datum::Text(text.into())
}

fn n(number: i64) -> Datum<'static> {
    Datum::Number(number)
}

fn b(value: bool) -> Datum<'static> {
    Datum::Boolean(value)
}

#[test]
fn what_does_not_fit_is_null_and_what_fits_is_exact() {
    use Arithmetic::{Minus, Plus, Remainder, Times};
    const NULL: Datum<'static> = Datum::Null;
    const MIN: i64 = i64::MIN;
    const MAX: i64 = i64::MAX;
    for (what, a, b, is_it) in [
        (Plus, MAX, 1, NULL),
        (Plus, MIN, -1, NULL),
        (Plus, MAX, MIN, n(-1)),
        (Minus, MIN, 1, NULL),
        (Minus, 0, MIN, NULL),
        (Minus, -1, MIN, n(MAX)),
        (Minus, MAX, -1, NULL),
        (Times, 4_000_000_000, 4_000_000_000, NULL),
        (Times, MIN, -1, NULL),
        (Times, MIN, 1, n(MIN)),
        (Times, MIN, MIN, NULL),
        (Times, 3_037_000_499, 3_037_000_499, n(9_223_372_030_926_249_001)),
        (Remainder, 7, 3, n(1)),
        (Remainder, -7, 3, n(-1)),
        (Remainder, 7, -3, n(1)),
        (Remainder, -7, -3, n(-1)),
        (Remainder, 7, 0, NULL),
        (Remainder, MIN, -1, n(0)),
        (Remainder, MIN, MAX, n(-1)),
    ] {
        assert_eq!(is(Node::Arithmetic(what, num(a), num(b))), is_it, "{what:?} of {a} and {b}");
        assert_eq!(is(Node::Arithmetic(what, lit(NONE), num(b))), NULL);
        assert_eq!(is(Node::Arithmetic(what, num(a), lit(NONE))), NULL);
    }
    for (number, minus, abs) in [(MIN, NULL, NULL), (MAX, n(-MAX), n(MAX)), (0, n(0), n(0)), (-5, n(5), n(5))] {
        assert_eq!((is(Node::Minus(num(number))), is(Node::Abs(num(number)))), (minus, abs));
    }
    assert_eq!((is(Node::Minus(lit(NONE))), is(Node::Abs(lit(NONE)))), (NULL, NULL));
    for (number, power, is_it) in [
        (7, 0, n(7)),
        (-7, 2, n(-700)),
        (MAX, 1, NULL),
        (922_337_203_685_477_580, 1, n(9_223_372_036_854_775_800)),
        (0, 200, n(0)),
        (1, 200, NULL),
        (1, 38, NULL),
    ] {
        assert_eq!(is(Node::Scaled(num(number), power)), is_it, "{number} by 10^{power}");
    }
    assert_eq!(is(Node::Scaled(lit(NONE), 2)), NULL);
}

#[test]
fn a_quotient_is_rounded_once_and_half_away_from_zero() {
    let quotient = |(a, of_a): (i64, u8), (b, of_b): (i64, u8), scale| {
        let (a, b) = (scaled_lit(Literal::Number(a), of_a), scaled_lit(Literal::Number(b), of_b));
        is(Node::RoundedQuotient(a, b, scale))
    };
    for (a, b, scale, is_it) in [
        ((1, 0), (2, 0), 0, n(1)),
        ((-1, 0), (2, 0), 0, n(-1)),
        ((1, 0), (-2, 0), 0, n(-1)),
        ((-1, 0), (-2, 0), 0, n(1)),
        ((-5, 0), (3, 0), 0, n(-2)),
        ((5, 0), (3, 0), 0, n(2)),
        ((4, 0), (3, 0), 0, n(1)),
        ((-4, 0), (3, 0), 0, n(-1)),
        ((5, 0), (10, 0), 0, n(1)),
        ((-5, 0), (10, 0), 0, n(-1)),
        ((49, 0), (100, 0), 0, n(0)),
        ((-49, 0), (100, 0), 0, n(0)),
        // 10.05 / 2 is 5.025: of two decimals a tie.
        ((1005, 2), (2, 0), 2, n(503)),
        ((-1005, 2), (2, 0), 2, n(-503)),
        ((1004, 2), (2, 0), 2, n(502)),
        // 1 / 0.03, of three decimals.
        ((1, 0), (3, 2), 3, n(33_333)),
        // 0.005 and 0.004, of two.
        ((5, 3), (1, 0), 2, n(1)),
        ((-5, 3), (1, 0), 2, n(-1)),
        ((4, 3), (1, 0), 2, n(0)),
        ((7, 0), (0, 0), 2, Datum::Null),
        ((0, 0), (0, 0), 2, Datum::Null),
        ((0, 0), (-7, 0), 2, n(0)),
        ((i64::MIN, 0), (-1, 0), 0, Datum::Null),
        ((i64::MIN, 0), (1, 0), 0, n(i64::MIN)),
        ((i64::MIN, 0), (i64::MIN, 0), 3, n(1000)),
        ((i64::MAX, 0), (i64::MIN, 0), 3, n(-1000)),
        ((i64::MAX, 0), (1, 0), 1, Datum::Null),
        ((i64::MAX, 0), (2, 0), 0, n(4_611_686_018_427_387_904)),
        ((i64::MAX, 0), (10, 0), 1, n(i64::MAX)),
        ((i64::MIN, 0), (i64::MAX, 200), 0, Datum::Null),
        ((i64::MIN, 200), (1, 0), 0, n(0)),
        ((1, 0), (1, 200), 0, Datum::Null),
        ((0, 0), (1, 200), 0, n(0)),
    ] {
        assert_eq!(quotient(a, b, scale), is_it, "{a:?} by {b:?} to {scale}");
    }
    assert_eq!(is(Node::RoundedQuotient(lit(NONE), num(1), 0)), Datum::Null);
    assert_eq!(is(Node::RoundedQuotient(num(1), lit(NONE), 0)), Datum::Null);
}

#[test]
fn every_tie_of_small_numbers_is_rounded_away_from_zero() {
    for a in -60..=60i64 {
        for b in (-12..=12i64).filter(|b| *b != 0) {
            // By whole numbers, of twice as many halves: the sign apart.
            let (abs, sign) = ((2 * a.abs() + b.abs()) / (2 * b.abs()), a.signum() * b.signum());
            assert_eq!(is(Node::RoundedQuotient(num(a), num(b), 0)), n(sign * abs), "{a} / {b}");
        }
    }
}

#[test]
fn logic_has_three_values() {
    let (t, f, u) = (Some(true), Some(false), None);
    let show = |value: Option<bool>| value.map_or(Datum::Null, Datum::Boolean);
    for (a, c, and, or) in [(t, t, t, t), (t, f, f, t), (t, u, u, t), (f, f, f, f), (f, u, f, u), (u, u, u, u)] {
        for (a, c) in [(a, c), (c, a)] {
            assert_eq!(is(Node::And(vec![boolean(a), boolean(c)])), show(and), "{a:?} and {c:?}");
            assert_eq!(is(Node::Or(vec![boolean(a), boolean(c)])), show(or), "{a:?} or {c:?}");
        }
    }
    assert_eq!((is(Node::And(vec![])), is(Node::Or(vec![]))), (b(true), b(false)));
    for (a, not) in [(t, f), (f, t), (u, u)] {
        assert_eq!(is(Node::Not(Box::new(boolean(a)))), show(not));
    }
    let holds = |value| is_true(&boolean(value), &[].into_iter().collect::<Row>());
    assert_eq!([t, f, u].map(holds), [true, false, false]);
}

#[test]
fn what_is_compared_with_null_is_null_and_only_is_distinct_tells_it() {
    use Compare::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let all = [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual];
    let of = |a: &dyn Fn() -> Box<Expr>, c: &dyn Fn() -> Box<Expr>| all.map(|what| is(Node::Compare(what, a(), c())));
    assert_eq!(of(&|| num(i64::MIN), &|| num(-1)), [false, true, true, true, false, false].map(b));
    assert_eq!(of(&|| num(3), &|| num(3)), [true, false, false, true, false, true].map(b));
    assert_eq!(of(&|| text("é"), &|| text("z")), [false, true, false, false, true, true].map(b));
    assert_eq!(of(&|| text(""), &|| text("a")), [false, true, true, true, false, false].map(b));
    assert_eq!(of(&|| at(5), &|| at(-5)), [false, true, false, false, true, true].map(b));
    for (a, c) in [(num(3), lit(NONE)), (lit(NONE), num(3)), (lit(NONE), lit(NONE))] {
        assert_eq!(of(&|| a.clone(), &|| c.clone()), [const { Datum::Null }; 6]);
        assert_eq!(is(Node::NullIf(a.clone(), c.clone())), is(a.node.clone()));
        assert_eq!(is(Node::IsDistinct(a.clone(), c.clone())), b(a != c));
    }
    assert_eq!(is(Node::IsDistinct(num(3), num(3))), b(false));
    assert_eq!((is(Node::NullIf(num(3), num(3))), is(Node::NullIf(num(3), num(4)))), (Datum::Null, n(3)));
    assert_eq!((is(Node::IsNull(lit(NONE))), is(Node::IsNull(text("")))), (b(true), b(false)));
    let among = || vec![Literal::Number(1), Literal::Number(i64::MIN)];
    assert_eq!([num(1), num(i64::MIN), num(2)].map(|a| is(Node::In(a, among()))), [b(true), b(true), b(false)]);
    assert_eq!(is(Node::In(lit(NONE), among())), Datum::Null);
    assert_eq!(is(Node::In(num(1), vec![])), b(false));
}

#[test]
fn the_first_condition_that_is_true_decides() {
    let case = |first, second| {
        let cases = vec![(boolean(first), *num(1)), (boolean(second), *num(2))];
        is(Node::Case(cases, num(3)))
    };
    assert_eq!([case(Some(true), Some(true)), case(None, Some(true)), case(Some(false), None)], [n(1), n(2), n(3)]);
    let coalesce = |values: Vec<Box<Expr>>| is(Node::Coalesce(values.into_iter().map(|value| *value).collect()));
    assert_eq!(coalesce(vec![lit(NONE), num(0), num(1)]), n(0));
    assert_eq!((coalesce(vec![lit(NONE)]), coalesce(vec![])), (Datum::Null, Datum::Null));
}

#[test]
fn texts_are_letters_and_not_bytes() {
    let substr = |from, letters| is(Node::Substr(text("aé😀b"), from, letters));
    assert_eq!(substr(1, None), says("aé😀b"));
    assert_eq!(substr(2, Some(2)), says("é😀"));
    assert_eq!(substr(4, Some(9)), says("b"));
    assert_eq!((substr(5, None), substr(u32::MAX, Some(u32::MAX)), substr(2, Some(0))), (says(""), says(""), says("")));
    let joined = || Box::new(expr(Node::Concat(text("aé"), text("😀b")), Type::Text));
    assert_eq!(is(joined().node), says("aé😀b"));
    assert_eq!(is(Node::Substr(joined(), 3, Some(1))), says("😀"));
    assert_eq!((is(Node::Length(joined())), is(Node::Length(text("")))), (n(4), n(0)));
    for node in [
        Node::Concat(lit(NONE), text("a")),
        Node::Concat(text("a"), lit(NONE)),
        Node::Length(lit(NONE)),
        Node::Substr(lit(NONE), 1, None),
        Node::Like(lit(NONE), "%".to_owned()),
    ] {
        assert_eq!(is(node.clone()), Datum::Null, "{node:?}");
    }
}

#[test]
fn a_text_is_like_a_pattern_as_brute_force_says() {
    fn brute(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|from| brute(&text[from..], rest)),
            Some((is, rest)) => {
                text.split_first().is_some_and(|(a, after)| (*is == '_' || is == a) && brute(after, rest))
            }
        }
    }
    let texts = words(&['a', 'é', 'A'], 5);
    let patterns = words(&['a', 'é', '%', '_'], 5);
    let mut alike = 0;
    for pattern in &patterns {
        for text in &texts {
            let expected = brute(text, pattern);
            let (text, pattern): (String, String) = (text.iter().collect(), pattern.iter().collect());
            assert_eq!(is_like(&text, &pattern), expected, "{text} like {pattern}");
            alike += usize::from(expected);
        }
    }
    assert!(alike > 10_000, "{alike}");
    assert_eq!(is(Node::Like(text("50%\nüber"), "50%".to_owned())), b(true));
    assert_eq!(is(Node::Like(text("ABC"), "abc".to_owned())), b(false));
}

/// All words of so many letters at the most.
fn words(letters: &[char], length: usize) -> Vec<Vec<char>> {
    let mut words = vec![Vec::new()];
    let mut last = words.clone();
    for _ in 0..length {
        last =
            last.iter().flat_map(|word| letters.iter().map(|letter| [word.as_slice(), &[*letter]].concat())).collect();
        words.extend(last.clone());
    }
    words
}

#[test]
fn time_is_cut_where_windows_begin() {
    let floor = |window, instant| is(Node::Floor(window, at(instant)));
    let i = Datum::Instant;
    assert_eq!((floor(Window::Width(300_000), 299_999), floor(Window::Width(300_000), -1)), (i(0), i(-300_000)));
    assert_eq!((floor(Window::Width(DAY_MS), i64::MIN), floor(Window::Week, i64::MIN)), (Datum::Null, Datum::Null));
    assert_eq!((floor(Window::Month, i64::MIN), floor(Window::Month, i64::MAX)), (Datum::Null, Datum::Null));
    assert_eq!(floor(Window::Width(0), 5), Datum::Null);
    assert_eq!(floor(Window::Width(1), i64::MAX), i(i64::MAX));
    assert_eq!(floor(Window::Week, i64::MAX), i(9_223_372_036_310_400_000));
    assert_eq!((floor(Window::Week, 0), floor(Window::Month, 31 * DAY_MS - 1)), (i(-3 * DAY_MS), i(0)));
    assert_eq!(is(Node::Floor(Window::Week, lit(NONE))), Datum::Null);
    assert_eq!((is(Node::Later(at(5), -7)), is(Node::Later(at(i64::MAX), 1))), (i(-2), Datum::Null));
    assert_eq!(is(Node::Later(at(i64::MIN), -1)), Datum::Null);
    assert_eq!(is(Node::Later(lit(NONE), 1)), Datum::Null);
    let boundaries = |unit, from, to| is(Node::Boundaries(unit, at(from), at(to)));
    assert_eq!((boundaries(1000, 999, 1000), boundaries(1000, 0, 999)), (n(1), n(0)));
    assert_eq!((boundaries(1000, 0, -1), boundaries(1000, -1, 1000)), (n(-1), n(2)));
    assert_eq!((boundaries(1, i64::MIN, i64::MAX), boundaries(0, 1, 2)), (Datum::Null, Datum::Null));
    assert_eq!(boundaries(1000, i64::MIN, i64::MAX), n(18_446_744_073_709_551));
    assert_eq!(is(Node::Boundaries(1000, lit(NONE), at(1))), Datum::Null);
    assert_eq!(is(Node::Boundaries(1000, at(1), lit(NONE))), Datum::Null);
}

#[test]
fn what_the_typer_never_makes_has_no_value() {
    for node in [
        Node::Arithmetic(Arithmetic::Plus, text("a"), num(1)),
        Node::Minus(text("a")),
        Node::Concat(num(1), text("a")),
        Node::Not(num(1)),
        Node::Like(num(1), "1%".to_owned()),
        Node::Floor(Window::Week, num(1)),
        Node::And(vec![*num(1)]),
        Node::Key(0),
        Node::Slot(0),
        Node::Column(0),
        Node::IsFinal,
    ] {
        assert_eq!(is(node.clone()), Datum::Null, "{node:?}");
    }
}
