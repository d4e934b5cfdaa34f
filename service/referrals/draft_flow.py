"""A ward's form before it is a referral: kept as it is typed, whom its number means, what it may choose from, what is open already."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.db import Session
from service.directory import store as directory
from service.directory.model import Organization, Region, Worker
from service.errors import Forbidden, NotFound
from service.patients import flow as persons
from service.patients import store as patients
from service.patients.model import CITIZEN_NUMBER, Identifier, Patient, Stay
from service.records import store as records
from service.referrals import draft_store
from service.referrals.draft_store import Content, Draft
from service.referrals.model import NextStep, Referral
from service.safety import contact_store
from service.safety.contact import ANY, ContactRules
from service.values import Id, local_day

MOST = 20
"""Drafts that a list shows; older ones are forgotten soon."""
NUMBER = "urn:oid:2.16.156.10011.1.13"
"""The national identifier system of a hospital's own number of a person (病案号), where the hospital uses no single one of its own."""


def permit(actor: Actor) -> None:
    """Only who refers at a ward fills in the form. Raises Forbidden."""
    if actor.role != "referrer":
        raise Forbidden("Referring is for staff of a ward.", key="wrong-actor")


async def keep(session: Session, actor: Actor, id: Id, content: Content, now: datetime) -> Draft:
    """Keep the form as it stands. What was sent stays sent; from here on no other sending of it goes on before this one ends."""
    permit(actor)
    kept = await draft_store.keep(session, id, actor.organization, actor.id, content, now)
    if kept is None:
        raise NotFound("There is no such draft of yours.")
    return kept


async def one(session: Session, actor: Actor, id: Id) -> Draft | None:
    """A draft of the actor's own."""
    permit(actor)
    return await draft_store.one(session, id, actor.id)


async def mine(session: Session, actor: Actor) -> list[Draft]:
    """What the actor has begun and not sent, last typed in first."""
    permit(actor)
    return await draft_store.mine(session, actor.id, MOST)


async def sent(session: Session, actor: Actor, id: Id, referral: Id) -> None:
    """The draft became this referral: what was typed is kept there from now on, and here no more."""
    permit(actor)
    await draft_store.sent(session, id, referral)


async def discard(session: Session, actor: Actor, id: Id) -> None:
    """Throw a draft away; one that is gone already is no fault."""
    permit(actor)
    await draft_store.discard(session, id, actor.id)


async def forget(session: Session, actor: Actor, now: datetime) -> int:
    """Drop drafts in which nobody typed for as long as they are kept: a sweep. How many."""
    return await draft_store.forget(session, now - timedelta(minutes=session.practice.draft_kept.minutes))


class Found(msgspec.Struct, frozen=True):
    """Whom a number means: one person with where they lie, or `several`, of whom nobody can tell which one. `body` and
    `stay_body` are the resources as received, for what corrects them."""

    patient: Patient | None = None
    stay: Stay | None = None
    several: tuple[Patient, ...] = ()
    body: bytes | None = None
    stay_body: bytes | None = None
    rules: ContactRules = ANY
    """How the person may be contacted, as was said last."""

    @property
    def region(self) -> str | None:
        """Where the person will be: where the stay leads to, else where they live."""
        return (self.stay.region if self.stay else None) or (self.patient.region if self.patient else None)


async def find(session: Session, actor: Actor, number: str, citizen: str, chosen: Id | None = None) -> Found:
    """The hospital's patient with this number (theirs, or of a stay of theirs) or this citizen number. `chosen`: which one of
    several is meant."""
    permit(actor)
    named = await draft_store.by_number(session, actor.organization, number) if number else []
    if not named and citizen:
        known = await persons.find(session, actor, (Identifier(CITIZEN_NUMBER, citizen),))
        named = [(known.id, None)] if known else []
    if not named:
        return Found()
    ids = sorted({patient for patient, _ in named})
    # One that was merged answers as its survivor.
    found = {each.id: each for each in await patients.get_many(session, ids)}
    merged = [each.merged_into for each in found.values() if each.merged_into]
    survivors = await patients.get_many(session, merged) if merged else []
    living = {each.id: each for each in (*found.values(), *survivors) if each.merged_into is None}
    session.patients.update(living)
    if chosen is not None and chosen in living:
        living = {chosen: living[chosen]}
    if len(living) != 1:
        return Found(several=tuple(living.values()))
    patient = next(iter(living.values()))
    stay_id = next((stay for _, stay in named if stay), None) or await draft_store.lies_here(session, patient.id)
    stay = await patients.get_stay(session, stay_id) if stay_id else None
    held = await records.current(session, "Patient", patient.id)
    stayed = await records.current(session, "Encounter", stay.id) if stay else None
    said = (await contact_store.current(session, [patient.id])).get(patient.id)
    return Found(
        patient, stay, body=held.body if held else None, stay_body=stayed.body if stayed else None, rules=said.rules if said else ANY
    )  # fmt: skip


async def number_system(session: Session, actor: Actor) -> str:
    """The system under which the hospital's numbers of persons stand: its programs' own, else the national one."""
    return await draft_store.number_system(session, actor.organization) or NUMBER


class Choices(msgspec.Struct, frozen=True):
    """What a form offers: counties and streets that partners cover, and the partners themselves, by rank."""

    regions: tuple[Region, ...]
    partners: tuple[Organization, ...]


async def choices(session: Session, actor: Actor, now: datetime, also: str | None = None) -> Choices:
    """What the actor's hospital can choose from today; `also`: the person's own region, wherever it is."""
    day = local_day(now)
    regions = await draft_store.covered(session, actor.organization, day)
    if also and also not in {each.code for each in regions}:
        regions += (await directory.regions(session, [also])).values()
    ids = await draft_store.partners(session, actor.organization, day)
    named = await directory.organizations(session, ids)
    return Choices(tuple(regions), tuple(named[id] for id in ids if id in named))


async def organizations(session: Session, ids: list[Id]) -> Mapping[Id, Organization]:
    """The organisations of these ids."""
    return await directory.organizations(session, ids)


class Already(msgspec.Struct, frozen=True):
    """What is open of a person, soonest due first, and whom its steps name."""

    rows: tuple[tuple[NextStep, Referral], ...]
    organizations: Mapping[Id, Organization]
    workers: Mapping[Id, Worker]

    def of(self, needs: tuple[str, ...]) -> tuple[tuple[NextStep, Referral], ...]:
        """Those for one of these needs: likely the same referral again."""
        return tuple(row for row in self.rows if not set(row[1].needs).isdisjoint(needs))


async def already(session: Session, actor: Actor, patient: Id) -> Already:
    """The open referrals of this person at the actor's hospital."""
    permit(actor)
    rows = await draft_store.open_of(session, patient, actor.organization)
    session.referrals.update(referral.id for _, referral in rows)
    return Already(
        tuple(rows),
        await directory.organizations(session, {step.organization for step, _ in rows}) if rows else {},
        await directory.workers(session, [step.worker for step, _ in rows if step.worker]) if rows else {},
    )
