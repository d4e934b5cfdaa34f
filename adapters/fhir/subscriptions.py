"""Subscription (R4 with the Subscriptions R5 Backport guide 1.1): a subscriber of notices, in the words of FHIR."""

import asyncio
import ipaddress
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from adapters import resolve
from adapters.fhir import references, validation, wire
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
from service.notices.reach import Reach, host_of
from service.referrals.lifecycle import EVERY
from service.values import Id, read_json

SECRET = "urn:yuanshe:webhook-secret"
"""Extension of a Subscription: what signs its notices (Standard Webhooks, `whsec_…`). Sent by the client, or made up and
shown in the answer to the creating POST; never shown again."""

PROFILE = f"{GUIDE}/backport-subscription"
TOPIC = f"{GUIDE}/capabilitystatement-subscriptiontopic-canonical"
"""Extension of the CapabilityStatement: a topic that may be subscribed to (how R4 has topics found)."""
FILTER = f"{GUIDE}/backport-filter-criteria"
CONTENT = f"{GUIDE}/backport-payload-content"
LINKS = "urn:yuanshe:answer-link"
"""Extension of the channel email (valueBoolean): mails about an offer carry links by which whoever reads the mailbox answers it
for the agency, without an account (docs/answer-by-link.md)."""
FOR = "urn:yuanshe:subscriber"
"""Extension of a Subscription that the platform makes (valueReference): the agency whose mailbox it is."""
CUSTOM_CHANNEL = f"{GUIDE}/backport-channel-type"
SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic"
TOPIC_CANONICAL = f"{GUIDE}/backport-topic-canonical"
HEARTBEAT = f"{GUIDE}/backport-heartbeat-period"
TIMEOUT = f"{GUIDE}/backport-timeout"
MAX_COUNT = f"{GUIDE}/backport-max-count"
CROSS_VERSION = re.compile(r"http://hl7\.org/fhir/[0-9]+\.[0-9]+/")
MIMES = ("application/fhir+json", "application/json")
PAYLOADS: dict[str, tuple[str, ...]] = {
    "rest-hook": MIMES,
    "email": ("text/plain;attach=application/fhir+json", "text/plain"),
}
"""The channels, each with the forms that it has, the usual one first. By mail the form is that of the words, which are for
people; the Bundle is attached (Subscriptions R5 Backport 1.1, channels.html#email)."""
CONTENTS = ("empty", "id-only", "full-resource")
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


class Channel(msgspec.Struct, frozen=True):
    """How notices are sent, as it comes in."""

    type: Literal["rest-hook", "websocket", "email", "sms", "message"]
    endpoint: wire.Text | None = None
    payload: wire.Text | None = None
    header: tuple[wire.Text, ...] = ()
    extension: tuple[wire.Extension, ...] = ()
    beside_type: wire.Element | None = msgspec.field(default=None, name="_type")
    beside_payload: wire.Element | None = msgspec.field(default=None, name="_payload")


class Subscription(msgspec.Struct, frozen=True):
    """A Subscription as it comes in; the rest of it is kept as it is."""

    status: Literal["requested", "active", "error", "off"]
    reason: wire.Text
    criteria: wire.Text
    channel: Channel
    end: wire.Text | None = None
    extension: tuple[wire.Extension, ...] = ()
    beside_criteria: wire.Element | None = msgspec.field(default=None, name="_criteria")


# ---- what the server does with one ------------------------------------------------------------------------------------


async def addresses(body: bytes) -> tuple[str, ...]:
    """What the endpoint's host stands for, asked before any transaction begins; nothing where that cannot be told."""
    try:
        endpoint = urlsplit(wire.decode(body, Subscription, "Subscription").channel.endpoint or "")
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
    session: Session, actor: Actor, body: bytes, now: datetime, resolved: Sequence[str], allowed: Reach
) -> Json:
    """Subscribe. The answer shows the secret. Raises Forbidden, Invalid with the element at fault."""
    status, wish = _read(actor, body, now)
    if status not in ("requested", "active"):
        raise Invalid("A new subscription is requested.", at="Subscription.status", code="value")
    agency = _agency(body)
    with _placed():
        made, secret = await flow.subscribe(
            session, actor, wish, now, addresses=resolved, allowed=allowed, agency=agency
        )
    return show(made, actor, secret if made.channel == "rest-hook" else None)


