"""The queue in which an agency's people work: its views and their counts, what is next, what became of rows, saved views."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

import msgspec

from service.access.model import Actor
from service.db import Session
from service.directory import store as directory
from service.directory.model import Organization, Region
from service.errors import Forbidden, Invalid, NotFound
from service.referrals import filtering, overview_flow, queue_store, settling, store
from service.referrals.filtering import Read
from service.referrals.model import Task
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Open
from service.referrals.queue_store import BEGINNING, STATEMENTS, Place, Saved, Taken
from service.values import SHANGHAI, Id, local_day, new_id

VIEWS = tuple(STATEMENTS)
"""`all`, then what a view is of: offers, unassigned, mine, waiting (for the hospital), overdue, held, crises."""
MOST_SAVED = 20
"""Views that one person may keep."""
MOST_AT_ONCE = 1000
"""Rows that one act may be on."""


class Shown(msgspec.Struct, frozen=True):
    """One page of a view. `wards`: where the persons lie, by referral, where the reader may know. `after` goes on behind it."""

    rows: tuple[Open, ...]
    names: Names
    wards: Mapping[Id, str]
    after: Place | None = None


async def view(
    session: Session, actor: Actor, name: str, tokens: Sequence[str], now: datetime, *, after: Place = BEGINNING, limit: int = 50
) -> Shown:  # fmt: skip
    """A page of a view as the filter narrows it. Forbidden for all but agencies; NotFound for a view that there is not."""
    _permit(actor)
    if name not in STATEMENTS:
        raise NotFound("There is no such view.")
    tasks = await queue_store.page(
        session,
        actor.organization,
        actor.worker,
        name,
        filtering.filter_of(tokens),
        after,
        now,
        _midnight(now),
        limit + 1,
    )
    more = place_of(tasks[limit - 1]) if len(tasks) > limit else None
    return msgspec.structs.replace(await shown(session, actor, tasks[:limit], now), after=more)


async def shown(session: Session, actor: Actor, tasks: Sequence[Task], now: datetime) -> Shown:
    """These Tasks with all that their rows name. Of a crisis that the agency has in hand the row says that step."""
    crises = await queue_store.crisis_steps(session, [task.referral for task in tasks if task.urgency == "stat"], actor.organization)  # fmt: skip
    rows = tuple(
        Open(step, None, task)
        for task in tasks
        if (step := crises.get(task.referral) or settling.step_of(task, now, session.practice))
    )
    session.referrals.update(row.step.referral for row in rows)
    known = [task.referral for task in tasks if task.patient]
    wards = await queue_store.wards(session, known) if known else {}
    return Shown(rows, await overview_flow.names_of(session, rows, [task.worker for task in tasks]), wards)


async def ids(session: Session, actor: Actor, name: str, tokens: Sequence[str], now: datetime) -> list[Id]:
    """What all of a view is, for an act on many: its first MOST_AT_ONCE."""
    _permit(actor)
    asked = filtering.filter_of(tokens)
    found = await queue_store.page(
        session, actor.organization, actor.worker, name, asked, BEGINNING, now, _midnight(now), MOST_AT_ONCE
    )
    return [task.id for task in found]


class Since(msgspec.Struct, frozen=True):
    """What became of Tasks that a reader looks at, or has heard of: `inside` are those that the view has now; `taken` says who
    of the agency accepted one; what is in neither `found` is not the agency's to see any more."""

    found: Shown
    ended: Mapping[Id, Task]
    inside: frozenset[Id]
    taken: Mapping[Id, Taken]


async def since(
    session: Session, actor: Actor, name: str, tokens: Sequence[str], tasks: Sequence[Id], now: datetime
) -> Since:
    """How these rows stand now. At most 200 are looked at."""
    _permit(actor)
    wanted = list(dict.fromkeys(tasks))[:200]
    found = await queue_store.these(session, wanted)
    inside = await queue_store.page(
        session, actor.organization, actor.worker, name if name in STATEMENTS else "all", filtering.filter_of(tokens), BEGINNING, now,
        _midnight(now), 200, only=wanted,
    )  # fmt: skip
    open_now = [task for task in found if task.open and task.kind in ("share", "follow-up")]
    taken = await queue_store.taken_by(session, [task for task in found if task.accepted_at])
    return Since(
        await shown(session, actor, open_now, now),
        {task.id: task for task in found if not task.open},
        frozenset(task.id for task in inside),
        taken,
    )


