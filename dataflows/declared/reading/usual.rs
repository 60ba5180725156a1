//! Records of texts as nearly all are: each value in one of few writings, and nothing in them that breaks a rule. They are
//! read without a look at what else there may be; whatever is not as usual is left to those who read everything.

use super::{Case, Empty, Reader, Reading, Takes, datum};
use crate::declared::row::{Builder, Declared};
use crate::gate::Bounds;
use crate::persons::NOBODY_CALLED;
use crate::wire::number::plain;
use crate::wire::{Cells, instant, may_have_happened, money};

impl Reader {
    /// Reads a record of texts in their usual writings into a row that is made, if all of them are.
    ///
    /// **Law.** What is read here is what [`Reader::read`] reads, and nothing of it is masked.
    pub(super) fn read_usual(&self, cells: &Cells<'_>, bounds: &Bounds<'_>, row: &mut Builder) -> Option<Declared> {
        if let Some((slot, family)) = self.event {
            let name = cells.get(slot);
            if !name.is_empty() && name != family.as_bytes() {
                return None;
            }
        }
        let at = instant::usual(cells.first(&self.columns[self.time].0))?;
        if !may_have_happened(at, bounds.time, bounds.clock) {
            return None;
        }
        for (place, (slots, reading)) in self.columns.iter().enumerate() {
            if place == self.time {
                row.instant(at);
                continue;
            }
            match (cells.first(slots), &reading.empty) {
                (b"", Empty::Is(literal)) => row.push(&datum(literal)),
                (b"", Empty::Rejected) => return None,
                (text, Empty::Is(_) | Empty::Rejected) => reading.push_usual(cells, text, row)?,
            }
        }
        Some(Declared { at, row: row.row() })
    }
}

