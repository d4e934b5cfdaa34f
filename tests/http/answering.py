"""What tests of answers by link share: a mailbox of an agency, the mails that wait for it, and its pages as a browser asks for them."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import httpx

from adapters import worker
from adapters.fhir import telling
from service.notices import flow as notices
from service.notices.model import Outcome
from service.values import utc_now
from tests.http.loop import done
from tests.http.subscribing import wish
from tests.http.world import BASE, Answered, World

LINKS, FOR = "urn:yuanshe:answer-link", "urn:yuanshe:subscriber"
MAILBOX = "mailto:office@agency.example"


def asks_for_links(to: str = MAILBOX, agency: str | None = None, **channel: Any) -> dict[str, Any]:
    """A Subscription whose mails carry links; the platform's names the agency."""
    asked = wish(to, content="id-only", type="email", payload="text/plain",
                 extension=[{"url": LINKS, "valueBoolean": True}], **channel)  # fmt: skip
    return asked | ({"extension": [{"url": FOR, "valueReference": {"reference": agency}}]} if agency else {})


async def mailbox(world: World, agency: str = "agency-a") -> Answered:
    """A mailbox of an agency that has no program: the platform subscribes it."""
    made = done(await world.party("platform").post("Subscription", asks_for_links(agency=world.organizations[agency])))
    await mails(world)  # The greeting, with which it becomes active.
    return made


async def mails(world: World) -> list[str]:
    """What a worker would mail now: each taken, rendered and settled as sent."""
    await worker.advance(world.database, lambda: None, lambda: None)
    tell = telling.telling(f"{BASE}/fhir")
    found: list[str] = []
    while True:
        async with world.database.transaction(worker.CLOCK.scope) as session:
            taken = await notices.claim(
                session, utc_now(), timedelta(seconds=30), {}, at_once=9, room=9, room_failing=9
            )
        if not taken:
            return found
        for sent in taken:
            found.append((await tell(world.database, sent.notices)).text)
            async with world.database.transaction(worker.CLOCK.scope) as session:
                await notices.settle(session, sent, Outcome(status=250), worker.DEFAULT, session.began)


WORDS = {"accept": "接单", "decline": "退单", "ask": "追问", "return": "退回"}


def links(text: str) -> dict[str, str]:
    """The links of a mail by what they are for."""
    return {act: found[1] for act, word in WORDS.items() if (found := re.search(rf"^{word} \w+: (\S+)$", text, re.M))}


async def offered(world: World, *needs: str, agency: str = "agency-a", **values: Any) -> tuple[Any, dict[str, str]]:
    """A referral offered to an agency whose mailbox gets links, and the links of the mail about it."""
    await mailbox(world, agency)
    referred = await world.refer(*needs, **values)
    (told,) = await mails(world)
    return referred, links(told)


async def opened(world: World, link: str, **headers: str) -> httpx.Response:
    return await world.http.get(link, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def pressed(world: World, link: str, **form: str) -> httpx.Response:
    """The form's button, and the page to which it leads."""
    answer = await world.http.post(link, data=form, headers={"content-type": "application/x-www-form-urlencoded"})
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/answer/")
        return await world.http.get(BASE + answer.headers["location"])
    return answer


def heading(page: httpx.Response) -> str:
    return unescape(re.search(r"<h1>(.*?)</h1>", page.text, re.S)[1])
