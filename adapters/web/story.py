"""What happened to a referral, an entry an event: who, when, what, why."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.web.shell import Person
from adapters.web.speech import Speech, noted
from service import codes
from service.referrals.lifecycle import MOVES
from service.referrals.overview_flow import Told

HAPPENED = {
    "submit": noted("提交转介"),
    "unplaced": noted("没有可派的机构，转协调员"),
    "assign": noted("指定社工"),
    "amend": noted("补充记录"),
    "record": noted("开始记录服务"),
    "consent": noted("取得同意"),
    "withdraw-consent": noted("撤回同意"),
    "consent-ended": noted("同意到期"),
    "legal-duty": noted("记录法定依据"),
    "emergency": noted("记录紧急依据"),
    "disclose": noted("身份已向机构开放"),
    "conceal": noted("身份不再向机构开放"),
    "discharge": noted("出院"),
    "follow-up": noted("安排随访"),
    "move": noted("调整随访时间"),
    "attempt": noted("尝试联系"),
    "plan-attempt": noted("安排下次联系"),
    "outcome": noted("随访结果"),
    "cancel": noted("取消"),
    "close": noted("随访结束，转介闭环"),
    "hand-over": noted("交接"),
    "remind": noted("提醒"),
    "escalate": noted("升级提醒"),
    "overdue": noted("答复超时，同时另派机构"),
    "refuse": noted("不受理"),
    "give-up": noted("终止派单"),
    "raise": noted("上报危机"),
    "acknowledged": noted("确认危机"),
    "safety-planned": noted("已制定安全计划"),
    "reported": noted("已报告"),
    "stood-down": noted("解除危机"),
    "restricted": noted("受限内容"),
    "offer-bereavement": noted("提示丧亲关怀"),
    "hasten": noted("采纳建议，提高紧急程度"),
    "safe-contact": noted("更新安全联系方式"),
    "owe": noted("待办"),
    "see-to": noted("待办已完成"),
    "advance": noted("个案进入另一阶段"),
    "due": noted("个案下一项待办已确定"),
    "acknowledge-page": noted("值班人员已确认呼叫"),
    "away": noted("请假离院"),
    "back": noted("请假后返院"),
    "break-glass": noted("紧急查阅身份"),
    "glass-mended": noted("紧急查阅已到期"),
    "co-work": noted("增加协同社工"),
    "co-work-end": noted("协同结束"),
    "conflict": noted("须改派社工"),
    "correct": noted("更正个人信息"),
    "died": noted("本人已去世"),
    "undo-died": noted("去世记录有误，已更正"),
    "expected-discharge": noted("预计出院时间变更"),
    "fit": noted("达到出院条件"),
    "undo-fit": noted("暂不符合出院条件"),
    "hand-back": noted("工作交还"),
    "match": noted("安排志愿者探访"),
    "unmatch": noted("取消志愿者探访"),
    "merge": noted("病人记录已合并"),
    "undo-merge": noted("撤销记录合并"),
    "move-ward": noted("转科或换床"),
    "undo-admit": noted("撤销入院"),
    "undo-discharge": noted("撤销出院"),
    "page": noted("呼叫值班人员"),
    "pass-on": noted("需求转交其他机构"),
    "propose-close": noted("建议结案"),
    "readmit": noted("再次入院"),
    "undo-readmit": noted("撤销再次入院"),
    "reopen": noted("个案重新开启"),
    "reveal": noted("查看完整证件号"),
    "transfer": noted("个案转交其他社工"),
}
"""Events that are no moves of a share, in words; moves have theirs in the table of moves."""


class Entry(msgspec.Struct, frozen=True):
    """An event in words."""

    number: int
    kind: str
    what: str
    who: str
    agency: str
    when: str
    exact: str
    at: datetime
    why: str
    sealed: bool


def entry(event: dict[str, Any], told: Told, who: Person, now: datetime) -> Entry:
    """One event as this reader may read it."""
    speech, kind = who.speech, event["kind"]
    agency = told.names.organizations.get(event["agency_id"]) if event["agency_id"] else None
    by = told.names.organizations.get(event["by_organization"])
    return Entry(
        number=event["number"],
        kind=kind,
        what=_what(kind, speech),
        who=speech.name(by) if by else event["by_name"],
        agency=speech.name(agency) if agency and agency is not by else "",
        when=speech.when(event["at"], now),
        exact=speech.exact(event["at"]),
        at=event["at"],
        why=_why(event, speech),
        sealed=kind == "restricted",
    )


def _what(kind: str, speech: Speech) -> str:
    if kind in MOVES:
        return MOVES[kind].zh if speech.language == "zh" else MOVES[kind].en
    return speech.gettext(HAPPENED[kind]) if kind in HAPPENED else kind


def _why(event: dict[str, Any], speech: Speech) -> str:
    code, text = event["reason_code"], event["reason_text"]
    lists = (codes.DECLINE_REASON, codes.CLOSURE_REASON, codes.FOLLOW_UP_OUTCOME)
    system = next((system for system in lists if code and codes.known(system, code)), None)
    return " · ".join(filter(None, [speech.code(system, code) if system else "", text or ""]))
