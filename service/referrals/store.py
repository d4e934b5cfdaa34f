"""SQL of referrals, Tasks and next steps."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from service.codes import SAFETY_NEEDS
from service.db import Session
from service.referrals.model import Continued, Loop, NextStep, Referral, Task
from service.safety.contact import SUPERVISED
from service.values import URGENCIES, Id, write_json

_task = msgspec.json.Decoder(Task, float_hook=Decimal)
_tasks = msgspec.json.Decoder(list[Task], float_hook=Decimal)
_referral = msgspec.json.Decoder(Referral)
_step = msgspec.json.Decoder(NextStep)
read_task, read_referral, read_step = _task.decode, _referral.decode, _step.decode

STEP_OF = """json_build_object('referral', n.referral_id, 'hospital', n.hospital_id, 'agency', n.agency_id, 'who', n.who,
    'organization', n.organization_id, 'worker', n.worker_id, 'what', n.what, 'task', n.task_id, 'since', n.since,
    'warn_at', n.warn_at, 'by', n.by, 'confirmed', n.confirmed)"""
"""A row `n` of next_step as JSON of the Struct."""

LOCK = "SELECT referral_id FROM referral_counter WHERE referral_id = $1 FOR UPDATE"


async def lock(session: Session, referral: Id) -> bool:
    """Take the referral's counter row: from here on nobody else moves this referral. False when there is none."""
    return await session.fetchval(LOCK, referral) is not None


LOCK_OF = """
SELECT c.referral_id FROM referral_counter c
WHERE c.referral_id = (SELECT referral_id FROM task WHERE id = $1 UNION ALL SELECT id FROM referral WHERE id = $1 LIMIT 1) FOR UPDATE
"""


async def lock_of(session: Session, id: Id) -> None:
    """Take the counter row of the referral with this id or with this Task, if the scope may see it: what is read from here
    on stays as it is, so that a version compared before a move is still the current one when the move is made."""
    await session.execute(LOCK_OF, id)


# Read after the lock, in a statement of its own, so that the snapshot is newer than whoever held the lock before.
LOOP = f"""
SELECT v.snapshot AS referral,
       (SELECT json_agg(tv.snapshot ORDER BY t.id) FROM task t JOIN task_version tv ON tv.task_id = t.id AND tv.version = t.version
        WHERE t.referral_id = r.id) AS tasks,
       (SELECT {STEP_OF} FROM next_step n WHERE n.referral_id = r.id) AS step
FROM referral r JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
WHERE r.id = $1
"""


async def load(session: Session, referral: Id) -> Loop | None:
    """The loop as the scope may see it, without its grounds of disclosure; all of it needs the hospital's or platform scope."""
    row = await session.fetchrow(LOOP, referral)
    if row is None:
        return None
    tasks = _tasks.decode(row["tasks"]) if row["tasks"] else []
    return Loop(
        referral=_referral.decode(row["referral"]),
        parent=next(task for task in tasks if task.kind == "parent"),
        shares=tuple(task for task in tasks if task.kind == "share"),
        follow_ups=tuple(task for task in tasks if task.kind == "follow-up"),
        duties=tuple(task for task in tasks if task.kind == "duty"),
        next=_step.decode(row["step"]) if row["step"] else None,
    )


TASK = "SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version WHERE t.id = $1"


async def task(session: Session, id: Id) -> Task | None:
    snapshot = await session.fetchval(TASK, id)
    return _task.decode(snapshot) if snapshot else None


MAY_CLAIM = "SELECT EXISTS (SELECT 1 FROM open_offer WHERE task_id = $1 AND agency_id = $2)"


async def may_claim(session: Session, task: Id, agency: Id) -> bool:
    return bool(await session.fetchval(MAY_CLAIM, task, agency))


OPEN_OFFER = "INSERT INTO open_offer (task_id, agency_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING"


async def open_offer(session: Session, task: Id, agencies: Sequence[Id]) -> None:
    """Name the agencies that may see and claim an offer without owner."""
    await session.execute(OPEN_OFFER, task, list(agencies))


