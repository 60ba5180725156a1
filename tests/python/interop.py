"""deltamart and confluent-kafka (librdkafka's own Python client, its AvroSerializer and AvroDeserializer, fastavro) at
the same brokers and the same registry. What `simulate` produced is read by Python, and is what deltamart stored of each
record. The same events serialised by Python, some under schemas that somebody has changed, give the same tables.

Needs DELTAMART (the program), DELTAMART_BROKERS and DELTAMART_REGISTRY; exit code 1, and why, if anything differs.
"""

import datetime
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
BROKERS, REGISTRY = os.environ["DELTAMART_BROKERS"], os.environ["DELTAMART_REGISTRY"]
EVENTS = 3_000
# The topic of each event as it is called by default, and the field that is its key.
TOPICS = {
    "movies_catalog_enriched": ("movies_catalog_enriched", "item_id"),
    "consumer_registration": ("consumer_registration_topic", "user_id"),
    "sign_in": ("sign_in_topic", "user_id"),
    "sign_out": ("sign_out_topic", "user_id"),
    "item_view": ("item_view_topic", "user_id"),
    "added_to_cart": ("added_to_cart", "cart_id"),
    "checkout_to_cart": ("checkout_to_cart", "cart_id"),
    "purchase": ("checkout_topic", "user_id"),
    "item_rating": ("item_rating_topic", "user_id"),
}
RAW = ["consumer_events", "item_view_events", "cart_events", "rating_events", "catalog_events"]
# Of the run that wrote a row, and of where the record stood; not of what it says.
OF_THE_RUN = {"_epoch", "_updated_at", "_topic", "rejected_at"}
SCHEMAS = os.path.join(os.path.dirname(__file__), "..", "..", "schemas", "events")

folder = tempfile.mkdtemp(prefix="deltamart-interop-")
registry = SchemaRegistryClient({"url": REGISTRY})


class Failed(Exception):
    pass


def expect(what, found, expected):
    if found != expected:
        raise Failed(f"{what}: {found!r} is not {expected!r}")


def prefixed(name):
    """A configuration of topics of their own; tells what they are called, by their events."""
    prefix = f"interop-{name}-{os.getpid()}-{int(time.time())}"
    names = {event: f"{prefix}-{topic}" for event, (topic, _) in TOPICS.items()}
    with open(os.path.join(folder, f"{name}.toml"), "w") as file:
        file.write(f'lateness = "unlimited"\ncatalog_lateness = "unlimited"\nwarehouse = "{name}.db"\n')
        file.write("[simulate]\nmalformed_permille = 0.0\ntoo_late_permille = 0.0\nrate = 0\n")
        file.write(f'[kafka]\nbrokers = "{BROKERS}"\n[registry]\nurl = "{REGISTRY}"\n[kafka.topics]\n')
        file.writelines(f'{event} = "{topic}"\n' for event, topic in names.items())
    return names


def deltamart(name, *arguments):
    command = [PROGRAM, *arguments, "--config", f"{name}.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(command[1:])}` ended with {done.returncode}: {done.stdout}{done.stderr}"[-2000:])
    return done.stdout


def rows(name, table):
    warehouse = sqlite3.connect(f"file:{folder}/{name}.db?mode=ro", uri=True)
    found = warehouse.execute(f'SELECT * FROM "{table}"')
    columns = [column[0] for column in found.description]
    return [dict(zip(columns, row)) for row in found]


def records(names):
    """Every record, as (event, message)."""
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": "interop", "enable.auto.commit": False})
    by_topic = {topic: event for event, topic in names.items()}
    wanted = {}
    for topic in by_topic:
        for number in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
            expect(f"where {topic}/{number} begins", low, 0)
            if high:
                wanted[topic, number] = high
    consumer.assign([TopicPartition(topic, number, 0) for topic, number in wanted])
    left, until, found = sum(wanted.values()), time.monotonic() + 120, []
    while left:
        for message in consumer.consume(10_000, timeout=1):
            if message.error():
                raise Failed(f"a record could not be read: {message.error()}")
            found.append((by_topic[message.topic()], message))
            left -= 1
        if time.monotonic() > until:
            raise Failed(f"{left} records could not be read within 120 s")
    consumer.close()
    return found


def stored(name):
    """What deltamart made of each record, by its place."""
    return {
        (row["_topic"], row["_partition"], row["_offset"]): row for table in RAW for row in rows(name, table)
    }


def money(value):
    return None if value is None else f"{value:.2f}"


def compare(event, fields, row):
    """A row holds what the record says."""
    at = row["_topic"], row["_partition"], row["_offset"]
    lists = ("directors", "actors", "languages", "attributes")
    for name, value in fields.items():
        if name not in row:
            # A catalog's row is of one event only, and a purchase's item is called as all others.
            if (event, name) == ("movies_catalog_enriched", "event_name"):
                continue
            expect(f"{at}: field", (event, name), ("purchase", "movie_id"))
            name = "item_id"
        found = row[name]
        if name in lists:
            found = json.loads(found)
        elif name in ("price", "purchase_amount"):
            found, value = money(found), money(value)
            # Where only the text of a price was sent, the text is read.
            if value is None and found is not None and f"${float(found):,.2f}" in (fields["list_price_raw"] or ""):
                continue
        elif name == "masked_email":
            # Some shops forget to mask.
            value = "****@" + value.partition("@")[2]
        elif name == "cart_id":
            value = str(value)
        expect(f"{at}: {name}", found, value)


def shipped(topic):
    with open(os.path.join(SCHEMAS, f"{topic}.avsc")) as file:
        return file.read()


