"""A message as tidings: which event it is, of whom, when, and what it tells of person and stay."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from adapters.hl7v2 import persons, times
from adapters.hl7v2.er7 import Message, Segment
from adapters.hl7v2.faults import wrong
from adapters.hl7v2.senders import Sender
from service import codes
from service.followup.tidings import Fact, Tidings, ToldStay
from service.patients.model import Identifier, StayClass

Json = dict[str, Any]


class Event(msgspec.Struct, frozen=True):
    """What a trigger event means. `status` is what it makes of the stay; `begins`, `opens`, `reopens` as in ToldStay."""

    what: str
    stay: bool = True
    status: str | None = None
    begins: bool = False
    opens: bool = False
    reopens: bool = False
    class_: str | None = None
    merges: bool = False


EVENTS = {
    "A01": Event("admitted", status="in-progress", begins=True, opens=True, class_="I"),
    "A02": Event("moved to another ward or bed"),
    "A03": Event("discharged", status="finished"),
    "A04": Event("registered as out-patient or emergency", status="in-progress", begins=True, opens=True, class_="O"),
    "A05": Event("pre-admitted", status="planned", begins=True, opens=True, class_="P"),
    "A06": Event("out-patient becomes in-patient", class_="I"),
    "A07": Event("in-patient becomes out-patient", class_="O"),
    "A08": Event("person or stay corrected"),
    "A11": Event("admission cancelled", status="cancelled"),
    "A12": Event("move cancelled"),
    "A13": Event("discharge cancelled", status="in-progress", opens=True, reopens=True),
    "A21": Event("on leave", status="onleave", opens=True),
    "A22": Event("back from leave", status="in-progress", opens=True),
    "A28": Event("person added", stay=False),
    "A31": Event("person corrected", stay=False),
    "A40": Event("two records of one person merged", stay=False, merges=True),
}
"""The events of ADT that are taken."""

AHEAD = timedelta(days=1)
"""How far ahead of our clock an event may lie; what is further ahead would stand in the way of everything after it."""

CLASSES: dict[str, tuple[StayClass, str, str]] = {
    "I": ("in", "IMP", "inpatient encounter"),
    "B": ("in", "IMP", "inpatient encounter"),
    "P": ("in", "PRENC", "pre-admission"),
    "O": ("out", "AMB", "ambulatory"),
    "R": ("out", "AMB", "ambulatory"),
    "E": ("emergency", "EMER", "emergency"),
}
"""HL7 table 0004 → what it is here, and the code of FHIR (v3-ActCode)."""

DISPOSITIONS = {
    "01": "1", "06": "1", "08": "1", "02": "2", "03": "2", "04": "2", "05": "2", "07": "4", "20": "5", "40": "5", "41": "5", "42": "5",
    "09": "9",
}  # fmt: skip
"""HL7 table 0112 → 离院方式. One digit is the national code itself."""
STILL_HERE = "30"

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PHYSICAL_TYPE = "http://terminology.hl7.org/CodeSystem/location-physical-type"
ADMIT_SOURCE = "http://terminology.hl7.org/CodeSystem/v2-0023"
EXPECTED_DISCHARGE = "urn:yuanshe:expected-discharge"


def event_at(message: Message, sender: Sender, now: datetime) -> datetime:
    """When it happened: EVN-6, else when it was recorded (EVN-2), else when the message was made (MSH-7)."""
    for name, field in (("EVN", 6), ("EVN", 2), ("MSH", 7)):
        moment = persons.moment_of(message.or_empty(name), field, sender)
        if moment is None:
            continue
        if moment.at > now + AHEAD:
            raise wrong("event-time", "The event lies more than a day ahead; correct the time, or the sender's clock.", f"{name}^1^{field}")  # fmt: skip
        return moment.at
    return now


def tidings(message: Message, sender: Sender, now: datetime) -> list[Tidings]:
    """What the message tells. Raises Invalid with the place of the fault."""
    if message.odd:
        raise wrong("segment-sequence", f"Line {message.odd} is no segment: a name of three letters or digits comes first.", "MSH")  # fmt: skip
    event = EVENTS[message.trigger]
    at = event_at(message, sender, now)
    if event.merges:
        return list(_merges(message, sender, at))
    pid = message.first("PID")
    if pid is None:
        raise wrong("segment-sequence", "The message has no PID: nobody is named.", "PID")
    pv1 = message.first("PV1")
    if event.stay and pv1 is None and message.trigger != "A08":
        raise wrong("segment-sequence", "The message has no PV1: no stay is told of.", "PV1")
    stay = _stay(message, event, pv1, sender, at) if event.stay and pv1 is not None else None
    if message.trigger == "A08" and stay is not None and stay.number is None:
        # Of no stay in particular: what it says of the person counts.
        stay = None
    return [Tidings(message.trigger, at, persons.identifiers(pid, sender), persons.facts(pid, sender), stay)]


def _merges(message: Message, sender: Sender, at: datetime) -> Iterator[Tidings]:
    """Each PID with the MRG after it: whose record stays, and which goes into it."""
    survivor: Segment | None = None
    for segment in message.segments:
        if segment.name == "PID":
            survivor = segment
        elif segment.name == "MRG":
            if survivor is None:
                raise wrong("segment-sequence", "A MRG follows the PID of the record that stays.", "MRG")
            absorbed = persons.numbers(segment, 1, sender)
            if not absorbed:
                raise wrong("no-identifier", "No number in MRG-1 is one that the sender's configuration knows.", "MRG^1^1")  # fmt: skip
            numbers, facts = persons.identifiers(survivor, sender), persons.facts(survivor, sender)
            yield Tidings(message.trigger, at, numbers, facts, None, absorbed)
            survivor = None
    if survivor is not None or message.first("MRG") is None:
        raise wrong("segment-sequence", "A merge names in MRG the record that goes into the one in PID.", "MRG")


def _stay(message: Message, event: Event, pv1: Segment, sender: Sender, at: datetime) -> ToldStay:
    facts: dict[str, Fact] = {}
    if said := _class(message.trigger, event, pv1):
        facts["class"] = said
    if pv1.raw(3):
        facts["place"] = _place(pv1, sender)
    if department := pv1.value(10):
        words = None if department.null else department.text(2) or department.text()
        facts["department"] = Fact({"department": words}, {"serviceType": {"text": words} if words else None})
    if source := pv1.value(14):
        code = None if source.null else source.text()
        shown = {"coding": [{"system": ADMIT_SOURCE, "code": code}]} if code else None
        facts["source"] = Fact({"admitted_from": code}, {"hospitalization.admitSource": shown})
    if (started := persons.moment_of(pv1, 44, sender)) or (event.begins and event.status != "planned"):
        moment = started or times.moment(at, sender.time_zone)
        facts["start"] = Fact({"started_at": moment.at}, {"period.start": moment.fhir})
    pv2 = message.or_empty("PV2")
    if pv2.raw(9):
        expected = persons.moment_of(pv2, 9, sender)
        shown = {"url": EXPECTED_DISCHARGE, "valueDateTime": expected.fhir} if expected else None
        facts["expected"] = Fact({"expected_end": expected.at if expected else None}, {f"extension[url={EXPECTED_DISCHARGE}]": shown})  # fmt: skip
    facts |= _end(message.trigger, event, pv1, sender, at)
    return ToldStay(facts, _number(message, sender), event.begins, event.opens, event.reopens)


def _number(message: Message, sender: Sender) -> Identifier | None:
    if sender.stay is None:
        return None
    name, _, field = sender.stay.field.partition("-")
    value = message.or_empty(name).text(int(field))
    if len(value) > persons.LONGEST:
        raise wrong("data-type", "A number of a stay is not so long.", f"{name}^1^{field}")
    return Identifier(sender.stay.system, value) if value else None


def _class(trigger: str, event: Event, pv1: Segment) -> Fact | None:
    said = pv1.text(2).upper()
    # What becomes in-patient or out-patient is said by the event, whatever is left in PV1-2.
    code = event.class_ if trigger in ("A06", "A07") and said not in ("E",) else said
    code = code if code in CLASSES else event.class_
    if code is None:
        return None
    ours, fhir, display = CLASSES[code]
    return Fact({"class_": ours}, {"class": {"system": ACT_CODE, "code": fhir, "display": display}})


def _place(pv1: Segment, sender: Sender) -> Fact:
    if pv1.null(3):
        return Fact({"ward": None, "room": None, "bed": None}, {"location": None})
    pl = pv1.value(3)
    ward = pl.text(1)
    named = {"ward": sender.wards.get(ward, ward) or None, "room": pl.text(2) or None, "bed": pl.text(3) or None}
    shown = [
        {
            "location": {"display": called},
            "status": "active",
            "physicalType": {"coding": [{"system": PHYSICAL_TYPE, "code": code}]},
        }
        for code, called in zip(("wa", "ro", "bd"), named.values(), strict=True)
        if called
    ]
    return Fact(dict(named), {"location": shown or None})


def _end(trigger: str, event: Event, pv1: Segment, sender: Sender, at: datetime) -> dict[str, Fact]:
    """Whether and how the stay ended. A correction says so by the time of discharge (PV1-45)."""
    ended = persons.moment_of(pv1, 45, sender)
    facts: dict[str, Fact] = {}
    status = event.status
    if trigger == "A08" and ended is not None:
        status = "finished"
    if status is not None:
        facts["state"] = Fact({"status": status}, {"status": status})
    if status == "finished":
        moment = ended or times.moment(at, sender.time_zone)
        facts["end"] = Fact({"ended_at": moment.at}, {"period.end": moment.fhir})
    elif status is not None:
        facts["end"] = Fact({"ended_at": None}, {"period.end": None})
    if status == "finished" or (trigger == "A08" and pv1.text(36)):
        if told := _disposition(pv1, sender, unsaid=sender.disposition_unsaid if trigger == "A03" else None):
            facts["disposition"] = told
    elif status is not None:
        facts["disposition"] = Fact(
            {"disposition": None, "receiving": None, "region": None},
            {"hospitalization.dischargeDisposition": None, "hospitalization.destination": None, "contained[id=destination]": None},
        )  # fmt: skip
    return facts


def _disposition(pv1: Segment, sender: Sender, unsaid: str | None) -> Fact | None:
    said = pv1.text(36)
    code = sender.dispositions.get(said) or (unsaid if not said else DISPOSITIONS.get(said))
    if code is None and len(said) == 1 and codes.known(codes.DISPOSITION, said):
        code = said
    if said == STILL_HERE or (not said and code is None):
        return None
    if code is None:
        raise wrong("table-value", "PV1-36 is a code of HL7 table 0112, a national one (1, 2, 3, 4, 5, 9), or one of the sender's `dispositions`.", "PV1^1^36")  # fmt: skip
    where = pv1.text(37)
    known = sender.destinations.get(where)
    name = known.name if known else pv1.text(37, 2) or where
    region = known.region if known else None
    shown: Json = {
        "hospitalization.dischargeDisposition": {"coding": [{"system": codes.DISPOSITION, "code": code}]},
        "hospitalization.destination": {"display": name} if name else None,
        "contained[id=destination]": None,
    }
    if region:
        shown["hospitalization.destination"] = {"reference": "#destination", "display": name}
        shown["contained[id=destination]"] = {
            "resourceType": "Organization", "id": "destination", "name": name, "address": [{"district": region}],
        }  # fmt: skip
    return Fact({"disposition": code, "receiving": name or None, "region": region}, shown)
