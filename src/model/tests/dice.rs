//! Random texts of SQL over events of every type, and random values.
//!
//! Several tests include this file, and none of them needs all of it.
#![allow(dead_code, reason = "each test needs a part of it")]

use dataflows::declared::plan::{Literal, Metric, Type};

/// What a text may be made of.
#[derive(Clone, Debug)]
pub struct Words {
    /// The family.
    pub family: String,
    /// The column of its time.
    pub time: String,
    /// Numbers, texts, instants and conditions that stand for themselves.
    pub numbers: Vec<String>,
    /// Texts.
    pub texts: Vec<String>,
    /// Instants.
    pub instants: Vec<String>,
    /// Conditions.
    pub conditions: Vec<String>,
    /// Numbers as they are written.
    pub literals: Vec<String>,
    /// Whether anything is divided but what was aggregated. Others divide in floats.
    pub divides: bool,
    /// Whether there are sessions and funnels. Others have none.
    pub has_sessions: bool,
    /// Which columns two events may have in common, where something is asked of events.
    pub common: Vec<String>,
    /// What is asked of events.
    pub asked: Vec<String>,
    /// What the names of columns begin with: they are none of what is read.
    pub prefix: &'static str,
    /// Whether rows of it may be final.
    pub is_final: bool,
    /// Whether a metric may be kept for ever.
    pub may_stay: bool,
}

