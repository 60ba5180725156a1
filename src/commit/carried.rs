//! A part as it goes from process to process: tables by their numbers, reasons by their codes, moments by their age.

use super::{ByTheWorld, Part, Pieces};
use crate::archived::Archived;
use crate::decode::avro::Writer;
use crate::sink::parquet::Piece;
use dataflows::Instant;
use dataflows::delta::KeyBug;
use dataflows::deltas::Deltas;
use dataflows::family::Catalogue;
use dataflows::operators::TopTwo;
use dataflows::quality::Counts;
use dataflows::raw::Append;
use dataflows::table::{TableId, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Rows of tables, by their numbers among all and in that order; those of one table as they came.
type Rows = Vec<(u32, Vec<Vec<Value>>)>;

/// A [`Part`], to be carried.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    deltas: Vec<(u32, Deltas)>,
    appends: Rows,
    away: usize,
    clean: Rows,
    archived: Vec<CarriedRecord>,
    read: Vec<(u32, (i64, i64))>,
    sums: Vec<(u32, i64, u32)>,
    largest: Vec<(u32, TopTwo)>,
    by_the_world: Vec<CarriedRejection>,
    counts: BTreeMap<u32, Counts>,
    watermarks: Vec<(usize, Instant)>,
    targets: Vec<(usize, Instant)>,
    clocks: Option<(Instant, Instant)>,
    snapshot: bool,
    /// For how long the first record had been there.
    age_us: Option<u64>,
}

/// An [`Archived`] record.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CarriedRecord {
    partition: String,
    offset: i64,
    clock_ms: Instant,
    /// Its schema, if it is Avro.
    schema: Option<String>,
    datum: Vec<u8>,
}

/// A [`ByTheWorld`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CarriedRejection {
    partition: u32,
    offset: i64,
    first: i64,
    from: Option<i64>,
    reason: String,
    detail: String,
}

/// A [`KeyBug`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedBug {
    table: String,
    key: String,
    rows: i64,
}

/// What a process wrote for a commit.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedPieces(Vec<(u32, Piece)>);

/// What two processes of one program agree upon: which number is which table's.
#[derive(Debug)]
pub struct Carrier {
    catalogue: Catalogue,
    numbers: BTreeMap<TableId, u32>,
}

impl Carrier {
    /// Between processes that have these tables.
    pub fn of(catalogue: Catalogue) -> Carrier {
        Carrier { catalogue, numbers: catalogue.tables().iter().copied().zip(0..).collect() }
    }

    fn rows(&self, appends: Vec<Append>) -> Rows {
        let mut rows = BTreeMap::<u32, Vec<Vec<Value>>>::new();
        appends.into_iter().for_each(|Append { table, values }| {
            rows.entry(self.numbers[&table]).or_default().push(values);
        });
        rows.into_iter().collect()
    }

    fn table(&self, number: u32) -> Result<TableId, String> {
        let found = self.catalogue.tables().get(number as usize);
        found.copied().ok_or_else(|| format!("it has rows of table {number}, and we have no such table"))
    }

    fn appends(&self, rows: Rows) -> Result<Vec<Append>, String> {
        let mut appends = Vec::with_capacity(rows.iter().map(|(_, rows)| rows.len()).sum());
        for (number, rows) in rows {
            let table = self.table(number)?;
            appends.extend(rows.into_iter().map(|values| Append { table, values }));
        }
        Ok(appends)
    }

    /// A part, to be carried.
    pub fn carry(&self, part: Part) -> Carried {
        let Part { deltas, appends, clean, archived, read, sums, largest, by_the_world, counts, .. } = part;
        let Part { watermarks, targets, clocks, snapshot, oldest, away, .. } = part;
        let archived = archived.into_iter().map(|Archived { partition, offset, clock_ms, writer, datum }| {
            let schema = writer.map(|writer| writer.json().to_string());
            CarriedRecord { partition: partition.to_string(), offset, clock_ms, schema, datum }
        });
        let by_the_world = by_the_world.into_iter().map(|rejected| {
            let ByTheWorld { partition, offset, first, from, reason, detail } = rejected;
            CarriedRejection { partition, offset, first, from, reason: reason.to_owned(), detail }
        });
        Carried {
            deltas: deltas.into_iter().map(|(table, deltas)| (self.numbers[&table], deltas)).collect(),
            appends: self.rows(appends),
            away,
            clean: self.rows(clean),
            archived: archived.collect(),
            read,
            sums,
            largest,
            by_the_world: by_the_world.collect(),
            counts,
            watermarks,
            targets,
            clocks,
            snapshot,
            age_us: oldest.map(|oldest| oldest.elapsed().as_micros() as u64),
        }
    }

