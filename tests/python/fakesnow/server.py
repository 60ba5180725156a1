"""A stand-in for Snowflake: fakesnow (DuckDB behind Snowflake's own HTTP protocol) with a few mends.

It takes any login, knows no warehouse, role or grant, and plans and locks as DuckDB does. What passes here shows that
our statements have the shape and the meaning we think, not that an account would take them, nor what they cost.

What is mended, and why:
- logins that bring no SESSION_PARAMETERS are let in;
- results go as JSON, as Snowflake sends them to clients it does not know, instead of Arrow;
- temporary tables and views are plain ones: DuckDB has those in a catalog of their own, where their full name does not lead; and a table that is made of rows says no types of its own;
- errors carry a query id, and what DuckDB could not do is an error of SQL, not of the server: as Snowflake would,
  it ends the statement and not the transaction;
- a table may have no comment, or one with an apostrophe, which fakesnow puts into a statement of its own as it is;
- MERGE goes to DuckDB's own MERGE: the one of fakesnow makes temporary tables and fails within a transaction;
- what another transaction has changed is locked: DuckDB says so at once, Snowflake after LOCK_TIMEOUT. A transaction that
  stands in somebody's way for the third time, and did nothing in between, is ended; by Snowflake after five minutes.

    python server.py PORT
"""

import base64
import collections
import datetime
import decimal
import json
import re
import sys
import threading

import duckdb
import fakesnow.cursor
import fakesnow.info_schema
import fakesnow.server
import pyarrow
import snowflake.connector.errors
import uvicorn
from sqlglot import exp
from starlette.requests import Request
from starlette.responses import JSONResponse

MET_MAX = 3

_query, _login = fakesnow.server.query_request, fakesnow.server.login_request


def _cell(value: object) -> str | None:
    """A value as Snowflake writes it into JSON rows."""
    match value:
        case None:
            return None
        case bool():
            return "1" if value else "0"
        case bytes():
            return value.hex().upper()
        case datetime.datetime():
            since = value.replace(tzinfo=datetime.UTC) - datetime.datetime.fromtimestamp(0, datetime.UTC)
            micros = since // datetime.timedelta(microseconds=1)
            return f"{'-' if micros < 0 else ''}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06}000"
        case decimal.Decimal():
            return f"{value:f}"
        case dict() | list():
            return json.dumps(value)
        case _:
            return str(value)


def _with_body(request: Request, body: dict) -> Request:
    """The same request with another body."""
    raw = json.dumps(body).encode()

    async def receive() -> dict:
        return {"type": "http.request", "body": raw, "more_body": False}

    scope = dict(request.scope)
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"content-encoding"]
    return Request(scope, receive)


async def _body(request: Request) -> dict:
    import gzip

    body = await request.body()
    return json.loads(gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)


async def login_request(request: Request) -> JSONResponse:
    body = await _body(request)
    body["data"].setdefault("SESSION_PARAMETERS", {})
    return await _login(_with_body(request, body))


# A table that says its columns and what it is made of: DuckDB takes only the latter.
TYPED = re.compile(r"(create\s+or\s+replace\s+(?:transient\s+)?table\s+[\w.\"]+)\s*\((?:[^()]|\([^()]*\))*\)\s*as\s*\(", re.IGNORECASE)
TEMPORARY = re.compile(r"\b(create\s+(?:or\s+replace\s+)?)(?:local\s+|global\s+)?temp(?:orary)?\s+(table|view)\b", re.IGNORECASE)


async def query_request(request: Request) -> JSONResponse:
    met.pop(fakesnow.server.to_token(request), None)
    asked = await _body(request)
    asked["sqlText"] = TYPED.sub(r"\1 as (", TEMPORARY.sub(r"\1\2", asked["sqlText"]))
    response = await _query(_with_body(request, asked))
    body = json.loads(response.body)
    data = body.get("data")
    if response.status_code == 500:
        body |= {"code": "000999", "data": {"errorCode": "000999", "sqlState": "XX000"}}
        response, data = JSONResponse(body), body["data"]
    if data is not None:
        data.setdefault("queryId", "00000000-0000-0000-0000-000000000000")
        if data.get("queryResultFormat") == "arrow":
            rows = []
            if data["rowsetBase64"]:
                table = pyarrow.ipc.open_stream(base64.b64decode(data.pop("rowsetBase64"))).read_all()
                rows = [[_cell(_plain(value)) for value in row.values()] for row in table.to_pylist()]
            data |= {"queryResultFormat": "json", "rowset": rows}
    return JSONResponse(body, status_code=response.status_code)


