//! However many tables there are: each is written to every sink, and read back.

use crate::support::needed;
use dataflows::declared::reading::Reader;
use dataflows::declared::row::Declared;
use dataflows::delta::Delta;
use dataflows::family::{Catalogue, Family};
use dataflows::gate::{Events, Gate};
use dataflows::raw::raw_table;
use dataflows::state::KeptBy;
use dataflows::table::{Role, Table, TableId, Type, Value, column, field, key, nullable};
use dataflows::wire::{Names, Reason};
use deltamart::config::Config;
use deltamart::config::feed::Feed;
use deltamart::lanes::Watermarks;
use deltamart::sink::kafka::Kafka;
use deltamart::sink::memory::Memory;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Commit, MadeBy, Warehouse};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// More than a word has bits, several times.
const TABLES: usize = 300;

/// A family that nobody compiled: its tables are declared while the program runs. Of another shape, they are called alike.
struct Numbers(usize, Shape);

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Usual,
    /// The name of the table is part of the key.
    OfLongerKey,
    /// There is no name of the table, and something else.
    OfOtherColumns,
}

impl Family for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn metrics(&self) -> Vec<(TableId, &'static str)> {
        let declared = |number: usize| {
            let name = format!("numbers_{number:03}").leak();
            let doc = "The table it was written to.";
            let number = key("number", Type::Integer, "A number.", |(number, _): &Row| Value::Integer(*number));
            let other = match self.1 {
                Shape::Usual => {
                    field(column("table_name", Type::Text, doc), |(_, table): &Row| Value::Text(table.clone()))
                }
                Shape::OfLongerKey => key("table_name", Type::Text, doc, |(_, table): &Row| Value::Text(table.clone())),
                Shape::OfOtherColumns => {
                    field(column("twice", Type::Integer, "Twice the number."), |(number, _): &Row| {
                        Value::Integer(2 * number)
                    })
                }
            };
            let fields = vec![number, other];
            TableId::leaked(Table::of(name, "One row per number.", Role::Metric, fields))
        };
        (0..self.0).map(|number| (declared(number), "SELECT 1 AS number, '' AS table_name")).collect()
    }

    fn pieces(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn raw(&self) -> Vec<TableId> {
        Vec::new()
    }

    fn event_of(&self, _: TableId, _: &[Value]) -> Option<Box<dyn std::any::Any>> {
        None
    }

    fn names(&self) -> &'static Names {
        static NONE: LazyLock<Names> = LazyLock::new(Names::default);
        &NONE
    }

    fn alone(&self) -> Box<dyn Gate> {
        static NOTHING: LazyLock<Reader> = LazyLock::new(Reader::default);
        Box::new(Events::<Declared, _>::alone(&*NOTHING))
    }

    fn reasons(&self) -> Vec<Reason> {
        Vec::new()
    }

    fn kept(&self) -> Vec<&'static dyn KeptBy> {
        Vec::new()
    }
}

type Row = (i64, String);

fn numbers(tables: usize) -> Catalogue {
    of_shape(tables, Shape::Usual)
}

fn of_shape(tables: usize, shape: Shape) -> Catalogue {
    Catalogue::of(&[Box::leak(Box::new(Numbers(tables, shape)))])
}

