"""Rows on the page: of a table, page by page, and of the last commit; and what a word means."""
from page_looks import opened
from page_run import same

ESCAPE = "\ue00c"


def the_last_commit_is_seen(run, browser):
    """Who opens the deltas sees what the last commit wrote, and why there is no other one."""
    epoch = run.until_quiet()
    opened(browser, run.address, "#/deltas")
    ranked = "return [...document.querySelectorAll('.ranking li')].map((row) => ['.label', '.said'].map((of) => row.querySelector(of).textContent))"
    shown = dict(browser.wait(ranked, what="the last commit"))
    for table in ("user_registration_metrics", "users", "user_segments"):
        written = run.rows(f"SELECT count(*) AS n FROM {table} WHERE _epoch = {epoch}")[0]["n"]
        same(f"rows of {table} in epoch {epoch}", int(shown[table.replace("_", " ")]), written)
    listed = browser.wait("const all = [...document.querySelectorAll('.deltas li')].map((row) => Number(row.dataset.epoch)); return all.length && all", what="its deltas")
    same("deltas of the last commit", listed, [epoch] * sum(map(int, shown.values())))
    browser.wait("return /^(Waiting for the next commit: |$)/.test(document.querySelector('.reason').textContent)", what="why there is no other commit")


def a_table_is_walked_through(run, browser):
    """From the newest hour to the first one: each row once, and the buttons stop at the ends."""
    hours = [row["timestamp"] for row in run.rows(
        "SELECT timestamp FROM user_registration_metrics WHERE window_type = 'tumbling' ORDER BY timestamp DESC")]
    opened(browser, run.address, "#/table/user_registration_metrics")
    state = """
      const [newer, older] = document.querySelectorAll(".pages button");
      const rows = [...document.querySelectorAll(".fills tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent));
      return [document.querySelector(".pages .fact").textContent, newer.disabled, older.disabled, rows]"""
    assert len(hours) > 50, "there is more than a page"
    seen = []
    for first in range(0, len(hours), 50):
        last = min(first + 50, len(hours))
        browser.wait("return document.querySelector('.pages .fact').textContent.startsWith(arguments[0])", f"{first + 1}–{last} of ", what=f"row {first + 1}")
        said, is_first, is_last, rows = browser.run(state)
        assert said.startswith(f"{first + 1}–{last} of {len(hours)}, at epoch "), said
        same("the ends", [is_first, is_last], [first == 0, last == len(hours)])
        assert all(row[0] == "tumbling" for row in rows), "a table of windows opens with those that follow one another"
        seen += [row[1] for row in rows]
        if not is_last:
            browser.run("document.querySelectorAll('.pages button')[1].click()")
    same("hours", seen, [f"{hour[:10]} {hour[11:16]}" for hour in hours])
    browser.run("[...document.querySelectorAll('.choice input')].find((one) => one.value === 'sliding').click()")
    browser.wait("return document.querySelector('.fills tbody th, .fills tbody td')?.textContent === 'sliding'", what="the other kind of window")


def what_has_no_windows_is_not_drawn(run, browser):
    """Sums over the instants of events say nothing."""
    seen = "return [...document.querySelectorAll('.plotted')].filter((one) => one.checkVisibility()).length"
    for table, drawn in (("movie_sales_metrics", 1), ("movie_sale_lines", 0), ("consumer_events", 0)):
        opened(browser, run.address, f"#/table/{table}")
        browser.wait("return document.querySelector('.fills tbody tr')", what=f"the rows of {table}")
        browser.wait(seen + " === arguments[0]", drawn, what=f"{drawn} plots of {table}")


def a_word_is_explained(run, browser):
    """A button says what a word means; Escape hides it."""
    opened(browser, run.address, "#/pipeline")
    browser.run("document.querySelector('.panel .help').focus()")
    browser.press("\ue007")
    said = browser.wait("return document.querySelector('.meaning:popover-open')?.textContent", what="what the word means")
    assert said.startswith("watermark The time up to which"), said
    inside = browser.run("const box = document.querySelector('.meaning:popover-open').getBoundingClientRect(); "
                         "return [box.left >= 0, box.right <= innerWidth, box.top >= 0, box.bottom <= innerHeight]")
    same("the explanation is in the window", inside, [True] * 4)
    browser.press(ESCAPE)
    browser.wait("return !document.querySelector('.meaning:popover-open')", what="that it is hidden")
