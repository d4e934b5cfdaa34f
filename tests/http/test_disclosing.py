"""Who saw what about a person, the whole number, conflicts of interest, diagnoses, and what a volunteer is told."""

from typing import Any

import pytest

from adapters import worker
from service.access import flow as access
from service.access.model import NewClient, operator
from service.values import Id, utc_now
from tests.http.loop import later, sweep
from tests.http.test_break_glass import broken, share_of
from tests.http.test_consent import ACT_REASON, basis, form, waiting
from tests.http.test_consent_limits import SUSPECT, denied
from tests.http.world import BASE, CITIZEN, Answered, Party, Referred, World, citizen_number, phq9, reason

NUMBER = citizen_number(77)
KNOWN = {"identifier": [{"system": CITIZEN, "value": NUMBER}, {"system": "urn:his-a:patient", "value": "ZY-77"}]}


def parts(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The parameters of one name, each with its parts by name."""
    return [
        {p["name"]: next(v for k, v in p.items() if k.startswith("value")) for p in each["part"]}
        for each in answer.get("parameter", ())
        if each["name"] == name
    ]


async def chained(world: World) -> None:
    """Let the audit's lines get their places, as the worker's job does."""
    async with world.database.transaction(worker.CLOCK.scope) as session:
        while await access.chain(session, session.began):
            pass


def asked(**values: str) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": n, "valueString": v} for n, v in values.items()]}


# ---- the whole number --------------------------------------------------------------------------------------------------


async def test_the_number_is_masked_wherever_an_agency_reads_and_shown_whole_for_a_reason(world: World) -> None:
    mother = {"resourceType": "RelatedPerson", "patient": {"reference": "PATIENT"}, "name": [{"text": "王某"}],
              "identifier": [{"system": CITIZEN, "value": citizen_number(78)}]}  # fmt: skip
    paper = {"resourceType": "DocumentReference", "status": "current", "subject": {"reference": "PATIENT"},
             "description": f"身份证 {NUMBER} 复印件", "content": [{"attachment": {"title": NUMBER}}]}  # fmt: skip
    note = {"note": [{"text": f"本人 {NUMBER}，请家访"}]}
    referred = await waiting(world, patient=KNOWN, extra=[mother, paper], request=note)
    assert (await world.party("his-a").post("Consent", await form(world, referred))).status == 201
    agency = world.party("agency-a")
    person = await agency.read(referred.patient)
    assert person["identifier"] == [{"system": CITIZEN, "value": "520502********" + NUMBER[-4:]}]
    whole = repr((await agency.get(f"{referred.patient}/$everything"), await agency.read(referred.request)))
    assert "复印件" in whole and "家访" in whole and NUMBER not in whole and citizen_number(78) not in whole

    for without in (asked(), asked(reason=" ")):
        assert (await agency.post(f"{referred.patient}/$reveal", without)).status == 422
    shown = await agency.post(f"{referred.patient}/$reveal", asked(reason="代办医保报销"))
    assert shown.status == 200 and shown["parameter"][0]["valueIdentifier"] == {"system": CITIZEN, "value": NUMBER}
    assert shown.headers["cache-control"] == "no-store"
    actions, _ = await world.timeline(referred)
    assert actions[-1] == "reveal"
    for party in ("agency-b", "his-a"):
        assert (await world.party(party).post(f"{referred.patient}/$reveal", asked(reason="x"))).status in (403, 404)


async def test_no_number_is_revealed_before_disclosure(world: World) -> None:
    referred = await waiting(world, patient=KNOWN)
    assert (await world.party("agency-a").post(f"{referred.patient}/$reveal", asked(reason="代办"))).status == 404


# ---- diagnoses ---------------------------------------------------------------------------------------------------------

ICD10 = "http://hl7.org/fhir/sid/icd-10"


def condition(code: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "code": code, "subject": {"reference": "PATIENT"}, "note": [{"text": "左侧大脑中动脉"}]} | more  # fmt: skip


@pytest.mark.parametrize(
    ("code", "more", "shown"),
    [
        ({"coding": [{"system": ICD10, "code": "I63.9", "display": "脑梗死"}], "text": "脑梗死"}, {}, "循环系统疾病"),
        ({"text": "脑梗死"}, {}, "诊断"),
        ({"coding": [{"system": "http://snomed.info/sct", "code": "432504007"}], "text": "脑梗死"}, {}, "诊断"),
    ],
)
async def test_a_diagnosis_is_read_as_its_group_unless_the_hospital_says_it_is_necessary(
    world: World, code: dict[str, Any], more: dict[str, Any], shown: str
) -> None:
    necessary = {"extension": [{"url": "urn:yuanshe:necessary", "valueBoolean": True}]}
    referred = await waiting(world, extra=[condition(code), condition(code, **necessary)])
    assert (await world.party("his-a").post("Consent", await form(world, referred))).status == 201
    first, second = (e["response"]["location"].split("/_history")[0] for e in referred.answer["entry"][3:5])
    agency = world.party("agency-a")
    read = await agency.read(first)
    assert shown in repr(read["code"])
    for word in ("脑梗死", "I63", "432504007", "大脑"):
        assert word not in repr(read), word
    assert (await agency.read(second))["code"] == code
    assert (await world.party("his-a").read(first))["code"] == code


async def test_a_need_that_is_coded_as_a_condition_is_read_as_it_is(world: World) -> None:
    code = {"coding": [{"system": ICD10, "code": "Z60.2", "display": "独居"}]}
    referred = await waiting(world, extra=[condition(code)])
    assert (await world.party("his-a").post("Consent", await form(world, referred))).status == 201
    place = referred.answer["entry"][3]["response"]["location"].split("/_history")[0]
    assert (await world.party("agency-a").read(place))["code"] == code


# ---- the log -----------------------------------------------------------------------------------------------------------


async def test_who_saw_what_about_a_person_is_told_to_their_hospital(world: World) -> None:
    referred = await waiting(world, patient=KNOWN, extra=[phq9(0)])
    hospital, agency = world.party("his-a"), world.party("agency-a")
    made = await hospital.post("Consent", await form(world, referred, provision=denied("documents")))
    await agency.read(referred.patient)
    await agency.search(f"Observation?patient={referred.patient}")
    await agency.post(f"{referred.patient}/$reveal", asked(reason="代办医保报销"))
    assert (await hospital.put(await hospital.read(f"Consent/{made['id']}"), status="inactive")).status == 200
    assert (await agency.get(referred.patient)).status == 404
    await chained(world)
    log = await hospital.read(f"{referred.patient}/$disclosures")
    (opening,) = parts(log, "disclosure")
    assert opening["agency"]["reference"] == world.organizations["agency-a"]
    assert opening["basis"]["code"] == "consent" and opening["without"]["code"] == "documents"
    assert opening["since"] < opening["until"]
    seen = {(e["who"]["reference"], e["role"], e["how"], e.get("what")) for e in parts(log, "read")}
    org = world.organizations["agency-a"]
    assert {
        (org, "agency", "read", "Patient"),
        (org, "agency", "search", "Observation"),
        (org, "agency", "reveal", "Patient"),
    } <= seen
    assert [e["who"]["reference"] for e in parts(log, "reveal")] == [org]
    assert "代办" not in repr(log) and "陈素芬" not in repr(log)
    first = await hospital.read(f"{referred.patient}/$disclosures?_count=1")
    second = await hospital.read(
        f"{referred.patient}/$disclosures?_count=1&before={first['parameter'][-1]['valueInteger']}"
    )
    assert len(parts(first, "read")) == len(parts(second, "read")) == 1 and parts(first, "read") != parts(
        second, "read"
    )
    for party, status in (("agency-a", 403), ("his-b", 404), ("auditor", 403)):
        assert (await world.party(party).get(f"{referred.patient}/$disclosures")).status == status, party


@pytest.mark.parametrize("need", ["N12", "N05"])
async def test_what_is_sealed_leaves_no_sign_in_the_log(world: World, need: str) -> None:
    open_one = await world.refer("N06", mrn="ZY-5")
    await world.accepted(open_one, "agency-b", consent=False)
    await world.party("his-a").post("Consent", await form(world, open_one, "agency-b"))
    await world.party("agency-b").read(open_one.patient)
    sealed = await world.refer(need, mrn="ZY-5")
    await world.accepted(sealed, consent=False)
    assert (await world.party("platform").post("Provenance", basis(world, sealed))).status == 201
    await world.party("agency-a").read(sealed.patient)
    await chained(world)
    for party in ("his-a", "platform"):
        log = await world.party(party).read(f"{sealed.patient}/$disclosures")
        assert [e["agency"]["reference"] for e in parts(log, "disclosure")] == [world.organizations["agency-b"]]
        assert world.organizations["agency-a"] not in repr(log) and "legal-duty" not in repr(log)
        assert (sealed.id or "-") not in repr(log)


async def test_nothing_of_the_log_can_be_deleted_by_the_service(world: World) -> None:
    async with world.as_owner() as connection:
        for table in ("disclosure", "reveal", "audit", "audit_patient", "consent"):
            assert not await connection.fetchval("SELECT has_table_privilege('yuanshe_app', $1, 'DELETE')", table), (
                table
            )


# ---- conflicts of interest ---------------------------------------------------------------------------------------------


async def workers(world: World, agency: str = "agency-a") -> list[str]:
    async with world.as_owner() as connection:
        rows = await connection.fetch(
            "SELECT id FROM worker WHERE agency_id = $1 AND grade IS NOT NULL ORDER BY duty DESC, id",
            world.organizations[agency].split("/")[1],
        )
    return [str(row["id"]) for row in rows]


async def declares(world: World, worker: str, **who: str) -> Answered:
    return await world.party("agency-a").post(f"PractitionerRole/{worker}/$declare-conflict", asked(**who))


@pytest.mark.parametrize(
    "who",
    [{"number": NUMBER}, {"phone": "+86 138-0000-0001"}, {"name": "陈 素芬", "birthDate": "1952-03-15"}, {"phone": "13900001234"}],
)  # fmt: skip
async def test_a_worker_who_declared_a_conflict_is_shown_nobody_and_another_is_named(
    world: World, who: dict[str, str]
) -> None:
    """By the person's number, telephone, name with birth date; or by those of somebody around them, the suspect too."""
    first, other, *_ = await workers(world)
    assert (await declares(world, first, **who)).status == 204
    born = {"birthDate": "1952-03-15", "identifier": [{"system": CITIZEN, "value": citizen_number(77)}]}
    referred = await world.refer("N05", patient=born, extra=[{"resourceType": "RelatedPerson", "patient": {"reference": "PATIENT"}} | SUSPECT])  # fmt: skip
    assert (await world.party("his-a").post("Consent", await form(world, referred))).status == 201
    agency = world.party("agency-a")
    offer = await world.offer(referred)
    taken = await agency.put(offer, status="accepted", owner={"reference": f"PractitionerRole/{first}"})
    assert taken.status == 200 and taken["for"] == offer["for"], "accepted, and nobody shown"
    assert (await agency.get(referred.patient)).status == 404
    actions, step = await world.timeline(referred)
    assert "conflict" in actions and step is not None
    assert step["what"] == "name-worker" and step["who"]["reference"] == world.organizations["agency-a"]
    again = await agency.put(taken, status="in-progress")
    assert again.status == 422 and again["issue"][0]["expression"] == ["Task.owner"]
    assert (await agency.get(referred.patient)).status == 404
    named = await agency.put(
        await agency.read(f"Task/{offer['id']}"), owner={"reference": f"PractitionerRole/{other}"}
    )  # fmt: skip
    assert named.status == 200 and named["for"]["reference"] == referred.patient
    assert (await agency.put(named, status="in-progress")).status == 200
    back = await agency.put(
        await agency.read(f"Task/{offer['id']}"), owner={"reference": f"PractitionerRole/{first}"}
    )  # fmt: skip
    assert back.status == 200 and back["for"] == offer["for"], "given to the other again, identity is withheld again"
    assert (await agency.get(referred.patient)).status == 404


async def test_a_start_with_another_worker_is_free_of_the_conflict(world: World) -> None:
    first, other, *_ = await workers(world)
    await declares(world, first, phone="13800000001")
    referred = await world.refer("N05")
    await world.party("his-a").post("Consent", await form(world, referred))
    agency = world.party("agency-a")
    taken = await agency.put(
        await world.offer(referred), status="accepted", owner={"reference": f"PractitionerRole/{first}"}
    )  # fmt: skip
    begun = await agency.put(taken, status="in-progress", owner={"reference": f"PractitionerRole/{other}"})
    assert begun.status == 200 and begun["for"]["reference"] == referred.patient


async def test_a_conflict_may_end_the_share(world: World) -> None:
    first, *_ = await workers(world)
    await declares(world, first, phone="13800000001")
    referred = await world.refer("N05")
    agency = world.party("agency-a")
    taken = await agency.put(
        await world.offer(referred), status="accepted", owner={"reference": f"PractitionerRole/{first}"}
    )  # fmt: skip
    back = await agency.put(taken, status="cancelled", statusReason=reason("conflict-of-interest"))
    assert back.status == 200 and back["businessStatus"]["coding"][0]["code"] == "returned"


async def test_a_declaration_tells_nobody_who_an_offer_is_about(world: World) -> None:
    """Made after the referral was placed it does not count: guessing by declaring finds nothing out."""
    first, *_ = await workers(world)
    referred = await world.refer("N05")
    assert (await declares(world, first, phone="13800000001")).status == 204
    await world.party("his-a").post("Consent", await form(world, referred))
    taken = await world.party("agency-a").put(
        await world.offer(referred), status="accepted", owner={"reference": f"PractitionerRole/{first}"}
    )
    assert taken["for"]["reference"] == referred.patient
    async with world.as_owner() as connection:
        row = await connection.fetchrow("SELECT * FROM conflict")
    assert "13800000001" not in repr(row)


async def test_what_identifies_nobody_is_no_declaration(world: World) -> None:
    first, *_ = await workers(world)
    for who, status in (
        ({"name": "陈素芬"}, 422),
        ({"birthDate": "1952-03-15"}, 422),
        ({}, 422),
        ({"phone": "1"}, 422),
    ):
        assert (await declares(world, first, **who)).status == status, who
    answer = await world.party("agency-b").post(
        f"PractitionerRole/{first}/$declare-conflict", asked(phone="13800000001")
    )
    assert answer.status == 404


# ---- volunteers --------------------------------------------------------------------------------------------------------


async def volunteer(world: World, agency: str = "agency-a", scope: str = "system/*.cruds") -> tuple[Party, str]:
    """A volunteers' program of an agency, and its id."""
    organization = Id(world.organizations[agency].split("/")[1])
    jwks = {"keys": [{k: v for k, v in world.said["clients"][agency]["private_jwk"].items() if k in ("kty", "kid", "alg", "crv", "x", "y", "n", "e", "use")}]}  # fmt: skip
    async with world.database.transaction(operator().scope) as session:
        made = await access.add_client(
            session, operator(), NewClient(organization, "volunteer", "志愿者", scope, jwks=jwks), utc_now()
        )
        issued = await access.issue_lasting(session, operator(), made, utc_now())
    return Party(world.http, issued.token, world.organizations[agency]), str(made.id)


def visit(volunteer: str, at: Any = None) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [
        {"name": "volunteer", "valueString": volunteer}, {"name": "for", "valueCode": "companionship"},
        {"name": "at", "valueDateTime": (at or later(days=2)).isoformat()}]}  # fmt: skip


