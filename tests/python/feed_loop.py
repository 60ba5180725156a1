"""Reads a feed over and over while somebody commits to it: `feed_loop.py FEED SESSIONS`.

Every commit sets `age` of all users, and the title of all movies, to its epoch. So a reader that sees two of them sees two
commits at once.
"""

import sys

import duckdb

QUERIES = {
    "users": "SELECT DISTINCT age, _epoch FROM users",
    "movies": "SELECT DISTINCT title::BIGINT, _epoch FROM movies_catalog",
    "deltas": "SELECT max(age), max(_epoch) FROM users_deltas",
    "raw": "SELECT max(_offset), max(_epoch) FROM rejected_events",
    "progress": "SELECT epoch, epoch FROM _progress",
}


def session(feed):
    connection = duckdb.connect(config={"threads": 1})
    with open(f"{feed}/views.sql", encoding="utf-8") as views:
        connection.execute(views.read())
    return connection


def epoch(connection):
    """The one commit that all tables are of."""
    rows = [connection.execute("SELECT epoch, epoch FROM _progress").fetchone()]
    for name, query in QUERIES.items():
        found = connection.execute(query).fetchall()
        assert len(found) == 1, f"{name}: {found}"
        rows += found
    seen = {value for row in rows for value in row}
    assert len(seen) == 1, f"tables of different commits: {rows}"
    return seen.pop()


def main(feed, sessions):
    before, epochs = None, []
    for _ in range(sessions):
        now = session(feed)
        epochs.append(epoch(now))
        if before:
            # Meanwhile it was committed to, and merged: a session stays where it was.
            assert epoch(before) == epochs[-2], "a session went on to another commit"
        before = now
    assert epochs == sorted(epochs), epochs
    print(len(set(epochs)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
