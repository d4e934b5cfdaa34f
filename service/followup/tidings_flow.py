"""A hospital's system tells of its patients' movements: admitted, moved, discharged, corrected, merged."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.db import Session
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.followup import flow, merging_flow, person_flow, tidings, tidings_store
from service.followup.tidings import Heard, Tidings, ToldStay, Write
from service.followup.tidings_store import Known
from service.patients import flow as patients
from service.patients import store
from service.patients.model import Identifier, Patient, Stay
from service.records import store as records
from service.records.model import Record
from service.values import Id, new_id

_UNKNOWN = Known()


async def hear(session: Session, actor: Actor, news: Tidings, write: Write, now: datetime) -> Heard:
    """Let what is known of the person and the stay follow the tidings, by the verbs that a FHIR update takes.

    Nothing is written where it tells nothing newer; then `changed` is false. Raises Conflict, Invalid, NotFound as those
    verbs do: then nothing of it was done.
    """
    if actor.side != "hospital":
        raise Forbidden("Only a hospital tells of its patients' movements.", key="wrong-actor")
    if not news.identifiers:
        raise Invalid("No number of the person is one that this hospital's configuration knows.", at="identifier", key="no-identifier")  # fmt: skip
    person, merged = await _person(session, actor, news, now)
    stay = await _stay(session, actor, news.stay, person) if news.stay else None
    known = await tidings_store.known(session, [each.id for each in (person, stay) if each])
    received: list[Record] = []
    times: dict[Id, tidings.Times] = {}
    before = person.version if person else 0
    person = await _follow_person(session, actor, news, person, known, write, now, received, times)
    of_stay = None
    if news.stay and (stay or news.stay.begins or news.stay.number):
        of_stay = await _follow_stay(session, actor, news, person, stay, known, write, now, received, times)
    await records.keep(session, received)
    await tidings_store.tell(session, actor.organization, times)
    session.patients.add(person.id)
    changed = merged or person.version != before or (of_stay is not None and of_stay != stay)
    return Heard(person.id, of_stay.id if of_stay else None, changed)


async def _person(session: Session, actor: Actor, news: Tidings, now: datetime) -> tuple[Patient | None, bool]:
    """Whom it is about, locked; two records of one person are merged first, as far as both are known."""
    if not news.absorbed:
        return await patients.find(session, actor, news.identifiers, lock=True), False
    survivor = await patients.find(session, actor, news.identifiers, lock=True)
    absorbed = await patients.find(session, actor, news.absorbed, lock=True)
    if survivor is None or absorbed is None or survivor.id == absorbed.id:
        return survivor or absorbed, False
    await merging_flow.merge(session, actor, survivor.id, absorbed.id, now)
    return await store.get(session, survivor.id), True


async def _stay(session: Session, actor: Actor, told: ToldStay, person: Patient | None) -> Stay | None:
    """The stay that is meant, locked."""
    if told.number is not None:
        stay = await store.locked_stay_by_number(session, actor.organization, told.number)
        if stay is not None and (person is None or stay.patient != person.id):
            raise Conflict("The stay with this number is another patient's.", at="stay", key="other-patient")
        return stay if stay or person is None else await _unnumbered(session, actor, told, person)
    if person is None:
        return None
    found = await tidings_store.open_stays(session, person.id, actor.organization)
    if len(found) > 1:
        raise Conflict("The person has several open stays here: say the number of the one that is meant.", at="stay", key="which-stay")  # fmt: skip
    if not found and not told.begins:
        raise NotFound("The person has no open stay here, and the message names none.", at="stay", key="which-stay")
    return await store.get_stay(session, found[0], lock=True) if found else None


async def _unnumbered(session: Session, actor: Actor, told: ToldStay, person: Patient) -> Stay | None:
    """The stay that a referral brought without a number: the person's only open one of that kind, of no other class."""
    found = await tidings_store.open_stays(session, person.id, actor.organization, unnumbered=True)
    stay = await store.get_stay(session, found[0], lock=True) if len(found) == 1 else None
    of_class = told.facts.get("class")
    if stay is None or (of_class and stay.class_ and of_class.fields["class_"] != stay.class_):
        return None
    return stay


async def _follow_person(
    session: Session, actor: Actor, news: Tidings, person: Patient | None, known: dict[Id, Known], write: Write, now: datetime,
    received: list[Record], times: dict[Id, tidings.Times],
) -> Patient:  # fmt: skip
    seen = known.get(person.id, _UNKNOWN) if person else _UNKNOWN
    facts = tidings.newer(seen.told, news.person, news.at)
    empty = Patient(new_id(), actor.organization, 0, (), now)
    numbers = _numbers(person, news)
    after = tidings.laid(person or empty, facts)
    after = msgspec.structs.replace(after, identifiers=numbers, no_identifier_reason=None)
    after = patients.checked(after)
    told = seen.told | dict.fromkeys(facts, news.at)
    if told != seen.told:
        times[after.id] = told
    if person is not None and after == msgspec.structs.replace(person, identifiers=tuple(sorted(person.identifiers))):
        return person
    body = write(after, seen.body, tidings.shown(facts))
    return await person_flow.register(
        session, actor, after, body, now, known=person.version if person else 0, received=received
    )


def _numbers(person: Patient | None, news: Tidings) -> tuple[Identifier, ...]:
    """Every number that is known or told. One that was absorbed before anybody here knew it leads to the survivor."""
    return tuple(sorted({*(person.identifiers if person else ()), *news.identifiers, *news.absorbed}))


async def _follow_stay(
    session: Session, actor: Actor, news: Tidings, person: Patient, stay: Stay | None, known: dict[Id, Known], write: Write,
    now: datetime, received: list[Record], times: dict[Id, tidings.Times],
) -> Stay:  # fmt: skip
    told = news.stay
    assert told is not None
    seen = known.get(stay.id, _UNKNOWN) if stay else _UNKNOWN
    facts = tidings.of_stay(stay, seen.told, told, news.at)
    made = Stay(new_id(), actor.organization, person.id, 0, "in-progress", now, number=told.number)
    after = tidings.laid(stay or made, facts)
    after = msgspec.structs.replace(after, number=after.number or told.number)
    newly = seen.told | dict.fromkeys(facts, news.at)
    if newly != seen.told:
        times[after.id] = newly
    if stay is not None and after == stay:
        return stay
    body = write(after, seen.body, tidings.shown(facts))
    return await flow.discharge(session, actor, after, body, now, known=stay.version if stay else 0, received=received)
