"""What a PID says of a person, as facts: the service's fields, and the elements of the FHIR Patient (v2-to-FHIR)."""

from typing import Any

from adapters.hl7v2 import times
from adapters.hl7v2.er7 import Segment, Value
from adapters.hl7v2.faults import wrong
from adapters.hl7v2.senders import Sender
from service.directory.regions import stripped
from service.followup.tidings import Fact
from service.patients import identity
from service.patients.model import Identifier

Json = dict[str, Any]

GENDERS = {"M": "male", "F": "female", "O": "other", "A": "other", "N": "other", "U": "unknown", "1": "male", "2": "female",
           "0": "unknown", "9": "unknown"}  # fmt: skip
"""HL7 table 0001, and GB/T 2261.1."""

NAME_USES = {"": "official", "L": "official", "B": "official", "D": "usual", "C": "usual", "A": "usual", "N": "nickname", "S": "anonymous", "T": "temp", "M": "maiden", "BAD": "old"}  # fmt: skip
NAME_RANK = ("L", "", "D", "C", "B")
"""HL7 table 0200: how a name is used, and which of several is who the person is."""

ADDRESS_USES = {"C": "temp", "H": "home", "P": "home", "L": "home", "": "home", "M": "home", "R": "home", "B": "work", "O": "work", "BA": "old"}  # fmt: skip
NO_HOME = frozenset({"N", "BDL", "BR", "F"})
"""HL7 table 0190: how an address is used; where somebody was born, or lived elsewhere, is not asked."""

LANGUAGES = {"ZHO": "zh", "CHI": "zh", "ZH": "zh", "CN": "zh", "ENG": "en", "EN": "en"}
LONGEST = 200
"""Characters of a number; no number is longer, and what is fills an index."""


def numbers(segment: Segment, field: int, sender: Sender) -> tuple[Identifier, ...]:
    """The numbers of a field of CX that the configuration knows: by type and authority, by authority, by type."""
    found: list[Identifier] = []
    for cx in segment.all(field):
        type, value = cx.text(5), cx.text(1)
        authorities = [cx.text(4, sub) for sub in (1, 2) if cx.text(4, sub)]
        keys = [*(f"{type}@{one}" for one in authorities), *(f"@{one}" for one in authorities), type]
        system = next((sender.identifiers[key] for key in keys if key in sender.identifiers), None)
        if system and value and not cx.null:
            found.append(_number(system, value, f"{segment.name}^1^{field}"))
    return tuple(found)


def identifiers(pid: Segment, sender: Sender) -> tuple[Identifier, ...]:
    """The numbers of a person: PID-3, and the fields that the configuration names."""
    found = list(numbers(pid, 3, sender))
    for key, system in sender.identifiers.items():
        if key.startswith("PID-") and key[4:].isdigit():
            value = pid.value(int(key[4:]))
            if value and not value.null and value.text():
                found.append(_number(system, value.text(), f"PID^1^{key[4:]}"))
    return tuple(dict.fromkeys(found))


def _number(system: str, value: str, at: str) -> Identifier:
    if len(value) > LONGEST:
        raise wrong("data-type", "A number of a person is not so long.", at)
    return identity.normalised(Identifier(system, value))


def facts(pid: Segment, sender: Sender) -> dict[str, Fact]:
    """What is said of the person. A field that is empty says nothing; one that is null deletes."""
    found: dict[str, Fact] = {}
    if names := pid.all(5):
        found["name"] = Fact({"name": None}, {"name": None}) if pid.null(5) else _names(names)
    if pid.value(7):
        found["birth"] = _birth(pid, sender)
    if gender := pid.value(8):
        found["gender"] = _gender(gender, sender)
    if addresses := pid.all(11):
        gone = Fact({"address": None, "region": None}, {"address": None})
        found["address"] = gone if pid.null(11) else _addresses(addresses, sender)
    if pid.raw(13) or pid.raw(14):
        found["telecom"] = _telecoms(pid)
    if language := pid.value(15):
        found["language"] = _language(language)
    if dead := _deceased(pid, sender):
        found["deceased"] = dead
    return {name: fact for name, fact in found.items() if fact.fields}


def _names(given: list[Value]) -> Fact:
    # Ideographs before letters, the legal name before others.
    ranked = sorted(
        (name for name in given if name.text(1) or name.text(2)),
        key=lambda name: (name.text(8) not in ("", "I"), NAME_RANK.index(name.text(7)) if name.text(7) in NAME_RANK else 9),
    )  # fmt: skip
    shown = [_name(name) for name in ranked]
    return Fact({"name": shown[0]["text"]}, {"name": shown}) if shown else Fact({})


def _name(name: Value) -> Json:
    family, given = name.text(1), [part for part in (name.text(2), name.text(3)) if part]
    chinese = any("\u3400" <= letter <= "\u9fff" for letter in "".join((family, *given)))
    parts = [family, *given] if chinese else [*given, family]
    text = ("" if chinese else " ").join(part for part in parts if part)
    shown: Json = {"use": NAME_USES.get(name.text(7), "usual"), "text": text}
    if family and given:
        shown |= {"family": family, "given": given}
    return shown


