"""What an agency writes down: only while it may see the person, its own to read, the hospital's when returned."""

from datetime import timedelta

import pytest

from service.casework import flow, store, work_flow
from service.errors import Forbidden, Invalid, NotFound
from service.records.model import Record
from service.values import Reason, new_id
from tests.casework.town import DONE, MET, Town


def goal(town: Town, patient: object = None) -> Record:
    return Record(
        new_id(), 1, "Goal", "case-note", town.a.organization, b'{"resourceType": "Goal"}', town.now, patient=patient
    )


async def test_an_intervention_says_what_was_done_by_whom_and_for_how_long(town: Town) -> None:
    share = await town.started()
    made = await town.intervene(share, place="Ward 3", outcome="She will go home.", service_type="discharge-planning")
    async with town.pool.transaction(town.a.scope) as session:
        assert await store.interventions(session, share.id) == [made]
    assert (made.service_type, made.method, made.minutes, made.worker) == (
        "discharge-planning",
        "casework",
        45,
        share.worker,
    )
    assert (made.patient, made.outcome, made.version) == (share.patient, "She will go home.", 1)
    assert "record" in await town.told(share.referral)


async def test_ones_own_intervention_is_corrected_in_a_new_version(town: Town) -> None:
    share = await town.started()
    made = await town.intervene(share)
    town.later(hours=2)
    mended = await town.intervene(share, id=made.id, minutes=60)
    assert (mended.version, mended.minutes, mended.recorded_at) == (2, 60, made.recorded_at)
    versions = await town.see(town.a, "SELECT version, current FROM record WHERE id = $1 ORDER BY version", made.id)
    assert versions == [(1, False), (2, True)]
    other = await town.started()
    with pytest.raises(NotFound):
        await town.intervene(other, id=made.id)


@pytest.mark.parametrize(
    ("values", "at"),
    [
        ({"service_type": "chatting"}, "code"),
        ({"method": "magic"}, "category"),
        ({"started_at": None}, "performed"),
        ({"minutes": -1}, "minutes"),
    ],
)
async def test_an_intervention_names_the_element_that_is_wrong(town: Town, values: dict, at: str) -> None:
    share = await town.started()
    with pytest.raises(Invalid) as refused:
        await town.intervene(share, **values)
    assert [issue.at for issue in refused.value.issues] == [at]


async def test_what_is_done_lies_behind_us_and_ends_after_it_began(town: Town) -> None:
    share = await town.started()
    for values in ({"started_at": town.now + timedelta(days=1)}, {"ended_at": town.now - timedelta(hours=1)}):
        with pytest.raises(Invalid):
            await town.intervene(share, **values)
    planned = await town.intervene(share, status="preparation", started_at=town.now + timedelta(days=1))
    assert planned.status == "preparation"


async def test_a_performer_is_a_worker_of_the_agency(town: Town) -> None:
    share = await town.started()
    with pytest.raises(Invalid) as refused:
        await town.intervene(share, worker=town.workers["worker-b"])
    assert refused.value.key == "foreign-worker"
    assert (await town.intervene(share, worker=town.workers["worker-a2"])).worker == town.workers["worker-a2"]


async def test_before_disclosure_no_work_is_recorded(town: Town) -> None:
    loop = await town.refer()
    offered = town.share(loop, town.a)
    with pytest.raises(Invalid) as refused:
        await town.intervene(offered)
    assert refused.value.key == "not-disclosed"
    accepted = town.share(await town.do(flow.accept, town.a, offered.id, None, town.now), town.a)
    for task in (accepted.id, None):
        with pytest.raises(Invalid) as refused:
            await town.do(work_flow.record_work, town.a, goal(town, loop.referral.patient), task, town.now)
        assert refused.value.key == "not-disclosed"


async def test_after_the_end_or_a_withdrawn_consent_work_stays_and_no_more_is_recorded(town: Town) -> None:
    loop = await town.refer()
    given = await town.consent(loop, town.a)
    share = town.share(await town.do(flow.accept, town.a, town.share(loop, town.a).id, None, town.now), town.a)
    made = await town.intervene(share)
    kept = await town.do(work_flow.record_work, town.a, goal(town), share.id, town.now)
    await town.consent(loop, town.a, active=False, id=given.id)
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    own = "SELECT id FROM record WHERE author_id = $1 AND type IN ('Procedure', 'Goal') ORDER BY type"
    assert await town.see(town.a, own, town.a.organization) == [(kept.id,), (made.id,)]
    with pytest.raises(Invalid) as refused:
        await town.intervene(share)
    assert refused.value.key == "not-disclosed"
    ended = await town.started()
    await town.do(flow.complete, town.a, ended.id, MET, (DONE,), town.now)
    with pytest.raises(Invalid):
        await town.intervene(ended)


async def test_the_hospital_never_reads_case_notes(town: Town) -> None:
    share = await town.started()
    await town.intervene(share)
    await town.do(work_flow.record_work, town.a, goal(town), share.id, town.now)
    for table in ("case_file", "intervention"):
        assert await town.see(town.hospital, f"SELECT 1 FROM {table}") == []
        assert await town.see(town.b, f"SELECT 1 FROM {table}") == []
        assert len(await town.see(town.a, f"SELECT 1 FROM {table}")) == 1
    assert await town.see(town.hospital, "SELECT 1 FROM record WHERE author_id = $1", town.a.organization) == []
    with pytest.raises(NotFound):
        await town.do(flow.case, town.hospital, share.id)


async def test_work_without_a_task_belongs_to_the_share_that_knows_the_person(town: Town) -> None:
    share = await town.started()
    kept = await town.do(work_flow.record_work, town.a, goal(town, share.patient), None, town.now)
    assert (kept.task, kept.referral, kept.category, kept.returned) == (share.id, share.referral, "case-note", False)
    with pytest.raises(Invalid):
        await town.do(work_flow.record_work, town.b, goal(town, share.patient), None, town.now)


async def test_a_note_of_ones_own_gets_a_new_version_and_nobody_elses(town: Town) -> None:
    share = await town.started()
    first = await town.do(work_flow.record_work, town.a, goal(town), share.id, town.now)
    second = await town.do(work_flow.record_work, town.a, first, share.id, town.now)
    assert second.version == 2
    other = await town.accepted("N06", who=town.b)
    with pytest.raises(NotFound):
        await town.do(work_flow.record_work, town.b, first, other.id, town.now)


async def test_only_the_first_note_shows_in_the_timeline(town: Town) -> None:
    share = await town.started()
    for _ in range(3):
        await town.do(work_flow.record_work, town.a, goal(town), share.id, town.now)
    assert (await town.told(share.referral)).count("record") == 1
    with pytest.raises(Forbidden):
        await town.do(work_flow.record_work, town.hospital, goal(town), share.id, town.now)


async def test_a_workers_open_cases_come_page_by_page(town: Town) -> None:
    shares = [await town.started() for _ in range(3)]
    first = await town.do(flow.cases, town.a, worker=shares[0].worker, limit=2)
    rest = await town.do(flow.cases, town.a, worker=shares[0].worker, after=first[-1].id, limit=2)
    assert [case.task for case in (*first, *rest)] == [share.id for share in shares]
    await town.do(flow.fail, town.a, shares[1].id, Reason("moved", "She moved away."), town.now)
    left = await town.do(flow.cases, town.a)
    assert [case.task for case in left] == [shares[0].id, shares[2].id]
    assert await town.do(flow.cases, town.a, worker=new_id()) == []
