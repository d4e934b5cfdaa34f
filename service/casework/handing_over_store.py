"""SQL of hand-overs and co-work: a person's open work as a whole, and as a whole given on."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record as Row

from service.casework.handing_over import CoWork, HandOver, Item, Moved
from service.db import Session
from service.referrals.model import Task
from service.referrals.store import read_task
from service.values import Id

REFERRALS = """
SELECT referral_id FROM task WHERE worker_id = $1 AND open
UNION
SELECT c.referral_id FROM co_work c JOIN task t ON t.id = c.task_id
WHERE c.worker_id = $1 AND t.open AND (c.ends_at IS NULL OR c.ends_at > $2)
"""


async def referrals_of(session: Session, worker: Id, now: datetime) -> set[Id]:
    """The referrals on which the worker has something open."""
    return {row["referral_id"] for row in await session.fetch(REFERRALS, worker, now)}


OWNED = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.worker_id = $1 AND t.open ORDER BY t.id
"""
_CO_WORK = "id, task_id, referral_id, agency_id, worker_id, role, starts_at, ends_at, made_at"
SECOND = """
SELECT c.id, c.task_id, c.referral_id, c.agency_id, c.worker_id, c.role, c.starts_at, c.ends_at, c.made_at, v.snapshot
FROM co_work c JOIN task t ON t.id = c.task_id JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE c.worker_id = $1 AND t.open AND (c.ends_at IS NULL OR c.ends_at > $2) ORDER BY c.id
"""


async def items(session: Session, worker: Id, now: datetime) -> list[Item]:
    """Everything open that names the worker: first what is theirs, then that on which they are second."""
    own = [Item(read_task(row["snapshot"])) for row in await session.fetch(OWNED, worker)]
    second = [Item(read_task(row["snapshot"]), _co_work(row)) for row in await session.fetch(SECOND, worker, now)]
    return [*own, *second]


def _co_work(row: Row) -> CoWork:
    return CoWork(
        id=row["id"], task=row["task_id"], referral=row["referral_id"], agency=row["agency_id"], worker=row["worker_id"],
        role=row["role"], starts_at=row["starts_at"], ends_at=row["ends_at"], made_at=row["made_at"],
    )  # fmt: skip


PLACED = "SELECT referral_id, at FROM referral_version WHERE referral_id = ANY($1) AND version = 1"


async def placed(session: Session, referrals: Sequence[Id]) -> dict[Id, datetime]:
    """Since when these referrals are placed."""
    return {row["referral_id"]: row["at"] for row in await session.fetch(PLACED, list(referrals))}


# By the referral, which is the key of the table.
MOVE_STEPS = (
    "UPDATE next_step SET worker_id = $3 WHERE referral_id = ANY($1) AND task_id = ANY($2) AND worker_id IS NOT NULL"
)
MOVE_CASES = "UPDATE case_file SET worker_id = $2, version = version + 1 WHERE task_id = ANY($1) AND closed_at IS NULL"
# What was handed over before and is handed on now goes back all the way, when its first owner is back; then it is no longer
# with those to whom it was handed on later.
MOVE_HELD = """
UPDATE hand_over_item i SET holder_id = $3 FROM hand_over h, unnest($1::uuid[], $2::uuid[]) AS m(task, was)
WHERE h.id = i.hand_over_id AND h.state = 'in-force' AND h.starts_at < $4 AND i.was_id IS NULL AND i.task_id = m.task AND i.holder_id = m.was
"""


async def move(session: Session, tasks: Sequence[Task], to: Id, before: datetime) -> None:
    """The next steps and cases of these Tasks, which still name who had them, follow them; so do the hand-overs made before."""
    ids = [task.id for task in tasks]
    await session.execute(MOVE_STEPS, [task.referral for task in tasks], ids, to)
    await session.execute(MOVE_CASES, ids, to)
    await session.execute(MOVE_HELD, ids, [task.worker for task in tasks], to, before)


MOVE_SECOND = """
UPDATE hand_over_item i SET now_id = m.now, holder_id = $3 FROM hand_over h, unnest($1::uuid[], $2::uuid[]) AS m(was, now)
WHERE h.id = i.hand_over_id AND h.state = 'in-force' AND h.starts_at < $4 AND i.now_id = m.was
"""


