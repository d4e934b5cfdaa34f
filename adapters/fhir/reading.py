"""Reads, versions and histories: which room answers for a resource, and what its reader may see of it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from adapters.fhir import audit, binary, directory, group, published, render, safe_contact, subscriptions
from adapters.fhir.published import LOADED
from adapters.fhir.render import Json, Reader
from adapters.fhir.surface import SURFACE
from service import codes
from service.access import audit_flow as audit_lines
from service.access.model import Actor, Link
from service.db import Session
from service.db.finding import Condition
from service.directory import finding as directory_finding
from service.directory.model import Organization, Service, Team, Worker
from service.errors import NotFound
from service.notices.model import Subscriber
from service.patients import finding as patient_finding
from service.patients.model import Patient
from service.records import finding as record_finding
from service.records import store as records
from service.records.model import Record
from service.referrals import attachment_flow as attachments
from service.referrals import contact_flow, finding, group_finding, store
from service.referrals.group_finding import Group
from service.referrals.model import Referral, Task
from service.values import Id, read_json

ABSENT = "There is no such resource, or it is not yours to see."


class Read(msgspec.Struct, frozen=True):
    """A resource as its reader sees it."""

    body: Json
    version: int
    last_modified: datetime


def reader_of(actor: Actor) -> Reader:
    """How much of a person is shown. An auditor reads no person's rows at all; the least is right for anybody else."""
    return actor.side if actor.side in ("hospital", "platform") else "agency"  # pyright: ignore[reportReturnType]


async def read(session: Session, actor: Actor, type: str, id: Id) -> Read:
    """The current version. Raises NotFound, in the same words whether it is absent or not the reader's to see."""
    found = await many(session, actor, type, [id])
    if not found:
        raise NotFound(ABSENT)
    return found[0]


async def vread(session: Session, actor: Actor, type: str, id: Id, version: int) -> Read:
    """One version of it. Raises NotFound."""
    found = await _versions(session, actor, type, id, version)
    if not found:
        raise NotFound(ABSENT)
    return found[0]


async def versions(session: Session, actor: Actor, type: str, id: Id) -> list[Read]:
    """Every version that the reader may see, newest first; none where there is no such resource or it is not theirs to see."""
    return await _versions(session, actor, type, id, None)


async def many(session: Session, actor: Actor, type: str, ids: Sequence[Id]) -> list[Read]:
    """The current versions of these resources, as far as the reader may see them, in no particular order."""
    _supported(type)
    named = [Condition("id", tuple(ids))]
    match SURFACE[type].room:
        case "task":
            return await tasks(session, await finding.tasks(session, named, len(ids)))
        case "request":
            return await requests(session, actor, await finding.requests(session, named, len(ids)))
        case "patient":
            found = await patients(session, actor, await patient_finding.patients(session, named, len(ids)))
            missing = [id for id in ids if str(id) not in {each.body["id"] for each in found}]
            return [*found, *stand_ins(await finding.shares_of_stand_ins(session, missing))] if missing else found
        case "directory":
            found = await _directory(session, type, ids)
            missing = [id for id in ids if str(id) not in {each.body["id"] for each in found}]
            # What a hospital sent along of its own people and places is kept as received.
            return [*found, *await _records(session, actor, type, missing)] if missing else found
        case "record":
            return await _records(session, actor, type, ids)
        case "subscription":
            return subscribed(actor, await subscriptions.found(session, named, len(ids)))
        case "group":
            return await groups(session, await group_finding.groups(session, named, len(ids)))
        case "audit":
            return events(await audit_lines.lines(session, actor, named, len(ids)))
        case "published":
            return unchanging(published.read(type, ids))
        case "attachment":
            return [
                Read(await binary.resource(session, each), 1, each.at) for each in await attachments.find(session, ids)
            ]


def events(found: Sequence[Link]) -> list[Read]:
    """Lines of the audit."""
    return [Read(audit.event(each), 1, each.chained_at) for each in found]


def unchanging(found: Sequence[Json]) -> list[Read]:
    """Resources that change only with the program."""
    return [Read(each, 1, LOADED) for each in found]


