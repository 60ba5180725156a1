"""Compares the topic of clean events, as a reader of what was committed sees it, with the distinct events of a raw table.
Prints how many there are.

clean_rows.py BROKERS REGISTRY TOPIC WAREHOUSE
"""

import collections
import io
import json
import sqlite3
import sys
import urllib.request

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

BROKERS, REGISTRY, TOPIC, WAREHOUSE = sys.argv[1:]
schemas = {}


def schema(number):
    if number not in schemas:
        with urllib.request.urlopen(f"{REGISTRY}/schemas/ids/{number}") as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return schemas[number]


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
            at = play["played_at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
            found[at, play["listener"], play["kind"]] += 1
    return found


there = published()
assert set(there.values()) == {1}, f"more than once: {[event for event, count in there.items() if count > 1][:9]}"
raw = sqlite3.connect(WAREHOUSE).execute("SELECT DISTINCT played_at, listener, kind FROM plays")
raw = set(raw.fetchall())
assert set(there) == raw, f"only in one: {sorted(set(there) ^ raw)[:9]}"
print(len(there))