async def agreed(world: World, referred: Referred, **changes: Any) -> Answered:
    purpose = [{"system": "urn:yuanshe:purpose", "code": "volunteer"}]
    made = await world.party("his-a").post(
        "Consent", await form(world, referred, provision={"purpose": purpose}, **changes)
    )
    assert made.status == 201, made
    return made


async def at_work(world: World, **values: Any) -> tuple[Referred, dict[str, Any]]:
    referred = await world.refer("N05", **values)
    taken = await world.accepted(referred)
    begun = await world.party("agency-a").put(taken, status="in-progress")
    assert begun.status == 200, begun
    return referred, begun


async def test_a_volunteer_reads_a_given_name_an_address_and_the_task_and_nothing_else(world: World) -> None:
    party, id = await volunteer(world)
    referred, share = await at_work(world, patient=KNOWN, extra=[phq9(0), condition({"text": "骨折"})])
    await agreed(world, referred)
    made = await world.party("agency-a").post(f"Task/{share['id']}/$volunteer", visit(id))
    assert made.status == 201, made
    told = await party.read("Task/$visits")
    (one,) = parts(told, "visit")
    assert set(one) == {"id", "name", "address", "at", "for", "worker"}
    assert (one["name"], one["address"]) == ("素芬", "示例街道 1 号")
    assert one["for"]["coding"][0]["code"] == "companionship" and one["worker"]["reference"].startswith(
        "PractitionerRole/"
    )
    for secret in (
        "陈",
        "13800000001",
        "1952",
        NUMBER,
        NUMBER[:6],
        "骨折",
        referred.id or "-",
        referred.patient.split("/")[1],
    ):
        assert secret not in repr(told), secret
    places = [referred.patient, referred.request, referred.stay, f"Task/{share['id']}", share["focus"]["reference"]]
    for place in (*places, *(f"{place}/_history" for place in places), f"{referred.patient}/$everything", "Task", "Patient",
                  "Observation", "Condition", "Consent", "$export", f"{referred.patient}/$disclosures", "Organization",
                  f"{referred.request}/$timeline", "Subscription", "Task/_history", "CodeSystem"):  # fmt: skip
        answer = await party.get(place)
        assert answer.status in (403, 404), (place, answer)
        assert "陈素芬" not in repr(answer)
    for path, body in (("Communication", message_to(share)), ("Subscription", {})):
        assert (await party.post(path, body)).status in (403, 404), path
    for path in ("quality/readmissions", "quality/orphans", "quality/time", "events"):
        plain = await world.http.get(f"{BASE}/{path}", headers={"authorization": f"Bearer {party._token}"})
        assert plain.status_code == 403, (path, plain.text)
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": referred.patient}}],
    }
    answer = await party.post("", batch)
    assert answer["entry"][0]["response"]["status"].startswith("403") and "陈素芬" not in repr(answer)
    assert (await party.put(share, status="on-hold")).status in (403, 404)


