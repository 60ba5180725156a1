"""Tasks that run the program."""

from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator

from deltamart_dags.places import HOME, PROGRAM, line_of_json


def command(task_id: str, bash_command: str, env: dict[str, str], **more) -> BashOperator:
    """A task that runs lines of bash where deltamart works, with these variables besides those that are there.

    What it hands on is the line of JSON that was printed last, if one was.
    """
    env = {"DELTAMART": PROGRAM, **env}
    return BashOperator(
        task_id=task_id,
        bash_command=bash_command,
        env=env,
        append_env=True,
        cwd=str(HOME),
        output_processor=line_of_json,
        **more,
    )
