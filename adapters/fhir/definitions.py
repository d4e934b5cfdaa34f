"""FHIR R4's own definitions as shapes to hold a resource against: read once from `definitions.txt`, the table of them."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.parsers import expat

import msgspec

from adapters.fhir.invariants import RULES, Rule

Fits = Callable[[Any], bool]


class Element(msgspec.Struct):
    """One element under the name that JSON gives it.

    `path` is its name in FHIRPath: `value` of `valueQuantity`. A primitive says by `fits` whether a value is one, anything else
    has a `shape`. `targets`: the types that a Reference may name, none: any. `bound`: code system and codes of a CodeableConcept.
    """

    path: str
    many: bool
    least: int = 0
    fits: Fits | None = None
    words: str = ""
    code: str = "value"
    shape: "Shape | None" = None
    reference: bool = False
    targets: frozenset[str] = frozenset()
    bound: tuple[str, frozenset[str]] | None = None
    choice: bool = False
    resource: bool = False
    beside: bool = False


class Shape(msgspec.Struct):
    """A type. `required`: path → the names of which one has to be there. `rules`: its invariants."""

    name: str
    elements: dict[str, Element] = {}
    required: tuple[tuple[str, frozenset[str]], ...] = ()
    rules: tuple[Rule, ...] = ()
    resource: bool = False
    kinds: dict[str, str] = {}
    """Of a resource, path of an element → what the table says of it; for tests and pages."""


def _text(pattern: str) -> Fits:
    whole = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and whole(value) is not None


def _whole(least: int) -> Fits:
    return lambda value: type(value) is int and least <= value <= 2**31 - 1


_DATE = r"(?!0000)\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])%s)?)?"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
_ZONE = r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))"


def _dated(pattern: str) -> Fits:
    whole = re.compile(pattern, re.ASCII).fullmatch

    def fits(value: Any) -> bool:
        if type(value) is not str or whole(value) is None:
            return False
        if len(value) < 10 or value[8:10] < "29":
            return True
        try:
            date.fromisoformat(value[:10])
        except ValueError:
            return False
        return True

    return fits


def _number(value: Any) -> bool:
    return type(value) in (int, float, Decimal)


FORMATTING = (
    "div p br span b i em strong tt big small dfn code q samp kbd var cite abbr acronym sub sup ul ol li dl dt dd blockquote pre hr "
    "h1 h2 h3 h4 h5 h6 table caption colgroup col thead tbody tfoot tr th td a img address bdo ins del center font s strike u map area"
)
"""FHIR R4 narrative.html: HTML 4.0 chapters 7 to 11 (but 9.4) and 15, links and images."""
TAGS = frozenset(FORMATTING.split())
WORDED = frozenset({"img", "area", "map"})


def _narrative(value: Any) -> bool:
    """txt-1 and txt-2: a div of XHTML with formatting alone, and something in it. No document type, so no entities of one."""
    if type(value) is not str or not value.lstrip().startswith("<div") or "<!DOCTYPE" in value:
        return False
    sound, said = True, False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal sound, said
        said = said or name in WORDED
        sound = sound and name in TAGS and not any(_active(*each) for each in attributes.items())

    def text(words: str) -> None:
        nonlocal said
        said = said or not words.isspace()

    reader = expat.ParserCreate()
    reader.StartElementHandler, reader.CharacterDataHandler = start, text
    try:
        reader.Parse(value, True)
    except (expat.ExpatError, ValueError):
        return False
    return sound and said


def _active(attribute: str, value: str) -> bool:
    return attribute.startswith("on") or "".join(value.split()).lower().startswith(
        ("javascript:", "vbscript:", "data:text")
    )


_LETTERS = r"[^\x00-\x08\x0b\x0c\x0e-\x1f]{1,1048576}"
PRIMITIVES: dict[str, tuple[Fits, str]] = {
    "base64Binary": (_text(r"[0-9A-Za-z+/=\s]+"), "Base64"),
    "boolean": (lambda value: type(value) is bool, "true or false, without quotes"),
    "canonical": (_text(r"\S+"), "a canonical URL"),
    "code": (_text(r"[^\s]+([\s][^\s]+)*"), "a code: no blanks around it, single ones within"),
    "date": (_dated(_DATE % ""), "a date: YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": (_dated(_DATE % f"(T{_TIME}{_ZONE})?"), "a date, or date and time with zone: YYYY-MM-DDThh:mm:ss+zz:zz"),
    "decimal": (_number, "a number, without quotes"),
    "id": (_text(r"[A-Za-z0-9\-.]{1,64}"), "an id: 1 to 64 letters, digits, - and ."),
    "instant": (_dated(rf"(?!0000)\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T{_TIME}{_ZONE}"), "an instant: YYYY-MM-DDThh:mm:ss+zz:zz"),
    "integer": (_whole(-(2**31)), "an integer of 32 bits, without quotes"),
    "markdown": (_text(_LETTERS), "a text that is not empty, without control characters"),
    "oid": (_text(r"urn:oid:[0-2](\.(0|[1-9]\d*))+"), "an OID: urn:oid:…"),
    "positiveInt": (_whole(1), "a positive integer, without quotes"),
    "string": (_text(_LETTERS), "a text that is not empty, without control characters"),
    "time": (_text(_TIME), "a time: hh:mm:ss"),
    "unsignedInt": (_whole(0), "an integer not below 0, without quotes"),
    "uri": (_text(r"\S+"), "a URI, without blanks"),
    "url": (_text(r"\S+"), "a URL, without blanks"),
    "uuid": (_text(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "a UUID: urn:uuid:…"),
    "xhtml": (_narrative, "a div of XHTML with plain formatting (FHIR narrative.html): no scripts, no HTML entities, not empty"),
}  # fmt: skip
"""The primitives of R4 (datatypes.html): whether a JSON value is one, and what one is in words."""

REFUSED = {
    "modifierExtension": ("extension", "This service knows no modifier extension, and one must not be overlooked: leave it out, or say it elsewhere."),
    "implicitRules": ("not-supported", "This service knows no implicit rules, and they must not be overlooked: leave them out."),
}  # fmt: skip
"""Elements that change what the rest means (FHIR extensibility.html#modifierExtension)."""

WIDER = {"CarePlan.basedOn": frozenset({"ServiceRequest"})}
"""References that may name more than R4 allows: an agency's plan answers a request, as R5 has it."""


class _Reader:
    """Makes shapes of the table; each is there, empty, before the first is filled, since they name one another."""

    def __init__(self, text: str) -> None:
        self.blocks: dict[str, tuple[str, list[list[str]]]] = {}
        for block in re.sub(r"(?m)^#.*\n", "", text).strip().split("\n\n"):
            head, *lines = block.split("\n")
            if head.startswith("*"):
                self.every = head[2:].split(" | ")
                continue
            name, _, base = head.partition(" : ")
            self.blocks[name] = (base, [line.split(maxsplit=2) for line in lines])
        self.shapes = {name: Shape(name, resource=self._is(name, "Resource")) for name in self.blocks}
        for name, shape in self.shapes.items():
            self._fill(shape, name)
            shape.rules = tuple(rule for each in self._line(name) for rule in RULES.get(each, ()))

    def _line(self, name: str) -> list[str]:
        """A type and what it is built on, the most general first."""
        base = self.blocks[name][0]
        return [*(self._line(base) if base else ()), name]

    def _is(self, name: str, base: str) -> bool:
        return base in self._line(name)

    def _fill(self, shape: Shape, name: str) -> None:
        required: list[tuple[str, frozenset[str]]] = []
        for each in self._line(name):
            for key, cardinality, kinds in self.blocks[each][1]:
                path, names = key.removesuffix("[x]"), list[str]()
                shape.kinds[path] = f"{cardinality} {kinds}"
                choice = key != path
                for kind in (self.every if kinds == "*" else kinds.split(" | ")) if choice else [kinds]:
                    bare = kind.partition("(")[0]
                    json = path + bare[0].upper() + bare[1:] if choice else path
                    json = json.replace("SimpleQuantity", "Quantity")
                    names += [json, f"_{json}"]
                    element = self._element(f"{each}.{path}", path, cardinality, kind)
                    element.choice = choice
                    shape.elements[json] = element
                    if element.fits is not None and element.path not in REFUSED:
                        shape.elements[f"_{json}"] = Element(
                            path, element.many, shape=self.shapes["Element"], beside=True
                        )
                if cardinality[0] == "1":
                    required.append((path, frozenset(names)))
        shape.required = tuple(required)

    def _element(self, whole: str, path: str, cardinality: str, said: str) -> Element:
        kind, _, codes = said.partition(" = ")
        element = Element(path, cardinality.endswith("*"), int(cardinality[0]))
        if path in REFUSED:
            element.many, element.fits = False, lambda _: False
            element.code, element.words = REFUSED[path]
        elif kind.startswith("Reference"):
            element.reference, element.shape = True, self.shapes["Reference"]
            targets = frozenset(kind[10:-1].split())
            element.targets = targets | WIDER.get(whole, frozenset()) if targets else targets
        elif kind in PRIMITIVES:
            fits, words = PRIMITIVES[kind]
            element.fits, element.words = fits, f"This is not {words}."
            if codes:
                allowed = frozenset(codes.split())
                element.fits = lambda value: type(value) is str and value in allowed
                element.words = f"The value is not in the required value set: {', '.join(codes.split())}."
                element.code = "code-invalid"
        elif kind == "Resource":
            element.resource = True
        else:
            element.shape = self.shapes[kind]
            if codes:
                system, *rest = codes.split()
                element.bound = (system, frozenset(rest))
        return element


SHAPES = _Reader((Path(__file__).with_name("definitions.txt")).read_text(encoding="utf-8")).shapes
"""Every type of the table by its name; parts of a type by their path (`Task.input`)."""
TYPES = frozenset(
    type for shape in SHAPES.values() for element in shape.elements.values() for type in element.targets
) | {name for name, shape in SHAPES.items() if shape.resource}
"""Names of resource types that the table knows of, spoken here or not."""
