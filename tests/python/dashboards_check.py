"""The dashboard in `examples/dashboards`: each tile says the same of SQLite, of the Parquet feed by DuckDB, and of Snowflake
(a stand-in), and what the page's API says; the app shows it, over a warehouse and over a feed, without a browser.

Run by `scripts/dashboards-check`; needs DELTAMART and DELTAMART_SNOWFLAKE (host:port). Exit code 1, and why, otherwise.
"""

import datetime
import json
import logging
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from held import Failed, called, expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/dashboards"))
import tiles  # noqa: E402

PROGRAM = os.path.abspath(os.environ["DELTAMART"])
STAND_IN = os.environ["DELTAMART_SNOWFLAKE"]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="deltamart-dashboards-"))
DATABASE = f"DASHBOARDS_{os.getpid()}"


def deltamart(*arguments):
    return called(PROGRAM, FOLDER, *arguments)


def prepare():
    """A store's events of three days, into all three; the stand-in is slow, so only the tables that the tiles read."""
    deltamart("simulate", "--model", "store", "--out", ".", "--events", "8000", "--format", "csv")
    read = ["daily_funnel", "daily_revenue", "product_sales", "revenue_by_brand", "revenue_by_category", "visits"]
    (FOLDER / "deltamart.toml").write_text(
        f'model = "store"\nwarehouse = "store.db"\nraw = false\ntables = {json.dumps(read)}\n[feed]\npath = "feed"\n'
        f'[snowflake]\naccount = "myorg-prod"\nuser = "loader"\nprivate_key = "file:key.p8"\ndatabase = "{DATABASE}"\n'
        f'url = "http://{STAND_IN}"\n')
    deltamart("snowflake-key", "--out", "key.p8")
    deltamart("run", "store_events=store_events.csv", "--serve", "off")


def in_snowflake():
    import snowflake.connector

    host, _, port = STAND_IN.partition(":")
    return tiles.snowflake(snowflake.connector.connect(
        user="u", password="p", account="a", host=host, port=int(port), protocol="http", database=DATABASE, schema="MARTS",
        session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}))


def every_tile_says_the_same_everywhere():
    places = {"SQLite": tiles.sqlite(FOLDER / "store.db"), "feed": tiles.feed(FOLDER / "feed"), "Snowflake": in_snowflake()}
    first, last = places["SQLite"].days()
    expect("days", last - first >= datetime.timedelta(days=2), True)
    middle = (first + datetime.timedelta(days=1)).isoformat()
    end = (last + datetime.timedelta(days=1)).isoformat()
    recent = places["SQLite"].recent()
    periods = [
        {"from": first.isoformat(), "until": end, "top": 15, "recent": recent},
        {"from": middle, "until": (first + datetime.timedelta(days=2)).isoformat(), "top": 3, "recent": recent},
        # Nothing happened then.
        {"from": "2001-01-01", "until": "2001-01-02", "top": 15, "recent": end},
    ]
    names = sorted(path.stem for path in tiles.TILES.glob("*.sql"))
    compared = 0
    for name in names:
        for period, is_empty in zip(periods, (False, False, True)):
            found = {place: there.tile(name, **period) for place, there in places.items()}
            for place in ("feed", "Snowflake"):
                expect(f"{name} of {place} in {period}", found[place], found["SQLite"])
            rows = found["SQLite"]
            says_nothing = not rows or all(value in (None, 0) for value in rows[0].values())
            expect(f"{name} of {period} says nothing", says_nothing, is_empty and name != "days")
            expect(f"{name}: not more than asked for", len(rows) <= period["top"] or "top_" not in name, True)
            compared += len(rows)
    expect("progress", places["feed"].progress()["watermark"], places["SQLite"].progress()["watermark"])
    expect("progress", places["Snowflake"].progress()["watermark"], places["SQLite"].progress()["watermark"])
    print(f"dashboards-check: {len(names)} tiles, {compared} rows, the same in {', '.join(places)}")
    return places["SQLite"], periods


