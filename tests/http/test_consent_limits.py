"""What a consent may leave out, who may sign it, how it is heard, and who can tell what it is for."""

from typing import Any

import pytest

from tests.http.loop import later
from tests.http.submitting import expressions, refused
from tests.http.test_consent import ACT_CODE, ACT_REASON, SCOPES, as_time_passes, basis, disclosed, form, waiting
from tests.http.world import CITIZEN, Referred, World, citizen_number, phq9

CLASS = "urn:yuanshe:data-category"
TYPES = "http://hl7.org/fhir/resource-types"
ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"


def classes(*codes: str, system: str = CLASS) -> list[dict[str, str]]:
    return [{"system": system, "code": code} for code in codes]


def denied(*codes: str, system: str = CLASS) -> dict[str, Any]:
    return {"provision": [{"type": "deny", "class": classes(*codes, system=system)}]}


async def told_much(world: World) -> tuple[Referred, dict[str, str]]:
    """A referral that brings something of every category; where each is stored, by type."""
    extra = [
        {"resourceType": "Condition", "code": {"text": "骨折"}, "subject": {"reference": "PATIENT"}},
        phq9(0),
        {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"reference": "PATIENT"}},
        {"resourceType": "DocumentReference", "status": "current", "subject": {"reference": "PATIENT"},
         "content": [{"attachment": {"title": "病历", "contentType": "application/pdf"}}]},
    ]  # fmt: skip
    referred = await waiting(world, extra=extra)
    stored = [entry["response"]["location"].split("/_history")[0] for entry in referred.answer["entry"]]
    return referred, {place.split("/")[0]: place for place in stored}


async def readable(world: World, places: dict[str, str], agency: str = "agency-a") -> set[str]:
    """Which types the agency reads, by id and by search alike."""
    party = world.party(agency)
    seen = {type for type, place in places.items() if (await party.get(place)).status == 200}
    for type in ("Condition", "Observation", "QuestionnaireResponse", "DocumentReference", "Encounter"):
        assert bool(await party.search(f"{type}?patient={places['Patient']}")) == (type in seen), type
    whole = await party.get(f"{places['Patient']}/$everything")
    if whole.status == 200:
        held = {entry["resource"]["resourceType"] for entry in whole["entry"]}
        assert {type for type in places if type in held} == seen - {"ServiceRequest"} | (held & {"ServiceRequest"})
    return seen


BASIC = {"Patient", "ServiceRequest"}
MORE = {"Encounter", "Condition", "Observation", "QuestionnaireResponse", "DocumentReference"}


@pytest.mark.parametrize(
    ("provision", "hidden"),
    [
        ({}, set()),
        (denied("screening", "documents"), {"QuestionnaireResponse", "Observation", "DocumentReference"}),
        (denied("clinical"), {"Condition", "Observation"}),
        ({"class": classes("contact", "need")}, MORE),
        ({"class": classes("contact", "need", "stay", "documents")}, MORE - {"Encounter", "DocumentReference"}),
        ({"class": classes("Patient", "ServiceRequest", "Encounter", system=TYPES)}, MORE - {"Encounter"}),
        ({"class": classes("Observation", system=TYPES)}, MORE),
        (denied("Observation", system=TYPES), {"QuestionnaireResponse", "Observation", "Condition"}),
    ],
)  # fmt: skip
async def test_what_the_signer_left_out_stays_unread_by_every_route(
    world: World, provision: dict[str, Any], hidden: set[str]
) -> None:
    referred, places = await told_much(world)
    made = await world.party("his-a").post("Consent", await form(world, referred, provision=provision))
    assert made.status == 201, made
    assert await disclosed(world, referred)
    assert await readable(world, places) == (BASIC | MORE) - hidden


async def test_a_narrower_consent_takes_away_what_was_read_before_and_a_wider_one_brings_it(world: World) -> None:
    hospital = world.party("his-a")
    referred, places = await told_much(world)
    made = await hospital.post("Consent", await form(world, referred))
    assert await readable(world, places) == BASIC | MORE
    narrower = (await form(world, referred, provision=denied("documents")))["provision"]
    current = await hospital.read(f"Consent/{made['id']}")
    assert (await hospital.put(current, provision=narrower)).status == 200
    assert await readable(world, places) == (BASIC | MORE) - {"DocumentReference"}
    other = await hospital.post("Consent", await form(world, referred))
    assert other.status == 201
    assert "DocumentReference" not in await readable(world, places), "what any signature in force left out stays out"
    assert (await hospital.put(await hospital.read(f"Consent/{made['id']}"), status="inactive")).status == 200
    assert await readable(world, places) == BASIC | MORE
    async with world.as_owner() as connection:
        log = await connection.fetch("SELECT withheld, closed_at IS NULL AS open FROM disclosure ORDER BY opened_at")
    assert [(list(row["withheld"]), row["open"]) for row in log] == [([], False), (["documents"], False), ([], True)]


