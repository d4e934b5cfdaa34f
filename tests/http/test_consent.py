"""Consent and lawful basis: who must be named by whom, in what form, for how long, and what becomes of it when it ends."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from service.access.model import clock_actor
from service.practice import PLATFORM
from service.referrals import consent_flow
from tests.http.submitting import expressions, put_in, refused, statuses
from tests.http.world import CITIZEN, Answered, Referred, World, citizen_number, output, reason, submission

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"


async def disclosed(world: World, referred: Referred, agency: str = "agency-a") -> bool:
    """Whether the agency can read the person; the share and its request must say the same."""
    party = world.party(agency)
    seen = (await party.get(referred.patient)).status == 200
    parent = (await world.parent(referred, "platform"))["id"]
    for share in await party.search(f"Task?part-of=Task/{parent}"):
        if share["status"] not in ("rejected", "cancelled"):
            assert (share["for"]["reference"] == referred.patient) == seen
            assert ((await party.read(share["focus"]["reference"]))["subject"]["reference"] == referred.patient) == seen
            assert (share["businessStatus"]["coding"][0]["code"] == "awaiting-consent") != seen
    assert ((await party.get(referred.request)).status == 200) == seen
    return seen


async def form(world: World, referred: Referred, *agencies: str, **changes: Any) -> dict[str, Any]:
    made = world.consent_form(referred.patient, referred.request, *(agencies or ("agency-a",)))
    provision = made["provision"] | changes.pop("provision", {})
    return {key: value for key, value in (made | changes | {"provision": provision}).items() if value is not None}


async def waiting(world: World, **values: Any) -> Referred:
    """A referral that agency-a has accepted, with identity withheld."""
    referred = await world.refer("N05", **values)
    await world.accepted(referred, consent=False)
    assert not await disclosed(world, referred)
    return referred


async def test_a_consent_that_names_the_agency_opens_identity_at_once(world: World) -> None:
    referred = await waiting(world)
    made = await world.party("his-a").post("Consent", await form(world, referred))
    assert made.status == 201
    assert await disclosed(world, referred)


async def test_consent_before_acceptance_opens_nothing_until_the_agency_accepts(world: World) -> None:
    referred = await world.refer("N05")
    assert (await world.party("his-a").post("Consent", await form(world, referred))).status == 201
    offer = await world.offer(referred)
    assert offer["for"]["reference"] != referred.patient
    agency = world.party("agency-a")
    assert (await agency.get(referred.patient)).status == 404
    taken = await agency.put(offer, status="accepted")
    assert taken.status == 200 and taken["businessStatus"]["coding"][0]["code"] == "accepted"
    assert taken["for"]["reference"] == referred.patient
    assert await disclosed(world, referred)


async def test_consent_may_come_with_the_submission(world: World) -> None:
    consent = world.consent_form("PATIENT", None, "agency-a") | {"performer": [{"reference": "PATIENT"}]}
    consent["provision"]["data"] = [{"meaning": "related", "reference": {"reference": "REQUEST"}}]
    referred = await world.refer("N05", extra=[consent])
    assert statuses(referred.answer) == ["201"] * 4
    await world.accepted(referred, consent=False)
    assert await disclosed(world, referred)


async def test_consent_for_one_agency_opens_to_no_other(world: World) -> None:
    referred = await waiting(world)
    assert (await world.party("his-a").post("Consent", await form(world, referred, "agency-b"))).status == 201
    assert not await disclosed(world, referred)
    assert (await world.party("agency-b").get(referred.patient)).status == 404


async def test_the_next_agency_is_not_covered_by_a_consent_for_the_first(world: World) -> None:
    referred = await world.refer("N05")
    assert (await world.party("his-a").post("Consent", await form(world, referred, "agency-a"))).status == 201
    declined = await world.party("agency-a").put(
        await world.offer(referred), status="rejected", statusReason=reason("no-capacity")
    )
    assert declined.status == 200
    await world.accepted(referred, "agency-b", consent=False)
    assert not await disclosed(world, referred, "agency-b")
    assert (await world.party("agency-a").get(referred.patient)).status == 404
    assert (await world.party("his-a").post("Consent", await form(world, referred, "agency-b"))).status == 201
    assert await disclosed(world, referred, "agency-b")
    assert (await world.party("agency-a").get(referred.patient)).status == 404


async def test_data_names_the_referral_and_without_it_every_one_of_that_patient(world: World) -> None:
    hospital = world.party("his-a")
    first, second = await waiting(world, mrn="ZY-1"), await world.refer("N01", mrn="ZY-1")
    assert (await hospital.post("Consent", await form(world, first))).status == 201
    taken = await world.accepted(second, consent=False)
    assert taken["for"]["reference"] != second.patient
    assert (await world.party("agency-a").get(second.request)).status == 404
    whole = await form(world, second)
    del whole["provision"]["data"]
    assert (await hospital.post("Consent", whole)).status == 201
    assert (await world.party("agency-a").read(f"Task/{taken['id']}"))["for"]["reference"] == second.patient


async def test_a_consent_of_one_hospital_opens_nothing_of_anothers(world: World) -> None:
    referred = await waiting(world)
    for party in ("his-b", "agency-a", "platform"):
        answer = await world.party(party).post("Consent", await form(world, referred))
        assert answer.status in (403, 404, 422), answer
        assert not await disclosed(world, referred)
    other = await world.refer("N05", by="his-b")
    mixed = await form(world, other)
    mixed["provision"]["data"][0]["reference"]["reference"] = referred.request
    answer = await world.party("his-b").post("Consent", mixed | {"performer": [{"reference": other.patient}]})
    assert answer.status in (404, 422)
    assert not await disclosed(world, referred)


@pytest.mark.parametrize(
    "change",
    [
        {"category": [{"coding": [{"system": ACT_CODE, "code": "ICOL"}]}]},
        {"category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}]},
        {"category": [{"coding": [{"system": "urn:other", "code": "IDSCL"}]}]},
        {"scope": {"coding": [{"system": SCOPES, "code": "treatment"}]}},
        {"scope": {"coding": [{"system": SCOPES, "code": "research"}]}},
        {"provision": {"type": "deny"}},
        {"provision": {"purpose": [{"system": ACT_REASON, "code": "HRESCH"}]}},
        {"provision": {"purpose": [{"system": ACT_REASON, "code": "HMARKT"}]}},
        {"status": "draft"},
        {"status": "proposed"},
        {"status": "rejected"},
        {"status": "inactive"},
        {"provision": {"period": {"start": "2020-01-01", "end": "2020-12-31"}}},
        {"provision": {"period": {"start": "2099-01-01"}}},
    ],
)
async def test_what_is_not_consent_to_disclose_now_is_kept_and_opens_nothing(
    world: World, change: dict[str, Any]
) -> None:
    referred = await waiting(world)
    made = await world.party("his-a").post("Consent", await form(world, referred, **change))
    assert made.status == 201, made
    assert not await disclosed(world, referred)


@pytest.mark.parametrize("purpose", ["TREAT", "CAREMGT", "COC"])
async def test_any_purpose_of_treatment_management_or_coordination_of_care_opens(world: World, purpose: str) -> None:
    referred = await waiting(world)
    provision = {"purpose": [{"system": ACT_REASON, "code": "HMARKT"}, {"system": ACT_REASON, "code": purpose}]}
    made = await world.party("his-a").post("Consent", await form(world, referred, provision=provision))
    assert made.status == 201 and await disclosed(world, referred)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"dateTime": None}, "dateTime"),
        ({"organization": None}, "organization"),
        ({"sourceAttachment": None}, "source"),
        ({"policyRule": None}, "policyRule"),
        ({"performer": None}, "performer"),
        ({"performer": [{"display": "本人"}]}, "performer"),
        ({"performer": [{"reference": "Practitioner/0190a000-0000-7000-8000-00000000abcd"}]}, "performer"),
        ({"performer": [{"reference": "Patient/0190a000-0000-7000-8000-00000000abcd"}]}, "performer[0]"),
        ({"provision": {"actor": []}}, "provision.actor"),
        ({"provision": {"type": None}}, "provision.type"),
        ({"provision": {"provision": [{"type": "deny"}]}}, "provision.provision"),
        ({"provision": {"data": [{"meaning": "related", "reference": {"reference": "Task/x"}}]}}, "provision.data[0].reference.reference"),
        ({"category": [{"coding": [{"system": ACT_CODE, "code": code} for code in ("IDSCL", "ICOL")]}]}, "category"),
        ({"verification": [{"verified": False}]}, "verification"),
        ({"patient": {"reference": "Patient/0190a000-0000-7000-8000-00000000abcd"}, "performer": [{"reference": "RelatedPerson/1"}]}, "patient"),
    ],
)  # fmt: skip
async def test_a_consent_that_lacks_what_makes_it_one_is_refused_by_name(
    world: World, change: dict[str, Any], where: str
) -> None:
    referred = await waiting(world)
    sent = await form(world, referred, **change)
    sent["provision"] = {key: value for key, value in sent["provision"].items() if value is not None}
    answer = await refused(world, world.party("his-a"), "Consent", sent, 404 if where == "patient" else 422)
    assert expressions(answer) == [f"Consent.{where}"]
    assert not await disclosed(world, referred)


async def test_only_recipients_are_opened_to(world: World) -> None:
    referred = await waiting(world)
    sent = await form(world, referred)
    sent["provision"]["actor"][0]["role"]["coding"][0]["code"] = "CST"
    answer = await refused(world, world.party("his-a"), "Consent", sent, 422)
    assert expressions(answer) == ["Consent.provision.actor"]


async def test_spoken_consent_carries_its_verification_in_place_of_a_paper(world: World) -> None:
    referred = await waiting(world)
    spoken = await form(
        world,
        referred,
        sourceAttachment=None,
        verification=[
            {"verified": True, "verifiedWith": {"reference": referred.patient}, "verificationDate": "2026-03-04"}
        ],
    )
    assert (await world.party("his-a").post("Consent", spoken)).status == 201
    assert await disclosed(world, referred)


async def test_a_child_under_14_does_not_sign(world: World) -> None:
    today = datetime.now(UTC).date()
    child, older = (
        {"birthDate": born.isoformat()}
        for born in (today.replace(year=today.year - 14, day=1) + timedelta(days=40), date(today.year - 15, 1, 1))
    )
    referred = await waiting(world, patient=child)
    hospital = world.party("his-a")
    answer = await refused(world, hospital, "Consent", await form(world, referred), 422)
    assert expressions(answer) == ["Consent.performer"]
    both = [{"reference": referred.patient}, {"reference": "RelatedPerson/1"}]
    await refused(world, hospital, "Consent", await form(world, referred, performer=both), 422)
    parent = await hospital.post(
        "RelatedPerson",
        {
            "resourceType": "RelatedPerson",
            "patient": {"reference": referred.patient},
            "relationship": [{"text": "母亲"}],
        },
    )
    assert parent.status == 201
    signed = await form(world, referred, performer=[{"reference": f"RelatedPerson/{parent['id']}"}])
    assert (await hospital.post("Consent", signed)).status == 201
    assert await disclosed(world, referred)
    grown = await waiting(world, patient=older)
    assert (await hospital.post("Consent", await form(world, grown))).status == 201
    assert await disclosed(world, grown)


async def test_a_withdrawn_consent_hides_the_person_again_and_own_work_stays(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    condition = {"resourceType": "Condition", "code": {"text": "骨折"}, "subject": {"reference": "PATIENT"}}
    referred = await world.refer("N05", extra=[condition])
    offer = await world.offer(referred)
    kept = referred.answer["entry"][3]["response"]["location"].split("/_history")[0]
    share = await world.accepted(referred, consent=False)
    consent = await hospital.post("Consent", await form(world, referred))
    share = await agency.put(await agency.read(f"Task/{share['id']}"), status="in-progress")
    assert share.status == 200
    for reference in (referred.stay, referred.request, kept):
        assert (await agency.get(reference)).status == 200, reference
    work = await agency.post(
        "Procedure",
        {
            "resourceType": "Procedure",
            "status": "completed",
            "code": {"coding": [{"system": "urn:yuanshe:service-type", "code": "discharge-planning"}]},
            "subject": {"reference": referred.patient},
            "basedOn": [share["focus"]],
            "performedDateTime": datetime.now(UTC).isoformat(),
        },
    )
    assert work.status == 201, work
    ended = await hospital.put(await hospital.read(f"Consent/{consent['id']}"), status="inactive")
    assert ended.status == 200, ended

    now = await agency.read(f"Task/{share['id']}")
    assert now["for"] == offer["for"]
    assert now["businessStatus"]["coding"][0]["code"] == "awaiting-consent"
    assert int(now["meta"]["versionId"]) > int(share["meta"]["versionId"])
    focus = await agency.read(share["focus"]["reference"])
    assert focus["subject"] == offer["for"] and "basedOn" not in focus
    for reference in (referred.patient, referred.stay, referred.request, kept, f"Consent/{consent['id']}"):
        assert (await agency.get(reference)).status == 404, reference
    assert (await agency.get(offer["for"]["reference"])).status == 200
    assert (await agency.read(f"Procedure/{work['id']}"))["status"] == "completed"
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "obtain-consent"
    blocked = await agency.post(
        "Goal",
        {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "回家"}, "subject": now["for"],
         "basedOn": [now["focus"]]},
    )  # fmt: skip
    assert blocked.status == 422
    again = await hospital.post("Consent", await form(world, referred))
    assert again.status == 201 and await disclosed(world, referred)


async def test_work_may_end_as_consent_withdrawn(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await waiting(world)
    consent = await hospital.post("Consent", await form(world, referred))
    share = (await agency.search("Task?status=accepted"))[0]
    await agency.put(share, status="in-progress")
    await hospital.put(await hospital.read(f"Consent/{consent['id']}"), status="inactive")
    share = await agency.read(f"Task/{share['id']}")
    closing = {"output": [output()], "status": "completed"}
    kept = await agency.put(share, **closing, statusReason=reason("goals-met", system="urn:yuanshe:closure-reason"))
    assert kept.status == 422
    done = await agency.put(
        share, **closing, statusReason=reason("consent-withdrawn", system="urn:yuanshe:closure-reason")
    )
    assert done.status == 200, done


async def test_a_consent_that_is_changed_covers_what_it_says_now_and_no_more(world: World) -> None:
    hospital = world.party("his-a")
    referred = await waiting(world)
    consent = await hospital.post("Consent", await form(world, referred))
    assert await disclosed(world, referred)
    current = await hospital.read(f"Consent/{consent['id']}")
    actor = world.consent_form("", None, "agency-b")["provision"]["actor"]
    assert (await hospital.put(current, provision=current["provision"] | {"actor": actor})).status == 200
    assert not await disclosed(world, referred)
    current = await hospital.read(f"Consent/{consent['id']}")
    assert (await hospital.put(current, provision=(await form(world, referred))["provision"])).status == 200
    assert await disclosed(world, referred)
    other = await world.refer("N01", mrn="ZY-2")
    current = await hospital.read(f"Consent/{consent['id']}")
    moved = await hospital.put(current, patient={"reference": other.patient}, performer=[{"reference": other.patient}])
    assert moved.status == 422
    current = await hospital.read(f"Consent/{consent['id']}")
    treat = [{"coding": [{"system": ACT_CODE, "code": "ICOL"}]}]
    assert (await hospital.put(current, category=treat)).status == 200
    assert not await disclosed(world, referred)


async def test_consent_without_data_covers_a_later_referral_to_an_agency_that_it_names(world: World) -> None:
    first = await waiting(world, mrn="ZY-1")
    whole = await form(world, first)
    del whole["provision"]["data"]
    assert (await world.party("his-a").post("Consent", whole)).status == 201
    later = await world.refer("N01", mrn="ZY-1")
    taken = await world.accepted(later, consent=False)
    assert taken["for"]["reference"] == later.patient
    other = await world.refer("N06", mrn="ZY-1")
    taken = await world.accepted(other, "agency-b", consent=False)
    assert taken["for"]["reference"] != other.patient


async def test_what_one_ground_no_longer_permits_another_may(world: World) -> None:
    hospital = world.party("his-a")
    referred = await waiting(world)
    first = await hospital.post("Consent", await form(world, referred))
    made = await world.party("platform").post("Provenance", basis(world, referred, "ETREAT"))
    assert made.status == 201
    await hospital.put(await hospital.read(f"Consent/{first['id']}"), status="inactive")
    assert await disclosed(world, referred)
    async with world.as_owner() as connection:
        log = await connection.fetch("SELECT basis, closed_at IS NULL AS open FROM disclosure ORDER BY opened_at")
    assert [tuple(row) for row in log] == [("consent", False), ("emergency", True)]


async def test_a_child_who_is_known_by_citizen_number_alone_does_not_sign(world: World) -> None:
    today = datetime.now(UTC).date()
    number = citizen_number(3, birth=f"{today.year - 10}0101")
    child = {"birthDate": None, "identifier": [{"system": CITIZEN, "value": number}]}
    bundle = put_in(submission("N05"), Patient=child)
    referred = Referred(bundle, await world.party("his-a").post("", bundle))
    person = await world.party("agency-a").read((await world.offer(referred))["for"]["reference"])
    assert person["extension"][0]["valueCode"] == "6-13"
    answer = await refused(world, world.party("his-a"), "Consent", await form(world, referred), 422)
    assert expressions(answer) == ["Consent.performer"]


async def test_a_consent_ends_with_its_period(world: World) -> None:
    referred = await waiting(world)
    today = datetime.now(UTC).date()
    period = {"start": (today - timedelta(days=1)).isoformat(), "end": (today + timedelta(days=1)).isoformat()}
    made = await world.party("his-a").post("Consent", await form(world, referred, provision={"period": period}))
    assert made.status == 201 and await disclosed(world, referred)
    assert await as_time_passes(world, datetime.now(UTC) + timedelta(days=1)) == 0
    assert await disclosed(world, referred)
    assert await as_time_passes(world, datetime.now(UTC) + timedelta(days=3)) == 1
    assert not await disclosed(world, referred)
    assert await as_time_passes(world, datetime.now(UTC) + timedelta(days=3)) == 0


async def test_a_consent_begins_with_its_period(world: World) -> None:
    referred = await waiting(world)
    start = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    made = await world.party("his-a").post(
        "Consent", await form(world, referred, provision={"period": {"start": start}})
    )
    assert made.status == 201 and not await disclosed(world, referred)
    assert await as_time_passes(world, datetime.now(UTC) + timedelta(days=3)) == 1
    assert await disclosed(world, referred)


async def as_time_passes(world: World, now: datetime) -> int:
    """The clock's look at consents whose period began or ended; how many consents it followed."""
    clock = clock_actor(PLATFORM)
    async with world.database.transaction(clock.scope) as session:
        return await consent_flow.follow_due(session, clock, now)