CLAIM_NUMBER = """
INSERT INTO submission (hospital_id, system, value, digest, referral_id, locations) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING true
"""


async def claim_number(
    session: Session, hospital: Id, system: str, value: str, digest: bytes, referral: Id, locations: Sequence[str]
) -> bool:
    """Take the placer's number for this referral; False when it is taken. A parallel try waits here for the first one's end."""
    return bool(await session.fetchval(CLAIM_NUMBER, hospital, system, value, digest, referral, list(locations)))


SUBMITTED = (
    "SELECT digest, referral_id, locations FROM submission WHERE hospital_id = $1 AND system = $2 AND value = $3"
)


async def submitted(
    session: Session, hospital: Id, system: str, value: str
) -> tuple[bytes, Id, tuple[str, ...]] | None:
    row = await session.fetchrow(SUBMITTED, hospital, system, value)
    return (row["digest"], row["referral_id"], tuple(row["locations"])) if row else None


ALIKE = (
    "SELECT id FROM referral WHERE patient_id = $1 AND open AND needs && $2::text[] AND id <> $3 ORDER BY id LIMIT 5"
)


async def alike(session: Session, patient: Id, needs: Sequence[str], but: Id) -> list[Id]:
    """Open referrals of the same person for one of the same needs."""
    return [row["id"] for row in await session.fetch(ALIKE, patient, list(needs), but)]


_TASK = """id, kind, version, referral_id, hospital_id, agency_id, worker_id, status, business_status, urgency, urgency_rank,
    needs, patient_id, stand_in_id, filler_id, due_at, open, updated_at, ended_at"""
_TASKS = f"""
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[],
        $10::text[], $11::smallint[], $12::text[], $13::uuid[], $14::uuid[], $15::uuid[], $16::timestamptz[], $17::bool[],
        $18::timestamptz[], $19::timestamptz[], $20::int[], $21::text[]) AS n({_TASK}, filler_version, snapshot)
"""
_ROWS = f"SELECT {_TASK} FROM new".replace("needs", "string_to_array(needs, ' ')")
_QUEUED = "task_id, agency_id, hospital_id, urgency_rank, due_at, version, status, needs, kind, worker_id, says, sealed, region, window_from"
_QUEUE_ROWS = f"""SELECT id, agency_id, hospital_id, urgency_rank, coalesce(due_at, 'infinity'), version, status, string_to_array(needs, ' '), kind, worker_id, business_status, patient_id IS NULL AND string_to_array(needs, ' ') && '{{{",".join(sorted(SAFETY_NEEDS))}}}', (snapshot::json) ->> 'region', ((snapshot::json) ->> 'window_from')::timestamptz FROM new WHERE open AND kind <> 'parent' AND agency_id IS NOT NULL"""
_STEP = (
    "referral_id, hospital_id, agency_id, who, organization_id, worker_id, what, task_id, since, warn_at, by, confirmed"
)

# A new referral needs none of the care that a change takes: nobody else can know of it yet.
INSERT = f"""
WITH counter AS (
    INSERT INTO referral_counter (referral_id) VALUES ($22)
), referral_row AS (
    INSERT INTO referral (id, version, hospital_id, placer_system, placer_value, patient_id, stay_id, parent_id, status, needs,
        urgency, effective_urgency, region, language, age_band, gender, preferred_agency, contact_prohibited, replaces, crisis,
        crisis_at, crisis_by, crisis_owner, follow_up, open, reason_code, reason_text, received, authored_at, updated_at,
        continues)
    VALUES ($22, 1, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44,
        true, $45, $46, $47, $48, $49, $61)
), first AS (
    INSERT INTO referral_version (referral_id, version, hospital_id, at, snapshot) VALUES ($22, 1, $23, $49, $50::json)
), step AS (
    INSERT INTO next_step ({_STEP}) VALUES ($22, $23, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60)
), new AS ({_TASKS}), rows AS (
    INSERT INTO task ({_TASK}) {_ROWS}
), queued AS (
    INSERT INTO open_task ({_QUEUED}) {_QUEUE_ROWS}
)
INSERT INTO task_version (task_id, version, hospital_id, agency_id, filler_version, at, snapshot)
SELECT id, version, hospital_id, agency_id, filler_version, updated_at, snapshot::json FROM new
"""


