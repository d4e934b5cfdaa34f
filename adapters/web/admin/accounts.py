"""People's accounts: let somebody in with a password that is shown once, end sessions, reset, ask for a code, put away."""

from typing import Any

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.admin.audit_words import ROLES
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from service.access import flow as access
from service.access import register_flow as register
from service.access import session_flow
from service.access.model import PERSON_ROLES, NewAccount
from service.access.model import ROLES as SIDES
from service.db import Session
from service.directory import keeping_flow as keeping
from service.directory import store as directory
from service.errors import Invalid, Refusal
from service.values import Id

ROOM = "/admin/accounts"
KINDS = {
    "hospital": ("hospital", "campus"),
    "agency": ("agency", "station", "room"),
    "platform": ("platform",),
    "auditor": ("platform",),
    "volunteer": ("agency", "station", "room"),
}
"""Side of a role → the kinds of organisation whose people have it."""


@get(ROOM, media_type=MediaType.HTML)
async def accounts(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Accounts by login, with who is signed in."""
    text, role, after = desk.text(request, "q"), desk.among(desk.text(request, "role"), PERSON_ROLES), desk.text(request, "after")  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-accounts")) as session:
        found = await register.accounts(session, who.actor, text=text, role=role or None, after=after, limit=desk.AT_A_TIME + 1)  # fmt: skip
        named = await directory.organizations(session, {each.account.organization for each in found})
        now = session.began
    more, found = len(found) > desk.AT_A_TIME, found[: desk.AT_A_TIME]
    return desk.page(
        request, "accounts.html", who, title=who.speech.gettext("账号"), room=ROOM, rows=found, named=named, roles=ROLES, person_roles=PERSON_ROLES,
        asked={"q": text, "role": role}, next=found[-1].account.login if more else None, later=bool(after), now=now, ago=desk.ago,
    )  # fmt: skip


async def _new(request: Request[Any, Any, Any], state: State, who: Person, filled: dict[str, str], fault: Fault | None = None) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-account-form")) as session:
        register.permit(who.actor)
        choice = await keeping.for_choice(session, who.actor)
    kinds = {kind for each in KINDS.values() for kind in each}
    return desk.page(
        request, "account-add.html", who, title=who.speech.gettext("新建账号"), room=ROOM, status=fault.status if fault else 200, fault=fault,
        filled=filled, organizations=desk.named(choice, kinds, who.speech),
        roles=[(role, who.speech.gettext(ROLES[role])) for role in PERSON_ROLES],
    )  # fmt: skip


@get(ROOM + "/add", media_type=MediaType.HTML)
async def add(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """An empty form."""
    return await _new(request, state, who, {})


@post(ROOM + "/add", media_type=MediaType.HTML, status_code=200)
async def let_in(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Let somebody in. The password stands in this answer alone: it is kept nowhere, and nobody can be shown it again."""
    said = await shell.form(request)
    try:
        async with access.open(state.database, who.actor, shell.call(request, "page-account-add", "C")) as session:
            register.permit(who.actor)
            account, password = await register.let_in(session, who.actor, await _read(session, said), session.began)
    except Refusal as refused:
        if refused.code == "forbidden":
            raise
        return await _new(request, state, who, said, faults.told(refused, who.speech))
    return await _one(request, state, who, account.id, password=password)


async def _read(session: Session, said: dict[str, str]) -> NewAccount:
    """What a form says of a new account. Raises Invalid by field."""
    role = said.get("role", "")
    if role not in PERSON_ROLES:
        raise Invalid("This is no role of a person.", at="role", key="cell-code")
    found = (await directory.organizations_by_key(session, [said.get("organization", "")])).get(said.get("organization", ""))  # fmt: skip
    if found is None or found.kind not in KINDS[SIDES[role]]:
        raise Invalid("People of this role work for another kind of organisation.", at="organization", key="cell-organization")  # fmt: skip
    worker: Id | None = None
    if key := said.get("worker", "").strip():
        worker = await directory.worker_by_key(session, key)
        known = await directory.worker(session, worker) if worker else None
        if known is None or known.agency != found.id:
            raise Invalid("This is no worker of the organisation.", at="worker", key="foreign-worker")
    return NewAccount(said.get("login", ""), role, found.id, said.get("name", "").strip()[:50], worker)


@get(ROOM + "/{account:uuid}", media_type=MediaType.HTML)
async def account(request: Request[Any, Any, Any], state: State, who: Signed, account: FromPath[Id]) -> Page:
    """One account, and what may be done with it."""
    return await _one(request, state, who, account)


async def _one(
    request: Request[Any, Any, Any], state: State, who: Person, id: Id, *, password: str | None = None, code: str | None = None,
    fault: Fault | None = None,
) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-account")) as session:
        found = await register.account(session, who.actor, id)
        named = await directory.organizations(session, [found.account.organization])
        worker = await directory.worker(session, found.account.worker) if found.account.worker else None
        now = session.began
    return desk.page(
        request, "account.html", who, title=found.account.name, room=ROOM, status=fault.status if fault else 200, fault=fault, it=found,
        organization=named.get(found.account.organization), worker=worker, roles=ROLES, now=now, ago=desk.ago, password=password, code=code,
        own=found.account.id == who.actor.id,
    )  # fmt: skip


@post(ROOM + "/{account:uuid}/password", media_type=MediaType.HTML, status_code=200)
async def reset(request: Request[Any, Any, Any], state: State, who: Signed, account: FromPath[Id]) -> Page:
    """Another password, shown once; every session of the account ends."""
    await shell.form(request)
    async with access.open(state.database, who.actor, shell.call(request, "page-account-password", "U")) as session:
        found = await register.account(session, who.actor, account)
        made = register.password()
        await session_flow.set_password(session, who.actor, found.account.login, made)
    return await _one(request, state, who, account, password=made)


@post(ROOM + "/{account:uuid}/code", media_type=MediaType.HTML, status_code=200)
async def code(request: Request[Any, Any, Any], state: State, who: Signed, account: FromPath[Id]) -> Page:
    """From now on it asks for a code besides; the address for the generator stands in this answer alone."""
    said = await shell.form(request)
    async with access.open(state.database, who.actor, shell.call(request, "page-account-code", "U")) as session:
        found = await register.account(session, who.actor, account)
        address = None
        if "none" in said:
            await session_flow.ask_for_no_code(session, who.actor, found.account.login)
        else:
            address = await session_flow.ask_for_code(session, who.actor, found.account.login)
    return await _one(request, state, who, account, code=address)


@post(ROOM + "/{account:uuid}/sign-out", media_type=MediaType.HTML, status_code=303)
async def sign_out(request: Request[Any, Any, Any], state: State, who: Signed, account: FromPath[Id]) -> Page:
    """End every session of the account."""

    async def act(session: Session) -> str:
        found = await register.account(session, who.actor, account)
        await session_flow.end_sessions(session, who.actor, found.account.login)
        return acting.done(f"{ROOM}/{account}", "signed-out")

    return await acting.act(request, state, who, await shell.form(request), "page-account-sign-out", act, action="U")


@post(ROOM + "/{account:uuid}/off", media_type=MediaType.HTML, status_code=303)
async def off(request: Request[Any, Any, Any], state: State, who: Signed, account: FromPath[Id]) -> Page:
    """Put the account away. Nobody puts away their own: there has to be somebody left who can undo a mistake."""

    async def act(session: Session) -> str:
        found = await register.account(session, who.actor, account)
        if found.account.id == who.actor.id:
            raise Invalid("Nobody puts their own account away.", key="own-account")
        await session_flow.put_away(session, who.actor, found.account.login)
        return acting.done(f"{ROOM}/{account}", "put-away")

    try:
        return await acting.act(request, state, who, await shell.form(request), "page-account-off", act, action="U")
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _one(request, state, who, account, fault=faults.told(refused, who.speech))


route_handlers = [accounts, add, let_in, account, reset, code, sign_out, off]
