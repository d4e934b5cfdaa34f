"""Which acts a page draws: exactly those that this reader may make now, from the table of moves and the rules beside it; pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from adapters.web.speech import noted
from service import codes
from service.access.model import Actor
from service.practice import Practice
from service.referrals import crisis, lifecycle
from service.referrals.lifecycle import DISCLOSURE_NOT_NEEDED, LIVE
from service.referrals.model import Task
from service.referrals.overview_flow import Told
from service.values import Id


class Act(msgspec.Struct, frozen=True):
    """One act as its form offers it: `word` is the last part of its address, `task` the Task that it is about.

    `system` is the code list of its reasons (`but`: those left out, `only`: those alone), `text` whether words are written.
    """

    word: str
    label: str
    says: str
    task: Id | None = None
    system: str | None = None
    only: tuple[str, ...] = ()
    text: str = ""
    asks: str = noted("写几句说明")
    hint: str = ""
    fields: tuple[str, ...] = ()
    tone: str = "plain"
    key: str = ""
    sure: bool = False
    """It is drawn apart from the others, in the colour of what cannot be taken back."""

    @property
    def id(self) -> str:
        """What its fields are called by on the page: one act may be there for several Tasks."""
        return f"{self.word}-{self.task.hex[-6:]}" if self.task else self.word

    @property
    def reasons(self) -> tuple[str, ...]:
        """The codes among which its reason is chosen."""
        return self.only or (codes.LISTS[self.system].codes if self.system else ())


RISK = "urn:yuanshe:risk"
NO_NAMES = noted("请不要写姓名、电话或证件号。")

SHARE: dict[str, Act] = {
    act.word: act
    for act in (
        Act("accept", noted("接单"), noted("本机构承接，指定持证社工，并在时限内首次联系。刚接单、还没有服务记录时可以退回。"),
            fields=("worker",), tone="primary", key="a"),
        Act("claim", noted("认领"), noted("这是同时派给几家的单，先认领的承接；其他机构不再看到它。"), fields=("worker",), tone="primary", key="a"),
        Act("decline", noted("退单"), noted("退单后，系统马上转派下一家机构；医院会看到原因。"), system=codes.DECLINE_REASON, text="required", key="d",
            hint=NO_NAMES),
        Act("ask", noted("追问"), noted("问题发给医院；医院答复之前，本机构的时限暂停。"), text="required", asks=noted("想问什么"), key="i", hint=NO_NAMES),
        Act("start", noted("开始服务"), noted("个案进入预估阶段，由指定的社工负责。"), fields=("worker",), tone="primary", key="s"),
        Act("resume", noted("恢复"), noted("服务继续，时限从暂停处接着计算。"), fields=("worker",), tone="primary", key="r"),
        Act("hold", noted("暂停"), noted("服务暂停到所选日期（不选则按默认期限），到期提醒恢复；随时可以恢复。"), text="required", fields=("until",), key="h",
            asks=noted("为什么暂停")),
        Act("assign", noted("改派社工"), noted("这一份改由另一位持证社工负责，时限不变。"), fields=("worker",), key="w"),
        Act("complete", noted("结案"), noted("本机构的服务结束，回执自动发给医院；结案后不能恢复。"), system=codes.CLOSURE_REASON, text="required",
            fields=("output",), key="c"),
        Act("return", noted("退回"), noted("撤销接单，系统马上转派下一家机构。"), system=codes.DECLINE_REASON, text="required", hint=NO_NAMES),
        Act("fail", noted("未能完成"), noted("服务没有做成；系统转派下一家机构（死亡或重复除外，交协调员决定）。"), system=codes.CLOSURE_REASON, text="required"),
        Act("confirm-cancel", noted("确认撤回"), noted("同意医院撤回，本机构的服务到此结束；如已完成，请改用“结案”。"), tone="primary"),
        Act("answer", noted("答复"), noted("答复发给提问的机构；全部答复后，它的时限继续计算。"), text="required", asks=noted("答复内容"), tone="primary", key="a"),
        Act("withdraw-share", noted("收回这一份"), noted("收回派给这家机构的单，系统改派下一家。"), text="required", hint=NO_NAMES),
    )
}  # fmt: skip
"""Acts on one agency's share, by the words of the table of moves; a coordinator or hospital takes back one share by `withdraw-share`."""

