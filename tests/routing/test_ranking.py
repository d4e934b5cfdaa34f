"""The order among those that the rules let through, and how the offer then goes out."""

import random
import uuid
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.routing import scoring
from service.routing.model import Decision, Need, Prospect
from service.values import Id
from tests.routing.partners import DECISION, REFERRAL, need, partner


def decide(asked: Need, *partners: Prospect, referral: Id = REFERRAL, taken: dict[Id, int] | None = None) -> Decision:
    return scoring.decide(DECISION, asked, scoring.weigh(asked, partners), referral, taken)


def order(decision: Decision) -> list[int]:
    return [each.agency.int for each in decision.candidates if each.eligible]


def test_rank_comes_before_region_region_before_load_and_load_before_rotation() -> None:
    first = partner(1, rank=1)
    near = partner(2, rank=2, regions=("520502001",))
    idle, busy = partner(3, rank=2), partner(4, rank=2)
    taken = {idle.service: 1, busy.service: 9}
    for number in range(20):
        asked = need()
        decision = decide(asked, busy, idle, near, first, referral=uuid.UUID(int=number), taken=taken)  # type: ignore[arg-type]
        assert order(decision) == [1, 2, 3, 4]
        scores = [each.score for each in decision.candidates]
        assert scores == sorted(scores, reverse=True)


def test_load_is_the_share_of_places_not_their_number() -> None:
    large, small = partner(1, places=500), partner(2, places=2)
    assert order(decide(need(), small, large, taken={large.service: 20, small.service: 1})) == [1, 2]  # type: ignore[dict-item]


def test_load_is_asked_only_of_those_that_are_level() -> None:
    judged = scoring.weigh(
        need(), [partner(1, rank=1), partner(2, rank=2), partner(3, rank=2), partner(4, rank=2, free=False)]
    )
    assert {service.int - 2_000_000 for service in scoring.level(judged)} == {2, 3}


def test_the_agency_that_the_hospital_names_is_first_if_it_is_eligible() -> None:
    named = partner(9, rank=9)
    assert order(decide(need(preferred=named.agency), partner(1), named)) == [9, 1]
    assert order(decide(need(preferred=named.agency), partner(1), partner(9, licensed=False))) == [1]


def test_a_manual_partnership_is_eligible_and_never_offered_anything_by_itself() -> None:
    by_hand = partner(1, mode="manual")
    alone = decide(need(preferred=by_hand.agency), by_hand)
    assert (alone.mode, alone.offers, order(alone)) == ("manual", (), [1])
    beside = decide(need(), by_hand, partner(2, rank=2))
    assert [each.agency.int for each in beside.offers] == [2]


def test_a_broadcast_goes_to_all_eligible_partners_of_that_mode_at_once() -> None:
    partners = [
        partner(1, mode="broadcast"), partner(2, mode="broadcast"), partner(3, mode="broadcast", licensed=False),
        partner(4, rank=2), partner(5, mode="manual"),
    ]  # fmt: skip
    decision = decide(need(), *partners)
    assert decision.mode == "broadcast"
    assert {each.agency.int for each in decision.offers} == {1, 2}


def test_a_sequence_at_the_head_is_not_drawn_into_a_broadcast() -> None:
    decision = decide(need(), partner(1, rank=1), partner(2, rank=2, mode="broadcast"))
    assert (decision.mode, [each.agency.int for each in decision.offers]) == ("sequence", [1])


def test_rotation_gives_equals_about_the_same_number_of_first_offers() -> None:
    partners = [partner(number) for number in range(1, 6)]
    first = Counter(order(decide(need(), *partners, referral=uuid.uuid5(REFERRAL, str(n))))[0] for n in range(1000))
    assert set(first) == {1, 2, 3, 4, 5}
    assert all(140 <= count <= 260 for count in first.values())


@st.composite
def network(draw: st.DrawFn) -> list[Prospect]:
    """Up to eight agencies, each fact of which may be good or bad."""
    return [
        partner(
            number,
            rank=draw(st.integers(1, 3)),
            mode=draw(st.sampled_from(["sequence", "broadcast", "manual"])),
            begun=draw(st.booleans()),
            ended=draw(st.sampled_from([False, False, True])),
            regions=draw(st.sampled_from([("520502",), ("520502001",), ("520502002",), ("52",), ()])),
            capacity_status=draw(
                st.sampled_from(["capacity", "capacity", "waitlist", "additional-assessment-required"])
            ),
            free=draw(st.booleans()),
            licensed=draw(st.booleans()),
            ready=draw(st.booleans()),
            protection_qualified=draw(st.booleans()),
        )
        for number in draw(st.lists(st.integers(1, 40), max_size=8))
    ]


asked = st.builds(
    need,
    needs=st.sampled_from([("N05",), ("N01", "N05"), ("N99",), ("N17",)]),
    region=st.sampled_from([None, "52", "520502", "520502001"]),
    safety=st.booleans(),
    preferred=st.none() | st.builds(uuid.UUID, int=st.integers(1, 40)),
    exclude=st.frozensets(st.builds(uuid.UUID, int=st.integers(1, 40)), max_size=4),
)


@given(asked, network(), st.randoms(use_true_random=False), st.uuids())
def test_no_ineligible_agency_is_offered_anything_and_the_order_is_total(
    said: Need, partners: list[Prospect], shuffled: random.Random, referral: Id
) -> None:
    loads = {each.service: each.agency.int % 7 for each in partners if each.service}
    decision = decide(said, *partners, referral=referral, taken=loads)
    assert {each.agency for each in decision.candidates} == {each.agency for each in partners}
    assert len(decision.candidates) == len({each.agency for each in partners})
    for each in decision.offers:
        assert each.eligible and each.mode == decision.mode != "manual"
        assert all(rule.result == "pass" for rule in each.rules)
        assert each.agency not in said.exclude
        assert said.region is not None
    standing = [each.eligible for each in decision.candidates]
    assert standing == sorted(standing, reverse=True)
    scores = [each.score for each in decision.candidates]
    assert scores == sorted(scores, reverse=True)
    assert not (decision.offers and decision.questions)
    again = list(partners)
    shuffled.shuffle(again)
    unique = len({each.agency for each in partners}) == len(partners)
    assert not unique or decide(said, *again, referral=referral, taken=loads) == decision
