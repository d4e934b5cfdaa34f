"""Every refusal that a page may meet is told in its reader's own words, and leads to the field to mend."""

import ast
import re
from pathlib import Path

import pytest

from adapters.web import faults
from adapters.web.speech import SPEECH
from service import errors
from service.casework import phases
from service.errors import Conflict, Forbidden, Invalid, Issue, NotFound
from tests.web.conftest import Browser

ROOT = Path(__file__).parents[2]
KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.Refusal)}


def raised() -> set[str]:
    """The keys of all refusals that are made in the service and at the FHIR surface, which pages go through too."""
    found: set[str] = set()
    for folder in ("service", "adapters/fhir", "adapters/web"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in KINDS:
                    said = [word.value for word in node.keywords if word.arg == "key"]
                    found |= {part.value for word in said for part in ast.walk(word) if isinstance(part, ast.Constant) and isinstance(part.value, str)}  # fmt: skip
    return found


def test_every_refusal_has_words() -> None:
    keys = raised() - faults.PROGRAMS - {"form"}  # `form`: the pages of links, which have words of their own
    assert {"wrong-actor", "documents-missing", "signer-barred", "taken"} <= keys, "what is looked for is found"
    assert keys - faults.KEYS.keys() == set()
    assert list(faults.KEYS) == sorted(faults.KEYS)


UNTOLD = ("There is no such", "No such")
"""What is not there is told by its kind alone."""
ROOMS = ("casework", "followup", "referrals", "patients", "consent", "safety", "records")


def texts() -> set[str]:
    """The texts of refusals without a key, and of their issues, in the rooms whose verbs pages call; `{}` for what varies."""
    found: set[str] = set()
    for room in ROOMS:
        for file in (ROOT / "service" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                named = isinstance(node, ast.Call) and ast.unparse(node.func) in ("Invalid", "TooLarge", "Issue")
                if not named or not node.args or any(word.arg == "key" for word in node.keywords):
                    continue
                said = node.args[0]
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    found.add(said.value)
                elif isinstance(said, ast.JoinedStr):
                    found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in said.values))  # fmt: skip
    return found


def test_what_has_no_key_is_told_in_chinese_by_its_text() -> None:
    # Not what is in both languages already, nor what a receipt of a program adds to it.
    said = {text for text in texts() if not re.search(r"[\uff1a]", text)} - {"{} Routing decided."}
    assert "A reason with text is required." in said, "what is looked for is found"
    assert {text for text in said if text not in faults.TEXTS and not text.startswith(UNTOLD)} == set()
    told = faults.told(Invalid("Minutes are from 1 to 720.", at="minutes"), SPEECH["zh"])
    assert told.entries[0].words == "分钟数请填 1 到 720。"
    assert faults.told(Invalid("Minutes are from 1 to 720."), SPEECH["en"]).entries[0].words == "Minutes are from 1 to 720."  # fmt: skip


def test_a_refusal_is_told_in_the_readers_language_and_leads_to_its_field() -> None:
    refused = Invalid("This worker is away.", at="Task.owner", key="away")
    zh, en = (faults.told(refused, SPEECH[language], {"owner": "worker"}) for language in ("zh", "en"))
    assert zh.status == 422 and "请更正下面的内容" in zh.summary
    assert zh.entries == (faults.Entry("worker", "这位社工不在岗。请改选代班的人，或其他社工。"),)
    assert en.entries[0].words.startswith("This worker is away.") and en.of("worker") and en.of("reason") is None
    assert faults.told(refused, SPEECH["zh"]).entries[0].field == "owner"
    assert faults.told(refused, SPEECH["zh"], {}).entries[0].field is None, (
        "no field of this form, so no link to nowhere"
    )


def test_what_is_missing_is_named_in_one_language() -> None:
    lack = phases.Lack("assessment", "risk-screen")
    refused = Conflict(
        "缺少必备文书。Required documents are missing.", key="documents-missing", issues=[phases.issue(lack)]
    )
    zh, en = (faults.told(refused, SPEECH[language], {}) for language in ("zh", "en"))
    assert zh.status == 409 and "补齐" in zh.summary and "risk" in en.entries[0].words
    assert "is missing" not in zh.entries[0].words and not any("\u4e00" <= letter <= "\u9fff" for letter in en.entries[0].words)  # fmt: skip


def test_what_is_not_there_tells_nothing_more() -> None:
    for refused in (
        NotFound("There is no such report of this organisation."),
        Forbidden("Only an auditor may read this."),
    ):
        assert faults.told(refused, SPEECH["zh"]).entries == ()


def test_a_refusal_without_a_key_keeps_what_it_said() -> None:
    refused = Invalid("It does not hold.", issues=[Issue("One thing.", "a.b[0].text"), Issue("一事 / Another")])
    fault = faults.told(refused, SPEECH["en"])
    assert [(entry.field, entry.words) for entry in fault.entries] == [("text", "One thing."), (None, "Another")]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_page_that_cannot_be_shown_stands_in_its_readers_frame(browser, language: str) -> None:
    nurse: Browser = await browser("nurse-a")
    await nurse.post("/language", {"language": language, "next": "/today"})
    page = await nurse.get("/referrals/00000000-0000-7000-8000-000000000000", **{"accept-language": "fr"})
    assert page.status_code == 404 and 'class="top"' in page.text and "林护士" in page.text
    assert ("没有这个页面" if language == "zh" else "There is no such page") in page.text
