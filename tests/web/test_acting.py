"""What a page does, it does once; and what it keeps as FHIR it keeps as a program would."""

from typing import Any

from litestar import Request, Router, post
from litestar.datastructures import State
from litestar.di import Provide

from adapters.web import acting, shell
from adapters.web.shell import Page, Signed
from service.errors import Invalid
from service.values import Id
from tests.http.world import World
from tests.web.conftest import Browser

DONE: list[str] = []


@post("/try", status_code=303)
async def trial(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    said = await shell.form(request)

    async def do(session: Any) -> str:
        if said["words"] == "wrong":
            raise Invalid("No.")
        DONE.append(said["words"])
        about = {"reference": f"Task/{said['task']}"} if said.get("task") else None
        if about:
            asked = {
                "resourceType": "Communication", "status": "completed", "about": [about], "payload": [{"contentString": said["words"]}],
                "category": [{"coding": [{"system": "urn:yuanshe:message", "code": "question"}]}],
            }  # fmt: skip
            stored = await state.fhir(session, who.actor, "POST", "Communication", asked, session.began)
            return f"/me?made={stored['id']}"
        return acting.done("/today", "saved")

    return await acting.act(request, state, who, said, "page-try", do)


def tried(world: World) -> None:
    world.app.register(
        Router("/", route_handlers=[trial], dependencies={"who": Provide(shell.person)}, exception_handlers={})
    )
    DONE.clear()


async def test_a_form_that_is_sent_twice_is_one_act_and_leads_to_the_same_page(world: World, browser) -> None:
    tried(world)
    nurse: Browser = await browser("nurse-a")
    first = await nurse.post("/try", {"words": "a", "once": "1"})
    second = await nurse.post("/try", {"words": "a", "once": "1"})
    assert DONE == ["a"] and str(first.url) == str(second.url) and "已保存" in second.text
    await nurse.post("/try", {"words": "b", "once": "1"})
    assert DONE == ["a", "b"], "changed and sent again, it is another act"


async def test_two_presses_at_once_are_one_act(world: World, browser) -> None:
    import asyncio

    tried(world)
    nurse: Browser = await browser("nurse-a")
    await nurse.get("/today")
    both = await asyncio.gather(*(nurse.post("/try", {"words": "a", "once": "2"}) for _ in range(4)))
    assert DONE == ["a"] and {answer.status_code for answer in both} == {200}


async def test_what_was_refused_may_be_sent_again(world: World, browser) -> None:
    tried(world)
    nurse: Browser = await browser("nurse-a")
    assert (await nurse.post("/try", {"words": "wrong", "once": "3"})).status_code >= 400
    await nurse.get("/today")
    assert (await nurse.post("/try", {"words": "right", "once": "3"})).status_code == 200 and DONE == ["right"]


async def test_a_question_asked_on_a_page_reads_like_one_that_a_program_asked(world: World, browser) -> None:
    tried(world)
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    worker: Browser = await browser("worker-a")
    asked = await worker.post("/try", {"words": "有电梯吗？", "task": offer["id"], "once": "4"})
    made = Id(str(asked.url).split("made=")[1])
    read = await world.party("his-a").read(f"Communication/{made}")
    assert (
        read["payload"][0]["contentString"] == "有电梯吗？" and read["about"][0]["reference"] == f"Task/{offer['id']}"
    )
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM audit WHERE interaction = 'page-try'") == 1


async def test_pages_hear_what_happens_by_their_cookie_and_no_other_site_does(world: World, browser) -> None:
    nurse: Browser = await browser("nurse-a")
    other = await nurse._http.get("http://yuanshe.test/events", headers={"sec-fetch-site": "cross-site"})
    assert other.status_code == 401
