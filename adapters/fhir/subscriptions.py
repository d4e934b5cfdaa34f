"""Subscription (R4 with the Subscriptions R5 Backport guide 1.1): a subscriber of notices, in the words of FHIR."""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from adapters import resolve
from adapters.fhir import notification, references, wire
from adapters.fhir.notification import GUIDE
from adapters.fhir.render import TASK_CODE, Json, instant
from service import codes
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.db.finding import After, Condition, Order
from service.errors import Forbidden, Invalid, Issue, Malformed, NotFound, Refusal, Stale
from service.notices import finding, flow
from service.notices.model import Subscriber, Wish
from service.notices.reach import Network
from service.referrals.lifecycle import EVERY
from service.values import Id

SECRET = "urn:yuanshe:webhook-secret"
"""Extension of a Subscription: what signs its notices (Standard Webhooks, `whsec_…`). Sent by the client, or made up and
shown in the answer to the creating POST; never shown again."""

FILTER = f"{GUIDE}/backport-filter-criteria"
CONTENT = f"{GUIDE}/backport-payload-content"
CUSTOM_CHANNEL = f"{GUIDE}/backport-channel-type"
SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic"
MIMES = ("application/fhir+json", "application/json")
MOST_FILTERS, MOST_VALUES = 10, 100
LOOK_UP = 3.0
"""Seconds to ask what an endpoint's host stands for; who does not answer by then is checked again before each post."""


class Topic(msgspec.Struct, frozen=True):
    """What one may hear of: every step of a referral, told of a Task or of the request. `filters`: parameter → fact."""

    resource: Literal["Task", "ServiceRequest"]
    about: Literal["any", "task"]
    filters: dict[str, str]


TASK = Topic(
    "Task", "task",
    {"_id": "task", "status": "task.status", "owner": "task.owner", "requester": "task.requester", "code": "task.code", "_lastUpdated": ""},
)  # fmt: skip
REQUEST = Topic("ServiceRequest", "any", {"_id": "request", "_lastUpdated": ""})
TOPICS: dict[str, Topic] = {
    "urn:yuanshe:topic:task": TASK,
    "urn:yuanshe:topic:service-request": REQUEST,
    f"{SDOHCC}/Task": TASK,
    f"{SDOHCC}/Servicerequest": REQUEST,
}


# ---- what the server does with one ------------------------------------------------------------------------------------


async def addresses(body: bytes) -> tuple[str, ...]:
    """What the endpoint's host stands for, asked before any transaction begins; nothing where that cannot be told."""
    try:
        endpoint = urlsplit(wire.decode(body, wire.Subscription, "Subscription").channel.endpoint or "")
        host, port = endpoint.hostname, endpoint.port or (443 if endpoint.scheme == "https" else 80)
    except (Refusal, ValueError):
        return ()  # Said again, with the place of the fault, when it is read in the transaction.
    if not host:
        return ()
    try:
        async with asyncio.timeout(LOOK_UP):
            return await resolve.addresses(host, port)
    except (OSError, UnicodeError, TimeoutError):
        return ()


async def create(
    session: Session, actor: Actor, body: bytes, now: datetime, resolved: Sequence[str], networks: Sequence[Network]
) -> Json:
    """Subscribe. The answer shows the secret. Raises Forbidden, Invalid with the element at fault."""
    status, wish = _read(actor, body, now)
    if status not in ("requested", "active"):
        raise Invalid("A new subscription is requested.", at="Subscription.status", code="value")
    with _placed():
        made, secret = await flow.subscribe(session, actor, wish, now, addresses=resolved, networks=networks)
    return show(made, actor, secret)


