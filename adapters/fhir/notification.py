"""Notices as FHIR R4: a Bundle of history whose first entry is the status of the subscription (Subscriptions R5 Backport 1.1).

What is told of a resource is its id; the resource itself only where the caller gives it to be shown. An agency is referred
to its own Task and its own request, so that no notice lets it link offers.
"""

import uuid
from collections.abc import Mapping, Sequence

from adapters.fhir.render import Json, instant
from service.notices.model import Notice, Subscriber
from service.values import Id

GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
FORM = {"profile": [f"{GUIDE}/backport-subscription-notification-r4"]}
STATUS_FORM = {"profile": [f"{GUIDE}/backport-subscription-status-r4"]}

Named = tuple[str, Id]
"""A resource type and an id."""


def bundle(
    to: Subscriber,
    type: str,
    notices: Sequence[Notice],
    base_url: str,
    id: Id,
    content: str | None = None,
    shown: Mapping[Named, Json] | None = None,
) -> Json:
    """A notification Bundle with these events; `id` becomes its own. `content` is how much it tells (else what the
    subscription asks for), `shown` the resources that may be shown whole."""
    content = content or to.terms["content"]
    status_id = uuid.uuid5(id, "status")
    number = notices[-1].number if type == "event-notification" else to.event_number
    first: Json = {
        "fullUrl": f"urn:uuid:{status_id}",
        "resource": {"id": str(status_id)} | status(to, type, number, notices, base_url, content),
        "request": {"method": "GET", "url": f"{base_url}/Subscription/{to.id}/$status"},
        "response": {"status": "200"},
    }
    entries: dict[str, Json] = {}
    if content != "empty":
        for notice in notices:
            for place, named in enumerate(concerned(notice)):
                url = _url(base_url, named)
                if url not in entries or place == 0:
                    whole = {"resource": shown[named]} if shown and named in shown else {}
                    entries[url] = {"fullUrl": url} | whole | _exchange(notice, named, is_focus=place == 0)
    return {"resourceType": "Bundle", "id": str(id), "meta": FORM, "type": "history", "entry": [first, *entries.values()]}  # fmt: skip


def status(
    to: Subscriber, type: str, number: int, notices: Sequence[Notice], base_url: str, content: str | None = None
) -> Json:
    """The state of a subscription as Parameters; `number` counts its events up to now, delivered or not."""
    names = (content or to.terms["content"]) != "empty"
    parameters: list[Json] = [
        {"name": "subscription", "valueReference": {"reference": f"{base_url}/Subscription/{to.id}"}},
        {"name": "status", "valueCode": to.state},
        {"name": "type", "valueCode": type},
        {"name": "events-since-subscription-start", "valueString": str(number)},
    ]
    if names:
        parameters.insert(1, {"name": "topic", "valueCanonical": to.topic})
    parameters += [{"name": "notification-event", "part": _event(notice, base_url, names)} for notice in notices]
    if to.last_error and type in ("query-status", "query-event"):
        parameters.append({"name": "error", "valueCodeableConcept": {"text": to.last_error}})
    return {"resourceType": "Parameters", "meta": STATUS_FORM, "parameter": parameters}


def _event(notice: Notice, base_url: str, names: bool) -> list[Json]:
    parts: list[Json] = [{"name": "event-number", "valueString": str(notice.number)}]
    if notice.event:
        parts.append({"name": "timestamp", "valueInstant": instant(notice.event.event.at)})
    for place, named in enumerate(concerned(notice) if names else ()):
        name = "additional-context" if place else "focus"
        parts.append({"name": name, "valueReference": {"reference": _url(base_url, named)}})
    return parts


def concerned(notice: Notice) -> list[Named]:
    """What the notice is about: the resource of its topic first, then what else the subscriber may read of it."""
    tasks = [("Task", id) for id in dict.fromkeys((notice.task, notice.parent)) if id]
    request = [("ServiceRequest", notice.request)] if notice.request else []
    if notice.subscriber.terms["resource"] == "Task":
        return [*tasks, *request] if tasks else []
    return [*request, *tasks] if request else []


def _url(base_url: str, named: Named) -> str:
    return f"{base_url}/{named[0]}/{named[1]}"


def _exchange(notice: Notice, named: Named, *, is_focus: bool) -> Json:
    """Which request would have led to this entry: what a Bundle of history asks of each."""
    type, id = named
    if not is_focus:
        return {"request": {"method": "GET", "url": f"{type}/{id}"}, "response": {"status": "200"}}
    event = notice.event.event if notice.event else None
    if event and event.task == id and event.task_version == 1:
        return {"request": {"method": "POST", "url": type}, "response": {"status": "201"}}
    return {"request": {"method": "PUT", "url": f"{type}/{id}"}, "response": {"status": "200"}}
