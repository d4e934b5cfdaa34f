"""The search box finds what its reader may know, and nothing else; what was looked for stands nowhere."""

import re
from typing import Any

from tests.http.world import BASE, World
from tests.web.conftest import Browser

ROW = re.compile(r'class="open" href="/referrals/([0-9a-f-]{36})"')


async def found(one: Browser, words: str, **more: str) -> list[str]:
    await one.get("/search")
    page = await one.post("/search", {"words": words, **more})
    assert page.status_code == 200 and str(page.url) == f"{BASE}/search"
    return ROW.findall(page.text)


async def said(world: World, referral: str, what: str) -> Any:
    async with world.as_owner() as owner:
        await owner.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        return await owner.fetchval(f"SELECT {what} FROM referral r JOIN patient p ON p.id = r.patient_id WHERE r.id = $1", referral)  # fmt: skip


async def test_a_ward_finds_by_number_by_name_and_by_need(world: World, browser) -> None:
    for need in ("N05", "N17"):
        await world.refer(need)
    nurse: Browser = await browser("nurse-a")
    name = "欧阳试寻"
    async with world.as_owner() as owner:
        await owner.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        rows = await owner.fetch("SELECT id, placer_value, patient_id FROM referral ORDER BY id DESC LIMIT 2")
        two, one = (str(row["id"]) for row in rows)
        number, patient = rows[1]["placer_value"], rows[1]["patient_id"]
        await owner.execute("UPDATE patient SET name = $2 WHERE id = $1", patient, name)
        of_person = await owner.fetchval("SELECT value FROM patient_identifier WHERE patient_id = $1 LIMIT 1", patient)
    assert one in await found(nurse, number) and two not in await found(nurse, number)
    assert await found(nurse, one) == [one], "by the number on its own address"
    assert one in await found(nurse, of_person)
    assert (
        await found(nurse, name) == [one]
        and await found(nurse, "  欧阳 ") == [one]
        and await found(nurse, "试寻") == []
    )
    assert await found(nurse, "%") == [] and await found(nurse, "_" * 4) == [] and await found(nurse, "\x00") == []
    need = await found(nurse, "N17")
    assert two in need and one not in need
    await nurse.get("/search")
    page = await nurse.post("/search", {"words": "<b>x</b>"})
    assert "没有找到" in page.text and "<b>x" not in page.text
    assert (await found(nurse, "")) == []
    async with world.as_owner() as owner:
        lines = await owner.fetch("SELECT * FROM audit WHERE interaction = 'page-search' ORDER BY id")
    assert lines and not any(name in str(dict(line)) or number in str(dict(line)) for line in lines)
    assert any(str(one) in str(line["referrals"]) for line in lines), "who was found is written down"


async def test_an_agency_finds_a_person_only_once_they_are_open_to_it(world: World, browser) -> None:
    referred = await world.refer("N05")
    async with world.as_owner() as owner:
        await owner.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        row = await owner.fetchrow("SELECT r.id, r.placer_value, p.id AS patient, p.name FROM referral r JOIN patient p ON p.id = r.patient_id ORDER BY r.id DESC LIMIT 1")  # fmt: skip
        await owner.execute("UPDATE patient SET name = '慕容试寻' WHERE id = $1", row["patient"])
        value = await owner.fetchval("SELECT value FROM patient_identifier WHERE patient_id = $1 AND system <> 'urn:oid:2.16.156.10011.1.3' LIMIT 1", row["patient"])  # fmt: skip
    worker, stranger = await browser("worker-a"), await browser("worker-b")
    id = str(row["id"])
    assert await found(worker, "慕容") == [] and id not in await found(worker, row["placer_value"])
    assert id in await found(worker, "N05"), "its need is what an offer shows"
    assert (await world.accepted(referred)).status in (200, 201)
    await browser("worker-a")
    assert await found(worker, "慕容") == [id]
    if value:
        assert id not in await found(worker, value), "to an agency the citizen number alone is told"
    assert await found(stranger, "慕容") == [] and id not in await found(stranger, "N05")


async def test_a_sealed_need_is_not_found_by_its_name(world: World, browser) -> None:
    await world.refer("N11")
    async with world.as_owner() as owner:
        await owner.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        id = str(await owner.fetchval("SELECT id FROM referral ORDER BY id DESC LIMIT 1"))
        offered = await owner.fetchval("SELECT count(*) FROM task WHERE referral_id = $1 AND kind = 'share'", id)
    nurse: Browser = await browser("nurse-a")
    assert id in await found(nurse, "N11") and offered
    for login in ("worker-a", "supervisor-a", "worker-b"):
        one: Browser = await browser(login)
        assert id not in await found(one, "N11"), login


async def test_pages_go_on_and_other_roles_search_nothing(world: World, browser, monkeypatch) -> None:
    from adapters.web import search

    for _ in range(3):
        await world.refer("N06")
    monkeypatch.setattr(search, "AT_A_TIME", 2)
    coordinator: Browser = await browser("coordinator")
    first = await found(coordinator, "N06")
    after = re.search(r'name="after" value="([^"]+)"', coordinator.page.text)
    assert len(first) == 2 and after
    second = await found(coordinator, "N06", after=after[1])
    assert second and not set(first) & set(second)
    assert len(await found(coordinator, "N06", after="nonsense")) == 2
    bureau: Browser = await browser("bureau")
    assert 'action="/search"' not in bureau.page.text
    await bureau.get("/me")
    assert (await bureau.post("/search", {"words": "N06"})).status_code == 403
    assert (await coordinator.post("/search", {"words": "N06"}, token=False)).status_code == 403


async def test_an_index_finds_names_and_numbers_below_the_row_policies(world: World) -> None:
    from service.access.model import Actor
    from service.referrals import search_store
    from service.values import new_id

    own, nobody = new_id(), new_id()
    for side, statement, given, index in (
        ("hospital", search_store.CALLED_AT_HOSPITAL, ("王", "玌", own), "patient_hospital_name"),
        ("coordinator", search_store.CALLED_ANYWHERE, ("王", "玌"), "patient_name"),
        ("hospital", search_store.NUMBERED, ("1", "hospital", own), "patient_identifier_value"),
        ("hospital", search_store.AMONG_OWN, ([nobody], "1", ["N05"], nobody, 51, None, own), "referral_placer_value"),
        ("hospital", search_store.AMONG_OWN, ([nobody], "1", ["N05"], nobody, 51, None, own), "referral_patient"),
    ):
        actor = Actor(new_id(), "person", own, side, "x")
        async with world.database.transaction(actor.scope) as session:
            await session.execute("SET LOCAL enable_seqscan = off")
            plan = "\n".join(row[0] for row in await session.fetch(f"EXPLAIN {statement}", *given))
        assert re.search(rf"Index.*{index}\b", plan), plan
