"""Compares the topic of clean events, as a reader of what was committed sees it, and their files, as DuckDB reads them, with
a raw table: of its events in time those that are distinct, and each that is late. Prints how many there are.

clean_rows.py BROKERS REGISTRY TOPIC WAREHOUSE FOLDER
"""

import collections
import io
import json
import sqlite3
import sys
import urllib.request

import duckdb
import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

BROKERS, REGISTRY, TOPIC, WAREHOUSE, FOLDER = sys.argv[1:]
schemas = {}


def schema(number):
    if number not in schemas:
        with urllib.request.urlopen(f"{REGISTRY}/schemas/ids/{number}") as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return schemas[number]


def text(at):
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def published():
    consumer = Consumer({
        "bootstrap.servers": BROKERS, "group.id": "clean-rows", "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True,
    })
    found = collections.Counter()
    for partition in consumer.list_topics(TOPIC).topics[TOPIC].partitions:
        consumer.assign([TopicPartition(TOPIC, partition, 0)])
        while True:
            record = consumer.poll(10)
            if record is None:
                raise SystemExit(f"{TOPIC}/{partition}: nothing came")
            if record.error():
                assert record.error().code() == KafkaError._PARTITION_EOF, record.error()
                break
            payload = record.value()
            play = fastavro.schemaless_reader(io.BytesIO(payload[5:]), schema(int.from_bytes(payload[1:5], "big")), None)
            assert record.key() == str(play["listener"]).encode(), record.key()
            found[text(play["played_at"]), play["listener"], play["kind"], play["_late"]] += 1
    return found


def in_files():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    rows = connection.execute(f"""
        SELECT strftime(played_at, '%Y-%m-%dT%H:%M:%S.%gZ'), listener, kind, _late, count(*),
               bool_and(CAST(played_at AS DATE) = CAST(date AS DATE))
        FROM read_parquet('{FOLDER}/plays/**/*.parquet') GROUP BY ALL
    """).fetchall()
    assert all(row[5] for row in rows), "an event is in the folder of another day"
    return collections.Counter({row[:4]: row[4] for row in rows})


def accepted():
    late = """EXISTS (SELECT 1 FROM late_events l
                      WHERE (l._topic, l._partition, l._offset) = (p._topic, p._partition, p._offset))"""
    rows = sqlite3.connect(WAREHOUSE).execute(f"SELECT played_at, listener, kind, {late} FROM plays p").fetchall()
    rows = [(*row[:3], bool(row[3])) for row in rows]
    in_time = collections.Counter({row for row in rows if not row[3]})
    return in_time + collections.Counter(row for row in rows if row[3])


raw = accepted()
assert sum(count for event, count in raw.items() if event[3]) > 20, "too few are late"
for what, there in [("topic", published()), ("files", in_files())]:
    assert there == raw, f"{what}: too many {list((there - raw).items())[:9]}, too few {list((raw - there).items())[:9]}"
print(sum(raw.values()))
