"""The control: one submission's statements, as captured from the service, made into a script for `pgbench -M prepared`.

The script is never written by hand, so it cannot drift from what the service does: the same statements with values of
the same types and lengths, in the same order and as many round trips, under the same role and row security. What is
unique to a submission (ids, the placer's and the patient's numbers) is unique in each transaction of the script, too.
"""

import contextlib
import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import httpx
import msgspec

from adapters import app, settings
from tests.bench import ward
from tests.bench.ground import Ground

TWELVE = "~" * 12
"""Stands in a value for the twelve digits that number a transaction."""
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Trip(msgspec.Struct, frozen=True):
    """One round trip: a statement with the text form and the type of each value; none for a simple message."""

    sql: str
    values: tuple[str | None, ...] = ()
    types: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        return re.search(r"\b(INSERT|UPDATE|DELETE)\b(?! OF)", re.sub(r"FOR UPDATE", "", self.sql)) is not None


@contextlib.asynccontextmanager
async def running(on: Ground, dsn: str | None = None) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """The service in this process, with one connection, so that all its statements pass one place."""
    built = app.create(settings.Settings(), dsn or on.app_dsn, base_url="http://127.0.0.1", size=1)
    async with contextlib.AsyncExitStack() as stack:
        for context in built._lifespan_managers:
            await stack.enter_async_context(context(built) if callable(context) else context)  # pyright: ignore
        http = await stack.enter_async_context(httpx.AsyncClient(transport=httpx.ASGITransport(built), timeout=60))  # pyright: ignore
        yield built.state.database, http


async def post(http: httpx.AsyncClient, token: str, n: int) -> None:
    sent = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    answer = await http.post("http://127.0.0.1/fhir", content=ward.body(n), headers=sent)
    if answer.status_code != 200:
        raise RuntimeError(f"a submission answered {answer.status_code}: {answer.text[:500]}")


async def capture(on: Ground, first: int) -> list[Trip]:
    """The round trips of one submission, with what is unique in them marked."""
    async with running(on) as (database, http):
        token = on.token("his-a")
        await post(http, token, first)  # The token is known from here on, and the types of all parameters.
        seen: list[Any] = []
        async with database.pool.acquire() as connection:
            connection.add_query_logger(seen.append)
        found: list[list[Trip]] = []
        for n in (first + 1, first + 2):
            seen.clear()
            await post(http, token, n)
            logged = [(one.query, tuple(one.args or ())) for one in seen]
            async with database.pool.acquire() as connection:
                found.append([await _trip(connection, *one) for one in logged])
            seen.clear()
    return marked(*found, str(first + 1).zfill(12), ward.citizen(first + 1))


async def _trip(connection: Any, sql: str, args: tuple[Any, ...]) -> Trip:
    if not args:
        return Trip(sql)
    types = tuple(one.name for one in (await connection.prepare(sql)).get_parameters())
    return Trip(sql, tuple(None if value is None else _text(value) for value in args), types)


