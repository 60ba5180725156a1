"""What scripts/flood runs: see there."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
BROKERS, REGISTRY = os.environ["DELTAMART_BROKERS"], os.environ["DELTAMART_REGISTRY"]
RECORDS, PARTITIONS = int(os.environ.get("RECORDS", 300_000)), 3
UNKNOWN = 1_000_000
KINDS = [
    "movies_catalog_enriched", "consumer_registration", "sign_in", "sign_out", "item_view", "added_to_cart",
    "checkout_to_cart", "purchase", "item_rating",
]
folder = tempfile.mkdtemp(prefix="deltamart-flood-")
stamp = f"{os.getpid()}-{int(time.time())}"


def register(subject):
    with open("schemas/events/sign_in_topic.avsc") as file:
        body = json.dumps({"schema": file.read()}).encode()
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    request = urllib.request.Request(f"{REGISTRY}/subjects/{subject}/versions", body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["id"]


def text(value):
    # All are shorter than 64: the length is one byte.
    return bytes([2 * len(value)]) + value.encode()


def sign_in(schema, number):
    second, user = number % 60, number % 60 + 1
    datum = text(f"2026-01-05T10:{number // 60 % 60:02}:{second:02}.000Z") + text("sign_in") + bytes([2 * user])
    return b"\0" + schema.to_bytes(4, "big") + datum


def rate(name, schema_of):
    """Sends records, reads them, and tells how many a second were read, and the program's own summary."""
    topic = f"flood-{name}-{stamp}"
    # It must outlive its answers.
    admin = AdminClient({"bootstrap.servers": BROKERS})
    made = admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    [future.result() for future in made.values()]
    producer = Producer({"bootstrap.servers": BROKERS, "linger.ms": 50})
    for number in range(RECORDS):
        while True:
            try:
                producer.produce(topic, sign_in(schema_of(number), number), partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    config = os.path.join(folder, f"{name}.toml")
    with open(config, "w") as file:
        file.write(f'warehouse = "{folder}/{name}.db"\nworkers = 2\ntables = ["all"]\n')
        file.write(f'[registry]\nurl = "{REGISTRY}"\n[kafka]\nbrokers = "{BROKERS}"\n[kafka.topics]\n')
        file.writelines(f'{kind} = "{topic if kind == "sign_in" else ""}"\n' for kind in KINDS)
    ran = subprocess.run([PROGRAM, "--config", config, "run", "--to-end"], capture_output=True, text=True)
    said = ran.stdout + ran.stderr
    found = re.search(r"([\d,]+) records in ([\d.]+) s", ran.stdout)
    if ran.returncode or not found or int(found[1].replace(",", "")) != RECORDS:
        sys.exit(f"== the run of `{name}` failed:\n{said}")
    return RECORDS / float(found[2]), ran.stdout


schema = register(f"flood-{stamp}")
good, said = rate("good", lambda _: schema)
if "0 rejected" not in said:
    sys.exit(f"== good records were rejected:\n{said}")
flood, said = rate("flood", lambda number: UNKNOWN + number)
if f"unknown_schema {RECORDS}" not in said:
    sys.exit(f"== not all of the flood was rejected:\n{said}")
print(f"good   {good:9,.0f} records/s")
print(f"flood  {flood:9,.0f} records/s, each of another schema that is not there: {flood / good:.2f} of that")
sys.exit(0 if flood >= good / 2 else 1)
