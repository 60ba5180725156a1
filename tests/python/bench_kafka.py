"""What scripts/bench-kafka runs: see there."""

import bisect
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Consumer, TopicPartition

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
BROKERS, REGISTRY = os.environ["DELTAMART_BROKERS"], os.environ["DELTAMART_REGISTRY"]
EVENTS, DAYS = int(os.environ.get("EVENTS", 5_000_000)), int(os.environ.get("DAYS", 3))
SECONDS, RATE, STORE_RATE = int(os.environ.get("SECONDS_PACED", 30)), 20_000, 5_000
PAGE_RATE = 1_000
# As scripts/bench.
SOME = 'tables=["user_registration_metrics","checkout_metrics","session_metrics","active_sessions","movie_sale_lines","movie_sales_metrics"]'
ALL = 'tables=["all"]'
CATALOG = "movies_catalog_enriched"
KINDS = [
    CATALOG, "consumer_registration", "sign_in", "sign_out", "item_view", "added_to_cart", "checkout_to_cart",
    "purchase", "item_rating",
]
folder = tempfile.mkdtemp(prefix="deltamart-bench-")
stamp = f"{os.getpid()}-{int(time.time())}"
children = []


class Failed(Exception):
    pass


def settings(name, events, rate):
    with open(os.path.join(folder, f"{name}.toml"), "w") as file:
        file.write(f"""\
[simulate]
events = {events}
rate = {rate}
days = {DAYS}
new_user_permille = 690.0
views_max = 6
add_permille = 390.0
checkout_permille = 260.0
purchase_permille = 0.0
rating_permille = 0.0
sign_out_permille = 1000.0

[kafka]
brokers = "{BROKERS}"
group_id = "bench-{stamp}"

[registry]
url = "{REGISTRY}"

[kafka.topics]
""" + "".join(f'{kind} = "bench-{stamp}-{name}-{kind}"\n' for kind in KINDS))


def start(name, *arguments):
    with open(os.path.join(folder, f"{name}.txt"), "w") as said:
        child = subprocess.Popen([PROGRAM, *arguments], cwd=folder, stdout=said, stderr=subprocess.STDOUT)
    children.append(child)
    return child


def said(name):
    with open(os.path.join(folder, f"{name}.txt"), errors="replace") as file:
        return file.read()


def wait(child, name):
    """What it used; it must have ended well."""
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    children.remove(child)
    if child.returncode != 0:
        raise Failed(f"`{' '.join(child.args[1:])}` ended with {child.returncode}: {said(name)[-2000:]}")
    return used


def run(name, *arguments):
    started = time.monotonic()
    used = wait(start(name, *arguments), name)
    return time.monotonic() - started, used


def records(name):
    return int(re.search(r"([\d,]+) records (?:sent|in)", said(name))[1].replace(",", ""))


def backlog():
    settings("backlog", EVENTS, 0)
    run("files", "simulate", "--config", "backlog.toml", "--out", "shop", "--items", "50000", "--events", "1")
    took, used = run("simulate", "simulate", "--config", "backlog.toml", "--brokers", BROKERS, "--catalog", "shop/Movies.txt")
    sent = records("simulate")
    print(f"{sent:,} records (50,000 of the catalog) sent in {took:.1f} s, {sent / took:,.0f}/s, {(used.ru_utime + used.ru_stime) / sent * 1e6:.1f} CPU-µs each\n")
    print("| from a backlog in Kafka, to its end, two workers | wall seconds | events a second | CPU-µs an event | of it in the kernel | MB at most |")
    print("|---|---|---|---|---|---|", flush=True)
    for what, tables, raw, warehouse in (
        ("windows, sessions, sales; in memory", SOME, "off", ":memory:"),
        ("windows, sessions, sales; SQLite", SOME, "off", "backlog.db"),
        ("windows, sessions, sales, raw tables; SQLite", SOME, "on", "backlog.db"),
        ("all upsert tables; SQLite", ALL, "off", "backlog.db"),
        ("all tables, raw ones too; SQLite", ALL, "on", "backlog.db"),
    ):
        for left in os.listdir(folder):
            if left.startswith("backlog.db"):
                path = os.path.join(folder, left)
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        took, used = run("run", "run", "--config", "backlog.toml", "--to-end", "-w", "2", "--raw", raw, "--warehouse", warehouse, "--set", tables)
        if records("run") != sent:
            raise Failed(f"{sent} records were sent, {records('run')} read")
        cpu = used.ru_utime + used.ru_stime
        print(
            f"| {what} | {took:.1f} | {sent / took:,.0f} | {cpu / sent * 1e6:.2f} | {used.ru_stime / sent * 1e6:.2f} "
            f"| {used.ru_maxrss / 1024:,.0f} |",
            flush=True,
        )


