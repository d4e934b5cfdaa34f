"""SQL of screening, suggestions and mandatory reports."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Record as Row

from service.db import Session
from service.safety.model import MandatoryReport, Screening, Suggestion, Timeliness
from service.values import Id

_SCREENING = """response_id, version, hospital_id, author_id, agency_id, patient_id, referral_id, task_id, instrument, score, band, answers,
    missing, signs_crisis, void, observation_id, observation_version, computed_at"""

SAVE_SCREENING = f"""
INSERT INTO screening ({_SCREENING})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::json, $13, $14, $15, $16, $17, $18)
ON CONFLICT (response_id) DO UPDATE SET version = excluded.version, instrument = excluded.instrument, score = excluded.score,
    band = excluded.band, answers = excluded.answers, missing = excluded.missing, signs_crisis = excluded.signs_crisis,
    void = excluded.void, observation_version = excluded.observation_version, referral_id = excluded.referral_id,
    computed_at = excluded.computed_at
"""


async def save_screening(session: Session, s: Screening) -> None:
    """Store what a response comes to, over what its version before came to."""
    await session.execute(
        SAVE_SCREENING, s.response, s.version, s.hospital, s.author, s.agency, s.patient, s.referral, s.task, s.instrument, s.score,
        s.band, msgspec.json.encode(s.answers).decode(), list(s.missing), s.signs_crisis, s.void, s.observation,
        s.observation_version, s.computed_at,
    )  # fmt: skip


SCREENING = f"SELECT {_SCREENING} FROM screening WHERE response_id = $1"


async def screening(session: Session, response: Id) -> Screening | None:
    """What a response came to, if it is of a known instrument and the scope may see it."""
    row = await session.fetchrow(SCREENING, response)
    return _screening(row) if row else None


OF_REFERRAL = f"SELECT {_SCREENING} FROM screening WHERE referral_id = $1 AND NOT void ORDER BY computed_at DESC, response_id LIMIT 100"


async def of_referral(session: Session, referral: Id) -> list[Screening]:
    """What was screened for a referral, latest first; of the hospital's and the agency's what the scope may see."""
    return [_screening(row) for row in await session.fetch(OF_REFERRAL, referral)]


LATEST = f"""
SELECT {_SCREENING} FROM screening
WHERE patient_id = $1 AND NOT void AND instrument = $2 AND score IS NOT NULL AND computed_at >= $3
ORDER BY computed_at DESC LIMIT 1
"""


async def latest(session: Session, patient: Id, instrument: str, since: datetime) -> Screening | None:
    """The newest whole score of an instrument since then."""
    row = await session.fetchrow(LATEST, patient, instrument, since)
    return _screening(row) if row else None


DERIVED = "SELECT observation_id FROM screening WHERE response_id = ANY($1) AND observation_version > 0"


async def derived(session: Session, responses: Sequence[Id]) -> list[Id]:
    """The Observations that hold the totals of these responses."""
    return [row["observation_id"] for row in await session.fetch(DERIVED, list(responses))]


def _screening(row: Row) -> Screening:
    return Screening(
        response=row["response_id"], version=row["version"], hospital=row["hospital_id"], author=row["author_id"],
        patient=row["patient_id"], instrument=row["instrument"], score=row["score"], band=row["band"],
        answers=msgspec.json.decode(row["answers"], type=dict[str, int]), missing=tuple(row["missing"]),
        signs_crisis=row["signs_crisis"], void=row["void"], observation=row["observation_id"],
        observation_version=row["observation_version"], computed_at=row["computed_at"], agency=row["agency_id"],
        referral=row["referral_id"], task=row["task_id"],
    )  # fmt: skip


_SUGGESTION = "id, referral_id, patient_id, organization_id, response_id, kind, code, why, made_at, status, decided_by, decided_at, reason_text"

# Not what is open already, nor what this response has suggested before: whoever dismissed it has decided.
SUGGEST = """
INSERT INTO suggestion (id, referral_id, patient_id, organization_id, response_id, kind, code, why, made_at)
SELECT n.id, $1, $2, $3, $4, n.kind, n.code, n.why, $5
FROM unnest($6::uuid[], $7::text[], $8::text[], $9::text[]) AS n (id, kind, code, why)
WHERE NOT EXISTS (SELECT 1 FROM suggestion s WHERE s.referral_id = $1 AND s.organization_id = $3 AND s.kind = n.kind AND s.code = n.code
    AND (s.status = 'open' OR (s.response_id = $4 AND s.status <> 'withdrawn')))
