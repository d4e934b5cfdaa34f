"""The language of a page: words from the catalogue, codes from their lists, and times as people say them.

What stands in templates and modules is Chinese, the first language of every page; `locale/en` has the English of it.
"""

import gettext
import io
from collections.abc import Callable
from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal

from babel.dates import format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from service import codes
from service.values import SHANGHAI

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
LOCALE = {"zh": "zh_CN", "en": "en_GB"}
HTML_LANG = {"zh": "zh-CN", "en": "en"}


def _rooms() -> tuple[str, ...]:
    web = resources.files("adapters.web")
    return tuple(sorted(room.name for room in web.iterdir() if room.is_dir() and (room / "pages").is_dir()))


ROOMS = _rooms()
"""The groups of pages, each in a folder with its templates and its words."""


def catalogues() -> list[Traversable]:
    """The files with the English of our words: the shared ones, and those of each room."""
    web = resources.files("adapters.web")
    own = (web / room / "words.po" for room in ROOMS)
    return [web / "locale" / "en" / "LC_MESSAGES" / "messages.po", *(file for file in own if file.is_file())]


def _catalogue() -> gettext.NullTranslations:
    """The English catalogue, compiled as it is read: a wheel carries the text that people edit."""
    whole: Catalog | None = None
    for file in catalogues():
        read = read_po(io.BytesIO(file.read_bytes()), locale="en")
        whole = whole or read
        for message in read:
            if message.id:
                whole[message.id] = message
    compiled = io.BytesIO()
    assert whole is not None
    write_mo(compiled, whole)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


_TRANSLATIONS: dict[Language, gettext.NullTranslations] = {"zh": gettext.NullTranslations(), "en": _catalogue()}


def noted(text: str) -> str:
    """Marks words of a table for the catalogue; they are translated where they are shown."""
    return text


def local_time(at: datetime) -> str:
    """A time as a `datetime-local` field holds it, where people live."""
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%dT%H:%M")


class Speech:
    """How a page speaks."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self.html = HTML_LANG[language]
        self.gettext: Callable[[str], str] = _TRANSLATIONS[language].gettext
        self.ngettext: Callable[[str, str, int], str] = _TRANSLATIONS[language].ngettext

    def code(self, system: str, code: str | None) -> str:
        """The words of a code."""
        return codes.label(system, code, self.language) if code else ""

    def name(self, named: object) -> str:
        """An organisation's name."""
        return getattr(named, f"name_{self.language}", "") or getattr(named, "name_zh", "")

    def exact(self, at: datetime) -> str:
        """The time to the minute, in China's time."""
        pattern = "y年M月d日 EEEE HH:mm" if self.language == "zh" else "EEEE d MMMM y, HH:mm"
        return format_datetime(at.astimezone(SHANGHAI), pattern, locale=LOCALE[self.language])

    def when(self, at: datetime, now: datetime) -> str:
        """The time as people say it: 今天 14:30, 明天 09:00, 3 天前 16:05, 11月3日 09:00; another year with its year."""
        local, today = at.astimezone(SHANGHAI), now.astimezone(SHANGHAI).date()
        days = (local.date() - today).days
        near = {-1: self.gettext("昨天"), 0: self.gettext("今天"), 1: self.gettext("明天"), 2: self.gettext("后天")}
        clock = f"{local:%H:%M}"
        if days in near:
            return f"{near[days]} {clock}"
        if -7 < days < 0:
            return self.gettext("%(n)s 天前") % {"n": -days} + f" {clock}"
        if local.year == today.year:
            pattern = "M月d日" if self.language == "zh" else "d MMM"
        else:
            pattern = "y年M月d日" if self.language == "zh" else "d MMM y"
        return f"{format_datetime(local, pattern, locale=LOCALE[self.language])} {clock}"

    def lasting(self, seconds: float) -> str:
        """A length of time in its largest unit: 5 分钟, 3 小时, 2 天."""
        minutes = max(int(seconds // 60), 0)
        if minutes < 60:
            return self.ngettext("%(n)s 分钟", "%(n)s 分钟", minutes) % {"n": minutes}
        if minutes < 48 * 60:
            return self.ngettext("%(n)s 小时", "%(n)s 小时", minutes // 60) % {"n": minutes // 60}
        return self.ngettext("%(n)s 天", "%(n)s 天", minutes // 1440) % {"n": minutes // 1440}


SPEECH: dict[Language, Speech] = {language: Speech(language) for language in LANGUAGES}


def asked(choice: str | None, accepted: str | None) -> Language:
    """The language that a reader chose, else the first that the browser asks for and we speak, else Chinese."""
    if choice in ("zh", "en"):
        return choice
    for part in (accepted or "").split(","):
        word = part.split(";")[0].strip().lower()[:2]
        if word == "zh":
            return "zh"
        if word == "en":
            return "en"
    return "zh"
