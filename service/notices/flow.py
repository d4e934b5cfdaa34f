"""What is done about notices: subscribe, end it, make deliveries of events, take and settle them, list, send again."""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from service import events
from service.access import scopes
from service.access.model import Actor
from service.db import Session
from service.db.finding import Condition
from service.directory import store as directory
from service.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from service.events import Placed
from service.notices import permission, reach, sending_store, store
from service.notices.model import Attempt, Delivery, Notice, Outcome, Outgoing, Subscriber, Wish
from service.notices.schedule import HANDSHAKE, Schedule, next_attempt
from service.referrals import finding as referrals
from service.values import Id, new_id

MOST_OF_A_CLIENT = 20
"""Subscriptions that one client may have at a time: each costs a look at every event."""

AGAIN_SINCE = timedelta(days=4)
"""What was given up longer ago is not sent by itself when a subscription is asked for again."""

OWN_HEADERS = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "upgrade", "te",
     "trailer", "expect", "keep-alive", "webhook-id", "webhook-timestamp", "webhook-signature")
)  # fmt: skip
"""Headers that a subscriber cannot set: they frame the message or are the signature."""


LONGEST_TIMEOUT = 60
LEAST_SILENCE = {"rest-hook": 30, "email": 3600}
MOST_SILENCE = 7 * 24 * 3600
"""Seconds that an attempt may take at most, and within which bounds a heartbeat is sent: a mail at most every hour."""

HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*[\x21-\x7e](?:[\x20-\x7e]{0,3998}[\x21-\x7e])?[ \t]*")


async def subscribe(
    session: Session,
    actor: Actor,
    wish: Wish,
    now: datetime,
    *,
    addresses: Sequence[str],
    allowed: reach.Reach,
    agency: Id | None = None,
) -> tuple[Subscriber, str]:
    """Tell the actor's organisation of events from now on; returns the subscriber and the secret that signs notices.

    The platform may subscribe a mailbox of an `agency` that has no program of its own.

    `addresses` are what the endpoint's host stands for now (empty: unknown), `allowed` is where the operator lets notices go.
    The handshake is sent by the worker after commit. Raises Forbidden, Invalid.
    """
    _permit(actor)
    wish = _checked(wish, addresses, allowed)
    if agency is not None:
        actor = await _for_agency(session, actor, wish, agency)
    if wish.terms.get("links") and (wish.channel != "email" or actor.side != "agency"):
        raise Invalid("Links to answer with go by mail to an agency.", at="links", key="links", code="not-supported")
    if await store.count_of_client(session, actor.id, actor.organization) >= MOST_OF_A_CLIENT:
        raise Invalid(
            f"A client may have {MOST_OF_A_CLIENT} subscriptions at a time; end one first.",
            key="too-many-subscriptions",
        )
    id, secret = new_id(), wish.secret or _new_secret()
    await store.insert_subscriber(session, id, actor, wish, secret, now)
    made = await subscriber(session, actor, id)
    await store.insert_handshake(session, new_id(), made, now)
    session.stirred = True
    return made, secret


async def _for_agency(session: Session, actor: Actor, wish: Wish, agency: Id) -> Actor:
    """The platform's program, acting for an agency; the mailbox hears what the agency may hear and no more."""
    if actor.side != "platform":
        raise Forbidden("Only the platform subscribes a mailbox for somebody else.", key="wrong-actor")
    if wish.channel != "email":
        raise Invalid("For somebody else a mailbox is subscribed, and nothing else.", at="channel", key="agency", code="not-supported")  # fmt: skip
    found = await directory.organization(session, agency)
    if found is None or found.status is None:
        raise Invalid("This is no agency of the directory.", at="agency", key="agency", code="not-found")
    return msgspec.structs.replace(actor, organization=agency, role="agency")


async def renew(
    session: Session,
    actor: Actor,
    id: Id,
    wish: Wish,
    now: datetime,
    *,
    addresses: Sequence[str],
    allowed: reach.Reach,
    since: timedelta = AGAIN_SINCE,
) -> Subscriber:
    """Change a subscription, or ask for one in error again: a new handshake, then what was given up within `since`.

    Only its own client may: another one would turn notices, with the headers and the secret of the first, to an address
    of its own choice. Raises Forbidden, Invalid, NotFound, Stale.
    """
    _permit(actor)
    found = await subscriber(session, actor, id)
    if actor.id != found.client:
        raise Forbidden("Only the client that subscribed changes its subscription; others may end it.", key="wrong-actor")  # fmt: skip
    wish = _checked(wish, addresses, allowed)
    if not await store.change(session, id, actor, found.version, wish, now):
        raise Stale("The subscription was changed by somebody else meanwhile; read it again.")
    await store.give_up_handshakes(session, id)
    await store.insert_handshake(session, new_id(), found, now)
    await store.revive(session, id, now - since, now)
    session.stirred = True
    return await subscriber(session, actor, id)


