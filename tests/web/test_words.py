"""Every word of a page is there in English too, and everything that may stand in a sentence has words."""

import inspect
import io
import re
from pathlib import Path
from typing import Any

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from adapters.web import story
from adapters.web.sentence import WHAT
from adapters.web.speech import SPEECH, catalogues
from service.casework.phases import PHASES
from service.followup import movement
from service.referrals import crisis, settling, transitions
from service.referrals.lifecycle import MOVES
from service.values import utc_now

WEB = Path(__file__).parents[2] / "adapters" / "web"
SERVICE = WEB.parents[1] / "service"
METHODS = [("**.py", "python"), ("**.html", "jinja2")]


def test_every_word_has_its_english() -> None:
    words = {
        found[2]
        for found in extract_from_dir(WEB, METHODS, keywords={"_": None, "gettext": None, "noted": None, "ngettext": (1, 2)})
    }  # fmt: skip
    there: dict[Any, Any] = {}
    for file in catalogues():
        for message in read_po(io.BytesIO(file.read_bytes()), locale="en"):
            if message.id:
                known = there.setdefault(message.id, message)
                assert known.string == message.string, f"two ways to say {message.id} in English: {file}"
    assert {w for w in words if w not in there} == set(), "words without English"
    assert {w for w in there if w not in words} == set(), "English of words that are gone"
    for message in there.values():
        translated = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(translated), message.id
        original = message.id[0] if isinstance(message.id, tuple) else message.id
        for one in translated:
            assert set(re.findall(r"%\(\w+\)s", one)) == set(re.findall(r"%\(\w+\)s", original)), message.id
            assert not re.search(r"[\u4e00-\u9fff]", one), message.id


def test_every_step_that_may_come_next_has_words() -> None:
    items = {stage.item for stage in PHASES.values() if stage.item} | {"supervision", "note", transitions.CLOSE}
    steps = {*settling.SHARE_STEP.values(), "claim", "place", "follow-up", *items}
    assert steps - WHAT.keys() == set()
    assert all(re.search(r"[\u4e00-\u9fff]", word) for word in (*WHAT.values(), *story.HAPPENED.values()))


def test_everything_that_is_told_of_a_referral_has_words() -> None:
    told = re.compile(r'\b(?:tell|tell_parties|news|named)\(\s*(?:moving,\s*)?(?:[^()"]*tells=)?"([a-z][a-z-]+)"')
    kinds = {kind for file in SERVICE.rglob("*.py") for kind in told.findall(file.read_text())}
    # What is told under a name that is worked out: of a stay, a crisis, a consent.
    kinds |= set(re.findall(r'"([a-z][a-z-]+)"', inspect.getsource(movement.news))) - {"onleave", "finished"}
    kinds |= {*crisis.STEPS, "consent", "withdraw-consent", "consent-ended", "glass-mended", "legal-duty", "emergency"}
    assert {"died", "transfer", "hand-back", "move-ward", "page"} <= kinds, "what is looked for is found"
    assert kinds - story.HAPPENED.keys() - MOVES.keys() == set()


def test_times_are_said_as_people_say_them() -> None:
    from datetime import datetime, timedelta

    from service.values import SHANGHAI

    zh, en = SPEECH["zh"], SPEECH["en"]
    now = datetime(2026, 11, 22, 9, 0, tzinfo=SHANGHAI)
    assert zh.when(now.replace(hour=14, minute=30), now) == "今天 14:30"
    assert (
        zh.when(now + timedelta(days=1), now) == "明天 09:00"
        and en.when(now + timedelta(days=1), now) == "tomorrow 09:00"
    )
    assert (
        zh.when(now - timedelta(days=3), now) == "3 天前 09:00"
        and en.when(now - timedelta(days=6), now) == "6 days ago 09:00"
    )
    assert zh.when(now - timedelta(days=7), now) == "11月15日 09:00"
    assert zh.when(now - timedelta(days=10), now) == "11月12日 09:00"
    assert zh.when(now + timedelta(days=60), now) == "2027年1月21日 09:00"
    assert zh.exact(now) == "2026年11月22日 星期日 09:00"
    assert [zh.lasting(s) for s in (0, 3599, 7200, 3 * 86400)] == ["0 分钟", "59 分钟", "2 小时", "3 天"]
    assert en.lasting(3600) == "1 hour" and en.lasting(7200) == "2 hours"
    assert utc_now().tzinfo
