"""Answering an offer without an account: links in notices to an agency, opened without effect, used once, by the same verbs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.casework import flow as casework
from service.codes import DECLINE_REASON
from service.db import Database, Scope, Session
from service.db.finding import Condition
from service.directory import store as directory
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.notices import link_store, links
from service.notices.links import Act, AnswerLink, State
from service.notices.model import Notice, Subscriber
from service.practice import PLATFORM
from service.referrals import finding as referrals
from service.referrals import flow, messaging, steps, store
from service.referrals.model import Task
from service.values import Id, Reason, new_id

LONGEST_REASON, LONGEST_QUESTION = 500, 2000
"""Letters of what is written on a page."""

KEPT = timedelta(days=90)
"""How long a link that has ended still says what became of it."""

UNKNOWN = "This link is not known here: it was cut short on its way, or is older than what is kept."


class Answerable(msgspec.Struct, frozen=True):
    """What a notice lets its reader do about a share: a token for each act, and until when they hold."""

    task: Id
    tokens: Mapping[Act, str]
    until: datetime


class Holder(msgspec.Struct, frozen=True):
    """Who holds a link: the agency, by this link, and nobody in person."""

    actor: Actor
    link: AnswerLink


class Shown(msgspec.Struct, frozen=True):
    """What whoever opens a link may see: T0 of the offer (a share's row holds no more of the person), how it stands, and
    where it was accepted by this link, the token that returns it and until when.

    `task` is None where the agency may not see it any more. `places`: region code → names in Chinese and English.
    """

    link: AnswerLink
    state: State
    agency: tuple[str, str]
    task: Task | None = None
    places: Mapping[str, tuple[str, str]] = {}
    undo: str | None = None
    undo_until: datetime | None = None


async def answerable(session: Session, to: Subscriber, notices: Sequence[Notice], now: datetime) -> list[Answerable]:
    """Links for what these notices are about, as it stands at this moment. Needs the platform's scope.

    The same notice has the same links whenever it is sent; stored are their hashes alone.
    """
    about = {notice.task: notice.delivery for notice in reversed(notices) if notice.task}
    if not about:
        return []
    secret, listens = await link_store.mailbox(session, to.id)
    found = await referrals.tasks(session, [Condition("id", tuple(about))], len(about)) if listens else []
    made: list[tuple[bytes, AnswerLink]] = []
    told: list[Answerable] = []
    for task in found:
        ends = links.offered(task, to.organization, now, session.practice)
        tokens: dict[Act, str] = {act: links.token(secret, about[task.id], task.id, act) for act in ends}
        made += [
            (links.digest(tokens[act]), AnswerLink(new_id(), to.id, about[task.id], task.id, to.organization, act, now, end))
            for act, end in ends.items()
        ]  # fmt: skip
        if tokens:
            told.append(Answerable(task.id, tokens, min(ends.values())))
    await link_store.keep(session, made)
    return told


async def holder(database: Database, token: str) -> Holder:
    """Whose link this is. Raises NotFound for one that was never made, or was forgotten."""
    # A look-up before anybody is known, as that of a program's token is: of the link, its mailbox and the agency's name.
    async with database.transaction(Scope(PLATFORM, "platform", platform=True), writes=False) as session:
        link = await link_store.find(session, links.digest(token))
        agency = await directory.organization(session, link.agency) if link else None
    if link is None or agency is None:
        raise NotFound(UNKNOWN, key="no-link")
    name = f"{agency.name_zh}（邮件链接 e-mail link）"
    return Holder(Actor(link.id, "link", link.agency, "agency", name), link)


async def look(session: Session, holder: Holder, now: datetime) -> Shown:
    """What the link's page shows. Changes nothing, whoever opens it: a person, or a machine that reads mail."""
    link = await link_store.read(session, holder.link.id)
    if link is None:
        raise NotFound(UNKNOWN, key="no-link")
    secret, listens = await link_store.mailbox(session, link.subscriber)
    task = await store.task(session, link.task)
    agency = await directory.organization(session, link.agency)
    shown = Shown(
        link, links.state(link, task, now, session.practice, listens=listens),
        (agency.name_zh, agency.name_en) if agency else ("", ""), task,
    )  # fmt: skip
    if task is None:
        return shown
    session.referrals.add(task.referral)
    codes = {task.region, task.region[:6]} if task.region else set[str]()
    places = {code: (region.name_zh, region.name_en) for code, region in (await directory.regions(session, codes)).items()}  # fmt: skip
    shown = msgspec.structs.replace(shown, places=places)
    if link.action == "accept" and link.used_at and "return" in links.offered(task, link.agency, now, session.practice):
        undo = links.token(secret, link.delivery, link.task, "return")
        until = links.grace_end(task, session.practice)
        return msgspec.structs.replace(shown, undo=undo, undo_until=until)
    return shown


async def accept(session: Session, holder: Holder, now: datetime) -> None:
    """Accept the offer, or claim it where it is open to several; with it the link to return it is made."""
    link = await _used(session, holder, "accept", now)
    loop = await casework.accept(session, holder.actor, link.task, None, now)
    share = loop.share(link.task)
    ends = links.offered(share, link.agency, now, session.practice)
    secret, _ = await link_store.mailbox(session, link.subscriber)
    undo = links.token(secret, link.delivery, link.task, "return")
    made = [AnswerLink(new_id(), link.subscriber, link.delivery, link.task, link.agency, act, now, end) for act, end in ends.items()]  # fmt: skip
    await link_store.keep(session, [(links.digest(undo), one) for one in made if one.action == "return"])


async def decline(session: Session, holder: Holder, reason: Reason, now: datetime) -> None:
    """Refuse the offer, with a coded reason and words; the next agency is offered it in the same transaction."""
    why = _why(reason)
    link = await _used(session, holder, "decline", now)
    await flow.decline(session, holder.actor, link.task, why, now)


async def give_back(session: Session, holder: Holder, reason: Reason, now: datetime) -> None:
    """Return what was accepted, within the grace time, with a coded reason and words; the next agency is offered it."""
    why = _why(reason)
    link = await _used(session, holder, "return", now)
    await casework.return_offer(session, holder.actor, link.task, why, now)


async def ask(session: Session, holder: Holder, text: str, now: datetime) -> None:
    """Ask the hospital; the reply clock pauses until it has answered, and the notice of its answer brings new links."""
    words = _words(text, LONGEST_QUESTION, "question")
    link = await _used(session, holder, "ask", now)
    await messaging.ask_in_words(session, holder.actor, link.task, words, now)


async def forget(session: Session, actor: Actor, now: datetime) -> int:
    """A sweep: drop links that ended long ago."""
    if actor.side != "platform":
        raise Forbidden("Only the platform forgets another's links.")
    return await link_store.forget(session, now - KEPT)


async def _used(session: Session, holder: Holder, act: Act, now: datetime) -> AnswerLink:
    """Use the link up and say what it is for. Raises Conflict where the offer cannot be answered by it any more; what the
    verb then refuses is undone with the transaction, and the link is as it was."""
    link = holder.link
    if link.action != act:
        raise Invalid("This link is for another act.", key="other-act")
    # Taken before anything is read: of two who press at once, one waits here and is told what the other did.
    mine = await link_store.use(session, link.id, now)
    _, listens = await link_store.mailbox(session, link.subscriber)
    task = await store.task(session, link.task)
    at = links.state(link, task, now, session.practice, listens=listens) if mine else "used"
    if at != "open":
        raise Conflict("This link does not answer anything any more.", key=at)
    return link


def _why(reason: Reason) -> Reason:
    words = _words(reason.text or "", LONGEST_REASON, "reason")
    return steps.coded(Reason(reason.code, words), DECLINE_REASON, at="reason")


def _words(text: str, most: int, at: str) -> str:
    """What was written, without blanks around it and control characters within."""
    said = "".join(letter for letter in text.strip() if letter.isprintable() or letter == "\n")
    if not said:
        raise Invalid("Some words are needed.", at=at, key="no-words", code="required")
    if len(said) > most:
        raise Invalid(f"At most {most} letters are taken.", at=at, key="too-many-words", code="too-long")
    return said
