"""SQL of what is open or has ended for a hospital or the coordinator, and of everything that one referral's page shows."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.db import Session
from service.records.model import Record
from service.records.store import COLUMNS as RECORD
from service.records.store import record_of
from service.referrals.model import NextStep, Referral, Task
from service.referrals.store import STEP_OF, read_referral, read_step, read_task
from service.values import Id


class Open(msgspec.Struct, frozen=True):
    """An open referral as a side sees it: who must act next, and the referral (its hospital, the coordinator) or the side's
    own share or follow-up of it (an agency)."""

    step: NextStep
    referral: Referral | None = None
    task: Task | None = None

    @property
    def patient(self) -> Id | None:
        """The person, where the side may know them."""
        return self.referral.patient if self.referral else self.task.patient if self.task else None


# A page walks its index alone and looks up what it shows by primary key.
OF_HOSPITAL = f"""
SELECT {STEP_OF} AS step, v.snapshot AS referral
FROM (SELECT * FROM next_step WHERE hospital_id = $1 AND (by, referral_id) > ($2::timestamptz, $3::uuid)
      ORDER BY by, referral_id LIMIT $4) AS n
JOIN referral r ON r.id = n.referral_id
JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
ORDER BY n.by, n.referral_id
"""


async def of_hospital(session: Session, hospital: Id, after: tuple[datetime, Id], limit: int) -> list[Open]:
    """What is open at a hospital behind `after` (by, referral), soonest due first."""
    rows = await session.fetch(OF_HOSPITAL, hospital, *after, limit)
    return [Open(read_step(row["step"]), read_referral(row["referral"])) for row in rows]


# ---- a ward's folders ------------------------------------------------------------------------------------------------

FOLDERS = ("mine", "waiting", "service", "follow-up")
"""What is open, by whose turn it is."""
FOLDER = """(CASE WHEN what = 'follow-up' THEN 'follow-up' WHEN organization_id = hospital_id THEN 'mine'
    WHEN agency_id IS NULL OR what = 'accept-or-decline' THEN 'waiting' ELSE 'service' END)"""
"""The folder of a row of next_step: the expression of its index next_step_folder, letter by letter."""
MOST = 1000
"""How far a count counts, and through how many rows one page looks for words."""

COUNTS = f"""
SELECT f.folder, (SELECT count(*) FROM (
    SELECT 1 FROM next_step WHERE hospital_id = $1 AND {FOLDER} = f.folder LIMIT {MOST + 1}) AS counted) AS found
FROM unnest($2::text[]) AS f(folder)
"""
_PLACED = f"SELECT referral_id FROM event WHERE by_id = $1 AND kind = 'submit' ORDER BY referral_id DESC LIMIT {MOST}"
OWN_COUNTS = f"""
SELECT {FOLDER} AS folder, count(*) AS found FROM next_step JOIN ({_PLACED}) AS own USING (referral_id)
WHERE hospital_id = $2 GROUP BY 1
"""


async def counts(session: Session, hospital: Id, placed_by: Id | None) -> dict[str, int]:
    """How many are in each folder of what is open; counting stops at 1,001. Of one person those among their last 1,000."""
    if placed_by:
        rows = await session.fetch(OWN_COUNTS, placed_by, hospital)
    else:
        rows = await session.fetch(COUNTS, hospital, list(FOLDERS))
    return {row["folder"]: row["found"] for row in rows}


_BEHIND = "(by, referral_id) > ($2::timestamptz, $3::uuid) ORDER BY by, referral_id LIMIT $4"
OPEN_KEYS = f"SELECT by AS at, referral_id AS id FROM next_step WHERE hospital_id = $1 AND {_BEHIND}"
FOLDER_KEYS = (
    f"SELECT by AS at, referral_id AS id FROM next_step WHERE hospital_id = $1 AND {FOLDER} = $5::text AND {_BEHIND}"
)
CLOSED_KEYS = """
SELECT closed_at AS at, id FROM referral
WHERE hospital_id = $1 AND NOT open AND (closed_at, id) < ($2::timestamptz, $3::uuid) ORDER BY closed_at DESC, id DESC LIMIT $4
"""
# Of one person's, few enough to be put in order each time.
OWN_OPEN_KEYS = f"""
SELECT by AS at, referral_id AS id FROM next_step JOIN ({_PLACED}) AS own USING (referral_id)
WHERE hospital_id = $5 AND ($6::text IS NULL OR {FOLDER} = $6::text) AND {_BEHIND}
"""
OWN_CLOSED_KEYS = f"""
SELECT closed_at AS at, id FROM referral JOIN ({_PLACED}) AS own ON own.referral_id = id
WHERE hospital_id = $5 AND NOT open AND (closed_at, id) < ($2::timestamptz, $3::uuid) ORDER BY closed_at DESC, id DESC LIMIT $4
"""

Place = tuple[datetime, Id]


async def keys(
    session: Session, hospital: Id, folder: str | None, placed_by: Id | None, after: Place, limit: int
) -> list[Place]:
    """Where the next rows of a folder are, behind `after`: soonest due first; of what has ended (`ended`) the latest first."""
    if folder == "ended":
        if placed_by:
            rows = await session.fetch(OWN_CLOSED_KEYS, placed_by, *after, limit, hospital)
        else:
            rows = await session.fetch(CLOSED_KEYS, hospital, *after, limit)
    elif placed_by:
        rows = await session.fetch(OWN_OPEN_KEYS, placed_by, *after, limit, hospital, folder)
    elif folder:
        rows = await session.fetch(FOLDER_KEYS, hospital, *after, limit, folder)
    else:
        rows = await session.fetch(OPEN_KEYS, hospital, *after, limit)
    return [(row["at"], row["id"]) for row in rows]


class Line(msgspec.Struct, frozen=True):
    """One referral of a ward's list: with its next step while it is open, else with what came of it, and when."""

    referral: Referral
    step: NextStep | None = None
    parent: Task | None = None
    closed_at: datetime | None = None
    closed_by: Id | None = None
    """The agency that completed it."""
    ward: str | None = None
    bed: str | None = None


