"""Every message is acknowledged or refused, in its sender's own words, and only as it asked."""

import pytest

from adapters.hl7v2.er7 import BOM
from adapters.hl7v2.mllp import framed
from adapters.hl7v2.translating import EVENTS
from tests.hl7v2.ward import HIS_A, Line, adt, inbox, patient, ward
from tests.http.world import World


async def test_an_acknowledgement_goes_back_to_who_sent_in_its_version(his: Line) -> None:
    said = await his.send(adt("A01", "42", version="2.3.1", charset=""))
    head = said.message.header
    assert [head.text(n) for n in (3, 4, 5, 6)] == ["YUANSHE", "P", "HIS", "A"]
    assert (said.message.version, head.raw(9), head.text(11)) == ("2.3.1", "ACK^A01", "P")
    assert (said.code, said.control_id) == ("AA", "42")


async def test_the_character_set_of_the_message_is_that_of_its_answer_and_its_content_is_read_in_it(world: World, his: Line) -> None:  # fmt: skip
    said = await his.send(adt("A01", "张1", charset="GB 18030-2000", name="张^丽𠮷^^^^^L"), "gb18030")
    assert said.code == "AA" and said.message.header.text(18) == "GB 18030-2000" and said.control_id == "张1"
    assert (await patient(world))["name"][0]["text"] == "张丽𠮷"


async def test_without_a_word_on_it_utf_8_and_gb18030_are_told_apart(world: World, his: Line) -> None:
    for n, codec in enumerate(("utf-8", "gb18030")):
        assert (await his.send(adt("A01", str(n), mr=f"MR{n}", stay=f"S{n}", charset=""), codec)).code == "AA"
        assert (await patient(world, f"MR{n}"))["name"][0]["text"] == "陈素芬"


async def test_a_byte_order_mark_and_other_line_ends_are_no_hindrance(world: World, his: Line) -> None:
    assert (await his.send(BOM + adt("A01", "1").replace("\r", "\r\n").encode())).code == "AA"
    assert (await his.send(adt("A08", "2").replace("\r", "\n"))).code == "AA"


async def test_other_delimiters_are_answered_in_kind(world: World, his: Line) -> None:
    said = await his.send(adt("A01", "1").replace("|", "#").replace("^", "*").replace("MSH#*~\\&", "MSH#*~\\&"))
    assert said.raw.startswith(b"MSH#*~\\&#YUANSHE") and said.code == "AA"


async def test_a_bad_character_set_is_parked_with_its_bytes(world: World, his: Line) -> None:
    raw = adt("A01", "1").encode("gb18030")
    said = await his.send(raw)
    assert (said.code, said.key, said.place) == ("AE", "charset", "MSH^1^18")
    assert [(row["state"], row["body"]) for row in await inbox(world)] == [("parked", raw)]


REFUSED = {
    "another type": (adt("A01", "1").replace("ADT^A01", "ORU^R01"), "200", "MSH^1^9"),
    "another event": (adt("A17", "1"), "201", "MSH^1^9"),
    "another version": (adt("A01", "1", version="2.9"), "203", "MSH^1^12"),
    "no version": (adt("A01", "1", version=""), "203", "MSH^1^12"),
    "no number of its own": (adt("A01", ""), "101", "MSH^1^10"),
    "a number that is too long": (adt("A01", "x" * 200), "101", "MSH^1^10"),
    "a test": (adt("A01", "1").replace("|P|2.5", "|T|2.5"), "202", "MSH^1^11"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_not_taken_is_rejected_with_the_reason_and_not_kept(world: World, his: Line, what: str) -> None:
    message, condition, place = REFUSED[what]
    said = await his.send(message)
    assert (said.code, said.condition, said.place) == ("AR", condition, place), said
    assert said.why
    assert await inbox(world) == []


async def test_an_event_that_is_not_taken_is_told_which_are(his: Line) -> None:
    assert set((await his.send(adt("A17", "1"))).why.rstrip(".").split()) >= set(EVENTS)


async def test_old_versions_get_the_error_in_the_old_form(his: Line) -> None:
    said = await his.send(adt("A17", "1", version="2.3"))
    assert said.error.raw(1) == "MSH^1^9^201&Unsupported event code&HL70357" and said.error.raw(2) == ""


@pytest.mark.parametrize(
    "garbage",
    [b"", b"hello", b"\x00\xff" * 40, b"MSH", b"MSH|^~\\", b"PID|1\rMSH|^~\\&|", b"FHS|^~\\&|HIS\rBHS|^~\\&|"],
)
async def test_what_is_no_message_is_rejected_and_the_line_goes_on(world: World, his: Line, garbage: bytes) -> None:
    said = await his.send(garbage)
    assert (said.code, said.control_id) == ("AR", "")
    assert (await his.send(adt("A01", "1"))).code == "AA"


async def test_an_acknowledgement_is_never_acknowledged(his: Line) -> None:
    await his.raw(framed(b"MSH|^~\\&|HIS|A|||20261121||ACK^A01|1|P|2.5\rMSA|AA|7\r"))
    assert (await his.send(adt("A01", "2"))).control_id == "2"


GOOD, BAD, KEPT = adt("A01", "1"), adt("A17", "1"), adt("A01", "1", pv1="")
ASKED = [
    ("|", GOOD, ["AA"]), ("AL|AL", GOOD, ["CA", "AA"]), ("AL|NE", GOOD, ["CA"]), ("NE|AL", GOOD, ["AA"]), ("SU|ER", GOOD, ["CA"]),
    ("ER|AL", GOOD, ["AA"]), ("AL|AL", BAD, ["CR", "AR"]), ("ER|ER", BAD, ["CR", "AR"]), ("SU|ER", BAD, ["AR"]), ("ER|NE", BAD, ["CR"]),
    ("AL|SU", KEPT, ["CA"]), ("AL|ER", KEPT, ["CA", "AE"]), ("NE|NE", GOOD, ["AA"]), ("NE|NE", KEPT, ["AE"]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "message", "answers"), ASKED, ids=[f"{a} {'.'.join(b)}" for a, _, b in ASKED])
async def test_in_enhanced_mode_it_is_answered_as_the_sender_asks(his: Line, asked: str, message: str, answers: list[str]) -> None:  # fmt: skip
    await his.raw(framed(message.replace("2.5|||||", f"2.5|||{asked}|").encode()))
    assert [(await his.answer()).code for _ in answers] == answers
    assert (await his.send(adt("A08", "next"))).control_id == "next"


async def test_a_silent_sender_is_answered_nothing_where_it_wants_nothing(world: World) -> None:
    import msgspec

    async with ward(world, his=msgspec.structs.replace(HIS_A, silent=True)) as his:
        await his.raw(framed(GOOD.replace("2.5|||||", "2.5|||NE|NE|").encode()))
        assert (await his.send(adt("A08", "next"))).control_id == "next"
    assert len(await inbox(world)) == 2
