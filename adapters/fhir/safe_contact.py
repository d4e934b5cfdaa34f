"""Rules of safe contact in FHIR: an extension of several parts on Patient and ServiceRequest, and the operation `$safe-contact`.

R4 has no element for it: `telecom.rank` and `telecom.period` say what is preferred and valid, not what is safe.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from typing import Any, TypeVar

import msgspec

from adapters.fhir import persons, references, validation, wire
from adapters.fhir.render import Json, instant, ref
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, Malformed, Refusal
from service.referrals import contact_flow as flow
from service.safety.contact import ContactRules, Decision, Hours
from service.safety.contact_store import Stated
from service.values import Id, read_json, write_json

URL = persons.SAFE_CONTACT
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Codes of FHIR's days-of-week."""
PARTS = frozenset(("prohibited", "supervised", "channel", "time", "number", "message", "asked-by", "decision", "why"))


class Said(msgspec.Struct, frozen=True):
    """What an extension says; `why` is sealed."""

    rules: ContactRules
    why: str | None = None


def read(extensions: Sequence[wire.Extension], at: str) -> Said | None:
    """The rules among these extensions, or None: nothing is said, and what was said before stands. Raises Invalid."""
    found = [(position, each) for position, each in enumerate(extensions) if each.url == URL]
    if not found:
        return None
    position, whole = found[0]
    return _said(whole.extension, f"{at}.extension[{position}].extension" if at else "")


def _said(parts: Sequence[wire.Extension], at: str) -> Said:
    named: dict[str, list[tuple[str, wire.Extension]]] = {}
    for position, part in enumerate(parts):
        if part.url not in PARTS:
            text = f"A part of safe contact is one of {', '.join(sorted(PARTS))}."
            called = "name" if at.startswith("Parameters") else "url"
            raise Invalid(text, at=f"{at}[{position}].{called}", code="value")
        named.setdefault(part.url, []).append((f"{at}[{position}]", part))

    def every(name: str) -> list[tuple[str, wire.Extension]]:
        return named.get(name, [])

    def one(name: str) -> tuple[str, wire.Extension] | None:
        found = every(name)
        if len(found) > 1:
            raise Invalid(f"{name} is said once.", at=found[1][0], code="structure")
        return found[0] if found else None

    def flag(name: str, default: bool) -> bool:
        part = one(name)
        return default if part is None else _needed(part[1].value_boolean, f"{part[0]}.valueBoolean")

    def word(name: str) -> str | None:
        part = one(name)
        return None if part is None else _needed(part[1].value_code or part[1].value_string, f"{part[0]}.value")

    rules = ContactRules(
        prohibited=flag("prohibited", False),
        supervised=flag("supervised", False),
        channels=tuple(dict.fromkeys(_needed(each.value_code, f"{where}.valueCode") for where, each in every("channel"))),
        times=tuple(_hours(each, where) for where, each in every("time")),
        number=word("number"),
        may_leave_message=flag("message", True),
        asked_by=word("asked-by"),
        decisions=tuple(_decision(each, where) for where, each in every("decision")),
    )  # fmt: skip
    return Said(rules, word("why"))


T = TypeVar("T")


def _needed(value: T | None, at: str) -> T:
    if value is None:
        raise Invalid("This part of safe contact has no value of its kind.", at=at, code="required")
    return value


def _hours(part: wire.Extension, at: str) -> Hours:
    inner = {each.url: each for each in part.extension}
    days = [_needed(each.value_code, at) for each in part.extension if each.url == "day"]
    if not set(days) <= set(DAYS):
        raise Invalid(f"A day is one of {', '.join(DAYS)}.", at=at, code="code-invalid")
    begins, ends = (_needed(inner[n].value_time if n in inner else None, f"{at}.{n}") for n in ("begins", "ends"))
    return Hours(time.fromisoformat(begins), time.fromisoformat(ends), tuple(sorted({DAYS.index(d) + 1 for d in days})))


def _decision(part: wire.Extension, at: str) -> Decision:
    inner = {each.url: each for each in part.extension}
    absent = wire.Extension("")

    def when(name: str) -> datetime:
        return wire.instant(_needed(inner.get(name, absent).value_datetime, f"{at}.{name}"), f"{at}.{name}")

    return Decision(
        _needed(inner.get("channel", absent).value_code, f"{at}.channel"),
        when("begins"),
        when("until"),
        references.required(
            inner.get("supervisor", absent).value_reference, "PractitionerRole", "Organization", at=f"{at}.supervisor"
        ),
    )


# ---- as it is shown ----------------------------------------------------------------------------------------------------