async def test_a_lawful_basis_leaves_out_nothing(world: World) -> None:
    referred, places = await told_much(world)
    await world.party("his-a").post("Consent", await form(world, referred, provision=denied("screening")))
    assert (await world.party("platform").post("Provenance", basis(world, referred))).status == 201
    assert await readable(world, places) == BASIC | MORE


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"provision": denied("contact")}, "provision.provision"),
        ({"provision": {"provision": [{"type": "permit", "class": classes("documents")}]}}, "provision.provision"),
        ({"provision": {"provision": [{"type": "deny", "class": classes("documents"), "period": {"end": "2027-01-01"}}]}}, "provision.provision"),
        ({"provision": {"class": classes("gossip")}}, "provision.class[0]"),
        ({"provision": {"securityLabel": [{"code": "R"}]}}, "provision.securityLabel"),
        ({"provision": {"dataPeriod": {"start": "2026-01-01"}}}, "provision.dataPeriod"),
        ({"provision": {"code": [{"text": "X 光片"}]}}, "provision.code"),
        ({"provision": {"purpose": [{"system": "urn:yuanshe:purpose", "code": "advertising"}]}}, "provision.purpose[0]"),
    ],
)  # fmt: skip
async def test_a_limit_that_would_be_read_wider_than_it_was_signed_is_refused(
    world: World, change: dict[str, Any], where: str
) -> None:
    referred = await waiting(world)
    answer = await refused(world, world.party("his-a"), "Consent", await form(world, referred, **change), 422)
    assert expressions(answer) == [f"Consent.{where}"]
    assert not await disclosed(world, referred)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"category": [{"coding": [{"system": ACT_CODE, "code": code}]} for code in ("IDSCL", "ICOL")]}, "category"),
        ({"scope": {"coding": [{"system": SCOPES, "code": code} for code in ("patient-privacy", "treatment")]}}, "scope"),
        ({"provision": {"action": [{"coding": [{"system": ACTION, "code": code} for code in ("collect", "disclose")]}]}}, "provision.action"),
    ],
)  # fmt: skip
async def test_one_tick_for_processing_and_sharing_is_refused(world: World, change: dict[str, Any], where: str) -> None:
    referred = await waiting(world)
    answer = await refused(world, world.party("his-a"), "Consent", await form(world, referred, **change), 422)
    assert expressions(answer) == [f"Consent.{where}"] and "two ticks" in answer["issue"][0]["details"]["text"]
    assert not await disclosed(world, referred)


async def test_a_purpose_of_our_own_opens_nothing_by_itself(world: World) -> None:
    referred = await waiting(world)
    purpose = [{"system": "urn:yuanshe:purpose", "code": "volunteer"}]
    made = await world.party("his-a").post("Consent", await form(world, referred, provision={"purpose": purpose}))
    assert made.status == 201 and not await disclosed(world, referred)
    both = [*purpose, {"system": ACT_REASON, "code": "TREAT"}]
    made = await world.party("his-a").post("Consent", await form(world, referred, provision={"purpose": both}))
    assert made.status == 201 and await disclosed(world, referred)


# ---- spoken ------------------------------------------------------------------------------------------------------------


def heard(referred: Referred, **more: Any) -> dict[str, Any]:
    return {"sourceAttachment": None, "verification": [{"verified": True, "verifiedWith": {"reference": referred.patient}} | more]}  # fmt: skip


WITNESS: dict[str, Any] = {
    "extension": [{"url": "urn:yuanshe:witness", "valueReference": {"reference": "Practitioner/nurse-7"}}]
}


async def test_a_spoken_consent_that_somebody_witnessed_holds_like_a_signed_one(world: World) -> None:
    referred = await waiting(world)
    made = await world.party("his-a").post("Consent", await form(world, referred, **heard(referred, **WITNESS)))
    assert made.status == 201, made
    assert await as_time_passes(world, later(days=30)) == 0 and await disclosed(world, referred)


async def test_a_spoken_consent_without_a_witness_holds_until_it_should_have_been_signed(world: World) -> None:
    referred = await waiting(world)
    made = await world.party("his-a").post("Consent", await form(world, referred, **heard(referred)))
    assert made.status == 201 and await disclosed(world, referred)
    assert await as_time_passes(world, later(days=6)) == 0 and await disclosed(world, referred)
    assert await as_time_passes(world, later(days=8)) == 1 and not await disclosed(world, referred)


