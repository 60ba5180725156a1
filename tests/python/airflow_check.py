"""The DAGs in `airflow/dags`, played by `airflow dags test` against the program: they import, and what becomes of a catalog
that is good and of one that is broken. The long form (`long`): also of one that is dropped again, has two names, is still
written to, or comes together with another; of other broken files; of a replay that is killed; of a failing dbt.

Needs DELTAMART (the program); run by `scripts/airflow-check`, which prepares AIRFLOW_HOME. With DELTAMART_BROKERS and
DELTAMART_REGISTRY the long form also goes through Kafka. Exit code 1, and why, if anything is not as it should be.
"""

import concurrent.futures
import gzip
import itertools
import json
import os
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from held import Failed, called, expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.path.abspath(os.environ["DELTAMART"])
PREPARED = pathlib.Path(os.environ["AIRFLOW_HOME"])
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="deltamart-airflow-"))
DAGS = ["deltamart_catalog", "deltamart_dbt", "deltamart_replay"]
# Between two pieces of a file that grows, and how long it must stand still: far apart, for a machine that is busy.
PIECE_S, SETTLE_S = 0.3, 5
IS_LONG = sys.argv[1:] == ["long"]
numbers = itertools.count(1)


def deltamart(*arguments):
    return called(PROGRAM, FOLDER, *arguments)


