"""Where things are, as the environment of Airflow's workers says, and the assets that DAGs wait for."""

from __future__ import annotations

import json
import os
import pathlib

from airflow.sdk import Asset

# The folder in which deltamart works: its settings (`deltamart.toml`), warehouses, `catalog/` and `history/`.
HOME = pathlib.Path(os.environ.get("DELTAMART_HOME", pathlib.Path.home() / "deltamart"))
# The program. The wheel puts it on the path.
PROGRAM = os.environ.get("DELTAMART", "deltamart")
# dbt has dependencies that Airflow's do not go with, so it has an environment of its own. May be several words.
DBT = os.environ.get("DELTAMART_DBT", "dbt")
DBT_PROJECT = os.environ.get("DELTAMART_DBT_PROJECT", str(HOME / "dbt"))

CATALOG = Asset(name="deltamart_catalog", uri="deltamart://catalog")
STORE = Asset(name="deltamart_store", uri="deltamart://store")


def line_of_json(output: str) -> dict:
    """What a command with `--json` printed last, for XCom; nothing if that is something else.

    Airflow hands over the last line of everything that was printed.
    """
    try:
        line = json.loads(output)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}
