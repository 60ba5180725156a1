"""Every sink at once, killed on the way, each read in the end by its own standard client: Python's sqlite3, DuckDB,
confluent-kafka and snowflake-connector-python (against a stand-in). All hold the same rows.

What scripts/all-sinks runs. `all_sinks.py snowflake HOST:PORT DATABASE` prints what Snowflake holds: another Python has
its client.
"""

import datetime
import decimal
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
START = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
# Of the sink, which has its own commits.
OWN = {"_epoch", "_updated_at"}
SCHEMAS = {"RAW": "raw", "CLEAN": "clean", "MARTS": "marts"}
EVENTS, RATE = 20_000, 4_000


class Failed(Exception):
    pass


def plain(value):
    """One writing of what clients give in types of their own."""
    match value:
        case None:
            return None
        case bool() | int() | float() | decimal.Decimal():
            return str(decimal.Decimal(str(int(value) if isinstance(value, bool) else value)).quantize(decimal.Decimal("0.001")))
        case datetime.datetime():
            at = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
            return f"at {(at - START) // datetime.timedelta(milliseconds=1)}"
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case str() if INSTANT.fullmatch(value):
            return plain(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")))
    return value


def row(names, values):
    named = {name.lower(): plain(value) for name, value in zip(names, values) if name.lower() not in OWN}
    return json.dumps(named, sort_keys=True, ensure_ascii=False)


def snowflake(at, database):
    import snowflake.connector

    host, _, port = at.partition(":")
    connection = snowflake.connector.connect(
        user="u", password="p", account="a", host=host, port=int(port), protocol="http", database=database,
        session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False})
    cursor = connection.cursor()
    cursor.execute("SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'")
    for schema, table in cursor.fetchall():
        if schema in SCHEMAS and not table.startswith("_"):
            cursor.execute(f'SELECT * FROM "{schema}"."{table}"')
            names = [column[0] for column in cursor.description]
            for values in cursor.fetchall():
                print(json.dumps([table.lower(), row(names, values)]))


def from_sqlite(folder, tables):
    connection = sqlite3.connect(f"file:{folder}/shop.db?mode=ro", uri=True)
    for table in tables:
        found = connection.execute(f'SELECT * FROM "{table}"')
        names = [column[0] for column in found.description]
        yield from ((table, row(names, values)) for values in found)


def from_feed(folder, tables):
    import duckdb

    connection = duckdb.connect()
    # What takes long would be drawn in between the results.
    connection.execute("SET enable_progress_bar = false")
    with open(f"{folder}/feed/views.sql", encoding="utf-8") as file:
        connection.execute(file.read())
    for table in tables:
        found = connection.execute(f'SELECT * FROM "{table}"')
        names = [column[0] for column in found.description]
        yield from ((table, row(names, values)) for values in found.fetchall())


