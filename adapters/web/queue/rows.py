"""A row of the queue as its reader may see it, and where a page of rows begins."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from adapters.web.queue import words
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Person
from service import codes
from service.patients.model import Patient
from service.referrals.overview_store import Open
from service.referrals.queue_flow import Shown, Since
from service.referrals.queue_store import BEGINNING, Place
from service.values import Id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Line(msgspec.Struct, frozen=True):
    """One row: `person` only where the reader may know them, else what an offer shows (T0). `now_is`: what became of it, where it
    is over or somebody has it; then `sentence` may be empty."""

    task: Id
    referral: Id
    kind: str
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    hospital: str
    ward: str
    worker: str
    flagged: bool
    offered: bool
    sentence: Sentence | None
    now_is: str = ""


def lines(found: Shown, who: Person, now: datetime) -> list[Line]:
    return [line(row, found, who, now) for row in found.rows]


def line(row: Open, found: Shown, who: Person, now: datetime, now_is: str = "") -> Line:
    task, step, names = row.task, row.step, found.names
    assert task is not None
    worker = names.workers.get(task.worker) if task.worker else None
    return Line(
        task=task.id,
        referral=task.referral,
        kind=task.kind,
        urgency=task.urgency,
        needs=task.told_needs,
        person=names.patients.get(task.patient) if task.patient else None,
        age_band=task.age_band,
        gender=task.gender,
        region=who.speech.name(names.regions.get(task.region)) or task.region if task.region else None,
        hospital="" if task.sealed else who.speech.name(names.organizations.get(task.hospital)),
        ward=found.wards.get(task.referral, ""),
        worker=worker.name if worker else "",
        flagged=task.contact_prohibited,
        offered=task.status == "requested",
        sentence=sentence(
            step, who.actor, names.organizations.get(step.organization),
            names.workers.get(step.worker) if step.worker else None, who.speech, now,
        ),
        now_is=now_is,
    )  # fmt: skip


def changed(since: Since, asked: list[Id], who: Person, now: datetime) -> tuple[list[Line], dict[Id, str]]:
    """How rows stand now: those that are open, each with what became of it; and what to say of those that are not."""
    _ = who.speech.gettext
    shown: list[Line] = []
    gone: dict[Id, str] = {}
    for row in since.found.rows:
        assert row.task is not None
        taken = since.taken.get(row.task.id)
        says = ""
        if taken and row.task.id not in since.inside:
            says = _("您已接单") if taken.by == who.actor.id else _("已由 %(who)s 接单") % {"who": taken.name}
        elif row.task.id not in since.inside:
            says = _("已不在这个视图里")
        shown.append(line(row, since.found, who, now, says))
    present = {each.task for each in shown}
    for id in asked:
        if id in since.ended:
            ended = since.ended[id]
            says = who.speech.code(codes.BUSINESS_STATUS, ended.business_status)
            gone[id] = says or _(words.STATUS.get(ended.status, ended.status))
        elif id not in present:
            gone[id] = _("已由其他机构接单，或已收回")
    return shown, gone


# ---- addresses --------------------------------------------------------------------------------------------------------


class Where(msgspec.Struct, frozen=True):
    """What the list shows: a view, its filter as tokens, the row that is open, where the page begins."""

    view: str = "all"
    tokens: tuple[str, ...] = ()
    open: Id | None = None
    after: Place = BEGINNING
    saved: Id | None = None

    def path(self, **changes: object) -> str:
        """The address of this, or of this changed."""
        it = msgspec.structs.replace(self, **changes)
        said = {"view": it.view} if it.view != "all" else {}
        said |= {"q": " ".join(it.tokens)} if it.tokens else {}
        said |= {"saved": str(it.saved)} if it.saved else {}
        said |= {"after": written(it.after)} if it.after != BEGINNING else {}
        said |= {"open": str(it.open)} if it.open else {}
        return "/queue" + (f"?{urlencode(said)}" if said else "")

    def with_token(self, token: str) -> str:
        """The address with this word of the filter put in, or taken out."""
        there = token in self.tokens
        tokens = tuple(each for each in self.tokens if each != token) if there else (*self.tokens, token)
        return self.path(tokens=tokens, after=BEGINNING, saved=None)


def written(after: Place) -> str:
    micros = 2**63 if after.due is None else (after.due - EPOCH) // timedelta(microseconds=1)
    raw = bytes([after.rank]) + micros.to_bytes(8, "big") + after.task.bytes
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def place(text: str | None) -> Place:
    """Where a page begins, as an address carries it; what is none of ours is the beginning."""
    try:
        raw = base64.urlsafe_b64decode((text or "") + "=" * (-len(text or "") % 4))
        micros = int.from_bytes(raw[1:9], "big")
        due = None if micros == 2**63 else EPOCH + timedelta(microseconds=micros)
        return Place(raw[0], due, Id(bytes=raw[9:]))
    except (ValueError, OverflowError, IndexError):
        return BEGINNING
