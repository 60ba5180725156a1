use super::*;
use crate::decode::json;

fn names() -> Names {
    let mut names = Names::default();
    let mut fields = names.fields();
    for (path, kind) in [
        ("id", Kind::Plain),
        ("event_time", Kind::Instant),
        ("name", Kind::Text),
        ("a_name_of_many_letters", Kind::Text),
        ("email", Kind::Address),
        ("device.type", Kind::Text),
        ("device.os.version", Kind::Plain),
        ("tags", Kind::Texts),
    ] {
        fields.within(path, kind).expect("free");
    }
    names
}

/// What `serde_json` reads.
fn plain<'n, 'a>(datum: &'a [u8], names: &'n Names) -> Option<Wire<'n, 'a>> {
    let mut wire = Wire::new(names);
    json(datum, wire.by_name(Set::ALL)).is_ok().then_some(wire)
}

/// Whether it is read, which it may be if `serde_json` reads the same.
fn is_read(datum: &[u8], names: &Names) -> bool {
    let mut wire = Wire::new(names);
    if !read(datum, &mut wire) {
        return false;
    }
    let shown = |wire: &Wire<'_, '_>| format!("{wire:?}");
    let plain = plain(datum, names).map(|wire| shown(&wire));
    assert_eq!(Some(shown(&wire)), plain, "{}", String::from_utf8_lossy(datum));
    true
}

/// Small numbers that repeat themselves and look like nothing.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn of<'t>(&mut self, some: &[&'t str]) -> &'t str {
        some[self.below(some.len() as u64) as usize]
    }

    fn number(&mut self) -> String {
        let digits = |dice: &mut Dice, least| {
            let count = dice.below(9) * dice.below(4) + least;
            (0..count).map(|_| char::from(b'0' + dice.below(10) as u8)).collect::<String>()
        };
        let sign = self.of(&["", "", "-"]);
        let (whole, decimals) = (digits(self, 1), digits(self, 1));
        match self.below(8) {
            0 => format!("{sign}{whole}e{}", self.below(400)),
            1..4 => format!("{sign}{whole}"),
            _ => format!("{sign}{}.{decimals}", self.of(&["0", "7", "583", "99999999", &whole])),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        const NAMES: &[&str] = &[
            "id",
            "event_time",
            "name",
            "a_name_of_many_letters",
            "email",
            "device",
            "os",
            "type",
            "version",
            "tags",
            "other",
            "n\\u0061me",
            "",
        ];
        const VALUES: &[&str] = &[
            "true",
            "false",
            "null",
            "nul",
            "\"\"",
            "\"text\"",
            "\"Ж\"",
            "\"a@b.example\"",
            "\"0123456789abcdef\"",
            "\"\\\"\"",
            "\"a\\u0041\\n\"",
            "\"\\ud800\"",
            "\"\\\"",
            "[1, 2]",
            "[]",
            "\"un\"ended\"",
            "\"\u{7f}\"",
            "-",
            "1.",
            ".5",
            "01",
            "-0",
            "-0.0",
            "0",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "\"tab\there\"",
        ];
        let members = (0..self.below(5)).map(|_| {
            let name = self.of(NAMES);
            let value = match self.below(10) {
                0 | 1 if depth < 3 => self.object(depth + 1),
                2..6 => self.number(),
                _ => self.of(VALUES).to_owned(),
            };
            let mut white = || self.of(&["", "", " ", "\n\t", "\r "]);
            format!("{}\"{name}\"{}:{}{value}{}", white(), white(), white(), white())
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

#[test]
fn what_is_read_is_what_serde_json_reads() {
    let (names, mut dice, mut read) = (names(), Dice(7), [0, 0]);
    for _ in 0..40_000 {
        let mut datum = dice.object(0).into_bytes();
        read[0] += usize::from(is_read(&datum, &names));
        // A byte is another, comes in, or is left out.
        let (at, byte) =
            (dice.below(datum.len() as u64) as usize, dice.of(&["\"", "\\", "{", "}", ",", ":", "0", "\u{1}", " "]));
        match dice.below(4) {
            0 => drop(datum.remove(at)),
            1 => datum.insert(at, byte.as_bytes()[0]),
            2 => datum.truncate(at),
            _ => datum[at] = dice.below(256) as u8,
        }
        read[1] += usize::from(is_read(&datum, &names));
    }
    assert!(read[0] > 4_000 && read[1] > 1_000, "{read:?}");
}

#[test]
fn numbers_are_the_doubles_that_are_nearest() {
    let (names, mut dice, mut read) = (names(), Dice(11), 0);
    for _ in 0..200_000 {
        read += usize::from(is_read(format!("{{\"id\":{}}}", dice.number()).as_bytes(), &names));
    }
    assert!(read > 100_000, "{read}");
}

/// Else records would be read twice.
#[test]
fn nearly_all_records_are_read() {
    let names = names();
    for datum in [
        r#"{"id": 1, "event_time": "2019-10-01T00:00:00.275Z", "other": 583.75, "name": "Ж", "more": null}"#,
        r#" {"device":{"type":"tv","os":{"version":1.5}},"id":2053013550000000035,"name":"a \"b\""} "#,
        r#"{"name": true, "email": "a@b.example", "id": -7, "id": -7}"#,
    ] {
        assert!(is_read(datum.as_bytes(), &names), "{datum}");
    }
    for other in ["", "{}", "[]", "{\"id\":1}{", "{\"tags\":[]}", "{\"id\":1e3}", "{\"id\":1}\0"] {
        assert!(!is_read(other.as_bytes(), &names), "{other}");
    }
}