async def move_second(session: Session, was: Sequence[Id], now: Sequence[Id | None], to: Id, before: datetime) -> None:
    """The same for co-work that was handed over before."""
    await session.execute(MOVE_SECOND, list(was), list(now), to, before)


MOVE_STAND_INS = "UPDATE worker SET stand_in_id = $2, version = version + 1, updated_at = $3 WHERE stand_in_id = $1"


async def stand_in_for(session: Session, frm: Id, to: Id, now: datetime) -> None:
    """Who stood in hands over in turn: the next one stands in for those who are away."""
    await session.execute(MOVE_STAND_INS, frm, to, now)


ENGAGED = """
SELECT DISTINCT task_id FROM co_work WHERE worker_id = $1 AND task_id = ANY($2) AND (ends_at IS NULL OR ends_at > $3)
"""


async def engaged(session: Session, worker: Id, tasks: Sequence[Id], now: datetime) -> set[Id]:
    """On which of these shares the worker is second now."""
    return {row["task_id"] for row in await session.fetch(ENGAGED, worker, list(tasks), now)}


END_CO_WORK = (
    "UPDATE co_work SET ends_at = greatest($2, starts_at) WHERE id = ANY($1) AND (ends_at IS NULL OR ends_at > $2)"
)


async def end_co_work(session: Session, ids: Sequence[Id], now: datetime) -> None:
    if ids:
        await session.execute(END_CO_WORK, list(ids), now)


END_OWN_CO_WORK = """
UPDATE co_work SET ends_at = greatest($3, starts_at) WHERE worker_id = $1 AND task_id = ANY($2) AND (ends_at IS NULL OR ends_at > $3)
"""


async def end_own_co_work(session: Session, worker: Id, tasks: Sequence[Id], now: datetime) -> None:
    """Who becomes the owner of a share is not its second worker any more."""
    await session.execute(END_OWN_CO_WORK, worker, list(tasks), now)


ADD_CO_WORK = f"""
INSERT INTO co_work ({_CO_WORK})
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[],
                     $9::timestamptz[])
"""


async def add_co_work(session: Session, made: Sequence[CoWork]) -> None:
    if not made:
        return
    await session.execute(
        ADD_CO_WORK, [c.id for c in made], [c.task for c in made], [c.referral for c in made], [c.agency for c in made],
        [c.worker for c in made], [c.role for c in made], [c.starts_at for c in made], [c.ends_at for c in made],
        [c.made_at for c in made],
    )  # fmt: skip


CO_WORK_OF = f"SELECT {_CO_WORK} FROM co_work WHERE task_id = $1 ORDER BY id"


async def co_work_of(session: Session, task: Id) -> list[CoWork]:
    """Who was and is second on a share."""
    return [_co_work(row) for row in await session.fetch(CO_WORK_OF, task)]


CO_WORK = f"SELECT {_CO_WORK} FROM co_work WHERE id = ANY($1)"


async def co_work(session: Session, ids: Sequence[Id]) -> dict[Id, CoWork]:
    return {row["id"]: _co_work(row) for row in await session.fetch(CO_WORK, list(ids))}


# ---- hand-overs --------------------------------------------------------------------------------------------------------

_HAND_OVER = """id, agency_id, absent_id, colleague_id, reason_code, starts_at, ends_at, state, why, moved, given_back, by_id, made_at,
    ended_at"""
SAVE = f"""
INSERT INTO hand_over ({_HAND_OVER}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, why = excluded.why, starts_at = excluded.starts_at, moved = excluded.moved, ends_at = excluded.ends_at,
    given_back = excluded.given_back, ended_at = excluded.ended_at
"""


async def save(session: Session, it: HandOver) -> None:
    await session.execute(
        SAVE, it.id, it.agency, it.absent, it.colleague, it.reason, it.starts_at, it.ends_at, it.state, it.why, it.moved,
        it.given_back, it.by, it.made_at, it.ended_at,
    )  # fmt: skip


