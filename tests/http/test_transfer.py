"""A case in other hands: another worker, a second one, another agency, the same case opened again (docs/handing-over.md)."""

import asyncio
from typing import Any

from service.access.model import Actor
from service.casework import flow as casework
from service.consent import flow as consents
from service.consent.marks import Features
from service.values import Id, new_id, utc_now
from tests.http.loop import discharge, done, follow_ups, later, nothing_changes, refused, says
from tests.http.staff import asked, do, part, parts, share_of, workers
from tests.http.test_hand_over import NOTHING, away, naming
from tests.http.test_races import whole
from tests.http.world import Answered, World, closed, output

AGENCY = "agency-a"
WHY = {"reason": "家住得近", "note": "每周二上门，女儿白天不在家。"}


async def value(world: World, task: str, name: str, by: str = AGENCY) -> Any:
    team = done(await world.party(by).get(f"Task/{task}/$team"))
    return next(
        (next(v for k, v in p.items() if k.startswith("value")) for p in team["parameter"] if p["name"] == name), None
    )


async def close(world: World, share: dict[str, Any], code: str = "goals-met", by: str = AGENCY) -> Answered:
    now = await world.party(by).read(f"Task/{share['id']}")
    return await world.party(by).put(now, status="completed", output=[output()], statusReason=closed(code))


# ---- another worker ----------------------------------------------------------------------------------------------------


