"""Reads the events of the topics from their beginning to their end, as objects of their classes, and says how many of each.

    python consumer.py BROKERS REGISTRY [PREFIX OF THE TOPICS]
"""

import collections
import dataclasses
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from events import EVENTS


def made(event):
    """Of fields an object. A field that a writer has and the class has not is left out: schemas grow."""
    names = {field.name for field in dataclasses.fields(event)}
    return lambda fields, _: event(**{name: value for name, value in fields.items() if name in names})


def events(brokers: str, registry: str, prefix: str):
    """Every event that was committed, each partition in its order."""
    client = SchemaRegistryClient({"url": registry})
    read = {prefix + event.topic: AvroDeserializer(client, from_dict=made(event)) for event in EVENTS}
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "example", "enable.auto.commit": False,
                         "enable.partition.eof": True, "isolation.level": "read_committed"})
    places = [(topic, number) for topic in read for number in consumer.list_topics(topic, timeout=30).topics[topic].partitions]
    consumer.assign([TopicPartition(topic, number, 0) for topic, number in places])
    left = set(places)
    while left:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            yield read[message.topic()](message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            left.discard((message.topic(), message.partition()))
        else:
            sys.exit(f"a record could not be read: {message.error()}")
    consumer.close()


def main(brokers: str, registry: str, prefix: str = "") -> None:
    counts = collections.Counter(type(event).__name__ for event in events(brokers, registry, prefix))
    for name, count in sorted(counts.items()):
        print(f"{name} {count}")


if __name__ == "__main__":
    main(*sys.argv[1:])
