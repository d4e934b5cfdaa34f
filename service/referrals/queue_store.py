"""SQL of an agency's queue as people work in it: its views, their counts, what became of rows, and saved views."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record as Row

from service.codes import SAFETY, SAFETY_NEEDS
from service.db import Session
from service.referrals.filtering import Filter
from service.referrals.model import NextStep, Task
from service.referrals.store import STEP_OF, read_step, read_task
from service.values import Id

NIL = UUID(int=0)


class Place(msgspec.Struct, frozen=True):
    """Where a page goes on: behind the row of this rank, limit (None: none runs) and id."""

    rank: int
    due: datetime | None
    task: Id


BEGINNING = Place(-1, None, NIL)

# $1 agency, $2 to $4 behind which row, $5 how many, $6 to $15 the filter (each NULL where it is not asked for), $16 the reader's
# worker, $17 now, $18 the end of today, $19 only these Tasks.
_FILTER = f"""
      AND ($6::smallint[] IS NULL OR urgency_rank = ANY($6))
      AND ($7::text[] IS NULL OR CASE WHEN {{sealed}} THEN '{SAFETY}' = ANY($7) ELSE needs && $7 END)
      AND ($8::text[] IS NULL OR EXISTS (SELECT 1 FROM unnest($8) AS asked(prefix) WHERE starts_with({{region}}, prefix)))
      AND ($9::uuid[] IS NULL OR hospital_id = ANY($9))
      AND ($10::text[] IS NULL OR status = ANY($10))
      AND ($11::bool IS NULL OR {{says}} IN ('awaiting-information', 'awaiting-consent'))
      AND ($12::bool IS NULL OR due_at <= $17)
      AND ($13::bool IS NULL OR due_at <= $18)
      AND ($14::bool IS NULL OR worker_id = $16)
      AND ($15::bool IS NULL OR worker_id IS NULL)
      AND ($19::uuid[] IS NULL OR {{id}} = ANY($19))"""
# The page first, along its index alone; then its snapshots. What begins a page is always a condition, so that every page costs
# the same.
_OWN = f"""
    SELECT task_id, version, urgency_rank, due_at FROM open_task
    WHERE agency_id = $1 AND kind IN ('share', 'follow-up'){{view}}{_FILTER.format(sealed="sealed", region="region", says="says", id="task_id")}
      AND (urgency_rank, due_at, task_id) > ($2::smallint, coalesce($3::timestamptz, {{beginning}}), $4::uuid)
    ORDER BY urgency_rank, due_at, task_id LIMIT $5"""
# Offers without owner that this agency may claim: found among the few that nobody has claimed yet.
_CLAIMABLE = f"""
    SELECT id AS task_id, version, urgency_rank, coalesce(due_at, 'infinity') AS due_at FROM task
    WHERE agency_id IS NULL AND kind = 'share' AND open{{view}}
      AND EXISTS (SELECT 1 FROM open_offer o WHERE o.task_id = task.id AND o.agency_id = $1){
    _FILTER.format(
        sealed=f"needs && '{{{{{','.join(sorted(SAFETY_NEEDS))}}}}}'",
        says="business_status",
        id="id",
        region="(SELECT v.snapshot ->> 'region' FROM task_version v WHERE v.task_id = task.id AND v.version = task.version)",
    )
}
      AND (urgency_rank, coalesce(due_at, 'infinity'), id) > ($2::smallint, coalesce($3::timestamptz, {{beginning}}), $4::uuid)
    ORDER BY urgency_rank, due_at, id LIMIT $5"""
_SHOWN = "SELECT v.snapshot FROM ({page}) AS t JOIN task_version v USING (task_id, version) ORDER BY {order}"
_ORDER = "t.urgency_rank, t.due_at, t.task_id"
_FIRST_DUE = "CASE WHEN $2 < 0 THEN '-infinity'::timestamptz ELSE 'infinity' END"


def _view(own: str, claimable: str | None = None) -> str:
    page = _OWN.format(view=own, beginning=_FIRST_DUE)
    if claimable is not None:
        open_offers = _CLAIMABLE.format(view=claimable, beginning=_FIRST_DUE)
        page = f"SELECT * FROM (({page}) UNION ALL ({open_offers})) AS both_ ORDER BY urgency_rank, due_at, task_id LIMIT $5"
    return _SHOWN.format(page=page, order=_ORDER)


_WAITING = " AND says IN ('awaiting-information', 'awaiting-consent')"
ALL = _view("", "")
OFFERS = _view(" AND status = 'requested'", "")
UNASSIGNED = _view(" AND worker_id IS NULL AND status <> 'requested'")
MINE = _view(" AND worker_id = $16")
WAITING = _view(_WAITING)
HELD = _view(" AND status = 'on-hold'")
CRISES = _view(" AND urgency_rank = 0", " AND urgency_rank = 0")
# What is late is read from the latest on.
OVERDUE = _SHOWN.format(
    page=_OWN.format(view=" AND due_at <= $17", beginning="'-infinity'")
    .replace("(urgency_rank, due_at, task_id) > ($2::smallint, ", "$2::smallint IS NOT NULL AND (due_at, task_id) > (")
    .replace("ORDER BY urgency_rank, due_at, task_id", "ORDER BY due_at, task_id"),
    order="t.due_at, t.task_id",
)
STATEMENTS = {
    "all": ALL, "offers": OFFERS, "unassigned": UNASSIGNED, "mine": MINE, "waiting": WAITING, "overdue": OVERDUE, "held": HELD,
    "crises": CRISES,
}  # fmt: skip
"""View → its statement."""


async def page(
    session: Session, agency: Id, worker: Id | None, view: str, asked: Filter, after: Place, now: datetime, midnight: datetime, limit: int,
    only: Sequence[Id] | None = None,
) -> list[Task]:  # fmt: skip
    """A page of a view: most urgent and soonest due first, of what is late the latest. `only`: which of these are in it."""
    rows = await session.fetch(
        STATEMENTS[view], agency, after.rank, after.due, after.task, limit, asked.urgencies, asked.needs, asked.places, asked.hospitals,
        asked.states, asked.waiting, asked.late, asked.today, asked.mine, asked.nobody, worker, now, midnight,
        list(only) if only is not None else None,
    )  # fmt: skip
    return [read_task(row["snapshot"]) for row in rows]


MOST = 100
"""Where counting stops: more reads “99+”."""
_COUNT = "(SELECT count(*) FROM (SELECT 1 FROM open_task WHERE agency_id = $1 AND {kinds}{view} LIMIT 100) AS {name}) AS {name}"
_KINDS = "kind IN ('share', 'follow-up')"
_MAY_CLAIM = """(SELECT count(*) FROM (SELECT 1 FROM task WHERE agency_id IS NULL AND kind = 'share' AND open{view}
    AND EXISTS (SELECT 1 FROM open_offer o WHERE o.task_id = task.id AND o.agency_id = $1) LIMIT 100) AS {name}) AS {name}"""
COUNTS = "SELECT " + ",\n    ".join(
    [
        _COUNT.format(name="every", kinds=_KINDS, view=""),
        _COUNT.format(name="offers", kinds=_KINDS, view=" AND status = 'requested'"),
        _COUNT.format(name="unassigned", kinds=_KINDS, view=" AND worker_id IS NULL AND status <> 'requested'"),
        _COUNT.format(name="mine", kinds=_KINDS, view=" AND worker_id = $2"),
        _COUNT.format(name="waiting", kinds=_KINDS, view=_WAITING),
        _COUNT.format(name="overdue", kinds=_KINDS, view=" AND due_at <= $3"),
        _COUNT.format(name="held", kinds=_KINDS, view=" AND status = 'on-hold'"),
        _COUNT.format(name="crises", kinds=_KINDS, view=" AND urgency_rank = 0"),
        _COUNT.format(name="follow_ups", kinds="kind = 'follow-up'", view=" AND window_from <= $3"),
        _MAY_CLAIM.format(name="claimable", view=""),
        _MAY_CLAIM.format(name="claimable_crises", view=" AND urgency_rank = 0"),
    ]
)


async def counts(session: Session, agency: Id, worker: Id | None, now: datetime) -> dict[str, int]:
    """How many there are in each view, counted up to MOST."""
    row = await session.fetchrow(COUNTS, agency, worker, now)
    assert row is not None
    found = {name: row[name] for name in ("offers", "unassigned", "mine", "waiting", "overdue", "held", "crises")}
    found["all"], found["follow-ups"] = row["every"] + row["claimable"], row["follow_ups"]
    found["offers"] += row["claimable"]
    found["crises"] += row["claimable_crises"]
    return {name: min(count, MOST) for name, count in found.items()}


# The most urgent that nobody has, behind a row: an offer, one that is open to several, or a case without a worker.
_BEHIND = "AND (urgency_rank, {due}, {id}) > ($2::smallint, coalesce($3::timestamptz, CASE WHEN $2 < 0 THEN '-infinity'::timestamptz ELSE 'infinity' END), $4::uuid)"
_NEXT = """(SELECT task_id, version, urgency_rank, due_at FROM open_task WHERE agency_id = $1 AND kind IN ('share', 'follow-up') AND {of}
    {behind} ORDER BY urgency_rank, due_at, task_id LIMIT 1)"""
NEXT = f"""
SELECT v.snapshot FROM (SELECT * FROM (
    {_NEXT.format(of="status = 'requested'", behind=_BEHIND.format(due="due_at", id="task_id"))}
    UNION ALL {_NEXT.format(of="worker_id IS NULL AND status <> 'requested'", behind=_BEHIND.format(due="due_at", id="task_id"))}
    UNION ALL (SELECT id, version, urgency_rank, coalesce(due_at, 'infinity') FROM task
        WHERE agency_id IS NULL AND kind = 'share' AND open
          AND EXISTS (SELECT 1 FROM open_offer o WHERE o.task_id = task.id AND o.agency_id = $1)
          {_BEHIND.format(due="coalesce(due_at, 'infinity')", id="id")} ORDER BY urgency_rank, due_at, id LIMIT 1)
  ) AS each ORDER BY urgency_rank, due_at, task_id LIMIT 1
) AS t JOIN task_version v USING (task_id, version)
"""


async def next_up(session: Session, agency: Id, after: Place) -> Task | None:
    """The most urgent that nobody has, behind `after`; nothing is claimed by looking."""
    snapshot = await session.fetchval(NEXT, agency, after.rank, after.due, after.task)
    return read_task(snapshot) if snapshot else None


THESE = "SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version WHERE t.id = ANY($1)"


async def these(session: Session, tasks: Sequence[Id]) -> list[Task]:
    """Tasks by id, ended ones too, as far as the scope may see them."""
    return [read_task(row["snapshot"]) for row in await session.fetch(THESE, list(tasks))]


CRISIS_STEPS = f"""
SELECT {STEP_OF} AS step FROM next_step n
WHERE n.referral_id = ANY($1) AND n.agency_id = $2 AND n.what IN ('acknowledge', 'safety-plan', 'report', 'stand-down')
"""


async def crisis_steps(session: Session, referrals: Sequence[Id], agency: Id) -> dict[Id, NextStep]:
    """What this agency must do next where a crisis is up that it has in hand."""
    found = [read_step(row["step"]) for row in await session.fetch(CRISIS_STEPS, list(referrals), agency)]
    return {step.referral: step for step in found}


WARDS = """
SELECT r.id, s.ward FROM referral r JOIN stay s ON s.id = r.stay_id
WHERE r.id = ANY($1) AND s.ward IS NOT NULL AND s.status IN ('arrived', 'triaged', 'in-progress', 'onleave')
"""


async def wards(session: Session, referrals: Sequence[Id]) -> dict[Id, str]:
    """Where the persons lie whom the scope may know so much of."""
    return {row["id"]: row["ward"] for row in await session.fetch(WARDS, list(referrals))}


TAKEN_BY = """
SELECT DISTINCT ON (task_id) task_id, by_id, by_name, at FROM event
WHERE referral_id = ANY($1) AND task_id = ANY($2) AND kind IN ('accept', 'claim') ORDER BY task_id, number DESC
"""


class Taken(msgspec.Struct, frozen=True):
    """Who of an agency's staff took a share, and when."""

    by: Id
    name: str
    at: datetime


