"""A `run` with its page, what the page says as data, and how both are compared."""
import json
import os
import re
import signal
import socket
import subprocess
import time

from browser import PATIENCE_S

DELTAMART = os.environ["DELTAMART"]


def say(what):
    print(f"== {what}", flush=True)


def deltamart(*arguments, folder):
    return subprocess.run([DELTAMART, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Run:
    """A `run` that follows a file, with its page; what it prints goes to a log."""

    def __init__(self, folder, events, port, *more):
        self.folder, self.port, self.address = folder, port, f"http://127.0.0.1:{port}/"
        self.warehouse = folder / "page.db"
        self.log = open(folder / "run.log", "a", encoding="utf-8")
        self.process = subprocess.Popen(
            [DELTAMART, "run", str(events), "--follow", "--warehouse", "page.db", "--serve", f"127.0.0.1:{port}", *more],
            cwd=folder, stdout=self.log, stderr=self.log)

    def until_quiet(self):
        """The epoch of the last commit, when no other one follows it for a while."""
        known, since = None, time.monotonic()
        for _ in range(PATIENCE_S * 10):
            assert self.process.poll() is None, (self.folder / "run.log").read_text()
            try:
                epoch = self.rows("SELECT epoch FROM _progress")[0]["epoch"]
            except (subprocess.CalledProcessError, IndexError):
                epoch = None
            if epoch != known:
                known, since = epoch, time.monotonic()
            elif epoch and time.monotonic() - since > 2:
                return epoch
            time.sleep(0.1)
        raise AssertionError("the run does not come to rest")

    def rows(self, sql):
        said = deltamart("sql", sql, "--warehouse", "page.db", "--format", "json", folder=self.folder)
        return [json.loads(line) for line in said.splitlines()]

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)
        self.log.close()


# What is on the page, as text: the table behind a plot, the rows of a ranking, the tiles.
READ = """
const text = (element) => element?.textContent.trim() ?? null;
const panels = {};
for (const panel of document.querySelectorAll("main .panel")) {
  panels[text(panel.querySelector("h2"))] = {
    epoch: Number(panel.dataset.epoch),
    none: panel.querySelector(".none").hidden ? null : text(panel.querySelector(".none")),
    rows: [...panel.querySelectorAll("figure table tbody tr")].map((row) => [...row.children].map(text)),
    ranking: [...panel.querySelectorAll(".ranking li")].map((row) => [".label", ".said", ".more"].map((of) => text(row.querySelector(of)))),
    sentences: [...panel.querySelectorAll(".sentences > li")].map((row) => [".what", ".sentence", ".more"].map((of) => text(row.querySelector(of)))),
  };
}
const part = (of) => Object.fromEntries([...document.querySelectorAll("main .tile")].map((tile) => [text(tile.querySelector("dt")), text(tile.querySelector(of))]));
return { epoch: Number(document.querySelector(".view").dataset.epoch), panels, tiles: part(".value"), notes: part(".sub"), warnings: part(".warn") };
"""


def page_at(browser, epoch):
    """What the page shows once it has asked at an epoch or a later one."""
    browser.wait("return Number(document.querySelector('.view')?.dataset.epoch ?? -1) >= arguments[0]", epoch, what=f"epoch {epoch}")
    return browser.run(READ)


def number(said):
    """The number in a text such as "1,234.50 so far"."""
    return float(re.sub(r"[^0-9.]", "", said))


def same(what, shown, stored):
    assert shown == stored, f"{what}: the page says {shown}, the warehouse {stored}"