async def insert(session: Session, r: Referral, tasks: Sequence[Task], s: NextStep) -> None:
    """Store a referral that begins, open, with its first Tasks and its first step, all in one statement."""
    crisis, reason = r.crisis, r.reason
    await session.execute(
        INSERT, *_columns(tasks), r.id, r.hospital, r.placer_system, r.placer_value, r.patient, r.stay, r.parent, r.status, list(r.needs),
        r.urgency, r.effective_urgency, r.region, r.language, r.age_band, r.gender, r.preferred, r.contact_prohibited, r.replaces,
        crisis.state if crisis else None, crisis.at if crisis else None, crisis.by if crisis else None,
        crisis.owner if crisis else None, r.follow_up, reason.code if reason else None, reason.text if reason else None, r.received,
        r.authored_at, r.updated_at, msgspec.json.encode(r).decode(), s.agency, s.who, s.organization, s.worker, s.what, s.task,
        s.since, s.warn_at, s.by, s.confirmed, r.continues,
    )  # fmt: skip


ADD_POPULATIONS = "INSERT INTO referral_population (referral_id, hospital_id, code) SELECT $1, $2, unnest($3::text[])"


async def add_populations(session: Session, r: Referral) -> None:
    """Let a new referral be found by the groups that it names."""
    if r.populations:
        await session.execute(ADD_POPULATIONS, r.id, r.hospital, list(r.populations))


CONTINUED = """
SELECT r.id, r.open, t.status FROM referral r
LEFT JOIN LATERAL (
    SELECT status FROM task WHERE referral_id = r.id AND kind = 'share' AND status IN ('accepted', 'in-progress', 'on-hold', 'completed')
    ORDER BY open DESC, id LIMIT 1
) t ON true
WHERE r.continues = $1 AND r.status <> 'entered-in-error' ORDER BY r.id
"""


async def continued(session: Session, referral: Id) -> list[Continued]:
    """The referrals that go on from this one, oldest first."""
    return [Continued(row["id"], row["open"], row["status"]) for row in await session.fetch(CONTINUED, referral)]


SAVE_REFERRAL = """
WITH referral_row AS (
    UPDATE referral SET version = $2, status = $4, urgency = $5, effective_urgency = $6, stay_id = $7, crisis = $8, crisis_at = $9,
        crisis_by = $10, crisis_owner = $11, follow_up = $12, open = $13, reason_code = $14, reason_text = $15, received = $16,
        updated_at = $17, contact_prohibited = $19, patient_id = $20, region = $21, language = $22, age_band = $23, gender = $24,
        closed_at = CASE WHEN $13 THEN NULL ELSE coalesce(closed_at, $17) END
    WHERE id = $1 AND version = $2 - 1
    RETURNING id
)
INSERT INTO referral_version (referral_id, version, hospital_id, at, snapshot) SELECT $1, $2, $3, $17, $18::json FROM referral_row
"""


async def save_referral(session: Session, r: Referral, open: bool) -> bool:
    """Store its new version; False when another change came first."""
    crisis, reason = r.crisis, r.reason
    tag = await session.execute(
        SAVE_REFERRAL, r.id, r.version, r.hospital, r.status, r.urgency, r.effective_urgency, r.stay, crisis.state if crisis else None,
        crisis.at if crisis else None, crisis.by if crisis else None, crisis.owner if crisis else None, r.follow_up, open,
        reason.code if reason else None, reason.text if reason else None, r.received, r.updated_at, msgspec.json.encode(r).decode(),
        r.contact_prohibited, r.patient, r.region, r.language, r.age_band, r.gender,
    )  # fmt: skip
    return tag == "INSERT 0 1"


