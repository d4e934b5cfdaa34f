"""Holding a resource against FHIR R4 and the profiles of the closed loop: one walk, all faults, each with its FHIRPath."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from adapters.fhir import profiles
from adapters.fhir.definitions import SHAPES, TYPES, Element, Shape
from service.errors import Invalid, Issue, Malformed
from service.values import read_json

MOST = 50
"""Issues that one answer lists; who has more mends those first."""

_TARGET = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)(?:/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$|\?)")

Place = tuple[Any, str, int]
"""Where the walk is: the place above, the element, and its position in a list or -1. Written out for a fault alone."""


def check(type: str, content: Any, at: str | None = None) -> None:
    """Raise Invalid with everything in which content breaks R4; what R4 does not know is let pass (a receiver keeps it).

    `at`: where the content stands, when not by itself: `Bundle.entry[0].resource`.
    """
    found = issues(type, content, at)
    if found:
        raise Invalid(found[0].text, issues=found)


def issues(type: str, content: Any, at: str | None = None, *, remarks: bool = False) -> list[Issue]:
    """What in content is against R4. With `remarks` also what is merely unwise, or unknown here."""
    walk = Walk(remarks)
    root: Place = (None, at or type, -1)
    if not isinstance(content, dict):
        walk.fault(root, "structure", "A resource is a JSON object.")
    elif content.get("resourceType") != type:
        walk.fault((root, "resourceType", -1), "structure", f"The resourceType is not {type}.")
    else:
        with suppress(_Enough):
            walk.resource(content, root)
    return walk.found


class _Enough(Exception):
    """As many faults are found as are told."""


class Walk:
    """One walk over one resource, or one Bundle of them."""

    __slots__ = ("contained", "found", "names", "remarks")

    def __init__(self, remarks: bool = False) -> None:
        self.found: list[Issue] = []
        self.remarks = remarks
        self.names: dict[str, str] = {}
        """fullUrl of an entry → its type; empty where two have it."""
        self.contained: Mapping[str, str] = {}
        """`#id` of a contained resource → its type."""

    def fault(self, at: Place, code: str, words: str, severity: str = "error") -> None:
        self.found.append(Issue(words, _written(at), code, severity))
        if len(self.found) == MOST:
            raise _Enough

    def resource(self, value: Any, at: Place) -> None:
        type = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(type, str):
            self.fault((at, "resourceType", -1), "required", "The element resourceType is missing.")
            return
        shape = SHAPES.get(type)
        if shape is None or not shape.resource:
            if self.remarks:
                self.fault(
                    at,
                    "not-supported",
                    "Resources of this type are not known here: nothing in it was checked.",
                    "warning",
                )
            return
        outer = self.contained
        within = value.get("contained")
        if isinstance(within, list):
            kinds = [each for each in within if isinstance(each, dict)]
            self.contained = {f"#{each.get('id')}": str(each.get("resourceType")) for each in kinds}
        elif at[1] != "contained":
            self.contained = {}
        if type == "Bundle":
            self._name(value)
        self.object(shape, value, at)
        self.contained = outer

    def _name(self, bundle: dict[str, Any]) -> None:
        entries = bundle.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            if (
                isinstance(entry, dict)
                and isinstance(entry.get("resource"), dict)
                and isinstance(entry.get("fullUrl"), str)
            ):
                url = entry["fullUrl"]
                self.names[url] = "" if url in self.names else str(entry["resource"].get("resourceType"))

    def object(self, shape: Shape, value: dict[str, Any], at: Place) -> None:
        """Each element of an object, then what it has to have, then its invariants, if all else is in order."""
        before = len(self.found)
        elements, chosen = shape.elements, ""
        if not value:
            self.fault(at, "structure", "An object has at least one element; leave it out.")
        for key, inner in value.items():
            element = elements.get(key)
            if element is None:
                if self.remarks and not (key == "resourceType" and shape.resource):
                    self.fault(
                        (at, _step(key), -1),
                        "structure",
                        "R4 has no such element here; it is kept, and nobody reads it.",
                        "warning",
                    )
                continue
            if element.choice and not element.beside:
                if chosen == element.path:
                    self.fault((at, chosen, -1), "structure", "Of a choice of types only one may be given.")
                chosen = element.path
            if not element.many:
                self._one(element, inner, (at, element.path, -1))
            elif type(inner) is not list:
                self.fault((at, element.path, -1), "structure", "This element repeats: give it as a list.")
            elif not inner:
                self.fault((at, element.path, -1), "structure", "A list is not empty; leave it out.")
            elif element.beside or None in inner:
                self._with_gaps(element, key, value, at)
            else:
                path = element.path
                for position, each in enumerate(inner):
                    self._one(element, each, (at, path, position))
        for path, names in shape.required:
            if names.isdisjoint(value):
                self.fault((at, path, -1), "required", f"The element {path} is missing.")
        if shape.rules and len(self.found) == before:
            self._rules(shape, value, at)

    def _one(self, element: Element, value: Any, at: Place) -> None:
        if element.fits is not None:
            if not element.fits(value):
                self.fault(at, element.code if value is not None else "structure", element.words)
        elif type(value) is not dict:
            self.fault(at, "structure", "This element has elements of its own: give it as an object.")
        elif element.shape is None:
            self.resource(value, at)
        else:
            self.object(element.shape, value, at)
            if element.reference:
                self._reference(element, value, at)
            elif element.bound:
                self._bound(element.bound, value, at)

    def _with_gaps(self, element: Element, key: str, value: dict[str, Any], at: Place) -> None:
        """A list of primitives and what stands beside it, `given` and `_given`: a null in one wants something in the other (json.html)."""
        name = key.removeprefix("_")
        plain, beside = value.get(name), value.get(f"_{name}")
        other = beside if key == name else plain
        for position, each in enumerate(value[key]):
            place: Place = (at, element.path, position)
            if each is not None:
                self._one(element, each, place)
            elif element.fits is None and not element.beside:
                self.fault(place, "structure", "A list holds no null.")
            elif not isinstance(other, list) or position >= len(other) or other[position] is None:
                self.fault(
                    place, "structure", "A null stands for something only where an extension, or a value, goes with it."
                )

    def _reference(self, element: Element, value: dict[str, Any], at: Place) -> None:
        """That a reference names something of a type that may stand here. One of an unknown form could name anything."""
        text, stated = value.get("reference"), value.get("type")
        if type(text) is not str:
            named = stated if type(stated) is str else None
        elif text[0:1] == "#":
            named = self.contained.get(text)
            if named is None and text != "#":
                self.fault(at, "invariant", "A reference that begins with # names a contained resource (ref-1).")
        else:
            named = self.names.get(text)
            if named is None and (found := _TARGET.search(text)) and (found[1] in TYPES or "://" not in text):
                named = found[1]
        if named and element.targets and named not in element.targets:
            self.fault(at, "value", f"This reference names a {' or '.join(sorted(element.targets))}.")

    def _bound(self, bound: tuple[str, frozenset[str]], value: dict[str, Any], at: Place) -> None:
        system, codes = bound
        codings = value.get("coding")
        if not any(
            isinstance(each, dict) and each.get("system") == system and each.get("code") in codes
            for each in (codings if isinstance(codings, list) else ())
        ):
            self.fault(at, "code-invalid", f"A coding of {system} is required: {', '.join(sorted(codes))}.")

    def _rules(self, shape: Shape, value: dict[str, Any], at: Place) -> None:
        for rule in shape.rules:
            broken = rule.broken(value)
            if not broken or (rule.severity != "error" and not self.remarks):
                continue
            for position in broken if isinstance(broken, list) else (-1,):
                where: Place = (at, rule.at.format(position), -1) if rule.at else at
                self.fault(where, rule.code, f"{rule.words} ({rule.key})", rule.severity)


def _step(key: str) -> str:
    # An unknown name could be anything that somebody typed: only what looks like an element is repeated.
    return key if re.fullmatch(r"_?[A-Za-z][A-Za-z0-9]{0,63}", key) else "?"


def _written(at: Place | None) -> str:
    steps: list[str] = []
    while at is not None:
        at, step, position = at[0], at[1], at[2]
        steps.append(step if position < 0 else f"{step}[{position}]")
    return ".".join(reversed(steps))


MODES = frozenset({"create", "update", "delete", "profile"})


def validate(
    type: str, body: bytes, *, mode: str | None = None, profile: Sequence[str] = (), id: str | None = None
) -> list[Issue]:
    """What `$validate` answers for a resource: faults (`error`), and what is merely unwise or unknown (`warning`); nothing: all is well.

    `mode`: create, update, delete or profile, or None. `profile`: those nominated by the caller; those in `meta.profile` count, too.
    `id`: of the resource in the URL. The second opinion of fhir.resources is asked, which takes milliseconds (and a second when it is
    loaded): call it in a thread. Raises Malformed for what is no resource at all.
    """
    if mode is not None and mode not in MODES:
        raise Invalid("The mode is create, update, delete or profile.", at="mode", code="code-invalid")
    if mode == "delete":
        return [
            Issue("Nothing is deleted here; a referral is voided with status entered-in-error.", type, "not-supported")
        ]
    content = read_json(body)
    if not isinstance(content, dict):
        raise Malformed("What is to be validated is a resource.", at=type)
    found = issues(type, content, remarks=True)
    sound = not any(issue.severity == "error" for issue in found)
    found += _of_mode(type, content, mode, id)
    if sound:
        found += _second_opinion(type, body)
    for canonical, by_caller in profiles.nominated(content, profile):
        found += profiles.against(canonical, by_caller, content, sound)
    return found[:MOST]


def _of_mode(type: str, content: dict[str, Any], mode: str | None, id: str | None) -> list[Issue]:
    """What a create or an update of it would meet before any rule of the type."""
    said = content.get("id")
    if mode == "create" and said is not None:
        return [
            Issue("The service gives ids; this one would not be kept.", f"{type}.id", "informational", "information")
        ]
    if mode == "update" and said is None:
        return [Issue("An update has the id of the address.", f"{type}.id", "required")]
    if mode == "update" and id is not None and said != id:
        return [Issue("The id of the body is not the id of the address.", f"{type}.id", "value")]
    return []


def _second_opinion(type: str, body: bytes) -> list[Issue]:
    """What fhir.resources has against a resource in which we found no fault; its words may repeat a value, so only the place is told."""
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    try:
        get_fhir_model_class(type).model_validate_json(body)
    except KeyError:
        return []
    except ValidationError as refused:
        return [
            Issue("A second reader (fhir.resources) does not take this element.", _place(type, fault["loc"]), "invalid")
            for fault in refused.errors(include_input=False, include_url=False)
            if fault["type"] != "extra_forbidden"
        ]
    return []


def _place(type: str, steps: Sequence[int | str]) -> str:
    written = type
    for step in steps:
        written += f"[{step}]" if isinstance(step, int) else f".{_step(step)}"
    return written
