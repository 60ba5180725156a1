"""What scripts/bench-page connections runs: see there."""

import asyncio
import collections
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
CONNECTIONS, RATE = int(os.environ.get("CONNECTIONS", 10_000)), int(os.environ.get("RATE", 5_000))
SECONDS, ASK_EVERY_S = int(os.environ.get("SECONDS", 15)), 0.05
# What the run may be slower by, and how much memory it may take more, while they are there.
RATE_SHARE_MIN, MORE_MB_MAX = 0.95, 60
SAID = [
    b"",
    b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/status HTTP/1.1\r\nHo",
]
folder = tempfile.mkdtemp(prefix="deltamart-connections-")
# The program is given the usual number of file handles, this one more than it opens.
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard != resource.RLIM_INFINITY and hard < CONNECTIONS + 100:
    sys.exit(f"so many connections need more file handles than {hard}: ulimit -Hn")


def usual_limit():
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))


def resident_mb(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


async def asked(port, path):
    """Status and body of an answer, and how long it took."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    said = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return int(said.split(b" ")[1]), said.split(b"\r\n\r\n", 1)[1].decode(), time.monotonic() - began


async def records(port):
    """How many records were read; the metrics are not answered when all connections are in use, so this is asked before and after."""
    _, text, _ = await asked(port, "/metrics")
    return float(re.search(r"^deltamart_records_total (\S+)$", text, re.M).group(1)), time.monotonic()


async def rate(port, span):
    (before, began), _ = await records(port), await asyncio.sleep(span)
    after, ended = await records(port)
    return (after - before) / (ended - began)


async def health(port, told):
    while not told["ends"]:
        try:
            status, _, took = await asked(port, "/healthz")
            told[status] += 1
            told["slowest"] = max(told["slowest"], took)
        except (OSError, IndexError, TimeoutError) as error:
            told[f"failed: {type(error).__name__}"] += 1
        await asyncio.sleep(ASK_EVERY_S)


async def client(port, number, became, ends):
    """One that holds its connection for as long as it can."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SAID[number % len(SAID)])
        first = await reader.read(4096)
        became[{b"200": "answered", b"503": "told that all are in use", b"408": "timed out"}.get(first[9:12], "closed")] += 1
        if first[9:12] == b"200":
            while await reader.read(1 << 16) and not ends.is_set():
                pass
        writer.close()
    except OSError:
        became["closed"] += 1


async def measured(run, port):
    await asyncio.sleep(5)
    alone, mb_alone = await rate(port, SECONDS), resident_mb(run)
    told, became, ends = collections.Counter({"ends": 0, "slowest": 0.0}), collections.Counter(), asyncio.Event()
    asking = asyncio.create_task(health(port, told))
    (before, began) = await records(port)
    clients = [asyncio.create_task(client(port, n, became, ends)) for n in range(CONNECTIONS)]
    await asyncio.sleep(SECONDS)
    mb = resident_mb(run)
    ends.set()
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    # A new client is served at once: the first answer that is not 503.
    left = time.monotonic()
    while (await asked(port, "/api/v1/status"))[0] != 200:
        pass
    served_s = time.monotonic() - left
    after, ended = await records(port)
    told["ends"] = 1
    await asking
    crowded, slowest = (after - before) / (ended - began), told.pop("slowest")
    del told["ends"]
    print(f"alone: {alone:,.0f} records/s, {mb_alone:.0f} MB")
    print(f"with {CONNECTIONS:,} connections: {crowded:,.0f} records/s, {mb:.0f} MB; of them {dict(became)}")
    print(f"/healthz: {dict(told)}, slowest {slowest * 1000:.0f} ms; after them a client is served within {served_s * 1000:.0f} ms")
    is_well = set(told) == {200} and crowded >= RATE_SHARE_MIN * alone and mb - mb_alone <= MORE_MB_MAX
    return 0 if is_well and sum(became.values()) > 0 else 1


resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CONNECTIONS + 1000) if hard != resource.RLIM_INFINITY else CONNECTIONS + 1000, hard))
events = RATE * (3 * SECONDS + 60)
command = [PROGRAM, "run", "--events", str(events), "--rate", str(RATE), "--serve", "127.0.0.1:0"]
run = subprocess.Popen(
    command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=usual_limit
)
port = int(re.search(r"http://[\d.]+:(\d+)", run.stderr.readline()).group(1))
threading.Thread(target=run.stderr.read, daemon=True).start()
try:
    code = asyncio.run(measured(run, port))
finally:
    run.terminate()
    ended = run.wait(60)
sys.exit(code or ended)
