"""What was recorded in error leaves nothing behind: no case, no follow-up and no knowledge of the person with the agency."""

import pytest

from service.casework import flow
from service.errors import NotFound
from service.values import Reason
from tests.casework.town import DONE, MET, Town

WRONG = Reason(None, "The wrong patient.")


async def nothing_is_left(town: Town, task) -> None:
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    assert await town.do(flow.cases, town.a) == []
    case = await town.do(flow.case, town.a, task)
    assert (case.phase, case.ending, case.reason) == ("closure", "void", WRONG) and case.closed_at == town.now
    assert await town.nobody_forgotten()


async def test_voiding_a_share_closes_its_case_and_hands_its_follow_ups_to_the_hospital(town: Town) -> None:
    share = await town.started()
    await town.discharged(await town.loop(share.referral))
    loop = await town.do(flow.void_share, town.hospital, share.id, WRONG, town.later(hours=1))
    assert loop.share(share.id).status == "entered-in-error"
    assert [task.agency for task in loop.follow_ups if task.open] == [None] * 5
    assert (await town.told(share.referral)).count("hand-over") == 5
    await nothing_is_left(town, share.id)


async def test_voiding_a_completed_share_leaves_its_case_as_it_ended(town: Town) -> None:
    share = await town.started()
    await town.discharged(await town.loop(share.referral))
    await town.do(flow.complete, town.a, share.id, MET, (DONE,), town.now)
    loop = await town.do(flow.void_share, town.coordinator, share.id, WRONG, town.now)
    assert [task.agency for task in loop.follow_ups if task.open] == [None] * 5
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    assert (await town.do(flow.case, town.a, share.id)).ending == "complete"


async def test_voiding_the_referral_closes_its_cases(town: Town) -> None:
    share = await town.started()
    await town.discharged(await town.loop(share.referral))
    with pytest.raises(NotFound):
        await town.do(flow.void, town.stranger, share.referral, WRONG, town.now)
    loop = await town.do(flow.void, town.hospital, share.referral, WRONG, town.later(hours=1))
    assert {task.status for task in (loop.parent, *loop.shares, *loop.follow_ups)} == {"entered-in-error"}
    await nothing_is_left(town, share.id)
