"""dbt over a feed that two processes write: its models and tests, unchanged; and its tables are those of one process that was
given the same.

    dbt_several_check.py        (DELTAMART: the program)
"""

import pathlib
import shutil
import socket
import subprocess
import tempfile

import dbt_check
import duckdb
from dbt_check import DELTAMART, PATIENCE_S, PLACES, Pipeline, Project, say

FEED_ALONE = ["--model", "model", "--warehouse", "none"]
PARTS = (0.7, 1)


class Several(Pipeline):
    """A run of two processes whose only sink is the feed."""

    group = ()

    def start(self):
        self.log = open(self.folder / "run.log", "a", encoding="utf-8")
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        hosts = "".join(f"127.0.0.1:{one.getsockname()[1]}\n" for one in sockets)
        (self.folder / "hosts.txt").write_text(hosts)
        for one in sockets:
            one.close()
        command = [DELTAMART, "run", "-n", "2", "--hostfile", "hosts.txt", *FEED_ALONE, *PLACES, "--set", "idle_timeout=1s"]
        reads = [[*self.READ], []]
        self.group = [
            subprocess.Popen([*command, "-p", str(process), *read], cwd=self.folder, stdout=self.log, stderr=self.log)
            for process, read in enumerate(reads)
        ]
        self.process = self.group[0]
        views = subprocess.run([DELTAMART, "schema", "--for", "duckdb", *FEED_ALONE, *PLACES], cwd=self.folder, capture_output=True, text=True, check=True)
        self.views = views.stdout

    def progress(self):
        try:
            with duckdb.connect() as connection:
                connection.execute(f"SET file_search_path = '{self.folder}'")
                connection.execute(self.views)
                judged, = connection.execute("SELECT sum(accepted + rejected) FROM deltamart.quality WHERE topic <> 'Movies.txt'").fetchone()
                epoch, = connection.execute("SELECT epoch FROM deltamart._progress").fetchone()
            return judged, epoch, epoch
        except duckdb.Error:
            return None

    def end(self):
        super().end()
        codes = [process.wait(PATIENCE_S) for process in self.group]
        assert codes == [0, 0], f"{codes}: {(self.folder / 'run.log').read_text()}"


def main(folder):
    dbt_check.simulated(folder)
    one, two = folder / "one", folder / "two"
    for place in (one, two):
        place.mkdir()
        shutil.copytree(folder / "all", place / "all")
        shutil.copytree(folder / "model", place / "model")
    single, several = Pipeline(one), Several(two)
    project = None
    try:
        several.start()
        single.start()
        for part in PARTS:
            for pipeline in (several, single):
                pipeline.grow(part)
            for pipeline in (several, single):
                pipeline.until_quiet()
            project = project or Project(folder / "dbt", two / "feed")
            project.dbt("build")
            # That says by the clock when it was rejected.
            dbt_check.equal(project, one, without=["rejected_events"])
            say(f"with {part:.0%} of the events, dbt's models and tests over a feed of two processes have the rows of one process")
        assert list((two / "feed").glob("*/deltas/*/*-p001-*.parquet")), "process 1 wrote nothing"
        several.end()
        single.end()
    finally:
        for process in filter(None, (*several.group, single.process)):
            process.kill()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(pathlib.Path(place))
