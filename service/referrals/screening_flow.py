"""The verbs of screening: what answers come to is kept, a sign of danger raises a crisis, the rest is put to a person."""

from datetime import datetime

import msgspec

from service import codes
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, NotFound
from service.patients import store as patients
from service.records import store as records
from service.records.model import Record
from service.referrals import crisis, steps, store
from service.referrals.model import CrisisOwner, Referral
from service.safety import duties, scoring
from service.safety import store as safety
from service.safety.duties import Duty, Facts
from service.safety.model import Screening, Suggestion
from service.safety.scoring import Given, Scored
from service.safety.screening import raises_crisis
from service.values import Id, Reason, local_day, more_urgent, new_id

SCORE = "score"
"""`Record.code` of an Observation that holds a total reckoned here: nobody writes it but the service."""
SIGN = Reason("raised", "Screening: item 9 of the PHQ-9 was answered with more than “not at all”.")


class Screened(msgspec.Struct, frozen=True):
    """What came of a response or an Observation. `referrals`: those that it concerns; `danger`: it signs a crisis, which
    is up now on each of them."""

    danger: bool
    referrals: tuple[Id, ...] = ()
    scored: Scored | None = None
    screening: Screening | None = None
    suggestions: tuple[Suggestion, ...] = ()


async def screened(
    session: Session, actor: Actor, record: Record, given: Given, now: datetime, *, placed: bool = False
) -> Screened:
    """Score what was just kept as `record`, if it is of a known instrument; raise a crisis whatever it comes to where item
    9 says so, whoever sent it; put to its sender what it suggests. `placed`: it came with the submission, which has raised
    the crisis itself.

    An answer that belongs to no one referral speaks of every open one of the person from that hospital.
    """
    assert record.patient is not None and record.hospital is not None
    old = await safety.screening(session, record.id)
    it = scoring.instrument_of(given) if record.type == "QuestionnaireResponse" else None
    found = scoring.scored(it, given) if it else None
    row = None
    if found:
        row = Screening(
            response=record.id, version=record.version, hospital=record.hospital, author=record.author, patient=record.patient,
            instrument=found.instrument, score=found.total, band=found.band, answers=found.points, missing=found.missing,
            signs_crisis=found.signs_crisis and not given.void, void=given.void, observation=old.observation if old else new_id(),
            observation_version=old.observation_version if old else 0, computed_at=now, agency=record.agency,
            referral=record.referral, task=record.task,
        )  # fmt: skip
        await safety.save_screening(session, row)
    elif old:
        # Corrected into a form that is not known here: what it came to before no longer holds.
        row = msgspec.structs.replace(old, version=record.version, void=True, signs_crisis=False, computed_at=now)
        await safety.save_screening(session, row)
    danger = raises_crisis(given.answers) and not given.void
    concerned = await _concerned(session, record)
    # Of a referral whose person is no longer disclosed to an agency it knows the id alone: that is enough for danger.
    named = [record.referral] if record.referral else [each.id for each in concerned]
    if danger and not placed and not (old and old.signs_crisis):
        for id in named:
            await _raise(session, actor, id, now)
    made: list[Suggestion] = []
    if it and found:
        for referral in concerned:
            made += await _suggest(session, record, it, found, given, referral, now)
    return Screened(danger, tuple(named), found, row, tuple(made))


async def _raise(session: Session, actor: Actor, referral: Id, now: datetime) -> None:
    """The answers were taken, so they count: also those that an agency supplies when its share has ended."""
    async with steps.on_referral(session, actor, referral, now) as moving:
        if moving.loop.referral.crisis is None:
            # As any crisis: the hospital's duty roster first; of what has ended, the coordinator.
            owner: CrisisOwner = "hospital" if moving.loop.parent.open else "coordinator"
            moving.loop = crisis.raised(moving.loop, now, session.practice, owner)
            own = next((share for share in moving.loop.shares if share.agency == actor.organization), None)
            moving.tell("raise", own, SIGN, sealed=True)


async def _concerned(session: Session, record: Record) -> list[Referral]:
    if record.referral is not None:
        named = await store.referral(session, record.referral)
        return [named] if named else []
    assert record.patient is not None and record.hospital is not None
    return await store.open_referrals(session, record.patient, record.hospital)


async def _suggest(
    session: Session, record: Record, it: scoring.Instrument, found: Scored, given: Given, referral: Referral, now: datetime
) -> list[Suggestion]:  # fmt: skip
    minor = scoring.is_minor(referral.age_band)
    wanted = () if given.void else scoring.suggested(
        it, found, given, needs=referral.needs, urgency=referral.effective_urgency, minor=minor
    )  # fmt: skip
    made = [
        Suggestion(
            new_id(), referral.id, referral.patient, record.author, each.kind, each.code, each.why, now, record.id
        )
        for each in wanted
    ]
    if record.version > 1:
        await safety.withdraw(session, record.id, referral.id, made, now)
    await safety.suggest(session, made)
    return made


