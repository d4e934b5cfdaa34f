"""The hard rules: each can pass, fail, or not be known; what is not known never leads to an automatic offer."""

from typing import Any

import pytest

from service.routing import scoring
from service.routing.model import Decision, Need, Prospect
from service.routing.words import QUESTIONS, RULES
from tests.routing.partners import DECISION, REFERRAL, need, partner


def decide(asked: Need, *partners: Prospect) -> Decision:
    return scoring.decide(DECISION, asked, scoring.weigh(asked, partners), REFERRAL)


EVERY_RULE: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("partnership", "in-force", {}, {}),
    ("partnership", "not-begun", {}, {"begun": False}),
    ("partnership", "ended", {}, {"ended": True}),
    ("need", "served", {}, {}),
    ("need", "not-agreed", {}, {"partnership_needs": frozenset({"N01"})}),
    ("need", "not-offered", {}, {"service_needs": frozenset({"N01"})}),
    ("need", "not-offered", {"needs": ("N01", "N05")}, {"service_needs": frozenset({"N01"})}),
    ("need", "no-service", {}, {"service": None, "service_needs": frozenset()}),
    ("need", "uncoded", {"needs": ("N05", "N99")}, {}),
    (
        "need",
        "served",
        {"needs": ("N99",)},
        {"partnership_needs": frozenset({"N99"}), "service_needs": frozenset({"N99"})},
    ),
    ("region", "covered", {}, {}),
    ("region", "outside", {}, {"regions": ("520502002", "500108")}),
    ("region", "outside", {}, {"regions": ()}),
    ("region", "coarse", {"region": "520502"}, {"regions": ("520502002",)}),
    ("region", "no-region", {"region": None}, {}),
    ("capacity", "free", {}, {}),
    ("capacity", "full", {}, {"free": False}),
    ("capacity", "no-capacity", {}, {"capacity_status": "no-capacity"}),
    ("capacity", "waitlist", {}, {"capacity_status": "waitlist"}),
    ("capacity", "assessment", {}, {"capacity_status": "additional-assessment-required"}),
    ("capacity", "full", {}, {"capacity_status": "additional-assessment-required", "free": False}),
    ("capacity", "no-service", {}, {"service": None, "capacity_status": None, "free": False}),
    ("worker", "licensed", {}, {}),
    ("worker", "unlicensed", {}, {"licensed": False}),
    ("ready", "ready", {}, {}),
    ("ready", "not-ready", {}, {"ready": False}),
    ("ready", "suspended", {}, {"status": "suspended"}),
    ("ready", "inactive", {}, {"active": False}),
    ("ready", "incubating", {}, {"status": "incubating"}),
    ("ready", "co-supervised", {}, {"status": "incubating", "co_supervised": True}),
    ("protection", "not-asked", {}, {}),
    ("protection", "unqualified", {"safety": True}, {}),
    ("protection", "qualified", {"safety": True}, {"protection_qualified": True}),
    ("untried", "first", {}, {}),
    ("untried", "tried", {"exclude": frozenset({partner().agency})}, {}),
]


@pytest.mark.parametrize(("rule", "key", "asked", "known"), EVERY_RULE)
def test_each_rule_says_what_it_found_and_why(
    rule: str, key: str, asked: dict[str, Any], known: dict[str, Any]
) -> None:
    decision = decide(need(**asked), partner(**known))
    (candidate,) = decision.candidates
    (said,) = [each for each in candidate.rules if each.name == rule]
    result = RULES[rule][key][0]
    assert (said.result, said.key) == (result, key)
    assert said.why("zh") and said.why("en") and said.why("zh") != said.why("en")
    assert candidate.passes(rule) == (result == "pass")
    if result != "pass":
        assert not candidate.eligible
        assert decision.offers == ()
        assert decision.mode == "none"


def test_every_word_of_every_rule_is_shown_above() -> None:
    assert {(rule, key) for rule, says in RULES.items() for key in says} == {row[:2] for row in EVERY_RULE}


def test_every_fact_that_may_be_unknown_has_its_question() -> None:
    assert {key for says in RULES.values() for key, said in says.items() if said[0] == "unknown"} == set(QUESTIONS)


@pytest.mark.parametrize(
    ("asked", "known", "question"),
    [
        ({"region": None}, {}, "no-region"),
        ({"region": "5205"}, {}, "coarse"),
        ({"needs": ("N99",)}, {}, "uncoded"),
        ({}, {"capacity_status": "additional-assessment-required"}, "assessment"),
    ],
)
def test_what_nobody_knows_is_asked_and_nothing_is_offered(
    asked: dict[str, Any], known: dict[str, Any], question: str
) -> None:
    decision = decide(need(**asked), partner(**known))
    assert (decision.offers, decision.questions) == ((), (question,))


def test_a_question_is_not_asked_about_a_partner_that_fails_anyway() -> None:
    assert decide(need(region=None), partner(licensed=False)).questions == ()


def test_a_question_is_not_asked_while_somebody_may_have_the_offer() -> None:
    decision = decide(need(), partner(1), partner(2, capacity_status="additional-assessment-required"))
    assert [each.agency.int for each in decision.offers] == [1]
    assert decision.questions == ()


def test_a_street_goes_to_its_station_without_capacity_to_the_county_and_never_to_a_sibling() -> None:
    def station(free: bool) -> Prospect:
        return partner(1, regions=("500108006",), free=free)

    county, sibling = partner(2, regions=("500108",)), partner(3, regions=("500108005",))
    asked = need(region="500108006")
    assert [each.agency.int for each in decide(asked, sibling, county, station(free=True)).offers] == [1, 2]
    assert [each.agency.int for each in decide(asked, sibling, county, station(free=False)).offers] == [2]
    assert decide(asked, sibling, station(free=False)).offers == ()


def test_of_several_services_of_one_agency_the_one_that_serves_counts() -> None:
    wrong, right = partner(service_needs=frozenset({"N01"})), partner(service=REFERRAL)
    (candidate,) = decide(need(), wrong, right).candidates
    assert candidate.eligible
    assert candidate.service == REFERRAL


def test_a_campus_partnership_replaces_its_hospitals_with_the_same_agency() -> None:
    own, inherited = partner(mode="manual", distance=0), partner(distance=1)
    assert decide(need(), inherited, own).mode == "manual"
    assert decide(need(), inherited, partner(ended=True, distance=0)).mode == "sequence"