def _birth(pid: Segment, sender: Sender) -> Fact:
    if pid.null(7):
        return Fact({"birth_date": None}, {"birthDate": None})
    moment = moment_of(pid, 7, sender)
    assert moment is not None
    return Fact({"birth_date": moment.day}, {"birthDate": moment.fhir[:10]})


def _gender(value: Value, sender: Sender) -> Fact:
    code = "unknown" if value.null else (GENDERS | sender.genders).get(value.text().upper())
    if code is None:
        raise wrong(
            "table-value", "PID-8 is a code of HL7 table 0001, of GB/T 2261.1, or of the sender's `genders`.", "PID^1^8"
        )
    return Fact({"gender": code}, {"gender": code})


def _addresses(given: list[Value], sender: Sender) -> Fact:
    listed = [(ADDRESS_USES.get(one.text(7), "home"), one) for one in given if one.text(7) not in NO_HOME]
    # Where the person lives now: `temp` before `home` (as over FHIR).
    listed.sort(key=lambda one: ("temp", "home", "work", "old").index(one[0]))
    shown = [element for use, one in listed if len(element := _address(use, one, sender)) > 1]
    if not shown:
        return Fact({})
    lived = [one for one in shown if one["use"] in ("temp", "home")]
    first = lived[0] if lived else None
    region = next((stripped(one["district"]) for one in lived if _is_region(one.get("district", ""))), None)
    words = " ".join(filter(None, (first.get("state"), first.get("city"), *first.get("line", ())))) if first else None
    return Fact({"address": words or None, "region": region}, {"address": shown})


def _is_region(text: str) -> bool:
    return text.isascii() and text.isdigit() and 6 <= len(text) <= 12


def _address(use: str, one: Value, sender: Sender) -> Json:
    street = " ".join(filter(None, (one.text(1, 1), one.text(1, 2), one.text(1, 3))))
    shown: Json = {"use": use}
    if lines := [part for part in (street, one.text(2)) if part]:
        shown["line"] = lines
    for key, part in (("city", 3), ("state", 4), ("postalCode", 5), ("country", 6), ("district", sender.district)):
        if text := one.text(part):
            shown[key] = text
    return shown


def _telecoms(pid: Segment) -> Fact:
    shown: list[Json] = []
    for field, use in ((13, "home"), (14, "work")):
        for xtn in pid.all(field):
            if not xtn.null and (one := _telecom(xtn, use)):
                shown.append(one)
    # A mobile telephone first: it is the person's own.
    shown.sort(key=lambda one: one.get("use") != "mobile")
    phone = next((one["value"] for one in shown if one["system"] == "phone"), None)
    if not shown and not (pid.null(13) or pid.null(14)):
        return Fact({})
    return Fact({"phone": phone}, {"telecom": shown or None})


def _telecom(xtn: Value, use: str) -> Json | None:
    kind = xtn.text(3)
    if kind in ("Internet", "X.400") or xtn.text(2) == "NET":
        address = xtn.text(4) or xtn.text(1)
        return {"system": "email", "value": address, "use": use} if "@" in address else None
    local = "-".join(part for part in (xtn.text(6), xtn.text(7)) if part)
    if local and xtn.text(5):
        local = f"+{xtn.text(5).lstrip('+')} {local}"
    number = next((part for part in (xtn.text(12), xtn.text(1), local) if any(c.isdigit() for c in part)), None)
    if number is None:
        return None
    system = {"FX": "fax", "BP": "pager"}.get(kind, "phone")
    return {"system": system, "value": number, "use": "mobile" if kind == "CP" else use}


def _language(value: Value) -> Fact:
    if value.null:
        return Fact({"language": None}, {"communication": None})
    said = value.text()
    code = LANGUAGES.get(said.upper(), said.lower() if len(said) == 2 and said.isalpha() else None)
    if code is None:
        return Fact({})
    coding = {"system": "urn:ietf:bcp:47", "code": code}
    return Fact({"language": code}, {"communication": [{"language": {"coding": [coding]}, "preferred": True}]})


def _deceased(pid: Segment, sender: Sender) -> Fact | None:
    alive = {"deceasedBoolean": False, "deceasedDateTime": None}
    if pid.value(29) and not pid.null(29):
        moment = moment_of(pid, 29, sender)
        assert moment is not None
        return Fact({"deceased": True}, {"deceasedDateTime": moment.fhir, "deceasedBoolean": None})
    if pid.null(29) or pid.null(30):
        return Fact({"deceased": False}, alive)
    if pid.text(30).upper() == "N":
        return Fact({"deceased": False}, alive, retracts=True)
    if pid.text(30).upper() == "Y":
        return Fact({"deceased": True}, {"deceasedBoolean": True, "deceasedDateTime": None})
    return None


def moment_of(segment: Segment, field: int, sender: Sender) -> times.Moment | None:
    """The time in a field; None where there is none. Raises a fault with its place where it is no time."""
    text = segment.text(field)
    if not text:
        return None
    try:
        return times.read(text, sender.time_zone)
    except ValueError:
        place = f"{segment.name}^1^{field}"
        raise wrong("data-type", "This is no time of HL7: YYYY[MM[DD[HH[MM[SS[.S]]]]]][+ZZZZ].", place) from None
