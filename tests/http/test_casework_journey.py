"""A journey (domain b-2): an elder who cannot go home is placed, and her case is kept from intake to archive."""

from datetime import UTC, datetime, timedelta

from tests.http.filing import advance, asked, file, filled, form, plan, serving, supervisor
from tests.http.filing import goal as aim
from tests.http.loop import attempt, discharge, done, follow_ups, outcome, refused, says
from tests.http.world import World, closed, output, phq9


async def test_an_elder_with_discharge_placement_from_submission_to_archive(world: World) -> None:
    agency, hospital, who = world.party("agency-a"), world.party("his-a"), await supervisor(world)

    # Given an elder on the ward who cannot go home alone, screened without danger, referred and offered without her name
    referred = await world.refer("N05", "N03", extra=[phq9(0)])
    offer = await world.offer(referred)
    assert "陈素芬" not in str(offer)
    # When the agency accepts, she consents, and service begins
    share = await world.accepted(referred)
    share = done(await agency.put(share, status="in-progress"))
    assert (await file(agency, share)).phase == "assessment"

    # Then the case does not go on to a plan without what intake and assessment have to leave behind
    refused(await advance(agency, share, "plan"), 409, "需求评估表")
    await filled(world, share, "intake-form", "service-consent", "risk-screen", "needs-assessment", "problem-list")
    done(await advance(agency, share, "plan"))

    # When the plan has goals for both needs, she agrees, and the supervisor signs it
    place = done(
        await agency.post(
            "Goal", aim(share, extension=[{"url": "urn:yuanshe:need", "valueCode": "N05"}], addresses=None)
        )
    )
    mood = done(await agency.post("Goal", aim(
        share, category=[{"coding": [{"system": "urn:yuanshe:goal-type", "code": "relieve"}]}], description={"text": "情绪平稳"},
        target=[{"measure": {"text": "PHQ-9"}, "detailString": "小于5分"}], extension=[{"url": "urn:yuanshe:need", "valueCode": "N03"}], addresses=None,
    )))  # fmt: skip
    review = datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)
    service = done(await agency.post("CarePlan", plan(share, place["id"], mood["id"], review=review)))
    await filled(world, share, "client-agreement")
    refused(await advance(agency, share, "intervention"), 409, "$approve")
    done(await agency.post(f"Task/{share['id']}/$approve", asked(document="service-plan", supervisor=who, note="同意")))
    done(await advance(agency, share, "intervention"))
    # Then the review of the plan is what her worker owes next, and the ward sees who and when
    _, step = await world.timeline(referred)
    assert step is not None and (step["what"], datetime.fromisoformat(step["by"])) == ("review", review)
    assert step["who"]["reference"] == (await agency.read(f"Task/{share['id']}"))["owner"]["reference"]

    # When homes are visited, an application is approved, and the police confirm her household registration
    visit = [{"url": "urn:yuanshe:contact-type", "valueCode": "home-visit"}]
    placed = done(await agency.post("Procedure", serving(share, place["id"], extension=visit)))
    done(await agency.post("Procedure", serving(share, mood["id"])))
    benefit = [
        {"url": "urn:yuanshe:benefit", "valueCode": "applied"},
        {"url": "urn:yuanshe:amount", "valueInteger": 120_000},
    ]
    applied = done(await agency.post("Procedure", serving(share, place["id"], status="in-progress", extension=benefit)))
    refused(await agency.put(place, lifecycleStatus="completed"), 409)
    granted = [
        serving(share, place["id"])["extension"][0],
        {"url": "urn:yuanshe:benefit", "valueCode": "approved"},
        benefit[1],
    ]
    done(await agency.put(applied, status="completed", extension=granted))
    await filled(world, share, "supervision-note")
    done(await advance(agency, share, "evaluation"))

    # And the goals are looked at: both are achieved, and nothing stands alone
    achieved = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "achieved"}]}
    for each in (place, mood):
        done(await agency.put(each, lifecycleStatus="completed", achievementStatus=achieved))
    await filled(world, share, "evaluation")
    done(await advance(agency, share, "closure"))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "closure"
    await filled(world, share, "closure-summary")
    done(await agency.post(f"Task/{share['id']}/$approve", asked(document="closure-summary", supervisor=who)))
    refused(await advance(agency, share, "archive"), 409, "转介回执")

    # When she is discharged to the home that was found, and the share is completed
    done(await discharge(world, referred))
    share = await agency.read(f"Task/{share['id']}")
    share = done(
        await agency.put(share, status="completed", output=[output(f"Procedure/{placed['id']}")], statusReason=closed())
    )
    seen = await file(agency, share)
    assert (seen.phase, seen.completeness, seen.orphans) == ("closure", 100, [])
    assert seen.one("outcome") == {"sessions": 3, "attendances": 3, "benefits": 1, "approvedAmount": 120_000}
    assert (await hospital.get(f"Procedure/{placed['id']}")).status == 200, "the outcome went back to the ward"
    for note in (service, place):
        assert (await hospital.get(f"{note['resourceType']}/{note['id']}")).status == 404, "the file did not"

    # Then the case is followed up, and archived when the first call is on record
    done(await advance(agency, share, "follow-up"))
    refused(await advance(agency, share, "archive"), 409, "回访记录")
    calls = await follow_ups(agency, referred)
    done(await agency.post("Communication", attempt(calls[0])))
    for call in calls:
        done(await agency.put(await agency.read(f"Task/{call['id']}"), output=[outcome("stable")]))
    done(await advance(agency, share, "archive"))
    seen = await file(agency, share)
    assert (seen.phase, seen.completeness, seen.one("lateNotes")) == ("archive", 100, 0)
    assert [each["phase"] for each in seen.all("step")] == [
        "intake", "assessment", "plan", "intervention", "evaluation", "closure", "closure", "follow-up", "archive",
    ]  # fmt: skip
    assert says(await world.parent(referred)) == "closed" and (await world.timeline(referred))[1] is None
    # An archived file is not added to.
    refused(await agency.post("QuestionnaireResponse", form("evaluation", share)), 422)