WHOLE: dict[str, Act] = {
    act.word: act
    for act in (
        Act("withdraw", noted("撤回转介"), noted("还没有机构接单：转介马上结束，派出的单全部收回。"), text="required", sure=True, asks=noted("为什么撤回"), hint=NO_NAMES),
        Act("request-cancel", noted("请求撤回"), noted("已有机构接单：撤回要等它确认；它也可以改为结案。"), text="required", sure=True, asks=noted("为什么撤回"), hint=NO_NAMES),
        Act("void", noted("误录作废"), noted("整条转介作为误录，离开所有列表和统计，不能恢复。只用于录错的；不再需要的请撤回。"), text="required", sure=True, hint=NO_NAMES),
        Act("raise", noted("报告危机"), noted("立即呼叫值班人员；危机解除前，这条转介什么都不能结束。"), text="required", sure=True, asks=noted("看到或听到了什么")),
        Act("acknowledged", noted("确认收到危机"), noted("由您来处理：呼叫停止，接下来要在时限内制定安全计划。"), text="required", tone="primary", key="a", asks=noted("已做了什么")),
        Act("safety-planned", noted("记录安全计划"), noted("写明风险等级和已经约定的做法；解除危机要由另一个人来做。"), text="required", fields=("risk",), tone="primary",
            key="p", asks=noted("安全计划要点")),
        Act("reported", noted("记录已报告"), noted("已向公安等部门报告。书面的强制报告另行填写。"), text="required", tone="primary", asks=noted("何时向谁报告")),
        Act("stood-down", noted("宣布危机解除"), noted("危机结束，转介恢复正常时限。制定计划的人不能自己解除。"), text="required", tone="primary", asks=noted("为什么可以解除")),
        Act("offer", noted("派单"), noted("派给所选的机构，答复时限重新计算；不完全符合条件的机构要写明理由。"), text="optional", fields=("agency",), tone="primary", key="p", hint=NO_NAMES),
        Act("refuse", noted("不受理这条转介"), noted("转介结束，原因和建议发给医院。"), system=codes.DECLINE_REASON, text="required", sure=True, asks=noted("建议医院怎么做"), hint=NO_NAMES),
        Act("give-up", noted("不再派单"), noted("不再寻找机构，转介结束；医院会看到原因。"), text="required", sure=True, hint=NO_NAMES),
        Act("basis", noted("记录合法依据"), noted("在没有同意的情况下，依法向所选机构开放身份；之后要告知本人。"), text="required", fields=("kind", "agency"), asks=noted("依据和理由")),
        Act("consent", noted("记录同意"), noted("写明的机构接单后即可看到身份，服务可以开始。"), fields=("consent",), key="c"),
    )
}  # fmt: skip
"""Acts on the referral as a whole."""

DUTY: dict[str, Act] = {
    act.word: act
    for act in (
        Act("see-to", noted("已办好"), noted("这件事办完了，不再提醒。"), text="optional"),
        Act("call-off", noted("不再需要"), noted("这件事不用办了，请写明原因。"), text="required"),
    )
}


SEALED = frozenset({"raise", "acknowledged", "safety-planned", "reported", "stood-down", "basis", "consent"})
"""Acts whose words no browser keeps: of a crisis, or with names."""


# ---- what a share allows ---------------------------------------------------------------------------------------------


def _within_grace(share: Task, now: datetime, practice: Practice) -> bool:
    grace = timedelta(minutes=practice.return_grace.minutes)
    return share.accepted_at is not None and now - share.accepted_at <= grace and not share.recorded


NARROWER: dict[str, Callable[[Task, datetime, Practice], bool]] = {
    "start": lambda share, now, practice: "consent" not in share.clocks,
    "resume": lambda share, now, practice: "consent" not in share.clocks,
    "return": _within_grace,
}
"""What the verbs ask beyond the table of moves: a ground to begin on, and the time in which an acceptance is undone."""
OF_THE_PLACER = {"withdraw": "withdraw-share"}
"""A hospital's and the coordinator's moves on one share, as the page calls them; its other moves are made on the whole referral."""


def share_acts(
    share: Task, side: str, now: datetime, practice: Practice, *, crisis_up: bool = False
) -> tuple[str, ...]:
    """The words of what this side may do with this share now, in the order of the table of moves. `crisis_up`: nothing closes."""
    found: list[str] = []
    for action in lifecycle.legal(share, side):
        if side == "agency" and share.agency is None and action != "claim":
            continue  # What nobody owns yet is claimed, or left to others.
        if (rule := NARROWER.get(action)) and not rule(share, now, practice):
            continue
        if action == "complete" and crisis_up:
            continue
        word = action if side == "agency" else OF_THE_PLACER.get(action, action)
        if word in SHARE:
            found.append(word)
    if side == "agency" and share.status in LIVE:
        found.append("assign")
    return tuple(found)


def _shown(share: Task) -> bool:
    """Whether the person is known to the agency on a ground that lets work go on: a broken glass is none."""
    return share.patient is not None and "consent" not in share.clocks


def _of_share(word: str, share: Task) -> Act:
    made = msgspec.structs.replace(SHARE[word], task=share.id)
    if word == "complete" and not _shown(share):
        return msgspec.structs.replace(made, only=tuple(sorted(DISCLOSURE_NOT_NEEDED)))
    return made


# ---- what the referral allows ----------------------------------------------------------------------------------------