async def update(
    session: Session,
    actor: Actor,
    body: bytes,
    id: Id,
    expected: int | None,
    now: datetime,
    resolved: Sequence[str],
    networks: Sequence[Network],
) -> Json:
    """End it (`off`), or ask for it anew (`requested`), changed or not. Any other status has to be the one it has."""
    known = await _known(session, actor, id)
    if wire.decode(body, wire.Kind, "Subscription").id != str(id):
        raise Malformed("The id of the body is not the id of the address.", at="Subscription.id")
    if expected is not None and expected != known.version:
        raise Stale(f"The Subscription is at version {known.version} now; read it again.")
    if wire.decode(body, wire.Subscription, "Subscription").status == "off":
        return show(await flow.unsubscribe(session, actor, id, now), actor)
    status, wish = _read(actor, body, now)
    if status == "requested":
        with _placed():
            return show(
                await flow.renew(session, actor, id, wish, now, addresses=resolved, networks=networks),
                actor,
                wish.secret,
            )
    shown, wanted = show(known, actor), msgspec.json.decode(body)
    if any(shown.get(name) != wanted.get(name) for name in ("status", "criteria", "_criteria", "channel", "end")):
        raise Invalid(
            "A subscription is changed or asked for again with status requested, and ended with status off.",
            at="Subscription.status",
            code="business-rule",
            key="illegal-move",
        )
    return shown


def show(to: Subscriber, reader: Actor, secret: str | None = None) -> Json:
    """A Subscription with what the server really does; headers, which may hold credentials, in full to its own client."""
    own = reader.id == to.client
    said: Json = {
        "resourceType": "Subscription",
        "id": str(to.id),
        "meta": {
            "versionId": str(to.version),
            "lastUpdated": instant(to.changed_at),
            "profile": [f"{GUIDE}/backport-subscription"],
        },
        "status": to.state,
        **to.terms.get("rest", {}),
        "criteria": to.topic,
    }
    if secret:
        said["extension"] = [*said.get("extension", ()), {"url": SECRET, "valueString": secret}]
    if filters := to.terms.get("filters"):
        said["_criteria"] = {"extension": [{"url": FILTER, "valueString": each} for each in filters]}
    if to.state in ("error", "off") and to.last_error:
        said["error"] = to.last_error
    if to.ends_at:
        said["end"] = instant(to.ends_at)
    channel: Json = {"type": "rest-hook", "endpoint": to.endpoint if own else _without_path(to.endpoint)}
    channel["payload"] = to.terms["mime"]
    channel["_payload"] = {"extension": [{"url": CONTENT, "valueCode": to.terms["content"]}]}
    if to.headers:
        channel["header"] = [line if own else f"{line.partition(':')[0]}: *" for line in to.headers]
    return said | {"channel": channel}


def _without_path(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}/"


FHIR = Condition("format", ("fhir",))
"""Subscribers of another form are no Subscriptions."""


async def found(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Subscriber]:
    """Subscriptions, as far as the reader's scope shows them."""
    return await finding.subscribers(session, [FHIR, *conditions], limit, after, order)


async def count(session: Session, conditions: Sequence[Condition]) -> int:
    return await finding.count_subscribers(session, [FHIR, *conditions])


async def _known(session: Session, actor: Actor, id: Id) -> Subscriber:
    known = await flow.subscriber(session, actor, id)
    if known.format != "fhir":
        raise NotFound("There is no such subscription.")
    return known


MOST_AT_ONCE = 200
"""Subscriptions whose status is told in one answer, newest first."""


async def status(session: Session, actor: Actor, ids: Sequence[Id] | None, states: Sequence[str], base_url: str) -> Json:  # fmt: skip
    """$status: how subscriptions fare, as a searchset of Parameters; all of the reader's without `ids`."""
    conditions = [Condition("id", tuple(ids))] if ids is not None else []
    conditions += [Condition("status", tuple(states))] if states else []
    held = await found(session, conditions, MOST_AT_ONCE)
    entries: list[Json] = []
    for to in held:
        id = uuid.uuid4()
        said = notification.status(to, "query-status", to.event_number, (), base_url)
        entries.append({"fullUrl": f"urn:uuid:{id}", "resource": {"id": str(id)} | said, "search": {"mode": "match"}})
    return {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "searchset", "total": len(held), "entry": entries}  # fmt: skip


