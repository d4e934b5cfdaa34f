"""Who answers a search of each type: the room's own search, and its answer in the reader's form."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from adapters.fhir import directory, published, reading, subscriptions
from adapters.fhir.reading import Read
from adapters.fhir.surface import SURFACE
from service import codes
from service.access import audit_flow as audit_lines
from service.access.model import Actor
from service.db import Session
from service.db.finding import After, Condition, Order
from service.directory import finding as directory_finding
from service.errors import NotFound
from service.patients import finding as patient_finding
from service.records import finding as record_finding
from service.referrals import finding, group_finding


class Room(msgspec.Struct, frozen=True):
    """Who answers: a page of resources in their form, and how many there are in all."""

    page: Callable[[Sequence[Condition], int, After | None, Order], Awaitable[list[Read]]]
    count: Callable[[Sequence[Condition]], Awaitable[int]]


def room(session: Session, actor: Actor, type: str) -> Room:
    async def tasks(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return await reading.tasks(session, await finding.tasks(session, conditions, limit, after, order))

    async def requests(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return await reading.requests(session, actor, await finding.requests(session, conditions, limit, after, order))

    async def patients(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        found = await reading.patients(
            session, actor, await patient_finding.patients(session, conditions, limit, after, order)
        )
        return found + ([] if after else await _stand_ins(session, conditions))

    async def count_patients(conditions: Sequence[Condition]) -> int:
        return await patient_finding.count_patients(session, conditions) + len(await _stand_ins(session, conditions))

    async def records(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return reading.shown(session, actor, await record_finding.records(session, conditions, limit, after, order))

    async def subscribers(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return reading.subscribed(actor, await subscriptions.found(session, conditions, limit, after, order))

    async def events(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return reading.events(await audit_lines.lines(session, actor, conditions, limit, after, order))

    async def groups(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return await reading.groups(session, await group_finding.groups(session, conditions, limit, after, order))

    match SURFACE[type].room:
        case "audit":
            return Room(events, lambda conditions: audit_lines.count(session, actor, conditions))
        case "published":
            return _published_room(type)
        case "task":
            return Room(tasks, lambda conditions: finding.count_tasks(session, conditions))
        case "request":
            return Room(requests, lambda conditions: finding.count_requests(session, conditions))
        case "patient":
            return Room(patients, count_patients)
        case "record":
            return Room(records, lambda conditions: record_finding.count_records(session, conditions))
        case "subscription":
            return Room(subscribers, lambda conditions: subscriptions.count(session, conditions))
        case "group":
            return Room(groups, lambda conditions: group_finding.count_groups(session, conditions))
        case "directory":
            return _directory_room(session, type)
        case "attachment":
            raise NotFound("Files are not searched for; a DocumentReference names them.", code="not-supported")


def _published_room(type: str) -> Room:
    async def page(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        found = published.find(type, conditions)
        found = found if order.ascending else found[::-1]
        ids = [each["id"] for each in found]
        first = ids.index(after.id) + 1 if after and after.id in ids else 0
        return reading.unchanging(found[first : first + limit])

    async def count(conditions: Sequence[Condition]) -> int:
        return len(published.find(type, conditions))

    return Room(page, count)


async def _stand_ins(session: Session, conditions: Sequence[Condition]) -> list[Read]:
    """A per-offer Patient is found by its id and nothing else, so no search about persons ever meets one."""
    one = conditions[0] if len(conditions) == 1 else None
    if one is None or one.field != "id" or one.negated or one.chosen or one.test != "among":
        return []
    return reading.stand_ins(await finding.shares_of_stand_ins(session, one.values))


def _directory_room(session: Session, type: str) -> Room:
    async def organizations(
        conditions: Sequence[Condition], limit: int, after: After | None, order: Order
    ) -> list[Read]:
        return reading.organizations(await directory_finding.organizations(session, conditions, limit, after, order))

    async def services(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return await reading.services(
            session, await directory_finding.services(session, conditions, limit, after, order)
        )

    async def workers(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return reading.workers(type, await directory_finding.workers(session, conditions, limit, after, order))

    async def teams(conditions: Sequence[Condition], limit: int, after: After | None, order: Order) -> list[Read]:
        return reading.teams(await directory_finding.teams(session, conditions, limit, after, order))

    async def code_systems(
        conditions: Sequence[Condition], limit: int, after: After | None, order: Order
    ) -> list[Read]:
        found = [await reading.code_system(session, url) for url in _systems(conditions)]
        ids = [each.body["id"] for each in found]
        first = ids.index(after.id) + 1 if after and after.id in ids else 0
        return found[first : first + limit]

    async def count_code_systems(conditions: Sequence[Condition]) -> int:
        return len(_systems(conditions))

    match type:
        case "Organization":
            return Room(organizations, lambda conditions: directory_finding.count_organizations(session, conditions))
        case "HealthcareService":
            return Room(services, lambda conditions: directory_finding.count_services(session, conditions))
        case "CareTeam":
            return Room(teams, lambda conditions: directory_finding.count_teams(session, conditions))
        case "CodeSystem":
            return Room(code_systems, count_code_systems)
        case _:
            return Room(workers, lambda conditions: directory_finding.count_workers(session, conditions))


def _systems(conditions: Sequence[Condition]) -> list[str]:
    """Our code systems that fit; there are few, so they are looked through."""
    found: list[str] = []
    for id, url in directory.SYSTEMS.items():
        title = codes.LISTS[url].name_en if url in codes.LISTS else "Regions"
        facts: dict[str, Callable[[Any], bool]] = {
            "id": lambda value, id=id: value == id,
            "url": lambda value, url=url: value == url,
            "name": lambda value, title=title: published.said(directory.name_of(title), value),
            "status": lambda value: value == "active",
            "": lambda value: False,
        }
        if all(_fits(condition, facts) for condition in conditions):
            found.append(url)
    return found


def _fits(condition: Condition, facts: dict[str, Callable[[Any], bool]]) -> bool:
    if condition.test != "among":
        return condition.test == "present"  # A code system has every element that can be asked for.
    return any(facts[condition.field](value) for value in condition.values) != condition.negated
