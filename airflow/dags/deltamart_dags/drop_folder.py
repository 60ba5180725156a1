"""The folder into which files are dropped: who takes a file, and where it ends.

    catalog/                  files that nobody has taken
    catalog/reading/RUN/      the file that a run works on, and what was said of it
    catalog/done/             files that were taken in, each with what the command said
    catalog/rejected/         files that were refused, each with the reason

A file is moved by a rename within one file system, so of two runs one gets it. Needs nothing of Airflow.
"""

from __future__ import annotations

import json
import pathlib
import re
import time

# Names that somebody still writes to.
UNFINISHED = (".part", ".tmp")
# What the two commands said, and the one name under which catalogs are taken in.
TRIAL, LOAD, ONE_NAME = "trial.json", "load.json", "Movies.txt"


def work_folder(folder: pathlib.Path, run: str) -> pathlib.Path:
    """The folder of a run, by its id."""
    return folder / "reading" / re.sub(r"[^A-Za-z0-9.-]+", "_", run)


def waiting(folder: pathlib.Path, settle_s: float, now: float) -> list[pathlib.Path]:
    """Files that have not changed for so many seconds, by name."""
    found = []
    for path in sorted(folder.glob("*.*")):
        if path.name.startswith(".") or path.name.endswith(UNFINISHED):
            continue
        try:
            is_settled = path.is_file() and now - path.stat().st_mtime >= settle_s
        except FileNotFoundError:
            # Another run took it.
            continue
        if is_settled:
            found.append(path)
    return found


def claim(folder: pathlib.Path, run: str, settle_s: float) -> str | None:
    """Takes the first file that waits, and tells where it is now. A run that is called again has the one it had."""
    taken = work_folder(folder, run) / "file"
    taken.mkdir(parents=True, exist_ok=True)
    for path in taken.iterdir():
        return str(path)
    for path in waiting(folder, settle_s, time.time()):
        try:
            return str(path.rename(taken / path.name))
        except FileNotFoundError:
            continue
    taken.rmdir()
    taken.parent.rmdir()
    return None


def said(path: pathlib.Path) -> dict:
    """What a command said; nothing if it did not come to that."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def archive(file: str) -> str:
    """Puts a file that was taken in into `done`, with what the commands said."""
    return _end(pathlib.Path(file), "done", [TRIAL, LOAD])


def set_aside(file: str | None) -> str:
    """Puts a file that the trial refused into `rejected`, with the reason. Any other goes back to those that wait, since
    it was not the file that failed. Tells in words what became of it."""
    if file is None:
        return "no file was taken: see the task that failed"
    path = pathlib.Path(file)
    trial = said(path.parent.parent / TRIAL)
    if trial.get("exit_code", 0) != 0:
        reason = trial.get("error", "no reason was given")
        return f"{path.name} was refused, and is now {_end(path, 'rejected', [TRIAL])}: {reason}"
    load = said(path.parent.parent / LOAD)
    reason = load.get("error", "see the task that failed")
    folder = path.parents[3]
    back = path.rename(_free(folder / path.name))
    _clear(path.parent.parent)
    return f"{path.name} was not taken in, and waits again as {back}: {reason}"


def _end(path: pathlib.Path, where: str, reports: list[str]) -> str:
    """Moves a file to where it ends, under a name that no other has, with a report beside it."""
    work, folder = path.parent.parent, path.parents[3] / where
    folder.mkdir(exist_ok=True)
    to = _free(folder / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{path.name}")
    report = {name.removesuffix(".json"): said(work / name) for name in reports}
    to.with_name(to.name + ".json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    path.rename(to)
    _clear(work)
    return str(to)


def _free(path: pathlib.Path) -> pathlib.Path:
    """The path, or with a number before its name, so that it is free."""
    for n in range(1, 10_000):
        free = path if n == 1 else path.with_name(f"{n}-{path.name}")
        if not free.exists():
            return free
    raise FileExistsError(f"{path} and 10,000 others of its name are there: remove some")


def _clear(work: pathlib.Path) -> None:
    for name in (TRIAL, LOAD, ONE_NAME):
        (work / name).unlink(missing_ok=True)
    for folder in (work / "file", work / "trial", work):
        if folder.exists():
            folder.rmdir()
