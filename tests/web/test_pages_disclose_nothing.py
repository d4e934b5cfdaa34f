"""Everybody walks through every page that they can reach, while a person is offered, accepted, opened, taken back and left; what is
looked for are words that stand nowhere else, and the table of service/consent/tiers.py says who may read which."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest

from adapters import worker
from adapters.stream import _event  # pyright: ignore[reportPrivateUsage]
from service import codes, events
from service.access import flow as access
from service.access.model import NewAccount, operator
from service.consent import tiers
from service.notices import flow as notices
from service.values import Id, new_id, utc_now
from tests.http.filing import form
from tests.http.loop import done, message, procedure
from tests.http.test_disclosure_property import Case
from tests.http.world import BASE, Referred, World, closed
from tests.web.conftest import Browser

ALL = bool(os.environ.get("YUANSHE_TEST_ALL"))
PASSWORD = "a long password of theirs"
LINK = re.compile(r'\s(?:href|hx-get|data-here|data-row|data-part)="(/[^"#]*)')
PHRASE = re.compile(r'\s(?:action|formaction|href|hx-get|hx-post|src)="([^"]*)"')
ELSEWHERE = re.compile(r"/(static|sign-|language|fhir|docs|answer|page|events)")
DEEP = dict.fromkeys(("worker-a", "worker-a2", "supervisor-a"), 500 if ALL else 48)
SHALLOW = 500 if ALL else 18
"""Pages that one person opens in one walk at most, those of the cases first; where there is time no walk is cut short."""
FEW = 8 if ALL else 3
SIDES = {"worker-a": "social_worker", "worker-a2": "social_worker", "supervisor-a": "supervisor"}
"""Who belongs to the agency that is asked, by login."""
OTHERS = ("worker-b", "coordinator", "bureau", "admin", "nurse-a", "nurse-b", "volunteer-a")


class Told(Case):
    """A case with the words that an agency and a hospital write about it beside those of the person."""

    def __init__(self, need: str) -> None:
        super().__init__(need)
        self.need = need
        self.asked, self.given = self._word("exchange"), self._word("exchange")
        self.noted, self.supervised, self.mine = self._word("file"), self._word("file"), self._word("file")
        self.share = ""
        # By its number on the paper in both hands a hospital and an agency speak of a referral, once it is open to both.
        self.words[self.order] = "number"
        born = self.birth.split("-")
        self.words[f"{born[0]}年{int(born[1])}月{int(born[2])}日"] = "birth-date"
        self.words[self.birth] = "birth-date"

    def at(self, path: str) -> bool:
        """Whether the page is of this case alone, and no form that lists every need."""
        assert self.referred is not None
        return (
            (str(self.referred.id) in path or self.share in path)
            and "/forms/" not in path
            and "/screening/" not in path
        )

    def may(self, login: str) -> frozenset[str]:
        """The elements that somebody may read now."""
        if login == "nurse-a":
            return frozenset({*tiers.HOSPITAL, "given-name", "never", "number", "exchange"})
        if login == "coordinator":
            return frozenset({*tiers.COORDINATOR, "given-name", "never", "number", "exchange"})
        if login not in SIDES:
            return frozenset()
        seen = tiers.readable(SIDES[login], self.stage("agency-a", ""), safety=self.safety)  # pyright: ignore[reportArgumentType]
        more = {"exchange"} | ({"given-name", "number"} if "name" in seen else set())
        # The file is read by who has the case and by who supervises.
        return seen | more | ({"file"} if login != "worker-a2" and self.status.get("agency-a") else set())


class Walk:
    """One person's way through the pages."""

    def __init__(self, one: Browser, login: str, seeds: list[str]) -> None:
        self.one, self.login = one, login
        self.todo, self.seen = list(seeds), set(seeds)
        self.pages: list[tuple[str, int, str, str]] = []
        self.of: Counter[str] = Counter()

    async def through(self) -> None:
        while self.todo:
            path = self.todo.pop(0)
            answer = await self.one._http.get(f"{BASE}{path}")  # pyright: ignore[reportPrivateUsage]
            text = unescape(answer.text) if "text" in answer.headers.get("content-type", "") else ""
            self.pages.append((path, answer.status_code, text, answer.headers.get("location", "")))
            if len(self.pages) >= DEEP.get(self.login, SHALLOW):
                assert not ALL, (self.login, [page for page, *_ in self.pages])
                break
            found = [unescape(each) for each in LINK.findall(answer.text)]
            if answer.status_code == 303:
                found.append(answer.headers["location"])
            for each in found:
                if each not in self.seen and not ELSEWHERE.match(each):
                    self.seen.add(each)
                    # Of pages that differ by order or filter alone a few are enough.
                    page, query, _ = each.partition("?")
                    self.of[page] += bool(query)
                    if self.of[page] <= FEW:
                        self.todo.append(each)

    async def say(self, path: str, said: dict[str, str]) -> None:
        answer = await self.one.post(path, said)
        moved = "".join(f" {each.headers.get('location', '')}" for each in answer.history)
        text = unescape(answer.text)
        # What somebody typed is shown to them again: that is their own word.
        for word in said.values():
            text = text.replace(word, "") if len(word) > 8 else text
        self.pages.append((f"POST {path}", answer.status_code, text, moved))