def _text(value: Any) -> str:
    """A value in PostgreSQL's text form."""
    match value:
        case bool():
            return "t" if value else "f"
        case bytes():
            return f"\\x{value.hex()}"
        case datetime() | date():
            return value.isoformat()
        case list() | tuple():
            return "{" + ",".join(_element(one) for one in value) + "}"
        case _:
            return str(value)


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return _text(value)
    return '"' + _text(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def marked(one: Sequence[Trip], other: Sequence[Trip], number: str, citizen: str) -> list[Trip]:
    """The first submission's trips; ids that the second has otherwise are this submission's own, and get the mark."""
    if [trip.sql for trip in one] != [trip.sql for trip in other]:
        raise RuntimeError("two submissions did not send the same statements")
    own: dict[str, str] = {}
    for mine, theirs in zip(one, other, strict=True):
        for a, b in zip(mine.values, theirs.values, strict=True):
            for x, y in zip(ID.findall(a or ""), ID.findall(b or ""), strict=True):
                if x != y and x not in own:
                    # The same length and the same order as time-ordered ids have: the number comes last.
                    own[x] = f"{uuid.uuid4().hex[:8]}-0000-7000-8000-{TWELVE}"
    places = {number: TWELVE, citizen: citizen[:6] + TWELVE, **own}
    pattern = re.compile("|".join(map(re.escape, places)))
    return [
        msgspec.structs.replace(
            trip, values=tuple(v and pattern.sub(lambda found: places[found.group()], v) for v in trip.values)
        )
        for trip in one
    ]


PARAMETER = re.compile(r"\$(\d+)")


class Script(msgspec.Struct, frozen=True):
    """A pgbench script and the values of its variables."""

    text: str
    variables: dict[str, str]


def script(trips: Sequence[Trip]) -> Script:
    """The trips for pgbench. BEGIN and the row scope, one message of the simple protocol, go as one pipeline: one trip."""
    variables: dict[str, str] = {}
    lines = [r"\set i :i + 1", r"\set n :base + :i * 64 + :client_id"]
    for place, trip in enumerate(trips):
        if not trip.values and ";" in trip.sql.rstrip(";"):
            lines += [r"\startpipeline", *(f"{part.strip()};" for part in trip.sql.split(";")), r"\endpipeline"]
            continue

        def value(found: re.Match[str], trip: Trip = trip, place: int = place) -> str:
            at = int(found.group(1)) - 1
            content, type = trip.values[at], trip.types[at]
            if content is None:
                return f"NULL::{type}"
            name = f"v{place}_{at}"
            variables[name] = content
            return f"replace(:{name}::text, '{TWELVE}', :n::text)::{type}" if TWELVE in content else f":{name}::{type}"

        lines.append(" ".join(PARAMETER.sub(value, trip.sql).split()) + ";")
    return Script("\n".join(lines) + "\n", variables)


def writes_alone(trips: Sequence[Trip]) -> list[Trip]:
    """The same round trips, those that write nothing emptied: what the rows themselves cost."""
    return [
        trip if trip.writes or not trip.values else Trip("SELECT 1")
        for trip in trips
    ]  # fmt: skip


class Bench(msgspec.Struct, frozen=True):
    """What pgbench did: transactions in all, and of those that ended within the measured `seconds` each one's latency."""

    done: int
    seconds: float
    latencies: list[float]


def run(on: Ground, what: Script, connections: int, warm: float, seconds: float, base: int) -> Bench:
    """Run the script on as many connections; `base` (twelve digits) keeps the ids of runs apart.

    The first `warm` seconds are not counted: new backends read catalogues and plan, which those of a pool did long ago.
    """
    options = ["-c", str(connections), "-j", "2", "-T", str(round(warm + seconds))]
    with tempfile.TemporaryDirectory() as place:
        _pgbench(on, what, [*options, "-l", "--log-prefix", str(Path(place) / "log")], base)
        # client, transaction, microseconds, script, and when it ended: seconds and microseconds
        lines = [line.split() for log in Path(place).glob("log*") for line in log.read_text().splitlines()]
    ends = [(int(line[4]) + int(line[5]) / 1e6, int(line[2]) / 1e6) for line in lines]
    last = max(end for end, _ in ends)
    counted = [took for end, took in ends if end > last - seconds]
    return Bench(len(lines), seconds, counted)


def repeat(on: Ground, what: Script, times: int, base: int) -> None:
    """Run the script on one connection, so many times."""
    _pgbench(on, what, ["-c", "1", "-t", str(times)], base)


def _pgbench(on: Ground, what: Script, options: Sequence[str], base: int) -> None:
    parts = urlsplit(on.app_dsn)
    query = parse_qs(parts.query)
    env = os.environ | {
        "PGPASSWORD": unquote(parts.password or ""), "PGUSER": unquote(parts.username or ""), "PGHOST": query["host"][0],
        "PGPORT": query["port"][0], "PGDATABASE": parts.path[1:],
    }  # fmt: skip
    variables = what.variables | {"i": "0", "base": str(base)}
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "submission.sql"
        file.write_text(what.text)
        command = [on.attached.binaries.program("pgbench"), "-n", "-M", "prepared", "-f", str(file), *options]
        command += [f"-D{name}={value}" for name, value in variables.items()]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "number of failed transactions: 0" not in done.stdout:
        raise RuntimeError(f"pgbench failed: {done.stdout[-2000:]} {done.stderr[-2000:]}")


ROWS = """
SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS rows FROM pg_stat_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""
WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


async def written(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[dict[str, int], int]:
    """Rows written so far in each table, and bytes of the write-ahead log."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    rows = {row["relname"]: row["rows"] for row in await connection.fetch(ROWS)}
    return rows, int(await connection.fetchval(WAL))
