"""Random histories of a referral: whatever happens in whatever order, the promises hold."""

import itertools
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.errors import Forbidden, Invalid
from service.referrals import crisis, lifecycle, settling, transitions
from service.referrals.model import TERMINAL
from service.values import Reason, new_id
from tests.referrals.made import AGENCY, NOW, OTHER, PRACTICE, apply, loop

ACTIONS = [a for a in lifecycle.MOVES if a not in ("offer", "lose", "void")]
EDGES = {
    ("requested", "accepted"), ("requested", "rejected"), ("requested", "cancelled"), ("accepted", "in-progress"), ("accepted", "on-hold"),
    ("accepted", "completed"), ("accepted", "failed"), ("accepted", "cancelled"), ("in-progress", "on-hold"), ("in-progress", "completed"),
    ("in-progress", "failed"), ("in-progress", "cancelled"), ("on-hold", "in-progress"), ("on-hold", "completed"), ("on-hold", "failed"),
    ("on-hold", "cancelled"),
}  # fmt: skip
"""The SDOHCC machine (closed-loop.md 1.3); from every state to entered-in-error besides."""


class History(RuleBasedStateMachine):
    @initialize(permitted=st.booleans(), urgency=st.sampled_from(["routine", "urgent", "asap", "stat"]))
    def submitted(self, permitted: bool, urgency: str) -> None:
        self.loop = loop(urgency, permitted=permitted)
        self.now = NOW
        self.seen: dict[object, list[str]] = {}

    def look(self) -> None:
        for task in (self.loop.parent, *self.loop.shares):
            states = self.seen.setdefault(task.id, [])
            if not states or states[-1] != task.status:
                states.append(task.status)

    @rule(agency=st.sampled_from([AGENCY, OTHER, None]), broadcast=st.booleans())
    def offer(self, agency, broadcast) -> None:
        if not self.loop.parent.open or any(s.open and s.agency == agency for s in self.loop.shares):
            return
        if any(s.open and s.accepted_at for s in self.loop.shares):
            return  # What somebody has accepted is not offered again meanwhile.
        share = transitions.offered(self.loop.referral, agency, self.now, PRACTICE, broadcast=broadcast)
        self.loop = settling.settle(self.loop.with_share(share), self.now, PRACTICE)
        self.look()

    @rule(action=st.sampled_from(ACTIONS), pick=st.integers(0, 20))
    def move(self, action: str, pick: int) -> None:
        if not self.loop.shares:
            return
        share = self.loop.shares[pick % len(self.loop.shares)]
        who = sorted(lifecycle.MOVES[action].who)[0]
        try:
            lifecycle.check(action, share, who)
            if action in ("start", "resume") and share.patient is None:
                raise Invalid("awaiting consent")
            self.loop = apply(self.loop, share.id, action, self.now, transitions.Output("resulting-activity", {}, None))
        except (Invalid, Forbidden):
            return
        self.look()

    @rule(given=st.booleans(), pick=st.integers(0, 20))
    def consent(self, given: bool, pick: int) -> None:
        if self.loop.shares:
            share = self.loop.shares[pick % len(self.loop.shares)]
            self.loop = apply(self.loop, share.id, "consent" if given else "withdraw-consent", self.now)
            for other in self.loop.shares:
                self.loop = settling.settle(
                    transitions.disclosed(self.loop, other, self.now, PRACTICE), self.now, PRACTICE
                )

    @rule()
    def raise_crisis(self) -> None:
        self.loop = settling.settle(crisis.raised(self.loop, self.now, PRACTICE), self.now, PRACTICE)

    @precondition(lambda self: self.loop.referral.crisis is not None)
    @rule(step=st.sampled_from(sorted(crisis.STEPS)))
    def step_crisis(self, step: str) -> None:
        try:
            moved = crisis.stepped(self.loop, step, Reason(step, "done"), self.now, PRACTICE)
        except Invalid:
            return
        self.loop = settling.settle(moved, self.now, PRACTICE)

    @rule(minutes=st.integers(1, 3000))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @invariant()
    def only_edges_of_the_standard(self) -> None:
        for states in self.seen.values():
            for before, after in itertools.pairwise(states):
                assert (before, after) in EDGES

    @invariant()
    def an_open_referral_has_exactly_one_next_step(self) -> None:
        assert (self.loop.next is not None) == settling.is_open(self.loop)
        if self.loop.next is not None:
            step = self.loop.next
            assert step.organization is not None and step.what and step.since <= step.by
            assert step.since <= step.warn_at <= step.by

    @invariant()
    def identity_is_shown_only_after_acceptance_and_with_a_ground(self) -> None:
        for share in self.loop.shares:
            if share.patient is not None and share.open:
                assert share.accepted_at is not None
                assert share.agency in self.loop.permitted
            if share.status == "requested":
                assert share.patient is None

    @invariant()
    def completed_has_a_reason_and_an_output(self) -> None:
        for share in self.loop.shares:
            if share.status == "completed":
                assert share.reason is not None and share.reason.code and share.outputs
        if self.loop.parent.status == "completed":
            assert all(not share.open for share in self.loop.shares)
            assert any(share.status == "completed" for share in self.loop.shares)
            assert self.loop.referral.status == "completed"

    @invariant()
    def one_owner_of_the_same_needs(self) -> None:
        taken = [share for share in self.loop.shares if share.open and share.accepted_at]
        assert len(taken) <= 1

    @invariant()
    def a_terminal_task_runs_no_clock(self) -> None:
        for task in (self.loop.parent, *self.loop.shares):
            if task.status in TERMINAL:
                assert not task.clocks and task.ended_at is not None and task.due_at is None

    @invariant()
    def while_a_crisis_is_up_it_is_the_next_step(self) -> None:
        if self.loop.referral.crisis is not None:
            assert self.loop.next is not None
            assert self.loop.next.what == self.loop.referral.crisis.waits_for


History.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestHistory = History.TestCase

assert new_id