async def unsubscribe(session: Session, actor: Actor, id: Id, now: datetime) -> Subscriber:
    """Send nothing more; what still waits is not delivered. Again is no fault."""
    _permit(actor)
    await subscriber(session, actor, id)
    if await store.set_state(session, id, "off", None, now):
        await store.give_up_waiting(session, [id], "unsubscribed")
    return await subscriber(session, actor, id)


async def end_due(session: Session, actor: Actor, now: datetime) -> int:
    """A sweep: end the subscriptions whose time is over or whose clients were revoked; how many there were."""
    if actor.side != "platform":
        raise Forbidden("Only the platform ends another's subscriptions.")
    ended = await store.end_due(session, now)
    if ended:
        await store.give_up_waiting(session, ended, "unsubscribed")
    return len(ended)


async def subscriber(session: Session, actor: Actor, id: Id) -> Subscriber:
    """One subscriber of the actor's organisation, or any for the platform. Raises NotFound."""
    found = await store.subscriber(session, id)
    if found is None or not (actor.side == "platform" or found.organization == actor.organization):
        raise NotFound("There is no such subscription.")
    return found


async def subscribers(session: Session, actor: Actor, after: Id | None = None, limit: int = 50) -> list[Subscriber]:
    """The subscribers of the actor's organisation, or all for the platform, oldest first."""
    return await store.subscribers(session, _whose(actor), after, limit)


async def told(
    session: Session, actor: Actor, id: Id, since: int = 1, until: int = 2**63 - 1, limit: int = 100
) -> tuple[Subscriber, list[Notice]]:
    """What one subscriber was to hear, delivered or not: the notices from number `since` to `until`. Raises NotFound."""
    to = await subscriber(session, actor, id)
    return to, await sending_store.told(session, to, since, until, limit)


class Heard(msgspec.Struct, frozen=True):
    """Events that a reader may see, in commit order, and the position up to which the log was read; `more` lies behind it."""

    events: list[Placed]
    upto: int
    more: bool


async def heard(session: Session, actor: Actor, position: int, span: int = 5000, limit: int = 200) -> Heard:
    """Events behind a position as the actor's scope shows them, at most `limit`, out of at most `span` positions."""
    _permit(actor)
    head = await events.head(session)
    upto = min(head, position + span)
    found = await store.heard(session, position, upto, limit)
    if len(found) == limit:
        upto = found[-1].position
    return Heard(found, max(upto, position), upto < head)


async def start(session: Session, actor: Actor, after: Id | None) -> int:
    """The position at which a reader begins: behind the event `after`, or at the head. Raises NotFound."""
    _permit(actor)
    if after is None:
        return await events.head(session)
    position = await store.position_of(session, after)
    if position is None:
        raise NotFound("There is no such event to continue after; begin without one.")
    return position


async def fan_out(session: Session, now: datetime, span: int = 500, limit: int = 100) -> int:
    """Make deliveries of sequenced events for subscribers that are behind; how many cursors moved. Again until 0.

    Needs the platform's scope. Deliveries and cursor move in one statement, so none comes twice or is lost.
    """
    moved, _ = await store.fan_out(session, now, span, limit)
    return moved


async def claim(
    session: Session,
    now: datetime,
    lease: timedelta,
    flying: Mapping[Id, int],
    *,
    at_once: int,
    room: int,
    room_failing: int,
) -> list[Outgoing]:
    """Take up to `room` due notices of subscribers that answer, `at_once` in flight to each, and up to `room_failing` of those
    that fail, one to each; of one that takes several events at a time, one notice in order. Heartbeats count as of those
    that answer.

    `flying` counts this worker's posts by subscriber. Commit before posting: who is killed then leaves them to come due
    again after `lease`, or twice the time that the subscriber gives an attempt. Needs the platform's scope.
    """
    taken = await sending_store.claim(session, now, now + lease, flying, at_once, (room, room_failing))
    batches, beats = await sending_store.special(session, now)
    if batches:
        failing = sum(1 for sent in taken if sent.notice.subscriber.failures)
        rooms = (room - (len(taken) - failing), room_failing - failing)
        taken += await sending_store.claim_batches(session, now, now + lease, rooms)
    left = room - sum(1 for sent in taken if not sent.notice.subscriber.failures)
    if beats and left > 0:
        taken += await sending_store.claim_beats(session, now, left)
    return taken


