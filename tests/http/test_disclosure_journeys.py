"""Two journeys as they are told: a consent that is withdrawn after acceptance, and a volunteer who may not see clinical data."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http.loop import says
from tests.http.subscribing import focus, serving, subscribed
from tests.http.test_consent import disclosed, form
from tests.http.test_disclosing import KNOWN, NUMBER, agreed, at_work, chained, condition, parts, visit, volunteer
from tests.http.world import World, closed, output, phq9
from tests.notices.conftest import Listener


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> AsyncIterator[World]:
    async with serving(network, network_database) as running:
        yield running


async def test_a_consent_is_withdrawn_after_acceptance(world: World, worker: None, hook: Listener) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    # Given an agency that has accepted, reads who the person is, is at work, and follows its Tasks.
    await subscribed(agency, hook)
    referred = await world.refer("N05", extra=[phq9(0)])
    await world.accepted(referred, consent=False)
    consent = await hospital.post("Consent", await form(world, referred))
    share = (await agency.search("Task?status=accepted"))[0]
    assert (await agency.put(share, status="in-progress")).status == 200
    assert await disclosed(world, referred)
    # When the person withdraws.
    ended = await hospital.put(await hospital.read(f"Consent/{consent['id']}"), status="inactive")
    assert ended.status == 200
    # Then identity is withheld in the same breath, by every way that led to it,
    own = await agency.read(f"Task/{share['id']}")
    assert says(own) == "awaiting-consent" and own["for"]["reference"] != referred.patient
    for path in (
        referred.patient,
        referred.request,
        referred.stay,
        f"{referred.patient}/$everything",
        f"Consent/{consent['id']}",
    ):
        assert (await agency.get(path)).status == 404, path
    assert await agency.search(f"Observation?patient={referred.patient}") == []
    # and the agency is told of it: of its own Task, in the version that names nobody,
    last = f"Task/{share['id']}"
    told = 0
    while told < 5:  # offer, accept, disclose, start, conceal
        got = await hook.next()
        assert "陈素芬" not in got.body.decode()
        told += focus(got) == last
    # and what was is still known: the log says from when to when, and on what ground,
    await chained(world)
    log = await hospital.read(f"{referred.patient}/$disclosures")
    (opening,) = parts(log, "disclosure")
    assert opening["basis"]["code"] == "consent" and opening["since"] < opening["until"]
    assert {look["who"]["reference"] for look in parts(log, "read")} >= {world.organizations["agency-a"]}
    actions, step = await world.timeline(referred)
    assert actions[-2:] == ["conceal", "withdraw-consent"] or actions[-2:] == ["withdraw-consent", "conceal"]
    assert step is not None and step["what"] == "obtain-consent"
    # and the agency may end its work, saying why, without ever seeing the person again.
    done = await agency.put(own, status="completed", output=[output()], statusReason=closed("consent-withdrawn"))
    assert done.status == 200, done
    assert (await agency.get(referred.patient)).status == 404


async def test_a_volunteer_visits_and_sees_no_clinical_data(world: World) -> None:
    # Given a person with a diagnosis and a screening, whose social worker is at work with their consent.
    party, id = await volunteer(world)
    referred, share = await at_work(world, patient=KNOWN, extra=[phq9(0), condition({"text": "脑梗死"})])
    agency = world.party("agency-a")
    # When the agency wants a volunteer to visit, then not without the person's own yes to that;
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 409
    assert parts(await party.read("Task/$visits"), "visit") == []
    # when the person says yes, then the volunteer is told whom to visit, where and when, and by whom it is led;
    consent = await agreed(world, referred)
    assert (await agency.post(f"Task/{share['id']}/$volunteer", visit(id))).status == 201
    told = await party.read("Task/$visits")
    (one,) = parts(told, "visit")
    assert (one["name"], one["address"]) == ("素芬", "示例街道 1 号")
    assert one["worker"] == share["owner"]
    for secret in ("陈素芬", "13800000001", NUMBER, "脑梗死", "1952"):
        assert secret not in repr(told), secret
    # and reads nothing else, whatever is asked;
    for path in (
        referred.patient,
        "Condition",
        "Observation",
        f"Task/{share['id']}",
        "QuestionnaireResponse",
        "Patient?name=陈素芬",
    ):
        assert (await party.get(path)).status in (403, 404), path
    # when the yes is taken back, then the visit is gone.
    hospital = world.party("his-a")
    assert (await hospital.put(await hospital.read(f"Consent/{consent['id']}"), status="inactive")).status == 200
    assert parts(await party.read("Task/$visits"), "visit") == []
