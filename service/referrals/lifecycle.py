"""The life of a referral as one table of moves: the decision, the tests, the buttons and the diagram all read it."""

import msgspec

from service.errors import Conflict, Forbidden, Invalid
from service.referrals.model import TERMINAL, Task

LIVE = frozenset({"accepted", "in-progress", "on-hold"})
EVERY = frozenset({"draft", "requested", "accepted", "in-progress", "on-hold"}) | TERMINAL


class Move(msgspec.Struct, frozen=True):
    """One row of moves.md: `action` leads a share from any of `sources` to `target` (None: unchanged).

    `who` may make it: agency, hospital, coordinator, router, clock, system. `business_status` is what the share says
    afterwards (None: derived). `reason`: a reason is required.
    """

    action: str
    sources: frozenset[str]
    target: str | None
    who: frozenset[str]
    zh: str
    en: str
    business_status: str | None = None
    reason: bool = False


def _move(action: str, sources: str, target: str | None, who: str, zh: str, en: str, **rest: str | bool | None) -> Move:
    every = EVERY if sources == "any" else frozenset(sources.split())
    return Move(action, every, target, frozenset(who.split()), zh, en, **rest)  # pyright: ignore[reportArgumentType]


MOVES: dict[str, Move] = {
    move.action: move
    for move in (
        _move("offer", "", "requested", "router coordinator", "派单", "Offer", business_status="offered"),
        _move("claim", "requested", "accepted", "agency", "认领", "Claim"),
        _move("ask", "requested accepted in-progress", None, "agency coordinator", "追问", "Ask", business_status="awaiting-information"),
        _move("answer", "requested accepted in-progress on-hold", None, "hospital", "答复", "Answer"),
        _move("accept", "requested", "accepted", "agency", "接单", "Accept"),
        _move("decline", "requested", "rejected", "agency", "退单", "Decline", business_status="declined", reason=True),
        _move("expire", "requested", "cancelled", "clock", "超时", "Expire", business_status="expired"),
        _move("lose", "requested", "cancelled", "system", "未选中", "Lose", business_status="not-selected"),
        _move("start", "accepted", "in-progress", "agency", "开始服务", "Start", business_status="in-service"),
        _move("hold", "accepted in-progress", "on-hold", "agency", "暂停", "Hold", business_status="paused", reason=True),
        _move("resume", "on-hold", "in-progress", "agency", "恢复", "Resume", business_status="in-service"),
        _move("return", "accepted", "cancelled", "agency", "退回", "Return", business_status="returned", reason=True),
        _move("complete", "accepted in-progress on-hold", "completed", "agency", "结案", "Complete", business_status="closed", reason=True),
        _move("fail", "accepted in-progress on-hold", "failed", "agency", "未成功", "Fail", business_status="failed", reason=True),
        _move("withdraw", "requested", "cancelled", "hospital coordinator", "撤回", "Withdraw", business_status="withdrawn", reason=True),
        _move("request-cancel", "accepted in-progress on-hold", None, "hospital", "请求撤回", "Request cancellation",
              business_status="cancellation-requested", reason=True),
        _move("confirm-cancel", "accepted in-progress on-hold", "cancelled", "agency", "确认撤回", "Confirm cancellation",
              business_status="withdrawn"),
        _move("void", "any", "entered-in-error", "hospital coordinator", "误录作废", "Void", reason=True),
    )
}  # fmt: skip
"""moves.md's first table, in its order."""

DISCLOSURE_NOT_NEEDED = frozenset({"consent-withdrawn", "lost"})
"""Closure reasons with which a share completes although identity was never or is no longer disclosed."""


def check(action: str, task: Task, who: str) -> Move:
    """The move, if it may be made from here by this side; raises Forbidden or Invalid (`illegal-move`)."""
    move = MOVES[action]
    if who not in move.who:
        raise Forbidden(f"“{move.en}” is not for the {who}.", key="wrong-actor")
    asked = "information" in task.clocks
    asked_to_cancel = "cancel" in task.clocks
    fits = task.status in move.sources
    if action == "answer":
        fits = fits and asked
    if action == "confirm-cancel":
        fits = fits and asked_to_cancel
    if action == "void" and task.status == "entered-in-error":
        fits = False
    if action == "claim":
        fits = fits and task.agency is None
    if action == "accept" and task.agency is None:
        fits = False
    if action == "request-cancel":
        fits = fits and not asked_to_cancel
    if not fits:
        state = task.business_status or task.status
        raise Invalid(
            f"“{move.en}” cannot be made while the Task is {task.status} ({state}).", at="status", key="illegal-move"
        )
    return move


def legal(task: Task, who: str) -> tuple[str, ...]:
    """Every action that this side may make now, in table order: the buttons of a page."""
    found: list[str] = []
    for action, move in MOVES.items():
        if action == "offer" or who not in move.who:
            continue
        try:
            check(action, task, who)
        except (Invalid, Forbidden, Conflict):
            continue
        found.append(action)
    return tuple(found)


def diagram() -> str:
    """The table as a Mermaid state diagram; the docs hold it and a test compares."""
    lines = ["stateDiagram-v2"]
    for move in MOVES.values():
        if move.action == "void":
            continue
        sources = sorted(move.sources, key=_ORDER.index) or ["[*]"]
        for source in sources:
            lines.append(
                f"    {source.replace('-', '_')} --> {(move.target or source).replace('-', '_')}: {move.action}"
            )
    lines += [
        f"    {state.replace('-', '_')} --> [*]"
        for state in _ORDER
        if state in TERMINAL and state != "entered-in-error"
    ]
    lines.append("    note right of requested: void leads from every state to entered-in-error")
    return "\n".join(lines) + "\n"


_ORDER: tuple[str, ...] = (
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
