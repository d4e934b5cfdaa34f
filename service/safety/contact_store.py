"""SQL of the rules of safe contact."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Record as Row

from service.access.model import Actor
from service.db import Session
from service.safety.contact import ContactRules, Decision, Hours
from service.values import Id, write_json


class Stated(msgspec.Struct, frozen=True):
    """The rules of a person as they were last stated: their version, when, and by which organisation."""

    patient: Id
    rules: ContactRules
    version: int
    at: datetime
    written_by: Id


COLUMNS = """patient_id, version, prohibited, supervised, channels, times, number, may_leave_message, asked_by, decisions,
 written_by, at"""

CURRENT = f"SELECT {COLUMNS} FROM contact_rule WHERE patient_id = ANY ($1) AND current"


async def current(session: Session, patients: Sequence[Id]) -> dict[Id, Stated]:
    """The rules of these persons, as far as the scope may see them; a person without any is not there."""
    return {row["patient_id"]: _stated(row) for row in await session.fetch(CURRENT, list(patients))}


def _stated(row: Row) -> Stated:
    rules = ContactRules(
        prohibited=row["prohibited"],
        supervised=row["supervised"],
        channels=tuple(row["channels"]),
        times=msgspec.json.decode(row["times"], type=tuple[Hours, ...]),
        number=row["number"],
        may_leave_message=row["may_leave_message"],
        asked_by=row["asked_by"],
        decisions=msgspec.json.decode(row["decisions"], type=tuple[Decision, ...]),
    )
    return Stated(row["patient_id"], rules, row["version"], row["at"], row["written_by"])


# Sealed: nobody else's scope is asked, whatever rows it may see.
WHY = "SELECT why FROM contact_rule WHERE patient_id = $1 AND current AND written_by = $2"


async def why(session: Session, patient: Id, organization: Id) -> str | None:
    """The reason, for the organisation that gave it; None for everybody else."""
    return await session.fetchval(WHY, patient, organization)


LOCK = "SELECT id FROM patient WHERE id = $1 FOR NO KEY UPDATE"


async def lock(session: Session, patient: Id) -> None:
    """Whoever comes second to say how a person is contacted waits here, and then sees what the first one said."""
    await session.execute(LOCK, patient)


PAST = "UPDATE contact_rule SET current = false WHERE patient_id = $1 AND current"
STATE = f"""
INSERT INTO contact_rule ({COLUMNS}, hospital_id, why, actor_id)
VALUES ($1, (SELECT coalesce(max(version), 0) + 1 FROM contact_rule WHERE patient_id = $1), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
        $12, $13, $14)
RETURNING version
"""


async def state(
    session: Session, patient: Id, hospital: Id, rules: ContactRules, why: str | None, actor: Actor, now: datetime
) -> int:
    """Make these the rules of the person, in place of those before, which are kept; the new version. The caller has locked the
    person before it looked at those."""
    await session.execute(PAST, patient)
    return await session.fetchval(
        STATE, patient, rules.prohibited, rules.supervised, list(rules.channels), write_json(rules.times).decode(), rules.number,
        rules.may_leave_message, rules.asked_by, write_json(rules.decisions).decode(), actor.organization, now, hospital, why,
        actor.id,
    )  # fmt: skip
