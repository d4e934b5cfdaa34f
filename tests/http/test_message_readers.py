"""Who reads a message: before disclosure it names nobody, and what was written while the person was known goes with that knowledge."""

from tests.http.loop import done, message
from tests.http.world import World


async def test_a_message_about_an_offer_does_not_say_whose_it_is(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    # The agency knows this person from another referral.
    known = await world.refer("N01", mrn="ZY-known")
    await world.accepted(known)
    other = await world.refer("N05", mrn="ZY-known")
    offer = await world.offer(other)
    sent = done(await hospital.post("Communication", message(None, f"Task/{offer['id']}", payload=[{"contentString": "下周出院"}])))  # fmt: skip
    asked = done(await agency.post("Communication", message("question", f"Task/{offer['id']}", payload=[{"contentString": "轮椅？"}])))  # fmt: skip
    assert (await agency.read(f"Communication/{sent['id']}"))["id"] == sent["id"]
    assert known.patient == other.patient
    found = {each["id"] for each in await agency.search(f"Communication?patient={known.patient}&_count=50")}
    assert not found & {sent["id"], asked["id"]}
    about = {each["id"] for each in await agency.search(f"Communication?based-on=Task/{offer['id']}")}
    assert about == {sent["id"], asked["id"]}


async def test_what_was_written_while_the_person_was_known_goes_with_a_withdrawn_consent(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    before = done(await hospital.post("Communication", message(None, f"Task/{share['id']}", payload=[{"contentString": "下周出院"}])))  # fmt: skip
    consent = await world.consent(referred, "agency-a")
    during = done(await hospital.post("Communication", message(None, f"Task/{share['id']}", payload=[{"contentString": "陈素芬住三楼"}])))  # fmt: skip
    own = done(await agency.post("Communication", message(None, f"Task/{share['id']}", payload=[{"contentString": "我们去接"}])))  # fmt: skip
    for each in (before, during, own):
        assert (await agency.get(f"Communication/{each['id']}")).status == 200
    done(await hospital.put(consent, status="inactive"))
    assert (await agency.get(f"Communication/{during['id']}")).status == 404
    for each in (before, own):
        assert (await agency.get(f"Communication/{each['id']}")).status == 200
    assert "陈素芬" not in str(await agency.search(f"Communication?based-on=Task/{share['id']}"))
    await world.consent(referred, "agency-a")
    assert (await agency.get(f"Communication/{during['id']}")).status == 200
