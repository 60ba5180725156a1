"""What scripts/bench-several runs: see there."""

import os
import subprocess
import sys
import tempfile
import time

from held import Failed, called, hold

PROGRAM, EVENTS, INTO, MORE = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
SPACE = f"bench{os.getpid() % 10000}"

folder = tempfile.mkdtemp(prefix="deltamart-bench-several-")
children = []


def within(*words):
    return ["ip", "netns", "exec", SPACE, *words]


def sent():
    """Bytes that went over the network so far."""
    told = subprocess.run(within("cat", "/proc/net/dev"), capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in told.splitlines() if line.strip().startswith("lo:")]
    return int(line.split(":")[1].split()[0])


def written(processes, process):
    """What a process is told of where rows go."""
    if INTO == "feed":
        return ["--warehouse", "none", "--set", f"feed.path=feed{processes}"]
    return ["--warehouse", f"{processes}.db"] if process == 0 else []


def measured(processes):
    """Runs so many processes; tells the events a second."""
    together = ["run", "-w", "1", "--serve", "off", *MORE]
    reads = ["shop/events.jsonl", "--catalog", "shop/Movies.txt"]
    before, began, group, cpu = sent(), time.monotonic(), [], 0.0
    for process in range(processes):
        several = ["-n", str(processes), "-p", str(process)] if processes > 1 else []
        said = open(os.path.join(folder, f"{processes}-{process}.txt"), "w")
        words = within(PROGRAM, *together, *several, *(reads if process == 0 else []), *written(processes, process))
        group.append(subprocess.Popen(words, cwd=folder, stdout=said, stderr=subprocess.STDOUT))
        said.close()
    children.extend(group)
    for child in group:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise Failed(f"a process of {processes} ended with {child.returncode}; what it said is in {folder}")
        cpu += used.ru_utime + used.ru_stime
    took = time.monotonic() - began
    print(
        f"| {processes} | {EVENTS / took:,.0f} | {1e6 * cpu / EVENTS:.2f} | {(sent() - before) / EVENTS:.0f} |", flush=True
    )
    return EVENTS / took


def main():
    subprocess.run(["ip", "netns", "add", SPACE], check=True)
    try:
        subprocess.run(within("ip", "link", "set", "lo", "up"), check=True)
        called(PROGRAM, folder, "simulate", "--out", "shop", "--events", str(EVENTS))
        print(f"{EVENTS:,} events into {INTO}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
        print("| processes of one worker | events/s | CPU-us an event | bytes an event between them |\n|---|---|---|---|")
        if INTO == "feed":
            one, two = measured(1), measured(2)
            print(f"\nTwo processes make {two / one:.2f} times what one makes; 1.7 is the aim where two cores are free.")
            return
        for processes in (1, 2, 4):
            measured(processes)
    finally:
        subprocess.run(["ip", "netns", "del", SPACE], check=True)


hold(main, folder, children)
