"""Messages are read as HL7 v2 writes them, whatever their delimiters, line ends and character set."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from adapters.hl7v2 import er7, times
from adapters.hl7v2.er7 import Message, Unreadable

SHANGHAI = ZoneInfo("Asia/Shanghai")
HEAD = "MSH|^~\\&|HIS|A|||20261121||ADT^A01|1|P|2.5"


def pid5(field: str, head: str = HEAD, charset: str = "utf-8") -> er7.Value:
    return Message(f"{head}\rPID|||||{field}\r", charset).or_empty("PID").value(5)


def test_the_fields_of_the_header_are_counted_as_the_standard_does() -> None:
    read = Message(HEAD, "utf-8")
    assert (read.header.raw(1), read.header.raw(2), read.header.text(3)) == ("|", "^~\\&", "HIS")
    assert (read.code, read.trigger, read.control_id, read.version) == ("ADT", "A01", "1", "2.5")


def test_repetitions_components_and_subcomponents_are_told_apart() -> None:
    field = Message(f"{HEAD}\rPID|||||a&b^c~d", "utf-8").or_empty("PID")
    first, second = field.all(5)
    assert (first.text(1, 1), first.text(1, 2), first.text(2), first.text(3), second.text()) == ("a", "b", "c", "", "d")


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r"a\F\b", "a|b"), (r"a\S\b", "a^b"), (r"a\T\b", "a&b"), (r"a\R\b", "a~b"), (r"a\E\b", "a\\b"),
        (r"\X5BE0\\XE5BCA0\ ", "张"), (r"a\.br\b", "a\nb"), (r"\H\a\N\ ", "a"), (r"a\Q\b", r"a\Q\b"), ("a\\", "a\\"), (r"\X0007\ok", "ok"),
    ],
)  # fmt: skip
def test_escapes_are_what_they_stand_for(sent: str, meant: str) -> None:
    assert pid5(sent).text() == meant


def test_hexadecimal_escapes_are_in_the_character_set_of_the_message() -> None:
    assert pid5(r"\XD5C5\ ", charset="gb18030").text() == "张"


def test_an_empty_field_says_nothing_and_a_null_one_deletes() -> None:
    assert not pid5("") and not pid5("").null
    assert pid5('""').null and pid5('""').text() == "" and not pid5('""^x').null and pid5('""^x').text(1) == ""


def test_any_delimiters_will_do() -> None:
    read = Message("MSH#*+!%#HIS#A###2026##ADT*A01#1#P#2.5\rPID#####a%b*c+d!F!e", "utf-8")
    first, second = read.or_empty("PID").all(5)
    assert (first.text(1, 2), first.text(2), second.text(), read.trigger) == ("b", "c", "d#e", "A01")


@pytest.mark.parametrize(
    "head", ["MSH", "MSH|", "MSH|^^\\&|", "MSH|^~\\|", "MSHa^~\\&a", "MSH|||||||", "PID|1", "", "MSH|^~\\&é|x"]
)
def test_what_has_no_such_header_is_no_message(head: str) -> None:
    with pytest.raises(Unreadable):
        Message(head, "utf-8")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n"])
def test_lines_may_end_in_any_of_the_usual_ways(end: str) -> None:
    read = Message(end.join((HEAD, "PID|1", "ZZZ|x", "")), "utf-8")
    assert [each.name for each in read.segments] == ["MSH", "PID", "ZZZ"]


def test_a_line_feed_within_a_text_ends_no_segment_where_carriage_returns_do() -> None:
    assert pid5("one\ntwo").text() == "one\ntwo"


def test_a_line_that_is_no_segment_is_counted_and_unknown_segments_are_not() -> None:
    assert Message(f"{HEAD}\rZPI|x\rXYZ|y", "utf-8").odd is None
    assert Message(f"{HEAD}\rPID|1\rhello", "utf-8").odd == 3


NAME = "张丽𠮷|"  # the second bytes of 张 and 丽 in GB18030 and the mark that follows are what splits bytes wrongly


@pytest.mark.parametrize(
    ("said", "codec", "agreed"),
    [
        ("UNICODE UTF-8", "utf-8", None), ("GB 18030-2000", "gb18030", None), ("GB18030", "gb18030", "utf-8"), ("", "utf-8", None),
        ("", "gb18030", None), ("ASCII", "gb18030", None), ("", "gb18030", "gb18030"), ("unicode utf-8", "utf-8", "gb18030"),
        ("GB 18030-2000~ASCII", "gb18030", None),
    ],
)  # fmt: skip
def test_the_character_set_is_what_is_said_else_what_is_agreed_else_what_fits(said: str, codec: str, agreed: str | None) -> None:  # fmt: skip
    text = f"{HEAD}||||||{said}\rPID|||||{NAME}\r"
    read = er7.read(text.encode(codec), agreed)
    assert read.or_empty("PID").text(5) == NAME[:-1] and read.charset == codec


def test_a_byte_order_mark_says_utf_8() -> None:
    assert er7.read(er7.BOM + f"{HEAD}\rPID|||||{NAME}".encode(), "gb18030").or_empty("PID").text(5) == NAME[:-1]


@pytest.mark.parametrize(
    ("said", "raw", "agreed"),
    [("UNICODE UTF-8", "张".encode("gb18030"), None), ("GB18030", b"\x81", None), ("", "张".encode("gb18030"), "utf-8"), ("ISO IR87", b"a", None), ("", b"\xff", None)],
)  # fmt: skip
def test_what_is_not_in_the_character_set_is_not_guessed(said: str, raw: bytes, agreed: str | None) -> None:
    with pytest.raises(Unreadable) as refused:
        er7.read(f"{HEAD}||||||{said}\rPID|||||".encode() + raw, agreed)
    assert (refused.value.key, refused.value.at) == ("charset", "MSH^1^18")


@pytest.mark.parametrize(
    ("text", "at", "fhir"),
    [
        ("2026", datetime(2025, 12, 31, 16, tzinfo=UTC), "2026"),
        ("202611", datetime(2026, 10, 31, 16, tzinfo=UTC), "2026-11"),
        ("20261121", datetime(2026, 11, 20, 16, tzinfo=UTC), "2026-11-21"),
        ("2026112109", datetime(2026, 11, 21, 1, tzinfo=UTC), "2026-11-21T09:00:00+08:00"),
        ("202611210930", datetime(2026, 11, 21, 1, 30, tzinfo=UTC), "2026-11-21T09:30:00+08:00"),
        ("20261121093015", datetime(2026, 11, 21, 1, 30, 15, tzinfo=UTC), "2026-11-21T09:30:15+08:00"),
        ("20261121093015.25+0000", datetime(2026, 11, 21, 9, 30, 15, 250000, tzinfo=UTC), "2026-11-21T09:30:15.250+00:00"),
        ("202611210930-0530", datetime(2026, 11, 21, 15, 0, tzinfo=UTC), "2026-11-21T09:30:00-05:30"),
    ],
)  # fmt: skip
def test_times_keep_their_precision_and_are_in_the_zone_they_say_or_the_senders(
    text: str, at: datetime, fhir: str
) -> None:
    assert times.read(text, SHANGHAI) == times.Moment(at, fhir)


@pytest.mark.parametrize(
    "text", ["x", "26", "20261301", "20261131", "2026112125", "2026-11-21", "20261121+9999", "00010101", "20261121 "]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        times.read(text, SHANGHAI)


def test_only_a_whole_day_is_a_birthday() -> None:
    assert times.read("195203", SHANGHAI).day is None and times.read("19520315", SHANGHAI).day == date(1952, 3, 15)
