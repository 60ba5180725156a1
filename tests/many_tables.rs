//! However many tables there are: each is written to every sink, and read back.

use crate::support::needed;
use dataflows::declared::reading::Reader;
use dataflows::declared::row::Declared;
use dataflows::delta::Delta;
use dataflows::family::{Catalogue, Family};
use dataflows::gate::{Events, Gate};
use dataflows::state::KeptBy;
use dataflows::table::{Role, Table, TableId, Type, Value, column, field, key};
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

/// A family that nobody compiled: its tables are declared while the program runs.
struct Numbers(usize);

impl Family for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn metrics(&self) -> Vec<(TableId, &'static str)> {
        let declared = |number: usize| {
            let name = format!("numbers_{number:03}").leak();
            let fields = vec![
                key("number", Type::Integer, "A number.", |(number, _): &(i64, String)| Value::Integer(*number)),
                field(
                    column("table_name", Type::Text, "The table it was written to."),
                    |(_, table): &(i64, String)| Value::Text(table.clone()),
                ),
            ];
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

fn numbers(tables: usize) -> Catalogue {
    Catalogue::of(&[Box::leak(Box::new(Numbers(tables)))])
}

fn each_table_has_its_own_row(catalogue: Catalogue, mut sink: Box<dyn Warehouse>, mut reader: Box<dyn Warehouse>) {
    let tables: Vec<_> = catalogue.metrics().iter().map(|(id, _)| *id).collect();
    let row = |number: usize| vec![Value::Integer(number as i64), Value::Text(tables[number].name().to_owned())];
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let deltas = tables.iter().enumerate().map(|(number, id)| (*id, vec![Delta::Upsert(row(number))]));
    let commit = Commit {
        follows: 0,
        epoch: 2,
        clock_ms: 1,
        watermarks: Watermarks::of_shop(1),
        positions: BTreeMap::new(),
        deltas: deltas.collect(),
        appends: BTreeMap::new(),
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
}

#[cfg(feature = "snowflake")]
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn in_snowflake() {
    let catalogue = numbers(TABLES);
    let config = crate::snowflake::configured();
    let open = || Box::new(deltamart::sink::snowflake::Snowflake::open(catalogue, &config).expect("opens"));
    each_table_has_its_own_row(catalogue, open(), open());
}