async def test_an_agency_reads_the_consents_that_name_it_and_no_others(world: World) -> None:
    """Given a person whom one agency knows, and whom another is asked to protect. Then the first reads its own consent, and by
    no way that there is another, whom that names, for which referral, nor the paper that was signed."""
    hospital, first = world.party("his-a"), world.party("agency-a")
    known = await world.refer("N05", mrn="ZY-7")
    await world.accepted(known)
    sealed = await world.refer("N13", mrn="ZY-7")
    theirs = world.consent_form(known.patient, sealed.request, "agency-b")
    of_both = {"meaning": "related", "reference": {"reference": known.request}}
    provision: Any = theirs["provision"]
    for said in (
        world.consent_form(known.patient, None, "agency-b"),
        theirs | {"provision": provision | {"data": [*provision["data"], of_both]}},
    ):
        made = await hospital.post("Consent", said)
        headers = {"x_security_context": f"Consent/{made['id']}"}
        paper = await hospital.ask("POST", "Binary", b"\x89PNG\r\n\x1a\n" + bytes(64), kind="image/png", **headers)
        assert made.status == 201 and paper.status == 201
        binary = paper.headers["location"].split("/fhir/")[1].split("/_history")[0]
        for path in (f"Consent/{made['id']}", f"Consent/{made['id']}/_history/1", binary):
            assert (await first.get(path)).status == 404, path
            assert (await hospital.get(path)).status == 200, path
    id = known.patient.split("/")[1]
    assert len(await first.search(f"Consent?patient={known.patient}")) == 1
    for query in (f"{known.patient}/$everything", f"Patient?_id={id}&_revinclude=Consent:patient", "Consent/_history"):
        found = str(await first.get(query))
        assert str(sealed.id) not in found and world.organizations["agency-b"] not in found, query


