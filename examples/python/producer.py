"""Sends a visit of each of N users to Kafka: Avro, by the schemas that it registers. What `deltamart run` reads.

    python producer.py BROKERS REGISTRY [USERS] [PREFIX OF THE TOPICS]
"""

import decimal
import sys
import uuid

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from events import EVENTS, AddedToCart, CheckoutToCart, ItemRating, ItemView, Purchase, Registration, SignIn, SignOut


def visits(users: int):
    for user in range(1, users + 1):
        yield Registration(user_id=user, age=20 + user % 50, masked_email="****@mail.example", preferred_language="eng")
        yield SignIn(user_id=user)
        movie = str(user % 7 + 1)
        yield ItemView(user_id=user, item_id=movie)
        if user % 3 == 0:
            cart = uuid.uuid4()
            yield AddedToCart(user_id=user, item_id=movie, cart_id=cart)
            yield CheckoutToCart(user_id=user, cart_id=cart, payment_method="Card")
            yield Purchase(user_id=user, movie_id=movie, purchase_amount=decimal.Decimal("9.99"))
            yield ItemRating(user_id=user, item_id=movie, rating=user % 5 + 1)
        yield SignOut(user_id=user)


def main(brokers: str, registry: str, users: str = "100", prefix: str = "") -> None:
    client = SchemaRegistryClient({"url": registry})
    as_fields = lambda event, _: {**vars(event), "event_name": event.event_name}
    write = {one: AvroSerializer(client, one.schema(), as_fields) for one in EVENTS}
    # A record that is sent again after an error of the network does not double.
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})
    failed = []
    for sent, event in enumerate(visits(int(users)), 1):
        topic = prefix + event.topic
        value = write[type(event)](event, SerializationContext(topic, MessageField.VALUE))
        producer.produce(topic, value, event.key(), on_delivery=lambda error, _: error and failed.append(error))
        producer.poll(0)
    left = producer.flush(60)
    if left or failed:
        sys.exit(f"{left} records were not delivered, {len(failed)} failed: {failed[:1]}")
    print(f"{sent} records sent")


if __name__ == "__main__":
    main(*sys.argv[1:])