def _plain(value: object) -> object:
    """A timestamp out of the struct that Snowflake's Arrow has for it, with or without a zone."""
    if isinstance(value, dict) and set(value) == {"epoch", "fraction", "timezone"}:
        return f"{value['epoch']}.{value['fraction']:09} {value['timezone']}"
    if isinstance(value, dict) and set(value) == {"epoch", "fraction"}:
        at = datetime.datetime.fromtimestamp(0, datetime.UTC)
        return at + datetime.timedelta(seconds=value["epoch"], microseconds=value["fraction"] // 1000)
    return value


def _explode(cursor: fakesnow.cursor.FakeSnowflakeCursor, expression: exp.Expr) -> list[exp.Expr]:
    return [expression] if isinstance(expression, exp.Merge) else _explode_others(cursor, expression)


# How often each session stood in somebody's way since it last asked for something.
met: collections.Counter[str] = collections.Counter()


# A session does one thing at a time: its own statement, or to be ended for another one's sake.
turns: collections.defaultdict[int, threading.Lock] = collections.defaultdict(threading.Lock)


def _end_idle_transactions(database: str, but: object) -> None:
    """Ends what holds locks in the database and has nothing under way, nor had when it was met before."""
    for token, session in list(fakesnow.server.sessions.items()):
        if session is but or session.database != database or not turns[id(session)].acquire(blocking=False):
            continue
        try:
            met[token] += session._in_transaction
            if session._in_transaction and met[token] >= MET_MAX:
                session._in_transaction = False
                session._duck_conn.rollback()
        except duckdb.TransactionException:
            pass  # It had none.
        finally:
            turns[id(session)].release()


def _execute(cursor: fakesnow.cursor.FakeSnowflakeCursor, statement: exp.Expr, params: object = None) -> None:
    try:
        with turns[id(cursor._conn)]:
            _execute_any(cursor, statement, params)
            if isinstance(statement, exp.Merge):
                _count_merged(cursor)
    except duckdb.TransactionException as error:
        _end_idle_transactions(cursor._conn.database, but=cursor._conn)
        raise snowflake.connector.errors.ProgrammingError(
            msg=f"locked by another transaction: {error}", errno=625, sqlstate="57014"
        ) from error


def _count_merged(cursor: fakesnow.cursor.FakeSnowflakeCursor) -> None:
    """One number is all that DuckDB says; Snowflake has one for each kind of change."""
    rows = cursor._arrow_table.column(0)[0].as_py()
    cursor._last_sql, cursor._last_params = f"SELECT {rows} AS 'number of rows merged'", None
    cursor._duck_conn.execute(cursor._last_sql)
    cursor._arrow_table, cursor._rowcount = cursor._duck_conn.to_arrow_table(), rows


def _comment(catalog: str, schema: str, table: str, comment: str | None) -> str:
    return _insert_comment(catalog, schema, table, (comment or "").replace("'", "''"))


_insert_comment = fakesnow.info_schema.insert_table_comment_sql
fakesnow.info_schema.insert_table_comment_sql = _comment

_cursor = fakesnow.cursor.FakeSnowflakeCursor
_explode_others, _cursor._transform_explode = _cursor._transform_explode, _explode
_execute_any, _cursor._execute = _cursor._execute, _execute

for route in fakesnow.server.routes:
    for path, endpoint in [("login-request", login_request), ("query-request", query_request)]:
        if route.path.endswith(path):
            route.endpoint, route.app = endpoint, type(route)(route.path, endpoint, methods=["POST"]).app

if __name__ == "__main__":
    uvicorn.run(fakesnow.server.app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
