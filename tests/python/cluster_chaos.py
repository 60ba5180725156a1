"""What scripts/cluster-chaos runs after its checks: see there."""

import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

import fastavro
from confluent_kafka import Consumer, ElectionType, TopicPartition
from confluent_kafka.admin import AdminClient

from cluster import AS_ADMIN, BROKERS, PROGRAM, REGISTRY, SETTINGS, admin, await_that, ends, grant, is_healthy, stack
from held import Failed, hold

KILLS, SEED = int(sys.argv[1]), int(sys.argv[2])
RATE = 600
RAW = ["consumer_events", "item_view_events", "cart_events", "rating_events", "catalog_events", "rejected_events"]
# Of the run that wrote a row, not of what it says.
OF_THE_RUN = {"_epoch", "_updated_at", "rejected_at"}
# Raw rows name places in logs, and a batch reads files; and it closes the last minute, by design.
NOT_OF_A_BATCH = {*RAW, "late_events"}

dice = random.Random(SEED)
folder = tempfile.mkdtemp(prefix="deltamart-cluster-")
children = []


def settings():
    common = f"""\
lateness = "unlimited"
catalog_lateness = "unlimited"
epoch_interval = "50ms"
commit_interval = "100ms"
snapshot_interval = "5s"

[simulate]
seed = {SEED}
rate = {RATE}
# More than there is time for: it is stopped after the last kill.
events = {RATE * 60 * (KILLS + 20)}
start = "2024-01-01"

{SETTINGS}"""
    for name, more in (("plain", ""), ("publishes", f'[publish]\nprefix = "{grant.PREFIX}"\n')):
        with open(f"{folder}/{name}.toml", "w") as file:
            file.write(common + more)


def start(name, *arguments, config="plain"):
    """What it says goes to files: a pipe that nobody reads would stop it."""
    out, err = (open(f"{folder}/{name}.{kind}", "w") for kind in ("out", "err"))
    child = subprocess.Popen([PROGRAM, *arguments, "--config", f"{folder}/{config}.toml"], cwd=folder, stdout=out, stderr=err)
    out.close(), err.close()
    children.append(child)
    return child


def said(name, kind):
    with open(f"{folder}/{name}.{kind}", errors="replace") as file:
        return file.read()


def run(name, *arguments, config="plain"):
    if start(name, *arguments, config=config).wait(900) != 0:
        raise Failed(f"`{' '.join(arguments)}` did not end well: {said(name, 'err')[-3000:]}")


def epoch():
    try:
        with sqlite3.connect(f"file:{folder}/killed.db?mode=rw", uri=True, timeout=10) as warehouse:
            row = warehouse.execute("SELECT epoch FROM _progress").fetchone()
    except sqlite3.OperationalError:
        return 0
    return row[0] if row else 0


def leaders_move_back():
    """To the brokers that lead by preference."""
    known = admin().list_topics(timeout=30).topics
    of = [TopicPartition(name, part) for name, topic in known.items() if not name.startswith("__") for part in topic.partitions]
    AdminClient(AS_ADMIN).elect_leaders(ElectionType.PREFERRED, of).result(60)


def trouble():
    """One thing goes wrong, or is done to the cluster; tells what."""
    what = dice.choice(["nothing", "kill", "kill", "stop", "two", "all", "leaders"])
    brokers = {"kill": 1, "stop": 1, "two": 2, "all": 3}.get(what, 0)
    chosen = [str(n) for n in dice.sample([1, 2, 3], brokers)]
    for n in chosen:
        stack("stop" if what == "stop" else "kill", n)
    if what == "leaders":
        leaders_move_back()
    return what, chosen


def killed_one_after_another(shop):
    done = {}
    for kill in range(KILLS):
        before = epoch()
        child = start("run", "run", "-w", str(dice.choice([1, 2])), "--warehouse", "killed.db", config="publishes")

        def goes_on():
            if child.poll() is not None:
                raise Failed(f"the pipeline ended by itself with {child.returncode}: {said('run', 'err')[-3000:]}")
            return epoch() > before
        await_that(f"it goes on after kill {kill}", goes_on)
        if shop.poll() is not None:
            raise Failed(f"the shop ended by itself: {said('simulate', 'err')[-3000:]}")
        what, chosen = trouble()
        done[what] = done.get(what, 0) + 1
        # It reads on, or waits, or is in the middle of something.
        time.sleep(dice.uniform(0, 6))
        child.send_signal(signal.SIGKILL)
        child.wait()
        for n in chosen:
            stack("up", n)
        await_that("the cluster is whole", is_healthy)
    return done


