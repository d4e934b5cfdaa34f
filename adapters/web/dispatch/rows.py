"""A referral or a Task as the lists of this room show it."""

from datetime import datetime

import msgspec

from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Person
from service.patients.model import Patient
from service.referrals.model import Referral, Task
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Open
from service.values import Id


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
    sealed = isinstance(about, Task) and about.sealed
    worker = named.workers.get(task.worker) if task and task.worker else None
    return Row(
        id=step.referral,
        task=task.id if task else None,
        kind=task.kind if task else "parent",
        urgency=open.referral.effective_urgency if open.referral else task.urgency if task else "routine",
        needs=about.told_needs if isinstance(about, Task) else about.needs,
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
