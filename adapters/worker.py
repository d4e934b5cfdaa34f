"""The worker: orders events, chains the audit, makes and posts notices, runs sweeps; any number may run at once.

Everything it does is a transaction that leaves the rest for the next look, so it may be killed at any point: nothing is
lost, and what was posted but not recorded is posted again under the same webhook-id.
"""

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from adapters import relay
from adapters.delivery.mail import mailing
from adapters.delivery.post import Post, by_channel, posting
from service import db, events
from service.access import flow as access
from service.access.model import Actor, Call, clock_actor
from service.db import Session
from service.exports import flow as exports
from service.jobs import flow as jobs
from service.notices import flow as notices
from service.notices.model import Message, Notice, Outcome, Outgoing
from service.notices.reach import Network, Reach
from service.notices.schedule import DEFAULT, Schedule
from service.practice import PLATFORM
from service.referrals import consent_flow
from service.referrals import sweeps as referrals
from service.values import Id, new_id, utc_now

log = logging.getLogger(__name__)

TICK = 5.0
"""Seconds after which everything is looked at again, news or not: a lost notification delays, and loses nothing."""
BEAT = 10.0
"""Seconds between two signs of life."""
AT_ONCE = 4
"""Posts in flight to one subscriber that answers; one that fails gets one at a time."""
ROOM, ROOM_FAILING = 48, 16
"""Posts in flight in all: the failing ones have places of their own, so that they can never take all."""
ROUNDS = 50
"""How often a sweep that did something is run again at once, before others get their turn."""
LEAVING = 3.0
"""Seconds for posts in flight when the worker is told to stop; what does not end by then is posted again later."""


Render = Callable[[db.Database, Sequence[Notice]], Awaitable[Message]]
"""Notices of one subscriber that go out together, as one message; what is told of in full is read at that moment."""


class Sweep(msgspec.Struct, frozen=True):
    """`run` is called every `every`, again at once as long as it says that it did something (how many)."""

    every: timedelta
    run: Callable[[Session, Actor, datetime], Awaitable[int]]


async def _forget(session: Session, actor: Actor, now: datetime) -> int:
    await access.forget(session, now)
    return 0  # All of it at once: there is no more to do.


SWEEPS: dict[str, Sweep] = {
    "expire": Sweep(timedelta(seconds=1), referrals.expire_due),
    "consents": Sweep(timedelta(seconds=5), consent_flow.follow_due),
    "remind": Sweep(timedelta(seconds=5), referrals.remind_due),
    "end-subscriptions": Sweep(timedelta(seconds=10), notices.end_due),
    "forget": Sweep(timedelta(hours=1), _forget),
    "drop-exports": Sweep(timedelta(minutes=1), exports.forget),
}
"""When → sweep. Each run is one transaction as the platform's clock."""


Job = Callable[[db.Database], Awaitable[bool]]
"""Does a piece of later work, in transactions of its own; whether there was one to do."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker works with. `dsn` is for the connections that only listen and ring; `renders` maps a subscription's
    format to what writes its bodies; `jobs` maps a kind of later work to what does a piece of it; `mail` sends what goes by mail; `timeout` in seconds bounds one attempt.
    """

    database: db.Database
    dsn: str
    renders: Mapping[str, Render]
    sweeps: Mapping[str, Sweep]
    jobs: Mapping[str, Job] = {}
    networks: tuple[Network, ...] = ()
    mail: Post = mailing(None, Reach(), 0)
    schedule: Schedule = DEFAULT
    timeout: float = 10.0

    @property
    def lease(self) -> timedelta:
        """How long a claimed notice is another's: longer than a post can take, since recording it takes time too."""
        return timedelta(seconds=2 * self.timeout)


CLOCK = clock_actor(PLATFORM)


async def work(it: Work, stop: asyncio.Event) -> None:
    """Run until `stop` is set. The database may go away and come back; a failing part is logged and tried again."""
    news, due = asyncio.Event(), asyncio.Event()
    bells = {kind: asyncio.Event() for kind in it.jobs}
    me = new_id()
    looked: dict[str, datetime] = {}

    def rung() -> None:
        for bell in (news, *bells.values()):
            bell.set()

    async with (
        relay.Relay(it.dsn, relay.SEQUENCED).running() as sequenced,
        relay.listening(it.dsn, rung),
        posting(it.networks, it.timeout) as hook,
    ):
        post = by_channel({"rest-hook": hook, "email": it.mail})
        parts = [
            asyncio.create_task(_again(news, TICK, "event log", lambda: advance(it.database, sequenced.ring, due.set))),
            asyncio.create_task(_again(asyncio.Event(), 1.0, "sweeps", lambda: sweep(it.database, it.sweeps, looked))),
            asyncio.create_task(_again(asyncio.Event(), BEAT, "heartbeat", lambda: _beat(it.database, me))),
            asyncio.create_task(_deliver(it, post, due)),
            *(
                asyncio.create_task(_again(bells[kind], TICK, kind, lambda job=job: _all(it.database, job)))
                for kind, job in it.jobs.items()
            ),
        ]
        log.info("the worker runs")
        try:
            await stop.wait()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
    try:
        async with it.database.transaction(CLOCK.scope) as session:
            await jobs.leave(session, me)
    except Exception as fault:
        _log("leaving", fault)
    log.info("the worker stopped")


