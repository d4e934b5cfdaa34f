"""The words of the queue's filter, in Chinese and English: what each asks for, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import codes
from service.referrals import filtering
from service.referrals.filtering import Filter, Read, filter_of, names_in, read, tokens_of
from service.values import URGENCIES, Id

PLACES = {"弹子石": "r500108003", "danzishi street": "r500108003", "星河医院": f"h{Id(int=7)}"}


@pytest.mark.parametrize(
    ("text", "tokens", "unknown"),
    [
        ("紧急 未接 弹子石 N05 逾期 我的", ("asap", "offered", "r500108003", "N05", "late", "mine"), ()),
        ("urgent unanswered danzishi street n05 overdue mine", ("asap", "offered", "r500108003", "N05", "late", "mine"), ()),
        ("紧急未接弹子石", ("asap", "offered", "r500108003"), ()),
        ("Ｎ０５，逾期；我的", ("N05", "late", "mine"), ()),
        ("priority crisis stat u4", ("urgent", "stat", "routine"), ()),
        ("出院安置与过渡 / 出院", ("N05",), ()),
        ("Discharge placement and transition", ("N05",), ()),
        ("on hold, due today, living alone", ("paused", "today", "N07"), ()),
        ("星河医院 没人 等医院", (f"h{Id(int=7)}", "nobody", "waiting"), ()),
        ("陈素芬 紧急 13800000001", ("asap",), ("陈素芬", "13800000001")),
        ("紧急陈素芬", (), ("紧急陈素芬",)),
        ("安全", ("safety",), ()),
        ("", (), ()),
        (" 、 , ", (), ()),
    ],
)  # fmt: skip
def test_words_ask_for_what_they_say(text: str, tokens: tuple[str, ...], unknown: tuple[str, ...]) -> None:
    assert read(text, PLACES) == Read(tokens, unknown)


def test_every_label_and_every_word_beside_it_is_understood_as_its_own() -> None:
    for code in codes.LISTS[codes.NEED].codes:
        for language in ("zh", "en"):
            assert read(codes.label(codes.NEED, code, language)).tokens == (code,)
    for urgency in URGENCIES:
        for language in ("zh", "en"):
            assert read(codes.label(codes.URGENCY, urgency, language)).tokens == (urgency,)
    for token, words in filtering.SAID.items():
        assert all(read(word).tokens == (token,) for word in words.split()), token
        assert filtering.is_token(token)


def test_what_may_be_a_place_is_asked_for_and_what_is_known_is_not() -> None:
    assert names_in("紧急 N05") == ()
    assert "弹子石" in names_in("紧急未接弹子石") and "弹子石" in names_in("紧急 弹子石")
    assert {"shixi", "shixi street"} <= set(names_in("overdue Shixi Street"))
    assert len(names_in("x y " * 100)) <= 100


def test_kinds_narrow_and_within_a_kind_either_will_do() -> None:
    asked = filter_of(("asap", "stat", "N05", "N01", "r520502", f"h{Id(int=7)}", "offered", "late"))
    assert asked == Filter(urgencies=[1, 0], needs=["N05", "N01"], places=["520502"], hospitals=[Id(int=7)], states=["requested"], late=True)  # fmt: skip
    assert filter_of(("safety",)).needs == ["safety", "N11", "N12", "N13", "N14"]
    assert filter_of(()) == Filter()


def test_an_address_says_tokens_and_nothing_else() -> None:
    assert tokens_of("asap N05 r520502 late asap") == ("asap", "N05", "r520502", "late")
    assert tokens_of("陈素芬 <script> N98 r5x h123 rabc") == ()
    assert tokens_of(None) == ()


@given(st.text(max_size=300))
def test_whatever_is_typed_is_read_and_no_word_of_it_becomes_a_token(text: str) -> None:
    found = read(text)
    assert all(filtering.is_token(token) for token in found.tokens)
    assert tokens_of(" ".join(found.tokens)) == found.tokens
    names_in(text)
