"""Asks the tiles, one file of SQL each in `tiles/`, of whatever holds the tables: SQLite, the Parquet feed, Snowflake.

Their text is what all three understand. It has names of parameters (`:from`), and each place has its own way to write them.
"""

from __future__ import annotations

import datetime
import decimal
import pathlib
import re
import sqlite3

TILES = pathlib.Path(__file__).parent / "tiles"
NAMES = ("from", "until", "top", "recent")
PARAMETER = re.compile(rf"(?<!:):({'|'.join(NAMES)})\b")
# A session is over half an hour after its last event.
SESSION = datetime.timedelta(minutes=30)


def plain(value):
    """A value as all places have it: an instant as text, UTC, in milliseconds; a number of whole ones as int, else as float."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, (float, decimal.Decimal)):
        return int(value) if value == int(value) else round(float(value), 2)
    return value


class Tables:
    """Where the tables are. `ask` is a function of a text and values; `write` makes a parameter of a name."""

    def __init__(self, ask, write):
        self.ask, self.write = ask, write

    def tile(self, name: str, **values) -> list[dict]:
        """The rows of a tile. Only the parameters that it names are handed over."""
        lines = (TILES / f"{name}.sql").read_text().splitlines()
        text = "\n".join(line for line in lines if not line.startswith("--"))
        named = {parameter: values[parameter] for parameter in PARAMETER.findall(text)}
        return self.rows(PARAMETER.sub(lambda found: self.write(found[1]), text), named)

    def rows(self, text: str, named: dict | None = None) -> list[dict]:
        columns, rows = self.ask(text, named or {})
        return [dict(zip((column.lower() for column in columns), map(plain, row))) for row in rows]

    def days(self) -> tuple[datetime.date, datetime.date] | None:
        """The first and the last day with a purchase, if there is one."""
        (found,) = self.tile("days")
        if found["first"] is None:
            return None
        return tuple(datetime.date.fromisoformat(found[name][:10]) for name in ("first", "last"))

    def progress(self) -> dict:
        """Up to which event time the tables are complete, and when that was committed."""
        (found,) = self.rows("SELECT watermark, committed_at FROM _progress")
        return found

    def recent(self) -> str | None:
        """Since when an event makes a session one of now, by the time of events."""
        watermark = self.progress()["watermark"]
        if not watermark:
            return None
        return plain(datetime.datetime.fromisoformat(watermark.replace("Z", "+00:00")) - SESSION)


def sqlite(path) -> Tables:
    """The warehouse, only to be read; a run may write meanwhile."""
    # A connection of its own for each answer: Streamlit asks from several threads.
    def ask(text, named):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            found = connection.execute(text, named)
            return [column[0] for column in found.description], found.fetchall()
        finally:
            connection.close()

    return Tables(ask, lambda name: f":{name}")


def feed(path) -> Tables:
    """The Parquet feed in a folder, at the newest commit, by DuckDB."""
    import duckdb

    folder = pathlib.Path(path).resolve()

    def ask(text, named):
        with duckdb.connect() as connection:
            connection.execute("SET VARIABLE deltamart_feed = " + "'" + str(folder).replace("'", "''") + "'")
            connection.execute((folder / "views.sql").read_text())
            found = connection.execute(text, named)
            return [column[0] for column in found.description], found.fetchall()

    return Tables(ask, lambda name: f"${name}")


def snowflake(connection) -> Tables:
    """What a connection of Snowflake's Python connector sees: its schema is that of the marts."""
    def ask(text, named):
        cursor = connection.cursor()
        cursor.execute(text, named or None)
        return [column[0] for column in cursor.description], cursor.fetchall()

    return Tables(ask, lambda name: f"%({name})s")


def there(path) -> Tables:
    """What is at a path: a folder is a feed, a file a warehouse."""
    if not pathlib.Path(path).exists():
        raise FileNotFoundError(f"there is no warehouse and no feed at {path}")
    return feed(path) if pathlib.Path(path).is_dir() else sqlite(path)
