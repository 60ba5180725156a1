"""The page of a run of two processes: it names both, as `status` does."""
import subprocess

from page_looks import nobody_is_locked_out, pictures
from page_run import DELTAMART, Run, deltamart, free_port, same


def two_processes(browser, folder, shown):
    """Both stand under "Workers" while the run goes on, and nobody is locked out."""
    folder.mkdir()
    deltamart("simulate", "--out", "made", "--events", "6000", folder=folder)
    hosts = folder / "hosts.txt"
    hosts.write_text("".join(f"127.0.0.1:{free_port()}\n" for _ in range(2)))
    several = lambda process: ["-n", "2", "-p", str(process), "--hostfile", str(hosts), "-w", "1"]
    with open(folder / "other.log", "w", encoding="utf-8") as log:
        run = Run(folder, folder / "made" / "events.jsonl", free_port(), *several(0))
        other = subprocess.Popen([DELTAMART, "run", *several(1)], cwd=folder, stdout=log, stderr=log)
        try:
            run.until_quiet()
            browser.open(run.address + "#/pipeline")
            named = "return [...document.querySelectorAll('.meters .label')].map((one) => one.textContent).filter((said) => said.startsWith('process'))"
            browser.wait(named + ".length === 2", what="two processes")
            same("the processes", browser.run(named), [f"process {n} ({host})" for n, host in enumerate(hosts.read_text().split())])
            browser.wait("return document.querySelector('footer').textContent.includes('2 processes of 1 worker each')", what="how many there are")
            nobody_is_locked_out(browser, run.address, ["", "#/pipeline"])
            if shown:
                pictures(browser, run.address, shown, "several", ["#/pipeline"])
            same("console", browser.console(), [])
        finally:
            browser.open("about:blank")
            run.end()
            other.wait(60)
    same("how the other one ended", other.returncode, 0)
