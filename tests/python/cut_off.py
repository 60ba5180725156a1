"""What scripts/cut-off runs: see there."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from held import Failed, hold

PROGRAM = sys.argv[1]
PEER_TIMEOUT = 5
# So much later than that the last one has ended: keepalive is asked every second, and a process takes its time to end.
LEFT = 5
TAG = f"d{os.getpid() % 10000}"
BRIDGE = f"{TAG}b"
NETWORK = "10.77.3"
# Of the run that wrote a row, not of what it says.
OF_THE_RUN = {"_epoch", "_updated_at", "rejected_at"}

folder = tempfile.mkdtemp(prefix="deltamart-cut-off-")
children = []


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, capture_output=True)


def space(process):
    return f"{TAG}n{process}"


def networks():
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("link", "set", BRIDGE, "up")
    for process in range(3):
        ip("netns", "add", space(process))
        ip("link", "add", f"{TAG}v{process}", "type", "veth", "peer", "name", "eth0", "netns", space(process))
        ip("link", "set", f"{TAG}v{process}", "master", BRIDGE, "up")
        ip("-n", space(process), "addr", "add", f"{NETWORK}.{10 + process}/24", "dev", "eth0")
        ip("-n", space(process), "link", "set", "eth0", "up")
        ip("-n", space(process), "link", "set", "lo", "up")


def no_networks():
    for process in range(3):
        ip("netns", "del", space(process), check=False)
    ip("link", "del", BRIDGE, check=False)


def start(name, process, *arguments):
    out = open(os.path.join(folder, f"{name}{process}.txt"), "w")
    within = ["ip", "netns", "exec", space(process)]
    child = subprocess.Popen([*within, PROGRAM, *arguments], cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    out.close()
    children.append(child)
    return child


def said(name, process):
    with open(os.path.join(folder, f"{name}{process}.txt"), errors="replace") as file:
        return file.read()


def begin(name, warehouse, *more):
    together = ["run", "-n", "3", "--hostfile", "hosts", "--serve", "off", "--set", "cluster.secret=file:secret", "--set",
                f"cluster.peer_timeout={PEER_TIMEOUT}s", "--set", f"state_dir={warehouse}.state"]
    reads = ["shop/events.jsonl", "--catalog", "shop/Movies.txt", "--warehouse", warehouse, *more]
    return [start(name, process, *together, "-p", str(process), *(reads if process == 0 else [])) for process in range(3)]


def committed(warehouse):
    try:
        with sqlite3.connect(f"file:{folder}/{warehouse}?mode=rw", uri=True, timeout=10) as rows:
            row = rows.execute("SELECT epoch FROM _progress").fetchone()
    except sqlite3.OperationalError:
        return 0
    return row[0] if row else 0


def program(*arguments):
    done = subprocess.run([PROGRAM, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-2000:]}")


def differing(warehouse):
    with sqlite3.connect(os.path.join(folder, warehouse)) as rows:
        rows.execute("ATTACH ? AS alone", [os.path.join(folder, "alone.db")])
        tables = rows.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name <> 'quality'"
        ).fetchall()
        count = 0
        for (table,) in tables:
            columns = [row[1] for row in rows.execute(f"PRAGMA main.table_info({table})")]
            names = ", ".join(f'"{column}"' for column in columns if column not in OF_THE_RUN)
            for one, other in (("main", "alone"), ("alone", "main")):
                query = f"SELECT COUNT(*) FROM (SELECT {names} FROM {one}.{table} EXCEPT SELECT {names} FROM {other}.{table})"
                count += rows.execute(query).fetchone()[0]
    return count, len(tables)


def case(name, cut, mend, gone):
    """Cuts one off while all compute; `gone` are those that may be named by the others."""
    warehouse = f"{name}.db"
    group = begin(name, warehouse, "--follow")
    until = time.monotonic() + 60
    while committed(warehouse) == 0:
        if time.monotonic() > until or any(child.poll() is not None for child in group):
            raise Failed(f"{name}: nothing was committed: {[said(name, process)[-600:] for process in range(3)]}")
        time.sleep(0.05)
    cut(group)
    began = time.monotonic()
    ended = {}
    while len(ended) < 3 and time.monotonic() - began < PEER_TIMEOUT + LEFT:
        for process, child in enumerate(group):
            if process not in ended and child.poll() is not None:
                ended[process] = (child.returncode, time.monotonic() - began)
        if name == "stopped" and len(ended) == 2:
            break
        time.sleep(0.02)
    mend(group)
    for process, child in enumerate(group):
        try:
            child.wait(PEER_TIMEOUT + LEFT)
        except subprocess.TimeoutExpired:
            raise Failed(f"{name}: process {process} has not ended: {said(name, process)[-1000:]}")
        if child.returncode != 1:
            raise Failed(f"{name}: process {process} ended with {child.returncode}: {said(name, process)[-1000:]}")
        last = said(name, process)
        if not any(f"process {one} " in last and "is gone" in last for one in gone):
            raise Failed(f"{name}: process {process} does not say who is gone: {last[-1000:]}")
    took = max(seconds for _, seconds in ended.values())
    again = begin(f"{name}-again", warehouse)
    for process, child in enumerate(again):
        if child.wait(120) != 0:
            raise Failed(f"{name}, again: process {process} ended with {child.returncode}: {said(f'{name}-again', process)[-1000:]}")
    differ, tables = differing(warehouse)
    print(f"{name}: the others ended after {took:.1f} s; {tables} tables, differing rows {differ}", flush=True)
    if differ:
        raise Failed(f"{name}: not as if nothing had happened")


def main():
    no_networks()
    networks()
    try:
        with open(os.path.join(folder, "hosts"), "w") as hosts:
            hosts.writelines(f"{NETWORK}.{10 + process}:2101\n" for process in range(3))
        with open(os.path.join(folder, "secret"), "w") as secret:
            secret.write("what all three of them know\n")
        program("simulate", "--out", "shop", "--events", "3000", "--items", "50")
        program("run", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--warehouse", "alone.db", "--serve", "off")
        pulled = lambda how: lambda _: ip("link", "set", f"{TAG}v1", how)
        case("cable", pulled("down"), pulled("up"), gone=(0, 1, 2))
        lost = lambda how: lambda _: [
            ip("-n", space(one), "route", how, "blackhole", f"{NETWORK}.{10 + other}/32") for one, other in ((1, 2), (2, 1))
        ]
        case("route", lost("add"), lost("del"), gone=(1, 2))
        # `ip netns exec` becomes the program: it is the same process.
        tell = lambda number: lambda group: os.kill(group[2].pid, number)
        case("stopped", tell(signal.SIGSTOP), tell(signal.SIGCONT), gone=(0, 2))
    finally:
        no_networks()


hold(main, folder, children)
