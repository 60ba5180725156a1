"""What the page says beside a real `run`, in a real browser. See scripts/page-check."""
import json
import re
import socket
import sqlite3
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from browser import PATIENCE_S, Browser
from page_looks import looked_at, nobody_is_locked_out, pictures
from page_run import Run, deltamart, free_port, number, page_at, same, say
from page_store import the_store

HOUR = timedelta(hours=1)


def numbers_are_the_stores(run, shown, epoch):
    """Each panel of the movie shop against the SQL of an analyst."""
    for title in ("Registrations per hour", "Active sessions", "Top movies", "Revenue by day", "Segments"):
        same(f"epoch of {title}", shown["panels"][title]["epoch"], epoch)
    windows = run.rows("SELECT timestamp, registration_count AS n FROM user_registration_metrics "
                       "WHERE window_type = 'tumbling' ORDER BY timestamp DESC LIMIT 12")
    newest = {row["timestamp"][11:16]: row["n"] for row in windows}
    told = {row[0].split()[-1].split("–")[0]: number(row[1]) for row in shown["panels"]["Registrations per hour"]["rows"][:12]}
    same("registrations", told, newest)
    same("registered, newest hour", number(shown["tiles"]["Registered, newest hour"]), windows[0]["n"])
    session = run.rows("SELECT active_sessions_count AS n FROM session_metrics ORDER BY timestamp DESC LIMIT 1")[0]
    same("active sessions", number(shown["tiles"]["Active sessions"]), session["n"])
    same("active sessions, plotted", number(shown["panels"]["Active sessions"]["rows"][0][1]), session["n"])
    segments = run.rows("SELECT segment, count(*) AS n FROM user_segments GROUP BY segment")
    same("segments", {row[0].lower(): number(row[1]) for row in shown["panels"]["Segments"]["ranking"]},
         {row["segment"].replace("_", " "): row["n"] for row in segments})
    days = run.rows("SELECT timestamp, round(sum(total_sales), 2) AS sales FROM movie_sales_metrics "
                    "WHERE window_type = 'daily' GROUP BY timestamp ORDER BY timestamp DESC")
    same("revenue by day", [number(row[1]) for row in shown["panels"]["Revenue by day"]["rows"]], [row["sales"] for row in days])
    best = run.rows(f"SELECT units_sold AS n FROM movie_sales_metrics WHERE window_type = 'daily' AND timestamp = '{days[0]['timestamp']}' "
                    "ORDER BY units_sold DESC LIMIT 10")
    same("top movies", [number(row[1]) for row in shown["panels"]["Top movies"]["ranking"]], [row["n"] for row in best])


def registration(user, at):
    return {"timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "event_name": "consumer_registration",
            "user_id": user, "age": 30, "masked_email": "****@page.example", "preferred_language": "eng"}


