"""The module and the program that a wheel has installed, called as a scheduler would: the main job, and what goes wrong.

Run by `scripts/wheel-check` with the Python of an environment into which the wheel was installed.
"""

import os
import pathlib
import pickle
import subprocess
import sys
import tempfile

import deltamart


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"== {what}: {found!r} is not {expected!r}")


def failed(arguments, **more):
    try:
        told = deltamart.run(arguments, **more)
    except deltamart.Failed as why:
        return why
    sys.exit(f"== `{arguments}` did not fail: {told}")


environment = pathlib.Path(sys.prefix)
os.environ.pop("DELTAMART", None)
expect("where the program is", pathlib.Path(deltamart.path()).parent, environment / "bin")
expect("where the module is", environment in pathlib.Path(deltamart.__file__).parents, True)
with tempfile.TemporaryDirectory(prefix="deltamart-wheel-") as folder:
    os.chdir(folder)
    deltamart.run(["simulate", "--out", "shop", "--items", "100", "--events", "20000"])
    job = ["run", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--serve", "off", "--nothing-new-code", "99"]
    told = deltamart.run(job)
    expect("news and code of the first run", (told["news"], told["exit_code"]), (True, 0))
    again = deltamart.run(job)
    expect("news and code of the second run", (again["news"], again["exit_code"]), (False, 99))
    verified = deltamart.run(["verify"])
    expect("the tables are what their SQL says", verified["exit_code"], 0)
    expect("it waits", deltamart.run(["status", "--wait-for", str(told["epoch"])])["sinks"][0]["epoch"] >= told["epoch"], True)
    # Snowflake is in it.
    refused = failed(["run", "shop/events.jsonl", "--set", "snowflake.account=a"])
    expect("a setting that is missing is refused", (refused.exit_code, "snowflake.private_key" in str(refused)), (2, True))
    pathlib.Path("empty.txt").write_text("")
    broken = failed(["catalog", "empty.txt", "--warehouse", "c.db"])
    expect("a broken file", (broken.exit_code, broken.told["exit_code"], "empty.txt" in str(broken)), (3, 3, True))
    expect("an error goes through a scheduler", str(pickle.loads(pickle.dumps(broken))), str(broken))
    rows = deltamart.run(["status"], env={"DELTAMART__WAREHOUSE": "deltamart.db"})
    expect("the environment is handed on", rows["sinks"][0]["sink"], "deltamart.db")
    printed = subprocess.run(["deltamart", "--version"], capture_output=True, text=True, check=True,
                             env={**os.environ, "PATH": f"{environment}/bin:{os.environ['PATH']}"})
print(f"wheel-check: {printed.stdout.strip()} in {environment}: the main job, again, verified, refused, broken")
