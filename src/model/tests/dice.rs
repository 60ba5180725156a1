//! Random texts of SQL over events of every type, and random values.

use dataflows::declared::plan::{Literal, Type};

/// Numbers of a seed.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of a seed, which is not 0.
    pub fn of_seed(seed: u64) -> Dice {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        for _ in 0..8 {
            let _ = dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
    /// A number below this.
    pub fn of(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }
    /// One of these.
    pub fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.of(all.len() as u64) as usize]
    }

    fn number(&mut self, deep: u32, of: &[&str]) -> String {
        if deep == 0 || self.of(6) == 0 {
            let literals = ["0", "1", "-1", "2.5", "0.001", "7", "100", "9223372036854775807", "-4000000000", "12.34"];
            return if self.of(3) == 0 { self.one(&literals) } else { self.one(of) }.to_owned();
        }
        let deep = deep - 1;
        let (a, b) = (self.number(deep, of), self.number(deep, of));
        match self.of(12) {
            0 | 1 => format!("({a} + {b})"),
            2 => format!("({a} - {b})"),
            3 | 4 => format!("({a} * {b})"),
            5 => format!("({a} % {})", self.one(&["7", "2.5", "nullif(3, 0)"])),
            6 => format!("(-({a}))"),
            7 => format!("abs({a})"),
            8 => format!("coalesce({a}, {b})"),
            9 => format!("CASE WHEN {a} < {b} THEN {a} ELSE {b} END"),
            10 => format!("round({a} / nullif({b}, 0), {})", self.of(4)),
            _ => format!("round({a}, {})", self.of(4)),
        }
    }

    fn text(&mut self, deep: u32) -> String {
        if deep == 0 {
            return self.one(&["s", "w", "'a'", "'it''s'", "'É%'"]).to_owned();
        }
        let (a, b) = (self.text(deep - 1), self.text(deep - 1));
        match self.of(4) {
            0 => format!("({a} || {b})"),
            1 => format!("substr({a}, {}, {})", 1 + self.of(3), self.of(4)),
            2 => format!("substr({a}, {})", 1 + self.of(3)),
            _ => format!("coalesce({a}, {b})"),
        }
    }

    fn instant(&mut self, deep: u32) -> String {
        if deep == 0 {
            return self.one(&["t", "u", "TIMESTAMP '1970-01-02 00:00:00'", "TIMESTAMP '2020-02-29'"]).to_owned();
        }
        let a = self.instant(deep - 1);
        match self.of(4) {
            0 => format!("date_trunc('{}', {a})", self.one(&["hour", "day", "week", "month"])),
            1 => format!("time_bucket(interval '{} minutes', {a})", self.one(&["1", "5", "90"])),
            2 => format!(
                "({a} {} interval '{}')",
                self.one(&["+", "-"]),
                self.one(&["1 day 3 hours", "5 weeks", "1 millisecond"])
            ),
            _ => format!("coalesce({a}, t)"),
        }
    }

    fn condition(&mut self, deep: u32) -> String {
        if deep == 0 {
            return self.one(&["x", "a IS NULL", "b > 0", "w LIKE '%a_'", "s LIKE '[*?%'", "TRUE"]).to_owned();
        }
        let deep = deep - 1;
        let sign = self.one(&["=", "<>", "<", "<=", ">", ">="]);
        match self.of(9) {
            0 => format!("({} {sign} {})", self.number(deep, NUMBERS), self.number(deep, NUMBERS)),
            1 => format!("({} {sign} {})", self.text(deep), self.text(deep)),
            2 => format!("({} {sign} {})", self.instant(deep), self.instant(deep)),
            3 => format!("({} {} {})", self.condition(deep), self.one(&["AND", "OR"]), self.condition(deep)),
            4 => format!("(NOT {})", self.condition(deep)),
            5 => format!("({} {} (1, 2.50, -7))", self.number(deep, NUMBERS), self.one(&["IN", "NOT IN"])),
            6 => format!(
                "({} {} -5 AND {})",
                self.number(deep, NUMBERS),
                self.one(&["BETWEEN", "NOT BETWEEN"]),
                self.number(deep, NUMBERS)
            ),
            7 => format!("({} IS {} DISTINCT FROM {})", self.text(deep), self.one(&["", "NOT"]), self.text(deep)),
            _ => format!("({} IS NOT NULL)", self.number(deep, NUMBERS)),
        }
    }

    fn aggregate(&mut self) -> String {
        let number = self.number(2, NUMBERS);
        let aggregate = match self.of(8) {
            0 => "count(*)".to_owned(),
            1 => format!("count({number})"),
            2 => format!("count(DISTINCT {})", [number, self.text(1)][self.of(2) as usize]),
            3 | 4 => format!("sum({number})"),
            5 => format!("{}({number})", self.one(&["min", "max"])),
            6 => format!(
                "{}({}, {})",
                self.one(&["min_by", "max_by"]),
                self.one(&["a", "b", "d"]),
                self.one(&["t", "u"])
            ),
            _ => format!("date_diff('{}', min({}), max(t))", self.one(&["second", "hour", "day"]), self.instant(1)),
        };
        // The filter of the last would be of a function.
        if self.of(2) == 0 || aggregate.starts_with("date") {
            aggregate
        } else {
            format!("{aggregate} FILTER (WHERE {})", self.condition(2))
        }
    }

    /// A text of SQL; some are no metrics.
    pub fn metric(&mut self) -> String {
        let windows = [
            "date_trunc('day', t) AS day",
            "date_trunc('hour', t) AS day",
            "date_trunc('week', t) AS day",
            "date_trunc('month', t) AS day",
            "time_bucket(interval '90 minutes', t) AS day",
        ];
        let mut items = vec![self.one(&windows).to_owned()];
        if self.of(2) == 0 {
            items.push(format!("coalesce({}, '-') AS k", self.text(1)));
        }
        let keys = items.len();
        let aggregates: Vec<_> = (0..3).map(|_| self.aggregate()).collect();
        let of: Vec<_> = aggregates.iter().map(String::as_str).collect();
        items.push(format!("{} AS y0", self.one(&of)));
        items.push(format!("round({}, 2) AS y1", self.number(2, &of)));
        items.push(format!(
            "{}({}) AS y2",
            self.one(&["min", "max"]),
            [self.text(2), self.instant(2)][self.of(2) as usize]
        ));
        items.push("is_final()".to_owned());
        let filter = if self.of(2) == 0 { format!(" WHERE {}", self.condition(2)) } else { String::new() };
        let having = if self.of(3) == 0 { " HAVING y1 > 0 OR NOT is_final()" } else { "" };
        let places: Vec<_> = (1..=keys).map(|place| place.to_string()).collect();
        format!("-- Rows.\nSELECT {} FROM things{filter} GROUP BY {}{having}", items.join(", "), places.join(", "))
    }

    /// A value of a type.
    pub fn value(&mut self, ty: Type, nullable: bool) -> Literal {
        if nullable && self.of(4) == 0 {
            return Literal::Null;
        }
        match ty {
            Type::Boolean => Literal::Boolean(self.of(2) == 0),
            Type::Number(_) => Literal::Number(match self.of(8) {
                0 => i64::MAX,
                1 => i64::MIN,
                2 => 250,
                3 => -(self.of(1 << 40) as i64),
                _ => self.of(40) as i64 - 20,
            }),
            Type::Instant => Literal::Instant(self.of(3) as i64 * 43_200_000 + self.of(3) as i64),
            Type::Text => Literal::Text(self.one(&["", "a", "it's", "[*?a", "Éa😀", "ba", "bab"]).to_owned()),
        }
    }
}

const NUMBERS: &[&str] = &["a", "b", "m", "d", "length(w)", "date_diff('hour', t, u)"];