async def test_a_case_goes_to_another_worker_with_a_reason_a_note_and_its_history(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    done(await agency.put(share, status="in-progress", owner={"reference": staff["worker-a"]}))
    done(await discharge(world, referred))
    done(await do(agency, f"Task/{share['id']}/$transfer", to=staff["worker-a2"], **WHY))
    done(
        await do(agency, f"Task/{share['id']}/$transfer", to=staff["supervisor-a"], reason="疑难", note="请督导接手。")
    )
    assert (await agency.read(f"Task/{share['id']}"))["owner"]["reference"] == staff["supervisor-a"]
    assert {task["owner"]["reference"] for task in await follow_ups(agency, referred)} == {staff["supervisor-a"]}
    told = parts(done(await agency.get(f"Task/{share['id']}/$team")), "transfer")
    assert [(each["from"], each["to"]) for each in told] == [
        (staff["worker-a"], staff["worker-a2"]), (staff["worker-a2"], staff["supervisor-a"]),
    ]  # fmt: skip
    assert told[0]["note"] == WHY["note"]
    seen = str(await world.party("his-a").read(f"{referred.request}/$timeline"))
    assert "transfer" in seen and WHY["note"] not in seen and WHY["reason"] not in seen
    refused(await world.party("his-a").get(f"Task/{share['id']}/$team"), 403)
    refused(await world.party("agency-b").get(f"Task/{share['id']}/$team"), 404)
    _, step = await world.timeline(referred, AGENCY)
    assert step is not None and step["who"]["reference"] == staff["supervisor-a"]


async def test_who_may_not_have_a_case_is_not_given_it(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    where = f"Task/{share['id']}/$transfer"
    done(await away(world, staff["worker-a2"], staff["supervisor-a"]))
    async with nothing_changes(world):
        refused(await do(agency, where, to=staff["worker-b"], **WHY), 422, "not a licensed")
        refused(await do(agency, where, to=staff["worker-a2"], **WHY), 422, "away")
        refused(await do(agency, where, to=staff["supervisor-a"], reason="家近"), 422, "note")
        refused(await do(agency, where, to=staff["supervisor-a"], note="x"), 422, "reason")
        refused(await do(world.party("agency-b"), where, to=staff["worker-b"], **WHY), 404)
    done(await close(world, share))
    refused(await do(agency, where, to=staff["supervisor-a"], **WHY), 422, "goes on")


async def test_a_declared_conflict_of_interest_keeps_a_case_from_a_colleague_by_every_way(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    actor = Actor(new_id(), "client", Id(world.organizations[AGENCY].partition("/")[2]), "agency", "")
    async with world.database.transaction(actor.scope) as session:
        who = Features(phones=("13800000001",))
        await consents.declare_conflict(
            session, actor, new_id(), Id(staff["worker-a2"].partition("/")[2]), who, utc_now()
        )
    share = await share_of(world, staff["worker-a"])
    async with nothing_changes(world):
        refused(await do(agency, f"Task/{share['id']}/$transfer", to=staff["worker-a2"], **WHY), 422, "conflict")
        refused(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["worker-a2"]), 422, "conflict")
        answer = refused(await away(world, staff["worker-a"], staff["worker-a2"]), 422, "conflict")
        assert answer["issue"][0]["expression"] == [f"Task/{share['id']}"]
    told = done(await away(world, staff["worker-a"], staff["worker-a2"], dryRun=True))
    assert parts(told, "refused")[0]["at"] == f"Task/{share['id']}"
    done(await away(world, staff["worker-a"], staff["supervisor-a"]))


async def test_two_transfers_at_once_make_one_history_and_with_a_version_one_holds(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    where = f"Task/{share['id']}/$transfer"
    both = (staff["worker-a2"], staff["supervisor-a"])
    assert {a.status for a in await asyncio.gather(*(do(agency, where, to=to, **WHY) for to in both))} == {200}
    told = parts(done(await agency.get(f"Task/{share['id']}/$team")), "transfer")
    assert told[0]["from"] == staff["worker-a"] and told[1]["from"] == told[0]["to"]
    now = await agency.read(f"Task/{share['id']}")
    assert now["owner"]["reference"] == told[1]["to"]
    others = [staff[key] for key in ("worker-a", "worker-a2", "supervisor-a") if staff[key] != told[1]["to"]]
    answers = await asyncio.gather(*(agency.post(where, asked(to=to, **WHY), if_match=now.headers["etag"]) for to in others))  # fmt: skip
    assert sorted(answer.status for answer in answers) == [200, 412]
    await whole(world)


# ---- a second worker ---------------------------------------------------------------------------------------------------


async def test_both_workers_have_a_case_on_which_they_work_together_in_their_lists(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    done(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["worker-a2"], role="co-visitor"))
    for person, role in (("worker-a", "owner"), ("worker-a2", "co-visitor")):
        listed = parts(done(await agency.get(f"{staff[person]}/$caseload")), "item")
        assert [(item["task"], item["role"]) for item in listed] == [(f"Task/{share['id']}", role)]
        actor = Actor(new_id(), "client", Id(world.organizations[AGENCY].partition("/")[2]), "agency", "")
        async with world.database.transaction(actor.scope) as session:
            cases = await casework.cases(session, actor, worker=Id(staff[person].partition("/")[2]))
        assert [str(case.task) for case in cases] == [share["id"]]
    refused(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["worker-a2"]), 409, "already")
    refused(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["worker-a"]), 422, "owner")
    refused(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["worker-b"]), 422, "agency")
    refused(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["supervisor-a"], role="boss"), 422, "role")
    done(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["worker-a2"], end=True))
    assert parts(done(await agency.get(f"{staff['worker-a2']}/$caseload")), "item") == []
    refused(await do(agency, f"Task/{share['id']}/$co-work", worker=staff["worker-a2"], end=True), 404)
    (second,) = parts(done(await agency.get(f"Task/{share['id']}/$team")), "second")
    assert "end" in second["period"]


