"""The events of the movie shop's users as classes. A field has the name that its schema in `schemas/events` gives it."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import pathlib
import uuid

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas" / "events"


@dataclasses.dataclass(kw_only=True)
class Event:
    timestamp: str = dataclasses.field(default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).isoformat())
    user_id: int

    @classmethod
    def schema(cls) -> str:
        return (SCHEMAS / f"{cls.topic}.avsc").read_text()

    def key(self) -> str:
        return str(getattr(self, self.key_field))


def event(name: str, topic: str, key_field: str = "user_id"):
    """Makes a class an event of this name and topic; records of one key stay in order."""
    def made(cls):
        cls = dataclasses.dataclass(kw_only=True)(cls)
        cls.event_name, cls.topic, cls.key_field = name, topic, key_field
        return cls
    return made


@event("consumer_registration", "consumer_registration_topic")
class Registration(Event):
    age: int
    masked_email: str
    preferred_language: str


@event("sign_in", "sign_in_topic")
class SignIn(Event):
    pass


@event("sign_out", "sign_out_topic")
class SignOut(Event):
    pass


@event("item_view", "item_view_topic")
class ItemView(Event):
    item_id: str


@event("added_to_cart", "added_to_cart", key_field="cart_id")
class AddedToCart(Event):
    item_id: str
    cart_id: uuid.UUID


@event("checkout_to_cart", "checkout_to_cart", key_field="cart_id")
class CheckoutToCart(Event):
    cart_id: uuid.UUID
    payment_method: str


@event("purchase", "checkout_topic")
class Purchase(Event):
    movie_id: str
    purchase_amount: decimal.Decimal


@event("item_rating", "item_rating_topic")
class ItemRating(Event):
    item_id: str
    rating: int


EVENTS = [Registration, SignIn, SignOut, ItemView, AddedToCart, CheckoutToCart, Purchase, ItemRating]