SAVE_TASKS = f"""
WITH new AS ({_TASKS}), rows AS (
    INSERT INTO task ({_TASK}) {_ROWS}
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, agency_id = excluded.agency_id, worker_id = excluded.worker_id,
        status = excluded.status, business_status = excluded.business_status, urgency = excluded.urgency,
        urgency_rank = excluded.urgency_rank, patient_id = excluded.patient_id, due_at = excluded.due_at, open = excluded.open,
        updated_at = excluded.updated_at, ended_at = excluded.ended_at
        WHERE task.version = excluded.version - 1
    RETURNING id
), queued AS (
    INSERT INTO open_task ({_QUEUED}) {_QUEUE_ROWS}
    ON CONFLICT (task_id) DO UPDATE SET agency_id = excluded.agency_id, urgency_rank = excluded.urgency_rank, due_at = excluded.due_at,
        version = excluded.version, status = excluded.status, worker_id = excluded.worker_id, says = excluded.says, sealed = excluded.sealed, region = excluded.region, window_from = excluded.window_from
), ended AS (
    DELETE FROM open_task USING new WHERE open_task.task_id = new.id AND NOT (new.open AND new.agency_id IS NOT NULL)
)
INSERT INTO task_version (task_id, version, hospital_id, agency_id, filler_version, at, snapshot)
SELECT new.id, new.version, new.hospital_id, new.agency_id, new.filler_version, new.updated_at, new.snapshot::json FROM new JOIN rows USING (id)
"""


async def save_tasks(session: Session, tasks: Sequence[Task]) -> bool:
    """Insert or update Tasks with their new versions, in one statement; False when another update came first."""
    if not tasks:
        return True
    return await session.execute(SAVE_TASKS, *_columns(tasks)) == f"INSERT 0 {len(tasks)}"


def _columns(tasks: Sequence[Task]) -> list[list[Any]]:
    return [
        [t.id for t in tasks], [t.kind for t in tasks], [t.version for t in tasks], [t.referral for t in tasks],
        [t.hospital for t in tasks], [t.agency for t in tasks], [t.worker for t in tasks], [t.status for t in tasks],
        [t.business_status for t in tasks], [t.urgency for t in tasks], [urgency_rank(t.urgency) for t in tasks],
        [" ".join(t.needs) for t in tasks], [t.patient for t in tasks], [t.stand_in for t in tasks], [t.filler for t in tasks],
        [t.due_at for t in tasks], [t.open for t in tasks], [t.updated_at for t in tasks], [t.ended_at for t in tasks],
        [t.filler_version for t in tasks], [write_json(t).decode() for t in tasks],
    ]  # fmt: skip


def urgency_rank(urgency: str) -> int:
    """0 for the most urgent, so that ascending order is the order of work."""
    return len(URGENCIES) - 1 - URGENCIES.index(urgency)


SAVE_STEP = f"""
INSERT INTO next_step ({_STEP})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (referral_id) DO UPDATE SET agency_id = excluded.agency_id, who = excluded.who, organization_id = excluded.organization_id,
    worker_id = excluded.worker_id, what = excluded.what, task_id = excluded.task_id, since = excluded.since,
    warn_at = excluded.warn_at, by = excluded.by, confirmed = excluded.confirmed, reminded = 0, look_at = NULL
"""


async def save_step(session: Session, s: NextStep) -> None:
    await session.execute(
        SAVE_STEP,
        s.referral,
        s.hospital,
        s.agency,
        s.who,
        s.organization,
        s.worker,
        s.what,
        s.task,
        s.since,
        s.warn_at,
        s.by,
        s.confirmed,
    )


NO_STEP = "DELETE FROM next_step WHERE referral_id = $1"


async def no_step(session: Session, referral: Id) -> None:
    """The referral is no longer open: nobody has to act."""
    await session.execute(NO_STEP, referral)


WITHOUT_STEP = """
SELECT count(*) FROM referral r FULL JOIN next_step n ON n.referral_id = r.id
WHERE (r.open AND n.referral_id IS NULL) OR (n.referral_id IS NOT NULL AND r.open IS NOT TRUE)
"""


async def without_step(session: Session) -> int:
    """How many referrals break the promise: open without exactly one answer to “who acts next”, or closed with one."""
    return await session.fetchval(WITHOUT_STEP)


