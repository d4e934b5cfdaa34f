"""`/audit`: who saw what of whom, in words; filtered, opened, verified, and written out."""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import faults, shell
from adapters.web.admin import audit_words as words
from adapters.web.admin import desk
from adapters.web.faults import Fault
from adapters.web.shell import Page, Signed
from adapters.web.speech import Speech
from service.access import flow as access
from service.access.flow import permit_audit
from service.consent import trail_flow as trail
from service.consent.trail_flow import Asked, Trail
from service.directory import keeping_flow as keeping
from service.directory.model import Organization
from service.errors import Refusal
from service.values import SHANGHAI, Id, as_id

ROOM = "/audit"
AT_A_STEP = 20_000
"""Lines that one step of the verification recomputes: less than a second."""


class Line(msgspec.Struct, frozen=True):
    """A line of the audit in words. `whom` says how many people it touched: never who they are."""

    id: Id
    position: int
    at: datetime
    who: str
    role: str
    organization: str
    did: str
    whom: str
    outcome: str
    refused: bool
    glass: bool
    referrals: tuple[Id, ...]


def asked(request: Request[Any, Any, Any], speech: Speech) -> tuple[Asked, dict[str, str], Fault | None]:
    """What the address looks for, as it was typed, and what of it cannot be read."""
    typed = {name: desk.text(request, name) for name in ("who", "organization", "action", "referral", "since", "until", "refused", "glass")}  # fmt: skip
    lacking: list[tuple[str, str]] = []
    since, until = _day(typed["since"]), _day(typed["until"])
    for name, read in (("since", since), ("until", until)):
        if typed[name] and read is None:
            lacking.append((name, words.NO_DAY))
    referral = as_id(typed["referral"])
    if typed["referral"] and referral is None:
        lacking.append(("referral", words.NO_REFERRAL))
    found = Asked(
        who=typed["who"], organization=as_id(typed["organization"]), actions=words.ACTION_CODES.get(typed["action"], ()),
        referral=referral, since=_midnight(since), until=_midnight(until + timedelta(days=1)) if until else None,
        refused=bool(typed["refused"]), glass=bool(typed["glass"]),
    )  # fmt: skip
    return found, typed, faults.lacking(lacking, speech) if lacking else None


def _day(written: str) -> date | None:
    try:
        day = date.fromisoformat(written)
    except ValueError:
        return None
    # At either end of the calendar there is no day before or after.
    return day if 1900 <= day.year < 3000 else None


def _midnight(day: date | None) -> datetime | None:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI) if day else None


def lines(found: Trail, speech: Speech) -> list[Line]:
    """Lines in words."""
    return [_line(link, found, speech) for link in found.lines]


def _line(link: Any, found: Trail, speech: Speech) -> Line:
    line = link.line
    actor = found.actors.get(line.actor_id)
    organization = found.organizations.get(line.organization_id)
    return Line(
        id=line.id, position=link.position, at=line.at,
        who=actor.name if actor else words.nobody(line, speech),
        role=speech.gettext(words.ROLES[line.actor_role]) if line.actor_role in words.ROLES else line.actor_role,
        organization=speech.name(organization) if organization else "", did=words.did(line, speech), whom=words.whom(line, speech),
        outcome=words.outcome(line, speech), refused=line.outcome != "success", glass=line.id in found.glass, referrals=line.referrals,
    )  # fmt: skip


