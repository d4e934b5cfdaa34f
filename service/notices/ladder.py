"""Who is called next in a crisis that nobody has acknowledged, and when; pure (moves.md: the hospital's duty roster, then the
accepted agency's supervisor, then the coordinator)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from service.practice import Practice
from service.referrals.model import CrisisOwner

Rung = Literal["first", "second", "supervisor", "coordinator"]
"""`first` and `second` are those on duty at the hospital; `supervisor` who is on duty at the agency that accepted."""

PageState = Literal["waiting", "sent", "not-delivered", "nobody", "called-off"]
FAILED: frozenset[str] = frozenset({"not-delivered", "nobody"})


class Called(msgspec.Struct, frozen=True):
    """One call, by as many channels as there are: which rung, when, and what became of each."""

    rung: Rung
    at: datetime
    states: tuple[PageState, ...]
    acknowledged: bool = False

    @property
    def failed(self) -> bool:
        """Nobody was reached by any channel."""
        return FAILED.issuperset(self.states)


def rungs(owner: CrisisOwner, *, agency: bool) -> tuple[Rung, ...]:
    """The ladder of a crisis: whoever must acknowledge it first, and everybody above. `agency`: one has accepted."""
    whole: dict[CrisisOwner, tuple[Rung, ...]] = {
        "hospital": ("first", "second", "supervisor", "coordinator"),
        "agency": ("supervisor", "coordinator"),
        "coordinator": ("coordinator",),
    }
    found: list[Rung] = [rung for rung in whole[owner] if agency or rung != "supervisor"]
    return tuple(found)


def next_rung(
    ladder: Sequence[Rung], calls: Sequence[Called], limit: datetime, now: datetime, practice: Practice
) -> Rung | None:
    """Whom to call now, or None: it is not time. `calls` are those of this crisis, oldest first; `limit` is when it has to be
    acknowledged.

    A call that was acknowledged is somebody's word that they see to it: the ladder waits for the crisis' own limit and goes
    on when that has passed without the step itself. A call that reached nobody waits for nothing.
    """
    done = {call.rung for call in calls}
    left: list[Rung] = [rung for rung in ladder if rung not in done]
    fresh = left[0] if left else None
    if not done.intersection(ladder):
        return fresh  # Nobody of this ladder was called: it has just begun, or passed to somebody else.
    last = calls[-1]
    if any(call.acknowledged for call in calls) and now < limit:
        return None
    if fresh is not None:
        waits = timedelta() if last.failed else timedelta(seconds=practice.page_next)
        return fresh if now >= last.at + waits else None
    return ladder[-1] if now >= last.at + timedelta(seconds=practice.page_again) else None
