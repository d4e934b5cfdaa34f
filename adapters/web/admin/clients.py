"""Programs of the API: let in with their keys, keys changed without a gap, shut out with what will stop; when each last came."""

from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.admin.audit_words import ROLES, TYPES
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service.access import flow as access
from service.access import register_flow as register
from service.access.model import CLIENT_ROLES, NewClient
from service.db import Session
from service.directory import keeping_flow as keeping
from service.directory import store as directory
from service.errors import Invalid, Refusal
from service.notices import health_flow as health
from service.values import Id, as_id

ROOM = "/admin/clients"
KINDS = {
    "hospital": ("hospital", "campus"),
    "agency": ("agency", "station", "room"),
    "platform": ("platform",),
    "auditor": ("platform",),
    "volunteer": ("agency", "station", "room"),
}
"""Role of a program → the kinds of organisation that it may act for."""
MAY = {"c": noted("创建"), "r": noted("读取"), "u": noted("更新"), "d": noted("移除"), "s": noted("检索")}
"""What a letter of a scope allows."""
LONGEST_KEYS = 20_000


def scope_words(scope: str, speech: Speech) -> list[str]:
    """SMART scopes in words: 全部资料：新建、读取、修改、删除、查询."""
    comma, colon = ("、", "：") if speech.language == "zh" else (", ", ": ")
    told: list[str] = []
    for each in scope.split():
        name, _, letters = each.removeprefix("system/").partition(".")
        what = speech.gettext("全部资料") if name == "*" else speech.gettext(TYPES[name]) if name in TYPES else name
        may = [speech.gettext(MAY[letter]) for letter in letters if letter in MAY]
        told.append(f"{what}{colon}{comma.join(may)}" if may else each)
    return told


