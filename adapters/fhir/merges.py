"""Two records of one person over FHIR: the absorbed one put with `active` false and a link, `$merge`, `$undo-merge`."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import intake, outcomes, parameters, references, wire
from adapters.fhir.submission import Stored
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, Issue, NotFound, Stale
from service.followup import merging_flow
from service.patients import flow as patients
from service.patients.model import Merge, Patient
from service.values import Id, Reason


def replaced_by(read: wire.Patient) -> Id | None:
    """The record that this one says it was replaced by, if it is out of use. Raises Invalid where only one of both is said."""
    links = [(n, link) for n, link in enumerate(read.link) if link.type == "replaced-by"]
    if not links:
        return None
    at = f"Patient.link[{links[0][0]}].other"
    if len(links) > 1:
        raise Invalid("A record is replaced by one other.", at=f"Patient.link[{links[1][0]}]", code="business-rule")
    if read.active is not False:
        raise Invalid(
            "Who was replaced is not in use any more: active is false.", at="Patient.active", code="business-rule"
        )
    return references.required(links[0][1].other, "Patient", at=at)


async def absorbed(
    session: Session, actor: Actor, known: Patient, survivor: Id, body: bytes, expected: int | None, now: datetime
) -> Stored:
    """PUT of a record that another one replaces: the merge. The same again is 200 without a new version."""
    if expected is not None and expected != known.version:
        raise Stale(f"The Patient is at version {known.version} now; read it again.")
    if known.merged_into != survivor:
        await merging_flow.merge(session, actor, survivor, known.id, now, body=body)
        return Stored("Patient", known.id, known.version + 1, 200)
    return Stored("Patient", known.id, known.version, 200)


class Named(msgspec.Struct, frozen=True):
    """One parameter of `$merge` or `$undo-merge`."""

    name: wire.Text
    value_reference: wire.Reference | None = msgspec.field(default=None, name="valueReference")
    value_identifier: wire.Identifier | None = msgspec.field(default=None, name="valueIdentifier")
    value_string: wire.Text | None = msgspec.field(default=None, name="valueString")


class Given(msgspec.Struct, frozen=True):
    parameter: tuple[Named, ...] = ()


async def merge(session: Session, actor: Actor, body: bytes, now: datetime) -> tuple[Merge, Id]:
    """`Patient/$merge` (the shape of R5's): source-patient is absorbed by target-patient, each by reference or by
    identifiers; which merge it is, and the survivor."""
    given = wire.decode(body, Given, "Parameters")
    source = await _named(session, actor, given, "source-patient")
    target = await _named(session, actor, given, "target-patient")
    made = await merging_flow.merge(session, actor, target, source, now)
    return made, target


async def undo(session: Session, actor: Actor, absorbed: Id, body: bytes, now: datetime) -> Merge:
    """`Patient/{id}/$undo-merge` of the absorbed record, with `reason`."""
    given = wire.decode(body, Given, "Parameters")
    why = next((each.value_string for each in given.parameter if each.name == "reason"), None)
    return await merging_flow.undo_of(session, actor, absorbed, Reason(None, why), now)


async def _named(session: Session, actor: Actor, given: Given, name: str) -> Id:
    at = "Parameters.parameter"
    for position, each in enumerate(given.parameter):
        if each.name == name and each.value_reference:
            return references.required(each.value_reference, "Patient", at=f"{at}[{position}].valueReference")
    numbers = [each.value_identifier for each in given.parameter if each.name == f"{name}-identifier"]
    told = intake.identifiers(tuple(number for number in numbers if number))
    if not told:
        raise Invalid(f"Name {name}, by reference or by {name}-identifier.", at=at, code="required")
    found = await patients.find(session, actor, told)
    if found is None:
        raise NotFound("There is no patient of this hospital with that identifier.", at=at)
    return found.id


def merged(made: Merge, survivor: dict[str, Any] | None) -> dict[str, Any]:
    """What `$merge` answers: that it was done, which merge it is, and the survivor where the token may read it."""
    outcome = outcomes.information(
        [Issue("The records were merged.", code="informational", severity="information")], "Patient"
    )
    return parameters.reply(
        [{"name": "outcome", "resource": outcome}, *([{"name": "result", "resource": survivor}] if survivor else []),
         {"name": "merge", "valueString": str(made.id)}]
    )  # fmt: skip


def undone(made: Merge) -> dict[str, Any]:
    """What `$undo-merge` answers: both records, and what came to the survivor since, which stays there for a person to
    look at."""
    return parameters.reply(
        [
            {"name": "restored", "valueReference": {"reference": f"Patient/{made.absorbed}"}},
            {"name": "survivor", "valueReference": {"reference": f"Patient/{made.survivor}"}},
            *({"name": "added", "valueReference": {"reference": f"{type}/{id}"}} for type, id in made.added),
        ]
    )