@pytest.mark.parametrize("how", ["related", "encounter"])
async def test_a_document_of_another_referral_is_not_read_with_this_one(world: World, how: str) -> None:
    """Given an agency that knows a person, and a referral of theirs that it must not know of. When the hospital keeps a paper
    that by its context belongs to that one, then the agency finds no sign of it, and whoever is disclosed there reads it."""
    hospital, first = world.party("his-a"), world.party("agency-a")
    known = await world.refer("N05", mrn="ZY-8")
    await world.accepted(known)
    sealed = await world.refer("N01", mrn="ZY-8")
    context = (
        {"related": [{"reference": sealed.request}]}
        if how == "related"
        else {"encounter": [{"reference": sealed.stay}]}
    )
    paper = {
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": known.patient}, "context": context,
        "content": [{"attachment": {"title": "伤情记录"}}],
    }  # fmt: skip
    made = await hospital.post("DocumentReference", paper)
    assert made.status == 201
    assert (await first.get(f"DocumentReference/{made['id']}")).status == 404
    assert str(made["id"]) not in str(await first.get(f"{known.patient}/$everything"))
    await world.accepted(sealed)
    assert (await first.get(f"DocumentReference/{made['id']}")).status == 200


# ---- a lawful basis ---------------------------------------------------------------------------------------------------