def message_to(share: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Communication", "status": "completed", "about": [{"reference": f"Task/{share['id']}"}]}


async def test_no_volunteer_without_the_persons_own_consent(world: World) -> None:
    _, id = await volunteer(world)
    referred, share = await at_work(world)
    agency = world.party("agency-a")
    refused = await agency.post(f"Task/{share['id']}/$volunteer", visit(id))
    assert refused.status == 409, refused
    care = [{"system": ACT_REASON, "code": "TREAT"}]
    await world.party("his-a").post("Consent", await form(world, referred, provision={"purpose": care}))
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 409
    no = [{"system": "urn:yuanshe:purpose", "code": "volunteer"}]
    await world.party("his-a").post("Consent", await form(world, referred, provision={"type": "deny", "purpose": no}))
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 409
    await agreed(world, referred)
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 201


async def test_what_ends_the_consent_or_the_share_ends_the_visit(world: World) -> None:
    party, id = await volunteer(world)
    referred, share = await at_work(world)
    hospital, agency = world.party("his-a"), world.party("agency-a")
    consent = await agreed(world, referred)
    made = await agency.post(f"Task/{share['id']}/$volunteer", visit(id))
    assert len(parts(await party.read("Task/$visits"), "visit")) == 1
    assert (await hospital.put(await hospital.read(f"Consent/{consent['id']}"), status="inactive")).status == 200
    assert parts(await party.read("Task/$visits"), "visit") == []
    await agreed(world, referred)
    assert len(parts(await party.read("Task/$visits"), "visit")) == 1
    failed = await agency.put(await agency.read(f"Task/{share['id']}"), status="failed", statusReason=reason("moved", "迁走", "urn:yuanshe:closure-reason"))  # fmt: skip
    assert failed.status == 200 and made.status == 201
    assert parts(await party.read("Task/$visits"), "visit") == []


async def test_a_volunteer_is_told_no_more_of_whom_nobody_may_contact_or_who_has_died(world: World) -> None:
    """Asked anew each time, as a notice is at the moment of sending, whatever was allowed when the visit was matched."""
    party, id = await volunteer(world)
    hospital, agency = world.party("his-a"), world.party("agency-a")

    async def told() -> int:
        return len(parts(await party.read("Task/$visits"), "visit"))

    for news in ("prohibited", "supervised", "died"):
        referred, share = await at_work(world)
        await agreed(world, referred)
        assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 201
        assert await told() == 1
        if news == "died":
            person = await hospital.read(referred.patient)
            assert (await hospital.put(person, deceasedBoolean=True)).status == 200
        else:
            rules = {"resourceType": "Parameters", "parameter": [{"name": news, "valueBoolean": True}]}
            assert (await hospital.post(f"{referred.patient}/$safe-contact", rules)).status == 200
        assert await told() == 0, news


async def test_a_visit_that_was_matched_within_a_merge_ends_with_it(world: World) -> None:
    """Given a merge, and a visit that was agreed to since. When the merge is undone, then the visit is somebody else's."""
    party, id = await volunteer(world)
    hospital, agency = world.party("his-a"), world.party("agency-a")
    stays, (goes, share) = await world.refer("N01"), await at_work(world)
    link = [{"other": {"reference": stays.patient}, "type": "replaced-by"}]
    assert (await hospital.put(await hospital.read(goes.patient), active=False, link=link)).status == 200
    purpose = [{"system": "urn:yuanshe:purpose", "code": "volunteer"}]
    said = world.consent_form(stays.patient, goes.request, "agency-a")
    consent = said | {"provision": said["provision"] | {"purpose": purpose}}
    assert (await hospital.post("Consent", consent)).status == 201
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 201
    assert len(parts(await party.read("Task/$visits"), "visit")) == 1
    why = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "合并有误"}]}
    assert (await hospital.post(f"{goes.patient}/$undo-merge", why)).status == 200
    assert parts(await party.read("Task/$visits"), "visit") == []


