"""Who may do what with a case: caseworkers, supervisors and programs, each in their own part."""

from typing import Any

import pytest

from service.access.model import Actor
from service.casework import phase_flow, work_flow
from service.casework.forms import FORMS
from service.casework.model import Answered, Written
from service.errors import Forbidden, Invalid, NotFound
from service.quality import flow as quality
from service.records.model import Record
from service.referrals.model import Task
from service.values import Id, new_id
from tests.casework.town import Town


async def staff(town: Town) -> tuple[Actor, Actor]:
    """A caseworker and a supervisor of agency-a who are signed in."""
    await town.change("UPDATE worker SET supervisor = true WHERE id = $1", town.workers["worker-a2"])
    organization = town.a.organization
    return (
        Actor(new_id(), "person", organization, "social_worker", "Caseworker", worker=town.workers["worker-a"]),
        Actor(new_id(), "person", organization, "supervisor", "Supervisor", worker=town.workers["worker-a2"]),
    )


async def write(town: Town, who: Actor, share: Task, document: str, id: Id | None = None, **values: Any) -> Record:
    """A response to the form of a document, every required item answered."""
    form = next(each for each in FORMS.values() if each.document == document)
    answers = tuple(
        Answered(item.code, item.options[0][1].code if item.options else "true") for item in form.items if item.required
    )
    record = Record(
        id or new_id(), 1, "QuestionnaireResponse", "case-note", who.organization, b'{"resourceType": "QuestionnaireResponse"}', town.now,
        patient=share.patient, status="completed",
    )  # fmt: skip
    said = Written(settled=True, form=form.url, answers=answers, **values)
    return await town.do(work_flow.record_work, who, record, share.id, town.now, said)


async def test_a_supervision_note_is_its_supervisors_and_no_caseworkers_to_edit(town: Town) -> None:
    caseworker, supervisor = await staff(town)
    share = await town.started()
    with pytest.raises(Forbidden) as refused:
        await write(town, caseworker, share, "supervision-note", author=supervisor.worker)
    assert refused.value.key == "supervisor-only"
    note = await write(town, supervisor, share, "supervision-note")
    for who in (caseworker, town.a):
        with pytest.raises(Forbidden) as refused:
            await write(town, who, share, "supervision-note", id=note.id, author=supervisor.worker)
        assert refused.value.key == "supervisor-only"
        with pytest.raises(Forbidden):
            await write(town, who, share, "evaluation", id=note.id)
    changed = await write(town, supervisor, share, "supervision-note", id=note.id)
    assert changed.version == 2


async def test_a_person_signs_for_themselves_alone(town: Town) -> None:
    caseworker, supervisor = await staff(town)
    share = await town.started()
    await write(town, caseworker, share, "closure-summary")
    sign = phase_flow.approve, share.id, "closure-summary"
    with pytest.raises(Forbidden):
        await town.do(sign[0], caseworker, *sign[1:], supervisor.worker, None, town.now)
    with pytest.raises(Invalid):
        await town.do(sign[0], caseworker, *sign[1:], None, None, town.now)
    file = await town.do(sign[0], supervisor, *sign[1:], None, "At last.", town.now)
    assert [(each.supervisor, each.note) for each in file.approvals] == [(supervisor.worker, "At last.")]
    again = await town.do(sign[0], supervisor, *sign[1:], None, None, town.now)
    assert again.approvals == file.approvals, "signed once"
    with pytest.raises(NotFound):
        await town.do(phase_flow.file, town.b, share.id, town.now)


async def test_nobody_supervises_their_own_case(town: Town) -> None:
    _, supervisor = await staff(town)
    share = await town.started()
    await town.change("UPDATE worker SET supervisor = true WHERE id = $1", share.worker)
    with pytest.raises(Forbidden) as refused:
        await write(town, town.a, share, "supervision-note", author=share.worker)
    assert refused.value.key == "own-case"
    await write(town, town.a, share, "supervision-note", author=supervisor.worker)


async def test_the_list_of_what_does_not_hang_together_is_the_supervisors(town: Town) -> None:
    caseworker, supervisor = await staff(town)
    share = await town.started()
    await town.intervene(share)
    with pytest.raises(Forbidden):
        await town.do(quality.orphans, caseworker, None, 50)
    (found,) = await town.do(quality.orphans, supervisor, None, 50)
    assert (found.kind, found.task) == ("intervention-without-goal", share.id)
    assert await town.do(quality.orphans, town.coordinator, None, 50) == [found]
    assert await town.do(quality.orphans, town.b, None, 50) == []


async def test_the_assessment_that_is_late_moves_on_and_the_next_phase_owes_its_own(town: Town) -> None:
    _, supervisor = await staff(town)
    share = await town.started()
    for document in ("intake-form", "service-consent", "risk-screen", "needs-assessment", "problem-list"):
        await write(town, town.a, share, document)
    town.later(days=3)
    await town.do(phase_flow.advance, town.a, share.id, "plan", None, None, town.now)
    loop = await town.loop(share.referral)
    assert loop.next is not None and (loop.next.what, (loop.next.by - town.now).days) == ("plan", 7)
    assert "advance" in await town.told(share.referral)
    assert supervisor.worker not in (loop.next.worker,)


async def test_while_the_share_is_on_hold_its_case_goes_nowhere_and_its_clock_stands(town: Town) -> None:
    from service.casework import flow
    from service.values import Reason

    await staff(town)
    share = await town.started()
    for document in ("intake-form", "service-consent", "risk-screen", "needs-assessment", "problem-list"):
        await write(town, town.a, share, document)
    await town.do(flow.hold, town.a, share.id, Reason(None, "Away."), None, town.now)
    with pytest.raises(Invalid) as refused:
        await town.do(phase_flow.advance, town.a, share.id, "plan", None, None, town.now)
    assert refused.value.key == "illegal-move"
    town.later(days=2)
    await town.do(flow.resume, town.a, share.id, None, town.now)
    loop = await town.loop(share.referral)
    assert loop.next is not None and loop.next.what == "assessment" and (loop.next.by - town.now).days == 7