async def signalled(session: Session, actor: Actor, referral: Id, patient: Id, known: Facts, now: datetime) -> None:
    """Put to the hospital the needs that the table of duties suggests by what else is known of the person."""
    made = [
        Suggestion(new_id(), referral, patient, actor.organization, "need", rule.suggests, f"duty/{rule.code}", now)
        for rule in duties.owed(known)
        if rule.suggests and rule.suggests not in known.needs
    ]
    await safety.suggest(session, list({each.code: each for each in made}.values()))


async def diagnosed(
    session: Session, actor: Actor, record: Record, icd10: tuple[str, ...], now: datetime
) -> tuple[Duty, ...]:
    """What a hospital's diagnosis of its patient asks for by the table of duties, and put to it for each referral that the
    diagnosis concerns what it suggests."""
    assert record.patient is not None
    person = await patients.get(session, record.patient)
    if person is None:
        return ()
    told = duties.facts((), birth=person.birth_date, today=local_day(now), gender=person.gender, icd10=icd10)
    owed = duties.owed(told)
    if any(rule.suggests for rule in owed):
        for referral in await _concerned(session, record):
            known = msgspec.structs.replace(told, needs=referral.needs)
            await signalled(session, actor, referral.id, referral.patient, known, now)
    return owed


async def keep_score(session: Session, record: Record, screening: Screening, body: bytes, now: datetime) -> None:
    """Keep the total as a resource of its own beside the response, for the same readers."""
    version = screening.observation_version + 1
    await records.keep(
        session,
        [msgspec.structs.replace(record, id=screening.observation, version=version, type="Observation", body=body, at=now,
                                 status="final", code=SCORE)],
    )  # fmt: skip
    await safety.save_screening(session, msgspec.structs.replace(screening, observation_version=version))


async def score_of(session: Session, response: Id) -> Screening | None:
    """What a response came to, if it is of a known instrument and the reader may see it."""
    return await safety.screening(session, response)


async def suggestions(session: Session, actor: Actor, referral: Id) -> list[Suggestion]:
    """What screening has suggested for a referral to the actor's organisation, decided or not. NotFound where it may not
    know of the referral."""
    found = await _known(session, referral)
    session.patients.add(found.patient)
    return await safety.suggestions(session, referral)


async def decide(
    session: Session, actor: Actor, referral: Id, suggestion: Id, accepted: bool, reason: str | None, now: datetime
) -> Suggestion:
    """A person accepts a suggestion, or dismisses it with a reason. An accepted urgency holds at once; a need is placed by
    whoever may place one (moves.md: a changed need is a new request that replaces)."""
    found = await _known(session, referral)
    session.patients.add(found.patient)
    if not accepted and not reason:
        raise Invalid("Say why the suggestion is dismissed.", at="reason", code="required")
    status = "accepted" if accepted else "dismissed"
    decided = await safety.decide(session, suggestion, referral, status, actor.id, now, reason)
    if decided is None:
        raise NotFound("There is no such open suggestion on this referral, or it is not yours to decide.")
    if accepted and decided.kind == "urgency":
        async with steps.on_referral(session, actor, referral, now) as moving:
            if (
                more_urgent(decided.code, moving.loop.referral.effective_urgency)
                != moving.loop.referral.effective_urgency
            ):
                moving.loop = crisis.hastened(moving.loop, decided.code, now, session.practice)
                moving.tell("hasten", moving.loop.parent, urgency=decided.code)
    return decided


async def _known(session: Session, referral: Id) -> Referral:
    found = await store.referral(session, referral)
    if found is None:
        raise NotFound("There is no such referral, or it is not yours to see.")
    return found


async def to_place(session: Session, accepted: Suggestion) -> tuple[tuple[str, ...], bool]:
    """What a hospital places for a need that it has accepted: the needs of the new request, and whether it replaces the
    old one. Where an agency has accepted that, it stands, and the new need is a request beside it."""
    loop = await store.load(session, accepted.referral)
    if loop is None or any(share.open and share.accepted_at for share in loop.shares):
        return (accepted.code,), False
    return tuple(sorted({*loop.referral.needs, accepted.code})), loop.parent.open


def label(suggestion: Suggestion) -> tuple[str, str]:
    """What it suggests, in Chinese and in English."""
    if suggestion.kind == "need":
        return codes.label(codes.NEED, suggestion.code), codes.label(codes.NEED, suggestion.code, "en")
    if suggestion.kind == "urgency":
        return codes.label(codes.URGENCY, suggestion.code), codes.label(codes.URGENCY, suggestion.code, "en")
    return "进一步评估", "Further assessment"
