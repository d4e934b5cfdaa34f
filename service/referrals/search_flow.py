"""The search box: a referral by its number, by its person where the reader may know them, or by what is needed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from service.access.model import Actor
from service.db import Session
from service.referrals import overview_flow, overview_store, search_store, settling, steps
from service.referrals.model import Task
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Line, Open
from service.values import Id, as_id

LAST = UUID(int=2**128 - 1)
LONGEST = 100
"""Letters that are looked for."""


class Found(msgspec.Struct, frozen=True):
    """One page of what was found, the latest first: a hospital's and the coordinator's as `lines`, an agency's own as `shares`.

    `steps`: who acts next on each that is open. `crowd`: more persons are called so than are looked at. `after` continues behind.
    """

    lines: tuple[Line, ...]
    shares: tuple[Task, ...]
    steps: Mapping[Id, Open]
    names: Names
    crowd: bool
    after: Id | None


async def search(
    session: Session, actor: Actor, words: str, needs: Collection[str], now: datetime, *, after: Id | None = None, limit: int = 50
) -> Found:  # fmt: skip
    """What `words` may mean: a number of the referral or of the person, the beginning of a name; and what is open for one of
    `needs`. Forbidden for who reads no referrals."""
    steps.only(actor, "hospital", "agency", "platform")
    said = " ".join(words.split())[:LONGEST].replace("\x00", "")
    persons: list[Id] = []
    if said:
        called = await search_store.called(session, actor.side, actor.organization, said)
        persons = [*called, *await search_store.numbered(session, actor.side, actor.organization, said)]
    # To an agency a safety need is no more than “safety” before it knows the person: the store leaves those out.
    ids = await search_store.among(
        session, actor.side, actor.organization, persons[: search_store.MOST_PERSONS], said, sorted(needs), as_id(said.removeprefix("ServiceRequest/")), after or LAST, limit + 1
    )  # fmt: skip
    more, ids = len(ids) > limit, ids[:limit]
    crowd = len(persons) > search_store.MOST_PERSONS
    session.referrals.update(ids)
    lines, shares = await _read(session, actor, ids)
    opened = {line.referral.id: Open(line.step, line.referral) for line in lines if line.step}
    for share in shares:
        step = settling.step_of(share, now, session.practice)
        if step and share.open:
            opened[share.referral] = Open(step, None, share)
    about = [*(line.referral for line in lines), *shares]
    named = await overview_flow.names_about(session, opened.values(), about, [line.closed_by for line in lines])
    return Found(tuple(lines), tuple(shares), opened, named, crowd, ids[-1] if more else None)


async def _read(session: Session, actor: Actor, ids: Sequence[Id]) -> tuple[list[Line], list[Task]]:
    if not ids:
        return [], []
    if actor.side == "agency":
        shares = await overview_store.own_shares(session, ids, actor.organization)
        return [], [shares[id] for id in ids if id in shares]
    return [line for _, line in await overview_store.lines(session, ids, (), len(ids))], []