ON CONFLICT DO NOTHING
"""


async def suggest(session: Session, made: Sequence[Suggestion]) -> None:
    """Put suggestions of one response for one referral to the organisation."""
    if made:
        one = made[0]
        await session.execute(
            SUGGEST, one.referral, one.patient, one.organization, one.response, one.made_at, [s.id for s in made], [s.kind for s in made],
            [s.code for s in made], [s.why for s in made],
        )  # fmt: skip


WITHDRAW = """
UPDATE suggestion SET status = 'withdrawn', decided_at = $4
WHERE response_id = $1 AND referral_id = $2 AND status = 'open' AND NOT (kind || ' ' || code = ANY($3::text[]))
"""


async def withdraw(session: Session, response: Id, referral: Id, kept: Sequence[Suggestion], now: datetime) -> None:
    """Take back what this response suggested and suggests no longer."""
    await session.execute(WITHDRAW, response, referral, [f"{s.kind} {s.code}" for s in kept], now)


SUGGESTIONS = f"SELECT {_SUGGESTION} FROM suggestion WHERE referral_id = $1 ORDER BY made_at, id LIMIT 200"


async def suggestions(session: Session, referral: Id) -> list[Suggestion]:
    """What was suggested for a referral to the organisations that the scope may see, first ones first."""
    return [_suggestion(row) for row in await session.fetch(SUGGESTIONS, referral)]


DECIDE = f"""
UPDATE suggestion SET status = $3, decided_by = $4, decided_at = $5, reason_text = $6
WHERE id = $1 AND referral_id = $2 AND status = 'open' RETURNING {_SUGGESTION}
"""


async def decide(
    session: Session, id: Id, referral: Id, status: str, by: Id, now: datetime, reason: str | None
) -> Suggestion | None:
    """Write down a decision; None when there is no such open suggestion in the scope."""
    row = await session.fetchrow(DECIDE, id, referral, status, by, now, reason)
    return _suggestion(row) if row else None


def _suggestion(row: Row) -> Suggestion:
    return Suggestion(
        row["id"], row["referral_id"], row["patient_id"], row["organization_id"], row["kind"], row["code"], row["why"], row["made_at"],
        row["response_id"], row["status"], row["decided_by"], row["decided_at"], row["reason_text"],
    )  # fmt: skip


_REPORT = """record_id, version, referral_id, patient_id, hospital_id, author_id, situation, known_at, reported_at, channel, receiver, receipt,
    preserved, reporter, recorded_at, void"""

SAVE_REPORT = f"""
INSERT INTO mandatory_report ({_REPORT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (record_id) DO UPDATE SET version = excluded.version, situation = excluded.situation, known_at = excluded.known_at,
    reported_at = excluded.reported_at, channel = excluded.channel, receiver = excluded.receiver, receipt = excluded.receipt,
    preserved = excluded.preserved, reporter = excluded.reporter, void = excluded.void
"""


async def save_report(session: Session, r: MandatoryReport) -> None:
    """Store a report, or its correction over it; when it was first recorded stays."""
    await session.execute(
        SAVE_REPORT, r.record, r.version, r.referral, r.patient, r.hospital, r.author, r.situation, r.known_at, r.reported_at, r.channel,
        r.receiver, r.receipt, list(r.preserved), r.reporter, r.recorded_at, r.void,
    )  # fmt: skip


REPORTED_ON = "SELECT DISTINCT referral_id FROM mandatory_report WHERE patient_id = $1"


async def reported_on(session: Session, patient: Id) -> list[Id]:
    """The referrals of a person on which a report to the police is on record."""
    return [row["referral_id"] for row in await session.fetch(REPORTED_ON, patient)]


TIMELINESS = """
SELECT count(*) AS reports,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM reported_at - known_at) / 60) AS median_minutes,
       count(*) FILTER (WHERE reported_at - known_at <= make_interval(mins => $3)) AS within
FROM mandatory_report WHERE NOT void AND reported_at >= $1 AND reported_at < $2
"""


async def timeliness(session: Session, since: datetime, until: datetime, minutes: int) -> Timeliness:
    """Of the reports of a time that the scope may see: how many, and how soon they were made."""
    row = await session.fetchrow(TIMELINESS, since, until, minutes)
    assert row is not None
    median = row["median_minutes"]
    return Timeliness(row["reports"], None if median is None else round(float(median), 1), row["within"], minutes)