STATIC = {
    "worker-a": ("/today", "/queue", "/cases", "/follow-ups", "/capacity", "/reports", "/downtime", "/downtime/copy", "/downtime/enter", "/crises", "/crises/all", "/queue/rows", "/queue/next", "/me"),
    "supervisor-a": ("/queue", "/team", "/cases", "/follow-ups", "/team/approvals", "/team/files", "/team/hand-over", "/team/escalations", "/team/roster", "/downtime", "/crises/all", "/dispatch/escalations"),
    "coordinator": ("/dispatch", "/dispatch/agencies", "/dispatch/escalations", "/reports", "/crises/all"),
    "admin": ("/admin", "/dispatch", "/audit", "/reports", "/admin/hl7", "/admin/subscriptions", "/crises/all", "/audit/export"),
    "bureau": ("/audit", "/audit/export"),
    "nurse-a": ("/referrals", "/refer", "/follow-ups", "/reports", "/downtime"),
    "volunteer-a": ("/visits",),
}  # fmt: skip
LIKE = {"worker-a2": "worker-a", "worker-b": "worker-a", "nurse-b": "nurse-a"}


SEALED = (codes.label(codes.NEED, "N12"), "家暴", "市西街道")
"""What nobody of an agency reads of the safety need before the person is open to them: of where, only the county."""


def _addresses(case: Told, login: str) -> Iterator[str]:
    """The pages of this case, whoever asks; who has no part in it asks for less, unless there is time."""
    assert case.referred is not None
    for end in ("", "/print", "/receipt"):
        yield f"/referrals/{case.referred.id}{end}"
    yield f"/dispatch/{case.referred.id}"
    yield f"/refer/sent/{case.referred.id}"
    yield f"/queue/row/{case.share}"
    for tab in ("",) if login not in SIDES and not ALL else ("", "/card", "/contacts", "/crisis", "/documents", "/goals", "/report", "/resources", "/screening", "/supervision", "/team", "/time", "/forms/intake-form", "/screening/phq-9"):  # fmt: skip
        yield f"/cases/{case.share}{tab}"
    yield f"/follow-ups/{case.share}"


