"""The worker: orders events, chains the audit, makes and posts notices, runs sweeps; any number may run at once.

Everything it does is a transaction that leaves the rest for the next look, so it may be killed at any point: nothing is
lost, and what was posted but not recorded is posted again under the same webhook-id.
"""

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from adapters import relay
from adapters.delivery.mail import mailing
from adapters.delivery.post import Post, by_channel, posting
from service import db, events
from service.access import flow as access
from service.access.model import Actor, Call, clock_actor
from service.casework import bulk_flow, downtime_flow, handing_over_flow, visiting_flow
from service.db import Session
from service.exports import flow as exports
from service.jobs import flow as jobs
from service.notices import flow as notices
from service.notices import link_flow
from service.notices.model import Message, Notice, Outcome, Outgoing
from service.notices.reach import Network, Reach
from service.notices.schedule import DEFAULT, Schedule
from service.practice import PLATFORM
from service.records import inbox_flow as inbox
from service.referrals import attachment_flow, consent_flow, draft_flow
from service.referrals import sweeps as referrals
from service.values import Id, new_id, utc_now

log = logging.getLogger(__name__)

TICK = 5.0
"""Seconds after which everything is looked at again, news or not: a lost notification delays, and loses nothing."""
BEAT = 10.0
"""Seconds between two signs of life."""
AT_ONCE = 4
"""Posts in flight to one subscriber that answers; one that fails gets one at a time."""
AHEAD = 32
"""Notices taken beyond that at most: as many as arrived since the last look, so that who answers quickly never waits for one."""
HELD = 1.0
"""Seconds for which one may be kept like that: then it is given back, for the subscription may have changed since."""
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
    "duties": Sweep(timedelta(seconds=5), referrals.overdue_duties),
    "hand-overs": Sweep(timedelta(seconds=5), handing_over_flow.due),
    "end-subscriptions": Sweep(timedelta(seconds=10), notices.end_due),
    "forget": Sweep(timedelta(hours=1), _forget),
    "downtime-lists": Sweep(timedelta(minutes=1), downtime_flow.make_due),
    "missed-visits": Sweep(timedelta(minutes=1), visiting_flow.notice_missed),
    "forget-links": Sweep(timedelta(hours=1), link_flow.forget),
    "forget-hl7": Sweep(timedelta(minutes=10), inbox.forget),
    "forget-drafts": Sweep(timedelta(hours=1), draft_flow.forget),
    "orphans": Sweep(timedelta(hours=1), attachment_flow.sweep_orphans),
    "forget-bulk": Sweep(timedelta(hours=1), bulk_flow.forget),
    "drop-exports": Sweep(timedelta(minutes=1), exports.forget),
}
"""When → sweep. Each run is one transaction as the platform's clock."""


Job = Callable[[db.Database], Awaitable[bool]]
"""Does a piece of later work, in transactions of its own; whether there was one to do."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker works with. `dsn` is for the connections that only listen and ring; `renders` maps a subscription's
    format to what writes its bodies; `jobs` maps a kind of later work to what does a piece of it; `mail` sends what goes by mail; `timeout` in seconds bounds one attempt;
    `beat` seconds lie between two signs of life.
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
    beat: float = BEAT

    @property
    def lease(self) -> timedelta:
        """How long a claimed notice is another's: longer than a post can take, since recording it takes time too."""
        return timedelta(seconds=2 * self.timeout)


CLOCK = clock_actor(PLATFORM)


