"""Needs, urgency and routing in the words of a ward: what is meant, an example, and what is promised."""

from datetime import datetime

from adapters.web.speech import Speech, noted
from service.practice import Limit, Practice
from service.referrals import clocks

NEEDS: dict[str, tuple[str, str]] = {
    "N01": (noted("付不起费用，或因病断了收入"), noted("欠费、想放弃治疗、需要救助或慈善申请")),
    "N02": (noted("不清楚能报什么、怎么报"), noted("异地结算、大病保险、低保或特困申请、残疾证")),
    "N03": (noted("情绪低落、焦虑，难以接受病情"), noted("常哭、睡不着、不愿说话、PHQ-9 偏高")),
    "N04": (noted("没有人照顾，或照顾的人撑不住了"), noted("一人照顾失能老人、照顾者病倒、家里没人会护理")),
    "N05": (noted("可以出院了，却没有合适的地方去"), noted("家里住不了、找养老机构、需要辅具或居家护理")),
    "N06": (noted("家里人意见不一或关系紧张，影响治疗或出院"), noted("谁来签字、谁来照顾谈不拢")),
    "N07": (noted("一个人住，身边没有能帮忙的人"), noted("独居、空巢、没有人探视")),
    "N08": (noted("听不明白、不信任，不愿检查或用药"), noted("反复拒绝治疗、语言不通、对医院强烈不满")),
    "N09": (noted("病到末期，本人和家人需要陪伴和安排"), noted("安宁疗护、心愿、告别、家属支持")),
    "N10": (noted("亲人去世或胎儿流产之后的悲伤"), noted("突然离世、家属难以接受")),
    "N11": (noted("想死、伤害自己，或已经这样做过"), noted("说“活着没意思”、PHQ-9 第 9 题为阳性、割伤、服药")),
    "N12": (noted("成年人被家人或照顾者打骂、限制、忽视"), noted("伤情说不清、怕某个人、老人被虐待")),
    "N13": (noted("孩子被打、被侵害，或疑似如此"), noted("伤情与说法不符、幼女怀孕、害怕回家")),
    "N14": (noted("被遗弃，或没有监护人"), noted("家属失联、孩子无人认领、失能者没有人管")),
    "N15": (noted("不知道是谁，或没有身份、亲属和收入"), noted("无名氏、流浪人员、三无人员")),
    "N16": (noted("住院影响上学，或孩子的成长需要支持"), noted("休学、补课、留守儿童")),
    "N17": (noted("病后不能做原来的工作，或失业"), noted("工伤、转岗、技能培训")),
    "N18": (noted("来医院或住下来有困难"), noted("没有车、住得远、陪护没有地方住")),
    "N19": (noted("想恢复生活能力、回到社区"), noted("截肢、脑卒中后、精神康复")),
    "N99": (noted("上面都不是：请用一句话说明"), noted("写清楚需要什么")),
}
"""Need → what it means at a bedside, and how one meets it."""

URGENCY: dict[str, str] = {
    "routine": noted("不急：这几天内有人接手就好"),
    "urgent": noted("优先：近期出院，或拖下去会变差"),
    "asap": noted("紧急：今天就要有人回应"),
    "stat": noted("危机：人身安全受威胁，现在就要有人处理"),
}
"""Urgency → when a ward chooses it."""

RULES: dict[str, str] = {
    "partnership": noted("合作协议"),
    "need": noted("需求"),
    "region": noted("区域"),
    "capacity": noted("名额"),
    "worker": noted("持证社工"),
    "ready": noted("机构状态"),
    "protection": noted("保护资质"),
    "untried": noted("派单经过"),
}
"""The hard rules of routing, by name."""

RESULTS: dict[str, str] = {"pass": noted("符合"), "fail": noted("不符合"), "unknown": noted("不详")}

LANGUAGES: dict[str, str] = {
    "zh": noted("普通话"),
    "zh-yue": noted("粤语"),
    "ii": noted("彝语"),
    "hmn": noted("苗语"),
    "za": noted("壮语"),
    "bo": noted("藏语"),
    "ug": noted("维吾尔语"),
    "mn": noted("蒙古语"),
    "csl": noted("中国手语"),
    "en": noted("英语"),
}
"""What a person speaks: codes of BCP 47."""

SEXES: dict[str, str] = {"female": noted("女"), "male": noted("男"), "unknown": noted("不详")}
INSTRUMENTS = ("phq-2", "phq-9", "gad-7", "dt", "lace", "ahc-hrsn", "prapare", "ssrs")
"""Screening forms, the usual ones first."""


def limit(given: Limit, practice: Practice, speech: Speech) -> str:
    """How long a limit is: 30 分钟, 4 个工作小时, 1 个工作日."""
    if not given.working:
        return speech.lasting(given.minutes * 60)
    day = (practice.closes.hour - practice.opens.hour) * 60 + practice.closes.minute - practice.opens.minute
    if day > 0 and given.minutes % day == 0:
        n = given.minutes // day
        return speech.ngettext("%(n)s 个工作日", "%(n)s 个工作日", n) % {"n": n}
    n = max(given.minutes // 60, 1)
    return speech.ngettext("%(n)s 个工作小时", "%(n)s 个工作小时", n) % {"n": n}


def short(urgency: str, practice: Practice, speech: Speech) -> str:
    """The two limits of an urgency in a line."""
    return speech.gettext("%(reply)s内答复，%(contact)s内联系") % {
        "reply": limit(practice.reply[urgency], practice, speech),
        "contact": limit(practice.first_contact[urgency], practice, speech),
    }


def promise(
    urgency: str, practice: Practice, speech: Speech, now: datetime, agreed: dict[str, Limit] | None = None
) -> str:
    """What an urgency promises from now on: by when somebody answers, and within which time they first make contact."""
    reply = (agreed or {}).get(urgency) or practice.reply[urgency]
    by = clocks.begin(reply, now, practice).due
    return speech.gettext("现在提交：机构须在 %(reply)s内答复（%(by)s 前），接单后 %(contact)s内首次联系。") % {
        "reply": limit(reply, practice, speech), "by": speech.when(by, now),
        "contact": limit(practice.first_contact[urgency], practice, speech),
    }  # fmt: skip