class Street:
    """The people with their browsers, and the cases."""

    def __init__(
        self, world: World, people: dict[str, Browser], cases: list[Told], caplog: pytest.LogCaptureFixture
    ) -> None:
        self.world, self.people, self.cases, self.caplog = world, people, cases, caplog
        self.count = 0

    async def look(self, stage: str, *logins: str) -> None:
        for login in logins:
            walk = Walk(
                self.people[login],
                login,
                [*(path for case in self.cases for path in _addresses(case, login)), *STATIC[LIKE.get(login, login)]],
            )
            await walk.through()
            if ALL or stage in ("offered", "withdrawn"):
                await self._type(walk, login)
            self.count += len(walk.pages)
            for case in self.cases:
                allowed = case.may(login)
                for path, status, text, moved in walk.pages:
                    where = (stage, login, case.need, path, status)
                    assert status < 500, where
                    # What is refused says nothing of anybody.
                    found = case.above(text, frozenset() if status in (403, 404) else allowed)
                    assert not found, f"{where} {found} {_around(case, text, allowed)}"
                    if login in SIDES and case.safety and "name" not in allowed and case.at(path) and status == 200:
                        assert not any(word in text for word in SEALED), where
                    # Addresses are kept in histories and logs, whoever may read.
                    for address in (
                        path,
                        moved,
                        *(each for each in PHRASE.findall(text) if not each.startswith("tel:")),
                    ):
                        assert not case.above(unquote(address), frozenset()), (*where, address)
                    title = re.search(r"<title>(.*?)</title>", text, re.S)
                    assert not title or not case.above(title[1], frozenset()), (*where, title[1])
        said = "\n".join(
            f"{one.getMessage()} {one.exc_text}" for one in self.caplog.records if not one.name.startswith("http")
        )
        for case in self.cases:
            assert not case.above(said, frozenset()), stage
        self.caplog.clear()

    async def _type(self, walk: Walk, login: str) -> None:
        """What one can look for, one looks for."""
        one = self.people[login]
        for case in self.cases:
            assert case.referred is not None
            for word in (f"陈{case.name}", case.number, case.phone, case.mrn, case.order)[: 5 if ALL else 2]:
                await one.get("/search" if login != "volunteer-a" else "/visits")
                if login != "volunteer-a":
                    await walk.say("/search", {"words": word})
                    # By a word that one may not read nothing is found.
                    assert "name" in case.may(login) or str(case.referred.id) not in walk.pages[-1][2], (
                        login,
                        case.words.get(word),
                    )
                if login in SIDES or login == "worker-b":
                    await walk.say("/queue/filter", {"words": word, "view": "all"})
                if login.startswith("nurse"):
                    await walk.say("/referrals", {"words": word})
                    await one.get("/refer")
                    draft = str(new_id())
                    await walk.say("/refer/look", {"draft": draft, "number": word, "need": "N05"})
                    await walk.say("/refer/look", {"draft": draft, "citizen": word, "need": "N05", "name": "某人"})
                    await one.post("/refer/discard", {"draft": draft})

    async def audited(self) -> None:
        async with self.world.as_owner() as owner:
            for table in ("audit", "event"):
                for (row,) in await owner.fetch(f"SELECT row_to_json(t)::text FROM {table} t"):
                    for case in self.cases:
                        found = case.above(row, {"exchange", "file"} if table == "event" else frozenset())
                        assert not found, (table, found, row[:300])

    async def streamed(self) -> None:
        async with self.world.database.transaction(worker.CLOCK.scope) as session:
            while await events.sequence(session):
                pass
        for name in ("agency-a", "agency-b", "his-b"):
            actor = await access.authenticate(
                self.world.database, self.world.said["clients"][name]["access_token"], utc_now()
            )
            async with self.world.database.transaction(actor.scope, writes=False) as session:
                heard = await notices.heard(session, actor, 0)
            text = b"".join(_event(one, actor) for one in heard.events).decode()
            assert not any(case.above(text, frozenset()) for case in self.cases), name


def _around(case: Told, text: str, allowed: Any) -> list[str]:
    return [
        text[max(0, text.find(word) - 160) : text.find(word) + 60]
        for word, element in case.words.items()
        if element not in allowed and word in text
    ]


