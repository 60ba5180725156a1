"""deltamart for schedulers: where the program is, and what a command says that it did.

    import deltamart
    told = deltamart.run(["catalog", "Movies.txt", "--warehouse", "catalog.db"])
    told["news"]            # whether a row changed

What each command says, and the exit codes: `deltamart COMMAND --help`, and docs/operating.md of the project.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile

__all__ = ["Failed", "path", "run"]

# So many last lines of standard error are in the message of an error.
LAST_LINES = 20


class Failed(Exception):
    """A command ended with an exit code that is not 0, nor the one that was asked for if nothing is new.

    `exit_code` is the code: 1 may pass by itself, 2 was refused, 3 is too many rejected records, 4 a threshold of `status`.
    It is -N if signal N ended the command. `told` is its line of JSON, empty if it printed none.
    """

    def __init__(self, arguments: list[str], exit_code: int, told: dict, last_lines: str):
        self.exit_code, self.told = exit_code, told
        # All of it goes to Exception, so that a scheduler can pickle it.
        super().__init__(arguments, exit_code, told, last_lines)

    def __str__(self) -> str:
        arguments, exit_code, _, last_lines = self.args
        return f"`deltamart {' '.join(arguments)}` ended with exit code {exit_code}: {last_lines}"


def path() -> str:
    """The program: what `DELTAMART` names, what was installed with this module, or what is on the path.

    Raises FileNotFoundError if there is none.
    """
    name = "deltamart" + (sysconfig.get_config_var("EXE") or "")
    user = sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")) if sys.version_info >= (3, 10) else None
    folders = [sysconfig.get_path("scripts"), user]
    named = [os.environ.get("DELTAMART"), *(os.path.join(folder, name) for folder in folders if folder)]
    found = next((one for one in named if one and os.path.isfile(one)), None) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"there is no program `{name}` in {', '.join(filter(None, folders))}, nor on the path")
    return found


def run(arguments: list[str], cwd: str | None = None, env: dict[str, str] | None = None) -> dict:
    """Runs a command to its end, and returns its line of JSON (`--json` is added).

    The text for people goes to standard error, as it comes. `env` is added to the environment.
    Raises Failed if it fails. The code of `--nothing-new-code` is no failure.
    """
    arguments = [str(argument) for argument in arguments]
    command = [path(), *arguments] + ([] if "--json" in arguments else ["--json"])
    environment = {**os.environ, **(env or {})}
    lines: list[str] = []
    with tempfile.TemporaryFile() as printed:
        child = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=printed, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
        )
        try:
            for line in child.stderr:
                sys.stderr.write(line)
                lines = [*lines[1 - LAST_LINES :], line]
        except BaseException:
            # Ctrl-C, or a scheduler's timeout: the command commits what it has, and ends.
            child.terminate()
            raise
        finally:
            exit_code = child.wait()
            child.stderr.close()
        printed.seek(0)
        try:
            told = json.loads(printed.read())
        except ValueError:
            told = {}
    if exit_code != 0 and not (exit_code == _nothing_new_code(arguments) and told.get("news") is False and "error" not in told):
        raise Failed(arguments, exit_code, told, "".join(lines).strip())
    return told


def _nothing_new_code(arguments: list[str]) -> int | None:
    """The exit code that was asked for if nothing is new."""
    flag = "--nothing-new-code"
    for n, argument in enumerate(arguments):
        value = argument[len(flag) + 1 :] if argument.startswith(flag + "=") else None
        if argument == flag and n + 1 < len(arguments):
            value = arguments[n + 1]
        if value is not None and value.isdigit():
            return int(value)
    return None
