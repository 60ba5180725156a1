"""What settings cost in requests a day: `scripts/bucket-test --requests`. A simulated shop, counted at a proxy."""

import os
import subprocess
import sys
import tempfile
import time

from bucket_proxy import Proxy

PROGRAM, BUCKET = os.path.abspath(os.environ["DELTAMART"]), os.environ["DELTAMART_BUCKET"]
COUNTED_S, STARTING_S, DAY_S = 120, 20, 86_400
RATE = 100
# The feed lies in a folder or nowhere where only the state is counted, and the other way round.
WAYS = {
    "state, `journal_interval` as it is": lambda n: [f"state_dir={BUCKET}/{n}"],
    "state, `journal_interval=1s`": lambda n: [f"state_dir={BUCKET}/{n}", "journal_interval=1s"],
    "state, `journal_interval=10s`": lambda n: [f"state_dir={BUCKET}/{n}", "journal_interval=10s"],
    "state, 10 s, `snapshot_interval=30s`": lambda n: [f"state_dir={BUCKET}/{n}", "journal_interval=10s",
                                                      "snapshot_interval=30s"],
    "feed, `feed.commit_interval=10s`": lambda n: [f"feed.path={BUCKET}/{n}"],
    "feed, `feed.commit_interval=1m`": lambda n: [f"feed.path={BUCKET}/{n}", "feed.commit_interval=1m"],
}


def main():
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, sets) in enumerate(WAYS.items()):
            proxy = Proxy(os.environ["AWS_ENDPOINT"], 1)
            words = [word for one in [*sets(f"requests-{number}"), f"simulate.rate={RATE}"] for word in ("--set", one)]
            with open(f"{folder}/{number}.err", "w") as err:
                child = subprocess.Popen([PROGRAM, "run", "-w", "1", "--warehouse", f"{folder}/{number}.db", *words],
                                         stdout=err, stderr=err, env={**os.environ, "AWS_ENDPOINT": proxy.url})
            runs.append((name, number, proxy, child))
        try:
            time.sleep(STARTING_S)
            before = [dict(proxy.counts) for _, _, proxy, _ in runs]
            time.sleep(COUNTED_S)
            print(f"requests a day at {RATE} events a second, from {COUNTED_S} s:")
            for (name, number, proxy, child), then in zip(runs, before):
                if child.poll() is not None:
                    with open(f"{folder}/{number}.err") as err:
                        sys.exit(f"{name}: ended with {child.returncode}: {err.read()[-1500:]}")
                a_day = {kind: (proxy.counts[kind] - then.get(kind, 0)) * DAY_S // COUNTED_S
                         for kind in sorted(proxy.counts)}
                print(f"{name}: " + ", ".join(f"{kind} {count:,}" for kind, count in a_day.items()))
        finally:
            for _, _, _, child in runs:
                child.kill()
                child.wait()


main()