async def groups(session: Session, found: Sequence[Group]) -> list[Read]:
    """Groups with their first members by id."""
    members = await group_finding.first_members(session, found, group.LISTED)
    session.patients.update(person for persons in members.values() for person in persons)
    return [Read(group.show(each, members[each.id]), group.version(each), each.changed) for each in found]


def subscribed(actor: Actor, found: Sequence[Subscriber]) -> list[Read]:
    """Subscriptions as their reader may see them."""
    return [Read(subscriptions.show(each, actor), each.version, each.changed_at) for each in found]


def _supported(type: str) -> None:
    if type not in SURFACE:
        raise NotFound("This server has no resources of that type.", code="not-supported")


async def tasks(session: Session, found: Sequence[Task]) -> list[Read]:
    """Tasks in their form; a parent with what its hospital sent, where the reader may see that."""
    bodies = await _bodies(session, [(task.id, task.received) for task in found if task.received])
    for task in found:
        session.referrals.add(task.referral)
        if task.patient:
            session.patients.add(task.patient)
    return [
        Read(render.task(task, bodies.get((task.id, task.received))), task.version, task.updated_at) for task in found
    ]


async def requests(session: Session, actor: Actor, found: Sequence[Referral | Task]) -> list[Read]:
    """Placers' requests as the reader may see them, and the filler requests of shares."""
    wanted = [(each.id, each.received) for each in found if isinstance(each, Referral)]
    bodies = await _bodies(session, wanted)
    shown: list[Read] = []
    for each in found:
        if isinstance(each, Referral):
            session.referrals.add(each.id)
            session.patients.add(each.patient)
            body = render.placer_request(each, bodies.get((each.id, each.received)), reader_of(actor))
            shown.append(Read(body, each.version, each.updated_at))
        else:
            shown.append(filler(session, each))
    return shown


def filler(session: Session, share: Task) -> Read:
    """The filler request of a share, in the version that the share carries."""
    session.referrals.add(share.referral)
    if share.patient:
        session.patients.add(share.patient)
    return Read(render.filler_request(share), share.filler_version, share.filler_at or share.authored_at)


async def patients(session: Session, actor: Actor, found: Sequence[Patient]) -> list[Read]:
    """Persons as the reader may see them."""
    reader = reader_of(actor)
    whole = reader != "agency"
    bodies = await _bodies(session, [(each.id, each.received) for each in found]) if whole else {}
    session.patients.update(each.id for each in found)
    rules = {} if whole else await contact_flow.known(session, [each.id for each in found])
    shown: list[Read] = []
    for each in found:
        if (stated := rules.get(each.id)) is None:
            said = render.patient(each, bodies.get((each.id, each.received)), reader)
            shown.append(Read(said, each.version, each.updated_at))
            continue
        # Who works with the person sees how to contact them safely, in a version that counts both.
        version, at = each.version + stated.version, max(each.updated_at, stated.at)
        called = msgspec.structs.replace(each, version=version, updated_at=at, phone=stated.rules.number or each.phone)
        said = render.patient(called, None, reader) | {
            "extension": [safe_contact.show(stated.rules, stated.written_by)]
        }
        shown.append(Read(said, version, at))
    return shown


def stand_ins(shares: Sequence[Task]) -> list[Read]:
    """The per-offer Patients of shares; a new version only where what an offer may show was corrected."""
    return [
        Read(render.stand_in(share), share.stand_in_version, share.stand_in_at or share.authored_at) for share in shares
    ]


def shown(session: Session, actor: Actor, found: Sequence[Record]) -> list[Read]:
    """Other resources as received."""
    for each in found:
        if each.patient:
            session.patients.add(each.patient)
        if each.referral:
            session.referrals.add(each.referral)
    return [Read(render.record(each, reader_of(actor)), each.version, each.at) for each in found]


async def _records(session: Session, actor: Actor, type: str, ids: Sequence[Id]) -> list[Read]:
    named = [Condition("type", (type,)), Condition("id", tuple(ids))]
    return shown(session, actor, await record_finding.records(session, named, len(ids)))


