"""The dead man's alarm: tells the operator that no worker runs, and when one is back, by the log, by mail and by webhook.

It is told by whoever answers HTTP, since a worker cannot tell of its own death; that nobody answers HTTP is for a probe from outside.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from adapters.delivery.page import addressed
from adapters.delivery.post import Post, by_channel, posting
from service.access.model import clock_actor
from service.db import Database
from service.errors import Unavailable
from service.jobs import flow as jobs
from service.jobs.silence import Alarm
from service.notices.model import Message
from service.notices.reach import Network
from service.practice import PLATFORM
from service.values import SHANGHAI, utc_now

log = logging.getLogger(__name__)
CLOCK = clock_actor(PLATFORM)

LOOK = 5.0
"""Seconds between two looks at the most; four looks fall within the limit."""
LEASE = timedelta(seconds=30)
"""How long telling is another's, and after how long what could not be told is tried again."""
SUBJECTS = ("院社 Yuanshe: 无后台进程在运行 no worker runs", "院社 Yuanshe: 后台进程已恢复 a worker runs again")


class Alarms(msgspec.Struct, frozen=True, kw_only=True):
    """How the operator is told: `to` are webhooks and mailboxes, `after` seconds is too long without a worker."""

    to: tuple[str, ...]
    after: int
    mail: Post
    networks: Sequence[Network] = ()
    timeout: float = 10.0
    secret: str = ""

    async def watch(self, database: Database) -> None:
        """Look until cancelled. While the database is away nobody can say whether a worker runs; readiness says that."""
        known = utc_now()
        while True:
            try:
                async with database.transaction(CLOCK.scope) as session:
                    found = await jobs.watch(session, known, timedelta(seconds=self.after), session.began)
                    known = found.known
                    news = await jobs.untold(session, session.began, LEASE)
                for alarm in news:
                    await self._tell(database, alarm)
            except Unavailable:
                known = utc_now()
            except Exception as fault:
                log.error("the watch over the workers failed: %s", type(fault).__name__)
            await asyncio.sleep(min(LOOK, self.after / 4))

    async def _tell(self, database: Database, alarm: Alarm) -> None:
        if alarm.beginning:
            log.error(
                "ALARM: no worker has run since %s: nothing is delivered and no clock runs", alarm.since.isoformat()
            )
        else:
            log.warning("ALARM ENDED: a worker runs again; there was none from %s on", alarm.since.isoformat())
        if not await self._sent(alarm):
            return  # It is tried again when the lease ends.
        async with database.transaction(CLOCK.scope) as session:
            await jobs.told(session, alarm, session.began)

    async def _sent(self, alarm: Alarm) -> bool:
        """Whether it arrived anywhere, or there is nowhere to send it."""
        if not self.to:
            return True
        async with posting(self.networks, self.timeout) as hook:
            post = by_channel({"rest-hook": hook, "email": self.mail})
            tried = await asyncio.gather(*(self._one(post, endpoint, alarm) for endpoint in self.to))
        return any(tried)

    async def _one(self, post: Post, endpoint: str, alarm: Alarm) -> bool:
        at = alarm.raised_at if alarm.beginning else alarm.ended_at or alarm.raised_at
        outcome = await post(
            addressed(alarm.id, PLATFORM, endpoint, self.secret, at), message(endpoint, alarm, at), utc_now()
        )
        if not outcome.arrived:
            log.error("the alarm could not be told: %s", outcome.error or outcome.status)
        return outcome.arrived


def message(endpoint: str, alarm: Alarm, at: datetime) -> Message:
    """What is said: no figures of anybody's work, and nobody."""
    state = "raised" if alarm.beginning else "ended"
    if not endpoint.startswith("mailto:"):
        data = {"alarm": str(alarm.id), "what": "no-worker", "state": state, "since": alarm.since}
        return Message(
            "application/json", msgspec.json.encode({"type": "urn:yuanshe:alarm", "timestamp": at, "data": data})
        )
    since = f"{alarm.since.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
    text = (
        f"自 {since} 起没有后台进程在运行：通知、时限和危机呼叫都已停止。请启动 yuanshe work。\n"
        f"No worker has run since {since} (+08:00): notices, clocks and calls in a crisis stand still. Start yuanshe work.\n"
        if alarm.beginning
        else f"后台进程已恢复运行（自 {since} 起曾中断）。\nA worker runs again; there was none from {since} (+08:00) on.\n"
    )
    return Message("text/plain", b"", text, SUBJECTS[0 if alarm.beginning else 1])
