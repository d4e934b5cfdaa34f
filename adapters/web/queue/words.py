"""The words of the queue that stand in tables: its views, its filter, what became of a row, what was done."""

from adapters.web.done import says
from adapters.web.speech import Speech, noted
from service import codes
from service.referrals import filtering
from service.values import URGENCIES

VIEWS: dict[str, tuple[str, str, str, str]] = {
    "all": ("list", noted("全部"), noted("没有待办。"), noted("医院的转介派给本机构时会出现在这里：先看到需求，接单并取得同意后才看到身份。")),
    "offers": ("inbox", noted("待接单"), noted("没有等待接单的转介。"), noted("新转介派来时出现在这里，只显示需求、年龄段和大致地点；按 a 接单，按 d 退单。")),
    "unassigned": ("user-question", noted("未指派"), noted("每个个案都有社工。"), noted("机构接了单、还没有指定社工的个案会出现在这里。")),
    "mine": ("user", noted("我的个案"), noted("您名下没有个案。"), noted("您接的单和督导指派给您的个案会出现在这里。按 n 看最急的、还没有人的一条。")),
    "waiting": ("message-question", noted("等医院"), noted("没有在等医院的个案。"), noted("您追问了还没有答复的、等医院取得同意的，会出现在这里，计时暂停。")),
    "overdue": ("alert-triangle", noted("已逾期"), noted("没有逾期。"), noted("时限过了的会出现在这里，拖得最久的在最前面。")),
    "held": ("player-pause", noted("暂停中"), noted("没有暂停的个案。"), noted("暂停的个案连同恢复的日期会出现在这里；到期前会提醒。")),
    "crises": ("alert-octagon", noted("危机"), noted("现在没有危机。"), noted("出现危机的转介会立刻出现在这里，计时日夜不停。")),
}  # fmt: skip
"""View → its icon, its name, what its empty page says, and what will appear there and how."""

TOKENS: dict[str, str] = {
    "offered": noted("未接"), "accepted": noted("已接"), "in-service": noted("服务中"), "paused": noted("暂停"), "waiting": noted("等医院"),
    "late": noted("逾期"), "today": noted("今天到期"), "mine": noted("我的"), "nobody": noted("未指派"),
}  # fmt: skip
CHIPS = ("stat", "asap", "offered", "late", "today", "mine", "nobody", "waiting")
"""The filter's words that always stand beside its box."""

ACTS: dict[str, str] = {
    "accept": noted("接单"), "claim": noted("认领"), "decline": noted("退单"), "ask": noted("追问"), "hold": noted("暂停"),
    "resume": noted("恢复服务"), "return": noted("撤销接单"), "start": noted("开始服务"), "assign": noted("指派"),
    "confirm-cancel": noted("确认撤回"),
}  # fmt: skip
MANY: dict[str, str] = {
    "accept": noted("接单 %(n)s 条"), "decline": noted("退单 %(n)s 条"), "assign": noted("指派 %(n)s 条"), "hold": noted("暂停 %(n)s 条"),
}  # fmt: skip
"""What an act on many will do, said before it is done."""

STATUS: dict[str, str] = {
    "rejected": noted("已退单"), "cancelled": noted("已撤回或已退回"), "completed": noted("已结案"), "failed": noted("未成功"),
    "entered-in-error": noted("已作废"),
}  # fmt: skip

says(
    {
        "assign": noted("已指派。"),
        "nobody-waits": noted("没有无人处理的转介了。"),
        "view-kept": noted("视图已保存。"),
        "view-dropped": noted("视图已删除。"),
        "bulk": noted("已开始办理，可以离开这一页，随时回来看结果。"),
    }
)


def token(word: str, speech: Speech, places: dict[str, str]) -> str:
    """What a token of the filter reads as; `places`: names of regions and hospitals by token."""
    if word in TOKENS:
        return speech.gettext(TOKENS[word])
    if word in URGENCIES:
        return speech.code(codes.URGENCY, word)
    if word == codes.SAFETY or codes.known(codes.NEED, word):
        return speech.code(codes.NEED, word)
    return places.get(word, word)


def typed(word: str, speech: Speech, places: dict[str, str]) -> str:
    """The same as it stands in the box, where it must read back as itself: a need by its code, for its words have blanks."""
    if codes.known(codes.NEED, word):
        return word
    said = token(word, speech, places)
    return said if filtering.read(said).tokens == (word,) or word in places else word
