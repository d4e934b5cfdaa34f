"""Groups of persons by organisation and need, put together from referrals and shares whenever they are asked for.

A hospital's group holds its own people, an agency's the people disclosed to it: a share names its person only while identity is
disclosed, so an offer puts nobody into a group. The row policies decide whose groups a reader finds.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from service import codes
from service.db import Session
from service.db.finding import COUNT_MOST, OWN, WIDE, After, Condition, Field, Order, Where, column
from service.values import Id

SAFETY = f"string_to_array('{' '.join(sorted(codes.SAFETY_NEEDS))}', ' ')"


class Group(msgspec.Struct, frozen=True):
    """Who has been referred for a need: `organization` is the hospital or the agency whose people they are. `id` follows from
    both. `changed`: when one of their referrals last did."""

    id: Id
    organization: Id
    need: str
    quantity: int
    changed: datetime


# A parent Task says what its hospital asked for, a share what its agency was; a parent always names the person, a share while
# identity is disclosed. What ceased to belong still tells when it did, but for offers with a safety need: an agency may not learn
# from a group that it has one.
_BELONGING = f"""
    SELECT md5(o.id || ' ' || n.need)::uuid AS id, o.id AS organization_id, n.need, t.patient_id, t.updated_at AS changed,
        t.patient_id IS NOT NULL AND t.status <> 'entered-in-error' AS belongs
    FROM task t, LATERAL (SELECT CASE t.kind WHEN 'parent' THEN t.hospital_id ELSE t.agency_id END AS id) AS o, unnest(t.needs) AS n (need)
    WHERE t.kind IN ('parent', 'share') AND o.id IS NOT NULL AND ({WIDE} OR o.id = {OWN})
      AND (t.patient_id IS NOT NULL OR NOT t.needs && {SAFETY})"""
_GROUPS = f"""(SELECT id, organization_id, need, count(DISTINCT patient_id) FILTER (WHERE belongs) AS quantity, max(changed) AS changed
    FROM ({_BELONGING}) AS belonging GROUP BY id, organization_id, need HAVING bool_or(belongs)) AS g"""

GROUP: dict[str, Field] = {
    "id": column("g.id", "uuid"),
    "organization": column("g.organization_id", "uuid"),
    "need": column("g.need", "text"),
    "changed": column("g.changed", "timestamptz"),
    "member": Field(
        f"g.id = ANY(ARRAY(SELECT b.id FROM ({_BELONGING}) AS b WHERE b.belongs AND b.patient_id = ANY($1)))",
        missing="false",
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


FIRST = Id(int=0)
# In the order of an index, behind a known place: every member is passed once, however many pages they come in.
_MEMBERS = """
SELECT DISTINCT patient_id FROM task
WHERE {which} AND {need} = ANY(needs) AND status <> 'entered-in-error'
  AND CASE kind WHEN 'parent' THEN hospital_id = {organization} WHEN 'share' THEN agency_id = {organization} ELSE false END
ORDER BY patient_id
"""
MEMBERS = _MEMBERS.format(which="patient_id > $3", organization="$1", need="$2") + "LIMIT $4"


async def members(session: Session, organization: Id, need: str, after: Id | None, limit: int) -> list[Id]:
    """The members of a group by id, `limit` of them behind one of them (None: the first)."""
    rows = await session.fetch(MEMBERS, organization, need, after or FIRST, limit)
    return [row["patient_id"] for row in rows]


FIRST_MEMBERS = f"""
SELECT g.id, m.patient_id FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS g (id, organization, need), LATERAL (
{_MEMBERS.format(which="patient_id IS NOT NULL", organization="g.organization", need="g.need")} LIMIT $4
) AS m
"""


async def first_members(session: Session, found: Sequence[Group], limit: int) -> dict[Id, list[Id]]:
    """The first members of each of these groups, at most `limit` of each, by the group's id."""
    ids, organizations, needs = [each.id for each in found], [each.organization for each in found], [each.need for each in found]  # fmt: skip
    first: dict[Id, list[Id]] = {id: [] for id in ids}
    for row in await session.fetch(FIRST_MEMBERS, ids, organizations, needs, limit):
        first[row["id"]].append(row["patient_id"])
    return first


AMONG = _MEMBERS.format(which="patient_id = ANY($3)", organization="$1", need="$2")


async def among(session: Session, organization: Id, need: str, persons: Sequence[Id]) -> list[Id]:
    """Those of these persons who are members of the group."""
    return [row["patient_id"] for row in await session.fetch(AMONG, organization, need, list(persons))]