def somebodys(event, schema):
    """Schemas as others would have them: fields in another order and one more; an instant as a number."""
    schema = json.loads(schema)
    if event == "item_view":
        schema["fields"] = [{"name": "device", "type": ["null", "string"], "default": None}, *reversed(schema["fields"])]
    if event in ("sign_in", "item_rating"):
        for field in schema["fields"]:
            if field["name"] == "timestamp":
                field["type"] = {"type": "long", "logicalType": "timestamp-millis"}
    return json.dumps(schema)


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def examples():
    """The producer and the consumer in `examples/python`: what the one sends, the other and deltamart read."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "python")
    topics = prefixed("example")
    prefix = topics["sign_in"].removesuffix(TOPICS["sign_in"][0])
    # With all topics: that of catalogs, which the example does not send, is read as an empty one.
    admin = AdminClient({"bootstrap.servers": BROKERS})
    made = admin.create_topics(
        [NewTopic(topic, 2, 1, config={"retention.ms": "-1"}) for topic in topics.values()])
    for done in made.values():
        done.result(30)

    def called(script, *arguments):
        done = subprocess.run([sys.executable, os.path.join(here, script), BROKERS, REGISTRY, *arguments],
                              capture_output=True, text=True, timeout=120)
        expect(f"exit code of {script} ({done.stdout[-500:]}{done.stderr[-1500:]})", done.returncode, 0)
        return done.stdout.split()

    expect("what the producer says", called("producer.py", "30", prefix)[0], "160")
    expect("what the consumer says", called("consumer.py", prefix),
           ["AddedToCart", "10", "CheckoutToCart", "10", "ItemRating", "10", "ItemView", "30", "Purchase", "10",
            "Registration", "30", "SignIn", "30", "SignOut", "30"])
    deltamart("example", "run", "--to-end", "--serve", "off")
    expect("rejected", [row["detail"] for row in rows("example", "rejected_events")], [])
    expect("users", sorted(row["user_id"] for row in rows("example", "users")), list(range(1, 31)))
    expect("sold", sum(row["event_name"] == "purchase" for row in rows("example", "cart_events")), 10)


def main():
    ours, theirs = prefixed("ours"), prefixed("theirs")
    told = json.loads(deltamart("ours", "simulate", "--events", str(EVENTS), "--json"))
    deltamart("ours", "run", "--to-end", "-w", "2")
    deltamart("ours", "status", "--wait-for", told["wait_for"], "--timeout", "0")
    read = AvroDeserializer(registry)
    produced, by_place, behind = [], stored("ours"), {}
    for event, message in records(ours):
        partition = f"{message.topic()}/{message.partition()}"
        behind[partition] = max(behind.get(partition, 0), message.offset() + 1)
        place = message.topic(), message.partition(), message.offset()
        fields = read(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        expect(f"{place}: key", message.key().decode(), str(fields[TOPICS[event][1]]))
        compare(event, fields, by_place.pop(place))
        produced.append((event, message, fields))
    expect("rows of no record", len(by_place), 0)
    expect("what is to be waited for", sorted(told["wait_for"].split(",")), sorted(f"{name}={next_one}" for name, next_one in behind.items()))
    if len(produced) < EVENTS:
        raise Failed(f"only {len(produced)} records were produced")

    write = {event: AvroSerializer(registry, somebodys(event, shipped(topic))) for event, (topic, _) in TOPICS.items()}
    admin = AdminClient({"bootstrap.servers": BROKERS})
    # Event times are years old, and brokers count by them.
    made = admin.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "-1"}) for topic in theirs.values()])
    for done in made.values():
        done.result(30)
    producer = Producer({"bootstrap.servers": BROKERS, "enable.idempotence": True, "linger.ms": 5})
    failed = []
    for event, message, fields in produced:
        topic = theirs[event]
        if event in ("sign_in", "item_rating"):
            fields = {**fields, "timestamp": instant(fields["timestamp"])}
        value = write[event](fields, SerializationContext(topic, MessageField.VALUE))
        while True:
            try:
                producer.produce(topic, value, message.key(), on_delivery=lambda error, _: error and failed.append(error))
                break
            except BufferError:
                producer.poll(1)
    expect("records on their way", producer.flush(60), 0)
    expect("failed deliveries", failed, [])
    deltamart("theirs", "run", "--to-end", "-w", "2")
    expect("rejected", len(rows("theirs", "rejected_events")), 0)

    tables = [name for (name,) in sqlite3.connect(f"{folder}/ours.db").execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name <> 'quality'")]
    compared = 0
    for table in tables:
        # Where a record stands is of its log.
        skip = OF_THE_RUN | ({"_partition", "_offset"} if table in RAW else set())
        plain = lambda name: sorted(
            json.dumps({key: value for key, value in row.items() if key not in skip}, sort_keys=True, default=repr)
            for row in rows(name, table))
        one, other = plain("ours"), plain("theirs")
        if one != other:
            only = [row for row in one if row not in other][:3], [row for row in other if row not in one][:3]
            raise Failed(f"{table}: {len(one)} and {len(other)} rows; only ours: {only[0]}; only theirs: {only[1]}")
        compared += len(one)
    examples()
    print(f"interop: {len(produced):,} records of `simulate` read by confluent-kafka, as deltamart stored them; "
          f"serialised by it, {len(produced):,} records gave the same {compared:,} rows in {len(tables)} tables")


try:
    main()
except Failed as why:
    print(f"== {why}\n== what was made is kept in {folder}", file=sys.stderr)
    sys.exit(1)
shutil.rmtree(folder)
