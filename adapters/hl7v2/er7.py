"""A message of HL7 v2 in its ER7 form: bytes → text → segments, fields, repetitions, components; with the delimiters that
its own MSH says. Nothing in it is known to be ADT."""

import codecs
import hashlib
import re
from functools import cached_property

import msgspec

BOM = codecs.BOM_UTF8
CHARSETS = {
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "GB 18030-2000": "gb18030",
    "GB18030-2000": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "8859/1": "latin-1",
}
"""MSH-18 (HL7 table 0211, and what is sent in its place) → codec. GB18030 holds GBK and GB2312."""
UNSAID = ("", "ASCII")
"""What senders write whether or not it is so: then the sender's own character set, or whichever fits."""

NULL = '""'
"""What a field holds that is to be deleted; an empty one says nothing."""

MOST = 100
"""Repetitions of a field; no person has more names, numbers or addresses."""

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
_ESCAPED = re.compile(r"\\.*?\\", re.DOTALL)


class Unreadable(Exception):
    """No message, or one in a form that is not read. `key` is a word for programs; the text names no content."""

    def __init__(self, key: str, text: str, at: str = "MSH") -> None:
        super().__init__(text)
        self.key = key
        self.at = at


class Delimiters(msgspec.Struct, frozen=True):
    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str

    @property
    def encoding(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape + self.subcomponent


STANDARD = Delimiters("|", "^", "~", "\\", "&")


def delimiters_of(text: str) -> Delimiters:
    """What the first characters of a message say. Raises Unreadable where they are no five different marks."""
    if not text.startswith("MSH") or len(text) < 9:
        raise Unreadable("no-header", "A message begins with MSH, its field separator and its encoding characters.")
    field = text[3]
    said = text[4:].split(field, 1)[0]
    marks = field + said
    if len(said) not in (4, 5) or len(set(marks)) != len(marks):
        raise Unreadable(
            "delimiters", "MSH-1 and MSH-2 are five (or six) different characters, usually |^~\\&.", "MSH^1^2"
        )
    if not all(mark.isascii() and mark.isprintable() and not mark.isalnum() and mark not in ' "' for mark in marks):
        raise Unreadable(
            "delimiters", "A delimiter is neither a letter, a digit, a blank nor a quotation mark.", "MSH^1^2"
        )
    return Delimiters(field, *said[:4])


class Value:
    """One repetition of a field, as sent: its components, unescaped when they are asked for."""

    __slots__ = ("_charset", "_marks", "raw")

    def __init__(self, raw: str, marks: Delimiters, charset: str) -> None:
        self.raw = raw
        self._marks = marks
        self._charset = charset

    def __bool__(self) -> bool:
        return bool(self.raw)

    @property
    def null(self) -> bool:
        """Whether the whole of it is to be deleted."""
        return self.raw == NULL

    def text(self, component: int = 1, sub: int = 1) -> str:
        """A subcomponent, the first of the first component unless said; empty where it is absent or null."""
        parts = self.raw.split(self._marks.component)
        if component > len(parts):
            return ""
        subs = parts[component - 1].split(self._marks.subcomponent)
        if sub > len(subs) or subs[sub - 1] == NULL:
            return ""
        return _printable(self._unescaped(subs[sub - 1]))

    def whole(self) -> str:
        """All of it, as one text: what stands in a field that has no components."""
        return "" if self.null else _printable(self._unescaped(self.raw))

    def _unescaped(self, text: str) -> str:
        mark = self._marks.escape
        if mark not in text:
            return text
        pattern = _ESCAPED if mark == "\\" else re.compile(f"{re.escape(mark)}.*?{re.escape(mark)}", re.DOTALL)
        return pattern.sub(lambda found: self._meant(found.group()[1:-1], found.group()), text)

    def _meant(self, said: str, whole: str) -> str:
        marks = self._marks
        match said[:1]:
            case "F" if said == "F":
                return marks.field
            case "S" if said == "S":
                return marks.component
            case "T" if said == "T":
                return marks.subcomponent
            case "R" if said == "R":
                return marks.repetition
            case "E" if said == "E":
                return marks.escape
            case "X":
                try:
                    return bytes.fromhex(said[1:]).decode(self._charset)
                except (ValueError, UnicodeDecodeError):
                    return ""
            case ".":
                return "\n" if said == ".br" else " "
            case "H" | "N" if said in ("H", "N"):
                return ""  # highlighting
            case "C" | "M" | "Z":
                return ""  # changes of character set within a text, and what only the sender knows
            case _:
                return whole


_CONTROL = dict.fromkeys((*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F))


def _printable(text: str) -> str:
    """Without blanks around it and control characters in it, of which a database takes not every one."""
    return text.translate(_CONTROL).strip()


NOTHING = Value("", STANDARD, "ascii")


class Segment:
    """A line of a message; fields are counted from 1, as the standard counts them (of MSH, MSH-1 is the separator)."""

    __slots__ = ("_charset", "_fields", "_marks", "name")

    def __init__(self, line: str, marks: Delimiters, charset: str) -> None:
        parts = line.split(marks.field)
        self.name = parts[0]
        self._fields = [parts[0], marks.field, *parts[1:]] if self.name == "MSH" else parts
        self._marks = marks
        self._charset = charset

    def raw(self, field: int) -> str:
        return self._fields[field] if field < len(self._fields) else ""

    def all(self, field: int) -> list[Value]:
        """The repetitions that say something."""
        raw = self.raw(field)
        if not raw:
            return []
        if self.name == "MSH" and field <= 2:
            return [Value(raw, self._marks, self._charset)]
        parts = raw.split(self._marks.repetition, MOST + 1)
        if len(parts) > MOST:
            raise Unreadable("data-type", f"A field has at most {MOST} repetitions.", f"{self.name}^1^{field}")
        return [Value(part, self._marks, self._charset) for part in parts if part]

    def value(self, field: int) -> Value:
        """The first repetition, or nothing."""
        return next(iter(self.all(field)), NOTHING)

    def text(self, field: int, component: int = 1, sub: int = 1) -> str:
        return self.value(field).text(component, sub)

    def null(self, field: int) -> bool:
        """Whether the field is to be deleted."""
        return self.raw(field) == NULL


EMPTY = Segment("", STANDARD, "ascii")


class Message:
    """A message whose header could be read. `charset` is the codec that it was read with."""

    def __init__(self, text: str, charset: str) -> None:
        marks = delimiters_of(text)
        self.text = text
        self.charset = charset
        self.delimiters = marks
        self.segments = [Segment(line, marks, charset) for line in _lines(text)]
        self.header = self.segments[0]

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)

    def or_empty(self, name: str) -> Segment:
        """The segment, or one in which every field is empty."""
        return self.first(name) or EMPTY

    @cached_property
    def odd(self) -> int | None:
        """The number of the first line (from 1) that is no segment."""
        return next((n for n, segment in enumerate(self.segments, 1) if not _NAME.match(segment.name)), None)

    @property
    def code(self) -> str:
        """MSH-9.1, as ADT."""
        return self.header.text(9, 1)

    @property
    def trigger(self) -> str:
        """MSH-9.2, as A01."""
        return self.header.text(9, 2)

    @property
    def control_id(self) -> str:
        return self.header.value(10).whole()

    @property
    def version(self) -> str:
        return self.header.text(12, 1)


