"""`/downtime/enter`: what was done while the service was away, several rows at once, each with its true time and its own answer."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.downtime.lines import stamp, whom
from adapters.web.faults import Fault
from adapters.web.followup import rows as words
from adapters.web.followup.calls import communication, instant
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.access.model import Actor
from service.casework import downtime, downtime_flow
from service.casework import flow as casework
from service.casework.downtime import Entry
from service.casework.downtime_flow import Choice
from service.consent.tiers import family_name
from service.db import Session, savepoint
from service.errors import Invalid, Refusal
from service.referrals import flow as referrals
from service.referrals.model import Task
from service.values import Id, Reason, as_id, new_id

ROWS, MOST = 3, 20
"""Rows to begin with, and at most."""
DID = {
    "accept": noted("接了单"),
    "decline": noted("退了单"),
    "attempt": noted("联系过"),
    "activity": noted("做了服务"),
    "note": noted("记一条说明"),
}
"""What may be entered, in words."""
LACKING = {
    "why": noted("请写明为什么补录，例如停机的起止时间。"),
    "about": noted("请选这一行是哪一件。"),
    "did": noted("请选做了什么。"),
    "at": noted("请写出实际的日期和时间。"),
    "words": noted("请用几个字说明。"),
    "nothing": noted("请至少填一行。"),
}


class Row(msgspec.Struct, frozen=True):
    """One row of the form as it was typed; `fault` is why it was not taken."""

    place: int
    about: str = ""
    did: str = ""
    at: str = ""
    way: str = "phone"
    minutes: str = ""
    words: str = ""
    fault: str = ""

    @property
    def empty(self) -> bool:
        return not (self.about or self.did or self.words)


class Group(msgspec.Struct, frozen=True):
    """Choices of one kind under their heading."""

    title: str
    options: tuple[tuple[str, str], ...]


def typed(fields: Mapping[str, str]) -> list[Row]:
    """The rows of the form, in their order."""
    found: list[Row] = []
    for place in range(1, MOST + 1):
        if f"did-{place}" in fields:
            given = {name: fields.get(f"{name}-{place}", "").strip() for name in ("about", "did", "at", "way", "minutes", "words")}  # fmt: skip
            found.append(Row(place, **given | {"way": given["way"] or "phone"}))
    return found


def dids(actor: Actor, speech: Speech) -> list[Group]:
    """What the reader's side may have done."""
    say = speech.gettext
    attempts = Group(
        say(DID["attempt"]),
        tuple((f"attempt:{each.code}", speech.code(codes.CONTACT_RESULT, each.code)) for each in codes.LISTS[codes.CONTACT_RESULT].concepts),
    )  # fmt: skip
    note = Group(speech.gettext("其他"), (("note", say(DID["note"])),))
    if actor.side == "hospital":
        return [attempts, note]
    declines = tuple((f"decline:{each.code}", speech.code(codes.DECLINE_REASON, each.code)) for each in codes.LISTS[codes.DECLINE_REASON].concepts if each.code != "expired")  # fmt: skip
    services = tuple((f"activity:{each.code}", speech.code(codes.SERVICE_TYPE, each.code)) for each in codes.LISTS[codes.SERVICE_TYPE].concepts)  # fmt: skip
    return [
        Group(say(DID["accept"]), (("accept", say(DID["accept"])),)),
        Group(say(DID["decline"]), declines),
        attempts,
        Group(say(DID["activity"]), services),
        note,
    ]


def abouts(found: list[Choice], speech: Speech) -> list[tuple[str, str]]:
    """What a row may be about: its number, whom, and how far it is."""
    return [(str(each.task.id if each.task else each.referral.id if each.referral else ""), _label(each, speech)) for each in found]  # fmt: skip


def _label(each: Choice, speech: Speech) -> str:
    person = whom(family_name(each.person.name), each.person.gender, speech) if each.person else speech.gettext("身份未开放")  # fmt: skip
    task = each.task
    if task is None:
        assert each.referral is not None
        return f"{each.referral.placer_value} · {person}"
    says = words.window(task.follow_up.window, speech) if task.follow_up else speech.code(codes.BUSINESS_STATUS, task.business_status)  # fmt: skip
    return f"{downtime.number(task.referral)} · {says} · {person}"