class Reader:
    """Someone who looks at the warehouse."""

    def __init__(self, warehouse):
        self.db = sqlite3.connect(f"file:{folder}/{warehouse}?mode=rw", uri=True, timeout=10, isolation_level=None)
        self.epoch, self.epochs, self.seen = None, [], []

    def look(self):
        """When each commit was first seen, and up to where it goes."""
        row = self.db.execute("SELECT epoch, positions FROM _progress").fetchone()
        if row and row[0] != self.epoch:
            self.epoch = row[0]
            self.seen.append((time.time() * 1000, json.loads(row[1])))
            self.epochs.append(row[0])

    def positions(self):
        return self.seen[-1][1] if self.seen else {}


def paced(what, tables, raw):
    name = "paced" + re.sub(r"\W+", "", what)
    settings(name, RATE * SECONDS, RATE)
    # Topics and the catalog first: what is measured is a shop that is open.
    begin = ["catalog", os.path.join(os.path.dirname(__file__), "..", "..", "data", "Movies.txt"), "--config", f"{name}.toml", "--brokers", BROKERS]
    run = ["--config", f"{name}.toml", "--raw", raw, "--set", tables]
    beside(what, name, begin, run, ["--config", f"{name}.toml", "--brokers", BROKERS], f"bench-{stamp}-{name}-{CATALOG}")


def store():
    """The shipped store: all its tables and raw rows, at the defaults."""
    shutil.copytree(os.path.join(os.path.dirname(__file__), "..", "..", "model", "store"), os.path.join(folder, "store"))
    path = os.path.join(folder, "store", "store_events.toml")
    with open(path) as file:
        text, topics = re.subn(r'(?m)^topics *=.*$', f'topics = ["bench-{stamp}-store"]', file.read())
    if topics != 1:
        raise Failed(f"{path} does not say its topics in one line")
    with open(path, "w") as file:
        file.write(text)
    of = ["--model", "./store", "--brokers", BROKERS, "--set", "kafka.format=json"]
    simulate = lambda events, seed: [*of, "--events", str(events), "--rate", str(STORE_RATE), "--seed", str(seed)]
    # The topic first.
    beside("the store, all tables, raw ones too", "store", ["simulate", *simulate(100, 2)], of, simulate(STORE_RATE * SECONDS, 1), None)


class Page:
    """The page of the run in a browser: which epochs it showed, and when."""

    def __init__(self, port):
        from browser import Browser

        self.browser = Browser()
        self.browser.open(f"http://127.0.0.1:{port}/")
        self.browser.wait("return document.querySelector('.view')?.dataset.epoch", what="the shop")
        # The view carries the epoch that all its panels have come to; the frame after that is what a user sees.
        self.browser.run("""
            window.shown = [];
            new MutationObserver(() => {
                const epoch = Number(document.querySelector(".view").dataset.epoch);
                requestAnimationFrame(() => window.shown.push([Date.now(), epoch]));
            }).observe(document.body, { subtree: true, attributeFilter: ["data-epoch"] });
        """)

    def showed(self, epoch):
        return self.browser.run("return window.shown.some(([_, shown]) => shown >= arguments[0])", epoch)

    def seen(self, reader):
        """As a reader's looks: when, and up to where it goes. An epoch that the reader missed counts as the one before."""
        looks = []
        for when, epoch in self.browser.run("return window.shown"):
            known = bisect.bisect_right(reader.epochs, epoch)
            if known:
                looks.append((when, reader.seen[known - 1][1]))
        return looks

    def end(self):
        self.browser.__exit__()


def browser():
    """How fresh the page is: the shop, all tables, looked at by a real Chromium on the same cores."""
    settings("browser", PAGE_RATE * SECONDS, PAGE_RATE)
    begin = ["catalog", os.path.join(os.path.dirname(__file__), "..", "..", "data", "Movies.txt"), "--config", "browser.toml", "--brokers", BROKERS]
    run = ["--config", "browser.toml", "--set", ALL]
    beside("all tables, seen in a browser", "browser", begin, run, ["--config", "browser.toml", "--brokers", BROKERS], f"bench-{stamp}-browser-{CATALOG}", True)


