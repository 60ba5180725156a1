"""Runs SQL over a feed in DuckDB: `second_reader.py < JOBS`, where JOBS is a JSON object.

{"views": FILE, "jobs": [{"name": NAME, "types": ["n2", "i", "b", "s"], "scripts": {"feed": SQL}}]}

Prints a line of JSON for every script: its rows, each value as deltamart keeps it: numbers in units of their last
decimal, instants in milliseconds; or what DuckDB says is wrong.
"""

import datetime
import decimal
import json
import sys

import duckdb

START = datetime.datetime(1970, 1, 1)


def plain(kind, value):
    if value is None:
        return None
    match kind[0]:
        case "n":
            # Of a float the shortest decimal that is this float; a half goes away from zero.
            number = decimal.Decimal(repr(value)) if isinstance(value, float) else decimal.Decimal(value)
            return int((number * 10 ** int(kind[1:])).to_integral_value(decimal.ROUND_HALF_UP))
        case "i":
            if not isinstance(value, datetime.datetime):
                value = datetime.datetime.combine(value, datetime.time())
            return (value - START) // datetime.timedelta(milliseconds=1)
        case "b":
            return bool(value)
    return value


def main():
    work = json.load(sys.stdin)
    decimal.getcontext().prec = 60
    connection = duckdb.connect()
    # What takes long would be drawn in between the results.
    connection.execute("SET enable_progress_bar = false")
    with open(work["views"], encoding="utf-8") as file:
        connection.execute(file.read())
    for job in work["jobs"]:
        for script, sql in job["scripts"].items():
            said = {"name": job["name"], "script": script}
            try:
                rows = connection.execute(sql).fetchall()
                said["rows"] = [[plain(kind, value) for kind, value in zip(job["types"], row)] for row in rows]
            except duckdb.Error as error:
                said["error"] = str(error)
            print(json.dumps(said))


if __name__ == "__main__":
    main()