async def work(it: Work, stop: asyncio.Event) -> None:
    """Run until `stop` is set. The database may go away and come back; a failing part is logged and tried again."""
    due = asyncio.Event()
    news, written = asyncio.Event(), asyncio.Event()
    bells = {kind: asyncio.Event() for kind in it.jobs}
    me = new_id()
    looked: dict[str, datetime] = {}

    def rung() -> None:
        for bell in (news, written, *bells.values()):
            bell.set()

    async with (
        relay.Relay(it.dsn, relay.SEQUENCED).running() as sequenced,
        relay.listening(it.dsn, rung),
        posting(it.networks, it.timeout) as hook,
    ):
        post = by_channel({"rest-hook": hook, "email": it.mail})
        parts = [
            asyncio.create_task(_again(news, TICK, "event log", lambda: advance(it.database, sequenced.ring, due.set))),
            asyncio.create_task(_again(written, TICK, "audit chain", lambda: chain(it.database))),
            asyncio.create_task(_again(asyncio.Event(), 1.0, "sweeps", lambda: sweep(it.database, it.sweeps, looked))),
            asyncio.create_task(_again(asyncio.Event(), it.beat, "heartbeat", lambda: _beat(it.database, me))),
            asyncio.create_task(Sending(it, post, due).run()),
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
    """Order what was committed and make deliveries: all there is, in bounded transactions, by turns. However many keep coming,
    what has its place is told of before the next ones get theirs."""
    while True:
        placed = await _step(database, lambda session: events.sequence(session))
        if placed:
            sequenced()
        moved = await _step(database, lambda session: notices.fan_out(session, session.began))
        due()  # Also if nothing moved: a handshake or a wish to send again comes without an event.
        if not placed and not moved:
            return


async def chain(database: db.Database) -> None:
    """Chain the audit: all there is. News does not wait for it."""
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


class Line(msgspec.Struct, eq=False):
    """What this worker has taken for one subscriber: how many posts fly, what waits for one to land (and since when, by the
    loop's clock), and how many arrived since the last look."""

    flying: int = 0
    waiting: deque[tuple[float, Outgoing]] = msgspec.field(default_factory=deque)
    arrived: int = 0
    failing: bool = False

    @property
    def places(self) -> int:
        return min(self.flying + len(self.waiting), AT_ONCE)

    def clear(self) -> list[Outgoing]:
        """What waits, which does not any more."""
        left = [sent for _, sent in self.waiting]
        self.waiting.clear()
        return left


class Sending:
    """Takes what is due, posts it and records what came of it, until cancelled.

    One look is one transaction: it records all that arrived since the last and takes what there is room for. Posts go on
    meanwhile, so the more there is to tell, the more of it one look does.
    """

    def __init__(self, it: Work, post: Post, due: asyncio.Event) -> None:
        self._it = it
        self._post = post
        self._due = due
        self._lines: dict[Id, Line] = {}
        self._flying: set[asyncio.Task[None]] = set()
        self._arrived: list[tuple[Outgoing, Outcome]] = []
        self._back: list[Outgoing] = []

    async def run(self) -> None:
        looking: asyncio.Task[float] | None = None
        try:
            while True:
                self._due.clear()
                wait = TICK
                looking = asyncio.create_task(self._look())
                try:
                    # Shielded: what a look has taken when it is told to stop would be nobody's until its lease ends.
                    wait = await asyncio.shield(looking)
                except Exception as fault:
                    _log("claiming", fault)
                await _rung(self._due, wait)
        finally:
            if looking and not looking.done():
                await _ended([looking])
            await self._leave()

    async def _look(self) -> float:
        """Record and take; the seconds until the next look is due in any case."""
        arrived, back, now = list(self._arrived), list(self._back), utc_now()
        self._lines = {id: line for id, line in self._lines.items() if line.places or line.arrived}
        posts = {id: line.flying + len(line.waiting) - min(line.arrived, AHEAD) for id, line in self._lines.items()}
        for line in self._lines.values():
            line.arrived = 0
        places = [
            sum(each.places for each in self._lines.values() if each.failing is failing) for failing in (False, True)
        ]
        try:
            async with self._it.database.transaction(CLOCK.scope) as session:
                await notices.settle_plain(session, arrived, session.began)
                await notices.give_back(session, back, now)
                taken = await notices.claim(
                    session,
                    now,
                    self._it.lease,
                    posts,
                    at_once=AT_ONCE,
                    room=ROOM - places[0],
                    room_failing=ROOM_FAILING - places[1],
                )
                at = None if taken else await notices.next_due(session)
        except Exception:
            # One at a time, so that one that cannot be recorded keeps no other from it.
            del self._arrived[: len(arrived)], self._back[: len(back)]
            for each in arrived:
                await self._record(*each, [])
            raise
        del self._arrived[: len(arrived)], self._back[: len(back)]
        for sent in taken:
            to = sent.notice.subscriber
            line = self._lines.setdefault(to.id, Line())
            line.failing = to.failures > 0
            line.waiting.append((asyncio.get_running_loop().time(), sent))
            self._fly(line)
        if taken:
            return 1.0
        wait = (at - utc_now()).total_seconds() if at else TICK
        # What is due but not ours (no place, another's) can wait a second.
        return min(wait, TICK) if wait > 0 else 1.0

    def _fly(self, line: Line) -> None:
        now = asyncio.get_running_loop().time()
        while line.waiting and line.flying < AT_ONCE:
            if now - line.waiting[0][0] > min(HELD, self._it.timeout):
                self._back += line.clear()
                return
            _, sent = line.waiting.popleft()
            line.flying += 1
            task = asyncio.create_task(self._send(line, sent))
            self._flying.add(task)
            task.add_done_callback(lambda task: self._landed(line, task))

    def _landed(self, line: Line, task: "asyncio.Task[None]") -> None:
        self._flying.discard(task)
        line.flying -= 1
        self._fly(line)
        self._due.set()

    async def _send(self, line: Line, sent: Outgoing) -> None:
        outcome = await _attempt(self._it, self._post, sent, utc_now)
        if notices.is_plain(sent, outcome):
            line.arrived += 1
            self._arrived.append((sent, outcome))
        else:
            # Who fails gets one at a time: what waits for it has to be taken anew.
            await self._record(sent, outcome, [] if outcome.arrived else line.clear())

    async def _record(self, sent: Outgoing, outcome: Outcome, back: Sequence[Outgoing]) -> None:
        try:
            async with self._it.database.transaction(CLOCK.scope) as session:
                await notices.settle(session, sent, outcome, self._it.schedule, session.began)
                await notices.give_back(session, back, session.began)
        except Exception as fault:
            # Not recorded: it comes due again when its lease ends.
            _log("recording a delivery", fault)

    async def _leave(self) -> None:
        """Posts in flight get a moment to end; what arrived is recorded, and the rest is left to others."""
        back = [*self._back, *(sent for line in self._lines.values() for sent in line.clear())]
        await _ended(self._flying)
        try:
            if self._arrived or back:
                async with self._it.database.transaction(CLOCK.scope) as session:
                    await notices.settle_plain(session, self._arrived, session.began)
                    await notices.give_back(session, back, session.began)
        except Exception as fault:
            _log("recording a delivery", fault)


async def _ended(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """They have a moment to end by themselves."""
    if tasks:
        _, late = await asyncio.wait(list(tasks), timeout=LEAVING)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def deliver(it: Work, post: Post, sent: Outgoing, clock: Callable[[], datetime]) -> None:
    """Post one claimed notice and record what came of it, at the times that `clock` says."""
    outcome = await _attempt(it, post, sent, clock)
    async with it.database.transaction(CLOCK.scope) as session:
        await notices.settle(session, sent, outcome, it.schedule, clock())


async def _attempt(it: Work, post: Post, sent: Outgoing, clock: Callable[[], datetime]) -> Outcome:
    try:
        message = await it.renders[sent.notice.subscriber.format](it.database, sent.notices)
        began = asyncio.get_running_loop().time()
        outcome = await post(sent, message, clock())
        took = round((asyncio.get_running_loop().time() - began) * 1000)
        return msgspec.structs.replace(outcome, took=took)
    except Exception as fault:
        # A fault of ours must not hold this notice in an endless circle: it counts as an attempt and is visible.
        _log("a delivery", fault)
        return Outcome(error="internal-error")


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
