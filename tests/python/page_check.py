"""What the page says beside a real `run`, in a real browser. See scripts/page-check."""
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from browser import PATIENCE_S, Browser
from page_looks import looked_at, nobody_is_locked_out, opened, pictures
from page_run import DELTAMART, Run, deltamart, free_port, number, page_at, same, say
from page_rows import a_table_is_walked_through, a_word_is_explained, the_last_commit_is_seen, what_has_no_windows_is_not_drawn
from page_several import two_processes
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


def state_of(end, watermark, is_final):
    """What is said beside the number of a window."""
    return " so far" if end > watermark else "" if is_final else ", may still be corrected"


def what_may_change_is_said(run, browser, shown):
    """The plot of the shop and that of the table say the same of each window, and it is what the table has."""
    watermark = datetime.fromisoformat(run.rows("SELECT watermark FROM _progress")[0]["watermark"])
    hours = run.rows("SELECT timestamp, window_end, registration_count AS n, is_final FROM user_registration_metrics "
                     "WHERE window_type = 'tumbling' ORDER BY timestamp DESC")
    said = [f"{row['n']}{state_of(datetime.fromisoformat(row['window_end']), watermark, row['is_final'])}" for row in hours]
    # An hour without a registration has no row in the table, and a zero in the plot of the shop.
    plotted = [row[1] for row in shown["panels"]["Registrations per hour"]["rows"] if number(row[1])]
    same("what may change, on the shop's page", plotted, said[:len(plotted)])
    days = shown["panels"]["Revenue by day"]["rows"]
    same("the day that runs", [" so far" in row[1] for row in days], [True] + [False] * (len(days) - 1))
    opened(browser, run.address, "#/table/user_registration_metrics")
    panel = page_at(browser, shown["epoch"])["panels"]["user registration metrics"]
    same("what may change, on the table's page", [row[1] for row in panel["rows"]], said[:len(panel["rows"])])
    assert len({state_of(datetime.fromisoformat(row["window_end"]), watermark, row["is_final"]) for row in hours}) == 3, \
        "of each kind there is a window"


def what_was_sold_has_a_name_and_a_price(run, shown):
    """A title is read as a person reads it, what has no price is not sold for 0, and a tile says of which day it is."""
    best = shown["panels"]["Top movies"]["ranking"]
    day = run.rows("SELECT max(timestamp) AS day FROM movie_sales_metrics WHERE window_type = 'daily'")[0]["day"]
    rows = run.rows("SELECT units_sold AS units, unpriced_units AS unpriced, total_sales AS sales FROM movie_sales_metrics "
                    f"WHERE window_type = 'daily' AND timestamp = '{day}' ORDER BY units_sold DESC, movie_id DESC LIMIT 10")
    unpriced = sum(row["units"] == row["unpriced"] for row in rows)
    assert unpriced, "no movie without a price is among the first"
    same("movies without a price", sum(row[2] == "no price" for row in best), unpriced)
    unpriced_units, units = run.rows("SELECT sum(unpriced_units) AS unpriced, sum(units_sold) AS units FROM movie_sales_metrics "
                                     f"WHERE window_type = 'daily' AND timestamp = '{day}'")[0].values()
    same("units without a price", shown["warnings"]["Revenue, $"],
         f"{100 * unpriced_units / units:.0f} % of units ({unpriced_units:,}) have no price, and count as nothing")
    assert any("(Director's Cut)" in row[0] for row in best) and not any("&" in row[0] for row in best), best
    at = datetime.fromisoformat(day)
    assert shown["notes"]["Revenue, $"].startswith(f"{at:%a} {at.day} {at:%b} {at.year}, to "), shown["notes"]


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
    sentences = "return [...document.querySelectorAll('.sentences > li')].map((one) => [...one.querySelectorAll('.what, .sentence')].map((part) => part.textContent))"
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
        banner = browser.run("return document.getElementById('banner').textContent")
        for said in (r"page\.db cannot be written: another program holds a lock on it, since [\d:]{8}, \d+ s ago\.",
                     r"Nothing is lost: [\d.]+ k?B of 64 MiB wait\.", r"`?fuser -v page\.db`?", r"tries again by itself\."):
            assert re.search(said, banner), (said, banner)
        lacks = browser.wait("return document.querySelector('.asof .bad')?.textContent", what="that the figures stand")
        same("what the figures lack", lacks, "The figures lack 1 record that was read and is not yet written.")
        opened(browser, run.address, "#/pipeline")
        browser.wait("return document.querySelector('.node.sink.away') && document.querySelector('.edge.bad')", what="the sink in red")
        sink = browser.run("return [...document.querySelectorAll('.first tbody td')].map((cell) => cell.textContent)")
        assert sink[1] == "1 commit" and re.match(r"since [\d:]{8}, \d+ s ago: ", sink[3]), sink
        since = re.search(r"since ([\d:]{8})", banner)[1]
        assert since in sink[3], f"the sink waits since {since}, and its table says {sink[3]}"
        fresh = browser.run("return [...document.querySelectorAll('.tile')].map((tile) => tile.textContent).find((said) => said.startsWith('Freshness'))")
        assert "oldest unwritten record" in fresh, fresh
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
        nothing(browser, made, folder)
        run = start()
        try:
            say("the numbers of the page are those of the warehouse")
            epoch = run.until_quiet()
            browser.open(run.address)
            shown = page_at(browser, epoch)
            numbers_are_the_stores(run, shown, epoch)
            what_was_sold_has_a_name_and_a_price(run, shown)
            what_may_change_is_said(run, browser, shown)
            browser.open(run.address)
            page_at(browser, epoch)
            watermark = a_registration_is_seen(run, browser, events)
            say("a late event is one sentence: " + a_late_event_is_one_sentence(run, browser, events, watermark))
            the_last_commit_is_seen(run, browser)
            a_table_is_walked_through(run, browser)
            what_has_no_windows_is_not_drawn(run, browser)
            a_word_is_explained(run, browser)
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
        say("a server without a run says what it knows, and nothing else")
        a_server_without_a_run(browser, made, folder)
        say("the store and what is declared have their pages too")
        the_store(browser, made / "store", folder)
        say("a run of two processes names both")
        two_processes(browser, made / "several", folder)
    say("the page is well")


