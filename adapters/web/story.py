"""What happened to a referral, an entry an event: who, when, what, why."""

import json
from datetime import datetime
from typing import Any

import msgspec

from adapters.web.shell import Person
from adapters.web.speech import Speech, noted
from service import codes
from service.access.model import PERSON_ROLES
from service.patients import identity
from service.records.model import Record
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
    "enter-late": noted("停机后补录"),
}
"""Events that are no moves of a share, in words; moves have theirs in the table of moves."""


GROUPS: dict[str, str] = {
    "move": noted("办理"),
    "talk": noted("问答"),
    "crisis": noted("危机"),
    "consent": noted("同意与身份"),
    "follow-up": noted("随访"),
    "stay": noted("住院"),
}
"""What a timeline can be narrowed to."""
_OF = {
    "talk": "ask answer",
    "crisis": "raise acknowledged safety-planned reported stood-down page acknowledge-page hasten",
    "consent": "consent withdraw-consent consent-ended legal-duty emergency disclose conceal break-glass glass-mended conflict reveal "
    "safe-contact",
    "follow-up": "follow-up move attempt outcome close readmit undo-readmit",
    "stay": "discharge undo-discharge undo-admit away back died undo-died expected-discharge fit undo-fit move-ward correct "
    "merge undo-merge offer-bereavement",
}
GROUP_OF = {kind: group for group, kinds in _OF.items() for kind in kinds.split()}
"""Kind of event → its group; what stands nowhere here is a move."""


class Entry(msgspec.Struct, frozen=True):
    """An event in words. `texts`: what was written with it, where the reader may read that. `run`: how many sealed entries this
    one line stands for."""

    number: int
    kind: str
    group: str
    what: str
    who: str
    agency: str
    when: str
    exact: str
    at: datetime
    why: str
    sealed: bool
    texts: tuple[str, ...] = ()
    run: int = 1


def entries(told: Told, who: Person, now: datetime) -> list[Entry]:
    """The whole timeline, newest first: events with what was written, messages that moved nothing, sealed ones as one quiet line."""
    written: dict[tuple[Any, datetime], list[Record]] = {}
    for record in told.messages:
        written.setdefault((record.task, record.at), []).append(record)
    found: list[Entry] = []
    for event in told.events:
        with_it = written.pop((event["task_id"], event["at"]), []) if event["kind"] in ("ask", "answer") else []
        made = entry(event, told, who, now)
        texts = tuple(filter(None, (text_of(each, who) for each in with_it)))
        found.append(msgspec.structs.replace(made, texts=texts) if texts else made)
    alone = [_message(record, told, who, now) for records in written.values() for record in records]
    found = sorted([*found, *alone], key=lambda each: (each.at, each.number))
    return _runs(list(reversed(found)))


def _message(record: Record, told: Told, who: Person, now: datetime) -> Entry:
    by = told.names.organizations.get(record.author)
    return Entry(
        number=0, kind="message", group="talk", what=who.speech.gettext("说明"), who=who.speech.name(by) if by else "", agency="",
        when=who.speech.when(record.at, now), exact=who.speech.exact(record.at), at=record.at, why="", sealed=False,
        texts=tuple(filter(None, [text_of(record, who)])),
    )  # fmt: skip


def _runs(found: list[Entry]) -> list[Entry]:
    """Sealed entries that follow each other as one: how many there are is all that is to be read of them."""
    kept: list[Entry] = []
    for each in found:
        if each.sealed and kept and kept[-1].sealed:
            kept[-1] = msgspec.structs.replace(kept[-1], run=kept[-1].run + 1)
        else:
            kept.append(each)
    return kept


def text_of(record: Record, who: Person) -> str:
    """What a message says: a question that was asked on a page, or a FHIR Communication. An agency reads no whole citizen number
    in what others wrote."""
    said = json.loads(record.body)
    if "text" in said and "resourceType" not in said:
        return _read(said["text"], record, who)
    parts = [part.get("contentString") for part in said.get("payload", ())] + [
        n.get("text") for n in said.get("note", ())
    ]
    return _read("\n".join(filter(None, parts)), record, who)


def _read(text: str, record: Record, who: Person) -> str:
    others = who.actor.side == "agency" and record.author != who.actor.organization
    return identity.without_numbers(text) if others else text


def entry(event: dict[str, Any], told: Told, who: Person, now: datetime) -> Entry:
    """One event as this reader may read it."""
    speech, kind = who.speech, event["kind"]
    agency = told.names.organizations.get(event["agency_id"]) if event["agency_id"] else None
    by = told.names.organizations.get(event["by_organization"])
    # A colleague's own name, of others the organisation: as people speak of them.
    own = event["by_organization"] == who.actor.organization and event["by_role"] in PERSON_ROLES
    return Entry(
        number=event["number"],
        kind=kind,
        group="sealed" if kind == "restricted" else GROUP_OF.get(kind, "move"),
        what=_what(kind, speech) if kind != "enter-late" else _late(event, speech),
        who=event["by_name"] if own or not by else speech.name(by),
        agency=speech.name(agency) if agency and agency is not by else "",
        when=speech.when(event["at"], now),
        exact=speech.exact(event["at"]),
        at=event["at"],
        why=_why(event, speech) if kind != "enter-late" else _then(event, speech, now),
        sealed=kind == "restricted",
    )


def _what(kind: str, speech: Speech) -> str:
    if kind in MOVES:
        return MOVES[kind].zh if speech.language == "zh" else MOVES[kind].en
    return speech.gettext(HAPPENED[kind]) if kind in HAPPENED else kind


def _why(event: dict[str, Any], speech: Speech) -> str:
    code, text = event["reason_code"], event["reason_text"]
    lists = (codes.DECLINE_REASON, codes.CLOSURE_REASON, codes.FOLLOW_UP_OUTCOME, codes.ACCESS_REVIEW)
    system = next((system for system in lists if code and codes.known(system, code)), None)
    return " · ".join(filter(None, [speech.code(system, code) if system else "", text or ""]))


LATE = {
    "accept": noted("停机后补录：接单"),
    "decline": noted("停机后补录：退单"),
    "attempt": noted("停机后补录：联系"),
    "activity": noted("停机后补录：服务"),
    "note": noted("停机后补录：说明"),
}
"""What was entered after a time without the service, by its word."""


def _late(event: dict[str, Any], speech: Speech) -> str:
    return speech.gettext(LATE.get(json.loads(event["data"]).get("what", ""), HAPPENED["enter-late"]))


def _then(event: dict[str, Any], speech: Speech, now: datetime) -> str:
    """When it was done in truth, beside when it was recorded, and why so late."""
    done = datetime.fromisoformat(json.loads(event["data"])["performed"])
    then = speech.gettext("实际时间 %(time)s") % {"time": speech.when(done, now)}
    return f"{then} · {event['reason_text']}" if event["reason_text"] else then
