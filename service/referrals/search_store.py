"""SQL of the search box: whom and which referrals a few words may mean. Row security decides who is found at all."""

from collections.abc import Sequence

from service.db import Session
from service.patients.model import CITIZEN_NUMBER
from service.values import Id

MOST_PERSONS = 200
"""How many persons of one name are looked at; whoever is called like more of them has to say more."""

# A name from its beginning, walked along the index; a statement for each side, since one that fits all would walk too much.
_CALLED = "p.name ~>=~ $1 AND p.name ~<~ $2"
CALLED_AT_HOSPITAL = f"SELECT p.id FROM patient p WHERE p.hospital_id = $3 AND {_CALLED} ORDER BY p.name USING ~<~, p.id LIMIT {MOST_PERSONS + 1}"  # fmt: skip
CALLED_ANYWHERE = f"SELECT p.id FROM patient p WHERE {_CALLED} ORDER BY p.name USING ~<~, p.id LIMIT {MOST_PERSONS + 1}"
CALLED_OF_AGENCY = (
    "SELECT p.id FROM patient p WHERE p.id = ANY (ARRAY(SELECT d.patient_id FROM disclosure d WHERE d.agency_id = $3 AND d.closed_at IS NULL))"
    f" AND {_CALLED} ORDER BY p.name USING ~<~, p.id LIMIT {MOST_PERSONS + 1}"
)


async def called(session: Session, side: str, own: Id, name: str) -> list[Id]:
    """Persons whose name begins so, up to one more than MOST_PERSONS."""
    # Whatever follows the name sorts before its last letter's successor.
    behind = name[:-1] + chr(ord(name[-1]) + 1)
    if side == "platform":
        rows = await session.fetch(CALLED_ANYWHERE, name, behind)
    else:
        rows = await session.fetch(CALLED_AT_HOSPITAL if side == "hospital" else CALLED_OF_AGENCY, name, behind, own)
    return [row["id"] for row in rows]


# An agency is told of the citizen number alone, so it finds by no other; the number of a stay is the hospital's own.
NUMBERED = f"""
SELECT i.patient_id AS id FROM patient_identifier i WHERE i.value = $1 AND ($2 <> 'agency' OR i.system = '{CITIZEN_NUMBER}')
UNION SELECT s.patient_id FROM stay s WHERE $2 = 'hospital' AND s.hospital_id = $3 AND s.number = $1
LIMIT {MOST_PERSONS}
"""


async def numbered(session: Session, side: str, own: Id, number: str) -> list[Id]:
    """Persons who have this number."""
    return [row["id"] for row in await session.fetch(NUMBERED, number, side, own)]


_AMONG = """
SELECT id FROM (
    SELECT id FROM referral WHERE patient_id = ANY ($1::uuid[]) AND id < $4::uuid
    UNION SELECT id FROM referral WHERE placer_value = $2 AND id < $4::uuid
    UNION SELECT id FROM referral WHERE id = $6::uuid AND id < $4::uuid
    UNION (SELECT id FROM referral WHERE open AND needs && $3::text[] AND id < $4::uuid{own} ORDER BY id DESC LIMIT $5)
) AS found ORDER BY id DESC LIMIT $5
"""
AMONG_ALL = _AMONG.format(own="")
AMONG_OWN = _AMONG.format(own=" AND hospital_id = $7")
# What an agency has a share of: by the person or the number where they are open to it; by the need only where the need is.
AMONG_SHARES = """
SELECT id FROM (
    SELECT referral_id AS id FROM task WHERE agency_id = $7 AND kind = 'share' AND patient_id = ANY ($1::uuid[]) AND referral_id < $4::uuid
    UNION SELECT t.referral_id FROM referral r JOIN task t ON t.referral_id = r.id
        WHERE r.placer_value = $2 AND t.agency_id = $7 AND t.kind = 'share' AND t.referral_id < $4::uuid
    UNION SELECT referral_id FROM task WHERE agency_id = $7 AND kind = 'share' AND referral_id = $6::uuid AND referral_id < $4::uuid
    UNION SELECT t.referral_id FROM open_task o JOIN task t ON t.id = o.task_id
        WHERE o.agency_id = $7 AND o.needs && $3::text[] AND NOT o.sealed AND t.kind = 'share' AND t.referral_id < $4::uuid
) AS found ORDER BY id DESC LIMIT $5
"""


async def among(
    session: Session, side: str, own: Id, persons: Sequence[Id], number: str, needs: Sequence[str], id: Id | None, before: Id, limit: int
) -> list[Id]:  # fmt: skip
    """Referrals of these persons, with this number or id, or open for one of these needs; the latest first, those before one."""
    given = (list(persons), number, list(needs), before, limit, id)
    if side == "platform":
        rows = await session.fetch(AMONG_ALL, *given)
    else:
        rows = await session.fetch(AMONG_OWN if side == "hospital" else AMONG_SHARES, *given, own)
    return [row["id"] for row in rows]