async def test_who_signs_is_not_the_witness(world: World) -> None:
    referred = await waiting(world)
    mother: dict[str, Any] = {"reference": "RelatedPerson/7"}
    own: dict[str, Any] = {"extension": [{"url": "urn:yuanshe:witness", "valueReference": mother}]}
    sent = await form(world, referred, performer=[mother], **heard(referred, **own))
    answer = await refused(world, world.party("his-a"), "Consent", sent, 422)
    assert expressions(answer) == ["Consent.verification[0].extension"]


# ---- who signs ---------------------------------------------------------------------------------------------------------

CAPACITY = "urn:yuanshe:legal-capacity"


async def test_a_guardian_signs_for_an_adult_who_lacks_capacity(world: World) -> None:
    hospital = world.party("his-a")
    for capacity, able in (("none", False), ("limited", False), ("full", True)):
        referred = await waiting(world, patient={"extension": [{"url": CAPACITY, "valueCode": capacity}]})
        if able:
            assert (await hospital.post("Consent", await form(world, referred))).status == 201
        else:
            answer = await refused(world, hospital, "Consent", await form(world, referred), 422)
            assert expressions(answer) == ["Consent.performer"]
            guardian = await relative(world, referred)
            signed = await form(world, referred, performer=[{"reference": guardian}])
            assert (await hospital.post("Consent", signed)).status == 201
        assert await disclosed(world, referred)


async def relative(world: World, referred: Referred, **about: Any) -> str:
    made = await world.party("his-a").post(
        "RelatedPerson", {"resourceType": "RelatedPerson", "patient": {"reference": referred.patient}} | about
    )
    assert made.status == 201, made
    return f"RelatedPerson/{made['id']}"


SUSPECT: dict[str, Any] = {"extension": [{"url": "urn:yuanshe:suspected", "valueBoolean": True}], "name": [{"text": "陈某"}],
           "birthDate": "1980-05-06", "telecom": [{"system": "phone", "value": "139-0000-1234"}]}  # fmt: skip


@pytest.mark.parametrize(
    "known_as",
    [
        None,
        {"telecom": [{"system": "phone", "value": "+86 13900001234"}]},
        {"name": [{"text": "陈 某"}], "birthDate": "1980-05-06"},
    ],
)
async def test_the_suspect_does_not_sign_under_whatever_record(world: World, known_as: dict[str, Any] | None) -> None:
    child = {"birthDate": "2019-03-01"}
    referred = await waiting(world, patient=child)
    suspect = await relative(world, referred, **SUSPECT)
    signer = suspect if known_as is None else await relative(world, referred, **known_as)
    sent = await form(world, referred, performer=[{"reference": signer}])
    answer = await refused(world, world.party("his-a"), "Consent", sent, 422)
    assert expressions(answer) == ["Consent.performer"]
    said = answer["issue"][0]["details"]["text"]
    assert "HLEGAL" in said and "ETREAT" in said
    assert "suspect" not in said.lower() and "陈某" not in repr(answer), "the error does not tell why"
    assert not await disclosed(world, referred)
    mother = await relative(world, referred, name=[{"text": "王某"}], birthDate="1985-01-01")
    assert (
        await world.party("his-a").post("Consent", await form(world, referred, performer=[{"reference": mother}]))
    ).status == 201
    assert await disclosed(world, referred)


async def test_the_suspect_is_sealed(world: World) -> None:
    extra = [{"resourceType": "RelatedPerson", "patient": {"reference": "PATIENT"}} | SUSPECT]
    referred = await world.refer("N13", extra=extra)
    place = referred.answer["entry"][3]["response"]["location"].split("/_history")[0]
    await world.accepted(referred, consent=False)
    assert (await world.party("platform").post("Provenance", basis(world, referred))).status == 201
    assert await disclosed(world, referred)
    agency = world.party("agency-a")
    assert (await agency.get(place)).status == 404
    assert await agency.search(f"RelatedPerson?patient={referred.patient}") == []
    assert "陈某" not in repr(await agency.get(f"{referred.patient}/$everything"))
    assert (await world.party("his-a").get(place)).status == 200


async def test_who_is_kept_by_marks_is_written_down_nowhere(world: World) -> None:
    number = citizen_number(9, birth="19800506")
    referred = await waiting(world)
    await relative(world, referred, **SUSPECT, identifier=[{"system": CITIZEN, "value": number}])
    async with world.as_owner() as connection:
        row = await connection.fetchrow("SELECT * FROM related")
    assert len(row["marks"]) == 3 and number not in repr(row) and "陈某" not in repr(row)