def from_kafka(brokers, registry, prefix, tables):
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    read = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    consumer = Consumer({
        "bootstrap.servers": brokers, "group.id": f"{prefix}look", "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True})
    for table in tables:
        topic = prefix + table
        numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
        held, ended, until = {}, set(), time.monotonic() + 60
        while len(ended) < len(numbers):
            if time.monotonic() > until:
                raise Failed(f"{topic} could not be read to its end")
            for message in consumer.consume(10_000, timeout=1):
                if message.error():
                    ended.add(message.partition())
                elif message.value() is None:
                    held.pop(message.key(), None)
                else:
                    held[message.key()] = read(message.value(), SerializationContext(topic, MessageField.VALUE))
        yield from ((table, row(fields.keys(), fields.values())) for fields in held.values())
    consumer.close()


def main():
    program = os.path.abspath(os.environ["DELTAMART"])
    brokers, registry = os.environ["DELTAMART_BROKERS"], os.environ["DELTAMART_REGISTRY"]
    stand_in = os.environ["DELTAMART_SNOWFLAKE"]
    folder = tempfile.mkdtemp(prefix="deltamart-sinks-")
    prefix, database = f"sinks-{os.getpid()}-{int(time.time())}.", f"S{os.getpid()}"

    def configure(name, more):
        with open(f"{folder}/{name}.toml", "w") as file:
            file.write(f'warehouse = "shop.db"\nepoch_interval = "50ms"\nsnapshot_interval = "1s"\n'
                       f'[simulate]\nevents = {EVENTS}\nrate = {RATE}\n[registry]\nurl = "{registry}"\n'
                       f'[publish]\nprefix = "{prefix}"\nbrokers = "{brokers}"\ncommit_interval = "150ms"\n{more}')

    configure("first", "")
    configure("all", f'[feed]\npath = "feed"\ncommit_interval = "200ms"\nmerge_runs = 4\n'
                     f'[snowflake]\naccount = "myorg-prod"\nuser = "loader"\nprivate_key = "file:key.p8"\n'
                     f'database = "{database}"\nurl = "http://{stand_in}"\ncommit_interval = "500ms"\n')

    def deltamart(*arguments):
        done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise Failed(f"`{' '.join(arguments)}` ended with {done.returncode}: {done.stdout}{done.stderr}"[-3000:])
        return done.stdout

    def read():
        try:
            with sqlite3.connect(f"file:{folder}/shop.db?mode=rw", uri=True, timeout=10) as warehouse:
                found = warehouse.execute("SELECT positions FROM _progress").fetchone()
        except sqlite3.OperationalError:
            return 0
        return sum(json.loads(found[0]).values()) if found else 0

    def killed_at(name, records):
        said = open(f"{folder}/said.txt", "w")
        child = subprocess.Popen([program, "run", "--config", f"{name}.toml"], cwd=folder, stdout=said, stderr=said)
        until = time.monotonic() + 120
        while read() < records:
            if child.poll() is not None or time.monotonic() > until:
                raise Failed(f"the run has not come to {records} records: {open(f'{folder}/said.txt').read()[-2000:]}")
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()

    deltamart("snowflake-key", "--out", "key.p8", "--config", "all.toml")
    # Two of the sinks come later; all are killed together, each at its own commit.
    killed_at("first", EVENTS // 4)
    killed_at("all", EVENTS // 2)
    killed_at("all", EVENTS * 3 // 4)
    deltamart("run", "--config", "all.toml", "-w", "3")
    status = json.loads(deltamart("status", "--config", "all.toml", "--json"))
    epochs = {sink["sink"]: sink["epoch"] for sink in status["sinks"]}
    if len(epochs) != 4 or len(set(epochs.values())) != 1:
        raise Failed(f"four sinks at one epoch: {epochs}, {status['unheard']}")

    with sqlite3.connect(f"file:{folder}/shop.db?mode=ro", uri=True) as warehouse:
        tables = [name for (name,) in warehouse.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'")]
    asked = subprocess.run(
        [os.environ["DELTAMART_SNOWFLAKE_PYTHON"], __file__, "snowflake", stand_in, database],
        capture_output=True, text=True, check=True)
    sinks = {
        "SQLite": list(from_sqlite(folder, tables)),
        "Parquet feed": list(from_feed(folder, tables)),
        "Kafka": list(from_kafka(brokers, registry, prefix, tables)),
        "Snowflake": [tuple(json.loads(line)) for line in asked.stdout.splitlines()],
    }
    expected = sorted(sinks["SQLite"])
    if len(expected) < EVENTS:
        raise Failed(f"only {len(expected)} rows")
    for name, rows in sinks.items():
        if sorted(rows) != expected:
            mine, theirs = set(expected), set(rows)
            raise Failed(f"{name}: {len(rows)} rows, not {len(expected)}; missing: {sorted(mine - theirs)[:3]}; "
                         f"only there: {sorted(theirs - mine)[:3]}")
    shutil.rmtree(folder)
    print(f"all sinks: {len(expected):,} rows in {len(tables)} tables, the same in {', '.join(sinks)}; killed 3 times")


if __name__ == "__main__":
    try:
        main() if len(sys.argv) == 1 else snowflake(*sys.argv[2:])
    except Failed as why:
        print(f"== {why}", file=sys.stderr)
        sys.exit(1)