@get("/downtime/enter", media_type=MediaType.HTML)
async def enter(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The rows to be filled in."""
    wanted = request.query_params.get("rows", "")
    count = min(max(int(wanted) if wanted.isascii() and wanted.isdigit() else ROWS, 1), MOST)
    return await _page(request, state, who, [Row(place) for place in range(1, count + 1)])


async def _page(
    request: Request[Any, Any, Any], state: State, who: Person, rows: list[Row], *, why: str = "", fault: Fault | None = None,
    done: list["Told"] | None = None,
) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-downtime-enter")) as session:
        found = await downtime_flow.choices(session, who.actor, session.began)
    return shell.page(
        request, "downtime/enter.html", who, who.speech, status=fault.status if fault else 200, title=who.speech.gettext("停机后补录"),
        rows=rows, why=why, fault=fault, taken=done or [], abouts=abouts(found, who.speech), serves=who.actor.side == "agency", dids=dids(who.actor, who.speech),
        ways=[each.code for each in codes.LISTS[codes.CHANNEL].concepts], more=min(len(rows) + 5, MOST) if len(rows) < MOST else None,
    )  # fmt: skip


class Told(msgspec.Struct, frozen=True):
    """A row that was entered, in words: what, when it was done, when it was recorded, and why it was not taken."""

    place: int
    what: str
    number: str
    performed: str
    recorded: str
    refused: str
    referral: Id | None


def told(entry: Entry, speech: Speech) -> Told:
    """An entry as its reader reads it."""
    return Told(
        place=entry.place,
        what=speech.gettext(DID[entry.what]) if entry.what in DID else "",
        number=downtime.number(entry.referral) if entry.referral else "",
        performed=stamp(entry.performed_at, speech) if entry.performed_at else "",
        recorded=stamp(entry.recorded_at, speech),
        refused=entry.refused or "",
        referral=entry.referral,
    )


@post("/downtime/enter", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def entered(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Each row by itself: what is taken stands, what is not says why and may be sent again."""
    said = await shell.form(request)
    rows, why = typed(said), said.get("why", "").strip()
    filled = [row for row in rows if not row.empty]
    lacking = [] if why else [("why", LACKING["why"])]
    lacking += [] if filled else [(f"about-{rows[0].place if rows else 1}", LACKING["nothing"])]
    if lacking:
        return await _page(request, state, who, rows or [Row(1)], why=why, fault=faults.lacking(lacking, who.speech))
    batch, entries = new_id(), list[Entry]()

    async def do(session: Session) -> str:
        entries.clear()
        for row in filled:
            entries.append(await _one(session, state, who, row, batch, why))
        await downtime_flow.keep_entries(session, who.actor, batch, why, entries, session.began)
        return acting.done(f"/downtime/entered/{batch}", "enter-late") if not _refused(entries) else f"/downtime/entered/{batch}"  # fmt: skip

    answer = await acting.act(request, state, who, said, "enter-late", do)
    if not _refused(entries):
        return answer
    by_place = {entry.place: entry for entry in entries}
    again = [msgspec.structs.replace(row, fault=by_place[row.place].refused or "") for row in filled if by_place[row.place].refused]  # fmt: skip
    summary = who.speech.ngettext("%(n)s 行没有记下，其余都已记下。", "%(n)s 行没有记下，其余都已记下。", len(again)) % {"n": len(again)}  # fmt: skip
    fault = Fault(summary, tuple(faults.Entry(f"about-{row.place}", row.fault) for row in again), 422)
    taken = [told(entry, who.speech) for entry in entries if not entry.refused]
    return await _page(request, state, who, again, why=why, fault=fault, done=taken)


def _refused(entries: list[Entry]) -> bool:
    return any(entry.refused for entry in entries)


async def _one(session: Session, state: State, who: Person, row: Row, batch: Id, why: str) -> Entry:
    """One row, in a part of the transaction that fails by itself; what came of it."""
    now = session.began
    what, _, detail = row.did.partition(":")
    performed = instant(row.at)
    entry = Entry(new_id(), batch, row.place, now, performed, what if what in downtime.WHATS else "note", why)
    try:
        about = as_id(row.about)
        if about is None:
            raise Lacking("about")
        if what not in downtime.WHATS:
            raise Lacking("did")
        if performed is None:
            raise Lacking("at")
        if (what == "note" or detail == "other" or what == "decline") and not row.words:
            raise Lacking("words")
        async with savepoint(session):
            task = await downtime_flow.entering(session, who.actor, about, what, performed, now)
            await _do(session, state, who.actor, task, what, detail, performed, row)
            await downtime_flow.entered(session, who.actor, task, what, performed, why, now)
        return msgspec.structs.replace(entry, referral=task.referral, task=task.id)
    except Lacking as lacking:
        return msgspec.structs.replace(entry, refused=who.speech.gettext(LACKING[lacking.field]))
    except Refusal as refused:
        fault = faults.told(refused, who.speech)
        said = " ".join(dict.fromkeys(each.words for each in fault.entries)) or fault.summary
        return msgspec.structs.replace(entry, refused=said)


class Lacking(Exception):
    """A row without what it needs."""

    def __init__(self, field: str) -> None:
        self.field = field


async def _do(
    session: Session, state: State, actor: Actor, task: Task, what: str, detail: str, performed: datetime, row: Row
) -> None:  # fmt: skip
    """The act itself, by the verb or as the resource that it is in any other case."""
    now = session.began
    match what:
        case "accept":
            await casework.accept(session, actor, task.id, actor.worker, now)
        case "decline":
            await referrals.decline(session, actor, task.id, Reason(detail, row.words), now)
        case "attempt":
            resource = communication(task.id, row.way, detail, performed, row.words)
            await state.fhir(session, actor, "POST", "Communication", resource, now)
        case "activity":
            share = await state.fhir(session, actor, "GET", f"Task/{task.id}", None, now)
            await state.fhir(session, actor, "POST", "Procedure", procedure(share, detail, performed, row), now)
        case _:
            await state.fhir(session, actor, "POST", "Communication", note(task, performed, row.words), now)


def procedure(share: dict[str, Any], service: str, performed: datetime, row: Row) -> dict[str, Any]:
    """An intervention, with its minutes where they were said."""
    if row.minutes and not (row.minutes.isascii() and row.minutes.isdigit() and int(row.minutes) <= 24 * 60):
        raise Invalid("Minutes are a whole number.", at="minutes", key="entry-minutes")
    ends = performed + timedelta(minutes=int(row.minutes)) if row.minutes else None
    return {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"coding": [{"system": codes.SERVICE_TYPE, "code": service}]},
        "subject": share["for"],
        "basedOn": [share["focus"]],
        **({"performedPeriod": {"start": performed.isoformat(), "end": ends.isoformat()}} if ends else {"performedDateTime": performed.isoformat()}),
        **({"note": [{"text": row.words}]} if row.words else {}),
    }  # fmt: skip


def note(task: Task, performed: datetime, text: str) -> dict[str, Any]:
    """A word about an agency's share or follow-up; a hospital's about the referral."""
    about = f"ServiceRequest/{task.referral}" if task.kind == "parent" else f"Task/{task.id}"
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": codes.MESSAGE, "code": "note"}]}],
        "about": [{"reference": about}],
        "sent": performed.isoformat(),
        "payload": [{"contentString": text}],
    }


@get("/downtime/entered/{batch:uuid}", media_type=MediaType.HTML)
async def batch(request: Request[Any, Any, Any], state: State, who: Signed, batch: FromPath[Id]) -> Page:
    """What was entered together, row by row."""
    async with access.open(state.database, who.actor, shell.call(request, "page-downtime-entered")) as session:
        found = await downtime_flow.entries(session, who.actor, batch)
    return shell.page(
        request, "downtime/entered.html", who, who.speech, title=who.speech.gettext("停机后补录"), why=found[0].why,
        taken=[told(entry, who.speech) for entry in found],
    )  # fmt: skip


route_handlers = [enter, entered, batch]
