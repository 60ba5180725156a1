"""The page of the web store, and that of a metric that somebody declared."""
from datetime import datetime, timedelta

from page_looks import nobody_is_locked_out, opened, pictures
from page_run import Run, deltamart, free_port, number, page_at, same

EVENTS = """
doc = "One row per accepted order."
time = "ordered_at"
person = "customer_id"
[columns]
ordered_at = { type = "instant", doc = "When, UTC." }
customer_id = { type = "integer", min = 1, doc = "Who." }
amount = { type = "money", doc = "For how much." }
"""
METRIC = """-- One row per hour with an order.
SELECT date_trunc('hour', ordered_at) AS hour, count(*) AS orders, sum(amount) AS revenue FROM web_orders GROUP BY hour
"""
ORDERS = """{"ordered_at":"2026-01-05T10:00:00Z","customer_id":1,"amount":5}
{"ordered_at":"2026-01-06T10:00:00Z","customer_id":1,"amount":7}
{"ordered_at":"2026-01-06T10:30:00Z","customer_id":2,"amount":9.25}
"""


def the_store(browser, folder, shown):
    """The shipped model of a store, and what is declared: their numbers, and whether anybody is locked out."""
    folder.mkdir()
    deltamart("simulate", "--model", "store", "--out", "made", "--events", "6000", folder=folder)
    run = Run(folder, folder / "made" / "store_events.jsonl", free_port(), "--model", "store")
    try:
        epoch = run.until_quiet()
        browser.open(run.address + "#/shop/store_events")
        shown_then = page_at(browser, epoch)
        panels = shown_then["panels"]
        by_this_time(run, shown_then["notes"])
        days = run.rows("SELECT day, revenue FROM daily_revenue ORDER BY day DESC")
        same("revenue by day", [number(row[1]) for row in panels["Revenue by day"]["rows"]], [row["revenue"] for row in days])
        best = run.rows(f"SELECT category_code AS name, revenue FROM revenue_by_category WHERE day = '{days[0]['day']}' "
                        "ORDER BY revenue DESC, category_code DESC LIMIT 15")
        same("top categories", [row[:2] for row in panels["Top 15 categories"]["ranking"]],
             [[row["name"], f"{row['revenue']:,.2f}"] for row in best])
        sold = run.rows("SELECT product_id, units, revenue FROM product_sales ORDER BY window_start DESC, revenue DESC LIMIT 1")[0]
        newest = browser.run("return [...document.querySelector('[data-product]').children].map((cell) => cell.firstChild.textContent)")
        same("just sold", newest, [str(sold["product_id"]), str(sold["units"]), f"{sold['revenue']:,.2f}"])
        only_whole_windows_are_shown(run, browser)
        funnel = run.rows("SELECT viewed, carted, purchased, purchased_without_cart FROM daily_funnel ORDER BY day DESC LIMIT 1")[0]
        steps = browser.run("return [...document.querySelectorAll('.funnel .said')].map((one) => one.textContent)")
        same("the funnel", [number(step) for step in steps], list(funnel.values()))
        nobody_is_locked_out(browser, run.address, ["#/shop/store_events"])
        if shown:
            pictures(browser, run.address, shown, "store", ["#/shop/store_events"])
        same("console", browser.console(), [])
    finally:
        browser.open("about:blank")
        run.end()
    what_is_declared(browser, folder / "declared")


def by_this_time(run, notes):
    """A part of a day is compared with the same part of the day before."""
    at = datetime.fromisoformat(run.rows("SELECT watermark FROM _progress")[0]["watermark"])
    cut = at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)
    here, then = [run.rows("SELECT coalesce(sum(revenue), 0) AS revenue, coalesce(sum(units), 0) AS units FROM product_sales "
                           f"WHERE window_start >= '{to:%Y-%m-%d}T00:00:00.000Z' AND window_start < '{to:%Y-%m-%dT%H:%M}:00.000Z'")[0]
                  for to in (cut, cut - timedelta(days=1))]
    assert then["units"], "nothing is compared"
    day = f"{at:%a} {at.day} {at:%b} {at.year}, to {at:%H:%M}"
    same("revenue by this time", notes["Revenue"],
         f"{day}; to {cut:%H:%M} it was {here['revenue']:,.2f}, the day before {then['revenue']:,.2f}")
    same("units by this time", notes["Units sold"], f"{day}; to {cut:%H:%M} it was {here['units']}, the day before {then['units']}")


def only_whole_windows_are_shown(run, browser):
    """The products of each window that is shown are all there, or it says how many more there are."""
    shown = browser.run("return [...document.querySelectorAll('[data-product]')].map((row) => row.dataset.product)")
    windows = run.rows("SELECT window_start, count(*) AS n FROM product_sales GROUP BY window_start ORDER BY window_start DESC LIMIT 20")
    ends, total = [], 0
    for window in windows:
        total += window["n"]
        ends.append(total)
    assert len(shown) in ends, f"{len(shown)} products are shown, and windows end at {ends}"


def what_is_declared(browser, folder):
    """A metric that nobody wrote a page for."""
    folder.mkdir()
    (folder / "model").mkdir()
    (folder / "model" / "web_orders.toml").write_text(EVENTS)
    (folder / "model" / "orders_by_hour.sql").write_text(METRIC)
    (folder / "web_orders.jsonl").write_text(ORDERS)
    run = Run(folder, f"web_orders={folder / 'web_orders.jsonl'}", free_port())
    try:
        epoch = run.until_quiet()
        opened(browser, run.address, "#/shop/web_orders")
        panels = page_at(browser, epoch)["panels"]
        same("orders", [row[1] for row in panels["orders by hour"]["rows"]], ["2 so far", "1, may still be corrected"])
        rows = browser.run("return [...document.querySelectorAll('.list.tall tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent))")
        same("rows", rows, [["2026-01-06 10:00", "2", "16.25"], ["2026-01-05 10:00", "1", "5.00"]])
        nobody_is_locked_out(browser, run.address, ["#/shop/web_orders"])
        same("console", browser.console(), [])
    finally:
        browser.open("about:blank")
        run.end()