async def give_back(session: Session, taken: Sequence[Outgoing], now: datetime) -> None:
    """Let what was taken and never posted come due again at once. Needs the platform's scope."""
    if taken:
        await sending_store.give_back(session, taken, now)


async def next_due(session: Session) -> datetime | None:
    """When the next notice comes due. Needs the platform's scope."""
    return await sending_store.next_due(session)


OPEN_STATES = ("waiting", "not-delivered")


async def backlog(session: Session) -> dict[str, int]:
    """How many notices wait to be sent, and how many were given up, each counted to 100,000. Needs the platform's scope."""
    return await sending_store.backlog(session, OPEN_STATES)


async def settle(session: Session, sent: Outgoing, outcome: Outcome, schedule: Schedule, now: datetime) -> None:
    """Record what came of an attempt: sent, tried again later, or not delivered. Needs the platform's scope.

    When tries run out, or nobody is there any more, the subscription is in error, until its client asks for it again.
    """
    to, first = sent.notice.subscriber, sent.notice
    error = None if outcome.arrived else outcome.error or f"status-{outcome.status}"
    handshake = first.event is None and not first.heartbeat
    next_at: datetime | None = None
    if not (outcome.arrived or outcome.gone or first.heartbeat):
        next_at = next_attempt(HANDSHAKE if handshake else schedule, first.attempts + 1, now, outcome.retry_after)
    state = "sent" if outcome.arrived else "waiting" if next_at else "not-delivered"
    failed = outcome.gone or (state == "not-delivered" and not first.heartbeat)
    # The subscriber's row before its deliveries' rows, everywhere: so no two can wait for each other.
    settled = False
    if failed and to.state != "error":
        settled = await store.settle(session, to, "error", "gone" if outcome.gone else error, now)
    elif handshake and outcome.arrived:
        await store.settle(session, to, "active", None, now)
    elif not outcome.arrived or to.failures or to.heartbeat:
        await sending_store.save_answer(session, to.id, outcome.arrived, error, now)
    if not first.heartbeat:
        await sending_store.save_outcome(session, sent, outcome, error, state, next_at, now)
    if settled:
        await store.give_up_waiting(session, [to.id], "gone" if outcome.gone else "subscription-in-error")


def is_plain(sent: Outgoing, outcome: Outcome) -> bool:
    """Whether it is news that arrived at one who was well: then nothing changes but what was told (`settle_plain`)."""
    to = sent.notice.subscriber
    return outcome.arrived and sent.notice.event is not None and not to.failures and not to.heartbeat


async def settle_plain(session: Session, arrived: Sequence[tuple[Outgoing, Outcome]], now: datetime) -> None:
    """Record any number of plain ones at once. Needs the platform's scope."""
    if arrived:
        await sending_store.save_arrived(session, arrived, now)


async def reader(session: Session, to: Subscriber) -> Actor | None:
    """Who reads for a subscriber at this moment: its program, with what it was allowed when it asked as far as it holds that
    still; None when it is not in use any more. Needs the platform's scope."""
    found = await store.client_of(session, to)
    if found is None:
        return None
    role, name, held = found
    if not to.whole_network and role == "platform":
        role = "agency"  # Whom the platform subscribed reads as itself.
    return Actor(to.client, "client", to.organization, role, name, scopes.narrow(to.scopes, held.split()))


async def withheld(session: Session, notices: Sequence[Notice]) -> dict[Id, str]:
    """The notices, by delivery, of which something is withheld at this moment, each with its rule; recorded before anything is
    sent. Needs the platform's scope."""
    standings = await sending_store.standings(session, [notice.delivery for notice in notices])
    rules = {delivery: permission.withholds(standing) for delivery, standing in standings.items()}
    await sending_store.save_withheld(session, rules)
    return {delivery: rule for delivery, rule in rules.items() if rule is not None}


async def told_in_full(session: Session, actor: Actor, notices: Sequence[Notice]) -> list[Notice]:
    """Those of which more than ids may be told now: an agency learns of a need for safety no more than that there is an offer
    until it knows whom it is about. Asked when sending, in the reader's own scope."""
    if actor.side != "agency":
        return list(notices)
    ids = tuple({notice.task for notice in notices if notice.task})
    found = await referrals.tasks(session, [Condition("id", ids)], len(ids)) if ids else []
    open_to = {task.id for task in found if task.patient is not None or not task.safety}
    return [notice for notice in notices if notice.task is None or notice.task in open_to]