def _hand_over(row: Row) -> HandOver:
    return HandOver(
        id=row["id"], agency=row["agency_id"], absent=row["absent_id"], colleague=row["colleague_id"], reason=row["reason_code"],
        starts_at=row["starts_at"], ends_at=row["ends_at"], state=row["state"], why=row["why"], moved=row["moved"],
        given_back=row["given_back"], by=row["by_id"], made_at=row["made_at"], ended_at=row["ended_at"],
    )  # fmt: skip


CURRENT = f"SELECT {_HAND_OVER} FROM hand_over WHERE absent_id = $1 AND state IN ('planned', 'in-force') FOR UPDATE"


async def current(session: Session, absent: Id) -> HandOver | None:
    """The hand-over of this person that is planned or in force, locked."""
    row = await session.fetchrow(CURRENT, absent)
    return _hand_over(row) if row else None


LATEST = f"SELECT {_HAND_OVER} FROM hand_over WHERE absent_id = $1 ORDER BY id DESC LIMIT 20"


async def latest(session: Session, absent: Id) -> list[HandOver]:
    """Their last hand-overs, newest first."""
    return [_hand_over(row) for row in await session.fetch(LATEST, absent)]


OF_AGENCY = f"""
SELECT {_HAND_OVER} FROM hand_over WHERE agency_id = $1 ORDER BY id DESC LIMIT $2
"""


async def of_agency(session: Session, agency: Id, limit: int) -> list[HandOver]:
    """An agency's last hand-overs, newest first."""
    return [_hand_over(row) for row in await session.fetch(OF_AGENCY, agency, limit)]


DUE = f"""
SELECT {_HAND_OVER} FROM hand_over
WHERE (state = 'planned' AND starts_at <= $1) OR (state = 'in-force' AND ends_at <= $1)
ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""


async def due(session: Session, now: datetime) -> HandOver | None:
    """One that begins or ends now, locked."""
    row = await session.fetchrow(DUE, now)
    return _hand_over(row) if row else None


KEEP = """
INSERT INTO hand_over_item (hand_over_id, task_id, agency_id, holder_id, was_id, now_id)
SELECT $1, task, $2, $3, was, now FROM unnest($4::uuid[], $5::uuid[], $6::uuid[]) AS m(task, was, now)
"""


async def keep(session: Session, it: HandOver, moved: Sequence[Moved]) -> None:
    """Remember what went to the colleague."""
    await session.execute(
        KEEP, it.id, it.agency, it.colleague, [m.task for m in moved], [m.was for m in moved], [m.now for m in moved]
    )


HELD_REFERRALS = """
SELECT DISTINCT t.referral_id FROM hand_over_item i JOIN task t ON t.id = i.task_id WHERE i.hand_over_id = $1 AND t.open
"""


async def held_referrals(session: Session, hand_over: Id) -> set[Id]:
    return {row["referral_id"] for row in await session.fetch(HELD_REFERRALS, hand_over)}


# What somebody else was named for since is theirs; what ended is over.
STILL_OWNED = """
SELECT v.snapshot FROM hand_over_item i JOIN task t ON t.id = i.task_id
JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE i.hand_over_id = $1 AND i.was_id IS NULL AND t.open AND t.worker_id = i.holder_id ORDER BY t.id
"""
STILL_SECOND = """
SELECT v.snapshot, i.was_id, i.now_id FROM hand_over_item i JOIN task t ON t.id = i.task_id
JOIN task_version v ON v.task_id = t.id AND v.version = t.version
LEFT JOIN co_work c ON c.id = i.now_id
WHERE i.hand_over_id = $1 AND i.was_id IS NOT NULL AND t.open AND (i.now_id IS NULL OR c.ends_at IS NULL OR c.ends_at > $2)
ORDER BY t.id
"""


async def still_open(session: Session, hand_over: Id, now: datetime) -> tuple[list[Task], list[tuple[Task, Moved]]]:
    """What a hand-over moved and can go back: Tasks of the person, and those on which they were second."""
    own = [read_task(row["snapshot"]) for row in await session.fetch(STILL_OWNED, hand_over)]
    second = [
        (task := read_task(row["snapshot"]), Moved(task.id, row["was_id"], row["now_id"]))
        for row in await session.fetch(STILL_SECOND, hand_over, now)
    ]
    return own, second