def fetched(at_end, file):
    """Writes every record that is one as a line; tells how many were none."""
    schemas, none = {}, 0
    consumer = Consumer({**AS_ADMIN, "group.id": "fetched", "enable.auto.commit": False, "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(*place, 0) for place, end in at_end.items() if end > 0])
    left = sum(at_end.values())
    while left > 0:
        record = consumer.poll(30)
        if record is None or record.error():
            raise Failed(f"{left} records could not be fetched: {record and record.error()}")
        left -= 1
        payload = record.value() or b""
        try:
            number = int.from_bytes(payload[1:5], "big")
            if payload[:1] != b"\0":
                raise ValueError("no header")
            if number not in schemas:
                with urllib.request.urlopen(f"{REGISTRY}/schemas/ids/{number}") as answer:
                    schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
            event = fastavro.schemaless_reader(io.BytesIO(payload[5:]), schemas[number])
            file.write(json.dumps(event, default=str) + "\n")
        except Exception:
            none += 1
    consumer.close()
    return none


def differing(one, other, but=frozenset()):
    """How many rows are in one warehouse and not in the other, by table; and how many tables are equal."""
    found, equal = {}, 0
    with sqlite3.connect(f"{folder}/{one}.db") as warehouse:
        warehouse.execute("ATTACH ? AS other", [f"{folder}/{other}.db"])
        of = "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name <> 'quality'"
        for table in sorted({name for (name,) in warehouse.execute(of)} - but):
            columns = [row[1] for row in warehouse.execute(f"PRAGMA main.table_info({table})")]
            names = ", ".join(f'"{column}"' for column in columns if column not in OF_THE_RUN)
            where = ""
            if other == "batch" and table == "session_metrics":
                where = f" WHERE timestamp < (SELECT MAX(timestamp) FROM main.{table})"
            count = lambda a, b: warehouse.execute(  # noqa: E731
                f"SELECT COUNT(*) FROM (SELECT {names} FROM {a}.{table}{where} EXCEPT SELECT {names} FROM {b}.{table}{where})"
            ).fetchone()[0]
            rows = count("main", "other") + count("other", "main")
            equal += rows == 0
            if rows:
                found[table] = rows
    return found, equal


def main():
    settings()
    before = ends(grant.TOPICS)
    started = time.monotonic()
    shop = start("simulate", "simulate", "--brokers", BROKERS)
    await_that("the shop writes", lambda: sum(ends(grant.TOPICS).values()) > sum(before.values()))
    done = killed_one_after_another(shop)
    took = time.monotonic() - started
    shop.send_signal(signal.SIGTERM)
    if shop.wait(120) != 0:
        raise Failed(f"the shop ended with {shop.returncode}: {said('simulate', 'err')[-3000:]}")
    acknowledged = int(re.search(r"([\d,]+) records sent and acknowledged", said("simulate", "out"))[1].replace(",", ""))
    at_end = ends(grant.TOPICS)
    records = sum(at_end.values())
    if records - sum(before.values()) != acknowledged:
        raise Failed(f"{acknowledged} records were acknowledged, and the topics hold {records - sum(before.values())} more")
    run("last", "run", "--to-end", "-w", "2", "--warehouse", "killed.db", config="publishes")
    run("whole", "run", "--to-end", "-w", "2", "--warehouse", "whole.db")
    run("verify", "verify", "--warehouse", "killed.db")
    with open(f"{folder}/events.jsonl", "w") as file:
        none = fetched(at_end, file)
    run("batch", "batch", "events.jsonl", "--warehouse", "batch.db")
    with sqlite3.connect(f"{folder}/killed.db") as warehouse:
        rows, places = warehouse.execute(
            "SELECT COUNT(*), COUNT(DISTINCT _topic || '/' || _partition || '/' || _offset) FROM ("
            + " UNION ALL ".join(f"SELECT _topic, _partition, _offset FROM {table}" for table in RAW) + ")"
        ).fetchone()
        rejected = warehouse.execute("SELECT COUNT(*) FROM rejected_events").fetchone()[0]
    whole, equal = differing("killed", "whole")
    batch, equal_batch = differing("killed", "batch", NOT_OF_A_BATCH)
    print(
        f"{KILLS} kills in {took:.0f} s, {', '.join(f'{what} {n}' for what, n in sorted(done.items()))}; "
        f"records in {records:,}, raw {rows - rejected:,}, rejected {rejected:,} ({none:,} no Avro), "
        f"lost {records - places}, doubled {rows - places}; tables equal: {equal} of {equal + len(whole)} to an undisturbed "
        f"run, {equal_batch} of {equal_batch + len(batch)} to a batch; seed {SEED}"
    )
    if whole or batch or rows != records or places != records:
        raise Failed(f"not as if nothing had happened: {whole} {batch}")


hold(main, folder, children)