fn owned(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

impl Words {
    /// Over the columns of `things`, with numbers that overflow.
    pub fn of_things() -> Words {
        Words {
            family: "things".to_owned(),
            time: "t".to_owned(),
            numbers: owned(&["a", "b", "m", "d", "length(w)", "date_diff('hour', t, u)"]),
            texts: owned(&["s", "w", "'a'", "'it''s'", "'É%'"]),
            instants: owned(&[
                "t",
                "u",
                "TIMESTAMP '1970-01-02 00:00:00'",
                "TIMESTAMP '2020-02-29'",
                "TIMESTAMP '1969-12-31 23:59:59.999'",
            ]),
            conditions: owned(&["x", "a IS NULL", "b > 0", "w LIKE '%a_'", "s LIKE '[*?%'", "s LIKE 'É_%'", "TRUE"]),
            literals: owned(&[
                "0",
                "1",
                "-1",
                "2.5",
                "0.001",
                "7",
                "100",
                "9223372036854775807",
                "-4000000000",
                "12.34",
            ]),
            divides: true,
            has_sessions: true,
            common: owned(&["w", "s", "x", "length(w)", "d"]),
            asked: Vec::new(),
            prefix: "",
            is_final: true,
            may_stay: false,
        }
    }

    /// Over the rows of a metric, if they have a time, and may be read.
    pub fn of_rows(inner: &Metric) -> Option<Words> {
        if !inner.asks.is_empty() {
            return None;
        }
        let time = inner.outputs[*inner.times().first()?].name.clone();
        let of = |is_such: fn(Type) -> bool, others: &[&str]| {
            let such = inner.outputs.iter().filter(|output| is_such(output.value.ty)).map(|output| output.name.clone());
            such.chain(owned(others)).collect::<Vec<_>>()
        };
        Some(Words {
            family: inner.name.clone(),
            time,
            numbers: of(|ty| matches!(ty, Type::Number(_)), &["1"]),
            texts: of(|ty| ty == Type::Text, &["'a'"]),
            instants: of(|ty| ty == Type::Instant, &[]),
            conditions: of(|ty| ty == Type::Boolean, &["y0 > 0", "y1 IS NULL", "TRUE"]),
            has_sessions: false,
            common: Vec::new(),
            prefix: "z",
            is_final: inner.session().is_none(),
            may_stay: true,
            ..Words::of_things()
        })
    }

    /// The same for a database that stops where a number overflows, and divides in floats.
    pub fn tamed(self) -> Words {
        Words {
            literals: owned(&["0", "1", "-1", "2.5", "0.001", "7", "12.34"]),
            divides: false,
            has_sessions: false,
            common: Vec::new(),
            ..self
        }
    }
}

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
    /// One of these.
    pub fn any<'a>(&mut self, all: &'a [String]) -> &'a str {
        &all[self.of(all.len() as u64) as usize]
    }

    fn number(&mut self, deep: u32, of: &[String], words: &Words) -> String {
        if deep == 0 || self.of(6) == 0 {
            return if self.of(3) == 0 { self.any(&words.literals) } else { self.any(of) }.to_owned();
        }
        let deep = deep - 1;
        let (a, b) = (self.number(deep, of, words), self.number(deep, of, words));
        match self.of(12) {
            0 | 1 => format!("({a} + {b})"),
            2 => format!("({a} - {b})"),
            3 | 4 => format!("({a} * {b})"),
            5 => format!("({a} % {})", self.one(&["7", "2.5", "nullif(3, 0)"])),
            6 => format!("(-({a}))"),
            7 => format!("abs({a})"),
            8 => format!("coalesce({a}, {b})"),
            9 => format!("CASE WHEN {a} < {b} THEN {a} ELSE {b} END"),
            10 if words.divides => format!("round({a} / nullif({b}, 0), {})", self.of(4)),
            _ => format!("round({a}, {})", self.of(4)),
        }
    }

    fn text(&mut self, deep: u32, words: &Words) -> String {
        if deep == 0 {
            return self.any(&words.texts).to_owned();
        }
        let (a, b) = (self.text(deep - 1, words), self.text(deep - 1, words));
        match self.of(4) {
            0 => format!("({a} || {b})"),
            1 => format!("substr({a}, {}, {})", 1 + self.of(3), self.of(4)),
            2 => format!("substr({a}, {})", 1 + self.of(3)),
            _ => format!("coalesce({a}, {b})"),
        }
    }

    fn instant(&mut self, deep: u32, words: &Words) -> String {
        if deep == 0 {
            return self.any(&words.instants).to_owned();
        }
        let a = self.instant(deep - 1, words);
        match self.of(4) {
            0 => format!("date_trunc('{}', {a})", self.one(&["hour", "day", "week", "month"])),
            1 => format!("time_bucket(interval '{} minutes', {a})", self.one(&["1", "5", "90"])),
            2 => format!(
                "({a} {} interval '{}')",
                self.one(&["+", "-"]),
                self.one(&["1 day 3 hours", "5 weeks", "1 millisecond"])
            ),
            _ => format!("coalesce({a}, {})", words.time),
        }
    }

    fn condition(&mut self, deep: u32, words: &Words) -> String {
        if !words.asked.is_empty() && self.of(2) == 0 {
            let asked = self.any(&words.asked);
            return if self.of(3) == 0 { format!("(NOT {asked})") } else { asked.to_owned() };
        }
        if deep == 0 {
            return self.any(&words.conditions).to_owned();
        }
        let deep = deep - 1;
        let sign = self.one(&["=", "=", "=", "<>", "<>", "<>", "<", "<=", ">", ">="]);
        let numbers = &words.numbers;
        match self.of(10) {
            0 => format!("({} {sign} {})", self.number(deep, numbers, words), self.number(deep, numbers, words)),
            1 => format!("({} {sign} {})", self.text(deep, words), self.text(deep, words)),
            2 => format!("({} {sign} {})", self.instant(deep, words), self.instant(deep, words)),
            3 => format!(
                "({} {} {})",
                self.condition(deep, words),
                self.one(&["AND", "OR"]),
                self.condition(deep, words)
            ),
            4 => format!("(NOT {})", self.condition(deep, words)),
            5 => format!("({} {} (1, 2.50, -7))", self.number(deep, numbers, words), self.one(&["IN", "NOT IN"])),
            6 => format!(
                "({} {} -5 AND {})",
                self.number(deep, numbers, words),
                self.one(&["BETWEEN", "NOT BETWEEN"]),
                self.number(deep, numbers, words)
            ),
            7 => format!(
                "({} {} {})",
                self.text(deep, words),
                self.one(&["LIKE", "NOT LIKE"]),
                self.one(&["'%a%'", "'BA%'", "'_A_'", "'%[*?_'", "'É_%'", "'%''%'", "'%'"])
            ),
            8 => format!(
                "({} IS {} DISTINCT FROM {})",
                self.text(deep, words),
                self.one(&["", "NOT"]),
                self.text(deep, words)
            ),
            _ => format!("({} IS NOT NULL)", self.number(deep, numbers, words)),
        }
    }

    fn aggregate(&mut self, words: &Words) -> String {
        let (number, time) = (self.number(2, &words.numbers, words), &words.time);
        let aggregate = match self.of(8) {
            0 => "count(*)".to_owned(),
            1 => format!("count({number})"),
            2 => format!("count(DISTINCT {})", [number, self.text(1, words)][self.of(2) as usize]),
            3 | 4 => format!("sum({number})"),
            5 => format!("{}({number})", self.one(&["min", "max"])),
            6 => format!(
                "{}({}, {})",
                self.one(&["min_by", "max_by"]),
                self.any(&words.numbers),
                // Instants that are columns: of those that are computed many are equal.
                [time, self.any(&words.instants)][self.of(2) as usize]
            ),
            _ => format!(
                "date_diff('{}', min({}), max({time}))",
                self.one(&["second", "hour", "day"]),
                self.instant(1, words)
            ),
        };
        let aggregate = if words.has_sessions && self.of(8) == 0 {
            // Without brackets: what binds how is ours to know.
            let bare = ["s = 'a'", "a = 1 OR x", "w = 'ba' AND b > 0", "x = (b > 0)"];
            let step = |dice: &mut Dice| match dice.of(3) {
                0 => dice.one(&bare).to_owned(),
                _ => dice.condition(1, words),
            };
            let steps: Vec<_> = (0..1 + self.of(3)).map(|_| step(self)).collect();
            format!("funnel({})", steps.join(", "))
        } else {
            aggregate
        };
        // The filter of the last would be of a function.
        if self.of(2) == 0 || aggregate.starts_with("date") {
            aggregate
        } else {
            format!("{aggregate} FILTER (WHERE {})", self.condition(2, words))
        }
    }

    /// A text of SQL over things; some are no metrics.
    pub fn metric(&mut self) -> String {
        self.metric_of(&Words::of_things())
    }

    /// Questions about an event, all of which have something in common.
    fn questions(&mut self, words: &Words) -> Vec<String> {
        let Words { family, time, common, .. } = words;
        let same = self.any(common).to_owned();
        let steps = ["1 millisecond", "3 hours", "12 hours", "43200001 milliseconds", "1 day"];
        let mut question = |_| {
            if self.of(2) == 0 {
                let moved = format!("{time} {} interval '{}'", self.one(&["+", "-"]), self.one(&steps));
                return match self.of(4) {
                    0 => format!("({time} < watermark())"),
                    1 => format!("(watermark() {} {moved})", self.one(&["<", "<=", ">", ">="])),
                    _ => format!("({moved} {} watermark())", self.one(&["<", "<=", ">", ">="])),
                };
            }
            let of = |name: &str| match name.strip_prefix("length(") {
                Some(name) => (format!("length(z.{name}"), format!("length({family}.{name}")),
                None => (format!("z.{name}"), format!("{family}.{name}")),
            };
            let (of_other, of_asking) = of(&same);
            let mut must = vec![format!("{of_other} = {of_asking}")];
            if self.of(3) == 0 {
                let (of_other, of_asking) = of(self.any(common));
                must.push(format!("{of_asking} = {of_other}"));
            }
            if self.of(2) == 0 {
                must.push(self.condition(1, words));
            }
            let (near, far) = (self.one(&steps), self.one(&steps));
            must.push(match self.of(4) {
                0 => format!("z.{time} BETWEEN {family}.{time} - interval '{near}' AND {family}.{time}"),
                1 => format!("{family}.{time} <= z.{time} AND z.{time} <= {family}.{time} + interval '{far}'"),
                2 => format!("z.{time} > {family}.{time} AND z.{time} - interval '{far}' < {family}.{time}"),
                _ => format!(
                    "z.{time} >= {family}.{time} - interval '{near}' AND z.{time} < {family}.{time} + interval '{far}'"
                ),
            });
            format!("EXISTS (SELECT 1 FROM {family} z WHERE {})", must.join(" AND "))
        };
        (0..3).map(&mut question).collect()
    }

    /// A text of SQL over such events; some are no metrics.
    pub fn metric_of(&mut self, words: &Words) -> String {
        if !words.common.is_empty() && self.of(4) == 0 {
            let asked = self.questions(words);
            return self.metric_of(&Words { asked, has_sessions: false, common: Vec::new(), ..words.clone() });
        }
        let time = &words.time;
        let windows = ["day", "hour", "week", "month"].map(|unit| format!("date_trunc('{unit}', {time})"));
        let bucket = format!("time_bucket(interval '90 minutes', {time})");
        let windows: Vec<_> = windows.into_iter().chain([bucket]).collect();
        let (prefix, stays) = (words.prefix, words.may_stay && self.of(4) == 0);
        let mut items = vec![format!("{} AS {prefix}day", self.any(&windows))];
        if stays {
            items.clear();
        }
        if stays || self.of(2) == 0 {
            items.push(format!("coalesce({}, '-') AS {prefix}k", self.text(1, words)));
        }
        // Of several windows the earliest counts.
        if !stays && self.of(6) == 0 {
            items.push(format!("{} AS {prefix}span", self.any(&windows)));
        }
        if words.has_sessions && self.of(4) == 0 {
            // Alone it is what lets a group leave.
            if self.of(3) > 0 {
                items.remove(0);
            }
            let gap = self.one(&["12 hours", "1 day", "2 milliseconds", "43200001 milliseconds"]);
            items.push(format!("session({time}, interval '{gap}') AS started"));
        }
        let keys = items.len();
        let of: Vec<_> = (0..3).map(|_| self.aggregate(words)).collect();
        items.push(format!("{} AS {prefix}y0", self.any(&of)));
        items.push(match words.divides {
            true => format!("round({}, 2) AS {prefix}y1", self.number(2, &of, words)),
            false => format!("round({} / nullif({}, 0), {}) AS {prefix}y1", self.any(&of), self.any(&of), self.of(4)),
        });
        items.push(format!(
            "{}({}) AS {prefix}y2",
            self.one(&["min", "max"]),
            [self.text(2, words), self.instant(2, words)][self.of(2) as usize]
        ));
        let is_final = words.is_final && !stays;
        items.extend(is_final.then(|| format!("is_final() AS {prefix}is_final")));
        let filter = if self.of(2) == 0 { format!(" WHERE {}", self.condition(2, words)) } else { String::new() };
        let having = match (self.of(3), is_final) {
            (0, true) => format!(" HAVING {prefix}y1 > 0 OR NOT is_final()"),
            (0, false) => format!(" HAVING {prefix}y1 > 0"),
            _ => String::new(),
        };
        let doc = if stays { "Rows. Kept for ever." } else { "Rows." };
        let places: Vec<_> = (1..=keys).map(|place| place.to_string()).collect();
        format!(
            "-- {doc}\nSELECT {} FROM {}{filter} GROUP BY {}{having}",
            items.join(", "),
            words.family,
            places.join(", ")
        )
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
            Type::Instant => {
                // The time of an event is never before 1970.
                let before = if nullable && self.of(4) == 0 { 86_400_001 } else { 0 };
                Literal::Instant(self.of(3) as i64 * 43_200_000 + self.of(3) as i64 - before)
            }
            Type::Text => Literal::Text(self.one(&["", "a", "it's", "[*?a", "Éa😀", "ba", "bab"]).to_owned()),
        }
    }
}

