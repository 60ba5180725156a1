"""What scripts/bucket-test runs: see there."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import duckdb

from bucket_proxy import FAULTS, Proxy
from held import Failed, hold

KILLS, SEED = int(sys.argv[1]), int(sys.argv[2])
PROGRAM = os.path.abspath(os.environ["DELTAMART"])
BUCKET, FILES = os.environ["DELTAMART_BUCKET"], os.environ["DELTAMART_BUCKET_FOLDER"]
EVENTS = max(20_000, 8_000 * KILLS)
# A run that writes nothing for so long hangs. A start reads the journal object by object, each of which may be refused.
PATIENCE = 300
# Of the run that wrote a row, not of what it says.
OF_THE_RUN = {"_epoch", "_updated_at", "rejected_at", "_generation"}
# Some requests in a thousand fail so; and these fail all for two seconds, in the middle of a run.
NOW_AND_THEN = ["500", "503", "429", "404", "409"]
ALL_FOR_A_WHILE = ["503", "403 skewed clock", "507 full disk", "403 read-only key", "404 no bucket", "409"]

dice = random.Random(SEED)
folder = tempfile.mkdtemp(prefix="deltamart-bucket-")
proxy = Proxy(os.environ["AWS_ENDPOINT"], SEED)
children = []


def start(name, *arguments):
    with open(os.path.join(folder, f"{name}.err"), "w") as err:
        told = {**os.environ, "AWS_ENDPOINT": proxy.url, "RUST_LOG": "info"}
        child = subprocess.Popen([PROGRAM, *arguments], cwd=folder, stdout=err, stderr=err, env=told)
    children.append(child)
    return child


def said(name):
    with open(os.path.join(folder, f"{name}.err"), errors="replace") as file:
        return file.read()


def arguments(warehouse, state, feed, workers):
    sets = ["epoch_events=100", "epoch_interval=20ms", "commit_interval=50ms", "snapshot_interval=1s",
            f"state_dir={state}", f"feed.path={feed}", "feed.commit_interval=300ms", "feed.merge_runs=4"]
    given = ["shop/events.jsonl", "--catalog", "shop/Movies.txt", "--warehouse", warehouse, "-w", str(workers)]
    return ["run", *given, *(word for one in sets for word in ("--set", one))]


def in_the_bucket(workers):
    return arguments("killed.db", f"{BUCKET}/state", f"{BUCKET}/feed", workers)


def whole(name, given):
    child = start(name, *given)
    if child.wait(900) != 0:
        raise Failed(f"`{name}` ended with {child.returncode}: {said(name)[-1500:]}")


def puts():
    return proxy.counts.get("PUT", 0)


def until_put(child, wanted, what, count=puts):
    """Waits until so much more was asked to be put; `False` if the program ended first."""
    since, limit = count(), time.monotonic() + PATIENCE
    while count() < since + wanted:
        if child.poll() is not None:
            return False
        if time.monotonic() > limit:
            raise Failed(f"{what}: nothing was put for {PATIENCE} s: {said('run')[-1500:]}")
        time.sleep(0.005)
    return True


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()
    children.remove(child)


def one_round(number, workers, tally):
    """One run of the program under one kind of trouble; it is killed, wherever it is."""
    kinds = ["nothing", "slow", "hides", "two", "412"]
    kinds += [f"some {fault}" for fault in NOW_AND_THEN] + [f"all {fault}" for fault in ALL_FOR_A_WHILE]
    kind = kinds[number % len(kinds)]
    tally[kind] = tally.get(kind, 0) + 1
    if kind == "slow":
        proxy.plan(None, pause_s=0.1)
    elif kind == "hides":
        proxy.plan(None, hides=True)
    elif kind == "412":
        proxy.plan("412", permille=100)
    elif kind.startswith("some "):
        proxy.plan(kind.removeprefix("some "), permille=dice.choice([50, 100, 200]))
    child = start("run", *in_the_bucket(workers))
    if kind.startswith("all "):
        # Once it has begun; `refused_at_the_start` is about what is wrong before.
        lives = until_put(child, dice.choice([1, 2, 4, 8]), kind, lambda: proxy.journaled)
    else:
        lives = until_put(child, dice.choice([1, 2, 5, 10, 20, 40, 80]), kind)
    if lives and kind.startswith("all "):
        fault = kind.removeprefix("all ")
        proxy.plan(fault, methods=("PUT",) if "read-only" in fault or "full" in fault else ("GET", "PUT", "DELETE"))
        refused = sum(proxy.refused.values())
        time.sleep(2)
        asked = sum(proxy.refused.values()) - refused
        # A run that is refused asks again, but not without pause.
        if asked > 400:
            raise Failed(f"{kind}: {asked} requests were refused in two seconds")
        proxy.clear()
        lives = child.poll() is None and until_put(child, 5, kind)
    if lives and kind == "two":
        other = start("other", *in_the_bucket(workers % 3 + 1))
        until_put(other, 40, kind)
        limit = time.monotonic() + PATIENCE
        while child.poll() is None and other.poll() is None:
            if time.monotonic() > limit:
                raise Failed("two runs went on beside each other")
            time.sleep(0.05)
        if other.poll() is None:
            kill(other)
        lives = child.poll() is None
    kill(child)
    proxy.clear()
    ended = [] if lives else [child.returncode]
    # Who is superseded, or was told so by a server that lies, ends; nobody else does but at the end of the file.
    if not lives and kind not in ("two", "412"):
        # Where the newest object is hidden a start may refuse, as docs/reliability.md says: the next one goes on.
        is_hidden = kind == "hides" and child.returncode == 2 and "it ends with epoch" in said("run")
        if child.returncode != 0 and not is_hidden:
            raise Failed(f"{kind}: it ended by itself with {child.returncode}: {said('run')[-1500:]}")
    return kind, ended


def refused_at_the_start(fault, words):
    """What is wrong from the first request on ends a start, with words, before anything is written."""
    proxy.plan(fault)
    child = start("refused", *in_the_bucket(1))
    code = child.wait(PATIENCE)
    proxy.clear()
    if code == 0 or words not in said("refused"):
        raise Failed(f"a start under `{fault}` ended with {code}, and without `{words}`: {said('refused')[-1500:]}")


def tables_of(warehouse):
    with sqlite3.connect(os.path.join(folder, warehouse)) as connection:
        of = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name <> 'quality' ORDER BY 1"
        return [name for (name,) in connection.execute(of)]


def rows_of_warehouse(warehouse, table):
    with sqlite3.connect(os.path.join(folder, warehouse)) as connection:
        return rows(connection.execute(f'SELECT * FROM "{table}"'))


def rows(found):
    shown = [n for n, column in enumerate(found.description) if column[0] not in OF_THE_RUN]
    return sorted(repr([row[n] for n in shown]) for row in found.fetchall())


def feed(at):
    connection = duckdb.connect()
    # What takes long would be drawn in between the results.
    connection.execute("SET enable_progress_bar = false")
    with open(f"{at}/views.sql", encoding="utf-8") as file:
        connection.execute(f"SET VARIABLE deltamart_feed = '{at}'")
        connection.execute(file.read())
    return connection


def main():
    subprocess.run([PROGRAM, "simulate", "--out", f"{folder}/shop", "--events", str(EVENTS), "--set",
                    f"simulate.seed={SEED}"], check=True, stdout=subprocess.DEVNULL)
    whole("whole", arguments("whole.db", f"{folder}/state", f"{folder}/feed", 2))
    for fault, words in [("403 skewed clock", "set this machine's clock"), ("403 read-only key", "the right to list"),
                         ("404 no bucket", "make the bucket"), ("404", "no answer of a bucket"),
                         ("503", "SlowDown")]:
        refused_at_the_start(fault, words)
    started, tally, ends, workers = time.monotonic(), {}, [], 0
    for number in range(KILLS):
        workers = dice.choice([n for n in (1, 2, 3) if n != workers])
        kind, ended = one_round(number, workers, tally)
        if ended:
            ends.append(f"{kind}: {ended[0]}")
        print(f"kill {number + 1}: {kind}, {workers} workers{', ended ' + str(ended[0]) if ended else ''}",
              file=sys.stderr, flush=True)
    took = time.monotonic() - started
    whole("last", in_the_bucket(2))
    differ, records = 0, 0
    one, other = feed(f"{folder}/feed"), feed(f"{FILES}/feed")
    for table in tables_of("whole.db"):
        pairs = [("warehouse", rows_of_warehouse("whole.db", table), rows_of_warehouse("killed.db", table))]
        pairs.append(("feed", *(rows(there.execute(f'SELECT * FROM "{table}"')) for there in (one, other))))
        for place, undisturbed, killed in pairs:
            records += len(undisturbed)
            if undisturbed != killed:
                only = set(undisturbed) ^ set(killed)
                differ += max(len(only), 1)
                print(f"{place}, {table}: {len(undisturbed)} and {len(killed)} rows; {sorted(only)[:2]}", file=sys.stderr)
    print(
        f"{KILLS} kills in {took:.0f} s, {len(ends)} ended before; {EVENTS:,} events; {records:,} rows in tables of "
        f"warehouse and feed, differing {differ}; requests {dict(sorted(proxy.counts.items()))}, of these refused "
        f"{sum(proxy.refused.values()):,} in {len(proxy.refused)} of {len(FAULTS)} ways; seed {SEED}"
    )
    if differ:
        raise Failed("not as if nothing had happened")


hold(main, folder, children)