async def _let_in(world: World, browser: Any, login: str, role: Any, organization: str) -> Browser:
    at = Id(world.organizations[organization].split("/")[1])
    async with world.database.transaction(operator().scope) as session:
        await access.add_account(session, operator(), NewAccount(login, role, at, login), PASSWORD, utc_now())
    one: Browser = await browser()
    await one.get("/sign-in")
    await one.post("/sign-in", {"login": login, "password": PASSWORD})
    assert one.page.status_code == 200 and "/sign-in" not in str(one.page.url)
    return one


async def _referred(world: World, need: str) -> Told:
    case = Told(need)
    body = case.body(need)
    answer = await world.party("his-a").post("", body)
    assert answer.status == 200, answer
    case.referred = Referred(body, answer)
    case.share = (await world.offer(case.referred))["id"]
    return case


@pytest.mark.timeout(1800)
async def test_nobody_reads_on_a_page_what_consent_and_role_withhold(
    world: World, browser: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    people = {
        login: await browser(login) for login in (*SIDES, "worker-b", "coordinator", "bureau", "admin", "nurse-a")
    }
    people["nurse-b"] = await _let_in(world, browser, "nurse-b", "referrer", "hospital-b")
    people["volunteer-a"] = await _let_in(world, browser, "volunteer-a", "volunteer", "agency-a")
    plain, safety = await _referred(world, "N05"), await _referred(world, "N12")
    street = Street(world, people, [plain, safety], caplog)
    agency, hospital = world.party("agency-a"), world.party("his-a")
    others = OTHERS if ALL else ()
    async with world.as_owner() as owner:
        worker_a = await owner.fetchval("SELECT worker_id FROM account WHERE login = 'worker-a'")
    mine: dict[str, Any] = {"owner": {"reference": f"PractitionerRole/{worker_a}"}}

    for case in street.cases:
        asked = message("question", f"Task/{case.share}", payload=[{"contentString": case.asked}])
        question = done(await agency.post("Communication", asked))
        answer = message("answer", f"Task/{case.share}", payload=[{"contentString": case.given}], inResponseTo=[{"reference": f"Communication/{question['id']}"}])  # fmt: skip
        done(await hospital.post("Communication", answer))
    await street.look("offered", "worker-a", *(others or OTHERS))
    if ALL:
        await street.look("offered", "worker-a2", "supervisor-a")

    for case in street.cases:
        done(await agency.put(await agency.read(f"Task/{case.share}"), status="accepted", **mine))
        case.status["agency-a"] = "accepted"
    await street.look("accepted", "worker-a", *(("worker-a2", "supervisor-a", *others) if ALL else ()))

    for case in street.cases:
        assert case.referred is not None
        made = await world.consent(case.referred, "agency-a")
        case.consents.append({"id": made["id"], "agency": "agency-a", "withheld": set(), "active": True, "care": True})
        share = done(await agency.put(await agency.read(f"Task/{case.share}"), status="in-progress"))
        case.status["agency-a"] = "started"
        done(await agency.post("Procedure", procedure(share, note=[{"text": case.noted}])))
        done(await agency.post("QuestionnaireResponse", form("intake-form", share)))
        said = message("supervision", f"Task/{case.share}", payload=[{"contentString": case.supervised}])
        await agency.post("Communication", said)
    await street.look("disclosed", "worker-a", "worker-a2", "supervisor-a", *others)

    for case in street.cases:
        kept = await hospital.read(f"Consent/{case.consents[0]['id']}")
        done(await hospital.put(kept, status="inactive"))
        case.consents[0]["active"] = False
    await street.look("withdrawn", "worker-a", *(("worker-a2", "supervisor-a", *others) if ALL else ("supervisor-a",)))

    for case in street.cases:
        ended = await agency.read(f"Task/{case.share}")
        done(await agency.put(ended, status="failed", statusReason=closed("consent-withdrawn")))
        case.status["agency-a"] = "ended"
    await street.look("ended", "worker-a", *(("worker-a2", "supervisor-a", *others) if ALL else ()))
    await street.audited()
    await street.streamed()