async def counts(session: Session, actor: Actor, now: datetime) -> dict[str, int]:
    """How many there are in each view, counted up to 100; `follow-ups`: whose window has begun."""
    _permit(actor)
    return await queue_store.counts(session, actor.organization, actor.worker, now)


async def next_up(session: Session, actor: Actor, after: Id | None) -> Task | None:
    """The most urgent that nobody has: an offer, or a case without a worker. Behind the Task `after` where it is one of these,
    so that asking again leads on; nothing is claimed by looking."""
    _permit(actor)
    last = await store.task(session, after) if after else None
    if last and last.open and (last.status == "requested" or last.worker is None):
        found = await queue_store.next_up(session, actor.organization, place_of(last))
        if found:
            return found
    return await queue_store.next_up(session, actor.organization, BEGINNING)


async def task(session: Session, actor: Actor, id: Id) -> Task:
    """One Task of the agency's queue, ended ones too. NotFound."""
    _permit(actor)
    found = await store.task(session, id)
    if found is None or found.kind not in ("share", "follow-up"):
        raise NotFound("There is no such Task, or it is not yours to see.")
    session.referrals.add(found.referral)
    return found


async def understood(session: Session, text: str) -> Read:
    """What a filter's words ask for; places and hospitals are found by their names in the directory."""
    phrases = filtering.names_in(text)
    if not phrases:
        return filtering.read(text)
    named: dict[str, str] = {}
    for word, code in await queue_store.places(session, phrases):
        # The largest of several of one name comes first, and holds.
        named.setdefault(word, f"r{code}")
    named |= {word: f"h{id}" for word, id in await queue_store.hospitals(session, phrases)}
    return filtering.read(text, named)


async def called(session: Session, tokens: Sequence[str]) -> dict[str, Organization | Region]:
    """The places and hospitals that a filter names, by token."""
    codes = {token[1:]: token for token in tokens if token.startswith("r") and token[1:].isdigit()}
    houses = {id: token for token in tokens if (id := filtering.hospital(token))}
    found: dict[str, Organization | Region] = {}
    if codes:
        found |= {codes[code]: region for code, region in (await directory.regions(session, codes)).items()}
    if houses:
        found |= {houses[id]: each for id, each in (await directory.organizations(session, houses)).items()}
    return found


async def open_rows(session: Session, actor: Actor, tasks: Sequence[Id], now: datetime) -> Shown:
    """These rows as they stand now, as far as they are open and the actor's to see."""
    _permit(actor)
    found = {task.id: task for task in await queue_store.these(session, tasks)} if tasks else {}
    return await shown(session, actor, [found[id] for id in tasks if id in found and found[id].open], now)


# ---- saved views ------------------------------------------------------------------------------------------------------


async def saved(session: Session, actor: Actor) -> list[Saved]:
    """The reader's own views, and those that colleagues share."""
    _permit(actor)
    return await queue_store.saved(session, actor.organization, actor.id)


async def keep(
    session: Session, actor: Actor, name: str, view: str, tokens: Sequence[str], now: datetime, *, shared: bool
) -> Id:
    """Keep a view under a name. Raises Invalid without a name, or when there are too many."""
    _permit(actor)
    said = " ".join(name.split())
    if not said:
        raise Invalid("A view needs a name.", at="name", key="name-missing", code="required")
    if len(said) > 40:
        raise Invalid("A view's name has at most 40 letters.", at="name", key="name-too-long", code="too-long")
    if view not in STATEMENTS:
        raise NotFound("There is no such view.")
    if sum(each.mine for each in await saved(session, actor)) >= MOST_SAVED:
        raise Invalid(f"{MOST_SAVED} views are kept already: drop one first.", at="name", key="too-many-views")
    new = Saved(new_id(), said, view, " ".join(tokens), shared, True)
    await queue_store.keep(session, new, actor.organization, actor.id, now)
    return new.id


async def drop(session: Session, actor: Actor, id: Id) -> None:
    """Drop a view of one's own. NotFound for any other."""
    _permit(actor)
    if not await queue_store.drop(session, id, actor.id):
        raise NotFound("There is no such view, or it is not yours.")


def place_of(task: Task) -> Place:
    """Behind which row a page goes on."""
    return Place(store.urgency_rank(task.urgency), task.due_at, task.id)


def _midnight(now: datetime) -> datetime:
    """The end of today, where people live."""
    return datetime.combine(local_day(now) + timedelta(days=1), time(0), SHANGHAI)


def _permit(actor: Actor) -> None:
    if actor.side != "agency":
        raise Forbidden("The queue is an agency's.", key="wrong-actor")