async def advance(database: db.Database, sequenced: Callable[[], None], due: Callable[[], None]) -> None:
    """Order what was committed, chain the audit, make deliveries: all there is, in bounded transactions."""
    while await _step(database, lambda session: events.sequence(session)):
        sequenced()
    while await _step(database, lambda session: notices.fan_out(session, session.began)):
        due()
    due()  # A handshake or a wish to send again comes without an event.
    while await _step(database, lambda session: access.chain(session, session.began)):
        pass


async def _step(database: db.Database, run: Callable[[Session], Awaitable[int]]) -> int:
    async with database.transaction(CLOCK.scope) as session:
        return await run(session)


async def sweep(database: db.Database, sweeps: Mapping[str, Sweep], looked: dict[str, datetime]) -> None:
    """Run each sweep that is due and that no other worker runs; one that fails holds up no other.

    `looked` remembers when this worker last asked for each, so that the database is not asked in vain.
    """
    for name, each in sweeps.items():
        now = utc_now()
        if name in looked and now - looked[name] < each.every:
            continue
        looked[name] = now
        try:
            async with database.transaction(CLOCK.scope) as session:
                mine = await jobs.take_sweep(session, name, each.every, now)
                done = await _audited(session, name, each) if mine else 0
            for _ in range(ROUNDS):
                if not done:
                    break
                done = await _step(database, lambda session, name=name, each=each: _audited(session, name, each))
        except Exception as fault:
            _log(f"sweep {name}", fault)


async def _audited(session: Session, name: str, each: Sweep) -> int:
    done = await each.run(session, CLOCK, session.began)
    if session.patients or session.referrals:  # A sweep that found nothing is no access to anybody.
        await access.log_sweep(session, CLOCK, Call("E", f"sweep-{name}"), session.began)
    return done


async def _all(database: db.Database, job: Job) -> None:
    while await job(database):
        pass


async def _beat(database: db.Database, me: Id) -> None:
    async with database.transaction(CLOCK.scope) as session:
        await jobs.beat(session, me, utc_now())


async def _deliver(it: Work, post: Post, due: asyncio.Event) -> None:
    """Claim what is due and post it, until cancelled; then posts in flight get a moment to end."""
    flying: dict[asyncio.Task[None], Outgoing] = {}

    def landed(task: asyncio.Task[None]) -> None:
        del flying[task]
        due.set()  # Its place is free.

    try:
        while True:
            due.clear()
            wait = TICK
            try:
                for sent in await _claim(it, list(flying.values())):
                    task = asyncio.create_task(_send(it, post, sent))
                    flying[task] = sent
                    task.add_done_callback(landed)
                wait = await _until_next(it.database)
            except Exception as fault:
                _log("claiming", fault)
            await _rung(due, wait)
    finally:
        if flying:
            _, late = await asyncio.wait(list(flying), timeout=LEAVING)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


async def _claim(it: Work, flying: list[Outgoing]) -> list[Outgoing]:
    posts = Counter(sent.notice.subscriber.id for sent in flying)
    failing = sum(1 for sent in flying if sent.notice.subscriber.failures)
    now = utc_now()
    async with it.database.transaction(CLOCK.scope) as session:
        claimed: list[Outgoing] = []
        for is_failing, room, at_once in (
            (False, ROOM - (len(flying) - failing), AT_ONCE),
            (True, ROOM_FAILING - failing, 1),
        ):
            if room > 0:
                claimed += await notices.claim(
                    session, now, it.lease, posts, at_once=at_once, room=room, failing=is_failing
                )
        return claimed


async def _until_next(database: db.Database) -> float:
    """Seconds until the next notice is due. What is due but not ours (no place, another's) can wait a second."""
    async with database.transaction(CLOCK.scope) as session:
        at = await notices.next_due(session)
    wait = (at - utc_now()).total_seconds() if at else TICK
    return min(wait, TICK) if wait > 0 else 1.0


async def _send(it: Work, post: Post, sent: Outgoing) -> None:
    try:
        await deliver(it, post, sent)
    except Exception as fault:
        # Not recorded: it comes due again when its lease ends.
        _log("recording a delivery", fault)


async def deliver(it: Work, post: Post, sent: Outgoing, clock: Callable[[], datetime] | None = None) -> None:
    """Post one claimed notice and record what came of it, at the time of the transaction that does, unless `clock` says another."""
    try:
        message = await it.renders[sent.notice.subscriber.format](it.database, sent.notices)
        outcome = await post(sent, message, (clock or utc_now)())
    except Exception as fault:
        # A fault of ours must not hold this notice in an endless circle: it counts as an attempt and is visible.
        _log("a delivery", fault)
        outcome = Outcome(error="internal-error")
    async with it.database.transaction(CLOCK.scope) as session:
        await notices.settle(session, sent, outcome, it.schedule, clock() if clock else session.began)


async def _again(news: asyncio.Event, seconds: float, what: str, run: Callable[[], Awaitable[None]]) -> None:
    while True:
        news.clear()
        try:
            await run()
        except Exception as fault:
            _log(what, fault)
            await asyncio.sleep(1.0)
        await _rung(news, seconds)


async def _rung(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        pass


def _log(what: str, fault: Exception) -> None:
    # The message of a database error can quote a row, so only its kind and its place are logged.
    frame = traceback.extract_tb(fault.__traceback__)[-1:]
    place = f" at {frame[0].name} line {frame[0].lineno}" if frame else ""
    log.warning("%s failed: %s%s", what, type(fault).__name__, place)