async def list_deliveries(
    session: Session, actor: Actor, state: str | None = None, after: Id | None = None, limit: int = 50
) -> list[Delivery]:
    """Deliveries to the actor's organisation, or all for the platform, newest first; `after` ends the page before."""
    return await sending_store.deliveries(session, state, _whose(actor), after, limit)


async def attempts(session: Session, actor: Actor, id: Id) -> list[Attempt]:
    """What was tried for one delivery, oldest first. Raises NotFound."""
    await delivery(session, actor, id)
    return await sending_store.attempts(session, id)


async def delivery(session: Session, actor: Actor, id: Id) -> Delivery:
    """Raises NotFound."""
    found = await sending_store.delivery(session, id)
    if found is None or not (actor.side == "platform" or found.organization == actor.organization):
        raise NotFound("There is no such delivery.")
    return found


async def resend(session: Session, actor: Actor, id: Id, now: datetime) -> Delivery:
    """Send a notice again, whatever became of it: the same number and webhook-id; who wished it is recorded.

    A subscription in error stays in error, whatever comes of it. Raises NotFound, Forbidden, Conflict when it is off.
    """
    _permit(actor)
    found = await delivery(session, actor, id)
    if found.kind == "handshake":
        raise Conflict("A handshake is repeated by asking for the subscription again.", key="handshake")
    to = await subscriber(session, actor, found.subscriber)
    if to.state == "off":
        raise Conflict("The subscription is off: it has to be asked for again first.", key="subscription-off")
    await sending_store.resend(session, id, actor, now)
    session.stirred = True
    return await delivery(session, actor, id)


def _permit(actor: Actor) -> None:
    if actor.side == "auditor":
        raise Forbidden("An auditor reads the audit, not the news.")


def _whose(actor: Actor) -> Id | None:
    return None if actor.side == "platform" else actor.organization


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _checked(wish: Wish, addresses: Sequence[str], allowed: reach.Reach) -> Wish:
    """The wish as it may be stored. Raises Invalid that names the part."""
    if wish.channel == "email" and not allowed.mails:
        raise Invalid(
            "This server sends no mail: ask for a rest-hook.", at="channel", key="no-mail", code="not-supported"
        )
    fault = (
        reach.mail_fault(wish.endpoint, allowed)
        if wish.channel == "email"
        else reach.fault(wish.endpoint, addresses, allowed.networks)
    )
    if fault:
        raise Invalid(f"Notices cannot go to this endpoint: {fault}.", at="endpoint", key="endpoint")
    if len(wish.endpoint) > 2000:
        raise Invalid("The endpoint is longer than 2,000 letters.", at="endpoint", key="endpoint")
    if wish.secret is not None and not _is_secret(wish.secret):
        raise Invalid("The secret is whsec_ and the base64 of 24 to 64 bytes.", at="secret", key="secret")
    least = LEAST_SILENCE[wish.channel]
    if wish.heartbeat is not None and not least <= wish.heartbeat <= MOST_SILENCE:
        raise Invalid(f"A heartbeat comes every {least} to {MOST_SILENCE} seconds.", at="heartbeat", key="heartbeat")
    if wish.timeout is not None and not 1 <= wish.timeout <= LONGEST_TIMEOUT:
        raise Invalid(f"An attempt may take 1 to {LONGEST_TIMEOUT} seconds.", at="timeout", key="timeout")
    if wish.max_count is not None and not 1 <= wish.max_count < 2**31:
        raise Invalid("A notice tells of one event at least.", at="max_count", key="max-count")
    return msgspec.structs.replace(wish, headers=_headers(wish))


def _headers(wish: Wish) -> tuple[str, ...]:
    if wish.channel == "email" and wish.headers:
        raise Invalid("A mail has the service's own headers alone.", at="headers", key="header", code="not-supported")
    if len(wish.headers) > 20:
        raise Invalid("At most 20 headers are sent along.", at="headers", key="header")
    for line in wish.headers:
        found = HEADER.fullmatch(line)
        if not found:
            raise Invalid('A header is a line "Name: value" in ASCII.', at="headers", key="header")
        if found[1].lower() in OWN_HEADERS:
            raise Invalid("A header that frames or signs the message is the service's own.", at="headers", key="header")
    return tuple(line.strip() for line in wish.headers)


def _is_secret(text: str) -> bool:
    try:
        return text.startswith("whsec_") and 24 <= len(base64.b64decode(text[6:], validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False