async def test_co_work_goes_along_in_a_hand_over_and_comes_back(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share, mine = await share_of(world, staff["supervisor-a"]), await share_of(world, staff["worker-a2"])
    until = later(days=30).isoformat()
    for task in (share, mine):
        done(await do(agency, f"Task/{task['id']}/$co-work", worker=staff["worker-a"], period={"end": until}))
    done(await away(world, staff["worker-a"], staff["worker-a2"]))
    assert await naming(world, staff["worker-a"]) == NOTHING
    listed = {
        item["task"]: item["role"] for item in parts(done(await agency.get(f"{staff['worker-a2']}/$caseload")), "item")
    }
    assert listed == {f"Task/{share['id']}": "co-worker", f"Task/{mine['id']}": "owner"}
    done(await do(agency, f"{staff['worker-a']}/$come-back"))
    listed = {
        item["task"]: item["role"] for item in parts(done(await agency.get(f"{staff['worker-a']}/$caseload")), "item")
    }
    assert listed == {f"Task/{share['id']}": "co-worker", f"Task/{mine['id']}": "co-worker"}
    assert (await naming(world, staff["worker-a2"]))["co-work"] == 0
    seconds = parts(done(await agency.get(f"Task/{share['id']}/$team")), "second")
    assert seconds[-1]["period"]["end"][:10] == until[:10], "as long as it would have lasted"


# ---- another agency ----------------------------------------------------------------------------------------------------


async def test_a_new_need_is_closed_as_passed_on_only_when_another_agency_has_accepted_it(world: World) -> None:
    staff = await workers(world)
    one, other, hospital = (world.party(name) for name in (AGENCY, "agency-b", "his-a"))
    share = await share_of(world, staff["worker-a"])
    async with nothing_changes(world):
        refused(await close(world, share, "new-need-transfer"), 422, "$transfer")
    made = done(
        await do(
            one,
            f"Task/{share['id']}/$transfer",
            to=world.organizations["agency-b"],
            need="N07",
            reason="独居，需要陪伴",
        )
    )
    request = next(p["valueReference"]["reference"] for p in made["parameter"] if p["name"] == "request")
    (offer,) = parts(made, "offer")
    assert offer["agency"] == world.organizations["agency-b"] and offer["status"] == "requested"
    refused(await close(world, share, "new-need-transfer"), 422, "accepted")
    shown = await other.read(offer["task"])
    assert "PSEUDED" in str(await other.read(shown["for"]["reference"])) and "陈素芬" not in str(shown)
    asked_for = await hospital.read(request)
    assert asked_for["basedOn"] and asked_for["status"] == "active" and "N07" in str(asked_for["category"])
    refused(await one.get(request), 404)
    done(await other.put(shown, status="accepted"))
    assert part(next(p for p in (await one.get(f"Task/{share['id']}/$team"))["parameter"] if p["name"] == "onward"))[
        "accepted"
    ]
    done(await close(world, share, "new-need-transfer"))
    # The hospital is the placer: it may take the onward referral back as any other.
    done(await hospital.put(await hospital.read(request), status="revoked", note=[{"text": "家属已安排"}]))


async def test_a_need_passed_on_never_comes_back_to_who_passed_it_on(world: World) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    made = done(await do(world.party(AGENCY), f"Task/{share['id']}/$transfer", need="N01", reason="经济困难"))
    (offer,) = parts(made, "offer")
    assert offer["agency"] == world.organizations["agency-b"]
    shown = await world.party("agency-b").read(offer["task"])
    reason = {"coding": [{"system": "urn:yuanshe:decline-reason", "code": "no-capacity"}], "text": "已满"}
    done(await world.party("agency-b").put(shown, status="rejected", statusReason=reason))
    assert await world.party(AGENCY).search("Task?status=requested") == []
    refused(
        await do(
            world.party(AGENCY),
            f"Task/{share['id']}/$transfer",
            to=world.organizations["agency-c"],
            need="N01",
            reason="x",
        ),
        409,
        "cannot be asked",
    )
    refused(
        await do(world.party(AGENCY), f"Task/{share['id']}/$transfer", to=world.organizations[AGENCY], reason="x"),
        422,
        "another worker",
    )
    refused(await do(world.party(AGENCY), f"Task/{share['id']}/$transfer", need="N00", reason="x"), 422, "need")


async def test_a_hospitals_request_based_on_an_open_one_is_an_onward_referral_too(world: World) -> None:
    staff = await workers(world)
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    done(await world.party(AGENCY).put(share, status="in-progress", owner={"reference": staff["worker-a"]}))
    order = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": {"reference": referred.patient},
        "identifier": [{"system": "urn:his-a:order", "value": "ONWARD-1"}], "basedOn": [{"reference": referred.request}],
        "category": [{"coding": [{"system": "urn:yuanshe:need", "code": "N07"}]}],
    }  # fmt: skip
    done(await world.party("his-a").post("ServiceRequest", order))
    (offer,) = await world.party("agency-b").search("Task?status=requested")
    done(await world.party("agency-b").put(offer, status="accepted"))
    done(await close(world, share, "new-need-transfer"))


