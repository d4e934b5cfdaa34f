"""What is put on paper of a referral: the referral sheet (转介单) and the receipt (转介回执), each as its reader may read it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from service import codes
from service.access.model import Actor
from service.consent import store as consents
from service.consent.tiers import Role, Seen, Stage, readable
from service.db import Session
from service.directory import store as directory
from service.directory.model import Organization
from service.patients import identity
from service.patients.model import Patient
from service.records import store as records
from service.referrals import contact_flow, overview_flow, overview_store
from service.referrals.model import Receipt, Referral, Task
from service.referrals.overview_flow import Told
from service.safety.contact import ANY, ContactRules
from service.values import Id, read_json


class Sheet(msgspec.Struct, frozen=True):
    """A referral on paper. `seen`: the elements that the reader may read (domain f-7). `sealed`: a safety need is in it, of which
    no paper says more than that; nor does any paper hold free text then. `rules`: how the person may be contacted."""

    told: Told
    seen: Seen
    stage: Stage
    sealed: bool
    person: Patient | None
    rules: ContactRules
    reason: tuple[str, ...]
    receipts: tuple[Receipt, ...]
    agencies: dict[Id, Id]
    """Share → its agency, of the receipts."""
    printed_for: Organization | None

    @property
    def about(self) -> Referral | Task:
        found = self.told.share or self.told.referral
        assert found is not None
        return found

    @property
    def needs(self) -> tuple[str, ...]:
        return (codes.SAFETY,) if self.sealed else self.about.needs

    @property
    def crisis(self) -> bool:
        """Whether one is up, which no paper says either."""
        return self.told.referral is not None and self.told.referral.crisis is not None

    @property
    def reachable(self) -> bool:
        """Whether a telephone and an address stand on the paper, which others may come to hold."""
        return not (self.rules.guarded or self.about.contact_prohibited)


async def sheet(session: Session, actor: Actor, id: Id) -> Sheet:
    """Everything that either paper of this referral says. Raises NotFound where the reader may not know of it."""
    told = await overview_flow.one(session, actor, id)
    share = told.share if actor.side == "agency" else None
    about = share or told.referral
    assert about is not None
    patient = about.patient
    stage, withheld = await _stage(session, actor, share)
    role: Role = (
        "coordinator" if actor.side == "platform" else "hospital" if actor.side == "hospital" else "social_worker"
    )
    sealed = codes.is_safety(about.needs)
    seen = readable(role, stage, withheld, safety=sealed)
    person = told.names.patients.get(patient) if patient and "name" in seen else None
    rules = ANY
    if patient and "phone" in seen:
        said = (await contact_flow.known(session, [patient])).get(patient)
        rules = said.rules if said else ANY
    reason = await _reason(session, actor, id) if told.referral and "request-text" in seen and not sealed else ()
    kept = await overview_store.messages(session, id, ("receipt",))
    receipts = tuple(msgspec.json.decode(each.body, type=Receipt) for each in kept)
    return Sheet(
        told, seen, stage, sealed, person, rules, reason, receipts,
        {each.task: each.agency for each in kept if each.task and each.agency},
        await directory.organization(session, actor.organization),
    )  # fmt: skip


async def _stage(session: Session, actor: Actor, share: Task | None) -> tuple[Stage, Sequence[str]]:
    """How far the reader's share is, and what its ground leaves out; of the other sides nothing is left out."""
    if share is None:
        return "disclosed", ()
    if share.patient is None:
        if share.accepted_at is None:
            return ("offered-safety" if share.safety else "offered"), ()
        return ("accepted" if share.open else "ended"), ()
    opened = [
        each
        for each in await consents.opened(session, share.patient)
        if each.agency == actor.organization and each.closed_at is None and each.referral == share.referral
    ]
    if opened and all(each.basis == "break-glass" for each in opened):
        return "broken-glass", ()
    left = [frozenset(each.withheld) for each in opened if each.basis != "break-glass"]
    return "disclosed", sorted(frozenset[str]().union(*left)) if left else ()


async def _reason(session: Session, actor: Actor, referral: Id) -> tuple[str, ...]:
    """The words with which the hospital placed it."""
    held = await records.current(session, "ServiceRequest", referral)
    body: dict[str, Any] = read_json(held.body) if held else {}
    concepts = [*body.get("reasonCode", ()), *(each for each in body.get("category", ()) if _other(each))]
    said = [each.get("text") for each in (*concepts, *body.get("note", ()))]
    return tuple(identity.without_numbers(text) if actor.side == "agency" else text for text in said if text)


def _other(category: dict[str, Any]) -> bool:
    return any(coding.get("code") == codes.OTHER_NEED for coding in category.get("coding", ()))
