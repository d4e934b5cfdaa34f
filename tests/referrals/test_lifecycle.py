"""The table of moves: every state × every action, as moves.md says, and the diagram that the docs show."""

from pathlib import Path

import msgspec
import pytest

from service.errors import Forbidden, Invalid
from service.referrals import lifecycle, transitions
from service.referrals.lifecycle import MOVES
from service.referrals.model import TERMINAL
from tests.referrals.made import AGENCY, NOW, PRACTICE, apply, at, loop, offered

STATES = (
    "requested",
    "accepted",
    "in-progress",
    "on-hold",
    "rejected",
    "cancelled",
    "completed",
    "failed",
    "entered-in-error",
)

# moves.md's first table, written down once more and by hand: action → the states from which it may be made.
ALLOWED = {
    "ask": {"requested", "accepted", "in-progress"},
    "accept": {"requested"},
    "decline": {"requested"},
    "expire": {"requested"},
    "lose": {"requested"},
    "start": {"accepted"},
    "hold": {"accepted", "in-progress"},
    "resume": {"on-hold"},
    "return": {"accepted"},
    "complete": {"accepted", "in-progress", "on-hold"},
    "fail": {"accepted", "in-progress", "on-hold"},
    "withdraw": {"requested"},
    "request-cancel": {"accepted", "in-progress", "on-hold"},
    "void": set(STATES) - {"entered-in-error"},
    # Only while something was asked, a cancellation requested, or the offer has no owner; see the tests below.
    "answer": set(),
    "confirm-cancel": set(),
    "claim": set(),
    "offer": set(),
}
WHO = {
    "ask": "agency", "accept": "agency", "decline": "agency", "expire": "clock", "lose": "system", "start": "agency", "hold": "agency",
    "resume": "agency", "return": "agency", "complete": "agency", "fail": "agency", "withdraw": "hospital", "request-cancel": "hospital",
    "void": "hospital", "answer": "hospital", "confirm-cancel": "agency", "claim": "agency", "offer": "coordinator",
}  # fmt: skip


@pytest.mark.parametrize("action", MOVES)
@pytest.mark.parametrize("state", STATES)
def test_every_state_and_every_action(state: str, action: str) -> None:
    made, share = at(state)
    if state in ALLOWED[action]:
        assert lifecycle.check(action, made.share(share), WHO[action]).action == action
    else:
        with pytest.raises(Invalid) as refused:
            lifecycle.check(action, made.share(share), WHO[action])
        assert refused.value.key == "illegal-move"


@pytest.mark.parametrize("action", MOVES)
@pytest.mark.parametrize("who", ["agency", "hospital", "coordinator", "clock", "system", "router"])
def test_a_move_is_for_its_own_side_alone(action: str, who: str) -> None:
    made, share = at(next((s for s in STATES if s in ALLOWED[action]), "requested"))
    if who not in MOVES[action].who:
        with pytest.raises(Forbidden):
            lifecycle.check(action, made.share(share), who)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", [a for a in MOVES if a not in ("lose", "offer", "ask", "answer", "request-cancel")])
def test_a_move_leads_where_the_table_says(state: str, action: str) -> None:
    if state not in ALLOWED[action]:
        return
    made, share = at(state)
    output = transitions.Output("resulting-activity", {}, None)
    assert apply(made, share, action, NOW, output).share(share).status == MOVES[action].target


def test_an_answer_needs_a_question() -> None:
    made, share = at("requested")
    asked = apply(made, share, "ask", NOW)
    assert asked.share(share).business_status == "awaiting-information"
    assert lifecycle.check("answer", asked.share(share), "hospital")
    assert apply(asked, share, "answer", NOW).share(share).business_status == "offered"


@pytest.mark.parametrize("state", ["accepted", "in-progress", "on-hold"])
def test_a_requested_cancellation_is_confirmed_or_overridden_by_completing(state: str) -> None:
    made, share = at(state)
    asked = apply(made, share, "request-cancel", NOW)
    assert asked.share(share).status == state
    assert asked.share(share).business_status == "cancellation-requested"
    assert lifecycle.check("confirm-cancel", asked.share(share), "agency")
    assert lifecycle.check("complete", asked.share(share), "agency")
    with pytest.raises(Invalid):
        lifecycle.check("request-cancel", asked.share(share), "hospital")


def test_an_offer_without_owner_is_claimed_not_accepted() -> None:
    made, share = offered(loop(), None)
    assert lifecycle.check("claim", made.share(share), "agency")
    with pytest.raises(Invalid):
        lifecycle.check("accept", made.share(share), "agency")
    assert apply(made, share, "claim", NOW).share(share).agency == AGENCY


def test_terminal_states_have_no_exit_but_void() -> None:
    for state in TERMINAL - {"entered-in-error"}:
        made, share = at(state)
        exits = {
            action
            for action, move in MOVES.items()
            for who in move.who
            if action in lifecycle.legal(made.share(share), who)
        }
        assert exits == {"void"}
    made, share = at("entered-in-error")
    assert not any(lifecycle.legal(made.share(share), who) for who in ("agency", "hospital", "coordinator"))


def test_the_buttons_are_the_legal_moves() -> None:
    made, share = at("requested")
    assert lifecycle.legal(made.share(share), "agency") == ("ask", "accept", "decline")
    made, share = at("accepted")
    assert lifecycle.legal(made.share(share), "hospital") == ("request-cancel", "void")


def test_a_return_needs_the_grace_time_and_no_record_of_work() -> None:
    from datetime import timedelta

    made, share = at("accepted")
    with pytest.raises(Invalid) as late:
        apply(made, share, "return", NOW + timedelta(hours=2, seconds=1))
    assert late.value.key == "grace-passed"
    worked = made.with_share(msgspec.structs.replace(made.share(share), recorded=True))
    with pytest.raises(Invalid):
        apply(worked, share, "return", NOW)


def test_completing_needs_an_output_disclosure_and_no_crisis() -> None:
    from service.referrals import crisis

    output = transitions.Output("resulting-activity", {}, None)
    made, share = at("in-progress")
    with pytest.raises(Invalid):
        apply(made, share, "complete", NOW)
    with pytest.raises(Invalid) as up:
        apply(crisis.raised(made, NOW, PRACTICE), share, "complete", NOW, output)
    assert up.value.key == "crisis-up"
    hidden, other = offered(loop(permitted=False))
    hidden = apply(hidden, other, "accept", NOW)
    with pytest.raises(Invalid) as withheld:
        apply(hidden, other, "complete", NOW, output)
    assert withheld.value.key == "not-disclosed"


def test_the_diagram_in_the_docs_is_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text()
    assert f"```mermaid\n{lifecycle.diagram()}```" in page, (
        "docs/lifecycle.md is not what MOVES says; write lifecycle.diagram() into it"
    )
    for move in MOVES.values():
        assert f"| `{move.action}` |" in page, f"{move.action} is not documented"