def basis(
    world: World, referred: Referred, code: str = "HLEGAL", agency: str = "agency-a", **changes: Any
) -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": referred.request}],
        "recorded": datetime.now(UTC).isoformat(),
        "reason": [{"coding": [{"system": ACT_REASON, "code": code}], "text": "法定报告职责"}],
        "agent": [{"who": {"reference": world.organizations[agency]}}],
    } | changes


@pytest.mark.parametrize("code", ["HLEGAL", "ETREAT"])
async def test_a_lawful_basis_opens_to_the_agency_that_it_names(world: World, code: str) -> None:
    referred = await waiting(world)
    made = await world.party("platform").post("Provenance", basis(world, referred, code))
    assert made.status == 201, made
    assert await disclosed(world, referred)
    assert (await world.party("agency-b").get(referred.patient)).status == 404


async def test_a_lawful_basis_before_acceptance_and_for_another_agency(world: World) -> None:
    referred = await world.refer("N12")
    made = await world.party("platform").post("Provenance", basis(world, referred))
    assert made.status == 201
    assert (await world.party("agency-a").get(referred.patient)).status == 404
    await world.accepted(referred, consent=False)
    assert await disclosed(world, referred)
    other = await waiting(world)
    made = await world.party("platform").post("Provenance", basis(world, other, agency="agency-b"))
    assert made.status == 201 and not await disclosed(world, other)


