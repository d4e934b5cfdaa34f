"""Groups of persons by organisation and need, put together from referrals and shares whenever they are asked for.

A hospital's group holds its own people, an agency's the people disclosed to it: a share names its person only while identity is
disclosed, so an offer puts nobody into a group. The row policies decide whose groups a reader finds.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from service.db import Session
from service.db.finding import COUNT_MOST, OWN, WIDE, After, Condition, Field, Order, Where, column
from service.values import Id


class Group(msgspec.Struct, frozen=True):
    """Who has been referred for a need: `organization` is the hospital or the agency whose people they are. `id` follows from
    both. `changed`: when one of their referrals last did."""

    id: Id
    organization: Id
    need: str
    quantity: int
    changed: datetime


_BELONGING = f"""
    SELECT md5(r.hospital_id || ' ' || n.need)::uuid AS id, r.hospital_id AS organization_id, n.need, r.patient_id, r.updated_at AS changed
    FROM referral r, unnest(r.needs) AS n (need) WHERE r.status <> 'entered-in-error' AND (r.hospital_id = {OWN} OR {WIDE})
    UNION ALL
    SELECT md5(t.agency_id || ' ' || n.need)::uuid, t.agency_id, n.need, t.patient_id, t.updated_at
    FROM task t, unnest(t.needs) AS n (need)
    WHERE t.kind = 'share' AND t.patient_id IS NOT NULL AND t.agency_id IS NOT NULL AND t.status <> 'entered-in-error'
      AND (t.agency_id = {OWN} OR {WIDE})"""
_GROUPS = f"""(SELECT id, organization_id, need, count(DISTINCT patient_id) AS quantity, max(changed) AS changed
    FROM ({_BELONGING}) AS belonging GROUP BY id, organization_id, need) AS g"""

GROUP: dict[str, Field] = {
    "id": column("g.id", "uuid"),
    "organization": column("g.organization_id", "uuid"),
    "need": column("g.need", "text"),
    "changed": column("g.changed", "timestamptz"),
    "member": Field(
        f"g.id = ANY(ARRAY(SELECT b.id FROM ({_BELONGING}) AS b WHERE b.patient_id = ANY($1)))", missing="false"
    ),
}
"""What groups can be searched by."""


async def groups(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Group]:
    """Groups that have a member, as far as the scope may see them, one page."""
    where = Where(GROUP)
    holds = where.holds(conditions)
    behind, by = where.page("g.id", "g.changed", after, order or Order())
    sql = f"SELECT * FROM {_GROUPS} WHERE {holds} AND {behind} ORDER BY {by} LIMIT {limit:d}"
    found: list[Any] = await session.fetch(sql, *where.values)
    return [Group(row["id"], row["organization_id"], row["need"], row["quantity"], row["changed"]) for row in found]


async def count_groups(session: Session, conditions: Sequence[Condition]) -> int:
    """How many there are, counted up to COUNT_MOST + 1."""
    where = Where(GROUP)
    holds = where.holds(conditions)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {_GROUPS} WHERE {holds} LIMIT {COUNT_MOST + 1}) AS counted"
    return await session.fetchval(sql, *where.values)


_MEMBERS = """
SELECT patient_id FROM (
    SELECT r.patient_id FROM referral r WHERE r.hospital_id = $1 AND $2 = ANY(r.needs) AND r.status <> 'entered-in-error' AND {0}
    UNION
    SELECT t.patient_id FROM task t WHERE t.kind = 'share' AND t.agency_id = $1 AND $2 = ANY(t.needs)
      AND t.status <> 'entered-in-error' AND t.patient_id IS NOT NULL AND {0}
) AS member ORDER BY patient_id
"""
MEMBERS = _MEMBERS.format("($3::uuid IS NULL OR patient_id > $3)") + "LIMIT $4"


async def members(session: Session, organization: Id, need: str, after: Id | None, limit: int) -> list[Id]:
    """The members of a group by id, `limit` of them behind one of them (None: the first)."""
    return [row["patient_id"] for row in await session.fetch(MEMBERS, organization, need, after, limit)]


AMONG = _MEMBERS.format("patient_id = ANY($3)")


async def among(session: Session, organization: Id, need: str, persons: Sequence[Id]) -> list[Id]:
    """Those of these persons who are members of the group."""
    return [row["patient_id"] for row in await session.fetch(AMONG, organization, need, list(persons))]