async def taken_by(session: Session, tasks: Sequence[Task]) -> dict[Id, Taken]:
    """Who accepted these."""
    rows = await session.fetch(TAKEN_BY, [task.referral for task in tasks], [task.id for task in tasks])
    return {row["task_id"]: Taken(row["by_id"], row["by_name"], row["at"]) for row in rows}


# Each word as it is, or with what such places are called besides.
PLACES = """
SELECT w.word, r.code FROM unnest($1::text[]) AS w(word)
JOIN region r ON r.name_zh IN (w.word, w.word || '街道', w.word || '镇', w.word || '乡', w.word || '区', w.word || '县', w.word || '市',
    w.word || '社区', w.word || '村') OR lower(r.name_en) IN (w.word, w.word || ' subdistrict', w.word || ' district', w.word || ' county',
    w.word || ' town', w.word || ' township', w.word || ' street')
ORDER BY length(r.code), r.code LIMIT 200
"""


async def places(session: Session, words: Sequence[str]) -> list[tuple[str, str]]:
    """The regions of these names, as (word, code), the largest first."""
    return [(row["word"], row["code"]) for row in await session.fetch(PLACES, list(words))]


HOSPITALS = """
SELECT w.word, o.id FROM unnest($1::text[]) AS w(word)
JOIN organization o ON o.kind = 'hospital' AND (lower(o.name_zh) = w.word OR lower(o.name_en) = w.word)
ORDER BY o.id LIMIT 50
"""


