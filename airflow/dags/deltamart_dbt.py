"""The marts, built anew whenever a catalog or a month of history was committed."""

from __future__ import annotations

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Param, dag

from deltamart_dags.places import CATALOG, DBT, DBT_PROJECT, STORE

# dbt ends with 1 if a model or a test failed, and the run fails with it.
BUILD = """
more=()
if [ -n "$TARGET" ]; then more+=(--target "$TARGET"); fi
if [ -n "$SELECT" ]; then more+=(--select "$SELECT"); fi
if [ "$FULL_REFRESH" = True ]; then more+=(--full-refresh); fi
exec $DBT build "${more[@]}"
"""


@dag(
    schedule=CATALOG | STORE,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Two builds at once would write the same tables.
    max_active_runs=1,
    tags=["deltamart", "dbt"],
    doc_md=__doc__,
    params={
        "target": Param("", type="string", description="A target of profiles.yml, if not its default"),
        "select": Param("", type="string", description="Which models, as dbt's --select takes it"),
        "full_refresh": Param(False, type="boolean", description="When the pipeline was rebuilt, or deltas have aged out"),
    },
)
def deltamart_dbt():
    env = {name.upper(): "{{ params.%s }}" % name for name in ("target", "select", "full_refresh")}
    BashOperator(task_id="build", bash_command=BUILD, env={"DBT": DBT, **env}, append_env=True, cwd=DBT_PROJECT)


deltamart_dbt()