EXPIRED = """
SELECT t.id, t.referral_id FROM task t JOIN referral_counter c ON c.referral_id = t.referral_id
WHERE t.kind = 'share' AND t.status = 'requested' AND t.due_at <= $1 AND t.business_status = 'offered'
  AND NOT (t.id = ANY($3::uuid[]))
ORDER BY t.due_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED
"""


async def expired_offers(session: Session, now: datetime, limit: int, but: Sequence[Id]) -> list[tuple[Id, Id]]:
    """Offers whose reply limit passed, with their referrals locked; (task, referral)."""
    return [(row["id"], row["referral_id"]) for row in await session.fetch(EXPIRED, now, limit, list(but))]


# Told of once, when its limit has passed; from then on it shows as overdue.
OVERDUE = """
SELECT t.id, t.referral_id FROM task t JOIN referral_counter c ON c.referral_id = t.referral_id
WHERE t.kind = 'duty' AND t.open AND t.business_status IS NULL AND t.due_at <= $1 AND NOT (t.id = ANY($3::uuid[]))
ORDER BY t.due_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED
"""


async def overdue_duties(session: Session, now: datetime, limit: int, but: Sequence[Id]) -> list[tuple[Id, Id]]:
    """Duties whose limit passed and was not told of yet, with their referrals locked; (task, referral)."""
    return [(row["id"], row["referral_id"]) for row in await session.fetch(OVERDUE, now, limit, list(but))]


LATE = """
SELECT n.referral_id FROM next_step n JOIN referral_counter c ON c.referral_id = n.referral_id
WHERE coalesce(n.look_at, n.warn_at) <= $1
ORDER BY n.by LIMIT $2 FOR UPDATE OF c SKIP LOCKED
"""


async def late_steps(session: Session, now: datetime, limit: int) -> list[Id]:
    """Referrals whose next step is due a reminder or an escalation, locked."""
    return [row["referral_id"] for row in await session.fetch(LATE, now, limit)]


REMINDED = "UPDATE next_step SET reminded = $2, look_at = $3 WHERE referral_id = $1"


async def set_reminded(session: Session, referral: Id, level: int, look_at: datetime) -> None:
    """How far the step has been told of, and when to look at it again."""
    await session.execute(REMINDED, referral, level, look_at)


REMINDED_LEVEL = "SELECT reminded FROM next_step WHERE referral_id = $1"


async def reminded_level(session: Session, referral: Id) -> int:
    return await session.fetchval(REMINDED_LEVEL, referral) or 0


OPEN_OF_PATIENT = "SELECT id FROM referral WHERE patient_id = $1 AND hospital_id = $2 AND open ORDER BY id"


async def open_of_patient(session: Session, patient: Id, hospital: Id) -> list[Id]:
    return [row["id"] for row in await session.fetch(OPEN_OF_PATIENT, patient, hospital)]


FOLLOWED = "SELECT id FROM referral WHERE patient_id = $1 AND open AND follow_up AND stay_id IS NOT NULL ORDER BY id"


async def followed(session: Session, patient: Id) -> list[Id]:
    """The referrals of a person whose follow-ups after a stay are pending."""
    return [row["id"] for row in await session.fetch(FOLLOWED, patient)]


OPEN_REFERRALS = """
SELECT v.snapshot FROM referral r JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
WHERE r.patient_id = $1 AND r.hospital_id = $2 AND r.open ORDER BY r.id
"""


async def open_referrals(session: Session, patient: Id, hospital: Id) -> list[Referral]:
    """The open referrals of a person from this hospital, as far as the scope may see them."""
    return [_referral.decode(row["snapshot"]) for row in await session.fetch(OPEN_REFERRALS, patient, hospital)]


# Domain b-3: for these needs, as for a person who must not be contacted, a supervisor decides each step.
GUARDED = """
SELECT EXISTS (SELECT 1 FROM referral WHERE patient_id = $1 AND hospital_id = $2 AND open AND (contact_prohibited OR needs && $3::text[]))
"""


async def guarded(session: Session, patient: Id, hospital: Id) -> bool:
    """Whether any open referral of the person is one of which nobody is told without a supervisor."""
    return bool(await session.fetchval(GUARDED, patient, hospital, sorted(SUPERVISED)))


