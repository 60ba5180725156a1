"""History, a month at a time: the first rows of each day, in the order of events, each once however often it is tried."""

from __future__ import annotations

import json
import pathlib
import re
import time

import pendulum
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from deltamart_dags.commands import command
from deltamart_dags.places import HOME, STORE

HISTORY = HOME / "history"
MONTH = "{{ ti.xcom_pull(task_ids='choose')['month'] }}"
FILE = "{{ ti.xcom_pull(task_ids='choose')['file'] }}"

# Without brokers a month is told into a warehouse of its own: one that was told may not be followed by another there.
REPLAY = """
to=(--warehouse "store-$MONTH.db" --serve off)
if [ -n "$BROKERS" ]; then to=(--brokers "$BROKERS" --set kafka.format=json); fi
exec "$DELTAMART" replay "store_events=$FILE" --model store --per-day "$PER_DAY" "${to[@]}" --json
"""

WAIT = """
warehouse="store-$MONTH.db"
if [ -n "$BROKERS" ]; then warehouse=$LIVE; fi
exec "$DELTAMART" status --model store --warehouse "$warehouse" --wait-for "$WAIT_FOR" --timeout 600
"""


def month_of(name: str) -> str | None:
    """The month in the name of a file, `2019-10` of `2019-Oct.csv.gz` and of `2019-10.csv`."""
    found = re.match(r"(\d{4}-(?:\d{2}|[A-Z][a-z]{2}))\.(?:csv|jsonl)(?:\.gz)?$", name)
    if not found:
        return None
    for written in ("%Y-%m", "%Y-%b"):
        try:
            return time.strftime("%Y-%m", time.strptime(found[1], written))
        except ValueError:
            continue
    return None


def months(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files of a folder by their months, the earliest first."""
    found = {month_of(path.name): path for path in folder.glob("*.*")}
    return {month: found[month] for month in sorted(month for month in found if month)}


@dag(
    schedule="0 */3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # A month is told after the one before.
    max_active_runs=1,
    tags=["deltamart"],
    doc_md=__doc__,
    params={
        "month": Param("", type="string", pattern=r"^(\d{4}-\d{2})?$", description="2019-10; empty is the next one"),
        "per_day": Param(10_000, type="integer", minimum=1, description="So many rows of each day, UTC, the first ones"),
        "brokers": Param("", type="string", description="Kafka's brokers: the rows go to the topic of the store"),
        "live": Param("store.db", type="string", description="The warehouse of the run that reads from Kafka"),
    },
)
def deltamart_replay():
    @task(retries=2)
    def choose() -> dict[str, str]:
        """The month that is asked for, else the first one without a mark in `history/done`."""
        wanted = get_current_context()["params"]["month"]
        there = months(HISTORY)
        if wanted and wanted not in there:
            raise AirflowFailException(f"{HISTORY} has no file of {wanted}; there are {', '.join(there) or 'none'}")
        left = [month for month in there if not (HISTORY / "done" / f"{month}.json").exists()]
        if not wanted and not left:
            raise AirflowSkipException(f"every month in {HISTORY} was told")
        month = wanted or left[0]
        return {"month": month, "file": str(there[month])}

    month = {"MONTH": MONTH, "BROKERS": "{{ params.brokers }}"}
    # A replay that is called again goes on where it was: a retry doubles no row.
    replay = command("replay", REPLAY, {**month, "FILE": FILE, "PER_DAY": "{{ params.per_day }}"}, retries=2)
    said = "ti.xcom_pull(task_ids='replay')"
    wait_for = "{{ %s.get('wait_for') or %s['epoch'] }}" % (said, said)
    waits = {**month, "LIVE": "{{ params.live }}", "WAIT_FOR": wait_for}
    committed = command("committed", WAIT, waits, outlets=[STORE])

    @task
    def mark(chosen: dict[str, str], told: dict) -> None:
        """So that the next run takes the next month."""
        (HISTORY / "done").mkdir(exist_ok=True)
        (HISTORY / "done" / f"{chosen['month']}.json").write_text(json.dumps(told, indent=2) + "\n")

    chosen = choose()
    chosen >> replay >> committed >> mark(chosen, replay.output)


deltamart_replay()
