"""What stands in red until a person acknowledges it: the crises for which the reader's organisation must act, and their calls."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from service.access.model import Actor
from service.db import Session
from service.notices import crises_store as store
from service.notices import paging_flow
from service.notices.paging_store import Page
from service.referrals import overview_flow, overview_store
from service.referrals.model import NextStep
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Open
from service.values import Id

ACTS = frozenset({"referrer", "social_worker", "supervisor", "coordinator"})
"""Roles of people who acknowledge a crisis."""


class Crises(msgspec.Struct, frozen=True):
    """Crises, the most pressing first, with the names that they name and the calls made for each."""

    rows: tuple[Open, ...]
    names: Names
    calls: Mapping[Id, tuple[Page, ...]]


class Waiting(msgspec.Struct, frozen=True):
    """Crises that wait for somebody of the reader's organisation, soonest due first, with what they name."""

    steps: tuple[NextStep, ...]
    names: Names


async def waiting(session: Session, actor: Actor, now: datetime) -> Waiting:
    """Crises that nobody has acknowledged and that somebody of the reader's organisation must: those whose step is theirs, an
    agency's for which it was called, and the coordinator's when a limit has passed or the calls have come there. None for
    roles that acknowledge nothing."""
    steps = await _waiting(session, actor, now) if actor.role in ACTS else []
    return Waiting(tuple(steps), await overview_flow.names(session, [Open(step) for step in steps]))


async def _waiting(session: Session, actor: Actor, now: datetime) -> list[NextStep]:
    if actor.side == "platform":
        return await store.unacknowledged_anywhere(session, actor.organization, now)
    steps = await store.unacknowledged(session, actor.organization)
    if actor.side == "hospital":
        return steps
    known = {step.referral for step in steps}
    return sorted(
        [*steps, *(_called(each, actor.organization) for each in await store.called(session, actor.organization) if each.referral not in known)],
        key=lambda step: (step.by, step.referral),
    )  # fmt: skip


def _called(call: store.Called, organization: Id) -> NextStep:
    """What a call asks of who was called, in the form of a step; whose the step itself is, an agency does not see."""
    return NextStep(
        call.referral, call.hospital, organization, "agency", organization, None, "acknowledge", call.task, call.raised_at,
        call.limit_at, call.limit_at,
    )  # fmt: skip


async def up(session: Session, actor: Actor, now: datetime) -> Crises:
    """Every crisis that is up and that the reader knows of: a hospital's own, an agency's in which it acts or was called, all
    of them for the platform; unacknowledged ones first, each with its calls as far as the reader may see them."""
    if actor.side in ("auditor", "volunteer"):
        return Crises((), await overview_flow.names(session, ()), {})
    if actor.side == "agency":
        going = await store.up_at_agency(session, actor.organization)
        steps = [*await _waiting(session, actor, now), *(step for step in going if step.what != "acknowledge")]
        shares = await overview_store.own_shares(session, [step.referral for step in steps], actor.organization)
        rows = [Open(step, None, shares[step.referral]) for step in steps if step.referral in shares]
    else:
        hospital = None if actor.side == "platform" else actor.organization
        rows = [Open(step, referral) for step, referral in await store.up(session, hospital)]
    ids = [row.step.referral for row in rows]
    session.referrals.update(ids)
    calls: dict[Id, list[Page]] = {id: [] for id in ids}
    for page in paging_flow.shown(await store.calls(session, ids)) if ids else ():
        calls[page.referral].append(page)
    named = [page.organization for pages in calls.values() for page in pages]
    return Crises(
        tuple(rows), await overview_flow.names(session, rows, named), {id: tuple(pages) for id, pages in calls.items()}
    )
