"""Who saw what of whom, as an auditor asks it: by person of staff, organisation, act, referral, time, what was refused, broken
glasses. Patients stand here by their ids alone."""

from collections.abc import Collection
from datetime import datetime

import msgspec

from service.access import flow as access
from service.access import store as access_store
from service.access.audit_flow import lines
from service.access.flow import permit_audit
from service.access.model import Actor, Link
from service.consent import trail_store
from service.consent.trail_store import ActorName
from service.db import Session, as_platform
from service.db.finding import NEVER, After, Condition
from service.directory import store as directory
from service.directory.model import Organization
from service.errors import Invalid, NotFound
from service.values import Id

MOST_CALLED = 200
MOST_GLASSES = 1000
MOST_EXPORTED = 50_000
"""Lines that one export writes; whoever asks for more is told to ask for less."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for; what is empty is not asked. `who` is a login or a part of a name, `actions` are FHIR's audit-event-actions,
    `until` is not included."""

    who: str = ""
    organization: Id | None = None
    actions: tuple[str, ...] = ()
    referral: Id | None = None
    since: datetime | None = None
    until: datetime | None = None
    refused: bool = False
    glass: bool = False


class Trail(msgspec.Struct, frozen=True):
    """Lines, the latest first, with the names of who acted and for whom; `glass` are the ids of those that were made while a glass
    was broken; `next` is the id behind which the page after this one begins."""

    lines: list[Link]
    actors: dict[Id, ActorName]
    organizations: dict[Id, Organization]
    glass: Collection[Id]
    next: Id | None


async def search(session: Session, actor: Actor, asked: Asked, after: Id | None = None, limit: int = 50) -> Trail:
    """One page of the audit. Raises Forbidden for anybody but an auditor or an administrator."""
    permit_audit(actor)
    found = await lines(session, actor, await _conditions(session, asked), limit + 1, After(str(after)) if after else None)  # fmt: skip
    more, found = len(found) > limit, found[:limit]
    named, organizations = await _names(session, found)
    return Trail(found, named, organizations, await _glass(session, found), found[-1].line.id if more else None)


async def one(session: Session, actor: Actor, id: Id) -> Trail:
    """One line, with its place in the chain. Raises Forbidden, NotFound: also while it has no place yet."""
    permit_audit(actor)
    found = await lines(session, actor, [Condition("id", (id,))], 1)
    if not found:
        raise NotFound("There is no such audit line, or it has no place in the chain yet.")
    named, organizations = await _names(session, found)
    return Trail(found, named, organizations, await _glass(session, found), None)


async def export(session: Session, actor: Actor, asked: Asked) -> Trail:
    """Every line that is asked for, the latest first. Raises Forbidden, and Invalid where there are more than MOST_EXPORTED."""
    permit_audit(actor)
    found = await lines(session, actor, await _conditions(session, asked), MOST_EXPORTED + 1)
    if len(found) > MOST_EXPORTED:
        raise Invalid(f"These are more than {MOST_EXPORTED:,} lines: ask for a shorter time.", at="since", key="too-many-lines")  # fmt: skip
    named, organizations = await _names(session, found)
    return Trail(found, named, organizations, await _glass(session, found), None)


class Chain(msgspec.Struct, frozen=True):
    """How far a walk along the chain has come: `at` is the last place that holds, `last` the last place that there is; `unchained` lines
    wait for theirs. `broken` says where it does not hold, and how."""

    at: int
    last: int
    head: str
    unchained: int
    broken: tuple[int, str] | None = None


async def verify(session: Session, actor: Actor, after: int, most: int) -> Chain:
    """Recompute the hashes of up to `most` lines behind the place `after`, which was verified before. Raises Forbidden."""
    permit_audit(actor)
    at, head, broken = await access.verify_span(session, after, most)
    last = await access_store.head(session)
    return Chain(
        at, last[0] if last else 0, head.hex(), await access_store.count_unchained(session),
        (broken.position, broken.what) if broken else None,
    )  # fmt: skip


async def _conditions(session: Session, asked: Asked) -> list[Condition]:
    conditions: list[Condition] = []
    if asked.who.strip():
        async with as_platform(session, "name who acted"):
            ids = await trail_store.called(session, asked.who.strip(), MOST_CALLED)
        conditions.append(Condition("actor", tuple(ids)) if ids else NEVER)
    if asked.organization is not None:
        conditions.append(Condition("organization", (asked.organization,)))
    if asked.actions:
        conditions.append(Condition("action", asked.actions))
    if asked.referral is not None:
        conditions.append(Condition("entity", ((None, asked.referral),)))
    if asked.since is not None:
        conditions.append(Condition("date", (asked.since,), "ge"))
    if asked.until is not None:
        conditions.append(Condition("date", (asked.until,), "lt"))
    if asked.refused:
        conditions.append(Condition("outcome", ("refused", "error")))
    if asked.glass:
        async with as_platform(session, "name who acted"):
            positions = await trail_store.by_glass(session, await trail_store.glasses(session, MOST_GLASSES))
        conditions.append(Condition("position", tuple(positions)) if positions else NEVER)
    return conditions


async def _names(session: Session, found: list[Link]) -> tuple[dict[Id, ActorName], dict[Id, Organization]]:
    if not found:
        return {}, {}
    async with as_platform(session, "name who acted"):
        named = await trail_store.actors(session, list({link.line.actor_id for link in found}))
    return named, await directory.organizations(session, {link.line.organization_id for link in found})


async def _glass(session: Session, found: list[Link]) -> set[Id]:
    referrals = {referral for link in found for referral in link.line.referrals}
    patients = {patient for link in found for patient in link.line.patients}
    if not referrals and not patients:
        return set()
    async with as_platform(session, "name who acted"):
        broken = await trail_store.glasses_of(session, list(referrals), list(patients), MOST_GLASSES)
    return {
        link.line.id
        for link in found
        for glass in broken
        if (glass.referral in link.line.referrals or glass.patient in link.line.patients)
        and glass.agency == link.line.organization_id
        and glass.opened_at <= link.line.at
        and (glass.closed_at is None or link.line.at < glass.closed_at)
    }
