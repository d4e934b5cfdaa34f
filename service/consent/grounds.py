"""Which agencies a referral may be disclosed to, and on what ground; pure."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import msgspec

from service.consent.marks import alike
from service.consent.model import BASES, Consent, Related
from service.errors import Issue
from service.practice import Practice
from service.values import Id, age_on, local_day

GUARDIAN_UNTIL = 14
"""Below this age a parent or guardian consents (PIPL art. 31)."""


def permits(consent: Consent, referral: Id, now: datetime) -> bool:
    """Whether this consent or basis is in force for the referral."""
    return consent.active and consent.discloses and in_force(consent, referral, now)


def in_force(consent: Consent, referral: Id, now: datetime) -> bool:
    """Whether it speaks of the referral, and its period has begun and not ended."""
    return (
        (not consent.referrals or referral in consent.referrals)
        and (consent.confined is None or referral in consent.confined)
        and (consent.valid_from is None or consent.valid_from <= now)
        and (consent.valid_to is None or now <= consent.valid_to)
    )


def next_change(consent: Consent, now: datetime) -> datetime | None:
    """When time alone will change what this consent permits: as its period begins, then as it ends."""
    if not (consent.active and consent.discloses):
        return None
    # A period begins and ends with the instants that it names.
    if consent.valid_from is not None and consent.valid_from > now:
        return consent.valid_from
    return consent.valid_to if consent.valid_to is not None and consent.valid_to >= now else None


def permitted(consents: Iterable[Consent], referral: Id, now: datetime) -> dict[Id, Consent]:
    """Agency → the ground on which identity may be disclosed to it. There is no blanket consent: only agencies named.

    The ground carries what it leaves out: where several hold, what any signer left out stays out, unless a lawful basis
    does without their consent. A broken glass is the ground only where there is no other.
    """
    found: dict[Id, Consent] = {}
    left: dict[Id, set[str]] = {}
    bases: set[Id] = set()
    for consent in sorted(consents, key=lambda c: (c.kind == "break-glass", c.recorded_at, c.id)):
        if not permits(consent, referral, now):
            continue
        for agency in consent.agencies:
            if consent.kind != "break-glass" or agency not in found:
                left.setdefault(agency, set()).update(consent.withheld)
            if consent.kind in BASES:
                bases.add(agency)
            found.setdefault(agency, consent)
    return {
        agency: msgspec.structs.replace(consent, withheld=() if agency in bases else tuple(sorted(left[agency])))
        for agency, consent in found.items()
    }


def agreed_to(consents: Iterable[Consent], referral: Id, agency: Id, purpose: str, now: datetime) -> bool:
    """Whether a consent in force names this purpose for this agency: what goes beyond a referral's own purposes (a
    volunteer) is agreed to by name."""
    return any(
        consent.kind == "consent"
        and consent.active
        and purpose in consent.purposes
        and agency in consent.agencies
        and in_force(consent, referral, now)
        for consent in consents
    )


BASES_SAY = (
    "Where no consent can be had, identity is disclosed on a lawful basis that a supervisor decides:"
    " legal duty (HLEGAL) or emergency (ETREAT)."
)


def faults(
    consent: Consent, birth_date: date | None, now: datetime, *, lacks_capacity: bool = False
) -> tuple[Issue, ...]:
    """What is wrong with a consent: nobody named, signed by a child under 14, or by an adult who cannot (domain f-6)."""
    found: list[Issue] = []
    if consent.kind == "consent" and consent.discloses and consent.active and not consent.agencies:
        found.append(Issue("A consent names the agencies that the signer was shown.", "provision.actor", "required"))
    child = birth_date is not None and age_on(birth_date, local_day(now)) < GUARDIAN_UNTIL
    alone = consent.signer == "patient" or (consent.discloses and consent.signer != "related")
    if consent.active and alone and (child or lacks_capacity):
        whose = "A child under 14" if child else "An adult who lacks capacity"
        found.append(
            Issue(
                f"{whose} does not sign: a parent or guardian (RelatedPerson) is the performer.",
                "performer",
                "business-rule",
            )
        )
    return tuple(found)


def barred(signers: Iterable[Id], around: Iterable[Related]) -> bool:
    """Whether somebody among the signers (RelatedPersons by id) is suspected of harming the patient: by that record, or by
    another one of the same person."""
    known = tuple(around)
    wanted = frozenset(signers)
    suspected = [mark for each in known if each.suspected for mark in each.marks]
    return any(each.suspected or alike(each.marks, suspected) for each in known if each.id in wanted)


def holds_until(consent: Consent, practice: Practice, now: datetime) -> Consent:
    """A spoken consent that no witness heard holds for a while only, within which it is signed or witnessed."""
    if not (consent.spoken and consent.discloses and consent.active) or consent.witness:
        return consent
    limit = consent.recorded_at + timedelta(minutes=practice.spoken_consent.minutes)
    return msgspec.structs.replace(consent, valid_to=min(consent.valid_to or limit, limit))
