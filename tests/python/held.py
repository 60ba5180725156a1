"""What holds a script that starts programs in a folder of its own: they end with it, and the folder is kept if it failed."""

import shutil
import signal
import sys


class Failed(Exception):
    pass


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