PROHIBITED = "SELECT EXISTS (SELECT 1 FROM referral WHERE id = ANY($1) AND open AND contact_prohibited)"


async def prohibited(session: Session, referrals: Sequence[Id]) -> bool:
    """Whether the person must not be contacted by any of these that is open."""
    return bool(await session.fetchval(PROHIBITED, list(referrals)))


# Of every referral, ended ones included, the parent names the person.
OF_PATIENTS = (
    "SELECT referral_id, patient_id FROM task WHERE kind = 'parent' AND patient_id = ANY($1) ORDER BY referral_id"
)


async def of_patients(session: Session, patients: Sequence[Id]) -> list[tuple[Id, Id]]:
    """Every referral of these persons, each with its person, in the order in which they are locked."""
    return [(row["referral_id"], row["patient_id"]) for row in await session.fetch(OF_PATIENTS, list(patients))]


LOCK_MANY = "SELECT 1 FROM referral_counter WHERE referral_id = ANY($1) ORDER BY referral_id FOR UPDATE"


async def lock_many(session: Session, referrals: Sequence[Id]) -> None:
    """Take the counter rows of these referrals, always in the same order."""
    await session.execute(LOCK_MANY, list(referrals))


OF_NEEDS = "SELECT referral_id FROM task WHERE patient_id = $1 AND kind = 'parent' AND needs && $2::text[]"


async def of_needs(session: Session, patient: Id, needs: Sequence[str]) -> list[Id]:
    """The person's referrals, ended ones too, for one of these needs."""
    return [row["referral_id"] for row in await session.fetch(OF_NEEDS, patient, list(needs))]


# After a readmission the referrals of the stay before are concerned too, unless the new one was referred from itself.
OF_STAY = """
SELECT id FROM referral WHERE stay_id = $1
UNION
SELECT id FROM referral WHERE patient_id = $2 AND hospital_id = $3 AND open AND (stay_id IS NULL OR $4)
UNION
SELECT id FROM referral WHERE stay_id = $5 AND open AND NOT EXISTS (SELECT 1 FROM referral WHERE stay_id = $1)
ORDER BY id
"""


async def of_stay(
    session: Session, stay: Id, patient: Id, hospital: Id, *, every: bool = False, former: Id | None = None
) -> list[Id]:
    """The referrals that a stay concerns: its own, and the patient's open ones there that name no stay (or `every` open
    one); where it is a readmission after the stay `former`, that one's open ones."""
    rows = await session.fetch(OF_STAY, stay, patient, hospital, every, former)
    return [row["id"] for row in rows]


FROM_STAY = "SELECT id FROM referral WHERE stay_id = $1 ORDER BY id"


async def from_stay(session: Session, stay: Id) -> list[Id]:
    """The referrals that were placed from a stay, open or ended."""
    return [row["id"] for row in await session.fetch(FROM_STAY, stay)]


OWN_OPEN_TASK = """
SELECT id FROM task WHERE patient_id = $1 AND agency_id = $2 AND open AND kind <> 'parent'
ORDER BY kind = 'share' DESC, id DESC LIMIT 1
"""


async def own_open_task(session: Session, patient: Id, agency: Id) -> Id | None:
    """The Task for which an agency knows this person now: its latest open share, else a follow-up."""
    return await session.fetchval(OWN_OPEN_TASK, patient, agency)


# The page first, along the index alone; then its snapshots. A statement of its own for the next page: an optional row
# comparison would be no condition of the index, and each page would walk all before it.
_PAGE = """
SELECT v.snapshot FROM (
    SELECT task_id, version, urgency_rank, due_at FROM open_task
    WHERE agency_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR needs @> ARRAY[$3]){behind}
    ORDER BY urgency_rank, due_at, task_id LIMIT $4
) AS t JOIN task_version v USING (task_id, version)
ORDER BY t.urgency_rank, t.due_at, t.task_id
"""
QUEUE = _PAGE.format(behind="")
QUEUE_NEXT = _PAGE.format(
    behind="""
      AND (urgency_rank, due_at, task_id) > ($5::smallint, coalesce($6::timestamptz, 'infinity'), $7::uuid)"""
)


