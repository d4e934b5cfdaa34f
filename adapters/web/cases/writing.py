"""What the forms of a case make: resources of the agency's work as FHIR writes them, from what a person typed."""

from datetime import date, datetime
from typing import Any

import msgspec
from litestar.datastructures import State

from adapters.web import faults, shell
from adapters.web.cases.reading import PERTAINS
from adapters.web.faults import Fault
from adapters.web.shell import Asked, Person
from adapters.web.speech import noted
from service import case_codes, codes
from service.casework.desk_flow import View
from service.db import Session
from service.errors import YuansheError
from service.values import SHANGHAI, Id, as_id

Json = dict[str, Any]
LONGEST = 8000
"""As many letters as one field of words takes."""
EMPTY = noted("请填写这一项。")
NOT_CHOSEN = noted("请从列表中选择。")
NOT_A_TIME = noted("请填写日期和时间。")
NOT_A_NUMBER = noted("请填写合适的数字：分钟最多 1440，不能是负数。")
TOO_LONG = noted("文字太长，请缩短到 8000 字以内。")
PASSED = noted("请填写以后的时间。")
IN_FUTURE = noted("这个时间还没有到：要约定以后的见面，请用“约定见面”。")


class Lacking(YuansheError):
    """A form of this room that cannot be sent on as it is: which fields, and why."""

    def __init__(self, entries: list[tuple[str, str]]) -> None:
        super().__init__("a form is not filled in")
        self.entries = entries

    def told(self, who: Person) -> Fault:
        return faults.lacking(self.entries, who.speech)


class Said(msgspec.Struct, frozen=True):
    """What a form says: `one` the last value of each field, `all` every value of those that are given more than once."""

    one: dict[str, str]
    all: dict[str, list[str]]

    def text(self, field: str) -> str:
        return self.one.get(field, "").strip()

    def ids(self, field: str) -> tuple[Id, ...]:
        return tuple(found for value in self.all.get(field, ()) if (found := as_id(value)))

    def typed(self) -> dict[str, Any]:
        """As a page shows it again: a list where there are several."""
        return {**self.one, **{f"{field}_all": values for field, values in self.all.items()}}


async def said(request: Asked) -> Said:
    """The form, each field with its last value and with all of them. Raises as `shell.fields`."""
    found = await shell.fields(request)
    return Said({name: values[-1] for name, values in found.items()}, found)


class Reader:
    """Reads the fields of a form and gathers what is wrong with them; `done` raises Lacking."""

    def __init__(self, form: Said) -> None:
        self._form = form
        self.wrong: list[tuple[str, str]] = []

    def text(self, field: str, *, required: bool = True) -> str:
        found = self._form.text(field)
        if required and not found:
            self.wrong.append((field, EMPTY))
        elif len(found) > LONGEST:
            self.wrong.append((field, TOO_LONG))
        return found

    def code(self, field: str, system: str, *, required: bool = True) -> str | None:
        found = self._form.text(field)
        if (found and not codes.known(system, found)) or (required and not found):
            self.wrong.append((field, NOT_CHOSEN))
        return found or None

    def number(self, field: str, *, required: bool = False, least: int = 0, most: int = 1440) -> int | None:
        found = self._form.text(field)
        if not found and not required:
            return None
        if not (found.isascii() and found.isdecimal() and len(found) < 7 and least <= int(found) <= most):
            self.wrong.append((field, NOT_A_NUMBER))
            return None
        return int(found)

    def time(self, field: str, *, required: bool = True) -> datetime | None:
        found = self._form.text(field)
        if not found and not required:
            return None
        try:
            at = datetime.fromisoformat(found)
        except ValueError:
            self.wrong.append((field, NOT_A_TIME))
            return None
        return at if at.tzinfo else at.replace(tzinfo=SHANGHAI)

    def day(self, field: str, *, required: bool = False) -> date | None:
        found = self._form.text(field)
        if not found and not required:
            return None
        try:
            return date.fromisoformat(found)
        except ValueError:
            self.wrong.append((field, NOT_A_TIME))
            return None

    def yuan(self, field: str) -> int | None:
        """An amount of money as people write it, in 分."""
        found = self._form.text(field).replace(",", "").replace("，", "")
        if not found:
            return None
        whole, _, cents = found.partition(".")
        if not (
            whole.isascii() and whole.isdecimal() and len(whole) < 10 and len(cents) <= 2 and (cents or "0").isdecimal()
        ):
            self.wrong.append((field, NOT_A_NUMBER))
            return None
        return int(whole) * 100 + int((cents + "00")[:2])

    def worker(self, field: str) -> Id:
        found = as_id(self._form.text(field))
        if found is None:
            self.wrong.append((field, NOT_CHOSEN))
        return found or Id(int=0)

    def done(self) -> None:
        if self.wrong:
            raise Lacking(self.wrong)