/// Texts without brackets where none are needed: whoever reads them must know what binds how.
impl Dice {
    /// A number of whole numbers that are small.
    pub fn bare_number(&mut self, deep: u32) -> String {
        if deep == 0 {
            return self.one(&["a", "b", "a", "b", "1", "2", "7", "length(w)", "-3"]).to_owned();
        }
        let deep = deep - 1;
        let (a, b) = (self.bare_number(deep), self.bare_number(deep));
        match self.of(12) {
            0 | 1 => format!("{a} + {b}"),
            2 | 3 => format!("{a} - {b}"),
            4 | 5 => format!("{a} * {b}"),
            6 => format!("{a} % {}", self.one(&["2", "7"])),
            7 => format!("- {a}"),
            8 => format!("({a})"),
            9 => format!("coalesce({a}, {b})"),
            10 => format!("CASE WHEN {} THEN {a} ELSE {b} END", self.bare_condition(deep)),
            _ => format!("nullif({a}, {b})"),
        }
    }

    fn bare_text(&mut self, deep: u32) -> String {
        let a = self.one(&["s", "w", "'a'", "'ba'", "substr(w, 2)"]).to_owned();
        if deep == 0 { a } else { format!("{a} || {}", self.bare_text(deep - 1)) }
    }

    /// A condition of such numbers, and of texts.
    pub fn bare_condition(&mut self, deep: u32) -> String {
        if deep == 0 {
            return self.one(&["x", "a > b", "s IS NULL", "w LIKE '%a_'", "NOT x"]).to_owned();
        }
        let deep = deep - 1;
        let sign = self.one(&["=", "<>", "<", "<=", ">", ">="]);
        match self.of(13) {
            0 | 1 => format!("{} {sign} {}", self.bare_number(deep), self.bare_number(deep)),
            2 | 3 => format!("{} AND {}", self.bare_condition(deep), self.bare_condition(deep)),
            4 | 5 => format!("{} OR {}", self.bare_condition(deep), self.bare_condition(deep)),
            6 => format!("NOT {}", self.bare_condition(deep)),
            7 => format!("({})", self.bare_condition(deep)),
            8 => format!("{} {} (1, 2, -7)", self.bare_number(deep), self.one(&["IN", "NOT IN"])),
            9 => format!(
                "{} {} {} AND {}",
                self.bare_number(deep),
                self.one(&["BETWEEN", "NOT BETWEEN"]),
                self.bare_number(deep),
                self.bare_number(deep)
            ),
            10 => format!("{} {sign} {}", self.bare_text(deep), self.bare_text(deep)),
            11 => format!(
                "{} IS {}DISTINCT FROM {}",
                self.bare_number(deep),
                self.one(&["", "NOT "]),
                self.bare_number(deep)
            ),
            _ => format!("{} IS {}NULL", self.bare_number(deep), self.one(&["", "NOT "])),
        }
    }

