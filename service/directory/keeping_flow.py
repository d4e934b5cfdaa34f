"""What an administrator does to the directory by hand: look through it, add, change, end; each change is a load of one line, held to
the rules that files are held to."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from service.access.model import Actor
from service.db import Session
from service.directory import flow, keeping_store, store
from service.directory.keeping_store import Employed, Offered
from service.directory.model import Organization, Partnership, Table
from service.errors import Forbidden, Invalid, Issue, NotFound, Stale
from service.practice import Limit
from service.values import Id, local_day

SOON = timedelta(days=30)
"""What ends within this is shown to the administrator (D)."""

FAULTS: tuple[tuple[str, str], ...] = (
    ("is empty; every row|has one; fill it", "cell-empty"),
    ("is longer than", "cell-long"),
    ("is not a key", "cell-key"),
    ("is not a date", "cell-date"),
    ("lies before", "cell-order"),
    ("is not a number", "cell-number"),
    ("is no code of|is none of|neither yes nor no", "cell-code"),
    ("is not an urgency", "cell-limits"),
    ("the region", "cell-region"),
    ("belongs to another agency", "cell-owner"),
    ("is not a unified social credit code", "cell-uscc"),
    ("^uscc: belongs to", "cell-uscc-taken"),
    ("but there are dates of a licence", "cell-grade"),
    ("goes round in a circle|is the organisation itself|is part of a hospital", "cell-part-of"),
    ("is not the key of", "cell-organization"),
    ("cannot become|there is one platform", "cell-kind"),
    (" has none$", "cell-status"),
)
"""What a fault in a file says (in English, for who wrote the file) → the key by which a page says it."""


class Ahead(msgspec.Struct, frozen=True):
    """What of the directory needs somebody: services whose capacity nobody confirmed lately, licences and partnerships that end."""

    unconfirmed: int
    licences: int
    partnerships: tuple[Partnership, ...]


def permit(actor: Actor) -> None:
    """Raise Forbidden for anybody but an administrator."""
    if actor.role != "administrator":
        raise Forbidden("The directory is kept by the administrator.", key="platform-only")


def stale_before(session: Session) -> datetime:
    """What capacity was confirmed before this is to be confirmed again."""
    return session.began - timedelta(minutes=session.practice.capacity_confirmed.minutes)


async def ahead(session: Session, actor: Actor) -> Ahead:
    """What needs somebody, or soon will."""
    permit(actor)
    today = local_day(session.began)
    unconfirmed, licences = await keeping_store.counts(session, stale_before(session), today + SOON)
    return Ahead(unconfirmed, licences, tuple(await keeping_store.ending(session, today, today + SOON, 100)))


# ---- looking ---------------------------------------------------------------------------------------------------------


async def organizations(
    session: Session, actor: Actor, *, text: str = "", kinds: Sequence[str] | None = None, after: str = "", limit: int = 50
) -> list[Organization]:  # fmt: skip
    permit(actor)
    return await keeping_store.organizations(session, text.strip() or None, kinds, after, limit)


async def services(
    session: Session, actor: Actor, *, text: str = "", agency: Id | None = None, unconfirmed: bool = False, after: str = "", limit: int = 50
) -> list[Offered]:  # fmt: skip
    """Services in the order of their keys: all for an administrator, their own agency's for its staff."""
    if actor.side == "agency":
        agency = actor.organization
    else:
        permit(actor)
    before = stale_before(session) if unconfirmed else None
    return await keeping_store.services(session, text.strip() or None, agency, before, after, limit)


async def services_of(session: Session, actor: Actor, agency: Id) -> list[Offered]:
    """The services of one agency. Raises Forbidden."""
    permit(actor)
    return await keeping_store.services(session, None, agency, None, "", 200)


async def workers(
    session: Session, actor: Actor, *, text: str = "", agency: Id | None = None, ending: bool = False, after: str = "", limit: int = 50
) -> list[Employed]:  # fmt: skip
    permit(actor)
    until = local_day(session.began) + SOON if ending else None
    return await keeping_store.workers(session, text.strip() or None, agency, until, after, limit)


async def for_choice(session: Session, actor: Actor) -> list[Organization]:
    """Organisations to choose from in a filter, an auditor's too: names and keys, which everybody reads."""
    if actor.role not in ("administrator", "auditor"):
        raise Forbidden("The directory is kept by the administrator.", key="platform-only")
    return await keeping_store.organizations(session, None, None, "", 500)


class Sight(msgspec.Struct, frozen=True):
    """A hospital with its campuses, their partnerships, and every organisation that is named in them."""

    places: list[Organization]
    partnerships: list[Partnership]
    named: dict[Id, Organization]