async def update(
    session: Session,
    actor: Actor,
    body: bytes,
    id: Id,
    expected: int | None,
    now: datetime,
    resolved: Sequence[str],
    allowed: Reach,
) -> Json:
    """End it (`off`), or ask for it anew (`requested`; of one that is in error or off also `active`), changed or not. Any other
    status has to be the one it has."""
    held = await known(session, actor, id)
    if wire.decode(body, wire.Kind, "Subscription").id != str(id):
        raise Malformed("The id of the body is not the id of the address.", at="Subscription.id")
    if expected is not None and expected != held.version:
        raise Stale(f"The Subscription is at version {held.version} now; read it again.")
    if wire.decode(body, Subscription, "Subscription").status == "off":
        return show(await flow.unsubscribe(session, actor, id, now), actor)
    status, wish = _read(actor, body, now)
    if status == "requested" or (status == "active" and held.state in ("error", "off")):
        with _placed():
            renewed = await flow.renew(session, actor, id, wish, now, addresses=resolved, allowed=allowed)
        return show(renewed, actor, wish.secret)
    shown, wanted = show(held, actor), msgspec.json.decode(body)
    if any(shown.get(name) != wanted.get(name) for name in ("status", "criteria", "_criteria", "channel", "end")):
        raise Invalid(
            "A subscription is changed or asked for again with status requested, and ended with status off.",
            at="Subscription.status",
            code="business-rule",
            key="illegal-move",
        )
    return shown


def _agency(body: bytes) -> Id | None:
    """The agency that the platform subscribes a mailbox of."""
    for place, each in enumerate(wire.decode(body, Subscription, "Subscription").extension):
        if each.url == FOR:
            at = f"Subscription.extension[{place}]"
            if each.value_reference is None:
                raise Invalid("The agency is a valueReference.", at=at, code="required")
            return references.required(each.value_reference, "Organization", at=at)
    return None


