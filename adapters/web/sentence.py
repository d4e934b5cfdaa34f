"""The sentence that stands wherever a referral appears: who must act next, on what, by when (moves.md's last table)."""

from datetime import datetime

import msgspec

from adapters.web.speech import Speech, noted
from service.access.model import Actor
from service.directory.model import Organization, Worker
from service.referrals.model import NextStep

WHAT = {
    "accept-or-decline": noted("接单或退单"),
    "claim": noted("有机构认领"),
    "place": noted("派单或不受理"),
    "answer": noted("答复问题"),
    "obtain-consent": noted("取得同意"),
    "first-contact": noted("首次联系"),
    "confirm-cancel": noted("确认撤回或结案"),
    "resume": noted("恢复服务"),
    "assessment": noted("完成预估"),
    "plan": noted("完成服务计划"),
    "review": noted("复核服务计划"),
    "supervision": noted("督导个案"),
    "evaluation": noted("完成成效评估"),
    "closure": noted("完成结案"),
    "follow-up": noted("进行随访"),
    "acknowledge": noted("确认危机"),
    "safety-plan": noted("制定安全计划"),
    "report": noted("完成报告"),
    "stand-down": noted("解除危机"),
    "name-worker": noted("指定持证社工"),
    "close": noted("办理结案（本人已去世）"),
    "note": noted("补写过程记录"),
}
"""What a next step is, in words."""
OF_A_CRISIS = frozenset({"acknowledge", "safety-plan", "report", "stand-down"})


class Sentence(msgspec.Struct, frozen=True):
    """`turn` says who must do what, `by` until when, both in words; `late` when the limit has passed, `near` when little of it is left, `mine` when the
    reader's own organisation must act, `crisis` when one is up."""

    turn: str
    who: str
    what: str
    by: str
    exact: str
    at: datetime
    late: bool
    near: bool
    mine: bool
    crisis: bool
    unconfirmed: bool


def sentence(
    step: NextStep, actor: Actor, organization: Organization | None, worker: Worker | None, speech: Speech, now: datetime
) -> Sentence:  # fmt: skip
    """The sentence of a step as this reader reads it."""
    _ = speech.gettext
    mine = step.organization == actor.organization
    if mine and step.worker and step.worker == actor.worker:
        who = _("您")
    else:
        who = "「" + speech.name(organization) + "」" + (worker.name if worker else "")
        who = who if speech.language == "zh" else who.replace("「", "").replace("」", " ").strip()
    what = _(WHAT[step.what]) if step.what in WHAT else step.what
    if mine and who == _("您"):
        turn = _("轮到您%(what)s") % {"what": what}
    else:
        turn = (_("轮到%(who)s%(what)s") if mine else _("等待%(who)s%(what)s")) % {"who": who, "what": what}
    late = now > step.by
    if late:
        by = _("已超时 %(time)s") % {"time": speech.lasting((now - step.by).total_seconds())}
    else:
        by = _("%(time)s 前") % {"time": speech.when(step.by, now)}
    return Sentence(
        turn=turn, who=who, what=what, by=by, exact=speech.exact(step.by), at=step.by,
        late=late, near=not late and now >= step.warn_at, mine=mine, crisis=step.what in OF_A_CRISIS, unconfirmed=not step.confirmed,
    )  # fmt: skip
