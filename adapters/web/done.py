"""What the next page says after something was done; the word stands in its address, the words stand here."""

from adapters.web.speech import Speech, noted

DONE: dict[str, str] = {
    "accept": noted("已接单。"),
    "claim": noted("已认领。"),
    "decline": noted("已退单，系统已按规则转给下一家机构。"),
    "ask": noted("问题已发给医院，答复前计时暂停。"),
    "answer": noted("答复已发给机构；问题都答复后，计时继续。"),
    "start": noted("已开始服务。"),
    "hold": noted("已暂停。"),
    "resume": noted("已恢复服务。"),
    "return": noted("已退回，系统已按规则转给下一家机构。"),
    "complete": noted("已结案，回执已发给医院。"),
    "fail": noted("已记为未成功，医院已收到通知。"),
    "withdraw": noted("已撤回。"),
    "request-cancel": noted("已请求撤回，等待机构确认。"),
    "confirm-cancel": noted("已确认撤回。"),
    "void": noted("已作废。"),
    "saved": noted("已保存。"),
}
"""Word → what the page says. Rooms add theirs with `says`."""


def says(words: dict[str, str]) -> None:
    """A room's own confirmations, marked with `noted`; a word means the same in every room."""
    for word, text in words.items():
        if DONE.setdefault(word, text) != text:
            raise ValueError(f"{word!r} is said in two ways")


def said(word: str | None, speech: Speech) -> str | None:
    """The words of a word in an address; an address can say no others."""
    return speech.gettext(DONE[word]) if word in DONE else None