async def written(
    state: State, session: Session, who: Person, body: Json, now: datetime, *, sealed: bool = False
) -> Json:
    """Keep a resource of the case, new or (with an id) its next version, as the FHIR surface does. `sealed`: who writes it may not
    read it again."""
    path = body["resourceType"] + (f"/{body['id']}" if "id" in body else "")
    return await state.fhir(session, who.actor, "PUT" if "id" in body else "POST", path, body, now, sealed=sealed)


def concept(system: str, code: str, text: str | None = None) -> Json:
    coded: Json = {"coding": [{"system": system, "code": code, "display": codes.label(system, code)}]}
    return coded | ({"text": text} if text else {})


def about(view: View) -> Json:
    """Whom and what a resource of this case is about: by its own request, which lasts when the share has ended."""
    share = view.share
    return {
        "subject": {"reference": f"Patient/{share.patient or share.stand_in}"},
        "basedOn": [{"reference": f"ServiceRequest/{share.filler}"}],
    }


def procedure(view: View, form: Said, now: datetime, *, at: Json | None = None) -> Json:
    """A note: what was done, when, how long, in which words, for which goals. Raises Lacking."""
    read = Reader(form)
    kind = read.code("type", codes.SERVICE_TYPE)
    when = read.time("at", required=False) or now
    minutes = read.number("minutes")
    contact = read.code("contact", case_codes.CONTACT_TYPE, required=False)
    text = read.text("text")
    attendance = read.number("attendance", most=100_000)
    outcome = read.text("outcome", required=False)
    if when > now:
        # The clock of a field has whole minutes; a little ahead is this minute.
        if (when - now).total_seconds() > 300:
            read.wrong.append(("at", IN_FUTURE))
        when = now
    read.done()
    assert kind is not None
    extension: list[Json] = [
        {"url": PERTAINS, "valueReference": {"reference": f"Goal/{goal}"}} for goal in form.ids("goal")
    ]
    if minutes is not None:
        extension.append({"url": "urn:yuanshe:minutes", "valueInteger": minutes})
    if contact:
        extension.append({"url": case_codes.CONTACT_TYPE, "valueCode": contact})
    if attendance is not None and attendance != 1:
        extension.append({"url": "urn:yuanshe:attendance", "valueInteger": attendance})
    made: Json = {
        "resourceType": "Procedure", "status": "completed", "code": concept(codes.SERVICE_TYPE, kind), **about(view),
        "performedDateTime": when.isoformat(), "note": [{"text": text}], "extension": extension,
    }  # fmt: skip
    if outcome:
        made["outcome"] = {"text": outcome}
    if not extension:
        del made["extension"]
    return made | (at or {})


def goal(view: View, form: Said) -> Json:
    """A goal: what is to be reached, of which kind, for which needs, by what one will know. Raises Lacking."""
    read = Reader(form)
    text, kind = read.text("goal-text"), read.code("goal-type", case_codes.GOAL_TYPE)
    unit = read.code("unit", case_codes.CLIENT_UNIT, required=False)
    measure, target = read.text("measure"), read.text("target", required=False)
    due = read.day("due")
    needs = [each for each in form.all.get("need", ()) if codes.known(codes.NEED, each)]
    read.done()
    assert kind is not None
    said: Json = {"measure": {"text": measure}, "detailString": target or measure}
    if due:
        said["dueDate"] = due.isoformat()
    extension = [{"url": codes.NEED, "valueCode": each} for each in needs]
    if unit and unit != "individual":
        extension.append({"url": case_codes.CLIENT_UNIT, "valueCode": unit})
    made: Json = {
        "resourceType": "Goal", "lifecycleStatus": "active", "category": [concept(case_codes.GOAL_TYPE, kind)],
        "description": {"text": text}, "subject": about(view)["subject"], "target": [said], "extension": extension,
    }  # fmt: skip
    made["addresses"] = about(view)["basedOn"]
    if not extension:
        del made["extension"]
    return made


def plan(view: View, form: Said, now: datetime) -> Json:
    """The service plan: its goals, and when it is looked at again. Raises Lacking."""
    read = Reader(form)
    title = read.text("plan-title", required=False)
    review = read.day("review", required=True)
    chosen = form.ids("plan-goal")
    if not chosen:
        read.wrong.append(("plan-goal", noted("请至少选择一个目标。")))
    read.done()
    assert review is not None
    end = datetime(review.year, review.month, review.day, 17, 30, tzinfo=SHANGHAI)
    return {
        "resourceType": "CarePlan", "status": "active", "intent": "plan", "title": title or "服务计划", **about(view),
        "period": {"start": now.isoformat(), "end": end.isoformat()},
        "goal": [{"reference": f"Goal/{each}"} for each in chosen],
    }  # fmt: skip
