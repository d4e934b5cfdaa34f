"""SQL of routing: a hospital's partners with all that rules ask, in one statement, and decisions as they were made."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import msgspec

from service.db import Session
from service.directory.store import limits
from service.routing.model import Candidate, Decision, Kept, KeptDecision, Need, Prospect, Snapshot, Verdict
from service.values import Id

# Only partners of the hospital are read, past and future ones too, so that their reasons can be told: any other agency of
# the directory fails the first rule. LATERAL with LIMIT 1 asks whether there is one, and stops at the first. Places are
# given out from number 1 up, so that the last one, found by its key, nearly always tells; else the others are looked at.
PROSPECTS = """
SELECT p.agency_id, p.id, p.valid_from <= $2 AS begun, coalesce(p.valid_to < $2, false) AS ended,
       array_position(line.age, p.hospital_id) - 1 AS distance, p.rank, p.mode, p.reply_limits,
       array_to_string(p.needs, ' ') AS partnership_needs, s.id AS service, array_to_string(s.needs, ' ') AS service_needs,
       array_to_string(s.regions, ' ') AS regions, s.capacity_status, s.places,
       coalesce(last.yes, free.yes) AS free, licensed.yes AS licensed,
       o.active, o.status, o.ready, o.co_supervised_by IS NOT NULL AS co_supervised, o.protection_qualified
FROM (SELECT lineage AS age FROM organization WHERE id = $1) line
JOIN partnership p ON p.hospital_id = ANY (line.age)
JOIN organization o ON o.id = p.agency_id
LEFT JOIN agency_service s ON s.agency_id = p.agency_id AND s.active
LEFT JOIN LATERAL (SELECT true AS yes FROM place WHERE service_id = s.id AND task_id IS NULL AND number = s.places
                   LIMIT 1) last ON true
LEFT JOIN LATERAL (SELECT true AS yes FROM place WHERE last.yes IS NULL AND service_id = s.id AND task_id IS NULL
                   AND number < s.places LIMIT 1) free ON true
LEFT JOIN LATERAL (SELECT true AS yes FROM worker w WHERE w.agency_id = p.agency_id AND w.active AND w.licensed_from <= $2
                   AND (w.licensed_to IS NULL OR w.licensed_to >= $2) LIMIT 1) licensed ON true
"""


async def prospects(session: Session, hospital: Id, day: date) -> list[Prospect]:
    """Every agency that has, had or will have a partnership with the hospital or with what it is part of.

    One for each partnership and service.
    """
    return [
        Prospect(
            agency=row[0], partnership=row[1], begun=row[2], ended=row[3], distance=row[4], rank=row[5], mode=row[6],
            reply_limits=_limits(row[7]), partnership_needs=_set(row[8]), service=row[9], service_needs=_set(row[10]),
            regions=_words(row[11]), capacity_status=row[12], places=row[13] or 0, free=row[14] is True,
            licensed=row[15] is True, active=row[16], status=row[17], ready=row[18], co_supervised=row[19],
            protection_qualified=row[20],
        )
        for row in await session.fetch(PROSPECTS, hospital, day)
    ]  # fmt: skip


# The same few lists stand in very many rows: each is read once, and compared and hashed as one object.
@lru_cache(maxsize=4096)
def _words(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").split())


@lru_cache(maxsize=4096)
def _set(text: str | None) -> frozenset[str]:
    return frozenset(_words(text))


_limits = lru_cache(maxsize=4096)(limits)

KEEP = """
INSERT INTO routing_decision (id, referral_id, hospital_id, at, by_id, mode, snapshot) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def keep(session: Session, decision: Decision, referral: Id, by: Id, at: datetime) -> None:
    """Store a decision with every candidate's every rule."""
    verdicts: dict[Verdict, int] = {}
    kept = [
        Kept(c.agency, c.service, c.partnership, c.rank, c.mode, verdicts.setdefault(c.verdict, len(verdicts)),
             c.preferred, c.prefix, c.load, c.rotation)
        for c in decision.candidates
    ]  # fmt: skip
    snapshot = Snapshot(decision.need, decision.questions, tuple(each.rules for each in verdicts), kept)
    text = msgspec.json.encode(snapshot).decode()
    await session.execute(KEEP, decision.id, referral, decision.need.hospital, at, by, decision.mode, text)


KEPT = """
SELECT id, referral_id, hospital_id, at, by_id, mode, snapshot FROM routing_decision
WHERE referral_id = $1 ORDER BY id DESC LIMIT $2
"""


async def kept(session: Session, referral: Id, limit: int = 100) -> list[KeptDecision]:
    """The decisions on a referral, the newest first."""
    return [_kept(row) for row in await session.fetch(KEPT, referral, limit)]


LATEST = """
SELECT DISTINCT ON (referral_id) id, referral_id, hospital_id, at, by_id, mode, snapshot FROM routing_decision
WHERE referral_id = ANY ($1) ORDER BY referral_id, id DESC
"""


async def latest(session: Session, referrals: Sequence[Id]) -> dict[Id, KeptDecision]:
    """The last decision on each of these referrals."""
    return {row["referral_id"]: _kept(row) for row in await session.fetch(LATEST, list(referrals))}


def _kept(row: Any) -> KeptDecision:
    snapshot = msgspec.json.decode(row["snapshot"], type=Snapshot)
    verdicts = [_verdict(rules) for rules in snapshot.verdicts]
    candidates = tuple(
        Candidate(c.agency, c.service, c.partnership, c.rank, c.mode, None, verdicts[c.verdict], c.preferred, c.prefix,
                  c.load, c.rotation)
        for c in snapshot.candidates
    )  # fmt: skip
    need: Need = snapshot.need
    decision = Decision(row["id"], need, row["mode"], candidates, snapshot.questions)
    return KeptDecision(row["id"], row["referral_id"], row["hospital_id"], row["at"], row["by_id"], decision)


def _verdict(rules: tuple[Any, ...]) -> Verdict:
    results = {rule.result for rule in rules}
    return Verdict(rules, results == {"pass"}, "unknown" in results and "fail" not in results)


# The first decision on each referral of a time, in the order in which they were made: a page walks one index.
FIRST_DECISIONS = """
SELECT id, referral_id, hospital_id, at, by_id, mode, snapshot FROM routing_decision d
WHERE at >= $1 AND at < $2 AND ($3::timestamptz IS NULL OR (at, id) > ($3, $4::uuid))
  AND NOT EXISTS (SELECT FROM routing_decision e WHERE e.referral_id = d.referral_id AND e.id < d.id)
ORDER BY at, id LIMIT $5
"""
COUNT_DECISIONS = """
SELECT count(*) FROM (SELECT FROM routing_decision d WHERE at >= $1 AND at < $2
    AND NOT EXISTS (SELECT FROM routing_decision e WHERE e.referral_id = d.referral_id AND e.id < d.id) LIMIT $3) AS counted
"""


async def first_decisions(
    session: Session, since: datetime, until: datetime, after: tuple[datetime, Id] | None, limit: int
) -> list[KeptDecision]:
    """How referrals were first routed from `since` until `until`, behind `after`."""
    at, id = after or (None, None)
    return [_kept(row) for row in await session.fetch(FIRST_DECISIONS, since, until, at, id, limit)]


async def count_decisions(session: Session, since: datetime, until: datetime, most: int) -> int:
    """How many there are, counted to `most`."""
    return await session.fetchval(COUNT_DECISIONS, since, until, most)
