"""What a row of the table of the surface says: a type and its search parameters, and the short ways to write them."""

from typing import Literal

import msgspec

from adapters.fhir.ways import AGENCY, ALL, INTERACTIONS, ON_EVERY_TYPE, PARTIES, READ, WORKERS, Sides, Way

Kind = Literal["token", "code", "reference", "date", "string", "uri", "boolean"]
Room = Literal[
    "task", "request", "patient", "record", "directory", "subscription", "audit", "published", "attachment", "group"
]


class Param(msgspec.Struct, frozen=True):
    """A search parameter. `field`: what it is in the room that searches; `path`: where it stands in a resource kept as
    received (several places, with a bar between them). `system`: what the codes of a `code` are bound to. `personal`: its
    value may identify a person, so it never goes into a link of ours. `whole`: it is searched by those alone who see
    the whole of what others wrote. `definition`: of a parameter that base R4 does not define, what it means, and
    `expression` where it stands, in FHIRPath."""

    name: str
    kind: Kind
    field: str = ""
    path: str = ""
    targets: tuple[str, ...] = ()
    personal: bool = False
    definition: str = ""
    expression: str = ""
    system: str = ""
    whole: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.path.split("|")) if self.path else ()


class Type(msgspec.Struct, frozen=True):
    """A resource type: `room` says who answers for it. `interactions`: the names of those of INTERACTIONS that it offers.
    `includes`: name → the elements that hold the reference. `who` may read it; `creates` and `updates`: the sides that may
    write it at all, whatever rules are met then. `profiles`: those that what is shown and what is taken in here meet."""

    room: Room
    interactions: tuple[str, ...]
    params: tuple[Param, ...]
    includes: dict[str, tuple[str, ...]] = {}
    doc: str = ""
    operations: tuple[Way, ...] = ()
    who: Sides = PARTIES
    creates: Sides = PARTIES
    updates: Sides = PARTIES
    profiles: tuple[str, ...] = ()

    def param(self, name: str) -> Param | None:
        return next((param for param in self.params if param.name == name), None)

    @property
    def ways(self) -> tuple[Way, ...]:
        """Everything that may be asked of it."""
        offered = (way for way in INTERACTIONS if way.name in self.interactions)
        return (*offered, *self.operations, *ON_EVERY_TYPE)

    def sides(self, way: Way) -> Sides:
        """The sides that may use this way on the type. What is a volunteer's is theirs, though they read no type as such."""
        if "volunteer" in way.who:
            return way.who
        allowed = {"create": self.creates, "update": self.updates, "patch": self.updates}.get(way.name, self.who)
        return tuple(side for side in way.who if side in allowed)


ID = Param("_id", "token", "id")
CHANGED = Param("_lastUpdated", "date", "changed")


def reference(name: str, field: str, *targets: str) -> Param:
    return Param(name, "reference", field, targets=targets)


def path(
    name: str, kind: Kind, path: str, *targets: str, personal: bool = False, definition: str = "", expression: str = ""
) -> Param:
    return Param(
        name, kind, path=path, targets=targets, personal=personal, definition=definition, expression=expression
    )


def date(name: str, *elements: str, at: str = "") -> Param:
    """A date over elements that hold moments or periods; `at`: the room's own field over them."""
    return Param(name, "date", at, "|".join(f"$.{element}" for element in elements))


def code(name: str, system: str, field: str = "", *, path: str = "") -> Param:
    """A token over an element of type code, whose system is known from what it is bound to."""
    return Param(name, "code", field or ("" if path else name), path, system=f"http://hl7.org/fhir/{system}")


def coded(name: str, element: str) -> Param:
    """A token over a CodeableConcept, one or many of them."""
    return path(name, "token", f"$.{element}[*].coding[*]")


STAFF = ("Organization", "PractitionerRole", "Practitioner")
IDENTIFIER = path("identifier", "token", "$.identifier[*]", personal=True)
PERSON = reference("patient", "person", "Patient")
SUBJECT = reference("subject", "person", "Patient")


def record(
    interactions: tuple[str, ...], *params: Param, doc: str = "", by: Sides = WORKERS, **includes: tuple[str, ...]
) -> Type:
    """A type kept as received; `by`: the sides that may write it."""
    named = {k.replace("_", "-"): v for k, v in includes.items()}
    return Type("record", interactions, (ID, CHANGED, *params), named, doc, creates=by, updates=by)


def directory(
    *params: Param, interactions: tuple[str, ...] = READ, doc: str = "", operations: tuple[Way, ...] = (), **includes: tuple[str, ...]
) -> Type:  # fmt: skip
    return Type("directory", interactions, (ID, CHANGED, *params), includes, doc, operations, who=ALL, updates=AGENCY)


def published(*params: Param, doc: str) -> Type:
    """A type whose resources change only with the program."""
    return Type("published", READ, (ID, CHANGED, *params), doc=doc, who=ALL)
