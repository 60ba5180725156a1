"""What holds a script that starts programs in a folder of its own: they end with it, and the folder is kept if it failed."""

import shutil
import signal
import subprocess
import sys


class Failed(Exception):
    pass


def expect(what, found, expected):
    if found != expected:
        raise Failed(f"{what}: {repr(found)[:600]} is not {repr(expected)[:600]}")


def called(program, folder, *arguments):
    """What the program prints that is called in a folder, and succeeds."""
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
    expect(f"exit code of {arguments} ({done.stderr[-1000:]})", done.returncode, 0)
    return done.stdout


def terminated(*_):
    raise SystemExit(143)


def hold(main, folder, children):
    signal.signal(signal.SIGTERM, terminated)
    whole = False
    try:
        main()
        whole = True
    except Failed as why:
        print(f"== {why}\n== warehouses, state and what was said are kept in {folder}", file=sys.stderr)
        sys.exit(1)
    finally:
        for child in children:
            child.kill()
            child.wait()
        if whole:
            shutil.rmtree(folder)
