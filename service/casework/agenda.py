"""What the worker of a case owes next, and by when (moves.md: “the case's next due item”); pure."""

from datetime import datetime

from service.casework.model import CaseFile
from service.casework.phases import PHASES
from service.practice import Limit, Practice
from service.referrals import clocks
from service.referrals.model import Clock


def due(file: CaseFile, practice: Practice) -> tuple[str, Clock] | None:
    """The item and its clock; None where the phase itself owes nothing (before the start, after the end).

    In the intervention that is whichever comes first: the review that the plan names (else the practice's limit), the next
    supervision note, or the note of an appointment that will have taken place.
    """
    stage = PHASES[file.case.phase]
    if file.case.closed_at is not None or file.case.phase == "intake" or stage.item is None or stage.limit is None:
        return None
    since = file.entered_at
    if file.case.phase != "intervention":
        limit: Limit = getattr(practice, stage.limit)
        return stage.item, clocks.begin(limit, since, practice)
    plan = file.plan
    reviewed = max(since, plan.at) if plan else since
    review = plan.review_at if plan and plan.review_at and plan.review_at > reviewed else None
    found = [
        ("review", clocks.until(review, reviewed) if review else clocks.begin(practice.review, reviewed, practice))
    ]
    notes = [filed.at for filed in file.documents if filed.document == "supervision-note"]
    found.append(("supervision", clocks.begin(practice.supervision, max([since, *notes]), practice)))
    visits = [each.started_at for each in file.interventions if each.status == "preparation" and each.started_at]
    found += [("note", clocks.begin(practice.note, visit, practice)) for visit in visits]
    return min(found, key=lambda item: item[1].due)


def late_notes(file: CaseFile, practice: Practice) -> tuple[int, int]:
    """How many contacts were noted, and how many of them late: more than the practice's limit after the contact ended."""
    noted = [
        (each.ended_at or each.started_at, each.noted_at)
        for each in file.interventions
        if each.status == "completed" and each.started_at and each.noted_at
    ]
    late = sum(_after(contact, note) > practice.note.minutes * 60 for contact, note in noted if contact)
    return len(noted), late


def _after(contact: datetime, note: datetime) -> float:
    return (note - contact).total_seconds()
