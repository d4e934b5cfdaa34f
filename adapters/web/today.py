"""The first page of everybody's day: what is open, whose turn it is, and until when."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import acting, shell
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.patients.model import Patient
from service.referrals import overview_flow
from service.referrals.model import Referral, Task
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Open
from service.values import Id

AT_A_TIME = 30
NOTHING = {
    "auditor": (noted("审计"), noted("审计记录目前通过接口查阅（AuditEvent）；转介内容不向审计员开放。")),
}
"""Side → the title and the words of its page, where it reads no referrals."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(msgspec.Struct, frozen=True):
    """One open referral as the list shows it: `person` only where the reader may know them, else what an offer shows."""

    id: Id
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    language: str | None
    says: str | None
    sentence: Sentence
    flagged: bool


@get("/today", media_type=MediaType.HTML)
async def today(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """What is open for the reader's side, soonest due first."""
    if shell.served(request, home := shell.home(who)):
        # What was just done is said where it leads.
        done = request.query_params.get("done", "")
        return shell.to(acting.done(home, done) if done in acting.DONE else home)
    if who.actor.side in NOTHING:
        title, why = (who.speech.gettext(words) for words in NOTHING[who.actor.side])
        return shell.page(request, "nothing.html", who, who.speech, title=title, why=why)
    async with access.open(state.database, who.actor, shell.call(request, "page-today")) as session:
        found = await overview_flow.overview(
            session, who.actor, session.began, after=_place(request.query_params.get("after")), limit=AT_A_TIME
        )
        now = session.began
    rows = [_row(each, found.names, who, now) for each in found.rows]
    return shell.page(
        request, "today.html", who, who.speech, title=shell.NAVIGATION[who.actor.role][0][2], rows=rows, next=_written(found.after),
        later="after" in request.query_params,
    )  # fmt: skip


def _row(open: Open, named: Names, who: Person, now: datetime) -> Row:
    about: Referral | Task | None = open.referral or open.task
    assert about is not None
    step, task = open.step, open.task
    return Row(
        id=step.referral,
        urgency=open.referral.effective_urgency if open.referral else task.urgency if task else "routine",
        needs=_needs(about),
        person=named.patients.get(open.patient) if open.patient else None,
        age_band=about.age_band,
        gender=about.gender,
        region=who.speech.name(named.regions.get(about.region)) or about.region if about.region else None,
        language=None if _sealed(about) else about.language,
        says=task.business_status if task else None,
        sentence=sentence(
            step, who.actor, named.organizations.get(step.organization),
            named.workers.get(step.worker) if step.worker else None, who.speech, now,
        ),
        flagged=about.contact_prohibited,
    )  # fmt: skip


def _sealed(about: Referral | Task) -> bool:
    """Whether it is an agency's share with a safety need whose person it does not know: it says county, minor, adult or elder,
    and “safety” (domain f-7), before acceptance, while consent is awaited, and when all is over."""
    return isinstance(about, Task) and about.safety and about.patient is None


def _needs(about: Referral | Task) -> tuple[str, ...]:
    return (codes.SAFETY,) if _sealed(about) else about.needs


def _place(written: str | None) -> tuple[datetime | None, Id] | None:
    """Where a page begins, as a link carries it; a link that is none of ours begins at the beginning."""
    try:
        raw = base64.urlsafe_b64decode((written or "").encode())
        return EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big")), Id(bytes=raw[8:])
    except (ValueError, OverflowError):
        return None


def _written(after: tuple[datetime | None, Id] | None) -> str | None:
    if after is None:
        return None
    at, id = after
    micros = ((at or EPOCH) - EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big") + id.bytes).decode()


route_handlers = [today]
