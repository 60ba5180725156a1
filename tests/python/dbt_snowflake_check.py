"""The same models of dbt in Snowflake, or what stands in for it: built twice, with a MERGE that deletes too, they have the
pipeline's rows.

    dbt_snowflake_check.py      (DELTAMART: the program; DELTAMART_SNOWFLAKE: host:port)
"""

import json
import os
import pathlib
import tempfile

import dbt_check
import snowflake.connector
from dbt_check import Pipeline, Project, deltamart, of_the_pipeline, rows_of, say, simulated

HOST, PORT = os.environ["DELTAMART_SNOWFLAKE"].split(":")
SETTINGS = f"""
[snowflake]
account = "myorg-prod"
user = "loader"
private_key = "file:key.p8"
database = "DELTAMART"
url = "http://{HOST}:{PORT}"
commit_interval = "500ms"
"""
WAREHOUSE = ["--config", "snowflake.toml", "--set", "state_dir=state", *dbt_check.WAREHOUSE]


class Of(Project):
    """The project, at work in Snowflake."""

    def started(self, *arguments):
        os.environ.update(SNOWFLAKE_HOST=HOST, SNOWFLAKE_PORT=PORT, SNOWFLAKE_PROTOCOL="http", SNOWFLAKE_ACCOUNT="a", SNOWFLAKE_USER="u",
                          SNOWFLAKE_PASSWORD="p")
        return super().started(*arguments)


def connected():
    session = {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}
    return snowflake.connector.connect(user="u", password="p", account="a", host=HOST, port=int(PORT), protocol="http", session_parameters=session)


def tables(project):
    manifest = json.loads((project.folder / "project/target/manifest.json").read_text())
    names = [node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["package_name"] == "dbt_deltamart"]
    rows = {}
    with connected() as connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"SELECT * FROM ANALYTICS.MARTS.{name}")
            columns = [column[0].lower() for column in cursor.description]
            rows[name] = rows_of(columns, [[bytes(value) if isinstance(value, bytearray) else value for value in row] for row in cursor.fetchall()])
    return rows


def equal(project, folder):
    mine = tables(project)
    theirs = of_the_pipeline(folder, mine)
    wrong = {name: (len(mine[name]), len(theirs[name])) for name in mine if mine[name] != theirs[name]}
    assert len(mine) == dbt_check.TABLES and not wrong, f"rows that differ from the pipeline's: {wrong}"
    return mine


def main(folder):
    simulated(folder, shop=3_000, others=600)
    (folder / "snowflake.toml").write_text(SETTINGS)
    with connected() as connection, connection.cursor() as cursor:
        for statement in ["CREATE DATABASE IF NOT EXISTS DELTAMART", "CREATE DATABASE IF NOT EXISTS ANALYTICS", "CREATE SCHEMA IF NOT EXISTS ANALYTICS.MARTS"]:
            cursor.execute(statement)
    deltamart("snowflake-key", "--out", "key.p8", "--config", "snowflake.toml", folder=folder)
    pipeline = Pipeline(folder)
    read = ["run", "--catalog", "all/Movies.txt", "--as-of", "2026-01-01", "--watch", "drop", "--to-end", "--set", "watch.settle=0s", *WAREHOUSE]
    pipeline.grow(0.7)
    deltamart(*read, folder=folder)
    project = Of(folder / "dbt", folder / "none")
    project.dbt("build", "--target", "snowflake")
    before = equal(project, folder)
    say("in Snowflake the first build has the pipeline's rows")

    pipeline.grow(1)
    deltamart(*read, folder=folder)
    user = before["movie_sale_lines"][0][3]
    deltamart("forget", str(int(user)), *WAREHOUSE, folder=folder)
    project.dbt("build", "--target", "snowflake")
    now = equal(project, folder)
    gone = set(before["active_sessions"]) - set(now["active_sessions"])
    assert gone and not any(row[0] == user for row in now["user_activity"]), "nothing was deleted"
    say("the second has the corrections, and who was forgotten has left")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(pathlib.Path(place))
