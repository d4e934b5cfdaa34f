"""Calling those on duty in a crisis until somebody acknowledges: whom, what came of it, and their answer by a link."""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.db import Database, Scope, Session
from service.directory import duty_store
from service.directory import store as directory
from service.directory.duty import Person
from service.errors import Conflict, Forbidden, NotFound
from service.notices import ladder, paging_store
from service.notices.ladder import Rung
from service.notices.model import Outcome
from service.notices.paging_store import Page
from service.practice import PLATFORM
from service.referrals import steps, sweeps
from service.referrals.model import Loop, Task
from service.values import Id, new_id

log = logging.getLogger(__name__)

ROLE_OF = {"first": "hospital", "second": "hospital", "supervisor": "agency", "coordinator": "platform"}
"""On which side of the referral somebody stands who is called."""

UNKNOWN = "This link is not known here: it was cut short on its way."


async def call_due(session: Session, actor: Actor, now: datetime) -> int:
    """Call whoever is to be called now in every crisis that nobody has acknowledged; how many calls were made.

    Each is decided and made under the lock of its referral, so that two workers never make one twice. Needs the platform's
    scope.
    """
    if actor.side != "platform":
        raise Forbidden("The clock calls those on duty.")
    await paging_store.close(session, now)
    made: list[int] = []

    async def call(referral: Id) -> None:
        made.append(await _call(session, actor, referral, now))

    # A crisis in which nobody can be called silences no other.
    await sweeps.each(session, await paging_store.raised(session), call)
    return sum(made)


async def _call(session: Session, actor: Actor, referral: Id, now: datetime) -> int:
    if await _next(session, await steps.load(session, referral, now), now) is None:
        return 0
    async with steps.on_referral(session, actor, referral, now) as moving:
        # Seen before the lock was ours; what another worker has done meanwhile counts.
        decided = await _next(session, moving.loop, now)
        if decided is None:
            return 0
        rung, place = decided
        pages = await _pages(session, moving.loop, rung, place, now)
        await paging_store.insert(session, pages)
        if pages[0].channel == "none":
            log.error("in a crisis there was nobody to be called: the roster of the %s has a gap", rung)
        # For the hospital and the coordinator: an agency whose supervisor is called hears of it by the call alone.
        moving.tell("page", None, sealed=True, rung=rung, channels=[page.channel for page in pages])
    return len(pages)


async def _next(session: Session, loop: Loop, now: datetime) -> tuple[Rung, int] | None:
    """Whom to call now, and how many were called before."""
    crisis = loop.referral.crisis
    if crisis is None or crisis.state != "raised":
        return None
    calls = await paging_store.calls(session, loop.referral.id, crisis.since)
    whole = ladder.rungs(crisis.owner, agency=_accepted(loop) is not None)
    rung = ladder.next_rung(whole, calls, crisis.by, now, session.practice)
    return None if rung is None else (rung, len(calls))


def _accepted(loop: Loop) -> Task | None:
    """The share of the agency that works on the referral, which its supervisor is called for."""
    taken = [share for share in loop.shares if share.open and share.accepted_at and share.agency]
    return min(taken, key=lambda share: (share.accepted_at, share.id), default=None)


async def _pages(session: Session, loop: Loop, rung: Rung, place: int, now: datetime) -> list[Page]:
    referral, share = loop.referral, _accepted(loop)
    assert referral.crisis is not None
    agency = share.agency if share else None
    whose = {"supervisor": agency, "coordinator": PLATFORM}.get(rung) or referral.hospital
    person = await _person(session, whose, rung, now)
    ways = [("email", person.email), ("webhook", person.webhook)] if person else []
    ways = [(channel, endpoint) for channel, endpoint in ways if endpoint] or [("none", None)]
    return [
        Page(
            id=new_id(), referral=referral.id, hospital=referral.hospital, agency=agency,
            task=share.id if share and rung == "supervisor" else loop.parent.id, raised_at=referral.crisis.since, place=place, rung=rung,
            channel=channel, organization=whose, worker=person.worker if person else None, name=person.name if person else None,
            endpoint=endpoint, token=secrets.token_urlsafe(32) if endpoint else None, limit_at=referral.crisis.by,
            state="waiting" if endpoint else "nobody", next_at=now if endpoint else None, made_at=now,
        )
        for channel, endpoint in ways
    ]  # fmt: skip


