"""What scripts/sizes runs: see there."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
USERS = [int(users) for users in os.environ.get("USERS", "10000 100000 1000000").split()]
RATES = [int(rate) for rate in os.environ.get("RATES", "1000 5000 20000").split()]
SECONDS, RAW = int(os.environ.get("SECONDS_EACH", 30)), os.environ.get("RAW", "on")
WARM_UP_S, EVENTS_A_USER, DAY_S, HISTORY_DAYS = 5, 11, 86_400, 3
TOPICS = [
    "movies_catalog_enriched", "consumer_registration", "sign_in", "sign_out", "item_view", "added_to_cart",
    "checkout_to_cart", "purchase", "item_rating",
]
SHARES = """\
new_user_permille = 690.0
views_max = 6
add_permille = 390.0
checkout_permille = 260.0
sign_out_permille = 1000.0
"""


class Sized:
    """A pipeline whose state knows so many users, in a folder of its own."""

    def __init__(self, folder, users):
        self.folder, self.users, self.process = folder, users, None

    def begin(self):
        """The users register, and are read."""
        until = datetime.now(timezone.utc).replace(microsecond=0)
        self.write("history", users * EVENTS_A_USER, 0, until - timedelta(days=HISTORY_DAYS), HISTORY_DAYS)
        self.call("simulate", "--config", "history.toml", "--out", "shop")
        self.call("catalog", "shop/Movies.txt", "--config", "history.toml", "--brokers", os.environ["DELTAMART_BROKERS"])
        with open(folder / "run.log", "w") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "run", "--config", "history.toml", "--brokers", os.environ["DELTAMART_BROKERS"], "-w", "2", "--raw", RAW,
                 "--backfill", "shop/events.jsonl", "--until", until.isoformat(), "--serve", "off"],
                cwd=folder, stdout=log, stderr=log)
        with open(folder / "shop" / "events.jsonl", "rb") as lines:
            events = sum(1 for _ in lines)
        self.call("status", "--config", "history.toml", "--wait-for", f"events.jsonl/0={events}", "--timeout", "3600")

    def write(self, name, events, rate, start, days):
        topics = "".join(f'{topic} = "sizes-{os.getpid()}-{self.users}-{topic}"\n' for topic in TOPICS)
        (self.folder / f"{name}.toml").write_text(
            f'[simulate]\nevents = {events}\nrate = {rate}\ndays = {days}\nstart = "{start:%Y-%m-%dT%H:%M:%SZ}"\n{SHARES}\n'
            f'[kafka]\ngroup_id = "sizes-{os.getpid()}-{self.users}"\n\n[registry]\nurl = "{os.environ["DELTAMART_REGISTRY"]}"\n\n'
            f"[kafka.topics]\n{topics}")

    def call(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            log = self.folder / "run.log"
            sys.exit(f"== `deltamart {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-2000:]}"
                     + (f"\n== the run says: {log.read_text()[-2000:]}" if log.exists() else ""))

    def used(self):
        """CPU seconds, bytes of the warehouse, and when."""
        if self.process.poll() is not None:
            sys.exit(f"== the run ended with {self.process.returncode}: {(self.folder / 'run.log').read_text()[-2000:]}")
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), (self.folder / "deltamart.db").stat().st_size, time.monotonic()

    def at(self, rate):
        """Cores, MB of memory, GB of the warehouse a day, MB of the state's folder."""
        self.write(f"at-{rate}", rate * DAY_S, rate, datetime.now(timezone.utc), 1)
        with open(self.folder / "shop.log", "w") as log:
            shop = subprocess.Popen([PROGRAM, "simulate", "--config", f"at-{rate}.toml", "--brokers", os.environ["DELTAMART_BROKERS"],
                                     "--catalog", "shop/Movies.txt"],
                                    cwd=self.folder, stdout=log, stderr=log)
        try:
            time.sleep(WARM_UP_S)
            before = self.used()
            time.sleep(SECONDS)
            after = self.used()
            if shop.poll() is not None:
                sys.exit(f"== the simulated shop ended with {shop.returncode}: {(self.folder / 'shop.log').read_text()[-2000:]}")
        finally:
            shop.kill()
            shop.wait()
        cpu_s, grown, took_s = (now - then for now, then in zip(after, before))
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        resident_mb = int(status.split("VmRSS:")[1].split()[0]) / 1024
        state_mb = sum(file.stat().st_size for file in (self.folder / "deltamart.db.state").rglob("*") if file.is_file()) / 1e6
        # The next rate begins when this one's records are read.
        time.sleep(WARM_UP_S)
        return cpu_s / took_s, resident_mb, grown / took_s * DAY_S / 1e9, state_mb

    def end(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


print(f"{os.cpu_count()} cores, broker and registry on them; load {os.getloadavg()[0]:.1f} before; raw tables {RAW}\n")
print("| users known | events/s | cores | MB of memory | GB of disk a day | MB of state |\n|---|---|---|---|---|---|", flush=True)
for users in USERS:
    folder = Path(tempfile.mkdtemp(prefix="deltamart-sizes-"))
    sized = Sized(folder, users)
    try:
        sized.begin()
        for rate in RATES:
            cores, memory_mb, disk_gb, state_mb = sized.at(rate)
            print(f"| {users:,} | {rate:,} | {cores:.2f} | {memory_mb:,.0f} | {disk_gb:.1f} | {state_mb:,.0f} |", flush=True)
    finally:
        sized.end()
        shutil.rmtree(folder)