class Airflow:
    """A folder for deltamart and a database of Airflow, which nobody else writes to."""

    def __init__(self, name, home=None):
        self.name, self.home = name, home or FOLDER / name
        self.airflow = FOLDER / f"{name}-airflow"
        shutil.copytree(PREPARED, self.airflow)
        for folder in ("catalog", "history"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self.env = {**os.environ, "AIRFLOW_HOME": str(self.airflow), "DELTAMART_HOME": str(self.home)}
        # The database that was prepared is named by the folder it was made in.
        self.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{self.airflow}/airflow.db"
        self.env["AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"] = "True"
        self.env["AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY"] = "1"

    def start(self, dag, env=None, **params):
        self.log = FOLDER / f"{self.name}-{next(numbers)}.log"
        command = [str(ROOT / "scripts/airflow"), "dags", "test", dag, "-c", json.dumps(params)]
        with open(self.log, "wb") as log:
            return subprocess.Popen(command, env={**self.env, **(env or {})}, stdout=log, stderr=log, cwd=FOLDER)

    def ended(self, run, expected):
        code = run.wait(timeout=400)
        if code != expected:
            raise Failed(f"`airflow dags test` ended with {code}, not {expected}; the end of {self.log}:\n{self.said()[-3000:]}")

    def test(self, dag, expected=0, env=None, **params):
        self.ended(self.start(dag, env, **params), expected)

    def catalog(self, expected=0, **params):
        self.test("deltamart_catalog", expected, **{"settle_s": 0, **params})

    def said(self):
        return self.log.read_text(errors="replace")

    def drop(self, name, content):
        """Under a name that nobody takes, and then under its own."""
        part = self.home / "catalog" / f"{name}.part"
        part.write_bytes(content)
        part.rename(part.with_suffix(""))

    def in_folder(self, folder):
        """The names in a folder, without the time before them and without the reports."""
        found = (self.home / "catalog" / folder).glob("*.*")
        return sorted(path.name.split("-", 1)[-1] for path in found if not path.name.endswith(".json"))

    def reports(self, folder):
        return [json.loads(path.read_text()) for path in sorted((self.home / "catalog" / folder).glob("*.json"))]

    def rows(self, warehouse="catalog.db", tables=("movies_catalog", "catalog_events")):
        """Every column of every row, so also which commit wrote it."""
        file = sqlite3.connect(f"file:{self.home / warehouse}?mode=ro", uri=True)
        return {table: sorted(file.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}

    def asset_events(self):
        return sqlite3.connect(self.airflow / "airflow.db").execute("SELECT COUNT(*) FROM asset_event").fetchone()[0]

    def nothing_is_left(self):
        left = [str(path) for path in (self.home / "catalog").rglob("*") if "done" not in path.parts and "rejected" not in path.parts]
        expect("what is left in the folder", [path for path in left if pathlib.Path(path).is_file()], [])


def catalog_of(items, seed):
    out = FOLDER / f"made-{items}-{seed}"
    deltamart("simulate", "--out", str(out), "--items", str(items), "--events", "10", "--seed", str(seed))
    return (out / "Movies.txt").read_bytes()


def items_of(rows):
    return len(rows["movies_catalog"])


def items_in(content):
    """Some blocks of a catalog are broken, and some stand twice."""
    number = next(numbers)
    (FOLDER / f"{number}.txt").write_bytes(content)
    deltamart("catalog", f"{number}.txt", "--warehouse", f"{number}.db")
    return sqlite3.connect(FOLDER / f"{number}.db").execute("SELECT COUNT(*) FROM movies_catalog").fetchone()[0]


def the_dags_import():
    """Without errors, each with what a reader looks for, and without work at import."""
    lane = Airflow("import")
    script = f"""
import json, sys
sys.path.insert(0, {str(ROOT / 'airflow/dags')!r})
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({str(ROOT / 'airflow/dags')!r})
assert not bag.import_errors, bag.import_errors
for dag in bag.dags.values():
    assert dag.doc_md and dag.tags and not dag.catchup and dag.max_active_runs == 1, dag.dag_id
outlets = {{dag.dag_id: sorted(out.uri for task in dag.tasks for out in task.outlets) for dag in bag.dags.values()}}
print(json.dumps([sorted(bag.dags), outlets]))
"""
    python = subprocess.run([str(ROOT / "scripts/venv"), "airflow/constraints.txt"], capture_output=True, text=True, check=True)
    done = subprocess.run([python.stdout.strip(), "-c", script], env=lane.env, capture_output=True, text=True, timeout=200)
    expect(f"exit code of the import ({done.stderr[-2000:]})", done.returncode, 0)
    dags, outlets = json.loads(done.stdout.splitlines()[-1])
    expect("the DAGs", dags, DAGS)
    expect("what they say was changed", outlets, {
        "deltamart_catalog": ["deltamart://catalog/"], "deltamart_dbt": [], "deltamart_replay": ["deltamart://store/"]})


def a_good_file_is_taken_in():
    """Tried, loaded, archived with what was said; the asset has changed."""
    lane, good = Airflow("good"), catalog_of(300, 7)
    lane.drop("Movies.txt", good)
    lane.catalog()
    expect("items", items_of(lane.rows()), items_in(good))
    expect("taken in", lane.in_folder("done"), ["Movies.txt"])
    expect("what the reports say", [(one["trial"]["exit_code"], one["load"]["news"]) for one in lane.reports("done")], [(0, True)])
    expect("events of the asset", lane.asset_events(), 1)
    lane.nothing_is_left()
    return lane


def a_file_counts_once():
    """The same again; the same under another name, packed; and one that grows."""
    lane, good = a_good_file_is_taken_in(), catalog_of(300, 7)
    first = lane.rows()
    for name, content in [("Movies.txt", good), ("again.txt.gz", gzip.compress(good))]:
        lane.drop(name, content)
        lane.catalog()
        expect(f"rows after {name}", lane.rows() == first, True)
    expect("taken in", lane.in_folder("done"), ["Movies.txt", "Movies.txt", "again.txt.gz"])
    expect("events of the asset when nothing was new", lane.asset_events(), 1)
    grown(lane)
    expect("events of the asset", lane.asset_events(), 2)
    lane.nothing_is_left()


def grown(lane):
    """Somebody writes the file, slowly, under its own name: it is taken when it stands still, whole."""
    content = catalog_of(400, 8)
    path, step = lane.home / "catalog" / "grows.txt", len(content) // 200
    path.write_bytes(content[:step])
    run, at, left = lane.start("deltamart_catalog", settle_s=SETTLE_S), step, 20
    while left:
        # Some more pieces when it is looked at; the machine may be slow in coming to that.
        left -= "starting task_id=claim" in lane.said()
        with open(path, "ab") as file:
            file.write(content[at : at + step])
        at = min(at + step, len(content) - 1)
        if run.poll() is not None:
            raise Failed(f"a file was taken while it grew, or never; see {lane.log}")
        time.sleep(PIECE_S)
    with open(path, "ab") as file:
        file.write(content[at:])
    lane.ended(run, 0)
    expect("items of the file that grew", items_of(lane.rows()), items_in(content))


def a_broken_file_fails_the_run():
    """And is found in the rejected folder, with the reason; the catalog of before stays."""
    lane = Airflow("broken")
    catalog_of(300, 7)
    page = b"<!DOCTYPE html>\n<html><body>404</body></html>\n"
    broken = [("page.txt", page, 2)]
    if IS_LONG:
        broken += [("empty.txt", b"", 3), ("cut.txt.gz", gzip.compress(catalog_of(300, 7))[:-500], 1), ("items.txt", b"ITEM x\n", 3)]
    deltamart("catalog", "made-300-7/Movies.txt", "--warehouse", str(lane.home / "catalog.db"))
    before = lane.rows()
    for n, (name, content, code) in enumerate(broken):
        lane.drop(name, content)
        lane.catalog(expected=1)
        expect("set aside", sorted(lane.in_folder("rejected")), sorted(name for name, _, _ in broken[: n + 1]))
        (told,) = [one["trial"] for one in lane.reports("rejected") if name in one["trial"]["error"]]
        expect(f"exit code in the report of {name}", told["exit_code"], code)
        expect("the log has the reason", told["error"].splitlines()[0] in lane.said() and "was refused" in lane.said(), True)
        expect("rows", lane.rows() == before, True)
        expect("events of the asset", lane.asset_events(), 0)
        lane.nothing_is_left()


def a_run_without_a_file_says_so():
    """What fails before a file was taken, such as a server of Airflow that is away, leaves nothing to set aside."""
    sys.path.insert(0, str(ROOT / "airflow/dags"))
    from deltamart_dags import drop_folder

    expect("what is said", drop_folder.set_aside(None), "no file was taken: see the task that failed")


def what_is_not_the_fault_of_a_file_leaves_it_waiting():
    lane = Airflow("settings")
    lane.drop("good.txt", catalog_of(50, 9))
    (lane.home / "deltamart.toml").write_text("latenes = 1\n")
    lane.catalog(expected=1)
    expect("set aside", lane.in_folder("rejected"), [])
    expect("it waits again", lane.in_folder("."), ["good.txt"])


def two_at_once_take_two_files():
    lanes = [Airflow("first"), None]
    lanes[1] = Airflow("second", home=lanes[0].home)
    catalogs = {f"of-{items}.txt": catalog_of(items, 3) for items in (30, 40)}
    for name, content in catalogs.items():
        lanes[0].drop(name, content)
    runs = [lane.start("deltamart_catalog", settle_s=0) for lane in lanes]
    for lane, run in zip(lanes, runs):
        lane.ended(run, 0)
    expect("taken in", lanes[0].in_folder("done"), ["of-30.txt", "of-40.txt"])
    # The one that came last, whole.
    expect("items are those of one file", items_of(lanes[0].rows()) in map(items_in, catalogs.values()), True)
    lanes[0].nothing_is_left()


KILLED_ONCE = """#!/usr/bin/env bash
# Kills the first replay in its middle.
if [ "$1" != replay ] || [ -e "{home}/killed" ]; then exec "{program}" "$@"; fi
"{program}" "$@" --speed 20000x --set commit_interval=100ms &
for _ in $(seq 600); do
    rows=$("{python}" -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT COUNT(*) FROM store_events").fetchone()[0])' "{home}/store-2019-10.db" 2>/dev/null || echo 0)
    if [ "$rows" -gt 0 ]; then break; fi
    sleep 0.1
done
kill -9 $!
echo "$rows" >"{home}/killed"
exit 137
"""


def a_replay_that_is_killed_doubles_no_row():
    lane = Airflow("replay")
    deltamart("simulate", "--model", "store", "--out", str(FOLDER / "store"), "--events", "20000", "--format", "csv",
              "--start", "2019-10-01", "--set", "simulate.malformed_permille=0")
    made = FOLDER / "store" / "store_events.csv"
    for name in ("2019-Oct.csv", "2019-Nov.csv"):
        shutil.copy(made, lane.home / "history" / name)
    wrapper = lane.home / "killed-once"
    wrapper.write_text(KILLED_ONCE.format(home=lane.home, program=PROGRAM, python=sys.executable))
    wrapper.chmod(0o755)
    # It is tried again by Airflow, and goes on where it was.
    lane.test("deltamart_replay", env={"DELTAMART": str(wrapper)}, per_day=1000)
    killed_at = int((lane.home / "killed").read_text())
    deltamart("replay", f"store_events={made}", "--model", "store", "--per-day", "1000", "--warehouse", "whole.db", "--serve", "off")
    compared = ("store_events", "daily_revenue", "daily_funnel", "product_sales")

    def plain(file):
        rows = {}
        for table in compared:
            found = sqlite3.connect(f"file:{file}?mode=ro", uri=True).execute(f"SELECT * FROM {table}")
            names = [column[0] for column in found.description]
            skip = {names.index(name) for name in ("_epoch", "_updated_at") if name in names}
            rows[table] = sorted(repr([value for n, value in enumerate(row) if n not in skip]) for row in found)
        return rows

    whole = plain(FOLDER / "whole.db")
    expect("it was killed in its middle", 0 < killed_at < len(whole["store_events"]), True)
    expect("rows are those of a replay that was not killed", plain(lane.home / "store-2019-10.db") == whole, True)
    expect("it is marked", (lane.home / "history/done/2019-10.json").exists(), True)
    before = lane.rows("store-2019-10.db", compared)
    lane.test("deltamart_replay", month="2019-10", per_day=1000)
    expect("rows after the month was told again", lane.rows("store-2019-10.db", compared) == before, True)
    expect("the next month was not told", (lane.home / "store-2019-11.db").exists(), False)


def dbt_is_called_and_its_failure_is_one():
    lane = Airflow("dbt")
    project = lane.home / "dbt"
    project.mkdir()
    stub = lane.home / "stub"
    stub.write_text('#!/usr/bin/env bash\necho "$PWD $*" >>"$DELTAMART_HOME/called"\nexit 1\n')
    stub.chmod(0o755)
    env = {"DELTAMART_DBT": str(stub), "DELTAMART_DBT_PROJECT": str(project)}
    lane.test("deltamart_dbt", expected=1, env=env, select="store_revenue", full_refresh=True)
    called = (lane.home / "called").read_text().splitlines()
    expect("what was called", called, [f"{project} build --select store_revenue --full-refresh"])


def through_kafka_it_is_waited_for():
    """What the run has committed when the DAG ends is the whole catalog."""
    lane = Airflow("kafka")
    brokers, registry = os.environ["DELTAMART_BROKERS"], os.environ["DELTAMART_REGISTRY"]
    prefix = f"airflow-{os.getpid()}-{int(time.time())}"
    events = ["movies_catalog_enriched", "consumer_registration", "sign_in", "sign_out", "item_view", "added_to_cart",
              "checkout_to_cart", "purchase", "item_rating"]
    topics = "".join(f'{event} = "{prefix}-{event}"\n' for event in events)
    (lane.home / "deltamart.toml").write_text(f'[kafka]\nbrokers = "{brokers}"\n[registry]\nurl = "{registry}"\n[kafka.topics]\n{topics}')
    # Each item once: of one that stands twice with different content, the first one is news when it is sent again.
    content = "".join(f"ITEM {n}\nTitle=T {n}\nListPrice=$1.00\n\n" for n in range(1, 301)).encode()
    lane.drop("Movies.txt", content)
    # A run refuses to begin where none of its topics is; a catalog makes them.
    (FOLDER / "before.txt").write_bytes(catalog_of(10, 1))
    deltamart("catalog", "before.txt", "--config", str(lane.home / "deltamart.toml"))
    live = subprocess.Popen([PROGRAM, "run", "--warehouse", "live.db", "--serve", "off"], cwd=lane.home,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        lane.catalog(brokers=brokers, registry=registry, live="live.db")
        expect("items in the warehouse of the run", items_of(lane.rows("live.db")) >= items_in(content), True)
        expect("events of the asset", lane.asset_events(), 1)
        # Its items are sent again, and change no row.
        before = lane.rows("live.db", ("movies_catalog",))
        lane.drop("again.txt", content)
        lane.catalog(brokers=brokers, registry=registry, live="live.db")
        expect("rows after the same catalog", lane.rows("live.db", ("movies_catalog",)) == before, True)
        lane.nothing_is_left()
    finally:
        live.terminate()
        live.wait(timeout=60)


def main():
    catalog_of(300, 7)
    # Two at a time: as many as there are cores in the smallest machine this is run on.
    lanes = [[a_good_file_is_taken_in, a_run_without_a_file_says_so], [a_broken_file_fails_the_run, the_dags_import]]
    if IS_LONG:
        lanes = [
            [a_file_counts_once, what_is_not_the_fault_of_a_file_leaves_it_waiting, two_at_once_take_two_files],
            [a_broken_file_fails_the_run, a_replay_that_is_killed_doubles_no_row, dbt_is_called_and_its_failure_is_one, the_dags_import],
        ]
        if "DELTAMART_BROKERS" in os.environ:
            lanes[0].append(through_kafka_it_is_waited_for)
    started = time.monotonic()

    def play(lane):
        for case in lane:
            case()
            print(f"airflow-check: {case.__name__.replace('_', ' ')} ({time.monotonic() - started:.0f} s)", flush=True)

    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        for done in concurrent.futures.as_completed([pool.submit(play, lane) for lane in lanes]):
            done.result()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"airflow-check: {sum(map(len, lanes))} cases, {time.monotonic() - started:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU-s")


try:
    main()
except (Failed, subprocess.TimeoutExpired) as why:
    print(f"== {why}\n== what was made is kept in {FOLDER}", file=sys.stderr)
    sys.exit(1)
shutil.rmtree(FOLDER)