async def test_who_recorded_a_basis_may_stand_beside_the_agency(world: World) -> None:
    referred = await waiting(world)
    agent = [
        {"who": {"reference": world.organizations["platform"]}},
        {"who": {"display": "值班督导"}},
        {"who": {"reference": world.organizations["agency-a"]}},
    ]
    made = await world.party("platform").post("Provenance", basis(world, referred, agent=agent))
    assert made.status == 201, made
    assert await disclosed(world, referred)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"reason": [{"coding": [{"system": ACT_REASON, "code": "HLEGAL"}]}]}, "reason.text"),
        ({"reason": [{"coding": [{"system": ACT_REASON, "code": "TREAT"}], "text": "治疗"}]}, "reason"),
        ({"reason": []}, "reason"),
        ({"agent": [{"who": {"display": "督导"}}]}, "agent"),
    ],
)
async def test_a_basis_without_reason_text_or_agency_is_refused(
    world: World, change: dict[str, Any], where: str
) -> None:
    referred = await waiting(world)
    answer = await refused(world, world.party("platform"), "Provenance", basis(world, referred, **change), 422)
    assert expressions(answer) == [f"Provenance.{where}"]
    assert not await disclosed(world, referred)


async def test_a_basis_is_for_one_referral(world: World) -> None:
    referred, other = await waiting(world), await waiting(world)
    both = basis(world, referred, target=[{"reference": referred.request}, {"reference": other.request}])
    answer = await refused(world, world.party("platform"), "Provenance", both, 422)
    assert expressions(answer) == ["Provenance.target[1]"]


@pytest.mark.parametrize("party", ["his-a", "his-b", "agency-a", "agency-b", "auditor"])
async def test_only_the_platform_records_a_basis(world: World, party: str) -> None:
    referred = await waiting(world)
    answer: Answered = await refused(world, world.party(party), "Provenance", basis(world, referred), 403)
    assert answer["issue"][0]["code"] == "forbidden"
    assert not await disclosed(world, referred)