def show(to: Subscriber, reader: Actor, secret: str | None = None) -> Json:
    """A Subscription with what the server really does; headers, which may hold credentials, in full to its own client."""
    own = reader.id == to.client
    said: Json = {
        "resourceType": "Subscription",
        "id": str(to.id),
        "meta": {
            "versionId": str(to.version),
            "lastUpdated": instant(to.changed_at),
            "profile": [PROFILE],
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
    channel: Json = {"type": to.channel, "endpoint": to.endpoint if own else host_of(to.endpoint)}
    limits = [
        {"url": url, value: asked}
        for url, value, asked in (
            (HEARTBEAT, "valueUnsignedInt", to.heartbeat),
            (TIMEOUT, "valueUnsignedInt", to.timeout),
            (MAX_COUNT, "valuePositiveInt", to.max_count),
        )
        if asked is not None
    ]
    if to.terms.get("links"):
        limits.append({"url": LINKS, "valueBoolean": True})
    if limits:
        channel["extension"] = limits
    channel["payload"] = to.terms["mime"]
    channel["_payload"] = {"extension": [{"url": CONTENT, "valueCode": to.terms["content"]}]}
    if to.headers:
        channel["header"] = [line if own else f"{line.partition(':')[0]}: *" for line in to.headers]
    return said | {"channel": channel}


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


async def known(session: Session, actor: Actor, id: Id) -> Subscriber:
    """One Subscription of the reader's. Raises NotFound."""
    held = await flow.subscriber(session, actor, id)
    if held.format != "fhir":
        raise NotFound("There is no such subscription.")
    return held


# ---- reading one ------------------------------------------------------------------------------------------------------


def _read(actor: Actor, body: bytes, now: datetime) -> tuple[str, Wish]:
    """The status asked for and the wish. Raises Invalid with the element at fault."""
    if wire.decode(body, wire.Kind, "Subscription").resource_type != "Subscription":
        raise Invalid("The body is not a Subscription.", at="resourceType", code="value")
    validation.check("Subscription", read_json(body))
    read = wire.decode(body, Subscription, "Subscription")
    channel = read.channel
    _understood(read)
    criteria, filters = _topic(read)
    topic = TOPICS[criteria]
    if not may(actor, topic.resource, "r"):
        raise Forbidden(f"The token's scopes do not allow reading {topic.resource}.", key="insufficient-scope")
    if channel.type not in ("rest-hook", "email"):
        raise Invalid(
            "The channels are rest-hook and email; no other one can carry a notice.",
            at="Subscription.channel.type",
            code="not-supported",
        )
    if not channel.endpoint:
        raise Invalid(f"The channel {channel.type} needs an endpoint.", at="Subscription.channel.endpoint", code="required")  # fmt: skip
    mime = _mime(channel)
    wanted = [each.url for each in read.extension if each.url == SECRET]
    secret = next((each.value_string for each in read.extension if each.url == SECRET), None)
    if wanted and not secret:
        raise Invalid("The secret is a valueString.", at="Subscription.extension", code="required")
    if wanted and channel.type == "email":
        raise Invalid("A mail is not signed: leave the secret out.", at="Subscription.extension", code="not-supported")
    ends_at = wire.instant(read.end, "Subscription.end") if read.end else None
    if ends_at and ends_at <= now:
        raise Invalid("The end is past.", at="Subscription.end", code="value")
    said = [text for _, text in filters]
    terms: Json = {"resource": topic.resource, "content": _content(channel), "mime": mime, "filters": said, "rest": _rest(body)}  # fmt: skip
    if any(each.url == LINKS and each.value_boolean for each in channel.extension):
        terms["links"] = True
    wish = Wish(
        endpoint=channel.endpoint, channel=channel.type, format="fhir", topic=criteria, about=topic.about,
        filters=_filters(topic, filters, now), headers=tuple(channel.header), secret=secret, terms=terms, ends_at=ends_at,
        heartbeat=_number(channel, HEARTBEAT), timeout=_number(channel, TIMEOUT), max_count=_number(channel, MAX_COUNT),
    )  # fmt: skip
    return read.status, wish


def _understood(read: Subscription) -> None:
    """Nothing is asked for in an extension that would be passed over in silence: not on what notices are about and how they are
    sent, and nowhere in one of another version of FHIR (the guide: cross-version extensions SHOULD NOT be used)."""
    channel = read.channel
    places: tuple[tuple[str, Sequence[wire.Extension], frozenset[str] | None], ...] = (
        ("Subscription.extension", read.extension, None),
        ("Subscription.criteria.extension", beside(read.beside_criteria), frozenset({FILTER, TOPIC_CANONICAL})),
        ("Subscription.channel.extension", channel.extension, frozenset({HEARTBEAT, TIMEOUT, MAX_COUNT, LINKS})),
        ("Subscription.channel.type.extension", beside(channel.beside_type), frozenset()),
        ("Subscription.channel.payload.extension", beside(channel.beside_payload), frozenset({CONTENT})),
    )
    for at, extensions, taken in places:
        for place, each in enumerate(extensions):
            if each.url == CUSTOM_CHANNEL:
                raise Invalid("The channels are rest-hook and email.", at="Subscription.channel.type", code="not-supported")  # fmt: skip
            if CROSS_VERSION.match(each.url) or (taken is not None and each.url not in taken):
                raise Invalid("This extension is not understood here; leave it out.", at=f"{at}[{place}]", code="extension")  # fmt: skip


def beside(element: wire.Element | None) -> tuple[wire.Extension, ...]:
    return element.extension if element else ()


def _topic(read: Subscription) -> tuple[str, list[tuple[str, str]]]:
    """The topic, and the filters each with its place. The topic is the criteria; as SDOHCC has it, from before the guide was
    settled, it may stand in an extension, and the criteria is then a filter (docs/decisions/subscription-topics.md)."""
    filters = [
        (f"Subscription.criteria.extension[{place}]", each.value_string or "")
        for place, each in enumerate(beside(read.beside_criteria))
        if each.url == FILTER
    ]
    named = [
        (at, each.value_uri or each.value_canonical or "")
        for at, extensions in (
            ("Subscription.extension", read.extension),
            ("Subscription.criteria.extension", beside(read.beside_criteria)),
        )
        for each in extensions
        if each.url == TOPIC_CANONICAL
    ]
    topic = read.criteria
    if named:
        at, topic = named[0]
        if any(other != topic for _, other in named) or (read.criteria in TOPICS and read.criteria != topic):
            raise Invalid("The criteria and the extension name different topics.", at=at, code="conflict")
        if read.criteria != topic:
            filters.insert(0, ("Subscription.criteria", read.criteria))
    if topic not in TOPICS:
        at = named[0][0] if named else "Subscription.criteria"
        raise Invalid(f"The topic is one of {', '.join(TOPICS)}.", at=at, code="not-supported")
    return topic, filters


def _mime(channel: Channel) -> str:
    """The form of what is sent, as far as this channel has it; the usual one where nothing is said."""
    known = PAYLOADS[channel.type]
    said = re.sub(r"\s*;\s*", ";", (channel.payload or known[0]).strip().lower())
    if said.startswith(MIMES) and channel.type == "rest-hook":
        said = said.partition(";")[0]
    if said not in known:
        raise Invalid(f"By {channel.type} a payload is {' or '.join(known)}.", at="Subscription.channel.payload", code="not-supported")  # fmt: skip
    return said


def _content(channel: Channel) -> str:
    """How much a notice holds: ids where nothing is said."""
    at = "Subscription.channel.payload.extension"
    content = next((each.value_code for each in beside(channel.beside_payload) if each.url == CONTENT), "id-only")
    if content not in CONTENTS:
        raise Invalid("The content is empty, id-only or full-resource.", at=at, code="code-invalid")
    if content == "full-resource" and channel.type == "email":
        raise Invalid("No resource is sent by mail, which anybody on the way may read: ask for id-only.", at=at, code="not-supported")  # fmt: skip
    if content == "full-resource" and not _is_closed(channel.endpoint or ""):
        raise Invalid("Resources are sent over https alone: ask for id-only.", at="Subscription.channel.endpoint", code="not-supported")  # fmt: skip
    return content


def _is_closed(endpoint: str) -> bool:
    """Whether nobody on the way can read what is posted there: https, or a program on this very machine."""
    try:
        parts = urlsplit(endpoint)
        return parts.scheme != "http" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _number(channel: Channel, url: str) -> int | None:
    found = [(place, each) for place, each in enumerate(channel.extension) if each.url == url]
    if not found:
        return None
    place, said = found[0]
    number = said.value_positive if url == MAX_COUNT else said.value_unsigned
    if number is None or len(found) > 1:
        type = "valuePositiveInt" if url == MAX_COUNT else "valueUnsignedInt"
        raise Invalid(f"This is said once, as {type}.", at=f"Subscription.channel.extension[{place}]", code="value")
    return number


TAKEN = frozenset({"resourceType", "id", "meta", "text", "status", "criteria", "_criteria", "channel", "end", "error"})
OWN_EXTENSIONS = frozenset({SECRET, TOPIC_CANONICAL})


def _rest(body: bytes) -> Json:
    """What else was sent, kept to be shown again: reason, contact, extensions but for the secret."""
    rest: Json = {name: value for name, value in msgspec.json.decode(body).items() if name not in TAKEN}
    if kept := [each for each in rest.pop("extension", ()) if each.get("url") not in OWN_EXTENSIONS]:
        rest["extension"] = kept
    return rest


def _filters(topic: Topic, said: Sequence[tuple[str, str]], now: datetime) -> dict[str, tuple[str, ...]]:
    """The filters as facts; all of them must hold, any of a parameter's values suffices."""
    if len(said) > MOST_FILTERS:
        raise Invalid(f"At most {MOST_FILTERS} filters are taken.", at="Subscription.criteria.extension", code="too-costly")  # fmt: skip
    facts: dict[str, tuple[str, ...]] = {}
    for at, each in said:
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


OWN_CODES = ((TASK_CODE, "fulfill"), *((codes.TASK_CODE, word) for word in ("follow-up", *codes.DUTY_WORDS)))


def _value(fact: str, value: str, at: str) -> str:
    if fact == "task.status":
        if value.rpartition("|")[2] not in EVERY:
            raise Invalid("This is no status that a Task has here.", at=at, code="code-invalid")
        return value.rpartition("|")[2]
    if fact == "task.code":
        system, _, code = value.rpartition("|")
        if not any(code == own and system in ("", own_system) for own_system, own in OWN_CODES):
            raise Invalid("The code of a Task is fulfill, follow-up or a duty.", at=at, code="code-invalid")
        return code
    named = references.parse(value) if "/" in value else ("", value)
    id = references.as_id(named[1]) if named else None
    if id is None:
        raise Invalid("This names nothing of this server.", at=at, code="value")
    return str(id)


PLACES = {
    "endpoint": "Subscription.channel.endpoint",
    "headers": "Subscription.channel.header",
    "channel": "Subscription.channel.type",
    "heartbeat": "Subscription.channel.extension",
    "timeout": "Subscription.channel.extension",
    "max_count": "Subscription.channel.extension",
    "secret": "Subscription.extension",
    "links": "Subscription.channel.extension",
    "agency": "Subscription.extension",
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
