"""What a ward's system tells while agencies are at work: the stories of the living referral, told by ADT."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.hl7v2.ward import Line, adt, stay_line
from tests.http.loop import done, ending, follow_ups, started
from tests.http.world import Referred, World

NUMBERED = {"identifier": [{"system": "urn:his-a:stay", "value": "S1"}]}


def ago(**by: float) -> str:
    return (datetime.now(UTC) - timedelta(**by)).strftime("%Y%m%d%H%M%S+0000")


async def numbers(world: World, referred: Referred) -> list[datetime]:
    """When the follow-ups that wait are due at the latest."""
    return [
        ending(task) for task in await follow_ups(world.party("agency-a"), referred) if task["status"] == "accepted"
    ]


async def test_an_elder_is_placed_and_the_date_of_discharge_is_corrected_twice(world: World, his: Line) -> None:
    # given a referral for a place after the stay, which came without the stay's number, and an agency at work
    referred = await world.refer("N05", mrn="MR1")
    await started(world, referred)
    # when the ward's system admits, moves and expects, under the number that it alone knows
    for n, (trigger, line, more) in enumerate(
        (
            ("A01", stay_line(), ()),
            ("A02", stay_line(place="W03^14^01"), ()),
            ("A08", stay_line(), ("PV2|||||||||20261130",)),
        )
    ):
        assert (await his.send(adt(trigger, f"{n}", at=ago(hours=100 - n), pv1=line, more=more))).code == "AA"
    # then it is the stay of the referral, and the ward is nowhere in the story
    lies = await world.party("his-a").read(referred.stay)
    assert lies["identifier"][-1]["value"] == "S1" and lies["status"] == "in-progress"
    actions, _ = await world.timeline(referred)
    assert "expected-discharge" in actions and "move-ward" in actions
    # when the person leaves, and the date is put right twice
    leaves = (("A03", ago(hours=30)), ("A08", ago(hours=54)), ("A08", ago(hours=6)))
    windows: list[list[datetime]] = []
    for n, (trigger, at) in enumerate(leaves):
        said = await his.send(
            adt(trigger, f"out-{n}", at=ago(hours=3 - n), pv1=stay_line(disposition="3", to="CHC1", ended=at))
        )
        assert said.code == "AA", said
        windows.append(await numbers(world, referred))
    # then there are five follow-ups each time, and they have moved with it
    assert [len(each) for each in windows] == [5, 5, 5]
    assert windows[1][1] < windows[0][1] < windows[2][1]


async def test_a_death_ends_outreach_and_takes_nothing_else(world: World, his: Line) -> None:
    # given an agency at work, and follow-ups under way after a discharge
    referred = await world.refer("N05", mrn="MR1", encounter=NUMBERED)
    await started(world, referred)
    assert (await his.send(adt("A03", "1", at=ago(hours=5), pv1=stay_line(disposition="1")))).code == "AA"
    assert len(await numbers(world, referred)) == 5
    # when the hospital's system tells that the person has died
    pid = "PID|1||MR1^^^HIS^MR||陈^素芬||19520315|F" + "|" * 21 + f"{ago(hours=1)}|Y"
    death = adt("A31", "2", at=ago(hours=1), pid=pid, pv1="")
    assert (await his.send(death)).code == "AA"
    # then nobody calls any more, and the same message again changes nothing
    assert await numbers(world, referred) == []
    before = await world.timeline(referred)
    assert (await his.send(death)).code == "AA"
    assert await world.timeline(referred) == before


async def test_two_records_of_one_person_with_a_referral_each_are_merged(world: World, his: Line) -> None:
    # given two records of one person, a referral on each
    one = await world.refer("N05", mrn="MR1", encounter=NUMBERED)
    other = await world.refer("N02", mrn="MR2")
    await started(world, one)
    # when the hospital's system says that they are one
    said = await his.send(adt("A40", "1", at=ago(hours=1), mr="MR1", pv1="", more=("MRG|MR2^^^HIS^MR",)))
    assert said.code == "AA", said
    # then both referrals are the survivor's, and what comes under either number is about them
    for referred in (one, other):
        request: dict[str, Any] = await world.party("his-a").read(referred.request)
        assert request["subject"]["reference"] == one.patient
    assert (await his.send(adt("A03", "2", at=ago(minutes=5), mr="MR2", pv1=stay_line(disposition="1")))).code == "AA"
    assert len(await numbers(world, one)) == 5


async def test_a_cancelled_admission_is_no_stay_of_the_referral(world: World, his: Line) -> None:
    referred = await world.refer("N05", mrn="MR1", encounter=NUMBERED)
    share = await started(world, referred)
    assert (await his.send(adt("A11", "1", at=ago(hours=1)))).code == "AA"
    actions, step = await world.timeline(referred)
    assert "undo-admit" in actions and step is not None
    assert done(await world.party("agency-a").read(f"Task/{share['id']}"))["status"] == "in-progress"


async def test_who_comes_back_within_a_month_is_a_readmission_of_the_referral(world: World, his: Line) -> None:
    # given a referral whose person was discharged yesterday
    referred = await world.refer("N05", mrn="MR1", encounter=NUMBERED)
    await started(world, referred)
    assert (
        await his.send(adt("A03", "1", at=ago(days=1), pv1=stay_line(disposition="1", ended=ago(days=1))))
    ).code == "AA"
    # when the ward's system admits the person again, under a new number
    assert (await his.send(adt("A01", "2", at=ago(hours=1), pv1=stay_line(stay="S2", began=ago(hours=1))))).code == "AA"
    # then the referral's story has it
    actions, _ = await world.timeline(referred)
    assert "readmit" in actions, actions