@get(ROOM, media_type=MediaType.HTML)
async def audit(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Lines, the latest first, that fit what is asked."""
    wanted, typed, fault = asked(request, who.speech)
    after = as_id(request.query_params.get("after"))
    async with access.open(state.database, who.actor, shell.call(request, "page-audit")) as session:
        permit_audit(who.actor)
        found = await trail.search(session, who.actor, wanted, after, desk.AT_A_TIME) if fault is None else None
        organizations: list[Organization] = await keeping.for_choice(session, who.actor)
        now = session.began
    filters = {name: value for name, value in typed.items() if value}
    return desk.page(
        request, "audit.html", who, title=who.speech.gettext("审计"), room=ROOM, status=fault.status if fault else 200, fault=fault,
        rows=lines(found, who.speech) if found else [], typed=typed, organizations=organizations, actions=words.ACTIONS, now=now,
        query=urlencode(filters), next=found.next if found else None, later=after is not None, any=bool(filters),
    )  # fmt: skip


@get(ROOM + "/lines/{line:uuid}", media_type=MediaType.HTML)
async def line(request: Request[Any, Any, Any], state: State, who: Signed, line: FromPath[Id]) -> Page:
    """One line with everything that stands in it, and its place in the chain."""
    async with access.open(state.database, who.actor, shell.call(request, "page-audit-line")) as session:
        found = await trail.one(session, who.actor, line)
        now = session.began
    link = found.lines[0]
    return desk.page(
        request, "audit-line.html", who, title=who.speech.gettext("审计记录"), room=ROOM, it=_line(link, found, who.speech), link=link,
        hash=link.hash.hex(), previous=link.previous_hash.hex(), now=now, why=words.why(link.line, who.speech),
    )  # fmt: skip


@get(ROOM + "/chain", media_type=MediaType.HTML)
async def chain(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Recompute the chain a step further; the page goes on by itself, and can be left."""
    after = desk.number_of(request.query_params.get("after")) or 0
    async with access.open(state.database, who.actor, shell.call(request, "page-audit-chain")) as session:
        found = await trail.verify(session, who.actor, after, AT_A_STEP)
    part = bool(request.headers.get("hx-request"))
    return desk.page(request, "chain-part.html" if part else "chain.html", who, title=who.speech.gettext("核对审计链"), room=ROOM, it=found)  # fmt: skip


@get(ROOM + "/export", media_type=MediaType.HTML)
async def export(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """What is asked as a file; that it was written out stands in the audit itself."""
    wanted, _, fault = asked(request, who.speech)
    form = desk.among(desk.text(request, "format"), ("csv", "xlsx")) or "csv"
    try:
        async with access.open(state.database, who.actor, shell.call(request, f"page-audit-export-{form}")) as session:
            permit_audit(who.actor)
            found = await trail.export(session, who.actor, wanted) if fault is None else None
            now = session.began
    except Refusal as refused:
        if refused.key != "too-many-lines":
            raise
        fault, found, now = faults.told(refused, who.speech), None, None
    if found is None or now is None:
        return desk.page(request, "refused.html", who, title=who.speech.gettext("没有导出"), room=ROOM, status=422, fault=fault)  # fmt: skip
    rows = [_cells(each) for each in lines(found, who.speech)]
    head = [who.speech.gettext(word) for word in words.COLUMNS]
    name = f"audit-{now.astimezone(SHANGHAI):%Y%m%d-%H%M}.{form}"
    content, kind = (_csv(head, rows), "text/csv; charset=utf-8") if form == "csv" else (_xlsx(head, rows), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")  # fmt: skip
    headers = shell.HEADERS | {"Content-Disposition": f'attachment; filename="{name}"', "Content-Type": kind}
    return Response(content, headers=headers)


def _cells(it: Line) -> list[str]:
    at = it.at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    return [str(it.position), at, it.who, it.role, it.organization, it.did, it.whom, it.outcome, "1" if it.glass else "", " ".join(map(str, it.referrals)), str(it.id)]  # fmt: skip


RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""With these a spreadsheet takes a cell for a formula (OWASP, CSV injection); some take the wide ones for the narrow."""


def guarded(cell: str) -> str:
    """A cell that no spreadsheet computes."""
    return f"'{cell}" if cell.startswith(RISKY) or cell.lstrip().startswith(RISKY) else cell


def _csv(head: list[str], rows: list[list[str]]) -> bytes:
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL)
    writer.writerow(head)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    # The mark lets spreadsheets read the Chinese as such.
    return b"\xef\xbb\xbf" + written.getvalue().encode()


def _xlsx(head: list[str], rows: list[list[str]]) -> bytes:
    written = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}  # fmt: skip
    with xlsxwriter.Workbook(written, options) as book:
        sheet = book.add_worksheet("audit")
        sheet.freeze_panes(1, 0)
        for number, row in enumerate(_all(head, rows)):
            for column, cell in enumerate(row):
                sheet.write_string(number, column, guarded(cell))
    return written.getvalue()


def _all(head: list[str], rows: list[list[str]]) -> Iterator[list[str]]:
    yield head
    yield from rows


route_handlers = [audit, line, chain, export]
