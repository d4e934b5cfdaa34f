"""A person as one hospital knows them, and their stays."""

from datetime import date, datetime
from typing import Literal

import msgspec

from service.values import Id

CITIZEN_NUMBER = "urn:oid:2.16.156.10011.1.3"
"""Identifier system of the citizen number (GB 11643), in national CDA usage."""


class Identifier(msgspec.Struct, frozen=True, order=True):
    system: str
    value: str


class Patient(msgspec.Struct, frozen=True):
    """What the service reads of a person. `received` is the version of the record with the resource as received."""

    id: Id
    hospital: Id
    version: int
    identifiers: tuple[Identifier, ...]
    updated_at: datetime
    name: str | None = None
    phone: str | None = None
    birth_date: date | None = None
    gender: str = "unknown"
    address: str | None = None
    region: str | None = None
    language: str | None = None
    no_identifier_reason: str | None = None
    deceased: bool = False
    received: int = 1
    merged_into: Id | None = None
    """The record that took this one in, and answers in its place."""


class Merge(msgspec.Struct, frozen=True):
    """Two records of one hospital that were found to be of one person: `survivor` took in `absorbed`. `added`, of a merge that
    was undone: what came to the survivor since, type and id; it stays there, and a person looks at it."""

    id: Id
    hospital: Id
    survivor: Id
    absorbed: Id
    at: datetime
    survivor_deceased: bool = False
    survivor_reason: str | None = None
    """Why the survivor had no identifier before."""
    absorbed_received: int = 1
    """The version in which the absorbed record was last received before the merge."""
    undone_at: datetime | None = None
    added: tuple[tuple[str, Id], ...] = ()


StayClass = Literal["in", "out", "emergency"]
"""In-patient, out-patient, emergency."""


class Stay(msgspec.Struct, frozen=True):
    """A hospital stay, as its hospital last said (FHIR Encounter, HL7 v2 ADT).

    `status` is the Encounter's: `onleave` while the person is away for a time, `cancelled` where the admission was an
    error. `disposition` is the national code of the way of leaving; `region` that of the destination, `receiving` the name
    of the institution there. `fit_at`: medically fit for discharge since. `readmission_of` is found by the service.
    Ward, room, bed and department are as the hospital calls them, and stay in this row.
    """

    id: Id
    hospital: Id
    patient: Id
    version: int
    status: str
    updated_at: datetime
    number: Identifier | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    disposition: str | None = None
    region: str | None = None
    received: int = 1
    class_: StayClass | None = None
    ward: str | None = None
    room: str | None = None
    bed: str | None = None
    department: str | None = None
    expected_end: datetime | None = None
    fit_at: datetime | None = None
    admitted_from: str | None = None
    receiving: str | None = None
    readmission_of: Id | None = None
    elective: bool | None = None
    """The admission was planned; None: nobody said."""