def digest(message: Message) -> bytes:
    """SHA-256 of what the message says. When it was sent (MSH-7) is no part of that: who sends again may say so anew."""
    first, *rest = _lines(message.text)
    head = first.split(message.delimiters.field)
    head[6:7] = [""]
    return hashlib.sha256("\r".join((message.delimiters.field.join(head), *rest)).encode()).digest()


def _lines(text: str) -> list[str]:
    """Segments end with CR; files and some senders end them with CR LF or LF. Where CR ends them, a LF is text."""
    parts = text.split("\r") if "\r" in text else text.split("\n")
    return [line for part in parts if (line := part.strip("\n"))]


def header(raw: bytes) -> Message:
    """The message read as far as its header can tell who sent what, in whichever character set fits. Raises Unreadable.

    GB18030's second bytes hold `|` and `^`, so nothing is split before it is decoded.
    """
    content = raw.removeprefix(BOM).lstrip(b"\r\n")
    for charset in ("utf-8", "gb18030", "latin-1"):
        try:
            return Message(content.decode(charset), charset)
        except UnicodeDecodeError:
            continue
    raise AssertionError("every byte is a character of latin-1")


def read(raw: bytes, charset: str | None) -> Message:
    """The message, strictly in the character set that MSH-18 says, else in `charset`, else in UTF-8 or GB18030, whichever
    fits. Raises Unreadable where it does not fit, or is a set that is not read."""
    tried = header(raw)
    said = tried.header.text(18).upper()
    content = raw.removeprefix(BOM).lstrip(b"\r\n")
    if said not in UNSAID and said not in CHARSETS:
        raise Unreadable("charset", f"MSH-18 is one of {', '.join(sorted(CHARSETS))}, ASCII, or empty.", "MSH^1^18")
    codecs_ = [CHARSETS[said]] if said in CHARSETS else [charset] if charset else ["utf-8", "gb18030"]
    if raw.startswith(BOM):
        codecs_ = ["utf-8"]
    for codec in codecs_:
        if codec == tried.charset:
            return tried
        try:
            return Message(content.decode(codec), codec)
        except UnicodeDecodeError:
            continue
    raise Unreadable("charset", "The message is not in the character set that MSH-18 says, or that is agreed with its sender.", "MSH^1^18")  # fmt: skip