    /// The part that was carried.
    ///
    /// # Errors
    /// If it speaks of what this program does not know.
    pub fn arrived(&self, carried: Carried) -> Result<Part, String> {
        let deltas = carried.deltas.into_iter().map(|(table, deltas)| Ok((self.table(table)?, deltas)));
        let by_the_world = carried.by_the_world.into_iter().map(|rejected| {
            let CarriedRejection { partition, offset, first, from, reason, detail } = rejected;
            let known = self.catalogue.reason_of(&reason);
            let reason = known.ok_or_else(|| format!("it rejected a record as `{reason}`, which we do not know"))?;
            Ok(ByTheWorld { partition, offset, first, from, reason: reason.code(), detail })
        });
        let now = std::time::Instant::now();
        Ok(Part {
            deltas: deltas.collect::<Result<_, String>>()?,
            appends: self.appends(carried.appends)?,
            away: carried.away,
            clean: self.appends(carried.clean)?,
            archived: archived(carried.archived)?,
            read: carried.read,
            sums: carried.sums,
            largest: carried.largest,
            by_the_world: by_the_world.collect::<Result<_, String>>()?,
            counts: carried.counts,
            watermarks: carried.watermarks,
            targets: carried.targets,
            clocks: carried.clocks,
            snapshot: carried.snapshot,
            oldest: carried.age_us.map(|age_us| now.checked_sub(Duration::from_micros(age_us)).unwrap_or(now)),
        })
    }

    /// What a process wrote, to be carried.
    pub fn carry_pieces(&self, pieces: Pieces) -> CarriedPieces {
        CarriedPieces(pieces.into_iter().map(|(table, piece)| (self.numbers[&table], piece)).collect())
    }

    /// What was written elsewhere.
    ///
    /// # Errors
    /// If it is of a table that this program does not have.
    pub fn arrived_pieces(&self, CarriedPieces(pieces): CarriedPieces) -> Result<Pieces, String> {
        pieces.into_iter().map(|(number, piece)| Ok((self.table(number)?, piece))).collect()
    }

    /// A bug that a worker found, to be carried.
    pub fn carry_bug(&self, KeyBug { table, key, rows }: KeyBug) -> CarriedBug {
        CarriedBug { table: table.to_owned(), key, rows: rows as i64 }
    }

    /// The bug that was carried.
    ///
    /// # Errors
    /// If it is of a table that this program does not have.
    pub fn arrived_bug(&self, CarriedBug { table, key, rows }: CarriedBug) -> Result<KeyBug, String> {
        let known = self.catalogue.by_name(&table);
        let table = known.ok_or_else(|| format!("it speaks of table `{table}`, and we have no such table"))?;
        Ok(KeyBug { table: table.name(), key, rows: rows as isize })
    }
}