def the_page_says_the_same(tables, periods):
    """What the page shows of a period and of a day, by its API."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = subprocess.Popen([PROGRAM, "serve", f"127.0.0.1:{port}"], cwd=FOLDER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def ask(path):
            for _ in range(300):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/tables/{path}", timeout=10) as answer:
                        told = json.load(answer)
                        return [dict(zip(told["columns"], map(tiles.plain, map(number, row)))) for row in told["rows"]]
                except (ConnectionError, urllib.error.URLError):
                    time.sleep(0.1)
            raise Failed(f"the page does not answer at port {port}")

        for period in periods[:2]:
            between = f"from={period['from']}T00:00:00Z&to={period['until']}T00:00:00Z"
            for name, table, column in [("top_categories", "revenue_by_category", "category_code"), ("top_brands", "revenue_by_brand", "brand")]:
                groups = ask(f"{table}?group={column}&sum=revenue&sum=units&by=revenue&order=desc&limit={period['top']}&{between}")
                shown = {row[column]: (row["revenue"], row["units"]) for row in groups}
                tile = {row[column]: (row["revenue"], row["units"]) for row in tables.tile(name, **period)}
                # Those with the same revenue stand in another order, and the last may be another one of them.
                least = min(revenue for revenue, _ in tile.values())
                above = lambda rows: {key: row for key, row in rows.items() if row[0] > least}
                expect(f"{name} of the page", above(shown), above(tile))
            days = ask(f"daily_revenue?{between}&limit=1000")
            expect("daily revenue of the page", [(row["day"], row["revenue"]) for row in days],
                   [(row["day"], row["revenue"]) for row in tables.tile("daily_revenue", **period)])
            (funnel,) = tables.tile("funnel", **period)
            days = ask(f"daily_funnel?{between}&limit=1000")
            expect("funnel of the page", {step: sum(row[step] for row in days) for step in funnel}, funnel)
            sold = ask(f"product_sales?{between}&order=desc&limit=200")
            key = lambda row: (row["window_start"], row["product_id"], row["units"], row["revenue"])
            newest = [row for row in map(key, sold) if row[0] > sold[-1]["window_start"]]
            expect("just sold", set(newest) <= set(map(key, tables.tile("sales_by_five_minutes", **period))), True)
    finally:
        serving.terminate()
        serving.wait(timeout=30)
    print("dashboards-check: the page's API says the same")


def number(value):
    """The API writes money as text, so that no digit is lost."""
    try:
        return float(value) if isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit() else value
    except ValueError:
        return value


def the_app_shows_it(tables, periods):
    from streamlit.testing.v1 import AppTest

    # Streamlit warns that no browser looks at it.
    logging.disable(logging.WARNING)
    first, last = tables.days()
    for place in ("store.db", "feed"):
        os.environ["DELTAMART_WAREHOUSE"] = str(FOLDER / place)
        app = AppTest.from_file(str(ROOT / "examples/dashboards/app.py"), default_timeout=60).run()
        for period in periods[:2]:
            until = datetime.date.fromisoformat(period["until"]) - datetime.timedelta(days=1)
            app.date_input(key="period").set_value((datetime.date.fromisoformat(period["from"]), until))
            app.slider(key="top").set_value(max(5, period["top"])).run()
            expect(f"errors over {place}", [one.value for one in app.exception] + [one.value for one in app.error], [])
            (now,), (funnel,) = tables.tile("sessions_now", **period), tables.tile("funnel", **period)
            wanted = [*now.values(), *funnel.values()]
            expect(f"numbers over {place}", [one.value for one in app.metric], [f"{value:,}" for value in wanted])
            expect("charts", len(app.get("vega_lite_chart")), 3)
            sold = app.dataframe[0].value.to_dict("records")
            expect("just sold", [{**row, "revenue": tiles.plain(float(row["revenue"]))} for row in sold], tables.tile("sales_by_five_minutes", **period))
        # While somebody chooses a period, there is only its first day.
        app.date_input(key="period").set_value((first,)).run()
        expect("errors while somebody chooses", [one.value for one in app.exception], [])
    os.environ["DELTAMART_WAREHOUSE"] = "none.db"
    app = AppTest.from_file(str(ROOT / "examples/dashboards/app.py"), default_timeout=60).run()
    expect("no warehouse", (len(app.error), len(app.exception)), (1, 0))
    print("dashboards-check: the app shows them, over SQLite and over the feed")


try:
    prepare()
    tables, periods = every_tile_says_the_same_everywhere()
    the_page_says_the_same(tables, periods)
    the_app_shows_it(tables, periods)
except Failed as why:
    print(f"== {why}\n== what was made is kept in {FOLDER}", file=sys.stderr)
    sys.exit(1)
shutil.rmtree(FOLDER)