async def queue(
    session: Session, agency: Id, status: str | None, need: str | None, after: Task | None, limit: int
) -> list[Task]:
    """An agency's open Tasks, most urgent and soonest due first; `after` is the last Task of the page before."""
    if after is None:
        rows = await session.fetch(QUEUE, agency, status, need, limit)
    else:
        rank = urgency_rank(after.urgency)
        rows = await session.fetch(QUEUE_NEXT, agency, status, need, limit, rank, after.due_at, after.id)
    return [_task.decode(row["snapshot"]) for row in rows]


QUEUE_COUNT = """
SELECT count(*) FROM (SELECT 1 FROM open_task
  WHERE agency_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR needs @> ARRAY[$3]) LIMIT 1001) AS counted
"""


async def queue_count(session: Session, agency: Id, status: str | None, need: str | None) -> int:
    """How many there are; counting stops at 1,001, which reads “1,000+”."""
    return await session.fetchval(QUEUE_COUNT, agency, status, need)


TIMELINE = """
SELECT number, kind, at, by_id, by_role, by_organization, by_name, task_id, task_version, reason_code, reason_text, sealed, data, agency_id
FROM event WHERE referral_id = $1 ORDER BY number
"""


async def timeline(session: Session, referral: Id) -> list[dict[str, Any]]:
    """Every event of the referral that the scope may see, in order."""
    return [dict(row) for row in await session.fetch(TIMELINE, referral)]


STEP = f"SELECT {STEP_OF} FROM next_step n WHERE n.referral_id = $1"


async def step(session: Session, referral: Id) -> NextStep | None:
    found = await session.fetchval(STEP, referral)
    return _step.decode(found) if found else None


REFERRAL = "SELECT v.snapshot FROM referral r JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version WHERE r.id = $1"


async def referral(session: Session, id: Id) -> Referral | None:
    snapshot = await session.fetchval(REFERRAL, id)
    return _referral.decode(snapshot) if snapshot else None


BY_FILLER = "SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version WHERE t.filler_id = $1"


async def by_filler(session: Session, filler: Id) -> Task | None:
    """The share from which a filler ServiceRequest is derived."""
    snapshot = await session.fetchval(BY_FILLER, filler)
    return _task.decode(snapshot) if snapshot else None


TASK_VERSIONS = (
    "SELECT snapshot FROM task_version WHERE task_id = $1 AND ($2::int IS NULL OR version = $2) ORDER BY version DESC"
)


async def task_versions(session: Session, id: Id, version: int | None = None) -> list[Task]:
    return [_task.decode(row["snapshot"]) for row in await session.fetch(TASK_VERSIONS, id, version)]


REFERRAL_VERSIONS = "SELECT snapshot FROM referral_version WHERE referral_id = $1 AND ($2::int IS NULL OR version = $2) ORDER BY version DESC"


async def referral_versions(session: Session, id: Id, version: int | None = None) -> list[Referral]:
    return [_referral.decode(row["snapshot"]) for row in await session.fetch(REFERRAL_VERSIONS, id, version)]


OWN_SHARE = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.referral_id = $1 AND t.agency_id = $2 AND t.kind = 'share' ORDER BY t.open DESC, t.id DESC LIMIT 1
"""


async def own_share(session: Session, referral: Id, agency: Id) -> Task | None:
    """The agency's share of a referral: the one it has now, else its last."""
    snapshot = await session.fetchval(OWN_SHARE, referral, agency)
    return _task.decode(snapshot) if snapshot else None


SHARE_FOR = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.patient_id = $1 AND t.agency_id = $2 AND t.kind = 'share' AND t.open ORDER BY t.id DESC LIMIT 1
"""


async def share_for(session: Session, patient: Id, agency: Id) -> Task | None:
    """The agency's open share for a person whose identity is disclosed to it."""
    snapshot = await session.fetchval(SHARE_FOR, patient, agency)
    return _task.decode(snapshot) if snapshot else None
