"""The record of a mandatory report: sealed, on record with its times, and the crisis stands as reported with it (domain b-4)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from adapters import worker
from service.access.model import Actor
from service.values import Id, local_day, new_id
from tests.http.exporting import exported
from tests.http.loop import crisis, discharge, done, follow_ups, message, nothing_changes, refused, started
from tests.http.test_screening import ask, keys, located, told
from tests.http.world import BASE, Party, Referred, World, output

URL = "urn:yuanshe:questionnaire:mandatory-report"
OFFICER, NUMBER, REPORTER = "城东派出所 王示例", "A20261122001", "儿科护士 工号0457"
SECRET = (OFFICER, NUMBER, REPORTER, "girl-under-14")
CHILD: dict[str, Any] = {"birthDate": "2018-05-01", "gender": "female"}


def ago(minutes: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def report(based_on: str, **said: Any) -> dict[str, Any]:
    """The record of a report to the police; `said` changes an answer, None takes it away."""
    coded = {
        "situation": "urn:yuanshe:report-situation",
        "channel": "urn:yuanshe:report-channel",
        "preserved": "urn:yuanshe:preserved",
    }
    answers: dict[str, Any] = {
        "situation": "girl-under-14", "known": ago(30), "reported": ago(10), "channel": "call-110", "receiver": OFFICER, "receipt": NUMBER,
        "preserved": ["clothing", "photograph"], "reporter": REPORTER,
    } | said  # fmt: skip
    items: list[dict[str, Any]] = []
    for code, value in answers.items():
        given = value if isinstance(value, list) else [] if value is None else [value]
        name = "valueDateTime" if code in ("known", "reported") else "valueString"
        shown = [{"valueCoding": {"system": coded[code], "code": v}} if code in coded else {name: v} for v in given]
        items += [{"linkId": code, "answer": shown}] if shown else []
    return {
        "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": URL, "basedOn": [{"reference": based_on}], "item": items,
    }  # fmt: skip


async def abused(world: World, **values: Any) -> Referred:
    return await world.refer("N13", patient=CHILD, **values)


async def opened(world: World, referred: Referred) -> dict[str, Any]:
    """The share of agency-a, accepted, its identity opened on the ground of the legal duty: a child does not sign."""
    share = await world.accepted(referred, consent=False)
    basis = {
        "resourceType": "Provenance", "target": [{"reference": referred.request}], "recorded": datetime.now(UTC).isoformat(),
        "reason": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HLEGAL"}], "text": "强制报告后的保护"}],
        "agent": [{"who": {"reference": world.organizations["agency-a"]}}],
    }  # fmt: skip
    done(await world.party("platform").post("Provenance", basis))
    return await world.party("agency-a").read(f"Task/{share['id']}")


async def what_next(world: World, referred: Referred, by: str = "his-a") -> str:
    _, step = await world.timeline(referred, by)
    assert step is not None
    return str(step["what"])


async def test_recording_it_moves_the_crisis_to_reported_at_once_and_the_plan_is_still_asked_for(world: World) -> None:
    referred, hospital = await abused(world), world.party("his-a")
    assert await what_next(world, referred) == "acknowledge"
    answer = await ask(hospital, report(referred.request))
    assert keys(answer) == ["sealed"] and "20 分钟" in str(answer)
    assert await what_next(world, referred) == "safety-plan", "the law waits for no plan, and a report is no plan"
    async with nothing_changes(world):
        refused(await hospital.post("Communication", crisis("stood-down", referred.request)), 422, "plan")
    done(await hospital.post("Communication", crisis("safety-planned", referred.request)))
    assert await what_next(world, referred) == "stand-down", "what was reported is not asked for again"
    done(await hospital.post("Communication", crisis("stood-down", referred.request)))


async def test_after_the_plan_it_is_the_report_that_was_waited_for(world: World) -> None:
    referred, hospital = await abused(world), world.party("his-a")
    for step in ("acknowledged", "safety-planned"):
        done(await hospital.post("Communication", crisis(step, referred.request)))
    assert await what_next(world, referred) == "report"
    await ask(hospital, report(referred.request))
    assert await what_next(world, referred) == "stand-down"


async def test_a_report_raises_the_crisis_where_none_is_up(world: World) -> None:
    referred = await world.refer("N05", patient=CHILD)
    await ask(world.party("his-a"), report(referred.request))
    assert await what_next(world, referred) == "safety-plan"
    assert (await world.parent(referred))["priority"] == "stat"


async def test_what_is_missing_is_named_and_nothing_is_stored(world: World) -> None:
    referred, hospital = await abused(world), world.party("his-a")
    async with nothing_changes(world):
        for said, words in (
            ({"known": None}, "known"), ({"receiver": None, "reporter": None}, "reporter"), ({"situation": "unheard-of"}, "report-situation"),
            ({"known": ago(5), "reported": ago(10)}, "before it was known"), ({"reported": ago(-60)}, "after it was made"),
            ({"preserved": ["none", "clothing"]}, "nothing"), ({"channel": ["call-110", "station"]}, "one answer"),
        ):  # fmt: skip
            refusal = refused(await hospital.post("QuestionnaireResponse", report(referred.request, **said)), 422)
            assert words in str(refusal["issue"]), refusal
            assert not any(word in str(refusal) for word in (OFFICER, NUMBER, REPORTER))
        refused(await hospital.post("QuestionnaireResponse", report("ServiceRequest/" + str(new_id()))), 404)
        refused(await hospital.post("QuestionnaireResponse", report(referred.request) | {"basedOn": []}), 422)
    other = report(referred.request) | {"subject": {"reference": (await world.refer("N05")).patient}}
    async with nothing_changes(world):
        refused(await hospital.post("QuestionnaireResponse", other), 422, "another person")


async def test_corrections_are_new_versions_and_who_records_first_is_kept(world: World) -> None:
    referred, hospital = await abused(world), world.party("his-a")
    name = located(await ask(hospital, report(referred.request)))
    held = await hospital.read(name)
    done(await hospital.put(held, item=report(referred.request, receipt="A20261122002")["item"]))
    assert (await hospital.read(name))["meta"]["versionId"] == "2"
    assert NUMBER in str(await hospital.read(f"{name}/_history/1"))
    assert (await world.timeline(referred, "platform"))[0].count("reported") == 1
    refused(await hospital.put(await hospital.read(name), questionnaire="urn:yuanshe:questionnaire:phq-9"), 422)
    refused(await world.party("his-b").put(held), 404)


async def figures(world: World, party: str) -> Any:
    token = world.said["clients"][party]["access_token"]
    now = datetime.now(UTC)
    days = f"from={local_day(now - timedelta(days=1))}&to={local_day(now)}"
    return await world.http.get(
        f"{BASE}/quality/mandatory-reports?{days}", headers={"authorization": f"Bearer {token}"}
    )


async def test_how_soon_it_was_reported_is_counted_for_who_may_read_it_and_the_platform(world: World) -> None:
    referred, hospital = await abused(world), world.party("his-a")
    for known, reported in ((30, 10), (200, 20), (15, 10)):
        await ask(hospital, report(referred.request, known=ago(known), reported=ago(reported)))
    wrong = located(await ask(hospital, report(referred.request)))
    done(await hospital.put(await hospital.read(wrong), status="entered-in-error"))
    for party, counted in (("his-a", 3), ("platform", 3), ("his-b", 0), ("agency-a", 0)):
        said = (await figures(world, party)).json()
        assert said["reports"] == counted, party
        if counted:
            assert said["within-limit"] == {"n": 2, "d": 3} and said["limit-minutes"] == 60
            assert said["median-minutes"] == 20.0
    assert (await figures(world, "auditor")).status_code == 403


async def readable(party: Party, name: str) -> bool:
    return (await party.get(name)).status == 200


async def test_who_wrote_it_reads_it_and_the_platform_and_nobody_else(world: World) -> None:
    referred = await abused(world)
    share = await opened(world, referred)
    of_hospital = located(await ask(world.party("his-a"), report(referred.request)))
    of_agency = located(await ask(world.party("agency-a"), report(share["focus"]["reference"])))
    for name, readers in ((of_hospital, {"his-a", "platform"}), (of_agency, {"agency-a", "platform"})):
        for party in ("his-a", "his-b", "agency-a", "agency-b", "agency-c", "platform"):
            assert await readable(world.party(party), name) == (party in readers), (party, name)
            found = await world.party(party).search(
                f"QuestionnaireResponse?questionnaire={URL}&_id={name.split('/')[1]}"
            )
            assert bool(found) == (party in readers)
    refused(await world.party("auditor").get(of_hospital), 403)


async def test_of_an_agencys_people_its_supervisor_alone_reads_it(world: World) -> None:
    referred = await abused(world)
    share = await opened(world, referred)
    name = located(await ask(world.party("agency-a"), report(share["focus"]["reference"])))
    agency = Id(world.organizations["agency-a"].split("/")[1])
    for role, seen in (("supervisor", 1), ("agency", 1), ("social_worker", 0)):
        async with world.database.transaction(Actor(new_id(), "person", agency, role, role).scope) as session:
            assert (
                await session.fetchval("SELECT count(*) FROM record WHERE id = $1::uuid", name.split("/")[1]) == seen
            ), role
            assert await session.fetchval("SELECT count(*) FROM mandatory_report") == seen, role


async def test_an_agency_gives_it_to_no_hospital_with_its_outcome(world: World) -> None:
    referred = await world.refer("N05")
    share, agency = await started(world, referred), world.party("agency-a")
    name = located(await ask(agency, report(share["focus"]["reference"])))
    for step in ("safety-planned", "stood-down"):
        done(await agency.post("Communication", crisis(step, f"Task/{share['id']}")))
    share = await agency.read(f"Task/{share['id']}")
    ending = {"coding": [{"system": "urn:yuanshe:closure-reason", "code": "goals-met"}], "text": "目标达成"}
    async with nothing_changes(world):
        refused(await agency.put(share, status="completed", output=[output(name)], statusReason=ending), 422)
    assert not await readable(world.party("his-a"), name)


async def test_the_duty_waits_for_no_consent_and_no_start(world: World) -> None:
    """An agency that has accepted reports before anybody consented; an agency that was only asked does not."""
    referred = await abused(world)
    offer = await world.offer(referred)
    agency = world.party("agency-a")
    refused(await agency.post("QuestionnaireResponse", report(offer["focus"]["reference"])), 403)
    await world.accepted(referred, consent=False)
    done(await agency.post("QuestionnaireResponse", report(offer["focus"]["reference"]) | {"subject": offer["for"]}))
    assert await what_next(world, referred) == "safety-plan"
    refused(await world.party("platform").post("QuestionnaireResponse", report(referred.request)), 403)
    refused(await world.party("agency-b").post("QuestionnaireResponse", report(referred.request)), 404)


async def test_it_may_come_with_the_submission_and_is_sealed_there_too(world: World) -> None:
    referred = await abused(world, extra=[report("REQUEST")])
    assert told(referred, "QuestionnaireResponse") == ["sealed"]
    await opened(world, referred)
    assert await world.party("agency-a").search("QuestionnaireResponse?status=completed") == []
    (held,) = await world.party("his-a").search(f"QuestionnaireResponse?questionnaire={URL}")
    assert NUMBER in str(held)
    assert await what_next(world, referred) == "safety-plan"


async def test_its_words_are_in_no_timeline_no_everything_no_export_and_no_event(world: World) -> None:
    referred = await abused(world)
    await opened(world, referred)
    done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
    await ask(world.party("his-a"), report(referred.request))
    seen: list[Any] = [
        await world.party(party).get(path)
        for party in ("his-a", "agency-a", "platform") for path in (f"{referred.request}/$timeline", f"Task?based-on={referred.request}")
    ]  # fmt: skip
    seen.append(await world.party("agency-a").get(f"{referred.patient}/$everything"))
    seen.append(await world.party("agency-a").get("QuestionnaireResponse"))
    # Nor in what even its writer makes to be carried away.
    seen += [await world.party(party).get(f"{referred.patient}/$everything") for party in ("his-a", "platform")]
    seen.append(await exported(world, world.party("his-a"), "$export?_type=QuestionnaireResponse,Task"))
    assert not any(secret in str(each) for each in seen for secret in SECRET)
    async with world.as_owner() as connection:
        for table in ("event", "audit", "task_version", "referral_version", "next_step"):
            held = await connection.fetchval(f"SELECT string_agg(t::text, ' ') FROM {table} t")
            assert not any(secret in (held or "") for secret in SECRET), table


async def test_the_log_that_is_handed_out_at_home_shows_no_sign_of_it(world: World) -> None:
    """Also of a referral that was placed for something else: who saw what is told to who may be the suspect."""
    referred = await world.refer("N05")
    await world.accepted(referred)
    agency, hospital = world.party("agency-a"), world.party("his-a")
    await agency.read(referred.patient)
    await worker.chain(world.database)
    assert agency.organization in str(await hospital.read(f"{referred.patient}/$disclosures"))
    await ask(agency, report((await world.shares(referred))[0]["focus"]["reference"]))
    await worker.chain(world.database)
    log = str(await hospital.read(f"{referred.patient}/$disclosures"))
    assert agency.organization not in log and "QuestionnaireResponse" not in log


async def test_a_child_whose_guardian_must_not_be_told(world: World) -> None:
    """Given an abused child whose guardian must not be contacted, when the hospital refers and reports, then the agency can
    act, and nothing that the service makes of it leads to the guardian: no card, no call that is proposed, no line of a log."""
    # Given: the ward suspects the guardian.
    hospital, agency = world.party("his-a"), world.party("agency-a")
    prohibited = {"coding": [{"system": "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes", "code": "contacting-subject-prohibited"}]}  # fmt: skip
    referred = await abused(
        world,
        request={"orderDetail": [prohibited], "code": {"coding": [{"system": "urn:yuanshe:need", "code": "N13"}]}},
    )
    # Then: the ward is told to report at once, to preserve evidence, and to tell the guardian nothing.
    said = str(referred.answer)
    assert "立即向公安机关报案" in said and "不向疑似加害的监护人透露" in said
    # When: the report is recorded; no consent of the guardian is asked: a lawful basis opens the case.
    name = located(await ask(hospital, report(referred.request)))
    share = await opened(world, referred)
    assert share["for"]["reference"] == referred.patient
    # Then: the agency works, reads no report, and knows that nobody is to be contacted.
    assert not await readable(agency, name)
    filler = await agency.read(share["focus"]["reference"])
    assert "contacting-subject-prohibited" in str(filler)
    done(await agency.put(share, status="in-progress"))
    # And: after the discharge no attempt to reach anybody is proposed.
    done(await discharge(world, referred))
    followed = await follow_ups(agency, referred)
    async with world.as_owner() as connection:
        proposed = await connection.fetchval(
            "SELECT count(*) FROM task_version v WHERE v.snapshot->'follow_up'->>'proposed_at' IS NOT NULL"
        )
    assert followed and proposed == 0
    # And: no card is printed, and the log that could be handed out at home knows neither agency nor report.
    for party in (hospital, agency):
        refused(await party.get(f"{referred.request}/$card"), 422)
    await worker.chain(world.database)
    log = str(await hospital.read(f"{referred.patient}/$disclosures"))
    assert agency.organization not in log and "QuestionnaireResponse" not in log and "legal-duty" not in log
    # And: neither side's messages or timelines hold a word of the report; the crisis is stood down after plan and report.
    seen = [await party.get(f"{referred.request}/$timeline") for party in (hospital, agency)]
    seen += [await party.get("Communication") for party in (hospital, agency)]
    assert not any(secret in str(each) for each in seen for secret in SECRET)
    done(await hospital.post("Communication", crisis("safety-planned", referred.request)))
    done(await hospital.post("Communication", crisis("stood-down", referred.request)))
    done(
        await agency.post(
            "Communication", message("note", f"Task/{share['id']}", payload=[{"contentString": "已安置"}])
        )
    )
