"""A stay as FHIR says it: the Encounter's Structs, and what the service reads of them; pure translation."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from adapters.fhir import intake, wire
from service import codes
from service.errors import Invalid
from service.patients.model import Stay, StayClass
from service.values import Id

EXPECTED_DISCHARGE, FIT_FOR_DISCHARGE = "urn:yuanshe:expected-discharge", "urn:yuanshe:fit-for-discharge"
"""Extensions of an Encounter, each a valueDateTime."""

CLASSES: dict[str, StayClass] = {
    "IMP": "in", "ACUTE": "in", "NONAC": "in", "OBSENC": "in", "PRENC": "in", "SS": "in", "EMER": "emergency",
}  # fmt: skip
"""v3-ActEncounterCode; every other class is ambulatory."""

PHYSICAL_TYPE = "http://terminology.hl7.org/CodeSystem/location-physical-type"
WARD, ROOM, BED = "wa", "ro", "bd"

HL7_DISPOSITIONS = {
    "home": "1", "alt-home": "1", "long": "2", "hosp": "2", "oth": "9", "other-hcf": "2", "psy": "2", "rehab": "2", "snf": "2",
    "aadvice": "4", "exp": "5",
}  # fmt: skip
"""The codes of HL7's discharge-disposition in the words of the national list (离院方式)."""


class Hospitalization(Struct, frozen=True):
    destination: wire.Reference | None = None
    admit_source: wire.Concept | None = msgspec.field(default=None, name="admitSource")
    discharge_disposition: wire.Concept | None = msgspec.field(default=None, name="dischargeDisposition")


class Place(Struct, frozen=True):
    """An Organization or Location: what it is called, what kind of place it is, and its address."""

    id: wire.Text | None = None
    name: wire.Text | None = None
    physical_type: wire.Concept | None = msgspec.field(default=None, name="physicalType")
    address: tuple[wire.Address, ...] | wire.Address = ()


class Located(Struct, frozen=True):
    """Where somebody lies during a stay, and when."""

    location: wire.Reference
    status: Literal["planned", "active", "reserved", "completed"] | None = None
    physical_type: wire.Concept | None = msgspec.field(default=None, name="physicalType")
    period: wire.Period | None = None


class Encounter(Struct, frozen=True):
    status: Literal[
        "planned",
        "arrived",
        "triaged",
        "in-progress",
        "onleave",
        "finished",
        "cancelled",
        "entered-in-error",
        "unknown",
    ]
    subject: wire.Reference | None = None
    class_: wire.Coding | None = msgspec.field(default=None, name="class")
    identifier: tuple[wire.Identifier, ...] = ()
    period: wire.Period | None = None
    priority: wire.Concept | None = None
    service_type: wire.Concept | None = msgspec.field(default=None, name="serviceType")
    location: tuple[Located, ...] = ()
    hospitalization: Hospitalization | None = None
    extension: tuple[wire.Extension, ...] = ()
    contained: tuple[Raw, ...] = ()


def stay(
    read: Encounter, id: Id, patient: Id, hospital: Id, now: datetime, at: str, places: Mapping[str, Place]
) -> Stay:
    """`places`: the Organizations and Locations of the same submission, by reference."""
    period, going = read.period, read.hospitalization
    contained = {
        f"#{place.id}": place
        for place in (wire.decode(raw, Place, f"{at}.contained") for raw in read.contained)
        if place.id
    }
    known = contained | dict(places)
    where = going.destination.reference if going and going.destination else None
    destination = known.get(where or "")
    addresses = destination.address if destination else ()
    disposition = _disposition(going.discharge_disposition, at) if going and going.discharge_disposition else None
    number = intake.identifiers(read.identifier)
    if read.status == "finished" and not (period and period.end):
        raise Invalid("A finished stay has an end.", at=f"{at}.period.end", code="required")
    return Stay(
        id=id, hospital=hospital, patient=patient, version=0, status=read.status, updated_at=now, number=number[0] if number else None,
        started_at=wire.instant(period.start, f"{at}.period.start") if period and period.start else None,
        ended_at=wire.instant(period.end, f"{at}.period.end") if period and period.end else None, disposition=disposition,
        region=intake.region(addresses if isinstance(addresses, tuple) else (addresses,)),
        class_=CLASSES.get(read.class_.code or "", "out") if read.class_ and read.class_.code else None,
        ward=_lies(read.location, WARD, known), room=_lies(read.location, ROOM, known), bed=_lies(read.location, BED, known),
        department=_said(read.service_type), admitted_from=_code_or_words(going.admit_source) if going else None,
        receiving=_called(going.destination, known) if going and going.destination else None,
        elective=_elective(read.priority), expected_end=_at(read.extension, EXPECTED_DISCHARGE, at), fit_at=_at(read.extension, FIT_FOR_DISCHARGE, at),
    )  # fmt: skip


ACT_PRIORITY = "http://terminology.hl7.org/CodeSystem/v3-ActPriority"


def _elective(priority: wire.Concept | None) -> bool | None:
    """Whether the admission was planned, where its priority says so."""
    said = priority.code(ACT_PRIORITY) if priority else None
    return None if said is None else said == "EL"


def _lies(given: tuple[Located, ...], kind: str, places: Mapping[str, Place]) -> str | None:
    """What the hospital calls the place of this kind where the person lies now: the active one, else the last that has not
    ended; one planned or left is none."""
    fit: list[tuple[bool, int, str]] = []
    for position, each in enumerate(given):
        place = places.get(each.location.reference or "")
        concept = each.physical_type or (place.physical_type if place else None)
        if concept is None or kind not in {c.code for c in concept.coding if c.system in (PHYSICAL_TYPE, None)}:
            continue
        if each.status in ("planned", "reserved", "completed") or (each.period and each.period.end):
            continue
        if called := _called(each.location, places):
            fit.append((each.status == "active", position, called))
    return max(fit)[2] if fit else None


def _called(named: wire.Reference, places: Mapping[str, Place]) -> str | None:
    """The name of a place or an institution: its reference's words, its own, or its number."""
    place = places.get(named.reference or "")
    number = named.identifier.value if named.identifier else None
    return named.display or (place.name if place else None) or number


def _said(concept: wire.Concept | None) -> str | None:
    return (concept.words or next((c.code for c in concept.coding if c.code), None)) if concept else None


def _code_or_words(concept: wire.Concept | None) -> str | None:
    return (next((c.code for c in concept.coding if c.code), None) or concept.text) if concept else None


def _at(given: tuple[wire.Extension, ...], url: str, at: str) -> datetime | None:
    for position, each in enumerate(given):
        if each.url == url:
            if each.value_datetime is None:
                raise Invalid("This extension is a valueDateTime.", at=f"{at}.extension[{position}]", code="value")
            return wire.instant(each.value_datetime, f"{at}.extension[{position}].valueDateTime")
    return None


def _disposition(said: wire.Concept, at: str) -> str:
    """The national code of the way of leaving; HL7's own codes are read too. Anything else is refused rather than lost:
    the follow-up depends on it."""
    national = said.code(codes.DISPOSITION)
    for code in [national] if national else [coding.code for coding in said.coding]:
        if code is not None and codes.known(codes.DISPOSITION, code):
            return code
        if code in HL7_DISPOSITIONS and national is None:
            return HL7_DISPOSITIONS[code]
    raise Invalid(
        f"The way of leaving is 1, 2, 3, 4, 5 or 9 of {codes.DISPOSITION}, or a code of HL7's discharge-disposition.",
        at=f"{at}.hospitalization.dischargeDisposition", code="code-invalid",
    )  # fmt: skip
