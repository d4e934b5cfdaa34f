"""Words of this room: what a note of each kind is asked to say, and what a page says when something was done."""

from adapters.web import acting
from adapters.web.done import DONE, says
from adapters.web.speech import Speech, noted
from service.referrals.lifecycle import MOVES

_LINKS = noted("链接了什么资源：\n对方的答复：\n服务对象要做的：\n下一步：")
_TALK = noted("情绪与表现：\n谈了什么：\n用了什么方法：\n服务对象的回应：\n下一步：")
_ADVICE = noted("咨询的政策：\n说明了什么：\n需要的材料：\n由谁、何时去办：")
_HOME = noted("居住与照顾情况：\n做了什么：\n家属的看法：\n下一步：")
_SAFETY = noted("当时的情况：\n危险程度与依据：\n采取的措施：\n谁在陪伴：\n下一步和时间：")
_WARD = noted("医生或护士的意见：\n服务对象和家属的意愿：\n商定了什么：\n下一步：")
_PLAIN = noted("做了什么：\n服务对象的回应：\n下一步：")

TEMPLATES: dict[str, str] = {
    "resource-linkage": _LINKS, "charity-aid": _LINKS, "livelihood": _LINKS, "psych-support": _TALK, "relationship": _TALK,
    "bereavement": _TALK, "policy-advice": _ADVICE, "personal-care": _HOME, "companionship": _HOME, "home-modification": _HOME,
    "caregiver-support": _HOME, "crisis": _SAFETY, "discharge-planning": _WARD, "doctor-patient": _WARD, "humanistic-care": _PLAIN,
    "capacity": _PLAIN, "inclusion": _PLAIN, "volunteer": _PLAIN,
}  # fmt: skip
"""Service type → the headings of its note; a start, which nobody has to keep to."""

OWN_ACTS = {
    "transfer": noted("转交同事"), "co-work": noted("增加协同"), "pass-on": noted("转出需求"), "reopen": noted("重新开启"),
}  # fmt: skip
"""Acts of a case that are no moves of its share, in words."""


def act(word: str, speech: Speech) -> str:
    """What a button says: the word of the table of moves, or this room's."""
    if word in OWN_ACTS:
        return speech.gettext(OWN_ACTS[word])
    return MOVES[word].zh if speech.language == "zh" else MOVES[word].en


RARE = ("return", "fail", "transfer", "co-work", "pass-on")
"""Acts that a page keeps folded away."""
KEYS = {"start": "s", "hold": "h", "resume": "s", "ask": "i", "complete": "e"}
"""The key of an act on this page."""

WENT = {
    "achieved": noted("达成"), "not-achieved": noted("未达成"), "improving": noted("有进展"), "no-change": noted("没有变化"),
    "in-progress": noted("进行中"), "worsening": noted("变差"), "no-progress": noted("没有进展"), "not-attainable": noted("无法达成"),
    "sustaining": noted("保持"),
}  # fmt: skip
"""What became of a goal, in words (FHIR's goal-achievement)."""
STATES = {
    "preparation": noted("已约定"), "in-progress": noted("办理中"), "not-done": noted("没有进行"), "on-hold": noted("暂停"),
    "stopped": noted("中止"), "completed": noted("已完成"), "entered-in-error": noted("误录"), "unknown": noted("不详"),
}  # fmt: skip
SCANS = {
    "unasked": noted("未扫描"), "clean": noted("扫描通过"), "pending": noted("正在扫描，暂时打不开"), "infected": noted("发现有害内容，已销毁"),
}  # fmt: skip
CRISIS_STEPS = {
    "acknowledged": noted("确认：我来处理"), "safety-planned": noted("制定安全计划"), "reported": noted("已报告（或写明为什么不报告）"),
    "stood-down": noted("解除危机"),
}  # fmt: skip

says({
    "case-transfer": noted("个案已转交，交接说明同事可以看到。"),
    "case-co-work": noted("已增加协同社工，个案会出现在对方的列表里。"),
    "case-co-work-end": noted("协同已结束。"),
    "case-pass-on": noted("需求已转出，成为一条新的转介；本个案继续。"),
    "case-reopen": noted("个案已重新开启，这是一条接续的新转介。"),
    "case-advance": noted("个案已进入新的阶段。"),
    "case-approve": noted("已签批。"),
    "case-raise": noted("危机已上报，值班人员会被呼叫。"),
    "case-acknowledged": noted("已确认：由您处理。"),
    "case-safety-planned": noted("安全计划已记录。"),
    "case-reported": noted("报告已记录。"),
    "case-stood-down": noted("危机已解除。"),
    "case-note": noted("已记录。"),
    "case-correct": noted("已更正，原来的写法保留。"),
    "case-time": noted("已记工时。"),
    "case-void-time": noted("这条工时已作废。"),
    "case-goal": noted("目标已保存。"),
    "case-achieve": noted("目标的结果已保存。"),
    "case-drop-goal": noted("目标已删除，原来的内容保留在历史里。"),
    "case-plan": noted("服务计划已保存；每次修改后都要督导重新签批。"),
    "case-visit": noted("已约定。"),
    "case-no-show": noted("已记为未赴约。"),
    "case-called-off": noted("约定已取消。"),
    "case-apply": noted("已记录申请或协调。"),
    "case-settle": noted("结果已保存。"),
    "case-decide": noted("您的决定已保存。"),
    "case-filed": noted("文书已存入个案。"),
    "case-draft-filed": noted("草稿已保存，还不算完成。"),
    "case-screened": noted("筛查已保存，分数由系统计算。"),
    "case-screened-danger": noted("筛查提示危险：危机已上报。请先处理眼前的安全。"),
    "case-uploaded": noted("文件已上传。"),
    "case-uploaded-pending": noted("文件已上传，正在扫描；扫描通过后才能打开。"),
})  # fmt: skip


def done(path: str, word: str) -> str:
    """The path of the next page, which is to say what was done: in this room's words, where it has its own."""
    return acting.done(path, f"case-{word}" if f"case-{word}" in DONE else word)