async def partnerships(session: Session, actor: Actor, hospital: Id) -> Sight:
    """The partnerships of a hospital and its campuses, in the order of time. Raises Forbidden, NotFound."""
    permit(actor)
    places = await keeping_store.campuses(session, hospital)
    if not places:
        raise NotFound("There is no such hospital.")
    found = await keeping_store.partnerships(session, [each.id for each in places])
    return Sight(places, found, await store.organizations(session, {each.agency for each in found}))


async def line(session: Session, actor: Actor, table: str, id: Id) -> tuple[dict[str, str], int, str]:
    """One line of the directory as the cells of a file, its version and its name. Raises Forbidden, NotFound."""
    permit(actor)
    found: tuple[dict[str, str], int, str] | None = None
    if table == "organizations":
        known = await store.organizations(session, (id,))
        if it := known.get(id):
            above = await store.organizations(session, [each for each in (it.part_of, it.co_supervised_by) if each])
            found = (_organization(it, above), it.version, it.name_zh)
    elif table == "services":
        if offered := await keeping_store.service(session, id):
            found = (_service(offered), offered.service.version, offered.service.name_zh)
    elif employed := await keeping_store.worker(session, id):
        found = (_worker(employed), employed.worker.version, employed.worker.name)
    if found is None:
        raise NotFound("There is no such line of the directory.")
    return found


def _yes(said: bool) -> str:
    return "yes" if said else "no"


def _organization(it: Organization, above: Mapping[Id, Organization]) -> dict[str, str]:
    return {
        "key": it.key, "kind": it.kind, "part_of": above[it.part_of].key if it.part_of else "", "name_zh": it.name_zh, "name_en": it.name_en,
        "uscc": it.uscc or "", "region": it.region or "", "status": it.status or "", "ready": _yes(it.ready),
        "protection_qualified": _yes(it.protection_qualified), "co_supervised_by": above[it.co_supervised_by].key if it.co_supervised_by else "",
        "phone": it.phone or "", "email": it.email or "", "active": _yes(it.active),
    }  # fmt: skip


def _service(it: Offered) -> dict[str, str]:
    s = it.service
    lists = {name: " ".join(getattr(s, name)) for name in ("service_types", "needs", "regions", "populations", "languages")}  # fmt: skip
    return {
        "key": s.key, "agency": it.agency_key, "name_zh": s.name_zh, "name_en": s.name_en, "capacity_status": s.capacity_status,
        "places": str(s.places), "active": _yes(s.active),
    } | lists  # fmt: skip


def _worker(it: Employed) -> dict[str, str]:
    w = it.worker
    return {
        "key": w.key, "agency": it.agency_key, "name": w.name, "grade": w.grade or "", "certificate_no": w.certificate or "",
        "licensed_from": w.licensed_from.isoformat() if w.licensed_from else "", "licensed_to": w.licensed_to.isoformat() if w.licensed_to else "",
        "duty": _yes(w.duty), "supervisor": _yes(w.supervisor), "active": _yes(w.active),
    }  # fmt: skip


# ---- writing ---------------------------------------------------------------------------------------------------------


async def keep(session: Session, actor: Actor, table: str, cells: Mapping[str, str], *, expected: int | None = None) -> None:  # fmt: skip
    """Add a line of the directory, or (`expected`: its version) change the one of this key. What an agency has said of its capacity
    stays. Raises Forbidden, Stale, NotFound, Invalid with one issue for each field, `at` its column."""
    permit(actor)
    await store.lock_loads(session)
    now = await keeping_store.version(session, table, cells.get("key", ""))
    if expected is None and now is not None:
        raise Invalid("This key is another's.", at="key", key="cell-taken")
    if expected is not None and now is None:
        raise NotFound("There is no such line of the directory.")
    if expected is not None and now != expected:
        raise Stale("Somebody else changed it meanwhile.")
    await _load(session, actor, table, [dict(cells)])


async def begin_partnership(session: Session, actor: Actor, cells: Mapping[str, str]) -> None:
    """A hospital and an agency work together from a day on, which is not over. Raises Forbidden, Invalid by field."""
    permit(actor)
    await store.lock_loads(session)
    first = _day(cells, "valid_from")
    if first is not None and first < local_day(session.began):
        raise Invalid("It begins today or later: what is past stays as it was.", at="valid_from", key="past-day")
    named = await store.organizations_by_key(session, [cells.get("hospital", ""), cells.get("agency", "")])
    known = await store.known(session)
    pair = tuple(named[cells[side]].id for side in ("hospital", "agency") if cells.get(side) in named)
    if len(pair) == 2 and first is not None and (*pair, first) in known.partnerships:
        raise Invalid("There is one from this day on.", at="valid_from", key="partnership-overlap")
    await _load(session, actor, "partnerships", [dict(cells)])
    if len(pair) == 2 and await keeping_store.overlapping(session, *pair):
        raise Invalid("Another one holds at that time: end it first, or change it.", at="valid_from", key="partnership-overlap")  # fmt: skip


