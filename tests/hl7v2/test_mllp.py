"""Frames are cut out of whatever a connection brings."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7v2.mllp import Broken, Frames, framed

CONTENT = st.binary(max_size=40).map(lambda raw: bytes(byte for byte in raw if byte not in (0x0B, 0x1C)))
BETWEEN = st.binary(max_size=10).map(lambda raw: bytes(byte for byte in raw if byte != 0x0B))


@given(st.lists(st.tuples(BETWEEN, CONTENT), max_size=6), st.lists(st.integers(1, 30), min_size=1))
def test_every_message_comes_out_once_and_in_order_however_it_is_cut(parts: list[tuple[bytes, bytes]], cuts: list[int]) -> None:  # fmt: skip
    stream = b"".join(before + framed(content) for before, content in parts)
    frames, found, at, n = Frames(1000), [], 0, 0
    while at < len(stream):
        found += frames.feed(stream[at : at + cuts[n % len(cuts)]])
        at, n = at + cuts[n % len(cuts)], n + 1
    assert found == [content for _, content in parts] and not frames.inside


def test_a_frame_that_is_begun_anew_counts_from_there() -> None:
    assert Frames(99).feed(b"\x0bbroken o\x0bwhole\x1c\r") == [b"whole"]
    frames = Frames(99)
    assert frames.feed(b"\x0bbroken o") == [] and frames.inside
    assert frames.feed(b"\x0bwhole\x1c\r") == [b"whole"] and not frames.inside


def test_a_frame_without_its_carriage_return_is_one() -> None:
    assert Frames(99).feed(b"\x0bone\x1c\x0btwo\x1c") == [b"one", b"two"]


def test_what_is_too_long_is_told_before_it_has_ended_and_never_held() -> None:
    frames = Frames(10)
    assert frames.feed(b"\x0bok\x1c\r") == [b"ok"]
    assert frames.feed(b"\x0b" + b"x" * 8) == []
    assert frames.feed(b"x" * 3) == [Broken.TOO_LONG]
    assert Frames(10).feed(framed(b"x" * 10)) == [b"x" * 10]
    assert Frames(10).feed(framed(b"x" * 11)) == [Broken.TOO_LONG]


def test_what_stands_between_frames_is_not_held() -> None:
    frames = Frames(10)
    for _ in range(100):
        assert frames.feed(b"noise" * 100) == []
    assert frames.feed(framed(b"ok")) == [b"ok"]
