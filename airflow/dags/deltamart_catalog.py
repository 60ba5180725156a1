"""A catalog that is dropped into a folder: tried, taken in, waited for, archived; a broken one is set aside, visibly."""

from __future__ import annotations

import pendulum
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import Param, PokeReturnValue, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from deltamart_dags import drop_folder
from deltamart_dags.commands import command
from deltamart_dags.places import CATALOG, HOME

DROPPED = HOME / "catalog"
FILE = "{{ ti.xcom_pull(task_ids='claim') }}"

# In a folder without settings, into a warehouse that is thrown away: a trial reaches no sink.
TRY = """
unset "${!DELTAMART__@}"
work=$(dirname "$(dirname "$FILE")")
mkdir -p "$work/trial" && cd "$work/trial" || exit 1
"$DELTAMART" catalog "$FILE" --warehouse trial.db --max-rejected "$MAX_REJECTED" --json >../trial.json
code=$?
rm -rf "$work/trial"
cat "$work/trial.json"
exit $code
"""

# Raw rows say which file they are of. All catalogs have one name there, so that a copy under another one changes nothing.
# Code 99 marks the task as skipped: nothing was new, so nobody has to be told.
LOAD = """
work=$(dirname "$(dirname "$FILE")")
ln -sf "$FILE" "$work/Movies.txt"
to=(--warehouse "$WAREHOUSE")
if [ -n "$BROKERS" ]; then to=(--brokers "$BROKERS"); fi
if [ -n "$REGISTRY" ]; then to+=(--registry "$REGISTRY"); fi
"$DELTAMART" catalog "$work/Movies.txt" "${to[@]}" --nothing-new-code 99 --json >"$work/load.json"
code=$?
cat "$work/load.json"
exit $code
"""

# What went to Kafka is committed when the run that reads it has come behind it.
WAIT = """
if [ -z "$WAIT_FOR" ]; then echo "the command has committed it itself"; exit 0; fi
exec "$DELTAMART" status --warehouse "$LIVE" --wait-for "$WAIT_FOR" --timeout 600
"""


@dag(
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Catalogs replace each other, so they are taken in one after the other.
    max_active_runs=1,
    tags=["deltamart"],
    doc_md=__doc__,
    params={
        "warehouse": Param("catalog.db", type="string", description="Where the catalog goes, without brokers"),
        "brokers": Param("", type="string", description="Kafka's brokers: the catalog goes to its topic"),
        "registry": Param("", type="string", description="The schema registry's URL"),
        "live": Param("deltamart.db", type="string", description="The warehouse of the run that reads from Kafka"),
        "max_rejected": Param("1%", type="string", description="More rejected items than this make a broken file"),
        "settle_s": Param(5, type="number", minimum=0, description="A file is whole when it has not changed for so long"),
    },
)
def deltamart_catalog():
    # `operators.default_deferrable` says whether it waits in the triggerer; else it is called again and again.
    wait_for_file = FileSensor(
        task_id="wait_for_file",
        filepath=str(DROPPED / "*.*"),
        poke_interval=5,
        timeout=55 * 60,
        mode="reschedule",
        soft_fail=True,
        retries=2,
    )

    @task.sensor(poke_interval=1, timeout=15 * 60, soft_fail=True, retries=2)
    def claim() -> PokeReturnValue:
        """The only task that takes files."""
        context = get_current_context()
        file = drop_folder.claim(DROPPED, context["run_id"], context["params"]["settle_s"])
        return PokeReturnValue(is_done=file is not None, xcom_value=file)

    file_of_run = {"FILE": FILE}
    validate = command("validate", TRY, {**file_of_run, "MAX_REJECTED": "{{ params.max_rejected }}"})
    to = {name.upper(): "{{ params.%s }}" % name for name in ("warehouse", "brokers", "registry")}
    load = command("load", LOAD, {**file_of_run, **to}, retries=2)
    wait_for = "{{ (ti.xcom_pull(task_ids='load') or {}).get('wait_for', '') }}"
    committed = command("committed", WAIT, {"LIVE": "{{ params.live }}", "WAIT_FOR": wait_for}, outlets=[CATALOG])

    @task(trigger_rule="none_failed")
    def archive(file: str) -> str:
        return drop_folder.archive(file)

    @task(trigger_rule="one_failed")
    def set_aside(file: str | None) -> None:
        raise AirflowFailException(drop_folder.set_aside(file))

    file = claim()
    wait_for_file >> file >> validate >> load >> committed
    committed >> archive(file)
    [validate, load, committed] >> set_aside(file)


deltamart_catalog()
