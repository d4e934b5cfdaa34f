"""Acknowledgements: MSA and ERR, in the sender's own version, delimiters and character set; and whether one is wanted."""

from collections.abc import Sequence
from datetime import datetime

from adapters.hl7v2 import times
from adapters.hl7v2.er7 import STANDARD, Delimiters, Message, Segment
from adapters.hl7v2.faults import condition
from service.records.model import Fault
from service.values import SHANGHAI, new_id

CHARSETS = {"utf-8": "UNICODE UTF-8", "gb18030": "GB 18030-2000", "latin-1": "8859/1", "ascii": "ASCII"}
LONG_AGO = ("2.3", "2.3.1", "2.4")
"""Versions in which ERR has one field, of place and code."""


def application(
    message: Message, now: datetime, text: str, fault: Fault | None = None, *, reject: bool = False
) -> bytes:
    """AA, AE (it is kept, or could not be) or AR (it was not taken, and is not kept)."""
    return _acknowledged(message, "AA" if fault is None else "AR" if reject else "AE", now, text, fault)


def accepted(message: Message, now: datetime, code: str) -> bytes:
    """CA, CE or CR: that it was received safely, whatever it says."""
    return _acknowledged(message, code, now, "", None)


def _acknowledged(message: Message, code: str, now: datetime, text: str, fault: Fault | None) -> bytes:
    marks, head = message.delimiters, message.header
    version = message.version or "2.5"
    if fault is not None and version in LONG_AGO:
        # Their ERR has no words.
        text = f"{text} {fault.text}"
    lines = [
        _joined(marks, "MSH", marks.encoding, head.raw(5), head.raw(6), head.raw(3), head.raw(4), times.write(now.astimezone(SHANGHAI)), "",
                _type(marks, message.trigger, version), new_id().hex[-20:].upper(), head.raw(11) or "P", version, *([""] * 5),
                CHARSETS[message.charset] if not message.text.isascii() or head.raw(18) else ""),
        _joined(marks, "MSA", code, head.raw(10), escaped(text, marks)),
    ]  # fmt: skip
    if fault is not None:
        lines.append(_err(marks, version, fault))
    return ("\r".join(line.rstrip(marks.field) for line in lines) + "\r").encode(message.charset, "replace")


def _type(marks: Delimiters, trigger: str, version: str) -> str:
    parts = ["ACK", trigger, "ACK"] if version not in LONG_AGO else ["ACK", trigger]
    return marks.component.join(parts).rstrip(marks.component)


def _err(marks: Delimiters, version: str, fault: Fault) -> str:
    code, words = condition(fault.key)
    place = (fault.place or "").replace("^", marks.component)
    if version in LONG_AGO:
        # Segment, sequence, field, code: of one field.
        parts = [*(fault.place or "").split("^"), "", "", ""][:3]
        coded = marks.subcomponent.join((code, words, "HL70357"))
        return _joined(marks, "ERR", marks.component.join((*parts, coded)))
    hl7 = marks.component.join((code, words, "HL70357"))
    ours = marks.component.join((escaped(fault.key, marks), "", "urn:yuanshe:hl7-fault"))
    return _joined(marks, "ERR", "", place, hl7, "E", ours, "", "", escaped(fault.text, marks))


def _joined(marks: Delimiters, name: str, *fields: str) -> str:
    return marks.field.join((name, *fields))


def escaped(text: str, marks: Delimiters) -> str:
    """Words of ours, which may hold a mark."""
    e = marks.escape
    meant = {marks.field: "F", marks.component: "S", marks.subcomponent: "T", marks.repetition: "R", e: "E", "\r": ".br", "\n": ".br"}  # fmt: skip
    return "".join(f"{e}{meant[letter]}{e}" if letter in meant else letter for letter in text)


ASKED = ("AL", "NE", "ER", "SU")


def wanted(header: Segment, *, received: bool, well: bool, silent: bool) -> tuple[bool, bool]:
    """Whether an accept and an application acknowledgement are wanted (HL7 table 0155 in MSH-15 and MSH-16): `received`
    safely, which is what the accept one says, and applied `well`, which is what the application's says.

    Without either it is the original mode: the application's alone. Where nothing at all would be said, the application's goes
    all the same, unless the sender is configured as `silent`: over MLLP nothing else tells that a message has come.
    """
    accept, answer = (said if (said := header.text(n).upper()) in ASKED else "" for n in (15, 16))
    if not accept and not answer:
        return False, True
    first, second = _asked(accept or "NE", received), _asked(answer or "NE", well)
    return first, second or not (first or silent)


def _asked(condition: str, well: bool) -> bool:
    return {"AL": True, "NE": False, "ER": not well, "SU": well}.get(condition, True)


def without_header(text: str, fault: Fault, now: datetime) -> bytes:
    """AR to what has no header that could be answered."""
    code, words = condition(fault.key)
    lines: Sequence[str] = (
        f"MSH|{STANDARD.encoding}|||||{times.write(now.astimezone(SHANGHAI))}||ACK|{new_id().hex[-20:].upper()}|P|2.5",
        f"MSA|AR||{escaped(text, STANDARD)}",
        f"ERR||{fault.place or ''}|{code}^{words}^HL70357|E|{escaped(fault.key, STANDARD)}^^urn:yuanshe:hl7-fault|||{escaped(fault.text, STANDARD)}",
    )
    return ("\r".join(lines) + "\r").encode()