/// Records of one partition or schema share its name or what was made of it.
fn archived(carried: Vec<CarriedRecord>) -> Result<Vec<Archived>, String> {
    let (mut names, mut writers) = (BTreeMap::<String, Arc<str>>::new(), BTreeMap::<String, Arc<Writer>>::new());
    let mut records = Vec::with_capacity(carried.len());
    for CarriedRecord { partition, offset, clock_ms, schema, datum } in carried {
        let partition = Arc::clone(names.entry(partition).or_insert_with_key(|name| Arc::from(&**name)));
        let writer = match schema {
            None => None,
            Some(schema) => match writers.get(&schema) {
                Some(writer) => Some(Arc::clone(writer)),
                None => {
                    let writer =
                        Arc::new(Writer::parse(&schema).map_err(|why| format!("a schema that it read {why}"))?);
                    writers.insert(schema, Arc::clone(&writer));
                    Some(writer)
                }
            },
        };
        records.push(Archived { partition, offset, clock_ms, writer, datum });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::all;
    use dataflows::delta::Delta;
    use dataflows::raw::{LATE_EVENTS, REJECTED_EVENTS};

    fn table(name: &str) -> TableId {
        all().by_name(name).expect("a table")
    }

    /// Of everything that is in a part something.
    fn whole() -> Part {
        let row = |number| vec![Value::Integer(number), Value::Null, Value::Text("a".to_owned())];
        let append = |table, number| Append { table, values: row(number) };
        let schema = r#"{"type":"record","name":"a","fields":[{"name":"b","type":"long"}]}"#;
        let archived =
            |offset, writer| Archived { partition: "t/1".into(), offset, clock_ms: 7, writer, datum: vec![4, 2] };
        let writer = Arc::new(Writer::parse(schema).expect("a schema"));
        Part {
            deltas: vec![
                (table("users"), vec![Delta::Upsert(row(1)), Delta::Delete(vec![Value::Integer(2)])].into()),
                (table("user_activity"), vec![Delta::Upsert(row(3))].into()),
            ],
            appends: vec![append(REJECTED_EVENTS, 4), append(REJECTED_EVENTS, 5), append(LATE_EVENTS, 6)],
            away: 70,
            clean: vec![append(table("users"), 7)],
            archived: vec![archived(8, Some(writer)), archived(9, None)],
            read: vec![(0, (3, 9))],
            sums: vec![(0, 9, 77)],
            largest: vec![(0, TopTwo { largest: Some(5), second: None })],
            by_the_world: vec![ByTheWorld {
                partition: 1,
                offset: 8,
                first: 3,
                from: Some(2),
                reason: "unknown_schema",
                detail: "schema 7".to_owned(),
            }],
            counts: BTreeMap::from([(1, Counts { accepted: 3, rejected: 1, late: 2 })]),
            watermarks: vec![(0, 44)],
            targets: vec![(1, 45)],
            clocks: Some((1, 2)),
            snapshot: true,
            oldest: Some(std::time::Instant::now()),
        }
    }

    fn over_the_wire(part: Part, carrier: &Carrier) -> Carried {
        let bytes = postcard::to_stdvec(&carrier.carry(part)).expect("bytes");
        postcard::from_bytes(&bytes).expect("a part")
    }

    #[test]
    fn what_arrives_is_what_was_carried() {
        let carrier = Carrier::of(all());
        let mut arrived = carrier.arrived(over_the_wire(whole(), &carrier)).expect("known");
        let mut sent = whole();
        assert!(arrived.oldest.take().zip(sent.oldest.take()).is_some_and(|(arrived, sent)| arrived <= sent));
        let schemas = |part: &Part| {
            let of = |archived: &Archived| archived.writer.as_ref().map(|writer| writer.json().clone());
            part.archived.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(schemas(&arrived), schemas(&sent));
        // What a writer is made of is compared by its schema.
        for part in [&mut arrived, &mut sent] {
            part.archived.iter_mut().for_each(|archived| archived.writer = None);
        }
        assert_eq!(format!("{arrived:?}"), format!("{sent:?}"));
    }

    #[test]
    fn what_this_program_does_not_know_is_refused() {
        let carrier = Carrier::of(all());
        let tables = all().tables().len() as u32;
        let mut part = over_the_wire(whole(), &carrier);
        part.deltas[0].0 = tables;
        let why = carrier.arrived(part).expect_err("refused");
        assert!(why.contains(&format!("rows of table {tables}")), "{why}");
        let mut part = over_the_wire(whole(), &carrier);
        part.by_the_world[0].reason = "schema_withdrawn".to_owned();
        let why = carrier.arrived(part).expect_err("refused");
        assert!(why.contains("`schema_withdrawn`"), "{why}");
        let bug = CarriedBug { table: "nowhere".to_owned(), key: "1".to_owned(), rows: 2 };
        assert!(carrier.arrived_bug(bug).expect_err("refused").contains("`nowhere`"));
    }
}
