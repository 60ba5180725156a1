"""The cluster of `scripts/stack --cluster`, and the program in a folder of its own beside it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from held import Failed

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts/stack.d"))
import grant  # noqa: E402  it is found by the line above

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
STACK, FOLDER = os.environ["DELTAMART_STACK"], os.environ["DELTAMART_STACK_DIR"]
with open(f"{FOLDER}/ports") as ports:
    FIRST, REGISTRY_PORT = map(int, ports.read().split())
BROKERS = ",".join(f"127.0.0.1:{FIRST + n}" for n in range(3))
REGISTRY = f"http://127.0.0.1:{REGISTRY_PORT}/apis/ccompat/v7"
SETTINGS = Path(FOLDER, "deltamart.toml").read_text()
AS_ADMIN = grant.admin(BROKERS, FOLDER)


def admin():
    return AdminClient(AS_ADMIN)


def stack(*what):
    done = subprocess.run([STACK, "--cluster", *what], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"scripts/stack --cluster {' '.join(what)}: {done.stdout}{done.stderr}")


def is_healthy():
    """Three brokers, and every copy of every partition is in step."""
    try:
        known = admin().list_topics(timeout=5)
    except Exception:
        return False
    of = [part for topic in known.topics.values() for part in topic.partitions.values()]
    return len(known.brokers) == 3 and all(len(part.isrs) == len(part.replicas) for part in of)


def await_that(what, is_so, patience=120):
    until = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > until:
            raise Failed(f"it is not so after {patience} s: {what}")
        time.sleep(0.2)


def ends(topics):
    """{(topic, partition): the offset that the next record gets}"""
    consumer = Consumer({**AS_ADMIN, "group.id": "ends"})
    try:
        known = consumer.list_topics(timeout=30).topics
        of = [(topic, part) for topic in topics if topic in known for part in known[topic].partitions]
        return {place: consumer.get_watermark_offsets(TopicPartition(*place), timeout=30)[1] for place in of}
    finally:
        consumer.close()
