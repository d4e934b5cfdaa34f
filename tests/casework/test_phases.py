"""The table of phases and what follows from it: gates, score, what is due, what is broken; without a database."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from service import codes
from service.case_codes import CASE_DOCUMENT, CASE_ORPHAN
from service.casework import agenda, forms, linkage, phases
from service.casework.model import (
    Answered,
    Approval,
    Case,
    CaseFile,
    Filed,
    Goal,
    Intervention,
    Phase,
    Plan,
    Step,
)
from service.errors import Conflict, Invalid
from service.practice import Practice
from service.values import SHANGHAI, new_id

NOW = datetime(2025, 3, 10, 9, 0, tzinfo=SHANGHAI)
PRACTICE = Practice()
ME = new_id()


def case(phase: Phase = "assessment", **values: object) -> Case:
    return Case(new_id(), 1, new_id(), new_id(), new_id(), NOW, phase=phase, **values)  # pyright: ignore[reportArgumentType]


def file(phase: Phase = "assessment", *documents: str, **values: object) -> CaseFile:
    it = values.pop("case", None) or case(phase)
    assert isinstance(it, Case)
    steps = values.pop("steps", None) or (Step(it.id, 1, phase, NOW, ME, "agency"),)
    held = tuple(Filed(code, "QuestionnaireResponse", new_id(), 1, NOW) for code in documents)
    return msgspec.structs.replace(CaseFile(it, ("N05",), NOW, steps=steps, documents=held), **values)  # pyright: ignore


def visit(**values: object) -> Intervention:
    given: dict[str, object] = {"status": "completed", "started_at": NOW, "noted_at": NOW} | values
    return Intervention(
        new_id(), 1, new_id(), new_id(), new_id(), new_id(), new_id(), "companionship", method="casework", recorded_at=NOW, updated_at=NOW,
        **given,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def aim(**values: object) -> Goal:
    given: dict[str, object] = {
        "status": "active",
        "goal_type": "resolve",
        "measured": True,
        "needs": ("N05",),
    } | values
    return Goal(new_id(), new_id(), new_id(), new_id(), at=NOW, **given)  # pyright: ignore[reportArgumentType]


EVERYTHING = tuple(code for stage in phases.PHASES.values() for code in stage.documents)


def test_the_table_speaks_of_every_phase_and_document_there_is() -> None:
    assert list(phases.PHASES) == list(codes.LISTS[codes.CASE_PHASE].codes) == list(get_args(Phase))
    assert set(EVERYTHING) == phases.DOCUMENTS.keys() == set(codes.LISTS[CASE_DOCUMENT].codes)
    assert len(EVERYTHING) == len(set(EVERYTHING)), "a document belongs to one phase"
    for stage in phases.PHASES.values():
        assert stage.signed is None or stage.signed in stage.documents
        assert all(phases.ORDER.index(earlier) < phases.ORDER.index(stage.phase) for earlier in stage.back)
        assert stage.limit is None or hasattr(PRACTICE, stage.limit)
    assert {form.document for form in forms.FORMS.values()} == {c for c, how in phases.DOCUMENTS.items() if how.form}


def test_the_docs_show_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "casework.md").read_text()
    assert phases.table() in page


@pytest.mark.parametrize("here", phases.ORDER)
@pytest.mark.parametrize("to", phases.ORDER)
def test_every_phase_to_every_phase(here: Phase, to: Phase) -> None:
    """Forward with everything, back where the table says, nowhere else."""
    before, after = phases.ORDER.index(here), phases.ORDER.index(to)
    it = file(here)
    if to in phases.PHASES[here].back:
        assert phases.goes_back(it, to)
    elif after > before:
        assert not phases.goes_back(it, to)
    else:
        with pytest.raises(Invalid) as refused:
            phases.goes_back(it, to)
        assert refused.value.key == "illegal-move"


@pytest.mark.parametrize("document", EVERYTHING)
def test_each_document_by_itself_holds_the_case_and_is_named(document: str) -> None:
    others = [code for code in EVERYTHING if code != document]
    it = file("intake", *others, follow_ups=1)
    with pytest.raises(Conflict) as refused:
        phases.check(it, "archive", "completed", waived=False)
    assert refused.value.key == "documents-missing"
    missing = [issue for issue in refused.value.issues if "$approve" not in issue.text]
    (issue,) = missing
    assert codes.label(CASE_DOCUMENT, document) in issue.text and document in issue.text
    assert codes.label(CASE_DOCUMENT, document, "en").lower() in issue.text


def test_with_every_document_and_signature_nothing_holds_it() -> None:
    it = file("intake", *EVERYTHING, follow_ups=1)
    signed = tuple(
        Approval(new_id(), it.case.id, each.document, each.id, each.version, ME, NOW, ME)
        for each in it.documents
        if each.document in ("service-plan", "closure-summary")
    )
    phases.check(msgspec.structs.replace(it, approvals=signed), "archive", "completed", waived=False)
    assert (
        phases.standing(msgspec.structs.replace(it, case=msgspec.structs.replace(it.case, phase="archive"))).percent
        == 100
    )


@pytest.mark.parametrize(
    ("to", "status", "fits"),
    [
        ("plan", "in-progress", True), ("plan", "accepted", False), ("plan", "on-hold", False), ("closure", "in-progress", True),
        ("closure", "completed", False), ("archive", "completed", True), ("archive", "in-progress", False), ("follow-up", "failed", True),
    ],
)  # fmt: skip
def test_a_phase_of_the_work_is_entered_while_the_task_goes_on_and_the_last_ones_after(
    to: Phase, status: str, fits: bool
) -> None:
    if fits:
        phases.check(file("intake"), to, status, waived=True)
    else:
        with pytest.raises(Invalid) as refused:
            phases.check(file("intake"), to, status, waived=True)
        assert refused.value.key == "illegal-move"


def test_the_score_counts_what_the_phases_behind_ask_for() -> None:
    assert phases.standing(file("intake")).percent == 100, "nothing is behind it yet"
    assert phases.standing(file("assessment")).percent == 0
    done = file("plan", "intake-form", "service-consent", "risk-screen", "needs-assessment")
    assert (phases.standing(done).required, phases.standing(done).present, phases.standing(done).percent) == (5, 4, 80)
    assert [lack.document for lack in phases.standing(done).lacks] == ["problem-list"]


def test_a_case_without_follow_ups_needs_no_record_of_one() -> None:
    closed = case("archive", closed_at=NOW, ending="complete")
    assert "follow-up-record" not in str(phases.standing(file("archive", case=closed)).lacks)
    assert "follow-up-record" in str(phases.standing(file("archive", case=closed, follow_ups=5)).lacks)


@pytest.mark.parametrize(("days", "notes"), [(3, 1), (30, 1), (59, 1), (60, 2), (95, 3)])
def test_one_supervision_note_for_each_thirty_days_of_intervention(days: int, notes: int) -> None:
    for held in (notes - 1, notes):
        it = file("intervention", *["supervision-note"] * held, at=NOW + timedelta(days=days))
        assert phases.has(it, "supervision-note") == (held == notes)


def test_a_signature_is_on_one_version() -> None:
    it = file("plan", "service-plan")
    plan = it.documents[0]
    signed = Approval(new_id(), it.case.id, "service-plan", plan.id, 1, ME, NOW, ME)
    assert phases.approved(msgspec.structs.replace(it, approvals=(signed,)), "service-plan")
    later = msgspec.structs.replace(plan, version=2)
    assert not phases.approved(msgspec.structs.replace(it, documents=(later,), approvals=(signed,)), "service-plan")
    another = Filed("service-plan", "CarePlan", new_id(), 1, NOW + timedelta(days=1))
    assert not phases.approved(
        msgspec.structs.replace(it, documents=(plan, another), approvals=(signed,)), "service-plan"
    )


@pytest.mark.parametrize(
    ("phase", "item", "days"), [("assessment", "assessment", 7), ("plan", "plan", 7), ("intervention", "review", 30), ("evaluation", "evaluation", 14)]
)  # fmt: skip
def test_each_phase_owes_its_item_within_its_limit(phase: Phase, item: str, days: int) -> None:
    found = agenda.due(file(phase), PRACTICE)
    assert found is not None
    assert (found[0], found[1].due - NOW) == (item, timedelta(days=days))


def test_a_closure_is_summed_up_within_five_working_days() -> None:
    found = agenda.due(file("closure"), PRACTICE)
    assert found is not None and found[0] == "closure"
    assert found[1].due.astimezone(SHANGHAI) == datetime(2025, 3, 14, 17, 0, tzinfo=SHANGHAI), "Monday to Friday"


@pytest.mark.parametrize("phase", ["intake", "follow-up", "archive"])
def test_before_the_work_and_after_it_nothing_is_owed(phase: Phase) -> None:
    assert agenda.due(file(phase), PRACTICE) is None
    assert agenda.due(file("closure", case=case("closure", closed_at=NOW, ending="complete")), PRACTICE) is None


def test_whatever_comes_first_in_the_intervention_is_owed_next() -> None:
    it = file("intervention")
    sooner = Plan(new_id(), 1, it.case.id, new_id(), new_id(), "active", NOW, (), NOW + timedelta(days=10))
    booked = visit(status="preparation", started_at=NOW + timedelta(days=2), noted_at=None)
    for parts, item, days in (
        ({"plans": (sooner,)}, "review", 10), ({"interventions": (booked,), "plans": (sooner,)}, "note", 3),
        ({"plans": (msgspec.structs.replace(sooner, review_at=NOW + timedelta(days=80)),)}, "supervision", 30),
    ):  # fmt: skip
        found = agenda.due(msgspec.structs.replace(it, **parts), PRACTICE)
        assert found is not None and (found[0], found[1].due - NOW) == (item, timedelta(days=days))


@pytest.mark.parametrize(("hours", "late"), [(0, 0), (24, 0), (24.01, 1), (25, 1)])
def test_a_note_is_late_more_than_a_day_after_the_contact_ended(hours: float, late: int) -> None:
    it = file("intervention", interventions=(visit(ended_at=NOW, noted_at=NOW + timedelta(hours=hours)),))
    assert agenda.late_notes(it, PRACTICE) == (1, late)


def test_what_does_not_hang_together_is_found() -> None:
    sound = aim(achievement="achieved")
    served = visit(goals=(sound.id,))
    it = file("intervention", goals=(sound,), interventions=(served,))
    assert linkage.orphans(it) == ()
    for change, kind in (
        ({"interventions": (visit(),)}, "intervention-without-goal"),
        ({"goals": (aim(measured=False),), "interventions": ()}, "goal-without-measure"),
        ({"goals": (aim(needs=()),), "interventions": ()}, "need-without-goal"),
    ):
        assert [each.kind for each in linkage.orphans(msgspec.structs.replace(it, **change))] == [kind]
    ended = case("closure", closed_at=NOW, ending="complete")
    assert [each.kind for each in linkage.orphans(file("closure", case=ended, goals=(aim(),)))] == [
        "goal-without-outcome"
    ]
    assert {"need-without-goal", "goal-without-measure", "intervention-without-goal", "goal-without-outcome"} == set(codes.LISTS[CASE_ORPHAN].codes)  # fmt: skip


def test_an_appointment_or_a_goal_that_was_given_up_is_no_broken_link() -> None:
    booked = visit(status="preparation", noted_at=None)
    assert (
        linkage.orphans(
            file("assessment", interventions=(booked,), goals=(aim(status="entered-in-error", measured=False),))
        )
        == ()
    )


@pytest.mark.parametrize(
    ("status", "open"), [("in-progress", True), ("preparation", True), ("completed", False), ("stopped", False)]
)
def test_a_goal_closes_when_what_serves_it_is_settled_with_others(status: str, open: bool) -> None:
    goal = aim(status="completed")
    serving = (
        visit(status=status, goals=(goal.id,), coordination="police"),
        visit(status="in-progress", coordination="police"),
    )
    if open:
        with pytest.raises(Conflict) as refused:
            linkage.check_close(goal, serving)
        assert refused.value.key == "coordination-open"
    else:
        linkage.check_close(goal, serving)
    linkage.check_close(aim(), serving)


@pytest.mark.parametrize("form", forms.FORMS.values(), ids=lambda form: form.document)
def test_every_form_has_its_words_in_both_languages_and_says_what_it_lacks(form: forms.Form) -> None:
    assert re.search("[\u4e00-\u9fff]", form.title[0]) and not re.search("[\u4e00-\u9fff]", form.title[1])
    assert len({item.code for item in form.items}) == len(form.items)
    for item in form.items:
        assert re.search("[\u4e00-\u9fff]", item.zh) and not re.search("[\u4e00-\u9fff]", item.en), item
        assert bool(item.options) == (item.type == "choice"), item
    required = [item for item in form.items if item.required]
    assert len(forms.faults(form, ())) == len(required) > 0
    given = [Answered(item.code, item.options[0][1].code if item.options else "true") for item in required]
    assert forms.faults(form, given) == () and forms.counts(form, given)