async def hospitals(session: Session, words: Sequence[str]) -> list[tuple[str, Id]]:
    """The hospitals of these names."""
    return [(row["word"], row["id"]) for row in await session.fetch(HOSPITALS, list(words))]


# ---- saved views ------------------------------------------------------------------------------------------------------


class Saved(msgspec.Struct, frozen=True):
    """A view with its filter under a name; `mine` where the reader made it, else a colleague shared it."""

    id: Id
    name: str
    view: str
    words: str
    shared: bool
    mine: bool


SAVED = "SELECT id, account_id, name, view, words, shared FROM saved_view WHERE organization_id = $1 ORDER BY created_at, id LIMIT 50"


async def saved(session: Session, agency: Id, account: Id) -> list[Saved]:
    """The reader's own and those shared with the team, oldest first."""
    return [_saved(row, account) for row in await session.fetch(SAVED, agency)]


def _saved(row: Row, account: Id) -> Saved:
    return Saved(row["id"], row["name"], row["view"], row["words"], row["shared"], row["account_id"] == account)


KEEP = """
INSERT INTO saved_view (id, organization_id, account_id, name, view, words, shared, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def keep(session: Session, new: Saved, agency: Id, account: Id, now: datetime) -> None:
    await session.execute(KEEP, new.id, agency, account, new.name, new.view, new.words, new.shared, now)


DROP = "DELETE FROM saved_view WHERE id = $1 AND account_id = $2 RETURNING true"


async def drop(session: Session, id: Id, account: Id) -> bool:
    """Whether it was the reader's own, and is gone."""
    return bool(await session.fetchval(DROP, id, account))