async def change_partnership(session: Session, actor: Actor, id: Id, expected: int, cells: Mapping[str, str], since: date) -> None:  # fmt: skip
    """From a day on it reads otherwise: the one in force ends the day before and another one follows, so that what held once stays to
    be read. `cells` are rank, needs, mode, reply_limits, departments and valid_to. Raises as `begin_partnership`, NotFound, Stale."""
    found, hospital, agency = await _open(session, actor, id, expected)
    today = local_day(session.began)
    if since < today or since < found.valid_from:
        raise Invalid("It changes today or later: what is past stays as it was.", at="since", key="past-day")
    new = dict(cells) | {"hospital": hospital.key, "agency": agency.key, "valid_from": since.isoformat()}
    old = cells_of_partnership(found, hospital, agency) | {"valid_to": (since - timedelta(days=1)).isoformat()}
    if found.valid_to is not None and since > found.valid_to:
        raise Invalid("It has ended by then: begin a new one.", at="since", key="partnership-ended")
    await _load(session, actor, "partnerships", [new] if since == found.valid_from else [old, new])
    if await keeping_store.overlapping(session, found.hospital, found.agency):
        raise Invalid("Another one holds at that time.", at="valid_to", key="partnership-overlap")


async def end_partnership(session: Session, actor: Actor, id: Id, expected: int, last: date) -> None:
    """It holds up to this day, today or later, and no longer. Raises as `change_partnership`."""
    found, hospital, agency = await _open(session, actor, id, expected)
    if last < local_day(session.began) or last < found.valid_from:
        raise Invalid("It ends today or later: what is past stays as it was.", at="valid_to", key="past-day")
    await _load(session, actor, "partnerships", [cells_of_partnership(found, hospital, agency) | {"valid_to": last.isoformat()}])  # fmt: skip


async def partnership(session: Session, actor: Actor, id: Id) -> tuple[Partnership, Organization, Organization]:
    """One partnership with its hospital and agency. Raises Forbidden, NotFound."""
    permit(actor)
    found = await keeping_store.partnership(session, id)
    if found is None:
        raise NotFound("There is no such partnership.")
    named = await store.organizations(session, (found.hospital, found.agency))
    return found, named[found.hospital], named[found.agency]


async def _open(
    session: Session, actor: Actor, id: Id, expected: int
) -> tuple[Partnership, Organization, Organization]:
    permit(actor)
    await store.lock_loads(session)
    found = await partnership(session, actor, id)
    if found[0].version != expected:
        raise Stale("Somebody else changed it meanwhile.")
    if found[0].valid_to is not None and found[0].valid_to < local_day(session.began):
        raise Invalid("It has ended: begin a new one.", key="partnership-ended")
    return found


def cells_of_partnership(it: Partnership, hospital: Organization, agency: Organization) -> dict[str, str]:
    """As a line of a file."""
    return {
        "hospital": hospital.key, "agency": agency.key, "valid_from": it.valid_from.isoformat(),
        "valid_to": it.valid_to.isoformat() if it.valid_to else "", "needs": " ".join(it.needs), "rank": str(it.rank), "mode": it.mode,
        "reply_limits": _limits(it.reply_limits), "departments": " ".join(it.departments),
    }  # fmt: skip


def _limits(said: dict[str, Limit] | None) -> str:
    return " ".join(f"{urgency}={limit.minutes}{'w' if limit.working else ''}" for urgency, limit in (said or {}).items())  # fmt: skip


async def _load(session: Session, actor: Actor, table: str, lines: list[dict[str, str]]) -> None:
    read = Table(table, "form", tuple(flow.COLUMNS[table]), tuple(enumerate(lines, 2)))
    try:
        await flow.load(session, actor, [read], session.began)
    except Invalid as refused:
        raise Invalid("Some fields are to be mended.", issues=[_issue(each) for each in refused.issues], key="faulty-fields") from None  # fmt: skip


def _issue(issue: Issue) -> Issue:
    column, _, text = issue.text.partition(": ")
    key = next((key for pattern, key in FAULTS if re.search(pattern, issue.text)), "cell-code")
    return Issue(text, at=column, key=key)


def _day(cells: Mapping[str, str], column: str) -> date | None:
    try:
        return date.fromisoformat(cells.get(column, ""))
    except ValueError:
        return None