def a_server_without_a_run(browser, made, folder):
    """What only a run counts is not said to be nothing."""
    port = free_port()
    server = subprocess.Popen([DELTAMART, "serve", f"127.0.0.1:{port}", "--warehouse", "page.db"], cwd=made, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/"
    try:
        answers(port)
        opened(browser, address, "#/pipeline")
        panels = "return [...document.querySelectorAll('.panel')].filter((one) => one.checkVisibility()).map((one) => one.querySelector('h2').textContent)"
        same("panels", browser.run(panels), ["Watermarks", "No run is computing here", "Tables of every family"])
        same("figures", browser.run("return document.querySelector('.tiles').checkVisibility()"), False)
        what_a_server_says_on_every_view(browser, address)
        nobody_is_locked_out(browser, address, ["#/shop/shop", "#/pipeline", "#/deltas"])
        if folder:
            pictures(browser, address, folder, "served")
        same("console", browser.console(), [])
    finally:
        browser.open("about:blank")
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE_S)


def what_a_server_says_on_every_view(browser, address):
    """How old its warehouse is; and of what only a run sees one sentence, with nothing to press."""
    shown = "return [...document.querySelectorAll('main :is(.none, .lead), main button, main select')].filter((one) => one.checkVisibility()).map((one) => one.textContent)"
    for view in ("#/shop/shop", "#/pipeline", "#/deltas", "#/corrections"):
        opened(browser, address, view)
        said = browser.wait("return document.querySelector('.notice.calm')?.textContent", what="what the server knows")
        assert re.fullmatch(r"This server only reads: last commit .*, \d+ .* ago\.Whether a run works is not known here\.", said), said
        if view in ("#/deltas", "#/corrections"):
            [only] = browser.run(shown)
            assert only.startswith("Only the run that writes the tables sees "), only
    opened(browser, address, "#/shop/shop")
    left_out = browser.wait("return [...document.querySelectorAll('.asof p')].map((one) => one.textContent).find((one) => one.includes('rejected'))", what="what was left out")
    assert re.match(r"The warehouse keeps \d+ rejected records, and \d+ events that came too late:", left_out), left_out


def answers(port):
    """Waits until somebody listens there."""
    for _ in range(PATIENCE_S * 10):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)


def nothing(browser, made, folder):
    """A pipeline that has read nothing yet."""
    empty = made / "empty"
    empty.mkdir()
    (empty / "events.jsonl").touch()
    run = Run(empty, empty / "events.jsonl", free_port())
    try:
        answers(run.port)
        opened(browser, run.address, "")
        said = browser.run("return [...document.querySelectorAll('.none')].filter((one) => one.checkVisibility()).map((one) => one.textContent)")
        same("what an empty shop says, once", said, ["No event of this shop has been read yet. Its figures appear with the first one."])
        opened(browser, run.address, "#/pipeline")
        drawn = browser.wait("return [...document.querySelectorAll('.node.source .node-name')].map((one) => one.textContent)", what="a source")
        same("what an empty run waits for", drawn, ["events.jsonl"])
        source = browser.run("const sources = [...document.querySelectorAll('.panel')].find((one) => one.querySelector('h2').textContent === 'Sources'); "
                             "return [...sources.querySelectorAll('tbody tr > *')].map((cell) => cell.textContent)")
        same("its source", source, ["events.jsonl", "–", "0", "–", "–", "nothing read yet"])
        if folder:
            pictures(browser, run.address, folder, "empty")
        same("console", browser.console(), [])
    finally:
        browser.open("about:blank")
        run.end()


if __name__ == "__main__":
    main()
