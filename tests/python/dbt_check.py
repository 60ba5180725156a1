"""dbt beside a pipeline: its tables are the pipeline's, row for row, at first, after corrections, after somebody was forgotten,
and after it was killed; and what is planted to be wrong is found.

    dbt_check.py        (DELTAMART: the program)
"""

import datetime
import decimal
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import dbt_lineage
import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
DELTAMART = os.environ["DELTAMART"]
PATIENCE_S = 120
UNKNOWN = 999_999
TABLES = 36
WAREHOUSE = ["--model", "model", "--warehouse", "live.db"]
PLACES = ["--set", "feed.path=feed", "--set", "feed.commit_interval=0s", "--set", "feed.merge_runs=2", "--set", "state_dir=state"]


def say(what):
    spent = sum(os.times()[:4])
    print(f"== {what} ({spent:.0f} CPU-s)", flush=True)


def deltamart(*arguments, folder):
    done = subprocess.run([DELTAMART, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"


class Project:
    """A copy of the project with a database of its own, over a feed."""

    def __init__(self, folder, feed, of=None):
        self.folder, self.feed = folder, feed
        if of is None:
            ignored = shutil.ignore_patterns("target", "logs", "dbt_packages", "*.duckdb", "package-lock.yml")
            shutil.copytree(ROOT / "dbt", folder, ignore=ignored)
            self.dbt("deps")
        else:
            shutil.copytree(of.folder, folder, symlinks=True)
            # dbt links to where the package was.
            package = folder / "project/dbt_packages/dbt_deltamart"
            package.unlink()
            package.symlink_to(folder, target_is_directory=True)
        self.database = folder / "project" / "shop.duckdb"

    def started(self, *arguments):
        environment = dict(os.environ, DELTAMART_FEED=str(self.feed), DBT_PROFILES_DIR=".", DBT_SEND_ANONYMOUS_USAGE_STATS="false",
                           DBT_USE_COLORS="false", DBT_VERSION_CHECK="false")
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
        return subprocess.Popen(command, cwd=self.folder / "project", env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def dbt(self, *arguments, fails_with=None):
        process = self.started(*arguments)
        said, _ = process.communicate()
        if fails_with is None:
            assert process.returncode == 0, said
        else:
            assert process.returncode != 0, f"dbt {arguments} did not notice\n{said}"
            assert fails_with in said, f"`{fails_with}` is not said:\n{said}"
        return said

    def results(self):
        return json.loads((self.folder / "project/target/run_results.json").read_text())["results"]

    def warned(self, name):
        return sum(result["failures"] or 0 for result in self.results() if name in result["unique_id"] and result["status"] == "warn")

    def rows(self, sql):
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def tables(self):
        """The models that follow a source, with all they hold."""
        manifest = json.loads((self.folder / "project/target/manifest.json").read_text())
        names = [node["name"] for node in manifest["nodes"].values()
                 if node["resource_type"] == "model" and node["package_name"] == "dbt_deltamart"]
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return {name: read(connection, name) for name in names}

    def files_read(self):
        """The files of deltas that the last build opened."""
        compiled = self.folder / "project/target/compiled/dbt_deltamart/models"
        texts = [path.read_text() for path in compiled.rglob("*.sql")]
        return [part for text in texts for part in text.split("'") if part.endswith(".parquet") and not part.endswith("_schema.parquet")]


def read(connection, name, schema="marts"):
    found = connection.execute(f'SELECT * FROM {schema}."{name}"')
    columns = [column[0] for column in found.description]
    return rows_of(columns, found.fetchall())


def plain(value):
    match value:
        case datetime.datetime():
            return value.isoformat(timespec="milliseconds") + "Z"
        case decimal.Decimal() | float():
            return round(float(value), 4)
        case bool():
            return int(value)
    return value


def rows_of(columns, rows):
    """Rows as they compare, without what each sink says of its own commits."""
    kept = [at for at, column in enumerate(columns) if column not in ("_epoch", "_updated_at")]
    of_reals = lambda value: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return sorted((tuple(of_reals(plain(row[at])) for at in kept) for row in rows), key=repr)


def of_the_pipeline(folder, names):
    with sqlite3.connect(f"file:{folder / 'live.db'}?mode=ro", uri=True) as warehouse:
        tables = {}
        for name in names:
            found = warehouse.execute(f'SELECT * FROM "{name}"')
            tables[name] = rows_of([column[0] for column in found.description], found.fetchall())
        return tables


def equal(project, folder, without=()):
    """The tables of dbt are those of the pipeline; but for some, where another pipeline wrote their feed."""
    mine = project.tables()
    theirs = of_the_pipeline(folder, mine)
    for name in without:
        assert len(mine[name]) == len(theirs[name]) > 0
        mine[name] = theirs[name]
    wrong = {name: (len(mine[name]), len(theirs[name])) for name in mine if mine[name] != theirs[name]}
    assert not wrong, f"rows that differ from the pipeline's: {wrong}"
    few = {name for name in ("users", "active_sessions", "movie_sale_lines", "store_events", "customer_events", "product_sales") if len(mine[name]) < 20}
    assert len(mine) == TABLES and not few, f"{len(mine)} tables, and next to nothing in {few}"
    with sqlite3.connect(f"file:{folder / 'live.db'}?mode=ro", uri=True) as warehouse:
        by_minute = dict(warehouse.execute("SELECT replace(substr(timestamp, 1, 13), 'T', ' '), sum(active_sessions_count) FROM session_metrics_by_minute GROUP BY 1"))
    trend = project.rows("SELECT strftime(hour, '%Y-%m-%d %H'), average_active_sessions, minutes FROM marts.session_trend ORDER BY 1")
    assert len(trend) > 24
    # The view goes on to the watermark, and begins with the first session.
    for hour, average, minutes in trend[:-1]:
        assert abs(by_minute[hour] - float(average) * minutes) < 0.05, f"{hour}: {by_minute[hour]} is not {average} times {minutes}"


def plain_views(folder):
    """The views of `schema --for duckdb` have the rows of the pipeline, also for somebody who only opens the file."""
    said = subprocess.run([DELTAMART, "schema", "--for", "duckdb", *WAREHOUSE, *PLACES], cwd=folder, capture_output=True, text=True, check=True)
    with duckdb.connect(str(folder / "views.duckdb")) as connection:
        connection.execute(said.stdout)
    with duckdb.connect(str(folder / "views.duckdb"), read_only=True) as connection:
        names = [name for name, in connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'deltamart'").fetchall()
                 if not name.startswith("_") and not name.endswith("_deltas")]
        mine = {name: read(connection, name, "deltamart") for name in names}
    theirs = of_the_pipeline(folder, names)
    wrong = [name for name in names if mine[name] != theirs[name]]
    assert len(names) > 40 and not wrong, f"views that differ from the pipeline's tables: {wrong}, of {names}"


class Pipeline:
    """A `run` that reads what is dropped into a folder: of each family a file at a time."""

    process = None
    READ = ["--catalog", "all/Movies.txt", "--as-of", "2026-01-01", "--watch", "drop", "--set", "watch.settle=0s"]

    def __init__(self, folder):
        self.folder, self.part, self.dropped = folder, 0, 0
        self.lines = {path.stem: path.read_text().splitlines(keepends=True) for path in sorted((folder / "all").glob("*events.jsonl"))}
        assert len(self.lines) == 3
        (folder / "drop").mkdir()

    def drop(self, name, lines):
        unfinished = self.folder / "drop" / f"{name}-{self.dropped}.jsonl.part"
        unfinished.write_text("".join(lines), encoding="utf-8")
        unfinished.rename(unfinished.with_suffix(""))
        self.dropped += len(lines)

    def grow(self, part):
        for name, lines in self.lines.items():
            self.drop(name, lines[int(len(lines) * self.part):int(len(lines) * part)])
        self.part = part

    def start(self):
        self.log = open(self.folder / "run.log", "a", encoding="utf-8")
        read = [*self.READ, "--set", "idle_timeout=1s"]
        self.process = subprocess.Popen([DELTAMART, "run", *read, *WAREHOUSE, *PLACES], cwd=self.folder, stdout=self.log, stderr=self.log)

    def until_quiet(self):
        """Until every line was judged, and both the warehouse and the feed have what came of it."""
        known, since = None, time.monotonic()
        for _ in range(PATIENCE_S * 10):
            assert self.process.poll() is None, (self.folder / "run.log").read_text()
            now = self.progress()
            if now is None or now != known:
                known, since = now, time.monotonic()
            elif time.monotonic() - since > 2 and now[0] == self.dropped and now[1] == now[2]:
                return
            time.sleep(0.1)
        raise AssertionError(f"the run does not come to rest: {known}, and {self.dropped} lines were dropped")

    def progress(self):
        """How many lines were judged; the epochs of the warehouse and of the feed."""
        try:
            with sqlite3.connect(f"file:{self.folder / 'live.db'}?mode=ro", uri=True) as warehouse:
                judged, = warehouse.execute("SELECT sum(accepted + rejected) FROM quality WHERE topic <> 'Movies.txt'").fetchone()
                epoch, = warehouse.execute("SELECT epoch FROM _progress").fetchone()
            newest = max((self.folder / "feed/_progress").glob("*.json"))
            return judged, epoch, json.loads(newest.read_text())["epoch"]
        except (sqlite3.Error, ValueError, TypeError, OSError):
            return None

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)
        self.log.close()


def simulated(folder, shop=12_000, others=3_000):
    (folder / "model").mkdir()
    for name in ("store", "media"):
        shutil.copytree(ROOT / "model" / name, folder / "model", dirs_exist_ok=True)
    deltamart("simulate", "--out", "all", "--events", str(shop), "--days", "3", "--seed", "7", folder=folder)
    for name in ("store", "media"):
        deltamart("simulate", "--model", name, "--out", "all", "--events", str(others), "--days", "3", "--seed", "7", folder=folder)


def planted(folder, before, epoch):
    """What is wrong, each in a copy of the state in which a commit with corrections waits to be read."""
    def copied(name):
        feed = folder / f"feed-{name}"
        shutil.copytree(folder / "feed", feed)
        return Project(folder / f"dbt-{name}", feed, of=before)

    def strategy(project, old, new):
        path = project.folder / "macros/strategy.sql"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def manifest(project, change):
        newest = max((project.feed / "_progress").glob("*.json"))
        said = json.loads(newest.read_text())
        change(said)
        newest.write_text(json.dumps(said))

    lost = copied("lost")
    said = json.loads(max((lost.feed / "_progress").glob("*.json")).read_text())
    listed = {file["path"] for runs in said["tables"].values() for run in runs for file in run["files"]}
    merged = {}
    for path in sorted(lost.feed.glob("*/deltas/*/*-*.parquet")):
        if int(path.name.split("-")[0]) > epoch and str(path.relative_to(lost.feed)) not in listed:
            merged.setdefault(path.relative_to(lost.feed).parts[0], []).append(path)
    table = max(merged, key=lambda table: sum(path.stat().st_size for path in merged[table]))
    merged = merged[table]
    # The source does not need them any more: only who follows the deltas does.
    for path in merged:
        path.unlink()
    lost.dbt("build", "--select", table, fails_with=f"same_rows_{table}")
    say("deltas that are lost are found")

    ignored = copied("ignored")
    strategy(ignored, "delete from {{ target }} as t using {{ temp }} as s where", "delete from {{ target }} as t using {{ temp }} as s where s._epoch >= 0 and")
    ignored.dbt("build", "--select", "active_sessions", fails_with="same_rows_active_sessions")
    say("a delete that is ignored is found")

    twice = copied("twice")
    strategy(twice, "delete from {{ target }} as t using {{ temp }} as s where", "delete from {{ target }} as t using {{ temp }} as s where false and")
    twice.dbt("build", "--select", "user_activity", fails_with="unique_user_activity_user_id")
    say("a commit that is read twice is found")

    other = copied("other")
    manifest(other, lambda said: said.update(pipeline_id="another"))
    other.dbt("build", "--select", "users", fails_with="Run `dbt build --full-refresh --select users+`")
    other.dbt("build", "--full-refresh", "--select", "users")
    say("another pipeline is found, and --full-refresh takes it over")

    aged = copied("aged")
    manifest(aged, lambda said: said.update(begin_anew_before={"users": said["epoch"]}))
    aged.dbt("build", "--select", "users", fails_with="are not there any more")
    say("deltas that have aged out are found")

    killed = copied("killed")
    process, done = killed.started("build"), 0
    for line in process.stdout:
        done += "OK created sql incremental model" in line
        if done == 8:
            process.kill()
    process.wait()
    assert 8 <= done < TABLES, f"{done} models were there before it was killed"
    killed.dbt("build")
    equal(killed, folder)
    say("killed between two models and run again, it is equal")


def main(folder):
    simulated(folder)
    pipeline = Pipeline(folder)
    pipeline.grow(0.7)
    pipeline.start()
    pipeline.until_quiet()
    project = Project(folder / "dbt", folder / "feed")
    project.dbt("build")
    equal(project, folder)
    say("the first build has the pipeline's rows")

    before, (_, _, epoch) = project.tables(), pipeline.progress()
    project.dbt("build")
    assert project.files_read() == [] and project.tables() == before
    say("the second reads nothing and changes nothing")
    kept = Project(folder / "dbt-kept", folder / "feed", of=project)

    for part in (0.8, 0.9, 1):
        pipeline.grow(part)
        pipeline.until_quiet()
    project.dbt("build")
    equal(project, folder)
    epochs = {int(path.rsplit("/", 1)[1].split("-")[0]) for path in project.files_read()}
    assert epochs and min(epochs) > epoch, f"files up to {epoch} were read already: {epochs}"
    say("after corrections it has the pipeline's rows, of new files alone")
    unknown = project.warned("relationships_stg_sign_ins")
    project.dbt("source", "freshness")
    project.dbt("docs", "generate", "--static")
    assert (folder / "dbt/project/target/static_index.html").stat().st_size > 1_000_000
    picture = dbt_lineage.drawn(json.loads((folder / "dbt/project/target/manifest.json").read_text()))
    if os.environ.get("UPDATE_DOCS"):
        (ROOT / "docs/dbt-lineage.svg").write_text(picture)
    assert picture == (ROOT / "docs/dbt-lineage.svg").read_text(), "docs/dbt-lineage.svg is not of these models: UPDATE_DOCS=1 scripts/dbt-check"

    stranger = {"event_name": "sign_in", "user_id": UNKNOWN, "timestamp": "2026-01-06T12:00:00Z"}
    pipeline.drop("stranger", [json.dumps(stranger) + "\n"])
    pipeline.until_quiet()
    project.dbt("build", "--select", "consumer_events", "late_events", "users", "stg_sign_ins")
    warned = project.warned("relationships_stg_sign_ins")
    assert warned == unknown + 1, f"{warned} users whom nobody knows are warned of, and {unknown} were before one came"
    say("a user whom nobody knows is warned of")

    plain_views(folder)
    say("so have the views of DuckDB")

    pipeline.end()
    planted(folder, kept, epoch)

    # One of each family: who bought something, a customer with a visit, a viewer.
    people = [project.rows(f"SELECT min({column}) FROM marts.{table} WHERE {column} > 0")[0][0]
              for table, column in [("movie_sale_lines", "user_id"), ("visits", "customer_id"), ("stg_media_plays", "user_id")]]
    for person in people:
        deltamart("forget", str(person), *WAREHOUSE, *PLACES, folder=folder)
    project.dbt("build")
    equal(project, folder)
    named = project.rows("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'marts' AND column_name IN ('user_id', 'customer_id')")
    assert len(named) > 20
    for table, column in named:
        found = project.rows(f'SELECT count(*) FROM marts."{table}" WHERE {column} IN ({", ".join(map(str, people))})')
        assert found == [(0,)], f"`{table}` still has somebody who was forgotten"
    say("who was forgotten has left dbt's tables too")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(pathlib.Path(place))
    say("dbt says what the pipeline says")