def show(rules: ContactRules, by: Id, why: str | None = None) -> Json:
    """The extension that says these rules, which the organisation `by` stated; the reason goes only to whom the caller knows to
    have given it."""
    parts: list[Json] = [{"url": "prohibited", "valueBoolean": rules.prohibited}]
    if rules.supervised:
        parts.append({"url": "supervised", "valueBoolean": True})
    parts += [{"url": "channel", "valueCode": channel} for channel in rules.channels]
    parts += [{"url": "time", "extension": _shown_hours(hours)} for hours in rules.times]
    if rules.number:
        parts.append({"url": "number", "valueString": rules.number})
    parts.append({"url": "message", "valueBoolean": rules.may_leave_message and not rules.guarded})
    if rules.asked_by:
        parts.append({"url": "asked-by", "valueCode": rules.asked_by})
    parts += [{"url": "decision", "extension": _shown_decision(decision, by)} for decision in rules.decisions]
    if why:
        parts.append({"url": "why", "valueString": why})
    return {"url": URL, "extension": parts}


def _shown_hours(hours: Hours) -> list[Json]:
    days = [{"url": "day", "valueCode": DAYS[day - 1]} for day in hours.days]
    return [*days, {"url": "begins", "valueTime": hours.begins.isoformat("seconds")}, {"url": "ends", "valueTime": hours.ends.isoformat("seconds")}]  # fmt: skip


def _shown_decision(decision: Decision, by: Id) -> list[Json]:
    decided = "Organization" if decision.supervisor == by else "PractitionerRole"
    return [
        {"url": "channel", "valueCode": decision.channel},
        {"url": "begins", "valueDateTime": instant(decision.begins)},
        {"url": "until", "valueDateTime": instant(decision.until)},
        {"url": "supervisor", "valueReference": ref(decided, decision.supervisor)},
    ]


# ---- the operation -----------------------------------------------------------------------------------------------------


async def asked(session: Session, actor: Actor, patient: Id, body: bytes | None, now: datetime) -> Json:
    """`Patient/{id}/$safe-contact`: what holds; with a body of Parameters, whose parameters are the parts of the extension,
    what shall hold from now on. Raises NotFound, Forbidden, Invalid."""
    if body is not None:
        said = _of_parameters(body)
        with _beneath():
            await flow.state(session, actor, patient, said.rules, said.why, now)
    found, why = await flow.stated(session, actor, patient)
    return _as_parameters(found, why)


def _of_parameters(body: bytes) -> Said:
    content = read_json(body or b"null")
    if not isinstance(content, dict) or content.get("resourceType") != "Parameters":
        raise Malformed("An operation is asked by a Parameters.", at="resourceType", code="value")
    validation.check("Parameters", content)
    parts = [_as_extension(each) for each in content.get("parameter", ())]
    whole = wire.decode(write_json({"url": URL, "extension": parts}), wire.Extension, "Parameters")
    return _said(whole.extension, "Parameters.parameter")


def _as_extension(parameter: dict[str, Any]) -> Json:
    said = {("url" if key == "name" else key): value for key, value in parameter.items() if key != "part"}
    return said | ({"extension": [_as_extension(each) for each in parameter["part"]]} if "part" in parameter else {})


def _as_parameter(extension: Json) -> Json:
    said = {("name" if key == "url" else key): value for key, value in extension.items() if key != "extension"}
    return said | ({"part": [_as_parameter(e) for e in extension["extension"]]} if "extension" in extension else {})


def _as_parameters(found: Stated | None, why: str | None) -> Json:
    if found is None:
        return {"resourceType": "Parameters"}
    whole = _as_parameter(show(found.rules, found.written_by, why))
    stated: list[Json] = [
        {"name": "stated-by", "valueReference": ref("Organization", found.written_by)},
        {"name": "stated-at", "valueInstant": instant(found.at)},
        {"name": "version", "valuePositiveInt": found.version},
    ]
    return {"resourceType": "Parameters", "parameter": [*whole["part"], *stated]}


@contextmanager
def _beneath() -> Iterator[None]:
    """Say of a fault of the rules where it lies among the parameters: by the name of its part."""
    try:
        yield
    except Refusal as refusal:
        refusal.issues = tuple(
            msgspec.structs.replace(issue, at=f"Parameters.parameter.{issue.at}" if issue.at else "Parameters")
            for issue in refusal.issues
        )
        raise


async def keep(session: Session, actor: Actor, patient: Id, said: Said | None, now: datetime, at: str) -> None:
    """State what an extension says, if it says anything. Raises Invalid beneath `at`."""
    if said is not None:
        with wire.within(f"{at}.extension"):
            await flow.state(session, actor, patient, said.rules, said.why, now)


async def submitted(
    session: Session, actor: Actor, patient: Id, said: Said | None, now: datetime, at: str, *, prohibited: bool, newcomer: bool
) -> bool:  # fmt: skip
    """Whether nobody contacts the person of a new referral: by its own word, which holds for the person, or by what was
    known before. `newcomer`: nothing was."""
    await keep(session, actor, patient, said, now, at)
    if prohibited:
        await flow.prohibit(session, actor, patient, now)
    if said is not None or newcomer:
        return prohibited or bool(said and said.rules.prohibited)
    found, _ = await flow.stated(session, actor, patient)
    return prohibited or bool(found and found.rules.prohibited)