/// What was there under another shape is gone with the commit that has the rows of now, be they none; and tables of the same
/// shape stay.
fn a_table_of_another_shape_is_made_anew(open: &dyn Fn(Catalogue) -> Box<dyn Warehouse>) {
    let usual = numbers(3);
    let [changed, emptied, same] = [0, 1, 2].map(|place: usize| usual.metrics()[place].0);
    let text = |text: &str| Value::Text(text.to_owned());
    let row = |number: i64, other: Value| vec![Value::Integer(number), other];
    let commit = |follows: u64, deltas: Vec<(TableId, Vec<Delta>)>| Commit {
        follows,
        epoch: follows + 2,
        clock_ms: 1,
        watermarks: Watermarks::of_shop(1),
        positions: BTreeMap::new(),
        deltas: deltas.into_iter().map(|(table, deltas)| (table, deltas.into())).collect(),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    };
    let mut sink = open(usual);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let rows = || [1, 2].map(|number| Delta::Upsert(row(number, text("usual")))).to_vec();
    let all = [changed, emptied, same].map(|id| (id, rows())).to_vec();
    sink.apply(&claim, &commit(0, all)).expect("applies");
    for shape in [Shape::OfLongerKey, Shape::OfOtherColumns, Shape::Usual] {
        let catalogue = of_shape(3, shape);
        let of = |id: TableId| catalogue.by_name(id.name()).expect("it is there");
        let mut sink = open(catalogue);
        let before = sink.position().expect("asks").expect("claimed").epoch;
        let claim = sink.claim(MadeBy::Run, None).expect("claims");
        // The last table stays as it is, in its own shape.
        for id in [changed, emptied] {
            assert!(sink.has_another_shape(of(id)).expect("asks"));
            sink.make_anew(of(id));
        }
        let other = if shape == Shape::OfOtherColumns { Value::Integer(4) } else { text("other") };
        let row = row(2, other);
        let deltas = vec![(of(changed), vec![Delta::Upsert(row.clone())]), (of(emptied), Vec::new())];
        sink.apply(&claim, &commit(before, deltas)).expect("applies");
        assert!(![changed, emptied].iter().any(|id| sink.has_another_shape(of(*id)).expect("asks")));
        let mut reader = open(catalogue);
        assert_eq!(reader.page(of(changed), None, 10).expect("readable"), [row]);
        assert_eq!(reader.page(of(emptied), None, 10).expect("readable"), Vec::<Vec<Value>>::new());
        // A table without rows has no shape in a feed: it is given some.
        let rows = vec![Delta::Upsert(self::row_of(shape))];
        sink.apply(&claim, &commit(before + 2, vec![(of(emptied), rows)])).expect("applies");
    }
    assert_eq!(open(usual).page(same, None, 10).expect("readable").len(), 2);
}

/// Raw rows of before have nothing in a column that came later, in every sink.
fn a_column_is_added(open: &dyn Fn(Catalogue) -> Box<dyn Warehouse>) {
    let text = |text: &str| Value::Text(text.to_owned());
    let row =
        |offset: i64, rest: &[Value]| [&[text("topic"), Value::Integer(0), Value::Integer(offset)], rest].concat();
    let append = |follows: u64, id: TableId, row: Vec<Value>| Commit {
        follows,
        epoch: follows + 2,
        clock_ms: 1,
        watermarks: Watermarks::of_shop(1),
        positions: BTreeMap::from([("topic/0".to_owned(), follows as i64)]),
        deltas: BTreeMap::new(),
        appends: BTreeMap::from([(id, vec![row])]),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    };
    for columns in [1, 2] {
        let catalogue = Catalogue::of(&[Box::leak(Box::new(Columns(columns)))]);
        let id = catalogue.raw().next().expect("one");
        let mut sink = open(catalogue);
        let claim = sink.claim(MadeBy::Run, None).expect("claims");
        let before = sink.position().expect("asks").map_or(0, |found| found.epoch);
        assert!(!sink.has_another_shape(id).expect("asks"));
        let values = [text("a"), text("b")];
        sink.apply(&claim, &append(before, id, row(columns as i64, &values[..columns]))).expect("applies");
        let rows = open(catalogue).page(id, None, 10).expect("readable");
        match columns {
            1 => assert_eq!(rows, [row(1, &values[..1])]),
            _ => assert_eq!(rows, [row(1, &[text("a"), Value::Null]), row(2, &values)]),
        }
    }
}

/// A family with a raw table of so many columns.
struct Columns(usize);

impl Family for Columns {
    fn name(&self) -> &'static str {
        "columns"
    }

    fn metrics(&self) -> Vec<(TableId, &'static str)> {
        Vec::new()
    }

    fn pieces(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn raw(&self) -> Vec<TableId> {
        let all =
            [column("first", Type::Text, "The first column."), nullable("second", Type::Text, "The second column.")];
        let own = all.into_iter().take(self.0);
        vec![TableId::leaked(raw_table("columns", "One row per record.", Role::Raw { at: None }, own))]
    }

    fn event_of(&self, _: TableId, _: &[Value]) -> Option<Box<dyn std::any::Any>> {
        None
    }

    fn names(&self) -> &'static Names {
        Numbers(0, Shape::Usual).names()
    }

    fn alone(&self) -> Box<dyn Gate> {
        Numbers(0, Shape::Usual).alone()
    }

    fn reasons(&self) -> Vec<Reason> {
        Vec::new()
    }

    fn kept(&self) -> Vec<&'static dyn KeptBy> {
        Vec::new()
    }
}