async def _person(session: Session, whose: Id, rung: Rung, now: datetime) -> Person | None:
    """Who is on duty; where no roster names anybody, the organisation's own mailbox, but for the second."""
    shift = (await duty_store.on_duty(session, [whose], now)).get(whose)
    if rung == "second":
        return shift.second if shift else None
    if shift is not None:
        return shift.first
    organization = await directory.organization(session, whose)
    return Person(organization.name_zh, email=organization.email) if organization and organization.email else None


async def claim(session: Session, now: datetime, lease: timedelta, room: int = 20) -> list[Page]:
    """Take calls that are due; whoever is killed then leaves them to come due again. Needs the platform's scope."""
    return await paging_store.claim(session, now, lease, room)


async def settle(session: Session, page: Page, outcome: Outcome, now: datetime) -> None:
    """Record what came of an attempt: sent, tried again, or not delivered. Needs the platform's scope."""
    error = None if outcome.arrived else outcome.error or f"status-{outcome.status}"
    waits = session.practice.page_retry
    again = not outcome.arrived and not outcome.gone and page.attempts < len(waits)
    next_at = now + timedelta(seconds=waits[page.attempts]) if again else None
    state = "sent" if outcome.arrived else "waiting" if again else "not-delivered"
    await paging_store.settle(session, page.id, state, next_at, outcome.status, error, now)


class Holder(msgspec.Struct, frozen=True):
    """Who holds the link of a call: somebody on duty for an organisation."""

    actor: Actor
    page: Page


async def holder(database: Database, token: str) -> Holder:
    """Whose link this is. Raises NotFound."""
    # A look-up before anybody is known, as that of a program's token is.
    async with database.transaction(Scope(PLATFORM, "platform", platform=True), writes=False) as session:
        page = await paging_store.by_token(session, token)
    if page is None:
        raise NotFound(UNKNOWN, key="no-link")
    return Holder(Actor(page.id, "link", page.organization, ROLE_OF[page.rung], page.name or page.rung), page)


async def acknowledge_page(session: Session, holder: Holder, now: datetime) -> None:
    """Somebody who was called says that they see to it: the ladder waits for the crisis' own limit. The crisis is still to be
    acknowledged, and stood down, by its own steps. Raises Conflict where it was acknowledged before, or nothing is up."""
    page = holder.page
    async with steps.on_referral(session, holder.actor, page.referral, now) as moving:
        crisis = moving.loop.referral.crisis
        if crisis is None or crisis.since != page.raised_at or crisis.state != "raised":
            raise Conflict("The crisis has been acknowledged already; nothing is left to do here.", key="over")
        if not await paging_store.acknowledge(session, page, now):
            raise Conflict("This call was acknowledged before.", key="used")
        moving.tell("acknowledge-page", None, sealed=True, rung=page.rung)


async def pages(session: Session, actor: Actor, referral: Id | None = None, limit: int = 200) -> list[Page]:
    """Calls, newest first, as far as the actor may see them: those of the hospital's referrals, and those to one's own people."""
    found = await paging_store.listed(session, referral, limit)
    return [
        page for page in found if actor.side == "platform" or actor.organization in (page.hospital, page.organization)
    ]


def shown(found: Sequence[Page]) -> list[Page]:
    """As calls are listed: without what would acknowledge them, and without where they went."""
    return [msgspec.structs.replace(page, token=None, endpoint=None) for page in found]
