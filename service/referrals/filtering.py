"""What the words of the queue's filter ask for, in Chinese and English; pure.

Words stand in the box alone. What stands in an address, or is kept with a saved view, are their tokens: `asap`, `N05`, `late`,
`r520502001`. They name no person, and a word that is none of ours becomes none.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from service import codes
from service.values import URGENCIES, Id

STATES = ("offered", "accepted", "in-service", "paused", "waiting")
MARKS = ("late", "today", "mine", "nobody")
LONGEST = 200
"""Letters of a filter that are read."""
_SPLIT = re.compile(r"[\s,，、;；/|+]+")
_PLACE = re.compile(r"r[1-9][0-9]{1,11}")
_PHRASE = 6
"""Words that a name may have."""

SAID: dict[str, str] = {
    "offered": "未接 待接 未接单 新转介 offers offered unanswered new",
    "accepted": "已接 已接单 accepted",
    "in-service": "服务中 在服务 进行中 active service",
    "paused": "暂停 已暂停 paused hold held",
    "waiting": "等医院 等答复 待答复 等同意 等待医院 waiting awaiting",
    "late": "逾期 超时 过期 已逾期 overdue late",
    "today": "今天 今日 今天到期 today",
    "mine": "我的 我 mine my me",
    "nobody": "未指派 未分配 没人 无人 unassigned nobody",
    "stat": "危急 crisis stat u1",
    "asap": "加急 asap u2",
    "urgent": "priority soon u3",
    "routine": "普通 routine u4",
    "safety": "安全 人身安全 safety",
    "N01": "经济 费用 医疗费用 钱 money financial cost",
    "N02": "医保 福利 insurance benefits",
    "N03": "情绪 心理 emotional distress",
    "N04": "照顾 caregiving care",
    "N05": "出院 安置 出院安置 discharge placement",
    "N06": "家庭 family",
    "N07": "独居 社会支持 lonely isolation",
    "N08": "依从 医患沟通 adherence communication",
    "N09": "临终 安宁 安宁疗护 hospice palliative",
    "N10": "丧亲 哀伤 bereavement grief",
    "N11": "自杀 自伤 suicide self-harm",
    "N12": "家暴 家庭暴力 violence",
    "N13": "儿童虐待 虐待儿童 侵害 child-abuse",
    "N14": "遗弃 无监护 abandonment",
    "N15": "三无 身份不明 unidentified",
    "N16": "就学 上学 school schooling",
    "N17": "就业 生计 work employment livelihood",
    "N18": "交通 住宿 transport lodging",
    "N19": "康复 社会融入 rehabilitation",
    "N99": "其他 other",
}
"""Token → the words for it besides its label."""
PHRASES = {"on hold": "paused", "in service": "in-service", "due today": "today", "living alone": "N07", "self harm": "N11", "awaiting consent": "waiting"}  # fmt: skip


def _vocabulary() -> dict[str, str]:
    found = dict(PHRASES)
    # Of a word that is a code and another's label (“Urgent” labels asap), the label counts: it is what people read.
    for system, every in ((codes.NEED, codes.LISTS[codes.NEED].codes), (codes.URGENCY, URGENCIES)):
        for code in every:
            for word in (code, codes.label(system, code, "zh"), codes.label(system, code, "en")):
                found[_plain(word)] = code
    found[_plain(codes.label(codes.URGENCY, "asap", "en"))] = "asap"
    for token, words in SAID.items():
        for word in words.split():
            found.setdefault(_plain(word), token)
    return found


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


VOCABULARY = _vocabulary()
"""Every word that is understood, as it is compared → its token."""


class Read(msgspec.Struct, frozen=True):
    """What a filter asks for, and the words in it that are none."""

    tokens: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def read(text: str, named: Mapping[str, str] | None = None) -> Read:
    """The tokens of what was typed. `named`: what `names_in` asked for, each with its token, as the directory knows it."""
    named = named or {}
    known = VOCABULARY | dict(named)
    words = _words(text)
    tokens: list[str] = []
    unknown: list[str] = []
    at = 0
    while at < len(words):
        size = next((n for n in range(min(_PHRASE, len(words) - at), 0, -1) if _joined(words[at : at + n]) in known), 0)
        if size:
            tokens.append(known[_joined(words[at : at + size])])
        elif parts := _run_together(words[at], known):
            tokens += parts
        else:
            unknown.append(words[at])
        at += size or 1
    return Read(tuple(dict.fromkeys(tokens)), tuple(dict.fromkeys(unknown)))


def names_in(text: str) -> tuple[str, ...]:
    """What may be the name of a place or a hospital: the words that are none of ours, and their neighbours with them."""
    words = _words(text)
    strange = [_joined([word]) not in VOCABULARY for word in words]
    found: dict[str, None] = {}
    for at in range(len(words)):
        for size in range(1, _PHRASE + 1):
            if at + size > len(words) or not all(strange[at : at + size]):
                break
            found[_joined(words[at : at + size])] = None
        if strange[at]:
            for part in _chinese_parts(_joined([words[at]])):
                found[part] = None
    return tuple(found)[:100]


def tokens_of(written: str | None) -> tuple[str, ...]:
    """The tokens in an address or a saved view; what is none is left out."""
    return tuple(dict.fromkeys(token for token in (written or "")[:1000].split() if is_token(token)))


def is_token(token: str) -> bool:
    return (
        token in URGENCIES
        or token in STATES
        or token in MARKS
        or token == codes.SAFETY
        or codes.known(codes.NEED, token)
        or bool(_PLACE.fullmatch(token))
        or hospital(token) is not None
    )


def hospital(token: str) -> Id | None:
    """The hospital that a token names."""
    try:
        return Id(token[1:]) if token.startswith("h") and len(token) == 37 else None
    except ValueError:
        return None


class Filter(msgspec.Struct, frozen=True):
    """The same as a statement takes it; None: not asked for."""

    urgencies: list[int] | None = None
    needs: list[str] | None = None
    places: list[str] | None = None
    hospitals: list[Id] | None = None
    states: list[str] | None = None
    waiting: bool | None = None
    late: bool | None = None
    today: bool | None = None
    mine: bool | None = None
    nobody: bool | None = None


STATUS = {"offered": "requested", "accepted": "accepted", "in-service": "in-progress", "paused": "on-hold"}


def filter_of(tokens: Sequence[str]) -> Filter:
    """Tokens of one kind widen what is found (紧急 优先: either), kinds narrow it (紧急 N05: both)."""
    needs = [token for token in tokens if token == codes.SAFETY or codes.known(codes.NEED, token)]
    if codes.SAFETY in needs:
        needs += sorted(codes.SAFETY_NEEDS)
    return Filter(
        urgencies=[len(URGENCIES) - 1 - URGENCIES.index(token) for token in tokens if token in URGENCIES] or None,
        needs=needs or None,
        places=[token[1:] for token in tokens if _PLACE.fullmatch(token)] or None,
        hospitals=[found for token in tokens if (found := hospital(token))] or None,
        states=[STATUS[token] for token in tokens if token in STATUS] or None,
        waiting=_asked(tokens, "waiting"),
        late=_asked(tokens, "late"),
        today=_asked(tokens, "today"),
        mine=_asked(tokens, "mine"),
        nobody=_asked(tokens, "nobody"),
    )


def _asked(tokens: Sequence[str], mark: str) -> bool | None:
    return True if mark in tokens else None


def _words(text: str) -> list[str]:
    return [word for word in _SPLIT.split(unicodedata.normalize("NFKC", text[:LONGEST])) if word]


def _joined(words: Sequence[str]) -> str:
    return _plain(" ".join(words))


def _run_together(word: str, known: Mapping[str, str]) -> list[str]:
    """紧急未接弹子石: the tokens of a word that is wholly made of known ones, the longest first; else none."""
    rest = _plain(word)
    if not rest or not all("\u3400" <= letter <= "\u9fff" for letter in rest):
        return []
    best: dict[int, list[str]] = {len(rest): []}
    for at in range(len(rest) - 1, -1, -1):
        for end in range(len(rest), at, -1):
            if end in best and rest[at:end] in known:
                best[at] = [known[rest[at:end]], *best[end]]
                break
    return best.get(0, [])


def _chinese_parts(word: str) -> Iterable[str]:
    """What in a word of several run together may be a name: what known words leave over at either end."""
    if not all("\u3400" <= letter <= "\u9fff" for letter in word):
        return
    for known in sorted(VOCABULARY, key=len, reverse=True):
        if len(known) > 1 and known in word:
            before, _, behind = word.partition(known)
            for part in (before, behind):
                if len(part) > 1:
                    yield part
                    if part != word:
                        yield from _chinese_parts(part)
            return