async def test_a_visit_is_called_off(world: World) -> None:
    party, id = await volunteer(world)
    referred, share = await at_work(world)
    await agreed(world, referred)
    agency = world.party("agency-a")
    made = await agency.post(f"Task/{share['id']}/$volunteer", visit(id))
    off = {
        "resourceType": "Parameters",
        "parameter": [{"name": "callOff", "valueString": made["parameter"][0]["valueId"]}],
    }
    assert (await world.party("agency-b").post(f"Task/{share['id']}/$volunteer", off)).status in (403, 404)
    assert (await agency.post(f"Task/{share['id']}/$volunteer", off)).status == 204
    assert parts(await party.read("Task/$visits"), "visit") == []
    assert (await agency.post(f"Task/{share['id']}/$volunteer", off)).status == 404


async def test_a_visit_is_its_own_volunteers_alone(world: World) -> None:
    _, id = await volunteer(world)
    stranger, strange = await volunteer(world, "agency-b")
    referred, share = await at_work(world)
    await agreed(world, referred)
    agency = world.party("agency-a")
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(strange))).status == 404
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 201
    assert parts(await stranger.read("Task/$visits"), "visit") == []
    assert (await agency.get("Task/$visits")).status == 403


async def test_no_volunteer_goes_where_a_supervisor_decides_each_step_nor_behind_a_broken_glass(world: World) -> None:
    _, id = await volunteer(world)
    guarded = await world.refer("N12")
    share = await world.accepted(guarded)
    await agreed(world, guarded)
    begun = await world.party("agency-a").put(share, status="in-progress")
    assert (await world.party("agency-a").post(f"Task/{begun['id']}/$volunteer", visit(id))).status == 409
    glass = await waiting(world)
    await agreed(world, glass)
    await broken(world, glass)
    own = await share_of(world, glass)
    worker = (await workers(world))[0]
    await world.party("agency-a").put(own, owner={"reference": f"PractitionerRole/{worker}"})
    party, other = await volunteer(world, scope="system/Task.r")
    await world.party("agency-a").post(f"Task/{own['id']}/$volunteer", visit(other))
    assert parts(await party.read("Task/$visits"), "visit") == []


async def test_a_consent_that_cannot_be_followed_holds_up_no_other(world: World) -> None:
    """Else nobody's identity would be withheld again at the end of theirs."""

    async def until_tomorrow() -> tuple[Referred, Answered]:
        referred = await world.refer("N05")
        await world.accepted(referred, consent=False)
        provision = {"period": {"end": later(days=1).isoformat()}}
        made = await world.party("his-a").post("Consent", await form(world, referred, provision=provision))
        assert made.status == 201, made
        return referred, made

    (_, broken), (other, _) = await until_tomorrow(), await until_tomorrow()
    agency = world.party("agency-a")
    assert (await agency.get(other.patient)).status == 200
    async with world.as_owner() as owner:
        await owner.execute("UPDATE consent SET referrals = ARRAY[gen_random_uuid()] WHERE id = $1", broken["id"])
    await sweep(world, "consents", later(days=1, minutes=1))
    assert (await agency.get(other.patient)).status == 404