async def one_status(session: Session, actor: Actor, id: Id, base_url: str) -> Json:
    await _known(session, actor, id)
    return await status(session, actor, [id], (), base_url)


MOST_EVENTS = 100


async def events(session: Session, actor: Actor, id: Id, query: Sequence[tuple[str, str]], base_url: str) -> Json:
    """$events: what the subscription was to hear, delivered or not, at most MOST_EVENTS from `eventsSinceNumber` on."""
    asked = dict(query)
    since, until = _number(asked, "eventsSinceNumber", 1), _number(asked, "eventsUntilNumber", 2**63 - 1)
    await _known(session, actor, id)
    to, told = await flow.told(session, actor, id, since, until, MOST_EVENTS)
    return notification.bundle(to, "query-event", told, base_url, uuid.uuid4())


def _number(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Malformed(f"{name} is a number.", at=name, code="value")
    return int(text) if text else default


# ---- reading one ------------------------------------------------------------------------------------------------------


def _read(actor: Actor, body: bytes, now: datetime) -> tuple[str, Wish]:
    """The status asked for and the wish. Raises Invalid with the element at fault."""
    if wire.decode(body, wire.Kind, "Subscription").resource_type != "Subscription":
        raise Invalid("The body is not a Subscription.", at="resourceType", code="value")
    read = wire.decode(body, wire.Subscription, "Subscription")
    topic = TOPICS.get(read.criteria)
    if topic is None:
        raise Invalid(f"The criteria is one of the topics {', '.join(TOPICS)}.", at="Subscription.criteria", code="not-supported")  # fmt: skip
    if not may(actor, topic.resource, "r"):
        raise Forbidden(f"The token's scopes do not allow reading {topic.resource}.", key="insufficient-scope")
    channel = read.channel
    custom = channel.beside_type and any(each.url == CUSTOM_CHANNEL for each in channel.beside_type.extension)
    if channel.type != "rest-hook" or custom:
        raise Invalid("The only channel is rest-hook.", at="Subscription.channel.type", code="not-supported")
    if not channel.endpoint:
        raise Invalid("A rest-hook needs an endpoint.", at="Subscription.channel.endpoint", code="required")
    mime = (channel.payload or MIMES[0]).partition(";")[0].strip().lower()
    if mime not in MIMES:
        raise Invalid("A payload is application/fhir+json.", at="Subscription.channel.payload", code="not-supported")
    wanted = [each.url for each in read.extension if each.url == SECRET]
    secret = next((each.value_string for each in read.extension if each.url == SECRET), None)
    if wanted and not secret:
        raise Invalid("The secret is a valueString.", at="Subscription.extension", code="required")
    criteria = read.beside_criteria.extension if read.beside_criteria else ()
    said = [each.value_string or "" for each in criteria if each.url == FILTER]
    ends_at = wire.instant(read.end, "Subscription.end") if read.end else None
    if ends_at and ends_at <= now:
        raise Invalid("The end is past.", at="Subscription.end", code="value")
    terms = {
        "resource": topic.resource,
        "content": _content(channel),
        "mime": mime,
        "filters": said,
        "rest": _rest(body),
    }
    wish = Wish(
        endpoint=channel.endpoint, format="fhir", topic=read.criteria, about=topic.about, filters=_filters(topic, said, now),
        headers=tuple(channel.header), secret=secret, terms=terms, ends_at=ends_at,
    )  # fmt: skip
    return read.status, wish


def _content(channel: wire.Channel) -> str:
    """How much a notice holds: ids where nothing is said."""
    at = "Subscription.channel.payload.extension"
    said = channel.beside_payload.extension if channel.beside_payload else ()
    content = next((each.value_code for each in said if each.url == CONTENT), "id-only")
    if content == "full-resource":
        raise Invalid(
            "Notices hold ids at most: ask for id-only, and read what they name.", at=at, code="not-supported"
        )
    if content not in ("empty", "id-only"):
        raise Invalid("The content is empty or id-only.", at=at, code="code-invalid")
    return content


TAKEN = frozenset({"resourceType", "id", "meta", "text", "status", "criteria", "_criteria", "channel", "end", "error"})


def _rest(body: bytes) -> Json:
    """What else was sent, kept to be shown again: reason, contact, extensions but for the secret."""
    rest: Json = {name: value for name, value in msgspec.json.decode(body).items() if name not in TAKEN}
    if kept := [each for each in rest.pop("extension", ()) if each.get("url") != SECRET]:
        rest["extension"] = kept
    return rest


def _filters(topic: Topic, said: Sequence[str], now: datetime) -> dict[str, tuple[str, ...]]:
    """The filters as facts; all of them must hold, any of a parameter's values suffices."""
    if len(said) > MOST_FILTERS:
        raise Invalid(f"At most {MOST_FILTERS} filters are taken.", at="Subscription.criteria.extension", code="too-costly")  # fmt: skip
    facts: dict[str, tuple[str, ...]] = {}
    for place, each in enumerate(said):
        at = f"Subscription.criteria.extension[{place}]"
        resource, mark, query = each.rpartition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        if (mark and resource != topic.resource) or not pairs:
            raise Invalid(f"A filter reads {topic.resource}?parameter=value.", at=at, code="value")
        for name, value in pairs:
            fact = topic.filters.get(name)
            if fact is None:
                names = ", ".join(topic.filters)
                raise Invalid(f"This topic is filtered by {names}, without modifiers.", at=at, code="not-supported")
            values = value.split(",")
            if len(values) > MOST_VALUES or "" in values:
                raise Invalid(f"A filter has 1 to {MOST_VALUES} values.", at=at, code="value")
            if fact == "":
                _already_so(values, now, at)
                continue
            meant = tuple(_value(fact, each, at) for each in values)
            facts[fact] = tuple(v for v in facts[fact] if v in meant) if fact in facts else meant
    return facts


def _already_so(values: Sequence[str], now: datetime, at: str) -> None:
    """A notice always comes of a change that is later than the subscription: `_lastUpdated=gt<past>` holds by itself."""
    if not all(each[:2] in ("gt", "ge") and wire.instant(each[2:].replace(" ", "+"), at) <= now for each in values):
        raise Invalid("_lastUpdated is gt or ge a time that is past.", at=at, code="not-supported")


OWN_CODES = ((TASK_CODE, "fulfill"), (codes.TASK_CODE, "follow-up"))


def _value(fact: str, value: str, at: str) -> str:
    if fact == "task.status":
        if value.rpartition("|")[2] not in EVERY:
            raise Invalid("This is no status that a Task has here.", at=at, code="code-invalid")
        return value.rpartition("|")[2]
    if fact == "task.code":
        system, _, code = value.rpartition("|")
        if not any(code == own and system in ("", own_system) for own_system, own in OWN_CODES):
            raise Invalid("The code of a Task is fulfill or follow-up.", at=at, code="code-invalid")
        return code
    named = references.parse(value) if "/" in value else ("", value)
    id = references.as_id(named[1]) if named else None
    if id is None:
        raise Invalid("This names nothing of this server.", at=at, code="value")
    return str(id)


PLACES = {
    "endpoint": "Subscription.channel.endpoint",
    "headers": "Subscription.channel.header",
    "secret": "Subscription.extension",
}


@contextmanager
def _placed() -> Iterator[None]:
    """Say of a fault in a wish where in the Subscription it stands."""
    try:
        yield
    except Refusal as refusal:
        refusal.issues = tuple(_issue(issue) for issue in refusal.issues)
        raise


def _issue(issue: Issue) -> Issue:
    return msgspec.structs.replace(issue, at=PLACES.get(issue.at or "", issue.at))
