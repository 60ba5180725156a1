"""Prints rows of views of a feed as JSON, a line each: `feed_rows.py FEED VIEW...`."""

import datetime
import decimal
import json
import sys

import duckdb

START = datetime.datetime(1970, 1, 1)


def plain(value):
    match value:
        case datetime.datetime():
            return (value - START) // datetime.timedelta(milliseconds=1)
        case decimal.Decimal():
            return str(value)
        case bytes():
            return value.hex()
    return value


def main(feed, views):
    connection = duckdb.connect()
    # What takes long would be drawn in between the results.
    connection.execute("SET enable_progress_bar = false")
    with open(f"{feed}/views.sql", encoding="utf-8") as file:
        connection.execute(file.read())
    for view in views:
        found = connection.execute(f"SELECT * FROM {view} ORDER BY ALL")
        names = [column[0] for column in found.description]
        for row in found.fetchall():
            print(json.dumps([view, dict(zip(names, map(plain, row)))]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