def whole_acts(told: Told, actor: Actor) -> tuple[str, ...]:
    """The words of what this reader may do with the referral as a whole now."""
    if actor.side == "agency":
        return _of_agency(told, actor)
    referral, parent = told.referral, told.parent
    if referral is None or parent is None or parent.status == "entered-in-error":
        return ()
    found: list[str] = [*crisis.may_follow(referral, actor)] if referral.crisis else []
    open_shares = [share for share in told.shares if share.open]
    live = [share for share in open_shares if share.accepted_at]
    coordinator = actor.side == "platform"
    if coordinator and parent.open:
        if to_place(told):
            found.append("offer")
        if not any(share.accepted_at for share in told.shares):
            found.append("refuse")
        if not open_shares:
            found.append("give-up")
        if any(share.agency and share.patient is None for share in open_shares):
            found.append("basis")
    if not coordinator and (parent.open or referral.follow_up):
        found.append("consent")
    if parent.open:
        if not live:
            found.append("withdraw")
        elif not coordinator and any("cancel" not in share.clocks for share in live):
            found.append("request-cancel")
    if referral.crisis is None:
        found.append("raise")
    found.append("void")
    return tuple(found)


def _of_agency(told: Told, actor: Actor) -> tuple[str, ...]:
    own = [task for task in (*told.shares, *told.follow_ups) if task.agency == actor.organization and task.open]
    at_work = any(task.accepted_at for task in own)
    if told.referral is not None and told.referral.crisis is not None:
        return crisis.may_follow(told.referral, actor) if at_work else ()
    if told.open is not None and told.open.step.what in NEXT_OF_CRISIS:
        # The person is not disclosed, so the crisis itself is not read; what it waits for stands in the sentence.
        return (NEXT_OF_CRISIS[told.open.step.what],) if at_work else ()
    return ("raise",) if own else ()


NEXT_OF_CRISIS = {"acknowledge": "acknowledged", "safety-plan": "safety-planned", "report": "reported", "stand-down": "stood-down"}  # fmt: skip


def to_place(told: Told) -> tuple[str, ...]:
    """The needs that an offer may be for: those that no agency has accepted."""
    assert told.referral is not None
    taken = {need for share in told.shares if share.open and share.accepted_at for need in share.needs}
    return tuple(need for need in told.referral.needs if need not in taken)


def duty_acts(duty: Task, actor: Actor) -> tuple[Act, ...]:
    """What may be done about something owed: by its owner, and to call it off by the coordinator too."""
    if not duty.open:
        return ()
    own = (duty.agency or duty.hospital) == actor.organization
    if not own and actor.side != "platform":
        return ()
    # A new need is confirmed with its referral, on the page of the follow-up that found it.
    words = ("see-to", "call-off") if own and duty.item != "refer-new-need" else ("call-off",)
    found = [msgspec.structs.replace(DUTY[word], task=duty.id) for word in words]
    if duty.item == "review-access":
        review = {"system": codes.ACCESS_REVIEW, "text": "required", "asks": noted("结论的理由")}
        found[0] = msgspec.structs.replace(found[0], **review) if own else found[0]
    return tuple(found)


class Offered(msgspec.Struct, frozen=True):
    """The acts of a page: `main` in the head of it, `grave` apart, `by_task` beside their share, question or duty."""

    main: tuple[Act, ...]
    grave: tuple[Act, ...]
    by_task: dict[Id, tuple[Act, ...]]

    def of(self, task: Id) -> tuple[Act, ...]:
        return self.by_task.get(task, ())

    @property
    def all(self) -> tuple[Act, ...]:
        return *self.main, *self.grave, *(act for acts in self.by_task.values() for act in acts)


def side_of(actor: Actor) -> str:
    """The reader's side as the table of moves calls it."""
    return "coordinator" if actor.side == "platform" else actor.side


def offered(told: Told, actor: Actor, now: datetime, practice: Practice) -> Offered:
    """Everything that this reader may do on this referral now, and nothing else."""
    up = told.referral is not None and told.referral.crisis is not None
    whole = [WHOLE[word] for word in whole_acts(told, actor)]
    main = [act for act in whole if not act.sure]
    by_task: dict[Id, tuple[Act, ...]] = {}
    for share in told.shares:
        if actor.side == "agency" and (told.share is None or share.id != told.share.id):
            continue
        acts = [_of_share(word, share) for word in share_acts(share, side_of(actor), now, practice, crisis_up=up)]
        if actor.side == "agency":
            main += acts
            continue
        # Of one share alone the whole referral is taken back.
        alone = actor.side == "hospital" and len([each for each in told.shares if each.open]) < 2
        by_task[share.id] = tuple(act for act in acts if not (alone and act.word == "withdraw-share"))
    for duty in told.duties:
        by_task[duty.id] = duty_acts(duty, actor)
    # What the sentence waits for comes first; the others keep the order of the table of moves.
    main.sort(key=lambda act: act.tone != "primary")
    return Offered(tuple(main), tuple(act for act in whole if act.sure), by_task)