impl Reading {
    /// Reads a text in a usual writing into the next column of a row, if it is one and the column takes it.
    #[inline]
    fn push_usual(&self, cells: &Cells<'_>, text: &[u8], row: &mut Builder) -> Option<()> {
        match &self.takes {
            Takes::Number(decimals, (least, most)) => {
                let number = match decimals {
                    0 => plain(text),
                    2 => money::usual_cents(text),
                    _ => None,
                };
                row.number(number.filter(|number| (*least..=*most).contains(number))?);
            }
            Takes::Instant => row.instant(instant::usual(text)?),
            Takes::Text { case: Case::Kept, one_of: Some(one_of), is_person: _ } => {
                row.text(one_of.known.iter().find(|known| known.as_bytes() == text)?);
            }
            Takes::Text { case: Case::Kept, one_of: None, is_person } => {
                if !cells.is_plain(text) || *is_person && text.starts_with(NOBODY_CALLED.as_bytes()) {
                    return None;
                }
                row.bytes(text);
            }
            Takes::Boolean | Takes::Text { .. } => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::OneOf;
    use super::*;
    use crate::declared::plan::Literal;
    use crate::gate::Judge;
    use crate::wire::scalar::Scalar;
    use crate::wire::{Slot, TimeRules, Wire};
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    fn columns() -> Vec<Reading> {
        let text = |case, one_of, is_person| Takes::Text { case, one_of, is_person };
        let kinds = OneOf {
            known: vec!["view".to_owned(), "buy".to_owned()],
            others: [("page_view".to_owned(), 0)].into_iter().collect(),
        };
        let of = |column, from: &[&'static str], takes, empty| Reading { column, from: from.to_vec(), takes, empty };
        let unknown = || Empty::Is(Literal::Text("unknown".to_owned()));
        vec![
            of("at", &["at", "time"], Takes::Instant, Empty::Rejected),
            of("kind", &["kind"], text(Case::Kept, Some(kinds.clone()), false), Empty::Rejected),
            of("lower", &["lower"], text(Case::Lower, Some(kinds), false), Empty::Is(Literal::Null)),
            of("user", &["user", "customer"], text(Case::Kept, None, true), Empty::Rejected),
            of("brand", &["brand"], text(Case::Kept, None, false), unknown()),
            of("upper", &["upper"], text(Case::Upper, None, false), unknown()),
            of("item", &["item"], Takes::Number(0, (1, i64::MAX)), Empty::Is(Literal::Number(0))),
            of("price", &["price"], Takes::Number(2, (-100_000, 100_000_000)), Empty::Is(Literal::Null)),
            of("share", &["share"], Takes::Number(3, (i64::MIN, i64::MAX)), Empty::Is(Literal::Null)),
            of("until", &["until"], Takes::Instant, Empty::Is(Literal::Null)),
            of("new", &["new"], Takes::Boolean, Empty::Is(Literal::Boolean(false))),
        ]
    }

    /// Of each column what its texts may be, the usual ones first.
    const TEXTS: [(&[&str], &[&str]); 11] = [
        (
            &["2026-01-05 10:00:00 UTC", "2026-01-05T10:00:00.123Z", "2026-01-04T23:59:59", "2026-01-05 11:00:00"],
            &[
                "2026-01-04",
                "1999-12-31 23:59:59",
                "2026-01-05 11:00:01",
                "2026-01-31 00:00:00Z",
                "",
                "1767607200000",
                "no",
            ],
        ),
        (&["view", "buy"], &["page_view", "View", "buy ", "sell", ""]),
        (&[""], &["view", "VIEW", "Page_View", "x"]),
        (&["u1", "7", "nobod"], &["nobody:1", "a@b.example", "a\0", "", "é", "100%"]),
        (&["brand7", "", " ", "a-b.c_d"], &["jane@mail.example", "\0", "a%40b.example", "Ж", "a&b", "b=c", "\\"]),
        (&[""], &["abc", "ß", "a@b.example"]),
        (
            &["1", "12345678", "2053013550000688953", "9223372036854775807", "", "007"],
            &["0", "-1", "+1", " 1", "1.0", "9223372036854775808", "99999999999999999999", "1a", "1234567:"],
        ),
        (
            &["25.64", "-5.5", "12", "0.00", "", "0.01"],
            &["1,299.99", "$5", ".5", "5.", "1e3", "-1000.01", "1000000.01", "1.234", "USD 1"],
        ),
        (&[""], &["0.5", "1.234", "1.2345", "-1"]),
        (&["", "2026-02-28T00:00:00Z"], &["2026-02-29", "2026-02-29T00:00:00Z", "soon", "1767607200000"]),
        (&[""], &["true", "FALSE", "1", "yes"]),
    ];

    /// What is read at once is what is read by those who read everything; and what is usual is read at once.
    #[test]
    fn what_is_read_at_once_is_what_all_would_read() {
        let reader = Reader::of("plays", columns(), 0, Some(3)).expect("fields are read in one way");
        let reader: &'static Reader = Box::leak(Box::new(reader));
        let named = [("event_name", [&["", "plays"][..], &["views"][..]])];
        let fields: Vec<(Slot, [&[&str]; 2])> = columns()
            .iter()
            .zip(TEXTS)
            .flat_map(|(reading, (usual, other))| reading.from.iter().map(move |from| (*from, [usual, other])))
            .chain(named)
            .map(|(field, texts)| (reader.names().at_path(field).expect("it is read"), texts))
            .collect();
        let other_field = |place: usize| ["time", "customer"].contains(&reader.names().name(fields[place].0));
        let time = TimeRules::default();
        // The future begins behind eleven o'clock.
        let bounds = Bounds { rules: &(), time: &time, clock: 1_767_607_200_000.into() };
        // Of each field which of its texts; of few fields one that is not usual.
        let drawn = proptest::collection::vec((any::<proptest::sample::Index>(), 0..14), fields.len());
        let mut runner = TestRunner::new_with_rng(
            Config { cases: 20_000, failure_persistence: None, ..Config::default() },
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let counts = std::cell::Cell::new((0, 0));
        let result = runner.run(&drawn, |drawn| {
            let (mut texts, mut is_usual) = (Vec::new(), true);
            for (place, ((slot, of), (which, other))) in fields.iter().zip(&drawn).enumerate() {
                if other_field(place) && *other > 1 {
                    continue;
                }
                is_usual &= *other > 0;
                let of = of[usize::from(*other == 0)];
                texts.push((*slot, of[which.index(of.len())]));
            }
            let record: String = texts.iter().flat_map(|(_, text)| [text, ","]).collect();
            let (mut cells, mut wire) = (Cells::default(), Wire::new(reader.names()));
            cells.begin(record.as_bytes()).expect("text");
            for (slot, text) in texts {
                prop_assert!(cells.put(slot, text.as_bytes()));
                if !text.is_empty() {
                    wire.put(slot, Scalar::Text(text.into()));
                }
            }
            let at_once = reader.judge_usual(&cells, bounds);
            let all = reader.judge(&mut wire, None, bounds, &mut |_, _| Ok(()));
            let (mut usual, mut others) = counts.get();
            match (at_once, all) {
                (Some(event), all) => {
                    usual += 1;
                    prop_assert_eq!(all.ok(), Some((event, false)));
                }
                (None, all) => {
                    others += usize::from(all.is_ok());
                    prop_assert!(!is_usual, "{:?}", all);
                }
            }
            counts.set((usual, others));
            Ok(())
        });
        result.expect("both read the same");
        let (usual, others) = counts.get();
        assert!(usual > 1_000 && others > 1_000, "{usual} at once, {others} in other ways");
    }

    #[test]
    fn what_has_no_place_is_not_read_at_once() {
        let (mut cells, few) = (Cells::default(), columns().len());
        cells.begin(b"").expect("text");
        let mut names = crate::wire::Names::default();
        let mut fields = names.fields();
        let slots: Vec<Slot> = (0..20).map(|n| fields.field(format!("f{n}").leak(), crate::wire::Kind::Text)).collect();
        let put: Vec<bool> = slots.iter().map(|slot| cells.put(*slot, b"x")).collect();
        assert!(put.iter().filter(|put| **put).count() >= few && !put[19], "{put:?}");
        assert_eq!((cells.get(slots[0]), cells.get(slots[19])), (&b"x"[..], &b""[..]));
    }
}
