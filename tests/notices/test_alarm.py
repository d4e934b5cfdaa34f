"""The dead man's alarm: raised once when no worker runs, told when one is back; with real processes, mail and webhook."""

import asyncio
import contextlib
import re
import signal
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from service.jobs import flow as jobs
from service.jobs.silence import is_alarm, silent
from service.values import new_id

from .conftest import Listener, as_platform
from .mailbox import mailing
from .test_worker import yuanshe

SINCE = datetime(2026, 11, 22, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SENDER = "alarm@yuanshe.example"
LIMIT = "4"


@pytest.mark.parametrize(
    ("beat", "known", "now", "silence"),
    [
        (SINCE, SINCE, SINCE + MINUTE, MINUTE),
        (None, SINCE, SINCE + MINUTE, MINUTE),
        (SINCE - 5 * MINUTE, SINCE, SINCE + MINUTE, MINUTE),
        (SINCE + MINUTE, SINCE, SINCE + MINUTE, timedelta()),
        (SINCE + 2 * MINUTE, SINCE, SINCE + MINUTE, timedelta()),
    ],
)
def test_silence_is_counted_from_the_last_sign_of_life_or_since_one_watches(
    beat: datetime | None, known: datetime, now: datetime, silence: timedelta
) -> None:
    """A worker that died before the watch began is not held against it; a clock that runs ahead is no silence."""
    assert silent(beat, known, now) == silence


def test_a_minute_is_too_long_and_less_is_not() -> None:
    assert is_alarm(MINUTE, MINUTE) and not is_alarm(MINUTE - timedelta(milliseconds=1), MINUTE)


@contextlib.asynccontextmanager
async def serving(database: Any, pager: Listener, smtp: int) -> AsyncIterator[str]:
    """`yuanshe serve`, which tells of alarms by webhook and mail, at the address that is handed out."""
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    told = {
        "PORT": str(port), "ALARM_AFTER": LIMIT, "ALARM_TO": f"{pager.url}/alarm,mailto:duty@his.example",
        "SMTP_URL": f"smtp://127.0.0.1:{smtp}?tls=none", "SMTP_FROM": SENDER, "WEBHOOK_SECRET": "whsec_" + "A" * 43 + "=",
    }  # fmt: skip
    async with yuanshe(database, "serve", **told):
        url = f"http://127.0.0.1:{port}"
        while await status(f"{url}/health/live") != 200:
            pass
        yield url


async def status(url: str) -> int:
    """What is answered there; 0 while nobody does."""
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(url)).status_code
        except httpx.TransportError:
            await asyncio.sleep(0)
            return 0


async def silence_of(url: str) -> float:
    async with httpx.AsyncClient() as http:
        found = re.search(
            r"^yuanshe_worker_silent_seconds (\S+)$", (await http.get(f"{url}/metrics")).text, re.MULTILINE
        )
    assert found
    return float(found[1])


async def beating(database: Any) -> None:
    """Wait until a worker has said that it lives."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        while not await connection.fetchval(
            "SELECT count(*) FROM worker_heartbeat WHERE at > now() - interval '1 second'"
        ):
            pass
    finally:
        await connection.close()


@pytest.mark.slow
async def test_a_killed_worker_raises_one_alarm_and_its_successor_ends_it(database: Any, listener: Listener) -> None:
    told: list[dict[str, Any]] = []

    async def hear(state: str, alarm: str | None = None) -> dict[str, Any]:
        """The next alarm of this state, of this silence where one is named."""
        while True:
            got = await listener.next()
            assert got.json["type"] == "urn:yuanshe:alarm" and got.headers["webhook-signature"].startswith("v1,")
            told.append(got.json["data"])
            if told[-1]["state"] == state and alarm in (None, told[-1]["alarm"]):
                return told[-1]

    async with mailing() as box:
        async with yuanshe(database, "work", ALARM_AFTER=LIMIT) as worker:
            await beating(database)
            # Two that watch: of them one raises the alarm.
            async with serving(database, listener, box.port) as url, serving(database, listener, box.port) as other:
                while await status(f"{url}/health/workers") != 200:
                    pass
                worker.send_signal(signal.SIGKILL)
                await worker.wait()
                raised = await hear("raised")
                while await status(f"{url}/health/workers") != 503 or await status(f"{other}/health/workers") != 503:
                    pass
                assert await status(f"{url}/health/ready") == 200, "everything is still answered"
                assert await silence_of(url) >= int(LIMIT)
                async with yuanshe(database, "work", ALARM_AFTER=LIMIT):
                    await hear("ended", raised["alarm"])
                    while await status(f"{url}/health/workers") != 200:
                        pass
        assert raised["what"] == "no-worker"
        subjects = [(await box.next())["Subject"] for _ in range(2)]
    assert "no worker runs" in subjects[0] and "runs again" in subjects[1]
    said = [(one["alarm"], one["state"]) for one in told]
    assert len(said) == len(set(said)), "of each silence its beginning once, and its end once"


async def test_who_begins_to_watch_ends_no_alarm_and_raises_none_twice(service: Any) -> None:
    """Only a sign of life ends it: a second server that starts in the middle of a silence has heard of none."""
    after = timedelta(seconds=60)

    async def look(known: datetime, now: datetime) -> list[tuple[bool, Any]]:
        async def run(session: Any) -> list[tuple[bool, Any]]:
            await jobs.watch(session, known, after, now)
            found = await jobs.untold(session, now, timedelta())
            for alarm in found:
                await jobs.told(session, alarm, now)
            return [(alarm.beginning, alarm.id) for alarm in found]

        return await as_platform(service, run)

    assert await look(SINCE, SINCE + timedelta(seconds=59)) == []
    ((beginning, alarm),) = await look(SINCE, SINCE + MINUTE)
    assert beginning
    assert await look(SINCE + MINUTE, SINCE + MINUTE) == [], "another one, which has just started"
    assert await look(SINCE, SINCE + 2 * MINUTE) == [], "once a silence"
    await as_platform(service, lambda session: jobs.beat(session, new_id(), SINCE + 3 * MINUTE))
    assert await look(SINCE, SINCE + 3 * MINUTE) == [(False, alarm)]
    assert await look(SINCE, SINCE + 3.5 * MINUTE) == []
    ((beginning, another),) = await look(SINCE, SINCE + 5 * MINUTE)
    assert beginning and another != alarm


async def test_what_could_not_be_told_is_told_when_its_lease_ends(service: Any) -> None:
    await as_platform(service, lambda session: jobs.watch(session, SINCE, MINUTE, SINCE + MINUTE))

    async def take(now: datetime) -> list[Any]:
        return await as_platform(service, lambda session: jobs.untold(session, now, MINUTE))

    (first,) = await take(SINCE + MINUTE)
    assert await take(SINCE + 1.5 * MINUTE) == [], "another one tells of it, or was killed"
    (again,) = await take(SINCE + 2 * MINUTE)
    assert first == again
