"""A referral or a Task as the lists of this room show it, and where a page of them begins."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Person
from service import codes
from service.patients.model import Patient
from service.referrals.model import Referral, Task
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Open
from service.values import Id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = b"\xff" * 8
"""In place of a time: no clock runs."""


class Row(msgspec.Struct, frozen=True):
    """`person` only where the reader may know them, else what an offer shows. `task` is the agency's own, where the row is one."""

    id: Id
    task: Id | None
    kind: str
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    says: str | None
    hospital: str
    worker: str | None
    sentence: Sentence
    flagged: bool


def row(open: Open, named: Names, who: Person, now: datetime) -> Row:
    """The row in the reader's words, with nobody in it whom row security does not show."""
    about: Referral | Task | None = open.referral or open.task
    assert about is not None
    step, task, speech = open.step, open.task, who.speech
    # An agency's share with a safety need whose person it does not know says county, minor, adult or elder, and “safety” (f-7).
    sealed = isinstance(about, Task) and about.safety and about.patient is None
    worker = named.workers.get(task.worker) if task and task.worker else None
    return Row(
        id=step.referral,
        task=task.id if task else None,
        kind=task.kind if task else "parent",
        urgency=open.referral.effective_urgency if open.referral else task.urgency if task else "routine",
        needs=(codes.SAFETY,) if sealed else about.needs,
        person=named.patients.get(open.patient) if open.patient else None,
        age_band=about.age_band,
        gender=about.gender,
        region=speech.name(named.regions.get(about.region)) or about.region if about.region else None,
        says=task.business_status if task else None,
        hospital="" if sealed else speech.name(named.organizations.get(step.hospital)),
        worker=worker.name if worker else None,
        sentence=sentence(
            step, who.actor, named.organizations.get(step.organization), named.workers.get(step.worker) if step.worker else None,
            speech, now,
        ),
        flagged=about.contact_prohibited,
    )  # fmt: skip


def place(written: str | None) -> tuple[datetime | None, Id] | None:
    """Where a page begins, as a link carries it; a link that is none of ours begins at the beginning."""
    try:
        raw = base64.urlsafe_b64decode((written or "").encode())
        at = None if raw[:8] == NEVER else EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big"))
        return at, Id(bytes=raw[8:])
    except (ValueError, OverflowError):
        return None


def written(after: tuple[datetime | None, Id] | None) -> str | None:
    """The place as a link carries it."""
    if after is None:
        return None
    at, id = after
    began = NEVER if at is None else ((at - EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big")
    return base64.urlsafe_b64encode(began + id.bytes).decode()


def as_id(text: Any) -> Id | None:
    """An id that somebody sent; None where it is none."""
    try:
        return Id(str(text)) if text else None
    except ValueError:
        return None
