"""Compares a topic of Avro, as fastavro decodes it, with its archive, as DuckDB reads it. Prints how many rows both have.

archive_rows.py BROKERS REGISTRY TOPIC ARCHIVE FORGOTTEN
"""

import io
import json
import re
import sys
import urllib.request

import duckdb
import fastavro
from confluent_kafka import Consumer, TopicPartition

BROKERS, REGISTRY, TOPIC, ARCHIVE, FORGOTTEN = sys.argv[1:]
schemas = {}


def schema(number):
    if number not in schemas:
        with urllib.request.urlopen(f"{REGISTRY}/schemas/ids/{number}") as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return schemas[number]


def decoded():
    """What is accepted of the topic, by partition and offset."""
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": "archive-rows", "enable.auto.commit": False})
    found = {}
    for partition in consumer.list_topics(TOPIC).topics[TOPIC].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition))
        consumer.assign([TopicPartition(TOPIC, partition, low)])
        at = low
        while at < high:
            record = consumer.poll(10)
            if record is None or record.error():
                raise SystemExit(f"{TOPIC}/{partition}: nothing came at {at}: {record and record.error()}")
            at, payload = record.offset() + 1, record.value()
            if payload[0] != 0:
                continue
            play = fastavro.schemaless_reader(io.BytesIO(payload[5:]), schema(int.from_bytes(payload[1:5], "big")), None)
            if play["listener"] < 1 or play["listener"] == int(FORGOTTEN):
                continue
            found[partition, record.offset()] = play
    return found


def masked(play):
    """No e-mail address is stored."""
    mail = play["mail"] and re.sub(r"[^@]+(?=@)", lambda local: "*" * len(local[0]), play["mail"])
    return {**play, "at": play["at"].replace(tzinfo=None), "mail": mail, "more": play.get("more")}


def archived():
    """What is in the archive."""
    connection = duckdb.connect()
    files = f"read_parquet('{ARCHIVE}/{TOPIC}/*.parquet', union_by_name = true)"
    rows = connection.execute(f"SELECT * REPLACE (\"at\" AT TIME ZONE 'UTC' AS \"at\") FROM {files}")
    names = [column[0] for column in rows.description]
    found = {}
    for row in rows.fetchall():
        row = dict(zip(names, row))
        place = row.pop("_partition"), row.pop("_offset")
        assert place not in found, f"{place} is there twice"
        found[place] = row
    return found


there, here = decoded(), archived()
assert there.keys() == here.keys(), f"only in one: {sorted(there.keys() ^ here.keys())[:9]}"
for place, play in there.items():
    assert masked(play) == here[place], f"{place}: {masked(play)} is {here[place]} in the archive"
print(len(there))