class Wanted(msgspec.Struct, frozen=True):
    """A word that is looked for: it stands for these urgencies, needs or agencies, or stands in a name, a ward or a region."""

    word: str
    urgencies: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


# Every word must be found. What is looked through was found by its key before, so this costs what those rows cost.
LINES = f"""
SELECT k.place, CASE WHEN n.referral_id IS NOT NULL THEN {STEP_OF} END AS step, v.snapshot AS referral, tv.snapshot AS parent,
       r.closed_at, done.agency_id AS closed_by, coalesce(s.ward, s.department) AS ward, s.bed
FROM unnest($1::uuid[]) WITH ORDINALITY AS k(id, place)
JOIN referral r ON r.id = k.id
JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
LEFT JOIN next_step n ON n.referral_id = r.id
LEFT JOIN task t ON t.id = r.parent_id AND NOT r.open
LEFT JOIN task_version tv ON tv.task_id = t.id AND tv.version = t.version
LEFT JOIN LATERAL (SELECT agency_id FROM task WHERE referral_id = r.id AND kind = 'share' AND status = 'completed' AND NOT r.open
                   ORDER BY ended_at DESC LIMIT 1) AS done ON true
LEFT JOIN stay s ON s.id = r.stay_id
WHERE NOT EXISTS (
    SELECT 1 FROM unnest($2::text[], $3::text[], $4::text[]) AS w(word, urgencies, needs)
    WHERE NOT (
        r.effective_urgency = ANY (string_to_array(w.urgencies, ' ')) OR r.needs && string_to_array(w.needs, ' ')
        OR strpos(lower(concat_ws(' ', s.ward, s.department, s.bed)), w.word) > 0
        OR EXISTS (SELECT 1 FROM patient p WHERE p.id = r.patient_id AND strpos(lower(p.name), w.word) > 0)
        OR EXISTS (SELECT 1 FROM region g WHERE g.code = r.region AND strpos(lower(g.name_zh || ' ' || g.name_en), w.word) > 0)
        OR EXISTS (SELECT 1 FROM organization o WHERE o.id = coalesce(n.agency_id, done.agency_id)
                   AND strpos(lower(o.name_zh || ' ' || o.name_en), w.word) > 0)
    )
)
ORDER BY k.place LIMIT $5
"""


async def lines(session: Session, ids: Sequence[Id], words: Sequence[Wanted], limit: int) -> list[tuple[int, Line]]:
    """These referrals in this order, those alone in which every word is found; each with its place among `ids`, from 0."""
    rows = await session.fetch(
        LINES, list(ids), [w.word for w in words], [" ".join(w.urgencies) for w in words], [" ".join(w.needs) for w in words], limit
    )  # fmt: skip
    return [
        (
            row["place"] - 1,
            Line(
                referral=read_referral(row["referral"]), step=read_step(row["step"]) if row["step"] else None,
                parent=read_task(row["parent"]) if row["parent"] else None, closed_at=row["closed_at"], closed_by=row["closed_by"],
                ward=row["ward"], bed=row["bed"],
            ),
        )
        for row in rows
    ]  # fmt: skip


# ---- one referral ----------------------------------------------------------------------------------------------------

VISIBLE_TASKS = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.referral_id = $1 ORDER BY t.id
"""


async def tasks(session: Session, referral: Id) -> list[Task]:
    """Every Task of a referral that the scope may see, oldest first: an agency's own, and an offer that it may claim."""
    return [read_task(row["snapshot"]) for row in await session.fetch(VISIBLE_TASKS, referral)]


MESSAGES = (
    f"SELECT {RECORD} FROM record WHERE referral_id = $1 AND type = 'Communication' AND current"
    " AND category = 'message' AND code = ANY($2) ORDER BY at, id LIMIT 500"
)


async def messages(session: Session, referral: Id, kinds: Sequence[str]) -> list[Record]:
    """What the sides wrote to each other, as far as the scope may read it, oldest first."""
    return [record_of(row) for row in await session.fetch(MESSAGES, referral, list(kinds))]


OWN_SHARES = """
SELECT DISTINCT ON (t.referral_id) v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.referral_id = ANY ($1) AND t.agency_id = $2 AND t.kind = 'share' ORDER BY t.referral_id, t.open DESC, t.id DESC
"""


async def own_shares(session: Session, referrals: Sequence[Id], agency: Id) -> dict[Id, Task]:
    """The agency's share of each of these referrals: the one it has now, else its last."""
    rows = await session.fetch(OWN_SHARES, list(referrals), agency)
    return {task.referral: task for row in rows if (task := read_task(row["snapshot"]))}


REQUEST = "SELECT body FROM record WHERE id = $1 AND type = 'ServiceRequest' AND current"


async def request(session: Session, referral: Id) -> bytes | None:
    """The hospital's request as received, where the scope may read it: its words are part of what identity opens."""
    body = await session.fetchval(REQUEST, referral)
    return body.encode() if body else None