def append(events, *lines):
    with open(events, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def count_of(run, start):
    found = run.rows("SELECT registration_count AS n FROM user_registration_metrics WHERE window_type = 'tumbling' "
                     f"AND timestamp = '{start:%Y-%m-%dT%H:%M:%S.000Z}'")
    return found[0]["n"] if found else 0


def a_registration_is_seen(run, browser, events):
    """The page shows the registration of the commit that holds it."""
    watermark = datetime.fromisoformat(run.rows("SELECT watermark FROM _progress")[0]["watermark"])
    at = watermark + timedelta(seconds=90)
    start = at.replace(minute=0, second=0, microsecond=0)
    before = count_of(run, start)
    append(events, registration(999_001, at))
    epoch = run.until_quiet()
    same("registrations after one more", count_of(run, start), before + 1)
    shown = page_at(browser, epoch)
    of_hour = [row for row in shown["panels"]["Registrations per hour"]["rows"] if f"{start:%H:%M}–" in row[0]]
    same(f"registrations of {start:%H:%M}", number(of_hour[0][1]), before + 1)
    return watermark


def a_late_event_is_one_sentence(run, browser, events, watermark):
    """An event an hour behind restates the window that was shown: one sentence, both numbers."""
    at = (watermark - 3 * HOUR).replace(minute=30, second=0, microsecond=0)
    start = at.replace(minute=0)
    before = count_of(run, start)
    browser.open(run.address + "#/corrections")
    browser.wait("return document.querySelector('main .panel')", what="the corrections")
    sentences = "return [...document.querySelectorAll('.sentences li')].map((one) => [...one.querySelectorAll('.what, .sentence')].map((part) => part.textContent))"
    earlier = browser.run(sentences)
    append(events, registration(999_002, at))
    expected = f"{start:%H:%M}–{start + HOUR:%H:%M}: {before:,} → {before + 1:,}, late by "
    browser.wait("return [...document.querySelectorAll('.sentence')].some((one) => one.textContent.startsWith(arguments[0]))",
                 expected, what=f"the sentence {expected!r}")
    run.until_quiet()
    time.sleep(3)  # Longer than the page waits before it asks again: there is no second sentence.
    told = browser.run(sentences)
    of_windows = [one for one in told if one[0].startswith("registrations") and one not in earlier]
    same("sentences about the window", len(of_windows), 1)
    assert re.fullmatch(re.escape(expected) + r"\d+ (min|h.*)", of_windows[0][1]), of_windows
    return of_windows[0][1]


def the_connection_comes_back(run, browser, again):
    """A page whose pipeline is gone says so within a beat, and goes on by itself when another one runs."""
    browser.open(run.address)
    browser.wait("return document.getElementById('state').dataset.state === 'running'", what="that it runs")
    run.process.kill()
    run.process.wait()
    began = time.monotonic()
    browser.wait("return document.getElementById('state').dataset.state === 'lost'", what="that the connection is lost", patience_s=10)
    took = time.monotonic() - began
    assert took < 4.5, f"said only after {took:.1f} s"
    assert "Connection lost" in browser.run("return document.getElementById('banner').textContent")
    browser.console()  # The browser notes that nobody answered: that is what was done here.
    new = again()
    browser.wait("return document.getElementById('state').dataset.state === 'running'", what="that it runs again")
    return new


def an_end_is_an_end(run, browser):
    """A run that ended in order is no connection that was lost."""
    browser.open(run.address)
    browser.wait("return document.getElementById('state').dataset.state === 'running'", what="that it runs")
    run.end()
    browser.wait("return document.getElementById('state').dataset.state === 'ended'", what="that the pipeline has ended", patience_s=10)
    assert "The pipeline has ended" in browser.run("return document.getElementById('banner').textContent")
    browser.open("about:blank")  # It would go on asking.


def a_sink_that_is_away(run, browser, events, folder):
    """Somebody holds the warehouse: the page says which sink waits, and why."""
    holder = sqlite3.connect(run.warehouse, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        at = datetime.fromisoformat(run.rows("SELECT watermark FROM _progress")[0]["watermark"])
        append(events, registration(999_003, at + timedelta(seconds=100)))
        browser.open(run.address)
        browser.wait("return document.querySelector('#banner .notice.bad')", what="that a sink is away")
        same("state", browser.run("return document.getElementById('state').textContent"), "needs attention")
        if folder:
            pictures(browser, run.address, folder, "failing")
    finally:
        holder.rollback()
        holder.close()
    browser.wait("return document.getElementById('state').dataset.state === 'running'", what="that the sink is back")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, Browser() as browser:
        made = Path(made)
        deltamart("simulate", "--out", "made", "--events", "20000", folder=made)
        events, port = made / "made" / "events.jsonl", free_port()
        start = lambda: Run(made, events, port, "--catalog", "made/Movies.txt")
        if folder:
            nothing(browser, made, folder)
        run = start()
        try:
            say("the numbers of the page are those of the warehouse")
            epoch = run.until_quiet()
            browser.open(run.address)
            numbers_are_the_stores(run, page_at(browser, epoch), epoch)
            watermark = a_registration_is_seen(run, browser, events)
            say("a late event is one sentence: " + a_late_event_is_one_sentence(run, browser, events, watermark))
            looked_at(browser, run.address)
            say("nobody is locked out: axe-core finds nothing, Tab reaches everything, nothing moves")
            nobody_is_locked_out(browser, run.address)
            same("console", browser.console(), [])
            if folder:
                pictures(browser, run.address, folder, "normal")
            a_sink_that_is_away(run, browser, events, folder)
            say("a connection that is lost is said, and comes back")
            run = the_connection_comes_back(run, browser, start)
            an_end_is_an_end(run, browser)
            # The browser notes each time that nobody answered.
            same("console", [line for line in browser.console() if "net::ERR_" not in line], [])
        except AssertionError:
            failed = (folder or Path(tempfile.gettempdir())) / "page-check-failed.png"
            browser.picture(failed)
            print(f"== what the page showed: {failed}", file=sys.stderr)
            print((made / "run.log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            if run.process.poll() is None:
                run.end()
        say("the store and what is declared have their pages too")
        the_store(browser, made / "store", folder)
    say("the page is well")


def nothing(browser, made, folder):
    """A pipeline that has read nothing yet."""
    empty = made / "empty"
    empty.mkdir()
    (empty / "events.jsonl").touch()
    run = Run(empty, empty / "events.jsonl", free_port())
    try:
        for _ in range(PATIENCE_S * 10):
            try:
                socket.create_connection(("127.0.0.1", run.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        pictures(browser, run.address, folder, "empty")
        same("console", browser.console(), [])
    finally:
        browser.open("about:blank")
        run.end()


if __name__ == "__main__":
    main()