@get(ROOM, media_type=MediaType.HTML)
async def clients(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Programs, the newest first."""
    text, old = desk.text(request, "q"), bool(desk.text(request, "old"))
    before = as_id(request.query_params.get("before"))
    async with access.open(state.database, who.actor, shell.call(request, "page-clients")) as session:
        found = await register.programs(session, who.actor, text=text, old=old, before=before, limit=desk.AT_A_TIME + 1)
        named = await directory.organizations(session, {each.client.organization for each in found})
        now = session.began
    more, found = len(found) > desk.AT_A_TIME, found[: desk.AT_A_TIME]
    return desk.page(
        request, "clients.html", who, title=who.speech.gettext("接口程序"), room=ROOM, rows=found, named=named, roles=ROLES, asked={"q": text, "old": old},
        next=found[-1].client.id if more else None, later=before is not None, now=now, ago=desk.ago, stale=now - register.OLD_KEYS,
    )  # fmt: skip


async def _new(request: Request[Any, Any, Any], state: State, who: Person, filled: dict[str, str], fault: Fault | None = None) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-client-form")) as session:
        register.permit(who.actor)
        choice = await keeping.for_choice(session, who.actor)
    kinds = {kind for each in KINDS.values() for kind in each}
    return desk.page(
        request, "client-add.html", who, title=who.speech.gettext("登记接口程序"), room=ROOM, status=fault.status if fault else 200, fault=fault,
        filled={"scope": "system/*.cruds"} | filled, organizations=desk.named(choice, kinds, who.speech),
        roles=[(role, who.speech.gettext(ROLES[role])) for role in CLIENT_ROLES],
    )  # fmt: skip


@get(ROOM + "/add", media_type=MediaType.HTML)
async def add(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """An empty form."""
    return await _new(request, state, who, {})


def keys_of(said: dict[str, str]) -> tuple[dict[str, Any] | None, str | None]:
    """The public keys, or the address of them, that a form gives. Raises Invalid by field."""
    pasted, address = said.get("jwks", "").strip(), said.get("jwks_url", "").strip()
    if bool(pasted) == bool(address):
        raise Invalid("Give the keys or their address.", at="jwks", key="keys-or-address")
    if address:
        if not address.startswith("https://") or len(address) > 500 or not address.isprintable() or " " in address:
            raise Invalid("The address of keys begins with https://.", at="jwks_url", key="keys-address")
        return None, address
    if len(pasted) > LONGEST_KEYS:
        raise Invalid("This is longer than any set of keys.", at="jwks", key="cell-long")
    try:
        return msgspec.json.decode(pasted, type=dict[str, Any]), None
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        raise Invalid("This is no JWK Set.", at="jwks", key="keys-unreadable") from None


def _by_field(refused: Refusal) -> Refusal:
    """The access room's own refusals have no keys: they are told by the field that they are of."""
    at = (refused.issues[0].at or "").partition(".")[0]
    if at == "jwks" and refused.key in (None, "taken"):
        return type(refused)(str(refused), at=at, key="keys-refused")
    if at == "scope" and refused.key is None:
        return Invalid(str(refused), at=at, key="client-scope")
    return refused


@post(ROOM + "/add", media_type=MediaType.HTML, status_code=303)
async def let_in(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Register a program."""
    said = await shell.form(request)

    async def act(session: Session) -> str:
        register.permit(who.actor)
        role = said.get("role", "")
        if role not in CLIENT_ROLES:
            raise Invalid("This is no role of a program.", at="role", key="cell-code")
        if not said.get("name", "").strip():
            raise Invalid("A program has a name.", at="name", key="cell-empty")
        key = said.get("organization", "")
        found = (await directory.organizations_by_key(session, [key])).get(key)
        if found is None or found.kind not in KINDS[role]:
            raise Invalid("Such a program acts for another kind of organisation.", at="organization", key="cell-organization")  # fmt: skip
        jwks, url = keys_of(said)
        new = NewClient(found.id, role, said["name"].strip()[:100], said.get("scope", ""), jwks, url)
        made = await access.add_client(session, who.actor, new, session.began)
        return acting.done(f"{ROOM}/{made.id}", "client-added")

    try:
        return await acting.act(request, state, who, said, "page-client-add", act, action="C")
    except Refusal as refused:
        if refused.code == "forbidden":
            raise
        return await _new(request, state, who, said, faults.told(_by_field(refused), who.speech))


@get(ROOM + "/{client:uuid}", media_type=MediaType.HTML)
async def client(request: Request[Any, Any, Any], state: State, who: Signed, client: FromPath[Id]) -> Page:
    """One program: what it may, its keys, when it last came."""
    return await _one(request, state, who, client)


async def _one(
    request: Request[Any, Any, Any],
    state: State,
    who: Person,
    id: Id,
    *,
    fault: Fault | None = None,
    said: dict[str, str] | None = None,
) -> Page:
    async with access.open(state.database, who.actor, shell.call(request, "page-client")) as session:
        found = await register.program(session, who.actor, id)
        named = await directory.organizations(session, [found.client.organization])
        subscriptions = await health.of_client(session, who.actor, id)
        now = session.began
    held: list[dict[str, Any]] = (found.client.jwks or {}).get("keys", [])
    return desk.page(
        request, "client.html", who, title=found.client.name, room=ROOM, status=fault.status if fault else 200, fault=fault, it=found,
        organization=named.get(found.client.organization), roles=ROLES, scopes=scope_words(found.client.scope, who.speech),
        keys=[(str(each.get("kid", "")), str(each.get("kty", "")), str(each.get("alg", ""))) for each in held], subscriptions=subscriptions,
        now=now, ago=desk.ago, said=said or {}, stale=now - register.OLD_KEYS,
    )  # fmt: skip


@post(ROOM + "/{client:uuid}/keys", media_type=MediaType.HTML, status_code=303)
async def keys(request: Request[Any, Any, Any], state: State, who: Signed, client: FromPath[Id]) -> Page:
    """Give it other keys, or more of them."""
    said = await shell.form(request)

    async def act(session: Session) -> str:
        found = await register.program(session, who.actor, client)
        jwks, url = keys_of(said)
        await access.change_keys(session, who.actor, found.client.client_id, jwks, url, add=said.get("how") == "add")
        return acting.done(f"{ROOM}/{client}", "keys-changed")

    return await _done(request, state, who, client, said, "page-client-keys", act)


@post(ROOM + "/{client:uuid}/revoke", media_type=MediaType.HTML, status_code=303)
async def revoke(request: Request[Any, Any, Any], state: State, who: Signed, client: FromPath[Id]) -> Page:
    """Shut it out for good. Whoever does so has ticked that they read what stops."""
    said = await shell.form(request)

    async def act(session: Session) -> str:
        found = await register.program(session, who.actor, client)
        if "sure" not in said:
            raise Invalid("Say that you have read what stops.", at="sure", key="not-sure")
        await access.revoke_client(session, who.actor, found.client.client_id, session.began)
        return acting.done(f"{ROOM}/{client}", "client-revoked")

    return await _done(request, state, who, client, said, "page-client-revoke", act)


async def _done(request: Request[Any, Any, Any], state: State, who: Person, id: Id, said: dict[str, str], interaction: str, act: Any) -> Page:  # fmt: skip
    try:
        return await acting.act(request, state, who, said, interaction, act, action="U")
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _one(request, state, who, id, fault=faults.told(_by_field(refused), who.speech), said=said)


route_handlers = [clients, add, let_in, client, keys, revoke]