    /// A text that several databases read alike: whole numbers, texts, no window, nothing that is divided.
    pub fn bare_metric(&mut self) -> String {
        let filter = if self.of(2) == 0 { format!(" WHERE {}", self.bare_condition(3)) } else { String::new() };
        let having = if self.of(2) == 0 { " HAVING n > 0 AND total IS NOT NULL OR kinds > 1" } else { "" };
        format!(
            "-- Rows. Kept for ever.\nSELECT b AS k, count(*) FILTER (WHERE {}) AS n, sum({}) AS total, \
             count(DISTINCT {}) AS kinds, {}({}) AS edge, sum(a) + count(*) * {} - max(b) % 7 AS more\n\
             FROM things{filter}\nGROUP BY k{having}",
            self.bare_condition(3),
            self.bare_number(3),
            self.bare_text(1),
            self.one(&["min", "max"]),
            self.bare_number(2),
            self.one(&["2", "- 3"]),
        )
    }

    /// A small value of a type.
    pub fn small(&mut self, ty: Type, nullable: bool) -> Literal {
        match self.value(ty, nullable) {
            Literal::Number(_) => Literal::Number(self.of(60) as i64 * 5 - 150 + self.of(2) as i64),
            value @ (Literal::Null | Literal::Boolean(_) | Literal::Instant(_) | Literal::Text(_)) => value,
        }
    }
}
