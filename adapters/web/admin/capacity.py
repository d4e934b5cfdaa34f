"""`/capacity`: an agency says how many places its services have, and that it is still so; one key confirms."""

from typing import Any

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from service import codes
from service.access import flow as access
from service.db import Session
from service.directory import flow as directory
from service.directory import keeping_flow as keeping
from service.directory.keeping_flow import stale_before
from service.errors import Forbidden, Invalid, Refusal
from service.values import Id

MOST = 200
"""Services of one agency on one page; nobody has so many."""


def permit(who: Person) -> None:
    """Raise Forbidden for anybody but an agency's social workers and supervisors."""
    if who.actor.role not in ("social_worker", "supervisor"):
        raise Forbidden("An agency's staff say what capacity it has.", key="own-service-only")


@get("/capacity", media_type=MediaType.HTML)
async def capacity(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The agency's services with their places, and how old what is known of them is."""
    return await _page(request, state, who)


async def _page(
    request: Request[Any, Any, Any], state: State, who: Person, *, fault: Fault | None = None, of: Id | None = None,
    said: dict[str, str] | None = None,
) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-capacity")) as session:
        permit(who)
        found = await keeping.services(session, who.actor, limit=MOST)
        now, old = session.began, stale_before(session)
    return desk.page(
        request, "capacity.html", who, title=who.speech.gettext("服务与容量"), status=fault.status if fault else 200, fault=fault,
        rows=sorted(found, key=lambda each: (not each.service.active, each.service.confirmed_at)), now=now, old=old, ago=desk.ago,
        statuses=codes.LISTS[codes.CAPACITY_STATUS].codes, of=of, said=said or {},
    )  # fmt: skip


@get("/capacity/nag", media_type=MediaType.HTML)
async def nag(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Beside the rail where an agency's day begins: how many of its services nobody confirmed lately; nothing where there are none."""
    async with access.open(state.database, who.actor, shell.call(request, "page-capacity-nag")) as session:
        permit(who)
        found = await keeping.services(session, who.actor, unconfirmed=True, limit=MOST)
    return desk.page(request, "nag.html", who, title=who.speech.gettext("服务与容量"), old=len(found))


@post("/capacity/{service:uuid}", media_type=MediaType.HTML, status_code=303)
async def confirm(request: Request[Any, Any, Any], state: State, who: Signed, service: FromPath[Id]) -> Page:
    """It has so many places, from now on; the same again says that it is still so."""
    said = await shell.form(request)

    async def act(session: Session) -> str:
        permit(who)
        await say(session, who, service, said)
        return acting.done("/capacity", "confirmed")

    try:
        return await acting.act(request, state, who, said, "page-capacity-say", act, resource_type="HealthcareService", resource_id=service)  # fmt: skip
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        fields = {"places": f"places-{service}", "capacityStatus": f"status-{service}"}
        return await _page(request, state, who, fault=faults.told(refused, who.speech, fields), of=service, said=said)


async def say(session: Session, who: Person, service: Id, said: dict[str, str]) -> None:
    """What a form says of a service's capacity, kept. `still`: as before. Raises Refusal."""
    expected = desk.number_of(said.get("version"))
    if "still" in said:
        await directory.set_capacity(session, who.actor, service, None, None, session.began, expected)
        return
    written = said.get("places", "").strip()
    places = desk.number_of(written)
    if places is None:
        raise Invalid("The number of places is from 0 to 100,000.", at="places", key="places")
    await directory.set_capacity(session, who.actor, service, said.get("status") or None, places, session.began, expected)  # fmt: skip


route_handlers = [capacity, nag, confirm]
