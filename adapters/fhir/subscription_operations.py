"""The operations of Subscriptions R5 Backport 1.1: `$status`, how subscriptions fare, and `$events`, what they were to hear."""

import uuid
from collections.abc import Sequence

from adapters.fhir import notification, references, subscriptions, telling
from adapters.fhir.render import Json
from service.access.model import Actor
from service.db import Session
from service.db.finding import Condition
from service.errors import Malformed
from service.notices import flow
from service.values import Id

MOST_AT_ONCE = 200
"""Subscriptions whose status is told in one answer, newest first."""
MOST_EVENTS = 100
"""Events told in one answer: ask again from the number behind the last one."""

Words = Sequence[tuple[str, str]]


async def status(session: Session, actor: Actor, id: Id | None, words: Words, base_url: str) -> Json:
    """$status of one Subscription, or of all of the reader's that `id` and `status` name, as a searchset of Parameters."""
    if id is not None:
        held = [await subscriptions.known(session, actor, id)]
    else:
        ids = [references.as_id(one) for name, value in words if name == "id" for one in value.split(",")]
        states = [one for name, value in words if name == "status" for one in value.split(",")]
        # What is no id of ours names no subscription, like one that there is not.
        conditions = [Condition("id", tuple(one for one in ids if one))] if ids else []
        conditions += [Condition("status", tuple(states))] if states else []
        held = await subscriptions.found(session, conditions, MOST_AT_ONCE)
    entries: list[Json] = []
    for to in held:
        entry_id = uuid.uuid4()
        said = notification.status(to, "query-status", to.event_number, (), base_url)
        entries.append({"fullUrl": f"urn:uuid:{entry_id}", "resource": {"id": str(entry_id)} | said, "search": {"mode": "match"}})  # fmt: skip
    bundle: Json = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "searchset", "total": len(held)}
    return bundle | ({"entry": entries} if entries else {})


async def events(session: Session, actor: Actor, id: Id, words: Words, base_url: str) -> Json:
    """$events: what the subscription was to hear, delivered or not, at most MOST_EVENTS from `eventsSinceNumber` on, in as much
    detail as `content` asks for (else as the subscription does) and as the one who asks may read."""
    said = dict(words)
    since, until = _number(said, "eventsSinceNumber", 1), _number(said, "eventsUntilNumber", 2**63 - 1)
    content = said.get("content")
    if content is not None and content not in subscriptions.CONTENTS:
        raise Malformed("The content is empty, id-only or full-resource.", at="content", code="code-invalid")
    await subscriptions.known(session, actor, id)
    to, told = await flow.told(session, actor, id, since, until, MOST_EVENTS)
    content = content or to.terms["content"]
    shown = await telling.readable(session, actor, told) if content == "full-resource" else {}
    return notification.bundle(to, "query-event", told, base_url, uuid.uuid4(), content, shown)


def _number(said: dict[str, str], name: str, default: int) -> int:
    text = said.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Malformed(f"{name} is a number.", at=name, code="value")
    return int(text) if text else default
