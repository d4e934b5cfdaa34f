"""How subscriptions fare, and what an administrator does about it: look, send again, turn off and on."""

from datetime import datetime, timedelta

from service.access.model import Actor
from service.db import Session
from service.errors import Conflict, Forbidden, NotFound
from service.notices import flow, health_store, store
from service.notices.health_store import Health
from service.notices.model import Delivery, Subscriber
from service.values import Id, days, local_day, new_id

DAYS = 14
"""For so many days failures are counted."""
AT_ONCE = 1000
"""So many are sent again by one wish: the rest by the next."""


def permit(actor: Actor) -> None:
    """Raise Forbidden for anybody but an administrator."""
    if actor.role != "administrator":
        raise Forbidden("Subscriptions are looked after by the administrator.", key="wrong-role")


def since(now: datetime) -> datetime:
    """From when on failures are counted: DAYS days, today among them."""
    return days(local_day(now) - timedelta(days=DAYS - 1), local_day(now))[0]


async def subscriptions(
    session: Session, actor: Actor, now: datetime, *, state: str | None = None, organization: Id | None = None,
    before: Id | None = None, limit: int = 50,
) -> list[Health]:  # fmt: skip
    """Subscriptions with how they fare, the newest first. Raises Forbidden."""
    permit(actor)
    return await health_store.subscriptions(session, [state] if state else None, organization, before, since(now), limit)  # fmt: skip


async def subscription(session: Session, actor: Actor, id: Id, now: datetime) -> Health:
    """One subscription and how it fares. Raises Forbidden, NotFound."""
    permit(actor)
    found = await health_store.subscription(session, id, since(now))
    if found is None:
        raise NotFound("There is no such subscription.")
    return found


async def deliveries_of(
    session: Session, actor: Actor, id: Id, *, state: str | None = None, before: int | None = None, limit: int = 50
) -> list[Delivery]:
    """What one subscriber was to hear, the latest number first. Raises Forbidden."""
    permit(actor)
    return await health_store.deliveries_of(session, id, state, before, limit)


async def resend_lost(session: Session, actor: Actor, id: Id, now: datetime) -> int:
    """Send again what was not delivered to one subscriber, the earliest AT_ONCE of it, each under its number and webhook-id; how
    many. Who wished it is recorded with each. Raises Forbidden, NotFound, Conflict when the subscription is off."""
    permit(actor)
    to = await flow.subscriber(session, actor, id)
    if to.state == "off":
        raise Conflict("The subscription is off: it has to be asked for again first.", key="subscription-off")
    done = await health_store.resend_lost(session, id, actor, now, AT_ONCE)
    session.stirred = session.stirred or done > 0
    return done


async def turn_off(session: Session, actor: Actor, id: Id, now: datetime) -> Subscriber:
    """Nothing more is sent; what waits is not delivered. Raises Forbidden, NotFound."""
    permit(actor)
    return await flow.unsubscribe(session, actor, id, now)


async def turn_on(session: Session, actor: Actor, id: Id, now: datetime) -> Subscriber:
    """Ask for a subscription again just as it is: a handshake to the same endpoint, then what was given up lately.

    Only its own client changes what it asks for (`flow.renew`); here nothing is changed, so nothing is turned to anybody else.
    Raises Forbidden, NotFound, Conflict when it is on, its time is over or its client was revoked.
    """
    permit(actor)
    found = await flow.subscriber(session, actor, id)
    if found.state in ("active", "requested"):
        raise Conflict("The subscription is on already.", key="subscription-on")
    if found.ends_at is not None and found.ends_at <= now:
        raise Conflict("Its time is over; its client asks for a new one.", key="subscription-ended")
    if await store.client_of(session, found) is None:
        raise Conflict("Its client was revoked; another one subscribes anew.", key="client-revoked")
    await store.set_state(session, id, "requested", None, now)
    await store.give_up_handshakes(session, id)
    await store.insert_handshake(session, new_id(), found, now)
    await store.revive(session, id, now - flow.AGAIN_SINCE, now)
    session.stirred = True
    return await flow.subscriber(session, actor, id)


async def trouble(session: Session, actor: Actor) -> tuple[int, int]:
    """How many subscriptions are in error, and how many active ones failed at their last attempt. Raises Forbidden."""
    permit(actor)
    return await health_store.trouble(session)


async def of_client(session: Session, actor: Actor, client: Id) -> int:
    """How many subscriptions end when this program is revoked. Raises Forbidden."""
    permit(actor)
    return await health_store.of_client(session, client)
