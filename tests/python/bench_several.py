"""What scripts/bench-several runs: see there."""

import os
import subprocess
import sys
import tempfile
import time

from held import Failed, called, hold

PROGRAM, EVENTS, INTO, MORE = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
SPACE = f"bench{os.getpid() % 10000}"
KINDS = [
    "movies_catalog_enriched", "consumer_registration", "sign_in", "sign_out", "item_view", "added_to_cart", "checkout_to_cart",
    "purchase", "item_rating",
]

folder = tempfile.mkdtemp(prefix="deltamart-bench-several-")
children = []


def within(*words):
    if INTO == "kafka":
        return list(words)
    return ["ip", "netns", "exec", SPACE, *words]


def sent():
    """Bytes that went over the network so far."""
    told = subprocess.run(within("cat", "/proc/net/dev"), capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in told.splitlines() if line.strip().startswith("lo:")]
    return int(line.split(":")[1].split()[0])


def busy():
    """CPU time of the whole machine so far, in seconds: of users and the kernel."""
    with open("/proc/stat") as file:
        user, nice, system = [int(ticks) for ticks in file.readline().split()[1:4]]
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def written(processes, process):
    """What a process is told of where rows go."""
    if INTO != "sqlite":
        return ["--warehouse", "none", "--set", f"feed.path=feed{processes}"]
    return ["--warehouse", f"{processes}.db"] if process == 0 else []


def fill():
    """Sends the events to topics of four partitions, so that two processes read as much each."""
    brokers, registry = os.environ["DELTAMART_BROKERS"], os.environ["DELTAMART_REGISTRY"]
    with open(os.path.join(folder, "deltamart.toml"), "w") as file:
        file.write(f'[kafka]\nbrokers = "{brokers}"\npartitions = 4\n[registry]\nurl = "{registry}"\n[kafka.topics]\n')
        file.writelines(f'{kind} = "{SPACE}-{kind}"\n' for kind in KINDS)
    called(PROGRAM, folder, "simulate", "--out", "shop", "--events", "1")
    called(PROGRAM, folder, "simulate", "--brokers", brokers, "--catalog", "shop/Movies.txt", "--events", str(EVENTS))


def measured(processes):
    """Runs so many processes; tells the events a second."""
    together = ["run", "-w", "1", "--serve", "off", *MORE]
    reads = ["shop/events.jsonl", "--catalog", "shop/Movies.txt"]
    if INTO == "kafka":
        together, reads = [*together, "--to-end"], []
    before, began, group, used_by = (sent(), busy()), time.monotonic(), [], []
    for process in range(processes):
        several = ["-n", str(processes), "-p", str(process)] if processes > 1 else []
        said = open(os.path.join(folder, f"{processes}-{process}.txt"), "w")
        # As if each had a host of one core.
        pinned = [] if INTO == "sqlite" else ["taskset", "-c", str(process % os.cpu_count())]
        words = within(*pinned, PROGRAM, *together, *several, *(reads if process == 0 else []), *written(processes, process))
        group.append(subprocess.Popen(words, cwd=folder, stdout=said, stderr=subprocess.STDOUT))
        said.close()
    children.extend(group)
    for child in group:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise Failed(f"a process of {processes} ended with {child.returncode}; what it said is in {folder}")
        used_by.append(used.ru_utime + used.ru_stime)
    took, others = time.monotonic() - began, busy() - before[1] - sum(used_by)
    # What the broker sends goes over the same network.
    between = "" if INTO == "kafka" else f"{(sent() - before[0]) / EVENTS:.0f}"
    print(
        f"| {processes} | {EVENTS / took:,.0f} | {1e6 * sum(used_by) / EVENTS:.2f} | {1e6 * max(used_by) / EVENTS:.2f} "
        f"| {others / took:.2f} | {between} |",
        flush=True,
    )
    return EVENTS / took


def main():
    if INTO != "kafka":
        subprocess.run(["ip", "netns", "add", SPACE], check=True)
    try:
        if INTO == "kafka":
            fill()
        else:
            subprocess.run(within("ip", "link", "set", "lo", "up"), check=True)
            called(PROGRAM, folder, "simulate", "--out", "shop", "--events", str(EVENTS))
        where = {"sqlite": "a file into SQLite", "feed": "a file into a feed", "kafka": "Kafka into a feed"}[INTO]
        print(f"{EVENTS:,} events from {where}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
        print("| processes of one worker | events/s | CPU-us an event | of it the busiest process | cores that others use "
              "| bytes an event between them |")
        print("|---|---|---|---|---|---|")
        if INTO != "sqlite":
            one, two = measured(1), measured(2)
            print(f"\nTwo processes make {two / one:.2f} times what one makes; 1.7 is the aim where two cores are free.")
            return
        for processes in (1, 2, 4):
            measured(processes)
    finally:
        if INTO != "kafka":
            subprocess.run(["ip", "netns", "del", SPACE], check=True)


hold(main, folder, children)