# ---- opened again ------------------------------------------------------------------------------------------------------


async def test_the_agency_opens_a_closed_case_again_as_a_new_one_that_waits_for_consent(world: World) -> None:
    staff = await workers(world)
    agency, hospital = world.party(AGENCY), world.party("his-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    done(await agency.put(share, status="in-progress", owner={"reference": staff["worker-a"]}))
    refused(await do(agency, f"Task/{share['id']}/$reopen", reason="又住院"), 422, "still open")
    done(await close(world, share))
    refused(await do(world.party("agency-b"), f"Task/{share['id']}/$reopen", reason="x"), 404)
    refused(await do(agency, f"Task/{share['id']}/$reopen"), 422, "reason")
    made = done(await do(agency, f"Task/{share['id']}/$reopen", reason="家中又无人照料", owner=staff["worker-a"]))
    (offer,) = parts(made, "offer")
    now = await agency.read(offer["task"])
    assert (now["status"], says(now), now["owner"]["reference"]) == ("accepted", "awaiting-consent", staff["worker-a"])
    assert await value(world, now["id"], "continues") == {"reference": f"Task/{share['id']}"}
    assert (await agency.read(f"Task/{share['id']}"))["status"] == "completed", "no state leads back"
    request = next(p["valueReference"]["reference"] for p in made["parameter"] if p["name"] == "request")
    assert (await hospital.read(request))["basedOn"] == [{"reference": referred.request}]
    _, step = await world.timeline(type(referred)({}, Answered({"entry": [{"response": {"location": request}}]})))  # type: ignore[arg-type]
    assert step is not None and step["what"] == "obtain-consent"
    actions, _ = await world.timeline(referred)
    assert actions[-1] == "reopen"
    refused(await do(agency, f"Task/{share['id']}/$reopen", reason="again"), 409, "already")
    done(await hospital.post("Consent", world.consent_form(referred.patient, request, AGENCY)))
    done(await agency.put(await agency.read(offer["task"]), status="in-progress"))
    await whole(world)


async def test_where_consent_still_holds_the_reopened_case_knows_the_person_at_once(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    done(await world.party("his-a").post("Consent", world.consent_form(referred.patient, None, AGENCY)))
    share = done(
        await agency.put(
            await agency.read(f"Task/{share['id']}"), status="in-progress", owner={"reference": staff["worker-a"]}
        )
    )
    done(await close(world, share))
    made = done(await do(agency, f"Task/{share['id']}/$reopen", reason="情况反复"))
    now = await agency.read(parts(made, "offer")[0]["task"])
    assert says(now) == "accepted" and now["for"]["reference"] == referred.patient


async def test_the_hospital_asks_the_agency_that_had_the_case(world: World) -> None:
    agency, hospital = world.party("agency-b"), world.party("his-a")
    referred = await world.refer("N05", request={"performer": [{"reference": world.organizations["agency-b"]}]})
    share = await world.accepted(referred, "agency-b")
    done(await agency.put(share, status="in-progress"))
    done(await close(world, share, by="agency-b"))
    made = done(await do(hospital, f"Task/{share['id']}/$reopen", reason="复诊时又提出"))
    (offer,) = parts(made, "offer")
    assert (offer["agency"], offer["status"]) == (world.organizations["agency-b"], "requested")
    refused(await do(world.party("his-b"), f"Task/{share['id']}/$reopen", reason="x"), 404)


async def test_two_who_open_a_case_again_at_once_open_it_once(world: World) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    done(await close(world, share))
    answers = await asyncio.gather(
        *(do(world.party(by), f"Task/{share['id']}/$reopen", reason="又需要") for by in (AGENCY, "his-a"))
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    await whole(world)