async def _bodies(session: Session, wanted: Sequence[tuple[Id, int]]) -> dict[tuple[Id, int], Json]:
    return {key: read_json(body) for key, body in (await record_finding.bodies(session, wanted)).items()}


async def _directory(session: Session, type: str, ids: Sequence[Id]) -> list[Read]:
    if type == "CodeSystem":
        return [await code_system(session, directory.SYSTEMS[id]) for id in ids if id in directory.SYSTEMS]
    named = [Condition("id", tuple(ids))]
    match type:
        case "Organization":
            return organizations(await directory_finding.organizations(session, named, len(ids)))
        case "HealthcareService":
            return await services(session, await directory_finding.services(session, named, len(ids)))
        case "CareTeam":
            return teams(await directory_finding.teams(session, named, len(ids)))
        case _:
            return workers(type, await directory_finding.workers(session, named, len(ids)))


def organizations(found: Sequence[Organization]) -> list[Read]:
    return [Read(directory.organization(each), each.version, each.updated_at or LOADED) for each in found]


async def services(session: Session, found: Sequence[Service]) -> list[Read]:
    names = await directory_finding.region_names(session, sorted({code for each in found for code in each.regions}))
    return [Read(directory.healthcare_service(each, names), each.version, each.updated_at or LOADED) for each in found]


def teams(found: Sequence[Team]) -> list[Read]:
    return [Read(directory.care_team(each), each.version, each.updated_at or LOADED) for each in found]


def workers(type: str, found: Sequence[Worker]) -> list[Read]:
    form = directory.practitioner if type == "Practitioner" else directory.practitioner_role
    return [Read(form(each), each.version, each.updated_at or LOADED) for each in found]


async def code_system(session: Session, url: str) -> Read:
    if url == codes.REGION:
        return Read(directory.region_system(await directory_finding.regions(session)), 1, LOADED)
    return Read(directory.code_system(codes.LISTS[url]), 1, LOADED)


# ---- versions --------------------------------------------------------------------------------------------------------


async def _versions(session: Session, actor: Actor, type: str, id: Id, version: int | None) -> list[Read]:
    """The versions of one resource that the reader may see, newest first; only this one when `version` says which."""
    _supported(type)
    if version is not None and not 0 < version < 2**31:
        return []
    match SURFACE[type].room:
        case "task":
            return await tasks(session, await store.task_versions(session, id, version))
        case "request":
            placed = await store.referral_versions(session, id, version)
            return await requests(session, actor, placed or await finding.filler_versions(session, id, version))
        case "patient":
            return await _patient_versions(session, actor, id, version)
        case "directory" | "subscription" | "group" | "audit" | "published" | "attachment":
            return [each for each in await many(session, actor, type, [id]) if version in (None, each.version)]
        case "record":
            return await _record_versions(session, actor, type, id, version)


async def _patient_versions(session: Session, actor: Actor, id: Id, version: int | None) -> list[Read]:
    """An agency sees a person as they are now; what the hospital wrote before is not shown to it."""
    current = await many(session, actor, "Patient", [id])
    if current and (shares := await finding.shares_of_stand_ins(session, [id])):
        # Each as the first version of its share had it that showed this.
        past = {each.stand_in_version: each for each in await store.task_versions(session, shares[0].id)}
        return [
            each for each in stand_ins([past[n] for n in sorted(past, reverse=True)]) if version in (None, each.version)
        ]
    if (
        not current
        or reader_of(actor) == "agency"
        or not (held := await _record_versions(session, actor, "Patient", id, version))
    ):
        return [each for each in current if version in (None, each.version)]
    # A merge and its undo make a version though nothing was received.
    newest = current[0]
    unreceived = version is None and newest.version not in {each.version for each in held}
    return [newest, *held] if unreceived else held


async def _record_versions(session: Session, actor: Actor, type: str, id: Id, version: int | None) -> list[Read]:
    held = await records.versions(session, type, id) if version is None else [await records.version(session, type, id, version)]  # fmt: skip
    return shown(session, actor, [each for each in held if each and each.readable(actor.organization)])
