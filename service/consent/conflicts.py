"""Conflicts of interest: what workers declare, and whom that keeps from knowing who a person is."""

from collections.abc import Collection, Mapping
from datetime import datetime

from service.consent import store
from service.consent.marks import Features, alike, marks, of_patient
from service.consent.model import Conflict
from service.db import Session
from service.patients import store as patients
from service.values import Id


async def of(session: Session, patient: Id, since: datetime, agencies: Collection[Id]) -> frozenset[Id]:
    """The workers of these agencies who declared a conflict with the person, or with somebody around them (a relative, a
    suspect), before the referral was placed.

    A declaration that was made afterwards does not count: an agency could find out by it who a person is, before it may know.
    """
    if not agencies:
        return frozenset()
    declared = [each for each in await store.declared(session, list(agencies)) if each.declared_at < since]
    if not declared:
        return frozenset()
    person = await patients.get(session, patient)
    if person is None:
        return frozenset()
    near = marks(of_patient(person), await store.key(session))
    near |= {mark for each in await store.around(session, patient) for mark in each.marks}
    return frozenset(each.worker for each in declared if alike(each.marks, near))


async def of_worker(
    session: Session, agency: Id, worker: Id, placed: Mapping[Id, tuple[Id, datetime]]
) -> frozenset[Id]:
    """Of many referrals, those with whose person the worker declared a conflict: `placed` is the patient of each, and since
    when it is placed."""
    declared = [each for each in await store.declared(session, [agency]) if each.worker == worker]
    if not declared or not placed:
        return frozenset()
    whom = {patient for patient, _ in placed.values()}
    key, around = await store.key(session), await store.around_each(session, list(whom))
    near = {each.id: marks(of_patient(each), key) for each in await patients.get_many(session, list(whom))}
    return frozenset(
        referral
        for referral, (patient, since) in placed.items()
        for each in declared
        if each.declared_at < since
        and alike(each.marks, near.get(patient, frozenset()) | around.get(patient, frozenset()))
    )


async def declare(session: Session, id: Id, agency: Id, worker: Id, who: Features, by: Id, now: datetime) -> int:
    """Keep by marks alone whom the worker may not serve; how many marks that made, none where nothing identifies."""
    made = tuple(sorted(marks(who, await store.key(session))))
    if made:
        await store.declare(session, Conflict(id, agency, worker, made, by, now))
    return len(made)
