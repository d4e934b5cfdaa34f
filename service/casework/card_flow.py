"""A card for the person: who will call, from which number, how to stop; and whether it may be given out at all."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.db import Session, as_platform
from service.directory import store as directory
from service.errors import Invalid, NotFound
from service.referrals import contact_flow, store
from service.referrals.lifecycle import LIVE
from service.referrals.model import Loop, Referral, Task
from service.safety import contact
from service.values import Id


class Caller(msgspec.Struct, frozen=True):
    """Who will call, from which number, and until when the first time, where that is still to come."""

    number: str
    name: str | None = None
    by: datetime | None = None


class Card(msgspec.Struct, frozen=True):
    """All that a card says. No need, no agency, nothing of safety is in it: nobody can print what is not there."""

    request: Id
    hospital_zh: str
    hospital_en: str
    callers: tuple[Caller, ...]


async def card(session: Session, actor: Actor, request: Id, now: datetime) -> Card:
    """The card of a referral (or of an agency's own share of it, by its request), for who may see whom it is about.

    Raises Invalid `unsafe-contact` with the rule where a paper that lies about is not safe, `not-disclosed` while nobody who
    would call may know the person, `no-number` where an agency has none to call from; NotFound.
    """
    share = await store.by_filler(session, request)
    if await store.referral(session, share.referral if share else request) is None:
        if share is not None:
            raise _nobody()
        raise NotFound("There is no such ServiceRequest, or it is not yours to see.")
    async with as_platform(session, "print a card"):
        loop = await store.load(session, share.referral if share else request)
    assert loop is not None
    session.referrals.add(loop.referral.id)
    session.patients.add(loop.referral.patient)
    forbidden = await _unsafe(session, loop.referral, now)
    if forbidden:
        raise Invalid(
            f"No card is printed for this person ({forbidden}): what lies about is read by others. Tell them in a safe way.",
            at="ServiceRequest", key="unsafe-contact",
        )  # fmt: skip
    callers = _callers(loop, actor)
    if not callers:
        raise _nobody()
    organizations = await directory.organizations(
        session, [loop.referral.hospital, *(t.agency for t in callers if t.agency)]
    )
    staff = await directory.workers(session, [task.worker for task in callers if task.worker])
    said: list[Caller] = []
    for task in callers:
        agency = organizations.get(task.agency) if task.agency else None
        if agency is None or not agency.phone:
            raise Invalid(
                "The agency has no number in the directory that it calls from: it stands in `phone` of organizations.csv (`yuanshe import`).",
                at="ServiceRequest", key="no-number",
            )  # fmt: skip
        worker = staff.get(task.worker) if task.worker else None
        clock = task.clocks.get("contact")
        said.append(Caller(agency.phone, worker.name if worker else None, clock.due if clock else None))
    hospital = organizations[loop.referral.hospital]
    return Card(request, hospital.name_zh, hospital.name_en, tuple(dict.fromkeys(said)))


def _nobody() -> Invalid:
    return Invalid(
        "Nobody who would call may know the person yet: a card is printed when an agency has accepted and a consent names it.",
        at="ServiceRequest", key="not-disclosed",
    )  # fmt: skip


async def _unsafe(session: Session, referral: Referral, now: datetime) -> str | None:
    """The rule that forbids a card. It is a letter that leaves word with whoever finds it, and lies there at every hour: so
    where only some hours are safe, it is not."""
    if referral.deceased or referral.after_death:
        return "deceased"
    rules = await contact_flow.rules_on(session, referral)
    found = contact.forbids(rules, "letter", now, leaves_message=True)
    return found or ("time-not-safe" if rules.times else None)


def _callers(loop: Loop, actor: Actor) -> list[Task]:
    """Whose calls are to come, to whom the person is disclosed: shares that go on, else follow-ups; an agency's its own."""
    own = actor.organization if actor.side == "agency" else None

    def known(task: Task) -> bool:
        return task.patient is not None and task.agency is not None and own in (None, task.agency)

    shares = [share for share in loop.shares if share.status in LIVE and known(share)]
    return shares or [task for task in loop.follow_ups if task.open and known(task)]
