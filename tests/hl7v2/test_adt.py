"""What a hospital's system tells by ADT is what the hospital reads over FHIR, and what open referrals follow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.hl7v2.ward import HIS_A, NUMBERS, Line, adt, inbox, patient, stay, stay_line, stays, ward
from tests.http.loop import follow_ups, started
from tests.http.world import CITIZEN, World, citizen_number

KNOWN_STAY = {"identifier": [{"system": "urn:his-a:stay", "value": "S1"}]}


async def test_an_admission_makes_the_person_and_the_stay(world: World, his: Line) -> None:
    number = citizen_number(1)
    pid = f"PID|1||MR1^^^HIS^MR~{number}^^^MPS^NI||陈^素芬^^^^^L||19520315|F|||示例街道 1 号^^毕节市^贵州省^551700^CHN^H^^520502001||^PRN^CP^^86^^13800000001||zh"
    said = await his.send(adt("A01", "1", pid=pid, pv1=stay_line(began="202611200930")))
    assert (said.code, said.control_id) == ("AA", "1"), said
    person = await patient(world)
    assert {(each["system"], each["value"]) for each in person["identifier"]} == {(NUMBERS, "MR1"), (CITIZEN, number)}
    assert (
        person["name"][0]["text"] == "陈素芬" and person["birthDate"] == "1952-03-15" and person["gender"] == "female"
    )
    assert person["address"][0]["district"] == "520502001" and "13800000001" in person["telecom"][0]["value"]
    lies = await stay(world)
    assert lies["status"] == "in-progress" and lies["class"]["code"] == "IMP"
    assert lies["period"]["start"] == "2026-11-20T09:30:00+08:00"
    assert [each["location"]["display"] for each in lies["location"]] == ["心内科病区", "12", "02"]
    async with world.as_owner() as connection:
        row = await connection.fetchrow(
            "SELECT p.region, s.ward, s.bed, s.class FROM patient p JOIN stay s ON s.patient_id = p.id"
        )
    assert tuple(row) == ("520502001", "心内科病区", "02", "in")


async def test_a_discharge_makes_the_follow_ups_of_the_referral(world: World, his: Line) -> None:
    referred = await world.refer("N05", mrn="MR1", encounter=KNOWN_STAY)
    await started(world, referred)
    at = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
    said = await his.send(adt("A03", "1", at=at, pv1=stay_line(disposition="01", ended=at)))
    assert said.code == "AA", said
    assert len(await follow_ups(world.party("agency-a"), referred)) == 5
    lies = await world.party("his-a").read(referred.stay)
    assert lies["status"] == "finished"
    assert lies["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "1"
    # What FHIR had brought and the message does not speak of is still there.
    assert (await world.party("his-a").read(referred.patient))["address"][0]["text"] == "示例街道 1 号"


async def test_a_cancelled_discharge_calls_the_follow_ups_off(world: World, his: Line) -> None:
    referred = await world.refer("N05", mrn="MR1", encounter=KNOWN_STAY)
    await started(world, referred)
    now = datetime.now(UTC)
    for n, (trigger, back, line) in enumerate((("A03", 2, stay_line(disposition="1")), ("A13", 1, stay_line()))):
        at = (now - timedelta(minutes=back)).strftime("%Y%m%d%H%M%S+0000")
        assert (await his.send(adt(trigger, str(n), at=at, pv1=line))).code == "AA"
    lies = await world.party("his-a").read(referred.stay)
    assert lies["status"] == "in-progress" and "end" not in lies["period"]
    assert "dischargeDisposition" not in lies.get("hospitalization", {})
    assert {task["status"] for task in await follow_ups(world.party("agency-a"), referred)} == {"cancelled"}


async def test_moves_leave_and_class_follow_one_another(world: World, his: Line) -> None:
    steps = [
        ("A04", stay_line("E", "ED^^1"), "in-progress", "EMER"),
        ("A06", stay_line("I", "W03^12^02"), "in-progress", "IMP"),
        ("A02", stay_line("I", "W03^14^01"), "in-progress", "IMP"),
        ("A12", stay_line("I", "W03^12^02"), "in-progress", "IMP"),
        ("A21", stay_line("I", "W03^12^02"), "onleave", "IMP"),
        ("A22", stay_line("I", "W03^12^02"), "in-progress", "IMP"),
        ("A07", stay_line("O", "OPD"), "in-progress", "AMB"),
        ("A11", stay_line("O", "OPD"), "cancelled", "AMB"),
    ]
    for n, (trigger, line, status, class_) in enumerate(steps):
        said = await his.send(adt(trigger, str(n), at=f"202611210{n}0000", pv1=line))
        assert said.code == "AA", said
        lies = await stay(world)
        assert (lies["status"], lies["class"]["code"]) == (status, class_), trigger
        assert lies["location"][-1]["location"]["display"] == line.split("|")[3].split("^")[-1]


async def test_the_expected_discharge_is_kept(world: World, his: Line) -> None:
    assert (await his.send(adt("A01", "1", more=("PV2|||||||||20261130",)))).code == "AA"
    async with world.as_owner() as connection:
        assert (await connection.fetchval("SELECT expected_end FROM stay")).isoformat() == "2026-11-29T16:00:00+00:00"
    assert (await stay(world))["extension"] == [
        {"url": "urn:yuanshe:expected-discharge", "valueDateTime": "2026-11-30"}
    ]


async def test_an_empty_field_keeps_and_a_null_one_deletes(world: World, his: Line) -> None:
    line = "PID|1||MR1^^^HIS^MR||陈^素芬||19520315|F"
    assert (await his.send(adt("A28", "1", pid=f"{line}|||示例街道||13800000001", pv1=""))).code == "AA"
    assert (await his.send(adt("A31", "2", at="20261121110000", pid=line, pv1=""))).code == "AA"
    assert (await patient(world))["telecom"][0]["value"] == "13800000001"
    assert (await his.send(adt("A31", "3", at="20261121120000", pid=f'{line}|||||""', pv1=""))).code == "AA"
    person = await patient(world)
    assert "telecom" not in person and person["address"][0]["line"] == ["示例街道"]


async def test_a_death_is_told_of_the_person(world: World, his: Line) -> None:
    pid = "PID|1||MR1^^^HIS^MR||陈^素芬||19520315|F" + "|" * 21 + "20261121090000|Y"
    assert (await his.send(adt("A31", "1", pid=pid, pv1=""))).code == "AA"
    assert (await patient(world))["deceasedDateTime"] == "2026-11-21T09:00:00+08:00"
    await his.send(adt("A31", "2", at="20261121110000", pid=pid.replace("|20261121090000|Y", "||N"), pv1=""))
    assert (await patient(world))["deceasedBoolean"] is False


async def test_that_somebody_is_not_dead_is_no_word_against_a_death_told_otherwise(world: World, his: Line) -> None:
    referred = await world.refer("N05", mrn="MR1", patient={"deceasedBoolean": True})
    pid = "PID|1||MR1^^^HIS^MR||陈^素芬||19520315|F" + "|" * 22 + "N"
    assert (await his.send(adt("A31", "1", pid=pid, pv1=""))).code == "AA"
    assert (await world.party("his-a").read(referred.patient))["deceasedBoolean"] is True


async def test_what_is_stored_is_sound_fhir_and_may_be_sent_back(world: World, his: Line) -> None:
    full = "PID|1||MR1^^^HIS^MR||陈^素芬^^^^^L~Chen^Sufen^^^^^A^A||19520315|F|||示例街道&x&1 号^2 单元^毕节市^贵州省^551700^CHN^C^^520502001||^PRN^CP^^86^^13800000001~^NET^Internet^a@example.org|(010)1^^FX|zh"
    pv1 = stay_line(disposition="2", to="CHC1", began="202611200930", ended="20261121")
    assert (await his.send(adt("A03", "1", pid=full, pv1=pv1, more=("PV2|||||||||20261130",)))).code == "AA"
    for resource in (await patient(world), await stay(world)):
        again = await world.party("his-a").put(resource)
        assert again.status == 200, again
        assert {k: v for k, v in again.items() if k != "meta"} == {k: v for k, v in resource.items() if k != "meta"}


async def test_several_merges_in_one_message_are_done_together_or_not_at_all(world: World, his: Line) -> None:
    for n in (1, 2, 3, 4):
        await his.send(adt("A28", str(n), mr=f"MR{n}", pv1=""))
    pids = [f"PID|1||MR{n}^^^HIS^MR" for n in (1, 3)]
    half = adt("A40", "5", at="20261121120000", pid=pids[0], pv1="", more=("MRG|MR2^^^HIS^MR", pids[1], "MRG|9^^^X^XX"))
    assert (await his.send(half)).code == "AE"
    assert (await patient(world, "MR2"))["id"] != (await patient(world, "MR1"))["id"]
    both = half.replace("MRG|9^^^X^XX", "MRG|MR4^^^HIS^MR").replace("|5|P|", "|6|P|")
    assert (await his.send(both)).code == "AA"
    async with world.as_owner() as connection:
        rows = await connection.fetch("SELECT value, patient_id FROM patient_identifier WHERE value LIKE 'MR%'")
    of = {row["value"]: row["patient_id"] for row in rows}
    assert of["MR1"] == of["MR2"] != of["MR3"] == of["MR4"]


async def test_where_somebody_goes_is_read_by_the_configured_destination(world: World, his: Line) -> None:
    assert (await his.send(adt("A03", "1", pv1=stay_line(disposition="3", to="CHC1")))).code == "AA"
    lies = await stay(world)
    assert lies["hospitalization"]["destination"]["display"] == "示例社区卫生服务中心"
    async with world.as_owner() as connection:
        row = await connection.fetchrow("SELECT disposition, destination_region FROM stay")
    assert tuple(row) == ("3", "520502002")


# ---- order -------------------------------------------------------------------------------------------------------------


async def test_an_older_move_leaves_the_discharge_as_it_is(world: World, his: Line) -> None:
    await his.send(adt("A01", "1", at="20261121080000"))
    await his.send(adt("A03", "3", at="20261121120000", pv1=stay_line(disposition="1", place="W03^99^9")))
    said = await his.send(adt("A02", "2", at="20261121100000", pv1=stay_line(place="W03^14^01")))
    assert said.code == "AA" and "newer" in said.text
    lies = await stay(world)
    assert lies["status"] == "finished" and lies["location"][-1]["location"]["display"] == "9"
    assert [row["state"] for row in await inbox(world)] == ["applied", "applied", "recorded"]


ORDERS = [
    ("A01", "A08", "A02", "A03"),
    ("A08", "A01", "A03", "A02"),
    ("A03", "A02", "A01", "A08"),
    ("A03", "A08", "A01", "A02"),
    ("A02", "A03", "A08", "A01"),
]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
async def test_in_whatever_order_they_come_the_end_is_the_same(world: World, his: Line, order: tuple[str, ...]) -> None:
    told: dict[str, dict[str, Any]] = {
        "A01": {"at": "20261121080000", "pv1": stay_line(place="W03^1^1", began="20261121080000")},
        "A08": {"at": "20261121090000", "pv1": stay_line(place="W03^2^2"), "name": "陈^素芳^^^^^L"},
        "A02": {"at": "20261121100000", "pv1": stay_line(place="W03^3^3"), "name": "陈^素芳^^^^^L"},
        "A03": {"at": "20261121120000", "pv1": stay_line(place="W03^3^3", disposition="1"), "name": "陈^素芳^^^^^L"},
    }
    for trigger in order:
        said = await his.send(adt(trigger, trigger, **told[trigger]))
        assert said.code == "AA", said
    lies, person = await stay(world), await patient(world)
    assert lies["status"] == "finished"
    assert lies["period"] == {"start": "2026-11-21T08:00:00+08:00", "end": "2026-11-21T12:00:00+08:00"}
    assert lies["location"][-1]["location"]["display"] == "3" and person["name"][0]["text"] == "陈素芳"


async def test_a_cancelled_admission_stays_cancelled_when_the_admission_comes_later(world: World, his: Line) -> None:
    await his.send(adt("A11", "1", at="20261121090000"))
    await his.send(adt("A01", "2", at="20261121080000"))
    assert (await stay(world))["status"] == "cancelled"


async def test_an_older_discharge_does_not_come_back_after_it_was_cancelled(world: World, his: Line) -> None:
    await his.send(adt("A01", "1", at="20261121080000"))
    await his.send(adt("A13", "3", at="20261121120000"))
    await his.send(adt("A03", "2", at="20261121100000", pv1=stay_line(disposition="1")))
    assert (await stay(world))["status"] == "in-progress"


async def test_a_corrected_discharge_moves_the_end(world: World, his: Line) -> None:
    await his.send(adt("A03", "1", at="20261121120000", pv1=stay_line(disposition="1")))
    await his.send(adt("A08", "2", at="20261121130000", pv1=stay_line(disposition="4", ended="20261121110000")))
    lies = await stay(world)
    assert lies["period"]["end"] == "2026-11-21T11:00:00+08:00"
    assert lies["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "4"


async def test_a_new_admission_under_the_number_of_an_ended_stay_waits_for_a_person(world: World, his: Line) -> None:
    await his.send(adt("A03", "1", at="20261121120000", pv1=stay_line(disposition="1")))
    said = await his.send(adt("A01", "2", at="20261121130000"))
    assert (said.code, said.key, said.place) == ("AE", "stay-ended", "PV1^1^19"), said
    assert (await stay(world))["status"] == "finished"


# ---- merges ------------------------------------------------------------------------------------------------------------


async def test_two_records_of_one_person_become_one(world: World, his: Line) -> None:
    await his.send(adt("A01", "1", mr="MR1", stay="S1"))
    await his.send(adt("A01", "2", mr="MR2", stay="S2"))
    said = await his.send(adt("A40", "3", at="20261121120000", mr="MR1", pv1="", more=("MRG|MR2^^^HIS^MR",)))
    assert said.code == "AA", said
    assert {each["identifier"][0]["value"] for each in await stays(world)} == {"S1", "S2"}
    said = await his.send(adt("A08", "4", at="20261121130000", mr="MR2", stay="S2"))
    assert said.code == "AA", said


async def test_a_merge_that_comes_before_the_absorbed_record_leads_it_to_the_survivor(world: World, his: Line) -> None:
    await his.send(adt("A01", "1", mr="MR1", stay="S1"))
    merge = adt("A40", "2", at="20261121120000", mr="MR1", pv1="", more=("MRG|MR2^^^HIS^MR",))
    assert (await his.send(merge)).code == "AA"
    assert (await his.send(adt("A01", "3", at="20261121090000", mr="MR2", stay="S2"))).code == "AA"
    assert (await patient(world, "MR2"))["id"] == (await patient(world, "MR1"))["id"]


# ---- what the hospital's messages leave unsaid -------------------------------------------------------------------------


async def test_without_a_number_the_persons_one_open_stay_is_meant(world: World, his: Line) -> None:
    await his.send(adt("A04", "1", pv1=stay_line("O", "OPD", stay="")))
    await his.send(adt("A06", "2", at="20261121110000", pv1=stay_line("I", stay="")))
    assert (await stay(world))["class"]["code"] == "IMP"
    await his.send(adt("A03", "3", at="20261121120000", pv1=stay_line("I", stay="", disposition="1")))
    said = await his.send(adt("A02", "4", at="20261121130000", pv1=stay_line(stay="")))
    assert (said.code, said.key) == ("AE", "which-stay"), said


async def test_a_discharge_that_says_no_way_of_leaving_takes_the_configured_one(world: World) -> None:
    async with ward(world, his=msgspec.structs.replace(HIS_A, disposition_unsaid="9")) as his:
        assert (await his.send(adt("A03", "1"))).code == "AA"
    assert (await stay(world))["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "9"
