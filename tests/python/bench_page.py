"""What scripts/bench-page runs: see there."""

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
EVENTS, ROUNDS = int(os.environ.get("EVENTS", 1_000_000)), int(os.environ.get("ROUNDS", 3))
RATE = int(os.environ.get("RATE", 0))
STATUS, DELTAS, STALLED = 100, 5, 5
MORE_CPU_MAX = 1.05
folder = tempfile.mkdtemp(prefix="deltamart-bench-page-")


# What a page of the movie shop asks for after a commit, at most so often.
ASK_EVERY_S = 0.5
ASKED = [
    "user_registration_metrics?window_type=tumbling&by=timestamp&order=desc&limit=24",
    "user_registration_metrics?window_type=sliding&by=timestamp&order=desc&limit=96",
    "session_metrics?by=timestamp&order=desc&limit=360",
    "movie_sales_metrics?window_type=daily&group=timestamp&sum=total_sales",
    "movie_sales_metrics?window_type=daily&by=units_sold&order=desc&limit=10",
    "user_segments?group=segment&by=rows&order=desc",
]


class Looking:
    """Pages, and readers of streams, all on one thread."""

    def __init__(self, host, port):
        self.sockets, self.bytes, self.answers, self.ends = [], 0, 0, False
        requests = [f"GET /api/v1/tables/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in ASKED]
        self.requests = "".join(requests).encode()
        paths = ["/api/v1/live"] * STATUS + ["/api/v1/deltas"] * DELTAS + ["/api/v1/live"] * STALLED
        for path in paths:
            reader = socket.create_connection((host, port))
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            reader.setblocking(False)
            self.sockets.append(reader)
        # Of each page a second connection, on which it asks for rows.
        self.asking = [socket.create_connection((host, port)) for _ in range(STATUS)]
        for page in self.asking:
            page.setblocking(False)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        asked = [0.0] * STATUS
        while not self.ends:
            for number, reader in enumerate(self.sockets[: STATUS + DELTAS] + self.asking):
                try:
                    said = reader.recv(1 << 20)
                    self.bytes += len(said)
                    self.answers += said.count(b"HTTP/1.1 200") if number >= STATUS + DELTAS else 0
                    if number < STATUS and said and time.monotonic() - asked[number] > ASK_EVERY_S:
                        asked[number] = time.monotonic()
                        self.asking[number].sendall(self.requests)
                except BlockingIOError:
                    pass
                except OSError:
                    return
            time.sleep(0.02)

    def end(self):
        self.ends = True
        self.thread.join()
        for reader in self.sockets + self.asking:
            reader.close()


def once(is_seen, number):
    what = ["--events", str(EVENTS), "--rate", str(RATE)] if RATE else ["shop/events.jsonl", "--catalog", "shop/Movies.txt"]
    warehouse = os.path.join(folder, f"{number}.db")
    command = [PROGRAM, "run", *what, "--warehouse", warehouse, "--serve", "127.0.0.1:0"]
    began = time.monotonic()
    run = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    host, port = re.search(r"http://([\d.]+):(\d+)", run.stderr.readline()).groups()
    drain = threading.Thread(target=run.stderr.read)
    drain.start()
    looking = Looking(host, int(port)) if is_seen else None
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = status
    took = time.monotonic() - began
    drain.join()
    if looking:
        looking.end()
    if status != 0:
        sys.exit(f"{command}: ended with {status}")
    cpu, megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    read = f", {looking.bytes / 1e6:.1f} MB and {looking.answers:,} answers with rows were read" if looking else ""
    print(f"{'seen by 110' if is_seen else 'seen by none'}: {cpu:.2f} CPU-s, {took:.2f} s, {megabytes:.0f} MB{read}", flush=True)
    return cpu, took


if not RATE:
    make = [PROGRAM, "simulate", "--out", "shop", "--items", "500", "--events", str(EVENTS)]
    subprocess.run(make, cwd=folder, check=True, stdout=subprocess.DEVNULL)
alone, seen = [], []
for n in range(ROUNDS):
    alone.append(once(False, 2 * n))
    seen.append(once(True, 2 * n + 1))
(cpu, wall), (more_cpu, more_wall) = [[statistics.median(column) for column in zip(*all)] for all in (alone, seen)]
print(f"medians: {cpu:.2f} and {more_cpu:.2f} CPU-s ({more_cpu / cpu - 1:+.1%}), {wall:.2f} and {more_wall:.2f} s")
# At a given rate there is time to be looked at.
sys.exit(not RATE and more_cpu > cpu * MORE_CPU_MAX)