fn row_of(shape: Shape) -> Vec<Value> {
    let other = if shape == Shape::OfOtherColumns { Value::Integer(0) } else { Value::Text("more".to_owned()) };
    vec![Value::Integer(0), other]
}

#[test]
fn a_table_of_another_shape_is_made_anew_here() {
    let memory = Memory::of(numbers(3));
    a_table_of_another_shape_is_made_anew(&|catalogue| Box::new(memory.with(catalogue)));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shapes.db");
    a_table_of_another_shape_is_made_anew(&|catalogue| Box::new(Sqlite::open(catalogue, &path).expect("opens")));
    let settings = Feed { path: folder.path().join("feed").display().to_string(), ..Feed::default() };
    a_table_of_another_shape_is_made_anew(&|catalogue| Box::new(Parquet::open(catalogue, &settings).expect("opens")));
}

#[test]
fn a_column_is_added_here() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("columns.db");
    a_column_is_added(&|catalogue| Box::new(Sqlite::open(catalogue, &path).expect("opens")));
    let settings = Feed { path: folder.path().join("feed").display().to_string(), ..Feed::default() };
    a_column_is_added(&|catalogue| Box::new(Parquet::open(catalogue, &settings).expect("opens")));
}

fn each_table_has_its_own_row(catalogue: Catalogue, mut sink: Box<dyn Warehouse>, mut reader: Box<dyn Warehouse>) {
    let tables: Vec<_> = catalogue.metrics().iter().map(|(id, _)| *id).collect();
    let row = |number: usize| vec![Value::Integer(number as i64), Value::Text(tables[number].name().to_owned())];
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let deltas = tables.iter().enumerate().map(|(number, id)| (*id, vec![Delta::Upsert(row(number))].into()));
    let commit = Commit {
        follows: 0,
        epoch: 2,
        clock_ms: 1,
        watermarks: Watermarks::of_shop(1),
        positions: BTreeMap::new(),
        deltas: deltas.collect(),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    };
    assert_eq!(commit.deltas.len(), tables.len());
    sink.apply(&claim, &commit).expect("applies");
    for (number, id) in tables.iter().enumerate() {
        assert_eq!(reader.page(*id, None, 10).expect("readable"), [row(number)], "{id:?}");
    }
}

#[test]
fn here() {
    let catalogue = numbers(TABLES);
    let memory = Memory::of(catalogue);
    each_table_has_its_own_row(catalogue, Box::new(memory.clone()), Box::new(memory));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("many.db");
    let open = || Box::new(Sqlite::open(catalogue, &path).expect("opens"));
    each_table_has_its_own_row(catalogue, open(), open());
    let settings = Feed { path: folder.path().join("feed").display().to_string(), ..Feed::default() };
    let open = || Box::new(Parquet::open(catalogue, &settings).expect("opens"));
    each_table_has_its_own_row(catalogue, open(), open());
}

#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn in_kafka() {
    let catalogue = numbers(TABLES);
    let mut config = Config::default();
    (config.publish.prefix, config.kafka.partitions) = (format!("many-{}.", uuid::Uuid::new_v4()), 1);
    (config.publish.brokers, config.registry.url) = (needed("DELTAMART_BROKERS"), needed("DELTAMART_REGISTRY"));
    let open = || Box::new(Kafka::open(catalogue, &config).expect("opens"));
    each_table_has_its_own_row(catalogue, open(), open());
    config.publish.prefix = format!("columns-{}.", uuid::Uuid::new_v4());
    a_column_is_added(&|catalogue| Box::new(Kafka::open(catalogue, &config).expect("opens")));
}

#[cfg(feature = "snowflake")]
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn in_snowflake() {
    let catalogue = numbers(TABLES);
    let config = crate::snowflake::configured();
    let open = || Box::new(deltamart::sink::snowflake::Snowflake::open(catalogue, &config).expect("opens"));
    each_table_has_its_own_row(catalogue, open(), open());
    let config = crate::snowflake::configured();
    let open = |catalogue| Box::new(deltamart::sink::snowflake::Snowflake::open(catalogue, &config).expect("opens"));
    a_column_is_added(&|catalogue| open(catalogue));
}
