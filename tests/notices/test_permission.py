"""What of an event is told in full at the moment of sending: every rule, and which comes first."""

from itertools import product

import pytest

from service import codes
from service.notices.permission import Standing, in_full, withholds
from service.safety.contact import ContactRules


@pytest.mark.parametrize(
    ("standing", "rule"),
    [
        (Standing(), None),
        (Standing(disclosed_then=False, disclosed_now=False), None),
        (Standing(disclosed_then=False, disclosed_now=True), None),
        (Standing(disclosed_then=True, disclosed_now=False), "not-disclosed"),
        (Standing(rules=ContactRules(prohibited=True)), "contact-prohibited"),
        (Standing(prohibited=True), "contact-prohibited"),
        (Standing(rules=ContactRules(supervised=True)), "supervisor-decides"),
        (Standing(needs=("N05", "N13")), "supervisor-decides"),
        (Standing(needs=("N05",), rules=ContactRules(channels=("visit",))), None),
        (Standing(deceased=True), "deceased"),
        (Standing(sealed=True, deceased=True, prohibited=True), "sealed"),
    ],
)  # fmt: skip
def test_each_rule_withholds_by_its_name(standing: Standing, rule: str | None) -> None:
    assert withholds(standing) == rule
    assert rule is None or codes.known(codes.CONTACT_RULE, rule)


def test_resources_go_along_only_where_no_rule_speaks_or_nobody_is_named_in_them() -> None:
    for sealed, then, now, dead, kept in product((False, True), repeat=5):
        rule = withholds(Standing(sealed, then, now, dead, ContactRules(prohibited=kept)))
        if in_full(rule):
            assert not sealed, rule
            assert (then and not now) or not (dead or kept), rule
