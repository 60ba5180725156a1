"""What scripts/crash-test runs: see there."""

import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from held import Failed, hold
from kafka_ends import ends

KILLS, SEED, PROCESSES = (int(argument) for argument in sys.argv[1:4])
PROGRAM = os.path.abspath(os.environ["DELTAMART"])
BROKERS, REGISTRY = os.environ["DELTAMART_BROKERS"], os.environ["DELTAMART_REGISTRY"]
# Set only if the stack is our own: then its broker may be killed too.
STACK = os.environ.get("DELTAMART_STACK")
EVENTS = [
    "movies_catalog_enriched", "consumer_registration", "sign_in", "sign_out", "item_view", "added_to_cart",
    "checkout_to_cart", "purchase", "item_rating",
]
# Lateness is unlimited, so everything stays in memory: a million events at the most, however many kills.
RATE = max(300, min(3000, 1_000_000 // (2 * max(1, KILLS))))
# A run that journals nothing for so long hangs.
PATIENCE = 60
# So long after one process is gone the others may go on: `cluster.peer_timeout`, and a little.
LEFT = 15
RAW = ["consumer_events", "item_view_events", "cart_events", "rating_events", "catalog_events", "rejected_events"]
# Of the run that wrote a row, not of what it says.
OF_THE_RUN = {"_epoch", "_updated_at", "rejected_at"}

dice = random.Random(SEED)
folder = tempfile.mkdtemp(prefix="deltamart-crash-")
prefix = f"crash-{SEED}-{os.getpid()}-{int(time.time())}"
topics = {event: f"{prefix}-{event}" for event in EVENTS}
children = []


def settings():
    with open(os.path.join(folder, "deltamart.toml"), "w") as file:
        # Small epochs and frequent snapshots: kills fall between journal, commit and snapshot, each often.
        file.write(f"""\
lateness = "unlimited"
catalog_lateness = "unlimited"
epoch_interval = "50ms"
commit_interval = "100ms"
snapshot_interval = "2s"

[simulate]
seed = {SEED}
rate = {RATE}
# More than there is time for: it is stopped after the last kill.
events = {RATE * KILLS * 20 + RATE * 60}
days = {max(3, KILLS)}
start = "2024-01-01"

[kafka]
brokers = "{BROKERS}"
group_id = "{prefix}"

[registry]
url = "{REGISTRY}"

[kafka.topics]
""" + "".join(f'{event} = "{topic}"\n' for event, topic in topics.items()))


def start(name, *arguments):
    """What it says goes to files: a pipe that nobody reads would stop it."""
    out, err = (open(os.path.join(folder, f"{name}.{kind}"), "w") for kind in ("out", "err"))
    # Whether a start replays is told at this level.
    told = {**os.environ, "RUST_LOG": "info"}
    child = subprocess.Popen([PROGRAM, *arguments], cwd=folder, stdout=out, stderr=err, env=told)
    out.close(), err.close()
    children.append(child)
    return child


def said(name, kind):
    with open(os.path.join(folder, f"{name}.{kind}"), errors="replace") as file:
        return file.read()


def ended(child):
    if child in children and child.poll() is not None:
        children.remove(child)
    return child.poll() is not None


def run(name, *arguments, patience=600):
    child = start(name, *arguments)
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        raise Failed(f"`{' '.join(arguments)}` has not ended within {patience} s; it says: {said(name, 'err')[-2000:]}")
    ended(child)
    if child.returncode != 0:
        raise Failed(f"`{' '.join(arguments)}` ended with {child.returncode}: {(said(name, 'err') + said(name, 'out'))[-2000:]}")
    return said(name, "out")


def entries(kind="journal"):
    try:
        return set(os.listdir(os.path.join(folder, "killed.db.state", kind)))
    except FileNotFoundError:
        return set()


def epoch_committed():
    """As any reader sees it while the pipeline writes, or lies dead."""
    try:
        with sqlite3.connect(f"file:{folder}/killed.db?mode=rw", uri=True, timeout=10) as warehouse:
            row = warehouse.execute("SELECT epoch FROM _progress").fetchone()
    except sqlite3.OperationalError:
        return 0
    return row[0] if row else 0


def broker(what):
    """Of our own stack: `kill kafka`, `up`."""
    done = subprocess.run([STACK, *what.split()], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"scripts/stack {what}: {done.stdout}{done.stderr}")


def begin(processes, workers):
    """The processes of a run; the first one leads."""
    if processes == 1:
        return [start("run", "run", "-w", str(workers), "--warehouse", "killed.db")]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(processes)]
    with open(os.path.join(folder, "hosts"), "w") as hosts:
        hosts.writelines(f"127.0.0.1:{one.getsockname()[1]}\n" for one in sockets)
    for one in sockets:
        one.close()
    together = ["run", "-n", str(processes), "--hostfile", "hosts", "-w", str(workers), "--warehouse", "killed.db", "-p"]
    return [start(f"run{p or ''}", *together, str(p)) for p in range(processes)]


def kill(group, victim, computes):
    """Kills one process (-9): the others end by themselves with code 1 and say which one is gone, if all computed together."""
    group[victim].send_signal(signal.SIGKILL)
    until = time.monotonic() + (LEFT if computes else 1)
    for number, child in enumerate(group):
        while number != victim and child.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        name = f"run{number or ''}"
        if computes and number != victim and (child.poll() != 1 or f"process {victim} " not in said(name, "err")):
            raise Failed(
                f"process {victim} of {len(group)} was killed, and process {number} ended with {child.poll()}: "
                f"{said(name, 'err')[-2000:]}"
            )
        # One that had not begun waits for all others.
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.wait()
        ended(child)


def killed_one_after_another(shop):
    kills, workers, last, replays = [0] * PROCESSES, 0, 0, 0
    with_broker = {KILLS // 3, 2 * KILLS // 3} if STACK and KILLS >= 3 else set()
    while sum(kills) < KILLS:
        workers = dice.choice([n for n in (1, 2, 3, 4) if n != workers])
        # With 0 it dies while it starts: as soon as it has claimed its generation.
        wanted = dice.choice([0, *range(1, 9), *range(1, 9), 12])
        before, generations = entries(), entries("generations")
        # All of them as often as any other number.
        processes = dice.choice([PROCESSES, dice.randint(1, PROCESSES)])
        group = begin(processes, workers if PROCESSES == 1 else min(workers, 2))
        child = group[0]
        seen, until, away = set(), time.monotonic() + PATIENCE, None
        while True:
            # Snapshots delete what they make superfluous: what was seen counts.
            seen |= entries() - before
            started = wanted > 0 or entries("generations") - generations
            number = sum(kills)
            if number in with_broker and (seen or number == 2 * KILLS // 3):
                # The first time the pipeline outlives the broker and goes on; the second time it is killed, and
                # begins, without one.
                with_broker.discard(number)
                broker("kill kafka")
                if number == 2 * KILLS // 3:
                    away = threading.Timer(3, broker, ["up"])
                    away.start()
                    break
                time.sleep(2)
                broker("up")
                before, seen = entries(), set()
                until = time.monotonic() + PATIENCE
            if len(seen) >= wanted and started:
                break
            if ended(child):
                raise Failed(f"the pipeline ended by itself with {child.returncode}: {said('run', 'err')[-2000:]}")
            if time.monotonic() > until:
                raise Failed(
                    f"the pipeline journaled {len(seen)} entries of {wanted} within {PATIENCE} s; "
                    f"`status`: {subprocess.run([PROGRAM, 'status', '--warehouse', 'killed.db'], cwd=folder, capture_output=True, text=True).stdout}"
                )
            if ended(shop):
                raise Failed(f"the shop ended before the kills did ({shop.returncode}): {said('simulate', 'err')[-2000:]}")
            time.sleep(0.002)
        # The one that was killed least often of those that are there.
        victim = min(range(len(group)), key=lambda process: (kills[process], dice.random()))
        # That something was journaled since they began is why it is known that all had begun.
        kill(group, victim, len(seen) > 0)
        kills[victim] += 1
        replays += "replaying epochs" in said("run", "err")
        now = epoch_committed()
        if now < last:
            raise Failed(f"the warehouse went back from epoch {last} to {now}")
        last = now
        if sys.stderr.isatty():
            print(f"\r{sum(kills)} kills, epoch {last} ", end="", file=sys.stderr, flush=True)
        if away and sum(kills) == KILLS:
            away.join()
    return kills, replays


def raw_against(ends_of):
    """(lost, doubled, of these rejected)"""
    per_partition = " UNION ALL ".join(f"SELECT _topic, _partition, _offset FROM {table}" for table in RAW)
    with sqlite3.connect(os.path.join(folder, "killed.db")) as warehouse:
        counts = warehouse.execute(
            "SELECT _topic, _partition, COUNT(*), COUNT(DISTINCT _offset), MIN(_offset), MAX(_offset) "
            f"FROM ({per_partition}) GROUP BY 1, 2"
        ).fetchall()
        rejected = warehouse.execute("SELECT COUNT(*) FROM rejected_events").fetchone()[0]
    lost, doubled, left = 0, 0, dict(ends_of)
    for topic, partition, rows, distinct, first, last in counts:
        end = left.pop((topic, partition), 0)
        if first < 0 or last >= end:
            raise Failed(f"a row of {topic}/{partition} says offset {last}; the log ends at {end}")
        lost, doubled = lost + end - distinct, doubled + rows - distinct
    return lost + sum(left.values()), doubled, rejected


def differing():
    """How many rows are in one warehouse and not in the other, by table."""
    found = {}
    with sqlite3.connect(os.path.join(folder, "killed.db")) as warehouse:
        warehouse.execute("ATTACH ? AS whole", [os.path.join(folder, "whole.db")])
        of = "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name <> 'quality'"
        tables = [{name for (name,) in warehouse.execute(of.format(schema))} for schema in ("main", "whole")]
        if tables[0] != tables[1] or not tables[0]:
            raise Failed(f"the tables are not the same: {tables[0] ^ tables[1]}")
        for table in sorted(tables[0]):
            columns = [row[1] for row in warehouse.execute(f"PRAGMA main.table_info({table})")]
            names = ", ".join(f'"{column}"' for column in columns if column not in OF_THE_RUN)
            for one, other in (("main", "whole"), ("whole", "main")):
                rows = warehouse.execute(
                    f"SELECT {names} FROM {one}.{table} EXCEPT SELECT {names} FROM {other}.{table}"
                ).fetchall()
                if rows:
                    found[f"{table}, only {'killed' if one == 'main' else 'undisturbed'}"] = rows
    return found


def main():
    settings()
    started = time.monotonic()
    shop = start("simulate", "simulate", "--brokers", BROKERS)
    # The pipeline reads the catalog's topic: it has to be there.
    while "created" not in said("simulate", "out"):
        if ended(shop) or time.monotonic() - started > PATIENCE:
            raise Failed(f"the shop did not open ({shop.poll()}): {said('simulate', 'err')[-2000:]}")
        time.sleep(0.05)
    kills, replays = killed_one_after_another(shop)
    took = time.monotonic() - started
    shop.send_signal(signal.SIGTERM)
    if shop.wait(120) != 0:
        raise Failed(f"the shop ended with {shop.returncode}: {said('simulate', 'err')[-2000:]}")
    ended(shop)
    acknowledged = re.search(r"([\d,]+) records sent and acknowledged", said("simulate", "out"))
    records = int(acknowledged[1].replace(",", ""))
    at_end = ends(BROKERS, topics.values())
    if sum(at_end.values()) != records:
        raise Failed(f"{records} records were acknowledged, and the topics hold {sum(at_end.values())}")

    run("last", "run", "--to-end", "-w", "2", "--warehouse", "killed.db")
    run("whole", "run", "--to-end", "-w", "2", "--warehouse", "whole.db")
    run("verify", "verify", "--warehouse", "killed.db")
    lost, doubled, rejected = raw_against(at_end)
    differ = differing()
    for table, rows in differ.items():
        print(f"{table}: {len(rows)}, such as {rows[0]}", file=sys.stderr)
    rows = sum(len(rows) for rows in differ.values())
    brokers = "; broker killed twice" if STACK and KILLS >= 3 else ""
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    of_each = f" ({', '.join(str(number) for number in kills)} of each process)" if PROCESSES > 1 else ""
    print(
        f"{sum(kills)} kills{of_each}, {sum(kills)} restarts ({replays} of them replayed) in {took:.0f} s{brokers}; {records:,} records, "
        f"{rejected:,} rejected, lost {lost}, doubled {doubled}, differing rows {rows}; seed {SEED}"
    )
    if lost or doubled or rows:
        raise Failed("not as if nothing had happened")


hold(main, folder, children)