def beside(what, name, begin, run, simulate, catalog_topic, in_browser=False):
    """A live run, and a producer beside it: of each record, when it was seen to be committed."""
    wait(start("begin", *begin), "begin")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    pipeline = start("run", "run", *run, "-w", "2", "--warehouse", f"{name}.db", "--serve", f"127.0.0.1:{port}" if in_browser else "off")
    until = time.monotonic() + 60
    reader = None
    while reader is None or sum(reader.positions().values()) < records("begin"):
        if pipeline.poll() is not None or time.monotonic() > until:
            raise Failed(f"the pipeline did not read what is there ({pipeline.returncode}): {said('run')[-2000:]}")
        time.sleep(0.1)
        try:
            reader = reader or Reader(f"{name}.db")
            reader.look()
        except sqlite3.OperationalError:
            continue
    before = {partition: position for partition, position in reader.positions().items() if not catalog_topic or catalog_topic not in partition}
    page = Page(port) if in_browser else None
    shop = start("simulate", "simulate", *simulate)
    all_sent = None
    while all_sent is None or sum(reader.positions().values()) < all_sent:
        reader.look()
        if all_sent is None and os.waitid(os.P_PID, shop.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            wait(shop, "simulate")
            all_sent = records("begin") + records("simulate")
            until = time.monotonic() + 60
        if pipeline.poll() is not None or (all_sent and time.monotonic() > until):
            raise Failed(f"the pipeline has not come to the end ({pipeline.returncode}): {said('run')[-2000:]}")
        time.sleep(0.01)
    seen = reader.seen
    if page:
        while not page.showed(reader.epoch):
            time.sleep(0.1)
        seen = page.seen(reader)
        page.end()
    pipeline.send_signal(signal.SIGTERM)
    used = wait(pipeline, "run")
    spent = latencies(seen, catalog_topic, before)
    at = lambda share: spent[min(len(spent) - 1, int(len(spent) * share))]
    within = bisect.bisect_right(spent, 1000) / len(spent)
    rate = re.search(r"acknowledged in .* \(([\d,]+)/s\)", said("simulate"))[1]
    print(
        f"| {what} | {rate} | {len(spent):,} | {at(0.5):.0f} | {at(0.99):.0f} | {spent[-1]:.0f} | {within:.2%} | {len(seen)} "
        f"| {(used.ru_utime + used.ru_stime) / len(spent) * 1e6:.1f} | {used.ru_maxrss / 1024:,.0f} |",
        flush=True,
    )


def latencies(seen, catalog_topic, before):
    """Of every record but those of before: from its creation to the first look that found it committed, in ms; in order of length."""
    ends = {}
    for partition, end in seen[-1][1].items():
        topic, _, number = partition.rpartition("/")
        if end > 0 and topic != catalog_topic:
            ends[topic, int(number)] = end
    looks = {at: ([], []) for at in ends}
    for when, positions in seen:
        for (topic, number), (upto, times) in looks.items():
            position = positions.get(f"{topic}/{number}", 0)
            if not upto or position > upto[-1]:
                upto.append(position)
                times.append(when)
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": f"bench-{stamp}-look", "enable.auto.commit": False})
    first = {at: before.get(f"{at[0]}/{at[1]}", 0) for at in ends}
    consumer.assign([TopicPartition(topic, number, first[topic, number]) for topic, number in ends])
    spent, left = [], sum(ends[at] - first[at] for at in ends)
    until = time.monotonic() + 120
    while left > 0:
        for message in consumer.consume(10_000, timeout=1):
            if message.error():
                raise Failed(f"a record could not be read: {message.error()}")
            at = (message.topic(), message.partition())
            if message.offset() < ends[at]:
                upto, times = looks[at]
                # The first commit whose next position is beyond it.
                spent.append(times[bisect.bisect_right(upto, message.offset())] - message.timestamp()[1])
                left -= 1
        if time.monotonic() > until:
            raise Failed(f"{left} records could not be read again within 120 s")
    consumer.close()
    return sorted(spent)


def main(which):
    print(f"{os.cpu_count()} cores, broker and registry on them; load {os.getloadavg()[0]:.1f} before\n")
    if which in ("backlog", "all"):
        backlog()
    if which in ("paced", "all"):
        heading(RATE)
        paced("windows, sessions, sales", SOME, "off")
        paced("all tables, raw ones too", ALL, "on")
    if which in ("store", "all"):
        heading(STORE_RATE)
        store()
    if which in ("browser", "all"):
        heading(PAGE_RATE)
        browser()


def heading(rate):
    print(f"\n| {SECONDS} s at {rate:,} a second, two workers, SQLite | sent a second | records | p50 ms | p99 ms | max ms | within 1 s | commits seen | CPU-µs an event | MB at most |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)


def terminated(*_):
    raise SystemExit(143)


signal.signal(signal.SIGTERM, terminated)
try:
    if len(sys.argv) > 2 or sys.argv[1:] not in ([], ["backlog"], ["paced"], ["store"], ["browser"]):
        raise Failed(f"`{' '.join(sys.argv[1:])}`: expected `backlog`, `paced`, `store`, `browser`, or nothing for all of them")
    main((sys.argv[1:] or ["all"])[0])
except Failed as why:
    print(f"== {why}", file=sys.stderr)
    sys.exit(1)
finally:
    for child in children:
        child.kill()
        child.wait()
    shutil.rmtree(folder)
